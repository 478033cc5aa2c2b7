//! The checks of a submit.

use super::validate;
use crate::base::canonical::Canonical;
use crate::base::id::{Seq, TaskId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::IdMap;
use crate::base::time::Time;
use crate::message::rejected::{Conflict, Invalid, Misuse, Overload, Rejected, Unknown, WrongState};
use crate::scheduler::apply::State;
use crate::scheduler::config::Config;
use crate::scheduler::guards::Guards;
use crate::scheduler::index::{ClassKey, Room};
use crate::scheduler::ix::TaskIx;
use crate::scheduler::machine::Core;
use crate::scheduler::queue::{Account, Arrival, Intake};
use crate::task::{TaskOutcome, TaskSpec, Tier};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How a submit is treated whose deadline cannot be met. The estimate is computed from the durations of tasks of the
/// kind, the number of tasks that are served earlier, and the number of slots of the agents that meet their needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Admission {
    /// No estimate is made.
    #[default]
    Any,
    /// The task is accepted with a warning: `Accepted::Late`.
    Warn,
    /// The task is rejected: `Invalid::Infeasible`.
    Refuse,
}

/// The earlier tasks of the same command. They count towards the limits.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    ids: BTreeSet<TaskId>,
    tenants: BTreeMap<Option<Name>, u32>,
    /// The bytes of their payloads, of all and by tenant.
    bytes: u64,
    tenant_bytes: BTreeMap<Option<Name>, u64>,
    kinds: BTreeMap<Name, u32>,
    classes: IdMap<ClassKey, ()>,
}

impl Earlier {
    pub(super) fn has(&self, task: TaskId) -> bool {
        self.ids.contains(&task)
    }

    /// What the earlier tasks add to the limits of a task.
    fn more(&self, spec: &TaskSpec) -> More {
        let tenant = self.tenants.get(&spec.tenant);
        More {
            tasks: u32::try_from(self.ids.len()).unwrap_or(u32::MAX),
            of_accounts: [tenant, self.kinds.get(&spec.kind)].map(|count| count.copied().unwrap_or(0)),
            bytes: self.bytes,
            tenant_bytes: self.tenant_bytes.get(&spec.tenant).copied().unwrap_or(0),
            classes: self.classes.len(),
        }
    }

    /// Adds a task and its requirement class, if that is new.
    pub(super) fn add(&mut self, spec: &TaskSpec, new_class: Option<ClassKey>) {
        self.ids.insert(spec.id);
        *self.tenants.entry(spec.tenant.clone()).or_default() += 1;
        *self.kinds.entry(spec.kind.clone()).or_default() += 1;
        self.bytes = self.bytes.saturating_add(spec.payload.bytes().into());
        *self.tenant_bytes.entry(spec.tenant.clone()).or_default() += u64::from(spec.payload.bytes());
        if let Some(class) = new_class {
            self.classes.insert(class, ());
        }
    }
}

/// What the earlier tasks of a command add to the limits of a task.
#[derive(Debug, Clone, Copy, Default)]
struct More {
    tasks: u32,
    /// The numbers of those of its tenant and of its kind.
    of_accounts: [u32; 2],
    bytes: u64,
    tenant_bytes: u64,
    classes: usize,
}

/// Checks submits without changing the state.
#[derive(Clone, Copy)]
pub(super) struct AdmissionCheck<'a> {
    state: &'a State,
    config: &'a Config,
    guards: &'a Guards,
    now: Time,
}

impl Core {
    pub(super) const fn admission(&self, now: Time) -> AdmissionCheck<'_> {
        AdmissionCheck { state: &self.reader.state, config: &self.reader.config, guards: &self.guards, now }
    }
}

/// The number of tasks that are counted at most in an estimate of a waiting time.
const AHEAD: usize = 4_096;

impl AdmissionCheck<'_> {
    /// Rejects the ids of the engine, whether or not a task has the id.
    pub(super) const fn is_of_host(&self, id: TaskId) -> Result<(), Rejected> {
        if id.is_engine_made() { Err(Rejected::Invalid(Invalid::ReservedId(id.get()))) } else { Ok(()) }
    }

    /// Whether an equal task with this id is known. An unequal one is an error.
    pub(super) fn is_repeated(&self, spec: &Arc<TaskSpec>) -> Result<bool, Rejected> {
        let Some(known) = self.state.tasks().by_id(spec.id) else { return Ok(false) };
        let same = Arc::ptr_eq(&known.spec, spec) || known.spec == *spec;
        match known.spec.origin.collision(&spec.origin) {
            _ if same => Ok(true),
            None => Err(Rejected::Conflict(Conflict::Task(spec.id))),
            Some((known, given)) => {
                let (known, given) = (known.clone(), given.clone());
                Err(Rejected::Conflict(Conflict::TaskKey { task: spec.id, known, given }))
            }
        }
    }

    /// Checks whether the task, or the replay of a dead letter, can be accepted, after the earlier ones of its command if there
    /// are any.
    pub(super) fn admits(
        &self,
        spec: &TaskSpec,
        replays: Option<TaskId>,
        earlier: Option<&Earlier>,
    ) -> Result<(), Rejected> {
        self.is_of_host(spec.id)?;
        if spec.owner.is_some() || spec.reserved.is_some() || replays.is_none() && spec.origin.is_of_engine() {
            return Err(Rejected::Misuse(Misuse::ForeignOwner(spec.id)));
        }
        validate::task(&self.config.limits, spec)?;
        let now = self.now;
        if let Some(deadline) = spec.deadline.filter(|deadline| *deadline < now) {
            return Err(Rejected::Invalid(Invalid::DeadlinePassed { task: spec.id, deadline, now }));
        }
        self.dependencies(spec, earlier)?;
        if self.state.standing().refuses(spec.tier) {
            return Err(Rejected::Capacity(Overload::Shed {
                tier: spec.tier,
                retry_after: self.guards.retry_after(now),
            }));
        }
        self.capacity(spec, earlier)?;
        if let Some((name, amount, total)) = self.state.index().pools().exceeded(&spec.needs) {
            return Err(Rejected::Invalid(Invalid::NeverFits { task: spec.id, name, amount, total }));
        }
        if self.config.admission == Admission::Refuse
            && let (Some(deadline), Some(expected)) = (spec.deadline, self.late(spec))
        {
            return Err(Rejected::Invalid(Invalid::Infeasible { task: spec.id, deadline, expected }));
        }
        Ok(())
    }

    fn dependencies(&self, spec: &TaskSpec, earlier: Option<&Earlier>) -> Result<(), Rejected> {
        for &before in &spec.after {
            match self.state.tasks().by_id(before).map(|task| task.end().map(|ended| &ended.outcome)) {
                None if earlier.is_some_and(|earlier| earlier.has(before)) => {}
                None => return Err(Rejected::Unknown(Unknown::Dependency { task: spec.id, missing: before })),
                Some(None | Some(TaskOutcome::Succeeded(_))) => {}
                Some(Some(_)) => {
                    return Err(Rejected::State(WrongState::DeadDependency { task: spec.id, dead: before }));
                }
            }
        }
        Ok(())
    }

    fn capacity(&self, spec: &TaskSpec, earlier: Option<&Earlier>) -> Result<(), Rejected> {
        let limits = &self.config.limits;
        let more = earlier.map_or_else(More::default, |earlier| earlier.more(spec));
        let beyond = if spec.tier == Tier::Critical { limits.tasks.urgent } else { 0 };
        let most = limits.tasks.active.saturating_add(beyond);
        if self.state.tasks().active().saturating_add(more.tasks) >= most {
            return Err(self.full("active_tasks", most, spec));
        }
        let Intake { tenant, kind, bytes } = self.state.queues().intake(spec);
        let [of_tenant, of_kind] = more.of_accounts;
        for (account, more, what) in [(&tenant, of_tenant, "tenant_waiting"), (&kind, of_kind, "kind_waiting")] {
            if let Some(most) = account.most.filter(|most| account.active.saturating_add(more) >= *most) {
                return Err(self.full(what, most, spec));
            }
        }
        let own = u64::from(spec.payload.bytes());
        if bytes.saturating_add(more.bytes).saturating_add(own) > limits.tasks.bytes {
            return Err(self.full("waiting_bytes", limits.tasks.bytes, spec));
        }
        if spec.tenant.is_some()
            && tenant.bytes.saturating_add(more.tenant_bytes).saturating_add(own) > limits.tasks.tenant_bytes
        {
            return Err(self.full("tenant_waiting_bytes", limits.tasks.tenant_bytes, spec));
        }
        if self.state.index().classes().len().saturating_add(more.classes) >= limits.classes as usize {
            return self.has_class(spec, earlier);
        }
        Ok(())
    }

    /// Rejects details of a heartbeat with which the task, or the tasks of its tenant, would have too many bytes.
    pub(super) fn details(&self, at: TaskIx, details: &Payload) -> Result<(), Rejected> {
        let Some(task) = self.state.tasks().get(at) else { return Ok(()) };
        let (spec, limits) = (&task.spec, &self.config.limits.tasks);
        let has = task.bytes().saturating_sub(spec.payload.bytes());
        let more = u64::from(details.bytes().saturating_sub(has));
        let Intake { tenant, bytes, .. } = self.state.queues().intake(spec);
        if more > 0 && bytes.saturating_add(more) > limits.bytes {
            return Err(self.full("waiting_bytes", limits.bytes, spec));
        }
        if more > 0 && spec.tenant.is_some() && tenant.bytes.saturating_add(more) > limits.tenant_bytes {
            return Err(self.full("tenant_waiting_bytes", limits.tenant_bytes, spec));
        }
        Ok(())
    }

    /// Rejects a task that would need another requirement class.
    #[cold]
    fn has_class(&self, spec: &TaskSpec, earlier: Option<&Earlier>) -> Result<(), Rejected> {
        let class = self.state.class_key(spec);
        let is_earlier = earlier.is_some_and(|earlier| earlier.classes.get(&class).is_some());
        if is_earlier || self.state.index().classes().find(&class).is_some() {
            return Ok(());
        }
        Err(self.full("classes", self.config.limits.classes, spec))
    }

    /// Rejects a task at a limit. Its submit may be repeated after the average time between two ends of tasks; before two
    /// have ended, after the expected duration of the task, or the target of its tier.
    fn full(&self, what: &str, limit: impl Into<u64>, spec: &TaskSpec) -> Rejected {
        let estimate = || self.expected(spec).unwrap_or_else(|| spec.tier.latency_target());
        let retry_after = Some(self.state.tasks().gap().unwrap_or_else(estimate));
        Rejected::Capacity(Overload::AtCapacity { what: what.into(), limit: limit.into(), retry_after })
    }

    /// The requirement class of a task, if no known task has it.
    pub(super) fn new_class(&self, spec: &TaskSpec) -> Option<ClassKey> {
        let class = self.state.class_key(spec);
        self.state.index().classes().find(&class).is_none().then_some(class)
    }

    /// The expected end of the task, if that is after its deadline; none if there is no estimate for its kind.
    pub(super) fn late(&self, spec: &TaskSpec) -> Option<Time> {
        let deadline = spec.deadline?;
        let end = self.now + self.outlook(spec)?;
        (end > deadline).then_some(end)
    }

    /// The expected duration of an attempt: that of the estimator or, without one, that of the spec.
    pub(super) fn expected(&self, spec: &TaskSpec) -> Option<Duration> {
        match &self.config.routing.estimator {
            // A command has been brought into its canonical form.
            None => spec.estimate,
            Some(estimator) => {
                let mut expected = estimator.estimate(spec);
                expected.make_canonical();
                expected
            }
        }
    }

    /// The expected time until the end of the task: the tasks of its class that are served earlier, divided by the
    /// slots of the eligible agents, and its own duration.
    fn outlook(&self, spec: &TaskSpec) -> Option<Duration> {
        let (queues, index) = (self.state.queues(), self.state.index());
        let (expected, mean) = (self.expected(spec), queues.kind_named(&spec.kind).and_then(Account::mean));
        let own = expected.or(mean)?;
        let Some(class) = index.classes().find(&self.state.class_key(spec)) else { return Some(own) };
        let eligible = index.classes().eligible(class)?;
        if eligible.bits().meets(index.fleet().with_room(Room::Open)) {
            return Some(own);
        }
        let members = eligible.agents().iter().filter_map(|agent| index.fleet().get(*agent));
        let slots: u64 = members.map(|member| u64::from(member.slots())).sum();
        if slots == 0 {
            return None;
        }
        let (tier, deadline) = (spec.tier, spec.deadline);
        let last = Arrival { tier, deadline, expected, submitted: self.now, seq: Seq::new(u64::MAX), deferred: None };
        let ahead = queues.count_ahead(class, queues.rank(&last), AHEAD);
        let each = mean.unwrap_or(own);
        // An attempt under way is assumed to be half done on average.
        let rounds = u64::try_from(ahead).unwrap_or(u64::MAX) / slots;
        let wait = each / 2 + each.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX));
        Some(wait.saturating_add(own))
    }
}
