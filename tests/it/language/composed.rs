//! What documents express by two constructs, as "Composed" in `docs/language.md` states.

use super::compiled;
use counterpoint::testing::{Rehearsal, Reply, Script};
use counterpoint::{AgentId, AgentSpec, Config, Payload, RunCommand, RunId, RunOutcome, RunSpec, Time};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const RUN: RunId = RunId::new(1);

struct Played {
    rehearsal: Rehearsal,
    counts: Arc<Mutex<BTreeMap<String, usize>>>,
}

/// Starts a run of the document. Tasks whose kinds begin with `slow` take three hours and a half, all others no time.
fn play(name: &str, input: &Value) -> Played {
    let page = include_str!("../../../docs/language.md");
    let documents = page.split("```yaml\n").map(|part| part.split("```").next().unwrap());
    let yaml = documents.into_iter().find(|yaml| yaml.starts_with(&format!("name: {name}\n"))).unwrap();
    let definition = compiled(yaml);
    let counts: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let kinds = ["charge", "mail", "record", "slow", "apologise", "ship", "try", "poll"];
    let script = kinds.into_iter().fold(Script::new(), |script, kind| {
        let counts = Arc::clone(&counts);
        script.on_fn(kind, move |task, _| {
            *counts.lock().unwrap().entry(kind.to_owned()).or_default() += 1;
            let reply = Reply::ok(task.payload.value());
            if kind == "slow" { reply.after(Duration::from_secs(12_600)) } else { reply }
        })
    });
    let mut rehearsal = Rehearsal::new(Config::default);
    rehearsal.join(AgentSpec::new(AgentId::new(1)).with_capacity(100), script);
    rehearsal.start(definition, RunSpec::new(RUN, name).with_input(Payload::new(input.clone())));
    Played { rehearsal, counts }
}

impl Played {
    fn count(&self, kind: &str) -> usize {
        self.counts.lock().unwrap().get(kind).copied().unwrap_or(0)
    }

    fn signal(&mut self, signal: &str, content: Value) {
        let payload = Payload::new(content);
        self.rehearsal.command(RunCommand::Signal { run: RUN, signal: signal.into(), payload }).unwrap();
    }

    fn output(&mut self) -> Value {
        self.rehearsal.run();
        match self.rehearsal.recording().run_outcome(RUN) {
            Some(RunOutcome::Succeeded { output }) => output.value().clone(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_timer_and_a_signal_fire_each_time_while_a_task_is_under_way() {
    let mut played = play("each_time", &json!({}));
    played.rehearsal.run_for(Duration::from_secs(5_400));
    for number in [1, 2] {
        played.signal("note", json!(number));
        played.rehearsal.run_for(Duration::from_secs(60));
        played.rehearsal.crash();
    }
    played.output();
    assert_eq!((played.count("slow"), played.count("mail"), played.count("record")), (1, 3, 2));
}

#[test]
fn handlers_of_the_whole_run_are_those_of_a_task_with_a_workflow() {
    let mut fast = play("whole", &json!({"slow": false}));
    assert_eq!((fast.output(), fast.count("apologise")), (json!({"late": false}), 0));
    let mut late = play("whole", &json!({"slow": true}));
    assert_eq!((late.output(), late.count("apologise"), late.count("ship")), (json!({"late": true}), 1, 0));
    // A part ends the whole by a signal to its parent.
    let mut stopped = play("whole", &json!({"slow": false, "stop": true}));
    stopped.output();
    assert_eq!((stopped.count("ship"), stopped.count("apologise")), (0, 0));
    assert_eq!(stopped.rehearsal.now(), Time::ZERO, "it does not wait for the rest");
}

#[test]
fn a_state_waits() {
    let mut played = play("polling", &json!({"n": 1}));
    played.rehearsal.run();
    assert_eq!(played.rehearsal.now(), Time::from_secs(600));
    assert_eq!(played.count("poll"), 3);
}

#[test]
fn rounds_overlap_as_items_of_a_list() {
    let mut played = play("overlapping", &json!({}));
    let output = played.output();
    assert_eq!(output["tries"].as_array().unwrap().len(), 5);
    // Two at once, each three hours and a half: three times, not five.
    assert_eq!(played.rehearsal.now(), Time::from_secs(3 * 12_600));
}
