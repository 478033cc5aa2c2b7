//! The state as data.

use super::apply::State;
use super::config::Config;
use super::index::{Excluded, Gate, Group, GroupKey, GroupPast, Member, Room};
use super::ix::TenantIx;
use super::log::Log;
use super::machine::Core;
use super::queue::Account;
use super::standing::Standing;
use super::tasks::{Stage, Task};
use crate::base::error::RestoreError;
use crate::base::id::{AgentId, Incarnation, Seq, TaskId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::message::event::YieldReason;
use crate::resilience::rate::Gcra;
use crate::task::agent::{AgentSpec, AgentStatus, Guard};
use crate::task::{Needs, Rating, TaskOutcome, TaskSpec, Tier};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The whole state of a scheduler as data. Two schedulers that have applied the same events have equal snapshots, byte
/// for byte when serialised.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SchedulerSnapshot {
    /// The sequence number of the last entry that it covers.
    pub last: Seq,
    /// The time of that entry.
    pub at: Time,
    /// How many incarnations of agents have begun.
    pub incarnations: u64,
    /// The virtual time of fair sharing: the tag of the tenant whose task began last.
    #[serde(with = "wide", default, skip_serializing_if = "is_zero")]
    pub(crate) virtual_time: u128,
    /// How often tasks were deferred.
    #[serde(default, skip_serializing_if = "DeferralRecord::is_default")]
    pub(crate) deferrals: DeferralRecord,
    /// The accounts of the tenants that have tasks, or had some recently.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tenants: Vec<AccountRecord>,
    /// The accounts of the kinds that have tasks, or had some recently.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) kinds: Vec<AccountRecord>,
    /// The tenants that have requirement classes of their own, because an agent is or was confined to them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) separate: BTreeSet<Name>,
    /// The registered agents, by id.
    pub agents: Vec<AgentRecord>,
    /// The known tasks, in the order in which they were submitted.
    pub tasks: Vec<TaskRecord>,
    /// The finished tasks that are no dead letters, in the order in which they ended.
    pub finished: Vec<TaskId>,
    /// The dead letters, in the order in which they ended.
    pub dead: Vec<TaskId>,
    /// The waiting tasks that no agent can perform, grouped by requirements, in the order in which the groups began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) unroutable: Vec<UnroutableRecord>,
    /// The decisions of guards that concern the whole scheduler, and the jump of its host's clock.
    #[serde(default, skip_serializing_if = "Standing::is_default")]
    pub standing: Standing,
}

/// How many tasks were submitted under a discipline that defers tasks, and how many were deferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct DeferralRecord {
    pub(crate) submitted: u64,
    pub(crate) deferred: u64,
}

impl DeferralRecord {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Waiting tasks with the same requirements that no agent can perform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct UnroutableRecord {
    /// Their needs.
    pub(crate) needs: Needs,
    /// Their tenant, if it has requirement classes of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tenant: Option<Name>,
    /// The agents that they exclude.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) not_agents: Vec<AgentId>,
    /// The labels of agents that they exclude.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) not_labels: Vec<(Name, Name)>,
    /// Whether they are of the critical tier.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub(crate) critical: bool,
    /// Since when tasks with these requirements wait without an agent.
    pub(crate) since: Time,
    /// The number of the event that reports them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) report: Option<Seq>,
}

/// The account of a tenant or a kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AccountRecord {
    /// Its name; empty for the account of the tasks without a tenant.
    pub(crate) name: Name,
    /// Its index among the accounts of its sort.
    pub(crate) index: u32,
    /// The reason for which it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) paused: Option<Name>,
    /// The state of its rate limit.
    #[serde(default)]
    pub(crate) rate: Gcra,
    /// The average duration of its attempts; zero if none has ended.
    #[serde(with = "crate::base::time::span", default)]
    pub(crate) mean: Duration,
    /// The service that it has received, in virtual time.
    #[serde(with = "wide", default, skip_serializing_if = "is_zero")]
    pub(crate) tag: u128,
}

/// A bound that a guard sets on an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GateRecord {
    /// The guard.
    pub(crate) guard: Guard,
    /// How many attempts the agent may hold.
    pub(crate) slots: u32,
    /// When the guard evaluates the agent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<Time>,
}

/// A registered agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AgentRecord {
    /// Its current incarnation.
    pub by: Incarnation,
    /// Its index among the agents, by which routing strategies address it.
    pub index: u32,
    /// Its declaration.
    pub spec: Arc<AgentSpec>,
    /// Whether it takes new work.
    pub status: AgentStatus,
    /// The reason for which it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Name>,
    /// The bounds that guards set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) gates: Vec<GateRecord>,
}

/// A known task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskRecord {
    /// The number of the event that submitted it.
    pub seq: Seq,
    /// When it was submitted.
    pub submitted: Time,
    /// Its declaration.
    pub spec: Arc<TaskSpec>,
    /// The expected duration of an attempt, estimated at the submit.
    #[serde(with = "crate::base::time::span::option", default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Duration>,
    /// The tier in which it waits, if that differs from its spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// Its virtual deadline since it was deferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deferred: Option<Time>,
    /// How many attempts have begun.
    pub attempts: u32,
    /// How many attempts were given back and do not count against the policy.
    #[serde(default, skip_serializing_if = "is_none")]
    pub yields: u32,
    /// How many of the attempts that were given back were preempted.
    #[serde(default, skip_serializing_if = "is_none")]
    pub preempted: u32,
    /// Whether the outcome of an attempt is unknown.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub outcome_unknown: bool,
    /// The agents that failed the task, the most recent last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub avoid: Vec<AgentId>,
    /// The numbers of failed attempts by the rule of its retries that applied to them; empty if no rule did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<u32>,
    /// The last recorded details of a heartbeat, and when they were recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<(Time, Payload)>,
    /// The agent that the last attempt was assigned to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<AgentId>,
    /// How its result was rated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rating: Option<Rating>,
    /// Its stage.
    pub stage: TaskStage,
}

/// The stage of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskStage {
    /// It waits for other tasks.
    Blocked,
    /// It waits for the result of an equal task.
    Joined {
        /// The equal task.
        to: TaskId,
    },
    /// It waits for its next attempt.
    Backoff {
        /// When the next attempt may begin.
        until: Time,
    },
    /// It waits for an agent.
    Queued {
        /// The agents of the tasks from which it stays apart, as they were when it became ready, and those that it excludes
        /// besides; empty if it stays apart from no task.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        excluded: Vec<AgentId>,
    },
    /// An attempt is under way.
    Running {
        /// The agent that holds the attempt.
        by: Incarnation,
        /// Since when.
        since: Time,
        /// The service that was charged to its tenant.
        #[serde(with = "crate::base::time::span", default)]
        charged: Duration,
        /// Whether the agent has not started it yet.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        unstarted: bool,
        /// When and why its agent was asked to give it back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        yielding: Option<(Time, YieldReason)>,
        /// When and why its agent was asked to stop it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cancel: Option<(Time, Name)>,
    },
    /// It is finished.
    Ended {
        /// Since when.
        at: Time,
        /// Its outcome.
        outcome: TaskOutcome,
    },
}

impl Core {
    pub(crate) fn snapshot(&self, log: &Log) -> SchedulerSnapshot {
        let state = &self.reader.state;
        let mut agents: Vec<AgentRecord> =
            state.index().fleet().iter().map(|(at, member)| agent_record(at.get(), member)).collect();
        agents.sort_by_key(|agent| agent.by.agent());
        let mut tasks: Vec<TaskRecord> = state.tasks().iter().map(|(_, task)| task_record(state, task)).collect();
        tasks.sort_by_key(|task| task.seq);
        let (queues, deferrals) = (state.queues(), state.queues().deferrals().count);
        let tenant = |(at, account): (TenantIx, &Account)| account_record(at.0.get(), account, queues.tag(at));
        SchedulerSnapshot {
            last: log.last(),
            at: log.at(),
            incarnations: state.incarnations(),
            virtual_time: queues.virtual_time(),
            deferrals: DeferralRecord { submitted: deferrals.submitted, deferred: deferrals.deferred },
            tenants: queues.tenants().map(tenant).collect(),
            kinds: queues.kinds().map(|(at, account)| account_record(at.0.get(), account, 0)).collect(),
            separate: state.index().classes().separated().clone(),
            agents,
            tasks,
            finished: state.tasks().finished().iter().copied().collect(),
            dead: state.tasks().dead().iter().copied().collect(),
            unroutable: state.index().classes().unroutable().iter().map(unroutable_record).collect(),
            standing: state.standing().clone(),
        }
    }

    /// Restores the scheduler from a snapshot.
    pub(crate) fn from_snapshot(config: Config, snapshot: &SchedulerSnapshot) -> Result<Self, RestoreError> {
        let mut core = Self::new(config);
        core.reader.state.put(snapshot)?;
        core.reader.identify();
        core.guards.restore(&core.reader.state, snapshot.at);
        Ok(core)
    }
}

const fn is_zero(number: &u128) -> bool {
    *number == 0
}

/// Numbers of 128 bits: as numbers where formats have those, as text beyond 64 bits.
mod wide {
    use core::fmt;
    use serde::{Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(number: &u128, to: S) -> Result<S::Ok, S::Error> {
        match u64::try_from(*number) {
            Ok(number) => to.serialize_u64(number),
            Err(_) => to.collect_str(number),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u128, D::Error> {
        from.deserialize_any(Wide)
    }

    struct Wide;

    impl de::Visitor<'_> for Wide {
        type Value = u128;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number of up to 128 bits, as a number or as text")
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<u128, E> {
            Ok(number.into())
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<u128, E> {
            text.parse().map_err(E::custom)
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_none(number: &u32) -> bool {
    *number == 0
}

fn account_record(index: u32, account: &Account, tag: u128) -> AccountRecord {
    let history = account.history();
    let name = account.name().clone();
    AccountRecord { name, index, paused: history.paused, rate: history.rate, mean: history.mean, tag }
}

impl UnroutableRecord {
    pub(super) fn past(&self) -> GroupPast {
        let key = GroupKey {
            needs: self.needs.clone(),
            tenant: self.tenant.clone(),
            excluded: Excluded::put(&self.not_agents, &self.not_labels),
            room: if self.critical { Room::Reserved } else { Room::Open },
        };
        GroupPast { key, since: self.since, report: self.report }
    }
}

fn unroutable_record(group: &Group) -> UnroutableRecord {
    let (not_agents, not_labels) = group.key.excluded.parts();
    UnroutableRecord {
        needs: group.key.needs.clone(),
        tenant: group.key.tenant.clone(),
        not_agents: not_agents.to_vec(),
        not_labels: not_labels.to_vec(),
        critical: group.key.room == Room::Reserved,
        since: group.since,
        report: group.report,
    }
}

/// The agents that a queued task excludes, if some of them are those of other tasks.
fn excluded_record(state: &State, task: &Task) -> Vec<AgentId> {
    let stays_apart = task.spec.affinity.as_deref().is_some_and(|affinity| !affinity.apart_from.is_empty());
    let class = task.class().filter(|_| stays_apart).and_then(|class| state.index().classes().key(class));
    class.map(|key| key.excluded.parts().0.to_vec()).unwrap_or_default()
}

fn agent_record(index: u32, member: &Member) -> AgentRecord {
    AgentRecord {
        by: member.by,
        index,
        spec: Arc::clone(&member.spec),
        status: member.status,
        paused: member.paused.clone(),
        gates: member.gates.iter().map(gate_record).collect(),
    }
}

const fn gate_record(gate: &Gate) -> GateRecord {
    GateRecord { guard: gate.guard, slots: gate.slots, until: gate.until }
}

fn task_record(state: &State, task: &Task) -> TaskRecord {
    TaskRecord {
        seq: task.seq,
        submitted: task.submitted,
        spec: Arc::clone(&task.spec),
        expected: task.rare().expected,
        tier: (task.tier != task.spec.tier).then_some(task.tier),
        deferred: task.rare().deferred,
        attempts: task.begun(),
        yields: task.rare().yielded,
        preempted: task.rare().preempted,
        outcome_unknown: task.rare().outcome_unknown,
        avoid: task.rare().avoid.to_vec(),
        failed: task.rare().failed.to_vec(),
        details: task.heartbeats().and_then(|beats| beats.recorded.clone()),
        last: task.last(),
        rating: task.end().and_then(|ended| ended.rating),
        stage: stage_record(state, task),
    }
}

fn stage_record(state: &State, task: &Task) -> TaskStage {
    match &task.stage {
        Stage::Blocked { .. } => TaskStage::Blocked,
        Stage::Joined { .. } => state.tasks().joined_to(task).map_or(TaskStage::Blocked, |to| TaskStage::Joined { to }),
        Stage::Backoff { until } => TaskStage::Backoff { until: *until },
        Stage::Queued { .. } => TaskStage::Queued { excluded: excluded_record(state, task) },
        Stage::Running(running) => TaskStage::Running {
            by: running.by,
            since: running.since,
            charged: running.charged,
            unstarted: running.unstarted,
            yielding: running.yielding().map(|yielding| (yielding.at, yielding.why)),
            cancel: running.cancel().map(|cancel| (cancel.at, cancel.reason.clone())),
        },
        Stage::Ended(ended) => TaskStage::Ended { at: ended.at, outcome: ended.outcome.clone() },
    }
}
