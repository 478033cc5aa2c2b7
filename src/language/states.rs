//! Nodes with states, between which one token moves.

use super::data::{Names, condition, expression};
use super::failures::failures;
use super::fault::DocumentFaultKind;
use super::flow::Reader;
use super::report::{Fields, Path, get};
use super::work::{WORK, main_work, retry};
use crate::definition::{Action, Body, Condition, State, States, Transition, Work};
use serde_json::Value;
use std::sync::Arc;

pub(super) const STATES: &[&str] = &["start", "most", "states"];
pub(super) const STATE: &[&str] =
    &["name", "do", "workflow", "call", "inputs", "output", "compensate", "retry", "next"];
pub(super) const TRANSITION: &[&str] = &["to", "when", "on_failure", "output"];

impl<'d> Reader<'_> {
    pub(super) fn states(&mut self, fields: &'d Fields, path: &Path<'_>, names: &Names<'d>) -> Option<Action> {
        let at = path.field("states");
        let value = get(fields, "states")?;
        let Some(fields) = self.report.object(value, &at, STATES) else { return Some(Action::Pass) };
        for field in STATES.iter().filter(|field| get(fields, field).is_none()) {
            self.report.add(at, DocumentFaultKind::Missing { field: (*field).to_owned() });
        }
        let start = self.report.text_at(fields, "start", &at).unwrap_or_default();
        let mut states = States::from(start, self.report.integer_at(fields, "most", &at).unwrap_or(1));
        if let Some(list) = get(fields, "states") {
            let at = at.field("states");
            for (index, state) in self.report.list(list, &at).iter().enumerate() {
                states.states.extend(self.state(state, &at.item(index), names));
            }
        }
        Some(Action::States(states))
    }

    fn state(&mut self, value: &'d Value, path: &Path<'_>, names: &Names<'d>) -> Option<State> {
        let fields = self.report.object(value, path, STATE)?;
        if get(fields, "name").is_none() {
            self.report.add(path, DocumentFaultKind::Missing { field: "name".to_owned() });
        }
        let name = self.report.text_at(fields, "name", path);
        let kinds: Vec<&'static str> =
            ["do", "workflow", "call"].into_iter().filter(|field| get(fields, field).is_some()).collect();
        if let [one, other, ..] = *kinds.as_slice() {
            self.report.add(path, DocumentFaultKind::Exclusive { one, other });
        }
        let mut state = State::new(name.unwrap_or_default());
        state.body = self.body(fields, name.unwrap_or_default(), path, names);
        let at = path.field("inputs");
        if let Some(data) = get(fields, "inputs") {
            state.input = expression(data, &at, names, &mut self.report);
        }
        state.output =
            get(fields, "output").map(|data| expression(data, &path.field("output"), names, &mut self.report));
        let kind = match &state.body {
            Some(Body::Task(work)) => work.kind.to_string(),
            Some(Body::Flow(_) | Body::Call(_)) | None => name.unwrap_or_default().to_owned(),
        };
        state.undo = self.companion_of(fields, &kind, path, "compensate", "undo");
        state.retry = get(fields, "retry").map(|value| retry(value, &path.field("retry"), &mut self.report));
        state.next = self.transitions(fields, path, names);
        name.map(|_| state)
    }

    /// The work of a state: a kind, an object, or a nested workflow.
    fn body(&mut self, fields: &'d Fields, name: &str, path: &Path<'_>, names: &Names<'_>) -> Option<Body> {
        let at = path.field("do");
        let task = get(fields, "do").and_then(|value| match value {
            Value::String(kind) => {
                self.report.kind(kind, &at);
                Some(Work::new(kind.as_str()))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                let fields = self.report.object(value, &at, WORK)?;
                let work = main_work(fields, name, &at, names, &mut self.report);
                self.report.kind(&work.kind, &at.field("type"));
                Some(work)
            }
        });
        let flow = get(fields, "workflow").map(|flow| self.within(flow, name, &path.field("workflow")));
        let call = get(fields, "call").and_then(|call| self.call(call, &path.field("call")));
        task.map(Body::Task).or_else(|| flow.map(|flow| Body::Flow(Arc::new(flow)))).or_else(|| call.map(Body::Call))
    }

    fn transitions(&mut self, fields: &'d Fields, path: &Path<'_>, names: &Names<'d>) -> Vec<Transition> {
        let Some(transitions) = get(fields, "next") else { return Vec::new() };
        let at = path.field("next");
        let to = |to: &str| Transition { to: to.into(), when: Condition::True, on_failure: None, output: None };
        if let Value::String(only) = transitions {
            return vec![to(only)];
        }
        let mut read = Vec::new();
        for (index, transition) in self.report.list(transitions, &at).iter().enumerate() {
            let at = at.item(index);
            if let Value::String(name) = transition {
                read.push(to(name));
                continue;
            }
            let Some(fields) = self.report.object(transition, &at, TRANSITION) else { continue };
            if get(fields, "to").is_none() {
                self.report.add(at, DocumentFaultKind::Missing { field: "to".to_owned() });
            }
            let when = get(fields, "when").map(|when| condition(when, &at.field("when"), names, &mut self.report));
            let fails = get(fields, "on_failure").is_some_and(|failures| *failures != Value::Bool(false));
            let on_failure = fails.then(|| failures(fields, "on_failure", &at, &mut self.report));
            if let Some(name) = self.report.text_at(fields, "to", &at) {
                let output = get(fields, "output");
                let output = output.map(|data| expression(data, &at.field("output"), names, &mut self.report));
                read.push(Transition { when: when.unwrap_or(Condition::True), on_failure, output, ..to(name) });
            }
        }
        read
    }
}
