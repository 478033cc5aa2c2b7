//! Which agent a task goes to.
//!
//! Skills and labels are a hard filter, kept as bits per requirement class; a [`RoutingStrategy`] chooses among the agents
//! that pass it and have room. So a strategy is a few lines: it sees only agents that could take the task now.
//!
//! | strategy | picks | source |
//! |---|---|---|
//! | [`FirstCapable`] | the one at the lowest place | - |
//! | [`RoundRobin`] | each in turn, within a requirement class | - |
//! | [`LeastLoaded`] | the smallest share of capacity in use, ties in turn | join the shortest queue |
//! | [`ByPriority`] | the highest priority, then the least loaded | - |
//! | [`Custom`] | whatever a closure says | - |

mod by_priority;
mod classes;
mod custom;
mod first_capable;
mod fleet;
mod least_loaded;
mod round_robin;

pub use by_priority::ByPriority;
pub(crate) use classes::{ClassKey, Classes};
pub use custom::Custom;
pub use first_capable::FirstCapable;
pub(crate) use fleet::{Fleet, Member};
pub use least_loaded::LeastLoaded;
pub use round_robin::RoundRobin;

use crate::agent::AgentSpec;
use crate::event::Entry;
use crate::id::AgentId;
use crate::structure::{Bits, Random};
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
}

/// The agents that could take a task now: they meet its needs, take work and have room.
#[derive(Clone, Copy)]
pub struct Candidates<'a> {
    fleet: &'a Fleet,
    eligible: &'a Bits,
    class: u32,
}

impl<'a> Candidates<'a> {
    pub(crate) const fn new(fleet: &'a Fleet, eligible: &'a Bits, class: u32) -> Self {
        Self { fleet, eligible, class }
    }

    /// All of them, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = Candidate<'a>> + use<'a> {
        let fleet = self.fleet;
        self.eligible.common(fleet.free()).filter_map(move |place| fleet.at(place)).map(|member| Candidate { member })
    }

    /// The first of them.
    #[must_use]
    pub fn first(&self) -> Option<Candidate<'a>> {
        self.iter().next()
    }

    /// The first of them whose place is after this one, starting over at the end.
    #[must_use]
    pub fn after(&self, place: Option<u32>) -> Option<Candidate<'a>> {
        let from = place.map_or(0, |place| place as usize + 1);
        let place = self
            .eligible
            .next_common(self.fleet.free(), from)
            .or_else(|| self.eligible.next_common(self.fleet.free(), 0))?;
        self.fleet.at(place).map(|member| Candidate { member })
    }

    /// The one with this id, if it is among them.
    #[must_use]
    pub fn get(&self, id: AgentId) -> Option<Candidate<'a>> {
        let place = self.fleet.place_of(id)?;
        let here = self.eligible.contains(place.index()) && self.fleet.free().contains(place.index());
        here.then(|| self.fleet.at(place.index())).flatten().map(|member| Candidate { member })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.eligible.count_common(self.fleet.free())
    }

    /// Whether there are none; a strategy is never asked then.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.eligible.meets(self.fleet.free())
    }

    /// The requirement class of the task: tasks of a class have the same candidates. Small numbers, used again after a
    /// class has gone.
    #[must_use]
    pub const fn class(&self) -> u32 {
        self.class
    }
}

impl fmt::Debug for Candidates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|agent| agent.id())).finish()
    }
}

/// An agent that could take the task now.
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    member: &'a Member,
}

impl<'a> Candidate<'a> {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> AgentId {
        self.member.spec.id
    }

    /// What it is.
    #[must_use]
    pub fn spec(&self) -> &'a AgentSpec {
        &self.member.spec
    }

    /// A small number that is the agent's while it is registered: for tables.
    #[must_use]
    pub const fn place(&self) -> u32 {
        self.member.place
    }

    /// How many attempts it holds.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        u32::try_from(self.member.held.len()).unwrap_or(u32::MAX)
    }

    /// How many more it may hold.
    #[must_use]
    pub fn room(&self) -> u32 {
        self.member.spec.capacity.saturating_sub(self.in_flight())
    }

    /// Whether it has less of its capacity in use than `other`. Exact: no division.
    #[must_use]
    pub fn less_loaded_than(&self, other: &Self) -> bool {
        let mine = u64::from(self.in_flight()) * u64::from(other.member.spec.capacity);
        let others = u64::from(other.in_flight()) * u64::from(self.member.spec.capacity);
        mine < others
    }
}

impl fmt::Debug for Candidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}/{})", self.id(), self.in_flight(), self.member.spec.capacity)
    }
}
