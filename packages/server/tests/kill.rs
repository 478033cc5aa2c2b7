//! A run that is killed goes on where it was, and nothing that it started stays alive.

mod common;

use common::{Place, exists, until};
use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::Duration;

/// Each step appends its key and its name to a ledger outside of the journal, and takes a while.
const LEDGER: &str = "
name: ledger
tasks:
  - id: list
  - id: each
    depends_on: list
    for_each: \"${list.output}\"
    max_concurrent: 3
    inputs: \"${item}\"
    retry: {attempts: 500, delay: 1ms, max_delay: 5ms}
  - id: close
    depends_on: each
    inputs: {all: \"${each.output}\"}
    retry: {attempts: 500, delay: 1ms, max_delay: 5ms}
outputs: \"${each.output}\"
agents:
  shell:
    capacity: 3
    stdout: json
    performs:
      list: {command: [echo, '[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]']}
      each: {shell: 'read -r n; echo \"$COUNTERPOINT_IDEMPOTENCY_KEY each $n\" >> ledger; sleep 0.05; echo $n'}
      close: {shell: 'cat > /dev/null; echo \"$COUNTERPOINT_IDEMPOTENCY_KEY close 0\" >> ledger; echo true'}
";

#[test]
fn killed_in_a_loop_nothing_is_lost_and_repeats_have_the_same_key() {
    let place = Place::with(LEDGER);
    let kills = std::env::var("COUNTERPOINT_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(15_u64);
    let (mut killed, mut runs, mut repeated) = (0, 0, 0);
    while killed < kills {
        runs += 1;
        let name = format!("ledger-{runs}");
        let words = ["run", "flow.yaml", "--run", &name, "--json"];
        loop {
            // The delays differ, so that the kills meet the run in different places, also at its beginning and its end.
            let mut running = place.start(words);
            sleep(Duration::from_millis(5 + killed * 37 % 230));
            if !running.is_alive() {
                running.end().with(0);
                break;
            }
            running.kill();
            killed += 1;
        }
        let ended = place.run(words).with(0);
        let expected: Vec<u32> = (1..=16).collect();
        assert_eq!(ended.json()["output"], serde_json::json!(expected));

        let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let text = place.read("ledger");
        for line in text.lines() {
            let (key, work) = line.split_once(' ').unwrap();
            assert_eq!(key.len(), 32, "{line}");
            keys.entry(work.to_owned()).or_default().insert(key.to_owned());
        }
        repeated += text.lines().count() - keys.len();
        assert_eq!(keys.len(), 17, "lost: {keys:?}");
        assert!(keys.values().all(|keys| keys.len() == 1), "work under two keys: {keys:?}");
        let distinct: BTreeSet<&String> = keys.values().flatten().collect();
        assert_eq!(distinct.len(), 17, "two works under one key: {keys:?}");
        std::fs::remove_file(place.path("ledger")).unwrap();
    }
    println!("{killed} kills in {runs} runs of 17 steps: 0 lost, 0 stuck, {repeated} repeated with the same key");
    let listed = place.run(["ls", "--state", "succeeded"]).with(0);
    assert_eq!(listed.stdout.lines().count(), runs, "every start has continued its run");
}

const LONG: &str = "
name: long
tasks:
  - id: step
    retry: {attempts: 9, delay: 1ms, max_delay: 2ms}
outputs: \"${step.output}\"
agents:
  step:
    shell: \"echo $$ >> pids; (echo $$ > /dev/null; exec sleep 1000) & echo $! >> pids; if [ -e go ]; then echo fine; else wait; fi\"
";

#[test]
fn the_processes_of_a_killed_run_end_with_it() {
    let place = Place::with(LONG);
    let running = place.start(["run", "flow.yaml"]);
    until("the command has begun", || place.read("pids").lines().count() == 2);
    let pids: Vec<String> = place.read("pids").lines().map(str::to_owned).collect();
    assert!(pids.iter().all(|pid| exists(pid)));
    running.kill();
    until("its processes have ended", || !pids.iter().any(|pid| exists(pid)));
    place.write("go", "");
    assert_eq!(place.run(["run", "flow.yaml"]).with(0).stdout, "fine\n");
    assert_eq!(place.run(["ls", "--state", "succeeded"]).with(0).stdout.lines().count(), 1);
}

#[test]
fn a_run_that_is_interrupted_ends_its_processes_and_goes_on_later() {
    for signal in ["INT", "TERM"] {
        let place = Place::with(LONG);
        let running = place.start(["run", "flow.yaml"]);
        until("the command has begun", || place.read("pids").lines().count() == 2);
        running.signal(signal);
        running.end().with(130).says("the same command continues run long-1");
        let pids: Vec<String> = place.read("pids").lines().map(str::to_owned).collect();
        until("its processes have ended", || !pids.iter().any(|pid| exists(pid)));
        place.write("go", "");
        assert_eq!(place.run(["run", "flow.yaml", "--json"]).with(0).json()["run"], "long-1");
    }
}

#[test]
fn a_second_process_does_not_perform_the_same_run() {
    let place = Place::with(LONG);
    let running = place.start(["run", "flow.yaml"]);
    until("the command has begun", || place.read("pids").lines().count() == 2);
    let refused = place.run(["run", "flow.yaml"]).with(5);
    refused.says(&format!("performed by process {}", running.id()));
    running.kill();
}

#[test]
fn a_guard_that_was_killed_is_replaced() {
    let place = Place::with(&LEDGER.replace("sleep 0.05", "sleep 0.3"));
    let running = place.start(["run", "flow.yaml", "--json"]);
    until("a step has begun", || !place.read("ledger").is_empty());
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", running.id())).unwrap();
    let is_guard = |pid: &&str| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().contains("guard-of-processes")
    };
    let guard = children.split_whitespace().find(is_guard).expect("a guard").to_owned();
    assert!(std::process::Command::new("kill").args(["-KILL", &guard]).status().unwrap().success());
    running.end().with(0);
}

#[test]
fn a_changed_workflow_migrates_with_a_new_version_and_is_refused_without() {
    let place = Place::with(LONG);
    let running = place.start(["run", "flow.yaml"]);
    until("the command has begun", || place.read("pids").lines().count() == 2);
    running.kill();
    place.write("go", "");
    let more =
        LONG.replace("outputs: \"${step.output}\"", "  - id: last\n    depends_on: step\noutputs: \"${last.output}\"");
    let more = format!("{more}  last: {{command: [echo, migrated]}}\n");
    place.write("flow.yaml", &more);
    place.run(["run", "flow.yaml"]).with(3).says("give it a higher `version`");
    place.write("flow.yaml", &more.replace("name: long", "name: long\nversion: 2"));
    let ended = place.run(["run", "flow.yaml", "--json"]).with(0).json();
    assert_eq!((&ended["run"], &ended["output"]), (&serde_json::json!("long-1"), &serde_json::json!("migrated")));
}
