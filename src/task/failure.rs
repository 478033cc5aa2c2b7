//! Failures of attempts, and the side effects that they may have left.

use super::code::Code;
use crate::base::canonical::canonical;
use crate::base::name::Name;
use crate::base::payload::Payload;
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize, Serializer};

/// Why an attempt, a node or a run did not succeed, and whether to try again.
///
/// The kind determines whether the task is tried again. The code and the details are for programs, the message is for
/// people. A failure keeps its kind, code, message and details wherever it goes: through maps, delegated work, child runs,
/// dead letters and journals. Each node that fails with it adds its place to the [path](Self::path).
///
/// ```
/// use counterpoint::{Failure, FailureKind, Payload};
///
/// let declined = Failure::permanent("the bank said no").with_code("card.declined").with_details(Payload::of(&"limit")?);
/// assert_eq!(declined.kind, FailureKind::Permanent);
/// assert_eq!(declined.to_string(), "permanent (card.declined): the bank said no");
/// assert_eq!(Failure::transient("connection reset").to_string(), "transient: connection reset");
/// # Ok::<(), counterpoint::PayloadError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Read")]
#[non_exhaustive]
pub struct Failure {
    /// The kind, which determines whether the task is tried again.
    pub kind: FailureKind,
    /// A short name for programs, which the author of the step chooses. The library's own are in
    /// [`codes`](super::codes).
    pub code: Option<Code>,
    /// A message for people.
    pub message: Box<str>,
    /// The shortest time before the next attempt, on request of the agent.
    pub retry_after: Option<Duration>,
    /// What few failures have.
    more: Option<Box<More>>,
}

/// Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct More {
    details: Payload,
    path: Vec<Place>,
    cause: Option<Failure>,
}

impl Failure {
    /// The largest number of places of a path. A failure that goes through more nodes keeps the first ones, where it
    /// began.
    pub const MAX_PATH: usize = 64;
    /// The largest number of causes behind each other. Deeper ones are left out.
    pub const MAX_CAUSES: usize = 8;

    /// A failure that may not occur in the next attempt.
    #[must_use]
    pub fn transient(message: impl Into<String>) -> Self {
        Self::of(FailureKind::Transient, message)
    }

    /// A failure that would occur in every attempt.
    #[must_use]
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::of(FailureKind::Permanent, message)
    }

    /// An overload of the agent, with the time after which to try again.
    #[must_use]
    pub fn overloaded(message: impl Into<String>, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Self::of(FailureKind::Overloaded, message) }
    }

    /// An unknown outcome: the attempt may have had side effects.
    #[must_use]
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::of(FailureKind::Unknown, message)
    }

    pub(crate) fn of(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, code: None, message: message.into().into_boxed_str(), retry_after: None, more: None }
    }

    /// Sets the code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<Code>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Sets the details: data for programs, such as the reasons of a validation.
    #[must_use]
    pub fn with_details(mut self, details: Payload) -> Self {
        if !details.is_null() || self.more.is_some() {
            self.more.get_or_insert_default().details = details;
        }
        self.pruned()
    }

    /// Sets the failure that led to this one. Causes deeper than [`MAX_CAUSES`](Self::MAX_CAUSES) are left out.
    #[must_use]
    pub fn with_cause(mut self, cause: Self) -> Self {
        self.more.get_or_insert_default().cause = Some(cause);
        self.cut(Self::MAX_CAUSES);
        self
    }

    /// The details; null if there are none.
    #[must_use]
    pub fn details(&self) -> &Payload {
        self.more.as_ref().map_or(&Payload::NULL, |more| &more.details)
    }

    /// The nodes that failed with this failure: first the one where it began, last the one whose end carries it.
    #[must_use]
    pub fn path(&self) -> &[Place] {
        self.more.as_ref().map_or(&[], |more| &more.path)
    }

    /// The failure that led to this one.
    #[must_use]
    pub fn cause(&self) -> Option<&Self> {
        self.more.as_ref()?.cause.as_ref()
    }

    /// This failure, its cause, the cause of that, and so on.
    pub fn chain(&self) -> impl Iterator<Item = &Self> {
        core::iter::successors(Some(self), |failure| failure.cause())
    }

    /// The bytes of the messages, codes and details of the failure and its causes.
    pub(crate) fn bytes(&self) -> usize {
        self.chain().fold(0_usize, |sum, failure| {
            let code = failure.code.as_ref().map_or(0, |code| code.as_str().len());
            let own = failure.message.len().saturating_add(code);
            let own = if failure.details().is_null() { own } else { own + failure.details().bytes() as usize };
            sum.saturating_add(own)
        })
    }

    /// The nesting depth of its data: each cause is one level deeper.
    #[must_use]
    pub(crate) fn depth(&self) -> u32 {
        let depths = self.chain().zip(0_u32..).map(|(failure, level)| level.saturating_add(failure.details().depth()));
        depths.max().unwrap_or(0)
    }

    /// The failure with the place of a node that failed with it.
    pub(crate) fn through(mut self, place: Place) -> Self {
        let path = &mut self.more.get_or_insert_default().path;
        if path.len() < Self::MAX_PATH {
            path.push(place);
        }
        self
    }

    /// The failure with a cause, without those causes at the end of the chain that make it larger or deeper than this.
    pub(crate) fn caused_by(self, cause: Self, most_bytes: u32, most_depth: u32) -> Self {
        let mut failure = self.with_cause(cause);
        let mut causes = failure.chain().count();
        while causes > 1 && (failure.bytes() > most_bytes as usize || failure.depth() > most_depth) {
            causes -= 1;
            failure.cut(causes - 1);
        }
        failure
    }

    /// Drops the causes after this many.
    fn cut(&mut self, causes: usize) {
        let mut at = self;
        for _ in 0..causes {
            let Some(cause) = at.more.as_mut().and_then(|more| more.cause.as_mut()) else { return };
            at = cause;
        }
        if let Some(more) = &mut at.more {
            more.cause = None;
        }
        if at.more.as_deref() == Some(&More::default()) {
            at.more = None;
        }
    }

    fn pruned(mut self) -> Self {
        if self.more.as_deref() == Some(&More::default()) {
            self.more = None;
        }
        self
    }
}

canonical!(Failure { retry_after, more } beside { kind, code, message });
canonical!(More { cause } beside { details, path });

/// The form of a failure in journals and messages. What is absent is left out.
#[derive(Deserialize)]
struct Read {
    kind: FailureKind,
    #[serde(default)]
    code: Option<Code>,
    message: Box<str>,
    #[serde(with = "crate::base::time::span::option", default)]
    retry_after: Option<Duration>,
    #[serde(default)]
    details: Payload,
    #[serde(default)]
    path: Vec<Place>,
    #[serde(default)]
    cause: Option<Box<Failure>>,
}

impl From<Read> for Failure {
    fn from(read: Read) -> Self {
        let Read { kind, code, message, retry_after, details, path, cause } = read;
        let more = More { details, path, cause: cause.map(|cause| *cause) };
        Self { kind, code, message, retry_after, more: Some(Box::new(more)) }.pruned()
    }
}

/// The same, borrowed from the failure.
#[derive(Serialize)]
struct Written<'a> {
    kind: FailureKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a Code>,
    message: &'a str,
    #[serde(with = "crate::base::time::span::option", skip_serializing_if = "Option::is_none")]
    retry_after: Option<Duration>,
    #[serde(skip_serializing_if = "Payload::is_null")]
    details: &'a Payload,
    #[serde(skip_serializing_if = "<[Place]>::is_empty")]
    path: &'a [Place],
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a Failure>,
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self { kind, code, message, retry_after, .. } = self;
        let (details, path, cause) = (self.details(), self.path(), self.cause());
        let (kind, code, retry_after) = (*kind, code.as_ref(), *retry_after);
        Written { kind, code, message, retry_after, details, path, cause }.serialize(to)
    }
}

/// A node that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Place {
    /// The workflow of its run.
    pub workflow: Name,
    /// The node.
    pub node: Name,
    /// Where in the node the failure came from: the item of a map, the round of a repeat or of a join that starts more than
    /// once, the visit of a state, counted from 0. None for a node that works once, and for delegated work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<u32>,
}

impl Place {
    pub(crate) const fn new(workflow: Name, node: Name, instance: Option<u32>) -> Self {
        Self { workflow, node, instance }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.workflow, self.node)?;
        match self.instance {
            Some(instance) => write!(f, "[{instance}]"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{} ({code}): {}", self.kind, self.message),
            None => write!(f, "{}: {}", self.kind, self.message),
        }
    }
}

impl core::error::Error for Failure {}

/// The kind of a failure, which determines whether the task is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// No side effects; another attempt may succeed.
    Transient,
    /// No side effects; no attempt will succeed.
    Permanent,
    /// No side effects; the agent is overloaded.
    Overloaded,
    /// The outcome is unknown, after a timeout or the loss of an agent: the work may have been done. An agent that
    /// cannot determine its outcome must report this kind.
    Unknown,
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transient => "transient",
            Self::Permanent => "permanent",
            Self::Overloaded => "overloaded",
            Self::Unknown => "outcome unknown",
        })
    }
}

/// The side effects of a task that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "none, done and unknown are all there is")]
pub enum SideEffects {
    /// The task had no side effects.
    #[default]
    None,
    /// The outcome of an attempt is unknown: side effects are possible.
    Possible,
    /// The task had its side effects, with this output.
    Done(Payload),
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn place(node: &str) -> Place {
        Place::new("flow".into(), node.into(), None)
    }

    #[test]
    fn what_is_absent_is_left_out() {
        let plain = Failure::permanent("no");
        let text = serde_json::to_string(&plain).unwrap();
        assert_eq!(text, r#"{"kind":"permanent","message":"no"}"#);
        assert_eq!(serde_json::from_str::<Failure>(&text).unwrap(), plain);
        assert_eq!(plain.clone().with_details(Payload::NULL), plain);
        let set = plain.clone().with_details(Payload::new(json!(1)));
        assert_eq!(set.with_details(Payload::NULL), plain, "no details are as if there had never been any");
    }

    #[test]
    fn everything_survives_a_journal() {
        let cause = Failure::overloaded("busy", Duration::from_secs(3)).through(place("a"));
        let failure =
            Failure::permanent("no").with_code("card.declined").with_details(Payload::new(json!({"limit": 5})));
        let failure = failure.with_cause(cause).through(place("b")).through(Place { instance: Some(2), ..place("c") });
        let value = serde_json::to_value(&failure).unwrap();
        let path = json!([{"workflow": "flow", "node": "b"}, {"workflow": "flow", "node": "c", "instance": 2}]);
        assert_eq!(
            (&value["code"], &value["path"], &value["details"]),
            (&json!("card.declined"), &path, &json!({"limit": 5}))
        );
        assert_eq!(serde_json::from_value::<Failure>(value).unwrap(), failure);
        let details = failure.details().bytes() as usize;
        assert_eq!(
            (failure.depth(), failure.bytes()),
            (1, "no".len() + "card.declined".len() + details + "busy".len())
        );
    }

    #[test]
    fn causes_and_paths_are_bounded() {
        let mut failure = Failure::permanent("0");
        for number in 1..20 {
            failure = Failure::permanent(number.to_string()).with_cause(failure);
        }
        assert_eq!(failure.chain().count(), 1 + Failure::MAX_CAUSES);
        let cut = Failure::permanent("xx").caused_by(failure, 6, 9);
        assert_eq!(cut.chain().map(|one| &*one.message).collect::<Vec<_>>(), ["xx", "19", "18"]);
        let long = (0..100).fold(Failure::permanent("no"), |failure, at| failure.through(place(&at.to_string())));
        assert_eq!((long.path().len(), &*long.path()[0].node), (Failure::MAX_PATH, "0"));
    }
}
