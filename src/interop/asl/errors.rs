//! Names of errors and codes of failures, `Retry` and `Catch`.

#![expect(clippy::wildcard_enum_match_arm, reason = "only some forms of expressions are those of a document")]

use super::path::{Path, print_pointer};
use super::template::report_bad;
use crate::base::payload::Payload;
use crate::definition::{Condition, Expr, Function, Transition};
use crate::interop::report::{Fields, Place, Report};
use crate::task::{Code, CodePattern, Failures, Jitter, Retry, RetryRule, codes};
use core::time::Duration;
use serde_json::{Map, Number, Value, json};

/// Names of errors with the codes that the engine reports for them.
const CODES: &[(&str, &[&str])] = &[
    ("States.Timeout", &["cp.timeout.*"]),
    ("States.HeartbeatTimeout", &[codes::HEARTBEAT_TIMEOUT]),
    ("States.NoChoiceMatched", &[codes::NO_CASE]),
    ("States.ParameterPathFailure", &[codes::MISSING_VALUE]),
    ("States.ResultPathMatchFailure", &[codes::INVALID_VALUE]),
    ("States.IntrinsicFailure", &[codes::INVALID_VALUE]),
    ("States.DataLimitExceeded", &[codes::TOO_LARGE]),
];

/// Names of errors that stand for all failures.
const ANY: &[&str] = &["States.ALL", "States.TaskFailed"];

/// Names of errors that neither the engine nor, as far as it is known, agents report.
const NEVER: &[&str] = &[
    "States.BranchFailed",
    "States.ExceedToleratedFailureThreshold",
    "States.ItemReaderFailed",
    "States.Permissions",
    "States.QueryEvaluationError",
    "States.ResultWriterFailed",
    "States.Runtime",
];

/// The settings of a retrier that does not state them.
const INTERVAL: u32 = 1;
const ATTEMPTS: u32 = 3;
const RATE: u32 = 2_000;
/// The longest delay of a retrier that does not bound it: as long as a state may wait.
const LONGEST: Duration = Duration::from_secs(31_622_400);

/// The code for the name of an error. Characters that a code cannot have become `_`.
pub(super) fn code(name: &str, place: &Place<'_>, report: &mut Report) -> String {
    if Code::from(name).is_valid() {
        return name.to_owned();
    }
    let plain =
        |letter: char| if letter.is_ascii_alphanumeric() || matches!(letter, '.' | ':' | '-') { letter } else { '_' };
    let code: String = name.chars().map(plain).take(Code::MAX).collect();
    if code.is_empty() {
        report.invalid(place, "the name of an error", name);
        return "error".to_owned();
    }
    report.note(place, format!("the name of the error is not a code: agents report it as `{code}`"));
    code
}

/// The failures that `ErrorEquals` lists.
fn failures(fields: &Fields, place: &Place<'_>, report: &mut Report) -> Failures {
    let Some(list) = fields.get("ErrorEquals") else {
        report.missing(place, "ErrorEquals");
        return Failures::any();
    };
    let at = place.field("ErrorEquals");
    let list = report.list(list, &at);
    if list.is_empty() {
        report.missing(&at, "the name of an error");
    }
    let (mut failures, mut is_any) = (Failures::any(), false);
    for (index, name) in list.iter().enumerate() {
        let at = at.item(index);
        let Some(name) = name.as_str() else {
            report.expected(&at, "the name of an error", name);
            continue;
        };
        if name == "States.TaskFailed" {
            report.note(&at, "matches every failure, timeouts too");
        } else if NEVER.contains(&name) {
            report.note(&at, "the engine reports no such error: it matches only if an agent fails with this code");
        }
        is_any |= ANY.contains(&name);
        failures = failures.and_code(code(name, &at, report).as_str());
        if let Some((_, codes)) = CODES.iter().find(|(known, _)| *known == name) {
            failures = codes.iter().fold(failures, |failures, code| failures.and_code(*code));
        }
    }
    if is_any { Failures::any() } else { failures }
}

/// The names of errors of failures.
pub(super) fn print_failures(failures: &Failures) -> Vec<Value> {
    if failures.codes.is_empty() {
        return vec!["States.ALL".into()];
    }
    let names = failures.codes.iter().map(CodePattern::to_string).filter(|code| !code.starts_with("cp."));
    names.map(Value::from).collect()
}

const RETRIER: &[&str] =
    &["ErrorEquals", "IntervalSeconds", "MaxAttempts", "BackoffRate", "MaxDelaySeconds", "JitterStrategy", "Comment"];

/// The retries of a state.
pub(super) fn retry(value: &Value, place: &Place<'_>, report: &mut Report) -> Retry {
    let mut rules = Vec::new();
    for (index, retrier) in report.list(value, place).iter().enumerate() {
        let at = place.item(index);
        if let Some(fields) = report.object(retrier, &at) {
            known_fields(fields, RETRIER, &at, report);
            rules.push(rule(fields, &at, report));
        }
    }
    if rules.is_empty() {
        return Retry::never();
    }
    report.note(
        place,
        "a failure is retried only if the agent reports it as transient, overloaded or unknown, and not as permanent",
    );
    let attempts = rules.iter().fold(1_u32, |sum, rule| sum.saturating_add(rule.attempts.saturating_sub(1)));
    rules.push(RetryRule::any(1));
    let retry = Retry::never().with_attempts(attempts);
    rules.into_iter().fold(retry, Retry::with_rule)
}

fn rule(fields: &Fields, place: &Place<'_>, report: &mut Report) -> RetryRule {
    let on = failures(fields, place, report);
    let interval = report.integer(fields, "IntervalSeconds", "a positive number of seconds", place).unwrap_or(INTERVAL);
    let attempts = report.integer(fields, "MaxAttempts", "a number of attempts", place).unwrap_or(ATTEMPTS);
    let most = report.integer(fields, "MaxDelaySeconds", "a positive number of seconds", place);
    let jitter = match report.text(fields, "JitterStrategy", place) {
        None | Some("NONE") => Jitter::None,
        Some("FULL") => Jitter::Full,
        Some(other) => {
            report.invalid(&place.field("JitterStrategy"), "FULL or NONE", other);
            Jitter::None
        }
    };
    let cap = most.map_or(LONGEST, |seconds| Duration::from_secs(seconds.into()));
    RetryRule::on(on, attempts.saturating_add(1))
        .with_backoff(Duration::from_secs(interval.into()), rate(fields, place, report), cap)
        .with_jitter(jitter)
}

/// The factor between delays, in thousandths.
fn rate(fields: &Fields, place: &Place<'_>, report: &mut Report) -> u32 {
    let Some(value) = fields.get("BackoffRate") else { return RATE };
    let at = place.field("BackoffRate");
    let thousandths = value.as_f64().map(|rate| rate * 1_000.0);
    let Some(exact) = thousandths.filter(|exact| (1_000.0..=f64::from(u32::MAX)).contains(exact)) else {
        report.expected(&at, "a number of at least 1", value);
        return RATE;
    };
    if (exact - exact.round()).abs() > 1e-6 {
        report.note(&at, "the rate is rounded to three digits after the point");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a whole number in range")]
    let rounded = exact.round() as u32;
    rounded
}

/// The retriers of retries; none if they are not those of an import.
pub(super) fn print_retry(retry: &Retry) -> Option<Vec<Value>> {
    let Some((last, rules)) = retry.rules.split_last() else { return Some(Vec::new()) };
    if *last != RetryRule::any(1) {
        return None;
    }
    let rules = rules.iter().map(|rule| {
        let rate = Number::from_f64(f64::from(rule.factor_permille) / 1_000.0)?;
        let mut fields = Map::new();
        fields.insert("ErrorEquals".to_owned(), print_failures(&rule.on).into());
        fields.insert("IntervalSeconds".to_owned(), rule.base.as_secs().into());
        fields.insert("MaxAttempts".to_owned(), rule.attempts.checked_sub(1)?.into());
        fields.insert("BackoffRate".to_owned(), rate.into());
        if rule.cap != LONGEST {
            fields.insert("MaxDelaySeconds".to_owned(), rule.cap.as_secs().into());
        }
        if rule.jitter == Jitter::Full {
            fields.insert("JitterStrategy".to_owned(), "FULL".into());
        }
        Some(Value::Object(fields))
    });
    rules.collect()
}

const CATCHER: &[&str] = &["ErrorEquals", "Next", "ResultPath", "Comment"];

/// The transitions of a state after a failure.
pub(super) fn catchers(value: &Value, place: &Place<'_>, report: &mut Report) -> Vec<Transition> {
    let mut ways = Vec::new();
    for (index, catcher) in report.list(value, place).iter().enumerate() {
        let at = place.item(index);
        let Some(fields) = report.object(catcher, &at) else { continue };
        if ["Output", "Assign"].iter().any(|field| fields.contains_key(*field)) {
            report.unsupported(&at, "`Output` and `Assign` of a catcher", "JSONata and variables have no counterpart");
            continue;
        }
        known_fields(fields, CATCHER, &at, report);
        let failures = failures(fields, &at, report);
        let output = match fields.get("ResultPath") {
            None => caught(Some("")),
            Some(Value::Null) => caught(None),
            Some(_) => {
                let text = report.text(fields, "ResultPath", &at).unwrap_or("$");
                caught(Some(&reference(text, &at.field("ResultPath"), report)))
            }
        };
        match report.text(fields, "Next", &at) {
            Some(next) => {
                let (to, when) = (next.into(), Condition::True);
                ways.push(Transition { to, when, on_failure: Some(failures), output: Some(output) });
            }
            None if !fields.contains_key("Next") => report.missing(&at, "Next"),
            None => {}
        }
    }
    ways
}

/// The JSON pointer of a reference path.
pub(super) fn reference(text: &str, place: &Place<'_>, report: &mut Report) -> String {
    match Path::parse(text) {
        Ok(path) => match path.pointer() {
            Some(pointer) => return pointer.to_owned(),
            None => report.invalid(place, "a path that leads to one place", text),
        },
        Err(bad) => report_bad(report, place, bad),
    }
    String::new()
}

/// What the token carries after a failure: the error at a place in the input of the state, or the input alone.
fn caught(pointer: Option<&str>) -> Expr {
    let input = Expr::Item.at("/input");
    match pointer {
        None => input,
        Some("") => error(),
        Some(pointer) => Expr::call(Function::Put, [input, Expr::value(pointer), error()]),
    }
}

/// The `ResultPath` of what the token carries after a failure; none if it is not that of an import.
fn print_caught(output: &Expr) -> Option<Value> {
    let pointer = match output {
        Expr::At(..) => None,
        Expr::Call(Function::Put, parts) => match parts.get(1) {
            Some(Expr::Const(pointer)) => Some(pointer.value().as_str()?),
            _ => return None,
        },
        _ => Some(""),
    };
    (caught(pointer) == *output).then(|| pointer.map_or(Value::Null, |pointer| print_pointer(pointer).into()))
}

/// The catcher of a transition; none if it is not that of an import.
pub(super) fn print_catcher(way: &Transition) -> Option<Value> {
    let path = print_caught(way.output.as_ref()?)?;
    Some(json!({"ErrorEquals": print_failures(way.on_failure.as_ref()?), "Next": way.to.as_str(), "ResultPath": path}))
}

/// `{"Error", "Cause"}` of the failure of a state.
fn error() -> Expr {
    let failure = || Expr::Item.at("/failure/code");
    let named = |pattern: &str, name: &str, otherwise: Expr| {
        Expr::If(Box::new((Condition::matches(failure(), pattern), Expr::value(name), otherwise)))
    };
    let own = Expr::First(vec![failure(), Expr::value("States.TaskFailed")]);
    let name = named(codes::NO_CASE, "States.NoChoiceMatched", own);
    let name = named(codes::INVALID_VALUE, "States.ResultPathMatchFailure", name);
    let name = named(codes::MISSING_VALUE, "States.ParameterPathFailure", name);
    let name = named("cp.timeout.*", "States.Timeout", name);
    let name = named(codes::HEARTBEAT_TIMEOUT, "States.HeartbeatTimeout", name);
    Expr::object([("Error", name), ("Cause", Expr::Item.at("/failure/message"))])
}

/// Reports fields that are not known.
pub(super) fn known_fields(fields: &Fields, known: &[&str], place: &Place<'_>, report: &mut Report) {
    for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
        report.unknown(&place.field(name), "field", name, known.iter().copied());
    }
    if fields.contains_key("Comment") {
        report.note(&Place::Root, "comments are left out");
    }
}

/// A constant.
pub(super) fn constant(value: &Value) -> Expr {
    Expr::Const(Payload::new(value.clone()))
}
