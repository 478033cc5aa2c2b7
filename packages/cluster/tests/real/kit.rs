//! Processes of the test's own: nodes, a broker; and an HTTP client.

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub const SECRET: &str = "of the test";

/// A node as a process. It ends with this value.
pub struct NodeProcess {
    child: Child,
    /// Its number.
    pub id: u64,
    pub address: String,
}

impl NodeProcess {
    pub fn start(database: &str, nats: Option<&str>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_counterpoint-node"));
        command.args(["--database", database, "--secret", SECRET, "--shards", "64", "--listen", "127.0.0.1:0"]);
        if let Some(nats) = nats {
            command.args(["--nats", nats]);
        }
        let log = std::fs::File::options().create(true).append(true).open(log()).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["node", id, "listens", "at", url] = words.as_slice() else {
            panic!("a node has written {line:?}; see {}", log_name())
        };
        let address = url.strip_prefix("http://").unwrap().to_string();
        Self { child, id: id.parse().unwrap(), address }
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) {
        self.signal("-TERM");
        let until = Instant::now() + Duration::from_secs(30);
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "node {} does not end", self.id);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn state(&self) -> Option<Value> {
        let answer = request(&self.address, "GET", "/v1/state", "").ok()?;
        serde_json::from_str(&answer.1).ok()
    }

    pub fn serving(&self) -> Vec<u64> {
        let state = self.state();
        let serving = state.as_ref().and_then(|state| state["state"]["serving"].as_array());
        serving.map(|shards| shards.iter().filter_map(Value::as_u64).collect()).unwrap_or_default()
    }

    pub fn count(&self, what: &str) -> u64 {
        self.state().and_then(|state| state["state"]["counts"][what].as_u64()).unwrap_or(0)
    }
}

fn log_name() -> String {
    log().display().to_string()
}

fn log() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("counterpoint-nodes-{}.log", std::process::id()))
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A NATS server. It ends with this value.
pub struct Nats {
    child: Option<Child>,
    port: u16,
}

impl Nats {
    pub fn start() -> Self {
        // A port that is free now; the server cannot tell which one it chose itself without a file.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut nats = Self { child: None, port };
        nats.start_again();
        nats
    }

    pub fn start_again(&mut self) {
        let port = self.port.to_string();
        let program = ["/usr/sbin/nats-server", "/usr/bin/nats-server"]
            .into_iter()
            .find(|path| std::path::Path::new(path).exists());
        let child = Command::new(program.unwrap_or("nats-server"))
            .args(["-a", "127.0.0.1", "-p", &port])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a NATS server is installed: apt-get install nats-server");
        self.child = Some(child);
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < until, "the broker does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone = child.kill();
            let _gone = child.wait();
        }
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A request over a connection of its own. Returns the status and the body.
pub fn request(address: &str, method: &str, path: &str, body: &str) -> std::io::Result<(u16, String)> {
    let target = address.parse().map_err(|_| std::io::ErrorKind::InvalidInput)?;
    let mut stream = TcpStream::connect_timeout(&target, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Bearer {SECRET}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = status.ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Ok((status, if is_chunked { joined(body) } else { body.into() }))
}

fn joined(mut chunks: &str) -> String {
    let mut body = String::new();
    while let Some((length, rest)) = chunks.split_once("\r\n") {
        let Ok(length) = usize::from_str_radix(length.trim(), 16) else { break };
        let (chunk, rest) = rest.split_at(length.min(rest.len()));
        body.push_str(chunk);
        if length == 0 {
            break;
        }
        chunks = rest.trim_start_matches("\r\n");
    }
    body
}
