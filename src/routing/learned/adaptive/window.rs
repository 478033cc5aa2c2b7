//! The measurements of one window.

use super::super::history::{Attempts, End, Seen};
use crate::base::id::AgentId;
use crate::base::time::Time;
use crate::message::event::{Entry, Event, TaskEvent};
use core::time::Duration;
use std::collections::BTreeMap;

/// Agents with fewer attempts in a window are not considered.
const FEW: u32 = 4;

/// The measurements of one window.
#[derive(Debug, Default)]
pub(super) struct Window {
    attempts: Attempts,
    began: Option<Time>,
    submitted: u32,
    with_session: u32,
    ended: u32,
    failed: u32,
    agents: BTreeMap<AgentId, Tally>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    tries: u32,
    failures: u32,
    seconds: f64,
}

impl Window {
    pub(super) fn note(&mut self, entry: &Entry) {
        self.began.get_or_insert(entry.at);
        if let Event::Task { event: TaskEvent::Submitted { spec, .. }, .. } = &entry.event {
            self.submitted = self.submitted.saturating_add(1);
            let session = spec.affinity.as_ref().is_some_and(|affinity| affinity.session.is_some());
            self.with_session = self.with_session.saturating_add(u32::from(session));
        }
        let Some(Seen::Ended { agent, took, end, .. }) = self.attempts.note(entry) else { return };
        let failed = match end {
            End::Dropped => return,
            End::Succeeded => 0,
            End::Failed => 1,
        };
        self.ended = self.ended.saturating_add(1);
        self.failed = self.failed.saturating_add(failed);
        let tally = self.agents.entry(agent).or_default();
        tally.tries = tally.tries.saturating_add(1);
        tally.failures = tally.failures.saturating_add(failed);
        tally.seconds += took.as_secs_f64();
    }

    pub(super) fn is_full(&self, now: Time, span: Duration, least: u32) -> bool {
        self.ended >= least && self.began.is_some_and(|began| now.since(began) >= span)
    }

    pub(super) fn restart(&mut self, now: Time) {
        let attempts = core::mem::take(&mut self.attempts);
        *self = Self { attempts, began: Some(now), ..Self::default() };
    }

    pub(super) fn session_share(&self) -> f64 {
        f64::from(self.with_session) / f64::from(self.submitted.max(1))
    }

    /// The ratio of the third to the first quartile of the agents' mean durations.
    pub(super) fn slowness(&self) -> f64 {
        let known = self.agents.values().filter(|tally| tally.tries >= FEW);
        let mut means: Vec<f64> = known.map(|tally| tally.seconds / f64::from(tally.tries)).collect();
        means.sort_unstable_by(f64::total_cmp);
        let quarter = means.len() / 4;
        match (means.get(quarter), means.get(means.len().saturating_sub(quarter + 1))) {
            (Some(quick), Some(slow)) => slow / quick.max(1e-9),
            _ => 1.0,
        }
    }

    /// The agent with the highest failure rate, and the ratio of that rate to the overall one. None if less than one
    /// attempt in fifty fails.
    pub(super) fn worst_failure(&self) -> Option<(AgentId, f64)> {
        let all = f64::from(self.failed) / f64::from(self.ended.max(1));
        let known = self.agents.iter().filter(|(_, tally)| tally.tries >= FEW && tally.failures >= FEW);
        let rated = known.map(|(agent, tally)| (*agent, f64::from(tally.failures) / f64::from(tally.tries) / all));
        if all < 0.02 { None } else { rated.max_by(|a, b| a.1.total_cmp(&b.1)) }
    }
}
