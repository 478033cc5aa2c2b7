//! Facts about runs: nothing of them is done twice, and what is undone is undone once and in order.

use super::parts::Parts;
use super::{Judged, Rules, rule};
use crate::command::{Command, RunCommand};
use crate::definition::{Action, Definition, Delegate};
use crate::event::RunEvent;
use crate::id::{AgentId, RunId, TaskId};
use crate::name::Name;
use crate::run::{RunOutcome, UndoOutcome};
use crate::sim::oracle::Step;
use crate::task::{Happened, Owner, Phase, TaskSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A run, as far as facts tell.
#[derive(Debug, Clone, Default)]
pub(super) struct Story {
    /// None for one within another, whose definition is inside a step.
    definition: Option<Arc<Definition>>,
    owner: Option<Owner>,
    finished: bool,
    ended: BTreeSet<u32>,
    unwinding: BTreeSet<u32>,
    undone: BTreeMap<u32, UndoOutcome>,
    /// The tasks that do or undo each piece; of a compensation that is tried again there may be more than one.
    pieces: BTreeMap<(u32, u32, Phase), Vec<TaskId>>,
    retried: BTreeSet<u32>,
    /// The nodes that an operator wants done anew, and whether undone first.
    set_back: Option<(Vec<u32>, bool)>,
    /// The nodes whose work a guard refused: it may be done again.
    refused: BTreeSet<u32>,
    /// Of nodes whose work may be handed on; and for which part of which node a task is.
    parts: BTreeMap<u32, Parts>,
    works: BTreeMap<TaskId, (u32, usize)>,
}

impl Story {
    /// These nodes stand as if they had never begun.
    fn start_anew(&mut self, nodes: &[u32]) {
        let stays = |node: &u32| !nodes.contains(node);
        self.ended.retain(stays);
        self.unwinding.retain(stays);
        self.retried.retain(stays);
        self.refused.retain(stays);
        self.undone.retain(|node, _| stays(node));
        self.pieces.retain(|(node, _, _), _| stays(node));
        self.parts.retain(|node, _| stays(node));
    }

    /// What may be handed on at a node; not known of runs within runs.
    fn delegate(&self, node: u32) -> Option<&Delegate> {
        let node = self.definition.as_ref()?.nodes.get(node as usize)?;
        if let Action::Delegate(delegate) = &node.action { Some(delegate) } else { None }
    }

    /// The run follows another definition: `from` says which node each of its nodes was.
    fn move_to(&mut self, definition: Option<Arc<Definition>>, from: &[Option<u32>]) {
        self.definition = definition;
        let image = |was: u32| (0..).zip(from).find(|(_, place)| **place == Some(was)).map(|(place, _)| place);
        for known in [&mut self.ended, &mut self.unwinding, &mut self.retried, &mut self.refused] {
            *known = known.iter().filter_map(|was| image(*was)).collect();
        }
        let undone = core::mem::take(&mut self.undone);
        self.undone = undone.into_iter().filter_map(|(was, how)| Some((image(was)?, how))).collect();
        let parts = core::mem::take(&mut self.parts);
        self.parts = parts.into_iter().filter_map(|(was, parts)| Some((image(was)?, parts))).collect();
        let pieces = core::mem::take(&mut self.pieces);
        let moved = |((was, item, phase), tasks)| Some(((image(was)?, item, phase), tasks));
        self.pieces = pieces.into_iter().filter_map(moved).collect();
    }
}

impl Rules {
    pub(super) fn judge_run(&self, event: &RunEvent, step: &Step<'_>) -> Judged {
        match event {
            RunEvent::Started { spec, owner: None, .. } => {
                let asked = matches!(step.command, Some(Command::Run(RunCommand::Start(asked))) if *asked == **spec);
                rule(asked && !self.runs.contains_key(&spec.id), || format!("{} starts unasked or twice", spec.id))
            }
            RunEvent::NodeFinished { run, node, .. } => {
                let story = self.story(*run)?;
                rule(!story.ended.contains(node), || format!("node {node} of {run} ends twice"))
            }
            RunEvent::NodeUndone { run, node, outcome } => self.judge_end_of_undoing(*run, *node, outcome, step),
            RunEvent::Signalled { run, signal, payload, .. } => {
                let asked = matches!(step.command, Some(Command::Run(RunCommand::Signal { run: to, signal: what, payload: with }))
                    if to == run && what == signal && with == payload);
                rule(asked, || format!("nobody sent {signal} to {run}"))
            }
            RunEvent::Updated { run, variable, value } => {
                let asked = matches!(step.command, Some(Command::Run(RunCommand::Update { run: to, variable: what, value: with }))
                    if to == run && what == variable && with == value);
                rule(asked, || format!("nobody wrote to {variable} of {run}"))
            }
            RunEvent::Reset { run, .. } => {
                let asked = matches!(step.command, Some(Command::Run(RunCommand::Reset { run: of, .. })) if of == run);
                let story = self.story(*run)?;
                rule(asked && story.set_back.is_none(), || format!("{run} is set back unasked, or twice"))
            }
            RunEvent::WentForward { run, nodes } => self.judge_forward(*run, nodes),
            RunEvent::Finished { run, outcome } => self.judge_finished(*run, outcome),
            RunEvent::Split { run, node, .. }
            | RunEvent::Gathered { run, node, .. }
            | RunEvent::PartEnded { run, node, .. } => {
                let story = self.story(*run)?;
                let (Some(parts), Some(delegate)) = (story.parts.get(node), story.delegate(*node)) else {
                    return Ok(());
                };
                parts.judge(delegate, event)
            }
            RunEvent::Forgotten { runs } => runs.iter().try_for_each(|run| {
                rule(self.story(*run)?.finished, || format!("{run} is forgotten and has not ended"))
            }),
            RunEvent::Started { .. }
            | RunEvent::Defined { .. }
            | RunEvent::Opened { .. }
            | RunEvent::DefaultSet { .. }
            | RunEvent::Retired { .. }
            | RunEvent::Migrated { .. }
            | RunEvent::Prioritised { .. }
            | RunEvent::Retried { .. }
            | RunEvent::Refused { .. }
            | RunEvent::Exhausted { .. }
            | RunEvent::Unresolved { .. }
            | RunEvent::Held { .. }
            | RunEvent::Reduced { .. }
            | RunEvent::TurnedBack { .. }
            | RunEvent::SignalMoved { .. }
            | RunEvent::HandlerFired { .. }
            | RunEvent::Paused { .. }
            | RunEvent::Resumed { .. }
            | RunEvent::Operated { .. }
            | RunEvent::ItemsAdded { .. }
            | RunEvent::ItemsClosed { .. }
            | RunEvent::ItemsEnough { .. }
            | RunEvent::Entered { .. }
            | RunEvent::Decided { .. }
            | RunEvent::Delegated { .. }
            | RunEvent::Escalated { .. }
            | RunEvent::Halted { .. }
            | RunEvent::Unwinding { .. }
            | RunEvent::UndoRetried { .. } => Ok(()),
        }
    }

    fn judge_end_of_undoing(&self, run: RunId, node: u32, outcome: &UndoOutcome, step: &Step<'_>) -> Judged {
        let story = self.story(run)?;
        rule(story.unwinding.contains(&node), || format!("node {node} of {run} is undone, and need not be"))?;
        let again = matches!(story.undone.get(&node), None | Some(UndoOutcome::Failed { .. }));
        rule(again, || format!("node {node} of {run} is undone twice"))?;
        let words = matches!(outcome, UndoOutcome::Declared { .. } | UndoOutcome::Abandoned { .. });
        let asked = matches!(step.command, Some(Command::Run(RunCommand::Remedy { run: of, .. })) if *of == run);
        rule(!words || asked, || format!("node {node} of {run} is declared undone by nobody"))
    }

    fn story(&self, run: RunId) -> Result<&Story, String> {
        self.runs.get(&run).ok_or_else(|| format!("{run} is not known"))
    }

    /// A task of a run begins: no piece is done or undone twice, and what came after it is undone before it is.
    pub(super) fn judge_piece(&self, spec: &TaskSpec) -> Judged {
        let Some(owner) = spec.owner else { return Ok(()) };
        let story = self.story(owner.run)?;
        rule(!story.finished || owner.phase != Phase::Do, || format!("{} begins after the end of its run", spec.id))?;
        let before = story.pieces.get(&(owner.node, owner.item, owner.phase));
        let again = match owner.phase {
            Phase::Undo | Phase::Query => story.retried.contains(&owner.node),
            Phase::Do => story.refused.contains(&owner.node),
        };
        let goes_back = story.set_back.as_ref().is_some_and(|(nodes, _)| nodes.contains(&owner.node));
        rule(owner.phase != Phase::Do || !goes_back, || format!("{} begins where its run is set back", spec.id))?;
        rule(before.is_none() || again, || format!("{} does {owner:?} again, after {before:?}", spec.id))?;
        if owner.phase != Phase::Undo {
            return Ok(());
        }
        let Some(definition) = &story.definition else { return Ok(()) };
        for later in after(definition, owner.node) {
            let open = story.unwinding.contains(&later)
                && matches!(story.undone.get(&later), None | Some(UndoOutcome::Failed { .. }));
            rule(!open, || format!("node {} of {} is undone before node {later}", owner.node, owner.run))?;
        }
        Ok(())
    }

    /// What an operator wants done anew is over, and undone if that was wanted.
    fn judge_forward(&self, run: RunId, nodes: &[u32]) -> Judged {
        let story = self.story(run)?;
        let Some((wanted, undo)) = &story.set_back else { return Ok(()) };
        rule(wanted == nodes, || format!("{run} does {nodes:?} anew, and {wanted:?} was asked for"))?;
        for ((node, item, phase), tasks) in &story.pieces {
            if !nodes.contains(node) {
                continue;
            }
            let over = |task: &TaskId| self.tasks.get(task).is_none_or(|task| task.ended().is_some());
            rule(tasks.iter().all(over), || format!("{run} does node {node} anew while it is under way"))?;
            if *undo && *phase == Phase::Do {
                self.judge_undone(run, story, (*node, *item), tasks)?;
            }
        }
        Ok(())
    }

    /// Nothing of a run goes on after its end, and one that says that it is undone is.
    fn judge_finished(&self, run: RunId, outcome: &RunOutcome) -> Judged {
        let story = self.story(run)?;
        rule(!story.finished, || format!("{run} ends twice"))?;
        for task in story.pieces.values().flatten() {
            let ended = self.tasks.get(task).is_none_or(|task| task.ended().is_some());
            rule(ended, || format!("{run} ends while {task} goes on"))?;
        }
        if !matches!(outcome, RunOutcome::Compensated { .. }) {
            return Ok(());
        }
        for ((node, item, phase), tasks) in &story.pieces {
            if *phase == Phase::Do {
                rule(!matches!(story.undone.get(node), Some(UndoOutcome::Abandoned { .. })), || {
                    format!("{run} counts as undone, and node {node} was given up")
                })?;
                self.judge_undone(run, story, (*node, *item), tasks)?;
            }
        }
        Ok(())
    }

    /// A piece that has happened is undone, if it can be, or somebody has said what becomes of it.
    fn judge_undone(&self, run: RunId, story: &Story, (node, item): (u32, u32), tasks: &[TaskId]) -> Judged {
        let Some(definition) = &story.definition else { return Ok(()) };
        let undo = definition.nodes.get(node as usize).and_then(|node| node.undo.as_ref());
        // A query may have told that what may have happened did not.
        let queried = story.pieces.contains_key(&(node, item, Phase::Query));
        let happened = tasks.iter().filter_map(|task| self.tasks.get(task)).any(|task| match task.happened {
            Happened::Yes(_) => true,
            Happened::Maybe => !queried,
            Happened::No => false,
        });
        let said =
            matches!(story.undone.get(&node), Some(UndoOutcome::Declared { .. } | UndoOutcome::Abandoned { .. }));
        let undone = said || self.was_done(story, (node, item, Phase::Undo));
        rule(undo.is_none() || !happened || undone, || {
            format!("{run} counts as undone, and node {node} item {item} is not")
        })
    }

    fn was_done(&self, story: &Story, piece: (u32, u32, Phase)) -> bool {
        let tasks = story.pieces.get(&piece).into_iter().flatten();
        tasks.filter_map(|task| self.tasks.get(task)).any(|task| matches!(task.happened, Happened::Yes(_)))
    }

    pub(super) fn note_piece(&mut self, spec: &TaskSpec) {
        if let Some(owner) = spec.owner
            && let Some(story) = self.runs.get_mut(&owner.run)
        {
            story.pieces.entry((owner.node, owner.item, owner.phase)).or_default().push(spec.id);
            if owner.phase == Phase::Do && story.delegate(owner.node).is_some() {
                let parts = story.parts.entry(owner.node).or_default();
                if let Some(part) = parts.begins(&spec.kind, &spec.payload) {
                    story.works.insert(spec.id, (owner.node, part));
                }
            }
        }
    }

    /// A task that is for a part of a work was given to an agent.
    pub(super) fn note_given(&mut self, task: TaskId, to: AgentId) {
        let owner = self.tasks.get(&task).and_then(|known| known.spec.owner);
        let Some(story) = owner.and_then(|owner| self.runs.get_mut(&owner.run)) else { return };
        if let Some((node, part)) = story.works.get(&task).copied()
            && let Some(parts) = story.parts.get_mut(&node)
        {
            parts.given(part, to);
        }
    }

    /// Whether a task is work that may be handed on, so that not every answer is one.
    pub(super) fn may_be_misread(&self, task: TaskId) -> bool {
        let owner = self.tasks.get(&task).and_then(|known| known.spec.owner);
        let story = owner.and_then(|owner| self.runs.get(&owner.run));
        story.is_some_and(|story| story.definition.is_none() || story.works.contains_key(&task))
    }

    pub(super) fn learn_run(&mut self, event: &RunEvent) {
        if let RunEvent::Defined { definition } = event {
            self.definitions.insert((definition.name.clone(), definition.version), Arc::clone(definition));
        }
        if let RunEvent::Started { spec, version, owner, .. } = event {
            let definition = match owner {
                None => self.definitions.get(&(spec.workflow.clone(), *version)).cloned(),
                Some(_) => None,
            };
            self.runs.insert(spec.id, Story { definition, owner: *owner, ..Story::default() });
        }
        if let RunEvent::Forgotten { runs } = event {
            self.runs.retain(|id, story| {
                let root = story.owner.map_or(*id, |owner| owner.run);
                !runs.contains(id) && !runs.contains(&root)
            });
        }
        if let RunEvent::Prioritised { tasks, tier, .. } = event {
            self.prioritise(tasks, *tier);
        }
        if let RunEvent::Migrated { run, version, definition, from, .. } = event
            && let Some(story) = self.runs.get_mut(run)
        {
            let known = |old: &Arc<Definition>| self.definitions.get(&(old.name.clone(), *version)).cloned();
            let next = story.definition.as_ref().and_then(|old| definition.clone().or_else(|| known(old)));
            story.move_to(next, from);
        }
        let Some(story) = event.run().and_then(|run| self.runs.get_mut(&run)) else { return };
        if let RunEvent::NodeFinished { node, .. } = event {
            story.ended.insert(*node);
        } else if let RunEvent::Split { node, .. }
        | RunEvent::Gathered { node, .. }
        | RunEvent::PartEnded { node, .. } = event
        {
            if let Some(parts) = story.parts.get_mut(node) {
                parts.learn(event);
            }
        } else if let RunEvent::Unwinding { nodes, .. } = event {
            story.unwinding.extend(nodes);
        } else if let RunEvent::NodeUndone { node, outcome, .. } = event {
            story.undone.insert(*node, outcome.clone());
        } else if let RunEvent::UndoRetried { node, .. } = event {
            story.retried.insert(*node);
            story.undone.remove(node);
        } else if let RunEvent::Refused { node, .. } = event {
            story.refused.insert(*node);
        } else if let RunEvent::WentForward { nodes, .. } = event {
            story.start_anew(nodes);
            story.set_back = None;
        } else if let RunEvent::Reset { nodes, undo, .. } = event {
            story.set_back = Some((nodes.clone(), *undo));
            story.finished = false;
        } else if let RunEvent::Retried { nodes, .. } = event {
            story.start_anew(nodes);
            story.finished = false;
        } else if let RunEvent::Finished { .. } = event {
            story.finished = true;
        } else if let RunEvent::Halted { .. } = event {
            // One within another that is undone as a whole goes on after its end.
            story.finished = false;
            story.set_back = None;
        }
    }
}

/// The nodes that come after a node by any way. States have cycles, and order of their own.
fn after(definition: &Definition, node: u32) -> BTreeSet<u32> {
    let name = |place: u32| definition.nodes.get(place as usize).map(|node| &node.name);
    let mut found = BTreeSet::new();
    let mut line: Vec<u32> = vec![node];
    while let Some(place) = line.pop() {
        let Some(from): Option<&Name> = name(place) else { continue };
        for (later, next) in (0..).zip(&definition.nodes) {
            let follows = next.after.iter().any(|link| link.node == *from);
            if follows && !matches!(next.action, Action::States(_)) && found.insert(later) {
                line.push(later);
            }
        }
    }
    found
}
