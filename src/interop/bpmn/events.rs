//! Events: what starts and ends a process, what is caught and thrown, and what interrupts an activity.

#![expect(clippy::wildcard_enum_match_arm, reason = "only some definitions fit an event")]

use super::graph::{BoundaryEvent, Graph, Kind, Trigger};
use super::read::{Indexes, Reader, Target};
use super::times;
use super::xml::Element;
use crate::base::name::Name;
use crate::base::time::parse_date;
use crate::definition::{Condition, Expr, Function, Receivers, WaitFor, Work};
use crate::interop::report::{Place, shown};
use crate::task::{Code, Failures};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

/// What event definitions refer to, by id.
#[derive(Debug, Default)]
pub(super) struct Names {
    messages: BTreeMap<String, String>,
    signals: BTreeMap<String, String>,
    errors: BTreeMap<String, String>,
    escalations: BTreeMap<String, String>,
    /// The signals for escalations that the present sub-process throws.
    pub(super) escalated: BTreeSet<Name>,
    /// Activities that are compensation handlers.
    pub(super) undo: BTreeMap<String, super::graph::FlowNode>,
}

impl Names {
    pub(super) fn of(root: Element<'_>) -> Self {
        let all = |element: &str, attributes: &[&str]| -> BTreeMap<String, String> {
            let named = root.all(element).filter_map(|at| {
                let id = at.id()?;
                let name = attributes.iter().find_map(|attribute| at.attribute(attribute)).unwrap_or(id);
                Some((id.to_owned(), name.to_owned()))
            });
            named.collect()
        };
        Self {
            messages: all("message", &["name"]),
            signals: all("signal", &["name"]),
            errors: all("error", &["errorCode", "name"]),
            escalations: all("escalation", &["escalationCode", "name"]),
            escalated: BTreeSet::new(),
            undo: BTreeMap::new(),
        }
    }
}

/// The definition of an event.
pub(super) enum Event<'a> {
    None,
    Message(Name),
    Signal(Name),
    Timer(Timer),
    /// An error with this code; none for any.
    Error(Option<String>),
    Escalation(Option<Name>),
    Terminate,
    Link,
    Compensation(Element<'a>),
    /// A condition on the variables.
    Conditional(Condition),
}

/// When a timer fires.
pub(super) enum Timer {
    After(Duration),
    At(Expr),
    Cycle,
}

/// The signal for an escalation.
fn escalation_signal(code: &str) -> Name {
    format!("{ESCALATION}{code}").into()
}

/// The begin of the names of signals for escalations.
pub(super) const ESCALATION: &str = "escalation:";

impl Reader<'_> {
    /// The definition of an event; none if it cannot be carried over.
    pub(super) fn event<'a>(&mut self, at: Element<'a>) -> Option<Event<'a>> {
        let definitions: Vec<Element<'a>> =
            at.children().filter(|child| child.name().is_some_and(|name| name.ends_with("EventDefinition"))).collect();
        let refers = at.first("eventDefinitionRef").is_some();
        let one = match definitions.as_slice() {
            [] if !refers => return Some(Event::None),
            [one] if !refers => *one,
            _ => {
                self.unsupported(
                    at,
                    "an event with several definitions, or one by reference",
                    "an event waits for one thing",
                );
                return None;
            }
        };
        self.plain(one, &[]);
        match one.name().unwrap_or_default() {
            "messageEventDefinition" => {
                self.reference(one, "messageRef", "message").map(|name| Event::Message(name.into()))
            }
            "signalEventDefinition" => {
                self.reference(one, "signalRef", "signal").map(|name| Event::Signal(name.into()))
            }
            "timerEventDefinition" => self.timer(one).map(Event::Timer),
            "errorEventDefinition" => self.code(one),
            "escalationEventDefinition" => match one.attribute("escalationRef") {
                None => Some(Event::Escalation(None)),
                Some(_) => {
                    let code = self.reference(one, "escalationRef", "escalation")?;
                    Some(Event::Escalation(Some(escalation_signal(&code))))
                }
            },
            "terminateEventDefinition" => Some(Event::Terminate),
            "linkEventDefinition" => match one.attribute("name") {
                Some(_) => Some(Event::Link),
                None => {
                    self.missing(one, "name");
                    None
                }
            },
            "compensateEventDefinition" => Some(Event::Compensation(one)),
            "conditionalEventDefinition" => match one.first("condition") {
                Some(condition) => self.condition(condition, &super::compile::data(), &[]).map(Event::Conditional),
                None => {
                    self.missing(one, "condition");
                    None
                }
            },
            "cancelEventDefinition" => {
                self.unsupported(one, "a cancel event", "transactions have no counterpart");
                None
            }
            other => {
                self.report.unknown(&Place::Text(&one.spot()), "event definition", other, core::iter::empty());
                None
            }
        }
    }

    /// The name that a reference leads to.
    fn reference(&mut self, at: Element<'_>, attribute: &str, what: &'static str) -> Option<String> {
        let Some(wanted) = at.attribute(attribute) else {
            self.missing(at, attribute);
            return None;
        };
        // The prefix of a namespace does not matter: all that can be referred to is in the document.
        let wanted = wanted.rsplit(':').next().unwrap_or(wanted);
        let known = match what {
            "message" => &self.names.messages,
            "signal" => &self.names.signals,
            "error" => &self.names.errors,
            _ => &self.names.escalations,
        };
        let found = known.get(wanted).cloned();
        if found.is_none() {
            let ids: Vec<String> = known.keys().cloned().collect();
            self.report.unknown(&Place::Text(&at.spot()), what, wanted, ids.iter().map(String::as_str));
        }
        found
    }

    /// The code of an error.
    fn code<'a>(&mut self, at: Element<'_>) -> Option<Event<'a>> {
        if at.attribute("errorRef").is_none() {
            return Some(Event::Error(None));
        }
        let name = self.reference(at, "errorRef", "error")?;
        if Code::from(name.as_str()).is_valid() {
            return Some(Event::Error(Some(name)));
        }
        let plain = |letter: char| {
            if letter.is_ascii_alphanumeric() || matches!(letter, '.' | ':' | '-') { letter } else { '_' }
        };
        let code: String = name.chars().map(plain).take(Code::MAX).collect();
        if code.is_empty() {
            self.invalid(at, "the code of an error", &name);
            return None;
        }
        self.note(at, format!("the code of the error is not one of the engine: agents report it as `{code}`"));
        Some(Event::Error(Some(code)))
    }

    fn timer(&mut self, at: Element<'_>) -> Option<Timer> {
        let kinds = ["timeDuration", "timeDate", "timeCycle"];
        let Some(child) = at.children().find(|child| child.name().is_some_and(|name| kinds.contains(&name))) else {
            self.missing(at, "timeDuration, timeDate or timeCycle");
            return None;
        };
        let text = child.text();
        match child.name() {
            Some("timeCycle") => Some(Timer::Cycle),
            Some("timeDuration") if text.starts_with(['$', '#', '=']) => {
                self.unsupported(child, "a duration from data", "a wait has a constant duration: use a date");
                None
            }
            Some("timeDuration") => match times::duration(&text) {
                Some(span) => Some(Timer::After(span)),
                None => {
                    self.invalid(child, "a duration such as `PT1H30M`, without years and months", &text);
                    None
                }
            },
            _ if text.starts_with(['$', '#', '=']) => {
                let value = self.value(child, &super::compile::data())?;
                Some(Timer::At(Expr::call(Function::Time, [value])))
            }
            _ => match parse_date(&text) {
                Some(_) => Some(Timer::At(Expr::call(Function::Time, [Expr::value(text)]))),
                None => {
                    self.invalid(child, "a date such as `2026-01-31T12:00:00Z`", &text);
                    None
                }
            },
        }
    }

    pub(super) fn start_event(&mut self, at: Element<'_>, graph: &Graph) -> Option<Kind> {
        self.plain(at, &[]);
        if graph.nodes.iter().any(|node| matches!(node.kind, Kind::Start)) {
            self.unsupported(at, "a second start event", "a definition begins at one place");
            return None;
        }
        let scope = at.node.parent_element();
        if scope.is_some_and(|scope| scope.attribute("triggeredByEvent") == Some("true")) {
            return Some(Kind::Start);
        }
        match self.event(at)? {
            Event::None => {}
            _ if self.depth > 0 => {
                self.unsound(at, "a sub-process starts with a start event without a definition");
                return None;
            }
            Event::Message(_) | Event::Signal(_) => {
                self.note(at, "the host starts a run for each message or signal, with its content as input");
            }
            Event::Timer(_) => self.note(at, "the host starts runs at these times, by a schedule of the engine"),
            _ => {
                self.unsupported(at, "this start event", "the host starts runs");
                return None;
            }
        }
        Some(Kind::Start)
    }

    pub(super) fn end_event(&mut self, at: Element<'_>) -> Option<Kind> {
        self.plain(at, &[]);
        match self.event(at)? {
            Event::None => Some(Kind::End),
            Event::Terminate => Some(Kind::Terminate),
            Event::Error(code) => Some(Kind::Error(code)),
            Event::Compensation(one) => self.compensates(one),
            Event::Link | Event::Timer(_) | Event::Conditional(_) => {
                self.unsound(at, "an end event cannot have this definition");
                None
            }
            thrown => self.thrown(at, thrown),
        }
    }

    /// A compensation that is thrown, of one activity or of all so far.
    fn compensates(&mut self, at: Element<'_>) -> Option<Kind> {
        if at.attribute("waitForCompletion") == Some("false") {
            self.unsupported(at, "a compensation that is not waited for", "the event ends when all is compensated");
            return None;
        }
        let of = at.attribute("activityRef").map(|id| id.rsplit(':').next().unwrap_or(id).into());
        Some(Kind::Undo(of.into_iter().collect()))
    }

    pub(super) fn throw_event(&mut self, at: Element<'_>) -> Option<Kind> {
        self.plain(at, &[]);
        match self.event(at)? {
            Event::None | Event::Link => Some(Kind::Pass),
            Event::Compensation(one) => self.compensates(one),
            Event::Timer(_) | Event::Error(_) | Event::Terminate | Event::Conditional(_) => {
                self.unsound(at, "an intermediate event cannot throw this");
                None
            }
            thrown => self.thrown(at, thrown),
        }
    }

    /// A message, signal or escalation that is thrown.
    fn thrown(&mut self, at: Element<'_>, event: Event<'_>) -> Option<Kind> {
        match event {
            Event::Message(_) => {
                self.note(at, "agents send the message");
                Some(Kind::Task(Work::new(self.kind_of(at.id().unwrap_or_default()))))
            }
            Event::Signal(name) => {
                self.note(at, "only runs of this process receive the signal");
                Some(Kind::Send(name, Receivers::All { workflow: self.process.clone() }))
            }
            Event::Escalation(Some(name)) if self.depth > 0 => {
                self.names.escalated.insert(name.clone());
                Some(Kind::Send(name, Receivers::Parent))
            }
            Event::Escalation(_) => {
                let what = "an escalation without a code, or of the whole process";
                self.unsupported(at, what, "an escalation is caught by its code at the sub-process");
                None
            }
            _ => None,
        }
    }

    /// The kind of tasks for a natural kind.
    fn kind_of(&self, kind: &str) -> Name {
        self.options.kinds.get(kind).cloned().unwrap_or_else(|| kind.into())
    }

    pub(super) fn catch_event(&mut self, at: Element<'_>) -> Option<Kind> {
        self.plain(at, &[]);
        let on = match self.event(at)? {
            Event::Link => return Some(Kind::Pass),
            Event::Message(name) | Event::Signal(name) => WaitFor::signal(name),
            Event::Timer(Timer::After(span)) => WaitFor::After(span),
            Event::Timer(Timer::At(date)) => WaitFor::At(date),
            Event::Conditional(condition) => {
                self.note(at, CONDITIONS);
                WaitFor::When(condition)
            }
            Event::Timer(Timer::Cycle) => {
                self.unsupported(at, "a cycle in an intermediate event", "it waits once: use a duration or a date");
                return None;
            }
            _ => {
                self.unsound(at, "an intermediate event cannot catch this");
                return None;
            }
        };
        Some(Kind::Race(vec![(at.id()?.into(), on)]))
    }

    pub(super) fn receive_task(&mut self, at: Element<'_>) -> Option<Kind> {
        self.plain(at, &[]);
        if at.attribute("instantiate") == Some("true") {
            self.unsupported(at, "a receive task that starts the process", "a definition begins at a start event");
            return None;
        }
        let name = self.reference(at, "messageRef", "message")?;
        Some(Kind::Race(vec![(at.id()?.into(), WaitFor::signal(name))]))
    }

    pub(super) fn event_gateway(&mut self, at: Element<'_>) -> Option<Kind> {
        self.plain(at, &[]);
        if at.attribute("instantiate") == Some("true") || at.attribute("eventGatewayType") == Some("Parallel") {
            self.unsupported(
                at,
                "an event-based gateway that starts the process",
                "a definition begins at a start event",
            );
            return None;
        }
        Some(Kind::Race(Vec::new()))
    }

    /// Adds boundary events to their activities.
    pub(super) fn boundary_events(&mut self, scope: Element<'_>, graph: &mut Graph, indexes: &mut Indexes) {
        for at in scope.all("boundaryEvent") {
            self.plain(at, &[]);
            let Some(id) = self.id(at) else { continue };
            let host = at.attribute("attachedToRef").unwrap_or_default();
            let Some(Target::Node(index)) = indexes.get(host).copied() else {
                let known: Vec<String> = indexes.keys().cloned().collect();
                self.report.unknown(&Place::Text(&at.spot()), "activity", host, known.iter().map(String::as_str));
                continue;
            };
            let Some(event) = self.event(at) else { continue };
            if let Event::Compensation(_) = event {
                indexes.insert(id.to_string(), Target::Undo(index));
                continue;
            }
            let interrupts = at.attribute("cancelActivity") != Some("false");
            let Some(on) = self.trigger(at, event, interrupts) else { continue };
            let Some(node) = graph.nodes.get_mut(index) else { continue };
            if !matches!(node.kind, Kind::Task(_) | Kind::Call(_) | Kind::Sub(_) | Kind::Race(_)) {
                self.unsound(at, "a boundary event belongs to an activity");
                continue;
            }
            indexes.insert(id.to_string(), Target::Boundary(index, node.boundary.len()));
            node.boundary.push(BoundaryEvent { id, on, interrupts });
        }
    }

    /// What a boundary event, or the start of an event sub-process, waits for.
    pub(super) fn trigger(&mut self, at: Element<'_>, event: Event<'_>, interrupts: bool) -> Option<Trigger> {
        if !interrupts && !matches!(event, Event::Timer(_)) {
            self.note(at, "it fires once");
        }
        match event {
            Event::Error(_) if !interrupts => {
                self.unsound(at, "an error always interrupts");
                None
            }
            Event::Error(Some(code)) => Some(Trigger::Error(Failures::code(code.as_str()))),
            Event::Error(None) => Some(Trigger::Error(Failures::any())),
            Event::Timer(Timer::After(span)) => Some(Trigger::After(span)),
            Event::Timer(_) => {
                self.unsupported(
                    at,
                    "a date or a cycle at a boundary",
                    "a handler has a constant duration and fires once",
                );
                None
            }
            Event::Message(name) | Event::Signal(name) => {
                self.note(at, "the content of the message or signal is left out");
                Some(Trigger::Signal(name))
            }
            Event::Escalation(Some(name)) => Some(Trigger::Signal(name)),
            Event::Conditional(condition) => {
                self.note(at, CONDITIONS);
                Some(Trigger::When(condition))
            }
            Event::Escalation(None) => {
                self.unsupported(at, "the catching of every escalation", "an escalation is caught by its code");
                None
            }
            Event::None | Event::Terminate | Event::Link | Event::Compensation(_) => {
                self.unsound(at, format!("`{}` cannot have this definition", shown(&at.shown())));
                None
            }
        }
    }
}

/// The note about conditional events.
const CONDITIONS: &str = "the condition is evaluated when the event begins to wait, and when the host updates the variable `data` of \
                          the run; what branches beside it write is not seen";
