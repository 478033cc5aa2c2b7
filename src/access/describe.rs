//! The text of commands for the audit trail.

use crate::message::command::{AgentCommand, Command, ControlCommand, RunCommand, TaskCommand};
use crate::message::schedule::ScheduleCommand;

/// A command as one line of text, without payloads.
pub(super) fn describe(command: &Command) -> Box<str> {
    let text = match command {
        Command::Agent(command) => of_agent(command),
        Command::Task(command) => of_task(command),
        Command::Run(command) => of_run(command),
        Command::Schedule(command) => of_schedule(command),
        Command::Control(ControlCommand::Pause { scope, .. }) => format!("pause {scope}"),
        Command::Control(ControlCommand::Resume { scope }) => format!("resume {scope}"),
        Command::Control(ControlCommand::Identify { journal }) => format!("identify the journal as {journal}"),
        Command::Control(ControlCommand::ConfirmClock { time, .. }) => format!("confirm the clock at {time}"),
        Command::Tick => "tick".to_owned(),
    };
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(240).collect::<String>().into()
}

fn of_schedule(command: &ScheduleCommand) -> String {
    let verb = match command {
        ScheduleCommand::Create(_) => "create",
        ScheduleCommand::Update(_) => "update",
        ScheduleCommand::Delete { .. } => "delete",
        ScheduleCommand::Pause { .. } => "pause",
        ScheduleCommand::Resume { .. } => "resume",
        ScheduleCommand::Trigger { .. } => "trigger",
        ScheduleCommand::Backfill { .. } => "backfill",
    };
    format!("{verb} schedule {}", command.schedule())
}

fn of_agent(command: &AgentCommand) -> String {
    match command {
        AgentCommand::Register(spec) => format!("register {}", spec.id),
        AgentCommand::Update { by, .. } => format!("update {by}"),
        AgentCommand::Heartbeat { by } => format!("heartbeat of {by}"),
        AgentCommand::AttemptHeartbeat { by, attempt, .. } => format!("heartbeat of {attempt} as {by}"),
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
        TaskCommand::Rate { task, rating } => format!("rate {task}: {rating}"),
    }
}

fn of_run(command: &RunCommand) -> String {
    match command {
        RunCommand::Define(definition) => format!("define {}", definition.name),
        RunCommand::SetDefault { workflow, version, .. } => match version {
            Some(version) => format!("set the default of {workflow} to version {version}"),
            None => format!("set the default of {workflow} to the newest version"),
        },
        RunCommand::Retire { workflow, version, .. } => format!("retire version {version} of {workflow}"),
        RunCommand::Start(spec) => format!("start {} of {}", spec.id, spec.workflow),
        RunCommand::Signal { run, signal, .. } => format!("signal {run}: {signal}"),
        RunCommand::Update { run, variable, .. } => format!("update {variable} of {run}"),
        RunCommand::Pause { run, reason } => format!("pause {run}: {reason}"),
        RunCommand::Resume { run } => format!("resume {run}"),
        RunCommand::Migrate { run, reason, .. } => format!("migrate {run}: {reason}"),
        RunCommand::Prioritise { run, tier, reason } => format!("set {run} to tier {tier}: {reason}"),
        RunCommand::Retry { run, node: None, reason } => format!("retry {run}: {reason}"),
        RunCommand::Retry { run, node: Some(node), reason } => format!("retry {node} of {run}: {reason}"),
        RunCommand::Reset { run, reason, .. } => format!("reset {run}: {reason}"),
        RunCommand::Operate { run, node, .. } => format!("operate {node} of {run}"),
        RunCommand::Add { run, node, items } => format!("add {} items to {node} of {run}", items.len()),
        RunCommand::Close { run, node } => format!("close {node} of {run}"),
        RunCommand::Decide { run, node, option, .. } => format!("decide {node} of {run}: {option}"),
        RunCommand::Delegate { run, node, to, .. } => format!("delegate the decision {node} of {run} to {to}"),
        RunCommand::Cancel { run, reason } => format!("cancel {run}: {reason}"),
        RunCommand::Abort { run, reason } => format!("abort {run}: {reason}"),
        RunCommand::Remedy { run, node, .. } => format!("remedy {node} of {run}"),
    }
}
