//! A registered agent.

use crate::base::id::Incarnation;
use crate::base::name::Name;
use crate::base::structure::{Bits, TimerKey};
use crate::base::time::Time;
use crate::routing::Occupancy;
use crate::scheduler::ix::{ClassIx, Room, TaskIx};
use crate::task::Needs;
use crate::task::agent::{AgentSpec, AgentStatus, Guard};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A bound that a guard sets on an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gate {
    pub(crate) guard: Guard,
    /// How many attempts the agent may hold.
    pub(crate) slots: u32,
    /// When the guard evaluates the agent again.
    pub(crate) until: Option<Time>,
}

/// The state of a registered agent. Only [`Fleet`](super::Fleet) changes one.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) spec: Arc<AgentSpec>,
    pub(crate) by: Incarnation,
    pub(crate) status: AgentStatus,
    /// The tasks whose attempts it holds, in no particular order.
    pub(crate) held: Vec<TaskIx>,
    /// The time of its last message. No event records it; a resume resets it.
    pub(crate) last_message: Time,
    pub(crate) lease_timer: Option<TimerKey>,
    /// The amounts of its resources that its attempts use.
    pub(crate) used: BTreeMap<Name, u64>,
    /// How many more attempts it has polled for. No event records it: after a restart the agent polls again.
    pub(crate) polled: u32,
    /// The reason for which an operator has paused it.
    pub(crate) paused: Option<Name>,
    /// The bounds of guards: at most one per guard, in the order of the guards.
    pub(crate) gates: Vec<Gate>,
    pub(crate) gate_timer: Option<TimerKey>,
    /// The requirement classes for which it is eligible.
    pub(crate) classes: Bits,
}

impl Member {
    pub(super) fn new(by: Incarnation, spec: Arc<AgentSpec>, last_message: Time) -> Self {
        Self {
            spec,
            by,
            status: AgentStatus::Online,
            held: Vec::new(),
            last_message,
            lease_timer: None,
            used: BTreeMap::new(),
            polled: 0,
            paused: None,
            gates: Vec::new(),
            gate_timer: None,
            classes: Bits::default(),
        }
    }

    /// Whether it takes new work.
    pub(crate) fn is_online(&self) -> bool {
        self.status == AgentStatus::Online
    }

    /// When its lease expires without another message.
    pub(crate) fn lease_until(&self) -> Option<Time> {
        self.spec.lease.map(|lease| self.last_message + lease)
    }

    pub(crate) fn in_flight(&self) -> u32 {
        u32::try_from(self.held.len()).unwrap_or(u32::MAX)
    }

    /// How many attempts it may hold now: its capacity, or less if a guard or a pause bounds it or it polls.
    pub(crate) fn slots(&self) -> u32 {
        self.slots_except(0)
    }

    /// The same without the reserved slots. They are part of the capacity and not of what the agent polls for: one that polls
    /// for a single attempt while it has other slots free accepts a task of any tier.
    fn slots_except(&self, reserved: u32) -> u32 {
        if self.paused.is_some() {
            return 0;
        }
        let own = self.gates.iter().map(|gate| gate.slots).fold(self.spec.slots(), u32::min);
        let own = own.saturating_sub(reserved);
        if self.spec.polls { own.min(self.in_flight().saturating_add(self.polled)) } else { own }
    }

    pub(super) fn occupancy(&self) -> Occupancy {
        Occupancy { accepting: self.is_online(), in_flight: self.in_flight(), slots: self.slots() }
    }

    /// Whether it has slots of this room, in use or not.
    pub(crate) fn shares(&self, room: Room) -> bool {
        match room {
            Room::Reserved => true,
            Room::Open => self.spec.slots() > self.spec.reserved,
        }
    }

    /// Whether it takes new work, disregarding its load: it is online, and no guard or pause excludes it.
    pub(crate) fn is_up(&self) -> bool {
        let withheld = self.paused.is_some() || self.gates.iter().any(|gate| gate.slots == 0);
        self.is_online() && !withheld
    }

    /// Whether it takes new work and has room, reserved or not.
    pub(crate) fn has_room(&self) -> bool {
        self.occupancy().has_room()
    }

    /// Whether it has room for tasks of any tier.
    pub(crate) fn has_open_room(&self) -> bool {
        self.is_online() && self.in_flight() < self.slots_except(self.spec.reserved)
    }

    /// Whether it would have room if one of its attempts ended.
    pub(crate) fn would_have_room(&self, urgent: bool) -> bool {
        let reserved = if urgent { 0 } else { self.spec.reserved };
        self.is_online() && self.in_flight().saturating_sub(1) < self.slots_except(reserved)
    }

    /// Whether its free resources suffice for these needs.
    pub(crate) fn fits(&self, needs: &Needs) -> bool {
        needs.amounts().all(|(name, amount)| {
            let all = self.spec.amounts.get(name).copied().unwrap_or(0);
            all.saturating_sub(self.used.get(name).copied().unwrap_or(0)) >= amount
        })
    }

    /// Sets the bound of a guard; none removes it.
    pub(super) fn set_gate(&mut self, guard: Guard, slots: Option<u32>, until: Option<Time>) {
        self.gates.retain(|gate| gate.guard != guard);
        if let Some(slots) = slots {
            let at = self.gates.partition_point(|gate| gate.guard < guard);
            self.gates.insert(at, Gate { guard, slots, until });
        }
    }

    pub(super) fn mark(&mut self, class: ClassIx, serves: bool) {
        self.classes.put(class.index(), serves);
    }

    /// The number of timers that it owns.
    pub(crate) fn timers(&self) -> usize {
        usize::from(self.lease_timer.is_some()) + usize::from(self.gate_timer.is_some())
    }
}
