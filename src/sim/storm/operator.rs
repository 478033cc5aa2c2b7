//! The operators of a storm: one that resolves what only a person can resolve, and one that meddles.

#![expect(clippy::wildcard_enum_match_arm, reason = "the others need no operator")]

use super::draw::{KINDS, TENANTS};
use super::flows;
use crate::base::id::{TaskId, mix};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::Random;
use crate::base::time::Time;
use crate::definition::{Action, Body};
use crate::engine::{Engine, NodeView, RunView};
use crate::message::command::{AgentCommand, Command, RunCommand, TaskCommand};
use crate::message::effect::Effect;
use crate::message::run::{CompensationRemedy, Migration, NodeRemedy, NodeStatus, ResetPoint, RunOutcome, RunPhase};
use crate::sim::simulation::Operation;
use crate::task::agent::{AgentStatus, Scope};
use crate::task::{Rating, TaskStatus, Tier};
use serde_json::json;
use std::collections::BTreeMap;

/// Resolves failed compensations; once faults have stopped, decides, closes, resumes and replaces what would wait for ever.
pub(super) fn steady(seed: u64, quiet: Option<Time>) -> impl FnMut(&Engine, Time) -> Vec<Operation> {
    move |engine, now| {
        let is_quiet = quiet.is_some_and(|quiet| now >= quiet);
        let mut wanted: Vec<Command> = Vec::new();
        for run in engine.runs().filter(|run| run.phase() != RunPhase::Finished) {
            for node in run.nodes() {
                if node.status() == NodeStatus::CompensationFailed {
                    wanted.push(remedied(&run, &node, mix(seed ^ run.id().get() ^ now.as_nanos())).into());
                }
                if is_quiet {
                    wanted.extend(released(&run, &node).map(Command::from));
                }
            }
            if is_quiet && run.phase() == RunPhase::Running {
                wanted.push(RunCommand::Resume { run: run.id() }.into());
            }
        }
        if is_quiet {
            let paused = engine.tenants().filter(|it| it.paused().is_some()).map(|it| Scope::Tenant(it.name().clone()));
            let kinds = engine.kinds().filter(|it| it.paused().is_some()).map(|it| Scope::Kind(it.name().clone()));
            let agents = engine.agents().filter(|it| it.paused().is_some()).map(|it| Scope::Agent(it.spec().id));
            wanted.extend(paused.chain(kinds).chain(agents).map(Command::resume));
            let drained = engine.agents().filter(|agent| agent.status() == AgentStatus::Draining);
            wanted.extend(drained.map(|agent| AgentCommand::Deregister { agent: agent.spec().id }.into()));
        }
        wanted.into_iter().map(Operation::Send).collect()
    }
}

fn body_of(action: &Action) -> Option<&Body> {
    match action {
        Action::Do(body) => Some(body),
        Action::Map(map) => Some(&map.body),
        Action::Repeat(repeat) => Some(&repeat.body),
        _ => None,
    }
}

/// A child run whose compensation has ended cannot be retried.
fn remedied(run: &RunView<'_>, node: &NodeView<'_>, dice: u64) -> RunCommand {
    let definition = run.definition().node(&node.name());
    let within = definition.and_then(|node| body_of(&node.action)).is_some_and(|body| !matches!(body, Body::Task(_)));
    let remedy = match dice % 10 {
        0..7 if !within => CompensationRemedy::Retry,
        0..8 => CompensationRemedy::Declare { reason: "by hand".into() },
        _ => CompensationRemedy::Abandon { reason: "it stays".into() },
    };
    RunCommand::Remedy { run: run.id(), node: node.name(), remedy }
}

/// What a node needs from a person, if it needs anything.
fn released(run: &RunView<'_>, node: &NodeView<'_>) -> Option<RunCommand> {
    let (id, name) = (run.id(), node.name());
    if node.held().is_some() {
        let remedy = NodeRemedy::Skip { reason: "it is late".into() };
        return Some(RunCommand::Operate { run: id, node: name, remedy });
    }
    if let Some(pending) = node.pending_decision() {
        // Another person for each node: four eyes may be required.
        let by = pending.to.clone().unwrap_or_else(|| Name::from(format!("decider of {name}")));
        let roles = pending.roles.into_iter().cloned().collect();
        let option = pending.options.first()?.clone();
        return Some(RunCommand::Decide { run: id, node: name, by, roles, option, note: Payload::NULL });
    }
    let definition = run.definition().node(&name)?;
    let is_open = matches!(&definition.action, Action::Map(map) if map.open) && node.status() == NodeStatus::Running;
    is_open.then_some(RunCommand::Close { run: id, node: name })
}

/// A command that fits the state of the engine, or nearly. Rare states are preferred.
pub(super) fn meddle(engine: &Engine, random: &mut Random) -> Option<Command> {
    match random.below(10) {
        0..3 => about_task(engine, random),
        3 => about_agent(engine, random),
        _ => {
            let runs: Vec<RunView<'_>> = engine.runs().collect();
            let rare = |run: &&RunView<'_>| match run.phase() {
                RunPhase::Failing | RunPhase::Compensating | RunPhase::CompensationFailed => true,
                RunPhase::Running => run.paused().is_some(),
                RunPhase::Finished => run.outcome().is_some_and(|end| !matches!(end, RunOutcome::Succeeded { .. })),
            };
            let rare: Vec<&RunView<'_>> = runs.iter().filter(rare).collect();
            match rare.get(random.below(rare.len().max(1))) {
                Some(run) if random.below(3) > 0 => Some(any_command(run, random).into()),
                _ => Some(about_run(runs.get(random.below(runs.len().max(1)))?, random).into()),
            }
        }
    }
}

/// The tasks of clients have small numbers.
fn about_task(engine: &Engine, random: &mut Random) -> Option<Command> {
    let mut tasks: BTreeMap<TaskStatus, Vec<TaskId>> = BTreeMap::new();
    for task in (1..100).filter_map(|number| engine.task(TaskId::new(number))) {
        tasks.entry(task.status()).or_default().push(task.spec().id);
    }
    let held: Vec<TaskId> = engine.outstanding().iter().filter_map(held_task).collect();
    let status = tasks.keys().nth(random.below(tasks.len().max(1))).copied();
    let some = status.and_then(|status| tasks.get(&status));
    let list = if random.below(4) == 0 { Some(&held) } else { some };
    let task = *list.and_then(|list| list.get(random.below(list.len().max(1))))?;
    let reason = Name::from("look");
    Some(match random.below(6) {
        0..3 => TaskCommand::Cancel { task, reason }.into(),
        3 => TaskCommand::Prioritise { tasks: vec![task], tier: Tier::High, reason }.into(),
        // A replay has the policy of the task, which the bound of the case contains for each task twice.
        4 => TaskCommand::Replay { dead: task, fresh: TaskId::new(50_000_000 + task.get() % 1_000) }.into(),
        // The same draw decides both, so that the draws of a case do not move.
        _ if task.get().is_multiple_of(2) => TaskCommand::Rate { task, rating: rating(task) }.into(),
        _ => TaskCommand::Discard { dead: task, reason }.into(),
    })
}

/// A rating that differs by task.
fn rating(task: TaskId) -> Rating {
    u16::try_from(task.get() % 1_001).ok().and_then(|permille| Rating::new(permille).ok()).unwrap_or(Rating::WORST)
}

const fn held_task(effect: &Effect) -> Option<TaskId> {
    match effect {
        Effect::Dispatch { attempt, .. } | Effect::Cancel { attempt, .. } => Some(attempt.task()),
        _ => None,
    }
}

fn about_agent(engine: &Engine, random: &mut Random) -> Option<Command> {
    let agents: Vec<_> = engine.agents().map(|agent| (agent.spec().id, agent.paused().is_some())).collect();
    let (agent, is_paused) = *agents.get(random.below(agents.len().max(1)))?;
    Some(match random.below(9) {
        0 => AgentCommand::Drain { agent }.into(),
        1 if is_paused => AgentCommand::Deregister { agent }.into(),
        1..5 => Command::pause(Scope::Agent(agent), "look"),
        5 | 6 => Command::resume(Scope::Agent(agent)),
        _ => {
            let tenant = TENANTS.get(random.below(2)).copied().unwrap_or("t1");
            let kind = KINDS.get(random.below(3)).copied().unwrap_or("k0");
            let scope = if random.below(2) == 0 { Scope::Tenant(tenant.into()) } else { Scope::Kind(kind.into()) };
            if random.below(2) == 0 { Command::pause(scope, "look") } else { Command::resume(scope) }
        }
    })
}

/// A command that fits a run which makes progress or waits.
fn about_run(view: &RunView<'_>, random: &mut Random) -> RunCommand {
    let nodes: Vec<NodeView<'_>> = view.nodes().collect();
    if let Some(node) = nodes.iter().find(|node| node.held().is_some() || node.pending_decision().is_some())
        && random.below(2) == 0
    {
        return about_node(view, node, random);
    }
    any_command(view, random)
}

/// Any command about a run.
fn any_command(view: &RunView<'_>, random: &mut Random) -> RunCommand {
    let (run, reason) = (view.id(), Name::from("look"));
    let nodes: Vec<NodeView<'_>> = view.nodes().collect();
    let node = nodes.get(random.below(nodes.len().max(1))).map_or_else(|| Name::from("no node"), NodeView::name);
    match random.below(22) {
        0 | 1 => RunCommand::Pause { run, reason },
        2 => RunCommand::Resume { run },
        3 => RunCommand::Signal { run, signal: flows::GO.into(), payload: Payload::new(json!(random.below(9))) },
        4 | 5 => RunCommand::Update { run, variable: flows::VOTES.into(), value: Payload::new(json!(random.below(9))) },
        6 => RunCommand::Prioritise { run, tier: Tier::High, reason },
        7 => RunCommand::Retry { run, node: None, reason },
        8 => {
            let to = match random.below(if node == "function" { 6 } else { 2 }) {
                0 => ResetPoint::Start,
                1 => ResetPoint::Before(vec![node]),
                which => ResetPoint::Call(flows::call_of(node, which)),
            };
            RunCommand::Reset { run, to, undo: random.below(3) > 0, reason }
        }
        9 | 10 => {
            let next = flows::next(view.definition());
            let migration = if random.below(2) == 0 { Migration::to_version(1) } else { Migration::to_own(next) };
            RunCommand::Migrate { run, migration, reason }
        }
        11 => RunCommand::Operate { run, node, remedy: remedy(random) },
        12 => RunCommand::Add { run, node, items: vec![Payload::new(json!(7))] },
        13 => RunCommand::Close { run, node },
        14 => {
            let (by, option) = (Name::from("ada"), Name::from("grant"));
            RunCommand::Decide { run, node, by, roles: vec!["clerk".into()], option, note: Payload::NULL }
        }
        15 => RunCommand::Delegate { run, node, by: "ada".into(), roles: vec!["clerk".into()], to: "grace".into() },
        16 => RunCommand::Cancel { run, reason },
        17 => RunCommand::Abort { run, reason },
        _ => {
            let failed = nodes.iter().find(|node| node.status() == NodeStatus::CompensationFailed);
            match failed.or_else(|| nodes.first()) {
                Some(node) => remedied(view, node, random.bits()),
                None => RunCommand::Resume { run },
            }
        }
    }
}

fn remedy(random: &mut Random) -> NodeRemedy {
    let reason = Name::from("look");
    match random.below(3) {
        0 => NodeRemedy::Complete { output: Payload::new(json!({ "did": "by hand" })), reason },
        1 => NodeRemedy::Fail { reason },
        _ => NodeRemedy::Skip { reason },
    }
}

/// A node that is held or waits for a decision.
fn about_node(run: &RunView<'_>, node: &NodeView<'_>, random: &mut Random) -> RunCommand {
    let (id, name) = (run.id(), node.name());
    let Some(pending) = node.pending_decision() else {
        return RunCommand::Operate { run: id, node: name, remedy: remedy(random) };
    };
    let by = Name::from(if random.below(2) == 0 { "ada" } else { "grace" });
    let roles: Vec<Name> = pending.roles.into_iter().take(random.below(3)).cloned().collect();
    if random.below(3) == 0 {
        return RunCommand::Delegate { run: id, node: name, by, roles, to: "joan".into() };
    }
    let option = pending.options.get(random.below(2)).cloned().unwrap_or_else(|| Name::from("grant"));
    let by = if random.below(3) == 0 { pending.to.unwrap_or(by) } else { by };
    RunCommand::Decide { run: id, node: name, by, roles, option, note: Payload::NULL }
}
