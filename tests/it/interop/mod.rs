//! Documents of the Amazon States Language: imported, performed, compared with an interpreter, and exported again.

mod bpmn;
mod mistakes;
mod oracle;
mod played;
mod random;
mod table;

use counterpoint::interop::asl::{Imported, Options, export, import};
use counterpoint::message::Cause;
use counterpoint::testing::{Rehearsal, Reply, Script};
use counterpoint::{AgentId, AgentSpec, Config, Failure, Payload, RunId, RunOutcome, RunSpec};
use oracle::{Answer, Error};
use serde_json::Value;
use std::sync::Arc;

/// The options of the tests.
fn order() -> Options {
    Options::named("order")
}

fn imported(document: &Value) -> Imported {
    import(document, &order()).unwrap_or_else(|error| panic!("{error}: {document}"))
}

/// Exports what was imported, and imports it again.
fn exported(imported: &Imported) {
    let exported = export(&imported.definition).unwrap_or_else(|error| panic!("{error}"));
    let again = import(&exported.document, &order()).unwrap_or_else(|error| panic!("{error}: {}", exported.document));
    assert_eq!(again.definition, imported.definition, "{}", exported.document);
}

type Answers = Arc<dyn Fn(&str, &Value, u32) -> Answer + Send + Sync>;

/// A rehearsal in which an agent gives these answers.
fn rehearsal(resources: &[&'static str], answers: &Answers) -> Rehearsal {
    let script = resources.iter().copied().fold(Script::new(), |script, resource| {
        let answers = Arc::clone(answers);
        script.on_fn(resource, move |task, number| match answers(resource, task.payload.value(), number) {
            Ok(output) => Reply::ok(&output),
            Err(("hang", _)) => Reply::hang(),
            Err((name, cause)) => Reply::fail(Failure::transient(cause).with_code(name)),
        })
    });
    let mut rehearsal = Rehearsal::new(Config::default);
    rehearsal.join(AgentSpec::new(AgentId::new(1)).with_capacity(100), script);
    rehearsal
}

const RUN: RunId = RunId::new(1);

fn start(rehearsal: &mut Rehearsal, imported: &Imported, input: &Value) {
    let run = RunSpec::new(RUN, "order").with_input(Payload::new(input.clone()));
    rehearsal.start(imported.definition.clone(), run);
    rehearsal.run();
}

/// The output of the run, or its error.
fn outcome(rehearsal: &Rehearsal) -> Result<Value, Error> {
    let recording = rehearsal.recording();
    match recording.run_outcome(RUN).expect("the run has ended") {
        RunOutcome::Succeeded { output } => Ok(output.value().clone()),
        failed => match failed.cause() {
            Some(Cause::Node { failure, .. }) => {
                let code = failure.code.as_ref().map_or("States.TaskFailed", |code| code.as_str());
                let (name, cause) = match code {
                    "cp.value.missing" => ("States.ParameterPathFailure", ""),
                    "cp.value.invalid" => ("States.ResultPathMatchFailure", ""),
                    "cp.no_case" => ("States.NoChoiceMatched", ""),
                    "cp.timeout.attempt" => ("States.Timeout", ""),
                    code => (code, &*failure.message),
                };
                Err(Error { name: name.to_owned(), cause: cause.to_owned() })
            }
            other => panic!("{other:?}"),
        },
    }
}
