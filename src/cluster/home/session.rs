//! One session of an agent at its home.

use super::super::counter::{Poll, PollAnswer, Session};
use super::super::shard::ShardId;
use super::HomeEffect;
use crate::base::id::AttemptId;
use crate::base::time::Time;
use crate::journal::Epoch;
use crate::task::agent::AgentSpec;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug, Clone)]
pub(super) struct Connection {
    agent: Arc<AgentSpec>,
    session: Session,
    /// The shards that know of the session, with the number of the last poll of each.
    links: BTreeMap<ShardId, u64>,
    /// The last polls that are not answered.
    open: BTreeMap<ShardId, Open>,
    attempts: BTreeMap<AttemptId, Held>,
    /// The slots that are offered to shards: the sum over the open polls.
    offered: u32,
    /// The attempts that the agent performs.
    running: u32,
    /// The shards that had no work, with the number of the home's last digest then: a later one of the shard may list some.
    empty: BTreeMap<ShardId, u64>,
    /// The number of polls without work since the last digest or attempt, and the number of that digest.
    misses: (u32, u64),
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
            open: BTreeMap::new(),
            attempts: BTreeMap::new(),
            offered: 0,
            running: 0,
            empty: BTreeMap::new(),
            misses: (0, 0),
        }
    }

    pub(super) fn agent(&self) -> &AgentSpec {
        &self.agent
    }

    pub(super) const fn session(&self) -> Session {
        self.session
    }

    /// The number of polls without work since the last digest of the home, which has this number.
    pub(super) const fn misses(&self, arrivals: u64) -> u32 {
        if self.misses.1 == arrivals { self.misses.0 } else { 0 }
    }

    pub(super) fn held(&self) -> impl Iterator<Item = (AttemptId, Held)> {
        self.attempts.iter().map(|(attempt, held)| (*attempt, *held))
    }

    pub(super) fn polls(&self) -> impl Iterator<Item = Open> {
        self.open.values().copied()
    }

    pub(super) fn shards(&self) -> impl Iterator<Item = ShardId> {
        self.links.keys().copied()
    }

    pub(super) fn knows(&self, shard: ShardId) -> bool {
        self.links.contains_key(&shard)
    }

    /// The slots that are neither occupied nor offered to a shard.
    pub(super) fn free(&self) -> u32 {
        self.agent.slots().saturating_sub(self.running).saturating_sub(self.offered)
    }

    /// The slots that attempts occupy and polls offer, counted anew.
    pub(super) fn counted(&self) -> (u32, u32) {
        let running = self.held().filter(|(_, held)| matches!(held, Held::Running { .. })).count();
        let offered = self.polls().fold(0_u32, |sum, open| sum.saturating_add(open.most));
        (u32::try_from(running).unwrap_or(u32::MAX), offered)
    }

    /// The same, as it is kept.
    pub(super) const fn kept(&self) -> (u32, u32) {
        (self.running, self.offered)
    }

    /// Whether the shard may be polled: no poll is outstanding there, and its last digest, of this number, may still be right.
    pub(super) fn may_poll(&self, shard: ShardId, digest: u64) -> bool {
        self.empty.get(&shard).is_none_or(|known| *known < digest) && !self.open.contains_key(&shard)
    }

    /// Whether the last poll of a shard had work. The home's last digest has this number.
    pub(super) fn note(&mut self, shard: ShardId, had_work: bool, arrivals: u64) {
        if had_work {
            self.misses = (0, arrivals);
        } else {
            self.empty.insert(shard, arrivals);
            self.misses = (self.misses(arrivals).saturating_add(1), arrivals);
        }
    }

    pub(super) fn poll(&mut self, shard: ShardId, epoch: Epoch, most: u32, now: Time) -> Poll {
        let last = self.links.entry(shard).or_default();
        *last = last.saturating_add(1);
        let number = *last;
        if let Some(before) = self.open.insert(shard, Open { most, epoch, sent: now }) {
            self.offered = self.offered.saturating_sub(before.most);
        }
        self.offered = self.offered.saturating_add(most);
        self.request(shard, epoch, number, most)
    }

    fn request(&self, shard: ShardId, epoch: Epoch, number: u64, most: u32) -> Poll {
        let holding = self.held().filter(|(_, held)| held.shard() == shard).map(|(attempt, _)| attempt).collect();
        Poll { shard, epoch, agent: Arc::clone(&self.agent), session: self.session, number, most, holding }
    }

    pub(super) fn awaits(&self, shard: ShardId, session: Session, number: u64) -> bool {
        session == self.session && self.links.get(&shard) == Some(&number) && self.open.contains_key(&shard)
    }

    /// Ends the poll of an answer. Returns for how many attempts it was.
    pub(super) fn close(&mut self, answer: &PollAnswer) -> Option<u32> {
        if !self.awaits(answer.shard, answer.session, answer.number) {
            return None;
        }
        let most = self.open.remove(&answer.shard)?.most;
        self.offered = self.offered.saturating_sub(most);
        Some(most)
    }

    /// Adds an attempt. False if it is known.
    pub(super) fn begin(&mut self, shard: ShardId, attempt: AttemptId) -> bool {
        if self.attempts.contains_key(&attempt) {
            return false;
        }
        self.attempts.insert(attempt, Held::Running { shard });
        self.running = self.running.saturating_add(1);
        true
    }

    /// The agent has ended an attempt of this shard. None if it does not perform it.
    pub(super) fn end(&mut self, attempt: AttemptId, now: Time) -> Option<ShardId> {
        match self.attempts.get_mut(&attempt)? {
            held @ Held::Running { .. } => {
                let shard = held.shard();
                *held = Held::Ended { shard, sent: now };
                self.running = self.running.saturating_sub(1);
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

    /// Sends the polls and results again that pass, by shard and time, to the present epoch of each shard.
    pub(super) fn repeat(
        &mut self,
        now: Time,
        pass: impl Fn(ShardId, Time) -> bool,
        epochs: &BTreeMap<ShardId, Epoch>,
        out: &mut Vec<HomeEffect>,
    ) {
        let mut due = Vec::new();
        for (shard, open) in &mut self.open {
            let Some(epoch) = epochs.get(shard).copied() else { continue };
            if pass(*shard, open.sent) {
                // Only an answer of the epoch to which it is sent now may end the poll: a later epoch does not remember the answers
                // of this one, so a copy that arrives there would be answered anew.
                let last = self.links.entry(*shard).or_default();
                *last = last.saturating_add(u64::from(open.epoch != epoch));
                *open = Open { most: open.most, epoch, sent: now };
                due.push((*shard, epoch, *last, open.most));
            }
        }
        for (shard, epoch, number, most) in due {
            out.push(HomeEffect::Poll(self.request(shard, epoch, number, most)));
        }
        let agent = self.agent.id;
        for (attempt, held) in &mut self.attempts {
            if let Held::Ended { shard, sent } = held
                && pass(*shard, *sent)
                && let Some(epoch) = epochs.get(shard).copied()
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
