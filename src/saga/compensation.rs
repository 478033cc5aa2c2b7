//! The compensation of a set of steps in reverse causal order.

use crate::base::structure::FewSet;
use crate::dag::{NodeIx, NodeState, Readiness, Topology};
use crate::definition::OnCompensationFailure;
use core::fmt;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use thiserror::Error;

/// The state of the compensation of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CompensationState {
    /// It waits for the compensations of later steps.
    Waiting,
    /// It can begin.
    Ready,
    /// It is under way.
    Active,
    /// It failed, and waits for a [`Remedy`](super::Remedy).
    Failed,
    /// It succeeded.
    Compensated,
    /// It failed, and an operator declared that the step was compensated by other means.
    Declared,
    /// It failed, and an operator abandoned it: the side effects of the step remain.
    Abandoned,
}

impl CompensationState {
    /// Whether the state is final.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Compensated | Self::Declared | Self::Abandoned)
    }
}

/// The end of an execution of a compensation, or the decision about one that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CompensationEnd {
    /// The step is compensated.
    Compensated,
    /// The compensation failed; it can be retried or settled otherwise.
    Failed,
    /// The step was compensated by other means.
    Declared,
    /// The compensation is abandoned: the side effects of the step remain.
    Abandoned,
}

/// The compensation of a set of steps: in reverse causal order, independent steps in parallel.
///
/// ```
/// use counterpoint::dag::Builder;
/// use counterpoint::saga::{Compensation, CompensationEnd, CompensationState};
///
/// let mut trip = Builder::new();
/// let [flight, hotel, car, invoice] = ["flight", "hotel", "car", "invoice"].map(|name| trip.node(name, ()));
/// trip.edge(flight, hotel).edge(flight, car).edge(hotel, invoice).edge(car, invoice);
/// let trip = trip.build()?;
///
/// // The invoice failed; the steps before it have completed.
/// let mut compensation = Compensation::new(trip.topology(), &[flight, hotel, car])?;
/// assert_eq!(compensation.ready().collect::<Vec<_>>(), [hotel, car]);
/// compensation.begin(hotel)?;
/// compensation.end(hotel, CompensationEnd::Compensated)?;
/// compensation.begin(car)?;
/// compensation.end(car, CompensationEnd::Failed)?;
/// assert_eq!(compensation.state(car), Some(CompensationState::Failed));
/// compensation.retry(car)?;
/// compensation.begin(car)?;
/// compensation.end(car, CompensationEnd::Compensated)?;
/// assert_eq!(compensation.ready().collect::<Vec<_>>(), [flight]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The order is that of Garcia-Molina and Salem 1987, extended to partial orders: the compensation of a step begins after those
/// of all steps that causally follow it. [`OnCompensationFailure`] defines which compensations a failed one blocks until it is
/// retried or settled.
///
/// The order is a [`Readiness`] over the reversed graph, in which steps without a compensation complete at once.
#[derive(Clone)]
pub struct Compensation {
    /// Over the reversed graph.
    readiness: Readiness,
    /// None for steps that are not compensated.
    members: Vec<Option<Member>>,
    ready: FewSet<NodeIx>,
    /// The memory of a list of steps, for further ones.
    free: Vec<NodeIx>,
    /// The number of members that are not settled.
    open: usize,
    /// The number of members in [`CompensationState::Failed`].
    failed: usize,
    policy: OnCompensationFailure,
}

/// A step that is compensated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Member {
    state: CompensationState,
    failures: u32,
}

impl Member {
    /// Whether the steps before it must wait for it.
    fn blocks(self, policy: OnCompensationFailure) -> bool {
        let is_passed_over = self.failures > 0 && policy == OnCompensationFailure::Continue;
        !self.state.is_settled() && !is_passed_over
    }
}

/// The data of one member of a [`Compensation`]: its step, its state and the number of its failures.
pub(crate) type MemberRecord = (NodeIx, CompensationState, u32);

/// Construction and reading.
impl Compensation {
    /// The compensation of `steps`, in the order of `graph`. Takes time and space linear in the graph.
    ///
    /// # Errors
    ///
    /// When the graph has no such step.
    pub fn new(graph: &Topology, steps: &[NodeIx]) -> Result<Self, CompensationError> {
        Self::along(&graph.reversed(), OnCompensationFailure::Hold, steps)
    }

    /// Sets which compensations a failed one blocks; the default is [`OnCompensationFailure::Hold`]. Call it before the first
    /// compensation begins.
    #[must_use]
    pub const fn with_policy(mut self, policy: OnCompensationFailure) -> Self {
        self.policy = policy;
        self
    }

    /// The compensation of `steps`, over a graph that is reversed already.
    pub(crate) fn along(
        reversed: &Arc<Topology>,
        policy: OnCompensationFailure,
        steps: &[NodeIx],
    ) -> Result<Self, CompensationError> {
        let waiting: Vec<MemberRecord> = steps.iter().map(|step| (*step, CompensationState::Waiting, 0)).collect();
        Self::restored(reversed, policy, &waiting)
    }

    /// The compensation with these members.
    pub(crate) fn restored(
        reversed: &Arc<Topology>,
        policy: OnCompensationFailure,
        records: &[MemberRecord],
    ) -> Result<Self, CompensationError> {
        let mut members = vec![None; reversed.len()];
        for &(step, state, failures) in records {
            let slot = members.get_mut(step.index()).ok_or(CompensationError::UnknownStep(step))?;
            *slot = Some(Member { state, failures });
        }
        let count =
            |is: fn(CompensationState) -> bool| members.iter().flatten().filter(|member| is(member.state)).count();
        let open = count(|state| !state.is_settled());
        let failed = count(|state| state == CompensationState::Failed);
        let readiness = Readiness::new(reversed);
        let mut compensation =
            Self { readiness, members, ready: FewSet::default(), free: Vec::new(), open, failed, policy };
        compensation.advance();
        let is_early = |step: &NodeIx| {
            let is_blocked = compensation.readiness.state(*step) == Some(NodeState::Waiting);
            is_blocked && compensation.state(*step) != Some(CompensationState::Waiting)
        };
        let early = compensation.steps().find(is_early);
        early.map_or(Ok(compensation), |step| Err(CompensationError::Blocked(step)))
    }

    pub(crate) fn record(&self) -> Vec<MemberRecord> {
        self.members().map(|(step, member)| (step, member.state, member.failures)).collect()
    }

    fn members(&self) -> impl Iterator<Item = (NodeIx, Member)> {
        (0..).map(NodeIx::new).zip(&self.members).filter_map(|(step, member)| Some((step, (*member)?)))
    }

    fn member(&self, step: NodeIx) -> Option<Member> {
        self.members.get(step.index()).copied().flatten()
    }

    /// The steps whose compensation can begin, in ascending order.
    pub fn ready(&self) -> impl Iterator<Item = NodeIx> {
        self.ready.iter().filter(|_| !self.is_stopped())
    }

    /// Whether a failed compensation prevents that any other begins, by [`OnCompensationFailure::Stop`].
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        self.failed > 0 && matches!(self.policy, OnCompensationFailure::Stop)
    }

    /// The state of the compensation of a step; none if the step is not compensated.
    #[must_use]
    pub fn state(&self, step: NodeIx) -> Option<CompensationState> {
        self.member(step).map(|member| member.state)
    }

    /// The steps that are compensated, in ascending order, whatever the state of their compensation.
    pub fn steps(&self) -> impl Iterator<Item = NodeIx> {
        self.members().map(|(step, _)| step)
    }

    /// Whether every compensation is settled.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.open == 0
    }

    /// Whether a compensation failed and waits for a remedy.
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        self.failed > 0
    }

    /// The steps whose compensation failed and waits for a remedy, in ascending order.
    pub fn failed(&self) -> impl Iterator<Item = NodeIx> {
        self.members().filter(|(_, member)| member.state == CompensationState::Failed).map(|(step, _)| step)
    }

    /// Checks that no compensation has begun before those that block it have ended.
    pub(crate) fn check(&self) -> Result<(), String> {
        let has_begun = |member: Member| !matches!(member.state, CompensationState::Waiting | CompensationState::Ready);
        for (step, _) in self.members().filter(|(_, member)| has_begun(*member)) {
            let later = self.readiness.topology().ancestors(&[step]);
            if later.iter().any(|later| self.member(*later).is_some_and(|member| member.blocks(self.policy))) {
                return Err(format!("compensates step {step} before one that follows it"));
            }
        }
        Ok(())
    }
}

/// Transitions.
impl Compensation {
    /// The compensation of a ready step begins.
    ///
    /// # Errors
    ///
    /// When the step is not ready, or [a failed compensation prevents it](Self::is_stopped).
    pub fn begin(&mut self, step: NodeIx) -> Result<(), CompensationError> {
        if self.is_stopped() {
            return Err(CompensationError::Blocked(step));
        }
        self.change(step, CompensationState::Ready, CompensationState::Active)?;
        self.ready.remove(step);
        Ok(())
    }

    /// The compensation of a step ends, or a failed one is settled by a decision.
    ///
    /// # Errors
    ///
    /// When the compensation is not under way, or, for [`Declared`](CompensationEnd::Declared) and
    /// [`Abandoned`](CompensationEnd::Abandoned), has not failed.
    pub fn end(&mut self, step: NodeIx, end: CompensationEnd) -> Result<(), CompensationError> {
        use CompensationState::{Abandoned, Active, Compensated, Declared, Failed};
        let (from, to) = match end {
            CompensationEnd::Compensated => (Active, Compensated),
            CompensationEnd::Failed => (Active, Failed),
            CompensationEnd::Declared => (Failed, Declared),
            CompensationEnd::Abandoned => (Failed, Abandoned),
        };
        self.change(step, from, to)?;
        if to == Failed {
            self.failed += 1;
        } else {
            self.open = self.open.saturating_sub(1);
            self.failed = self.failed.saturating_sub(usize::from(from == Failed));
        }
        self.release(step);
        Ok(())
    }

    /// A failed compensation is retried.
    ///
    /// # Errors
    ///
    /// When it has not failed.
    pub fn retry(&mut self, step: NodeIx) -> Result<(), CompensationError> {
        self.change(step, CompensationState::Failed, CompensationState::Ready)?;
        self.failed = self.failed.saturating_sub(1);
        self.ready.insert(step);
        Ok(())
    }

    fn change(
        &mut self,
        step: NodeIx,
        from: CompensationState,
        to: CompensationState,
    ) -> Result<(), CompensationError> {
        let slot = self.members.get_mut(step.index()).ok_or(CompensationError::UnknownStep(step))?;
        match slot {
            Some(member) if member.state == from => {
                member.state = to;
                member.failures += u32::from(to == CompensationState::Failed);
                Ok(())
            }
            _ => Err(CompensationError::IllegalTransition { step, from: slot.map(|member| member.state), to }),
        }
    }

    /// Lets the steps before this one begin, unless it still blocks them.
    fn release(&mut self, step: NodeIx) {
        let is_free = self.member(step).is_none_or(|member| !member.blocks(self.policy));
        if is_free && self.readiness.state(step) == Some(NodeState::Running) {
            self.complete(&[step]);
            self.advance();
        }
    }

    /// Makes the members ready that no other step blocks. Steps that block nothing are passed over.
    fn advance(&mut self) {
        let mut free = core::mem::take(&mut self.free);
        while self.readiness.next_batch(&mut free, usize::MAX) > 0 {
            for &step in &free {
                let Some(Some(member)) = self.members.get_mut(step.index()) else { continue };
                if member.state == CompensationState::Waiting {
                    member.state = CompensationState::Ready;
                }
                if member.state == CompensationState::Ready {
                    self.ready.insert(step);
                }
            }
            free.retain(|step| self.member(*step).is_none_or(|member| !member.blocks(self.policy)));
            self.complete(&free);
            free.clear();
        }
        self.free = free;
    }

    fn complete(&mut self, steps: &[NodeIx]) {
        let completed = self.readiness.complete_batch(steps);
        debug_assert!(completed.is_ok(), "steps of the compensation order were not handed out: {completed:?}");
    }
}

impl PartialEq for Compensation {
    /// The order follows from the graph, the members and the policy.
    fn eq(&self, other: &Self) -> bool {
        self.readiness.topology() == other.readiness.topology()
            && self.members == other.members
            && self.policy == other.policy
    }
}

impl fmt::Debug for Compensation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.members()).finish()
    }
}

/// A transition of a [`Compensation`] that is not possible. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CompensationError {
    /// The graph has no such step.
    #[error("there is no step {0}")]
    UnknownStep(NodeIx),
    /// Another compensation must end before that of this step can begin.
    #[error("the compensation of step {0} must wait for another one")]
    Blocked(NodeIx),
    /// The compensation of the step is in another state; none: the step is not compensated.
    #[error("the compensation of step {step} cannot become {to:?} from {from:?}")]
    IllegalTransition {
        /// The step.
        step: NodeIx,
        /// The state of its compensation.
        from: Option<CompensationState>,
        /// The state after the transition.
        to: CompensationState,
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
        /// Against search in the graph: exactly the members are compensated, each once, each after all that follow it, and a
        /// step is ready exactly when those are settled.
        #[test]
        fn compensates_exactly_the_members_in_reverse_causal_order((graph, members, choices) in cases()) {
            let mut compensation = Compensation::new(graph.topology(), &members).unwrap();
            let mut done: Vec<NodeIx> = Vec::new();
            let mut choices = choices.into_iter().cycle();
            while !compensation.is_settled() {
                let ready: Vec<NodeIx> = compensation.ready().collect();
                let expected: Vec<NodeIx> = members.iter().copied()
                    .filter(|a| !done.contains(a))
                    .filter(|a| {
                        let after = graph.topology().descendants(&[*a]);
                        members.iter().all(|b| a == b || !after.contains(b) || done.contains(b))
                    })
                    .collect();
                prop_assert_eq!(&ready, &expected);
                let step = ready[choices.next().unwrap() % ready.len()];
                compensation.begin(step).unwrap();
                prop_assert!(compensation.begin(step).is_err());
                if choices.next().unwrap() % 4 == 0 {
                    compensation.end(step, CompensationEnd::Failed).unwrap();
                    prop_assert_eq!(compensation.failed().collect::<Vec<_>>(), vec![step]);
                    if choices.next().unwrap() % 2 == 0 {
                        compensation.retry(step).unwrap();
                        continue;
                    }
                    compensation.end(step, CompensationEnd::Abandoned).unwrap();
                } else {
                    compensation.end(step, CompensationEnd::Compensated).unwrap();
                }
                done.push(step);
                let restored = Compensation::restored(&graph.topology().reversed(), compensation.policy, &compensation.record());
                prop_assert_eq!(restored.as_ref(), Ok(&compensation));
                prop_assert_eq!(restored.unwrap().ready().collect::<Vec<_>>(), compensation.ready().collect::<Vec<_>>());
                prop_assert_eq!(compensation.check(), Ok(()));
            }
            done.sort_unstable();
            prop_assert_eq!(done, members);
        }
    }

    /// A chain of three and one beside it, of which the last of the chain cannot be undone.
    fn stuck(policy: OnCompensationFailure) -> (Compensation, [NodeIx; 4]) {
        let mut graph = Builder::new();
        let steps = ["a", "b", "c", "beside"].map(|name| graph.node(name, ()));
        graph.edge(steps[0], steps[1]).edge(steps[1], steps[2]);
        let graph = graph.build().unwrap();
        let mut compensation = Compensation::new(graph.topology(), &steps).unwrap().with_policy(policy);
        compensation.begin(steps[2]).unwrap();
        compensation.end(steps[2], CompensationEnd::Failed).unwrap();
        (compensation, steps)
    }

    #[test]
    fn the_policy_defines_what_a_failed_compensation_blocks() {
        use OnCompensationFailure::{Continue, Hold, Stop};
        for (policy, ready) in [(Hold, vec![3]), (Continue, vec![1, 3]), (Stop, vec![])] {
            let (mut compensation, steps) = stuck(policy);
            let ready: Vec<NodeIx> = ready.into_iter().map(NodeIx::new).collect();
            assert_eq!(compensation.ready().collect::<Vec<_>>(), ready, "{policy:?}");
            assert_eq!(compensation.begin(steps[3]).is_ok(), policy != Stop);
            compensation.end(steps[2], CompensationEnd::Abandoned).unwrap();
            assert!(compensation.ready().any(|step| step == steps[1]));
        }
    }

    fn compensate_all(compensation: &mut Compensation) {
        loop {
            let next = compensation.ready().next();
            let Some(step) = next else { return };
            compensation.begin(step).unwrap();
            compensation.end(step, CompensationEnd::Compensated).unwrap();
        }
    }

    #[test]
    fn all_compensations_are_settled_under_every_policy() {
        use OnCompensationFailure::{Continue, Hold, Stop};
        for policy in [Hold, Continue, Stop] {
            let (mut compensation, steps) = stuck(policy);
            compensate_all(&mut compensation);
            assert!(!compensation.is_settled(), "{policy:?}: one has failed");
            compensation.retry(steps[2]).unwrap();
            compensate_all(&mut compensation);
            assert!(compensation.is_settled(), "{policy:?}");
        }
    }

    #[test]
    fn illegal_transitions_are_rejected() {
        let mut graph = Builder::new();
        let [a, b] = ["a", "b"].map(|name| graph.node(name, ()));
        graph.edge(a, b);
        let graph = graph.build().unwrap();
        let unknown = NodeIx::new(5);
        assert!(
            matches!(Compensation::new(graph.topology(), &[unknown]), Err(CompensationError::UnknownStep(node)) if node == unknown)
        );
        let mut compensation = Compensation::new(graph.topology(), &[a, b]).unwrap();
        assert!(matches!(compensation.begin(a), Err(CompensationError::IllegalTransition { step, .. }) if step == a));
    }
}
