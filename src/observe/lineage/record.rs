//! Lineage as data and as diagrams.

use super::handed::Delegated;
use super::source::Source;
use crate::base::draw::line;
use crate::base::id::{AttemptId, Incarnation, RunId, Seq, TaskId, stable_hash};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::definition::DefinitionId;
use crate::observe::picture::{escape, quote};
use crate::observe::timeline::Step;
use core::fmt::Write as _;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The number of boxes in a diagram.
const SHOWN: usize = 200;
/// The nesting depth up to which payloads are hashed.
const DEEPEST: u32 = 128;

/// The maker of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Maker {
    /// An agent.
    Agent {
        /// The attempt; its task is the work.
        attempt: AttemptId,
        /// The agent.
        by: Incarnation,
    },
    /// A task with the same content, whose result was reused.
    Known(TaskId),
    /// A child run.
    Run(RunId),
    /// The core: a choice, a wait, a join, the combined results of a map.
    Core,
}

/// The size and hash of a payload: enough to compare payloads without their content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Print {
    /// Its size as JSON.
    pub bytes: u32,
    /// A hash of its JSON. It detects mistakes, not forgery. `None` if the payload nests too deep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<u64>,
}

impl Print {
    /// The print of a payload.
    #[must_use]
    pub fn of(payload: &Payload) -> Self {
        let hash = (payload.depth() <= DEEPEST).then(|| stable_hash(payload.to_string().as_bytes()));
        Self { bytes: payload.bytes(), hash }
    }
}

/// One output of a node, or of one item or round of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Product {
    /// The node.
    pub node: Name,
    /// The item of a map or the round of a repeat; 0 otherwise.
    pub item: u32,
    /// Whether the output belongs to the node's compensation.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub undo: bool,
    /// The maker.
    pub by: Maker,
    /// The time of the output.
    pub at: Time,
    /// The entry that recorded it.
    pub seq: Seq,
    /// The size and hash of the output; `None` if the entry does not carry it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Print>,
    /// The sources according to the definition; nodes without an output are left out.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub from: BTreeSet<Source>,
}

/// The provenance of everything in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunLineage {
    /// The run.
    pub run: RunId,
    /// Its workflow.
    pub workflow: Name,
    /// The version that it is pinned to.
    pub version: u32,
    /// The id of the definition; for a child run that of its outermost parent run. `None` if the definition was not
    /// seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<DefinitionId>,
    /// The step of the parent run that this run performs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Step>,
    /// The input of the run.
    pub input: Print,
    /// The outputs of nodes, in order.
    pub products: Vec<Product>,
    /// The number of outputs beyond the bound, which are not stored.
    #[serde(default)]
    pub dropped: u64,
    /// The output of the run, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Print>,
    /// The sources of the run's output.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub output_from: BTreeSet<Source>,
    /// The delegated parts in order: the agents that delegated and received each. Bounded like the outputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delegated: Vec<Delegated>,
}

/// A box of the diagram: a node, or its compensation, with the makers of its outputs.
struct Box<'a> {
    id: String,
    text: [String; 2],
    from: &'a BTreeSet<Source>,
}

impl RunLineage {
    /// The lineage as a DOT digraph: a box for each node with an output, labelled with its makers, and an arrow for
    /// each source.
    #[must_use]
    pub fn to_dot(&self) -> String {
        let title = [self.title(), self.pinned()];
        let mut out =
            format!("digraph lineage {{\n  label={}\n  rankdir=LR\n  node [shape=box style=rounded]\n", quote(&title));
        out.push_str("  input [label=\"input\" shape=ellipse]\n");
        let (boxes, missing) = self.boxes();
        for one in &boxes {
            let _ = writeln!(out, "  {} [label={}]", one.id, quote(&one.text));
        }
        self.arrows(&boxes, |from, to| {
            let _ = writeln!(out, "  {from} -> {to}");
        });
        if missing > 0 {
            let _ = writeln!(out, "  more [shape=plaintext label=\"and {missing} more\"]");
        }
        out.push_str("}\n");
        out
    }

    /// The same as a Mermaid flowchart.
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        let mut out = format!("flowchart LR\n  title[\"{}, {}\"]\n", escape(&self.title()), escape(&self.pinned()));
        out.push_str("  input([\"input\"])\n");
        let (boxes, missing) = self.boxes();
        for one in &boxes {
            let [name, makers] = &one.text;
            let _ = writeln!(out, "  {}[\"{}<br/>{}\"]", one.id, escape(name), escape(makers));
        }
        self.arrows(&boxes, |from, to| {
            let _ = writeln!(out, "  {from} --> {to}");
        });
        if missing > 0 {
            let _ = writeln!(out, "  more[\"and {missing} more\"]");
        }
        out
    }

    fn title(&self) -> String {
        format!("{} {}", self.run, line(&self.workflow, 80))
    }

    fn pinned(&self) -> String {
        match &self.definition {
            Some(definition) => format!("v{} {:016x}", definition.version, definition.hash),
            None => format!("v{}", self.version),
        }
    }

    fn boxes(&self) -> (Vec<Box<'_>>, usize) {
        let mut groups: BTreeMap<(&Name, bool), Vec<&Product>> = BTreeMap::new();
        let mut order = Vec::new();
        for product in &self.products {
            let group = groups.entry((&product.node, product.undo)).or_default();
            if group.is_empty() {
                order.push((&product.node, product.undo));
            }
            group.push(product);
        }
        let missing = order.len().saturating_sub(SHOWN);
        let boxes = order.into_iter().take(SHOWN).filter_map(|key| {
            let products = groups.get(&key)?;
            let (first, (node, undo)) = (products.first()?, key);
            let name = if undo { format!("undo {}", line(node, 80)) } else { line(node, 80) };
            Some(Box { id: id(&groups, key), text: [name, makers(products)], from: &first.from })
        });
        (boxes.collect(), missing)
    }

    fn arrows(&self, boxes: &[Box<'_>], mut draw: impl FnMut(&str, &str)) {
        let mut groups: BTreeMap<(&Name, bool), Vec<&Product>> = BTreeMap::new();
        for product in &self.products {
            groups.entry((&product.node, product.undo)).or_default();
        }
        for one in boxes {
            for source in one.from {
                match source {
                    Source::Input => draw("input", &one.id),
                    Source::Node(name) if groups.contains_key(&(name, false)) => {
                        let from = id(&groups, (name, false));
                        if boxes.iter().any(|other| other.id == from) {
                            draw(&from, &one.id);
                        }
                    }
                    Source::PreviousRound => draw(&one.id, &one.id),
                    Source::Node(_) | Source::Variable(_) | Source::Signal(_) => {}
                }
            }
        }
    }
}

/// An id from the index in the order of names: a name may contain any character.
fn id(groups: &BTreeMap<(&Name, bool), Vec<&Product>>, key: (&Name, bool)) -> String {
    format!("n{}", groups.range(..key).count())
}

/// The makers as text, the first few of them.
fn makers(products: &[&Product]) -> String {
    let mut names: Vec<String> = Vec::new();
    for product in products.iter().take(3) {
        names.push(match product.by {
            Maker::Agent { attempt, by } => format!("{attempt} by {by}"),
            Maker::Known(task) => format!("known from {task}"),
            Maker::Run(run) => run.to_string(),
            Maker::Core => "core".to_owned(),
        });
    }
    if products.len() > names.len() {
        names.push(format!("and {} more", products.len().saturating_sub(names.len())));
    }
    names.join(", ")
}
