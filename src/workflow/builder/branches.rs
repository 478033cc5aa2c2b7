//! Branches and where they meet, waits, and nodes that act for each of several results.

use super::Workflow;
use super::choice::Choice;
use super::draft::Sketch;
use super::handle::Handle;
use super::join::merged;
use super::kind::{Counted, Doable, Repeated, Waits};
use super::source::{Branches, Source};
use crate::base::name::Name;
use crate::definition::{Action, Expr, Join, On, RaceOption, Remaining, Trigger};

impl<I, O> Workflow<I, O> {
    /// Adds a node that takes branches by conditions on this data, which is [`Expr::Item`] in them.
    ///
    /// ```
    /// # use counterpoint::workflow::{Attempt, Step, Workflow};
    /// # use counterpoint::Failure;
    /// # macro_rules! step { ($name:ident, $kind:literal) => {
    /// #     struct $name;
    /// #     impl Step for $name {
    /// #         const KIND: &'static str = $kind;
    /// #         type Input = u64;
    /// #         type Output = bool;
    /// #         fn run(&self, _: u64, _: &Attempt) -> Result<bool, Failure> { Ok(true) }
    /// #     }
    /// # } }
    /// # step!(AskBoard, "ask-board");
    /// # step!(AskLead, "ask-lead");
    /// use counterpoint::definition::{Condition, Expr};
    ///
    /// let flow = Workflow::<u64, bool>::named("approve");
    /// let size = flow.choose(flow.input()).when("large", Condition::less(Expr::value(10_000), Expr::Item)).otherwise("small");
    /// let board = flow.step(AskBoard, flow.input()).on(size.case("large"));
    /// let lead = flow.step(AskLead, flow.input()).on(size.case("small"));
    /// let approve = flow.output(flow.merge((board, lead)))?;
    /// # Ok::<(), counterpoint::workflow::DefinitionError>(())
    /// ```
    pub fn choose<'f, T>(&'f self, of: impl Source<'f, T>) -> Choice<'f> {
        Choice::add(&self.draft, self.datum(of))
    }

    /// Continues when all branches have ended, with the output of the first in the list that succeeded. Skipped if none
    /// did.
    pub fn merge<'f, T>(&'f self, branches: impl Branches<'f, T>) -> Handle<'f, T> {
        merged(&self.draft, &branches.nodes())
    }

    /// Continues as soon as one branch has succeeded, with its output. The failure of a branch fails the run, unless it
    /// [`may_fail`](Handle::may_fail).
    pub fn first_of<'f, T>(&'f self, branches: impl Branches<'f, T>) -> Handle<'f, T, Counted> {
        self.join(&branches.nodes(), "first", Join::Count { required: 1, remaining: Remaining::Ignore }, Expr::First)
    }

    /// Continues as soon as `count` branches have succeeded. The output has an entry for each branch: `None` for the
    /// others.
    pub fn n_of<'f, T>(&'f self, count: u32, branches: impl Branches<'f, T>) -> Handle<'f, Vec<Option<T>>, Counted> {
        self.join(
            &branches.nodes(),
            "several",
            Join::Count { required: count, remaining: Remaining::Ignore },
            Expr::List,
        )
    }

    /// Joins branches by a trigger rule. The output has an entry for each branch: `None` for those that have not succeeded.
    /// Link the steps that follow with [`after`](Handle::after).
    ///
    /// ```
    /// # use counterpoint::workflow::{Attempt, Step, Workflow};
    /// # use counterpoint::Failure;
    /// # macro_rules! step { ($name:ident, $kind:literal) => {
    /// #     struct $name;
    /// #     impl Step for $name {
    /// #         const KIND: &'static str = $kind;
    /// #         type Input = u32;
    /// #         type Output = u32;
    /// #         fn run(&self, n: u32, _: &Attempt) -> Result<u32, Failure> { Ok(n) }
    /// #     }
    /// # } }
    /// # step!(Left, "left");
    /// # step!(Right, "right");
    /// # step!(Alarm, "alarm");
    /// use counterpoint::definition::Trigger;
    ///
    /// let flow = Workflow::<u32, Option<u32>>::named("watch");
    /// let (left, right) = (flow.step(Left, flow.input()), flow.step(Right, flow.input()));
    /// let broken = flow.meet(Trigger::AnyFailed, (left, right));
    /// let alarm = flow.step(Alarm, flow.input()).after(broken);
    /// let watch = flow.output(alarm.optional())?;
    /// # Ok::<(), counterpoint::workflow::DefinitionError>(())
    /// ```
    pub fn meet<'f, T>(&'f self, rule: Trigger, branches: impl Branches<'f, T>) -> Handle<'f, Vec<Option<T>>> {
        self.join(&branches.nodes(), "meet", Join::Trigger(rule), Expr::List)
    }

    /// Adds a node that waits for a signal; its output is the payload of the signal. A signal that arrives early is
    /// kept for it.
    pub fn wait_signal<'f, T>(&'f self, signal: impl Into<Name>) -> Handle<'f, T, Waits> {
        let signal = signal.into();
        self.add(Sketch::new(signal.clone(), Action::Wait { signal: Some(signal), timer: None }))
    }

    /// Adds a node that waits for the first of several options; the others are withdrawn. The options are its cases.
    ///
    /// ```
    /// # use counterpoint::workflow::{Attempt, Step, Workflow};
    /// # use counterpoint::Failure;
    /// # macro_rules! step { ($name:ident, $kind:literal) => {
    /// #     struct $name;
    /// #     impl Step for $name {
    /// #         const KIND: &'static str = $kind;
    /// #         type Input = u64;
    /// #         type Output = bool;
    /// #         fn run(&self, _: u64, _: &Attempt) -> Result<bool, Failure> { Ok(true) }
    /// #     }
    /// # } }
    /// # step!(Pay, "pay");
    /// # step!(Remind, "remind");
    /// use counterpoint::definition::{Decision, WaitFor, RaceOption};
    /// use std::time::Duration;
    ///
    /// let flow = Workflow::<u64, bool>::named("invoice");
    /// let first = flow.race([
    ///     RaceOption::new("decision", Decision::by("accountant", ["pay", "refuse"]).into()),
    ///     RaceOption::new("late", WaitFor::After(Duration::from_secs(86_400))),
    /// ]);
    /// let paid = flow.step(Pay, flow.input()).on(first.case("pay"));
    /// let reminded = flow.step(Remind, flow.input()).on(first.case("late"));
    /// let invoice = flow.output(flow.merge((paid, reminded)))?;
    /// # Ok::<(), counterpoint::workflow::DefinitionError>(())
    /// ```
    pub fn race(&self, offers: impl IntoIterator<Item = RaceOption>) -> Choice<'_> {
        Choice::race(&self.draft, offers.into_iter().collect())
    }

    /// Adds a node that performs a step or runs a workflow once for each branch that succeeds, with its output
    /// (multi-merge). Its output is the list of results in the order of arrival.
    pub fn each<'f, M, W: Doable<M>>(
        &'f self,
        work: W,
        branches: impl Branches<'f, W::Input>,
    ) -> Handle<'f, Vec<W::Output>, Repeated<W::Form>> {
        self.stream(&work, &branches.nodes(), Join::Each, &On::Success)
    }

    /// Like [`each`](Self::each), but once for each item of maps, as soon as the item has succeeded.
    ///
    /// ```
    /// # use counterpoint::workflow::{Attempt, Step, Workflow};
    /// # use counterpoint::Failure;
    /// # macro_rules! step { ($name:ident, $kind:literal) => {
    /// #     struct $name;
    /// #     impl Step for $name {
    /// #         const KIND: &'static str = $kind;
    /// #         type Input = u32;
    /// #         type Output = u32;
    /// #         fn run(&self, n: u32, _: &Attempt) -> Result<u32, Failure> { Ok(n) }
    /// #     }
    /// # } }
    /// # step!(Fetch, "fetch");
    /// # step!(Index, "index");
    /// let flow = Workflow::<Vec<u32>, Vec<u32>>::named("crawl");
    /// let pages = flow.map(Fetch, flow.input());
    /// let crawl = flow.output(flow.each_item(Index, [pages]))?;
    /// # Ok::<(), counterpoint::workflow::DefinitionError>(())
    /// ```
    pub fn each_item<'f, M, W: Doable<M>>(
        &'f self,
        work: W,
        maps: impl Branches<'f, Vec<W::Input>>,
    ) -> Handle<'f, Vec<W::Output>, Repeated<W::Form>> {
        self.stream(&work, &maps.nodes(), Join::Each, &On::Each)
    }

    /// Adds a node that performs its work once for each round. A round is complete when `count` of the maps have
    /// completed another item; its input has the results in the order of the list, with `None` for the other maps.
    /// Further results of a map are held for the next round, or ignored.
    pub fn rounds<'f, T, M, W: Doable<M, Input = Vec<Option<T>>>>(
        &'f self,
        count: u32,
        rest: Remaining,
        work: W,
        maps: impl Branches<'f, Vec<T>>,
    ) -> Handle<'f, Vec<W::Output>, Repeated<W::Form>> {
        self.stream(&work, &maps.nodes(), Join::Rounds { required: count, remaining: rest }, &On::Each)
    }
}
