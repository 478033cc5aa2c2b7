//! Twins: engines that are restored beside the live one and receive the same calls. A restored engine must make the same
//! decisions.

use super::world::{Played, World};
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::engine::{Engine, EngineSnapshot, Follower};
use crate::journal::Takeover;
use crate::message::command::{Accepted, AgentCommand, Command};
use crate::message::effect::{Effect, Outbox};
use crate::message::event::Entry;
use crate::message::rejected::Rejected;

/// The number of calls for which a twin is compared.
const CALLS: u32 = 96;

/// A restored engine, and the number of calls for which it is still compared.
pub(super) struct Twin {
    engine: Engine,
    left: u32,
}

/// The results of one call.
pub(super) struct Made<'a> {
    pub(super) verdict: &'a Result<Accepted, Rejected>,
    pub(super) entries: &'a [Entry],
    pub(super) effects: &'a [Effect],
}

impl Twin {
    /// Gives the twin the same call, and compares the results.
    pub(super) fn follow(&mut self, now: Time, command: Command, made: &Made<'_>) -> Result<(), String> {
        let mut out = Outbox::default();
        let called = format!("{command:?}");
        let verdict = self.engine.handle(now, command, &mut out);
        self.left = self.left.saturating_sub(1);
        if verdict != *made.verdict {
            return Err(format!("a restored engine answers {verdict:?} instead of {:?} to {called}", made.verdict));
        }
        let longest = out.entries().len().max(made.entries.len());
        if let Some(place) = (0..longest).find(|place| out.entries().get(*place) != made.entries.get(*place)) {
            let (twin, live) = (out.entries().get(place), made.entries.get(place));
            return Err(format!("after {called} a restored engine decides {twin:?} instead of {live:?}"));
        }
        if out.effects() != made.effects {
            return Err(format!(
                "after {called} a restored engine asks for {:?} instead of {:?}",
                out.effects(),
                made.effects
            ));
        }
        Ok(())
    }

    pub(super) const fn is_over(&self) -> bool {
        self.left == 0
    }
}

impl World {
    /// Restores a twin of the engine from the journal. The leases of both begin anew: the agents of the live engine send a
    /// heartbeat.
    pub(super) fn pair(&mut self) -> Played {
        if !self.settings.twins {
            return Ok(());
        }
        let Some(host) = &self.machine.host else { return Ok(()) };
        let agents: Vec<_> = host.engine.agents().map(|agent| agent.incarnation()).collect();
        // After a restart the first reading is followed, whatever it is; the live engine must follow it, too.
        let now = self.machine.clock.reading(self.time.now);
        if self.machine.time.now() != now {
            return Ok(());
        }
        self.machine.twin = None;
        for by in agents {
            let beat = self.call(Some(AgentCommand::Heartbeat { by }.into()))?;
            debug_assert!(beat.is_ok(), "the heartbeat of a registered agent was rejected");
        }
        // So do the heartbeat timeouts of both. Details that no event records yet are lost in a restart.
        let outstanding = self.machine.host.as_ref().map(|host| host.engine.outstanding()).unwrap_or_default();
        for effect in outstanding {
            let Effect::Dispatch { attempt, to, task, .. } = effect else { continue };
            if task.policy.heartbeat_timeout().is_some() {
                let report = AgentCommand::AttemptHeartbeat { by: to, attempt, details: Payload::NULL };
                let reported = self.call(Some(report.into()))?;
                debug_assert!(reported.is_ok(), "the heartbeat of an attempt under way was rejected");
            }
            let view = self.machine.host.as_ref().and_then(|host| host.engine.task(attempt.task()));
            if view.is_some_and(|task| task.has_pending_details()) {
                return Ok(());
            }
        }
        let Some(host) = self.machine.host.as_ref().filter(|host| host.is_idle()) else { return Ok(()) };
        if host.engine.next_wakeup().is_some_and(|at| at <= now) {
            return Ok(());
        }
        let engine = Engine::restore((self.machine.config)(), None, self.disk.history());
        let mut engine = engine.map_err(|error| self.broken(error.to_string()))?;
        let mut out = Outbox::default();
        engine.resume(now, &mut out);
        if let Some(entry) = out.entries().first() {
            return Err(
                self.broken(format!("an engine without open decisions decides {:?} when it is restored", entry.event))
            );
        }
        self.machine.twin = Some(Twin { engine, left: CALLS });
        Ok(())
    }

    /// Feeds the new durable entries to the follower, which must keep nothing for decisions.
    pub(super) fn lead_follower(&mut self) -> Played {
        let Some(mut follower) = self.machine.follower.take() else { return Ok(()) };
        let known = usize::try_from(follower.last_seq().get()).unwrap_or(usize::MAX);
        let new = self.disk.history().get(known..).unwrap_or_default();
        let followed = new.iter().try_for_each(|entry| follower.follow(entry));
        followed.map_err(|error| self.broken(format!("the follower rejects the journal: {error}")))?;
        if !new.is_empty() {
            follower.check().map_err(|why| self.broken(why))?;
        }
        self.machine.follower = Some(follower);
        Ok(())
    }

    /// A follower of the journal that a host has taken over.
    pub(super) fn new_follower(&self, taken: &Takeover) -> Played<Option<Follower>> {
        if !self.settings.audited {
            return Ok(None);
        }
        let config = (self.machine.config)();
        let snapshot = taken.snapshot.as_deref().map(EngineSnapshot::from_bytes).transpose();
        let snapshot = snapshot.map_err(|error| self.broken(error.to_string()))?;
        let follower = match &snapshot {
            None => Ok(Follower::new(&config)),
            Some(snapshot) => Follower::from_snapshot(&config, snapshot),
        };
        let mut follower = follower.map_err(|error| self.broken(error.to_string()))?;
        let followed = taken.tail.iter().try_for_each(|entry| follower.follow(entry));
        followed.map_err(|error| self.broken(format!("a new follower rejects the journal: {error}")))?;
        Ok(Some(follower))
    }
}
