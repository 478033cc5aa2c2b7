//! Results that are known already.

use super::settings::Settings;
use crate::id::TaskId;
use crate::name::Name;
use crate::payload::Payload;
use crate::resilience::cache::{Cache, Life, Look};
use crate::structure::Random;
use crate::task::TaskSpec;
use crate::time::Time;

/// What the result of a pure task depends on. Tenants do not see each other's results.
type Question = (Name, Option<Name>, String);

/// The results of pure tasks.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    results: Cache<Question, (TaskId, Payload)>,
}

impl Known {
    fn question(settings: &Settings, spec: &TaskSpec) -> Option<Question> {
        settings.pure.contains(&spec.kind).then(|| (spec.kind.clone(), spec.tenant.clone(), spec.payload.to_string()))
    }

    /// The result of the task's like, and whose it is.
    pub(super) fn answer(&self, settings: &Settings, spec: &TaskSpec, now: Time) -> Option<(TaskId, Payload)> {
        settings.cache?;
        self.results.peek(&Self::question(settings, spec)?, now).cloned()
    }

    /// A task was answered: what is asked for again is kept the longer.
    pub(super) fn answered(&mut self, settings: &Settings, spec: &TaskSpec, now: Time) {
        if let (Some(rules), Some(question)) = (&settings.cache, Self::question(settings, spec))
            && self.results.peek(&question, now).is_some()
        {
            self.results.look(rules, &question, now);
        }
    }

    /// A task has succeeded.
    pub(super) fn learn(
        &mut self,
        settings: &Settings,
        spec: &TaskSpec,
        output: &Payload,
        now: Time,
        random: &mut Random,
    ) {
        let Some(rules) = &settings.cache else { return };
        let Some(question) = Self::question(settings, spec) else { return };
        // What is asked at the same time is asked: each task has its own attempts. So the newest answer is kept.
        self.results.forget(&question);
        let Look::Lead(flight) = self.results.look(rules, &question, now) else { return };
        let bytes = u64::from(output.bytes()) + question.2.len() as u64;
        let value = (spec.id, output.clone());
        self.results.fill(rules, &question, flight, value, bytes, Life::Long, now, random);
    }
}
