//! The settings of work: needs, retries, timeouts, budgets.

use super::Printed;
use super::data::computed;
use super::{PrintError, PrintErrorKind};
use crate::base::name::Name;
use crate::definition::{Budget, Expr, Reducer, Work};
use crate::language::context::REDUCERS;
use crate::language::failures::FAILURES;
use crate::language::report::Fields;
use crate::language::work::{COMPUTED, EXHAUSTED, IN_DOUBT, JITTERS, TIERS};
use crate::task::{Failures, Needs, Retry, RetryRule};
use core::time::Duration;
use serde_json::{Value, json};

/// The word of a table for a value.
pub(super) fn word<T: PartialEq>(table: &[(&'static str, T)], value: T) -> Value {
    table.iter().find(|(_, known)| *known == value).map_or(Value::Null, |(word, _)| json!(word))
}

pub(super) fn span(duration: Duration) -> Value {
    json!(humantime::format_duration(duration).to_string())
}

/// Adds a field.
pub(super) fn put(fields: &mut Fields, name: &str, value: impl Into<Value>) {
    fields.insert(name.to_owned(), value.into());
}

/// One name as a text, several as a list.
pub(super) fn names<N: AsRef<str>>(fields: &mut Fields, field: &str, names: &[N]) {
    match names {
        [] => {}
        [one] => put(fields, field, one.as_ref()),
        several => put(fields, field, several.iter().map(|name| name.as_ref().to_owned()).collect::<Vec<String>>()),
    }
}

pub(super) fn budget(budget: &Budget) -> Value {
    let mut fields = Fields::new();
    for (name, amount) in [("attempts", budget.attempts), ("cost", budget.cost), ("tokens", budget.tokens)] {
        if let Some(amount) = amount {
            put(&mut fields, name, amount);
        }
    }
    if let Some(time) = budget.time {
        put(&mut fields, "time", span(time));
    }
    Value::Object(fields)
}

/// The word of a reducer, and the function of the host that it names.
pub(super) fn reducer(reducer: &Reducer) -> (Value, Option<&Name>) {
    let place = match reducer {
        Reducer::Replace => 0,
        Reducer::Append => 1,
        Reducer::Merge => 2,
        Reducer::Max => 3,
        Reducer::Min => 4,
        Reducer::Sum => 5,
        Reducer::Custom(by) => return (word(REDUCERS, 6), Some(by)),
    };
    (word(REDUCERS, place), None)
}

/// The fields of work; its kind is left out if it is the one that the place gives it.
pub(super) fn work(work: &Work, place: Option<&str>) -> Printed<Fields> {
    let mut fields = Fields::new();
    if place != Some(work.kind.as_str()) {
        put(&mut fields, "type", work.kind.as_str());
    }
    if let Some(wanted) = &work.needs {
        needs(wanted, &mut fields);
    }
    if let Some(tier) = work.tier {
        put(&mut fields, "priority", word(TIERS, tier));
    }
    let spans = [
        ("timeout", work.policy.attempt_timeout()),
        ("heartbeat_timeout", work.policy.heartbeat_timeout()),
        ("queue_timeout", work.policy.queue_timeout()),
        ("total_timeout", work.policy.total_timeout()),
    ];
    for (field, given) in spans {
        if let Some(given) = given {
            put(&mut fields, field, span(given));
        }
    }
    let (given, usual) = (work.policy.retry(), Retry::default());
    if *given != usual {
        put(&mut fields, "retry", retry(given));
    }
    if work.policy.exhausted() != Default::default() {
        put(&mut fields, "exhausted", word(EXHAUSTED, work.policy.exhausted()));
    }
    if !work.estimate.is_nothing() {
        let mut estimate = Fields::new();
        for (name, amount) in [("cost", work.estimate.cost), ("tokens", work.estimate.tokens)] {
            if amount > 0 {
                put(&mut estimate, name, amount);
            }
        }
        put(&mut fields, "estimate", estimate);
    }
    if let Some(expr) = &work.overrides {
        overrides(expr, &mut fields)?;
    }
    Ok(fields)
}

/// Work beside that of a node: a kind alone, true for the usual kind, or an object.
pub(super) fn companion(given: &Work, usual: &str) -> Printed<Value> {
    if given.overrides.is_some() {
        return Err(PrintError::new(PrintErrorKind::Setting("a compensation or query with settings from data")));
    }
    if *given == Work::new(usual) {
        return Ok(json!(true));
    }
    if *given == Work::new(given.kind.clone()) {
        return Ok(json!(given.kind.as_str()));
    }
    work(given, Some(usual)).map(Value::Object)
}

fn needs(needs: &Needs, fields: &mut Fields) {
    let skills: Vec<(&Name, u16)> = needs.skills().collect();
    let mut more = Fields::new();
    let labels: Fields = needs.labels().map(|(name, value)| (name.to_string(), json!(value.as_str()))).collect();
    let amounts: Fields = needs.amounts().map(|(name, amount)| (name.to_string(), json!(amount))).collect();
    let shared: Fields = needs.shared().map(|(name, amount)| (name.to_string(), json!(amount))).collect();
    for (name, content) in [("labels", labels), ("amounts", amounts), ("shared", shared)] {
        if !content.is_empty() {
            put(&mut more, name, content);
        }
    }
    let is_plain = more.is_empty() && skills.iter().all(|(_, level)| *level == 0);
    match skills.as_slice() {
        [(one, 0)] if is_plain => return put(fields, "agent", one.as_str()),
        _ if is_plain => {
            let list: Vec<Value> = skills.iter().map(|(name, _)| json!(name.as_str())).collect();
            return put(fields, "requirements", list);
        }
        [] => {}
        _ => {
            let levels: Fields = skills.iter().map(|(name, level)| (name.to_string(), json!(level))).collect();
            put(&mut more, "skills", levels);
        }
    }
    put(fields, "requirements", more);
}

/// The number of attempts alone, or an object with what differs from the default.
pub(super) fn retry(retry: &Retry) -> Value {
    let usual = Retry::default();
    if *retry == usual.clone().with_attempts(retry.attempts) {
        return json!(retry.attempts);
    }
    let mut fields = pace((retry.attempts, retry.base, retry.factor_permille, retry.cap), (3, usual.base, usual.cap));
    if retry.jitter != usual.jitter {
        put(&mut fields, "jitter", word(JITTERS, retry.jitter));
    }
    if retry.in_doubt != usual.in_doubt {
        put(&mut fields, "in_doubt", word(IN_DOUBT, retry.in_doubt));
    }
    if let Some(after) = retry.escalate_after {
        put(&mut fields, "escalate_after", after);
    }
    if !retry.rules.is_empty() {
        put(&mut fields, "rules", retry.rules.iter().map(rule).collect::<Vec<Value>>());
    }
    Value::Object(fields)
}

fn rule(rule: &RetryRule) -> Value {
    let usual = RetryRule::default();
    let given = (rule.attempts, rule.base, rule.factor_permille, rule.cap);
    let mut fields = pace(given, (usual.attempts, usual.base, usual.cap));
    if rule.jitter != usual.jitter {
        put(&mut fields, "jitter", word(JITTERS, rule.jitter));
    }
    if rule.on != Failures::any() {
        put(&mut fields, "on", failures(&rule.on));
    }
    Value::Object(fields)
}

/// The number of attempts and the delays, as far as they differ from the default.
fn pace(given: (u32, Duration, u32, Duration), usual: (u32, Duration, Duration)) -> Fields {
    let (attempts, base, factor, cap) = given;
    let mut fields = Fields::new();
    if attempts != usual.0 {
        put(&mut fields, "attempts", attempts);
    }
    if base != usual.1 {
        put(&mut fields, "delay", span(base));
    }
    if factor % 1_000 == 0 && factor != 2_000 {
        put(&mut fields, "factor", factor / 1_000);
    } else if factor != 2_000 {
        put(&mut fields, "factor", f64::from(factor) / 1_000.0);
    }
    if cap != usual.2 {
        put(&mut fields, "max_delay", span(cap));
    }
    fields
}

/// True for all failures, kinds, or an object.
pub(super) fn failures(failures: &Failures) -> Value {
    if *failures == Failures::any() {
        return json!(true);
    }
    let kinds: Vec<Value> = failures.kinds.iter().map(|kind| word(FAILURES, *kind)).collect();
    let kinds = match <[Value; 1]>::try_from(kinds) {
        Ok([one]) => one,
        Err(several) => Value::Array(several),
    };
    if failures.codes.is_empty() {
        return kinds;
    }
    let mut fields = Fields::new();
    if !failures.kinds.is_empty() {
        put(&mut fields, "kinds", kinds);
    }
    let codes: Vec<String> = failures.codes.iter().map(ToString::to_string).collect();
    names(&mut fields, "codes", &codes);
    Value::Object(fields)
}

/// The fields of an object of expressions, whether or not it is a constant.
pub(super) fn parts(expr: &Expr) -> Option<Vec<(String, Expr)>> {
    if let Expr::Object(fields) = expr {
        return Some(fields.iter().map(|(name, part)| (name.to_string(), part.clone())).collect());
    }
    let Expr::Const(value) = expr else { return None };
    let fields = value.value().as_object()?;
    Some(fields.iter().map(|(name, part)| (name.clone(), Expr::value(part.clone()))).collect())
}

/// The settings that come from data.
fn overrides(expr: &Expr, fields: &mut Fields) -> Printed<()> {
    let unsaid = || PrintError::new(PrintErrorKind::Setting("settings from data that are not an object of them"));
    for (setting, part) in parts(expr).ok_or_else(unsaid)? {
        let value = computed(&part)?;
        if setting == "attempts" {
            if let Some(Value::Object(retry)) = fields.get_mut("retry") {
                put(retry, "attempts", value);
            } else {
                put(fields, "retry", value);
            }
        } else {
            let (field, _) = COMPUTED.iter().find(|(_, known)| **known == *setting).ok_or_else(unsaid)?;
            put(fields, field, value);
        }
    }
    Ok(())
}
