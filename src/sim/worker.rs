//! Simulated agents: what they hold, what they are at, what they say.

use super::agent::AgentModel;
use super::fault::Fault;
use super::world::{From, What, Word, World};
use crate::base::id::{AgentId, AttemptId, Incarnation, mix};
use crate::base::payload::Payload;
use crate::base::structure::Random;
use crate::base::time::Time;
use crate::message::command::{Accepted, AgentCommand};
use crate::message::rejected::{Rejected, Stale};
use crate::task::agent::AgentSpec;
use crate::task::{Failure, TaskSpec, Usage};
use crate::workflow::Attempt;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Without an answer to its registration an agent registers again after so long.
const PATIENCE: Duration = Duration::from_secs(3);
/// What takes no time by any model takes so long.
const USUAL: Duration = Duration::from_secs(1);

const SERVICE: u64 = 0x0073_6572_7669_6365;
const FAILING: u64 = 0x6661_696c_696e_6700;

/// What reaches an agent.
#[derive(Debug, Clone)]
pub(super) enum Post {
    Dispatch {
        attempt: AttemptId,
        to: Incarnation,
        task: Arc<TaskSpec>,
    },
    Cancel {
        attempt: AttemptId,
        from: Incarnation,
    },
    Yield {
        attempt: AttemptId,
        from: Incarnation,
    },
    /// To a registration or a heartbeat.
    Answer(Result<Accepted, Rejected>),
}

type Said = Result<Payload, Failure>;

#[derive(Debug)]
struct Deed {
    by: Incarnation,
    task: Arc<TaskSpec>,
    state: State,
}

impl Deed {
    /// What it can honestly say of it when it dies.
    fn last_words(self) -> Said {
        match self.state {
            State::Done(said) => said,
            State::Waiting | State::Working(_) => Err(Failure::unknown("it died over it")),
        }
    }
}

fn word(by: Incarnation, attempt: AttemptId, said: Said) -> AgentCommand {
    match said {
        Ok(output) => AgentCommand::Complete { by, attempt, output, usage: Usage::default() },
        Err(failure) => AgentCommand::Fail { by, attempt, failure, usage: Usage::default() },
    }
}

#[derive(Debug)]
enum State {
    Waiting,
    Working(Time),
    Done(Said),
}

#[derive(Debug)]
pub(super) struct Worker {
    pub(super) model: AgentModel,
    spec: AgentSpec,
    alive: bool,
    /// Counts deaths: what was planned before one does not happen after it.
    generation: u32,
    life: Option<Incarnation>,
    /// The number of the last life that is over: what is asked of it is not asked of the next.
    buried: u64,
    deeds: BTreeMap<AttemptId, Deed>,
    /// What the last life held when it ended, with what it had to say of it.
    past: Vec<(Incarnation, AttemptId, Said)>,
    /// What it gave up or back and will not begin any more, whoever asks again later, with its word on it.
    given_up: BTreeMap<AttemptId, AgentCommand>,
    leaving: bool,
    beating: bool,
    since: Option<Time>,
    pub(super) busy: Duration,
    pub(super) online: Duration,
    pub(super) attempts: u64,
    pub(super) deaths: u64,
}

impl Worker {
    pub(super) fn new(model: AgentModel) -> Self {
        Self {
            spec: model.spec.clone(),
            model,
            alive: true,
            generation: 0,
            life: None,
            buried: 0,
            deeds: BTreeMap::new(),
            past: Vec::new(),
            given_up: BTreeMap::new(),
            leaving: false,
            beating: false,
            since: None,
            busy: Duration::ZERO,
            online: Duration::ZERO,
            attempts: 0,
            deaths: 0,
        }
    }

    /// Its life is over.
    fn bury(&mut self) {
        self.buried = self.buried.max(self.life.take().map_or(0, Incarnation::number));
    }

    pub(super) const fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// Whether it is to come, or has come and was not answered yet.
    pub(super) const fn is_starting(&self) -> bool {
        !self.leaving && self.alive && self.life.is_none() && self.deaths == 0
    }

    fn is(&self, generation: u32) -> bool {
        self.alive && self.generation == generation
    }

    fn working(&self) -> usize {
        self.deeds.values().filter(|deed| matches!(deed.state, State::Working(_))).count()
    }

    fn unanswered(&self) -> usize {
        self.deeds.values().filter(|deed| !matches!(deed.state, State::Done(_))).count()
    }

    /// Stops what it is at, in the midst of it.
    fn drop_deed(&mut self, attempt: AttemptId, now: Time) -> Option<Deed> {
        let deed = self.deeds.remove(&attempt)?;
        if let State::Working(since) = deed.state {
            self.busy += now.since(since);
        }
        Some(deed)
    }

    fn clock_off(&mut self, now: Time) {
        self.online += self.since.take().map_or(Duration::ZERO, |since| now.since(since));
    }

    /// How long it was there until now.
    pub(super) fn online_until(&self, now: Time) -> Duration {
        self.online + self.since.map_or(Duration::ZERO, |since| now.since(since))
    }

    /// How long its slots were in use until now.
    pub(super) fn busy_until(&self, now: Time) -> Duration {
        let under_way = self.deeds.values().filter_map(|deed| match deed.state {
            State::Working(since) => Some(now.since(since)),
            State::Waiting | State::Done(_) => None,
        });
        self.busy + under_way.sum::<Duration>()
    }
}

impl World {
    /// A new agent comes now.
    pub(super) fn hire(&mut self, model: AgentModel) {
        let _number = self.hire_at(model.joining(self.now));
    }

    /// A new agent comes when its model says.
    pub(super) fn hire_at(&mut self, model: AgentModel) -> usize {
        let at = model.joins.max(self.now);
        let number = self.enrol(model);
        self.queue.push(at, What::Join(number, 0));
        number
    }

    /// An agent that has not come yet never will. Whether that was still possible.
    pub(super) fn call_off(&mut self, number: usize) -> bool {
        let Some(worker) = self.workers.get_mut(number).filter(|worker| worker.since.is_none()) else { return false };
        (worker.leaving, worker.alive) = (true, false);
        worker.generation += 1;
        true
    }

    pub(super) fn enrol(&mut self, model: AgentModel) -> usize {
        let number = self.workers.len();
        self.by_agent.insert(model.spec.id, number);
        self.workers.push(Worker::new(model));
        number
    }

    /// An agent finishes what it holds, and leaves.
    pub(super) fn retire(&mut self, agent: AgentId) {
        let Some(number) = self.by_agent.get(&agent).copied() else { return };
        if let Some(worker) = self.workers.get_mut(number).filter(|worker| !worker.leaving) {
            worker.leaving = true;
            self.ask(AgentCommand::Drain { agent }.into(), false);
            self.leave_if_idle(number);
        }
    }

    fn leave_if_idle(&mut self, number: usize) {
        let now = self.now;
        let Some(worker) = self.workers.get_mut(number) else { return };
        if !worker.leaving || !worker.alive || worker.unanswered() > 0 {
            return;
        }
        worker.alive = false;
        worker.generation += 1;
        worker.clock_off(now);
        let agent = worker.spec.id;
        self.ask(AgentCommand::Deregister { agent }.into(), false);
    }

    pub(super) fn post(&mut self, to: AgentId, post: Post) {
        if let Some(number) = self.by_agent.get(&to).copied() {
            self.send(What::Agent(number, post));
        }
    }

    fn say(&mut self, number: usize, word: AgentCommand) {
        self.send(What::Host(Word { from: From::Worker(number), command: word.into() }));
    }

    /// The agent registers, and begins to say that it is alive.
    pub(super) fn join(&mut self, number: usize, generation: u32) {
        let (now, lossy) = (self.now, self.lossy());
        let Some(worker) = self.workers.get_mut(number) else { return };
        if !worker.is(generation) || worker.life.is_some() || worker.leaving {
            return;
        }
        let spec = worker.spec.clone();
        if worker.since.is_none() {
            worker.since = Some(now);
            if let Some((up, _)) = worker.model.breakdowns.clone() {
                let until = up.draw(&mut self.life_random(number));
                self.queue.push(now + until, What::Die(number, generation));
            }
        }
        self.say(number, AgentCommand::Register(spec));
        if lossy {
            self.queue.push(now + PATIENCE, What::Join(number, generation));
        }
        let Some(worker) = self.workers.get_mut(number) else { return };
        if let (Some(every), false) = (worker.model.beat(), worker.beating) {
            worker.beating = true;
            self.queue.push(now + every, What::Beat(number, generation));
        }
    }

    fn life_random(&self, number: usize) -> Random {
        let worker = self.workers.get(number);
        let (agent, deaths) = worker.map_or((0, 0), |worker| (worker.spec.id.get(), worker.deaths));
        Random::new(self.seed ^ mix(agent), deaths)
    }

    pub(super) fn beat(&mut self, number: usize, generation: u32) {
        let now = self.now;
        let Some(worker) = self.workers.get(number).filter(|worker| worker.is(generation)) else { return };
        let (life, spec) = (worker.life, worker.spec.clone());
        if let Some(every) = worker.model.beat() {
            self.queue.push(now + every, What::Beat(number, generation));
        }
        let Some(by) = life else { return };
        self.say(number, AgentCommand::Heartbeat { by });
        self.poll(number);
        if self.chance.strikes(Fault::AgentRejoins) {
            self.say(number, AgentCommand::Register(spec.clone()));
        }
        if let Some(mut random) = self.chance.strike(Fault::AgentShrinks) {
            let most = usize::try_from(self.capacity(number).saturating_mul(2)).unwrap_or(1);
            let capacity = u32::try_from(random.below(most) + 1).unwrap_or(1);
            let spec = spec.with_capacity(capacity);
            if let Some(worker) = self.workers.get_mut(number) {
                worker.spec = spec.clone();
            }
            self.say(number, AgentCommand::Update { by, spec });
            self.start_next(number);
        }
    }

    fn capacity(&self, number: usize) -> u32 {
        self.workers.get(number).map_or(1, |worker| worker.model.spec.capacity)
    }

    /// It asks for as much as it has room for, if it is one that asks.
    fn poll(&mut self, number: usize) {
        let Some(worker) = self.workers.get(number).filter(|worker| worker.spec.polls && !worker.leaving) else {
            return;
        };
        let held = u32::try_from(worker.unanswered()).unwrap_or(u32::MAX);
        let (life, most) = (worker.life, worker.spec.slots().saturating_sub(held));
        if let Some(by) = life {
            self.say(number, AgentCommand::Poll { by, most });
        }
    }

    /// Something reaches the agent.
    pub(super) fn receive(&mut self, number: usize, post: Post) {
        if !self.workers.get(number).is_some_and(|worker| worker.alive) {
            return;
        }
        match post {
            Post::Answer(Ok(Accepted::Registered(life))) => self.reborn(number, life),
            Post::Answer(Err(Rejected::Stale(Stale::Incarnation(life)))) => {
                let Some(worker) = self.workers.get_mut(number) else { return };
                if worker.life == Some(life) {
                    worker.bury();
                    let generation = worker.generation;
                    self.join(number, generation);
                }
            }
            Post::Answer(_) => {}
            Post::Dispatch { attempt, to, task } => self.take(number, attempt, to, task),
            Post::Cancel { attempt, from } => self.stop(number, attempt, from),
            Post::Yield { attempt, from } => self.give_back(number, attempt, from),
        }
    }

    /// It has a new life: what it held in the last is no longer its own.
    fn reborn(&mut self, number: usize, life: Incarnation) {
        let now = self.now;
        let Some(worker) = self.workers.get_mut(number) else { return };
        if worker.buried >= life.number() || worker.life.is_some_and(|old| old.number() >= life.number()) {
            return;
        }
        worker.life = Some(life);
        let old: Vec<AttemptId> =
            worker.deeds.iter().filter(|(_, deed)| deed.by != life).map(|(attempt, _)| *attempt).collect();
        for attempt in old {
            worker.drop_deed(attempt, now);
        }
        self.poll(number);
        self.start_next(number);
    }

    fn take(&mut self, number: usize, attempt: AttemptId, to: Incarnation, task: Arc<TaskSpec>) {
        let Some(worker) = self.workers.get(number) else { return };
        match worker.life {
            Some(life) if life == to => {}
            None if to.number() <= worker.buried => return,
            // The answer to its registration is still on the way.
            Some(life) if life.number() > to.number() => return,
            Some(_) | None => self.reborn(number, to),
        }
        let Some(worker) = self.workers.get_mut(number) else { return };
        if let Some(deed) = worker.deeds.get(&attempt) {
            if matches!(deed.state, State::Done(_)) {
                self.answer(number, attempt);
            }
            return;
        }
        if let Some(word) = worker.given_up.get(&attempt).cloned() {
            return self.say(number, word);
        }
        worker.deeds.insert(attempt, Deed { by: to, task, state: State::Waiting });
        self.start_next(number);
    }

    /// Begins what waits with it, while it has room.
    fn start_next(&mut self, number: usize) {
        let now = self.now;
        loop {
            let Some(worker) = self.workers.get_mut(number) else { return };
            if worker.working() >= worker.spec.capacity as usize {
                return;
            }
            let generation = worker.generation;
            let Some((attempt, deed)) = worker.deeds.iter_mut().find(|(_, deed)| matches!(deed.state, State::Waiting))
            else {
                return;
            };
            let (attempt, by, task) = (*attempt, deed.by, Arc::clone(&deed.task));
            deed.state = State::Working(now);
            worker.attempts += 1;
            if worker.spec.prefetch > 0 {
                self.say(number, AgentCommand::Start { by, attempt });
            }
            let mut span = self.service(number, &task, attempt);
            if self.chance.strikes(Fault::AgentStalls) {
                span *= 100;
            }
            self.queue.push(now + span, What::Done(number, generation, attempt));
        }
    }

    /// How long the attempt takes: a draw that belongs to the task and the number of the attempt, so that the same task
    /// takes the same in worlds that differ in other things.
    fn service(&self, number: usize, task: &TaskSpec, attempt: AttemptId) -> Duration {
        let Some(worker) = self.workers.get(number) else { return USUAL };
        let law = worker.model.services.get(&task.kind).or_else(|| self.services.get(&task.kind));
        let mut random = Random::new(self.seed ^ SERVICE ^ mix(task.id.get()), attempt.number().get().into());
        let span = match (self.works.get(&task.id), law) {
            (Some(work), _) => *work,
            (None, Some(law)) => law.draw(&mut random),
            (None, None) => task.estimate.unwrap_or(USUAL),
        };
        Duration::try_from_secs_f64(span.as_secs_f64() / worker.model.speed).unwrap_or(span)
    }

    /// The attempt's time is over: the work is done, or has failed.
    pub(super) fn done(&mut self, number: usize, generation: u32, attempt: AttemptId) {
        let now = self.now;
        let working = self.workers.get(number).filter(|worker| worker.is(generation)).is_some_and(|worker| {
            worker.deeds.get(&attempt).is_some_and(|deed| matches!(deed.state, State::Working(_)))
        });
        if !working {
            return;
        }
        if self.chance.strikes(Fault::AgentDies) {
            return self.die(number);
        }
        let said = self.work(number, attempt);
        let Some(worker) = self.workers.get_mut(number) else { return };
        if let Some(Deed { state, .. }) = worker.deeds.get_mut(&attempt) {
            if let State::Working(since) = *state {
                worker.busy += now.since(since);
            }
            *state = State::Done(said);
        }
        if self.chance.strikes(Fault::AgentDiesUnheard) {
            return self.die(number);
        }
        if !self.chance.strikes(Fault::AgentSilent) {
            self.answer(number, attempt);
        }
        self.start_next(number);
        self.poll(number);
        self.leave_if_idle(number);
    }

    fn work(&self, number: usize, attempt: AttemptId) -> Said {
        let Some((worker, deed)) =
            self.workers.get(number).and_then(|worker| Some((worker, worker.deeds.get(&attempt)?)))
        else {
            return Ok(Payload::NULL);
        };
        if let Some((permille, failure)) = &worker.model.failing {
            let seed = self.seed ^ FAILING ^ mix(worker.spec.id.get()) ^ mix(attempt.task().get());
            if Random::new(seed, attempt.number().get().into()).below(1_000) < usize::from(*permille) {
                return Err(failure.clone());
            }
        }
        let seen = Attempt::new(attempt, deed.task.kind.clone());
        worker.model.answers.as_ref().unwrap_or(&self.answers).perform(&deed.task, &seen)
    }

    /// It says how the attempt ended.
    fn answer(&mut self, number: usize, attempt: AttemptId) {
        let lossy = self.lossy();
        let Some(worker) = self.workers.get_mut(number) else { return };
        let Some(Deed { by, state: State::Done(said), .. }) = worker.deeds.get(&attempt) else { return };
        let (by, said) = (*by, said.clone());
        if !lossy {
            worker.deeds.remove(&attempt);
        }
        if let Some(mut random) = self.chance.strike(Fault::AgentLies) {
            let other = self.workers.get(random.below(self.workers.len())).and_then(|worker| worker.life);
            let true_one = attempt.number().get();
            let wrong = if random.below(2) == 0 { true_one.saturating_sub(1) } else { true_one.saturating_add(1_000) };
            let lie = match random.below(2) {
                0 => word(by, AttemptId::new(attempt.task(), wrong), Ok(Payload::NULL)),
                _ => word(other.unwrap_or(by), attempt, said.clone()),
            };
            self.say(number, lie);
        }
        self.say(number, word(by, attempt, said));
        if self.chance.strikes(Fault::AgentAnswersTwice) {
            self.say(number, word(by, attempt, Err(Failure::unknown("said twice"))));
        }
    }

    /// It is told to stop: it gives up what it has not finished, and says again what it has.
    fn stop(&mut self, number: usize, attempt: AttemptId, from: Incarnation) {
        let now = self.now;
        let Some(worker) = self.workers.get_mut(number) else { return };
        let Some(deed) = worker.deeds.get(&attempt).filter(|deed| deed.by == from) else { return };
        if matches!(deed.state, State::Done(_)) {
            return self.answer(number, attempt);
        }
        worker.drop_deed(attempt, now);
        let failure = Failure::transient("given up, as asked");
        self.give_up(number, attempt, AgentCommand::Fail { by: from, attempt, failure, usage: Usage::default() });
        self.start_next(number);
        self.poll(number);
        self.leave_if_idle(number);
    }

    /// It says that it has not done an attempt, and stays by it: the request may be still on its way a second time.
    fn give_up(&mut self, number: usize, attempt: AttemptId, word: AgentCommand) {
        let lossy = self.lossy();
        if let Some(worker) = self.workers.get_mut(number).filter(|_| lossy) {
            worker.given_up.insert(attempt, word.clone());
        }
        self.say(number, word);
    }

    /// It is asked for an attempt: it gives back what it has not begun, or what may be preempted.
    fn give_back(&mut self, number: usize, attempt: AttemptId, from: Incarnation) {
        let now = self.now;
        let Some(worker) = self.workers.get_mut(number) else { return };
        let Some(deed) = worker.deeds.get(&attempt).filter(|deed| deed.by == from) else { return };
        match deed.state {
            State::Done(_) => return self.answer(number, attempt),
            State::Working(_) if !deed.task.preemptible => return,
            State::Working(_) | State::Waiting => {}
        }
        worker.drop_deed(attempt, now);
        self.give_up(number, attempt, AgentCommand::Yield { by: from, attempt });
        self.start_next(number);
        self.poll(number);
    }

    pub(super) fn break_down(&mut self, number: usize, generation: u32) {
        let faulty = self.settings.breakdowns_stop && self.chance.is_quiet();
        if !faulty && self.workers.get(number).is_some_and(|worker| worker.is(generation)) {
            self.die(number);
        }
    }

    /// It dies without a word, with all that it holds.
    fn die(&mut self, number: usize) {
        let (now, mut random) = (self.now, self.life_random(number));
        let Some(worker) = self.workers.get_mut(number) else { return };
        let deeds: Vec<AttemptId> = worker.deeds.keys().copied().collect();
        let gone = deeds.into_iter().filter_map(|attempt| {
            let deed = worker.drop_deed(attempt, now)?;
            Some((deed.by, attempt, deed.last_words()))
        });
        worker.past = gone.collect();
        worker.alive = false;
        worker.generation += 1;
        worker.bury();
        worker.beating = false;
        worker.clock_off(now);
        worker.deaths += 1;
        let away = match &worker.model.breakdowns {
            Some((_, away)) => away.draw(&mut random),
            None => random.between(Duration::from_secs(1), Duration::from_secs(90)),
        };
        let generation = worker.generation;
        self.queue.push(now + away, What::Recover(number, generation));
    }

    pub(super) fn recover(&mut self, number: usize, generation: u32) {
        let Some(worker) = self.workers.get_mut(number).filter(|it| it.generation == generation && !it.alive) else {
            return;
        };
        worker.alive = true;
        let past = core::mem::take(&mut worker.past);
        self.join(number, generation);
        if self.chance.strikes(Fault::AgentHaunts) {
            for (by, attempt, said) in past {
                self.say(number, word(by, attempt, said));
            }
        }
    }
}
