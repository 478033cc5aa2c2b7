//! What no policy lifts.

use super::Known;
use super::policy::{Action, Denied, Policy};
use super::principal::Principal;
use crate::agent::Scope;
use crate::command::{AgentCommand, Command, ControlCommand, DeadFilter, RunCommand, TaskCommand};
use crate::id::{AgentId, AttemptId, Incarnation, RunId, TaskId};
use crate::task::TaskSpec;

pub(super) fn check(policy: &Policy, who: &Principal, command: &Command, known: &impl Known) -> Result<(), Denied> {
    let action = Action::of(command);
    match command {
        Command::Agent(command) => agent(policy, who, command, known),
        Command::Task(command) => {
            policy.grants(who, action)?;
            task(who, command, known)
        }
        Command::Run(command) => {
            policy.grants(who, action)?;
            run(who, command, known)
        }
        Command::Control(command) => {
            policy.grants(who, action)?;
            control(who, command)
        }
        Command::Tick => policy.grants(who, action),
    }
}

fn agent(policy: &Policy, who: &Principal, command: &AgentCommand, known: &impl Known) -> Result<(), Denied> {
    match command {
        AgentCommand::Register(spec) => {
            policy.grants(who, Action::Join)?;
            own(who, spec.id)
        }
        AgentCommand::Update { by, spec } => {
            report(policy, who, *by)?;
            own(who, spec.id)
        }
        AgentCommand::Heartbeat { by } | AgentCommand::Poll { by, .. } => report(policy, who, *by),
        AgentCommand::Complete { by, attempt, .. }
        | AgentCommand::Start { by, attempt }
        | AgentCommand::Yield { by, attempt }
        | AgentCommand::Fail { by, attempt, .. } => {
            report(policy, who, *by)?;
            held(who, *attempt, known)
        }
        // One's own agent may leave; another's is for those who look after the whole.
        AgentCommand::Drain { agent } | AgentCommand::Deregister { agent } => {
            if who.agents.contains(agent) && policy.grants(who, Action::Join).is_ok() {
                return Ok(());
            }
            policy.grants(who, Action::Dismiss)?;
            unconfined(who)
        }
    }
}

fn report(policy: &Policy, who: &Principal, by: Incarnation) -> Result<(), Denied> {
    policy.grants(who, Action::Report)?;
    own(who, by.agent())
}

fn own(who: &Principal, agent: AgentId) -> Result<(), Denied> {
    if who.agents.contains(&agent) { Ok(()) } else { Err(Denied::ForeignAgent(agent)) }
}

/// An attempt that nobody holds is the engine's to refuse: it is over.
fn held(who: &Principal, attempt: AttemptId, known: &impl Known) -> Result<(), Denied> {
    match known.holder_of(attempt) {
        Some(holder) if !who.agents.contains(&holder.agent()) => Err(Denied::ForeignAttempt(attempt)),
        Some(_) | None => Ok(()),
    }
}

fn unconfined(who: &Principal) -> Result<(), Denied> {
    if who.is_confined() { Err(Denied::ForeignTenant) } else { Ok(()) }
}

fn task(who: &Principal, command: &TaskCommand, known: &impl Known) -> Result<(), Denied> {
    match command {
        TaskCommand::Submit(spec) => submit(who, spec, &[], known),
        TaskCommand::SubmitAll(specs) => {
            // A task may wait for one that comes before it in the list.
            let mut fresh: Vec<TaskId> = Vec::new();
            for spec in specs {
                submit(who, spec, &fresh, known)?;
                fresh.push(spec.id);
            }
            Ok(())
        }
        TaskCommand::Cancel { task, .. } => of_theirs(who, *task, known),
        TaskCommand::Prioritise { tasks, .. } => tasks.iter().try_for_each(|task| of_theirs(who, *task, known)),
        TaskCommand::Replay { dead, .. } | TaskCommand::Discard { dead, .. } => of_theirs(who, *dead, known),
        TaskCommand::ReplayAll { filter, .. } | TaskCommand::DiscardAll { filter, .. } => dead(who, filter),
    }
}

fn submit(who: &Principal, spec: &TaskSpec, fresh: &[TaskId], known: &impl Known) -> Result<(), Denied> {
    if !who.reaches(spec.tenant.as_ref()) {
        return Err(Denied::ForeignTenant);
    }
    // What it waits for tells when that ends.
    let others = spec.after.iter().filter(|task| who.is_confined() && !fresh.contains(task));
    for task in others {
        of_theirs(who, *task, known)?;
    }
    Ok(())
}

pub(super) fn of_theirs(who: &Principal, task: TaskId, known: &impl Known) -> Result<(), Denied> {
    // Whether a task is not known or another's, the answer is the same: nothing can be found out by asking.
    let reached = match known.tenant_of(task) {
        Some(tenant) => who.reaches(tenant),
        None => !who.is_confined(),
    };
    if reached { Ok(()) } else { Err(Denied::ForeignTenant) }
}

fn dead(who: &Principal, filter: &DeadFilter) -> Result<(), Denied> {
    if who.reaches(filter.tenant.as_ref()) { Ok(()) } else { Err(Denied::ForeignTenant) }
}

pub(super) fn of_their_run(who: &Principal, run: RunId, known: &impl Known) -> Result<(), Denied> {
    let reached = match known.tenant_of_run(run) {
        Some(tenant) => who.reaches(tenant),
        None => !who.is_confined(),
    };
    if reached { Ok(()) } else { Err(Denied::ForeignTenant) }
}

/// Definitions are no tenant's.
fn run(who: &Principal, command: &RunCommand, known: &impl Known) -> Result<(), Denied> {
    match command {
        RunCommand::Define(_) | RunCommand::SetDefault { .. } | RunCommand::Retire { .. } => unconfined(who)?,
        RunCommand::Start(spec) if who.reaches(spec.tenant.as_ref()) => {}
        RunCommand::Start(_) => return Err(Denied::ForeignTenant),
        RunCommand::Signal { run, .. }
        | RunCommand::Update { run, .. }
        | RunCommand::Pause { run, .. }
        | RunCommand::Resume { run, .. }
        | RunCommand::Migrate { run, .. }
        | RunCommand::Prioritise { run, .. }
        | RunCommand::Retry { run, .. }
        | RunCommand::Reset { run, .. }
        | RunCommand::Operate { run, .. }
        | RunCommand::Add { run, .. }
        | RunCommand::Close { run, .. }
        | RunCommand::Decide { run, .. }
        | RunCommand::Delegate { run, .. }
        | RunCommand::Cancel { run, .. }
        | RunCommand::Abort { run, .. }
        | RunCommand::Remedy { run, .. } => of_their_run(who, *run, known)?,
    }
    if let RunCommand::Decide { by, .. } | RunCommand::Delegate { by, .. } = command
        && *by != who.name
    {
        return Err(Denied::ForeignName(by.clone()));
    }
    Ok(())
}

fn control(who: &Principal, command: &ControlCommand) -> Result<(), Denied> {
    let (ControlCommand::Pause { scope, .. } | ControlCommand::Resume { scope }) = command;
    match scope {
        Scope::Tenant(tenant) if who.reaches(Some(tenant)) => Ok(()),
        Scope::Tenant(_) => Err(Denied::ForeignTenant),
        Scope::Agent(_) | Scope::Kind(_) => unconfined(who),
    }
}

/// What a command asks for, on one line, without payloads.
pub(super) fn describe(command: &Command) -> Box<str> {
    let text = match command {
        Command::Agent(command) => of_agent(command),
        Command::Task(command) => of_task(command),
        Command::Run(command) => of_run(command),
        Command::Control(ControlCommand::Pause { scope, .. }) => format!("pause {scope}"),
        Command::Control(ControlCommand::Resume { scope }) => format!("resume {scope}"),
        Command::Tick => "tick".to_owned(),
    };
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(240).collect::<String>().into()
}

fn of_agent(command: &AgentCommand) -> String {
    match command {
        AgentCommand::Register(spec) => format!("register {}", spec.id),
        AgentCommand::Update { by, .. } => format!("update {by}"),
        AgentCommand::Heartbeat { by } => format!("heartbeat of {by}"),
        AgentCommand::Drain { agent } => format!("drain {agent}"),
        AgentCommand::Deregister { agent } => format!("deregister {agent}"),
        AgentCommand::Complete { by, attempt, .. } => format!("complete {attempt} as {by}"),
        AgentCommand::Poll { by, most } => format!("poll for {most} as {by}"),
        AgentCommand::Start { by, attempt } => format!("start {attempt} as {by}"),
        AgentCommand::Yield { by, attempt } => format!("give {attempt} back as {by}"),
        AgentCommand::Fail { by, attempt, .. } => format!("fail {attempt} as {by}"),
    }
}

fn of_task(command: &TaskCommand) -> String {
    match command {
        TaskCommand::Submit(spec) => format!("submit {}", spec.id),
        TaskCommand::SubmitAll(specs) => format!("submit {} tasks", specs.len()),
        TaskCommand::Cancel { task, reason } => format!("cancel {task}: {reason}"),
        TaskCommand::Prioritise { tasks, tier, reason } => format!("make {} tasks {tier}: {reason}", tasks.len()),
        TaskCommand::Replay { dead, fresh } => format!("replay {dead} as {fresh}"),
        TaskCommand::ReplayAll { first, .. } => format!("replay dead letters from {first} on"),
        TaskCommand::DiscardAll { reason, .. } => format!("discard dead letters: {reason}"),
        TaskCommand::Discard { dead, reason } => format!("discard {dead}: {reason}"),
    }
}

fn of_run(command: &RunCommand) -> String {
    if let RunCommand::Define(definition) = command {
        return format!("define {}", definition.name);
    }
    if let RunCommand::Start(spec) = command {
        return format!("start {} of {}", spec.id, spec.workflow);
    }
    if let RunCommand::Decide { run, node, option, .. } = command {
        return format!("decide {node} of {run}: {option}");
    }
    // The rest by the name of the command and what it is about, as they are written.
    let value = serde_json::to_value(command).unwrap_or_default();
    let named = value.as_object().and_then(|fields| fields.iter().next());
    let field = |name: &str| named.and_then(|(_, fields)| fields.get(name)).map(ToString::to_string);
    let (name, run) = (named.map_or("direct", |(name, _)| name), field("run").unwrap_or_default());
    field("node").map_or_else(|| format!("{name} run {run}"), |node| format!("{name} {node} of run {run}"))
}
