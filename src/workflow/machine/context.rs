//! The context of a run: what readers see of its variables.

use super::moves::Move;
use super::{NodeState, Run};
use crate::definition::{Reducer, TooWide, Variable};
use crate::event::RunEvent;
use crate::limits::Limits;
use crate::payload::{Payload, size};
use crate::run::NodeOutcome;
use crate::workflow::context::Reader;
use serde_json::Value;

impl Run {
    /// What a reader sees of a variable.
    pub(super) fn variable(&self, reader: Reader, name: &str, most: u32) -> Result<Payload, TooWide> {
        let Some(place) = self.plan.context.place(name) else { return Ok(Payload::NULL) };
        if let Some(known) = self.reduced(reader, place) {
            return Ok(known.clone());
        }
        let Some(variable) = self.plan.definition.variables.get(place as usize) else { return Ok(Payload::NULL) };
        self.fold(reader, place, variable, most)
    }

    /// All that a reader sees, put together.
    fn fold(&self, reader: Reader, place: u32, variable: &Variable, most: u32) -> Result<Payload, TooWide> {
        let mut value = variable.initial.value().clone();
        let mut made = variable.initial.bytes() as usize;
        for written in self.written(reader, place, variable) {
            made = made.saturating_add(size(written));
            let grows = matches!(variable.reducer, Reducer::Append | Reducer::Merge);
            let bytes = if grows { made } else { size(written) };
            if bytes > most as usize {
                return Err(TooWide { bytes: u32::try_from(bytes).unwrap_or(u32::MAX) });
            }
            value = match &variable.reducer {
                Reducer::Custom(name) => {
                    let made = self.plan.functions.reduce(name, &Payload::new(value), &Payload::new(written.clone()));
                    made.value().clone()
                }
                Reducer::Replace | Reducer::Append | Reducer::Merge | Reducer::Max | Reducer::Min | Reducer::Sum => {
                    variable.reducer.reduce(value, written)
                }
            };
        }
        let value = Payload::new(value);
        if value.bytes() > most { Err(TooWide { bytes: value.bytes() }) } else { Ok(value) }
    }

    /// What has been written to a variable that a reader sees, in the order in which it counts.
    fn written(&self, reader: Reader, place: u32, variable: &Variable) -> impl Iterator<Item = &Value> {
        self.plan.context.seen(reader, place).iter().flat_map(move |writer| {
            let done = self.state(*writer).filter(|state| state.ended() == Some(&NodeOutcome::Succeeded));
            let writes = self.plan.node(*writer).filter(|_| done.is_some()).map(|(node, _)| &node.writes[..]);
            let mine = writes.unwrap_or_default().iter().filter(move |write| write.to == variable.name);
            // An operator may have put anything in its place.
            let fits = |value: &&Value| variable.reducer.misfit(value).is_none();
            mine.filter_map(move |write| write.of(done?.output.value()).filter(fits))
        })
    }

    fn reduced(&self, reader: Reader, variable: u32) -> Option<&Payload> {
        match reader {
            Some(node) => self.state(node)?.more.as_ref()?.context.get(&variable),
            None => self.context.get(&variable),
        }
    }

    /// Has the host's functions put together what somebody is about to read, each once. What is too large is told by `None`
    /// within.
    pub(super) fn reduce(&self, reader: Reader, limits: &Limits) -> Option<Result<Move, TooWide>> {
        let open = |variable: &&u32| self.reduced(reader, **variable).is_none();
        let &place = self.plan.context.custom(reader).iter().find(open)?;
        let variable = self.plan.definition.variables.get(place as usize)?;
        let value = match self.fold(reader, place, variable, limits.payload_bytes) {
            Ok(value) => value,
            Err(wide) => return Some(Err(wide)),
        };
        Some(Ok(Move::Fact(RunEvent::Reduced { run: self.id(), node: reader, variable: place, value })))
    }

    pub(super) fn note_reduced(&mut self, reader: Reader, variable: u32, value: &Payload) -> Result<(), &'static str> {
        let context = match reader {
            Some(node) => {
                self.agenda.insert(node);
                &mut self.state_mut(node).ok_or("an unknown node reads a variable")?.more_mut().context
            }
            None => &mut self.context,
        };
        context.insert(variable, value.clone());
        Ok(())
    }

    /// The first write of a node that its variable cannot take, in words.
    pub(super) fn unwritable(&self, node: u32, output: &Payload) -> Option<String> {
        let (definition, _) = self.plan.node(node)?;
        definition.writes.iter().find_map(|write| {
            let value = write.of(output.value())?;
            let variable = self.plan.definition.variables.get(self.plan.context.place(&write.to)? as usize)?;
            let wanted = variable.reducer.misfit(value)?;
            Some(format!("what it writes to variable `{}` is not {wanted}", write.to))
        })
    }
}

impl NodeState {
    /// How many times something of it was refused by a guard.
    pub(super) fn refused(&self) -> u32 {
        self.more.as_ref().map_or(0, |more| more.refused)
    }
}
