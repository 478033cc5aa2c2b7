//! The text of a document.

#![expect(clippy::wildcard_enum_match_arm, reason = "only some forms of expressions are those of a document")]

use super::events::ESCALATION;
use super::expression::Reads;
use super::print;
use super::read::variables;
use super::repeat::{COUNTER, counters, in_token, item_of, rounds_of};
use super::xml::MODEL;
use crate::base::name::Name;
use crate::definition::{Condition, Expr, Function, Map, Pick, States};
use std::collections::{BTreeMap, BTreeSet};

/// A sequence flow that is written.
pub(super) struct Flow {
    pub(super) id: Option<String>,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) guard: Guarded,
    /// The number among the flows of a choice.
    pub(super) number: usize,
}

/// The condition of a flow that is written.
pub(super) enum Guarded {
    None,
    When(String),
    Default,
}

impl Guarded {
    /// The condition of a case; none if it has no text. Only a flow of an exclusive choice must have one.
    pub(super) fn of(condition: &Condition, pick: Pick) -> Option<Self> {
        let root = variables();
        match condition {
            Condition::True if pick == Pick::Every => Some(Self::None),
            condition => print::print(condition, Reads { root: &root, named: &[] }).map(Self::When),
        }
    }
}

/// The text of a value that a run reads.
pub(super) fn value(value: &Expr) -> Option<String> {
    let root = super::compile::data();
    print::print_value(value, Reads { root: &root, named: &[] })
}

/// The definition of a conditional event; none if the condition has no text.
pub(super) fn conditional(condition: &Condition) -> Option<String> {
    let root = super::compile::data();
    let text = print::print(condition, Reads { root: &root, named: &[] })?;
    Some(format!("<conditionalEventDefinition><condition>{}</condition></conditionalEventDefinition>", escaped(&text)))
}

/// The definition of a compensation that is thrown; none for several activities.
pub(super) fn compensation(of: &[Name]) -> Option<String> {
    match of {
        [] => Some("<compensateEventDefinition/>".to_owned()),
        [one] => Some(format!("<compensateEventDefinition activityRef=\"{}\"/>", escaped(one))),
        _ => None,
    }
}

/// The definition of a timer.
pub(super) fn timer(element: &str, text: &str) -> String {
    format!("<timerEventDefinition><{element}>{}</{element}></timerEventDefinition>", escaped(text))
}

/// The element of a multi-instance activity.
pub(super) fn instances(map: &Map, input: &Expr, results: Option<String>) -> Option<String> {
    let root = super::compile::data();
    let plain = |value: &Expr| {
        let text = print::print_value(value, Reads { root: &root, named: &[] })?;
        Some(escaped(&text))
    };
    let (mut inner, item) = (String::new(), item_of(input)?);
    let item = match &map.over {
        Expr::Call(Function::Range, parts) => {
            let [_, count] = parts.as_slice() else { return None };
            inner.push_str(&format!("<loopCardinality>{}</loopCardinality>", plain(count)?));
            item.filter(|item| item != COUNTER)
        }
        over => {
            inner.push_str(&format!("<loopDataInputRef>{}</loopDataInputRef>", plain(over)?));
            item
        }
    };
    if let Some(results) = results {
        inner.push_str(&format!("<loopDataOutputRef>{}</loopDataOutputRef>", escaped(&results)));
    }
    if let Some(item) = item {
        inner.push_str(&format!("<inputDataItem name=\"{}\"/>", escaped(&item)));
    }
    if let Some(completion) = &map.completion {
        let text = print::print(&completion.when, Reads { root: &root, named: &counters() })?;
        inner.push_str(&format!("<completionCondition>{}</completionCondition>", escaped(&text)));
    }
    let sequential = if map.max_concurrent == Some(1) { " isSequential=\"true\"" } else { "" };
    let element = "multiInstanceLoopCharacteristics";
    Some(format!("<{element}{sequential}>{inner}</{element}>"))
}

/// A document that is written.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
    depth: usize,
    /// The ids of messages, signals, errors and escalations, by element and name.
    named: BTreeMap<(&'static str, String), String>,
    ids: BTreeSet<String>,
}

impl Page {
    pub(super) fn line(&mut self, text: &str) {
        for _ in 0..self.depth {
            self.text.push_str("  ");
        }
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn tag(&mut self, element: &str, id: &str, attributes: &[(&str, String)], end: &str) {
        let mut text = format!("<{element} id=\"{}\"", escaped(id));
        for (name, value) in attributes {
            text.push_str(&format!(" {name}=\"{}\"", escaped(value)));
        }
        self.ids.insert(id.to_owned());
        self.line(&(text + end));
    }

    pub(super) fn open_process(&mut self, name: &Name) {
        self.depth = 1;
        self.tag("process", name, &[("isExecutable", "true".to_owned())], ">");
        self.depth = 2;
    }

    pub(super) fn open(&mut self, element: &str, id: &str, attributes: &[(&str, String)]) {
        self.tag(element, id, attributes, ">");
        self.depth = self.depth.saturating_add(1);
    }

    pub(super) fn close(&mut self, element: &str) {
        self.depth = self.depth.saturating_sub(1);
        self.line(&format!("</{element}>"));
    }

    pub(super) fn empty(&mut self, element: &str, id: &str, attributes: &[(&str, String)]) {
        self.tag(element, id, attributes, "/>");
    }

    pub(super) fn event(&mut self, element: &str, id: &str, attributes: &[(&str, String)], definition: &str) {
        self.open(element, id, attributes);
        self.line(definition);
        self.close(element);
    }

    /// The element of a loop.
    pub(super) fn rounds(&self, states: &States) -> Option<String> {
        let rounds = rounds_of(states)?;
        let root = in_token();
        let text = print::print(&rounds.when, Reads { root: &root, named: &[] })?;
        let before = if rounds.is_before { " testBefore=\"true\"" } else { "" };
        let most = rounds.most.map(|most| format!(" loopMaximum=\"{most}\"")).unwrap_or_default();
        let condition = format!("<loopCondition>{}</loopCondition>", escaped(&text));
        Some(format!("<standardLoopCharacteristics{before}{most}>{condition}</standardLoopCharacteristics>"))
    }

    /// An id that nothing has, which begins with this text.
    fn fresh(&mut self, begin: &str) -> String {
        let mut id = begin.to_owned();
        let mut number = 1_u32;
        while !self.ids.insert(id.clone()) {
            number = number.saturating_add(1);
            id = format!("{begin}_{number}");
        }
        id
    }

    pub(super) fn flows(&mut self, flows: Vec<Flow>) {
        self.ids.extend(flows.iter().filter_map(|flow| flow.id.clone()));
        for flow in flows {
            let id = flow.id.unwrap_or_else(|| self.fresh(&format!("Flow_{}_{}", flow.from, flow.to)));
            let ends = [("sourceRef", flow.from), ("targetRef", flow.to)];
            match flow.guard {
                Guarded::None | Guarded::Default => self.empty("sequenceFlow", &id, &ends),
                Guarded::When(condition) => {
                    let condition = format!("<conditionExpression>{}</conditionExpression>", escaped(&condition));
                    self.event("sequenceFlow", &id, &ends, &condition);
                }
            }
        }
    }

    /// Writes the flow from an event-based gateway to an event.
    pub(super) fn beside(&mut self, gateway: &Name, event: &Name) {
        let id = self.fresh(&format!("Flow_{gateway}_{event}"));
        self.empty("sequenceFlow", &id, &[("sourceRef", gateway.to_string()), ("targetRef", event.to_string())]);
    }

    /// Writes the compensation handler of an activity.
    pub(super) fn undo(&mut self, node: &Name, kind: &Name) {
        let event = self.fresh(&format!("Undo_{node}"));
        self.event("boundaryEvent", &event, &[("attachedToRef", node.to_string())], "<compensateEventDefinition/>");
        let handler = self.fresh(&format!("Handler_{node}"));
        let attributes = [("isForCompensation", "true".to_owned()), ("implementation", kind.to_string())];
        self.empty("serviceTask", &handler, &attributes);
        let id = self.fresh(&format!("Association_{node}"));
        self.empty("association", &id, &[("sourceRef", event), ("targetRef", handler)]);
    }

    fn reference(&mut self, element: &'static str, name: &str) -> String {
        let next = self.named.len().saturating_add(1);
        self.named.entry((element, name.to_owned())).or_insert_with(|| format!("{element}.{next}")).clone()
    }

    pub(super) fn message(&mut self, name: &Name) -> String {
        self.reference("message", name)
    }

    pub(super) fn signal(&mut self, name: &Name) -> String {
        format!("<signalEventDefinition signalRef=\"{}\"/>", self.reference("signal", name))
    }

    pub(super) fn error(&mut self, code: &str) -> String {
        format!("<errorEventDefinition errorRef=\"{}\"/>", self.reference("error", code))
    }

    pub(super) fn escalation(&mut self, signal: &Name) -> Option<String> {
        let code = signal.strip_prefix(ESCALATION)?;
        Some(format!("<escalationEventDefinition escalationRef=\"{}\"/>", self.reference("escalation", code)))
    }

    /// The whole document.
    pub(super) fn finish(mut self) -> String {
        self.depth = 1;
        self.line("</process>");
        for ((element, name), id) in core::mem::take(&mut self.named) {
            let attribute = match element {
                "error" => "errorCode",
                "escalation" => "escalationCode",
                _ => "name",
            };
            self.tag(element, &id, &[(attribute, name)], "/>");
        }
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<definitions xmlns=\"{MODEL}\">\n{}</definitions>\n",
            self.text
        )
    }
}

/// A text as the content of an element or attribute.
fn escaped(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => all.push_str("&amp;"),
            '<' => all.push_str("&lt;"),
            '>' => all.push_str("&gt;"),
            '"' => all.push_str("&quot;"),
            '\n' | '\t' | '\r' => all.push_str(&format!("&#{};", u32::from(letter))),
            letter => all.push(letter),
        }
    }
    all
}
