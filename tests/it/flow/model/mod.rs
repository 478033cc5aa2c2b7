//! What a journal may say about runs: an independent reading of the rules.
//!
//! It knows definitions and facts and nothing of how the engine works. It goes through a journal and asks of every fact
//! whether the rules allow it at that moment: links and joins for what starts and what is skipped, bounds and order for
//! maps and repeats, pivot, happenings and causal order for what is undone. Because every node must end in one of the ways
//! that the rules allow, what must happen has happened when a run ends.

use counterpoint::definition::{Body, Definition, Presence};
use counterpoint::message::{
    CatalogueEvent, Cause, CompensationOutcome, DecisionEvent, LimitReached, MapEvent, Next, NodeEvent, NodeRef,
    NodeRemedy, Opening, RunEvent, TaskEvent,
};
use counterpoint::task::{NodeIx, Owner, Phase, SideEffects};
use counterpoint::{Entry, Event, FailureKind, Name, Payload, RunId, RunOutcome, RunSpec, TaskId, Tier, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Ruling = Result<(), String>;

macro_rules! ensure {
    ($holds:expr, $($why:tt)*) => {
        if !$holds {
            return Err(format!($($why)*));
        }
    };
}

mod back;
mod flow;
mod ledger;
mod sends;

pub(crate) use flow::fires;

use flow::{Flow, Stand, Undo, takes};
use ledger::Ledger;

#[derive(Default)]
struct Model {
    definitions: BTreeMap<(Name, u32), Arc<Definition>>,
    flows: BTreeMap<RunId, Flow>,
    specs: BTreeMap<RunId, Arc<RunSpec>>,
    /// Unfinished tasks of runs, and whether an attempt's outcome is unknown.
    tasks: BTreeMap<TaskId, (Owner, bool)>,
    seen: BTreeSet<TaskId>,
    ledger: Ledger,
    now: Time,
}

/// Goes through a journal. If it is `whole`, every run must have ended.
pub(crate) fn check(journal: &[Entry], whole: bool) -> Ruling {
    super::identity::check(journal)?;
    let mut model = Model::default();
    for entry in journal {
        model.now = entry.at;
        let ruling = match &entry.event {
            Event::Task { task, event } => model.task(*task, event),
            Event::Catalogue(CatalogueEvent::Defined { definition } | CatalogueEvent::Redefined { definition, .. }) => {
                model.definitions.insert((definition.name.clone(), definition.version), Arc::clone(definition));
                Ok(())
            }
            Event::Run { run, event } => model.unpaused(&entry.event).and_then(|()| model.run(*run, event)),
            Event::Node { run, node, event } => {
                model.unpaused(&entry.event).and_then(|()| model.node(*run, node, event))
            }
            _ => Ok(()),
        };
        ruling.map_err(|why| format!("{}: {why}: {:?}", entry.seq, entry.event))?;
    }
    if whole {
        ensure!(model.tasks.is_empty(), "tasks of runs never ended: {:?}", model.tasks);
        model.ledger.is_even()?;
        for (id, flow) in &model.flows {
            ensure!(flow.stand == Stand::Finished, "run {id} never ended");
        }
    }
    Ok(())
}

impl Model {
    fn flow(&self, run: RunId) -> Result<&Flow, String> {
        self.flows.get(&run).ok_or_else(|| format!("no run {run}"))
    }

    fn flow_mut(&mut self, run: RunId) -> Result<&mut Flow, String> {
        self.flows.get_mut(&run).ok_or_else(|| format!("no run {run}"))
    }

    /// How many runs of a workflow are around, and this one.
    fn around(&self, run: RunId, workflow: &Name) -> Result<u32, String> {
        let (mut next, mut count) = (Some(run), 0);
        while let Some(run) = next {
            let flow = self.flow(run)?;
            count += u32::from(flow.definition.name == *workflow);
            next = flow.owner.map(|owner| owner.run);
        }
        Ok(count)
    }

    /// Whether a run is within one of these nodes of another.
    fn is_within(&self, flow: &Flow, run: RunId, nodes: &[usize]) -> bool {
        flow.owner.is_some_and(|owner| {
            let here = owner.run == run && nodes.contains(&(owner.node.index()));
            here || self.flows.get(&owner.run).is_some_and(|around| self.is_within(around, run, nodes))
        })
    }

    fn task(&mut self, id: TaskId, event: &TaskEvent) -> Ruling {
        if let TaskEvent::Submitted { spec, .. } = event {
            let Some(owner) = spec.owner else { return Ok(()) };
            ensure!(owner.phase == Phase::Undo || !self.is_paused(owner.run), "a paused run begins work");
            ensure!(self.seen.insert(spec.id), "a task id is used twice");
            self.ledger.submitted(spec, owner)?;
            self.tasks.insert(spec.id, (owner, false));
            let payload = spec.payload.value().clone();
            let now = self.now;
            let flow = self.flow_mut(owner.run)?;
            if owner.phase == Phase::Do
                && let Some(Body::Task(work)) = flow.body_of(owner)
                && work.overrides == Some(super::draw::overrides())
            {
                let tier = if payload.is_null() { Tier::Low } else { Tier::High };
                ensure!(spec.tier == tier, "a task has tier {:?}, not {tier:?} as its overrides demand", spec.tier);
            }
            return match owner.phase {
                Phase::Do => flow.begins(owner, payload, None, now),
                Phase::Undo => flow.undoes(owner, &payload),
                Phase::Query => flow.asks(owner, &payload),
                _ => Err("an unknown phase".to_owned()),
            };
        }
        match event {
            TaskEvent::Assigned { .. } => self.ledger.attempted(id, true),
            TaskEvent::Yielded { .. } => self.ledger.attempted(id, false),
            TaskEvent::Used { attempt, usage, .. } => self.ledger.used(attempt.of(id), *usage),
            _ => {}
        }
        let Some(&(owner, doubt)) = self.tasks.get(&id) else {
            ensure!(!self.seen.contains(&id), "a task that has ended goes on");
            return Ok(());
        };
        let trace = |doubt: bool| if doubt { SideEffects::Possible } else { SideEffects::None };
        let pivot = owner.phase == Phase::Do && self.flow(owner.run)?.node(owner.node.index()).pivot;
        let (ok, side_effects) = match event {
            TaskEvent::AttemptFailed { failure, next, outcome_unknown, .. } => {
                // A pivot is tried until it is known: that it failed for good settles what was in doubt.
                let settled = pivot && owner.phase == Phase::Do && failure.kind == FailureKind::Permanent;
                let doubt = !settled && (doubt || failure.kind == FailureKind::Unknown);
                ensure!(*outcome_unknown == doubt, "whether the outcome is unknown is wrong");
                if matches!(next, Next::Retry { .. }) {
                    self.tasks.insert(id, (owner, doubt));
                    return Ok(());
                }
                ensure!(!(pivot && doubt && failure.kind != FailureKind::Permanent), "a pivot is given up in doubt");
                // A pivot is tried until somebody knows.
                (false, trace(doubt && !pivot))
            }
            TaskEvent::Succeeded { output, .. } => (true, SideEffects::Done(output.clone())),
            TaskEvent::Cancelled { side_effects, .. } => {
                ensure!(!(doubt && *side_effects == SideEffects::None), "an effect in doubt is forgotten");
                (false, side_effects.clone())
            }
            TaskEvent::Expired { outcome_unknown, .. } => (false, trace(*outcome_unknown)),
            TaskEvent::CancelRequested { .. } => {
                ensure!(owner.phase == Phase::Do, "a compensation or a query is cancelled");
                let flow = self.flow(owner.run)?;
                ensure!(flow.withdraws(owner.node.index()), "a task is cancelled that its run needs");
                return Ok(());
            }
            _ => return Ok(()),
        };
        self.tasks.remove(&id);
        self.ledger.ended(id);
        let cancelled = matches!(event, TaskEvent::Cancelled { .. });
        self.flow_mut(owner.run)?.piece_ends(owner, ok, side_effects, cancelled)
    }

    /// Whether a run that goes forward is paused, or one around it.
    fn is_paused(&self, run: RunId) -> bool {
        let mut flow = self.flows.get(&run).filter(|flow| flow.stand == Stand::Running);
        while let Some(here) = flow {
            if here.paused && here.stand == Stand::Running {
                return true;
            }
            flow = here.owner.and_then(|owner| self.flows.get(&owner.run));
        }
        false
    }

    /// A paused run makes no moves: what is said from outside and what its agents say is written down all the same.
    fn unpaused(&self, event: &Event) -> Ruling {
        let moves = match event {
            Event::Run { event: RunEvent::Started { owner, .. }, .. } => owner.map(|owner| owner.run),
            Event::Run {
                run,
                event:
                    RunEvent::Failing { cause: Cause::Node { .. } }
                    | RunEvent::SignalMoved { .. }
                    | RunEvent::Finished { .. },
            }
            | Event::Node {
                run,
                event:
                    NodeEvent::Opened { .. }
                    | NodeEvent::Held { .. }
                    | NodeEvent::Retrying { .. }
                    | NodeEvent::Finished { .. }
                    | NodeEvent::HandlerFired { .. }
                    | NodeEvent::Map(MapEvent::Completion)
                    | NodeEvent::StateEntered { .. }
                    | NodeEvent::Sent { .. }
                    | NodeEvent::Decision(DecisionEvent::Escalated { .. }),
                ..
            } => Some(*run),
            _ => None,
        };
        ensure!(!moves.is_some_and(|run| self.is_paused(run)), "a paused run moves");
        Ok(())
    }

    /// Nodes have the names that the run's definition gives them.
    fn named(&self, run: RunId, nodes: &[NodeRef]) -> Result<Vec<usize>, String> {
        let definition = &self.flow(run)?.definition;
        let at = |node: &NodeRef| {
            let known = definition.nodes.get(node.index.index()).is_some_and(|known| known.name == node.name);
            known.then(|| node.index.index())
        };
        nodes.iter().map(at).collect::<Option<_>>().ok_or(format!("{nodes:?} are not nodes of {run}"))
    }

    fn run(&mut self, run: RunId, event: &RunEvent) -> Ruling {
        match event {
            RunEvent::Paused { .. } | RunEvent::Resumed => {
                let (flow, pauses) = (self.flow_mut(run)?, matches!(event, RunEvent::Paused { .. }));
                ensure!(flow.stand == Stand::Running && flow.paused != pauses, "it is paused or resumed for nothing");
                flow.paused = pauses;
                Ok(())
            }
            RunEvent::Started { spec, version, owner, .. } => {
                let definition = match owner {
                    None => self.definitions.get(&(spec.workflow.clone(), *version)).cloned(),
                    Some(owner) => match self.flow(owner.run)?.body_of(*owner) {
                        Some(Body::Flow(flow)) => Some(Arc::clone(flow)),
                        Some(Body::Call(call)) => {
                            ensure!(spec.workflow == call.workflow, "another workflow begins than is called");
                            let known = self.definitions.keys().filter(|(name, _)| *name == call.workflow);
                            let newest = known.map(|(_, version)| *version).max();
                            ensure!(call.version.or(newest) == Some(*version), "it should be version {newest:?}");
                            let around = self.around(owner.run, &call.workflow)?;
                            ensure!(around < call.depth, "runs within runs are too deep");
                            self.definitions.get(&(call.workflow.clone(), *version)).cloned()
                        }
                        _ => None,
                    },
                };
                let definition = definition.ok_or("a run of nothing")?;
                if let Some(owner) = owner {
                    let now = self.now;
                    self.flow_mut(owner.run)?.begins(*owner, spec.input.value().clone(), Some(spec.id), now)?;
                }
                self.ledger.started(run, &definition, spec.budget, *owner);
                let mut input = spec.input.value().clone();
                ensure!(takes(&definition, &input), "the workflow does not take the input");
                if let Some(inputs) = &definition.inputs {
                    let mut fields = input.as_object().cloned().unwrap_or_default();
                    for (field, declared) in inputs {
                        if let Presence::Default(default) = &declared.presence {
                            fields.entry(field.as_str()).or_insert_with(|| default.value().clone());
                        }
                    }
                    input = fields.into();
                }
                let flow = Flow::new(definition, *owner, input, self.now);
                ensure!(self.flows.insert(run, flow).is_none(), "a run starts twice");
                self.specs.insert(run, Arc::clone(spec));
                Ok(())
            }
            RunEvent::Migrated { version, definition, from, .. } => {
                let flow = self.flow(run)?;
                let definition = match (definition, flow.owner) {
                    (Some(own), _) => Some(Arc::clone(own)),
                    (None, None) => self.definitions.get(&(flow.definition.name.clone(), *version)).cloned(),
                    (None, Some(owner)) => match self.flow(owner.run)?.body_of(owner) {
                        Some(Body::Flow(flow)) => Some(Arc::clone(flow)),
                        Some(Body::Call(call)) if call.version.is_none() => {
                            self.definitions.get(&(flow.definition.name.clone(), *version)).cloned()
                        }
                        _ => None,
                    },
                };
                let definition = definition.ok_or("a move to nothing")?;
                let from: Vec<Option<u32>> = from.iter().map(|node| node.map(NodeIx::get)).collect();
                self.ledger.moved(run, &definition, &from);
                self.flow_mut(run)?.moves(definition, &from)?;
                let place = |owner: &mut Owner| {
                    if owner.run == run {
                        let place = from.iter().position(|was| *was == Some(owner.node.get()));
                        let place = u32::try_from(place.expect("what works has a node")).unwrap();
                        owner.node = NodeIx::new(place);
                    }
                };
                self.flows.values_mut().flat_map(|flow| &mut flow.owner).for_each(place);
                self.tasks.values_mut().for_each(|(owner, _)| place(owner));
                Ok(())
            }
            RunEvent::Signalled { signal, payload, .. } => {
                let flow = self.flow_mut(run)?;
                flow.signals.entry(signal.clone()).or_default().push_back(payload.value().clone());
                Ok(())
            }
            RunEvent::SignalMoved { from, signal, index } => {
                let mut around = self.flow(run)?.owner;
                while let Some(owner) = around.filter(|owner| owner.run != *from) {
                    around = self.flow(owner.run)?.owner;
                }
                ensure!(around.is_some(), "a signal is taken from a run that is not around it");
                ensure!(self.flow(run)?.listens(signal), "a signal is taken that nobody waits for");
                let kept = self.flow_mut(*from)?.signals.get_mut(signal).and_then(|kept| kept.remove(*index as usize));
                let kept = kept.ok_or("a signal is taken that is not there")?;
                self.flow_mut(run)?.signals.entry(signal.clone()).or_default().push_back(kept);
                Ok(())
            }
            RunEvent::Updated { variable, value } => self.flow_mut(run)?.is_updated(variable, value.value()),
            RunEvent::Reduced { variable, value } => self.reduced(run, None, *variable, value),
            RunEvent::Retried { nodes, .. } => {
                let nodes = self.named(run, nodes)?;
                self.flow_mut(run)?.retries(&nodes)
            }
            RunEvent::Reset { nodes, undo, .. } => {
                let nodes = self.named(run, nodes)?;
                let within = self.flows.values().filter(|flow| self.is_within(flow, run, &nodes));
                let past = within.filter(|flow| flow.stand != Stand::Finished).any(|flow| flow.pivot_passed);
                ensure!(!past, "it is reset although a child run is past its pivot");
                self.flow_mut(run)?.resets(nodes, *undo)
            }
            RunEvent::RolledBack { to, cause, .. } => {
                let to = self.named(run, to)?;
                self.flow_mut(run)?.turns_back(to, cause)
            }
            RunEvent::Restarted { nodes } => {
                let nodes = self.named(run, nodes)?;
                self.flow_mut(run)?.goes_forward(&nodes)
            }
            RunEvent::Failing { cause } => self.halts(run, cause),
            RunEvent::Compensating { nodes } => {
                let nodes = self.named(run, nodes)?;
                let flow = self.flow_mut(run)?;
                if flow.stand == Stand::Running {
                    return flow.unwinds_after(nodes);
                }
                ensure!(flow.stand == Stand::Halting, "it turns back without having halted");
                ensure!(flow.back.is_none() || flow.is_settled(), "it turns back before it is back at its save-points");
                flow.back = None;
                let busy = flow.places.iter().any(|place| place.active() > 0 || place.begun() && place.end.is_none());
                ensure!(!busy, "it turns back while something is under way");
                let expected = flow.to_undo();
                ensure!(nodes == expected, "to be undone are {expected:?}");
                flow.to_undo = nodes;
                flow.stand = Stand::Undoing;
                Ok(())
            }
            RunEvent::Finished { outcome } => self.finishes(run, outcome),
            _ => Ok(()),
        }
    }

    fn reduced(&mut self, run: RunId, node: Option<usize>, variable: u32, value: &Payload) -> Ruling {
        let known = self.flow_mut(run)?.reduced.insert((node, variable as usize), value.value().clone());
        ensure!(known.is_none(), "a variable is combined twice for one reader");
        Ok(())
    }

    fn node(&mut self, run: RunId, node: &NodeRef, event: &NodeEvent) -> Ruling {
        let at = self.named(run, core::slice::from_ref(node))?[0];
        let now = self.now;
        match event {
            NodeEvent::Map(MapEvent::ItemsAdded { items }) => {
                let flow = self.flow_mut(run)?;
                ensure!(flow.is_open(at), "items are added to what is not open");
                let place = &mut flow.places[at];
                place.items.extend(items.iter().map(|item| item.value().clone()));
                place.added.extend(items.iter().map(|item| item.value().clone()));
                Ok(())
            }
            NodeEvent::Map(MapEvent::Closed) => {
                let flow = self.flow_mut(run)?;
                ensure!(flow.is_open(at), "it is closed twice");
                flow.places[at].closed = true;
                Ok(())
            }
            NodeEvent::Map(MapEvent::Completion) => self.flow_mut(run)?.suffices(at),
            NodeEvent::Operated { remedy } => {
                let flow = self.flow_mut(run)?;
                ensure!(!flow.goes_back(at), "a node is operated that goes back");
                let is_late = flow.waits_late(at) && !matches!(remedy, NodeRemedy::Complete { .. });
                let place = &mut flow.places[at];
                ensure!(place.remedy.is_none() && (place.end.is_none() || is_late), "a node is operated that is over");
                place.remedy = Some(remedy.clone());
                Ok(())
            }
            NodeEvent::Retrying { at: again, rule, failure } => {
                let rule = rule.map(|rule| rule as usize);
                self.flow_mut(run)?.retries_run(at, *again, rule, failure, now)
            }
            NodeEvent::Refused { guard } => self.flow_mut(run)?.refuses(at, *guard, now),
            NodeEvent::Exhausted { limit } => {
                if let LimitReached::Depth { max: most } = limit {
                    let calls = self.flow(run)?.calls(at);
                    let deep = calls.into_iter().filter(|call| call.depth == *most);
                    let mut deep = deep.map(|call| self.around(run, &call.workflow));
                    ensure!(deep.any(|around| around.is_ok_and(|count| count >= *most)), "it is not so deep");
                } else {
                    self.ledger.exhausted(run, node.index.get(), *limit)?;
                }
                let flow = self.flow_mut(run)?;
                ensure!(flow.stand == Stand::Running, "a budget is looked at in a run that does not go forward");
                let place = &mut flow.places[at];
                ensure!(place.end.is_none() && place.exhausted.is_none(), "a budget is used up twice");
                place.exhausted = Some(*limit);
                Ok(())
            }
            NodeEvent::Unresolved { workflow, version } => {
                let unknown = |key: &(Name, u32)| key.0 != *workflow || version.is_some_and(|version| version != key.1);
                ensure!(self.definitions.keys().all(unknown), "the workflow is known");
                self.flow_mut(run)?.places[at].unresolved = true;
                Ok(())
            }
            NodeEvent::InputRefused { workflow, version, faults } => {
                ensure!(!faults.is_empty(), "an input is refused without a reason");
                let definition = self.definitions.get(&(workflow.clone(), *version)).cloned();
                let flow = self.flow_mut(run)?;
                ensure!(flow.refuses_input(at, definition.as_deref(), now)?, "the workflow takes the input");
                flow.places[at].unresolved = true;
                Ok(())
            }
            NodeEvent::Reduced { variable, value } => self.reduced(run, Some(at), *variable, value),
            NodeEvent::StateEntered { state, item } => {
                let item = item.as_ref().map(|item| item.value().clone());
                self.flow_mut(run)?.enters(at, *state as usize, item)
            }
            NodeEvent::HandlerFired { handler, signal } => {
                self.flow_mut(run)?.fires(at, *handler as usize, signal.unwrap_or(0) as usize, now)
            }
            NodeEvent::Decision(DecisionEvent::Made { by, option, note }) => {
                let flow = self.flow_mut(run)?;
                ensure!(!flow.goes_back(at), "something is decided that goes back");
                let place = &mut flow.places[at];
                ensure!(matches!(place.opened, Some(Opening::Race { .. })) && place.end.is_none(), "nothing is asked");
                ensure!(place.decided.is_none(), "it is decided twice");
                place.decided = Some((option.clone(), serde_json::json!({"by": by, "option": option, "note": note})));
                Ok(())
            }
            NodeEvent::Sent { .. } => self.sends(run, at, event),
            NodeEvent::Opened { what } => self.flow_mut(run)?.opens(at, what, now),
            NodeEvent::Finished { outcome, took, output, signal } => {
                let output = output.as_ref().map(|output| output.value().clone());
                let flow = self.flow_mut(run)?;
                flow.taking = signal.unwrap_or(0) as usize;
                flow.ends(at, outcome, took, output, now)?;
                // A child run that is past its pivot goes forward whatever becomes of its parent.
                if let (true, Some(owner)) = (flow.pivot_passed, flow.owner) {
                    self.flow_mut(owner.run)?.places[owner.node.index()].pieces[owner.item as usize].committed = true;
                }
                Ok(())
            }
            NodeEvent::Held { outcome } => self.flow_mut(run)?.holds_back(at, outcome),
            NodeEvent::Compensated { outcome } => self.flow_mut(run)?.undone(at, outcome),
            NodeEvent::CompensationRetried => {
                let place = &mut self.flow_mut(run)?.places[at];
                ensure!(matches!(place.undone, Some(CompensationOutcome::Failed { .. })), "nothing has failed");
                place.undone = None;
                for piece in place.pieces.iter_mut().filter(|piece| piece.undo == Undo::Failed) {
                    piece.undo = Undo::Idle;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn halts(&mut self, run: RunId, cause: &Cause) -> Ruling {
        let flow = self.flow(run)?;
        if flow.stand == Stand::Finished {
            ensure!(flow.succeeded, "a run that did not succeed is undone once more");
            let owner = flow.owner.ok_or("a run is undone that nobody owns")?;
            let parent = self.flow_mut(owner.run)?;
            parent.may_undo(owner)?;
            let (at, item) = (owner.node.index(), owner.item as usize);
            ensure!(
                !parent.own_undo(at, &parent.places[at].pieces[item]),
                "a run turns back although a task undoes it"
            );
            parent.places[owner.node.index()].pieces[owner.item as usize].undo = Undo::Active;
        } else {
            ensure!(flow.stand == Stand::Running, "a run halts twice");
            match (cause, flow.owner) {
                (Cause::Node { node, .. }, _) => {
                    let broken = flow.place_of(node).ok_or("an unknown node")?;
                    ensure!(flow.is_broken(broken), "a run halts for a failure that is taken care of");
                    ensure!(!flow.waits_late(broken), "a run halts for a failure that waits for a word");
                    ensure!(flow.has_finished(), "a run halts before what goes on without the failure has ended");
                    flow.may_halt(broken)?;
                }
                (Cause::Limit { node: Some(node), .. }, _) => {
                    let broken = flow.place_of(node).ok_or("an unknown node")?;
                    ensure!(flow.is_broken(broken), "a run halts for a bound that is taken care of");
                    ensure!(!flow.waits_late(broken), "a run halts for a bound that waits for a word");
                    ensure!(flow.has_finished(), "a run halts before what goes on without the bound has ended");
                }
                (Cause::Limit { node: None, .. }, _) => {
                    let span = flow.definition.budget.and_then(|budget| budget.time).ok_or("its time has no bound")?;
                    ensure!(flow.began + span <= self.now, "its time is not over");
                    ensure!(!flow.pivot_passed, "it turns back after its pivot");
                }
                (_, Some(owner)) => {
                    let parent = self.flow(owner.run)?;
                    ensure!(parent.withdraws(owner.node.index()), "a run within is halted that is needed");
                    ensure!(!flow.pivot_passed, "a run within is halted past its pivot");
                }
                _ => {}
            }
        }
        let flow = self.flow_mut(run)?;
        flow.stand = Stand::Halting;
        flow.back = flow.back.take().filter(|back| back.undoing);
        flow.cause = Some(cause.clone());
        Ok(())
    }

    fn finishes(&mut self, run: RunId, outcome: &RunOutcome) -> Ruling {
        let flow = self.flow_mut(run)?;
        let owner = flow.owner;
        let undoing = flow.succeeded;
        let clean = flow.may_finish(outcome)?;
        flow.stand = Stand::Finished;
        flow.signals.clear();
        flow.succeeded = matches!(outcome, RunOutcome::Succeeded { .. });
        let Some(owner) = owner else { return Ok(()) };
        let parent = self.flow_mut(owner.run)?;
        if undoing {
            let piece = &mut parent.places[owner.node.index()].pieces[owner.item as usize];
            piece.undo = if clean { Undo::Done } else { Undo::Failed };
            return Ok(());
        }
        let side_effects = match outcome {
            RunOutcome::Succeeded { output } => SideEffects::Done(output.clone()),
            _ if clean => SideEffects::None,
            _ => SideEffects::Possible,
        };
        if let Some(Cause::Limit { limit, partial, .. }) = outcome.cause() {
            let piece = &mut parent.places[owner.node.index()].pieces[owner.item as usize];
            piece.limit = Some((*limit, partial.value().clone()));
        }
        parent.places[owner.node.index()].pieces[owner.item as usize].why =
            outcome.cause().map(|cause| cause.failure());
        parent.piece_ends(owner, matches!(outcome, RunOutcome::Succeeded { .. }), side_effects, false)
    }
}
