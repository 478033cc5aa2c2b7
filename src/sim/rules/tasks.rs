//! Rules for the events of tasks.

#![expect(clippy::wildcard_enum_match_arm, reason = "most events have no rule")]

use super::runs::is_turn;
use super::{Hold, Judged, Known, Rules, Stage, rule};
use crate::base::id::{AgentId, AttemptId, Incarnation, Seq, TaskId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::message::command::{AgentCommand, Command, TaskCommand};
use crate::message::event::{Next, TaskEvent};
use crate::sim::oracle::Step;
use crate::task::{
    Bound, Exhausted, Failure, FailureKind, InDoubt, Jitter, Rating, Retry, SideEffects, TaskOutcome, TaskSpec,
    TaskStatus, Tier, Usage,
};
use core::time::Duration;
use std::sync::Arc;

/// The number of agents that a task avoids because they failed it: the last ones.
const AVOIDED: usize = 8;

impl Rules {
    pub(super) fn judge_task(&self, id: TaskId, event: &TaskEvent, step: &Step<'_>) -> Judged {
        match event {
            TaskEvent::Submitted { spec, replays, .. } => {
                rule(spec.id == id, || format!("{} is submitted as {id}", spec.id))?;
                self.judge_submitted(spec, *replays, step)
            }
            TaskEvent::Ready => self.judge_ready(id, step.now),
            TaskEvent::Assigned { attempt, to } => self.judge_assigned(attempt.of(id), *to, step.now),
            TaskEvent::Started { attempt } | TaskEvent::YieldRequested { attempt, .. } => {
                let (known, attempt) = (self.known(id)?, attempt.of(id));
                rule(known.hold().is_some() && known.attempt() == attempt, || format!("{attempt} is not under way"))
            }
            TaskEvent::Yielded { attempt, by, .. } => {
                let attempt = attempt.of(id);
                self.held(attempt, *by)?;
                judge_recorded(self, attempt)?;
                // A malformed answer to delegable work ends an attempt that was requested back, too.
                let misread = self.is_delegable(id) && completes(step, attempt, *by);
                let reported = gives_back(step, attempt) || reported_failure(step, attempt, *by).is_some() || misread;
                self.judge_cause(attempt, *by, reported, step.now)
            }
            TaskEvent::AttemptFailed { attempt, by, failure, next, outcome_unknown, beyond_budget } => {
                let (held, next) = ((attempt.of(id), *by), (*next, *beyond_budget));
                self.judge_failed(held, failure, next, *outcome_unknown, step)
            }
            TaskEvent::Deferred { .. } => {
                let known = self.known(id)?;
                rule(matches!(known.stage, Stage::Queued), || format!("{id} is deferred and not queued"))?;
                rule(!known.deferred, || format!("{id} is deferred twice"))
            }
            TaskEvent::Joined { to } => judge_joined(self, id, *to),
            TaskEvent::Answered { from, output } => judge_answered(self, id, *from, output),
            TaskEvent::Succeeded { attempt, by, output } => {
                let attempt = attempt.of(id);
                let hold = self.held(attempt, *by)?;
                let reported = matches!(step.command, Some(Command::Agent(AgentCommand::Complete { by: who, attempt: which, output: gave, .. }))
                    if who == by && *which == attempt && gave == output);
                rule(reported && self.registered(*by).is_some(), || {
                    format!("the holder of {attempt} did not complete it")
                })?;
                rule(hold.cancel.is_none(), || format!("{attempt} was cancelled before it completed"))
            }
            TaskEvent::CancelRequested { reason } => {
                let known = self.known(id)?;
                rule(known.hold().is_some(), || format!("{id} is not under way"))?;
                let first = known.hold().is_some_and(|hold| hold.cancel.is_none());
                rule(first, || format!("the attempt of {id} is cancelled twice"))?;
                self.judge_cancel_requested(id, known, reason, step)
            }
            TaskEvent::Cancelled { reason, side_effects } => self.judge_cancelled(id, reason, side_effects, step),
            TaskEvent::Expired { bound, outcome_unknown } => self.judge_expired(id, *bound, *outcome_unknown, step.now),
            TaskEvent::Discarded { .. } => {
                let dead = self.known(id)?.ended() == Some(TaskStatus::DeadLettered);
                rule(dead, || format!("{id} is not a dead letter"))
            }
            TaskEvent::Rated { kind, rating, .. } => judge_rated(self, id, (kind, *rating), step),
            TaskEvent::Heartbeat { attempt, by, details } => {
                judge_heartbeat(self, (attempt.of(id), *by), details, step)
            }
            TaskEvent::Used { attempt, by, usage } => judge_used(self, (attempt.of(id), *by), usage, step),
        }
    }

    fn known(&self, id: TaskId) -> Result<&Known, String> {
        self.tasks.get(&id).ok_or_else(|| format!("{id} is not known"))
    }

    fn held(&self, attempt: AttemptId, by: Incarnation) -> Result<&Hold, String> {
        let known = self.known(attempt.task())?;
        let hold = known.hold().filter(|hold| hold.by == by && known.attempt() == attempt);
        hold.ok_or_else(|| format!("{by} does not hold {attempt}"))
    }

    fn judge_submitted(&self, spec: &Arc<TaskSpec>, replays: Option<TaskId>, step: &Step<'_>) -> Judged {
        rule(!self.tasks.contains_key(&spec.id), || format!("{} is known already", spec.id))?;
        rule(spec.deadline.is_none_or(|at| at >= step.now), || format!("the deadline of {} has passed", spec.id))?;
        let asked = match step.command {
            Some(Command::Task(TaskCommand::Submit(asked))) => asked == spec,
            Some(Command::Task(TaskCommand::SubmitAll(all))) => all.contains(spec),
            Some(Command::Task(TaskCommand::Replay { dead, fresh })) => replays == Some(*dead) && *fresh == spec.id,
            Some(Command::Task(TaskCommand::ReplayAll { .. })) => replays.is_some(),
            _ => false,
        };
        rule(asked || spec.owner.is_some(), || format!("no command submitted {}", spec.id))?;
        self.judge_instance(spec)
    }

    fn judge_ready(&self, id: TaskId, now: Time) -> Judged {
        let known = self.known(id)?;
        match known.stage {
            Stage::Backoff(until) => rule(until <= now, || format!("{id} backs off until {until}")),
            Stage::Blocked => {
                let open = known.spec.after.iter().find(|before| {
                    // A dependency that was removed has succeeded.
                    self.tasks.get(before).is_some_and(|task| task.ended() != Some(TaskStatus::Succeeded))
                });
                rule(open.is_none(), || format!("{id} is ready before {open:?} has succeeded"))
            }
            Stage::Joined(lead) => {
                let end = self.tasks.get(&lead).map(Known::ended);
                let is_left = end.is_none_or(|end| end.is_some_and(|end| end != TaskStatus::Succeeded));
                rule(is_left, || format!("{id} is ready although {lead} may give its result"))
            }
            Stage::Queued | Stage::Running(_) | Stage::Ended(_) => Err(format!("{id} did not wait")),
        }
    }

    fn judge_assigned(&self, attempt: AttemptId, to: Incarnation, now: Time) -> Judged {
        let known = self.known(attempt.task())?;
        rule(known.stage == Stage::Queued, || format!("{attempt} begins, but its task does not wait for an agent"))?;
        rule(attempt.number().get() == known.attempts + 1, || format!("{attempt} is not the next attempt"))?;
        let member = self.registered(to).ok_or_else(|| format!("{to} is gone"))?;
        rule(!member.draining, || format!("{to} drains but is assigned {attempt}"))?;
        rule(!self.paused_agents.contains(&to.agent()), || format!("{to} is paused but is assigned {attempt}"))?;
        rule(!self.is_paused(&known.spec), || format!("the tenant or kind of {attempt} is paused"))?;
        let fit = self.trusting || known.spec.needs.met_by(&member.spec);
        rule(fit, || format!("{to} does not meet the needs of {attempt}: {}", known.spec.needs))?;
        let serves = member.spec.serves(known.spec.tenant.as_ref());
        rule(serves, || format!("{to} does not serve the tenant of {attempt}: {:?}", known.spec.tenant))?;
        let kept = if known.tier == Tier::Critical { 0 } else { member.spec.reserved };
        let room = self.in_flight(to) + kept < member.spec.slots();
        rule(room, || {
            format!("{to} holds {} of {} attempts and is assigned {attempt}", self.in_flight(to), member.spec.slots())
        })?;
        rule(known.spec.deadline.is_none_or(|at| at >= now), || format!("{attempt} begins after its deadline"))?;
        let most = known.spec.policy.retry().attempts.max(1);
        let insists = known.outcome_unknown && known.spec.policy.retry().in_doubt == InDoubt::Insist;
        rule(known.tries() < most || insists, || format!("{attempt} is beyond its budget of {most}"))?;
        judge_avoided(self, known, to)?;
        self.judge_order(known, to)
    }

    /// The number of attempts that this incarnation holds.
    pub(super) fn in_flight(&self, by: Incarnation) -> u32 {
        let held = self.tasks.values().filter(|task| task.hold().is_some_and(|hold| hold.by == by)).count();
        u32::try_from(held).unwrap_or(u32::MAX)
    }

    /// An attempt that ends without a message of its holder needs a cause: the holder is gone, or a timeout.
    fn judge_cause(&self, attempt: AttemptId, by: Incarnation, reported: bool, now: Time) -> Judged {
        let hold = self.held(attempt, by)?;
        if reported || self.registered(by).is_none() {
            return Ok(());
        }
        let policy = &self.known(attempt.task())?.spec.policy;
        let timeout = policy.attempt_timeout().filter(|_| !hold.unstarted).map(|span| hold.since + span);
        let silent = self.known(attempt.task())?.silent_until(hold);
        let grace = self.grace.unwrap_or_default();
        let asked = hold.cancel.into_iter().chain(hold.yielding).map(|since| since + grace).min();
        let due = [timeout, silent, asked].into_iter().flatten().min();
        rule(due.is_some_and(|due| due <= now), || {
            format!("{attempt} of {by} ends at {now}, but {by} is registered and has until {due:?}")
        })
    }

    fn judge_failed(
        &self,
        (attempt, by): (AttemptId, Incarnation),
        failure: &Failure,
        (next, beyond_budget): (Next, bool),
        unknown: bool,
        step: &Step<'_>,
    ) -> Judged {
        let known = self.known(attempt.task())?;
        judge_recorded(self, attempt)?;
        let reported = reported_failure(step, attempt, by);
        // A malformed answer to delegable work fails the attempt.
        let misread = self.is_delegable(attempt.task()) && completes(step, attempt, by);
        self.judge_cause(attempt, by, reported.is_some() || misread, step.now)?;
        match reported {
            None if misread => {
                let may = failure.kind != FailureKind::Permanent || is_turn(self, attempt.task());
                rule(may, || format!("{attempt} does not fail permanently"))?
            }
            Some(reported) => rule(reported == failure, || {
                format!("{attempt} failed as {failure}, but its agent reported {reported}")
            })?,
            None => rule(failure.kind == FailureKind::Unknown, || {
                format!("{attempt} failed as {failure} without a message")
            })?,
        }
        let retry = known.spec.policy.retry();
        let settled = retry.in_doubt == InDoubt::Insist && failure.kind == FailureKind::Permanent;
        let unknown_outcome = !settled && (known.outcome_unknown || failure.kind == FailureKind::Unknown);
        rule(unknown == unknown_outcome, || format!("{attempt}: outcome unknown is {unknown}"))?;
        judge_next(known, failure, (next, beyond_budget), step.now)
    }

    fn judge_cancel_requested(&self, id: TaskId, known: &Known, reason: &str, step: &Step<'_>) -> Judged {
        let asked = matches!(step.command, Some(Command::Task(TaskCommand::Cancel { task, reason: why }))
            if *task == id && why.as_str() == reason);
        rule(asked || known.spec.owner.is_some(), || format!("no command cancelled {id}"))
    }

    fn judge_cancelled(&self, id: TaskId, reason: &str, side_effects: &SideEffects, step: &Step<'_>) -> Judged {
        let known = self.known(id)?;
        let done = match step.command {
            Some(Command::Agent(AgentCommand::Complete { by, attempt, output, .. })) if *attempt == known.attempt() => {
                known.hold().filter(|hold| hold.by == *by).map(|_| output)
            }
            _ => None,
        };
        match (done, side_effects) {
            (Some(output), SideEffects::Done(gave)) => rule(output == gave, || format!("{id} returned {output:?}"))?,
            (Some(_), _) | (None, SideEffects::Done(_)) => {
                return Err(format!("{id}: side effects are {side_effects:?}"));
            }
            (None, SideEffects::None | SideEffects::Possible) => {}
        }
        match &known.stage {
            Stage::Running(hold) => {
                rule(hold.cancel.is_some(), || {
                    format!("{id} ends as cancelled without a cancellation of its attempt")
                })?;
                let by = hold.by;
                // It may have been preempted before it was cancelled.
                let back = gives_back(step, known.attempt());
                let reported = done.is_some() || back || reported_failure(step, known.attempt(), by).is_some();
                self.judge_cause(known.attempt(), by, reported, step.now)
            }
            Stage::Ended(status) => Err(format!("{id} has {status} already")),
            Stage::Blocked | Stage::Joined(_) | Stage::Backoff(_) | Stage::Queued => {
                let dead = known.spec.after.iter().any(|before| {
                    self.tasks
                        .get(before)
                        .is_none_or(|task| task.ended().is_some_and(|end| end != TaskStatus::Succeeded))
                });
                if dead { Ok(()) } else { self.judge_cancel_requested(id, known, reason, step) }
            }
        }
    }

    fn judge_expired(&self, id: TaskId, bound: Bound, unknown: bool, now: Time) -> Judged {
        let known = self.known(id)?;
        rule(known.ended().is_none(), || format!("{id} has ended already"))?;
        let running = known.hold().is_some();
        let at = match bound {
            Bound::Deadline => known.spec.deadline.filter(|at| !running && *at < now),
            Bound::Queue => known.spec.policy.queue_timeout().filter(|_| !running).map(|span| known.submitted + span),
            Bound::Total => known.spec.policy.total_timeout().map(|span| known.submitted + span),
            Bound::Unroutable => super::unroutable::waiting(self, id).map(|_| Some(now))?,
        };
        rule(at.is_some_and(|at| at <= now), || format!("{id} expires by its {bound} at {now} instead of {at:?}"))?;
        rule(unknown == (known.outcome_unknown || running), || format!("{id}: outcome unknown is {unknown}"))
    }

    pub(super) fn prioritise(&mut self, tasks: &[TaskId], tier: Tier) {
        for task in tasks {
            if let Some(known) = self.tasks.get_mut(task) {
                known.tier = tier;
            }
        }
    }

    pub(super) fn learn_task(&mut self, id: TaskId, event: &TaskEvent, (seq, at): (Seq, Time)) {
        if let TaskEvent::Submitted { spec, replays, .. } = event {
            // A replayed task is no dead letter any more, and stays known until all its replays have ended.
            if let Some(known) = replays.and_then(|dead| self.tasks.get_mut(&dead)) {
                known.discard();
            }
            self.note_instance(spec);
            self.tasks.insert(id, Known::new(spec, seq, at));
            return;
        }
        if let TaskEvent::AttemptFailed { failure, .. } = event {
            self.failures.learn(failure);
        }
        let waits = |to: &Incarnation| self.registered(*to).is_some_and(|member| member.spec.prefetch > 0);
        let unstarted = matches!(event, TaskEvent::Assigned { to, .. } if waits(to));
        if let Some(known) = self.tasks.get_mut(&id) {
            known.learn(event, unstarted, at);
        }
        if let TaskEvent::Assigned { to, .. } = event {
            self.note_given(id, to.agent());
        }
    }
}

impl Known {
    fn new(spec: &Arc<TaskSpec>, seq: Seq, submitted: Time) -> Self {
        Self {
            stage: if spec.after.is_empty() { Stage::Queued } else { Stage::Blocked },
            tier: spec.tier,
            spec: Arc::clone(spec),
            seq,
            submitted,
            attempts: 0,
            yields: 0,
            outcome_unknown: false,
            failed_by: Vec::new(),
            deferred: false,
            failures: Vec::new(),
            side_effects: SideEffects::None,
            details: Payload::NULL,
            accepted: Payload::NULL,
            heartbeat: Time::ZERO,
            rating: None,
        }
    }

    pub(super) fn note_heartbeat(&mut self, details: &Payload, now: Time) {
        self.heartbeat = now;
        if !details.is_null() {
            self.accepted = details.clone();
        }
    }

    /// When the attempt under way is failed unless it reports a heartbeat before.
    pub(super) fn silent_until(&self, hold: &Hold) -> Option<Time> {
        let span = self.spec.policy.heartbeat_timeout().filter(|_| !hold.unstarted)?;
        Some(hold.since.max(self.heartbeat) + span)
    }

    fn learn(&mut self, event: &TaskEvent, unstarted: bool, at: Time) {
        match event {
            TaskEvent::Ready => self.stage = Stage::Queued,
            TaskEvent::Deferred { .. } => self.deferred = true,
            TaskEvent::Joined { to } => self.stage = Stage::Joined(*to),
            TaskEvent::Assigned { attempt, to } => {
                self.attempts = attempt.get();
                self.stage = Stage::Running(Hold { by: *to, since: at, unstarted, cancel: None, yielding: None });
            }
            TaskEvent::Started { .. } => self.with_hold(|hold| (hold.unstarted, hold.since) = (false, at)),
            TaskEvent::Heartbeat { details, .. } => {
                (self.details, self.accepted) = (details.clone(), details.clone());
            }
            TaskEvent::YieldRequested { .. } => self.with_hold(|hold| hold.yielding = Some(at)),
            TaskEvent::CancelRequested { .. } => self.with_hold(|hold| hold.cancel = Some(at)),
            TaskEvent::Yielded { outcome_unknown, .. } => {
                self.yields += 1;
                self.outcome_unknown |= *outcome_unknown;
                self.stage = Stage::Queued;
            }
            TaskEvent::AttemptFailed { by, failure, next, outcome_unknown, .. } => {
                // Only rules of retries depend on earlier failures.
                if !self.spec.policy.retry().rules.is_empty() {
                    self.failures.push((**failure).clone());
                }
                self.outcome_unknown |= *outcome_unknown;
                self.failed_by.push(by.agent());
                if let Next::Retry { at, tier } = next {
                    self.stage = Stage::Backoff(*at);
                    self.tier = tier.unwrap_or(self.tier);
                }
                // A policy that insists has resolved earlier unknown outcomes.
                self.side_effects = if *outcome_unknown { SideEffects::Possible } else { SideEffects::None };
            }
            TaskEvent::Expired { outcome_unknown: true, .. } => self.side_effects = SideEffects::Possible,
            TaskEvent::Succeeded { output, .. } | TaskEvent::Answered { output, .. } => {
                self.side_effects = SideEffects::Done(output.clone());
            }
            TaskEvent::Cancelled { side_effects, .. } => self.side_effects = side_effects.clone(),
            TaskEvent::Discarded { .. } => self.discard(),
            TaskEvent::Rated { rating, .. } => self.rating = Some(*rating),
            _ => {}
        }
        if let Some(outcome) = event.outcome() {
            self.stage = Stage::Ended(TaskStatus::from(&outcome));
        }
    }

    /// The last agents that failed it, as many as a task avoids.
    fn avoided(&self) -> Vec<AgentId> {
        let mut last: Vec<AgentId> = Vec::new();
        for agent in self.failed_by.iter().rev() {
            if last.len() < AVOIDED && !last.contains(agent) {
                last.push(*agent);
            }
        }
        last
    }

    /// Marks a dead letter as discarded or replayed; its side effects remain.
    fn discard(&mut self) {
        let failure = TaskOutcome::Failed(Failure::permanent("discarded"));
        self.stage = Stage::Ended(TaskStatus::from(&failure));
    }

    fn with_hold(&mut self, change: impl FnOnce(&mut Hold)) {
        if let Stage::Running(hold) = &mut self.stage {
            change(hold);
        }
    }
}

/// An agent that failed the task is assigned it again only if no other agent could be.
fn judge_avoided(rules: &Rules, known: &Known, to: Incarnation) -> Judged {
    let avoided = known.avoided();
    if rules.trusting || known.spec.affinity.is_some() || !avoided.contains(&to.agent()) {
        return Ok(());
    }
    let other = rules.agents.values().find(|member| {
        let shares = member.spec.slots() > member.spec.reserved && !member.spec.backup;
        let is_up = !member.draining && !member.gated && !rules.paused_agents.contains(&member.by.agent());
        shares && is_up && known.spec.needs.met_by(&member.spec) && !avoided.contains(&member.by.agent())
    });
    rule(other.is_none(), || {
        format!("{to} failed {} and is assigned it again, although {:?} did not", known.spec.id, other.map(|it| it.by))
    })
}

/// A task of a pure kind waits for the result of an equal one that is performed.
fn judge_joined(rules: &Rules, id: TaskId, to: TaskId) -> Judged {
    let (known, lead) = (rules.known(id)?, rules.known(to)?);
    let is_equal = known.spec.kind == lead.spec.kind
        && known.spec.tenant == lead.spec.tenant
        && known.spec.payload == lead.spec.payload;
    let is_open = lead.ended().is_none() && !matches!(lead.stage, Stage::Joined(_));
    rule(is_equal && is_open && id != to && known.stage == Stage::Queued, || {
        format!("{id} waits for the result of {to}, which is not equal or not performed")
    })
}

fn judge_answered(rules: &Rules, id: TaskId, from: TaskId, output: &Payload) -> Judged {
    let waits = matches!(rules.known(id)?.stage, Stage::Queued | Stage::Joined(_));
    rule(waits, || format!("{id} is answered but does not wait"))?;
    // The task may be forgotten whose result was cached.
    let gave = rules.tasks.get(&from).is_none_or(|from| from.side_effects == SideEffects::Done(output.clone()));
    rule(gave, || format!("{id} is answered with another result than that of {from}"))
}

fn judge_rated(rules: &Rules, id: TaskId, (kind, rating): (&Name, Rating), step: &Step<'_>) -> Judged {
    let known = rules.known(id)?;
    let asked = matches!(step.command, Some(Command::Task(TaskCommand::Rate { task, rating: asked }))
        if *task == id && *asked == rating);
    rule(asked && known.rating.is_none(), || format!("{id} is rated {rating} without a request"))?;
    rule(known.ended().is_some() && known.attempts > 0 && known.spec.kind == *kind, || {
        format!("{id} is rated, but has not ended after an attempt")
    })
}

fn judge_used(rules: &Rules, (attempt, by): (AttemptId, Incarnation), usage: &Usage, step: &Step<'_>) -> Judged {
    rules.held(attempt, by)?;
    let reported = match step.command {
        Some(Command::Agent(
            AgentCommand::Complete { attempt, usage, .. } | AgentCommand::Fail { attempt, usage, .. },
        )) => Some((*attempt, *usage)),
        _ => None,
    };
    // Without a report the usage consists of the cost of the agent.
    rule(reported.is_none_or(|(which, reported)| which != attempt || reported.tokens == usage.tokens), || {
        format!("{attempt} used {usage:?}, but its agent reported {reported:?}")
    })
}

/// An attempt that ends before its task has its last details recorded.
fn judge_recorded(rules: &Rules, attempt: AttemptId) -> Judged {
    let known = rules.known(attempt.task())?;
    rule(known.details == known.accepted, || {
        format!("{attempt} ends, and its last details {} are not recorded", known.accepted)
    })
}

/// The details of a heartbeat are the last ones that were accepted.
fn judge_heartbeat(
    rules: &Rules,
    (attempt, by): (AttemptId, Incarnation),
    details: &Payload,
    step: &Step<'_>,
) -> Judged {
    rules.held(attempt, by)?;
    let asked = match step.command {
        Some(Command::Agent(AgentCommand::AttemptHeartbeat { attempt: which, details, .. }))
            if *which == attempt && step.verdict.is_ok() && !details.is_null() =>
        {
            details
        }
        _ => &rules.known(attempt.task())?.accepted,
    };
    rule(asked == details, || format!("{attempt} reported {asked}, and {details} is recorded"))
}

/// An attempt gets the last details that an event records.
pub(super) fn judge_details(rules: &Rules, attempt: AttemptId, details: &Payload) -> Judged {
    let known = rules.known(attempt.task())?;
    rule(known.details == *details, || format!("{attempt} gets {details} and not {}", known.details))
}

/// Whether the command completes an attempt.
fn completes(step: &Step<'_>, attempt: AttemptId, by: Incarnation) -> bool {
    matches!(step.command, Some(Command::Agent(AgentCommand::Complete { by: who, attempt: which, .. }))
        if *who == by && *which == attempt)
}

/// Whether the command gives an attempt back.
fn gives_back(step: &Step<'_>, which: AttemptId) -> bool {
    matches!(step.command, Some(Command::Agent(AgentCommand::Yield { attempt, .. })) if *attempt == which)
}

/// The failure that the holder reports with this command.
fn reported_failure<'a>(step: &Step<'a>, which: AttemptId, who: Incarnation) -> Option<&'a Failure> {
    match step.command {
        Some(Command::Agent(AgentCommand::Fail { by, attempt, failure, .. })) if *attempt == which && *by == who => {
            Some(failure)
        }
        _ => None,
    }
}

/// The consequence of a failed attempt: the retry budget is used, and the back-off observed.
fn judge_next(known: &Known, failure: &Failure, (next, beyond_budget): (Next, bool), now: Time) -> Judged {
    let id = known.spec.id;
    let retry = known.spec.policy.retry();
    // The first rule that matches applies, and counts only its own failures.
    let rule_of = |failure: &Failure| retry.rules.iter().position(|rule| rule.on.matches(failure));
    let own = rule_of(failure);
    let earlier = known.failures.iter().filter(|earlier| rule_of(earlier) == own).count();
    let failed = own.map_or_else(|| known.tries(), |_| u32::try_from(earlier).unwrap_or(u32::MAX).saturating_add(1));
    let most = own.and_then(|own| retry.rules.get(own)).map_or(retry.attempts, |rule| rule.attempts).max(1);
    let permanent = failure.kind == FailureKind::Permanent;
    let outcome_unknown = known.outcome_unknown || failure.kind == FailureKind::Unknown;
    let insists = outcome_unknown && retry.in_doubt == InDoubt::Insist;
    let is_left = known.tries() < retry.attempts.max(1) && failed < most;
    let again = !permanent && (insists || is_left) && !beyond_budget;
    match next {
        Next::Retry { at, .. } => {
            rule(again, || format!("{id} is retried after {} of {} tries", known.tries(), retry.attempts))?;
            let (least, most) = backoff(&retry.by_rule(own), failed, failure.retry_after);
            rule(at >= now + least && at <= now + most, || {
                format!("{id} backs off for {:?} instead of {least:?} to {most:?}", at.since(now))
            })
        }
        Next::Fail | Next::DeadLetter => {
            rule(!again, || format!("{id} is not retried after {} of {} tries", known.tries(), retry.attempts))?;
            // A failed step is handled by its run: it is not replayed.
            let owned = known.spec.owner.is_some();
            let failed = permanent || owned || known.spec.policy.exhausted() == Exhausted::Fail;
            rule(failed == (next == Next::Fail), || format!("{id} has the wrong kind of final failure"))
        }
    }
}

/// The bounds of a delay, according to the documentation.
fn backoff(retry: &Retry, tries: u32, asked: Option<Duration>) -> (Duration, Duration) {
    let grow = |span: Duration| {
        let grown = span.as_nanos().saturating_mul(retry.factor_permille.into()) / 1_000;
        u64::try_from(grown).map_or(retry.cap, Duration::from_nanos).min(retry.cap)
    };
    let ceiling = (1..tries.min(1_000)).fold(retry.base.min(retry.cap), |span, _| grow(span));
    let (least, most) = match retry.jitter {
        Jitter::Full => (Duration::ZERO, ceiling),
        Jitter::Equal => (ceiling / 2, ceiling),
        Jitter::Decorrelated => (retry.base.min(retry.cap), retry.cap),
        Jitter::None => (ceiling, ceiling),
    };
    let floor = asked.unwrap_or_default();
    (least.max(floor), most.max(floor))
}
