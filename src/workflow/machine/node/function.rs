//! A node that executes a durable function: its turns, and the calls that they request. Each turn and each call is an instance.

use super::calls::{Call, Index, Tally};
use super::instance::is_default;
use super::step::{Decided, Ending, Step, Surroundings, begin, cancel_then, fit};
use super::{Applied, Illegal, Instance, InstanceEnd, Instances};
use crate::base::canonical::Canonical as _;
use crate::base::limits::Limits;
use crate::base::meter::{EVENT, Meter};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::OrAnomaly;
use crate::definition::{Definition, DurableFunction, FunctionAnswer, FunctionCall, FunctionTurn, Occurrence};
use crate::message::event::NodeEvent;
use crate::saga::Pivot;
use crate::task::{Code, Failure, codes};
use crate::workflow::functions::Functions;
use crate::workflow::plan::WorkPlan;
use crate::workflow::validate::validate;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// The state of a durable function, once it has begun. It is retained after its end.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct FunctionWork(Option<Box<State>>);

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct State {
    /// All calls, in the order of their requests. They begin in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    calls: Vec<Call>,
    /// The first call that has not begun.
    #[serde(default, skip_serializing_if = "is_default")]
    next: u32,
    /// The number of turns that have begun.
    #[serde(default, skip_serializing_if = "is_default")]
    turns: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    turn: Turn,
    /// The calls that have ended, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    results: Vec<u32>,
    /// The number of results that the last turn was given.
    #[serde(default, skip_serializing_if = "is_default")]
    seen: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    tally: Tally,
    #[serde(default, skip_serializing_if = "is_default")]
    /// Whether the function has passed a pivot.
    pivot: Pivot,
    /// The calls up to its last pivot: they are not rolled back any more.
    #[serde(default, skip_serializing_if = "is_default")]
    firm: u32,
    /// The rollback that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cut: Option<Cut>,
    /// The last time it has continued as new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    again: Option<Again>,
    /// Follows from the calls.
    #[serde(skip)]
    index: Index,
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        let counts = |state: &Self| (state.next, state.turns, state.seen, state.tally, state.pivot, state.firm);
        (&self.calls, &self.turn, &self.results, &self.cut, &self.again)
            == (&other.calls, &other.turn, &other.results, &other.cut, &other.again)
            && counts(self) == counts(other)
    }
}

/// The calls that are rolled back, while the calls before them are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Cut {
    /// The first of them.
    from: u32,
    /// Their effects.
    #[serde(default, skip_serializing_if = "is_default")]
    tally: Tally,
}

/// The input with which a function has continued as new.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Again {
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    input: Payload,
}

/// Where the turns of a function stand.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Turn {
    /// The function begins with the next turn, for the first time or again.
    #[default]
    First,
    /// The next turn begins when there is a new result.
    Waits,
    /// This instance performs a turn, or has failed to.
    UnderWay { instance: u32 },
    /// The last turn has ended with this answer.
    Answered { answer: Payload },
}

/// Reading.
impl FunctionWork {
    pub(crate) fn has_begun(&self) -> bool {
        self.0.is_some()
    }

    /// The call that an instance performs, begun or next to begin; none for a turn.
    pub(crate) fn call_of(&self, instance: u32, instances: &Instances) -> Option<&Call> {
        let state = self.0.as_ref()?;
        match instances.get(instance) {
            Some(instance) => self.performed_by(instance),
            None => state.calls.get(state.next as usize),
        }
    }

    /// The call that an instance performs, which has begun; none for a turn.
    pub(crate) fn performed_by(&self, instance: &Instance) -> Option<&Call> {
        self.0.as_ref()?.calls.get(instance.state().checked_sub(1)? as usize)
    }

    /// The work of the call that an instance performs.
    pub(crate) fn work_of(&self, instance: u32, instances: &Instances) -> Option<&WorkPlan> {
        self.call_of(instance, instances)?.plan()
    }

    /// The effects of its calls; during a rollback, of those that are rolled back.
    pub(crate) fn tally(&self) -> Tally {
        let tally = |state: &State| state.cut.map_or(state.tally, |cut| cut.tally);
        self.0.as_deref().map(tally).unwrap_or_default()
    }

    /// Whether it has passed a pivot.
    pub(crate) fn has_passed_pivot(&self) -> bool {
        self.0.as_ref().is_some_and(|state| state.pivot == Pivot::Passed)
    }

    /// Whether a call with a compensation of its own has had side effects.
    pub(crate) fn leaves_effects(&self, instances: &Instances) -> bool {
        let had_effect = |call: &Call| {
            let instance = call.instance().and_then(|instance| instances.get(instance));
            call.declares_undo() && !call.was_rolled_back() && instance.is_some_and(Instance::had_effect)
        };
        self.0.as_ref().is_some_and(|state| state.calls.iter().any(had_effect))
    }

    /// The calls that the function can request again.
    pub(crate) fn calls(&self) -> impl Iterator<Item = &Call> {
        self.0.iter().flat_map(|state| state.calls.iter().filter(|call| !call.is_forgotten()))
    }

    /// The calls that have ended, in this order, without the first ones.
    pub(crate) fn results(&self, from: u32) -> impl Iterator<Item = &Call> {
        self.0.iter().flat_map(move |state| {
            let results = state.results.get(from as usize..).unwrap_or_default();
            results.iter().filter_map(|call| state.calls.get(*call as usize))
        })
    }

    /// The result in the answer of the last turn.
    pub(crate) fn result(&self) -> Payload {
        match self.0.as_ref().map(|state| &state.turn) {
            Some(Turn::Answered { answer }) => {
                answer.value().get("done").cloned().map(Payload::new).unwrap_or_default()
            }
            Some(Turn::First | Turn::Waits | Turn::UnderWay { .. }) | None => Payload::NULL,
        }
    }

    /// Why an answer to the turn under way cannot be accepted; none if it can.
    pub(crate) fn refusal(
        &self,
        answer: &Payload,
        function: &DurableFunction,
        limits: &Limits,
        meter: &Meter,
        lacks: &dyn Fn(&Definition) -> Option<Name>,
    ) -> Option<Failure> {
        let state = self.0.as_ref()?;
        let refused = |code: &str, message: String| Some(Failure::permanent(message).with_code(code));
        let calls = match answer.to::<FunctionAnswer<Value>>() {
            Ok(FunctionAnswer::Calls(mut calls)) => {
                calls.make_canonical();
                calls
            }
            Ok(FunctionAnswer::Done(_) | FunctionAnswer::Again(_)) => return None,
            Ok(FunctionAnswer::Fail(failure)) => {
                let is_valid = failure.code.as_ref().is_none_or(Code::is_valid);
                let message = || "its answer has a failure with an invalid code".to_owned();
                return if is_valid { None } else { refused(codes::INVALID_VALUE, message()) };
            }
            Err(error) => {
                return refused(codes::INVALID_VALUE, format!("its answer is no answer of a function: {error}"));
            }
        };
        let most = function.max_calls_per_turn.min(limits.runs.map_items);
        if calls.len() > most as usize {
            return refused(codes::FUNCTION_CALLS, format!("its answer requests more than {most} calls"));
        }
        let unsound = |call: &FunctionCall| {
            meter.spend(EVENT);
            unsound(call, limits, lacks)
        };
        match state.index.check(&state.calls, calls, unsound) {
            Err(refusal) => Some(refusal),
            Ok(new) => {
                let most = function.max_calls.min(limits.runs.map_items);
                if state.index.open().saturating_add(state.results.len()).saturating_add(new) > most as usize {
                    return refused(codes::FUNCTION_CALLS, format!("it requests more than {most} calls in total"));
                }
                let is_stuck = new == 0 && state.index.is_idle() && state.results.len() == state.seen as usize;
                let message = "it waits, but for none of its calls: it may await something that is no call";
                if is_stuck { refused(codes::FUNCTION_STUCK, message.to_owned()) } else { None }
            }
        }
    }
}

/// Whether a function has failed because its code no longer requests the calls that it has made. Neither its definition nor its
/// input has caused that.
pub(crate) fn is_changed(failure: &Failure) -> bool {
    failure.code.as_ref().is_some_and(|code| code.as_str() == codes::FUNCTION_CHANGED)
}

/// Why a call cannot be performed; none if it can.
fn unsound(call: &FunctionCall, limits: &Limits, lacks: &dyn Fn(&Definition) -> Option<Name>) -> Option<String> {
    if let Occurrence::Keyed(data) = &call.occurrence
        && data.len() > limits.sizes.name_bytes as usize
    {
        return Some(format!("the occurrence of a call has more than {} bytes", limits.sizes.name_bytes));
    }
    let alone = call.alone();
    if let Err(error) = validate(&alone, limits) {
        return Some(error.to_string());
    }
    lacks(&alone).map(|name| format!("the function `{name}` is not registered"))
}

/// Decisions.
impl FunctionWork {
    /// Begins the calls that were requested, then the next turn; ends when a turn has ended with a result or failed.
    pub(crate) fn next(&self, instances: &Instances, around: &dyn Surroundings) -> Decided {
        let state = self.0.as_ref().or_anomaly("a function is under way without its state")?;
        match &state.turn {
            Turn::Answered { answer } => return Ok(state.after_answer(answer, instances)),
            Turn::UnderWay { instance } => {
                let turn = instances.get(*instance).or_anomaly("a turn was begun and has no instance")?;
                if let Some(end) = turn.end() {
                    if let Some(failure) = end.failure().filter(|failure| is_changed(failure)) {
                        // Held for an operator: its calls go on.
                        return Ok(Step::End(Ending::Failed { failure: failure.clone(), instance: None }));
                    }
                    let failure = end.failure_or("a turn of the function was cancelled");
                    return Ok(cancel_then(instances, || Ending::Failed { failure, instance: None }));
                }
            }
            Turn::First | Turn::Waits => {}
        }
        if let Some(call) = state.calls.get(state.next as usize) {
            return Ok(Step::Begin(call.input().clone()));
        }
        let results = u32::try_from(state.results.len()).unwrap_or(u32::MAX);
        let turn = match &state.turn {
            Turn::First => {
                let again = state.again.as_ref().map(|again| Ok(again.input.clone()));
                again.unwrap_or_else(|| around.input(Payload::NULL)).map(|input| {
                    let input = input.value().clone();
                    FunctionTurn::Begin { turn: state.turns, input, results }
                })
            }
            Turn::Waits if results > state.seen => {
                Ok(FunctionTurn::Resume { turn: state.turns, from: state.seen, results })
            }
            Turn::Waits | Turn::UnderWay { .. } | Turn::Answered { .. } => return Ok(Step::Idle),
        };
        let payload = turn.and_then(|turn| fit(Ok(Payload::of(&turn).unwrap_or_default()), around.limits()));
        Ok(begin(payload, instances))
    }
}

impl State {
    /// Only one of the fields of an answer is read: the others of a large answer need not be decoded.
    fn after_answer(&self, answer: &Payload, instances: &Instances) -> Step {
        if answer.value().get("done").is_some() {
            return cancel_then(instances, || Ending::Succeeded);
        }
        if let Some(input) = answer.value().get("again") {
            return continue_as_new(input.clone(), instances);
        }
        match answer.to::<FunctionAnswer<Value>>() {
            Ok(FunctionAnswer::Calls(mut calls)) => {
                calls.retain(|call| self.index.find(&self.calls, call).is_none());
                calls.make_canonical();
                Step::Record(NodeEvent::Called { calls })
            }
            Ok(FunctionAnswer::Fail(failure)) => cancel_then(instances, || Ending::Failed { failure, instance: None }),
            Ok(FunctionAnswer::Done(_)) => cancel_then(instances, || Ending::Succeeded),
            Ok(FunctionAnswer::Again(input)) => continue_as_new(input, instances),
            Err(error) => cancel_then(instances, || Ending::failed(codes::INVALID_VALUE, error.to_string())),
        }
    }
}

/// Continues as new, once no call is under way.
fn continue_as_new(input: Value, instances: &Instances) -> Step {
    match instances.next_to_cancel() {
        Some(worker) => Step::Cancel(worker),
        None if instances.active() > 0 => Step::Idle,
        None => Step::Record(NodeEvent::Continued { input: Payload::new(input) }),
    }
}

/// Transitions.
impl FunctionWork {
    /// The calls that were kept by a retry remain.
    pub(super) fn open(&mut self) {
        self.0.get_or_insert_default();
    }

    fn state_mut(&mut self, input: &'static str) -> Applied<&mut State> {
        self.0.as_deref_mut().ok_or_else(|| Illegal::new(input, "its node is not under way"))
    }

    /// The next instance begins: a call that was requested, or a turn. Returns the number of the call from 1; 0 for a turn.
    pub(super) fn begin(&mut self, instance: u32) -> Applied<u32> {
        const INPUT: &str = "an instance begins";
        let state = self.state_mut(INPUT)?;
        if let Some(call) = state.calls.get_mut(state.next as usize) {
            call.begin(instance);
            state.next = state.next.saturating_add(1);
            return Ok(state.next);
        }
        if !matches!(state.turn, Turn::First | Turn::Waits) {
            return Err(Illegal::new(INPUT, "a turn is under way"));
        }
        state.turn = Turn::UnderWay { instance };
        state.turns = state.turns.saturating_add(1);
        state.seen = u32::try_from(state.results.len()).unwrap_or(u32::MAX);
        Ok(0)
    }

    /// The answer of the last turn requested these new calls.
    pub(super) fn request(&mut self, calls: &[FunctionCall], functions: &Arc<Functions>) -> Applied {
        const INPUT: &str = "a function requests calls";
        let state = self.state_mut(INPUT)?;
        if !matches!(state.turn, Turn::Answered { .. }) {
            return Err(Illegal::new(INPUT, "no turn has answered"));
        }
        for call in calls {
            state.index.add(&mut state.calls, call, functions)?;
            if call.pivot {
                state.pivot = Pivot::Passed;
                state.firm = u32::try_from(state.calls.len()).unwrap_or(u32::MAX);
            }
        }
        state.turn = Turn::Waits;
        Ok(())
    }

    /// Continues as new: it forgets its calls, and begins again with this input.
    pub(super) fn continue_as_new(&mut self, input: &Payload) -> Applied {
        const INPUT: &str = "a function continues as new";
        let state = self.state_mut(INPUT)?;
        if !matches!(state.turn, Turn::Answered { .. }) {
            return Err(Illegal::new(INPUT, "no turn has answered"));
        }
        let again = Some(Again { input: input.clone() });
        *state = State { turns: state.turns, pivot: state.pivot, again, ..State::default() };
        Ok(())
    }

    /// An instance ends. Returns the end as the node keeps it: a turn has no side effects of its own.
    pub(super) fn finish(&mut self, instance: Option<&Instance>, end: InstanceEnd) -> InstanceEnd {
        let (Some(state), Some(instance)) = (self.0.as_deref_mut(), instance) else { return end };
        let Some(number) = instance.state().checked_sub(1) else {
            if end.is_success() && matches!(state.turn, Turn::UnderWay { .. }) {
                state.turn = Turn::Answered { answer: end.output() };
            }
            return end.without_effects();
        };
        if let Some(call) = state.calls.get_mut(number as usize) {
            state.tally.add(call, &end);
            if let Some(cut) = state.cut.as_mut().filter(|cut| number >= cut.from) {
                cut.tally.add(call, &end);
            }
            state.results.push(number);
            state.index.end(number);
            call.end();
        }
        end
    }

    /// Begins again, after a rollback or a retry.
    pub(super) fn begin_again(&mut self, instances: &Instances) {
        match self.cut() {
            Some(from) => self.go_back(from, instances),
            None => self.retry(instances),
        }
    }

    /// Begins again. Calls that have not begun are dropped, and calls that have failed are forgotten: both are performed when
    /// they are requested again. The others are kept, also those under way.
    fn retry(&mut self, instances: &Instances) {
        let Some(state) = self.0.as_deref_mut() else { return };
        state.calls.truncate(state.next as usize);
        for call in &mut state.calls {
            let end = call.instance().and_then(|instance| instances.get(instance)?.end());
            if end.is_some_and(|end| !end.is_success()) {
                call.forget();
            }
        }
        state.results.retain(|call| state.calls.get(*call as usize).is_some_and(|call| !call.is_forgotten()));
        (state.turn, state.seen) = (Turn::First, 0);
        state.index = Index::of(&state.calls, &state.results);
    }

    /// Begins again after a rollback: the calls that were rolled back are forgotten. The others are kept, with the failures that
    /// the function has been given; calls that were cancelled with the function are performed again.
    fn go_back(&mut self, from: u32, instances: &Instances) {
        let Some(state) = self.0.as_deref_mut() else { return };
        state.calls.truncate(state.next as usize);
        for call in state.calls.iter_mut().skip(from as usize) {
            call.roll_back();
        }
        for number in state.results.iter().skip(state.seen as usize) {
            let Some(call) = state.calls.get_mut(*number as usize) else { continue };
            let end = call.instance().and_then(|instance| instances.get(instance)?.end());
            if !call.is_forgotten() && end.is_some_and(|end| !end.is_success()) {
                call.forget();
            }
        }
        state.results.retain(|call| state.calls.get(*call as usize).is_some_and(|call| !call.is_forgotten()));
        (state.turn, state.seen, state.cut) = (Turn::First, 0, None);
        state.firm = state.firm.min(from);
        state.tally = tally_of(&state.calls, instances);
        state.index = Index::of(&state.calls, &state.results);
    }

    /// Drops what only a function under way needs.
    pub(super) fn close(&mut self) {
        if let Some(state) = self.0.as_deref_mut() {
            state.turn = Turn::Waits;
        }
    }

    /// Computes what follows from the calls of a snapshot. False if a call cannot be performed.
    pub(super) fn restore(&mut self, functions: &Arc<Functions>) -> bool {
        let Some(state) = self.0.as_deref_mut() else { return true };
        state.index = Index::of(&state.calls, &state.results);
        state.calls.iter_mut().all(|call| call.prepare(functions))
    }

    /// Checks the invariants.
    pub(crate) fn check(&self, instances: &Instances) -> Result<(), String> {
        let Some(state) = self.0.as_ref() else { return Ok(()) };
        let (mut tally, mut behind, mut ended) = (Tally::default(), Tally::default(), 0_usize);
        let from = state.cut.map_or(u32::MAX, |cut| cut.from);
        for (number, call) in (0..).zip(&state.calls) {
            let has_begun = number < state.next;
            let instance = call.instance().and_then(|instance| instances.get(instance));
            let is_its_own = instance.is_some_and(|instance| instance.state().checked_sub(1) == Some(number));
            if has_begun != is_its_own && !call.is_forgotten() {
                return Err(format!("has a call {number} whose instance is not its own"));
            }
            if let Some(end) = instance.and_then(Instance::end) {
                tally.add(call, end);
                if number >= from {
                    behind.add(call, end);
                }
                ended += usize::from(!call.is_forgotten());
            }
        }
        if tally != state.tally || ended != state.results.len() || state.seen as usize > ended {
            return Err(format!("counts {ended} results and {tally:?} in other ways"));
        }
        if state.cut.is_some_and(|cut| cut.tally != behind || cut.from as usize > state.calls.len()) {
            return Err(format!("rolls back calls with {behind:?}, and counts {:?}", state.cut));
        }
        if state.index != Index::of(&state.calls, &state.results) {
            return Err("has calls that it does not find".to_owned());
        }
        match state.turn {
            Turn::UnderWay { instance } if instances.get(instance).is_none_or(|turn| turn.state() != 0) => {
                Err("has a turn under way without an instance".to_owned())
            }
            Turn::UnderWay { .. } | Turn::First | Turn::Waits | Turn::Answered { .. } => Ok(()),
        }
    }
}

/// The effects of the calls that were not rolled back.
fn tally_of(calls: &[Call], instances: &Instances) -> Tally {
    let mut tally = Tally::default();
    for call in calls {
        if let Some(end) = call.instance().and_then(|instance| instances.get(instance)?.end()) {
            tally.add(call, end);
        }
    }
    tally
}

/// Rollbacks to a call.
impl FunctionWork {
    /// The first call that is rolled back, while a rollback to a call is under way.
    pub(crate) fn cut(&self) -> Option<u32> {
        self.0.as_ref()?.cut.map(|cut| cut.from)
    }

    /// Whether a call is within the rollback that is under way. Without one, every call is.
    pub(crate) fn is_rolled_back_now(&self, instance: &Instance) -> bool {
        self.cut().is_none_or(|from| instance.state() > from)
    }

    /// Whether there are effects to compensate before the calls that are rolled back.
    pub(crate) fn has_effects_before_cut(&self) -> bool {
        self.0.as_ref().is_some_and(|state| state.cut.is_some_and(|cut| state.tally.to_undo > cut.tally.to_undo))
    }

    /// Whether any of its calls has effects to compensate, also those before the calls that are rolled back.
    pub(crate) fn has_any_effects_to_undo(&self) -> bool {
        self.0.as_ref().is_some_and(|state| state.tally.to_undo > 0)
    }

    /// The number of a known call.
    pub(crate) fn number_of(&self, key: &Name, occurrence: &Occurrence) -> Option<u32> {
        let state = self.0.as_ref()?;
        state.index.number(&state.calls, key, occurrence)
    }

    /// Whether calls from this one on cannot be rolled back: one of them is a pivot, or a child run that has passed one.
    pub(crate) fn is_irreversible_from(&self, from: u32, instances: &Instances) -> bool {
        let Some(state) = self.0.as_ref() else { return false };
        let is_final = |call: &Call| {
            let instance = call.instance().and_then(|instance| instances.get(instance));
            !call.was_rolled_back() && instance.is_some_and(Instance::is_irreversible)
        };
        state.firm > from || state.calls.iter().skip(from as usize).any(is_final)
    }

    /// The last save-point to which the function can roll back.
    pub(crate) fn save_point(&self, instances: &Instances) -> Option<&Call> {
        let state = self.0.as_ref()?;
        let has_succeeded = |call: &Call| {
            let end = call.instance().and_then(|instance| instances.get(instance)?.end());
            end.is_some_and(InstanceEnd::is_success)
        };
        let numbered = (0_u32..).zip(&state.calls);
        let (number, point) = numbered.filter(|(_, call)| call.can_be_used() && has_succeeded(call)).last()?;
        (!self.is_irreversible_from(number.saturating_add(1), instances)).then_some(point)
    }

    /// The function rolls back to a save-point of it.
    pub(super) fn roll_back(&mut self, key: &Name, occurrence: &Occurrence, instances: &Instances) -> Applied {
        const INPUT: &str = "a function rolls back to a save-point";
        let number = self.number_of(key, occurrence).ok_or(Illegal::new(INPUT, "it has not requested it"))?;
        let state = self.state_mut(INPUT)?;
        let point = state.calls.get_mut(number as usize).filter(|call| call.can_be_used());
        point.ok_or(Illegal::new(INPUT, "the call is none, or its retries are used up"))?.use_save_point();
        self.cut_at(number.saturating_add(1), instances)
    }

    /// An operator resets the function to the beginning of a call.
    pub(super) fn reset(&mut self, key: &Name, occurrence: &Occurrence, instances: &Instances) -> Applied {
        const INPUT: &str = "a function is reset to a call";
        let number = self.number_of(key, occurrence).ok_or(Illegal::new(INPUT, "it has not requested it"))?;
        self.cut_at(number, instances)
    }

    fn cut_at(&mut self, from: u32, instances: &Instances) -> Applied {
        const INPUT: &str = "a function is rolled back";
        let state = self.state_mut(INPUT)?;
        if state.cut.is_some() {
            return Err(Illegal::new(INPUT, "another rollback is under way"));
        }
        let behind = state.calls.get(from as usize..).unwrap_or_default();
        state.cut = Some(Cut { from, tally: tally_of(behind, instances) });
        Ok(())
    }

    /// The rollback has become one of the whole run. `is_undone`: the calls in its scope are compensated; then those are not
    /// compensated again.
    pub(super) fn end_rollback(&mut self, is_undone: bool, instances: &Instances) {
        let Some(state) = self.0.as_deref_mut() else { return };
        let Some(cut) = state.cut.take().filter(|_| is_undone) else { return };
        for call in state.calls.iter_mut().skip(cut.from as usize) {
            call.roll_back();
        }
        state.results.retain(|call| state.calls.get(*call as usize).is_some_and(|call| !call.is_forgotten()));
        state.seen = state.seen.min(u32::try_from(state.results.len()).unwrap_or(u32::MAX));
        state.tally = tally_of(&state.calls, instances);
        state.index = Index::of(&state.calls, &state.results);
    }
}
