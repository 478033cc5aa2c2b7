//! What the answer to a command must be, from the model's state and the documentation of the commands.

use super::state::{MStage, MTask, Model};
use counterpoint::message::rejected::{Conflict, Forbidden, Invalid, Misuse, Overload, Stale, Unknown, WrongState};
use counterpoint::{
    Accepted, AgentCommand, AgentId, AgentSpec, AttemptId, Command, Incarnation, Name, Payload, Rejected, TaskCommand,
    TaskId, TaskOutcome, TaskSpec,
};

type Verdict = Result<Accepted, Rejected>;

impl Model {
    pub fn predict(&self, command: &Command) -> Verdict {
        match command {
            Command::Tick => Ok(Accepted::Done),
            Command::Run(_) => Err(Rejected::Misuse(Misuse::NoWorkflows)),
            Command::Task(command) => self.of_task(command),
            Command::Agent(command) => self.of_agent(command),
            other => panic!("a command that the model does not know: {other:?}"),
        }
    }

    fn of_agent(&self, command: &AgentCommand) -> Verdict {
        match command {
            AgentCommand::Register(spec) => {
                self.sound(spec)?;
                if !self.agents.contains_key(&spec.id) && self.agents.len() >= self.limits.agents as usize {
                    return Err(full("agents", self.limits.agents));
                }
                Ok(Accepted::Registered(Incarnation::new(spec.id, self.lives + 1)))
            }
            AgentCommand::Update { by, spec } => {
                let agent = self.living(*by).ok_or(Rejected::Stale(Stale::Incarnation(*by)))?;
                if spec.id != by.agent() {
                    return Err(Rejected::Forbidden(Forbidden::ForeignAgent { by: *by, agent: spec.id }));
                }
                self.sound(spec)?;
                Ok(if agent.spec == *spec { Accepted::Repeated } else { Accepted::Done })
            }
            AgentCommand::Heartbeat { by } => {
                self.living(*by).map(|_| Accepted::Done).ok_or(Rejected::Stale(Stale::Incarnation(*by)))
            }
            AgentCommand::AttemptHeartbeat { by, attempt, details } => {
                self.fence(*by, *attempt)?;
                at_most("details_bytes", details.bytes() as usize, self.limits.sizes.details_bytes)?;
                self.fits(details)
            }
            AgentCommand::Drain { agent } => {
                let agent = self.agents.get(agent).ok_or(Rejected::Unknown(Unknown::Agent(*agent)))?;
                Ok(if agent.draining { Accepted::Repeated } else { Accepted::Done })
            }
            AgentCommand::Deregister { agent } => {
                self.agents.get(agent).map(|_| Accepted::Done).ok_or(Rejected::Unknown(Unknown::Agent(*agent)))
            }
            AgentCommand::Complete { by, attempt, output, .. } => {
                self.fence(*by, *attempt)?;
                self.fits(output)
            }
            AgentCommand::Fail { by, attempt, failure, .. } => {
                self.fence(*by, *attempt)?;
                at_most("payload_bytes", failure.message.len(), self.limits.sizes.payload_bytes)?;
                Ok(Accepted::Done)
            }
            other => panic!("a command that the model does not know: {other:?}"),
        }
    }

    fn sound(&self, spec: &AgentSpec) -> Result<(), Rejected> {
        if AgentId::is_engine_made(spec.id) {
            return Err(Rejected::Invalid(Invalid::ReservedId(spec.id.get())));
        }
        if spec.capacity == 0 {
            return Err(Rejected::Invalid(Invalid::NoCapacity(spec.id)));
        }
        at_most("agent_capacity", spec.capacity as usize, self.limits.agent_capacity)?;
        at_most("list_len", spec.skills.len(), self.limits.sizes.list_len)?;
        spec.skills.keys().try_for_each(|skill| self.name("skill", skill))
    }

    fn fence(&self, by: Incarnation, attempt: AttemptId) -> Result<(), Rejected> {
        self.living(by).ok_or(Rejected::Stale(Stale::Incarnation(by)))?;
        let task = self.tasks.get(&attempt.task()).ok_or_else(|| Rejected::Unknown(Unknown::Task(attempt.task())))?;
        match task.holder() {
            Some(_) if task.attempts != attempt.number().get() => Err(Rejected::Stale(Stale::Attempt(attempt))),
            None => Err(Rejected::Stale(Stale::Attempt(attempt))),
            Some(holder) if holder != by => Err(Rejected::Stale(Stale::NotHolder { attempt, by, holder })),
            Some(_) => Ok(()),
        }
    }

    fn of_task(&self, command: &TaskCommand) -> Verdict {
        match command {
            TaskCommand::Submit(spec) => match self.tasks.get(&spec.id) {
                Some(known) if *known.spec == **spec => Ok(Accepted::Repeated),
                Some(_) => Err(Rejected::Conflict(Conflict::Task(spec.id))),
                None => self.admissible(spec),
            },
            TaskCommand::Cancel { task, .. } => {
                let known = self.tasks.get(task).ok_or(Rejected::Unknown(Unknown::Task(*task)))?;
                match &known.stage {
                    MStage::Ended(TaskOutcome::Cancelled { .. }, _) | MStage::Running { cancel: Some(_), .. } => {
                        Ok(Accepted::Repeated)
                    }
                    MStage::Ended(..) => Err(Rejected::State(WrongState::TaskEnded(*task))),
                    _ => Ok(Accepted::Done),
                }
            }
            TaskCommand::Replay { dead, fresh } => {
                let mut spec = TaskSpec::clone(&self.dead_letter(*dead)?.spec);
                spec.id = *fresh;
                spec.deadline = spec.deadline.filter(|deadline| *deadline >= self.now);
                spec.after = Box::default();
                if self.tasks.contains_key(fresh) {
                    return Err(Rejected::Conflict(Conflict::Task(*fresh)));
                }
                self.admissible(&spec)
            }
            TaskCommand::Discard { dead, .. } => self.dead_letter(*dead).map(|_| Accepted::Done),
            TaskCommand::Rate { task, rating } => {
                let known = self.tasks.get(task).ok_or(Rejected::Unknown(Unknown::Task(*task)))?;
                match (known.ended(), known.last, known.rating) {
                    (None, ..) => Err(Rejected::State(WrongState::TaskNotEnded(*task))),
                    (_, None, _) => Err(Rejected::State(WrongState::NothingToRate(*task))),
                    (_, _, Some(before)) if before == *rating => Ok(Accepted::Repeated),
                    (_, _, Some(_)) => Err(Rejected::State(WrongState::TaskRated(*task))),
                    (_, _, None) => Ok(Accepted::Done),
                }
            }
            other => panic!("a command that the model does not know: {other:?}"),
        }
    }

    fn dead_letter(&self, id: TaskId) -> Result<&MTask, Rejected> {
        let task = self.tasks.get(&id).ok_or(Rejected::Unknown(Unknown::Task(id)))?;
        if task.is_dead() { Ok(task) } else { Err(Rejected::State(WrongState::NotDead(id))) }
    }

    fn admissible(&self, spec: &TaskSpec) -> Verdict {
        if spec.id.is_engine_made() {
            return Err(Rejected::Invalid(Invalid::ReservedId(spec.id.get())));
        }
        if spec.owner.is_some() {
            return Err(Rejected::Misuse(Misuse::ForeignOwner(spec.id)));
        }
        self.name("kind", &spec.kind)?;
        self.fits(&spec.payload)?;
        let rules = &spec.policy.retry().rules;
        let patterns: usize = rules.iter().map(|rule| rule.on.kinds.len() + rule.on.codes.len()).sum();
        at_most("list_len", rules.len() + patterns, self.limits.sizes.list_len)?;
        at_most("list_len", spec.after.len(), self.limits.sizes.list_len)?;
        if let Some(deadline) = spec.deadline.filter(|deadline| *deadline < self.now) {
            return Err(Rejected::Invalid(Invalid::DeadlinePassed { task: spec.id, deadline, now: self.now }));
        }
        for before in &spec.after {
            match self.tasks.get(before) {
                None => return Err(Rejected::Unknown(Unknown::Dependency { task: spec.id, missing: *before })),
                Some(known) if known.ended().is_some_and(|end| !matches!(end, TaskOutcome::Succeeded(_))) => {
                    return Err(Rejected::State(WrongState::DeadDependency { task: spec.id, dead: *before }));
                }
                Some(_) => {}
            }
        }
        let beyond = if spec.tier == counterpoint::Tier::Critical { self.limits.tasks.urgent } else { 0 };
        let most = self.limits.tasks.active + beyond;
        if self.active() >= most as usize {
            return Err(full("active_tasks", most));
        }
        Ok(Accepted::Done)
    }

    fn fits(&self, payload: &Payload) -> Verdict {
        at_most("payload_bytes", payload.bytes() as usize, self.limits.sizes.payload_bytes)?;
        at_most("payload_depth", payload.depth() as usize, self.limits.sizes.payload_depth)?;
        Ok(Accepted::Done)
    }

    fn name(&self, what: &str, name: &Name) -> Result<(), Rejected> {
        if name.is_empty() {
            return Err(Rejected::Invalid(Invalid::EmptyName { what: what.into() }));
        }
        at_most("name_bytes", name.len(), self.limits.sizes.name_bytes)
    }
}

fn full(what: &str, limit: u32) -> Rejected {
    Rejected::Capacity(Overload::AtCapacity { what: what.into(), limit: limit.into(), retry_after: None })
}

fn at_most(what: &str, size: usize, limit: u32) -> Result<(), Rejected> {
    if size > limit as usize {
        return Err(Rejected::Invalid(Invalid::TooLarge { what: what.into(), size: size as u64, limit: limit.into() }));
    }
    Ok(())
}

/// The same verdict without the advice when to try again, which the model does not predict.
pub fn without_advice(verdict: &Verdict) -> Verdict {
    match verdict {
        Err(Rejected::Capacity(Overload::AtCapacity { what, limit, .. })) => {
            Err(Rejected::Capacity(Overload::AtCapacity { what: what.clone(), limit: *limit, retry_after: None }))
        }
        other => other.clone(),
    }
}
