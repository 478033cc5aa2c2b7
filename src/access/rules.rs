//! The rules that hold whatever the policy, and the text of commands for the audit trail.

use super::AccessState;
use super::policy::{Action, DenialReason, Policy};
use super::principal::Principal;
use crate::base::id::{AgentId, AttemptId, Incarnation, RunId, TaskId};
use crate::message::command::{AgentCommand, Command, ControlCommand, DeadFilter, RunCommand, TaskCommand};
use crate::task::TaskSpec;
use crate::task::agent::Scope;

pub(super) fn check(
    policy: &Policy,
    who: &Principal,
    command: &Command,
    state: &impl AccessState,
) -> Result<(), DenialReason> {
    let action = Action::of(command);
    match command {
        Command::Agent(command) => agent(policy, who, command, state),
        Command::Task(command) => {
            policy.grants(who, action)?;
            task(who, command, state)
        }
        Command::Run(command) => {
            policy.grants(who, action)?;
            run(who, command, state)
        }
        Command::Control(command) => {
            policy.grants(who, action)?;
            control(who, command)
        }
        Command::Tick => policy.grants(who, action),
    }
}

fn agent(
    policy: &Policy,
    who: &Principal,
    command: &AgentCommand,
    state: &impl AccessState,
) -> Result<(), DenialReason> {
    match command {
        AgentCommand::Register(spec) => {
            policy.grants(who, Action::Register)?;
            own_agent(who, spec.id)
        }
        AgentCommand::Update { by, spec } => {
            report(policy, who, *by)?;
            own_agent(who, spec.id)
        }
        AgentCommand::Heartbeat { by } | AgentCommand::Poll { by, .. } => report(policy, who, *by),
        AgentCommand::Complete { by, attempt, .. }
        | AgentCommand::Start { by, attempt }
        | AgentCommand::Yield { by, attempt }
        | AgentCommand::Fail { by, attempt, .. } => {
            report(policy, who, *by)?;
            holds(who, *attempt, state)
        }
        // An agent's own caller can remove it; other callers need the permission for all agents.
        AgentCommand::Drain { agent } | AgentCommand::Deregister { agent } => {
            if who.agents.contains(agent) && policy.grants(who, Action::Register).is_ok() {
                return Ok(());
            }
            policy.grants(who, Action::Deregister)?;
            require_unconfined(who)
        }
    }
}

fn report(policy: &Policy, who: &Principal, by: Incarnation) -> Result<(), DenialReason> {
    policy.grants(who, Action::Report)?;
    own_agent(who, by.agent())
}

fn own_agent(who: &Principal, agent: AgentId) -> Result<(), DenialReason> {
    if who.agents.contains(&agent) { Ok(()) } else { Err(DenialReason::ForeignAgent(agent)) }
}

/// An attempt without a holder is over: the engine rejects the command.
fn holds(who: &Principal, attempt: AttemptId, state: &impl AccessState) -> Result<(), DenialReason> {
    match state.holder_of(attempt) {
        Some(holder) if !who.agents.contains(&holder.agent()) => Err(DenialReason::ForeignAttempt(attempt)),
        Some(_) | None => Ok(()),
    }
}

fn require_unconfined(who: &Principal) -> Result<(), DenialReason> {
    if who.is_confined() { Err(DenialReason::ForeignTenant) } else { Ok(()) }
}

fn task(who: &Principal, command: &TaskCommand, state: &impl AccessState) -> Result<(), DenialReason> {
    match command {
        TaskCommand::Submit(spec) => submit(who, spec, &[], state),
        TaskCommand::SubmitAll(specs) => {
            // A task can depend on earlier ones of the same list.
            let mut fresh: Vec<TaskId> = Vec::new();
            for spec in specs {
                submit(who, spec, &fresh, state)?;
                fresh.push(spec.id);
            }
            Ok(())
        }
        TaskCommand::Cancel { task, .. } => access_task(who, *task, state),
        TaskCommand::Prioritise { tasks, .. } => tasks.iter().try_for_each(|task| access_task(who, *task, state)),
        TaskCommand::Replay { dead, .. } | TaskCommand::Discard { dead, .. } => access_task(who, *dead, state),
        TaskCommand::ReplayAll { filter, .. } | TaskCommand::DiscardAll { filter, .. } => dead_letters(who, filter),
    }
}

fn submit(who: &Principal, spec: &TaskSpec, fresh: &[TaskId], state: &impl AccessState) -> Result<(), DenialReason> {
    if !who.reaches(spec.tenant.as_ref()) {
        return Err(DenialReason::ForeignTenant);
    }
    // Dependencies reveal when other tasks end, so they need access, too.
    let others = spec.after.iter().filter(|task| who.is_confined() && !fresh.contains(task));
    for task in others {
        access_task(who, *task, state)?;
    }
    Ok(())
}

pub(super) fn access_task(who: &Principal, task: TaskId, state: &impl AccessState) -> Result<(), DenialReason> {
    // The answer is the same for unknown tasks and for those of others, so that their existence is not revealed.
    let reached = match state.tenant_of(task) {
        Some(tenant) => who.reaches(tenant),
        None => !who.is_confined(),
    };
    if reached { Ok(()) } else { Err(DenialReason::ForeignTenant) }
}

fn dead_letters(who: &Principal, filter: &DeadFilter) -> Result<(), DenialReason> {
    if who.reaches(filter.tenant.as_ref()) { Ok(()) } else { Err(DenialReason::ForeignTenant) }
}

pub(super) fn access_run(who: &Principal, run: RunId, state: &impl AccessState) -> Result<(), DenialReason> {
    let reached = match state.tenant_of_run(run) {
        Some(tenant) => who.reaches(tenant),
        None => !who.is_confined(),
    };
    if reached { Ok(()) } else { Err(DenialReason::ForeignTenant) }
}

/// Definitions belong to no tenant.
fn run(who: &Principal, command: &RunCommand, state: &impl AccessState) -> Result<(), DenialReason> {
    match command {
        RunCommand::Define(_) | RunCommand::SetDefault { .. } | RunCommand::Retire { .. } => require_unconfined(who)?,
        RunCommand::Start(spec) if who.reaches(spec.tenant.as_ref()) => {}
        RunCommand::Start(_) => return Err(DenialReason::ForeignTenant),
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
        | RunCommand::Remedy { run, .. } => access_run(who, *run, state)?,
    }
    if let RunCommand::Decide { by, .. } | RunCommand::Delegate { by, .. } = command
        && *by != who.name
    {
        return Err(DenialReason::ForeignName(by.clone()));
    }
    Ok(())
}

fn control(who: &Principal, command: &ControlCommand) -> Result<(), DenialReason> {
    match command {
        ControlCommand::Pause { scope, .. } | ControlCommand::Resume { scope } => match scope {
            Scope::Tenant(tenant) if who.reaches(Some(tenant)) => Ok(()),
            Scope::Tenant(_) => Err(DenialReason::ForeignTenant),
            Scope::Agent(_) | Scope::Kind(_) => require_unconfined(who),
        },
        ControlCommand::ConfirmClock { .. } => require_unconfined(who),
    }
}

/// A command as one line of text, without payloads.
pub(super) fn describe(command: &Command) -> Box<str> {
    let text = match command {
        Command::Agent(command) => of_agent(command),
        Command::Task(command) => of_task(command),
        Command::Run(command) => of_run(command),
        Command::Control(ControlCommand::Pause { scope, .. }) => format!("pause {scope}"),
        Command::Control(ControlCommand::Resume { scope }) => format!("resume {scope}"),
        Command::Control(ControlCommand::ConfirmClock { time, .. }) => format!("confirm the clock at {time}"),
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
        AgentCommand::Yield { by, attempt } => format!("yield {attempt} as {by}"),
        AgentCommand::Fail { by, attempt, .. } => format!("fail {attempt} as {by}"),
    }
}

fn of_task(command: &TaskCommand) -> String {
    match command {
        TaskCommand::Submit(spec) => format!("submit {}", spec.id),
        TaskCommand::SubmitAll(specs) => format!("submit {} tasks", specs.len()),
        TaskCommand::Cancel { task, reason } => format!("cancel {task}: {reason}"),
        TaskCommand::Prioritise { tasks, tier, reason } => {
            format!("set {} tasks to tier {tier}: {reason}", tasks.len())
        }
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
    // All others by the serialised name of the command, with run and node.
    let value = serde_json::to_value(command).unwrap_or_default();
    let named = value.as_object().and_then(|fields| fields.iter().next());
    let field = |name: &str| named.and_then(|(_, fields)| fields.get(name)).map(ToString::to_string);
    let (name, run) = (named.map_or("direct", |(name, _)| name), field("run").unwrap_or_default());
    field("node").map_or_else(|| format!("{name} run {run}"), |node| format!("{name} {node} of run {run}"))
}
