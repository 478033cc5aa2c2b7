//! Spans in the JSON encoding of the OpenTelemetry Protocol.

use super::spans::Span;
use serde_json::{Value, json};

/// `SPAN_KIND_INTERNAL`.
const INTERNAL: u8 = 1;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// The body of a request to `/v1/traces`.
pub(super) fn encode(resource: &[(String, String)], spans: &[Span]) -> Vec<u8> {
    let resource: Vec<Value> = resource.iter().map(|(name, value)| attribute(name, value)).collect();
    let spans: Vec<Value> = spans.iter().map(span).collect();
    let scope = json!({"name": "counterpoint", "version": env!("CARGO_PKG_VERSION")});
    let of_scope = json!({"scope": scope, "spans": spans});
    json!({"resourceSpans": [{"resource": {"attributes": resource}, "scopeSpans": [of_scope]}]})
        .to_string()
        .into_bytes()
}

fn span(span: &Span) -> Value {
    let attributes: Vec<Value> = span.attributes.iter().map(|(name, value)| attribute(name, value)).collect();
    let mut fields = json!({
        "traceId": span.trace,
        "spanId": span.id,
        "name": span.name,
        "kind": INTERNAL,
        "startTimeUnixNano": span.from.as_nanos().to_string(),
        "endTimeUnixNano": span.to.as_nanos().to_string(),
        "attributes": attributes,
        "status": if span.is_error { json!({"code": ERROR}) } else { json!({}) },
    });
    if let Some(map) = fields.as_object_mut() {
        let more = [("parentSpanId", &span.parent), ("traceState", &span.state)];
        map.extend(more.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into()))));
    }
    fields
}

fn attribute(name: &str, value: &str) -> Value {
    json!({"key": name, "value": {"stringValue": value}})
}

/// The number of spans that a collector has refused, by its answer.
pub(super) fn rejected(answer: &[u8]) -> u64 {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    // Numbers of 64 bits are texts in this encoding; collectors send both.
    let count = answer.pointer("/partialSuccess/rejectedSpans");
    count.and_then(|count| count.as_u64().or_else(|| count.as_str()?.parse().ok())).unwrap_or_default()
}
