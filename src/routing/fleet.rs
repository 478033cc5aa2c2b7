//! The registered agents, in dense places, with what each holds.

use super::levels::{Levels, Load};
use crate::agent::{AgentSpec, AgentStatus, Guard};
use crate::id::{AgentId, Incarnation};
use crate::name::Name;
use crate::structure::{Arena, Bits, IdMap, Slot, TimerKey};
use crate::task::Needs;
use crate::time::Time;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a guard allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gate {
    pub(crate) guard: Guard,
    /// How many attempts the agent may hold.
    pub(crate) slots: u32,
    /// When the guard looks again.
    pub(crate) until: Option<Time>,
}

/// A registered agent.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) spec: Arc<AgentSpec>,
    pub(crate) by: Incarnation,
    pub(crate) place: u32,
    pub(crate) status: AgentStatus,
    /// The tasks whose attempts it holds, in no particular order.
    pub(crate) held: Vec<Slot>,
    /// Its last word: not written down, begins anew when a host resumes.
    pub(crate) heard: Time,
    /// The timer of its lease, if it has one.
    pub(crate) timer: Option<TimerKey>,
    /// What the attempts that it holds take of its resources.
    pub(crate) used: BTreeMap<Name, u64>,
    /// How many attempts more it has asked for, if it is one that asks. Not written down: after a restart it asks again.
    pub(crate) asked: u32,
    /// On what grounds an operator has paused it.
    pub(crate) paused: Option<Name>,
    /// What guards allow, where they bound it: at most one for each guard, in their order.
    pub(crate) gates: Vec<Gate>,
    /// The timer of the gate that is looked at next.
    pub(crate) gate_timer: Option<TimerKey>,
    /// The requirement classes that it can serve.
    pub(crate) classes: Bits,
    /// Where it stands among the levels, and of which numbers that was made; none if it has no room.
    level: Option<(Load, u32, u32)>,
}

impl Member {
    pub(super) fn new(by: Incarnation, spec: Arc<AgentSpec>, place: u32, heard: Time) -> Self {
        Self {
            spec,
            by,
            place,
            status: AgentStatus::Online,
            held: Vec::new(),
            heard,
            timer: None,
            used: BTreeMap::new(),
            asked: 0,
            paused: None,
            gates: Vec::new(),
            gate_timer: None,
            classes: Bits::default(),
            level: None,
        }
    }

    /// How many attempts it may hold now: its capacity, or less if a guard says so.
    pub(crate) fn slots(&self) -> u32 {
        if self.paused.is_some() {
            return 0;
        }
        let own = self.spec.slots();
        let own = if self.spec.polls { own.min(self.in_flight().saturating_add(self.asked)) } else { own };
        self.gates.iter().map(|gate| gate.slots).fold(own, u32::min)
    }

    /// Whether it takes work and no guard and no operator lets it have none, be it busy or not.
    pub(crate) fn is_up(&self) -> bool {
        let held_off = self.paused.is_some() || self.gates.iter().any(|gate| gate.slots == 0);
        self.status == AgentStatus::Online && !held_off
    }

    /// Whether what is left of its resources is enough for this.
    pub(crate) fn fits(&self, needs: &Needs) -> bool {
        needs.amounts().all(|(name, amount)| {
            let all = self.spec.amounts.get(name).copied().unwrap_or(0);
            all.saturating_sub(self.used.get(name).copied().unwrap_or(0)) >= amount
        })
    }

    /// Whether it takes work and has room, be it for the first tier alone.
    pub(crate) fn has_room(&self) -> bool {
        self.status == AgentStatus::Online && self.in_flight() < self.slots()
    }

    /// Whether it has room beyond what is kept for the first tier.
    pub(crate) fn has_open_room(&self) -> bool {
        self.has_room() && self.in_flight() < self.slots().saturating_sub(self.spec.reserved)
    }

    /// Sets what a guard allows; none if it allows everything.
    pub(crate) fn set_gate(&mut self, guard: Guard, slots: Option<u32>, until: Option<Time>) {
        self.gates.retain(|gate| gate.guard != guard);
        if let Some(slots) = slots {
            let at = self.gates.partition_point(|gate| gate.guard < guard);
            self.gates.insert(at, Gate { guard, slots, until });
        }
    }

    pub(crate) fn in_flight(&self) -> u32 {
        u32::try_from(self.held.len()).unwrap_or(u32::MAX)
    }

    /// Where it should stand among the levels.
    fn load(&self) -> Option<(Load, u32, u32)> {
        if !self.has_room() {
            return None;
        }
        let (held, capacity) = (self.in_flight(), self.slots());
        match self.level {
            Some(same @ (_, h, c)) if h == held && c == capacity => Some(same),
            _ => Some((Load::of(held, capacity), held, capacity)),
        }
    }
}

/// All registered agents.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fleet {
    members: Arena<Member>,
    places: IdMap<AgentId, Slot>,
    free: Bits,
    /// Those with room beyond what they keep for the first tier.
    open: Bits,
    /// How many keep any.
    reserving: usize,
    /// How many stand in for others.
    backups: usize,
    levels: Levels,
}

impl Fleet {
    pub(crate) fn add(&mut self, by: Incarnation, spec: Arc<AgentSpec>, heard: Time) -> Slot {
        let id = spec.id;
        let place = self.members.insert_lowest(Member::new(by, spec, 0, heard));
        self.places.insert(id, place);
        self.count(place);
        self.change(place, |member| member.place = place.get());
        place
    }

    /// Puts an agent at the place that it had when a snapshot was taken; none if that is taken or far away.
    pub(crate) fn put(&mut self, place: u32, by: Incarnation, spec: Arc<AgentSpec>) -> Option<Slot> {
        let id = spec.id;
        let slot = self.members.insert_at(Slot::new(place), Member::new(by, spec, place, Time::ZERO))?;
        self.places.insert(id, slot);
        self.count(slot);
        self.change(slot, |_| {});
        Some(slot)
    }

    fn count(&mut self, place: Slot) {
        let Some(member) = self.members.get(place) else { return };
        self.reserving += usize::from(member.spec.reserved > 0);
        self.backups += usize::from(member.spec.backup);
    }

    /// Whether any stands in for others.
    pub(crate) const fn has_backups(&self) -> bool {
        self.backups > 0
    }

    pub(crate) fn remove(&mut self, id: AgentId) -> Option<Member> {
        let place = self.places.remove(&id)?;
        self.free.clear(place.index());
        self.open.clear(place.index());
        let member = self.members.remove(place)?;
        self.reserving -= usize::from(member.spec.reserved > 0);
        self.backups -= usize::from(member.spec.backup);
        if let Some((load, ..)) = member.level {
            self.levels.take(place.index(), load);
        }
        Some(member)
    }

    /// Changes a member and keeps the set of those with room and their levels true.
    pub(crate) fn change(&mut self, place: Slot, change: impl FnOnce(&mut Member)) {
        let Some(member) = self.members.get_mut(place) else { return };
        let (kept, backup) = (member.spec.reserved > 0, member.spec.backup);
        change(member);
        if backup != member.spec.backup {
            self.backups = if backup { self.backups - 1 } else { self.backups + 1 };
        }
        if kept != (member.spec.reserved > 0) {
            self.reserving = if kept { self.reserving - 1 } else { self.reserving + 1 };
        }
        self.open.put(place.index(), member.has_open_room());
        let (old, new) = (member.level, member.load());
        member.level = new;
        let (old, new) = (old.map(|(load, ..)| load), new.map(|(load, ..)| load));
        if old == new {
            return;
        }
        if let Some(load) = old {
            self.levels.take(place.index(), load);
        }
        if let Some(load) = new {
            self.levels.put(place.index(), load);
        }
        if old.is_none() || new.is_none() {
            self.free.put(place.index(), new.is_some());
        }
    }

    /// Notes that the agent holds the task; the answer finds it again in [`release`](Self::release).
    pub(crate) fn hold(&mut self, place: Slot, task: Slot) -> u32 {
        let mut index = 0;
        self.change(place, |member| {
            index = u32::try_from(member.held.len()).unwrap_or(u32::MAX);
            member.held.push(task);
            member.asked = member.asked.saturating_sub(1);
        });
        index
    }

    /// Takes back what [`hold`](Self::hold) noted. Gives the task whose index has changed to `index`, if one has.
    pub(crate) fn release(&mut self, place: Slot, index: u32) -> Option<Slot> {
        let mut moved = None;
        self.change(place, |member| {
            if (index as usize) < member.held.len() {
                member.held.swap_remove(index as usize);
                moved = member.held.get(index as usize).copied();
            }
        });
        moved
    }

    pub(crate) fn place_of(&self, id: AgentId) -> Option<Slot> {
        self.places.get(&id).copied()
    }

    pub(crate) fn by_id(&self, id: AgentId) -> Option<&Member> {
        self.members.get(self.place_of(id)?)
    }

    /// The place of the agent if this is its current life.
    pub(crate) fn living(&self, by: Incarnation) -> Option<Slot> {
        let place = self.place_of(by.agent())?;
        (self.members.get(place)?.by == by).then_some(place)
    }

    pub(crate) fn at(&self, place: usize) -> Option<&Member> {
        self.members.get(Slot::new(u32::try_from(place).ok()?))
    }

    /// The places of the agents that take work and have room.
    pub(crate) const fn free(&self) -> &Bits {
        &self.free
    }

    /// The places of the agents that have room for tasks of all tiers.
    pub(crate) const fn open(&self) -> &Bits {
        &self.open
    }

    /// The places of the agents that have room for a task of the first tier, or of another; none stands for those of
    /// [`free`](Self::free), where nobody keeps room.
    pub(crate) const fn room_for(&self, urgent: bool) -> Option<&Bits> {
        if urgent || self.reserving == 0 { None } else { Some(&self.open) }
    }

    /// The agents with room, by load.
    pub(crate) const fn levels(&self) -> &Levels {
        &self.levels
    }

    /// Whether the levels say of every agent what it is.
    pub(crate) fn levels_agree(&self) -> bool {
        let free = self.members.iter().filter(|(_, member)| member.has_room());
        self.levels.agrees(free.map(|(place, member)| (place.index(), Load::of(member.in_flight(), member.slots()))))
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &Member)> {
        self.members.iter()
    }
}
