//! Queries of a run under way: its output so far, its variables, and the signals that it keeps.

use super::view::RunView;
use crate::base::meter::Meter;
use crate::base::name::Name;
use crate::base::payload::Payload;

/// Queries of a run. They are not recorded and do not affect the run.
///
/// ```
/// use counterpoint::definition::{Action, Definition, Expr, Link, Node};
/// use counterpoint::{Command, Config, Engine, Outbox, Payload, RunCommand, RunId, RunSpec, Time};
///
/// let gate = Node::new("gate", Action::Wait { signal: Some("paid".into()), timer: None });
/// let flow = Definition::new("order")
///     .with_node(gate)
///     .with_node(Node::new("quote", Action::Pass).with_input(Expr::value(450)))
///     .with_node(Node::new("ship", Action::task("ship")).with_link(Link::success("gate")).with_link(Link::success("quote")))
///     .with_output(Expr::List(vec![Expr::node("quote"), Expr::node("ship")]));
/// let (mut engine, mut out) = (Engine::new(Config::default()), Outbox::default());
/// engine.handle(Time::ZERO, Command::define(flow), &mut out)?;
/// engine.handle(Time::ZERO, Command::start(RunSpec::new(RunId::new(1), "order")), &mut out)?;
/// let asked = RunCommand::Signal { run: RunId::new(1), signal: "complaint".into(), payload: Payload::NULL };
/// engine.handle(Time::ZERO, asked.into(), &mut out)?;
///
/// let run = engine.run(RunId::new(1)).expect("it was started");
/// assert_eq!(run.node("quote").expect("a node").output().value(), 450);
/// assert_eq!(run.output_so_far().value(), &serde_json::json!([450, null]));
/// assert_eq!(run.signals().map(|(name, kept)| (name.as_str(), kept)).collect::<Vec<_>>(), [("complaint", 1)]);
/// assert_eq!(run.waits_for(), ["gate: signal paid"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl<'a> RunView<'a> {
    /// The output of the run if it ended now. Nodes that have not ended contribute null. Null if it exceeds the size
    /// limit.
    #[must_use]
    pub fn output_so_far(&self) -> Payload {
        self.parts().0.values(self.limits(), &Meter::bounded(self.limits().evaluation())).output_so_far()
    }

    /// The value of a variable as an expression for the output reads it: the writes of nodes that have succeeded, and
    /// updates by commands. None if there is no such variable; null if it exceeds the size limit.
    ///
    /// ```
    /// use counterpoint::definition::{Action, Condition, Definition, Expr, Link, Node, Reducer, Variable};
    /// use counterpoint::{Command, Config, Engine, Outbox, Payload, Rejected, RunCommand, RunId, RunSpec, Time};
    /// use serde_json::json;
    ///
    /// let address = Variable::new("address", Reducer::Replace)
    ///     .with_initial(json!({"city": "Oslo"}))
    ///     .with_updates(Condition::Exists(Expr::Item.at("/city")));
    /// let flow = Definition::new("order")
    ///     .with_variable(address)
    ///     .with_node(Node::new("packed", Action::Wait { signal: Some("packed".into()), timer: None }))
    ///     .with_node(Node::new("ship", Action::task("ship")).with_input(Expr::variable("address")).with_link(Link::success("packed")));
    /// let (mut engine, mut out) = (Engine::new(Config::default()), Outbox::default());
    /// engine.handle(Time::ZERO, Command::define(flow), &mut out)?;
    /// engine.handle(Time::ZERO, Command::start(RunSpec::new(RunId::new(1), "order")), &mut out)?;
    ///
    /// let update = |value| RunCommand::Update { run: RunId::new(1), variable: "address".into(), value: Payload::new(value) };
    /// engine.handle(Time::ZERO, update(json!({"city": "Bergen"})).into(), &mut out)?;
    /// let refused = engine.handle(Time::ZERO, update(json!("nowhere")).into(), &mut out);
    /// assert!(matches!(refused, Err(counterpoint::Rejected::Invalid(counterpoint::message::rejected::Invalid::Update { .. }))));
    ///
    /// let run = engine.run(RunId::new(1)).expect("it was started");
    /// assert_eq!(run.variable("address").expect("it is declared").value(), &json!({"city": "Bergen"}));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<Payload> {
        self.parts().0.values(self.limits(), &Meter::bounded(self.limits().evaluation())).variable_so_far(name)
    }

    /// The names of the signals that it keeps, with the number of each.
    pub fn signals(&self) -> impl Iterator<Item = (&'a Name, usize)> + use<'a> {
        self.parts().0.signals().counts(self.now())
    }
}
