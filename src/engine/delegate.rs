//! Delegated work: validation of agents' answers, limits of delegation, and views of parts.

use super::book::Book;
use super::spending::Balance;
use super::sum::Sum;
use super::view::NodeView;
use crate::base::id::{AgentId, NodeIx, RunId};
use crate::base::limits::Limits;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::{OnLimit, Subtask};
use crate::message::command::AgentCommand;
use crate::message::event::{NodeEvent, PartEvent};
use crate::message::run::{DelegatedPart, DroppedSubtask, LimitReached, PartOutcome};
use crate::scheduler::{Core, Reader};
use crate::task::{Failure, FailureKind, Needs, Owner, Phase, codes};
use crate::workflow::machine::misread;

/// The largest number of characters in the message of an invalid answer.
const SHOWN: usize = 300;

/// A delegated part of a node's work, or the whole, which is part 0.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PartView<'a> {
    /// Its number, in the order in which parts were delegated.
    pub number: u32,
    /// The part from which it was delegated; none for the whole.
    pub of: Option<u32>,
    /// Its depth in the tree of delegations.
    pub depth: u32,
    /// The kind of its task.
    pub kind: &'a Name,
    /// The payload of its task; null for the whole before it has begun.
    pub payload: Payload,
    /// The agents that its task or the one that combines its results was assigned to, each once, in this order.
    pub agents: &'a [AgentId],
    /// Its outcome, if it has ended.
    pub end: Option<&'a PartOutcome>,
    /// Its result.
    pub output: &'a Payload,
    /// The balance of its share of the budget, if it was promised one and has not ended.
    pub balance: Option<Balance>,
}

impl<'a> NodeView<'a> {
    /// The delegated parts of its work, the whole first. Each part comes after the one that it was delegated from.
    pub fn delegated_parts(&self) -> impl Iterator<Item = PartView<'a>> + use<'a> {
        let (run, book, node) = self.parts();
        node.delegate_work().into_iter().flat_map(move |(work, delegate)| {
            let parts = work.parts().map(|parts| parts.all()).unwrap_or_default();
            (0..).zip(parts).map(move |(number, part)| {
                let request = work.request(number, delegate, node.state.instances());
                PartView {
                    number,
                    of: part.of,
                    depth: part.depth,
                    kind: request.kind,
                    payload: request.payload.cloned().unwrap_or_default(),
                    agents: &part.agents,
                    end: part.end.as_ref(),
                    output: &part.output,
                    balance: book.accounts.get((run.id(), Some(node.ix), Some(number))).map(Balance::from),
                }
            })
        })
    }
}

/// Decides on delegated work: which answers of agents are valid, and which parts may be delegated.
#[derive(Clone, Copy)]
pub(super) struct Delegation<'a> {
    reader: &'a Reader,
    limits: &'a Limits,
    book: &'a Book,
}

impl<'a> Delegation<'a> {
    pub(super) const fn new(core: &'a Core, book: &'a Book) -> Self {
        Self { reader: core.reader(), limits: core.config().limits(), book }
    }

    /// The command instead of an invalid answer to work that may be delegated: a failure of the attempt, with its
    /// outcome unknown if the work has a compensation. None if the command of the agent is valid.
    pub(super) fn instead_of(self, command: &AgentCommand) -> Option<AgentCommand> {
        let AgentCommand::Complete { by, attempt, output, usage } = command else { return None };
        let owner = self.book.owner(attempt.task()).filter(|owner| owner.phase == Phase::Do)?;
        let failure = self.invalid_answer(owner, output)?;
        Some(AgentCommand::Fail { by: *by, attempt: *attempt, failure, usage: *usage })
    }

    /// The failure of an attempt with an invalid answer; none if the answer is valid or its instance is being
    /// cancelled.
    fn invalid_answer(self, owner: Owner, output: &Payload) -> Option<Failure> {
        let node = self.book.runs.node_of(owner)?;
        let (_, delegate) = node.delegate_work()?;
        if node.state.instances().get(owner.item).is_some_and(|instance| instance.is_cancelling()) {
            return None;
        }
        let message = misread(output, delegate, self.limits)?;
        let mut failure = Failure::transient(message.chars().take(SHOWN).collect::<String>());
        failure.code = Some(codes::INVALID_VALUE.into());
        if node.definition.undo.is_some() {
            failure.kind = FailureKind::Unknown;
        }
        Some(failure)
    }

    /// The event that delegates those of these parts that the limits allow and records the dropped ones, or the event
    /// that a limit is reached. None if the node does not delegate.
    pub(super) fn split(self, part: PartOf, parts: Vec<Subtask>) -> Option<NodeEvent> {
        let (_, delegate) = self.book.runs.get(part.run)?.graph().node(part.node)?.delegate_work()?;
        let (mut into, mut dropped, mut promised) = (Vec::new(), Vec::new(), Sum::NOTHING);
        for (index, task) in (0..).zip(parts) {
            match self.may_delegate(part, &task, into.len(), promised) {
                Ok(not) => {
                    promised = promised.plus(task.budget.unwrap_or_default()).ok()?;
                    into.push(DelegatedPart::new(task, not));
                }
                Err(limit) if delegate.on_limit == OnLimit::Stop => return Some(NodeEvent::Exhausted { limit }),
                Err(limit) => dropped.push(DroppedSubtask::new(index, limit)),
            }
        }
        Some(NodeEvent::Part { part: part.part, event: PartEvent::Split { into, dropped } })
    }

    /// Checks whether a part may be delegated besides `beside` others with these promised amounts. Returns the agents
    /// that must not get it.
    fn may_delegate(
        self,
        PartOf { run: id, node: ix, part }: PartOf,
        task: &Subtask,
        beside: usize,
        promised: Sum,
    ) -> Result<Vec<AgentId>, LimitReached> {
        let run = self.book.runs.get(id).ok_or(LimitReached::RepeatedWork)?;
        let node = run.graph().node(ix).ok_or(LimitReached::RepeatedWork)?;
        let (work, delegate) = node.delegate_work().ok_or(LimitReached::RepeatedWork)?;
        let limits = self.limits;
        let not = work.may_delegate(part, task, beside, (delegate, node.state.instances(), limits))?;
        if !not.is_empty() {
            let needs = task.needs.clone().unwrap_or_else(|| Needs::skill(task.kind.clone()));
            if !self.reader.is_able_without(&not, &needs, run.spec.tenant.as_ref()) {
                return Err(LimitReached::RepeatedWork);
            }
        }
        let instance = work.last_work(part).ok_or(LimitReached::RepeatedWork)?;
        let owner = Owner::new(id, ix, instance, Phase::Do);
        let asked = promised.plus(task.budget.unwrap_or_default()).map_err(|_| LimitReached::RepeatedWork)?;
        match self.book.shortage(owner, asked) {
            Some(measure) if task.budget.is_some() => Err(LimitReached::Budget { measure }),
            Some(_) | None => Ok(not),
        }
    }

    /// The event for an instance of work that its budget does not allow.
    pub(super) fn unaffordable(self, owner: Owner, limit: LimitReached) -> NodeEvent {
        let delegated = self.book.runs.node_of(owner).and_then(|node| node.delegate_work());
        let dropped = delegated.filter(|(_, delegate)| delegate.on_limit == OnLimit::Drop);
        match dropped.and_then(|(work, _)| work.of_work(owner.item)) {
            Some(work) => {
                let event = PartEvent::Ended { end: PartOutcome::Limit { limit }, output: None };
                NodeEvent::Part { part: work.part(), event }
            }
            None => NodeEvent::Exhausted { limit },
        }
    }
}

/// A part of the work of a node of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartOf {
    pub(super) run: RunId,
    pub(super) node: NodeIx,
    pub(super) part: u32,
}
