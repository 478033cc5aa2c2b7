//! Cached results of pure tasks.

use super::settings::Settings;
use crate::base::id::TaskId;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::Random;
use crate::base::time::Time;
use crate::resilience::cache::{Cache, Look, Validity};
use crate::task::TaskSpec;

/// The kind, the tenant and the payload of a pure task. Tenants do not share results.
type Key = (Name, Option<Name>, String);

/// The cache of results of pure tasks.
#[derive(Debug, Clone, Default)]
pub(super) struct Results {
    cache: Cache<Key, (TaskId, Payload)>,
}

impl Results {
    fn key(settings: &Settings, spec: &TaskSpec) -> Option<Key> {
        settings.pure.contains(&spec.kind).then(|| (spec.kind.clone(), spec.tenant.clone(), spec.payload.to_string()))
    }

    /// The result of an equal task, and the id of that task.
    pub(super) fn answer(&self, settings: &Settings, spec: &TaskSpec, now: Time) -> Option<(TaskId, Payload)> {
        settings.cache?;
        self.cache.peek(&Self::key(settings, spec)?, now).cloned()
    }

    /// Records a cache hit. Results that are used again are kept longer.
    pub(super) fn answered(&mut self, settings: &Settings, spec: &TaskSpec, now: Time) {
        if let (Some(rules), Some(key)) = (&settings.cache, Self::key(settings, spec))
            && self.cache.peek(&key, now).is_some()
        {
            self.cache.look(rules, &key, now);
        }
    }

    /// Adds the result of a task that has succeeded.
    pub(super) fn learn(
        &mut self,
        settings: &Settings,
        spec: &TaskSpec,
        output: &Payload,
        now: Time,
        random: &mut Random,
    ) {
        let Some(rules) = &settings.cache else { return };
        let Some(key) = Self::key(settings, spec) else { return };
        // Equal tasks that are under way at the same time have separate attempts: the newest result is stored.
        self.cache.forget(&key);
        let Look::Lead(flight) = self.cache.look(rules, &key, now) else { return };
        let bytes = u64::from(output.bytes()) + key.2.len() as u64;
        let value = (spec.id, output.clone());
        self.cache.fill(rules, &key, flight, value, bytes, Validity::Long, now, random);
    }
}
