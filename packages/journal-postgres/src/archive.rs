//! Snapshots.

use crate::chain::{Chain, START};
use crate::failure::append_error;
use crate::{Database, connect, number, statements};
use counterpoint::Seq;
use counterpoint::journal::{AppendError, Archive, Epoch};
use postgres::Client;
use std::time::Duration;

/// Stores snapshots over a separate connection.
pub(crate) struct PostgresArchive {
    database: Database,
    stream: String,
    patience: Duration,
    /// The number of entries before a snapshot that are retained.
    history: u64,
    client: Option<Client>,
}

impl PostgresArchive {
    pub(crate) fn new(database: Database, stream: String, patience: Duration, history: u64) -> Self {
        Self { database, stream, patience, history, client: None }
    }

    /// The connection, which is made when it does not exist or has broken.
    fn connected(&mut self) -> Result<&mut Client, postgres::Error> {
        let client = match self.client.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => connect(&self.database, "counterpoint snapshots", self.patience)?,
        };
        Ok(self.client.insert(client))
    }
}

impl Archive for PostgresArchive {
    fn keep_snapshot(&mut self, epoch: Epoch, at: Seq, snapshot: Vec<u8>) -> Result<(), AppendError> {
        let (stream, history) = (self.stream.clone(), self.history);
        let client = self.connected().map_err(append_error)?;
        keep(client, &stream, (epoch, at), &snapshot, history)
    }
}

/// Stores a snapshot, and removes the entries that it covers, except for the last `history` of them. The server executes the statement when it has received all
/// of it, and commits it without the client: a host that stops at any time holds no lock.
pub(crate) fn keep(
    client: &mut Client,
    stream: &str,
    (epoch, at): (Epoch, Seq),
    state: &[u8],
    history: u64,
) -> Result<(), AppendError> {
    let (own, place) = (number(epoch.get()), number(at.get()));
    let sum = Chain::new(stream).sum(place, state);
    let kept = client.execute(statements::KEEP, &[&stream, &own, &place, &state, &&sum[..], &&START[..]]);
    if kept.map_err(append_error)? == 0 {
        return Err(refusal(client, stream, own, place));
    }
    // No state needs these entries from here on; if the deletion fails, the next snapshot deletes them.
    let last = place.saturating_sub(number(history)).max(0);
    let _ = client.execute(statements::DROP_ENTRIES, &[&stream, &last]);
    let _ = client.execute(statements::DROP_STATES, &[&stream, &place]);
    Ok(())
}

/// The reason why a snapshot was not stored.
fn refusal(client: &mut Client, stream: &str, own: i64, place: i64) -> AppendError {
    match client.query_opt(statements::HEAD, &[&stream]) {
        Err(error) => append_error(error),
        Ok(None) => AppendError::Refused("the head of the stream is missing".into()),
        Ok(Some(head)) if head.get::<_, i64>(0) != own => AppendError::Fenced,
        Ok(Some(head)) if head.get::<_, i64>(1) < place => {
            AppendError::Conflict { tail: Seq::new(head.get::<_, i64>(1).unsigned_abs()) }
        }
        Ok(Some(_)) => AppendError::Refused("a later snapshot is stored".into()),
    }
}
