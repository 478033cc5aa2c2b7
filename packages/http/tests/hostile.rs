//! Clients that send nothing, too much, too slowly, or what they may not.

mod common;

use common::{Answer, Server};
use serde_json::{Value, json};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// A connection that is given up after half a minute without an answer.
fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// All that the server sends until it closes the connection.
fn rest(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("the server closes the connection");
    Answer::of(&String::from_utf8(bytes).unwrap())
}

/// Sends bytes on a connection of their own, and reads until the server closes it.
fn send(server: &Server, bytes: &[u8]) -> Answer {
    let mut stream = connect(server);
    stream.write_all(bytes).unwrap();
    rest(stream)
}

fn figure(server: &Server, name: &str) -> u64 {
    let page = server.get("auditor", "/metrics").body;
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("counterpoint_http_{name} ")));
    line.unwrap_or_else(|| panic!("{name} is not in {page}")).parse().unwrap()
}

fn is_problem(answer: &Answer, status: u16, code: &str) {
    answer.is(status, code);
    let headers = answer.headers.to_lowercase();
    assert!(headers.contains("content-type: application/problem+json"), "{answer:?}");
    let body = answer.json();
    assert_eq!(body["status"].as_u64(), Some(u64::from(status)), "{answer:?}");
    assert!(body["title"].is_string() && body["detail"].is_string(), "{answer:?}");
}

#[test]
fn more_idle_connections_than_descriptors_do_not_end_the_server() {
    let server = Server::with("descriptors", &[], Some(256));
    let idle: Vec<_> = (0..276).map(|_| connect(&server)).collect();
    for number in 1..=20 {
        let task = json!({"id": number.to_string(), "kind": "square"});
        let answer = server.post("client", "/v1/tasks", &task);
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    assert_eq!(server.get("operator", "/health").json()["status"], "ok");
    assert!(figure(&server, "connections") <= 128);
    assert!(figure(&server, "connections_evicted_total") >= 276 - 128);
    drop(idle);
}

#[test]
fn connections_with_requests_stay_and_one_more_is_answered() {
    let server = Server::with("full", &["--connections", "4"], None);
    assert_eq!(server.post("client", "/v1/tasks", &json!({"id": "1", "kind": "square"})).status, 201);
    let held = || {
        let mut stream = connect(&server);
        let wait = "GET /v1/tasks/1?wait=60 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer client\r\n\r\n";
        stream.write_all(wait.as_bytes()).unwrap();
        stream
    };
    // A connection whose request had not been read yet may make room for that of a question.
    let is_closed = |stream: &TcpStream| {
        stream.set_nonblocking(true).unwrap();
        let closed = !matches!(stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
        stream.set_nonblocking(false).unwrap();
        closed
    };
    let (mut streams, mut refused): (Vec<_>, _) = ((0..4).map(|_| held()).collect(), None);
    for _ in 0..100 {
        std::thread::sleep(Duration::from_millis(50));
        let answer = server.get("client", "/v1/tasks/1");
        if answer.status == 503 {
            refused = Some(answer);
            break;
        }
        for stream in streams.iter_mut().filter(|stream| is_closed(stream)) {
            *stream = held();
        }
    }
    let mut held = streams;
    let refused = refused.expect("four requests are held");
    is_problem(&refused, 503, "busy");
    assert!(refused.headers.to_lowercase().contains("retry-after: 1"), "{refused:?}");
    // The end of the task ends the requests that wait for it, and leaves nothing.
    drop(held.pop());
    for _ in 0..100 {
        if server.delete("client", "/v1/tasks/1").status == 202 {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    for mut stream in held {
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes).unwrap();
        assert!(String::from_utf8_lossy(&bytes[..read]).contains("cancelled"));
    }
    assert_eq!(figure(&server, "waited_for"), 0);
}

#[test]
fn ids_that_are_asked_for_leave_nothing() {
    let server = Server::start("ids");
    assert_eq!(server.post("client", "/v1/tasks", &json!({"id": "1", "kind": "square"})).status, 201);
    assert_eq!(server.delete("client", "/v1/tasks/1").status, 202);
    let mut requests = String::new();
    for number in 0..2_000 {
        let what = if number % 2 == 0 { "tasks" } else { "runs" };
        let number = if number % 10 == 0 { 1 } else { number + 10 };
        let close = if number == 2_009 { "connection: close\r\n" } else { "" };
        requests += &format!(
            "GET /v1/{what}/{number}?wait=60 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer client\r\n{close}\r\n"
        );
    }
    let mut stream = connect(&server);
    let mut writer = stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || writer.write_all(requests.as_bytes()));
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    writing.join().unwrap().unwrap();
    assert_eq!(answers.matches("HTTP/1.1 404 ").count(), 1_800);
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 200);
    assert_eq!(figure(&server, "waited_for"), 0);
}

#[test]
fn headers_and_bodies_that_drip_are_closed() {
    let server = Server::with("drip", &["--header-seconds", "1", "--body-seconds", "1"], None);
    let head = "POST /v1/tasks HTTP/1.1\r\nhost: x\r\n";
    let headers: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = connect(&server);
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    let bodies: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = connect(&server);
            let rest = "authorization: Bearer client\r\ncontent-length: 1000\r\n\r\n{";
            stream.write_all(format!("{head}{rest}").as_bytes()).unwrap();
            stream
        })
        .collect();
    for stream in headers.into_iter().chain(bodies) {
        is_problem(&rest(stream), 408, "too_slow");
    }
    // The one is that of this request.
    assert_eq!(figure(&server, "connections"), 1);
    assert_eq!(figure(&server, "bodies_total"), 0);
}

#[test]
fn a_body_without_a_token_is_not_read() {
    let server = Server::start("unread");
    for path in ["/v1/workflows", "/v1/tasks", "/v1/runs", "/v1/messages", "/v1/runs/1/signals/go"] {
        // Nothing of the body arrives before the answer.
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 600000\r\n");
        let none = send(&server, format!("{head}\r\n").as_bytes());
        is_problem(&none, 401, "unauthenticated");
        assert!(none.headers.to_lowercase().contains("www-authenticate: bearer"), "{none:?}");
        let wrong = send(&server, format!("{head}authorization: Bearer guess\r\n\r\n").as_bytes());
        is_problem(&wrong, 401, "unauthenticated");
    }
    let large = server.folder.join("large.json");
    std::fs::write(&large, "[".repeat(600_000)).unwrap();
    is_problem(
        &server.curl(&["--data-binary", &format!("@{}", large.display()), "/v1/workflows"]),
        401,
        "unauthenticated",
    );
    assert_eq!((figure(&server, "bodies_total"), figure(&server, "unauthenticated_total")), (0, 11));
    // What strangers send is in no trail, which they could fill.
    assert!(!server.get("auditor", "/v1/trail").body.contains("unauthenticated"));
}

fn with_key(server: &Server, token: &str, key: &str, body: &Value) -> Answer {
    let (token, key) = (format!("Authorization: Bearer {token}"), format!("Idempotency-Key: {key}"));
    server.curl(&["-H", &token, "-H", &key, "-d", &body.to_string(), "/v1/tasks"])
}

#[test]
fn a_key_belongs_to_its_caller_and_tenant() {
    let server = Server::start("keys");
    let of = |tenant: &str, number: u64| json!({"kind": "square", "tenant": tenant, "payload": {"number": number}});
    let north = with_key(&server, "north", "order-1", &of("north", 1));
    let south = with_key(&server, "south", "order-1", &of("south", 2));
    let ada = with_key(&server, "client", "order-1", &of("north", 3));
    assert_eq!((north.status, south.status, ada.status), (201, 201, 201), "{north:?} {south:?} {ada:?}");
    let id = |answer: &Answer| answer.json()["task"].as_str().unwrap().to_owned();
    assert!(id(&north) != id(&south) && id(&north) != id(&ada));
    let again = with_key(&server, "north", "order-1", &of("north", 1));
    assert_eq!((again.status, id(&again)), (200, id(&north)));
    with_key(&server, "north", "order-1", &of("north", 4)).is(409, "task_conflict");
    // The same caller in two tenants has two keys.
    assert_eq!(with_key(&server, "client", "order-1", &of("south", 3)).status, 201);
    // A run has keys of its own.
    let header = ["-H", "Authorization: Bearer client", "-H", "Idempotency-Key: order-1"];
    let body = json!({"workflow": "none", "tenant": "north"}).to_string();
    server.curl(&[&header[..], &["-d", &body, "/v1/runs"]].concat()).is(404, "unknown_workflow");
}

/// Whatever has the id of a key without being that of the key is no repeat of it, however equal the rest is.
#[test]
fn a_key_that_collides_with_other_work_is_refused() {
    use counterpoint_serving::{Key, Scope};
    let server = Server::start("collisions");
    let key: Key = "order-7".parse().unwrap();
    let id_of = |kind| key.id_in(Scope { kind, tenant: None, caller: "ada" }).to_string();
    let header = ["-H", "Authorization: Bearer client"];
    let post = |path: &str, body: &Value| server.curl(&[&header[..], &["-d", &body.to_string(), path]].concat());
    let mut task = json!({"kind": "square", "payload": 3});
    task["id"] = id_of("task").into();
    assert_eq!(post("/v1/tasks", &task).status, 201);
    task.as_object_mut().unwrap().remove("id");
    with_key(&server, "client", "order-7", &task).is(409, "task_conflict");
    assert_eq!(with_key(&server, "client", "order-8", &task).status, 201);
    assert_eq!(with_key(&server, "client", "order-8", &task).status, 200, "a repeat");
}

#[test]
fn a_key_that_is_none_is_rejected() {
    let server = Server::start("bad-keys");
    let body = json!({"kind": "square"});
    let long = "x".repeat(256);
    for wrong in [long.as_str(), "schlüssel", "ключ"] {
        is_problem(&with_key(&server, "client", wrong, &body), 400, "bad_key");
    }
    assert_eq!(with_key(&server, "client", &long[..255], &body).status, 201);
    let header = ["-H", "Authorization: Bearer client"];
    let curl = |more: &[&str]| server.curl(&[&header[..], more].concat());
    is_problem(&curl(&["-H", "Idempotency-Key;", "-d", &body.to_string(), "/v1/tasks"]), 400, "bad_key");
    let twice = ["-H", "Idempotency-Key: a", "-H", "Idempotency-Key: b", "-d", "{}", "/v1/tasks"];
    is_problem(&curl(&twice), 400, "bad_key");
    let unused = ["-H", "Idempotency-Key: a", "-d", "1", "/v1/runs/1/signals/go"];
    is_problem(&curl(&unused), 400, "key_unused");
}

#[test]
fn every_refusal_is_a_problem() {
    let server = Server::start("problems");
    assert_eq!(server.post("client", "/v1/tasks", &json!({"id": "5", "kind": "square"})).status, 201);
    for id in ["+5", "%2B5", "05", "-5", "5.0", "%205", "0x5", "99999999999999999999"] {
        is_problem(&server.get("client", &format!("/v1/tasks/{id}")), 400, "bad_id");
        is_problem(&server.delete("client", &format!("/v1/tasks/{id}")), 400, "bad_id");
        is_problem(&server.get("client", &format!("/v1/runs/{id}")), 400, "bad_id");
        is_problem(&server.delete("operator", &format!("/v1/agents/{id}")), 400, "bad_id");
        is_problem(&server.get("operator", &format!("/v1/events?after={id}")), 400, "bad_id");
    }
    is_problem(&server.post("client", "/v1/tasks", &json!({"id": "+6", "kind": "square"})), 422, "shape");
    is_problem(&server.post("client", "/v1/runs", &json!({"id": "+6", "workflow": "w"})), 400, "bad_id");
    let get = |path: &str| server.get("client", path);
    is_problem(&get("/v1/tasks/%ff"), 400, "bad_path");
    is_problem(&get("/v1/tasks/5?wiat=20"), 400, "unknown_parameter");
    is_problem(&get("/v1/tasks/5?wait=1&wait=2"), 400, "repeated_parameter");
    for wait in ["+1", "1e1", "-1", "inf", "NaN", "1.", ".5", "", "3601"] {
        is_problem(&get(&format!("/v1/tasks/5?wait={wait}")), 422, "wait");
    }
    is_problem(&server.delete("operator", "/v1/agents/1?drain=yes"), 422, "drain");
    is_problem(&get("/v1/nothing"), 404, "no_such_path");
    is_problem(&server.delete("client", "/v1/workflows"), 405, "no_such_method");
    is_problem(&get("/v1/tasks/6"), 404, "unknown_task");
    is_problem(&get("/v1/agents"), 403, "denied");
    // A body that is too large is refused by its length, or where it becomes too large.
    let head = "POST /v1/tasks HTTP/1.1\r\nhost: x\r\nauthorization: Bearer client\r\n";
    is_problem(&send(&server, format!("{head}content-length: 3000000\r\n\r\n").as_bytes()), 413, "too_large");
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let chunks = format!("{head}transfer-encoding: chunked\r\n\r\n{}", chunk.repeat(18));
    is_problem(&send(&server, chunks.as_bytes()), 413, "too_large");
    is_problem(&send(&server, b"what is this?\r\n\r\n"), 400, "not_http");
    let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(60_000));
    is_problem(&send(&server, long.as_bytes()), 431, "header_too_large");
    let message = json!({"v": 1, "id": "m", "token": "agent-1", "body": {"query": {"task": "5"}}});
    let answer = server.post("agent-1", "/v1/messages", &message);
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json()[0]["body"]["rejected"]["code"], "token_in_message");
}
