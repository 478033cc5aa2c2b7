//! Each tool and resource of `/mcp` and each page with each kind of caller, at objects of each tenant: who is admitted. The tables are
//! `access-mcp.txt` and `access-pages.txt`, made with `UPDATE_GOLDEN=1`. What is admitted is carried out, and what is denied changes
//! nothing. Tools, resources and routes are those that the server lists: a new one has to get a row.

mod common;

use common::Place;
use common::api::{Answer, Served};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

const TOKENS: &str = r#"[
    {"token": "t-ops", "name": "grace", "roles": ["operator", "submitter", {"other": "editor"}]},
    {"token": "t-make", "name": "maker of agents", "roles": ["agent"], "agents": [7, 9]},
    {"token": "t-make-north", "name": "maker of agents in the north", "roles": ["agent"], "agents": [8], "tenants": ["north"]},
    {"token": "guest", "name": "guest", "roles": []},
    {"token": "auditor", "name": "ann", "roles": ["auditor"]},
    {"token": "auditor@n", "name": "anna", "roles": ["auditor"], "tenants": ["north"]},
    {"token": "submitter", "name": "sam", "roles": ["submitter"]},
    {"token": "submitter@n", "name": "samuel", "roles": ["submitter"], "tenants": ["north"]},
    {"token": "operator", "name": "olga", "roles": ["operator", {"other": "editor"}]},
    {"token": "operator@n", "name": "oleg", "roles": ["operator", {"other": "editor"}], "tenants": ["north"]},
    {"token": "agent", "name": "worker 7", "roles": ["agent"], "agents": [7]},
    {"token": "agent@n", "name": "worker 8", "roles": ["agent"], "agents": [8], "tenants": ["north"]}
]"#;

/// The tokens of callers; a stranger has none.
const CALLERS: [&str; 11] = [
    "stranger",
    "unknown",
    "guest",
    "auditor",
    "auditor@n",
    "submitter",
    "submitter@n",
    "operator",
    "operator@n",
    "agent",
    "agent@n",
];

/// Objects for one cell of a table, which nobody has touched.
struct Made {
    number: u32,
    /// By tenant.
    tasks: BTreeMap<&'static str, String>,
    runs: BTreeMap<&'static str, String>,
    /// The agent of the caller, or else one of no tenant, and its incarnation; and one of others.
    agent: (u64, u64),
    other: (u64, u64),
    /// A task of which each of them holds the first attempt.
    held: [String; 2],
}

fn start(place: &Place) -> Served {
    place.write("own-tokens.json", TOKENS);
    // The last one counts: the file of `Served` has other callers.
    place.write("settings.toml", "tokens = \"own-tokens.json\"\n");
    let mut running = place.start(["serve", "--data", "data", "--listen", "127.0.0.1:0", "--config", "settings.toml"]);
    let line = running.first_line();
    let address = line.trim().split_once("://").unwrap_or_else(|| panic!("{line}")).1.to_owned();
    let served = Served { running, address };
    let choice = json!([{"name": "v", "decision": {"role": "editor", "options": ["publish", "reject"]}}]);
    let flow =
        json!({"name": "flow", "tasks": [{"id": "review", "race": choice}, {"id": "go", "wait": {"signal": "go"}}]});
    assert_eq!(served.send("POST", "/v1/workflows", &flow).0, 201);
    served
}

/// The number of entries in the journal.
fn events(served: &Served) -> u64 {
    let answer = served.ask("GET", "/ready", "", "");
    serde_json::from_str::<Value>(&answer.body).unwrap()["events"].as_u64().unwrap()
}

/// Of tasks that an agent has lost, nothing follows later.
fn once() -> Value {
    json!({"retry": {"attempts": 1, "base": "1ms", "cap": "1ms"}})
}

/// The answer to a message of an agent.
fn say(served: &Served, agent: u64, body: &Value) -> Value {
    let token = if agent == 8 { "t-make-north" } else { "t-make" };
    let message = json!({"v": 1, "id": format!("m{agent}"), "body": body}).to_string();
    let headers = format!("authorization: Bearer {token}\r\ncontent-type: application/json\r\n");
    let answer = served.ask("POST", "/v1/messages?wait=1", &headers, &message);
    serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{}", answer.body))
}

fn registered(served: &Served, agent: u64) -> (u64, u64) {
    let spec = json!({"id": agent.to_string(), "capacity": 1000, "skills": {format!("of-{agent}"): 1}, "lease": "1h"});
    let answer = say(served, agent, &json!({"register": {"agent": spec}}));
    let number = answer[0]["body"]["registered"]["by"]["number"].as_str().and_then(|number| number.parse().ok());
    (agent, number.unwrap_or_else(|| panic!("{answer}")))
}

fn make(served: &Served, number: u32, caller: &str) -> Made {
    let (agent, other) = (registered(served, if caller == "agent@n" { 8 } else { 7 }), registered(served, 9));
    let (mut tasks, mut runs) = (BTreeMap::new(), BTreeMap::new());
    for (index, tenant) in ["north", "south"].into_iter().enumerate() {
        let id = (2 * number + u32::try_from(index).unwrap()).to_string();
        let task =
            json!({"id": id, "kind": "read", "tenant": tenant, "needs": {"skills": {"of-9": 1}}, "policy": once()});
        let (status, body) = served.send("POST", "/v1/tasks", &task);
        assert_eq!(status, 201, "{body}");
        tasks.insert(tenant, body["task"].as_str().unwrap().to_owned());
        let (status, body) = served.send("POST", "/v1/runs", &json!({"id": id, "workflow": "flow", "tenant": tenant}));
        assert_eq!(status, 201, "{body}");
        runs.insert(tenant, body["id"].as_str().unwrap().to_owned());
    }
    let held = [agent.0, other.0].map(|agent| {
        let needs = json!({"skills": {format!("of-{agent}"): 1}});
        let id = format!("{agent}{number:06}");
        let task = json!({"id": id, "kind": "read", "tenant": "north", "needs": needs, "policy": once()});
        let (status, body) = served.send("POST", "/v1/tasks", &task);
        assert_eq!(status, 201, "{body}");
        body["task"].as_str().unwrap().to_owned()
    });
    for (agent, number) in [agent, other] {
        let by = json!({"agent": agent.to_string(), "number": number.to_string()});
        say(served, agent, &json!({"poll": {"by": by, "most": 100}}));
    }
    Made { number, tasks, runs, agent, other, held }
}

/// A row of a tool: what it is asked, and its arguments.
type Row = (&'static str, fn(&Made) -> Value);

/// The rows of a tool.
fn rows(tool: &str) -> Vec<Row> {
    match tool {
        "distribute_task" => vec![
            ("no tenant", |made| json!({"key": format!("k{}", made.number), "kind": "read"})),
            ("tenant north", |made| json!({"key": format!("k{}", made.number), "kind": "read", "tenant": "north"})),
            ("tenant south", |made| json!({"key": format!("k{}", made.number), "kind": "read", "tenant": "south"})),
            (
                "after a task of north",
                |made| json!({"key": format!("k{}", made.number), "kind": "read", "after": [made.tasks["north"]]}),
            ),
            (
                "after a task of south",
                |made| json!({"key": format!("k{}", made.number), "kind": "read", "after": [made.tasks["south"]]}),
            ),
        ],
        "decompose_goal" => vec![("", |made| {
            let document = json!({"name": format!("w{}", made.number), "tasks": [{"id": "a"}]});
            json!({"goal": "a", "name": format!("w{}", made.number), "kinds": ["a"], "document": document})
        })],
        "assign_tasks" => vec![("", |_| json!({"tasks": [{"task": "1", "seconds": 1, "skills": {"of-9": 1}}]}))],
        "get_status" => vec![
            ("the engine", |_| json!({})),
            ("task of north", |made| json!({"task": made.tasks["north"]})),
            ("task of south", |made| json!({"task": made.tasks["south"]})),
            ("run of north", |made| json!({"run": made.runs["north"]})),
            ("run of south", |made| json!({"run": made.runs["south"]})),
            ("own agent", |made| json!({"agent": made.agent.0.to_string()})),
            ("another agent", |made| json!({"agent": made.other.0.to_string()})),
        ],
        "start_workflow" => vec![
            ("no tenant", |made| json!({"key": format!("k{}", made.number), "workflow": "flow"})),
            ("tenant north", |made| json!({"key": format!("k{}", made.number), "workflow": "flow", "tenant": "north"})),
            ("tenant south", |made| json!({"key": format!("k{}", made.number), "workflow": "flow", "tenant": "south"})),
        ],
        "signal_workflow" => vec![
            ("run of north", |made| json!({"run": made.runs["north"], "signal": "go"})),
            ("run of south", |made| json!({"run": made.runs["south"], "signal": "go"})),
        ],
        "decide_workflow" => vec![
            ("run of north", |made| json!({"run": made.runs["north"], "node": "review", "option": "publish"})),
            ("run of south", |made| json!({"run": made.runs["south"], "node": "review", "option": "publish"})),
        ],
        other => rows_of_agents(other),
    }
}

fn rows_of_agents(tool: &str) -> Vec<Row> {
    match tool {
        "register_agent" => vec![
            ("own agent", |made| json!({"agent": made.agent.0.to_string()})),
            ("another agent", |made| json!({"agent": made.other.0.to_string()})),
        ],
        "unregister_agent" => vec![
            ("own agent", |made| json!({"agent": made.agent.0.to_string(), "drain": false})),
            ("another agent", |made| json!({"agent": made.other.0.to_string(), "drain": false})),
        ],
        "update_agent_status" => vec![
            (
                "own agent",
                |made| json!({"agent": made.agent.0.to_string(), "incarnation": made.agent.1.to_string(), "status": "online"}),
            ),
            (
                "another agent",
                |made| json!({"agent": made.other.0.to_string(), "incarnation": made.other.1.to_string(), "status": "online"}),
            ),
        ],
        "handle_task_response" => vec![
            (
                "own agent",
                |made| json!({"agent": made.agent.0.to_string(), "incarnation": made.agent.1.to_string(), "task": made.held[0], "attempt": 1, "output": 1}),
            ),
            (
                "another agent",
                |made| json!({"agent": made.other.0.to_string(), "incarnation": made.other.1.to_string(), "task": made.held[1], "attempt": 1, "output": 1}),
            ),
        ],
        other => panic!("the tool {other} has no rows in the table"),
    }
}

fn headers(caller: &str) -> String {
    let own = "accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n";
    if caller == "stranger" { own.to_owned() } else { format!("authorization: Bearer {caller}\r\n{own}") }
}

fn message(answer: &Answer) -> Value {
    let lines = answer.body.lines().filter_map(|line| line.strip_prefix("data: "));
    let last = lines.filter_map(|line| serde_json::from_str(line).ok()).next_back();
    last.unwrap_or_else(|| serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{}", answer.body)))
}

/// A session of a caller, as a header; the status if it gets none.
fn session(served: &Served, caller: &str) -> Result<String, u16> {
    let client = json!({"name": "test", "version": "0.1"});
    let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    let answer = served.ask("POST", "/mcp", &headers(caller), &hello.to_string());
    let head = answer.head.to_lowercase();
    let id = head.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).ok_or(answer.status)?;
    let session = format!("mcp-session-id: {id}\r\n");
    let begun = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    served.ask("POST", "/mcp", &(headers(caller) + &session), &begun.to_string());
    Ok(session)
}

fn asked(served: &Served, caller: &str, session: &str, method: &str, params: &Value) -> Value {
    let asked = json!({"jsonrpc": "2.0", "id": 5, "method": method, "params": params});
    message(&served.ask("POST", "/mcp", &(headers(caller) + session), &asked.to_string()))
}

/// What becomes of a call: `yes` if it was carried out, `no` if it was denied. It does not fail otherwise.
fn word(answer: &Value) -> String {
    let result = &answer["result"];
    let code = result["structuredContent"]["code"].as_str();
    match (code, answer["error"]["message"].as_str()) {
        (Some("denied"), _) => "no".to_owned(),
        (Some(_), _) if result["isError"] == true => panic!("{answer}"),
        (_, Some(error)) if error.contains("may not") || error.contains("denied") => "no".to_owned(),
        (_, Some(error)) => panic!("{error}"),
        _ => "yes".to_owned(),
    }
}

fn heading(width: usize) -> String {
    CALLERS.iter().fold(" ".repeat(width), |line, caller| format!("{line}{caller:>13}")) + "\n"
}

#[track_caller]
fn same(name: &str, table: &str) {
    let file = format!("{}/tests/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, table).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap_or_default(), table, "UPDATE_GOLDEN=1 rewrites it");
}

/// A row: its name, the method and its parameters.
type Call = (String, &'static str, Box<dyn Fn(&Made) -> Value>);

#[test]
fn each_tool_and_resource_admits_those_of_the_table() {
    let place = Place::new();
    let served = start(&place);
    let sessions: Vec<(&str, Result<String, u16>)> =
        CALLERS.iter().map(|caller| (*caller, session(&served, caller))).collect();
    let own = session(&served, "t-ops").unwrap();
    let listed = |method: &str, list: &str, name: &str| -> Vec<String> {
        let answer = asked(&served, "t-ops", &own, method, &json!({}));
        let items = answer["result"][list].as_array().unwrap_or_else(|| panic!("{answer}")).clone();
        items.iter().map(|item| item[name].as_str().unwrap().to_owned()).collect()
    };
    let mut requests: Vec<Call> = Vec::new();
    for tool in listed("tools/list", "tools", "name") {
        for (about, arguments) in rows(&tool) {
            let (name, tool) = (format!("{tool} {about}"), tool.clone());
            let params = move |made: &Made| json!({"name": tool, "arguments": arguments(made)});
            requests.push((name.trim_end().to_owned(), "tools/call", Box::new(params)));
        }
    }
    for uri in listed("resources/list", "resources", "uri") {
        requests.push((uri.clone(), "resources/read", Box::new(move |_| json!({"uri": uri}))));
    }
    for template in listed("resources/templates/list", "resourceTemplates", "uriTemplate") {
        for tenant in ["north", "south"] {
            let name = if template.contains("{run}") { format!("{template} of {tenant}") } else { template.clone() };
            let template = template.clone();
            let params = move |made: &Made| {
                let uri = template.replace("{run}", &made.runs[tenant]).replace("{agent}", &made.agent.0.to_string());
                json!({"uri": uri})
            };
            if !requests.iter().any(|(known, ..)| *known == name) {
                requests.push((name, "resources/read", Box::new(params)));
            }
        }
    }
    let mut table = heading(44);
    let mut number = 0;
    for (name, method, params) in requests {
        let _ = write!(table, "{name:44}");
        for (caller, session) in &sessions {
            number += 1;
            let word = match session {
                Err(status) => status.to_string(),
                Ok(session) => {
                    let made = make(&served, number, caller);
                    let before = events(&served);
                    let answer = asked(&served, caller, session, method, &params(&made));
                    let word = word(&answer);
                    // A denial is no entry, and what was carried out is one, unless it only reads.
                    if word == "no" {
                        assert_eq!(events(&served), before, "{name} by {caller}: {answer}");
                    }
                    let writes =
                        ["register", "unregister", "distribute", "handle", "decompose", "start", "signal", "decide"];
                    if word == "yes" && writes.iter().any(|verb| name.starts_with(&format!("{verb}_"))) {
                        assert!(events(&served) > before, "{name} by {caller}: {answer}");
                    }
                    word
                }
            };
            let _ = write!(table, "{word:>13}");
        }
        table.push('\n');
    }
    same("access-mcp.txt", &table);
}

/// The status of a page and its `Location`, without the rest of it: one of the pages does not end.
fn page(served: &Served, method: &str, path: &str, caller: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(&served.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let cookie = if caller == "stranger" { String::new() } else { format!("cookie: counterpoint={caller}\r\n") };
    let form = format!("origin: http://{}\r\ncontent-type: application/x-www-form-urlencoded\r\n", served.address);
    let (host, length) = (&served.address, body.len());
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n{cookie}{form}content-length: {length}\r\n\r\n{body}");
    stream.write_all(head.as_bytes()).unwrap();
    let (mut text, mut part) = (Vec::new(), [0; 1024]);
    while !text.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read(&mut part).unwrap();
        assert!(count > 0, "{method} {path}: {}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&part[..count]);
    }
    let head = String::from_utf8_lossy(&text).into_owned();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let location = head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap_or_default().to_owned();
    (status, location)
}

/// The methods and paths of the pages, as the program declares them.
fn routes() -> Vec<(&'static str, String)> {
    let source = concat!(include_str!("../src/serve/mod.rs"), include_str!("../src/serve/play.rs"));
    let mut routes = Vec::new();
    for line in source.lines().filter_map(|line| line.trim().strip_prefix(".route(\"")) {
        let (path, handlers) = line.split_once('"').unwrap();
        let post = handlers.contains("post(");
        if handlers.contains("get(") || !post {
            routes.push(("GET", path.to_owned()));
        }
        if post {
            routes.push(("POST", path.to_owned()));
        }
    }
    assert!(routes.len() > 15, "{routes:?}");
    routes
}

/// A row: its name, the method, the path with the objects that it names, and the form.
type PageRow = (String, &'static str, String, fn(&Made) -> String);

fn page_rows() -> Vec<PageRow> {
    let mut rows: Vec<PageRow> = Vec::new();
    for (method, path) in routes() {
        let mut row = |name: String, path: String, body: fn(&Made) -> String| rows.push((name, method, path, body));
        let none: fn(&Made) -> String = |_| String::new();
        match (method, path.as_str()) {
            ("POST", "/runs/{run}/{action}") => {
                for (action, tenant) in [
                    ("cancel", "north"),
                    ("cancel", "south"),
                    ("signal", "north"),
                    ("decide", "south"),
                    ("pause", "south"),
                ] {
                    let body: fn(&Made) -> String = match action {
                        "signal" => |_| "signal=go".to_owned(),
                        "decide" => |_| "node=review&option=publish".to_owned(),
                        _ => none,
                    };
                    row(
                        format!("POST /runs/{{run of {tenant}}}/{action}"),
                        format!("/runs/{{{tenant}}}/{action}"),
                        body,
                    );
                }
            }
            ("GET", "/runs/{run}") => {
                for tenant in ["north", "south"] {
                    row(format!("GET /runs/{{run of {tenant}}}"), format!("/runs/{{{tenant}}}"), none);
                }
            }
            ("POST", "/dead-letters/{task}/{action}") => {
                row("POST /dead-letters/{task}/discard".to_owned(), "/dead-letters/{task}/discard".to_owned(), none);
            }
            ("POST", "/start") => {
                row("POST /start".to_owned(), path, |made| format!("workflow=flow&once=o{}", made.number))
            }
            ("POST", "/schedules") => row("POST /schedules".to_owned(), path, |made| {
                format!("schedule=s&action=trigger&turn=trigger&once=o{}", made.number)
            }),
            ("POST", "/login") => row("POST /login".to_owned(), path, |_| "token=guess".to_owned()),
            _ => row(format!("{method} {path}"), path, none),
        }
    }
    rows
}

#[test]
fn each_page_admits_those_of_the_table() {
    let place = Place::new();
    let served = start(&place);
    let timing = json!({"rules": [{"cron": "0 2 * * *"}]});
    let schedule = json!({"id": "s", "workflow": "flow", "timing": timing});
    assert_eq!(served.send("PUT", "/v1/schedules/s", &schedule).0, 201);
    let mut table = heading(36);
    let mut number = 0;
    for (name, method, path, body) in page_rows() {
        let _ = write!(table, "{name:36}");
        for caller in CALLERS {
            number += 1;
            let made = make(&served, number, caller);
            let path = path
                .replace("{north}", &made.runs["north"])
                .replace("{south}", &made.runs["south"])
                .replace("{task}", &made.tasks["north"]);
            let before = events(&served);
            let (status, location) = page(&served, method, &path, caller, &body(&made));
            let word = match (status, location.as_str()) {
                (303 | 307, "/login") if path != "/logout" => "login".to_owned(),
                (403, _) => "no".to_owned(),
                // The answers to what was admitted; 409: to what the engine rejects.
                (200 | 303 | 409, _) => "yes".to_owned(),
                // A program without the module of the playground has a page that states it.
                (404, _) if path == "/play" => "yes".to_owned(),
                (status, _) => status.to_string(),
            };
            if word != "yes" || method == "GET" {
                assert_eq!(events(&served), before, "{name} by {caller}");
            } else if status == 303 && method == "POST" && !path.starts_with("/log") {
                assert!(events(&served) > before, "{name} by {caller}");
            }
            let _ = write!(table, "{word:>13}");
        }
        table.push('\n');
    }
    same("access-pages.txt", &table);
}
