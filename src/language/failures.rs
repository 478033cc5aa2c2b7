//! The failures that a handler, a transition or a rule of retries applies to.

use super::report::{Fields, Path, Report, get};
use crate::task::{FailureKind, Failures};
use serde_json::Value;

pub(super) const ERROR: &[&str] = &["kinds", "codes"];
pub(super) const FAILURES: &[(&str, FailureKind)] = &[
    ("transient", FailureKind::Transient),
    ("permanent", FailureKind::Permanent),
    ("overloaded", FailureKind::Overloaded),
    ("unknown", FailureKind::Unknown),
];

/// True for all failures, kinds, or an object with kinds and codes.
pub(super) fn failures(fields: &Fields, field: &str, path: &Path<'_>, report: &mut Report) -> Failures {
    let at = path.field(field);
    match get(fields, field) {
        Some(Value::Bool(true)) => Failures::any(),
        Some(Value::Object(_)) => {
            let object = get(fields, field).and_then(|value| report.object(value, &at, ERROR));
            let Some(object) = object else { return Failures::any() };
            let mut failures = Failures::any();
            if get(object, "kinds").is_some() {
                failures.kinds = kinds(object, "kinds", &at, report);
            }
            if get(object, "codes").is_some() {
                failures.codes = report.words(object, "codes", &at).into_iter().map(|(_, code)| code.into()).collect();
            }
            failures
        }
        _ => Failures { kinds: kinds(fields, field, path, report), ..Failures::any() },
    }
}

fn kinds(fields: &Fields, field: &str, path: &Path<'_>, report: &mut Report) -> Vec<FailureKind> {
    let at = path.field(field);
    let mut kinds = Vec::new();
    for (index, word) in report.words(fields, field, path) {
        match FAILURES.iter().find(|(known, _)| *known == word) {
            Some((_, kind)) => kinds.push(*kind),
            None => {
                let item = index.map_or(at, |index| at.item(index));
                report.unknown(&item, "keyword", word, FAILURES.iter().map(|(known, _)| *known));
            }
        }
    }
    kinds
}
