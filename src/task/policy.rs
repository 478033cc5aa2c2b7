//! What happens when attempts fail or take too long.

use super::{FailureKind, Tier};
use core::time::Duration;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;

/// Retries and timeouts of a task. Cloning is a reference count; the default costs nothing.
///
/// Four bounds that are often confused: an attempt's timeout (then its outcome is unknown and the task is tried again),
/// the queue timeout (from when on it may no longer wait), the total timeout (everything, retries included), and
/// the task's deadline, which is a moment and not a length.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy(Option<Arc<Rules>>);

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Rules {
    retry: Retry,
    #[serde(with = "crate::base::time::span::option", skip_serializing_if = "Option::is_none")]
    attempt_timeout: Option<Duration>,
    #[serde(with = "crate::base::time::span::option", skip_serializing_if = "Option::is_none")]
    queue_timeout: Option<Duration>,
    #[serde(with = "crate::base::time::span::option", skip_serializing_if = "Option::is_none")]
    total_timeout: Option<Duration>,
    exhausted: Exhausted,
}

static DEFAULT_RETRY: Retry = Retry::DEFAULT;

impl Policy {
    /// Sets the retries.
    #[must_use]
    pub fn with_retry(self, retry: Retry) -> Self {
        self.with(|rules| rules.retry = retry)
    }

    /// Bounds each attempt: when it is over, the attempt's outcome is unknown and the task goes to another agent.
    #[must_use]
    pub fn with_attempt_timeout(self, span: Duration) -> Self {
        self.with(|rules| rules.attempt_timeout = Some(span))
    }

    /// Bounds the wait, counted from the submit: a task that waits at that moment, for its first attempt or another,
    /// expires.
    #[must_use]
    pub fn with_queue_timeout(self, span: Duration) -> Self {
        self.with(|rules| rules.queue_timeout = Some(span))
    }

    /// Bounds everything from submit to end: a task that has not succeeded by then expires, under way or not.
    #[must_use]
    pub fn with_total_timeout(self, span: Duration) -> Self {
        self.with(|rules| rules.total_timeout = Some(span))
    }

    /// Says where a task goes when its attempts are used up.
    #[must_use]
    pub fn with_exhausted(self, exhausted: Exhausted) -> Self {
        self.with(|rules| rules.exhausted = exhausted)
    }

    /// The retries.
    #[must_use]
    pub fn retry(&self) -> &Retry {
        self.0.as_ref().map_or(&DEFAULT_RETRY, |rules| &rules.retry)
    }

    /// How long an attempt may take.
    #[must_use]
    pub fn attempt_timeout(&self) -> Option<Duration> {
        self.0.as_ref()?.attempt_timeout
    }

    /// How long the task may wait for an agent.
    #[must_use]
    pub fn queue_timeout(&self) -> Option<Duration> {
        self.0.as_ref()?.queue_timeout
    }

    /// How long all of it may take.
    #[must_use]
    pub fn total_timeout(&self) -> Option<Duration> {
        self.0.as_ref()?.total_timeout
    }

    /// Where the task goes when its attempts are used up.
    #[must_use]
    pub fn exhausted(&self) -> Exhausted {
        self.0.as_ref().map_or(Exhausted::DeadLetter, |rules| rules.exhausted)
    }

    /// Whether nothing was set.
    #[must_use]
    pub const fn is_default(&self) -> bool {
        self.0.is_none()
    }

    fn with(mut self, change: impl FnOnce(&mut Rules)) -> Self {
        let rules = self.0.get_or_insert_default();
        change(Arc::make_mut(rules));
        self
    }
}

impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(rules) => rules.serialize(to),
            None => Rules::default().serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let rules = Rules::deserialize(from)?;
        Ok(Self((rules != Rules::default()).then(|| Arc::new(rules))))
    }
}

/// How often and how patiently a task is tried again: exponential backoff, `base * 2^k` up to `cap`, with jitter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Retry {
    /// Attempts in all, the first included; 0 counts as 1.
    pub attempts: u32,
    /// The ceiling of the first delay.
    #[serde(with = "crate::base::time::span")]
    pub base: Duration,
    /// The ceiling of every delay.
    #[serde(with = "crate::base::time::span")]
    pub cap: Duration,
    /// How a delay is drawn below its ceiling.
    pub jitter: Jitter,
    /// What an attempt with an unknown outcome means.
    pub in_doubt: InDoubt,
    /// What is different for failures of a kind.
    #[serde(default, skip_serializing_if = "Kinds::is_empty")]
    pub kinds: Kinds,
    /// For every so many failed attempts it waits in a tier more urgent by one than its own, but for the first tier, which
    /// is for what was urgent from the start. Never if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalate_after: Option<u32>,
}

impl Retry {
    /// The attempts that it allows at the most, whatever the kinds of failures.
    pub(crate) fn most(&self) -> u32 {
        let kinds = [self.kinds.transient, self.kinds.overloaded, self.kinds.unknown];
        let kinds = kinds.into_iter().flatten().filter_map(|patience| patience.attempts);
        kinds.fold(self.attempts, u32::max).max(1)
    }

    /// Allows no more attempts than these, whatever the kinds of failures.
    pub(crate) fn at_most(mut self, attempts: u32) -> Self {
        self.attempts = self.attempts.min(attempts);
        for patience in [&mut self.kinds.transient, &mut self.kinds.overloaded, &mut self.kinds.unknown] {
            if let Some(Patience { attempts: Some(own), .. }) = patience {
                *own = (*own).min(attempts);
            }
        }
        self
    }
}

/// What is different for failures of each kind; a permanent failure is never tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Kinds {
    /// For transient failures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transient: Option<Patience>,
    /// For agents that have too much to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overloaded: Option<Patience>,
    /// For unknown outcomes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<Patience>,
}

impl Kinds {
    const NONE: Self = Self { transient: None, overloaded: None, unknown: None };

    /// Whether nothing is different.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.transient.is_none() && self.overloaded.is_none() && self.unknown.is_none()
    }
}

/// What is different for one kind of failure; what is not set is as for all.
///
/// ```
/// use counterpoint::task::Patience;
/// use counterpoint::{FailureKind, Retry};
/// use std::time::Duration;
///
/// let busy = Patience::default().with_attempts(10).with_base(Duration::from_secs(2));
/// let retry = Retry::default().with_kind(FailureKind::Overloaded, busy);
/// assert_eq!(retry.for_kind(FailureKind::Overloaded).attempts, 10);
/// assert_eq!(retry.for_kind(FailureKind::Transient).attempts, 3);
/// assert_eq!(retry.for_kind(FailureKind::Permanent).attempts, 1);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Patience {
    /// A failure of this kind ends the task if it was this attempt or a later one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// The ceiling of the first delay.
    #[serde(with = "crate::base::time::span::option", skip_serializing_if = "Option::is_none")]
    pub base: Option<Duration>,
    /// The ceiling of every delay.
    #[serde(with = "crate::base::time::span::option", skip_serializing_if = "Option::is_none")]
    pub cap: Option<Duration>,
}

impl Patience {
    /// Sets the attempts.
    #[must_use]
    pub const fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// Sets the ceiling of the first delay.
    #[must_use]
    pub const fn with_base(mut self, base: Duration) -> Self {
        self.base = Some(base);
        self
    }

    /// Sets the ceiling of every delay.
    #[must_use]
    pub const fn with_cap(mut self, cap: Duration) -> Self {
        self.cap = Some(cap);
        self
    }
}

impl Retry {
    const DEFAULT: Self = Self {
        attempts: 3,
        base: Duration::from_millis(100),
        cap: Duration::from_secs(30),
        jitter: Jitter::Full,
        in_doubt: InDoubt::Count,
        kinds: Kinds::NONE,
        escalate_after: None,
    };

    /// One attempt and no more.
    #[must_use]
    pub const fn never() -> Self {
        Self { attempts: 1, ..Self::DEFAULT }
    }

    /// So many attempts, with full jitter below `base`, `2 * base`, `4 * base` and so on up to `cap`.
    #[must_use]
    pub const fn exponential(attempts: u32, base: Duration, cap: Duration) -> Self {
        Self { attempts, base, cap, ..Self::DEFAULT }
    }

    /// Sets what an attempt with an unknown outcome means.
    #[must_use]
    pub const fn with_in_doubt(mut self, in_doubt: InDoubt) -> Self {
        self.in_doubt = in_doubt;
        self
    }

    /// Sets what is different for failures of a kind. There is nothing to set for permanent ones.
    #[must_use]
    pub const fn with_kind(mut self, kind: FailureKind, patience: Patience) -> Self {
        match kind {
            FailureKind::Transient => self.kinds.transient = Some(patience),
            FailureKind::Overloaded => self.kinds.overloaded = Some(patience),
            FailureKind::Unknown => self.kinds.unknown = Some(patience),
            FailureKind::Permanent => {}
        }
        self
    }

    /// The retries after a failure of this kind.
    #[must_use]
    pub fn for_kind(&self, kind: FailureKind) -> Self {
        let patience = match kind {
            FailureKind::Transient => self.kinds.transient,
            FailureKind::Overloaded => self.kinds.overloaded,
            FailureKind::Unknown => self.kinds.unknown,
            FailureKind::Permanent => Some(Patience::default().with_attempts(1)),
        };
        let patience = patience.unwrap_or_default();
        Self {
            attempts: patience.attempts.unwrap_or(self.attempts),
            base: patience.base.unwrap_or(self.base),
            cap: patience.cap.unwrap_or(self.cap),
            kinds: Kinds::NONE,
            ..self.clone()
        }
    }

    /// Sets after how many failed attempts each it waits in a more urgent tier.
    #[must_use]
    pub const fn with_escalate_after(mut self, failures: u32) -> Self {
        self.escalate_after = Some(failures);
        self
    }

    /// In which tier a task of this one waits after so many failed attempts.
    #[must_use]
    pub fn tier_after(&self, own: Tier, failures: u32) -> Tier {
        let Some(steps) = self.escalate_after.and_then(|every| failures.checked_div(every)) else { return own };
        let up = usize::try_from(steps).unwrap_or(usize::MAX);
        let first = Tier::High.index().min(own.index());
        Tier::ALL.get(own.index().saturating_sub(up).max(first)).copied().unwrap_or(own)
    }

    /// Sets how a delay is drawn.
    #[must_use]
    pub const fn with_jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }
}

impl Default for Retry {
    /// Three attempts, from 100 ms up to 30 s, full jitter.
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// How a delay is drawn below its ceiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Jitter {
    /// Evenly between nothing and the ceiling: spreads a crowd best.
    #[default]
    Full,
    /// Evenly between half the ceiling and the ceiling.
    Equal,
    /// Evenly between `base` and three times the delay before, up to `cap`: spreads a crowd and is never shorter than
    /// `base`. As if drawn afresh each time: the delays of one task depend on the number of its attempts alone.
    Decorrelated,
    /// The ceiling itself.
    None,
}

/// What an attempt with an unknown outcome means for the attempts that are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InDoubt {
    /// It counts like any other.
    #[default]
    Count,
    /// Once an outcome is unknown, the task is tried until it succeeds or fails for good: agents recognise the task by its
    /// id and do it once. The pivot of a saga is tried so.
    Insist,
}

/// Where a task goes when its attempts are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Exhausted {
    /// To the dead letters, from which an operator may replay it.
    #[default]
    DeadLetter,
    /// It fails and is done with.
    Fail,
}
