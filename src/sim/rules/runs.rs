//! Rules for the events of runs and nodes: nothing is done twice, and compensation happens once and in order.

#![expect(clippy::wildcard_enum_match_arm, reason = "most events have no rule")]

use super::parts::Parts;
use super::{Judged, Rules, failures, rule};
use crate::base::id::{AgentId, NodeIx, RunId, TaskId};
use crate::base::name::Name;
use crate::definition::{Action, Body, Condition, Definition, Delegate, WaitFor};
use crate::message::command::{Command, RunCommand};
use crate::message::event::{CatalogueEvent, NodeEvent, NodeRef, RunEvent};
use crate::message::run::{CallPoint, CompensationOutcome, RunOutcome, RunSpec};
use crate::sim::oracle::Step;
use crate::task::{Owner, Phase, SideEffects, TaskSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A run, computed from events.
#[derive(Debug, Clone, Default)]
pub(super) struct Story {
    /// `None` for a child run, whose definition is nested in a step.
    definition: Option<Arc<Definition>>,
    /// The specification with which it was started.
    pub(super) spec: Option<Arc<RunSpec>>,
    owner: Option<Owner>,
    finished: bool,
    ended: BTreeSet<NodeIx>,
    compensating: BTreeSet<NodeIx>,
    compensated: BTreeMap<NodeIx, CompensationOutcome>,
    /// The tasks that do or compensate each instance; a retried compensation may have more than one.
    instances: BTreeMap<(NodeIx, u32, Phase), Vec<TaskId>>,
    retried: BTreeSet<NodeIx>,
    /// The nodes that an operator resets, and whether they are compensated first.
    reset: Option<(Vec<NodeIx>, bool)>,
    /// The function of which a reset or a rollback keeps the first calls.
    partly: Option<NodeIx>,
    /// The nodes whose work a guard rejected: it may be repeated.
    refused: BTreeSet<NodeIx>,
    /// The delegated work of nodes; and the part of a node that each task belongs to.
    parts: BTreeMap<NodeIx, Parts>,
    works: BTreeMap<TaskId, (NodeIx, usize)>,
}

impl Story {
    /// Resets nodes to the state before their start.
    fn reset_nodes(&mut self, nodes: &[NodeIx]) {
        let stays = |node: &NodeIx| !nodes.contains(node);
        self.ended.retain(stays);
        self.compensating.retain(stays);
        self.retried.retain(stays);
        self.refused.retain(stays);
        self.compensated.retain(|node, _| stays(node));
        self.instances.retain(|(node, _, _), _| stays(node));
        self.parts.retain(|node, _| stays(node));
    }

    /// An event names nodes as the definition does, if the definition is known.
    fn judge_names(&self, nodes: &[NodeRef]) -> Judged {
        let Some(definition) = &self.definition else { return Ok(()) };
        let known = |node: &&NodeRef| definition.nodes.get(node.index.index()).is_some_and(|at| at.name == node.name);
        let other = nodes.iter().find(|node| !known(node));
        rule(other.is_none(), || format!("{other:?} is no node of {}", definition.name))
    }

    /// The bounds of the delegation of a node; unknown for child runs.
    fn delegate(&self, node: NodeIx) -> Option<&Delegate> {
        let node = self.definition.as_ref()?.nodes.get(node.index())?;
        if let Action::Delegate(delegate) = &node.action { Some(delegate) } else { None }
    }

    /// Without conditions and expiry, the oldest of several signals is taken.
    fn judge_signal(&self, index: NodeIx, taken: Option<u32>) -> Judged {
        let Some((definition, taken)) = self.definition.as_ref().zip(taken) else { return Ok(()) };
        let conditional =
            |wait: &WaitFor| matches!(wait, WaitFor::Signal { matching, .. } if *matching != Condition::True);
        let node = definition.nodes.get(index.index());
        let chooses = node.is_none_or(|node| match &node.action {
            Action::Race { options } => options.iter().any(|option| conditional(&option.on)),
            Action::Wait { .. } => false,
            _ => true,
        });
        let expires = definition.signals.iter().any(|signal| signal.ttl.is_some());
        rule(chooses || expires || taken == 0, || format!("node {index} takes signal {taken} instead of the oldest"))
    }

    /// Migrates to another definition: `from` maps each of its nodes to its previous index.
    fn move_to(&mut self, definition: Option<Arc<Definition>>, from: &[Option<NodeIx>]) {
        self.definition = definition;
        let image = |was: NodeIx| {
            (0..).map(NodeIx::new).zip(from).find(|(_, from)| **from == Some(was)).map(|(place, _)| place)
        };
        for known in [&mut self.ended, &mut self.compensating, &mut self.retried, &mut self.refused] {
            *known = known.iter().filter_map(|was| image(*was)).collect();
        }
        let compensated = core::mem::take(&mut self.compensated);
        self.compensated = compensated.into_iter().filter_map(|(was, how)| Some((image(was)?, how))).collect();
        let parts = core::mem::take(&mut self.parts);
        self.parts = parts.into_iter().filter_map(|(was, parts)| Some((image(was)?, parts))).collect();
        let instances = core::mem::take(&mut self.instances);
        let moved = |((was, item, phase), tasks)| Some(((image(was)?, item, phase), tasks));
        self.instances = instances.into_iter().filter_map(moved).collect();
    }
}

impl Rules {
    pub(super) fn judge_run(&self, run: RunId, event: &RunEvent, step: &Step<'_>) -> Judged {
        match event {
            RunEvent::Started { spec, owner: None, .. } => {
                let asked = spec.firing().is_some_and(|firing| firing.run() == run)
                    || matches!(step.command, Some(Command::Run(RunCommand::Start(asked))) if *asked == **spec);
                let new = spec.id == run && !self.runs.contains_key(&run);
                rule(asked && new, || format!("{run} starts without a command or twice"))
            }
            RunEvent::Signalled { signal, payload, .. } => {
                let asked = matches!(step.command, Some(Command::Run(RunCommand::Signal { run: to, signal: what, payload: with }))
                    if *to == run && what == signal && with == payload);
                rule(asked, || format!("no command sent {signal} to {run}"))
            }
            RunEvent::Updated { variable, value } => {
                let asked = matches!(step.command, Some(Command::Run(RunCommand::Update { run: to, variable: what, value: with }))
                    if *to == run && what == variable && with == value);
                rule(asked, || format!("no command updated {variable} of {run}"))
            }
            RunEvent::Reset { nodes, .. } => {
                let asked = matches!(step.command, Some(Command::Run(RunCommand::Reset { run: of, .. })) if *of == run);
                let story = self.story(run)?;
                rule(asked && story.reset.is_none(), || format!("{run} is reset without a command, or twice"))?;
                story.judge_names(nodes)
            }
            RunEvent::RolledBack { to: nodes, .. }
            | RunEvent::Compensating { nodes }
            | RunEvent::Retried { nodes, .. } => self.story(run)?.judge_names(nodes),
            RunEvent::Restarted { nodes } => self.judge_forward(run, nodes),
            RunEvent::Finished { outcome } => self.judge_finished(run, outcome),
            _ => Ok(()),
        }
    }

    pub(super) fn judge_node(&self, run: RunId, node: &NodeRef, event: &NodeEvent, step: &Step<'_>) -> Judged {
        let (story, index) = (self.story(run)?, node.index);
        story.judge_names(core::slice::from_ref(node))?;
        match event {
            NodeEvent::Finished { signal, outcome, .. } => {
                failures::judge(&self.failures, node, outcome)?;
                story.judge_signal(index, *signal)?;
                rule(!story.ended.contains(&index), || format!("node {node} of {run} ends twice"))
            }
            NodeEvent::Sent { to, .. } => {
                let goes = |run: &RunId| self.runs.get(run).is_some_and(|story| !story.finished);
                rule(to.iter().all(goes), || format!("node {node} of {run} sends a signal to a run that has ended"))
            }
            NodeEvent::Continued { .. } => {
                let own = story.instances.iter().filter(|((node, ..), _)| *node == index);
                let over = |task: &TaskId| self.tasks.get(task).is_none_or(|task| task.ended().is_some());
                rule(own.flat_map(|(_, tasks)| tasks).all(over), || {
                    format!("node {node} of {run} continues as new while it is under way")
                })
            }
            NodeEvent::Compensated { outcome } => self.judge_compensated(run, index, outcome, step),
            NodeEvent::Part { part, event } => {
                let (Some(parts), Some(delegate)) = (story.parts.get(&index), story.delegate(index)) else {
                    return Ok(());
                };
                parts.judge(delegate, *part, event)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn judge_removed(&self, runs: &[RunId]) -> Judged {
        runs.iter()
            .try_for_each(|run| rule(self.story(*run)?.finished, || format!("{run} is removed but has not ended")))
    }

    fn judge_compensated(&self, run: RunId, node: NodeIx, outcome: &CompensationOutcome, step: &Step<'_>) -> Judged {
        let story = self.story(run)?;
        rule(story.compensating.contains(&node), || format!("node {node} of {run} is compensated without need"))?;
        let again = matches!(story.compensated.get(&node), None | Some(CompensationOutcome::Failed { .. }));
        rule(again, || format!("node {node} of {run} is compensated twice"))?;
        let declared = matches!(outcome, CompensationOutcome::Declared { .. } | CompensationOutcome::Abandoned { .. });
        let asked = matches!(step.command, Some(Command::Run(RunCommand::Remedy { run: of, .. })) if *of == run);
        rule(!declared || asked, || format!("node {node} of {run} is declared compensated without a command"))
    }

    fn story(&self, run: RunId) -> Result<&Story, String> {
        self.runs.get(&run).ok_or_else(|| format!("{run} is not known"))
    }

    /// A task of a run begins: no instance is done or compensated twice, and later nodes are compensated before earlier
    /// ones.
    pub(super) fn judge_instance(&self, spec: &TaskSpec) -> Judged {
        let Some(owner) = spec.owner else { return Ok(()) };
        let story = self.story(owner.run)?;
        judge_template(spec, owner, story)?;
        rule(!story.finished || owner.phase != Phase::Do, || format!("{} begins after the end of its run", spec.id))?;
        let before = story.instances.get(&(owner.node, owner.item, owner.phase));
        let again = match owner.phase {
            Phase::Undo | Phase::Query => story.retried.contains(&owner.node),
            Phase::Do => story.refused.contains(&owner.node),
        };
        let rolls_back = story.reset.as_ref().is_some_and(|(nodes, _)| nodes.contains(&owner.node));
        rule(owner.phase != Phase::Do || !rolls_back, || format!("{} begins while its run rolls back", spec.id))?;
        rule(before.is_none() || again, || format!("{} does {owner:?} again, after {before:?}", spec.id))?;
        if owner.phase != Phase::Undo {
            return Ok(());
        }
        rule(!self.was_done(story, (owner.node, owner.item, Phase::Undo)), || {
            format!("{} compensates {owner:?}, which is compensated already", spec.id)
        })?;
        judge_certainty(self, story, spec, owner)?;
        let Some(definition) = &story.definition else { return Ok(()) };
        for later in after(definition, owner.node) {
            let open = story.compensating.contains(&later)
                && matches!(story.compensated.get(&later), None | Some(CompensationOutcome::Failed { .. }));
            rule(!open, || format!("node {} of {} is compensated before node {later}", owner.node, owner.run))?;
        }
        Ok(())
    }

    /// Nodes that an operator resets have ended, and are compensated first if requested.
    fn judge_forward(&self, run: RunId, nodes: &[NodeRef]) -> Judged {
        let story = self.story(run)?;
        story.judge_names(nodes)?;
        let nodes = indexes(nodes);
        let Some((wanted, undo)) = &story.reset else { return Ok(()) };
        rule(*wanted == nodes, || format!("{run} repeats {nodes:?}, but {wanted:?} was requested"))?;
        for ((node, item, phase), tasks) in &story.instances {
            if !nodes.contains(node) {
                continue;
            }
            let over = |task: &TaskId| self.tasks.get(task).is_none_or(|task| task.ended().is_some());
            rule(tasks.iter().all(over), || format!("{run} repeats node {node} while it is under way"))?;
            if *undo && *phase == Phase::Do && story.partly != Some(*node) {
                self.judge_instance_compensated(run, story, (*node, *item), tasks)?;
            }
        }
        Ok(())
    }

    /// No work of a run continues after its end, and a compensated run has no uncompensated work.
    fn judge_finished(&self, run: RunId, outcome: &RunOutcome) -> Judged {
        let story = self.story(run)?;
        rule(!story.finished, || format!("{run} ends twice"))?;
        for task in story.instances.values().flatten() {
            let ended = self.tasks.get(task).is_none_or(|task| task.ended().is_some());
            rule(ended, || format!("{run} ends while {task} is under way"))?;
        }
        if !matches!(outcome, RunOutcome::Compensated { .. }) {
            return Ok(());
        }
        for ((node, item, phase), tasks) in &story.instances {
            if *phase == Phase::Do {
                rule(!matches!(story.compensated.get(node), Some(CompensationOutcome::Abandoned { .. })), || {
                    format!("{run} counts as compensated, but node {node} was abandoned")
                })?;
                self.judge_instance_compensated(run, story, (*node, *item), tasks)?;
            }
        }
        Ok(())
    }

    /// An instance with side effects is compensated, or an operator has declared its state.
    fn judge_instance_compensated(
        &self,
        run: RunId,
        story: &Story,
        (node, item): (NodeIx, u32),
        tasks: &[TaskId],
    ) -> Judged {
        let Some(definition) = &story.definition else { return Ok(()) };
        let undo = definition.nodes.get(node.index()).and_then(|node| node.undo.as_ref());
        // A query may have found that possible side effects did not occur.
        let queried = story.instances.contains_key(&(node, item, Phase::Query));
        let side_effects = tasks.iter().filter_map(|task| self.tasks.get(task)).any(|task| match task.side_effects {
            SideEffects::Done(_) => true,
            SideEffects::Possible => !queried,
            SideEffects::None => false,
        });
        let reported = matches!(
            story.compensated.get(&node),
            Some(CompensationOutcome::Declared { .. } | CompensationOutcome::Abandoned { .. })
        );
        let compensated = reported || self.was_done(story, (node, item, Phase::Undo));
        rule(undo.is_none() || !side_effects || compensated, || {
            format!("{run} counts as compensated, but node {node} item {item} is not")
        })
    }

    fn was_done(&self, story: &Story, instance: (NodeIx, u32, Phase)) -> bool {
        let tasks = story.instances.get(&instance).into_iter().flatten();
        tasks.filter_map(|task| self.tasks.get(task)).any(|task| matches!(task.side_effects, SideEffects::Done(_)))
    }

    pub(super) fn note_instance(&mut self, spec: &TaskSpec) {
        if let Some(owner) = spec.owner
            && let Some(story) = self.runs.get_mut(&owner.run)
        {
            story.instances.entry((owner.node, owner.item, owner.phase)).or_default().push(spec.id);
            if owner.phase == Phase::Do && story.delegate(owner.node).is_some() {
                let parts = story.parts.entry(owner.node).or_default();
                if let Some(part) = parts.begins(&spec.kind, &spec.payload) {
                    story.works.insert(spec.id, (owner.node, part));
                }
            }
        }
    }

    /// Records that a task of a delegated part was assigned.
    pub(super) fn note_given(&mut self, task: TaskId, to: AgentId) {
        let owner = self.tasks.get(&task).and_then(|known| known.spec.owner);
        let Some(story) = owner.and_then(|owner| self.runs.get_mut(&owner.run)) else { return };
        if let Some((node, part)) = story.works.get(&task).copied()
            && let Some(parts) = story.parts.get_mut(&node)
        {
            parts.given(part, to);
        }
    }

    /// Whether the task's work can be delegated, so that its answer may be malformed.
    pub(super) fn is_delegable(&self, task: TaskId) -> bool {
        let owner = self.tasks.get(&task).and_then(|known| known.spec.owner);
        let story = owner.and_then(|owner| self.runs.get(&owner.run));
        story.is_some_and(|story| story.definition.is_none() || story.works.contains_key(&task)) || is_turn(self, task)
    }

    pub(super) fn learn_catalogue(&mut self, event: &CatalogueEvent) {
        if let CatalogueEvent::Defined { definition } | CatalogueEvent::Redefined { definition, .. } = event {
            self.definitions.insert((definition.name.clone(), definition.version), Arc::clone(definition));
            self.failures.learn_definition(definition);
        }
    }

    pub(super) fn learn_run(&mut self, run: RunId, event: &RunEvent) {
        if let RunEvent::Started { spec, version, owner, .. } = event {
            let definition = match owner {
                None => self.definitions.get(&(spec.workflow.clone(), *version)).cloned(),
                Some(_) => None,
            };
            self.runs
                .insert(run, Story { definition, spec: Some(Arc::clone(spec)), owner: *owner, ..Story::default() });
        }
        let Some(story) = self.runs.get_mut(&run) else { return };
        match event {
            RunEvent::Migrated { version, definition, from, .. } => {
                let known = |old: &Arc<Definition>| self.definitions.get(&(old.name.clone(), *version)).cloned();
                let next = story.definition.as_ref().and_then(|old| definition.clone().or_else(|| known(old)));
                story.move_to(next, from);
            }
            RunEvent::Compensating { nodes } => {
                let nodes = indexes(nodes);
                // A rollback to a call compensates the calls after it. If the run fails meanwhile, the others follow.
                if let Some(partly) = story.partly.filter(|partly| nodes.contains(partly)) {
                    story.compensated.remove(&partly);
                }
                story.compensating.extend(nodes);
            }
            RunEvent::RolledBack { to, call, .. } => story.partly = called(to, call.as_ref()),
            RunEvent::Restarted { nodes } => {
                story.reset_nodes(&indexes(nodes));
                (story.reset, story.partly) = (None, None);
            }
            RunEvent::Reset { nodes, undo, call, .. } => {
                story.reset = Some((indexes(nodes), *undo));
                story.partly = called(nodes, call.as_ref());
                story.finished = false;
            }
            RunEvent::Retried { nodes, .. } => {
                story.reset_nodes(&indexes(nodes));
                story.finished = false;
            }
            RunEvent::Finished { .. } => story.finished = true,
            // A child run that is compensated as a whole continues after its end.
            RunEvent::Failing { .. } => (story.finished, story.reset) = (false, None),
            _ => {}
        }
    }

    pub(super) fn learn_node(&mut self, run: RunId, node: NodeIx, event: &NodeEvent) {
        let Some(story) = self.runs.get_mut(&run) else { return };
        match event {
            NodeEvent::Finished { .. } => _ = story.ended.insert(node),
            NodeEvent::Part { part, event } => {
                if let Some(parts) = story.parts.get_mut(&node) {
                    parts.learn(*part, event);
                }
            }
            NodeEvent::Compensated { outcome } => _ = story.compensated.insert(node, outcome.clone()),
            NodeEvent::CompensationRetried => {
                story.retried.insert(node);
                story.compensated.remove(&node);
            }
            NodeEvent::Refused { .. } => _ = story.refused.insert(node),
            NodeEvent::Continued { .. } => {
                story.reset_nodes(&[node]);
                remove_calls(&mut self.runs, run, node);
            }
            _ => {}
        }
    }

    pub(super) fn remove_runs(&mut self, runs: &[RunId]) {
        self.runs.retain(|id, story| {
            let root = story.owner.map_or(*id, |owner| owner.run);
            !runs.contains(id) && !runs.contains(&root)
        });
    }
}

/// A task has the settings of the definition that its run follows, whatever has taken the place of that since.
fn judge_template(spec: &TaskSpec, owner: Owner, story: &Story) -> Judged {
    let nodes = story.definition.as_ref().map(|definition| &definition.nodes);
    let node = nodes.and_then(|nodes| nodes.get(owner.node.index())).filter(|_| owner.phase == Phase::Do);
    let Some(Action::Do(Body::Task(work))) = node.map(|node| &node.action) else { return Ok(()) };
    rule(spec.policy.attempt_timeout() == work.policy.attempt_timeout(), || {
        format!("{} does not have the timeout of the definition that {} follows", spec.id, owner.run)
    })
}

/// A function has continued as new: the child runs of its calls are forgotten.
fn remove_calls(runs: &mut BTreeMap<RunId, Story>, run: RunId, node: NodeIx) {
    let is_call = |owner: Owner| owner.run == run && owner.node == node;
    let mut gone: BTreeSet<RunId> = BTreeSet::new();
    loop {
        let is_gone = |owner: Owner| is_call(owner) || gone.contains(&owner.run);
        let more = runs.iter().filter(|(id, story)| !gone.contains(id) && story.owner.is_some_and(is_gone));
        let more: Vec<RunId> = more.map(|(id, _)| *id).collect();
        if more.is_empty() {
            break;
        }
        gone.extend(more);
    }
    runs.retain(|id, _| !gone.contains(id));
}

/// The function among these nodes to whose call a run goes back.
fn called(nodes: &[NodeRef], call: Option<&CallPoint>) -> Option<NodeIx> {
    let node = call.and_then(|call| nodes.iter().find(|node| node.name == call.node));
    node.map(|node| node.index)
}

fn indexes(nodes: &[NodeRef]) -> Vec<NodeIx> {
    nodes.iter().map(|node| node.index).collect()
}

/// The nodes reachable from a node. States have cycles and their own order.
fn after(definition: &Definition, node: NodeIx) -> BTreeSet<NodeIx> {
    let name = |ix: NodeIx| definition.nodes.get(ix.index()).map(|node| &node.name);
    let mut found = BTreeSet::new();
    let mut line: Vec<NodeIx> = vec![node];
    while let Some(place) = line.pop() {
        let Some(from): Option<&Name> = name(place) else { continue };
        for (later, next) in (0..).map(NodeIx::new).zip(&definition.nodes) {
            let follows = next.after.iter().any(|link| link.node == *from);
            if follows && !matches!(next.action, Action::States(_)) && found.insert(later) {
                line.push(later);
            }
        }
    }
    found
}

/// A compensation states that the work was done only if that is known.
fn judge_certainty(rules: &Rules, story: &Story, spec: &TaskSpec, owner: Owner) -> Judged {
    let done = (owner.node, owner.item, Phase::Do);
    let several = story.instances.get(&done).is_none_or(|tasks| tasks.len() != 1);
    if several || story.instances.contains_key(&(owner.node, owner.item, Phase::Query)) {
        return Ok(());
    }
    let known = rules.was_done(story, done);
    let told = spec.payload.value().get("certain").and_then(serde_json::Value::as_bool);
    rule(told.is_none_or(|told| told == known), || {
        format!("{} is told {told:?}, but it is {known} that the work was done", spec.id)
    })
}

/// Whether the task is a turn or a call of a durable function. Its answer may be refused for good.
pub(super) fn is_turn(rules: &Rules, task: TaskId) -> bool {
    let owner = rules.tasks.get(&task).and_then(|known| known.spec.owner);
    let Some((owner, story)) = owner.and_then(|owner| Some((owner, rules.runs.get(&owner.run)?))) else { return false };
    let node = story.definition.as_ref().map(|definition| definition.nodes.get(owner.node.index()));
    node.is_none_or(|node| node.is_some_and(|node| matches!(node.action, Action::Function(_))))
}
