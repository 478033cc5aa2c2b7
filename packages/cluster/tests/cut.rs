//! The network between a node and the database is cut silently: nothing that is sent arrives, and no connection ends.
//!
//! ```sh
//! COUNTERPOINT_AWAY=60 cargo test -p counterpoint-cluster --test cut -- --nocapture
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
#![cfg(unix)]

#[path = "../../journal-postgres/tests/common/mod.rs"]
mod common;

use common::Server;
use counterpoint::cluster::{Partition, Shards};
use counterpoint::{AgentId, AgentSpec, Command, TaskId, TaskSpec};
use counterpoint_cluster::{
    CallError, Deployment, Inbox, MemoryNetwork, NodeHost, NodeRules, PostgresStore, Store, StoreError,
};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
const LEASE: Duration = Duration::from_millis(1_500);

/// Takes connections and forwards them to a server, until it is cut: then it takes bytes and forwards none. Connections of that time
/// stay as they are when it is mended.
struct Proxy {
    port: u16,
    cuts: Arc<AtomicU64>,
    is_cut: Arc<AtomicBool>,
}

impl Proxy {
    /// One in front of a database, and the store that a node behind it uses.
    fn before(server: &Server) -> (Self, PostgresStore) {
        let direct = server.connection();
        let folder = direct.split_whitespace().next().unwrap().trim_start_matches("host=");
        let proxy = Self::start(PathBuf::from(folder).join(".s.PGSQL.5432"));
        let cut_off = format!("host=127.0.0.1 port={} user=counterpoint dbname=postgres", proxy.port);
        let store = PostgresStore::new(cut_off.parse().unwrap()).with_patience(Duration::from_millis(2_500));
        (proxy, store)
    }

    fn start(to: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Self { port, cuts: Arc::default(), is_cut: Arc::default() };
        let (cuts, is_cut) = (Arc::clone(&proxy.cuts), Arc::clone(&proxy.is_cut));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = UnixStream::connect(&to) else { continue };
                // One that is made during a cut gets no answer, then or later.
                let at = cuts.load(Ordering::SeqCst) - u64::from(is_cut.load(Ordering::SeqCst));
                let (back, again) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                forward(client, server, at, &cuts);
                forward(again, back, at, &cuts);
            }
        });
        proxy
    }

    fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        self.cuts.fetch_add(1, Ordering::SeqCst);
    }

    fn mend(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }
}

trait Closes {
    fn close(&self);
}

impl Closes for TcpStream {
    fn close(&self) {
        let _gone = self.shutdown(std::net::Shutdown::Both);
    }
}

impl Closes for UnixStream {
    fn close(&self) {
        let _gone = self.shutdown(std::net::Shutdown::Both);
    }
}

fn forward(
    mut from: impl Read + Closes + Send + 'static,
    mut to: impl Write + Closes + Send + 'static,
    at: u64,
    cuts: &Arc<AtomicU64>,
) {
    let cuts = Arc::clone(cuts);
    std::thread::spawn(move || {
        let mut bytes = [0; 16_384];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            if cuts.load(Ordering::SeqCst) == at && to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        if cuts.load(Ordering::SeqCst) == at {
            to.close();
            from.close();
        }
    });
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
    let (proxy, cut_off) = Proxy::before(&server);
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
    let (proxy, cut_off) = Proxy::before(&server);
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
