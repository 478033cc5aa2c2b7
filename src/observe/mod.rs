//! Projections over the journal's entries, for people and for monitoring systems.
//!
//! Each projection is an independent fold: feed it the entries of an [`Outbox`](crate::Outbox) or of a stored journal,
//! and read it at any time. Projections make no decisions. They accept any input without a panic (a tail without its
//! beginning, repeated entries, two journals mixed), and each has bounds on its memory.
//!
//! | projection | content |
//! |---|---|
//! | [`Metrics`] | counts, rates, durations, utilisation, balance and compliance; [`to_prometheus`] |
//! | [`Alerts`] | conditions that need the attention of an operator |
//! | [`Progress`] | the progress of each run, what it waits for, and a [`Forecast`] of its end |
//! | [`Estimates`] | the durations of tasks by kind and agent, with their uncertainty |
//! | [`QuantileEstimator`] | quantiles of these durations as the expected durations of tasks, for deadlines and plans |
//! | [`Timeline`] | the attempts of each agent over time; as SVG, and for trace viewers |
//! | [`Report`] | all of this for one run, as an HTML page |
//! | [`Lineage`] | the maker, the sources and the definition of each output; Mermaid and DOT |
//! | [`Audit`] | the actor, action, time and reason of each entry |
//! | [`Picture`] | a diagram of a workflow, or of a run of it; Mermaid, DOT and SVG |
//! | `Spans` (feature `tracing`) | spans and events of the crate `tracing`, with the names of OpenTelemetry |
//! | [`Names`] | the names of agents, tasks, runs and nodes, and each event as text with them |
//! | [`Story`] | the most recent events of a task, agent or run |
//!
//! ```
//! use counterpoint::observe::{Metrics, Names, Story};
//! use counterpoint::journal::Projection;
//! use counterpoint::{Entry, Seq, TaskId, Time};
//! use counterpoint::message::TaskEvent;
//!
//! let entry = Entry {
//!     seq: Seq::new(1),
//!     at: Time::from_millis(20),
//!     event: TaskEvent::Ready.of(TaskId::new(7)),
//! };
//! let (mut metrics, mut names, mut story) = (Metrics::default(), Names::default(), Story::default());
//! for projection in [&mut metrics as &mut dyn Projection, &mut names, &mut story] {
//!     projection.apply(&entry);
//! }
//! assert_eq!(names.describe(&entry), "t7 is ready"); // its submit was not seen, so it has no name
//! ```

mod alerts;
mod audit;
mod catalog;
mod describe;
mod forecast;
mod lineage;
mod metrics;
mod names;
mod picture;
mod progress;
mod prometheus;
mod report;
#[cfg(feature = "tracing")]
mod spans;
mod story;
mod timeline;
mod trace;

pub use alerts::{Alert, AlertRules, Alerts, Signal, Statistic};
pub use audit::{Actor, Audit, AuditLine};
pub(crate) use describe::text_of;
pub use forecast::{Estimate, Estimates, Forecast, QuantileEstimator};
pub use lineage::{Delegated, Lineage, Maker, Print, Product, RunLineage, Source};
pub use metrics::{
    AgentFigures, Compliance, Counts, Figures, LoadSpread, Metrics, MetricsSnapshot, Rates, Reports, ScheduleFigures,
    Summary, Usage, Waits,
};
pub use names::Names;
pub(crate) use names::{NameSource, Named, run_name, task_name};
pub use picture::Picture;
pub use progress::{NodeCounts, Progress, RunProgress, Waiting, WaitsFor};
pub use prometheus::to_prometheus;
pub use report::Report;
#[cfg(feature = "tracing")]
pub use spans::Spans;
pub use story::{Line, Story};
pub use timeline::{Bar, BarResult, Mark, MarkKind, Step, SvgOptions, Timeline, TimelineData};
