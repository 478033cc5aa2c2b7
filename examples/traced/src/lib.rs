//! Two agents research a question, and a host emits spans. This library is independent of an exporter; it also contains
//! the layer that exports through OpenTelemetry.

use counterpoint::host::thread::ThreadHost;
use counterpoint::journal::Projection as _;
use counterpoint::observe::Spans;
use counterpoint::task::TraceContext;
use counterpoint::workflow::{Attempt, Step, Steps, Workflow};
use counterpoint::{AgentId, AgentSpec, Config, Failure, Policy, Retry, RunId};
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::collections::HashMap;
use std::time::Duration;
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

/// What an HTTP request might have brought.
pub const ASKED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

struct Search;

impl Step for Search {
    const KIND: &'static str = "search";
    type Input = String;
    type Output = Vec<String>;

    fn run(&self, question: String, attempt: &Attempt) -> Result<Vec<String>, Failure> {
        if attempt.number() == 1 {
            return Err(Failure::transient("the index is being rebuilt"));
        }
        Ok(["one", "two", "three"].map(|source| format!("source {source} on {question}")).to_vec())
    }

    fn policy(&self) -> Policy {
        Policy::default().with_retry(Retry::exponential(3, Duration::from_millis(20), Duration::from_millis(40)))
    }
}

struct Read;

impl Step for Read {
    const KIND: &'static str = "read";
    type Input = String;
    type Output = usize;

    fn run(&self, source: String, _: &Attempt) -> Result<usize, Failure> {
        Ok(source.len())
    }
}

/// Spans that go on with the trace of whoever asked, under OpenTelemetry: its context becomes the parent.
#[must_use]
pub fn joining_traces() -> Spans {
    Spans::default().on_trace(|span, trace| {
        let mut headers = HashMap::from([("traceparent".to_owned(), trace.traceparent().to_owned())]);
        headers.extend(trace.tracestate().map(|state| ("tracestate".to_owned(), state.to_owned())));
        // A span that no layer of OpenTelemetry sees has no parent there either.
        let _ = span.set_parent(TraceContextPropagator::new().extract(&headers));
    })
}

/// The layer that hands spans to the exporters of this provider.
pub fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    // Spans are never entered, as nothing of the work is done where they are opened: so there is nothing busy to be counted.
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("counterpoint"))
        .with_tracked_inactivity(false)
        .with_location(false)
        .with_threads(false)
}

/// Researches a question. The spans are opened and closed on the host's own thread, so the subscriber must be that of the whole
/// program.
///
/// # Errors
///
/// When the host or the run fails.
pub fn research(mut spans: Spans) -> Result<Vec<usize>, Box<dyn std::error::Error>> {
    let flow = Workflow::<String, Vec<usize>>::named("research");
    let sources = flow.step(Search, flow.input());
    let flow = flow.output(flow.map(Read, sources))?;

    let host = ThreadHost::start(Config::default())?;
    host.watch(move |entry| spans.apply(entry))?;
    host.add_agent(AgentSpec::new(AgentId::new(1)).with_name("searcher"), Steps::new().with(Search))?;
    host.add_agent(AgentSpec::new(AgentId::new(2)).with_name("reader").with_capacity(2), Steps::new().with(Read))?;
    host.define(flow.definition().clone())?;
    let run = flow.run(RunId::new(1), &"counterpoint".to_owned())?.with_trace(TraceContext::new(ASKED)?);
    let lengths: Vec<usize> = host.start_run(run)?.wait()?;
    host.shut_down(Duration::from_secs(5))?;
    Ok(lengths)
}
