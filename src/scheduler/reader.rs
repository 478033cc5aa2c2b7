//! Read access to the tasks and agents of a scheduler or an engine.

use super::apply::State;
use super::config::Config;
use super::contained::{Callback, ContainedEstimator, Quarantined};
use super::effects::Effects;
use super::index::Member;
use super::ix::AccountIx;
use super::standing::Standing;
use super::view::{AccountView, AgentView, Routability, TaskView};
use super::waits::TaskWait;
use crate::base::id::{AgentId, TaskId};
use crate::base::limits::Limits;
use crate::base::name::Name;
use crate::base::structure::Anomalies;
use crate::base::time::Time;
use crate::message::effect::{Effect, Outbox};
use crate::routing::{RoutingStrategy, SkillMap};
use crate::task::{Identity, Needs};
use core::fmt;
use std::sync::Arc;

/// Read access to the tasks and agents of a [`Scheduler`](crate::Scheduler) or an [`Engine`](crate::Engine). Both
/// dereference to it, so a function that takes a `&Reader` accepts both.
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
    /// The latest time of any call or entry.
    pub(super) now: Time,
    /// The journal and the environment, once the journal is identified.
    identity: Option<Arc<Identity>>,
}

impl Reader {
    pub(super) fn new(state: State, config: Config) -> Self {
        let mut reader = Self { state, config, anomalies: Anomalies::default(), now: Time::ZERO, identity: None };
        reader.identify();
        reader
    }

    /// Computes the identity from the journal, which is in the state, and the environment, which is configured.
    pub(super) fn identify(&mut self) {
        let environment = self.config.identity.environment.clone();
        self.identity = self.state.standing().journal.map(|journal| Arc::new(Identity { journal, environment }));
    }

    /// The journal and the environment, in which the idempotency keys of tasks are unique. None until the journal is
    /// [identified](crate::ControlCommand::Identify).
    #[must_use]
    pub const fn identity(&self) -> Option<&Arc<Identity>> {
        self.identity.as_ref()
    }

    /// The task with this id; none if it is unknown or was forgotten.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<TaskView<'_>> {
        self.state.tasks().by_id(id).map(TaskView::new)
    }

    /// All known tasks, in no particular order.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = TaskView<'_>> {
        self.state.tasks().iter().map(|(_, task)| TaskView::new(task))
    }

    /// What a task waits for: the answer of the agent that holds its attempt, or the reason for which it has not begun.
    /// None if it has ended or is unknown.
    #[must_use]
    pub fn waits_for(&self, task: TaskId) -> Option<TaskWait> {
        self.wait_of(task, self.now).map(|(wait, _)| wait)
    }

    /// The agent with this id, if it is registered.
    #[must_use]
    pub fn agent(&self, id: AgentId) -> Option<AgentView<'_>> {
        self.state.index().fleet().by_id(id).map(AgentView::new)
    }

    /// All registered agents, in the order of their indexes.
    pub fn agents(&self) -> impl Iterator<Item = AgentView<'_>> {
        self.state.index().fleet().iter().map(|(_, member)| AgentView::new(member))
    }

    /// The tenants that have tasks, or had some recently, in the order of their indexes. The tenant with the empty name
    /// stands for the tasks without a tenant.
    pub fn tenants(&self) -> impl Iterator<Item = AccountView<'_>> {
        let queues = self.state.queues();
        queues.tenants().map(|(at, account)| AccountView::new(account, queues.queued_of(AccountIx::Tenant(at))))
    }

    /// The kinds that have tasks, or had some recently, in the order of their indexes.
    pub fn kinds(&self) -> impl Iterator<Item = AccountView<'_>> {
        let queues = self.state.queues();
        queues.kinds().map(|(at, account)| AccountView::new(account, queues.queued_of(AccountIx::Kind(at))))
    }

    /// The decisions of guards that concern the whole scheduler, and the jump of its host's clock.
    #[must_use]
    pub const fn standing(&self) -> &Standing {
        self.state.standing()
    }

    /// The configured bounds.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// The shared resources, each with the amount in use and the total.
    pub fn shared(&self) -> impl Iterator<Item = (&Name, u64, u64)> {
        self.state.index().pools().iter()
    }

    /// The number of tasks that wait for an agent, by tier.
    #[must_use]
    pub const fn queued(&self) -> [usize; 4] {
        self.state.queues().by_tier()
    }

    /// Whether any agent, whatever tenants it serves, meets these needs, and whether one that does has room. Evaluates every agent.
    #[must_use]
    pub fn routability(&self, needs: &Needs) -> Routability {
        let mut able = self.able(needs);
        let Some(first) = able.next() else { return Routability::NoAgent };
        if first.has_room() || able.any(Member::has_room) { Routability::Ready } else { Routability::AllBusy }
    }

    /// Whether an online agent other than these meets the needs and serves the tenant.
    pub(crate) fn is_able_without(&self, not: &[AgentId], needs: &Needs, tenant: Option<&Name>) -> bool {
        self.able(needs).any(|member| !not.contains(&member.spec.id) && member.spec.serves(tenant))
    }

    /// Which skills imply which.
    pub(crate) const fn skills(&self) -> &SkillMap {
        self.state.index().classes().skills()
    }

    fn able(&self, needs: &Needs) -> impl Iterator<Item = &Member> {
        let skills = self.skills();
        let members = self.state.index().fleet().iter().map(|(_, member)| member);
        members.filter(|member| member.is_online() && skills.met_by(needs, &member.spec))
    }

    /// The routing strategies, for their names and [explanations](RoutingStrategy::explain): first the general one,
    /// then those of single kinds.
    pub fn strategies(&self) -> impl Iterator<Item = (Option<&Name>, &dyn RoutingStrategy)> {
        let of = |strategy| -> &dyn RoutingStrategy { strategy };
        let of_kinds = self.config.routing.by_kind.iter().map(move |(kind, strategy)| (Some(kind), of(strategy)));
        core::iter::once((None, of(&self.config.routing.strategy))).chain(of_kinds)
    }

    /// The callbacks of the host that have panicked and are not called any more.
    #[must_use]
    pub fn quarantined(&self) -> Vec<Quarantined> {
        let routing = &self.config.routing;
        let general = routing.strategy.panic().map(|panic| Quarantined::new(Callback::Strategy(None), panic));
        let of_kinds = routing.by_kind.iter().filter_map(|(kind, strategy)| {
            Some(Quarantined::new(Callback::Strategy(Some(kind.clone())), strategy.panic()?))
        });
        let estimator = routing.estimator.as_ref().and_then(ContainedEstimator::panic);
        let estimator = estimator.map(|panic| Quarantined::new(Callback::Estimator, panic));
        let functions = self.config.functions();
        let predicates = functions.predicates_that_panicked();
        let predicates = predicates.map(|(name, panic)| Quarantined::new(Callback::Predicate(name.clone()), panic));
        let reducers = functions.reducers_that_panicked();
        let reducers = reducers.map(|(name, panic)| Quarantined::new(Callback::Reducer(name.clone()), panic));
        general.into_iter().chain(of_kinds).chain(estimator).chain(predicates).chain(reducers).collect()
    }

    /// The dead letters, the oldest first.
    pub fn dead_letters(&self) -> impl Iterator<Item = TaskView<'_>> {
        self.state.tasks().dead().iter().filter_map(|id| self.task(*id))
    }

    /// The effects whose answers are outstanding, derived from the state: dispatches of the attempts that agents hold,
    /// and unanswered requests.
    #[must_use]
    pub fn outstanding(&self) -> Vec<Effect> {
        let mut out = Outbox::default();
        self.effects().outstanding(&mut out);
        out.effects().to_vec()
    }

    /// The broken invariants that were found in the state. Each is a bug of this crate.
    #[must_use]
    pub const fn anomalies(&self) -> &Anomalies {
        &self.anomalies
    }

    pub(super) const fn effects(&self) -> Effects<'_> {
        Effects { state: &self.state, grace: self.config.limits.cancel_grace, identity: self.identity.as_ref() }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("queued", &self.queued()).finish_non_exhaustive()
    }
}
