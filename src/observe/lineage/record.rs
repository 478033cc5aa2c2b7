//! Lineage as data and as pictures.

use super::handed::HandedOn;
use super::source::Source;
use crate::base::id::{AttemptId, Incarnation, RunId, Seq, TaskId, stable_hash};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::definition::DefinitionId;
use crate::observe::picture::{escape, quote};
use crate::observe::text::line;
use crate::observe::timeline::Step;
use core::fmt::Write as _;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Boxes that a picture shows.
const SHOWN: usize = 200;
/// How deep a payload may be for its print to be taken.
const DEEPEST: u32 = 128;

/// Who made an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Maker {
    /// An agent.
    Agent {
        /// Which attempt; its task is the work that was done.
        attempt: AttemptId,
        /// Whose.
        by: Incarnation,
    },
    /// Another task of which this one is the like: its result was known.
    Known(TaskId),
    /// A run within the run.
    Run(RunId),
    /// The core: a choice, a wait, a place where branches meet, the results of a map put together.
    Core,
}

/// A payload without its content: enough to tell whether another is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Print {
    /// Its size as JSON.
    pub bytes: u32,
    /// A hash of its JSON: against mistakes, not against forgery. None if it nests too deep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<u64>,
}

impl Print {
    /// Of this payload.
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
    /// Whether it is from undoing the node.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub undo: bool,
    /// Who made it.
    pub by: Maker,
    /// When.
    pub at: Time,
    /// The entry that says so.
    pub seq: Seq,
    /// What it was; none if the entry does not carry it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Print>,
    /// From what, as the definition has it; nodes that gave nothing are left out.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub from: BTreeSet<Source>,
}

/// Where everything in a run came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunLineage {
    /// The run.
    pub run: RunId,
    /// Its workflow.
    pub workflow: Name,
    /// The version that it is pinned to.
    pub version: u32,
    /// The definition, hash and all; of a run within a run, that of the outermost. None if it was not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<DefinitionId>,
    /// The step that it performs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Step>,
    /// What the run was given.
    pub input: Print,
    /// What was made, in the order in which it was.
    pub products: Vec<Product>,
    /// Products beyond the bound, which are not kept.
    #[serde(default)]
    pub dropped: u64,
    /// What the run gave back, once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Print>,
    /// From what.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub output_from: BTreeSet<Source>,
    /// The parts of works that were handed on, in the order in which they were: who handed what to whom. At most as many as
    /// products are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handed_on: Vec<HandedOn>,
}

/// A picture's box: a node, done or undone, with all who made something of it.
struct Box<'a> {
    id: String,
    text: [String; 2],
    from: &'a BTreeSet<Source>,
}

impl RunLineage {
    /// As a DOT digraph: a box for each node that made something, with who made it, and an arrow for whatever went in.
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

    /// As a Mermaid flowchart of the same.
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
                    Source::RoundBefore => draw(&one.id, &one.id),
                    Source::Node(_) | Source::Variable(_) | Source::Signal(_) => {}
                }
            }
        }
    }
}

/// By place in the order of names: names themselves may hold anything.
fn id(groups: &BTreeMap<(&Name, bool), Vec<&Product>>, key: (&Name, bool)) -> String {
    format!("n{}", groups.range(..key).count())
}

/// Who made something, the first few of them.
fn makers(products: &[&Product]) -> String {
    let mut said: Vec<String> = Vec::new();
    for product in products.iter().take(3) {
        said.push(match product.by {
            Maker::Agent { attempt, by } => format!("{attempt} by {by}"),
            Maker::Known(task) => format!("known from {task}"),
            Maker::Run(run) => run.to_string(),
            Maker::Core => "core".to_owned(),
        });
    }
    if products.len() > said.len() {
        said.push(format!("and {} more", products.len().saturating_sub(said.len())));
    }
    said.join(", ")
}
