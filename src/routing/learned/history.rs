//! Statistics of attempts that strategies learn from events: durations and success rates by agent and kind.

#![expect(clippy::wildcard_enum_match_arm, reason = "a strategy reads what it uses")]

use crate::base::id::{AgentId, TaskId};
use crate::base::name::Name;
use crate::base::structure::{IdMap, Random, decay};
use crate::base::time::Time;
use crate::message::event::{AgentEvent, Entry, Event, Next, TaskEvent};
use crate::routing::{Candidate, Candidates};
use crate::task::SideEffects;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

/// Kinds of tasks beyond this number share one record.
const KINDS: usize = 256;

/// The number of agents that are remembered after they have left, in case they register again.
const GONE: usize = 1_024;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::routing) enum End {
    Succeeded,
    Failed,
    /// Withdrawn or expired: it shows nothing about the agent.
    Dropped,
}

/// An observation of an attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::routing) enum Seen {
    Began {
        task: TaskId,
        kind: usize,
        agent: AgentId,
    },
    Ended {
        task: TaskId,
        kind: usize,
        agent: AgentId,
        took: Duration,
        end: End,
    },
    /// The result of a task that has ended was rated, from 0 to 1.
    Rated {
        task: TaskId,
        kind: usize,
        agent: AgentId,
        rating: f64,
    },
}

#[derive(Debug, Clone, Copy)]
struct Open {
    kind: usize,
    running: Option<(AgentId, Time)>,
}

/// Follows attempts over entries. Tasks that were submitted before the first observed entry are ignored, such as those
/// of a snapshot.
#[derive(Debug, Default)]
pub(in crate::routing) struct Attempts {
    kinds: BTreeMap<Name, usize>,
    open: IdMap<TaskId, Open>,
}

impl Attempts {
    /// The index of a kind of tasks, if it is known.
    pub(in crate::routing) fn kind(&self, name: &Name) -> Option<usize> {
        self.kinds.get(name).copied()
    }

    /// Whether the end of this task will be observed.
    pub(in crate::routing) fn follows(&self, task: TaskId) -> bool {
        self.open.get(&task).is_some()
    }

    pub(in crate::routing) fn note(&mut self, entry: &Entry) -> Option<Seen> {
        let Event::Task { task, event } = &entry.event else { return None };
        let (task, at) = (*task, entry.at);
        match event {
            TaskEvent::Submitted { spec, .. } => {
                let kind = self.join(&spec.kind);
                self.open.insert(task, Open { kind, running: None });
                None
            }
            // The task may have ended before the first observed entry.
            TaskEvent::Rated { agent, kind, rating } => {
                Some(Seen::Rated { task, kind: self.join(kind), agent: *agent, rating: rating.share() })
            }
            TaskEvent::Assigned { to, .. } => {
                let mut open = *self.open.get(&task)?;
                open.running = Some((to.agent(), at));
                self.open.insert(task, open);
                Some(Seen::Began { task, kind: open.kind, agent: to.agent() })
            }
            // The time for which the attempt was prefetched does not count.
            TaskEvent::Started { .. } => {
                let mut open = *self.open.get(&task)?;
                open.running = open.running.map(|(agent, _)| (agent, at));
                self.open.insert(task, open);
                None
            }
            TaskEvent::Yielded { .. } => self.ended(task, at, End::Dropped, true),
            TaskEvent::AttemptFailed { next, .. } => {
                self.ended(task, at, End::Failed, matches!(next, Next::Retry { .. }))
            }
            TaskEvent::Succeeded { .. } | TaskEvent::Cancelled { side_effects: SideEffects::Done(_), .. } => {
                self.ended(task, at, End::Succeeded, false)
            }
            TaskEvent::Answered { .. } | TaskEvent::Cancelled { .. } | TaskEvent::Expired { .. } => {
                self.ended(task, at, End::Dropped, false)
            }
            _ => None,
        }
    }

    /// The index of a kind of tasks, which may be new.
    fn join(&mut self, name: &Name) -> usize {
        let next = self.kinds.len().min(KINDS - 1);
        match self.kinds.get(name) {
            Some(kind) => *kind,
            None if self.kinds.len() < KINDS => *self.kinds.entry(name.clone()).or_insert(next),
            None => next,
        }
    }

    fn ended(&mut self, task: TaskId, at: Time, end: End, again: bool) -> Option<Seen> {
        let open = self.open.remove(&task)?;
        if again {
            self.open.insert(task, Open { running: None, ..open });
        }
        let (agent, since) = open.running?;
        Some(Seen::Ended { task, kind: open.kind, agent, took: at.since(since), end })
    }
}

/// A statistic for each agent. It is dropped some time after the agent has left.
#[derive(Debug)]
pub(in crate::routing) struct ByAgent<T> {
    known: IdMap<AgentId, T>,
    gone: VecDeque<AgentId>,
    present: IdMap<AgentId, ()>,
}

impl<T> Default for ByAgent<T> {
    fn default() -> Self {
        Self { known: IdMap::default(), gone: VecDeque::new(), present: IdMap::default() }
    }
}

impl<T: Default> ByAgent<T> {
    pub(in crate::routing) fn get(&self, agent: AgentId) -> Option<&T> {
        self.known.get(&agent)
    }

    pub(in crate::routing) fn change(&mut self, agent: AgentId, change: impl FnOnce(&mut T)) {
        let mut value = self.known.remove(&agent).unwrap_or_default();
        change(&mut value);
        self.known.insert(agent, value);
    }

    /// Observes which agents register and leave.
    pub(in crate::routing) fn note(&mut self, entry: &Entry) {
        let Event::Agent { agent, event } = &entry.event else { return };
        let agent = agent.agent();
        match event {
            AgentEvent::Registered { .. } => {
                self.present.insert(agent, ());
            }
            AgentEvent::Deregistered | AgentEvent::Lost => {
                self.present.remove(&agent);
                self.gone.push_back(agent);
            }
            _ => {}
        }
        while self.gone.len() > GONE {
            if let Some(oldest) = self.gone.pop_front()
                && self.present.get(&oldest).is_none()
            {
                self.known.remove(&oldest);
            }
        }
    }
}

/// Numbers of attempts, successes and ratings, and the duration of attempts, all with exponentially decaying weights.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in crate::routing) struct Record {
    pub(in crate::routing) tries: f64,
    pub(in crate::routing) successes: f64,
    /// The duration of all attempts in seconds.
    pub(in crate::routing) seconds: f64,
    /// The number of ratings, and their sum.
    rated: (f64, f64),
    at: Time,
    /// The number of attempts that have begun, without decay.
    begun: u64,
}

impl Record {
    /// Counts an attempt. The charged duration may exceed the actual one.
    pub(in crate::routing) fn note(&mut self, at: Time, charged: Duration, succeeded: bool, half: Duration) {
        self.age(at, half);
        self.tries += 1.0;
        self.successes += f64::from(u8::from(succeeded));
        self.seconds += charged.as_secs_f64();
    }

    /// Counts a rating from 0 to 1.
    pub(in crate::routing) fn note_rating(&mut self, at: Time, rating: f64, half: Duration) {
        self.age(at, half);
        self.rated = (self.rated.0 + 1.0, self.rated.1 + rating);
    }

    fn age(&mut self, at: Time, half: Duration) {
        let kept = decay(at.since(self.at), half);
        self.at = self.at.max(at);
        self.tries *= kept;
        self.successes *= kept;
        self.seconds *= kept;
        self.rated = (self.rated.0 * kept, self.rated.1 * kept);
    }

    /// The mean rating, shrunk towards `prior` with the weight of `weight` ratings.
    pub(in crate::routing) fn rating(&self, prior: f64, weight: f64) -> f64 {
        (self.rated.1 + prior * weight) / (self.rated.0 + weight)
    }

    /// The success rate, shrunk towards `prior` with the weight of `weight` attempts.
    pub(in crate::routing) fn rate(&self, prior: f64, weight: f64) -> f64 {
        (self.successes + prior * weight) / (self.tries + weight)
    }

    /// The mean duration of an attempt in seconds, shrunk towards `prior` with the weight of `weight` attempts.
    pub(in crate::routing) fn mean(&self, prior: f64, weight: f64) -> f64 {
        (self.seconds + prior * weight) / (self.tries + weight)
    }
}

/// Records by agent and kind, by kind, and by agent.
#[derive(Debug, Default)]
pub(in crate::routing) struct History {
    pub(in crate::routing) attempts: Attempts,
    agents: ByAgent<(Record, Vec<Record>)>,
    kinds: Vec<Record>,
}

/// The weight of the prior for the record of an agent, in attempts.
const SHRINK: f64 = 4.0;

/// The expectation for an attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::routing) struct Expected {
    /// The success rate times the mean rating, above 0.
    pub(in crate::routing) success: f64,
    /// The duration in seconds.
    pub(in crate::routing) seconds: f64,
    /// The weighted number of attempts of this agent and kind.
    pub(in crate::routing) tries: f64,
}

impl History {
    /// Learns from an entry. A failure is charged at least `penalty`, so that an agent that fails fast does not appear
    /// fast.
    pub(in crate::routing) fn note(&mut self, entry: &Entry, penalty: Duration, half: Duration) -> Option<Seen> {
        self.agents.note(entry);
        let seen = self.attempts.note(entry)?;
        match seen {
            Seen::Began { kind, agent, .. } => self.change(kind, agent, |record| record.begun += 1),
            Seen::Ended { end: End::Dropped, .. } => {}
            Seen::Rated { kind, agent, rating, .. } => {
                self.change(kind, agent, |record| record.note_rating(entry.at, rating, half));
            }
            Seen::Ended { kind, agent, took, end, .. } => {
                let succeeded = end == End::Succeeded;
                let charged = if succeeded { took } else { took.max(penalty) };
                self.change(kind, agent, |record| record.note(entry.at, charged, succeeded, half));
            }
        }
        Some(seen)
    }

    /// Changes the record of a kind, that of an agent, and that of the agent for the kind.
    fn change(&mut self, kind: usize, agent: AgentId, change: impl Fn(&mut Record)) {
        let of_kind = |records: &mut Vec<Record>| {
            if kind >= records.len() {
                records.resize(kind + 1, Record::default());
            }
            records.get_mut(kind).into_iter().for_each(&change);
        };
        of_kind(&mut self.kinds);
        self.agents.change(agent, |(all, kinds)| {
            change(all);
            of_kind(kinds);
        });
    }

    /// The number of attempts of this kind that the agent has begun, if it is so low that the agent must be tried. Otherwise
    /// the largest number. Of N attempts of a kind, each agent is tried in this way for at most [`Exploration::share`] of N.
    pub(in crate::routing) fn untried(&self, agent: AgentId, kind: Option<usize>, exploration: Exploration) -> u64 {
        let Some(kind) = kind else { return u64::MAX };
        let all = self.kinds.get(kind).map_or(0, |record| record.begun);
        let own = self.agents.get(agent).and_then(|(_, kinds)| kinds.get(kind)).map_or(0, |record| record.begun);
        if own < exploration.share(all) { own } else { u64::MAX }
    }

    /// The expectation for this agent and kind: its record, shrunk towards that of all agents for the kind. A new agent
    /// is expected to be like the others.
    pub(in crate::routing) fn expect(&self, agent: AgentId, kind: Option<usize>) -> Expected {
        let common = kind.and_then(|kind| self.kinds.get(kind)).copied().unwrap_or_default();
        // Without any record, a success within a second is expected.
        let (rate, mean) = (common.rate(1.0, 1.0), if common.tries > 0.0 { common.mean(0.0, 0.0) } else { 1.0 });
        // Without any rating, results are as good as they can be.
        let rating = common.rating(1.0, 1.0);
        let Some((all, kinds)) = self.agents.get(agent) else {
            return Expected { success: (rate * rating).max(1e-6), seconds: mean, tries: 0.0 };
        };
        let own = kind.and_then(|kind| kinds.get(kind)).copied().unwrap_or_default();
        // The prior of the success rate, and of the rating, is that of the agent for all kinds.
        let prior = all.rate(rate, SHRINK);
        let liked = own.rating(all.rating(rating, SHRINK), SHRINK);
        Expected {
            success: (own.rate(prior, SHRINK) * liked).max(1e-6),
            seconds: own.mean(mean, SHRINK).max(1e-9),
            tries: own.tries,
        }
    }

    /// The mean duration of a kind over all agents in seconds; one if there is no record.
    pub(in crate::routing) fn common_seconds(&self, kind: Option<usize>) -> f64 {
        let common = kind.and_then(|kind| self.kinds.get(kind)).filter(|record| record.tries > 0.0);
        common.map_or(1.0, |record| record.mean(0.0, 0.0).max(1e-9))
    }

    pub(in crate::routing) fn kind(&self, name: &Name) -> Option<usize> {
        self.attempts.kind(name)
    }
}

/// How often a strategy tries agents of which it knows little: a rate between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::routing) struct Exploration(f64);

impl Exploration {
    pub(in crate::routing) const DEFAULT: Self = Self(0.2);
    pub(in crate::routing) const OFF: Self = Self(0.0);

    /// A rate, clamped to 0 to 1.
    pub(in crate::routing) const fn new(rate: f64) -> Self {
        Self(if rate.is_nan() { 0.0 } else { rate.clamp(0.0, 1.0) })
    }

    pub(in crate::routing) const fn rate(self) -> f64 {
        self.0
    }

    /// The number of attempts up to which an agent is tried, of so many attempts of a kind: the rate times the number of bits of
    /// `attempts`, rounded up. Logarithmic exploration is what a bounded regret needs (Lai and Robbins 1985).
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 64")]
    fn share(self, attempts: u64) -> u64 {
        let bits = u64::BITS - attempts.leading_zeros();
        (self.0 * f64::from(bits)).ceil() as u64
    }
}

/// The default penalty: the minimal duration that is assumed for a failed attempt.
pub(in crate::routing) const PENALTY: Duration = Duration::from_secs(10);

/// The default half-life of observations.
pub(in crate::routing) const HALF: Duration = Duration::from_secs(60);

/// The candidate with the smallest cost: among all candidates up to 64, and among a random sample of eight of more.
/// Ties are broken by load.
pub(in crate::routing) fn cheapest<'a, C: PartialOrd>(
    among: &Candidates<'a>,
    random: &mut Random,
    mut cost: impl FnMut(&Candidate<'a>) -> C,
) -> Option<Candidate<'a>> {
    const FEW: usize = 64;
    let better = |best: (C, Candidate<'a>), other: (C, Candidate<'a>)| {
        let tie = other.0 == best.0 && other.1.less_loaded_than(&best.1);
        if other.0 < best.0 || tie { other } else { best }
    };
    let best = if among.eligible_len() <= FEW {
        among.iter().map(|agent| (cost(&agent), agent)).reduce(better)
    } else {
        among.sample::<8>(random).map(|agent| (cost(&agent), agent)).reduce(better)
    };
    best.map(|(_, agent)| agent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exploration_is_logarithmic() {
        let share = |rate, attempts| Exploration::new(rate).share(attempts);
        assert_eq!([0, 1, 2, 3, 500, u64::MAX].map(|attempts| share(1.0, attempts)), [0, 1, 2, 2, 9, 64]);
        assert_eq!([0, 1, 500, u64::MAX].map(|attempts| share(0.2, attempts)), [0, 1, 2, 13]);
        assert_eq!([share(0.0, 500), share(f64::NAN, 500), share(-1.0, 500), share(7.0, 500)], [0, 0, 0, 9]);
    }

    #[test]
    fn few_tries_weigh_little() {
        let mut record = Record::default();
        record.note(Time::ZERO, Duration::from_secs(1), false, HALF);
        assert!(record.rate(1.0, SHRINK) > 0.75);
        for _ in 0..40 {
            record.note(Time::ZERO, Duration::from_secs(1), false, HALF);
        }
        assert!(record.rate(1.0, SHRINK) < 0.1);
        // After an hour the observations have no weight.
        record.note(Time::from_secs(3_600), Duration::from_secs(1), true, HALF);
        assert!(record.rate(1.0, SHRINK) > 0.99);
    }
}
