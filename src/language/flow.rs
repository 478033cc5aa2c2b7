//! A whole workflow of a document: its tasks become nodes, and what validation finds gets a path.

use super::DOCUMENT;
use super::context::{budget, variables};
use super::data::{Names, expression};
use super::inputs::Input;
use super::mistake::Wrong;
use super::report::{Fields, Path, Report, get};
use super::task::{Draft, OnError, TASK};
use super::waits::signals;
use super::work::WORK;
use crate::definition::{Action, Case, Definition, Join, Link, Node, On, OnFailure, OnUndoFailure};
use crate::limits::Limits;
use crate::name::Name;
use crate::workflow::{Fault, Finding, Place, validate};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The fields of a workflow within a task.
pub(super) const WITHIN: &[&str] = match DOCUMENT.split_first() {
    Some((_, within)) => within,
    None => &[],
};

/// Words that stand for something else than a task.
const RESERVED: &[&str] = &["inputs", "item", "context", "fail", "continue"];

/// What the names of the nodes end with that tasks become beside themselves. No id of a task has a dot.
const GATE: &str = ".when";
const ACCEPTED: &str = ".failed";
/// What becomes of a failure that nothing takes care of.
pub(super) const ON_FAILURE: &[(&str, OnFailure)] = &[("turn_back", OnFailure::TurnBack), ("hold", OnFailure::Hold)];
/// What a failed compensation holds back.
pub(super) const ON_UNDO_FAILURE: &[(&str, OnUndoFailure)] =
    &[("hold", OnUndoFailure::Hold), ("continue", OnUndoFailure::Continue), ("halt", OnUndoFailure::Halt)];
const YES: &str = "yes";
const NO: &str = "no";

pub(super) struct Reader<'l> {
    pub(super) report: Report,
    pub(super) limits: &'l Limits,
    /// Whether something that leads from one task to another could not be read: then what validation says of the rest may
    /// only follow from that.
    pub(super) links_lost: bool,
    /// The names of the tasks that lead to the workflow that is read.
    within: Vec<Name>,
    /// Where nodes stand in the document.
    places: BTreeMap<Vec<Name>, String>,
}

impl<'l> Reader<'l> {
    pub(super) fn new(limits: &'l Limits) -> Self {
        Self {
            report: Report::default(),
            limits,
            links_lost: false,
            within: Vec::new(),
            places: BTreeMap::from([(Vec::new(), String::new())]),
        }
    }

    /// A workflow within a task.
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
        inputs: Option<&[Input]>,
        path: &Path<'_>,
    ) -> Definition {
        let name = self.report.text_at(fields, "name", path).unwrap_or(name);
        self.report.text_at(fields, "description", path);
        let mut flow = Definition::new(name);
        flow.version = self.report.whole_at(fields, "version", path).unwrap_or(0);
        let at = path.field("tasks");
        flow.signals = signals(fields, path, &mut self.report);
        flow.budget = budget(fields, path, &mut self.report);
        flow.on_failure = self.report.word_at(fields, "on_failure", path, ON_FAILURE).unwrap_or_default();
        flow.on_undo_failure =
            self.report.word_at(fields, "on_undo_failure", path, ON_UNDO_FAILURE).unwrap_or_default();
        let tasks = self.tasks(fields, path);
        let names = Names {
            inputs: inputs.map(|inputs| inputs.iter().map(|input| input.name.as_str()).collect::<BTreeSet<&str>>()),
            tasks: tasks.iter().map(|(place, id, _)| (*id, *place)).collect(),
            variables: get(fields, "context")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .map(|(name, _)| &**name)
                .collect(),
        };
        flow.variables = variables(fields, path, &names, &mut self.report);
        let mut drafts = Vec::with_capacity(tasks.len());
        for (place, id, fields) in tasks {
            let draft = self.task(fields, id, &at.item(place), &names);
            self.place(id, &at.item(place));
            drafts.push(draft);
        }
        flow.nodes = nodes(drafts);
        if let Some(outputs) = get(fields, "outputs") {
            flow.output = expression(outputs, &path.field("outputs"), &names, &mut self.report);
        }
        flow
    }

    fn place(&mut self, id: &str, path: &Path<'_>) {
        for ending in ["", GATE, ACCEPTED] {
            let mut key = self.within.clone();
            key.push(format!("{id}{ending}").into());
            self.places.insert(key, path.to_string());
        }
    }

    /// The tasks that have an id of their own.
    fn tasks<'d>(&mut self, fields: &'d Fields, path: &Path<'_>) -> Vec<(usize, &'d str, &'d Fields)> {
        let at = path.field("tasks");
        let Some(value) = get(fields, "tasks") else {
            self.report.add(path, Wrong::Missing { field: "tasks".to_owned() });
            return Vec::new();
        };
        let list = self.report.list(value, &at);
        if list.len() > self.limits.nodes as usize {
            let (count, limit) = (list.len(), self.limits.nodes);
            self.report.add(at, Wrong::TooMany { what: "tasks", count, limit });
            self.links_lost = true;
            return Vec::new();
        }
        let keys: Vec<&str> = TASK.iter().chain(WORK).copied().collect();
        let mut seen = BTreeSet::new();
        let mut tasks = Vec::new();
        for (place, task) in list.iter().enumerate() {
            let at = at.item(place);
            let id = self.report.object(task, &at, &keys).and_then(|fields| Some((self.id(fields, &at)?, fields)));
            match id {
                Some((id, fields)) if seen.insert(id) => tasks.push((place, id, fields)),
                Some((id, _)) => {
                    self.report.add(at.field("id"), Wrong::Duplicate { what: "task", name: id.to_owned() });
                    self.links_lost = true;
                }
                None => self.links_lost = true,
            }
        }
        tasks
    }

    fn id<'d>(&mut self, fields: &'d Fields, path: &Path<'_>) -> Option<&'d str> {
        if get(fields, "id").is_none() {
            self.report.add(path, Wrong::Missing { field: "id".to_owned() });
        }
        let id = self.report.text_at(fields, "id", path)?;
        let plain = id.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-' | ' '));
        if id.is_empty() || !plain || RESERVED.contains(&id) {
            let expected = "id of a task: letters, digits, _ and -, and not inputs, item, context, fail or continue";
            self.report.meaningless(&path.field("id"), expected, id);
            return None;
        }
        Some(id)
    }

    /// What validation says beyond what was found in reading.
    pub(super) fn check(&mut self, definition: &Definition) {
        let Err(error) = validate(definition, self.limits) else { return };
        for finding in error.findings() {
            if !self.links_lost || matches!(finding.fault, Fault::Cycle { .. }) {
                let path = self.path_of(finding);
                self.report.add(path, Wrong::Unsound(finding.fault.clone()));
            }
        }
    }

    fn path_of(&self, finding: &Finding) -> String {
        let task = self.places.get(&finding.path).cloned().unwrap_or_default();
        let gate = finding.path.last().is_some_and(|name| name.ends_with(GATE));
        let field = if gate { "when" } else { field_of(&finding.fault) };
        let dot = if task.is_empty() || field.is_empty() { "" } else { "." };
        format!("{task}{dot}{field}")
    }
}

/// The field of a task that a fault is about, where there is one.
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
    let (Fault::TooEarly { place, .. } | Fault::NoItem { place } | Fault::TooDeep { place, .. }) = fault else {
        return "";
    };
    match place {
        Place::Input => "inputs",
        Place::Over => "for_each",
        Place::Until => "repeat",
        Place::Case(_) => "choose",
        Place::Output => "outputs",
        Place::Precondition => "precondition",
        Place::Postcondition => "postcondition",
        Place::Writes => "writes",
        Place::Variable(_) | Place::Updates(_) => "context",
        Place::State(_) => "",
    }
}

/// Puts the tasks together: a choice before each that is done only sometimes, links from those that fail.
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
