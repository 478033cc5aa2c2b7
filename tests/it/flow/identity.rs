//! What a journal must show about failures, by the documentation alone: a failure of a node is one that an agent reported, or
//! one of the engine's own, or one that the definition declares; and it comes out of nested runs as it was there.

use counterpoint::definition::{Action, Definition};
use counterpoint::message::{CatalogueEvent, Cause, NodeEvent, NodeOutcome, RunEvent, TaskEvent};
use counterpoint::task::Place;
use counterpoint::{Entry, Event, Failure, Name};
use std::collections::BTreeSet;

/// The failures that a journal has shown so far.
#[derive(Default)]
struct Seen<'j> {
    reported: Vec<&'j Failure>,
    of_runs: Vec<Failure>,
    of_nodes: Vec<&'j Failure>,
    /// The nodes that always fail.
    fails: BTreeSet<Name>,
}

fn same(one: &Failure, other: &Failure) -> bool {
    one.kind == other.kind
        && one.code == other.code
        && one.message == other.message
        && one.details() == other.details()
        && one.cause() == other.cause()
}

impl<'j> Seen<'j> {
    fn learn(&mut self, definition: &Definition) {
        for node in &definition.nodes {
            if matches!(node.action, Action::Fail(_)) {
                self.fails.insert(node.name.clone());
            }
            let states = if let Action::States(states) = &node.action { &states.states[..] } else { &[] };
            let bodies = states.iter().filter_map(|state| state.body.as_ref());
            let body = match &node.action {
                Action::Do(body) => Some(body),
                Action::Map(map) => Some(&map.body),
                Action::Repeat(repeat) => Some(&repeat.body),
                _ => None,
            };
            for body in bodies.chain(body) {
                if let counterpoint::definition::Body::Flow(flow) = body {
                    self.learn(flow);
                }
            }
        }
    }

    fn node(&mut self, node: &Name, failure: &'j Failure) -> Result<(), String> {
        let told = || format!("{node} failed with {failure:?}");
        let Some((last, before)) = failure.path().split_last() else { return Err(format!("{}: no path", told())) };
        if last.node != *node {
            return Err(format!("{}: the path ends elsewhere", told()));
        }
        let own = failure.code.as_ref().is_some_and(|code| code.as_str().starts_with("cp."));
        let reported = || self.reported.iter().any(|one| same(one, failure));
        let declared = || failure.path().first().is_some_and(|first| self.fails.contains(&first.node));
        if !own && !declared() && !reported() {
            return Err(format!("{}: nobody reported that", told()));
        }
        let from = |one: &Failure| same(one, failure) && one.path() == before;
        // A join fails with the failure of one of its branches, another node of its run.
        let known = self.of_runs.iter().any(from) || self.of_nodes.iter().any(|one| from(one));
        if !before.is_empty() && !known {
            return Err(format!("{}: no run and no branch has failed so", told()));
        }
        self.of_nodes.push(failure);
        Ok(())
    }

    fn entry(&mut self, event: &'j Event) -> Result<(), String> {
        match event {
            Event::Catalogue(CatalogueEvent::Defined { definition } | CatalogueEvent::Redefined { definition, .. }) => {
                self.learn(definition)
            }
            Event::Run { event: RunEvent::Migrated { definition: Some(definition), .. }, .. } => self.learn(definition),
            Event::Task { event: TaskEvent::AttemptFailed { failure, .. }, .. } => self.reported.push(failure),
            Event::Node { node, event: NodeEvent::Finished { outcome, .. } | NodeEvent::Held { outcome }, .. } => {
                if let NodeOutcome::Failed { failure, .. } = outcome {
                    self.node(&node.name, failure)?;
                }
            }
            Event::Run { event: RunEvent::Finished { outcome }, .. } => {
                if let Some(cause) = outcome.cause() {
                    let failure = cause.failure();
                    let path: &[Place] = failure.path();
                    let known = self.of_nodes.iter().any(|one| same(one, &failure) && one.path() == path);
                    if matches!(cause, Cause::Node { .. }) && !known {
                        return Err(format!("a run ended with {failure:?}, with which no node of it failed"));
                    }
                    self.of_runs.push(failure);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Checks the journal of one engine from its beginning.
pub(crate) fn check(journal: &[Entry]) -> Result<(), String> {
    let mut seen = Seen::default();
    journal.iter().try_for_each(|entry| seen.entry(&entry.event).map_err(|why| format!("{}: {why}", entry.seq)))
}
