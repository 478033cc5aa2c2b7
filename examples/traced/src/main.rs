//! Two agents research a question; every span is written as a line of JSON when it ends.
//!
//! ```sh
//! cargo run -p counterpoint-traced                 # to the terminal
//! cargo run -p counterpoint-traced > trace.jsonl   # to a file
//! ```
//!
//! The run joins the trace of its caller, by the caller's `traceparent`.

use counterpoint::observe::Spans;
use tracing_subscriber::fmt::format::FmtSpan;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .json()
        .with_span_events(FmtSpan::CLOSE)
        .with_current_span(true)
        .with_span_list(false)
        .init();
    let lengths = counterpoint_traced::research(Spans::default())?;
    assert_eq!(lengths.len(), 3);
    Ok(())
}
