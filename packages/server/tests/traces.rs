//! Spans that `serve` and `run` send to a collector of OpenTelemetry: a stand-in on the loopback interface.

mod common;

use common::api::Served;
use common::endpoint::{Endpoint, answer};
use common::{Place, until};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::time::{Duration, Instant};

const FLOW: &str = r#"
name: load
tasks:
  - {id: fetch}
  - {id: store, depends_on: fetch, retry: 1}
agents:
  shell:
    performs:
      fetch: {command: ["true"]}
      store: {command: ["false"], exit: {1: {kind: permanent, code: no-room}}}
"#;
const ASKED: &str = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\ntracestate: vendor=1\r\n";

const OTHER: &str = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";

fn accepting() -> Endpoint {
    Endpoint::new(&[&answer("200 OK", "{}")])
}

/// The bodies that a collector got.
fn bodies(collector: &Endpoint) -> Vec<Value> {
    let body = |text: &String| text.rsplit_once("\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
    collector.seen().iter().map(|text| body(text).unwrap_or_else(|| panic!("{text}"))).collect()
}

fn spans(collector: &Endpoint) -> Vec<Value> {
    let of_body = |body: Value| body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone();
    bodies(collector).into_iter().flat_map(of_body).collect()
}

#[track_caller]
fn named<'a>(spans: &'a [Value], name: &str) -> &'a Value {
    let mut found = spans.iter().filter(|span| span["name"] == name);
    let span = found.next().unwrap_or_else(|| panic!("no {name} in {spans:#?}"));
    assert!(found.next().is_none(), "{name} twice in {spans:#?}");
    span
}

fn attribute<'a>(of: &'a Value, name: &str) -> &'a str {
    let all = of["attributes"].as_array().unwrap();
    let found = all.iter().find(|attribute| attribute["key"] == name);
    found.and_then(|found| found["value"]["stringValue"].as_str()).unwrap_or_default()
}

fn time(span: &Value, which: &str) -> u64 {
    span[which].as_str().unwrap().parse().unwrap()
}

/// A server with FLOW that sends its spans to a port.
fn start(place: &Place, port: u16) -> Served {
    start_with(place, port, &[])
}

fn start_with(place: &Place, port: u16, more: &[&str]) -> Served {
    place.write("flow.yaml", FLOW);
    let url = format!("http://127.0.0.1:{port}");
    let words = [&["--listen", "127.0.0.1:0", "--otlp", &url], more, &["flow.yaml"]].concat();
    Served::start(place, &words)
}

fn ends(served: &Served, run: &str) {
    until("the run ends", || served.get(&format!("/v1/runs/{run}"))["phase"] == "finished");
}

/// The value of a counter at `/metrics`.
fn count(served: &Served, name: &str) -> u64 {
    let page = served.ask("GET", "/metrics", "authorization: Bearer t-ops\r\n", "").body;
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("counterpoint_traces_{name}_total ")));
    line.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
}

#[test]
fn runs_nodes_tasks_and_attempts_are_spans_below_that_of_the_caller() {
    let (place, collector) = (Place::new(), accepting());
    let served = start(&place, collector.port);
    let run = json!({"id": "7", "workflow": "load"});
    assert_eq!(served.try_send("POST", "/v1/runs", ASKED, &run).unwrap().0, 201);
    ends(&served, "7");
    // A caller that does not want its trace recorded, and one with a header that is not valid.
    for (id, header) in [("8", ASKED.replace("-01\r", "-00\r")), ("9", "traceparent: nonsense\r\n".to_owned())] {
        let run = json!({"id": id, "workflow": "load"});
        assert_eq!(served.try_send("POST", "/v1/runs", &header, &run).unwrap().0, 201);
        ends(&served, id);
    }
    // A task that no agent performs.
    assert_eq!(served.try_send("POST", "/v1/tasks", OTHER, &json!({"id": "1", "kind": "alone"})).unwrap().0, 201);
    assert_eq!(served.send("DELETE", "/v1/tasks/1", &Value::Null).0, 202);
    until("the spans arrive", || count(&served, "exported") >= 15);
    assert_eq!(count(&served, "dropped"), 0);
    served.running.signal("TERM");
    served.running.end().with(0);
    let resource = bodies(&collector)[0]["resourceSpans"][0]["resource"].clone();
    assert_eq!(attribute(&resource, "service.name"), "counterpoint");
    assert_eq!(attribute(&resource, "service.version"), env!("CARGO_PKG_VERSION"));
    assert!(collector.seen()[0].starts_with("POST /v1/traces HTTP/1.1"), "{}", collector.seen()[0]);

    let mut all = spans(&collector);
    let task = named(&all, "alone").clone();
    assert_eq!((&task["traceId"], &task["parentSpanId"]), (&json!(&OTHER[16..48]), &json!(&OTHER[49..65])));
    assert!(attribute(&task, "counterpoint.outcome").starts_with("cancelled"), "{task}");
    all.retain(|span| *span != task);
    assert_eq!(all.len(), 14, "two runs with two nodes, two tasks and two attempts each: {all:#?}");
    let of_caller = |span: &Value| span["traceId"] == "4bf92f3577b34da6a3ce929d0e0e4736";
    let (joined, own): (Vec<Value>, Vec<Value>) = all.into_iter().partition(of_caller);
    let run = named(&joined, "invoke_workflow load");
    assert_eq!((&run["parentSpanId"], &run["traceState"]), (&json!("00f067aa0ba902b7"), &json!("vendor=1")));
    assert_eq!((attribute(run, "counterpoint.run"), &run["status"]["code"]), ("r7", &json!(2)));
    assert_eq!(attribute(run, "error.type"), "no-room");
    let (nodes, tasks): (Vec<Value>, Vec<Value>) =
        joined.iter().cloned().partition(|span| !attribute(span, "counterpoint.node").is_empty());
    let (attempts, tasks): (Vec<Value>, Vec<Value>) =
        tasks.into_iter().partition(|span| span["name"] == "invoke_agent shell");
    for (name, is_error) in [("fetch", false), ("store", true)] {
        let (node, task) = (named(&nodes, name), named(&tasks, name));
        let attempt = attempts.iter().find(|attempt| attempt["parentSpanId"] == task["spanId"]).unwrap();
        assert_eq!((&node["parentSpanId"], &task["parentSpanId"]), (&run["spanId"], &node["spanId"]));
        for span in [node, task, attempt] {
            assert_eq!(span["status"]["code"] == 2, is_error, "{span}");
            assert_eq!(span["kind"], 1);
            assert!(time(span, "startTimeUnixNano") <= time(span, "endTimeUnixNano"), "{span}");
            assert!(time(run, "startTimeUnixNano") <= time(span, "startTimeUnixNano"), "{span}");
        }
        assert_eq!(attribute(attempt, "error.type"), if is_error { "no-room" } else { "" });
    }
    let run = named(&own, "invoke_workflow load");
    assert!(run["parentSpanId"].is_null() && own.iter().all(|span| span["traceId"] == run["traceId"]), "{own:#?}");
    let mut ids: Vec<&str> = joined.iter().chain(&own).map(|span| span["spanId"].as_str().unwrap()).collect();
    assert!(ids.iter().all(|id| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 14);
}

#[test]
fn a_server_that_goes_on_after_a_kill_ends_the_spans_of_the_earlier_one() {
    let (place, collector) = (Place::new(), accepting());
    let mut served = start(&place, collector.port);
    let flow = json!({"name": "waits", "tasks": [
        {"id": "first", "wait": {"signal": "one"}}, {"id": "then", "depends_on": "first", "wait": {"signal": "two"}}]});
    assert_eq!(served.send("POST", "/v1/workflows", &flow).0, 201);
    let run = json!({"id": "7", "workflow": "waits"});
    assert_eq!(served.try_send("POST", "/v1/runs", ASKED, &run).unwrap().0, 201);
    let go = |served: &Served, signal: &str| {
        let (status, body) = served.send("POST", &format!("/v1/runs/7/signals/{signal}"), &json!(1));
        assert!((200..300).contains(&status), "{body}");
    };
    go(&served, "one");
    served.running.kill();
    served = start(&place, collector.port);
    // Reads are no entries, and what ended before is not sent again.
    go(&served, "two");
    ends(&served, "7");
    served.running.signal("TERM");
    served.running.end().with(0);
    let all = spans(&collector);
    let run = named(&all, "invoke_workflow waits");
    assert_eq!(
        (&run["traceId"], &run["parentSpanId"]),
        (&json!("4bf92f3577b34da6a3ce929d0e0e4736"), &json!("00f067aa0ba902b7"))
    );
    assert!(run["status"]["code"].is_null(), "{run}");
    for span in all.iter().filter(|span| span["name"] == "first" || span["name"] == "then") {
        assert_eq!(span["parentSpanId"], run["spanId"]);
    }
}

/// The entries with which the run began are no longer retained.
#[test]
fn a_server_that_starts_from_a_snapshot_ends_the_spans_of_runs_before_it() {
    let (place, collector) = (Place::new(), accepting());
    place.write("settings.toml", "snapshot_events = 40\nhistory_events = 5\n");
    let mut served = start_with(&place, collector.port, &["--config", "settings.toml"]);
    let flow = json!({"name": "waits", "tasks": [{"id": "first", "wait": {"signal": "one"}}]});
    assert_eq!(served.send("POST", "/v1/workflows", &flow).0, 201);
    assert_eq!(served.try_send("POST", "/v1/runs", ASKED, &json!({"id": "7", "workflow": "waits"})).unwrap().0, 201);
    let is_snapshot = |file: std::fs::DirEntry| file.path().extension().is_some_and(|end| end == "snapshot");
    let journal = place.path("data/journal");
    let mut next = 1..;
    until("a snapshot is stored", || {
        let id = next.next().unwrap().to_string();
        assert_eq!(served.send("POST", "/v1/tasks", &json!({"id": id, "kind": "alone"})).0, 201);
        assert_eq!(served.send("DELETE", &format!("/v1/tasks/{id}"), &Value::Null).0, 202);
        std::fs::read_dir(&journal).unwrap().any(|file| is_snapshot(file.unwrap()))
    });
    served.running.kill();
    served = start_with(&place, collector.port, &["--config", "settings.toml"]);
    assert_eq!(served.send("POST", "/v1/runs/7/signals/one", &json!(1)).0, 202);
    ends(&served, "7");
    served.running.signal("TERM");
    served.running.end().with(0);
    let all = spans(&collector);
    let (run, node) = (named(&all, "invoke_workflow waits"), named(&all, "first"));
    let caller = (&json!("4bf92f3577b34da6a3ce929d0e0e4736"), &json!("00f067aa0ba902b7"));
    assert_eq!((&run["traceId"], &run["parentSpanId"]), caller);
    assert_eq!(node["parentSpanId"], run["spanId"]);
    assert!(time(run, "startTimeUnixNano") < time(run, "endTimeUnixNano"), "{run}");
}

#[test]
fn a_batch_is_sent_again_when_the_collector_asks_for_it_and_dropped_when_it_refuses() {
    let later = "HTTP/1.1 503 Busy\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let partly = answer("200 OK", r#"{"partialSuccess": {"rejectedSpans": "3", "errorMessage": "no"}}"#);
    let collector =
        Endpoint::new(&[later, &partly.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"), &answer("400 Bad", "")]);
    let place = Place::new();
    let served = start(&place, collector.port);
    let begin = |id: &str| {
        assert_eq!(served.send("POST", "/v1/runs", &json!({"id": id, "workflow": "load"})).0, 201);
        ends(&served, id);
    };
    begin("7");
    until("the second request is partly accepted", || count(&served, "dropped") == 3);
    assert_eq!(count(&served, "exported"), 4);
    let seen = bodies(&collector);
    assert_eq!((seen.len(), &seen[0]), (2, &seen[1]), "the same batch");
    begin("8");
    until("the next one is refused", || count(&served, "dropped") == 10);
    served.running.signal("TERM");
    served.running.end().with(0).says("status 400");
}

#[test]
fn a_collector_that_is_away_or_slow_changes_nothing() {
    let away = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let slow = Endpoint::new(&["hang"]);
    for port in [away, slow.port] {
        let place = Place::new();
        let served = start(&place, port);
        for run in 1..=20 {
            let id = run.to_string();
            assert_eq!(served.send("POST", "/v1/runs", &json!({"id": id, "workflow": "load"})).0, 201);
            ends(&served, &id);
        }
        assert_eq!(served.ask("GET", "/ready", "", "").status, 200);
        assert_eq!(count(&served, "exported"), 0);
        let asked = Instant::now();
        served.running.signal("TERM");
        let ended = served.running.end().with(0);
        assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
        ended.says("140 spans did not reach the collector");
    }
    assert!(!slow.seen().is_empty());
}

#[test]
fn a_run_is_sent_by_the_variables_of_opentelemetry() {
    let (place, collector) = (Place::with(&FLOW.replace("[\"false\"]", "[\"true\"]")), accepting());
    let mut command = place.command(["run", "flow.yaml"]);
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{}/", collector.port))
        .env("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20secret")
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.name=ignored")
        .env("OTEL_SERVICE_NAME", "nightly");
    let ended = command.output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let all = spans(&collector);
    let run = named(&all, "invoke_workflow load");
    assert_eq!(
        (all.len(), attribute(run, "counterpoint.outcome"), attribute(run, "counterpoint.run.key")),
        (7, "succeeded", "load-1")
    );
    let resource = bodies(&collector)[0]["resourceSpans"][0]["resource"].clone();
    assert_eq!(attribute(&resource, "service.name"), "nightly");
    assert_eq!(attribute(&resource, "deployment.environment.name"), "test");
    assert!(collector.seen()[0].to_lowercase().contains("\r\napi-key: a secret\r\n"), "{}", collector.seen()[0]);
    // Switched off.
    let mut command = place.command(["run", "flow.yaml", "--new"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{}", collector.port));
    let ended = command.env("OTEL_TRACES_EXPORTER", "none").output().unwrap();
    assert!(ended.status.success() && spans(&collector).len() == 7);
}

#[test]
fn a_mistake_in_the_setting_is_given_without_secrets() {
    let place = Place::with(FLOW);
    place.run(["run", "flow.yaml", "--otlp", "ftp://u:secret@x"]).with(2).says("`--otlp` does not begin with");
    let ended = place.run(["serve", "--otlp", "nonsense", "--listen", "127.0.0.1:0"]).with(2);
    ended.says("`--otlp`");
    let mut command = place.command(["run", "flow.yaml", "--otlp", "http://127.0.0.1:9"]);
    let ended = command.env("OTEL_EXPORTER_OTLP_HEADERS", "bad name=secret").output().unwrap();
    let text = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.code() == Some(2) && !text.contains("secret"), "{text}");
}
