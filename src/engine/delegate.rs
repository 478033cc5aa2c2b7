//! Work that is handed on in parts: what agents answer, what may be handed on, how it stands.

use super::drive::Driver;
use super::spending::Balance;
use super::view::NodeView;
use crate::base::id::{AgentId, NodeIx, RunId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::{Budget, OnLimit, Subtask};
use crate::message::command::AgentCommand;
use crate::message::event::{NodeEvent, PartEvent};
use crate::message::run::{DelegatedPart, DroppedSubtask, LimitReached, PartOutcome};
use crate::task::{Failure, FailureKind, Needs, Owner, Phase, Spending};
use crate::workflow::machine::misread;

/// How much of a bad answer a failure quotes.
const SHOWN: usize = 300;

/// A part of a node's work that was handed on, or the whole, which is part 0.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PartView<'a> {
    /// Its number, in the order in which parts were asked for.
    pub number: u32,
    /// The part whose agent asked for it; none for the whole.
    pub of: Option<u32>,
    /// How often the work was handed on.
    pub depth: u32,
    /// The kind of its task.
    pub kind: &'a Name,
    /// What it was given; null for the whole before it has begun.
    pub payload: Payload,
    /// Who was given it or its results, each once, in the order in which they were.
    pub agents: &'a [AgentId],
    /// How it ended, if it has.
    pub end: Option<&'a PartOutcome>,
    /// Its result.
    pub output: &'a Payload,
    /// Where its share of the budget stands, if it was promised one and has not ended.
    pub balance: Option<Balance>,
}

impl<'a> NodeView<'a> {
    /// The delegated parts of its work, the whole first: who delegated what to whom. Parts come after those that they are part
    /// of.
    pub fn parts_handed_on(&self) -> impl Iterator<Item = PartView<'a>> + use<'a> {
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

impl Driver {
    /// A command of an agent. A result of work that may be delegated must be an answer to it; another is a failure of the
    /// attempt. If the work can be undone, its outcome is unknown.
    pub(super) fn heard(&self, command: AgentCommand) -> AgentCommand {
        let AgentCommand::Complete { by, attempt, output, usage } = &command else { return command };
        let owner = self.book.owner(attempt.task()).filter(|owner| owner.phase == Phase::Do);
        let Some(failure) = owner.and_then(|owner| self.misread(owner, output)) else { return command };
        AgentCommand::Fail { by: *by, attempt: *attempt, failure, usage: *usage }
    }

    /// The failure of an attempt whose result is no answer; none if the result is usable or not wanted any more.
    fn misread(&self, owner: Owner, output: &Payload) -> Option<Failure> {
        let node = self.book.node_of(owner)?;
        let (_, delegate) = node.delegate_work()?;
        if node.state.instances().get(owner.item).is_some_and(|instance| instance.is_cancelling()) {
            return None;
        }
        let message = misread(output, delegate, self.core.config().limits())?;
        let mut failure = Failure::transient(message.chars().take(SHOWN).collect::<String>());
        if node.definition.undo.is_some() {
            failure.kind = FailureKind::Unknown;
        }
        Some(failure)
    }

    /// Which of these parts may be delegated, recorded with what is left out; or that a limit is reached. None if the node
    /// delegates nothing.
    pub(super) fn split(&self, part: PartOf, parts: Vec<Subtask>) -> Option<NodeEvent> {
        let (_, delegate) = self.book.get(part.run)?.graph().node(part.node)?.delegate_work()?;
        let (mut into, mut dropped, mut promised) = (Vec::new(), Vec::new(), Spending::NOTHING);
        for (index, task) in (0..).zip(parts) {
            match self.may_delegate(part, &task, into.len(), promised) {
                Ok(not) => {
                    promised = promised + share(task.budget);
                    into.push(DelegatedPart::new(task, not));
                }
                Err(limit) if delegate.on_limit == OnLimit::Stop => return Some(NodeEvent::Exhausted { limit }),
                Err(limit) => dropped.push(DroppedSubtask::new(index, limit)),
            }
        }
        Some(NodeEvent::Part { part: part.part, event: PartEvent::Split { into, dropped } })
    }

    /// The agents that must not get a part, if it may be delegated beside so many with so much promised.
    fn may_delegate(
        &self,
        PartOf { run: id, node: ix, part }: PartOf,
        task: &Subtask,
        beside: usize,
        promised: Spending,
    ) -> Result<Vec<AgentId>, LimitReached> {
        let node = self.book.get(id).and_then(|run| run.graph().node(ix)).ok_or(LimitReached::RepeatedWork)?;
        let (work, delegate) = node.delegate_work().ok_or(LimitReached::RepeatedWork)?;
        let limits = self.core.config().limits();
        let not = work.may_delegate(part, task, beside, (delegate, node.state.instances(), limits))?;
        if !not.is_empty() {
            let needs = task.needs.clone().unwrap_or_else(|| Needs::skill(task.kind.clone()));
            if !self.core.reader().is_able_without(&not, &needs) {
                return Err(LimitReached::RepeatedWork);
            }
        }
        let instance = work.last_work(part).ok_or(LimitReached::RepeatedWork)?;
        let owner = Owner::new(id, ix, instance, Phase::Do);
        match self.book.lacks(owner, promised + share(task.budget)) {
            Some(measure) if task.budget.is_some() => Err(LimitReached::Budget { measure }),
            Some(_) | None => Ok(not),
        }
    }

    /// What follows when there is not enough of a budget for an instance.
    pub(super) fn unaffordable(&self, owner: Owner, limit: LimitReached) -> NodeEvent {
        let delegated = self.book.node_of(owner).and_then(|node| node.delegate_work());
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

fn share(budget: Option<Budget>) -> Spending {
    let budget = budget.unwrap_or_default();
    Spending {
        attempts: budget.attempts.unwrap_or(0),
        cost: budget.cost.unwrap_or(0),
        tokens: budget.tokens.unwrap_or(0),
    }
}
