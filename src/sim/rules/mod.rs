//! What must hold whatever happens, judged from outside: an account of the facts that shares nothing with the engine.

#![expect(clippy::wildcard_enum_match_arm, reason = "rules read what they judge")]

mod after;
mod agents;
mod parts;
mod runs;
mod tasks;

use super::difference::difference;
use super::oracle::{Oracle, Step};
use crate::base::id::{AgentId, AttemptId, Incarnation, RunId, Seq, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::definition::Definition;
use crate::engine::{Engine, EngineSnapshot};
use crate::message::command::{Accepted, AgentCommand, Command, RunCommand, TaskCommand};
use crate::message::effect::Effect;
use crate::message::event::{ControlEvent, Entry, Event, TaskEvent};
use crate::message::rejected::{Conflict, Invalid, Rejected};
use crate::task::agent::{AgentSpec, Scope};
use crate::task::{SideEffects, TaskSpec, TaskStatus, Tier};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Judged = Result<(), String>;

/// The rules of scheduler and engine as an [`Oracle`]: each fact must be legal given what was before it, and caused by the
/// command or by time; each effect must be called for; each legal word must be taken; what is due must happen; nothing may
/// be lost or done twice, and what is undone must be undone in order.
///
/// The rules, by the letters of the test plan: conservation of tasks (S1), attempts held by living agents (S2),
/// dependencies (S3), capacity (S4), attempts within their budget (S6), the engine's own [`Engine::check`] (S8); an attempt
/// ends once, by the word of who holds it (O1), time does not go back (O2), leases end only when they have run out (O3),
/// budgets are used and back-offs kept (O4), a refused or repeated command changes nothing (O6, O7, O9), compensation once
/// per step and in reverse order (O8), what is outstanding is what agents hold (R4), the next wake-up is not later than what
/// is due (L3). [`prompt`](Self::prompt) adds: nobody waits who could be served, and nobody is overtaken (O5, L2).
///
/// They assume that agents are fit for what they are given by [`Needs::met_by`](crate::Needs::met_by); with skills that stand
/// for others say [`trusting_routing`](Self::trusting_routing).
#[derive(Debug, Clone, Default)]
pub struct Rules {
    last: Seq,
    now: Time,
    tasks: BTreeMap<TaskId, Known>,
    agents: BTreeMap<AgentId, Member>,
    lives: u64,
    paused: BTreeSet<(u8, Name)>,
    paused_agents: BTreeSet<AgentId>,
    definitions: BTreeMap<(Name, u32), Arc<Definition>>,
    runs: BTreeMap<RunId, runs::Story>,
    steps: u64,
    kept: Option<(Seq, EngineSnapshot)>,
    prompt: bool,
    trusting: bool,
    /// How long a cancelled attempt may take to answer.
    grace: Option<Duration>,
}

/// A task, as far as facts tell.
#[derive(Debug, Clone)]
struct Known {
    spec: Arc<TaskSpec>,
    seq: Seq,
    submitted: Time,
    tier: Tier,
    stage: Stage,
    attempts: u32,
    yields: u32,
    doubtful: bool,
    /// Agents that failed it.
    failed_by: Vec<AgentId>,
    side_effects: SideEffects,
}

#[derive(Debug, Clone, PartialEq)]
enum Stage {
    Blocked,
    Backoff(Time),
    Queued,
    Running(Hold),
    Ended(TaskStatus),
}

#[derive(Debug, Clone, PartialEq)]
struct Hold {
    by: Incarnation,
    since: Time,
    /// Whether it waits with its agent.
    unstarted: bool,
    cancel: Option<Time>,
    yielding: Option<Time>,
}

#[derive(Debug, Clone)]
struct Member {
    by: Incarnation,
    spec: Arc<AgentSpec>,
    draining: bool,
    heard: Time,
    gated: bool,
}

impl Known {
    fn hold(&self) -> Option<&Hold> {
        match &self.stage {
            Stage::Running(hold) => Some(hold),
            Stage::Blocked | Stage::Backoff(_) | Stage::Queued | Stage::Ended(_) => None,
        }
    }

    fn attempt(&self) -> AttemptId {
        AttemptId::new(self.spec.id, self.attempts)
    }

    const fn tries(&self) -> u32 {
        self.attempts.saturating_sub(self.yields)
    }

    const fn ended(&self) -> Option<TaskStatus> {
        match self.stage {
            Stage::Ended(status) => Some(status),
            Stage::Blocked | Stage::Backoff(_) | Stage::Queued | Stage::Running(_) => None,
        }
    }

    /// Where it stands in the order of virtual deadlines.
    fn rank(&self) -> (Time, Seq) {
        let target = self.submitted + self.tier.latency_target();
        (self.spec.deadline.map_or(target, |deadline| deadline.min(target)), self.seq)
    }
}

/// Breaks the rule unless it holds.
fn rule(holds: bool, says: impl FnOnce() -> String) -> Judged {
    if holds { Ok(()) } else { Err(says()) }
}

impl Rules {
    /// Adds that nobody waits whom an agent with room could serve, and that nobody is overtaken in the order of virtual
    /// deadlines. Holds for the default discipline and strategy, without quotas, batches, resources, guards, affinity and agents
    /// that ask for work.
    #[must_use]
    pub const fn prompt(mut self) -> Self {
        self.prompt = true;
        self
    }

    /// Leaves out whether agents meet the needs of what they are given.
    #[must_use]
    pub const fn trusting_routing(mut self) -> Self {
        self.trusting = true;
        self
    }

    /// The configured [`cancel_grace`](crate::Limits::cancel_grace): an attempt that is cancelled or called back ends by then.
    #[must_use]
    pub const fn with_cancel_grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// The tasks that have not ended.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.tasks.values().filter(|task| task.ended().is_none()).count()
    }

    /// Learns from a fact without judging it.
    fn fold(&mut self, entry: &Entry) {
        self.last = entry.seq;
        self.now = self.now.max(entry.at);
        match &entry.event {
            Event::Agent { agent, event } => self.learn_agent(*agent, event, entry.at),
            Event::Task { task, event } => self.learn_task(*task, event, (entry.seq, entry.at)),
            Event::Catalogue(event) => self.learn_catalogue(event),
            Event::Run { run, event } => self.learn_run(*run, event),
            Event::Node { run, node, event } => self.learn_node(*run, node.index, event),
            Event::Control(event) => self.learn_control(event),
        }
    }

    fn judge(&mut self, entry: &Entry, step: &Step<'_>) -> Judged {
        rule(entry.seq == self.last.next(), || format!("{} follows {}", entry.seq, self.last))?;
        rule(entry.at == step.now, || format!("{} is of {}, the call of {}", entry.seq, entry.at, step.now))?;
        let judged = match &entry.event {
            Event::Agent { agent, event } => self.judge_agent(*agent, event, step),
            Event::Task { task, event } => self.judge_task(*task, event, step),
            Event::Catalogue(_) => Ok(()),
            Event::Run { run, event } => self.judge_run(*run, event, step),
            Event::Node { run, node, event } => self.judge_node(*run, node, event, step),
            Event::Control(event) => self.judge_control(event, step),
        };
        self.fold(entry);
        judged.map_err(|why| format!("{why} ({} {:?})", entry.seq, entry.event))
    }

    fn living(&self, by: Incarnation) -> Option<&Member> {
        self.agents.get(&by.agent()).filter(|member| member.by == by)
    }

    /// What must be answered, where that can be told.
    fn expected(&self, step: &Step<'_>) -> Judged {
        let Some(command) = step.command else { return Ok(()) };
        let said = step.verdict;
        match command {
            Command::Agent(AgentCommand::Complete { by, attempt, .. } | AgentCommand::Fail { by, attempt, .. }) => {
                let task = self.tasks.get(&attempt.task());
                let held = task
                    .is_some_and(|task| task.attempt() == *attempt && task.hold().is_some_and(|hold| hold.by == *by));
                let legal = held && self.living(*by).is_some();
                let fits = !matches!(said, Err(Rejected::Invalid(Invalid::TooLarge { .. })));
                rule(legal == said.is_ok() || (legal && !fits), || {
                    format!("a word about {attempt} by {by}, who {} it, was answered {said:?}", holds(legal))
                })
            }
            Command::Agent(AgentCommand::Heartbeat { by }) => {
                let alive = self.living(*by).is_some();
                rule(alive == said.is_ok(), || format!("a heartbeat of {by} was answered {said:?}"))
            }
            Command::Task(TaskCommand::Submit(spec)) => match self.tasks.get(&spec.id) {
                Some(known) if known.spec == *spec => {
                    rule(*said == Ok(Accepted::Repeated), || format!("{} again was answered {said:?}", spec.id))
                }
                Some(_) => rule(*said == Err(Rejected::Conflict(Conflict::Task(spec.id))), || {
                    format!("another task under {} was answered {said:?}", spec.id)
                }),
                None => rule(*said != Ok(Accepted::Repeated), || format!("{} is new, and counts as known", spec.id)),
            },
            Command::Agent(_) | Command::Task(_) | Command::Run(_) | Command::Control(_) | Command::Tick => Ok(()),
        }
    }

    /// A command that was refused or repeated leaves nothing behind.
    fn nothing_happened(&self, step: &Step<'_>) -> Judged {
        let quiet = matches!(step.verdict, Err(_) | Ok(Accepted::Repeated | Accepted::Ignored));
        if quiet && step.command.is_some() {
            rule(step.entries.is_empty() && step.effects.is_empty(), || {
                format!("{:?} is answered {:?} and has consequences: {:?}", step.command, step.verdict, step.entries)
            })?;
        }
        match &self.kept {
            Some((seq, state)) if step.entries.is_empty() && *seq == step.engine.last_seq() => {
                let place = difference(state, &step.engine.snapshot());
                rule(place.is_none(), || format!("{:?} changed the state without a fact: {place:?}", step.command))
            }
            _ => Ok(()),
        }
    }

    /// Any word that is taken is a sign of life.
    fn note_heard(&mut self, step: &Step<'_>) {
        let Some(Command::Agent(word)) = step.command.filter(|_| step.verdict.is_ok()) else { return };
        let by = match word {
            AgentCommand::Update { by, .. }
            | AgentCommand::Heartbeat { by }
            | AgentCommand::Complete { by, .. }
            | AgentCommand::Poll { by, .. }
            | AgentCommand::Start { by, .. }
            | AgentCommand::Yield { by, .. }
            | AgentCommand::Fail { by, .. } => *by,
            AgentCommand::Register(_) | AgentCommand::Drain { .. } | AgentCommand::Deregister { .. } => return,
        };
        if let Some(member) = self.agents.get_mut(&by.agent()).filter(|member| member.by == by) {
            member.heard = step.now;
        }
    }

    /// Each attempt that begins is given out, and nothing else is.
    fn judge_effects(&self, step: &Step<'_>) -> Judged {
        let mut given: BTreeSet<(AttemptId, Incarnation)> = BTreeSet::new();
        for effect in step.effects {
            match effect {
                Effect::Dispatch { attempt, to, .. } => given.extend([(*attempt, *to)]),
                Effect::DispatchBatch { to, attempts } => given.extend(attempts.iter().map(|one| (one.attempt, *to))),
                Effect::Scale { event, .. } => {
                    let stated = step.entries.iter().any(|entry| entry.seq == *event && is_advice(&entry.event));
                    rule(stated, || format!("{effect:?} is asked for without a fact"))?;
                }
                Effect::Cancel { .. } | Effect::Yield { .. } => {}
            }
        }
        for entry in step.entries {
            let Event::Task { task, event } = &entry.event else { continue };
            if let TaskEvent::Assigned { attempt, to } = event {
                let attempt = attempt.of(*task);
                rule(given.remove(&(attempt, *to)), || {
                    format!("{attempt} is given to {to} by a fact without an effect")
                })?;
            }
            if let TaskEvent::CancelRequested { .. } = event {
                let told = step
                    .effects
                    .iter()
                    .any(|effect| matches!(effect, Effect::Cancel { attempt, .. } if attempt.task() == *task));
                rule(told, || format!("nobody is told that {task} is cancelled"))?;
            }
        }
        // A host that goes on asks again for what is outstanding.
        let again = step.command.is_none();
        let stray = given.into_iter().find(|(attempt, _)| !(again && self.tasks.contains_key(&attempt.task())));
        rule(stray.is_none(), || format!("{stray:?} is given out without a fact"))
    }

    fn judge_control(&self, event: &ControlEvent, step: &Step<'_>) -> Judged {
        use crate::message::command::ControlCommand;
        let asked = |wanted: &Scope, on: bool| match step.command {
            Some(Command::Control(ControlCommand::Pause { scope, .. })) => on && scope == wanted,
            Some(Command::Control(ControlCommand::Resume { scope })) => !on && scope == wanted,
            _ => false,
        };
        match event {
            ControlEvent::Paused { scope, .. } => rule(asked(scope, true), || format!("{scope} is paused unasked")),
            ControlEvent::Resumed { scope } => rule(asked(scope, false), || format!("{scope} goes on unasked")),
            ControlEvent::TasksPrioritised { tier, .. } => {
                let asked = match step.command {
                    Some(Command::Task(TaskCommand::Prioritise { tier: asked, .. })) => asked == tier,
                    Some(Command::Run(RunCommand::Prioritise { tier: asked, .. })) => asked == tier,
                    _ => false,
                };
                rule(asked, || format!("no command asked for {tier}"))
            }
            ControlEvent::TasksForgotten { tasks } => tasks.iter().try_for_each(|task| {
                let over = self.tasks.get(task).is_some_and(|task| task.ended().is_some());
                rule(over, || format!("{task} is forgotten and has not ended"))
            }),
            ControlEvent::RunsForgotten { runs } => self.judge_forgotten(runs),
            _ => Ok(()),
        }
    }

    fn learn_control(&mut self, event: &ControlEvent) {
        let (scope, on) = match event {
            ControlEvent::Paused { scope, .. } => (scope, true),
            ControlEvent::Resumed { scope } => (scope, false),
            ControlEvent::TasksPrioritised { tasks, tier, .. } => return self.prioritise(tasks, *tier),
            ControlEvent::TasksForgotten { tasks } => {
                return tasks.iter().for_each(|task| drop(self.tasks.remove(task)));
            }
            ControlEvent::RunsForgotten { runs } => return self.forget_runs(runs),
            _ => return,
        };
        let changed = match scope {
            Scope::Tenant(name) => toggle(&mut self.paused, (0, name.clone()), on),
            Scope::Kind(name) => toggle(&mut self.paused, (1, name.clone()), on),
            Scope::Agent(agent) => toggle(&mut self.paused_agents, *agent, on),
        };
        debug_assert!(changed || !on, "a pause that was there is not recorded again");
    }

    /// Whether the task's tenant or kind is paused.
    fn is_paused(&self, spec: &TaskSpec) -> bool {
        let tenant = spec.tenant.as_ref().is_some_and(|tenant| self.paused.contains(&(0, tenant.clone())));
        tenant || self.paused.contains(&(1, spec.kind.clone()))
    }
}

const fn is_advice(event: &Event) -> bool {
    matches!(event, Event::Control(ControlEvent::Scaling { .. }))
}

fn toggle<T: Ord>(set: &mut BTreeSet<T>, item: T, on: bool) -> bool {
    if on { set.insert(item) } else { set.remove(&item) }
}

const fn holds(legal: bool) -> &'static str {
    if legal { "holds" } else { "does not hold" }
}

impl Oracle for Rules {
    fn step(&mut self, step: &Step<'_>) -> Result<(), String> {
        rule(step.now >= self.now, || format!("time goes back from {} to {}", self.now, step.now))?;
        self.now = step.now;
        self.steps += 1;
        self.expected(step)?;
        self.nothing_happened(step)?;
        for entry in step.entries {
            self.judge(entry, step)?;
        }
        self.note_heard(step);
        self.judge_effects(step)?;
        self.hold_up(step)?;
        self.kept = self.steps.is_multiple_of(16).then(|| (step.engine.last_seq(), step.engine.snapshot()));
        Ok(())
    }

    fn restarted(&mut self, journal: &[Entry], now: Time) {
        let rules = Self { prompt: self.prompt, trusting: self.trusting, grace: self.grace, ..Self::default() };
        *self = Self { steps: self.steps, ..rules };
        for entry in journal {
            self.fold(entry);
        }
        self.now = now;
        // Nobody could have been heard while the host was away.
        for member in self.agents.values_mut() {
            member.heard = now;
        }
    }

    fn end(&mut self, engine: &Engine, settled: bool) -> Result<(), String> {
        engine.check()?;
        rule(!settled || self.unfinished() == 0, || format!("{} tasks have not ended", self.unfinished()))
    }
}
