//! Work that is handed on in parts: what agents answer, what may be handed on, how it stands.

use super::drive::Driver;
use super::spending::Balance;
use super::view::NodeView;
use crate::command::AgentCommand;
use crate::definition::{Beyond, Budget, Subtask};
use crate::event::{NodeEvent, PartEvent};
use crate::id::{AgentId, RunId};
use crate::name::Name;
use crate::payload::Payload;
use crate::run::{Dropped, Handed, LimitReached, PartEnd};
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
    pub end: Option<&'a PartEnd>,
    /// Its result.
    pub output: &'a Payload,
    /// Where its share of the budget stands, if it was promised one and has not ended.
    pub balance: Option<Balance>,
}

impl<'a> NodeView<'a> {
    /// The parts of its work, if that may be handed on: who has handed what to whom. Parts come after those that they are
    /// part of.
    pub fn parts_handed_on(&self) -> impl Iterator<Item = PartView<'a>> + use<'a> {
        let (run, book, place) = self.parts();
        let tree = run.nodes.get(place as usize).and_then(|state| state.tree());
        let parts = tree.map(|tree| tree.all()).unwrap_or_default();
        (0..).zip(parts).filter_map(move |(number, part)| {
            let (kind, payload) = run.asked(place, number);
            Some(PartView {
                number,
                of: part.of,
                depth: part.depth,
                kind: kind?,
                payload: payload.cloned().unwrap_or_default(),
                agents: &part.agents,
                end: part.end.as_ref(),
                output: &part.output,
                balance: book.accounts.get((run.id(), Some(place), Some(number))).map(Balance::from),
            })
        })
    }
}

impl Driver {
    /// What an agent says. An answer to work that may be handed on must be one; another is a failure of the attempt. If what
    /// was done can be undone, nobody knows whether there is something to undo.
    pub(super) fn heard(&self, command: AgentCommand) -> AgentCommand {
        let AgentCommand::Complete { by, attempt, output, usage } = &command else { return command };
        let Some(owner) = self.book.owner(attempt.task()).filter(|owner| owner.phase == Phase::Do) else {
            return command;
        };
        // What is not wanted any more is not read.
        let Some(run) = self.book.get(owner.run).filter(|run| !run.is_cancelling(owner)) else { return command };
        let Some(delegate) = run.delegate(owner.node) else { return command };
        let Some(message) = misread(output, delegate, self.core.config().limits()) else { return command };
        let undone = run.plan.node(owner.node).is_some_and(|(node, _)| node.undo.is_some());
        let mut failure = Failure::transient(message.chars().take(SHOWN).collect::<String>());
        if undone {
            failure.kind = FailureKind::Unknown;
        }
        AgentCommand::Fail { by: *by, attempt: *attempt, failure, usage: *usage }
    }

    /// Which of these parts may be handed on, stated with what is left out; or that a bound is met.
    pub(super) fn split(&self, id: RunId, node: u32, part: u32, parts: Vec<Subtask>) -> Option<NodeEvent> {
        let run = self.book.get(id)?;
        let beyond = run.delegate(node)?.beyond;
        let (mut into, mut dropped, mut promised) = (Vec::new(), Vec::new(), Spending::NOTHING);
        for (place, task) in (0..).zip(parts) {
            match self.may_hand_on((id, node, part), &task, into.len(), promised) {
                Ok(not) => {
                    promised = promised + share(task.budget);
                    into.push(Handed::new(task, not));
                }
                Err(limit) if beyond == Beyond::Stop => return Some(NodeEvent::Exhausted { limit }),
                Err(limit) => dropped.push(Dropped::new(place, limit)),
            }
        }
        Some(NodeEvent::Part { part, event: PartEvent::Split { into, dropped } })
    }

    /// The agents that must not get it, if it may be handed on beside so many parts with so much promised.
    fn may_hand_on(
        &self,
        (id, node, part): (RunId, u32, u32),
        task: &Subtask,
        beside: usize,
        promised: Spending,
    ) -> Result<Vec<AgentId>, LimitReached> {
        let run = self.book.get(id).ok_or(LimitReached::Repeated)?;
        let not = run.may_hand_on(node, part, task, beside, self.core.config().limits())?;
        if !not.is_empty() {
            let needs = task.needs.clone().unwrap_or_else(|| Needs::skill(task.kind.clone()));
            if !self.core.reader().is_able_without(&not, &needs) {
                return Err(LimitReached::Repeated);
            }
        }
        let item = run.last_work(node, part).ok_or(LimitReached::Repeated)?;
        let owner = Owner::new(id, node, item, Phase::Do);
        match self.book.lacks(owner, promised + share(task.budget)) {
            Some(measure) if task.budget.is_some() => Err(LimitReached::Budget { measure }),
            Some(_) | None => Ok(not),
        }
    }

    /// What follows when there is not enough of a budget for a piece of work.
    pub(super) fn unaffordable(&self, owner: Owner, limit: LimitReached) -> Option<NodeEvent> {
        let run = self.book.get(owner.run)?;
        let drops = run.delegate(owner.node).is_some_and(|delegate| delegate.beyond == Beyond::Drop);
        match run.part_of(owner).filter(|_| drops) {
            Some(part) => {
                let event = PartEvent::Ended { end: PartEnd::Limit { limit }, output: None };
                Some(NodeEvent::Part { part, event })
            }
            None => Some(NodeEvent::Exhausted { limit }),
        }
    }
}

fn share(budget: Option<Budget>) -> Spending {
    let budget = budget.unwrap_or_default();
    Spending {
        attempts: budget.attempts.unwrap_or(0),
        cost: budget.cost.unwrap_or(0),
        tokens: budget.tokens.unwrap_or(0),
    }
}
