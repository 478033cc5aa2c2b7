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
use crate::definition::{
    Action, Body, Definition, Delegate, DurableFunction, Expr, Fail, Gather, Join, Map, Node, On, Pick, Repeat, Work,
};
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
        let (shape, what) = text_of(&node.action);
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

/// The number of options of a race in the diagram.
const MOST_WAYS: usize = 6;

/// The shape of a node, and its action as text.
fn text_of(action: &Action) -> (Shape, Option<String>) {
    match action {
        Action::Do(Body::Task(work)) => (Shape::Task, Some(line(&work.kind, SHOWN))),
        Action::Do(Body::Flow(flow)) => (Shape::Flow, Some(line(&flow.name, SHOWN))),
        Action::Do(Body::Call(call)) => (Shape::Flow, Some(line(&call.workflow, SHOWN))),
        Action::Choose { pick, .. } => {
            (Shape::Choice, (*pick == Pick::Every).then(|| "every case that holds".to_owned()))
        }
        Action::Map(Map { body, max_concurrent, .. }) => {
            let max_concurrent = max_concurrent.map(|most| format!(", {most} at once")).unwrap_or_default();
            (Shape::Map, Some(format!("each: {}{max_concurrent}", body_name(body))))
        }
        Action::Repeat(Repeat { body, max_rounds: most, .. }) => {
            (Shape::Repeat, Some(format!("repeat: {}, {most} times at most", body_name(body))))
        }
        Action::Delegate(Delegate { work, depth, fan_out, gather, .. }) => {
            let gather = if let Gather::Work(work) = gather {
                format!(", then {}", line(&work.kind, SHOWN))
            } else {
                String::new()
            };
            let what = format!("delegates: {}, {depth} deep, {fan_out} each{gather}", line(&work.kind, SHOWN));
            (Shape::Repeat, Some(what))
        }
        Action::Function(DurableFunction { work, .. }) => {
            (Shape::Repeat, Some(format!("function: {}", line(&work.kind, SHOWN))))
        }
        Action::Wait { signal, timer } => {
            let signal = signal.as_ref().map(|signal| line(signal, SHOWN));
            let timer = timer.map(|timer| humantime::format_duration(timer).to_string());
            let both = [signal, timer].into_iter().flatten().collect::<Vec<_>>().join(" or ");
            (Shape::Wait, Some(format!("wait: {both}")))
        }
        Action::Race { options: offers } => {
            let ways: Vec<String> = offers.iter().take(MOST_WAYS).map(|offer| line(&offer.name, SHOWN)).collect();
            (Shape::Wait, Some(format!("first of: {}", ways.join(", "))))
        }
        Action::Pass => (Shape::Pass, None),
        Action::Compensate { of } if of.is_empty() => (Shape::Pass, Some("compensates all".to_owned())),
        Action::Compensate { of } => {
            let nodes: Vec<String> = of.iter().take(MOST_WAYS).map(|node| line(node, SHOWN)).collect();
            (Shape::Pass, Some(format!("compensates: {}", nodes.join(", "))))
        }
        Action::Send(send) => (Shape::Pass, Some(format!("sends: {}", line(&send.signal, SHOWN)))),
        Action::States(states) => {
            (Shape::Repeat, Some(format!("{} states, {} steps at most", states.states.len(), states.max_steps)))
        }
        Action::Stop => (Shape::Pass, Some("ends the run".to_owned())),
        Action::Fail(Fail { message: Expr::Const(message), .. }) => {
            let message = message.value().as_str().map_or_else(|| message.to_string(), str::to_owned);
            (Shape::Pass, Some(format!("fails: {}", line(&message, SHOWN))))
        }
        Action::Fail(_) => (Shape::Pass, Some("fails".to_owned())),
    }
}

fn body_name(body: &Body) -> String {
    match body {
        Body::Task(work) => line(&work.kind, SHOWN),
        Body::Flow(flow) => line(&flow.name, SHOWN),
        Body::Call(call) => line(&call.workflow, SHOWN),
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
