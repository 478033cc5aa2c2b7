//! The differences between two definitions, and those that no run depends on.

use super::{Action, Body, Boundary, Definition, Node, Work};
use crate::base::canonical::Canonical;
use crate::task::{Policy, Usage};
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most differences that are listed.
const MOST: usize = 32;
/// The most characters of a value that are shown.
const SHOWN: usize = 80;

/// A part in which a definition differs from an earlier one.
///
/// ```
/// use counterpoint::definition::{Action, Body, Definition, Node, Work};
/// use counterpoint::{Policy, Retry};
/// use std::time::Duration;
///
/// let pay = |attempts: u32| {
///     let retry = Retry::exponential(attempts, Duration::from_secs(1), Duration::from_secs(60));
///     let work = Work::new("pay").with_policy(Policy::default().with_retry(retry));
///     Definition::new("order").with_node(Node::new("pay", Action::Do(Body::Task(work))))
/// };
/// assert!(pay(8).is_compatible_with(&pay(9)));
/// let differences = pay(8).differences(&pay(9));
/// assert_eq!(differences[0].path, "nodes.pay.action.do.task.policy.retry.attempts");
/// assert_eq!(differences[0].to_string(), "nodes.pay.action.do.task.policy.retry.attempts was 8 and is 9");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Difference {
    /// The place in the JSON form of the definition: the names of fields, and for elements of lists their own names,
    /// separated by dots. Ends with `…` if more places differ than are listed.
    pub path: String,
    /// The JSON text before, shortened to 80 characters; none if the part is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// The JSON text now, shortened to 80 characters; none if the part is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.was, &self.is) {
            (Some(was), Some(is)) => write!(f, "{} was {was} and is {is}", self.path),
            (Some(was), None) => write!(f, "{} was {was} and is gone", self.path),
            (None, Some(is)) => write!(f, "{} is new: {is}", self.path),
            (None, None) => f.write_str(&self.path),
        }
    }
}

impl Definition {
    /// Whether the other definition may take the place of this one under the same version. The two may differ in how the
    /// tasks of a run are attempted, and in nothing else:
    ///
    /// - in the policy of a task, a compensation or a query: retries, timeouts and what follows the last attempt; except for
    ///   [`InDoubt`](crate::task::InDoubt), which decides whether an unknown outcome can end a task;
    /// - in their needs (skills, labels, resources), their tier and their estimated usage;
    /// - in the [retries](Node::retry) of a child run, of a map, of a repeat and of the [state](super::State::retry) of a state
    ///   machine;
    /// - in the time after which a [timeout handler](super::Handler::timeout) fires.
    ///
    /// Nested workflows are compared in the same way. Which tasks a run performs, in which order, with which inputs, and what
    /// it does after each possible end of a task is then the same under both.
    #[must_use]
    pub fn is_compatible_with(&self, other: &Self) -> bool {
        let essence = |definition: &Self| {
            let mut stored = definition.essence();
            stored.make_canonical();
            stored
        };
        essence(self) == essence(other)
    }

    /// The places in which the other definition differs from this one, in the order of the fields of the JSON form. At most
    /// 32 are listed.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let json = |definition: &Self| serde_json::to_value(definition).unwrap_or_default();
        let mut search = Search::default();
        search.value(&json(self), &json(other));
        search.found
    }

    /// The definition without the parts in which compatible definitions may differ.
    fn essence(&self) -> Self {
        let mut essence = self.clone();
        essence.nodes.iter_mut().for_each(Node::reduce);
        essence
    }
}

impl Node {
    fn reduce(&mut self) {
        self.undo.iter_mut().chain(&mut self.query).for_each(Work::reduce);
        self.retry = None;
        for handler in &mut self.handlers {
            if let Boundary::Timeout(span) = &mut handler.on {
                *span = Duration::ZERO;
            }
        }
        self.action.bodies_mut().into_iter().for_each(Body::reduce);
        self.action.works_mut().into_iter().for_each(Work::reduce);
        if let Action::States(states) = &mut self.action {
            states.states.iter_mut().for_each(|state| state.retry = None);
        }
    }
}

impl Body {
    pub(super) fn reduce(&mut self) {
        match self {
            Self::Task(work) => work.reduce(),
            Self::Flow(flow) => *flow = Arc::new(flow.essence()),
            Self::Call(_) => {}
        }
    }
}

impl Work {
    /// Whether the other task is the same except for how it is attempted.
    pub(crate) fn is_compatible_with(&self, other: &Self) -> bool {
        let essence = |work: &Self| {
            let mut essence = work.clone();
            essence.reduce();
            essence
        };
        essence(self) == essence(other)
    }

    fn reduce(&mut self) {
        // Each field by name: of a new one it has to be decided whether runs depend on it.
        let Self { kind: _, needs, tier, policy, estimate, overrides } = self;
        let retry = Policy::default().retry().clone().with_in_doubt(policy.retry().in_doubt);
        (*needs, *tier, *estimate, *overrides) = (None, None, Usage::default(), None);
        *policy = Policy::default().with_retry(retry);
    }
}

/// A search for the differences between two values.
#[derive(Default)]
struct Search {
    path: Vec<String>,
    found: Vec<Difference>,
}

impl Search {
    fn value(&mut self, was: &Value, is: &Value) {
        if was == is || self.found.len() >= MOST {
            return;
        }
        if let (Value::Object(was), Value::Object(is)) = (was, is) {
            return self.fields(was, is);
        }
        match (Elements::of(was), Elements::of(is)) {
            (Some(was), Some(is)) => self.elements(&was, &is),
            (Some(_) | None, _) => self.note(Some(was), Some(is)),
        }
    }

    fn fields(&mut self, was: &Map<String, Value>, is: &Map<String, Value>) {
        let fields: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
        for field in fields {
            self.part(field, was.get(field), is.get(field));
        }
    }

    /// Compares two lists whose elements have names.
    fn elements(&mut self, was: &Elements<'_>, is: &Elements<'_>) {
        for (name, value) in &was.all {
            self.part(name, Some(value), is.get(name));
        }
        for (name, value) in is.all.iter().filter(|(name, _)| was.get(name).is_none()) {
            self.part(name, None, Some(value));
        }
        if !was.all.iter().filter_map(|(name, _)| is.places.get(name)).is_sorted() {
            self.part("(order)", Some(&was.order()), Some(&is.order()));
        }
    }

    fn part(&mut self, name: &str, was: Option<&Value>, is: Option<&Value>) {
        self.path.push(name.to_owned());
        match (was, is) {
            (Some(was), Some(is)) => self.value(was, is),
            (was, is) => self.note(was, is),
        }
        self.path.pop();
    }

    fn note(&mut self, was: Option<&Value>, is: Option<&Value>) {
        match self.found.len() {
            MOST.. => {}
            len if len + 1 == MOST => {
                self.found.push(Difference { path: "…".to_owned(), was: None, is: None });
            }
            _ => self.found.push(Difference { path: self.path.join("."), was: was.map(text), is: is.map(text) }),
        }
    }
}

/// The elements of a list by their names.
struct Elements<'v> {
    all: Vec<(&'v str, &'v Value)>,
    places: BTreeMap<&'v str, usize>,
}

impl<'v> Elements<'v> {
    /// None if an element has no name, or two have the same.
    fn of(value: &'v Value) -> Option<Self> {
        let named = |value: &'v Value| Some((value.get("name")?.as_str()?, value));
        let all: Vec<(&str, &Value)> = value.as_array()?.iter().map(named).collect::<Option<_>>()?;
        let places: BTreeMap<&str, usize> = all.iter().enumerate().map(|(at, (name, _))| (*name, at)).collect();
        (places.len() == all.len()).then_some(Self { all, places })
    }

    fn get(&self, name: &str) -> Option<&'v Value> {
        self.all.get(*self.places.get(name)?).map(|(_, value)| *value)
    }

    fn order(&self) -> Value {
        self.all.iter().map(|(name, _)| Value::from(*name)).collect()
    }
}

fn text(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
