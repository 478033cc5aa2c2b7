//! Requirement classes: each distinct set of requirements once, with the agents that meet it as bits.

use super::eligible::Eligible;
use super::fleet::{Fleet, Member};
use super::skills::SkillMap;
use crate::agent::{AgentSpec, AgentStatus};
use crate::id::AgentId;
use crate::name::Name;
use crate::structure::{Arena, IdMap, Slot};
use crate::task::{Affinity, Needs};
use core::hash::{Hash, Hasher};

/// What the tasks of a class have in common: what they need, whom they must not meet, and which agents they shall avoid
/// because these have failed them. Avoiding is given up when nobody else takes work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClassKey {
    pub(crate) needs: Needs,
    pub(crate) barred: Barred,
    pub(crate) avoid: Box<[AgentId]>,
}

/// Whom tasks must not meet.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Barred {
    agents: Box<[AgentId]>,
    labels: Box<[(Name, Name)]>,
}

impl Barred {
    /// Those that a task's affinity names, and those that its tasks to stay apart from were given to.
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

    fn bars(&self, agent: &AgentSpec) -> bool {
        self.agents.binary_search(&agent.id).is_ok()
            || self.labels.iter().any(|(label, value)| agent.labels.get(label) == Some(value))
    }
}

impl Hash for ClassKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.needs.hash_value());
        self.barred.hash(state);
        self.avoid.hash(state);
    }
}

/// Who of those that could is given the tasks of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chosen {
    /// Those that are not avoided, and no backup.
    Primaries,
    /// Those that are not avoided.
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

/// Backups are for when no other takes work; who failed a task is asked again only if nobody else takes work. Who keeps all
/// room for the first tier takes work of no other, so nobody is to wait for them.
fn chosen<'a>(able: impl Iterator<Item = &'a Member>, avoid: &[AgentId]) -> Chosen {
    let mut best = Chosen::All;
    let shares = |member: &&Member| member.spec.slots() > member.spec.reserved;
    for member in able.filter(shares).filter(|member| !avoid.contains(&member.spec.id)) {
        if !member.spec.backup && member.is_up() {
            return Chosen::Primaries;
        }
        if member.status == AgentStatus::Online {
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
    /// Whether who is eligible depends on others: some are avoided, or stand in for others.
    picky: bool,
    /// Whether it stands in the list of idle classes, where it may stay when tasks come again.
    listed: bool,
}

/// All classes in use, and some that were.
#[derive(Debug, Clone, Default)]
pub(crate) struct Classes {
    classes: Arena<Class>,
    index: IdMap<ClassKey, Slot>,
    idle: Vec<Slot>,
    skills: SkillMap,
    epoch: u64,
}

/// Classes without tasks that are kept because such tasks may come again.
const IDLE: usize = 256;

impl Classes {
    pub(crate) fn new(skills: SkillMap) -> Self {
        Self { skills, ..Self::default() }
    }

    /// The class of a task that begins to wait. Every join is answered by one [`leave`](Self::leave).
    pub(crate) fn join(&mut self, key: ClassKey, fleet: &mut Fleet) -> Slot {
        if let Some(&slot) = self.index.get(&key) {
            if let Some(class) = self.classes.get_mut(slot) {
                class.tasks = class.tasks.saturating_add(1);
            }
            return slot;
        }
        let slot = self.classes.insert(Class {
            key: key.clone(),
            eligible: Eligible::default(),
            picky: false,
            tasks: 1,
            listed: false,
        });
        self.index.insert(key, slot);
        self.fill(slot, fleet);
        slot
    }

    pub(crate) fn leave(&mut self, slot: Slot, fleet: &mut Fleet) {
        let Some(class) = self.classes.get_mut(slot) else { return };
        class.tasks = class.tasks.saturating_sub(1);
        if class.tasks == 0 && !class.listed {
            class.listed = true;
            self.idle.push(slot);
            if self.idle.len() > IDLE {
                self.sweep(fleet);
            }
        }
    }

    /// Notes which agent was given a task of the class.
    pub(crate) fn turned(&mut self, slot: Slot, place: Slot) {
        if let Some(class) = self.classes.get_mut(slot) {
            class.eligible.set_turn(place.get());
        }
    }

    /// Forgets the classes that have stayed without tasks.
    fn sweep(&mut self, fleet: &mut Fleet) {
        for slot in core::mem::take(&mut self.idle) {
            let Some(class) = self.classes.get_mut(slot) else { continue };
            class.listed = false;
            if class.tasks == 0
                && let Some(class) = self.classes.remove(slot)
            {
                self.index.remove(&class.key);
                for place in class.eligible.places() {
                    mark(fleet, *place, slot, false);
                }
            }
        }
    }

    /// Looks at an agent anew: it is new, has changed, drains, or is gone.
    pub(crate) fn review(&mut self, place: Slot, fleet: &mut Fleet) {
        let slots: Vec<Slot> = self.classes.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let Some(class) = self.classes.get_mut(slot) else { continue };
            if class.key.avoid.is_empty() && !fleet.has_backups() && !class.picky {
                let member = fleet.at(place.index());
                let meets = member.is_some_and(|member| meets(&self.skills, &class.key, &member.spec));
                if meets || class.eligible.contains(place.index()) {
                    class.eligible.put(place.get(), meets);
                    self.epoch = self.epoch.wrapping_add(1);
                    class.eligible.set_epoch(self.epoch);
                }
                mark(fleet, place.get(), slot, meets);
            } else {
                self.fill(slot, fleet);
            }
        }
    }

    fn fill(&mut self, slot: Slot, fleet: &mut Fleet) {
        let Some(class) = self.classes.get_mut(slot) else { return };
        let able: Vec<(u32, &Member)> = fleet
            .iter()
            .filter(|(_, member)| meets(&self.skills, &class.key, &member.spec))
            .map(|(place, member)| (place.get(), member))
            .collect();
        let avoid = &class.key.avoid;
        let chosen = chosen(able.iter().map(|(_, member)| *member), avoid);
        class.picky = !avoid.is_empty() || able.iter().any(|(_, member)| member.spec.backup);
        let chosen = able.into_iter().filter(|(_, member)| chosen.takes(member, avoid));
        let new: Eligible = chosen.map(|(place, _)| place).collect();
        let old = core::mem::replace(&mut class.eligible, new);
        if let Some(turn) = old.turn() {
            class.eligible.set_turn(turn);
        }
        self.epoch = self.epoch.wrapping_add(1);
        class.eligible.set_epoch(self.epoch);
        for place in old.places().iter().filter(|place| !class.eligible.contains(**place as usize)) {
            mark(fleet, *place, slot, false);
        }
        for place in class.eligible.places() {
            mark(fleet, *place, slot, true);
        }
    }

    /// Whether an agent of these is for the tasks of a class.
    pub(crate) fn chooses<'a>(
        &'a self,
        key: &'a ClassKey,
        fleet: impl Iterator<Item = &'a Member>,
    ) -> impl Fn(&Member) -> bool + 'a {
        let chosen = chosen(fleet.filter(|member| meets(&self.skills, key, &member.spec)), &key.avoid);
        move |member| meets(&self.skills, key, &member.spec) && chosen.takes(member, &key.avoid)
    }

    pub(crate) fn eligible(&self, slot: Slot) -> Option<&Eligible> {
        self.classes.get(slot).map(|class| &class.eligible)
    }

    pub(crate) fn key(&self, slot: Slot) -> Option<&ClassKey> {
        self.classes.get(slot).map(|class| &class.key)
    }

    /// Which skills stand for which others.
    pub(crate) const fn skills(&self) -> &SkillMap {
        &self.skills
    }

    /// The class for this key, if there is one.
    pub(crate) fn find(&self, key: &ClassKey) -> Option<Slot> {
        self.index.get(key).copied()
    }

    /// Whether there is a class for this key already.
    pub(crate) fn knows(&self, key: &ClassKey) -> bool {
        self.index.get(key).is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.classes.len()
    }
}

fn meets(skills: &SkillMap, key: &ClassKey, agent: &AgentSpec) -> bool {
    skills.met_by(&key.needs, agent) && !key.barred.bars(agent)
}

fn mark(fleet: &mut Fleet, place: u32, class: Slot, on: bool) {
    fleet.change(Slot::new(place), |member| member.classes.put(class.index(), on));
}
