//! `counterpoint serve`: the API, the pages, and a server that is killed.

mod common;

use common::{Place, Running, until};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A server that is under way.
struct Server {
    running: Running,
    address: String,
}

/// An answer to a request.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

const TOKENS: &str = r#"[
    {"token": "t-ops", "name": "grace", "roles": ["operator", "submitter", {"other": "editor"}]},
    {"token": "t-7", "name": "worker 7", "roles": ["agent"], "agents": [7]},
    {"token": "t-audit", "name": "ann", "roles": ["auditor"]},
    {"token": "t-sub", "name": "sam", "roles": ["submitter"]}
]"#;

impl Server {
    fn start(place: &Place) -> Self {
        let mut running =
            place.start(["serve", "--data", "data", "--listen", "127.0.0.1:0", "--tokens", "tokens.json"]);
        let line = running.first_line();
        let address = line.trim().strip_prefix("listening on http://").unwrap_or_else(|| panic!("{line}")).to_owned();
        Self { running, address }
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut text = Vec::new();
        stream.read_to_end(&mut text).unwrap();
        let text = String::from_utf8_lossy(&text).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_default();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn page(&self, path: &str, token: &str) -> Answer {
        self.send("GET", path, &[("cookie", &format!("counterpoint={token}"))], "")
    }

    fn form(&self, path: &str, token: &str, body: &str) -> Answer {
        let origin = format!("http://{}", self.address);
        let kind = ("content-type", "application/x-www-form-urlencoded");
        self.send("POST", path, &[("cookie", &format!("counterpoint={token}")), ("origin", &origin), kind], body)
    }

    fn api(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, &[("authorization", "Bearer t-ops"), ("content-type", "application/json")], &body)
    }

    /// A message of the agent; returns the messages that answer it.
    fn say(&self, number: u32, body: &Value) -> Value {
        let message = json!({"v": 1, "id": format!("7-{number}"), "body": body}).to_string();
        let headers = [("authorization", "Bearer t-7"), ("content-type", "application/json")];
        let answer = self.send("POST", "/v1/messages?wait=20", &headers, &message);
        serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.body))
    }

    /// Takes the next attempt as the agent, and fails it.
    fn fail_next(&self, by: &Value, number: u32) {
        let messages = self.say(number, &json!({"poll": {"by": by, "most": 1}}));
        let mut assigned = messages.as_array().unwrap().iter().map(|message| &message["body"]["assign"]);
        let assigned = assigned.rfind(|assigned| !assigned.is_null()).unwrap_or_else(|| panic!("{messages}"));
        let attempt = &assigned["attempt"];
        self.say(number + 1, &json!({"accept": {"by": by, "attempt": attempt}}));
        let failure = json!({"kind": "transient", "message": "that cannot be done"});
        let verdict = json!({"failed": {"failure": failure}});
        self.say(number + 2, &json!({"result": {"by": by, "attempt": attempt, "verdict": verdict}}));
    }

    fn run(&self, id: &str) -> Value {
        serde_json::from_str(&self.api("GET", &format!("/v1/runs/{id}"), &Value::Null).body).unwrap()
    }
}

fn place() -> Place {
    let place = Place::new();
    place.write("tokens.json", TOKENS);
    place
}

/// Defines a workflow that waits for a signal, a decision and an agent, and starts a run.
fn begin(server: &Server) -> String {
    let flow = json!({"name": "gates", "inputs": {"title": {"type": "string"}}, "tasks": [
        {"id": "packed", "wait": {"signal": "packed"}},
        {"id": "review", "depends_on": "packed", "race": [{"name": "v", "decision": {"role": "editor", "options": ["publish", "reject"]}}]},
        {"id": "print", "depends_on": {"task": "review", "case": "publish"}, "inputs": "${inputs.title}"}
    ], "outputs": "${packed.output}"});
    assert_eq!(server.api("POST", "/v1/workflows", &flow).status, 201);
    let started = server.api(
        "POST",
        "/v1/runs",
        &json!({"id": "7", "workflow": "gates", "input": {"title": "<script>alert(1)</script>"}}),
    );
    assert_eq!(started.status, 201, "{}", started.body);
    let run: Value = serde_json::from_str(&started.body).unwrap();
    run["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_run_is_watched_and_advanced_by_the_pages_and_survives_a_kill() {
    let place = place();
    let server = Server::start(&place);
    let id = begin(&server);
    let listed = server.page("/runs", "t-ops");
    assert_eq!(listed.status, 200);
    assert!(listed.body.contains(&format!("/runs/{id}")) && listed.body.contains("signal"), "{}", listed.body);
    let link = format!("/runs/{id}\"");
    assert!(!server.page("/runs?standing=finished", "t-ops").body.contains(&link));
    assert!(server.page("/runs?workflow=gates&standing=stalled", "t-ops").body.contains(&link));
    let one = server.page(&format!("/runs/{id}"), "t-ops").body;
    assert!(one.contains("<svg") && one.contains("&lt;script&gt;") && !one.contains("<script>alert"), "{one}");
    assert_eq!(
        server.form(&format!("/runs/{id}/signal"), "t-ops", "signal=packed&payload=%7B%22boxes%22%3A2%7D").status,
        303
    );
    let one = server.page(&format!("/runs/{id}"), "t-ops").body;
    assert!(one.contains("value=\"publish\""), "{one}");
    server.running.kill();

    let server = Server::start(&place);
    assert!(server.page(&format!("/runs/{id}"), "t-ops").body.contains("value=\"reject\""));
    assert_eq!(server.form(&format!("/runs/{id}/decide"), "t-ops", "node=review&option=burn").status, 409);
    assert_eq!(server.form(&format!("/runs/{id}/decide"), "t-ops", "node=review&option=publish&note=fine").status, 303);
    assert!(
        server.page(&format!("/runs/{id}"), "t-ops").body.contains("<li>print: "),
        "the task without an agent is shown"
    );
    assert_eq!(server.form(&format!("/runs/{id}/cancel"), "t-ops", "reason=enough").status, 303);
    assert_eq!(server.run(&id)["phase"], "finished");
    let one = server.page(&format!("/runs/{id}"), "t-ops").body;
    assert!(one.contains("enough") && one.contains("grace") && !one.contains("/cancel\""), "{one}");
    server.running.signal("TERM");
    server.running.end().with(0);
}

#[test]
fn pages_need_a_token_and_forms_their_own_origin() {
    let place = place();
    let server = Server::start(&place);
    let id = begin(&server);
    let one = format!("/runs/{id}");
    for path in ["/runs", "/agents", "/queues", "/schedules", "/dead-letters", "/alerts", "/live", &one] {
        let stranger = server.send("GET", path, &[], "");
        assert!(stranger.status == 303 && stranger.head.contains("location: /login"), "{path}: {}", stranger.head);
        assert_eq!(server.page(path, "wrong").status, 303, "{path}");
        assert_eq!(server.page(path, "t-sub").status, 403, "{path}: a submitter may not read everything");
    }
    let logged = server.form("/login", "", "token=t-ops");
    assert!(logged.status == 303 && logged.head.contains("HttpOnly; SameSite=Strict"), "{}", logged.head);
    assert_eq!(server.form("/login", "", "token=wrong").status, 401);
    assert_eq!(server.form("/login", "", "token=t-ops%0d%0aset-cookie:x").status, 401);

    let cancel = format!("/runs/{id}/cancel");
    let foreign = [
        ("cookie", "counterpoint=t-ops"),
        ("origin", "http://evil.example"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    assert_eq!(server.send("POST", &cancel, &foreign, "reason=x").status, 403);
    let cross = [
        ("cookie", "counterpoint=t-ops"),
        ("sec-fetch-site", "cross-site"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    assert_eq!(server.send("POST", &cancel, &cross, "reason=x").status, 403);
    assert_eq!(server.form(&cancel, "t-audit", "reason=x").status, 403, "an auditor only reads");
    assert_eq!(server.form("/start", "t-audit", "workflow=gates").status, 403, "an auditor only reads");
    assert_eq!(server.form("/schedules", "t-audit", "schedule=x&action=pause").status, 403, "an auditor only reads");
    assert_eq!(server.form(&cancel, "", "reason=x").status, 303);
    assert!(server.run(&id)["outcome"].is_null(), "nothing was changed");
    let page = server.page("/runs", "t-audit");
    assert!(page.status == 200 && page.head.contains("content-security-policy: default-src 'none'"));
    assert!(!page.head.contains("unsafe"), "{}", page.head);
    let behind_tls = [("origin", "https://x.example"), ("host", "x.example"), ("content-type", foreign[2].1)];
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let head: String = behind_tls.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!("POST /login HTTP/1.1\r\nconnection: close\r\n{head}content-length: 11\r\n\r\ntoken=t-ops");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("SameSite=Strict; Secure"), "{answer}");
}

/// A dry run shows what follows and changes nothing; the button on it performs it.
#[test]
fn operations_are_shown_before_they_are_performed() {
    let place = place();
    let server = Server::start(&place);
    let id = begin(&server);
    server.form(&format!("/runs/{id}/signal"), "t-ops", "signal=packed&payload=1");
    let before = server.run(&id);
    let reset = format!("/runs/{id}/reset");
    let dry = server.form(&reset, "t-ops", "to=packed&reason=again&dry=yes");
    assert!(dry.status == 200 && dry.body.contains("<ol><li>") && dry.body.contains("packed"), "{}", dry.body);
    assert!(dry.body.contains("name=to value=\"packed\"") && !dry.body.contains("name=dry"), "{}", dry.body);
    assert_eq!(server.run(&id), before);
    let nothing = server.form(&reset, "t-ops", "to=print&dry=yes");
    assert!(nothing.status == 409 && nothing.body.contains("rejected"), "{}", nothing.body);
    assert_eq!(server.form(&reset, "t-ops", "to=packed&reason=again").status, 303);
    let one = server.page(&format!("/runs/{id}"), "t-ops").body;
    assert!(one.contains("<li>packed: signal packed"), "{one}");
    let dry = server.form(&format!("/runs/{id}/cancel"), "t-ops", "reason=enough&dry=yes");
    assert!(dry.status == 200 && dry.body.contains("cancelled"), "{}", dry.body);
    assert!(server.run(&id)["outcome"].is_null());
    assert_eq!(server.form(&format!("/runs/{id}/pause"), "t-ops", "reason=lunch").status, 303);
    let paused = || server.page("/runs?standing=paused", "t-ops").body.contains(&format!("/runs/{id}\""));
    assert!(paused() && server.page(&format!("/runs/{id}"), "t-ops").body.contains("paused</span>: lunch"));
    assert_eq!(server.form(&format!("/runs/{id}/resume"), "t-ops", "").status, 303);
    assert!(!paused());
}

#[test]
fn runs_are_started_once_and_found_by_each_filter() {
    let place = place();
    let server = Server::start(&place);
    let id = begin(&server);
    let started =
        server.form("/start", "t-ops", "once=77&workflow=gates&key=order+9&input=%7B%22title%22%3A%22x%22%7D");
    assert_eq!(started.status, 303, "{}", started.body);
    let again = server.form("/start", "t-ops", "once=77&workflow=gates&key=order+9&input=%7B%22title%22%3A%22x%22%7D");
    let to = |answer: &Answer| answer.head.lines().find_map(|line| line.strip_prefix("location: ").map(str::to_owned));
    assert!(to(&started).is_some() && to(&started) == to(&again), "{}", started.head);
    let other = to(&started).unwrap();
    let listed = |query: &str| {
        let body = server.page(&format!("/runs?{query}"), "t-ops").body;
        (body.contains(&format!("href=\"/runs/{id}\"")), body.contains(&format!("href=\"{other}\"")))
    };
    assert_eq!(listed(""), (true, true));
    assert_eq!(listed("key=order+9"), (false, true));
    assert_eq!(listed("tenant=acme"), (false, false));
    assert_eq!(listed("age=1h"), (true, true));
    assert_eq!(listed("age=%2B1h"), (false, false));
    assert_eq!(listed("standing=succeeded"), (false, false));
    server.form(&format!("{other}/cancel"), "t-ops", "reason=x");
    assert_eq!(listed("standing=failed"), (false, true));
    assert_eq!(listed("standing=stalled&workflow=gates"), (true, false));
    for number in 0..60 {
        server.form("/start", "t-ops", &format!("once={number}&workflow=gates&input=%7B%22title%22%3A%22x%22%7D"));
    }
    assert_eq!(listed(""), (false, false), "the latest 50");
    let first = server.page("/runs", "t-ops").body;
    let next = first.split("rel=next href=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert_eq!(listed(next.trim_start_matches("/runs?")), (true, true));
}

#[test]
fn schedules_are_triggered_paused_and_resumed_and_queues_are_shown() {
    let place = place();
    let server = Server::start(&place);
    begin(&server);
    let create = |cron: &str| {
        let form =
            format!("schedule=nightly&workflow=gates&cron={cron}&input=%7B%22title%22%3A%22x%22%7D&action=create");
        server.form("/schedules", "t-ops", &form).status
    };
    assert_eq!(create("61+3+*+*+*"), 409);
    assert_eq!(create("0+3+*+*+*"), 303);
    let page = || server.page("/schedules", "t-ops").body;
    assert!(
        page().contains("nightly") && page().contains(" 03:00:00</time>") && page().contains("0 fired"),
        "{}",
        page()
    );
    assert_eq!(server.form("/schedules", "t-ops", "schedule=nightly&once=a&action=trigger").status, 303);
    until("it has fired", || page().contains("1 fired"));
    assert_eq!(server.form("/schedules", "t-ops", "schedule=nightly&action=pause").status, 303);
    assert!(page().contains("paused: by hand"));
    assert_eq!(server.form("/schedules", "t-ops", "schedule=nightly&action=resume").status, 303);
    assert!(!page().contains("paused: by hand"));
    assert_eq!(server.form("/schedules", "t-ops", "schedule=nightly&action=burn").status, 404);
    let task = json!({"id": "8", "kind": "square"});
    assert!(server.api("POST", "/v1/tasks", &task).status < 300);
    let queues = server.page("/queues", "t-ops").body;
    assert!(
        queues.contains("<th scope=row>normal<td>1<td>") && queues.contains("<th scope=row>square<td>1<td>"),
        "{queues}"
    );
    assert_eq!(server.page("/alerts", "t-ops").status, 200);
}

#[test]
fn hostile_requests_are_answered_without_errors_of_the_server() {
    let place = place();
    let server = Server::start(&place);
    begin(&server);
    for path in [
        "/runs/0",
        "/runs/-1",
        "/runs/18446744073709551615",
        "/runs/99999999999999999999",
        "/runs/%00",
        "/runs/../x",
        "/runs?after=%7B",
        "/runs?after=nonsense&standing=x&workflow=%3Cb%3E",
        "/runs?x=1",
        "/live?run=x",
        "/nowhere",
        "/runs/1/2/3",
    ] {
        let answer = server.page(path, "t-ops");
        assert!(answer.status < 500 && answer.status > 0, "{path}: {}", answer.status);
        assert!(!answer.body.contains("<b>"), "{path}");
    }
    for (path, body) in [
        ("/runs/1/cancel", "reason=x"),
        ("/runs/x/cancel", ""),
        ("/runs/1/explode", ""),
        ("/runs/1/signal", "%%%"),
        ("/runs/1/decide", "node=%00"),
        ("/dead-letters/1/replay", ""),
        ("/dead-letters/1/x", ""),
        ("/login", ""),
        ("/logout", ""),
    ] {
        let answer = server.form(path, "t-ops", body);
        assert!(answer.status < 500 && answer.status > 0, "{path}: {}", answer.status);
    }
    let huge = format!("token={}", "x".repeat(4 << 20));
    assert!((400..500).contains(&server.form("/login", "", &huge).status));
    assert_eq!(server.send("GET", "/ready", &[], "").status, 200);
}

#[test]
fn dead_letters_are_replayed_and_discarded() {
    let place = place();
    let server = Server::start(&place);
    let agent = json!({"id": "7", "name": "worker 7", "skills": {"square": 1}, "capacity": 1});
    let by = server.say(1, &json!({"register": {"agent": agent}}))[0]["body"]["registered"]["by"].clone();
    let policy = json!({"retry": {"attempts": 1, "base": "1ms", "cap": "1ms"}});
    let submitted = server.api("POST", "/v1/tasks", &json!({"id": "8", "kind": "square", "policy": policy}));
    assert!(submitted.status < 300, "{}", submitted.body);
    server.fail_next(&by, 10);
    let page = || server.page("/dead-letters", "t-ops").body;
    until("the letter is dead", || page().contains("that cannot be done"));
    assert!(server.page("/agents", "t-ops").body.contains("worker 7"));
    assert_eq!(server.form("/dead-letters/8/replay", "t-audit", "").status, 403);
    assert_eq!(server.form("/dead-letters/8/replay", "t-ops", "").status, 303);
    // The replay fails as well, under an id of its own.
    server.fail_next(&by, 20);
    until("the replay is dead", || page().contains("that cannot be done") && !page().contains("/dead-letters/8/"));
    let again = server.form("/dead-letters/8/replay", "t-ops", "");
    assert!(again.status < 500, "{}", again.status);
    let text = page();
    let id = text.split("/dead-letters/").nth(1).and_then(|rest| rest.split('/').next()).unwrap().to_owned();
    assert_eq!(server.form(&format!("/dead-letters/{id}/discard"), "t-ops", "").status, 303);
    until("nothing is left", || page().contains(">None"));
}

#[test]
fn changes_reach_the_page_within_a_second_and_figures_are_served() {
    let place = place();
    let server = Server::start(&place);
    let id = begin(&server);
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!("GET /live?run={id} HTTP/1.1\r\nhost: {}\r\ncookie: counterpoint=t-ops\r\n\r\n", server.address);
    stream.write_all(head.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines();
    assert!(lines.next().unwrap().unwrap().contains("200"));
    server.form(&format!("/runs/{id}/signal"), "t-ops", "signal=packed&payload=");
    assert!(lines.any(|line| line.unwrap() == "event: change"));

    assert!(server.send("GET", "/health", &[], "").body.contains("\"status\":\"ok\""));
    assert!(server.api("GET", "/metrics", &Value::Null).body.contains("counterpoint_http_connections"));
    assert_eq!(server.send("GET", "/metrics", &[], "").status, 401);
    assert!(server.send("GET", "/page.css", &[], "").body.contains("prefers-color-scheme"));
    assert!(server.send("GET", "/page.js", &[], "").body.contains("EventSource"));
    server.running.signal("INT");
    server.running.end().with(0);
}

/// Prints how long the list of runs and the page of one run take, also for the first time. `COUNTERPOINT_RUNS` sets the number of
/// runs.
#[test]
fn the_first_view_is_quick_with_many_runs() {
    let most: u32 = std::env::var("COUNTERPOINT_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(300);
    let place = place();
    let server = Server::start(&place);
    let flow = json!({"name": "noted", "tasks": [{"id": "noted", "wait": {"timer": "1ms"}}]});
    assert_eq!(server.api("POST", "/v1/workflows", &flow).status, 201);
    std::thread::scope(|scope| {
        for part in 0..4_u32 {
            let server = &server;
            scope.spawn(move || {
                for id in (1..=most).filter(|id| id % 4 == part) {
                    let started = server.api("POST", "/v1/runs", &json!({"id": id.to_string(), "workflow": "noted"}));
                    assert_eq!(started.status, 201, "{}", started.body);
                }
            });
        }
    });
    let timed = |what: &str, path: &str| {
        let began = Instant::now();
        let answer = server.page(path, "t-ops");
        let took = began.elapsed();
        assert_eq!(answer.status, 200, "{}", answer.body);
        println!("{what} with {most} runs: {:.1} ms", took.as_secs_f64() * 1_000.0);
        took
    };
    let first = timed("the list, for the first time", "/runs");
    timed("the list", "/runs");
    timed("those that wait", "/runs?standing=stalled");
    let one = timed("one run", "/runs/1");
    // An optimised build needs a fraction of it.
    assert!(first < Duration::from_secs(1) && one < Duration::from_secs(1), "{first:?}, {one:?}");
}

#[test]
fn without_tokens_a_server_makes_one_that_only_its_owner_can_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let mut running = place.start(["serve", "--data", "data", "--listen", "127.0.0.1:0"]);
    running.first_line();
    let path = place.path("data/tokens.json");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = std::fs::read(&path).unwrap();
    // A second server is refused, and leaves the token as it is.
    place.run(["serve", "--data", "data", "--listen", "127.0.0.1:0"]).with(5);
    running.signal("TERM");
    running.end().with(0);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    place.write("bad.json", "[{}]");
    place.run(["serve", "--data", "data", "--tokens", "bad.json"]).with(6).says("bad.json");
    place.run(["serve", "--data", "data", "--listen", "nowhere:99999"]).with(6).says("nowhere");
    until("the folder is free", || !place.path("data/probe").exists());
}

/// The playground, or what is said of a program that was built without it.
#[test]
fn the_playground_is_offered_if_the_program_has_it() {
    let place = place();
    let server = Server::start(&place);
    // It shows nothing of the server, so it needs no token.
    let page = server.send("GET", "/play", &[], "");
    let head = page.head.to_lowercase();
    assert!(head.contains("content-security-policy: default-src 'none'"), "{head}");
    if option_env!("COUNTERPOINT_PLAYGROUND").is_none() {
        assert!(page.status == 404 && page.body.contains("built without the"), "{} {}", page.status, page.body);
        return;
    }
    assert!(page.status == 200 && page.body.contains("play.js"), "{} {}", page.status, page.body);
    let (module, script) = (server.send("GET", "/play.wasm", &[], ""), server.send("GET", "/play.js", &[], ""));
    assert!(module.head.to_lowercase().contains("content-type: application/wasm"), "{}", module.head);
    assert!(module.status == 200 && module.body.starts_with("\0asm"), "{}", module.status);
    assert!(script.status == 200 && script.body.contains("WebAssembly"), "{}", script.status);
}
