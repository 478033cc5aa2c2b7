//! What happened, for people and for monitors: projections over the journal's entries.
//!
//! Each projection is a fold that stands alone: feed it the entries that an [`Outbox`](crate::Outbox) brings, or those of a
//! journal read back, and ask it whenever you like. None of them decides anything, none panics whatever it is fed (a tail
//! without its beginning, entries twice, two journals mixed), and each has bounds on what it remembers.
//!
//! | projection | answers |
//! |---|---|
//! | [`Metrics`] | how many, how often, how long, how busy, how evenly, in time or not; [`to_prometheus`] |
//! | [`Alerts`] | what should a person look at |
//! | [`Progress`] | how far is this run, and what does it wait for |
//! | [`Timeline`] | who did what when; as a picture in SVG, and for trace viewers |
//! | [`Report`] | all of this about one run, as an HTML page |
//! | [`Lineage`] | who made this output, from what, under which definition; Mermaid and DOT |
//! | [`Audit`] | who did what, when and why |
//! | [`Picture`] | what does this workflow look like, and this run of it; Mermaid and DOT |
//! | `Spans` (feature `tracing`) | the same as spans and events of the crate `tracing`, under the names of OpenTelemetry |
//! | [`Story`] | what were the last things that happened to this task, agent or run |
//!
//! ```
//! use counterpoint::observe::{describe, Metrics, Story};
//! use counterpoint::journal::Projection;
//! use counterpoint::{Entry, Seq, TaskId, Time};
//! use counterpoint::message::TaskEvent;
//!
//! let entry = Entry {
//!     seq: Seq::new(1),
//!     at: Time::from_millis(20),
//!     event: TaskEvent::Ready.of(TaskId::new(7)),
//! };
//! let (mut metrics, mut story) = (Metrics::default(), Story::default());
//! for projection in [&mut metrics as &mut dyn Projection, &mut story] {
//!     projection.apply(&entry);
//! }
//! assert_eq!(describe(&entry), "t7 is ready");
//! ```

mod alerts;
mod audit;
mod catalog;
mod describe;
mod lineage;
mod metrics;
mod picture;
mod progress;
mod prometheus;
mod report;
#[cfg(feature = "tracing")]
mod spans;
mod story;
mod text;
mod timeline;
mod trace;

pub use alerts::{Alert, AlertRules, Alerts, Signal, Statistic};
pub use audit::{Actor, Audit, AuditLine};
pub use describe::describe;
pub use lineage::{HandedOn, Lineage, Maker, Print, Product, RunLineage, Source};
pub use metrics::{
    AgentFigures, Compliance, Counts, Figures, LoadSpread, Metrics, MetricsSnapshot, Rates, Summary, Usage, Waits,
};
pub use picture::Picture;
pub use progress::{NodeCounts, Progress, RunProgress, Waiting, WaitsFor};
pub use prometheus::to_prometheus;
pub use report::Report;
#[cfg(feature = "tracing")]
pub use spans::Spans;
pub use story::{Line, Story};
pub use timeline::{Bar, BarResult, Mark, MarkKind, Step, SvgOptions, Timeline, TimelineData};
