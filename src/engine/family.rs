//! Parent and child runs: depth, inherited pauses, and signals that a parent run keeps.

use super::runs::Runs;
use crate::base::id::RunId;
use crate::base::limits::Limits;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::message::event::{Event, RunEvent};
use crate::message::run::RunPhase;
use crate::workflow::machine::Run;

impl Runs {
    /// The number of runs of a workflow among a run and its ancestors.
    pub(super) fn depth_of(&self, id: RunId, workflow: &Name) -> u32 {
        let (mut next, mut depth) = (Some(id), 0_u32);
        while let Some(run) = next.and_then(|id| self.get(id)) {
            depth = depth.saturating_add(u32::from(run.plan().id.name == *workflow));
            next = run.owner.map(|owner| owner.run);
        }
        depth
    }

    /// Wakes all active descendants of a run after it has received a signal or was resumed.
    pub(super) fn wake_descendants(&mut self, id: RunId, wake: impl Fn(&mut Run)) {
        let mut line: Vec<RunId> = self.get(id).into_iter().flat_map(|run| run.workforce().active_children()).collect();
        while let Some(id) = line.pop() {
            let Some(run) = self.get_mut(id) else { continue };
            line.extend(run.workforce().active_children());
            wake(run);
            self.schedule(id);
        }
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
    pub(super) fn signal_for(&self, id: RunId, now: Time, limits: &Limits) -> Option<Event> {
        let run = self.get(id).filter(|run| run.phase() == RunPhase::Running && run.plan().listens)?;
        let mut next = run.owner;
        while let Some(owner) = next {
            let outer = self.get(owner.run)?;
            let found = run.waiting().signals().find_map(|wanted| {
                let kept = run.values(limits).matching_signal(wanted, outer.signals(), now)?;
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

    /// Whether a run makes no forward moves: it or an ancestor is paused, or its definition names an unregistered
    /// function of the host.
    pub(super) fn is_paused(&self, id: RunId) -> bool {
        self.paused_by(id).is_some() || self.get(id).is_some_and(Run::lacks_functions)
    }

    /// The nearest paused run among a run and its ancestors, with the reason.
    pub(super) fn paused_by(&self, id: RunId) -> Option<(RunId, &Name)> {
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
    pub(super) fn has_waiting_node(&self, id: RunId, signal: &Name, payload: &Payload, limits: &Limits) -> bool {
        let waits = |run: &Run| {
            run.waiting().signals().any(|wanted| wanted.signal == signal && run.values(limits).matches(wanted, payload))
        };
        self.family(id).into_iter().any(|run| run.phase() == RunPhase::Running && waits(run))
    }
}
