//! The context of a distributed trace (W3C Trace Context). It is passed on and not interpreted.

use core::fmt;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The largest length of a `tracestate`, in characters.
const MAX_STATE: usize = 512;
/// The length of a `traceparent` of version 00.
const PARENT: usize = 55;

/// A `traceparent` with its `tracestate`: valid in form, not interpreted further.
///
/// ```
/// use counterpoint::task::TraceContext;
///
/// let trace = TraceContext::new("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")?.with_state("vendor=1")?;
/// assert!(trace.is_sampled());
/// assert_eq!(trace.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
/// assert!(TraceContext::new("00-00000000000000000000000000000000-00f067aa0ba902b7-01").is_err());
/// # Ok::<(), counterpoint::task::BadTrace>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct TraceContext {
    parent: Box<str>,
    state: Option<Box<str>>,
}

/// Why a text is not a trace context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum BadTrace {
    /// Shorter than required, or longer than its version allows.
    #[error("a traceparent of version 00 has 55 characters")]
    Length,
    /// A dash is missing, or a field contains characters other than digits and `a` to `f`.
    #[error("a traceparent is four lower-case hexadecimal fields with dashes between")]
    Form,
    /// The version is `ff`, which is forbidden.
    #[error("a traceparent of version ff is forbidden")]
    Version,
    /// The trace id or the parent id is all zeros.
    #[error("the trace id and the parent id of a traceparent must not be all zeros")]
    Zero,
    /// Too long, or not printable ASCII.
    #[error("a tracestate is at most 512 printable ASCII characters")]
    State,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    traceparent: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tracestate: Option<String>,
}

impl TraceContext {
    /// Parses a `traceparent`. In versions after 00, additional fields are accepted and ignored.
    ///
    /// # Errors
    ///
    /// Returns an error if it does not have the form that the recommendation requires.
    pub fn new(traceparent: &str) -> Result<Self, BadTrace> {
        let bytes = traceparent.as_bytes();
        let longer = bytes.get(PARENT..).ok_or(BadTrace::Length)?;
        let in_order = match longer.first() {
            None => true,
            Some(next) => !traceparent.starts_with("00") && *next == b'-' && longer.len() <= MAX_STATE,
        };
        if !in_order {
            return Err(BadTrace::Length);
        }
        let well_formed = bytes.iter().take(PARENT).enumerate().all(|(at, byte)| match at {
            2 | 35 | 52 => *byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        });
        if !well_formed || !longer.iter().all(u8::is_ascii_graphic) {
            return Err(BadTrace::Form);
        }
        if traceparent.starts_with("ff") {
            return Err(BadTrace::Version);
        }
        let zero = |from: usize, to: usize| bytes.get(from..to).is_some_and(|id| id.iter().all(|byte| *byte == b'0'));
        if zero(3, 35) || zero(36, 52) {
            return Err(BadTrace::Zero);
        }
        Ok(Self { parent: traceparent.into(), state: None })
    }

    /// Sets the `tracestate`.
    ///
    /// # Errors
    ///
    /// Returns an error if it is longer than 512 characters or not printable ASCII.
    pub fn with_state(mut self, tracestate: &str) -> Result<Self, BadTrace> {
        if tracestate.len() > MAX_STATE || !tracestate.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) {
            return Err(BadTrace::State);
        }
        self.state = Some(tracestate.into());
        Ok(self)
    }

    /// The `traceparent` as received.
    #[must_use]
    pub fn traceparent(&self) -> &str {
        &self.parent
    }

    /// The `tracestate` as received.
    #[must_use]
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The id of the trace: 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        self.parent.get(3..35).unwrap_or_default()
    }

    /// The id of the span that caused this: 16 hexadecimal digits.
    #[must_use]
    pub fn parent_id(&self) -> &str {
        self.parent.get(36..52).unwrap_or_default()
    }

    /// Whether the sampled flag is set.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        let flags = self.parent.get(53..55).and_then(|flags| u8::from_str_radix(flags, 16).ok());
        flags.is_some_and(|flags| flags & 1 == 1)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parent)
    }
}

impl TryFrom<Raw> for TraceContext {
    type Error = BadTrace;

    fn try_from(raw: Raw) -> Result<Self, BadTrace> {
        let context = Self::new(&raw.traceparent)?;
        match raw.tracestate {
            Some(state) => context.with_state(&state),
            None => Ok(context),
        }
    }
}

impl From<TraceContext> for Raw {
    fn from(context: TraceContext) -> Self {
        Self { traceparent: context.parent.into(), tracestate: context.state.map(Into::into) }
    }
}

/// The trace that a task or run belongs to, if any. Two traces always compare as equal, so that a repeated submit is
/// recognised even if it is part of another trace.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Traced(Option<Box<TraceContext>>);

impl Traced {
    /// Work without a trace.
    pub const NOT: Self = Self(None);

    /// The trace.
    #[must_use]
    pub fn get(&self) -> Option<&TraceContext> {
        self.0.as_deref()
    }

    pub(crate) const fn is_none(&self) -> bool {
        self.0.is_none()
    }
}

impl PartialEq for Traced {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl From<TraceContext> for Traced {
    fn from(trace: TraceContext) -> Self {
        Self(Some(Box::new(trace)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    #[test]
    fn forms_are_distinguished() {
        let good = TraceContext::new(GOOD).unwrap();
        assert_eq!((good.parent_id(), good.is_sampled()), ("00f067aa0ba902b7", false));
        assert_eq!(TraceContext::new(""), Err(BadTrace::Length));
        assert_eq!(TraceContext::new(&format!("{GOOD}-x")), Err(BadTrace::Length));
        assert!(TraceContext::new(&format!("01{}-x", &GOOD[2..])).is_ok());
        assert_eq!(TraceContext::new(&format!("01{}x", &GOOD[2..])), Err(BadTrace::Length));
        assert_eq!(TraceContext::new(&GOOD.to_uppercase()), Err(BadTrace::Form));
        assert_eq!(TraceContext::new(&GOOD.replace('-', "_")), Err(BadTrace::Form));
        assert_eq!(TraceContext::new(&format!("ff{}", &GOOD[2..])), Err(BadTrace::Version));
        assert_eq!(TraceContext::new(&GOOD.replace("00f067aa0ba902b7", "0000000000000000")), Err(BadTrace::Zero));
        assert_eq!(TraceContext::new(&format!("{}x", "é".repeat(27))), Err(BadTrace::Form));
        assert_eq!(good.with_state("a\nb"), Err(BadTrace::State));
    }
}
