//! Commands that pause and resume tenants, kinds and agents, and jumps of the clock.

use super::validate::{bounded, named};
use crate::base::clock::ClockChange;
use crate::base::name::Name;
use crate::base::time::Time;
use crate::message::command::{Accepted, ControlCommand};
use crate::message::event::ControlEvent;
use crate::message::rejected::{Conflict, Overload, Rejected, Unknown, WrongState};
use crate::scheduler::log::Tx;
use crate::scheduler::machine::Core;
use crate::scheduler::queue::Account;
use crate::scheduler::reader::Reader;
use crate::task::agent::Scope;

impl Core {
    pub(crate) fn control(&mut self, command: ControlCommand, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        match command {
            ControlCommand::Identify { journal } => match self.reader.state.standing().journal {
                None => {
                    self.emit(ControlEvent::Identified { journal }, tx);
                    Ok(Accepted::Done)
                }
                // The identity of a journal never changes.
                Some(known) if known == journal => Ok(Accepted::Repeated),
                Some(known) => Err(Rejected::Conflict(Conflict::Journal { known, given: journal })),
            },
            ControlCommand::Pause { scope, reason } => self.pause(scope, reason, tx),
            ControlCommand::Resume { scope } => self.resume_scope(scope, tx),
            ControlCommand::ConfirmClock { time, reason } => self.confirm_clock(time, reason, tx),
        }
    }

    /// Records how the clock has changed with the reading of this call.
    pub(super) fn note_clock(&mut self, tx: &mut Tx<'_>) {
        self.reader.now = tx.now;
        match tx.take_clock_change() {
            None => {}
            Some(ClockChange::Jumped { from, to }) => self.emit(ControlEvent::ClockJumped { from, to }, tx),
            Some(ClockChange::Returned) => self.clock_returned(tx),
            Some(ClockChange::Confirmed { from, to }) => self.clock_confirmed((from, to), None, tx),
        }
    }

    /// The timers up to the new time fire in the next call.
    fn confirm_clock(&mut self, time: Time, reason: Name, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        let limits = &self.reader.config.limits;
        bounded("name_bytes", reason.len(), limits.sizes.name_bytes)?;
        let change = tx.confirm_clock(time, &limits.clock);
        let Some(ClockChange::Confirmed { from, to }) = change else {
            return Err(Rejected::State(WrongState::NoClockJump { time, now: tx.now }));
        };
        self.reader.now = tx.now;
        self.clock_confirmed((from, to), Some(reason), tx);
        Ok(Accepted::Done)
    }

    /// The leases are renewed, because the time advances by up to the largest step, and messages that would have renewed them
    /// may follow the reading.
    fn clock_returned(&mut self, tx: &mut Tx<'_>) {
        self.renew_leases(tx.now);
        self.emit(ControlEvent::ClockReturned, tx);
    }

    /// The leases are renewed, because they were set by the time before the jump.
    fn clock_confirmed(&mut self, (from, to): (Time, Time), reason: Option<Name>, tx: &mut Tx<'_>) {
        self.renew_leases(to);
        self.emit(ControlEvent::ClockConfirmed { from, to, reason }, tx);
    }

    fn pause(&mut self, scope: Scope, reason: Name, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        let limits = &self.reader.config.limits;
        bounded("name_bytes", reason.len(), limits.sizes.name_bytes)?;
        match &scope {
            Scope::Tenant(name) => named("tenant", name, limits)?,
            Scope::Kind(name) => named("kind", name, limits)?,
            Scope::Agent(_) => {}
        }
        if self.reader.is_paused(&scope)? {
            return Ok(Accepted::Repeated);
        }
        if self.reader.state.queues().paused() >= limits.sizes.list_len as usize {
            let limit = limits.sizes.list_len.into();
            return Err(Rejected::Capacity(Overload::AtCapacity { what: "list_len".into(), limit, retry_after: None }));
        }
        self.emit(ControlEvent::Paused { scope, reason }, tx);
        self.dispatch(tx).settle(None);
        Ok(Accepted::Done)
    }

    fn resume_scope(&mut self, scope: Scope, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        if !self.reader.is_paused(&scope)? {
            return Ok(Accepted::Repeated);
        }
        let agent = if let Scope::Agent(id) = &scope { self.reader.state.index().fleet().index_of(*id) } else { None };
        self.emit(ControlEvent::Resumed { scope }, tx);
        self.dispatch(tx).settle(agent);
        Ok(Accepted::Done)
    }
}

impl Reader {
    /// Whether the scope is paused.
    fn is_paused(&self, scope: &Scope) -> Result<bool, Rejected> {
        let queues = self.state.queues();
        let account = match scope {
            Scope::Tenant(name) => queues.tenant_named(name),
            Scope::Kind(name) => queues.kind_named(name),
            Scope::Agent(id) => {
                let member = self.state.index().fleet().by_id(*id).ok_or(Rejected::Unknown(Unknown::Agent(*id)))?;
                return Ok(member.paused.is_some());
            }
        };
        Ok(account.and_then(Account::paused).is_some())
    }
}
