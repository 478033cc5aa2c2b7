//! What a node, its store and its home refuse, each with a reason of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../../journal-postgres/tests/common/mod.rs"]
mod common;

use common::Server;
use counterpoint::cluster::{BadShards, Digest, NodeId, Partition, Session, ShardId, Shards};
use counterpoint::journal::Epoch;
use counterpoint::task::Usage;
use counterpoint::{
    AgentCommand, AgentId, AgentSpec, Command, Incarnation, Payload, TaskId, TaskOutcome, TaskSpec, Time,
};
use counterpoint_cluster::{
    Answer, Deployment, Inbox, Input, MemoryNetwork, MemoryStore, Message, Node, NodeHost, NodeRules, Output,
    PostgresStore, Request, Response, StartError, Store, StoreError,
};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

fn deployment(shards: u16) -> Deployment {
    Deployment::new(Shards::new(shards).unwrap()).with_lease(Duration::from_millis(1_500))
}

fn start(store: &dyn Store, network: &MemoryNetwork, deployment: &Deployment) -> Result<NodeHost, StartError> {
    let store = store.another().unwrap();
    NodeHost::start(deployment, store, NodeRules::default(), |inbox: Inbox| Ok(network.join(inbox)))
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn agent(id: u64) -> AgentSpec {
    AgentSpec::new(AgentId::new(id)).with_skill("echo", 1)
}

fn echo(node: &NodeHost, id: u64) {
    let payload = Payload::of(&id).unwrap();
    node.command(Command::submit(TaskSpec::new(TaskId::new(id), "echo").with_payload(payload)), PATIENCE).unwrap();
}

/// A node that states something else than the deployment does not start, while the others work.
#[test]
fn a_node_that_states_something_else_does_not_start() {
    let (store, network) = (MemoryStore::default(), MemoryNetwork::default());
    let node = start(&store, &network, &deployment(4)).unwrap();
    let refused = |stated: Deployment| match start(&store, &network, &stated) {
        Err(StartError::Store(refused)) => refused,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(deployment(8)), BadShards::Differ { theirs: 8, ours: 4 }.into());
    let mut newer = deployment(4);
    newer.format += 1;
    assert_eq!(refused(newer), StoreError::Version { theirs: 2, ours: 1 });
    let (theirs, ours) = ("test".to_string(), "default".to_string());
    assert_eq!(refused(deployment(4).with_environment("test")), StoreError::Environment { theirs, ours });
    let lease = Duration::from_secs(60);
    assert!(matches!(refused(deployment(4).with_lease(lease)), StoreError::Lease { .. }));
    wait_until("the node serves all shards", || node.state().serving.len() == 4);
    echo(&node, 1);
}

/// The directory is set back while nodes work, as by a backup of the database: their reports are refused with that reason, and the
/// shards are served on. A node that starts anew takes it, and all shards with it: the earlier node is refused also when the version has
/// passed what it has seen.
#[test]
fn a_stale_directory_is_refused() {
    let server = Server::start("cluster-stale");
    let store = PostgresStore::new(server.connection().parse().unwrap());
    let network = MemoryNetwork::default();
    let node = start(&store, &network, &deployment(4)).unwrap();
    wait_until("the node serves all shards", || node.state().serving.len() == 4);
    server.client().execute("update counterpoint_cluster set version = 0", &[]).unwrap();
    let mut noted = Vec::new();
    let until = Instant::now() + PATIENCE;
    while !noted.iter().any(|note: &String| note.contains("but version") && note.contains("set back")) {
        assert!(Instant::now() < until, "{noted:?}");
        noted.extend(node.notes());
        std::thread::sleep(Duration::from_millis(5));
    }
    wait_until("the node knows", || !node.state().is_connected);
    echo(&node, 1);
    let mut same = store.another().unwrap();
    assert!(matches!(same.relocate(ShardId::new(0), node.node()), Err(StoreError::Stale { version: 0, known: 1.. })));
    // A process that has not seen the later one takes it as it is.
    let anew = start(&PostgresStore::new(server.connection().parse().unwrap()), &network, &deployment(4)).unwrap();
    wait_until("the node that starts anew serves all shards", || anew.state().serving.len() == 4);
    echo(&anew, 2);
    assert!(anew.call(Request::Task(TaskId::new(1)), PATIENCE).is_ok());
    let known = match same.relocate(ShardId::new(0), node.node()) {
        Err(StoreError::Stale { known, .. }) => known,
        other => panic!("{other:?}"),
    };
    let version =
        || -> i64 { server.client().query_one("select version from counterpoint_cluster", &[]).unwrap().get(0) };
    wait_until("the version passes what the earlier node has seen", || version().unsigned_abs() > known + 2);
    assert!(matches!(same.relocate(ShardId::new(0), node.node()), Err(StoreError::Stale { .. })));
    assert_eq!((anew.state().serving.len(), node.state().is_connected), (4, false));
    // It believes to serve the shards until it uses their journals: it confirms each answer there, also that of a read.
    let read = node.call(Request::Task(TaskId::new(2)), Duration::from_secs(2));
    assert!(!matches!(read, Ok(Answer::Task(None))), "{read:?}");
    wait_until("the earlier node gives the shard up", || node.state().serving.len() < 4);
}

/// An agent connects again, to the same node and to another one: the earlier connection ends, and the work is done by the last one.
#[test]
fn an_agent_that_is_connected_twice() {
    let (store, network) = (MemoryStore::default(), MemoryNetwork::default());
    let [one, other] = [(); 2].map(|()| start(&store, &network, &deployment(4)).unwrap());
    wait_until("each node serves some shards", || [&one, &other].iter().all(|node| node.state().serving.len() == 2));
    let first = one.connect(agent(1)).unwrap();
    let second = one.connect(agent(1)).unwrap();
    assert!(first.is_closed());
    // The end of the first one ends nothing else.
    drop(first);
    echo(&one, 1);
    let work = second.next(PATIENCE).unwrap();
    work.end(Ok(Payload::NULL));
    assert!(!second.is_closed());

    let third = other.connect(agent(1)).unwrap();
    for id in 10..30 {
        echo(&one, id);
    }
    let mut ended = 0;
    let until = Instant::now() + PATIENCE;
    while ended < 20 || !second.is_closed() {
        assert!(Instant::now() < until, "{ended} tasks, closed: {}", second.is_closed());
        // The second one is found out when it asks for work, which it does when it has ended what it still got.
        for connection in [&second, &third] {
            if let Some(work) = connection.next(Duration::from_millis(20)) {
                work.end(Ok(Payload::NULL));
                ended += 1;
            }
        }
        if ended >= 18 {
            echo(&one, 30 + ended);
        }
    }
    assert!(!third.is_closed());
    echo(&one, 1_000_000);
    third.next(PATIENCE).unwrap().end(Ok(Payload::NULL));
    assert!(one.notes().iter().chain(&other.notes()).any(|note| note.contains("connected again")));
}

/// A node without I/O that serves the only shard of its deployment.
fn serving() -> (Node, Time, Vec<Output>) {
    let mut store = MemoryStore::default();
    let joined = store.join(&deployment(1)).unwrap();
    let mut node = Node::new(joined.node, joined.deployment, Shards::new(1).unwrap(), NodeRules::default());
    let (now, mut out) = (Time::from_secs(1), Vec::new());
    let directed = store.report(node.report(), "").unwrap();
    let (view, instructions, changed) = (directed.view, directed.instructions, directed.changed);
    node.take(now, Input::Directed { view, instructions, changed }, &mut out);
    let taken = store.take_over(ShardId::new(0)).unwrap();
    let engine = counterpoint::Engine::new(NodeRules::default().config(ShardId::new(0)));
    let engine = Some((taken.epoch, Box::new(engine)));
    node.take(now, Input::TakenOver { shard: ShardId::new(0), engine }, &mut out);
    let directed = store.report(node.report(), "").unwrap();
    let (view, instructions, changed) = (directed.view, directed.instructions, directed.changed);
    node.take(now, Input::Directed { view, instructions, changed }, &mut out);
    store_all(&mut node, now, &mut out);
    (node, now, out)
}

/// Confirms appends until there are none, and returns what was sent to another node.
fn store_all(node: &mut Node, now: Time, out: &mut Vec<Output>) -> Vec<Message> {
    let mut sent = Vec::new();
    loop {
        node.settle(now, out);
        let mut results = None;
        for output in out.drain(..) {
            match output {
                Output::Append(appends) => results = Some(appends.iter().map(|_| Ok(())).collect()),
                Output::Send(envelope) => sent.push(envelope.message),
                _ => {}
            }
        }
        match results {
            Some(results) => node.take(now, Input::Stored { results }, out),
            None => return sent,
        }
    }
}

const LIAR: NodeId = NodeId::new(99);

/// A home that lies about its agents: it asks for more than they have slots, reports what they do not hold, and vouches for and
/// ends sessions that are not theirs.
#[test]
fn a_home_that_lies() {
    let (mut node, now, mut out) = serving();
    let (shard, epoch) = (ShardId::new(0), Epoch::new(1));
    for id in 1..=5 {
        let request = Request::Command(Box::new(Command::submit(TaskSpec::new(TaskId::new(id), "echo"))));
        let message = Message::Request { id, shard, request };
        node.take(now, Input::Message { from: LIAR, message }, &mut out);
    }
    store_all(&mut node, now, &mut out);
    let poll = |session: u64, number: u64, most: u32| {
        let text = serde_json::json!({
            "shard": shard, "epoch": epoch, "agent": agent(1), "session": session, "number": number, "most": most,
            "holding": [],
        });
        Message::Poll(serde_json::from_value(text).unwrap())
    };
    node.take(now, Input::Message { from: LIAR, message: poll(7, 1, 1_000) }, &mut out);
    let sent = store_all(&mut node, now, &mut out);
    let assigned = sent.iter().find_map(|message| match message {
        Message::Assigned { answer, .. } => Some(answer.assigned.clone()),
        _ => None,
    });
    // One slot, one attempt, whatever the home says.
    let assigned = assigned.unwrap();
    assert_eq!(assigned.len(), 1);
    // An earlier session has no say: not in polls, and not in the end of the later one.
    node.take(now, Input::Message { from: LIAR, message: poll(6, 9, 1) }, &mut out);
    let sent = store_all(&mut node, now, &mut out);
    assert!(sent.iter().any(|message| matches!(message, Message::Replaced { known, .. } if known.get() == 7)));
    let leave = Message::Leave { shard, agent: AgentId::new(1), session: Session::new(6) };
    node.take(now, Input::Message { from: LIAR, message: leave }, &mut out);
    let vouch = Message::Vouch {
        shard,
        sessions: vec![(AgentId::new(1), Session::new(6)), (AgentId::new(5), Session::new(1))],
    };
    node.take(now, Input::Message { from: LIAR, message: vouch }, &mut out);
    store_all(&mut node, now, &mut out);
    let engine = node.engine(shard).unwrap();
    assert_eq!(engine.agent(AgentId::new(1)).unwrap().in_flight(), 1);
    assert!(engine.agent(AgentId::new(5)).is_none());
    // Results of attempts that the agent does not hold, and of one that it holds under a registration that it does not have.
    let other = (1..=5).map(TaskId::new).find(|task| *task != assigned[0].task()).unwrap();
    let by = engine.agent(AgentId::new(1)).unwrap().incarnation();
    let forged = Incarnation::new(AgentId::new(1), 77);
    let results = [(by, assigned[0].number().of(other)), (forged, assigned[0])];
    for (by, attempt) in results {
        let result = AgentCommand::Complete { by, attempt, output: Payload::NULL, usage: Usage::default() };
        node.take(now, Input::Message { from: LIAR, message: Message::Result { shard, epoch, result } }, &mut out);
    }
    store_all(&mut node, now, &mut out);
    let engine = node.engine(shard).unwrap();
    assert!((1..=5).all(|id| engine.task(TaskId::new(id)).unwrap().outcome().is_none()));
    node.check().unwrap();
    // The truth is accepted.
    let result = AgentCommand::Complete { by, attempt: assigned[0], output: Payload::NULL, usage: Usage::default() };
    node.take(now, Input::Message { from: LIAR, message: Message::Result { shard, epoch, result } }, &mut out);
    store_all(&mut node, now, &mut out);
    let outcome =
        node.engine(shard).unwrap().task(assigned[0].task()).unwrap().outcome().map(|(outcome, _)| outcome.clone());
    assert_eq!(outcome, Some(TaskOutcome::Succeeded(Payload::NULL)));
}

/// Messages about shards that the deployment does not have.
#[test]
fn shards_that_do_not_exist() {
    let (mut node, now, mut out) = serving();
    let (none, epoch) = (ShardId::new(7), Epoch::new(9));
    let request = Request::Task(TaskId::new(1));
    let asked = Message::Request { id: 1, shard: none, request };
    node.take(now, Input::Message { from: LIAR, message: asked }, &mut out);
    let refused = store_all(&mut node, now, &mut out);
    assert!(refused.contains(&Message::Response { id: 1, shard: none, response: Response::NotServing }));

    // An agent with a free slot would offer it to that shard, and wait for ever.
    node.take(now, Input::Connect { agent: agent(1), session: Session::new(1) }, &mut out);
    let mut digest = Digest::of(ShardId::new(0), epoch, node.engine(ShardId::new(0)).unwrap());
    (digest.shard, digest.more) = (none, true);
    node.take(now, Input::Message { from: LIAR, message: Message::Digests(vec![digest]) }, &mut out);
    assert!(out.iter().any(|output| matches!(output, Output::Note(note) if note.contains("do not exist"))));
    node.take(now, Input::Message { from: LIAR, message: Message::Serving { shard: none, epoch } }, &mut out);
    node.take(now, Input::Message { from: LIAR, message: Message::Released { shard: none, epoch } }, &mut out);
    assert!(!out.iter().any(|output| matches!(output, Output::TakeOver(_))));
    store_all(&mut node, now, &mut out);
    node.check().unwrap();
    let partition = Partition::of_task(TaskId::new(1));
    assert_eq!(Shards::new(1).unwrap().shard_of(partition), ShardId::new(0));
    assert_eq!(Shards::new(1).unwrap().shard(7), Err(BadShards::Unknown { shard: none, shards: 1 }));
}
