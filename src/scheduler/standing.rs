//! What guards have decided for the scheduler as a whole.

use crate::base::name::Name;
use crate::message::event::ControlEvent;
use crate::task::Tier;
use serde::{Deserialize, Serialize};

/// What guards have decided for the scheduler as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Standing {
    /// Whether too few agents are healthy, so that guards exclude none.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub panic: bool,
    /// New tasks of this tier and of the less urgent ones are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Tier>,
    /// The level at which the service is degraded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Name>,
    /// How many agents the last advice recommends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advised: Option<u32>,
}

impl Standing {
    /// Whether no guard has decided anything.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a new task of this tier is refused.
    #[must_use]
    pub fn refuses(&self, tier: Tier) -> bool {
        self.refused.is_some_and(|from| tier >= from)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most events do not change the level of service")]
    pub(super) fn apply(&mut self, event: &ControlEvent) {
        match event {
            ControlEvent::Panicked { .. } => self.panic = true,
            ControlEvent::Calmed { .. } => self.panic = false,
            ControlEvent::Shedding { from } => self.refused = *from,
            ControlEvent::Degraded { mode, .. } => self.mode.clone_from(mode),
            ControlEvent::Scaling { advised, .. } => self.advised = Some(*advised),
            _ => {}
        }
    }
}
