//! A run in virtual time: the engine is the real one, agents answer after durations that a seed selects, and people after a
//! fixed time. A crash restores the engine from its journal.

use crate::people::answer_of;
use counterpoint::message::Dispatched;
use counterpoint::{
    Accepted, AgentCommand, AgentSpec, AttemptId, Command, Config, Effect, Engine, Entry, Failure, Incarnation, Name,
    Outbox, Payload, RunId, TaskSpec, Time,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The most events of a simulation.
pub(crate) const MOST_EVENTS: usize = 20_000;
/// The most steps of a simulation.
const STEPS: usize = 200_000;
/// The most answers of people.
const ANSWERS: usize = 1_000;
/// The longest simulated time.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// How agents perform a kind of task.
#[derive(Debug, Clone)]
pub(crate) struct Performance {
    pub(crate) least: Duration,
    pub(crate) most: Duration,
    /// The share of attempts that fail, from 0 to 1.
    pub(crate) fails: f64,
    pub(crate) output: Value,
}

/// An agent, and whether it gets each skill that a task needs.
#[derive(Debug, Clone)]
pub(crate) struct Player {
    pub(crate) spec: AgentSpec,
    pub(crate) learns: bool,
}

/// What a simulation assumes.
#[derive(Debug, Clone)]
pub(crate) struct Assumptions {
    pub(crate) seed: u64,
    pub(crate) kinds: BTreeMap<String, Performance>,
    /// How long people take for an answer.
    pub(crate) people: Duration,
    /// The number of events after which the engine crashes.
    pub(crate) crash: Option<usize>,
}

/// A simulation under way.
#[derive(Debug)]
pub(crate) struct Simulator {
    engine: Engine,
    pub(crate) journal: Vec<Entry>,
    pub(crate) now: Time,
    assumptions: Assumptions,
    /// The messages of agents and people that have not arrived.
    messages: BTreeMap<(Time, u64), (Option<AttemptId>, Command)>,
    serial: u64,
    at_work: BTreeSet<AttemptId>,
    players: BTreeMap<Incarnation, Player>,
    /// What people answered, with the time.
    pub(crate) answered: Vec<(Time, String)>,
    /// When the engine crashed.
    pub(crate) crashed: Option<Time>,
}

impl Simulator {
    /// An engine with these agents.
    pub(crate) fn new(players: &[Player], assumptions: Assumptions) -> Result<Self, String> {
        let mut simulator = Self {
            engine: Engine::new(Config::default()),
            journal: Vec::new(),
            now: Time::ZERO,
            assumptions,
            messages: BTreeMap::new(),
            serial: 0,
            at_work: BTreeSet::new(),
            players: BTreeMap::new(),
            answered: Vec::new(),
            crashed: None,
        };
        for player in players {
            match simulator.command(Command::register(player.spec.clone()))? {
                Accepted::Registered(by) => _ = simulator.players.insert(by, player.clone()),
                other => return Err(format!("an agent was not registered: {other:?}")),
            }
        }
        Ok(simulator)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Sends a command to the engine now, and performs what follows.
    pub(crate) fn command(&mut self, command: Command) -> Result<Accepted, String> {
        let mut outbox = Outbox::default();
        let verdict = self.engine.handle(self.now, command, &mut outbox);
        self.keep(outbox);
        verdict.map_err(|rejected| self.engine.explain(&rejected))
    }

    fn keep(&mut self, mut outbox: Outbox) {
        outbox.drain_entries(&mut self.journal);
        let mut effects = Vec::new();
        outbox.drain_effects(&mut effects);
        effects.into_iter().for_each(|effect| self.perform(effect));
    }

    /// Simulates until the run has ended. Returns why it goes on no further, if it has not ended.
    pub(crate) fn run(&mut self, run: RunId) -> Option<String> {
        for _ in 0..STEPS {
            if self.assumptions.crash.is_some_and(|at| self.crashed.is_none() && self.journal.len() >= at) {
                if let Err(error) = self.crash() {
                    return Some(error);
                }
                continue;
            }
            if self.engine.run(run).is_none_or(|run| run.outcome().is_some()) {
                return None;
            }
            if self.journal.len() >= MOST_EVENTS {
                return Some(format!("it has not ended after {MOST_EVENTS} events"));
            }
            if self.now.since(Time::ZERO) > LONGEST {
                return Some("it has not ended within a simulated year".to_owned());
            }
            self.teach();
            if let Some(why) = self.ask_people(run) {
                return Some(why);
            }
            if !self.step() {
                let waits = self.engine.run(run).map(|run| run.waits_for()).unwrap_or_default();
                return Some(format!("the run waits for {}", waits.join("; ")));
            }
        }
        Some(format!("it has not ended after {STEPS} steps"))
    }

    /// The next message or timer; false if there is none.
    fn step(&mut self) -> bool {
        let message = self.messages.keys().next().map(|(at, _)| *at);
        let Some(next) = message.into_iter().chain(self.engine.next_wakeup()).min() else { return false };
        // A longer step would be a jump of the engine's clock.
        let most = self.engine.limits().clock.max_step.unwrap_or(LONGEST).max(Duration::from_secs(1)) / 2;
        self.now = next.max(self.now).min(self.now + most);
        let due = self.messages.first_entry().filter(|entry| entry.key().0 <= self.now);
        let (attempt, command) = match due {
            Some(entry) => entry.remove(),
            None => (None, Command::Tick),
        };
        // Late messages, and answers that are no longer awaited, are rejected without consequence.
        _ = self.command(command);
        if let Some(attempt) = attempt {
            self.at_work.remove(&attempt);
        }
        true
    }

    /// Schedules an answer of people if the run goes on only by one. Returns why there is none.
    fn ask_people(&mut self, run: RunId) -> Option<String> {
        let is_answer = |command: &Command| matches!(command, Command::Run(_));
        if self.messages.values().any(|(_, command)| is_answer(command)) {
            return None;
        }
        let (command, text) = answer_of(&self.engine, run)?;
        let Some(command) = command else {
            // Something else may be under way, such as a timer.
            return (self.messages.is_empty() && self.engine.next_wakeup().is_none()).then_some(text);
        };
        if self.answered.len() >= ANSWERS {
            return Some(format!("it has not ended after {ANSWERS} answers of people"));
        }
        let at = self.now + self.assumptions.people;
        self.answered.push((at, text));
        self.send(at, None, command.into());
        None
    }

    fn send(&mut self, at: Time, attempt: Option<AttemptId>, command: Command) {
        self.serial += 1;
        self.messages.insert((at, self.serial), (attempt, command));
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Dispatch { attempt, to, task, .. } => self.begin(to, attempt, &task),
            Effect::DispatchBatch { to, attempts, .. } => {
                for Dispatched { attempt, task, .. } in attempts {
                    self.begin(to, attempt, &task);
                }
            }
            Effect::Cancel { attempt, from } => {
                self.interrupt(attempt, Command::fail(from, attempt, Failure::transient("cancelled")));
            }
            Effect::Yield { attempt, from, .. } => {
                self.interrupt(attempt, AgentCommand::Yield { by: from, attempt }.into());
            }
            _ => {}
        }
    }

    /// An agent that is asked to end an attempt ends it at once.
    fn interrupt(&mut self, attempt: AttemptId, answer: Command) {
        let before = self.messages.len();
        self.messages.retain(|_, (of, _)| *of != Some(attempt));
        if self.messages.len() < before {
            self.send(self.now, Some(attempt), answer);
        }
    }

    fn begin(&mut self, by: Incarnation, attempt: AttemptId, task: &TaskSpec) {
        // After a crash dispatches are repeated.
        if !self.at_work.insert(attempt) {
            return;
        }
        let plain = Performance {
            least: Duration::from_secs(1),
            most: Duration::from_secs(1),
            fails: 0.0,
            output: Value::Null,
        };
        let how = self.assumptions.kinds.get(task.kind.as_str()).unwrap_or(&plain);
        let subject = [self.assumptions.seed, task.id.get(), u64::from(attempt.number().get())];
        let took = how.least + how.most.saturating_sub(how.least).mul_f64(share(subject, 1));
        let answer = if share(subject, 2) < how.fails {
            Command::fail(by, attempt, Failure::transient("a simulated failure"))
        } else {
            Command::complete(by, attempt, Payload::new(how.output.clone()))
        };
        self.send(self.now + took, Some(attempt), answer);
    }

    /// Gives the agents that learn the skills of the tasks that no agent can perform.
    fn teach(&mut self) {
        let lacking: BTreeSet<(Name, u16)> = self
            .engine
            .unroutable()
            .flat_map(|group| {
                let skills = group.needs.skills().map(|(skill, level)| (skill.clone(), level));
                skills.collect::<Vec<_>>()
            })
            .collect();
        if lacking.is_empty() {
            return;
        }
        let mut updates = Vec::new();
        for (by, player) in self.players.iter_mut().filter(|(_, player)| player.learns) {
            let mut spec = player.spec.clone();
            for (skill, level) in &lacking {
                if spec.skills.get(skill).is_none_or(|known| known < level) {
                    spec = spec.with_skill(skill.clone(), (*level).max(1));
                }
            }
            if spec != player.spec {
                player.spec = spec.clone();
                updates.push(AgentCommand::Update { by: *by, spec });
            }
        }
        for update in updates {
            _ = self.command(update.into());
        }
    }

    /// The engine is lost and restored from its journal; agents and people do not notice.
    fn crash(&mut self) -> Result<(), String> {
        self.crashed = Some(self.now);
        let restored = Engine::restore(Config::default(), None, &self.journal).map_err(|error| error.to_string())?;
        self.engine = restored;
        let mut outbox = Outbox::default();
        self.engine.resume(self.now, &mut outbox);
        self.keep(outbox);
        Ok(())
    }
}

/// A number from 0 to 1 that follows from its subject: SplitMix64.
fn share(subject: [u64; 3], salt: u64) -> f64 {
    let mixed = subject.iter().chain([&salt]).fold(0_u64, |state, part| {
        let mut mixed = (state ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    });
    let bits = u32::try_from(mixed >> 32).unwrap_or_default();
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}
