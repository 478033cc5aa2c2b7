//! What the SDK of OpenTelemetry exports: one trace, under the names of its conventions for generative AI.

use counterpoint_traced::{ASKED, joining_traces, layer, research};
use opentelemetry::Value;
use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// All that a span may bear under `gen_ai` here, by the operation: OpenTelemetry's conventions for agent and framework spans
/// (in development; 1.41). The name of the span is the operation and the last of these.
const CONVENTIONS: [(&str, &[&str]); 2] = [
    ("invoke_agent", &["gen_ai.operation.name", "gen_ai.agent.id", "gen_ai.agent.name"]),
    ("invoke_workflow", &["gen_ai.operation.name", "gen_ai.workflow.name"]),
];

fn attributes(span: &SpanData) -> BTreeMap<&str, String> {
    span.attributes.iter().map(|pair| (pair.key.as_str(), pair.value.to_string())).collect()
}

fn parent<'a>(spans: &'a [SpanData], span: &SpanData) -> &'a SpanData {
    spans.iter().find(|other| other.span_context.span_id() == span.parent_span_id).expect("its parent is exported, too")
}

#[test]
fn a_run_is_one_trace_under_the_names_of_the_conventions() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    tracing_subscriber::registry().with(layer(&provider)).init();
    assert_eq!(research(joining_traces()).unwrap().len(), 3);
    provider.force_flush().unwrap();
    let spans = exporter.get_finished_spans().unwrap();

    // One trace, that of whoever asked.
    let traces: BTreeSet<String> = spans.iter().map(|span| span.span_context.trace_id().to_string()).collect();
    assert_eq!(Vec::from_iter(traces), [&ASKED[3..35]]);
    let (workflows, rest): (Vec<_>, Vec<_>) = spans.iter().partition(|span| span.name == "invoke_workflow research");
    assert_eq!((workflows.len(), rest.len()), (1, 2 + 4 + 5), "nodes, tasks and attempts");
    assert_eq!(workflows[0].parent_span_id, SpanId::from_hex(&ASKED[36..52]).unwrap());
    assert!(workflows[0].parent_span_is_remote, "it is a span of somebody else");

    // The tree: attempts within tasks, these within nodes, these within the run; and the times with it.
    let depth = |span: &SpanData| {
        let mut at = span.clone();
        let mut depth = 0;
        while at.span_context != workflows[0].span_context {
            let above = parent(&spans, &at);
            assert!(above.start_time <= at.start_time && at.end_time <= above.end_time, "{at:?} within {above:?}");
            (at, depth) = (above.clone(), depth + 1);
        }
        depth
    };
    let depths: Vec<usize> = [1, 2, 3].map(|level| rest.iter().filter(|span| depth(span) == level).count()).to_vec();
    assert_eq!(depths, [2, 4, 5]);

    // The names.
    for span in &spans {
        let attributes = attributes(span);
        let borne: BTreeSet<&str> = attributes.keys().copied().filter(|key| key.starts_with("gen_ai.")).collect();
        let operation = attributes.get("gen_ai.operation.name");
        let known = CONVENTIONS.iter().find(|(name, _)| operation.is_some_and(|operation| operation == name));
        let expected = known.map(|(_, keys)| keys.iter().copied().collect()).unwrap_or_default();
        assert_eq!(borne, expected, "{}", span.name);
        assert_eq!((known.is_some(), &span.span_kind), (matches!(depth(span), 0 | 3), &SpanKind::Internal));
        if let Some((name, keys)) = known {
            assert_eq!(span.name, format!("{name} {}", attributes[keys.last().unwrap()]));
        }
    }

    // What failed says so, as it is said there.
    let failed: Vec<&SpanData> = spans.iter().filter(|span| matches!(span.status, Status::Error { .. })).collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!((failed[0].name.as_ref(), depth(failed[0])), ("invoke_agent searcher", 3));
    assert_eq!(attributes(failed[0])["error.type"], "transient");
    let told: Vec<&str> = failed[0].events.iter().map(|event| event.name.as_ref()).collect();
    assert!(told.iter().any(|text| text.contains("the index is being rebuilt")), "{told:?}");
    let number = |key: &str| {
        let pair = failed[0].events[0].attributes.iter().find(|pair| pair.key.as_str() == key);
        pair.is_some_and(|pair| matches!(pair.value, Value::I64(number) if number > 0))
    };
    assert!(number("counterpoint.seq") && number("counterpoint.at"), "numbers stay numbers");
}

#[test]
fn the_program_prints_the_spans_without_a_collector() {
    let output = Command::new(env!("CARGO_BIN_EXE_on_opentelemetry")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    for name in ["invoke_workflow research", "invoke_agent searcher", "invoke_agent reader"] {
        assert!(text.contains(name), "no {name} in {text}");
    }
    assert!(text.contains(&ASKED[3..35]));
}
