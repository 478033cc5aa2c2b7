//! A call before it is requested, with all its settings.

use super::facts::CallId;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::{
    Action, Body, Definition, Expr, Fail, FunctionCall, Link, Map, Node, RaceOption, WaitFor, Work,
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
    Sleep(Duration),
    SleepUntil,
    Value,
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
            | Shape::Sleep(_)
            | Shape::SleepUntil
            | Shape::Value => None,
        }
    }

    /// The kind of the task.
    pub(super) fn kind(&mut self) -> Name {
        let key = self.key.clone();
        self.work_mut().map_or(key, |work| work.kind.clone())
    }

    /// As an answer of a turn lists it.
    pub(super) fn call(self, (key, occurrence): CallId, input: Payload) -> FunctionCall {
        let (body, undo) = match self.shape {
            Shape::Body(body) => (body, self.undo),
            Shape::Map { body, max_concurrent } => {
                let map = Action::Map(Map::over(Expr::Input, body).max_concurrent(max_concurrent));
                (alone(&key, map, |node| Node { undo: self.undo, input: Expr::default(), ..node }), None)
            }
            Shape::Signal { signal, within: None } => {
                (wait(&key, Action::Wait { signal: Some(signal), timer: None }), None)
            }
            Shape::Signal { signal, within: Some(span) } => (within(&key, signal, span), None),
            Shape::Sleep(span) => (wait(&key, Action::Wait { signal: None, timer: Some(span) }), None),
            Shape::SleepUntil => {
                let options = vec![RaceOption::new("then", WaitFor::At(Expr::Input))];
                (wait(&key, Action::Race { options }), None)
            }
            Shape::Value => (wait(&key, Action::Pass), None),
        };
        let mut call = FunctionCall::new(key, body).with_occurrence(occurrence);
        (call.input, call.undo) = (input, undo);
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
fn within(key: &Name, signal: Name, span: Duration) -> Body {
    let options =
        vec![RaceOption::new("signal", WaitFor::signal(signal.clone())), RaceOption::new("late", WaitFor::After(span))];
    let late = Fail::new(format!("no signal `{signal}` arrived in time").as_str()).with_code(codes::SIGNAL_TIMEOUT);
    let flow = Definition::new(key.clone())
        .with_node(Node::new(IT, Action::Race { options }))
        .with_node(Node::new("late", Action::Fail(late)).with_link(Link::case(IT, "late")))
        .with_output(Expr::node(IT));
    Body::Flow(flow.into())
}
