//! Races, decisions, handlers and rules of signals.

use super::Printed;
use super::data::{condition, field};
use super::settings::{failures, names, put, span};
use crate::definition::{Boundary, Condition, Decision, RaceOption, SignalRule, WaitFor};
use crate::language::report::Fields;
use serde_json::{Value, json};

pub(super) fn rule(rule: &SignalRule) -> Value {
    let mut fields = Fields::new();
    if rule.transient {
        put(&mut fields, "transient", true);
    }
    if let Some(ttl) = rule.ttl {
        put(&mut fields, "kept_for", span(ttl));
    }
    if let Some(most) = rule.max_kept {
        put(&mut fields, "most", most);
    }
    Value::Object(fields)
}

/// The field of a race: a wait until a time, if it is one, or the options.
pub(super) fn race(options: &[RaceOption]) -> Printed<(&'static str, Value)> {
    let signal = |option: &RaceOption| {
        if let WaitFor::Signal { signal, matching: Condition::True } = &option.on
            && option.name == "signal"
        {
            return Some(signal.clone());
        }
        None
    };
    let mut wait = Fields::new();
    let (before, last) = match options {
        [last] => (None, last),
        [first, last] => (signal(first), last),
        _ => return many(options),
    };
    let WaitFor::At(until) = &last.on else { return many(options) };
    if last.name != "until" || (options.len() == 2) != before.is_some() {
        return many(options);
    }
    if let Some(signal) = before {
        put(&mut wait, "signal", signal.as_str());
    }
    put(&mut wait, "until", field(until)?);
    Ok(("wait", Value::Object(wait)))
}

fn many(options: &[RaceOption]) -> Printed<(&'static str, Value)> {
    Ok(("race", Value::Array(options.iter().map(option).collect::<Printed<_>>()?)))
}

fn option(option: &RaceOption) -> Printed<Value> {
    let mut fields = match &option.on {
        WaitFor::Signal { signal, matching } => signalled(signal, matching)?,
        WaitFor::After(time) => Fields::from_iter([("after".to_owned(), span(*time))]),
        WaitFor::At(time) => Fields::from_iter([("at".to_owned(), field(time)?)]),
        WaitFor::When(when) => Fields::from_iter([("when".to_owned(), condition(when)?)]),
        WaitFor::Decision(of) => Fields::from_iter([("decision".to_owned(), decision(of))]),
    };
    put(&mut fields, "name", option.name.as_str());
    Ok(Value::Object(fields))
}

fn signalled(signal: &str, matching: &Condition) -> Printed<Fields> {
    let mut fields = Fields::new();
    put(&mut fields, "signal", signal);
    if *matching != Condition::True {
        put(&mut fields, "matching", condition(matching)?);
    }
    Ok(fields)
}

fn decision(decision: &Decision) -> Value {
    let mut fields = Fields::new();
    put(&mut fields, "role", decision.role.as_str());
    let options: Vec<&str> = decision.options.iter().map(|option| option.as_str()).collect();
    put(&mut fields, "options", options);
    names(&mut fields, "not_by", &decision.not_by);
    if !decision.escalation.is_empty() {
        let steps = decision.escalation.iter();
        let steps = steps.map(|step| json!({"after": span(step.after), "role": step.role.as_str()}));
        put(&mut fields, "escalation", steps.collect::<Vec<Value>>());
    }
    Value::Object(fields)
}

/// The event of a handler.
pub(super) fn boundary(boundary: &Boundary) -> Printed<Fields> {
    let mut fields = Fields::new();
    match boundary {
        Boundary::Error(of) => put(&mut fields, "error", failures(of)),
        Boundary::Timeout(time) => put(&mut fields, "timeout", span(*time)),
        Boundary::Signal { signal, matching } => return signalled(signal, matching),
        Boundary::When(when) => put(&mut fields, "when", condition(when)?),
        Boundary::Cancel => put(&mut fields, "cancel", true),
    }
    Ok(fields)
}
