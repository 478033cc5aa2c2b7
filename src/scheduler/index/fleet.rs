//! The registered agents with their attempts, and the set of those with room.

use super::member::Member;
use crate::base::id::{AgentId, Incarnation};
use crate::base::name::Name;
use crate::base::structure::Bits;
use crate::base::time::Time;
use crate::routing::{AgentLoad, LoadTable};
use crate::scheduler::inconsistent::{Applied, InconsistentEvent};
use crate::scheduler::ix::{AgentIx, ClassIx, Room, TaskIx};
use crate::scheduler::timers::{Alarm, Timers};
use crate::task::Needs;
use crate::task::agent::{AgentSpec, AgentStatus, Guard};
use std::sync::Arc;

/// How an agent holds an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holding {
    /// The index of the attempt, for [`release`](Fleet::release).
    pub(crate) index: u32,
    /// Whether the agent has not started it: it accepts attempts in advance.
    pub(crate) unstarted: bool,
}

/// A change of a bound on the attempts that an agent may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound<'a> {
    /// The bound of a guard; no `slots` removes it.
    Gate { guard: Guard, slots: Option<u32>, until: Option<Time> },
    /// The pause of an operator with its reason; none resumes the agent.
    Pause(Option<&'a Name>),
}

/// All registered agents.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fleet {
    /// The agents as strategies see them.
    loads: LoadTable,
    /// By index.
    members: Vec<Option<Member>>,
    /// The agents with room for tasks of any tier, while any agent reserves capacity for the critical one.
    open: Bits,
    /// The online agents.
    online: Bits,
    /// Those of them with slots that are not reserved for the critical tier.
    sharing: Bits,
    /// The number of agents that reserve capacity for the critical tier.
    reserving: usize,
    /// The number of backups.
    backups: usize,
}

const NO_AGENT: InconsistentEvent = InconsistentEvent("there is no agent at this index");

impl Fleet {
    pub(crate) fn register(&mut self, by: Incarnation, spec: Arc<AgentSpec>, now: Time) -> Applied<AgentIx> {
        let at = self.loads.insert(Arc::clone(&spec));
        self.insert(at, Member::new(by, spec, now))?;
        Ok(at)
    }

    /// Restores an agent at its index in a snapshot; none if the id or the index is in use.
    pub(crate) fn put(&mut self, index: u32, by: Incarnation, spec: Arc<AgentSpec>) -> Option<AgentIx> {
        let at = self.loads.insert_at(index, Arc::clone(&spec))?;
        self.insert(at, Member::new(by, spec, Time::ZERO)).ok()?;
        Some(at)
    }

    fn insert(&mut self, at: AgentIx, member: Member) -> Applied {
        let reserves = member.spec.reserved > 0;
        self.reserving += usize::from(reserves);
        self.backups += usize::from(member.spec.backup);
        if at.index() >= self.members.len() {
            self.members.resize_with(at.index() + 1, || None);
        }
        *self.members.get_mut(at.index()).ok_or(NO_AGENT)? = Some(member);
        self.update(at, |_| {})?;
        self.note_online(at);
        if reserves {
            self.find_open();
        }
        Ok(())
    }

    /// Updates the sets of online agents.
    fn note_online(&mut self, at: AgentIx) {
        let online = self.get(at).filter(|member| member.is_online());
        let (is_online, shares) = (online.is_some(), online.is_some_and(|member| member.shares(Room::Open)));
        self.online.put(at.index(), is_online);
        self.sharing.put(at.index(), shares);
    }

    /// Computes the set of agents with open room, which is kept up to date while any agent reserves capacity.
    fn find_open(&mut self) {
        for (at, member) in self.members.iter().enumerate() {
            self.open.put(at, member.as_ref().is_some_and(Member::has_open_room));
        }
    }

    /// Removes an agent, if it is registered.
    pub(crate) fn remove(&mut self, id: AgentId, timers: &mut Timers) -> Applied<Option<(AgentIx, Member)>> {
        let Some(at) = self.loads.remove(id) else { return Ok(None) };
        self.open.clear(at.index());
        let mut member = self.members.get_mut(at.index()).and_then(Option::take).ok_or(NO_AGENT)?;
        self.reserving -= usize::from(member.spec.reserved > 0);
        self.backups -= usize::from(member.spec.backup);
        timers.cancel(&mut member.lease_timer, Alarm::Lease(member.by));
        timers.cancel(&mut member.gate_timer, Alarm::Gate(member.by));
        self.note_online(at);
        Ok(Some((at, member)))
    }

    /// Changes a member and updates its load and room.
    #[inline]
    fn update(&mut self, at: AgentIx, change: impl FnOnce(&mut Member)) -> Applied {
        let member = self.members.get_mut(at.index()).and_then(Option::as_mut).ok_or(NO_AGENT)?;
        change(member);
        let occupancy = member.occupancy();
        if self.reserving > 0 {
            self.open.put(at.index(), member.has_open_room());
        }
        self.loads.set(at, occupancy);
        Ok(())
    }

    #[inline]
    fn member_mut(&mut self, at: AgentIx) -> Applied<&mut Member> {
        self.members.get_mut(at.index()).and_then(Option::as_mut).ok_or(NO_AGENT)
    }

    pub(crate) fn set_spec(&mut self, at: AgentIx, spec: Arc<AgentSpec>) -> Applied {
        let old = Arc::clone(&self.member_mut(at)?.spec);
        self.reserving = self.reserving + usize::from(spec.reserved > 0) - usize::from(old.reserved > 0);
        self.backups = self.backups + usize::from(spec.backup) - usize::from(old.backup);
        self.loads.set_spec(at, Arc::clone(&spec));
        let reserves = spec.reserved > 0;
        self.update(at, |member| member.spec = spec)?;
        self.note_online(at);
        if reserves {
            self.find_open();
        }
        Ok(())
    }

    pub(crate) fn set_status(&mut self, at: AgentIx, status: AgentStatus) -> Applied {
        self.update(at, |member| member.status = status)?;
        self.note_online(at);
        Ok(())
    }

    pub(crate) fn set_bound(&mut self, at: AgentIx, bound: Bound<'_>) -> Applied {
        self.update(at, |member| match bound {
            Bound::Gate { guard, slots, until } => member.set_gate(guard, slots, until),
            Bound::Pause(reason) => member.paused = reason.cloned(),
        })
    }

    /// Records that the agent has polled for up to `most` attempts.
    pub(crate) fn set_polled(&mut self, at: AgentIx, most: u32) -> Applied {
        self.update(at, |member| member.polled = most)
    }

    /// Records the time of a message from the agent.
    pub(crate) fn set_last_message(&mut self, at: AgentIx, now: Time) -> Applied {
        self.member_mut(at)?.last_message = now;
        Ok(())
    }

    pub(crate) fn renew_leases(&mut self, now: Time) {
        self.members.iter_mut().flatten().for_each(|member| member.last_message = now);
    }

    pub(super) fn mark(&mut self, at: AgentIx, class: ClassIx, serves: bool) {
        // An agent is removed before it is unmarked in its classes.
        if let Ok(member) = self.member_mut(at) {
            member.mark(class, serves);
        }
    }

    /// Sets the lease timer of the agent to the time at which the lease expires without another message.
    pub(crate) fn set_lease_timer(&mut self, at: AgentIx, timers: &mut Timers) -> Applied {
        let member = self.member_mut(at)?;
        let (alarm, until) = (Alarm::Lease(member.by), member.lease_until());
        timers.set(&mut member.lease_timer, alarm, until);
        Ok(())
    }

    /// Sets the gate timer of the agent to the time at which the next of its gates is evaluated.
    pub(crate) fn set_gate_timer(&mut self, at: AgentIx, timers: &mut Timers) -> Applied {
        let member = self.member_mut(at)?;
        let next = member.gates.iter().filter_map(|gate| gate.until).min();
        timers.set(&mut member.gate_timer, Alarm::Gate(member.by), next);
        Ok(())
    }

    /// Adds an attempt of the task to the agent.
    pub(crate) fn hold(&mut self, at: AgentIx, task: TaskIx) -> Applied<Holding> {
        let mut holding = Holding { index: 0, unstarted: false };
        self.update(at, |member| {
            holding = Holding { index: member.in_flight(), unstarted: member.spec.prefetch > 0 };
            member.held.push(task);
            member.polled = member.polled.saturating_sub(1);
        })?;
        Ok(holding)
    }

    /// Removes an attempt that [`hold`](Self::hold) added. Returns the task whose attempt has moved to `index`, if one
    /// has.
    pub(crate) fn release(&mut self, at: AgentIx, index: u32) -> Applied<Option<TaskIx>> {
        let (index, mut moved) = (index as usize, None);
        let mut is_held = false;
        self.update(at, |member| {
            is_held = index < member.held.len();
            if is_held {
                member.held.swap_remove(index);
                moved = member.held.get(index).copied();
            }
        })?;
        if is_held { Ok(moved) } else { Err(InconsistentEvent("the agent of a released attempt does not hold it")) }
    }

    pub(super) fn take(&mut self, at: AgentIx, needs: &Needs) -> Applied {
        super::pools::add_all(&mut self.member_mut(at)?.used, needs.amounts())
    }

    pub(super) fn give(&mut self, at: AgentIx, needs: &Needs) -> Applied {
        super::pools::subtract_all(&mut self.member_mut(at)?.used, needs.amounts())
    }

    pub(crate) fn index_of(&self, id: AgentId) -> Option<AgentIx> {
        self.loads.index_of(id)
    }

    pub(crate) fn by_id(&self, id: AgentId) -> Option<&Member> {
        self.get(self.index_of(id)?)
    }

    /// When the lease of an agent expires without another message.
    pub(crate) fn lease_until(&self, by: Incarnation) -> Option<Time> {
        self.get(self.current(by)?)?.lease_until()
    }

    /// The index of the agent if this is its current incarnation.
    pub(crate) fn current(&self, by: Incarnation) -> Option<AgentIx> {
        let at = self.index_of(by.agent())?;
        (self.get(at)?.by == by).then_some(at)
    }

    #[inline]
    pub(crate) fn get(&self, at: AgentIx) -> Option<&Member> {
        self.members.get(at.index())?.as_ref()
    }

    /// The agent of a bit in a set of agents.
    pub(crate) fn nth(&self, index: usize) -> Option<&Member> {
        self.members.get(index)?.as_ref()
    }

    /// The agents as strategies see them.
    pub(crate) const fn loads(&self) -> &LoadTable {
        &self.loads
    }

    /// The online agents with such room.
    pub(crate) const fn with_room(&self, room: Room) -> &Bits {
        match room {
            Room::Reserved => self.loads.free(),
            Room::Open if self.reserving > 0 => &self.open,
            Room::Open => self.loads.free(),
        }
    }

    /// The online agents with slots of this room, in use or not.
    pub(super) const fn online(&self, room: Room) -> &Bits {
        match room {
            Room::Reserved => &self.online,
            Room::Open => &self.sharing,
        }
    }

    /// The number of online agents.
    pub(crate) fn count_online(&self) -> u64 {
        self.online.count_common(&self.online) as u64
    }

    /// The sum of the capacities of the online agents, and the number of agents that were visited for it.
    pub(crate) fn online_capacity(&self) -> (u64, usize) {
        let online = self.online.iter().filter_map(|at| self.members.get(at)?.as_ref());
        online.fold((0, 0), |(sum, visited), member| (sum + u64::from(member.spec.capacity), visited + 1))
    }

    /// The agents to which the candidates of a strategy must be restricted; none if all agents with room have such
    /// room.
    pub(crate) const fn only_room(&self, room: Room) -> Option<&Bits> {
        match room {
            Room::Open if self.reserving > 0 => Some(&self.open),
            Room::Open | Room::Reserved => None,
        }
    }

    /// Whether any agent reserves capacity for the critical tier. Otherwise all room is open.
    pub(crate) const fn reserves(&self) -> bool {
        self.reserving > 0
    }

    /// Whether any agent is a backup.
    pub(crate) const fn has_backups(&self) -> bool {
        self.backups > 0
    }

    pub(crate) fn len(&self) -> usize {
        self.loads.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (AgentIx, &Member)> + Clone {
        (0..).zip(&self.members).filter_map(|(at, member)| Some((AgentIx::new(at), member.as_ref()?)))
    }

    /// The number of timers that agents own.
    pub(crate) fn timers(&self) -> usize {
        self.iter().map(|(_, member)| member.timers()).sum()
    }

    /// Compares the sets, counts and loads with the members.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.loads.check()?;
        for (at, member) in self.iter() {
            let load = self.loads.get(at);
            if load.map(AgentLoad::occupancy) != Some(member.occupancy()) {
                return Err(format!("the load of agent {} differs from the attempts that it holds", member.by));
            }
            if !load.is_some_and(|load| Arc::ptr_eq(load.spec(), &member.spec)) {
                return Err(format!("the load table has another spec for agent {}", member.by));
            }
            if self.with_room(Room::Open).contains(at.index()) != member.has_open_room() {
                return Err(format!("the set of agents with open room is wrong about agent {}", member.by));
            }
            let online = [Room::Reserved, Room::Open].map(|room| self.online(room).contains(at.index()));
            if online != [member.is_online(), member.is_online() && member.shares(Room::Open)] {
                return Err(format!("the sets of online agents are wrong about agent {}", member.by));
            }
        }
        let reserving = self.iter().filter(|(_, member)| member.spec.reserved > 0).count();
        let backups = self.iter().filter(|(_, member)| member.spec.backup).count();
        if (self.iter().count(), reserving, backups) != (self.len(), self.reserving, self.backups) {
            return Err(format!(
                "{reserving} agents reserve capacity and {backups} are backups, but {} and {} are counted",
                self.reserving, self.backups
            ));
        }
        Ok(())
    }
}
