//! The commands, and the states of their subjects.

use crate::base::id::{AgentId, AttemptId, Incarnation, RunId, TaskId};
use crate::base::name::Name;
use crate::engine::Engine;
use crate::message::command::{AgentCommand, Command, ControlCommand, RunCommand, TaskCommand};
use crate::message::run::{RunOutcome, RunPhase};
use crate::message::schedule::ScheduleCommand;
use crate::task::TaskStatus;
use crate::task::agent::{AgentStatus, Scope};

type Place = (&'static str, &'static str);

const AGENT: &[&str] = &["unknown", "online", "paused", "draining"];
const INCARNATION: &[&str] = &["stale", "online", "paused", "draining"];
const ATTEMPT: &[&str] = &["unknown", "waiting", "held", "held by another", "cancelling", "ended"];
const TASK: &[&str] = &[
    "unknown",
    "of a run",
    "blocked",
    "backoff",
    "queued",
    "running",
    "cancelling",
    "succeeded",
    "failed",
    "dead-lettered",
    "cancelled",
    "expired",
];
const RUN: &[&str] = &[
    "unknown",
    "running",
    "paused",
    "failing",
    "compensating",
    "compensation failed",
    "succeeded",
    "compensated",
    "failed",
];
const NEW: &[&str] = &["new", "known"];
const SCOPE: &[&str] = &["tenant", "paused tenant", "kind", "paused kind", "agent", "paused agent", "unknown agent"];
const WORKFLOW: &[&str] = &["unknown", "offered", "not offered"];
/// Paused, with runs that have not ended, or neither.
const SCHEDULE: &[&str] = &["unknown", "paused", "busy", "resting"];
const DEAD: &[&str] = &["no dead letters", "dead letters"];

/// The commands with the states of their subjects.
const COMMANDS: &[(&str, &[&str])] = &[
    ("register", AGENT),
    ("update", INCARNATION),
    ("heartbeat", INCARNATION),
    ("attempt heartbeat", ATTEMPT),
    ("drain", AGENT),
    ("deregister", AGENT),
    ("poll", INCARNATION),
    ("complete", ATTEMPT),
    ("start attempt", ATTEMPT),
    ("yield", ATTEMPT),
    ("fail", ATTEMPT),
    ("submit", NEW),
    ("submit all", NEW),
    ("cancel", TASK),
    ("prioritise", TASK),
    ("replay", TASK),
    ("discard", TASK),
    ("rate", TASK),
    ("replay all", DEAD),
    ("discard all", DEAD),
    ("pause", SCOPE),
    ("resume", SCOPE),
    ("identify", &["unidentified", "identified"]),
    ("confirm clock", &["followed", "jumped"]),
    ("define", NEW),
    ("set default", WORKFLOW),
    ("retire", WORKFLOW),
    ("start", NEW),
    ("signal", RUN),
    ("update variable", RUN),
    ("pause run", RUN),
    ("resume run", RUN),
    ("migrate", RUN),
    ("prioritise run", RUN),
    ("retry", RUN),
    ("reset", RUN),
    ("operate", RUN),
    ("add", RUN),
    ("close", RUN),
    ("decide", RUN),
    ("delegate", RUN),
    ("cancel run", RUN),
    ("abort", RUN),
    ("remedy", RUN),
    ("create schedule", NEW),
    ("update schedule", SCHEDULE),
    ("delete schedule", SCHEDULE),
    ("pause schedule", SCHEDULE),
    ("resume schedule", SCHEDULE),
    ("trigger", SCHEDULE),
    ("backfill", SCHEDULE),
    ("tick", &["at any time"]),
    ("recovery", &["after a crash"]),
];

/// Pairs that cannot occur, with the reason.
pub(super) const UNREACHABLE: &[(&str, &str, &str)] = &[
    ("confirm clock", "followed", "the model of the clock knows no operators"),
    ("confirm clock", "jumped", "the model of the clock knows no operators"),
    ("start attempt", "unknown", "agents start attempts that they were assigned, and no task is forgotten"),
    ("attempt heartbeat", "unknown", "agents report on attempts that they were assigned, and no task is forgotten"),
    ("yield", "unknown", "agents give back attempts that they were assigned, and no task is forgotten"),
    ("complete", "unknown", "forged answers are for known tasks, and no task is forgotten"),
    ("fail", "unknown", "forged answers are for known tasks, and no task is forgotten"),
];

pub(super) fn pairs() -> impl Iterator<Item = Place> {
    COMMANDS.iter().flat_map(|(command, states)| states.iter().map(|state| (*command, *state)))
}

/// The command and the state of its subject.
pub(super) fn place(engine: &Engine, command: Option<&Command>) -> Place {
    match command {
        None => ("recovery", "after a crash"),
        Some(Command::Tick) => ("tick", "at any time"),
        Some(Command::Agent(command)) => of_agent(engine, command),
        Some(Command::Task(command)) => of_task(engine, command),
        Some(Command::Run(command)) => of_run(engine, command),
        Some(Command::Schedule(command)) => of_schedule(engine, command),
        Some(Command::Control(ControlCommand::Identify { .. })) => {
            ("identify", if engine.identity().is_some() { "identified" } else { "unidentified" })
        }
        Some(Command::Control(ControlCommand::ConfirmClock { .. })) => {
            ("confirm clock", if engine.standing().clock.is_some() { "jumped" } else { "followed" })
        }
        Some(Command::Control(ControlCommand::Pause { scope, .. })) => ("pause", scope_state(engine, scope)),
        Some(Command::Control(ControlCommand::Resume { scope })) => ("resume", scope_state(engine, scope)),
    }
}

fn of_agent(engine: &Engine, command: &AgentCommand) -> Place {
    match command {
        AgentCommand::Register(spec) => ("register", agent(engine, spec.id)),
        AgentCommand::Update { by, .. } => ("update", incarnation(engine, *by)),
        AgentCommand::Heartbeat { by } => ("heartbeat", incarnation(engine, *by)),
        AgentCommand::AttemptHeartbeat { by, attempt, .. } => ("attempt heartbeat", held(engine, *by, *attempt)),
        AgentCommand::Drain { agent: id } => ("drain", agent(engine, *id)),
        AgentCommand::Deregister { agent: id } => ("deregister", agent(engine, *id)),
        AgentCommand::Poll { by, .. } => ("poll", incarnation(engine, *by)),
        AgentCommand::Complete { by, attempt, .. } => ("complete", held(engine, *by, *attempt)),
        AgentCommand::Start { by, attempt } => ("start attempt", held(engine, *by, *attempt)),
        AgentCommand::Yield { by, attempt } => ("yield", held(engine, *by, *attempt)),
        AgentCommand::Fail { by, attempt, .. } => ("fail", held(engine, *by, *attempt)),
    }
}

fn agent(engine: &Engine, id: AgentId) -> &'static str {
    match engine.agent(id) {
        None => "unknown",
        Some(agent) if agent.paused().is_some() => "paused",
        Some(agent) => match agent.status() {
            AgentStatus::Online => "online",
            AgentStatus::Draining => "draining",
            AgentStatus::Offline => "unknown",
        },
    }
}

fn incarnation(engine: &Engine, by: Incarnation) -> &'static str {
    match engine.agent(by.agent()) {
        Some(known) if known.incarnation() == by => agent(engine, by.agent()),
        _ => "stale",
    }
}

fn held(engine: &Engine, by: Incarnation, attempt: AttemptId) -> &'static str {
    let Some(task) = engine.task(attempt.task()) else { return "unknown" };
    match (task.status(), task.running()) {
        (TaskStatus::Running, Some(held)) if held == (attempt, by) => "held",
        (TaskStatus::Cancelling, Some(held)) if held == (attempt, by) => "cancelling",
        (_, Some(_)) => "held by another",
        (status, None) if status.is_terminal() => "ended",
        (_, None) => "waiting",
    }
}

fn of_task(engine: &Engine, command: &TaskCommand) -> Place {
    match command {
        TaskCommand::Submit(spec) => ("submit", known(engine.task(spec.id).is_some())),
        TaskCommand::SubmitAll(specs) => ("submit all", known(specs.iter().any(|spec| engine.task(spec.id).is_some()))),
        TaskCommand::Cancel { task: id, .. } => ("cancel", task(engine, *id)),
        TaskCommand::Prioritise { tasks, .. } => {
            ("prioritise", tasks.first().map_or("unknown", |id| task(engine, *id)))
        }
        TaskCommand::Replay { dead, .. } => ("replay", task(engine, *dead)),
        TaskCommand::Discard { dead, .. } => ("discard", task(engine, *dead)),
        TaskCommand::Rate { task: id, .. } => ("rate", task(engine, *id)),
        TaskCommand::ReplayAll { .. } => ("replay all", dead_letters(engine)),
        TaskCommand::DiscardAll { .. } => ("discard all", dead_letters(engine)),
    }
}

const fn known(known: bool) -> &'static str {
    if known { "known" } else { "new" }
}

fn dead_letters(engine: &Engine) -> &'static str {
    if engine.dead_letters().next().is_some() { "dead letters" } else { "no dead letters" }
}

fn task(engine: &Engine, id: TaskId) -> &'static str {
    let Some(task) = engine.task(id) else { return "unknown" };
    if task.spec().owner.is_some() {
        return "of a run";
    }
    match task.status() {
        TaskStatus::Blocked => "blocked",
        TaskStatus::Backoff => "backoff",
        TaskStatus::Queued => "queued",
        TaskStatus::Running => "running",
        TaskStatus::Cancelling => "cancelling",
        TaskStatus::Succeeded => "succeeded",
        TaskStatus::Failed => "failed",
        TaskStatus::DeadLettered => "dead-lettered",
        TaskStatus::Cancelled => "cancelled",
        TaskStatus::Expired => "expired",
    }
}

fn of_schedule(engine: &Engine, command: &ScheduleCommand) -> Place {
    let view = engine.schedule(command.schedule());
    let command = match command {
        ScheduleCommand::Create(_) => return ("create schedule", known(view.is_some())),
        ScheduleCommand::Update(_) => "update schedule",
        ScheduleCommand::Delete { .. } => "delete schedule",
        ScheduleCommand::Pause { .. } => "pause schedule",
        ScheduleCommand::Resume { .. } => "resume schedule",
        ScheduleCommand::Trigger { .. } => "trigger",
        ScheduleCommand::Backfill { .. } => "backfill",
    };
    let state = match view {
        None => "unknown",
        Some(view) if view.paused().is_some() => "paused",
        Some(view) if view.active().next().is_some() => "busy",
        Some(_) => "resting",
    };
    (command, state)
}

fn of_run(engine: &Engine, command: &RunCommand) -> Place {
    let (command, id) = match command {
        RunCommand::Define(definition) => {
            let id = definition.id();
            let found =
                engine.definitions().iter().any(|known| (&known.id.name, known.id.version) == (&id.name, id.version));
            return ("define", known(found));
        }
        RunCommand::SetDefault { workflow: name, version, .. } => {
            return ("set default", workflow(engine, name, *version));
        }
        RunCommand::Retire { workflow: name, version, .. } => {
            return ("retire", workflow(engine, name, Some(*version)));
        }
        RunCommand::Start(spec) => return ("start", known(engine.run(spec.id).is_some())),
        RunCommand::Signal { run, .. } => ("signal", *run),
        RunCommand::Update { run, .. } => ("update variable", *run),
        RunCommand::Pause { run, .. } => ("pause run", *run),
        RunCommand::Resume { run } => ("resume run", *run),
        RunCommand::Migrate { run, .. } => ("migrate", *run),
        RunCommand::Prioritise { run, .. } => ("prioritise run", *run),
        RunCommand::Retry { run, .. } => ("retry", *run),
        RunCommand::Reset { run, .. } => ("reset", *run),
        RunCommand::Operate { run, .. } => ("operate", *run),
        RunCommand::Add { run, .. } => ("add", *run),
        RunCommand::Close { run, .. } => ("close", *run),
        RunCommand::Decide { run, .. } => ("decide", *run),
        RunCommand::Delegate { run, .. } => ("delegate", *run),
        RunCommand::Cancel { run, .. } => ("cancel run", *run),
        RunCommand::Abort { run, .. } => ("abort", *run),
        RunCommand::Remedy { run, .. } => ("remedy", *run),
    };
    (command, run(engine, id))
}

fn workflow(engine: &Engine, name: &Name, version: Option<u32>) -> &'static str {
    let fits = |known: &&crate::engine::DefinitionView<'_>| {
        known.id.name == *name && version.is_none_or(|version| known.id.version == version)
    };
    match engine.definitions().iter().find(fits) {
        None => "unknown",
        Some(known) if known.is_offered => "offered",
        Some(_) => "not offered",
    }
}

fn run(engine: &Engine, id: RunId) -> &'static str {
    let Some(run) = engine.run(id) else { return "unknown" };
    match run.phase() {
        RunPhase::Running if run.paused().is_some() => "paused",
        RunPhase::Running => "running",
        RunPhase::Failing => "failing",
        RunPhase::Compensating => "compensating",
        RunPhase::CompensationFailed => "compensation failed",
        RunPhase::Finished => match run.outcome() {
            Some(RunOutcome::Compensated { .. }) => "compensated",
            Some(RunOutcome::Failed { .. }) => "failed",
            Some(RunOutcome::Succeeded { .. }) | None => "succeeded",
        },
    }
}

fn scope_state(engine: &Engine, scope: &Scope) -> &'static str {
    match scope {
        Scope::Tenant(name) => {
            let paused = engine.tenants().any(|tenant| tenant.name() == name && tenant.paused().is_some());
            if paused { "paused tenant" } else { "tenant" }
        }
        Scope::Kind(name) => {
            let paused = engine.kinds().any(|kind| kind.name() == name && kind.paused().is_some());
            if paused { "paused kind" } else { "kind" }
        }
        Scope::Agent(id) => match agent(engine, *id) {
            "unknown" => "unknown agent",
            "paused" => "paused agent",
            _ => "agent",
        },
    }
}
