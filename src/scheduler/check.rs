//! The rules that hold between the parts of the state, one function to a rule. They look at everything.

use super::apply::state::{Stage, Task};
use super::decide::preemption::Callable;
use super::machine::Core;
use crate::agent::AgentStatus;
use crate::scheduler::queue::Sight;
use crate::structure::Slot;
use std::collections::{BTreeMap, BTreeSet};

type Checked = Result<(), String>;

impl Core {
    /// Whether every rule holds.
    pub(crate) fn check(&self) -> Checked {
        self.ids_find_tasks()?;
        self.counts_agree()?;
        self.holders_agree()?;
        self.capacity_is_kept()?;
        self.lines_agree()?;
        self.classes_agree()?;
        self.parties_agree()?;
        self.callable_agree()?;
        self.state.amounts_agree()?;
        self.finished_is_listed()
    }

    /// After a call, beyond [`check`](Self::check): nothing is owed, and nobody waits who could be served.
    pub(crate) fn check_settled(&self) -> Checked {
        if let Some((owed, task)) = self.state.owed.first() {
            return Err(format!("{owed:?} is owed for {task}"));
        }
        if !self.state.opened.is_empty() {
            return Err("a gate has opened and nobody looked".into());
        }
        let [urgent, rest] = self.state.lanes.ready();
        let halves = [(urgent, self.state.fleet.free(), Sight::Urgent), (rest, self.state.fleet.open(), Sight::All)];
        for (ready, room, sight) in halves {
            for class in ready.iter().filter(|class| !self.held_back.contains(*class)) {
                let slot = slot_of(class)?;
                let meets = |room| self.state.classes.eligible(slot).is_some_and(|all| all.bits().meets(room));
                let heavy = self.state.is_heavy(slot);
                if if heavy { !self.state.fitting(slot, sight).is_empty() } else { meets(room) } {
                    return Err(format!("tasks wait in class {class} although an agent has room"));
                }
            }
        }
        Ok(())
    }

    fn ids_find_tasks(&self) -> Checked {
        if self.state.by_id.len() != self.state.tasks.len() {
            return Err(format!("{} ids for {} tasks", self.state.by_id.len(), self.state.tasks.len()));
        }
        for (slot, task) in self.state.tasks.iter() {
            if self.state.slot(task.spec.id) != Some(slot) {
                return Err(format!("the id of {} leads elsewhere", task.spec.id));
            }
        }
        Ok(())
    }

    fn counts_agree(&self) -> Checked {
        let active = self.state.tasks.iter().filter(|(_, task)| !task.has_ended()).count();
        if active != self.state.active as usize {
            return Err(format!("{active} tasks are active, {} are counted", self.state.active));
        }
        let queued = self.state.tasks.iter().filter(|(_, task)| matches!(task.stage, Stage::Queued { .. })).count();
        let in_line: usize = self.queued().iter().sum();
        if queued != in_line {
            return Err(format!("{queued} tasks are queued, {in_line} stand in line"));
        }
        let timers = self.state.tasks.iter().filter(|(_, task)| task.timer.is_some()).count();
        let leases = self.state.fleet.iter().filter(|(_, member)| member.timer.is_some()).count();
        let gates = self.state.fleet.iter().filter(|(_, member)| member.gate_timer.is_some()).count();
        let parties = self.state.tenants.iter().chain(self.state.kinds.iter());
        let rooms = usize::from(self.state.room.is_some()) + usize::from(self.state.rebalance.is_some());
        let rates: usize = parties
            .map(|(_, party)| usize::from(party.timer.is_some()) + usize::from(party.batch_timer.is_some()))
            .sum();
        if timers + leases + gates + rates + rooms != self.state.wheel.len() {
            return Err(format!(
                "{timers} tasks, {leases} leases, {gates} gates and {rates} rates have timers, {} are set",
                self.state.wheel.len()
            ));
        }
        Ok(())
    }

    /// A running task stands at its index in what its agent holds, and nothing else does.
    fn holders_agree(&self) -> Checked {
        let mut held = 0;
        for (slot, task) in self.state.tasks.iter() {
            let Some(running) = task.running() else { continue };
            match self.state.fleet.living(running.by) {
                Some(place) => {
                    held += 1;
                    let member = self.state.fleet.at(place.index());
                    if member.and_then(|member| member.held.get(running.index as usize)) != Some(&slot) {
                        return Err(format!("{} is not where its agent {} holds it", task.spec.id, running.by));
                    }
                }
                None if self.state.owed.contains(&(super::apply::state::Owed::Orphaned, task.spec.id)) => {}
                None => return Err(format!("{} is held by {}, which is gone", task.spec.id, running.by)),
            }
            if task.attempts == 0 {
                return Err(format!("{} runs without an attempt", task.spec.id));
            }
        }
        let counted: usize = self.state.fleet.iter().map(|(_, member)| member.held.len()).sum();
        if held != counted {
            return Err(format!("{held} tasks run, agents hold {counted}"));
        }
        Ok(())
    }

    fn capacity_is_kept(&self) -> Checked {
        for (place, member) in self.state.fleet.iter() {
            let throttled = member.gates.iter().map(|gate| gate.slots).min().unwrap_or(u32::MAX);
            let slots = if member.paused.is_some() { 0 } else { member.spec.slots().min(throttled) as usize };
            let slots = if member.spec.polls { slots.min(member.held.len() + member.asked as usize) } else { slots };
            let room = member.status == AgentStatus::Online && member.held.len() < slots;
            let open = room && member.held.len() + (member.spec.reserved as usize) < slots;
            let fleet = &self.state.fleet;
            if room != fleet.free().contains(place.index()) || open != fleet.open().contains(place.index()) {
                return Err(format!("agent {} is wrongly listed as free or busy", member.by));
            }
        }
        if !self.state.fleet.levels_agree() {
            return Err("the levels of load are not those of the agents".into());
        }
        Ok(())
    }

    fn lines_agree(&self) -> Checked {
        for (slot, task) in self.state.tasks.iter() {
            let place = self.state.lanes.place_of(slot);
            let should = task.line().map(|class| (task.strand(class), self.state.rank(task)));
            if place != should {
                return Err(format!("{} stands in line at {place:?}, not {should:?}", task.spec.id));
            }
        }
        if !self.state.lanes.is_sound() {
            return Err("the heads of the lines are not those of their strands".into());
        }
        Ok(())
    }

    /// What may be called back is listed, and who is promised an agent.
    fn callable_agree(&self) -> Checked {
        let (mut callable, mut heirs) = (Callable::default(), BTreeMap::new());
        for (slot, task) in self.state.tasks.iter() {
            let Some(running) = task.running() else { continue };
            callable.put(slot, task, self.state.rank(task), !running.is_asked());
            let heir = running.yielding.as_ref().and_then(|yielding| yielding.why.by());
            heirs.extend(heir.map(|heir| (heir, task.spec.id)));
        }
        if callable != self.state.callable || heirs != self.state.heirs {
            return Err("the attempts that may be called back are listed wrongly".into());
        }
        Ok(())
    }

    /// What tenants and kinds have is what their tasks are.
    fn parties_agree(&self) -> Checked {
        let state = &self.state;
        if !state.tenants.is_sound() || !state.kinds.is_sound() {
            return Err("tenants or kinds are counted wrongly".into());
        }
        let mut counts = [BTreeMap::new(), BTreeMap::new()];
        for (_, task) in state.tasks.iter().filter(|(_, task)| !task.has_ended()) {
            for (counts, place) in counts.iter_mut().zip([task.tenant, task.kind]) {
                let (active, running) = counts.entry(place).or_insert((0, 0));
                *active += 1;
                *running += u32::from(task.running().is_some());
            }
        }
        for (counts, parties) in counts.iter().zip([&state.tenants, &state.kinds]) {
            for (place, party) in parties.iter() {
                let counted = counts.get(&place).copied().unwrap_or_default();
                if counted != (party.active, party.running) {
                    return Err(format!(
                        "{:?} has {counted:?} tasks, not {:?}",
                        party.name,
                        (party.active, party.running)
                    ));
                }
            }
        }
        Ok(())
    }

    /// The bits of each class say what asking each agent would.
    fn classes_agree(&self) -> Checked {
        let [urgent, rest] = self.state.lanes.ready();
        for class in urgent.iter().chain(rest.iter()) {
            let slot = slot_of(class)?;
            let (Some(key), Some(eligible)) = (self.state.classes.key(slot), self.state.classes.eligible(slot)) else {
                return Err(format!("class {class} waits and is not known"));
            };
            if !eligible.is_sound() {
                return Err(format!("the list of class {class} is not its bits"));
            }
            let chooses = self.state.classes.chooses(key, self.state.fleet.iter().map(|(_, member)| member));
            for (place, member) in self.state.fleet.iter() {
                let should = chooses(member);
                if eligible.contains(place.index()) != should || member.classes.contains(class) != should {
                    return Err(format!("class {class} is wrong about agent {}", member.by));
                }
            }
        }
        Ok(())
    }

    /// Every task that has ended stands once in the list that its end belongs to, and nothing else does.
    fn finished_is_listed(&self) -> Checked {
        let ended = self.state.tasks.iter().filter(|(_, task)| task.has_ended()).count();
        let mut listed = BTreeSet::new();
        for (ids, dead) in [(&self.state.finished, false), (&self.state.dead, true)] {
            for id in ids {
                let end = self.state.get(*id).and_then(Task::end);
                if end.map(|ended| ended.end.is_dead_letter()) != Some(dead) || !listed.insert(id) {
                    return Err(format!("{id} stands in the wrong list of ended tasks"));
                }
            }
        }
        if ended != listed.len() {
            return Err(format!("{ended} tasks have ended, {} are listed", listed.len()));
        }
        Ok(())
    }
}

fn slot_of(class: usize) -> Result<Slot, String> {
    u32::try_from(class).map(Slot::new).map_err(|_| format!("class {class} is out of range"))
}
