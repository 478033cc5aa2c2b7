//! The state as data: what a snapshot holds, and the indexes built again from it.

use super::apply::state::{Ended, Owed, Running, Stage, State, Task, Yielding};
use super::config::Config;
use super::guards::Standing;
use super::log::Log;
use super::machine::Core;
use super::queue::accounts::Party;
use crate::agent::{AgentSpec, AgentStatus, Guard};
use crate::error::RestoreError;
use crate::event::YieldReason;
use crate::id::{AgentId, Incarnation, Seq, TaskId};
use crate::name::Name;
use crate::resilience::rate::Gcra;
use crate::routing::Gate;
use crate::structure::Slot;
use crate::task::{TaskOutcome, TaskSpec, Tier};
use crate::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The whole state of a scheduler as data. Two schedulers with the same facts have equal snapshots, byte for byte once
/// serialised.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SchedulerSnapshot {
    /// The number of the last fact in it.
    pub last: Seq,
    /// When that was.
    pub at: Time,
    /// How many lives of agents have begun.
    pub lives: u64,
    /// What the tenant that was served last had had then, in the time that tenants share by.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub virtual_time: u64,
    /// The tenants that have tasks, or had some lately.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tenants: Vec<PartyRecord>,
    /// The kinds that have tasks, or had some lately.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<PartyRecord>,
    /// The registered agents, by id.
    pub agents: Vec<AgentRecord>,
    /// The known tasks, in the order of their submits.
    pub tasks: Vec<TaskRecord>,
    /// The finished tasks that are no dead letters, in the order of their ends.
    pub finished: Vec<TaskId>,
    /// The dead letters, in the order of their ends.
    pub dead: Vec<TaskId>,
    /// How the whole stands, by the word of its guards.
    #[serde(default, skip_serializing_if = "Standing::is_calm")]
    pub standing: Standing,
}

/// A tenant or a kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PartyRecord {
    /// Its name; empty for the tasks that have no tenant.
    pub name: Name,
    /// Its place among the others.
    pub place: u32,
    /// On what grounds it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Name>,
    /// What its rate has let pass.
    #[serde(default)]
    pub rate: Gcra,
    /// How long its attempts take on the whole; nothing if none has ended.
    #[serde(with = "crate::time::span", default)]
    pub mean: Duration,
    /// What it has had, in the time that tenants share by.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tag: u64,
}

/// What a guard allows an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GateRecord {
    /// Which guard.
    pub guard: Guard,
    /// How many attempts it may hold.
    pub slots: u32,
    /// When the guard looks again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

/// A registered agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AgentRecord {
    /// Its current life.
    pub by: Incarnation,
    /// Its place among the agents, which strategies see.
    pub place: u32,
    /// What it is.
    pub spec: Arc<AgentSpec>,
    /// Whether it takes work.
    pub status: AgentStatus,
    /// On what grounds it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Name>,
    /// What guards allow it, where they bound it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateRecord>,
}

/// A known task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskRecord {
    /// The number of the fact that it was submitted.
    pub seq: Seq,
    /// When it was submitted.
    pub submitted: Time,
    /// What was submitted.
    pub spec: Arc<TaskSpec>,
    /// How long an attempt was expected to take.
    #[serde(with = "crate::time::span::option", default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Duration>,
    /// In which tier it waits, if that is not its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// How many attempts have begun.
    pub attempts: u32,
    /// How many of these were given back and count as none.
    #[serde(default, skip_serializing_if = "is_none")]
    pub yields: u32,
    /// How many of these were called back for the sake of the first tier.
    #[serde(default, skip_serializing_if = "is_none")]
    pub preempted: u32,
    /// Whether some attempt's outcome is unknown.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub doubtful: bool,
    /// The agents that failed it, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub avoid: Vec<AgentId>,
    /// The agent that was last given an attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<AgentId>,
    /// Where it stands.
    pub stage: TaskStage,
}

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskStage {
    /// It waits for other tasks.
    Blocked,
    /// It waits for its next attempt.
    Backoff {
        /// Until when.
        until: Time,
    },
    /// It waits for an agent.
    Queued,
    /// An agent holds it.
    Running {
        /// Which agent.
        by: Incarnation,
        /// Since when.
        since: Time,
        /// What its tenant was charged for it.
        #[serde(with = "crate::time::span", default)]
        charged: Duration,
        /// Whether it waits with its agent.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        unstarted: bool,
        /// When and why its agent was asked to give it back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        yielding: Option<(Time, YieldReason)>,
        /// When and why it was asked to stop.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cancel: Option<(Time, Name)>,
    },
    /// It is over.
    Ended {
        /// Since when.
        at: Time,
        /// How.
        outcome: TaskOutcome,
    },
}

impl Core {
    pub(crate) fn snapshot(&self, log: &Log) -> SchedulerSnapshot {
        let mut agents: Vec<AgentRecord> = self
            .state
            .fleet
            .iter()
            .map(|(_, member)| AgentRecord {
                by: member.by,
                place: member.place,
                spec: Arc::clone(&member.spec),
                status: member.status,
                paused: member.paused.clone(),
                gates: member.gates.iter().map(gate_record).collect(),
            })
            .collect();
        agents.sort_by_key(|agent| agent.by.agent());
        let mut tasks: Vec<TaskRecord> = self.state.tasks.iter().map(|(_, task)| record(task)).collect();
        tasks.sort_by_key(|task| task.seq);
        SchedulerSnapshot {
            last: log.last(),
            at: log.at(),
            lives: self.state.lives,
            virtual_time: self.state.lanes.virtual_time(),
            tenants: self
                .state
                .tenants
                .iter()
                .map(|(at, party)| party_record(at, party, self.state.lanes.tag(at)))
                .collect(),
            kinds: self.state.kinds.iter().map(|(at, party)| party_record(at, party, 0)).collect(),
            agents,
            tasks,
            finished: self.state.finished.iter().copied().collect(),
            dead: self.state.dead.iter().copied().collect(),
            standing: self.state.standing.clone(),
        }
    }

    /// The scheduler that a snapshot was taken of.
    pub(crate) fn from_snapshot(config: Config, snapshot: &SchedulerSnapshot) -> Result<Self, RestoreError> {
        let mut core = Self::new(config);
        core.state.lives = snapshot.lives;
        let latest = snapshot.agents.iter().map(|agent| agent.by.number()).max().unwrap_or(0);
        if latest > snapshot.lives || snapshot.lives == u64::MAX {
            return Err(wrong(format!("{} lives have begun, an agent lives life {latest}", snapshot.lives)));
        }
        core.state.put_parties(snapshot).map_err(|name| wrong(format!("{name:?} stands there twice")))?;
        for agent in &snapshot.agents {
            core.state.put_agent(agent).ok_or_else(|| wrong(format!("agent {} stands there twice", agent.by)))?;
        }
        for task in &snapshot.tasks {
            core.state.put_task(task).map_err(|reason| wrong(format!("task {}: {reason}", task.spec.id)))?;
        }
        for id in snapshot.finished.iter().chain(&snapshot.dead) {
            if !core.state.get(*id).is_some_and(Task::has_ended) {
                return Err(wrong(format!("task {id} is listed as finished and is not")));
            }
        }
        core.state.finished.extend(&snapshot.finished);
        core.state.dead.extend(&snapshot.dead);
        core.state.put_dependencies(&snapshot.tasks);
        core.state.put_shares(snapshot);
        core.state.standing = snapshot.standing.clone();
        core.check().map_err(wrong)?;
        core.guards.recall(&core.state, snapshot.at);
        Ok(core)
    }
}

fn wrong(reason: String) -> RestoreError {
    RestoreError::Snapshot { reason }
}

/// The place of the agent of an attempt whose agent is gone.
const NOWHERE: Slot = Slot::new(u32::MAX);

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_none(number: &u32) -> bool {
    *number == 0
}

fn party_record(place: u32, party: &Party, tag: u64) -> PartyRecord {
    let Party { name, paused, rate, mean, .. } = party;
    PartyRecord { name: name.clone(), place, paused: paused.clone(), rate: *rate, mean: *mean, tag }
}

const fn gate_record(gate: &Gate) -> GateRecord {
    GateRecord { guard: gate.guard, slots: gate.slots, until: gate.until }
}

fn record(task: &Task) -> TaskRecord {
    TaskRecord {
        seq: task.seq,
        submitted: task.submitted,
        spec: Arc::clone(&task.spec),
        expected: task.expected,
        tier: (task.tier != task.spec.tier).then_some(task.tier),
        attempts: task.attempts,
        yields: task.yields,
        preempted: task.preempted,
        doubtful: task.doubtful,
        avoid: task.avoid.to_vec(),
        last: task.last,
        stage: match &task.stage {
            Stage::Blocked { .. } => TaskStage::Blocked,
            Stage::Backoff { until } => TaskStage::Backoff { until: *until },
            Stage::Queued { .. } => TaskStage::Queued,
            Stage::Running(running) => {
                let cancel = running.cancel.clone();
                TaskStage::Running {
                    by: running.by,
                    since: running.since,
                    charged: running.charged,
                    unstarted: running.unstarted,
                    yielding: running.yielding.as_ref().map(|yielding| (yielding.at, yielding.why)),
                    cancel,
                }
            }
            Stage::Ended(ended) => TaskStage::Ended { at: ended.at, outcome: ended.end.clone() },
        },
    }
}

impl State {
    fn put_agent(&mut self, agent: &AgentRecord) -> Option<()> {
        if self.fleet.place_of(agent.spec.id).is_some() || agent.by.agent() != agent.spec.id {
            return None;
        }
        let place = self.fleet.put(agent.place, agent.by, Arc::clone(&agent.spec))?;
        self.fleet.change(place, |member| {
            member.status = agent.status;
            member.paused = agent.paused.clone();
            for gate in &agent.gates {
                member.set_gate(gate.guard, Some(gate.slots), gate.until);
            }
        });
        self.set_gate_timer(place);
        self.classes.review(place, &mut self.fleet);
        self.set_lease(place);
        Some(())
    }

    fn put_task(&mut self, record: &TaskRecord) -> Result<(), &'static str> {
        let id = record.spec.id;
        if self.slot(id).is_some() {
            return Err("it stands there twice");
        }
        let parties = self.parties_of(&record.spec);
        let slot = self.tasks.insert(Task {
            tier: record.tier.unwrap_or(record.spec.tier),
            attempts: record.attempts,
            yields: record.yields,
            preempted: record.preempted,
            doubtful: record.doubtful,
            avoid: record.avoid.clone().into_boxed_slice(),
            last: record.last,
            ..Task::new(&record.spec, record.seq, record.submitted, parties).expecting(record.expected)
        });
        self.by_id.insert(id, slot);
        if !matches!(record.stage, TaskStage::Ended { .. }) {
            self.active = self.active.saturating_add(1);
            self.tenants.enter(parties.0);
            self.kinds.enter(parties.1);
        }
        let stage = match &record.stage {
            TaskStage::Blocked => None,
            TaskStage::Queued => {
                self.enqueue(slot);
                None
            }
            TaskStage::Backoff { until } => Some(Stage::Backoff { until: *until }),
            TaskStage::Running { by, since, charged, unstarted, yielding, cancel } => {
                for party in [self.tenants.get_mut(parties.0), self.kinds.get_mut(parties.1)].into_iter().flatten() {
                    party.running = party.running.saturating_add(1);
                }
                let cancel = cancel.clone();
                let yielding = yielding.map(|(at, why)| Yielding { at, why });
                let (by, since, charged, unstarted) = (*by, *since, *charged, *unstarted);
                let running = Running { agent: NOWHERE, by, since, index: 0, charged, unstarted, yielding, cancel };
                Some(Stage::Running(Box::new(self.put_running(slot, id, running))))
            }
            TaskStage::Ended { at, outcome } => Some(Stage::Ended(Box::new(Ended { at: *at, end: outcome.clone() }))),
        };
        if let (Some(stage), Some(task)) = (stage, self.tasks.get_mut(slot)) {
            task.stage = stage;
        }
        self.set_callable(slot, true);
        let running = self.tasks.get(slot).and_then(Task::running);
        if let Some(heir) = running.and_then(|running| running.yielding.as_ref()?.why.by()) {
            self.heirs.insert(heir, id);
        }
        self.set_timer(slot);
        Ok(())
    }

    /// Gives a task to the agent that held it, if that is still there.
    fn put_running(&mut self, slot: Slot, id: TaskId, running: Running) -> Running {
        let Some(agent) = self.fleet.living(running.by) else {
            self.owed.insert((Owed::Orphaned, id));
            self.take_amounts(slot, NOWHERE);
            return running;
        };
        self.take_amounts(slot, agent);
        let index = self.fleet.hold(agent, slot);
        Running { agent, index, ..running }
    }

    fn put_parties<'a>(&mut self, snapshot: &'a SchedulerSnapshot) -> Result<(), &'a Name> {
        for (tenants, records) in [(true, &snapshot.tenants), (false, &snapshot.kinds)] {
            for record in records {
                let parties = if tenants { &mut self.tenants } else { &mut self.kinds };
                let party = parties.put(record.place, &record.name).ok_or(&record.name)?;
                (party.paused, party.rate, party.mean) = (record.paused.clone(), record.rate, record.mean);
                let weight = party.quota.weight;
                if tenants {
                    self.lanes.begin_tenant(record.place, weight);
                } else {
                    self.begin_kind(record.place);
                }
            }
        }
        Ok(())
    }

    /// What tenants have had, and which gates that closes; after the tasks, which would change it.
    fn put_shares(&mut self, snapshot: &SchedulerSnapshot) {
        self.lanes.put_virtual_time(snapshot.virtual_time);
        for record in &snapshot.tenants {
            self.lanes.put_tag(record.place, record.tag);
        }
        let tenants: Vec<u32> = self.tenants.iter().map(|(at, _)| at).collect();
        let kinds: Vec<u32> = self.kinds.iter().map(|(at, _)| at).collect();
        tenants.into_iter().for_each(|at| self.regate_tenant(at, snapshot.at));
        kinds.into_iter().for_each(|at| self.regate_kind(at, snapshot.at));
        self.opened.clear();
    }

    /// Who waits for whom, from what the tasks say.
    fn put_dependencies(&mut self, records: &[TaskRecord]) {
        for record in records.iter().filter(|record| matches!(record.stage, TaskStage::Blocked)) {
            if let Some(slot) = self.slot(record.spec.id) {
                self.block(slot, &record.spec, false);
            }
        }
    }
}
