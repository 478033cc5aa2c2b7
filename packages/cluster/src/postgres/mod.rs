//! A store in one PostgreSQL database.
//!
//! | table | content |
//! |---|---|
//! | `counterpoint_cluster` | one row: the identity of the deployment and what all nodes must agree on; the directory as JSON with a version |
//! | those of `counterpoint-journal-postgres` | the journals, one stream for each shard |
//!
//! Nothing holds a lock between two statements, so a node that stops anywhere blocks no other.
//!
//! Each connection is used by a thread of its own, and its caller waits for a limited time. When the network to the database is cut
//! silently, or what is between the two takes bytes and forwards none, the caller goes on with another connection and
//! leaves the old one to its thread, which ends when the connection does.

mod connection;

use crate::store::{Append, Deployment, Directed, Joined, Store, StoreError};
use connection::{Connection, Ends, Seen};
use counterpoint::Seq;
use counterpoint::cluster::{NodeId, Report, Session, ShardId};
use counterpoint::journal::{AppendError, Epoch, Takeover};
use postgres::Config;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::time::Duration;

/// How long a connection may take to be made, and a trivial statement to be answered.
const CONNECT: Duration = Duration::from_secs(2);
/// The most connections that are left to their threads.
const MOST_LEFT: usize = 64;

/// The store of a deployment in a PostgreSQL database: journals, directory, leases by the database's clock, and identities.
///
/// One database is one deployment. It is created by the first node that joins.
pub struct PostgresStore {
    config: Config,
    ends: Ends,
    patience: Duration,
    restore_patience: Duration,
    worker: Option<Worker>,
    silent: Arc<Silent>,
    seen: Arc<Seen>,
}

/// What the connections of a node have found out about the network.
#[derive(Default)]
struct Silent {
    /// How often a connection has not answered in time. All that were made before the last time are not used any more.
    times: AtomicU64,
    /// How many of them were left to their threads.
    left: AtomicUsize,
}

/// The thread of a connection.
struct Worker {
    jobs: Sender<Job>,
    /// How often connections had not answered in time when it was made.
    made: u64,
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The database has not answered in time. What was asked may be done nevertheless.
struct Late;

impl PostgresStore {
    /// The store in this database. No connection is made before the first call.
    #[must_use]
    pub fn new(mut config: Config) -> Self {
        config.connect_timeout(CONNECT);
        // The ends of a connection whose other end is gone silently: probes after 2 s, and at most 5 s without an answer.
        config.keepalives(true).keepalives_idle(Duration::from_secs(2)).keepalives_interval(Duration::from_secs(1));
        config.keepalives_retries(3).tcp_user_timeout(Duration::from_secs(5));
        Self {
            config,
            ends: Ends::default(),
            patience: Duration::from_secs(5),
            restore_patience: Duration::from_secs(60),
            worker: None,
            silent: Arc::default(),
            seen: Arc::default(),
        }
    }

    /// Sets how long an append, a report, or another short statement may take: 5 s by default. After that it counts as not
    /// answered, and another connection is used.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets how long the takeover of a shard, which reads its journal, and a snapshot may take: 60 s by default.
    #[must_use]
    pub const fn with_restore_patience(mut self, patience: Duration) -> Self {
        self.restore_patience = patience;
        self
    }

    /// Lets the thread of the connection do something. `Ok(Err)` if there is no connection: then nothing was asked.
    fn call<T: Send + 'static>(
        &mut self,
        for_streams: bool,
        patience: Duration,
        work: impl FnOnce(&mut Connection) -> T + Send + 'static,
    ) -> Result<T, Asked> {
        let ready = self.bounded(CONNECT, move |connection| connection.ready(for_streams));
        match ready {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Asked::Nothing(error)),
            Err(Late) => return Err(Asked::Nothing(late(CONNECT))),
        }
        let done = self.bounded(patience, move |connection| {
            let done = work(connection);
            connection.answered();
            done
        });
        done.map_err(|Late| Asked::Unanswered(late(patience)))
    }

    fn bounded<T: Send + 'static>(
        &mut self,
        patience: Duration,
        work: impl FnOnce(&mut Connection) -> T + Send + 'static,
    ) -> Result<T, Late> {
        let times = self.silent.times.load(Ordering::Relaxed);
        let worker = match self.worker.take().filter(|worker| worker.made == times) {
            Some(worker) => worker,
            None => self.start(times).ok_or(Late)?,
        };
        let (reply, answer) = sync_channel(1);
        let job: Job = Box::new(move |connection| drop(reply.try_send(work(connection))));
        worker.jobs.send(job).map_err(|_| Late)?;
        if let Ok(done) = answer.recv_timeout(patience) {
            self.worker = Some(worker);
            return Ok(done);
        }
        // The thread counts itself out when it ends.
        self.silent.times.fetch_add(1, Ordering::Relaxed);
        self.silent.left.fetch_add(1, Ordering::Relaxed);
        let silent = Arc::clone(&self.silent);
        let _ended = worker.jobs.send(Box::new(move |_| {
            silent.left.fetch_sub(1, Ordering::Relaxed);
        }));
        Err(Late)
    }

    /// A thread with a new connection.
    fn start(&self, made: u64) -> Option<Worker> {
        if self.silent.left.load(Ordering::Relaxed) >= MOST_LEFT {
            return None;
        }
        let (jobs, waiting) = channel::<Job>();
        let mut connection = Connection::new(self.config.clone(), Arc::clone(&self.ends), Arc::clone(&self.seen));
        let started = std::thread::Builder::new().name("counterpoint postgres".into()).spawn(move || {
            while let Ok(job) = waiting.recv() {
                job(&mut connection);
            }
        });
        started.ok().map(|_| Worker { jobs, made })
    }

    fn statement<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match self.call(false, self.patience, work) {
            Ok(done) => done,
            Err(Asked::Nothing(error) | Asked::Unanswered(error)) => Err(error),
        }
    }
}

/// What was asked of a database that does not answer.
enum Asked {
    Nothing(StoreError),
    Unanswered(StoreError),
}

impl Asked {
    /// Nothing is stored if nothing was asked.
    fn append_error(self) -> AppendError {
        match self {
            Self::Nothing(error) => AppendError::Refused(error.to_string().into()),
            Self::Unanswered(_) => AppendError::Unknown,
        }
    }
}

fn late(patience: Duration) -> StoreError {
    StoreError::Away(format!("no answer in {patience:?}"))
}

impl Store for PostgresStore {
    fn another(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(Self {
            config: self.config.clone(),
            ends: Arc::clone(&self.ends),
            worker: None,
            silent: Arc::clone(&self.silent),
            seen: Arc::clone(&self.seen),
            ..*self
        }))
    }

    fn join(&mut self, stated: &Deployment) -> Result<Joined, StoreError> {
        let stated = stated.clone();
        self.statement(move |connection| connection.join(&stated))
    }

    fn session(&mut self) -> Result<Session, StoreError> {
        self.statement(Connection::session)
    }

    fn report(&mut self, report: Report, address: &str) -> Result<Directed, StoreError> {
        let address = address.to_string();
        self.statement(move |connection| connection.report(&report, &address))
    }

    fn relocate(&mut self, shard: ShardId, to: NodeId) -> Result<Directed, StoreError> {
        self.statement(move |connection| connection.relocate(shard, to))
    }

    fn take_over(&mut self, shard: ShardId) -> Result<Takeover, StoreError> {
        match self.call(true, self.restore_patience, move |connection| connection.take_over(shard)) {
            Ok(taken) => taken,
            Err(Asked::Nothing(error) | Asked::Unanswered(error)) => Err(error),
        }
    }

    fn append_all(&mut self, appends: Vec<Append>) -> Vec<Result<(), AppendError>> {
        let count = appends.len();
        match self.call(true, self.patience, move |connection| connection.append_all(&appends)) {
            Ok(results) => results,
            Err(asked) => vec![Err(asked.append_error()); count],
        }
    }

    fn keep_snapshot(&mut self, shard: ShardId, epoch: Epoch, at: Seq, state: Vec<u8>) -> Result<(), AppendError> {
        let kept = self
            .call(true, self.restore_patience, move |connection| connection.keep_snapshot(shard, epoch, at, &state));
        kept.unwrap_or_else(|asked| Err(asked.append_error()))
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}
