//! One token moves between states.

use super::moves::Move;
use super::{Piece, PieceEnd, Run};
use crate::definition::{Action, Call, State, States};
use crate::event::NodeEvent;
use crate::limits::Limits;
use crate::payload::Payload;
use crate::run::{LimitReached, NodeOutcome};
use crate::task::{Failure, Owner, Phase};
use crate::workflow::plan::{Plan, Template, WorkPlan};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::borrow::Cow;
use std::sync::Arc;

/// Where the token of a node stands.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Token {
    /// The state that it is in.
    state: u32,
    /// How many it has entered.
    entered: u32,
    /// What it carries.
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    value: Payload,
    /// Whether what is done in the state has begun.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    begun: bool,
}

impl Token {
    /// What it carries.
    pub(super) const fn value(&self) -> &Payload {
        &self.value
    }
}

/// What a piece of work of a state leaves to the token.
fn carried(end: &PieceEnd) -> Payload {
    match end.failure() {
        Some(failure) => Payload::new(json!({ "failure": failure })),
        None => end.output(),
    }
}

impl Run {
    fn states(&self, node: u32) -> Option<&States> {
        match &self.plan.node(node)?.0.action {
            Action::States(states) => Some(states),
            Action::Do(_)
            | Action::Choose { .. }
            | Action::Map(_)
            | Action::Repeat(_)
            | Action::Delegate(_)
            | Action::Wait { .. }
            | Action::Race { .. }
            | Action::Pass
            | Action::Stop
            | Action::Fail(_) => None,
        }
    }

    fn token_at(&self, node: u32) -> Option<(&Token, &State)> {
        let token = self.state(node)?.token()?;
        Some((token, self.states(node)?.states.get(token.state as usize)?))
    }

    /// The piece of work of the state that the token is in, if that has begun.
    fn current(&self, node: u32) -> Option<&Piece> {
        self.token_at(node).filter(|(token, _)| token.begun)?;
        self.state(node)?.pieces.last()
    }

    /// The token enters a state.
    pub(super) fn entered(&mut self, node: u32, to: u32, first: Option<&Payload>) -> Result<(), &'static str> {
        let left = self.current(node).and_then(|piece| piece.end.as_ref()).map(carried);
        let state = self.state_mut(node).ok_or("an unknown node is entered")?;
        let token = state.more_mut().token.get_or_insert_default();
        token.value = left.or_else(|| first.cloned()).unwrap_or_else(|| token.value.clone());
        token.state = to;
        token.entered = token.entered.saturating_add(1);
        token.begun = false;
        self.agenda.insert(node);
        Ok(())
    }

    /// The work of the state that the token is in has begun.
    pub(super) fn token_begins(&mut self, node: u32) -> u32 {
        match self.state_mut(node).and_then(|state| state.more.as_mut()?.token.as_mut()) {
            Some(token) => {
                token.begun = true;
                token.state
            }
            None => 0,
        }
    }

    /// Lets the token go on, if it can.
    pub(super) fn walk(&self, node: u32, limits: &Limits) -> Option<Move> {
        let states = self.states(node)?;
        let enter = |state: u32, item: Option<Payload>| Some(Move::of(node, NodeEvent::StateEntered { state, item }));
        let Some((token, state)) = self.token_at(node) else {
            let first = states.states.iter().position(|state| state.name == states.start)?;
            return match self.given(node, Payload::NULL, limits) {
                Ok(input) => enter(u32::try_from(first).ok()?, (!input.is_null()).then_some(input)),
                Err(failed) => Some(failed),
            };
        };
        let mut failure = None;
        let mut value = token.value.clone();
        if state.body.is_some() {
            if !token.begun {
                return Some(self.begin_state(node, state, value, limits));
            }
            let end = self.current(node)?.end.as_ref()?;
            failure = (!end.succeeded())
                .then(|| end.failure().cloned().unwrap_or_else(|| Failure::permanent("it was cancelled")));
            value = carried(end);
        }
        let scope = self.scope(Some(node), value.clone(), limits);
        let mut ways = state.next.iter().filter(|way| way.on_failure == failure.is_some());
        let maybe = self.state(node)?.is_doubtful();
        let Some(way) = ways.find(|way| way.when.holds(&scope)) else {
            return Some(match failure {
                Some(failure) => self.end(node, NodeOutcome::Failed { failure, maybe, limit: None }),
                None if state.next.iter().all(|way| way.on_failure) => {
                    self.end_with(node, vec![state.name.clone()], value)
                }
                None => self.fail(node, format!("no way from state {} holds", state.name)),
            });
        };
        if token.entered >= states.most {
            return Some(self.exhausted(node, LimitReached::Steps { most: states.most }, value));
        }
        let to = states.states.iter().position(|state| state.name == way.to)?;
        enter(u32::try_from(to).ok()?, None)
    }

    fn begin_state(&self, node: u32, state: &State, value: Payload, limits: &Limits) -> Move {
        let place = self.state(node).map_or(0, |state| u32::try_from(state.pieces.len()).unwrap_or(u32::MAX));
        match self.fitted(state.input.eval(&self.scope(Some(node), value, limits)), node, limits) {
            Ok(input) => self.begin(node, place, input),
            Err(failed) => failed,
        }
    }

    /// The state in which a piece of work was or will be done.
    fn state_of(&self, owner: Owner) -> Option<usize> {
        let state = self.state(owner.node)?;
        let place = match state.pieces.get(owner.item as usize) {
            Some(piece) => piece.state(),
            None => state.token()?.state,
        };
        Some(place as usize)
    }

    /// How the task of a piece of work is submitted.
    pub(crate) fn template(&self, owner: Owner) -> Option<Cow<'_, Template>> {
        if owner.phase == Phase::Do && self.delegate(owner.node).is_some() {
            return self.template_of_part(owner);
        }
        let work = self.work_of(owner)?;
        let template = match owner.phase {
            Phase::Do => work.task.as_ref(),
            Phase::Undo => work.undo.as_ref(),
            Phase::Query => work.query.as_ref(),
        };
        template.map(Cow::Borrowed)
    }

    /// The workflow within that is a piece of work.
    pub(crate) fn flow_of(&self, owner: Owner) -> Option<&Arc<Plan>> {
        self.work_of(owner)?.child.as_ref()
    }

    /// The workflow that is called as a piece of work.
    pub(crate) fn call_of(&self, owner: Owner) -> Option<&Call> {
        self.work_of(owner)?.call.as_ref()
    }

    fn work_of(&self, owner: Owner) -> Option<&WorkPlan> {
        let (_, node) = self.plan.node(owner.node)?;
        if node.states.is_empty() { Some(&node.work) } else { node.states.get(self.state_of(owner)?) }
    }
}
