//! Many streams with one writer process each, over one connection.

use crate::chain::{Chain, Hash};
use crate::failure::{append_error, journal_error};
use crate::{archive, connect, number, statements, take};
use counterpoint::journal::{AppendError, Epoch, JournalError, Takeover};
use counterpoint::{Entry, Seq};
use postgres::types::ToSql;
use postgres::{Client, Config, Row, Statement};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Entries for one of several streams.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct StreamAppend<'a> {
    /// The name of the stream.
    pub stream: &'a str,
    /// The epoch of the writer.
    pub epoch: Epoch,
    /// The number of the last entry before these.
    pub after: Seq,
    /// The entries. If there are none, the answer is whether the epoch is the present one.
    pub entries: &'a [Entry],
}

impl<'a> StreamAppend<'a> {
    /// Entries of a stream.
    #[must_use]
    pub const fn new(stream: &'a str, epoch: Epoch, after: Seq, entries: &'a [Entry]) -> Self {
        Self { stream, epoch, after, entries }
    }
}

/// The journals of many streams, which one process writes over one connection: the entries of all of them are stored in one
/// statement, so one round trip and one commit. The tables and the guarantees are those of
/// [`PostgresJournal`](crate::PostgresJournal), and each can continue the streams of the other.
///
/// A stream that is fenced is not written; the others of the same statement are. The statement locks the heads in the order of
/// their names, so two writers that share streams do not block each other for ever.
pub struct PostgresStreams {
    config: Config,
    patience: Duration,
    client: Option<(Client, Statement)>,
    /// The hash of the last entry of each stream, with the epoch of its writer.
    hashes: BTreeMap<String, (Epoch, Hash)>,
}

/// The arguments of the statement.
#[derive(Default)]
struct Arguments {
    streams: Vec<String>,
    epochs: Vec<i64>,
    afters: Vec<i64>,
    lasts: Vec<i64>,
    /// The hash of the last entry that the writer knows.
    befores: Vec<Vec<u8>>,
    /// The hash of the last entry of each stream; empty if it gets no entries.
    ends: Vec<Vec<u8>>,
    of: Vec<String>,
    seqs: Vec<i64>,
    texts: Vec<String>,
    hashes: Vec<Vec<u8>>,
}

impl PostgresStreams {
    /// Streams of this database. No connection is made before the first call.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self { config, patience: Duration::from_secs(5), client: None, hashes: BTreeMap::new() }
    }

    /// Sets how long a statement waits for a lock at most, twice this time. The default is 5 s.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    fn connected(&mut self) -> Result<&mut (Client, Statement), postgres::Error> {
        let client = match self.client.take().filter(|(client, _)| !client.is_closed()) {
            Some(client) => client,
            None => {
                let mut client = connect(&self.config.clone().into(), "counterpoint streams", self.patience)?;
                client.batch_execute(statements::CREATE)?;
                let append = client.prepare(statements::APPEND_ALL)?;
                (client, append)
            }
        };
        Ok(self.client.insert(client))
    }

    /// Asks the server something trivial, over the connection that the next call uses.
    ///
    /// # Errors
    ///
    /// When the database is away.
    pub fn ping(&mut self) -> Result<(), JournalError> {
        let (client, _) = self.connected().map_err(journal_error)?;
        client.batch_execute("").map_err(journal_error)
    }

    /// Makes the caller the writer of a stream, as [`Journal::take_over`](counterpoint::journal::Journal::take_over). Appends to
    /// it over this value continue from there; another value learns of it with [`adopt`](Self::adopt).
    ///
    /// # Errors
    ///
    /// When the stream is damaged, or the database is away.
    pub fn take_over(&mut self, stream: &str) -> Result<(Takeover, StreamEnd), JournalError> {
        let chain = Chain::new(stream);
        let (client, _) = self.connected().map_err(journal_error)?;
        let (epoch, content) = take(client, &chain, stream)?;
        let end = StreamEnd { stream: stream.into(), epoch, hash: content.hash };
        self.adopt(end.clone());
        Ok((Takeover::new(epoch, content.snapshot, content.tail), end))
    }

    /// Continues a stream that was taken over with another value: one restores streams while this one appends.
    pub fn adopt(&mut self, end: StreamEnd) {
        self.hashes.insert(end.stream, (end.epoch, end.hash));
    }

    /// Appends entries to several streams, durably, in one statement. The results are in the order of the appends; no stream may
    /// occur twice.
    pub fn append_all(&mut self, appends: &[StreamAppend<'_>]) -> Vec<Result<(), AppendError>> {
        let mut results: Vec<Option<Result<(), AppendError>>> = vec![None; appends.len()];
        let mut arguments = Arguments::default();
        for (append, result) in appends.iter().zip(&mut results) {
            *result = self.add(append, &mut arguments).err().map(Err);
        }
        let known = self.store(&arguments);
        let result = |append: &StreamAppend<'_>| match &known {
            Err(error) => Err(error.clone()),
            Ok(heads) => judge(append, self.hashes.get(append.stream), heads.get(append.stream)),
        };
        let results: Vec<_> =
            appends.iter().zip(results).map(|(append, known)| known.unwrap_or_else(|| result(append))).collect();
        for (append, result) in appends.iter().zip(&results) {
            let end = arguments.streams.iter().position(|stream| stream == append.stream);
            let hash = end.and_then(|at| arguments.ends.get(at)).and_then(|hash| Hash::try_from(&**hash).ok());
            if let (Ok(()), Some(hash)) = (result, hash) {
                self.hashes.insert(append.stream.into(), (append.epoch, hash));
            }
        }
        results
    }

    fn add(&self, append: &StreamAppend<'_>, arguments: &mut Arguments) -> Result<(), AppendError> {
        let unknown = || AppendError::Refused("the stream was not taken over".into());
        let known = self.hashes.get(append.stream).filter(|(own, _)| *own == append.epoch);
        let before = known.map(|(_, hash)| *hash).ok_or_else(unknown)?;
        let mut hash = before;
        let (own, after) = (number(append.epoch.get()), number(append.after.get()));
        let chain = Chain::new(append.stream);
        let mut last = append.after;
        let mut rows = Vec::with_capacity(append.entries.len());
        for entry in append.entries {
            if entry.seq != last.next() {
                return Err(AppendError::Conflict { tail: last });
            }
            last = entry.seq;
            let text = serde_json::to_string(entry).map_err(|error| AppendError::Refused(error.to_string().into()))?;
            hash = chain.next(&hash, (number(last.get()), own), &text);
            rows.push((number(last.get()), text, hash));
        }
        arguments.streams.push(append.stream.into());
        arguments.epochs.push(own);
        arguments.afters.push(after);
        arguments.lasts.push(number(last.get()));
        arguments.befores.push(before.to_vec());
        arguments.ends.push(if rows.is_empty() { Vec::new() } else { hash.to_vec() });
        for (seq, text, hash) in rows {
            arguments.of.push(append.stream.into());
            arguments.seqs.push(seq);
            arguments.texts.push(text);
            arguments.hashes.push(hash.to_vec());
        }
        Ok(())
    }

    /// Executes the statement. Returns the head that each stream had.
    fn store(&mut self, arguments: &Arguments) -> Result<BTreeMap<String, Known>, AppendError> {
        if arguments.streams.is_empty() {
            return Ok(BTreeMap::new());
        }
        // Without a connection nothing was sent.
        let refused = |error| match append_error(error) {
            AppendError::Unknown => AppendError::Refused("the database does not answer".into()),
            other => other,
        };
        let (client, append) = self.connected().map_err(refused)?;
        let Arguments { streams, epochs, afters, lasts, befores, ends, of, seqs, texts, hashes } = arguments;
        let values: [&(dyn ToSql + Sync); 10] =
            [streams, epochs, afters, lasts, ends, of, seqs, texts, hashes, befores];
        let rows = client.query(&*append, &values).map_err(append_error)?;
        let known = |row: &Row| (row.get(0), Known { epoch: row.get(1), last: row.get(2), hash: row.get(3) });
        Ok(rows.iter().map(known).collect())
    }

    /// Stores a snapshot of a stream, as [`Journal::keep_snapshot`](counterpoint::journal::Journal::keep_snapshot).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn keep_snapshot(&mut self, stream: &str, epoch: Epoch, at: Seq, state: &[u8]) -> Result<(), AppendError> {
        let (client, _) = self.connected().map_err(append_error)?;
        archive::keep(client, stream, (epoch, at), state, 0)
    }
}

/// The end of a stream that was taken over.
#[derive(Debug, Clone)]
pub struct StreamEnd {
    stream: String,
    epoch: Epoch,
    hash: Hash,
}

/// A head as an append has found it.
struct Known {
    epoch: i64,
    last: i64,
    hash: Vec<u8>,
}

/// Whether an append was stored, by the head as it was.
fn judge(append: &StreamAppend<'_>, own: Option<&(Epoch, Hash)>, head: Option<&Known>) -> Result<(), AppendError> {
    let Some(head) = head else { return Err(AppendError::Refused("the head of the stream is missing".into())) };
    if head.epoch != number(append.epoch.get()) {
        return Err(AppendError::Fenced);
    }
    if head.last != number(append.after.get()) {
        return Err(AppendError::Conflict { tail: Seq::new(head.last.unsigned_abs()) });
    }
    // The database was set back, and others have continued it.
    if own.is_some_and(|(_, hash)| hash[..] != head.hash[..]) { Err(AppendError::Fenced) } else { Ok(()) }
}

impl fmt::Debug for PostgresStreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStreams").field("streams", &self.hashes.len()).finish_non_exhaustive()
    }
}
