//! Commands that concern agents and not their attempts.

use super::validate;
use super::validate::unreserved;
use crate::base::id::{AgentId, Incarnation};
use crate::base::time::Time;
use crate::message::command::{Accepted, AgentCommand};
use crate::message::event::AgentEvent;
use crate::message::rejected::{Forbidden, Misuse, Overload, Rejected, Stale, Unknown};
use crate::scheduler::ix::AgentIx;
use crate::scheduler::log::Tx;
use crate::scheduler::machine::Core;
use crate::scheduler::reader::Reader;
use crate::task::agent::{AgentSpec, AgentStatus};
use std::sync::Arc;

/// Checks a command of an agent that comes from outside: a failure that it reports has no reserved code.
pub(crate) fn check_report(core: &Core, command: &AgentCommand) -> Result<(), Rejected> {
    let AgentCommand::Fail { by, attempt, failure, .. } = command else { return Ok(()) };
    // A late report is rejected as late.
    core.reader.is_current(*by, *attempt)?;
    unreserved(failure)
}

impl Core {
    pub(crate) fn agent(&mut self, command: AgentCommand, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        match command {
            AgentCommand::Register(spec) => self.register(spec, tx),
            AgentCommand::Update { by, spec } => self.update(by, spec, tx),
            AgentCommand::Heartbeat { by } => {
                let agent = self.reader.current(by)?;
                self.note_message(agent, tx.now);
                Ok(Accepted::Done)
            }
            AgentCommand::AttemptHeartbeat { by, attempt, details } => {
                self.attempts(tx).heartbeat(by, attempt, details)
            }
            AgentCommand::Drain { agent } => self.drain(agent, tx),
            AgentCommand::Deregister { agent } => self.deregister(agent, tx),
            AgentCommand::Poll { by, most } => self.poll(by, most, tx),
            AgentCommand::Complete { by, attempt, output, usage } => {
                self.attempts(tx).complete(by, attempt, output, usage)
            }
            AgentCommand::Start { by, attempt } => self.attempts(tx).start(by, attempt),
            AgentCommand::Yield { by, attempt } => self.attempts(tx).give_back(by, attempt),
            AgentCommand::Fail { by, attempt, failure, usage } => self.attempts(tx).fail(by, attempt, failure, usage),
        }
    }

    /// Records the time of a message from an agent. Every message renews the lease.
    pub(super) fn note_message(&mut self, agent: AgentIx, now: Time) {
        let noted = self.reader.state.note_message(agent, now);
        self.must(noted);
    }

    fn register(&mut self, spec: AgentSpec, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        validate::agent(&self.reader.config.limits, &spec)?;
        let fleet = self.reader.state.index().fleet();
        let known = fleet.index_of(spec.id).is_some();
        if !known && fleet.len() >= self.reader.config.limits.agents as usize {
            let limit = self.reader.config.limits.agents.into();
            return Err(Rejected::Capacity(Overload::AtCapacity { what: "agents".into(), limit, retry_after: None }));
        }
        let by = Incarnation::new(spec.id, self.reader.state.incarnations().saturating_add(1));
        self.emit(AgentEvent::Registered { spec: Arc::new(spec) }.of(by), tx);
        if known {
            self.dispatch(tx).after_loss();
        } else {
            let agent = self.reader.state.index().fleet().current(by);
            self.dispatch(tx).to(agent);
        }
        Ok(Accepted::Registered(by))
    }

    fn update(&mut self, by: Incarnation, spec: AgentSpec, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        let agent = self.reader.current(by)?;
        if spec.id != by.agent() {
            return Err(Rejected::Forbidden(Forbidden::ForeignAgent { by, agent: spec.id }));
        }
        validate::agent(&self.reader.config.limits, &spec)?;
        self.note_message(agent, tx.now);
        if self.reader.state.index().fleet().get(agent).is_some_and(|member| *member.spec == spec) {
            return Ok(Accepted::Repeated);
        }
        self.emit(AgentEvent::Updated { spec: Arc::new(spec) }.of(by), tx);
        self.dispatch(tx).everything();
        Ok(Accepted::Done)
    }

    fn drain(&mut self, agent: AgentId, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        let member = self.reader.state.index().fleet().by_id(agent).ok_or(Rejected::Unknown(Unknown::Agent(agent)))?;
        if member.status == AgentStatus::Draining {
            return Ok(Accepted::Repeated);
        }
        let by = member.by;
        self.emit(AgentEvent::Draining.of(by), tx);
        self.dispatch(tx).everything();
        Ok(Accepted::Done)
    }

    fn deregister(&mut self, agent: AgentId, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        let by = self.reader.state.index().fleet().by_id(agent).ok_or(Rejected::Unknown(Unknown::Agent(agent)))?.by;
        self.emit(AgentEvent::Deregistered.of(by), tx);
        self.dispatch(tx).after_loss();
        Ok(Accepted::Done)
    }

    fn poll(&mut self, by: Incarnation, most: u32, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        let agent = self.reader.current(by)?;
        if !self.reader.state.index().fleet().get(agent).is_some_and(|member| member.spec.polls) {
            return Err(Rejected::Misuse(Misuse::DoesNotPoll(by.agent())));
        }
        self.note_message(agent, tx.now);
        let polled = self.reader.state.polled(agent, most);
        self.must(polled);
        self.dispatch(tx).settle(Some(agent));
        Ok(Accepted::Done)
    }

    /// Renews every lease after a restore: no message could arrive during the outage.
    pub(crate) fn renew_leases(&mut self, now: Time) {
        self.reader.state.renew_leases(now);
    }
}

impl Reader {
    /// The agent, if this is its current incarnation.
    pub(super) fn current(&self, by: Incarnation) -> Result<AgentIx, Rejected> {
        self.state.index().fleet().current(by).ok_or(Rejected::Stale(Stale::Incarnation(by)))
    }
}
