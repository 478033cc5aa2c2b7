//! A run as data, and back.

use super::context::{Reduced, Shared, Updates};
use super::{Kept, NodeStage, NodeState, PieceUndo, Run, Way};
use crate::dag::NodeIx;
use crate::definition::OnUndoFailure;
use crate::id::{RunId, Seq};
use crate::name::Name;
use crate::run::{Cause, RunOutcome, RunPhase, RunSpec, UndoOutcome};
use crate::saga::{Step, Unwinding};
use crate::task::{Owner, Spending, Tier};
use crate::time::Time;
use crate::workflow::plan::Plan;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// A run as a snapshot holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunRecord {
    pub(crate) spec: Arc<RunSpec>,
    pub(crate) version: u32,
    /// The hash of the definition; not there in snapshots of old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hash: Option<u64>,
    /// The fact that it began, and when; not there in snapshots of old.
    #[serde(default)]
    begun: (Seq, Time),
    pub(crate) owner: Option<Owner>,
    phase: RunPhase,
    cause: Option<Cause>,
    outcome: Option<RunOutcome>,
    pub(super) nodes: Vec<NodeState>,
    signals: BTreeMap<Name, VecDeque<Kept>>,
    pub(super) broken: Option<u32>,
    /// The runs within of nodes that were done anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    former: Vec<RunId>,
    /// The nodes that did something which was left as it was when they were done anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    left: Vec<Name>,
    /// What nodes used up that are not there any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) gone: Option<Box<Spending>>,
    /// How urgent an operator has made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raised: Option<Tier>,
    /// Whether it is on record which ways nodes took.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    took_known: bool,
    pivot_passed: bool,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    paused: bool,
    /// On what grounds; not there in snapshots of old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paused_for: Option<Name>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) context: Reduced,
    #[serde(default, skip_serializing_if = "Updates::is_empty")]
    updates: Updates,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<Time>,
    /// The nodes that are or were to be undone.
    unwinding: Option<Vec<u32>>,
    /// Those of them that have failed once, are tried again, and hold back nothing meanwhile; not there in snapshots of old.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    released: Vec<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) also_broken: Vec<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) back: Option<Way>,
}

impl Run {
    pub(crate) fn record(&self) -> RunRecord {
        RunRecord {
            spec: Arc::clone(&self.spec),
            version: self.plan.id.version,
            hash: Some(self.plan.id.hash),
            begun: self.begun,
            owner: self.owner,
            phase: self.phase,
            cause: self.cause.as_deref().cloned(),
            outcome: self.outcome.as_deref().cloned(),
            nodes: self.nodes.iter().map(NodeState::kept).collect(),
            signals: self.signals.clone(),
            broken: self.broken,
            pivot_passed: self.pivot_passed,
            former: self.former.to_vec(),
            left: self.left.to_vec(),
            gone: self.gone.clone(),
            raised: self.raised,
            took_known: self.took_known,
            paused: self.paused.is_some(),
            paused_for: self.paused.clone(),
            context: self.shared.reduced(),
            updates: self.shared.updates(),
            ended: self.ended,
            unwinding: self.unwinding.as_ref().map(|unwinding| unwinding.members().map(NodeIx::get).collect()),
            released: self.unwinding.iter().flat_map(|unwinding| unwinding.released()).map(NodeIx::get).collect(),
            also_broken: self.also_broken.to_vec(),
            back: self.way(),
        }
    }

    /// The run that a record was made of. None if the record does not fit the plan.
    pub(crate) fn from_record(record: &RunRecord, plan: Arc<Plan>) -> Option<Self> {
        if record.nodes.len() != plan.nodes.len() {
            return None;
        }
        let count = |test: fn(&NodeState) -> bool| record.nodes.iter().filter(|state| test(state)).count();
        let open = u32::try_from(count(|state| state.ended().is_none())).ok()?;
        let working = u32::try_from(count(NodeState::is_busy)).ok()?;
        let mut run = Self {
            phase: record.phase,
            cause: record.cause.clone().map(Box::new),
            outcome: record.outcome.clone().map(Box::new),
            nodes: record.nodes.clone(),
            signals: record.signals.clone(),
            broken: record.broken,
            also_broken: record.also_broken.clone().into(),
            pivot_passed: record.pivot_passed,
            paused: record.paused.then(|| record.paused_for.clone().unwrap_or_else(|| "not on record".into())),
            former: record.former.clone().into(),
            left: record.left.clone().into(),
            gone: record.gone.clone(),
            raised: record.raised,
            took_known: record.took_known,
            shared: Shared::new(&record.context, &record.updates),
            ended: record.ended,
            open,
            working,
            ..Self::new(plan, Arc::clone(&record.spec), record.owner, record.begun)
        }
        .with_way(record.back.as_ref());
        run.stopped = run.find_stop();
        if let Some(members) = &record.unwinding {
            run.unwind(members)?;
            run.rewind(&record.released)?;
        }
        run.look_at_all_parts();
        run.agenda.clear();
        Some(run)
    }

    /// Brings the order of compensation to where the nodes say that it is.
    fn rewind(&mut self, released: &[u32]) -> Option<()> {
        // What had begun before a compensation failed has begun, even where nothing more may begin since.
        let policy = self.plan.definition.on_undo_failure;
        let lenient = if policy == OnUndoFailure::Halt { OnUndoFailure::Hold } else { policy };
        let mut unwinding = self.unwinding.take()?.with_policy(lenient);
        loop {
            let ready: Vec<NodeIx> = unwinding.ready().collect();
            let mut moved = false;
            for step in ready {
                moved |= self.rewind_step(&mut unwinding, step, released)?;
            }
            if !moved && !self.release(&mut unwinding)? {
                break;
            }
        }
        self.unwinding = Some(Box::new(unwinding.with_policy(policy)));
        Some(())
    }

    /// What snapshots of old do not say: something was undone before its turn, so what is under way had failed before.
    fn release(&self, unwinding: &mut Unwinding) -> Option<bool> {
        let early = |step: &NodeIx| {
            let pieces = self.state(step.get()).map(|state| &state.pieces[..]).unwrap_or_default();
            unwinding.step(*step) == Some(Step::Waiting) && pieces.iter().any(|piece| piece.undo != PieceUndo::Idle)
        };
        let again = |step: &NodeIx| unwinding.step(*step) == Some(Step::Undoing) && !unwinding.is_released(*step);
        let lets_go = self.plan.definition.on_undo_failure == OnUndoFailure::Continue;
        if !lets_go || !unwinding.members().any(|step| early(&step)) {
            return Some(false);
        }
        let again: Vec<NodeIx> = unwinding.members().filter(again).collect();
        for step in &again {
            unwinding.failed(*step).ok()?;
            unwinding.retry(*step).ok()?;
            unwinding.begin(*step).ok()?;
        }
        Some(!again.is_empty())
    }

    /// Brings a step that is ready to where its node says that it is. Says whether that changes anything.
    fn rewind_step(&self, unwinding: &mut Unwinding, step: NodeIx, released: &[u32]) -> Option<bool> {
        let state = self.state(step.get())?;
        let begun = state.pieces.iter().any(|piece| piece.undo != PieceUndo::Idle);
        let again = state.undo.is_none() && released.contains(&step.get()) && !unwinding.is_released(step);
        if again {
            unwinding.begin(step).ok()?;
            unwinding.failed(step).ok()?;
            unwinding.retry(step).ok()?;
        }
        if !begun {
            return Some(again);
        }
        unwinding.begin(step).ok()?;
        match state.undo.as_deref() {
            None => {}
            Some(UndoOutcome::Undone) => unwinding.undone(step).ok()?,
            Some(UndoOutcome::Failed { .. }) => unwinding.failed(step).ok()?,
            Some(UndoOutcome::Declared { .. } | UndoOutcome::Abandoned { .. }) => {
                unwinding.failed(step).ok()?;
                unwinding.give_up(step).ok()?;
            }
        }
        Some(true)
    }

    /// Checks what must hold within a run.
    pub(crate) fn check(&self) -> Result<(), String> {
        let open = self.nodes.iter().filter(|state| state.ended().is_none()).count();
        if open != self.open as usize {
            return Err(format!("run {}: {open} nodes are open, {} are counted", self.id(), self.open));
        }
        for (place, state) in (0..).zip(&self.nodes) {
            let active = state.pieces.iter().filter(|piece| piece.is_active()).count();
            if active != state.active as usize {
                return Err(format!(
                    "run {}: node {place} has {active} active pieces, {} counted",
                    self.id(),
                    state.active
                ));
            }
            if active > 0 && state.stage == NodeStage::Waiting {
                return Err(format!("run {}: node {place} has active pieces and is {:?}", self.id(), state.stage));
            }
            let links = self.plan.nodes.get(place).map_or(0, |node| node.links);
            if state.decided > links || state.taken + state.failed_inputs > state.decided {
                return Err(format!("run {}: node {place} counts its links wrongly", self.id()));
            }
            if let Some(opening) = state.opening() {
                let named = |why| format!("run {}: node {place}: {why}", self.id());
                self.check_size(u32::try_from(place).unwrap_or(u32::MAX), opening).map_err(named)?;
            }
            if state.undo.is_some() && !matches!(state.stage, NodeStage::Ended(_)) {
                return Err(format!("run {}: node {place} was undone before it ended", self.id()));
            }
        }
        self.check_ways()?;
        self.check_parts()?;
        self.check_links()?;
        self.check_undoing()?;
        self.check_order_of_undoing()
    }

    /// No node is being undone while one that came after it is not settled.
    fn check_order_of_undoing(&self) -> Result<(), String> {
        let Some(unwinding) = &self.unwinding else { return Ok(()) };
        let goes_on = self.plan.definition.on_undo_failure == OnUndoFailure::Continue;
        // One that has failed once holds back nothing, even when it is tried again.
        if goes_on {
            return Ok(());
        }
        for step in unwinding.members() {
            let begun = matches!(unwinding.step(step), Some(Step::Undoing | Step::Settled | Step::Failed));
            let later = self.plan.reversed.ancestors(&[step]);
            if begun && later.iter().any(|after| unwinding.step(*after).is_some_and(|stage| stage != Step::Settled)) {
                return Err(format!("run {}: node {} is undone before one that follows it", self.id(), step));
            }
        }
        Ok(())
    }
}
