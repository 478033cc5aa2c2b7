//! The step oracle: each fact must be legal given what was before it, and caused by the command or by time.

use super::state::{MAgent, MStage, MTask, Model};
use counterpoint::message::{AgentEvent, ControlEvent, Next, TaskEvent};
use counterpoint::task::{Bound, Exhausted, Jitter, RetryRule, SideEffects};
use counterpoint::{
    AgentCommand, AttemptId, Command, Entry, Event, Failure, FailureKind, Incarnation, Name, Payload, Retry,
    TaskCommand, TaskId, TaskOutcome, TaskSpec, Time,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

type Judged = Result<(), String>;

macro_rules! rule {
    ($holds:expr, $($why:tt)+) => {
        if !$holds { return Err(format!($($why)+)); }
    };
}

impl Model {
    /// Judges a fact, then learns from it.
    pub fn judge(&mut self, entry: &Entry, cause: &Command) -> Judged {
        rule!(entry.seq.get() == self.last + 1, "fact {} follows {}", entry.seq, self.last);
        rule!(entry.at == self.now, "fact {} is of {}, the call of {}", entry.seq, entry.at, self.now);
        self.last += 1;
        let judged = match &entry.event {
            Event::Agent { agent, event } => self.agent_fact(*agent, event, cause),
            Event::Task { task, event } => self.task_fact(*task, event, cause),
            Event::Control(ControlEvent::TasksForgotten { tasks }) => {
                tasks.iter().try_for_each(|task| self.forgotten(*task))
            }
            Event::Control(ControlEvent::Unroutable(work)) => self.reported(work),
            Event::Control(ControlEvent::Routable { report }) => self.report_ended(*report),
            other => Err(format!("a scheduler stated {other:?}")),
        };
        self.regroup();
        judged
    }

    fn agent_fact(&mut self, by: Incarnation, event: &AgentEvent, cause: &Command) -> Judged {
        match event {
            AgentEvent::Registered { spec } => {
                let asked = matches!(cause, Command::Agent(AgentCommand::Register(asked)) if asked == &**spec);
                rule!(asked, "{by} registered unasked");
                rule!(by.number() == self.lives + 1 && by.agent() == spec.id, "{by} is not the next life");
                self.lives += 1;
                let agent = MAgent { by, spec: (**spec).clone(), draining: false, heard: self.now };
                self.agents.insert(spec.id, agent);
            }
            AgentEvent::Updated { spec } => {
                let asked = matches!(cause, Command::Agent(AgentCommand::Update { spec: asked, by: who })
                    if asked == &**spec && *who == by);
                rule!(asked && self.living(by).is_some(), "{by} changed unasked");
                let now = self.now;
                let agent = self.agents.get_mut(&by.agent()).unwrap();
                rule!(agent.spec != **spec, "{by} changed into what it was");
                agent.spec = (**spec).clone();
                agent.heard = now;
            }
            AgentEvent::Draining => {
                let asked = matches!(cause, Command::Agent(AgentCommand::Drain { agent }) if *agent == by.agent());
                rule!(asked && self.living(by).is_some_and(|agent| !agent.draining), "{by} drains unasked");
                self.agents.get_mut(&by.agent()).unwrap().draining = true;
            }
            AgentEvent::Deregistered => {
                let asked = matches!(cause, Command::Agent(AgentCommand::Deregister { agent }) if *agent == by.agent());
                rule!(asked && self.living(by).is_some(), "{by} left unasked");
                self.agents.remove(&by.agent());
            }
            AgentEvent::Lost => {
                let agent = self.living(by).ok_or(format!("{by} is lost and was not there"))?;
                let until = agent.spec.lease.map(|lease| agent.heard + lease);
                rule!(until.is_some_and(|until| until <= self.now), "{by} is lost with a lease until {until:?}");
                self.agents.remove(&by.agent());
            }
            other => return Err(format!("a fact that the model does not know: {other:?}")),
        }
        Ok(())
    }

    fn task_fact(&mut self, id: TaskId, event: &TaskEvent, cause: &Command) -> Judged {
        match event {
            TaskEvent::Submitted { spec, replays, .. } => {
                rule!(spec.id == id, "{} is submitted as {id}", spec.id);
                self.submitted(spec, *replays, cause)
            }
            TaskEvent::Ready => self.ready(id),
            TaskEvent::Deferred { until } => {
                let due = self.to_defer();
                rule!(due == Some((id, *until)), "{id} is deferred until {until}, and due is {due:?}");
                let asked = matches!(cause, Command::Task(TaskCommand::Submit(_) | TaskCommand::Replay { .. }));
                rule!(asked, "{id} is deferred and nothing is submitted");
                self.deferred += 1;
                self.tasks.get_mut(&id).unwrap().deferred = Some(*until);
                Ok(())
            }
            TaskEvent::Assigned { attempt, to } => self.assigned(attempt.of(id), *to),
            TaskEvent::AttemptFailed { attempt, by, failure, next, outcome_unknown, .. } => {
                let before = self.known(id)?.doubtful;
                rule!(
                    *outcome_unknown == (before || failure.kind == FailureKind::Unknown),
                    "{id}.{attempt} failed with {failure}, and that its outcome is unknown is {outcome_unknown}"
                );
                self.attempt_failed(attempt.of(id), *by, failure, *next, cause)
            }
            TaskEvent::Heartbeat { attempt, by, details } => self.heartbeat(attempt.of(id), *by, details, cause),
            TaskEvent::Succeeded { attempt, by, output } => self.succeeded(attempt.of(id), *by, output, cause),
            TaskEvent::CancelRequested { reason } => self.cancel_requested(id, reason, cause),
            TaskEvent::Cancelled { reason, side_effects } => self.cancelled(id, reason, side_effects, cause),
            TaskEvent::Expired { bound, outcome_unknown } => {
                let known = self.known(id)?;
                rule!(
                    *outcome_unknown == (known.doubtful || known.holder().is_some()),
                    "{id} expires, and that its outcome is unknown is {outcome_unknown}"
                );
                self.expired(id, *bound)
            }
            TaskEvent::Discarded { reason } => {
                let asked = matches!(cause, Command::Task(TaskCommand::Discard { dead, reason: why })
                    if *dead == id && why == reason);
                rule!(asked, "{id} is discarded unasked");
                self.bury(id)
            }
            TaskEvent::Rated { agent, kind, rating } => {
                let asked = matches!(cause, Command::Task(TaskCommand::Rate { task, rating: asked })
                    if *task == id && asked == rating);
                let known = self.known(id)?;
                rule!(asked && known.ended().is_some() && known.rating.is_none(), "{id} is rated unasked");
                rule!(known.last == Some(*agent) && known.spec.kind == *kind, "{agent} did not perform {id}");
                self.tasks.get_mut(&id).unwrap().rating = Some(*rating);
                Ok(())
            }
            other => Err(format!("an event that the model does not know: {other:?}")),
        }
    }

    fn known(&self, id: TaskId) -> Result<&MTask, String> {
        self.tasks.get(&id).ok_or(format!("a fact about {id}, which is not known"))
    }

    fn submitted(&mut self, spec: &Arc<TaskSpec>, replays: Option<TaskId>, cause: &Command) -> Judged {
        match (cause, replays) {
            (Command::Task(TaskCommand::Submit(asked)), None) => rule!(asked == spec, "{} is changed", spec.id),
            (Command::Task(TaskCommand::Replay { dead, fresh }), Some(replays)) => {
                rule!(*dead == replays && *fresh == spec.id, "{dead} is replayed as {fresh}: {spec:?}");
                let old = self.known(replays)?;
                let same = old.spec.payload == spec.payload && old.spec.needs == spec.needs;
                rule!(same && old.spec.policy == spec.policy && spec.after.is_empty(), "{fresh} is not as {dead} was");
                self.bury(replays)?;
            }
            _ => return Err(format!("{} is submitted unasked", spec.id)),
        }
        rule!(!self.tasks.contains_key(&spec.id), "{} is submitted twice", spec.id);
        let stage = if spec.after.is_empty() { MStage::Queued } else { MStage::Blocked };
        let task = MTask {
            spec: Arc::clone(spec),
            seq: self.last,
            submitted: self.now,
            attempts: 0,
            doubtful: false,
            by_rule: BTreeMap::new(),
            avoid: Vec::new(),
            stage,
            deferred: None,
            details: None,
            pending: None,
            heartbeat: Time::ZERO,
            last: None,
            rating: None,
        };
        self.tasks.insert(spec.id, task);
        self.submitted += 1;
        Ok(())
    }

    /// A dead letter becomes a failed task.
    fn bury(&mut self, id: TaskId) -> Judged {
        let task = self.tasks.get_mut(&id).ok_or(format!("{id} is not known"))?;
        let MStage::Ended(TaskOutcome::DeadLettered(failure), at) = &task.stage else {
            return Err(format!("{id} is given up and is no dead letter"));
        };
        task.stage = MStage::Ended(TaskOutcome::Failed(failure.clone()), *at);
        self.dead.retain(|dead| *dead != id);
        self.finished.push(id);
        Ok(())
    }

    fn ready(&mut self, id: TaskId) -> Judged {
        let task = self.known(id)?;
        match task.stage {
            MStage::Blocked => rule!(self.is_free(task) && !self.is_doomed(task), "{id} is ready too soon"),
            MStage::Backoff(until) => rule!(until <= self.now, "{id} is ready before {until}"),
            _ => return Err(format!("{id} is ready and did not wait")),
        }
        self.tasks.get_mut(&id).unwrap().stage = MStage::Queued;
        Ok(())
    }

    fn assigned(&mut self, attempt: AttemptId, to: Incarnation) -> Judged {
        let id = attempt.task();
        let task = self.known(id)?;
        rule!(matches!(task.stage, MStage::Queued), "{attempt} is assigned, {id} is {:?}", task.status());
        rule!(attempt.number().get() == task.attempts + 1, "{attempt} follows {}", task.attempts);
        rule!(attempt.number().get() <= task.spec.policy.retry().attempts.max(1), "{attempt} is beyond the budget");
        rule!(self.living(to).is_some(), "{attempt} is assigned to {to}, which is gone");
        if let Some((at, bound)) = task.bound() {
            rule!(at > self.now, "{attempt} is assigned after its {bound}");
        }
        let candidates = self.candidates(task);
        rule!(candidates.contains(&to.agent()), "{attempt} is assigned to {to}, not to one of {candidates:?}");
        for other in self.tasks.values().filter(|other| matches!(other.stage, MStage::Queued)) {
            let passed = self.rank(other) < self.rank(task) && self.may_take(other).contains(&to.agent());
            rule!(!passed, "{attempt} passed over {}, which {to} could take", other.spec.id);
        }
        let since = self.now;
        let task = self.tasks.get_mut(&id).unwrap();
        task.attempts += 1;
        task.last = Some(to.agent());
        task.stage = MStage::Running { by: to, since, cancel: None };
        Ok(())
    }

    /// The task of an attempt that is under way, held by `by`.
    fn under_way(&self, attempt: AttemptId, by: Incarnation) -> Result<&MTask, String> {
        let task = self.known(attempt.task())?;
        rule!(task.holder() == Some(by), "{attempt} ends by {by}, its holder is {:?}", task.holder());
        rule!(task.attempt() == attempt, "{attempt} ends, {} is current", task.attempt());
        Ok(task)
    }

    fn attempt_failed(
        &mut self,
        attempt: AttemptId,
        by: Incarnation,
        failure: &Failure,
        next: Next,
        cause: &Command,
    ) -> Judged {
        let task = self.under_way(attempt, by)?;
        let said = matches!(cause, Command::Agent(AgentCommand::Fail { by: who, attempt: which, failure: what, .. })
            if *who == by && *which == attempt && what == failure);
        rule!(task.pending.is_none(), "{attempt} failed, and its last details {:?} are lost", task.pending);
        let late = task.given_up(&self.limits).is_some_and(|at| at <= self.now);
        let gone = self.living(by).is_none();
        rule!(said || late || gone, "{attempt} was taken from {by} without a reason");
        if !said {
            rule!(failure.kind == FailureKind::Unknown, "{attempt} failed by silence and is {}", failure.kind);
        }
        if said {
            rule!(!gone, "a word of {by} counted, which is gone");
        }
        rule!(
            matches!(task.stage, MStage::Running { cancel: None, .. }),
            "{attempt} failed and was being cancelled: it ends as cancelled"
        );
        let stage = self.after_failure(task, failure, next)?;
        if let MStage::Ended(end, _) = &stage {
            if matches!(end, TaskOutcome::DeadLettered(_)) {
                self.dead.push(attempt.task());
            } else {
                self.finished.push(attempt.task());
            }
        }
        let now = self.now;
        let task = self.tasks.get_mut(&attempt.task()).unwrap();
        if let Some(rule) = rule_of(task.spec.policy.retry(), failure) {
            *task.by_rule.entry(rule).or_default() += 1;
        }
        task.doubtful |= failure.kind == FailureKind::Unknown;
        task.avoid.retain(|agent| *agent != by.agent());
        task.avoid.push(by.agent());
        task.stage = stage;
        if said {
            self.agents.get_mut(&by.agent()).unwrap().heard = now;
        }
        Ok(())
    }

    /// Details are recorded when they are reported, when their interval is over, or when their attempt fails.
    fn heartbeat(&mut self, attempt: AttemptId, by: Incarnation, details: &Payload, cause: &Command) -> Judged {
        let task = self.under_way(attempt, by)?;
        let interval = self.limits.tasks.details_interval;
        let over = task.details.as_ref().is_none_or(|(at, _)| *at + interval <= self.now);
        let reported = matches!(cause, Command::Agent(AgentCommand::AttemptHeartbeat { attempt: which, details: said, .. })
            if *which == attempt && said == details);
        let failing = self.living(by).is_none()
            || task.given_up(&self.limits).is_some_and(|at| at <= self.now)
            || matches!(cause, Command::Agent(AgentCommand::Fail { attempt: which, .. }) if *which == attempt);
        if !(reported && over) {
            let waits = task.pending.as_ref().is_some_and(|(at, what)| what == details && (*at <= self.now || failing));
            rule!(waits, "{details} of {attempt} are recorded, and what waits is {:?}", task.pending);
        }
        let now = self.now;
        let task = self.tasks.get_mut(&attempt.task()).unwrap();
        (task.details, task.pending) = (Some((now, details.clone())), None);
        Ok(())
    }

    /// What a heartbeat does beyond facts.
    pub fn note_heartbeat(&mut self, attempt: AttemptId, details: &Payload) -> Judged {
        let (now, interval) = (self.now, self.limits.tasks.details_interval);
        let task = self.tasks.get_mut(&attempt.task()).ok_or("a heartbeat of an unknown task counted")?;
        task.heartbeat = now;
        if details.is_null() {
            return Ok(());
        }
        task.pending = match &task.details {
            Some((_, known)) if known == details => None,
            Some((at, _)) if *at + interval > now => Some((*at + interval, details.clone())),
            _ => return Err(format!("{details} of {attempt} should be recorded")),
        };
        Ok(())
    }

    fn after_failure(&self, task: &MTask, failure: &Failure, next: Next) -> Result<MStage, String> {
        let id = task.spec.id;
        let retry = task.spec.policy.retry();
        let rule = rule_of(retry, failure);
        let same = rule.map_or(task.attempts, |rule| task.by_rule.get(&rule).copied().unwrap_or(0) + 1);
        let most = rule.map_or(retry.attempts, |rule| retry.rules[rule].attempts);
        let spent = task.attempts >= retry.attempts.max(1) || same >= most.max(1);
        let hopeless = failure.kind == FailureKind::Permanent;
        let end = match next {
            Next::Retry { at, .. } => {
                rule!(!hopeless && !spent, "{id} is tried again after {failure} at attempt {}", task.attempts);
                let (low, high) = backoff(retry, rule, same);
                let asked = failure.retry_after.unwrap_or_default();
                rule!(at >= self.now + low.max(asked), "{id} is tried again at {at}, too soon");
                rule!(at <= self.now + high.max(asked), "{id} is tried again at {at}, too late");
                return Ok(MStage::Backoff(at));
            }
            Next::Fail => {
                let given_up = task.spec.policy.exhausted() == Exhausted::Fail;
                rule!(hopeless || (spent && given_up), "{id} failed for good after {failure}");
                TaskOutcome::Failed(failure.clone())
            }
            Next::DeadLetter => {
                let kept = task.spec.policy.exhausted() == Exhausted::DeadLetter;
                rule!(spent && kept && !hopeless, "{id} is a dead letter after {failure}");
                TaskOutcome::DeadLettered(failure.clone())
            }
            other => return Err(format!("{id} goes on with {other:?}")),
        };
        Ok(MStage::Ended(end, self.now))
    }

    fn end(&mut self, id: TaskId, outcome: TaskOutcome) {
        let now = self.now;
        self.tasks.get_mut(&id).unwrap().stage = MStage::Ended(outcome, now);
        self.finished.push(id);
    }

    fn succeeded(&mut self, attempt: AttemptId, by: Incarnation, output: &Payload, cause: &Command) -> Judged {
        let task = self.under_way(attempt, by)?;
        rule!(matches!(task.stage, MStage::Running { cancel: None, .. }), "{attempt} succeeded, cancelled before");
        rule!(self.living(by).is_some(), "{attempt} succeeded by {by}, which is gone");
        let said = matches!(cause, Command::Agent(AgentCommand::Complete { by: who, attempt: which, output: what, .. })
            if *who == by && *which == attempt && what == output);
        rule!(said, "{attempt} succeeded and nobody said so");
        self.end(attempt.task(), TaskOutcome::Succeeded(output.clone()));
        self.agents.get_mut(&by.agent()).unwrap().heard = self.now;
        Ok(())
    }

    fn cancel_requested(&mut self, id: TaskId, reason: &Name, cause: &Command) -> Judged {
        let asked =
            matches!(cause, Command::Task(TaskCommand::Cancel { task, reason: why }) if *task == id && why == reason);
        rule!(asked, "{id} is asked to stop and nobody wanted it");
        let now = self.now;
        match self.tasks.get_mut(&id).map(|task| &mut task.stage) {
            Some(MStage::Running { cancel: cancel @ None, .. }) => *cancel = Some((now, reason.clone())),
            other => return Err(format!("{id} is asked to stop and is {other:?}")),
        }
        Ok(())
    }

    fn cancelled(&mut self, id: TaskId, reason: &Name, side_effects: &SideEffects, cause: &Command) -> Judged {
        let task = self.known(id)?;
        let doubt = if task.doubtful { SideEffects::Possible } else { SideEffects::None };
        match (&task.stage, cause) {
            (
                MStage::Running { by, cancel: Some((_, why)), .. },
                Command::Agent(AgentCommand::Complete { by: who, output, attempt, .. }),
            ) => {
                rule!(by == who && task.attempt() == *attempt, "{id} ended by {who}, held by {by}");
                rule!(why == reason, "{id} was cancelled for {why}, ended for {reason}");
                rule!(*side_effects == SideEffects::Done(output.clone()), "{id} was done, and that is lost");
                let by = *by;
                self.agents.get_mut(&by.agent()).unwrap().heard = self.now;
            }
            (
                MStage::Running { by, cancel: Some((_, why)), .. },
                Command::Agent(AgentCommand::Fail { by: who, failure, attempt, .. }),
            ) if by == who && task.attempt() == *attempt => {
                rule!(why == reason, "{id} was cancelled for {why}, ended for {reason}");
                let unknown = failure.kind == FailureKind::Unknown;
                let should = if unknown { SideEffects::Possible } else { doubt };
                rule!(*side_effects == should, "{id} is cancelled as {side_effects:?}, should be {should:?}");
                let by = *by;
                self.agents.get_mut(&by.agent()).unwrap().heard = self.now;
            }
            (MStage::Running { by, cancel: Some((_, why)), .. }, _) => {
                let late = task.given_up(&self.limits).is_some_and(|at| at <= self.now);
                let gone = self.living(*by).is_none();
                rule!(late || gone, "{id} was taken from {by} without a reason");
                rule!(why == reason, "{id} was cancelled for {why}, ended for {reason}");
                rule!(*side_effects == SideEffects::Possible, "{id} ended in silence and is {side_effects:?}");
            }
            (MStage::Blocked, _) if self.is_doomed(task) => {
                rule!(*side_effects == SideEffects::None, "{id} never began and has happened");
            }
            (
                MStage::Blocked | MStage::Backoff(_) | MStage::Queued,
                Command::Task(TaskCommand::Cancel { task: which, reason: why }),
            ) => {
                rule!(*which == id && why == reason, "{id} is cancelled for {reason}, not {which} for {why}");
                rule!(*side_effects == doubt, "{id} is cancelled as {side_effects:?}, should be {doubt:?}");
            }
            (stage, _) => return Err(format!("{id} is cancelled without a cause while {stage:?}")),
        }
        self.end(id, TaskOutcome::Cancelled { reason: reason.clone(), side_effects: side_effects.clone() });
        Ok(())
    }

    fn expired(&mut self, id: TaskId, bound: Bound) -> Judged {
        if bound == Bound::Unroutable {
            self.may_expire_unroutable(id)?;
            self.end(id, TaskOutcome::Expired(bound));
            return Ok(());
        }
        let task = self.known(id)?;
        let first = task.bound();
        rule!(
            first.is_some_and(|(at, which)| at <= self.now && which == bound),
            "{id} expires by {bound}, not {first:?}"
        );
        let cut = task.holder().is_some();
        self.tasks.get_mut(&id).unwrap().doubtful |= cut;
        self.end(id, TaskOutcome::Expired(bound));
        Ok(())
    }

    fn forgotten(&mut self, id: TaskId) -> Judged {
        let dead = self.known(id)?.is_dead();
        let (list, limit) = if dead {
            (&mut self.dead, self.limits.retention.dead_letters)
        } else {
            (&mut self.finished, self.limits.retention.finished_tasks)
        };
        rule!(list.first() == Some(&id), "{id} is forgotten and is not the oldest");
        rule!(list.len() > limit as usize, "{id} is forgotten within the limit of {limit}");
        list.remove(0);
        self.tasks.remove(&id);
        Ok(())
    }
}

/// The rule of retries that applies to a failure: the first whose kinds and codes are met.
fn rule_of(retry: &Retry, failure: &Failure) -> Option<usize> {
    let code = failure.code.as_ref().map(ToString::to_string);
    let is_met = |pattern: String| match pattern.strip_suffix('*') {
        Some(start) => code.as_ref().is_some_and(|code| code.starts_with(start)),
        None => code.as_ref() == Some(&pattern),
    };
    let applies = |rule: &RetryRule| {
        let by_kind = rule.on.kinds.is_empty() || rule.on.kinds.contains(&failure.kind);
        by_kind && (rule.on.codes.is_empty() || rule.on.codes.iter().any(|code| is_met(code.to_string())))
    };
    retry.rules.iter().position(applies).filter(|_| failure.kind != FailureKind::Permanent)
}

/// The least and the longest delay after so many failures to which a rule, or none, applied.
fn backoff(retry: &Retry, rule: Option<usize>, failed: u32) -> (Duration, Duration) {
    let (base, factor, cap, jitter) = match rule.map(|rule| &retry.rules[rule]) {
        Some(rule) => (rule.base, rule.factor_permille, rule.cap, rule.jitter),
        None => (retry.base, retry.factor_permille, retry.cap, retry.jitter),
    };
    let mut ceiling = base.min(cap);
    for _ in 1..failed {
        ceiling = (ceiling * factor / 1_000).min(cap);
    }
    let low = match jitter {
        Jitter::Full => Duration::ZERO,
        Jitter::Equal => ceiling / 2,
        _ => ceiling,
    };
    (low, ceiling)
}
