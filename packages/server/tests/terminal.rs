//! People at the terminal: a pseudo-terminal of Python answers.

mod common;

use common::{Place, until};
use std::path::Path;
use std::process::{Command, Stdio};

const ASKING: &str = "
name: asking
tasks:
  - {id: name}
  - {id: sure, inputs: {name: \"${name.output}\"}, depends_on: name}
  - id: gate
    depends_on: sure
    race: [{name: verdict, decision: {role: editor, options: [publish, discard]}}]
outputs: {name: \"${name.output}\", sure: \"${sure.output}\", gate: \"${gate.output.option}\"}
agents:
  person:
    performs:
      name: {ask: 'Your name?'}
      sure: {ask: 'Is it ${input.name}?', answers: ['yes', 'no']}
";

fn at_terminal(place: &Place, answers: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/terminal.py")).args(answers).arg("--");
    command.arg(env!("CARGO_BIN_EXE_counterpoint")).args(["run", "flow.yaml"]).current_dir(place.path("."));
    command.env_remove("NO_COLOR").stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

#[test]
fn a_person_is_asked_until_the_answer_is_valid() {
    let place = Place::with(ASKING);
    let answers = [
        "Your name?",
        "Ada",
        "Is it Ada? [yes/no]",
        "maybe",
        "Is it Ada? [yes/no]",
        "y",
        "decide for `gate`",
        "publish",
    ];
    let output = at_terminal(&place, &answers).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    for part in ["\"gate\": \"publish\"", "\"name\": \"Ada\"", "\"sure\": \"yes\"", "\u{1b}[32m", "█"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
}

#[test]
fn a_question_is_withdrawn_when_another_person_has_decided() {
    // After the decision the run asks another question, whose answer must not be taken for the decision.
    let more = ASKING.replace(
        "outputs: {",
        "  - {id: last, type: name, depends_on: {task: gate, case: discard}}\noutputs: {last: \"${last.output}\", ",
    );
    let place = Place::with(&more);
    let child = at_terminal(
        &place,
        &["Your name?", "Ada", "Is it Ada? [yes/no]", "no", "decided for discard", "", "Your name?", "Eve"],
    )
    .spawn()
    .unwrap();
    let show = || place.run(["show", "asking-1"]).stdout;
    until("the run waits for the decision", || show().contains("decision by editor"));
    place.run(["approve", "asking-1", "--option", "discard"]).with(0);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("\"gate\": \"discard\"") && text.contains("\"last\": \"Eve\""),
        "{text}"
    );
}

#[test]
fn without_a_terminal_a_question_waits_and_is_answered_by_hand() {
    let place = Place::with(ASKING);
    let running = place.start(["run", "flow.yaml", "--json"]);
    let control = place.path(".counterpoint/runs/asking-1/control.json");
    until("the control port is open", || control.exists());
    place.run(["complete", "asking-1", "name", "Grace"]).with(0);
    place.run(["complete", "asking-1", "sure", "yes"]).with(0);
    until("the run waits for the decision", || place.run(["show", "asking-1"]).stdout.contains("decision by editor"));
    place.run(["approve", "asking-1"]).with(0);
    let ended = running.end().with(0);
    assert_eq!(ended.json()["output"]["name"], "Grace");
    ended.says("asks at a terminal, and there is none");
}
