//! A node in which one token moves between states. Each visit of a state with a body is an instance.

use super::instance::is_default;
use super::step::{Decided, Ending, Step, Surroundings, Unfit, fit};
use super::{Applied, Illegal, Instance, InstanceEnd, Instances};
use crate::base::payload::Payload;
use crate::base::structure::OrAnomaly;
use crate::definition::{Expr, State, States};
use crate::message::event::NodeEvent;
use crate::message::run::LimitReached;
use crate::task::{Failure, codes};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

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
        let visit = Visit { states, state, token, instances, around };
        match (&state.body, token.body) {
            (None, _) => visit.leave_with(&token.value),
            (Some(_), Body::Pending) => match fit(around.eval(&state.input, token.value.clone()), around.limits()) {
                Ok(input) => Ok(Step::Begin(input)),
                Err(unfit) => visit.leave(Left::unfit("its input", &unfit)),
            },
            (Some(_), Body::Begun) => {
                let current = instances.last().or_anomaly("the body of a state was begun and has no instance")?;
                match current.end() {
                    Some(end) if end.is_success() => visit.leave_with(&end.output()),
                    Some(end) => visit.leave(Left::failed_in_body(end)),
                    None => Ok(Step::Idle),
                }
            }
        }
    }

    /// Enters a state, with the value that was given for it, or with the output of the body of the previous state.
    pub(super) fn enter(&mut self, state: u32, given: Option<&Payload>, instances: &Instances) {
        let left = || self.current(instances).and_then(Instance::end).map(carried);
        let value = given.cloned().or_else(left);
        let token = self.0.get_or_insert_default();
        if let Some(value) = value {
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

    /// The body of the current state has failed and is to begin again.
    pub(super) fn again(&mut self) {
        if let Some(token) = &mut self.0 {
            token.body = Body::Pending;
        }
    }

    /// The end of the body of the current state, if that has begun and is over.
    pub(crate) fn end_of_body<'i>(&self, instances: &'i Instances) -> Option<&'i InstanceEnd> {
        self.current(instances)?.end()
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

/// A token in a state that it leaves.
#[derive(Clone, Copy)]
struct Visit<'a> {
    states: &'a States,
    state: &'a State,
    token: &'a Token,
    instances: &'a Instances,
    around: &'a dyn Surroundings,
}

/// How a token leaves a state.
struct Left {
    /// The value of the token, unless the transition gives another one.
    value: Payload,
    source: Source,
    failure: Option<Failure>,
}

/// Where the value of a token comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// It is what the token carried before or what the body gave.
    Known,
    /// It was computed, so the event contains it.
    Computed,
}

impl Left {
    fn failed_in_body(end: &InstanceEnd) -> Self {
        let failure = Some(end.failure_or("it was cancelled"));
        Self { value: carried(end), source: Source::Known, failure }
    }

    /// The failure of a state of which a part has no value.
    fn unfit(what: &str, why: &Unfit) -> Self {
        let failure = Failure::permanent(format!("{what} {why}")).with_code(why.code());
        Self { value: Payload::new(json!({ "failure": failure })), source: Source::Computed, failure: Some(failure) }
    }
}

impl Visit<'_> {
    /// The value of an expression that combines what the token carried with something else.
    fn combined(&self, output: &Expr, name: &str, with: &Value) -> Result<Payload, Unfit> {
        self.around.meter().spend_copy(self.token.value.bytes());
        let item = json!({ "input": self.token.value.value(), name: with });
        fit(self.around.eval(output, Payload::new(item)), self.around.limits())
    }

    /// Leaves the state after its success with this result.
    fn leave_with(&self, result: &Payload) -> Decided {
        let Some(output) = &self.state.output else {
            return self.leave(Left { value: result.clone(), source: Source::Known, failure: None });
        };
        self.around.meter().spend_copy(result.bytes());
        self.leave(match self.combined(output, "result", result.value()) {
            Ok(value) => Left { value, source: Source::Computed, failure: None },
            Err(unfit) => Left::unfit(&format!("the output of state {}", self.state.name), &unfit),
        })
    }

    /// Leaves the state by its first transition that applies, or ends the node.
    fn leave(&self, left: Left) -> Decided {
        let Self { states, state, token, around, .. } = self;
        let mut ways = state.next.iter().filter(|way| match (&way.on_failure, &left.failure) {
            (Some(failures), Some(failure)) => failures.matches(failure),
            (wanted, failed) => wanted.is_some() == failed.is_some(),
        });
        let Some(way) = ways.find(|way| around.holds(&way.when, left.value.clone())) else {
            return Ok(Step::End(self.end(left)));
        };
        if token.entered >= states.max_steps {
            let limit = LimitReached::Steps { max: states.max_steps };
            return Ok(Step::End(Ending::Limit { limit, partial: left.value }));
        }
        let to = states.states.iter().position(|state| state.name == way.to);
        let to = to.and_then(|to| u32::try_from(to).ok()).or_anomaly("a transition leads to no state")?;
        let item = match &way.output {
            None => (left.source == Source::Computed).then_some(left.value),
            Some(output) => match self.taken(output, &left) {
                Ok(value) => Some(value),
                Err(unfit) => {
                    let what = format!("the output of the transition from state {} to {}", state.name, way.to);
                    return Ok(Step::End(Ending::failed(unfit.code(), format!("{what} {unfit}"))));
                }
            },
        };
        Ok(Step::Record(NodeEvent::StateEntered { state: to, item }))
    }

    /// What the token carries along a transition.
    fn taken(&self, output: &Expr, left: &Left) -> Result<Payload, Unfit> {
        self.around.meter().spend_copy(left.value.bytes());
        match &left.failure {
            None => self.combined(output, "result", left.value.value()),
            Some(_) => self.combined(output, "failure", left.value.value().get("failure").unwrap_or(&Value::Null)),
        }
    }

    /// The end of the node in this state.
    fn end(&self, left: Left) -> Ending {
        let state = self.state;
        match left.failure {
            Some(failure) if left.source == Source::Known => {
                Ending::failed_in(self.instances.len().saturating_sub(1), failure)
            }
            Some(failure) => Ending::Failed { failure, instance: None },
            None if state.next.iter().all(|way| way.on_failure.is_some()) => {
                Ending::With { took: vec![state.name.clone()], output: left.value }
            }
            None => Ending::failed(codes::NO_CASE, format!("no transition from state {} applies", state.name)),
        }
    }
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
    fn an_output_combines_what_the_token_carried_with_the_result() {
        let both: Expr = "{before: item.input, now: item.result}".parse().unwrap();
        let keep: Expr = "item.result.before".parse().unwrap();
        let work_state = State::new("work").doing(Work::new("work")).with_output(both).then("done").carrying(keep);
        let states = States::from("work", 2).with(work_state).with(State::new("done"));
        let mut work = StatesWork::default();
        work.enter(0, Some(&payload(json!(null))), &Instances::default());
        work.begin().unwrap();
        let done = succeeded(&[json!(6)]);
        let next = |work: &StatesWork, states: &States| work.next(states, &done, &Alone::default()).unwrap();
        let Step::Record(event) = next(&work, &states) else { panic!("it enters the next state") };
        // A value that is null is not the same as none.
        assert_eq!(event, NodeEvent::StateEntered { state: 1, item: Some(Payload::NULL) });
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<NodeEvent>(&text).unwrap(), event);
        work.enter(1, Some(&Payload::NULL), &done);
        assert!(work.value().is_null());
    }

    #[test]
    fn a_failure_keeps_what_the_token_carried() {
        let keep: Expr = "put(item.input, '/why', item.failure.message)".parse().unwrap();
        let missing: Expr = "item.nothing".parse().unwrap();
        let failing = State::new("work").doing(Work::new("work")).on_failure("done").carrying(keep);
        let unfit = failing.clone().with_input(missing.clone());
        for (state, why) in [(failing, "broken"), (unfit, "its input has no value: there is nothing at `item.nothing`")]
        {
            let states = States::from("work", 2).with(state).with(State::new("done"));
            let (mut work, mut instances) = (StatesWork::default(), Instances::default());
            work.enter(0, Some(&payload(json!({"order": 5}))), &instances);
            if why == "broken" {
                work.begin().unwrap();
                let index = fixture::begin(&mut instances);
                fail(&mut instances, index);
            }
            let step = work.next(&states, &instances, &Alone::default()).unwrap();
            let Step::Record(NodeEvent::StateEntered { item: Some(item), .. }) = step else { panic!("{step:?}") };
            assert_eq!(item, payload(json!({"order": 5, "why": why})));
        }
        // A transition whose own value is missing ends the node.
        let lost = State::new("work").then("done").carrying(missing);
        let states = States::from("work", 2).with(lost).with(State::new("done"));
        let mut work = StatesWork::default();
        work.enter(0, Some(&payload(json!(1))), &Instances::default());
        let step = work.next(&states, &Instances::default(), &Alone::default()).unwrap();
        assert!(matches!(step, Step::End(Ending::Failed { .. })), "{step:?}");
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
