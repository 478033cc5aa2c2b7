//! The network between a node and the database is cut silently: nothing that is sent arrives, and no connection ends.
//!
//! ```sh
//! COUNTERPOINT_AWAY=60 cargo test -p counterpoint-cluster --test cut -- --nocapture
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
#![cfg(unix)]

#[path = "../../journal-postgres/tests/common/mod.rs"]
mod common;
mod proxy;

use common::Server;
use counterpoint::cluster::{Partition, Shards};
use counterpoint::{AgentId, AgentSpec, Command, TaskId, TaskSpec};
use counterpoint_cluster::{
    CallError, Deployment, Inbox, MemoryNetwork, NodeHost, NodeRules, PostgresStore, Store, StoreError,
};
use proxy::{Proxy, To};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
const LEASE: Duration = Duration::from_millis(1_500);

/// A proxy in front of a database, and the store that a node behind it uses.
fn before(server: &Server) -> (Proxy, PostgresStore) {
    let proxy = Proxy::start(To::Socket(server.socket()));
    let cut_off = format!("host=127.0.0.1 port={} user=counterpoint dbname=postgres", proxy.port);
    let store = PostgresStore::new(cut_off.parse().unwrap()).with_patience(Duration::from_millis(2_500));
    (proxy, store)
}

fn wait_until(what: &str, holds: impl Fn() -> bool) -> Duration {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    begun.elapsed()
}

fn start(store: &PostgresStore, network: &MemoryNetwork) -> NodeHost {
    let deployment = Deployment::new(Shards::new(8).unwrap()).with_lease(LEASE);
    let store = store.another().unwrap();
    NodeHost::start(&deployment, store, NodeRules::default(), |inbox: Inbox| Ok(network.join(inbox))).unwrap()
}

fn submit(node: &NodeHost, id: u64, patience: Duration) -> Result<(), CallError> {
    node.command(Command::submit(TaskSpec::new(TaskId::new(id), "echo")), patience).map(drop)
}

/// How many seconds the network is cut.
fn away(default: u64) -> u64 {
    std::env::var("COUNTERPOINT_AWAY").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn a_node_that_is_cut_off_from_the_database_gives_up_and_comes_back() {
    let away = away(8);
    let server = Server::start("cluster-cut");
    let (proxy, cut_off) = before(&server);
    let network = MemoryNetwork::default();
    let one = start(&PostgresStore::new(server.connection().parse().unwrap()), &network);
    let other = start(&cut_off, &network);
    let both = || [&one, &other].iter().all(|node| node.state().serving.len() == 4);
    wait_until("each node serves its part", both);
    let spec = AgentSpec::new(AgentId::new(1)).with_skill("echo", 1).with_capacity(2);
    one.add_agent(spec, |work, _| Ok(work.task.payload.clone())).unwrap();

    proxy.cut();
    let taken = wait_until("the other node serves all shards", || one.state().serving.len() == 8);
    // Work continues, without the node that is cut off.
    (1..40).for_each(|id| submit(&one, id, PATIENCE).unwrap());
    (1..40).for_each(|id| assert!(one.wait_for_task(TaskId::new(id), PATIENCE).unwrap().is_some()));
    let gave_up = wait_until("the node finds that it is cut off", || !other.state().is_connected);
    println!("cut off: others serve its shards after {taken:?}; it knows that it is cut off {gave_up:?} after that");
    // It believes that it hosts shards, but answers for none: commands for them wait, and are not executed.
    let shards = Shards::new(8).unwrap();
    let lost: Vec<u64> = (100..160)
        .filter(|id| other.state().serving.contains(&shards.shard_of(Partition::of_task(TaskId::new(*id)))))
        .take(4)
        .collect();
    std::thread::scope(|scope| {
        let tries = lost.iter().map(|id| scope.spawn(|| submit(&other, *id, Duration::from_secs(4))));
        for tried in tries.collect::<Vec<_>>() {
            assert!(matches!(tried.join().unwrap(), Err(CallError::Unknown | CallError::Unavailable)));
        }
    });
    std::thread::sleep(Duration::from_secs(away).saturating_sub(taken + gave_up + Duration::from_secs(4)));
    // It cannot connect agents, and says so.
    let spec = AgentSpec::new(AgentId::new(2)).with_skill("echo", 1);
    assert!(matches!(other.connect(spec), Err(StoreError::Away(_))));

    proxy.mend();
    let back = wait_until("the node serves its part again", both);
    (40..80).for_each(|id| submit(&other, id, PATIENCE).unwrap());
    (40..80).for_each(|id| assert!(one.wait_for_task(TaskId::new(id), PATIENCE).unwrap().is_some()));
    println!("mended after {away} s: it serves its part again after {back:?}");
}

/// Without another node: commands wait, and are executed when the database is back.
#[test]
fn a_single_node_recovers_from_the_absence_of_the_database() {
    let away = away(5);
    let server = Server::start("cluster-away");
    let (proxy, cut_off) = before(&server);
    let network = MemoryNetwork::default();
    let node = start(&cut_off, &network);
    wait_until("the node serves all shards", || node.state().serving.len() == 8);
    submit(&node, 1, PATIENCE).unwrap();
    proxy.cut();
    let cut = Instant::now();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| submit(&node, 2, Duration::from_secs(away) + PATIENCE).map(|()| Instant::now()));
        std::thread::sleep(Duration::from_secs(away).saturating_sub(cut.elapsed()));
        proxy.mend();
        let mended = Instant::now();
        let done = waits.join().unwrap().unwrap();
        assert!(done > mended);
        println!("database away for {away} s: a command that waited was executed {:?} after its end", done - mended);
    });
}
