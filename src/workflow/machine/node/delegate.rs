//! A node whose agent may delegate parts of its work, recursively. Each task of the tree of parts is an instance.

use super::gather::{combine, last_round};
use super::parts::{Part, PartWork, Parts, Round};
use super::step::{Decided, Ending, Step, Surroundings, begin, fit};
use super::{Applied, Illegal, Instance, InstanceEnd, Instances};
use crate::base::id::AgentId;
use crate::base::limits::Limits;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::{Anomaly, OrAnomaly};
use crate::definition::{Answer, Budget, Delegate, Gather, OnLimit, Subtask};
use crate::message::event::{NodeEvent, PartEvent};
use crate::message::run::{DelegatedPart, LimitReached, PartOutcome};
use crate::task::{Failure, codes};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The state of delegated work: its parts, once it has begun. They are retained after its end.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct DelegateWork(Option<Box<Parts>>);

/// The request of a part: the kind of its task, and the payload.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Request<'a> {
    pub(crate) kind: &'a Name,
    /// None for the root before it has begun.
    pub(crate) payload: Option<&'a Payload>,
}

/// A part with a share of a budget.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) part: u32,
    /// Its ancestors, the nearest first.
    pub(crate) within: Vec<u32>,
    pub(crate) budget: Budget,
}

/// The reason for which an answer is unusable for this node; none if it is usable.
pub(crate) fn misread(answer: &Payload, delegate: &Delegate, limits: &Limits) -> Option<String> {
    let parts = match answer.to::<Answer<Value>>() {
        Ok(Answer::Done(_)) => return None,
        Ok(Answer::Delegate(parts)) => parts,
        Err(error) => return Some(unreadable(&error)),
    };
    if parts.is_empty() {
        return Some(NO_PARTS.to_owned());
    }
    parts.iter().find_map(|part| unsound(part, delegate, limits))
}

const NO_PARTS: &str = "its answer delegates no sub-task";

fn unreadable(error: &crate::base::error::PayloadError) -> String {
    format!("its answer is neither a result nor sub-tasks: {error}")
}

fn unsound(part: &Subtask, delegate: &Delegate, limits: &Limits) -> Option<String> {
    let Subtask { kind, needs, budget, .. } = part;
    let is_bad = |name: &Name| name.is_empty() || name.len() > limits.sizes.name_bytes as usize;
    let mut names: Vec<&Name> = vec![kind];
    if let Some(needs) = needs {
        names.extend(needs.skills().map(|(skill, _)| skill));
        names.extend(needs.labels().flat_map(|(label, value)| [label, value]));
        names.extend(needs.amounts().chain(needs.shared()).map(|(name, _)| name));
    }
    if names.len() > limits.sizes.list_len as usize {
        return Some(format!("a sub-task needs more than {} skills, labels and amounts", limits.sizes.list_len));
    }
    if names.into_iter().any(is_bad) {
        return Some(format!("a name in a sub-task is empty or longer than {} bytes", limits.sizes.name_bytes));
    }
    if !delegate.allows(kind) {
        return Some(format!("sub-tasks of kind `{kind}` are not allowed"));
    }
    let is_timed = budget.is_some_and(|budget| budget.time.is_some());
    is_timed.then(|| "the budget of a sub-task limits time, which cannot be shared".to_owned())
}

/// Reading.
impl DelegateWork {
    pub(crate) fn parts(&self) -> Option<&Parts> {
        self.0.as_deref()
    }

    /// The request of a part.
    pub(crate) fn request<'a>(&'a self, part: u32, delegate: &'a Delegate, instances: &'a Instances) -> Request<'a> {
        match self.handed(part) {
            Some(handed) => Request { kind: &handed.task.kind, payload: Some(&handed.task.payload) },
            None => Request { kind: &delegate.work.kind, payload: instances.get(0).map(Instance::input) },
        }
    }

    fn handed(&self, part: u32) -> Option<&DelegatedPart> {
        self.parts()?.part(part)?.handed.as_deref()
    }

    /// The work of an instance, begun or next to begin.
    pub(crate) fn of_work(&self, instance: u32) -> Option<PartWork> {
        self.parts()?.of_work(instance)
    }

    /// The delegated part that an instance performs.
    pub(crate) fn handed_to(&self, instance: u32) -> Option<&DelegatedPart> {
        match self.of_work(instance)? {
            PartWork::Performs(part) => self.handed(part),
            PartWork::Gathers(_) => None,
        }
    }

    /// The last instance that belongs to a part.
    pub(crate) fn last_work(&self, part: u32) -> Option<u32> {
        self.parts()?.part(part)?.last_work()
    }

    /// The parts under way with a share of a budget.
    pub(crate) fn shares(&self) -> Vec<Share> {
        let Some(parts) = self.parts() else { return Vec::new() };
        let open = (0..).zip(parts.all()).filter(|(_, part)| part.is_under_way());
        let shares = open.filter_map(|(part, known)| {
            let within = parts.path(part).skip(1).map(|(above, _)| above).collect();
            Some(Share { part, within, budget: known.handed.as_ref()?.task.budget? })
        });
        shares.collect()
    }

    /// The parts with a share of a budget that an instance belongs to, the nearest first.
    pub(crate) fn shares_of(&self, instance: u32) -> Vec<u32> {
        let (Some(parts), Some(work)) = (self.parts(), self.of_work(instance)) else { return Vec::new() };
        let has_share = |part: &Part| part.handed.as_ref().is_some_and(|handed| handed.task.budget.is_some());
        parts.path(work.part()).filter(|(_, part)| has_share(part)).map(|(id, _)| id).collect()
    }

    /// Whether a part may delegate `task`, in addition to `beside` others. Returns the agents excluded from it: those that
    /// already have the same request on the path to the whole.
    ///
    /// # Errors
    ///
    /// The first limit that is reached: depth, fan-out, number of parts.
    pub(crate) fn may_delegate(
        &self,
        part: u32,
        task: &Subtask,
        beside: usize,
        (delegate, instances, limits): (&Delegate, &Instances, &Limits),
    ) -> Result<Vec<AgentId>, LimitReached> {
        let parts = self.parts().ok_or(LimitReached::RepeatedWork)?;
        let (depth, split) = parts.part(part).map_or((u32::MAX, 0), |part| {
            (part.depth, part.rounds().iter().map(|round| round.parts().len()).sum::<usize>())
        });
        let max_parts = delegate.max_parts.min(limits.runs.map_items).max(1);
        if depth >= delegate.depth {
            return Err(LimitReached::DelegationDepth { max: delegate.depth });
        }
        if split + beside >= delegate.fan_out as usize {
            return Err(LimitReached::FanOut { max: delegate.fan_out });
        }
        if parts.all().len() + beside >= max_parts as usize {
            return Err(LimitReached::Parts { max: max_parts });
        }
        let wanted = Request { kind: &task.kind, payload: Some(&task.payload) };
        let same = |(above, _): &(u32, &Part)| self.request(*above, delegate, instances) == wanted;
        let busy = parts.path(part).filter(same).flat_map(|(_, above)| &above.agents);
        let mut barred: Vec<AgentId> = busy.copied().collect();
        barred.sort_unstable();
        barred.dedup();
        Ok(barred)
    }

    /// The result of the whole; if there is none, the results of the parts whose ancestors have none.
    pub(crate) fn results_so_far(&self, instances: &Instances) -> Payload {
        let Some(parts) = self.parts() else { return Payload::NULL };
        let result = |part: u32| match parts.part(part).and_then(|known| known.end.as_ref()) {
            Some(PartOutcome::Done) => parts.part(part).map(|known| known.output.clone()),
            Some(_) => None,
            None => self.answer(part, instances),
        };
        if let Some(whole) = result(0) {
            return whole;
        }
        let is_within = |part: u32| parts.path(part).skip(1).any(|(above, _)| result(above).is_some());
        let found = (1..parts.len()).filter(|part| !is_within(*part)).filter_map(result);
        let found: Vec<Value> = found.map(|output| output.value().clone()).collect();
        if found.is_empty() { Payload::NULL } else { Payload::new(found.into()) }
    }

    /// The result in the last answer for a part.
    fn answer(&self, part: u32, instances: &Instances) -> Option<Payload> {
        let end = instances.get(self.last_work(part)?)?.end().filter(|end| end.is_success())?;
        end.output().value().get("done").cloned().map(Payload::new)
    }
}

/// Decisions.
impl DelegateWork {
    /// Decides for the dirty parts, begins the next instance, and ends when the whole has ended.
    pub(crate) fn next(&self, delegate: &Delegate, instances: &Instances, around: &dyn Surroundings) -> Decided {
        let parts = self.parts().or_anomaly("delegated work is under way without parts")?;
        let mut settled = Vec::new();
        for &part in parts.dirty() {
            let step = self.look(part, delegate, instances, around)?;
            if matches!(step, Step::Idle) {
                settled.push(part);
            } else if settled.is_empty() {
                return Ok(step);
            } else {
                break;
            }
        }
        if !settled.is_empty() {
            return Ok(Step::Settle(settled));
        }
        let whole = parts.part(0).or_anomaly("delegated work has no root part")?;
        if let Some(end) = &whole.end {
            return Ok(Step::End(match end {
                PartOutcome::Done => Ending::Succeeded,
                PartOutcome::Failed { failure } => Ending::Failed { failure: (**failure).clone(), instance: None },
                PartOutcome::Limit { limit } => {
                    Ending::Limit { limit: *limit, partial: self.results_so_far(instances) }
                }
                PartOutcome::Cancelled => Ending::failed(codes::CANCELLED, "it was cancelled"),
            }));
        }
        if delegate.max_concurrent.is_some_and(|most| instances.active() >= most) {
            return Ok(Step::Idle);
        }
        let input = match parts.upcoming() {
            None => return Ok(Step::Idle),
            Some(PartWork::Gathers(part)) => Ok(self.gather_input(part, delegate, instances)),
            Some(PartWork::Performs(0)) => around.input(Payload::NULL),
            Some(PartWork::Performs(part)) => {
                Ok(self.request(part, delegate, instances).payload.cloned().unwrap_or_default())
            }
        };
        Ok(begin(input, instances))
    }

    fn look(
        &self,
        index: u32,
        delegate: &Delegate,
        instances: &Instances,
        around: &dyn Surroundings,
    ) -> Result<Step, Anomaly> {
        let parts = self.parts().or_anomaly("delegated work is under way without parts")?;
        let part = parts.part(index).or_anomaly("a part has changed that does not exist")?;
        if !part.is_under_way() {
            return Ok(Step::Idle);
        }
        let lost = parts.is_lost(index, delegate.tolerate);
        let Some(last) = part.last_work() else {
            return Ok(if lost { ends(index, PartOutcome::Cancelled, None) } else { Step::Idle });
        };
        let instance = instances.get(last).or_anomaly("a part was begun and has no instance")?;
        Ok(match instance.end() {
            None if lost && instance.can_be_cancelled() => Step::Cancel(instance.worker()),
            None => Step::Idle,
            Some(_) if part.is_split() => after_round(parts, index, part, lost, (delegate, around.limits())),
            Some(end) if lost || end.is_cancelled() => ends(index, PartOutcome::Cancelled, None),
            Some(end) => after_answer(index, part, end, delegate),
        })
    }

    /// The input of a task that combines the results of a part.
    fn gather_input(&self, index: u32, delegate: &Delegate, instances: &Instances) -> Payload {
        let task = self.request(index, delegate, instances).payload.cloned().unwrap_or_default();
        let (rounds, parts) = match self.parts() {
            Some(parts) => (parts.part(index).map(Part::rounds).unwrap_or_default(), parts),
            None => return Payload::NULL,
        };
        let values = |round: &Round| -> Vec<Value> {
            parts.results(round).map(|result| result.map(|result| result.value().clone()).unwrap_or_default()).collect()
        };
        let mut values: Vec<Vec<Value>> = rounds.iter().map(values).collect();
        let results = values.pop().unwrap_or_default();
        let last = rounds.last().is_some_and(|round| round.last().is_some());
        Payload::new(json!({ "task": task.value(), "results": results, "before": values, "last": last }))
    }
}

/// Transitions.
impl DelegateWork {
    pub(super) fn open(&mut self) {
        self.0 = Some(Box::default());
    }

    fn parts_mut(&mut self, input: &'static str) -> Applied<&mut Parts> {
        self.0.as_deref_mut().ok_or_else(|| Illegal::new(input, "its node is not under way"))
    }

    pub(super) fn begin(&mut self, instance: u32) -> Applied {
        self.parts_mut("an instance begins")?.begin(instance)
    }

    pub(super) fn apply(
        &mut self,
        part: u32,
        event: &PartEvent,
        instances: &Instances,
        delegate: &Delegate,
    ) -> Applied {
        let answer = self.answer(part, instances);
        self.parts_mut("a part changes")?.apply(part, event, answer, delegate.tolerate)
    }

    pub(super) fn assign(&mut self, instance: u32, agent: AgentId) {
        if let Some(parts) = &mut self.0 {
            parts.assign(instance, agent);
        }
    }

    /// An instance has changed.
    pub(super) fn wake(&mut self, instance: u32) {
        if let Some(parts) = &mut self.0 {
            parts.wake(instance);
        }
    }

    pub(super) fn wake_all(&mut self) {
        if let Some(parts) = &mut self.0 {
            parts.wake_all();
        }
    }

    /// These parts are not dirty any more.
    pub(crate) fn settle(&mut self, parts: &[u32]) {
        if let Some(known) = &mut self.0 {
            known.settle(parts);
        }
    }
}

fn ends(part: u32, end: PartOutcome, output: Option<Payload>) -> Step {
    Step::Record(NodeEvent::Part { part, event: PartEvent::Ended { end, output } })
}

fn fails(part: u32, code: &str, message: impl Into<String>) -> Step {
    ends(part, PartOutcome::Failed { failure: Box::new(Failure::permanent(message).with_code(code)) }, None)
}

/// The step after the answer for a part.
fn after_answer(index: u32, part: &Part, end: &InstanceEnd, delegate: &Delegate) -> Step {
    if let Some(failure) = end.failure() {
        return ends(index, PartOutcome::Failed { failure: Box::new(failure.clone()) }, None);
    }
    let was_last = part.rounds().last().is_some_and(|round| round.last().is_some());
    match end.output().to::<Answer<Value>>() {
        Ok(Answer::Done(_)) => ends(index, PartOutcome::Done, None),
        Ok(Answer::Delegate(_)) if was_last => {
            let limit = LimitReached::Rounds { max: u32::try_from(part.rounds().len()).unwrap_or(u32::MAX) };
            match delegate.on_limit {
                OnLimit::Stop => Step::Record(NodeEvent::Exhausted { limit }),
                OnLimit::Drop => ends(index, PartOutcome::Limit { limit }, None),
            }
        }
        Ok(Answer::Delegate(parts)) if parts.is_empty() => fails(index, codes::INVALID_VALUE, NO_PARTS),
        Ok(Answer::Delegate(parts)) => Step::Split { part: index, parts },
        Err(error) => fails(index, codes::INVALID_VALUE, unreadable(&error)),
    }
}

/// The step when all sub-parts of a part have ended.
fn after_round(parts: &Parts, index: u32, part: &Part, lost: bool, (delegate, limits): (&Delegate, &Limits)) -> Step {
    let Some(round) = part.rounds().last().filter(|round| part.open() == 0 && !round.is_gathered()) else {
        return Step::Idle;
    };
    if lost {
        return ends(index, PartOutcome::Cancelled, None);
    }
    if part.failed() > delegate.tolerate {
        return ends(index, first_failure(parts, round), None);
    }
    if round.parts().is_empty() {
        let limit = round.dropped.first().map_or(LimitReached::RepeatedWork, |dropped| dropped.limit);
        return ends(index, PartOutcome::Limit { limit }, None);
    }
    if let Gather::Work(_) = delegate.gather {
        let event = PartEvent::Gathered { last: last_round(delegate, parts, part) };
        return Step::Record(NodeEvent::Part { part: index, event });
    }
    let made = combine(&delegate.gather, &parts.results(round).collect::<Vec<_>>());
    let made = made.and_then(|made| fit(Ok(Payload::new(made)), limits).map_err(|unfit| unfit.to_string()));
    match made {
        Ok(output) => ends(index, PartOutcome::Done, Some(output)),
        Err(message) => fails(index, codes::INVALID_VALUE, message),
    }
}

fn first_failure(parts: &Parts, round: &Round) -> PartOutcome {
    let mut ends = round.parts().filter_map(|part| parts.part(part)?.end.clone());
    let failed = ends.find(|end| !matches!(end, PartOutcome::Done | PartOutcome::Cancelled));
    failed.unwrap_or_else(|| PartOutcome::Failed {
        failure: Box::new(Failure::permanent("a part was cancelled").with_code(codes::CANCELLED)),
    })
}

#[cfg(test)]
mod tests {
    use super::super::step::fixture::{self, Alone, fail, succeeded};
    use super::*;
    use crate::definition::Work;

    fn delegate() -> Delegate {
        Delegate::new(Work::new("plan"))
    }

    fn begun() -> DelegateWork {
        let mut work = DelegateWork::default();
        work.open();
        work.begin(0).unwrap();
        work
    }

    fn step(work: &DelegateWork, instances: &Instances) -> Step {
        work.next(&delegate(), instances, &Alone::default()).unwrap()
    }

    #[test]
    fn a_result_ends_the_whole() {
        let mut work = begun();
        let instances = succeeded(&[json!({ "done": 3 })]);
        let Step::Record(NodeEvent::Part { part: 0, event }) = step(&work, &instances) else { panic!("no end") };
        work.apply(0, &event, &instances, &delegate()).unwrap();
        assert_eq!(work.results_so_far(&instances), Payload::new(json!(3)));
        let settles = step(&work, &instances);
        assert!(matches!(&settles, Step::Settle(parts) if parts == &[0]), "{settles:?}");
        work.settle(&[0]);
        assert!(matches!(step(&work, &instances), Step::End(Ending::Succeeded)));
    }

    #[test]
    fn an_answer_with_parts_asks_for_a_split_and_others_fail() {
        let part = json!({ "kind": "write", "payload": 1 });
        let answer = |value| succeeded(&[value]);
        assert!(matches!(step(&begun(), &answer(json!({ "delegate": [part] }))), Step::Split { part: 0, .. }));
        for bad in [json!({ "delegate": [] }), json!(7)] {
            let Step::Record(NodeEvent::Part { event, .. }) = step(&begun(), &answer(bad)) else { panic!("no end") };
            assert!(matches!(event, PartEvent::Ended { end: PartOutcome::Failed { .. }, .. }));
        }
    }

    #[test]
    fn a_failed_task_fails_its_part() {
        let mut instances = Instances::default();
        let index = fixture::begin(&mut instances);
        assert!(matches!(step(&begun(), &instances), Step::Settle(_)));
        fail(&mut instances, index);
        let Step::Record(NodeEvent::Part { event, .. }) = step(&begun(), &instances) else { panic!("no end") };
        assert!(matches!(event, PartEvent::Ended { end: PartOutcome::Failed { .. }, .. }));
    }

    #[test]
    fn limits_are_those_of_the_node() {
        let (work, instances, limits) = (begun(), succeeded(&[json!(0)]), Limits::default());
        let task = Subtask::new("write");
        let may = |delegate: Delegate, beside| work.may_delegate(0, &task, beside, (&delegate, &instances, &limits));
        assert_eq!(may(delegate(), 0), Ok(Vec::new()));
        assert_eq!(may(delegate().to_depth(0), 0), Err(LimitReached::DelegationDepth { max: 0 }));
        assert_eq!(may(delegate().with_fan_out(2), 2), Err(LimitReached::FanOut { max: 2 }));
    }
}
