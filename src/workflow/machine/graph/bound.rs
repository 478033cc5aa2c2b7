//! A node with its definition and plan: everything that is derived from these alone.

use crate::base::id::{AgentId, NodeIx, RunId};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::definition::{
    Action, Boundary, Condition, Decision, Delegate, DurableFunction, Handler, Map, Node, On, RaceOption, Repeat,
    States, WaitFor,
};
use crate::message::run::{CallPoint, NodeOutcome};
use crate::task::{Needs, Owner, Phase};
use crate::workflow::machine::node::{
    Call, DelegateWork, FunctionWork, Inflow, Instance, LinkDecision, MapWork, NodeState, NodeWork, PartWork, RaceWork,
    Route, Ruling, SavePointWay, Share, Source, Verdict, WaitWork, decision,
};
use crate::workflow::plan::{PlanNode, Template, WorkPlan};
use std::borrow::Cow;

/// The state of a node with its definition and its plan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BoundNode<'a> {
    pub(crate) ix: NodeIx,
    pub(crate) definition: &'a Node,
    pub(crate) plan: &'a PlanNode,
    pub(crate) state: &'a NodeState,
}

/// A signal that a node waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The node.
    pub(crate) node: NodeIx,
    pub(crate) signal: &'a Name,
    /// The condition on signals of that name.
    pub(crate) matching: &'a Condition,
}

/// A handler that can fire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Armed<'a> {
    pub(crate) index: u32,
    pub(crate) handler: &'a Handler,
    /// When its node began.
    pub(crate) since: Time,
}

/// The definition of the node.
impl<'a> BoundNode<'a> {
    pub(crate) fn name(&self) -> Name {
        self.definition.name.clone()
    }

    pub(crate) const fn map(&self) -> Option<&'a Map> {
        if let Action::Map(map) = &self.definition.action { Some(map) } else { None }
    }

    pub(crate) const fn repeat(&self) -> Option<&'a Repeat> {
        if let Action::Repeat(repeat) = &self.definition.action { Some(repeat) } else { None }
    }

    pub(crate) const fn states(&self) -> Option<&'a States> {
        if let Action::States(states) = &self.definition.action { Some(states) } else { None }
    }

    pub(crate) const fn delegate(&self) -> Option<&'a Delegate> {
        if let Action::Delegate(delegate) = &self.definition.action { Some(delegate) } else { None }
    }

    pub(crate) const fn function(&self) -> Option<&'a DurableFunction> {
        if let Action::Function(function) = &self.definition.action { Some(function) } else { None }
    }

    pub(crate) fn offers(&self) -> &'a [RaceOption] {
        if let Action::Race { options: offers } = &self.definition.action { offers } else { &[] }
    }

    /// The signal that a wait waits for.
    pub(crate) const fn awaited_signal(&self) -> Option<&'a Name> {
        if let Action::Wait { signal, .. } = &self.definition.action { signal.as_ref() } else { None }
    }

    pub(crate) fn handlers(&self) -> &'a [Handler] {
        &self.definition.handlers
    }

    /// The work of an instance that has begun or is the next to begin.
    pub(crate) fn work_of(&self, instance: u32) -> Option<&'a WorkPlan> {
        if let Some(work) = self.function_work()
            && work.call_of(instance, self.state.instances()).is_some()
        {
            return work.work_of(instance, self.state.instances());
        }
        if self.plan.states.is_empty() {
            return Some(&self.plan.work);
        }
        let begun = self.state.instances().get(instance).map(Instance::state);
        let next = if let NodeWork::States(states) = self.state.work() { states.state() } else { None };
        self.plan.states.get(begun.or(next)? as usize)
    }
}

/// The tasks of the node.
impl<'a> BoundNode<'a> {
    /// The template of the task of an instance that has begun or is the next to begin.
    pub(crate) fn template(&self, instance: u32, phase: Phase) -> Option<Cow<'a, Template>> {
        if let (Phase::Do, Some((work, _))) = (phase, self.delegate_work()) {
            return self.part_template(work, instance);
        }
        let work = self.work_of(instance)?;
        let template = match phase {
            Phase::Do => work.task.as_ref(),
            Phase::Undo => work.undo.as_ref(),
            Phase::Query => work.query.as_ref(),
        };
        template.map(Cow::Borrowed)
    }

    fn part_template(&self, delegated: &DelegateWork, instance: u32) -> Option<Cow<'a, Template>> {
        let work = &self.plan.work;
        if let PartWork::Gathers(_) = delegated.of_work(instance)? {
            return work.gather.as_ref().map(Cow::Borrowed);
        }
        let whole = work.task.as_ref()?;
        let Some(handed) = delegated.handed_to(instance) else { return Some(Cow::Borrowed(whole)) };
        let task = &handed.task;
        let needs = task.needs.clone().unwrap_or_else(|| Needs::skill(task.kind.clone()));
        Some(Cow::Owned(Template { kind: task.kind.clone(), needs, ..whole.clone() }))
    }

    /// The agents that are excluded from the task of an instance.
    pub(crate) fn barred(&self, instance: u32) -> &'a [AgentId] {
        let handed = self.delegate_work().and_then(|(work, _)| work.handed_to(instance));
        handed.map(|handed| &handed.excluded[..]).unwrap_or_default()
    }
}

/// The work of the node.
impl<'a> BoundNode<'a> {
    pub(crate) const fn map_work(&self) -> Option<&'a MapWork> {
        if let NodeWork::Map(work) = self.state.work() { Some(work) } else { None }
    }

    pub(crate) const fn delegate_work(&self) -> Option<(&'a DelegateWork, &'a Delegate)> {
        match (self.state.work(), self.delegate()) {
            (NodeWork::Delegate(work), Some(delegate)) => Some((work, delegate)),
            (_, _) => None,
        }
    }

    /// Whether an instance is a turn of a durable function, under way or next to begin.
    pub(crate) fn is_turn(&self, owner: Owner) -> bool {
        let call = |work: &FunctionWork| work.call_of(owner.item, self.state.instances()).is_none();
        owner.phase == Phase::Do && self.function_work().is_some_and(call)
    }

    pub(crate) const fn function_work(&self) -> Option<&'a FunctionWork> {
        if let NodeWork::Function(work) = self.state.work() { Some(work) } else { None }
    }

    pub(crate) const fn race_work(&self) -> Option<&'a RaceWork> {
        if let NodeWork::Race(work) = self.state.work() { Some(work) } else { None }
    }

    const fn wait_work(&self) -> Option<WaitWork> {
        if let NodeWork::Wait(work) = self.state.work() { Some(*work) } else { None }
    }

    /// Whether a node that has begun has no move before its task or child run ends, unless another node or an operator
    /// changes it: it has no handler and no time limit.
    pub(crate) const fn awaits_its_task(&self) -> bool {
        matches!(self.state.work(), NodeWork::Task) && self.state.is_plain()
    }

    /// The number of items so far of a map that accepts more.
    pub(crate) fn items_if_open(&self) -> Option<u32> {
        self.map_work()?.items_if_open(self.map()?)
    }

    /// The parts under way with a reserved share of a budget.
    pub(crate) fn shares(&self) -> Vec<Share> {
        match self.delegate_work() {
            Some((work, _)) if !self.state.has_ended() => work.shares(),
            Some(_) | None => Vec::new(),
        }
    }

    /// The parts with a share of a budget that an instance belongs to, the nearest first.
    pub(crate) fn shares_of(&self, instance: u32) -> Vec<u32> {
        self.delegate_work().map(|(work, _)| work.shares_of(instance)).unwrap_or_default()
    }

    /// The decision that it waits for.
    pub(crate) fn asks(&self) -> Option<(&'a Decision, &'a Ruling)> {
        let ruling = self.race_work().filter(|_| self.state.is_working())?.ruling()?;
        Some((decision(self.offers())?, ruling))
    }

    /// The signals that its work waits for.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = Wanted<'a>> + use<'a> {
        let node = self.ix;
        let is_working = self.state.is_working();
        let offered = self.offers().iter().filter_map(move |offer| match &offer.on {
            WaitFor::Signal { signal, matching } => Some(Wanted { node, signal, matching }),
            WaitFor::After(_) | WaitFor::At(_) | WaitFor::When(_) | WaitFor::Decision(_) => None,
        });
        let awaited = self.awaited_signal().map(|signal| Wanted { node, signal, matching: &Condition::True });
        awaited.into_iter().chain(offered).filter(move |_| is_working)
    }

    /// The handlers that can fire.
    pub(crate) fn armed(&self) -> impl Iterator<Item = Armed<'a>> + use<'a> {
        let watch =
            self.state.aside().watch.as_ref().filter(|watch| watch.interrupted().is_none() && self.state.is_working());
        let handlers = self.handlers();
        watch.into_iter().flat_map(move |watch| {
            let armed = (0..).zip(handlers).filter(|(index, _)| !watch.has_fired(*index));
            armed.map(|(index, handler)| Armed { index, handler, since: watch.since() })
        })
    }

    /// The conditions that its work and its handlers wait for.
    pub(crate) fn watched(&self) -> impl Iterator<Item = &'a Condition> + use<'a> {
        let is_working = self.state.is_working();
        let offered = self.offers().iter().filter_map(|offer| match &offer.on {
            WaitFor::When(condition) => Some(condition),
            WaitFor::Signal { .. } | WaitFor::After(_) | WaitFor::At(_) | WaitFor::Decision(_) => None,
        });
        let handled = self.armed().filter_map(|armed| match &armed.handler.on {
            Boundary::When(condition) => Some(condition),
            Boundary::Error(_) | Boundary::Timeout(_) | Boundary::Signal { .. } | Boundary::Cancel => None,
        });
        offered.filter(move |_| is_working).chain(handled)
    }

    /// The signals that its handlers wait for.
    pub(crate) fn handler_signals(&self) -> impl Iterator<Item = Wanted<'a>> + use<'a> {
        let node = self.ix;
        self.armed().filter_map(move |armed| match &armed.handler.on {
            Boundary::Signal { signal, matching } => Some(Wanted { node, signal, matching }),
            Boundary::Error(_) | Boundary::Timeout(_) | Boundary::Cancel | Boundary::When(_) => None,
        })
    }

    /// The times at which its handlers fire.
    pub(crate) fn handler_times(&self) -> impl Iterator<Item = Time> + use<'a> {
        self.armed().filter_map(|armed| match armed.handler.on {
            Boundary::Timeout(span) => Some(armed.since + span),
            Boundary::Error(_) | Boundary::Signal { .. } | Boundary::Cancel | Boundary::When(_) => None,
        })
    }

    /// The times that its work waits for.
    pub(crate) fn work_times(&self) -> Vec<Time> {
        if !self.state.is_working() {
            return Vec::new();
        }
        match (self.wait_work(), self.race_work()) {
            (Some(wait), _) => wait.until().into_iter().collect(),
            (None, Some(race)) => race.times(self.offers()),
            (None, None) => self.state.aside().retry_at().into_iter().collect(),
        }
    }

    /// The earliest time of its work.
    pub(crate) fn next_work_time(&self) -> Option<Time> {
        match (self.wait_work(), self.race_work()) {
            (Some(wait), _) => wait.until(),
            (None, Some(race)) => race.next_time(self.offers()),
            (None, None) => self.state.aside().retry_at().filter(|_| self.state.is_working()),
        }
    }

    /// The end of its time limit.
    pub(crate) fn time_limit(&self) -> Option<Time> {
        let span = self.definition.budget?.time?;
        let began = self.state.aside().began().filter(|_| self.state.is_working())?;
        Some(began + span)
    }

    /// The signal that the node consumed if it ended with this case.
    pub(crate) fn consumed_signal(&self, took: &Name) -> Option<&'a Name> {
        let offered = || {
            let offer = self.offers().iter().find(|offer| offer.name == *took)?;
            if let WaitFor::Signal { signal, .. } = &offer.on { Some(signal) } else { None }
        };
        self.awaited_signal().filter(|signal| *signal == took).or_else(offered)
    }
}

/// The end of the node, and its side effects.
impl BoundNode<'_> {
    /// Whether an instance has a compensation.
    pub(crate) fn has_undo(&self, instance: &Instance) -> bool {
        if let Some(work) = self.function_work() {
            let can_be = |call: &Call| call.can_be_undone() && !call.was_rolled_back();
            return work.is_rolled_back_now(instance) && work.performed_by(instance).is_some_and(can_be);
        }
        match self.plan.states.get(instance.state() as usize) {
            Some(state) => state.can_be_undone(),
            None => self.plan.work.can_be_undone(),
        }
    }

    /// Whether a task compensates the instance, instead of the child run that performed it.
    pub(crate) fn has_undo_task(&self, instance: u32) -> bool {
        self.work_of(instance).is_some_and(|work| work.undo.is_some())
    }

    /// A child run that compensated itself and failed to.
    pub(crate) fn child_not_undone(&self) -> Option<RunId> {
        let failed = self.state.instances().not_undone();
        let mut without_task = failed.filter(|(index, _)| !self.has_undo_task(*index));
        without_task.find_map(|(_, instance)| instance.worker().child())
    }

    /// Whether an instance performed a call of a function that was rolled back to before it.
    pub(crate) fn was_rolled_back(&self, instance: &Instance) -> bool {
        let call = self.function_work().and_then(|work| work.performed_by(instance));
        call.is_some_and(Call::was_rolled_back)
    }

    /// The save-point of its function to which a failure rolls back.
    pub(crate) fn call_to_continue_from(&self) -> Option<CallPoint> {
        let call = self.function_work()?.save_point(self.state.instances())?;
        let (key, occurrence) = (call.key.clone(), call.occurrence.clone());
        Some(CallPoint { node: self.definition.name.clone(), key, occurrence })
    }

    /// The number of its attempts: as a whole if it has retries of its own, otherwise of all of its tasks.
    pub(crate) fn attempts(&self) -> u32 {
        let state = self.state;
        match &self.definition.retry {
            None => state.instances().attempts(),
            Some(_) if state.has_started() || !state.instances().is_empty() => {
                state.aside().retried().saturating_add(1)
            }
            Some(_) => 0,
        }
    }

    /// Whether its definition declares a compensation.
    pub(crate) fn declares_undo(&self) -> bool {
        self.plan.work.undo.is_some() || self.plan.states.iter().any(|state| state.undo.is_some())
    }

    /// Whether a pivot is under way in it: it is not withdrawn, and its end decides between forward and back.
    pub(crate) fn has_pivot_under_way(&self) -> bool {
        let instances = self.state.instances();
        instances.has_committed() || self.definition.pivot && instances.active() > 0
    }

    /// Whether the handler of this case has started its branch.
    pub(crate) fn has_branched(&self, case: &Name) -> bool {
        let Some(watch) = self.state.aside().watch.as_ref() else { return false };
        let mut handlers = (0..).zip(self.handlers());
        handlers.any(|(index, handler)| handler.name == *case && !handler.interrupts && watch.has_fired(index))
    }

    /// What the links to the node say; none as long as that is open.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        let round_due = matches!(self.state.work(), NodeWork::Rounds(rounds) if rounds.due().is_some());
        self.state.links().verdict(self.definition.join, self.plan.links, round_due)
    }

    /// Whether all links to the node are decided.
    pub(crate) fn inflow(&self) -> Inflow {
        if self.state.links().decided() == self.plan.links { Inflow::Over } else { Inflow::Open }
    }

    /// How a link from the node is decided, if it is.
    pub(crate) fn link_decision(&self, on: &On) -> Option<LinkDecision> {
        if matches!(on, On::Case(case) if self.has_branched(case)) {
            return Some(LinkDecision::BRANCH);
        }
        let outcome = self.state.ended()?;
        let source = self.source(on, outcome);
        let taken = |is_taken| if is_taken { Route::Taken } else { Route::NotTaken };
        let route = match (self.alternative(), on) {
            (Some(_), On::Success | On::Each) => Route::NotTaken,
            (Some(instead), On::Case(case)) => taken(case == instead),
            (Some(_), On::Failure | On::Always) | (None, _) => Route::of(on, outcome, self.state.took()),
        };
        Some(LinkDecision { route, source })
    }

    /// The end of the node as far as other nodes depend on it over such a link. A link for failures is not the less taken for
    /// a failure.
    fn source(&self, on: &On, outcome: &NodeOutcome) -> Source {
        let is_for_failures = match on {
            On::Failure => true,
            On::Case(case) => self.handlers().iter().any(|handler| handler.name == *case),
            On::Success | On::Always | On::Each => false,
        };
        match outcome {
            _ if is_for_failures => Source::Sound,
            NodeOutcome::Failed { .. } => Source::Failed,
            NodeOutcome::UpstreamFailed => Source::UpstreamFailed,
            NodeOutcome::Skipped | NodeOutcome::Succeeded | NodeOutcome::Cancelled { .. } => Source::Sound,
        }
    }

    /// The case that the save-point takes instead of success, if it takes its alternative.
    fn alternative(&self) -> Option<&Name> {
        let save =
            self.definition.save.as_ref().filter(|_| self.state.aside().save_point.way == SavePointWay::Alternative)?;
        save.alternative.as_ref()
    }
}
