//! The transitions of a node. An input that is not valid in its state is rejected.

use super::aside::{HandlerEffect, SavePointWay};
use super::{
    Applied, Arrival, Aside, Blocked, Call, Ended, Illegal, Instance, InstanceEnd, LinkDecision, Links, NodeState,
    NodeWork, Stage, Watch, Worker, waits_with_work,
};
use crate::base::id::AgentId;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::definition::{Action, Join, Machine, Node};
use crate::message::event::{DecisionEvent, MapEvent, Opening, PartEvent};
use crate::message::run::{CallPoint, CompensationOutcome, NodeOutcome, NodeRemedy};
use crate::task::{Retry, SideEffects, Spending};
use crate::workflow::machine::change::Renewal;

/// Whether a node starts with an input or was already under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Starts,
    UnderWay,
}

/// Whether an operator can decide so about a failure of a node that has ended.
pub(crate) const fn decides_late(remedy: &NodeRemedy) -> bool {
    matches!(remedy, NodeRemedy::Skip { .. } | NodeRemedy::Fail { .. })
}

fn not_ended(node: &NodeState, input: &'static str) -> Applied {
    if node.has_ended() { Err(Illegal::new(input, "it has ended")) } else { Ok(()) }
}

/// Whether a node that is attempted again as a whole has not begun its next attempt.
pub(crate) fn is_between_attempts(node: &NodeState) -> bool {
    node.is_working() && node.aside().retry_at().is_some() && matches!(node.work, NodeWork::Map(_) | NodeWork::Repeat)
}

/// The retries that a failure of the node concerns: of the node as a whole, or of the body of its current state.
pub(crate) fn retries_of<'n>(node: &'n Node, state: &NodeState) -> Option<&'n Retry> {
    match (&node.action, &state.work) {
        (Action::States(states), NodeWork::States(work)) => states.states.get(work.state()? as usize)?.retry.as_ref(),
        (_, _) => node.retry.as_ref(),
    }
}

/// Drops the instances of the attempt before, which has failed and is compensated. Its usage and the count of the retries are
/// kept, as are the clocks of the handlers and the items that hosts added.
fn begin_anew(node: &mut NodeState) -> Applied {
    if node.instances.active() > 0 || node.instances.is_undoing() {
        return Err(Illegal::new("a node opens", "instances of its attempt before are under way"));
    }
    let spent_before = node.spent();
    let is_new = node.instances.children().next().is_some() || node.instances.was_undone();
    node.instances = super::Instances::default();
    node.work = core::mem::replace(&mut node.work, NodeWork::Immediate).renewed();
    let aside = node.aside_mut();
    (aside.spent_before, aside.repeats) = (spent_before, aside.repeats.saturating_add(is_new.into()));
    if let Some(retries) = &mut aside.retries {
        retries.at = None;
    }
    Ok(())
}

/// The initial state of a function that keeps its instances.
fn begun_again(mut node: NodeState) -> NodeState {
    if let NodeWork::Function(function) = &mut node.work {
        function.begin_again(&node.instances);
        node.instances.settle_undo(|instance| function.performed_by(instance).is_some_and(Call::was_rolled_back));
    }
    let mut again = NodeState { work: node.work, instances: node.instances, ..NodeState::default() };
    if let Some(aside) = node.aside {
        again.aside_mut().spent_before = aside.spent_before;
        again.aside_mut().repeats = aside.repeats;
    }
    again.tidy();
    again
}

/// The function of a node continues as new with this input. The instances of the node, none of which is under way, are dropped.
pub(crate) fn continue_as_new(node: &mut NodeState, input: &Payload) -> Applied {
    const INPUT: &str = "a function continues as new";
    if !node.is_working() || node.instances.active() > 0 {
        return Err(Illegal::new(INPUT, "its node is not under way, or calls are"));
    }
    let NodeWork::Function(function) = &mut node.work else {
        return Err(Illegal::new(INPUT, "its node executes none"));
    };
    function.continue_as_new(input)?;
    let spent_before = node.spent();
    node.instances = super::Instances::default();
    let aside = node.aside_mut();
    (aside.spent_before, aside.repeats) = (spent_before, aside.repeats.saturating_add(1));
    Ok(())
}

/// The calls of a function from this one on are rolled back.
pub(crate) fn roll_back_node(node: &mut NodeState, call: &CallPoint, goal: CallGoal) -> Applied {
    let NodeWork::Function(function) = &mut node.work else {
        return Err(Illegal::new("a function is rolled back", "its node executes none"));
    };
    match goal {
        CallGoal::SavePoint => function.roll_back(&call.key, &call.occurrence, &node.instances),
        CallGoal::Reset => function.reset(&call.key, &call.occurrence, &node.instances),
    }
}

/// The rollback of a function to a call ends, because the whole run fails. If its calls in scope are compensated, it may be
/// compensated again, for those before.
pub(crate) fn end_rollback(node: &mut NodeState) {
    let NodeWork::Function(function) = &mut node.work else { return };
    if function.cut().is_none() {
        return;
    }
    let Stage::Ended(ended) = &mut node.stage else { return function.end_rollback(false, &node.instances) };
    let is_undone =
        matches!(ended.compensated(), Some(CompensationOutcome::Compensated | CompensationOutcome::Declared { .. }));
    let is_left = is_undone && function.has_effects_before_cut();
    function.end_rollback(is_undone, &node.instances);
    if is_left {
        ended.set_compensated(None);
        node.instances.settle_undo(|instance| function.performed_by(instance).is_some_and(Call::was_rolled_back));
    }
}

/// What a function is rolled back for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallGoal {
    /// To the end of a save-point of it.
    SavePoint,
    /// To the beginning of a call, by an operator.
    Reset,
}

/// Counts usage of child runs that were forgotten as usage of a node.
pub(crate) fn keep_spent(node: &mut NodeState, spent: Spending) {
    let aside = node.aside_mut();
    aside.spent_before = aside.spent_before + spent;
    node.tidy();
}

/// The links.
impl NodeState {
    pub(crate) const fn decide_link(&mut self, decision: LinkDecision) {
        self.links.decide(decision);
    }

    /// Sets the links after they were recomputed.
    pub(crate) const fn set_links(&mut self, links: Links) {
        self.links = links;
    }

    /// Records a token on a link to a node that starts more than once. Returns whether that changes anything.
    pub(crate) fn arrive(&mut self, join: Join, links: u32, link: u32, arrival: Arrival) -> bool {
        !self.has_ended() && self.work.arrive(join, links, link, arrival)
    }

    /// Sets the arrivals after they were recomputed.
    pub(crate) fn set_arrivals(&mut self, arrivals: super::RoundsWork) {
        if let NodeWork::Rounds(rounds) = &mut self.work {
            *rounds = arrivals;
        }
    }
}

/// Begin and end.
impl NodeState {
    fn aside_mut(&mut self) -> &mut Aside {
        self.aside.get_or_insert_default()
    }

    /// Removes an empty box, so that equal states have equal representations.
    fn tidy(&mut self) {
        self.aside.take_if(|aside| **aside == Aside::default());
    }

    /// Opens a node with several instances, or a node that waits.
    pub(crate) fn open(&mut self, opening: &Opening) -> Applied {
        match self.stage {
            Stage::Waiting => {}
            Stage::Working if is_between_attempts(self) => begin_anew(self)?,
            Stage::Working => return Err(Illegal::new("a node opens", "it is under way")),
            Stage::Ended(_) => return Err(Illegal::new("a node opens", "it has ended")),
        }
        self.work.open(opening)?;
        self.stage = Stage::Working;
        Ok(())
    }

    /// Starts the clock of the handlers and of the time limit.
    pub(crate) fn watch_from(&mut self, now: Time) {
        self.aside_mut().watch = Some(Watch::new(now));
    }

    /// Begins the next instance with this task or child run.
    pub(crate) fn begin(&mut self, index: u32, worker: Worker, input: &Payload) -> Applied<Start> {
        const INPUT: &str = "an instance begins";
        let start = match (&self.stage, &self.work) {
            (Stage::Waiting, NodeWork::Task) => Start::Starts,
            (Stage::Working, _) => Start::UnderWay,
            (Stage::Waiting, _) => return Err(Illegal::new(INPUT, "its node has not opened")),
            (Stage::Ended(_), _) => return Err(Illegal::new(INPUT, "its node has ended")),
        };
        if index != self.instances.len() {
            return Err(Illegal::new(INPUT, "another is the next one"));
        }
        let state = self.work.begin(index)?;
        if let NodeWork::Map(map) = &self.work {
            self.instances.reserve(map.items().map_or(0, |items| items as usize));
        }
        self.instances.begin(index, Instance::new(worker, input.clone(), state))?;
        self.stage = Stage::Working;
        if let Some(retries) = self.aside.as_mut().and_then(|aside| aside.retries.as_mut()) {
            retries.at = None;
        }
        Ok(start)
    }

    /// Ends the node with this output.
    pub(crate) fn end(&mut self, outcome: &NodeOutcome, took: &[Name], output: Payload) -> Applied {
        not_ended(self, "a node ends")?;
        let end = Ended::new(outcome, took);
        let has_begun = !self.is_waiting() || waits_with_work(self);
        self.stage = Stage::Ended(if has_begun { end } else { end.before_start() });
        self.output = output;
        self.work.close();
        // A compensation that failed between two attempts is tried again if the run is rolled back.
        self.instances.retry_undo();
        if let Some(aside) = &mut self.aside {
            aside.held = None;
            aside.retries.iter_mut().for_each(|retries| retries.at = None);
        }
        self.tidy();
        Ok(())
    }

    /// The initial state of the node, except for its usage and the items that hosts added. Its links are undecided. A child run
    /// has compensated its own steps when it failed, so the next one is new work in any case.
    pub(crate) fn renewed(self, renewal: Renewal) -> Self {
        if self.work.keeps_instances(renewal) {
            return begun_again(self);
        }
        let spent_before = self.spent();
        let is_new = renewal == Renewal::Repeat || self.instances.children().next().is_some();
        let repeats = self.aside().repeats.saturating_add(is_new.into());
        let mut renewed = Self { work: self.work.renewed(), ..Self::default() };
        renewed.aside_mut().spent_before = spent_before;
        renewed.aside_mut().repeats = repeats;
        renewed.tidy();
        renewed
    }

    /// The compensation of the node has ended in this way; none: it is retried.
    pub(crate) fn set_compensated(&mut self, outcome: Option<&CompensationOutcome>) -> Applied {
        let Stage::Ended(ended) = &mut self.stage else {
            return Err(Illegal::new("a node is compensated", "it has not ended"));
        };
        ended.set_compensated(outcome.cloned());
        if outcome.is_none() {
            self.instances.retry_undo();
        }
        Ok(())
    }
}

/// The work.
impl NodeState {
    /// Keeps the position of the search for the next compensation of an instance.
    pub(crate) fn set_undo_below(&mut self, index: u32) {
        self.instances.set_undo_below(index);
    }

    pub(crate) fn work_mut(&mut self) -> &mut NodeWork {
        &mut self.work
    }

    pub(crate) fn change_items(&mut self, event: &MapEvent) -> Applied {
        let NodeWork::Map(map) = &mut self.work else {
            return Err(Illegal::new("the items of a map change", "the node is no map"));
        };
        map.apply(event)
    }

    pub(crate) fn change_decision(&mut self, event: &DecisionEvent) -> Applied {
        const INPUT: &str = "a decision changes";
        if !self.is_working() {
            return Err(Illegal::new(INPUT, "its node is not under way"));
        }
        let NodeWork::Race(race) = &mut self.work else {
            return Err(Illegal::new(INPUT, "the node waits for none"));
        };
        race.apply(event)
    }

    pub(crate) fn change_part(&mut self, part: u32, event: &PartEvent, node: &Node) -> Applied {
        match (&mut self.work, &node.action) {
            (NodeWork::Delegate(work), Action::Delegate(delegate)) => {
                work.apply(part, event, &self.instances, delegate)
            }
            (_, _) => Err(Illegal::new("a part changes", "the node delegates nothing")),
        }
    }

    pub(crate) fn enter(&mut self, state: u32, item: Option<&Payload>) -> Applied {
        const INPUT: &str = "a token enters a state";
        if !self.is_working() {
            return Err(Illegal::new(INPUT, "its node is not under way"));
        }
        let NodeWork::States(states) = &mut self.work else {
            return Err(Illegal::new(INPUT, "the node has no states"));
        };
        states.enter(state, item, &self.instances);
        if let Some(aside) = &mut self.aside {
            aside.retries = None;
        }
        self.tidy();
        Ok(())
    }
}

/// The instances.
impl NodeState {
    /// Changes one instance.
    pub(crate) fn change_instance(
        &mut self,
        input: &'static str,
        index: u32,
        change: impl FnOnce(&mut Instance) -> Applied,
    ) -> Applied {
        self.instances.change(input, index, change)
    }

    /// Records the end of an instance.
    pub(crate) fn finish(&mut self, index: u32, end: InstanceEnd, node: &Node) -> Applied {
        let end = if let NodeWork::Function(function) = &mut self.work {
            function.finish(self.instances.get(index), end)
        } else {
            end
        };
        self.change_instance("an instance ends", index, |instance| {
            let is_task = instance.worker().task().is_some();
            instance.finish(if node.pivot && is_task { end.of_pivot() } else { end })
        })?;
        self.finished(index, node);
        Ok(())
    }

    /// Records the end of a query for the outcome of an instance.
    pub(crate) fn end_query(&mut self, index: u32, found: Option<SideEffects>, node: &Node) -> Applied {
        self.change_instance("a query ends", index, |instance| {
            instance.end_query(|end| {
                let end = end.found(found);
                if node.pivot { end.of_pivot() } else { end }
            })
        })?;
        self.finished(index, node);
        Ok(())
    }

    /// Records that an attempt at the task of an instance was assigned to an agent.
    pub(crate) fn assign(&mut self, index: u32, agent: AgentId) -> Applied {
        if let NodeWork::Delegate(work) = &mut self.work {
            work.assign(index, agent);
        }
        self.instances.begin_attempt(index)
    }

    /// Updates the work after the end of an instance.
    fn finished(&mut self, index: u32, node: &Node) {
        let is_success = self.instances.get(index).and_then(Instance::end).is_some_and(InstanceEnd::is_success);
        let has_ended = self.has_ended();
        match (&mut self.work, &node.action) {
            (NodeWork::Delegate(work), _) => work.wake(index),
            (NodeWork::Map(work), Action::Map(map)) if is_success && !has_ended => work.succeeded(map, index),
            (_, _) => {}
        }
    }
}

/// Handlers, operators, limits, guards and save-points.
impl NodeState {
    /// Fires a handler.
    pub(crate) fn fire(&mut self, handler: u32, effect: HandlerEffect) -> Applied {
        const INPUT: &str = "a handler fires";
        if !self.is_working() {
            return Err(Illegal::new(INPUT, "its node is not under way"));
        }
        let watch = self.aside_mut().watch.as_mut().ok_or(Illegal::new(INPUT, "its node has none"))?;
        watch.fire(handler, effect)
    }

    /// Records the decision of an operator about the end of the node, or about its failure after its end.
    pub(crate) fn operate(&mut self, remedy: &NodeRemedy) -> Applied {
        let is_late = self.has_failed() && self.aside().remedy.is_none() && decides_late(remedy);
        if !is_late {
            not_ended(self, "an operator decides how a node ends")?;
        }
        self.aside_mut().remedy = Some(remedy.clone());
        Ok(())
    }

    /// Holds the failure of the node for an operator.
    pub(crate) fn hold(&mut self, outcome: &NodeOutcome) -> Applied {
        const INPUT: &str = "a failure is held";
        not_ended(self, INPUT)?;
        // The calls of a function go on.
        if self.instances.active() > 0 && !self.work.keeps_instances(Renewal::Retry) {
            return Err(Illegal::new(INPUT, "instances of its node are under way"));
        }
        self.aside_mut().held = Some(Box::new(outcome.clone()));
        Ok(())
    }

    /// Releases the held failure, which is then determined again.
    pub(crate) fn release(&mut self) {
        if let Some(aside) = &mut self.aside {
            aside.held = None;
        }
        self.tidy();
    }

    /// Blocks the node: it begins nothing more.
    pub(crate) fn block(&mut self, blocked: Blocked) -> Applied {
        const INPUT: &str = "a node is blocked";
        not_ended(self, INPUT)?;
        if self.aside().blocked.is_some() {
            return Err(Illegal::new(INPUT, "it begins nothing more"));
        }
        self.aside_mut().blocked = Some(blocked);
        Ok(())
    }

    /// Records that a guard of the node did not hold.
    pub(crate) fn refuse(&mut self) -> Applied {
        not_ended(self, "a guard of a node does not hold")?;
        let aside = self.aside_mut();
        aside.refusals = aside.refusals.saturating_add(1);
        Ok(())
    }

    /// An attempt of the node, or the body of its state, failed, and another one starts at this time.
    pub(crate) fn retry_at(&mut self, at: Time, rule: Option<u32>, node: &Node) -> Applied {
        const INPUT: &str = "a node is retried";
        let is_last = matches!(self.work, NodeWork::Task | NodeWork::States(_));
        let has_failed = match &self.work {
            NodeWork::Task | NodeWork::States(_) | NodeWork::Repeat => {
                self.instances.last().and_then(Instance::end).is_some_and(|end| !end.is_success())
            }
            NodeWork::Map(_) => self.instances.failed() > 0,
            NodeWork::Immediate
            | NodeWork::Compensation
            | NodeWork::Rounds(_)
            | NodeWork::Delegate(_)
            | NodeWork::Function(_)
            | NodeWork::Wait(_)
            | NodeWork::Race(_)
            | NodeWork::Send(_) => false,
        };
        if !self.is_working() || !has_failed || !is_last && self.instances.active() > 0 {
            return Err(Illegal::new(INPUT, "it has not failed"));
        }
        let rules = retries_of(node, self).map_or(0, |retry| retry.rules.len());
        let rule = rule.map(|rule| rule as usize);
        if rule.is_some_and(|rule| rule >= rules) {
            return Err(Illegal::new(INPUT, "its node has no such rule"));
        }
        let retries = self.aside_mut().retries.get_or_insert_default();
        if retries.at.is_some() {
            return Err(Illegal::new(INPUT, "another one is about to start"));
        }
        retries.add(at, rule);
        if let NodeWork::States(states) = &mut self.work {
            states.again();
        }
        Ok(())
    }

    /// Records the value of a variable that a reducer of the host combined for the node.
    pub(crate) fn reduce(&mut self, variable: u32, value: &Payload) {
        self.aside_mut().reduced.insert(variable, value.clone());
    }

    /// Drops the combined value of a variable that was updated, if the node has not begun.
    pub(crate) fn forget_reduced(&mut self, variable: u32) {
        if self.is_waiting()
            && let Some(aside) = &mut self.aside
        {
            aside.reduced.remove(&variable);
            self.tidy();
        }
    }

    /// The run is rolled back to the node.
    pub(crate) fn roll_back(&mut self) {
        let save_point = &mut self.aside_mut().save_point;
        save_point.times = save_point.times.saturating_add(1);
    }

    /// Continues from the node as a save-point, which may be used this many times before its alternative is taken.
    pub(crate) fn leave_save_point(&mut self, again: u32) {
        let save_point = &mut self.aside_mut().save_point;
        save_point.way = if save_point.times > again { SavePointWay::Alternative } else { SavePointWay::Same };
        self.tidy();
    }

    /// Adapts the node to another definition. Refusals of guards and values combined for the node are determined again
    /// if it has not begun; otherwise they are kept, with the indexes of the variables in the new definition. The failures of
    /// child runs are kept by rule if the rules are the same.
    pub(crate) fn migrate(&mut self, variable: impl Fn(u32) -> Option<u32>, has_same_rules: bool) {
        let is_waiting = self.is_waiting();
        self.instances.reset_cursors();
        if let NodeWork::Map(map) = &mut self.work {
            map.forget_list();
        }
        if let Some(aside) = &mut self.aside {
            if is_waiting {
                aside.refusals = 0;
            }
            let known = core::mem::take(&mut aside.reduced).into_iter().filter(|_| !is_waiting);
            if let Some(retries) = aside.retries.as_mut().filter(|_| !has_same_rules) {
                retries.forget_rules();
            }
            aside.reduced = known.filter_map(|(place, value)| Some((variable(place)?, value))).collect();
        }
        self.tidy();
    }

    /// Changes the kind of the node. A node that has begun must keep its kind, which is checked before a migration.
    pub(crate) fn adopt_kind(&mut self, kind: Machine) {
        if self.work.kind() != kind {
            self.work = NodeWork::new(kind);
        }
    }

    /// Marks the node as dirty after a restore.
    pub(crate) fn wake(&mut self) {
        if let NodeWork::Delegate(work) = &mut self.work {
            work.wake_all();
        }
    }

    /// Checks the invariants of the node.
    pub(crate) fn check(&self, links: u32) -> Result<(), String> {
        self.links.check(links)?;
        self.instances.check()?;
        if let NodeWork::Delegate(delegate) = &self.work
            && let Some(parts) = delegate.parts()
        {
            parts.check(self.instances.len())?;
        }
        if let NodeWork::Function(function) = &self.work {
            function.check(&self.instances)?;
        }
        match self.stage {
            Stage::Waiting if matches!(self.work, NodeWork::Function(_)) => Ok(()),
            Stage::Waiting if !self.instances.is_empty() => Err("has instances and has not begun".to_owned()),
            Stage::Working => self.work.check_working(&self.instances),
            Stage::Waiting | Stage::Ended(_) => Ok(()),
        }
    }
}
