//! Rates of callers, and the file of their operations.

mod common;

use common::api::{Served, TOKENS};
use common::{Place, until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;

/// A server with these settings.
fn start(place: &Place, settings: &str) -> Served {
    place.write("settings.toml", settings);
    Served::start(place, &["--listen", "127.0.0.1:0", "--config", "settings.toml"])
}

#[test]
fn each_caller_has_a_rate_of_its_own() {
    let place = Place::new();
    let served = start(&place, "requests_per_second = 5\nrequest_burst = 20\n");
    let by = |token: &str, path: &str| served.ask("GET", path, &format!("authorization: Bearer {token}\r\n"), "");
    let begun = Instant::now();
    let answers: Vec<_> = (0..60).map(|_| by("t-sub", "/v1/tasks/1")).collect();
    let most = 20 + 5 * (begun.elapsed().as_secs() as usize + 1);
    let admitted = answers.iter().filter(|answer| answer.status == 404).count();
    assert!((20..=most).contains(&admitted), "{admitted} of at most {most}");
    let refused = answers.iter().find(|answer| answer.status == 429).expect("some were too many");
    assert!(refused.head.to_lowercase().contains("\nretry-after: 1\r\n"), "{}", refused.head);
    assert!(refused.head.to_lowercase().contains("application/problem+json"), "{}", refused.head);
    let problem: Value = serde_json::from_str(&refused.body).unwrap();
    assert_eq!(problem["code"], "too_many_requests", "{problem}");
    assert!(answers.iter().all(|answer| [404, 429].contains(&answer.status)));
    // Another caller is not concerned, nor is who has no token, nor are liveness and readiness.
    assert_eq!(by("t-ops", "/v1/runs").status, 200);
    assert_eq!(by("guess", "/v1/runs").status, 401);
    assert!((0..60).all(|_| served.send("GET", "/health", &Value::Null).0 == 200));
    // Pages count as requests of the same caller.
    let page = |token: &str| served.ask("GET", "/runs", &format!("cookie: counterpoint={token}\r\n"), "").status;
    let pages: Vec<u16> = (0..60).map(|_| page("t-ops")).collect();
    assert!(pages.contains(&200) && pages.contains(&429), "{pages:?}");
    // After a while there is room again.
    until("there is room", || by("t-sub", "/v1/tasks/1").status == 404);
}

#[test]
fn wrong_settings_of_rates_are_reported() {
    let place = Place::new();
    place.write("tokens.json", TOKENS);
    place.write("settings.toml", "requests_per_second = 0\n");
    let ended = place.run(["serve", "--config", "settings.toml", "--tokens", "tokens.json", "--data", "data"]).with(2);
    ended.says("requests_per_second: `0` is not a whole number from 1 on");
}

/// The lines of the file, once there are so many.
fn lines(place: &Place, file: &str, count: usize) -> Vec<Value> {
    until("the lines are written", || place.read(file).lines().count() >= count);
    let text = place.read(file);
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn operations_are_recorded_with_their_outcome() {
    let place = Place::new();
    let served = start(&place, "");
    let task = json!({"id": "5", "kind": "read", "payload": "a secret"});
    assert_eq!(served.send("POST", "/v1/tasks", &task).0, 201);
    assert_eq!(served.send("POST", "/v1/tasks", &task).0, 200);
    assert_eq!(served.send("POST", "/v1/tasks", &json!({"id": "5", "kind": "write"})).0, 409);
    let denied = served.ask("GET", "/v1/events", "authorization: Bearer t-sub\r\n", "");
    assert_eq!(denied.status, 403);
    let group = json!([
        {"v": 1, "id": "a", "body": {"submit": {"task": {"id": "6", "kind": "read"}}}},
        {"v": 1, "id": "b", "body": {"withdraw": {"task": "77", "reason": "none"}}},
    ]);
    let (status, answers) = served.send("POST", "/v1/messages", &group);
    assert_eq!((status, answers.as_array().map(Vec::len)), (200, Some(1)), "{answers}");
    assert_eq!(served.send("DELETE", "/v1/tasks/6", &Value::Null).0, 202);
    // What an agent reports of itself is in the journal, and no operation of somebody; its registration is.
    let agent =
        json!({"v": 1, "id": "r", "body": {"register": {"agent": {"id": "7", "capacity": 1, "skills": {"read": 1}}}}});
    let registered = served.ask("POST", "/v1/messages", "authorization: Bearer t-7\r\n", &agent.to_string());
    assert_eq!(registered.status, 200, "{}", registered.body);
    let answers: Value = serde_json::from_str(&registered.body).unwrap();
    let by = &answers[0]["body"]["registered"]["by"];
    let poll = json!({"v": 1, "id": "p", "body": {"poll": {"by": by, "most": 0}}});
    assert_eq!(served.ask("POST", "/v1/messages", "authorization: Bearer t-7\r\n", &poll.to_string()).status, 200);
    // A page is the same caller.
    let origin = format!("origin: http://{}\r\n", served.address);
    let form = format!("cookie: counterpoint=t-ops\r\n{origin}content-type: application/x-www-form-urlencoded\r\n");
    served.ask("POST", "/dead-letters/5/discard", &form, "reason=none");

    let recorded = lines(&place, "data/audit.jsonl", 9);
    let told: Vec<(&str, &str, &str)> = recorded
        .iter()
        .map(|line| {
            (line["caller"].as_str().unwrap(), line["action"].as_str().unwrap(), line["outcome"].as_str().unwrap())
        })
        .collect();
    let expected = [
        ("grace", "submit", "accepted"),
        ("grace", "submit", "repeated"),
        ("grace", "submit", "rejected"),
        ("sam", "read", "denied"),
        ("grace", "submit", "accepted"),
        ("grace", "cancel", "rejected"),
        ("grace", "cancel", "accepted"),
        ("worker 7", "register", "accepted"),
        ("grace", "dead_letters", "rejected"),
    ];
    assert_eq!(told, expected, "{recorded:#?}");
    assert_eq!(recorded[2]["why"], "task_conflict");
    assert!(recorded[3]["why"].as_str().unwrap().contains("sam"), "{recorded:#?}");
    let text = place.read("data/audit.jsonl");
    assert!(!text.contains("secret") && !text.contains("t-ops"), "{text}");
    let at = |line: &Value| line["at"].as_u64().unwrap();
    assert!(recorded.windows(2).all(|pair| at(&pair[0]) <= at(&pair[1])));
    // Only its owner can read it, and the next server goes on with it.
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(place.path("data/audit.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
    served.running.signal("TERM");
    served.running.end().with(0);
    let again = start(&place, "");
    assert_eq!(again.send("POST", "/v1/tasks", &json!({"id": "8", "kind": "read"})).0, 201);
    assert_eq!(lines(&place, "data/audit.jsonl", 10).len(), 10);
}

#[test]
fn no_operation_is_missing_at_a_graceful_end() {
    let place = Place::new();
    let served = start(&place, "audit = \"who/did.jsonl\"\n");
    for task in 1..=300 {
        assert_eq!(served.send("POST", "/v1/tasks", &json!({"id": task.to_string(), "kind": "read"})).0, 201);
    }
    served.running.signal("TERM");
    served.running.end().with(0);
    let mut outcomes: BTreeMap<String, u32> = BTreeMap::new();
    for line in lines(&place, "who/did.jsonl", 300) {
        *outcomes.entry(line["outcome"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert_eq!(outcomes, BTreeMap::from([("accepted".to_owned(), 300)]));
    // None if it is not wanted.
    let place = Place::new();
    let served = start(&place, "audit = \"\"\n");
    assert_eq!(served.send("POST", "/v1/tasks", &json!({"id": "1", "kind": "read"})).0, 201);
    served.running.signal("TERM");
    served.running.end().with(0);
    assert!(!place.path("data/audit.jsonl").exists());
}
