//! The next move of a run as a whole, when none of its nodes has one.

use super::{Decider, Move};
use crate::base::id::NodeIx;
use crate::base::payload::Payload;
use crate::definition::OnFailure;
use crate::message::event::RunEvent;
use crate::message::run::{CallPoint, Cause, LimitReached, Measure, NodeOutcome, RunOutcome, RunPhase};
use crate::saga::{Next, Step as _, Steps as _};
use crate::task::Failure;
use crate::workflow::machine::node::{NodeState, Unfit, fit};
use crate::workflow::machine::variables::Within;
use crate::workflow::machine::{Values, holds_late};

impl Decider<'_> {
    const fn values(&self) -> Values<'_> {
        self.run.values(self.limits, self.meter)
    }

    fn output_so_far(&self) -> Payload {
        self.meter.begin_evaluation(self.limits.evaluation());
        self.values().output_so_far()
    }

    /// Fails the run if its time budget is exhausted and it has passed no pivot.
    pub(super) fn overdue(&self) -> Option<Move> {
        let rollback = &self.run.rollback;
        if rollback.has_passed_pivot() || rollback.is_partial() {
            return None;
        }
        self.run.time_limit().filter(|at| *at <= self.now)?;
        let limit = LimitReached::Budget { measure: Measure::Time };
        let cause = Cause::Limit { node: None, limit, partial: self.output_so_far(), path: Vec::new() };
        Some(Move::Run(RunEvent::Failing { cause }))
    }

    /// The next move of the run as a whole.
    pub(super) fn whole(&self) -> Option<Move> {
        let (phase, plan) = (self.run.phase(), self.run.plan());
        if phase == RunPhase::Finished {
            return None;
        }
        self.meter.begin_evaluation(self.limits.evaluation());
        if phase != RunPhase::Running || self.run.rollback.is_partial() {
            self.meter.visit(plan.nodes.len());
        }
        Some(Move::Run(match self.run.rollback.next(&self.run.graph, phase != RunPhase::Running) {
            Next::Forward => return self.forward(),
            Next::Wait => return None,
            Next::Compensate(nodes) => RunEvent::Compensating { nodes: plan.node_refs(&nodes) },
            Next::Fail(cause) => RunEvent::Failing { cause: cause.clone() },
            Next::Restart(nodes) => RunEvent::Restarted { nodes: plan.node_refs(nodes) },
            Next::End => RunEvent::Finished { outcome: self.failure() },
        }))
    }

    fn forward(&self) -> Option<Move> {
        let graph = &self.run.graph;
        let waits = self.run.plan().definition.on_failure == OnFailure::Finish && !graph.is_over();
        let mut failed = graph.failures().iter().filter(|ix| !holds_late(self.run, **ix));
        if let Some(failed) = failed.next().filter(|_| !waits) {
            let cause = self.cause_of(*failed);
            if let Some(call) = self.save_point_within(*failed) {
                let to = self.run.plan().node_refs(&[*failed]);
                return Some(Move::Run(RunEvent::RolledBack { to, cause, call: Some(call) }));
            }
            let to = graph.save_points(*failed);
            return Some(Move::Run(match &to[..] {
                [] => RunEvent::Failing { cause },
                points => RunEvent::RolledBack { to: self.run.plan().node_refs(points), cause, call: None },
            }));
        }
        (graph.is_over() && graph.failures().is_empty()).then(|| self.succeed())
    }

    /// The save-point of the function of a node that has failed, if no pivot lies after it.
    fn save_point_within(&self, failed: NodeIx) -> Option<CallPoint> {
        let graph = &self.run.graph;
        let call = graph.node(failed)?.call_to_continue_from()?;
        self.meter.visit(self.run.plan().nodes.len());
        let is_final = |ix: NodeIx| graph.has(ix, |node| node.is_irreversible());
        (!graph.after(&[failed]).into_iter().any(|ix| ix != failed && is_final(ix))).then_some(call)
    }

    /// The run ends with its output. The variables that the output reads are reduced first.
    fn succeed(&self) -> Move {
        let run = self.run;
        let most = self.limits.sizes.payload_bytes;
        let made = match run.graph.stop().and_then(|stop| run.graph.state(stop)) {
            Some(stop) => fit(Ok(stop.output().clone()), self.limits),
            None => match run.variables.next_reduction(&run.graph, None, Within { most, meter: self.meter }) {
                Some((variable, Ok(value))) => return Move::Run(RunEvent::Reduced { variable, value }),
                Some((_, Err(why))) => Err(Unfit::new(why, self.limits)),
                None => self.values().output(),
            },
        };
        if self.meter.is_exhausted() {
            let limit = LimitReached::Evaluation { max: self.limits.evaluation() };
            let cause = Cause::Limit { node: None, limit, partial: Payload::NULL, path: Vec::new() };
            return Move::Run(RunEvent::Failing { cause });
        }
        Move::Run(match made {
            Ok(output) => RunEvent::Finished { outcome: RunOutcome::Succeeded { output } },
            Err(unfit) => RunEvent::Failing { cause: Cause::Output { failure: Box::new(unfit.of_output()) } },
        })
    }

    fn cause_of(&self, failed: NodeIx) -> Cause {
        let node = self.run.plan().name(failed);
        match self.run.graph.state(failed).and_then(NodeState::ended) {
            Some(NodeOutcome::Failed { limit: Some(limit), failure, .. }) => {
                let (limit, partial, path) = (*limit, self.output_so_far(), failure.path().to_vec());
                Cause::Limit { node: Some(node), limit, partial, path }
            }
            Some(NodeOutcome::Failed { failure, .. }) => Cause::Node { node, failure: failure.clone() },
            Some(
                NodeOutcome::Succeeded
                | NodeOutcome::Skipped
                | NodeOutcome::UpstreamFailed
                | NodeOutcome::Cancelled { .. },
            )
            | None => Cause::Node { node, failure: Box::new(Failure::permanent("unknown")) },
        }
    }

    /// The outcome of a run whose compensation is settled.
    fn failure(&self) -> RunOutcome {
        let cause = self.run.course().cause().cloned();
        let cause = cause.unwrap_or_else(|| Cause::Cancelled { reason: "unknown".into() });
        let residue = self.run.residue();
        let is_undone = self.run.graph.states().iter().any(|state| state.compensated().is_some());
        if is_undone && residue.is_empty() {
            RunOutcome::Compensated { cause }
        } else {
            RunOutcome::Failed { cause, residue }
        }
    }
}
