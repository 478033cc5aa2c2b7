//! Resources that attempts take a part of: those that all agents share, and each agent's own.
//!
//! All of what a task asks for is taken when an attempt begins, or nothing is, so that no two can wait for each other; it
//! is given back when the attempt ends, however it ends. All tasks of a requirement class ask for the same, so a class that
//! must wait for a resource blocks nobody else.

use crate::name::Name;
use crate::routing::{Classes, Member};
use crate::scheduler::apply::state::{State, Task};
use crate::scheduler::queue::Sight;
use crate::structure::{Bits, Slot};
use crate::task::{Needs, TaskSpec};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The resources that all agents share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pools {
    total: BTreeMap<Name, u64>,
    used: BTreeMap<Name, u64>,
}

impl Pools {
    pub(crate) fn new(total: BTreeMap<Name, u64>) -> Self {
        Self { total, used: BTreeMap::new() }
    }

    fn total(&self, name: &Name) -> u64 {
        self.total.get(name).copied().unwrap_or(0)
    }

    fn used(&self, name: &Name) -> u64 {
        self.used.get(name).copied().unwrap_or(0)
    }

    /// Each with how much of it is used, and how much there is.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Name, u64, u64)> {
        self.total.iter().map(|(name, total)| (name, self.used(name), *total))
    }

    fn fits(&self, needs: &Needs) -> bool {
        needs.shared().all(|(name, amount)| self.total(name).saturating_sub(self.used(name)) >= amount)
    }

    /// What is asked for and would not fit if nobody used any, with how much there is.
    pub(crate) fn never_fits(&self, spec: &TaskSpec) -> Option<(Name, u64, u64)> {
        let asked = spec.needs.shared().map(|(name, amount)| (name, amount, self.total(name)));
        asked
            .filter(|(_, amount, total)| amount > total)
            .map(|(name, amount, total)| (name.clone(), amount, total))
            .next()
    }
}

fn add(used: &mut BTreeMap<Name, u64>, name: &Name, amount: u64) {
    let here = used.entry(name.clone()).or_default();
    *here = here.saturating_add(amount);
}

fn take(used: &mut BTreeMap<Name, u64>, name: &Name, amount: u64) {
    if let Some(here) = used.get_mut(name) {
        *here = here.saturating_sub(amount);
        if *here == 0 {
            used.remove(name);
        }
    }
}

impl State {
    /// An attempt takes what its task asks for.
    pub(crate) fn take_amounts(&mut self, slot: Slot, place: Slot) {
        let Some(spec) = self.heavy(slot) else { return };
        spec.needs.shared().for_each(|(name, amount)| add(&mut self.pools.used, name, amount));
        self.fleet.change(place, |member| {
            spec.needs.amounts().for_each(|(name, amount)| add(&mut member.used, name, amount));
        });
    }

    /// It gives it back. Others may have waited for that.
    pub(crate) fn give_amounts(&mut self, slot: Slot) {
        let Some(spec) = self.heavy(slot) else { return };
        spec.needs.shared().for_each(|(name, amount)| take(&mut self.pools.used, name, amount));
        let holder = self.tasks.get(slot).and_then(Task::running).map(|running| (running.agent, running.by));
        if let Some((place, by)) = holder
            && self.fleet.living(by) == Some(place)
        {
            self.fleet.change(place, |member| {
                spec.needs.amounts().for_each(|(name, amount)| take(&mut member.used, name, amount));
            });
        }
        if spec.needs.shared().next().is_some() {
            let classes = self.lanes.ready().iter().flat_map(Bits::iter);
            let heavy =
                classes.filter_map(|class| u32::try_from(class).ok()).filter(|class| self.is_heavy(Slot::new(*class)));
            let heavy: Vec<u32> = heavy.collect();
            self.opened.extend(heavy);
        }
    }

    /// What the task asks for, if that is any resource.
    fn heavy(&self, slot: Slot) -> Option<Arc<TaskSpec>> {
        self.tasks.get(slot).filter(|task| task.heavy).map(|task| Arc::clone(&task.spec))
    }

    pub(crate) fn is_heavy(&self, class: Slot) -> bool {
        self.classes.key(class).is_some_and(|key| key.needs.is_heavy())
    }

    /// Whether what is left is enough for a task of the class at this agent.
    pub(crate) fn has_amounts(&self, class: Slot, place: Slot) -> bool {
        self.fleet.at(place.index()).is_some_and(|member| is_enough(&self.classes, &self.pools, class, member))
    }

    /// The agents with room that have enough left for a task of the class.
    pub(crate) fn fitting(&self, class: Slot, sight: Sight) -> Bits {
        let mut fitting = Bits::default();
        let (Some(key), Some(eligible)) = (self.classes.key(class), self.classes.eligible(class)) else {
            return fitting;
        };
        if self.pools.fits(&key.needs) {
            let room = if sight == Sight::All { self.fleet.open() } else { self.fleet.free() };
            let fits = |place: &usize| self.fleet.at(*place).is_some_and(|member| member.fits(&key.needs));
            eligible.bits().common(room).filter(fits).for_each(|place| fitting.set(place));
        }
        fitting
    }

    /// Whether what is in use is what the attempts under way take, and no more than there is.
    pub(crate) fn amounts_agree(&self) -> Result<(), String> {
        let (mut shared, mut own) = (BTreeMap::new(), BTreeMap::new());
        for (_, task) in self.tasks.iter() {
            let Some(running) = task.running() else { continue };
            task.spec.needs.shared().for_each(|(name, amount)| add(&mut shared, name, amount));
            if self.fleet.living(running.by).is_some() {
                let used: &mut BTreeMap<Name, u64> = own.entry(running.by).or_default();
                task.spec.needs.amounts().for_each(|(name, amount)| add(used, name, amount));
            }
        }
        if shared != self.pools.used {
            return Err(format!("{shared:?} is used of what is shared, not {:?}", self.pools.used));
        }
        for (_, member) in self.fleet.iter() {
            if own.get(&member.by).map_or(!member.used.is_empty(), |used| *used != member.used) {
                return Err(format!("{} does not use {:?}", member.by, member.used));
            }
        }
        Ok(())
    }
}

/// Whether what is left is enough for a task of the class at this agent.
pub(crate) fn is_enough(classes: &Classes, pools: &Pools, class: Slot, member: &Member) -> bool {
    let needs = classes.key(class).map(|key| &key.needs).filter(|needs| needs.is_heavy());
    needs.is_none_or(|needs| pools.fits(needs) && member.fits(needs))
}
