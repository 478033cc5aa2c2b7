//! What dispatch looks up: agents, requirement classes with the agents that meet them, and resources.
//!
//! Resources are those that all agents share and each agent's own. An attempt takes all of what its task needs when it
//! begins, so that no two attempts wait for each other, and gives it back when it ends. All tasks of a class need the same, so
//! a class that waits for a resource blocks no other class.

mod classes;
mod fleet;
mod member;
mod pools;

pub(crate) use classes::{ClassKey, Classes, Excluded};
pub(crate) use fleet::{Bound, Fleet, Room};
pub(crate) use member::{Gate, Member};
pub(crate) use pools::Pools;

use super::inconsistent::{Applied, InconsistentEvent};
use super::ix::{AgentIx, ClassIx, TaskIx};
use super::timers::Timers;
use crate::base::id::{AgentId, Incarnation};
use crate::base::name::Name;
use crate::base::structure::Bits;
use crate::base::time::Time;
use crate::routing::SkillMap;
use crate::task::Needs;
use crate::task::agent::{AgentSpec, AgentStatus};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The index of agents, classes and resources.
#[derive(Debug, Default)]
pub(crate) struct Index {
    fleet: Fleet,
    classes: Classes,
    pools: Pools,
}

/// The classes whose tasks may have got an agent because a bound on an agent has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reopened {
    None,
    /// Those that this agent serves.
    Of(AgentIx),
    /// Any: other agents are eligible now.
    Any,
}

impl Index {
    pub(crate) fn new(skills: SkillMap, shared: BTreeMap<Name, u64>) -> Self {
        Self { fleet: Fleet::default(), classes: Classes::new(skills), pools: Pools::new(shared) }
    }

    pub(crate) const fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// For changes of an agent that leave it as eligible as it was.
    pub(crate) const fn fleet_mut(&mut self) -> &mut Fleet {
        &mut self.fleet
    }

    pub(crate) const fn classes(&self) -> &Classes {
        &self.classes
    }

    pub(crate) const fn pools(&self) -> &Pools {
        &self.pools
    }

    /// An incarnation of an agent begins. An operator's pause outlasts the incarnation before it.
    pub(crate) fn register(
        &mut self,
        by: Incarnation,
        spec: &Arc<AgentSpec>,
        paused: Option<&Name>,
        now: Time,
    ) -> Applied<AgentIx> {
        let at = self.fleet.register(by, Arc::clone(spec), now)?;
        self.fleet.set_bound(at, Bound::Pause(paused))?;
        self.classes.review(at, &mut self.fleet);
        Ok(at)
    }

    pub(crate) fn update(&mut self, at: AgentIx, spec: &Arc<AgentSpec>) -> Applied {
        self.fleet.set_spec(at, Arc::clone(spec))?;
        self.classes.review(at, &mut self.fleet);
        Ok(())
    }

    pub(crate) fn drain(&mut self, at: AgentIx) -> Applied {
        self.fleet.set_status(at, AgentStatus::Draining)?;
        self.classes.review(at, &mut self.fleet);
        Ok(())
    }

    /// The agent is gone. The tasks whose attempts it held.
    pub(crate) fn remove(&mut self, id: AgentId, timers: &mut Timers) -> Option<Vec<TaskIx>> {
        let (at, member) = self.fleet.remove(id, timers)?;
        self.classes.review(at, &mut self.fleet);
        Some(member.held)
    }

    /// Puts an agent where a snapshot says that it was; none if that is impossible.
    pub(crate) fn put(&mut self, place: u32, by: Incarnation, spec: &Arc<AgentSpec>) -> Option<AgentIx> {
        self.fleet.put(place, by, Arc::clone(spec))
    }

    /// Evaluates an agent for every class again.
    pub(crate) fn review(&mut self, at: AgentIx) {
        self.classes.review(at, &mut self.fleet);
    }

    /// Changes what an agent may hold.
    pub(crate) fn set_bound(&mut self, at: AgentIx, bound: Bound<'_>) -> Applied<Reopened> {
        let was_up = self.fleet.get(at).is_some_and(Member::is_up);
        self.fleet.set_bound(at, bound)?;
        let member = self.fleet.get(at).ok_or(InconsistentEvent("an agent is bounded that is gone"))?;
        let (is_up, has_room) = (member.is_up(), member.has_room());
        if is_up != was_up && self.fleet.has_backups() {
            self.classes.review(at, &mut self.fleet);
            return Ok(Reopened::Any);
        }
        Ok(if has_room { Reopened::Of(at) } else { Reopened::None })
    }

    /// The class of a task that begins to wait. Every join is answered by one [`leave`](Self::leave).
    pub(crate) fn join(&mut self, key: ClassKey) -> ClassIx {
        self.classes.join(key, &mut self.fleet)
    }

    pub(crate) fn leave(&mut self, class: ClassIx) -> Applied {
        self.classes.leave(class, &mut self.fleet)
    }

    /// Records which agent was given a task of the class.
    pub(crate) fn assigned(&mut self, class: ClassIx, agent: AgentIx) -> Applied {
        self.classes.assigned(class, agent)
    }

    /// An attempt takes the resources that it needs, of the agent unless that is gone.
    pub(crate) fn take(&mut self, needs: &Needs, of: Option<AgentIx>) -> Applied {
        self.pools.take(needs);
        of.map_or(Ok(()), |at| self.fleet.take(at, needs))
    }

    /// An attempt gives back the resources that it took.
    pub(crate) fn give(&mut self, needs: &Needs, of: Option<AgentIx>) -> Applied {
        self.pools.give(needs);
        of.map_or(Ok(()), |at| self.fleet.give(at, needs))
    }

    /// Whether the tasks of a class take a part of any resource.
    pub(crate) fn uses_resources(&self, class: ClassIx) -> bool {
        self.classes.key(class).is_some_and(|key| key.needs.uses_resources())
    }

    /// Whether enough is left of all resources for a task of the class at this agent.
    pub(crate) fn has_resources(&self, class: ClassIx, member: &Member) -> bool {
        let needs = self.classes.key(class).map(|key| &key.needs).filter(|needs| needs.uses_resources());
        needs.is_none_or(|needs| self.pools.fits(needs) && member.fits(needs))
    }

    /// The agents with room that have enough resources left for a task of the class.
    pub(crate) fn fitting(&self, class: ClassIx, room: Room) -> Bits {
        let mut fitting = Bits::default();
        let (Some(key), Some(eligible)) = (self.classes.key(class), self.classes.eligible(class)) else {
            return fitting;
        };
        if self.pools.fits(&key.needs) {
            let fits = |place: &usize| self.fleet.nth(*place).is_some_and(|member| member.fits(&key.needs));
            let able = eligible.bits().common(self.fleet.with_room(room));
            able.filter(fits).for_each(|place| fitting.set(place));
        }
        fitting
    }

    /// Whether an agent that is eligible for the class has such room, and the resources that its tasks need.
    pub(crate) fn has_agent(&self, class: ClassIx, room: Room) -> bool {
        if self.uses_resources(class) {
            return !self.fitting(class, room).is_empty();
        }
        self.classes.eligible(class).is_some_and(|all| all.bits().meets(self.fleet.with_room(room)))
    }

    /// Whether the parts agree with each other.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.fleet.check()?;
        self.classes.check(&self.fleet)
    }

    /// Whether the resources in use are those that these attempts take: each with the agent that holds it.
    pub(crate) fn check_resources(&self, attempts: &[(Incarnation, &Needs)]) -> Result<(), String> {
        self.pools.check(attempts.iter().map(|(_, needs)| *needs))?;
        let mut own: BTreeMap<Incarnation, BTreeMap<Name, u64>> = BTreeMap::new();
        for (by, needs) in attempts.iter().filter(|(by, _)| self.fleet.current(*by).is_some()) {
            let used = own.entry(*by).or_default();
            needs.amounts().for_each(|(name, amount)| pools::add(used, name, amount));
        }
        for (_, member) in self.fleet.iter() {
            let used = own.remove(&member.by).unwrap_or_default();
            if used != member.used {
                return Err(format!("{} uses {used:?}, not {:?}", member.by, member.used));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
