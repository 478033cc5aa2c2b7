//! Snapshots of the journal of a server: made while it runs, used at its start, and without a loss for those who look.

mod common;

use common::Place;
use common::api::Served;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

const FLOW: &str = "name: greet
inputs: {n: {type: integer, required: true}}
tasks:
  - {id: hello, inputs: \"${inputs.n}\"}
  - {id: wave, depends_on: hello, inputs: \"${inputs.n}\"}
outputs: \"${wave.output}\"
agents:
  desk:
    capacity: 4
    performs: {hello: {command: [echo, hi]}, wave: {command: [echo, bye]}}
";
const RUNS: u64 = 30;

fn files(place: &Place, kind: &str) -> Vec<PathBuf> {
    let all = std::fs::read_dir(place.path("data/journal")).unwrap().map(|file| file.unwrap().path());
    let mut found: Vec<PathBuf> = all.filter(|path| path.extension().is_some_and(|end| end == kind)).collect();
    found.sort();
    found
}

fn start(place: &Place) -> Served {
    Served::start(place, &["--listen", "127.0.0.1:0", "--config", "settings.toml", "flow.yaml"])
}

fn begin(served: &Served, n: u64) -> (u16, Value) {
    let run = json!({"workflow": "greet", "input": {"n": n}});
    served.try_send("POST", "/v1/runs", &format!("idempotency-key: greet-{n}\r\n"), &run).unwrap()
}

fn page(served: &Served, path: &str) -> String {
    let answer = served.ask("GET", path, "cookie: counterpoint=t-ops\r\n", "");
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.body
}

#[test]
fn snapshots_replace_events_and_the_next_server_knows_everything() {
    let place = Place::with(FLOW);
    place.write("settings.toml", "snapshot_events = 100\nhistory_events = 60\n");
    let served = start(&place);
    let ids: Vec<String> = (0..RUNS).map(|n| begin(&served, n).1["id"].as_str().unwrap().to_owned()).collect();
    for id in &ids {
        let run = served.get(&format!("/v1/runs/{id}?wait=20"));
        assert!(!run["outcome"].is_null(), "{run}");
    }
    let end = Instant::now() + Duration::from_secs(30);
    while files(&place, "snapshot").is_empty() {
        assert!(Instant::now() < end, "no snapshot was stored");
        sleep(Duration::from_millis(20));
    }
    let events = served.get("/ready")["events"].as_u64().unwrap();
    served.running.kill();

    let checked = place.run(["serve", "--check", "--data", "data", "--config", "settings.toml", "flow.yaml"]).with(0);
    checked.says("a snapshot and");
    checked.says("0 runs would follow a change");

    let served = start(&place);
    assert!(served.get("/ready")["events"].as_u64().unwrap() >= events, "the numbers of events go on");
    for (n, id) in (0..RUNS).zip(&ids) {
        let run = served.get(&format!("/v1/runs/{id}"));
        assert_eq!(run["outcome"]["succeeded"]["output"], "bye", "{run}");
        let (status, again) = begin(&served, n);
        assert_eq!((status, again["id"].as_str()), (200, Some(id.as_str())), "a repeat is recognised");
    }
    // The first run began long before the events that are retained, the last one among them.
    for id in [&ids[0], ids.last().unwrap()] {
        let page = page(&served, &format!("/runs/{id}"));
        assert!(page.contains("<svg") && page.contains("wave") && page.contains("succeeded"), "{page}");
    }
    let (status, _) = begin(&served, RUNS);
    assert_eq!(status, 201);
    let id = begin(&served, RUNS).1["id"].as_str().unwrap().to_owned();
    assert!(!served.get(&format!("/v1/runs/{id}?wait=20"))["outcome"].is_null());
    let page = page(&served, &format!("/runs/{id}"));
    assert!(page.contains("aria-label=Graph") && page.contains("desk"), "{page}");
}

#[test]
fn without_snapshots_every_event_is_retained() {
    let place = Place::with(FLOW);
    place.write("settings.toml", "snapshot_events = 0\n");
    let served = start(&place);
    let ids: Vec<String> = (0..10).map(|n| begin(&served, n).1["id"].as_str().unwrap().to_owned()).collect();
    for id in &ids {
        served.get(&format!("/v1/runs/{id}?wait=20"));
    }
    sleep(Duration::from_millis(500));
    assert!(files(&place, "snapshot").is_empty());
}
