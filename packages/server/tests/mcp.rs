//! Tools of MCP servers as agents, and offered to language models: against servers that others wrote, where they are
//! installed, and against one that does what no server should.

mod common;

use common::{Place, exists, until};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The workflow of one task `call`, which `mcp` performs.
fn flow(mcp: &Value, task: &str) -> String {
    format!(
        "name: calls
inputs: {{text: {{type: string, default: hi}}, n: {{type: number, default: 2}}}}
tasks:
  - id: call
    inputs: {{text: \"${{inputs.text}}\", n: \"${{inputs.n}}\"}}
    retry: {{attempts: 1}}
{task}
outputs: \"${{call.output}}\"
agents: {{call: {{mcp: {mcp}}}}}
"
    )
}

fn hostile(how: &str) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mcp_server.py");
    json!({"command": ["python3", script, how, "${folder}/pids", "${folder}/cancelled"], "tool": "echo", "timeout": "20s"})
}

fn with(mut base: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        base[name] = value.clone();
    }
    base
}

/// The output, or the kind of trouble, of a run.
fn outcome(mcp: &Value) -> (Option<i32>, Value) {
    let place = Place::with(&flow(mcp, ""));
    let ended = place.run(["run", "flow.yaml", "--json"]);
    for pid in place.read("pids").lines() {
        until("the server has ended", || !exists(pid));
    }
    (ended.code, ended.json())
}

#[test]
fn arguments_keep_their_types_and_servers_end_with_the_run() {
    let arguments = json!({"arguments": {"n": "${input.n}", "text": "say ${input.text}", "list": [1, "${input.n}"]}});
    let (code, ended) = outcome(&with(hostile("plain"), &arguments));
    assert_eq!(code, Some(0), "{ended}");
    assert_eq!(ended["output"], r#"{"list": [1, 2], "n": 2, "text": "say hi"}"#);
    let (code, ended) = outcome(&with(hostile("plain"), &json!({"output": "json"})));
    assert_eq!((code, &ended["output"]), (Some(0), &json!({"n": 2, "text": "hi"})));
}

#[test]
fn a_server_is_shared_by_the_tasks_of_a_run_and_may_write_what_it_likes() {
    let task = "    for_each: [1, 2, 3]\n    max_concurrent: 1";
    let place = Place::with(&flow(&hostile("count"), task));
    let ended = place.run(["run", "flow.yaml", "--json"]).with(0);
    assert_eq!(place.read("pids").lines().count(), 1, "one server: {}", ended.stderr);
    assert_eq!(ended.json()["output"], json!(["1", "2", "3"]));
    for how in ["prose", "noisy", "flood", "asks", "stays"] {
        let (code, ended) = outcome(&hostile(how));
        assert_eq!(code, Some(0), "{how}: {ended}");
    }
}

#[test]
fn faults_of_servers_are_failures_of_their_kind() {
    let quick = json!({"timeout": "2s"});
    for (how, more, expected) in [
        ("dies", json!({}), "no licence"),
        ("silent", quick.clone(), "gave no result within 2s"),
        ("endless", quick.clone(), "did not introduce itself"),
        ("hangs", quick.clone(), "gave no result within 2s"),
        ("wrong-id", quick.clone(), "gave no result within 2s"),
        ("exits", json!({}), "the connection to the MCP server was lost"),
        ("huge", json!({}), "a message of more than 4194304 bytes"),
        ("large", json!({}), "an output at most 1048576"),
        ("deep", quick, ""),
        ("error", json!({}), "the tool reports an error: the disk is full"),
        ("rpc-error", json!({}), "error -32602: no such tool"),
    ] {
        let begun = Instant::now();
        let (code, ended) = outcome(&with(hostile(how), &more));
        assert_eq!(code, Some(1), "{how}: {ended}");
        assert!(ended["cause"].to_string().contains(expected), "{how}: {ended}");
        assert!(begun.elapsed() < Duration::from_secs(40), "{how}");
    }
    let absent = json!({"command": ["no-such-program-of-mcp"], "tool": "echo"});
    assert!(outcome(&absent).1["cause"].to_string().contains("there is no program"));
    let away = json!({"url": "http://127.0.0.1:1/mcp", "tool": "echo"});
    assert!(outcome(&away).1["cause"].to_string().contains("no connection to `http://127.0.0.1:1/mcp`"));
}

#[test]
fn an_error_of_a_tool_has_the_kind_from_the_file() {
    let tried = |mcp: &Value| {
        let place = Place::with(&flow(mcp, "").replace("attempts: 1", "attempts: 3, delay: 1ms"));
        let ended = place.run(["run", "flow.yaml", "--json"]).with(1);
        (place.read("pids").lines().count(), ended.stderr.matches("it is tried again").count())
    };
    let permanent = json!({"error": {"kind": "permanent", "code": "full"}});
    let (once, again) = (tried(&with(hostile("error"), &permanent)), tried(&hostile("error")));
    assert_eq!((once.0, again.0), (1, 1), "the server is shared by attempts");
    assert!(once.1 == 0 && again.1 == 2, "transient failures are tried again, permanent ones not: {once:?} {again:?}");
    // Each attempt starts another server when the one before has ended.
    assert_eq!(tried(&hostile("dies")).0, 3);
}

#[test]
fn a_call_that_is_cancelled_is_cancelled_at_the_server() {
    let place = Place::with(&flow(&hostile("hangs"), ""));
    let running = place.start(["run", "flow.yaml", "--run", "one"]);
    until("the server has started", || !place.read("pids").is_empty());
    std::thread::sleep(Duration::from_millis(500));
    place.run(["cancel", "one"]).with(0);
    running.end().with(1);
    until("the server was told", || place.read("cancelled").contains("cancelled"));
}

#[test]
fn servers_of_a_killed_process_end_with_it() {
    let place = Place::with(&flow(&with(hostile("stays-and-hangs"), &json!({"timeout": "10m"})), ""));
    let running = place.start(["run", "flow.yaml"]);
    until("the server has started", || !place.read("pids").is_empty());
    running.kill();
    for pid in place.read("pids").lines() {
        until("the server has ended", || !exists(pid));
    }
}

#[test]
fn mistakes_have_their_path() {
    let file = "name: calls
tasks: [{id: call}, {id: other}, {id: more}, {id: model}]
agents:
  call: {mcp: {command: [x, \"${input.y}\"], tool: t}}
  other: {mcp: {url: \"http://x\", command: [x], toool: t}}
  more: {mcp: {url: \"http://x\", environment: {A: b}, tool: t, arguments: [1], error: sometimes}}
  model: {model: {url: \"http://x\", name: m, tools: [{only: [a]}]}, cache: true}
";
    let ended = Place::with(file).run(["check", "flow.yaml"]).with(3);
    for text in [
        "agents.call.mcp: a server serves all tasks",
        "`command` and `url` exclude each other",
        "unknown field `toool`, did you mean `tool`?",
        "`environment` has no effect with `url`",
        "agents.more.mcp.arguments: expected an object, found a list",
        "agents.more.mcp.error: expected one of transient, permanent, overloaded, unknown",
        "agents.model.model.tools[0]: expected `command` or `url`",
    ] {
        ended.says(text);
    }
}

/// Whether a program of npm is there. `COUNTERPOINT_NPM` says that it must be.
fn installed(program: &str) -> bool {
    let found =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|dir| dir.join(program).is_file());
    assert!(found || std::env::var_os("COUNTERPOINT_NPM").is_none(), "`{program}` is not installed");
    if !found {
        eprintln!("skipped: `{program}` is not installed");
    }
    found
}

/// A server, which is ended with the test.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

#[test]
fn the_reference_server_is_called_over_both_transports() {
    if !installed("mcp-server-everything") {
        return;
    }
    let port = free_port();
    let mut command = Command::new("mcp-server-everything");
    command.arg("streamableHttp").env("PORT", port.to_string()).stdin(Stdio::null());
    let _served = Served(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    until("the server listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let ways = [
        json!({"command": ["mcp-server-everything", "stdio"]}),
        json!({"url": format!("http://127.0.0.1:{port}/mcp"), "headers": {"authorization": "Bearer ${env.HOME}"}}),
    ];
    for way in ways {
        let call = |more: Value| outcome(&with(way.clone(), &more));
        let (code, ended) = call(json!({"tool": "echo", "arguments": {"message": "${input.text}"}}));
        assert_eq!((code, &ended["output"]), (Some(0), &json!("Echo: hi")), "{way}: {ended}");
        let (code, ended) = call(json!({"tool": "get-sum", "arguments": {"a": "${input.n}", "b": 3}}));
        assert_eq!((code, &ended["output"]), (Some(0), &json!("The sum of 2 and 3 is 5.")), "{way}: {ended}");
        let (code, ended) = call(json!({"tool": "get-structured-content", "arguments": {"location": "Chicago"}}));
        assert_eq!(code, Some(0), "{ended}");
        assert!(ended["output"]["temperature"].is_number(), "{ended}");
        let (code, ended) = call(json!({"tool": "get-tiny-image", "arguments": {}, "output": "content"}));
        assert_eq!(code, Some(0), "{ended}");
        assert!(ended["output"].as_array().unwrap().iter().any(|block| block["type"] == "image"), "{ended}");
        // A wrong argument, and a tool that does not exist.
        assert_eq!(call(json!({"tool": "get-sum", "arguments": {"a": "x"}})).0, Some(1));
        assert_eq!(call(json!({"tool": "no-such-tool", "arguments": {}})).0, Some(1));
        let long = json!({"tool": "trigger-long-running-operation", "arguments": {"duration": 60, "steps": 60}, "timeout": "1s"});
        assert!(call(long).1["cause"].to_string().contains("within 1s"));
    }
}

#[test]
fn a_language_model_calls_the_tools_of_the_reference_server() {
    if !installed("mcp-server-everything") || !installed("llmock") {
        return;
    }
    let place = Place::new();
    let fixtures = json!({"fixtures": [
        {"match": {"userMessage": "add", "hasToolResult": false},
            "response": {"toolCalls": [{"name": "get-sum", "arguments": "{\"a\": 20, \"b\": 22}"}]}},
        {"match": {"userMessage": "add", "toolResultContains": "is 42"}, "response": {"content": "It is 42."}},
    ]});
    place.write("fixtures.json", &fixtures.to_string());
    let port = free_port();
    let mut command = Command::new("llmock");
    command.args(["-p", &port.to_string(), "-f"]).arg(place.path("fixtures.json"));
    let mut served = Served(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(served.0.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("listening")));
    std::thread::spawn(move || lines.for_each(drop));
    let flow = |only: &str| {
        format!(
            "name: talk
tasks: [{{id: ask, retry: {{attempts: 1}}}}]
outputs: \"${{ask.output}}\"
agents:
  ask:
    model:
      url: \"http://127.0.0.1:{port}/v1\"
      name: small
      prompt: add
      tools: [{{command: [mcp-server-everything, stdio]{only}}}]
"
        )
    };
    place.write("flow.yaml", &flow(""));
    let ended = place.run(["run", "flow.yaml", "--json"]).with(0);
    assert_eq!(ended.json()["output"], "It is 42.");
    place.write("flow.yaml", &flow(", only: [no-such-tool]"));
    place.run(["run", "flow.yaml", "--new"]).with(1).says("the server has no tool `no-such-tool`");
}
