//! Operations on runs: through the process that performs a run, and offline.

mod common;

use common::{Place, until};
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;

const GATES: &str = "
name: gates
tasks:
  - id: draft
  - id: packed
    depends_on: draft
    wait: {signal: packed}
  - id: review
    depends_on: packed
    race:
      - {name: verdict, decision: {role: editor, options: [publish, reject]}}
  - id: publish
    depends_on: {task: review, case: publish}
    inputs: {verdict: \"${review.output}\", packed: \"${packed.output}\"}
outputs: \"${publish.output}\"
agents:
  shell:
    performs:
      draft: {command: [echo, text]}
      publish: {command: [cat], stdout: json}
";

/// The state of a run; that of a run that has not begun yet is an error.
fn state(place: &Place, run: &str) -> serde_json::Value {
    place.run(["show", run, "--json"]).json()
}

#[test]
fn signals_and_decisions_reach_the_process_that_performs_the_run() {
    let place = Place::with(GATES);
    let running = place.start(["run", "flow.yaml", "--json"]);
    until("the run waits for the signal", || state(&place, "gates-1")["nodes"]["packed"] == "running");
    assert_eq!(state(&place, "gates-1")["state"], "running");
    until("the control port is open", || place.path(".counterpoint/runs/gates-1/control.json").exists());
    let mode = std::fs::metadata(place.path(".counterpoint/runs/gates-1/control.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    place.run(["approve", "gates-1"]).with(8).says("waits for no decision");
    place.run(["signal", "gates-1", "packed", "{\"boxes\": 2}"]).with(0).says("delivered");
    until("the run waits for the decision", || state(&place, "gates-1")["nodes"]["review"] == "running");
    place.run(["approve", "gates-1", "--node", "other"]).with(8).says("awaited: review");
    place.run(["approve", "gates-1", "--option", "burn"]).with(8);
    place
        .run(["approve", "gates-1", "--option", "publish", "--by", "ada"])
        .with(0)
        .says("`publish` decided for `review`");
    let ended = running.end().with(0);
    assert_eq!(ended.json()["output"]["packed"], json!({"boxes": 2}));
    ended.says("counterpoint signal gates-1 packed");
    assert!(!place.path(".counterpoint/runs/gates-1/control.json").exists());
    place.run(["approve", "gates-1"]).with(8);
}

#[test]
fn a_wrong_token_changes_nothing() {
    use std::io::{Read as _, Write as _};
    let place = Place::with(GATES);
    let running = place.start(["run", "flow.yaml"]);
    let control = place.path(".counterpoint/runs/gates-1/control.json");
    until("the control port is open", || control.exists());
    let address: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&control).unwrap()).unwrap();
    let port = u16::try_from(address["port"].as_u64().unwrap()).unwrap();
    let token = address["token"].as_str().unwrap();
    let ask = |token: &str, body: &str| {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let head = format!(
            "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    let cancel = r#"{"cancel": {"reason": "x"}}"#;
    assert_eq!(ask("", cancel), "401");
    assert_eq!(ask(&token[1..], cancel), "401");
    assert_eq!(ask(token, "{"), "400");
    assert_eq!(ask(token, r#"{"explode": {}}"#), "400");
    assert_eq!(state(&place, "gates-1")["state"], "running");
    assert_eq!(ask(token, cancel), "200");
    running.end().with(1);
}

#[test]
fn operations_are_applied_offline_and_the_run_goes_on_with_them() {
    let place = Place::with(GATES);
    place.run(["run", "flow.yaml", "--no-wait"]).with(4).says("packed");
    place.run(["signal", "gates-1", "packed", "7"]).with(0).says("go on with: counterpoint run");
    place.run(["run", "flow.yaml", "--no-wait"]).with(4).says("editor");
    place.run(["approve", "gates-1", "--by", "ada", "--note", "fine"]).with(0);
    let ended = place.run(["run", "flow.yaml", "--json"]).with(0).json();
    assert_eq!((&ended["run"], &ended["output"]["packed"]), (&json!("gates-1"), &json!(7)));
    assert!(place.run(["show", "gates-1", "--events"]).with(0).stdout.contains("ada"));
}

#[test]
fn a_cancelled_run_ends_with_the_reason() {
    let place = Place::with(GATES);
    let running = place.start(["run", "flow.yaml", "--json"]);
    until("the control port is open", || place.path(".counterpoint/runs/gates-1/control.json").exists());
    place.run(["cancel", "gates-1", "--reason", "too late"]).with(0);
    let ended = running.end().with(1);
    assert!(ended.json()["cause"].as_str().unwrap().contains("too late"), "{}", ended.stdout);
    // The same command begins a new run, since this one has ended.
    place.run(["run", "flow.yaml", "--no-wait", "--quiet"]).with(4);
    let listed = place.run(["ls", "--json"]).with(0);
    assert_eq!(listed.stdout.lines().count(), 2);
    assert_eq!(place.run(["ls", "--state", "failed"]).with(0).stdout.lines().count(), 1);
    // Offline, too.
    place.run(["cancel", "gates-2"]).with(0);
    assert_eq!(state(&place, "gates-2")["state"], "failed");
}

#[test]
fn a_held_failure_is_retried_completed_or_skipped() {
    let flow = "
name: held
on_failure: hold
tasks:
  - {id: one, retry: 1}
  - {id: two, depends_on: one}
outputs: \"${two.output}\"
agents:
  shell:
    performs:
      one: {shell: 'test -e fixed && echo 1'}
      two: {command: [echo, '2']}
";
    let place = Place::with(flow);
    place.run(["run", "flow.yaml", "--no-wait"]).with(4).says("one");
    place.write("fixed", "");
    place.run(["retry", "held-1", "--node", "one"]).with(0);
    assert_eq!(place.run(["run", "flow.yaml"]).with(0).stdout, "2\n");

    std::fs::remove_file(place.path("fixed")).unwrap();
    place.run(["run", "flow.yaml", "--no-wait"]).with(4);
    place.run(["complete", "held-2", "one", "5"]).with(0);
    assert_eq!(place.run(["run", "flow.yaml", "--json"]).with(0).json()["run"], "held-2");

    place.run(["run", "flow.yaml", "--no-wait"]).with(4);
    place.run(["skip", "held-3", "nothing"]).with(8);
    place.run(["skip", "held-3", "one"]).with(0);
}

#[test]
fn runs_are_listed_shown_and_exported() {
    let place = Place::with(GATES);
    place.run(["ls"]).with(0).says("no runs");
    place.run(["run", "flow.yaml", "--no-wait", "--run", "friday"]).with(4);
    place.run(["show", "fridya"]).with(7).says("did you mean `friday`?");
    place.run(["show", "../x"]).with(2);
    let shown = place.run(["show", "friday", "--events", "--timeline", "t.svg", "--graph", "g.svg"]).with(0);
    shown.says("waits for packed");
    shown.says("goes on with: counterpoint run");
    assert!(place.read("t.svg").contains("<svg") && place.read("g.svg").contains("<svg"));
    let exported = place.run(["export", "friday"]).with(0).stdout;
    assert!(exported.lines().count() > 5);
    assert!(exported.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    place.run(["export", "friday", "-o", "out.jsonl"]).with(0);
    assert_eq!(place.read("out.jsonl"), exported);
}

#[test]
fn a_damaged_journal_is_an_error_that_names_it() {
    let place = Place::with(GATES);
    place.run(["run", "flow.yaml", "--no-wait"]).with(4);
    let folder = place.path(".counterpoint/runs/gates-1/journal");
    let mut files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let segment = files.find(|path| path.extension().is_some_and(|end| end == "journal")).unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[200] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    place.run(["show", "gates-1"]).with(6).says("gates-1/journal");
    place.run(["run", "flow.yaml"]).with(6);
    place.run(["signal", "gates-1", "packed"]).with(6);
    place.run(["doctor"]).with(6).says("FAULT");
    place.run(["ls"]).with(0);
}
