//! The host: one loop in virtual time that owns the engine, the journal and the queue of coming steps.
//!
//! As every host, it appends events first and performs effects afterwards. A crash may occur between any two events;
//! the engine is then lost, and with it everything that had not been appended or performed.

use crate::agent::{Agenda, Agent, BEAT, Deed};
use crate::chance::{about, between, happens};
use crate::flow::{Order, Pace, Receipt, order_flow, steps};
use crate::orders::{drawn, order_of, run_of, shelves};
use crate::world::{Planted, World};
use counterpoint::engine::EngineSnapshot;
use counterpoint::message::rejected::{Stale, Unknown, WrongState};
use counterpoint::message::{CompensationOutcome, CompensationRemedy, NodeEvent, RunEvent};
use counterpoint::task::JournalId;
use counterpoint::workflow::{Flow, Steps};
use counterpoint::{
    Accepted, AgentCommand, AgentId, AttemptId, Command, Config, ControlCommand, Effect, Engine, Entry, Event,
    Incarnation, Limits, Name, Outbox, Rejected, RunCommand, RunId, Time,
};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

pub type Fallible<T> = Result<T, Box<dyn Error>>;

/// What is to be played through.
#[derive(Debug, Clone)]
pub struct Scene {
    pub seed: u64,
    pub orders: u64,
    /// After how many facts the engine is lost.
    pub crash: Option<u64>,
    /// It is lost again after as many more.
    pub again: bool,
    /// The engine is asked after every command whether all is well within it.
    pub check: bool,
    /// Customers think again.
    pub regrets: bool,
    /// Agents die.
    pub deaths: bool,
    pub planted: Planted,
}

impl Scene {
    pub const fn new(seed: u64, orders: u64) -> Self {
        let planted = Planted::Nothing;
        Self { seed, orders, crash: None, again: false, check: false, regrets: true, deaths: true, planted }
    }
}

/// Something that is going to happen.
#[derive(Debug, Clone)]
enum Coming {
    Define,
    Order(u64),
    /// The customer thinks again.
    Regret(u64),
    Deed(AgentId, AttemptId, Deed),
    Arrive(AgentId),
    Beat(AgentId),
    Die(AgentId),
    /// Somebody looks after a compensation that failed.
    Remedy(RunId, Name),
}

/// Counted outside the journal: what left no facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Refused {
    /// Answers about attempts that are no longer current.
    pub stale_attempts: u64,
    /// Words of agents whose life was over.
    pub stale_lives: u64,
    /// Customers who thought again when all was over.
    pub late_regrets: u64,
    pub crashes: u64,
}

/// Beyond this hour something has come to a stand.
const CLOSING: Time = Time::from_secs(1_000_000);

/// Between one order and the next.
const GAP: Duration = Duration::from_millis(300);

const SNAPSHOT_EVERY: usize = 700;

pub struct Shop {
    scene: Scene,
    pub world: Arc<World>,
    flow: Flow<Order, Receipt>,
    steps: Steps,
    engine: Engine,
    pub journal: Vec<Entry>,
    snapshot: Option<(usize, Vec<u8>)>,
    outbox: Outbox,
    now: Time,
    coming: BTreeMap<(Time, u64), Coming>,
    number: u64,
    agents: Vec<Agent>,
    over: BTreeSet<RunId>,
    crash_at: Option<u64>,
    pub refused: Refused,
}

impl Shop {
    pub fn open(scene: Scene) -> Fallible<Self> {
        let world = Arc::new(World::new(&shelves(scene.orders), scene.planted));
        let mut shop = Self {
            flow: order_flow(&world, Pace::VIRTUAL)?,
            steps: steps(&world),
            world,
            engine: Engine::new(config(scene.seed)),
            journal: Vec::new(),
            snapshot: None,
            outbox: Outbox::default(),
            now: Time::ZERO,
            coming: BTreeMap::new(),
            number: 0,
            agents: Agent::all(),
            over: BTreeSet::new(),
            crash_at: scene.crash,
            refused: Refused::default(),
            scene,
        };
        shop.plan_the_day();
        Ok(shop)
    }

    /// Opens a shop and works until all is over, the late effects and answers included.
    pub fn play(scene: Scene) -> Fallible<Self> {
        let mut shop = Self::open(scene)?;
        shop.work()?;
        Ok(shop)
    }

    fn plan_the_day(&mut self) {
        self.at(Duration::ZERO, Coming::Define);
        let agents: Vec<AgentId> = self.agents.iter().map(|agent| agent.spec.id).collect();
        for agent in agents {
            self.at(Duration::from_millis(1), Coming::Arrive(agent));
            self.at(BEAT, Coming::Beat(agent));
        }
        for order in 0..self.scene.orders {
            let random = &mut about(self.scene.seed, &[5, order]);
            let placed = GAP.saturating_mul(u32::try_from(order).unwrap_or(u32::MAX));
            self.at(placed, Coming::Order(order));
            if self.scene.regrets && happens(random, 60) {
                self.at(placed + between(random, 0, 12_000), Coming::Regret(order));
            }
            if happens(random, 300) {
                self.world.make_obstinate(order);
            }
        }
        if self.scene.deaths {
            let random = &mut about(self.scene.seed, &[6]);
            let day = 500 + 300 * self.scene.orders;
            // One bank dies for good, shelves come back after their lease, a carrier before.
            for (agent, back) in [(4, None), (2, Some(20_000)), (7, Some(1_500)), (5, Some(9_000))] {
                let dies = between(random, 200, day);
                self.at(dies, Coming::Die(AgentId::new(agent)));
                if let Some(back) = back {
                    self.at(dies + Duration::from_millis(back), Coming::Arrive(AgentId::new(agent)));
                }
            }
        }
    }

    fn at(&mut self, after: Duration, what: Coming) {
        self.number += 1;
        self.coming.insert((self.now + after, self.number), what);
    }

    fn work(&mut self) -> Fallible<()> {
        loop {
            let next = self.coming.keys().next().map(|(at, _)| *at);
            let open = self.over.len() < usize::try_from(self.scene.orders)?;
            let due = self.engine.next_wakeup().filter(|_| open);
            let Some(at) = [next, due].into_iter().flatten().min() else { break };
            self.now = self.now.max(at);
            if self.now > CLOSING {
                return Err(self.standstill().into());
            }
            if due.is_some_and(|due| Some(due) <= next || next.is_none()) {
                let _ticked = self.say(Command::Tick)?;
            } else if let Some((_, what)) = self.coming.pop_first() {
                self.happen(what)?;
            }
        }
        if self.over.len() < usize::try_from(self.scene.orders)? {
            return Err(self.standstill().into());
        }
        Ok(())
    }

    fn standstill(&self) -> String {
        let mut text = format!("no progress at {}", self.now);
        for run in self.engine.runs().filter(|run| run.outcome().is_none()).take(5) {
            text.push_str(&format!("\n  {run:?} waits for {}", run.waits_for().join("; ")));
            for line in self.engine.story(run.id()) {
                text.push_str(&format!("\n    {line}"));
            }
        }
        text
    }

    fn happen(&mut self, what: Coming) -> Fallible<()> {
        let verdict = match &what {
            Coming::Define => {
                let journal = JournalId::from_name("orders");
                self.say(ControlCommand::Identify { journal }.into())?;
                self.say(Command::define(Arc::clone(self.flow.definition())))?
            }
            Coming::Order(order) => {
                let run = self.flow.run(run_of(*order), &drawn(self.scene.seed, *order))?;
                self.say(Command::start(run))?
            }
            Coming::Regret(order) => {
                let verdict = self.say(RunCommand::Cancel { run: run_of(*order), reason: "regret".into() }.into())?;
                self.refused.late_regrets += u64::from(matches!(verdict, Some(Err(_))));
                verdict
            }
            Coming::Deed(agent, attempt, deed) => return self.deed(*agent, *attempt, *deed),
            Coming::Arrive(agent) => self.arrive(*agent)?,
            Coming::Beat(agent) => return self.beat(*agent),
            Coming::Die(agent) => {
                let (seed, now) = (self.scene.seed, self.now);
                if let Some(agent) = self.agent(*agent) {
                    agent.die(seed, now);
                }
                return Ok(());
            }
            Coming::Remedy(run, node) => self.remedy(*run, node)?,
        };
        // Whoever has not heard a verdict asks again.
        if verdict.is_none() {
            self.at(Duration::from_millis(500), what);
        }
        Ok(())
    }

    fn agent(&mut self, id: AgentId) -> Option<&mut Agent> {
        self.agents.iter_mut().find(|agent| agent.spec.id == id)
    }

    fn arrive(&mut self, id: AgentId) -> Fallible<Option<Result<Accepted, Rejected>>> {
        let Some(spec) = self.agent(id).map(|agent| agent.spec.clone()) else { return Ok(None) };
        let verdict = self.hear(Command::register(spec))?;
        if let Some(Ok(Accepted::Registered(life))) = verdict
            && let Some(agent) = self.agent(id)
        {
            (agent.life, agent.alive) = (Some(life), true);
        }
        self.perform();
        Ok(verdict)
    }

    fn beat(&mut self, id: AgentId) -> Fallible<()> {
        if self.over.len() >= usize::try_from(self.scene.orders)? {
            return Ok(());
        }
        self.at(BEAT, Coming::Beat(id));
        let Some(by) = self.agent(id).filter(|agent| agent.alive).and_then(|agent| agent.life) else { return Ok(()) };
        let verdict = self.say(AgentCommand::Heartbeat { by }.into())?;
        if let Some(Err(Rejected::Stale(Stale::Incarnation(_)))) = verdict {
            self.refused.stale_lives += 1;
            self.at(Duration::from_millis(10), Coming::Arrive(id));
        }
        Ok(())
    }

    fn deed(&mut self, id: AgentId, attempt: AttemptId, deed: Deed) -> Fallible<()> {
        let steps = self.steps.clone();
        let Some(agent) = self.agent(id) else { return Ok(()) };
        if let Deed::Effect = deed {
            agent.act(attempt, &steps);
            return Ok(());
        }
        let Some((by, answer)) = agent.answer(attempt) else { return Ok(()) };
        let command = match answer {
            Ok(output) => Command::complete(by, attempt, output),
            Err(failure) => Command::fail(by, attempt, failure),
        };
        match self.say(command)? {
            Some(Err(Rejected::Stale(Stale::Incarnation(_)))) => self.refused.stale_lives += 1,
            Some(Err(
                Rejected::Stale(Stale::Attempt(_))
                | Rejected::Stale(Stale::NotHolder { .. })
                | Rejected::Unknown(Unknown::Task(_)),
            )) => {
                self.refused.stale_attempts += 1;
            }
            Some(Err(other)) => return Err(other.into()),
            Some(Ok(_)) | None => {}
        }
        Ok(())
    }

    /// The operator calls the bank and has the undoing tried again, or undoes it by hand and says so.
    fn remedy(&mut self, run: RunId, node: &Name) -> Fallible<Option<Result<Accepted, Rejected>>> {
        let number = order_of(run);
        self.world.call_the_bank(number);
        let remedy = if number.is_multiple_of(3) {
            let order = drawn(self.scene.seed, number);
            let mut books = self.world.books();
            match node.as_str() {
                "reserve" => books.release(&order),
                _ => books.refund(&order)?,
            }
            CompensationRemedy::Declare { reason: "completed by hand".into() }
        } else {
            CompensationRemedy::Retry
        };
        let verdict = self.say(RunCommand::Remedy { run, node: node.clone(), remedy }.into())?;
        match verdict {
            // Said before the crash, and it was durable.
            Some(Err(Rejected::State(WrongState::NothingToRemedy { .. }))) if self.refused.crashes > 0 => Ok(verdict),
            Some(Err(other)) => Err(other.into()),
            other => Ok(other),
        }
    }

    /// Has the engine obey, and performs what follows. None: there was a crash, and nobody heard a verdict.
    fn say(&mut self, command: Command) -> Fallible<Option<Result<Accepted, Rejected>>> {
        let verdict = self.hear(command)?;
        self.perform();
        Ok(verdict)
    }

    fn hear(&mut self, command: Command) -> Fallible<Option<Result<Accepted, Rejected>>> {
        let verdict = self.engine.handle(self.now, command, &mut self.outbox);
        self.look_within()?;
        if self.append() {
            return Ok(Some(verdict));
        }
        self.restore()?;
        Ok(None)
    }

    fn look_within(&self) -> Fallible<()> {
        if self.scene.check { self.engine.check().map_err(Into::into) } else { Ok(()) }
    }

    /// Write-ahead. False: the engine was lost on the way.
    fn append(&mut self) -> bool {
        let before = self.journal.len();
        let mut facts = Vec::new();
        self.outbox.drain_entries(&mut facts);
        let room = self.crash_at.map_or(usize::MAX, |at| usize::try_from(at).unwrap_or(usize::MAX) - before);
        let lost = facts.len() >= room;
        facts.truncate(room);
        for fact in &facts {
            self.note(fact);
        }
        self.journal.append(&mut facts);
        if !lost && self.journal.len() / SNAPSHOT_EVERY > before / SNAPSHOT_EVERY {
            self.snapshot = serde_json::to_vec(&self.engine.snapshot()).ok().map(|bytes| (self.journal.len(), bytes));
        }
        !lost
    }

    fn note(&mut self, fact: &Entry) {
        match &fact.event {
            Event::Run { run, event: RunEvent::Finished { .. } } => {
                self.over.insert(*run);
            }
            Event::Node {
                run,
                node,
                event: NodeEvent::Compensated { outcome: CompensationOutcome::Failed { .. } },
            } => {
                self.at(Duration::from_secs(40), Coming::Remedy(*run, node.name.clone()));
            }
            _ => {}
        }
    }

    /// The engine is lost, with what it had not yet said. Some of what was on the way to it is lost, too.
    fn restore(&mut self) -> Fallible<()> {
        loop {
            self.refused.crashes += 1;
            self.crash_at =
                self.scene.crash.filter(|_| self.scene.again).map(|facts| self.journal.len() as u64 + facts);
            self.outbox.clear();
            let random = &mut about(self.scene.seed, &[7, self.refused.crashes]);
            self.coming.retain(|_, what| !matches!(what, Coming::Deed(_, _, Deed::Answer)) || happens(random, 500));
            // Mostly somebody is there at once; now and then it takes longer than an agent's lease.
            let longest = if happens(random, 40) { 15_000 } else { 400 };
            self.now = self.now + between(random, 0, longest);
            self.engine = self.restored(self.refused.crashes.is_multiple_of(2))?;
            self.engine.resume(self.now, &mut self.outbox);
            self.look_within()?;
            if self.append() {
                self.perform();
                return Ok(());
            }
        }
    }

    /// The engine that the journal leads to, all of it or what came after the last snapshot.
    pub fn restored(&self, from_snapshot: bool) -> Fallible<Engine> {
        let Some((at, bytes)) = self.snapshot.as_ref().filter(|_| from_snapshot) else {
            return Ok(Engine::restore(config(self.scene.seed), None, &self.journal)?);
        };
        let snapshot: EngineSnapshot = serde_json::from_slice(bytes)?;
        Ok(Engine::restore(config(self.scene.seed), Some(&snapshot), self.journal.iter().skip(*at))?)
    }

    fn perform(&mut self) {
        let mut effects = Vec::new();
        self.outbox.drain_effects(&mut effects);
        let seed = self.scene.seed;
        for effect in effects {
            match effect {
                Effect::Dispatch { attempt, to, task, identity, .. } => {
                    self.ask(to, attempt, |agent| agent.take(seed, attempt, to, (&task, identity.as_ref())));
                }
                Effect::Cancel { attempt, from } => self.ask(from, attempt, |agent| agent.stop(seed, attempt)),
                _ => {}
            }
        }
    }

    fn ask(&mut self, who: Incarnation, attempt: AttemptId, what: impl FnOnce(&mut Agent) -> Agenda) {
        let agenda = self.agent(who.agent()).map(what).unwrap_or_default();
        for (after, deed) in agenda {
            self.at(after, Coming::Deed(who.agent(), attempt, deed));
        }
    }

    pub fn finished_at(&self) -> Time {
        let ends = self
            .journal
            .iter()
            .rev()
            .find(|entry| matches!(entry.event, Event::Run { event: RunEvent::Finished { .. }, .. }));
        ends.map_or(Time::ZERO, |entry| entry.at)
    }

    pub const fn scene(&self) -> &Scene {
        &self.scene
    }

    pub const fn engine(&self) -> &Engine {
        &self.engine
    }
}

pub fn config(seed: u64) -> Config {
    let limits = Limits::default().with_cancel_grace(Duration::from_secs(5)).with_finished_runs(1_000_000);
    Config::default().with_seed(seed).with_limits(limits)
}
