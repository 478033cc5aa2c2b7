//! Finding runs by key, and listing them page by page.

use super::drive::Driver;
use super::runs::Runs;
use super::view::RunView;
use super::waits::RunStanding;
use crate::base::id::{RunId, Seq};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::message::run::{RunPhase, RunSpec};
use crate::workflow::machine::Run;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The number of runs that a page of the latest runs visits at most.
#[cfg(feature = "observe")]
const VISITS: usize = 10_000;

/// A filter of runs: a run passes if it matches every field that is set. Child runs are not listed; the views of their
/// parents name them.
///
/// ```
/// use counterpoint::definition::Definition;
/// use counterpoint::{Command, Config, Engine, Outbox, RunId, RunSpec, Time};
/// use counterpoint::engine::RunFilter;
/// use counterpoint::message::RunPhase;
///
/// let (mut engine, mut out) = (Engine::new(Config::default()), Outbox::default());
/// engine.handle(Time::ZERO, Command::define(Definition::new("order")), &mut out)?;
/// for id in 1..=5 {
///     let run = RunSpec::new(RunId::new(id), "order").with_business_key(format!("customer-{}", id % 2));
///     engine.handle(Time::ZERO, Command::start(run), &mut out)?;
/// }
/// let filter = RunFilter::default().with_workflow("order").with_business_key("customer-1").with_phase(RunPhase::Finished);
/// let first = engine.find_runs(&filter, None, 2);
/// let second = engine.find_runs(&filter, first.next, 2);
/// let ids = |page: &counterpoint::engine::RunPage<'_>| page.runs.iter().map(|run| run.id().get()).collect::<Vec<_>>();
/// assert_eq!((ids(&first), ids(&second), second.next), (vec![1, 3], vec![5], None));
/// # Ok::<(), counterpoint::Rejected>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RunFilter {
    /// The workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<Name>,
    /// The version of the definition that the run is pinned to now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The business key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_key: Option<Name>,
    /// The tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Name>,
    /// The phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<RunPhase>,
    /// Whether the run goes on automatically.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<RunStanding>,
    /// The earliest time at which the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// The time before which the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Time>,
}

impl RunFilter {
    /// Only runs of this workflow.
    #[must_use]
    pub fn with_workflow(mut self, workflow: impl Into<Name>) -> Self {
        self.workflow = Some(workflow.into());
        self
    }

    /// Only runs that are pinned to this version now.
    #[must_use]
    pub const fn with_version(mut self, version: u32) -> Self {
        self.version = Some(version);
        self
    }

    /// Only runs with this business key.
    #[must_use]
    pub fn with_business_key(mut self, key: impl Into<Name>) -> Self {
        self.business_key = Some(key.into());
        self
    }

    /// Only runs of this tenant.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<Name>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Only runs in this phase.
    #[must_use]
    pub const fn with_phase(mut self, phase: RunPhase) -> Self {
        self.phase = Some(phase);
        self
    }

    /// Only runs with this standing. The waits of each run must be evaluated.
    #[must_use]
    pub const fn with_standing(mut self, standing: RunStanding) -> Self {
        self.standing = Some(standing);
        self
    }

    /// Only runs that began at this time or later.
    #[must_use]
    pub const fn with_since(mut self, at: Time) -> Self {
        self.since = Some(at);
        self
    }

    /// Only runs that began before this time.
    #[must_use]
    pub const fn with_before(mut self, at: Time) -> Self {
        self.before = Some(at);
        self
    }

    fn passes(&self, view: &RunView<'_>) -> bool {
        let (spec, began) = (view.spec(), view.began());
        self.workflow.as_ref().is_none_or(|workflow| spec.workflow == *workflow)
            && self.version.is_none_or(|version| view.definition().version == version)
            && self.business_key.as_ref().is_none_or(|key| spec.business_key.as_ref() == Some(key))
            && self.tenant.as_ref().is_none_or(|tenant| spec.tenant.as_ref() == Some(tenant))
            && self.phase.is_none_or(|phase| view.phase() == phase)
            && self.since.is_none_or(|since| began >= since)
            && self.before.is_none_or(|before| began < before)
            && self.standing.is_none_or(|standing| view.standing() == standing)
    }
}

/// The position after which the next page of runs begins. It stays valid while runs begin and end: later runs come
/// later, and no run is listed twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunCursor(Seq, RunId);

/// A page of runs, in the order in which they began.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunPage<'a> {
    /// The runs.
    pub runs: Vec<RunView<'a>>,
    /// The cursor for the next page, if there is one.
    pub next: Option<RunCursor>,
}

/// The runs without a parent run, by age and by business key.
#[derive(Debug, Default)]
pub(super) struct Register {
    by_age: BTreeSet<(Seq, RunId)>,
    /// By workflow and business key.
    by_key: BTreeMap<(Name, Name), BTreeSet<(Seq, RunId)>>,
}

impl Register {
    pub(super) fn enter(&mut self, run: &Run) {
        if run.owner.is_some() {
            return;
        }
        let entry = (run.begun.seq, run.id());
        self.by_age.insert(entry);
        if let Some(key) = &run.spec.business_key {
            self.by_key.entry((run.spec.workflow.clone(), key.clone())).or_default().insert(entry);
        }
    }

    pub(super) fn leave(&mut self, run: &Run) {
        let entry = (run.begun.seq, run.id());
        self.by_age.remove(&entry);
        if let Some(key) = &run.spec.business_key {
            let key = (run.spec.workflow.clone(), key.clone());
            if let Some(runs) = self.by_key.get_mut(&key) {
                runs.remove(&entry);
                if runs.is_empty() {
                    self.by_key.remove(&key);
                }
            }
        }
    }

    fn of_key(&self, workflow: &Name, key: &Name) -> Option<&BTreeSet<(Seq, RunId)>> {
        self.by_key.get(&(workflow.clone(), key.clone()))
    }

    /// The runs that were started after this event.
    pub(super) fn later(&self, after: Seq) -> impl Iterator<Item = (Seq, RunId)> {
        self.by_age.range((after.next(), RunId::new(0))..).copied()
    }

    /// The runs of a workflow with this business key that were started after this event.
    pub(super) fn later_with_key(
        &self,
        workflow: &Name,
        key: Option<&Name>,
        after: Seq,
    ) -> impl Iterator<Item = (Seq, RunId)> {
        let runs = key.and_then(|key| self.of_key(workflow, key));
        runs.into_iter().flat_map(move |runs| runs.range((after.next(), RunId::new(0))..).copied())
    }

    /// The numbers of runs by age and by key.
    pub(super) fn len(&self) -> (usize, usize) {
        (self.by_age.len(), self.by_key.values().map(BTreeSet::len).sum())
    }
}

impl Runs {
    /// The unfinished run with this workflow, tenant and business key.
    pub(super) fn holder(&self, like: &RunSpec, key: &Name) -> Option<RunId> {
        let runs = self.register().of_key(&like.workflow, key)?;
        let holds = |run: &Run| !run.is_finished() && run.spec.tenant == like.tenant;
        runs.iter().map(|(_, run)| *run).find(|run| self.get(*run).is_some_and(holds))
    }

    /// The runs that a filter can pass.
    fn matching(&self, filter: &RunFilter) -> Option<&BTreeSet<(Seq, RunId)>> {
        match (&filter.workflow, &filter.business_key) {
            (Some(workflow), Some(key)) => self.register().of_key(workflow, key),
            (None, _) | (_, None) => Some(&self.register().by_age),
        }
    }
}

impl Driver {
    pub(super) fn find_runs(
        &self,
        filter: &RunFilter,
        after: Option<RunCursor>,
        most: usize,
        now: Time,
    ) -> RunPage<'_> {
        let none = BTreeSet::new();
        let all = self.book.runs.matching(filter).unwrap_or(&none);
        let after = after.map(|RunCursor(seq, run)| (seq, run));
        let later = all
            .range(after.unwrap_or_else(|| (Seq::default(), RunId::new(0)))..)
            .filter(|entry| after != Some(**entry));
        let views = later.filter_map(|(seq, run)| Some((*seq, self.view(*run, now)?)));
        let mut passing = views.filter(|(_, view)| filter.passes(view));
        let runs: Vec<(Seq, RunView<'_>)> = passing.by_ref().take(most.max(1)).collect();
        let next = runs.last().map(|(seq, view)| RunCursor(*seq, view.id())).filter(|_| passing.next().is_some());
        RunPage { runs: runs.into_iter().map(|(_, view)| view).collect(), next }
    }
}

/// The latest runs that pass a filter.
#[cfg(feature = "observe")]
pub(super) fn latest_runs<'a>(
    driver: &'a Driver,
    (filter, mut passes): (&RunFilter, impl FnMut(&RunView<'a>) -> bool),
    before: Option<RunCursor>,
    most: usize,
    now: Time,
) -> RunPage<'a> {
    let before = before.map_or((Seq::new(u64::MAX), RunId::new(u64::MAX)), |RunCursor(seq, run)| (seq, run));
    let earlier = driver.book.runs.matching(filter).into_iter().flat_map(|all| all.range(..before).rev());
    let mut visited = earlier.take(VISITS).filter_map(|(seq, run)| Some((*seq, driver.view(*run, now)?)));
    let (mut runs, mut last, mut count) = (Vec::new(), None, 0);
    for (seq, view) in visited.by_ref() {
        count += 1;
        last = Some(RunCursor(seq, view.id()));
        if filter.passes(&view) && passes(&view) {
            runs.push(view);
        }
        if runs.len() >= most.max(1) {
            break;
        }
    }
    let next = last.filter(|_| visited.next().is_some() || count >= VISITS);
    RunPage { runs, next }
}
