//! One session of an agent at its home.

use super::super::counter::{Poll, PollAnswer, Session};
use super::super::shard::ShardId;
use super::HomeEffect;
use crate::base::id::AttemptId;
use crate::base::time::Time;
use crate::journal::Epoch;
use crate::task::agent::AgentSpec;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Debug, Clone)]
pub(super) struct Connection {
    agent: Arc<AgentSpec>,
    session: Session,
    links: BTreeMap<ShardId, Link>,
    attempts: BTreeMap<AttemptId, Held>,
    /// The shards that had no work since their last digest.
    empty: BTreeSet<ShardId>,
    /// The number of polls without work since the last digest or attempt.
    misses: u32,
}

/// What the session has with a shard.
#[derive(Debug, Clone, Copy, Default)]
struct Link {
    /// The number of its last poll.
    last: u64,
    /// That poll, if it is not answered.
    open: Option<Open>,
}

/// An unanswered poll.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    pub(super) most: u32,
    epoch: Epoch,
    sent: Time,
}

/// An attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// The agent performs it: it occupies a slot.
    Running { shard: ShardId },
    /// The agent has ended it, and its shard has not confirmed the result.
    Ended { shard: ShardId, sent: Time },
}

impl Held {
    const fn shard(self) -> ShardId {
        match self {
            Self::Running { shard } | Self::Ended { shard, .. } => shard,
        }
    }
}

impl Connection {
    pub(super) fn new(agent: AgentSpec, session: Session) -> Self {
        Self {
            agent: Arc::new(agent),
            session,
            links: BTreeMap::new(),
            attempts: BTreeMap::new(),
            empty: BTreeSet::new(),
            misses: 0,
        }
    }

    pub(super) fn agent(&self) -> &AgentSpec {
        &self.agent
    }

    pub(super) const fn session(&self) -> Session {
        self.session
    }

    pub(super) const fn misses(&self) -> u32 {
        self.misses
    }

    pub(super) fn held(&self) -> impl Iterator<Item = (AttemptId, Held)> {
        self.attempts.iter().map(|(attempt, held)| (*attempt, *held))
    }

    pub(super) fn polls(&self) -> impl Iterator<Item = Open> {
        self.links.values().filter_map(|link| link.open)
    }

    pub(super) fn shards(&self) -> impl Iterator<Item = ShardId> {
        self.links.keys().copied()
    }

    pub(super) fn knows(&self, shard: ShardId) -> bool {
        self.links.contains_key(&shard)
    }

    /// The slots that are neither occupied nor offered to a shard.
    pub(super) fn free(&self) -> u32 {
        self.agent.slots().saturating_sub(self.occupied()).saturating_sub(self.offered())
    }

    pub(super) fn occupied(&self) -> u32 {
        let running = self.held().filter(|(_, held)| matches!(held, Held::Running { .. })).count();
        u32::try_from(running).unwrap_or(u32::MAX)
    }

    pub(super) fn offered(&self) -> u32 {
        self.polls().fold(0, |sum, open| sum.saturating_add(open.most))
    }

    /// Whether the shard may be polled: no poll is outstanding there, and its last digest may still be right.
    pub(super) fn may_poll(&self, shard: ShardId) -> bool {
        !self.empty.contains(&shard) && self.links.get(&shard).is_none_or(|link| link.open.is_none())
    }

    /// New digests of shards have arrived.
    pub(super) fn may_ask(&mut self, shards: &BTreeSet<ShardId>) {
        self.empty.retain(|shard| !shards.contains(shard));
        self.misses = 0;
    }

    /// Whether the last poll of a shard had work.
    pub(super) fn note(&mut self, shard: ShardId, had_work: bool) {
        if had_work {
            self.misses = 0;
        } else {
            self.empty.insert(shard);
            self.misses = self.misses.saturating_add(1);
        }
    }

    pub(super) fn poll(&mut self, shard: ShardId, epoch: Epoch, most: u32, now: Time) -> Poll {
        let link = self.links.entry(shard).or_default();
        link.last = link.last.saturating_add(1);
        link.open = Some(Open { most, epoch, sent: now });
        let number = link.last;
        self.request(shard, epoch, number, most)
    }

    fn request(&self, shard: ShardId, epoch: Epoch, number: u64, most: u32) -> Poll {
        let holding = self.held().filter(|(_, held)| held.shard() == shard).map(|(attempt, _)| attempt).collect();
        Poll { shard, epoch, agent: Arc::clone(&self.agent), session: self.session, number, most, holding }
    }

    pub(super) fn awaits(&self, shard: ShardId, session: Session, number: u64) -> bool {
        let link = self.links.get(&shard);
        session == self.session && link.is_some_and(|link| link.last == number && link.open.is_some())
    }

    /// Ends the poll of an answer. Returns for how many attempts it was.
    pub(super) fn close(&mut self, answer: &PollAnswer) -> Option<u32> {
        if !self.awaits(answer.shard, answer.session, answer.number) {
            return None;
        }
        Some(self.links.get_mut(&answer.shard)?.open.take()?.most)
    }

    /// Adds an attempt. False if it is known.
    pub(super) fn begin(&mut self, shard: ShardId, attempt: AttemptId) -> bool {
        if self.attempts.contains_key(&attempt) {
            return false;
        }
        self.attempts.insert(attempt, Held::Running { shard });
        true
    }

    /// The agent has ended an attempt of this shard. None if it does not perform it.
    pub(super) fn end(&mut self, attempt: AttemptId, now: Time) -> Option<ShardId> {
        match self.attempts.get_mut(&attempt)? {
            held @ Held::Running { .. } => {
                let shard = held.shard();
                *held = Held::Ended { shard, sent: now };
                Some(shard)
            }
            Held::Ended { .. } => None,
        }
    }

    /// The shard has confirmed a result. False if none was outstanding.
    pub(super) fn confirm(&mut self, attempt: AttemptId) -> bool {
        let is_ended = matches!(self.attempts.get(&attempt), Some(Held::Ended { .. }));
        is_ended && self.attempts.remove(&attempt).is_some()
    }

    /// Sends the polls and results again that pass, by shard and time.
    pub(super) fn repeat(
        &mut self,
        now: Time,
        pass: impl Fn(ShardId, Time) -> bool,
        epoch: Epoch,
        out: &mut Vec<HomeEffect>,
    ) {
        let mut due = Vec::new();
        for (shard, link) in &mut self.links {
            if let Some(open) = link.open.as_mut().filter(|open| pass(*shard, open.sent)) {
                // Only an answer of the epoch to which it is sent now may end the poll: a later epoch does not remember the answers
                // of this one, so a copy that arrives there would be answered anew.
                link.last = link.last.saturating_add(u64::from(open.epoch != epoch));
                *open = Open { most: open.most, epoch, sent: now };
                due.push((*shard, link.last, open.most));
            }
        }
        for (shard, number, most) in due {
            out.push(HomeEffect::Poll(self.request(shard, epoch, number, most)));
        }
        let agent = self.agent.id;
        for (attempt, held) in &mut self.attempts {
            if let Held::Ended { shard, sent } = held
                && pass(*shard, *sent)
            {
                *sent = now;
                out.push(HomeEffect::Report { agent, shard: *shard, epoch, attempt: *attempt });
            }
        }
    }

    /// When the oldest outstanding poll or result was sent.
    pub(super) fn first_sent(&self) -> Option<Time> {
        let polls = self.polls().map(|open| open.sent);
        let results = self.attempts.values().filter_map(|held| match held {
            Held::Running { .. } => None,
            Held::Ended { sent, .. } => Some(*sent),
        });
        polls.chain(results).min()
    }
}
