//! Callers, agents, and the ledger in which the effects of attempts are recorded: outside of the deployment.

use super::kit::request;
use counterpoint::{AgentId, AgentSpec, Command, Policy, Retry, TaskCommand, TaskId, TaskSpec};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Effects by idempotency key. A system outside that recognises keys performs each once.
#[derive(Default)]
pub struct Ledger {
    /// The task of each key, and how often it was requested.
    effects: Mutex<BTreeMap<String, (u64, u32)>>,
}

/// What the ledger has counted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub accepted: usize,
    pub lost: usize,
    pub twice: usize,
    /// Requests under a key that was known: attempts that were repeated, whose effect was not.
    pub repeated: u32,
}

impl Ledger {
    pub fn record(&self, key: &str, task: u64) {
        self.effects.lock().unwrap().entry(key.into()).or_insert((task, 0)).1 += 1;
    }

    pub fn count(&self, accepted: &BTreeSet<u64>) -> Count {
        let effects = self.effects.lock().unwrap();
        let mut by_task: BTreeMap<u64, u32> = BTreeMap::new();
        for (task, _) in effects.values() {
            *by_task.entry(*task).or_default() += 1;
        }
        Count {
            accepted: accepted.len(),
            lost: accepted.iter().filter(|task| !by_task.contains_key(task)).count(),
            twice: by_task.values().filter(|keys| **keys > 1).count(),
            repeated: effects.values().map(|(_, times)| times - 1).sum(),
        }
    }
}

/// What became of a try.
enum Tried {
    Done,
    Refused,
    Failed,
}

/// What callers, agents and the test share.
pub struct Load {
    pub ledger: Ledger,
    /// The addresses of the nodes that may be used now.
    pub nodes: Mutex<Vec<String>>,
    pub accepted: Mutex<BTreeSet<u64>>,
    /// How long each accepted submission took, with the time of its beginning.
    pub latencies: Mutex<Vec<(Instant, Duration)>>,
    /// When each try of a command began that has failed or whose end is unknown.
    failed: Mutex<Vec<Instant>>,
    /// Tries at a node that did not take them, because it ends or has ended. They were sent to another one.
    pub refused: AtomicU64,
    /// Tasks whose cancellation was accepted: a command that nodes do not repeat.
    pub cancelled: Mutex<BTreeSet<u64>>,
    next: AtomicU64,
    pub is_over: AtomicBool,
    /// Whether callers submit.
    pub submits: AtomicBool,
}

pub fn task(id: u64) -> TaskSpec {
    let policy =
        Policy::default().with_retry(Retry::exponential(100, Duration::from_millis(20), Duration::from_secs(1)));
    TaskSpec::new(TaskId::new(id), "pay").with_policy(policy)
}

impl Load {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            ledger: Ledger::default(),
            nodes: Mutex::default(),
            accepted: Mutex::default(),
            latencies: Mutex::default(),
            failed: Mutex::default(),
            refused: AtomicU64::new(0),
            cancelled: Mutex::default(),
            next: AtomicU64::new(1_000_000),
            is_over: AtomicBool::new(false),
            submits: AtomicBool::new(false),
        })
    }

    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn node(&self, turn: usize) -> Option<String> {
        let nodes = self.nodes.lock().unwrap();
        if nodes.is_empty() { None } else { nodes.get(turn % nodes.len()).cloned() }
    }

    /// Submits a task until a node accepts it. Returns when each try began that has failed.
    pub fn submit(&self, id: u64, mut turn: usize) -> Vec<Instant> {
        let body = serde_json::to_string(&Command::submit(task(id))).unwrap();
        let mut failures = Vec::new();
        let begun = Instant::now();
        while !self.is_over() {
            let tried = Instant::now();
            match self.attempt(&body, turn) {
                Tried::Done => {
                    self.accepted.lock().unwrap().insert(id);
                    self.latencies.lock().unwrap().push((begun, begun.elapsed()));
                    break;
                }
                Tried::Refused => {}
                Tried::Failed => failures.push(tried),
            }
            turn += 1;
            std::thread::sleep(Duration::from_millis(20));
        }
        failures
    }

    fn attempt(&self, body: &str, turn: usize) -> Tried {
        let Some(node) = self.node(turn) else { return Tried::Refused };
        match request(&node, "POST", "/v1/commands", body) {
            Ok((200, _)) => Tried::Done,
            Ok((503, answer)) if answer.contains("has ended") => {
                // It says that it will be gone.
                self.nodes.lock().unwrap().retain(|known| *known != node);
                self.refuse()
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => self.refuse(),
            failed => {
                if std::env::var("COUNTERPOINT_FAILURES").is_ok() {
                    println!("{node}: {failed:?}");
                }
                Tried::Failed
            }
        }
    }

    fn refuse(&self) -> Tried {
        self.refused.fetch_add(1, Ordering::Relaxed);
        Tried::Refused
    }

    /// A caller that submits tasks for which there is no agent, and cancels each with one command, which nodes do not repeat.
    pub fn cancel(&self, pause: Duration) {
        while !self.is_over() {
            std::thread::sleep(pause);
            if !self.submits.load(Ordering::Relaxed) {
                continue;
            }
            let task = self.next.fetch_add(1, Ordering::Relaxed) + (1 << 42);
            let submit = serde_json::to_string(&Command::submit(TaskSpec::new(TaskId::new(task), "never"))).unwrap();
            let cancel = TaskCommand::Cancel { task: TaskId::new(task), reason: "test".into() };
            let cancel = serde_json::to_string(&Command::from(cancel)).unwrap();
            let mut turn = task as usize;
            for (body, is_cancel) in [(submit, false), (cancel, true)] {
                loop {
                    turn += 1;
                    let tried = Instant::now();
                    match self.attempt(&body, turn) {
                        Tried::Done if is_cancel => drop(self.cancelled.lock().unwrap().insert(task)),
                        Tried::Done => {}
                        Tried::Failed => self.failed.lock().unwrap().push(tried),
                        Tried::Refused if self.is_over() => return,
                        Tried::Refused => {
                            std::thread::sleep(Duration::from_millis(20));
                            continue;
                        }
                    }
                    break;
                }
            }
        }
    }

    /// A caller that submits one task after another.
    pub fn call(&self, caller: usize, pause: Duration) {
        while !self.is_over() {
            std::thread::sleep(pause);
            if self.submits.load(Ordering::Relaxed) {
                let id = self.next.fetch_add(1, Ordering::Relaxed);
                let failures = self.submit(id, caller + id as usize);
                self.failed.lock().unwrap().extend(failures);
            }
        }
    }

    /// An agent: it connects to a node, performs what it gets, and connects to the next when that one does not answer.
    pub fn work(&self, agent: u64) {
        let spec = AgentSpec::new(AgentId::new(agent)).with_skill("pay", 1).with_capacity(1);
        let spec = serde_json::to_string(&spec).unwrap();
        let mut turn = agent as usize;
        while !self.is_over() {
            turn += 1;
            let Some(node) = self.node(turn) else {
                std::thread::sleep(Duration::from_millis(50));
                continue;
            };
            if let Ok((204, _)) = request(&node, "POST", "/v1/agents", &spec) {
                while !self.is_over() && self.serve(&node, agent) {}
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn serve(&self, node: &str, agent: u64) -> bool {
        let Ok((status, body)) = request(node, "POST", &format!("/v1/agents/{agent}/next?wait_ms=2000"), "") else {
            return false;
        };
        match status {
            204 => return true,
            200 => {}
            _ => return false,
        }
        let work: Value = serde_json::from_str(&body).unwrap();
        let task = work["task"]["id"].as_u64().unwrap();
        // The effect. It comes before the result, so a repeated attempt requests it again under the same key.
        self.ledger.record(work["key"].as_str().unwrap(), task);
        let ended = serde_json::json!({ "attempt": work["attempt"], "output": task }).to_string();
        matches!(request(node, "POST", &format!("/v1/agents/{agent}/ended"), &ended), Ok((204, _)))
    }

    /// The tries that have failed of those that began since a time. Earlier ones may fail later: a node waits for an answer.
    pub fn failed_since(&self, since: Instant) -> usize {
        self.failed.lock().unwrap().iter().filter(|at| **at >= since).count()
    }

    /// The submissions since a time: how many, the median, the 99th percentile and the longest.
    pub fn latency_since(&self, since: Instant) -> (usize, [Duration; 3]) {
        let latencies = self.latencies.lock().unwrap();
        let mut all: Vec<Duration> = latencies.iter().filter(|(at, _)| *at >= since).map(|(_, taken)| *taken).collect();
        all.sort();
        let at = |part: usize| all.get((all.len().saturating_sub(1)) * part / 100).copied().unwrap_or_default();
        (all.len(), [at(50), at(99), at(100)])
    }
}
