//! The threads of a node.

use super::{NodeState, Shared, StartError, lock, receive};
use crate::node::{Input, Node, NodeRules, Output};
use crate::store::{Append, Store};
use counterpoint::cluster::{Report, ShardId};
use counterpoint::engine::EngineSnapshot;
use counterpoint::journal::{AppendError, Epoch};
use counterpoint::{Engine, Seq};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The number of inputs that are taken before their entries are appended together.
const GROUP: usize = 512;
/// The number of threads that restore engines.
const RESTORERS: usize = 4;
/// The longest wait.
const IDLE: Duration = Duration::from_millis(100);
/// How often the state of the node is told.
const TOLD: Duration = Duration::from_millis(50);
/// The most notes that are kept.
const NOTES: usize = 1_000;

/// Work for the threads that restore.
enum Job {
    TakeOver(ShardId),
    Discard(Box<Engine>),
    Snapshot(ShardId, Epoch, Seq, Box<EngineSnapshot>),
}

/// The thread of the machine.
pub(super) struct Loop {
    node: Node,
    shared: Arc<Shared>,
    waiting: Receiver<Input>,
    appends: Sender<Vec<Append>>,
    jobs: Sender<Job>,
    reports: Sender<Report>,
    /// Whether the directory thread has answered the last report.
    is_reported: Arc<Mutex<Reported>>,
    report_due: Instant,
    report_every: Duration,
    wants_report: bool,
}

/// The state of the last report.
#[derive(Default)]
pub(super) struct Reported {
    is_under_way: bool,
    was_answered: bool,
}

impl Loop {
    pub(super) fn start(
        node: Node,
        shared: &Arc<Shared>,
        waiting: Receiver<Input>,
        store: Box<dyn Store>,
        rules: NodeRules,
        lease: Duration,
    ) -> Result<Vec<JoinHandle<()>>, StartError> {
        let (appends, to_append) = channel();
        let (jobs, to_do) = channel();
        let (reports, to_report) = channel();
        let is_reported = Arc::new(Mutex::new(Reported::default()));
        let mut threads = Vec::new();
        let directory = store.another()?;
        let to_do = Arc::new(Mutex::new(to_do));
        for _ in 0..RESTORERS {
            let (store, jobs, shared, rules) =
                (store.another()?, Arc::clone(&to_do), Arc::clone(shared), rules.clone());
            threads.push(spawn("counterpoint restore", move || restore(store, &jobs, &shared, &rules))?);
        }
        let own = Arc::clone(shared);
        threads.push(spawn("counterpoint store", move || append(store, &to_append, &own))?);
        let (own, reported) = (Arc::clone(shared), Arc::clone(&is_reported));
        threads.push(spawn("counterpoint directory", move || report(directory, &to_report, &own, &reported))?);
        let own = Self {
            node,
            shared: Arc::clone(shared),
            waiting,
            appends,
            jobs,
            reports,
            is_reported,
            report_due: Instant::now(),
            report_every: lease / 6,
            wants_report: true,
        };
        threads.push(spawn("counterpoint node", move || own.work())?);
        Ok(threads)
    }

    fn work(mut self) {
        let mut out = Vec::new();
        let mut told = Instant::now();
        while !self.shared.is_over.load(Ordering::Relaxed) {
            let now = self.shared.clock.now();
            self.node.settle(now, &mut out);
            self.perform(&mut out);
            self.report();
            if told.elapsed() > TOLD {
                told = Instant::now();
                let is_connected = lock(&self.is_reported).was_answered;
                *lock(&self.shared.state) = NodeState::of(&self.node, is_connected);
            }
            let due = self.node.next_wakeup().map_or(IDLE, |at| at.since(self.shared.clock.now()).min(IDLE));
            let first = match receive(&self.waiting, due) {
                Ok(input) => input,
                Err(RecvTimeoutError::Timeout) => Input::Tick,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let now = self.shared.clock.now();
            self.node.take(now, first, &mut out);
            for _ in 1..GROUP {
                let Ok(input) = self.waiting.try_recv() else { break };
                self.node.take(now, input, &mut out);
            }
            self.perform(&mut out);
        }
    }

    fn perform(&mut self, out: &mut Vec<Output>) {
        for output in out.drain(..) {
            match output {
                Output::Send(envelope) => {
                    let address = self.node.view().nodes.iter().find(|(node, _)| *node == envelope.to);
                    if let Some((node, address)) = address {
                        self.shared.transport.send(*node, address, envelope.bytes());
                    }
                }
                Output::Answer { ticket, answer } => {
                    if let Some(reply) = lock(&self.shared.calls).remove(&ticket) {
                        let _gone = reply.try_send(answer);
                    }
                }
                Output::Append(appends) => drop(self.appends.send(appends)),
                Output::TakeOver(shard) => drop(self.jobs.send(Job::TakeOver(shard))),
                Output::Discard(engine) => drop(self.jobs.send(Job::Discard(engine))),
                Output::Snapshot { shard, epoch, at, state } => {
                    drop(self.jobs.send(Job::Snapshot(shard, epoch, at, state)));
                }
                Output::Report => self.wants_report = true,
                Output::Begin { agent, work } => {
                    if let Some(slot) = lock(&self.shared.agents).open.get(&agent) {
                        slot.begin(*work);
                    }
                }
                Output::End { agent, attempt } => {
                    if let Some(slot) = lock(&self.shared.agents).open.get(&agent) {
                        slot.end(attempt);
                    }
                }
                Output::Closed { agent, session, reason } => {
                    let mut agents = lock(&self.shared.agents);
                    if let Some(slot) = agents.open.get(&agent).filter(|slot| slot.session == session) {
                        slot.close();
                        agents.open.remove(&agent);
                    }
                    drop(agents);
                    self.shared.note(format!("agent {agent}: {reason}"));
                }
                Output::Note(note) => self.shared.note(note),
            }
        }
    }

    /// Reports, if something has changed or the time has come, and no report is under way.
    fn report(&mut self) {
        if !self.wants_report && Instant::now() < self.report_due {
            return;
        }
        let mut state = lock(&self.is_reported);
        if state.is_under_way {
            return;
        }
        state.is_under_way = true;
        drop(state);
        self.wants_report = false;
        self.report_due = Instant::now() + self.report_every;
        let _ended = self.reports.send(self.node.report());
    }
}

impl Shared {
    pub(super) fn note(&self, note: String) {
        let mut notes = lock(&self.notes);
        if notes.len() < NOTES {
            notes.push(note);
        }
    }

    /// Passes on the result of a thread of this node. The machine takes inputs until it ends, so this waits only for a moment.
    fn pass(&self, input: Input) {
        let _ended = self.inputs.send(input);
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    let spawned = std::thread::Builder::new().name(name.into()).spawn(work);
    spawned.map_err(|error| StartError::Thread(error.to_string()))
}

fn append(mut store: Box<dyn Store>, waiting: &Receiver<Vec<Append>>, shared: &Shared) {
    while let Ok(appends) = waiting.recv() {
        if shared.is_over() {
            return;
        }
        let results = store.append_all(appends);
        // So a node without its store does not try without a pause.
        if results.iter().any(|result| matches!(result, Err(AppendError::Unknown | AppendError::Refused(_)))) {
            std::thread::sleep(Duration::from_millis(50));
        }
        shared.pass(Input::Stored { results });
    }
}

fn report(mut store: Box<dyn Store>, waiting: &Receiver<Report>, shared: &Shared, state: &Mutex<Reported>) {
    let mut known = String::new();
    while let Ok(report) = waiting.recv() {
        if shared.is_over() {
            return;
        }
        let directed = store.report(report, &shared.transport.address());
        let was_answered = directed.is_ok();
        match directed {
            Ok(directed) => {
                known.clear();
                let (view, instructions, changed) = (directed.view, directed.instructions, directed.changed);
                shared.pass(Input::Directed { view, instructions, changed });
            }
            Err(error) => {
                // Each reason is noted once in a row.
                let text = error.to_string();
                if text != known {
                    shared.note(format!("the report was not taken: {text}"));
                    known = text;
                }
            }
        }
        *lock(state) = Reported { is_under_way: false, was_answered };
        shared.pass(Input::Tick);
    }
}

fn restore(mut store: Box<dyn Store>, jobs: &Mutex<Receiver<Job>>, shared: &Shared, rules: &NodeRules) {
    loop {
        let job = lock(jobs).recv();
        let Ok(job) = job else { return };
        if shared.is_over() {
            return;
        }
        match job {
            Job::TakeOver(shard) => {
                let engine = match take_over(&mut *store, shard, rules) {
                    Ok(engine) => Some(engine),
                    Err(reason) => {
                        shared.note(format!("shard {shard} was not taken over: {reason}"));
                        // It is assigned again with the next report.
                        std::thread::sleep(Duration::from_millis(100));
                        None
                    }
                };
                shared.pass(Input::TakenOver { shard, engine });
            }
            Job::Discard(engine) => drop(engine),
            Job::Snapshot(shard, epoch, at, state) => {
                keep(&mut *store, shared, (shard, epoch, at), &state);
                shared.pass(Input::Kept { shard });
            }
        }
    }
}

fn take_over(store: &mut dyn Store, shard: ShardId, rules: &NodeRules) -> Result<(Epoch, Box<Engine>), String> {
    let taken = store.take_over(shard).map_err(|error| error.to_string())?;
    let snapshot: Option<EngineSnapshot> = match &taken.snapshot {
        None => None,
        Some(bytes) => Some(serde_json::from_slice(bytes).map_err(|error| format!("the snapshot: {error}"))?),
    };
    let engine = Engine::restore(rules.config(shard), snapshot.as_ref(), &taken.tail);
    engine.map(|engine| (taken.epoch, Box::new(engine))).map_err(|error| error.to_string())
}

/// Stores a snapshot. Without it the next takeover reads more entries.
fn keep(store: &mut dyn Store, shared: &Shared, (shard, epoch, at): (ShardId, Epoch, Seq), state: &EngineSnapshot) {
    let kept = serde_json::to_vec(state)
        .map_err(|error| error.to_string())
        .and_then(|bytes| store.keep_snapshot(shard, epoch, at, bytes).map_err(|error| error.to_string()));
    if let Err(reason) = kept {
        shared.note(format!("a snapshot of shard {shard} was not stored: {reason}"));
    }
}
