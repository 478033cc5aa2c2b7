//! The work of a task: kind, requirements, priority, retries, timeouts.

use super::data::{Names, expression};
use super::failures::failures;
use super::report::{Fields, Path, Report, get};
use crate::base::name::Name;
use crate::definition::{Work, folded_object};
use crate::task::{Exhausted, InDoubt, Jitter, Needs, Policy, Retry, RetryRule, Tier, Usage};
use serde_json::Value;
use std::collections::BTreeMap;

/// The fields of a task that describe its work.
pub(super) const WORK: &[&str] = &[
    "type",
    "agent",
    "requirements",
    "priority",
    "retry",
    "timeout",
    "heartbeat_timeout",
    "queue_timeout",
    "total_timeout",
    "exhausted",
    "estimate",
];

pub(super) const RETRY: &[&str] =
    &["attempts", "delay", "factor", "max_delay", "jitter", "in_doubt", "escalate_after", "rules"];
/// The fields of a rule of retries.
pub(super) const RULE: &[&str] = &["on", "attempts", "delay", "factor", "max_delay", "jitter"];
/// The fields of the expected usage of an attempt.
pub(super) const ESTIMATE: &[&str] = &["cost", "tokens"];
pub(super) const REQUIREMENTS: &[&str] = &["skills", "labels", "amounts", "shared"];
pub(super) const TIERS: &[(&str, Tier)] =
    &[("critical", Tier::Critical), ("high", Tier::High), ("normal", Tier::Normal), ("low", Tier::Low)];
pub(super) const JITTERS: &[(&str, Jitter)] =
    &[("full", Jitter::Full), ("equal", Jitter::Equal), ("decorrelated", Jitter::Decorrelated), ("none", Jitter::None)];
pub(super) const IN_DOUBT: &[(&str, InDoubt)] = &[("count", InDoubt::Count), ("insist", InDoubt::Insist)];
pub(super) const EXHAUSTED: &[(&str, Exhausted)] = &[("dead_letter", Exhausted::DeadLetter), ("fail", Exhausted::Fail)];

/// The fields whose values can be expressions, with the names of the settings that they compute.
pub(super) const COMPUTED: [(&str, &str); 5] = [
    ("priority", "tier"),
    ("timeout", "attempt_timeout"),
    ("heartbeat_timeout", "heartbeat_timeout"),
    ("queue_timeout", "queue_timeout"),
    ("total_timeout", "total_timeout"),
];

/// The work of a task, whose priority, timeouts and number of attempts can be expressions; `otherwise` is the kind if none is
/// given.
pub(super) fn main_work(
    fields: &Fields,
    otherwise: &str,
    path: &Path<'_>,
    names: &Names<'_>,
    report: &mut Report,
) -> Work {
    let mut computed = BTreeMap::new();
    let mut plain = fields.clone();
    for (field, setting) in COMPUTED {
        if let Some(value) = get(fields, field).filter(|value| is_expression(value)) {
            computed.insert(Name::from(setting), expression(value, &path.field(field), names, report));
            plain.remove(field);
        }
    }
    let at = path.field("retry");
    match get(fields, "retry") {
        Some(value) if is_expression(value) => {
            computed.insert(Name::from("attempts"), expression(value, &at, names, report));
            plain.remove("retry");
        }
        Some(Value::Object(retry)) => {
            if let Some(value) = get(retry, "attempts").filter(|value| is_expression(value)) {
                computed.insert(Name::from("attempts"), expression(value, &at.field("attempts"), names, report));
                let mut retry = retry.clone();
                retry.remove("attempts");
                plain.insert("retry".to_owned(), Value::Object(retry));
            }
        }
        None | Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {}
    }
    let mut work = work(&plain, otherwise, path, report);
    work.overrides = (!computed.is_empty()).then(|| folded_object(computed));
    work
}

/// Whether a value is an expression and neither a number nor a word.
fn is_expression(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("${"),
        Value::Object(fields) => fields.len() == 1 && fields.contains_key("from"),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => false,
    }
}

/// The work of a task beside that of a node; `otherwise` is the kind if none is given.
pub(super) fn work(fields: &Fields, otherwise: &str, path: &Path<'_>, report: &mut Report) -> Work {
    let kind = report.text_at(fields, "type", path).unwrap_or(otherwise);
    let mut work = Work::new(kind);
    work.needs = needs(fields, path, report);
    work.tier = report.keyword_at(fields, "priority", path, TIERS);
    work.policy = policy(fields, path, report);
    work.estimate = estimate(fields, path, report);
    work
}

fn estimate(fields: &Fields, path: &Path<'_>, report: &mut Report) -> Usage {
    let mut usage = Usage::default();
    let at = path.field("estimate");
    let Some(fields) = get(fields, "estimate").and_then(|value| report.object(value, &at, ESTIMATE)) else {
        return usage;
    };
    usage.cost = report.amount_at(fields, "cost", &at).unwrap_or(0);
    usage.tokens = report.amount_at(fields, "tokens", &at).unwrap_or(0);
    usage
}

fn needs(fields: &Fields, path: &Path<'_>, report: &mut Report) -> Option<Needs> {
    let agent = report.text_at(fields, "agent", path);
    let needs = agent.map(Needs::skill);
    let Some(value) = get(fields, "requirements") else { return needs };
    let at = path.field("requirements");
    let mut needs = needs.unwrap_or_else(Needs::nothing);
    if let Value::Array(skills) = value {
        for (index, skill) in skills.iter().enumerate() {
            if let Some(skill) = report.text(skill, &at.item(index)) {
                needs = needs.and_skill(skill, 0);
            }
        }
        return Some(needs);
    }
    let fields = report.object(value, &at, REQUIREMENTS)?;
    let open = |report: &mut Report, name: &'static str| {
        let value = get(fields, name)?;
        if !value.is_object() {
            report.wrong_type(&at.field(name), "an object", value);
        }
        value.as_object()
    };
    let (skills, labels) = (open(report, "skills"), open(report, "labels"));
    for name in ["amounts", "shared"] {
        for resource in open(report, name).into_iter().flat_map(|resources| resources.keys()) {
            let amount = fields.get(name).and_then(Value::as_object);
            let amount = amount.and_then(|amounts| report.amount_at(amounts, resource, &at.field(name))).unwrap_or(0);
            let resource = resource.as_str();
            needs =
                if name == "amounts" { needs.and_amount(resource, amount) } else { needs.and_shared(resource, amount) };
        }
    }
    for (skill, level) in skills.into_iter().flatten() {
        let at = at.field("skills");
        let index = at.field(skill);
        let level = report.integer(level, &index).unwrap_or(0);
        match u16::try_from(level) {
            Ok(level) => needs = needs.and_skill(skill.as_str(), level),
            Err(_) => report.invalid(&index, "a level from 0 to 65535", level),
        }
    }
    for (label, value) in labels.into_iter().flatten() {
        let at = at.field("labels");
        if let Some(value) = report.text(value, &at.field(label)) {
            needs = needs.and_label(label.as_str(), value);
        }
    }
    Some(needs)
}

fn policy(fields: &Fields, path: &Path<'_>, report: &mut Report) -> Policy {
    let mut policy = Policy::default();
    if let Some(value) = get(fields, "retry") {
        policy = policy.with_retry(retry(value, &path.field("retry"), report));
    }
    if let Some(span) = report.span_at(fields, "timeout", path) {
        policy = policy.with_attempt_timeout(span);
    }
    if let Some(span) = report.span_at(fields, "heartbeat_timeout", path) {
        policy = policy.with_heartbeat_timeout(span);
    }
    if let Some(span) = report.span_at(fields, "queue_timeout", path) {
        policy = policy.with_queue_timeout(span);
    }
    if let Some(span) = report.span_at(fields, "total_timeout", path) {
        policy = policy.with_total_timeout(span);
    }
    match report.keyword_at(fields, "exhausted", path, EXHAUSTED) {
        Some(exhausted) => policy.with_exhausted(exhausted),
        None => policy,
    }
}

/// A number of attempts, or an object.
pub(super) fn retry(value: &Value, path: &Path<'_>, report: &mut Report) -> Retry {
    let mut retry = Retry::default();
    if value.is_number() {
        retry.attempts = report.integer(value, path).unwrap_or(retry.attempts);
        return retry;
    }
    let Some(fields) = report.object(value, path, RETRY) else { return retry };
    retry.attempts = report.integer_at(fields, "attempts", path).unwrap_or(retry.attempts);
    retry.base = report.span_at(fields, "delay", path).unwrap_or(retry.base);
    retry.factor_permille = factor(fields, path, report).unwrap_or(retry.factor_permille);
    retry.cap = report.span_at(fields, "max_delay", path).unwrap_or(retry.cap);
    retry.jitter = report.keyword_at(fields, "jitter", path, JITTERS).unwrap_or(retry.jitter);
    retry.in_doubt = report.keyword_at(fields, "in_doubt", path, IN_DOUBT).unwrap_or(retry.in_doubt);
    retry.escalate_after = report.integer_at(fields, "escalate_after", path);
    let at = path.field("rules");
    for (index, value) in get(fields, "rules").map_or(&[][..], |rules| report.list(rules, &at)).iter().enumerate() {
        retry.rules.extend(rule(value, &at.item(index), report));
    }
    retry
}

fn rule(value: &Value, path: &Path<'_>, report: &mut Report) -> Option<RetryRule> {
    let fields = report.object(value, path, RULE)?;
    let mut rule = RetryRule::default();
    if get(fields, "on").is_some() {
        rule.on = failures(fields, "on", path, report);
    }
    rule.attempts = report.integer_at(fields, "attempts", path).unwrap_or(rule.attempts);
    rule.base = report.span_at(fields, "delay", path).unwrap_or(rule.base);
    rule.factor_permille = factor(fields, path, report).unwrap_or(rule.factor_permille);
    rule.cap = report.span_at(fields, "max_delay", path).unwrap_or(rule.cap);
    rule.jitter = report.keyword_at(fields, "jitter", path, JITTERS).unwrap_or(rule.jitter);
    Some(rule)
}

/// A factor with up to three digits after the point, in thousandths.
fn factor(fields: &Fields, path: &Path<'_>, report: &mut Report) -> Option<u32> {
    let value = get(fields, "factor")?;
    let thousandths = value.as_f64().map(|factor| (factor * 1_000.0).round());
    match thousandths.filter(|number| (0.0..=f64::from(u32::MAX)).contains(number)) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a whole number in range")]
        Some(thousandths) => Some(thousandths as u32),
        None => {
            report.invalid(&path.field("factor"), "a number from 0 to 4294967.295", value);
            None
        }
    }
}
