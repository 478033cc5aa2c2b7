//! The scheduler and the model side by side.

use super::state::Model;
use super::verdict::without_advice;
use counterpoint::message::{AgentEvent, TaskEvent};
use counterpoint::routing::{ByPriority, Custom, FirstCapable, LeastLoaded, RoundRobin};
use counterpoint::scheduler::Discipline;
use counterpoint::{
    Accepted, AgentCommand, AgentId, Command, Config, Effect, Entry, Event, FailureKind, Incarnation, Limits, Outbox,
    Rejected, Scheduler, TaskId, Time,
};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routing {
    First,
    Turn,
    Load,
    Priority,
    Highest,
}

/// How both are set up.
#[derive(Debug, Clone)]
pub struct Setup {
    pub seed: u64,
    pub discipline: Discipline,
    pub routing: Routing,
    pub limits: Limits,
}

impl Setup {
    pub fn new(seed: u64, discipline: Discipline, routing: Routing) -> Self {
        let mut limits = Limits::default()
            .with_active_tasks(7)
            .with(|limits| limits.tasks.urgent = 2)
            .with_agents(3)
            .with(|limits| limits.retention.dead_letters = 2)
            .with_finished_tasks(3)
            .with_payload_bytes(40)
            .with_payload_depth(3)
            .with_cancel_grace(Duration::from_millis(700))
            // Steps to the end of time are no jumps of the clock here.
            .with_max_clock_step(None);
        limits.sizes.details_bytes = 30;
        limits.tasks.details_interval = Duration::from_millis([0, 150, 400, 3_000][(seed % 4) as usize]);
        limits.sizes.name_bytes = 24;
        limits.sizes.list_len = 4;
        limits.agent_capacity = 3;
        Self { seed, discipline, routing, limits }
    }

    pub fn config(&self) -> Config {
        let config =
            Config::default().with_seed(self.seed).with_discipline(self.discipline).with_limits(self.limits.clone());
        match self.routing {
            Routing::First => config.with_strategy(FirstCapable::default()),
            Routing::Turn => config.with_strategy(RoundRobin::default()),
            Routing::Load => config.with_strategy(LeastLoaded::default()),
            Routing::Priority => config.with_strategy(ByPriority::default()),
            Routing::Highest => config
                .with_strategy(Custom::new("highest id", |_, among, _| among.iter().map(|agent| agent.id()).max())),
        }
    }
}

/// A call as it was made, and what came of it.
#[derive(Debug, Clone)]
pub struct Call {
    pub now: Time,
    pub command: Command,
    pub verdict: Result<Accepted, Rejected>,
    /// How long the journal was afterwards.
    pub journal: usize,
    /// The state afterwards, serialised.
    pub state: String,
}

pub struct World {
    pub setup: Setup,
    pub scheduler: Scheduler,
    pub model: Model,
    pub journal: Vec<Entry>,
    pub calls: Vec<Call>,
    places: BTreeMap<Incarnation, u32>,
}

pub fn bytes(scheduler: &Scheduler) -> String {
    serde_json::to_string(&scheduler.snapshot()).unwrap()
}

impl World {
    pub fn new(setup: Setup) -> Self {
        Self {
            scheduler: Scheduler::new(setup.config()),
            model: Model::new(setup.limits.clone(), setup.discipline),
            journal: Vec::new(),
            calls: Vec::new(),
            places: BTreeMap::new(),
            setup,
        }
    }

    /// Lets time pass, until all that is due has fired; then gives the command.
    pub fn step(&mut self, now: Time, command: &Command) -> Result<(), String> {
        for round in 0.. {
            self.call(now, &Command::Tick)?;
            if self.scheduler.next_wakeup().is_none_or(|at| at > self.model.now) {
                break;
            }
            if round > 100 {
                return Err("ticks bring no end".into());
            }
        }
        self.model.settled()?;
        let submitted = self.model.submitted;
        self.call(now, command)?;
        match self.model.to_defer().filter(|_| self.model.submitted > submitted) {
            Some(due) => Err(format!("{due:?} is to be deferred after a submit, and is not")),
            None => Ok(()),
        }
    }

    fn call(&mut self, now: Time, command: &Command) -> Result<(), String> {
        self.model.now = self.model.now.max(now);
        let expected = self.model.predict(command);
        let before = bytes(&self.scheduler);
        let mut out = Outbox::default();
        let verdict = self.scheduler.handle(now, command.clone(), &mut out);
        if without_advice(&verdict) != expected {
            return Err(format!("{command:?} is answered {verdict:?}, expected {expected:?}"));
        }
        let state = bytes(&self.scheduler);
        let quiet = matches!(verdict, Err(_) | Ok(Accepted::Repeated));
        if quiet && (before != state || !out.is_empty()) {
            return Err(format!("{command:?} is answered {verdict:?} and changed something: {:?}", out.entries()));
        }
        if out.entries().is_empty() && before != state {
            return Err("the state changed without a fact".into());
        }
        self.learn_places();
        let mut wanted = Vec::new();
        for entry in out.entries() {
            self.effects_of(entry, command, &mut wanted);
            self.picked_well(entry)?;
            self.model.judge(entry, command).map_err(|why| format!("{why}; fact {entry:?} of {command:?}"))?;
        }
        // What a word does beyond facts: it is a sign of life.
        if let (Ok(_), Command::Agent(AgentCommand::Heartbeat { by } | AgentCommand::Update { by, .. })) =
            (&verdict, command)
        {
            self.model.agents.get_mut(&by.agent()).ok_or("a word of a stranger counted")?.heard = self.model.now;
        }
        if let (Ok(_), Command::Agent(AgentCommand::AttemptHeartbeat { by, attempt, details })) = (&verdict, command) {
            self.model.agents.get_mut(&by.agent()).ok_or("a word of a stranger counted")?.heard = self.model.now;
            self.model.note_heartbeat(*attempt, details)?;
        }
        // What has ended reports nothing more.
        for task in self.model.tasks.values_mut().filter(|task| task.ended().is_some()) {
            (task.details, task.pending) = (None, None);
        }
        if command != &Command::Tick {
            follows(command, &verdict, out.entries())?;
        }
        same_effects(out.effects(), &wanted)?;
        self.journal.extend_from_slice(out.entries());
        self.calls.push(Call {
            now: self.model.now,
            command: command.clone(),
            verdict,
            journal: self.journal.len(),
            state,
        });
        self.compare()
    }

    fn learn_places(&mut self) {
        for agent in self.scheduler.snapshot().agents {
            self.places.insert(agent.by, agent.index);
        }
    }

    /// The effects that a fact calls for, from how things stood before it.
    fn effects_of(&self, entry: &Entry, cause: &Command, wanted: &mut Vec<(String, bool)>) {
        let Event::Task { task: id, event } = &entry.event else { return };
        let living = |id: TaskId| {
            let task = self.model.tasks.get(&id)?;
            let by = task.holder().filter(|by| self.model.living(*by).is_some())?;
            Some((task.attempt(), by))
        };
        match event {
            TaskEvent::Assigned { attempt, to } => {
                let (task, attempt) = (&self.model.tasks[id], attempt.of(*id));
                let timeout = task.spec.policy.attempt_timeout().map(|span| entry.at + span);
                let total = task.spec.policy.total_timeout().map(|span| task.submitted + span);
                let until = timeout.into_iter().chain(total).min();
                let details = task.last_details();
                wanted.push((format!("dispatch {attempt} {to} {until:?} {details} {:?}", task.spec), true));
            }
            TaskEvent::CancelRequested { .. } | TaskEvent::Expired { .. } => {
                wanted.extend(living(*id).map(|(attempt, by)| (format!("cancel {attempt} {by}"), true)));
            }
            TaskEvent::AttemptFailed { attempt, failure, .. } if failure.kind == FailureKind::Unknown => {
                // To an agent that said so itself it may be told, and need not.
                let said = matches!(cause, Command::Agent(AgentCommand::Fail { attempt: said, .. }) if *said == attempt.of(*id));
                wanted.extend(living(*id).map(|(attempt, by)| (format!("cancel {attempt} {by}"), !said)));
            }
            _ => {}
        }
    }

    /// Whether the strategy did what it is for.
    fn picked_well(&self, entry: &Entry) -> Result<(), String> {
        let Event::Task { task, event: TaskEvent::Assigned { to, .. } } = &entry.event else { return Ok(()) };
        let Some(task) = self.model.tasks.get(task) else { return Ok(()) };
        let candidates = self.model.candidates(task);
        let place = |id: &AgentId| self.places.get(&self.model.agents[id].by).copied();
        let load = |id: &AgentId| {
            let agent = &self.model.agents[id];
            // The capacities are small, so that all shares have the common denominator 6.
            self.model.held(agent.by) as u32 * 6 / agent.spec.capacity
        };
        let priority = |id: &AgentId| -self.model.agents[id].spec.priority;
        let chosen = &to.agent();
        let best = match self.setup.routing {
            Routing::First => candidates.iter().min_by_key(|id| place(id)) == Some(chosen),
            Routing::Highest => candidates.iter().max() == Some(chosen),
            Routing::Load => candidates.iter().map(load).min() == Some(load(chosen)),
            Routing::Priority => candidates.iter().min_by_key(|id| (priority(id), load(id), place(id))) == Some(chosen),
            Routing::Turn => true,
        };
        if best { Ok(()) } else { Err(format!("{:?} picked {to} among {candidates:?}", self.setup.routing)) }
    }

    /// The whole visible state against the model's.
    fn compare(&self) -> Result<(), String> {
        let scheduler = &self.scheduler;
        scheduler.check()?;
        for id in (1..20).map(TaskId::new) {
            let real = scheduler.task(id).map(|task| (task.status(), task.attempts(), task.submitted()));
            let ours = self.model.tasks.get(&id).map(|task| (task.status(), task.attempts, task.submitted));
            if real != ours {
                return Err(format!("{id} is {real:?}, expected {ours:?}"));
            }
            let running = scheduler.task(id).and_then(|task| task.running());
            let held = self.model.tasks.get(&id).and_then(|task| Some((task.attempt(), task.holder()?)));
            let outcome = scheduler.task(id).and_then(|task| task.outcome().map(|(end, _)| end.clone()));
            let end = self.model.tasks.get(&id).and_then(|task| task.ended().cloned());
            if running != held || outcome != end {
                return Err(format!("{id}: {running:?} for {held:?}, {outcome:?} for {end:?}"));
            }
        }
        let snapshot = scheduler.snapshot();
        for record in &snapshot.tasks {
            let task = &self.model.tasks[&record.spec.id];
            let rating = scheduler.task(record.spec.id).and_then(|task| task.rating());
            if rating != task.rating {
                return Err(format!("{rating:?} for {:?}", task.rating));
            }
            if record.details != task.details {
                return Err(format!("{:?} for {:?}", record.details, task.details));
            }
            if (record.outcome_unknown, &record.avoid, record.seq.get()) != (task.doubtful, &task.avoid, task.seq) {
                return Err(format!("{:?} for {task:?}", record));
            }
        }
        if (&snapshot.finished, &snapshot.dead) != (&self.model.finished, &self.model.dead) {
            return Err(format!("{:?} and {:?} have ended", snapshot.finished, snapshot.dead));
        }
        let dead: Vec<TaskId> = scheduler.dead_letters().map(|task| task.spec().id).collect();
        if dead != self.model.dead {
            return Err(format!("dead letters {dead:?}"));
        }
        let real: BTreeMap<AgentId, _> = scheduler
            .agents()
            .map(|agent| {
                let draining = agent.status() == counterpoint::task::AgentStatus::Draining;
                (
                    agent.spec().id,
                    (agent.incarnation(), agent.spec().clone(), draining, agent.in_flight(), agent.last_message()),
                )
            })
            .collect();
        let ours: BTreeMap<AgentId, _> = self
            .model
            .agents
            .values()
            .map(|a| (a.spec.id, (a.by, a.spec.clone(), a.draining, self.model.held(a.by), a.heard)))
            .collect();
        if real != ours {
            return Err(format!("agents {real:?}, expected {ours:?}"));
        }
        if scheduler.queued() != self.model.queued() {
            return Err(format!("{:?} wait, expected {:?}", scheduler.queued(), self.model.queued()));
        }
        match (scheduler.next_wakeup(), self.model.first_due()) {
            (_, None) => Ok(()),
            (Some(at), Some(due)) if at <= due.max(self.model.now) => Ok(()),
            (at, Some(due)) => Err(format!("the next call is wanted at {at:?}, something is due at {due}")),
        }
    }
}

/// Each effect that is due is there, and none beside.
fn same_effects(effects: &[Effect], wanted: &[(String, bool)]) -> Result<(), String> {
    let mut wanted: Vec<(String, bool)> = wanted.to_vec();
    for effect in effects {
        let text = match effect {
            Effect::Dispatch { attempt, to, task, until, details, .. } => {
                format!("dispatch {attempt} {to} {until:?} {details} {task:?}")
            }
            Effect::Cancel { attempt, from } => format!("cancel {attempt} {from}"),
            other => return Err(format!("an effect that the model does not know: {other:?}")),
        };
        match wanted.iter().position(|(known, _)| *known == text) {
            Some(at) => drop(wanted.remove(at)),
            None => return Err(format!("nobody called for {text}; left of what was called for: {wanted:?}")),
        }
    }
    match wanted.iter().find(|(_, must)| *must) {
        Some((missing, _)) => Err(format!("missing effect: {missing}")),
        None => Ok(()),
    }
}

/// An accepted command has the one fact that it asked for.
fn follows(command: &Command, verdict: &Result<Accepted, Rejected>, entries: &[Entry]) -> Result<(), String> {
    use counterpoint::TaskCommand;
    if matches!(verdict, Err(_) | Ok(Accepted::Repeated)) {
        return Ok(());
    }
    let count = |wanted: &dyn Fn(&Event) -> bool| entries.iter().filter(|entry| wanted(&entry.event)).count();
    let found = match command {
        Command::Agent(AgentCommand::Heartbeat { .. }) | Command::Tick => usize::from(entries.is_empty()),
        Command::Agent(AgentCommand::AttemptHeartbeat { .. }) => usize::from(entries.len() <= 1),
        Command::Agent(AgentCommand::Register(_)) => {
            count(&|event| matches!(event, Event::Agent { event: AgentEvent::Registered { .. }, .. }))
        }
        Command::Agent(AgentCommand::Update { .. }) => {
            count(&|event| matches!(event, Event::Agent { event: AgentEvent::Updated { .. }, .. }))
        }
        Command::Agent(AgentCommand::Drain { .. }) => {
            count(&|event| matches!(event, Event::Agent { event: AgentEvent::Draining, .. }))
        }
        Command::Agent(AgentCommand::Deregister { .. }) => {
            count(&|event| matches!(event, Event::Agent { event: AgentEvent::Deregistered, .. }))
        }
        Command::Agent(AgentCommand::Complete { attempt, .. }) => count(&|event| match event {
            Event::Task { task, event: TaskEvent::Succeeded { attempt: which, .. } } => which.of(*task) == *attempt,
            Event::Task { task, event: TaskEvent::Cancelled { .. } } => *task == attempt.task(),
            _ => false,
        }),
        Command::Agent(AgentCommand::Fail { attempt, .. }) => count(&|event| match event {
            Event::Task { task, event: TaskEvent::AttemptFailed { attempt: which, .. } } => which.of(*task) == *attempt,
            Event::Task { task, event: TaskEvent::Cancelled { .. } } => *task == attempt.task(),
            _ => false,
        }),
        Command::Task(TaskCommand::Submit(_) | TaskCommand::Replay { .. }) => {
            count(&|event| matches!(event, Event::Task { event: TaskEvent::Submitted { .. }, .. }))
        }
        Command::Task(TaskCommand::Cancel { task: id, .. }) => count(&|event| match event {
            Event::Task { task, event: TaskEvent::CancelRequested { .. } | TaskEvent::Cancelled { .. } } => task == id,
            _ => false,
        }),
        Command::Task(TaskCommand::Discard { .. }) => {
            count(&|event| matches!(event, Event::Task { event: TaskEvent::Discarded { .. }, .. }))
        }
        _ => 1,
    };
    if found == 1 { Ok(()) } else { Err(format!("{command:?} led to {found} facts of its kind: {entries:?}")) }
}
