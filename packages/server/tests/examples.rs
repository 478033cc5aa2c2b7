//! The examples: run, killed at different times, and continued.

mod common;

use common::{Place, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

fn example(name: &str) -> Place {
    let place = Place::new();
    place.copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name));
    // What an earlier trial of the example has left behind.
    for left in [".counterpoint", "out", "work", "warehouse", "quarantine", "rendered.log", "calls.log", "report.md"] {
        let path = place.path(left);
        let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    }
    place
}

/// Ends a process as a crash would.
fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Starts the command, kills it after each of these times, and runs it to its end.
fn killed(place: &Place, words: &[&str], pause: (&str, &str), millis: &[u64]) -> (Value, Option<i32>) {
    for after in millis {
        let child = place.command(words).env(pause.0, pause.1).spawn().unwrap();
        sleep(Duration::from_millis(*after));
        kill(child);
    }
    let ended = place.run(words.iter().copied().chain(["--json"]));
    (ended.json(), ended.code)
}

#[test]
fn every_example_can_be_checked_drawn_rehearsed_and_simulated() {
    for (name, file, input) in [
        ("build", "build.yaml", None),
        ("etl", "etl.yaml", Some("day=x")),
        ("research", "research.yaml", Some("question=x")),
    ] {
        let place = example(name);
        place.run(["check", file]).with(0).says("no mistakes");
        place.run(["doctor", file]).with(0);
        assert!(place.run(["draw", file]).with(0).stdout.starts_with("<svg"));
        let inputs: Vec<&str> = input.into_iter().flat_map(|input| ["--input", input]).collect();
        place.run(["run", file, "--dry-run"].into_iter().chain(inputs.clone())).with(0);
        let played = place.run(["play", file, "--json", "--times", "30"].into_iter().chain(inputs)).with(0).json();
        assert!(played["succeeded"].as_u64().unwrap() >= 20, "{name}: {played}");
        assert!(!place.path(".counterpoint/runs").exists(), "something was performed");
    }
}

#[test]
fn build_is_continued_and_builds_only_what_has_changed() {
    let place = example("build");
    let words = ["run", "build.yaml", "--run", "first"];
    let (ended, code) = killed(&place, &words, ("BUILD_PAUSE", "0.4"), &[250, 500]);
    assert_eq!((code, &ended["output"]["index"]), (Some(0), &json!("out/index.html")), "{ended}");
    assert!(
        place.read("out/index.html").contains("Coffee")
            && place.read("out/tea.txt.html").contains("<p>Green &amp; black.</p>")
    );
    let before = place.read("rendered.log").lines().count();

    place.run(["run", "build.yaml"]).with(0);
    assert_eq!(place.read("rendered.log").lines().count(), before, "nothing has changed");
    place.write("pages/tea.txt", "# Tea\nMore.\n");
    place.run(["run", "build.yaml"]).with(0);
    let log = place.read("rendered.log");
    assert_eq!(log.lines().skip(before).collect::<Vec<_>>(), ["tea.txt", "index"], "{log}");
    std::fs::remove_file(place.path("out/coffee.txt.html")).unwrap();
    place.run(["run", "build.yaml"]).with(0);
    assert!(place.path("out/coffee.txt.html").exists());
}

#[test]
fn etl_is_continued_loads_once_and_quarantines_bad_rows() {
    let place = example("etl");
    let words = ["run", "etl.yaml", "--input", "day=2026-11-20"];
    let (ended, code) = killed(&place, &words, ("ETL_PAUSE", "0.3"), &[200, 450, 700]);
    assert_eq!((code, &ended["output"]), (Some(0), &json!({"loaded": 4, "good": 4, "bad": 2})), "{ended}");
    assert_eq!(place.read("warehouse/2026-11-20.csv"), "1,Ada,12.50\n2,Grace,8\n4,Ada,99\n6,Edsger,1.25\n");
    assert_eq!(place.read("quarantine/2026-11-20.csv"), "3,12,unknown\n5,77,5\n");
    assert_eq!(place.read("warehouse/loads.log").lines().count(), 1, "the load has taken effect once");
}

#[test]
fn etl_quarantines_a_poor_day_and_survives_a_source_that_is_down() {
    let place = example("etl");
    place.write("source/down", "");
    let running = place.start(["run", "etl.yaml", "-i", "day=d", "-i", "least_rows=100", "--json"]);
    until("the source was asked", || place.run(["show", "etl-1", "--events"]).stdout.contains("the source is down"));
    std::fs::remove_file(place.path("source/down")).unwrap();
    let ended = running.end().with(0).json();
    assert_eq!((&ended["output"]["loaded"], &ended["nodes"]["load"]), (&json!(0), &json!("skipped")));
    assert_eq!(place.read("quarantine/d.reason").trim(), "too few rows");
}

#[test]
fn research_is_continued_and_waits_for_a_person() {
    let place = example("research");
    let words = ["run", "research.yaml", "--input", "question=Why is green tea really healthy?", "--no-wait"];
    let (_, code) = killed(&place, &words, ("MODEL_PAUSE", "0.3"), &[300, 900, 1500]);
    assert_eq!(code, Some(4), "it waits for the editor");
    place.run(["approve", "research-1", "--option", "publish", "--by", "ada"]).with(0);
    let ended = place.run(words.into_iter().chain(["--json"])).with(0).json();
    assert_eq!(ended["output"], json!({"published": "report.md"}));
    let report = place.read("report.md");
    assert!(report.contains("green") && report.contains("healthy"), "{report}");
    // Work that was repeated after a kill had the same key.
    let log = place.read("calls.log");
    let work: BTreeSet<&str> = log.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    let lines: BTreeSet<&str> = log.lines().collect();
    assert_eq!(work.len(), lines.len(), "{log}");
}
