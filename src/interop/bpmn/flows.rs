//! Sequence flows, the links between events, and the events after an event-based gateway.

#![expect(clippy::wildcard_enum_match_arm, reason = "only some nodes follow an event-based gateway")]

use super::graph::{Edge, Graph, Guard, Kind, Way};
use super::read::{Indexes, Reader, Target, variables};
use super::xml::Element;
use crate::base::name::Name;
use crate::interop::report::Place;
use std::collections::{BTreeMap, BTreeSet};

impl Reader<'_> {
    /// Adds the sequence flows.
    pub(super) fn flows(&mut self, scope: Element<'_>, graph: &mut Graph, indexes: &Indexes) {
        let defaults: BTreeMap<&str, Element<'_>> =
            scope.children().filter_map(|at| Some((at.attribute("default")?, at))).collect();
        let mut used = BTreeSet::new();
        for at in scope.all("sequenceFlow") {
            let from = self.end(at, "sourceRef", indexes);
            let to = self.end(at, "targetRef", indexes);
            let id = match at.id() {
                Some(_) => self.id(at),
                None => {
                    Some(format!("Flow_{}_{}", at.attribute("sourceRef").unwrap_or_default(), graph.edges.len()).into())
                }
            };
            let (Some(from), Some(to), Some(id)) = (from, to, id) else { continue };
            let (from, way) = match from {
                Target::Node(node) => (node, Way::Out),
                Target::Boundary(node, number) => (node, Way::Boundary(number)),
                Target::Undo(_) => {
                    self.unsound(at, "a flow cannot leave a compensation event");
                    continue;
                }
            };
            let Target::Node(to) = to else {
                self.unsound(at, "a flow cannot lead to a boundary event");
                continue;
            };
            let is_default = defaults.contains_key(id.as_str());
            used.insert(id.to_string());
            let way = match (way, graph.nodes.get(from).map(|node| &node.kind)) {
                (Way::Out, Some(Kind::Race(options))) if options.len() == 1 => Way::Option(0),
                (way, _) => way,
            };
            let Some(guard) = self.guard(at, is_default) else { continue };
            graph.edges.push(Edge { id, spot: at.spot(), from, to, way, guard });
        }
        for (id, at) in defaults.iter().filter(|(id, _)| !used.contains(**id)) {
            let known = used.iter().map(String::as_str);
            self.report.unknown(&Place::Text(&at.spot()), "sequence flow", id, known);
        }
        sort(graph);
        self.misplaced(graph);
    }

    fn end(&mut self, at: Element<'_>, attribute: &str, indexes: &Indexes) -> Option<Target> {
        let Some(name) = at.attribute(attribute) else {
            self.missing(at, attribute);
            return None;
        };
        let found = indexes.get(name).copied();
        // Names of elements that were refused are known.
        let is_refused = || {
            self.report.has_faults()
                && at
                    .node
                    .parent()
                    .is_some_and(|scope| scope.children().any(|child| child.attribute("id") == Some(name)))
        };
        if found.is_none() && !is_refused() {
            self.report.unknown(&Place::Text(&at.spot()), "element", name, indexes.keys().map(String::as_str));
        }
        found
    }

    /// The condition of a flow; none if it cannot be carried over.
    fn guard(&mut self, at: Element<'_>, is_default: bool) -> Option<Guard> {
        self.plain(at, &["conditionExpression"]);
        match at.first("conditionExpression") {
            Some(_) if is_default => {
                self.unsound(at, "the default flow has a condition");
                None
            }
            None if is_default => Some(Guard::Default),
            None => Some(Guard::None),
            Some(condition) => self.condition(condition, &variables(), &[]).map(Guard::When),
        }
    }

    /// Reports flows where none may be, and conditions that nothing evaluates.
    fn misplaced(&mut self, graph: &Graph) {
        for edge in &graph.edges {
            let (from, to) = (graph.nodes.get(edge.from), graph.nodes.get(edge.to));
            let (Some(from), Some(to)) = (from, to) else { continue };
            let several = graph.plain_out(edge.from).len() > 1;
            let message = match (&from.kind, &edge.guard) {
                _ if matches!(to.kind, Kind::Start) => "a flow cannot lead to a start event",
                (Kind::End | Kind::Terminate | Kind::Error(_), _) => "a flow cannot leave an end event",
                (Kind::Exclusive, Guard::None) if several => "`conditionExpression` is missing",
                (Kind::Exclusive | Kind::Inclusive, Guard::When(_)) if !several => {
                    "the only flow of a gateway has a condition"
                }
                (
                    Kind::Parallel | Kind::Race(_) | Kind::Start | Kind::Pass | Kind::Send(..) | Kind::Undo(_),
                    Guard::When(_) | Guard::Default,
                ) => "a flow after this element has no condition",
                (_, Guard::When(_) | Guard::Default) if edge.way != Way::Out => {
                    "a flow after an event has no condition"
                }
                _ => continue,
            };
            let kind = crate::interop::report::ImportFaultKind::Unsound { message: message.to_owned() };
            self.report.add(&Place::Text(&edge.spot), kind);
        }
    }

    /// Adds a flow from each link that is thrown to where it is caught.
    pub(super) fn links(&mut self, scope: Element<'_>, graph: &mut Graph, indexes: &Indexes) {
        let name_of = |at: Element<'_>| at.first("linkEventDefinition")?.attribute("name").map(str::to_owned);
        let mut caught = BTreeMap::new();
        for at in scope.all("intermediateCatchEvent") {
            if let (Some(name), Some(Target::Node(node))) =
                (name_of(at), at.id().and_then(|id| indexes.get(id).copied()))
                && caught.insert(name, node).is_some()
            {
                self.unsound(at, "another event catches the same link");
            }
        }
        for at in scope.all("intermediateThrowEvent") {
            let (Some(name), Some(id)) = (name_of(at), at.id()) else { continue };
            let Some(Target::Node(from)) = indexes.get(id).copied() else { continue };
            match caught.get(&name).copied() {
                Some(to) => {
                    let id = Name::from(format!("{id}.link"));
                    graph.edges.push(Edge { id, spot: at.spot(), from, to, way: Way::Out, guard: Guard::None });
                }
                None => self.report.unknown(&Place::Text(&at.spot()), "link", &name, caught.keys().map(String::as_str)),
            }
        }
        sort(graph);
    }

    /// Sets the compensations of activities.
    pub(super) fn compensation(&mut self, scope: Element<'_>, graph: &mut Graph, indexes: &Indexes) {
        for at in scope.all("association") {
            let from = at.attribute("sourceRef").and_then(|from| indexes.get(from).copied());
            let Some(Target::Undo(node)) = from else { continue };
            let handler = at.attribute("targetRef").and_then(|to| self.names.undo.remove(to));
            match (handler, graph.nodes.get_mut(node)) {
                (Some(super::graph::FlowNode { kind: Kind::Task(work), .. }), Some(node)) => {
                    node.undo = Some(work);
                    self.note(at, "the handler runs when the process fails after the activity");
                }
                (Some(_), _) => {
                    self.unsupported(at, "a compensation handler that is not a task", "a task undoes a node")
                }
                (None, _) => self.unsound(at, "the association does not lead to a compensation handler"),
            }
        }
        let unused: Vec<String> = core::mem::take(&mut self.names.undo).into_values().map(|node| node.spot).collect();
        for spot in unused {
            let message = "nothing leads to the compensation handler".to_owned();
            let kind = crate::interop::report::ImportFaultKind::Unsound { message };
            self.report.add(&Place::Text(&spot), kind);
        }
    }

    /// Makes one node of each event-based gateway and the events after it.
    pub(super) fn event_gateways(&mut self, scope: Element<'_>, graph: &mut Graph, indexes: &Indexes) {
        let mut gone = BTreeSet::new();
        for at in scope.all("eventBasedGateway") {
            let Some(Target::Node(gateway)) = at.id().and_then(|id| indexes.get(id).copied()) else { continue };
            let after: Vec<usize> =
                graph.edges.iter().filter(|edge| edge.from == gateway).map(|edge| edge.to).collect();
            if after.is_empty() {
                self.unsound(at, "no event follows the gateway");
            }
            let mut options = Vec::new();
            for event in after {
                let incoming = graph.edges.iter().filter(|edge| edge.to == event).count();
                let Some(node) = graph.nodes.get(event) else { continue };
                match &node.kind {
                    Kind::Race(waits) if waits.len() == 1 && incoming == 1 && node.boundary.is_empty() => {
                        let number = options.len();
                        options.extend(waits.iter().cloned());
                        for edge in graph.edges.iter_mut().filter(|edge| edge.from == event) {
                            (edge.from, edge.way) = (gateway, Way::Option(number));
                        }
                        gone.insert(event);
                    }
                    _ => {
                        let what = "an event-based gateway before something else than events of its own";
                        self.unsupported(
                            at,
                            what,
                            "each flow leads to an event or a receive task that no other flow leads to",
                        );
                    }
                }
            }
            if let Some(node) = graph.nodes.get_mut(gateway) {
                node.kind = Kind::Race(options);
            }
        }
        if !gone.is_empty() {
            remove(graph, &gone);
        }
    }
}

/// Removes nodes with the flows that lead to them.
fn remove(graph: &mut Graph, gone: &BTreeSet<usize>) {
    let nodes = core::mem::take(&mut graph.nodes);
    let mut index = BTreeMap::new();
    for (at, node) in nodes.into_iter().enumerate().filter(|(at, _)| !gone.contains(at)) {
        index.insert(at, graph.nodes.len());
        graph.nodes.push(node);
    }
    graph.edges.retain(|edge| index.contains_key(&edge.from) && index.contains_key(&edge.to));
    for edge in &mut graph.edges {
        edge.from = index.get(&edge.from).copied().unwrap_or(0);
        edge.to = index.get(&edge.to).copied().unwrap_or(0);
    }
    sort(graph);
}

/// Orders flows by where they come from; the default flow is the last of its node.
fn sort(graph: &mut Graph) {
    graph.edges.sort_by(|a, b| {
        let key = |edge: &Edge| (edge.from, edge.way.clone(), edge.guard == Guard::Default);
        key(a).cmp(&key(b))
    });
}
