//! The moves of a run as a whole, when none of its nodes has a move.

use super::{Decider, Move};
use crate::base::id::NodeIx;
use crate::message::event::RunEvent;
use crate::message::run::{Cause, LimitReached, Measure, NodeOutcome, RunOutcome, RunPhase};
use crate::task::Failure;
use crate::workflow::machine::Values;
use crate::workflow::machine::node::{NodeState, TooLarge, fit};
use crate::workflow::machine::rollback::{Rollback, WayStep};

impl Decider<'_> {
    const fn values(&self) -> Values<'_> {
        self.run.values(self.limits)
    }

    /// Fails the run when its time limit has passed, unless it has passed a pivot.
    pub(super) fn overdue(&self) -> Option<Move> {
        let rollback = &self.run.rollback;
        if rollback.has_passed_pivot() || rollback.is_rolling_back() {
            return None;
        }
        self.run.time_limit().filter(|at| *at <= self.now)?;
        let limit = LimitReached::Budget { measure: Measure::Time };
        let cause = Cause::Limit { node: None, limit, partial: self.values().output_so_far() };
        Some(Move::Run(RunEvent::Failing { cause }))
    }

    /// The next move of the run as a whole.
    pub(super) fn whole(&self) -> Option<Move> {
        let (graph, rollback) = (&self.run.graph, &self.run.rollback);
        let event = match self.run.phase() {
            RunPhase::Running => return self.forward(),
            // Compensations of a rollback under way are completed first.
            RunPhase::Failing if graph.is_idle() && (!rollback.is_rolling_back() || rollback.is_settled()) => {
                RunEvent::Compensating { nodes: self.run.plan().node_refs(&rollback.to_compensate(graph)) }
            }
            RunPhase::Compensating | RunPhase::CompensationFailed if rollback.is_settled() => {
                RunEvent::Finished { outcome: self.outcome_back() }
            }
            RunPhase::Failing | RunPhase::Compensating | RunPhase::CompensationFailed | RunPhase::Finished => {
                return None;
            }
        };
        Some(Move::Run(event))
    }

    fn forward(&self) -> Option<Move> {
        let (graph, rollback) = (&self.run.graph, &self.run.rollback);
        if let Some(way) = rollback.way() {
            return Some(Move::Run(match rollback.next(way, graph) {
                WayStep::Wait => return None,
                WayStep::Compensate(nodes) => RunEvent::Compensating { nodes: self.run.plan().node_refs(&nodes) },
                WayStep::Fail(cause) => RunEvent::Failing { cause },
                WayStep::Restart(nodes) => RunEvent::Restarted { nodes: self.run.plan().node_refs(&nodes) },
            }));
        }
        if let Some(failed) = graph.failures().first() {
            let (to, cause) = (Rollback::save_points(graph, *failed), self.cause_of(*failed));
            return Some(Move::Run(match &to[..] {
                [] => RunEvent::Failing { cause },
                points => RunEvent::RolledBack { to: self.run.plan().node_refs(points), cause },
            }));
        }
        graph.is_over().then(|| self.succeed())
    }

    /// Ends the run with its output, after all variables that the output reads are combined.
    fn succeed(&self) -> Move {
        let run = self.run;
        let most = self.limits.sizes.payload_bytes;
        let made = match run.graph.stop().and_then(|stop| run.graph.state(stop)) {
            Some(stop) => fit(Ok(stop.output().clone()), self.limits),
            None => match run.variables.next_reduction(&run.graph, None, most) {
                Some((variable, Ok(value))) => return Move::Run(RunEvent::Reduced { variable, value }),
                Some((_, Err(wide))) => Err(TooLarge::Bytes { bytes: wide.bytes, limit: most }),
                None => self.values().output(),
            },
        };
        Move::Run(match made {
            Ok(output) => RunEvent::Finished { outcome: RunOutcome::Succeeded { output } },
            Err(too_large) => RunEvent::Failing { cause: Cause::OutputTooLarge { bytes: too_large.bytes() } },
        })
    }

    fn cause_of(&self, failed: NodeIx) -> Cause {
        let node = self.run.plan().name(failed);
        match self.run.graph.state(failed).and_then(NodeState::ended) {
            Some(NodeOutcome::Failed { limit: Some(limit), .. }) => {
                Cause::Limit { node: Some(node), limit: *limit, partial: self.values().output_so_far() }
            }
            Some(NodeOutcome::Failed { failure, .. }) => Cause::Node { node, failure: failure.clone() },
            Some(NodeOutcome::Succeeded | NodeOutcome::Skipped | NodeOutcome::Cancelled { .. }) | None => {
                Cause::Node { node, failure: Failure::permanent("unknown") }
            }
        }
    }

    /// The outcome of a run whose compensations have ended.
    fn outcome_back(&self) -> RunOutcome {
        let cause = self.run.course().cause().cloned();
        let cause = cause.unwrap_or_else(|| Cause::Cancelled { reason: "unknown".into() });
        let residue = self.run.rollback.residue(&self.run.graph);
        let is_undone = self.run.graph.states().iter().any(|state| state.compensated().is_some());
        if is_undone && residue.is_empty() {
            RunOutcome::Compensated { cause }
        } else {
            RunOutcome::Failed { cause, residue }
        }
    }
}
