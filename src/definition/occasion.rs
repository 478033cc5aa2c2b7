//! What a node can wait for: signals, moments, and people who decide.

use super::{Condition, Expr};
use crate::name::Name;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// One of the things that a race waits for.
///
/// ```
/// use counterpoint::definition::{Condition, Decision, Expr, Occasion, Offer};
/// use std::time::Duration;
///
/// // Whatever comes first: the customer's word about this order, somebody's decision, or the end of the day.
/// let mine = Condition::equal(Expr::Item.at("/order"), Expr::Input.at("/order"));
/// let offers = [
///     Offer::new("withdrawn", Occasion::signal("withdraw").matching(mine)),
///     Offer::new("decision", Decision::by("manager", ["approve", "reject"]).into()),
///     Offer::new("late", Occasion::After(Duration::from_secs(86_400))),
/// ];
/// assert_eq!(offers[0].name, "withdrawn");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Offer {
    /// What links call it ([`On::Case`](super::On::Case)); for a decision they name the option.
    pub name: Name,
    /// What has to happen.
    pub on: Occasion,
}

impl Offer {
    /// Something to wait for, by this name.
    #[must_use]
    pub fn new(name: impl Into<Name>, on: Occasion) -> Self {
        Self { name: name.into(), on }
    }
}

/// Something that can happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Occasion {
    /// A signal comes.
    Signal {
        /// Its name.
        signal: Name,
        /// The correlation: which signals of that name are meant, asked of what they bring, as [`Expr::Item`]. Others are left
        /// for whoever else waits for them.
        #[serde(default = "anything", skip_serializing_if = "is_anything")]
        matching: Condition,
    },
    /// A while has passed since the node began to wait.
    After(#[serde(with = "crate::time::span")] Duration),
    /// A moment has come, given as a [`Time`](crate::Time): a number of nanoseconds since the host's epoch.
    At(Expr),
    /// Somebody has decided.
    Decision(Box<Decision>),
}

const fn anything() -> Condition {
    Condition::True
}

fn is_anything(condition: &Condition) -> bool {
    *condition == Condition::True
}

impl Occasion {
    /// A signal of this name comes.
    #[must_use]
    pub fn signal(name: impl Into<Name>) -> Self {
        Self::Signal { signal: name.into(), matching: Condition::True }
    }

    /// Means only signals whose content meets this condition. Nothing but a signal is changed by it.
    #[must_use]
    pub fn matching(self, condition: Condition) -> Self {
        match self {
            Self::Signal { signal, .. } => Self::Signal { signal, matching: condition },
            Self::After(_) | Self::At(_) | Self::Decision(_) => self,
        }
    }
}

impl From<Decision> for Occasion {
    fn from(decision: Decision) -> Self {
        Self::Decision(Box::new(decision))
    }
}

/// Something that people decide. The host says who speaks and which roles they have; the engine sees to it that they may.
///
/// ```
/// use counterpoint::definition::Decision;
/// use std::time::Duration;
///
/// let release = Decision::by("editor", ["publish", "return"])
///     .escalated(Duration::from_secs(3_600), "chief editor")
///     .not_by_the_one_of("draft");
/// assert_eq!(release.options.len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Decision {
    /// Who may decide: everybody with this role.
    pub role: Name,
    /// What they may decide for. Links call these by name ([`On::Case`](super::On::Case)).
    pub options: Vec<Name>,
    /// Who else may, after a while without a decision, in the order of the whiles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalation: Vec<Escalation>,
    /// Four eyes: whoever decided these nodes may not decide this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_by: Vec<Name>,
}

impl Decision {
    /// A decision of somebody with this role between these options.
    #[must_use]
    pub fn by<N: Into<Name>>(role: impl Into<Name>, options: impl IntoIterator<Item = N>) -> Self {
        let options = options.into_iter().map(Into::into).collect();
        Self { role: role.into(), options, escalation: Vec::new(), not_by: Vec::new() }
    }

    /// Lets those with this role decide as well, when nobody has after this while.
    #[must_use]
    pub fn escalated(mut self, after: Duration, role: impl Into<Name>) -> Self {
        self.escalation.push(Escalation { after, role: role.into() });
        self
    }

    /// Keeps it from whoever decided that node.
    #[must_use]
    pub fn not_by_the_one_of(mut self, node: impl Into<Name>) -> Self {
        self.not_by.push(node.into());
        self
    }

    /// The roles that may decide after so many steps of escalation.
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
    /// After how long without a decision.
    #[serde(with = "crate::time::span")]
    pub after: Duration,
    /// Who may decide from then on, too.
    pub role: Name,
}

/// How a run treats signals of a name that it is sent. Without one a signal is kept until somebody takes it. (WCP 24)
///
/// ```
/// use counterpoint::definition::SignalRule;
/// use std::time::Duration;
///
/// let tick = SignalRule::new("tick").transient();
/// let bid = SignalRule::new("bid").kept_for(Duration::from_secs(60)).at_most(10);
/// assert!(tick.transient && bid.most == Some(10));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SignalRule {
    /// Of the signals.
    pub name: Name,
    /// Whether a signal is lost if nobody waits for it at that moment. (WCP 23)
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub transient: bool,
    /// How long a signal is kept that nobody takes.
    #[serde(with = "crate::time::span::option", default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
    /// How many are kept; more are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<u32>,
}

impl SignalRule {
    /// Signals of this name, kept until taken.
    #[must_use]
    pub fn new(name: impl Into<Name>) -> Self {
        Self { name: name.into(), transient: false, ttl: None, most: None }
    }

    /// Lost if nobody waits for them.
    #[must_use]
    pub const fn transient(mut self) -> Self {
        self.transient = true;
        self
    }

    /// Kept no longer than this.
    #[must_use]
    pub const fn kept_for(mut self, span: Duration) -> Self {
        self.ttl = Some(span);
        self
    }

    /// Kept no more than so many at a time.
    #[must_use]
    pub const fn at_most(mut self, count: u32) -> Self {
        self.most = Some(count);
        self
    }
}

/// A stretch of the run in which a node may start: after one node has succeeded, and until another starts. The state is
/// tested and not used up: any number of nodes may have the same milestone. (WCP 18)
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Milestone {
    /// The node that must have succeeded. If it ends otherwise, the node with the milestone is skipped.
    pub after: Name,
    /// The node that must not have started or been withdrawn. If it has, the node with the milestone is skipped; if that
    /// has started by then, it goes on.
    pub until: Name,
}

impl Milestone {
    /// After one node, and until another.
    #[must_use]
    pub fn between(after: impl Into<Name>, until: impl Into<Name>) -> Self {
        Self { after: after.into(), until: until.into() }
    }
}
