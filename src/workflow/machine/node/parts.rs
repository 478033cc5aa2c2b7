//! The parts of delegated work as a tree: requests, ends, results, and the parts whose results are to be combined. The only
//! record of delegation. Nothing here decides.

use super::instance::is_default;
use super::{Applied, Illegal};
use crate::base::id::AgentId;
use crate::base::payload::Payload;
use crate::message::event::PartEvent;
use crate::message::run::{DelegatedPart, DroppedSubtask, LastRound, PartOutcome};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};

/// The parts of the work of a node. A part has a smaller index than its sub-parts; the root is part 0.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Parts {
    all: Vec<Part>,
    /// For each instance of the node its part.
    works: Vec<u32>,
    /// All parts before this one have begun or ended.
    #[serde(default, skip_serializing_if = "is_default")]
    next: u32,
    /// The parts whose results an agent is to combine, in the order in which their last parts ended.
    #[serde(default, skip_serializing_if = "is_default")]
    due: VecDeque<u32>,
    /// The parts whose next step may have changed; all of them after a restore.
    #[serde(skip)]
    dirty: BTreeSet<u32>,
}

impl PartialEq for Parts {
    fn eq(&self, other: &Self) -> bool {
        (&self.all, &self.works, self.next, &self.due) == (&other.all, &other.works, other.next, &other.due)
    }
}

/// A part of a node's work.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Part {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) of: Option<u32>,
    /// The number of delegations between it and the root.
    pub(crate) depth: u32,
    /// The request; none for the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) handed: Option<Box<DelegatedPart>>,
    /// The agents to which it was assigned, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) agents: Vec<AgentId>,
    /// The instances that perform it or combine its results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    work: Option<Span>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rounds: Vec<Round>,
    /// Of the last round: the numbers of sub-parts that have not ended, and of those without a result.
    #[serde(default, skip_serializing_if = "is_default")]
    open: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    failed: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) end: Option<PartOutcome>,
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    pub(crate) output: Payload,
}

/// The first and the last instance that belong to a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Span {
    first: u32,
    last: u32,
}

/// The parts that one answer requested.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Round {
    /// The instance that gave the answer.
    by: u32,
    first: u32,
    count: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) dropped: Vec<DroppedSubtask>,
    #[serde(default, skip_serializing_if = "is_default")]
    gathering: Gathering,
}

/// Whether a task combines the results of a round.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Gathering {
    #[default]
    NotAsked,
    /// It does, or has; `last` is the reason for which this was the last round.
    Asked { last: Option<LastRound> },
}

/// The work of an instance for a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartWork {
    Performs(u32),
    /// It combines the results of the sub-parts of this part.
    Gathers(u32),
}

impl PartWork {
    pub(crate) const fn part(self) -> u32 {
        match self {
            Self::Performs(part) | Self::Gathers(part) => part,
        }
    }
}

impl Round {
    pub(super) fn parts(&self) -> core::ops::Range<u32> {
        self.first..self.first.saturating_add(self.count)
    }

    pub(super) fn is_gathered(&self) -> bool {
        self.gathering != Gathering::NotAsked
    }

    pub(super) const fn last(&self) -> Option<LastRound> {
        match self.gathering {
            Gathering::Asked { last } => last,
            Gathering::NotAsked => None,
        }
    }
}

impl Part {
    pub(super) fn rounds(&self) -> &[Round] {
        &self.rounds
    }

    /// The number of its sub-parts that have not ended.
    pub(super) const fn open(&self) -> u32 {
        self.open
    }

    /// The number of its sub-parts that ended without a result.
    pub(super) const fn failed(&self) -> u32 {
        self.failed
    }

    /// The last instance that belongs to it.
    pub(crate) fn last_work(&self) -> Option<u32> {
        self.work.map(|work| work.last)
    }

    /// Whether its last answer began a round.
    pub(super) fn is_split(&self) -> bool {
        self.rounds.last().is_some_and(|round| Some(round.by) == self.last_work())
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.end.is_none()
    }
}

impl Default for Parts {
    /// The root, which has not begun.
    fn default() -> Self {
        let (works, due) = (Vec::new(), VecDeque::new());
        Self { all: vec![Part::default()], works, next: 0, due, dirty: BTreeSet::new() }
    }
}

/// Reading.
impl Parts {
    pub(crate) fn part(&self, part: u32) -> Option<&Part> {
        self.all.get(part as usize)
    }

    pub(crate) fn all(&self) -> &[Part] {
        &self.all
    }

    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.all.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn dirty(&self) -> &BTreeSet<u32> {
        &self.dirty
    }

    /// A part and its ancestors, up to the root.
    pub(crate) fn path(&self, part: u32) -> impl Iterator<Item = (u32, &Part)> {
        let mut next = Some(part);
        core::iter::from_fn(move || {
            let part = next?;
            let found = self.part(part)?;
            next = found.of;
            Some((part, found))
        })
    }

    /// The work of the next instance: results are combined first, then parts are performed in the order of their indexes.
    pub(super) fn upcoming(&self) -> Option<PartWork> {
        if let Some(part) = self.due.front() {
            return Some(PartWork::Gathers(*part));
        }
        let waits = |part: &u32| self.part(*part).is_some_and(|part| part.work.is_none() && part.is_under_way());
        (self.next..self.len()).find(waits).map(PartWork::Performs)
    }

    /// The work of an instance, begun or next to begin.
    pub(crate) fn of_work(&self, instance: u32) -> Option<PartWork> {
        let Some(part) = self.works.get(instance as usize).copied() else { return self.upcoming() };
        let first = self.part(part)?.work?.first;
        Some(if instance == first { PartWork::Performs(part) } else { PartWork::Gathers(part) })
    }

    /// Whether more sub-parts of an ancestor have failed than are tolerated.
    pub(super) fn is_lost(&self, part: u32, tolerated: u32) -> bool {
        self.path(part).skip(1).any(|(_, above)| above.failed > tolerated)
    }

    /// The results of a round; none for parts without a result.
    pub(super) fn results<'t>(&'t self, round: &Round) -> impl Iterator<Item = Option<&'t Payload>> + use<'t> {
        let done = |part: &'t Part| (part.end == Some(PartOutcome::Done)).then_some(&part.output);
        round.parts().map(move |part| self.part(part).and_then(done))
    }

    /// Checks that the parts are a tree, that the counts are right, and that each instance belongs to a part.
    pub(crate) fn check(&self, instances: u32) -> Result<(), String> {
        if self.works.len() != instances as usize {
            return Err("has instances that belong to no part".to_owned());
        }
        for (index, part) in (0..).zip(&self.all) {
            let round = part.rounds.last();
            let ends = |round: &Round| {
                let parts = round.parts().filter_map(|part| self.part(part));
                let ends: Vec<Option<&PartOutcome>> = parts.map(|part| part.end.as_ref()).collect();
                let failed = ends.iter().flatten().filter(|end| ***end != PartOutcome::Done).count();
                (ends.iter().filter(|end| end.is_none()).count(), failed)
            };
            let counted = (part.open as usize, part.failed as usize);
            if round.map_or((0, 0), ends) != counted {
                return Err(format!("counts the parts of part {index} as {counted:?}"));
            }
            let above = part.of.map(|of| self.part(of).filter(|_| of < index));
            let fits = match above {
                None => index == 0,
                Some(above) => above.is_some_and(|above| above.depth.checked_add(1) == Some(part.depth)),
            };
            if !fits || part.of.is_some() && part.handed.is_none() {
                return Err(format!("has a part {index} that belongs to no tree"));
            }
        }
        Ok(())
    }
}

/// Transitions.
impl Parts {
    fn part_mut(&mut self, part: u32) -> Option<&mut Part> {
        self.all.get_mut(part as usize)
    }

    /// Marks all parts dirty.
    pub(super) fn wake_all(&mut self) {
        self.dirty = (0..self.len()).collect();
    }

    /// Marks the part of an instance dirty.
    pub(super) fn wake(&mut self, instance: u32) {
        self.dirty.extend(self.works.get(instance as usize));
    }

    /// These parts are not dirty any more.
    pub(super) fn settle(&mut self, parts: &[u32]) {
        for part in parts {
            self.dirty.remove(part);
        }
    }

    /// The next instance begins.
    pub(super) fn begin(&mut self, instance: u32) -> Applied {
        const IDLE: Illegal = Illegal::new("an instance begins", "no part waits for it");
        let work = self.upcoming().ok_or(IDLE)?;
        match work {
            PartWork::Gathers(_) => {
                self.due.pop_front();
            }
            PartWork::Performs(part) => self.next = part.saturating_add(1),
        }
        let part = work.part();
        self.works.push(part);
        let known = self.part_mut(part).ok_or(IDLE)?;
        known.work = Some(Span { first: known.work.map_or(instance, |work| work.first), last: instance });
        self.dirty.insert(part);
        Ok(())
    }

    /// The task of an instance was assigned to an agent.
    pub(super) fn assign(&mut self, instance: u32, agent: AgentId) {
        let part = self.works.get(instance as usize).copied();
        if let Some(part) = part.and_then(|part| self.part_mut(part))
            && !part.agents.contains(&agent)
        {
            part.agents.push(agent);
        }
    }

    /// Applies an event of a part. `answer` is the result in its last answer, `tolerated` the number of sub-parts that may
    /// fail.
    pub(super) fn apply(&mut self, part: u32, event: &PartEvent, answer: Option<Payload>, tolerated: u32) -> Applied {
        match event {
            PartEvent::Split { into, dropped } => self.split(part, into, dropped),
            PartEvent::Gathered { last } => self.gathered(part, *last),
            PartEvent::Ended { end, output } => {
                let answer = answer.filter(|_| *end == PartOutcome::Done);
                self.ended(part, end, output.clone().or(answer).unwrap_or_default(), tolerated)
            }
        }
    }

    fn split(&mut self, part: u32, into: &[DelegatedPart], dropped: &[DroppedSubtask]) -> Applied {
        const INPUT: &str = "a part is split";
        let (first, count) = (self.len(), u32::try_from(into.len()).unwrap_or(u32::MAX));
        let of = self.part_mut(part).filter(|part| part.is_under_way());
        let of = of.ok_or(Illegal::new(INPUT, "it is not under way"))?;
        let by = of.last_work().ok_or(Illegal::new(INPUT, "it has not begun"))?;
        (of.open, of.failed) = (count, 0);
        of.rounds.push(Round { by, first, count, dropped: dropped.to_vec(), gathering: Gathering::NotAsked });
        let depth = of.depth.saturating_add(1);
        let new = |handed: &DelegatedPart| {
            let handed = Some(Box::new(handed.clone()));
            Part { of: Some(part), depth, handed, ..Part::default() }
        };
        self.all.extend(into.iter().map(new));
        self.dirty.insert(part);
        Ok(())
    }

    fn gathered(&mut self, part: u32, last: Option<LastRound>) -> Applied {
        let known = self.part_mut(part).filter(|part| part.open == 0 && part.is_under_way());
        let round = known.and_then(|part| part.rounds.last_mut()).filter(|round| !round.is_gathered());
        let round = round.ok_or(Illegal::new("results are combined", "their part does not wait for that"))?;
        round.gathering = Gathering::Asked { last };
        self.due.push_back(part);
        Ok(())
    }

    fn ended(&mut self, part: u32, end: &PartOutcome, output: Payload, tolerated: u32) -> Applied {
        let known = self.part_mut(part).filter(|part| part.is_under_way() && part.open == 0);
        let known = known.ok_or(Illegal::new("a part ends", "it is not under way, or parts of it are"))?;
        (known.end, known.output) = (Some(end.clone()), output);
        self.due.retain(|due| *due != part);
        let Some(of) = self.part(part).and_then(|part| part.of) else { return Ok(()) };
        self.dirty.insert(of);
        let above = self.part_mut(of).ok_or(Illegal::new("a part ends", "it is part of nothing"))?;
        above.open =
            above.open.checked_sub(1).ok_or(Illegal::new("a part ends", "all parts of its part have ended"))?;
        if *end != PartOutcome::Done {
            above.failed =
                above.failed.checked_add(1).ok_or(Illegal::new("a part ends", "too many parts have failed"))?;
            if above.failed.checked_sub(1) == Some(tolerated) {
                let below = (of..self.len()).filter(|part| self.path(*part).any(|(id, _)| id == of));
                let below: Vec<u32> = below.collect();
                self.dirty.extend(below);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Subtask;
    use crate::message::run::LimitReached;

    fn handed(count: u32) -> Vec<DelegatedPart> {
        (0..count).map(|_| DelegatedPart::new(Subtask::new("part"), Vec::new())).collect()
    }

    fn split(parts: &mut Parts, part: u32, count: u32) -> Applied {
        parts.apply(part, &PartEvent::Split { into: handed(count), dropped: Vec::new() }, None, 0)
    }

    fn end(parts: &mut Parts, part: u32, end: PartOutcome) -> Applied {
        parts.apply(part, &PartEvent::Ended { end, output: None }, None, 0)
    }

    #[test]
    fn a_part_ends_after_its_parts() {
        let mut parts = Parts::default();
        assert!(split(&mut parts, 0, 2).is_err(), "the whole has not begun");
        parts.begin(0).unwrap();
        split(&mut parts, 0, 2).unwrap();
        assert!(end(&mut parts, 0, PartOutcome::Done).is_err());
        assert_eq!(parts.upcoming(), Some(PartWork::Performs(1)));
        parts.begin(1).unwrap();
        parts.begin(2).unwrap();
        for part in [1, 2] {
            end(&mut parts, part, PartOutcome::Done).unwrap();
        }
        parts.apply(0, &PartEvent::Gathered { last: None }, None, 0).unwrap();
        assert!(parts.apply(0, &PartEvent::Gathered { last: None }, None, 0).is_err());
        assert_eq!(parts.of_work(3), Some(PartWork::Gathers(0)));
        parts.begin(3).unwrap();
        end(&mut parts, 0, PartOutcome::Done).unwrap();
        assert_eq!((parts.upcoming(), parts.begin(4).is_err(), parts.check(4)), (None, true, Ok(())));
    }

    #[test]
    fn a_failure_beyond_the_tolerance_makes_the_siblings_dirty() {
        let mut parts = Parts::default();
        parts.begin(0).unwrap();
        split(&mut parts, 0, 3).unwrap();
        let settled: Vec<u32> = parts.dirty().iter().copied().collect();
        parts.settle(&settled);
        end(&mut parts, 1, PartOutcome::Limit { limit: LimitReached::RepeatedWork }).unwrap();
        assert!(parts.is_lost(2, 0) && !parts.is_lost(2, 1));
        assert_eq!(parts.dirty().iter().copied().collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(parts.check(1), Ok(()));
    }
}
