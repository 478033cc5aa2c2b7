//! A schedule as data.

use super::fault::ScheduleFault;
use super::firing::Occasion;
use super::plan::Plan;
use super::rule::Timing;
use super::search::Steps;
use crate::base::canonical::canonical;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::{Time, print_date};
use crate::task::Tier;
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The specification of a schedule: what it starts, when, and under which conditions.
///
/// ```
/// use counterpoint::Payload;
/// use counterpoint::schedule::{Overlap, ScheduleSpec, Timing};
/// use std::time::Duration;
///
/// let spec = ScheduleSpec::new("invoices", "invoice", Timing::cron("0 6 L * *").in_zone("+01:00"))
///     .with_input(Payload::of(&serde_json::json!({ "region": "north" }))?)
///     .with_nominal_time_as("month_end")
///     .with_overlap(Overlap::BufferAll { most: 3 })
///     .with_catch_up(Duration::from_secs(7 * 86_400));
/// # assert_eq!(spec.policy.overlap, Overlap::BufferAll { most: 3 });
/// # Ok::<(), counterpoint::PayloadError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ScheduleSpec {
    /// The id, unique among schedules.
    pub id: Name,
    /// The name of the workflow. It need not be defined before the schedule fires.
    pub workflow: Name,
    /// The version; without one, the default version at the time of the firing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The input of each run.
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    pub input: Payload,
    /// The field of the input that receives the nominal time, as RFC 3339 in UTC. The input is then an object, or null for an
    /// empty one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nominal_time_as: Option<Name>,
    /// The tier of the runs.
    #[serde(default)]
    pub tier: Tier,
    /// The tenant of the runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Name>,
    /// The business key of the runs, by which they can be listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business_key: Option<Name>,
    /// When it fires.
    pub timing: Timing,
    /// How it fires.
    #[serde(default)]
    pub policy: SchedulePolicy,
    /// Why it begins paused, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Name>,
}

canonical!(ScheduleSpec { timing, policy } beside {
    id, workflow, version, input, nominal_time_as, tier, tenant, business_key, paused,
});

impl ScheduleSpec {
    /// A schedule that starts runs of a workflow, with the default policy.
    #[must_use]
    pub fn new(id: impl Into<Name>, workflow: impl Into<Name>, timing: Timing) -> Self {
        Self {
            id: id.into(),
            workflow: workflow.into(),
            version: None,
            input: Payload::NULL,
            nominal_time_as: None,
            tier: Tier::Normal,
            tenant: None,
            business_key: None,
            timing,
            policy: SchedulePolicy::default(),
            paused: None,
        }
    }

    /// Sets the version of the workflow.
    #[must_use]
    pub const fn with_version(mut self, version: u32) -> Self {
        self.version = Some(version);
        self
    }

    /// Sets the input of the runs.
    #[must_use]
    pub fn with_input(mut self, input: Payload) -> Self {
        self.input = input;
        self
    }

    /// Puts the nominal time into a field of the input.
    #[must_use]
    pub fn with_nominal_time_as(mut self, field: impl Into<Name>) -> Self {
        self.nominal_time_as = Some(field.into());
        self
    }

    /// Sets the tier of the runs.
    #[must_use]
    pub const fn with_tier(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }

    /// Sets the tenant of the runs.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<Name>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Sets the business key of the runs.
    #[must_use]
    pub fn with_business_key(mut self, key: impl Into<Name>) -> Self {
        self.business_key = Some(key.into());
        self
    }

    /// Sets what happens while an earlier run is under way.
    #[must_use]
    pub const fn with_overlap(mut self, overlap: Overlap) -> Self {
        self.policy.overlap = overlap;
        self
    }

    /// Sets how late a firing may be, at least a second.
    #[must_use]
    pub const fn with_catch_up(mut self, window: Duration) -> Self {
        self.policy.catch_up = window;
        self
    }

    /// Limits the number of firings.
    #[must_use]
    pub const fn with_limit(mut self, firings: u64) -> Self {
        self.policy.limit = Some(firings);
        self
    }

    /// Pauses the schedule when a run of it fails.
    #[must_use]
    pub const fn pausing_on_failure(mut self) -> Self {
        self.policy.pause_on_failure = true;
        self
    }

    /// Creates it paused, with a note.
    #[must_use]
    pub fn paused(mut self, note: impl Into<Name>) -> Self {
        self.paused = Some(note.into());
        self
    }

    /// The rules in the form in which times are searched, if a search of these steps finds a time after `after`.
    pub(crate) fn plan(&self, after: Time, steps: &Steps) -> Result<Plan, ScheduleFault> {
        let plan = Plan::new(&self.timing)?;
        plan.must_fire_after(after, steps)?;
        if let Some(field) = &self.nominal_time_as
            && !self.input.is_null()
            && !self.input.value().is_object()
        {
            return Err(ScheduleFault::Input { field: field.clone() });
        }
        self.policy.overlap.check()?;
        if self.policy.catch_up < LEAST_WINDOW {
            return Err(ScheduleFault::Window { window: self.policy.catch_up });
        }
        Ok(plan)
    }

    /// The input of the run of an occasion.
    pub(crate) fn input_for(&self, occasion: &Occasion) -> Payload {
        let Some(field) = &self.nominal_time_as else { return self.input.clone() };
        let mut input = match self.input.value() {
            Value::Object(fields) => fields.clone(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                serde_json::Map::new()
            }
        };
        input.insert(field.to_string(), Value::String(print_date(occasion.at().as_nanos())));
        Payload::new(Value::Object(input))
    }
}

/// How a schedule fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SchedulePolicy {
    /// What happens while an earlier run is under way.
    pub overlap: Overlap,
    /// How late a firing may be, measured from its nominal time with the jitter. Times for which the engine is called later are
    /// missed. At least a second; a day, unless set.
    #[serde(with = "crate::base::time::span")]
    pub catch_up: Duration,
    /// The number of nominal times at which it fires, at most; those that it skips or misses do not count. A firing that waits
    /// for the end of an earlier run counts, even if another one takes its place. Triggers and backfills are neither counted nor
    /// limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Whether the schedule is paused when a run of it fails. A run that is cancelled has not failed.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub pause_on_failure: bool,
}

canonical!(SchedulePolicy { catch_up } beside { overlap, limit, pause_on_failure });

impl Default for SchedulePolicy {
    fn default() -> Self {
        Self { overlap: Overlap::Skip, catch_up: Duration::from_secs(86_400), limit: None, pause_on_failure: false }
    }
}

/// No host calls the engine at the very instant of a nominal time: with a shorter window most times would be missed.
const LEAST_WINDOW: Duration = Duration::from_secs(1);

/// What happens when a schedule is to fire while an earlier run of it is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Overlap {
    /// It does not fire.
    #[default]
    Skip,
    /// One firing waits for the end of the run; further ones are skipped.
    BufferOne,
    /// Firings wait, and their runs are started one after the other. Backfilled firings wait as well, without a bound.
    BufferAll {
        /// The most firings that wait, up to 1,000; further ones are skipped.
        most: u32,
    },
    /// The run is cancelled, and the next one starts when it has ended. A run that has passed its pivot is awaited. The firing
    /// replaces an earlier one that waits for the end of a cancelled run, and goes before those that wait without cancelling.
    CancelOther,
    /// As [`CancelOther`](Self::CancelOther), but the run is cancelled even past its pivot.
    AbortOther,
    /// The runs overlap.
    AllowAll,
}

/// The most firings that may wait.
pub(crate) const MOST_WAITING: u32 = 1_000;

impl Overlap {
    /// Rejects a bound that is too large.
    pub(crate) fn check(self) -> Result<(), ScheduleFault> {
        match self {
            Self::BufferAll { most } if most > MOST_WAITING => {
                Err(ScheduleFault::TooMany { what: "waiting runs".into(), count: most, limit: MOST_WAITING })
            }
            Self::BufferAll { .. }
            | Self::Skip
            | Self::BufferOne
            | Self::CancelOther
            | Self::AbortOther
            | Self::AllowAll => Ok(()),
        }
    }

    /// The most firings that wait after another one has begun to wait with this policy.
    pub(crate) const fn most_waiting(self) -> usize {
        match self {
            Self::Skip | Self::AllowAll => 0,
            Self::BufferOne => 1,
            Self::BufferAll { most } => most as usize,
            Self::CancelOther | Self::AbortOther => MOST_WAITING as usize,
        }
    }

    /// Whether the runs under way are cancelled.
    pub(crate) const fn cancels(self) -> bool {
        match self {
            Self::CancelOther | Self::AbortOther => true,
            Self::Skip | Self::AllowAll | Self::BufferOne | Self::BufferAll { .. } => false,
        }
    }
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skip => f.write_str("skip"),
            Self::BufferOne => f.write_str("buffer one"),
            Self::BufferAll { most } => write!(f, "buffer up to {most}"),
            Self::CancelOther => f.write_str("cancel the other"),
            Self::AbortOther => f.write_str("abort the other"),
            Self::AllowAll => f.write_str("allow all"),
        }
    }
}
