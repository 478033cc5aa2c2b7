//! Whether a deadline can be met, asked when the task is submitted.

use crate::id::Seq;
use crate::routing::ClassKey;
use crate::scheduler::apply::state::State;
use crate::scheduler::machine::Core;
use crate::task::TaskSpec;
use crate::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// What becomes of a task whose deadline cannot be met, by what is known: how long tasks of its kind take, how many wait
/// before it, and how many agents could do them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Admission {
    /// Nobody asks.
    #[default]
    Any,
    /// It is accepted, with a warning: `Accepted::Late`.
    Warn,
    /// It is refused: `Invalid::Infeasible`.
    Refuse,
}

impl Core {
    /// When the task will be done, if that is after its deadline; none as well where nothing is known of its kind.
    pub(crate) fn late(&self, spec: &TaskSpec, now: Time) -> Option<Time> {
        let deadline = spec.deadline?;
        let end = now + self.state.outlook(spec, self.expected(spec), now)?;
        (end > deadline).then_some(end)
    }

    /// How long the task is expected to take, by the estimator's word or, without one, the host's.
    pub(crate) fn expected(&self, spec: &TaskSpec) -> Option<Duration> {
        self.config.estimator.as_ref().map_or(spec.estimate, |estimator| estimator.estimate(spec))
    }
}

impl State {
    /// How long it will take until the task is done: the work that waits before it in its class, shared by the agents of
    /// the class, and its own.
    fn outlook(&self, spec: &TaskSpec, expected: Option<Duration>, now: Time) -> Option<Duration> {
        let kind = self.kinds.find(&spec.kind).and_then(|at| self.kinds.get(at));
        let mean = kind.map(|kind| kind.mean).filter(|mean| !mean.is_zero());
        let own = expected.or(mean)?;
        let key: ClassKey = self.class_of(spec);
        let Some(class) = self.classes.find(&key) else { return Some(own) };
        let eligible = self.classes.eligible(class)?;
        if eligible.bits().meets(self.fleet.open()) {
            return Some(own);
        }
        let slots: u64 = eligible
            .places()
            .iter()
            .filter_map(|place| self.fleet.at(*place as usize))
            .map(|member| u64::from(member.slots()))
            .sum();
        if slots == 0 {
            return None;
        }
        let rank = self.discipline.rank((spec, spec.tier), expected, now, Seq::new(u64::MAX));
        let ahead = self.lanes.count_ahead(class.index(), rank, AHEAD);
        let each = mean.unwrap_or(own);
        // What runs now is half done on the whole.
        let rounds = u64::try_from(ahead).unwrap_or(u64::MAX) / slots;
        let wait = each / 2 + each.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX));
        Some(wait.saturating_add(own))
    }
}

/// So many tasks that go before are counted; where more wait, they count as so many.
const AHEAD: usize = 4_096;
