//! The books of a node whose work is handed on in parts. Nothing here decides.

use super::{NodeState, PieceEnd, Run};
use crate::definition::{Action, Delegate};
use crate::event::PartEvent;
use crate::id::AgentId;
use crate::payload::Payload;
use crate::run::{Dropped, Handed, LastRound, PartEnd};
use crate::task::Owner;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};

type Applied = Result<(), &'static str>;

/// All parts of a node's work. A part has a lower number than those that it is split into.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tree {
    pub(super) parts: Vec<Part>,
    /// For each piece of work of the node: the part that it belongs to.
    pub(super) works: Vec<u32>,
    /// No part before this one waits to begin.
    #[serde(default)]
    next: u32,
    /// The parts whose results somebody is to put together, in the order in which they came.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    due: VecDeque<u32>,
    /// The parts to look at; all of them after a restore.
    #[serde(skip)]
    pub(super) look: BTreeSet<u32>,
}

/// A part of a node's work.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Part {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) of: Option<u32>,
    /// How often it was handed on.
    pub(crate) depth: u32,
    /// What was asked for; none for the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) handed: Option<Box<Handed>>,
    /// Who was given it, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) agents: Vec<AgentId>,
    /// The first and the last piece of work of the node that did it, or put its results together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) work: Option<(u32, u32)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) rounds: Vec<Round>,
    /// Of the last round: how many parts have not ended, how many gave nothing.
    #[serde(default)]
    pub(super) open: u32,
    #[serde(default)]
    pub(super) failed: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) end: Option<PartEnd>,
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    pub(crate) output: Payload,
}

/// The parts that one answer asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Round {
    /// The piece of work whose answer it was.
    by: u32,
    first: u32,
    count: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) dropped: Vec<Dropped>,
    /// Whether somebody is to put the results together, or has, and why that was the last round.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub(super) gathered: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last: Option<LastRound>,
}

impl Round {
    pub(super) fn parts(&self) -> core::ops::Range<u32> {
        self.first..self.first.saturating_add(self.count)
    }
}

impl Default for Tree {
    /// The whole, which nobody has begun.
    fn default() -> Self {
        let (works, due, look) = (Vec::new(), VecDeque::new(), BTreeSet::new());
        Self { parts: vec![Part::default()], works, next: 0, due, look }
    }
}

impl Tree {
    pub(crate) fn part(&self, part: u32) -> Option<&Part> {
        self.parts.get(part as usize)
    }

    pub(crate) fn all(&self) -> &[Part] {
        &self.parts
    }

    fn part_mut(&mut self, part: u32) -> Option<&mut Part> {
        self.parts.get_mut(part as usize)
    }

    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.parts.len()).unwrap_or(u32::MAX)
    }

    /// A part and all that it is a part of, up to the whole.
    pub(crate) fn path(&self, part: u32) -> impl Iterator<Item = (u32, &Part)> {
        let mut next = Some(part);
        core::iter::from_fn(move || {
            let part = next?;
            let found = self.part(part)?;
            next = found.of;
            Some((part, found))
        })
    }

    /// The part for which the next piece of work is done, and whether it puts results together: results first, then the parts
    /// in the order in which they were asked for.
    pub(super) fn upcoming(&self) -> Option<(u32, bool)> {
        if let Some(part) = self.due.front() {
            return Some((*part, true));
        }
        let waits = |part: &u32| self.part(*part).is_some_and(|part| part.work.is_none() && part.end.is_none());
        (self.next..self.len()).find(waits).map(|part| (part, false))
    }

    /// The part that a piece of work belongs to, and whether it puts results together.
    pub(super) fn of_work(&self, item: u32) -> Option<(u32, bool)> {
        let Some(part) = self.works.get(item as usize).copied() else { return self.upcoming() };
        let first = self.part(part)?.work?.0;
        Some((part, item != first))
    }

    /// Whether the last answer about a part has led to a round of its own.
    pub(super) fn is_split(&self, part: &Part) -> bool {
        let answered = part.work.map(|(_, last)| last);
        part.rounds.last().is_some_and(|round| Some(round.by) == answered)
    }

    /// Whether something that the part is part of has failed already.
    pub(super) fn is_lost(&self, part: u32, tolerated: u32) -> bool {
        self.path(part).skip(1).any(|(_, above)| above.failed > tolerated)
    }

    /// The results of a round, with nothing for those that gave none.
    pub(super) fn results<'t>(&'t self, round: &Round) -> impl Iterator<Item = Option<&'t Payload>> + use<'t> {
        let done = |part: &'t Part| (part.end == Some(PartEnd::Done)).then_some(&part.output);
        round.parts().map(move |part| self.part(part).and_then(done))
    }

    pub(super) fn look_all(&mut self) {
        self.look = (0..self.len()).collect();
    }

    fn begins(&mut self, item: u32) -> Applied {
        let (part, gathers) = self.upcoming().ok_or("a piece of work begins for no part")?;
        if gathers {
            self.due.pop_front();
        } else {
            self.next = part.saturating_add(1);
        }
        self.works.push(part);
        let known = self.part_mut(part).ok_or("a piece of work begins for no part")?;
        known.work = Some((known.work.map_or(item, |(first, _)| first), item));
        self.look.insert(part);
        Ok(())
    }

    fn split(&mut self, part: u32, into: &[Handed], dropped: &[Dropped]) -> Applied {
        let (first, count) = (self.len(), u32::try_from(into.len()).unwrap_or(u32::MAX));
        let of =
            self.part_mut(part).filter(|part| part.end.is_none()).ok_or("a part is split that is not under way")?;
        let by = of.work.map(|(_, last)| last).ok_or("a part is split that nobody has")?;
        (of.open, of.failed) = (count, 0);
        of.rounds.push(Round { by, first, count, dropped: dropped.to_vec(), gathered: false, last: None });
        let depth = of.depth.saturating_add(1);
        let new =
            |handed: &Handed| Part { of: Some(part), depth, handed: Some(Box::new(handed.clone())), ..Part::default() };
        self.parts.extend(into.iter().map(new));
        self.look.insert(part);
        Ok(())
    }

    fn gathered(&mut self, part: u32, last: Option<LastRound>) -> Applied {
        let known = self.part_mut(part).filter(|part| part.open == 0 && part.end.is_none());
        let round = known.and_then(|part| part.rounds.last_mut()).filter(|round| !round.gathered);
        let round = round.ok_or("results are put together of a part that is not split")?;
        (round.gathered, round.last) = (true, last);
        self.due.push_back(part);
        Ok(())
    }

    fn ended(&mut self, part: u32, end: &PartEnd, output: Payload, tolerated: u32) -> Applied {
        let known = self.part_mut(part).filter(|part| part.end.is_none() && part.open == 0);
        let known = known.ok_or("a part ends that is not under way, or before its parts")?;
        (known.end, known.output) = (Some(end.clone()), output);
        self.due.retain(|due| *due != part);
        let Some(of) = self.part(part).and_then(|part| part.of) else { return Ok(()) };
        self.look.insert(of);
        let above = self.part_mut(of).ok_or("a part of nothing ends")?;
        above.open = above.open.saturating_sub(1);
        if *end != PartEnd::Done {
            above.failed = above.failed.saturating_add(1);
            if above.failed == tolerated.saturating_add(1) {
                let below: Vec<u32> =
                    (of..self.len()).filter(|part| self.path(*part).any(|(id, _)| id == of)).collect();
                self.look.extend(below);
            }
        }
        Ok(())
    }

    /// Checks what must hold between parts.
    fn check(&self) -> Result<(), String> {
        for (place, part) in (0..).zip(&self.parts) {
            let round = part.rounds.last();
            let ends = |round: &Round| {
                let parts = round.parts().filter_map(|part| self.part(part));
                let ends: Vec<Option<&PartEnd>> = parts.map(|part| part.end.as_ref()).collect();
                let failed = ends.iter().flatten().filter(|end| ***end != PartEnd::Done).count();
                (ends.iter().filter(|end| end.is_none()).count(), failed)
            };
            let counted = (part.open as usize, part.failed as usize);
            if round.map_or((0, 0), ends) != counted {
                return Err(format!("part {place} counts its parts as {counted:?}"));
            }
            if part.of.is_some_and(|of| of >= place || self.part(of).is_none_or(|of| of.depth + 1 != part.depth)) {
                return Err(format!("part {place} stands in no tree"));
            }
        }
        Ok(())
    }
}

impl NodeState {
    /// The parts of its work, if it may be handed on.
    pub(crate) fn tree(&self) -> Option<&Tree> {
        self.more.as_ref()?.tree.as_deref()
    }

    pub(super) fn tree_mut(&mut self) -> Option<&mut Tree> {
        self.more.as_mut()?.tree.as_deref_mut()
    }
}

impl Run {
    pub(crate) fn delegate(&self, node: u32) -> Option<&Delegate> {
        if let Action::Delegate(delegate) = &self.plan.node(node)?.0.action { Some(delegate) } else { None }
    }

    /// An event of a delegated part of a node's work.
    pub(super) fn apply_part(&mut self, node: u32, part: u32, event: &PartEvent) -> Applied {
        self.agenda.insert(node);
        let tolerated = self.delegate(node).map_or(0, |delegate| delegate.tolerate);
        let state = self.state_mut(node).ok_or("an unknown node has parts")?;
        let answered = match event {
            PartEvent::Ended { end: PartEnd::Done, output: None } => state.answer_of(part),
            PartEvent::Ended { output, .. } => output.clone(),
            PartEvent::Split { .. } | PartEvent::Gathered { .. } => None,
        };
        let tree = state.tree_mut().ok_or("a node has parts that has none")?;
        match event {
            PartEvent::Split { into, dropped } => tree.split(part, into, dropped),
            PartEvent::Gathered { last } => tree.gathered(part, *last),
            PartEvent::Ended { end, .. } => tree.ended(part, end, answered.unwrap_or_default(), tolerated),
        }
    }

    /// A piece of work of a node begins, whose work is handed on in parts.
    pub(super) fn part_begins(&mut self, owner: Owner) -> Applied {
        match self.state_mut(owner.node).and_then(NodeState::tree_mut) {
            Some(tree) => tree.begins(owner.item),
            None => Ok(()),
        }
    }

    /// Something of a part has changed.
    pub(super) fn part_changes(&mut self, owner: Owner) {
        if let Some(tree) = self.state_mut(owner.node).and_then(NodeState::tree_mut)
            && let Some(part) = tree.works.get(owner.item as usize).copied()
        {
            tree.look.insert(part);
        }
    }

    /// An agent was given a part.
    pub(crate) fn note_agent(&mut self, owner: Owner, agent: AgentId) {
        if let Some(tree) = self.state_mut(owner.node).and_then(NodeState::tree_mut)
            && let Some(part) = tree.works.get(owner.item as usize).copied()
            && let Some(part) = tree.part_mut(part)
            && !part.agents.contains(&agent)
        {
            part.agents.push(agent);
        }
    }

    pub(super) fn look_at_all_parts(&mut self) {
        self.nodes.iter_mut().filter_map(NodeState::tree_mut).for_each(Tree::look_all);
    }

    /// Checks what must hold of parts.
    pub(super) fn check_parts(&self) -> Result<(), String> {
        for (place, state) in (0..).zip(&self.nodes) {
            let Some(tree) = state.tree() else { continue };
            tree.check().map_err(|why| format!("run {}: node {place}: {why}", self.id()))?;
            if tree.works.len() != state.pieces.len() {
                return Err(format!("run {}: node {place} has pieces of work for no part", self.id()));
            }
        }
        Ok(())
    }
}

impl NodeState {
    /// The result in the last answer about a part, if it has one.
    pub(super) fn answer_of(&self, part: u32) -> Option<Payload> {
        let (_, last) = self.tree()?.part(part)?.work?;
        let end = self.pieces.get(last as usize)?.end.as_ref().filter(|end| end.succeeded())?;
        PieceEnd::output(end).value().get("done").cloned().map(Payload::new)
    }

    /// The result of the whole; if there is none, the results of all parts that are not part of a greater result.
    pub(super) fn results_so_far(&self) -> Payload {
        let Some(tree) = self.tree() else { return Payload::NULL };
        let result = |part: u32| match tree.part(part).and_then(|known| known.end.as_ref()) {
            Some(PartEnd::Done) => tree.part(part).map(|known| known.output.clone()),
            Some(_) => None,
            None => self.answer_of(part),
        };
        if let Some(whole) = result(0) {
            return whole;
        }
        let within = |part: u32| tree.path(part).skip(1).any(|(above, _)| result(above).is_some());
        let found = (1..tree.len()).filter(|part| !within(*part)).filter_map(result);
        let found: Vec<serde_json::Value> = found.map(|output| output.value().clone()).collect();
        if found.is_empty() { Payload::NULL } else { Payload::new(found.into()) }
    }
}
