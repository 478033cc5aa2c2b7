//! Work that is handed on in parts: what is to be done next, and what may be.

use super::moves::{Move, fitting};
use super::tree::{Part, Round, Tree};
use super::{Piece, PieceEnd, Run};
use crate::coordination::aggregate::{median, reciprocal_rank_fusion, vote};
use crate::coordination::convergence::{self, Convergence, Stop};
use crate::coordination::delegation::{Config, NotDelegated, Rules};
use crate::definition::{Answer, Beyond, Budget, Delegate, Gather, Reducer, Subtask};
use crate::event::{NodeEvent, PartEvent};
use crate::id::AgentId;
use crate::limits::Limits;
use crate::name::Name;
use crate::payload::Payload;
use crate::run::{LastRound, LimitReached, NodeOutcome, PartEnd};
use crate::task::{Failure, Needs, Owner};
use crate::workflow::plan::Template;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The constant in reciprocal rank fusion, as in the literature.
const FUSION: f64 = 60.0;

/// Why an answer is none, or none of a node like this.
pub(crate) fn misread(answer: &Payload, delegate: &Delegate, limits: &Limits) -> Option<String> {
    let answer = match answer.to::<Answer<Value>>() {
        Ok(Answer::Done(_)) => return None,
        Ok(Answer::Delegate(parts)) => parts,
        Err(error) => return Some(format!("its answer is neither a result nor sub-tasks: {error}")),
    };
    if answer.is_empty() {
        return Some("it hands on no part at all".to_owned());
    }
    answer.iter().find_map(|part| unsound(part, delegate, limits))
}

fn unsound(part: &Subtask, delegate: &Delegate, limits: &Limits) -> Option<String> {
    let Subtask { kind, needs, budget, .. } = part;
    let long = |name: &Name| name.is_empty() || name.len() > limits.name_bytes as usize;
    let mut names: Vec<&Name> = vec![kind];
    if let Some(needs) = needs {
        names.extend(needs.skills().map(|(skill, _)| skill));
        names.extend(needs.labels().flat_map(|(label, value)| [label, value]));
        names.extend(needs.amounts().chain(needs.shared()).map(|(name, _)| name));
    }
    if names.len() > limits.list_len as usize {
        return Some(format!("a sub-task asks for more than {} skills, labels and amounts", limits.list_len));
    }
    if names.into_iter().any(long) {
        return Some(format!("a name in a sub-task is empty or has more than {} bytes", limits.name_bytes));
    }
    if !delegate.kinds.is_empty() && !delegate.kinds.contains(kind) {
        return Some(format!("sub-tasks may not be of kind `{kind}`"));
    }
    let timed = budget.is_some_and(|budget| budget.time.is_some());
    timed.then(|| "a sub-task is promised time, of which there are no shares".to_owned())
}

impl From<NotDelegated> for LimitReached {
    fn from(not: NotDelegated) -> Self {
        match not {
            NotDelegated::Depth { limit } => Self::Delegated { most: limit },
            NotDelegated::FanOut { limit } => Self::FanOut { most: limit },
            NotDelegated::Pieces { limit } => Self::Pieces { most: limit },
            // The others are no limits of depth and number, which are all that is asked about.
            NotDelegated::Repeat { .. } | NotDelegated::Budget(_) | NotDelegated::NotUnderWay { .. } => Self::Repeated,
        }
    }
}

impl Run {
    fn parts(&self, node: u32) -> Option<(&Delegate, &Tree)> {
        Some((self.delegate(node)?, self.state(node)?.tree()?))
    }

    /// Work in parts: looks at the parts that something has changed for, begins what may begin, ends when the whole has.
    pub(super) fn go_on_with_parts(&mut self, node: u32, limits: &Limits) -> Option<Move> {
        while let Some(part) = self.state(node)?.tree()?.look.first().copied() {
            if let Some(next) = self.look_at_part(node, part, limits) {
                return Some(next);
            }
            self.state_mut(node)?.tree_mut()?.look.remove(&part);
        }
        let (delegate, tree) = self.parts(node)?;
        if let Some(end) = tree.part(0)?.end.clone() {
            return Some(match end {
                PartEnd::Done => self.end(node, NodeOutcome::Succeeded),
                PartEnd::Failed { failure } => {
                    let maybe = self.state(node)?.is_doubtful();
                    self.end(node, NodeOutcome::Failed { failure, maybe, limit: None })
                }
                PartEnd::Limit { limit } => self.exhausted(node, limit, self.collected(node)),
                PartEnd::Withdrawn => self.fail(node, "it was cancelled".to_owned()),
            });
        }
        if delegate.at_once.is_some_and(|most| self.state(node).is_some_and(|state| state.active >= most)) {
            return None;
        }
        let (part, gathers) = tree.upcoming()?;
        let input = match (gathers, part) {
            (true, _) => Ok(self.to_gather(node, part)),
            (false, 0) => self.given(node, Payload::NULL, limits),
            (false, _) => Ok(self.asked(node, part).1.cloned().unwrap_or_default()),
        };
        let place = u32::try_from(self.state(node)?.pieces.len()).unwrap_or(u32::MAX);
        Some(input.map_or_else(|failed| failed, |input| self.begin(node, place, input)))
    }

    const fn ends(node: u32, part: u32, end: PartEnd, output: Option<Payload>) -> Move {
        Move::of(node, NodeEvent::Part { part, event: PartEvent::Ended { end, output } })
    }

    fn look_at_part(&self, node: u32, part: u32, limits: &Limits) -> Option<Move> {
        let (delegate, tree) = self.parts(node)?;
        let known = tree.part(part).filter(|part| part.end.is_none())?;
        let lost = tree.is_lost(part, delegate.tolerate);
        let Some((_, last)) = known.work else {
            return lost.then(|| Self::ends(node, part, PartEnd::Withdrawn, None));
        };
        let piece = self.state(node)?.pieces.get(last as usize)?;
        let Some(end) = &piece.end else {
            let stops = lost && !piece.cancelling && !piece.committed && piece.doubt().is_none();
            return piece.task().filter(|_| stops).map(Move::CancelTask);
        };
        if tree.is_split(known) { self.after_round(node, part, lost, limits) } else { self.heed(node, part, end, lost) }
    }

    /// What follows from the answer about a part.
    fn heed(&self, node: u32, part: u32, end: &PieceEnd, lost: bool) -> Option<Move> {
        let (delegate, tree) = self.parts(node)?;
        if lost || end.is_cancelled() {
            return Some(Self::ends(node, part, PartEnd::Withdrawn, None));
        }
        if let Some(failure) = end.failure() {
            return Some(Self::ends(node, part, PartEnd::Failed { failure: Failure::clone(failure) }, None));
        }
        let told = tree.part(part)?.rounds.last().and_then(|round| round.last);
        match end.output().to::<Answer<Value>>() {
            Ok(Answer::Done(_)) => Some(Self::ends(node, part, PartEnd::Done, None)),
            Ok(Answer::Delegate(_)) if told.is_some() => {
                let limit =
                    LimitReached::Rounds { most: u32::try_from(tree.part(part)?.rounds.len()).unwrap_or(u32::MAX) };
                Some(Self::beyond(node, part, delegate, limit))
            }
            Ok(Answer::Delegate(parts)) if !parts.is_empty() => Some(Move::Split { node, part, parts }),
            Ok(Answer::Delegate(_)) => {
                let failure = Failure::permanent("it hands on no part at all");
                Some(Self::ends(node, part, PartEnd::Failed { failure }, None))
            }
            Err(error) => {
                let failure = Failure::permanent(format!("its answer is neither a result nor sub-tasks: {error}"));
                Some(Self::ends(node, part, PartEnd::Failed { failure }, None))
            }
        }
    }

    fn beyond(node: u32, part: u32, delegate: &Delegate, limit: LimitReached) -> Move {
        match delegate.beyond {
            Beyond::Stop => Move::of(node, NodeEvent::Exhausted { limit }),
            Beyond::Drop => Self::ends(node, part, PartEnd::Limit { limit }, None),
        }
    }

    /// What follows when all parts of a part have ended.
    fn after_round(&self, node: u32, part: u32, lost: bool, limits: &Limits) -> Option<Move> {
        let (delegate, tree) = self.parts(node)?;
        let known = tree.part(part).filter(|part| part.open == 0)?;
        let round = known.rounds.last().filter(|round| !round.gathered)?;
        if lost {
            return Some(Self::ends(node, part, PartEnd::Withdrawn, None));
        }
        if known.failed > delegate.tolerate {
            return Some(Self::ends(node, part, first_failure(tree, round), None));
        }
        if round.parts().is_empty() {
            let limit = round.dropped.first().map_or(LimitReached::Repeated, |dropped| dropped.limit);
            return Some(Self::ends(node, part, PartEnd::Limit { limit }, None));
        }
        if let Gather::Work(_) = delegate.gather {
            let last = last_round(delegate, tree, known);
            return Some(Move::of(node, NodeEvent::Part { part, event: PartEvent::Gathered { last } }));
        }
        let made = put_together(&delegate.gather, &tree.results(round).collect::<Vec<_>>());
        let made = made.and_then(|made| fitting(Ok(Payload::new(made)), limits).map_err(|misfit| misfit.to_string()));
        Some(match made {
            Ok(output) => Self::ends(node, part, PartEnd::Done, Some(output)),
            Err(message) => Self::ends(node, part, PartEnd::Failed { failure: Failure::permanent(message) }, None),
        })
    }

    /// What the task is given that puts the results of a part together.
    fn to_gather(&self, node: u32, part: u32) -> Payload {
        let Some((known, tree)) = self.state(node).and_then(|state| Some((state.tree()?.part(part)?, state.tree()?)))
        else {
            return Payload::NULL;
        };
        let values = |round: &Round| -> Vec<Value> {
            tree.results(round).map(|result| result.map(|result| result.value().clone()).unwrap_or_default()).collect()
        };
        let mut rounds: Vec<Vec<Value>> = known.rounds.iter().map(values).collect();
        let results = rounds.pop().unwrap_or_default();
        let task = self.asked(node, part).1.cloned().unwrap_or_default();
        let last = known.rounds.last().is_some_and(|round| round.last.is_some());
        Payload::new(json!({ "task": task.value(), "results": results, "before": rounds, "last": last }))
    }

    /// The kind of a part, and what it was given.
    pub(crate) fn asked(&self, node: u32, part: u32) -> (Option<&Name>, Option<&Payload>) {
        let Some((delegate, tree)) = self.parts(node) else { return (None, None) };
        match tree.part(part).and_then(|part| part.handed.as_deref()) {
            Some(handed) => (Some(&handed.task.kind), Some(&handed.task.payload)),
            None => {
                let whole = self.state(node).and_then(|state| state.pieces.first());
                (Some(&delegate.work.kind), whole.map(|piece| &piece.input))
            }
        }
    }

    /// Whether a part may be split into one part more, beside so many that may be; and if so, the agents that must not get it.
    pub(crate) fn may_hand_on(
        &self,
        node: u32,
        part: u32,
        task: &Subtask,
        beside: usize,
        limits: &Limits,
    ) -> Result<Vec<AgentId>, LimitReached> {
        let Some((delegate, tree)) = self.parts(node) else { return Err(LimitReached::Repeated) };
        let (fan_out, pieces) = (delegate.fan_out, delegate.pieces.min(limits.map_items).max(1));
        let config = Config::default().with_depth(delegate.depth).with_fan_out(fan_out).with_pieces(pieces);
        let rules = Rules::new(config).unwrap_or_default();
        let known = tree.part(part);
        let (depth, parts) = known.map_or((u32::MAX, 0), |part| {
            (part.depth, part.rounds.iter().map(|round| round.parts().len()).sum::<usize>())
        });
        rules.allow(depth, parts + beside, tree.parts.len() + beside)?;
        let same = |(above, _): &(u32, &Part)| self.asked(node, *above) == (Some(&task.kind), Some(&task.payload));
        let mut barred: Vec<AgentId> =
            tree.path(part).filter(same).flat_map(|(_, above)| &above.agents).copied().collect();
        barred.sort_unstable();
        barred.dedup();
        Ok(barred)
    }

    /// How the task of a piece of work is submitted, if it is one of parts.
    pub(super) fn template_of_part(&self, owner: Owner) -> Option<Cow<'_, Template>> {
        let work = &self.plan.node(owner.node)?.1.work;
        let (part, gathers) = self.state(owner.node)?.tree()?.of_work(owner.item)?;
        if gathers {
            return work.gather.as_ref().map(Cow::Borrowed);
        }
        let whole = work.task.as_ref()?;
        let Some(handed) = self.handed(owner.node, part) else { return Some(Cow::Borrowed(whole)) };
        let task = &handed.task;
        let needs = task.needs.clone().unwrap_or_else(|| Needs::skill(task.kind.clone()));
        Some(Cow::Owned(Template { kind: task.kind.clone(), needs, ..whole.clone() }))
    }

    fn handed(&self, node: u32, part: u32) -> Option<&crate::run::Handed> {
        self.state(node)?.tree()?.part(part)?.handed.as_deref()
    }

    /// The agents that must not get a piece of work.
    pub(crate) fn barred(&self, owner: Owner) -> &[AgentId] {
        let part = self.state(owner.node).and_then(|state| state.tree()?.of_work(owner.item));
        let handed = part.filter(|(_, gathers)| !gathers).and_then(|(part, _)| self.handed(owner.node, part));
        handed.map(|handed| &handed.not[..]).unwrap_or_default()
    }

    /// Whether a piece of work was asked to stop.
    pub(crate) fn is_cancelling(&self, owner: Owner) -> bool {
        let piece = self.state(owner.node).and_then(|state| state.pieces.get(owner.item as usize));
        piece.is_some_and(|piece| piece.cancelling)
    }

    /// The part that a piece of work is for, begun or next to begin.
    pub(crate) fn part_of(&self, owner: Owner) -> Option<u32> {
        self.state(owner.node)?.tree()?.of_work(owner.item).map(|(part, _)| part)
    }

    /// The last piece of work for a part.
    pub(crate) fn last_work(&self, node: u32, part: u32) -> Option<u32> {
        self.state(node)?.tree()?.part(part)?.work.map(|(_, last)| last)
    }

    /// The parts of a node that goes on which were promised a share of a budget, with those that they are part of, the nearest
    /// first.
    pub(crate) fn promised(&self, node: u32) -> Vec<(u32, Vec<u32>, Budget)> {
        let Some(state) = self.state(node).filter(|state| state.ended().is_none()) else { return Vec::new() };
        let Some(tree) = state.tree() else { return Vec::new() };
        let parts = (0..).zip(&tree.parts).filter(|(_, part)| part.end.is_none());
        parts
            .filter_map(|(id, part)| {
                let budget = part.handed.as_ref()?.task.budget?;
                Some((id, tree.path(id).skip(1).map(|(above, _)| above).collect(), budget))
            })
            .collect()
    }

    /// The parts with a share of a budget that a piece of work is for, the nearest first.
    pub(crate) fn shares(&self, owner: Owner) -> Vec<u32> {
        let Some(tree) = self.state(owner.node).and_then(|state| state.tree()) else { return Vec::new() };
        let Some((part, _)) = tree.of_work(owner.item) else { return Vec::new() };
        let promised = |part: &Part| part.handed.as_ref().is_some_and(|handed| handed.task.budget.is_some());
        tree.path(part).filter(|(_, part)| promised(part)).map(|(id, _)| id).collect()
    }
}

impl Piece {
    const fn task(&self) -> Option<crate::id::TaskId> {
        match self.worker {
            Some(super::Worker::Task(task)) => Some(task),
            Some(super::Worker::Child(_)) | None => None,
        }
    }
}

fn first_failure(tree: &Tree, round: &Round) -> PartEnd {
    let ends = || round.parts().filter_map(|part| tree.part(part)?.end.clone());
    let bad = |end: &PartEnd| !matches!(end, PartEnd::Done | PartEnd::Withdrawn);
    ends().find(bad).unwrap_or_else(|| PartEnd::Failed { failure: Failure::permanent("a part was cancelled") })
}

/// Whether that was the last round of a part, and why.
fn last_round(delegate: &Delegate, tree: &Tree, part: &Part) -> Option<LastRound> {
    let rules = &delegate.rounds;
    let config =
        convergence::Config::default().with_near(rules.near).with_settled(rules.settled).with_rounds(rules.most);
    let mut watch = Convergence::new(convergence::Rules::new(config).unwrap_or_default());
    let rounds: Vec<Vec<Option<&Payload>>> = part.rounds.iter().map(|round| tree.results(round).collect()).collect();
    let mut stop = None;
    for (place, results) in rounds.iter().enumerate() {
        let first = rounds.iter().position(|other| other == results).unwrap_or(place);
        let mut round = convergence::Round::fingerprint(first as u64);
        round.distance =
            place.checked_sub(1).and_then(|before| rounds.get(before)).and_then(|before| apart(before, results));
        stop = watch.round(round);
    }
    stop.map(|stop| match stop {
        Stop::Converged => LastRound::Converged,
        Stop::Cycle { length } => LastRound::Cycle { length },
        Stop::NoProgress | Stop::Rounds => LastRound::Most,
    })
}

/// The largest difference of two numbers at the same place; none if anything else differs. By a work list: results are as deep
/// as payloads may be.
fn apart(a: &[Option<&Payload>], b: &[Option<&Payload>]) -> Option<f64> {
    if a.len() != b.len() {
        return None;
    }
    let mut work: Vec<(&Value, &Value)> = Vec::new();
    for (a, b) in a.iter().zip(b) {
        match (a, b) {
            (Some(a), Some(b)) => work.push((a.value(), b.value())),
            (None, None) => {}
            (Some(_), None) | (None, Some(_)) => return None,
        }
    }
    let mut most = 0.0_f64;
    while let Some(pair) = work.pop() {
        match pair {
            (Value::Number(a), Value::Number(b)) => most = most.max((a.as_f64()? - b.as_f64()?).abs()),
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => work.extend(a.iter().zip(b)),
            (Value::Object(a), Value::Object(b)) if a.len() == b.len() => {
                for (name, value) in a {
                    work.push((value, b.get(name)?));
                }
            }
            (a, b) => {
                if a != b {
                    return None;
                }
            }
        }
    }
    Some(most)
}

/// The results of a round as one; an error in words if they are not what that takes.
fn put_together(gather: &Gather, results: &[Option<&Payload>]) -> Result<Value, String> {
    let done = || results.iter().flatten().map(|result| result.value());
    match gather {
        Gather::List | Gather::Work(_) => {
            Ok(results.iter().map(|one| one.map(|one| one.value().clone()).unwrap_or_default()).collect())
        }
        Gather::Reduce(reducer) => reduced(reducer, done()),
        Gather::Vote => {
            let votes: BTreeMap<AgentId, Payload> = (1..)
                .map(AgentId::new)
                .zip(results)
                .filter_map(|(place, result)| Some((place, (*result)?.clone())))
                .collect();
            Ok(vote(&votes, &BTreeMap::new()).map(|voted| voted.answer.value().clone()).unwrap_or_default())
        }
        Gather::Median => {
            let numbers: Option<Vec<f64>> = done().map(Value::as_f64).collect();
            let numbers = numbers.ok_or("a result is no number, and there is no middle of it")?;
            Ok(median(&numbers).map(Value::from).unwrap_or_default())
        }
        Gather::Ranks => {
            let ranking = |value: &Value| serde_json::from_value::<Vec<Name>>(value.clone()).ok();
            let rankings: Option<Vec<Vec<Name>>> = done().map(ranking).collect();
            let rankings = rankings.ok_or("a result is no list of names, and cannot be ranked")?;
            let fused = reciprocal_rank_fusion(&rankings, FUSION);
            Ok(fused.into_iter().map(|(name, _)| Value::from(name.as_str())).collect())
        }
    }
}

fn reduced<'v>(reducer: &Reducer, results: impl Iterator<Item = &'v Value>) -> Result<Value, String> {
    let mut whole = Value::Null;
    for result in results {
        if let Some(wanted) = reducer.misfit(result) {
            return Err(format!("a result is not {wanted}, which putting it together takes"));
        }
        whole = reducer.reduce(whole, result);
    }
    Ok(whole)
}
