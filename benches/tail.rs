//! The distribution of the time of a call while 1,000,000 tasks wait, with leases, heartbeats, time limits that expire, and
//! snapshots between calls. Processor time of the thread, so that other programs do not count.
//!
//! `cargo bench -p benches --bench tail -- [waiting]`
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench fails loudly and prints"
)]

mod load;

use counterpoint::{AgentCommand, Command, Incarnation};
use cpu_time::ThreadTime;
use load::{Load, config, guarded};

const ROUNDS: usize = 500_000;
/// The number of rounds between two snapshots.
const SNAPSHOT_EVERY: usize = 100_000;
/// The number of rounds between two heartbeats.
const HEARTBEAT_EVERY: usize = 8;

fn main() {
    let waiting = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(1_000_000);
    for (name, config) in [("plain", config()), ("guarded", guarded())] {
        let mut load = Load::timed(config, waiting);
        let mut times = measure(&mut load);
        times.sort_unstable();
        let at = |permyriad: usize| times[(times.len() - 1) * permyriad / 10_000];
        println!(
            "{name}, {waiting} waiting, {} calls: p50 {} ns, p99 {} ns, p99.9 {} ns, max {} ns",
            times.len(),
            at(5_000),
            at(9_900),
            at(9_990),
            at(10_000)
        );
    }
}

/// The time of each call, in nanoseconds.
fn measure(load: &mut Load) -> Vec<u128> {
    let agents: Vec<Incarnation> = load.scheduler.agents().map(|agent| agent.incarnation()).collect();
    let mut times = Vec::with_capacity(3 * ROUNDS);
    for round in 0..ROUNDS {
        let submit = load.next_submit();
        times.push(timed(load, submit));
        if let Some(completion) = load.next_completion() {
            times.push(timed(load, completion));
        }
        if round % HEARTBEAT_EVERY == 0 {
            let by = agents[round / HEARTBEAT_EVERY % agents.len()];
            times.push(timed(load, Command::Agent(AgentCommand::Heartbeat { by })));
        }
        if round % SNAPSHOT_EVERY == 0 {
            drop(std::hint::black_box(load.scheduler.snapshot()));
        }
    }
    times
}

fn timed(load: &mut Load, command: Command) -> u128 {
    let start = ThreadTime::now();
    load.handle(command);
    start.elapsed().as_nanos()
}
