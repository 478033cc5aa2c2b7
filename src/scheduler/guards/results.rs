//! Results of pure tasks: cached ones, and those that tasks wait for.

use super::settings::Settings;
use crate::base::id::TaskId;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::{IdMap, Random};
use crate::base::time::Time;
use crate::resilience::cache::{Cache, Look, Validity};
use crate::scheduler::apply::State;
use crate::scheduler::tasks::{Stage, Task};
use crate::task::TaskSpec;

/// The kind, the tenant and the payload of a pure task. Tenants do not share results.
type Key = (Name, Option<Name>, String);

/// The cache of results of pure tasks.
#[derive(Debug, Clone, Default)]
pub(super) struct Results {
    cache: Cache<Key, (TaskId, Payload)>,
    /// The tasks that have not ended and do not wait for the result of another one: of equal ones, the one that was submitted or
    /// became ready first.
    open: IdMap<Key, TaskId>,
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

    /// The equal task that is waiting or under way, with the same needs, if its result will be one: if its attempt is not being
    /// cancelled.
    pub(super) fn lead(&self, settings: &Settings, state: &State, spec: &TaskSpec) -> Option<TaskId> {
        let lead = *self.open.get(&Self::key(settings, spec)?)?;
        let task = state.tasks().by_id(lead).filter(|task| task.id() != spec.id && !task.has_ended())?;
        let is_cancelled = task.running().is_some_and(|running| running.cancel().is_some());
        (!is_cancelled && task.flight().is_none() && task.spec.needs == spec.needs).then_some(lead)
    }

    /// Records that a task is to be performed.
    pub(super) fn is_performed(&mut self, settings: &Settings, spec: &TaskSpec) {
        if let Some(key) = Self::key(settings, spec)
            && self.open.get(&key).is_none()
        {
            self.open.insert(key, spec.id);
        }
    }

    /// Records that a task has ended.
    pub(super) fn over(&mut self, settings: &Settings, spec: &TaskSpec) {
        if let Some(key) = Self::key(settings, spec)
            && self.open.get(&key) == Some(&spec.id)
        {
            self.open.remove(&key);
        }
    }

    /// Continues with the tasks of a snapshot.
    pub(super) fn restore(&mut self, settings: &Settings, state: &State) {
        if settings.pure.is_empty() {
            return;
        }
        let is_performed =
            |task: &&Task| matches!(task.stage, Stage::Queued { .. } | Stage::Running(_) | Stage::Backoff { .. });
        let mut open: Vec<&Task> = state.tasks().iter().map(|(_, task)| task).filter(is_performed).collect();
        open.sort_unstable_by_key(|task| task.seq);
        open.into_iter().for_each(|task| self.is_performed(settings, &task.spec));
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
        // Tasks with other needs, and those that became ready later, have separate attempts: the newest result is stored.
        self.cache.forget(&key);
        let Look::Lead(flight) = self.cache.look(rules, &key, now) else { return };
        let bytes = u64::from(output.bytes()) + key.2.len() as u64;
        let value = (spec.id, output.clone());
        self.cache.fill(rules, &key, flight, value, bytes, Validity::Long, now, random);
    }
}
