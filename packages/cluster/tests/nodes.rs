//! Nodes in one process: with stores and transports in memory, in PostgreSQL, and over HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../../journal-postgres/tests/common/mod.rs"]
mod common;

use common::Server;
use counterpoint::cluster::{BadShards, NodeId, Partition, ShardId, Shards};
use counterpoint::journal::AppendError;
use counterpoint::task::Identity;
use counterpoint::{AgentId, AgentSpec, Command, Config, Payload, Seq, TaskCommand, TaskId, TaskOutcome, TaskSpec};
use counterpoint_cluster::{
    Answer, Append, CallError, Deployment, Envelope, Inbox, MemoryNetwork, MemoryStore, NodeHost, NodeRules,
    PostgresStore, Request, Store, StoreError, Transport, Unreadable,
};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

fn deployment(shards: u16) -> Deployment {
    Deployment::new(Shards::new(shards).unwrap()).with_lease(Duration::from_millis(1_500))
}

fn start(store: &dyn Store, network: &MemoryNetwork, shards: u16) -> NodeHost {
    let store = store.another().unwrap();
    NodeHost::start(&deployment(shards), store, NodeRules::default(), |inbox: Inbox| Ok(network.join(inbox))).unwrap()
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn add_agent(node: &NodeHost, id: u64) {
    let spec = AgentSpec::new(AgentId::new(id)).with_skill("echo", 1).with_capacity(2);
    node.add_agent(spec, |work, _| Ok(work.task.payload.clone())).unwrap();
}

fn perform(nodes: &[&NodeHost], tasks: core::ops::Range<u64>) {
    for id in tasks.clone() {
        let payload = Payload::of(&id).unwrap();
        let task = TaskSpec::new(TaskId::new(id), "echo").with_payload(payload);
        nodes[id as usize % nodes.len()].command(Command::submit(task), PATIENCE).unwrap();
    }
    for id in tasks {
        let ended = nodes[0].wait_for_task(TaskId::new(id), PATIENCE).unwrap();
        assert_eq!(ended, Some(TaskOutcome::Succeeded(Payload::of(&id).unwrap())));
    }
}

/// Two nodes share the shards; one of them ends in an orderly way, one without a word, and the work continues.
fn come_and_go(store: &dyn Store) {
    let network = MemoryNetwork::default();
    let [one, other] = [(); 2].map(|()| start(store, &network, 8));
    wait_until("each node serves some shards", || {
        let serving = [&one, &other].map(|node| node.state().serving.len());
        serving.iter().all(|count| *count > 0) && serving.iter().sum::<usize>() == 8
    });
    add_agent(&one, 1);
    add_agent(&other, 2);
    perform(&[&one, &other], 1..60);
    let Answer::Counts(counts) = one.call(Request::Count, PATIENCE).unwrap() else { panic!("not counts") };
    assert_eq!(counts.len(), 8);
    other.shut_down(PATIENCE);
    wait_until("one node serves all shards", || one.state().serving.len() == 8);
    perform(&[&one], 60..80);
    let third = start(store, &network, 8);
    wait_until("the third node serves some shards", || !third.state().serving.is_empty());
    add_agent(&third, 3);
    // A node that has gone without a word: its lease has to end.
    one.shut_down(Duration::ZERO);
    wait_until("the third node serves all shards", || third.state().serving.len() == 8);
    perform(&[&third], 80..100);
    // What was done before is still known.
    assert!(third.wait_for_task(TaskId::new(1), PATIENCE).unwrap().is_some());
    third.shut_down(Duration::ZERO);
}

#[test]
fn nodes_come_and_go_in_memory() {
    come_and_go(&MemoryStore::default());
}

#[test]
fn nodes_come_and_go_with_postgres() {
    let server = Server::start("cluster-go");
    come_and_go(&PostgresStore::new(server.connection().parse().unwrap()));
}

/// A shard is moved while commands for it arrive: none fails.
#[test]
fn a_shard_moves_and_no_command_fails() {
    let (store, network) = (MemoryStore::default(), MemoryNetwork::default());
    let [one, other] = [(); 2].map(|()| start(&store, &network, 4));
    wait_until("each node serves some shards", || [&one, &other].iter().all(|node| node.state().serving.len() == 2));
    let shard = other.state().serving[0];
    let shards = Shards::new(4).unwrap();
    let mut ids = (1_u64..).map(TaskId::new).filter(|id| shards.shard_of(Partition::of_task(*id)) == shard);
    let mut moved = false;
    for turn in 0..200 {
        if turn == 50 {
            one.relocate(shard, one.node()).unwrap();
        }
        one.command(Command::submit(TaskSpec::new(ids.next().unwrap(), "wait")), PATIENCE).unwrap();
        moved |= one.state().serving.contains(&shard);
    }
    wait_until("the shard has moved", || moved || one.state().serving.contains(&shard));
    let gone = NodeId::new(999);
    assert_eq!(one.relocate(shard, gone), Err(StoreError::NoNode(gone)));
    let none = ShardId::new(77);
    assert_eq!(one.relocate(none, one.node()), Err(BadShards::Unknown { shard: none, shards: 4 }.into()));
}

/// A network whose requests take a while.
struct Late(Arc<dyn Transport>);

impl Transport for Late {
    fn address(&self) -> String {
        self.0.address()
    }

    fn send(&self, to: NodeId, address: &str, bytes: Vec<u8>) {
        if !bytes.windows(9).any(|part| part == b"\"request\"") {
            return self.0.send(to, address, bytes);
        }
        let (network, address) = (Arc::clone(&self.0), address.to_string());
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(600));
            network.send(to, &address, bytes);
        });
    }
}

/// A command that must not be executed twice arrives at a node that has given its shards away, and ends. While the node stays, the
/// command is refused, and sent to the present host. Returns the end of the command.
fn late_request(linger: Duration) -> Result<(), CallError> {
    let (store, network) = (MemoryStore::default(), MemoryNetwork::default());
    let rules = NodeRules::default().with_linger(linger);
    let other = store.another().unwrap();
    let other = NodeHost::start(&deployment(4), other, rules, |inbox: Inbox| Ok(network.join(inbox))).unwrap();
    let one = NodeHost::start(&deployment(4), store.another().unwrap(), NodeRules::default(), |inbox: Inbox| {
        Ok(Box::new(Late(network.join(inbox).into())))
    });
    let one = one.unwrap();
    wait_until("each node serves some shards", || [&one, &other].iter().all(|node| node.state().serving.len() == 2));
    let shards = Shards::new(4).unwrap();
    let is_other = |id: &TaskId| other.state().serving.contains(&shards.shard_of(Partition::of_task(*id)));
    let task = (1_u64..).map(TaskId::new).find(is_other).unwrap();
    one.command(Command::submit(TaskSpec::new(task, "wait")), PATIENCE).unwrap();
    std::thread::scope(|scope| {
        let cancel = TaskCommand::Cancel { task, reason: "test".into() };
        let command = scope.spawn(|| one.command(cancel, Duration::from_secs(5)).map(drop));
        std::thread::sleep(Duration::from_millis(100));
        other.shut_down(PATIENCE);
        command.join().unwrap()
    })
}

#[test]
fn a_node_that_ends_refuses_late_requests() {
    assert_eq!(late_request(Duration::from_secs(3)), Ok(()));
    // A node that does not stay cannot answer.
    assert_eq!(late_request(Duration::ZERO), Err(CallError::Unknown));
}

/// Whatever the configurations of the nodes are, a task has the same idempotency key at each of them.
#[test]
fn the_environment_of_the_deployment_is_that_of_every_engine() {
    let (store, network) = (MemoryStore::default(), MemoryNetwork::default());
    let deployment = deployment(8).with_environment("test");
    let other = NodeRules::default().with_config(|_| Config::default().with_environment("other"));
    let [one, other] = [NodeRules::default(), other].map(|rules| {
        NodeHost::start(&deployment, store.another().unwrap(), rules, |inbox: Inbox| Ok(network.join(inbox))).unwrap()
    });
    wait_until("each node serves some shards", || [&one, &other].iter().all(|node| !node.state().serving.is_empty()));
    let seen: Arc<Mutex<Vec<Option<Identity>>>> = Arc::default();
    let noted = Arc::clone(&seen);
    let spec = AgentSpec::new(AgentId::new(1)).with_skill("echo", 1).with_capacity(2);
    one.add_agent(spec, move |work, _| {
        noted.lock().unwrap().push(work.identity.as_deref().cloned());
        Ok(work.task.payload.clone())
    })
    .unwrap();
    perform(&[&one, &other], 1..40);
    let seen = seen.lock().unwrap();
    let first = seen[0].clone().unwrap();
    assert_eq!(first.environment, Some("test".into()));
    assert!(seen.len() >= 39 && seen.iter().all(|identity| *identity == Some(first.clone())), "{seen:?}");
    one.shut_down(Duration::ZERO);
    other.shut_down(Duration::ZERO);
}

/// What a node may not be set up with.
#[test]
fn a_database_of_others_is_refused() {
    let server = Server::start("cluster-bad");
    let config: postgres::Config = server.connection().parse().unwrap();
    let store = || PostgresStore::new(config.clone());
    let first = store().join(&deployment(4)).unwrap();
    let second = store().join(&deployment(4)).unwrap();
    assert_eq!(first.deployment, second.deployment);
    assert!(first.node < second.node);
    assert_eq!(store().join(&deployment(8)), Err(BadShards::Differ { theirs: 8, ours: 4 }.into()));
    let (theirs, ours) = ("test".to_string(), "default".to_string());
    let other = deployment(4).with_environment("test");
    assert_eq!(store().join(&other), Err(StoreError::Environment { theirs, ours }));
    let lease = Duration::from_secs(60);
    assert!(matches!(store().join(&deployment(4).with_lease(lease)), Err(StoreError::Lease { .. })));
    let mut newer = deployment(4);
    newer.format = 2;
    assert_eq!(store().join(&newer), Err(StoreError::Version { theirs: 2, ours: 1 }));
    // A database in which a single host has its journal.
    server.client().batch_execute("create database other").unwrap();
    let mut elsewhere = config;
    elsewhere.dbname("other");
    let mut journal = counterpoint_journal_postgres::PostgresJournal::new(elsewhere.clone(), "orders");
    counterpoint::journal::Journal::take_over(&mut journal).unwrap();
    assert!(matches!(PostgresStore::new(elsewhere).join(&deployment(4)), Err(StoreError::Foreign(_))));
    let mut away = PostgresStore::new("host=127.0.0.1 port=1 user=x".parse().unwrap());
    assert!(matches!(away.join(&deployment(4)), Err(StoreError::Away(_))));
}

/// One statement stores the entries of several shards, except of those that were taken over.
fn appends_of_several_shards(store: &dyn Store) {
    let [mut one, mut other] = [(); 2].map(|()| store.another().unwrap());
    let entries = |from: u64| {
        let mut engine = counterpoint::Engine::new(Config::default());
        let mut out = counterpoint::Outbox::default();
        for id in 1..=from + 1 {
            let task = TaskSpec::new(TaskId::new(id), "echo");
            engine.handle(counterpoint::Time::ZERO, Command::submit(task), &mut out).unwrap();
        }
        out.entries().iter().filter(|entry| entry.seq > Seq::new(from)).cloned().collect::<Vec<_>>()
    };
    let shards = [0, 1, 2].map(ShardId::new);
    let epochs = shards.map(|shard| one.take_over(shard).unwrap().epoch);
    let append = |at: usize, after: u64, entries| Append::new(shards[at], epochs[at], Seq::new(after), entries);
    let all = [0, 1, 2].map(|at| append(at, 0, entries(0)));
    assert_eq!(one.append_all(all.to_vec()), [Ok(()), Ok(()), Ok(())]);
    // Without entries it is only confirmed that the epoch is the present one.
    assert_eq!(one.append_all(vec![append(0, 1, vec![])]), [Ok(())]);
    let taken = other.take_over(shards[1]).unwrap();
    assert_eq!(taken.tail, entries(0));
    let tail = Seq::new(1);
    let mixed = [append(0, 1, entries(1)), append(1, 1, entries(1)), append(2, 0, entries(0))];
    assert_eq!(one.append_all(mixed.to_vec()), [Ok(()), Err(AppendError::Fenced), Err(AppendError::Conflict { tail })]);
    assert_eq!(one.append_all(vec![append(1, 1, vec![])]), [Err(AppendError::Fenced)]);
    let own = Append::new(shards[1], taken.epoch, tail, entries(1));
    assert_eq!(other.append_all(vec![own]), [Ok(())]);
    // The first shard continues with another connection, and has exactly its two entries.
    assert_eq!(other.take_over(shards[0]).unwrap().tail.len(), 2);
    assert_eq!(other.take_over(shards[2]).unwrap().tail.len(), 1);
}

#[test]
fn appends_of_several_shards_in_memory() {
    appends_of_several_shards(&MemoryStore::default());
}

#[test]
fn appends_of_several_shards_in_postgres() {
    let server = Server::start("cluster-append");
    appends_of_several_shards(&PostgresStore::new(server.connection().parse().unwrap()));
}

/// Messages of other versions, deployments and receivers are told apart.
#[test]
fn messages_that_a_node_does_not_take() {
    let node = NodeId::new(7);
    let text = |version: u16, deployment: &str, to: u64| {
        format!(r#"{{"version":{version},"deployment":"{deployment}","from":1,"to":{to},"message":{{"digests":[]}}}}"#)
    };
    let read = |text: &str| Envelope::read(text.as_bytes(), "own", node).map(drop);
    assert_eq!(read(&text(1, "own", 7)), Ok(()));
    // Fields of a later build of the same version are ignored.
    assert_eq!(read(&text(1, "own", 7).replacen('{', r#"{"later":1,"#, 1)), Ok(()));
    assert_eq!(read(&text(2, "own", 7)), Err(Unreadable::Version { theirs: 2 }));
    assert!(matches!(read(&text(1, "foreign", 7)), Err(Unreadable::Foreign { .. })));
    let other = NodeId::new(8);
    assert_eq!(read(&text(1, "own", 8)), Err(Unreadable::OtherNode(other)));
    assert!(matches!(read("{"), Err(Unreadable::Malformed(_))));
    assert!(matches!(read(r#"{"version":1}"#), Err(Unreadable::Malformed(_))));
}
