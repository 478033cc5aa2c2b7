//! A blackboard: a shared store of named values, each in a scope and with a version.

use crate::base::error::PayloadError;
use crate::base::id::{AgentId, RunId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::definition::Reducer;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use thiserror::Error;

/// The agents that share a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scope {
    /// The agents of a run.
    Run(RunId),
    /// The agents of a team.
    Team(Name),
    /// All agents of a tenant.
    Tenant(Name),
}

/// A value on the blackboard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Cell {
    /// The value.
    pub value: Payload,
    /// The number of writes to the blackboard up to this one; unique among cells.
    pub version: u64,
    /// The agent that wrote last.
    pub by: AgentId,
    /// The time of the last write.
    pub at: Time,
}

/// A write that an agent requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Write {
    /// The scope.
    pub scope: Scope,
    /// The key.
    pub key: Name,
    /// The value.
    pub value: Payload,
    /// The version that the writer has read; 0 if the key had no value. For a key without a declared reducer, the write
    /// is rejected if this is not the current version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
}

impl Write {
    /// A write of a value, without a version.
    #[must_use]
    pub fn new(scope: Scope, key: impl Into<Name>, value: impl Into<Payload>) -> Self {
        Self { scope, key: key.into(), value: value.into(), seen: None }
    }

    /// Sets the version that the writer has read.
    #[must_use]
    pub const fn with_seen(mut self, version: u64) -> Self {
        self.seen = Some(version);
        self
    }
}

/// The event of a write; the blackboard can be rebuilt from these events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Written {
    /// The scope.
    pub scope: Scope,
    /// The key.
    pub key: Name,
    /// The new cell, after merging.
    pub cell: Cell,
}

/// A rejected write. The blackboard is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Another agent has written in the meantime, or the writer gave no version.
    #[error("`{key}` is at version {found}, but the writer has read {seen:?}")]
    Conflict {
        /// The key.
        key: Name,
        /// The version that the writer has read.
        seen: Option<u64>,
        /// The current version.
        found: u64,
    },
    /// The reducer of the key does not accept the value.
    #[error("`{key}`: the value is not {wanted}")]
    NotMerged {
        /// The key.
        key: Name,
        /// The type of value that the reducer accepts.
        wanted: &'static str,
    },
}

/// A subscription of an agent to the keys of a scope with a prefix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Subscription {
    /// The subscriber.
    pub by: AgentId,
    /// The scope.
    pub scope: Scope,
    /// The prefix of the keys; empty for all.
    pub prefix: Name,
}

/// A query of the blackboard. It can be serialized, so that remote agents can send it as JSON.
///
/// ```
/// use counterpoint::coordination::blackboard::Query;
///
/// let query: Query = serde_json::from_str(
///     r#"{"scopes": [{"run": 7}, {"tenant": "acme"}], "prefix": "fact/", "where": [{"at": "/score", "at_least": 0.5}], "limit": 10}"#,
/// )?;
/// assert_eq!(query.scopes.len(), 2);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Query {
    /// The scopes to search. A key that is in several scopes is taken from the first of them.
    pub scopes: Vec<Scope>,
    /// The prefix of the keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Name>,
    /// Returns only values that were written after this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// The conditions that a value must meet.
    #[serde(default, rename = "where", skip_serializing_if = "Vec::is_empty")]
    pub filter: Vec<Test>,
    /// The parts of each value to return, as JSON pointers; none for the whole value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub select: Vec<String>,
    /// The largest number of items, in the order of their keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A condition on a value.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Test {
    /// The part of the value, as a JSON pointer; empty for the whole value.
    #[serde(default)]
    pub at: String,
    /// The part equals this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equal: Option<Value>,
    /// The part is a number not below this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// The part is a number not above this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    /// The part is a list or a string that contains this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<Value>,
}

/// A blackboard.
///
/// Concurrent writes to one key must not be lost. Therefore a key either has a declared [`Reducer`], which combines the
/// written value with the current one, or each write gives the version that the writer has read and is rejected if that
/// is not the current version.
///
/// ```
/// use counterpoint::coordination::blackboard::{Blackboard, Query, Scope, Write};
/// use counterpoint::definition::Reducer;
/// use counterpoint::{AgentId, RunId, Time};
/// use serde_json::json;
///
/// let [ann, ben] = [1, 2].map(AgentId::new);
/// let run = Scope::Run(RunId::new(7));
/// let mut board = Blackboard::default();
/// board.declare(run.clone(), "findings", Reducer::Append);
/// board.subscribe(ben, run.clone(), "find");
/// let (_, told) = board.write(Write::new(run.clone(), "findings", json!("a leak")), ann, Time::ZERO)?;
/// assert_eq!(told, [ben]);
/// board.write(Write::new(run.clone(), "findings", json!("a crack")), ben, Time::ZERO)?;
/// assert_eq!(board.get(&run, "findings").unwrap().value.value(), &json!(["a leak", "a crack"]));
///
/// let plan = Write::new(run.clone(), "plan", json!("mend it"));
/// board.write(plan.clone(), ann, Time::ZERO)?;
/// assert!(board.write(plan, ben, Time::ZERO).is_err(), "who has not seen the plan does not replace it");
/// # Ok::<(), counterpoint::coordination::blackboard::WriteError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Blackboard {
    cells: BTreeMap<(Scope, Name), Cell>,
    reducers: BTreeMap<(Scope, Name), Reducer>,
    subscriptions: Vec<Subscription>,
    version: u64,
}

impl Blackboard {
    /// Declares the reducer of a key. The blackboard calls no functions of the host: [`Reducer::Custom`] acts as
    /// [`Reducer::Replace`].
    pub fn declare(&mut self, scope: Scope, key: impl Into<Name>, reducer: Reducer) {
        self.reducers.insert((scope, key.into()), reducer);
    }

    /// Subscribes an agent to writes to the keys of a scope with this prefix. A repeated subscription has no effect.
    pub fn subscribe(&mut self, by: AgentId, scope: Scope, prefix: impl Into<Name>) {
        let subscription = Subscription { by, scope, prefix: prefix.into() };
        if !self.subscriptions.contains(&subscription) {
            self.subscriptions.push(subscription);
        }
    }

    /// Removes the subscriptions of an agent.
    pub fn unsubscribe(&mut self, by: AgentId) {
        self.subscriptions.retain(|subscription| subscription.by != by);
    }

    /// The result of a write, computed without changing the blackboard.
    ///
    /// # Errors
    ///
    /// Returns an error if the key has no reducer and the version is not the current one, or if the reducer does not
    /// accept the value.
    pub fn decide(&self, write: Write, by: AgentId, at: Time) -> Result<Written, WriteError> {
        let Write { scope, key, value, seen } = write;
        let address = (scope, key);
        let there = self.cells.get(&address);
        let found = there.map_or(0, |cell| cell.version);
        let value = match self.reducers.get(&address) {
            Some(reducer) => {
                if let Some(wanted) = reducer.expected_type(value.value()) {
                    return Err(WriteError::NotMerged { key: address.1, wanted });
                }
                let old = there.map_or(Value::Null, |cell| cell.value.value().clone());
                Payload::new(reducer.reduce(old, value.value()))
            }
            None if seen.unwrap_or(0) == found => value,
            None => return Err(WriteError::Conflict { key: address.1, seen, found }),
        };
        let cell = Cell { value, version: self.version + 1, by, at };
        Ok(Written { scope: address.0, key: address.1, cell })
    }

    /// Applies a write and returns the agents to notify: the subscribers except the writer, in the order of their
    /// subscriptions.
    pub fn apply(&mut self, written: &Written) -> Vec<AgentId> {
        self.version = self.version.max(written.cell.version);
        self.cells.insert((written.scope.clone(), written.key.clone()), written.cell.clone());
        let mut told = Vec::new();
        for subscription in &self.subscriptions {
            let meant = subscription.scope == written.scope && written.key.starts_with(&*subscription.prefix);
            if meant && subscription.by != written.cell.by && !told.contains(&subscription.by) {
                told.push(subscription.by);
            }
        }
        told
    }

    /// Decides and applies a write. Returns its event and the agents to notify.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`decide`](Self::decide).
    pub fn write(&mut self, write: Write, by: AgentId, at: Time) -> Result<(Written, Vec<AgentId>), WriteError> {
        let written = self.decide(write, by, at)?;
        let told = self.apply(&written);
        Ok((written, told))
    }

    /// The cell of a key.
    #[must_use]
    pub fn get(&self, scope: &Scope, key: &str) -> Option<&Cell> {
        self.cells.get(&(scope.clone(), Name::from(key)))
    }

    /// The cell of a key in the first of these scopes that has it, for example an agent's run, then its team, then its
    /// tenant.
    #[must_use]
    pub fn look_up(&self, scopes: &[Scope], key: &str) -> Option<&Cell> {
        scopes.iter().find_map(|scope| self.get(scope, key))
    }

    /// The number of writes so far.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Removes a scope with its values, reducers and subscriptions, for example after the end of a run.
    pub fn forget(&mut self, scope: &Scope) {
        self.cells.retain(|(of, _), _| of != scope);
        self.reducers.retain(|(of, _), _| of != scope);
        self.subscriptions.retain(|subscription| subscription.scope != *scope);
    }

    /// Evaluates a query: `{"version", "items": [{"key", "scope", "version", "by", "value"}]}`. With
    /// [`select`](Query::select), each value is an object of parts by pointer. The host must check which scopes the
    /// agent may read.
    #[must_use]
    pub fn query(&self, query: &Query) -> Payload {
        let mut found: BTreeMap<&Name, (&Scope, &Cell)> = BTreeMap::new();
        for scope in &query.scopes {
            let from = (scope.clone(), query.prefix.clone().unwrap_or_else(|| Name::from("")));
            let here = self.cells.range(from..).take_while(|((of, key), _)| {
                of == scope && query.prefix.as_ref().is_none_or(|prefix| key.starts_with(&**prefix))
            });
            for ((of, key), cell) in here {
                found.entry(key).or_insert((of, cell));
            }
        }
        let new = |cell: &Cell| query.after.is_none_or(|after| cell.version > after);
        let fits = |cell: &Cell| new(cell) && query.filter.iter().all(|test| test.holds(cell.value.value()));
        let limit = query.limit.map_or(usize::MAX, |limit| limit as usize);
        let items: Vec<Value> = found
            .into_iter()
            .filter(|(_, (_, cell))| fits(cell))
            .take(limit)
            .map(|(key, (scope, cell))| {
                let value = query.selected(cell.value.value());
                json!({"key": key, "scope": scope, "version": cell.version, "by": cell.by, "value": value})
            })
            .collect();
        Payload::new(json!({"version": self.version, "items": items}))
    }

    /// Evaluates a query that is given as data.
    ///
    /// # Errors
    ///
    /// Returns an error if it is not a [`Query`].
    pub fn query_payload(&self, query: &Payload) -> Result<Payload, PayloadError> {
        query.to().map(|query| self.query(&query))
    }
}

impl Query {
    fn selected(&self, value: &Value) -> Value {
        if self.select.is_empty() {
            return value.clone();
        }
        let part = |pointer: &String| (pointer.clone(), value.pointer(pointer).cloned().unwrap_or(Value::Null));
        Value::Object(self.select.iter().map(part).collect())
    }
}

impl Test {
    fn holds(&self, value: &Value) -> bool {
        let Some(part) = value.pointer(&self.at) else { return false };
        let number = part.as_f64();
        self.equal.as_ref().is_none_or(|wanted| part == wanted)
            && self.at_least.is_none_or(|least| number.is_some_and(|number| number >= least))
            && self.at_most.is_none_or(|most| number.is_some_and(|number| number <= most))
            && self.contains.as_ref().is_none_or(|wanted| match (part, wanted) {
                (Value::Array(items), _) => items.contains(wanted),
                (Value::String(text), Value::String(piece)) => text.contains(piece.as_str()),
                _ => false,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANN: AgentId = AgentId::new(1);
    const BEN: AgentId = AgentId::new(2);

    fn run(id: u64) -> Scope {
        Scope::Run(RunId::new(id))
    }

    #[test]
    fn scopes_are_apart_and_the_nearest_wins() {
        let (team, tenant) = (Scope::Team("red".into()), Scope::Tenant("acme".into()));
        let mut board = Blackboard::default();
        for (scope, value) in [(run(1), "run"), (team.clone(), "team"), (tenant.clone(), "tenant")] {
            board.write(Write::new(scope, "who", json!(value)), ANN, Time::ZERO).unwrap();
        }
        board.write(Write::new(tenant.clone(), "rest", json!(1)), ANN, Time::ZERO).unwrap();
        let own = [run(1), team, tenant];
        assert_eq!(board.look_up(&own, "who").unwrap().value.value(), "run");
        assert_eq!(board.look_up(&own[1..], "who").unwrap().value.value(), "team");
        assert_eq!(board.look_up(&[run(2)], "who"), None);
        let all = board.query(&Query { scopes: own.to_vec(), ..Query::default() });
        assert_eq!(all.value().pointer("/items").unwrap().as_array().unwrap().len(), 2, "each key once");
        board.forget(&own[0]);
        assert_eq!(board.look_up(&own, "who").unwrap().value.value(), "team");
    }

    #[test]
    fn questions_filter_select_and_follow() {
        let mut board = Blackboard::default();
        for (key, value) in [
            ("fact/1", json!({"score": 0.9, "tags": ["x"], "text": "leak"})),
            ("fact/2", json!({"score": 0.2, "tags": [], "text": "crack"})),
            ("plan", json!({"score": 1.0})),
        ] {
            board.write(Write::new(run(1), key, value), ANN, Time::ZERO).unwrap();
        }
        let ask = |question: Value| {
            let answer = board.query_payload(&Payload::new(question)).unwrap();
            let items = answer.value().pointer("/items").unwrap().as_array().unwrap().clone();
            items.iter().map(|item| item.pointer("/key").unwrap().as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let with = |more: Value| {
            let mut question = json!({"scopes": [{"run": 1}]});
            question.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            question
        };
        assert_eq!(ask(with(json!({"prefix": "fact/"}))), ["fact/1", "fact/2"]);
        assert_eq!(ask(with(json!({"where": [{"at": "/score", "at_least": 0.5}]}))), ["fact/1", "plan"]);
        assert_eq!(ask(with(json!({"where": [{"at": "/score", "at_most": 0.5}]}))), ["fact/2"]);
        assert_eq!(ask(with(json!({"where": [{"at": "/tags", "contains": "x"}]}))), ["fact/1"]);
        assert_eq!(ask(with(json!({"where": [{"at": "/text", "contains": "rack"}]}))), ["fact/2"]);
        assert_eq!(ask(with(json!({"where": [{"at": "/text", "equal": "leak"}]}))), ["fact/1"]);
        assert_eq!(ask(with(json!({"after": 1, "limit": 1}))), ["fact/2"]);
        let select = board.query_payload(&Payload::new(with(json!({"select": ["/text", "/no"], "limit": 1})))).unwrap();
        assert_eq!(select.value().pointer("/items/0/value"), Some(&json!({"/text": "leak", "/no": null})));
        assert!(board.query_payload(&Payload::new(json!({"scope": 1}))).is_err());
    }

    #[test]
    fn a_write_without_the_last_version_does_not_replace() {
        let mut board = Blackboard::default();
        board.declare(run(1), "sum", Reducer::Sum);
        let (first, _) = board.write(Write::new(run(1), "plan", json!("a")), ANN, Time::ZERO).unwrap();
        let before = board.clone();
        let blind = board.write(Write::new(run(1), "plan", json!("b")), BEN, Time::ZERO);
        assert_eq!(blind, Err(WriteError::Conflict { key: "plan".into(), seen: None, found: 1 }));
        assert!(matches!(
            board.write(Write::new(run(1), "sum", json!("x")), BEN, Time::ZERO),
            Err(WriteError::NotMerged { .. })
        ));
        assert_eq!(board, before);
        let seen = Write::new(run(1), "plan", json!("b")).with_seen(first.cell.version);
        board.write(seen.clone(), BEN, Time::ZERO).unwrap();
        assert!(board.write(seen, ANN, Time::ZERO).is_err(), "it is another version now");
    }

    proptest! {
        /// The events alone rebuild the same board; sums lose no write in any order of writers; each subscriber is
        /// notified of each matching write once, and of no other.
        #[test]
        fn facts_make_the_board(writes in prop::collection::vec((0_u64..3, 0_u8..3, 0_u64..4, 0_u64..100), 0..60)) {
            let declare = |board: &mut Blackboard| {
                (0..3).for_each(|id| board.declare(run(id), "0", Reducer::Sum));
                board.subscribe(BEN, run(1), "");
                board.subscribe(BEN, run(1), "0");
                board.subscribe(ANN, run(0), "1");
            };
            let (mut board, mut copy) = (Blackboard::default(), Blackboard::default());
            declare(&mut board);
            declare(&mut copy);
            let mut sums = [0; 3];
            for (id, key, seen, value) in writes {
                let by = if value % 2 == 0 { ANN } else { BEN };
                let write = Write::new(run(id), key.to_string(), json!(value)).with_seen(seen);
                let before = board.clone();
                match board.write(write, by, Time::ZERO) {
                    Ok((written, told)) => {
                        if key == 0 {
                            sums[usize::try_from(id).unwrap()] += value;
                        }
                        let mut expected = vec![];
                        if id == 1 && by != BEN { expected.push(BEN); }
                        if id == 0 && key == 1 && by != ANN { expected.push(ANN); }
                        prop_assert_eq!(&told, &expected);
                        let text = serde_json::to_string(&written).unwrap();
                        prop_assert_eq!(copy.apply(&serde_json::from_str(&text).unwrap()), told);
                        prop_assert_eq!(written.cell.version, before.version() + 1);
                    }
                    Err(_) => prop_assert!(key != 0 && board == before),
                }
                prop_assert_eq!(&board, &copy);
            }
            for (id, sum) in (0..).zip(sums) {
                prop_assert_eq!(board.get(&run(id), "0").map_or(0, |cell| cell.value.value().as_u64().unwrap()), sum);
            }
        }
    }
}
