//! One connection to the database, and its statements. It is used on a thread of its own, which may be left behind.

use crate::store::{Append, Deployment, Directed, DirectoryRow, Joined, StoreError};
use counterpoint::cluster::{NodeId, Report, Session, ShardId};
use counterpoint::journal::{AppendError, Epoch, Takeover};
use counterpoint::{Seq, Time};
use counterpoint_journal_postgres::{PostgresStreams, StreamAppend, StreamEnd};
use postgres::error::SqlState;
use postgres::{Client, Config, NoTls};
use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How often a change of the directory is tried again when other nodes have changed it meanwhile.
const TRIES: u32 = 20;
/// After this time without a statement a connection is tried with a trivial one first.
const IDLE: Duration = Duration::from_secs(1);

/// The server gives up a client that is gone without a message, so that connections are not used up.
const SESSION: &str = "set synchronous_commit = on; set statement_timeout = '5s';
    set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3;";

const CREATE: &str = "
    select pg_advisory_xact_lock(hashtext('counterpoint cluster'));
    create table if not exists counterpoint_cluster (
        one boolean primary key default true check (one),
        id text not null,
        stated text not null,
        directory text not null,
        version bigint not null
    );
    create sequence if not exists counterpoint_cluster_nodes;
    create sequence if not exists counterpoint_cluster_sessions;";

/// The time in microseconds since 1970, by the database's clock.
const NOW: &str = "(extract(epoch from clock_timestamp()) * 1000000)::bigint";

/// The ends of streams that were taken over on other connections.
pub(super) type Ends = Arc<Mutex<BTreeMap<(ShardId, Epoch), StreamEnd>>>;

/// What the connections of a store have seen of the directory.
#[derive(Default)]
pub(super) struct Seen {
    /// The last version.
    version: AtomicU64,
    /// The version of a directory that was an earlier one, and what was known then. A later one is not believed either: others may
    /// have continued it, and then its version does not show any more that it is another one.
    stale: OnceLock<(u64, u64)>,
}

pub(super) struct Connection {
    config: Config,
    client: Option<Client>,
    streams: PostgresStreams,
    ends: Ends,
    seen: Arc<Seen>,
    /// When the last statement was answered.
    answered: Option<Instant>,
}

/// The name of the stream of a shard. It contains no number of shards: the identity of the deployment has it.
fn stream(shard: ShardId) -> String {
    format!("shard {:04}", shard.get())
}

impl Connection {
    pub(super) fn new(config: Config, ends: Ends, seen: Arc<Seen>) -> Self {
        let streams = PostgresStreams::new(config.clone());
        Self { config, client: None, streams, ends, seen, answered: None }
    }

    /// Connects, or finds out whether the connection is one, unless that was seen just before.
    pub(super) fn ready(&mut self, for_streams: bool) -> Result<(), StoreError> {
        if self.answered.is_some_and(|at| at.elapsed() < IDLE) {
            return Ok(());
        }
        self.answered = None;
        if for_streams {
            self.streams.ping().map_err(|error| StoreError::Away(error.to_string()))?;
        } else {
            self.client()?.batch_execute("").map_err(away)?;
        }
        self.answered();
        Ok(())
    }

    /// A call has returned.
    pub(super) fn answered(&mut self) {
        self.answered = Some(Instant::now());
    }

    fn client(&mut self) -> Result<&mut Client, StoreError> {
        let client = match self.client.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => {
                let mut config = self.config.clone();
                let mut client = config.application_name("counterpoint cluster").connect(NoTls).map_err(away)?;
                client.batch_execute(SESSION).map_err(away)?;
                client
            }
        };
        Ok(self.client.insert(client))
    }

    /// Reads the directory, changes it, and writes it unless another node has done so meanwhile. Then it begins again.
    fn change(
        &mut self,
        change: impl Fn(&mut DirectoryRow, Time, u64) -> Result<Directed, StoreError>,
    ) -> Result<Directed, StoreError> {
        let seen = Arc::clone(&self.seen);
        let client = self.client()?;
        for _ in 0..TRIES {
            let known = seen.version.load(Ordering::SeqCst);
            let read = client.query_opt(&format!("select version, directory, {NOW} from counterpoint_cluster"), &[]);
            let Some(read) = read.map_err(away)? else {
                return Err(StoreError::Foreign("the row of the directory is missing".into()));
            };
            let (read_version, text, now): (i64, &str, i64) = (read.get(0), read.get(1), read.get(2));
            let mut row: DirectoryRow = serde_json::from_str(text)
                .map_err(|error| StoreError::Foreign(format!("the directory cannot be read: {error}")))?;
            let version = read_version.unsigned_abs();
            if version < known || seen.stale.get().is_some() {
                let (version, known) = *seen.stale.get_or_init(|| (version, known));
                return Err(StoreError::Stale { version, known });
            }
            let next = read_version.saturating_add(1);
            let directed = change(&mut row, time(now), next.unsigned_abs())?;
            let text = serde_json::to_string(&row).map_err(|error| StoreError::Foreign(error.to_string()))?;
            let written = client.execute(
                "update counterpoint_cluster set directory = $1, version = $2 where version = $3",
                &[&text, &next, &read_version],
            );
            if written.map_err(away)? == 1 {
                seen.version.fetch_max(next.unsigned_abs(), Ordering::SeqCst);
                return Ok(directed);
            }
        }
        Err(StoreError::Away("the directory was changed by others each time".into()))
    }

    fn number(&mut self, sequence: &str) -> Result<u64, StoreError> {
        let row = self.client()?.query_one(&format!("select nextval('{sequence}')"), &[]).map_err(away)?;
        Ok(row.get::<_, i64>(0).unsigned_abs())
    }

    pub(super) fn join(&mut self, stated: &Deployment) -> Result<Joined, StoreError> {
        let client = self.client()?;
        let known = "select exists (select from pg_tables where tablename = 'counterpoint_cluster' and schemaname = any (current_schemas(false))), \
                     exists (select from pg_tables where tablename = 'counterpoint_head' and schemaname = any (current_schemas(false)))";
        let tables = client.query_one(known, &[]).map_err(away)?;
        if !tables.get::<_, bool>(0) && tables.get::<_, bool>(1) {
            return Err(StoreError::Foreign("it contains journals of hosts that are no nodes".into()));
        }
        client.batch_execute(CREATE).map_err(away)?;
        let json = |error: serde_json::Error| StoreError::Foreign(error.to_string());
        let own = serde_json::to_string(stated).map_err(json)?;
        let row = serde_json::to_string(&DirectoryRow::new(stated)).map_err(json)?;
        let create = "insert into counterpoint_cluster (id, stated, directory, version) \
                      values (replace(gen_random_uuid()::text, '-', ''), $1, $2, 0) on conflict do nothing";
        client.execute(create, &[&own, &row]).map_err(away)?;
        let row =
            client.query_one(&format!("select id, stated, {NOW} from counterpoint_cluster"), &[]).map_err(away)?;
        let (id, known, now): (String, &str, i64) = (row.get(0), row.get(1), row.get(2));
        let known: Deployment = serde_json::from_str(known).map_err(json)?;
        known.admits(stated)?;
        let node = NodeId::new(self.number("counterpoint_cluster_nodes")?);
        Ok(Joined::new(node, id, time(now)))
    }

    pub(super) fn session(&mut self) -> Result<Session, StoreError> {
        Ok(Session::new(self.number("counterpoint_cluster_sessions")?))
    }

    pub(super) fn report(&mut self, report: &Report, address: &str) -> Result<Directed, StoreError> {
        self.change(|row, now, version| row.report(now, version, report.clone(), address))
    }

    pub(super) fn relocate(&mut self, shard: ShardId, to: NodeId) -> Result<Directed, StoreError> {
        self.change(|row, now, version| row.relocate(now, version, shard, to))
    }

    pub(super) fn take_over(&mut self, shard: ShardId) -> Result<Takeover, StoreError> {
        let taken = self.streams.take_over(&stream(shard));
        let (taken, end) = taken.map_err(|error| match error.broken() {
            Some(broken) => broken.clone().into(),
            None => StoreError::Away(error.to_string()),
        })?;
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.insert((shard, taken.epoch), end);
        // Those of writers that never appended are dropped some time.
        let old = taken.epoch.get().saturating_sub(8);
        ends.retain(|(of, epoch), _| *of != shard || epoch.get() > old);
        drop(ends);
        Ok(taken)
    }

    pub(super) fn append_all(&mut self, appends: &[Append]) -> Vec<Result<(), AppendError>> {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = appends.iter().filter_map(|append| ends.remove(&(append.shard, append.epoch)));
        taken.for_each(|end| self.streams.adopt(end));
        drop(ends);
        let names: Vec<String> = appends.iter().map(|append| stream(append.shard)).collect();
        let appends: Vec<StreamAppend<'_>> = names
            .iter()
            .zip(appends)
            .map(|(name, append)| StreamAppend::new(name, append.epoch, append.after, &append.entries))
            .collect();
        self.streams.append_all(&appends)
    }

    pub(super) fn keep_snapshot(
        &mut self,
        shard: ShardId,
        epoch: Epoch,
        at: Seq,
        state: &[u8],
    ) -> Result<(), AppendError> {
        self.streams.keep_snapshot(&stream(shard), epoch, at, state)
    }
}

const fn time(micros: i64) -> Time {
    Time::from_nanos(micros.unsigned_abs().saturating_mul(1_000))
}

#[expect(clippy::needless_pass_by_value, reason = "it maps errors")]
fn away(error: postgres::Error) -> StoreError {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    if error.code() == Some(&SqlState::UNDEFINED_TABLE) { StoreError::Foreign(text) } else { StoreError::Away(text) }
}
