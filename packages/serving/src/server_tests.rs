//! The server over streams in memory, with a clock that the runtime advances.

use super::*;
use axum::body::Bytes;
use axum::routing::{get, post};
use std::future::pending;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::mpsc;

/// Connections of a test, and errors of the operating system.
struct Given(mpsc::UnboundedReceiver<io::Result<DuplexStream>>);

impl Listen for Given {
    type Stream = DuplexStream;

    async fn next(&mut self) -> io::Result<DuplexStream> {
        match self.0.recv().await {
            Some(next) => next,
            None => pending().await,
        }
    }
}

/// A server, and the side of its clients.
struct Clients {
    server: Server,
    connections: mpsc::UnboundedSender<io::Result<DuplexStream>>,
}

impl Clients {
    fn of(limits: Limits) -> Self {
        let (connections, given) = mpsc::unbounded_channel();
        let server = Server::new(limits);
        let router = Router::new()
            .route("/", get(|| async { "hello" }).post(|body: Bytes| async move { body.len().to_string() }))
            .route("/held", get(pending::<()>))
            .route("/large", get(|| async { vec![b'x'; 1 << 20] }))
            .route("/refused", post(|| async { crate::Problem::malformed("no", "no") }));
        let serving = server.clone();
        tokio::spawn(async move { serving.serve_all(Given(given), router).await });
        Self { server, connections }
    }

    fn connect(&self) -> DuplexStream {
        let (ours, theirs) = duplex(64 << 10);
        self.connections.send(Ok(theirs)).unwrap();
        ours
    }
}

async fn send(stream: &mut DuplexStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// All that arrives until the server closes.
async fn rest(mut stream: DuplexStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

/// The answer to one request on a connection of its own.
async fn ask(clients: &Clients, request: &str) -> String {
    let mut stream = clients.connect();
    send(&mut stream, request).await;
    rest(stream).await
}

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

fn few(connections: usize) -> Limits {
    Limits { connections, ..Limits::default() }
}

#[tokio::test(start_paused = true)]
async fn connections_that_send_nothing_make_room_and_those_with_requests_stay() {
    let clients = Clients::of(few(8));
    let idle: Vec<_> = (0..1_000).map(|_| clients.connect()).collect();
    assert!(ask(&clients, GET).await.ends_with("hello"));
    let figures = clients.server.figures();
    assert!(figures.open <= 8 && figures.evicted >= 992, "{figures:?}");
    // Eight requests under way: the next connection is answered, and closed.
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut stream = clients.connect();
        send(&mut stream, "GET /held HTTP/1.1\r\nhost: x\r\n\r\n").await;
        sleep(Duration::from_millis(1)).await;
        held.push(stream);
    }
    let refused = ask(&clients, GET).await;
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("application/problem+json"), "{refused}");
    assert!(refused.contains("retry-after: 1\r\n") && refused.contains(r#""code":"busy""#), "{refused}");
    assert_eq!((clients.server.figures().open, clients.server.figures().refused), (8, 1));
    held.pop();
    sleep(Duration::from_secs(2)).await;
    assert!(ask(&clients, GET).await.ends_with("hello"));
    drop(idle);
}

#[tokio::test(start_paused = true)]
async fn a_dripping_header_ends_after_its_time() {
    let clients = Clients::of(few(2_000));
    let mut dripping: Vec<_> = (0..1_000).map(|_| clients.connect()).collect();
    let silent = clients.connect();
    for _ in 0..20 {
        for stream in &mut dripping {
            // Closed by the server at some time.
            let _ = stream.write_all(b"x").await;
        }
        sleep(Duration::from_secs(1)).await;
    }
    let figures = clients.server.figures();
    assert_eq!((figures.open, figures.silent, figures.evicted), (0, 1_001, 0), "{figures:?}");
    let answer = rest(dripping.pop().unwrap()).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains(r#""code":"too_slow""#), "{answer}");
    assert_eq!(rest(silent).await, "");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_left() {
    let clients = Clients::of(few(4));
    let mut stream = clients.connect();
    send(&mut stream, "GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await;
    sleep(Duration::from_secs(29)).await;
    assert_eq!(clients.server.figures().open, 1);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(clients.server.figures().open, 0);
}

#[tokio::test(start_paused = true)]
async fn lack_of_descriptors_is_survived() {
    let clients = Clients::of(few(8));
    let idle = clients.connect();
    for _ in 0..5 {
        // EMFILE.
        clients.connections.send(Err(io::Error::from_raw_os_error(24))).unwrap();
    }
    assert!(ask(&clients, GET).await.ends_with("hello"));
    sleep(Duration::from_millis(1)).await;
    let figures = clients.server.figures();
    assert_eq!((figures.exhausted, figures.evicted, figures.open), (5, 1, 0), "{figures:?}");
    drop(idle);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_http_is_answered_by_a_problem() {
    let clients = Clients::of(few(8));
    let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(40 << 10));
    for (request, status, code) in [("hello?\r\n\r\n", 400, "not_http"), (long.as_str(), 431, "header_too_large")] {
        let answer = ask(&clients, request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("content-type: application/problem+json"), "{answer}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!((body["status"].as_u64(), body["code"].as_str()), (Some(status), Some(code)));
    }
}

/// The answer arrives although the client has sent more than the server read.
#[tokio::test(start_paused = true)]
async fn an_answer_before_the_end_of_the_body_is_received() {
    let clients = Clients::of(few(8));
    let mut stream = clients.connect();
    send(&mut stream, "POST /refused HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n").await;
    send(&mut stream, &"x".repeat(200_000)).await;
    let answer = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains(r#""code":"no""#), "{answer}");
}
