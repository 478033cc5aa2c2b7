//! The rules that hold whatever the policy.
//!
//! Admission consumes a command and returns the command that the engine gets. For a principal that is not confined, both are
//! equal. For a confined principal the ids of tasks and runs are mapped into the namespace of the tenant, and its agents
//! are confined as well. Every variant of a command is placed here explicitly, so a new one does not compile without a rule.

use super::AccessState;
use super::ids::IdKey;
use super::policy::{Action, DenialReason, Policy};
use super::principal::Principal;
use crate::base::id::{AgentId, AttemptId, Incarnation, RunId, TaskId};
use crate::base::name::Name;
use crate::message::command::{AgentCommand, Command, ControlCommand, DeadFilter, RunCommand, TaskCommand};
use crate::message::run::{MigrationTarget, RunSpec};
use crate::task::agent::{AgentSpec, Scope};
use crate::task::{Affinity, TaskSpec};
use std::collections::BTreeSet;
use std::sync::Arc;

type Granted<T = ()> = Result<T, DenialReason>;

/// The rules for one request of a principal.
pub(super) struct Rules<'a, S> {
    pub(super) policy: &'a Policy,
    pub(super) key: &'a IdKey,
    pub(super) who: &'a Principal,
    pub(super) state: &'a S,
}

impl<S: AccessState> Rules<'_, S> {
    /// The command that the engine gets.
    pub(super) fn admit(&self, command: Command) -> Granted<Command> {
        let action = Action::of(&command);
        Ok(match command {
            Command::Agent(command) => self.agent(command)?.into(),
            Command::Task(command) => {
                self.may(action)?;
                self.task(command)?.into()
            }
            Command::Run(command) => {
                self.may(action)?;
                self.run(command)?.into()
            }
            Command::Schedule(command) => {
                self.may(action)?;
                self.require_unconfined()?;
                command.into()
            }
            Command::Control(command) => {
                self.may(action)?;
                self.control(&command)?;
                command.into()
            }
            Command::Tick => {
                self.may(action)?;
                Command::Tick
            }
        })
    }

    fn may(&self, action: Action) -> Granted {
        self.policy.grants(self.who, action)
    }

    fn require_unconfined(&self) -> Granted {
        if self.who.is_confined() { Err(DenialReason::ForeignTenant) } else { Ok(()) }
    }

    /// The tenant of what a confined principal introduces: the stated one, or the only one that it is confined to.
    fn tenant_for(&self, stated: Option<Name>) -> Granted<Name> {
        let tenant = stated.or_else(|| self.who.only_tenant().cloned());
        tenant.filter(|tenant| self.who.reaches(Some(tenant))).ok_or(DenialReason::ForeignTenant)
    }

    fn require_reach(&self, tenant: Option<&Name>) -> Granted {
        if self.who.reaches(tenant) { Ok(()) } else { Err(DenialReason::ForeignTenant) }
    }
}

/// Agents.
impl<S: AccessState> Rules<'_, S> {
    fn agent(&self, command: AgentCommand) -> Granted<AgentCommand> {
        match &command {
            AgentCommand::Register(spec) => {
                self.may(Action::Register)?;
                self.own_agent(spec.id)?;
            }
            AgentCommand::Update { by, spec } => {
                self.report(*by)?;
                self.own_agent(spec.id)?;
            }
            AgentCommand::Heartbeat { by } | AgentCommand::Poll { by, .. } => self.report(*by)?,
            AgentCommand::Complete { by, attempt, .. }
            | AgentCommand::AttemptHeartbeat { by, attempt, .. }
            | AgentCommand::Start { by, attempt }
            | AgentCommand::Yield { by, attempt }
            | AgentCommand::Fail { by, attempt, .. } => {
                self.report(*by)?;
                self.holds(*attempt)?;
            }
            // An agent's own caller can remove it; other callers need the permission for all agents.
            AgentCommand::Drain { agent } | AgentCommand::Deregister { agent } => {
                let own = self.who.agents.contains(agent) && self.may(Action::Register).is_ok();
                if !own {
                    self.may(Action::Deregister)?;
                    self.require_unconfined()?;
                }
            }
        }
        Ok(match command {
            AgentCommand::Register(spec) => AgentCommand::Register(self.confined(spec)?),
            AgentCommand::Update { by, spec } => AgentCommand::Update { by, spec: self.confined(spec)? },
            other @ (AgentCommand::Heartbeat { .. }
            | AgentCommand::AttemptHeartbeat { .. }
            | AgentCommand::Drain { .. }
            | AgentCommand::Deregister { .. }
            | AgentCommand::Complete { .. }
            | AgentCommand::Poll { .. }
            | AgentCommand::Start { .. }
            | AgentCommand::Yield { .. }
            | AgentCommand::Fail { .. }) => other,
        })
    }

    /// The declaration of an agent of a confined principal: it serves the tenants of the principal, or those of them that it
    /// declares.
    fn confined(&self, spec: AgentSpec) -> Granted<AgentSpec> {
        let Some(reach) = &self.who.tenants else { return Ok(spec) };
        match &spec.tenants {
            Some(declared) if !declared.is_subset(reach) => Err(DenialReason::ForeignTenant),
            Some(_) => Ok(spec),
            None => Ok(AgentSpec { tenants: Some(reach.clone()), ..spec }),
        }
    }

    fn report(&self, by: Incarnation) -> Granted {
        self.may(Action::Report)?;
        self.own_agent(by.agent())
    }

    fn own_agent(&self, agent: AgentId) -> Granted {
        if self.who.agents.contains(&agent) { Ok(()) } else { Err(DenialReason::ForeignAgent(agent)) }
    }

    /// An attempt without a holder is over: the engine rejects the command. A confined caller gets that answer only for tasks
    /// of its tenants, so that the existence of others is not revealed.
    fn holds(&self, attempt: AttemptId) -> Granted {
        let own = match self.state.holder_of(attempt) {
            Some(holder) => self.who.agents.contains(&holder.agent()),
            None => self.reaches_task(attempt.task()),
        };
        if own { Ok(()) } else { Err(DenialReason::ForeignAttempt(attempt)) }
    }
}

/// Tasks.
impl<S: AccessState> Rules<'_, S> {
    fn task(&self, command: TaskCommand) -> Granted<TaskCommand> {
        Ok(match command {
            TaskCommand::Submit(spec) => TaskCommand::Submit(self.submit(spec, &BTreeSet::new())?),
            TaskCommand::SubmitAll(specs) => {
                // A task can depend on earlier ones of the same list.
                let mut earlier = BTreeSet::new();
                let mut admitted = Vec::with_capacity(specs.len());
                for spec in specs {
                    let spec = self.submit(spec, &earlier)?;
                    earlier.insert(spec.id);
                    admitted.push(spec);
                }
                TaskCommand::SubmitAll(admitted)
            }
            TaskCommand::Cancel { task, reason } => TaskCommand::Cancel { task: self.known_task(task)?, reason },
            TaskCommand::Prioritise { tasks, tier, reason } => {
                let tasks = tasks.into_iter().map(|task| self.known_task(task)).collect::<Granted<_>>()?;
                TaskCommand::Prioritise { tasks, tier, reason }
            }
            TaskCommand::Replay { dead, fresh } => {
                let dead = self.known_task(dead)?;
                TaskCommand::Replay { dead, fresh: self.fresh_task(self.state.tenant_of(dead).flatten(), fresh) }
            }
            TaskCommand::Discard { dead, reason } => TaskCommand::Discard { dead: self.known_task(dead)?, reason },
            TaskCommand::Rate { task, rating } => TaskCommand::Rate { task: self.known_task(task)?, rating },
            TaskCommand::ReplayAll { filter, first, tier } => {
                self.dead_letters(&filter)?;
                let first = self.fresh_task(filter.tenant.as_ref(), first);
                TaskCommand::ReplayAll { filter, first, tier }
            }
            TaskCommand::DiscardAll { filter, reason } => {
                self.dead_letters(&filter)?;
                TaskCommand::DiscardAll { filter, reason }
            }
        })
    }

    fn dead_letters(&self, filter: &DeadFilter) -> Granted {
        self.require_reach(filter.tenant.as_ref())
    }

    /// The task as it is submitted. Dependencies reveal when other tasks end, and affinities which agents performed them, so
    /// both name tasks of the principal's tenants.
    fn submit(&self, spec: Arc<TaskSpec>, earlier: &BTreeSet<TaskId>) -> Granted<Arc<TaskSpec>> {
        if !self.who.is_confined() {
            return Ok(spec);
        }
        let mut spec = Arc::unwrap_or_clone(spec);
        let tenant = self.tenant_for(spec.tenant.take())?;
        spec.tenant = Some(tenant.clone());
        let named = |task: TaskId| self.task_of(&tenant, task);
        spec.id = self.fresh_task(Some(&tenant), spec.id);
        spec.after = spec.after.iter().map(|task| named(*task)).collect();
        if !spec.after.iter().all(|task| earlier.contains(task) || self.reaches_task(*task)) {
            return Err(DenialReason::ForeignTenant);
        }
        spec.affinity = spec.affinity.map(|affinity| {
            let familiar = affinity.familiar.map(named);
            let apart_from = affinity.apart_from.iter().map(|task| named(*task)).collect();
            Box::new(Affinity { familiar, apart_from, ..*affinity })
        });
        Ok(Arc::new(spec))
    }

    /// The id of a task that a confined principal names, whether or not it is known: a known task of its tenants, or the
    /// number in the namespace of the tenant. No task of another tenant has any influence on it.
    fn task_of(&self, tenant: &Name, task: TaskId) -> TaskId {
        if self.reaches_task(task) { task } else { self.key.task(tenant, task) }
    }

    /// The id of a task that a command introduces. Ids of the engine stay as they are, and the engine rejects them.
    fn fresh_task(&self, tenant: Option<&Name>, task: TaskId) -> TaskId {
        match tenant {
            Some(tenant) if self.who.is_confined() && !task.is_engine_made() => self.task_of(tenant, task),
            Some(_) | None => task,
        }
    }

    /// The id of the known task that a command names.
    pub(super) fn known_task(&self, task: TaskId) -> Granted<TaskId> {
        if self.reaches_task(task) {
            return Ok(task);
        }
        let mut named = self.who.tenants.iter().flatten().map(|tenant| self.key.task(tenant, task));
        // The answer is the same for unknown tasks and for those of others, so that their existence is not revealed.
        named.find(|task| self.reaches_task(*task)).ok_or(DenialReason::ForeignTenant)
    }

    fn reaches_task(&self, task: TaskId) -> bool {
        match self.state.tenant_of(task) {
            Some(tenant) => self.who.reaches(tenant),
            None => !self.who.is_confined(),
        }
    }
}

/// Runs. Definitions belong to no tenant.
impl<S: AccessState> Rules<'_, S> {
    fn run(&self, mut command: RunCommand) -> Granted<RunCommand> {
        match &mut command {
            RunCommand::Define(_) | RunCommand::SetDefault { .. } | RunCommand::Retire { .. } => {
                self.require_unconfined()?;
            }
            RunCommand::Start(spec) => self.start(spec)?,
            RunCommand::Migrate { run, migration, .. } => {
                match &migration.to {
                    MigrationTarget::Own(_) => self.may(Action::Define)?,
                    MigrationTarget::Version(_) | MigrationTarget::Parent => {}
                }
                *run = self.known_run(*run)?;
            }
            RunCommand::Decide { run, by, roles, .. } | RunCommand::Delegate { run, by, roles, .. } => {
                *run = self.known_run(*run)?;
                self.own_name(by, roles)?;
            }
            RunCommand::Signal { run, .. }
            | RunCommand::Update { run, .. }
            | RunCommand::Pause { run, .. }
            | RunCommand::Resume { run, .. }
            | RunCommand::Prioritise { run, .. }
            | RunCommand::Retry { run, .. }
            | RunCommand::Reset { run, .. }
            | RunCommand::Operate { run, .. }
            | RunCommand::Add { run, .. }
            | RunCommand::Close { run, .. }
            | RunCommand::Cancel { run, .. }
            | RunCommand::Abort { run, .. }
            | RunCommand::Remedy { run, .. } => *run = self.known_run(*run)?,
        }
        Ok(command)
    }

    fn start(&self, spec: &mut RunSpec) -> Granted {
        if !self.who.is_confined() {
            return Ok(());
        }
        let tenant = self.tenant_for(spec.tenant.take())?;
        if !spec.id.is_engine_made() && !self.reaches_run(spec.id) {
            spec.id = self.key.run(&tenant, spec.id);
        }
        spec.tenant = Some(tenant);
        Ok(())
    }

    /// A decision is made in the caller's own name and with its own roles.
    fn own_name(&self, by: &Name, roles: &[Name]) -> Granted {
        if *by != self.who.name {
            return Err(DenialReason::ForeignName(by.clone()));
        }
        let foreign = roles.iter().find(|role| !self.who.has_role(role));
        foreign.map_or(Ok(()), |role| Err(DenialReason::ForeignRole(role.clone())))
    }

    /// The id of the known run that a command names, as for [`known_task`](Self::known_task).
    pub(super) fn known_run(&self, run: RunId) -> Granted<RunId> {
        if self.reaches_run(run) {
            return Ok(run);
        }
        let mut named = self.who.tenants.iter().flatten().map(|tenant| self.key.run(tenant, run));
        named.find(|run| self.reaches_run(*run)).ok_or(DenialReason::ForeignTenant)
    }

    fn reaches_run(&self, run: RunId) -> bool {
        match self.state.tenant_of_run(run) {
            Some(tenant) => self.who.reaches(tenant),
            None => !self.who.is_confined(),
        }
    }
}

/// Control.
impl<S: AccessState> Rules<'_, S> {
    fn control(&self, command: &ControlCommand) -> Granted {
        match command {
            ControlCommand::Pause { scope, .. } | ControlCommand::Resume { scope } => match scope {
                Scope::Tenant(tenant) => self.require_reach(Some(tenant)),
                Scope::Agent(_) | Scope::Kind(_) => self.require_unconfined(),
            },
            ControlCommand::Identify { .. } | ControlCommand::ConfirmClock { .. } => self.require_unconfined(),
        }
    }
}
