//! Callbacks of the host that decide: a panic of one does not reach the engine, and the callback is not called again.

use crate::base::id::AgentId;
use crate::base::name::Name;
use crate::base::structure::{Panic, Random, contain};
use crate::message::event::Entry;
use crate::routing::{Candidates, Estimator, LeastLoaded, Rerouting, RoundRobin, RoutingStrategy, TwoChoices};
use crate::task::TaskSpec;
use core::any::TypeId;
use core::cell::OnceCell;
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// A callback of the host that has panicked. It is not called again until the host restarts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Quarantined {
    /// The callback.
    pub callback: Callback,
    /// The message of the panic.
    pub message: String,
}

impl Quarantined {
    pub(crate) fn new(callback: Callback, panic: &Panic) -> Self {
        Self { callback, message: panic.message().to_owned() }
    }
}

impl fmt::Display for Quarantined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} panicked: {}", self.callback, self.message)
    }
}

/// A callback of a host, with the consequence of a panic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Callback {
    /// The routing strategy for this kind of task, or the general one. The least loaded agent is picked instead, and an
    /// event records this ([`ControlEvent::Rerouted`](crate::message::ControlEvent::Rerouted)).
    Strategy(Option<Name>),
    /// The estimator of durations. Tasks have their own estimates instead.
    Estimator,
    /// A predicate of workflows. Runs whose definition names it make no progress.
    Predicate(Name),
    /// A reducer of workflows. Runs whose definition names it make no progress.
    Reducer(Name),
    /// A watcher of a host, by the order in which watchers and subscriptions were added, from 1.
    Watcher(u64),
}

impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Strategy(None) => f.write_str("the routing strategy"),
            Self::Strategy(Some(kind)) => write!(f, "the routing strategy for {kind}"),
            Self::Estimator => f.write_str("the estimator"),
            Self::Predicate(name) => write!(f, "predicate {name}"),
            Self::Reducer(name) => write!(f, "reducer {name}"),
            Self::Watcher(number) => write!(f, "watcher {number}"),
        }
    }
}

/// A routing strategy. After a panic the least loaded agent is picked instead.
pub(super) struct ContainedStrategy {
    inner: Box<dyn RoutingStrategy>,
    panic: OnceCell<Panic>,
    /// Whether the change of the routing was reported.
    reported: bool,
    /// Whether the strategy may learn from events.
    learns: bool,
    is_least_loaded: bool,
}

/// Whether a strategy may learn from events. These keep no statistics.
fn learns<S: 'static>() -> bool {
    let kept = TypeId::of::<S>();
    ![TypeId::of::<LeastLoaded>(), TypeId::of::<RoundRobin>(), TypeId::of::<TwoChoices>()].contains(&kept)
}

impl ContainedStrategy {
    pub(super) fn new<S: RoutingStrategy + 'static>(inner: S) -> Self {
        let is_least_loaded = TypeId::of::<S>() == TypeId::of::<LeastLoaded>();
        let inner = Box::new(inner);
        Self { inner, panic: OnceCell::new(), reported: false, learns: learns::<S>(), is_least_loaded }
    }

    /// Whether it always picks the least loaded agent.
    pub(super) const fn is_least_loaded(&self) -> bool {
        self.is_least_loaded
    }

    pub(super) fn panic(&self) -> Option<&Panic> {
        self.panic.get()
    }

    /// Whether events are passed to it.
    pub(super) fn may_learn(&self) -> bool {
        self.learns || self.panic.get().is_some()
    }

    /// Passes an event to the strategy. Returns a change of its routing.
    #[inline]
    pub(super) fn follow(&mut self, entry: &Entry) -> Option<Rerouting> {
        if self.may_learn() { self.pass(entry) } else { None }
    }

    fn pass(&mut self, entry: &Entry) -> Option<Rerouting> {
        let followed = self.call(|inner| {
            inner.observe(entry);
            inner.rerouted()
        });
        match followed {
            Some(Some(rerouting)) => Some(rerouting),
            Some(None) => None,
            None => self.replaced(),
        }
    }

    /// The change of the routing because of a panic, once.
    #[cold]
    fn replaced(&mut self) -> Option<Rerouting> {
        let panic = self.panic.get().filter(|_| !self.reported)?;
        self.reported = true;
        Some(Rerouting::new(LeastLoaded.name(), format!("the strategy panicked: {panic}")))
    }

    /// The result of a call; none after a panic.
    fn call<T>(&mut self, call: impl FnOnce(&mut dyn RoutingStrategy) -> T) -> Option<T> {
        if self.panic.get().is_some() {
            return None;
        }
        let inner = &mut *self.inner;
        contain(|| call(inner)).map_err(|panic| self.panic.set(panic)).ok()
    }

    fn look<'a, T>(&'a self, look: impl FnOnce(&'a dyn RoutingStrategy) -> T) -> Option<T> {
        if self.panic.get().is_some() {
            return None;
        }
        contain(|| look(&*self.inner)).map_err(|panic| self.panic.set(panic)).ok()
    }
}

impl RoutingStrategy for ContainedStrategy {
    fn name(&self) -> &str {
        self.look(|inner| inner.name()).unwrap_or("least loaded")
    }

    fn pick(&mut self, task: &TaskSpec, among: &Candidates<'_>, random: &mut Random) -> Option<AgentId> {
        match self.call(|inner| inner.pick(task, among, random)) {
            Some(picked) => picked,
            None => LeastLoaded.pick(task, among, random),
        }
    }

    fn explain(&self) -> Option<String> {
        match self.look(|inner| inner.explain()) {
            Some(text) => text,
            None => self.panic.get().map(|panic| format!("instead of a strategy that panicked: {panic}")),
        }
    }
}

impl fmt::Debug for ContainedStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContainedStrategy({:?})", self.name())
    }
}

/// An estimator. After a panic it counts as missing.
pub(super) struct ContainedEstimator {
    inner: Box<dyn Estimator>,
    panic: OnceCell<Panic>,
}

impl ContainedEstimator {
    pub(super) fn new(inner: impl Estimator + 'static) -> Self {
        Self { inner: Box::new(inner), panic: OnceCell::new() }
    }

    pub(super) fn panic(&self) -> Option<&Panic> {
        self.panic.get()
    }

    /// The estimate; that of the task itself after a panic.
    pub(super) fn estimate(&self, task: &TaskSpec) -> Option<Duration> {
        if self.panic.get().is_some() {
            return task.estimate;
        }
        contain(|| self.inner.estimate(task)).unwrap_or_else(|panic| {
            let _ = self.panic.set(panic);
            task.estimate
        })
    }

    pub(super) fn observe(&mut self, entry: &Entry) {
        if self.panic.get().is_none()
            && let Err(panic) = contain(|| self.inner.observe(entry))
        {
            let _ = self.panic.set(panic);
        }
    }
}
