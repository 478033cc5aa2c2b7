//! Snapshots.

use crate::failure::append_error;
use crate::{connect, number, statements};
use counterpoint::Seq;
use counterpoint::journal::{AppendError, Archive, Epoch};
use postgres::{Client, Config};

/// Stores snapshots over a separate connection.
pub(crate) struct PostgresArchive {
    config: Config,
    stream: String,
    client: Option<Client>,
}

impl PostgresArchive {
    pub(crate) fn new(config: Config, stream: String) -> Self {
        Self { config, stream, client: None }
    }

    /// The connection, which is made when it does not exist or has broken.
    fn connected(&mut self) -> Result<&mut Client, postgres::Error> {
        let client = match self.client.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => connect(&self.config, "counterpoint snapshots")?,
        };
        Ok(self.client.insert(client))
    }
}

impl Archive for PostgresArchive {
    fn keep_snapshot(&mut self, epoch: Epoch, at: Seq, snapshot: Vec<u8>) -> Result<(), AppendError> {
        let stream = self.stream.clone();
        let client = self.connected().map_err(append_error)?;
        keep(client, &stream, (epoch, at), &snapshot)
    }
}

/// Stores a snapshot, and removes the entries that it covers. The head is locked only briefly, after the state has been
/// sent.
pub(crate) fn keep(
    client: &mut Client,
    stream: &str,
    (epoch, at): (Epoch, Seq),
    state: &[u8],
) -> Result<(), AppendError> {
    let (own, place) = (number(epoch.get()), number(at.get()));
    let mut transaction = client.transaction().map_err(append_error)?;
    transaction.execute(statements::KEEP_STATE, &[&stream, &place, &state]).map_err(append_error)?;
    let moved = transaction.execute(statements::KEEP_AT, &[&stream, &own, &place]).map_err(append_error)?;
    if moved == 0 {
        transaction.rollback().map_err(append_error)?;
        return Err(refusal(client, stream, own, place));
    }
    transaction.commit().map_err(append_error)?;
    // From here on these entries are not read again; if the deletion fails, the next snapshot deletes them.
    let _ = client.execute(statements::DROP_ENTRIES, &[&stream, &place]);
    let _ = client.execute(statements::DROP_STATES, &[&stream, &place]);
    Ok(())
}

/// The reason why a snapshot was not stored.
fn refusal(client: &mut Client, stream: &str, own: i64, place: i64) -> AppendError {
    match client.query_one(statements::HEAD, &[&stream]) {
        Err(error) => append_error(error),
        Ok(head) if head.get::<_, i64>(0) != own => AppendError::Fenced,
        Ok(head) if head.get::<_, i64>(1) < place => {
            AppendError::Conflict { tail: Seq::new(head.get::<_, i64>(1).unsigned_abs()) }
        }
        Ok(_) => AppendError::Refused("a later snapshot is stored".into()),
    }
}
