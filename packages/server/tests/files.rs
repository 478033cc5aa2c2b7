//! `check`, `draw`, `doctor` and the command line.

mod common;

use common::Place;
use serde_json::json;

#[test]
fn every_mistake_is_reported_with_line_and_column() {
    let place = Place::with(
        "name: bad
tasks:
  - id: one
    timeout: soon
  - id: two
    depends_on: oen
agents:
  shell:
    capacity: none
    performs:
      one: {comand: [x]}
      two: {command: [x, '${imput}']}
",
    );
    let checked = place.run(["check", "flow.yaml"]).with(3);
    for line in [
        "flow.yaml:4:14: tasks[0].timeout: invalid value `soon`",
        "flow.yaml:6:17: tasks[1].depends_on: unknown task `oen`, did you mean `one`?",
        "flow.yaml:9:15: agents.shell.capacity: expected a whole number",
        "flow.yaml:11:21: agents.shell.performs.one.comand: unknown field `comand`, did you mean `command`?",
        "flow.yaml:12:26: agents.shell.performs.two.command[1]: unknown reference `imput`, did you mean `input`?",
    ] {
        checked.says(line);
    }
    let as_json = place.run(["check", "flow.yaml", "--json"]).with(3).json();
    assert_eq!(as_json["mistakes"][0]["at"], json!({"line": 4, "column": 14}));
    assert_eq!(as_json["code"], 3);
    // Nothing is run, and nothing is left behind.
    place.run(["run", "flow.yaml"]).with(3);
    assert!(!place.path(".counterpoint").exists());
}

#[test]
fn tasks_that_no_agent_performs_are_mistakes() {
    let flow = "
name: lacking
tasks:
  - {id: one, type: resreve, compensate: release}
agents:
  shell: {performs: {reserve: {command: ['true']}}}
";
    let checked = Place::with(flow).run(["check", "flow.yaml"]).with(3);
    checked.says("no agent has skill `resreve`; did you mean `reserve`?");
    checked.says("release");
}

#[test]
fn files_that_are_no_workflows_are_readable_errors() {
    let place = Place::new();
    for (name, text, says) in [
        ("a.yaml", "name: [", "line 1"),
        ("b.yaml", "- 1\n- 2\n", "expected an object"),
        ("c.json", "{\"name\": \"x\",}", "line 1 column"),
        ("d.toml", "name = \n", "line 1"),
        ("e.yaml", "", "expected an object, found null"),
        ("f.yaml", "name: x\nname: y\n", "name"),
        ("g.txt", "name: x", ".yaml"),
        ("h.yaml", "name: x\ntasks: [{id: a}]\nagents: [1]\n", "expected an object of agents"),
        ("i.yaml", "name: x\ntasks: [{id: a}]\nagents: {a: {command: []}}\n", "expected a program"),
    ] {
        place.write(name, text);
        let ended = place.run(["check", name]);
        assert!(matches!(ended.code, Some(2 | 3)), "{name}: {:?} {}", ended.code, ended.stderr);
        ended.says(says);
    }
    std::fs::write(place.path("j.yaml"), [0xff, 0xfe, 0x00]).unwrap();
    assert!(matches!(place.run(["check", "j.yaml"]).code, Some(3 | 6)));
    place.run(["check", "."]).with(2);
    std::fs::write(place.path("k.yaml"), vec![b'#'; 5 << 20]).unwrap();
    place.run(["check", "k.yaml"]).with(6).says("more than");
    let deep = format!("name: x\ntasks: {}{}", "[".repeat(5_000), "]".repeat(5_000));
    place.write("l.yaml", &deep);
    assert!(matches!(place.run(["check", "l.yaml"]).code, Some(3)));
}

#[test]
fn a_file_is_checked_drawn_and_examined() {
    let place = Place::with(
        "
name: fine
tasks:
  - id: one
  - {id: two, depends_on: one}
agents:
  one: {command: [echo, '1']}
  two: {command: [surely-no-such-program, '${env.COUNTERPOINT_SURELY_NOT_SET}']}
",
    );
    place.run(["check", "flow.yaml"]).with(0).says("no mistakes");
    assert_eq!(place.run(["check", "flow.yaml", "--json"]).with(0).json()["nodes"], 2);
    assert!(place.run(["draw", "flow.yaml"]).with(0).stdout.starts_with("<svg"));
    place.run(["draw", "flow.yaml", "-o", "g.dot"]).with(0);
    place.run(["draw", "flow.yaml", "-o", "g.mmd"]).with(0);
    assert!(place.read("g.dot").contains("digraph") && place.read("g.mmd").contains("one"));
    place.run(["draw", "flow.yaml", "-o", "g.png"]).with(2);
    let found = place.run(["doctor", "flow.yaml"]).with(6);
    found.says("FAULT agent `two`, `two`: there is no program `surely-no-such-program`");
    found.says("no variable `COUNTERPOINT_SURELY_NOT_SET`");
    found.says("ok    processes can be started");
    place.run(["doctor"]).with(0);
}

#[test]
fn the_command_line_can_be_learned_from() {
    let place = Place::new();
    let help = place.run(["--help"]).with(0).stdout;
    for word in ["Exit codes", "run", "approve", "doctor", "completion", "--json", "130"] {
        assert!(help.contains(word), "{word} in {help}");
    }
    assert!(place.run(["run", "--help"]).with(0).stdout.contains("--simulate"));
    place.run(["rnu"]).with(2).says("unrecognized subcommand");
    place.run(["run"]).with(2);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(place.run(["completion", shell]).with(0).stdout.contains("counterpoint"), "{shell}");
    }
    // The hidden commands of processes are no way to an error that is hard to read.
    assert_eq!(place.run(["step-of-run"]).code, Some(127));
    assert!(place.run(["guard-of-processes"]).code.is_some());
}

#[test]
fn a_folder_that_cannot_be_written_is_a_readable_error() {
    let place = Place::with("name: x\ntasks: [{id: a}]\nagents: {a: {command: ['true']}}\n");
    place.write("occupied", "a file");
    place.run(["run", "flow.yaml", "--data", "occupied"]).with(6).says("occupied");
    place.run(["ls", "--data", "occupied"]).with(6);
    place.run(["doctor", "--data", "occupied"]).with(6).says("FAULT");
}
