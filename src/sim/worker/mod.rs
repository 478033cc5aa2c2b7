//! Simulated agents: the attempts that they hold, their work and their messages.

mod reports;
mod roster;

use super::agent::AgentModel;
use super::distribution::Distribution;
use super::fault::Fault;
use super::timeline::{From, Timeline, What};
use crate::base::id::{AgentId, AttemptId, Incarnation, TaskId, mix};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::{IdMap, Random};
use crate::base::time::Time;
use crate::host::Agent;
use crate::message::command::{Accepted, AgentCommand};
use crate::message::rejected::{Rejected, Stale};
use crate::task::agent::AgentSpec;
use crate::task::{Failure, TaskSpec, Usage};
use crate::workflow::Attempt;
use core::time::Duration;
use reports::report_every;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The time without an answer after which an agent repeats its registration.
const PATIENCE: Duration = Duration::from_secs(3);
/// The service time of a task without a model.
const USUAL: Duration = Duration::from_secs(1);

const SERVICE: u64 = 0x0073_6572_7669_6365;
const FAILING: u64 = 0x6661_696c_696e_6700;

/// A message to an agent.
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
    /// The answer to a registration or a heartbeat.
    Answer(Result<Accepted, Rejected>),
}

type Answered = Result<Payload, Failure>;

#[derive(Debug)]
struct Assigned {
    by: Incarnation,
    task: Arc<TaskSpec>,
    state: State,
}

impl Assigned {
    /// The answer that it can truthfully give after a crash.
    fn final_answer(self) -> Answered {
        match self.state {
            State::Done(answer) => answer,
            State::Waiting | State::Working(_) => Err(Failure::unknown("crashed during the attempt")),
        }
    }
}

fn message(by: Incarnation, attempt: AttemptId, answer: Answered) -> AgentCommand {
    match answer {
        Ok(output) => AgentCommand::Complete { by, attempt, output, usage: Usage::default() },
        Err(failure) => AgentCommand::Fail { by, attempt, failure, usage: Usage::default() },
    }
}

#[derive(Debug)]
enum State {
    Waiting,
    Working(Time),
    Done(Answered),
}

#[derive(Debug)]
pub(super) struct Worker {
    pub(super) model: AgentModel,
    spec: AgentSpec,
    alive: bool,
    /// Counts crashes: steps that were scheduled before a crash are void after it.
    generation: u32,
    incarnation: Option<Incarnation>,
    /// The number of the last incarnation that has ended: messages to it are not for the next.
    last_ended: u64,
    assigned: BTreeMap<AttemptId, Assigned>,
    /// The attempts that the last incarnation held at its end, with their answers.
    previous: Vec<(Incarnation, AttemptId, Answered)>,
    /// Attempts that it gave back or stopped and does not begin again, with its answers to repeated requests.
    refused: BTreeMap<AttemptId, AgentCommand>,
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
            incarnation: None,
            last_ended: 0,
            assigned: BTreeMap::new(),
            previous: Vec::new(),
            refused: BTreeMap::new(),
            leaving: false,
            beating: false,
            since: None,
            busy: Duration::ZERO,
            online: Duration::ZERO,
            attempts: 0,
            deaths: 0,
        }
    }

    /// Ends its incarnation.
    fn end_incarnation(&mut self) {
        self.last_ended = self.last_ended.max(self.incarnation.take().map_or(0, Incarnation::number));
    }

    pub(super) const fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// Whether it has yet to join, or has registered without an answer so far.
    pub(super) const fn is_starting(&self) -> bool {
        !self.leaving && self.alive && self.incarnation.is_none() && self.deaths == 0
    }

    fn is(&self, generation: u32) -> bool {
        self.alive && self.generation == generation
    }

    fn working(&self) -> usize {
        self.assigned.values().filter(|work| matches!(work.state, State::Working(_))).count()
    }

    fn unanswered(&self) -> usize {
        self.assigned.values().filter(|work| !matches!(work.state, State::Done(_))).count()
    }

    /// Stops an attempt before its end.
    fn drop_work(&mut self, attempt: AttemptId, now: Time) -> Option<Assigned> {
        let work = self.assigned.remove(&attempt)?;
        if let State::Working(since) = work.state {
            self.busy += now.since(since);
        }
        Some(work)
    }

    fn clock_off(&mut self, now: Time) {
        self.online += self.since.take().map_or(Duration::ZERO, |since| now.since(since));
    }

    /// Its online time until now.
    pub(super) fn online_until(&self, now: Time) -> Duration {
        self.online + self.since.map_or(Duration::ZERO, |since| now.since(since))
    }

    /// The time for which its slots were in use until now.
    pub(super) fn busy_until(&self, now: Time) -> Duration {
        let under_way = self.assigned.values().filter_map(|work| match work.state {
            State::Working(since) => Some(now.since(since)),
            State::Waiting | State::Done(_) => None,
        });
        self.busy + under_way.sum::<Duration>()
    }
}

/// The agents, the durations of their work and their answers.
pub(super) struct Crew {
    workers: Vec<Worker>,
    by_agent: BTreeMap<AgentId, usize>,
    /// The running time of a task at speed 1, where its job states one.
    works: IdMap<TaskId, Duration>,
    services: BTreeMap<Name, Distribution>,
    answers: Arc<dyn Agent>,
}

impl Crew {
    pub(super) fn post(&self, time: &mut Timeline, to: AgentId, post: Post) {
        if let Some(number) = self.number_of(to) {
            time.send(What::Agent(number, post));
        }
    }

    /// Registers the agent, and starts its heartbeats.
    pub(super) fn join(&mut self, time: &mut Timeline, number: usize, generation: u32) {
        let (now, lossy) = (time.now, time.lossy());
        let Some(worker) = self.workers.get_mut(number) else { return };
        if !worker.is(generation) || worker.incarnation.is_some() || worker.leaving {
            return;
        }
        let spec = worker.spec.clone();
        if worker.since.is_none() {
            worker.since = Some(now);
            if let Some((up, _)) = worker.model.breakdowns.clone() {
                let until = up.draw(&mut self.incarnation_random(time, number));
                time.push(now + until, What::Die(number, generation));
            }
        }
        time.say(From::Worker(number), AgentCommand::Register(spec));
        if lossy {
            time.push(now + PATIENCE, What::Join(number, generation));
        }
        let Some(worker) = self.workers.get_mut(number) else { return };
        if let (Some(every), false) = (worker.model.beat(), worker.beating) {
            worker.beating = true;
            time.push(now + every, What::Beat(number, generation));
        }
    }

    fn incarnation_random(&self, time: &Timeline, number: usize) -> Random {
        let worker = self.workers.get(number);
        let (agent, deaths) = worker.map_or((0, 0), |worker| (worker.spec.id.get(), worker.deaths));
        Random::new(time.seed ^ mix(agent), deaths)
    }

    pub(super) fn beat(&mut self, time: &mut Timeline, number: usize, generation: u32) {
        let now = time.now;
        let Some(worker) = self.workers.get(number).filter(|worker| worker.is(generation)) else { return };
        let (incarnation, spec) = (worker.incarnation, worker.spec.clone());
        if let Some(every) = worker.model.beat() {
            time.push(now + every, What::Beat(number, generation));
        }
        let Some(by) = incarnation else { return };
        time.say(From::Worker(number), AgentCommand::Heartbeat { by });
        self.poll(time, number);
        if time.chance.strikes(Fault::AgentRejoins) {
            time.say(From::Worker(number), AgentCommand::Register(spec.clone()));
        }
        if let Some(mut random) = time.chance.strike(Fault::AgentShrinks) {
            let most = usize::try_from(self.capacity(number).saturating_mul(2)).unwrap_or(1);
            let capacity = u32::try_from(random.below(most) + 1).unwrap_or(1);
            let spec = spec.with_capacity(capacity);
            if let Some(worker) = self.workers.get_mut(number) {
                worker.spec = spec.clone();
            }
            time.say(From::Worker(number), AgentCommand::Update { by, spec });
            self.start_next(time, number);
        }
    }

    fn capacity(&self, number: usize) -> u32 {
        self.workers.get(number).map_or(1, |worker| worker.model.spec.capacity)
    }

    /// Polls for as many attempts as it has free slots, if it is a polling agent.
    fn poll(&self, time: &mut Timeline, number: usize) {
        let Some(worker) = self.workers.get(number).filter(|worker| worker.spec.polls && !worker.leaving) else {
            return;
        };
        let held = u32::try_from(worker.unanswered()).unwrap_or(u32::MAX);
        let (incarnation, most) = (worker.incarnation, worker.spec.slots().saturating_sub(held));
        if let Some(by) = incarnation {
            time.say(From::Worker(number), AgentCommand::Poll { by, most });
        }
    }

    /// Handles a message to the agent.
    pub(super) fn receive(&mut self, time: &mut Timeline, number: usize, post: Post) -> Option<AgentCommand> {
        if !self.workers.get(number).is_some_and(|worker| worker.alive) {
            return None;
        }
        match post {
            Post::Answer(Ok(Accepted::Registered(incarnation))) => self.begin_incarnation(time, number, incarnation),
            Post::Answer(Err(Rejected::Stale(Stale::Incarnation(incarnation)))) => {
                let worker = self.workers.get_mut(number)?;
                if worker.incarnation == Some(incarnation) {
                    worker.end_incarnation();
                    let generation = worker.generation;
                    self.join(time, number, generation);
                }
            }
            Post::Answer(_) => {}
            Post::Dispatch { attempt, to, task } => self.take(time, number, attempt, to, task),
            Post::Cancel { attempt, from } => return self.stop(time, number, attempt, from),
            Post::Yield { attempt, from } => self.give_back(time, number, attempt, from),
        }
        None
    }

    /// Begins a new incarnation: the attempts of the previous one are no longer its own.
    fn begin_incarnation(&mut self, time: &mut Timeline, number: usize, incarnation: Incarnation) {
        let now = time.now;
        let Some(worker) = self.workers.get_mut(number) else { return };
        if worker.last_ended >= incarnation.number()
            || worker.incarnation.is_some_and(|old| old.number() >= incarnation.number())
        {
            return;
        }
        worker.incarnation = Some(incarnation);
        let old: Vec<AttemptId> =
            worker.assigned.iter().filter(|(_, work)| work.by != incarnation).map(|(attempt, _)| *attempt).collect();
        for attempt in old {
            worker.drop_work(attempt, now);
        }
        self.poll(time, number);
        self.start_next(time, number);
    }

    fn take(&mut self, time: &mut Timeline, number: usize, attempt: AttemptId, to: Incarnation, task: Arc<TaskSpec>) {
        let Some(worker) = self.workers.get(number) else { return };
        match worker.incarnation {
            Some(incarnation) if incarnation == to => {}
            None if to.number() <= worker.last_ended => return,
            // The answer to its registration is still in transit.
            Some(incarnation) if incarnation.number() > to.number() => return,
            Some(_) | None => self.begin_incarnation(time, number, to),
        }
        let Some(worker) = self.workers.get_mut(number) else { return };
        if let Some(work) = worker.assigned.get(&attempt) {
            if matches!(work.state, State::Done(_)) {
                self.answer(time, number, attempt);
            }
            return;
        }
        if let Some(message) = worker.refused.get(&attempt).cloned() {
            return time.say(From::Worker(number), message);
        }
        worker.assigned.insert(attempt, Assigned { by: to, task, state: State::Waiting });
        self.start_next(time, number);
    }

    /// Begins waiting attempts in the free slots.
    fn start_next(&mut self, time: &mut Timeline, number: usize) {
        let now = time.now;
        loop {
            let Some(worker) = self.workers.get_mut(number) else { return };
            if worker.working() >= worker.spec.capacity as usize {
                return;
            }
            let generation = worker.generation;
            let Some((attempt, work)) =
                worker.assigned.iter_mut().find(|(_, work)| matches!(work.state, State::Waiting))
            else {
                return;
            };
            let (attempt, by, task) = (*attempt, work.by, Arc::clone(&work.task));
            work.state = State::Working(now);
            worker.attempts += 1;
            if worker.spec.prefetch > 0 {
                time.say(From::Worker(number), AgentCommand::Start { by, attempt });
            }
            let mut span = self.service(time, number, &task, attempt);
            if time.chance.strikes(Fault::AgentStalls) {
                span *= 100;
            }
            time.push(now + span, What::Done(number, generation, attempt));
            if let Some(every) = report_every(&task) {
                time.push(now + every, What::Report(number, generation, attempt));
            }
        }
    }

    /// The duration of an attempt: a draw that is tied to the task and the number of the attempt, so that the same task
    /// takes the same time in simulations with other settings.
    fn service(&self, time: &Timeline, number: usize, task: &TaskSpec, attempt: AttemptId) -> Duration {
        let Some(worker) = self.workers.get(number) else { return USUAL };
        let law = worker.model.services.get(&task.kind).or_else(|| self.services.get(&task.kind));
        let mut random = Random::new(time.seed ^ SERVICE ^ mix(task.id.get()), attempt.number().get().into());
        let span = match (self.works.get(&task.id), law) {
            (Some(work), _) => *work,
            (None, Some(law)) => law.draw(&mut random),
            (None, None) => task.estimate.unwrap_or(USUAL),
        };
        Duration::try_from_secs_f64(span.as_secs_f64() / worker.model.speed).unwrap_or(span)
    }

    /// The end of an attempt: the work is done or has failed.
    pub(super) fn done(
        &mut self,
        time: &mut Timeline,
        number: usize,
        generation: u32,
        attempt: AttemptId,
    ) -> Option<AgentCommand> {
        let now = time.now;
        let working = self.workers.get(number).filter(|worker| worker.is(generation)).is_some_and(|worker| {
            worker.assigned.get(&attempt).is_some_and(|work| matches!(work.state, State::Working(_)))
        });
        if !working {
            return None;
        }
        if time.chance.strikes(Fault::AgentDies) {
            self.crash_agent(time, number);
            return None;
        }
        let answer = self.work(time, number, attempt);
        let worker = self.workers.get_mut(number)?;
        if let Some(Assigned { state, .. }) = worker.assigned.get_mut(&attempt) {
            if let State::Working(since) = *state {
                worker.busy += now.since(since);
            }
            *state = State::Done(answer);
        }
        if time.chance.strikes(Fault::AgentDiesDone) {
            self.crash_agent(time, number);
            return None;
        }
        if !time.chance.strikes(Fault::AgentSilent) {
            self.answer(time, number, attempt);
        }
        self.start_next(time, number);
        self.poll(time, number);
        self.leave_if_idle(now, number)
    }

    fn work(&self, time: &Timeline, number: usize, attempt: AttemptId) -> Answered {
        let Some((worker, work)) =
            self.workers.get(number).and_then(|worker| Some((worker, worker.assigned.get(&attempt)?)))
        else {
            return Ok(Payload::NULL);
        };
        if let Some((permille, failure)) = &worker.model.failing {
            let seed = time.seed ^ FAILING ^ mix(worker.spec.id.get()) ^ mix(attempt.task().get());
            if Random::new(seed, attempt.number().get().into()).below(1_000) < usize::from(*permille) {
                return Err(failure.clone());
            }
        }
        let seen = Attempt::new(attempt, work.task.kind.clone());
        worker.model.answers.as_ref().unwrap_or(&self.answers).perform(&work.task, &seen)
    }

    /// Sends the answer of an attempt.
    fn answer(&mut self, time: &mut Timeline, number: usize, attempt: AttemptId) {
        let lossy = time.lossy();
        let Some(worker) = self.workers.get_mut(number) else { return };
        let Some(Assigned { by, state: State::Done(answer), .. }) = worker.assigned.get(&attempt) else { return };
        let (by, answer) = (*by, answer.clone());
        if !lossy {
            worker.assigned.remove(&attempt);
        }
        if let Some(mut random) = time.chance.strike(Fault::AgentForges) {
            let other = self.workers.get(random.below(self.workers.len())).and_then(|worker| worker.incarnation);
            let true_one = attempt.number().get();
            let wrong = if random.below(2) == 0 { true_one.saturating_sub(1) } else { true_one.saturating_add(1_000) };
            let lie = match random.below(2) {
                0 => message(by, AttemptId::new(attempt.task(), wrong), Ok(Payload::NULL)),
                _ => message(other.unwrap_or(by), attempt, answer.clone()),
            };
            time.say(From::Worker(number), lie);
        }
        time.say(From::Worker(number), message(by, attempt, answer));
        if time.chance.strikes(Fault::AgentAnswersTwice) {
            time.say(From::Worker(number), message(by, attempt, Err(Failure::unknown("second answer"))));
        }
    }

    /// Handles a cancellation: stops an unfinished attempt, and repeats the answer of a finished one.
    fn stop(
        &mut self,
        time: &mut Timeline,
        number: usize,
        attempt: AttemptId,
        from: Incarnation,
    ) -> Option<AgentCommand> {
        let now = time.now;
        let worker = self.workers.get_mut(number)?;
        let work = worker.assigned.get(&attempt).filter(|work| work.by == from)?;
        if matches!(work.state, State::Done(_)) {
            self.answer(time, number, attempt);
            return None;
        }
        worker.drop_work(attempt, now);
        let failure = Failure::transient("cancelled");
        self.refuse(time, number, attempt, AgentCommand::Fail { by: from, attempt, failure, usage: Usage::default() });
        self.start_next(time, number);
        self.poll(time, number);
        self.leave_if_idle(now, number)
    }

    /// Reports an attempt as not done, permanently: its dispatch may be delivered a second time.
    fn refuse(&mut self, time: &mut Timeline, number: usize, attempt: AttemptId, message: AgentCommand) {
        let lossy = time.lossy();
        if let Some(worker) = self.workers.get_mut(number).filter(|_| lossy) {
            worker.refused.insert(attempt, message.clone());
        }
        time.say(From::Worker(number), message);
    }

    /// Handles a preemption: gives the attempt back if it has not begun or its task may be preempted.
    fn give_back(&mut self, time: &mut Timeline, number: usize, attempt: AttemptId, from: Incarnation) {
        let now = time.now;
        let Some(worker) = self.workers.get_mut(number) else { return };
        let Some(work) = worker.assigned.get(&attempt).filter(|work| work.by == from) else { return };
        match work.state {
            State::Done(_) => return self.answer(time, number, attempt),
            State::Working(_) if !work.task.preemptible => return,
            State::Working(_) | State::Waiting => {}
        }
        worker.drop_work(attempt, now);
        self.refuse(time, number, attempt, AgentCommand::Yield { by: from, attempt });
        self.start_next(time, number);
        self.poll(time, number);
    }

    /// Crashes an agent at the time of its model.
    pub(super) fn break_down(&mut self, time: &mut Timeline, number: usize, generation: u32) {
        if self.workers.get(number).is_some_and(|worker| worker.is(generation)) {
            self.crash_agent(time, number);
        }
    }

    /// Crashes without a message, with all attempts that it holds.
    fn crash_agent(&mut self, time: &mut Timeline, number: usize) {
        let (now, mut random) = (time.now, self.incarnation_random(time, number));
        let Some(worker) = self.workers.get_mut(number) else { return };
        let assigned: Vec<AttemptId> = worker.assigned.keys().copied().collect();
        let gone = assigned.into_iter().filter_map(|attempt| {
            let work = worker.drop_work(attempt, now)?;
            Some((work.by, attempt, work.final_answer()))
        });
        worker.previous = gone.collect();
        worker.alive = false;
        worker.generation += 1;
        worker.end_incarnation();
        worker.beating = false;
        worker.clock_off(now);
        worker.deaths += 1;
        let away = match &worker.model.breakdowns {
            Some((_, away)) => away.draw(&mut random),
            None => random.between(Duration::from_secs(1), Duration::from_secs(90)),
        };
        let generation = worker.generation;
        time.push(now + away, What::Recover(number, generation));
    }

    pub(super) fn recover(&mut self, time: &mut Timeline, number: usize, generation: u32) {
        let Some(worker) = self.workers.get_mut(number).filter(|it| it.generation == generation && !it.alive) else {
            return;
        };
        worker.alive = true;
        let previous = core::mem::take(&mut worker.previous);
        self.join(time, number, generation);
        if time.chance.strikes(Fault::AgentAnswersLate) {
            for (by, attempt, answer) in previous {
                time.say(From::Worker(number), message(by, attempt, answer));
            }
        }
    }
}
