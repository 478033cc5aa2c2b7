//! Asking a run that is under way: what it would give back now, which signals it keeps.

use super::view::RunView;
use crate::base::name::Name;
use crate::base::payload::Payload;

/// What a run says of itself without a command: nothing is written down, and it does not notice.
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
    /// What it would give back if it ended now, variables that its output reads included; nothing of nodes that have not ended. Null if it is too large.
    #[must_use]
    pub fn output_so_far(&self) -> Payload {
        self.parts().0.values(self.limits()).output_so_far()
    }

    /// What a variable is now, as the output of the run sees it: what nodes that succeeded wrote to it, and updates from
    /// outside. None if there is no such variable; null if it is too large.
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
        self.parts().0.values(self.limits()).variable_so_far(name)
    }

    /// The signals that it keeps and nobody has taken, by name, with how many there are of each.
    pub fn signals(&self) -> impl Iterator<Item = (&'a Name, usize)> + use<'a> {
        self.parts().0.signals().counts(self.now())
    }
}
