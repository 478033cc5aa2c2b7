//! Agents in virtual time: an agent accepts an attempt, sends the request to the services after a delay, and answers
//! after another delay, unless a fault is drawn.

use crate::chance::{Fault, about, between, happens, number_of};
use crate::orders::order_of;
use counterpoint::task::Identity;
use counterpoint::workflow::{Attempt, Steps};
use counterpoint::{AgentId, AgentSpec, AttemptId, Failure, Incarnation, Payload, TaskSpec, Time};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub const BEAT: Duration = Duration::from_secs(2);
const LEASE: Duration = Duration::from_secs(7);

/// What an agent does in a while.
#[derive(Debug, Clone, Copy)]
pub enum Deed {
    /// Its request reaches the world.
    Effect,
    /// Its answer reaches the engine.
    Answer,
}

/// Deeds to come, and how long until then.
pub type Agenda = Vec<(Duration, Deed)>;

/// A task, and the journal and the environment that its idempotency key belongs to.
type Work<'a> = (&'a Arc<TaskSpec>, Option<&'a Arc<Identity>>);

struct Job {
    by: Incarnation,
    task: Arc<TaskSpec>,
    identity: Option<Arc<Identity>>,
    /// After asking the world, the step panics.
    panics: bool,
    /// It gave up before it had done anything.
    dropped: bool,
    answer: Option<Result<Payload, Failure>>,
}

pub struct Agent {
    pub spec: AgentSpec,
    pub alive: bool,
    pub life: Option<Incarnation>,
    jobs: BTreeMap<AttemptId, Job>,
}

impl Agent {
    fn new(number: u64, name: &str, kinds: &[&str], capacity: u32) -> Self {
        let spec = AgentSpec::new(AgentId::new(number)).with_name(name).with_capacity(capacity).with_lease(LEASE);
        let spec = kinds.iter().fold(spec, |spec, kind| spec.with_skill(*kind, 1));
        Self { spec, alive: true, life: None, jobs: BTreeMap::new() }
    }

    /// Everybody who works at the shop.
    pub fn all() -> Vec<Self> {
        let stock = ["reserve", "reserve.undo"];
        let money = ["charge", "charge.undo"];
        vec![
            Self::new(1, "shelves east", &stock, 8),
            Self::new(2, "shelves west", &stock, 8),
            Self::new(3, "bank", &money, 10),
            Self::new(4, "other bank", &money, 6),
            Self::new(5, "inspector", &["inspect"], 8),
            Self::new(6, "inspector at night", &["inspect"], 6),
            Self::new(7, "carrier", &["ship"], 8),
            Self::new(8, "post", &["ship", "tell"], 12),
            Self::new(9, "generalist", &["reserve", "charge.undo", "inspect", "tell"], 4),
        ]
    }

    /// Takes an attempt. One that it has already, it answers again.
    pub fn take(&mut self, seed: u64, attempt: AttemptId, by: Incarnation, work: Work<'_>) -> Agenda {
        let (task, identity) = work;
        if !self.alive || self.life != Some(by) {
            return Vec::new();
        }
        let random = &mut about(seed, &[2, order_number(task), number_of(&task.kind), attempt.number().get().into()]);
        if self.jobs.contains_key(&attempt) {
            return vec![(between(random, 20, 3_000), Deed::Answer)];
        }
        let fault = Fault::drawn(random, attempt.number().get());
        let answer = match fault {
            Fault::Transient => Some(Err(Failure::transient("the service is unavailable"))),
            Fault::Overloaded => Some(Err(Failure::overloaded("overloaded", Duration::from_secs(2)))),
            Fault::PanicBefore => Some(Err(panicked())),
            _ => None,
        };
        let (panics, dropped) = (fault == Fault::PanicAfter, answer.is_some());
        self.jobs
            .insert(attempt, Job { by, task: Arc::clone(task), identity: identity.cloned(), panics, dropped, answer });
        agenda(fault, random)
    }

    /// The request of an attempt reaches the world.
    pub fn act(&mut self, attempt: AttemptId, steps: &Steps) {
        let Some(job) = self.jobs.get_mut(&attempt).filter(|job| !job.dropped) else { return };
        let seen = Attempt::of(attempt, Arc::clone(&job.task), job.identity.clone());
        let answer = steps.perform(&job.task.kind, &job.task.payload, &seen);
        job.answer = Some(if job.panics { Err(panicked()) } else { answer });
    }

    /// What it has to say about an attempt, by now.
    pub fn answer(&self, attempt: AttemptId) -> Option<(Incarnation, Result<Payload, Failure>)> {
        let job = self.jobs.get(&attempt).filter(|_| self.alive)?;
        Some((job.by, job.answer.clone()?))
    }

    /// It is asked to stop. Some agents do, if there is still something to stop; others do not listen.
    pub fn stop(&mut self, seed: u64, attempt: AttemptId) -> Agenda {
        let random = &mut about(seed, &[3, attempt.task().get(), attempt.number().get().into()]);
        let Some(job) = self.jobs.get_mut(&attempt).filter(|_| self.alive) else { return Vec::new() };
        if happens(random, 300) {
            return Vec::new();
        }
        if job.answer.is_none() {
            job.dropped = true;
            job.answer = Some(Err(Failure::transient("gave up after cancellation")));
        }
        vec![(between(random, 5, 200), Deed::Answer)]
    }

    /// It dies. Of its requests some are on their way already.
    pub fn die(&mut self, seed: u64, now: Time) {
        let random = &mut about(seed, &[4, self.spec.id.get(), now.as_nanos()]);
        self.alive = false;
        self.jobs.retain(|_, job| job.answer.is_some() || happens(random, 500));
    }
}

fn panicked() -> Failure {
    Failure::unknown("the step panicked")
}

fn agenda(fault: Fault, random: &mut counterpoint::Random) -> Agenda {
    let effect = between(random, 20, 900);
    let answer = effect + between(random, 5, 300);
    let late = between(random, 10_001, 45_000);
    match fault {
        Fault::None | Fault::PanicAfter => vec![(effect, Deed::Effect), (answer, Deed::Answer)],
        Fault::TwoAnswers => {
            vec![(effect, Deed::Effect), (answer, Deed::Answer), (answer + between(random, 0, 20_000), Deed::Answer)]
        }
        Fault::Transient | Fault::Overloaded | Fault::PanicBefore => vec![(answer, Deed::Answer)],
        Fault::LostRequest => Vec::new(),
        Fault::LostAnswer => vec![(effect, Deed::Effect)],
        Fault::LateAnswer => vec![(effect, Deed::Effect), (late, Deed::Answer)],
        Fault::LateEffect => vec![(late, Deed::Effect), (late + effect, Deed::Answer)],
    }
}

/// The order that a task of the flow is about.
fn order_number(task: &TaskSpec) -> u64 {
    task.owner.map_or(0, |owner| order_of(owner.run))
}
