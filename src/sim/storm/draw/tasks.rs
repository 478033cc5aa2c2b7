//! Draws tasks and their policies.

use super::{Draw, Flavour, ms};
use crate::base::id::TaskId;
use crate::base::time::Time;
use crate::task::{Affinity, Exhausted, FailureKind, InDoubt, Jitter, Policy, Retry, RetryOverride, TaskSpec, Tier};

impl Draw {
    /// A new task, which later commands can name.
    pub(super) fn task(&mut self, number: u64, at: Time) -> TaskSpec {
        let kind = self.kind();
        let tier = self.tier();
        let mut task = TaskSpec::new(TaskId::new(number), kind).with_tier(tier).with_policy(self.policy());
        if self.one_in(3) {
            task = task.with_tenant(self.tenant());
        }
        if self.one_in(10) {
            task = task.with_deadline(at + ms(self.between(2_000, 120_000)));
        }
        if self.one_in(6) && !self.tasks.is_empty() {
            let many = if self.one_in(4) { 3 } else { 1 };
            let before: Vec<usize> = (0..many).map(|_| self.index(self.tasks.len())).collect();
            task = task.with_after(before.into_iter().filter_map(|place| self.tasks.get(place).map(|task| task.id)));
        }
        if self.flavour == Flavour::Shares {
            task = self.with_shares(task);
        }
        if self.extreme && self.one_in(3) {
            task = self.stretched(task, at);
        }
        if number.is_multiple_of(5) {
            task = task.with_key(format!("key {number}"));
        }
        self.policies.push(task.policy.clone());
        self.tasks.push(task.clone());
        task
    }

    pub(super) fn tier(&mut self) -> Tier {
        Tier::ALL.get(self.index(4)).copied().unwrap_or_default()
    }

    /// Resources, affinity and preemption, which the rules on the order of assignment do not cover.
    fn with_shares(&mut self, mut task: TaskSpec) -> TaskSpec {
        task.preemptible = self.one_in(2);
        if self.one_in(3) {
            task.needs = task.needs.clone().and_shared("licence", 1);
        }
        // The first agent may have none, so a bound is needed.
        if self.one_in(6) {
            task.needs = task.needs.clone().and_amount("memory", self.between(1, 4));
            task.policy = task.policy.clone().with_total_timeout(ms(self.between(20_000, 120_000)));
        }
        if self.one_in(5) {
            let other = self.some_task().map_or(task.id, |other| other.id);
            let affinity = match self.below(7) {
                0 => Affinity::default().with_preferred(self.some_agent()),
                1 => Affinity::default().with_familiar(other),
                2 => Affinity::default().with_session("session"),
                3 => Affinity::default().with_spread("zone"),
                4 => Affinity::default().with_not_label("zone", "a"),
                5 => Affinity::default()
                    .with_preferred_label("zone", "b", [0, 1, 3, u32::MAX].get(self.index(4)).copied().unwrap_or(3))
                    .with_preferred_skill("k1", 1, 3),
                _ => Affinity::default().with_apart_from([other]).with_not_agents([self.some_agent()]),
            };
            task.affinity = Some(Box::new(affinity));
            task.policy = task.policy.clone().with_total_timeout(ms(self.between(20_000, 120_000)));
        }
        task
    }

    fn policy(&mut self) -> Policy {
        let attempts = if self.crowd { self.small(10, 14) } else { self.small(1, 5) };
        let mut retry = Retry::exponential(attempts, ms(self.between(50, 2_000)), ms(self.between(500, 20_000)));
        let jitters = [Jitter::Full, Jitter::Equal, Jitter::None, Jitter::Decorrelated];
        retry = retry.with_jitter(jitters.get(self.index(4)).copied().unwrap_or_default());
        if self.one_in(12) {
            retry = retry.with_in_doubt(InDoubt::Insist);
        }
        if self.one_in(10) {
            let kinds = [FailureKind::Transient, FailureKind::Overloaded, FailureKind::Unknown];
            let kind = kinds.get(self.index(3)).copied().unwrap_or(FailureKind::Transient);
            let own =
                RetryOverride::default().with_attempts(self.small(0, attempts)).with_base(ms(self.between(0, 900)));
            retry = retry.with_kind(kind, own);
        }
        if self.one_in(8) {
            retry = retry.with_escalate_after(self.small(1, 3));
        }
        let mut policy = Policy::default().with_retry(retry);
        if !self.one_in(4) {
            policy = policy.with_attempt_timeout(ms(self.between(3_000, 60_000)));
        }
        if self.one_in(10) {
            policy = policy.with_queue_timeout(ms(self.between(1_000, 60_000)));
        }
        if self.one_in(10) {
            policy = policy.with_total_timeout(ms(self.between(5_000, 120_000)));
        }
        if self.one_in(5) { policy.with_exhausted(Exhausted::Fail) } else { policy }
    }

    pub(super) fn some_task(&mut self) -> Option<TaskSpec> {
        let which = self.index(self.tasks.len().max(1));
        self.tasks.get(which).cloned()
    }

    /// A task that is known, rarely one that is not.
    pub(super) fn some_task_id(&mut self) -> TaskId {
        if self.one_in(12) {
            return [TaskId::new(0), TaskId::new(u64::MAX), TaskId::new(1 << 63)]
                .get(self.index(3))
                .copied()
                .unwrap_or(TaskId::new(0));
        }
        self.some_task().map_or(TaskId::new(9_999), |task| task.id)
    }
}
