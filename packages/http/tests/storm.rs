//! Python workers and the server itself are killed at random under a load of tasks: all of it is done, and done once.

mod common;

use common::{Server, Worker};
use counterpoint::journal::Journal as _;
use counterpoint::journal::sealed::Stream;
use counterpoint::message::TaskEvent;
use counterpoint::{Event, TaskId};
use counterpoint_journal_files::FileJournal;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const TASKS: u64 = 120;
const WORKERS: u64 = 4;

/// Numbers that depend on nothing but the seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn key(number: u64) -> String {
    format!("square-{number}")
}

/// Submits a task, and returns its id once the server has accepted it. Repeated with the same key, it is the same task.
fn bring(server: &Server, number: u64) -> Option<String> {
    let header = format!("Idempotency-Key: {}", key(number));
    let body = json!({
        "kind": "square", "payload": {"number": number, "takes": 0.02},
        "policy": {"retry": {"attempts": 1000, "base": "10ms", "cap": "100ms"}},
    });
    let answer =
        server.curl(&["-H", "Authorization: Bearer client", "-H", &header, "-d", &body.to_string(), "/v1/tasks"]);
    assert!(matches!(answer.status, 0 | 200 | 201), "{answer:?}");
    (answer.status != 0).then(|| answer.json()["task"].as_str().unwrap().to_owned())
}

#[test]
fn all_work_is_done_once_whichever_process_is_killed() {
    let mut server = Server::start("storm");
    let ledger = common::folder("storm-ledger");
    let mut dice = Dice(11);
    let mut workers: Vec<Worker> = (1..=WORKERS).map(|agent| Worker::start(&server, agent, &ledger)).collect();
    let (mut brought, mut kills, mut falls) = (Vec::new(), 0, 0);
    let mut next_fall = Instant::now() + Duration::from_secs(1);
    while (brought.len() as u64) < TASKS {
        brought.extend(bring(&server, brought.len() as u64 + 1));
        if dice.below(8) == 0 {
            let victim = dice.below(WORKERS);
            workers[victim as usize] = Worker::start(&server, victim + 1, &ledger);
            kills += 1;
        }
        if Instant::now() > next_fall {
            server.kill();
            std::thread::sleep(Duration::from_millis(dice.below(200)));
            server.start_again();
            falls += 1;
            next_fall = Instant::now() + Duration::from_millis(800 + dice.below(800));
        }
    }
    server.kill();
    server.start_again();
    for (number, task) in (1..).zip(&brought) {
        let path = format!("/v1/tasks/{task}?wait=20");
        let task = server.until("client", &path, |task| !task["outcome"].is_null());
        assert_eq!(task["outcome"]["succeeded"]["squared"], json!(number * number), "{task}");
    }
    let deeds = std::fs::read_dir(&ledger).unwrap().count() as u64;
    assert_eq!(deeds, TASKS, "each deed is there, and none but those");
    drop(workers);
    server.stop();

    // What the journal says: each task was brought once and ended once, whatever happened in between.
    let mut journal = FileJournal::new(server.folder.join("journal"), Stream::new("http-host"));
    let (mut ends, mut unknown): (BTreeMap<TaskId, u32>, u32) = (BTreeMap::new(), 0);
    for entry in journal.take_over().unwrap().tail {
        if let Event::Task { task, event } = &entry.event {
            *ends.entry(*task).or_default() += u32::from(event.outcome().is_some());
            unknown += u32::from(matches!(event, TaskEvent::AttemptFailed { .. }));
        }
    }
    assert_eq!(ends.len() as u64, TASKS);
    assert!(ends.values().all(|ends| *ends == 1), "{ends:?}");
    println!("{TASKS} tasks, {kills} workers killed, the server {falls} times and once more, {unknown} attempts lost");
    assert!(kills > 5 && unknown > 3, "the storm was none: {kills} kills, {unknown} attempts lost");
}

#[test]
fn an_agent_without_heartbeats_loses_its_work() {
    let server = Server::start("silence");
    let ledger = common::folder("silence-ledger");
    let first = Worker::start(&server, 1, &ledger);
    let task = json!({"id": "1", "kind": "square", "payload": {"number": 5, "takes": 0.7}});
    assert_eq!(server.post("client", "/v1/tasks", &task).status, 201);
    server.until("client", "/v1/tasks/1", |task| task["state"] == "running");
    drop(first);
    // Another agent, who knows nothing of the first: only the lease tells that the work is nobody's.
    let _second = Worker::start(&server, 2, &ledger);
    let task = server.until("client", "/v1/tasks/1?wait=5", |task| !task["outcome"].is_null());
    assert_eq!((&task["outcome"]["succeeded"]["squared"], &task["attempts"]), (&json!(25), &json!(2)), "{task}");
    assert_eq!(server.get("operator", "/v1/agents/1").status, 404);
}
