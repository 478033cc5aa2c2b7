//! From the elements of a document to the graph of its process.

use super::Options;
use super::events::Names;
use super::expression::{self, Reads};
use super::graph::{FlowNode, Graph, Kind};
use super::xml::{Element, MODEL};
use crate::base::name::Name;
use crate::definition::{Condition, Expr, Work};
use crate::interop::report::{ImportFaultKind, Place, Report, shown};
use std::collections::{BTreeMap, BTreeSet};

/// Elements that say nothing about what is performed.
const COMMENTS: &[&str] = &[
    "documentation",
    "textAnnotation",
    "group",
    "laneSet",
    "auditing",
    "monitoring",
    "property",
    "ioSpecification",
    "dataInputAssociation",
    "dataOutputAssociation",
    "dataInput",
    "dataOutput",
    "inputSet",
    "outputSet",
    "dataObject",
    "dataObjectReference",
    "dataStoreReference",
    "resourceRole",
    "performer",
    "humanPerformer",
    "potentialOwner",
    "rendering",
    "correlationSubscription",
    "ioBinding",
    "supportedInterfaceRef",
    "category",
    "artifact",
];

/// Elements that contain a flow, whose elements are read one by one.
const SCOPES: &[&str] = &["process", "subProcess", "transaction", "adHocSubProcess"];

/// Elements within others that are read with these.
const PARTS: &[&str] = &[
    "incoming",
    "outgoing",
    "multiInstanceLoopCharacteristics",
    "standardLoopCharacteristics",
    "eventDefinitionRef",
    "conditionExpression",
    "timeDuration",
    "timeDate",
    "timeCycle",
    "condition",
    "operationRef",
    "source",
    "target",
];

/// Attributes whose meaning is imported, or that say nothing about what is performed.
const ATTRIBUTES: &[&str] = &[
    "id",
    "name",
    "default",
    "isForCompensation",
    "implementation",
    "messageRef",
    "sourceRef",
    "targetRef",
    "attachedToRef",
    "cancelActivity",
    "isInterrupting",
    "triggeredByEvent",
    "calledElement",
    "gatewayDirection",
    "eventGatewayType",
    "instantiate",
    "scriptFormat",
    "startQuantity",
    "completionQuantity",
    "isImmediate",
    "processType",
    "isExecutable",
    "isClosed",
    "operationRef",
    "parallelMultiple",
    "associationDirection",
    "errorRef",
    "signalRef",
    "escalationRef",
    "activityRef",
    "waitForCompletion",
    "testBefore",
    "loopMaximum",
    "isSequential",
];

/// Reads the elements of a document.
pub(super) struct Reader<'o> {
    pub(super) options: &'o Options,
    pub(super) report: Report,
    pub(super) names: Names,
    /// The name of the process.
    pub(super) process: Name,
    /// How deep sub-processes are in each other.
    pub(super) depth: usize,
}

/// The elements of a process or sub-process, by id.
pub(super) type Indexes = BTreeMap<String, Target>;

/// What a reference leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Node(usize),
    /// A boundary event: the activity and its number there.
    Boundary(usize, usize),
    /// A compensation event at the boundary of an activity.
    Undo(usize),
}

/// The variables of the process: what expressions of flows read.
pub(super) fn variables() -> Expr {
    Expr::Item
}

impl<'o> Reader<'o> {
    pub(super) fn of(options: &'o Options) -> Self {
        Self { options, report: Report::default(), names: Names::default(), process: Name::from("process"), depth: 0 }
    }

    pub(super) fn unsupported(&mut self, at: Element<'_>, what: impl Into<String>, reason: &'static str) {
        self.report.unsupported(&Place::Text(&at.spot()), what, reason);
    }

    pub(super) fn unsound(&mut self, at: Element<'_>, message: impl Into<String>) {
        self.report.add(&Place::Text(&at.spot()), ImportFaultKind::Unsound { message: message.into() });
    }

    pub(super) fn missing(&mut self, at: Element<'_>, field: &str) {
        self.report.missing(&Place::Text(&at.spot()), field);
    }

    pub(super) fn invalid(&mut self, at: Element<'_>, expected: &str, found: &str) {
        self.report.invalid(&Place::Text(&at.spot()), expected, found);
    }

    pub(super) fn note(&mut self, at: Element<'_>, message: impl Into<String>) {
        self.report.note(&Place::Text(&at.spot()), message);
    }

    /// The process of a document, with its element.
    pub(super) fn document<'a>(&mut self, root: Element<'a>) -> Option<(Graph, Element<'a>)> {
        if root.name() != Some("definitions") {
            let (found, namespace) = (root.shown(), shown(root.namespace()));
            self.invalid(root, &format!("`definitions` of {MODEL}"), &format!("{found} of {namespace}"));
            return None;
        }
        self.unique_ids(root);
        self.names = Names::of(root);
        self.others(root);
        let process = self.chosen(root)?;
        let id = self.id(process)?;
        self.process = id;
        self.named_elements(process);
        let graph = self.graph(process);
        Some((graph, process))
    }

    /// The process that is imported.
    fn chosen<'a>(&mut self, root: Element<'a>) -> Option<Element<'a>> {
        let all: Vec<Element<'a>> = root.all("process").collect();
        match (&self.options.process, all.as_slice()) {
            (_, []) => {
                self.missing(root, "process");
                None
            }
            (None, [one]) => Some(*one),
            (None, _) => {
                let reason = "a definition is one process: name the process to import in the options";
                self.unsupported(root, "a document with several processes", reason);
                None
            }
            (Some(wanted), all) => {
                let found = all.iter().find(|process| process.id() == Some(wanted)).copied();
                if found.is_none() {
                    let ids: Vec<&str> = all.iter().filter_map(|process| process.id()).collect();
                    self.report.unknown(&Place::Text(&root.spot()), "process", wanted, ids.into_iter());
                }
                found
            }
        }
    }

    /// Notes what is beside the processes.
    fn others(&mut self, root: Element<'_>) {
        for child in root.children() {
            match child.name() {
                Some("process" | "message" | "signal" | "error" | "escalation") => {}
                Some("collaboration" | "choreography" | "globalChoreographyTask") => {
                    self.note(child, "pools and the messages between them are left out: a definition is one process");
                }
                Some(
                    "import"
                    | "relationship"
                    | "dataStore"
                    | "itemDefinition"
                    | "interface"
                    | "endPoint"
                    | "resource"
                    | "category"
                    | "correlationProperty"
                    | "partnerEntity"
                    | "partnerRole"
                    | "extension"
                    | "documentation"
                    | "extensionElements"
                    | "globalTask"
                    | "globalUserTask"
                    | "globalScriptTask"
                    | "globalManualTask"
                    | "globalBusinessRuleTask",
                ) => {
                    self.note(child, format!("`{}` is left out", child.shown()));
                }
                Some(other) => self.unknown_element(child, other),
                None if child.shown() == "BPMNDiagram" => {
                    self.note(child, "the diagram is left out: positions have no counterpart");
                }
                None => self.note(child, format!("`{}` is not of BPMN and is left out", child.shown())),
            }
        }
    }

    /// Notes that names are left out, once for all of them.
    fn named_elements(&mut self, process: Element<'_>) {
        let names_something = ["inputDataItem", "outputDataItem", "linkEventDefinition"];
        let is_label = |node: &roxmltree::Node<'_, '_>| {
            node.attribute("name").is_some() && !names_something.contains(&node.tag_name().name())
        };
        if process.node.descendants().filter(roxmltree::Node::is_element).any(|node| is_label(&node)) {
            self.note(process, "names of elements are left out: nodes have their ids");
        }
    }

    fn unknown_element(&mut self, at: Element<'_>, name: &str) {
        self.report.unknown(&Place::Text(&at.spot()), "element", name, core::iter::empty());
    }

    /// Reports ids that two elements have.
    fn unique_ids(&mut self, root: Element<'_>) {
        let mut seen = BTreeSet::new();
        for node in root.node.descendants().filter(roxmltree::Node::is_element) {
            let element = Element { node, lines: root.lines };
            if let Some(id) = element.id().filter(|id| node.tag_name().namespace() == Some(MODEL) && !seen.insert(*id))
            {
                self.unsound(element, format!("the id `{}` is used twice", shown(id)));
            }
        }
    }

    /// The id of an element, which becomes the name of a node.
    pub(super) fn id(&mut self, at: Element<'_>) -> Option<Name> {
        let Some(id) = at.id() else {
            self.missing(at, "id");
            return None;
        };
        if !is_id(id) {
            self.invalid(at, "an id of letters, digits, `_`, `-` and `.`, of at most 200 bytes", id);
            return None;
        }
        Some(id.into())
    }

    /// The flow within a process or sub-process.
    pub(super) fn graph(&mut self, scope: Element<'_>) -> Graph {
        let (mut graph, mut indexes) = (Graph::default(), Indexes::new());
        self.plain(scope, &[]);
        for element in scope.children() {
            self.flow_node(element, &mut graph, &mut indexes);
        }
        self.boundary_events(scope, &mut graph, &mut indexes);
        self.flows(scope, &mut graph, &indexes);
        self.links(scope, &mut graph, &indexes);
        self.compensation(scope, &mut graph, &indexes);
        self.event_gateways(scope, &mut graph, &indexes);
        self.event_parts(scope, &mut graph);
        let starts = graph.nodes.iter().filter(|node| matches!(node.kind, Kind::Start)).count();
        if starts == 0 {
            self.unsupported(scope, "a process without a start event", "a definition begins at one place");
        }
        graph
    }

    /// Adds the node for an element of the flow.
    fn flow_node(&mut self, at: Element<'_>, graph: &mut Graph, indexes: &mut Indexes) {
        let Some(name) = at.name() else {
            return self.note(at, format!("`{}` is not of BPMN and is left out", at.shown()));
        };
        let kind = match name {
            "startEvent" => self.start_event(at, graph),
            "endEvent" => self.end_event(at),
            "intermediateCatchEvent" => self.catch_event(at),
            "intermediateThrowEvent" => self.throw_event(at),
            "exclusiveGateway" => self.gateway(at, Kind::Exclusive),
            "parallelGateway" => self.gateway(at, Kind::Parallel),
            "inclusiveGateway" => self.gateway(at, Kind::Inclusive),
            "eventBasedGateway" => self.event_gateway(at),
            "complexGateway" => {
                self.unsupported(at, "a complex gateway", "its activation condition has no counterpart");
                None
            }
            "task" | "serviceTask" | "userTask" | "scriptTask" | "sendTask" | "manualTask" | "businessRuleTask" => {
                self.task(at, name)
            }
            "receiveTask" => self.receive_task(at),
            "subProcess" if at.attribute("triggeredByEvent") == Some("true") => return,
            "subProcess" | "transaction" | "adHocSubProcess" => self.sub_process(at, name, graph),
            "callActivity" => self.call(at),
            "boundaryEvent"
            | "sequenceFlow"
            | "association"
            | "incoming"
            | "outgoing"
            | "extensionElements"
            | "multiInstanceLoopCharacteristics"
            | "standardLoopCharacteristics" => return,
            other if COMMENTS.contains(&other) => return,
            other => return self.unknown_element(at, other),
        };
        let Some(kind) = kind else { return };
        self.quantities(at);
        let Some(id) = self.id(at) else { return };
        let again = self.again(at, &kind);
        let is_undo = at.attribute("isForCompensation") == Some("true");
        let node = FlowNode { id: id.clone(), spot: at.spot(), kind, boundary: Vec::new(), undo: None, again };
        if is_undo {
            self.names.undo.insert(id.to_string(), node);
            return;
        }
        indexes.insert(id.to_string(), Target::Node(graph.nodes.len()));
        graph.nodes.push(node);
    }

    fn gateway(&mut self, at: Element<'_>, kind: Kind) -> Option<Kind> {
        self.plain(at, &[]);
        Some(kind)
    }

    /// Notes what an element has besides what is imported.
    pub(super) fn plain(&mut self, at: Element<'_>, known: &[&str]) {
        for child in at.children() {
            match child.name() {
                Some("extensionElements") => self.extensions(child),
                Some(name) if known.contains(&name) => {}
                Some(name) if COMMENTS.contains(&name) => self.note(child, format!("`{name}` is left out")),
                _ if SCOPES.iter().any(|scope| at.name() == Some(scope)) => {}
                Some(name) if PARTS.contains(&name) || name.ends_with("EventDefinition") => {}
                Some(name) => self.unknown_element(child, name),
                None => self.note(child, format!("`{}` is not of BPMN and is left out", child.shown())),
            }
        }
        for attribute in at.node.attributes() {
            let name = shown(attribute.name());
            match attribute.namespace() {
                Some(_) if matches!(attribute.name(), "topic" | "collection" | "elementVariable") => {}
                Some(_) => self.note(at, format!("the attribute `{name}` is not of BPMN and is left out")),
                None if !ATTRIBUTES.contains(&attribute.name()) => {
                    self.note(at, format!("the attribute `{name}` is left out"));
                }
                None => {}
            }
        }
    }

    fn extensions(&mut self, at: Element<'_>) {
        for child in at.children() {
            let is_known = matches!(child.node.tag_name().name(), "taskDefinition" | "loopCharacteristics");
            if !is_known {
                self.note(child, format!("the extension `{}` is left out", child.shown()));
            }
        }
    }

    fn quantities(&mut self, at: Element<'_>) {
        for name in ["startQuantity", "completionQuantity"] {
            if at.attribute(name).is_some_and(|quantity| quantity != "1") {
                self.unsupported(at, format!("`{name}` other than 1"), "a node takes and gives one token");
            }
        }
    }

    /// The condition in an element.
    pub(super) fn condition(&mut self, at: Element<'_>, root: &Expr, named: &[(&str, Expr)]) -> Option<Condition> {
        self.language(at)?;
        let found = expression::condition(&at.text(), Reads { root, named });
        self.expression(at, found)
    }

    /// The value of the expression in an element.
    pub(super) fn value(&mut self, at: Element<'_>, root: &Expr) -> Option<Expr> {
        self.language(at)?;
        let found = expression::value(&at.text(), Reads { root, named: &[] });
        self.expression(at, found)
    }

    fn expression<T>(&mut self, at: Element<'_>, found: Result<T, String>) -> Option<T> {
        found.map_err(|message| self.report.add(&Place::Text(&at.spot()), ImportFaultKind::Expression { message })).ok()
    }

    /// Reports an expression in a language that is not read.
    fn language(&mut self, at: Element<'_>) -> Option<()> {
        let Some(language) = at.attribute("language").map(str::to_owned) else { return Some(()) };
        let known = ["feel", "juel", "FEEL", "JUEL"];
        let is_known = known.iter().any(|known| language.contains(known));
        if !is_known {
            self.unsupported(
                at,
                format!("the language `{}`", shown(&language)),
                "expressions in `${}` and FEEL are read",
            );
        }
        is_known.then_some(())
    }

    /// The kind of tasks for a task.
    pub(super) fn work(&self, at: Element<'_>) -> Work {
        let definition = at.first("extensionElements").and_then(|extensions| {
            extensions.children().find(|child| child.node.tag_name().name() == "taskDefinition")
        });
        let own = definition.and_then(|definition| definition.attribute("type"));
        let topic = own.or_else(|| at.foreign("topic"));
        let implementation = at.attribute("implementation").filter(|name| !name.starts_with("##") && !name.is_empty());
        let kind = topic.or(implementation).or_else(|| at.id()).unwrap_or_default();
        let mapped = self.options.kinds.get(kind).cloned();
        Work::new(mapped.unwrap_or_else(|| kind.into()))
    }

    fn task(&mut self, at: Element<'_>, name: &str) -> Option<Kind> {
        self.plain(at, &["script"]);
        match name {
            "scriptTask" => self.note(at, "agents perform the script, which is left out"),
            "sendTask" => self.note(at, "agents send the message"),
            "manualTask" | "userTask" => self.note(at, "agents complete the task, such as programs that ask people"),
            _ => {}
        }
        Some(Kind::Task(self.work(at)))
    }
}

/// Whether an id can be the name of a node beside those that the import adds.
fn is_id(id: &str) -> bool {
    let mut letters = id.chars();
    id.len() <= 200
        && letters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.'))
}
