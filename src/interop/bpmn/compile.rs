//! From the graph of a flow to the nodes of a definition.
//!
//! The variables of a process are the fields of one variable of the run, `data`: each activity reads the object as it was
//! before it, and the fields of its result are merged into it. A nested run has the same object, and beside it `changes`, in
//! which only its own results are: the outer run merges these, so that branches beside each other do not overwrite the
//! results of each other with what they have read.
//!
//! A cycle becomes a node with one state, whose body is a nested workflow: one round, from the node where tokens enter the
//! cycle up to a flow that leads back to it or out of the cycle.

use super::cycles::steps;
use super::graph::{Again, BoundaryEvent, EventPart, FlowNode, Graph, Guard, Kind, Trigger, Way};
use super::repeat::{RESULTS, each, in_rounds};
use super::tokens::{Meeting, Part, Step, play};
use crate::base::name::Name;
use crate::definition::{
    Action, Body, Boundary, Call, Case, Condition, Definition, Expr, Fail, Handler, Join, Link, Node, Pick, RaceOption,
    Receivers, Reducer, Remaining, SendSignal, SignalRule, State, States, Variable, WaitFor, Write,
};
use crate::interop::report::{ImportFaultKind, Place, Report};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// The variable with the variables of the process.
pub(super) const DATA: &str = "data";
/// The variable of a nested run with its own results.
pub(super) const CHANGES: &str = "changes";
/// The first node of a round.
pub(super) const ENTER: &str = "/enter";
/// The first node of a process with event sub-processes.
pub(super) const BEGIN: &str = "/begin";
/// The node of a process with event sub-processes that has all the rest of it.
pub(super) const BODY: &str = "/body";
/// The end of the name of a node for a cycle.
pub(super) const LOOP: &str = "/loop";
/// The end of the name of a node that chooses among the flows of an activity.
pub(super) const WAYS: &str = "/ways";

/// The most levels of cycles and sub-processes in each other.
const MOST_DEPTH: u32 = 24;

/// The variables of the process, as a node reads them.
pub(super) fn data() -> Expr {
    Expr::variable(DATA)
}

/// Which run the nodes belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// The run of the process.
    Whole,
    /// A nested run.
    Part,
}

impl Level {
    /// What a node writes whose output has results in these fields.
    pub(super) fn writes(self, results: &str) -> Vec<Write> {
        match self {
            Self::Whole => vec![Write::new(DATA, results)],
            Self::Part => vec![Write::new(DATA, results), Write::new(CHANGES, results)],
        }
    }

    pub(super) fn variables(self, definition: Definition) -> Definition {
        let variable = |name: &str| Variable::new(name, Reducer::Merge).with_initial(json!({}));
        match self {
            Self::Whole => definition.with_variable(variable(DATA)),
            Self::Part => definition.with_variable(variable(DATA)).with_variable(variable(CHANGES)),
        }
    }

    /// The results of the run.
    pub(super) fn results(self) -> Expr {
        match self {
            Self::Whole => data(),
            Self::Part => Expr::variable(CHANGES),
        }
    }
}

/// A part of a graph that becomes nodes of one definition.
struct Region<'g> {
    graph: &'g Graph,
    part: Part,
    level: Level,
    /// The node that a round begins with.
    entry: Option<usize>,
    /// The nodes within cycles, with the name of the node for the cycle.
    within: BTreeMap<usize, Name>,
}

/// Makes definitions of graphs.
pub(super) struct Compiler<'r> {
    pub(super) report: &'r mut Report,
    pub(super) max_rounds: u32,
    pub(super) depth: u32,
}

impl Compiler<'_> {
    /// The definition of a process or sub-process. Event sub-processes are handlers of a node with all the rest of it.
    pub(super) fn definition(&mut self, graph: &Graph, name: &Name, level: Level, spot: &str) -> Definition {
        let mut definition = level.variables(Definition::new(name.clone()));
        if !self.enter(spot) {
            return definition;
        }
        if graph.handlers.is_empty() {
            definition = self.plain(graph, name, level);
        } else {
            let start = Node::new(BEGIN, Action::Pass).with_input(Expr::Input);
            definition.nodes.push(Node { writes: vec![Write::new(DATA, "")], ..start });
            let inner = self.plain(graph, name, Level::Part);
            let mut body = Node::new(BODY, Action::flow(inner)).with_input(data()).with_link(Link::success(BEGIN));
            body.writes = level.writes("");
            body.handlers = graph.handlers.iter().map(|part| handler(&part.event)).collect();
            definition.nodes.push(body);
            for part in &graph.handlers {
                definition.nodes.push(self.event_part(part, level));
            }
        }
        self.depth = self.depth.saturating_sub(1);
        for signal in &graph.escalations {
            definition = definition.with_signal(SignalRule::new(signal.clone()).transient());
        }
        accepting(definition.with_output(level.results()))
    }

    fn event_part(&mut self, part: &EventPart, level: Level) -> Node {
        let inner = self.definition(&part.graph, &part.event.id, Level::Part, &part.spot);
        let node = Node::new(part.event.id.clone(), Action::flow(inner)).with_input(data());
        Node { writes: level.writes(""), ..node }.with_link(Link::case(BODY, part.event.id.clone()))
    }

    /// The definition of a flow without its event sub-processes.
    fn plain(&mut self, graph: &Graph, name: &Name, level: Level) -> Definition {
        let mut definition = level.variables(Definition::new(name.clone()));
        let nodes: BTreeSet<usize> = (0..graph.nodes.len()).collect();
        let edges: BTreeSet<usize> = (0..graph.edges.len()).collect();
        self.unreached(graph);
        definition.nodes = self.region(graph, &nodes, edges, BTreeSet::new(), None, level);
        accepting(definition.with_output(level.results()))
    }

    fn enter(&mut self, spot: &str) -> bool {
        let is_within = self.depth < MOST_DEPTH;
        if is_within {
            self.depth = self.depth.saturating_add(1);
        } else {
            let message = format!("sub-processes and cycles have more than {MOST_DEPTH} levels");
            self.fault(spot, ImportFaultKind::Unsound { message });
        }
        is_within
    }

    fn fault(&mut self, spot: &str, kind: ImportFaultKind) {
        self.report.add(&Place::Text(spot), kind);
    }

    fn unsupported(&mut self, spot: &str, what: impl Into<String>, reason: &'static str) {
        self.report.unsupported(&Place::Text(spot), what, reason);
    }

    /// Reports the nodes to which no flow leads.
    fn unreached(&mut self, graph: &Graph) {
        let starts = (0..graph.nodes.len())
            .filter(|at| graph.nodes.get(*at).is_some_and(|node| matches!(node.kind, Kind::Start)));
        let mut work: Vec<usize> = starts.collect();
        let mut reached: BTreeSet<usize> = work.iter().copied().collect();
        while let Some(at) = work.pop() {
            let to = graph.out(at).filter_map(|edge| Some(graph.edges.get(edge)?.to));
            work.extend(to.filter(|to| reached.insert(*to)));
        }
        for (_, node) in graph.nodes.iter().enumerate().filter(|(at, _)| !reached.contains(at)) {
            let message = "no flow leads to it from the start event".to_owned();
            self.fault(&node.spot, ImportFaultKind::Unsound { message });
        }
    }

    /// The nodes of a part of a graph, in the order of the document.
    fn region(
        &mut self,
        graph: &Graph,
        nodes: &BTreeSet<usize>,
        edges: BTreeSet<usize>,
        exits: BTreeSet<usize>,
        entry: Option<usize>,
        level: Level,
    ) -> Vec<Node> {
        let followed: BTreeSet<usize> = edges.difference(&exits).copied().collect();
        let part = Part { steps: steps(graph, nodes, &followed), edges, exits };
        if let Err((node, meeting)) = play(graph, &part, entry) {
            self.meeting(graph, node, meeting);
            return Vec::new();
        }
        let mut within = BTreeMap::new();
        for step in part.steps.iter().filter(|step| step.is_cycle) {
            let Some(header) = self.header(graph, &followed, step) else { return Vec::new() };
            let name =
                graph.nodes.get(header).map_or_else(|| Name::from(LOOP), |node| format!("{}{LOOP}", node.id).into());
            within.extend(step.nodes.iter().map(|node| (*node, name.clone())));
        }
        let region = Region { graph, part, level, entry, within };
        let mut made: Vec<(usize, Vec<Node>)> = Vec::new();
        for step in &region.part.steps {
            let first = step.nodes.first().copied().unwrap_or(0);
            let nodes = if step.is_cycle { self.cycle(&region, step) } else { self.node(&region, first) };
            made.push((first, nodes));
        }
        made.sort_by_key(|(first, _)| *first);
        made.into_iter().flat_map(|(_, nodes)| nodes).collect()
    }

    fn meeting(&mut self, graph: &Graph, node: usize, meeting: Meeting) {
        let Some(node) = graph.nodes.get(node) else { return };
        let (what, reason) = match meeting {
            Meeting::Twice => (
                "a place that several tokens can reach",
                "what follows would be performed for each of them: join the branches with a gateway before it",
            ),
            Meeting::Never => (
                "a parallel gateway that can wait for ever",
                "a choice before it can leave one of its flows without a token",
            ),
            Meeting::Leaves => (
                "a cycle that several tokens can leave",
                "a round ends with one token: join the branches within the cycle",
            ),
            Meeting::TooMany => (
                "a flow with too many choices beside each other",
                "whether its branches meet cannot be examined within the bounds",
            ),
        };
        self.unsupported(&node.spot, what, reason);
    }

    /// The node of a cycle to which all flows from outside lead.
    fn header(&mut self, graph: &Graph, followed: &BTreeSet<usize>, step: &Step) -> Option<usize> {
        let edges = followed.iter().filter_map(|edge| graph.edges.get(*edge));
        let entries: BTreeSet<usize> = edges
            .filter(|edge| step.nodes.contains(&edge.to) && !step.nodes.contains(&edge.from))
            .map(|edge| edge.to)
            .collect();
        let first = graph.nodes.get(*step.nodes.first()?)?;
        let (Some(header), 1) = (entries.first().copied(), entries.len()) else {
            // What nothing leads to is reported as such.
            if !entries.is_empty() {
                let reason = "a round begins with one node: lead all flows into the cycle to the same gateway";
                self.unsupported(&first.spot, "a cycle that is entered at several places", reason);
            }
            return None;
        };
        let node = graph.nodes.get(header)?;
        if matches!(node.kind, Kind::Parallel) {
            self.meeting(graph, header, Meeting::Never);
            return None;
        }
        Some(header)
    }

    /// The node for a cycle.
    fn cycle(&mut self, region: &Region<'_>, step: &Step) -> Vec<Node> {
        let graph = region.graph;
        let followed: BTreeSet<usize> = region.part.edges.difference(&region.part.exits).copied().collect();
        let Some(header) = self.header(graph, &followed, step) else { return Vec::new() };
        let Some(first) = graph.nodes.get(header) else { return Vec::new() };
        let nodes: BTreeSet<usize> = step.nodes.iter().copied().collect();
        let edges: BTreeSet<usize> =
            nodes.iter().flat_map(|node| graph.out(*node)).filter(|edge| region.part.edges.contains(edge)).collect();
        let ends = |edge: &usize| {
            let to = graph.edges.get(*edge).map_or(header, |edge| edge.to);
            to == header || !nodes.contains(&to) || region.part.exits.contains(edge)
        };
        let exits: BTreeSet<usize> = edges.iter().copied().filter(ends).collect();
        if !self.enter(&first.spot) {
            return Vec::new();
        }
        let mut round = Level::Part.variables(Definition::new(first.id.clone()));
        let enter = Node::new(ENTER, Action::Pass).with_input(Expr::Input);
        round.nodes.push(Node { writes: vec![Write::new(DATA, "/data"), Write::new(CHANGES, "/changes")], ..enter });
        round.nodes.extend(self.region(graph, &nodes, edges, exits.clone(), Some(header), Level::Part));
        let round = accepting(round);
        self.depth = self.depth.saturating_sub(1);
        let back = |edge: &usize| {
            graph.edges.get(*edge).is_some_and(|edge| edge.to == header) && !region.part.exits.contains(edge)
        };
        let states = self.rounds(graph, round, &first.id, &exits, back);
        let name = region.within.get(&header).cloned().unwrap_or_else(|| LOOP.into());
        let input = Expr::object([(DATA, data()), (CHANGES, Expr::value(json!({})))]);
        let mut node = Node::new(name, Action::States(states)).with_input(input);
        (node.after, node.join) = region.links(header, |edge| !nodes.contains(&edge));
        node.writes = region.level.writes("/changes");
        let mut made = vec![node];
        made.extend(region.leaving(&step.nodes));
        made
    }

    /// One state for the round, and one for each way out.
    fn rounds(
        &self,
        graph: &Graph,
        mut round: Definition,
        header: &Name,
        exits: &BTreeSet<usize>,
        back: impl Fn(&usize) -> bool,
    ) -> States {
        let mut again = State::new(header.clone());
        let (mut ends, mut taken) = (Vec::new(), Vec::new());
        for edge in exits {
            let Some(id) = graph.edges.get(*edge).map(|edge| edge.id.clone()) else { continue };
            taken.push(Expr::node(id.clone()));
            let holds = Condition::equal(Expr::Item.at("/exit"), Expr::value(id.as_str()));
            if back(edge) {
                again = again.when(holds, header.clone());
            } else {
                again = again.when(holds, id.clone());
                ends.push(State::new(id));
            }
        }
        let output = [("exit", Expr::First(taken)), (DATA, data()), (CHANGES, Expr::variable(CHANGES))];
        round.output = Expr::object(output);
        let states = States::from(header.clone(), self.max_rounds).with(again.with_body(Body::Flow(round.into())));
        ends.into_iter().fold(states, States::with)
    }

    /// The nodes for one node of the flow, with those for its ways out of the part.
    fn node(&mut self, region: &Region<'_>, at: usize) -> Vec<Node> {
        let Some(flow) = region.graph.nodes.get(at) else { return Vec::new() };
        let mut node = Node::new(flow.id.clone(), Action::Pass);
        (node.after, node.join) = region.links(at, |_| true);
        if region.entry == Some(at) {
            node.after.insert(0, Link::success(ENTER));
        }
        if node.after.len() < 2 {
            node.join = Join::All;
        }
        node.handlers = flow.boundary.iter().map(handler).collect();
        node.undo.clone_from(&flow.undo);
        self.action(region, at, flow, &mut node);
        let after = self.repeat(region, flow, &mut node);
        let mut made: Vec<Node> = core::iter::once(node).chain(after).collect();
        self.choices(region, at, flow, &mut made);
        made.extend(region.leaving(&[at]));
        made
    }

    fn action(&mut self, region: &Region<'_>, at: usize, flow: &FlowNode, node: &mut Node) {
        let level = region.level;
        let work = |node: &mut Node, action: Action| {
            node.action = action;
            node.input = data();
            node.writes = level.writes("");
        };
        match &flow.kind {
            Kind::Start => {
                node.input = Expr::Input;
                node.writes = vec![Write::new(DATA, "")];
            }
            Kind::Terminate => {
                node.action = Action::Stop;
                node.input = level.results();
            }
            Kind::Error(code) => {
                let fail = Fail::new(flow.id.as_str());
                let fail = code.iter().fold(fail, |fail, code| fail.with_code(code.as_str()));
                node.action = Action::Fail(fail);
            }
            Kind::Task(task) => work(node, Action::Do(Body::Task(task.clone()))),
            Kind::Call(name) => work(node, Action::Do(Body::Call(Call::of(name.clone())))),
            Kind::Sub(graph) => {
                let inner = self.definition(graph, &flow.id, Level::Part, &flow.spot);
                work(node, Action::flow(inner));
            }
            Kind::Send(signal, to) => {
                if region.entry.is_some() && *to == Receivers::Parent {
                    let what = "an escalation within a cycle";
                    self.unsupported(
                        &flow.spot,
                        what,
                        "a round is a run of its own: throw the escalation after the cycle",
                    );
                }
                node.action = Action::Send(SendSignal::new(signal.clone(), to.clone()));
                node.input = data();
            }
            Kind::Undo(of) => {
                self.undoes(region, &flow.spot, of);
                node.action = Action::Compensate { of: of.clone() };
            }
            Kind::Race(options) => {
                let options = options.iter().map(|(name, on)| RaceOption::new(name.clone(), on.clone())).collect();
                node.action = Action::Race { options };
                node.writes = level.writes("");
            }
            Kind::Exclusive if region.graph.plain_out(at).len() > 1 => {
                node.action = choose(region.graph, at, Pick::First);
                node.input = data();
            }
            Kind::Inclusive if region.graph.plain_out(at).len() > 1 => {
                node.action = choose(region.graph, at, Pick::Every);
                node.input = data();
            }
            Kind::End | Kind::Pass | Kind::Exclusive | Kind::Parallel | Kind::Inclusive => {}
        }
    }

    /// Reports a compensation of activities that another run has performed.
    fn undoes(&mut self, region: &Region<'_>, spot: &str, of: &[Name]) {
        if region.entry.is_some() {
            let reason = "a round is a run of its own: throw the compensation after the cycle";
            self.unsupported(spot, "a compensation within a cycle", reason);
        }
        for name in of {
            let found = region.graph.nodes.iter().position(|node| node.id == *name);
            if found.is_none_or(|at| region.within.contains_key(&at)) {
                let what = format!("the compensation of `{name}`, which is in a cycle or not at this level");
                self.unsupported(spot, what, "an event compensates activities of its own process or sub-process");
            }
        }
    }

    /// Repeats what a node does. Returns the node after it that has the list of results.
    fn repeat(&self, region: &Region<'_>, flow: &FlowNode, node: &mut Node) -> Option<Node> {
        let body = match (&flow.again, &node.action) {
            (Again::Once, _) => return None,
            (_, Action::Do(body)) => body.clone(),
            _ => return None,
        };
        match &flow.again {
            Again::Once => None,
            Again::Each(instances) => {
                node.writes.clear();
                each(flow, instances, body, region.level, node)
            }
            Again::Rounds(rounds) => {
                in_rounds(flow, rounds, body, self.max_rounds, region.level, node);
                None
            }
        }
    }

    /// The choice among the flows of an activity that have conditions.
    fn choices(&self, region: &Region<'_>, at: usize, flow: &FlowNode, made: &mut Vec<Node>) {
        if !flow.is_gateway() && region.graph.is_conditional(at) {
            let ways = Node::new(format!("{}{WAYS}", flow.id), choose(region.graph, at, Pick::Every));
            made.push(ways.with_link(Link::success(flow.last())).with_input(data()));
        }
    }
}

impl FlowNode {
    pub(super) const fn is_gateway(&self) -> bool {
        matches!(self.kind, Kind::Exclusive | Kind::Parallel | Kind::Inclusive)
    }

    /// The name of the node that the usual flows leave.
    fn last(&self) -> Name {
        match &self.again {
            Again::Each(instances) if instances.results.is_some() => format!("{}{RESULTS}", self.id).into(),
            Again::Once | Again::Each(_) | Again::Rounds(_) => self.id.clone(),
        }
    }

    /// Whether the first of several tokens decides.
    const fn ends_all(&self) -> bool {
        matches!(self.kind, Kind::Terminate | Kind::Error(_))
    }
}

impl Region<'_> {
    /// The links to a node over the flows from nodes that are given, and how they meet.
    fn links(&self, to: usize, from: impl Fn(usize) -> bool) -> (Vec<Link>, Join) {
        let mut links = Vec::new();
        let leads = |edge: &&usize| {
            !self.part.exits.contains(edge)
                && self.graph.edges.get(**edge).is_some_and(|edge| edge.to == to && from(edge.from))
        };
        for edge in self.part.edges.iter().filter(leads) {
            let link = self.link(*edge);
            links.extend(link.filter(|link| !links.contains(link)));
        }
        let join = match self.graph.nodes.get(to) {
            _ if links.len() < 2 => Join::All,
            Some(FlowNode { kind: Kind::Parallel, .. }) => Join::All,
            Some(node) if node.ends_all() => Join::Count { required: 1, remaining: Remaining::Ignore },
            _ => Join::Any,
        };
        (links, join)
    }

    /// The nodes over which a token leaves the round from one of these nodes.
    fn leaving(&self, nodes: &[usize]) -> Vec<Node> {
        let exits = self
            .part
            .exits
            .iter()
            .filter(|edge| self.graph.edges.get(**edge).is_some_and(|edge| nodes.contains(&edge.from)));
        let made = exits.filter_map(|edge| {
            let id = self.graph.edges.get(*edge)?.id.clone();
            let leave = Node::new(id.clone(), Action::Pass).with_input(Expr::value(id.as_str()));
            Some(leave.with_link(self.link(*edge)?))
        });
        made.collect()
    }

    /// The link for a flow.
    fn link(&self, at: usize) -> Option<Link> {
        let edge = self.graph.edges.get(at)?;
        if let Some(cycle) = self.within.get(&edge.from) {
            return Some(Link::case(cycle.clone(), edge.id.clone()));
        }
        let node = self.graph.nodes.get(edge.from)?;
        Some(match (&edge.way, &node.kind) {
            (Way::Option(number), Kind::Race(options)) => Link::case(node.id.clone(), options.get(*number)?.0.clone()),
            (Way::Option(_), _) => return None,
            (Way::Boundary(number), _) => Link::case(node.id.clone(), node.boundary.get(*number)?.id.clone()),
            (Way::Out, Kind::Exclusive | Kind::Inclusive) if self.graph.plain_out(edge.from).len() > 1 => {
                Link::case(node.id.clone(), edge.id.clone())
            }
            (Way::Out, _) if !node.is_gateway() && self.graph.is_conditional(edge.from) => {
                Link::case(format!("{}{WAYS}", node.id), edge.id.clone())
            }
            (Way::Out, _) => Link::success(node.last()),
        })
    }
}

fn choose(graph: &Graph, at: usize, pick: Pick) -> Action {
    let (mut cases, mut otherwise) = (Vec::new(), None);
    for edge in graph.plain_out(at).into_iter().filter_map(|edge| graph.edges.get(edge)) {
        match &edge.guard {
            Guard::None => cases.push(Case::new(edge.id.clone(), Condition::True)),
            Guard::When(condition) => cases.push(Case::new(edge.id.clone(), condition.clone())),
            Guard::Default => otherwise = Some(edge.id.clone()),
        }
    }
    Action::Choose { pick, cases, otherwise }
}

fn handler(event: &BoundaryEvent) -> Handler {
    let handler = match &event.on {
        Trigger::Error(failures) => Handler::error(event.id.clone(), failures.clone()),
        Trigger::After(span) => Handler::timeout(event.id.clone(), *span),
        Trigger::Signal(signal) => Handler::signal(event.id.clone(), signal.clone()),
        Trigger::When(condition) => Handler::when(event.id.clone(), condition.clone()),
    };
    if event.interrupts { handler } else { handler.non_interrupting() }
}

/// Lets the host update the variables of a run if a condition on them is waited for.
fn accepting(mut definition: Definition) -> Definition {
    let waits = |node: &Node| {
        let handles = node.handlers.iter().any(|handler| matches!(handler.on, Boundary::When(_)));
        let is_for = |option: &RaceOption| matches!(option.on, WaitFor::When(_));
        handles || matches!(&node.action, Action::Race { options } if options.iter().any(is_for))
    };
    if definition.nodes.iter().any(waits) {
        let own = definition.variables.iter_mut().find(|variable| variable.name == DATA);
        own.into_iter().for_each(|variable| variable.updates = Some(Condition::True));
    }
    definition
}
