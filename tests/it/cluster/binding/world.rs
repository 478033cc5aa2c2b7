//! A small deployment: shards with real engines, homes, agents, and a network that loses, repeats and delays messages.

use super::super::explore::World;
use super::desk::{Call, Shard, Told};
use counterpoint::cluster::{
    Digest, Home, HomeEffect, HomeError, HomeRules, Poll, PollAnswer, PollError, Session, ShardId,
};
use counterpoint::journal::Epoch;
use counterpoint::message::rejected::Rejected;
use counterpoint::task::Usage;
use counterpoint::{
    AgentCommand, AgentId, AgentSpec, AttemptId, Command, Effect, Failure, Incarnation, Payload, Policy, Retry,
    TaskCommand, TaskId, TaskOutcome, TaskSpec, Time,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A step of time: less than the age of digests and than the time after which a home repeats messages.
const STEP: Duration = Duration::from_millis(200);
const LEASE: Duration = Duration::from_millis(1_000);
/// The rounds after which everything must be done without further faults: several leases.
const ROUNDS: usize = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Faults {
    /// Messages that are lost or repeated, takeovers, crashes of homes, agents that move.
    All,
    Takeovers,
}

/// How much may happen besides the delivery of messages.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    pub faults: u16,
    pub kinds: Faults,
    pub time: u16,
    pub digests: u16,
    pub submits: u16,
    pub cancels: u16,
}

#[derive(Debug, Clone)]
pub struct Setup {
    pub shards: u16,
    pub homes: usize,
    /// The capacities of the agents.
    pub agents: Vec<u32>,
    /// The tasks of each shard at the beginning.
    pub tasks: u64,
    pub budget: Budget,
}

/// A home, by its place and the number of crashes there.
type Seat = (usize, u64);

#[derive(Debug, Clone)]
enum Message {
    Digest(Seat, Digest),
    Poll(Seat, Poll),
    Answer(Seat, PollAnswer, Vec<(AttemptId, Incarnation)>),
    Refusal(Seat, Poll, PollError),
    Vouch(ShardId, Vec<(AgentId, Session)>),
    Leave(ShardId, AgentId, Session),
    Result(Seat, ShardId, Epoch, Incarnation, AttemptId, Ending),
    Confirmation(Seat, AgentId, AttemptId),
    /// An attempt is cancelled or asked back.
    Cancel(AttemptId, Incarnation),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Completed,
    Cancelled,
}

#[derive(Debug, Clone)]
pub enum Action {
    Deliver {
        at: usize,
        desk: usize,
        again: bool,
    },
    Lose(usize),
    Finish(AgentId, AttemptId),
    Digest(usize),
    Time,
    Submit(usize),
    Cancel(usize),
    TakeOver {
        shard: usize,
        lives_on: bool,
    },
    CrashHome(usize),
    /// An agent connects, whether or not the home to which it was connected has noticed that it is gone.
    Connect {
        agent: AgentId,
        home: usize,
    },
    /// A home notices that an agent is gone.
    Disconnect {
        home: usize,
        agent: AgentId,
    },
}

/// The home of a node, and what its host keeps.
#[derive(Debug, Clone)]
struct House {
    seat: Seat,
    home: Home,
    /// The polls that have no answer.
    open: BTreeMap<(AgentId, ShardId), (Session, u64, u32)>,
    /// Results that are not confirmed.
    results: BTreeMap<(AgentId, AttemptId), (Incarnation, Ending)>,
}

/// An agent: the process that performs attempts.
#[derive(Debug, Clone)]
struct Worker {
    spec: AgentSpec,
    at: Option<(Seat, Session)>,
    running: BTreeMap<AttemptId, Incarnation>,
}

#[derive(Clone)]
pub struct Deployment {
    now: Time,
    shards: Vec<Shard>,
    houses: Vec<House>,
    workers: BTreeMap<AgentId, Worker>,
    net: Vec<Message>,
    budget: Budget,
    sessions: u64,
    begun: BTreeSet<AttemptId>,
    tasks: BTreeMap<TaskId, usize>,
    cancelled: BTreeSet<TaskId>,
    /// The sessions whose end has arrived at a shard, with the epoch of the shard.
    left: BTreeSet<(ShardId, Epoch, Session)>,
    /// The last session that was registered in a shard.
    sessions_at: BTreeMap<(ShardId, AgentId), Session>,
    fault: Option<String>,
}

impl Deployment {
    pub fn new(setup: &Setup) -> Self {
        let workers = setup.agents.iter().zip(1..).map(|(capacity, id)| {
            let spec = AgentSpec::new(AgentId::new(id)).with_skill("work", 1).with_capacity(*capacity);
            (AgentId::new(id), Worker { spec: spec.with_lease(LEASE), at: None, running: BTreeMap::new() })
        });
        let mut start = Self {
            now: Time::ZERO,
            shards: (0..setup.shards).map(|id| Shard::new(ShardId::new(id), Time::ZERO)).collect(),
            houses: (0..setup.homes).map(|place| House::new((place, 0))).collect(),
            workers: workers.collect(),
            net: Vec::new(),
            budget: Budget { submits: u16::MAX, ..setup.budget },
            sessions: 0,
            begun: BTreeSet::new(),
            tasks: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            left: BTreeSet::new(),
            sessions_at: BTreeMap::new(),
            fault: None,
        };
        for shard in 0..start.shards.len() {
            (0..setup.tasks).for_each(|_| start.submit(shard));
        }
        for agent in start.workers.keys().copied().collect::<Vec<_>>() {
            start.connect(agent, 0);
        }
        start.budget = setup.budget;
        start
    }

    fn submit(&mut self, shard: usize) {
        self.budget.submits -= 1;
        let task = TaskId::new(self.tasks.len() as u64 + 1);
        self.tasks.insert(task, shard);
        let retry = Retry::exponential(1_000, Duration::from_millis(1), Duration::from_millis(1));
        let spec = TaskSpec::new(task, "work").with_policy(Policy::default().with_retry(retry));
        let writer = self.shards[shard].desks.len() - 1;
        self.call(shard, writer, Call::Command(Command::submit(spec)));
    }

    /// A call whose caller waits at the desk.
    fn call(&mut self, shard: usize, desk: usize, call: Call) -> Option<(Told, Vec<Effect>)> {
        let (told, effects) = self.shards[shard].call(desk, self.now, call)?;
        self.note_sessions(shard);
        for effect in &effects {
            if let Effect::Cancel { attempt, from } | Effect::Yield { attempt, from, .. } = effect {
                self.net.push(Message::Cancel(*attempt, *from));
            }
        }
        Some((told, effects))
    }

    fn note_sessions(&mut self, shard: usize) {
        let writer = self.shards[shard].writer();
        for (agent, session) in writer.sessions() {
            let known = self.sessions_at.insert((writer.shard, agent), session);
            if let Some(known) = known.filter(|known| *known > session) {
                self.fault = Some(format!("{session:?} of agent {agent} takes the place of {known:?}"));
            }
        }
    }

    fn house(&mut self, seat: Seat) -> Option<&mut House> {
        self.houses.get_mut(seat.0).filter(|house| house.seat == seat)
    }

    fn fail(&mut self, fault: String) {
        self.fault.get_or_insert(fault);
    }

    fn connect(&mut self, agent: AgentId, place: usize) {
        self.sessions += 1;
        let (now, session, seat) = (self.now, Session::new(self.sessions), self.houses[place].seat);
        let worker = self.workers.get_mut(&agent).unwrap();
        // The agent ends what it performs for its earlier session.
        worker.running.clear();
        worker.at = Some((seat, session));
        let (spec, mut out) = (worker.spec.clone(), Vec::new());
        let house = &mut self.houses[place];
        house.forget(agent);
        house.home.connect(now, spec, session, &mut out).unwrap();
        self.perform(seat, out, &[]);
    }

    fn disconnect(&mut self, place: usize, agent: AgentId) {
        let (now, mut out) = (self.now, Vec::new());
        let house = &mut self.houses[place];
        house.forget(agent);
        house.home.disconnect(now, agent, &mut out).unwrap();
        let seat = house.seat;
        self.perform(seat, out, &[]);
    }

    /// Performs the effects of a home.
    fn perform(&mut self, seat: Seat, effects: Vec<HomeEffect>, dispatches: &[(AttemptId, Incarnation)]) {
        for effect in effects {
            match effect {
                HomeEffect::Poll(poll) => {
                    let key = (poll.agent.id, poll.shard);
                    let open = (poll.session, poll.number, poll.most);
                    self.houses[seat.0].open.insert(key, open);
                    self.net.push(Message::Poll(seat, poll));
                }
                HomeEffect::Begin { agent, attempt, .. } => self.begin(seat, (agent, attempt), dispatches),
                HomeEffect::Report { agent, shard, epoch, attempt } => {
                    let (by, ending) = self.houses[seat.0].results[&(agent, attempt)];
                    self.net.push(Message::Result(seat, shard, epoch, by, attempt, ending));
                }
                HomeEffect::Leave { agent, session, shard } => self.net.push(Message::Leave(shard, agent, session)),
                HomeEffect::Close { agent, session } => {
                    self.houses[seat.0].forget(agent);
                    let worker = self.workers.get_mut(&agent).unwrap();
                    if worker.at == Some((seat, session)) {
                        worker.at = None;
                        worker.running.clear();
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn begin(&mut self, seat: Seat, (agent, attempt): (AgentId, AttemptId), dispatches: &[(AttemptId, Incarnation)]) {
        let Some((_, by)) = dispatches.iter().find(|(id, _)| *id == attempt) else {
            return self.fail(format!("attempt {attempt} begins without a dispatch"));
        };
        let worker = self.workers.get_mut(&agent).unwrap();
        // An agent that has gone away, which its home has not noticed yet, performs nothing.
        if worker.at.is_none_or(|(at, _)| at != seat) {
            return;
        }
        worker.running.insert(attempt, *by);
        if !self.begun.insert(attempt) {
            self.fail(format!("attempt {attempt} is performed twice"));
        }
    }

    fn finish(&mut self, agent: AgentId, attempt: AttemptId, ending: Ending) {
        let now = self.now;
        let worker = self.workers.get_mut(&agent).unwrap();
        let (seat, _) = worker.at.unwrap();
        let by = worker.running.remove(&attempt).unwrap();
        let (mut out, house) = (Vec::new(), self.house(seat).unwrap());
        house.results.insert((agent, attempt), (by, ending));
        house.home.ended(now, agent, attempt, &mut out).unwrap();
        self.perform(seat, out, &[]);
    }

    fn deliver(&mut self, message: Message, desk: usize) {
        let now = self.now;
        match message {
            Message::Digest(seat, digest) => {
                let Some(house) = self.house(seat) else { return };
                let mut out = Vec::new();
                house.home.digests(now, [digest], &mut out);
                self.perform(seat, out, &[]);
            }
            Message::Poll(seat, poll) => self.poll(seat, poll, desk),
            Message::Answer(seat, answer, dispatches) => self.answer(seat, &answer, &dispatches),
            Message::Refusal(seat, poll, error) => {
                let Some(house) = self.house(seat) else { return };
                let mut out = Vec::new();
                let _ = house.home.refused(now, &poll, &error, &mut out);
                self.perform(seat, out, &[]);
            }
            Message::Vouch(shard, sessions) => drop(self.call(shard.index(), desk, Call::Vouch(sessions))),
            Message::Leave(shard, agent, session) => {
                let epoch = self.shards[shard.index()].desks[desk].epoch;
                if self.call(shard.index(), desk, Call::Leave(agent, session)).is_some() {
                    self.left.insert((shard, epoch, session));
                }
            }
            Message::Result(seat, shard, epoch, by, attempt, ending) => {
                let usage = Usage::default();
                let result = match ending {
                    Ending::Completed => AgentCommand::Complete { by, attempt, output: Payload::NULL, usage },
                    Ending::Cancelled => {
                        AgentCommand::Fail { by, attempt, failure: Failure::transient("cancelled"), usage }
                    }
                };
                if let Some((Told::Reported(Some(_)), _)) = self.call(shard.index(), desk, Call::Report(epoch, result))
                {
                    self.net.push(Message::Confirmation(seat, by.agent(), attempt));
                }
            }
            Message::Confirmation(seat, agent, attempt) => {
                let Some(house) = self.house(seat) else { return };
                if house.home.confirmed(now, agent, attempt).is_ok() {
                    house.results.remove(&(agent, attempt));
                }
            }
            Message::Cancel(attempt, from) => {
                let agent = from.agent();
                if self.workers[&agent].running.contains_key(&attempt) {
                    self.finish(agent, attempt, Ending::Cancelled);
                }
            }
        }
    }

    fn poll(&mut self, seat: Seat, poll: Poll, desk: usize) {
        let Some((told, effects)) = self.call(poll.shard.index(), desk, Call::Poll(poll.clone())) else { return };
        let dispatches = effects.iter().filter_map(|effect| match effect {
            Effect::Dispatch { attempt, to, .. } => Some((*attempt, *to)),
            _ => None,
        });
        match told {
            Told::Answer(Ok(answer)) => self.net.push(Message::Answer(seat, answer, dispatches.collect())),
            Told::Answer(Err(error)) => {
                if let PollError::Rejected(rejected) = &error {
                    self.fail(format!("a poll was rejected: {rejected}"));
                }
                self.net.push(Message::Refusal(seat, poll, error));
            }
            Told::Reported(_) | Told::Verdict(_) | Told::Nothing => panic!("a poll has an answer"),
        }
    }

    fn answer(&mut self, seat: Seat, answer: &PollAnswer, dispatches: &[(AttemptId, Incarnation)]) {
        let now = self.now;
        let Some(house) = self.house(seat) else { return };
        let mut out = Vec::new();
        let key = (answer.agent, answer.shard);
        match house.home.answer(now, answer, &mut out) {
            Ok(()) => {
                let open = house.open.remove(&key);
                if open.is_none_or(|(session, number, _)| (session, number) != (answer.session, answer.number)) {
                    self.fail(format!("{answer:?} is not an answer to {open:?}"));
                }
            }
            Err(HomeError::NotAwaited { .. } | HomeError::Unknown(_)) => {}
            Err(error) => self.fail(error.to_string()),
        }
        self.perform(seat, out, dispatches);
    }

    /// The timers that are due, and what homes send regularly.
    fn tick(&mut self) {
        self.now = self.now + STEP;
        let now = self.now;
        for shard in 0..self.shards.len() {
            for desk in (0..self.shards[shard].desks.len()).rev() {
                if self.shards[shard].desks[desk].engine.next_wakeup().is_some_and(|due| due <= now) {
                    self.call(shard, desk, Call::Command(Command::Tick));
                }
            }
        }
        for place in 0..self.houses.len() {
            let (house, mut out) = (&mut self.houses[place], Vec::new());
            if house.home.next_wakeup().is_some_and(|due| due <= now) {
                house.home.tick(now, &mut out);
            }
            let seat = house.seat;
            for shard in &self.shards {
                let sessions = house.home.sessions_at(shard.id);
                if !sessions.is_empty() {
                    self.net.push(Message::Vouch(shard.id, sessions));
                }
            }
            self.perform(seat, out, &[]);
        }
    }

    fn send_digest(&mut self, shard: usize) {
        let digest = self.shards[shard].writer().digest();
        let seats = self.houses.iter().map(|house| Message::Digest(house.seat, digest.clone()));
        self.net.extend(seats);
    }

    fn cancel(&mut self, shard: usize) {
        let mine = self.tasks.iter().filter(|(task, at)| **at == shard && !self.cancelled.contains(task));
        let Some(task) = mine.map(|(task, _)| *task).next_back() else { return };
        let command = TaskCommand::Cancel { task, reason: "enough".into() }.into();
        let desk = self.shards[shard].desks.len() - 1;
        match self.call(shard, desk, Call::Command(command)) {
            Some((Told::Verdict(Ok(_)), _)) => drop(self.cancelled.insert(task)),
            Some((Told::Verdict(Err(Rejected::State(_))), _)) => {}
            _ => self.fail(format!("task {task} cannot be cancelled")),
        }
    }

    fn take_over(&mut self, shard: usize, lives_on: bool) {
        for effect in self.shards[shard].take_over(self.now, lives_on) {
            // Dispatches are repeated in answer to polls.
            if let Effect::Cancel { attempt, from } | Effect::Yield { attempt, from, .. } = effect {
                self.net.push(Message::Cancel(attempt, from));
            }
        }
    }

    /// The agents that have left a home which does not know it.
    fn gone(&self, place: usize) -> Vec<AgentId> {
        let house = &self.houses[place];
        let known = self.workers.keys().filter(|agent| house.home.session(**agent).is_some());
        known.filter(|agent| self.workers[agent].at.is_none_or(|(seat, _)| seat != house.seat)).copied().collect()
    }

    /// One round without faults: everything arrives, and every attempt ends.
    fn round(&mut self) {
        for place in 0..self.houses.len() {
            self.gone(place).into_iter().for_each(|agent| self.disconnect(place, agent));
        }
        let absent = self.workers.iter().filter(|(_, worker)| worker.at.is_none()).map(|(agent, _)| *agent);
        absent.collect::<Vec<_>>().into_iter().for_each(|agent| self.connect(agent, 0));
        (0..self.shards.len()).for_each(|shard| self.send_digest(shard));
        while !self.net.is_empty() {
            for message in std::mem::take(&mut self.net) {
                let writer = message.shard().map_or(0, |shard| self.shards[shard.index()].desks.len() - 1);
                self.deliver(message, writer);
            }
            let running = self.workers.iter().flat_map(|(agent, worker)| worker.running.keys().map(|id| (*agent, *id)));
            for (agent, attempt) in running.collect::<Vec<_>>() {
                self.finish(agent, attempt, Ending::Completed);
            }
        }
        self.tick();
    }

    fn may_all_fail(&self) -> bool {
        self.budget.faults > 0 && self.budget.kinds == Faults::All
    }

    /// What is not done.
    fn unfinished(&self) -> Option<String> {
        for (task, shard) in &self.tasks {
            let engine = &self.shards[*shard].writer().engine;
            let outcome = engine.task(*task).and_then(|task| task.outcome());
            let is_done = match outcome {
                Some((TaskOutcome::Succeeded(_), _)) => true,
                Some((TaskOutcome::Cancelled { .. }, _)) => self.cancelled.contains(task),
                Some(_) | None => false,
            };
            if !is_done {
                let running = engine.task(*task).and_then(|task| task.running());
                return Some(format!("task {task} has the outcome {outcome:?}, under way: {running:?}"));
            }
        }
        let house = self.houses.iter().find(|house| !house.open.is_empty() || !house.results.is_empty());
        house.map(|house| format!("home {:?} waits for {:?} and {:?}", house.seat, house.open, house.results))
    }

    fn check_house(&self, house: &House) -> Result<(), String> {
        house.home.check()?;
        for (agent, worker) in &self.workers {
            let performed: BTreeSet<_> = house.home.running(*agent).collect();
            let open = house.open.iter().filter(|((of, _), _)| of == agent);
            let offered: u32 = open.map(|(_, (_, _, most))| most).sum();
            if performed.len() + offered as usize > worker.spec.capacity as usize {
                return Err(format!("agent {agent} performs {performed:?} and {offered} slots of it are offered"));
            }
            let is_here = worker
                .at
                .is_some_and(|(seat, session)| seat == house.seat && house.home.session(*agent) == Some(session));
            if is_here && !performed.iter().eq(worker.running.keys()) {
                return Err(format!("agent {agent} performs {:?}, its home knows {performed:?}", worker.running));
            }
        }
        Ok(())
    }
}

impl House {
    fn new(seat: Seat) -> Self {
        let home = Home::new(HomeRules::default(), 7);
        Self { seat, home, open: BTreeMap::new(), results: BTreeMap::new() }
    }

    /// The session of an agent is over.
    fn forget(&mut self, agent: AgentId) {
        self.open.retain(|(of, _), _| *of != agent);
        self.results.retain(|(of, _), _| *of != agent);
    }
}

impl Message {
    /// The shard to which it is sent.
    const fn shard(&self) -> Option<ShardId> {
        match self {
            Self::Poll(_, poll) => Some(poll.shard),
            Self::Vouch(shard, _) | Self::Leave(shard, ..) | Self::Result(_, shard, ..) => Some(*shard),
            Self::Digest(..) | Self::Answer(..) | Self::Refusal(..) | Self::Confirmation(..) | Self::Cancel(..) => None,
        }
    }
}

impl World for Deployment {
    type Action = Action;

    fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        for (at, message) in self.net.iter().enumerate() {
            let desks = message.shard().map_or(1, |shard| self.shards[shard.index()].desks.len());
            let copies = if self.may_all_fail() { &[false, true][..] } else { &[false] };
            actions.extend(
                (0..desks).flat_map(|desk| copies.iter().map(move |again| Action::Deliver { at, desk, again: *again })),
            );
        }
        for (agent, worker) in &self.workers {
            actions.extend(worker.running.keys().map(|attempt| Action::Finish(*agent, *attempt)));
        }
        let shards = || 0..self.shards.len();
        if self.budget.digests > 0 {
            actions.extend(shards().map(Action::Digest));
        }
        if self.budget.time > 0 {
            actions.push(Action::Time);
        }
        if self.budget.submits > 0 {
            actions.extend(shards().map(Action::Submit));
        }
        if self.budget.cancels > 0 {
            actions.extend(shards().map(Action::Cancel));
        }
        for home in 0..self.houses.len() {
            actions.extend(self.gone(home).into_iter().map(|agent| Action::Disconnect { home, agent }));
        }
        if self.budget.faults > 0 {
            actions
                .extend(shards().flat_map(|shard| [true, false].map(|lives_on| Action::TakeOver { shard, lives_on })));
        }
        if self.may_all_fail() {
            actions.extend((0..self.net.len()).map(Action::Lose));
            actions.extend((0..self.houses.len()).map(Action::CrashHome));
            let homes = 0..self.houses.len();
            actions.extend(
                self.workers.keys().flat_map(|agent| homes.clone().map(|home| Action::Connect { agent: *agent, home })),
            );
        }
        actions
    }

    fn apply(&mut self, action: &Action) {
        match *action {
            Action::Deliver { at, desk, again } => {
                self.budget.faults -= u16::from(again);
                let message = if again { self.net[at].clone() } else { self.net.remove(at) };
                self.deliver(message, desk);
            }
            Action::Lose(at) => {
                self.budget.faults -= 1;
                self.net.remove(at);
            }
            Action::Finish(agent, attempt) => self.finish(agent, attempt, Ending::Completed),
            Action::Digest(shard) => {
                self.budget.digests -= 1;
                self.send_digest(shard);
            }
            Action::Time => {
                self.budget.time -= 1;
                self.tick();
            }
            Action::Submit(shard) => self.submit(shard),
            Action::Cancel(shard) => {
                self.budget.cancels -= 1;
                self.cancel(shard);
            }
            Action::TakeOver { shard, lives_on } => {
                self.budget.faults -= 1;
                self.take_over(shard, lives_on);
            }
            Action::CrashHome(place) => {
                self.budget.faults -= 1;
                let (_, crashes) = self.houses[place].seat;
                let lost = std::mem::replace(&mut self.houses[place], House::new((place, crashes + 1))).seat;
                for worker in self.workers.values_mut().filter(|worker| worker.at.is_some_and(|(seat, _)| seat == lost))
                {
                    worker.at = None;
                    worker.running.clear();
                }
            }
            Action::Connect { agent, home } => {
                self.budget.faults -= 1;
                self.connect(agent, home);
            }
            Action::Disconnect { home, agent } => self.disconnect(home, agent),
        }
    }

    fn check(&self) -> Result<(), String> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        for house in &self.houses {
            self.check_house(house)?;
        }
        for (agent, worker) in &self.workers {
            if worker.running.len() > worker.spec.capacity as usize {
                return Err(format!("agent {agent} performs {:?}", worker.running));
            }
        }
        for desk in self.shards.iter().flat_map(|shard| &shard.desks) {
            desk.engine.check()?;
            let mut sessions = desk.sessions().into_iter().map(|(_, session)| session);
            if let Some(session) = sessions.find(|session| self.left.contains(&(desk.shard, desk.epoch, *session))) {
                return Err(format!("{session:?} has left {} and is registered", desk.shard));
            }
        }
        Ok(())
    }

    /// The numbers of sessions count up in every state: only their order matters.
    fn content(&self) -> String {
        let desks: Vec<String> =
            self.shards.iter().flat_map(|shard| shard.desks.iter().map(|desk| desk.content())).collect();
        let mut net: Vec<String> = self.net.iter().map(|message| format!("{message:?}")).collect();
        net.sort();
        let Self { now, houses, workers, budget, begun, cancelled, left, .. } = self;
        format!("{now} {houses:?} {workers:?} {budget:?} {begun:?} {cancelled:?} {left:?} {net:?} {desks:?}")
    }

    fn settle(mut self) -> Result<(), String> {
        for shard in &mut self.shards {
            // Owners that were replaced are fenced at their next append.
            shard.desks.drain(..shard.desks.len() - 1);
        }
        for _ in 0..ROUNDS {
            if self.net.is_empty() && self.unfinished().is_none() {
                return self.check();
            }
            self.round();
            self.check()?;
        }
        self.unfinished().map_or(Ok(()), Err)
    }
}
