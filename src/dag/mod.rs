//! Directed acyclic graphs: declare, validate, order, track readiness, run.
//!
//! There are three layers, and each can be used without the next:
//!
//! | type | use |
//! |---|---|
//! | [`Builder`] | declares nodes and edges; [`build`](Builder::build) validates them, and reports a cycle with its
//! path |
//! | [`Dag`], [`Topology`] | the immutable graph: neighbours, order, levels, ancestors, [critical
//! path](Topology::critical_path), [reversal](Topology::reversed) |
//! | [`Readiness`] | one run over the graph, as a state machine: returns batches of ready nodes, takes reports. For
//! callers with their own workers |
#![cfg_attr(feature = "threads", doc = "| [`Runner`] | closures over the graph, on threads of this process |")]
//!
//! A graph is built once and run many times: restarting a run copies an array. There is no recursion, so a chain of a
//! million nodes needs no more stack than a chain of two. Handles are small integers in the order of declaration, which
//! is also the order of everything that is returned per node.
//!
//! # A state machine for your own workers
//!
//! ```
//! use counterpoint::dag::{Builder, Readiness};
//!
//! // The payload is of any type: here, the minutes of a step.
//! let mut graph = Builder::new();
//! for (step, minutes) in [("dough", 15_u64), ("rest", 60), ("sauce", 30), ("top", 5), ("bake", 10)] {
//!     graph.node(step, minutes);
//! }
//! graph.edge("dough", "rest").edge("rest", "top").edge("sauce", "top").edge("top", "bake");
//! let pizza = graph.build()?;
//!
//! let plan = pizza.critical_path(|_, &minutes| minutes);
//! let path: Vec<_> = plan.path().iter().filter_map(|&node| pizza.name(node)).collect();
//! assert_eq!((plan.length(), path), (90, vec!["dough", "rest", "top", "bake"]));
//!
//! let mut run = Readiness::new(pizza.topology());
//! let (mut batch, mut done) = (Vec::new(), Vec::new());
//! while !run.is_finished() {
//!     batch.clear();
//!     run.next_batch(&mut batch, 2); // the number of cooks
//!     done.extend(batch.iter().filter_map(|&node| pizza.name(node)));
//!     run.complete_batch(&batch)?;
//! }
//! assert_eq!(done, ["dough", "sauce", "rest", "top", "bake"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(
    feature = "threads",
    doc = r#"
# Closures on threads

```
use counterpoint::dag::{Builder, Outcome, Runner};

let text = "to be or not to be";
let mut graph = Builder::new();
for step in ["words", "letters", "ratio"] {
    graph.node(step, ());
}
graph.edge("letters", "ratio").edge("words", "ratio");
let graph = graph.build()?;

let mut runner = Runner::new(graph.topology(), 2);
let outcomes = runner.run(|node, inputs| match graph.name(node) {
    Some("words") => Ok(text.split(' ').count()),
    Some("letters") => Ok(text.chars().filter(|c| c.is_alphabetic()).count()),
    // Inputs come in the order in which the edges were declared.
    _ => match (inputs.get(0), inputs.get(1)) {
        (Some(letters), Some(words)) => letters.checked_div(*words).ok_or("no words"),
        _ => Err("an input is missing"),
    },
});
assert_eq!(outcomes.into_vec(), [6, 13, 2].map(Outcome::<_, &str>::Done));
# Ok::<(), counterpoint::dag::BuildError>(())
```
"#
)]

mod builder;
mod critical;
mod csr;
mod error;
mod graph;
mod queue;
mod readiness;
#[cfg(feature = "threads")]
mod runner;
mod topology;
mod wiring;

pub use crate::base::id::NodeIx;
pub use builder::{Builder, End, Limits};
pub use critical::{CriticalPath, Timing};
pub use error::{BuildError, CyclePath, Refused};
pub use graph::Dag;
pub use readiness::{NodeState, Readiness};
#[cfg(feature = "threads")]
pub use runner::{CancelFlag, Crew, Failure, Inputs, OnFailure, Outcome, Outcomes, Report, Runner};
pub use topology::Topology;
