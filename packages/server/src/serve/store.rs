//! Where a server keeps its events: a journal in files, or one in PostgreSQL.

use crate::compaction::Compaction;
use crate::trouble::Trouble;
use counterpoint::Entry;
use counterpoint::host::HostError;
use counterpoint::journal::{AppendError, Epoch, Journal, JournalError, Takeover};
use counterpoint::{RestoreError, Seq};
use counterpoint_http::App;
use counterpoint_journal_files::FileJournal;
#[cfg(feature = "postgres")]
use counterpoint_journal_postgres::{Database, PostgresJournal};
use std::path::{Path, PathBuf};

/// The size of segments. A smaller one lets a snapshot remove more.
const SEGMENT_BYTES: u64 = 8 << 20;

/// The name of the stream in a database that several programs may use.
#[cfg(feature = "postgres")]
const STREAM: &str = "serve";

/// Where a journal is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// In this folder.
    Folder(PathBuf),
    /// In the tables of a database, under a name.
    #[cfg(feature = "postgres")]
    Postgres(Box<Database>, String),
}

/// The content of a journal that was read without a change.
pub(crate) struct Content {
    /// The state of the engine, if the journal has a snapshot.
    pub(crate) snapshot: Option<Vec<u8>>,
    /// The entries after it.
    pub(crate) entries: Vec<Entry>,
    /// What a crash has left at the end. It is discarded at the next start, and was never acknowledged.
    pub(crate) torn: Option<RestoreError>,
}

impl Place {
    /// The place of the setting `journal`; by default the folder `journal` of the data.
    pub(crate) fn of(setting: Option<&str>, stream: Option<&str>, data: &Path) -> Result<Self, Trouble> {
        match setting {
            None => Ok(Self::Folder(data.join("journal"))),
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => database(url, stream),
            // It may have a password, and is not repeated.
            Some(_) => Err(Trouble::Usage("`journal` is no URL that begins with postgres://".to_owned())),
        }
    }

    /// The place, for people. Without a password.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Folder(folder) => folder.display().to_string(),
            #[cfg(feature = "postgres")]
            Self::Postgres(database, stream) => {
                format!(
                    "stream `{stream}` of the PostgreSQL database `{}`",
                    database.config().get_dbname().unwrap_or_default()
                )
            }
        }
    }

    /// A journal that was not opened yet. It retains so many entries before its snapshots, which `compaction` makes. `seen` gets
    /// its entries when it is taken over.
    pub(super) fn journal(
        &self,
        history: u64,
        compaction: Option<Compaction>,
        seen: impl FnOnce(Vec<Entry>) + Send + 'static,
    ) -> Store {
        let (journal, is_remote): (Box<dyn Journal>, bool) = match self {
            Self::Folder(folder) => {
                let journal = FileJournal::new(folder, App::stream()).with_segment_bytes(SEGMENT_BYTES);
                (Box::new(journal.with_history(history)), false)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(database, stream) => {
                let journal = PostgresJournal::of((**database).clone(), stream);
                (Box::new(journal.with_history(history)), true)
            }
        };
        Store { journal: Some(journal), seen: Some(Box::new(seen)), compaction, is_remote }
    }

    /// Reads the journal, with or without a writer, and changes nothing. Blocks.
    pub(crate) fn read(&self) -> Result<Content, Trouble> {
        match self {
            Self::Folder(folder) if !folder.exists() => Ok(Content { snapshot: None, entries: Vec::new(), torn: None }),
            Self::Folder(folder) => {
                let read = FileJournal::read(folder, &App::stream()).map_err(|error| Trouble::io(folder, &error))?;
                let (contents, fault) = read;
                match fault {
                    Some(fault) if !fault.is_torn() => Err(Trouble::Broken(format!("{}: {fault}", folder.display()))),
                    torn => {
                        let snapshot = contents.snapshot.map(|(_, state)| state);
                        Ok(Content { snapshot, entries: contents.entries, torn })
                    }
                }
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(database, stream) => {
                let read = PostgresJournal::read((**database).clone(), stream);
                let read = read.map_err(|error| Trouble::from(HostError::from(error)))?;
                Ok(Content { snapshot: read.snapshot, entries: read.tail, torn: None })
            }
        }
    }
}

#[cfg(feature = "postgres")]
fn database(url: &str, stream: Option<&str>) -> Result<Place, Trouble> {
    use std::time::Duration;
    let mut database: Database = url.parse().map_err(|error| Trouble::Usage(format!("`journal`: {error}")))?;
    // A database that does not answer is one that is away: without these, a server would notice after hours.
    let config = database.config_mut();
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(5));
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(Duration::from_secs(10));
    }
    Ok(Place::Postgres(Box::new(database), stream.unwrap_or(STREAM).to_owned()))
}

#[cfg(not(feature = "postgres"))]
fn database(_: &str, _: Option<&str>) -> Result<Place, Trouble> {
    Err(Trouble::Usage("this program was built without journals in PostgreSQL (the feature `postgres`)".to_owned()))
}

/// What gets the entries of a journal that is taken over.
type Seen = Box<dyn FnOnce(Vec<Entry>) + Send>;

/// A journal of a server.
pub(super) struct Store {
    /// There until it is dropped.
    journal: Option<Box<dyn Journal>>,
    seen: Option<Seen>,
    compaction: Option<Compaction>,
    /// Whether it has a connection, whose end blocks.
    is_remote: bool,
}

impl Store {
    fn journal<T, E>(
        &mut self,
        work: impl FnOnce(&mut dyn Journal) -> Result<T, E>,
        gone: impl FnOnce() -> E,
    ) -> Result<T, E> {
        match self.journal.as_deref_mut() {
            Some(journal) => work(journal),
            None => Err(gone()),
        }
    }
}

impl Store {
    fn appended(&mut self, entries: &[Entry]) {
        if let (Some(compaction), Some(journal), Some(last)) =
            (&mut self.compaction, self.journal.as_deref_mut(), entries.last())
        {
            compaction.appended(entries.len(), last.seq, journal);
        }
    }
}

fn gone() -> AppendError {
    AppendError::Refused("the journal was closed".into())
}

impl Journal for Store {
    fn take_over(&mut self) -> Result<Takeover, JournalError> {
        let taken = self.journal(|journal| journal.take_over(), || JournalError::new("the journal was closed"))?;
        if let Some(seen) = self.seen.take() {
            seen(taken.history.iter().chain(&taken.tail).cloned().collect());
        }
        if let Some(compaction) = &mut self.compaction {
            compaction.taken_over(taken.epoch);
        }
        self.appended(&taken.tail);
        Ok(taken)
    }

    fn append(&mut self, epoch: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        self.journal(|journal| journal.append(epoch, after, entries), gone)?;
        self.appended(entries);
        Ok(())
    }

    fn reclaim(&mut self, epoch: Epoch) -> Result<Option<Takeover>, AppendError> {
        let taken = self.journal(|journal| journal.reclaim(epoch), gone)?;
        if let (Some(compaction), Some(taken)) = (&mut self.compaction, &taken) {
            compaction.taken_over(taken.epoch);
        }
        Ok(taken)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // The client of PostgreSQL ends its connection with a runtime of its own, which it cannot within another one.
        if let (true, Some(journal)) = (self.is_remote, self.journal.take()) {
            drop(std::thread::spawn(move || drop(journal)));
        }
    }
}
