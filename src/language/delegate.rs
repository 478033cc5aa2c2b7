//! Delegated work.

use super::fault::DocumentFaultKind;
use super::flow::Reader;
use super::report::{Fields, Path, get};
use super::work::{WORK, work};
use crate::base::name::Name;
use crate::definition::{Action, Delegate, Gather, OnLimit, Reducer, Rounds, Work};
use serde_json::Value;

/// The fields of `delegate`.
pub(super) const DELEGATE: &[&str] = &[
    "depth",
    "fan_out",
    "max_parts",
    "kinds",
    "max_concurrent",
    "tolerate",
    "beyond",
    "gather",
    "gather_by",
    "rounds",
];
/// The fields of the rounds of a delegation.
pub(super) const ROUNDS: &[&str] = &["most", "near", "settled"];

pub(super) const BEYOND: &[(&str, OnLimit)] = &[("stop", OnLimit::Stop), ("drop", OnLimit::Drop)];
pub(super) const GATHERS: &[(&str, u8)] = &[
    ("list", 0),
    ("vote", 1),
    ("median", 2),
    ("ranks", 3),
    ("replace", 4),
    ("append", 5),
    ("merge", 6),
    ("max", 7),
    ("min", 8),
    ("sum", 9),
];

impl<'d> Reader<'_> {
    /// The delegation of the task's work.
    pub(super) fn delegate(&mut self, work: Work, fields: &'d Fields, path: &Path<'_>) -> Option<Action> {
        let at = path.field("delegate");
        let value = get(fields, "delegate")?;
        let mut delegate = Delegate::new(work);
        if *value == Value::Bool(true) {
            return Some(Action::Delegate(delegate));
        }
        let Some(fields) = self.report.object(value, &at, DELEGATE) else { return Some(Action::Delegate(delegate)) };
        let integer = |reader: &mut Self, name: &str, otherwise: u32| {
            reader.report.integer_at(fields, name, &at).unwrap_or(otherwise)
        };
        delegate.depth = integer(self, "depth", delegate.depth);
        delegate.fan_out = integer(self, "fan_out", delegate.fan_out);
        delegate.max_parts = integer(self, "max_parts", delegate.max_parts);
        delegate.tolerate = integer(self, "tolerate", 0);
        delegate.max_concurrent = self.report.integer_at(fields, "max_concurrent", &at);
        delegate.kinds = self.words(fields, "kinds", &at).into_iter().map(|(_, kind)| Name::from(kind)).collect();
        delegate.on_limit = self.report.keyword_at(fields, "beyond", &at, BEYOND).unwrap_or_default();
        delegate.gather = self.gather(fields, &at);
        delegate.rounds = self.rounds(fields, &at);
        Some(Action::Delegate(delegate))
    }

    fn gather(&mut self, fields: &Fields, path: &Path<'_>) -> Gather {
        let word = self.report.keyword_at(fields, "gather", path, GATHERS);
        let at = path.field("gather_by");
        let by = get(fields, "gather_by").and_then(|value| match value {
            Value::String(kind) => Some(Work::new(kind.as_str())),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                let fields = self.report.object(value, &at, WORK)?;
                if get(fields, "type").is_none() {
                    self.report.add(at, DocumentFaultKind::Missing { field: "type".to_owned() });
                }
                Some(work(fields, "", &at, &mut self.report))
            }
        });
        if word.is_some() && by.is_some() {
            self.report.add(path, DocumentFaultKind::Exclusive { one: "gather", other: "gather_by" });
        }
        by.map_or_else(|| gather(word.unwrap_or(0)), Gather::Work)
    }

    fn rounds(&mut self, fields: &Fields, path: &Path<'_>) -> Rounds {
        let Some(value) = get(fields, "rounds") else { return Rounds::default() };
        let at = path.field("rounds");
        if value.is_number() {
            return self.report.integer(value, &at).map(Rounds::up_to).unwrap_or_default();
        }
        let Some(fields) = self.report.object(value, &at, ROUNDS) else { return Rounds::default() };
        let mut rounds = Rounds::up_to(self.report.integer_at(fields, "most", &at).unwrap_or(1));
        rounds.stable_rounds = self.report.integer_at(fields, "settled", &at).unwrap_or(1);
        if let Some(near) = get(fields, "near") {
            let known = near.as_f64();
            if known.is_none() {
                self.report.wrong_type(&at.field("near"), "a number", near);
            }
            rounds.tolerance = known.unwrap_or(0.0);
        }
        rounds
    }
}

fn gather(word: u8) -> Gather {
    match word {
        0 => Gather::List,
        1 => Gather::Vote,
        2 => Gather::Median,
        3 => Gather::Ranks,
        4 => Gather::Reduce(Reducer::Replace),
        5 => Gather::Reduce(Reducer::Append),
        6 => Gather::Reduce(Reducer::Merge),
        7 => Gather::Reduce(Reducer::Max),
        8 => Gather::Reduce(Reducer::Min),
        _ => Gather::Reduce(Reducer::Sum),
    }
}
