//! Why a task has not begun: found out when somebody asks, kept nowhere.

use super::apply::state::{Stage, Task};
use super::machine::Core;
use super::queue::accounts::{Door, Party};
use crate::agent::{AgentStatus, Guard, Scope};
use crate::id::{AttemptId, Incarnation, TaskId};
use crate::name::Name;
use crate::routing::Member;
use crate::scheduler::queue::Sight;
use crate::structure::Slot;
use crate::time::Time;
use core::fmt;
use serde::{Deserialize, Serialize};

/// What a task waits for, as things stand. Of several things the one that keeps it from beginning before the others are
/// even looked at: tenant, kind, agents, resources, company.
///
/// ```
/// use counterpoint::{Command, Config, Outbox, Scheduler, TaskId, TaskSpec, TaskWait, Time};
///
/// let (mut scheduler, mut out) = (Scheduler::new(Config::default()), Outbox::default());
/// scheduler.handle(Time::ZERO, Command::submit(TaskSpec::new(TaskId::new(7), "paint")), &mut out)?;
/// let wait = scheduler.waits_for(TaskId::new(7)).expect("it has not ended");
/// assert_eq!(wait, TaskWait::Nobody);
/// assert!(!wait.comes_by_itself());
/// # Ok::<(), counterpoint::Rejected>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskWait {
    /// The answer of the agent that holds its attempt. If none comes, a bound or the agent's lease ends the attempt.
    Agent {
        /// The attempt.
        attempt: AttemptId,
        /// Who holds it.
        by: Incarnation,
    },
    /// Other tasks, whose own waits say whether they go on.
    Tasks {
        /// How many.
        unfinished: u32,
    },
    /// The moment of its next attempt.
    Retry {
        /// When.
        at: Time,
    },
    /// Room: those who could do it are at work, or have not asked for more work yet.
    Room,
    /// An agent that can do it: none that takes work meets its needs.
    Nobody,
    /// An operator, who has paused its tenant, its kind, or all agents that could do it.
    Resume {
        /// What is paused; of several agents the first.
        scope: Scope,
        /// On what grounds.
        reason: Name,
    },
    /// Its tenant or kind has as much under way as it may have, or has begun as much as its rate allows.
    Quota {
        /// Whose quota.
        scope: Scope,
        /// How many of it are under way.
        running: u32,
        /// When its rate allows the next.
        until: Option<Time>,
    },
    /// Others of its kind, to be done together.
    Company {
        /// How long at the most.
        until: Time,
    },
    /// A guard, which lets no agent begin anything that could do it.
    Guard {
        /// Which guard; of several that which looks again first.
        guard: Guard,
        /// When it looks again.
        until: Option<Time>,
    },
    /// A part of a resource that others use.
    Resource,
    /// The routing strategy, which picks none of the agents that have room.
    Strategy,
}

impl TaskWait {
    /// Whether it comes by itself: by the answer of an agent, by the end of what others do, or by a moment. What does not,
    /// somebody must bring about: an operator, or a host that registers agents.
    #[must_use]
    pub const fn comes_by_itself(&self) -> bool {
        match self {
            Self::Agent { .. } | Self::Retry { .. } | Self::Room | Self::Company { .. } | Self::Resource => true,
            Self::Quota { running, until, .. } => *running > 0 || until.is_some(),
            Self::Guard { until, .. } => until.is_some(),
            Self::Tasks { .. } | Self::Nobody | Self::Resume { .. } | Self::Strategy => false,
        }
    }
}

impl fmt::Display for TaskWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = |f: &mut fmt::Formatter<'_>, at: &Option<Time>| at.map_or(Ok(()), |at| write!(f, " until {at}"));
        match self {
            Self::Agent { by, .. } => write!(f, "{by} has it"),
            Self::Tasks { unfinished } => write!(f, "{unfinished} tasks come first"),
            Self::Retry { at } => write!(f, "the next attempt is at {at}"),
            Self::Room => f.write_str("those who could do it are busy"),
            Self::Nobody => f.write_str("nobody can do it"),
            Self::Resume { scope, reason } => write!(f, "{scope} is paused: {reason}"),
            Self::Quota { scope, until: at, .. } => write!(f, "{scope} is at its quota").and_then(|()| until(f, at)),
            Self::Company { until } => write!(f, "it waits for company until {until}"),
            Self::Guard { guard, until: at } => write!(f, "{guard} lets nobody begin it").and_then(|()| until(f, at)),
            Self::Resource => f.write_str("others use what it needs"),
            Self::Strategy => f.write_str("the strategy picks nobody"),
        }
    }
}

impl Core {
    /// What a task waits for, and when it ends by itself at the latest if it does not come. None if it has ended.
    pub(crate) fn waits_for(&self, id: TaskId, now: Time) -> Option<(TaskWait, Option<Time>)> {
        let task = self.state.get(id)?;
        let wait = match &task.stage {
            Stage::Ended(_) => return None,
            Stage::Running(running) => TaskWait::Agent { attempt: AttemptId::new(id, task.attempts), by: running.by },
            Stage::Blocked { on } => TaskWait::Tasks { unfinished: *on },
            Stage::Backoff { until } => TaskWait::Retry { at: *until },
            Stage::Queued { class } => self.in_line(task, *class, now),
        };
        Some((wait, task.bound().map(|(at, _)| at)))
    }

    /// Why a task stands in line.
    fn in_line(&self, task: &Task, class: Slot, now: Time) -> TaskWait {
        let tenant = self.state.tenants.get(task.tenant).map(|party| (party, Scope::Tenant(party.name.clone())));
        let kind = self.state.kinds.get(task.kind).map(|party| (party, Scope::Kind(party.name.clone())));
        let closed = [tenant, kind].into_iter().flatten().find_map(|(party, scope)| shut(party, scope, now));
        if let Some(wait) = closed {
            return wait;
        }
        let eligible = self.state.classes.eligible(class);
        let places = eligible.map(|eligible| eligible.places()).unwrap_or_default();
        let members = places.iter().filter_map(|place| self.state.fleet.at(*place as usize));
        let able: Vec<&Member> = members.filter(|member| member.status == AgentStatus::Online).collect();
        let room = |member: &&Member| if task.is_urgent() { member.has_room() } else { member.has_open_room() };
        if !able.iter().any(room) {
            return no_room(&able, task);
        }
        let sight = if task.is_urgent() { Sight::Urgent } else { Sight::All };
        let fits = !task.heavy || !self.state.fitting(class, sight).is_empty();
        // Of a kind that is done in batches, one waits as long as the timer is set that is not enough.
        let linger = self.state.kinds.get(task.kind).and_then(|kind| kind.batch_timer).map(|(due, _)| due);
        match linger {
            _ if !fits => TaskWait::Resource,
            Some(until) => TaskWait::Company { until },
            None => TaskWait::Strategy,
        }
    }
}

/// Why nothing of a tenant or kind may begin, if that is so.
fn shut(party: &Party, scope: Scope, now: Time) -> Option<TaskWait> {
    if let Some(reason) = &party.paused {
        return Some(TaskWait::Resume { scope, reason: reason.clone() });
    }
    let full = party.quota.concurrent.is_some_and(|most| party.running >= most);
    let running = if full { party.running } else { 0 };
    match party.door(now) {
        Door::Open => None,
        Door::Closed => Some(TaskWait::Quota { scope, running, until: None }),
        Door::ClosedUntil(at) => Some(TaskWait::Quota { scope, running, until: Some(at) }),
    }
}

/// Why none of the agents that could do a task has room for it: that which ends soonest of all their reasons.
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
        None => TaskWait::Nobody,
    }
}
