//! The tier, the retries and the timeouts of a task, computed from data.

use crate::base::payload::Payload;
use crate::task::{TaskSpec, Tier};
use core::time::Duration;
use serde::Deserialize;
use serde_json::Value;

/// Settings that take the place of those of a [`Work`](super::Work) for one task: the object that
/// [`Work::overrides`](super::Work::overrides) computes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct TaskOverrides {
    tier: Option<Tier>,
    attempts: Option<u32>,
    attempt_timeout: Option<Duration>,
    heartbeat_timeout: Option<Duration>,
    queue_timeout: Option<Duration>,
    total_timeout: Option<Duration>,
}

impl TaskOverrides {
    /// The settings in an object; the fault, in words, if it contains something else. Null leaves a setting as it is.
    pub(crate) fn read(value: &Payload) -> Result<Self, String> {
        let Some(fields) = value.value().as_object() else {
            return Err("are not an object".to_owned());
        };
        let mut read = Self::default();
        for (field, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            match field.as_str() {
                "tier" => read.tier = Some(tier(value)?),
                "attempts" => read.attempts = Some(attempts(value)?),
                "attempt_timeout" => read.attempt_timeout = Some(span(field, value)?),
                "heartbeat_timeout" => read.heartbeat_timeout = Some(span(field, value)?),
                "queue_timeout" => read.queue_timeout = Some(span(field, value)?),
                "total_timeout" => read.total_timeout = Some(span(field, value)?),
                other => {
                    let shown: String = other.chars().take(64).collect();
                    return Err(format!("contain the unknown field `{shown}`"));
                }
            }
        }
        Ok(read)
    }

    /// Replaces the settings of a task.
    pub(crate) fn apply(self, task: &mut TaskSpec) {
        task.tier = self.tier.unwrap_or(task.tier);
        let mut policy = core::mem::take(&mut task.policy);
        if let Some(attempts) = self.attempts {
            let retry = policy.retry().clone().with_attempts(attempts);
            policy = policy.with_retry(retry);
        }
        if let Some(span) = self.attempt_timeout {
            policy = policy.with_attempt_timeout(span);
        }
        if let Some(span) = self.heartbeat_timeout {
            policy = policy.with_heartbeat_timeout(span);
        }
        if let Some(span) = self.queue_timeout {
            policy = policy.with_queue_timeout(span);
        }
        if let Some(span) = self.total_timeout {
            policy = policy.with_total_timeout(span);
        }
        task.policy = policy;
    }
}

fn tier(value: &Value) -> Result<Tier, String> {
    Tier::deserialize(value).map_err(|_| "have a `tier` that is none of critical, high, normal, low".to_owned())
}

fn attempts(value: &Value) -> Result<u32, String> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| format!("have `attempts` that are no whole number from 0 to {}", u32::MAX))
}

/// A duration as text, or in nanoseconds.
fn span(field: &str, value: &Value) -> Result<Duration, String> {
    let read = match value {
        Value::String(text) => {
            humantime::parse_duration(text).ok().filter(|span| span.as_nanos() <= u128::from(u64::MAX))
        }
        Value::Number(number) => number.as_u64().map(Duration::from_nanos),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    read.ok_or_else(|| format!("have a `{field}` that is neither a duration such as `30s` nor a number of nanoseconds"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::TaskId;
    use crate::task::{Policy, Retry};
    use serde_json::json;

    fn read(value: Value) -> Result<TaskOverrides, String> {
        TaskOverrides::read(&Payload::new(value))
    }

    #[test]
    fn what_is_set_takes_the_place_of_the_template() {
        let second = Duration::from_secs(1);
        let template = Policy::default().with_attempt_timeout(second).with_total_timeout(60 * second);
        let spec = || TaskSpec::new(TaskId::new(1), "pack").with_tier(Tier::Low).with_policy(template.clone());
        let overrides = read(json!({
            "tier": "high", "attempts": 7, "attempt_timeout": "1m 30s", "queue_timeout": 2_000_000_000_u64,
            "heartbeat_timeout": null,
        }));
        let mut task = spec();
        overrides.unwrap().apply(&mut task);
        assert_eq!(task.tier, Tier::High);
        let retry = Retry::default().with_attempts(7);
        let expected = Policy::default().with_retry(retry).with_attempt_timeout(90 * second);
        assert_eq!(task.policy, expected.with_queue_timeout(2 * second).with_total_timeout(60 * second));
        let mut task = spec();
        read(json!({})).unwrap().apply(&mut task);
        assert_eq!(task, spec());
    }

    #[test]
    fn every_field_is_read_and_others_are_refused() {
        for field in ["tier", "attempts", "attempt_timeout", "heartbeat_timeout", "queue_timeout", "total_timeout"] {
            let value = match field {
                "tier" => json!("critical"),
                "attempts" => json!(1),
                _ => json!("1s"),
            };
            assert_ne!(read(json!({ field: value })), Ok(TaskOverrides::default()), "{field}");
            assert_eq!(read(json!({ field: null })), Ok(TaskOverrides::default()), "{field}");
            for wrong in [json!(-1), json!(1.5), json!("soon"), json!([1]), json!({}), json!(true)] {
                assert!(read(json!({ field: wrong })).unwrap_err().contains(&format!("`{field}`")), "{field}: {wrong}");
            }
        }
        assert!(read(json!({ "timeout": "1s" })).unwrap_err().contains("unknown field `timeout`"));
        assert!(read(json!([])).is_err() && read(json!(null)).is_err());
        assert!(read(json!({ "queue_timeout": "600 years" })).is_err());
        assert!(read(json!({ "attempts": 1_u64 << 32 })).is_err());
    }
}
