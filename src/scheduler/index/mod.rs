//! The data that dispatch looks up: agents, requirement classes with the agents that meet them, and resources.
//!
//! Resources are shared by all agents or belong to one agent. An attempt acquires all resources that its task needs
//! when it begins, so that attempts cannot deadlock, and releases them when it ends. All tasks of a class need the same
//! amounts, so a class that waits for a resource blocks no other class.

mod classes;
mod fleet;
mod member;
mod pools;
mod unroutable;

pub(crate) use super::ix::Room;
pub(crate) use classes::{ClassKey, Classes, Excluded};
pub(crate) use fleet::{Bound, Fleet, Holding};
pub(crate) use member::{Gate, Member};
pub(crate) use pools::Pools;
pub(crate) use unroutable::{Group, GroupIx, GroupKey, GroupPast, Groups};

use super::inconsistent::{Applied, InconsistentEvent};
use super::ix::{AgentIx, ClassIx, TaskIx};
use super::timers::Timers;
use crate::base::id::{AgentId, Incarnation, Seq};
use crate::base::name::Name;
use crate::base::structure::Bits;
use crate::base::time::Time;
use crate::routing::SkillMap;
use crate::task::agent::{AgentSpec, AgentStatus};
use crate::task::{Affinity, Lack, Needs};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The index of agents, classes and resources.
#[derive(Debug, Default)]
pub(crate) struct Index {
    fleet: Fleet,
    classes: Classes,
    pools: Pools,
}

/// The classes whose tasks may have become able to begin because a bound of an agent has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reopened {
    None,
    /// The classes that this agent serves.
    Of(AgentIx),
    /// Any class: the set of eligible agents has changed.
    Any,
}

impl Index {
    pub(crate) fn new(skills: SkillMap, shared: BTreeMap<Name, u64>) -> Self {
        Self { fleet: Fleet::default(), classes: Classes::new(skills), pools: Pools::new(shared) }
    }

    pub(crate) const fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Access for changes that do not affect eligibility.
    pub(crate) const fn fleet_mut(&mut self) -> &mut Fleet {
        &mut self.fleet
    }

    pub(crate) const fn classes(&self) -> &Classes {
        &self.classes
    }

    pub(crate) const fn pools(&self) -> &Pools {
        &self.pools
    }

    /// Gives these tenants requirement classes of their own. Returns those that had none.
    pub(crate) fn separate<'a>(&mut self, tenants: impl IntoIterator<Item = &'a Name>) -> Vec<Name> {
        self.classes.separate(tenants)
    }

    /// Adds an incarnation of an agent. The pause of an earlier incarnation carries over.
    pub(crate) fn register(
        &mut self,
        by: Incarnation,
        spec: &Arc<AgentSpec>,
        paused: Option<&Name>,
        now: Time,
    ) -> Applied<AgentIx> {
        let at = self.fleet.register(by, Arc::clone(spec), now)?;
        self.fleet.set_bound(at, Bound::Pause(paused))?;
        self.classes.review(at, &mut self.fleet)?;
        Ok(at)
    }

    pub(crate) fn update(&mut self, at: AgentIx, spec: &Arc<AgentSpec>) -> Applied {
        self.fleet.set_spec(at, Arc::clone(spec))?;
        self.classes.review(at, &mut self.fleet)
    }

    pub(crate) fn drain(&mut self, at: AgentIx) -> Applied {
        self.fleet.set_status(at, AgentStatus::Draining)?;
        self.classes.review(at, &mut self.fleet)
    }

    /// Removes the agent, if it is registered, and returns the tasks whose attempts it held.
    pub(crate) fn remove(&mut self, id: AgentId, timers: &mut Timers) -> Applied<Vec<TaskIx>> {
        let Some((at, member)) = self.fleet.remove(id, timers)? else { return Ok(Vec::new()) };
        self.classes.review(at, &mut self.fleet)?;
        Ok(member.held)
    }

    /// Restores an agent at its index in a snapshot; none if the id or the index is in use.
    pub(crate) fn put(&mut self, index: u32, by: Incarnation, spec: &Arc<AgentSpec>) -> Option<AgentIx> {
        self.fleet.put(index, by, Arc::clone(spec))
    }

    /// Updates the eligibility of an agent in every class.
    pub(crate) fn review(&mut self, at: AgentIx) -> Applied {
        self.classes.review(at, &mut self.fleet)
    }

    /// Changes a bound of an agent.
    pub(crate) fn set_bound(&mut self, at: AgentIx, bound: Bound<'_>) -> Applied<Reopened> {
        let was_up = self.fleet.get(at).is_some_and(Member::is_up);
        self.fleet.set_bound(at, bound)?;
        let member = self.fleet.get(at).ok_or(InconsistentEvent("the agent of a bound is not registered"))?;
        let (is_up, has_room) = (member.is_up(), member.has_room());
        if is_up != was_up && self.fleet.has_backups() {
            self.classes.review(at, &mut self.fleet)?;
            return Ok(Reopened::Any);
        }
        Ok(if has_room { Reopened::Of(at) } else { Reopened::None })
    }

    /// Adds a waiting task to its class. A [`leave`](Self::leave) must follow.
    pub(crate) fn join(&mut self, key: ClassKey, room: Room) -> Applied<ClassIx> {
        self.classes.join(key, room, (&mut self.fleet, &self.pools))
    }

    /// Adds a waiting task with these needs and no other requirements to its class. A [`leave`](Self::leave) must follow.
    pub(crate) fn join_plain(&mut self, needs: &Needs, room: Room) -> Applied<ClassIx> {
        self.classes.join_plain(needs, room, (&mut self.fleet, &self.pools))
    }

    pub(crate) fn leave(&mut self, class: ClassIx, room: Room) -> Applied {
        self.classes.leave(class, room, &mut self.fleet)
    }

    /// Removes a task of the class that is assigned to this agent.
    #[inline]
    pub(crate) fn serve(&mut self, class: ClassIx, room: Room, agent: AgentIx) -> Applied {
        self.classes.serve(class, room, agent, &mut self.fleet)
    }

    /// Sets the time of the events that are applied next.
    pub(crate) const fn set_now(&mut self, now: Time) {
        self.classes.set_now(now);
    }

    /// Applies the report about the tasks without an agent in a class.
    pub(crate) fn report(&mut self, class: ClassIx, room: Room, report: Seq) -> Applied {
        self.classes.report(class, room, report)
    }

    /// Applies the end of a report.
    pub(crate) fn end_report(&mut self, report: Seq) -> Applied {
        self.classes.end_report(report)
    }

    /// Sets the begin and the report of the groups of tasks without an agent that a snapshot contains.
    pub(crate) fn put_unroutable(&mut self, past: Vec<GroupPast>) -> Applied {
        self.classes.put_unroutable(past)
    }

    /// The reason for which no agent performs the tasks of a group.
    pub(crate) fn lack(&self, key: &GroupKey) -> Lack {
        if let Some((name, amount, total)) = self.pools.exceeded(&key.needs) {
            return Lack::Shared { name, amount, total };
        }
        let members = || self.fleet.iter().map(|(_, member)| member);
        if let Some(lack) = self.classes.skills().lack(&key.needs, members().map(|member| &*member.spec)) {
            return lack;
        }
        let meets = |member: &&Member| self.classes.skills().met_by(&key.needs, &member.spec);
        let serves = |member: &&Member| meets(member) && member.spec.serves(key.tenant.as_ref());
        let passes = |member: &&Member| serves(member) && !key.excluded.excludes(&member.spec);
        if !members().any(|member| serves(&member)) {
            Lack::Tenant
        } else if !members().any(|member| passes(&member)) {
            Lack::Excluded
        } else if !members().any(|member| passes(&member) && member.shares(key.room)) {
            Lack::Reserved
        } else {
            Lack::Draining
        }
    }

    /// Acquires the resources of an attempt: the shared ones, and those of the agent unless that is gone.
    pub(crate) fn take(&mut self, needs: &Needs, of: Option<AgentIx>) -> Applied {
        self.pools.take(needs)?;
        of.map_or(Ok(()), |at| self.fleet.take(at, needs))
    }

    /// Releases the resources of an attempt.
    pub(crate) fn give(&mut self, needs: &Needs, of: Option<AgentIx>) -> Applied {
        self.pools.give(needs)?;
        of.map_or(Ok(()), |at| self.fleet.give(at, needs))
    }

    /// Whether the tasks of a class use any resource.
    pub(crate) fn uses_resources(&self, class: ClassIx) -> bool {
        self.classes.use_resources() && self.classes.key(class).is_some_and(|key| key.needs.uses_resources())
    }

    /// Whether the free resources suffice for a task of the class at this agent.
    pub(crate) fn has_resources(&self, class: ClassIx, member: &Member) -> bool {
        if !self.classes.use_resources() {
            return true;
        }
        let needs = self.classes.key(class).map(|key| &key.needs).filter(|needs| needs.uses_resources());
        needs.is_none_or(|needs| self.pools.fits(needs) && member.fits(needs))
    }

    /// The agents with such room whose free resources suffice for a task of the class.
    pub(crate) fn fitting(&self, class: ClassIx, room: Room) -> Bits {
        let mut fitting = Bits::default();
        let (Some(key), Some(eligible)) = (self.classes.key(class), self.classes.eligible(class)) else {
            return fitting;
        };
        if self.pools.fits(&key.needs) {
            let fits = |at: &usize| self.fleet.nth(*at).is_some_and(|member| member.fits(&key.needs));
            let able = eligible.bits().common(self.fleet.with_room(room));
            able.filter(fits).for_each(|at| fitting.set(at));
        }
        fitting
    }

    /// The agents among these which meet the largest sum of weights of the preferences; none if no agent meets any.
    pub(crate) fn favoured(&self, able: impl Iterator<Item = usize>, affinity: &Affinity) -> Option<Bits> {
        let (mut most, mut favoured) = (0, None);
        for at in able {
            let weight = self.fleet.nth(at).map_or(0, |member| affinity.weight_of(&member.spec));
            if weight > most {
                (most, favoured) = (weight, Some(Bits::default()));
            }
            if weight == most
                && let Some(favoured) = &mut favoured
            {
                favoured.set(at);
            }
        }
        favoured
    }

    /// Whether an agent that is eligible for the class has such room and enough free resources.
    pub(crate) fn has_agent(&self, class: ClassIx, room: Room) -> bool {
        if self.uses_resources(class) {
            return !self.fitting(class, room).is_empty();
        }
        self.classes.eligible(class).is_some_and(|all| all.bits().meets(self.fleet.with_room(room)))
    }

    /// Checks the invariants of agents and classes.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.fleet.check()?;
        self.classes.check(&self.fleet)
    }

    /// Compares the resources in use with the needs of these attempts, each with the agent that holds it.
    pub(crate) fn check_resources(&self, attempts: &[(Incarnation, &Needs)]) -> Result<(), String> {
        self.pools.check(attempts.iter().map(|(_, needs)| *needs))?;
        let mut own: BTreeMap<Incarnation, BTreeMap<Name, u64>> = BTreeMap::new();
        for (by, needs) in attempts.iter().filter(|(by, _)| self.fleet.current(*by).is_some()) {
            let used = own.entry(*by).or_default();
            pools::add_all(used, needs.amounts()).map_err(|InconsistentEvent(why)| why.to_owned())?;
        }
        for (_, member) in self.fleet.iter() {
            let used = own.remove(&member.by).unwrap_or_default();
            if used != member.used {
                return Err(format!(
                    "the attempts of agent {} use {used:?}, but {:?} is counted",
                    member.by, member.used
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
