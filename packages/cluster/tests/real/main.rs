//! Three node processes with PostgreSQL and NATS: killed, stopped and woken, restarted, cut off; the broker and the database killed
//! and restarted, the disk of the database full, clocks that jump. A ledger outside counts the effects.
//!
//! ```sh
//! cargo test -p counterpoint-cluster --test real -- --nocapture
//! COUNTERPOINT_ROUNDS=20 COUNTERPOINT_BACKLOG=10000 cargo test -p counterpoint-cluster --test real -- --nocapture
//! COUNTERPOINT_MINUTES=10 cargo test -p counterpoint-cluster --test real -- --ignored --nocapture random
//! COUNTERPOINT_TAKEOVERS=3 COUNTERPOINT_BACKLOG=100000 COUNTERPOINT_RUNS=10000 \
//!     cargo test --release -p counterpoint-cluster --test real -- --ignored --nocapture backlog
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    missing_docs
)]
#![cfg(target_os = "linux")]

#[path = "../../../journal-postgres/tests/common/mod.rs"]
mod common;
mod faults;
mod kit;
mod load;
#[path = "../proxy/mod.rs"]
mod proxy;

use common::Server;
use counterpoint::cluster::{Partition, Shards};
use counterpoint::definition::{Action, Body, Definition, Node, Work};
use counterpoint::{Command, RunId, RunSpec, TaskId, TaskSpec};
use kit::{ClockNode, Disk, Nats, NodeProcess, request};
use load::{Count, Load};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const SHARDS: usize = 64;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What a field consists of.
#[derive(Debug, Clone, Copy, Default)]
struct Means {
    /// Whether there is a broker.
    nats: bool,
    /// Whether the database is on a small file system, where one can be mounted.
    disk: bool,
    /// Whether the connections of the node processes can be cut.
    links: bool,
    /// Whether there is a fourth node, whose clock can be set.
    clock: bool,
}

struct Field {
    means: Means,
    clock: Option<ClockNode>,
    nodes: Vec<NodeProcess>,
    nats: Option<Nats>,
    database: Server,
    disk: Option<Disk>,
    load: Arc<Load>,
    threads: Vec<std::thread::JoinHandle<()>>,
    probes: u64,
}

impl Field {
    fn new(name: &str, nats: bool) -> Self {
        Self::with(name, Means { nats, ..Means::default() })
    }

    fn with(name: &str, means: Means) -> Self {
        let disk = if means.disk { Disk::mount(192) } else { None };
        let database = match &disk {
            // Short files of the log, so that it soon needs another one.
            Some(disk) => Server::start_in(disk.folder.join("pg"), &["--wal-segsize=1"]),
            None => Server::start(name),
        };
        let mut field = Self {
            means,
            clock: None,
            nodes: Vec::new(),
            nats: means.nats.then(Nats::start),
            database,
            disk,
            load: Load::new(),
            threads: Vec::new(),
            probes: 1,
        };
        for _ in 0..3 {
            field.start_node();
        }
        if means.clock {
            let url = field.nats.as_ref().map(Nats::url);
            field.clock = Some(ClockNode::start(&field.database.connection(), url.as_deref()));
        }
        field.settle();
        let load = Arc::clone(&field.load);
        field.threads.push(std::thread::spawn(move || load.cancel(Duration::from_millis(40))));
        for agent in 1..=6 {
            let load = Arc::clone(&field.load);
            field.threads.push(std::thread::spawn(move || load.work(agent)));
        }
        for caller in 0..2 {
            let load = Arc::clone(&field.load);
            field.threads.push(std::thread::spawn(move || load.call(caller, Duration::from_millis(20))));
        }
        field
    }

    fn start_node(&mut self) {
        let node = if self.means.links {
            NodeProcess::start_linked(&self.database, self.nats.as_ref().map(|nats| nats.port))
        } else {
            let url = self.nats.as_ref().map(Nats::url);
            NodeProcess::start(&self.database.connection(), url.as_deref())
        };
        self.nodes.push(node);
        self.tell();
    }

    /// Tells callers and agents which nodes there are.
    fn tell(&self) {
        *self.load.nodes.lock().unwrap() = self.nodes.iter().map(|node| node.address.clone()).collect();
    }

    /// Waits until every shard is served, and each node serves its part.
    fn settle(&self) {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let mut serving: Vec<usize> = self.nodes.iter().map(|node| node.serving().len()).collect();
            serving.extend(self.clock.iter().map(|clock| clock.host.state().serving.len()));
            if serving.iter().sum::<usize>() == SHARDS && serving.iter().all(|count| *count >= 12) {
                return;
            }
            assert!(Instant::now() < until, "the nodes serve {serving:?} shards");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Submits a task in each of the shards and waits until all have begun and ended. Returns the time.
    fn probe(&mut self, shards: &[u64]) -> Duration {
        let begun = Instant::now();
        let of = Shards::new(SHARDS as u16).unwrap();
        let mut tasks = Vec::new();
        for shard in shards {
            let mut id = self.probes;
            while u64::from(of.shard_of(Partition::of_task(TaskId::new(id))).get()) != *shard {
                id += 1;
            }
            self.probes = id + 1;
            tasks.push(id);
        }
        let load = &self.load;
        std::thread::scope(|scope| {
            for (turn, id) in tasks.iter().enumerate() {
                scope.spawn(move || load.submit(*id, turn));
            }
        });
        for id in &tasks {
            self.await_end(*id, Duration::from_secs(60));
        }
        begun.elapsed()
    }

    fn await_end(&self, id: u64, patience: Duration) {
        let until = Instant::now() + patience;
        let mut turn = id as usize;
        loop {
            turn += 1;
            let node = &self.nodes[turn % self.nodes.len()];
            if let Ok((200, body)) = request(&node.address, "GET", &format!("/v1/tasks/{id}"), "")
                && body.contains("\"Succeeded\"")
            {
                return;
            }
            assert!(Instant::now() < until, "task {id} is stuck: {}", self.told_of(id));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the nodes tell of a task.
    fn told_of(&self, id: u64) -> String {
        let shard = Shards::new(SHARDS as u16).unwrap().shard_of(Partition::of_task(TaskId::new(id)));
        let mut told = format!("of {shard}");
        for node in &self.nodes {
            let answer = request(&node.address, "GET", &format!("/v1/tasks/{id}"), "");
            let serves = node.serving().contains(&u64::from(shard.get()));
            told += &format!(
                "; node {} {serves}, {:?} {answer:?}",
                node.id,
                node.state().map(|state| state["state"]["counts"].clone())
            );
        }
        if let Some(clock) = &self.clock {
            let serves = clock.host.state().serving.contains(&shard);
            told += &format!("; {} with the clock {serves}, {:?}", clock.host.node(), clock.host.notes());
        }
        told
    }

    /// Tasks, and runs of one task each, that wait for an agent that does not exist, so that a takeover has something to restore.
    fn fill(&self, tasks: u64, runs: u64) {
        let of = Shards::new(SHARDS as u16).unwrap();
        let mut by_shard: BTreeMap<_, Vec<TaskSpec>> = BTreeMap::new();
        for id in (1 << 40)..(1 << 40) + tasks {
            let task = TaskSpec::new(TaskId::new(id), "never");
            by_shard.entry(of.shard_of(Partition::of_task(task.id))).or_default().push(task);
        }
        let step = Node::new("one", Action::Do(Body::Task(Work::new("never"))));
        let definition = Definition::new("waits").with_node(step);
        self.send(&Command::define(definition), 0);
        let groups = by_shard.into_values().flat_map(|tasks| {
            let groups: Vec<_> = tasks.chunks(250).map(<[TaskSpec]>::to_vec).collect();
            groups
        });
        let starts = (1..=runs).map(|id| Command::start(RunSpec::new(RunId::new((1 << 40) + id), "waits")));
        let commands = Mutex::new(groups.map(Command::submit_all).chain(starts));
        std::thread::scope(|scope| {
            for caller in 0..32 {
                let commands = &commands;
                scope.spawn(move || {
                    loop {
                        let Some(command) = commands.lock().unwrap().next() else { return };
                        self.send(&command, caller);
                    }
                });
            }
        });
    }

    fn send(&self, command: &Command, node: usize) {
        let (node, body) = (&self.nodes[node % self.nodes.len()], serde_json::to_string(command).unwrap());
        let (status, answer) = request(&node.address, "POST", "/v1/commands", &body).unwrap();
        assert_eq!(status, 200, "{answer}");
    }

    /// A node with a third of the shards is killed; another one takes its place later.
    fn kill(&mut self) {
        let mut node = self.nodes.remove(0);
        let shards = node.serving();
        let at = Instant::now();
        node.kill();
        self.tell();
        let probed = self.probe(&shards);
        println!(
            "SIGKILL of a node with {} shards: the last one assigned and ended a task after {probed:?}",
            shards.len()
        );
        assert!(at.elapsed() < Duration::from_secs(15), "the takeover has lasted {:?}", at.elapsed());
        self.start_node();
        self.settle();
    }

    /// A shard is moved between live nodes while it gets commands.
    fn hand_over(&mut self) {
        let of = Shards::new(SHARDS as u16).unwrap();
        let mut pauses = Vec::new();
        for _ in 0..5 {
            let (from, to) = (&self.nodes[0], &self.nodes[1]);
            let Some(shard) = from.serving().first().copied() else { return };
            let mut ids = ((1_u64 << 41) + (self.probes << 20)..)
                .filter(|id| u64::from(of.shard_of(Partition::of_task(TaskId::new(*id))).get()) == shard);
            self.probes += 1;
            let until = Instant::now() + Duration::from_millis(1_500);
            let (mut longest, mut is_moving) = (Duration::ZERO, false);
            while Instant::now() < until {
                let begun = Instant::now();
                let failures = self.load.submit(ids.next().unwrap(), 0);
                assert!(failures.is_empty(), "a command has failed during a handover");
                longest = longest.max(begun.elapsed());
                if !is_moving {
                    is_moving = true;
                    let body = format!(r#"{{"shard":{shard},"to":{}}}"#, to.id);
                    let (status, answer) = request(&from.address, "POST", "/v1/move", &body).unwrap();
                    assert_eq!(status, 204, "{answer}");
                    longest = Duration::ZERO;
                }
            }
            assert!(to.serving().contains(&shard), "shard {shard} was not moved");
            pauses.push(longest);
        }
        pauses.sort();
        println!("handover with both alive, longest submission of each of 5: {pauses:?}, no failed command");
    }

    /// A node is stopped for longer than its lease, and woken.
    fn stop_and_wake(&self) {
        let node = &self.nodes[2];
        let before = node.count("fenced");
        node.signal("-STOP");
        *self.load.nodes.lock().unwrap() = self.nodes[..2].iter().map(|node| node.address.clone()).collect();
        std::thread::sleep(Duration::from_secs(7));
        node.signal("-CONT");
        let until = Instant::now() + Duration::from_secs(20);
        while node.count("fenced") == before {
            assert!(Instant::now() < until, "the node was not fenced");
            std::thread::sleep(Duration::from_millis(20));
        }
        println!("SIGSTOP for 7 s: the node has given up {} shards", node.count("fenced") - before);
        self.tell();
        self.settle();
    }

    fn restart_broker(&mut self) {
        let Some(nats) = &mut self.nats else { return };
        let at = Instant::now();
        nats.kill();
        std::thread::sleep(Duration::from_secs(2));
        nats.start_again();
        let shards: Vec<u64> = (0..SHARDS as u64).collect();
        self.probe(&shards);
        println!("broker away for 2 s: all shards have ended a task {:?} after its end", at.elapsed());
    }

    fn restart_database(&mut self) {
        let at = Instant::now();
        self.database.kill();
        std::thread::sleep(Duration::from_secs(number("COUNTERPOINT_AWAY", 2)));
        self.database.start_again();
        let back = Instant::now();
        let shards: Vec<u64> = (0..SHARDS as u64).collect();
        self.probe(&shards);
        println!(
            "database killed, away for {:?}: all shards have ended a task {:?} after it was back",
            back - at,
            back.elapsed()
        );
        self.settle();
    }

    /// Each node is replaced, one after the other, while callers submit to all of them: also to the one that ends.
    fn roll(&mut self) {
        let begun = Instant::now();
        let before = self.load.refused.load(Ordering::Relaxed);
        let cancelled = self.load.cancelled.lock().unwrap().len();
        self.roll_all();
        self.settle();
        let (submitted, [p50, p99, most]) = self.load.latency_since(begun);
        let cancelled = self.load.cancelled.lock().unwrap().len() - cancelled;
        let (failed, refused) = (self.load.failed_since(begun), self.load.refused.load(Ordering::Relaxed) - before);
        println!(
            "rolling restart: {submitted} submissions, p50 {p50:?}, p99 {p99:?}, most {most:?}; {cancelled} cancellations; \
             {failed} failed or unknown, {refused} tries at a node that had ended"
        );
        assert_eq!(failed, 0, "commands have failed during a rolling restart");
        assert!(submitted > 0 && cancelled > 0, "nothing was submitted meanwhile");
    }

    fn roll_all(&mut self) {
        for _ in 0..3 {
            self.start_node();
            let mut old = self.nodes.remove(0);
            old.stop();
            self.tell();
        }
    }

    /// The clock of a node jumps, while its shards are used.
    fn jump(&mut self) {
        let shards: Vec<u64> = (0..SHARDS as u64).collect();
        for seconds in [3_600, -3_600, -3_600] {
            self.clock.as_ref().unwrap().jump(seconds);
            let ended = self.probe(&shards);
            println!("clock of a node jumped by {seconds} s: all shards have ended a task after {ended:?}");
        }
        // What its shards have stored with a time that is an hour ahead is continued by others.
        let clock = self.clock.take().unwrap();
        let served = clock.host.state().serving.len();
        assert!(served >= 12, "the node with the clock serves {served} shards");
        clock.stop();
        let ended = self.probe(&shards);
        println!("it has given its {served} shards away: all shards have ended a task after {ended:?}");
        self.settle();
    }

    /// The disk of the database is full for some seconds.
    fn fill_disk(&mut self) {
        let away = number("COUNTERPOINT_AWAY", 5);
        let accepted = || self.load.accepted.lock().unwrap().len();
        self.disk.iter().for_each(Disk::fill);
        std::thread::sleep(Duration::from_secs(away));
        let before = accepted();
        std::thread::sleep(Duration::from_secs(1));
        let while_full = accepted() - before;
        self.disk.iter().for_each(Disk::free);
        let back = Instant::now();
        self.database.start_again();
        let shards: Vec<u64> = (0..SHARDS as u64).collect();
        self.probe(&shards);
        println!(
            "disk of the database full for {away} s ({while_full} tasks accepted in the last second): all shards have ended a task \
             {:?} after there was room",
            back.elapsed()
        );
        assert_eq!(while_full, 0, "the disk was not full");
        self.settle();
    }

    /// Lets all end, and compares the ledger with what was accepted.
    fn finish(mut self) -> Count {
        self.load.submits.store(false, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(500));
        let accepted = self.load.accepted.lock().unwrap().clone();
        let all: Vec<u64> = accepted.iter().copied().collect();
        std::thread::scope(|scope| {
            for part in all.chunks(all.len() / 16 + 1) {
                let field = &self;
                scope.spawn(move || part.iter().for_each(|id| field.await_end(*id, Duration::from_secs(60))));
            }
        });
        let cancelled = self.load.cancelled.lock().unwrap().clone();
        for id in &cancelled {
            let (status, task) = request(&self.nodes[0].address, "GET", &format!("/v1/tasks/{id}"), "").unwrap();
            assert!(status == 200 && task.contains("Cancelled"), "the cancellation of {id} was lost: {task}");
        }
        let count = self.load.ledger.count(&accepted);
        self.load.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
        count
    }
}

fn faults(name: &str, nats: bool) {
    let mut field = Field::new(name, nats);
    field.fill(number("COUNTERPOINT_BACKLOG", 200), number("COUNTERPOINT_RUNS", 20));
    field.load.submits.store(true, Ordering::Relaxed);
    for _ in 0..number("COUNTERPOINT_ROUNDS", 1) {
        field.kill();
        field.hand_over();
        field.stop_and_wake();
        field.restart_broker();
        field.restart_database();
        field.roll();
    }
    let count = field.finish();
    println!("ledger: {count:?}, 0 stuck");
    assert_eq!((count.lost, count.twice), (0, 0));
    assert!(count.accepted > 100, "{count:?}");
}

#[test]
fn nodes_with_nats_survive_faults() {
    faults("cluster-real", true);
}

/// Only the takeover, with a backlog: `COUNTERPOINT_TAKEOVERS` times.
#[test]
#[ignore = "a measurement: its command is in docs/performance.md"]
fn a_node_with_a_backlog_is_taken_over() {
    let times = number("COUNTERPOINT_TAKEOVERS", 1);
    let mut field = Field::new("cluster-takeover", true);
    let begun = Instant::now();
    field.fill(number("COUNTERPOINT_BACKLOG", 200), number("COUNTERPOINT_RUNS", 20));
    println!("filled in {:?}", begun.elapsed());
    assert!(times > 0, "nothing is taken over");
    (0..times).for_each(|_| field.kill());
    let count = field.finish();
    assert_eq!((count.lost, count.twice), (0, 0), "{count:?}");
}

#[test]
fn the_clock_of_a_node_jumps() {
    let mut field = Field::with("cluster-clock", Means { nats: true, clock: true, ..Means::default() });
    field.load.submits.store(true, Ordering::Relaxed);
    field.jump();
    let count = field.finish();
    println!("ledger: {count:?}, 0 stuck");
    assert_eq!((count.lost, count.twice), (0, 0));
}

#[test]
fn the_disk_of_the_database_is_full() {
    let mut field = Field::with("cluster-disk", Means { nats: true, disk: true, ..Means::default() });
    if field.disk.is_none() {
        println!("skipped: no file system can be mounted here");
        return;
    }
    field.load.submits.store(true, Ordering::Relaxed);
    field.fill_disk();
    let count = field.finish();
    println!("ledger: {count:?}, 0 stuck");
    assert_eq!((count.lost, count.twice), (0, 0));
}

#[test]
#[ignore = "takes COUNTERPOINT_MINUTES: its command is in docs/performance.md"]
fn random_faults() {
    let nats = number("COUNTERPOINT_HTTP", 0) == 0;
    faults::play(Means { nats, disk: true, links: true, clock: true });
}

/// The same without a broker, in long runs.
#[test]
fn nodes_without_a_broker_survive_faults() {
    if number("COUNTERPOINT_ROUNDS", 0) > 0 {
        faults("cluster-http", false);
    }
}

/// The requests of docs/guide/many.md, to nodes without a broker: messages between them are sent over HTTP.
#[test]
fn the_requests_of_the_guide() {
    let database = Server::start("cluster-guide");
    let nodes = [(); 3].map(|()| NodeProcess::start(&database.connection(), None));
    let until = Instant::now() + Duration::from_secs(60);
    while nodes.iter().any(|node| node.serving().len() < 12) {
        assert!(Instant::now() < until, "the nodes do not serve their shards");
        std::thread::sleep(Duration::from_millis(50));
    }
    let send = |node: usize, path: &str, body: &str| request(&nodes[node].address, "POST", path, body).unwrap();
    let guide = include_str!("../../../../docs/guide/many.md");
    let body_of = |path: &str| {
        let line = guide.lines().find(|line| line.contains(path) && line.contains("-d '")).unwrap();
        line.split("-d '").nth(1).unwrap().trim_end_matches('\'').to_string()
    };
    let (status, answer) = send(0, "/v1/commands", &body_of("/v1/commands"));
    assert_eq!((status, answer.as_str()), (200, r#"{"accepted":"done"}"#));
    assert_eq!(send(1, "/v1/agents", &body_of("/v1/agents -d")).0, 204);
    let (status, work) = send(1, "/v1/agents/1/next?wait_ms=5000", "");
    assert_eq!(status, 200, "{work}");
    assert!(work.contains("\"key\":\""), "{work}");
    assert_eq!(send(1, "/v1/agents/1/ended", &body_of("/v1/agents/1/ended")).0, 204);
    let until = Instant::now() + Duration::from_secs(20);
    while !request(&nodes[2].address, "GET", "/v1/tasks/7", "").unwrap().1.contains("hello Ada") {
        assert!(Instant::now() < until, "the outcome is unknown");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(request(&nodes[0].address, "GET", "/v1/counts", "").unwrap().0, 200);
    assert_eq!(request(&nodes[0].address, "GET", "/v1/tasks/8", "").unwrap().0, 404);
    assert_eq!(send(0, "/v1/move", r#"{"shard":99,"to":1}"#).0, 422);
    // Without the secret nothing is answered.
    let url = format!("http://{}/v1/state", nodes[0].address);
    let bare = std::process::Command::new("curl").args(["-s", "-o", "/dev/null", "-w", "%{http_code}", &url]).output();
    assert_eq!(bare.unwrap().stdout, b"401");
    assert_eq!(send(0, "/v1/drain", "").0, 204);
    let until = Instant::now() + Duration::from_secs(20);
    while !nodes[0].serving().is_empty() {
        assert!(Instant::now() < until, "the node is not drained");
        std::thread::sleep(Duration::from_millis(20));
    }
}
