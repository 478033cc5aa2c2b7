//! Backups of a folder: beside a server that works and is killed, of runs, and what becomes of damaged ones.

mod common;

use common::api::Served;
use common::{Place, until};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

fn submit(served: &Served, task: u64) -> u16 {
    served.send("POST", "/v1/tasks", &json!({"id": task.to_string(), "kind": "read", "payload": task})).0
}

fn serve(place: &Place, data: &str) -> Served {
    Served::over(place, data, &["--listen", "127.0.0.1:0"])
}

#[test]
fn a_copy_beside_a_server_that_works_goes_on_elsewhere() {
    let place = Place::new();
    let served = serve(&place, "data");
    let (done, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                let task = acknowledged.load(Ordering::Acquire) + 1;
                assert_eq!(submit(&served, task), 201);
                acknowledged.store(task, Ordering::Release);
            }
        });
        for number in 0..5 {
            until("there is load", || acknowledged.load(Ordering::Acquire) > 20 * (number + 1));
            let (backup, data) = (format!("backup-{number}"), format!("restored-{number}"));
            let before = acknowledged.load(Ordering::Acquire);
            let told = place.run(["backup", &backup, "--data", "data", "--json"]).with(0).json();
            assert!(told["journals"][0]["entries"].as_u64().unwrap() > before, "{told}");
            place.run(["restore", &backup, "--data", &data]).with(0).says("1 journals");
            let restored = serve(&place, &data);
            for task in 1..=before {
                assert_eq!(
                    restored.send("GET", &format!("/v1/tasks/{task}"), &Value::Null).0,
                    200,
                    "{task} of {before}"
                );
            }
            assert_eq!(submit(&restored, 1_000_000), 201);
        }
        done.store(true, Ordering::Release);
    });
    // The first one can be opened by a later start, too.
    place.run(["serve", "--check", "--data", "restored-0"]).with(0);
}

#[test]
fn runs_are_copied_and_go_on() {
    let flow = "name: two\ntasks:\n  - {id: first}\n  - {id: ok, depends_on: first, wait: {signal: ok}}\nagents:\n  desk:\n    performs:\n      first: {shell: 'echo once >> ledger'}\n";
    let place = Place::with(flow);
    place.run(["run", "flow.yaml", "--no-wait"]).with(4);
    place.run(["backup", "copy"]).with(0).says("1 journals");
    place.run(["restore", "copy", "--data", "elsewhere"]).with(0);
    place.run(["signal", "two-1", "ok", "--data", "elsewhere"]).with(0);
    place.run(["show", "two-1", "--data", "elsewhere"]).with(0).says("succeeded");
    assert_eq!(place.read("ledger").lines().count(), 1, "the step was done before the copy");
    // The original does not know of it.
    assert_eq!(place.run(["ls", "--json"]).with(0).json()["state"], "unfinished");
}

#[test]
fn nothing_is_overwritten_and_what_is_no_backup_is_an_error() {
    let place = Place::new();
    place.run(["backup", "copy", "--data", "nothing"]).with(7).says("no journal");
    assert!(!place.path("copy").exists());
    let served = serve(&place, "data");
    assert_eq!(submit(&served, 1), 201);
    place.write("full/file", "mine");
    place.run(["backup", "full", "--data", "data"]).with(8).says("nothing is overwritten");
    fs::create_dir(place.path("empty")).unwrap();
    place.run(["backup", "empty", "--data", "data"]).with(0);
    place.run(["restore", "empty", "--data", "full"]).with(8).says("nothing is overwritten");
    place.run(["restore", "empty", "--data", "data"]).with(8).says("nothing is overwritten");
    assert_eq!(place.read("full/file"), "mine");
    let told = place.run(["restore", "full", "--data", "other", "--json"]).with(7).json();
    assert_eq!(told["error"], "unknown", "{told}");
    assert!(!place.path("other").exists());
    // In a database, the folder has no journal.
    let mut command = place.command(["backup", "second", "--data", "other"]);
    let output = command.env("COUNTERPOINT_JOURNAL", "postgres://x@localhost/x").output().unwrap();
    assert_eq!(output.status.code(), Some(8));
    assert!(String::from_utf8_lossy(&output.stderr).contains("pg_dump"));
}

fn files(folder: &std::path::Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn a_damaged_backup_is_an_error_and_restores_nothing() {
    let place = Place::new();
    let served = serve(&place, "data");
    assert!((1..=50).all(|task| submit(&served, task) == 201));
    drop(served);
    place.run(["backup", "copy", "--data", "data"]).with(0);
    let all = files(&place.path("copy"));
    assert!(all.len() >= 3, "{all:?}");
    let refused = |what: &str| {
        let ended = place.run(["restore", "copy", "--data", "other", "--json"]).with(6);
        let told = ended.json();
        assert_eq!(told["error"], "broken", "{what}: {told}");
        assert!(told["text"].as_str().unwrap().contains("copy/"), "{what}: {told}");
        assert!(!place.path("other").exists(), "{what}");
    };
    for path in &all {
        let whole = fs::read(path).unwrap();
        for at in [0, whole.len() / 3, whole.len() / 2, whole.len() - 2] {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            fs::write(path, &bytes).unwrap();
            refused(&format!("a bit of {} at {at}", path.display()));
        }
        fs::write(path, &whole[..whole.len() / 2]).unwrap();
        refused(&format!("{} cut off", path.display()));
        if !path.ends_with("backup.json") {
            fs::remove_file(path).unwrap();
            refused(&format!("{} removed", path.display()));
        }
        fs::write(path, &whole).unwrap();
    }
    place.run(["restore", "copy", "--data", "other"]).with(0);
}

#[test]
fn a_damaged_journal_is_not_copied() {
    let place = Place::new();
    let served = serve(&place, "data");
    assert!((1..=50).all(|task| submit(&served, task) == 201));
    drop(served);
    let segment = files(&place.path("data/journal"))
        .into_iter()
        .find(|path| path.extension().is_some_and(|kind| kind == "journal"));
    let segment = segment.unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    bytes[2_000] ^= 4;
    fs::write(&segment, &bytes).unwrap();
    place.run(["backup", "copy", "--data", "data"]).with(6).says("the journal is damaged, and was not copied");
    assert!(!place.path("copy").exists());
    place.run(["doctor", "--data", "data"]).with(6).says("the journal of the server");
    place.run(["serve", "--check", "--data", "data"]).with(6).says("is damaged");
}
