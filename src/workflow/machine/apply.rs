//! Events become the state of a run. Nothing here decides.

use super::{Kept, NodeStage, NodeState, Piece, PieceEnd, PieceUndo, Run, Watch, Worker};
use crate::dag::NodeIx;
use crate::definition::{Action, On};
use crate::event::{DecisionEvent, MapEvent, NodeEvent, NodeRef, Opening, RunEvent};
use crate::name::Name;
use crate::payload::Payload;
use crate::run::{Cause, LimitReached, NodeOutcome, RunOutcome, RunPhase, UndoOutcome};
use crate::saga::Step;
use crate::task::{Failure, Owner, Phase, SideEffects};
use crate::time::Time;
use crate::workflow::plan::Next;
use serde_json::Value;

/// What does not follow, in a few words.
type Applied = Result<(), &'static str>;

impl Run {
    /// An event of the run as a whole.
    pub(crate) fn apply(&mut self, event: &RunEvent, now: Time) -> Applied {
        match event {
            RunEvent::Prioritised { tier, .. } => self.raised = Some(*tier),
            RunEvent::Retried { nodes, .. } => {
                return self.redo(&self.indexes(nodes)?).ok_or("a run goes on that has not failed");
            }
            RunEvent::Reset { nodes, undo, reason } => {
                return self.reset(&self.indexes(nodes)?, *undo, reason).ok_or("a run is set back that cannot be");
            }
            RunEvent::Signalled { signal, payload, until } => self.receive(signal, payload.clone(), *until, now),
            RunEvent::Paused { reason } => self.paused = Some(reason.clone()),
            RunEvent::Resumed => {
                self.paused = None;
                self.wake_all();
            }
            RunEvent::Updated { variable, value } => return self.note_update(variable, value),
            RunEvent::Reduced { variable, value } => return self.note_reduced(None, *variable, value),
            RunEvent::Failing { cause } => return self.failing(cause),
            RunEvent::RolledBack { to, cause } => return self.turned_back(&self.indexes(to)?, cause),
            RunEvent::Restarted { nodes } => return self.went_forward(&self.indexes(nodes)?),
            RunEvent::Compensating { nodes } => return self.compensating(&self.indexes(nodes)?),
            RunEvent::Finished { outcome } => return self.finished(outcome, now),
            RunEvent::Started { .. } | RunEvent::Migrated { .. } | RunEvent::SignalMoved { .. } => {
                return Err("an event that changes more than one run reached one");
            }
        }
        Ok(())
    }

    /// An event of a node.
    pub(crate) fn apply_node(&mut self, node: &NodeRef, event: &NodeEvent, now: Time) -> Applied {
        if !self.plan.is_node(node) {
            return Err("an event names a node that the definition does not have");
        }
        let node = node.index.get();
        match event {
            NodeEvent::Opened { what } => self.opened(node, what, now),
            NodeEvent::Finished { outcome, took, output, signal } => {
                if let Some(name) = took.first().and_then(|took| self.signal_taken(node, took)) {
                    self.give_up(&name, signal.unwrap_or(0))?;
                }
                self.node_finished(node, outcome, took, output.as_ref())
            }
            NodeEvent::HandlerFired { handler, signal } => self.handler_fired(node, *handler, *signal),
            NodeEvent::Operated { remedy } => {
                self.touched(node)?.more_mut().remedy = Some(remedy.clone());
                Ok(())
            }
            NodeEvent::Map(event) => self.map_changed(node, event),
            NodeEvent::Part { part, event } => self.apply_part(node, *part, event),
            NodeEvent::Refused { .. } => self.note_refused(node),
            NodeEvent::Unresolved { workflow, .. } => self.note_unresolved(node, workflow),
            NodeEvent::Exhausted { limit } => self.note_exhausted(node, *limit),
            NodeEvent::Held { outcome } => self.note_held(node, outcome),
            NodeEvent::Reduced { variable, value } => self.note_reduced(Some(node), *variable, value),
            NodeEvent::StateEntered { state, item } => self.entered(node, *state, item.as_ref()),
            NodeEvent::Decision(event) => self.ruled(node, event),
            NodeEvent::Compensated { outcome } => self.node_undone(node, outcome),
            NodeEvent::CompensationRetried => self.undo_retried(node),
        }
    }

    /// The indexes of nodes that an event names.
    fn indexes(&self, nodes: &[NodeRef]) -> Result<Vec<u32>, &'static str> {
        let index = |node: &NodeRef| self.plan.is_node(node).then(|| node.index.get());
        nodes.iter().map(index).collect::<Option<_>>().ok_or("an event names a node that the definition does not have")
    }

    /// Something happened to a node: it is evaluated again.
    fn touched(&mut self, node: u32) -> Result<&mut NodeState, &'static str> {
        self.agenda.insert(node);
        self.state_mut(node).ok_or("an event of an unknown node")
    }

    fn map_changed(&mut self, node: u32, event: &MapEvent) -> Applied {
        match event {
            MapEvent::ItemsAdded { items } => return self.items_added(node, items),
            MapEvent::Closed => self.touched(node)?.more_mut().closed = true,
            MapEvent::Enough => self.touched(node)?.more_mut().enough = true,
        }
        Ok(())
    }

    fn ruled(&mut self, node: u32, event: &DecisionEvent) -> Applied {
        let ruling = self.touched(node)?.more_mut().ruling.get_or_insert_default();
        match event {
            DecisionEvent::Made { by, option, note } => ruling.made = Some((by.clone(), option.clone(), note.clone())),
            DecisionEvent::Delegated { to, .. } => ruling.to = Some(to.clone()),
            DecisionEvent::Escalated { level } => ruling.level = *level,
        }
        Ok(())
    }

    fn compensating(&mut self, nodes: &[u32]) -> Applied {
        if self.phase == RunPhase::Running && self.back.is_some() && self.unwinding.is_none() {
            return self.unwind(nodes).ok_or("a run compensates nodes that it does not have");
        }
        if self.phase != RunPhase::Halting || self.working > 0 {
            return Err("a run compensates that is not failing");
        }
        self.back = None;
        self.phase = RunPhase::Compensating;
        self.unwind(nodes).ok_or("a run compensates nodes that it does not have")
    }

    fn finished(&mut self, outcome: &RunOutcome, now: Time) -> Applied {
        if self.is_finished() {
            return Err("a run ends twice");
        }
        self.phase = RunPhase::Finished;
        self.outcome = Some(Box::new(outcome.clone()));
        self.ended = Some(now);
        self.agenda.clear();
        self.signals.clear();
        Ok(())
    }

    fn failing(&mut self, cause: &Cause) -> Applied {
        let undone = matches!(self.outcome.as_deref(), Some(RunOutcome::Succeeded { .. }));
        if self.phase != RunPhase::Running && !(self.is_finished() && undone) {
            return Err("a run fails that does not run");
        }
        self.phase = RunPhase::Halting;
        self.cause = Some(Box::new(cause.clone()));
        self.outcome = None;
        if self.unwinding.is_none() {
            self.back = None;
        }
        self.wake_all();
        Ok(())
    }

    fn opened(&mut self, node: u32, what: &Opening, now: Time) -> Applied {
        self.check_size(node, what)?;
        let state = self.state_mut(node).ok_or("an unknown node opens")?;
        if state.stage != NodeStage::Waiting {
            return Err("a node opens twice");
        }
        state.stage = NodeStage::Open(Box::new(what.clone()));
        if *what == Opening::Delegation {
            state.more_mut().tree = Some(Box::default());
        }
        self.working += 1;
        self.started(node);
        self.watched(node, now);
        Ok(())
    }

    /// From now on the handlers of a node are asked.
    fn watched(&mut self, node: u32, now: Time) {
        let timed = self.plan.node(node).and_then(|(node, _)| node.budget?.time).is_some();
        if let Some(state) = self.state_mut(node).filter(|_| timed) {
            state.more_mut().began = Some(now);
        }
        if self.plan.node(node).is_some_and(|(node, _)| !node.handlers.is_empty())
            && let Some(state) = self.state_mut(node)
        {
            state.more_mut().watch = Some(Watch::new(now));
        }
    }

    /// A handler starts a branch beside its node.
    pub(super) fn branch_begins(&mut self, node: u32, handler: &Name) {
        let plan = std::sync::Arc::clone(&self.plan);
        let next = plan.node(node).map(|(_, compiled)| &compiled.next[..]).unwrap_or_default();
        for next in next.iter().filter(|next| matches!(&next.on, On::Case(case) if case == handler)) {
            self.link_decided(next, node, true, false, false);
        }
    }

    /// Those that a counting join no longer needs are looked at.
    fn started(&mut self, node: u32) {
        self.agenda.insert(node);
        if let Some(plan) = self.plan.nodes.get(node as usize) {
            self.agenda.extend(plan.cancels.iter().chain(&plan.wakes).chain(&plan.rivals).copied());
        }
    }

    fn node_finished(&mut self, node: u32, outcome: &NodeOutcome, took: &[Name], output: Option<&Payload>) -> Applied {
        let state = self.state(node).ok_or("an unknown node ends")?;
        if state.ended().is_some() {
            return Err("a node ends twice");
        }
        // What a node does not wait for goes on; until it is over, the run is not.
        let working = state.is_working() && state.active == 0;
        let given = match output {
            Some(output) => output.clone(),
            None if *outcome == NodeOutcome::Succeeded => self.collected(node),
            None => Payload::NULL,
        };
        if working {
            self.working = self.working.saturating_sub(1);
        }
        self.open = self.open.saturating_sub(1);
        let plan = std::sync::Arc::clone(&self.plan);
        let (definition, compiled) = plan.node(node).ok_or("an unknown node ends")?;
        if let Some(state) = self.state_mut(node) {
            state.stage = NodeStage::Ended(outcome.clone().into());
            state.output = given;
            if let Some(more) = &mut state.more {
                (more.tokens, more.items, more.held) = (None, None, None);
            }
        }
        self.started(node);
        // A pivot that ended in another way, and may have done its work all the same, leaves no way back either.
        let undoable = compiled.work.undo.is_some() || compiled.states.iter().any(|state| state.undo.is_some());
        let stands = !undoable && self.state(node).is_some_and(NodeState::had_effect);
        self.pivot_passed |= definition.pivot && (*outcome == NodeOutcome::Succeeded || stands);
        let failed = matches!(outcome, NodeOutcome::Failed { .. });
        if failed && took.is_empty() && !compiled.handled && !self.is_spare(node) {
            match self.broken {
                None => self.broken = Some(node),
                Some(_) => self.also_broken = self.also_broken.iter().copied().chain([node]).collect(),
            }
        }
        if !took.is_empty()
            && let Some(state) = self.state_mut(node)
        {
            state.more_mut().took = took.to_vec();
        }
        // A way that was cut by a failure stays cut where nodes are skipped.
        let cut = *outcome == NodeOutcome::Skipped && self.state(node).is_some_and(|state| state.after_failure);
        if definition.action == Action::Stop && *outcome == NodeOutcome::Succeeded && self.stopped.is_none() {
            self.stopped = Some(node);
            self.wake_all();
        }
        if *outcome == NodeOutcome::Succeeded {
            self.agenda.extend(compiled.withdraws.iter().copied());
        }
        for next in &compiled.next {
            if matches!(&next.on, On::Case(case) if self.went_beside(node, case)) {
                continue;
            }
            self.link_decided(next, node, is_taken(&next.on, outcome, took), failed, failed || cut);
        }
        Ok(())
    }

    pub(super) fn link_decided(&mut self, next: &Next, from: u32, taken: bool, failed: bool, cut: bool) {
        if taken && next.on != On::Each {
            let value = self.state(from).map(|state| state.output.clone()).unwrap_or_default();
            self.token(next, Some(value));
        }
        self.token(next, None);
        let to = next.to;
        if let Some(target) = self.state_mut(to) {
            target.decided += 1;
            target.taken += u32::from(taken);
            target.failed_inputs += u32::from(failed && !taken);
            // What has ended has told those after it already.
            target.after_failure |= cut && target.ended().is_none();
            self.agenda.insert(to);
        }
    }

    /// Something comes over a link to a node that starts more than once, or nothing will any more.
    fn token(&mut self, next: &Next, value: Option<Payload>) {
        let Some((definition, plan)) = self.plan.node(next.to) else { return };
        let (join, links) = (definition.join, plan.links);
        if !join.repeats() {
            return;
        }
        if let Some(target) = self.state_mut(next.to).filter(|target| target.ended().is_none()) {
            let tokens = target.more_mut().tokens.get_or_insert_default();
            match value {
                Some(value) => tokens.arrive(join, links, next.link, value),
                None => tokens.close(join, links, next.link),
            }
            self.agenda.insert(next.to);
        }
    }

    /// What the pieces of a node gave: the one, all of a map in the order of its items, the last of a repeat.
    pub(super) fn collected(&self, node: u32) -> Payload {
        let Some(state) = self.state(node).filter(|state| state.token().is_none()) else { return Payload::NULL };
        if state.tree().is_some() {
            return state.results_so_far();
        }
        // What was cancelled and done all the same is never routed on.
        let output =
            |piece: &Piece| piece.end.as_ref().filter(|end| end.succeeded()).map(PieceEnd::output).unwrap_or_default();
        if let Some(Opening::Map { .. } | Opening::Rounds) = state.opening() {
            let given = state.pieces.iter().map(|piece| output(piece).value().clone());
            let left = self.items(node).map_or(0, |items| (items as usize).saturating_sub(state.pieces.len()));
            return Payload::new(given.chain(core::iter::repeat_n(Value::Null, left)).collect::<Value>());
        }
        state.pieces.last().map(output).unwrap_or_default()
    }

    /// A signal arrived, from outside or from the run around. What is worth nothing any more leaves.
    pub(crate) fn receive(&mut self, signal: &Name, payload: Payload, until: Option<Time>, now: Time) {
        let kept = self.signals.entry(signal.clone()).or_default();
        kept.retain(|kept| kept.is_fresh(now));
        kept.push_back(Kept { payload, until });
        self.wake_waits();
    }

    /// A signal is kept no longer: so many of its name are older.
    pub(crate) fn give_up(&mut self, signal: &Name, place: u32) -> Result<Payload, &'static str> {
        let kept = self.signals.get_mut(signal).ok_or("a signal is taken that is not kept")?;
        let taken = kept.remove(place as usize).ok_or("a signal is taken that is not kept")?;
        if kept.is_empty() {
            self.signals.remove(signal);
        }
        Ok(taken.payload)
    }

    fn node_undone(&mut self, node: u32, outcome: &UndoOutcome) -> Applied {
        let unwinding = self.unwinding.as_mut().ok_or("a node is undone of a run that goes forward")?;
        let step = NodeIx::new(node);
        let changed = match outcome {
            UndoOutcome::Undone => unwinding.undone(step),
            UndoOutcome::Failed { .. } => unwinding.failed(step),
            UndoOutcome::Declared { .. } | UndoOutcome::Abandoned { .. } => unwinding.give_up(step),
        };
        changed.map_err(|_| "a node is undone that was not being undone")?;
        let ready: Vec<u32> = unwinding.ready().map(NodeIx::get).collect();
        self.agenda.extend(ready);
        if let Some(state) = self.state_mut(node) {
            state.undo = Some(Box::new(outcome.clone()));
        }
        self.note_stuck();
        Ok(())
    }

    fn undo_retried(&mut self, node: u32) -> Applied {
        let unwinding = self.unwinding.as_mut().ok_or("a node is undone of a run that goes forward")?;
        unwinding.retry(NodeIx::new(node)).map_err(|_| "a compensation is tried again that has not failed")?;
        let ready: Vec<u32> = unwinding.ready().map(NodeIx::get).collect();
        self.agenda.extend(ready);
        if let Some(state) = self.state_mut(node) {
            state.undo = None;
            for piece in &mut state.pieces {
                if matches!(piece.undo, PieceUndo::Failed(_)) {
                    piece.undo = PieceUndo::Idle;
                }
            }
        }
        self.note_stuck();
        Ok(())
    }

    fn note_stuck(&mut self) {
        if self.back.is_some() {
            return;
        }
        self.phase = if self.is_stuck() { RunPhase::CompensationFailed } else { RunPhase::Compensating };
    }

    /// A task or child run has taken a piece on.
    pub(crate) fn note_begun(&mut self, owner: Owner, worker: Worker, input: &Payload, now: Time) -> Applied {
        match owner.phase {
            Phase::Do => {}
            Phase::Undo => return self.note_undoing(owner, worker),
            Phase::Query => return self.note_asked(owner, worker),
        }
        let entered = self.token_begins(owner.node);
        self.part_begins(owner)?;
        let state = self.state_mut(owner.node).ok_or("an unknown node works")?;
        if owner.item as usize != state.pieces.len() {
            return Err("a piece of work begins out of turn");
        }
        state.pieces.push(Piece::new(worker, input.clone(), entered));
        state.active += 1;
        if let Some(tokens) = state.more.as_mut().and_then(|more| more.tokens.as_mut()) {
            tokens.begin();
        }
        if state.stage == NodeStage::Waiting {
            state.stage = NodeStage::Working;
            self.working += 1;
            self.started(owner.node);
            self.watched(owner.node, now);
        }
        self.agenda.insert(owner.node);
        Ok(())
    }

    /// A task undoes a piece, or the child run that did it is being undone.
    pub(crate) fn note_undoing(&mut self, owner: Owner, worker: Worker) -> Applied {
        let unwinding = self.unwinding.as_mut().ok_or("a piece is undone of a run that goes forward")?;
        let step = NodeIx::new(owner.node);
        if unwinding.step(step) == Some(Step::Ready) {
            unwinding.begin(step).map_err(|_| "a piece is undone out of turn")?;
        }
        let piece = self.piece(owner).ok_or("an unknown piece is undone")?;
        piece.undo = PieceUndo::Active(worker);
        self.agenda.insert(owner.node);
        Ok(())
    }

    /// An attempt at a piece of a pivot has begun, or has failed and is to be made again: then it can be withdrawn unless
    /// it may have happened.
    pub(crate) fn note_committed(&mut self, owner: Owner, committed: bool) -> Applied {
        self.piece(owner).ok_or("an unknown piece is attempted")?.committed = committed;
        self.agenda.insert(owner.node);
        Ok(())
    }

    /// A piece was asked to stop.
    pub(crate) fn note_cancelling(&mut self, owner: Owner) -> Applied {
        if owner.phase == Phase::Do {
            self.piece(owner).ok_or("an unknown piece is cancelled")?.cancelling = true;
        }
        self.agenda.insert(owner.node);
        Ok(())
    }

    /// A piece has ended, or its compensation has.
    pub(crate) fn note_end(&mut self, owner: Owner, mut end: PieceEnd) -> Applied {
        if owner.phase == Phase::Query {
            end = self.answered(owner, &end)?;
        } else if owner.phase == Phase::Do && self.is_in_doubt(owner, &end) {
            return self.doubted(owner, end);
        }
        let undoing = owner.phase == Phase::Undo || self.is_undoing(owner);
        let pivot = self.plan.node(owner.node).is_some_and(|(node, _)| node.pivot);
        let piece = self.piece(owner).ok_or("an unknown piece ends")?;
        if undoing {
            piece.undo = if end.succeeded() {
                PieceUndo::Undone
            } else {
                let failure = end.failure().cloned();
                PieceUndo::Failed(Box::new(failure.unwrap_or_else(|| Failure::permanent("it was cancelled"))))
            };
        } else {
            let failed = !end.succeeded();
            let output = end.output();
            if pivot && matches!(piece.worker, Some(Worker::Task(_))) && end.is_certain_failure() {
                // It was tried until somebody knew.
                end.side_effects = SideEffects::None;
            }
            piece.end = Some(end);
            if let Some(state) = self.state_mut(owner.node) {
                state.active = state.active.saturating_sub(1);
                state.failed += u32::from(failed);
                if state.ended().is_some() && state.active == 0 {
                    self.working = self.working.saturating_sub(1);
                    self.started(owner.node);
                }
            }
            self.part_changes(owner);
            if !failed {
                self.note_last(owner.node, owner.item);
            }
            if !failed {
                self.each(owner.node, &output);
            }
        }
        self.agenda.insert(owner.node);
        Ok(())
    }

    /// A piece of work has succeeded: what is linked after each of them gets it.
    fn each(&mut self, node: u32, output: &Payload) {
        let plan = std::sync::Arc::clone(&self.plan);
        let next = plan.node(node).map(|(_, compiled)| &compiled.next[..]).unwrap_or_default();
        for next in next.iter().filter(|next| next.on == On::Each) {
            self.token(next, Some(output.clone()));
        }
    }

    /// Whether the end of a child run is the end of its compensation.
    pub(crate) fn is_undoing(&self, owner: Owner) -> bool {
        let state = self.state(owner.node);
        state.and_then(|state| state.pieces.get(owner.item as usize)).is_some_and(|piece| piece.end.is_some())
    }

    pub(super) fn piece(&mut self, owner: Owner) -> Option<&mut Piece> {
        self.state_mut(owner.node)?.pieces.get_mut(owner.item as usize)
    }
}

pub(super) fn is_taken(on: &On, outcome: &NodeOutcome, took: &[Name]) -> bool {
    match on {
        On::Success | On::Each => *outcome == NodeOutcome::Succeeded,
        On::Failure => matches!(outcome, NodeOutcome::Failed { .. }) && took.is_empty(),
        On::Always => true,
        On::Case(case) => took.contains(case),
    }
}

/// The end of a child run as its parent sees it.
pub(crate) fn child_end(outcome: &RunOutcome, undoing: bool) -> PieceEnd {
    let end = |cause: Option<&Cause>, side_effects| {
        let failure = cause.map(|cause| Failure::permanent(cause.to_string()));
        PieceEnd::new(side_effects, failure).with_limit(cause.and_then(Cause::limit))
    };
    match outcome {
        RunOutcome::Succeeded { output } => end(None, SideEffects::Done(output.clone())),
        RunOutcome::Compensated { .. } | RunOutcome::Failed { .. } if undoing && outcome.leaves_nothing() => {
            end(None, SideEffects::None)
        }
        RunOutcome::Compensated { cause } => end(Some(cause), SideEffects::None),
        RunOutcome::Failed { cause, residue } => {
            end(Some(cause), if residue.is_empty() { SideEffects::None } else { SideEffects::Possible })
        }
    }
}

impl Cause {
    /// The bound that was reached, and what there was then.
    fn limit(&self) -> Option<(LimitReached, Payload)> {
        match self {
            Self::Limit { limit, partial, .. } => Some((*limit, partial.clone())),
            Self::Node { .. } | Self::Cancelled { .. } | Self::OutputTooLarge { .. } => None,
        }
    }
}

impl RunOutcome {
    fn leaves_nothing(&self) -> bool {
        match self {
            Self::Succeeded { .. } => false,
            Self::Compensated { .. } => true,
            Self::Failed { residue, .. } => residue.is_empty(),
        }
    }
}

const _: () = {
    // A node is copied for every run: its size is part of the price of a run.
    assert!(size_of::<NodeState>() <= 72);
    assert!(size_of::<Piece>() <= 80);
    assert!(size_of::<Run>() <= 304);
};
