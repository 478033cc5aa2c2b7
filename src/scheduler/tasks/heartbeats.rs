//! Heartbeats of attempts and their details.

use super::task::{Stage, Task};
use super::{TaskIx, Tasks};
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::scheduler::inconsistent::Applied;
use core::time::Duration;

/// What the time limits of an attempt are counted with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Since {
    /// The grace period: how long an agent may take to answer a request to stop an attempt or to give it back.
    pub(crate) grace: Duration,
    /// The time from which heartbeats are counted at the earliest.
    pub(crate) heartbeats: Time,
}

/// The heartbeats of the attempts at a task.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Heartbeats {
    /// When the last one arrived. No event records it.
    last: Time,
    /// The last details that an event records, and the time of the event.
    pub(crate) recorded: Option<(Time, Payload)>,
    /// Later details, and the time at which an event is to record them. A restart loses them.
    pub(crate) pending: Option<(Time, Payload)>,
}

impl Heartbeats {
    /// Those of a task of a snapshot.
    pub(crate) fn recorded(at: Time, details: &Payload) -> Self {
        Self { recorded: Some((at, details.clone())), ..Self::default() }
    }
}

impl Tasks {
    /// Records the details of a heartbeat.
    pub(crate) fn record_details(&mut self, at: TaskIx, now: Time, details: &Payload) -> Applied {
        let heartbeats = self.at_mut(at)?.heartbeats_mut();
        heartbeats.recorded = Some((now, details.clone()));
        heartbeats.pending = None;
        Ok(())
    }

    /// Notes the time of a heartbeat, which restarts the heartbeat timeout. No event records it.
    pub(crate) fn note_heartbeat(&mut self, at: TaskIx, now: Time) -> Applied {
        let task = self.at_mut(at)?;
        if task.traits.is_bounded() && task.spec.policy.heartbeat_timeout().is_some() {
            task.heartbeats_mut().last = now;
        }
        Ok(())
    }

    /// Keeps details until an event records them, in place of earlier ones. No event records that.
    pub(crate) fn keep_details(&mut self, at: TaskIx, pending: Option<(Time, Payload)>) -> Applied {
        self.at_mut(at)?.heartbeats_mut().pending = pending;
        Ok(())
    }
}

impl Task {
    /// The heartbeats of its attempts, if it has any that are of consequence.
    pub(crate) fn heartbeats(&self) -> Option<&Heartbeats> {
        self.rare().heartbeats.as_deref()
    }

    fn heartbeats_mut(&mut self) -> &mut Heartbeats {
        self.rare.get_or_insert_default().heartbeats.get_or_insert_default()
    }

    /// Drops the heartbeats, which nothing needs after the end of the task.
    pub(super) fn drop_heartbeats(&mut self) {
        if let Some(rare) = &mut self.rare {
            rare.heartbeats = None;
        }
    }

    /// The details of the last heartbeat that an event records; null if there are none.
    pub(crate) fn details(&self) -> &Payload {
        const NONE: &Payload = &Payload::NULL;
        self.heartbeats().and_then(|beats| beats.recorded.as_ref()).map_or(NONE, |(_, details)| details)
    }

    /// The bytes of its payload and of its recorded details.
    pub(crate) fn bytes(&self) -> u32 {
        let recorded = self.heartbeats().and_then(|beats| beats.recorded.as_ref());
        recorded.map_or(0, |(_, details)| details.bytes()).saturating_add(self.spec.payload.bytes())
    }

    /// When an event is to record the pending details of the attempt under way.
    pub(crate) fn details_due(&self) -> Option<Time> {
        self.heartbeats()?.pending.as_ref().map(|(at, _)| *at)
    }

    /// When the attempt under way is failed unless it reports a heartbeat before. Heartbeats count from `from` at the earliest.
    pub(super) fn silent_until(&self, from: Time) -> Option<Time> {
        let Stage::Running(running) = &self.stage else { return None };
        if running.unstarted || !self.traits.is_bounded() {
            return None;
        }
        let span = self.spec.policy.heartbeat_timeout()?;
        let last = self.heartbeats().map_or(Time::ZERO, |beats| beats.last);
        Some(last.max(running.since).max(from) + span)
    }
}
