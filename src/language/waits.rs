//! What tasks wait for, and what can happen to them: races, handlers, milestones, signals.

use super::data::{Names, condition, expression};
use super::flow::Reader;
use super::mistake::Wrong;
use super::report::{Fields, Path, Report, get};
use crate::definition::{
    Action, Boundary, Condition, Decision, Escalation, Handler, Milestone, Occasion, Offer, SignalRule,
};
use crate::name::Name;
use crate::task::FailureKind;
use serde_json::Value;

pub(super) const OFFER: &[&str] = &["name", "signal", "matching", "after", "at", "decision"];
pub(super) const DECISION: &[&str] = &["role", "options", "escalation", "not_by"];
pub(super) const ESCALATION: &[&str] = &["after", "role"];
pub(super) const HANDLER: &[&str] = &["name", "error", "timeout", "signal", "matching", "cancel", "beside"];
pub(super) const MILESTONE: &[&str] = &["after", "until"];
pub(super) const SIGNAL: &[&str] = &["transient", "kept_for", "most", "description"];
pub(super) const FAILURES: &[(&str, FailureKind)] = &[
    ("transient", FailureKind::Transient),
    ("permanent", FailureKind::Permanent),
    ("overloaded", FailureKind::Overloaded),
    ("unknown", FailureKind::Unknown),
];

/// What an offer can wait for, and what a handler can be for.
const OCCASIONS: &[&str] = &["signal", "after", "at", "decision"];
const BOUNDARIES: &[&str] = &["error", "timeout", "signal", "cancel"];

/// How a workflow treats signals.
pub(super) fn signals(fields: &Fields, path: &Path<'_>, report: &mut Report) -> Vec<SignalRule> {
    let at = path.field("signals");
    let rules = match get(fields, "signals") {
        None => return Vec::new(),
        Some(Value::Object(rules)) => rules,
        Some(other) => {
            report.sort(&at, "an object", other);
            return Vec::new();
        }
    };
    let mut read = Vec::with_capacity(rules.len());
    for (name, value) in rules {
        let at = at.field(name);
        let mut rule = SignalRule::new(name.as_str());
        if let Some(fields) = (!value.is_null()).then(|| report.object(value, &at, SIGNAL)).flatten() {
            report.text_at(fields, "description", &at);
            rule.transient = report.flag_at(fields, "transient", &at);
            rule.ttl = report.span_at(fields, "kept_for", &at);
            rule.most = report.whole_at(fields, "most", &at);
        }
        read.push(rule);
    }
    read
}

impl<'d> Reader<'_> {
    pub(super) fn race(&mut self, fields: &'d Fields, path: &Path<'_>, names: &Names<'d>) -> Option<Action> {
        let offers = get(fields, "race")?;
        let at = path.field("race");
        let mut read = Vec::new();
        for (place, offer) in self.report.list(offers, &at).iter().enumerate() {
            let at = at.item(place);
            let Some(fields) = self.report.object(offer, &at, OFFER) else { continue };
            let name = self.named(fields, &at);
            let on = self.occasion(fields, &at, names);
            if let (Some(name), Some(on)) = (name, on) {
                read.push(Offer::new(name, on));
            }
        }
        Some(Action::Race { offers: read })
    }

    fn named(&mut self, fields: &'d Fields, path: &Path<'_>) -> Option<&'d str> {
        if get(fields, "name").is_none() {
            self.report.add(path, Wrong::Missing { field: "name".to_owned() });
        }
        self.report.text_at(fields, "name", path)
    }

    /// Which one of several things it is.
    fn one_of(&mut self, fields: &Fields, path: &Path<'_>, of: &[&'static str]) -> Option<&'static str> {
        let mut given = of.iter().filter(|name| get(fields, name).is_some());
        match (given.next(), given.next()) {
            (Some(&one), None) => Some(one),
            (Some(&one), Some(&other)) => {
                self.report.add(path, Wrong::Exclude { one, other });
                None
            }
            (None, _) => {
                self.report.add(path, Wrong::Missing { field: of.join("` or `") });
                None
            }
        }
    }

    fn matching(&mut self, fields: &Fields, path: &Path<'_>, names: &Names<'_>) -> Condition {
        let asked = get(fields, "matching");
        if asked.is_some() && get(fields, "signal").is_none() {
            self.report.add(path.field("matching"), Wrong::Idle { field: "matching", without: "signal" });
        }
        asked.map_or(Condition::True, |asked| condition(asked, &path.field("matching"), names, &mut self.report))
    }

    fn occasion(&mut self, fields: &'d Fields, path: &Path<'_>, names: &Names<'d>) -> Option<Occasion> {
        let matching = self.matching(fields, path, names);
        match self.one_of(fields, path, OCCASIONS)? {
            "signal" => {
                let signal = self.report.text_at(fields, "signal", path)?;
                Some(Occasion::Signal { signal: signal.into(), matching })
            }
            "after" => self.report.span_at(fields, "after", path).map(Occasion::After),
            "at" => {
                let at = path.field("at");
                get(fields, "at").map(|moment| Occasion::At(expression(moment, &at, names, &mut self.report)))
            }
            _ => self.decision(get(fields, "decision")?, &path.field("decision"), names).map(Occasion::from),
        }
    }

    fn decision(&mut self, value: &'d Value, path: &Path<'_>, names: &Names<'d>) -> Option<Decision> {
        let fields = self.report.object(value, path, DECISION)?;
        for field in ["role", "options"].into_iter().filter(|field| get(fields, field).is_none()) {
            self.report.add(path, Wrong::Missing { field: field.to_owned() });
        }
        let role = self.report.text_at(fields, "role", path)?;
        let options: Vec<&str> = self.words(fields, "options", path).into_iter().map(|(_, option)| option).collect();
        let mut decision = Decision::by(role, options);
        decision.not_by = self.known(fields, "not_by", path, names);
        if let Some(steps) = get(fields, "escalation") {
            let at = path.field("escalation");
            for (place, step) in self.report.list(steps, &at).iter().enumerate() {
                let at = at.item(place);
                let Some(step) = self.report.object(step, &at, ESCALATION) else { continue };
                for field in ESCALATION.iter().filter(|field| get(step, field).is_none()) {
                    self.report.add(at, Wrong::Missing { field: (*field).to_owned() });
                }
                let (after, role) = (self.report.span_at(step, "after", &at), self.report.text_at(step, "role", &at));
                if let (Some(after), Some(role)) = (after, role) {
                    decision.escalation.push(Escalation { after, role: role.into() });
                }
            }
        }
        Some(decision)
    }

    /// What can happen to a task while it is under way.
    pub(super) fn handlers(&mut self, fields: &'d Fields, path: &Path<'_>, names: &Names<'d>) -> Vec<Handler> {
        let Some(handlers) = get(fields, "handlers") else { return Vec::new() };
        let at = path.field("handlers");
        let mut read = Vec::new();
        for (place, handler) in self.report.list(handlers, &at).iter().enumerate() {
            let at = at.item(place);
            let Some(fields) = self.report.object(handler, &at, HANDLER) else { continue };
            let name = self.named(fields, &at);
            let beside = self.report.flag_at(fields, "beside", &at);
            let on = self.happening(fields, &at, names);
            if let (Some(name), Some(on)) = (name, on) {
                read.push(Handler { name: name.into(), on, interrupts: !beside });
            }
        }
        read
    }

    fn happening(&mut self, fields: &'d Fields, path: &Path<'_>, names: &Names<'d>) -> Option<Boundary> {
        let matching = self.matching(fields, path, names);
        match self.one_of(fields, path, BOUNDARIES)? {
            "error" => Some(Boundary::Error { kinds: self.failures(fields, path) }),
            "timeout" => self.report.span_at(fields, "timeout", path).map(Boundary::Timeout),
            "signal" => {
                let signal = self.report.text_at(fields, "signal", path)?;
                Some(Boundary::Signal { signal: signal.into(), matching })
            }
            _ => {
                let yes = self.report.flag_at(fields, "cancel", path);
                if get(fields, "cancel") == Some(&Value::Bool(false)) {
                    self.report.meaningless(
                        &path.field("cancel"),
                        "thing that happens: write true, or leave it out",
                        false,
                    );
                }
                yes.then_some(Boundary::Cancel)
            }
        }
    }

    /// True for failures of all kinds, or some of them.
    fn failures(&mut self, fields: &'d Fields, path: &Path<'_>) -> Vec<FailureKind> {
        if get(fields, "error") == Some(&Value::Bool(true)) {
            return Vec::new();
        }
        let at = path.field("error");
        let mut kinds = Vec::new();
        for (place, word) in self.words(fields, "error", path) {
            match FAILURES.iter().find(|(known, _)| *known == word) {
                Some((_, kind)) => kinds.push(*kind),
                None => {
                    let item = place.map_or(at, |place| at.item(place));
                    self.report.unknown(&item, "word", word, FAILURES.iter().map(|(known, _)| *known));
                }
            }
        }
        kinds
    }

    pub(super) fn milestone(&mut self, fields: &'d Fields, path: &Path<'_>, names: &Names<'d>) -> Option<Milestone> {
        let at = path.field("milestone");
        let fields = get(fields, "milestone").and_then(|value| self.report.object(value, &at, MILESTONE))?;
        for field in MILESTONE.iter().filter(|field| get(fields, field).is_none()) {
            self.report.add(at, Wrong::Missing { field: (*field).to_owned() });
        }
        let mut task = |field: &str| -> Option<Name> {
            let task = self.report.text_at(fields, field, &at)?;
            self.exists(task, &at.field(field), names).then(|| task.into())
        };
        let (after, until) = (task("after"), task("until"));
        Some(Milestone::between(after?, until?))
    }
}
