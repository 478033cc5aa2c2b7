//! Retries and timeouts of tasks.

use super::{CodePattern, Failure, FailureKind, Failures, Tier};
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
/// There are five time limits: the *attempt timeout* bounds one attempt, whose outcome is then unknown; the *heartbeat
/// timeout* bounds the time between two heartbeats of an attempt; the *queue timeout* bounds the wait; the *total timeout*
/// bounds the whole task with its retries; the task's *deadline* is an instant and not a duration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy(Option<Arc<Rules>>);

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Rules {
    retry: Retry,
    #[serde(with = "crate::base::time::span::option", skip_serializing_if = "Option::is_none")]
    attempt_timeout: Option<Duration>,
    #[serde(with = "crate::base::time::span::option", skip_serializing_if = "Option::is_none")]
    heartbeat_timeout: Option<Duration>,
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

    /// Bounds the time between two heartbeats of an attempt, and from its start to the first one. When the time is over without
    /// a heartbeat, the attempt fails with an unknown outcome and the code
    /// [`HEARTBEAT_TIMEOUT`](super::codes::HEARTBEAT_TIMEOUT), and the task is assigned again. It suits long attempts: a lost
    /// one is noticed after this time, and not after the attempt timeout.
    #[must_use]
    pub fn with_heartbeat_timeout(self, span: Duration) -> Self {
        self.with(|rules| rules.heartbeat_timeout = Some(span))
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

    /// The heartbeat timeout.
    #[must_use]
    pub fn heartbeat_timeout(&self) -> Option<Duration> {
        self.0.as_ref()?.heartbeat_timeout
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

canonical!(Rules { retry, attempt_timeout, heartbeat_timeout, queue_timeout, total_timeout } beside { exhausted });
canonical!(Retry { base, cap, rules } beside { attempts, factor_permille, jitter, in_doubt, escalate_after });
canonical!(RetryRule { base, cap } beside { on, attempts, factor_permille, jitter });

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

/// Retries with exponential backoff: `base * factor^k` up to `cap`, with jitter. Rules specify other retries for some failures.
///
/// ```
/// use counterpoint::task::RetryRule;
/// use counterpoint::{Failure, FailureKind, Retry};
/// use std::time::Duration;
///
/// // Up to twelve attempts: three failures of the card terminal, ten of overloaded agents, and two others.
/// let second = Duration::from_secs(1);
/// let retry = Retry::default()
///     .with_attempts(12)
///     .with_rule(RetryRule::on("terminal.*", 3).with_backoff(second, 1_500, 10 * second))
///     .with_rule(RetryRule::on(FailureKind::Overloaded, 10))
///     .with_rule(RetryRule::any(2));
/// let failure = Failure::transient("no answer").with_code("terminal.offline");
/// assert_eq!(retry.rule_for(&failure), Some(0));
/// assert_eq!(retry.rule_for(&Failure::transient("no route")), Some(2));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Retry {
    /// The number of attempts, including the first, whatever their failures; 0 counts as 1.
    pub attempts: u32,
    /// The upper bound of the first delay.
    #[serde(with = "crate::base::time::span")]
    pub base: Duration,
    /// The factor between the upper bounds of consecutive delays, in thousandths: 2,000 doubles them.
    #[serde(skip_serializing_if = "is_double")]
    pub factor_permille: u32,
    /// The upper bound of every delay.
    #[serde(with = "crate::base::time::span")]
    pub cap: Duration,
    /// How a delay is drawn below its upper bound.
    pub jitter: Jitter,
    /// How an unknown outcome counts.
    pub in_doubt: InDoubt,
    /// Retries for some failures: the first rule that matches a failure applies to it. For a failure without a rule, the
    /// settings above apply. A permanent failure is never tried again, whatever the rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RetryRule>,
    /// After every this many failed attempts the task waits in the next more urgent tier, except for the first tier,
    /// which contains only tasks submitted to it. Without a value the tier never changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalate_after: Option<u32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_double(factor: &u32) -> bool {
    *factor == DOUBLE
}

/// The default factor between delays.
const DOUBLE: u32 = 2_000;

/// The retries after some failures, with a count of its own: the failures of other rules do not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetryRule {
    /// The failures that the rule applies to, by kind and by code.
    pub on: Failures,
    /// The number of attempts that may fail with such a failure: the last of them ends the task. 0 counts as 1. The number of
    /// attempts of the whole task ([`Retry::attempts`]) applies, too.
    pub attempts: u32,
    /// The upper bound of the delay after the first such failure.
    #[serde(with = "crate::base::time::span")]
    pub base: Duration,
    /// The factor between the upper bounds of consecutive delays, in thousandths.
    #[serde(skip_serializing_if = "is_double")]
    pub factor_permille: u32,
    /// The upper bound of every delay.
    #[serde(with = "crate::base::time::span")]
    pub cap: Duration,
    /// How a delay is drawn below its upper bound.
    pub jitter: Jitter,
}

impl Default for RetryRule {
    /// All failures, with the attempts and delays of [`Retry::default`].
    fn default() -> Self {
        let Retry { attempts, base, factor_permille, cap, jitter, .. } = Retry::DEFAULT;
        Self { on: Failures::any(), attempts, base, factor_permille, cap, jitter }
    }
}

impl RetryRule {
    /// A rule for these failures: of a kind, or with a code or the beginning of codes.
    #[must_use]
    pub fn on(failures: impl Into<Failures>, attempts: u32) -> Self {
        Self { on: failures.into(), attempts, ..Self::default() }
    }

    /// A rule for all failures. Rules after it never apply.
    #[must_use]
    pub fn any(attempts: u32) -> Self {
        Self { attempts, ..Self::default() }
    }

    /// Sets the delays: the upper bound of the first one, the factor between consecutive ones in thousandths, and the upper
    /// bound of all.
    #[must_use]
    pub const fn with_backoff(mut self, base: Duration, factor_permille: u32, cap: Duration) -> Self {
        (self.base, self.factor_permille, self.cap) = (base, factor_permille, cap);
        self
    }

    /// Sets how a delay is drawn.
    #[must_use]
    pub const fn with_jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }
}

impl Retry {
    /// The largest number of attempts.
    pub(crate) fn most(&self) -> u32 {
        self.attempts.max(1)
    }

    /// Bounds the number of attempts.
    pub(crate) fn at_most(mut self, attempts: u32) -> Self {
        self.attempts = self.attempts.min(attempts);
        self
    }

    /// The first code of a rule that no failure can have.
    pub(crate) fn bad_code(&self) -> Option<&CodePattern> {
        self.rules.iter().find_map(|rule| rule.on.bad_code())
    }
}

impl Retry {
    const DEFAULT: Self = Self {
        attempts: 3,
        base: Duration::from_millis(100),
        factor_permille: DOUBLE,
        cap: Duration::from_secs(30),
        jitter: Jitter::Full,
        in_doubt: InDoubt::Count,
        rules: Vec::new(),
        escalate_after: None,
    };

    /// A single attempt.
    #[must_use]
    pub const fn never() -> Self {
        Self::DEFAULT.with_attempts(1)
    }

    /// This many attempts, with full jitter below `base`, `2 * base`, `4 * base` and so on up to `cap`.
    #[must_use]
    pub const fn exponential(attempts: u32, base: Duration, cap: Duration) -> Self {
        let mut retry = Self::DEFAULT.with_attempts(attempts);
        (retry.base, retry.cap) = (base, cap);
        retry
    }

    /// Sets how an unknown outcome counts.
    #[must_use]
    pub const fn with_in_doubt(mut self, in_doubt: InDoubt) -> Self {
        self.in_doubt = in_doubt;
        self
    }

    /// Sets the number of attempts, including the first, whatever their failures.
    #[must_use]
    pub const fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets the factor between the upper bounds of consecutive delays, in thousandths.
    #[must_use]
    pub const fn with_factor_permille(mut self, factor: u32) -> Self {
        self.factor_permille = factor;
        self
    }

    /// Adds a rule after those that were added before.
    #[must_use]
    pub fn with_rule(mut self, rule: RetryRule) -> Self {
        self.rules.push(rule);
        self
    }

    /// The index of the rule that applies to a failure, if there is one.
    #[must_use]
    pub fn rule_for(&self, failure: &Failure) -> Option<usize> {
        if failure.kind == FailureKind::Permanent {
            return None;
        }
        self.rules.iter().position(|rule| rule.on.matches(failure))
    }

    /// Counts a failure of the `tries`-th attempt: `before` is the number of earlier failures of a rule.
    pub(crate) fn count(&self, failure: &Failure, tries: u32, before: impl FnOnce(usize) -> u32) -> Counted {
        let rule = self.rule_for(failure);
        let failed = rule.map_or(tries, |rule| before(rule).saturating_add(1));
        let settings = self.by_rule(rule);
        let is_last = tries >= self.most() || failed >= settings.most();
        Counted { rule, failed, settings, is_last }
    }

    /// The retries after a failure with this rule, as settings without rules; without a rule these settings.
    #[must_use]
    pub fn by_rule(&self, rule: Option<usize>) -> Self {
        let mut settings = Self { rules: Vec::new(), ..self.clone() };
        if let Some(rule) = rule.and_then(|index| self.rules.get(index)) {
            let RetryRule { on: _, attempts, base, factor_permille, cap, jitter } = rule;
            (settings.attempts, settings.base, settings.factor_permille) = (*attempts, *base, *factor_permille);
            (settings.cap, settings.jitter) = (*cap, *jitter);
        }
        settings
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

/// A failure among those that a [`Retry`] counts.
pub(crate) struct Counted {
    /// The rule that applies.
    pub(crate) rule: Option<usize>,
    /// The number of the failure among those of its rule; without a rule, among all.
    pub(crate) failed: u32,
    /// The retries after it, without rules.
    pub(crate) settings: Retry,
    /// Whether no other attempt follows.
    pub(crate) is_last: bool,
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
