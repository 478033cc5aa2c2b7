//! What a node can wait for: signals, times and decisions of people. Also rules for signals, and milestones.

use super::{Condition, Expr};
use crate::base::name::Name;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// One of the options of a race.
///
/// ```
/// use counterpoint::definition::{Condition, Decision, Expr, WaitFor, RaceOption};
/// use std::time::Duration;
///
/// // The first of: a signal of the customer about this order, a decision of a manager, or the end of the day.
/// let mine = Condition::equal(Expr::Item.at("/order"), Expr::Input.at("/order"));
/// let offers = [
///     RaceOption::new("withdrawn", WaitFor::signal("withdraw").matching(mine)),
///     RaceOption::new("decision", Decision::by("manager", ["approve", "reject"]).into()),
///     RaceOption::new("late", WaitFor::After(Duration::from_secs(86_400))),
/// ];
/// assert_eq!(offers[0].name, "withdrawn");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RaceOption {
    /// The name by which links refer to the option ([`On::Case`](super::On::Case)). For a decision, links name the option
    /// that was chosen in it.
    pub name: Name,
    /// What the race waits for.
    pub on: WaitFor,
}

impl RaceOption {
    /// An option of this name.
    #[must_use]
    pub fn new(name: impl Into<Name>, on: WaitFor) -> Self {
        Self { name: name.into(), on }
    }
}

/// What an option of a race waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WaitFor {
    /// A signal arrives.
    Signal {
        /// The name of the signal.
        signal: Name,
        /// The correlation: a condition on the content of the signal, given as [`Expr::Item`]. Signals that do not meet it
        /// are left for other nodes.
        #[serde(default = "anything", skip_serializing_if = "is_anything")]
        matching: Condition,
    },
    /// A span of time has passed since the node began to wait.
    After(#[serde(with = "crate::base::time::span")] Duration),
    /// A time is reached, given as a [`Time`](crate::Time): a number of nanoseconds since the host's epoch.
    At(Expr),
    /// A condition holds. It is evaluated when the node begins to wait, and again when a variable that the node sees may have changed:
    /// by an update from outside, or by the end of a node before it. It can read what the input of the node can read.
    When(Condition),
    /// A person has decided.
    Decision(Box<Decision>),
}

const fn anything() -> Condition {
    Condition::True
}

fn is_anything(condition: &Condition) -> bool {
    *condition == Condition::True
}

impl WaitFor {
    /// Waits for a signal of this name.
    #[must_use]
    pub fn signal(name: impl Into<Name>) -> Self {
        Self::Signal { signal: name.into(), matching: Condition::True }
    }

    /// Accepts only signals whose content meets the condition. Has no effect on other variants.
    #[must_use]
    pub fn matching(self, condition: Condition) -> Self {
        match self {
            Self::Signal { signal, .. } => Self::Signal { signal, matching: condition },
            Self::After(_) | Self::At(_) | Self::When(_) | Self::Decision(_) => self,
        }
    }
}

impl From<Decision> for WaitFor {
    fn from(decision: Decision) -> Self {
        Self::Decision(Box::new(decision))
    }
}

/// A decision of a person. The host authenticates the person and supplies their roles; the engine checks that they may
/// decide.
///
/// ```
/// use counterpoint::definition::Decision;
/// use std::time::Duration;
///
/// let release = Decision::by("editor", ["publish", "return"])
///     .escalated(Duration::from_secs(3_600), "chief editor")
///     .not_by_decider_of("draft");
/// assert_eq!(release.options.len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Decision {
    /// The role that may decide.
    pub role: Name,
    /// The options of the decision. Links refer to them by name ([`On::Case`](super::On::Case)).
    pub options: Vec<Name>,
    /// Further roles that may decide after a time without a decision, ordered by that time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalation: Vec<Escalation>,
    /// The four-eyes principle: a person who decided one of these nodes may not decide this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_by: Vec<Name>,
}

impl Decision {
    /// A decision between these options by a person with this role.
    #[must_use]
    pub fn by<N: Into<Name>>(role: impl Into<Name>, options: impl IntoIterator<Item = N>) -> Self {
        let options = options.into_iter().map(Into::into).collect();
        Self { role: role.into(), options, escalation: Vec::new(), not_by: Vec::new() }
    }

    /// Lets people with another role decide as well after a time without a decision.
    #[must_use]
    pub fn escalated(mut self, after: Duration, role: impl Into<Name>) -> Self {
        self.escalation.push(Escalation { after, role: role.into() });
        self
    }

    /// Excludes the person who decided `node`.
    #[must_use]
    pub fn not_by_decider_of(mut self, node: impl Into<Name>) -> Self {
        self.not_by.push(node.into());
        self
    }

    /// The roles that may decide after `level` steps of escalation.
    pub(crate) fn roles(&self, level: u32) -> impl Iterator<Item = &Name> {
        let more = self.escalation.iter().take(level as usize).map(|step| &step.role);
        core::iter::once(&self.role).chain(more)
    }
}

/// A step of escalation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Escalation {
    /// The time without a decision.
    #[serde(with = "crate::base::time::span")]
    pub after: Duration,
    /// The role that may decide from then on, in addition to the others.
    pub role: Name,
}

/// How a run treats signals of one name. Without a rule, a signal is kept until a node takes it. (WCP 24)
///
/// ```
/// use counterpoint::definition::SignalRule;
/// use std::time::Duration;
///
/// let tick = SignalRule::new("tick").transient();
/// let bid = SignalRule::new("bid").kept_for(Duration::from_secs(60)).max_kept(10);
/// assert!(tick.transient && bid.max_kept == Some(10));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SignalRule {
    /// The name of the signals.
    pub name: Name,
    /// Whether a signal is dropped if no node waits for it when it arrives. (WCP 23)
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub transient: bool,
    /// How long a signal is kept that no node takes.
    #[serde(with = "crate::base::time::span::option", default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
    /// How many signals are kept at a time; further ones are rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_kept: Option<u32>,
}

impl SignalRule {
    /// Keeps signals of this name until a node takes them.
    #[must_use]
    pub fn new(name: impl Into<Name>) -> Self {
        Self { name: name.into(), transient: false, ttl: None, max_kept: None }
    }

    /// Drops signals for which no node waits.
    #[must_use]
    pub const fn transient(mut self) -> Self {
        self.transient = true;
        self
    }

    /// Bounds how long a signal is kept.
    #[must_use]
    pub const fn kept_for(mut self, span: Duration) -> Self {
        self.ttl = Some(span);
        self
    }

    /// Bounds how many signals are kept at a time.
    #[must_use]
    pub const fn max_kept(mut self, count: u32) -> Self {
        self.max_kept = Some(count);
        self
    }
}

/// The stretch of the run in which a node may start: after one node has succeeded, and until another starts. Starting a node
/// does not use the milestone up: any number of nodes may have the same one. (WCP 18)
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Milestone {
    /// The node that must have succeeded. If it ends otherwise, the node with the milestone is skipped.
    pub after: Name,
    /// The node that must not have started or been cancelled. If it has, the node with the milestone is skipped. A node with
    /// a milestone that has already started goes on.
    pub until: Name,
}

impl Milestone {
    /// The stretch after one node has succeeded and until another starts.
    #[must_use]
    pub fn between(after: impl Into<Name>, until: impl Into<Name>) -> Self {
        Self { after: after.into(), until: until.into() }
    }
}
