//! A node as a state machine, without I/O: messages, results of the store and the time in; messages and work for the store out.
//!
//! The same machine runs in a process ([`NodeHost`](crate::NodeHost)) and in the simulation of deployments in virtual time.
//!
//! Entries of all shards of a node are stored together: while one group is being stored, the next one is collected. Whatever a
//! node says about a shard, also a rejection or a reading, is sent only after the store has confirmed that the node is still the
//! writer of the shard's journal.

mod agents;
mod calls;
mod hosting;
mod shard;

pub use calls::{Answer, CallError};

use crate::message::{Envelope, Message, Request, VERSION, View, Work};
use crate::store::Append;
use calls::Calls;
use counterpoint::cluster::{
    Digest, Home, HomeEffect, HomeRules, Hosting, Instructions, NodeId, Report, Session, ShardId, Shards,
};
use counterpoint::journal::{AppendError, Epoch};
use counterpoint::task::JournalId;
use counterpoint::{AgentCommand, AgentId, AgentSpec, AttemptId, Config, Engine, Name, Seq, Time};
use shard::Served;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The settings of a node.
#[derive(Clone)]
#[non_exhaustive]
pub struct NodeRules {
    /// The configuration of each engine; the same on all nodes. Ids are partitioned in any case, and the environment is that of the
    /// [deployment](crate::Deployment::environment): a task that another node attempts again has the same idempotency key.
    pub config: Arc<dyn Fn(ShardId) -> Config + Send + Sync>,
    /// The search for work.
    pub home: HomeRules,
    /// Digests of what waits are sent at most this often, when they have changed. The default is 10 ms.
    pub digest_every: Duration,
    /// Digests with waiting tasks are sent again after this time: below the age up to which homes use them. The default is 200 ms.
    pub digest_again: Duration,
    /// How often a home vouches for its agents: at least three times per lease of an agent. The default is 1 s.
    pub vouch_every: Duration,
    /// The lease of agents that have none. The default is 5 s.
    pub agent_lease: Duration,
    /// After this time an unanswered request is sent again, if it may be executed twice. The default is 500 ms.
    pub repeat_after: Duration,
    /// A shard stores a snapshot after this number of entries. The default is 20,000.
    pub snapshot_every: u64,
    /// With fewer entries since the last snapshot, a shard is handed over without another one. The default is 500.
    pub short_tail: u64,
    /// The most calls under way. The default is 10,000.
    pub most_calls: usize,
    /// How long a node that ends stays after it has given its shards away. Requests that were sent to it before their senders knew are
    /// refused meanwhile, so that they are sent to the present hosts; without an answer, a command that must not be executed twice
    /// ends as unknown. Other nodes ask the directory at least every sixth of a lease. The default is 1 s.
    pub linger: Duration,
    /// A clock that is read for the time since some moment, in place of the monotonic clock of the machine. A step backwards counts
    /// as no progress.
    pub clock: Option<Arc<dyn Fn() -> Duration + Send + Sync>>,
}

impl Default for NodeRules {
    fn default() -> Self {
        Self {
            config: Arc::new(|_| Config::default()),
            home: HomeRules::default().with_digest_age(Duration::from_millis(500)),
            digest_every: Duration::from_millis(10),
            digest_again: Duration::from_millis(200),
            vouch_every: Duration::from_secs(1),
            agent_lease: Duration::from_secs(5),
            repeat_after: Duration::from_millis(500),
            snapshot_every: 20_000,
            short_tail: 500,
            most_calls: 10_000,
            linger: Duration::from_secs(1),
            clock: None,
        }
    }
}

impl NodeRules {
    /// Sets the configuration of the engines.
    #[must_use]
    pub fn with_config(mut self, config: impl Fn(ShardId) -> Config + Send + Sync + 'static) -> Self {
        self.config = Arc::new(config);
        self
    }

    /// Sets the lease of agents that have none, and how often homes vouch: four times per lease.
    #[must_use]
    pub fn with_agent_lease(mut self, lease: Duration) -> Self {
        self.agent_lease = lease;
        self.vouch_every = lease / 4;
        self
    }

    /// Sets after how many entries a shard stores a snapshot; 0 counts as one.
    #[must_use]
    pub const fn with_snapshot_every(mut self, entries: u64) -> Self {
        self.snapshot_every = if entries == 0 { 1 } else { entries };
        self
    }

    /// Sets how long a node that ends stays after it has given its shards away.
    #[must_use]
    pub const fn with_linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// Sets a clock in place of the monotonic clock of the machine.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Sets the search for work.
    #[must_use]
    pub fn with_home(mut self, rules: HomeRules) -> Self {
        self.home = rules;
        self
    }

    /// The same settings for engines of an environment.
    pub(crate) fn within(mut self, environment: &str) -> Self {
        let (config, environment) = (self.config, Name::from(environment));
        self.config = Arc::new(move |shard| config(shard).with_environment(environment.clone()));
        self
    }

    /// The configuration of an engine.
    #[must_use]
    pub fn config(&self, shard: ShardId) -> Config {
        (self.config)(shard).with_partitioned_ids()
    }
}

impl fmt::Debug for NodeRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeRules").field("home", &self.home).finish_non_exhaustive()
    }
}

/// What happens to a node.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input {
    /// A message has arrived.
    Message {
        /// Its sender.
        from: NodeId,
        /// Its content.
        message: Message,
    },
    /// A caller in this process requests something.
    Call {
        /// Recognises the answer.
        ticket: u64,
        /// The request.
        request: Request,
        /// How long the caller waits.
        patience: Duration,
    },
    /// An agent has connected to this node.
    Connect {
        /// The agent.
        agent: AgentSpec,
        /// A session from the store.
        session: Session,
    },
    /// An agent has disconnected. Nothing happens if it has a later session here.
    Disconnect {
        /// The agent.
        agent: AgentId,
        /// The session that has ended.
        session: Session,
    },
    /// An agent of this node has ended an attempt: with a completion, a failure, or a yield.
    Ended {
        /// The agent.
        agent: AgentId,
        /// The attempt.
        attempt: AttemptId,
        /// The result.
        result: AgentCommand,
    },
    /// A report has been answered.
    Directed {
        /// Where shards are.
        view: View,
        /// What nodes are to do.
        instructions: Vec<Instructions>,
        /// Whether the report has changed where shards are.
        changed: bool,
    },
    /// The journal of a shard was taken over and its engine restored, or not.
    TakenOver {
        /// The shard.
        shard: ShardId,
        /// The epoch and the engine, on which nothing was called since it was restored; None if it failed.
        engine: Option<(Epoch, Box<Engine>)>,
    },
    /// A snapshot of a shard was stored, or could not be.
    Kept {
        /// The shard.
        shard: ShardId,
    },
    /// The results of an append.
    Stored {
        /// The results, in the order of the shards.
        results: Vec<Result<(), AppendError>>,
    },
    /// Drains the node, or ends that.
    Weight(u32),
    /// Nothing: the time has come that the node asked for.
    Tick,
}

/// What the host of a node must do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output {
    /// Send a message. It may be lost.
    Send(Envelope),
    /// Answer a caller in this process.
    Answer {
        /// That of the call.
        ticket: u64,
        /// The answer.
        answer: Result<Answer, CallError>,
    },
    /// Append, then pass in the results. There is one append at a time.
    Append(Vec<Append>),
    /// Take over the journal of a shard and restore the engine with [`NodeRules::config`], then pass in the result.
    TakeOver(ShardId),
    /// Drop an engine, which may take a while.
    Discard(Box<Engine>),
    /// Store a snapshot, then pass in that it was kept, also if it could not be.
    Snapshot {
        /// The shard.
        shard: ShardId,
        /// The epoch of the journal.
        epoch: Epoch,
        /// The last entry that it covers.
        at: Seq,
        /// The state.
        state: Box<counterpoint::engine::EngineSnapshot>,
    },
    /// Report to the directory soon.
    Report,
    /// Let an agent of this node begin an attempt.
    Begin {
        /// The agent.
        agent: AgentId,
        /// The attempt.
        work: Box<Work>,
    },
    /// Let an agent of this node end an attempt early, if it can.
    End {
        /// The agent.
        agent: AgentId,
        /// The attempt.
        attempt: AttemptId,
    },
    /// An agent has connected elsewhere, or cannot connect: what it does counts no longer.
    Closed {
        /// The agent.
        agent: AgentId,
        /// The session that is over. A later one is not.
        session: Session,
        /// Why.
        reason: String,
    },
    /// Something that an operator may want to know.
    Note(String),
}

/// What a node has counted since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct NodeCounts {
    /// Messages sent to other nodes.
    pub sent: u64,
    /// Messages received from other nodes.
    pub received: u64,
    /// Appends: round trips to the store.
    pub appends: u64,
    /// Entries that were stored.
    pub entries: u64,
    /// Appends of shards that were fenced.
    pub fenced: u64,
    /// Attempts begun by agents of this node.
    pub begun: u64,
    /// Shards taken over.
    pub takeovers: u64,
}

/// A node.
pub struct Node {
    id: NodeId,
    deployment: String,
    journal: JournalId,
    shards: Shards,
    rules: NodeRules,
    now: Time,
    hosting: Hosting,
    served: BTreeMap<ShardId, Served>,
    /// The shards whose entries are being stored, in order.
    storing: Vec<ShardId>,
    home: Home,
    /// What the attempts of a poll's answer are, until the home begins them.
    arrived: BTreeMap<AttemptId, Work>,
    results: BTreeMap<AttemptId, AgentCommand>,
    view: View,
    hosts: BTreeMap<ShardId, (NodeId, Epoch)>,
    /// What nodes have sent about their shards, and the view does not contain.
    told: BTreeMap<ShardId, (NodeId, Epoch)>,
    /// The last known epoch of each shard.
    epochs: BTreeMap<ShardId, Epoch>,
    calls: Calls,
    /// Messages to this node itself.
    own: VecDeque<Message>,
    digests_due: Option<Time>,
    vouch_due: Time,
    counts: NodeCounts,
    effects: Vec<HomeEffect>,
}

impl Node {
    /// A node that has joined a deployment.
    #[must_use]
    pub fn new(id: NodeId, deployment: String, shards: Shards, rules: NodeRules) -> Self {
        let home = Home::new(rules.home.clone(), id.get());
        let journal = JournalId::from_name(&deployment);
        Self {
            id,
            deployment,
            journal,
            shards,
            now: Time::ZERO,
            hosting: Hosting::new(id, shards),
            served: BTreeMap::new(),
            storing: Vec::new(),
            home,
            arrived: BTreeMap::new(),
            results: BTreeMap::new(),
            view: View::default(),
            hosts: BTreeMap::new(),
            told: BTreeMap::new(),
            epochs: BTreeMap::new(),
            calls: Calls::default(),
            own: VecDeque::new(),
            digests_due: None,
            vouch_due: Time::ZERO,
            counts: NodeCounts::default(),
            effects: Vec::new(),
            rules,
        }
    }

    /// Its number.
    #[must_use]
    pub const fn id(&self) -> NodeId {
        self.id
    }

    /// What it has counted.
    #[must_use]
    pub const fn counts(&self) -> NodeCounts {
        self.counts
    }

    /// Where it believes shards to be.
    #[must_use]
    pub const fn view(&self) -> &View {
        &self.view
    }

    /// The state of its shards.
    #[must_use]
    pub const fn hosting(&self) -> &Hosting {
        &self.hosting
    }

    /// The next report for the directory.
    pub fn report(&mut self) -> Report {
        self.hosting.report()
    }

    /// The engine of a shard that it serves.
    #[must_use]
    pub fn engine(&self, shard: ShardId) -> Option<&Engine> {
        self.served.get(&shard).map(|served| &served.engine)
    }

    /// The attempts that an agent of this node performs.
    pub fn running(&self, agent: AgentId) -> impl Iterator<Item = AttemptId> {
        self.home.running(agent)
    }

    /// Checks the invariants of its parts. For tests.
    ///
    /// # Errors
    ///
    /// A description of the first broken one.
    pub fn check(&self) -> Result<(), String> {
        self.home.check()?;
        for (shard, served) in &self.served {
            served.engine.check().map_err(|broken| format!("{shard}: {broken}"))?;
        }
        Ok(())
    }

    /// Takes an input. The time is that of the store, as far as the host knows it; an earlier one counts as the last.
    pub fn take(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        self.now = self.now.max(now);
        self.dispatch(input, out);
        while let Some(message) = self.own.pop_front() {
            self.message(self.id, message, out);
        }
    }

    /// Completes what a group of inputs has begun: fires timers, stores what can be stored, and sends digests. To be called when
    /// no input waits, and before the host waits.
    pub fn settle(&mut self, now: Time, out: &mut Vec<Output>) {
        self.now = self.now.max(now);
        self.timers(out);
        while let Some(message) = self.own.pop_front() {
            self.message(self.id, message, out);
        }
        self.publish(out);
        while let Some(message) = self.own.pop_front() {
            self.message(self.id, message, out);
        }
        self.flush(out);
    }

    /// When the node must be called again.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Time> {
        let engines = self.served.values().filter_map(Served::next_wakeup);
        let others = [self.home.next_wakeup(), self.calls.next_wakeup(), self.digests_due, Some(self.vouch_due)];
        engines.chain(others.into_iter().flatten()).min()
    }

    fn dispatch(&mut self, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Message { from, message } => {
                self.counts.received += 1;
                self.message(from, message, out);
            }
            Input::Call { ticket, request, patience } => self.call(ticket, request, patience, out),
            Input::Connect { agent, session } => self.connect(agent, session, out),
            Input::Disconnect { agent, session } => {
                if self.home.session(agent) == Some(session) {
                    let _unknown = self.home.disconnect(self.now, agent, &mut self.effects);
                    self.perform(out);
                }
            }
            Input::Ended { agent, attempt, result } => self.ended(agent, attempt, result, out),
            Input::Directed { view, instructions, changed } => self.directed(view, instructions, changed, out),
            Input::TakenOver { shard, engine } => self.taken_over(shard, engine, out),
            Input::Kept { shard } => self.kept(shard, out),
            Input::Stored { results } => self.stored(results, out),
            Input::Weight(weight) => {
                self.hosting.set_weight(weight);
                out.push(Output::Report);
            }
            Input::Tick => {}
        }
    }

    fn message(&mut self, from: NodeId, message: Message, out: &mut Vec<Output>) {
        match message {
            Message::View(view) => self.look(view, out),
            Message::Instructions(instructions) => self.instruct(&instructions, out),
            Message::Released { shard, epoch } => self.handed_over(shard, epoch, out),
            Message::Serving { shard, epoch } => self.serving(from, shard, epoch, out),
            Message::Digests(mut digests) => {
                let count = digests.len();
                digests.retain(|digest| self.shards.shard(digest.shard.get()).is_ok());
                if digests.len() < count {
                    out.push(Output::Note(format!("{from} tells of shards that do not exist")));
                }
                self.home.digests(self.now, digests, &mut self.effects);
                self.perform(out);
            }
            Message::Poll(poll) => self.polled(from, poll, out),
            Message::Assigned { answer, work } => self.assigned(&answer, work, out),
            Message::Replaced { poll, known } => self.replaced(&poll, known, out),
            Message::Result { shard, epoch, result } => self.result(from, shard, epoch, result),
            Message::Confirmed { agent, attempt } => {
                if self.home.confirmed(self.now, agent, attempt).is_ok() {
                    self.results.remove(&attempt);
                }
            }
            Message::Leave { shard, agent, session } => {
                if let Some(served) = self.served.get_mut(&shard) {
                    served.leave(self.now, agent, session);
                }
            }
            Message::Vouch { shard, sessions } => {
                if let Some(served) = self.served.get_mut(&shard) {
                    served.vouch(self.now, &sessions);
                }
            }
            Message::End { agent, attempt } => out.push(Output::End { agent, attempt }),
            Message::Request { id, shard, request } => self.requested(from, id, shard, request, out),
            Message::Response { id, shard, response } => self.responded(from, id, shard, response, out),
        }
    }

    /// Sends a message. One to this node itself is taken when the present input is done.
    fn send(&mut self, to: NodeId, message: Message, out: &mut Vec<Output>) {
        if to == self.id {
            self.own.push_back(message);
            return;
        }
        self.counts.sent += 1;
        let (deployment, from) = (self.deployment.clone(), self.id);
        out.push(Output::Send(Envelope { version: VERSION, deployment, from, to, message }));
    }

    /// Sends a message to all nodes, this one included.
    fn broadcast(&mut self, message: &Message, out: &mut Vec<Output>) {
        let nodes: Vec<NodeId> =
            self.view.nodes.iter().map(|(node, _)| *node).filter(|node| *node != self.id).collect();
        for node in nodes {
            self.send(node, message.clone(), out);
        }
        self.own.push_back(message.clone());
    }

    fn timers(&mut self, out: &mut Vec<Output>) {
        for served in self.served.values_mut() {
            served.tick(self.now);
        }
        if self.home.next_wakeup().is_some_and(|due| due <= self.now) {
            self.home.tick(self.now, &mut self.effects);
            self.perform(out);
        }
        self.repeat_calls(out);
        if self.vouch_due <= self.now {
            self.vouch_due = self.now + self.rules.vouch_every;
            for (shard, sessions) in self.home.sessions() {
                if let Some((node, _)) = self.hosts.get(&shard).copied() {
                    self.send(node, Message::Vouch { shard, sessions }, out);
                }
            }
        }
    }

    /// Sends the digests that have changed or are to be repeated.
    fn publish(&mut self, out: &mut Vec<Output>) {
        // Whatever has changed them: commands, timers, leases of agents that have ended.
        if self.served.values().any(|served| served.is_dirty && !served.is_leaving) {
            let soon = self.now + self.rules.digest_every;
            self.digests_due = Some(self.digests_due.map_or(soon, |due| due.min(soon)));
        }
        if self.digests_due.is_some_and(|due| due > self.now) {
            return;
        }
        let again = self.rules.digest_again;
        let digests: Vec<Digest> =
            self.served.values_mut().filter_map(|served| served.digest(self.now, again)).collect();
        // Until then what changes is collected, and what still waits is repeated.
        self.digests_due = Some(self.now + if digests.is_empty() { again } else { self.rules.digest_every });
        if !digests.is_empty() {
            self.broadcast(&Message::Digests(digests), out);
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("id", &self.id).field("shards", &self.served.len()).finish_non_exhaustive()
    }
}
