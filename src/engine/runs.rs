//! The known runs, their agenda, their timers and their families.

use super::family::Families;
use super::list::Register;
use crate::base::id::{NodeIx, RunId, by_creation};
use crate::base::meter::Meter;
use crate::base::structure::{Arena, FewSet, IdMap, Slot, Wheel};
use crate::base::time::Time;
use crate::task::Owner;
use crate::workflow::machine::{BoundNode, Run};
use std::collections::BTreeSet;

/// The known runs by id and by age, those that may have a next move, and the times at which more of them may.
#[derive(Debug, Default)]
pub(super) struct Runs {
    arena: Arena<Run>,
    by_id: IdMap<RunId, Slot>,
    register: Register,
    families: Families,
    /// The runs that an operator has paused.
    paused: BTreeSet<RunId>,
    /// The runs that may have a next move. Mostly it is one.
    agenda: FewSet<RunId>,
    /// The run that changed last, with its slot: most changes follow another one of the same run.
    last: Option<(RunId, Slot)>,
    /// Runs that are to be woken with their active descendants. Only for decisions, as the agenda.
    waking: Vec<(RunId, Wake)>,
    /// The timers of nodes, and those of the time limits of whole runs.
    wheel: Wheel<(RunId, Option<NodeIx>)>,
}

/// The nodes that are woken in the descendants of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wake {
    /// Those that may wait for a signal.
    Listening,
    All,
}

/// Storage.
impl Runs {
    pub(super) fn insert(&mut self, run: Run) {
        let id = run.id();
        self.register.enter(&run);
        if run.paused().is_some() {
            self.paused.insert(id);
        }
        let slot = self.arena.insert(run);
        self.by_id.insert(id, slot);
        self.last = Some((id, slot));
        self.enter_family(id);
    }

    pub(super) fn remove(&mut self, id: RunId) -> Option<Run> {
        self.last = None;
        let run = self.arena.remove(self.by_id.remove(&id)?)?;
        self.register.leave(&run);
        self.families.leave(&run);
        self.paused.remove(&id);
        Some(run)
    }

    pub(super) fn get(&self, id: RunId) -> Option<&Run> {
        self.arena.get(self.slot(id)?)
    }

    pub(super) fn get_mut(&mut self, id: RunId) -> Option<&mut Run> {
        let slot = self.slot(id)?;
        self.last = Some((id, slot));
        self.arena.get_mut(slot)
    }

    fn slot(&self, id: RunId) -> Option<Slot> {
        match self.last {
            Some((last, slot)) if last == id => Some(slot),
            Some(_) | None => self.by_id.get(&id).copied(),
        }
    }

    /// All known runs, in the order of their slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Run> {
        self.arena.iter().map(|(_, run)| run)
    }

    pub(super) const fn register(&self) -> &Register {
        &self.register
    }

    /// Computes the families from the owners of the runs. A parent run is older than its child runs.
    pub(super) fn recount_families(&mut self) {
        let mut ids: Vec<RunId> = self.iter().map(Run::id).collect();
        ids.sort_unstable_by_key(|id| by_creation(*id));
        self.families = Families::default();
        for id in ids {
            self.enter_family(id);
        }
    }

    /// Enters a known child run into its family.
    fn enter_family(&mut self, id: RunId) {
        let Some(run) = self.get(id) else { return };
        let Some(owner) = run.owner else { return };
        let (name, at) = (run.plan().id.name.clone(), run.begun.at);
        let recursion = self.depth_of(owner.run, &name).saturating_add(1);
        self.families.enter(id, owner.run, recursion, at);
    }

    pub(super) const fn families(&self) -> &Families {
        &self.families
    }

    /// The runs that an operator has paused.
    pub(super) const fn paused(&self) -> &BTreeSet<RunId> {
        &self.paused
    }

    /// Updates whether a run is paused, after an event.
    pub(super) fn note_paused(&mut self, id: RunId) {
        if self.get(id).is_some_and(|run| run.paused().is_some()) {
            self.paused.insert(id);
        } else {
            self.paused.remove(&id);
        }
    }

    /// The node of an owner.
    pub(super) fn node_of(&self, owner: Owner) -> Option<BoundNode<'_>> {
        self.get(owner.run)?.graph().node(owner.node)
    }

    /// When a finished run ended.
    pub(super) fn ended_at(&self, id: RunId) -> Option<Time> {
        self.get(id).map(|run| run.course().ended().unwrap_or(run.begun.at))
    }
}

/// Agenda.
impl Runs {
    /// The run may have a next move.
    pub(super) fn schedule(&mut self, id: RunId) {
        self.agenda.insert(id);
    }

    /// The run has no next move until it changes.
    pub(super) fn unschedule(&mut self, id: RunId) {
        self.agenda.remove(id);
    }

    pub(super) fn is_scheduled(&self, id: RunId) -> bool {
        self.agenda.contains(id)
    }

    pub(super) fn first_scheduled(&self) -> Option<RunId> {
        self.agenda.first()
    }

    /// Schedules a run, if it is known, and marks these nodes of it as dirty.
    pub(super) fn wake(&mut self, id: RunId, nodes: impl IntoIterator<Item = NodeIx>) {
        if let Some(run) = self.get_mut(id) {
            nodes.into_iter().for_each(|node| run.wake(node));
            self.agenda.insert(id);
        }
    }

    /// Wakes all active descendants of a run, by [`wake_next`](Self::wake_next), after it has received a signal or was
    /// resumed.
    pub(super) fn wake_descendants(&mut self, id: RunId, wake: Wake) {
        if self.families.has_descendants(id)
            && let Some(run) = self.get(id)
        {
            let children: Vec<(RunId, Wake)> = run.workforce().active_children().map(|child| (child, wake)).collect();
            self.waking.extend(children);
        }
    }

    /// Wakes the next run of those that are to be woken. False if there is none.
    pub(super) fn wake_next(&mut self, meter: &Meter) -> bool {
        let Some((id, wake)) = self.waking.pop() else { return false };
        if let Some(run) = self.get_mut(id) {
            meter.visit(run.plan().nodes.len());
            match wake {
                Wake::Listening => run.wake_listening(),
                Wake::All => run.wake_all(),
            }
            self.agenda.insert(id);
        }
        self.wake_descendants(id, wake);
        true
    }

    /// Whether runs are to be woken or may have a next move.
    pub(super) fn has_work(&self) -> bool {
        !self.waking.is_empty() || self.agenda.first().is_some()
    }

    /// Schedules every unfinished run with all of its nodes.
    pub(super) fn wake_all(&mut self) {
        self.waking.clear();
        let ids: Vec<RunId> = self.iter().filter(|run| !run.is_finished()).map(Run::id).collect();
        for id in ids {
            self.get_mut(id).into_iter().for_each(Run::wake_all);
            self.agenda.insert(id);
        }
    }
}

/// Timers.
impl Runs {
    /// Sets the timers of a node.
    pub(super) fn set_timers(&mut self, id: RunId, node: NodeIx) {
        let Some(run) = self.get(id) else { return };
        if run.graph().node(node).is_some_and(|node| node.awaits_its_task()) {
            return;
        }
        for at in run.waiting().times(node) {
            self.wheel.insert(at, (id, Some(node)));
        }
    }

    /// Wakes a node at a time for which only the decision has a reason.
    pub(super) fn wake_at(&mut self, at: Time, id: RunId, node: NodeIx) {
        self.wheel.insert(at, (id, Some(node)));
    }

    /// Sets the timer for the time limit of a run.
    pub(super) fn set_timer(&mut self, id: RunId) {
        if let Some(at) = self.get(id).and_then(Run::time_limit) {
            self.wheel.insert(at, (id, None));
        }
    }

    /// Sets the timers of all runs of a snapshot.
    pub(super) fn set_all_timers(&mut self) {
        for (_, run) in self.arena.iter() {
            let nodes = run.waiting().timers().map(|(at, node)| (at, Some(node)));
            for (at, node) in nodes.chain(run.time_limit().map(|at| (at, None))) {
                self.wheel.insert(at, (run.id(), node));
            }
        }
    }

    /// A time that is not later than that of the first timer.
    pub(super) fn next_timer(&self) -> Option<Time> {
        self.wheel.next()
    }

    /// Fires up to `most` due timers: their runs are scheduled.
    pub(super) fn fire(&mut self, now: Time, most: usize, meter: &Meter) {
        if self.wheel.len() == 0 {
            return;
        }
        let mut due = Vec::new();
        let most = most.min(usize::try_from(meter.left() / 8).unwrap_or(usize::MAX)).max(1);
        self.wheel.advance(now, most, &mut due);
        meter.visit(due.len().saturating_mul(8));
        for (_, (id, node)) in due {
            self.wake(id, node);
        }
    }

    /// Drops the agenda and the due timers, which only matter for decisions.
    pub(super) fn drop_decisions(&mut self, now: Time) {
        self.agenda = FewSet::default();
        self.waking.clear();
        self.wheel.advance(now, usize::MAX, &mut Vec::new());
    }
}
