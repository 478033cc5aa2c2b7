//! The decisions that concern the whole scheduler.

use super::inconsistent::{Applied, InconsistentEvent};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::message::event::ControlEvent;
use crate::task::{JournalId, Tier};
use serde::{Deserialize, Serialize};

/// The decisions of guards that concern the whole scheduler, and the jump of its host's clock.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Standing {
    /// Whether panic mode is on: with too few healthy agents, ejections and circuit breakers are suspended.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub panic: bool,
    /// The most urgent tier whose new tasks are rejected; those of the less urgent tiers are rejected, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Tier>,
    /// The name of the current degradation level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Name>,
    /// The number of agents that the last advice recommends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advised: Option<u32>,
    /// The jump of the host's clock that the engine does not follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockJump>,
    /// The identity of the journal, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<JournalId>,
}

/// A jump of the host's clock, see [`ClockLimits`](crate::scheduler::ClockLimits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClockJump {
    /// The engine's time at the jump.
    pub from: Time,
    /// The reading of the host's clock at the jump.
    pub to: Time,
}

impl Standing {
    /// Whether no decision is in force and the clock has not jumped.
    #[must_use]
    pub fn is_normal(&self) -> bool {
        *self == Self { journal: self.journal, ..Self::default() }
    }

    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether new tasks of this tier are rejected.
    #[must_use]
    pub fn refuses(&self, tier: Tier) -> bool {
        self.refused.is_some_and(|from| tier >= from)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most events do not change the level of service")]
    pub(super) fn apply(&mut self, event: &ControlEvent) -> Applied {
        match event {
            ControlEvent::Identified { journal } => {
                if self.journal.is_some() {
                    return Err(InconsistentEvent("a journal is identified twice"));
                }
                self.journal = Some(*journal);
            }
            ControlEvent::Panicked { .. } => self.panic = true,
            ControlEvent::Calmed { .. } => self.panic = false,
            ControlEvent::Shedding { from } => self.refused = *from,
            ControlEvent::Degraded { mode, .. } => self.mode.clone_from(mode),
            ControlEvent::Scaling { advised, .. } => self.advised = Some(*advised),
            ControlEvent::ClockJumped { from, to } => self.clock = Some(ClockJump { from: *from, to: *to }),
            ControlEvent::ClockConfirmed { .. } | ControlEvent::ClockReturned => self.clock = None,
            _ => {}
        }
        Ok(())
    }
}
