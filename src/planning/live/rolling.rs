//! A plan that is kept up to date while it is performed.

use super::outlook::{OpenWork, Outlook};
use super::planned::PlanTracker;
use crate::base::time::Time;
use crate::planning::{InvalidProject, Plan, PlannedTask, Problem, Progress, Repair, Settings, improve, repair};
use core::ops::ControlFlow;
use core::time::Duration;

/// Keeps the plan of a [`PlannedRouting`](super::PlannedRouting) strategy up to date: it repairs the plan when the execution differs
/// from it, and adopts better plans that a search finds in the background.
///
/// A host calls [`react`](Self::react) after the commands that it handles. The planner repairs the plan only if an agent has left
/// or registered, a task was submitted, an attempt went elsewhere, or a start is late by more than the tolerance. A repair is a
/// single pass ([`repair`]); it takes milliseconds for a thousand tasks. For the search the host takes a [`Replan`], runs it where
/// it has time for it, on a thread of its own or between two events, and gives the result to [`adopt`](Self::adopt).
///
/// Changes have a price, the stability: a repair moves a task to another agent only if it then ends earlier by more than that, and
/// a plan of a search is adopted only if its makespan is shorter by more than that for each assignment that it changes.
///
/// ```
/// use counterpoint::planning::{PlannedRouting, RollingPlanner, Settings};
/// use counterpoint::{AgentId, AgentSpec, Command, Config, Outbox, Scheduler, TaskId, TaskSpec, Time};
/// use std::ops::ControlFlow;
/// use std::time::Duration;
///
/// let (strategy, tracker) = PlannedRouting::new();
/// let (mut scheduler, mut out) = (Scheduler::new(Config::default().with_strategy(strategy)), Outbox::default());
/// let mut planner = RollingPlanner::new(tracker, Duration::from_secs(1));
/// for id in 1..=2 {
///     scheduler.handle(Time::ZERO, Command::register(AgentSpec::new(AgentId::new(id)).with_skill("sort", 1)), &mut out)?;
/// }
/// for id in 1..=6 {
///     let task = TaskSpec::new(TaskId::new(id), "sort").with_estimate(Duration::from_secs(id));
///     scheduler.handle(Time::ZERO, Command::submit(task), &mut out)?;
/// }
/// let repair = planner.react(&scheduler, Time::ZERO)?.expect("there was no plan");
/// assert_eq!(repair.plan.tasks.len(), 4); // two are under way
///
/// let replan = planner.replan(&scheduler, Time::ZERO)?;
/// let found = replan.search(&Settings::default().with_evaluations(1_000), &mut |_| ControlFlow::Continue(()));
/// planner.adopt(&found, &scheduler, Time::ZERO)?;
/// assert!(planner.react(&scheduler, Time::ZERO)?.is_none(), "nothing has happened since");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RollingPlanner {
    tracker: PlanTracker,
    stability: Duration,
    tolerance: Duration,
    otherwise: Duration,
    horizon: usize,
    /// The current plan, in host time.
    plan: Plan,
}

/// The remaining work at one time with its plan: the input of a search that runs beside the scheduler.
#[derive(Debug, Clone)]
pub struct Replan {
    problem: Problem,
    /// From the time of the outlook on.
    plan: Plan,
    outlook: Outlook,
}

impl RollingPlanner {
    /// A planner that passes its plans to this tracker. A change of an assignment is worth `stability`.
    #[must_use]
    pub fn new(tracker: PlanTracker, stability: Duration) -> Self {
        let (tolerance, otherwise) = (Duration::from_secs(1), Duration::from_secs(1));
        Self { tracker, stability, tolerance, otherwise, horizon: 10_000, plan: Plan::default() }
    }

    /// Sets the delay of a start from which on the plan is repaired. The default is one second.
    #[must_use]
    pub const fn with_tolerance(mut self, tolerance: Duration) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Sets the duration of tasks without an estimate. The default is one second.
    #[must_use]
    pub const fn with_otherwise(mut self, otherwise: Duration) -> Self {
        self.otherwise = otherwise;
        self
    }

    /// Sets the largest number of tasks that are planned, see [`Outlook::within`]. The default is 10,000.
    #[must_use]
    pub const fn with_horizon(mut self, tasks: usize) -> Self {
        self.horizon = tasks;
        self
    }

    /// The current plan, in host time.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Repairs the plan if the execution differs from it.
    ///
    /// # Errors
    ///
    /// [`InvalidProject`] if no agent that takes work can do one of the tasks. The plan stays as it is.
    pub fn react<'a>(&mut self, work: impl Into<OpenWork<'a>>, now: Time) -> Result<Option<Repair>, InvalidProject> {
        if !self.tracker.has_arrivals() && !self.tracker.report(now).is_off(self.tolerance) {
            return Ok(None);
        }
        let Replan { problem, plan, outlook } = self.replan(work, now)?;
        let found = repair(&problem, &plan, self.stability);
        self.follow(&outlook, &found.plan);
        Ok(Some(found))
    }

    /// The remaining work with its present plan, for a search.
    ///
    /// # Errors
    ///
    /// [`InvalidProject`] if no agent that takes work can do one of the tasks.
    pub fn replan<'a>(&self, work: impl Into<OpenWork<'a>>, now: Time) -> Result<Replan, InvalidProject> {
        let outlook = work.into().outlook(now, self.otherwise).within(self.horizon);
        let problem = outlook.project.check()?;
        Ok(Replan { problem, plan: from(&self.plan, now), outlook })
    }

    /// Adopts the plan of a search if it is better than the present one at this time: both are repaired first, because a part of
    /// the work has been done since the search began. Returns whether it was adopted.
    ///
    /// # Errors
    ///
    /// [`InvalidProject`] if no agent that takes work can do one of the tasks.
    pub fn adopt<'a>(
        &mut self,
        found: &Plan,
        work: impl Into<OpenWork<'a>>,
        now: Time,
    ) -> Result<bool, InvalidProject> {
        let Replan { problem, plan, outlook } = self.replan(work, now)?;
        let kept = repair(&problem, &plan, self.stability).plan;
        let found = repair(&problem, &from(found, now), self.stability).plan;
        let pairs = kept.tasks.iter().zip(&found.tasks);
        let changes = pairs.filter(|(kept, found)| kept.agent != found.agent).count();
        let price = self.stability.saturating_mul(u32::try_from(changes).unwrap_or(u32::MAX));
        let better = found.makespan().saturating_add(price) < kept.makespan();
        self.follow(&outlook, if better { &found } else { &kept });
        Ok(better)
    }

    fn follow(&mut self, outlook: &Outlook, plan: &Plan) {
        self.plan = outlook.in_host_time(plan);
        self.tracker.follow(&self.plan);
    }
}

impl Replan {
    /// The remaining work. Its time begins at the time of the outlook.
    #[must_use]
    pub const fn outlook(&self) -> &Outlook {
        &self.outlook
    }

    /// Searches for a better plan, starting from the present one. The settings and the observer bound the work. Returns a plan in
    /// host time.
    pub fn search(&self, settings: &Settings, observe: &mut dyn FnMut(&Progress) -> ControlFlow<()>) -> Plan {
        let found = improve(&self.problem, &self.plan, settings, observe);
        self.outlook.in_host_time(&found.plan)
    }
}

/// A plan in host time as a plan whose time begins now.
fn from(plan: &Plan, now: Time) -> Plan {
    let since = |at: Time| Time::ZERO + (at - now);
    Plan::of(plan.tasks.iter().map(|one| PlannedTask { start: since(one.start), finish: since(one.finish), ..*one }))
}
