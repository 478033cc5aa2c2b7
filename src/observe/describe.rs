//! Events as text, one line each.

use super::names::{Named, behind, run_name, task_name};
use crate::base::draw::{Span, line};
use crate::base::id::{AttemptNumber, Incarnation, RunId, TaskId};
use crate::base::time::Time;
use crate::definition::InputFault;
use crate::message::event::{
    AgentEvent, CatalogueEvent, ControlEvent, DecisionEvent, Entry, Event, MapEvent, Next, NodeEvent, NodeRef, Opening,
    PartEvent, RunEvent, ScheduleEvent, TaskEvent, YieldReason,
};
use crate::message::run::{CompensationOutcome, NodeRemedy};
use crate::schedule::Occasion;
use crate::task::agent::Scope;
use crate::task::{Bound, Failure, SideEffects, TaskSpec, Tier};
use core::fmt::Write as _;
use core::time::Duration;

/// The number of characters of a name or message in a line.
const SHOWN: usize = 80;
/// The number of ids of a list in a line.
const LISTED: usize = 4;

/// The event of an entry as one line of text. Long texts are truncated, payloads are left out.
pub(crate) fn text_of(entry: &Entry, named: Named<'_>) -> String {
    match &entry.event {
        Event::Agent { agent: by, event } => agent(named, *by, event),
        Event::Task { task: id, event } => task(named, *id, event, entry.at),
        Event::Catalogue(event) => catalogue(event),
        Event::Run { run: id, event } => run(named, *id, event),
        Event::Node { run, node: at, event } => {
            node(&format!("{} node {}", named.run(*run), short(&at.name)), event, entry.at)
        }
        Event::Schedule { schedule: id, event } => schedule(named, id, event),
        Event::Control(event) => control(named, event),
    }
}

fn agent(named: Named<'_>, id: Incarnation, event: &AgentEvent) -> String {
    let by = named.incarnation(id);
    match event {
        AgentEvent::Registered { spec } => {
            format!("{} registered, capacity {}", behind(spec.name.as_ref(), id), spec.capacity)
        }
        AgentEvent::Updated { spec } => {
            format!("{} changed, capacity {}", behind(spec.name.as_ref(), id), spec.capacity)
        }
        AgentEvent::Draining => format!("{by} is draining"),
        AgentEvent::Deregistered => format!("{by} deregistered"),
        AgentEvent::Lost => format!("{by} was lost"),
        AgentEvent::Throttled { guard, slots: None, .. } => format!("{guard}: {by} is no longer throttled"),
        AgentEvent::Throttled { guard, slots: Some(0), .. } => format!("{guard}: {by} gets no attempts"),
        AgentEvent::Throttled { guard, slots: Some(slots), .. } => {
            format!("{guard}: {by} gets at most {slots} attempts at once")
        }
    }
}

fn control(named: Named<'_>, event: &ControlEvent) -> String {
    let scope_text = |scope: &Scope| match scope {
        Scope::Agent(id) => format!("agent {}", named.agent(*id)),
        Scope::Tenant(_) | Scope::Kind(_) => scope.to_string(),
    };
    let tasks_text =
        |tasks: &[TaskId]| list(&tasks.iter().take(LISTED).map(|id| named.task(*id)).collect::<Vec<_>>(), tasks.len());
    let runs_text =
        |runs: &[RunId]| list(&runs.iter().take(LISTED).map(|id| named.run(*id)).collect::<Vec<_>>(), runs.len());
    match event {
        ControlEvent::Identified { journal } => format!("the journal is {journal}"),
        ControlEvent::Paused { scope, .. } => format!("{} was paused", scope_text(scope)),
        ControlEvent::Resumed { scope } => format!("{} was resumed", scope_text(scope)),
        ControlEvent::Panicked { fit, of } => {
            format!("panic mode: only {fit} of {of} agents are healthy, so guards exclude none of them")
        }
        ControlEvent::Calmed { fit, of } => format!("panic mode ended: {fit} of {of} agents are healthy"),
        ControlEvent::Shedding { from: Some(tier) } => {
            format!("load shedding: tasks of tier {tier} and below are rejected")
        }
        ControlEvent::Shedding { from: None } => "load shedding ended: tasks of all tiers are accepted".to_owned(),
        ControlEvent::Degraded { mode: Some(mode), pressure } => {
            format!("degraded to {}, at a pressure of {pressure}", short(mode))
        }
        ControlEvent::Degraded { mode: None, pressure } => format!("no longer degraded, at a pressure of {pressure}"),
        ControlEvent::Rerouted { kind, to, reason } => {
            let of = kind.as_ref().map(|kind| format!(" of {}", short(kind))).unwrap_or_default();
            format!("tasks{of} are now routed by {}: {}", short(to), short(reason))
        }
        ControlEvent::Scaling { agents, advised, reason, .. } => {
            format!("{advised} agents are advised instead of {agents}: {}", short(reason))
        }
        ControlEvent::ClockJumped { from, to } => {
            format!("the clock jumped from {from} to {to}; the engine does not follow it")
        }
        ControlEvent::ClockConfirmed { from, to, reason: Some(reason) } => {
            format!("the jump of the clock was confirmed, from {from} to {to}: {}", short(reason))
        }
        ControlEvent::ClockConfirmed { from, to, reason: None } => {
            format!("the jump of the clock was confirmed by later readings, from {from} to {to}")
        }
        ControlEvent::ClockReturned => "the clock returned to the time of the engine".to_owned(),
        ControlEvent::Unroutable(work) => line(&work.text(named.task(work.task)), SHOWN * 4),
        ControlEvent::Routable { report } => format!("the tasks of report {report} have an agent or no longer wait"),
        ControlEvent::TasksPrioritised { tasks, tier, reason } => {
            format!("{} now in tier {tier}: {}", tasks_text(tasks), short(reason))
        }
        ControlEvent::TasksForgotten { tasks } => format!("removed after their end: {}", tasks_text(tasks)),
        ControlEvent::RunsForgotten { runs } => format!("removed after their end: {}", runs_text(runs)),
    }
}

fn catalogue(event: &CatalogueEvent) -> String {
    match event {
        CatalogueEvent::Defined { definition } => {
            let (name, version, nodes) = (short(&definition.name), definition.version, definition.nodes.len());
            format!("workflow {name} v{version} defined, {nodes} nodes")
        }
        CatalogueEvent::Redefined { definition, changed } => {
            let (name, version) = (short(&definition.name), definition.version);
            let changed: Vec<String> = changed.iter().take(3).map(|change| short(&change.to_string())).collect();
            format!("workflow {name} v{version} defined again, compatibly: {}", changed.join("; "))
        }
        CatalogueEvent::DefaultSet { workflow, version, reason } => {
            let version = version.map_or_else(|| "the newest version".to_owned(), |version| format!("v{version}"));
            format!("new runs of {} take {version}: {}", short(workflow), short(reason))
        }
        CatalogueEvent::Retired { workflow, version, reason } => {
            format!("workflow {} v{version} retired: {}", short(workflow), short(reason))
        }
    }
}

fn schedule(named: Named<'_>, id: &str, event: &ScheduleEvent) -> String {
    let id = format!("schedule {}", short(id));
    let on = |occasion: &Occasion| short(&occasion.to_string());
    match event {
        ScheduleEvent::Created { spec } => format!("{id} of workflow {} created", short(&spec.workflow)),
        ScheduleEvent::Updated { spec } => format!("{id} of workflow {} updated", short(&spec.workflow)),
        ScheduleEvent::Deleted { reason } => format!("{id} deleted: {}", short(reason)),
        ScheduleEvent::Paused { note, failed: None } => format!("{id} paused: {}", short(note)),
        ScheduleEvent::Paused { failed: Some(run), .. } => format!("{id} paused: {} failed", named.run(*run)),
        ScheduleEvent::Resumed { note } => format!("{id} resumed: {}", short(note)),
        ScheduleEvent::Requested { occasions, .. } => match occasions.as_slice() {
            [occasion] => format!("{id} is to fire for {}", on(occasion)),
            many => format!("{id} is to fire for {} times", many.len()),
        },
        ScheduleEvent::Fired { occasion, run } => format!("{id} fired for {}: {}", on(occasion), named.run(*run)),
        ScheduleEvent::Buffered { occasion, overlap } => {
            format!("{id} waits with the firing for {} ({overlap})", on(occasion))
        }
        ScheduleEvent::Skipped { occasion, why } => {
            format!("{id} skipped {}: {}", on(occasion), short(&why.to_string()))
        }
        ScheduleEvent::Missed { first, until, times } => {
            format!("{id} missed its times from {first} to {until}, at least {times}")
        }
    }
}

fn task(named: Named<'_>, task: TaskId, event: &TaskEvent, now: Time) -> String {
    let id = named.task(task);
    let of = |attempt: AttemptNumber| named.attempt(attempt.of(task));
    match event {
        TaskEvent::Submitted { spec, replays, expected } => submitted(named, spec, *replays, *expected),
        TaskEvent::Ready => format!("{id} is ready"),
        TaskEvent::Deferred { until } => format!("{id} is deferred: only tasks that arrive before {until} overtake it"),
        TaskEvent::Assigned { attempt, to } => format!("{} assigned to {}", of(*attempt), named.incarnation(*to)),
        TaskEvent::Started { attempt } => format!("{} has begun", of(*attempt)),
        TaskEvent::YieldRequested { attempt, reason } => match reason {
            YieldReason::Preempted { by } => {
                format!("{} is preempted by {}, which is more urgent", of(*attempt), named.task(*by))
            }
            YieldReason::Recalled { by } => {
                format!("{} has not begun and is preempted by {}", of(*attempt), named.task(*by))
            }
            YieldReason::Overtaken { by } => {
                format!("{} has not begun and is overtaken by {}", of(*attempt), named.task(*by))
            }
            YieldReason::Rebalanced => format!("{} has not begun and moves to another agent", of(*attempt)),
        },
        TaskEvent::Used { attempt, usage, .. } => {
            format!("{} used {} millionths of cost and {} tokens", of(*attempt), usage.cost, usage.tokens)
        }
        TaskEvent::Heartbeat { attempt, details, .. } => {
            format!("{} reports details of {} bytes", of(*attempt), details.bytes())
        }
        TaskEvent::Yielded { attempt, by, .. } => {
            format!("{} was given back by {}", of(*attempt), named.incarnation(*by))
        }
        TaskEvent::AttemptFailed { attempt, by, failure, next, beyond_budget, .. } => {
            let mut out = attempt_failed(&of(*attempt), &named.incarnation(*by), failure, *next, now);
            if *beyond_budget {
                out.push_str(" because the retry budget is exhausted");
            }
            out
        }
        TaskEvent::Joined { to } => format!("{id} waits for the result of {}", named.task(*to)),
        TaskEvent::Answered { from, .. } => format!("{id} answered with the result of {}", named.task(*from)),
        TaskEvent::Succeeded { attempt, by, .. } => format!("{} succeeded on {}", of(*attempt), named.incarnation(*by)),
        TaskEvent::CancelRequested { reason } => format!("{id}: cancellation requested: {}", short(reason)),
        TaskEvent::Cancelled { reason, side_effects } => {
            let effects = match side_effects {
                SideEffects::None => "",
                SideEffects::Possible => "; side effects are possible",
                SideEffects::Done(_) => "; the attempt completed nevertheless",
            };
            format!("{id} cancelled: {}{effects}", short(reason))
        }
        TaskEvent::Expired { bound, .. } => {
            let bound = match bound {
                Bound::Deadline => "its deadline",
                Bound::Queue => "its queue timeout",
                Bound::Total => "its total timeout",
                Bound::Unroutable => "no agent could perform it",
            };
            format!("{id} expired: {bound}")
        }
        TaskEvent::Discarded { reason } => format!("dead letter {id} discarded: {}", short(reason)),
        TaskEvent::Rated { agent, rating, .. } => {
            format!("the result of {id} by {} is rated {rating}", named.agent(*agent))
        }
    }
}

fn submitted(named: Named<'_>, spec: &TaskSpec, replays: Option<TaskId>, expected: Option<Duration>) -> String {
    let mut out = format!("{} submitted", behind(Some(&task_name(spec)), spec.id));
    if spec.key().is_some() {
        let _ = write!(out, ": {}", short(&spec.kind));
    }
    if spec.tier != Tier::Normal {
        let _ = write!(out, ", {}", spec.tier);
    }
    if let Some(owner) = spec.owner {
        let _ = write!(out, ", for {}", named.step(owner));
    }
    if !spec.after.is_empty() {
        let after: Vec<String> = spec.after.iter().take(LISTED).map(|id| named.task(*id)).collect();
        let _ = write!(out, ", after {}", list(&after, spec.after.len()));
    }
    if let Some(span) = expected {
        let _ = write!(out, ", expected to take {}", humantime::format_duration(span));
    }
    if let Some(letter) = replays {
        let _ = write!(out, ", replays {}", named.task(letter));
    }
    out
}

fn attempt_failed(attempt: &str, by: &str, failure: &Failure, next: Next, now: Time) -> String {
    let then = match next {
        Next::Retry { at, tier } => {
            let when = if at <= now { "at once".to_owned() } else { format!("in {}", Span::from(at - now)) };
            let tier = tier.map(|tier| format!(" in tier {tier}")).unwrap_or_default();
            format!("retried {when}{tier}")
        }
        Next::Fail => "the task failed".to_owned(),
        Next::DeadLetter => "now a dead letter".to_owned(),
    };
    format!("{attempt} failed on {by} ({}); {then}", failure_text(failure))
}

fn run(named: Named<'_>, run: RunId, event: &RunEvent) -> String {
    let id = named.run(run);
    match event {
        RunEvent::Started { spec, version, owner, .. } => {
            let within = owner.map(|owner| format!(", for {}", named.step(owner))).unwrap_or_default();
            format!("{} started: {} v{version}{within}", behind(Some(&run_name(spec)), run), short(&spec.workflow))
        }
        RunEvent::Prioritised { tier, reason } => format!("{id} is now in tier {tier}: {}", short(reason)),
        RunEvent::Migrated { version, definition, from, reason, .. } => {
            let own = if definition.is_some() { "its own definition" } else { "another definition" };
            let kept = from.iter().flatten().count();
            format!("{id} migrated to {own}, v{version}, with {kept} nodes: {}", short(reason))
        }
        RunEvent::Retried { nodes, reason } => {
            format!("{id} is retried, with nodes {}: {}", names(nodes), short(reason))
        }
        RunEvent::Reset { nodes, undo, reason, call } => {
            let compensated = if *undo { "compensated and " } else { "" };
            let from =
                call.as_ref().map(|call| format!(" from the call {} on", short(&call.to_string()))).unwrap_or_default();
            format!("{id} is reset, with nodes {} {compensated}repeated{from}: {}", names(nodes), short(reason))
        }
        RunEvent::Signalled { signal, .. } => format!("{id} received signal {}", short(signal)),
        RunEvent::SignalMoved { from, signal, .. } => {
            format!("{id} took signal {} from {}", short(signal), named.run(*from))
        }
        RunEvent::Paused { reason } => format!("{id} is paused: {}", short(reason)),
        RunEvent::Resumed => format!("{id} is resumed"),
        RunEvent::Updated { variable, .. } => format!("{id} updates variable {}", short(variable)),
        RunEvent::Reduced { variable, .. } => format!("{id} returns variable {variable}"),
        RunEvent::Failing { cause } => format!("{id} is failing: {}", line(&cause.to_string(), SHOWN + 40)),
        RunEvent::RolledBack { cause, call: Some(call), .. } => {
            format!(
                "{id} rolls back to the call {}: {}",
                short(&call.to_string()),
                line(&cause.to_string(), SHOWN + 40)
            )
        }
        RunEvent::RolledBack { to, cause, call: None } => {
            format!("{id} rolls back to {}: {}", names(to), line(&cause.to_string(), SHOWN + 40))
        }
        RunEvent::Restarted { nodes } => format!("{id} continues forward with nodes {}", names(nodes)),
        RunEvent::Compensating { nodes } if nodes.is_empty() => format!("{id} has no node to compensate"),
        RunEvent::Compensating { nodes } => format!("{id} compensates nodes {}", names(nodes)),
        RunEvent::Finished { outcome } => format!("{id} {}", line(&outcome.to_string(), SHOWN + 80)),
    }
}

/// `at` is the run and the node as text.
fn node(at: &str, event: &NodeEvent, now: Time) -> String {
    match event {
        NodeEvent::Opened { what } => format!("{at} began: {}", opening(what, now)),
        NodeEvent::Finished { outcome, took, .. } => {
            let mut out = format!("{at} {}", line(&outcome.to_string(), SHOWN + 40));
            if !took.is_empty() {
                let names: Vec<String> = took.iter().take(LISTED).map(|name| short(name)).collect();
                let _ = write!(out, ", took {}", names.join(", "));
            }
            out
        }
        NodeEvent::HandlerFired { handler, .. } => format!("{at}: handler {handler} fires"),
        NodeEvent::Operated { remedy } => {
            let what = match remedy {
                NodeRemedy::Complete { .. } => "is completed by an operator",
                NodeRemedy::Fail { .. } => "is failed by an operator",
                NodeRemedy::Skip { .. } => "is skipped by an operator",
            };
            format!("{at} {what}: {}", short(remedy.reason()))
        }
        NodeEvent::Map(MapEvent::ItemsAdded { items }) => format!("{at} received {} items", items.len()),
        NodeEvent::Map(MapEvent::Closed) => format!("{at} accepts no more items"),
        NodeEvent::Map(MapEvent::Completion) => format!("{at} met its completion rule"),
        NodeEvent::Part { part, event } => part_of(at, *part, event),
        NodeEvent::Refused { guard } => format!("{at}: {guard}"),
        NodeEvent::Retrying { at: next, failure, .. } => {
            let when = if *next <= now { "at once".to_owned() } else { format!("in {}", Span::from(*next - now)) };
            format!("{at} is retried {when} after a failure ({})", failure_text(failure))
        }
        NodeEvent::Called { calls } => {
            let keys: Vec<String> = calls.iter().map(|call| short(&call.key)).collect();
            format!("{at} requests {} calls: {}", calls.len(), list(&keys, keys.len()))
        }
        NodeEvent::Continued { .. } => format!("{at} continues as new"),
        NodeEvent::Unresolved { workflow, .. } => format!("{at}: no workflow {}", short(workflow)),
        NodeEvent::InputRefused { workflow, faults, .. } => {
            format!(
                "{at}: {} does not take the input: {}",
                short(workflow),
                line(&InputFault::join(faults), SHOWN + 40)
            )
        }
        NodeEvent::Exhausted { limit } => format!("{at}: {limit}"),
        NodeEvent::Held { outcome } => {
            format!("{at} is held for an operator: {}", line(&outcome.to_string(), SHOWN + 40))
        }
        NodeEvent::Reduced { variable, .. } => format!("{at} reads variable {variable}"),
        NodeEvent::Sent { signal, to, .. } => match to.as_slice() {
            [] => format!("{at}: no run receives signal {}", short(signal)),
            [run] => format!("{at} sends signal {} to {run}", short(signal)),
            runs => format!("{at} sends signal {} to {} runs", short(signal), runs.len()),
        },
        NodeEvent::StateEntered { state, .. } => format!("{at} enters state {state}"),
        NodeEvent::Decision(DecisionEvent::Made { by, option, .. }) => {
            format!("{at}: {} decided for {}", short(by), short(option))
        }
        NodeEvent::Decision(DecisionEvent::Delegated { by, to }) => {
            format!("{at}: {} delegated the decision to {}", short(by), short(to))
        }
        NodeEvent::Decision(DecisionEvent::Escalated { level }) => format!("{at}: the decision is escalated ({level})"),
        NodeEvent::Compensated { outcome } => match outcome {
            CompensationOutcome::Compensated => format!("{at} compensated"),
            CompensationOutcome::Failed { failure } => {
                format!("{at} could not be compensated ({})", failure_text(failure))
            }
            CompensationOutcome::Declared { reason } => format!("{at} declared compensated: {}", short(reason)),
            CompensationOutcome::Abandoned { reason } => format!("{at} remains uncompensated: {}", short(reason)),
        },
        NodeEvent::CompensationRetried => format!("{at} is compensated again"),
    }
}

fn part_of(at: &str, part: u32, event: &PartEvent) -> String {
    match event {
        PartEvent::Split { into, dropped } => {
            let left = if dropped.is_empty() { String::new() } else { format!(", {} left out", dropped.len()) };
            let kinds: Vec<String> = into.iter().map(|part| short(&part.task.kind)).collect();
            format!("{at} part {part} delegated in {} parts{left}: {}", into.len(), list(&kinds, kinds.len()))
        }
        PartEvent::Gathered { last } => {
            let last = last.map(|last| format!(" and delegation ends, {last}")).unwrap_or_default();
            format!("{at} part {part}: results are gathered{last}")
        }
        PartEvent::Ended { end, .. } => format!("{at} part {part} {}", line(&end.to_string(), SHOWN + 40)),
    }
}

fn opening(what: &Opening, now: Time) -> String {
    let label = what.label();
    if let Opening::Wait { until: Some(until) } = what {
        return format!("{label} of {}", Span::from(*until - now));
    }
    label
}

fn short(text: &str) -> String {
    line(text, SHOWN)
}

fn failure_text(failure: &Failure) -> String {
    format!("{}: {}", failure.kind, short(&failure.message))
}

fn names(nodes: &[NodeRef]) -> String {
    list(&nodes.iter().take(LISTED).map(|node| short(&node.name)).collect::<Vec<_>>(), nodes.len())
}

/// The first of `all` items.
fn list(items: &[String], all: usize) -> String {
    let mut out = items.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if all > LISTED {
        let _ = write!(out, ", and {} more", all.saturating_sub(LISTED));
    }
    out
}
