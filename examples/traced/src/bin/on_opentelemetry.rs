//! The same spans through the SDK of OpenTelemetry, with its exporter to standard output: no collector is needed.
//!
//! ```sh
//! cargo run -p counterpoint-traced --bin on_opentelemetry
//! ```
//!
//! For a collector, replace the exporter by that of `opentelemetry-otlp`, behind a processor that sends in batches
//! (`with_batch_exporter`).

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(opentelemetry_stdout::SpanExporter::default())
        .with_resource(Resource::builder().with_service_name("research").build())
        .build();
    tracing_subscriber::registry().with(counterpoint_traced::layer(&provider)).init();
    let lengths = counterpoint_traced::research(counterpoint_traced::joining_traces())?;
    assert_eq!(lengths.len(), 3);
    provider.shutdown()?;
    Ok(())
}
