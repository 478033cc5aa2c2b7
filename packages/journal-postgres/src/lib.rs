//! A journal in PostgreSQL: copy it, or use it as it is.
//!
//! ```no_run
//! use counterpoint::host::thread::{Snapshots, ThreadHost};
//! use counterpoint::Config;
//! use counterpoint_journal_postgres::PostgresJournal;
//!
//! let journal = PostgresJournal::new("host=/run/postgresql user=app dbname=app".parse()?, "orders");
//! let host = ThreadHost::open_with_snapshots(Config::default(), journal, Snapshots::every(100_000))?;
//! // Submit, run, crash: the next host that takes over goes on from there, on whatever machine.
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Tables
//!
//! | table | what it holds |
//! |---|---|
//! | `counterpoint_head` | of each stream: the epoch of its writer, the number of its last fact, up to where its snapshot reaches |
//! | `counterpoint_journal` | the facts, one to a row, as JSON text, with the epoch of who wrote them |
//! | `counterpoint_snapshot` | the state after a fact |
//!
//! # What it promises
//!
//! - **One writer.** Taking over raises the epoch in the head. An append is one statement that moves the head, if it is still at
//!   this epoch and this fact, and inserts facts only then. So a host that was paused, cut off or forgotten changes nothing
//!   when it comes back, whatever it believes.
//! - **Durable when it returns**: `synchronous_commit` is switched on for the session, so with a synchronous standby the facts are
//!   there, too. A standby that is not synchronous may lack the last of them when it is promoted.
//! - **Rows with facts** ([`PostgresJournal::with_rows`]): what a step does, if that is a row in this database, is written in the
//!   transaction that writes down that the step succeeded. It happens exactly once, without keys: there is one such fact.
//!   A writer that stands still in the middle is given up by the server after a while
//!   ([`with_patience`](PostgresJournal::with_patience)).
//! - **Unknown is unknown.** When the connection breaks during a commit, nobody knows. The host ends; the next one takes over and
//!   finds out.

mod archive;
mod failure;
mod statements;

use archive::PostgresArchive;
use counterpoint::journal::{AppendError, Archive, Epoch, Journal, JournalError, Takeover};
use counterpoint::{Entry, Seq};
pub use failure::Failure;
use failure::{append_error, journal_error};
use postgres::{Client, Config, NoTls, Statement, Transaction};
use std::fmt;
use std::time::Duration;

/// Writes rows of the host's own for a fact, in the transaction that keeps the fact.
pub type Rows = dyn FnMut(&mut Transaction<'_>, &Entry) -> Result<(), postgres::Error> + Send;

/// A journal in the tables of a database, one of as many streams there as one likes.
pub struct PostgresJournal {
    config: Config,
    stream: String,
    rows: Option<Box<Rows>>,
    patience: Duration,
    failure: Failure,
    writing: Option<Writing>,
}

/// What a writer has in hand.
struct Writing {
    client: Client,
    append: Statement,
    epoch: Epoch,
}

impl PostgresJournal {
    /// The journal of this name in this database. Nothing is opened before [`take_over`](Journal::take_over), which makes the
    /// tables if they are not there.
    #[must_use]
    pub fn new(config: Config, stream: impl Into<String>) -> Self {
        let (rows, patience) = (None, Duration::from_secs(10));
        Self { config, stream: stream.into(), rows, patience, failure: Failure::default(), writing: None }
    }

    /// Writes rows for each fact in the transaction that keeps it.
    ///
    /// It sees the facts of each append in order, and each fact that is kept exactly once; what it wrote with facts that were
    /// not kept is gone with them. An error refuses the append and so ends the host: what may be wrong with the data is for
    /// the step to find out.
    #[must_use]
    pub fn with_rows(
        mut self,
        rows: impl FnMut(&mut Transaction<'_>, &Entry) -> Result<(), postgres::Error> + Send + 'static,
    ) -> Self {
        self.rows = Some(Box::new(rows));
        self
    }

    /// How long a writer may stand still in the middle of an append before the server gives its transaction up, so that another
    /// can take over: 10 s if nothing is said. Only appends with rows have a middle.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Tells afterwards why an append failed, and with it the host.
    #[must_use]
    pub fn failure(&self) -> Failure {
        self.failure.clone()
    }
}

/// A connection of this name, as those of a journal must be.
fn connect(config: &Config, name: &str) -> Result<Client, postgres::Error> {
    let mut client = config.clone().application_name(name).connect(NoTls)?;
    client.batch_execute(statements::SESSION)?;
    Ok(client)
}

impl Journal for PostgresJournal {
    fn take_over(&mut self) -> Result<Takeover, JournalError> {
        self.writing = None;
        let mut client = connect(&self.config, "counterpoint").map_err(journal_error)?;
        let patience = self.patience.as_millis().to_string();
        client.execute(statements::PATIENCE, &[&patience]).map_err(journal_error)?;
        create(&mut client).map_err(journal_error)?;
        let taken = take(&mut client, &self.stream)?;
        let append = client.prepare(statements::APPEND).map_err(journal_error)?;
        self.writing = Some(Writing { client, append, epoch: taken.epoch });
        self.failure.clear();
        Ok(taken)
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

    fn keep_snapshot(&mut self, epoch: Epoch, at: Seq, snapshot: &[u8]) -> Result<(), AppendError> {
        match &mut self.writing {
            Some(writing) => archive::keep(&mut writing.client, &self.stream, (epoch, at), snapshot),
            None => Err(AppendError::Refused("the journal has no writer: call `take_over` first".into())),
        }
    }

    fn archive(&mut self) -> Option<Box<dyn Archive>> {
        // A connection of its own, when it is first needed: appends do not wait for a large snapshot.
        Some(Box::new(PostgresArchive::new(self.config.clone(), self.stream.clone())))
    }
}

impl fmt::Debug for PostgresJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let epoch = self.writing.as_ref().map(|writing| writing.epoch);
        f.debug_struct("PostgresJournal").field("stream", &self.stream).field("epoch", &epoch).finish_non_exhaustive()
    }
}

fn create(client: &mut Client) -> Result<(), postgres::Error> {
    let mut transaction = client.transaction()?;
    transaction.batch_execute(statements::CREATE)?;
    transaction.commit()
}

/// Raises the epoch, and reads what there is. The head stays locked meanwhile, so an append is before all of this or after.
fn take(client: &mut Client, stream: &str) -> Result<Takeover, JournalError> {
    let mut transaction = client.transaction().map_err(journal_error)?;
    transaction.execute(statements::BEGIN_STREAM, &[&stream]).map_err(journal_error)?;
    let head = transaction.query_one(statements::TAKE_OVER, &[&stream]).map_err(journal_error)?;
    let (epoch, last, at): (i64, i64, i64) = (head.get(0), head.get(1), head.get(2));
    let snapshot = transaction.query_opt(statements::SNAPSHOT, &[&stream, &at]).map_err(journal_error)?;
    let rows = transaction.query(statements::TAIL, &[&stream, &at]).map_err(journal_error)?;
    transaction.commit().map_err(journal_error)?;
    if at > 0 && snapshot.is_none() {
        return Err(JournalError::new(format!("the snapshot at {at} is missing")));
    }
    let read = |row: &postgres::Row| {
        let (seq, text): (i64, &str) = (row.get(0), row.get(1));
        let entry: Result<Entry, _> = serde_json::from_str(text);
        entry.map_err(|error| JournalError::new(format!("event {seq} cannot be read: {error}")))
    };
    let tail = rows.iter().map(read).collect::<Result<Vec<Entry>, _>>()?;
    let end = tail.last().map_or(at, |entry| number(entry.seq.get()));
    if end != last {
        return Err(JournalError::new(format!("the head is at {last}, but the events end at {end}")));
    }
    Ok(Takeover::new(Epoch::new(epoch.unsigned_abs()), snapshot.map(|row| row.get(0)), tail))
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
        let facts: Result<Vec<String>, _> = entries.iter().map(serde_json::to_string).collect();
        let facts = facts.map_err(|error| AppendError::Refused(error.to_string().into()))?;
        let (own, last) = (number(epoch.get()), number(after.get()));
        let kept = match rows {
            // One statement, and so one round trip and one transaction.
            None => self.client.execute(&self.append, &[&stream, &own, &last, &facts]).map_err(append_error)?,
            Some(rows) => {
                let mut transaction = self.client.transaction().map_err(append_error)?;
                let kept = transaction.execute(&self.append, &[&stream, &own, &last, &facts]).map_err(append_error)?;
                if kept > 0 {
                    for entry in entries {
                        rows(&mut transaction, entry).map_err(append_error)?;
                    }
                }
                transaction.commit().map_err(append_error)?;
                kept
            }
        };
        if kept == entries.len() as u64 { Ok(()) } else { self.refusal(stream, epoch, after, false) }
    }

    /// Why nothing can be appended there, if that is so.
    fn refusal(&mut self, stream: &str, epoch: Epoch, after: Seq, gap: bool) -> Result<(), AppendError> {
        let head = self.client.query_one(statements::HEAD, &[&stream]).map_err(append_error)?;
        let (current, last): (i64, i64) = (head.get(0), head.get(1));
        if current != number(epoch.get()) {
            return Err(AppendError::Fenced);
        }
        if gap || last != number(after.get()) {
            return Err(AppendError::Conflict { tail: Seq::new(last.unsigned_abs()) });
        }
        Ok(())
    }
}

/// As the database has it, which knows no unsigned numbers; nobody has written so many facts.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
