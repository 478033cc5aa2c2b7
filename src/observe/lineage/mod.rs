//! Lineage: the attempt, the agent, the inputs and the definition behind each output of a run.

#![expect(clippy::wildcard_enum_match_arm, reason = "a projection ignores most events")]

mod handed;
mod prov;
mod record;
mod source;

pub use handed::Delegated;
pub use record::{Maker, Print, Product, RunLineage};
pub use source::Source;

use super::catalog::{Catalog, follow};
use super::timeline::Step;
use crate::base::id::{AttemptId, Incarnation, NodeIx, RunId, Seq, TaskId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::Table;
use crate::base::time::Time;
use crate::definition::{Action, DefinitionId, Node};
use crate::journal::Projection;
use crate::message::event::{
    CatalogueEvent, ControlEvent, Entry, Event, NodeEvent, NodeRef, PartEvent, RunEvent, TaskEvent,
};
use crate::message::run::{NodeOutcome, RunOutcome, RunSpec};
use crate::task::{Owner, Phase, SideEffects};
use handed::Handing;
use std::collections::{BTreeMap, BTreeSet};

/// The provenance of the outputs of runs: for each output the attempt and the agent that made it, its inputs, and the
/// definition that connects them.
///
/// Stores hashes of outputs, not the outputs. The inputs are those that the expressions of the definition refer to;
/// nodes that were skipped or returned nothing are left out.
///
/// ```
/// use counterpoint::definition::{Action, Definition, Expr, Node};
/// use counterpoint::observe::{Lineage, Maker, Source};
/// use counterpoint::journal::Projection;
/// use counterpoint::{
///     AgentId, AgentSpec, Command, Config, Engine, Outbox, Payload, RunId, RunSpec, Time,
/// };
///
/// let greet = Definition::new("greet").with_node(Node::new("say", Action::task("say")).with_input(Expr::Input));
/// let mut engine = Engine::new(Config::default());
/// let (mut outbox, mut lineage) = (Outbox::default(), Lineage::default());
/// let ada = AgentSpec::new(AgentId::new(1)).with_skill("say", 1);
/// let run = RunSpec::new(RunId::new(1), "greet").with_input(Payload::of(&"Ada")?);
/// for command in [Command::define(greet.clone()), Command::register(ada), Command::start(run)] {
///     engine.handle(Time::ZERO, command, &mut outbox)?;
/// }
/// if let Some(counterpoint::Effect::Dispatch { attempt, to, .. }) = outbox.effects().last().cloned() {
///     engine.handle(Time::ZERO, Command::complete(to, attempt, Payload::of(&"hello")?), &mut outbox)?;
/// }
/// lineage.replay(outbox.entries());
/// let run = lineage.run(RunId::new(1)).expect("a known run");
/// assert_eq!(run.definition, Some(greet.id()));
/// assert!(matches!(run.products[0].by, Maker::Agent { by, .. } if by.agent() == AgentId::new(1)));
/// assert!(run.products[0].from.contains(&Source::Input));
/// assert!(run.to_dot().contains("input -> n0"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Lineage {
    catalog: Catalog,
    definitions: Table<(Name, u32), DefinitionId>,
    tasks: Table<TaskId, Known>,
    /// The steps that child runs perform.
    steps: Table<RunId, Owner>,
    runs: Table<RunId, Record>,
    most: usize,
}

#[derive(Debug, Clone)]
struct Known {
    owner: Owner,
    /// For a node with delegated work: the part.
    part: Option<u32>,
    held: Option<(AttemptId, Incarnation)>,
}

#[derive(Debug, Clone)]
struct Record {
    lineage: RunLineage,
    /// Nodes with an output.
    gave: BTreeSet<Name>,
    /// The nodes whose work can be delegated.
    handing: BTreeMap<NodeIx, Handing>,
}

impl Default for Lineage {
    /// The last 1,024 runs, with at most 4,096 outputs each.
    fn default() -> Self {
        Self::new(1_024, 4_096)
    }
}

impl Lineage {
    /// The most recent runs, up to this number, with at most this number of outputs each; 0 runs count as 1.
    #[must_use]
    pub fn new(runs: usize, products: usize) -> Self {
        Self {
            catalog: Catalog::new(1_024, runs),
            definitions: Table::new(1_024),
            tasks: Table::new(1_000_000),
            steps: Table::new(runs),
            runs: Table::new(runs),
            most: products,
        }
    }

    /// The lineage of a run; `None` if it is unknown or was evicted. A run that the core has removed can still be
    /// available here.
    #[must_use]
    pub fn run(&self, run: RunId) -> Option<&RunLineage> {
        self.runs.get(&run).map(|record| &record.lineage)
    }

    /// The runs in this projection.
    pub fn runs(&self) -> impl Iterator<Item = &RunLineage> {
        self.runs.iter().map(|(_, record)| &record.lineage)
    }

    fn started(&mut self, spec: &RunSpec, version: u32, owner: Option<Owner>) {
        let definition = match owner {
            Some(owner) => self.runs.get(&owner.run).and_then(|record| record.lineage.definition.clone()),
            None => self.definitions.get(&(spec.workflow.clone(), version)).cloned(),
        };
        let lineage = RunLineage {
            run: spec.id,
            workflow: spec.workflow.clone(),
            version,
            definition,
            parent: owner.map(|owner| self.step(owner)),
            input: Print::of(&spec.input),
            products: Vec::new(),
            dropped: 0,
            output: None,
            output_from: BTreeSet::new(),
            delegated: Vec::new(),
        };
        self.steps.remove(&spec.id);
        if let Some(owner) = owner {
            self.steps.insert(spec.id, owner);
        }
        self.runs.insert(spec.id, Record { lineage, gave: BTreeSet::new(), handing: BTreeMap::new() });
    }

    fn step(&self, owner: Owner) -> Step {
        Step {
            run: owner.run,
            workflow: self.catalog.home(owner.run).map(|home| home.workflow.clone()),
            node: self.name(owner.run, owner.node),
            item: owner.item,
            undo: owner.phase == Phase::Undo,
        }
    }

    fn name(&self, run: RunId, node: NodeIx) -> Name {
        let known = self.catalog.node(run, node).map(|node| node.name.clone());
        known.unwrap_or_else(|| Name::from(format!("#{node}")))
    }

    fn made(&mut self, owner: Owner, by: Maker, output: Option<&Payload>, seq: Seq, at: Time) {
        let undo = owner.phase == Phase::Undo;
        let node = self.name(owner.run, owner.node);
        let from = self.catalog.node(owner.run, owner.node).map(|node| source::of_node(node, undo));
        let Some(record) = self.runs.get_mut(&owner.run) else { return };
        let gave = &record.gave;
        let mut from = from.unwrap_or_default();
        // The first round of a repeat has no previous round.
        from.retain(|source| match source {
            Source::Node(name) => gave.contains(name),
            Source::PreviousRound => owner.item > 0,
            Source::Input | Source::Variable(_) | Source::Signal(_) => true,
        });
        let output = output.map(Print::of);
        if record.lineage.products.len() >= self.most {
            record.lineage.dropped = record.lineage.dropped.saturating_add(1);
        } else {
            let item = owner.item;
            record.lineage.products.push(Product { node: node.clone(), item, undo, by, at, seq, output, from });
        }
        if !undo {
            record.gave.insert(node);
        }
    }

    /// Records the output that a query found. The maker is unknown, so the querying agent is recorded.
    fn found(&mut self, owner: Owner, by: Maker, answer: &Payload, seq: Seq, at: Time) {
        if let Some(Some(output)) = crate::message::run::found(answer) {
            self.made(Owner { phase: Phase::Do, ..owner }, by, Some(&output), seq, at);
        }
    }

    /// The part that a starting task belongs to.
    fn part_begins(&mut self, owner: Owner) -> Option<u32> {
        let delegates = |node: &Node| matches!(node.action, Action::Delegate(_));
        let known = self.catalog.node(owner.run, owner.node).is_some_and(delegates);
        let record = self.runs.get_mut(&owner.run).filter(|_| known && owner.phase == Phase::Do)?;
        record.handing.entry(owner.node).or_insert_with(Handing::new).begins()
    }

    fn parts(&mut self, run: RunId, node: &NodeRef, part: u32, event: &PartEvent) {
        if let Some(Record { lineage, handing, .. }) = self.runs.get_mut(&run) {
            let handing = handing.entry(node.index).or_insert_with(Handing::new);
            handing.apply(&node.name, part, event, self.most, &mut lineage.delegated);
        }
    }

    /// Removes the parts of nodes that are reset: their work is requested again.
    fn begin_anew(&mut self, run: RunId, nodes: &[NodeRef]) {
        if let Some(record) = self.runs.get_mut(&run) {
            record.handing.retain(|known, _| !nodes.iter().any(|node| node.index == *known));
        }
    }

    /// Removes the outputs that a rollback to a save-point compensated: repeated nodes do not use them.
    fn again(&mut self, run: RunId, nodes: &[NodeRef]) {
        self.begin_anew(run, nodes);
        if let Some(record) = self.runs.get_mut(&run) {
            nodes.iter().for_each(|node| _ = record.gave.remove(&node.name));
        }
    }

    fn task(&mut self, id: TaskId, event: &TaskEvent, (seq, at): (Seq, Time)) {
        match event {
            TaskEvent::Submitted { spec, .. } => {
                self.tasks.remove(&id);
                if let Some(owner) = spec.owner {
                    let part = self.part_begins(owner);
                    self.tasks.insert(id, Known { owner, part, held: None });
                }
            }
            TaskEvent::Assigned { attempt, to } => self.assigned(attempt.of(id), *to),
            TaskEvent::Succeeded { attempt, by, output } => {
                if let Some(known) = self.tasks.remove(&id) {
                    let maker = Maker::Agent { attempt: attempt.of(id), by: *by };
                    if known.owner.phase == Phase::Query {
                        return self.found(known.owner, maker, output, seq, at);
                    }
                    self.made(known.owner, maker, Some(output), seq, at);
                }
            }
            TaskEvent::Answered { from, output } => {
                if let Some(known) = self.tasks.remove(&id) {
                    self.made(known.owner, Maker::Known(*from), Some(output), seq, at);
                }
            }
            // Cancelled after its completion: the agent that held it made the output.
            TaskEvent::Cancelled { side_effects: SideEffects::Done(output), .. } => {
                if let Some(Known { owner, held: Some((attempt, by)), .. }) = self.tasks.remove(&id) {
                    self.made(owner, Maker::Agent { attempt, by }, Some(output), seq, at);
                }
            }
            _ => {}
        }
    }

    fn assigned(&mut self, attempt: AttemptId, to: Incarnation) {
        let Some(known) = self.tasks.get_mut(&attempt.task()) else { return };
        known.held = Some((attempt, to));
        if let (owner, Some(part)) = (known.owner, known.part)
            && let Some(Record { lineage, handing, .. }) = self.runs.get_mut(&owner.run)
            && let Some(handing) = handing.get_mut(&owner.node)
        {
            handing.given(part, to.agent(), &mut lineage.delegated);
        }
    }

    /// After a migration the nodes of the run have other indexes.
    fn migrated(&mut self, event: &Event, run: RunId, (version, hash): (u32, u64), from: &[Option<NodeIx>]) {
        self.tasks.iter_mut().for_each(|(_, known)| follow(&mut known.owner, run, from));
        self.steps.iter_mut().for_each(|(_, owner)| follow(owner, run, from));
        let old: Vec<Name> = from.iter().map(|was| self.name(run, was.unwrap_or(NodeIx::new(u32::MAX)))).collect();
        self.catalog.apply(event);
        let new: Vec<Name> = (0..).map(NodeIx::new).zip(from).map(|(ix, _)| self.name(run, ix)).collect();
        let Some(Record { lineage, gave, handing }) = self.runs.get_mut(&run) else { return };
        let mut known = core::mem::take(handing);
        let images = (0..).map(NodeIx::new).zip(from);
        let moved = images.filter_map(|(ix, was)| Some((ix, known.remove(was.as_ref()?)?)));
        *handing = moved.collect();
        *gave = old.iter().zip(new).filter(|(old, _)| gave.contains(*old)).map(|(_, new)| new).collect();
        lineage.version = version;
        lineage.definition = lineage.definition.take().map(|id| DefinitionId { version, hash, ..id });
    }

    fn run_event(&mut self, run: RunId, event: &RunEvent, (seq, at): (Seq, Time)) {
        match event {
            RunEvent::Started { spec, version, owner, .. } => self.started(spec, *version, *owner),
            RunEvent::Finished { outcome: RunOutcome::Succeeded { output } } => {
                let from = self.catalog.home(run).and_then(|home| home.definition.as_deref()).map(source::of_output);
                if let Some(record) = self.runs.get_mut(&run) {
                    record.lineage.output = Some(Print::of(output));
                    let gave = &record.gave;
                    let gives = |source: &Source| !matches!(source, Source::Node(name) if !gave.contains(name));
                    record.lineage.output_from = from.unwrap_or_default().into_iter().filter(gives).collect();
                }
                if let Some(owner) = self.steps.remove(&run) {
                    self.made(owner, Maker::Run(run), Some(output), seq, at);
                }
            }
            RunEvent::Restarted { nodes } => self.again(run, nodes),
            RunEvent::Retried { nodes, .. } => self.begin_anew(run, nodes),
            _ => {}
        }
    }

    fn node_event(&mut self, run: RunId, node: &NodeRef, event: &NodeEvent, (seq, at): (Seq, Time)) {
        match event {
            NodeEvent::Finished { outcome: NodeOutcome::Succeeded, output: Some(output), .. } => {
                let owner = Owner::new(run, node.index, 0, Phase::Do);
                self.made(owner, Maker::Core, Some(output), seq, at);
            }
            NodeEvent::Part { part, event } => self.parts(run, node, *part, event),
            _ => {}
        }
    }
}

impl Projection for Lineage {
    fn apply(&mut self, entry: &Entry) {
        let when = (entry.seq, entry.at);
        match &entry.event {
            // A migration needs both the old names and the new.
            Event::Run { run, event: RunEvent::Migrated { version, hash, from, .. } } => {
                return self.migrated(&entry.event, *run, (*version, *hash), from);
            }
            Event::Task { task, event } => self.task(*task, event, when),
            Event::Run { run, event } => self.run_event(*run, event, when),
            Event::Node { run, node, event } => self.node_event(*run, node, event, when),
            Event::Catalogue(CatalogueEvent::Defined { definition } | CatalogueEvent::Redefined { definition, .. }) => {
                let key = (definition.name.clone(), definition.version);
                self.definitions.insert(key, definition.id());
            }
            Event::Control(ControlEvent::TasksForgotten { tasks }) => {
                for task in tasks {
                    self.tasks.remove(task);
                }
            }
            _ => {}
        }
        self.catalog.apply(&entry.event);
    }
}
