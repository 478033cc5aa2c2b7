//! Journals that need not block.

use super::timer::BoxFuture;
use crate::base::id::Seq;
use crate::host::desk::Batch;
use crate::journal::{AppendError, Archive, Epoch, Journal, JournalError, Takeover};
use crate::message::event::Entry;
use core::fmt;
use futures_channel::oneshot;
use std::sync::Arc;

/// A [`Journal`] that answers later. The rules are the same; while an append is on its way the host goes on deciding, and lets
/// nothing out of what it decided until that is kept, too.
///
/// Every `Journal` is one: it then appends on the thread that polls the driver. [`OffThread`] has it append elsewhere.
///
/// ```
/// use counterpoint::host::future::AsyncJournal;
/// use counterpoint::journal::{AppendError, Epoch, JournalError, Takeover};
/// use counterpoint::{Entry, Seq};
///
/// struct Remote; // a client of a log service
///
/// impl AsyncJournal for Remote {
///     async fn take_over(&mut self) -> Result<Takeover, JournalError> {
///         Ok(Takeover::new(Epoch::new(1), None, Vec::new())) // ask the service
///     }
///     async fn append(&mut self, _: Epoch, _: Seq, entries: &[Entry]) -> Result<(), AppendError> {
///         for entry in entries { /* send it */ }
///         Ok(())
///     }
/// }
/// ```
pub trait AsyncJournal: Send + 'static {
    /// Makes the caller the writer. After it no older epoch can append.
    ///
    /// # Errors
    ///
    /// When the journal cannot be read or claimed.
    fn take_over(&mut self) -> impl Future<Output = Result<Takeover, JournalError>> + Send;

    /// Keeps these facts, durably when it ends, all or none. `after` is the number of the last fact before them. Dropped
    /// before it ends, it is unknown whether they are kept.
    ///
    /// # Errors
    ///
    /// See [`AppendError`]: what to do differs from one to the other.
    fn append(
        &mut self,
        epoch: Epoch,
        after: Seq,
        entries: &[Entry],
    ) -> impl Future<Output = Result<(), AppendError>> + Send;

    /// Keeps a snapshot that holds every fact up to `at`; facts up to there may be dropped. Appends wait meanwhile.
    ///
    /// # Errors
    ///
    /// As for an append. A journal without snapshots refuses.
    fn keep_snapshot(
        &mut self,
        epoch: Epoch,
        at: Seq,
        snapshot: Vec<u8>,
    ) -> impl Future<Output = Result<(), AppendError>> + Send {
        let _ = (epoch, at, snapshot);
        core::future::ready(Err(AppendError::Refused("this journal keeps no snapshots".into())))
    }

    /// An archive, which keeps snapshots where the host runs [blocking work](Blocking), while this journal appends. None if the
    /// journal has none: then it keeps snapshots itself.
    fn archive(&mut self) -> impl Future<Output = Option<Box<dyn Archive>>> + Send {
        core::future::ready(None)
    }
}

impl<J: Journal + 'static> AsyncJournal for J {
    async fn take_over(&mut self) -> Result<Takeover, JournalError> {
        Journal::take_over(self)
    }

    async fn append(&mut self, epoch: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        Journal::append(self, epoch, after, entries)
    }

    async fn keep_snapshot(&mut self, epoch: Epoch, at: Seq, snapshot: Vec<u8>) -> Result<(), AppendError> {
        Journal::keep_snapshot(self, epoch, at, &snapshot)
    }

    async fn archive(&mut self) -> Option<Box<dyn Archive>> {
        Journal::archive(self)
    }
}

/// Work that blocks, on its way to a thread that may.
pub type Blocking = Box<dyn FnOnce() + Send>;

/// Where such work is done.
pub(super) type Away = dyn Fn(Blocking) + Send;

/// A journal that blocks, kept away from the thread that polls the driver.
///
/// ```
/// use counterpoint::host::future::OffThread;
/// use counterpoint::journal::MemoryJournal;
///
/// // With tokio: `|work| drop(tokio::task::spawn_blocking(work))`; with smol: `|work| smol::unblock(work).detach()`.
/// let journal = OffThread::new(MemoryJournal::default(), |work| drop(std::thread::spawn(work)));
/// ```
pub struct OffThread {
    /// None while it is away, and for ever if it did not come back.
    journal: Option<Box<dyn Journal>>,
    away: Box<Away>,
}

/// A journal that is away, and what came of its work.
type Coming<T> = oneshot::Receiver<(Box<dyn Journal>, T)>;

impl OffThread {
    /// `away` has each piece of work done on a thread that may block.
    pub fn new(journal: impl Journal + 'static, away: impl Fn(Blocking) + Send + 'static) -> Self {
        Self { journal: Some(Box::new(journal)), away: Box::new(away) }
    }

    fn send<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut dyn Journal) -> T + Send + 'static,
    ) -> Option<Coming<T>> {
        let mut journal = self.journal.take()?;
        let (back, coming) = oneshot::channel();
        (self.away)(Box::new(move || {
            let result = work(&mut *journal);
            // Whoever sent it may be gone.
            let _ = back.send((journal, result));
        }));
        Some(coming)
    }

    /// Has the journal back with what came of a write.
    async fn returned(&mut self, coming: Option<Coming<Result<(), AppendError>>>) -> Result<(), AppendError> {
        let coming = coming.ok_or_else(|| AppendError::Refused("the journal is away".into()))?;
        let (journal, kept) = coming.await.map_err(|_| AppendError::Unknown)?;
        self.journal = Some(journal);
        kept
    }
}

impl AsyncJournal for OffThread {
    fn take_over(&mut self) -> impl Future<Output = Result<Takeover, JournalError>> + Send {
        let coming = self.send(|journal| journal.take_over());
        async move {
            let gone = || JournalError::new("the journal did not come back from its thread");
            let (journal, taken) = coming.ok_or_else(gone)?.await.map_err(|_| gone())?;
            self.journal = Some(journal);
            taken
        }
    }

    fn append(
        &mut self,
        epoch: Epoch,
        after: Seq,
        entries: &[Entry],
    ) -> impl Future<Output = Result<(), AppendError>> + Send {
        let entries: Arc<[Entry]> = entries.into();
        let coming = self.send(move |journal| journal.append(epoch, after, &entries));
        self.returned(coming)
    }

    fn keep_snapshot(
        &mut self,
        epoch: Epoch,
        at: Seq,
        snapshot: Vec<u8>,
    ) -> impl Future<Output = Result<(), AppendError>> + Send {
        let coming = self.send(move |journal| journal.keep_snapshot(epoch, at, &snapshot));
        self.returned(coming)
    }

    fn archive(&mut self) -> impl Future<Output = Option<Box<dyn Archive>>> + Send {
        let coming = self.send(|journal| journal.archive());
        async move {
            let (journal, hand) = coming?.await.ok()?;
            self.journal = Some(journal);
            hand
        }
    }
}

impl fmt::Debug for OffThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OffThread").field("away", &self.journal.is_none()).finish_non_exhaustive()
    }
}

/// A journal that comes back with what it was given, so that an append is a future which borrows nothing.
pub(super) trait Keeper: Send {
    fn append(self: Box<Self>, epoch: Epoch, after: Seq, batch: Batch) -> BoxFuture<Kept>;
    fn keep_snapshot(self: Box<Self>, epoch: Epoch, at: Seq, snapshot: Vec<u8>) -> BoxFuture<KeptSnapshot>;
}

pub(super) type KeptSnapshot = (Box<dyn Keeper>, Result<Seq, AppendError>);

pub(super) struct Kept {
    pub(super) keeper: Box<dyn Keeper>,
    pub(super) batch: Batch,
    pub(super) result: Result<(), AppendError>,
}

impl<J: AsyncJournal> Keeper for J {
    fn append(mut self: Box<Self>, epoch: Epoch, after: Seq, batch: Batch) -> BoxFuture<Kept> {
        Box::pin(async move {
            let result = AsyncJournal::append(&mut *self, epoch, after, batch.outbox.entries()).await;
            Kept { keeper: self, batch, result }
        })
    }

    fn keep_snapshot(mut self: Box<Self>, epoch: Epoch, at: Seq, snapshot: Vec<u8>) -> BoxFuture<KeptSnapshot> {
        Box::pin(async move {
            let kept = AsyncJournal::keep_snapshot(&mut *self, epoch, at, snapshot).await;
            let keeper: Box<dyn Keeper> = self;
            (keeper, kept.map(|()| at))
        })
    }
}
