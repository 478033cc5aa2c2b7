//! A deployment in virtual time: the real machines of nodes, a store and a network whose faults are drawn from a seed.

mod agents;
mod draw;
mod faults;
mod ideal;
mod operations;

pub use faults::Faults;
pub use ideal::central;

use counterpoint::cluster::{NodeId, Session, ShardId, Shards, Stage};
use counterpoint::engine::EngineSnapshot;
use counterpoint::journal::{AppendError, Epoch, Takeover};
use counterpoint::message::TaskEvent;
use counterpoint::{
    AttemptId, Command, Config, Engine, Event as Happened, Policy, Random, Retry, TaskId, TaskOutcome, TaskSpec, Tier,
    Time,
};
use counterpoint_cluster::{
    Answer, Append, CallError, Deployment, Envelope, Input, MemoryStore, Node, NodeRules, Output, Request, Store as _,
    Work,
};
pub use faults::Fault;
use ideal::service;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

/// How often a node with little to do may wake up in a second.
const MOST_WAKES: u32 = 2_000;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What a simulation consists of.
#[derive(Debug, Clone)]
pub struct Setup {
    pub seed: u64,
    pub nodes: usize,
    pub shards: u16,
    pub agents: usize,
    pub slots: u32,
    pub tasks: usize,
    /// The mean duration of an attempt.
    pub service: Duration,
    /// The part of the capacity that arriving tasks use.
    pub load: f64,
    pub faults: Faults,
    /// Whether the invariants of all engines are checked now and then.
    pub checks: bool,
    /// After how many entries shards store snapshots.
    pub snapshots: u64,
    /// The interval of digests, and the lease of agents.
    pub digest_every: Duration,
    pub agent_lease: Duration,
    /// After how many seconds agents connect and tasks arrive: when many shards have found their nodes.
    pub start: u64,
    /// What happens at certain times.
    pub plan: Vec<(Duration, Fault)>,
    /// Whether nothing happens that could let a call fail, or end an attempt whose agent stays connected.
    pub strict: bool,
    /// How long callers wait.
    pub patience: Duration,
}

#[derive(Debug)]
enum Event {
    Input(NodeId, Box<Input>),
    Append(NodeId, Vec<Append>),
    TakeOver(NodeId, ShardId),
    Report(NodeId),
    Wake(NodeId),
    Submit(usize),
    Done {
        agent: usize,
        life: u32,
        attempt: AttemptId,
    },
    Connect(usize),
    Fault(Fault),
    Heal(Fault, Option<NodeId>),
    Start,
    Leave(NodeId),
    Ask(ShardId),
    /// A node finds that an agent which has gone is silent.
    Silent(NodeId, usize),
}

struct Process {
    node: Node,
    /// Inputs that have arrived while the process is stopped.
    stopped: Option<Vec<Input>>,
    /// How far its clock is ahead.
    ahead: Duration,
    report_at: Option<Time>,
    wake_at: Option<Time>,
    /// Since when it has woken up how often.
    wakes: (Time, u32),
}

struct Agent {
    home: Option<NodeId>,
    session: Session,
    /// Nodes that do not know yet that the agent has gone, and its session there.
    untold: BTreeMap<NodeId, Session>,
    /// Of its connection: what an earlier one began is over.
    life: u32,
    running: BTreeMap<AttemptId, Work>,
    begun: BTreeSet<AttemptId>,
    busy: Duration,
}

struct Task {
    tier: Tier,
    /// The duration of an attempt.
    service: Duration,
    due: Time,
    acked: bool,
    tries: u64,
}

/// What a simulation has measured.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// The time from a crash until the last shard of the node has a new host.
    pub takeovers: Vec<Duration>,
    /// For how long a task of a higher tier had waited when a lower one began.
    pub inversions: Vec<Duration>,
    pub begun: u64,
    pub messages: u64,
    pub appends: u64,
    pub utilisation: f64,
    pub executions: u64,
    pub makespan: Duration,
    pub fenced: u64,
    /// How many shards each node serves, if something was planned.
    pub served: Vec<(Time, BTreeMap<NodeId, usize>)>,
}

pub struct World {
    setup: Setup,
    now: Time,
    random: Random,
    queue: BinaryHeap<Reverse<(Time, u64)>>,
    events: BTreeMap<u64, Event>,
    number: u64,
    store: MemoryStore,
    processes: BTreeMap<NodeId, Process>,
    agents: Vec<Agent>,
    tasks: Vec<Task>,
    index: BTreeMap<TaskId, usize>,
    /// One-way cuts.
    cuts: BTreeSet<(NodeId, NodeId)>,
    unreachable: BTreeSet<NodeId>,
    /// The task and the node of each submission.
    tickets: BTreeMap<u64, (usize, NodeId)>,
    /// The nodes of commands that must not be executed twice.
    commands: BTreeMap<u64, NodeId>,
    /// Nodes that are being replaced, and since when they serve no shard.
    leaving: BTreeMap<NodeId, Option<Time>>,
    /// Attempts that agents have performed, and whose results are not in a journal yet.
    performed: BTreeMap<AttemptId, usize>,
    /// What is durable.
    submitted: BTreeSet<TaskId>,
    assigned: BTreeSet<AttemptId>,
    ended: BTreeMap<TaskId, u32>,
    waiting: BTreeSet<(Tier, Time, TaskId)>,
    effects: BTreeMap<TaskId, u32>,
    /// Shards of crashed nodes that have no new host, with the time of the crash.
    orphans: BTreeMap<ShardId, (Time, u64)>,
    /// The epoch of the last writer of each shard.
    epochs: BTreeMap<ShardId, Epoch>,
    faults_end: Time,
    pub figures: Figures,
}

impl World {
    pub fn new(setup: &Setup) -> Self {
        let mut world = Self {
            setup: setup.clone(),
            now: Time::from_secs(1),
            random: Random::new(setup.seed, 0),
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            number: 0,
            store: MemoryStore::default(),
            processes: BTreeMap::new(),
            agents: Vec::new(),
            tasks: Vec::new(),
            index: BTreeMap::new(),
            cuts: BTreeSet::new(),
            unreachable: BTreeSet::new(),
            tickets: BTreeMap::new(),
            commands: BTreeMap::new(),
            leaving: BTreeMap::new(),
            performed: BTreeMap::new(),
            submitted: BTreeSet::new(),
            assigned: BTreeSet::new(),
            ended: BTreeMap::new(),
            waiting: BTreeSet::new(),
            effects: BTreeMap::new(),
            orphans: BTreeMap::new(),
            epochs: BTreeMap::new(),
            faults_end: Time::ZERO,
            figures: Figures::default(),
        };
        for _ in 0..setup.nodes {
            world.start_node();
        }
        for agent in 0..setup.agents {
            world.agents.push(Agent {
                home: None,
                session: Session::new(0),
                untold: BTreeMap::new(),
                life: 0,
                running: BTreeMap::new(),
                begun: BTreeSet::new(),
                busy: Duration::ZERO,
            });
            world.after(ms(200) + Duration::from_secs(setup.start - 1), Event::Connect(agent));
        }
        world.plan_tasks();
        world.plan_faults();
        world
    }

    fn plan_tasks(&mut self) {
        let setup = self.setup.clone();
        let capacity = setup.agents as f64 * f64::from(setup.slots) / setup.service.as_secs_f64();
        let mut at = setup.start as f64;
        for task in 0..setup.tasks {
            at += -(1.0 - self.random.unit()).ln() / (capacity * setup.load);
            let tier = [Tier::Critical, Tier::High, Tier::Normal, Tier::Normal, Tier::Low][self.random.below(5)];
            let id = TaskId::new(task as u64 + 1);
            self.index.insert(id, task);
            let service = service(&mut self.random, &setup);
            self.tasks.push(Task { tier, service, due: self.now, acked: false, tries: 0 });
            self.after(Duration::from_secs_f64(at), Event::Submit(task));
        }
        self.faults_end = self.now + Duration::from_secs_f64(at);
    }

    fn start_node(&mut self) {
        self.store.set_time(self.now);
        let deployment = Deployment::new(Shards::new(self.setup.shards).unwrap());
        let Ok(joined) = self.store.join(&deployment) else { return self.after(ms(500), Event::Start) };
        let mut rules =
            NodeRules::default().with_config(|_| Config::default()).with_snapshot_every(self.setup.snapshots);
        rules.short_tail = self.setup.snapshots / 2;
        rules.digest_every = self.setup.digest_every;
        rules.agent_lease = self.setup.agent_lease;
        if !self.setup.checks {
            rules.vouch_every = self.setup.agent_lease / 4;
        }
        let node = Node::new(joined.node, joined.deployment, deployment.shards, rules);
        let process = Process {
            node,
            stopped: None,
            ahead: Duration::ZERO,
            report_at: None,
            wake_at: None,
            wakes: (self.now, 0),
        };
        self.processes.insert(joined.node, process);
        self.plan_report(joined.node, Duration::ZERO);
    }

    fn after(&mut self, delay: Duration, event: Event) {
        self.number += 1;
        self.queue.push(Reverse((self.now + delay, self.number)));
        self.events.insert(self.number, event);
    }

    /// Plays until every task has ended, or much later than that should be.
    pub fn play(&mut self) -> Result<(), String> {
        let limit = self.faults_end + Duration::from_secs(180);
        let mut steps = 0_u64;
        while let Some(Reverse((at, number))) = self.queue.pop() {
            let Some(event) = self.events.remove(&number) else { continue };
            self.now = at;
            self.sample();
            self.step(event)?;
            steps += 1;
            if self.setup.checks && steps.is_multiple_of(200) {
                self.check()?;
            }
            if at >= self.faults_end && self.ended.len() == self.tasks.len() && self.is_quiet() {
                break;
            }
            if at > limit {
                let open = self.tasks.len() - self.ended.len();
                if let Some((attempt, agent)) = self.performed.first_key_value().filter(|_| open == 0) {
                    return Err(format!(
                        "agent {agent} has performed {attempt} and stayed connected; its result is lost"
                    ));
                }
                return Err(format!("{open} tasks are stuck: {:?}", self.open_tasks()));
            }
        }
        self.finish()
    }

    /// Notes how many shards each node serves.
    fn sample(&mut self) {
        if !self.setup.plan.is_empty() && self.figures.served.last().is_none_or(|(at, _)| *at + ms(50) <= self.now) {
            let serving = |process: &Process| {
                let stages = process.node.hosting().stages().values();
                stages.filter(|stage| matches!(stage, Stage::Serving { .. })).count()
            };
            let served = self.processes.iter().map(|(node, process)| (*node, serving(process))).collect();
            self.figures.served.push((self.now, served));
        }
    }

    /// Whether the callers have been answered, and no effect is under way that would not count. A command that waits when all tasks
    /// have ended waits until its patience is over, and has failed.
    fn is_quiet(&self) -> bool {
        let is_open = !self.performed.is_empty() || !self.commands.is_empty();
        self.tasks.iter().all(|task| task.acked) && !(self.setup.strict && is_open)
    }

    fn open_tasks(&self) -> Vec<String> {
        let open = self.index.keys().filter(|id| !self.ended.contains_key(*id)).take(3);
        open.map(|id| {
            let shard =
                Shards::new(self.setup.shards).unwrap().shard_of(counterpoint::cluster::Partition::of_task(*id));
            let views = self.processes.values().filter_map(|process| {
                let engine = process.node.engine(shard)?;
                let agents: Vec<_> =
                    engine.agents().map(|agent| (agent.spec().id, agent.slots(), agent.in_flight())).collect();
                Some(format!(
                    "{:?} {:?} agents {agents:?}",
                    process.node.id(),
                    engine.task(*id).map(|task| task.status())
                ))
            });
            let place = self.store.directory().map(|row| row.directory.place_of(shard));
            format!("{id} {shard} {place:?} {:?}", views.collect::<Vec<_>>())
        })
        .collect()
    }

    fn check(&self) -> Result<(), String> {
        for process in self.processes.values() {
            process.node.check()?;
        }
        self.store.directory().map_or(Ok(()), |row| row.directory.check())
    }

    /// Restores every shard from its journal: each accepted task has ended exactly once, in the journal of its shard.
    fn finish(&mut self) -> Result<(), String> {
        self.check()?;
        let last = self.now;
        for (id, ends) in &self.ended {
            if *ends != 1 {
                return Err(format!("{id} has ended {ends} times"));
            }
        }
        for shard in Shards::new(self.setup.shards).unwrap().all().filter(|_| self.setup.checks) {
            let taken = self.store.take_over(shard).map_err(|error| format!("{shard}: {error}"))?;
            let engine = restore(&taken).map_err(|error| format!("{shard}: {error}"))?;
            engine.check()?;
            Shards::new(self.setup.shards).unwrap().check(shard, &engine).map_err(|error| error.to_string())?;
        }
        for (id, task) in &self.index {
            if self.tasks[*task].acked && !self.submitted.contains(id) {
                return Err(format!("{id} was accepted and is lost"));
            }
            if !self.effects.contains_key(id) {
                return Err(format!("{id} has succeeded without an effect"));
            }
        }
        let busy: f64 = self.agents.iter().map(|agent| agent.busy.as_secs_f64()).sum();
        let span = self.faults_end.since(self.begins()).as_secs_f64();
        self.figures.makespan = last.since(self.begins());
        self.figures.utilisation = busy / (span * self.agents.len() as f64 * f64::from(self.setup.slots));
        self.figures.executions = self.effects.values().map(|count| u64::from(*count)).sum();
        for process in self.processes.values() {
            let counts = process.node.counts();
            self.figures.messages += counts.sent;
            self.figures.appends += counts.appends;
            self.figures.begun += counts.begun;
            self.figures.fenced += counts.fenced;
        }
        Ok(())
    }

    /// When the first tasks arrive.
    fn begins(&self) -> Time {
        Time::from_secs(1 + self.setup.start)
    }

    fn step(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Input(node, input) => self.input(node, *input),
            Event::Append(node, appends) => self.append(node, &appends),
            Event::TakeOver(node, shard) => {
                self.take_over(node, shard);
                Ok(())
            }
            Event::Report(node) => {
                self.report(node);
                Ok(())
            }
            Event::Wake(node) => {
                let Some(process) = self.processes.get_mut(&node) else { return Ok(()) };
                // A wakeup that was put forward is not the one that is planned now.
                if process.wake_at != Some(self.now) {
                    return Ok(());
                }
                process.wake_at = None;
                let (since, count) = &mut process.wakes;
                if self.now.since(*since) > Duration::from_secs(1) {
                    (*since, *count) = (self.now, 0);
                }
                *count += 1;
                if self.setup.checks && *count > MOST_WAKES {
                    return Err(format!("{node} wakes up again and again, and does nothing"));
                }
                self.input(node, Input::Tick)
            }
            Event::Submit(task) => self.submit(task),
            Event::Done { agent, life, attempt } => self.done(agent, life, attempt),
            Event::Connect(agent) => self.connect(agent),
            Event::Fault(fault) => self.break_something(fault),
            Event::Heal(fault, node) => self.heal(fault, node),
            Event::Start => {
                self.start_node();
                Ok(())
            }
            Event::Leave(node) => self.leave(node),
            Event::Ask(shard) => self.ask(shard),
            Event::Silent(node, agent) => self.silent(node, agent),
        }
    }

    fn clock(&self, node: NodeId) -> Time {
        self.processes.get(&node).map_or(self.now, |process| self.now + process.ahead)
    }

    fn input(&mut self, id: NodeId, input: Input) -> Result<(), String> {
        let now = self.clock(id);
        let Some(process) = self.processes.get_mut(&id) else { return Ok(()) };
        if let Some(stopped) = &mut process.stopped {
            stopped.push(input);
            return Ok(());
        }
        let mut out = Vec::new();
        process.node.take(now, input, &mut out);
        process.node.settle(now, &mut out);
        for output in out {
            self.output(id, output)?;
        }
        self.plan_wake(id);
        Ok(())
    }

    fn plan_wake(&mut self, id: NodeId) {
        let now = self.now;
        let Some(process) = self.processes.get_mut(&id) else { return };
        let Some(due) = process.node.next_wakeup() else { return };
        let ahead = process.ahead;
        // At least a little later: a timer that is due has been fired.
        let at = (now + due.since(now + ahead)).max(now + Duration::from_micros(100));
        if process.wake_at != Some(at) {
            process.wake_at = Some(at);
            self.after(at.since(now), Event::Wake(id));
        }
    }

    fn output(&mut self, id: NodeId, output: Output) -> Result<(), String> {
        match output {
            Output::Send(envelope) => self.send(id, envelope),
            Output::Answer { ticket, answer } => {
                let caller = self.tickets.remove(&ticket);
                let is_command = self.commands.remove(&ticket).is_some();
                if let (true, Err(failed)) = (self.setup.strict && (is_command || caller.is_some()), &answer)
                    && !matches!(failed, CallError::Rejected(_))
                {
                    return Err(format!("call {ticket} has failed: {failed}"));
                }
                if let Some((task, _)) = caller
                    && let Ok(Answer::Accepted(_)) = answer
                {
                    let known = TaskId::new(task as u64 + 1);
                    if !self.submitted.contains(&known) {
                        return Err(format!("{known} was accepted before it was durable"));
                    }
                    self.tasks[task].acked = true;
                }
            }
            Output::Append(appends) => {
                let delay = self.random.between(ms(0), ms(2));
                self.after(delay, Event::Append(id, appends));
            }
            Output::TakeOver(shard) => {
                let delay = self.random.between(ms(2), ms(20));
                self.after(delay, Event::TakeOver(id, shard));
            }
            Output::Snapshot { shard, epoch, at, state } => {
                let state = serde_json::to_vec(&state).expect("a state has a JSON form");
                if !self.unreachable.contains(&id) {
                    let _fenced = self.store.keep_snapshot(shard, epoch, at, state);
                }
                let delay = self.random.between(ms(1), ms(10));
                self.after(delay, Event::Input(id, Box::new(Input::Kept { shard })));
            }
            Output::Report => self.plan_report(id, ms(1)),
            Output::Begin { agent, work } => return self.begin(id, agent, *work),
            Output::Closed { agent, session, .. } => {
                let at = agent.get() as usize - 1;
                if self.agents[at].home != Some(id) {
                    self.agents[at].untold.remove(&id);
                } else if self.agents[at].session == session {
                    self.cut_off(at);
                    self.after(ms(300), Event::Connect(at));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn send(&mut self, from: NodeId, envelope: Envelope) {
        let to = envelope.to;
        let faults = if self.now < self.faults_end { self.setup.faults } else { Faults::default() };
        if self.cuts.contains(&(from, to)) || self.random.below(1_000) < faults.lost {
            return;
        }
        let copies = 1 + usize::from(self.random.below(1_000) < faults.repeated);
        for _ in 0..copies {
            let is_late = self.random.below(1_000) < faults.late;
            let delay = if is_late { self.random.between(ms(5), ms(1_500)) } else { self.random.between(ms(0), ms(2)) };
            let message = if self.setup.checks {
                let bytes = envelope.bytes();
                Envelope::read(&bytes, "memory", to).expect("a message is readable").message
            } else {
                envelope.message.clone()
            };
            self.after(delay, Event::Input(to, Box::new(Input::Message { from, message })));
        }
    }

    /// What the store executes is durable, whether or not its answer arrives.
    fn append(&mut self, id: NodeId, appends: &[Append]) -> Result<(), String> {
        if self.unreachable.contains(&id) {
            let results = appends.iter().map(|_| Err(AppendError::Unknown)).collect();
            self.after(ms(500), Event::Input(id, Box::new(Input::Stored { results })));
            return Ok(());
        }
        let mut results = self.store.append_all(appends.to_vec());
        for (append, result) in appends.iter().zip(&results) {
            if result.is_ok() {
                if self.epochs.get(&append.shard).is_some_and(|epoch| *epoch > append.epoch) {
                    return Err(format!(
                        "{id} stores entries of {} at {}, which has ended",
                        append.shard, append.epoch
                    ));
                }
                self.note(append)?;
                // Large deployments keep no journals: nothing is restored in them.
                if !self.setup.checks && self.now > self.begins() + Duration::from_secs(2) {
                    let last = append.entries.last().map_or(append.after, |entry| entry.seq);
                    let _kept = self.store.keep_snapshot(append.shard, append.epoch, last, Vec::new());
                }
            }
        }
        if self.now < self.faults_end && self.random.below(1_000) < self.setup.faults.unknown {
            results = appends.iter().map(|_| Err(AppendError::Unknown)).collect();
        }
        let delay = self.random.between(ms(0), ms(2));
        self.after(delay, Event::Input(id, Box::new(Input::Stored { results })));
        Ok(())
    }

    fn note(&mut self, append: &Append) -> Result<(), String> {
        for entry in &append.entries {
            let Happened::Task { task, event } = &entry.event else { continue };
            let tier = self.index.get(task).map_or(Tier::Normal, |at| self.tasks[*at].tier);
            match event {
                TaskEvent::Submitted { .. } => {
                    if !self.submitted.insert(*task) {
                        return Err(format!("{task} was submitted twice"));
                    }
                    self.waiting.insert((tier, self.now, *task));
                    if let Some(at) = self.index.get(task) {
                        self.tasks[*at].due = self.now;
                    }
                }
                TaskEvent::Succeeded { attempt, .. } => drop(self.performed.remove(&attempt.of(*task))),
                TaskEvent::Assigned { attempt, .. } => {
                    self.assigned.insert(attempt.of(*task));
                    self.begin_waiting(*task, tier);
                }
                _ => {}
            }
            if let Some(outcome) = event.outcome() {
                *self.ended.entry(*task).or_default() += 1;
                if !matches!(outcome, TaskOutcome::Succeeded(_)) {
                    return Err(format!("{task} has ended with {outcome:?}"));
                }
            }
        }
        Ok(())
    }

    /// A task begins: was there one of a higher tier that had to wait?
    fn begin_waiting(&mut self, task: TaskId, tier: Tier) {
        let since = self.index.get(&task).map_or(self.now, |at| self.tasks[*at].due);
        if !self.waiting.remove(&(tier, since, task)) {
            return;
        }
        if let Some((higher, waits, _)) = self.waiting.first()
            && *higher < tier
        {
            self.figures.inversions.push(self.now.since(*waits));
        }
    }

    fn take_over(&mut self, id: NodeId, shard: ShardId) {
        if self.processes.get(&id).is_none_or(|process| process.stopped.is_some()) {
            // A stopped process asks when it continues; here it is simply late.
            return self.after(ms(200), Event::Input(id, Box::new(Input::TakenOver { shard, engine: None })));
        }
        let engine = if self.unreachable.contains(&id) { None } else { self.store.take_over(shard).ok() };
        let engine = engine.map(|taken| {
            self.epochs.insert(shard, taken.epoch);
            let engine = restore(&taken).expect("a journal is whole");
            (taken.epoch, Box::new(engine))
        });
        let delay = self.random.between(ms(1), ms(30));
        self.after(delay, Event::Input(id, Box::new(Input::TakenOver { shard, engine })));
    }

    fn plan_report(&mut self, id: NodeId, delay: Duration) {
        let at = self.now + delay;
        if let Some(process) = self.processes.get_mut(&id)
            && process.report_at.is_none_or(|planned| planned > at)
        {
            process.report_at = Some(at);
            self.after(delay, Event::Report(id));
        }
    }

    fn report(&mut self, id: NodeId) {
        let now = self.now;
        // A report that was put forward is not the one that is planned now.
        let Some(process) = self.processes.get_mut(&id).filter(|process| process.report_at == Some(now)) else {
            return;
        };
        process.report_at = None;
        // The next one comes in any case.
        self.plan_report(id, ms(500));
        let Some(process) = self.processes.get_mut(&id) else { return };
        if process.stopped.is_some() || self.unreachable.contains(&id) {
            return;
        }
        let report = process.node.report();
        self.store.set_time(self.now);
        if let Ok(directed) = self.store.report(report, "") {
            for (shard, ..) in &directed.view.hosts {
                if let Some((since, _)) = self.orphans.remove(shard)
                    && self.orphans.is_empty()
                {
                    self.figures.takeovers.push(self.now.since(since));
                }
            }
            let delay = self.random.between(ms(0), ms(2));
            let input =
                Input::Directed { view: directed.view, instructions: directed.instructions, changed: directed.changed };
            self.after(delay, Event::Input(id, Box::new(input)));
        }
    }

    fn some_node(&mut self) -> Option<NodeId> {
        let live: Vec<NodeId> =
            self.processes.keys().copied().filter(|node| !self.leaving.contains_key(node)).collect();
        if live.is_empty() { None } else { Some(live[self.random.below(live.len())]) }
    }

    fn submit(&mut self, task: usize) -> Result<(), String> {
        if self.tasks[task].acked {
            return Ok(());
        }
        self.tasks[task].tries += 1;
        let patience = self.setup.patience;
        self.after(patience + ms(500), Event::Submit(task));
        let Some(node) = self.some_node() else { return Ok(()) };
        let ticket = task as u64 + (self.tasks[task].tries << 32);
        self.tickets.insert(ticket, (task, node));
        let policy = Policy::default().with_retry(Retry::exponential(50, ms(10), ms(200)));
        let spec =
            TaskSpec::new(TaskId::new(task as u64 + 1), "work").with_tier(self.tasks[task].tier).with_policy(policy);
        let request = Request::Command(Box::new(Command::submit(spec)));
        self.input(node, Input::Call { ticket, request, patience })
    }
}

fn restore(taken: &Takeover) -> Result<Engine, String> {
    let config = Config::default().with_partitioned_ids();
    let snapshot: Option<EngineSnapshot> =
        taken.snapshot.as_ref().map(|bytes| serde_json::from_slice(bytes).expect("a snapshot is readable"));
    Engine::restore(config, snapshot.as_ref(), &taken.tail).map_err(|error| error.to_string())
}
