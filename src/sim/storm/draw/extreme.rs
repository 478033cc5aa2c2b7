//! Values from the ends of their ranges, and values that say a default explicitly. An engine accepts them or rejects them;
//! what it accepts must end.

use super::{Draw, Flavour, ms};
use crate::base::id::TaskId;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::task::{Exhausted, InDoubt, Policy, Retry, TaskSpec};
use core::time::Duration;
use serde_json::{Value, json};

/// The largest payload with the default limits, in bytes.
const LARGEST: usize = 1 << 20;

impl Draw {
    fn one_of<T: Clone>(&mut self, values: &[T], otherwise: T) -> T {
        values.get(self.index(values.len())).cloned().unwrap_or(otherwise)
    }

    pub(super) fn span(&mut self) -> Duration {
        let spans = [Duration::ZERO, Duration::from_nanos(1), ms(1), Duration::from_secs(3_600), self.longest()];
        self.one_of(&spans, Duration::ZERO)
    }

    /// The longest duration, or one nanosecond less than the longest that a time can have.
    pub(super) fn longest(&mut self) -> Duration {
        if self.one_in(2) { Duration::from_nanos(u64::MAX) } else { Duration::from_nanos(u64::MAX - 1) }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.one_of(&[0, 1, 2, u64::MAX - 1, u64::MAX, 1 << 63, u64::from(u32::MAX)], 0)
    }

    pub(super) fn name(&mut self) -> String {
        let length = self.one_of(&[0, 1, 255, 256, 257, 5_000], 1);
        "n".repeat(length)
    }

    /// A task with one to three extreme properties. Its total timeout ends it, whatever the properties are.
    pub(super) fn stretched(&mut self, task: TaskSpec, at: Time) -> TaskSpec {
        let total = ms(self.between(5_000, 120_000));
        let mut task = task;
        for _ in 0..self.between(1, 3) {
            task = self.stretch(task, at);
        }
        let policy = match self.below(12) {
            0 => task.policy.clone().with_total_timeout(Duration::ZERO),
            _ => task.policy.clone().with_total_timeout(total),
        };
        task.with_policy(policy)
    }

    fn stretch(&mut self, mut task: TaskSpec, at: Time) -> TaskSpec {
        match self.below(16) {
            0 => task.policy = self.extreme_policy(),
            1 => {
                let span = self.span();
                // An insisting task whose attempts last no time, with no wait between them, would be tried at each instant.
                if task.policy.retry().in_doubt != InDoubt::Insist {
                    task.policy = task.policy.clone().with_attempt_timeout(span);
                }
            }
            2 => task.policy = task.policy.clone().with_queue_timeout(self.span()),
            3 => {
                let times = [Time::ZERO, at, at + Duration::from_nanos(1), Time::MAX];
                task.deadline = Some(self.one_of(&times, Time::MAX));
            }
            4 => task.estimate = Some(self.span()),
            5 => task.payload = self.payload(),
            6 => task.kind = self.name().into(),
            7 => task.tenant = Some(self.name().into()),
            8 => task.id = TaskId::new(self.number()),
            9 => task.after = Box::new([task.id]),
            10 => task.after = Box::new([self.some_task_id(), self.some_task_id()]),
            11 => task.needs = task.needs.clone().and_skill("k0", u16::MAX),
            12 if self.flavour == Flavour::Shares => {
                task.needs =
                    task.needs.clone().and_shared("licence", self.number()).and_amount("memory", self.number());
            }
            13 => {
                let names = self.between(0, 3);
                (0..names).for_each(|_| {
                    let name = self.name();
                    task.needs = task.needs.clone().and_skill(name, 0);
                });
            }
            14 => task.needs = task.needs.clone().and_label("zone", self.name()),
            _ => task.policy = self.explicit(&task.policy),
        }
        task
    }

    fn extreme_policy(&mut self) -> Policy {
        let attempts = self.one_of(&[0, 1, 2, u32::MAX - 1, u32::MAX], 1);
        // Many attempts need a wait between them, or they would all be made at once.
        let base = if attempts > 9 { ms(self.between(800, 9_000)) } else { self.span() };
        let cap = if attempts > 9 { ms(self.between(900, 20_000)) } else { self.span() };
        let retry = Retry::exponential(attempts, base, cap);
        let retry = if self.one_in(3) { retry.with_escalate_after(self.one_of(&[0, 1, u32::MAX], 0)) } else { retry };
        Policy::default().with_retry(retry)
    }

    /// The policy with its defaults stated explicitly.
    fn explicit(&mut self, policy: &Policy) -> Policy {
        if policy.is_default() || policy.exhausted() == Exhausted::default() {
            Policy::default().with_retry(Retry::default()).with_exhausted(Exhausted::default())
        } else {
            policy.clone().with_attempt_timeout(self.longest()).with_queue_timeout(self.longest())
        }
    }

    /// A payload that is empty, large, wide or deep.
    pub(super) fn payload(&mut self) -> Payload {
        let value = match self.below(160) {
            0 => Value::String("x".repeat(LARGEST - 2)),
            1 => Value::String("x".repeat(LARGEST - 1)),
            2 => Value::Array((0..100_000).map(|_| Value::from(0)).collect()),
            3..40 => nested(self.one_of(&[62, 63, 64, 65, 100], 64)),
            40..60 => json!(""),
            60..80 => json!([]),
            80..100 => json!({}),
            100..120 => json!(f64::MIN_POSITIVE),
            120..140 => json!([u64::MAX, i64::MIN, f64::MAX, -0.0, 1e-300]),
            _ => json!({"": {"": [null, false, "\u{0}\u{fffd}\u{202e}"]}}),
        };
        Payload::new(value)
    }
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::Null, |inner, _| Value::Array(vec![inner]))
}
