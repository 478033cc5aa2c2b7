//! The reason for which a task waits. It is computed on request and not stored.

use super::index::Member;
use super::ix::{AccountIx, ClassIx};
use super::queue::{Account, Gate};
use super::reader::Reader;
use super::tasks::{Stage, Task};
use crate::base::id::{AttemptId, Incarnation, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::task::agent::{Guard, Scope};
use core::fmt;
use serde::{Deserialize, Serialize};

/// What a task waits for. Of several reasons, the one that dispatch evaluates first: tenant, kind, agents, resources,
/// batch.
///
/// ```
/// use counterpoint::{Command, Config, Outbox, Scheduler, TaskId, TaskSpec, Time};
/// use counterpoint::scheduler::TaskWait;
///
/// let (mut scheduler, mut out) = (Scheduler::new(Config::default()), Outbox::default());
/// scheduler.handle(Time::ZERO, Command::submit(TaskSpec::new(TaskId::new(7), "paint")), &mut out)?;
/// let wait = scheduler.waits_for(TaskId::new(7)).expect("it has not ended");
/// assert_eq!(wait, TaskWait::NoAgent);
/// assert!(!wait.ends_automatically());
/// # Ok::<(), counterpoint::Rejected>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskWait {
    /// The answer of the agent that holds its attempt. Without an answer, a time limit or the agent's lease ends the
    /// attempt.
    Agent {
        /// The attempt.
        attempt: AttemptId,
        /// The agent that holds it.
        by: Incarnation,
        /// The name of the agent, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<Name>,
    },
    /// The tasks that it depends on, or the equal task for whose result it waits.
    Tasks {
        /// How many of them have not ended.
        unfinished: u32,
    },
    /// The time of its next attempt.
    Retry {
        /// When that attempt may begin.
        at: Time,
    },
    /// Room at an agent: those that meet its needs are at their capacity, or have not polled for more work.
    Room,
    /// An agent that meets its needs: no online agent does.
    NoAgent,
    /// The end of a pause: an operator has paused its tenant, its kind, or all agents that meet its needs.
    Resume {
        /// The paused scope; of several agents the first.
        scope: Scope,
        /// The reason.
        reason: Name,
    },
    /// The quota of its tenant or kind: the attempts under way, or the rate at which attempts begin.
    Quota {
        /// The tenant or kind.
        scope: Scope,
        /// How many of its attempts are under way.
        running: u32,
        /// When the rate allows the next attempt.
        until: Option<Time>,
    },
    /// Other tasks of its kind that fill a batch.
    Batch {
        /// When it is dispatched even if the batch is not full.
        until: Time,
    },
    /// A guard that excludes all agents that meet its needs.
    Guard {
        /// The guard; of several the one that evaluates its agent next.
        guard: Guard,
        /// When the guard evaluates its agent again.
        until: Option<Time>,
    },
    /// An amount of a resource that other attempts use.
    Resource,
    /// The routing strategy, which picks none of the agents with room.
    Strategy,
}

impl TaskWait {
    /// Whether the wait ends automatically: with the answer of an agent, the end of other attempts, or at a time.
    /// Otherwise an operator must resume a scope, or the host must register an agent.
    #[must_use]
    pub const fn ends_automatically(&self) -> bool {
        match self {
            Self::Agent { .. } | Self::Retry { .. } | Self::Room | Self::Batch { .. } | Self::Resource => true,
            Self::Quota { running, until, .. } => *running > 0 || until.is_some(),
            Self::Guard { until, .. } => until.is_some(),
            Self::Tasks { .. } | Self::NoAgent | Self::Resume { .. } | Self::Strategy => false,
        }
    }
}

impl fmt::Display for TaskWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = |f: &mut fmt::Formatter<'_>, at: &Option<Time>| at.map_or(Ok(()), |at| write!(f, " until {at}"));
        match self {
            Self::Agent { by, name: Some(name), .. } => write!(f, "waits for an answer of agent {name} ({by})"),
            Self::Agent { by, name: None, .. } => write!(f, "waits for an answer of agent {by}"),
            Self::Tasks { unfinished } => write!(f, "waits for {unfinished} other tasks"),
            Self::Retry { at } => write!(f, "the next attempt is at {at}"),
            Self::Room => f.write_str("the agents that meet its needs are busy"),
            Self::NoAgent => f.write_str("no agent meets its needs"),
            Self::Resume { scope, reason } => write!(f, "{scope} is paused: {reason}"),
            Self::Quota { scope, until: at, .. } => write!(f, "{scope} is at its quota").and_then(|()| until(f, at)),
            Self::Batch { until } => write!(f, "waits for a batch until {until}"),
            Self::Guard { guard, until: at } => {
                write!(f, "the {guard} excludes the agents that meet its needs").and_then(|()| until(f, at))
            }
            Self::Resource => f.write_str("other attempts use the resources that it needs"),
            Self::Strategy => f.write_str("the routing strategy picks no agent"),
        }
    }
}

impl Reader {
    /// What a task waits for, and the latest time at which a time limit ends it. None if it has ended.
    pub(crate) fn wait_of(&self, id: TaskId, now: Time) -> Option<(TaskWait, Option<Time>)> {
        let task = self.state.tasks().by_id(id)?;
        let wait = match &task.stage {
            Stage::Ended(_) => return None,
            Stage::Running(running) => {
                let name = self.agent(running.by.agent()).and_then(|agent| agent.spec().name.clone());
                TaskWait::Agent { attempt: task.attempt(), by: running.by, name }
            }
            Stage::Blocked { on } => TaskWait::Tasks { unfinished: *on },
            Stage::Joined { .. } => TaskWait::Tasks { unfinished: 1 },
            Stage::Backoff { until } => TaskWait::Retry { at: *until },
            Stage::Queued { class } => self.queued_for(task, *class, now),
        };
        Some((wait, task.bound().map(|(at, _)| at)))
    }

    /// Why a task is still queued.
    fn queued_for(&self, task: &Task, class: ClassIx, now: Time) -> TaskWait {
        let (queues, index) = (self.state.queues(), self.state.index());
        let tenant = queues.account(AccountIx::Tenant(task.accounts.tenant));
        let kind = queues.account(AccountIx::Kind(task.accounts.kind));
        let scopes = [
            tenant.map(|account| (account, Scope::Tenant(account.name().clone()))),
            kind.map(|account| (account, Scope::Kind(account.name().clone()))),
        ];
        let closed = scopes.into_iter().flatten().find_map(|(account, scope)| closed_by(account, scope, now));
        if let Some(wait) = closed {
            return wait;
        }
        let agents = index.classes().eligible(class).map(|eligible| eligible.agents()).unwrap_or_default();
        let members = agents.iter().filter_map(|agent| index.fleet().get(*agent));
        let able: Vec<&Member> = members.filter(|member| member.is_online()).collect();
        let has_room = |member: &&Member| if task.is_urgent() { member.has_room() } else { member.has_open_room() };
        if index.pools().exceeded(&task.spec.needs).is_some() {
            return TaskWait::NoAgent;
        }
        if !able.iter().any(has_room) {
            return no_room(&able, task);
        }
        let room = task.room();
        let fits = !task.traits.uses_resources() || !index.fitting(class, room).is_empty();
        // While the linger timer of a batched kind is set, a sub-queue with too few tasks waits.
        match kind.and_then(Account::linger_until) {
            _ if !fits => TaskWait::Resource,
            Some(until) => TaskWait::Batch { until },
            None => TaskWait::Strategy,
        }
    }
}

/// The reason for which no task of a tenant or kind may begin, if there is one.
fn closed_by(account: &Account, scope: Scope, now: Time) -> Option<TaskWait> {
    if let Some(reason) = account.paused() {
        return Some(TaskWait::Resume { scope, reason: reason.clone() });
    }
    let running = if account.is_full() { account.running() } else { 0 };
    match account.gate(now) {
        Gate::Open => None,
        Gate::Closed => Some(TaskWait::Quota { scope, running, until: None }),
        Gate::ClosedUntil(at) => Some(TaskWait::Quota { scope, running, until: Some(at) }),
    }
}

/// The reason for which none of the agents that meet a task's needs has room for it: of all their reasons the one that
/// ends first.
fn no_room(able: &[&Member], task: &Task) -> TaskWait {
    let takes = |member: &&&Member| task.is_urgent() || member.spec.slots() > member.spec.reserved;
    let busy = |member: &&Member| member.is_up() && (member.in_flight() > 0 || member.spec.polls);
    if able.iter().filter(takes).any(busy) {
        return TaskWait::Room;
    }
    let gates = able.iter().filter(takes).filter(|member| member.paused.is_none()).flat_map(|member| &member.gates);
    let shut = gates.filter(|gate| gate.slots == 0);
    if let Some(gate) = shut.min_by_key(|gate| (gate.until.is_none(), gate.until)) {
        return TaskWait::Guard { guard: gate.guard, until: gate.until };
    }
    let paused = able.iter().filter(takes).find_map(|member| Some((member.spec.id, member.paused.clone()?)));
    match paused {
        Some((agent, reason)) => TaskWait::Resume { scope: Scope::Agent(agent), reason },
        None => TaskWait::NoAgent,
    }
}
