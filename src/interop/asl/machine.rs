//! State machines: the whole one, the branches of a `Parallel`, and the items of a `Map`.

use super::Options;
use super::context::{Context, InRun, Part};
use super::errors::{catchers, known_fields, reference};
use super::path::at;
use super::template::{path_in, template};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::{Action, Body, Budget, Definition, Expr, Function, Node, State, States, Transition};
use crate::interop::report::{Fields, ImportFaultKind, Place, Report};
use core::time::Duration;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The node that contains the states.
pub(super) const NODE: &str = "states";

const WHOLE: &[&str] = &["StartAt", "States", "Comment", "Version", "TimeoutSeconds", "QueryLanguage"];
const PART: &[&str] = &["StartAt", "States", "Comment", "QueryLanguage", "ProcessorConfig"];

/// Fields that belong to the other mode or set variables.
const WITHOUT: &[(&str, &str)] = &[
    ("Arguments", "it belongs to JSONata, which has no counterpart"),
    ("Output", "it belongs to JSONata, which has no counterpart"),
    ("Items", "it belongs to JSONata, which has no counterpart"),
    ("Condition", "it belongs to JSONata, which has no counterpart"),
    ("Assign", "variables of a state machine have no counterpart"),
    ("Credentials", "the host decides which agents may do what"),
    ("ItemReader", "the engine performs no I/O: let a task return the list"),
    ("ItemBatcher", "items are not put together: let a task return a list of lists"),
    ("ResultWriter", "the engine performs no I/O: let a task store the results"),
];

/// Reads a document.
pub(super) struct Importer<'o> {
    pub(super) options: &'o Options,
    pub(super) report: Report,
}

/// A state of a document.
#[derive(Clone, Copy)]
pub(super) struct StateAt<'a> {
    pub(super) name: &'a str,
    pub(super) fields: &'a Fields,
    pub(super) place: &'a Place<'a>,
    /// All states of the machine.
    pub(super) states: &'a Fields,
    pub(super) run: InRun,
}

impl<'a> StateAt<'a> {
    /// The context of expressions whose `$` is this.
    pub(super) fn context(&self, root: Expr) -> Context<'a> {
        Context { root, state: self.name, run: self.run, part: Part::State }
    }
}

/// What the token carried into the state, in the output of the state.
pub(super) fn carried() -> Expr {
    Expr::Item.at("/input")
}

/// The result of the body, in the output of the state.
pub(super) fn result() -> Expr {
    Expr::Item.at("/result")
}

/// An object without fields.
pub(super) fn nothing() -> Expr {
    Expr::Const(Payload::new(Value::Object(Map::new())))
}

impl Importer<'_> {
    /// The definition of a whole document.
    pub(super) fn whole(&mut self, document: &Value) -> Definition {
        let place = Place::Root;
        let empty = Definition::new(self.options.name.clone());
        let Some(fields) = self.report.object(document, &place) else { return empty };
        known_fields(fields, WHOLE, &place, &mut self.report);
        if let Some(version) = self.report.text(fields, "Version", &place).filter(|version| *version != "1.0") {
            self.report.invalid(&place.field("Version"), "1.0", version);
        }
        let mut definition = self.machine(fields, &place, empty, InRun::Whole);
        if let Some(seconds) = self.seconds(fields, "TimeoutSeconds", &place) {
            self.report.note(&place.field("TimeoutSeconds"), "the failure has the code `cp.budget.time`");
            definition = definition.with_budget(Budget::default().with_time(seconds));
        }
        definition
    }

    /// A part of a state: a branch, or the work for an item.
    pub(super) fn part(&mut self, value: &Value, place: &Place<'_>, name: String) -> Definition {
        let empty = Definition::new(name);
        let Some(fields) = self.report.object(value, place) else { return empty };
        known_fields(fields, PART, place, &mut self.report);
        self.machine(fields, place, empty, InRun::Child)
    }

    fn machine(&mut self, fields: &Fields, place: &Place<'_>, empty: Definition, run: InRun) -> Definition {
        self.query_language(fields, place);
        let start = self.report.text(fields, "StartAt", place).unwrap_or_default();
        let at = place.field("States");
        let Some(states) = fields.get("States") else {
            self.report.missing(place, "States");
            return empty;
        };
        let Some(states) = self.report.object(states, &at) else { return empty };
        if !fields.contains_key("StartAt") {
            self.report.missing(place, "StartAt");
        } else if fields.get("StartAt").is_some_and(Value::is_string) {
            self.known_state(start, states, &place.field("StartAt"));
        }
        let mut read = States::from(start, self.options.max_steps);
        for (name, state) in states {
            let place = at.field(name);
            if let Some(fields) = self.report.object(state, &place) {
                let state = StateAt { name, fields, place: &place, states, run };
                read = read.with(self.state(&state));
            }
        }
        self.unreachable(&read, &at);
        let node = Node::new(NODE, Action::States(read)).with_input(Expr::Input);
        empty.with_node(node).with_output(Expr::node(NODE))
    }

    /// Reports states to which nothing leads, if there are no other faults that explain it.
    fn unreachable(&mut self, states: &States, place: &Place<'_>) {
        if self.report.has_faults() {
            return;
        }
        let named: BTreeMap<&Name, &State> = states.states.iter().map(|state| (&state.name, state)).collect();
        let mut entered = BTreeSet::from([&states.start]);
        let mut work = vec![&states.start];
        while let Some(name) = work.pop() {
            let ways = named.get(name).into_iter().flat_map(|state| &state.next);
            work.extend(ways.map(|way| &way.to).filter(|to| entered.insert(to)));
        }
        for state in states.states.iter().filter(|state| !entered.contains(&state.name)) {
            let message = "no state leads to it".to_owned();
            self.report.add(&place.field(&state.name), ImportFaultKind::Unsound { message });
        }
    }

    /// Reports a name that is not that of a state.
    pub(super) fn known_state(&mut self, name: &str, states: &Fields, place: &Place<'_>) {
        if !states.contains_key(name) {
            self.report.unknown(place, "state", name, states.keys().map(String::as_str));
        }
    }

    fn query_language(&mut self, fields: &Fields, place: &Place<'_>) {
        match self.report.text(fields, "QueryLanguage", place) {
            None | Some("JSONPath") => {}
            Some("JSONata") => {
                let reason = "definitions have one language of expressions";
                self.report.unsupported(&place.field("QueryLanguage"), "JSONata", reason);
            }
            Some(other) => self.report.invalid(&place.field("QueryLanguage"), "JSONPath or JSONata", other),
        }
    }

    /// Reports the fields of a state that are not known or have no counterpart.
    pub(super) fn fields(&mut self, at: &StateAt<'_>, known: &[&[&str]]) {
        self.query_language(at.fields, at.place);
        let mut rest = Fields::new();
        for (name, value) in at.fields {
            match WITHOUT.iter().find(|(without, _)| without == name) {
                Some((_, reason)) => self.report.unsupported(&at.place.field(name), format!("`{name}`"), reason),
                None => _ = rest.insert(name.clone(), value.clone()),
            }
        }
        let common = ["Type", "Comment", "QueryLanguage"];
        let known: Vec<&str> = common.iter().chain(known.iter().copied().flatten()).copied().collect();
        known_fields(&rest, &known, at.place, &mut self.report);
    }

    /// A positive number of seconds in a field.
    pub(super) fn seconds(&mut self, fields: &Fields, name: &str, place: &Place<'_>) -> Option<Duration> {
        let seconds = self.report.integer(fields, name, "a positive number of seconds", place)?;
        if seconds == 0 {
            self.report.invalid(&place.field(name), "a positive number of seconds", "0");
        }
        Some(Duration::from_secs(seconds.into()))
    }
}

/// The data of a state.
impl Importer<'_> {
    /// The input of a state after `InputPath`.
    pub(super) fn effective(&mut self, at: &StateAt<'_>, root: Expr) -> Expr {
        self.filtered(at, root, "InputPath")
    }

    /// A value after `OutputPath`.
    pub(super) fn selected(&mut self, at: &StateAt<'_>, value: Expr) -> Expr {
        self.filtered(at, value, "OutputPath")
    }

    fn filtered(&mut self, at: &StateAt<'_>, value: Expr, field: &str) -> Expr {
        match at.fields.get(field) {
            None => value,
            Some(Value::Null) => nothing(),
            Some(_) => path_in(at.fields, field, &at.context(value), at.place, &mut self.report).unwrap_or_default(),
        }
    }

    /// The input of a state after `InputPath` and a template.
    pub(super) fn prepared(&mut self, at: &StateAt<'_>, root: Expr, field: &str) -> Expr {
        let effective = self.effective(at, root);
        match at.fields.get(field) {
            None => effective,
            Some(value) => self.template(at, value, field, &at.context(effective)),
        }
    }

    pub(super) fn template(&mut self, at: &StateAt<'_>, value: &Value, field: &str, context: &Context<'_>) -> Expr {
        let place = at.place.field(field);
        if !value.is_object() {
            self.report.expected(&place, "an object", value);
        }
        template(value, context, &place, &mut self.report)
    }

    /// A result after `ResultPath` and `OutputPath`.
    pub(super) fn placed(&mut self, at_state: &StateAt<'_>, value: Expr) -> Expr {
        let placed = match at_state.fields.get("ResultPath") {
            None => value,
            Some(Value::Null) => carried(),
            Some(_) => {
                let text = self.report.text(at_state.fields, "ResultPath", at_state.place).unwrap_or("$");
                let pointer = reference(text, &at_state.place.field("ResultPath"), &mut self.report);
                match pointer.as_str() {
                    "" => value,
                    pointer => Expr::call(Function::Put, [at(carried(), ""), Expr::value(pointer), value]),
                }
            }
        };
        self.selected(at_state, placed)
    }

    /// The output of a state whose body gives a result; none if it is the result.
    pub(super) fn output(&mut self, at: &StateAt<'_>) -> Option<Expr> {
        let value = match at.fields.get("ResultSelector") {
            None => result(),
            Some(value) => self.template(at, value, "ResultSelector", &at.context(result())),
        };
        let output = self.placed(at, value);
        (output != result()).then_some(output)
    }

    /// The transitions of a state that is not a `Choice`.
    pub(super) fn ways(&mut self, at: &StateAt<'_>) -> Vec<Transition> {
        let mut state = State::new(at.name);
        let ends = match at.fields.get("End") {
            None | Some(Value::Bool(false)) => false,
            Some(Value::Bool(true)) => true,
            Some(other) => {
                self.report.expected(&at.place.field("End"), "true or false", other);
                true
            }
        };
        match (self.report.text(at.fields, "Next", at.place), ends) {
            (Some(_), true) => self.report.exclusive(at.place, "Next", "End"),
            (Some(next), false) => {
                self.known_state(next, at.states, &at.place.field("Next"));
                state = state.then(next);
            }
            (None, false) if !at.fields.contains_key("Next") => self.report.missing(at.place, "Next or End"),
            (None, _) => {}
        }
        if let Some(value) = at.fields.get("Catch") {
            let place = at.place.field("Catch");
            let catchers = catchers(value, &place, &mut self.report);
            for (index, catcher) in value.as_array().into_iter().flatten().enumerate() {
                if let Some(next) = catcher.get("Next").and_then(Value::as_str) {
                    self.known_state(next, at.states, &place.item(index).field("Next"));
                }
            }
            state.next.extend(catchers);
        }
        state.next
    }
}

/// A definition whose one node does this, with the input of the run.
pub(super) fn only(name: &str, action: Action) -> Definition {
    let node = Node::new(ONLY, action).with_input(Expr::Input);
    Definition::new(name).with_node(node).with_output(Expr::node(ONLY))
}

/// The node of a nested workflow that has only one.
pub(super) const ONLY: &str = "work";

/// A nested workflow.
pub(super) fn flow(definition: Definition) -> Body {
    Body::Flow(definition.into())
}
