//! The way back of a run: to save-points, or to its beginning by compensation.

use super::graph::{BoundNode, Graph};
use super::illegal::{Applied, Illegal};
use super::node::InstanceUndo;
use crate::base::id::NodeIx;
use crate::base::name::Name;
use crate::definition::{Definition, OnCompensationFailure};
use crate::message::run::{Cause, CompensationOutcome};
use crate::saga::{Step, UnwindError, Unwinding, last_save_points};
use serde::{Deserialize, Serialize};

/// What a run knows of its way back.
#[derive(Debug, Default)]
pub(crate) struct Rollback {
    /// The order in which nodes are compensated, once that has begun.
    compensation: Option<Box<Unwinding>>,
    /// The nodes that are rolled back while the run goes on.
    way: Option<Box<WayBack>>,
    pivot: Pivot,
    /// The nodes whose effects were left as they were when the nodes were done anew.
    left_behind: Box<[Name]>,
}

/// Whether the run has passed a pivot: then nothing is compensated any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pivot {
    #[default]
    Ahead,
    Passed,
}

/// Nodes that are rolled back: what is under way in them is withdrawn, what they did is undone, and they start anew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct WayBack {
    /// The nodes, in ascending order, with all that comes after them.
    nodes: Vec<NodeIx>,
    goal: Goal,
    cause: Cause,
}

/// To where a run is rolled back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Goal {
    /// To the ends of these nodes.
    SavePoints(Vec<NodeIx>),
    /// To where an operator wants it.
    Reset(ResetMode),
}

/// What an operator wants to happen to what the nodes did before they are done anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ResetMode {
    Compensate,
    LeaveAsIs,
}

impl ResetMode {
    pub(crate) const fn new(undo: bool) -> Self {
        if undo { Self::Compensate } else { Self::LeaveAsIs }
    }
}

/// What a run that is rolled back does when no node has anything to do.
#[derive(Debug, PartialEq)]
pub(crate) enum WayStep {
    /// Wait for what is under way.
    Wait,
    /// Compensate these nodes.
    Compensate(Vec<NodeIx>),
    /// Something stays that should not: the whole run fails.
    Fail(Cause),
    /// Go forward again from these nodes.
    Restart(Vec<NodeIx>),
}

/// The data of a way back in a snapshot.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct RollbackRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    way: Option<WayBack>,
    /// The nodes that are or were to be compensated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    members: Option<Vec<NodeIx>>,
    /// Those of them whose compensation failed and is tried again, and that hold back nothing meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    released: Vec<NodeIx>,
    pivot: Pivot,
    #[serde(default, skip_serializing_if = "<[Name]>::is_empty")]
    left_behind: Box<[Name]>,
}

/// Reading.
impl Rollback {
    pub(crate) fn has_passed_pivot(&self) -> bool {
        self.pivot == Pivot::Passed
    }

    pub(crate) fn left_behind(&self) -> &[Name] {
        &self.left_behind
    }

    pub(crate) fn way(&self) -> Option<&WayBack> {
        self.way.as_deref()
    }

    /// Whether any node is rolled back while the run goes on.
    pub(crate) const fn is_rolling_back(&self) -> bool {
        self.way.is_some()
    }

    /// Whether a node is rolled back while the run goes on.
    pub(crate) fn rolls_back(&self, ix: NodeIx) -> bool {
        self.way().is_some_and(|way| way.nodes.binary_search(&ix).is_ok())
    }

    pub(crate) const fn is_compensating(&self) -> bool {
        self.compensation.is_some()
    }

    /// How far the compensation of a node is; none if it is not compensated.
    pub(crate) fn step(&self, ix: NodeIx) -> Option<Step> {
        self.compensation.as_ref()?.step(ix)
    }

    /// Whether a node is one of those that are or were to be compensated.
    pub(crate) fn is_member(&self, ix: NodeIx) -> bool {
        self.step(ix).is_some()
    }

    /// The first of those nodes.
    pub(crate) fn first_member(&self) -> Option<NodeIx> {
        self.compensation.as_ref()?.members().next()
    }

    /// Whether the compensation of a node may go on now.
    pub(crate) fn may_undo(&self, ix: NodeIx) -> bool {
        match self.step(ix) {
            Some(Step::Undoing) => true,
            Some(Step::Ready) => self.compensation.as_ref().is_some_and(|compensation| !compensation.is_held()),
            Some(_) | None => false,
        }
    }

    /// Whether every compensation is settled.
    pub(crate) fn is_settled(&self) -> bool {
        self.compensation.as_ref().is_some_and(|compensation| compensation.is_over())
    }

    /// Whether a compensation has failed, and an operator is to decide about it.
    pub(crate) fn is_stuck(&self) -> bool {
        self.compensation.as_ref().is_some_and(|compensation| compensation.stuck().next().is_some())
    }

    /// Whether just this reset is under way.
    pub(crate) fn is_reset(&self, nodes: &[NodeIx], mode: ResetMode, reason: &Name) -> bool {
        self.way().is_some_and(|way| {
            let same = way.nodes == nodes && way.goal == Goal::Reset(mode);
            same && matches!(&way.cause, Cause::Cancelled { reason: known } if known == reason)
        })
    }

    /// The nodes to compensate when the run fails: what has had an effect, or may have, and has a compensation. None if a
    /// pivot was passed.
    pub(crate) fn to_compensate(&self, graph: &Graph) -> Vec<NodeIx> {
        match self.pivot {
            Pivot::Passed => Vec::new(),
            Pivot::Ahead => graph.nodes().filter(BoundNode::can_be_compensated).map(|node| node.ix).collect(),
        }
    }

    /// The save-points to which the failure of a node leads back; empty if there are none.
    pub(crate) fn save_points(graph: &Graph, failed: NodeIx) -> Vec<NodeIx> {
        let is_open = |point: NodeIx| {
            let Some(node) = graph.node(point) else { return false };
            let Some(save) = &node.definition.save else { return false };
            let is_usable = node.state.has_succeeded() && node.state.aside().save_point.times < save.max_rollbacks();
            is_usable && !graph.after(&[point]).into_iter().any(|ix| is_irreversible(graph, ix))
        };
        last_save_points(&graph.plan().graph, failed, is_open)
    }

    /// What a run that is rolled back does when no node has anything to do.
    pub(crate) fn next(&self, way: &WayBack, graph: &Graph) -> WayStep {
        let nodes = || way.nodes.iter().filter_map(|ix| graph.node(*ix));
        if !self.is_compensating() {
            let is_busy = nodes().any(|node| node.state.is_busy());
            return if is_busy { WayStep::Wait } else { WayStep::Compensate(way.to_compensate(graph)) };
        }
        if !self.is_settled() {
            return WayStep::Wait;
        }
        // An operator who wants nodes done anew may leave what was done.
        let may_leave = matches!(way.goal, Goal::Reset(_));
        let stays = |node: BoundNode<'_>| {
            let is_abandoned = matches!(node.state.compensated(), Some(CompensationOutcome::Abandoned { .. }));
            node.is_irreversible() || !may_leave && is_abandoned
        };
        if nodes().any(stays) { WayStep::Fail(way.cause.clone()) } else { WayStep::Restart(way.nodes.clone()) }
    }

    /// The names of the nodes with effects that should have been undone and were not.
    pub(crate) fn residue(&self, graph: &Graph) -> Vec<Name> {
        let mut residue: Vec<Name> = graph.nodes().filter(BoundNode::leaves_residue).map(|node| node.name()).collect();
        let before: Vec<Name> = self.left_behind.iter().filter(|name| !residue.contains(name)).cloned().collect();
        residue.extend(before);
        residue
    }
}

fn is_irreversible(graph: &Graph, ix: NodeIx) -> bool {
    graph.node(ix).is_some_and(|node| node.is_irreversible())
}

impl WayBack {
    /// The save-points that the run is rolled back to.
    fn save_points(&self) -> &[NodeIx] {
        match &self.goal {
            Goal::SavePoints(points) => points,
            Goal::Reset(_) => &[],
        }
    }

    fn to_compensate(&self, graph: &Graph) -> Vec<NodeIx> {
        let is_wanted = self.goal != Goal::Reset(ResetMode::LeaveAsIs);
        if !is_wanted || self.nodes.iter().any(|ix| is_irreversible(graph, *ix)) {
            return Vec::new();
        }
        let can_be = |ix: &NodeIx| graph.node(*ix).is_some_and(|node| node.can_be_compensated());
        self.nodes.iter().copied().filter(can_be).collect()
    }
}

/// Transitions.
impl Rollback {
    pub(super) fn pass_pivot(&mut self) {
        self.pivot = Pivot::Passed;
    }

    /// The run fails: it is not rolled back while it goes on any more, unless compensations of that are under way.
    pub(super) fn fail(&mut self) {
        if !self.is_compensating() {
            self.way = None;
        }
    }

    /// The run is rolled back to the ends of these nodes.
    pub(super) fn roll_back(&mut self, graph: &mut Graph, to: &[NodeIx], cause: &Cause) -> Applied {
        const INPUT: &str = "a run is rolled back";
        if self.way.is_some() {
            return Err(Illegal::new(INPUT, "it is being rolled back"));
        }
        for &point in to {
            graph.change(INPUT, point, |state| state.roll_back())?;
        }
        let way = WayBack { nodes: graph.after(to), goal: Goal::SavePoints(to.to_vec()), cause: cause.clone() };
        self.way = Some(Box::new(way));
        Ok(())
    }

    /// An operator has these nodes done anew.
    pub(super) fn reset(&mut self, graph: &Graph, nodes: &[NodeIx], mode: ResetMode, reason: &Name) -> Applied {
        const INPUT: &str = "a run is reset";
        if self.way.is_some() {
            return Err(Illegal::new(INPUT, "it is being rolled back"));
        }
        if !graph.is_closed(nodes) {
            return Err(Illegal::new(INPUT, "other nodes come after these"));
        }
        let cause = Cause::Cancelled { reason: reason.clone() };
        self.way = Some(Box::new(WayBack { nodes: nodes.to_vec(), goal: Goal::Reset(mode), cause }));
        Ok(())
    }

    /// These nodes are compensated, in reverse causal order.
    pub(super) fn compensate(&mut self, graph: &mut Graph, nodes: &[NodeIx]) -> Applied {
        let unknown = |_| Illegal::unknown_node("nodes are compensated");
        let compensation = Unwinding::along(&graph.plan().reversed, nodes).map_err(unknown)?;
        let compensation = compensation.with_policy(graph.plan().definition.on_compensation_failure);
        graph.wake_these(compensation.ready());
        self.compensation = Some(Box::new(compensation));
        Ok(())
    }

    /// All of the run is compensated, not only the nodes that were rolled back.
    pub(super) fn forget_way(&mut self) {
        self.way = None;
    }

    fn compensation_mut(&mut self, input: &'static str) -> Applied<&mut Unwinding> {
        self.compensation.as_deref_mut().ok_or_else(|| Illegal::new(input, "its run is not being compensated"))
    }

    /// The compensation of an instance of a node begins.
    pub(super) fn begin(&mut self, ix: NodeIx) -> Applied {
        const INPUT: &str = "the compensation of an instance begins";
        let compensation = self.compensation_mut(INPUT)?;
        if compensation.step(ix) == Some(Step::Ready) {
            compensation.begin(ix).map_err(|error| not_now(INPUT, &error))?;
        }
        Ok(())
    }

    /// The compensation of a node has ended.
    pub(super) fn end(&mut self, graph: &mut Graph, ix: NodeIx, outcome: &CompensationOutcome) -> Applied {
        const INPUT: &str = "the compensation of a node ends";
        let compensation = self.compensation_mut(INPUT)?;
        let changed = match outcome {
            CompensationOutcome::Compensated => compensation.undone(ix),
            CompensationOutcome::Failed { .. } => compensation.failed(ix),
            CompensationOutcome::Declared { .. } | CompensationOutcome::Abandoned { .. } => compensation.give_up(ix),
        };
        changed.map_err(|error| not_now(INPUT, &error))?;
        graph.wake_these(compensation.ready());
        graph.change(INPUT, ix, |state| state.compensate(outcome))
    }

    /// An operator has a failed compensation tried again.
    pub(super) fn retry(&mut self, graph: &mut Graph, ix: NodeIx) -> Applied {
        const INPUT: &str = "the compensation of a node is tried again";
        let compensation = self.compensation_mut(INPUT)?;
        compensation.retry(ix).map_err(|error| not_now(INPUT, &error))?;
        graph.wake_these(compensation.ready());
        graph.change(INPUT, ix, |state| state.retry_compensation())
    }

    /// The run goes forward again: the nodes that were rolled back start anew. Returns them.
    pub(super) fn restart(&mut self, graph: &mut Graph, nodes: &[NodeIx]) -> Applied {
        const INPUT: &str = "a run goes forward again";
        let way = self.way.take().ok_or(Illegal::new(INPUT, "it was not rolled back"))?;
        if way.nodes != nodes {
            return Err(Illegal::new(INPUT, "other nodes were rolled back"));
        }
        if !self.is_settled() || nodes.iter().any(|ix| graph.state(*ix).is_some_and(|state| state.is_busy())) {
            return Err(Illegal::new(INPUT, "something is under way where it was rolled back"));
        }
        self.compensation = None;
        for &point in way.save_points() {
            let again = graph.node(point).and_then(|node| Some(node.definition.save.as_ref()?.retries)).unwrap_or(0);
            graph.keep(point, |state| state.leave_save_point(again));
        }
        self.leave_behind(graph, nodes);
        Ok(())
    }

    /// What these nodes did, and is not undone when they are done anew, stays on record.
    fn leave_behind(&mut self, graph: &Graph, nodes: &[NodeIx]) {
        let left = nodes.iter().filter_map(|ix| graph.node(*ix)).filter(BoundNode::leaves_residue);
        let new: Vec<Name> = left.map(|node| node.name()).filter(|name| !self.left_behind.contains(name)).collect();
        if !new.is_empty() {
            self.left_behind = self.left_behind.iter().cloned().chain(new).collect();
        }
    }

    /// The run goes on after its end: nothing is being compensated.
    pub(super) fn reopen(&mut self) {
        self.compensation = None;
    }
}

fn not_now(input: &'static str, error: &UnwindError) -> Illegal {
    let state = match error {
        UnwindError::UnknownStep(_) => "the run has no such node",
        UnwindError::NotNow { stage: None, .. } => "the node has nothing to compensate",
        UnwindError::NotNow { stage: Some(Step::Waiting), .. } => "nodes that come after it are compensated first",
        UnwindError::NotNow { stage: Some(Step::Ready), .. } => "it has not begun, or must wait for another",
        UnwindError::NotNow { stage: Some(Step::Undoing), .. } => "it is under way",
        UnwindError::NotNow { stage: Some(Step::Failed), .. } => "it has failed",
        UnwindError::NotNow { stage: Some(Step::Settled), .. } => "it has ended",
    };
    Illegal::new(input, state)
}

/// Snapshots.
impl Rollback {
    pub(crate) fn record(&self) -> RollbackRecord {
        let compensation = self.compensation.as_deref();
        RollbackRecord {
            way: self.way.as_deref().cloned(),
            members: compensation.map(|compensation| compensation.members().collect()),
            released: compensation.into_iter().flat_map(Unwinding::released).collect(),
            pivot: self.pivot,
            left_behind: self.left_behind.clone(),
        }
    }

    /// The way back that a record was made of. None if it does not fit the nodes.
    pub(crate) fn restored(record: &RollbackRecord, graph: &Graph) -> Option<Self> {
        let RollbackRecord { way, members, released, pivot, left_behind } = record.clone();
        let mut rollback = Self { compensation: None, way: way.map(Box::new), pivot, left_behind };
        if let Some(members) = members {
            let compensation = Unwinding::along(&graph.plan().reversed, &members).ok()?;
            rollback.compensation = Some(Box::new(rewind(compensation, graph, &released)?));
        }
        Some(rollback)
    }

    /// The same without nodes that are rolled back: the run goes on under another definition.
    pub(crate) fn without_way(mut self) -> Self {
        self.way = None;
        self
    }
}

/// Brings the order of compensation to where the nodes are.
fn rewind(compensation: Unwinding, graph: &Graph, released: &[NodeIx]) -> Option<Unwinding> {
    // What had begun before a compensation failed has begun, even where nothing more may begin since.
    let policy = graph.plan().definition.on_compensation_failure;
    let lenient = if policy == OnCompensationFailure::Stop { OnCompensationFailure::Hold } else { policy };
    let mut compensation = compensation.with_policy(lenient);
    loop {
        let ready: Vec<NodeIx> = compensation.ready().collect();
        let mut has_moved = false;
        for ix in ready {
            has_moved |= rewind_step(&mut compensation, graph, ix, released)?;
        }
        if !has_moved {
            return Some(compensation.with_policy(policy));
        }
    }
}

/// Brings a step that is ready to where its node is. Returns whether that changes anything.
fn rewind_step(compensation: &mut Unwinding, graph: &Graph, ix: NodeIx, released: &[NodeIx]) -> Option<bool> {
    let state = graph.state(ix)?;
    let has_begun = state.instances().iter().any(|instance| !instance.is_undo_idle());
    let is_retried = state.compensated().is_none() && released.contains(&ix) && !compensation.is_released(ix);
    if is_retried {
        compensation.begin(ix).ok()?;
        compensation.failed(ix).ok()?;
        compensation.retry(ix).ok()?;
    }
    if !has_begun {
        return Some(is_retried);
    }
    compensation.begin(ix).ok()?;
    match state.compensated() {
        None => {}
        Some(CompensationOutcome::Compensated) => compensation.undone(ix).ok()?,
        Some(CompensationOutcome::Failed { .. }) => compensation.failed(ix).ok()?,
        Some(CompensationOutcome::Declared { .. } | CompensationOutcome::Abandoned { .. }) => {
            compensation.failed(ix).ok()?;
            compensation.give_up(ix).ok()?;
        }
    }
    Some(true)
}

/// Invariants.
impl Rollback {
    /// Checks that what is rolled back is what the nodes say.
    pub(crate) fn check(&self, graph: &Graph) -> Result<(), String> {
        if let Some(way) = self.way() {
            let expected = match &way.goal {
                Goal::SavePoints(points) => graph.after(points) == way.nodes,
                Goal::Reset(_) => graph.is_closed(&way.nodes),
            };
            if !expected {
                return Err("rolls back nodes without all that comes after them".to_owned());
            }
        }
        for node in graph.nodes() {
            self.check_node(node)?;
        }
        self.check_order(graph, &graph.plan().definition)
    }

    fn check_node(&self, node: BoundNode<'_>) -> Result<(), String> {
        let instances = node.state.instances();
        let idle = instances.iter().all(|instance| instance.is_undo_idle());
        let active = instances.iter().any(|instance| matches!(instance.undo(), InstanceUndo::Active(_)));
        let can = node.has_undoable_instance();
        let compensated = node.state.compensated();
        let step = self.step(node.ix);
        let fits = match step {
            // What was undone on a way back to a save-point needs not be undone again.
            None => !active && (idle || compensated.is_some()),
            Some(Step::Waiting) => can && idle && compensated.is_none(),
            Some(Step::Ready) => can && !active && compensated.is_none(),
            Some(Step::Undoing) => can && !idle && compensated.is_none(),
            Some(Step::Failed) => matches!(compensated, Some(CompensationOutcome::Failed { .. })),
            Some(Step::Settled) => compensated.is_some_and(|undo| !matches!(undo, CompensationOutcome::Failed { .. })),
        };
        if !fits {
            return Err(format!("has a node {} whose compensation cannot be {step:?}", node.ix));
        }
        if self.rolls_back(node.ix) && self.is_compensating() && node.state.is_working() {
            return Err(format!("has a node {} under way that is rolled back", node.ix));
        }
        Ok(())
    }

    /// No node is compensated while one that came after it is not settled.
    fn check_order(&self, graph: &Graph, definition: &Definition) -> Result<(), String> {
        let Some(compensation) = &self.compensation else { return Ok(()) };
        // A compensation that failed holds back nothing then, even when it is tried again.
        if definition.on_compensation_failure == OnCompensationFailure::Continue {
            return Ok(());
        }
        for step in compensation.members() {
            let begun = matches!(compensation.step(step), Some(Step::Undoing | Step::Settled | Step::Failed));
            let later = graph.plan().reversed.ancestors(&[step]);
            if begun && later.iter().any(|after| compensation.step(*after).is_some_and(|stage| stage != Step::Settled))
            {
                return Err(format!("compensates node {step} before one that follows it"));
            }
        }
        Ok(())
    }
}
