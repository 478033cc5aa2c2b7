//! Clients over both transports that send nothing, too much, or what is no message; and what a model can read about the tools.

use serde_json::{Map, Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_counterpoint-mcp");

fn tokens(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("hostile-{name}"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let tokens = json!([
        {"token": "t-ada", "name": "ada", "roles": ["submitter"]},
        {"token": "t-nora", "name": "nora", "roles": ["submitter"], "tenants": ["north"]},
        {"token": "t-sven", "name": "sven", "roles": ["submitter"], "tenants": ["south"]},
        {"token": "t-ops", "name": "grace", "roles": ["operator", "agent", {"other": "editor"}], "agents": [7]},
    ]);
    let file = folder.join("tokens.json");
    std::fs::write(&file, tokens.to_string()).unwrap();
    file
}

/// A server over HTTP, which ends with the test.
struct Server {
    child: Child,
    address: String,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    /// The error of JSON-RPC in a rejection.
    fn error(&self, status: u16, code: i64) -> Value {
        assert_eq!(self.status, status, "{} {}", self.head, self.body);
        assert!(self.head.to_lowercase().contains("content-type: application/json"), "{}", self.head);
        let body: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!((body["jsonrpc"].as_str(), body["error"]["code"].as_i64()), (Some("2.0"), Some(code)), "{body}");
        assert!(body["error"]["message"].is_string() && body["error"]["data"]["code"].is_string(), "{body}");
        body
    }
}

impl Server {
    fn start(name: &str, options: &[&str], descriptors: u32) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {descriptors}; exec \"$0\" \"$@\""), BINARY]);
        command.arg("--tokens").arg(tokens(name)).args(["--http", "127.0.0.1:0"]).args(options);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().last().expect("the server prints its address");
        let address = url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
        Self { child, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }

    /// Sends these bytes, and reads until the server closes the connection.
    fn send(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the server answers and closes");
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn post_with(&self, token: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        let accept =
            "accept: application/json, text/event-stream\r\ncontent-type: application/json\r\nconnection: close";
        let host = if headers.starts_with("host:") { "" } else { "host: localhost\r\n" };
        let head = format!("POST /mcp HTTP/1.1\r\n{host}authorization: Bearer {token}\r\n{accept}\r\n{headers}");
        self.send(format!("{head}content-length: {length}\r\n\r\n{body}").as_bytes())
    }

    fn post(&self, token: &str, body: &str) -> Answer {
        self.post_with(token, "", body)
    }

    /// Begins a session and returns its id.
    fn session(&self, token: &str) -> String {
        let answer = self.post(token, &initialize().to_string());
        assert_eq!(answer.status, 200, "{}", answer.body);
        let head = answer.head.to_lowercase();
        head.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).expect("a session").to_owned()
    }

    /// The status of a notification in this session.
    fn in_session(&self, token: &str, session: &str) -> Answer {
        let message = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        self.post_with(token, &format!("mcp-session-id: {session}\r\n"), &message.to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn initialize() -> Value {
    let client = json!({"name": "test", "version": "0.1"});
    let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
    json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
}

#[test]
fn abandoned_sessions_make_room_and_belong_to_their_caller() {
    let server = Server::start("sessions", &["--sessions", "16"], 256);
    let sessions: Vec<_> = (0..20).map(|_| server.session("t-ada")).collect();
    let statuses: Vec<_> = sessions.iter().map(|session| server.in_session("t-ada", session).status).collect();
    // A caller has a quarter of the sessions.
    assert_eq!(statuses, [vec![404; 16], vec![202; 4]].concat());
    server.in_session("t-ada", &sessions[0]).error(404, -32600);
    server.in_session("t-ops", &sessions[19]).error(404, -32600);
    let delete = format!(
        "DELETE /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer t-ops\r\nmcp-session-id: {}\r\nconnection: close\r\n\r\n",
        sessions[19]
    );
    server.send(delete.as_bytes()).error(404, -32600);
    assert_eq!(server.in_session("t-ada", &sessions[19]).status, 202);
}

#[test]
fn a_session_without_requests_ends() {
    let server = Server::start("expiry", &["--session-seconds", "1"], 256);
    let session = server.session("t-ada");
    assert_eq!(server.in_session("t-ada", &session).status, 202);
    // Each pause is longer than the time for which a session may be without a request.
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(1_500));
        if server.in_session("t-ada", &session).status == 404 {
            return;
        }
    }
    panic!("the session does not end");
}

#[test]
fn what_is_no_message_is_answered_by_an_error() {
    let server = Server::start("frames", &["--body-seconds", "1"], 256);
    server.post("t-ada", "hello").error(400, -32700);
    server.post("t-ada", "").error(400, -32700);
    server.post("t-ada", &"[".repeat(100_000)).error(400, -32700);
    for wrong in ["[]", "5", "null", "{}", r#"{"jsonrpc": "1.0", "id": 1, "method": "ping"}"#] {
        server.post("t-ada", wrong).error(400, -32600);
    }
    let wrong = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": 5}).to_string();
    assert_eq!(server.post("t-ada", &wrong).error(400, -32600)["id"], 7);
    let large = json!({"jsonrpc": "2.0", "id": 8, "method": "ping", "params": {"x": "y".repeat(2 << 20)}}).to_string();
    server.post("t-ada", &large).error(413, -32600);
    let mut first = initialize();
    first["params"]["clientInfo"]["name"] = "x".repeat(100_000).into();
    assert_eq!(server.post("t-ada", &first.to_string()).error(413, -32600)["id"], 1);
    let head = "POST /mcp HTTP/1.1\r\nhost: localhost\r\n";
    let token = "authorization: Bearer t-ada\r\n";
    server.send(format!("{head}{token}content-length: 500\r\n\r\n{{").as_bytes()).error(408, -32600);
    // A body without a token is not read.
    server.send(format!("{head}content-length: 500000\r\n\r\n").as_bytes()).error(401, -32600);
    server
        .send(format!("{head}{token}connection: close\r\ncontent-length: 2\r\n\r\n{{}}").as_bytes())
        .error(400, -32600);
    let ping = json!({"jsonrpc": "2.0", "id": 9, "method": "ping"}).to_string();
    let bare = format!("{head}{token}connection: close\r\ncontent-length: {}\r\n\r\n{ping}", ping.len());
    assert_eq!(server.send(bare.as_bytes()).error(406, -32600)["id"], 9);
    let get = format!("GET /nothing HTTP/1.1\r\nhost: localhost\r\n{token}connection: close\r\n\r\n");
    server.send(get.as_bytes()).error(404, -32600);
    assert!(server.session("t-ada").len() > 10);
}

#[test]
fn pages_of_other_origins_are_rejected() {
    let server = Server::start("origin", &["--allow-origin", "https://app.example:443"], 256);
    let from = |headers: &str| server.post_with("t-ada", headers, &initialize().to_string());
    for foreign in
        ["http://evil.example", "https://app.example:8443", "null", "http://localhost.evil.example", "file://"]
    {
        from(&format!("origin: {foreign}\r\n")).error(403, -32600);
    }
    from("host: evil.example:8000\r\n").error(403, -32600);
    for own in ["http://localhost:3000", "http://127.0.0.1:8000", "https://app.example"] {
        assert_eq!(from(&format!("origin: {own}\r\n")).status, 200, "{own}");
    }
}

#[test]
fn more_idle_connections_than_descriptors_do_not_end_the_server() {
    let server = Server::start("descriptors", &[], 128);
    let idle: Vec<_> = (0..200).map(|_| server.connect()).collect();
    assert!(server.session("t-ada").len() > 10);
    drop(idle);
}

/// A session over standard input and output.
struct Session {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    id: u64,
}

impl Session {
    fn start(name: &str, token: &str) -> Self {
        let mut command = Command::new(BINARY);
        command.arg("--tokens").arg(tokens(name)).env("COUNTERPOINT_TOKEN", token);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output, id: 1 }
    }

    fn write(&mut self, line: &str) {
        self.input.write_all(line.as_bytes()).unwrap();
        self.input.write_all(b"\n").unwrap();
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Begins the session, and returns what the server tells about itself.
    fn begin(&mut self) -> Value {
        self.write(&initialize().to_string());
        let answer = self.read();
        self.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string());
        answer["result"].clone()
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.id += 1;
        self.write(&json!({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params}).to_string());
        let answer = self.read();
        assert_eq!(answer["id"], self.id, "{answer}");
        answer["result"].clone()
    }

    fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.ask("tools/call", json!({"name": tool, "arguments": arguments}))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn lines_that_are_no_messages_are_answered_and_the_session_goes_on() {
    let mut session = Session::start("lines", "t-ada");
    let this = session.begin()["serverInfo"].clone();
    assert_eq!(
        (this["name"].as_str(), this["version"].as_str()),
        (Some("counterpoint-mcp"), Some(env!("CARGO_PKG_VERSION")))
    );
    let error = |session: &mut Session, line: &str, code: i64| {
        session.write(line);
        let answer = session.read();
        assert_eq!(answer["error"]["code"], code, "{answer}");
    };
    error(&mut session, "hello", -32700);
    error(&mut session, r#"{"jsonrpc": "2.0", "id": 1, "#, -32700);
    error(&mut session, &"[".repeat(10_000), -32700);
    error(&mut session, "[]", -32600);
    let long = json!({"jsonrpc": "2.0", "id": 3, "method": "ping", "params": {"x": "y".repeat(4 << 20)}}).to_string();
    error(&mut session, &long, -32600);
    session.write("  ");
    assert_eq!(session.ask("ping", json!({})), json!({}));
}

/// Every schema of a property below this one, with its path and its description.
fn properties(schema: &Value, root: &Value, path: &str, found: &mut Vec<(String, String)>) {
    let target = schema["$ref"].as_str().and_then(|to| root.pointer(to.trim_start_matches('#')));
    if let Some(target) = target {
        return properties(target, root, path, found);
    }
    for (name, property) in schema["properties"].as_object().unwrap_or(&Map::new()) {
        let path = format!("{path}.{name}");
        let target = property["$ref"].as_str().and_then(|to| root.pointer(to.trim_start_matches('#')));
        let description = property["description"].as_str().or(target.and_then(|target| target["description"].as_str()));
        found.push((path.clone(), description.unwrap_or_default().to_owned()));
        properties(property, root, &path, found);
    }
    for several in ["anyOf", "oneOf", "allOf"] {
        schema[several].as_array().into_iter().flatten().for_each(|one| properties(one, root, path, found));
    }
    if schema["items"].is_object() {
        properties(&schema["items"], root, path, found);
    }
}

/// Whether a value is one of a schema, for the keywords that the schemas of the tools have.
fn is_valid(value: &Value, schema: &Value, root: &Value) -> bool {
    let Some(schema) = schema.as_object() else { return schema == &Value::Bool(true) };
    let is_of = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    };
    let any = |schemas: &Value| schemas.as_array().unwrap().iter().filter(|one| is_valid(value, one, root)).count();
    schema.iter().all(|(keyword, rule)| match keyword.as_str() {
        "type" => rule
            .as_str()
            .map_or_else(|| rule.as_array().unwrap().iter().any(|kind| is_of(kind.as_str().unwrap())), is_of),
        "$ref" => is_valid(value, root.pointer(rule.as_str().unwrap().trim_start_matches('#')).unwrap(), root),
        "anyOf" => any(rule) > 0,
        "oneOf" => any(rule) == 1,
        "allOf" => any(rule) == rule.as_array().unwrap().len(),
        "const" => value == rule,
        "enum" => rule.as_array().unwrap().contains(value),
        "required" => value.as_object().is_none_or(|fields| {
            rule.as_array().unwrap().iter().all(|name| fields.contains_key(name.as_str().unwrap()))
        }),
        "properties" => rule
            .as_object()
            .unwrap()
            .iter()
            .all(|(name, rule)| value.get(name).is_none_or(|value| is_valid(value, rule, root))),
        "additionalProperties" => {
            let known = schema.get("properties").and_then(Value::as_object);
            let mut others = value
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(name, _)| known.is_none_or(|known| !known.contains_key(*name)));
            others.all(|(_, value)| is_valid(value, rule, root))
        }
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| is_valid(item, rule, root))),
        "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
        "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().unwrap()),
        "$schema" | "$defs" | "description" | "title" | "format" | "default" => true,
        other => panic!("the keyword {other} is not checked"),
    })
}

#[test]
fn a_model_can_read_what_each_tool_does() {
    let mut session = Session::start("tools", "t-ops");
    assert!(session.begin()["instructions"].as_str().unwrap().contains("distribute_task"));
    let tools = session.ask("tools/list", json!({}))["tools"].as_array().unwrap().clone();
    assert_eq!(tools.len(), 11);
    for tool in &tools {
        let (name, description) = (tool["name"].as_str().unwrap(), tool["description"].as_str().unwrap());
        assert!(description.len() >= 200 && description.contains("Use it"), "{name}: {description}");
        assert!(!description.contains("  "), "{name}: {description}");
        let hints = &tool["annotations"];
        assert!(hints["title"].is_string() && hints["openWorldHint"].is_boolean(), "{name}: {hints}");
        let reads = hints["readOnlyHint"].as_bool().unwrap();
        assert_eq!(reads, ["get_status", "assign_tasks"].contains(&name), "{name}");
        assert!(reads || hints["destructiveHint"].is_boolean() && hints["idempotentHint"].is_boolean(), "{name}");
        for schema in ["inputSchema", "outputSchema"] {
            assert_eq!(tool[schema]["type"], "object", "{name}: {}", tool[schema]);
            let mut found = Vec::new();
            properties(&tool[schema], &tool[schema], name, &mut found);
            assert!(!found.is_empty(), "{name} {schema}");
            for (path, description) in found {
                assert!(description.len() >= 10 && description.contains(' '), "{path}: {description:?}");
                let is_time = path.ends_with("_seconds") || path.ends_with(".seconds");
                assert!(!is_time || description.contains("seconds"), "{path}: {description}");
            }
        }
    }
}

#[test]
fn results_are_those_of_their_schemas() {
    let mut session = Session::start("schemas", "t-ops");
    session.begin();
    let tools = session.ask("tools/list", json!({}))["tools"].as_array().unwrap().clone();
    let mut call = |tool: &str, arguments: Value| {
        let result = session.call(tool, arguments);
        let content = result["structuredContent"].clone();
        assert_eq!(result["isError"], false, "{tool}: {content}");
        let schema = &tools.iter().find(|known| known["name"] == tool).unwrap()["outputSchema"];
        assert!(is_valid(&content, schema, schema), "{tool}: {content} is not of {schema:#}");
        assert!(!is_valid(&json!({"unknown": 1}), schema, schema), "{tool}");
        content
    };
    let by = call("register_agent", json!({"agent": "7", "name": "seven", "skills": {"square": 2, "write": 1}}))["incarnation"].clone();
    let ada = json!({"key": "a", "kind": "square", "payload": {"number": 7}});
    assert_eq!(call("distribute_task", ada)["state"], "running");
    let seven = call("get_status", json!({"agent": "7"}));
    let given = seven["work"][0].clone();
    let answer = |given: &Value, verdict: Value| {
        let mut all = json!({"agent": "7", "incarnation": by, "task": given["task"], "attempt": given["attempt"]});
        all.as_object_mut().unwrap().extend(verdict.as_object().unwrap().clone());
        all
    };
    let done = call("handle_task_response", answer(&given, json!({"output": 49})));
    assert_eq!(done["outcome"], json!({"succeeded": 49}));
    call("get_status", json!({"task": given["task"]}));
    call("update_agent_status", json!({"agent": "7", "incarnation": by, "status": "online", "capacity": 2}));
    let rules = json!([{"name": "report", "words": [["report"]], "steps": [{"name": "square"}, {"name": "write"}]}]);
    call("decompose_goal", json!({"goal": "a report", "name": "report", "rules": rules}));
    let document = json!({"name": "x", "tasks": [{"id": "ok", "wait": {"signal": "ok"}}]});
    call("decompose_goal", json!({"goal": "wait", "name": "waits", "document": document}));
    let run = call("start_workflow", json!({"key": "r", "workflow": "report"}))["run"].clone();
    call("get_status", json!({"run": run}));
    let given = call("get_status", json!({"agent": "7"}))["work"][0].clone();
    let failure = json!({"failure": {"kind": "permanent", "message": "no ink"}});
    let failed = call("handle_task_response", answer(&given, failure));
    assert!(failed["outcome"]["failed"].is_object(), "{failed}");
    assert_eq!(call("get_status", json!({"run": run}))["phase"], "finished");
    let waits = call("start_workflow", json!({"key": "w", "workflow": "waits"}))["run"].clone();
    assert_eq!(call("signal_workflow", json!({"run": waits, "signal": "ok", "payload": 1}))["accepted"], "done");
    let choice = json!([{"name": "v", "decision": {"role": "editor", "options": ["yes", "no"]}}]);
    let document = json!({"name": "asks", "tasks": [{"id": "review", "race": choice}]});
    call("decompose_goal", json!({"goal": "ask", "name": "asks", "document": document}));
    let asks = call("start_workflow", json!({"key": "d", "workflow": "asks"}))["run"].clone();
    let waits = call("get_status", json!({"run": asks}))["waits_for"].to_string();
    assert!(waits.contains("review") && waits.contains("decision"), "{waits}");
    let decision = json!({"run": asks, "node": "review", "option": "yes", "note": "looks good"});
    assert_eq!(call("decide_workflow", decision)["accepted"], "done");
    assert_eq!(call("get_status", json!({"run": asks}))["phase"], "finished");
    let tasks =
        json!([{"task": "1", "seconds": 5, "skills": {"square": 1}}, {"task": "2", "seconds": 5, "after": ["1"]}]);
    let planned = call("assign_tasks", json!({"tasks": tasks}));
    assert_eq!(planned["plan"].as_array().unwrap().len(), 2, "{planned}");
    call("distribute_task", json!({"key": "b", "kind": "fly", "tier": "high", "attempts": 3}));
    call("get_status", json!({}));
    call("unregister_agent", json!({"agent": "7", "drain": true}));
}

/// What a tool answers in a session of its own.
fn called(server: &Server, token: &str, tool: &str, arguments: &Value) -> Value {
    let session = server.session(token);
    assert_eq!(server.in_session(token, &session).status, 202);
    let params = json!({"name": tool, "arguments": arguments});
    let message = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params});
    let answer = server.post_with(token, &format!("mcp-session-id: {session}\r\n"), &message.to_string());
    let lines = answer.body.lines().filter_map(|line| line.strip_prefix("data: "));
    let messages: Vec<Value> = lines.filter_map(|line| serde_json::from_str(line).ok()).collect();
    messages.last().unwrap_or_else(|| panic!("{}", answer.body))["result"].clone()
}

#[test]
fn a_key_belongs_to_its_caller_and_tenant() {
    let server = Server::start("keys", &[], 256);
    let submit = |token: &str, key: &str, tenant: Value| {
        let arguments = json!({"key": key, "kind": "square", "payload": token, "tenant": tenant});
        called(&server, token, "distribute_task", &arguments)["structuredContent"].clone()
    };
    let (nora, sven) = (submit("t-nora", "k", json!("north")), submit("t-sven", "k", json!("south")));
    assert!(nora["task"].is_string() && sven["task"].is_string() && nora["task"] != sven["task"], "{nora} {sven}");
    assert_ne!(submit("t-ada", "k", json!("north"))["task"], nora["task"]);
    assert_eq!(submit("t-nora", "k", json!("north")), nora);
    for wrong in ["", "schlüssel", &"x".repeat(256)] {
        assert_eq!(submit("t-ada", wrong, json!(null))["code"], "bad_key", "{wrong}");
    }
}

/// A rejected call, by its code.
#[track_caller]
fn is_refused(result: &Value, code: &str) {
    let content = &result["structuredContent"];
    assert_eq!((&result["isError"], &content["code"]), (&json!(true), &json!(code)), "{result}");
    assert!(content["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{result}");
}

#[test]
fn a_repeated_key_is_the_same_work_and_no_other() {
    let server = Server::start("repeats", &[], 256);
    let document = json!({"name": "waits", "tasks": [{"id": "ok", "wait": {"signal": "ok"}}]});
    let defined =
        called(&server, "t-ops", "decompose_goal", &json!({"goal": "w", "name": "waits", "document": document}));
    assert_eq!(defined["isError"], false, "{defined}");
    let task = json!({"key": "k", "kind": "square", "payload": 3});
    let run = json!({"key": "k", "workflow": "waits", "input": {"n": 3}});
    for (tool, conflict, work, field, other) in [
        ("distribute_task", "task_conflict", &task, "payload", json!(4)),
        ("distribute_task", "task_conflict", &task, "kind", json!("cube")),
        ("distribute_task", "task_conflict", &task, "attempts", json!(9)),
        ("start_workflow", "run_conflict", &run, "input", json!({"n": 4})),
    ] {
        let first = called(&server, "t-ops", tool, work);
        assert_eq!(first["isError"], false, "{first}");
        assert_eq!(called(&server, "t-ops", tool, work), first, "a repeat");
        let mut different = work.clone();
        different[field] = other;
        is_refused(&called(&server, "t-ops", tool, &different), conflict);
        assert_eq!(called(&server, "t-ops", tool, work), first, "a refused call changes nothing");
    }
}

/// Begins a journal with a task and a run that have the ids of keys without being those of the keys.
fn seeded(folder: &Path) {
    use counterpoint::host::future::FutureHost;
    use counterpoint::journal::sealed::Stream;
    use counterpoint::{Command, Config, Limits, Payload, RunId, RunSpec, TaskId, TaskSpec};
    use counterpoint_serving::{Key, Scope};
    let _ = std::fs::remove_dir_all(folder);
    let key: Key = "order-7".parse().unwrap();
    let id_of = |kind| key.id_in(Scope { kind, tenant: None, caller: "grace" });
    let document = json!({"name": "waits", "tasks": [{"id": "ok", "wait": {"signal": "ok"}}]});
    let document: counterpoint::language::Document = serde_json::from_value(document).unwrap();
    let definition = document.compile(&Limits::default()).unwrap();
    let task = TaskSpec::new(TaskId::new(id_of("task")), "square").with_payload(Payload::new(json!(3)));
    let run = RunSpec::new(RunId::new(id_of("run")), "waits").with_input(Payload::new(json!({"n": 3})));
    let journal = counterpoint_journal_files::FileJournal::new(folder, Stream::new("mcp-server"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (host, driver) = FutureHost::open(Config::default(), journal, tokio::time::sleep).await.unwrap();
        let driver = tokio::spawn(driver);
        for command in [Command::submit(task), Command::define(definition), Command::start(run)] {
            host.command(command).await.unwrap();
        }
        host.shut_down(Duration::ZERO).await.unwrap();
        driver.await.unwrap().unwrap();
    });
}

/// Whatever has the id of a key without being that of the key is no repeat of it, however equal the rest is.
#[test]
fn a_key_that_collides_with_other_work_is_refused() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile-collisions-journal");
    seeded(&folder);
    let server = Server::start("collisions", &["--journal", folder.to_str().unwrap()], 256);
    let mut task = json!({"key": "order-7", "kind": "square", "payload": 3});
    is_refused(&called(&server, "t-ops", "distribute_task", &task), "task_conflict");
    let mut run = json!({"key": "order-7", "workflow": "waits", "input": {"n": 3}});
    is_refused(&called(&server, "t-ops", "start_workflow", &run), "run_conflict");
    (task["key"], run["key"]) = (json!("order-8"), json!("order-8"));
    assert_eq!(called(&server, "t-ops", "distribute_task", &task)["isError"], false);
    assert_eq!(called(&server, "t-ops", "start_workflow", &run)["isError"], false);
}

#[test]
fn a_caller_has_a_rate_and_decides_only_in_its_roles() {
    let server = Server::start("rates", &["--requests-per-second", "5", "--request-burst", "10"], 256);
    let statuses: Vec<_> = (0..40).map(|_| server.post("t-ada", "hello")).collect();
    let refused = statuses.iter().find(|answer| answer.status == 429).expect("some are too many");
    let told = refused.error(429, -32600);
    assert_eq!(told["error"]["data"]["code"], "too_many_requests");
    assert!(refused.head.to_lowercase().contains("retry-after: 1"), "{}", refused.head);
    assert!(statuses.iter().any(|answer| answer.status == 400));

    let server = Server::start("roles", &[], 256);
    let choice = json!([{"name": "v", "decision": {"role": "publisher", "options": ["yes", "no"]}}]);
    let document = json!({"name": "asks", "tasks": [{"id": "review", "race": choice}]});
    called(&server, "t-ops", "decompose_goal", &json!({"goal": "ask", "name": "asks", "document": document}));
    let run = called(&server, "t-ops", "start_workflow", &json!({"key": "d", "workflow": "asks"}));
    let run = run["structuredContent"]["run"].clone();
    let decide = |token: &str, node: &str| {
        called(&server, token, "decide_workflow", &json!({"run": run, "node": node, "option": "yes"}))
    };
    // An operator without the role of the decision, and a submitter.
    for refused in [decide("t-ops", "review"), decide("t-ada", "review"), decide("t-ops", "other")] {
        assert_eq!(refused["isError"], true, "{refused}");
    }
    assert_eq!(called(&server, "t-ops", "get_status", &json!({"run": run}))["structuredContent"]["phase"], "running");
}
