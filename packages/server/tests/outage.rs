//! A disk that is full, or that cannot be written, under `serve`: requests are refused with 503 and the reason, the process lives,
//! nothing that was acknowledged is lost, and it goes on when there is room.

mod common;

use common::api::Served;
use common::{Place, Running, until};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

/// A server whose files can have this many bytes at most. The limit can be lifted while it works.
fn limited(place: &Place, bytes: u64) -> Served {
    place.write("tokens.json", common::api::TOKENS);
    let mut command = Command::new("prlimit");
    command.arg(format!("--fsize={bytes}:unlimited")).arg("env").arg("--ignore-signal=XFSZ");
    let words = ["serve", "--data", "data", "--tokens", "tokens.json", "--listen", "127.0.0.1:0"];
    served(place.start_by(command, words))
}

fn served(mut running: Running) -> Served {
    let line = running.first_line();
    let address = line.trim().split_once("://").unwrap_or_else(|| panic!("{line}")).1.to_owned();
    Served { running, address }
}

fn limit(served: &Served, bytes: &str) {
    let pid = served.running.id().to_string();
    let done = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={bytes}:unlimited")]).status();
    assert!(done.unwrap().success(), "prlimit");
}

/// Submits tasks with these numbers until one is refused. Returns the number of the first that was.
fn fill(served: &Served, mut next: u64) -> (u64, Value) {
    let payload = "x".repeat(60_000);
    loop {
        let task = json!({"id": next.to_string(), "kind": "read", "payload": payload});
        let (status, body) = served.send("POST", "/v1/tasks", &task);
        match status {
            201 => next += 1,
            503 => return (next, body),
            other => panic!("{other}: {body}"),
        }
        assert!(next < 10_000, "the disk does not fill");
    }
}

fn is_there(served: &Served, task: u64) -> bool {
    served.send("GET", &format!("/v1/tasks/{task}"), &Value::Null).0 == 200
}

/// What everyone is told while the journal stores nothing.
fn is_out(served: &mut Served, refused: &Value, reason: &str) {
    let detail = refused["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(reason), "{refused}");
    assert!(["journal", "not_durable"].contains(&refused["code"].as_str().unwrap()), "{refused}");
    for path in ["/v1/tasks/1", "/v1/runs", "/v1/agents", "/ready"] {
        let (status, body) = served.send("GET", path, &Value::Null);
        assert_eq!((status, body["code"].as_str()), (503, Some("journal")), "{path}: {body}");
        assert!(body["detail"].as_str().unwrap().contains(reason), "{body}");
    }
    assert_eq!(served.send("GET", "/runs", &Value::Null).0, 503);
    let health = served.get("/health");
    assert_eq!(health["status"], "waits", "{health}");
    let metrics = served.send("GET", "/metrics", &Value::Null);
    assert_eq!(metrics.0, 200);
    assert!(served.running.is_alive());
}

fn is_back(served: &Served) {
    until("the server goes on", || served.send("GET", "/ready", &Value::Null).0 == 200);
    assert_eq!(served.get("/health")["status"], "ok");
}

#[test]
fn a_full_disk_refuses_and_is_left_again() {
    let place = Place::new();
    let mut served = limited(&place, 3 << 20);
    let (first, refused) = fill(&served, 1);
    assert!(first > 20, "{first}");
    is_out(&mut served, &refused, "File too large");
    // It lasts for longer than the append is tried without another take-over.
    sleep(Duration::from_secs(11));
    is_out(&mut served, &refused, "File too large");
    limit(&served, "unlimited");
    is_back(&served);
    assert!((1..first).all(|task| is_there(&served, task)));
    // The one whose outcome was unknown is submitted again, under its id.
    let (status, body) = served.send(
        "POST",
        "/v1/tasks",
        &json!({"id": first.to_string(), "kind": "read", "payload": "x".repeat(60_000)}),
    );
    assert!([200, 201].contains(&status), "{body}");
    // Full once more, and killed.
    limit(&served, &(5 << 20).to_string());
    let (second, _) = fill(&served, first + 1);
    assert!(second > first + 10, "{second}");
    served.running.kill();
    let again = Served::start(&place, &["--listen", "127.0.0.1:0"]);
    assert!((1..second).all(|task| is_there(&again, task)), "what was acknowledged is lost");
    assert_eq!(again.send("POST", "/v1/tasks", &json!({"id": "99999", "kind": "read"})).0, 201);
}

#[test]
fn a_server_with_a_full_disk_ends_at_sigterm() {
    let place = Place::new();
    let served = limited(&place, 2 << 20);
    let (first, _) = fill(&served, 1);
    served.running.signal("TERM");
    let ended = served.running.end().with(6);
    ended.says("File too large");
    let again = Served::start(&place, &["--listen", "127.0.0.1:0"]);
    assert!((1..first).all(|task| is_there(&again, task)));
}

/// A small file system in memory. None where this process may not mount one.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn at(folder: &'a Path) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m", "counterpoint"]).arg(folder).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }

    fn remount(&self, how: &str) -> bool {
        let done = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(self.0).status();
        done.unwrap().success()
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_file_system_without_room_refuses_and_is_left_again() {
    let place = Place::new();
    let data = place.path("data");
    let Some(_mounted) = Mounted::at(&data) else {
        println!("skipped: this process may mount no file system");
        return;
    };
    let mut served = Served::start(&place, &["--listen", "127.0.0.1:0"]);
    let (first, refused) = fill(&served, 1);
    assert!(first > 20, "{first}");
    is_out(&mut served, &refused, "No space left on device");
    assert!(_mounted.remount("size=20m"));
    is_back(&served);
    assert!((1..first).all(|task| is_there(&served, task)));
    let (second, _) = fill(&served, first + 1);
    assert!(second > first + 50, "{second}");
    served.running.kill();
    assert!(_mounted.remount("size=40m"));
    let again = Served::start(&place, &["--listen", "127.0.0.1:0"]);
    assert!((1..second).all(|task| is_there(&again, task)), "what was acknowledged is lost");
}

#[test]
fn a_file_system_that_cannot_be_written_is_an_error_at_the_start() {
    let place = Place::new();
    let data = place.path("data");
    let Some(mounted) = Mounted::at(&data) else {
        println!("skipped: this process may mount no file system");
        return;
    };
    let served = Served::start(&place, &["--listen", "127.0.0.1:0"]);
    assert_eq!(served.send("POST", "/v1/tasks", &json!({"id": "1", "kind": "read"})).0, 201);
    served.running.kill();
    assert!(mounted.remount("ro"));
    let ended = place.run(["serve", "--data", "data", "--tokens", "tokens.json", "--listen", "127.0.0.1:0"]).with(6);
    ended.says("Read-only file system");
    // A dry run writes nothing, so it can read.
    place.run(["serve", "--check", "--data", "data", "--tokens", "tokens.json"]).with(0);
    assert!(mounted.remount("rw"));
    assert!(is_there(&Served::start(&place, &["--listen", "127.0.0.1:0"]), 1));
}
