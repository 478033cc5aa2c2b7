//! Retries and timeouts of tasks.

use super::{FailureKind, Tier};
use crate::base::canonical::{Canonical, canonical};
use core::time::Duration;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;

/// Retries and timeouts of a task. Cloning increments a reference count; the default allocates nothing.
///
/// A setting with its default value is the same as none:
///
/// ```
/// use counterpoint::{Policy, Retry};
///
/// assert_eq!(Policy::default().with_retry(Retry::default()), Policy::default());
/// ```
///
/// There are four time limits: the *attempt timeout* bounds one attempt, whose outcome is then unknown; the *queue
/// timeout* bounds the wait; the *total timeout* bounds the whole task with its retries; the task's *deadline* is an
/// instant and not a duration.
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
    fn of(rules: Rules) -> Self {
        Self((rules != Rules::default()).then(|| Arc::new(rules)))
    }

    /// Sets the retries.
    #[must_use]
    pub fn with_retry(self, retry: Retry) -> Self {
        self.with(|rules| rules.retry = retry)
    }

    /// Bounds each attempt. When the time is over, the outcome of the attempt is unknown and the task is assigned
    /// again.
    #[must_use]
    pub fn with_attempt_timeout(self, span: Duration) -> Self {
        self.with(|rules| rules.attempt_timeout = Some(span))
    }

    /// Bounds the wait since the submit: a task that waits at the end of this time, for its first attempt or another,
    /// expires.
    #[must_use]
    pub fn with_queue_timeout(self, span: Duration) -> Self {
        self.with(|rules| rules.queue_timeout = Some(span))
    }

    /// Bounds the time from submit to end: a task that has not succeeded by then expires, even if an attempt is under
    /// way.
    #[must_use]
    pub fn with_total_timeout(self, span: Duration) -> Self {
        self.with(|rules| rules.total_timeout = Some(span))
    }

    /// Sets the outcome of a task whose attempts are used up.
    #[must_use]
    pub fn with_exhausted(self, exhausted: Exhausted) -> Self {
        self.with(|rules| rules.exhausted = exhausted)
    }

    /// The retries.
    #[must_use]
    pub fn retry(&self) -> &Retry {
        self.0.as_ref().map_or(&DEFAULT_RETRY, |rules| &rules.retry)
    }

    /// The attempt timeout.
    #[must_use]
    pub fn attempt_timeout(&self) -> Option<Duration> {
        self.0.as_ref()?.attempt_timeout
    }

    /// The queue timeout.
    #[must_use]
    pub fn queue_timeout(&self) -> Option<Duration> {
        self.0.as_ref()?.queue_timeout
    }

    /// The total timeout.
    #[must_use]
    pub fn total_timeout(&self) -> Option<Duration> {
        self.0.as_ref()?.total_timeout
    }

    /// The outcome of a task whose attempts are used up.
    #[must_use]
    pub fn exhausted(&self) -> Exhausted {
        self.0.as_ref().map_or(Exhausted::DeadLetter, |rules| rules.exhausted)
    }

    /// Whether every setting has its default.
    #[must_use]
    pub const fn is_default(&self) -> bool {
        self.0.is_none()
    }

    fn with(self, change: impl FnOnce(&mut Rules)) -> Self {
        let mut rules = self.0.map(Arc::unwrap_or_clone).unwrap_or_default();
        change(&mut rules);
        Self::of(rules)
    }
}

impl Canonical for Policy {
    fn is_canonical(&self) -> bool {
        self.0.is_canonical()
    }

    fn make_canonical(&mut self) {
        self.0.make_canonical();
    }
}

canonical!(Rules { retry, attempt_timeout, queue_timeout, total_timeout } beside { exhausted });
canonical!(Retry { base, cap, kinds } beside { attempts, jitter, in_doubt, escalate_after });
canonical!(RetryOverrides { transient, overloaded, unknown } beside {});
canonical!(RetryOverride { base, cap } beside { attempts });

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
        Rules::deserialize(from).map(Self::of)
    }
}

/// Retries with exponential backoff: `base * 2^k` up to `cap`, with jitter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Retry {
    /// The number of attempts, including the first; 0 counts as 1.
    pub attempts: u32,
    /// The upper bound of the first delay.
    #[serde(with = "crate::base::time::span")]
    pub base: Duration,
    /// The upper bound of every delay.
    #[serde(with = "crate::base::time::span")]
    pub cap: Duration,
    /// How a delay is drawn below its upper bound.
    pub jitter: Jitter,
    /// How an unknown outcome counts.
    pub in_doubt: InDoubt,
    /// Overrides for single kinds of failures.
    #[serde(default, skip_serializing_if = "RetryOverrides::is_empty")]
    pub kinds: RetryOverrides,
    /// After every this many failed attempts the task waits in the next more urgent tier, except for the first tier,
    /// which contains only tasks submitted to it. Without a value the tier never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalate_after: Option<u32>,
}

impl Retry {
    /// The largest number of attempts over all kinds of failures.
    pub(crate) fn most(&self) -> u32 {
        let kinds = [self.kinds.transient, self.kinds.overloaded, self.kinds.unknown];
        let kinds = kinds.into_iter().flatten().filter_map(|overrides| overrides.attempts);
        kinds.fold(self.attempts, u32::max).max(1)
    }

    /// Bounds the number of attempts for all kinds of failures.
    pub(crate) fn at_most(mut self, attempts: u32) -> Self {
        self.attempts = self.attempts.min(attempts);
        for overrides in [&mut self.kinds.transient, &mut self.kinds.overloaded, &mut self.kinds.unknown] {
            if let Some(RetryOverride { attempts: Some(own), .. }) = overrides {
                *own = (*own).min(attempts);
            }
        }
        self
    }
}

/// Overrides for single kinds of failures. A permanent failure is never tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetryOverrides {
    /// For transient failures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transient: Option<RetryOverride>,
    /// For overloaded agents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overloaded: Option<RetryOverride>,
    /// For unknown outcomes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<RetryOverride>,
}

impl RetryOverrides {
    const NONE: Self = Self { transient: None, overloaded: None, unknown: None };

    /// Whether there are no overrides.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.transient.is_none() && self.overloaded.is_none() && self.unknown.is_none()
    }
}

/// Overrides of the retries for one kind of failure; settings that are absent are as for all kinds.
///
/// ```
/// use counterpoint::task::RetryOverride;
/// use counterpoint::{FailureKind, Retry};
/// use std::time::Duration;
///
/// let busy = RetryOverride::default().with_attempts(10).with_base(Duration::from_secs(2));
/// let retry = Retry::default().with_kind(FailureKind::Overloaded, busy);
/// assert_eq!(retry.for_kind(FailureKind::Overloaded).attempts, 10);
/// assert_eq!(retry.for_kind(FailureKind::Transient).attempts, 3);
/// assert_eq!(retry.for_kind(FailureKind::Permanent).attempts, 1);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetryOverride {
    /// A failure of this kind ends the task if this attempt or a later one had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// The upper bound of the first delay.
    #[serde(with = "crate::base::time::span::option", skip_serializing_if = "Option::is_none")]
    pub base: Option<Duration>,
    /// The upper bound of every delay.
    #[serde(with = "crate::base::time::span::option", skip_serializing_if = "Option::is_none")]
    pub cap: Option<Duration>,
}

impl RetryOverride {
    /// Sets the number of attempts.
    #[must_use]
    pub const fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// Sets the upper bound of the first delay.
    #[must_use]
    pub const fn with_base(mut self, base: Duration) -> Self {
        self.base = Some(base);
        self
    }

    /// Sets the upper bound of every delay.
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
        kinds: RetryOverrides::NONE,
        escalate_after: None,
    };

    /// A single attempt.
    #[must_use]
    pub const fn never() -> Self {
        Self { attempts: 1, ..Self::DEFAULT }
    }

    /// This many attempts, with full jitter below `base`, `2 * base`, `4 * base` and so on up to `cap`.
    #[must_use]
    pub const fn exponential(attempts: u32, base: Duration, cap: Duration) -> Self {
        Self { attempts, base, cap, ..Self::DEFAULT }
    }

    /// Sets how an unknown outcome counts.
    #[must_use]
    pub const fn with_in_doubt(mut self, in_doubt: InDoubt) -> Self {
        self.in_doubt = in_doubt;
        self
    }

    /// Sets the overrides for a kind of failure. They have no effect for permanent failures.
    #[must_use]
    pub const fn with_kind(mut self, kind: FailureKind, overrides: RetryOverride) -> Self {
        match kind {
            FailureKind::Transient => self.kinds.transient = Some(overrides),
            FailureKind::Overloaded => self.kinds.overloaded = Some(overrides),
            FailureKind::Unknown => self.kinds.unknown = Some(overrides),
            FailureKind::Permanent => {}
        }
        self
    }

    /// The retries after a failure of this kind.
    #[must_use]
    pub fn for_kind(&self, kind: FailureKind) -> Self {
        let overrides = match kind {
            FailureKind::Transient => self.kinds.transient,
            FailureKind::Overloaded => self.kinds.overloaded,
            FailureKind::Unknown => self.kinds.unknown,
            FailureKind::Permanent => Some(RetryOverride::default().with_attempts(1)),
        };
        let overrides = overrides.unwrap_or_default();
        Self {
            attempts: overrides.attempts.unwrap_or(self.attempts),
            base: overrides.base.unwrap_or(self.base),
            cap: overrides.cap.unwrap_or(self.cap),
            kinds: RetryOverrides::NONE,
            ..self.clone()
        }
    }

    /// Sets the number of failed attempts after which the task waits in a more urgent tier.
    #[must_use]
    pub const fn with_escalate_after(mut self, failures: u32) -> Self {
        self.escalate_after = Some(failures);
        self
    }

    /// The tier in which a task of tier `own` waits after this many failed attempts.
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

/// How a delay is drawn below its upper bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Jitter {
    /// Uniformly between zero and the upper bound: spreads simultaneous retries best.
    #[default]
    Full,
    /// Uniformly between half the upper bound and the upper bound.
    Equal,
    /// Uniformly between `base` and three times the previous delay, up to `cap`: spreads simultaneous retries and is
    /// never shorter than `base`. The previous delay is not stored but drawn again, so the delays of a task depend on
    /// the number of its attempts alone.
    Decorrelated,
    /// The upper bound itself.
    None,
}

/// How an unknown outcome counts against the number of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InDoubt {
    /// It counts like any other failure.
    #[default]
    Count,
    /// Once an outcome is unknown, the task is tried until it succeeds or fails permanently: agents recognise the id of
    /// the task and perform it once. The pivot of a saga uses this.
    Insist,
}

/// The outcome of a task whose attempts are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Exhausted {
    /// A dead letter, which an operator may replay.
    #[default]
    DeadLetter,
    /// A failure.
    Fail,
}
