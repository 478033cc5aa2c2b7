//! Nodes that send signals.

use super::{Definition, Expr, SignalRule};
use crate::base::name::Name;
use crate::base::time::Time;
use serde::{Deserialize, Serialize};

/// Sends a signal to runs ([`Action::Send`](super::Action::Send)). The content of the signal is the input of the node, and the
/// output of the node is the number of runs that received it.
///
/// Only runs of the tenant of the sending run receive it, and only while they go forward. A run receives the signal under the
/// conditions under which it accepts one from outside: it does not if it keeps as many signals as it may
/// ([`SignalRule::max_kept`](super::SignalRule::max_kept)), or if its rule drops signals for which no node waits.
///
/// ```
/// use counterpoint::definition::{Action, Expr, Link, Node, Receivers, SendSignal};
///
/// // The run of the customer with this number, and then all runs that watch prices.
/// let customer = Receivers::Key { workflow: "customer".into(), key: Expr::Item.at("/customer") };
/// let tell = Node::new("tell", Action::Send(SendSignal::new("shipped", customer))).with_input(Expr::Input);
/// let all = Action::Send(SendSignal::new("price", Receivers::All { workflow: "watch".into() }));
/// let spread = Node::new("spread", all).with_input(Expr::Input.at("/price")).with_link(Link::success("tell"));
/// # let _ = (tell, spread);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SendSignal {
    /// The name of the signal.
    pub signal: Name,
    /// The runs that receive it.
    pub to: Receivers,
}

impl SendSignal {
    /// Sends a signal of this name.
    #[must_use]
    pub fn new(signal: impl Into<Name>, to: Receivers) -> Self {
        Self { signal: signal.into(), to }
    }
}

impl Definition {
    /// The rule for signals of this name.
    pub(crate) fn signal_rule(&self, signal: &Name) -> Option<&SignalRule> {
        self.signals.iter().find(|rule| rule.name == *signal)
    }

    /// Until when a run keeps a signal of this name that arrives now; none for no limit.
    pub(crate) fn kept_until(&self, signal: &Name, now: Time) -> Option<Time> {
        self.signal_rule(signal)?.ttl.map(|span| now + span)
    }
}

/// The runs that receive a signal which a node sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Receivers {
    /// The run of the node. Its child runs can take the signal from it.
    Run,
    /// The run that started the run of the node as a child run; none for a run without a parent run. A
    /// [handler](super::Handler::signal) of the node that started the child run sees the signal: an escalation.
    Parent,
    /// The run without a parent run of which the run of the node is a descendant, or that run itself.
    Root,
    /// The runs of a workflow with a business key, in the order in which they were started.
    Key {
        /// The workflow, in any version.
        workflow: Name,
        /// The business key, a string. The item is the input of the node.
        key: Expr,
    },
    /// All runs of a workflow without a parent run, in the order in which they were started.
    All {
        /// The workflow, in any version.
        workflow: Name,
    },
}
