//! Restoring the state from a snapshot.

use super::State;
use crate::base::error::RestoreError;
use crate::base::id::AgentId;
use crate::scheduler::inconsistent::{Applied, InconsistentEvent};
use crate::scheduler::index::{Bound, Excluded};
use crate::scheduler::queue::{AccountHistory, DeferralCount};
use crate::scheduler::snapshot::{
    AccountRecord, AgentRecord, DeferralRecord, SchedulerSnapshot, TaskRecord, TaskStage, UnroutableRecord,
};
use crate::scheduler::tasks::{
    Cancel, Ended, Heartbeats, Held, Origin, Rare, Requests, Running, Stage, Submission, Yielding,
};
use crate::task::TaskSpec;

impl State {
    /// Fills an empty state from a snapshot.
    pub(crate) fn put(&mut self, snapshot: &SchedulerSnapshot) -> Result<(), RestoreError> {
        self.incarnations = snapshot.incarnations;
        self.index.set_now(snapshot.at);
        let latest = snapshot.agents.iter().map(|agent| agent.by.number()).max().unwrap_or(0);
        if latest > snapshot.incarnations || snapshot.incarnations == u64::MAX {
            return Err(wrong(format!(
                "{} incarnations are counted, but an agent has the number {latest}",
                snapshot.incarnations
            )));
        }
        let DeferralRecord { submitted, deferred } = snapshot.deferrals;
        self.queues.deferrals_mut().count = DeferralCount { submitted, deferred };
        for (index, record) in snapshot.tenants.iter().map(|record| (record.index, record)) {
            let put = self.queues.put_tenant(index, &record.name, history(record));
            put.ok_or_else(|| wrong(format!("tenant {:?} cannot be restored at index {index}", record.name)))?;
        }
        for (index, record) in snapshot.kinds.iter().map(|record| (record.index, record)) {
            let put = self.queues.put_kind(index, &record.name, history(record));
            put.ok_or_else(|| wrong(format!("kind {:?} cannot be restored at index {index}", record.name)))?;
        }
        self.index.separate(&snapshot.separate);
        for agent in &snapshot.agents {
            self.put_agent(agent).map_err(|InconsistentEvent(why)| wrong(format!("agent {}: {why}", agent.by)))?;
        }
        for task in &snapshot.tasks {
            self.put_task(task).map_err(|InconsistentEvent(why)| wrong(format!("task {}: {why}", task.spec.id)))?;
        }
        let ended = self.tasks.put_ended(&snapshot.finished, &snapshot.dead);
        ended.map_err(|id| wrong(format!("task {id} is listed as finished, but has not ended")))?;
        self.put_dependencies(&snapshot.tasks).map_err(|InconsistentEvent(why)| wrong(why.into()))?;
        let tags = snapshot.tenants.iter().map(|record| (record.name.clone(), record.tag));
        let shares = self.queues.put_shares(snapshot.virtual_time, tags, snapshot.at, &mut self.timers);
        shares.map_err(|InconsistentEvent(why)| wrong(why.into()))?;
        let unroutable = self.index.put_unroutable(snapshot.unroutable.iter().map(UnroutableRecord::past).collect());
        unroutable.map_err(|InconsistentEvent(why)| wrong(why.into()))?;
        self.standing = snapshot.standing.clone();
        self.check().map_err(wrong)
    }

    fn put_agent(&mut self, record: &AgentRecord) -> Applied {
        if record.by.agent() != record.spec.id {
            return Err(InconsistentEvent("its spec has another id"));
        }
        let agent = self.index.put(record.index, record.by, &record.spec);
        let agent = agent.ok_or(InconsistentEvent("its id or its index occurs twice"))?;
        let fleet = self.index.fleet_mut();
        fleet.set_status(agent, record.status)?;
        fleet.set_bound(agent, Bound::Pause(record.paused.as_ref()))?;
        for gate in &record.gates {
            fleet.set_bound(agent, Bound::Gate { guard: gate.guard, slots: Some(gate.slots), until: gate.until })?;
        }
        fleet.set_gate_timer(agent, &mut self.timers)?;
        fleet.set_lease_timer(agent, &mut self.timers)?;
        self.index.review(agent)
    }

    fn put_task(&mut self, record: &TaskRecord) -> Applied {
        let accounts = self.queues.accounts_of(&record.spec);
        let (spec, seq, at, expected) = (&record.spec, record.seq, record.submitted, record.expected);
        let waits = !matches!(record.stage, TaskStage::Running { .. } | TaskStage::Ended { .. });
        let rare = Rare {
            expected,
            begun: if waits { record.attempts } else { 0 },
            yielded: record.yields,
            preempted: record.preempted,
            outcome_unknown: record.outcome_unknown,
            avoid: record.avoid.clone(),
            failed: record.failed.clone(),
            last: record.last.filter(|_| waits),
            deferred: record.deferred,
            heartbeats: record.details.as_ref().map(|(at, details)| Box::new(Heartbeats::recorded(*at, details))),
        };
        let task = self.tasks.put(&Submission { spec, seq, at, expected, accounts }, record.tier, rare)?;
        if !matches!(record.stage, TaskStage::Ended { .. }) {
            self.queues.enter(accounts, self.tasks.at(task)?.bytes())?;
        }
        let stage = match &record.stage {
            // Dependencies, and results that tasks wait for, are restored after all tasks.
            TaskStage::Blocked | TaskStage::Joined { .. } => Stage::Blocked { on: 0 },
            TaskStage::Queued { excluded } => {
                self.enqueue_excluding(task, excluded_by(&record.spec, excluded)?)?;
                return self.set_timer(task);
            }
            TaskStage::Backoff { until } => Stage::Backoff { until: *until },
            TaskStage::Running { by, since, charged, unstarted, yielding, cancel } => {
                self.queues.put_running(accounts)?;
                let agent = self.index.fleet().current(*by);
                if self.tasks.at(task)?.traits.uses_resources() {
                    self.index.take(&record.spec.needs, agent)?;
                }
                let held = match agent {
                    Some(at) => Some(Held { at, index: self.index.fleet_mut().hold(at, task)?.index }),
                    None => None,
                };
                let yielding = yielding.map(|(at, why)| Yielding { at, why });
                if let Some(beneficiary) = yielding.and_then(|yielding| yielding.why.by()) {
                    self.candidates.promise(beneficiary, record.spec.id);
                }
                let cancel = cancel.as_ref().map(|(at, reason)| Cancel { at: *at, reason: reason.clone() });
                let (by, since, charged, unstarted) = (*by, *since, *charged, *unstarted);
                let number = record.attempts;
                let requested = yielding.is_some() || cancel.is_some();
                let requests = requested.then(|| Box::new(Requests { yielding, cancel }));
                Stage::Running(Box::new(Running { number, by, held, since, charged, unstarted, requests }))
            }
            TaskStage::Ended { at, outcome } => {
                let (at, outcome, begun, last) = (*at, outcome.clone(), record.attempts, record.last);
                Stage::Ended(Box::new(Ended { at, outcome, begun, last, rating: record.rating }))
            }
        };
        self.tasks.put_stage(task, stage)?;
        self.add_candidate(task)?;
        self.set_timer(task)
    }

    /// Restores the dependencies of blocked tasks from their specs.
    fn put_dependencies(&mut self, records: &[TaskRecord]) -> Applied {
        for record in records.iter().filter(|record| matches!(record.stage, TaskStage::Blocked)) {
            let task = self.tasks.known(record.spec.id)?;
            self.tasks.block(task, &record.spec, Origin::Snapshot)?;
        }
        for record in records {
            if let TaskStage::Joined { to } = record.stage {
                let task = self.tasks.known(record.spec.id)?;
                self.tasks.put_joined(task, to)?;
            }
        }
        Ok(())
    }
}

/// The agents that a queued task excludes, if some of them are those of other tasks.
fn excluded_by(spec: &TaskSpec, agents: &[AgentId]) -> Applied<Option<Excluded>> {
    let affinity = spec.affinity.as_deref();
    match affinity.is_some_and(|affinity| !affinity.apart_from.is_empty()) {
        true => Ok(Some(Excluded::of(affinity, agents.iter().copied()))),
        false if agents.is_empty() => Ok(None),
        false => Err(InconsistentEvent("a task that stays apart from no task excludes agents of tasks")),
    }
}

fn history(record: &AccountRecord) -> AccountHistory {
    AccountHistory { paused: record.paused.clone(), rate: record.rate, mean: record.mean }
}

fn wrong(reason: String) -> RestoreError {
    RestoreError::Snapshot { reason }
}
