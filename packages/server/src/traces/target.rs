//! Where spans are sent: the setting, and the variables of OpenTelemetry.

use crate::trouble::Trouble;
use axum::http::{HeaderName, HeaderValue, Uri};
use counterpoint_serving::Client;
use std::env;

/// The path of the signal at the endpoint of a collector.
const PATH: &str = "/v1/traces";

/// A collector, and what it is told of this process.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(super) url: Uri,
    /// They may have keys, and are never shown.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) resource: Vec<(String, String)>,
}

impl Target {
    /// The collector of the command line, else that of the environment, else that of the file with settings, if any. An empty
    /// text is none.
    pub(crate) fn of(given: Option<&str>, written: Option<&str>) -> Result<Option<Self>, Trouble> {
        let set = |name: &'static str| env::var(name).ok().filter(|value| !value.trim().is_empty());
        let is = |name, word: &str| set(name).is_some_and(|value| value.trim().eq_ignore_ascii_case(word));
        let (name, url) = if let Some(given) = given {
            ("--otlp", endpoint(given))
        } else if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
            return Ok(None);
        } else if let Some(whole) = set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", whole)
        } else if let Some(base) = set("OTEL_EXPORTER_OTLP_ENDPOINT") {
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint(&base))
        } else {
            ("otlp", endpoint(written.unwrap_or_default()))
        };
        if url.is_empty() {
            return Ok(None);
        }
        let url = Client::url(url.trim()).map_err(|text| Trouble::Usage(format!("`{name}` {text}")))?;
        let headers = match set("OTEL_EXPORTER_OTLP_TRACES_HEADERS") {
            Some(own) => headers("OTEL_EXPORTER_OTLP_TRACES_HEADERS", &own)?,
            None => headers("OTEL_EXPORTER_OTLP_HEADERS", &set("OTEL_EXPORTER_OTLP_HEADERS").unwrap_or_default())?,
        };
        let mut resource = pairs(&set("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default());
        if let Some(service) = set("OTEL_SERVICE_NAME") {
            resource.retain(|(name, _)| name != "service.name");
            resource.push(("service.name".to_owned(), service));
        }
        let own = [("service.name", "counterpoint"), ("service.version", env!("CARGO_PKG_VERSION"))];
        for (name, value) in own {
            if !resource.iter().any(|(known, _)| known == name) {
                resource.push((name.to_owned(), value.to_owned()));
            }
        }
        Ok(Some(Self { url, headers, resource }))
    }

    /// The collector, for people: without what may be secret.
    pub(super) fn name(&self) -> String {
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}", self.url.host().unwrap_or_default())
    }
}

/// The URL for traces at an endpoint.
fn endpoint(base: &str) -> String {
    let base = base.trim().trim_end_matches('/');
    if base.is_empty() || base.ends_with(PATH) { base.to_owned() } else { format!("{base}{PATH}") }
}

fn headers(variable: &str, text: &str) -> Result<Vec<(HeaderName, HeaderValue)>, Trouble> {
    let header = |(name, value): (String, String)| {
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::try_from(name).ok()?, value))
    };
    let headers: Option<Vec<_>> = pairs(text).into_iter().map(header).collect();
    headers.ok_or_else(|| Trouble::Usage(format!("`{variable}`: expected NAME=VALUE,NAME=VALUE with valid headers")))
}

/// `name=value,name=value`, where values may have `%` and two hexadecimal digits.
fn pairs(text: &str) -> Vec<(String, String)> {
    let pair = |part: &str| {
        let (name, value) = part.split_once('=')?;
        Some((name.trim().to_owned(), decoded(value.trim())))
    };
    text.split(',').filter_map(pair).filter(|(name, _)| !name.is_empty()).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| *first == b'%').and_then(|code| std::str::from_utf8(code).ok());
        let code = code.filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_the_specification_has_it() {
        assert_eq!(endpoint(" http://c:4318/ "), "http://c:4318/v1/traces");
        assert_eq!(endpoint("http://c/v1/traces"), "http://c/v1/traces");
        assert_eq!(endpoint(""), "");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(pairs("a=b%20c, d = e=f,,x,=y,"), [pair("a", "b c"), pair("d", "e=f")]);
        assert_eq!(decoded("%zz%4%e2%82%ac%"), "%zz%4€%");
        assert_eq!(decoded("%ff"), "\u{fffd}");
    }
}
