//! The verdict at the end of a case: the report agrees with the outside system, and runs read the values that their
//! definitions say.

#![expect(clippy::wildcard_enum_match_arm, reason = "most events have no rule")]

use super::firings::Firings;
use super::flows::{self, VOTES};
use super::ledger::Ledger;
use crate::base::id::{NodeIx, RunId, Seq, TaskId};
use crate::base::name::Name;
use crate::definition::Expr;
use crate::message::event::{CatalogueEvent, Entry, Event, NodeEvent, NodeRef, Opening, RunEvent, TaskEvent};
use crate::message::run::{CallPoint, CompensationOutcome, RunOutcome};
use crate::sim::report::Report;
use crate::task::{IdempotencyKey, Identity, JournalId, Owner, Phase, TaskSpec, TaskStatus};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Compares the report with the outside system: completed work was done once, and compensated work was compensated.
pub(super) fn judge(report: &Report, ledger: &Ledger) -> Result<(), String> {
    if report.lost > 0 {
        return Err(format!("{} accepted tasks or runs are unknown to the journal", report.lost));
    }
    if report.twice > 0 {
        return Err(format!("{} tasks ended twice", report.twice));
    }
    let books = ledger.books();
    let story = Story::of(&report.journal);
    if let Some((instance, tasks)) = books.instances().find(|(instance, tasks)| story.is_repeated(*instance, tasks)) {
        return Err(format!("done twice: {instance:?} by {tasks:?}"));
    }
    let phantom =
        report.tasks.iter().find(|task| task.status() == Some(TaskStatus::Succeeded) && !books.has_done(task.id));
    if let Some(task) = phantom {
        return Err(format!("{} counts as done but was not", task.id));
    }
    let definitions = flows::all();
    for run in &report.runs {
        let Some(RunOutcome::Compensated { .. }) = &run.outcome else { continue };
        let Some(definition) = definitions.iter().find(|it| it.name == run.workflow) else { continue };
        let undoable = |node: NodeIx| {
            let declared = story.declared.contains(&(run.id, node));
            !declared && definition.nodes.get(node.index()).is_some_and(|node| node.undo.is_some())
        };
        let uncompensated = books.uncompensated(run.id, undoable);
        if !uncompensated.is_empty() {
            return Err(format!("{} counts as compensated, but these instances are not: {uncompensated:?}", run.id));
        }
        let calls = books.uncompensated_work(run.id, |task| story.has_undo(task));
        if !calls.is_empty() {
            return Err(format!("{} counts as compensated, but these calls of functions are not: {calls:?}", run.id));
        }
    }
    Values::default().check(&report.journal)?;
    Keys::default().check(&report.journal)?;
    Firings::default().check(&report.journal)
}

/// The events of instances in the journal.
#[derive(Default)]
struct Story {
    submitted: BTreeMap<TaskId, Seq>,
    /// When the nodes of runs were restarted.
    restarted: BTreeMap<(RunId, NodeIx), Vec<Seq>>,
    /// Nodes that an operator declared to be compensated, or completed by hand.
    declared: BTreeSet<(RunId, NodeIx)>,
    /// The nodes that execute durable functions.
    functions: BTreeSet<(RunId, NodeIx)>,
    /// The tasks of their calls with a compensation, while the call counts.
    undoable: BTreeMap<TaskId, (RunId, NodeIx)>,
}

impl Story {
    fn of(journal: &[Entry]) -> Self {
        let mut story = Self::default();
        for entry in journal {
            match &entry.event {
                Event::Task { task, event: TaskEvent::Submitted { spec, .. } } => {
                    story.submitted.insert(*task, entry.seq);
                    story.called(*task, spec);
                }
                Event::Node { run, node, event: NodeEvent::Opened { what: Opening::Function } } => {
                    story.functions.insert((*run, node.index));
                }
                Event::Run { run, event: RunEvent::Restarted { nodes } | RunEvent::Retried { nodes, .. } } => {
                    for node in nodes {
                        story.restarted.entry((*run, node.index)).or_default().push(entry.seq);
                    }
                }
                Event::Node {
                    run,
                    node,
                    event:
                        NodeEvent::Compensated { outcome: CompensationOutcome::Declared { .. } }
                        | NodeEvent::Operated { .. },
                } => _ = story.declared.insert((*run, node.index)),
                // A postcondition that does not hold repeats the work of its node.
                Event::Node { run, node, event: event @ (NodeEvent::Refused { .. } | NodeEvent::Continued { .. }) } => {
                    // A function that continues as new leaves what it has done as it is.
                    if matches!(event, NodeEvent::Continued { .. }) {
                        story.undoable.retain(|_, at| *at != (*run, node.index));
                    }
                    story.restarted.entry((*run, node.index)).or_default().push(entry.seq);
                }
                _ => {}
            }
        }
        story
    }

    /// Notes the task of a call, whose input is its key.
    fn called(&mut self, task: TaskId, spec: &TaskSpec) {
        let Some(owner) = spec.owner.filter(|owner| owner.phase == Phase::Do) else { return };
        let at = (owner.run, owner.node);
        let key = spec.payload.value().as_str();
        let has_undo = |key: &str| flows::calls().iter().any(|call| &*call.key == key && call.undo.is_some());
        if self.functions.contains(&at) && key.is_some_and(has_undo) {
            self.undoable.insert(task, at);
        }
    }

    /// Whether the task is a call of a function that has to be compensated if its run is.
    fn has_undo(&self, task: TaskId) -> bool {
        self.undoable.get(&task).is_some_and(|at| !self.declared.contains(at))
    }

    /// Whether two of the tasks of an instance were submitted without a restart of its node between them.
    fn is_repeated(&self, (run, node, _): (RunId, NodeIx, u32), tasks: &[TaskId]) -> bool {
        let restarts = self.restarted.get(&(run, node)).map(Vec::as_slice).unwrap_or_default();
        let age = |task: &TaskId| {
            let submitted = self.submitted.get(task).copied().unwrap_or(Seq::ZERO);
            restarts.iter().filter(|restart| **restart < submitted).count()
        };
        let ages: BTreeSet<usize> = tasks.iter().map(age).collect();
        ages.len() < tasks.len()
    }
}

/// Work that has one idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Requested {
    /// An instance of a node that was executed again so often.
    Instance(Owner, u32),
    /// A call of a durable function. A retried function requests a failed call as another instance. The workflow of the storm
    /// requests each call once, with its key as the input.
    Call((RunId, NodeIx), u32, String),
    /// The compensation of such a call. Several instances of it may need one, if their outcomes are unknown.
    Undo((RunId, NodeIx), u32, String),
}

/// The idempotency keys: equal for work that is requested again, different for all other work.
#[derive(Default)]
struct Keys {
    /// How often the work of a node was requested as new work.
    repeats: BTreeMap<(RunId, NodeIx), u32>,
    /// The nodes with child runs since then.
    parents: BTreeSet<(RunId, NodeIx)>,
    /// The first task of each key, with its work.
    works: BTreeMap<IdempotencyKey, (TaskId, Option<Requested>)>,
    keys: BTreeMap<Requested, IdempotencyKey>,
    /// How often a node was executed again from its begin. A retried function keeps its calls.
    restarts: BTreeMap<(RunId, NodeIx), u32>,
    /// The nodes that execute durable functions.
    functions: BTreeSet<(RunId, NodeIx)>,
    /// The call that an instance of a function performs, until its node is executed again from its begin.
    performed: BTreeMap<(RunId, NodeIx, u32), (u32, String)>,
    calls: Calls,
    /// Nodes whose index has changed.
    migrated: BTreeSet<RunId>,
}

impl Keys {
    fn check(mut self, journal: &[Entry]) -> Result<(), String> {
        journal.iter().try_for_each(|entry| {
            match &entry.event {
                Event::Task { task, event: TaskEvent::Submitted { spec, replays, .. } } => {
                    return self.submitted(*task, spec, *replays);
                }
                Event::Run { event: RunEvent::Started { owner: Some(owner), .. }, .. } => {
                    self.parents.insert((owner.run, owner.node));
                }
                Event::Run { run, event: RunEvent::RolledBack { call: Some(call), .. } } => {
                    self.calls.going_back.insert(*run, (call.clone(), 1));
                }
                Event::Run { run, event: RunEvent::Reset { call: Some(call), .. } } => {
                    self.calls.going_back.insert(*run, (call.clone(), 0));
                }
                Event::Run { run, event: RunEvent::Failing { .. } } => _ = self.calls.going_back.remove(run),
                Event::Run { run, event: RunEvent::Restarted { nodes } } => {
                    let kept = self.calls.goes_back(*run, nodes);
                    for at in nodes.iter().map(|node| (*run, node.index)).filter(|at| Some(*at) != kept) {
                        self.restart(at);
                    }
                }
                Event::Run { run, event: RunEvent::Retried { nodes, .. } } => {
                    let has_child = |at: &(RunId, NodeIx)| self.parents.contains(at);
                    let nodes: Vec<_> = nodes.iter().map(|node| (*run, node.index)).filter(has_child).collect();
                    nodes.into_iter().for_each(|at| self.repeat(at));
                }
                Event::Node { run, node, event: NodeEvent::Opened { what: Opening::Function } } => {
                    self.functions.insert((*run, node.index));
                }
                Event::Node { run, node, event: NodeEvent::Called { calls } } => {
                    let keys = calls.iter().map(|call| call.key.clone());
                    self.calls.asked.entry((*run, node.index)).or_default().extend(keys);
                }
                Event::Node { run, node, event: NodeEvent::Continued { .. } } => {
                    self.restart((*run, node.index));
                }
                Event::Run { run, event: RunEvent::Migrated { .. } } => _ = self.migrated.insert(*run),
                _ => {}
            }
            Ok(())
        })
    }

    /// A node is executed again from its begin.
    fn restart(&mut self, at: (RunId, NodeIx)) {
        self.calls.asked.remove(&at);
        self.performed.retain(|(run, node, _), _| (*run, *node) != at);
        *self.restarts.entry(at).or_default() += 1;
        self.repeat(at);
    }

    fn repeat(&mut self, at: (RunId, NodeIx)) {
        self.parents.remove(&at);
        *self.repeats.entry(at).or_default() += 1;
    }

    fn requested(&mut self, owner: Owner, spec: &TaskSpec) -> Requested {
        let (at, instance) = ((owner.run, owner.node), (owner.run, owner.node, owner.item));
        match spec.payload.value().as_str() {
            Some(call) if owner.phase == Phase::Do && self.functions.contains(&at) => {
                let restarts = self.restarts.get(&at).copied().unwrap_or(0);
                let count = restarts.saturating_add(self.calls.rolled_back(at, call));
                self.performed.insert(instance, (count, call.to_owned()));
                Requested::Call(at, count, call.to_owned())
            }
            Some(_) | None => match self.performed.get(&instance).filter(|_| owner.phase == Phase::Undo) {
                Some((count, call)) => Requested::Undo(at, *count, call.clone()),
                None => Requested::Instance(owner, self.repeats.get(&at).copied().unwrap_or(0)),
            },
        }
    }

    fn submitted(&mut self, task: TaskId, spec: &TaskSpec, replays: Option<TaskId>) -> Result<(), String> {
        let key = Identity::new(JournalId::new(0)).key_of(spec);
        let work = spec.owner.map(|owner| self.requested(owner, spec));
        if spec.owner.is_some_and(|owner| self.migrated.contains(&owner.run)) {
            return Ok(());
        }
        if let Some((first, known)) = self.works.get(&key)
            && (replays.is_none() && work.is_none() || *known != work)
        {
            return Err(format!("{first} and {task} have the key {key}, but other work: {known:?}, {work:?}"));
        }
        let before = work.clone().and_then(|work| self.keys.insert(work, key));
        if let Some(known) = before.filter(|known| *known != key) {
            return Err(format!("{task} has the key {key}, but the same work had {known}: {work:?}"));
        }
        self.works.entry(key).or_insert((task, work));
        Ok(())
    }
}

/// The calls of durable functions, which roll back to one of them.
#[derive(Default)]
struct Calls {
    /// The keys of the calls of a function in the order of their requests.
    asked: BTreeMap<(RunId, NodeIx), Vec<Name>>,
    /// The call to which a run rolls back, and the number of calls from it on that stay: a save-point does.
    going_back: BTreeMap<RunId, (CallPoint, usize)>,
    /// How often a call was rolled back: from then on it is other work.
    rolled_back: BTreeMap<((RunId, NodeIx), Name), u32>,
}

impl Calls {
    fn rolled_back(&self, at: (RunId, NodeIx), key: &str) -> u32 {
        self.rolled_back.get(&(at, key.into())).copied().unwrap_or(0)
    }

    /// A run restarts these nodes. Returns the node of the function that keeps its first calls.
    fn goes_back(&mut self, run: RunId, nodes: &[NodeRef]) -> Option<(RunId, NodeIx)> {
        let (call, stay) = self.going_back.remove(&run)?;
        let node = nodes.iter().find(|node| node.name == call.node)?;
        let at = (run, node.index);
        let asked = self.asked.entry(at).or_default();
        let from = asked.iter().rposition(|key| *key == call.key)?.saturating_add(stay);
        for key in asked.drain(from.min(asked.len())..) {
            *self.rolled_back.entry((at, key)).or_default() += 1;
        }
        Some(at)
    }
}

/// The values that the runs of some workflows must read.
#[derive(Default)]
struct Values {
    /// The sum of the updates of each run of `tally`, and the version that the run follows.
    votes: BTreeMap<RunId, (u64, u32)>,
    /// The versions of `tally` whose runs end with that sum. A client may have defined another output.
    tallies: BTreeSet<u32>,
    /// The age of the list of each run of `stock`.
    ages: BTreeMap<RunId, &'static str>,
}

impl Values {
    fn check(mut self, journal: &[Entry]) -> Result<(), String> {
        journal.iter().try_for_each(|entry| match &entry.event {
            Event::Run { run, event } => self.follow(*run, event),
            Event::Task { event: TaskEvent::Submitted { spec, .. }, .. } => self.read(spec),
            Event::Catalogue(CatalogueEvent::Defined { definition, .. })
                if definition.name == "tally" && definition.output == Expr::variable(VOTES) =>
            {
                self.tallies.insert(definition.version);
                Ok(())
            }
            _ => Ok(()),
        })
    }

    fn follow(&mut self, run: RunId, event: &RunEvent) -> Result<(), String> {
        match event {
            RunEvent::Started { spec, version, .. } if spec.workflow == "tally" => {
                self.votes.insert(run, (0, *version));
            }
            RunEvent::Started { spec, version, .. } if spec.workflow == "stock" => {
                self.ages.insert(run, if *version == 0 { "old" } else { "new" });
            }
            RunEvent::Migrated { version, .. } => {
                self.ages.entry(run).and_modify(|age| *age = if *version == 0 { "old" } else { "new" });
                self.votes.entry(run).and_modify(|(_, follows)| *follows = *version);
            }
            RunEvent::Updated { value, .. } => {
                let vote = value.value().as_u64().unwrap_or(0);
                self.votes.entry(run).and_modify(|(votes, _)| *votes = votes.saturating_add(vote));
            }
            RunEvent::Finished { outcome: RunOutcome::Succeeded { output } } => {
                if let Some((votes, _)) = self.votes.get(&run).filter(|(_, version)| self.tallies.contains(version)) {
                    let same = *output.value() == json!(votes);
                    return same.then_some(()).ok_or_else(|| format!("{run} ends with {output:?} instead of {votes}"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A task of a run reads the values of the time at which it is submitted.
    fn read(&self, spec: &TaskSpec) -> Result<(), String> {
        let Some(owner) = spec.owner.filter(|owner| owner.phase == Phase::Do) else { return Ok(()) };
        let expected = match (self.votes.get(&owner.run), self.ages.get(&owner.run), owner.node.index()) {
            (Some((votes, _)), _, 1 | 3) => json!(votes),
            (_, Some(age), 0) => json!(format!("{age} {}", owner.item)),
            _ => return Ok(()),
        };
        let read = spec.payload.value();
        (*read == expected).then_some(()).ok_or_else(|| format!("{} reads {read} instead of {expected}", spec.id))
    }
}
