//! The context of a run: what readers see of its variables.

use super::moves::Move;
use super::{NodeStage, NodeState, Run};
use crate::definition::{Reducer, TooWide, Variable};
use crate::event::{NodeEvent, RunEvent};
use crate::limits::Limits;
use crate::name::Name;
use crate::payload::{Payload, size};
use crate::run::NodeOutcome;
use crate::workflow::context::Reader;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a run knows of its variables beyond what its nodes say. Few runs have any of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Shared(Option<Box<Known>>);

#[derive(Debug, Clone, PartialEq, Default)]
struct Known {
    reduced: Reduced,
    updates: Updates,
}

/// What the host's functions put together for the output of the run, by variable.
pub(super) type Reduced = BTreeMap<u32, Payload>;

/// What was written to variables from outside, by the name of the variable, in the order in which it came. Of what the last
/// write alone counts, there is one.
pub(super) type Updates = BTreeMap<Name, Vec<Payload>>;

impl Shared {
    pub(super) fn new(reduced: &Reduced, updates: &Updates) -> Self {
        let known = Known { reduced: reduced.clone(), updates: updates.clone() };
        Self((known != Known::default()).then(|| Box::new(known)))
    }

    pub(super) fn reduced(&self) -> Reduced {
        self.0.as_ref().map(|known| known.reduced.clone()).unwrap_or_default()
    }

    pub(super) fn updates(&self) -> Updates {
        self.0.as_ref().map(|known| known.updates.clone()).unwrap_or_default()
    }

    /// What was put together is put together anew.
    pub(super) fn forget_reduced(&mut self) {
        if let Some(known) = &mut self.0 {
            known.reduced.clear();
        }
    }

    fn of(&self, variable: &str) -> &[Payload] {
        self.0.as_ref().and_then(|known| known.updates.get(variable)).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn updated(&self) -> impl Iterator<Item = (&Name, &[Payload])> {
        self.0.iter().flat_map(|known| known.updates.iter().map(|(name, values)| (name, values.as_slice())))
    }

    fn update(&mut self, (name, place): (&Name, u32), value: Payload, alone: bool) {
        let known = self.0.get_or_insert_default();
        known.reduced.remove(&place);
        let kept = known.updates.entry(name.clone()).or_default();
        if alone {
            kept.clear();
        }
        kept.push(value);
    }
}

/// Why an update is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoUpdate {
    /// There is no such variable, or it takes none.
    NotTaken,
    /// Not this one: what the reducer takes, in words, or the definition's own condition.
    Refused(Option<&'static str>),
    /// What the variable would be is too large.
    TooWide { bytes: u32 },
}

impl Run {
    /// How many updates it keeps; one that takes the place of another does not count.
    pub(crate) fn updates_kept(&self, variable: &Name) -> usize {
        let alone = self.declared(variable).is_some_and(|variable| variable.reducer == Reducer::Replace);
        let others = self.shared.updated().filter(|(name, _)| !alone || *name != variable);
        others.map(|(_, values)| values.len()).sum()
    }

    fn declared(&self, name: &str) -> Option<&Variable> {
        self.plan.definition.variables.get(self.plan.context.place(name)? as usize)
    }

    /// Whether a variable takes an update.
    pub(crate) fn may_update(&self, name: &Name, value: &Payload, limits: &Limits) -> Result<(), NoUpdate> {
        let variable = self.declared(name).ok_or(NoUpdate::NotTaken)?;
        let condition = variable.updates.as_ref().ok_or(NoUpdate::NotTaken)?;
        if let Some(wanted) = variable.reducer.misfit(value.value()) {
            return Err(NoUpdate::Refused(Some(wanted)));
        }
        if !condition.holds(&self.scope(None, value.clone(), limits)) {
            return Err(NoUpdate::Refused(None));
        }
        let there: usize = self.shared.of(name).iter().map(|kept| kept.bytes() as usize).sum();
        let bytes = u32::try_from(there.saturating_add(value.bytes() as usize)).unwrap_or(u32::MAX);
        let grows = matches!(variable.reducer, Reducer::Append | Reducer::Merge);
        if grows && bytes > limits.payload_bytes { Err(NoUpdate::TooWide { bytes }) } else { Ok(()) }
    }

    /// A variable is written to from outside. What a function of the host put together of it is put together anew, but for
    /// nodes that have begun; and whoever may look at it looks again.
    pub(super) fn note_update(&mut self, name: &Name, value: &Payload) -> Result<(), &'static str> {
        let place = self.plan.context.place(name).ok_or("an unknown variable is updated")?;
        let alone = self.declared(name).is_some_and(|variable| variable.reducer == Reducer::Replace);
        self.shared.update((name, place), value.clone(), alone);
        let waiting = self.nodes.iter_mut().filter(|state| state.stage == NodeStage::Waiting);
        for more in waiting.filter_map(|state| state.more.as_mut()) {
            more.context.remove(&place);
        }
        self.wake_all();
        Ok(())
    }

    /// What the output of the run sees of a variable; none if there is no such.
    pub(crate) fn variable_so_far(&self, name: &str, limits: &Limits) -> Option<Payload> {
        self.plan.context.place(name)?;
        Some(self.variable(None, name, limits.payload_bytes).unwrap_or_default())
    }

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
        let updates = self.shared.of(&variable.name).iter().map(Payload::value);
        let updates = updates.filter(|value| variable.reducer.misfit(value).is_none());
        for written in self.written(reader, place, variable).chain(updates) {
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
            None => self.shared.0.as_ref()?.reduced.get(&variable),
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
        Some(Ok(match reader {
            Some(node) => Move::of(node, NodeEvent::Reduced { variable: place, value }),
            None => Move::Run(RunEvent::Reduced { variable: place, value }),
        }))
    }

    pub(super) fn note_reduced(&mut self, reader: Reader, variable: u32, value: &Payload) -> Result<(), &'static str> {
        let context = match reader {
            Some(node) => {
                self.agenda.insert(node);
                &mut self.state_mut(node).ok_or("an unknown node reads a variable")?.more_mut().context
            }
            None => &mut self.shared.0.get_or_insert_default().reduced,
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
