//! Callers with tokens, and the rule that no granted command of a confined caller names what belongs to another tenant.

use super::timeline::Word;
use super::world::{Played, World};
use crate::access::{Gate, Policy, Principal, Token, Tokens};
use crate::base::id::{RunId, TaskId};
use crate::base::name::Name;
use crate::engine::Engine;
use crate::message::command::{AgentCommand, Command, ControlCommand, RunCommand, TaskCommand};
use crate::task::TaskSpec;
use crate::task::agent::Scope;
use std::collections::BTreeSet;

/// The gate in front of the engine, and the callers that it knows.
pub(super) struct Callers {
    gate: Gate,
    known: Vec<(Token, Principal)>,
}

impl Callers {
    /// Callers with equal or empty tokens are left out: the gate does not know them.
    pub(super) fn new(policy: Policy, callers: impl IntoIterator<Item = (Token, Principal)>) -> Self {
        let (mut tokens, mut known) = (Tokens::default(), Vec::new());
        for (token, who) in callers {
            if let Ok(more) = tokens.clone().with(token.clone(), who.clone()) {
                tokens = more;
                known.push((token, who));
            }
        }
        Self { gate: Gate::new(policy, tokens), known }
    }

    fn tenants(&self, token: &Token) -> Option<&BTreeSet<Name>> {
        self.known.iter().find(|(known, _)| known == token)?.1.tenants.as_ref()
    }
}

impl World {
    /// The command that the engine gets, unless the caller may not send it. A command without a caller is always granted.
    pub(super) fn granted(&self, word: &Word) -> Played<Option<Command>> {
        let command = word.command.clone();
        let (Some(callers), Some(token), Some(host)) = (&self.callers, &word.caller, &self.machine.host) else {
            return Ok(Some(command));
        };
        let admitted = callers.gate.admit(self.time.now, Some(token), command, &host.engine);
        let Ok(command) = admitted.granted else { return Ok(None) };
        if let Some(tenants) = callers.tenants(token)
            && let Some(foreign) = (Confined { tenants, engine: &host.engine }).foreign(&command)
        {
            return Err(self.broken(format!(
                "{:?}, confined to {tenants:?}, was granted a command about {foreign}",
                token.reveal()
            )));
        }
        Ok(Some(command))
    }
}

/// What a confined caller may name, by the tenants that the engine has for tasks and runs.
struct Confined<'a> {
    tenants: &'a BTreeSet<Name>,
    engine: &'a Engine,
}

impl Confined<'_> {
    fn reaches(&self, tenant: Option<&Name>) -> bool {
        tenant.is_some_and(|tenant| self.tenants.contains(tenant))
    }

    /// The first thing of another tenant that the command names.
    fn foreign(&self, command: &Command) -> Option<String> {
        match command {
            Command::Agent(AgentCommand::Drain { agent } | AgentCommand::Deregister { agent }) => {
                Some(format!("agent {agent}"))
            }
            Command::Agent(_) | Command::Tick => None,
            Command::Task(command) => self.of_task(command),
            Command::Run(command) => self.of_run(command),
            Command::Schedule(command) => Some(format!("schedule {}", command.schedule())),
            Command::Control(ControlCommand::Pause { scope, .. } | ControlCommand::Resume { scope }) => match scope {
                Scope::Tenant(tenant) if self.reaches(Some(tenant)) => None,
                Scope::Tenant(_) | Scope::Kind(_) | Scope::Agent(_) => Some(scope.to_string()),
            },
            Command::Control(ControlCommand::Identify { .. }) => Some("the journal".to_owned()),
            Command::Control(ControlCommand::ConfirmClock { .. }) => Some("the clock".to_owned()),
        }
    }

    /// The task, if it belongs to a tenant that the principal does not reach.
    fn task(&self, id: TaskId) -> Option<String> {
        let task = self.engine.task(id)?;
        (!self.reaches(task.spec().tenant.as_ref())).then(|| format!("task {id}"))
    }

    fn run(&self, id: RunId) -> Option<String> {
        let run = self.engine.run(id)?;
        (!self.reaches(run.spec().tenant.as_ref())).then(|| format!("run {id}"))
    }

    fn submitted(&self, spec: &TaskSpec, earlier: &[TaskId]) -> Option<String> {
        if !self.reaches(spec.tenant.as_ref()) {
            return Some(format!("tenant {:?}", spec.tenant));
        }
        let affinity = spec.affinity.iter().flat_map(|it| it.familiar.iter().chain(&it.apart_from));
        let named = spec.after.iter().chain(affinity).filter(|id| !earlier.contains(id));
        named.into_iter().find_map(|id| self.task(*id))
    }

    fn of_task(&self, command: &TaskCommand) -> Option<String> {
        match command {
            TaskCommand::Submit(spec) => self.submitted(spec, &[]),
            TaskCommand::SubmitAll(specs) => {
                let ids: Vec<TaskId> = specs.iter().map(|spec| spec.id).collect();
                let earlier = |place: usize| ids.get(..place).unwrap_or_default();
                specs.iter().enumerate().find_map(|(place, spec)| self.submitted(spec, earlier(place)))
            }
            TaskCommand::Cancel { task, .. } | TaskCommand::Rate { task, .. } => self.task(*task),
            TaskCommand::Prioritise { tasks, .. } => tasks.iter().find_map(|task| self.task(*task)),
            TaskCommand::Replay { dead, .. } | TaskCommand::Discard { dead, .. } => self.task(*dead),
            TaskCommand::ReplayAll { filter, .. } | TaskCommand::DiscardAll { filter, .. } => {
                (!self.reaches(filter.tenant.as_ref())).then(|| format!("dead letters of {:?}", filter.tenant))
            }
        }
    }

    fn of_run(&self, command: &RunCommand) -> Option<String> {
        match command {
            RunCommand::Define(definition) => Some(format!("workflow {}", definition.name)),
            RunCommand::SetDefault { workflow, .. } | RunCommand::Retire { workflow, .. } => {
                Some(format!("workflow {workflow}"))
            }
            RunCommand::Start(spec) => {
                (!self.reaches(spec.tenant.as_ref())).then(|| format!("tenant {:?}", spec.tenant))
            }
            RunCommand::Signal { run, .. }
            | RunCommand::Update { run, .. }
            | RunCommand::Pause { run, .. }
            | RunCommand::Resume { run }
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
            | RunCommand::Remedy { run, .. } => self.run(*run),
        }
    }
}
