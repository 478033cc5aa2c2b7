//! Entries in words, one line each.

use super::text::{Span, line};
use crate::event::{AgentEvent, ControlEvent, Entry, Event, Next, Opening, RunEvent, TaskEvent, YieldReason};
use crate::id::{AttemptId, Incarnation};
use crate::run::{NodeRemedy, UndoOutcome};
use crate::task::Bound;
use crate::task::{Failure, Happened, Owner, Phase, Tier};
use crate::time::Time;
use core::fmt::{Display, Write as _};

/// Characters of a name or a message that a line shows.
const SHOWN: usize = 80;
/// Ids of a list that a line shows.
const LISTED: usize = 4;

/// What an entry says, on one line for people, with the ids in it. Long texts are cut, payloads are left out.
///
/// ```
/// use counterpoint::insight::describe;
/// use counterpoint::{AgentId, AttemptId, Entry, Failure, Incarnation, Next, Seq, TaskEvent, TaskId, Time};
///
/// let event = TaskEvent::AttemptFailed {
///     attempt: AttemptId::new(TaskId::new(7), 2),
///     by: Incarnation::new(AgentId::new(3), 1),
///     failure: Failure::transient("connection reset"),
///     next: Next::Retry { at: Time::from_millis(1_250), tier: None },
///     maybe: false,
///     beyond_budget: false,
/// };
/// let entry = Entry { seq: Seq::new(9), at: Time::from_millis(1_000), event: event.into() };
/// assert_eq!(describe(&entry), "t7.2 failed on a3#1 (transient: connection reset); tried again in 250 ms");
/// ```
#[must_use]
pub fn describe(entry: &Entry) -> String {
    match &entry.event {
        Event::Agent(event) => agent(event),
        Event::Task(event) => task(event, entry.at),
        Event::Run(event) => run(event, entry.at),
        Event::Control(event) => control(event),
    }
}

fn agent(event: &AgentEvent) -> String {
    match event {
        AgentEvent::Registered { by, spec } => {
            let name = spec.name.as_ref().map(|name| format!(" ({})", short(name))).unwrap_or_default();
            format!("{by}{name} registered, capacity {}", spec.capacity)
        }
        AgentEvent::Updated { by, spec } => format!("{by} changed, capacity {}", spec.capacity),
        AgentEvent::Draining { by } => format!("{by} takes nothing new"),
        AgentEvent::Deregistered { by } => format!("{by} left"),
        AgentEvent::Lost { by } => format!("{by} was lost"),
        AgentEvent::Throttled { by, guard, slots: None, .. } => format!("{guard}: {by} is no longer held back"),
        AgentEvent::Throttled { by, guard, slots: Some(0), .. } => format!("{guard}: {by} is given nothing"),
        AgentEvent::Throttled { by, guard, slots: Some(slots), .. } => {
            format!("{guard}: {by} is given no more than {slots} at once")
        }
    }
}

fn control(event: &ControlEvent) -> String {
    match event {
        ControlEvent::Paused { scope, .. } => format!("{scope} was paused"),
        ControlEvent::Resumed { scope } => format!("{scope} was resumed"),
        ControlEvent::Panicked { fit, of } => {
            format!("panic: only {fit} of {of} agents are fit for work, so guards exclude none of them")
        }
        ControlEvent::Calmed { fit, of } => format!("panic is over: {fit} of {of} agents are fit for work"),
        ControlEvent::Shedding { from: Some(tier) } => {
            format!("tasks wait too long: tier {tier} and below are refused")
        }
        ControlEvent::Shedding { from: None } => "tasks of all tiers are taken again".to_owned(),
        ControlEvent::Degraded { mode: Some(mode), pressure } => {
            format!("degraded to {}, at a pressure of {pressure}", short(mode))
        }
        ControlEvent::Degraded { mode: None, pressure } => format!("no longer degraded, at a pressure of {pressure}"),
        ControlEvent::Rerouted { kind, to, why } => {
            let of = kind.as_ref().map(|kind| format!(" of {}", short(kind))).unwrap_or_default();
            format!("tasks{of} are routed by {} now: {}", short(to), short(why))
        }
        ControlEvent::Scaling { agents, advised, why, .. } => {
            format!("there should be {advised} agents, not {agents}: {}", short(why))
        }
    }
}

fn task(event: &TaskEvent, now: Time) -> String {
    match event {
        TaskEvent::Submitted { spec, replays, expected } => {
            let mut out = format!("{} submitted: {}", spec.id, short(&spec.kind));
            if spec.tier != Tier::Normal {
                let _ = write!(out, ", {}", spec.tier);
            }
            if let Some(owner) = spec.owner {
                let _ = write!(out, ", for {}", step(owner));
            }
            if !spec.after.is_empty() {
                let _ = write!(out, ", after {}", list(&spec.after));
            }
            if let Some(span) = expected {
                let _ = write!(out, ", expected to take {}", humantime::format_duration(*span));
            }
            if let Some(letter) = replays {
                let _ = write!(out, ", replays {letter}");
            }
            out
        }
        TaskEvent::Ready { task } => format!("{task} is ready"),
        TaskEvent::Assigned { attempt, to } => format!("{attempt} assigned to {to}"),
        TaskEvent::Started { attempt } => format!("{attempt} has begun"),
        TaskEvent::YieldRequested { attempt, why } => match why {
            YieldReason::Preempted { by } => format!("{attempt} is called back for {by}, which is more urgent"),
            YieldReason::Recalled { by } => format!("{attempt} has not begun and is called back for {by}"),
            YieldReason::Rebalanced => format!("{attempt} has not begun and is called back for another agent"),
        },
        TaskEvent::Used { attempt, usage, .. } => {
            format!("{attempt} used up {} millionths of cost and {} tokens", usage.cost, usage.tokens)
        }
        TaskEvent::Yielded { attempt, by, .. } => format!("{attempt} was given back by {by}"),
        TaskEvent::AttemptFailed { attempt, by, failure, next, beyond_budget, .. } => {
            let mut out = attempt_failed(*attempt, *by, failure, *next, now);
            if *beyond_budget {
                out.push_str(", as the retry budget is used up");
            }
            out
        }
        TaskEvent::Answered { task, from, .. } => format!("{task} answered with the result of {from}"),
        TaskEvent::Succeeded { attempt, by, .. } => format!("{attempt} succeeded on {by}"),
        TaskEvent::CancelRequested { task, reason } => format!("{task} is to be cancelled: {}", short(reason)),
        TaskEvent::Cancelled { task, reason, happened } => {
            let trace = match happened {
                Happened::No => "",
                Happened::Maybe => "; it may have happened",
                Happened::Yes(_) => "; it had happened",
            };
            format!("{task} cancelled: {}{trace}", short(reason))
        }
        TaskEvent::Expired { task, bound, .. } => {
            let bound = match bound {
                Bound::Deadline => "its deadline",
                Bound::Queue => "its queue timeout",
                Bound::Total => "its total timeout",
            };
            format!("{task} expired: {bound}")
        }
        TaskEvent::Prioritised { tasks, tier, reason } => {
            format!("{} now in tier {tier}: {}", list(tasks), short(reason))
        }
        TaskEvent::Discarded { task, reason } => format!("dead letter {task} given up: {}", short(reason)),
        TaskEvent::Forgotten { tasks } => format!("forgotten, as finished: {}", list(tasks)),
    }
}

fn attempt_failed(attempt: AttemptId, by: Incarnation, failure: &Failure, next: Next, now: Time) -> String {
    let then = match next {
        Next::Retry { at, tier } => {
            let when = if at <= now { "at once".to_owned() } else { format!("in {}", Span::from(at - now)) };
            let tier = tier.map(|tier| format!(" in tier {tier}")).unwrap_or_default();
            format!("tried again {when}{tier}")
        }
        Next::Fail => "the task failed".to_owned(),
        Next::DeadLetter => "now a dead letter".to_owned(),
    };
    format!("{attempt} failed on {by} ({}); {then}", told(failure))
}

fn run(event: &RunEvent, now: Time) -> String {
    match event {
        RunEvent::Defined { definition } => {
            let (name, version, nodes) = (short(&definition.name), definition.version, definition.nodes.len());
            format!("workflow {name} v{version} defined, {nodes} nodes")
        }
        RunEvent::Started { spec, version, owner, .. } => {
            let within = owner.map(|owner| format!(", for {}", step(owner))).unwrap_or_default();
            format!("{} started: {} v{version}{within}", spec.id, short(&spec.workflow))
        }
        RunEvent::DefaultSet { .. }
        | RunEvent::Retired { .. }
        | RunEvent::Prioritised { .. }
        | RunEvent::Migrated { .. }
        | RunEvent::Retried { .. }
        | RunEvent::Reset { .. } => operation(event),
        RunEvent::Opened { run, node, what } => {
            let what = opening(what, now);
            format!("{run} node {node} began: {what}")
        }
        RunEvent::NodeFinished { run, node, outcome, took, .. } => {
            let mut out = format!("{run} node {node} {}", line(&outcome.to_string(), SHOWN + 40));
            if !took.is_empty() {
                let names: Vec<String> = took.iter().take(LISTED).map(|name| short(name)).collect();
                let _ = write!(out, ", took {}", names.join(", "));
            }
            out
        }
        RunEvent::Signalled { run, signal, .. } => format!("{run} got signal {}", short(signal)),
        RunEvent::Updated { run, variable, .. } => format!("{run} got an update of variable {}", short(variable)),
        RunEvent::SignalMoved { run, from, signal, .. } => format!("{run} took signal {} from {from}", short(signal)),
        RunEvent::Paused { .. }
        | RunEvent::Resumed { .. }
        | RunEvent::Operated { .. }
        | RunEvent::ItemsAdded { .. }
        | RunEvent::ItemsClosed { .. }
        | RunEvent::ItemsEnough { .. }
        | RunEvent::Split { .. }
        | RunEvent::Gathered { .. }
        | RunEvent::PartEnded { .. }
        | RunEvent::Refused { .. }
        | RunEvent::Exhausted { .. }
        | RunEvent::Unresolved { .. }
        | RunEvent::Held { .. }
        | RunEvent::Reduced { .. }
        | RunEvent::Entered { .. }
        | RunEvent::HandlerFired { .. }
        | RunEvent::Decided { .. }
        | RunEvent::Delegated { .. }
        | RunEvent::Escalated { .. } => under_way(event),
        RunEvent::Halted { run, cause } => format!("{run} halted: {}", line(&cause.to_string(), SHOWN + 40)),
        RunEvent::TurnedBack { run, to, cause } => {
            format!("{run} goes back to nodes {}: {}", list(to), line(&cause.to_string(), SHOWN + 40))
        }
        RunEvent::WentForward { run, nodes } => format!("{run} goes forward again, nodes to do: {}", list(nodes)),
        RunEvent::Unwinding { run, nodes } => format!("{run} turns back, nodes to undo: {}", list(nodes)),
        RunEvent::NodeUndone { run, node, outcome } => match outcome {
            UndoOutcome::Undone => format!("{run} node {node} undone"),
            UndoOutcome::Failed { failure } => format!("{run} node {node} could not be undone ({})", told(failure)),
            UndoOutcome::Declared { reason } => format!("{run} node {node} declared undone: {}", short(reason)),
            UndoOutcome::Abandoned { reason } => format!("{run} node {node} stays as it is: {}", short(reason)),
        },
        RunEvent::UndoRetried { run, node } => format!("{run} node {node} is undone again"),
        RunEvent::Finished { run, outcome } => format!("{run} {}", line(&outcome.to_string(), SHOWN + 80)),
        RunEvent::Forgotten { runs } => format!("forgotten, as finished: {}", list(runs)),
    }
}

fn opening(what: &Opening, now: Time) -> String {
    match what {
        Opening::Map { items, .. } => format!("a map of {items} items"),
        Opening::States => "a walk through states".to_owned(),
        Opening::Repeat => "a repeat".to_owned(),
        Opening::Rounds => "work for each that comes".to_owned(),
        Opening::Delegation => "work that may be handed on in parts".to_owned(),
        Opening::Race { .. } => "a wait for the first of several".to_owned(),
        Opening::Wait { until: None } => "a wait".to_owned(),
        Opening::Wait { until: Some(until) } => format!("a wait of {}", Span::from(*until - now)),
    }
}

/// What operators do with versions and with whole runs.
fn operation(event: &RunEvent) -> String {
    if let RunEvent::DefaultSet { workflow, version, reason } = event {
        let version = version.map_or_else(|| "the newest version".to_owned(), |version| format!("v{version}"));
        return format!("new runs of {} take {version}: {}", short(workflow), short(reason));
    }
    if let RunEvent::Retired { workflow, version, reason } = event {
        return format!("workflow {} v{version} retired: {}", short(workflow), short(reason));
    }
    if let RunEvent::Prioritised { run, tier, tasks, reason } = event {
        let moved = if tasks.is_empty() { String::new() } else { format!(", with {}", list(tasks)) };
        return format!("{run} is now in tier {tier}{moved}: {}", short(reason));
    }
    if let RunEvent::Migrated { run, version, definition, from, reason, .. } = event {
        let own = if definition.is_some() { "a definition of its own" } else { "another definition" };
        let kept = from.iter().flatten().count();
        return format!("{run} moved to {own}, v{version}, with {kept} nodes: {}", short(reason));
    }
    if let RunEvent::Retried { run, nodes, reason } = event {
        return format!("{run} goes on from where it failed, with nodes {}: {}", list(nodes), short(reason));
    }
    if let RunEvent::Reset { run, nodes, undo, reason } = event {
        let undone = if *undo { "undone and " } else { "" };
        return format!("{run} is set back, with nodes {} {undone}done anew: {}", list(nodes), short(reason));
    }
    String::new()
}

/// What happens to a node that is under way, and to a run by its operators.
fn under_way(event: &RunEvent) -> String {
    match event {
        RunEvent::HandlerFired { run, node, handler, .. } => format!("{run} node {node}: handler {handler} fires"),
        RunEvent::Paused { run, reason } => format!("{run} is paused: {}", short(reason)),
        RunEvent::Resumed { run } => format!("{run} goes on"),
        RunEvent::Operated { run, node, remedy } => {
            let what = match remedy {
                NodeRemedy::Complete { .. } => "counts as done",
                NodeRemedy::Fail { .. } => "counts as failed",
                NodeRemedy::Skip { .. } => "is left out",
            };
            format!("{run} node {node} {what}: {}", short(remedy.reason()))
        }
        RunEvent::ItemsAdded { run, node, items } => format!("{run} node {node} got {} more items", items.len()),
        RunEvent::ItemsEnough { run, node } => format!("{run} node {node} has enough"),
        RunEvent::Exhausted { run, node, limit } => format!("{run} node {node}: {limit}"),
        RunEvent::Unresolved { run, node, workflow, .. } => {
            format!("{run} node {node}: no workflow {}", short(workflow))
        }
        RunEvent::Held { run, node, outcome } => {
            format!("{run} node {node} waits for a word: {}", line(&outcome.to_string(), SHOWN + 40))
        }
        RunEvent::Split { run, node, part, into, dropped } => {
            let left = if dropped.is_empty() { String::new() } else { format!(", {} left out", dropped.len()) };
            let kinds: Vec<String> = into.iter().map(|part| short(&part.task.kind)).collect();
            format!("{run} node {node} part {part} is handed on in {} parts{left}: {}", into.len(), list(&kinds))
        }
        RunEvent::Gathered { run, node, part, last } => {
            let last = last.map(|last| format!(" for the last time, {last}")).unwrap_or_default();
            format!("{run} node {node} part {part}: results are put together{last}")
        }
        RunEvent::PartEnded { run, node, part, end, .. } => {
            format!("{run} node {node} part {part} {}", line(&end.to_string(), SHOWN + 40))
        }
        RunEvent::Refused { run, node, why } => format!("{run} node {node}: {why}"),
        RunEvent::Reduced { run, node: Some(node), variable, .. } => {
            format!("{run} node {node} reads variable {variable}")
        }
        RunEvent::Reduced { run, node: None, variable, .. } => format!("{run} gives back variable {variable}"),
        RunEvent::ItemsClosed { run, node } => format!("{run} node {node} gets no more items"),
        RunEvent::Entered { run, node, state, .. } => format!("{run} node {node} enters state {state}"),
        RunEvent::Decided { run, node, by, option, .. } => {
            format!("{run} node {node}: {} decided for {}", short(by), short(option))
        }
        RunEvent::Delegated { run, node, by, to } => {
            format!("{run} node {node}: {} handed the decision to {}", short(by), short(to))
        }
        RunEvent::Escalated { run, node, level } => format!("{run} node {node}: the decision is escalated ({level})"),
        RunEvent::Defined { .. }
        | RunEvent::DefaultSet { .. }
        | RunEvent::Retired { .. }
        | RunEvent::Migrated { .. }
        | RunEvent::Prioritised { .. }
        | RunEvent::Retried { .. }
        | RunEvent::Reset { .. }
        | RunEvent::Started { .. }
        | RunEvent::Opened { .. }
        | RunEvent::NodeFinished { .. }
        | RunEvent::Signalled { .. }
        | RunEvent::Updated { .. }
        | RunEvent::SignalMoved { .. }
        | RunEvent::Halted { .. }
        | RunEvent::TurnedBack { .. }
        | RunEvent::WentForward { .. }
        | RunEvent::Unwinding { .. }
        | RunEvent::NodeUndone { .. }
        | RunEvent::UndoRetried { .. }
        | RunEvent::Finished { .. }
        | RunEvent::Forgotten { .. } => String::new(),
    }
}

fn step(owner: Owner) -> String {
    let phase = match owner.phase {
        Phase::Do => "",
        Phase::Undo => " undo",
        Phase::Query => " query",
    };
    format!("{} node {}.{}{phase}", owner.run, owner.node, owner.item)
}

fn short(text: &str) -> String {
    line(text, SHOWN)
}

fn told(failure: &Failure) -> String {
    format!("{}: {}", failure.kind, short(&failure.message))
}

fn list<T: Display>(items: &[T]) -> String {
    let mut out: Vec<String> = items.iter().take(LISTED).map(ToString::to_string).collect();
    if items.len() > LISTED {
        out.push(format!("and {} more", items.len().saturating_sub(LISTED)));
    }
    out.join(", ")
}
