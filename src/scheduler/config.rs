//! How a scheduler is set up: nothing of it is in the journal.

use super::decide::{Admission, Rebalancing, Recovery};
use super::guards::Settings;
use super::preemption::Preemption;
use super::queue::{Batch, Discipline, Quota, Quotas};
use crate::base::limits::Limits;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::resilience::capacity::rebalance;
use crate::routing::{Estimator, LeastLoaded, RoutingStrategy, SkillMap};
use crate::workflow::functions::Functions;
use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How a scheduler is set up. Nothing of it is in the journal: a host may restart with another discipline, other
/// strategies, other limits.
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
///     .with_limits(Limits::default().with_waiting_tasks(10_000));
/// ```
pub struct Config {
    pub(super) seed: u64,
    pub(super) discipline: Discipline,
    pub(super) limits: Limits,
    pub(super) story: usize,
    pub(super) strategy: Box<dyn RoutingStrategy>,
    pub(super) by_kind: BTreeMap<Name, Box<dyn RoutingStrategy>>,
    pub(super) skills: SkillMap,
    pub(super) preemption: Option<Preemption>,
    pub(super) rebalancing: Option<Rebalancing>,
    pub(super) admission: Admission,
    pub(super) tenants: Quotas,
    pub(super) kinds: Quotas,
    pub(super) pools: BTreeMap<Name, u64>,
    pub(super) batches: BTreeMap<Name, Batch>,
    pub(super) estimator: Option<Box<dyn Estimator>>,
    pub(super) guards: Settings,
    pub(super) recovery: Recovery,
    functions: Arc<Functions>,
}

impl Config {
    /// The seed of every random draw.
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

    /// Which agent a task goes to.
    #[must_use]
    pub fn with_strategy(mut self, strategy: impl RoutingStrategy + 'static) -> Self {
        self.strategy = Box::new(strategy);
        self
    }

    /// Which agent a task of this kind goes to.
    #[must_use]
    pub fn with_strategy_for(mut self, kind: impl Into<Name>, strategy: impl RoutingStrategy + 'static) -> Self {
        self.by_kind.insert(kind.into(), Box::new(strategy));
        self
    }

    /// Who says how long tasks will take. Without one, a task's own [`estimate`](crate::TaskSpec::estimate) counts.
    #[must_use]
    pub fn with_estimator(mut self, estimator: impl Estimator + 'static) -> Self {
        self.estimator = Some(Box::new(estimator));
        self
    }

    /// Which skills stand for which others.
    #[must_use]
    pub fn with_skills(mut self, skills: SkillMap) -> Self {
        self.skills = skills;
        self
    }

    /// Calls attempts back that wait with a busy agent while another would be done with them sooner; looks so often.
    #[must_use]
    pub const fn with_rebalancing(mut self, rules: rebalance::Rules, every: Duration) -> Self {
        self.rebalancing = Some(Rebalancing { rules, every });
        self
    }

    /// A predicate that conditions of workflows may ask by its name: whether a value is as it should be. It is asked when a
    /// fact is decided, at most once for each, and never in replay. It must not panic, and should be quick.
    ///
    /// A definition that names a predicate or reducer which is not there is refused. A run of one that was taken before, under
    /// another configuration, makes no move until the function is there again.
    #[must_use]
    pub fn with_predicate(
        mut self,
        name: impl Into<Name>,
        asks: impl Fn(&Payload) -> bool + Send + Sync + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.functions).add_predicate(name.into(), asks);
        self
    }

    /// A reducer that variables of workflows may name: puts what there is and what is written together
    /// ([`Reducer::Custom`](crate::definition::Reducer::Custom)). As for a predicate.
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

    /// What becomes of a task whose deadline cannot be met; nobody asks, if nothing is said.
    #[must_use]
    pub const fn with_admission(mut self, admission: Admission) -> Self {
        self.admission = admission;
        self
    }

    /// How much there is of a resource that all agents share, see [`Needs::and_shared`](crate::Needs::and_shared).
    #[must_use]
    pub fn with_shared(mut self, name: impl Into<Name>, total: u64) -> Self {
        self.pools.insert(name.into(), total);
        self
    }

    /// Does tasks of this kind in batches.
    #[must_use]
    pub fn with_batch(mut self, kind: impl Into<Name>, batch: Batch) -> Self {
        self.batches.insert(kind.into(), batch);
        self
    }

    /// When attempts may be called back for the sake of tasks of the first tier; never, if nothing is said.
    #[must_use]
    pub const fn with_preemption(mut self, preemption: Preemption) -> Self {
        self.preemption = Some(preemption);
        self
    }

    /// What each tenant may have that no other quota names.
    #[must_use]
    pub const fn with_tenants(mut self, quota: Quota) -> Self {
        self.tenants.every = quota;
        self
    }

    /// What this tenant may have.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<Name>, quota: Quota) -> Self {
        self.tenants.named.insert(tenant.into(), quota);
        self
    }

    /// What each kind of task may have that no other quota names. Its weight says nothing.
    #[must_use]
    pub const fn with_kinds(mut self, quota: Quota) -> Self {
        self.kinds.every = quota;
        self
    }

    /// What this kind of task may have. Its weight says nothing.
    #[must_use]
    pub fn with_kind(mut self, kind: impl Into<Name>, quota: Quota) -> Self {
        self.kinds.named.insert(kind.into(), quota);
        self
    }

    /// What becomes, after a restart, of the attempts that agents held; asked for again, if nothing is said.
    #[must_use]
    pub const fn with_recovery(mut self, recovery: Recovery) -> Self {
        self.recovery = recovery;
        self
    }

    /// From how many of the last facts an engine can tell the [`story`](crate::Engine::story) of a task, an agent or a
    /// run; 0 for none. 1,024 if nothing is said.
    #[must_use]
    pub const fn with_story(mut self, facts: usize) -> Self {
        self.story = facts;
        self
    }

    /// What of it the fold of facts depends on, without strategies and whatever else only decides.
    pub(crate) fn for_replay(&self) -> Self {
        Self {
            seed: self.seed,
            discipline: self.discipline,
            limits: self.limits.clone(),
            story: 0,
            skills: self.skills.clone(),
            tenants: self.tenants.clone(),
            kinds: self.kinds.clone(),
            pools: self.pools.clone(),
            batches: self.batches.clone(),
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

impl Default for Config {
    /// Seed 0, earliest virtual deadline, least loaded, the default limits.
    fn default() -> Self {
        Self {
            seed: 0,
            discipline: Discipline::default(),
            limits: Limits::default(),
            story: 1_024,
            strategy: Box::new(LeastLoaded),
            by_kind: BTreeMap::new(),
            skills: SkillMap::default(),
            preemption: None,
            rebalancing: None,
            admission: Admission::Any,
            tenants: Quotas::default(),
            kinds: Quotas::default(),
            pools: BTreeMap::new(),
            batches: BTreeMap::new(),
            estimator: None,
            guards: Settings::default(),
            recovery: Recovery::default(),
            functions: Arc::default(),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("seed", &self.seed)
            .field("discipline", &self.discipline)
            .field("strategy", &self.strategy.name())
            .finish_non_exhaustive()
    }
}
