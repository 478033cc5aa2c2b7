//! Tasks of independent keys from their submission to their end, with journals in memory: on one engine, on a host of one shard, on
//! two hosts that share nothing, and on a host of two shards that share the same agents.
//!
//! ```text
//! cargo bench -p benches --bench shards
//! ```
//!
//! The figures are processor time, so other programs of the machine are not measured with it: of the whole process, and of its busiest
//! thread, which bounds the throughput on a machine with enough cores. The rows take turns.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench fails loudly and prints what it finds")]

use counterpoint::cluster::{Partition, ShardId, Shards};
use counterpoint::host::thread::{ShardedHost, TaskHandle, ThreadHost};
use counterpoint::workflow::Attempt;
use counterpoint::{AgentId, AgentSpec, Config, Failure, Payload, TaskId, TaskSpec};
use cpu_time::ProcessTime;
use std::collections::BTreeMap;
use std::time::Duration;

/// The tasks that are submitted before the first of them is awaited.
const TASKS: u64 = 1_000;
const AGENTS: u64 = 4;

fn agent(id: u64) -> AgentSpec {
    AgentSpec::new(AgentId::new(id)).with_skill("work", 1).with_capacity(4)
}

fn nothing(_: &TaskSpec, _: &Attempt) -> Result<Payload, Failure> {
    Ok(Payload::NULL)
}

/// Something that performs tasks.
struct Row {
    name: &'static str,
    submit: Box<dyn Fn(TaskSpec) -> TaskHandle>,
    next: u64,
    tasks: u64,
    process: Duration,
    /// The processor time of each thread.
    threads: BTreeMap<String, Duration>,
}

impl Row {
    fn new(name: &'static str, submit: impl Fn(TaskSpec) -> TaskHandle + 'static) -> Self {
        let (process, threads) = (Duration::ZERO, BTreeMap::new());
        Self { name, submit: Box::new(submit), next: 1, tasks: 0, process, threads }
    }

    fn round(&mut self, groups: u64) {
        let (before, threads) = (ProcessTime::now(), thread_times());
        for _ in 0..groups {
            let first = self.next;
            self.next += TASKS;
            let submitted = (first..self.next).map(|id| (self.submit)(TaskSpec::new(TaskId::new(id), "work")));
            let handles: Vec<TaskHandle> = submitted.collect();
            handles.into_iter().for_each(|handle| drop(handle.wait().unwrap()));
        }
        self.process += before.elapsed();
        self.tasks += groups * TASKS;
        for (thread, time) in thread_times() {
            let spent = time.saturating_sub(threads.get(&thread).copied().unwrap_or_default());
            *self.threads.entry(thread).or_default() += spent;
        }
    }

    /// The processor time of a task in microseconds: in all, and of the busiest thread besides the one that submits.
    fn per_task(&self) -> (f64, f64, &str) {
        let own = std::process::id().to_string();
        let others = self.threads.iter().filter(|(thread, _)| !thread.starts_with(&format!("{own} ")));
        let (name, most) =
            others.max_by_key(|(_, time)| **time).map_or(("", Duration::ZERO), |(name, time)| (name, *time));
        let per = |time: Duration| time.as_secs_f64() * 1e6 / self.tasks as f64;
        (per(self.process), per(most), name)
    }
}

/// The processor time of each thread of this process, by its number and name. Empty where the system does not tell.
fn thread_times() -> BTreeMap<String, Duration> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let times = tasks.filter_map(|task| {
        let nanos = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
        let nanos: u64 = nanos.split_whitespace().next()?.parse().ok()?;
        Some((format!("{} {}", task.file_name().to_string_lossy(), name.trim()), Duration::from_nanos(nanos)))
    });
    times.collect()
}

fn sharded(count: u16) -> ShardedHost {
    let host = ShardedHost::start(Shards::new(count).unwrap(), |_| Config::default()).unwrap();
    (1..=AGENTS).for_each(|id| host.add_custom_agent(agent(id), nothing).unwrap());
    host
}

fn plain(agents: u64) -> ThreadHost {
    let host = ThreadHost::start(Config::default()).unwrap();
    for id in 1..=agents {
        host.add_custom_agent(agent(id), nothing).unwrap();
    }
    host
}

fn main() {
    let is_test = std::env::args().any(|word| word == "--test");
    let (turns, groups) = if is_test { (1, 1) } else { (20, 10) };
    let (one, alone, two) = (plain(AGENTS), sharded(1), sharded(2));
    let apart = [plain(AGENTS / 2), plain(AGENTS / 2)];
    let shards = Shards::new(2).unwrap();
    let mut rows = [
        Row::new("one engine", move |task| one.submit(task).unwrap()),
        Row::new("a host of one shard", move |task| alone.submit(task).unwrap()),
        Row::new("two engines that share nothing", move |task| {
            let shard = shards.shard_of(Partition::of_task(task.id));
            let [first, second] = &apart;
            let engine = if shard == ShardId::new(0) { first } else { second };
            engine.submit(task).unwrap()
        }),
        Row::new("two shards that share agents", move |task| two.submit(task).unwrap()),
    ];
    rows.iter_mut().for_each(|row| row.round(1));
    for row in &mut rows {
        (row.tasks, row.process, row.threads) = (0, Duration::ZERO, BTreeMap::new());
    }
    for _ in 0..turns {
        rows.iter_mut().for_each(|row| row.round(groups));
    }
    let (all, busiest, _) = rows[0].per_task();
    println!(
        "| processor time of a task | in all, µs | relative | busiest thread, µs | throughput that it permits, relative | it is |"
    );
    println!("|---|---|---|---|---|---|");
    for row in &rows {
        let (own, most, name) = row.per_task();
        let name = name.split_once(' ').map_or(name, |(_, name)| name);
        println!("| {} | {own:.2} | {:.3} | {most:.2} | {:.2} | {name} |", row.name, own / all, busiest / most);
    }
}
