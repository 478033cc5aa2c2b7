//! Everything that can happen in a tiny case, in every order: three tasks, two agents, every word as often as it is said and as
//! late as it comes, a crash after every fact. What was seen before is not looked at again.

use counterpoint::engine::EngineSnapshot;
use counterpoint::sim::{Oracle, Rules, Step};
use counterpoint::task::Jitter;
use counterpoint::{
    Accepted, AgentCommand, AgentId, AgentSpec, AttemptId, Command, Config, Effect, Engine, Entry, Failure,
    Incarnation, Limits, Outbox, Payload, Policy, Retry, TaskCommand, TaskId, TaskSpec, Time,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const GRACE: Duration = Duration::from_secs(3);

fn config() -> Config {
    Config::default().with_story(0).with_limits(Limits::default().with_cancel_grace(GRACE))
}

fn rules() -> Rules {
    Rules::default().prompt().with_cancel_grace(GRACE)
}

/// Where a way through the case has come to.
#[derive(Clone)]
struct Place {
    state: EngineSnapshot,
    journal: Vec<Entry>,
    rules: Rules,
    now: Time,
    /// Every attempt that was ever given out: any word about it may come at any time, and again.
    given: BTreeSet<(AttemptId, Incarnation)>,
}

struct Search {
    seen: BTreeMap<u64, u32>,
    steps: u64,
    crashes: u64,
    deepest: u32,
}

fn task(id: u64) -> TaskSpec {
    let retry = Retry::exponential(2, Duration::from_secs(1), Duration::from_secs(1)).with_jitter(Jitter::None);
    let policy = Policy::default().with_retry(retry).with_attempt_timeout(Duration::from_secs(5));
    let task = TaskSpec::new(TaskId::new(id), "work").with_policy(policy);
    if id == 3 { task.with_after([TaskId::new(1)]) } else { task }
}

fn agent(id: u64) -> AgentSpec {
    AgentSpec::new(AgentId::new(id)).with_skill("work", 1)
}

impl Place {
    fn engine(&self) -> Engine {
        Engine::restore(config(), Some(&self.state), &[]).unwrap()
    }

    /// What can happen now.
    fn commands(&self, engine: &Engine) -> Vec<(Time, Command)> {
        let mut all: Vec<Command> = (1..=3).map(|id| Command::submit(task(id))).collect();
        all.extend((1..=2).map(|id| Command::register(agent(id))));
        all.push(AgentCommand::Deregister { agent: AgentId::new(1) }.into());
        all.push(TaskCommand::Cancel { task: TaskId::new(1), reason: "enough".into() }.into());
        for (attempt, by) in &self.given {
            all.push(Command::complete(*by, *attempt, Payload::NULL));
            all.push(Command::fail(*by, *attempt, Failure::transient("no")));
        }
        let mut all: Vec<(Time, Command)> = all.into_iter().map(|command| (self.now, command)).collect();
        all.extend(engine.next_wakeup().map(|at| (at.max(self.now), Command::Tick)));
        all
    }

    /// The place to which a command leads, with its facts.
    fn after(&self, now: Time, command: &Command) -> Result<(Self, usize), String> {
        let (mut engine, mut out, mut next) = (self.engine(), Outbox::default(), self.clone());
        let verdict = engine.handle(now, command.clone(), &mut out);
        next.rules.step(&Step::new((now, Some(command)), &verdict, &out, &engine))?;
        let facts = out.entries().len();
        next.arrive(now, &engine, &out);
        Ok((next, facts))
    }

    /// The place to which a crash leads that left so many facts.
    fn crashed(&self, kept: usize) -> Result<Self, String> {
        let mut next = self.clone();
        next.journal.truncate(kept);
        let mut engine = Engine::restore(config(), None, &next.journal).map_err(|error| error.to_string())?;
        next.rules.restarted(&next.journal, next.now);
        let (mut out, verdict) = (Outbox::default(), Ok(Accepted::Done));
        engine.resume(next.now, &mut out);
        next.rules.step(&Step::new((next.now, None), &verdict, &out, &engine))?;
        next.arrive(next.now, &engine, &out);
        Ok(next)
    }

    fn arrive(&mut self, now: Time, engine: &Engine, out: &Outbox) {
        self.now = now;
        self.state = engine.snapshot();
        self.journal.extend_from_slice(out.entries());
        for effect in out.effects() {
            if let Effect::Dispatch { attempt, to, .. } = effect {
                self.given.insert((*attempt, *to));
            }
        }
    }

    fn key(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        let text = serde_json::to_string(&(&self.state, self.now, self.given.iter().collect::<Vec<_>>())).unwrap();
        text.hash(&mut hasher);
        hasher.finish()
    }

    /// From everywhere there is a way to the end: somebody who does all that is asked.
    fn can_end(&self) -> Result<(), String> {
        let (mut engine, mut now, mut out) = (self.engine(), self.now, Outbox::default());
        let _ = engine.handle(now, Command::register(agent(9).with_capacity(9)), &mut out);
        for _ in 0..60 {
            let left = self.journal.iter().filter_map(|entry| match &entry.event {
                counterpoint::Event::Task {
                    event: counterpoint::message::TaskEvent::Submitted { spec, .. }, ..
                } => engine.task(spec.id),
                _ => None,
            });
            if left.into_iter().all(|task| task.status().is_terminal()) {
                return Ok(());
            }
            let held = engine.outstanding().into_iter().find_map(|effect| match effect {
                Effect::Dispatch { attempt, to, .. } => Some((attempt, to)),
                _ => None,
            });
            match (held, engine.next_wakeup()) {
                (Some((attempt, by)), _) => {
                    drop(engine.handle(now, Command::complete(by, attempt, Payload::NULL), &mut out))
                }
                (None, Some(at)) => {
                    now = now.max(at);
                    drop(engine.handle(now, Command::Tick, &mut out));
                }
                (None, None) => return Err(format!("nothing is due, and work is left: {engine:?}")),
            }
        }
        Err("no end comes".to_owned())
    }
}

impl Search {
    fn visit(&mut self, place: &Place, depth: u32) -> Result<(), String> {
        // From a place that was reached sooner more has been seen than can come of it now.
        let key = place.key();
        if self.seen.get(&key).is_some_and(|before| *before <= depth) {
            return Ok(());
        }
        self.seen.insert(key, depth);
        if depth == self.deepest {
            return if self.seen.len().is_multiple_of(8) { place.can_end() } else { Ok(()) };
        }
        for (now, command) in place.commands(&place.engine()) {
            self.steps += 1;
            let (next, facts) = place.after(now, &command).map_err(|why| format!("{command:?} at {now}: {why}"))?;
            if facts == 0 && next.now == place.now {
                continue;
            }
            self.visit(&next, depth + 1).map_err(|why| format!("{command:?} at {now}, then {why}"))?;
            for kept in place.journal.len()..next.journal.len() {
                self.crashes += 1;
                let left =
                    next.crashed(kept).map_err(|why| format!("{command:?}, a crash after {kept} facts: {why}"))?;
                self.visit(&left, depth + 1).map_err(|why| format!("{command:?}, a crash after {kept}, then {why}"))?;
            }
        }
        Ok(())
    }
}

#[test]
fn every_way_through_a_tiny_case() {
    // The long run of the project's tests goes further.
    let deepest = if crate::cases(0) >= 4_096 { 7 } else { 4 };
    let start = Place {
        state: Engine::new(config()).snapshot(),
        journal: Vec::new(),
        rules: rules(),
        now: Time::ZERO,
        given: BTreeSet::new(),
    };
    let mut search = Search { seen: BTreeMap::new(), steps: 0, crashes: 0, deepest };
    if let Err(why) = search.visit(&start, 0) {
        panic!("{why}");
    }
    println!("{} places, {} steps, {} crashes, to depth {deepest}", search.seen.len(), search.steps, search.crashes);
    assert!(search.seen.len() > 300 && search.crashes > 300, "{} {}", search.seen.len(), search.crashes);
}
