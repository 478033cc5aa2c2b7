//! What the gate said, and the trail of it.

use super::policy::{Action, Denied};
use super::principal::Unauthenticated;
use crate::id::Seq;
use crate::name::Name;
use crate::time::Time;
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use thiserror::Error;

/// The gate said no. Nothing has happened, and the engine has not been asked.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refused {
    /// It is not known who speaks.
    #[error(transparent)]
    Unauthenticated(Unauthenticated),
    /// It is known, and they may not.
    #[error("{who} {denied}")]
    Denied {
        /// Who.
        who: Name,
        /// Why not.
        denied: Denied,
    },
}

/// What the gate said about one command: a line of the [`Trail`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[must_use = "keep it in a trail"]
#[non_exhaustive]
pub struct Decision {
    /// When.
    pub at: Time,
    /// Who, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<Name>,
    /// What sort of thing was asked for.
    pub action: Action,
    /// What was asked for, in words and without payloads.
    pub what: Box<str>,
    /// Why not, if not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// The facts that it led to, from the first to the last, if it led to any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<(Seq, Seq)>,
}

impl Decision {
    pub(super) const fn new(
        at: Time,
        who: Option<Name>,
        action: Action,
        what: Box<str>,
        refused: Option<Refused>,
    ) -> Self {
        Self { at, who, action, what, refused, facts: None }
    }

    /// Whether the command may be handed on.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn check(&self) -> Result<(), Refused> {
        self.refused.clone().map_or(Ok(()), Err)
    }

    /// Notes which facts it led to: those after `before`, up to `last`.
    pub fn led_to(mut self, before: Seq, last: Seq) -> Self {
        self.facts = (last > before).then(|| (before.next(), last));
        self
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = self.who.as_deref().unwrap_or("somebody");
        write!(f, "{} {who}: {}", self.at, self.what)?;
        match &self.refused {
            Some(refused) => write!(f, ": refused: {refused}"),
            None => Ok(()),
        }
    }
}

/// The last decisions, those that said no among them, for those who keep no trail of their own. To keep all, write each
/// [`Decision`] somewhere.
///
/// Facts have a trail of their own, [`insight::Audit`](crate::insight::Audit), which says what came of it;
/// [`who_led_to`](Self::who_led_to) joins the two.
#[derive(Debug, Clone)]
pub struct Trail {
    kept: VecDeque<Decision>,
    most: usize,
}

impl Default for Trail {
    /// The last 10,000 decisions.
    fn default() -> Self {
        Self::new(10_000)
    }
}

impl Trail {
    /// The last decisions, so many; 0 counts as 1.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { kept: VecDeque::new(), most: most.max(1) }
    }

    /// Keeps a decision.
    pub fn keep(&mut self, decision: Decision) {
        if self.kept.len() >= self.most {
            self.kept.pop_front();
        }
        self.kept.push_back(decision);
    }

    /// The decisions, the oldest first.
    pub fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.kept.iter()
    }

    /// Who commanded what led to a fact. None, if that is not in the trail, or time alone led to it.
    #[must_use]
    pub fn who_led_to(&self, fact: Seq) -> Option<&Name> {
        let led = |decision: &&Decision| decision.facts.is_some_and(|(first, last)| first <= fact && fact <= last);
        self.kept.iter().rev().find(led)?.who.as_ref()
    }

    /// The decisions as JSON, one object to a line.
    #[must_use]
    pub fn to_json_lines(&self) -> String {
        let mut out = String::new();
        for text in self.kept.iter().filter_map(|decision| serde_json::to_string(decision).ok()) {
            out.push_str(&text);
            out.push('\n');
        }
        out
    }

    /// The decisions as a table: `at,who,action,what,refused,first,last`, with moments in nanoseconds, and quotes where
    /// RFC 4180 wants them. A cell that a spreadsheet would take for a formula begins with an apostrophe.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut out = String::from("at,who,action,what,refused,first,last\r\n");
        for decision in &self.kept {
            let refused = decision.refused.as_ref().map(ToString::to_string).unwrap_or_default();
            let (first, last) = match decision.facts {
                Some((first, last)) => (first.get().to_string(), last.get().to_string()),
                None => (String::new(), String::new()),
            };
            let who = cell(decision.who.as_deref().unwrap_or_default());
            let (what, refused) = (cell(&decision.what), cell(&refused));
            let (at, action) = (decision.at.as_nanos(), decision.action);
            out.push_str(&format!("{at},{who},{action},{what},{refused},{first},{last}\r\n"));
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
