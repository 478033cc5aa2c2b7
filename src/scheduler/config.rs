//! The configuration of a scheduler. The journal does not store it.

use super::contained::{ContainedEstimator, ContainedStrategy};
use super::decide::{Admission, Recovery};
use super::guards::Settings;
use super::preemption::Preemption;
use super::queue::{Batch, Discipline, Quota, Quotas};
use crate::base::id::IdForm;
use crate::base::limits::Limits;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::routing::{Estimator, LeastLoaded, RoutingStrategy, SkillMap};
use crate::task::JournalId;
use crate::workflow::functions::Functions;
use core::fmt;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The configuration of a scheduler or an engine. The journal does not store it: a host may restart with another
/// discipline, other strategies or other limits.
///
/// ```
/// use counterpoint::routing::RoundRobin;
/// use counterpoint::{Config, Limits};
/// use counterpoint::scheduler::Discipline;
///
/// let config = Config::default()
///     .with_seed(42)
///     .with_discipline(Discipline::Strict)
///     .with_strategy(RoundRobin::default())
///     .with_limits(Limits::default().with_active_tasks(10_000));
/// ```
pub struct Config {
    pub(super) seed: u64,
    pub(super) discipline: Discipline,
    pub(super) limits: Limits,
    pub(super) story: usize,
    pub(super) routing: Routing,
    pub(super) preemption: Option<Preemption>,
    pub(super) admission: Admission,
    pub(super) tenants: Quotas,
    pub(super) kinds: Quotas,
    pub(super) pools: BTreeMap<Name, u64>,
    pub(super) batches: BTreeMap<Name, Batch>,
    pub(super) guards: Settings,
    pub(super) recovery: Recovery,
    pub(super) identity: OutsideIdentity,
    ids: IdForm,
    functions: Arc<Functions>,
}

impl Config {
    /// Sets the seed of all random draws. The default is 0.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// In which order tasks wait.
    #[must_use]
    pub const fn with_discipline(mut self, discipline: Discipline) -> Self {
        self.discipline = discipline;
        self
    }

    /// The bounds.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the routing strategy: which of the eligible agents gets a task. The default is [`LeastLoaded`].
    #[must_use]
    pub fn with_strategy(mut self, strategy: impl RoutingStrategy + 'static) -> Self {
        self.routing.strategy = ContainedStrategy::new(strategy);
        self
    }

    /// Sets the routing strategy for tasks of this kind. It takes precedence over
    /// [`with_strategy`](Self::with_strategy).
    #[must_use]
    pub fn with_strategy_for(mut self, kind: impl Into<Name>, strategy: impl RoutingStrategy + 'static) -> Self {
        self.routing.by_kind.insert(kind.into(), ContainedStrategy::new(strategy));
        self
    }

    /// Sets the estimator of how long tasks take. The default is a task's own [`estimate`](crate::TaskSpec::estimate).
    #[must_use]
    pub fn with_estimator(mut self, estimator: impl Estimator + 'static) -> Self {
        self.routing.estimator = Some(ContainedEstimator::new(estimator));
        self
    }

    /// Sets which skills imply which others.
    #[must_use]
    pub fn with_skills(mut self, skills: SkillMap) -> Self {
        self.routing.skills = skills;
        self
    }

    /// Registers a predicate that conditions of workflows call by its name. It is called while a command is decided, at
    /// most once per condition, and never in replay. It should be fast. After a panic it counts as unregistered, see
    /// [`Quarantined`](super::Quarantined).
    ///
    /// A definition that names an unregistered predicate or reducer is rejected. A run of a definition that was
    /// accepted under another configuration makes no progress until the function is registered again.
    #[must_use]
    pub fn with_predicate(
        mut self,
        name: impl Into<Name>,
        predicate: impl Fn(&Payload) -> bool + Send + Sync + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.functions).add_predicate(name.into(), predicate);
        self
    }

    /// Registers a reducer that variables of workflows may name
    /// ([`Reducer::Custom`](crate::definition::Reducer::Custom)): it combines the present value with the written one.
    /// The rules for [predicates](Self::with_predicate) apply.
    #[must_use]
    pub fn with_reducer(
        mut self,
        name: impl Into<Name>,
        reduce: impl Fn(&Payload, &Payload) -> Payload + Send + Sync + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.functions).add_reducer(name.into(), reduce);
        self
    }

    pub(crate) const fn functions(&self) -> &Arc<Functions> {
        &self.functions
    }

    /// Sets how a submit is treated whose deadline cannot be met. By default no estimate is made and the task is
    /// accepted.
    #[must_use]
    pub const fn with_admission(mut self, admission: Admission) -> Self {
        self.admission = admission;
        self
    }

    /// Sets the total amount of a resource that all agents share, see [`Needs::and_shared`](crate::Needs::and_shared).
    #[must_use]
    pub fn with_shared(mut self, name: impl Into<Name>, total: u64) -> Self {
        self.pools.insert(name.into(), total);
        self
    }

    /// Assigns tasks of this kind in batches.
    #[must_use]
    pub fn with_batch(mut self, kind: impl Into<Name>, batch: Batch) -> Self {
        self.batches.insert(kind.into(), batch);
        self
    }

    /// Allows attempts to be preempted for tasks of the critical tier. By default none is.
    #[must_use]
    pub const fn with_preemption(mut self, preemption: Preemption) -> Self {
        self.preemption = Some(preemption);
        self
    }

    /// Sets the quota of each tenant that has no quota of its own.
    #[must_use]
    pub const fn with_tenants(mut self, quota: Quota) -> Self {
        self.tenants.every = quota;
        self
    }

    /// Sets the quota of this tenant.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<Name>, quota: Quota) -> Self {
        self.tenants.named.insert(tenant.into(), quota);
        self
    }

    /// Sets the quota of each kind of task that has no quota of its own. The weight has no effect.
    #[must_use]
    pub const fn with_kinds(mut self, quota: Quota) -> Self {
        self.kinds.every = quota;
        self
    }

    /// Sets the quota of this kind of task. The weight has no effect.
    #[must_use]
    pub fn with_kind(mut self, kind: impl Into<Name>, quota: Quota) -> Self {
        self.kinds.named.insert(kind.into(), quota);
        self
    }

    /// Sets how [`resume`](crate::Engine::resume) treats the attempts that agents held before a restart. By default
    /// they are dispatched again.
    #[must_use]
    pub const fn with_recovery(mut self, recovery: Recovery) -> Self {
        self.recovery = recovery;
        self
    }

    /// Sets the name of the environment, such as `staging`. It is a part of every
    /// [idempotency key](crate::task::IdempotencyKey), so a copy of a journal that is opened in another environment gives other
    /// keys than the original. The journal does not store it: a change of the name changes the keys of tasks under way.
    #[must_use]
    pub fn with_environment(mut self, name: impl Into<Name>) -> Self {
        self.identity.environment = Some(name.into());
        self
    }

    /// Sets the identity of the journal, for hosts: a host [identifies](crate::ControlCommand::Identify) a journal without an
    /// identity with it instead of one drawn at random, and does not open a journal with another one. An engine alone ignores
    /// the setting.
    #[must_use]
    pub const fn with_journal(mut self, journal: JournalId) -> Self {
        self.identity.journal = Some(journal);
        self
    }

    #[cfg(any(feature = "threads", feature = "async"))]
    pub(crate) const fn journal(&self) -> Option<JournalId> {
        self.identity.journal
    }

    /// Gives the ids that an engine creates the [partition](crate::cluster::Partition) of the run for which it creates them. The
    /// engines of the shards of a deployment need this: their ids then differ, and each id routes to its shard. By default the ids
    /// of the first engine equal those of the second. The journal does not store the setting, and either value is safe for
    /// every journal.
    #[cfg(feature = "cluster")]
    #[must_use]
    pub const fn with_partitioned_ids(mut self) -> Self {
        self.ids = IdForm::Partitioned;
        self
    }

    pub(crate) const fn ids(&self) -> IdForm {
        self.ids
    }

    /// Sets how many of the last events an engine keeps for the [`story`](crate::Engine::story) of a task, an agent or
    /// a run; 0 for none. The default is 1,024.
    #[must_use]
    pub const fn with_story(mut self, events: usize) -> Self {
        self.story = events;
        self
    }

    /// The settings on which the application of events depends, without strategies and all else that only influences
    /// decisions.
    pub(crate) fn for_replay(&self) -> Self {
        Self {
            seed: self.seed,
            discipline: self.discipline,
            limits: self.limits.clone(),
            story: 0,
            routing: Routing { skills: self.routing.skills.clone(), ..Routing::default() },
            tenants: self.tenants.clone(),
            kinds: self.kinds.clone(),
            pools: self.pools.clone(),
            batches: self.batches.clone(),
            identity: self.identity.clone(),
            ids: self.ids,
            functions: Arc::clone(&self.functions),
            ..Self::default()
        }
    }

    #[cfg(feature = "observe")]
    pub(crate) const fn story(&self) -> usize {
        self.story
    }

    /// In which order tasks wait.
    #[must_use]
    pub const fn discipline(&self) -> Discipline {
        self.discipline
    }

    /// The bounds.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }
}

/// The identity towards systems outside.
#[derive(Debug, Clone, Default)]
pub(super) struct OutsideIdentity {
    pub(super) environment: Option<Name>,
    /// For a host that opens a journal without an identity.
    journal: Option<JournalId>,
}

/// What decides which agent gets a task.
pub(super) struct Routing {
    /// For tasks of kinds without a strategy of their own.
    pub(super) strategy: ContainedStrategy,
    pub(super) by_kind: BTreeMap<Name, ContainedStrategy>,
    pub(super) skills: SkillMap,
    pub(super) estimator: Option<ContainedEstimator>,
}

impl Routing {
    /// Whether all tasks go to the least loaded agent.
    #[inline]
    pub(super) fn is_least_loaded(&self) -> bool {
        self.strategy.is_least_loaded() && self.by_kind.is_empty()
    }

    /// Whether events are passed to a strategy or to the estimator.
    #[inline]
    pub(super) fn may_learn(&self) -> bool {
        self.strategy.may_learn() || !self.by_kind.is_empty() || self.estimator.is_some()
    }
}

impl Default for Routing {
    fn default() -> Self {
        let strategy = ContainedStrategy::new(LeastLoaded);
        Self { strategy, by_kind: BTreeMap::new(), skills: SkillMap::default(), estimator: None }
    }
}

impl Default for Config {
    /// Seed 0, earliest virtual deadline, least loaded, the default limits.
    fn default() -> Self {
        Self {
            seed: 0,
            discipline: Discipline::default(),
            limits: Limits::default(),
            story: 1_024,
            routing: Routing::default(),
            preemption: None,
            admission: Admission::Any,
            tenants: Quotas::default(),
            kinds: Quotas::default(),
            pools: BTreeMap::new(),
            batches: BTreeMap::new(),
            guards: Settings::default(),
            recovery: Recovery::default(),
            identity: OutsideIdentity::default(),
            ids: IdForm::default(),
            functions: Arc::default(),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("seed", &self.seed)
            .field("discipline", &self.discipline)
            .field("strategy", &self.routing.strategy.name())
            .finish_non_exhaustive()
    }
}
