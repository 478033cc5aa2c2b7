//! Who handed which part of a work to whom.

use crate::base::id::AgentId;
use crate::base::name::Name;
use crate::message::event::PartEvent;
use crate::message::run::{DelegatedPart, PartOutcome};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// A part of a node's work that was handed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HandedOn {
    /// The node.
    pub node: Name,
    /// The part: from 1, in the order in which they were asked for.
    pub part: u32,
    /// The part that it is part of; 0 is the whole.
    pub of: u32,
    /// The kind of its task.
    pub kind: Name,
    /// Who asked for it; none if the answer was a known one.
    pub by: Option<AgentId>,
    /// Who was given it, each once, those included who put its results together.
    pub to: Vec<AgentId>,
    /// How it ended, in words, once it has.
    pub end: Option<Box<str>>,
}

/// The parts of one node, as facts tell of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Handing {
    /// The whole first: who asked for it, who had it, and whether it has begun or ended.
    parts: Vec<Known>,
    due: VecDeque<usize>,
}

#[derive(Debug, Clone, Default)]
struct Known {
    last: Option<AgentId>,
    begun: bool,
    /// Where it stands in the record of the run; none for the whole, and for what is not kept.
    record: Option<usize>,
}

impl Handing {
    pub(super) fn new() -> Self {
        Self { parts: vec![Known::default()], due: VecDeque::new() }
    }

    /// The part for which the next task is: results to be put together first, then parts in their order.
    pub(super) fn begins(&mut self) -> Option<u32> {
        let part = self.due.pop_front().or_else(|| self.parts.iter().position(|part| !part.begun))?;
        self.parts.get_mut(part)?.begun = true;
        u32::try_from(part).ok()
    }

    /// An agent was given a part.
    pub(super) fn given(&mut self, part: u32, to: AgentId, record: &mut [HandedOn]) {
        let Some(known) = self.parts.get_mut(part as usize) else { return };
        known.last = Some(to);
        if let Some(handed) = known.record.and_then(|place| record.get_mut(place))
            && !handed.to.contains(&to)
        {
            handed.to.push(to);
        }
    }

    pub(super) fn apply(&mut self, node: &Name, part: u32, event: &PartEvent, most: usize, record: &mut Vec<HandedOn>) {
        match event {
            PartEvent::Gathered { .. } => self.due.push_back(part as usize),
            PartEvent::Split { into, .. } => self.split(node, part, into, most, record),
            PartEvent::Ended { end, .. } => {
                let Some(known) = self.parts.get_mut(part as usize) else { return };
                known.begun = true;
                self.due.retain(|due| due != &(part as usize));
                if let Some(handed) = known.record.and_then(|place| record.get_mut(place)) {
                    handed.end = Some(told(end));
                }
            }
        }
    }

    fn split(&mut self, node: &Name, of: u32, into: &[DelegatedPart], most: usize, record: &mut Vec<HandedOn>) {
        let by = self.parts.get(of as usize).and_then(|part| part.last);
        for handed in into {
            let kept = record.len() < most;
            let (node, kind) = (node.clone(), handed.task.kind.clone());
            let part = u32::try_from(self.parts.len()).unwrap_or(u32::MAX);
            self.parts.push(Known { record: kept.then_some(record.len()), ..Known::default() });
            if kept {
                record.push(HandedOn { node, part, of, kind, by, to: Vec::new(), end: None });
            }
        }
    }
}

fn told(end: &PartOutcome) -> Box<str> {
    crate::observe::text::line(&end.to_string(), 200).into_boxed_str()
}
