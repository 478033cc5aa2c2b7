//! Which agent a task goes to.
//!
//! Skills and labels are a hard filter, kept as bits per requirement class; a [`RoutingStrategy`] chooses among the agents
//! that pass it and have room. So a strategy is a few lines: it sees only agents that could take the task now.
//!
//! | strategy | picks | source |
//! |---|---|---|
//! | [`FirstCapable`] | the one at the lowest place: packs | - |
//! | [`BestMatch`] | the most skilled, or the one just good enough | filter, then score |
//! | [`RoundRobin`] | each in turn, within a requirement class | - |
//! | [`WeightedRoundRobin`] | each in turn, by weight, spread evenly | smooth weighted round robin, nginx 2012 |
//! | [`LeastLoaded`] | the smallest share of capacity in use, ties in turn; the default | join the shortest queue |
//! | [`TwoChoices`] | the less loaded of two | Mitzenmacher 2001 |
//! | [`PeakEwma`] | the quicker of two, by latency and load | Finagle 2015 |
//! | [`Performance`] | the soonest success, learned by agent and kind | empirical Bayes, Efron and Morris 1977 |
//! | [`CostAware`] | the cheapest that is in time, else the fastest | constrained choice |
//! | [`MultiFactor`] | the highest score of weighted factors, times the chance of success | - |
//! | [`ConsistentHash`] | the session's agent on a ring, within a bound | Karger 1997, Mirrokni 2016 |
//! | [`Maglev`] | the session's agent in a table | Eisenbud 2016 |
//! | [`Affine`] | what the task wishes for, else another strategy's | - |
//! | [`LinUcb`] | the highest reward predicted, with a bonus for doubt | Li 2010 |
//! | [`Auction`] | the lowest bid, owed the second lowest | Vickrey 1961 |
//! | [`Trails`] | by how well the way from kind to agent is trodden | ant system, Dorigo 1996 |
//! | [`Adaptive`] | what the strategy for the situation picks, with a reason | a table with hysteresis |
//! | [`ByPriority`] | the highest priority, then the least loaded | - |
//! | [`Custom`] | whatever a closure says | - |
//!
//! One scheduler that counts what it hands out needs no more than [`LeastLoaded`]; where agents can break, outlier ejection
//! ([`Config::with_outlier_ejection`](crate::Config::with_outlier_ejection)) keeps work away from them. Two choices are for agents that several schedulers share. [`Roster`] offers all
//! this without a scheduler. [`SkillMap`] says which skills stand for which others.
//! An [`Estimator`], such as [`Credibility`], says how long a task will take, for orders of waiting that go by it.

mod adaptive;
mod affine;
#[cfg(feature = "coordination")]
mod auction;
mod bandit;
mod by_priority;
mod capability;
mod cost_aware;
mod custom;
mod estimate;
mod first_capable;
mod hashing;
mod learned;
mod least_loaded;
mod peak_ewma;
mod performance;
mod round_robin;
mod score;
#[cfg(feature = "coordination")]
mod trails;
mod two_choices;
mod view;
mod weighted_round_robin;

pub use adaptive::{Adaptive, Situation};
pub use affine::Affine;
#[cfg(feature = "coordination")]
pub use auction::{Auction, Award, Bidder};
pub use bandit::LinUcb;
pub use by_priority::ByPriority;
pub use capability::BestMatch;
pub use cost_aware::CostAware;
pub use custom::Custom;
pub use estimate::{Credibility, Estimator};
pub use first_capable::FirstCapable;
pub use hashing::{ConsistentHash, Maglev};
pub use least_loaded::LeastLoaded;
pub use peak_ewma::PeakEwma;
pub use performance::Performance;
pub use round_robin::RoundRobin;
pub use score::{Breakdown, Factor, MultiFactor, WeightError, Weights};
#[cfg(feature = "coordination")]
pub use trails::Trails;
pub use two_choices::TwoChoices;
pub(crate) use view::{AgentIx, AgentLoad, Eligible, LoadTable, Occupancy};
pub use view::{Candidate, Candidates, Places, Roster, RosterClass, SkillMap};
pub use weighted_round_robin::WeightedRoundRobin;

use crate::base::id::AgentId;
use crate::base::structure::Random;
use crate::message::event::Entry;
use crate::task::TaskSpec;
use core::fmt;

/// Chooses an agent for a task.
///
/// It may keep what it learns: what it holds is no part of the engine's state, decides nothing on replay, and may be
/// replaced between two starts of a host.
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
    /// For people and reports.
    fn name(&self) -> &str;

    /// The agent that the task shall go to, one of `among`, which is never empty. None leaves the task waiting until one
    /// of its agents has room again or changes.
    fn pick(&mut self, task: &TaskSpec, among: &Candidates<'_>, random: &mut Random) -> Option<AgentId>;

    /// Sees every fact, so that it can learn; also when a journal is replayed.
    fn observe(&mut self, entry: &Entry) {
        let _ = entry;
    }

    /// Why it chooses as it does at present, for people; none if there is nothing to say beyond its name.
    fn explain(&self) -> Option<String> {
        None
    }

    /// Whether it has changed its mind since it was last asked this; asked after every fact, so that the change becomes
    /// one, too.
    fn turned(&mut self) -> Option<Turn> {
        None
    }
}

/// A strategy routes otherwise from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Turn {
    /// How it routes now.
    pub to: String,
    /// Why.
    pub why: String,
}

impl Turn {
    /// From now on so, for that reason.
    #[must_use]
    pub fn new(to: impl Into<String>, why: impl Into<String>) -> Self {
        Self { to: to.into(), why: why.into() }
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

    fn turned(&mut self) -> Option<Turn> {
        (**self).turned()
    }
}
