//! Routing of tasks to agents.
//!
//! Skills and labels are a filter, stored as a bit set per requirement class. A [`RoutingStrategy`] chooses among the
//! agents that pass the filter and have room, so its candidates can all take the task.
//!
//! | strategy | picks | source |
//! |---|---|---|
//! | [`FirstCapable`] | the agent with the lowest index; packs the fleet | - |
//! | [`BestMatch`] | the highest or the lowest sufficient skill levels | filter, then score |
//! | [`RoundRobin`] | agents in turn, by requirement class | - |
//! | [`WeightedRoundRobin`] | agents in turn, in proportion to weights | smooth weighted round robin, nginx 2012 |
//! | [`LeastLoaded`] | the smallest share of capacity in use, ties in turn; the default | join the shortest queue |
//! | [`TwoChoices`] | the less loaded of two random candidates | Mitzenmacher 2001 |
//! | [`PeakEwma`] | the one of two random candidates with less latency times load | Finagle 2015 |
//! | [`Performance`] | the smallest expected time to a success, learned by agent and kind | empirical Bayes, Efron and Morris 1977 |
//! | [`CostAware`] | the cheapest that meets the deadline, else the fastest | constrained choice |
//! | [`MultiFactor`] | the highest weighted score, times the square of the success rate | - |
//! | [`ConsistentHash`] | the session's agent on a hash ring, within a load bound | Karger 1997, Mirrokni 2016 |
//! | [`Maglev`] | the session's agent in a lookup table | Eisenbud 2016 |
//! | [`Affine`] | according to the task's affinity, else the pick of an inner strategy | - |
//! | [`LinUcb`] | the highest predicted reward plus a bonus for uncertainty | Li 2010 |
//! | [`Auction`] | the lowest bid, at the price of the second lowest | Vickrey 1961 |
//! | [`Trails`] | at random, by the strength of pheromone trails | ant system, Dorigo 1996 |
//! | [`Adaptive`] | the pick of the strategy for the measured situation | a table with hysteresis |
//! | [`ByPriority`] | the highest priority, then the least loaded | - |
//! | [`Custom`] | the result of a closure | - |
//!
//! [`LeastLoaded`] suffices for a single scheduler. Outlier ejection
//! ([`Config::with_outlier_ejection`](crate::Config::with_outlier_ejection)) keeps work away from failing agents.
//! [`TwoChoices`] is for agents that several schedulers share. [`Roster`] offers routing without a scheduler. A
//! [`SkillMap`] defines which skills imply which others. An [`Estimator`], such as [`Credibility`], estimates the
//! durations of tasks for disciplines that depend on them.
//!
//! What learns from events is behind the feature `learning`: [`Adaptive`], [`CostAware`], [`Credibility`], [`LinUcb`],
//! [`MultiFactor`], [`PeakEwma`] and [`Performance`]. [`Auction`] and [`Trails`] are behind `coordination`.

mod affine;
#[cfg(feature = "coordination")]
mod auction;
mod by_priority;
mod capability;
mod custom;
mod estimate;
mod first_capable;
mod hashing;
#[cfg(feature = "learning")]
mod learned;
mod least_loaded;
mod round_robin;
#[cfg(feature = "coordination")]
mod trails;
mod two_choices;
mod view;
mod weighted_round_robin;

pub use affine::Affine;
#[cfg(feature = "coordination")]
pub use auction::{Auction, Award, Bidder};
pub use by_priority::ByPriority;
pub use capability::BestMatch;
pub use custom::Custom;
pub use estimate::Estimator;
pub use first_capable::FirstCapable;
pub use hashing::{ConsistentHash, Maglev};
#[cfg(feature = "learning")]
pub use learned::{
    Adaptive, Breakdown, CostAware, Credibility, Factor, LinUcb, MultiFactor, PeakEwma, Performance, Situation,
    WeightError, Weights,
};
pub use least_loaded::LeastLoaded;
pub use round_robin::RoundRobin;
#[cfg(feature = "coordination")]
pub use trails::Trails;
pub use two_choices::TwoChoices;
pub(crate) use view::{AgentIx, AgentLoad, Eligible, LoadTable, Occupancy};
pub use view::{AgentSet, Candidate, Candidates, Roster, RosterClass, SkillMap};
pub use weighted_round_robin::WeightedRoundRobin;

use crate::base::id::AgentId;
use crate::base::structure::Random;
use crate::message::event::Entry;
use crate::task::TaskSpec;
use core::fmt;

/// Chooses an agent for a task.
///
/// A strategy may learn from events. What it has learned is not part of the engine's state and does not affect replay,
/// and a host may restart with another strategy.
///
/// ```
/// use counterpoint::routing::{Candidates, RoutingStrategy};
/// use counterpoint::{AgentId, Random, TaskSpec};
///
/// /// The agent with the most room.
/// #[derive(Debug)]
/// struct MostRoom;
///
/// impl RoutingStrategy for MostRoom {
///     fn name(&self) -> &str {
///         "most room"
///     }
///
///     fn pick(&mut self, _: &TaskSpec, among: &Candidates<'_>, _: &mut Random) -> Option<AgentId> {
///         among.iter().max_by_key(|agent| agent.room()).map(|agent| agent.id())
///     }
/// }
/// ```
pub trait RoutingStrategy: Send + fmt::Debug {
    /// Its name, for reports.
    fn name(&self) -> &str;

    /// Picks the agent for the task, one of `among`, which is never empty. With none, the task waits until one of its
    /// agents gets room or is updated.
    fn pick(&mut self, task: &TaskSpec, among: &Candidates<'_>, random: &mut Random) -> Option<AgentId>;

    /// Observes every entry, for learning, also while a journal is replayed.
    fn observe(&mut self, entry: &Entry) {
        let _ = entry;
    }

    /// An explanation of its current behaviour; none if the name suffices.
    fn explain(&self) -> Option<String> {
        None
    }

    /// The change of its behaviour since the last call, if there was one. Called after every entry; the change is
    /// recorded as an event.
    fn rerouted(&mut self) -> Option<Rerouting> {
        None
    }
}

/// A change of a strategy's behaviour.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rerouting {
    /// A description of the new behaviour.
    pub to: String,
    /// The reason of the change.
    pub reason: String,
}

impl Rerouting {
    /// A change to this behaviour for this reason.
    #[must_use]
    pub fn new(to: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { to: to.into(), reason: reason.into() }
    }
}

impl<S: RoutingStrategy + ?Sized> RoutingStrategy for Box<S> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn pick(&mut self, task: &TaskSpec, among: &Candidates<'_>, random: &mut Random) -> Option<AgentId> {
        (**self).pick(task, among, random)
    }

    fn observe(&mut self, entry: &Entry) {
        (**self).observe(entry);
    }

    fn explain(&self) -> Option<String> {
        (**self).explain()
    }

    fn rerouted(&mut self) -> Option<Rerouting> {
        (**self).rerouted()
    }
}
