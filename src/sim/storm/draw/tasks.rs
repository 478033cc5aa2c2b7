//! Draws tasks and their policies.

use super::{Draw, Flavour, LATE, MISSPELT, ms};
use crate::base::id::TaskId;
use crate::base::time::Time;
use crate::task::{
    Affinity, Exhausted, FailureKind, Failures, InDoubt, Jitter, Needs, Policy, Retry, RetryRule, TaskSpec, Tier,
};

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
        task = self.with_strange_kind(task);
        self.policies.push(task.policy.clone());
        self.tasks.push(task.clone());
        task
    }

    /// Some tasks are of a kind whose agent comes late, or that no agent performs: these have a bound.
    fn with_strange_kind(&mut self, task: TaskSpec) -> TaskSpec {
        if !self.is_strange() {
            return task;
        }
        let is_late = self.strange.below(2) == 0;
        let kind = if is_late { LATE } else { MISSPELT };
        let bound = ms(5_000 + self.strange.below(60_000) as u64);
        let policy = if is_late { task.policy.clone() } else { task.policy.clone().with_total_timeout(bound) };
        TaskSpec { kind: kind.into(), needs: Needs::skill(kind), policy, ..task }
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

    /// Rules by code, by the beginning of codes, and for all failures, with any factor. They are drawn from the stream of strange
    /// kinds, so that they move no other draw.
    fn with_rules(&mut self, mut retry: Retry, attempts: u32) -> Retry {
        for _ in 0..self.strange.below(3) {
            let on = match self.strange.below(4) {
                0 => Failures::code("storm.perhaps"),
                1 => Failures::code("storm.*"),
                2 => Failures::code("cp.*").and_code("storm.busy"),
                _ => Failures::any(),
            };
            let most = u32::try_from(self.strange.below(attempts as usize + 2)).unwrap_or(1);
            let factor = [0, 500, 1_000, 1_500, 2_000, 3_000, u32::MAX].get(self.strange.below(7)).copied();
            let base = ms(self.strange.below(1_500) as u64);
            let rule = RetryRule::on(on, most).with_backoff(base, factor.unwrap_or(2_000), retry.cap);
            let jitter = retry.jitter;
            retry = retry.with_rule(rule.with_jitter(jitter));
        }
        retry
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
            let (most, base, cap) = (self.small(0, attempts), ms(self.between(0, 900)), retry.cap);
            retry = retry.with_rule(RetryRule::on(kind, most).with_backoff(base, 2_000, cap));
            retry = self.with_rules(retry, attempts);
        }
        if self.one_in(8) {
            retry = retry.with_escalate_after(self.small(1, 3));
        }
        let mut policy = Policy::default().with_retry(retry);
        if !self.one_in(4) {
            policy = policy.with_attempt_timeout(ms(self.between(3_000, 60_000)));
        }
        // From a stream of its own, so that the other draws stay as they are.
        match self.strange.below(12) {
            0 => policy = policy.with_heartbeat_timeout(ms(500)),
            1 | 2 => policy = policy.with_heartbeat_timeout(ms(9_000)),
            3 => policy = policy.with_heartbeat_timeout(ms(60_000)),
            _ => {}
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
