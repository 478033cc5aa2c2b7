//! The invariants of a run between its components.

use super::Run;
use super::graph::BoundNode;
use super::node::{InstanceUndo, NodeWork, is_between_attempts};
use crate::message::event::Opening;
use crate::message::run::RunPhase;
use crate::saga::{CompensationEnd, CompensationState, Goal, Step as _, Steps as _};

/// Checks a run. Nothing is changed.
#[derive(Debug, Clone, Copy)]
struct Check<'a> {
    run: &'a Run,
}

impl Run {
    /// Checks the invariants of the run.
    pub(crate) fn check(&self) -> Result<(), String> {
        Check { run: self }.all()
    }
}

impl Check<'_> {
    fn all(self) -> Result<(), String> {
        let named = |why| format!("run {} {why}", self.run.id());
        self.run.graph.check().map_err(named)?;
        self.rollback().map_err(named)?;
        self.phase().map_err(|why| named(why.to_owned()))?;
        for node in self.run.graph.nodes() {
            if let NodeWork::Map(map) = node.state.work()
                && let Some((items, list)) = map.opening()
            {
                let opening = Opening::Map { items, list: list.cloned(), bounds: None };
                self.run.check_opening(node.ix, &opening).map_err(|why| named(why.to_string()))?;
            }
        }
        Ok(())
    }

    /// Checks that the phase of the run fits its nodes and its rollback.
    fn phase(self) -> Result<(), &'static str> {
        let phase = self.run.phase();
        let compensates = matches!(phase, RunPhase::Compensating | RunPhase::CompensationFailed);
        if compensates && !self.run.rollback.is_compensating() {
            return Err("is being compensated without an order");
        }
        if self.run.rollback.is_partial() && !matches!(phase, RunPhase::Running | RunPhase::Failing) {
            return Err("is rolled back and is not running");
        }
        if !self.run.graph.is_idle() && (compensates || phase == RunPhase::Finished) {
            return Err("has nodes under way after it ended");
        }
        Ok(())
    }

    /// Checks that the rollback agrees with the states of the nodes.
    fn rollback(self) -> Result<(), String> {
        if let Some(partial) = self.run.rollback.partial() {
            let is_closed = match &partial.goal {
                Goal::SavePoints(points) => self.run.graph.after(points) == partial.steps,
                Goal::Within(at) => partial.steps.binary_search(at).is_ok() && self.run.graph.is_closed(&partial.steps),
                Goal::Reset(_) => self.run.graph.is_closed(&partial.steps),
                // What follows a node that is compensated while the run goes forward stays.
                Goal::Thrown(by) => !partial.steps.contains(by),
            };
            if !is_closed {
                return Err("rolls back nodes without all that follow them".to_owned());
            }
        }
        self.run.graph.nodes().try_for_each(|node| self.compensation(node))?;
        let cut = self.run.graph.nodes().find(|node| node.function_work().is_some_and(|work| work.cut().is_some()));
        if let Some(node) = cut.filter(|node| !self.run.rollback.concerns(node.ix)) {
            return Err(format!("has a node {} whose calls are rolled back without an order", node.ix));
        }
        self.run.rollback.compensation().map_or(Ok(()), |compensation| compensation.check())
    }

    fn compensation(self, node: BoundNode<'_>) -> Result<(), String> {
        use CompensationState::{Active, Failed, Ready, Waiting};
        let all = node.state.instances();
        let instances = || all.iter().filter(|instance| !node.was_rolled_back(instance));
        let idle = instances().all(|instance| instance.is_undo_idle());
        let active = instances().any(|instance| matches!(instance.undo(), InstanceUndo::Active(_)));
        let can = node.has_effects_to_compensate();
        let compensated = node.compensated();
        let state = self.run.rollback.state(node.ix);
        // What a failed attempt did is compensated before the next one.
        let is_clean = idle || !active && node.state.aside().retried() > 0;
        let fits = match state {
            None if is_between_attempts(node.state) => compensated.is_none(),
            // A node that was compensated before a restart needs not be compensated again.
            None => !active && (is_clean || compensated.is_some()),
            Some(Waiting) => can && is_clean && compensated.is_none(),
            Some(Ready) => can && !active && compensated.is_none(),
            Some(Active) => (can || all.was_undone()) && !idle && compensated.is_none(),
            Some(Failed) => compensated == Some(CompensationEnd::Failed),
            Some(_) => compensated.is_some_and(|end| end != CompensationEnd::Failed),
        };
        if !fits {
            return Err(format!("has a node {} whose compensation cannot be {state:?}", node.ix));
        }
        if self.run.rollback.concerns(node.ix) && self.run.rollback.is_compensating() && node.state.is_working() {
            return Err(format!("has a node {} under way that is rolled back", node.ix));
        }
        Ok(())
    }
}
