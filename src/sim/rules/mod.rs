//! The invariants of the engine, checked from outside: a model computed from the events that shares no code with the
//! engine.

#![expect(clippy::wildcard_enum_match_arm, reason = "most events have no rule")]

mod after;
mod agents;
mod failures;
mod parts;
mod runs;
mod tasks;
mod timers;
mod unroutable;

use super::difference::difference;
use super::oracle::{Oracle, Step};
use crate::base::id::{AgentId, AttemptId, Incarnation, RunId, Seq, TaskId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::definition::Definition;
use crate::engine::{Engine, EngineSnapshot};
use crate::message::command::{Accepted, AgentCommand, Command, RunCommand, TaskCommand};
use crate::message::effect::Effect;
use crate::message::event::{ControlEvent, Entry, Event, TaskEvent};
use crate::message::rejected::{Conflict, Invalid, Rejected};
use crate::message::run::RunSpec;
use crate::task::agent::{AgentSpec, Scope};
use crate::task::{Failure, Rating, SideEffects, TaskSpec, TaskStatus, Tier};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Judged = Result<(), String>;

/// The rules of scheduler and engine as an [`Oracle`]. Each event must be legal in the state before it and caused by
/// the command or by time; each effect must be caused by an event; each legal message must be accepted; due timers must
/// fire; no work may be lost or done twice, and compensation must follow its order.
///
/// The rules, by the letters of the test plan: conservation of tasks (S1), attempts held by registered agents (S2),
/// dependencies (S3), capacity (S4), attempts within their budget (S6), the engine's own [`Engine::check`] (S8); an
/// attempt ends once, by a message of its holder (O1), time does not go back (O2), leases end only when they have
/// expired (O3), retry budgets are used and back-offs observed (O4), a rejected or repeated command changes nothing
/// (O6, O7, O9), compensation once per step and in reverse order (O8), the outstanding effects match the attempts that
/// agents hold (R4), the next wakeup is not later than the next due time (L3), tasks that no registered agent can perform are
/// reported, and no others (L4). [`prompt`](Self::prompt) adds:
/// work-conserving assignment in the order of virtual deadlines (O5, L2).
///
/// The rules assume that [`Needs::met_by`](crate::Needs::met_by) decides whether agents meet the needs of tasks; if
/// some skills imply others, use [`trusting_routing`](Self::trusting_routing).
#[derive(Debug, Clone, Default)]
pub struct Rules {
    last: Seq,
    now: Time,
    tasks: BTreeMap<TaskId, Known>,
    agents: BTreeMap<AgentId, Member>,
    incarnations: u64,
    paused: BTreeSet<(u8, Name)>,
    paused_agents: BTreeSet<AgentId>,
    definitions: BTreeMap<(Name, u32), Arc<Definition>>,
    runs: BTreeMap<RunId, runs::Story>,
    failures: failures::Known,
    reports: unroutable::Reports,
    steps: u64,
    kept: Option<(Seq, EngineSnapshot)>,
    prompt: bool,
    trusting: bool,
    /// The grace period of a cancelled attempt.
    grace: Option<Duration>,
}

/// A task, computed from events.
#[derive(Debug, Clone)]
struct Known {
    spec: Arc<TaskSpec>,
    seq: Seq,
    submitted: Time,
    tier: Tier,
    stage: Stage,
    attempts: u32,
    yields: u32,
    outcome_unknown: bool,
    /// The agents that failed it.
    failed_by: Vec<AgentId>,
    /// Whether it was deferred, which happens once.
    deferred: bool,
    /// The failures of its attempts, if its policy has rules for failures.
    failures: Vec<Failure>,
    side_effects: SideEffects,
    /// The last details that an event records, and the last ones that the engine has accepted.
    details: Payload,
    accepted: Payload,
    /// The last heartbeat of an attempt.
    heartbeat: Time,
    /// How its result was rated.
    rating: Option<Rating>,
}

#[derive(Debug, Clone, PartialEq)]
enum Stage {
    Blocked,
    /// Waits for the result of an equal task.
    Joined(TaskId),
    Backoff(Time),
    Queued,
    Running(Hold),
    Ended(TaskStatus),
}

#[derive(Debug, Clone, PartialEq)]
struct Hold {
    by: Incarnation,
    since: Time,
    /// Whether it waits at its agent.
    unstarted: bool,
    cancel: Option<Time>,
    yielding: Option<Time>,
}

#[derive(Debug, Clone)]
struct Member {
    by: Incarnation,
    spec: Arc<AgentSpec>,
    draining: bool,
    last_message: Time,
    gated: bool,
}

impl Known {
    fn hold(&self) -> Option<&Hold> {
        match &self.stage {
            Stage::Running(hold) => Some(hold),
            Stage::Blocked | Stage::Joined(_) | Stage::Backoff(_) | Stage::Queued | Stage::Ended(_) => None,
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
            Stage::Blocked | Stage::Joined(_) | Stage::Backoff(_) | Stage::Queued | Stage::Running(_) => None,
        }
    }

    /// Its position in the order of virtual deadlines.
    fn rank(&self) -> (Time, Seq) {
        (self.spec.deadline.unwrap_or_else(|| self.submitted + self.tier.latency_target()), self.seq)
    }
}

/// Returns the violation unless the rule holds.
fn rule(holds: bool, says: impl FnOnce() -> String) -> Judged {
    if holds { Ok(()) } else { Err(says()) }
}

impl Rules {
    /// Adds the rules that no task waits while an agent with a free slot could take it, and that tasks are assigned in
    /// the order of virtual deadlines. They hold for the default discipline and strategy, without quotas, batches,
    /// resources, guards, affinity and polling agents.
    #[must_use]
    pub const fn prompt(mut self) -> Self {
        self.prompt = true;
        self
    }

    /// Leaves out the rule that agents meet the needs of their tasks.
    #[must_use]
    pub const fn trusting_routing(mut self) -> Self {
        self.trusting = true;
        self
    }

    /// Sets the configured [`cancel_grace`](crate::Limits::cancel_grace): a cancelled or preempted attempt ends within
    /// it.
    #[must_use]
    pub const fn with_cancel_grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// The number of tasks that have not ended.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.tasks.values().filter(|task| task.ended().is_none()).count()
    }

    /// Applies an entry to the model without checking it.
    fn fold(&mut self, entry: &Entry) {
        self.last = entry.seq;
        self.now = self.now.max(entry.at);
        match &entry.event {
            Event::Agent { agent, event } => self.learn_agent(*agent, event, entry.at),
            Event::Task { task, event } => self.learn_task(*task, event, (entry.seq, entry.at)),
            Event::Catalogue(event) => self.learn_catalogue(event),
            Event::Schedule { .. } => {}
            Event::Run { run, event } => self.learn_run(*run, event),
            Event::Node { run, node, event } => self.learn_node(*run, node.index, event),
            Event::Control(event) => {
                unroutable::learn(self, entry.seq, event);
                self.learn_control(event);
            }
        }
    }

    fn judge(&mut self, entry: &Entry, step: &Step<'_>) -> Judged {
        rule(entry.seq == self.last.next(), || format!("{} follows {}", entry.seq, self.last))?;
        rule(entry.at == step.now, || {
            format!("{} has the time {}, but the call has {}", entry.seq, entry.at, step.now)
        })?;
        let judged = match &entry.event {
            Event::Agent { agent, event } => self.judge_agent(*agent, event, step),
            Event::Task { task, event } => self.judge_task(*task, event, step),
            Event::Catalogue(_) | Event::Schedule { .. } => Ok(()),
            Event::Run { run, event } => self.judge_run(*run, event, step),
            Event::Node { run, node, event } => self.judge_node(*run, node, event, step),
            Event::Control(event) => self.judge_control(event, step),
        };
        self.fold(entry);
        judged.map_err(|why| format!("{why} ({} {:?})", entry.seq, entry.event))
    }

    fn registered(&self, by: Incarnation) -> Option<&Member> {
        self.agents.get(&by.agent()).filter(|member| member.by == by)
    }

    /// Checks the answer, where the model determines it.
    fn expected(&self, step: &Step<'_>) -> Judged {
        let Some(command) = step.command else { return Ok(()) };
        // When a jump of the clock ends, timers may fire before the command of the call.
        if step.entries.iter().any(|entry| is_clock(&entry.event)) {
            return Ok(());
        }
        let reported = step.verdict;
        match command {
            Command::Agent(
                AgentCommand::Complete { by, attempt, .. }
                | AgentCommand::Fail { by, attempt, .. }
                | AgentCommand::AttemptHeartbeat { by, attempt, .. },
            ) => {
                let task = self.tasks.get(&attempt.task());
                let held = task
                    .is_some_and(|task| task.attempt() == *attempt && task.hold().is_some_and(|hold| hold.by == *by));
                let legal = held && self.registered(*by).is_some();
                let fits = !matches!(reported, Err(Rejected::Invalid(Invalid::TooLarge { .. } | Invalid::Code { .. })));
                rule(legal == reported.is_ok() || (legal && !fits), || {
                    format!("a message of {by}, which {} {attempt}, was answered {reported:?}", holds(legal))
                })
            }
            Command::Agent(AgentCommand::Heartbeat { by }) => {
                let alive = self.registered(*by).is_some();
                rule(alive == reported.is_ok(), || format!("a heartbeat of {by} was answered {reported:?}"))
            }
            Command::Task(TaskCommand::Submit(spec)) => match self.tasks.get(&spec.id) {
                Some(known) if known.spec == *spec => {
                    rule(*reported == Ok(Accepted::Repeated), || format!("{} again was answered {reported:?}", spec.id))
                }
                Some(known) => rule(*reported == Err(task_conflict(&known.spec, spec)), || {
                    format!("another task under {} was answered {reported:?}", spec.id)
                }),
                None => rule(*reported != Ok(Accepted::Repeated), || format!("{} is new but counts as known", spec.id)),
            },
            Command::Run(RunCommand::Start(spec)) => {
                match self.runs.get(&spec.id).and_then(|run| run.spec.as_deref()) {
                    Some(known) if is_again(known, spec) => {
                        let known_as = matches!(reported, Ok(Accepted::Repeated | Accepted::Attached { .. }));
                        rule(known_as && (known != spec || *reported == Ok(Accepted::Repeated)), || {
                            format!("{} again was answered {reported:?}", spec.id)
                        })
                    }
                    Some(known) => rule(*reported == Err(run_conflict(known, spec)), || {
                        format!("another run under {} was answered {reported:?}", spec.id)
                    }),
                    None => {
                        rule(*reported != Ok(Accepted::Repeated), || format!("{} is new but counts as known", spec.id))
                    }
                }
            }
            Command::Agent(_)
            | Command::Task(_)
            | Command::Run(_)
            | Command::Schedule(_)
            | Command::Control(_)
            | Command::Tick => Ok(()),
        }
    }

    /// A rejected or repeated command has no consequences.
    fn has_no_consequences(&self, step: &Step<'_>) -> Judged {
        let quiet =
            matches!(step.verdict, Err(_) | Ok(Accepted::Repeated | Accepted::Attached { .. } | Accepted::Ignored));
        if quiet && step.command.is_some() {
            // The reading of the clock precedes the command. When the clock returns from a jump, timers may be due at once.
            let has_jumped = step.entries.iter().any(|entry| is_clock(&entry.event));
            rule(has_jumped || step.entries.is_empty() && step.effects.is_empty(), || {
                format!("{:?} was answered {:?} but has consequences: {:?}", step.command, step.verdict, step.entries)
            })?;
        }
        match &self.kept {
            Some((seq, state)) if step.entries.is_empty() && *seq == step.engine.last_seq() => {
                let place = difference(state, &step.engine.snapshot());
                rule(place.is_none(), || format!("{:?} changed the state without an event: {place:?}", step.command))
            }
            _ => Ok(()),
        }
    }

    /// Every accepted message of an agent renews its lease.
    fn note_message(&mut self, step: &Step<'_>) {
        let Some(Command::Agent(word)) = step.command.filter(|_| step.verdict.is_ok()) else { return };
        let by = match word {
            AgentCommand::Update { by, .. }
            | AgentCommand::Heartbeat { by }
            | AgentCommand::AttemptHeartbeat { by, .. }
            | AgentCommand::Complete { by, .. }
            | AgentCommand::Poll { by, .. }
            | AgentCommand::Start { by, .. }
            | AgentCommand::Yield { by, .. }
            | AgentCommand::Fail { by, .. } => *by,
            AgentCommand::Register(_) | AgentCommand::Drain { .. } | AgentCommand::Deregister { .. } => return,
        };
        if let Some(member) = self.agents.get_mut(&by.agent()).filter(|member| member.by == by) {
            member.last_message = step.now;
        }
        if let AgentCommand::AttemptHeartbeat { attempt, details, .. } = word
            && let Some(known) = self.tasks.get_mut(&attempt.task())
        {
            known.note_heartbeat(details, step.now);
        }
    }

    /// Each assigned attempt is dispatched, and no other.
    fn judge_effects(&self, step: &Step<'_>) -> Judged {
        let mut given: BTreeSet<(AttemptId, Incarnation)> = BTreeSet::new();
        for effect in step.effects {
            match effect {
                Effect::Dispatch { attempt, to, details, .. } => {
                    tasks::judge_details(self, *attempt, details)?;
                    given.extend([(*attempt, *to)]);
                }
                Effect::DispatchBatch { to, attempts, .. } => {
                    attempts.iter().try_for_each(|one| tasks::judge_details(self, one.attempt, &one.details))?;
                    given.extend(attempts.iter().map(|one| (one.attempt, *to)));
                }
                Effect::Scale { event, .. } => {
                    let stated = step.entries.iter().any(|entry| entry.seq == *event && is_advice(&entry.event));
                    rule(stated, || format!("{effect:?} has no event"))?;
                }
                Effect::Cancel { .. } | Effect::Yield { .. } => {}
            }
        }
        for entry in step.entries {
            let Event::Task { task, event } = &entry.event else { continue };
            if let TaskEvent::Assigned { attempt, to } = event {
                let attempt = attempt.of(*task);
                rule(given.remove(&(attempt, *to)), || {
                    format!("{attempt} is assigned to {to} by an event without an effect")
                })?;
            }
            if let TaskEvent::CancelRequested { .. } = event {
                let announced = step
                    .effects
                    .iter()
                    .any(|effect| matches!(effect, Effect::Cancel { attempt, .. } if attempt.task() == *task));
                rule(announced, || format!("the cancellation of {task} has no effect"))?;
            }
        }
        // A host that resumes repeats the outstanding effects.
        let again = step.command.is_none();
        let stray = given.into_iter().find(|(attempt, _)| !(again && self.tasks.contains_key(&attempt.task())));
        rule(stray.is_none(), || format!("{stray:?} is dispatched without an event"))
    }

    fn judge_control(&self, event: &ControlEvent, step: &Step<'_>) -> Judged {
        use crate::message::command::ControlCommand;
        let asked = |wanted: &Scope, on: bool| match step.command {
            Some(Command::Control(ControlCommand::Pause { scope, .. })) => on && scope == wanted,
            Some(Command::Control(ControlCommand::Resume { scope })) => !on && scope == wanted,
            _ => false,
        };
        match event {
            ControlEvent::Paused { scope, .. } => {
                rule(asked(scope, true), || format!("{scope} is paused without a command"))
            }
            ControlEvent::Resumed { scope } => {
                rule(asked(scope, false), || format!("{scope} is resumed without a command"))
            }
            ControlEvent::TasksPrioritised { tier, .. } => {
                let asked = match step.command {
                    Some(Command::Task(TaskCommand::Prioritise { tier: asked, .. })) => asked == tier,
                    Some(Command::Run(RunCommand::Prioritise { tier: asked, .. })) => asked == tier,
                    _ => false,
                };
                rule(asked, || format!("no command requested {tier}"))
            }
            ControlEvent::TasksForgotten { tasks } => tasks.iter().try_for_each(|task| {
                let over = self.tasks.get(task).is_some_and(|task| task.ended().is_some());
                rule(over, || format!("{task} is removed but has not ended"))
            }),
            ControlEvent::RunsForgotten { runs } => self.judge_removed(runs),
            _ => unroutable::judge(self, event),
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
            ControlEvent::RunsForgotten { runs } => return self.remove_runs(runs),
            ControlEvent::ClockConfirmed { .. } | ControlEvent::ClockReturned => {
                self.agents.values_mut().for_each(|member| member.last_message = self.now);
                return self.tasks.values_mut().for_each(|known| known.heartbeat = self.now);
            }
            _ => return,
        };
        let changed = match scope {
            Scope::Tenant(name) => toggle(&mut self.paused, (0, name.clone()), on),
            Scope::Kind(name) => toggle(&mut self.paused, (1, name.clone()), on),
            Scope::Agent(agent) => toggle(&mut self.paused_agents, *agent, on),
        };
        debug_assert!(changed || !on, "an existing pause was recorded again");
    }

    /// Whether the task's tenant or kind is paused.
    fn is_paused(&self, spec: &TaskSpec) -> bool {
        let tenant = spec.tenant.as_ref().is_some_and(|tenant| self.paused.contains(&(0, tenant.clone())));
        tenant || self.paused.contains(&(1, spec.kind.clone()))
    }
}

/// Whether a start repeats an earlier one. The version is no part of the identity of a run.
fn is_again(known: &RunSpec, again: &RunSpec) -> bool {
    RunSpec { version: known.version, ..again.clone() } == *known
}

/// The rejection of another task under a known id.
fn task_conflict(known: &TaskSpec, spec: &TaskSpec) -> Rejected {
    Rejected::Conflict(match (known.key(), spec.key()) {
        (Some(one), Some(other)) if one != other => {
            Conflict::TaskKey { task: spec.id, known: one.clone(), given: other.clone() }
        }
        _ => Conflict::Task(spec.id),
    })
}

/// The rejection of another run under a known id.
fn run_conflict(known: &RunSpec, spec: &RunSpec) -> Rejected {
    Rejected::Conflict(match (known.key(), spec.key()) {
        (Some(one), Some(other)) if one != other => {
            Conflict::RunKey { run: spec.id, known: one.clone(), given: other.clone() }
        }
        _ => Conflict::Run(spec.id),
    })
}

const fn is_clock(event: &Event) -> bool {
    matches!(
        event,
        Event::Control(
            ControlEvent::ClockJumped { .. } | ControlEvent::ClockConfirmed { .. } | ControlEvent::ClockReturned
        )
    )
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
        self.has_no_consequences(step)?;
        timers::in_order(self, step)?;
        for entry in step.entries {
            self.judge(entry, step)?;
        }
        self.note_message(step);
        self.judge_effects(step)?;
        unroutable::complete(self, step)?;
        self.check_state(step)?;
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
        // No message could arrive while the host was down.
        for member in self.agents.values_mut() {
            member.last_message = now;
        }
        self.tasks.values_mut().for_each(|known| known.heartbeat = now);
    }

    fn end(&mut self, engine: &Engine, settled: bool) -> Result<(), String> {
        engine.check()?;
        rule(!settled || self.unfinished() == 0, || format!("{} tasks have not ended", self.unfinished()))
    }
}
