//! Undoing a set of steps in reverse causal order.

use crate::dag::{NodeIx, NodeState, Readiness, Topology};
use crate::definition::OnCompensationFailure;
use core::fmt;
use std::collections::BTreeSet;
use std::sync::Arc;
use thiserror::Error;

/// Where the compensation of a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Step {
    /// It must wait for the compensations of steps that came after it.
    Waiting,
    /// It can begin.
    Ready,
    /// It is under way.
    Undoing,
    /// It could not be undone, and waits for a word.
    Failed,
    /// It is undone, or declared to be, or given up: it holds back nothing any more.
    Settled,
}

/// The compensation of a set of steps: what has happened is undone in reverse causal order, in parallel where nothing forbids
/// it.
///
/// ```
/// use counterpoint::dag::Builder;
/// use counterpoint::saga::{Step, Unwinding};
///
/// let mut trip = Builder::new();
/// let [flight, hotel, car, invoice] = ["flight", "hotel", "car", "invoice"].map(|name| trip.node(name, ()));
/// trip.edge(flight, hotel).edge(flight, car).edge(hotel, invoice).edge(car, invoice);
/// let trip = trip.build()?;
///
/// // The invoice failed; what came before it has happened.
/// let mut unwinding = Unwinding::new(trip.topology(), &[flight, hotel, car])?;
/// assert_eq!(unwinding.ready().collect::<Vec<_>>(), [hotel, car]);
/// unwinding.begin(hotel)?;
/// unwinding.undone(hotel)?;
/// unwinding.begin(car)?;
/// unwinding.failed(car)?;
/// assert_eq!(unwinding.step(car), Some(Step::Failed));
/// unwinding.retry(car)?;
/// unwinding.begin(car)?;
/// unwinding.undone(car)?;
/// assert_eq!(unwinding.ready().collect::<Vec<_>>(), [flight]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The rules it keeps (Garcia-Molina and Salem 1987, extended to partial orders): a step's compensation starts only when
/// the compensations of all steps that causally follow it have ended; independent ones may run at once; one that failed is
/// a state with a name, and [`OnCompensationFailure`] says what it holds back until somebody says what becomes of it.
///
/// Undoing is running another graph, the reversed one, by the same [`Readiness`]: steps with nothing to undo only carry
/// the order on.
#[derive(Clone)]
pub struct Unwinding {
    /// Over the reversed graph.
    readiness: Readiness,
    /// None for steps with nothing to undo.
    steps: Vec<Option<Step>>,
    ready: BTreeSet<NodeIx>,
    open: usize,
    failed: usize,
    policy: OnCompensationFailure,
}

impl Unwinding {
    /// The compensation of `members`, in the order of `graph`. Takes time and space linear in the graph.
    ///
    /// # Errors
    ///
    /// When a member is no node of the graph.
    pub fn new(graph: &Topology, members: &[NodeIx]) -> Result<Self, UnwindError> {
        Self::along(&graph.reversed(), members)
    }

    /// Sets what a compensation that fails holds back. To be said before anything has begun.
    #[must_use]
    pub const fn with_policy(mut self, policy: OnCompensationFailure) -> Self {
        self.policy = policy;
        self
    }

    /// The same for a graph that has been reversed already.
    pub(crate) fn along(reversed: &Arc<Topology>, members: &[NodeIx]) -> Result<Self, UnwindError> {
        let mut steps = vec![None; reversed.len()];
        for &member in members {
            *steps.get_mut(member.index()).ok_or(UnwindError::UnknownStep(member))? = Some(Step::Waiting);
        }
        let open = steps.iter().flatten().count();
        let mut unwinding = Self {
            readiness: Readiness::new(reversed),
            steps,
            ready: BTreeSet::new(),
            open,
            failed: 0,
            policy: OnCompensationFailure::Hold,
        };
        unwinding.advance();
        Ok(unwinding)
    }

    /// The steps whose compensation can begin, in ascending order.
    pub fn ready(&self) -> impl Iterator<Item = NodeIx> {
        self.ready.iter().copied().filter(|_| !self.is_held())
    }

    /// Whether nothing may begin because a compensation has failed.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        self.failed > 0 && matches!(self.policy, OnCompensationFailure::Stop)
    }

    /// Where a step's compensation stands; none if it has nothing to undo.
    #[must_use]
    pub fn step(&self, step: NodeIx) -> Option<Step> {
        self.steps.get(step.index()).copied().flatten()
    }

    /// The steps that are or were to be undone, in ascending order.
    pub fn members(&self) -> impl Iterator<Item = NodeIx> {
        (0..).zip(&self.steps).filter(|(_, step)| step.is_some()).map(|(index, _)| NodeIx::new(index))
    }

    /// Whether every compensation is settled.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.open == 0
    }

    /// The steps whose compensation has failed and waits for a word.
    pub fn stuck(&self) -> impl Iterator<Item = NodeIx> {
        (0..).zip(&self.steps).filter(|(_, step)| **step == Some(Step::Failed)).map(|(index, _)| NodeIx::new(index))
    }

    /// The steps that hold back nothing although they are not settled: their compensation failed and is to be tried again.
    pub(crate) fn released(&self) -> impl Iterator<Item = NodeIx> {
        self.members().filter(|step| self.is_released(*step))
    }

    /// Whether a step is one of these.
    pub(crate) fn is_released(&self, step: NodeIx) -> bool {
        let again = matches!(self.step(step), Some(Step::Ready | Step::Undoing));
        again && self.readiness.state(step) != Some(NodeState::Running)
    }

    /// The compensation of a ready step is under way.
    ///
    /// # Errors
    ///
    /// When the step is not ready, or [nothing may begin](Self::is_held).
    pub fn begin(&mut self, step: NodeIx) -> Result<(), UnwindError> {
        if self.is_held() {
            return Err(UnwindError::NotNow { step, stage: self.step(step) });
        }
        self.change(step, &[Step::Ready], Step::Undoing)?;
        self.ready.remove(&step);
        Ok(())
    }

    /// A step is undone.
    ///
    /// # Errors
    ///
    /// When its compensation is not under way.
    pub fn undone(&mut self, step: NodeIx) -> Result<(), UnwindError> {
        self.change(step, &[Step::Undoing], Step::Settled)?;
        self.settled(step);
        Ok(())
    }

    /// A step could not be undone.
    ///
    /// # Errors
    ///
    /// When its compensation is not under way.
    pub fn failed(&mut self, step: NodeIx) -> Result<(), UnwindError> {
        self.change(step, &[Step::Undoing], Step::Failed)?;
        self.failed += 1;
        if self.policy == OnCompensationFailure::Continue {
            self.release(step);
        }
        Ok(())
    }

    /// A compensation that failed shall be tried again.
    ///
    /// # Errors
    ///
    /// When it has not failed.
    pub fn retry(&mut self, step: NodeIx) -> Result<(), UnwindError> {
        self.change(step, &[Step::Failed], Step::Ready)?;
        self.failed = self.failed.saturating_sub(1);
        self.ready.insert(step);
        Ok(())
    }

    /// A compensation that failed is settled by other means, or given up.
    ///
    /// # Errors
    ///
    /// When it has not failed.
    pub fn give_up(&mut self, step: NodeIx) -> Result<(), UnwindError> {
        self.change(step, &[Step::Failed], Step::Settled)?;
        self.failed = self.failed.saturating_sub(1);
        self.settled(step);
        Ok(())
    }

    fn change(&mut self, step: NodeIx, from: &[Step], to: Step) -> Result<(), UnwindError> {
        let slot = self.steps.get_mut(step.index()).ok_or(UnwindError::UnknownStep(step))?;
        match slot {
            Some(stage) if from.contains(stage) => {
                *stage = to;
                Ok(())
            }
            _ => Err(UnwindError::NotNow { step, stage: *slot }),
        }
    }

    fn settled(&mut self, step: NodeIx) {
        self.open = self.open.saturating_sub(1);
        self.release(step);
    }

    /// The step holds back nothing any more, if it still did.
    fn release(&mut self, step: NodeIx) {
        if self.readiness.state(step) == Some(NodeState::Running) {
            let completed = self.readiness.complete_batch(&[step]);
            debug_assert!(completed.is_ok(), "a step that was undone had not been handed out");
            self.advance();
        }
    }

    /// What nothing holds back any more: members are ready, others pass it on at once.
    fn advance(&mut self) {
        let mut free = Vec::new();
        while self.readiness.next_batch(&mut free, usize::MAX) > 0 {
            let passes = free.extract_if(.., |step| match self.steps.get_mut(step.index()) {
                Some(Some(stage)) => {
                    *stage = Step::Ready;
                    self.ready.insert(*step);
                    false
                }
                _ => true,
            });
            let passes: Vec<NodeIx> = passes.collect();
            let completed = self.readiness.complete_batch(&passes);
            debug_assert!(completed.is_ok(), "a step that passes had not been handed out");
            free.clear();
        }
    }
}

impl fmt::Debug for Unwinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unwinding").field("steps", &self.steps).field("ready", &self.ready).finish_non_exhaustive()
    }
}

/// A word about compensation that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnwindError {
    /// There is no such step.
    #[error("there is no step {0}")]
    UnknownStep(NodeIx),
    /// The step's compensation does not stand where that could happen.
    #[error("the compensation of step {step} is {stage:?}")]
    NotNow {
        /// The step.
        step: NodeIx,
        /// Where it stands.
        stage: Option<Step>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dag::{Builder, Dag};
    use proptest::prelude::*;

    /// A graph, what has happened in it, and choices.
    fn cases() -> impl Strategy<Value = (Dag<()>, Vec<NodeIx>, Vec<usize>)> {
        (2_u32..12).prop_flat_map(|count| {
            let pairs = prop::collection::btree_set((0..count, 0..count), 0..30);
            let graph = pairs.prop_map(move |pairs| {
                let mut graph = Builder::new();
                (0..count).for_each(|node| {
                    graph.node(node.to_string(), ());
                });
                for (a, b) in pairs.into_iter().filter(|(a, b)| a < b) {
                    graph.edge(NodeIx::new(a), NodeIx::new(b));
                }
                graph.build().unwrap()
            });
            let members = prop::collection::btree_set(0..count, 0..count as usize);
            let members = members.prop_map(|set| set.into_iter().map(NodeIx::new).collect());
            (graph, members, prop::collection::vec(any::<usize>(), 40))
        })
    }

    proptest! {
        /// Against search in the graph: exactly the members are undone, each once, each after all that follow it, and a
        /// step is ready exactly when those are settled.
        #[test]
        fn undoes_exactly_the_members_in_reverse_causal_order((graph, members, choices) in cases()) {
            let mut unwinding = Unwinding::new(graph.topology(), &members).unwrap();
            let mut done: Vec<NodeIx> = Vec::new();
            let mut choices = choices.into_iter().cycle();
            while !unwinding.is_over() {
                let ready: Vec<NodeIx> = unwinding.ready().collect();
                let expected: Vec<NodeIx> = members.iter().copied()
                    .filter(|a| !done.contains(a))
                    .filter(|a| {
                        let after = graph.topology().descendants(&[*a]);
                        members.iter().all(|b| a == b || !after.contains(b) || done.contains(b))
                    })
                    .collect();
                prop_assert_eq!(&ready, &expected);
                let step = ready[choices.next().unwrap() % ready.len()];
                unwinding.begin(step).unwrap();
                prop_assert!(unwinding.begin(step).is_err());
                if choices.next().unwrap() % 4 == 0 {
                    unwinding.failed(step).unwrap();
                    prop_assert_eq!(unwinding.stuck().collect::<Vec<_>>(), vec![step]);
                    if choices.next().unwrap() % 2 == 0 {
                        unwinding.retry(step).unwrap();
                        continue;
                    }
                    unwinding.give_up(step).unwrap();
                } else {
                    unwinding.undone(step).unwrap();
                }
                done.push(step);
            }
            done.sort_unstable();
            prop_assert_eq!(done, members);
        }
    }

    /// A chain of three and one beside it, of which the last of the chain cannot be undone.
    fn stuck(policy: OnCompensationFailure) -> (Unwinding, [NodeIx; 4]) {
        let mut graph = Builder::new();
        let steps = ["a", "b", "c", "beside"].map(|name| graph.node(name, ()));
        graph.edge(steps[0], steps[1]).edge(steps[1], steps[2]);
        let graph = graph.build().unwrap();
        let mut unwinding = Unwinding::new(graph.topology(), &steps).unwrap().with_policy(policy);
        unwinding.begin(steps[2]).unwrap();
        unwinding.failed(steps[2]).unwrap();
        (unwinding, steps)
    }

    #[test]
    fn what_a_compensation_that_failed_holds_back() {
        use OnCompensationFailure::{Continue, Hold, Stop};
        for (policy, ready) in [(Hold, vec![3]), (Continue, vec![1, 3]), (Stop, vec![])] {
            let (mut unwinding, steps) = stuck(policy);
            let ready: Vec<NodeIx> = ready.into_iter().map(NodeIx::new).collect();
            assert_eq!(unwinding.ready().collect::<Vec<_>>(), ready, "{policy:?}");
            assert_eq!(unwinding.begin(steps[3]).is_ok(), policy != Stop);
            unwinding.give_up(steps[2]).unwrap();
            assert!(unwinding.ready().any(|step| step == steps[1]));
        }
    }

    fn undo_all(unwinding: &mut Unwinding) {
        loop {
            let next = unwinding.ready().next();
            let Some(step) = next else { return };
            unwinding.begin(step).unwrap();
            unwinding.undone(step).unwrap();
        }
    }

    #[test]
    fn whatever_the_policy_all_is_settled_in_the_end() {
        use OnCompensationFailure::{Continue, Hold, Stop};
        for policy in [Hold, Continue, Stop] {
            let (mut unwinding, steps) = stuck(policy);
            undo_all(&mut unwinding);
            assert!(!unwinding.is_over(), "{policy:?}: one has failed");
            unwinding.retry(steps[2]).unwrap();
            undo_all(&mut unwinding);
            assert!(unwinding.is_over(), "{policy:?}");
        }
    }

    #[test]
    fn refuses_nonsense() {
        let mut graph = Builder::new();
        let [a, b] = ["a", "b"].map(|name| graph.node(name, ()));
        graph.edge(a, b);
        let graph = graph.build().unwrap();
        let stranger = NodeIx::new(5);
        assert!(
            matches!(Unwinding::new(graph.topology(), &[stranger]), Err(UnwindError::UnknownStep(node)) if node == stranger)
        );
        let mut unwinding = Unwinding::new(graph.topology(), &[a, b]).unwrap();
        assert!(matches!(unwinding.begin(a), Err(UnwindError::NotNow { step, .. }) if step == a));
    }
}
