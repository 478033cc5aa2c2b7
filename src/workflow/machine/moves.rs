//! What a run does next, as a function of where it stands.

use super::{NodeStage, NodeState, PieceEnd, Run, Turn, Worker};
use crate::definition::{Action, Case, Expr, Inputs, Join, Map, Pick, Subtask, TooWide};
use crate::event::{NodeEvent, Opening, RunEvent};
use crate::id::{NodeIx, RunId, TaskId};
use crate::limits::Limits;
use crate::name::Name;
use crate::payload::Payload;
use crate::run::{Cause, LimitReached, NodeOutcome, RunOutcome, RunPhase};
use crate::task::{Failure, Owner, Phase};
use crate::time::Time;
use core::fmt;
use serde_json::Value;

/// What is to be done next for a run.
#[derive(Debug)]
pub(crate) enum Move {
    /// Record this event of the run.
    Run(RunEvent),
    /// Record this event of a node.
    Node(NodeIx, NodeEvent),
    /// Submit the task of a node, or the task that undoes it, with this payload.
    Submit { owner: Owner, payload: Payload },
    /// See which of these parts may be handed on, and state it.
    Split { node: u32, part: u32, parts: Vec<Subtask> },
    /// Start the workflow within a node with this input.
    Spawn { owner: Owner, input: Payload },
    /// Withdraw a task.
    CancelTask(TaskId),
    /// Withdraw a run within, or undo it if it is done.
    HaltChild(RunId),
}

impl Move {
    /// Record this event of a node.
    pub(super) const fn of(node: u32, event: NodeEvent) -> Self {
        Self::Node(NodeIx::new(node), event)
    }
}

/// What a node's links say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Starts,
    Skips,
    /// Of the branches that a counting join needs, too few came, and one of them failed.
    Short {
        of: u32,
        came: u32,
    },
}

impl Run {
    /// The next move, if there is one now.
    pub(crate) fn next_move(&mut self, now: Time, limits: &Limits) -> Option<Move> {
        if let Some(overdue) = self.overdue(now, limits) {
            return Some(overdue);
        }
        while let Some(&node) = self.agenda.first() {
            if let Some(next) = self.look(node, now, limits) {
                return Some(self.checked(next, limits));
            }
            self.agenda.remove(&node);
        }
        self.as_a_whole(limits)
    }

    fn look(&mut self, node: u32, now: Time, limits: &Limits) -> Option<Move> {
        if matches!(self.phase, RunPhase::Running | RunPhase::Halting)
            && let Some(next) = self.ask(node)
        {
            return Some(next);
        }
        match self.phase {
            RunPhase::Running | RunPhase::Halting if self.goes_back(node) => self.go_back(node),
            RunPhase::Running if self.is_withdrawn(node) => self.withdraw(node),
            RunPhase::Running => self.handle(node, now, limits).or_else(|| self.advance(node, now, limits)),
            RunPhase::Halting => self.halt(node),
            RunPhase::Compensating | RunPhase::CompensationFailed => self.undo(node),
            RunPhase::Finished => None,
        }
    }

    /// When no node has anything to do.
    fn as_a_whole(&self, limits: &Limits) -> Option<Move> {
        if let (RunPhase::Running, Some(way)) = (self.phase, &self.back) {
            return self.along(way).map(Move::Run);
        }
        let event = match self.phase {
            RunPhase::Running => match self.broken {
                Some(node) => self.turn_back(node, self.failure_of(node, limits)),
                None if self.open == 0 && self.working == 0 => match self.given_back(limits) {
                    Ok(next) => return Some(next),
                    Err(Misfit { bytes, .. }) => RunEvent::Failing { cause: Cause::OutputTooLarge { bytes } },
                },
                None => return None,
            },
            // What is being undone already is undone first.
            RunPhase::Halting if self.working == 0 && (self.back.is_none() || self.is_unwound()) => {
                RunEvent::Compensating { nodes: self.refs(&self.to_undo()) }
            }
            RunPhase::Compensating | RunPhase::CompensationFailed if self.is_unwound() => {
                RunEvent::Finished { outcome: self.outcome_unwound() }
            }
            RunPhase::Halting | RunPhase::Compensating | RunPhase::CompensationFailed | RunPhase::Finished => {
                return None;
            }
        };
        Some(Move::Run(event))
    }

    /// The run ends well with what it gives back, once that is put together.
    fn given_back(&self, limits: &Limits) -> Result<Move, Misfit> {
        let made = match self.stopped.and_then(|stop| self.state(stop)) {
            Some(stop) => Ok(stop.output.clone()),
            None => match self.reduce(None, limits) {
                Some(Ok(reduce)) => return Ok(reduce),
                Some(Err(wide)) => Err(wide),
                None => self.plan.definition.output.eval(&self.scope(None, Payload::NULL, limits)),
            },
        };
        let output = fitting(made, limits)?;
        Ok(Move::Run(RunEvent::Finished { outcome: RunOutcome::Succeeded { output } }))
    }

    fn failure_of(&self, node: u32, limits: &Limits) -> Cause {
        let name = self.plan.name(node);
        match self.state(node).and_then(NodeState::ended) {
            Some(NodeOutcome::Failed { limit: Some(limit), .. }) => {
                Cause::Limit { node: Some(name), limit: *limit, partial: self.so_far(limits) }
            }
            Some(NodeOutcome::Failed { failure, .. }) => Cause::Node { node: name, failure: failure.clone() },
            Some(NodeOutcome::Succeeded | NodeOutcome::Skipped | NodeOutcome::Cancelled { .. }) | None => {
                Cause::Node { node: name, failure: Failure::permanent("unknown") }
            }
        }
    }

    /// Forward.
    fn advance(&mut self, node: u32, now: Time, limits: &Limits) -> Option<Move> {
        if self.held(node).is_some() {
            return None;
        }
        if let Some(next) = self.within_budget(node, now) {
            return next;
        }
        if self.is_refused(node) {
            return self.after_refusal(node, limits);
        }
        match &self.state(node)?.stage {
            NodeStage::Waiting => self.decide(node, now, limits),
            NodeStage::Working => self.finish_piece(node),
            NodeStage::Open(what) => match **what {
                Opening::Map { .. } => self.go_over(node, limits),
                Opening::Repeat => self.go_round(node, limits),
                Opening::Rounds => self.go_with(node, limits),
                Opening::Delegation => self.go_on_with_parts(node, limits),
                Opening::States => self.walk(node, limits),
                Opening::Wait { until } => self.wait(node, until, now, limits),
                Opening::Race { .. } => self.race(node, now, limits),
            },
            NodeStage::Ended(_) => self.drop_rest(node),
        }
    }

    /// Whether the node starts, is skipped, or must wait.
    fn decide(&self, node: u32, now: Time, limits: &Limits) -> Option<Move> {
        match self.verdict(node)? {
            Verdict::Short { of, came } => {
                let failure = Failure::permanent(format!("of the {of} branches it needs, {came} came"));
                Some(self.end(node, NodeOutcome::Failed { failure, maybe: false, limit: None }))
            }
            Verdict::Skips => Some(self.end(node, NodeOutcome::Skipped)),
            Verdict::Starts => match self.turn(node) {
                Turn::Now => self.admit(node, limits).or_else(|| self.start(node, now, limits)),
                Turn::Later => None,
                Turn::Missed => Some(self.end(node, NodeOutcome::Skipped)),
            },
        }
    }

    /// What a node's links say of it; none while they do not.
    pub(super) fn verdict(&self, node: u32) -> Option<Verdict> {
        let state = self.state(node)?;
        let (definition, plan) = self.plan.node(node)?;
        let (links, open) = (plan.links, plan.links.saturating_sub(state.decided));
        let inputs = Inputs {
            of: links,
            succeeded: state.taken,
            failed: state.failed_inputs,
            skipped: state.decided.saturating_sub(state.taken).saturating_sub(state.failed_inputs),
        };
        let starts = match definition.join {
            Join::Trigger(rule) => rule.verdict(inputs)?,
            Join::Each | Join::Rounds { .. } if self.token_for(node).is_some() => true,
            Join::Count { of, .. } if state.taken >= of => true,
            Join::Count { of, .. } if state.taken + open < of && state.after_failure => {
                return Some(Verdict::Short { of, came: state.taken });
            }
            // Not before all is decided: what follows a skipped node may use the output of whatever leads to it.
            _ if open > 0 => return None,
            Join::All => state.taken == links,
            Join::Any => state.taken > 0,
            Join::Count { .. } | Join::Each | Join::Rounds { .. } => false,
        };
        Some(if starts { Verdict::Starts } else { Verdict::Skips })
    }

    fn start(&self, node: u32, now: Time, limits: &Limits) -> Option<Move> {
        let (definition, _) = self.plan.node(node)?;
        let opened = |what| Some(Move::of(node, NodeEvent::Opened { what }));
        match &definition.action {
            Action::Do(_) if definition.join.repeats() => opened(Opening::Rounds),
            Action::Do(_) => Some(match self.given(node, Payload::NULL, limits) {
                Ok(input) => self.begin(node, 0, input),
                Err(failed) => failed,
            }),
            Action::Fail(message) => Some(self.fail(node, message.as_str().to_owned())),
            Action::Pass | Action::Stop => Some(match self.given(node, Payload::NULL, limits) {
                Ok(input) => self.end_with(node, Vec::new(), input),
                Err(failed) => failed,
            }),
            Action::Choose { pick, cases, otherwise } => {
                let item = match self.given(node, Payload::NULL, limits) {
                    Ok(item) => item,
                    Err(failed) => return Some(failed),
                };
                let took = self.choose(node, (*pick, cases, otherwise.as_ref()), &item, limits);
                if took.is_empty() {
                    let failure = Failure::permanent("no case holds, and there is none for otherwise");
                    return Some(self.end(node, NodeOutcome::Failed { failure, maybe: false, limit: None }));
                }
                Some(self.end_with(node, took, item))
            }
            Action::Map(Map { over, .. }) => {
                let list = self.list(node, over, limits);
                let Value::Array(items) = list.value() else {
                    return Some(self.fail(node, "what it should go over is no list".to_owned()));
                };
                match u32::try_from(items.len()) {
                    Ok(items) if items <= limits.map_items => {
                        // Of a node that waited for all before it, the list is the same whenever it is asked for, but for
                        // updates from outside.
                        let early = matches!(definition.join, Join::Count { .. } | Join::Trigger(_));
                        let kept = early || self.plan.definition.may_change(over);
                        opened(Opening::Map { items, list: kept.then(|| list.clone()) })
                    }
                    _ => Some(self.exhausted(node, LimitReached::Items { most: limits.map_items }, Payload::NULL)),
                }
            }
            Action::Repeat(_) => opened(Opening::Repeat),
            Action::Delegate(_) => opened(Opening::Delegation),
            Action::States(_) => opened(Opening::States),
            Action::Race { offers } => Some(self.open_race(node, offers, now, limits)),
            Action::Wait { timer, .. } => opened(Opening::Wait { until: timer.map(|span| now + span) }),
        }
    }

    fn choose(
        &self,
        node: u32,
        (pick, cases, otherwise): (Pick, &[Case], Option<&Name>),
        item: &Payload,
        limits: &Limits,
    ) -> Vec<Name> {
        let scope = self.scope(Some(node), item.clone(), limits);
        let holding = cases.iter().filter(|case| case.when.holds(&scope)).map(|case| case.name.clone());
        let took: Vec<Name> = match pick {
            Pick::First => holding.take(1).collect(),
            Pick::Every => holding.collect(),
        };
        if took.is_empty() { otherwise.cloned().into_iter().collect() } else { took }
    }

    /// Begins a piece of work.
    pub(super) fn begin(&self, node: u32, item: u32, input: Payload) -> Move {
        let owner = Owner::new(self.id(), node, item, Phase::Do);
        if self.flow_of(owner).is_some() || self.call_of(owner).is_some() {
            Move::Spawn { owner, input }
        } else {
            Move::Submit { owner, payload: input }
        }
    }

    /// What a node is given. It fails if that is too large: what nodes hand on must not grow without bound.
    pub(super) fn given(&self, node: u32, item: Payload, limits: &Limits) -> Result<Payload, Move> {
        let made = match self.plan.node(node) {
            Some((definition, _)) => definition.input.eval(&self.scope(Some(node), item, limits)),
            None => Ok(Payload::NULL),
        };
        self.fitted(made, node, limits)
    }

    /// The value, unless it is too large: then the node fails.
    pub(super) fn fitted(&self, made: Result<Payload, TooWide>, node: u32, limits: &Limits) -> Result<Payload, Move> {
        fitting(made, limits).map_err(|misfit| self.fail(node, misfit.to_string()))
    }

    /// The list that a map goes over. One that is too large to be put together is none.
    pub(super) fn list(&self, node: u32, over: &Expr, limits: &Limits) -> Payload {
        over.eval(&self.scope(Some(node), Payload::NULL, limits)).unwrap_or_default()
    }

    /// The one piece of a node has ended, or has not.
    fn finish_piece(&self, node: u32) -> Option<Move> {
        let end = self.state(node)?.pieces.last()?.end.as_ref()?;
        let maybe = self.state(node)?.is_doubtful();
        if let Some(reached) = end.limit() {
            return Some(self.exhausted(node, reached.0, reached.1.clone()));
        }
        let outcome = match end.failure() {
            _ if end.is_cancelled() => {
                NodeOutcome::Failed { failure: Failure::permanent("it was cancelled"), maybe, limit: None }
            }
            Some(failure) => NodeOutcome::Failed { failure: Failure::clone(failure), maybe, limit: None },
            None => NodeOutcome::Succeeded,
        };
        Some(self.end(node, outcome))
    }

    /// What the next piece of a node is given that starts more than once.
    fn token_for(&self, node: u32) -> Option<Payload> {
        self.state(node)?.tokens()?.next().cloned()
    }

    /// Work for each that comes: a piece for what is there, the end when nothing will come any more.
    fn go_with(&mut self, node: u32, limits: &Limits) -> Option<Move> {
        let state = self.state(node)?;
        let (active, failed, decided) = (state.active, state.failed, state.decided);
        if failed > 0 {
            return self.cancel_pieces(node).or_else(|| self.too_many_failed(node));
        }
        let begun = u32::try_from(state.pieces.len()).unwrap_or(u32::MAX);
        if let Some(item) = self.token_for(node) {
            let next = if begun >= limits.map_items {
                self.exhausted(node, LimitReached::Items { most: limits.map_items }, Payload::NULL)
            } else {
                self.begin_with(node, begun, item, limits)
            };
            return if active > 0 && matches!(next, Move::Node(..)) { self.cancel_pieces(node) } else { Some(next) };
        }
        let links = self.plan.node(node)?.1.links;
        (active == 0 && decided == links).then(|| self.end(node, NodeOutcome::Succeeded))
    }

    /// Begins a piece of a map or repeat: it is given the item itself, if the node says nothing else.
    pub(super) fn begin_with(&self, node: u32, place: u32, item: Payload, limits: &Limits) -> Move {
        let plain = self.plan.node(node).is_some_and(|(node, _)| node.input == Expr::default());
        let input = if plain { self.fitted(Ok(item), node, limits) } else { self.given(node, item, limits) };
        match input {
            Ok(input) => self.begin(node, place, input),
            Err(failed) => failed,
        }
    }

    /// The run goes no further: what is under way is cancelled, and ends as it ends.
    pub(super) fn halt(&mut self, node: u32) -> Option<Move> {
        if !self.state(node)?.is_working() {
            return self.cancel_pieces(node);
        }
        self.cancel_pieces(node).or_else(|| self.close(node))
    }

    /// The node is no longer needed: the run goes on without it.
    fn withdraw(&mut self, node: u32) -> Option<Move> {
        match &self.state(node)?.stage {
            NodeStage::Waiting => Some(self.end_withdrawn(node, false)),
            NodeStage::Working | NodeStage::Open(_) | NodeStage::Ended(_) => self.halt(node),
        }
    }

    /// Asks the next piece that is under way to stop, if there is one that has not been asked. What a pivot does is not
    /// stopped half-way: whether it has happened could not be told any more, and decides between forward and back.
    pub(super) fn cancel_pieces(&mut self, node: u32) -> Option<Move> {
        let pivot = self.is_pivot(node);
        let state = self.state_mut(node)?;
        let pivot = pivot || state.pieces.iter().any(|piece| piece.committed);
        let from = if pivot { 0 } else { state.asked() as usize };
        let mut pieces = state.pieces.iter().enumerate().skip(from);
        let (place, piece) = pieces
            .find(|(_, piece)| piece.is_active() && !piece.cancelling && !piece.committed && piece.doubt().is_none())?;
        let worker = piece.worker?;
        if place > 0 {
            state.more_mut().asked = u32::try_from(place).unwrap_or(u32::MAX);
        }
        Some(match worker {
            Worker::Task(task) => Move::CancelTask(task),
            Worker::Child(run) => Move::HaltChild(run),
        })
    }

    /// Ends a cancelled node once nothing of it is under way. What was done in full before counts as done.
    fn close(&self, node: u32) -> Option<Move> {
        let state = self.state(node).filter(|state| state.active == 0)?;
        let whole = state.stage == NodeStage::Working
            && state.pieces.iter().all(|piece| piece.end.as_ref().is_some_and(PieceEnd::succeeded));
        let whole = whole && state.refused() == 0 && self.interrupted(node).is_none() && self.remedy(node).is_none();
        Some(if whole { self.end(node, NodeOutcome::Succeeded) } else { self.end_withdrawn(node, true) })
    }

    /// The node has reached a bound; what it has done until then is what it gives.
    pub(super) fn exhausted(&self, node: u32, limit: LimitReached, partial: Payload) -> Move {
        let failure = Failure::permanent(limit.to_string());
        let maybe = self.state(node).is_some_and(NodeState::is_doubtful);
        let outcome = NodeOutcome::Failed { failure, maybe, limit: Some(limit) };
        let took = self.handler_of(node, &outcome).into_iter().collect();
        self.finish(node, outcome, took, (!partial.is_null()).then_some(partial))
    }

    pub(super) fn fail(&self, node: u32, message: String) -> Move {
        let maybe = self.state(node).is_some_and(NodeState::is_doubtful);
        self.end(node, NodeOutcome::Failed { failure: Failure::permanent(message), maybe, limit: None })
    }

    pub(super) fn end(&self, node: u32, outcome: NodeOutcome) -> Move {
        let took = self.handler_of(node, &outcome).into_iter().collect();
        self.finish(node, outcome, took, None)
    }

    pub(super) fn end_with(&self, node: u32, took: Vec<Name>, output: Payload) -> Move {
        let output = (!output.is_null()).then_some(output);
        self.finish(node, NodeOutcome::Succeeded, took, output)
    }

    fn finish(&self, node: u32, outcome: NodeOutcome, took: Vec<Name>, output: Option<Payload>) -> Move {
        Move::of(node, NodeEvent::Finished { outcome, took, output, signal: None })
    }
}

/// A value that is larger or deeper than a payload may be.
pub(super) struct Misfit {
    bytes: u32,
    depth: u32,
    limit: u32,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, depth, limit } = self;
        if *depth > 0 {
            write!(f, "its input is nested {depth} deep, more than the {limit} allowed")
        } else {
            write!(f, "its input has at least {bytes} bytes, more than the {limit} allowed")
        }
    }
}

/// The value, if it is no larger and no deeper than a payload may be.
pub(super) fn fitting(made: Result<Payload, TooWide>, limits: &Limits) -> Result<Payload, Misfit> {
    let wide = |bytes| Misfit { bytes, depth: 0, limit: limits.payload_bytes };
    let value = made.map_err(|TooWide { bytes }| wide(bytes))?;
    if value.bytes() > limits.payload_bytes {
        return Err(wide(value.bytes()));
    }
    if value.depth() > limits.payload_depth {
        return Err(Misfit { bytes: value.bytes(), depth: value.depth(), limit: limits.payload_depth });
    }
    Ok(value)
}
