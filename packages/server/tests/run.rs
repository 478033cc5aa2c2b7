//! `counterpoint run`: outputs, failures, and what commands do to it.

mod common;

use common::{Place, exists, until};
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;

const HELLO: &str = "
name: hello
inputs:
  city: {type: string, required: true}
tasks:
  - id: greet
    inputs: {city: \"${inputs.city}\"}
  - id: count
    depends_on: greet
    inputs: {text: \"${greet.output}\"}
outputs: {greeting: \"${greet.output}\", words: \"${count.output.words}\"}
agents:
  shell:
    capacity: 2
    performs:
      greet: {command: [echo, \"hello ${input.city}\"]}
      count:
        shell: 'read -r text; set -- $text; echo \"{\\\"words\\\": $#}\"'
        stdin: \"${input.text}\\n\"
        stdout: json
";

#[test]
fn a_file_is_run_and_its_output_printed() {
    let place = Place::with(HELLO);
    let ended = place.run(["run", "flow.yaml", "--input", "city=New York", "--json"]).with(0);
    assert_eq!(ended.json()["output"], json!({"greeting": "hello New York", "words": 3}));
    assert_eq!(ended.json()["run"], "hello-1");
    assert!(!ended.stderr.contains('\u{1b}'), "no colours without a terminal: {}", ended.stderr);
    // A run that has ended is not run again under its name, and a new one has the next number.
    let again = place.run(["run", "flow.yaml", "-i", "city=New York", "--run", "hello-1", "--json"]).with(0);
    assert_eq!(again.json()["output"], ended.json()["output"]);
    let next =
        place.run(["run", "flow.yaml", "-i", "city=Oslo", "--json", "--timeline", "t.svg", "--graph", "g.svg"]).with(0);
    assert_eq!(next.json()["run"], "hello-2");
    assert!(place.read("t.svg").contains("<svg") && place.read("g.svg").contains("greet"));
    let listed = place.run(["ls"]).with(0);
    assert_eq!(listed.stdout.lines().count(), 2);
}

#[test]
fn the_same_file_as_json_and_toml() {
    let place = Place::new();
    place.write("a.json", r#"{"name": "a", "tasks": [{"id": "x"}], "outputs": "${x.output}", "agents": {"x": {"command": ["echo", "1"]}}}"#);
    place.write(
        "b.toml",
        "name = 'b'\noutputs = '${x.output}'\n[[tasks]]\nid = 'x'\n[agents.x]\ncommand = ['echo', '2']\n",
    );
    assert_eq!(place.run(["run", "a.json"]).with(0).stdout, "1\n");
    assert_eq!(place.run(["run", "b.toml"]).with(0).stdout, "2\n");
}

#[test]
fn inputs_are_checked_before_anything_is_performed() {
    let place = Place::with(HELLO);
    place.run(["run", "flow.yaml"]).with(3).says("`city` is missing");
    place.run(["run", "flow.yaml", "-i", "ctiy=Oslo", "-i", "city=Oslo"]).with(3).says("did you mean `city`?");
    place.run(["run", "flow.yaml", "-i", "city"]).with(2).says("NAME=VALUE");
    place.write("in.json", r#"{"city": 7}"#);
    place.run(["run", "flow.yaml", "--input-file", "in.json"]).with(3).says("city");
    // A value of a declared string is not read as a number.
    assert!(place.run(["run", "flow.yaml", "-i", "city=7"]).with(0).stdout.contains("hello 7"));
    place.run(["run", "nowhere.yaml"]).with(6).says("nowhere.yaml");
}

/// A workflow of one command.
fn one(command: &str, task: &str) -> String {
    format!("name: one\ntasks:\n  - id: step\n{task}\noutputs: \"${{step.output}}\"\nagents:\n  step:\n{command}\n")
}

#[test]
fn what_a_command_does_wrong_is_a_readable_failure() {
    let cases: &[(&str, &[&str])] = &[
        ("    command: [surely-no-such-program]", &["there is no program `surely-no-such-program`", "no-program"]),
        ("    command: [./missing/tool]", &["there is no program `./missing/tool`"]),
        ("    command: [echo, '${input.x}']", &["template"]),
        (
            "    command: [sh, -c, 'echo not json']\n    stdout: json",
            &["the output is not JSON", "invalid-output", "not json"],
        ),
        ("    command: [sh, -c, 'printf \"\\377\\376\"']", &["not text in UTF-8"]),
        ("    command: [sh, -c, 'echo wrong >&2; exit 64']", &["exit code 64: wrong", "exit-64"]),
        ("    command: [sh, -c, 'exit 9']\n    exit: {9: {kind: permanent, code: nine}}", &["exit code 9", "nine"]),
        ("    command: [sh, -c, 'exit 9']\n    exit: {other: permanent}", &["exit code 9"]),
        ("    command: [sh, -c, 'kill -SEGV $$']", &["ended by signal 11"]),
        ("    command: [cat, /dev/zero]", &["printed more than 1048576 bytes", "output-too-long"]),
        ("    command: ['yes']\n    most_output: 1000", &["printed more than 1000 bytes"]),
        ("    command: ['true']\n    folder: not/there", &["there is no folder"]),
    ];
    for (command, says) in cases {
        let place = Place::with(&one(command, "    retry: 1"));
        let ended = place.run(["run", "flow.yaml", "--json"]).with(1);
        says.iter().for_each(|text| ended.says(text));
        assert_eq!(ended.json()["outcome"], "failed", "{command}");
    }
}

#[test]
fn exit_codes_decide_about_retries() {
    let counting = "    shell: 'echo x >> tries; exit 75'\n    exit: {75: KIND}";
    for (kind, tries) in
        [("permanent", 1), ("transient", 3), ("{kind: overloaded, retry_after: 10ms}", 3), ("unknown", 3)]
    {
        let place =
            Place::with(&one(&counting.replace("KIND", kind), "    retry: {attempts: 3, delay: 1ms, max_delay: 2ms}"));
        place.run(["run", "flow.yaml"]).with(1);
        assert_eq!(place.read("tries").lines().count(), tries, "{kind}");
    }
}

#[test]
fn a_command_that_ignores_its_time_limit_is_ended_with_all_of_its_processes() {
    // The command starts a process of its own, and both ignore SIGTERM.
    let shell = "    shell: \"trap '' TERM; (trap '' TERM; echo $$ > inner; exec sleep 1000) & echo $$ > outer; sleep 1000\"\n    timeout: 2s\n    grace: 200ms";
    let place = Place::with(&one(shell, "    retry: 1"));
    place.run(["run", "flow.yaml"]).with(1).says("time limit of 2s");
    let pids = [place.read("inner"), place.read("outer")];
    assert!(pids.iter().all(|pid| !pid.trim().is_empty()), "both have begun: {pids:?}");
    until("both processes have ended", || !pids.iter().any(|pid| exists(pid)));
}

#[test]
fn output_is_read_while_a_command_is_asked_to_end() {
    // More than a pipe holds, printed before the command ends.
    let shell = "    shell: \"trap 'head -c 300000 /dev/zero; echo x > flushed; exit 0' TERM; sleep 1000 & wait\"\n    stdout: none\n    timeout: 1s\n    grace: 60s";
    let place = Place::with(&one(shell, "    retry: 1"));
    place.run(["run", "flow.yaml"]).with(1).says("time limit");
    assert_eq!(place.read("flushed"), "x\n");
}

#[test]
fn messages_show_no_secrets_of_the_environment() {
    for command in ["    command: ['${env.HIDDEN}']", "    command: ['true']\n    folder: '${env.HIDDEN}'"] {
        let place = Place::with(&one(command, "    retry: 1"));
        let ended = place.command(["run", "flow.yaml", "--json"]).env("HIDDEN", "s3cret").output().unwrap();
        let shown = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
        assert!(shown.contains("${env.HIDDEN}") && !shown.contains("s3cret"), "{shown}");
        let events = place.run(["show", "one-1", "--events"]).with(0).stdout;
        assert!(!events.contains("s3cret"), "{events}");
    }
}

#[test]
fn folders_are_for_their_owner_only() {
    let place = Place::with(&one("    command: ['true']", "    retry: 1"));
    place.run(["run", "flow.yaml"]).with(0);
    for folder in [".counterpoint/runs", ".counterpoint/runs/one-1", ".counterpoint/runs/one-1/journal"] {
        let mode = std::fs::metadata(place.path(folder)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{folder}");
    }
}

#[test]
fn of_two_equal_commands_at_once_one_performs_the_run() {
    let place = Place::with(&one("    shell: 'until test -e go; do sleep 0.05; done'", "    retry: 1"));
    let children = [(); 4].map(|()| place.command(["run", "flow.yaml"]).spawn().unwrap());
    // All but one end: the run is performed by another process.
    let mut children = Vec::from(children);
    until("three of four commands end", || {
        children.retain_mut(|child| child.try_wait().unwrap().is_none());
        children.len() == 1
    });
    place.write("go", "");
    assert!(children.remove(0).wait().unwrap().success());
    assert_eq!(place.run(["ls"]).with(0).stdout.lines().count(), 1);
}

#[test]
fn a_task_timeout_ends_the_command() {
    let place = Place::with(&one("    shell: 'echo $$ > pid; sleep 1000'", "    retry: 1\n    timeout: 2s"));
    place.run(["run", "flow.yaml"]).with(1);
    assert!(!place.read("pid").is_empty());
    until("the process has ended", || !exists(&place.read("pid")));
}

#[test]
fn a_process_left_behind_does_not_hold_up_the_run() {
    let place = Place::with(&one("    shell: 'sleep 1000 & echo $! > pid; echo done'", ""));
    assert_eq!(place.run(["run", "flow.yaml"]).with(0).stdout, "done\n");
    until("the process has ended", || !exists(&place.read("pid")));
}

#[test]
fn the_environment_has_the_key_and_the_values() {
    let shell = "    shell: 'echo $COUNTERPOINT_IDEMPOTENCY_KEY $COUNTERPOINT_ATTEMPT $COUNTERPOINT_RUN $GREETING ${HOME-none}'\n    environment: {GREETING: \"hi ${input.name}\"}\n    clean_environment: true";
    let place = Place::with(&one(shell, "    inputs: {name: \"Ada; rm -rf\"}"));
    let ended = place.run(["run", "flow.yaml"]).with(0);
    let words: Vec<&str> = ended.stdout.split_whitespace().collect();
    assert_eq!(words[0].len(), 32);
    assert_eq!(words[1..], ["1", "one-1", "hi", "Ada;", "rm", "-rf", "none"]);
}

#[test]
fn the_first_attempt_of_a_node_fails_on_request() {
    let place = Place::with(&one("    command: [echo, '${attempt}']", "    retry: {attempts: 2, delay: 1ms}"));
    let ended = place.run(["run", "flow.yaml", "--fail", "step"]).with(0);
    assert_eq!(ended.stdout, "2\n");
    ended.says("failed by request of `--fail`");
    place.run(["run", "flow.yaml", "--fail", "stpe"]).with(2).says("did you mean `step`?");
}

#[test]
fn a_dry_run_and_a_simulation_perform_nothing() {
    let flow = one("    shell: 'echo x >> tries; exit 75'\n    simulate: {takes: 1h..2h, output: 5}", "    retry: 1");
    let place = Place::with(&flow);
    place.run(["run", "flow.yaml", "--dry-run"]).with(0).says("nothing was performed");
    let simulated = place.run(["run", "flow.yaml", "--simulate", "--json", "--timeline", "t.svg"]).with(0).json();
    assert_eq!(simulated["output"], 5);
    assert!((3600.0..=7200.0).contains(&simulated["seconds"].as_f64().unwrap()), "{simulated}");
    assert!(place.read("t.svg").contains("<svg"));
    let played = place.run(["play", "flow.yaml", "--times", "20", "--json"]).with(0).json();
    assert_eq!(played["succeeded"], 20);
    assert!(!place.path("tries").exists() && !place.path(".counterpoint").exists());
}

#[test]
fn pure_steps_are_answered_from_the_cache_while_their_files_are_the_same() {
    let flow = one(
        "    shell: 'echo x >> tries; cat in > out; wc -c < in'\n    cache: {reads: [in], writes: [out]}",
        "    inputs: {n: 1}",
    );
    let place = Place::with(&flow);
    place.write("in", "abc");
    let tries = || place.read("tries").lines().count();
    for (expected, before) in [(1, "first"), (1, "unchanged")] {
        place.run(["run", "flow.yaml"]).with(0);
        assert_eq!(tries(), expected, "{before}");
    }
    place.write("in", "abcd");
    assert_eq!(place.run(["run", "flow.yaml"]).with(0).stdout.trim(), "4");
    assert_eq!(tries(), 2, "what is read has changed");
    place.write("out", "changed by hand");
    place.run(["run", "flow.yaml"]).with(0);
    assert_eq!((tries(), place.read("out")), (3, "abcd".to_owned()), "what is written has changed");
}

#[test]
fn a_cached_result_is_that_of_the_same_input_and_environment() {
    let flow = one(
        "    shell: 'echo \"$WORD\"'\n    stdin: none\n    environment: {WORD: \"${input.word}\"}\n    cache: {}",
        "    inputs: {word: \"${item}\"}\n    for_each: {literal: [a, b, a]}\n    max_concurrent: 1",
    );
    let place = Place::with(&flow);
    let output = place.run(["run", "flow.yaml", "--json"]).with(0).json();
    assert_eq!(output["output"], json!(["a", "b", "a"]));
}
