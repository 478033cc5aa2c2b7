//! Requirement classes: each distinct set of requirements once, with the agents that meet it as bits.

use super::fleet::{Fleet, Member};
use crate::agent::AgentStatus;
use crate::id::AgentId;
use crate::structure::{Arena, Bits, IdMap, Slot};
use crate::task::Needs;
use core::hash::{Hash, Hasher};

/// What the tasks of a class have in common: what they need, and which agents they shall avoid because these have failed
/// them. Avoiding is given up when nobody else takes work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClassKey {
    pub(crate) needs: Needs,
    pub(crate) avoid: Box<[AgentId]>,
}

impl Hash for ClassKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.needs.hash_value());
        self.avoid.hash(state);
    }
}

#[derive(Debug, Clone)]
struct Class {
    key: ClassKey,
    eligible: Bits,
    tasks: u32,
}

/// All classes in use, and some that were.
#[derive(Debug, Clone, Default)]
pub(crate) struct Classes {
    classes: Arena<Class>,
    index: IdMap<ClassKey, Slot>,
    idle: Vec<Slot>,
}

/// Classes without tasks that are kept because such tasks may come again.
const IDLE: usize = 256;

impl Classes {
    /// The class of a task that begins to wait. Every join is answered by one [`leave`](Self::leave).
    pub(crate) fn join(&mut self, key: ClassKey, fleet: &mut Fleet) -> Slot {
        if let Some(&slot) = self.index.get(&key) {
            if let Some(class) = self.classes.get_mut(slot) {
                class.tasks = class.tasks.saturating_add(1);
            }
            return slot;
        }
        let slot = self.classes.insert(Class { key: key.clone(), eligible: Bits::default(), tasks: 1 });
        self.index.insert(key, slot);
        self.fill(slot, fleet);
        slot
    }

    pub(crate) fn leave(&mut self, slot: Slot, fleet: &mut Fleet) {
        let Some(class) = self.classes.get_mut(slot) else { return };
        class.tasks = class.tasks.saturating_sub(1);
        if class.tasks == 0 {
            self.idle.push(slot);
            if self.idle.len() > IDLE {
                self.sweep(fleet);
            }
        }
    }

    /// Forgets the classes that have stayed without tasks.
    fn sweep(&mut self, fleet: &mut Fleet) {
        let mut idle = core::mem::take(&mut self.idle);
        idle.sort_unstable();
        idle.dedup();
        for slot in idle {
            if self.classes.get(slot).is_some_and(|class| class.tasks == 0)
                && let Some(class) = self.classes.remove(slot)
            {
                self.index.remove(&class.key);
                let places: Vec<_> = class.eligible.iter().collect();
                for place in places {
                    unmark(fleet, place, slot);
                }
            }
        }
    }

    /// Looks at an agent anew: it is new, has changed, drains, or is gone.
    pub(crate) fn review(&mut self, place: Slot, fleet: &mut Fleet) {
        let slots: Vec<Slot> = self.classes.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let Some(class) = self.classes.get_mut(slot) else { continue };
            if class.key.avoid.is_empty() {
                let meets = fleet.at(place.index()).is_some_and(|member| class.key.needs.met_by(&member.spec));
                class.eligible.put(place.index(), meets);
                fleet.change(place, |member| member.classes.put(slot.index(), meets));
            } else {
                self.fill(slot, fleet);
            }
        }
    }

    fn fill(&mut self, slot: Slot, fleet: &mut Fleet) {
        let Some(class) = self.classes.get_mut(slot) else { return };
        let avoid = &class.key.avoid;
        let meets: Vec<(usize, &Member)> = fleet
            .iter()
            .filter(|(_, member)| class.key.needs.met_by(&member.spec))
            .map(|(place, member)| (place.index(), member))
            .collect();
        let others =
            meets.iter().any(|(_, member)| member.status == AgentStatus::Online && !avoid.contains(&member.spec.id));
        let old = core::mem::take(&mut class.eligible);
        for (place, member) in meets {
            if !others || !avoid.contains(&member.spec.id) {
                class.eligible.set(place);
            }
        }
        let new = class.eligible.clone();
        for place in old.iter().filter(|&place| !new.contains(place)) {
            unmark(fleet, place, slot);
        }
        for place in new.iter() {
            if let Ok(number) = u32::try_from(place) {
                fleet.change(Slot::new(number), |member| member.classes.set(slot.index()));
            }
        }
    }

    pub(crate) fn eligible(&self, slot: Slot) -> Option<&Bits> {
        self.classes.get(slot).map(|class| &class.eligible)
    }

    pub(crate) fn key(&self, slot: Slot) -> Option<&ClassKey> {
        self.classes.get(slot).map(|class| &class.key)
    }

    /// Whether there is a class for this key already.
    pub(crate) fn knows(&self, key: &ClassKey) -> bool {
        self.index.get(key).is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.classes.len()
    }
}

fn unmark(fleet: &mut Fleet, place: usize, class: Slot) {
    if let Ok(number) = u32::try_from(place) {
        fleet.change(Slot::new(number), |member| member.classes.clear(class.index()));
    }
}
