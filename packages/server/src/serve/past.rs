//! What the pages know of the time before a start.

use super::board::Board;
use crate::traces::Traces;
use crate::view::SharedView;
use counterpoint::message::{AgentEvent, CatalogueEvent};
use counterpoint::{Engine, Entry, Event, Seq, Time};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// The entries of the journal at the start, until they are shown. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Past(Arc<Mutex<Vec<Entry>>>);

impl Past {
    pub(super) fn set(&self, entries: Vec<Entry>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = entries;
    }

    /// Shows the entries. What is older, and still known to the engine, is shown before them: workflows and agents.
    pub(super) fn show(&self, engine: &Engine, view: &SharedView, board: &Board, traces: Option<&Traces>) {
        let entries = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let older = older(engine, &entries);
        // The views take about the same time, so two of them are applied at once.
        thread::scope(|scope| {
            scope.spawn(|| older.iter().chain(&entries).for_each(|entry| board.apply(entry)));
            older.iter().chain(&entries).for_each(|entry| _ = view.tell(entry));
        });
        if let Some(traces) = traces {
            // With the names that the view has now.
            traces.complete(engine);
            entries.iter().for_each(|entry| traces.restore(entry));
            traces.resume(engine);
        }
    }
}

/// Entries for workflows and agents from before these entries.
fn older(engine: &Engine, entries: &[Entry]) -> Vec<Entry> {
    let (before, at) = match entries.first() {
        Some(first) => (Seq::new(first.seq.get().saturating_sub(1)), first.at),
        None => (engine.last_seq(), Time::ZERO),
    };
    if before == Seq::ZERO {
        return Vec::new();
    }
    let mut older: Vec<Event> = Vec::new();
    for known in engine.definitions() {
        let definition = Arc::new(known.definition.clone());
        older.push(CatalogueEvent::Defined { definition }.into());
    }
    let registered = entries.iter().filter_map(|entry| match &entry.event {
        Event::Agent { agent, event: AgentEvent::Registered { .. } } => Some(*agent),
        _ => None,
    });
    let registered: BTreeSet<_> = registered.collect();
    for agent in engine.agents().filter(|agent| !registered.contains(&agent.incarnation())) {
        let spec = Arc::new(agent.spec().clone());
        older.push(Event::Agent { agent: agent.incarnation(), event: AgentEvent::Registered { spec } });
    }
    older.into_iter().map(|event| Entry { seq: before, at, event }).collect()
}
