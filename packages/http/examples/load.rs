//! Load on a server: clients that submit tasks in groups, and agents that perform them by long polls.
//!
//! ```sh
//! cargo run --release -p counterpoint-http --example load -- ADDRESS TOKEN [--seconds N] [--group N] [--rate N] [--clients N] [--agents N]
//! ```
//!
//! The owner of the token submits tasks and acts for the agents from 1 on. `--rate` bounds the tasks per second of all clients;
//! without it they submit as fast as they are answered. Prints tasks per second that were submitted and ended, and the times of a
//! request that submits a group.

use serde_json::{Value, json};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

struct Options {
    address: String,
    token: String,
    seconds: u64,
    group: u64,
    rate: u64,
    clients: u64,
    agents: u64,
}

fn options() -> Option<Options> {
    let mut words = std::env::args().skip(1);
    let (address, token) = (words.next()?, words.next()?);
    let mut options = Options { address, token, seconds: 10, group: 50, rate: 0, clients: 2, agents: 2 };
    while let Some(word) = words.next() {
        let number = words.next()?.parse().ok()?;
        match word.as_str() {
            "--seconds" => options.seconds = number,
            "--group" => options.group = number,
            "--rate" => options.rate = number,
            "--clients" => options.clients = number,
            "--agents" => options.agents = number,
            _ => return None,
        }
    }
    Some(options)
}

/// A connection that stays.
struct Connection {
    stream: BufReader<TcpStream>,
    head: String,
}

impl Connection {
    fn new(options: &Options) -> io::Result<Self> {
        let stream = TcpStream::connect(&options.address)?;
        stream.set_nodelay(true)?;
        let head = format!("host: {}\r\nauthorization: Bearer {}\r\n", options.address, options.token);
        Ok(Self { stream: BufReader::new(stream), head })
    }

    /// Sends messages, and returns those that answer them.
    fn say(&mut self, wait: u64, messages: &Value) -> io::Result<Value> {
        let body = messages.to_string();
        let first =
            format!("POST /v1/messages?wait={wait} HTTP/1.1\r\n{}content-length: {}\r\n\r\n", self.head, body.len());
        self.stream.get_mut().write_all((first + &body).as_bytes())?;
        let (mut line, mut length, mut status) = (String::new(), 0, 0);
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
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
        if status != 200 {
            return Err(io::Error::other(format!("{status}: {}", String::from_utf8_lossy(&bytes))));
        }
        serde_json::from_slice(&bytes).map_err(io::Error::from)
    }
}

fn message(id: String, body: Value) -> Value {
    json!({"v": 1, "id": id, "body": body})
}

#[derive(Default)]
struct Counts {
    submitted: AtomicU64,
    ended: AtomicU64,
    stop: AtomicBool,
    times: Mutex<Vec<Duration>>,
}

/// Submits groups until it is told to stop.
fn submit(client: u64, options: &Options, counts: &Counts) -> io::Result<()> {
    let mut connection = Connection::new(options)?;
    let base =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    let mut next = (base << 20) | (client << 18);
    let begun = Instant::now();
    let mut groups = 0_u32;
    let pause = match options.rate {
        0 => Duration::ZERO,
        rate => Duration::from_secs(options.group * options.clients) / u32::try_from(rate).unwrap_or(u32::MAX),
    };
    while !counts.stop.load(Ordering::Relaxed) {
        let due = pause * groups;
        if let Some(early) = due.checked_sub(begun.elapsed()) {
            std::thread::sleep(early);
        }
        groups += 1;
        let tasks: Vec<Value> = (0..options.group)
            .map(|_| {
                next += 1;
                let task = json!({"id": next.to_string(), "kind": "load", "payload": {"number": next, "text": "a payload of some words"}});
                message(next.to_string(), json!({"submit": {"task": task}}))
            })
            .collect();
        let asked = Instant::now();
        let refused = connection.say(0, &tasks.into())?;
        let took = asked.elapsed();
        counts.times.lock().map_err(|_| io::Error::other("poisoned"))?.push(took);
        let count = refused.as_array().map_or(0, Vec::len) as u64;
        if count > 0 {
            return Err(io::Error::other(format!("{count} refused: {}", refused[0])));
        }
        counts.submitted.fetch_add(options.group, Ordering::Relaxed);
    }
    Ok(())
}

/// Performs tasks until it is told to stop.
fn perform(agent: u64, options: &Options, counts: &Counts) -> io::Result<()> {
    let mut connection = Connection::new(options)?;
    let card = json!({"id": agent.to_string(), "name": format!("load {agent}"), "skills": {"load": 1}, "capacity": 500, "lease": "60s"});
    let answers = connection.say(0, &message("r".to_owned(), json!({"register": {"agent": card}})))?;
    let by = answers[0]["body"]["registered"]["by"].clone();
    let mut number = 0_u64;
    while !counts.stop.load(Ordering::Relaxed) {
        let answers = connection.say(1, &message("p".to_owned(), json!({"poll": {"by": by, "most": 500}})))?;
        let assigned = answers.as_array().map(Vec::as_slice).unwrap_or_default().iter();
        let attempts: Vec<&Value> =
            assigned.map(|answer| &answer["body"]["assign"]["attempt"]).filter(|attempt| !attempt.is_null()).collect();
        if attempts.is_empty() {
            continue;
        }
        let results: Vec<Value> = attempts
            .iter()
            .flat_map(|attempt| {
                number += 1;
                let verdict = json!({"succeeded": {"output": number}});
                [
                    message(format!("a{number}"), json!({"accept": {"by": by, "attempt": attempt}})),
                    message(
                        format!("d{number}"),
                        json!({"result": {"by": by, "attempt": attempt, "verdict": verdict}}),
                    ),
                ]
            })
            .collect();
        let refused = connection.say(0, &results.into())?;
        if let Some(first) = refused.get(0) {
            return Err(io::Error::other(first.to_string()));
        }
        counts.ended.fetch_add(attempts.len() as u64, Ordering::Relaxed);
    }
    Ok(())
}

fn main() {
    let Some(options) = options() else {
        eprintln!("load ADDRESS TOKEN [--seconds N] [--group N] [--rate N] [--clients N] [--agents N]");
        std::process::exit(2);
    };
    let (options, counts) = (Arc::new(options), Arc::new(Counts::default()));
    let mut threads = Vec::new();
    for number in 1..=options.agents {
        let (options, counts) = (Arc::clone(&options), Arc::clone(&counts));
        threads.push(std::thread::spawn(move || perform(number, &options, &counts)));
    }
    for number in 0..options.clients {
        let (options, counts) = (Arc::clone(&options), Arc::clone(&counts));
        threads.push(std::thread::spawn(move || submit(number, &options, &counts)));
    }
    let begun = Instant::now();
    std::thread::sleep(Duration::from_secs(options.seconds));
    let (submitted, ended) = (counts.submitted.load(Ordering::Relaxed), counts.ended.load(Ordering::Relaxed));
    let seconds = begun.elapsed().as_secs_f64();
    counts.stop.store(true, Ordering::Relaxed);
    for thread in threads {
        if let Ok(Err(error)) = thread.join() {
            eprintln!("load: {error}");
        }
    }
    let mut times = counts.times.lock().map(|times| times.clone()).unwrap_or_default();
    times.sort();
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or_default();
    println!(
        "submitted {:.0}/s, ended {:.0}/s; a request with {} tasks: p50 {:.1?}, p99 {:.1?}, longest {:.1?} of {}",
        submitted as f64 / seconds,
        ended as f64 / seconds,
        options.group,
        at(0.5),
        at(0.99),
        times.last().copied().unwrap_or_default(),
        times.len(),
    );
}
