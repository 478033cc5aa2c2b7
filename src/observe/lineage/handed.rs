//! The parts of a node's work that agents delegated to other agents.

use crate::base::id::AgentId;
use crate::base::name::Name;
use crate::message::event::PartEvent;
use crate::message::run::{DelegatedPart, PartOutcome};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// A part of a node's work that an agent delegated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Delegated {
    /// The node.
    pub node: Name,
    /// The number of the part: from 1, in the order of the requests.
    pub part: u32,
    /// The part that this one belongs to; 0 is the whole work.
    pub of: u32,
    /// The kind of its task.
    pub kind: Name,
    /// The agent that requested the part; `None` if the request came with a reused answer.
    pub by: Option<AgentId>,
    /// The agents that received the part, each once, including those that combined its results.
    pub to: Vec<AgentId>,
    /// The outcome as text, once the part has ended.
    pub end: Option<Box<str>>,
}

/// The parts of one node, computed from events.
#[derive(Debug, Clone, Default)]
pub(super) struct Handing {
    /// The whole work first: the requesting agent, the agents that held it, and whether it has begun or ended.
    parts: Vec<Known>,
    due: VecDeque<usize>,
}

#[derive(Debug, Clone, Default)]
struct Known {
    last: Option<AgentId>,
    begun: bool,
    /// The index in the record of the run; `None` for the whole and for parts that are not stored.
    record: Option<usize>,
}

impl Handing {
    pub(super) fn new() -> Self {
        Self { parts: vec![Known::default()], due: VecDeque::new() }
    }

    /// The part that the next task belongs to: combining results comes first, then parts in their order.
    pub(super) fn begins(&mut self) -> Option<u32> {
        let part = self.due.pop_front().or_else(|| self.parts.iter().position(|part| !part.begun))?;
        self.parts.get_mut(part)?.begun = true;
        u32::try_from(part).ok()
    }

    /// Records that an agent received a part.
    pub(super) fn given(&mut self, part: u32, to: AgentId, record: &mut [Delegated]) {
        let Some(known) = self.parts.get_mut(part as usize) else { return };
        known.last = Some(to);
        if let Some(handed) = known.record.and_then(|place| record.get_mut(place))
            && !handed.to.contains(&to)
        {
            handed.to.push(to);
        }
    }

    pub(super) fn apply(
        &mut self,
        node: &Name,
        part: u32,
        event: &PartEvent,
        most: usize,
        record: &mut Vec<Delegated>,
    ) {
        match event {
            PartEvent::Gathered { .. } => self.due.push_back(part as usize),
            PartEvent::Split { into, .. } => self.split(node, part, into, most, record),
            PartEvent::Ended { end, .. } => {
                let Some(known) = self.parts.get_mut(part as usize) else { return };
                known.begun = true;
                self.due.retain(|due| due != &(part as usize));
                if let Some(handed) = known.record.and_then(|place| record.get_mut(place)) {
                    handed.end = Some(text_of(end));
                }
            }
        }
    }

    fn split(&mut self, node: &Name, of: u32, into: &[DelegatedPart], most: usize, record: &mut Vec<Delegated>) {
        let by = self.parts.get(of as usize).and_then(|part| part.last);
        for handed in into {
            let kept = record.len() < most;
            let (node, kind) = (node.clone(), handed.task.kind.clone());
            let part = u32::try_from(self.parts.len()).unwrap_or(u32::MAX);
            self.parts.push(Known { record: kept.then_some(record.len()), ..Known::default() });
            if kept {
                record.push(Delegated { node, part, of, kind, by, to: Vec::new(), end: None });
            }
        }
    }
}

fn text_of(end: &PartOutcome) -> Box<str> {
    crate::base::draw::line(&end.to_string(), 200).into_boxed_str()
}
