//! Diagrams of workflows: Mermaid and DOT as text, and SVG.

mod dot;
mod layout;
mod mermaid;
mod svg;

pub(super) use dot::quote;
pub(super) use mermaid::escape;

use super::catalog::flow_of;
use crate::base::draw::line;
use crate::base::name::Name;
use crate::definition::{Action, Body, Definition, Join, Machine, Node, On, Work};
use crate::message::run::NodeStatus;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The depth up to which nested workflows are drawn.
const DEPTH: usize = 16;
/// The number of characters of a name in the diagram.
const SHOWN: usize = 48;

/// A workflow as a diagram, in [Mermaid](https://mermaid.js.org) for web pages and Markdown, in DOT for Graphviz, or as
/// SVG. The statuses of a run's nodes can be shown as colours ([`Progress::picture`](super::Progress::picture)).
///
/// The shape of a node shows its action: tasks are boxes, choices diamonds, maps stacks, repeats rounded, waits
/// hexagons, nested workflows frames. A pivot has a thick border; compensations are named beneath the node.
///
/// ```
/// use counterpoint::definition::{Action, Definition, Link, Node, Work};
/// use counterpoint::observe::Picture;
/// use counterpoint::message::NodeStatus;
///
/// let order = Definition::new("order")
///     .with_node(Node::new("charge", Action::task("charge")).with_undo(Work::new("refund")))
///     .with_node(Node::new("ship", Action::task("ship")).with_link(Link::success("charge")).as_pivot());
/// let picture = Picture::of(&order).with_status(&[0], NodeStatus::Succeeded);
/// assert!(picture.to_mermaid().contains("n0 --> n1"));
/// assert!(picture.to_dot().contains("n0 -> n1"));
/// assert!(picture.to_svg().contains("[succeeded]"));
/// ```
#[derive(Debug, Clone)]
pub struct Picture<'a> {
    definition: &'a Definition,
    statuses: BTreeMap<Vec<u32>, NodeStatus>,
    most: usize,
}

impl<'a> Picture<'a> {
    /// The diagram of a definition, valid or not: links from nodes that do not exist are left out.
    #[must_use]
    pub const fn of(definition: &'a Definition) -> Self {
        Self { definition, statuses: BTreeMap::new(), most: 400 }
    }

    /// Sets the maximum number of nodes, nested ones included. The default is 400.
    #[must_use]
    pub const fn with_nodes(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// Colours a node: `path` is its index in the definition, preceded by the indexes of the nodes that it is nested
    /// in.
    #[must_use]
    pub fn with_status(mut self, path: &[u32], status: NodeStatus) -> Self {
        self.mark(path, status);
        self
    }

    pub(crate) fn mark(&mut self, path: &[u32], status: NodeStatus) {
        self.statuses.insert(path.to_vec(), status);
    }

    /// The diagram as a Mermaid flowchart.
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        mermaid::draw(&self.name(), &self.scene())
    }

    /// The diagram as a DOT digraph.
    #[must_use]
    pub fn to_dot(&self) -> String {
        dot::draw(&self.name(), &self.scene())
    }

    /// The diagram as a self-contained SVG image: layers from top to bottom, nested workflows as frames, statuses as
    /// colours and as text, and a legend. It follows the reader's preference for a light or dark theme.
    #[must_use]
    pub fn to_svg(&self) -> String {
        svg::draw(&self.name(), &self.scene())
    }

    fn name(&self) -> String {
        let Definition { name, version, .. } = self.definition;
        format!("{} v{version}", line(name, SHOWN))
    }

    fn scene(&self) -> Frame {
        let mut left = self.most;
        self.frame(self.definition, &mut Vec::new(), &mut left)
    }

    fn frame(&self, definition: &Definition, path: &mut Vec<u32>, left: &mut usize) -> Frame {
        let shown = definition.nodes.len().min(*left);
        *left = left.saturating_sub(shown);
        let mut frame = Frame { missing: definition.nodes.len().saturating_sub(shown), ..Frame::default() };
        let mut ids: BTreeMap<&Name, String> = BTreeMap::new();
        for (place, node) in (0_u32..).zip(definition.nodes.iter().take(shown)) {
            path.push(place);
            let id = id_of(path);
            ids.entry(&node.name).or_insert_with(|| id.clone());
            let inner = match flow_of(&node.action) {
                Some(flow) if path.len() < DEPTH && !flow.nodes.is_empty() && *left > 0 => {
                    Some(self.frame(&Arc::clone(flow), path, left))
                }
                _ => None,
            };
            frame.items.push(Item::new(id, node, self.statuses.get(path).copied(), inner));
            path.pop();
        }
        for (node, to) in definition.nodes.iter().take(shown).zip(frame.items.iter().map(|item| &item.id)) {
            for link in &node.after {
                if let Some(from) = ids.get(&link.node) {
                    frame.arrows.push(Arrow { from: from.clone(), to: to.clone(), on: link.on.clone() });
                }
            }
        }
        frame
    }
}

/// A definition, prepared for drawing.
#[derive(Debug, Default)]
struct Frame {
    items: Vec<Item>,
    arrows: Vec<Arrow>,
    /// The number of nodes beyond the maximum.
    missing: usize,
}

/// The text of a diagram without nodes.
const EMPTY: &str = "The workflow has no nodes.";

impl Frame {
    const fn is_empty(&self) -> bool {
        self.items.is_empty() && self.missing == 0
    }
}

#[derive(Debug)]
struct Item {
    id: String,
    shape: Shape,
    /// One line each; the first is the name, the last the status if there is one.
    lines: Vec<String>,
    pivot: bool,
    status: Option<NodeStatus>,
    inner: Option<Frame>,
}

#[derive(Debug)]
struct Arrow {
    from: String,
    to: String,
    on: On,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Task,
    Flow,
    Choice,
    Map,
    Repeat,
    Wait,
    Pass,
}

impl Item {
    fn new(id: String, node: &Node, status: Option<NodeStatus>, inner: Option<Frame>) -> Self {
        let (shape, what) = (shape_of(&node.action), node.action.label());
        let mut lines = vec![line(&node.name, SHOWN)];
        lines.extend(what.filter(|what| *what != *node.name));
        match node.join {
            Join::All => {}
            Join::Trigger(rule) => lines.push(format!("starts on {rule}")),
            Join::Each => lines.push("starts on each".to_owned()),
            Join::Rounds { required: of, .. } => lines.push(format!("starts on each {of} of {}", node.after.len())),
            Join::Any => lines.push("starts on any".to_owned()),
            Join::Count { required: of, .. } => lines.push(format!("starts on {of} of {}", node.after.len())),
        }
        if let Some(Work { kind, .. }) = &node.undo {
            lines.push(format!("↩ {}", line(kind, SHOWN)));
        }
        if let Some(Work { kind, .. }) = &node.query {
            lines.push(format!("? {}", line(kind, SHOWN)));
        }
        if let Some(save) = &node.save {
            let instead =
                save.alternative.as_ref().map(|case| format!(", then {}", line(case, SHOWN))).unwrap_or_default();
            lines.push(format!("save-point: {} again{instead}", save.retries));
        }
        if node.pivot {
            lines.push("pivot".to_owned());
        }
        // As text too: colours alone do not tell everybody what they mean.
        lines.extend(status.map(|status| format!("[{status}]")));
        Self { id, shape, lines, pivot: node.pivot, status, inner }
    }
}

/// The shape of a node.
fn shape_of(action: &Action) -> Shape {
    match action.machine() {
        Machine::Task if action.body().is_some_and(|body| !matches!(body, Body::Task(_))) => Shape::Flow,
        Machine::Task | Machine::Rounds => Shape::Task,
        Machine::Map => Shape::Map,
        Machine::Repeat | Machine::States | Machine::Delegate | Machine::Function => Shape::Repeat,
        Machine::Wait | Machine::Race => Shape::Wait,
        Machine::Immediate if matches!(action, Action::Choose { .. }) => Shape::Choice,
        Machine::Immediate | Machine::Send | Machine::Compensation => Shape::Pass,
    }
}

/// Ids are made from indexes, never from names, so that no id can be a keyword of the language.
fn id_of(path: &[u32]) -> String {
    let places: Vec<String> = path.iter().map(ToString::to_string).collect();
    format!("n{}", places.join("_"))
}

/// Fill, line and text colour of a status. `None` for a waiting node.
const fn colours(status: NodeStatus) -> Option<[&'static str; 3]> {
    Some(match status {
        NodeStatus::Waiting => return None,
        NodeStatus::Running => ["#dbe7ff", "#3b63d6", "#17275c"],
        NodeStatus::Succeeded => ["#d9f2df", "#2e8b4a", "#123d20"],
        NodeStatus::Failed => ["#fbdcdc", "#c9303a", "#5c1116"],
        NodeStatus::Skipped => ["#f3f4f6", "#b3b9c2", "#7c8491"],
        NodeStatus::UpstreamFailed => ["#fdf0f0", "#d98a90", "#8a4a4f"],
        NodeStatus::Cancelled => ["#e6e8ec", "#7c8491", "#3a4049"],
        NodeStatus::Compensating => ["#fff0cf", "#c98a1b", "#5a3c06"],
        NodeStatus::Compensated => ["#f0e4fa", "#8a5cd1", "#3d2266"],
        NodeStatus::CompensationFailed => ["#f7c1c4", "#9d1420", "#4d0a10"],
        NodeStatus::Abandoned => ["#fbe3d3", "#b85c1e", "#572a0b"],
    })
}
