//! What a shard tells homes about its waiting tasks.

use super::shard::ShardId;
use crate::base::name::Name;
use crate::base::time::Time;
use crate::journal::Epoch;
use crate::routing::SkillMap;
use crate::scheduler::Reader;
use crate::task::Needs;
use crate::task::agent::AgentSpec;
use serde::{Deserialize, Serialize};

/// The most requirement classes of a digest.
const MOST_CLASSES: usize = 64;

/// The next task of each requirement class of a shard, for homes that look for work for their agents.
///
/// A shard sends one to all homes when a class gets its first waiting task, and at least as often as
/// [`HomeRules::digest_age`](super::HomeRules::digest_age) requires. It is a hint: the shard's engine decides what a poll gets.
///
/// ```
/// use counterpoint::cluster::{Digest, ShardId};
/// use counterpoint::journal::Epoch;
/// use counterpoint::{Command, Config, Engine, Outbox, TaskId, TaskSpec, Time};
///
/// let mut engine = Engine::new(Config::default().with_partitioned_ids());
/// engine.handle(Time::ZERO, Command::submit(TaskSpec::new(TaskId::new(1), "ship")), &mut Outbox::default())?;
/// let digest = Digest::of(ShardId::new(0), Epoch::new(1), &engine);
/// assert_eq!(digest.classes[0].waiting, 1);
/// # Ok::<(), counterpoint::Rejected>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Digest {
    /// The shard.
    pub shard: ShardId,
    /// Its epoch.
    pub epoch: Epoch,
    /// Classes with tasks that may begin, those with the first tasks first: at most 64.
    pub classes: Vec<ClassDigest>,
    /// Whether there are more classes. A home may poll for an agent that fits none of those listed.
    pub more: bool,
}

/// The waiting tasks of one requirement class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClassDigest {
    /// What the tasks require of an agent. That they exclude some agents is not listed.
    pub needs: Needs,
    /// The tenant of the tasks, if agents are confined to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Name>,
    /// The rank of the next task: a task of the critical tier before all others.
    pub first: TaskRank,
    /// How many tasks wait, whether or not quotas permit all of them to begin.
    pub waiting: u32,
}

/// The rank of a task among those of all shards: the smallest is served first. Ranks of shards whose engines have different
/// disciplines cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskRank {
    /// The virtual deadline in nanoseconds; with [`Discipline::Strict`](crate::scheduler::Discipline::Strict) the tier.
    pub key: u64,
    /// When the task was submitted.
    pub since: Time,
}

impl Digest {
    /// The digest of an engine or a scheduler. Visits all requirement classes.
    #[must_use]
    pub fn of(shard: ShardId, epoch: Epoch, reader: &Reader) -> Self {
        let (heads, more) = reader.heads(MOST_CLASSES);
        let classes = heads.into_iter().map(|head| ClassDigest {
            needs: head.needs,
            tenant: head.tenant,
            first: TaskRank { key: head.key, since: head.since },
            waiting: head.waiting,
        });
        Self { shard, epoch, classes: classes.collect(), more }
    }
}

impl ClassDigest {
    /// Whether an agent meets the requirements, as far as they are listed.
    pub(super) fn admits(&self, agent: &AgentSpec, skills: &SkillMap) -> bool {
        self.waiting > 0 && skills.met_by(&self.needs, agent) && agent.serves(self.tenant.as_ref())
    }
}
