//! Processes of the test's own: nodes, a broker; and an HTTP client.

use super::common::Server;
use super::proxy::{Proxy, To};
use counterpoint::cluster::Shards;
use counterpoint_cluster::{
    Deployment, HttpTransport, Inbox, NatsTransport, NodeHost, NodeRules, PostgresStore, Transport,
};
use counterpoint_serving as serving;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub const SECRET: &str = "of the test";

/// The connections of a node that can be cut.
pub struct Links {
    pub database: Proxy,
    /// To the broker, or without one: from the other nodes.
    pub messages: Proxy,
}

/// A node as a process. It ends with this value.
pub struct NodeProcess {
    child: Child,
    /// If it was started with them.
    pub links: Option<Links>,
    /// Its number.
    pub id: u64,
    pub address: String,
}

impl NodeProcess {
    pub fn start(database: &str, nats: Option<&str>) -> Self {
        Self::start_at(database, nats, 0, None)
    }

    /// A node whose connections can be cut.
    pub fn start_linked(server: &Server, nats: Option<u16>) -> Self {
        let database = Proxy::start(To::Socket(server.socket()));
        let url = format!("host=127.0.0.1 port={} user=counterpoint dbname=postgres", database.port);
        let own = free_port();
        let messages = Proxy::start(To::Port(nats.unwrap_or(own)));
        let at = messages.port;
        let (broker, reached) = match nats {
            Some(_) => (Some(format!("nats://127.0.0.1:{at}")), None),
            None => (None, Some(format!("http://127.0.0.1:{at}"))),
        };
        let mut node = Self::start_at(&url, broker.as_deref(), own, reached.as_deref());
        node.links = Some(Links { database, messages });
        node
    }

    fn start_at(database: &str, nats: Option<&str>, port: u16, reached: Option<&str>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_counterpoint-node"));
        let listen = format!("127.0.0.1:{port}");
        command.args(["--database", database, "--secret", SECRET, "--shards", "64", "--listen", &listen]);
        if let Some(nats) = nats {
            command.args(["--nats", nats]);
        }
        if let Some(reached) = reached {
            command.args(["--reached", reached]);
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
        Self { child, links: None, id: id.parse().unwrap(), address }
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

fn log() -> PathBuf {
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
    pub port: u16,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Nats {
    pub fn start() -> Self {
        // A port that is free now; the server cannot tell which one it chose itself without a file.
        let mut nats = Self { child: None, port: free_port() };
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

/// A small file system for a database. It goes with this value.
pub struct Disk {
    pub folder: PathBuf,
}

impl Disk {
    /// None where this process may not mount one.
    pub fn mount(megabytes: u32) -> Option<Self> {
        let folder = std::env::temp_dir().join(format!("counterpoint-disk-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let size = format!("size={megabytes}m,mode=1777");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&folder).output();
        if mounted.is_ok_and(|done| done.status.success()) {
            return Some(Self { folder });
        }
        let _ = std::fs::remove_dir(&folder);
        None
    }

    /// Fills it to the last byte.
    pub fn fill(&self) {
        let mut file = std::fs::File::create(self.folder.join("ballast")).unwrap();
        for size in [1 << 20, 1 << 12] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    pub fn free(&self) {
        let _ = std::fs::remove_file(self.folder.join("ballast"));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("-l").arg(&self.folder).status();
        let _gone = std::fs::remove_dir(&self.folder);
    }
}

/// A node in the process of the test, whose clock can be set: all that it knows of the time, apart from what the database tells.
pub struct ClockNode {
    pub host: Arc<NodeHost>,
    /// How far the clock is ahead, in seconds.
    ahead: Arc<AtomicI64>,
    runtime: tokio::runtime::Runtime,
}

impl ClockNode {
    pub fn start(database: &str, nats: Option<&str>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let ahead: Arc<AtomicI64> = Arc::default();
        // Far from zero, so that the clock can be set back.
        let (start, own) = (Instant::now(), Arc::clone(&ahead));
        let rules = NodeRules::default().with_clock(move || {
            let since = start.elapsed() + Duration::from_secs(1_000_000);
            let seconds = own.load(Ordering::SeqCst);
            let by = Duration::from_secs(seconds.unsigned_abs());
            if seconds < 0 { since - by } else { since + by }
        });
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let own = format!("http://{}", listener.local_addr().unwrap());
        let kept = Arc::new(Mutex::new(None));
        let transport = |inbox: Inbox| -> Result<Box<dyn Transport>, String> {
            *kept.lock().unwrap() = Some(inbox.clone());
            match nats {
                Some(url) => Ok(Box::new(NatsTransport::connect(runtime.handle(), url, inbox)?)),
                None => Ok(Box::new(HttpTransport::new(runtime.handle(), own, SECRET))),
            }
        };
        let deployment = Deployment::new(Shards::new(64).unwrap());
        let store = Box::new(PostgresStore::new(database.parse().unwrap()));
        let host = Arc::new(NodeHost::start(&deployment, store, rules, transport).unwrap());
        let inbox = kept.lock().unwrap().take().unwrap();
        let router = HttpTransport::router(inbox, SECRET);
        runtime.spawn(async move { serving::Server::new(serving::Limits::default()).serve(listener, router).await });
        Self { host, ahead, runtime }
    }

    /// Lets the clock jump.
    pub fn jump(&self, seconds: i64) {
        self.ahead.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Gives its shards away, and ends.
    pub fn stop(self) {
        self.host.shut_down(Duration::from_secs(20));
        self.runtime.shutdown_background();
    }
}
