//! A node in which one token moves between states. Each visit of a state with a body is an instance.

use super::instance::is_default;
use super::step::{Decided, Ending, Step, Surroundings, begin, fit};
use super::{Applied, Illegal, Instance, InstanceEnd, Instances};
use crate::base::payload::Payload;
use crate::base::structure::OrAnomaly;
use crate::definition::{State, States};
use crate::message::event::NodeEvent;
use crate::message::run::LimitReached;
use crate::task::codes;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The state of a node with states: its token, once it has entered the initial state.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct StatesWork(Option<Box<Token>>);

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Token {
    /// The index of the current state.
    state: u32,
    /// The number of states entered.
    entered: u32,
    /// The value of the token.
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    value: Payload,
    #[serde(default, skip_serializing_if = "is_default")]
    body: Body,
}

/// Whether the body of the current state has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Body {
    #[default]
    Pending,
    /// The last instance performs it.
    Begun,
}

impl StatesWork {
    /// The value of the token.
    pub(crate) fn value(&self) -> Payload {
        self.0.as_ref().map(|token| token.value.clone()).unwrap_or_default()
    }

    /// The current state.
    pub(crate) fn state(&self) -> Option<u32> {
        self.0.as_ref().map(|token| token.state)
    }

    /// The instance that performs the body of the current state.
    fn current<'i>(&self, instances: &'i Instances) -> Option<&'i Instance> {
        self.0.as_ref().filter(|token| token.body == Body::Begun)?;
        instances.last()
    }

    /// Whether a body that has begun has an instance.
    pub(super) fn is_sound(&self, instances: &Instances) -> bool {
        self.0.as_ref().is_none_or(|token| token.body == Body::Pending || !instances.is_empty())
    }

    /// Moves the token, if possible.
    pub(crate) fn next(&self, states: &States, instances: &Instances, around: &dyn Surroundings) -> Decided {
        let Some(token) = &self.0 else { return first(states, around) };
        let state =
            states.states.get(token.state as usize).or_anomaly("a token is in a state that its node does not have")?;
        let end = match (&state.body, token.body) {
            (None, _) => None,
            (Some(_), Body::Pending) => {
                let input = around.eval(&state.input, token.value.clone());
                return Ok(begin(fit(input, around.limits()), instances));
            }
            (Some(_), Body::Begun) => {
                let current = instances.last().or_anomaly("the body of a state was begun and has no instance")?;
                match current.end() {
                    Some(end) => Some(end),
                    None => return Ok(Step::Idle),
                }
            }
        };
        leave(states, (state, token), (instances, end), around)
    }

    /// Enters a state, with the output of the body of the previous state.
    pub(super) fn enter(&mut self, state: u32, first: Option<&Payload>, instances: &Instances) {
        let left = self.current(instances).and_then(Instance::end).map(carried);
        let token = self.0.get_or_insert_default();
        if let Some(value) = left.or_else(|| first.cloned()) {
            token.value = value;
        }
        (token.state, token.entered, token.body) = (state, token.entered.saturating_add(1), Body::Pending);
    }

    /// Begins the body of the current state. Returns the index of the state.
    pub(super) fn begin(&mut self) -> Applied<u32> {
        let token = self.0.as_mut().filter(|token| token.body == Body::Pending);
        let token = token.ok_or(Illegal::new("the body of a state begins", "no state waits for it"))?;
        token.body = Body::Begun;
        Ok(token.state)
    }

    /// Resets the state after the end of the node.
    pub(super) fn reset(&mut self) {
        self.0 = None;
    }
}

/// Enters the initial state.
fn first(states: &States, around: &dyn Surroundings) -> Decided {
    let state = states.states.iter().position(|state| state.name == states.start);
    let state = state.and_then(|state| u32::try_from(state).ok()).or_anomaly("a node has no first state")?;
    match around.input(Payload::NULL) {
        Ok(input) => Ok(Step::Record(NodeEvent::StateEntered { state, item: (!input.is_null()).then_some(input) })),
        Err(unfit) => Ok(Step::End(Ending::unfit(&unfit))),
    }
}

/// Leaves a state whose body, if it has one, ended in this way.
fn leave(
    states: &States,
    (state, token): (&State, &Token),
    (instances, end): (&Instances, Option<&InstanceEnd>),
    around: &dyn Surroundings,
) -> Decided {
    let value = end.map_or_else(|| token.value.clone(), carried);
    let failed = end.filter(|end| !end.is_success()).map(|end| end.failure_or("it was cancelled"));
    let mut ways = state.next.iter().filter(|way| match (&way.on_failure, &failed) {
        (Some(failures), Some(failure)) => failures.matches(failure),
        (wanted, failed) => wanted.is_some() == failed.is_some(),
    });
    let Some(way) = ways.find(|way| around.holds(&way.when, value.clone())) else {
        return Ok(Step::End(match failed {
            Some(failure) => Ending::failed_in(instances.len().saturating_sub(1), failure),
            None if state.next.iter().all(|way| way.on_failure.is_some()) => {
                Ending::With { took: vec![state.name.clone()], output: value }
            }
            None => Ending::failed(codes::NO_CASE, format!("no transition from state {} applies", state.name)),
        }));
    };
    if token.entered >= states.max_steps {
        let limit = LimitReached::Steps { max: states.max_steps };
        return Ok(Step::End(Ending::Limit { limit, partial: value }));
    }
    let to = states.states.iter().position(|state| state.name == way.to);
    let to = to.and_then(|to| u32::try_from(to).ok()).or_anomaly("a transition leads to no state")?;
    Ok(Step::Record(NodeEvent::StateEntered { state: to, item: None }))
}

/// The value of the token after the body of a state.
fn carried(end: &InstanceEnd) -> Payload {
    match end.failure() {
        Some(failure) => Payload::new(json!({ "failure": failure })),
        None => end.output(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::step::fixture::{self, Alone, fail, payload, succeeded};
    use super::*;
    use crate::definition::Work;

    /// A state with a body, from which failures lead back; and a final one.
    fn states() -> States {
        let work = State::new("work").doing(Work::new("work")).then("done").on_failure("work");
        States::from("work", 2).with(work).with(State::new("done"))
    }

    fn step(work: &StatesWork, instances: &Instances) -> Step {
        work.next(&states(), instances, &Alone::default()).unwrap()
    }

    #[test]
    fn a_token_moves_to_a_final_state() {
        let mut work = StatesWork::default();
        let none = Instances::default();
        assert!(matches!(step(&work, &none), Step::Record(NodeEvent::StateEntered { state: 0, .. })));
        work.enter(0, Some(&payload(json!(5))), &none);
        assert!(matches!(step(&work, &none), Step::Begin(input) if input.value() == 5));
        assert_eq!((work.begin(), work.begin().is_err()), (Ok(0), true));
        let done = succeeded(&[json!(6)]);
        assert!(matches!(step(&work, &done), Step::Record(NodeEvent::StateEntered { state: 1, item: None })));
        work.enter(1, None, &done);
        assert_eq!(work.value(), payload(json!(6)));
        let end = step(&work, &done);
        assert!(matches!(end, Step::End(Ending::With { took, .. }) if took == ["done"]));
    }

    #[test]
    fn a_failure_takes_its_own_way_until_the_limit() {
        let (mut work, mut instances) = (StatesWork::default(), Instances::default());
        for entered in 1..=2 {
            work.enter(0, None, &instances);
            work.begin().unwrap();
            let index = fixture::begin(&mut instances);
            assert!(matches!(step(&work, &instances), Step::Idle));
            fail(&mut instances, index);
            let limited = matches!(step(&work, &instances), Step::End(Ending::Limit { .. }));
            assert_eq!(limited, entered == 2);
        }
    }
}
