//! A PostgreSQL server of the tests' own.

#![allow(dead_code, reason = "each test uses a part of it")]

use postgres::{Client, NoTls};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server on a socket in a folder of its own, which ends with this value.
pub(crate) struct Server {
    folder: PathBuf,
    /// A port of the loopback interface, if it has one, and further settings.
    port: Option<u16>,
    settings: Vec<String>,
    child: Option<Child>,
}

/// Where the server's programs are.
fn programs() -> PathBuf {
    let told = Command::new("pg_config").arg("--bindir").output().ok();
    let told = told.map(|out| PathBuf::from(String::from_utf8_lossy(&out.stdout).trim()));
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    places.sort();
    let place = told.into_iter().chain(places.into_iter().rev()).find(|place| place.join("initdb").exists());
    place.expect("a PostgreSQL server is installed: apt-get install postgresql")
}

/// A program of the server's; it does not run as root, so then it runs as nobody.
fn program(name: &str) -> Command {
    let program = programs().join(name);
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(program);
    command
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.starts_with(b"0"))
}

impl Server {
    pub(crate) fn start(name: &str) -> Self {
        Self::made(name, |_| Vec::new(), None)
    }

    /// A server that also has a port; with a certificate and its key in PEM, connections to it can be encrypted.
    pub(crate) fn with_port(name: &str, identity: Option<(&str, &str)>) -> Self {
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let settings = |folder: &Path| {
            let Some((certificate, key)) = identity else { return Vec::new() };
            let of = |name: &str, text: &str| {
                let path = folder.join(name);
                std::fs::write(&path, text).unwrap();
                assert!(Command::new("chmod").arg("600").arg(&path).status().unwrap().success());
                if is_root() {
                    assert!(Command::new("chown").arg("nobody:nogroup").arg(&path).status().unwrap().success());
                }
                path.display().to_string()
            };
            let (certificate, key) = (of("server.crt", certificate), of("server.key", key));
            vec!["ssl=on".to_owned(), format!("ssl_cert_file={certificate}"), format!("ssl_key_file={key}")]
        };
        Self::made(name, settings, Some(free))
    }

    fn made(name: &str, settings: impl FnOnce(&Path) -> Vec<String>, port: Option<u16>) -> Self {
        // Not below the target folder: another user may not be let in there, and paths of sockets are short.
        let folder = std::env::temp_dir().join(format!("counterpoint-pg-{name}-{}", std::process::id()));
        Self::made_in(folder, &[], settings, port)
    }

    /// Starts one in a folder, which is made, with further options for the program that makes its data.
    pub(crate) fn start_in(folder: PathBuf, options: &[&str]) -> Self {
        Self::made_in(folder, options, |_| Vec::new(), None)
    }

    fn made_in(
        folder: PathBuf,
        options: &[&str],
        settings: impl FnOnce(&Path) -> Vec<String>,
        port: Option<u16>,
    ) -> Self {
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        if is_root() {
            assert!(Command::new("chown").arg("nobody:nogroup").arg(&folder).status().unwrap().success());
        }
        let made = program("initdb")
            .args(["-U", "counterpoint", "-A", "trust", "-E", "UTF8", "--no-locale", "-D"])
            .arg(folder.join("data"))
            .args(options)
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let settings = settings(&folder);
        let mut server = Self { folder, port, settings, child: None };
        server.start_again();
        server
    }

    /// How to reach it.
    pub(crate) fn connection(&self) -> String {
        let port = self.port.map(|port| format!(" port={port}")).unwrap_or_default();
        format!("host={} user=counterpoint dbname=postgres{port}", self.folder.display())
    }

    /// The URL of its port under the name `localhost`.
    pub(crate) fn url(&self) -> String {
        format!("postgres://counterpoint@localhost:{}/postgres", self.port.unwrap())
    }

    /// A file in its folder.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join(".s.PGSQL.5432")
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.connection(), NoTls).unwrap()
    }

    /// Starts it and waits until it answers. After a kill the processes that it had may take a moment to go.
    pub(crate) fn start_again(&mut self) {
        let patience = Instant::now() + Duration::from_secs(60);
        while Instant::now() < patience {
            let mut child = self.child.take().unwrap_or_else(|| self.spawn_on(&self.folder.join("data")));
            let answers = Client::connect(&self.connection(), NoTls).is_ok();
            if child.try_wait().unwrap().is_none() {
                self.child = Some(child);
                if answers {
                    return;
                }
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server does not start: see {}", self.folder.join("log").display());
    }

    fn spawn_on(&self, data: &Path) -> Child {
        let log = std::fs::File::options().append(true).create(true).open(self.folder.join("log")).unwrap();
        program("postgres")
            .arg("-D")
            .arg(data)
            .arg("-k")
            .arg(&self.folder)
            .args(["-c", "max_connections=100", "-c", "shared_buffers=16MB", "-c"])
            .arg(if self.port.is_some() { "listen_addresses=127.0.0.1" } else { "listen_addresses=" })
            .args(self.port.iter().flat_map(|port| ["-p".to_owned(), port.to_string()]))
            .args(self.settings.iter().flat_map(|setting| ["-c", setting]))
            .current_dir(&self.folder)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// `kill -9`. Its processes go when they find that it has gone; what was committed is in its log.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Numbers that depend on nothing but the seed.
pub(crate) struct Dice(pub u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}
