//! What a client sees, by `curl`.

mod common;

use common::{Answer, Server, Worker};
use serde_json::{Value, json};

fn register(server: &Server, agent: u64) -> Value {
    let card = json!({"register": {"agent": {"id": agent, "skills": {"square": 1}, "capacity": 1, "lease": "30s"}}});
    let answer = server.say(&format!("agent-{agent}"), "/v1/messages", "hello", &card);
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = answer.json();
    assert_eq!(told[0]["re"], "hello");
    told[0]["body"]["registered"]["by"].clone()
}

fn rejected(answer: &Answer, status: u16, code: &str) {
    let told = answer.json();
    assert_eq!((answer.status, told[0]["body"]["rejected"]["code"].as_str()), (status, Some(code)), "{answer:?}");
}

#[test]
fn a_caller_without_the_permission_is_refused() {
    let server = Server::start("access");
    let task = json!({"id": "1", "kind": "square", "payload": {"number": 3}});
    let nobody = server.curl(&["-d", &task.to_string(), "/v1/tasks"]);
    nobody.is(401, "unauthenticated");
    assert!(nobody.headers.to_lowercase().contains("www-authenticate: bearer"), "{nobody:?}");
    server.post("guess", "/v1/tasks", &task).is(401, "unauthenticated");
    server.post("auditor", "/v1/tasks", &task).is(403, "denied");
    server.get("client", "/v1/agents").is(403, "denied");
    server.get("client", "/v1/events").is(403, "denied");
    server.get("client", "/metrics").is(403, "denied");
    // Whoever is confined to a tenant reaches nothing else, and cannot find out whether it is there.
    let foreign = json!({"id": "1", "kind": "square", "tenant": "south"});
    server.post("north", "/v1/tasks", &foreign).is(403, "denied");
    let theirs = json!({"id": "2", "kind": "square", "tenant": "north"});
    assert_eq!(server.post("north", "/v1/tasks", &theirs).status, 201);
    assert_eq!(server.get("north", "/v1/tasks/2").json()["state"], "queued");
    assert_eq!(server.post("client", "/v1/tasks", &task).status, 201);
    server.get("north", "/v1/tasks/1").is(403, "denied");
    server.get("north", "/v1/tasks/99").is(403, "denied");
    // An agent speaks for itself alone, by the token in the header.
    let card = json!({"register": {"agent": {"id": 2, "capacity": 1}}});
    rejected(&server.say("agent-1", "/v1/messages", "m1", &card), 403, "denied");
    let within = json!({"v": 1, "id": "m2", "token": "agent-2", "body": card});
    server.curl(&["-d", &within.to_string(), "/v1/messages"]).is(401, "unauthenticated");
    rejected(&server.post("agent-2", "/v1/messages", &within), 422, "token_in_message");
    assert_eq!(server.say("agent-2", "/v1/messages", "m2", &card).status, 200);
    let trail = server.get("auditor", "/v1/trail");
    assert!(trail.body.contains("agent 1") && trail.body.contains("register a2"), "{trail:?}");
    assert!(!trail.body.contains("guess"), "a token is in the trail");
}

#[test]
fn bad_inputs_have_different_errors() {
    let server = Server::start("input");
    let post = |body: &str| server.curl(&["-H", "Authorization: Bearer client", "-d", body, "/v1/tasks"]);
    post("{").is(400, "syntax");
    post(r#"{"kind": "square"}"#).is(422, "no_id");
    post(r#"{"id": "1"}"#).is(422, "shape");
    post(r#"{"id": "1", "kind": "square", "colour": "red"}"#).is(422, "shape");
    post(r#"{"id": "x", "kind": "square"}"#).is(422, "shape");
    post(r#"{"id": "1", "kind": ""}"#).is(422, "empty_name");
    post(r#"{"id": "9223372036854775809", "kind": "square"}"#).is(422, "reserved_id");
    post(r#"{"id": "1", "kind": "square", "after": ["7"]}"#).is(404, "unknown_dependency");
    assert_eq!(post(r#"{"id": "1", "kind": "square"}"#).status, 201);
    let same = post(r#"{"id": "1", "kind": "square"}"#);
    assert_eq!((same.status, same.json()["state"].as_str()), (200, Some("queued")));
    post(r#"{"id": "1", "kind": "cube"}"#).is(409, "task_conflict");
    server.get("client", "/v1/tasks/one").is(400, "bad_id");
    server.get("client", "/v1/tasks/5").is(404, "unknown_task");
    server.get("client", "/v1/tasks/1?wait=soon").is(422, "wait");
    server.get("client", "/v1/nothing").is(404, "no_such_path");
    server.delete("client", "/v1/messages").is(405, "no_such_method");
    let large = server.folder.join("large.json");
    std::fs::write(&large, vec![b' '; 4 << 20]).unwrap();
    let file = format!("@{}", large.display());
    assert_eq!(server.curl(&["-H", "Authorization: Bearer client", "--data-binary", &file, "/v1/tasks"]).status, 413);

    let say = |body: &str| server.curl(&["-H", "Authorization: Bearer agent-1", "-d", body, "/v1/messages"]);
    say("hello").is(400, "syntax");
    say(r#"{"v": 9, "id": "m", "body": {}}"#).is(422, "version");
    say(r#"{"v": 1, "id": "m", "body": {"heartbeat": {}}}"#).is(422, "shape");
    let odd = json!({"v": 1, "id": "m", "body": {"registered": {"by": {"agent": "1", "number": "1"}}}});
    rejected(&say(&odd.to_string()), 422, "not_a_command");
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    say(&deep).is(400, "too_deep");
    assert_eq!(server.get("operator", "/health").json()["status"], "ok");
}

#[test]
fn work_without_an_agent_shows_in_the_health_and_rejections_have_names() {
    let server = Server::start("unroutable");
    let card = json!({"register": {"agent": {"id": 1, "skills": {"square": 1}, "capacity": 1, "lease": "30s"}}});
    server.say("agent-1", "/v1/messages", "hello", &card);
    let health = || server.get("operator", "/health").json();
    assert_eq!(health()["unroutable"], 0);
    server.post("client", "/v1/tasks", &json!({"id": "5", "kind": "sqare"}));
    assert_eq!((&health()["unroutable"], &health()["status"]), (&json!(1), &json!("ok")));
    let metrics = server.get("operator", "/metrics").body;
    assert!(metrics.contains("unroutable"), "{metrics}");
    let conflict = server.post("client", "/v1/tasks", &json!({"id": "5", "kind": "cube"}));
    assert_eq!(conflict.status, 409, "{conflict:?}");
    assert!(conflict.json()["detail"].to_string().contains("(t5 is sqare)"), "{conflict:?}");
}

#[test]
fn a_group_of_messages_is_one_request() {
    let server = Server::start("group");
    let group = |bodies: Vec<Value>| -> Value {
        let messages =
            (1..).zip(bodies).map(|(number, body): (u32, _)| json!({"v": 1, "id": format!("m{number}"), "body": body}));
        messages.collect::<Vec<_>>().into()
    };
    let submit = |id: &str| json!({"submit": {"task": {"id": id, "kind": "square", "payload": {"number": 2}}}});
    let other = json!({"submit": {"task": {"id": "2", "kind": "cube"}}});
    let submitted =
        server.post("client", "/v1/messages", &group(vec![submit("1"), submit("2"), other, submit("3"), submit("1")]));
    assert_eq!((submitted.status, submitted.json().as_array().map(Vec::len)), (200, Some(1)), "{submitted:?}");
    assert_eq!(submitted.json()[0]["re"], "m3");
    assert_eq!(submitted.json()[0]["body"]["rejected"]["code"], "task_conflict");

    let card = json!({"register": {"agent": {"id": 1, "skills": {"square": 1}, "capacity": 3, "lease": "30s"}}});
    let by = server.say("agent-1", "/v1/messages", "hello", &card).json()[0]["body"]["registered"]["by"].clone();
    let polled = server.say("agent-1", "/v1/messages?wait=5", "p", &json!({"poll": {"by": by, "most": 3}})).json();
    let held: Vec<Value> =
        polled.as_array().unwrap().iter().map(|one| one["body"]["assign"]["attempt"].clone()).collect();
    assert_eq!(held.len(), 3, "{polled}");
    let beat = |attempt: &Value| json!({"attempt_heartbeat": {"by": by, "attempt": attempt, "details": 7}});
    let accept = |attempt: &Value| json!({"accept": {"by": by, "attempt": attempt}});
    let result =
        |attempt: &Value| json!({"result": {"by": by, "attempt": attempt, "verdict": {"succeeded": {"output": 4}}}});
    let beats: Vec<Value> = held.iter().map(accept).chain(held.iter().map(beat)).collect();
    let beats = server.post("agent-1", "/v1/messages", &group(beats));
    assert_eq!((beats.status, beats.json()), (200, json!([])), "{beats:?}");
    // Accepted attempts are not sent again.
    let again = server.say("agent-1", "/v1/messages", "q", &json!({"poll": {"by": by, "most": 0}})).json();
    assert_eq!(again, json!([]));
    let poll = json!({"poll": {"by": by, "most": 1}});
    let mut ends: Vec<Value> = held.iter().map(result).collect();
    ends.extend([result(&held[0]), poll, json!({"heartbeat": {"by": by}})]);
    let ended = server.post("agent-1", "/v1/messages", &group(ends));
    let told: Vec<(Value, Value)> = ended
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["re"].clone(), one["body"]["rejected"]["code"].clone()))
        .collect();
    assert_eq!(told, [(json!("m4"), json!("stale_attempt")), (json!("m5"), json!("not_in_group"))], "{ended:?}");
    for task in 1..=3 {
        assert_eq!(server.get("client", &format!("/v1/tasks/{task}")).json()["outcome"]["succeeded"], 4);
    }
    // What one may not do is refused alone; a group that cannot be read is refused as a whole.
    let mixed = server.post("agent-2", "/v1/messages", &group(vec![json!({"heartbeat": {"by": by}})]));
    assert_eq!(mixed.json()[0]["body"]["rejected"]["code"], "denied", "{mixed:?}");
    server.post("agent-1", "/v1/messages", &json!([{"v": 9, "id": "m", "body": {}}])).is(422, "version");
    assert_eq!(server.post("agent-1", "/v1/messages", &json!([])).json(), json!([]));
    let many = (0..2_001).map(|_| json!({"heartbeat": {"by": by}})).collect();
    let file = server.folder.join("many.json");
    std::fs::write(&file, group(many).to_string()).unwrap();
    let file = format!("@{}", file.display());
    server.curl(&["-H", "Authorization: Bearer agent-1", "--data-binary", &file, "/v1/messages"]).is(413, "too_large");
}

#[test]
fn words_that_come_too_late_are_refused() {
    let server = Server::start("late");
    let say = |id: &str, body: Value| server.say("agent-1", "/v1/messages?wait=5", id, &body);
    let by = register(&server, 1);
    // A task that comes while the agent waits is given out at once.
    let policy = json!({"attempt_timeout": "3s", "retry": {"attempts": 5, "base": "1ms", "cap": "1ms"}});
    let task = json!({"id": "1", "kind": "square", "payload": {"number": 4}, "policy": policy});
    assert_eq!(server.post("client", "/v1/tasks", &task).status, 201);
    let told = say("p1", json!({"poll": {"by": by, "most": 1}})).json();
    let first = told[0]["body"]["assign"]["attempt"].clone();
    assert_eq!(first, json!({"task": "1", "number": 1}));
    assert!(told[0]["body"]["assign"]["until"].is_string(), "{told}");
    // Not accepted yet, it comes again: the answer might have been lost. Accepted, it does not.
    let again = say("p2", json!({"poll": {"by": by, "most": 1}})).json();
    assert_eq!(again[0]["body"]["assign"]["attempt"], first);
    // Its time is over: the agent is told, and its result is not wanted any more.
    std::thread::sleep(std::time::Duration::from_millis(3_100));
    let told = say("p3", json!({"poll": {"by": by, "most": 1}})).json();
    let all: Vec<&str> = told
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|one| one["body"].as_object().unwrap().keys())
        .map(String::as_str)
        .collect();
    assert!(all.contains(&"cancel"), "{told}");
    let verdict = json!({"succeeded": {"output": 16}});
    rejected(&say("r1", json!({"result": {"by": by, "attempt": first, "verdict": verdict}})), 409, "stale_attempt");
    // The second attempt, accepted.
    let given = told.as_array().unwrap().iter().find_map(|one| one["body"]["assign"].as_object().cloned());
    let given = given.unwrap_or_else(|| {
        say("p4", json!({"poll": {"by": by, "most": 1}})).json()[0]["body"]["assign"].as_object().unwrap().clone()
    });
    let second = given["attempt"].clone();
    assert_eq!(second["number"], 2);
    assert_eq!(say("a1", json!({"accept": {"by": by, "attempt": second}})).status, 200);
    // Another agent may not speak about it; a new life may not go on with what the old one held.
    let other = register(&server, 2);
    let foreign = json!({"result": {"by": other, "attempt": second, "verdict": verdict}});
    rejected(&server.say("agent-2", "/v1/messages", "r2", &foreign), 403, "denied");
    let result = json!({"result": {"by": by, "attempt": second, "verdict": verdict}});
    assert_eq!(say("r3", result.clone()).status, 200);
    assert_eq!(server.get("client", "/v1/tasks/1").json()["outcome"]["succeeded"], 16);
    // The same again is recognised or refused, and changes nothing.
    assert!(matches!(say("r3", result).status, 200 | 409));
    register(&server, 1);
    rejected(&say("h1", json!({"heartbeat": {"by": by}})), 409, "stale_incarnation");
    rejected(&say("p5", json!({"poll": {"by": by, "most": 1}})), 409, "stale_incarnation");
    // Nothing to do: the poll is answered by nothing, when its time is over.
    let by = server.get("operator", "/v1/agents/1").json()["incarnation"].clone();
    let began = std::time::Instant::now();
    let nothing = server.say(
        "agent-1",
        "/v1/messages?wait=0.3",
        "p6",
        &json!({"poll": {"by": {"agent": "1", "number": by}, "most": 1}}),
    );
    assert_eq!((nothing.status, nothing.json()), (200, json!([])));
    assert!(began.elapsed().as_millis() >= 300, "it was not held open");
    assert_eq!(server.delete("agent-1", "/v1/agents/1").status, 204);
    server.delete("agent-1", "/v1/agents/1").is(404, "unknown_agent");
}

#[test]
fn runs_events_and_figures() {
    let mut server = Server::start("runs");
    let ledger = common::folder("runs-ledger");
    let _worker = Worker::start(&server, 1, &ledger);
    let flow = json!({"name": "two", "version": 1, "tasks": [
        {"id": "first", "type": "square", "inputs": "${inputs}"},
        {"id": "go", "wait": {"signal": "go"}, "depends_on": ["first"]},
        {"id": "second", "type": "square", "inputs": {"number": "${first.output.squared}"}, "depends_on": ["go"]},
    ], "outputs": {"from": "second.output"}});
    server.post("client", "/v1/workflows", &flow).is(403, "denied");
    assert_eq!(server.post("operator", "/v1/workflows", &flow).status, 201);
    assert_eq!(server.post("operator", "/v1/workflows", &flow).status, 200);
    let mut tuned = flow.clone();
    tuned["tasks"][0]["retry"] = json!(9);
    let again = server.post("operator", "/v1/workflows", &tuned);
    let changed = again.json()["changed"][0].as_str().unwrap_or_default().to_owned();
    assert!(again.status == 200 && changed.starts_with("nodes.first.action.do.task.policy"), "{again:?}");
    let mut other = flow.clone();
    other["outputs"] = json!({"from": "first.output"});
    let refused = server.post("operator", "/v1/workflows", &other);
    refused.is(409, "definition_conflict");
    assert!(refused.body.contains("output"), "{refused:?}");
    let broken = json!({"name": "no", "tasks": [{"id": "a", "depends_on": ["b"]}, {"id": "c", "timeout": "soon"}]});
    let faults = server.post("operator", "/v1/workflows", &broken);
    faults.is(422, "document");
    assert_eq!(faults.json()["faults"].as_array().map(Vec::len), Some(2), "{faults:?}");
    server.post("client", "/v1/runs", &json!({"id": "1", "workflow": "none"})).is(404, "unknown_workflow");

    let run = json!({"id": "1", "workflow": "two", "input": {"number": 3}, "business_key": "order-3"});
    let started = server.post("client", "/v1/runs", &run);
    assert_eq!(started.status, 201, "{started:?}");
    assert!(started.headers.to_lowercase().contains("location: /v1/runs/1"), "{started:?}");
    let mut newer = flow.clone();
    newer["version"] = json!(2);
    assert_eq!(server.post("operator", "/v1/workflows", &newer).status, 201);
    let mut found = run.clone();
    found["version"] = json!(2);
    let found = server.post("client", "/v1/runs", &found);
    assert_eq!(
        (found.status, found.json()["version"].as_u64()),
        (200, Some(1)),
        "it follows the version that it began with"
    );
    let waits = |run: &Value| run["waits_for"].to_string().contains("signal");
    server.until("client", "/v1/runs/1", waits);
    assert_eq!(server.post("client", "/v1/runs/1/signals/go", &json!(null)).status, 202);
    let run = server.until("client", "/v1/runs/1?wait=10", |run| run["phase"] == "finished");
    assert_eq!(run["outcome"]["succeeded"]["output"]["squared"], 81, "{run}");
    let page = server.get("operator", "/v1/runs?workflow=two&business_key=order-3").json();
    assert_eq!((page["runs"][0]["id"].as_str(), page["next"].as_str()), (Some("1"), None));
    server.delete("operator", "/v1/runs/1").is(409, "run_phase");

    // A reader who was away goes on where it was, over a restart of the server, too.
    let newest = server.get("operator", "/health").json()["events"].as_u64().unwrap();
    server.kill();
    server.start_again();
    let events = |path: &str, header: &str| {
        server.curl(&["-N", "--max-time", "1", "-H", "Authorization: Bearer operator", "-H", header, path]).body
    };
    let body = events("/v1/events", &format!("Last-Event-ID: {}", newest - 1));
    assert!(body.starts_with(&format!("id: {newest}\nevent: event\ndata: {{\"seq\":{newest},")), "{body}");
    let of_run = events("/v1/events?after=0&family=workflow&run=1", "X-Nothing: 1");
    let kinds: Vec<&str> = of_run.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert!(kinds.first().is_some_and(|fact| fact.contains("\"started\"")), "{of_run}");
    assert!(kinds.last().is_some_and(|fact| fact.contains("\"finished\"")), "{of_run}");
    server.get("operator", "/v1/events?family=colour").is(422, "family");

    let figures = server.get("auditor", "/metrics");
    assert!(figures.headers.contains("text/plain; version=0.0.4"), "{figures:?}");
    assert!(figures.body.contains("\ncounterpoint_kind_submitted_total{kind=\"square\"} 2\n"), "{}", figures.body);
}

#[test]
fn a_worker_in_python_reports_and_the_next_one_goes_on_from_its_details() {
    let server = Server::start("long");
    let flow = json!({"name": "long", "version": 1, "tasks": [
        {"id": "copy", "type": "square", "inputs": "${inputs}", "retry": {"attempts": 3, "delay": "1ms"}},
    ], "outputs": {"from": "copy.output"}});
    assert_eq!(server.post("operator", "/v1/workflows", &flow).status, 201);
    let input = json!({"pages": 5, "dies": 4});
    server.post("client", "/v1/runs", &json!({"id": "1", "workflow": "long", "input": input}));
    let _first = Worker::start(&server, 1, &common::folder("long-ledger"));
    server.until("operator", "/v1/agents", |agents| agents["agents"].as_array().is_some_and(|all| all.is_empty()));
    let _second = Worker::start(&server, 2, &common::folder("long-ledger"));
    let run = server.until("client", "/v1/runs/1?wait=10", |run| run["phase"] == "finished");
    assert_eq!(run["outcome"]["succeeded"]["output"], json!({"from": 3, "pages": 5}), "{run}");
    // A late reader gets the last reports, and the end.
    let read = |token: &str, path: &str| server.get(token, path);
    let body = read("operator", "/v1/runs/1/reports").body;
    assert!(
        body.contains("event: progress\n") && body.contains(r#""progress":{"share":1.0,"text":"page 5"}"#),
        "{body}"
    );
    assert!(body.contains("event: chunk\n") && body.contains(r#""chunk":"text of page 5""#), "{body}");
    assert!(body.contains(r#""number":1"#), "the second attempt emitted two parts: {body}");
    read("operator", "/v1/runs/9/reports").is(404, "unknown_run");
    read("north", "/v1/runs/1/reports").is(403, "denied");
}

#[test]
fn bad_reports_have_different_errors() {
    let server = Server::start("reports");
    let by = register(&server, 1);
    let say = |id: &str, body: Value| server.say("agent-1", "/v1/messages?wait=5", id, &body);
    assert_eq!(server.post("client", "/v1/tasks", &json!({"id": "1", "kind": "square"})).status, 201);
    let told = say("p1", json!({"poll": {"by": by, "most": 1}})).json();
    let attempt = told[0]["body"]["assign"]["attempt"].clone();
    let progress = |share: Value| json!({"progress": {"by": by, "attempt": attempt, "progress": {"share": share}}});
    assert_eq!(say("g1", progress(json!(0.5))).status, 200);
    for share in [json!(1.5), json!(-1), json!("half"), Value::Null] {
        say("g2", progress(share)).is(422, "shape");
    }
    let beat = |details: Value| json!({"attempt_heartbeat": {"by": by, "attempt": attempt, "details": details}});
    assert_eq!(say("b1", beat(json!({"page": 1}))).status, 200);
    rejected(&say("b2", beat(json!("x".repeat(20_000)))), 413, "too_large");
    // What is assigned again has the details.
    let again = say("p2", json!({"poll": {"by": by, "most": 1}})).json();
    assert_eq!(again[0]["body"]["assign"]["details"], json!({"page": 1}), "{again}");
    let verdict = json!({"succeeded": {"output": 1}});
    assert_eq!(say("r1", json!({"result": {"by": by, "attempt": attempt, "verdict": verdict}})).status, 200);
    rejected(&say("b3", beat(json!(1))), 409, "stale_attempt");
    rejected(&say("g3", progress(json!(0.5))), 409, "stale_attempt");
    let emit = json!({"emit": {"by": by, "attempt": attempt, "chunk": "late"}});
    rejected(&say("e1", emit), 409, "stale_attempt");
}

#[test]
fn a_budget_ends_work_by_what_a_worker_in_python_reports() {
    let server = Server::start("budget");
    let _worker = Worker::start(&server, 1, &common::folder("budget-ledger"));
    let input = json!({"number": 3, "tokens": 600});
    let flow = json!({"name": "metered", "version": 1, "budget": {"tokens": 500}, "tasks": [
        {"id": "first", "type": "square", "inputs": input},
        {"id": "second", "type": "square", "inputs": {"number": "${first.output.squared}"}, "depends_on": ["first"]},
    ]});
    assert_eq!(server.post("operator", "/v1/workflows", &flow).status, 201);
    server.post("client", "/v1/runs", &json!({"id": "1", "workflow": "metered"}));
    let run = server.until("client", "/v1/runs/1?wait=10", |run| run["phase"] == "finished");
    assert!(run["outcome"].to_string().contains("budget"), "{run}");
}

#[test]
fn a_run_whose_input_the_workflow_does_not_take_is_refused() {
    let server = Server::start("inputs");
    let flow = json!({"name": "letter", "inputs": {"to": {"type": "string", "required": true}, "pages": {"type": "integer", "default": 2}},
        "tasks": [{"id": "write", "type": "square", "inputs": "${inputs.pages}"}]});
    assert_eq!(server.post("operator", "/v1/workflows", &flow).status, 201);
    let listed = server.get("operator", "/v1/workflows").json();
    let declared = json!({"to": {"type": "string", "presence": "required"}, "pages": {"type": "integer", "presence": {"default": 2}}});
    assert_eq!(listed["workflows"][0]["inputs"], declared);
    let start = |id: &str, input: Value| {
        server.post("client", "/v1/runs", &json!({"id": id, "workflow": "letter", "input": input}))
    };
    let refused = start("1", json!({"page": 1}));
    refused.is(422, "input");
    assert!(refused.body.contains("`page` is no input, did you mean `pages`?; `to` is missing"), "{}", refused.body);
    start("1", json!(null)).is(422, "input");
    assert_eq!(start("1", json!({"to": "Ada"})).status, 201);
}
