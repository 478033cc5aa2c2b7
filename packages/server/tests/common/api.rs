//! A server that is under way, and requests to it.

use super::{Place, Running};
use serde_json::Value;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// A server with the tokens `t-ops` of an operator and submitter, and `t-sub` of a submitter.
pub(crate) struct Served {
    pub(crate) running: Running,
    pub(crate) address: String,
}

/// An answer to a request.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

pub(crate) const TOKENS: &str = r#"[
    {"token": "t-ops", "name": "grace", "roles": ["operator", "submitter", {"other": "editor"}]},
    {"token": "t-7", "name": "worker 7", "roles": ["agent"], "agents": [7]},
    {"token": "t-sub", "name": "sam", "roles": ["submitter"]}
]"#;

impl Served {
    /// Starts `serve` with these words.
    pub(crate) fn start(place: &Place, words: &[&str]) -> Self {
        Self::over(place, "data", words)
    }

    /// The same with another folder.
    pub(crate) fn over(place: &Place, data: &str, words: &[&str]) -> Self {
        place.write("tokens.json", TOKENS);
        let own = ["serve", "--data", data, "--tokens", "tokens.json"];
        let mut running = place.start(own.iter().chain(words));
        let line = running.first_line();
        let address = line.trim().split_once("://").unwrap_or_else(|| panic!("{line}")).1.to_owned();
        Self { running, address }
    }

    /// The status and the body of an answer as JSON, if there is one.
    pub(crate) fn try_send(&self, method: &str, path: &str, more: &str, body: &Value) -> io::Result<(u16, Value)> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer t-ops\r\nconnection: close\r\n{more}content-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes())?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_default();
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        assert!(!chunked, "answers of the API have a length");
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if length.is_some_and(|length: usize| body.len() < length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok((status, serde_json::from_str(body).unwrap_or_default()))
    }

    /// The answer to a request with these headers alone.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_default();
        Answer { status, head: format!("{head}\r\n"), body: body.to_owned() }
    }

    #[track_caller]
    pub(crate) fn send(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.try_send(method, path, "", body).unwrap()
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, body) = self.send("GET", path, &Value::Null);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }
}
