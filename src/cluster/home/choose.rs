//! Which shard is polled for a free slot.

use super::super::digest::{ClassDigest, Digest, TaskRank};
use super::super::shard::ShardId;
use super::Home;
use super::HomeEffect;
use super::session::Connection;
use crate::base::id::AgentId;
use crate::base::structure::Random;
use crate::base::time::Time;
use crate::routing::SkillMap;
use crate::task::agent::AgentSpec;
use std::collections::BTreeMap;

/// The last digest of each shard that has work.
#[derive(Debug, Clone, Default)]
pub(super) struct Shelf(BTreeMap<ShardId, Kept>);

#[derive(Debug, Clone)]
struct Kept {
    digest: Digest,
    at: Time,
}

/// A shard with work for an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Offer {
    shard: ShardId,
    /// None if only classes that are not listed may have work.
    first: Option<TaskRank>,
    waiting: u32,
}

impl Shelf {
    pub(super) fn put(&mut self, digest: Digest, now: Time) {
        if digest.more || digest.classes.iter().any(|class| class.waiting > 0) {
            self.0.insert(digest.shard, Kept { digest, at: now });
        } else {
            self.0.remove(&digest.shard);
        }
    }

    pub(super) fn remove(&mut self, shard: ShardId) {
        self.0.remove(&shard);
    }

    /// Counts attempts as taken from the first classes of a shard that an agent is eligible for, so that the home's other agents
    /// do not all poll for the same tasks.
    fn take(&mut self, shard: ShardId, agent: &AgentSpec, skills: &SkillMap, most: u32) {
        let Some(kept) = self.0.get_mut(&shard) else { return };
        let mut left = most;
        for class in kept.digest.classes.iter_mut().filter(|class| class.admits(agent, skills)) {
            let taken = class.waiting.min(left);
            class.waiting -= taken;
            left -= taken;
        }
        if !kept.digest.more && kept.digest.classes.iter().all(|class| class.waiting == 0) {
            self.0.remove(&shard);
        }
    }
}

impl Kept {
    fn offer(&self, agent: &AgentSpec, skills: &SkillMap) -> Option<Offer> {
        let fitting: Vec<&ClassDigest> =
            self.digest.classes.iter().filter(|class| class.admits(agent, skills)).collect();
        let first = fitting.iter().map(|class| class.first).min();
        let waiting = fitting.iter().fold(0_u32, |sum, class| sum.saturating_add(class.waiting));
        let shard = self.digest.shard;
        match first {
            Some(_) => Some(Offer { shard, first, waiting }),
            None => self.digest.more.then_some(Offer { shard, first: None, waiting: 1 }),
        }
    }
}

impl Home {
    /// Polls shards for the free slots of all agents. A random one is the first: the next task of a shard may be one that the first
    /// agent must not get, because an attempt at it failed there, which a digest does not list.
    pub(super) fn search_all(&mut self, out: &mut Vec<HomeEffect>) {
        if self.shelf.0.is_empty() {
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
        let fresh = self.shelf.0.values().filter(|kept| self.now.since(kept.at) <= self.rules.digest_age);
        let open = fresh.filter(|kept| connection.may_poll(kept.digest.shard));
        let offers: Vec<Offer> = open.filter_map(|kept| kept.offer(connection.agent(), &self.rules.skills)).collect();
        // A listed task comes before an unlisted one.
        let rank = |offer: &Offer| (offer.first.is_none(), offer.first);
        let first = offers.iter().map(rank).min()?;
        let equal: Vec<Offer> = offers.into_iter().filter(|offer| rank(offer) == first).collect();
        self.choose(&equal)
    }

    fn may_search(&self, connection: &Connection) -> bool {
        connection.free() > 0 && connection.misses() < self.rules.tries
    }

    /// One of several equal offers: of two random ones that with more waiting tasks.
    fn choose(&mut self, equal: &[Offer]) -> Option<Offer> {
        if let [only] = equal {
            return Some(*only);
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
