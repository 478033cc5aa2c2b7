//! What people may answer to a run that waits for them.

use counterpoint::definition::{Action, RaceOption, WaitFor};
use counterpoint::engine::{Awaited, RunStanding};
use counterpoint::{Engine, Name, Payload, RunCommand, RunId};

/// The options of the decisions of a node.
#[must_use]
pub fn options(engine: &Engine, run: RunId, node: &Name) -> Vec<Name> {
    let Some(view) = engine.run(run) else { return Vec::new() };
    let Some(Action::Race { options }) = view.definition().node(node).map(|node| &node.action) else {
        return Vec::new();
    };
    let of = |option: &RaceOption| match &option.on {
        WaitFor::Decision(decision) => decision.options.clone(),
        _ => Vec::new(),
    };
    options.iter().flat_map(of).collect()
}

/// If the run goes on only by an answer of people: the command that a person might give, with a text; no command if there is
/// none. Decisions take their first option, signals have no content.
#[must_use]
pub fn answer_of(engine: &Engine, run: RunId) -> Option<(Option<RunCommand>, String)> {
    let view = engine.run(run)?;
    if view.standing() != RunStanding::Stalled {
        return None;
    }
    for wait in view.waits() {
        let node = wait.node.clone().unwrap_or_else(|| Name::from("run"));
        match wait.on {
            Awaited::Signal { signal } => {
                let text = format!("signal `{signal}` for `{node}`");
                return Some((Some(RunCommand::Signal { run: wait.run, signal, payload: Payload::NULL }), text));
            }
            Awaited::Decision { roles, .. } => {
                let option = options(engine, wait.run, &node).first().cloned()?;
                let text = format!("`{option}` decided for `{node}`");
                let by = Name::from("simulation");
                let command = RunCommand::Decide { run: wait.run, node, option, by, roles, note: Payload::NULL };
                return Some((Some(command), text));
            }
            Awaited::Items => {
                return Some((
                    Some(RunCommand::Close { run: wait.run, node: node.clone() }),
                    format!("`{node}` closed"),
                ));
            }
            _ => {}
        }
    }
    Some((None, format!("the run waits for {}", view.waits_for().join("; "))))
}
