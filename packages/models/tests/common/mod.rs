//! A stand-in for an endpoint.

#![allow(dead_code, reason = "each test uses a part")]

use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the stand-in does with a request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Answers.
    Answer { status: u16, kind: &'static str, headers: Vec<(String, String)>, body: String },
    /// Closes the connection.
    Drop,
    /// Answers nothing.
    Silence,
    /// Begins a stream, and goes on with nothing.
    Stuck(String),
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::Answer { status, kind: "application/json", headers: Vec::new(), body: body.to_string() }
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self::Answer { status, kind: "text/plain", headers: Vec::new(), body: body.to_owned() }
    }

    pub(crate) fn stream(body: &str) -> Self {
        Self::Answer { status: 200, kind: "text/event-stream", headers: Vec::new(), body: body.to_owned() }
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        let Self::Answer { status, kind, mut headers, body } = self else { return self };
        headers.push((name.to_owned(), value.to_owned()));
        Self::Answer { status, kind, headers, body }
    }
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) body: Value,
}

/// A server that gives each request the next reply, and the last one again.
pub(crate) struct Standin {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Standin {
    pub(crate) async fn new(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, replies.clone(), Arc::clone(&list)));
            }
        });
        Self { port, seen }
    }

    pub(crate) fn base(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(stream: TcpStream, replies: Vec<Reply>, seen: Arc<Mutex<Vec<Seen>>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await {
        let index = {
            let mut seen = seen.lock().unwrap();
            seen.push(request);
            seen.len() - 1
        };
        match replies.get(index).or(replies.last()).cloned().unwrap_or(Reply::Drop) {
            Reply::Drop => return,
            Reply::Silence => std::future::pending().await,
            Reply::Stuck(text) => {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
                stream.write_all(format!("{head}{text}").as_bytes()).await.unwrap();
                std::future::pending().await
            }
            Reply::Answer { status, kind, headers, body } => {
                let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                let length = body.len();
                let head =
                    format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n{headers}\r\n");
                // A client that has read enough closes the connection.
                let _ = stream.write_all((head + &body).as_bytes()).await;
            }
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Seen> {
    let (mut path, mut length, mut authorization, mut key) = (String::new(), 0, None, None);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok()?,
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => authorization = Some(value.to_owned()),
            Some((name, value)) if name.eq_ignore_ascii_case("x-api-key") => key = Some(value.to_owned()),
            Some(_) => {}
            None => line.split(' ').nth(1)?.clone_into(&mut path),
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Seen { path, authorization, key, body: serde_json::from_slice(&body).unwrap() })
}

fn events(list: &[Value]) -> String {
    list.iter().map(|event| format!("data: {event}\n\n")).collect()
}

/// A streamed answer of OpenAI's API, with the tokens of the request and of the answer.
pub(crate) fn openai_stream(parts: &[&str], (input, output): (u64, u64)) -> Reply {
    let mut list: Vec<Value> = parts
        .iter()
        .map(|part| json!({"choices": [{"index": 0, "delta": {"content": part}, "finish_reason": null}]}))
        .collect();
    list.push(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}));
    list.push(json!({"choices": [], "usage": {"prompt_tokens": input, "completion_tokens": output}}));
    Reply::stream(&(events(&list) + "data: [DONE]\n\n"))
}

/// A streamed answer with another reason for its end, without usage.
pub(crate) fn openai_ended(parts: &[&str], reason: &str) -> Reply {
    let mut list: Vec<Value> = parts.iter().map(|part| json!({"choices": [{"delta": {"content": part}}]})).collect();
    list.push(json!({"choices": [{"delta": {}, "finish_reason": reason}]}));
    Reply::stream(&(events(&list) + "data: [DONE]\n\n"))
}

/// A streamed answer that calls tools: identity, name and arguments, which arrive in two parts.
pub(crate) fn openai_calls(calls: &[(&str, &str, &str)], (input, output): (u64, u64)) -> Reply {
    let mut list = Vec::new();
    for (index, (id, name, arguments)) in calls.iter().enumerate() {
        let (one, other) = arguments.split_at(arguments.len() / 2);
        let first = json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": one}});
        let second = json!({"index": index, "function": {"arguments": other}});
        list.extend([first, second].map(|call| json!({"choices": [{"delta": {"tool_calls": [call]}}]})));
    }
    list.push(json!({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}));
    list.push(json!({"choices": [], "usage": {"prompt_tokens": input, "completion_tokens": output}}));
    Reply::stream(&(events(&list) + "data: [DONE]\n\n"))
}

/// A streamed answer of Anthropic's API.
pub(crate) fn anthropic_stream(parts: &[&str], usage: (u64, u64)) -> Reply {
    let mut list =
        vec![json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})];
    list.extend(
        parts.iter().map(
            |part| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": part}}),
        ),
    );
    anthropic(list, "end_turn", usage)
}

/// A streamed answer of Anthropic's API that calls a tool.
pub(crate) fn anthropic_call(id: &str, name: &str, arguments: &str, usage: (u64, u64)) -> Reply {
    let (one, other) = arguments.split_at(arguments.len() / 2);
    let mut list = vec![
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": id, "name": name, "input": {}}}),
    ];
    list.extend([one, other].map(
        |part| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": part}}),
    ));
    anthropic(list, "tool_use", usage)
}

fn anthropic(blocks: Vec<Value>, reason: &str, (input, output): (u64, u64)) -> Reply {
    let mut list =
        vec![json!({"type": "message_start", "message": {"usage": {"input_tokens": input, "output_tokens": 1}}})];
    list.push(json!({"type": "ping"}));
    list.extend(blocks);
    list.push(json!({"type": "content_block_stop", "index": 0}));
    list.push(json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": output}}));
    list.push(json!({"type": "message_stop"}));
    let text =
        list.iter().map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default()));
    Reply::stream(&text.collect::<String>())
}
