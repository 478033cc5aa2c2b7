//! What one attempt costs, for profilers and counters: a fixed number of attempts, each of which yields once.
//!
//! ```sh
//! cargo build --release -p counterpoint-async-hosts --bin attempts
//! target/release/attempts driver 200000                            # processor time, allocations, bytes while it runs
//! valgrind --tool=callgrind target/release/attempts driver 10000 -   # instructions: the difference of two run lengths,
//! valgrind --tool=callgrind target/release/attempts driver 20000 -   # divided by 10,000
//! ```
//!
//! The first argument selects what runs: `driver` (the driver polls the attempts), `spawned` (each attempt is a task of
//! tokio), `engine` (the same commands to an engine, without a host), `set` (a `JoinSet` with a semaphore), `threads` (the
//! host on threads, one of which performs the attempts), `specs` (only the specifications of the tasks are made). The share
//! of a host is its figure minus that of `engine`. The second argument is the number of attempts; 2,000 more come first, so that
//! tables have their size. With a third argument the bytes of attempts that are all under way at once are left out.

use counterpoint::host::future::{Assignment, FutureHost, TaskHandle};
use counterpoint::host::thread::ThreadHost;
use counterpoint::workflow::Attempt;
use counterpoint::{
    AgentId, AgentSpec, Command, Config, Effect, Engine, Limits, Outbox, Payload, TaskId, TaskOutcome, TaskSpec, Time,
};
use counterpoint_async_hosts::Forget;
use cpu_time::ProcessTime;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};
use std::alloc::System;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

type Done<T> = Result<T, Box<dyn std::error::Error>>;

/// The attempts before the counted ones.
const FIRST: u64 = 2_000;
/// The number of attempts that may be under way.
const AT_ONCE: u64 = 1_000;
/// The most attempts that are held at once to count their bytes.
const HELD: u64 = 20_000;
/// The number of callers that submit at the same time.
const CALLERS: u64 = 20;

fn main() -> Done<()> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_else(|| "driver".into());
    let attempts = arguments.next().map_or(Ok(20_000), |text| text.parse::<u64>())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let at_once = if arguments.next().is_none() { attempts.min(HELD) } else { 0 };
    let (counted, held): (Counted, usize) = runtime.block_on(async {
        match what.as_str() {
            "driver" => Done::Ok((hosted(attempts, false).await?, held(at_once, false).await?)),
            "spawned" => Ok((hosted(attempts, true).await?, held(at_once, true).await?)),
            "engine" => Ok((engine(attempts)?, engine_held(at_once)?)),
            "set" => Ok((set(attempts).await?, set_held(at_once))),
            "threads" => Ok((threaded(attempts)?, 0)),
            "specs" => Ok((specs(attempts), 0)),
            other => Err(format!("{other}: one of driver, spawned, engine, set, threads, specs").into()),
        }
    })?;
    let each = |total: usize| total as f64 / attempts as f64;
    let Counted { memory, time } = counted;
    let (mallocs, bytes) = (each(memory.allocations + memory.reallocations), each(memory.bytes_allocated));
    let time = time.as_secs_f64() * 1e6 / attempts as f64;
    println!(
        "{what}: {attempts} attempts, processor time {time:.2} µs, allocations {mallocs:.1}, bytes {bytes:.0} of each"
    );
    if held > 0 {
        println!("{what}: {at_once} at once, bytes in use {:.0} of each", held as f64 / at_once as f64);
    }
    Ok(())
}

/// What a number of attempts has used.
struct Counted {
    memory: Stats,
    time: Duration,
}

/// The counters from one point on.
struct Counter {
    memory: Region<'static, System>,
    time: ProcessTime,
}

impl Counter {
    fn start() -> Self {
        Self { memory: Region::new(ALLOCATOR), time: ProcessTime::now() }
    }

    fn counted(&self) -> Counted {
        Counted { memory: self.memory.change(), time: self.time.elapsed() }
    }
}

fn task(id: u64) -> TaskSpec {
    TaskSpec::new(TaskId::new(id), "nap").with_payload(Payload::of(&id).expect("a number"))
}

fn config(at_once: u64) -> Done<Config> {
    let at_once = u32::try_from(at_once)?;
    let mut limits = Limits::default().with_active_tasks(at_once.saturating_mul(2));
    (limits.agent_capacity, limits.retention.finished_tasks) = (at_once, 0);
    Ok(Config::default().with_limits(limits))
}

fn agent(at_once: u64) -> Done<AgentSpec> {
    Ok(AgentSpec::new(AgentId::new(1)).with_skill("nap", 1).with_capacity(u32::try_from(at_once)?))
}

/// Bytes in use since the region began.
fn in_use(stats: Stats) -> usize {
    (stats.bytes_allocated).saturating_sub(stats.bytes_deallocated)
}

fn specs(attempts: u64) -> Counted {
    let counter = Counter::start();
    let sum: u64 = (0..attempts).map(|id| Arc::new(task(id)).payload.to::<u64>().unwrap_or(0)).sum();
    assert!(sum < u64::MAX);
    counter.counted()
}

/// A host with one agent.
async fn host(at_once: u64, spawning: bool, pending: bool) -> Done<(FutureHost, JoinSet<()>)> {
    let (host, mut driver) = FutureHost::open(config(at_once)?, Forget, tokio::time::sleep).await?;
    if spawning {
        driver = driver.spawning(|attempt| drop(tokio::spawn(attempt)));
    }
    let mut running = JoinSet::new();
    running.spawn(async { driver.await.expect("the journal works") });
    let work = move |assignment: Assignment| async move {
        if pending {
            std::future::pending::<()>().await;
        }
        tokio::task::yield_now().await;
        Ok(assignment.task.payload.clone())
    };
    host.add_custom_agent(agent(at_once)?, work).await?;
    Ok((host, running))
}

async fn hosted(attempts: u64, spawning: bool) -> Done<Counted> {
    let (host, mut running) = host(AT_ONCE, spawning, false).await?;
    submit(&host, 0, FIRST).await;
    let counter = Counter::start();
    submit(&host, FIRST, attempts).await;
    let counted = counter.counted();
    host.shut_down(Duration::from_secs(5)).await?;
    running.join_next().await.ok_or("the driver runs")??;
    Ok(counted)
}

/// Submits tasks from several callers, each of which waits for its oldest task when it has too many.
async fn submit(host: &FutureHost, after: u64, tasks: u64) {
    let mut callers = JoinSet::new();
    for caller in 1..=CALLERS {
        let host = host.clone();
        callers.spawn(async move {
            let mut handles = VecDeque::new();
            for id in (after + caller..=after + tasks).step_by(CALLERS as usize) {
                handles.push_back((id, host.submit_when_room(task(id)).await.expect("the task is accepted")));
                if handles.len() as u64 >= AT_ONCE / CALLERS {
                    check(handles.pop_front().expect("one at least")).await;
                }
            }
            for handle in handles {
                check(handle).await;
            }
        });
    }
    callers.join_all().await;
}

async fn check((id, handle): (u64, TaskHandle)) {
    match handle.await.expect("the host runs") {
        TaskOutcome::Succeeded(output) => assert_eq!(output.to::<u64>(), Ok(id), "the output of this task"),
        other => panic!("{other:?}"),
    }
}

/// The bytes in use with so many attempts under way, the handles of the tasks included.
async fn held(attempts: u64, spawning: bool) -> Done<usize> {
    if attempts == 0 {
        return Ok(0);
    }
    let (host, running) = host(attempts, spawning, true).await?;
    let mut handles = Vec::with_capacity(usize::try_from(attempts)?);
    let region = Region::new(ALLOCATOR);
    for id in 1..=attempts {
        handles.push(host.submit(task(id)).await?);
    }
    let under_way = host.inspect(|engine| engine.agents().map(|agent| agent.in_flight()).sum::<usize>()).await?;
    assert_eq!(under_way as u64, attempts);
    let bytes = in_use(region.change()) + handles.len() * size_of_val(&handles[0]);
    drop(running);
    Ok(bytes)
}

async fn set(attempts: u64) -> Done<Counted> {
    let room = Arc::new(Semaphore::new(usize::try_from(AT_ONCE)?));
    let (mut set, mut sum) = (JoinSet::new(), 0);
    let mut counter = Counter::start();
    for id in 1..=FIRST + attempts {
        if id == FIRST {
            counter = Counter::start();
        }
        let place = Arc::clone(&room).acquire_owned().await?;
        set.spawn(async move {
            tokio::task::yield_now().await;
            drop(place);
            id
        });
        while let Some(done) = set.try_join_next() {
            sum += done?;
        }
    }
    while let Some(done) = set.join_next().await {
        sum += done?;
    }
    assert_eq!(sum, (1..=FIRST + attempts).sum::<u64>(), "every task completes once");
    Ok(counter.counted())
}

fn set_held(attempts: u64) -> usize {
    let region = Region::new(ALLOCATOR);
    let mut set = JoinSet::new();
    for id in 1..=attempts {
        set.spawn(async move {
            std::future::pending::<()>().await;
            id
        });
    }
    in_use(region.change())
}

/// The engine alone, with commands in groups as large as those of the host.
struct Alone {
    engine: Engine,
    outbox: Outbox,
    effects: Vec<Effect>,
}

impl Alone {
    fn new(at_once: u64) -> Done<Self> {
        let mut alone = Self { engine: Engine::new(config(at_once)?), outbox: Outbox::default(), effects: Vec::new() };
        alone.handle(Command::register(agent(at_once)?))?;
        Ok(alone)
    }

    fn handle(&mut self, command: Command) -> Done<()> {
        self.engine.handle(Time::from_secs(1), command, &mut self.outbox)?;
        Ok(())
    }

    fn submit(&mut self, ids: std::ops::RangeInclusive<u64>) -> Done<()> {
        for id in ids {
            self.handle(Command::submit(task(id)))?;
        }
        self.outbox.drain_effects(&mut self.effects);
        self.outbox.clear();
        Ok(())
    }
}

fn engine(attempts: u64) -> Done<Counted> {
    let mut alone = Alone::new(AT_ONCE)?;
    let mut counter = Counter::start();
    let mut ended = 0;
    for first in (1..=FIRST + attempts).step_by(CALLERS as usize) {
        if first > FIRST && first <= FIRST + CALLERS {
            counter = Counter::start();
        }
        alone.submit(first..=(first + CALLERS - 1).min(FIRST + attempts))?;
        let mut effects = std::mem::take(&mut alone.effects);
        for effect in effects.drain(..) {
            if let Effect::Dispatch { attempt, to, task, .. } = effect {
                alone.handle(Command::complete(to, attempt, task.payload.clone()))?;
                ended += 1;
            }
        }
        alone.effects = effects;
        alone.outbox.clear();
    }
    assert_eq!(ended, FIRST + attempts);
    Ok(counter.counted())
}

fn engine_held(attempts: u64) -> Done<usize> {
    let mut alone = Alone::new(attempts)?;
    let region = Region::new(ALLOCATOR);
    for id in 1..=attempts {
        alone.submit(id..=id)?;
        alone.effects.clear();
    }
    Ok(in_use(region.change()))
}

/// The host on threads: callers on one thread would each wait, so the caller submits a group and then waits for it.
fn threaded(attempts: u64) -> Done<Counted> {
    let host = ThreadHost::open(config(AT_ONCE)?, Forget)?;
    let work = |task: &TaskSpec, _: &Attempt| Ok(task.payload.clone());
    host.add_custom_agent(agent(1)?, work)?;
    let mut counter = Counter::start();
    for first in (1..=FIRST + attempts).step_by(CALLERS as usize) {
        if first > FIRST && first <= FIRST + CALLERS {
            counter = Counter::start();
        }
        let group = first..=(first + CALLERS - 1).min(FIRST + attempts);
        let handles: Vec<_> = group.map(|id| host.submit(task(id))).collect::<Result<_, _>>()?;
        for handle in handles {
            assert!(matches!(handle.wait()?, TaskOutcome::Succeeded(_)));
        }
    }
    let counted = counter.counted();
    host.shut_down(Duration::from_secs(5))?;
    Ok(counted)
}
