//! Parent and child runs: depth and number, inherited pauses, and signals that a parent run keeps.

use super::runs::Runs;
use crate::base::id::RunId;
use crate::base::limits::Limits;
use crate::base::meter::Meter;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::IdMap;
use crate::base::time::Time;
use crate::message::event::{Event, RunEvent};
use crate::message::run::{LimitReached, RunPhase};
use crate::workflow::machine::Run;
use core::time::Duration;
use std::collections::BTreeMap;

/// The families of runs: each root, a run without a parent run, with its descendants. They follow from the owners of the
/// runs, so a snapshot does not contain them.
#[derive(Debug, Default)]
pub(super) struct Families {
    /// The places of child runs.
    places: IdMap<RunId, Place>,
    /// The descendants of roots that have any.
    sizes: IdMap<RunId, Size>,
}

/// The place of a run in its family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    root: RunId,
    /// The number of its ancestors.
    depth: u32,
    /// The number of runs of the same workflow among it and its ancestors.
    recursion: u32,
}

/// The number of descendants of a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Size {
    all: u32,
    /// The second in which the last one began, and the number of those that began in it.
    second: u64,
    in_second: u32,
}

/// Whether another child run may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    /// From this time on.
    Later(Time),
    Never(LimitReached),
}

impl Families {
    fn place(&self, id: RunId) -> Place {
        self.places.get(&id).copied().unwrap_or(Place { root: id, depth: 0, recursion: 1 })
    }

    /// Enters a run that began at that time, after its parent run. `recursion`: the number of runs of its workflow among it and
    /// its ancestors.
    pub(super) fn enter(&mut self, id: RunId, parent: RunId, recursion: u32, at: Time) {
        let above = self.place(parent);
        let place = Place { root: above.root, depth: above.depth.saturating_add(1), recursion };
        self.places.insert(id, place);
        let mut size = self.sizes.get(&place.root).copied().unwrap_or_default();
        let second = second_of(at);
        if size.second != second {
            (size.second, size.in_second) = (second, 0);
        }
        (size.all, size.in_second) = (size.all.saturating_add(1), size.in_second.saturating_add(1));
        self.sizes.insert(place.root, size);
    }

    /// Removes a run. The descendants of a root are removed after it.
    pub(super) fn leave(&mut self, run: &Run) {
        match run.owner {
            Some(_) => {
                let root = self.places.remove(&run.id()).map(|place| place.root);
                let size = root.and_then(|root| self.sizes.get(&root).copied().map(|size| (root, size)));
                // If the root was removed before, the whole family leaves.
                if let Some((root, mut size)) = size {
                    size.all = size.all.saturating_sub(1);
                    self.sizes.insert(root, size);
                }
            }
            None => drop(self.sizes.remove(&run.id())),
        }
    }

    /// Whether a run may have descendants.
    pub(super) fn has_descendants(&self, id: RunId) -> bool {
        self.sizes.get(&self.place(id).root).is_some()
    }

    /// The number of runs in the family of a root, without the root.
    pub(super) fn size(&self, root: RunId) -> u32 {
        self.sizes.get(&root).map_or(0, |size| size.all)
    }

    /// Compares the places and numbers with those that follow from the owners of the runs.
    pub(super) fn check(&self, runs: &Runs) -> Result<(), String> {
        let mut sizes: BTreeMap<RunId, u32> = BTreeMap::new();
        for run in runs.iter().filter(|run| run.owner.is_some()) {
            let (mut root, mut depth, mut recursion) = (run, 0, 1);
            while let Some(parent) = root.owner.and_then(|owner| runs.get(owner.run)) {
                (root, depth) = (parent, depth + 1);
                recursion += u32::from(parent.plan().id.name == run.plan().id.name);
            }
            let place = Place { root: root.id(), depth, recursion };
            if self.place(run.id()) != place {
                return Err(format!("run {} has the place {:?}, not {place:?}", run.id(), self.place(run.id())));
            }
            *sizes.entry(root.id()).or_default() += 1;
        }
        let wrong = sizes.iter().find(|(root, size)| self.size(**root) != **size);
        wrong.map_or(Ok(()), |(root, size)| {
            Err(format!("{} runs are counted within run {root}, not {size}", self.size(*root)))
        })
    }

    /// Whether a run may start a child run now.
    pub(super) fn room_for_child(&self, parent: RunId, now: Time, limits: &Limits) -> Room {
        let Place { root, depth, .. } = self.place(parent);
        let size = self.sizes.get(&root).copied().unwrap_or_default();
        if depth >= limits.families.depth {
            return Room::Never(LimitReached::Depth { max: limits.families.depth });
        }
        if size.all >= limits.families.runs {
            return Room::Never(LimitReached::Runs { max: limits.families.runs });
        }
        let second = second_of(now);
        if size.second == second && size.in_second >= limits.families.runs_per_second.max(1) {
            return Room::Later(Time::ZERO + Duration::from_secs(second.saturating_add(1)));
        }
        Room::Free
    }
}

const fn second_of(at: Time) -> u64 {
    at.as_nanos() / 1_000_000_000
}

impl Runs {
    /// The number of runs of a workflow among a run and its ancestors. Visits the ancestors up to the first such run.
    pub(super) fn depth_of(&self, id: RunId, workflow: &Name) -> u32 {
        let mut next = Some(id);
        while let Some(run) = next.and_then(|id| self.get(id)) {
            if run.plan().id.name == *workflow {
                return self.families().place(run.id()).recursion;
            }
            next = run.owner.map(|owner| owner.run);
        }
        0
    }

    /// A run and its active descendants.
    pub(super) fn family(&self, id: RunId) -> Vec<&Run> {
        let mut family = Vec::new();
        let mut line = vec![id];
        while let Some(run) = line.pop().and_then(|id| self.get(id)) {
            line.extend(run.workforce().active_children());
            family.push(run);
        }
        family
    }

    /// The event that moves a signal to the run from the nearest ancestor that keeps one that a node of the run waits
    /// for.
    pub(super) fn signal_for(&self, id: RunId, now: Time, limits: &Limits, meter: &Meter) -> Option<Event> {
        let run = self.get(id).filter(|run| run.phase() == RunPhase::Running && run.plan().listens)?;
        let mut next = run.owner;
        meter.begin_evaluation(limits.evaluation());
        while let Some(owner) = next {
            let outer = self.get(owner.run)?;
            meter.visit(1);
            if outer.signals().is_empty() {
                next = outer.owner;
                continue;
            }
            meter.visit(run.plan().nodes.len());
            let found = run.waiting().signals().find_map(|wanted| {
                let kept = run.values(limits, meter).matching_signal(wanted, outer.signals(), now)?;
                Some((wanted.signal.clone(), kept.index))
            });
            if run.lacks_functions() {
                return None;
            }
            if let Some((signal, index)) = found {
                return Some(RunEvent::SignalMoved { from: owner.run, signal, index }.of(id));
            }
            next = outer.owner;
        }
        None
    }

    /// The nearest paused run among a run and its ancestors, with the reason.
    pub(super) fn paused_by(&self, id: RunId) -> Option<(RunId, &Name)> {
        if self.paused().is_empty() {
            return None;
        }
        let mut next = Some(id);
        let mut own = true;
        while let Some(run) = next.and_then(|id| self.get(id)) {
            if own && run.phase() != RunPhase::Running {
                return None;
            }
            if let Some(reason) = run.paused().filter(|_| run.phase() == RunPhase::Running) {
                return Some((run.id(), reason));
            }
            own = false;
            next = run.owner.map(|owner| owner.run);
        }
        None
    }

    /// Whether a node of the run or of an active descendant waits for this signal.
    pub(super) fn has_waiting_node(
        &self,
        id: RunId,
        (signal, payload): (&Name, &Payload),
        limits: &Limits,
        meter: &Meter,
    ) -> bool {
        let waits = |run: &Run| {
            meter.visit(run.plan().nodes.len());
            let values = run.values(limits, meter);
            run.waiting().signals().any(|wanted| wanted.signal == signal && values.matches(wanted, payload))
        };
        self.family(id).into_iter().any(|run| run.phase() == RunPhase::Running && waits(run))
    }
}
