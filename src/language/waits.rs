//! Races, decisions, boundary handlers, milestones and signals.

use super::data::{Names, condition, expression};
use super::failures::{FAILURES, failures};
use super::fault::DocumentFaultKind;
use super::flow::Reader;
use super::report::{Fields, Path, Report, get};
use crate::base::name::Name;
use crate::definition::{
    Action, Boundary, Condition, Decision, Escalation, Expr, Fail, Handler, Milestone, RaceOption, Receivers,
    SendSignal, SignalRule, WaitFor,
};
use crate::task::FailureKind;
use serde_json::Value;

pub(super) const RACE_OPTION: &[&str] = &["name", "signal", "matching", "after", "at", "when", "decision"];
pub(super) const DECISION: &[&str] = &["role", "options", "escalation", "not_by"];
pub(super) const ESCALATION: &[&str] = &["after", "role"];
pub(super) const HANDLER: &[&str] = &["name", "error", "timeout", "signal", "matching", "when", "cancel", "beside"];
pub(super) const MILESTONE: &[&str] = &["after", "until"];
pub(super) const SIGNAL: &[&str] = &["transient", "kept_for", "most", "description"];
pub(super) const SEND: &[&str] = &["signal", "to", "workflow", "key"];
pub(super) const FAIL: &[&str] = &["message", "kind", "code", "details"];

/// The fields of which a race option has exactly one, and those of which a handler has exactly one.
pub(super) const RACE_EVENTS: &[&str] = &["signal", "after", "at", "when", "decision"];
pub(super) const BOUNDARIES: &[&str] = &["error", "timeout", "signal", "when", "cancel"];

/// The signal rules of a workflow.
pub(super) fn signals(fields: &Fields, path: &Path<'_>, report: &mut Report) -> Vec<SignalRule> {
    let at = path.field("signals");
    let rules = match get(fields, "signals") {
        None => return Vec::new(),
        Some(Value::Object(rules)) => rules,
        Some(other) => {
            report.wrong_type(&at, "an object", other);
            return Vec::new();
        }
    };
    let mut read = Vec::with_capacity(rules.len());
    for (name, value) in rules {
        let at = at.field(name);
        let mut rule = SignalRule::new(name.as_str());
        if let Some(fields) = (!value.is_null()).then(|| report.object(value, &at, SIGNAL)).flatten() {
            report.text_at(fields, "description", &at);
            rule.transient = report.bool_at(fields, "transient", &at);
            rule.ttl = report.span_at(fields, "kept_for", &at);
            rule.max_kept = report.integer_at(fields, "most", &at);
        }
        read.push(rule);
    }
    read
}

/// The runs to which a signal is sent, other than those of a workflow.
pub(super) const RECEIVERS: &[(&str, Relative)] =
    &[("run", Relative::Run), ("parent", Relative::Parent), ("root", Relative::Root)];

/// A run that is found from the sending one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Relative {
    Run,
    Parent,
    Root,
}

impl<'d> Reader<'_> {
    /// A signal to a run that is found from this one, or to runs of a workflow.
    pub(super) fn send(&mut self, value: &'d Value, path: &Path<'_>, names: &Names<'d>) -> Action {
        let Some(fields) = self.report.object(value, path, SEND) else { return Action::Pass };
        let signal = self.report.text_at(fields, "signal", path).map(Name::from);
        if get(fields, "signal").is_none() {
            self.report.add(path, DocumentFaultKind::Missing { field: "signal".to_owned() });
        }
        let to = self.report.keyword_at(fields, "to", path, RECEIVERS);
        let workflow = self.report.text_at(fields, "workflow", path).map(Name::from);
        let key = get(fields, "key").map(|key| expression(key, &path.field("key"), names, &mut self.report));
        if get(fields, "to").is_some() && get(fields, "workflow").is_some() {
            self.report.add(path, DocumentFaultKind::Exclusive { one: "to", other: "workflow" });
        } else if key.is_some() && get(fields, "workflow").is_none() {
            self.report.add(path, DocumentFaultKind::Missing { field: "workflow".to_owned() });
        }
        let to = match (workflow, key) {
            (Some(workflow), Some(key)) => Receivers::Key { workflow, key },
            (Some(workflow), None) => Receivers::All { workflow },
            (None, _) => match to.unwrap_or(Relative::Run) {
                Relative::Run => Receivers::Run,
                Relative::Parent => Receivers::Parent,
                Relative::Root => Receivers::Root,
            },
        };
        signal.map_or(Action::Pass, |signal| Action::Send(SendSignal::new(signal, to)))
    }

    pub(super) fn race(&mut self, fields: &'d Fields, path: &Path<'_>, names: &Names<'d>) -> Option<Action> {
        let options = get(fields, "race")?;
        let at = path.field("race");
        let mut read = Vec::new();
        for (index, race_option) in self.report.list(options, &at).iter().enumerate() {
            let at = at.item(index);
            let Some(fields) = self.report.object(race_option, &at, RACE_OPTION) else { continue };
            let name = self.required_name(fields, &at);
            let on = self.race_event(fields, &at, names);
            if let (Some(name), Some(on)) = (name, on) {
                read.push(RaceOption::new(name, on));
            }
        }
        Some(Action::Race { options: read })
    }

    fn required_name(&mut self, fields: &'d Fields, path: &Path<'_>) -> Option<&'d str> {
        if get(fields, "name").is_none() {
            self.report.add(path, DocumentFaultKind::Missing { field: "name".to_owned() });
        }
        self.report.text_at(fields, "name", path)
    }

    /// The one field of a set that is present.
    fn one_of(&mut self, fields: &Fields, path: &Path<'_>, of: &[&'static str]) -> Option<&'static str> {
        let mut given = of.iter().filter(|name| get(fields, name).is_some());
        match (given.next(), given.next()) {
            (Some(&one), None) => Some(one),
            (Some(&one), Some(&other)) => {
                self.report.add(path, DocumentFaultKind::Exclusive { one, other });
                None
            }
            (None, _) => {
                self.report.add(path, DocumentFaultKind::Missing { field: of.join("` or `") });
                None
            }
        }
    }

    fn matching(&mut self, fields: &Fields, path: &Path<'_>, names: &Names<'_>) -> Condition {
        let asked = get(fields, "matching");
        if asked.is_some() && get(fields, "signal").is_none() {
            self.report
                .add(path.field("matching"), DocumentFaultKind::WithoutEffect { field: "matching", without: "signal" });
        }
        asked.map_or(Condition::True, |asked| condition(asked, &path.field("matching"), names, &mut self.report))
    }

    fn race_event(&mut self, fields: &'d Fields, path: &Path<'_>, names: &Names<'d>) -> Option<WaitFor> {
        let matching = self.matching(fields, path, names);
        match self.one_of(fields, path, RACE_EVENTS)? {
            "signal" => {
                let signal = self.report.text_at(fields, "signal", path)?;
                Some(WaitFor::Signal { signal: signal.into(), matching })
            }
            "when" => {
                let at = path.field("when");
                get(fields, "when").map(|when| WaitFor::When(condition(when, &at, names, &mut self.report)))
            }
            "after" => self.report.span_at(fields, "after", path).map(WaitFor::After),
            "at" => {
                let at = path.field("at");
                get(fields, "at").map(|moment| WaitFor::At(expression(moment, &at, names, &mut self.report)))
            }
            _ => self.decision(get(fields, "decision")?, &path.field("decision"), names).map(WaitFor::from),
        }
    }

    fn decision(&mut self, value: &'d Value, path: &Path<'_>, names: &Names<'d>) -> Option<Decision> {
        let fields = self.report.object(value, path, DECISION)?;
        for field in ["role", "options"].into_iter().filter(|field| get(fields, field).is_none()) {
            self.report.add(path, DocumentFaultKind::Missing { field: field.to_owned() });
        }
        let role = self.report.text_at(fields, "role", path)?;
        let options: Vec<&str> = self.words(fields, "options", path).into_iter().map(|(_, option)| option).collect();
        let mut decision = Decision::by(role, options);
        decision.not_by = self.known(fields, "not_by", path, names);
        if let Some(steps) = get(fields, "escalation") {
            let at = path.field("escalation");
            for (index, step) in self.report.list(steps, &at).iter().enumerate() {
                let at = at.item(index);
                let Some(step) = self.report.object(step, &at, ESCALATION) else { continue };
                for field in ESCALATION.iter().filter(|field| get(step, field).is_none()) {
                    self.report.add(at, DocumentFaultKind::Missing { field: (*field).to_owned() });
                }
                let (after, role) = (self.report.span_at(step, "after", &at), self.report.text_at(step, "role", &at));
                if let (Some(after), Some(role)) = (after, role) {
                    decision.escalation.push(Escalation { after, role: role.into() });
                }
            }
        }
        Some(decision)
    }

    /// The boundary handlers of a task.
    pub(super) fn handlers(&mut self, fields: &'d Fields, path: &Path<'_>, names: &Names<'d>) -> Vec<Handler> {
        let Some(handlers) = get(fields, "handlers") else { return Vec::new() };
        let at = path.field("handlers");
        let mut read = Vec::new();
        for (index, handler) in self.report.list(handlers, &at).iter().enumerate() {
            let at = at.item(index);
            let Some(fields) = self.report.object(handler, &at, HANDLER) else { continue };
            let name = self.required_name(fields, &at);
            let beside = self.report.bool_at(fields, "beside", &at);
            let on = self.boundary(fields, &at, names);
            if let (Some(name), Some(on)) = (name, on) {
                read.push(Handler { name: name.into(), on, interrupts: !beside });
            }
        }
        read
    }

    fn boundary(&mut self, fields: &'d Fields, path: &Path<'_>, names: &Names<'d>) -> Option<Boundary> {
        let matching = self.matching(fields, path, names);
        match self.one_of(fields, path, BOUNDARIES)? {
            "error" => Some(Boundary::Error(failures(fields, "error", path, &mut self.report))),
            "when" => {
                let at = path.field("when");
                get(fields, "when").map(|when| Boundary::When(condition(when, &at, names, &mut self.report)))
            }
            "timeout" => self.report.span_at(fields, "timeout", path).map(Boundary::Timeout),
            "signal" => {
                let signal = self.report.text_at(fields, "signal", path)?;
                Some(Boundary::Signal { signal: signal.into(), matching })
            }
            _ => {
                let yes = self.report.bool_at(fields, "cancel", path);
                if get(fields, "cancel") == Some(&Value::Bool(false)) {
                    self.report.invalid(&path.field("cancel"), "true, or no field", false);
                }
                yes.then_some(Boundary::Cancel)
            }
        }
    }

    /// The failure of a task that always fails: a message, or an object.
    pub(super) fn fail(&mut self, value: &'d Value, path: &Path<'_>, names: &Names<'d>) -> Fail {
        let Value::Object(_) = value else {
            let is_text = self.report.text(value, path).is_some();
            return Fail::new(if is_text { expression(value, path, names, &mut self.report) } else { Expr::default() });
        };
        let Some(fields) = self.report.object(value, path, FAIL) else { return Fail::new("") };
        let read = |field: &str, report: &mut Report| {
            get(fields, field).map(|value| expression(value, &path.field(field), names, report))
        };
        let message = read("message", &mut self.report);
        if message.is_none() {
            self.report.add(path, DocumentFaultKind::Missing { field: "message".to_owned() });
        }
        let mut fail = Fail::new(message.unwrap_or_default());
        fail.kind = self.report.keyword_at(fields, "kind", path, FAILURES).unwrap_or(FailureKind::Permanent);
        fail.code = read("code", &mut self.report).unwrap_or_default();
        fail.details = read("details", &mut self.report).unwrap_or_default();
        fail
    }

    pub(super) fn milestone(&mut self, fields: &'d Fields, path: &Path<'_>, names: &Names<'d>) -> Option<Milestone> {
        let at = path.field("milestone");
        let fields = get(fields, "milestone").and_then(|value| self.report.object(value, &at, MILESTONE))?;
        for field in MILESTONE.iter().filter(|field| get(fields, field).is_none()) {
            self.report.add(at, DocumentFaultKind::Missing { field: (*field).to_owned() });
        }
        let mut task = |field: &str| -> Option<Name> {
            let task = self.report.text_at(fields, field, &at)?;
            self.exists(task, &at.field(field), names).then(|| task.into())
        };
        let (after, until) = (task("after"), task("until"));
        Some(Milestone::between(after?, until?))
    }
}
