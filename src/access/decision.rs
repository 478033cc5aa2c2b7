//! Decisions about commands, and an audit trail of them.

use super::policy::{Action, DenialReason};
use super::principal::Unauthenticated;
use crate::base::id::Seq;
use crate::base::name::Name;
use crate::base::time::Time;
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use thiserror::Error;

/// The error for a command or a read that is not allowed. The engine has not been called.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AccessError {
    /// The caller could not be identified.
    #[error(transparent)]
    Unauthenticated(Unauthenticated),
    /// The caller is known and does not have the permission.
    #[error("{principal} {reason}")]
    Forbidden {
        /// The name of the caller.
        principal: Name,
        /// The reason.
        reason: DenialReason,
    },
}

/// The decision about one command or read: a record of the [`AuditTrail`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[must_use = "keep it in a trail"]
#[non_exhaustive]
pub struct Decision {
    /// The time of the decision.
    pub at: Time,
    /// The name of the caller, if identified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<Name>,
    /// The permission that the request needs.
    pub action: Action,
    /// The request as text, without payloads.
    pub request: Box<str>,
    /// The error, if it is not allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<AccessError>,
    /// The first and the last of the events that the command caused, if it caused any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<(Seq, Seq)>,
}

impl Decision {
    pub(super) const fn new(
        at: Time,
        principal: Option<Name>,
        action: Action,
        request: Box<str>,
        error: Option<AccessError>,
    ) -> Self {
        Self { at, principal, action, request, error, events: None }
    }

    /// Returns whether the command is allowed.
    ///
    /// # Errors
    ///
    /// The reason if it is not.
    pub fn check(&self) -> Result<(), AccessError> {
        self.error.clone().map_or(Ok(()), Err)
    }

    /// Adds the events that the command caused: those after `before`, up to `last`.
    pub fn with_events(mut self, before: Seq, last: Seq) -> Self {
        self.events = (last > before).then(|| (before.next(), last));
        self
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let principal = self.principal.as_deref().unwrap_or("unidentified caller");
        write!(f, "{} {principal}: {}", self.at, self.request)?;
        match &self.error {
            Some(error) => write!(f, ": denied: {error}"),
            None => Ok(()),
        }
    }
}

/// The answer of a [`Gate`](super::Gate): the decision for the audit trail, and the request as it is granted.
///
/// The granted request replaces the caller's: for a principal that is confined to tenants, it names other ids and confines
/// agents.
#[derive(Debug, Clone)]
#[must_use = "the granted request replaces the request of the caller"]
#[non_exhaustive]
pub struct Admitted<T> {
    /// The decision.
    pub decision: Decision,
    /// The request as it is granted, or the error of the decision.
    pub granted: Result<T, AccessError>,
}

/// The latest decisions, allowed and denied, for hosts without an audit trail of their own. To keep all decisions, write each
/// [`Decision`] to durable storage.
///
/// [`observe::Audit`](crate::observe::Audit) is the trail of events; [`principal_of`](Self::principal_of) joins the two.
#[derive(Debug, Clone)]
pub struct AuditTrail {
    decisions: VecDeque<Decision>,
    capacity: usize,
}

impl Default for AuditTrail {
    /// The latest 10,000 decisions.
    fn default() -> Self {
        Self::new(10_000)
    }
}

impl AuditTrail {
    /// Keeps up to this many decisions; 0 counts as 1.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { decisions: VecDeque::new(), capacity: capacity.max(1) }
    }

    /// Adds a decision and drops the oldest if the trail is full.
    pub fn push(&mut self, decision: Decision) {
        if self.decisions.len() >= self.capacity {
            self.decisions.pop_front();
        }
        self.decisions.push_back(decision);
    }

    /// The decisions, the oldest first.
    pub fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.decisions.iter()
    }

    /// The name of the caller whose command caused an event. None if the decision is not in the trail or only time caused it.
    #[must_use]
    pub fn principal_of(&self, event: Seq) -> Option<&Name> {
        let caused =
            |decision: &&Decision| decision.events.is_some_and(|(first, last)| first <= event && event <= last);
        self.decisions.iter().rev().find(caused)?.principal.as_ref()
    }

    /// The decisions as JSON lines, one object for each.
    #[must_use]
    pub fn to_json_lines(&self) -> String {
        let mut out = String::new();
        for text in self.decisions.iter().filter_map(|decision| serde_json::to_string(decision).ok()) {
            out.push_str(&text);
            out.push('\n');
        }
        out
    }

    /// The decisions as CSV (RFC 4180) with the columns `at,principal,action,request,error,first,last`; times in nanoseconds. A cell that
    /// a spreadsheet would take for a formula is prefixed with an apostrophe.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut out = String::from("at,principal,action,request,error,first,last\r\n");
        for decision in &self.decisions {
            let error = decision.error.as_ref().map(ToString::to_string).unwrap_or_default();
            let (first, last) = match decision.events {
                Some((first, last)) => (first.get().to_string(), last.get().to_string()),
                None => (String::new(), String::new()),
            };
            let principal = cell(decision.principal.as_deref().unwrap_or_default());
            let (request, error) = (cell(&decision.request), cell(&error));
            let (at, action) = (decision.at.as_nanos(), decision.action);
            out.push_str(&format!("{at},{principal},{action},{request},{error},{first},{last}\r\n"));
        }
        out
    }
}

fn cell(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if text.contains(['"', ',', '\r', '\n']) {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        format!("{guard}{text}")
    }
}
