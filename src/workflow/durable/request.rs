//! A call before it is requested, with all its settings.

use super::facts::CallId;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::{
    Action, Body, Decision, Definition, Expr, Fail, FunctionCall, Link, Map, Node, RaceOption, WaitFor, Work,
};
use crate::task::{Failure, codes};
use core::time::Duration;

/// The only node of the workflows that perform waits and maps.
const IT: &str = "it";

/// A value that the code computes.
pub(super) type Compute = Box<dyn FnOnce() -> Result<Payload, Failure> + Send>;

/// A call of a function.
pub(super) struct Request {
    pub(super) key: Name,
    /// The data that distinguishes it from others of its key.
    pub(super) data: Option<Name>,
    pub(super) input: Result<Payload, Failure>,
    pub(super) shape: Shape,
    pub(super) undo: Option<Work>,
}

/// What is performed.
pub(super) enum Shape {
    Body(Body),
    Map { body: Body, max_concurrent: Option<u32> },
    Signal { signal: Name, within: Option<Duration> },
    Decision { decision: Decision, within: Option<Duration> },
    Sleep(Duration),
    SleepUntil,
    Value,
    Pivot,
    SavePoint { retries: u32 },
}

impl Request {
    pub(super) fn new(key: Name, input: Result<Payload, Failure>, shape: Shape) -> Self {
        Self { key, data: None, input, shape, undo: None }
    }

    /// The task, if it performs one, once or for each item.
    pub(super) fn work_mut(&mut self) -> Option<&mut Work> {
        match &mut self.shape {
            Shape::Body(Body::Task(work)) | Shape::Map { body: Body::Task(work), .. } => Some(work),
            Shape::Body(_)
            | Shape::Map { .. }
            | Shape::Signal { .. }
            | Shape::Decision { .. }
            | Shape::Sleep(_)
            | Shape::SleepUntil
            | Shape::Value
            | Shape::Pivot
            | Shape::SavePoint { .. } => None,
        }
    }

    /// The kind of the task.
    pub(super) fn kind(&mut self) -> Name {
        let key = self.key.clone();
        self.work_mut().map_or(key, |work| work.kind.clone())
    }

    /// As an answer of a turn lists it.
    pub(super) fn call(self, (key, occurrence): CallId, input: Payload) -> FunctionCall {
        let is_pivot = matches!(self.shape, Shape::Pivot);
        let save = if let Shape::SavePoint { retries } = self.shape { Some(retries) } else { None };
        let (body, undo) = match self.shape {
            Shape::Body(body) => (body, self.undo),
            Shape::Map { body, max_concurrent } => {
                let map = Action::Map(Map::over(Expr::Input, body).max_concurrent(max_concurrent));
                (alone(&key, map, |node| Node { undo: self.undo, input: Expr::default(), ..node }), None)
            }
            Shape::Signal { signal, within: None } => {
                (wait(&key, Action::Wait { signal: Some(signal), timer: None }), None)
            }
            Shape::Signal { signal, within: Some(span) } => {
                let late = format!("no signal `{signal}` arrived in time");
                let option = RaceOption::new("signal", WaitFor::signal(signal));
                (within(&key, option, span, Fail::new(late.as_str()).with_code(codes::SIGNAL_TIMEOUT)), None)
            }
            Shape::Decision { decision, within: span } => {
                let option = RaceOption::new("decision", decision.into());
                (decided(&key, option, span), None)
            }
            Shape::Sleep(span) => (wait(&key, Action::Wait { signal: None, timer: Some(span) }), None),
            Shape::SleepUntil => {
                let options = vec![RaceOption::new("then", WaitFor::At(Expr::Input))];
                (wait(&key, Action::Race { options }), None)
            }
            Shape::Value | Shape::Pivot | Shape::SavePoint { .. } => (wait(&key, Action::Pass), None),
        };
        let mut call = FunctionCall::new(key, body).with_occurrence(occurrence);
        (call.input, call.undo, call.pivot, call.save) = (input, undo, is_pivot, save);
        call
    }
}

/// The workflow with this action alone. Its input is that of the workflow, and its output, too.
fn alone(key: &Name, action: Action, settle: impl FnOnce(Node) -> Node) -> Body {
    let node = settle(Node::new(IT, action).with_input(Expr::Input));
    Body::Flow(Definition::new(key.clone()).with_node(node).with_output(Expr::node(IT)).into())
}

fn wait(key: &Name, action: Action) -> Body {
    alone(key, action, |node| node)
}

/// A wait for a signal that fails after a time.
fn within(key: &Name, option: RaceOption, span: Duration, late: Fail) -> Body {
    let options = vec![option, RaceOption::new("late", WaitFor::After(span))];
    let flow = Definition::new(key.clone())
        .with_node(Node::new(IT, Action::Race { options }))
        .with_node(Node::new("late", Action::Fail(late)).with_link(Link::case(IT, "late")))
        .with_output(Expr::node(IT));
    Body::Flow(flow.into())
}

/// A wait for a decision, at a node that is named after the call.
fn decided(key: &Name, option: RaceOption, span: Option<Duration>) -> Body {
    // An option of the decision may have any name, so the time has one that none has.
    let taken = |name: &Name| matches!(&option.on, WaitFor::Decision(decision) if decision.options.contains(name));
    let mut late = Name::from("late");
    while taken(&late) || late == *key {
        late = Name::from(format!("{late}_"));
    }
    let mut options = vec![option];
    let mut flow = Definition::new(key.clone());
    if let Some(span) = span {
        let fail = Fail::new(format!("nobody has decided `{key}` in time").as_str());
        let fail = Node::new(late.clone(), Action::Fail(fail.with_code(codes::DECISION_TIMEOUT)));
        flow = flow.with_node(fail.with_link(Link::case(key.clone(), late.clone())));
        options.push(RaceOption::new(late, WaitFor::After(span)));
    }
    let flow = flow.with_node(Node::new(key.clone(), Action::Race { options })).with_output(Expr::node(key.clone()));
    Body::Flow(flow.into())
}
