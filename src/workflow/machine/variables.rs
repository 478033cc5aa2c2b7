//! The variables of a run, as its readers see them.

use super::graph::{BoundNode, Graph};
use super::illegal::{Applied, Illegal};
use super::node::is_default;
use crate::base::meter::Meter;
use crate::base::name::Name;
use crate::base::payload::{Payload, size};
use crate::definition::{Condition, NoValue, Reducer, Variable};
use crate::workflow::context::Reader;
use crate::workflow::plan::Plan;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The state of variables beyond the outputs of nodes. Few runs have any.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Variables(Option<Box<Known>>);

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Known {
    /// The values that reducers of the host combined for the output of the run, by variable.
    #[serde(default, skip_serializing_if = "is_default")]
    reduced: BTreeMap<u32, Payload>,
    /// The updates from outside, by the name of the variable, in the order of arrival; only the last one for a variable
    /// with [`Reducer::Replace`](crate::definition::Reducer::Replace).
    #[serde(default, skip_serializing_if = "is_default")]
    updates: BTreeMap<Name, Vec<Payload>>,
}

/// Why an update is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoUpdate {
    /// There is no such variable, or it accepts no updates.
    NotTaken,
    /// The variable does not accept this value: the type that its reducer accepts, or none if the condition does not
    /// hold.
    Refused(Option<&'static str>),
    /// The variable would be too large.
    TooWide { bytes: u32 },
}

impl Variables {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The updates of a variable.
    fn updates_of(&self, name: &str) -> &[Payload] {
        self.0.as_ref().and_then(|known| known.updates.get(name)).map(Vec::as_slice).unwrap_or_default()
    }

    /// The updated variables with their updates.
    pub(crate) fn updates(&self) -> impl Iterator<Item = (&Name, &[Payload])> {
        self.0.iter().flat_map(|known| known.updates.iter().map(|(name, values)| (name, values.as_slice())))
    }

    /// The number of kept updates, not counting one that a further update of this variable would replace.
    pub(crate) fn updates_beside(&self, plan: &Plan, variable: &Name) -> usize {
        let replaces = declared(plan, variable).is_some_and(|variable| variable.reducer == Reducer::Replace);
        let others = self.updates().filter(|(name, _)| !replaces || *name != variable);
        others.map(|(_, values)| values.len()).sum()
    }

    /// Whether a variable accepts a value. `holds` evaluates its condition.
    pub(crate) fn may_update(
        &self,
        plan: &Plan,
        name: &Name,
        value: &Payload,
        most: u32,
        holds: impl FnOnce(&Condition) -> bool,
    ) -> Result<(), NoUpdate> {
        let variable = declared(plan, name).ok_or(NoUpdate::NotTaken)?;
        let condition = variable.updates.as_ref().ok_or(NoUpdate::NotTaken)?;
        if let Some(wanted) = variable.reducer.expected_type(value.value()) {
            return Err(NoUpdate::Refused(Some(wanted)));
        }
        if !holds(condition) {
            return Err(NoUpdate::Refused(None));
        }
        let there: usize = self.updates_of(name).iter().map(|kept| kept.bytes() as usize).sum();
        let bytes = u32::try_from(there.saturating_add(value.bytes() as usize)).unwrap_or(u32::MAX);
        let grows = matches!(variable.reducer, Reducer::Append | Reducer::Merge);
        if grows && bytes > most { Err(NoUpdate::TooWide { bytes }) } else { Ok(()) }
    }

    /// Updates a variable and returns its index. Its values that reducers of the host combined are dropped.
    pub(super) fn update(&mut self, plan: &Plan, name: &Name, value: &Payload) -> Applied<u32> {
        let unknown = Illegal::new("a variable is updated", "the run has no such variable");
        let index = plan.context.index_of(name).ok_or(unknown)?;
        let replaces = declared(plan, name).is_some_and(|variable| variable.reducer == Reducer::Replace);
        let known = self.0.get_or_insert_default();
        known.reduced.remove(&index);
        let kept = known.updates.entry(name.clone()).or_default();
        if replaces {
            kept.clear();
        }
        kept.push(value.clone());
        Ok(index)
    }

    /// Records the value that a reducer of the host combined for the output of the run.
    pub(super) fn reduce(&mut self, variable: u32, value: &Payload) {
        self.0.get_or_insert_default().reduced.insert(variable, value.clone());
    }

    /// Drops the values that were combined for the output of the run.
    pub(super) fn forget_reduced(&mut self) {
        if let Some(known) = &mut self.0 {
            known.reduced.clear();
        }
        self.0.take_if(|known| **known == Known::default());
    }

    /// The value of a variable that was combined for a reader.
    fn reduced<'a>(&'a self, graph: &'a Graph, reader: Reader, variable: u32) -> Option<&'a Payload> {
        match reader {
            Some(node) => graph.state(node)?.aside().reduced.get(&variable),
            None => self.0.as_ref()?.reduced.get(&variable),
        }
    }

    /// The value of a variable for a reader; null if there is no such variable.
    pub(crate) fn value(
        &self,
        graph: &Graph,
        reader: Reader,
        name: &str,
        within: Within<'_>,
    ) -> Result<Payload, NoValue> {
        let plan = graph.plan();
        let Some(index) = plan.context.index_of(name) else { return Ok(Payload::NULL) };
        if let Some(known) = self.reduced(graph, reader, index) {
            return Ok(known.clone());
        }
        match plan.definition.variables.get(index as usize) {
            Some(variable) => self.fold(graph, reader, (index, variable), within),
            None => Ok(Payload::NULL),
        }
    }

    /// The next variable that a reducer of the host must combine for a reader, with its value; none if there is none
    /// left.
    pub(crate) fn next_reduction(
        &self,
        graph: &Graph,
        reader: Reader,
        within: Within<'_>,
    ) -> Option<(u32, Result<Payload, NoValue>)> {
        let is_open = |variable: &&u32| self.reduced(graph, reader, **variable).is_none();
        let &index = graph.plan().context.custom(reader).iter().find(is_open)?;
        let variable = graph.plan().definition.variables.get(index as usize)?;
        Some((index, self.fold(graph, reader, (index, variable), within)))
    }

    /// Combines all writes that a reader sees. A value that is replaced as a whole is shared and not copied.
    fn fold(
        &self,
        graph: &Graph,
        reader: Reader,
        (index, variable): (u32, &Variable),
        Within { most, meter }: Within<'_>,
    ) -> Result<Payload, NoValue> {
        let exhausted = |is_within: bool| if is_within { Ok(()) } else { Err(NoValue::TooWide { bytes: most }) };
        let updates = self.updates_of(&variable.name).iter().map(Written::whole);
        let updates = updates.filter(|written| variable.reducer.expected_type(written.part).is_none());
        let writes = written(graph, reader, (index, variable)).chain(updates);
        meter.visit(graph.plan().context.seen(reader, index).len());
        if variable.reducer == Reducer::Replace {
            let value = match writes.last() {
                None => variable.initial.clone(),
                Some(Written { whole, part }) if core::ptr::eq(whole.value(), part) => whole.clone(),
                Some(Written { part, .. }) => {
                    exhausted(meter.copy(size(part)))?;
                    Payload::new(part.clone())
                }
            };
            return if value.bytes() > most { Err(NoValue::TooWide { bytes: value.bytes() }) } else { Ok(value) };
        }
        let mut writes = writes.peekable();
        if writes.peek().is_none() {
            return Ok(variable.initial.clone());
        }
        let mut made = variable.initial.bytes() as usize;
        exhausted(meter.copy(made))?;
        let mut value = variable.initial.value().clone();
        for Written { part, .. } in writes {
            let written = size(part);
            exhausted(meter.copy(written))?;
            made = made.saturating_add(written);
            let grows = matches!(variable.reducer, Reducer::Append | Reducer::Merge);
            let bytes = if grows { made } else { written };
            if bytes > most as usize {
                return Err(NoValue::TooWide { bytes: u32::try_from(bytes).unwrap_or(u32::MAX) });
            }
            value = match &variable.reducer {
                Reducer::Custom(name) => {
                    let functions = &graph.plan().functions;
                    let value = functions.reduce(name, &Payload::new(value), &Payload::new(part.clone()));
                    exhausted(meter.copy(value.bytes() as usize))?;
                    value.value().clone()
                }
                Reducer::Replace | Reducer::Append | Reducer::Merge | Reducer::Max | Reducer::Min | Reducer::Sum => {
                    variable.reducer.reduce(value, part)
                }
            };
        }
        let value = Payload::new(value);
        if value.bytes() > most { Err(NoValue::TooWide { bytes: value.bytes() }) } else { Ok(value) }
    }
}

/// The bounds of the evaluation of a variable.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Within<'a> {
    /// The largest size in bytes of the value.
    pub(crate) most: u32,
    pub(crate) meter: &'a Meter,
}

/// A written value: a part of an output or of an update.
#[derive(Debug, Clone, Copy)]
struct Written<'a> {
    whole: &'a Payload,
    part: &'a Value,
}

impl<'a> Written<'a> {
    fn whole(whole: &'a Payload) -> Self {
        Self { whole, part: whole.value() }
    }
}

fn declared<'p>(plan: &'p Plan, name: &str) -> Option<&'p Variable> {
    plan.definition.variables.get(plan.context.index_of(name)? as usize)
}

/// The writes of nodes to a variable that a reader sees, in the order in which they are combined.
fn written<'g>(
    graph: &'g Graph,
    reader: Reader,
    (index, variable): (u32, &'g Variable),
) -> impl Iterator<Item = Written<'g>> {
    graph.plan().context.seen(reader, index).iter().flat_map(move |writer| {
        let done = graph.node(*writer).filter(|node| node.state.has_succeeded());
        let writes = done.map(|node| &node.definition.writes[..]).unwrap_or_default();
        let mine = writes.iter().filter(move |write| write.to == variable.name);
        // An operator may have set an output of any type.
        let fits = |written: &Written<'_>| variable.reducer.expected_type(written.part).is_none();
        mine.filter_map(move |write| {
            let whole = done?.state.output();
            Some(Written { whole, part: write.of(whole.value())? }).filter(fits)
        })
    })
}

/// The first write of a node that its variable does not accept, as an error text.
pub(crate) fn unwritable(graph: &Graph, node: BoundNode<'_>, output: &Payload) -> Option<String> {
    node.definition.writes.iter().find_map(|write| {
        let value = write.of(output.value())?;
        let wanted = declared(graph.plan(), &write.to)?.reducer.expected_type(value)?;
        Some(format!("the value that it writes to variable `{}` is not {wanted}", write.to))
    })
}
