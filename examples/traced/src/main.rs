//! A question is researched by two agents, and every span is written as a line of JSON when it ends.
//!
//! ```sh
//! cargo run                 # to the terminal
//! cargo run > trace.jsonl   # to a file
//! ```
//!
//! The run joins the trace of whoever asked, by its `traceparent`. With an exporter of OpenTelemetry in place of the JSON lines,
//! [`Spans::on_trace`] is where its context is set as the parent.

use counterpoint::host::thread::ThreadHost;
use counterpoint::insight::{Projection as _, Spans};
use counterpoint::workflow::{Attempt, Step, Steps, Workflow};
use counterpoint::{AgentId, AgentSpec, Config, Failure, Policy, Retry, RunId, TraceContext};
use std::time::Duration;
use tracing_subscriber::fmt::format::FmtSpan;

/// What an HTTP request might have brought.
const ASKED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The spans are opened and closed on the host's own thread, so the subscriber is that of the whole program.
    tracing_subscriber::fmt()
        .json()
        .with_span_events(FmtSpan::CLOSE)
        .with_current_span(true)
        .with_span_list(false)
        .init();
    let flow = Workflow::<String, Vec<usize>>::named("research");
    let sources = flow.step(Search, flow.input());
    let flow = flow.output(flow.map(Read, sources))?;

    let host = ThreadHost::start(Config::default())?;
    let mut spans = Spans::default();
    host.watch(move |entry| spans.apply(entry))?;
    host.add_agent(AgentSpec::new(AgentId::new(1)).with_name("searcher"), Steps::new().with(Search))?;
    host.add_agent(AgentSpec::new(AgentId::new(2)).with_name("reader").with_capacity(2), Steps::new().with(Read))?;
    host.define(flow.definition().clone())?;
    let run = flow.run(RunId::new(1), &"counterpoint".to_owned())?.with_trace(TraceContext::new(ASKED)?);
    let lengths: Vec<usize> = host.start_run(run)?.wait()?;
    assert_eq!(lengths.len(), 3);
    host.shut_down(Duration::from_secs(5))?;
    Ok(())
}
