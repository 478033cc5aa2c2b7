//! The MCP endpoint of `serve`, as raw requests, as this program's own client, and as the protocol's Python SDK see it: the same
//! tokens, tenants, rates and records as the API.

mod common;

use common::Place;
use common::api::{Answer, Served};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

fn start(place: &Place) -> Served {
    Served::start(place, &["--listen", "127.0.0.1:0"])
}

fn post(served: &Served, token: &str, more: &str, message: &Value) -> Answer {
    let accept = "accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n";
    served.ask("POST", "/mcp", &format!("authorization: Bearer {token}\r\n{accept}{more}"), &message.to_string())
}

/// The last message of an answer, which may be a stream in chunks.
fn message(answer: &Answer) -> Value {
    let lines = answer.body.lines().filter_map(|line| line.strip_prefix("data: "));
    let messages: Vec<Value> = lines.filter_map(|line| serde_json::from_str(line).ok()).collect();
    messages
        .last()
        .cloned()
        .unwrap_or_else(|| serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{}", answer.body)))
}

/// A session of this caller: its header, and what the server says of itself.
fn session(served: &Served, token: &str) -> (String, Value) {
    let client = json!({"name": "test", "version": "0.1"});
    let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    let answer = post(served, token, "", &hello);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let head = answer.head.to_lowercase();
    let id = head.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).expect("a session");
    let header = format!("mcp-session-id: {id}\r\n");
    let begun = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(post(served, token, &header, &begun).status, 202);
    (header, message(&answer)["result"].clone())
}

fn call(served: &Served, token: &str, tool: &str, arguments: Value) -> Value {
    let (header, _) = session(served, token);
    let params = json!({"name": tool, "arguments": arguments});
    let asked = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params});
    message(&post(served, token, &header, &asked))["result"].clone()
}

#[test]
fn the_endpoint_is_a_part_of_the_server() {
    let place = Place::new();
    let served = start(&place);
    let (_, told) = session(&served, "t-ops");
    assert_eq!(
        (&told["serverInfo"]["name"], &told["serverInfo"]["version"]),
        (&json!("counterpoint"), &json!(env!("CARGO_PKG_VERSION")))
    );
    // What a tool does is what the API shows, and the other way round.
    let task = call(&served, "t-ops", "distribute_task", json!({"key": "a", "kind": "read", "payload": 1}));
    let id = task["structuredContent"]["task"].as_str().unwrap().to_owned();
    assert_eq!(served.get(&format!("/v1/tasks/{id}"))["state"], "queued");
    assert_eq!(served.send("POST", "/v1/tasks", &json!({"id": "17", "kind": "read"})).0, 201);
    assert_eq!(call(&served, "t-ops", "get_status", json!({"task": "17"}))["structuredContent"]["state"], "queued");
    // A key of a caller is the same in both.
    let by_key = served.try_send("POST", "/v1/tasks", "idempotency-key: a\r\n", &json!({"kind": "read", "payload": 1}));
    let (status, body) = by_key.unwrap();
    assert_eq!((status, body["task"].as_str()), (200, Some(id.as_str())), "{body}");
    // A decision, in the roles of the caller.
    let choice = json!([{"name": "v", "decision": {"role": "editor", "options": ["publish", "reject"]}}]);
    let flow = json!({"name": "asks", "tasks": [{"id": "review", "race": choice}]});
    assert_eq!(served.send("POST", "/v1/workflows", &flow).0, 201);
    let run = call(&served, "t-ops", "start_workflow", json!({"key": "r", "workflow": "asks"}));
    let run = run["structuredContent"]["run"].clone();
    let decided = call(&served, "t-ops", "decide_workflow", json!({"run": run, "node": "review", "option": "publish"}));
    assert_eq!(decided["structuredContent"]["accepted"], "done", "{decided}");
    assert_eq!(served.get(&format!("/v1/runs/{}", run.as_str().unwrap()))["phase"], "finished");
    // Operations are recorded as those of the API, and denials are in the trail.
    let denied = call(&served, "t-7", "distribute_task", json!({"key": "b", "kind": "read"}));
    assert_eq!(denied["structuredContent"]["code"], "denied", "{denied}");
    let trail = served.ask("GET", "/v1/trail", "authorization: Bearer t-ops\r\n", "").body;
    assert!(trail.contains("worker 7"), "{trail}");
    served.running.signal("TERM");
    served.running.end().with(0);
    let recorded = place.read("data/audit.jsonl");
    for part in [r#""action":"decide""#, r#""action":"start""#, r#""outcome":"denied""#] {
        assert!(recorded.contains(part), "no {part} in {recorded}");
    }
}

#[test]
fn requests_without_a_token_and_of_other_sites_are_refused() {
    let place = Place::new();
    place.write("settings.toml", "requests_per_second = 5\nrequest_burst = 30\n");
    let served = Served::start(&place, &["--listen", "127.0.0.1:0", "--config", "settings.toml"]);
    let ping = json!({"jsonrpc": "2.0", "id": 9, "method": "ping"});
    assert_eq!(served.ask("POST", "/mcp", "", &ping.to_string()).status, 401);
    assert_eq!(post(&served, "guess", "", &ping).status, 401);
    let foreign = post(&served, "t-ops", "origin: https://evil.example\r\n", &ping);
    assert_eq!(foreign.status, 403, "{}", foreign.body);
    // The rate is that of the caller, whichever way it comes.
    let statuses: Vec<u16> = (0..60).map(|_| post(&served, "t-sub", "", &json!("no message")).status).collect();
    assert!(statuses.contains(&400) && statuses.contains(&429), "{statuses:?}");
    assert_eq!(served.ask("GET", "/v1/tasks/1", "authorization: Bearer t-sub\r\n", "").status, 429);
    // Other paths are those of the API and the pages.
    assert_eq!(served.ask("GET", "/nothing", "", "").status, 404);
}

/// A workflow file of this program whose agent is a tool of the server.
#[test]
fn a_workflow_file_uses_the_tools_of_the_server() {
    let place = Place::new();
    let served = start(&place);
    let flow = format!(
        "name: delegate\ntasks:\n  - {{id: submit}}\noutputs: \"${{submit.output}}\"\nagents:\n  other:\n    mcp: {{url: \"http://{}/mcp\", headers: {{authorization: \"Bearer ${{env.OTHER}}\"}}}}\n    performs:\n      submit: {{mcp: {{tool: distribute_task, arguments: {{key: \"${{key}}\", kind: read, payload: 7}}}}}}\n",
        served.address
    );
    place.write("flow.yaml", &flow);
    let output = place.command(["run", "flow.yaml", "--json"]).env("OTHER", "t-ops").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let submitted: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let id = submitted["output"]["task"].as_str().unwrap_or_else(|| panic!("{submitted}"));
    assert_eq!(served.get(&format!("/v1/tasks/{id}"))["state"], "queued");
}

/// The Python in which the tests of counterpoint-mcp have installed the SDK, if they have.
fn python() -> Option<PathBuf> {
    if let Some(told) = std::env::var_os("MCP_PYTHON") {
        return Some(told.into());
    }
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mcp-python/bin/python");
    python.exists().then_some(python)
}

const SCRIPT: &str = "
import asyncio, sys, httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

async def main(url):
    async with httpx2.AsyncClient(headers={'authorization': 'Bearer t-ops'}) as http:
        async with Client(streamable_http_client(url, http_client=http)) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            assert {'distribute_task', 'decide_workflow', 'get_status'} <= names, names
            result = await client.call_tool('distribute_task', {'key': 'p', 'kind': 'read', 'payload': 3})
            assert not result.is_error, result
            again = await client.call_tool('get_status', {'task': result.structured_content['task']})
            assert again.structured_content['state'] == 'queued', again
    print('all as it should be')

asyncio.run(main(sys.argv[1]))
";

#[test]
fn the_python_sdk_gets_on_with_it() {
    let Some(python) = python() else {
        println!("skipped: the SDK is not installed (the tests of counterpoint-mcp do that)");
        return;
    };
    let place = Place::new();
    let served = start(&place);
    let output =
        Command::new(python).args(["-c", SCRIPT]).arg(format!("http://{}/mcp", served.address)).output().unwrap();
    let (said, erred) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("all as it should be"), "{said}\n{erred}");
}
