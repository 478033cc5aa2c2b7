//! Ten thousand concurrent attempts on one thread of tokio, compared with a hand-written `JoinSet` with a semaphore.
//!
//! ```sh
//! cargo run --release -p counterpoint-async-hosts --bin ten_thousand            # 50,000 tasks, 10,000 at once
//! cargo run --release -p counterpoint-async-hosts --bin ten_thousand -- 5000 1000
//! ```
//!
//! Every task sleeps for 100 ms and returns a number. Memory is the maximum above the initial use; time is processor
//! time. The hand-written program has no retries, no ordered queue, no events and no view of the work under way.

use counterpoint::host::future::{Assignment, FutureHost};
use counterpoint::{AgentId, AgentSpec, Config, Limits, Payload, TaskId, TaskOutcome, TaskSpec};
use counterpoint_async_hosts::Forget;
use cpu_time::ProcessTime;
use peak_alloc::PeakAlloc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const NAP: Duration = Duration::from_millis(100);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u32>());
    let tasks = numbers.next().transpose()?.unwrap_or(50_000);
    let at_once = numbers.next().transpose()?.unwrap_or(10_000);
    println!("| {tasks} tasks of 100 ms, {at_once} at once | bytes per task at once | µs per task | seconds |");
    println!("|---|---|---|---|");
    measure("`JoinSet` and semaphore", tasks, at_once, || by_hand(tasks, at_once))?;
    measure("`FutureHost`, attempts within the driver", tasks, at_once, || hosted(tasks, at_once, false))?;
    measure("`FutureHost`, attempts spawned", tasks, at_once, || hosted(tasks, at_once, true))?;
    Ok(())
}

/// Runs it on a runtime of one thread and prints a row. The sum shows that every task was done once.
fn measure<F>(name: &str, tasks: u32, at_once: u32, work: impl FnOnce() -> F) -> Result<(), Box<dyn std::error::Error>>
where
    F: Future<Output = Result<u64, Box<dyn std::error::Error>>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let (wall, cpu) = (Instant::now(), ProcessTime::now());
    let sum = runtime.block_on(work())?;
    let (cpu, wall) = (cpu.elapsed(), wall.elapsed());
    let bytes = MEMORY.peak_usage().saturating_sub(before) / usize::try_from(at_once)?;
    assert_eq!(sum, (1..=u64::from(tasks)).sum::<u64>(), "every task completes once");
    println!("| {name} | {bytes} | {:.1} | {:.2} |", cpu.as_secs_f64() * 1e6 / f64::from(tasks), wall.as_secs_f64());
    Ok(())
}

async fn by_hand(tasks: u32, at_once: u32) -> Result<u64, Box<dyn std::error::Error>> {
    let room = Arc::new(Semaphore::new(usize::try_from(at_once)?));
    let mut set = JoinSet::new();
    let mut sum = 0;
    for id in 1..=u64::from(tasks) {
        let place = Arc::clone(&room).acquire_owned().await?;
        set.spawn(async move {
            tokio::time::sleep(NAP).await;
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
    Ok(sum)
}

async fn hosted(tasks: u32, at_once: u32, spawning: bool) -> Result<u64, Box<dyn std::error::Error>> {
    // As much ahead of the agents as the semaphore lets its loop be, and outcomes are not kept for later.
    let mut limits = Limits::default().with_active_tasks(at_once.saturating_mul(2));
    (limits.agent_capacity, limits.retention.finished_tasks) = (at_once, 0);
    let config = Config::default().with_limits(limits);
    let (host, mut driver) = FutureHost::open(config, Forget, tokio::time::sleep).await?;
    if spawning {
        driver = driver.spawning(|attempt| drop(tokio::spawn(attempt)));
    }
    let driver = tokio::spawn(driver);
    let nap = |assignment: Assignment| async move {
        tokio::time::sleep(NAP).await;
        Ok(assignment.task.payload.clone())
    };
    let agent = AgentSpec::new(AgentId::new(1)).with_skill("nap", 1).with_capacity(at_once);
    host.add_custom_agent(agent, nap).await?;
    // Twenty submitters, so that the journal is written for many at a time.
    let mut submitters = JoinSet::new();
    let share = u64::from(tasks.div_ceil(20));
    for first in (1..=u64::from(tasks)).step_by(usize::try_from(share)?) {
        let host = host.clone();
        let last = (first + share - 1).min(u64::from(tasks));
        submitters.spawn(async move {
            let mut handles = std::collections::VecDeque::new();
            let mut sum = 0;
            for id in first..=last {
                let task = TaskSpec::new(TaskId::new(id), "nap").with_payload(Payload::of(&id).expect("a number"));
                handles.push_back(host.submit_when_room(task).await.expect("the task is accepted"));
                if handles.len() as u64 >= u64::from(at_once) / 20 {
                    sum += number(handles.pop_front().expect("one at least").await);
                }
            }
            for handle in handles {
                sum += number(handle.await);
            }
            sum
        });
    }
    let sum = submitters.join_all().await.into_iter().sum();
    host.shut_down(Duration::from_secs(5)).await?;
    driver.await??;
    Ok(sum)
}

fn number(ended: Result<TaskOutcome, counterpoint::host::HostError>) -> u64 {
    match ended.expect("the host runs") {
        TaskOutcome::Succeeded(output) => output.to().expect("a number"),
        other => panic!("{other:?}"),
    }
}
