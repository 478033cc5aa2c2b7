//! Processes in BPMN 2.0 XML: imported, performed, and compared with a token game.

mod game;
mod mistakes;
mod played;
mod random;
mod shapes;
mod table;

use counterpoint::interop::ImportError;
use counterpoint::interop::bpmn::{Imported, Options, export, import};
use counterpoint::message::Cause;
use counterpoint::testing::{Rehearsal, Reply, Script};
use counterpoint::{AgentId, AgentSpec, Config, Failure, Payload, RunId, RunOutcome, RunSpec};
use serde_json::Value;
use std::sync::Arc;

const RUN: RunId = RunId::new(1);

/// A document with one process.
fn xml(inside: &str) -> String {
    format!(
        "<definitions xmlns=\"http://www.omg.org/spec/BPMN/20100524/MODEL\">\n<process id=\"p\">\n{inside}\n</process>\n</definitions>"
    )
}

/// Elements such as `task a` and flows such as `a>b`, `g>b ${x > 1}` or `g>c default`, each in a line or after `;`.
fn process(lines: &str) -> String {
    let lines: Vec<&str> = lines.split([';', '\n']).map(str::trim).filter(|line| !line.is_empty()).collect();
    let flows: Vec<Vec<&str>> = lines
        .iter()
        .filter(|line| line.split(' ').next().unwrap().contains('>'))
        .map(|line| line.splitn(2, ' ').collect())
        .collect();
    let name = |flow: &str| flow.replace('>', "_");
    let mut text = String::new();
    for line in lines.iter().filter(|line| !line.split(' ').next().unwrap().contains('>')) {
        let (kind, id) = line.split_once(' ').unwrap();
        let of = |flow: &&Vec<&str>| flow.get(1) == Some(&"default") && flow[0].starts_with(&format!("{id}>"));
        let default = flows.iter().find(of).map(|flow| format!(" default=\"{}\"", name(flow[0]))).unwrap_or_default();
        text.push_str(&format!("<{} id=\"{id}\"{default}/>\n", element(kind)));
    }
    for flow in &flows {
        let (from, to) = flow[0].split_once('>').unwrap();
        let condition = flow.get(1).filter(|text| **text != "default").map(|text| {
            format!("<conditionExpression>{}</conditionExpression>", text.replace('&', "&amp;").replace('<', "&lt;"))
        });
        let id = name(flow[0]);
        text.push_str(&format!(
            "<sequenceFlow id=\"{id}\" sourceRef=\"{from}\" targetRef=\"{to}\">{}</sequenceFlow>\n",
            condition.unwrap_or_default()
        ));
    }
    xml(&text)
}

fn element(kind: &str) -> &str {
    match kind {
        "start" => "startEvent",
        "end" => "endEvent",
        "task" => "serviceTask",
        "xor" => "exclusiveGateway",
        "and" => "parallelGateway",
        "or" => "inclusiveGateway",
        "event" => "eventBasedGateway",
        other => other,
    }
}

fn imported(document: &str) -> Imported {
    let imported = import(document, &Options::default()).unwrap_or_else(|error| panic!("{error}:\n{document}"));
    exported(&imported, &Options::default());
    imported
}

/// Exports what was imported, and imports it again.
fn exported(imported: &Imported, options: &Options) {
    let document = export(&imported.definition).unwrap_or_else(|error| panic!("{error}"));
    let again = import(&document, options).unwrap_or_else(|error| panic!("{error}:\n{document}"));
    assert_eq!(again.definition, imported.definition, "{document}");
    assert_eq!(export(&again.definition).unwrap(), document);
}

fn refused(document: &str) -> ImportError {
    import(document, &Options::default()).expect_err("the import fails")
}

type Answers = Arc<dyn Fn(&str, &Value) -> Result<Value, String> + Send + Sync>;

/// A rehearsal with an agent that gives these answers.
fn rehearsal(tasks: &[String], answers: &Answers) -> Rehearsal {
    let script = tasks.iter().fold(Script::new(), |script, kind| {
        let (answers, name) = (Arc::clone(answers), kind.clone());
        script.on_fn(kind.as_str(), move |task, _| match answers(&name, task.payload.value()) {
            Ok(output) => Reply::ok(&output),
            Err(code) if code == "hang" => Reply::hang(),
            Err(code) => Reply::fail(Failure::permanent("it fails").with_code(code.as_str())),
        })
    });
    let mut rehearsal = Rehearsal::new(Config::default);
    rehearsal.join(AgentSpec::new(AgentId::new(1)).with_capacity(100), script);
    rehearsal
}

/// Starts a run of what was imported, up to where nothing more happens by itself.
fn start(rehearsal: &mut Rehearsal, imported: &Imported, input: &Value) {
    let run = RunSpec::new(RUN, imported.definition.name.clone()).with_input(Payload::new(input.clone()));
    rehearsal.start(imported.definition.clone(), run);
    rehearsal.run();
}

/// The output of the run, or the code of its failure.
fn outcome(rehearsal: &Rehearsal) -> Option<Result<Value, String>> {
    let recording = rehearsal.recording();
    Some(match recording.run_outcome(RUN)? {
        RunOutcome::Succeeded { output } => Ok(output.value().clone()),
        failed => Err(match failed.cause() {
            Some(Cause::Node { failure, .. }) => failure.code.as_ref().map(|code| code.as_str().to_owned()),
            _ => None,
        }
        .unwrap_or_default()),
    })
}
