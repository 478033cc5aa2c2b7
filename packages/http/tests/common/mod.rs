//! A server as a process of its own, and `curl` to ask it.

#![allow(dead_code, reason = "each test uses a part of it")]

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server, its folder and its address, which stay when it is killed and started again.
pub(crate) struct Server {
    pub url: String,
    pub folder: PathBuf,
    listen: String,
    options: Vec<String>,
    /// The limit on descriptors of the process.
    descriptors: Option<u32>,
    child: Option<Child>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: String,
    pub body: String,
}

impl Answer {
    /// Reads an answer with its status line and headers.
    pub(crate) fn of(text: &str) -> Self {
        let (headers, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = headers.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, headers: headers.to_owned(), body: body.to_owned() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts status and code of a refusal.
    pub(crate) fn is(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.json()["code"].as_str()), (status, Some(code)), "{self:?}");
    }
}

pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

impl Server {
    /// A server with a journal of its own.
    pub(crate) fn start(name: &str) -> Self {
        Self::with(name, &[], None)
    }

    /// A server with more options, and with a limit on its descriptors.
    pub(crate) fn with(name: &str, options: &[&str], descriptors: Option<u32>) -> Self {
        let folder = folder(name);
        std::fs::write(folder.join("tokens.json"), tokens().to_string()).unwrap();
        // A free port; between letting it go and taking it again somebody else might take it, which would show.
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let options = options.iter().map(ToString::to_string).collect();
        let mut server = Self { url: format!("http://{listen}"), folder, listen, options, descriptors, child: None };
        server.start_again();
        server
    }

    pub(crate) fn start_again(&mut self) {
        let binary = env!("CARGO_BIN_EXE_counterpoint-http");
        let mut command = match self.descriptors {
            None => Command::new(binary),
            Some(descriptors) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {descriptors}; exec \"$0\" \"$@\""), binary]);
                shell
            }
        };
        let mut child = command
            .arg("--folder")
            .arg(self.folder.join("journal"))
            .arg("--tokens")
            .arg(self.folder.join("tokens.json"))
            .args(["--listen", &self.listen])
            .args(&self.options)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), format!("listening on {}", self.url));
        self.child = Some(child);
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks it to end, and waits for that.
    pub(crate) fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
        assert!(child.wait().unwrap().success(), "it did not end well");
    }

    pub(crate) fn curl(&self, arguments: &[&str]) -> Answer {
        let (path, options) = arguments.split_last().unwrap();
        let mut command = Command::new("curl");
        command.args(["-s", "-i", "--max-time", "30"]).args(options).arg(format!("{}{path}", self.url));
        let out = command.output().expect("curl is installed");
        let text = String::from_utf8(out.stdout).unwrap();
        // Before a large body is sent, the server may say that it shall go on.
        let text = text.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&text);
        Answer::of(text)
    }

    pub(crate) fn get(&self, token: &str, path: &str) -> Answer {
        self.curl(&["-H", &bearer(token), path])
    }

    pub(crate) fn delete(&self, token: &str, path: &str) -> Answer {
        self.curl(&["-H", &bearer(token), "-X", "DELETE", path])
    }

    pub(crate) fn post(&self, token: &str, path: &str, body: &Value) -> Answer {
        self.curl(&["-H", &bearer(token), "-d", &body.to_string(), path])
    }

    /// Says something as an agent.
    pub(crate) fn say(&self, token: &str, path: &str, id: &str, body: &Value) -> Answer {
        self.post(token, path, &json!({"v": 1, "id": id, "body": body}))
    }

    /// Asks again and again until it is as it should be.
    pub(crate) fn until(&self, token: &str, path: &str, right: impl Fn(&Value) -> bool) -> Value {
        let patience = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = self.get(token, path);
            if answer.status == 200 && right(&answer.json()) {
                return answer.json();
            }
            assert!(Instant::now() < patience, "{path}: {answer:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

/// Agents 1 to 9, each with a token of its own, and people.
fn tokens() -> Value {
    let agent = |number: u64| json!({"token": format!("agent-{number}"), "name": format!("agent {number}"), "roles": ["agent"], "agents": [number]});
    let mut known: Vec<Value> = (1..10).map(agent).collect();
    known.push(json!({"token": "client", "name": "ada", "roles": ["submitter"]}));
    known.push(json!({"token": "north", "name": "nora", "roles": ["submitter"], "tenants": ["north"]}));
    known.push(json!({"token": "south", "name": "sven", "roles": ["submitter"], "tenants": ["south"]}));
    known.push(json!({"token": "operator", "name": "grace", "roles": ["operator"]}));
    known.push(json!({"token": "auditor", "name": "joan", "roles": ["auditor"]}));
    known.into()
}

/// A Python worker, as a process of its own.
pub(crate) struct Worker(Child);

impl Worker {
    pub(crate) fn start(server: &Server, agent: u64, ledger: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("worker.py");
        let child = Command::new("python3")
            .arg(script)
            .args([&server.url, &format!("agent-{agent}"), &agent.to_string()])
            .arg(ledger)
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 is installed");
        Self(child)
    }
}

impl Drop for Worker {
    /// `kill -9`.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
