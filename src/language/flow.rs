//! The workflow of a document: makes nodes of its tasks, and maps the findings of validation to paths.

use super::DOCUMENT;
use super::context::{budget, variables};
use super::data::{Names, expression};
use super::fault::DocumentFaultKind;
use super::report::{Fields, Path, Report, get};
use super::task::{Draft, OnError, TASK};
use super::waits::signals;
use super::work::WORK;
use crate::base::limits::Limits;
use crate::base::name::Name;
use crate::definition::{Action, Case, Definition, Input, Join, Link, Node, On, OnCompensationFailure, OnFailure};
use crate::workflow::{Fault, Finding, Location, validate};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The fields of a nested workflow.
pub(super) const WITHIN: &[&str] = match DOCUMENT {
    [_, _, within @ ..] => within,
    _ => &[],
};

/// Names in references that cannot be ids of tasks.
const RESERVED: &[&str] =
    &["inputs", "item", "context", "run", "this", "true", "false", "null", "in", "fail", "continue"];

/// Suffixes of the additional nodes that a task becomes. Task ids contain no dot, so these names are unique.
pub(super) const GATE: &str = ".when";
pub(super) const ACCEPTED: &str = ".failed";
/// The policies for a failure that is not handled.
pub(super) const ON_FAILURE: &[(&str, OnFailure)] =
    &[("fail", OnFailure::Fail), ("finish", OnFailure::Finish), ("hold", OnFailure::Hold)];
/// The policies for a failed compensation.
pub(super) const ON_UNDO_FAILURE: &[(&str, OnCompensationFailure)] = &[
    ("hold", OnCompensationFailure::Hold),
    ("continue", OnCompensationFailure::Continue),
    ("stop", OnCompensationFailure::Stop),
];
pub(super) const YES: &str = "yes";
pub(super) const NO: &str = "no";

pub(super) struct Reader<'l> {
    pub(super) report: Report,
    pub(super) limits: &'l Limits,
    /// Whether a link between tasks could not be read. Then most findings of validation can be consequences of that and are left
    /// out.
    pub(super) links_lost: bool,
    /// The names of the tasks that contain the workflow that is being read.
    within: Vec<Name>,
    /// The paths of nodes in the document.
    pub(super) locations: Locations,
}

/// The paths of nodes in a document, by the names of the nodes that lead to them.
pub(super) type Locations = BTreeMap<Vec<Name>, String>;

impl<'l> Reader<'l> {
    pub(super) fn new(limits: &'l Limits) -> Self {
        Self {
            report: Report::default(),
            limits,
            links_lost: false,
            within: Vec::new(),
            locations: BTreeMap::from([(Vec::new(), String::new())]),
        }
    }

    /// A nested workflow.
    pub(super) fn within(&mut self, value: &Value, id: &str, path: &Path<'_>) -> Definition {
        let Some(fields) = self.report.object(value, path, WITHIN) else {
            self.links_lost = true;
            return Definition::new(id);
        };
        self.within.push(id.into());
        let flow = self.flow(fields, id, None, path);
        self.within.pop();
        flow
    }

    pub(super) fn flow(
        &mut self,
        fields: &Fields,
        name: &str,
        inputs: Option<BTreeMap<Name, Input>>,
        path: &Path<'_>,
    ) -> Definition {
        let name = self.report.text_at(fields, "name", path).unwrap_or(name);
        self.report.text_at(fields, "description", path);
        let mut flow = Definition::new(name);
        flow.version = self.report.integer_at(fields, "version", path).unwrap_or(0);
        flow.inputs = inputs;
        let at = path.field("tasks");
        flow.signals = signals(fields, path, &mut self.report);
        flow.budget = budget(fields, path, &mut self.report);
        flow.on_failure = self.report.keyword_at(fields, "on_failure", path, ON_FAILURE).unwrap_or_default();
        flow.on_compensation_failure =
            self.report.keyword_at(fields, "on_compensation_failure", path, ON_UNDO_FAILURE).unwrap_or_default();
        let tasks = self.tasks(fields, path);
        let declared = flow.inputs.clone();
        let names = Names {
            inputs: declared.as_ref().map(|inputs| inputs.keys().map(Name::as_str).collect()),
            tasks: tasks.iter().map(|(index, id, _)| (*id, *index)).collect(),
            choices: tasks.iter().filter(|(.., task)| get(task, "choose").is_some()).map(|(_, id, _)| *id).collect(),
            variables: get(fields, "context")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .map(|(name, _)| &**name)
                .collect(),
        };
        flow.variables = variables(fields, path, &names, &mut self.report);
        let mut drafts = Vec::with_capacity(tasks.len());
        for (index, id, fields) in tasks {
            let draft = self.task(fields, id, &at.item(index), &names);
            self.add_location(id, &at.item(index));
            drafts.push(draft);
        }
        flow.nodes = nodes(drafts);
        if let Some(outputs) = get(fields, "outputs") {
            flow.output = expression(outputs, &path.field("outputs"), &names, &mut self.report);
        }
        flow
    }

    fn add_location(&mut self, id: &str, path: &Path<'_>) {
        for ending in ["", GATE, ACCEPTED] {
            let mut key = self.within.clone();
            key.push(format!("{id}{ending}").into());
            self.locations.insert(key, path.to_string());
        }
    }

    /// The tasks with a valid, unique id.
    fn tasks<'d>(&mut self, fields: &'d Fields, path: &Path<'_>) -> Vec<(usize, &'d str, &'d Fields)> {
        let at = path.field("tasks");
        let Some(value) = get(fields, "tasks") else {
            self.report.add(path, DocumentFaultKind::Missing { field: "tasks".to_owned() });
            return Vec::new();
        };
        let list = self.report.list(value, &at);
        if list.len() > self.limits.runs.nodes as usize {
            let (count, limit) = (list.len(), self.limits.runs.nodes);
            self.report.add(at, DocumentFaultKind::TooMany { what: "tasks", count, limit });
            self.links_lost = true;
            return Vec::new();
        }
        let keys: Vec<&str> = TASK.iter().chain(WORK).copied().collect();
        let mut seen = BTreeSet::new();
        let mut tasks = Vec::new();
        for (index, task) in list.iter().enumerate() {
            let at = at.item(index);
            let id = self.report.object(task, &at, &keys).and_then(|fields| Some((self.id(fields, &at)?, fields)));
            match id {
                Some((id, fields)) if seen.insert(id) => tasks.push((index, id, fields)),
                Some((id, _)) => {
                    self.report.add(at.field("id"), DocumentFaultKind::Duplicate { what: "task", name: id.to_owned() });
                    self.links_lost = true;
                }
                None => self.links_lost = true,
            }
        }
        tasks
    }

    fn id<'d>(&mut self, fields: &'d Fields, path: &Path<'_>) -> Option<&'d str> {
        if get(fields, "id").is_none() {
            self.report.add(path, DocumentFaultKind::Missing { field: "id".to_owned() });
        }
        let id = self.report.text_at(fields, "id", path)?;
        if !is_id(id) {
            let expected =
                "a task id: letters, digits, _ and -, and no word with another meaning, such as inputs or continue";
            self.report.invalid(&path.field("id"), expected, id);
            return None;
        }
        Some(id)
    }

    /// Adds the findings of validation.
    pub(super) fn check(&mut self, definition: &Definition) {
        let Err(error) = validate(definition, self.limits) else { return };
        for finding in error.findings() {
            if !self.links_lost || matches!(finding.fault, Fault::Cycle { .. }) {
                let path = self.path_of(finding);
                self.report.add(path, DocumentFaultKind::InvalidWorkflow(finding.fault.clone()));
            }
        }
    }

    fn path_of(&self, finding: &Finding) -> String {
        let task = self.locations.get(&finding.path).cloned().unwrap_or_default();
        let gate = finding.path.last().is_some_and(|name| name.ends_with(GATE));
        let field = if gate { "when" } else { field_of(&finding.fault) };
        let dot = if task.is_empty() || field.is_empty() { "" } else { "." };
        format!("{task}{dot}{field}")
    }
}

/// Whether a text can be the id of a task.
pub(super) fn is_id(text: &str) -> bool {
    let plain = text.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-' | ' '));
    !text.is_empty() && plain && !RESERVED.contains(&text)
}

/// The field of a task that a fault concerns, if there is one.
fn field_of(fault: &Fault) -> &'static str {
    if matches!(fault, Fault::UnknownCase { .. } | Fault::NotAChoice { .. } | Fault::DuplicateLink { .. }) {
        return "depends_on";
    }
    if matches!(fault, Fault::Cycle { .. }) {
        return "tasks";
    }
    if matches!(fault, Fault::ConcurrentWrites { .. } | Fault::WritesTwice { .. }) {
        return "writes";
    }
    if matches!(fault, Fault::InitialValue { .. }) {
        return "context";
    }
    if matches!(fault, Fault::PostconditionWithoutWork) {
        return "postcondition";
    }
    let (Fault::TooEarly { location, .. }
    | Fault::NoItem { location }
    | Fault::TooDeep { location, .. }
    | Fault::UnknownLocal { location, .. }
    | Fault::BadLocal { location, .. }
    | Fault::Arguments { location, .. }) = fault
    else {
        return "";
    };
    match location {
        Location::Input => "inputs",
        Location::Over => "for_each",
        Location::Bounds => "max_concurrent",
        Location::Overrides | Location::State(_) => "",
        Location::Until => "repeat",
        Location::Case(_) => "choose",
        Location::Output => "outputs",
        Location::Precondition => "precondition",
        Location::Postcondition => "postcondition",
        Location::Failure => "fail",
        Location::Receivers => "send",
        Location::Writes => "writes",
        Location::Variable(_) | Location::Updates(_) => "context",
    }
}

/// Makes the nodes: a choice before each task with `when`, and failure links for `on_error`.
fn nodes(drafts: Vec<Draft<'_>>) -> Vec<Node> {
    let mut failures: BTreeMap<&str, Vec<Name>> = BTreeMap::new();
    for draft in &drafts {
        if let OnError::Goto(target) = draft.on_error {
            failures.entry(target).or_default().push(draft.node.name.clone());
        }
    }
    let mut nodes = Vec::new();
    for Draft { mut node, when, joins, on_error } in drafts {
        if let Some(failed) = failures.get(node.name.as_str()) {
            node.after.extend(failed.iter().map(Link::failure));
            if !joins {
                node.join = Join::Any;
            }
        }
        let accepted = matches!(on_error, OnError::Continue)
            .then(|| Node::new(format!("{}{ACCEPTED}", node.name), Action::Pass).with_link(Link::failure(&node.name)));
        if let Some(when) = when {
            let cases = vec![Case::new(YES, when)];
            let choose = Action::Choose { pick: crate::definition::Pick::First, cases, otherwise: Some(NO.into()) };
            let mut gate = Node::new(format!("{}{GATE}", node.name), choose);
            gate.after = core::mem::take(&mut node.after);
            gate.join = core::mem::take(&mut node.join);
            node.after.push(Link { node: gate.name.clone(), on: On::Case(YES.into()) });
            nodes.push(gate);
        }
        nodes.push(node);
        nodes.extend(accepted);
    }
    nodes
}
