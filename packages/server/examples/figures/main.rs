//! Size, starts, memory and rates of the program, in one table.
//!
//! ```sh
//! cargo build --release -p counterpoint-server -p counterpoint-http --bins --examples
//! target/release/examples/figures [SECONDS]
//! ```
//!
//! Starts `counterpoint serve` with a journal in files, and `load` of counterpoint-http beside it: both are found beside this
//! program. A start lasts from the making of the process until `/ready` is answered with 200; the files are in the cache of the
//! operating system. Memory is `VmRSS`. Rates last SECONDS (20).

use serde_json::{Value, json};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The runs whose memory is measured, and the events of the journal of the starts.
const RUNS: u64 = 10_000;
const EVENTS: u64 = 100_000;
/// How often a start is repeated.
const STARTS: usize = 5;
const TOKENS: &str =
    r#"[{"token": "t", "name": "load", "roles": ["operator", "submitter", "agent"], "agents": [1, 2, 3, 4]}]"#;

/// What is measured, its target, and the arguments of the load.
type Row<'a> = (&'a str, &'a str, &'a [(&'a str, u64)]);

/// A process that ends with this one.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A connection that stays.
struct Connection {
    stream: BufReader<TcpStream>,
    address: String,
}

impl Connection {
    fn new(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), address: address.to_owned() })
    }

    fn send(&mut self, method: &str, path: &str, more: &str, body: &Value) -> io::Result<(u16, Value)> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer t\r\n{more}content-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        self.stream.get_mut().write_all((head + &body).as_bytes())?;
        let (mut line, mut length, mut status) = (String::new(), 0, 0);
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line.trim_end().is_empty() {
                break;
            }
            if status == 0 {
                status = line.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(999);
            }
            if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = text.trim().parse().unwrap_or(0);
            }
        }
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }
}

/// A server that is ready.
struct Server {
    process: Process,
    address: String,
    /// The time of its start.
    took: Duration,
    /// The number of events in its journal.
    events: u64,
}

impl Server {
    fn start(program: &Path, folder: &Path, data: &str) -> io::Result<Self> {
        let tokens = folder.join("tokens.json");
        std::fs::write(&tokens, TOKENS)?;
        let began = Instant::now();
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder.join(data)).arg("--tokens").arg(tokens);
        let mut process = Process(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?);
        let output = process.0.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().rsplit('/').next().unwrap_or_default().to_owned();
        let (status, body) = Connection::new(&address)?.send("GET", "/ready", "", &Value::Null)?;
        if status != 200 {
            return Err(io::Error::other(format!("/ready: {status} {body}")));
        }
        let events = body["events"].as_u64().unwrap_or_default();
        Ok(Self { process, address, took: began.elapsed(), events })
    }

    fn events(&self) -> io::Result<u64> {
        let (_, body) = Connection::new(&self.address)?.send("GET", "/ready", "", &Value::Null)?;
        Ok(body["events"].as_u64().unwrap_or_default())
    }

    /// Resident memory in MB, at present or at its highest.
    fn memory(&self, field: &str) -> io::Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.process.0.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let kib: f64 = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default();
        Ok(kib * 1024.0 / 1e6)
    }

    /// Processor time in seconds, of which a clock has 100 ticks.
    fn processor(&self) -> io::Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.process.0.id()))?;
        let after = text.rsplit(')').next().unwrap_or_default();
        let ticks = after.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<f64>().ok());
        Ok(ticks.sum::<f64>() / 100.0)
    }
}

fn load(program: &Path, server: &Server, words: &[(&str, u64)]) -> io::Result<Process> {
    let mut command = Command::new(program);
    command.arg(&server.address).arg("t");
    for (name, number) in words {
        command.arg(format!("--{name}")).arg(number.to_string());
    }
    Ok(Process(command.stdout(Stdio::piped()).spawn()?))
}

/// The line that a load prints at its end.
fn line(mut load: Process) -> io::Result<String> {
    let mut text = String::new();
    if let Some(mut output) = load.0.stdout.take() {
        output.read_to_string(&mut text)?;
    }
    Ok(text.trim().to_owned())
}

/// Starts of a server with this journal: its events, and the median time in ms.
fn starts(program: &Path, folder: &Path, data: &str) -> io::Result<(u64, f64, f64)> {
    let (mut times, mut events, mut memory) = (Vec::new(), 0, 0.0);
    for _ in 0..STARTS {
        let server = Server::start(program, folder, data)?;
        times.push(server.took.as_secs_f64() * 1e3);
        events = server.events;
        memory = server.memory("VmRSS")?;
    }
    times.sort_by(f64::total_cmp);
    Ok((events, times.get(STARTS / 2).copied().unwrap_or_default(), memory))
}

/// Finished runs of two tasks each, started by four clients.
fn runs(program: &Path, loader: &Path, folder: &Path) -> io::Result<(u64, f64, f64)> {
    let server = Server::start(program, folder, "runs")?;
    let task = |id: &str, after: Value| json!({"id": id, "type": "load", "inputs": {"number": "${inputs.number}"}, "depends_on": after});
    let flow = json!({"name": "two", "inputs": {"number": {"type": "integer", "required": true}}, "tasks": [task("a", json!([])), task("b", json!("a"))], "outputs": "${b.output}"});
    let (status, body) = Connection::new(&server.address)?.send("POST", "/v1/workflows", "", &flow)?;
    if status >= 300 {
        return Err(io::Error::other(format!("the workflow: {status} {body}")));
    }
    let agents = load(loader, &server, &[("clients", 0), ("agents", 2), ("seconds", 600)])?;
    let began = Instant::now();
    let client = |client: u64| -> io::Result<String> {
        let mut connection = Connection::new(&server.address)?;
        let mut last = String::new();
        for number in (0..RUNS).filter(|number| number % 4 == client) {
            let key = format!("idempotency-key: run-{number}\r\n");
            let run = json!({"workflow": "two", "input": {"number": number}});
            let (status, body) = connection.send("POST", "/v1/runs", &key, &run)?;
            if status >= 300 {
                return Err(io::Error::other(format!("a run: {status} {body}")));
            }
            last = body["id"].as_str().unwrap_or_default().to_owned();
        }
        // The last one of a client ends after the others, or nearly so.
        let path = format!("/v1/runs/{last}?wait=20");
        while connection.send("GET", &path, "", &Value::Null)?.1["outcome"].is_null() {}
        Ok(last)
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|number| scope.spawn(move || client(number))).collect();
        clients
            .into_iter()
            .try_for_each(|client| client.join().map_err(|_| io::Error::other("a client panicked"))?.map(drop))
    })?;
    let rate = RUNS as f64 / began.elapsed().as_secs_f64();
    drop(agents);
    std::thread::sleep(Duration::from_secs(2));
    Ok((server.events()?, server.memory("VmRSS")?, rate))
}

fn row(what: &str, figure: &str, target: &str) {
    println!("| {what} | {figure} | {target} |");
}

fn main() -> io::Result<()> {
    let seconds: u64 = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(20);
    let own = std::env::current_exe()?;
    let beside = own.parent().map(Path::to_path_buf).unwrap_or_default();
    let (loader, program) = (beside.join("load"), beside.join("../counterpoint").canonicalize()?);
    let folder: PathBuf = std::env::temp_dir().join(format!("counterpoint-figures-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let busy = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load averages before: {}\n\n| measure | figure | target |\n|---|---|---|", busy.trim());
    row("size of the program", &format!("{:.1} MB", std::fs::metadata(&program)?.len() as f64 / 1e6), "< 25 MB");

    let empty = starts(&program, &folder, "empty")?;
    row("start with an empty journal", &format!("{:.0} ms, {:.1} MB", empty.1, empty.2), "");
    {
        // Tasks in small rounds, until there are as many events as wanted.
        let server = Server::start(&program, &folder, "tasks")?;
        while server.events()? < EVENTS {
            line(load(&loader, &server, &[("seconds", 1), ("rate", 2_000), ("group", 20)])?)?;
        }
    }
    let tasks = starts(&program, &folder, "tasks")?;
    row(
        &format!("start with {} events of tasks", tasks.0),
        &format!("{:.0} ms, {:.1} MB", tasks.1, tasks.2),
        "< 300 ms",
    );

    let (events, memory, rate) = runs(&program, &loader, &folder)?;
    row(&format!("memory after {RUNS} runs of two tasks ({events} events)"), &format!("{memory:.1} MB"), "< 100 MB");
    row("those runs per second, one request each", &format!("{rate:.0}"), "");
    let again = starts(&program, &folder, "runs")?;
    row("start with these runs", &format!("{:.0} ms, {:.1} MB", again.1, again.2), "");

    let loads: [Row<'_>; 4] = [
        ("as fast as it goes, groups of 50", "5,000/s", &[("group", 50)]),
        ("2,500/s, groups of 50", "p99 < 20 ms", &[("group", 50), ("rate", 2_500)]),
        ("2,500/s, groups of 10", "p99 < 20 ms", &[("group", 10), ("rate", 2_500)]),
        ("500/s, one task in a request", "", &[("group", 1), ("rate", 500)]),
    ];
    for (number, (what, target, words)) in loads.into_iter().enumerate() {
        let server = Server::start(&program, &folder, &format!("load-{number}"))?;
        let words: Vec<_> = words.iter().copied().chain([("seconds", seconds)]).collect();
        let told = line(load(&loader, &server, &words)?)?;
        let share = server.processor()? / seconds as f64 * 100.0;
        row(what, &format!("{told}; server: {share:.0} % of a core, {:.0} MB", server.memory("VmHWM")?), target);
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
