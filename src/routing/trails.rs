//! Ant-colony routing.

use super::learned::{Attempts, ByAgent, End, Record, Seen};
use super::{Candidate, Candidates, RoutingStrategy};
use crate::base::id::AgentId;
use crate::base::structure::Random;
use crate::base::time::{Time, nanos_of};
use crate::coordination::stigmergy::{self, Rules, Trail};
use crate::message::event::Entry;
use crate::task::TaskSpec;
use core::time::Duration;

/// Draws an agent with probabilities by pheromone trails from the kind of task to the agents: each success reinforces a
/// trail, the more the faster it was, and trails evaporate over time (ant system, Dorigo 1996). Agents with more room
/// are preferred.
///
/// A success adds the deposit times the ratio of the kind's mean duration to its own, at most four deposits; a failure
/// adds nothing. The deposits of an agent are multiplied by the mean rating of its results. Trails do not evaporate below a
/// floor, so that an agent that has failed is tried again. Evaluates all candidates up to 64, and a random sample of eight
/// of more.
///
/// The strategy adapts to changes and specialises agents by kind. If agents are alike,
/// [`LeastLoaded`](super::LeastLoaded) has shorter waits.
///
/// ```
/// use counterpoint::Config;
/// use counterpoint::coordination::stigmergy::{Config as Field, Rules};
/// use counterpoint::routing::Trails;
/// use std::time::Duration;
///
/// let slowly = Rules::new(Field::default().with_evaporation(0.01).with_floor(0.1))?;
/// let config = Config::default().with_strategy(Trails::default().with_rules(slowly).with_tick(Duration::from_secs(10)));
/// # Ok::<(), counterpoint::BadConfig>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Trails {
    rules: Rules,
    tick: Duration,
    alpha: f64,
    beta: f64,
    attempts: Attempts,
    /// By agent, then by kind.
    trails: ByAgent<Vec<Option<Trail>>>,
    /// The ratings, by agent, then by kind.
    ratings: ByAgent<Vec<Record>>,
    /// The durations over all agents, by kind.
    kinds: Vec<Record>,
}

/// The half-life of the mean durations.
const MEMORY: Duration = Duration::from_secs(600);

/// The largest reinforcement by a success, in deposits.
const MOST: f64 = 4.0;

/// The largest number of candidates that are all evaluated.
const FEW: usize = 64;

impl Default for Trails {
    /// Evaporation of a tenth per second, a deposit of 2, a floor of a tenth of the initial strength, and exponents of
    /// 1 for trails and 2 for room.
    fn default() -> Self {
        let rules = Rules::new(stigmergy::Config::default().with_floor(0.1)).unwrap_or_default();
        Self {
            rules,
            tick: Duration::from_secs(1),
            alpha: 1.0,
            beta: 2.0,
            attempts: Attempts::default(),
            trails: ByAgent::default(),
            ratings: ByAgent::default(),
            kinds: Vec::new(),
        }
    }
}

impl Trails {
    /// Sets the rules of evaporation and reinforcement.
    #[must_use]
    pub const fn with_rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// Sets the tick: the period of one evaporation, at least a nanosecond.
    #[must_use]
    pub const fn with_tick(mut self, tick: Duration) -> Self {
        self.tick = tick;
        self
    }

    /// Sets the exponents of a trail's strength and of an agent's share of free room. Negative numbers and NaN count as
    /// 0.
    #[must_use]
    pub const fn with_exponents(mut self, trail: f64, room: f64) -> Self {
        (self.alpha, self.beta) = (trail.max(0.0), room.max(0.0));
        self
    }

    /// The strength of the trail from a kind of tasks to an agent.
    #[must_use]
    pub fn strength(&self, kind: &crate::Name, agent: AgentId, now: Time) -> f64 {
        self.level(self.attempts.kind(kind), agent, now)
    }

    fn level(&self, kind: Option<usize>, agent: AgentId, now: Time) -> f64 {
        let trail = kind.and_then(|kind| *self.trails.get(agent)?.get(kind)?);
        trail.unwrap_or_else(|| Trail::new(&self.rules)).level(&self.rules, self.ticks(now))
    }

    fn ticks(&self, now: Time) -> u64 {
        now.as_nanos() / nanos_of(self.tick).max(1)
    }

    /// Reinforces a trail after a success of this duration.
    fn lay(&mut self, agent: AgentId, kind: usize, took: Duration, now: Time) {
        if kind >= self.kinds.len() {
            self.kinds.resize(kind + 1, Record::default());
        }
        let mut share = 1.0;
        if let Some(record) = self.kinds.get_mut(kind) {
            record.note(now, took, true, MEMORY);
            share = (record.mean(0.0, 0.0) / took.as_secs_f64().max(1e-9)).min(MOST);
        }
        let rated = self.ratings.get(agent).and_then(|ratings| ratings.get(kind)).copied().unwrap_or_default();
        let share = share * rated.rating(1.0, 2.0);
        let (rules, tick) = (self.rules, self.ticks(now));
        self.trails.change(agent, |trails| {
            if kind >= trails.len() {
                trails.resize(kind + 1, None);
            }
            if let Some(trail) = trails.get_mut(kind) {
                trail.get_or_insert_with(|| Trail::new(&rules)).deposit(&rules, rules.config().deposit * share, tick);
            }
        });
    }
}

impl RoutingStrategy for Trails {
    fn name(&self) -> &'static str {
        "trails"
    }

    fn pick(&mut self, task: &TaskSpec, among: &Candidates<'_>, random: &mut Random) -> Option<AgentId> {
        let kind = self.attempts.kind(&task.kind);
        let few: Vec<Candidate<'_>> =
            if among.eligible_len() <= FEW { among.iter().collect() } else { among.sample::<8>(random).collect() };
        let choices: Vec<(f64, f64)> = few
            .iter()
            .map(|agent| (self.level(kind, agent.id(), among.now()), 1.0 - agent.utilisation().min(1.0)))
            .collect();
        let chances = stigmergy::chances(&choices, self.alpha, self.beta);
        few.get(stigmergy::draw(&chances, random)?).map(Candidate::id)
    }

    fn observe(&mut self, entry: &Entry) {
        self.trails.note(entry);
        self.ratings.note(entry);
        match self.attempts.note(entry) {
            Some(Seen::Ended { kind, agent, took, end: End::Succeeded, .. }) => self.lay(agent, kind, took, entry.at),
            Some(Seen::Rated { kind, agent, rating, .. }) => self.ratings.change(agent, |ratings| {
                let least = ratings.len().max(kind + 1);
                ratings.resize(least, Record::default());
                ratings.get_mut(kind).into_iter().for_each(|record| record.note_rating(entry.at, rating, MEMORY));
            }),
            Some(Seen::Ended { .. } | Seen::Began { .. }) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Roster;
    use super::*;
    use crate::base::id::TaskId;
    use crate::task::Needs;
    use crate::task::agent::AgentSpec;

    #[test]
    fn work_goes_where_it_went_well_and_comes_back_when_that_changes() {
        let mut roster = Roster::default();
        (0..4).for_each(|id| roster.add(AgentSpec::new(AgentId::new(id)).with_capacity(4)));
        let class = roster.class(&Needs::nothing());
        let mut trails = Trails::default();
        let task = TaskSpec::new(TaskId::new(1), "sort");
        trails.attempts.note(&Entry {
            seq: crate::Seq::new(1),
            at: Time::ZERO,
            event: crate::message::TaskEvent::Submitted {
                spec: std::sync::Arc::new(task.clone()),
                replays: None,
                expected: None,
            }
            .of(task.id),
        });
        // Agent 2 takes a second, the others four; after 300 s agent 0 is the fast one.
        let mut counts = [[0_u32; 4]; 2];
        for second in 0..600 {
            let now = Time::from_secs(second);
            let picked = trails.pick(&task, &roster.among(class, now).unwrap(), &mut Random::new(7, second)).unwrap();
            let quick = AgentId::new(if second < 300 { 2 } else { 0 });
            trails.lay(picked, 0, Duration::from_secs(if picked == quick { 1 } else { 4 }), now);
            if second % 300 >= 150 {
                let half = usize::from(second >= 300);
                counts[half][usize::try_from(picked.get()).unwrap()] += 1;
            }
        }
        assert!(counts[0][2] > 120, "{counts:?}");
        assert!(counts[1][0] > 120, "{counts:?}");
    }
}
