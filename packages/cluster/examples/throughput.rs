//! Durable tasks per second of nodes in this process, with a database.
//!
//! ```sh
//! cargo run --release -p counterpoint-cluster --example throughput -- "host=/run/postgresql dbname=test" NODES TASKS
//! ```
//!
//! Messages between nodes stay in memory. Half of the submissions go to another node than that of their shard.

use counterpoint::cluster::Shards;
use counterpoint::{AgentId, AgentSpec, Command, TaskId, TaskSpec};
use counterpoint_cluster::{Answer, Deployment, MemoryNetwork, NodeHost, NodeRules, PostgresStore, Request};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
/// Callers per node; each waits for its task to be durable before it submits the next.
const CALLERS: u64 = 64;
const AGENTS: u64 = 16;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let database = arguments.next().ok_or("the database is missing")?;
    let nodes: u64 = arguments.next().as_deref().unwrap_or("3").parse()?;
    let tasks: u64 = arguments.next().as_deref().unwrap_or("20000").parse()?;
    let deployment = Deployment::new(Shards::new(64)?);
    let network = MemoryNetwork::default();
    let start = || {
        let store = PostgresStore::new(database.parse().map_err(|error: postgres::Error| error.to_string())?);
        NodeHost::start(&deployment, Box::new(store), NodeRules::default(), |inbox| Ok(network.join(inbox)))
            .map_err(|error| error.to_string())
    };
    let hosts = (0..nodes).map(|_| start()).collect::<Result<Vec<_>, String>>()?;
    while hosts.iter().map(|host| host.state().serving.len()).sum::<usize>() < 64
        || hosts.iter().any(|host| host.state().serving.len() < 48 / hosts.len())
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    for (id, host) in (1..=AGENTS * nodes).zip(hosts.iter().cycle()) {
        let spec = AgentSpec::new(AgentId::new(id)).with_skill("pay", 1).with_capacity(8);
        host.add_agent(spec, |work, _| Ok(work.task.payload.clone()))?;
    }
    let counts = |what: fn(&counterpoint_cluster::NodeCounts) -> u64| -> u64 {
        hosts.iter().map(|host| what(&host.state().counts)).sum()
    };
    std::thread::sleep(Duration::from_millis(200));
    let before = [counts(|of| of.sent), counts(|of| of.appends), counts(|of| of.entries)];
    let (first, begun) = (std::process::id() as u64 * 1_000_000_000, Instant::now());
    std::thread::scope(|scope| {
        for caller in 0..CALLERS * nodes {
            let host = &hosts[(caller % nodes) as usize];
            scope.spawn(move || {
                for id in (first + caller..first + tasks).step_by((CALLERS * nodes) as usize) {
                    let task = TaskSpec::new(TaskId::new(id), "pay");
                    if let Err(error) = host.command(Command::submit(task), PATIENCE) {
                        println!("{id}: {error}");
                    }
                }
            });
        }
    });
    let submitted = begun.elapsed();
    loop {
        let Answer::Counts(shards) = hosts[0].call(Request::Count, PATIENCE)? else { return Err("no counts".into()) };
        let begun = counts(|of| of.begun);
        if shards.values().all(|shard| shard.queued == 0) && begun >= tasks {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let ended = begun.elapsed();
    let after = [counts(|of| of.sent), counts(|of| of.appends), counts(|of| of.entries)];
    let per_task = |at: usize| (after[at] - before[at]) as f64 / tasks as f64;
    println!(
        "{nodes} nodes, {tasks} tasks: submitted {:.0}/s, performed {:.0}/s; per task {:.2} messages between nodes, {:.3} \
         statements, {:.2} entries",
        tasks as f64 / submitted.as_secs_f64(),
        tasks as f64 / ended.as_secs_f64(),
        per_task(0),
        per_task(1),
        per_task(2),
    );
    for host in hosts {
        host.shut_down(Duration::ZERO);
    }
    Ok(())
}
