//! Journals that append asynchronously.

#[cfg(feature = "durable")]
use super::timer::Timer;
use super::timer::{BoxFuture, Clockwork};
use crate::base::id::Seq;
use crate::host::durable::{Handover, Patience};
#[cfg(feature = "durable")]
use crate::host::durable::{may_pass, missing};
use crate::host::state::Batch;
use crate::journal::{AppendError, Archive, Epoch, Journal, JournalError, Takeover};
use crate::message::event::Entry;
use core::fmt;
use futures_channel::oneshot;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

/// A [`Journal`] with asynchronous writes. The rules are the same. While an append is under way the host continues to
/// decide, and releases none of the new decisions before they are durable, too.
///
/// Every `Journal` implements this trait; it then appends on the thread that polls the driver. [`OffThread`] moves the
/// appends to another thread.
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
    /// Makes the caller the writer. Appends of older epochs are rejected afterwards.
    ///
    /// # Errors
    ///
    /// When the journal cannot be read or claimed.
    fn take_over(&mut self) -> impl Future<Output = Result<Takeover, JournalError>> + Send;

    /// Appends entries, all or none; they are durable when the future completes. `after` is the number of the last
    /// event before them. If the future is dropped before it completes, it is unknown whether the entries were stored.
    ///
    /// # Errors
    ///
    /// See [`AppendError`]: the caller's reaction depends on the variant.
    fn append(
        &mut self,
        epoch: Epoch,
        after: Seq,
        entries: &[Entry],
    ) -> impl Future<Output = Result<(), AppendError>> + Send;

    /// Takes the journal over again after an append that failed, if the caller is still its writer, with this epoch: see
    /// [`Journal::reclaim`].
    ///
    /// # Errors
    ///
    /// [`AppendError::Fenced`] if another writer has taken over; any other error lets the host try again later.
    #[cfg(feature = "durable")]
    fn reclaim(&mut self, epoch: Epoch) -> impl Future<Output = Result<Option<Takeover>, AppendError>> + Send {
        let _ = epoch;
        core::future::ready(Ok(None))
    }

    /// Stores a snapshot that covers every event up to `at`; the journal may drop those events. Appends wait meanwhile.
    ///
    /// # Errors
    ///
    /// As for an append. A journal without snapshots returns [`AppendError::Refused`].
    fn keep_snapshot(
        &mut self,
        epoch: Epoch,
        at: Seq,
        snapshot: Vec<u8>,
    ) -> impl Future<Output = Result<(), AppendError>> + Send {
        let _ = (epoch, at, snapshot);
        core::future::ready(Err(AppendError::Refused("this journal stores no snapshots".into())))
    }

    /// An archive, which stores snapshots on the threads for [blocking work](Blocking) while this journal appends.
    /// `None` if the journal has none: it then stores snapshots itself.
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

    #[cfg(feature = "durable")]
    async fn reclaim(&mut self, epoch: Epoch) -> Result<Option<Takeover>, AppendError> {
        Journal::reclaim(self, epoch)
    }

    async fn keep_snapshot(&mut self, epoch: Epoch, at: Seq, snapshot: Vec<u8>) -> Result<(), AppendError> {
        Journal::keep_snapshot(self, epoch, at, &snapshot)
    }

    async fn archive(&mut self) -> Option<Box<dyn Archive>> {
        Journal::archive(self)
    }
}

/// Blocking work, to be run on a thread that may block.
pub type Blocking = Box<dyn FnOnce() + Send>;

/// Runs blocking work on another thread.
pub(super) type Away = dyn Fn(Blocking) + Send;

/// A blocking journal that runs on another thread than the driver.
///
/// ```
/// use counterpoint::host::future::OffThread;
/// use counterpoint::journal::MemoryJournal;
///
/// // With tokio: `|work| drop(tokio::task::spawn_blocking(work))`; with smol: `|work| smol::unblock(work).detach()`.
/// let journal = OffThread::new(MemoryJournal::default(), |work| drop(std::thread::spawn(work)));
/// ```
pub struct OffThread {
    /// `None` while it is on the other thread, and forever if that thread dropped it.
    journal: Option<Box<dyn Journal>>,
    away: Box<Away>,
}

/// A journal on the other thread, and the result of its work.
type Coming<T> = oneshot::Receiver<(Box<dyn Journal>, T)>;

impl OffThread {
    /// `away` runs each closure on a thread that may block.
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
            // The receiver may have been dropped.
            let _ = back.send((journal, result));
        }));
        Some(coming)
    }

    /// Takes the journal back with the result of a write.
    async fn returned<T>(&mut self, coming: Option<Coming<Result<T, AppendError>>>) -> Result<T, AppendError> {
        let coming = coming.ok_or_else(|| AppendError::Refused("the journal is in use on another thread".into()))?;
        let (journal, kept) = coming.await.map_err(|_| AppendError::Unknown)?;
        self.journal = Some(journal);
        kept
    }
}

impl AsyncJournal for OffThread {
    fn take_over(&mut self) -> impl Future<Output = Result<Takeover, JournalError>> + Send {
        let coming = self.send(|journal| journal.take_over());
        async move {
            let gone = || JournalError::new("the thread of the journal dropped it");
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

    #[cfg(feature = "durable")]
    fn reclaim(&mut self, epoch: Epoch) -> impl Future<Output = Result<Option<Takeover>, AppendError>> + Send {
        let coming = self.send(move |journal| journal.reclaim(epoch));
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

/// What a host needs to append to its journal, and to wait for it.
#[derive(Clone)]
#[cfg_attr(not(feature = "durable"), allow(dead_code, reason = "durable hosts wait"))]
pub(super) struct Waits {
    /// The epoch of the writer, which changes when the journal is taken over again.
    pub(super) epoch: Epoch,
    pub(super) patience: Patience,
    pub(super) clockwork: Clockwork,
    pub(super) handover: Handover,
}

/// Takes a journal over. Waits while another host holds it.
#[cfg(feature = "durable")]
pub(super) async fn take_over(
    journal: &mut impl AsyncJournal,
    mut patience: Patience,
    timer: &impl Timer,
) -> Result<Takeover, JournalError> {
    loop {
        match AsyncJournal::take_over(journal).await {
            Ok(taken) => return Ok(taken),
            Err(error) if error.broken().is_some() => return Err(error),
            Err(error) => timer.sleep(patience.pause().ok_or(error)?).await,
        }
    }
}

/// A journal that is returned with its batch, so that an append is a future which borrows nothing.
pub(super) trait Keeper: Send {
    /// Appends the entries of a batch. After a failure, takes the journal over again and appends what is missing, until the
    /// patience is over.
    fn append(self: Box<Self>, after: Seq, batch: Batch, waits: Waits) -> BoxFuture<Kept>;
    fn keep_snapshot(self: Box<Self>, epoch: Epoch, at: Seq, snapshot: Vec<u8>) -> BoxFuture<KeptSnapshot>;
}

pub(super) type KeptSnapshot = (Box<dyn Keeper>, Result<Seq, AppendError>);

pub(super) struct Kept {
    pub(super) keeper: Box<dyn Keeper>,
    pub(super) epoch: Epoch,
    pub(super) batch: Batch,
    pub(super) result: Result<(), AppendError>,
}

impl<J: AsyncJournal> Keeper for J {
    fn append(mut self: Box<Self>, after: Seq, batch: Batch, waits: Waits) -> BoxFuture<Kept> {
        Box::pin(async move {
            let entries = batch.outbox.entries();
            #[cfg(feature = "durable")]
            let (epoch, result) = append_patiently(&mut *self, after, entries, waits).await;
            #[cfg(not(feature = "durable"))]
            let (epoch, result) = (waits.epoch, append_once(&mut *self, waits.epoch, after, entries).await);
            Kept { keeper: self, epoch, batch, result }
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

/// Appends entries, with patience. Returns the epoch of the writer, too.
#[cfg(feature = "durable")]
async fn append_patiently(
    journal: &mut impl AsyncJournal,
    after: Seq,
    entries: &[Entry],
    mut waits: Waits,
) -> (Epoch, Result<(), AppendError>) {
    let mut epoch = waits.epoch;
    let mut result = append_once(journal, epoch, after, entries).await;
    while let Err(error) = &result {
        let Some(pause) = waits.patience.pause().filter(|_| may_pass(error)) else { break };
        waits.clockwork.sleep(pause).await;
        match append_again(journal, (epoch, after), entries, &waits.handover).await {
            Again::Ended(new, ended) => (epoch, result) = (new, ended),
            Again::NotTaken => {}
            Again::Never => break,
        }
    }
    (epoch, result)
}

async fn append_once(
    journal: &mut impl AsyncJournal,
    epoch: Epoch,
    after: Seq,
    entries: &[Entry],
) -> Result<(), AppendError> {
    // After a panic of the journal it is unknown whether it has stored the entries.
    let append = async { AsyncJournal::append(journal, epoch, after, entries).await };
    AssertUnwindSafe(append).catch_unwind().await.unwrap_or(Err(AppendError::Unknown))
}

/// The result of another attempt at an append.
#[cfg(feature = "durable")]
enum Again {
    /// The journal could not be taken over, which may pass.
    NotTaken,
    /// It cannot be taken over.
    Never,
    /// The epoch of the writer, and the result.
    Ended(Epoch, Result<(), AppendError>),
}

/// Takes a journal over again, and appends those of the entries that it does not contain.
#[cfg(feature = "durable")]
async fn append_again(
    journal: &mut impl AsyncJournal,
    (epoch, durable): (Epoch, Seq),
    entries: &[Entry],
    handover: &Handover,
) -> Again {
    handover.announce();
    let reclaim = async { AsyncJournal::reclaim(journal, epoch).await };
    let taken = match AssertUnwindSafe(reclaim).catch_unwind().await.unwrap_or(Err(AppendError::Unknown)) {
        Ok(Some(taken)) => taken,
        Ok(None) => return Again::Never,
        Err(AppendError::Fenced) => return Again::Ended(epoch, Err(AppendError::Fenced)),
        Err(_) => return Again::NotTaken,
    };
    handover.complete(taken.epoch, AsyncJournal::archive(journal).await);
    let result = match missing(entries, durable, &taken) {
        Ok((_, [])) => Ok(()),
        Ok((after, rest)) => append_once(journal, taken.epoch, after, rest).await,
        Err(error) => Err(error),
    };
    Again::Ended(taken.epoch, result)
}
