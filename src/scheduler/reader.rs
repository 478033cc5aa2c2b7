//! What can be read of tasks and agents, of a scheduler and of an engine alike.

use super::apply::State;
use super::config::Config;
use super::effects::Effects;
use super::index::Member;
use super::ix::AccountIx;
use super::standing::Standing;
use super::view::{AccountView, AgentView, Routability, TaskView};
use super::waits::TaskWait;
use crate::base::id::{AgentId, TaskId};
use crate::base::name::Name;
use crate::base::structure::Anomalies;
use crate::base::time::Time;
use crate::message::effect::{Effect, Outbox};
use crate::routing::RoutingStrategy;
use crate::task::Needs;
use core::fmt;

/// What can be read of the tasks and agents of a [`Scheduler`](crate::Scheduler) or an [`Engine`](crate::Engine), which
/// both dereference to it. A function that only reads tasks and agents takes a `&Reader` and serves both.
///
/// ```
/// use counterpoint::scheduler::Reader;
/// use counterpoint::{Config, Engine, Scheduler};
///
/// fn waiting(reader: &Reader) -> usize {
///     reader.queued().iter().sum()
/// }
///
/// assert_eq!(waiting(&Engine::new(Config::default())), 0);
/// assert_eq!(waiting(&Scheduler::new(Config::default())), 0);
/// ```
pub struct Reader {
    pub(super) state: State,
    pub(super) config: Config,
    pub(super) anomalies: Anomalies,
    /// The latest time that is known.
    pub(super) now: Time,
}

impl Reader {
    pub(super) fn new(state: State, config: Config) -> Self {
        Self { state, config, anomalies: Anomalies::default(), now: Time::ZERO }
    }

    /// The task with this id, unless it is unknown or forgotten.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<TaskView<'_>> {
        self.state.tasks().by_id(id).map(TaskView::new)
    }

    /// All known tasks, in no order that means anything.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = TaskView<'_>> {
        self.state.tasks().iter().map(|(_, task)| TaskView::new(task))
    }

    /// What a task waits for, unless it has ended: the agent that has it, or else the obstacle that keeps it from beginning.
    #[must_use]
    pub fn waits_for(&self, task: TaskId) -> Option<TaskWait> {
        self.wait_of(task, self.now).map(|(wait, _)| wait)
    }

    /// The agent with this id, if it is registered.
    #[must_use]
    pub fn agent(&self, id: AgentId) -> Option<AgentView<'_>> {
        self.state.index().fleet().by_id(id).map(AgentView::new)
    }

    /// All registered agents, in the order of their places.
    pub fn agents(&self) -> impl Iterator<Item = AgentView<'_>> {
        self.state.index().fleet().iter().map(|(_, member)| AgentView::new(member))
    }

    /// The tenants that have tasks, or had some lately, in the order of their places; one with an empty name stands for
    /// the tasks without a tenant.
    pub fn tenants(&self) -> impl Iterator<Item = AccountView<'_>> {
        let queues = self.state.queues();
        queues.tenants().map(|(at, account)| AccountView::new(account, queues.queued_of(AccountIx::Tenant(at))))
    }

    /// The kinds that have tasks, or had some lately, in the order of their places.
    pub fn kinds(&self) -> impl Iterator<Item = AccountView<'_>> {
        let queues = self.state.queues();
        queues.kinds().map(|(at, account)| AccountView::new(account, queues.queued_of(AccountIx::Kind(at))))
    }

    /// What guards have decided for the scheduler as a whole.
    #[must_use]
    pub const fn standing(&self) -> &Standing {
        self.state.standing()
    }

    /// The resources that all agents share, each with how much of it is in use and how much there is.
    pub fn shared(&self) -> impl Iterator<Item = (&Name, u64, u64)> {
        self.state.index().pools().iter()
    }

    /// How many tasks wait for an agent, by tier.
    #[must_use]
    pub const fn queued(&self) -> [usize; 4] {
        self.state.queues().by_tier()
    }

    /// Whether an agent could do work with these needs: tells work that no agent can do from work that has to wait.
    /// Evaluates every agent.
    #[must_use]
    pub fn routability(&self, needs: &Needs) -> Routability {
        let mut able = self.able(needs);
        let Some(first) = able.next() else { return Routability::NoAgent };
        if first.has_room() || able.any(Member::has_room) { Routability::Ready } else { Routability::AllBusy }
    }

    /// Whether an agent that takes work could do work with these needs, other than these.
    pub(crate) fn is_able_without(&self, not: &[AgentId], needs: &Needs) -> bool {
        self.able(needs).any(|member| !not.contains(&member.spec.id))
    }

    fn able(&self, needs: &Needs) -> impl Iterator<Item = &Member> {
        let skills = self.state.index().classes().skills();
        let members = self.state.index().fleet().iter().map(|(_, member)| member);
        members.filter(|member| member.is_online() && skills.met_by(needs, &member.spec))
    }

    /// The routing strategies, for their names and what they [explain](RoutingStrategy::explain): that of all kinds
    /// without one of their own first, then those of single kinds.
    pub fn strategies(&self) -> impl Iterator<Item = (Option<&Name>, &dyn RoutingStrategy)> {
        let of_kinds = self.config.by_kind.iter().map(|(kind, strategy)| (Some(kind), &**strategy));
        core::iter::once((None, &*self.config.strategy)).chain(of_kinds)
    }

    /// The dead letters, the oldest first.
    pub fn dead_letters(&self) -> impl Iterator<Item = TaskView<'_>> {
        self.state.tasks().dead().iter().filter_map(|id| self.task(*id))
    }

    /// What agents still have to be sent, derived from the state alone: the attempts that they hold, and the requests that
    /// they have not answered.
    #[must_use]
    pub fn outstanding(&self) -> Vec<Effect> {
        let mut out = Outbox::default();
        self.effects().outstanding(&mut out);
        out.effects().to_vec()
    }

    /// The broken invariants that have been found in the state. There are none unless this crate has a bug.
    #[must_use]
    pub const fn anomalies(&self) -> &Anomalies {
        &self.anomalies
    }

    pub(super) const fn effects(&self) -> Effects<'_> {
        Effects { state: &self.state, grace: self.config.limits.cancel_grace }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("queued", &self.queued()).finish_non_exhaustive()
    }
}
