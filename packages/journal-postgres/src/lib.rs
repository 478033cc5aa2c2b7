//! A journal in PostgreSQL. Use it as it is, or as a template.
//!
//! ```no_run
//! use counterpoint::host::thread::ThreadHost;
//! use counterpoint::host::Durable;
//! use counterpoint::Config;
//! use counterpoint_journal_postgres::PostgresJournal;
//!
//! let journal = PostgresJournal::new("host=/run/postgresql user=app dbname=app".parse()?, "orders");
//! let host = ThreadHost::durable(Config::default(), journal, Durable::new().snapshot_every(100_000))?;
//! // After a crash the next host that takes over continues from there, on any machine.
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Tables
//!
//! | table | content |
//! |---|---|
//! | `counterpoint_head` | for each stream: the epoch of its writer, the number and the hash of its last entry, and the number of the last entry that its snapshot covers |
//! | `counterpoint_journal` | the entries, one per row, as JSON text, with the epoch of their writer and a hash of all up to there |
//! | `counterpoint_snapshot` | the state after an entry, with its checksum and the hash of the entry |
//! | `counterpoint_takeover` | for each stream: epoch, last entry and hash as the last take-over has verified them |
//!
//! # Guarantees
//!
//! - **One writer.** A take-over raises the epoch in the head. An append is one statement that advances the head if it
//!   still has this epoch and this last entry, and inserts entries only then. So a host that was paused or disconnected
//!   cannot append after it was replaced.
//! - **Durable on return**: `synchronous_commit` is switched on for the session, so with a synchronous standby the
//!   entries are stored there, too. An asynchronous standby may lack the last entries when it is promoted.
//! - **Rows with events** ([`PostgresJournal::with_rows`]): if the side effect of a step is a row in this database, it
//!   is written in the transaction that stores the event of the step's success. It takes place exactly once, without
//!   keys, because there is exactly one such event. The server ends the transaction of a writer that stops in the
//!   middle after a timeout ([`with_patience`](PostgresJournal::with_patience)).
//! - **A host that stops blocks nothing.** Everything except an append with rows is one statement, which the server
//!   commits without the client: a host that stops during an append, a snapshot or a take-over holds no lock. A take-over
//!   that waits for a lock longer than twice the patience fails.
//! - **Unknown outcomes.** When the connection breaks during a commit, the outcome is unknown. A durable host takes the stream
//!   over again ([`reclaim`](Journal::reclaim)) as soon as the server answers, finds out which entries are stored, appends the
//!   others and goes on; when its patience is over, it ends, and the next host does so.
//! - **Damage is an error.** A take-over verifies the hashes of all entries after the snapshot, and reports the first
//!   fault as a [`RestoreError`].
//!
//! # Damage
//!
//! | damage | result of a take-over |
//! |---|---|
//! | an entry changed, removed, inserted, moved, or of another stream | error |
//! | the last entries removed | error |
//! | the last entries removed and the number in the head set back | error: the hash in the head is that of the last one |
//! | the row of the head removed, with or without entries | error |
//! | the head replaced by an earlier state of itself, together with the entries since: | |
//! | - by a state before the last take-over | error |
//! | - by a state after the last take-over | **not detected** |
//! | a snapshot changed or removed | error |
//! | the row of the last take-over removed | none: nothing is lost |
//! | all rows of a stream removed | **not detected**: it is a new stream |
//!
//! The hashes have no key: someone who can write to the tables and knows this crate can rewrite a stream.

mod archive;
mod chain;
mod database;
mod failure;
mod statements;
mod streams;
#[cfg(feature = "tls")]
mod tls;

use archive::PostgresArchive;
use chain::{Chain, Content, Hash, Head, START, Verified};
use counterpoint::journal::{AppendError, Archive, Epoch, Journal, JournalError, Takeover};
use counterpoint::{Entry, RestoreError, Seq};
pub use database::{Database, DatabaseError};
pub use failure::Failure;
use failure::{append_error, journal_error};
pub use postgres::Config;
use postgres::error::SqlState;
use postgres::types::ToSql;
use postgres::{Client, GenericClient, IsolationLevel, Row, Statement, Transaction};
use std::fmt;
use std::time::Duration;
pub use streams::{PostgresStreams, StreamAppend, StreamEnd};

/// Writes rows of the host for an entry, in the transaction that stores the entry.
pub type Rows = dyn FnMut(&mut Transaction<'_>, &Entry) -> Result<(), postgres::Error> + Send;

/// A journal in the tables of a database, as one of any number of streams.
pub struct PostgresJournal {
    database: Database,
    stream: String,
    rows: Option<Box<Rows>>,
    patience: Duration,
    /// The number of entries before a snapshot that are retained.
    history: u64,
    failure: Failure,
    writing: Option<Writing>,
}

/// The state of a writer.
struct Writing {
    client: Client,
    append: Statement,
    epoch: Epoch,
    chain: Chain,
    /// The hash of the last entry.
    hash: Hash,
}

impl PostgresJournal {
    /// The journal with this name in this database. No connection is made before [`take_over`](Journal::take_over),
    /// which creates the tables if they do not exist.
    #[must_use]
    pub fn new(config: Config, stream: impl Into<String>) -> Self {
        Self::of(config.into(), stream)
    }

    /// The same in a database to which connections may be encrypted.
    #[must_use]
    pub fn of(database: Database, stream: impl Into<String>) -> Self {
        let (rows, patience) = (None, Duration::from_secs(10));
        Self { database, stream: stream.into(), rows, patience, history: 0, failure: Failure::default(), writing: None }
    }

    /// Writes rows for each entry in the transaction that stores it.
    ///
    /// The function is called for the entries of each append in order. Each stored entry keeps the rows of exactly one
    /// call; the rows of entries that were not stored are rolled back. An error rejects the append and so ends the
    /// host: invalid data must be detected by the step.
    #[must_use]
    pub fn with_rows(
        mut self,
        rows: impl FnMut(&mut Transaction<'_>, &Entry) -> Result<(), postgres::Error> + Send + 'static,
    ) -> Self {
        self.rows = Some(Box::new(rows));
        self
    }

    /// Sets the time after which the server ends the transaction of a writer that stops in the middle of an append, so
    /// that another can take over: 10 s by default. Only appends with rows have several statements. A statement of this
    /// writer waits for a lock twice as long at most.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Retains this many entries before each snapshot, for readers: they are the [history](Takeover::history) of a take-over, as
    /// far as they can be read. The state never needs them, and their hashes are not verified.
    #[must_use]
    pub const fn with_history(mut self, entries: u64) -> Self {
        self.history = entries;
        self
    }

    /// A handle for the reason why an append, and with it the host, failed.
    #[must_use]
    pub fn failure(&self) -> Failure {
        self.failure.clone()
    }

    /// Reads a stream, with or without a writer, and changes nothing: what a take-over would return, with the epoch of the last
    /// writer. A stream that does not exist is empty.
    ///
    /// # Errors
    ///
    /// When the database cannot be reached, or the content is damaged.
    pub fn read(database: impl Into<Database>, stream: &str) -> Result<Takeover, JournalError> {
        let mut client =
            connect(&database.into(), "counterpoint reads", Duration::from_secs(10)).map_err(journal_error)?;
        let begun = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start();
        let mut transaction = begun.map_err(journal_error)?;
        let head = match transaction.query_opt(statements::WHOLE_HEAD, &[&stream]) {
            // No writer has been there.
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => None,
            head => head.map_err(journal_error)?,
        };
        let Some(row) = head else { return Ok(Takeover::new(Epoch::default(), None, Vec::new())) };
        let head = head_of(&row);
        let epoch = chain::epoch(&head);
        // As the next writer would verify it.
        let next = Head { epoch: head.epoch.saturating_add(1), ..head };
        let content = read(&mut transaction, &Chain::new(stream), stream, &next)?;
        Ok(Takeover::new(epoch, content.snapshot, content.tail))
    }

    /// Takes the stream over again as the writer of this epoch.
    fn reclaimed(&mut self, epoch: Epoch) -> Result<Takeover, AppendError> {
        self.writing = None;
        let refused = |error: JournalError| AppendError::Refused(error.to_string().into());
        let mut client = connect(&self.database, "counterpoint", self.patience).map_err(append_error)?;
        let chain = Chain::new(&self.stream);
        let mut transaction = client.transaction().map_err(append_error)?;
        let own = number(epoch.get());
        let head = transaction.query_opt(statements::RECLAIM, &[&self.stream, &own]).map_err(append_error)?;
        let Some(row) = head else { return Err(AppendError::Fenced) };
        let head = head_of(&row);
        let content = read(&mut transaction, &chain, &self.stream, &head).map_err(refused)?;
        transaction.commit().map_err(append_error)?;
        let append = client.prepare(statements::APPEND).map_err(append_error)?;
        let epoch = chain::epoch(&head);
        self.writing = Some(Writing { client, append, epoch, chain, hash: content.hash });
        self.failure.clear();
        Ok(Takeover::new(epoch, content.snapshot, content.tail))
    }
}

/// A connection with this application name and the settings of a journal.
fn connect(database: &Database, name: &str, patience: Duration) -> Result<Client, postgres::Error> {
    let mut client = database.connect_as(name)?;
    client.batch_execute(statements::SESSION)?;
    // A timeout of zero would be none.
    let patience = patience.as_millis().clamp(1, 1 << 30);
    client.execute(statements::PATIENCE, &[&patience.to_string(), &(2 * patience).min(1 << 30).to_string()])?;
    Ok(client)
}

impl Journal for PostgresJournal {
    fn take_over(&mut self) -> Result<Takeover, JournalError> {
        self.writing = None;
        let mut client = connect(&self.database, "counterpoint", self.patience).map_err(journal_error)?;
        client.batch_execute(statements::CREATE).map_err(journal_error)?;
        let chain = Chain::new(&self.stream);
        let (epoch, content) = take(&mut client, &chain, &self.stream)?;
        let append = client.prepare(statements::APPEND).map_err(journal_error)?;
        let history = history(&mut client, &self.stream, self.history).map_err(journal_error)?;
        self.writing = Some(Writing { client, append, epoch, chain, hash: content.hash });
        self.failure.clear();
        Ok(Takeover::new(epoch, content.snapshot, content.tail).with_history(history))
    }

    fn append(&mut self, epoch: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        let kept = match &mut self.writing {
            Some(writing) => writing.append(&self.stream, self.rows.as_deref_mut(), (epoch, after), entries),
            None => Err(AppendError::Refused("the journal has no writer: call `take_over` first".into())),
        };
        if let Err(error) = &kept {
            self.failure.note(error);
        }
        kept
    }

    /// Makes a new connection, because the old one may be broken, and raises the epoch: an append that the server has not finished
    /// fails. All of this is one transaction. If its end is unknown, a repetition may find an epoch that it has raised itself, and
    /// returns [`AppendError::Fenced`].
    fn reclaim(&mut self, epoch: Epoch) -> Result<Option<Takeover>, AppendError> {
        let reclaimed = self.reclaimed(epoch);
        if let Err(error) = &reclaimed {
            self.failure.note(error);
        }
        reclaimed.map(Some)
    }

    fn keep_snapshot(&mut self, epoch: Epoch, at: Seq, snapshot: &[u8]) -> Result<(), AppendError> {
        match &mut self.writing {
            Some(writing) => archive::keep(&mut writing.client, &self.stream, (epoch, at), snapshot, self.history),
            None => Err(AppendError::Refused("the journal has no writer: call `take_over` first".into())),
        }
    }

    fn archive(&mut self) -> Option<Box<dyn Archive>> {
        // A separate connection, made on demand: appends do not wait for a large snapshot.
        Some(Box::new(PostgresArchive::new(self.database.clone(), self.stream.clone(), self.patience, self.history)))
    }
}

impl fmt::Debug for PostgresJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let epoch = self.writing.as_ref().map(|writing| writing.epoch);
        f.debug_struct("PostgresJournal").field("stream", &self.stream).field("epoch", &epoch).finish_non_exhaustive()
    }
}

/// Raises the epoch, which fences all earlier writers, and then reads and verifies the content. Nothing is locked while
/// the content is read: no fenced writer changes it, and a later one is detected.
fn take(client: &mut Client, chain: &Chain, stream: &str) -> Result<(Epoch, Content), JournalError> {
    client.execute(statements::BEGIN_STREAM, &[&stream, &&START[..]]).map_err(journal_error)?;
    let head = client.query_opt(statements::TAKE_OVER, &[&stream]).map_err(journal_error)?;
    let Some(row) = head else {
        return Err(RestoreError::NoHead { reason: "the row in counterpoint_head is missing" }.into());
    };
    let head = head_of(&row);
    let content = read(client, chain, stream, &head);
    // A later writer may have appended entries, or removed some for a snapshot, while these were read.
    let now = client.query_opt(statements::HEAD, &[&stream]).map_err(journal_error)?;
    if now.is_none_or(|now| now.get::<_, i64>(0) != head.epoch) {
        return Err(JournalError::new("another writer has taken over at the same time"));
    }
    let content = content?;
    let record: [&(dyn ToSql + Sync); 4] = [&stream, &head.epoch, &head.last, &&content.hash[..]];
    client.execute(statements::RECORD_TAKEOVER, &record).map_err(journal_error)?;
    Ok((chain::epoch(&head), content))
}

fn head_of(row: &Row) -> Head {
    Head { epoch: row.get(0), last: row.get(1), snapshot_at: row.get(2), hash: row.get(3) }
}

/// Entries before the snapshot, up to it, at most `most`.
fn history(client: &mut Client, stream: &str, most: u64) -> Result<Vec<Entry>, postgres::Error> {
    let head = client.query_one(statements::HEAD, &[&stream])?;
    let at: i64 = head.get(2);
    if most == 0 || at == 0 {
        return Ok(Vec::new());
    }
    let rows = client.query(statements::HISTORY, &[&stream, &at.saturating_sub(number(most)).max(0), &at])?;
    let mut entries: Vec<Entry> = Vec::with_capacity(rows.len());
    for row in &rows {
        // An entry that cannot be read ends the history before it.
        let Ok(entry) = serde_json::from_str::<Entry>(row.get(0)) else {
            entries.clear();
            continue;
        };
        if entries.last().is_some_and(|last| last.seq.next() != entry.seq) {
            entries.clear();
        }
        entries.push(entry);
    }
    if entries.last().is_some_and(|last| last.seq != Seq::new(at.unsigned_abs())) {
        entries.clear();
    }
    Ok(entries)
}

/// Reads and verifies the content up to a head.
fn read(client: &mut impl GenericClient, chain: &Chain, stream: &str, head: &Head) -> Result<Content, JournalError> {
    let verified = client.query_opt(statements::LAST_TAKEOVER, &[&stream]).map_err(journal_error)?;
    let verified = verified.map(|row| Verified { epoch: row.get(0), last: row.get(1), hash: row.get(2) });
    let snapshot = client.query_opt(statements::SNAPSHOT, &[&stream, &head.snapshot_at]).map_err(journal_error)?;
    let rows = client.query(statements::TAIL, &[&stream, &head.snapshot_at]).map_err(journal_error)?;
    Ok(chain.verify(head, verified.as_ref(), snapshot.as_ref(), &rows)?)
}

impl Writing {
    fn append(
        &mut self,
        stream: &str,
        rows: Option<&mut Rows>,
        (epoch, after): (Epoch, Seq),
        entries: &[Entry],
    ) -> Result<(), AppendError> {
        let follows = entries.iter().try_fold(after, |last, entry| (entry.seq == last.next()).then_some(entry.seq));
        if entries.is_empty() || follows.is_none() {
            return self.refusal(stream, epoch, after, follows.is_none());
        }
        let texts: Result<Vec<String>, _> = entries.iter().map(serde_json::to_string).collect();
        let texts = texts.map_err(|error| AppendError::Refused(error.to_string().into()))?;
        let (own, last) = (number(epoch.get()), number(after.get()));
        let mut hash = self.hash;
        let hashes: Vec<Vec<u8>> = (last + 1..)
            .zip(&texts)
            .map(|(seq, text)| {
                hash = self.chain.next(&hash, (seq, own), text);
                hash.to_vec()
            })
            .collect();
        let before = &self.hash[..];
        let values: [&(dyn ToSql + Sync); 6] = [&stream, &own, &last, &texts, &hashes, &before];
        let kept = match rows {
            // One statement, and so one round trip and one transaction.
            None => self.client.execute(&self.append, &values).map_err(append_error)?,
            Some(rows) => {
                let mut transaction = self.client.transaction().map_err(append_error)?;
                let kept = transaction.execute(&self.append, &values).map_err(append_error)?;
                if kept > 0 {
                    for entry in entries {
                        rows(&mut transaction, entry).map_err(append_error)?;
                    }
                }
                transaction.commit().map_err(append_error)?;
                kept
            }
        };
        if kept == entries.len() as u64 {
            self.hash = hash;
            return Ok(());
        }
        self.refusal(stream, epoch, after, false)
    }

    /// The reason why an append is rejected, if it is.
    fn refusal(&mut self, stream: &str, epoch: Epoch, after: Seq, gap: bool) -> Result<(), AppendError> {
        let head = self.client.query_opt(statements::HEAD, &[&stream]).map_err(append_error)?;
        let Some(head) = head else { return Err(AppendError::Refused("the head of the stream is missing".into())) };
        let (current, last): (i64, i64) = (head.get(0), head.get(1));
        if current != number(epoch.get()) {
            return Err(AppendError::Fenced);
        }
        if gap || last != number(after.get()) {
            return Err(AppendError::Conflict { tail: Seq::new(last.unsigned_abs()) });
        }
        // The database was set back, and others have continued it.
        if head.get::<_, &[u8]>(3) != self.hash { Err(AppendError::Fenced) } else { Ok(()) }
    }
}

/// As a signed number, because the database has no unsigned ones; event numbers do not reach the limit.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
