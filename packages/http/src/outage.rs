//! Times in which the journal stores nothing: a full disk, a disk that cannot be written, a database that is away.
//!
//! The host waits, and keeps what it has decided. Requests are refused with 503 meanwhile: those that arrive change nothing; for
//! those that wait for the journal it is unknown whether they take effect.

use crate::hub::Hub;
use crate::refusal::Refusal;
use axum::http::StatusCode;
use counterpoint::Entry;
use counterpoint::Seq;
use counterpoint::journal::{AppendError, Epoch, Journal, JournalError, Takeover};
use counterpoint_serving::Problem;
use std::fmt;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The delay after which a refused request may be repeated.
const RETRY: Duration = Duration::from_secs(2);
/// The first and the longest pause before a refused append is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// How long a refused append is tried again before the host takes the journal over again.
const TRIES: Duration = Duration::from_secs(10);

/// Whether the journal stores nothing at present, and why. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Outage(watch::Sender<Option<Arc<str>>>);

/// Why a request is refused while the journal stores nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unavailable {
    /// The request has changed nothing.
    Journal(Arc<str>),
    /// The request was under way: it is unknown whether it takes effect.
    NotDurable(Arc<str>),
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journal(reason) => write!(f, "the journal stores nothing at present: {reason}; nothing was changed"),
            Self::NotDurable(reason) => write!(
                f,
                "the journal stores nothing at present: {reason}; it is unknown whether the request takes effect, so repeat it \
                 under the same id or key"
            ),
        }
    }
}

impl std::error::Error for Unavailable {}

impl From<Unavailable> for Problem {
    fn from(unavailable: Unavailable) -> Self {
        let code = match unavailable {
            Unavailable::Journal(_) => "journal",
            Unavailable::NotDurable(_) => "not_durable",
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, unavailable.to_string()).with_retry_after(RETRY)
    }
}

impl From<Unavailable> for Refusal {
    fn from(unavailable: Unavailable) -> Self {
        Problem::from(unavailable).into()
    }
}

impl Default for Outage {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Outage {
    fn begin(&self, reason: &str) {
        self.0.send_if_modified(|now| {
            let other = now.as_deref() != Some(reason);
            if other {
                *now = Some(reason.into());
            }
            other
        });
    }

    fn end(&self) {
        self.0.send_if_modified(|now| now.take().is_some());
    }

    /// The reason why the journal stores nothing at present.
    pub(crate) fn now(&self) -> Option<Arc<str>> {
        self.0.borrow().clone()
    }

    /// The output of a future, unless the journal stores nothing before it completes. The future is dropped then.
    pub(crate) async fn unless<T>(&self, work: impl Future<Output = T>) -> Result<T, Unavailable> {
        let mut outage = self.0.subscribe();
        if let Some(reason) = outage.borrow_and_update().clone() {
            return Err(Unavailable::Journal(reason));
        }
        let begun = async {
            match outage.wait_for(Option::is_some).await.map(|reason| reason.clone()) {
                Ok(Some(reason)) => reason,
                // The sender is part of this value.
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            done = work => Ok(done),
            reason = begun => Err(Unavailable::NotDurable(reason)),
        }
    }
}

/// A journal that was taken over. It shows its content to the hub, and its failures to those who ask.
pub(crate) struct Shown<J> {
    journal: J,
    taken: Option<Takeover>,
    outage: Outage,
}

impl<J: Journal> Shown<J> {
    /// Takes a journal over, and passes its content to the hub. Blocks.
    pub(crate) fn open(mut journal: J, hub: &Hub, outage: Outage) -> Result<Self, JournalError> {
        let taken = journal.take_over()?;
        taken.history.iter().chain(&taken.tail).for_each(|entry| hub.remember(entry));
        Ok(Self { journal, taken: Some(taken), outage })
    }
}

impl<J: Journal> Journal for Shown<J> {
    fn take_over(&mut self) -> Result<Takeover, JournalError> {
        self.taken.take().map_or_else(|| self.journal.take_over(), Ok)
    }

    /// A refused append has changed nothing: it is tried again, which needs less than another take-over, with which the host
    /// continues after some time. Blocks.
    fn append(&mut self, epoch: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        let (end, mut pause) = (Instant::now() + TRIES, PAUSES.0);
        loop {
            let result = self.journal.append(epoch, after, entries);
            match &result {
                Ok(()) => self.outage.end(),
                Err(AppendError::Unknown) => {
                    self.outage.begin("an append failed, and it is unknown what of it was stored");
                }
                Err(AppendError::Refused(reason)) => {
                    self.outage.begin(reason);
                    if Instant::now() < end {
                        sleep(pause);
                        pause = (pause * 2).min(PAUSES.1);
                        continue;
                    }
                }
                Err(_) => {}
            }
            return result;
        }
    }

    fn reclaim(&mut self, epoch: Epoch) -> Result<Option<Takeover>, AppendError> {
        let reclaimed = self.journal.reclaim(epoch);
        if let Err(AppendError::Refused(reason)) = &reclaimed {
            self.outage.begin(reason);
        }
        reclaimed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use counterpoint::journal::MemoryJournal;
    use counterpoint::message::AgentEvent;
    use counterpoint::{AgentId, Incarnation, Time};

    /// A journal whose next appends fail.
    struct Failing(MemoryJournal, Vec<AppendError>);

    impl Journal for Failing {
        fn take_over(&mut self) -> Result<Takeover, JournalError> {
            self.0.take_over()
        }

        fn append(&mut self, epoch: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError> {
            self.1.pop().map_or_else(|| self.0.append(epoch, after, entries), Err)
        }
    }

    fn fact() -> Entry {
        let event = AgentEvent::Lost.of(Incarnation::new(AgentId::new(1), 1));
        Entry { seq: Seq::new(1), at: Time::ZERO, event }
    }

    #[tokio::test]
    async fn a_refused_append_is_tried_again_and_requests_are_refused_meanwhile() {
        let outage = Outage::default();
        let full = || AppendError::Refused("no room".into());
        let journal = Failing(MemoryJournal::default(), vec![full(), full()]);
        let mut shown = Shown::open(journal, &Hub::default(), outage.clone()).unwrap();
        let epoch = shown.take_over().unwrap().epoch;
        assert_eq!(outage.unless(async { 5 }).await, Ok(5));
        let waiting = tokio::spawn({
            let outage = outage.clone();
            async move { outage.unless(std::future::pending::<()>()).await }
        });
        tokio::task::yield_now().await;
        let append = tokio::task::spawn_blocking(move || shown.append(epoch, Seq::ZERO, &[fact()]));
        let unavailable = waiting.await.unwrap().unwrap_err();
        assert_eq!(unavailable, Unavailable::NotDurable("no room".into()));
        append.await.unwrap().unwrap();
        assert_eq!((outage.now(), outage.unless(async { 6 }).await), (None, Ok(6)));
    }

    #[tokio::test]
    async fn an_append_of_unknown_outcome_is_left_to_the_host() {
        let outage = Outage::default();
        let journal = Failing(MemoryJournal::default(), vec![AppendError::Unknown]);
        let mut shown = Shown::open(journal, &Hub::default(), outage.clone()).unwrap();
        let epoch = shown.take_over().unwrap().epoch;
        assert_eq!(shown.append(epoch, Seq::ZERO, &[fact()]), Err(AppendError::Unknown));
        assert!(matches!(outage.unless(async {}).await, Err(Unavailable::Journal(_))));
        shown.append(epoch, Seq::ZERO, &[fact()]).unwrap();
        assert_eq!(outage.now(), None);
    }
}
