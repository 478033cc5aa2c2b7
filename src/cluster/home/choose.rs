//! Which shard is polled for a free slot.

use super::super::digest::{ClassDigest, Digest, TaskRank};
use super::super::shard::ShardId;
use super::Home;
use super::HomeEffect;
use super::session::Connection;
use crate::base::id::AgentId;
use crate::base::name::Name;
use crate::base::structure::Random;
use crate::base::time::Time;
use crate::routing::SkillMap;
use crate::task::Needs;
use crate::task::agent::AgentSpec;
use std::collections::{BTreeMap, BTreeSet};

/// The last digest of each shard that has work, and an index of the classes in them: an agent looks only at the first shards of each
/// requirement.
#[derive(Debug, Clone, Default)]
pub(super) struct Shelf {
    kept: BTreeMap<ShardId, Kept>,
    /// By the hash of the requirements; several differ in their tenant, or have the same hash.
    groups: BTreeMap<u64, Vec<Group>>,
    /// The shards with classes that are not listed.
    more: BTreeSet<ShardId>,
    /// The number of digests that have arrived.
    arrivals: u64,
}

#[derive(Debug, Clone)]
struct Kept {
    digest: Digest,
    at: Time,
    /// The number of the digest.
    number: u64,
}

/// The shards with tasks of one requirement, by their first task.
#[derive(Debug, Clone)]
struct Group {
    needs: Needs,
    tenant: Option<Name>,
    /// With the number of classes: tasks that exclude different agents have classes of their own.
    shards: BTreeMap<(TaskRank, ShardId), u32>,
}

/// A shard with work for an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Offer {
    shard: ShardId,
    waiting: u32,
}

impl Shelf {
    pub(super) fn put(&mut self, digest: Digest, now: Time) {
        self.remove(digest.shard);
        self.arrivals = self.arrivals.wrapping_add(1);
        if digest.more {
            self.more.insert(digest.shard);
        }
        for class in digest.classes.iter().filter(|class| class.waiting > 0) {
            let groups = self.groups.entry(class.needs.hash_value()).or_default();
            let entry = (class.first, digest.shard);
            if let Some(group) = groups.iter_mut().find(|group| group.is_of(class)) {
                let count = group.shards.entry(entry).or_default();
                *count = count.saturating_add(1);
            } else {
                let (needs, tenant) = (class.needs.clone(), class.tenant.clone());
                groups.push(Group { needs, tenant, shards: BTreeMap::from([(entry, 1)]) });
            }
        }
        if digest.more || digest.classes.iter().any(|class| class.waiting > 0) {
            self.kept.insert(digest.shard, Kept { digest, at: now, number: self.arrivals });
        }
    }

    pub(super) fn remove(&mut self, shard: ShardId) {
        let Some(kept) = self.kept.remove(&shard) else { return };
        self.more.remove(&shard);
        for class in kept.digest.classes.iter().filter(|class| class.waiting > 0) {
            unlist(&mut self.groups, class, shard);
        }
    }

    /// The number of the last digest: later ones have larger numbers.
    pub(super) const fn arrivals(&self) -> u64 {
        self.arrivals
    }

    /// Counts attempts as taken from the first classes of a shard that an agent is eligible for, so that the home's other agents
    /// do not all poll for the same tasks.
    fn take(&mut self, shard: ShardId, agent: &AgentSpec, skills: &SkillMap, most: u32) {
        let Some(kept) = self.kept.get_mut(&shard) else { return };
        let mut left = most;
        for class in kept.digest.classes.iter_mut().filter(|class| class.admits(agent, skills)) {
            let taken = class.waiting.min(left);
            class.waiting -= taken;
            left -= taken;
            if class.waiting == 0 {
                unlist(&mut self.groups, class, shard);
            }
            if left == 0 {
                break;
            }
        }
        if !kept.digest.more && kept.digest.classes.iter().all(|class| class.waiting == 0) {
            self.kept.remove(&shard);
        }
    }

    /// The shards whose first task for an agent ranks first, in order; those with unlisted classes only if there is no other. `usable`
    /// gets the shard, and the number and the time of its digest.
    fn first(&self, agent: &AgentSpec, skills: &SkillMap, usable: impl Fn(ShardId, u64, Time) -> bool) -> Vec<Offer> {
        let is_usable = |shard: ShardId| self.kept.get(&shard).is_some_and(|kept| usable(shard, kept.number, kept.at));
        let mut first: Option<TaskRank> = None;
        let mut equal: BTreeSet<ShardId> = BTreeSet::new();
        for group in self.groups.values().flatten() {
            if !skills.met_by(&group.needs, agent) || !agent.serves(group.tenant.as_ref()) {
                continue;
            }
            for (rank, shard) in group.shards.keys() {
                if first.is_some_and(|first| *rank > first) {
                    break;
                }
                if !is_usable(*shard) {
                    continue;
                }
                if first.is_none_or(|first| *rank < first) {
                    first = Some(*rank);
                    equal.clear();
                }
                equal.insert(*shard);
            }
        }
        let waiting = |shard: &ShardId| {
            let classes = self.kept.get(shard).into_iter().flat_map(|kept| &kept.digest.classes);
            let fitting = classes.filter(|class| class.admits(agent, skills));
            fitting.fold(0_u32, |sum, class| sum.saturating_add(class.waiting))
        };
        if first.is_some() {
            return equal.iter().map(|shard| Offer { shard: *shard, waiting: waiting(shard) }).collect();
        }
        let unlisted = self.more.iter().filter(|shard| is_usable(**shard));
        unlisted.map(|shard| Offer { shard: *shard, waiting: 1 }).collect()
    }

    /// Checks that the index contains what the digests do. For tests.
    pub(super) fn check(&self) -> Result<(), String> {
        let mut listed = 0;
        for (shard, kept) in &self.kept {
            for class in kept.digest.classes.iter().filter(|class| class.waiting > 0) {
                listed += 1;
                let groups = self.groups.get(&class.needs.hash_value()).into_iter().flatten();
                if !groups
                    .filter(|group| group.is_of(class))
                    .any(|group| group.shards.contains_key(&(class.first, *shard)))
                {
                    return Err(format!("a class of shard {shard} is not in the index"));
                }
            }
        }
        let indexed: u32 = self.groups.values().flatten().flat_map(|group| group.shards.values()).sum();
        let more = self.kept.values().filter(|kept| kept.digest.more).count();
        if (indexed, self.more.len()) == (listed, more) {
            return Ok(());
        }
        Err(format!(
            "{listed} classes and {more} shards with more are kept, but {indexed} and {} listed",
            self.more.len()
        ))
    }
}

impl Group {
    fn is_of(&self, class: &ClassDigest) -> bool {
        self.needs == class.needs && self.tenant == class.tenant
    }
}

/// Removes a class of a shard from the index.
fn unlist(groups: &mut BTreeMap<u64, Vec<Group>>, class: &ClassDigest, shard: ShardId) {
    let hash = class.needs.hash_value();
    let Some(same) = groups.get_mut(&hash) else { return };
    if let Some(group) = same.iter_mut().find(|group| group.is_of(class)) {
        let entry = (class.first, shard);
        let left = group.shards.get(&entry).map_or(0, |count| count.saturating_sub(1));
        if left > 0 {
            group.shards.insert(entry, left);
        } else {
            group.shards.remove(&entry);
        }
    }
    same.retain(|group| !group.shards.is_empty());
    if same.is_empty() {
        groups.remove(&hash);
    }
}

impl Home {
    /// Polls shards for the free slots of all agents. A random one is the first: the next task of a shard may be one that the first
    /// agent must not get, because an attempt at it failed there, which a digest does not list.
    pub(super) fn search_all(&mut self, out: &mut Vec<HomeEffect>) {
        if self.shelf.kept.is_empty() {
            return;
        }
        let free = self.agents.iter().filter(|(_, connection)| self.may_search(connection));
        let mut ids: Vec<AgentId> = free.map(|(agent, _)| *agent).collect();
        if ids.len() > 1 {
            let first = self.draw().below(ids.len());
            ids.rotate_left(first);
        }
        ids.into_iter().for_each(|agent| self.search(agent, out));
    }

    /// Polls shards for the free slots of an agent.
    pub(super) fn search(&mut self, agent: AgentId, out: &mut Vec<HomeEffect>) {
        while let Some(offer) = self.best(agent) {
            let Some(epoch) = self.epochs.get(&offer.shard).copied() else { return };
            let Some(connection) = self.agents.get_mut(&agent) else { return };
            let most = connection.free().min(offer.waiting);
            self.shelf.take(offer.shard, connection.agent(), &self.rules.skills, most);
            out.push(HomeEffect::Poll(connection.poll(offer.shard, epoch, most, self.now)));
            self.sent.push_back((self.now, agent));
        }
    }

    /// The shard to poll next for an agent with free slots.
    fn best(&mut self, agent: AgentId) -> Option<Offer> {
        let connection = self.agents.get(&agent).filter(|connection| self.may_search(connection))?;
        let usable = |shard: ShardId, number: u64, at: Time| {
            self.now.since(at) <= self.rules.digest_age && connection.may_poll(shard, number)
        };
        let equal = self.shelf.first(connection.agent(), &self.rules.skills, usable);
        self.choose(&equal)
    }

    fn may_search(&self, connection: &Connection) -> bool {
        connection.free() > 0 && connection.misses(self.shelf.arrivals()) < self.rules.tries
    }

    /// One of several equal offers: of two random ones that with more waiting tasks.
    fn choose(&mut self, equal: &[Offer]) -> Option<Offer> {
        if let [only] = equal {
            return Some(*only);
        }
        if equal.is_empty() {
            return None;
        }
        let mut random = self.draw();
        let [one, other] = [(); 2].map(|()| equal.get(random.below(equal.len())).copied());
        let (one, other) = (one?, other?);
        Some(if other.waiting > one.waiting { other } else { one })
    }

    fn draw(&mut self) -> Random {
        let random = Random::new(self.seed, self.draws);
        self.draws = self.draws.wrapping_add(1);
        random
    }
}
