//! Requirement classes: each distinct set of requirements, with the set of agents that meet it.

use super::fleet::Fleet;
use super::member::Member;
use super::pools::Pools;
use super::unroutable::{GroupIx, GroupKey, GroupPast, Groups, Route};
use crate::base::id::{AgentId, Seq};
use crate::base::name::Name;
use crate::base::structure::{Arena, IdMap};
use crate::base::time::Time;
use crate::routing::{Eligible, SkillMap};
use crate::scheduler::inconsistent::{Applied, InconsistentEvent};
use crate::scheduler::ix::{AgentIx, ClassIx, Room};
use crate::task::agent::AgentSpec;
use crate::task::{Affinity, Needs};
use core::hash::{Hash, Hasher};
use std::collections::BTreeSet;

/// The requirements that the tasks of a class share: their needs, their tenant if agents are confined to it, the agents
/// that they exclude, and the agents that they avoid because attempts there have failed. An avoided agent is eligible only
/// if no other agent that meets the needs is online.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClassKey {
    pub(crate) needs: Needs,
    /// The tenant of the tasks, if it has classes of its own. An agent that is confined to tenants meets no class without
    /// one, so it is never assigned a task of another tenant.
    pub(crate) tenant: Option<Name>,
    pub(crate) excluded: Excluded,
    pub(crate) avoid: Box<[AgentId]>,
}

/// The agents that tasks exclude.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Excluded {
    agents: Box<[AgentId]>,
    labels: Box<[(Name, Name)]>,
}

impl Excluded {
    /// The exclusions of a task: those of its affinity, and the agents that executed the tasks from which it must stay
    /// apart.
    pub(crate) fn of(affinity: Option<&Affinity>, executors: impl Iterator<Item = AgentId>) -> Self {
        let Some(affinity) = affinity else { return Self::default() };
        let mut agents: Vec<AgentId> = affinity.not_agents.iter().copied().chain(executors).collect();
        agents.sort_unstable();
        agents.dedup();
        let mut labels = affinity.not_labels.to_vec();
        labels.sort_unstable();
        labels.dedup();
        Self { agents: agents.into_boxed_slice(), labels: labels.into_boxed_slice() }
    }

    /// The exclusions of a snapshot.
    pub(crate) fn put(agents: &[AgentId], labels: &[(Name, Name)]) -> Self {
        Self { agents: agents.into(), labels: labels.into() }
    }

    /// The excluded agents, and the labels of excluded agents.
    pub(crate) const fn parts(&self) -> (&[AgentId], &[(Name, Name)]) {
        (&self.agents, &self.labels)
    }

    pub(crate) fn excludes(&self, agent: &AgentSpec) -> bool {
        self.agents.binary_search(&agent.id).is_ok()
            || self.labels.iter().any(|(label, value)| agent.labels.get(label) == Some(value))
    }
}

impl ClassKey {
    fn is_plain(&self) -> bool {
        self.tenant.is_none() && self.avoid.is_empty() && self.excluded == Excluded::default()
    }
}

impl Hash for ClassKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.needs.hash_value());
        self.tenant.hash(state);
        self.excluded.hash(state);
        self.avoid.hash(state);
    }
}

/// Which of the agents that meet the requirements of a class are eligible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chosen {
    /// Agents that are neither avoided nor backups.
    Primaries,
    /// Agents that are not avoided.
    NotAvoided,
    All,
}

impl Chosen {
    fn takes(self, member: &Member, avoid: &[AgentId]) -> bool {
        match self {
            Self::Primaries => !member.spec.backup && !avoid.contains(&member.spec.id),
            Self::NotAvoided => !avoid.contains(&member.spec.id),
            Self::All => true,
        }
    }
}

/// Backups are eligible if no other agent is available, and avoided agents if no agent that is not avoided is. An agent
/// that reserves all its capacity for the critical tier does not count as available.
fn chosen<'a>(able: impl Iterator<Item = &'a Member>, avoid: &[AgentId]) -> Chosen {
    let mut best = Chosen::All;
    let shares = |member: &&Member| member.spec.slots() > member.spec.reserved;
    for member in able.filter(shares).filter(|member| !avoid.contains(&member.spec.id)) {
        if !member.spec.backup && member.is_up() {
            return Chosen::Primaries;
        }
        if member.is_online() {
            best = Chosen::NotAvoided;
        }
    }
    best
}

#[derive(Debug, Clone)]
struct Class {
    key: ClassKey,
    eligible: Eligible,
    tasks: u32,
    /// How many of them are of the critical tier.
    urgent: u32,
    /// Whether tasks of the critical tier, or others, have no agent.
    unroutable: bool,
    /// Whether its tasks have agents: those of the critical tier, and others.
    routes: [Route; 2],
    /// The groups of its tasks without an agent: those of the critical tier, and others.
    groups: [Option<GroupIx>; 2],
    /// Whether its tasks need more of a shared resource than there is.
    exceeds: bool,
    /// Whether the eligibility of an agent depends on other agents, because some are avoided or are backups.
    depends: bool,
    /// Whether it is in the list of idle classes. It may stay there when it gets tasks again.
    listed: bool,
    /// Whether its key has needs only.
    plain: bool,
}

/// The halves of a class: the tasks of the critical tier, which may use all room, and all others.
const HALVES: [Room; 2] = [Room::Reserved, Room::Open];

impl Class {
    fn new(key: ClassKey, exceeds: bool) -> Self {
        let plain = key.is_plain();
        Self {
            key,
            eligible: Eligible::default(),
            tasks: 0,
            urgent: 0,
            unroutable: false,
            routes: [Route::Open; 2],
            groups: [None; 2],
            exceeds,
            depends: false,
            listed: false,
            plain,
        }
    }

    /// Counts a task that joins.
    #[inline]
    fn join(&mut self, room: Room) -> Applied {
        self.tasks = self.tasks.checked_add(1).ok_or(TOO_MANY)?;
        self.urgent += u32::from(room == Room::Reserved);
        Ok(())
    }

    /// The number of its tasks that may use this room and no other.
    const fn waiting(&self, room: Room) -> u32 {
        match room {
            Room::Reserved => self.urgent,
            Room::Open => self.tasks.saturating_sub(self.urgent),
        }
    }

    /// Whether agents can perform its tasks that may use this room.
    fn route(&self, fleet: &Fleet, room: Room) -> Route {
        if self.exceeds {
            return Route::Never;
        }
        if self.eligible.bits().meets(fleet.online(room)) {
            return Route::Open;
        }
        let shares = |agent: &AgentIx| fleet.get(*agent).is_some_and(|member| member.shares(room));
        let is_registered = fleet.len() == 0 || self.eligible.agents().iter().any(shares);
        if is_registered { Route::Closed } else { Route::Never }
    }

    /// Counts a task that leaves. Returns whether the class is to be listed as idle.
    #[inline]
    fn leave(&mut self, room: Room) -> Applied<bool> {
        let left = self.tasks.checked_sub(1);
        self.tasks = left.ok_or(NO_TASKS)?;
        self.urgent = self.urgent.checked_sub(u32::from(room == Room::Reserved)).ok_or(NO_TASKS)?;
        let lists = self.tasks == 0 && !self.listed;
        self.listed |= lists;
        Ok(lists)
    }
}

/// All classes with tasks, and some without.
#[derive(Debug, Clone, Default)]
pub(crate) struct Classes {
    classes: Arena<Class>,
    index: IdMap<ClassKey, ClassIx>,
    idle: Vec<ClassIx>,
    skills: SkillMap,
    epoch: u64,
    /// The tenants that have classes of their own, because an agent is or was confined to them.
    separate: BTreeSet<Name>,
    /// Classes whose keys have needs only, by a part of the hash of the needs: most joins find their class here.
    recent: Vec<Option<ClassIx>>,
    /// The number of classes whose tasks use resources.
    using: usize,
    /// The waiting tasks without an agent.
    unroutable: Groups,
}

/// The number of classes that a join finds without the index.
const RECENT: usize = 256;

fn recent_index(needs: &Needs) -> usize {
    usize::try_from(needs.hash_value() % RECENT as u64).unwrap_or(0)
}

/// The number of classes without tasks that are kept for further tasks.
const IDLE: usize = 256;

impl Classes {
    pub(crate) fn new(skills: SkillMap) -> Self {
        Self { skills, ..Self::default() }
    }

    /// Gives these tenants classes of their own for the tasks that join from now on. Returns those that had none.
    pub(super) fn separate<'a>(&mut self, tenants: impl IntoIterator<Item = &'a Name>) -> Vec<Name> {
        tenants.into_iter().filter(|tenant| self.separate.insert((*tenant).clone())).cloned().collect()
    }

    /// The tenants that have classes of their own.
    pub(crate) const fn separated(&self) -> &BTreeSet<Name> {
        &self.separate
    }

    /// The tenant of the class of a task of this tenant.
    pub(crate) fn tenant_of_class(&self, tenant: Option<&Name>) -> Option<Name> {
        if self.separate.is_empty() {
            return None;
        }
        tenant.filter(|tenant| self.separate.contains(*tenant)).cloned()
    }

    /// Like [`join`](Self::join), for tasks that have needs and no other requirements.
    #[inline]
    pub(super) fn join_plain(
        &mut self,
        needs: &Needs,
        room: Room,
        (fleet, pools): (&mut Fleet, &Pools),
    ) -> Applied<ClassIx> {
        let recent = self.recent.get(recent_index(needs)).copied().flatten();
        if let Some(at) = recent
            && let Some(class) = self.classes.get_mut(at.0)
            && class.plain
            && class.key.needs == *needs
        {
            class.join(room)?;
            return if class.unroutable { self.regroup(at, room).map(|()| at) } else { Ok(at) };
        }
        let (needs, excluded) = (needs.clone(), Excluded::default());
        let place = recent_index(&needs);
        let key = ClassKey { needs, tenant: None, excluded, avoid: Box::default() };
        let at = self.join(key, room, (fleet, pools))?;
        self.recent.resize(RECENT, None);
        if let Some(recent) = self.recent.get_mut(place) {
            *recent = Some(at);
        }
        Ok(at)
    }

    /// Adds a waiting task to its class, which is created if it is new. A [`leave`](Self::leave) must follow.
    pub(super) fn join(&mut self, key: ClassKey, room: Room, (fleet, pools): (&mut Fleet, &Pools)) -> Applied<ClassIx> {
        let at = match self.index.get(&key) {
            Some(&at) => at,
            None => self.create(key, (fleet, pools))?,
        };
        let class = self.classes.get_mut(at.0).ok_or(NO_CLASS)?;
        class.join(room)?;
        if class.unroutable {
            self.regroup(at, room)?;
        }
        Ok(at)
    }

    fn create(&mut self, key: ClassKey, (fleet, pools): (&mut Fleet, &Pools)) -> Applied<ClassIx> {
        let exceeds = pools.exceeded(&key.needs).is_some();
        let at = ClassIx(self.classes.insert(Class::new(key.clone(), exceeds)));
        self.using += usize::from(key.needs.uses_resources());
        self.index.insert(key, at);
        self.fill(at, fleet)?;
        Ok(at)
    }

    pub(super) fn leave(&mut self, at: ClassIx, room: Room, fleet: &mut Fleet) -> Applied {
        let class = self.classes.get_mut(at.0).ok_or(NO_CLASS)?;
        let (is_idle, unroutable) = (class.leave(room)?, class.unroutable);
        self.left((at, room), (is_idle, unroutable), fleet)
    }

    /// A task leaves its class for an agent. Strategies that rotate continue after this agent.
    #[inline]
    pub(super) fn serve(&mut self, at: ClassIx, room: Room, agent: AgentIx, fleet: &mut Fleet) -> Applied {
        let class = self.classes.get_mut(at.0).ok_or(NO_CLASS)?;
        class.eligible.set_turn(agent);
        let (is_idle, unroutable) = (class.leave(room)?, class.unroutable);
        self.left((at, room), (is_idle, unroutable), fleet)
    }

    #[inline]
    fn left(&mut self, (at, room): (ClassIx, Room), (is_idle, unroutable): (bool, bool), fleet: &mut Fleet) -> Applied {
        if unroutable {
            self.regroup(at, room)?;
        }
        if is_idle { self.list_idle(at, fleet) } else { Ok(()) }
    }

    /// Evaluates whether agents can perform the tasks of a class.
    fn reroute(&mut self, at: ClassIx, fleet: &Fleet) -> Applied {
        let class = self.classes.get_mut(at.0).ok_or(NO_CLASS)?;
        let routes = HALVES.map(|room| class.route(fleet, room));
        let was_unroutable = core::mem::replace(&mut class.unroutable, routes != [Route::Open; 2]);
        class.routes = routes;
        if was_unroutable || class.unroutable {
            HALVES.into_iter().try_for_each(|room| self.regroup(at, room))?;
        }
        Ok(())
    }

    /// Updates the group of the tasks of a class that may use this room.
    #[cold]
    fn regroup(&mut self, at: ClassIx, room: Room) -> Applied {
        let class = self.classes.get_mut(at.0).ok_or(NO_CLASS)?;
        let waiting = class.waiting(room);
        let [urgent, rest] = &mut class.groups;
        let [urgent_route, rest_route] = class.routes;
        let (group, route) = match room {
            Room::Reserved => (urgent, urgent_route),
            Room::Open => (rest, rest_route),
        };
        let waiting = if route == Route::Open { 0 } else { waiting };
        match *group {
            Some(known) => {
                if waiting == 0 {
                    *group = None;
                }
                self.unroutable.set(known, at, waiting, route == Route::Never)
            }
            None if waiting > 0 => {
                let key = GroupKey::of(&class.key, room);
                *group = Some(self.unroutable.enter(key, at, waiting, route == Route::Never)?);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Looks the groups of these classes up again.
    fn repoint(&mut self, moved: Vec<(ClassIx, Room)>) -> Applied {
        for (at, room) in moved {
            let class = self.classes.get_mut(at.0).ok_or(NO_CLASS)?;
            let found = self.unroutable.find(&GroupKey::of(&class.key, room));
            let [urgent, rest] = &mut class.groups;
            *(if room == Room::Reserved { urgent } else { rest }) = found;
        }
        Ok(())
    }

    /// Applies the report about the tasks without an agent in this class.
    pub(super) fn report(&mut self, at: ClassIx, room: Room, report: Seq) -> Applied {
        let key = GroupKey::of(&self.classes.get(at.0).ok_or(NO_CLASS)?.key, room);
        self.unroutable.report(key, report)
    }

    /// Applies the end of a report.
    pub(super) fn end_report(&mut self, report: Seq) -> Applied {
        let moved = self.unroutable.end_report(report)?;
        self.repoint(moved)
    }

    /// Sets the groups of a snapshot.
    pub(super) fn put_unroutable(&mut self, past: Vec<GroupPast>) -> Applied {
        let moved = self.unroutable.put(past)?;
        self.repoint(moved)
    }

    /// Sets the time of the events that are applied next.
    pub(super) const fn set_now(&mut self, now: Time) {
        self.unroutable.set_now(now);
    }

    /// The waiting tasks without an agent.
    pub(crate) const fn unroutable(&self) -> &Groups {
        &self.unroutable
    }

    /// Adds a class to the list of those without tasks.
    fn list_idle(&mut self, at: ClassIx, fleet: &mut Fleet) -> Applied {
        self.idle.push(at);
        if self.idle.len() > IDLE { self.sweep(fleet) } else { Ok(()) }
    }

    /// Drops the classes that are still without tasks.
    fn sweep(&mut self, fleet: &mut Fleet) -> Applied {
        for at in core::mem::take(&mut self.idle) {
            let class = self.classes.get_mut(at.0).ok_or(NO_CLASS)?;
            class.listed = false;
            if class.tasks == 0
                && let Some(class) = self.classes.remove(at.0)
            {
                self.index.remove(&class.key);
                self.using -= usize::from(class.key.needs.uses_resources());
                class.eligible.agents().iter().for_each(|agent| fleet.mark(*agent, at, false));
            }
        }
        Ok(())
    }

    /// Updates the eligibility of an agent that is new, was updated, drains, or is gone.
    pub(super) fn review(&mut self, agent: AgentIx, fleet: &mut Fleet) -> Applied {
        let classes: Vec<ClassIx> = self.iter().map(|(at, _)| at).collect();
        let latest = self.unroutable.latest();
        for at in classes {
            let class = self.classes.get_mut(at.0).ok_or(NO_CLASS)?;
            if class.key.avoid.is_empty() && !fleet.has_backups() && !class.depends {
                let meets = fleet.get(agent).is_some_and(|member| meets(&self.skills, &class.key, &member.spec));
                if meets || class.eligible.contains(agent) {
                    class.eligible.put(agent, meets);
                    self.epoch = self.epoch.wrapping_add(1);
                    class.eligible.set_epoch(self.epoch);
                }
                fleet.mark(agent, at, meets);
                self.reroute(at, fleet)?;
            } else {
                self.fill(at, fleet)?;
            }
        }
        let moved = self.unroutable.put_in_order(latest)?;
        self.repoint(moved)
    }

    fn fill(&mut self, at: ClassIx, fleet: &mut Fleet) -> Applied {
        let class = self.classes.get_mut(at.0).ok_or(NO_CLASS)?;
        let able: Vec<(AgentIx, &Member)> =
            fleet.iter().filter(|(_, member)| meets(&self.skills, &class.key, &member.spec)).collect();
        let avoid = &class.key.avoid;
        let chosen = chosen(able.iter().map(|(_, member)| *member), avoid);
        class.depends = !avoid.is_empty() || able.iter().any(|(_, member)| member.spec.backup);
        let chosen = able.into_iter().filter(|(_, member)| chosen.takes(member, avoid));
        let new: Eligible = chosen.map(|(agent, _)| agent).collect();
        let old = core::mem::replace(&mut class.eligible, new);
        if let Some(turn) = old.turn() {
            class.eligible.set_turn(turn);
        }
        self.epoch = self.epoch.wrapping_add(1);
        class.eligible.set_epoch(self.epoch);
        for agent in old.agents().iter().filter(|agent| !class.eligible.contains(**agent)) {
            fleet.mark(*agent, at, false);
        }
        for agent in class.eligible.agents() {
            fleet.mark(*agent, at, true);
        }
        self.reroute(at, fleet)
    }

    /// A predicate for whether an agent of these is eligible for a class with this key.
    pub(crate) fn chooses<'a>(
        &'a self,
        key: &'a ClassKey,
        fleet: impl Iterator<Item = &'a Member>,
    ) -> impl Fn(&Member) -> bool + 'a {
        let chosen = chosen(fleet.filter(|member| meets(&self.skills, key, &member.spec)), &key.avoid);
        move |member| meets(&self.skills, key, &member.spec) && chosen.takes(member, &key.avoid)
    }

    pub(crate) fn eligible(&self, at: ClassIx) -> Option<&Eligible> {
        self.classes.get(at.0).map(|class| &class.eligible)
    }

    pub(crate) fn key(&self, at: ClassIx) -> Option<&ClassKey> {
        self.classes.get(at.0).map(|class| &class.key)
    }

    /// The number of waiting tasks of a class that may use this room.
    #[cfg(feature = "cluster")]
    pub(crate) fn waiting(&self, at: ClassIx, room: Room) -> u32 {
        self.classes.get(at.0).map_or(0, |class| class.waiting(room))
    }

    /// Which skills imply which others.
    pub(crate) const fn skills(&self) -> &SkillMap {
        &self.skills
    }

    /// The class for this key, if there is one.
    pub(crate) fn find(&self, key: &ClassKey) -> Option<ClassIx> {
        self.index.get(key).copied()
    }

    /// Whether the tasks of any class use resources.
    pub(crate) const fn use_resources(&self) -> bool {
        self.using > 0
    }

    pub(crate) fn len(&self) -> usize {
        self.classes.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ClassIx, &ClassKey)> {
        self.classes.iter().map(|(slot, class)| (ClassIx(slot), &class.key))
    }

    /// Compares the set and the list of each class and the sets of the agents with those computed from the
    /// requirements.
    pub(super) fn check(&self, fleet: &Fleet) -> Result<(), String> {
        for (_, member) in fleet.iter() {
            let mut tenants = member.spec.tenants.iter().flatten();
            if let Some(tenant) = tenants.find(|tenant| !self.separate.contains(*tenant)) {
                return Err(format!("agent {} is confined to tenant {tenant}, which has no classes", member.by));
            }
        }
        let using = self.classes.iter().filter(|(_, class)| class.key.needs.uses_resources()).count();
        if using != self.using {
            return Err(format!("the tasks of {using} classes use resources, but {} are counted", self.using));
        }
        for (slot, class) in self.classes.iter() {
            let at = ClassIx(slot);
            if self.find(&class.key) != Some(at) {
                return Err(format!("the key of class {} is indexed for another class", at.index()));
            }
            if !class.eligible.is_sound() {
                return Err(format!("the list and the set of class {} differ", at.index()));
            }
            let chooses = self.chooses(&class.key, fleet.iter().map(|(_, member)| member));
            for (agent, member) in fleet.iter() {
                let should = chooses(member);
                let marked = member.classes.contains(at.index());
                if class.eligible.contains(agent) != should || marked != should {
                    return Err(format!("the eligibility in class {} of agent {} is wrong", at.index(), member.by));
                }
            }
        }
        self.check_unroutable(fleet)
    }

    fn check_unroutable(&self, fleet: &Fleet) -> Result<(), String> {
        let mut halves = Vec::new();
        for (slot, class) in self.classes.iter() {
            let known = HALVES.into_iter().zip(class.routes).zip(class.groups);
            for ((room, known), group) in known {
                let route = class.route(fleet, room);
                if route != known || (route != Route::Open && !class.unroutable) {
                    return Err(format!("the route of class {} is {route:?} and not {known:?}", slot.index()));
                }
                let waiting = if route == Route::Open { 0 } else { class.waiting(room) };
                halves.push((ClassIx(slot), GroupKey::of(&class.key, room), waiting, route == Route::Never, group));
            }
        }
        self.unroutable.check(halves.into_iter())
    }
}

const NO_TASKS: InconsistentEvent = InconsistentEvent("a task leaves a requirement class without tasks");
const TOO_MANY: InconsistentEvent = InconsistentEvent("a requirement class has more tasks than can be counted");
const NO_CLASS: InconsistentEvent = InconsistentEvent("there is no requirement class at this index");

fn meets(skills: &SkillMap, key: &ClassKey, agent: &AgentSpec) -> bool {
    skills.met_by(&key.needs, agent) && agent.serves(key.tenant.as_ref()) && !key.excluded.excludes(agent)
}
