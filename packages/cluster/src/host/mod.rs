//! A node in a process: threads around the machine.
//!
//! | thread | does |
//! |---|---|
//! | node | the machine: all engines of the node, one core |
//! | store | appends, one statement at a time for all shards |
//! | directory | reports and their answers |
//! | takeover (4) | reads journals, restores engines, stores snapshots |
//! | one for each slot of each agent in this process | the work |

mod agents;
mod threads;

pub use agents::{AgentHandle, Assignment};

use crate::message::Request;
use crate::node::{Answer, CallError, Input, Node, NodeCounts, NodeRules};
use crate::store::{Deployment, Store, StoreError};
use crate::transport::{Inbox, Transport};
use agents::{Agents, Slot};
use counterpoint::cluster::{NodeId, ShardId, Stage};
use counterpoint::{AgentSpec, Command, Failure, Payload, Time};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use threads::Loop;

/// The most inputs that wait for the node.
const INBOX: usize = 20_000;

/// A node of a deployment in this process: it hosts shards, executes the commands of callers anywhere in the deployment, and
/// connects agents.
///
/// A handle; the node ends when [`shut_down`](Self::shut_down) is called or the last handle is dropped.
///
/// ```
/// use counterpoint::cluster::Shards;
/// use counterpoint::{AgentId, AgentSpec, Command, TaskId, TaskSpec};
/// use counterpoint_cluster::{Deployment, MemoryNetwork, MemoryStore, NodeHost, NodeRules, Request};
/// use std::time::Duration;
///
/// let (store, network) = (MemoryStore::default(), MemoryNetwork::default());
/// let deployment = Deployment::new(Shards::new(4)?);
/// let start = || NodeHost::start(&deployment, Box::new(store.clone()), NodeRules::default(), |inbox| Ok(network.join(inbox)));
/// let (one, other) = (start()?, start()?);
/// one.add_agent(AgentSpec::new(AgentId::new(1)).with_skill("greet", 1), |work, _| Ok(work.task.payload.clone()))?;
/// let patience = Duration::from_secs(10);
/// // Any node takes commands for every shard.
/// other.command(Command::submit(TaskSpec::new(TaskId::new(7), "greet")), patience)?;
/// let ended = other.wait_for_task(TaskId::new(7), patience)?;
/// assert!(ended.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct NodeHost {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What the threads of a node share.
pub(crate) struct Shared {
    pub(crate) node: NodeId,
    inputs: SyncSender<Input>,
    tickets: AtomicU64,
    calls: Mutex<BTreeMap<u64, SyncSender<Result<Answer, CallError>>>>,
    agents: Mutex<Agents>,
    sessions: Mutex<Box<dyn Store>>,
    transport: Box<dyn Transport>,
    is_over: AtomicBool,
    /// Whether the node is to end, so that no more agents can connect.
    is_leaving: AtomicBool,
    /// Whether calls are refused, because the node is about to end.
    refuses: AtomicBool,
    linger: Duration,
    state: Mutex<NodeState>,
    notes: Mutex<Vec<String>>,
    clock: Clock,
}

/// What a node tells about itself.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct NodeState {
    /// Its shards.
    pub serving: Vec<ShardId>,
    /// The shards that it is taking over or giving up.
    pub moving: Vec<ShardId>,
    /// Where it believes shards to be.
    pub view: crate::message::View,
    /// What it has counted.
    pub counts: NodeCounts,
    /// Whether its last report was answered.
    pub is_connected: bool,
}

/// The time of the store, as the node knows it: read once, and advanced by a monotonic clock. The wall clock of the machine is
/// not used, so it may jump.
pub(crate) struct Clock {
    read: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// What was read last, and the time then.
    last: Mutex<(Duration, Time)>,
}

impl Clock {
    fn new(epoch: Time, rules: &NodeRules) -> Self {
        let start = Instant::now();
        let read = rules.clock.clone().unwrap_or_else(|| Arc::new(move || start.elapsed()));
        let last = Mutex::new((read(), epoch));
        Self { read, last }
    }

    /// After a step backwards, time goes on from where it was: it would otherwise stand still until the clock has caught up.
    pub(crate) fn now(&self) -> Time {
        let mut last = lock(&self.last);
        let read = (self.read)();
        let now = last.1 + read.saturating_sub(last.0);
        *last = (read, now);
        now
    }
}

impl NodeHost {
    /// Joins a deployment and starts the node. `transport` gets the inbox for what arrives.
    ///
    /// # Errors
    ///
    /// When the store refuses the node or is away, or the transport or a thread cannot be started.
    pub fn start(
        deployment: &Deployment,
        mut store: Box<dyn Store>,
        rules: NodeRules,
        transport: impl FnOnce(Inbox) -> Result<Box<dyn Transport>, String>,
    ) -> Result<Self, StartError> {
        let joined = store.join(deployment)?;
        let rules = rules.within(&deployment.environment);
        let clock = Clock::new(joined.now, &rules);
        let (inputs, waiting) = sync_channel(INBOX);
        let sender = inputs.clone();
        let inbox = Inbox::new(joined.node, &joined.deployment, move |envelope| {
            sender.try_send(Input::Message { from: envelope.from, message: envelope.message }).is_ok()
        });
        let transport = transport(inbox).map_err(StartError::Transport)?;
        let node = Node::new(joined.node, joined.deployment, deployment.shards, rules.clone());
        let shared = Arc::new(Shared {
            node: joined.node,
            inputs,
            tickets: AtomicU64::new(1),
            calls: Mutex::default(),
            agents: Mutex::default(),
            sessions: Mutex::new(store.another()?),
            transport,
            is_over: AtomicBool::new(false),
            is_leaving: AtomicBool::new(false),
            refuses: AtomicBool::new(false),
            linger: rules.linger,
            state: Mutex::default(),
            notes: Mutex::default(),
            clock,
        });
        let threads = Loop::start(node, &shared, waiting, store, rules, deployment.lease)?;
        Ok(Self { shared, threads: Mutex::new(threads) })
    }

    /// The number of the node.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.shared.node
    }

    /// What the node tells about itself; it is renewed a few times per second.
    #[must_use]
    pub fn state(&self) -> NodeState {
        lock(&self.shared.state).clone()
    }

    /// Takes what was noted for operators since the last call: shards that were given up, refused journals.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        core::mem::take(&mut *lock(&self.shared.notes))
    }

    /// Executes a command in the shard that it concerns, or in all, and returns when its consequences are durable.
    ///
    /// While a shard moves, the call waits; a command that may be executed twice (a submission, a start of a run, a definition, a
    /// pause) is repeated until it is answered.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    pub fn command(
        &self,
        command: impl Into<Command>,
        patience: Duration,
    ) -> Result<counterpoint::Accepted, CallError> {
        match self.call(Request::Command(Box::new(command.into())), patience)? {
            Answer::Accepted(accepted) => Ok(accepted),
            _ => Err(CallError::Unknown),
        }
    }

    /// Requests something of a shard, or of all.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    pub fn call(&self, request: Request, patience: Duration) -> Result<Answer, CallError> {
        let (reply, answer) = sync_channel(1);
        let ticket = self.shared.tickets.fetch_add(1, Ordering::Relaxed);
        lock(&self.shared.calls).insert(ticket, reply);
        // Looked at when the call is known, so that a node that ends either waits for it or has refused it.
        let sent = if self.shared.refuses.load(Ordering::SeqCst) {
            Err(TrySendError::Disconnected(Input::Tick))
        } else {
            self.shared.inputs.try_send(Input::Call { ticket, request, patience })
        };
        let result = match sent {
            // The node ends each call in time; a little longer if it is busy.
            Ok(()) => answer.recv_timeout(patience + Duration::from_secs(5)).unwrap_or(Err(CallError::Ended)),
            Err(TrySendError::Full(_)) => Err(CallError::Busy(INBOX)),
            Err(TrySendError::Disconnected(_)) => Err(CallError::Ended),
        };
        lock(&self.shared.calls).remove(&ticket);
        result
    }

    /// Waits for the end of a task, by asking for it again and again. None if it has not ended in time.
    ///
    /// # Errors
    ///
    /// When the task is unknown to its shard ([`CallError::Unavailable`]), or the node has ended.
    pub fn wait_for_task(
        &self,
        task: counterpoint::TaskId,
        patience: Duration,
    ) -> Result<Option<counterpoint::TaskOutcome>, CallError> {
        let until = Instant::now() + patience;
        let mut pause = Duration::from_millis(2);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.call(Request::Task(task), left)? {
                Answer::Task(Some(state)) if state.outcome.is_some() => return Ok(state.outcome),
                Answer::Task(Some(_)) => {}
                _ => return Err(CallError::Unavailable),
            }
            if left.is_zero() {
                return Ok(None);
            }
            std::thread::sleep(pause.min(left));
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }

    /// Connects an agent whose work is done in this process, on a thread for each slot. The function gets the attempt and a flag
    /// that asks it to end early.
    ///
    /// # Errors
    ///
    /// When the store gives no session, or a thread cannot be started.
    pub fn add_agent(
        &self,
        spec: AgentSpec,
        perform: impl Fn(&crate::message::Work, &Assignment) -> Result<Payload, Failure> + Send + Sync + 'static,
    ) -> Result<(), StoreError> {
        let slots = spec.slots();
        let handle = self.connect(spec)?;
        let perform = Arc::new(perform);
        for _ in 0..slots {
            let (handle, perform) = (handle.clone(), Arc::clone(&perform));
            std::thread::Builder::new()
                .name("counterpoint agent".into())
                .spawn(move || {
                    while let Some(assignment) = handle.next(Duration::from_secs(3_600)) {
                        let result = perform(assignment.work(), &assignment);
                        assignment.end(result);
                    }
                })
                .map_err(|error| StoreError::Away(error.to_string()))?;
        }
        Ok(())
    }

    /// Connects an agent whose work is fetched with the handle: for agents elsewhere. A connection of the same agent here or at
    /// another node ends.
    ///
    /// # Errors
    ///
    /// When the store gives no session, or the node is ending.
    pub fn connect(&self, spec: AgentSpec) -> Result<AgentHandle, StoreError> {
        if self.shared.is_leaving.load(Ordering::SeqCst) {
            return Err(StoreError::Away("the node is ending: connect to another one".into()));
        }
        let session = lock(&self.shared.sessions).session()?;
        let slot = Arc::new(Slot::new(session));
        if let Some(earlier) = lock(&self.shared.agents).open.insert(spec.id, Arc::clone(&slot)) {
            earlier.close();
        }
        let agent = spec.id;
        let input = Input::Connect { agent: spec, session };
        self.shared.inputs.send(input).map_err(|_| StoreError::Away("the node has ended".into()))?;
        Ok(AgentHandle::new(agent, slot, Arc::clone(&self.shared)))
    }

    /// Drains the node: its shards move to others, if there are others. Calls and agents continue.
    pub fn drain(&self) {
        let _ended = self.shared.inputs.send(Input::Weight(0));
    }

    /// Moves a shard to a node.
    ///
    /// # Errors
    ///
    /// When the shard or the node does not exist, or the store is away.
    pub fn relocate(&self, shard: ShardId, to: NodeId) -> Result<(), StoreError> {
        let directed = lock(&self.shared.sessions).relocate(shard, to)?;
        let input =
            Input::Directed { view: directed.view, instructions: directed.instructions, changed: directed.changed };
        self.shared.inputs.send(input).map_err(|_| StoreError::Away("the node has ended".into()))
    }

    /// Drains the node, waits until it serves no shard, or no longer than the patience, and ends it. Attempts of its agents that
    /// have not ended are given to others. Then the node stays for [`NodeRules::linger`]: it refuses late requests of other nodes,
    /// so that these are sent to the present hosts, and passes on the calls of this process. Calls after that end with
    /// [`CallError::Ended`]; those under way are waited for within the patience. With `patience` zero the node ends at once: its
    /// shards are taken over when its lease is over.
    pub fn shut_down(&self, patience: Duration) {
        let until = Instant::now() + patience;
        if !patience.is_zero() {
            self.shared.is_leaving.store(true, Ordering::SeqCst);
            self.drain();
        }
        while Instant::now() < until && !self.shared.is_over.load(Ordering::Relaxed) {
            let state = self.state();
            let others = state.view.nodes.iter().any(|(node, _)| *node != self.shared.node);
            if (state.serving.is_empty() && state.moving.is_empty()) || !others {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        if !patience.is_zero() {
            self.disconnect_agents();
            self.linger(until);
        }
        self.end();
        for thread in lock(&self.threads).drain(..) {
            let _ended = thread.join();
        }
    }

    /// Tells the shards that the agents have gone, so that they do not wait for their leases.
    fn disconnect_agents(&self) {
        let open = core::mem::take(&mut lock(&self.shared.agents).open);
        for (agent, slot) in open {
            slot.close();
            let _ended = self.shared.inputs.send(Input::Disconnect { agent, session: slot.session });
        }
        // Time for the messages, which may be lost like all others.
        std::thread::sleep(Duration::from_millis(100));
    }

    /// Stays while requests may be under way to this node, and until the calls of this process are answered.
    fn linger(&self, until: Instant) {
        if self.state().view.nodes.iter().any(|(node, _)| *node != self.shared.node) {
            std::thread::sleep(self.shared.linger);
        }
        self.shared.refuses.store(true, Ordering::SeqCst);
        while Instant::now() < until && !lock(&self.shared.calls).is_empty() {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn end(&self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        let _full = self.shared.inputs.try_send(Input::Tick);
        lock(&self.shared.agents).close();
    }
}

impl Drop for NodeHost {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for NodeHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeHost").field("node", &self.shared.node).finish_non_exhaustive()
    }
}

/// A node that does not start.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The store refuses the node, or is away.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The transport cannot be used.
    #[error("the transport cannot be used: {0}")]
    Transport(String),
    /// A thread cannot be started.
    #[error("a thread cannot be started: {0}")]
    Thread(String),
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A user's function that panics does so on a thread that holds no lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Receives what waits, or until a time has come.
fn receive(waiting: &Receiver<Input>, due: Duration) -> Result<Input, RecvTimeoutError> {
    if due.is_zero() { waiting.try_recv().map_err(|_| RecvTimeoutError::Timeout) } else { waiting.recv_timeout(due) }
}

impl NodeState {
    fn of(node: &Node, is_connected: bool) -> Self {
        let stages = node.hosting().stages();
        let is_serving = |stage: &Stage| matches!(stage, Stage::Serving { .. });
        let serving = stages.iter().filter(|(_, stage)| is_serving(stage)).map(|(shard, _)| *shard).collect();
        let moving = stages.iter().filter(|(_, stage)| !is_serving(stage)).map(|(shard, _)| *shard).collect();
        Self { serving, moving, view: node.view().clone(), counts: node.counts(), is_connected }
    }
}
