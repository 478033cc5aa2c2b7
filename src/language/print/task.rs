//! Nodes as tasks.

use super::Printed;
use super::data::{computed, condition, data, field};
use super::settings::{budget, companion, failures, names, parts, put, reducer, retry, span, word, work};
use super::waits;
use super::{PrintError, PrintErrorKind};
use crate::base::name::Name;
use crate::definition::{
    Action, Body, Completion, Condition, Delegate, Expr, Fail, Gather, Guards, Handler, Join, Link, Map, Node, On,
    OnUnmet, Pick, Receivers, Remaining, Repeat, Rounds, SendSignal, State, States, Transition, Work, Write,
};
use crate::language::delegate::{BEYOND, GATHERS};
use crate::language::failures::FAILURES;
use crate::language::report::Fields;
use crate::language::task::{AFTER_LAST, ALL, JOINS, RESTS};
use crate::task::FailureKind;
use serde_json::{Value, json};

/// The fields of a task. Its links and its join are those of `before`, which is the node itself or the choice before it.
pub(super) fn task(node: &Node, before: &Node, choices: &[&Name]) -> Printed<Fields> {
    let id = node.name.as_str();
    let mut fields = action(&node.action, id)?;
    put(&mut fields, "id", id);
    let usual = if matches!(node.action, Action::Map(_)) { Expr::Item } else { Expr::default() };
    if node.input != usual {
        put(&mut fields, "inputs", field(&node.input)?);
    }
    links(before, choices, &mut fields);
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or(id).to_owned();
    for (name, given, ending) in [("compensate", &node.undo, "undo"), ("query", &node.query, "query")] {
        if let Some(given) = given {
            put(&mut fields, name, companion(given, &format!("{kind}.{ending}"))?);
        }
    }
    settings(node, &mut fields)?;
    guards(&node.guards, &mut fields)?;
    Ok(fields)
}

fn links(before: &Node, choices: &[&Name], fields: &mut Fields) {
    let mut links: Vec<Value> = before.after.iter().map(|one| link(one, choices)).collect();
    match links.len() {
        0 => {}
        1 => put(fields, "depends_on", links.remove(0)),
        _ => put(fields, "depends_on", links),
    }
    if before.join != Join::All {
        put(fields, "join", join(before.join));
    }
}

fn link(link: &Link, choices: &[&Name]) -> Value {
    let node = link.node.as_str();
    match &link.on {
        On::Success if !choices.contains(&&link.node) => json!(node),
        On::Success => json!({"task": node, "on": "success"}),
        On::Failure => json!({"task": node, "on": "failure"}),
        On::Always => json!({"task": node, "on": "always"}),
        On::Each => json!({"task": node, "on": "each"}),
        On::Case(case) => json!({"task": node, "case": case.as_str()}),
    }
}

fn join(join: Join) -> Value {
    let counted = |field: &str, required: u32, rest: Remaining| {
        let mut fields = Fields::new();
        put(&mut fields, field, required);
        if rest != Remaining::default() {
            put(&mut fields, "rest", word(RESTS, rest));
        }
        Value::Object(fields)
    };
    match join {
        Join::Count { required, remaining } => counted("count", required, remaining),
        Join::Rounds { required, remaining } => counted("rounds", required, remaining),
        Join::All | Join::Any | Join::Each | Join::Trigger(_) => word(JOINS, join),
    }
}

/// What surrounds the action of a node.
fn settings(node: &Node, fields: &mut Fields) -> Printed<()> {
    if let Some(save) = &node.save {
        let again = match &save.alternative {
            Some(instead) => json!({"again": save.retries, "instead": instead.as_str()}),
            None => json!(save.retries),
        };
        put(fields, "save_point", again);
    }
    if node.pivot {
        put(fields, "pivot", true);
    }
    names(fields, "mutex", &node.mutex);
    names(fields, "cancels", &node.cancels);
    if let Some(milestone) = &node.milestone {
        put(fields, "milestone", json!({"after": milestone.after.as_str(), "until": milestone.until.as_str()}));
    }
    if !node.handlers.is_empty() {
        put(fields, "handlers", node.handlers.iter().map(handler).collect::<Printed<Vec<Value>>>()?);
    }
    if !node.writes.is_empty() {
        put(fields, "writes", node.writes.iter().map(write).collect::<Printed<Fields>>()?);
    }
    if let Some(given) = &node.budget {
        put(fields, "budget", budget(given));
    }
    if let Some(given) = &node.retry {
        let is_several = matches!(node.action, Action::Map(_) | Action::Repeat(_));
        let name = if is_several { "retry_all" } else { "retry" };
        if fields.contains_key(name) {
            return Err(PrintError::new(PrintErrorKind::Setting("retries of a task and of its node")));
        }
        put(fields, name, retry(given));
    }
    Ok(())
}

fn handler(handler: &Handler) -> Printed<Value> {
    let mut fields = waits::boundary(&handler.on)?;
    put(&mut fields, "name", handler.name.as_str());
    if !handler.interrupts {
        put(&mut fields, "beside", true);
    }
    Ok(Value::Object(fields))
}

fn write(write: &Write) -> Printed<(String, Value)> {
    let mut path = "output".to_owned();
    for step in write.at.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        if step.is_empty() || step.contains('.') {
            return Err(PrintError::new(PrintErrorKind::Setting(
                "a write of a field whose name is empty or has a dot",
            )));
        }
        path = format!("{path}.{step}");
    }
    Ok((write.to.to_string(), json!(path)))
}

fn guards(guards: &Guards, fields: &mut Fields) -> Printed<()> {
    if let Some(guard) = &guards.precondition {
        let when = condition(&guard.when)?;
        let skips = guard.otherwise == OnUnmet::Skip;
        put(fields, "precondition", if skips { json!({"when": when, "otherwise": "skip"}) } else { when });
    }
    if let Some(after) = &guards.postcondition {
        put(fields, "postcondition", condition(after)?);
    }
    Ok(())
}

fn action(action: &Action, id: &str) -> Printed<Fields> {
    let mut fields = Fields::new();
    match action {
        Action::Do(of) => return body(of, id),
        Action::Map(of) => return map(of, id),
        Action::Repeat(of) => return repeat(of, id),
        Action::Delegate(of) => return delegate(of, id),
        Action::Function(_) => return Err(PrintError::new(PrintErrorKind::Function)),
        Action::Choose { pick, cases, otherwise } => {
            let case = |case: &crate::definition::Case| {
                Ok(json!({"case": case.name.as_str(), "when": condition(&case.when)?}))
            };
            put(&mut fields, "choose", cases.iter().map(case).collect::<Printed<Vec<Value>>>()?);
            if *pick == Pick::Every {
                put(&mut fields, "pick", "every");
            }
            if let Some(otherwise) = otherwise {
                put(&mut fields, "otherwise", otherwise.as_str());
            }
        }
        Action::Wait { signal, timer } => {
            let mut wait = Fields::new();
            if let Some(signal) = signal {
                put(&mut wait, "signal", signal.as_str());
            }
            if let Some(timer) = timer {
                put(&mut wait, "timer", span(*timer));
            }
            put(&mut fields, "wait", wait);
        }
        Action::Race { options } => {
            let (name, value) = waits::race(options)?;
            put(&mut fields, name, value);
        }
        Action::Pass => put(&mut fields, "pass", true),
        Action::Stop => put(&mut fields, "stop", true),
        Action::Fail(of) => put(&mut fields, "fail", fail(of)?),
        Action::Compensate { of } => match of.as_slice() {
            [] => put(&mut fields, "undo", ALL),
            // One task that has the name of the word for all is a list.
            [one] if *one == ALL => put(&mut fields, "undo", vec![one.as_str()]),
            several => names(&mut fields, "undo", several),
        },
        Action::Send(of) => put(&mut fields, "send", send(of)?),
        Action::States(of) => put(&mut fields, "states", states(of)?),
    }
    Ok(fields)
}

/// The fields of what a node executes.
fn body(body: &Body, id: &str) -> Printed<Fields> {
    let mut fields = Fields::new();
    match body {
        Body::Task(of) => return work(of, Some(id)),
        Body::Flow(flow) => put(&mut fields, "workflow", super::flow(flow, Some(id))?),
        Body::Call(call) => {
            let name = call.workflow.as_str();
            let mut of = Fields::new();
            put(&mut of, "workflow", name);
            if let Some(version) = call.version {
                put(&mut of, "version", version);
            }
            if call.depth != 1 {
                put(&mut of, "depth", call.depth);
            }
            put(&mut fields, "call", if of.len() == 1 { json!(name) } else { Value::Object(of) });
        }
    }
    Ok(fields)
}

fn map(map: &Map, id: &str) -> Printed<Fields> {
    let mut fields = body(&map.body, id)?;
    put(&mut fields, "for_each", field(&map.over)?);
    let tolerate = (map.tolerate > 0).then_some(map.tolerate);
    let bounds =
        [("max_concurrent", map.max_concurrent), ("tolerate", tolerate), ("tolerate_percent", map.tolerate_percent)];
    for (name, number) in bounds {
        if let Some(number) = number {
            put(&mut fields, name, number);
        }
    }
    if let Some(expr) = &map.bounds {
        let unsaid = || PrintError::new(PrintErrorKind::Setting("bounds of a map that are not an object of them"));
        for (bound, part) in parts(expr).ok_or_else(unsaid)? {
            if !bounds.iter().any(|(known, _)| *known == bound) {
                return Err(unsaid());
            }
            put(&mut fields, &bound, computed(&part)?);
        }
    }
    if let Some(completion) = &map.completion {
        put(&mut fields, "enough", enough(completion)?);
    }
    if map.open {
        put(&mut fields, "open", true);
    }
    Ok(fields)
}

fn enough(completion: &Completion) -> Printed<Value> {
    let mut fields = Fields::new();
    let of = if let Condition::Not(inner) = &completion.when
        && let Condition::Less(_, Expr::Const(number)) = &**inner
    {
        number.value().as_u64().and_then(|number| u32::try_from(number).ok())
    } else {
        None
    };
    match of.filter(|of| Completion::after(*of).when == completion.when) {
        Some(of) => put(&mut fields, "of", of),
        None if completion.on_start && completion.when == Condition::Any(Vec::new()) => {}
        None => put(&mut fields, "when", condition(&completion.when)?),
    }
    if completion.on_start {
        put(&mut fields, "begun", true);
    }
    if completion.cancel_rest {
        put(&mut fields, "cancel_rest", true);
    }
    Ok(Value::Object(fields))
}

fn repeat(repeat: &Repeat, id: &str) -> Printed<Fields> {
    let mut rounds = Fields::new();
    put(&mut rounds, "most", repeat.max_rounds);
    if repeat.until != Condition::Any(Vec::new()) {
        put(&mut rounds, "until", condition(&repeat.until)?);
    }
    if let Some(whilst) = &repeat.while_ {
        put(&mut rounds, "while", condition(whilst)?);
    }
    if repeat.finishes {
        put(&mut rounds, "beyond", word(AFTER_LAST, true));
    }
    let mut fields = body(&repeat.body, id)?;
    put(&mut fields, "repeat", rounds);
    Ok(fields)
}

fn delegate(delegate: &Delegate, id: &str) -> Printed<Fields> {
    let mut fields = work(&delegate.work, Some(id))?;
    let usual = Delegate::new(delegate.work.clone());
    let mut of = Fields::new();
    let numbers = [
        ("depth", delegate.depth, usual.depth),
        ("fan_out", delegate.fan_out, usual.fan_out),
        ("max_parts", delegate.max_parts, usual.max_parts),
        ("tolerate", delegate.tolerate, usual.tolerate),
    ];
    for (name, number, usual) in numbers {
        if number != usual {
            put(&mut of, name, number);
        }
    }
    if let Some(most) = delegate.max_concurrent {
        put(&mut of, "max_concurrent", most);
    }
    names(&mut of, "kinds", &delegate.kinds);
    if delegate.on_limit != usual.on_limit {
        put(&mut of, "beyond", word(BEYOND, delegate.on_limit));
    }
    if delegate.gather != usual.gather {
        let (name, value) = gather(&delegate.gather)?;
        put(&mut of, name, value);
    }
    if delegate.rounds != usual.rounds {
        put(&mut of, "rounds", rounds(delegate.rounds));
    }
    put(&mut fields, "delegate", if of.is_empty() { json!(true) } else { Value::Object(of) });
    Ok(fields)
}

fn gather(gather: &Gather) -> Printed<(&'static str, Value)> {
    let place = match gather {
        Gather::List => 0,
        Gather::Vote => 1,
        Gather::Median => 2,
        Gather::Ranks => 3,
        Gather::Reduce(by) => match reducer(by) {
            (word, None) => return Ok(("gather", word)),
            (_, Some(_)) => {
                return Err(PrintError::new(PrintErrorKind::Setting("results that a function of the host gathers")));
            }
        },
        Gather::Work(by) if *by == Work::new(by.kind.clone()) => return Ok(("gather_by", json!(by.kind.as_str()))),
        Gather::Work(by) if by.overrides.is_none() => return Ok(("gather_by", Value::Object(work(by, None)?))),
        Gather::Work(_) => {
            return Err(PrintError::new(PrintErrorKind::Setting("a gathering task with settings from data")));
        }
    };
    Ok(("gather", word(GATHERS, place)))
}

fn rounds(rounds: Rounds) -> Value {
    if rounds == Rounds::up_to(rounds.max_rounds) {
        return json!(rounds.max_rounds);
    }
    let mut fields = Fields::new();
    put(&mut fields, "most", rounds.max_rounds);
    put(&mut fields, "near", rounds.tolerance);
    put(&mut fields, "settled", rounds.stable_rounds);
    Value::Object(fields)
}

fn fail(fail: &Fail) -> Printed<Value> {
    let message = field(&fail.message)?;
    let mut fields = Fields::new();
    for (name, expr) in [("code", &fail.code), ("details", &fail.details)] {
        if *expr != Expr::default() {
            put(&mut fields, name, data(expr)?);
        }
    }
    if fail.kind != FailureKind::Permanent {
        put(&mut fields, "kind", word(FAILURES, fail.kind));
    }
    if fields.is_empty() && message.is_string() {
        return Ok(message);
    }
    put(&mut fields, "message", message);
    Ok(Value::Object(fields))
}

fn send(send: &SendSignal) -> Printed<Value> {
    let mut fields = Fields::new();
    put(&mut fields, "signal", send.signal.as_str());
    match &send.to {
        Receivers::Run => {}
        Receivers::Parent => put(&mut fields, "to", "parent"),
        Receivers::Root => put(&mut fields, "to", "root"),
        Receivers::All { workflow } => put(&mut fields, "workflow", workflow.as_str()),
        Receivers::Key { workflow, key } => {
            put(&mut fields, "workflow", workflow.as_str());
            put(&mut fields, "key", field(key)?);
        }
    }
    Ok(Value::Object(fields))
}

fn states(states: &States) -> Printed<Value> {
    let all = states.states.iter().map(state).collect::<Printed<Vec<Value>>>()?;
    Ok(json!({"start": states.start.as_str(), "most": states.max_steps, "states": all}))
}

fn state(state: &State) -> Printed<Value> {
    let name = state.name.as_str();
    let mut fields = Fields::new();
    let mut kind = name;
    match &state.body {
        None => {}
        Some(Body::Task(of)) => {
            kind = of.kind.as_str();
            let is_plain = *of == Work::new(of.kind.clone());
            put(&mut fields, "do", if is_plain { json!(kind) } else { Value::Object(work(of, Some(name))?) });
        }
        Some(other) => fields = body(other, name)?,
    }
    put(&mut fields, "name", name);
    if state.input != Expr::Item {
        put(&mut fields, "inputs", field(&state.input)?);
    }
    if let Some(output) = &state.output {
        put(&mut fields, "output", field(output)?);
    }
    if let Some(undo) = &state.undo {
        put(&mut fields, "compensate", companion(undo, &format!("{kind}.undo"))?);
    }
    if let Some(given) = &state.retry {
        put(&mut fields, "retry", retry(given));
    }
    let mut next = state.next.iter().map(transition).collect::<Printed<Vec<Value>>>()?;
    match next.len() {
        0 => {}
        1 if next.iter().all(Value::is_string) => put(&mut fields, "next", next.remove(0)),
        _ => put(&mut fields, "next", next),
    }
    Ok(Value::Object(fields))
}

fn transition(transition: &Transition) -> Printed<Value> {
    let mut fields = Fields::new();
    put(&mut fields, "to", transition.to.as_str());
    if transition.when != Condition::True {
        put(&mut fields, "when", condition(&transition.when)?);
    }
    if let Some(of) = &transition.on_failure {
        put(&mut fields, "on_failure", failures(of));
    }
    if let Some(output) = &transition.output {
        put(&mut fields, "output", field(output)?);
    }
    Ok(if fields.len() == 1 { json!(transition.to.as_str()) } else { Value::Object(fields) })
}
