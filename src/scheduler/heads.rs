//! What other engines of a deployment need to know of this one: the next task of each requirement class, and the attempts of an
//! agent.

#[cfg(feature = "threads")]
use super::decide::agent_fits;
use super::index::Room;
use super::ix::{ClassIx, TaskIx};
use super::queue::Rank;
use super::reader::Reader;
use crate::base::id::{AgentId, AttemptId};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::message::effect::Effect;
#[cfg(feature = "threads")]
use crate::message::rejected::Rejected;
use crate::task::Needs;
#[cfg(feature = "threads")]
use crate::task::agent::AgentSpec;

/// The waiting tasks of a requirement class that may begin.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) needs: Needs,
    pub(crate) tenant: Option<Name>,
    /// The position of the next task in the order of the discipline: its virtual deadline, or its tier.
    pub(crate) key: u64,
    /// When the next task was submitted.
    pub(crate) since: Time,
    pub(crate) waiting: u32,
}

impl Reader {
    /// Up to `most` classes with tasks that may begin, those with the first tasks first, and whether there are more.
    pub(crate) fn heads(&self, most: usize) -> (Vec<Head>, bool) {
        let mut ranked: Vec<(Rank, Time, ClassIx)> =
            self.state.index().classes().iter().filter_map(|(class, _)| self.first_of(class)).collect();
        ranked.sort_unstable_by_key(|(rank, _, class)| (*rank, class.index()));
        let more = ranked.len() > most;
        (ranked.into_iter().take(most).filter_map(|ranked| self.head(ranked)).collect(), more)
    }

    fn first_of(&self, class: ClassIx) -> Option<(Rank, Time, ClassIx)> {
        let queues = self.state.queues();
        let ready = queues.ready();
        if !ready.urgent.contains(class.index()) && !ready.rest.contains(class.index()) {
            return None;
        }
        let at: TaskIx = queues.first_where(class, |_| true)?;
        let (_, rank) = queues.position_of(at)?;
        Some((rank, self.state.tasks().get(at)?.submitted, class))
    }

    fn head(&self, (rank, since, class): (Rank, Time, ClassIx)) -> Option<Head> {
        let classes = self.state.index().classes();
        let key = classes.key(class)?;
        let waiting = [Room::Reserved, Room::Open].into_iter().map(|room| classes.waiting(class, room)).sum();
        Some(Head { needs: key.needs.clone(), tenant: key.tenant.clone(), key: rank.key, since, waiting })
    }

    /// Whether the engine would register an agent.
    #[cfg(feature = "threads")]
    pub(crate) fn check_agent(&self, spec: &AgentSpec) -> Result<(), Rejected> {
        agent_fits(&self.config.limits, spec)
    }

    /// The dispatches of the attempts that an agent holds.
    pub(crate) fn dispatches_to(&self, agent: AgentId) -> Vec<(AttemptId, Effect)> {
        let held = self.state.index().fleet().by_id(agent).map(|member| member.held.as_slice()).unwrap_or_default();
        let mut ids: Vec<_> = held.iter().filter_map(|at| Some(self.state.tasks().get(*at)?.id())).collect();
        ids.sort_unstable();
        let effects = self.effects();
        ids.into_iter().filter_map(|id| effects.dispatch_of(id)).collect()
    }
}
