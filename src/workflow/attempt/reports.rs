//! What an attempt reports to its host while it is under way.

use super::Attempt;
#[cfg(any(feature = "threads", feature = "async"))]
use super::Work;
use crate::base::payload::Payload;
use crate::task::Progress;
use crate::workflow::report::ReportError;
use core::sync::atomic::Ordering;
use serde::Serialize;

impl Attempt {
    /// Sets the [details](Self::last_details) of the attempt before, for tests of steps. What has been cloned is copied, and the
    /// clones stay as they are.
    ///
    /// ```
    /// use counterpoint::workflow::Attempt;
    /// use counterpoint::{AttemptId, Payload, TaskId};
    ///
    /// let attempt = Attempt::new(AttemptId::new(TaskId::new(1), 2), "copy").with_last_details(Payload::of(&3)?);
    /// assert_eq!(attempt.last_details().to(), Ok(Some(3)));
    /// # Ok::<(), counterpoint::PayloadError>(())
    /// ```
    #[must_use]
    pub fn with_last_details(self, details: Payload) -> Self {
        self.with(|shared| shared.details = details)
    }

    /// Reports that the attempt is under way, with details of its work, such as how far it has come. Without a heartbeat for the
    /// [heartbeat timeout](crate::Policy::heartbeat_timeout) of its task, the attempt is given up and the task tried again.
    /// The next attempt at the task gets the details of the last heartbeat as its [`last_details`](Self::last_details), also
    /// after a restart of the host. Details replace earlier ones; `()` is none.
    ///
    /// A heartbeat never waits. The engine records the details as an event at most once in each
    /// [`details_interval`](crate::scheduler::TaskLimits::details_interval), and when the attempt fails; of the details
    /// in between it keeps the last ones, which a crash of the host loses.
    ///
    /// ```
    /// use counterpoint::Failure;
    /// use counterpoint::workflow::Attempt;
    ///
    /// # fn copy_page(_: u32) {}
    /// fn copy(pages: u32, attempt: &Attempt) -> Result<(), Failure> {
    ///     let done: Option<u32> = attempt.last_details().to().unwrap_or_default();
    ///     for page in done.unwrap_or(0)..pages {
    ///         copy_page(page);
    ///         attempt.heartbeat(&(page + 1))?;
    ///     }
    ///     Ok(())
    /// }
    /// # let attempt = Attempt::new(counterpoint::AttemptId::new(counterpoint::TaskId::new(1), 1), "copy");
    /// # copy(3, &attempt)?;
    /// # Ok::<(), Failure>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the attempt has ended, or the details have no JSON form or are larger than
    /// [`details_bytes`](crate::scheduler::SizeLimits::details_bytes).
    pub fn heartbeat<T: Serialize + ?Sized>(&self, details: &T) -> Result<(), ReportError> {
        let details = Payload::of(details)?;
        self.is_open()?;
        self.sign_of_life(details)
    }

    /// The details that the last heartbeat of an earlier attempt at the task reported, or of this attempt before the host
    /// restarted; null if there are none.
    #[must_use]
    pub fn last_details(&self) -> &Payload {
        &self.shared.details
    }

    /// Reports how far the attempt has come, as a share from 0 to 1 with a text for people, to the subscribers of the host. It
    /// is also a heartbeat. Progress is no event: a subscriber gets the last one, and none is kept over a restart.
    ///
    /// ```
    /// use counterpoint::workflow::{Attempt, ReportError};
    /// use counterpoint::{AttemptId, TaskId};
    ///
    /// let attempt = Attempt::new(AttemptId::new(TaskId::new(7), 1), "ocr");
    /// attempt.progress(0.4, "page 4 of 10")?;
    /// assert!(attempt.progress(1.5, "").is_err());
    /// # Ok::<(), ReportError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the share is not a number from 0 to 1, the text is longer than
    /// [`MAX_TEXT`](crate::task::Progress::MAX_TEXT), or the attempt has ended.
    pub fn progress(&self, share: f64, text: impl Into<Box<str>>) -> Result<(), ReportError> {
        let progress = Progress::new(share, text)?;
        self.is_open()?;
        #[cfg(any(feature = "threads", feature = "async"))]
        if let (Work::Task(task, _), Some(line)) = (&self.shared.work, &self.shared.line) {
            line.live.progress(self.id(), task, progress);
        }
        #[cfg(not(any(feature = "threads", feature = "async")))]
        drop(progress);
        self.sign_of_life(Payload::NULL)
    }

    /// Passes a part of the output, such as tokens of a language model, to the subscribers of the host. It is also a heartbeat.
    /// Parts are no events; the output of the task is what the step returns. A subscriber that is behind misses the oldest
    /// ones.
    ///
    /// # Errors
    ///
    /// When the part has no JSON form or is larger than a payload may be, or the attempt has ended.
    pub fn emit<T: Serialize + ?Sized>(&self, chunk: &T) -> Result<(), ReportError> {
        let chunk = Payload::of(chunk)?;
        self.is_open()?;
        #[cfg(any(feature = "threads", feature = "async"))]
        if let (Work::Task(task, _), Some(line)) = (&self.shared.work, &self.shared.line) {
            line.fits(&chunk)?;
            line.live.emit(self.id(), task, chunk);
        }
        #[cfg(not(any(feature = "threads", feature = "async")))]
        drop(chunk);
        self.sign_of_life(Payload::NULL)
    }

    fn is_open(&self) -> Result<(), ReportError> {
        if self.shared.ended.load(Ordering::Acquire) { Err(ReportError::Ended(self.id())) } else { Ok(()) }
    }

    #[cfg(any(feature = "threads", feature = "async"))]
    fn sign_of_life(&self, details: Payload) -> Result<(), ReportError> {
        let Work::Task(task, _) = &self.shared.work else { return Ok(()) };
        match &self.shared.line {
            Some(line) if !details.is_null() || task.policy.heartbeat_timeout().is_some() => {
                line.heartbeat(self.id(), details)
            }
            Some(_) | None => Ok(()),
        }
    }

    #[cfg(not(any(feature = "threads", feature = "async")))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "there is no host")]
    fn sign_of_life(&self, _: Payload) -> Result<(), ReportError> {
        Ok(())
    }
}
