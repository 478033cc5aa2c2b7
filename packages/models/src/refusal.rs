//! Answers of an endpoint that are errors, as failures.

use crate::codes;
use crate::endpoint::Endpoint;
use core::time::Duration;
use counterpoint::{Failure, Payload};
use http::HeaderMap;
use serde_json::{Value, json};
use std::time::SystemTime;

/// The longest time that an endpoint may ask to wait.
const MOST_WAIT: Duration = Duration::from_secs(3_600);
/// The time to wait if an endpoint does not state one.
const WAIT: Duration = Duration::from_secs(1);
/// The most characters of a message of an endpoint.
const SHOWN: usize = 400;

/// The failure for a status that is no success.
pub(crate) fn of_status(endpoint: &Endpoint, status: u16, headers: &HeaderMap, body: &[u8]) -> Failure {
    let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = Some(&parsed["error"]).filter(|error| !error.is_null()).unwrap_or(&parsed);
    let (kind, message) = reported(endpoint, error, &String::from_utf8_lossy(body));
    let text = if message.is_empty() { format!("status {status}") } else { format!("status {status}: {message}") };
    let failure = match status {
        429 if kind == "insufficient_quota" => Failure::permanent(text).with_code(codes::QUOTA),
        429 => Failure::overloaded(text, wait(headers)).with_code(codes::RATE_LIMIT),
        503 | 529 => Failure::overloaded(text, wait(headers)).with_code(codes::OVERLOADED),
        401 | 403 => Failure::permanent(text).with_code(codes::UNAUTHORISED),
        408 | 409 | 425 | 500.. => Failure::transient(text).with_code(codes::UNAVAILABLE),
        _ => Failure::permanent(text).with_code(codes::REJECTED),
    };
    failure.with_details(details(Some(status), &kind))
}

/// The failure for an error within a stream.
pub(crate) fn of_event(endpoint: &Endpoint, error: &Value) -> Failure {
    let (kind, message) = reported(endpoint, error, "");
    let text = format!("the answer ended with an error: {message}");
    let failure = match kind.as_str() {
        "overloaded_error" => Failure::overloaded(text, WAIT).with_code(codes::OVERLOADED),
        "rate_limit_error" | "rate_limit_exceeded" => Failure::overloaded(text, WAIT).with_code(codes::RATE_LIMIT),
        "invalid_request_error" => Failure::permanent(text).with_code(codes::REJECTED),
        _ => Failure::transient(text).with_code(codes::UNAVAILABLE),
    };
    failure.with_details(details(None, &kind))
}

fn details(status: Option<u16>, kind: &str) -> Payload {
    Payload::new(json!({"status": status, "error": kind}))
}

/// What the endpoint reports: a short name, and a message without the key.
fn reported(endpoint: &Endpoint, error: &Value, otherwise: &str) -> (String, String) {
    let kind = error["code"].as_str().or(error["type"].as_str()).unwrap_or_default();
    let message = error["message"].as_str().or(error.as_str()).unwrap_or(otherwise);
    let message: String = endpoint.redact(message).trim().chars().take(SHOWN).collect();
    (endpoint.redact(kind).chars().take(64).collect(), message)
}

/// The time after which to try again.
fn wait(headers: &HeaderMap) -> Duration {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let millis = || text("retry-after-ms")?.parse().ok().map(Duration::from_millis);
    let seconds = || seconds(text("retry-after")?);
    // OpenAI's form: of the limits on requests and on tokens, the one that is used up is restored last.
    let resets = ["x-ratelimit-reset-requests", "x-ratelimit-reset-tokens"];
    let reset = || resets.iter().filter_map(|name| humantime::parse_duration(text(name)?).ok()).max();
    millis().or_else(seconds).or_else(reset).unwrap_or(WAIT).min(MOST_WAIT)
}

/// `Retry-After`: seconds, or a date.
fn seconds(text: &str) -> Option<Duration> {
    if let Ok(number) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(number).ok();
    }
    let until = httpdate::parse_http_date(text).ok()?;
    Some(until.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{of_status, wait};
    use crate::{Endpoint, codes};
    use core::time::Duration;
    use counterpoint::FailureKind;
    use http::HeaderMap;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn http_name(name: &str) -> http::HeaderName {
        name.parse().unwrap()
    }

    #[test]
    fn the_time_to_wait_is_that_of_the_most_exact_header() {
        let table: [(&[(&str, &str)], Duration); 8] = [
            (&[], Duration::from_secs(1)),
            (&[("retry-after", "7")], Duration::from_secs(7)),
            (&[("retry-after", "0.5")], Duration::from_millis(500)),
            (&[("retry-after", "7"), ("retry-after-ms", "1500")], Duration::from_millis(1500)),
            (&[("x-ratelimit-reset-requests", "1s"), ("x-ratelimit-reset-tokens", "6m0s")], Duration::from_secs(360)),
            (&[("retry-after", "Thu, 01 Jan 2004 00:00:00 GMT")], Duration::ZERO),
            (&[("retry-after", "999999999")], Duration::from_secs(3_600)),
            (&[("retry-after", "-1")], Duration::from_secs(1)),
        ];
        for (list, expected) in table {
            let headers = list.iter().map(|(name, value)| (http_name(name), value.parse().unwrap())).collect();
            assert_eq!(wait(&headers), expected, "{list:?}");
        }
    }

    #[test]
    fn each_status_has_its_kind_and_code() {
        let endpoint = Endpoint::openai("http://localhost/v1").unwrap().with_key("sk-secret").unwrap();
        let quota = br#"{"error": {"message": "no credit for sk-secret", "code": "insufficient_quota"}}"#;
        let table: [(u16, &[u8], FailureKind, &str); 10] = [
            (429, b"{}", FailureKind::Overloaded, codes::RATE_LIMIT),
            (429, quota, FailureKind::Permanent, codes::QUOTA),
            (503, b"", FailureKind::Overloaded, codes::OVERLOADED),
            (529, b"{\"error\": {\"type\": \"overloaded_error\"}}", FailureKind::Overloaded, codes::OVERLOADED),
            (401, b"not json", FailureKind::Permanent, codes::UNAUTHORISED),
            (403, b"[]", FailureKind::Permanent, codes::UNAUTHORISED),
            (400, b"{\"error\": \"text\"}", FailureKind::Permanent, codes::REJECTED),
            (404, b"", FailureKind::Permanent, codes::REJECTED),
            (500, b"{\"error\": null}", FailureKind::Transient, codes::UNAVAILABLE),
            (408, b"", FailureKind::Transient, codes::UNAVAILABLE),
        ];
        for (status, body, kind, code) in table {
            let failure = of_status(&endpoint, status, &headers(&[]), body);
            assert_eq!((failure.kind, failure.code.as_ref().map(|code| code.as_str())), (kind, Some(code)), "{status}");
            assert!(!failure.to_string().contains("sk-secret"), "{failure}");
            assert_eq!(failure.details().value()["status"], status);
        }
    }
}
