//! The next step of a node that goes forward.

use super::{Decider, Decision, Kept, Move, Next};
use crate::base::id::NodeIx;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::{Anomaly, OrAnomaly};
use crate::definition::{Action, Boundary, Expr, Receivers, TaskOverrides};
use crate::message::event::NodeEvent;
use crate::message::run::{CompensationOutcome, LimitReached, Measure, NodeOutcome};
use crate::task::{Phase, codes};
use crate::workflow::machine::graph::{BoundNode, Turn, branches_to};
use crate::workflow::machine::node::{
    Blocked, Ending, MapWork, NodeState, NodeWork, Stage, Step, Surroundings, Verdict, fit, repeat, task,
};

impl Decider<'_> {
    /// The next move of a node, unless it is held, blocked or refused.
    pub(super) fn advance(&self, node: BoundNode<'_>) -> Decision {
        if self.run.rollback.is_compensating_for(node.ix) {
            return Ok(Next::Wait);
        }
        if !node.state.is_plain() {
            if node.state.aside().held.is_some() {
                return Ok(Next::Wait);
            }
            if let Some(next) = self.within_limits(node) {
                return Ok(next);
            }
            if let Some(at) = node.state.aside().retry_at() {
                return self.retry(node, at);
            }
            if Self::is_refused(node) {
                return Ok(self.after_refusal(node));
            }
        }
        match node.state.stage() {
            Stage::Waiting => self.begin_node(node),
            Stage::Working => {
                if let Some(again) = self.retry_of_state(node) {
                    return Ok(again.into());
                }
                let step = self.step(node)?;
                self.perform(node, step)
            }
            Stage::Ended(_) => {
                let rest = node.map().map_or(Step::Idle, |map| MapWork::rest(map, node.state.instances()));
                self.perform(node, rest)
            }
        }
    }

    /// Whether the node starts, is skipped, or must wait.
    fn begin_node(&self, node: BoundNode<'_>) -> Decision {
        let Some(verdict) = node.verdict() else { return Ok(Next::Wait) };
        Ok(match verdict {
            Verdict::Short { of, taken } => self.end_unstarted(node, self.short(node, of, taken)),
            Verdict::Skips => self.end_unstarted(node, Ending::Skipped),
            Verdict::UpstreamFailed => self.end_unstarted(node, Ending::UpstreamFailed),
            Verdict::Starts => match self.run.graph.turn(node) {
                Turn::After(_) => Next::Wait,
                Turn::Missed => self.end_unstarted(node, Ending::Skipped),
                Turn::Now => match self.admit(node) {
                    Some(next) => next.into(),
                    None => return self.start(node),
                },
            },
        })
    }

    /// The failure of a join that cannot reach its number: that of its first failed branch, as the failure of a map is that of an
    /// item. It has one of its own if no branch failed.
    fn short(&self, node: BoundNode<'_>, of: u32, taken: u32) -> Ending {
        let graph = &self.run.graph;
        let failure =
            branches_to(graph, node.ix).into_iter().find_map(|branch| match graph.state(branch)?.ended()? {
                NodeOutcome::Failed { failure, .. } => Some((**failure).clone()),
                NodeOutcome::Succeeded
                | NodeOutcome::Skipped
                | NodeOutcome::UpstreamFailed
                | NodeOutcome::Cancelled { .. } => None,
            });
        match failure {
            Some(failure) => Ending::Failed { failure, instance: None },
            None => {
                let message = format!("only {taken} of the {of} required branches were taken");
                Ending::failed(codes::JOIN, message)
            }
        }
    }

    /// Ends a node that does not start, or whose next instance cannot begin. Its instances under way are cancelled before:
    /// calls of a function that was retried, or other items of a map.
    fn end_unstarted(&self, node: BoundNode<'_>, ending: Ending) -> Next {
        let instances = node.state.instances();
        match instances.next_to_cancel() {
            Some(worker) => Move::cancel(worker).into(),
            None if instances.active() > 0 => Next::Wait,
            None => self.end(node, ending).into(),
        }
    }

    /// The next step of the machine of the node.
    pub(super) fn step(&self, node: BoundNode<'_>) -> Result<Step, Anomaly> {
        const OTHER_KIND: &str = "a node is of another kind than its definition says";
        let (instances, sight) = (node.state.instances(), self.sight(node));
        match node.state.work() {
            NodeWork::Task => task::next(instances),
            NodeWork::Map(map) => map.next(node.map().or_anomaly(OTHER_KIND)?, instances, &sight),
            NodeWork::Repeat => repeat::next(node.repeat().or_anomaly(OTHER_KIND)?, instances, &sight),
            NodeWork::Rounds(rounds) => rounds.next(node.inflow(), instances, &sight),
            NodeWork::States(states) => states.next(node.states().or_anomaly(OTHER_KIND)?, instances, &sight),
            NodeWork::Delegate(work) => work.next(node.delegate().or_anomaly(OTHER_KIND)?, instances, &sight),
            NodeWork::Function(work) => work.next(instances, &sight),
            NodeWork::Wait(wait) => wait.next(node.awaited_signal(), &sight),
            NodeWork::Race(race) => race.next(node.offers(), &sight),
            NodeWork::Send(send) => send.next(),
            NodeWork::Compensation => Ok(self.compensation(node)),
            NodeWork::Immediate => Err(Anomaly::new("a node is under way that ends when it starts")),
        }
    }

    /// The end of a node whose compensations are settled.
    fn compensation(&self, node: BoundNode<'_>) -> Step {
        let thrown = self.run.rollback.thrown_by(node.ix).unwrap_or_default();
        let abandoned = |ix: &NodeIx| {
            let state = self.run.graph.state(*ix).and_then(NodeState::compensated);
            matches!(state, Some(CompensationOutcome::Abandoned { .. }))
        };
        let name = |ix: &NodeIx| self.run.plan().name(*ix);
        match thrown.iter().find(|ix| abandoned(ix)) {
            Some(left) => {
                let message = format!("the compensation of `{}` was abandoned", name(left));
                Step::End(Ending::failed(codes::COMPENSATION, message))
            }
            None => {
                let names: Vec<serde_json::Value> =
                    thrown.iter().map(|ix| serde_json::Value::from(name(ix).as_str())).collect();
                Step::End(Ending::With { took: Vec::new(), output: Payload::new(names.into()) })
            }
        }
    }

    pub(super) fn perform(&self, node: BoundNode<'_>, step: Step) -> Decision {
        Ok(match step {
            Step::Idle => Next::Wait,
            Step::Begin(input) => self.begin(node, node.state.instances().len(), input),
            Step::Cancel(worker) => Move::cancel(worker).into(),
            Step::Record(event) => Move::Node(node.ix, event).into(),
            Step::Split { part, parts } => Move::Split { node: node.ix, part, parts }.into(),
            Step::Send => self.send(node)?.into(),
            Step::Evaluate => {
                let map = node.map().or_anomaly("the list of a node is to be evaluated that is no map")?;
                // A list that is too large to be constructed is empty.
                Next::Keep(Kept::List(self.sight(node).eval(&map.over, Payload::NULL).unwrap_or_default()))
            }
            Step::Settle(parts) => Next::Keep(Kept::Settled(parts)),
            Step::End(ending) => self.end(node, ending).into(),
        })
    }

    /// Sends a signal to the next runs. The node fails if its content or the key of the receivers has no value.
    fn send(&self, node: BoundNode<'_>) -> Result<Move, Anomaly> {
        let Action::Send(send) = &node.definition.action else {
            return Err(Anomaly::new("a node sends a signal by a definition that sends none"));
        };
        let sight = self.sight(node);
        let input = match sight.input(Payload::NULL) {
            Ok(input) => input,
            Err(unfit) => return Ok(self.end(node, Ending::unfit(&unfit))),
        };
        let key = match &send.to {
            Receivers::Run | Receivers::Parent | Receivers::Root | Receivers::All { .. } => None,
            Receivers::Key { key, .. } => {
                let key = fit(sight.eval(key, input.clone()), self.limits);
                let text = key.map(|key| key.value().as_str().map(Name::from));
                match text {
                    Ok(Some(key)) => Some(key),
                    Ok(None) => {
                        let message = "the business key of the receivers is not a string";
                        return Ok(self.end(node, Ending::failed(codes::INVALID_VALUE, message)));
                    }
                    Err(why) => {
                        let message = format!("the business key of the receivers {why}");
                        return Ok(self.end(node, Ending::failed(why.code(), message)));
                    }
                }
            }
        };
        Ok(Move::Send { node: node.ix, payload: input, key })
    }

    /// Begins an instance. If the settings of its task that come from data cannot be determined, the node fails after its other
    /// instances have ended.
    pub(super) fn begin(&self, node: BoundNode<'_>, index: u32, input: Payload) -> Next {
        let owner = self.owner(node, index, Phase::Do);
        let is_child = node.work_of(index).is_some_and(|work| work.child.is_some() || work.call.is_some());
        if is_child {
            return Move::Spawn { owner, input }.into();
        }
        let template = node.template(index, Phase::Do);
        let overrides = template.as_ref().and_then(|template| template.overrides.as_deref());
        match overrides.map(|overrides| self.overrides(node, overrides, &input)).transpose() {
            Ok(overrides) => Move::Submit { owner, payload: input, overrides }.into(),
            Err(ending) => self.end_unstarted(node, ending),
        }
    }

    fn overrides(&self, node: BoundNode<'_>, overrides: &Expr, input: &Payload) -> Result<Box<TaskOverrides>, Ending> {
        self.meter.spend_copy(input.bytes());
        let value = fit(self.sight(node).eval(overrides, input.clone()), self.limits)
            .map_err(|why| Ending::failed(why.code(), format!("the object of its overrides {why}")))?;
        TaskOverrides::read(&value)
            .map(Box::new)
            .map_err(|fault| Ending::failed(codes::INVALID_VALUE, format!("the overrides of its task {fault}")))
    }

    /// A blocked node begins nothing more. Its instances under way are awaited, or cancelled if its time is over; then
    /// it fails with the output up to then. None if the node is not blocked.
    fn within_limits(&self, node: BoundNode<'_>) -> Option<Next> {
        const OVERDUE: LimitReached = LimitReached::Budget { measure: Measure::Time };
        if node.state.has_ended() {
            return None;
        }
        let is_idle = node.state.instances().active() == 0 && !node.state.instances().is_undoing();
        let ending = match node.state.aside().blocked.as_ref() {
            None => {
                let is_over = node.time_limit().is_some_and(|at| at <= self.now);
                return is_over.then(|| Move::Node(node.ix, NodeEvent::Exhausted { limit: OVERDUE }).into());
            }
            Some(Blocked::Undefined(workflow)) => {
                let message = format!("no workflow `{workflow}` is defined, or not in that version");
                Ending::failed(codes::UNDEFINED, message)
            }
            Some(Blocked::Input(message)) => Ending::failed(codes::INPUT, message.to_string()),
            Some(Blocked::Limit(limit)) => {
                if *limit == OVERDUE
                    && let Some(worker) = node.state.instances().next_to_cancel()
                {
                    return Some(Move::cancel(worker).into());
                }
                Ending::Limit { limit: *limit, partial: node.state.partial() }
            }
        };
        Some(if is_idle { self.end(node, ending).into() } else { Next::Wait })
    }

    /// Fires a handler of the node whose condition is met.
    pub(super) fn handler_fires(&self, node: BoundNode<'_>) -> Option<Move> {
        if node.state.is_plain() {
            return None;
        }
        let sight = self.sight(node);
        node.armed().find_map(|armed| {
            let signal = match &armed.handler.on {
                Boundary::Timeout(span) => (armed.since + *span <= self.now).then_some(None),
                Boundary::Signal { signal, matching } => {
                    sight.signal(signal, matching).map(|signal| Some(signal.index))
                }
                Boundary::When(condition) => sight.holds(condition, Payload::NULL).then_some(None),
                Boundary::Error(_) | Boundary::Cancel => None,
            };
            Some(Move::Node(node.ix, NodeEvent::HandlerFired { handler: armed.index, signal: signal? }))
        })
    }
}
