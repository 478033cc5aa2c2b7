//! Rules for delegated work: bounds are observed, every part ends once and after its own parts, and no agent on the
//! path to a part is asked for the same work again.

use super::{Judged, rule};
use crate::base::id::AgentId;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::Delegate;
use crate::message::event::PartEvent;
use crate::message::run::DelegatedPart;

/// The parts of a node's work, computed from events.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    known: Vec<Part>,
    due: Vec<usize>,
}

#[derive(Debug, Clone, Default)]
struct Part {
    of: Option<usize>,
    depth: u32,
    split: u32,
    task: Option<(Name, Payload)>,
    agents: Vec<AgentId>,
    begun: bool,
    ended: bool,
}

impl Default for Parts {
    fn default() -> Self {
        Self { known: vec![Part::default()], due: Vec::new() }
    }
}

impl Parts {
    fn get(&self, part: u32) -> Result<&Part, String> {
        self.known.get(part as usize).ok_or_else(|| format!("there is no part {part}"))
    }

    pub(super) fn judge(&self, delegate: &Delegate, part: u32, event: &PartEvent) -> Judged {
        if let PartEvent::Split { into, .. } = event {
            return self.judge_split(delegate, part, into);
        }
        let known = self.get(part)?;
        let place = Some(part as usize);
        let open = self.known.iter().any(|other| other.of == place && !other.ended);
        rule(!known.ended && !open, || format!("part {part} ends twice, or before its own parts"))
    }

    fn judge_split(&self, delegate: &Delegate, part: u32, into: &[DelegatedPart]) -> Judged {
        let known = self.get(part)?;
        rule(known.begun && !known.ended, || format!("part {part} is split but not under way"))?;
        let count = u32::try_from(into.len()).unwrap_or(u32::MAX);
        let most = known.split.saturating_add(count) <= delegate.fan_out;
        rule(most, || format!("part {part} is split into more than {}", delegate.fan_out))?;
        let deep = into.is_empty() || known.depth < delegate.depth;
        rule(deep, || format!("part {part} is split at depth {}", known.depth))?;
        let all = self.known.len() + into.len();
        rule(all <= delegate.max_parts as usize, || format!("there are {all} parts"))?;
        into.iter().try_for_each(|delegated| self.judge_delegated(part, delegated))
    }

    /// An agent with the same work further up must be excluded.
    fn judge_delegated(&self, of: u32, delegated: &DelegatedPart) -> Judged {
        let task = (delegated.task.kind.clone(), delegated.task.payload.clone());
        let mut next = Some(of as usize);
        while let Some(above) = next.and_then(|place| self.known.get(place)) {
            let same = above.task.as_ref() == Some(&task);
            let free = above.agents.iter().find(|agent| same && !delegated.excluded.contains(agent));
            rule(free.is_none(), || format!("{free:?} can be assigned {} again", task.0))?;
            next = above.of;
        }
        Ok(())
    }

    pub(super) fn learn(&mut self, part: u32, event: &PartEvent) {
        let part = part as usize;
        match event {
            PartEvent::Split { into, .. } => {
                let depth = self.known.get(part).map_or(0, |part| part.depth + 1);
                if let Some(known) = self.known.get_mut(part) {
                    known.split = known.split.saturating_add(u32::try_from(into.len()).unwrap_or(u32::MAX));
                }
                self.known.extend(into.iter().map(|delegated| {
                    let task = Some((delegated.task.kind.clone(), delegated.task.payload.clone()));
                    Part { of: Some(part), depth, task, ..Part::default() }
                }));
            }
            PartEvent::Ended { .. } => {
                self.due.retain(|due| *due != part);
                if let Some(known) = self.known.get_mut(part) {
                    (known.begun, known.ended) = (true, true);
                }
            }
            PartEvent::Gathered { .. } => self.due.push(part),
        }
    }

    /// The part that a starting task belongs to.
    pub(super) fn begins(&mut self, kind: &Name, payload: &Payload) -> Option<usize> {
        if !self.due.is_empty() {
            return Some(self.due.remove(0));
        }
        let place = self.known.iter().position(|part| !part.begun)?;
        let part = self.known.get_mut(place)?;
        part.begun = true;
        part.task.get_or_insert_with(|| (kind.clone(), payload.clone()));
        Some(place)
    }

    pub(super) fn given(&mut self, part: usize, to: AgentId) {
        if let Some(part) = self.known.get_mut(part) {
            part.agents.push(to);
        }
    }
}
