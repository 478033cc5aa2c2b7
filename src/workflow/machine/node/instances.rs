//! The instances of a node's work: none at first, mostly one, rarely many. A run has a list for each of its nodes, so
//! an empty list is a null pointer.

use super::{Applied, Illegal, Instance, InstanceUndo, Worker};
use crate::base::id::RunId;
use crate::task::{Failure, SideEffects, Spending};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The instances of a node, in the order in which they began.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Instances(Option<Box<List>>);

#[derive(Debug, Clone, PartialEq)]
enum List {
    One(Instance),
    Many(Many),
}

/// Several instances, with counters and cursors, which follow from the instances and are computed again after a restore.
#[derive(Debug, Clone, Default)]
struct Many {
    all: Vec<Instance>,
    count: Count,
    /// No instance below it can be cancelled.
    cancel_from: usize,
    /// No instance below it needs a query.
    query_from: usize,
    /// No instance from it on has a compensation that can begin.
    undo_below: usize,
}

impl PartialEq for Many {
    fn eq(&self, other: &Self) -> bool {
        self.all == other.all
    }
}

/// The numbers of instances by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Count {
    active: u32,
    failed: u32,
    unknown: u32,
    /// With an unknown outcome at their end.
    doubtful: u32,
    /// Under way, and no longer withdrawable.
    committed: u32,
    /// With side effects.
    effects: u32,
    /// With side effects to compensate.
    to_undo: u32,
    /// Child runs with side effects that can no longer be withdrawn.
    irreversible: u32,
    /// Whose compensation is under way.
    undoing: u32,
    /// Whose compensation has failed.
    undo_failed: u32,
    /// The attempts of all.
    attempts: u32,
}

impl Count {
    fn of(instance: &Instance) -> Self {
        let (is_active, had_effect) = (instance.is_active(), instance.had_effect());
        Self {
            active: u32::from(is_active),
            failed: u32::from(has_failed(instance)),
            unknown: u32::from(instance.is_unknown()),
            doubtful: u32::from(is_doubtful(instance)),
            committed: u32::from(is_held(instance)),
            effects: u32::from(had_effect),
            to_undo: u32::from(instance.has_something_to_undo()),
            irreversible: u32::from(instance.is_irreversible()),
            undoing: u32::from(is_undoing(instance)),
            undo_failed: u32::from(matches!(instance.undo(), InstanceUndo::Failed(_))),
            attempts: instance.attempts(),
        }
    }

    /// Combines each number with that of another count.
    fn zip(&mut self, other: Self, combine: impl Fn(u32, u32) -> u32) {
        let each = |mine: &mut u32, other: u32| *mine = combine(*mine, other);
        each(&mut self.active, other.active);
        each(&mut self.failed, other.failed);
        each(&mut self.unknown, other.unknown);
        each(&mut self.doubtful, other.doubtful);
        each(&mut self.committed, other.committed);
        each(&mut self.effects, other.effects);
        each(&mut self.to_undo, other.to_undo);
        each(&mut self.irreversible, other.irreversible);
        each(&mut self.undoing, other.undoing);
        each(&mut self.undo_failed, other.undo_failed);
        each(&mut self.attempts, other.attempts);
    }

    fn add(&mut self, instance: &Instance) {
        self.zip(Self::of(instance), u32::saturating_add);
    }

    fn subtract(&mut self, instance: &Instance) {
        self.zip(Self::of(instance), u32::saturating_sub);
    }
}

fn has_failed(instance: &Instance) -> bool {
    instance.end().is_some_and(|end| !end.is_success())
}

/// Whether it is under way and can no longer be withdrawn.
fn is_held(instance: &Instance) -> bool {
    instance.is_active() && instance.is_committed()
}

const fn is_undoing(instance: &Instance) -> bool {
    matches!(instance.undo(), InstanceUndo::Active(_))
}

/// Whether its outcome is unknown at its end.
fn is_doubtful(instance: &Instance) -> bool {
    *instance.side_effects() == SideEffects::Possible
}

/// Whether the compensation of an instance can begin, if one is declared.
fn is_undoable(instance: &Instance) -> bool {
    instance.is_undo_idle() && instance.has_something_to_undo()
}

/// Moves a cursor below which no instance has a property, after the instance at `index` has changed. It moves forward over
/// each instance once, unless an instance gets the property again.
fn advance(from: &mut usize, all: &[Instance], index: usize, has: impl Fn(&Instance) -> bool) {
    if all.get(index).is_some_and(&has) {
        *from = (*from).min(index);
    } else if *from == index {
        let rest = all.get(index..).unwrap_or_default();
        *from += rest.iter().take_while(|instance| !has(instance)).count();
    }
}

impl Many {
    /// Adds a new instance: it is under way, and nothing else is counted of it.
    fn begin(&mut self, instance: Instance) {
        debug_assert_eq!(Count::of(&instance), Count { active: 1, ..Count::default() }, "a new instance is under way");
        self.count.active = self.count.active.saturating_add(1);
        self.all.push(instance);
        self.changed(self.all.len() - 1);
    }

    /// Counts the begin of an attempt, which changes no other number and no cursor: to count the instance again would take 300
    /// instructions.
    fn begin_attempt(&mut self, index: usize) -> Option<Applied> {
        let begun = self.all.get_mut(index)?.begin_attempt();
        self.count.attempts = self.count.attempts.saturating_add(begun.is_ok().into());
        Some(begun)
    }

    fn push(&mut self, instance: Instance) {
        self.count.add(&instance);
        self.all.push(instance);
        self.changed(self.all.len() - 1);
    }

    fn change<T>(&mut self, index: usize, change: impl FnOnce(&mut Instance) -> Applied<T>) -> Option<Applied<T>> {
        let instance = self.all.get_mut(index)?;
        self.count.subtract(instance);
        let changed = change(instance);
        self.count.add(instance);
        self.changed(index);
        Some(changed)
    }

    /// Moves the cursors after an instance has changed.
    fn changed(&mut self, index: usize) {
        advance(&mut self.cancel_from, &self.all, index, Instance::can_be_cancelled);
        advance(&mut self.query_from, &self.all, index, Instance::needs_query);
        if self.all.get(index).is_some_and(is_undoable) {
            self.undo_below = self.undo_below.max(index + 1);
        } else if self.undo_below == index + 1 {
            let before = self.all.get(..index).unwrap_or_default();
            self.undo_below = before.iter().rposition(is_undoable).map_or(0, |last| last + 1);
        }
    }
}

/// Reading.
impl Instances {
    pub(crate) fn as_slice(&self) -> &[Instance] {
        match self.0.as_deref() {
            None => &[],
            Some(List::One(instance)) => core::slice::from_ref(instance),
            Some(List::Many(many)) => &many.all,
        }
    }

    pub(crate) fn iter(&self) -> core::slice::Iter<'_, Instance> {
        self.as_slice().iter()
    }

    /// The instances with their indexes.
    pub(crate) fn indexed(&self) -> impl Iterator<Item = (u32, &Instance)> {
        (0..).zip(self.iter())
    }

    pub(crate) fn get(&self, index: u32) -> Option<&Instance> {
        self.as_slice().get(index as usize)
    }

    pub(crate) fn last(&self) -> Option<&Instance> {
        self.as_slice().last()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.as_slice().len()).unwrap_or(u32::MAX)
    }

    fn count(&self) -> Count {
        let mut count = Count::default();
        match self.0.as_deref() {
            None => {}
            Some(List::One(instance)) => count.add(instance),
            Some(List::Many(many)) => count = many.count,
        }
        count
    }

    /// One of the counts, without the others.
    fn counted(&self, is_counted: impl FnOnce(&Instance) -> bool, count: impl FnOnce(&Count) -> u32) -> u32 {
        match self.0.as_deref() {
            None => 0,
            Some(List::One(instance)) => is_counted(instance).into(),
            Some(List::Many(many)) => count(&many.count),
        }
    }

    /// The number of instances that have not ended.
    pub(crate) fn active(&self) -> u32 {
        self.counted(Instance::is_active, |count| count.active)
    }

    /// The number of instances that ended without success.
    pub(crate) fn failed(&self) -> u32 {
        self.counted(has_failed, |count| count.failed)
    }

    /// The number of instances that succeeded.
    pub(crate) fn succeeded(&self) -> u32 {
        let Count { active, failed, .. } = self.count();
        self.len().saturating_sub(active).saturating_sub(failed)
    }

    /// The first instance with an unknown outcome that is to be queried, or is being queried.
    pub(crate) fn next_query(&self) -> Option<(u32, &Instance)> {
        if self.counted(Instance::is_unknown, |count| count.unknown) == 0 {
            return None;
        }
        let from = self.many().map_or(0, |many| many.query_from);
        let rest = self.as_slice().get(from..).unwrap_or_default();
        let found = rest.iter().position(Instance::needs_query)?.checked_add(from)?;
        Some((u32::try_from(found).ok()?, self.as_slice().get(found)?))
    }

    fn many(&self) -> Option<&Many> {
        match self.0.as_deref()? {
            List::Many(many) => Some(many),
            List::One(_) => None,
        }
    }

    /// The worker of the next instance that is to be cancelled.
    pub(crate) fn next_to_cancel(&self) -> Option<Worker> {
        let from = self.many().map_or(0, |many| many.cancel_from);
        let rest = self.as_slice().get(from..).unwrap_or_default();
        rest.iter().find(|instance| instance.can_be_cancelled()).map(Instance::worker)
    }

    pub(crate) fn had_effect(&self) -> bool {
        self.counted(Instance::had_effect, |count| count.effects) > 0
    }

    /// Whether an ended instance has side effects to compensate.
    pub(crate) fn has_something_to_undo(&self) -> bool {
        self.counted(Instance::has_something_to_undo, |count| count.to_undo) > 0
    }

    /// Whether a child run has side effects that can no longer be withdrawn.
    pub(crate) fn is_irreversible(&self) -> bool {
        self.count().irreversible > 0
    }

    /// Whether an instance under way can no longer be withdrawn.
    pub(crate) fn has_committed(&self) -> bool {
        self.counted(is_held, |count| count.committed) > 0
    }

    /// Whether an ended instance has an unknown outcome.
    pub(crate) fn outcome_unknown(&self) -> bool {
        self.counted(is_doubtful, |count| count.doubtful) > 0
    }

    /// Whether the compensation of an instance is under way.
    pub(crate) fn is_undoing(&self) -> bool {
        self.counted(is_undoing, |count| count.undoing) > 0
    }

    /// Whether an instance was compensated.
    pub(crate) fn was_undone(&self) -> bool {
        self.iter().any(|instance| *instance.undo() == InstanceUndo::Undone)
    }

    /// The failure of the first compensation that has failed.
    pub(crate) fn undo_failure(&self) -> Option<&Failure> {
        if self.count().undo_failed == 0 {
            return None;
        }
        self.iter().find_map(|instance| match instance.undo() {
            InstanceUndo::Failed(failure) => Some(&**failure),
            InstanceUndo::Idle | InstanceUndo::Active(_) | InstanceUndo::Undone => None,
        })
    }

    /// The last instance whose compensation can begin, with the number of instances that the search has passed.
    /// `is_declared`: whether a compensation is declared for it.
    pub(crate) fn next_to_undo(&self, is_declared: impl Fn(&Instance) -> bool) -> Option<(u32, &Instance, usize)> {
        let below = self.many().map_or(self.as_slice().len(), |many| many.undo_below);
        let candidates = self.as_slice().get(..below).unwrap_or_default();
        let index = candidates.iter().rposition(|instance| is_undoable(instance) && is_declared(instance))?;
        Some((u32::try_from(index).ok()?, candidates.get(index)?, below - index))
    }

    /// The child runs of all instances.
    pub(crate) fn children(&self) -> impl Iterator<Item = RunId> {
        self.iter().filter_map(|instance| instance.worker().child())
    }

    /// The child runs of the instances under way.
    pub(crate) fn active_children(&self) -> impl Iterator<Item = RunId> {
        self.iter().filter(|instance| instance.is_active()).filter_map(|instance| instance.worker().child())
    }

    /// The instances whose compensation failed, with their numbers.
    pub(crate) fn not_undone(&self) -> impl Iterator<Item = (u32, &Instance)> {
        self.indexed().filter(|(_, instance)| matches!(instance.undo(), InstanceUndo::Failed(_)))
    }

    /// The number of attempts of all instances that have begun.
    pub(crate) fn attempts(&self) -> u32 {
        self.count().attempts
    }

    pub(crate) fn spent(&self) -> Spending {
        self.iter().fold(Spending::NOTHING, |sum, instance| sum + instance.spent())
    }

    /// Checks the counters.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut found = Count::default();
        self.iter().for_each(|instance| found.add(instance));
        let counted = self.count();
        if found != counted {
            return Err(format!("counts its instances as {counted:?}, not {found:?}"));
        }
        let first = self.indexed().find(|(_, instance)| instance.needs_query());
        if self.next_query().map(|(index, _)| index) != first.map(|(index, _)| index) {
            return Err("passes over an instance with an unknown outcome".to_owned());
        }
        let first = self.iter().position(Instance::can_be_cancelled).and_then(|at| self.as_slice().get(at));
        if self.next_to_cancel() != first.map(Instance::worker) {
            return Err("passes over an instance that can be cancelled".to_owned());
        }
        Ok(())
    }
}

/// Transitions.
impl Instances {
    /// Makes room for so many instances in all, so that no later begin copies those before it.
    pub(super) fn reserve(&mut self, all: usize) {
        if let Some(List::Many(many)) = self.0.as_deref_mut()
            && many.all.len() == many.all.capacity()
        {
            many.all.reserve_exact(all.saturating_sub(many.all.len()));
        }
    }

    /// The instance, if it is the only one.
    pub(super) fn only_mut(&mut self) -> Option<&mut Instance> {
        if let Some(List::One(instance)) = self.0.as_deref_mut() { Some(instance) } else { None }
    }

    /// Begins the next instance. The index must be the next one.
    pub(super) fn begin(&mut self, index: u32, instance: Instance) -> Applied {
        if index != self.len() {
            return Err(Illegal::new("an instance begins", "another is the next one"));
        }
        match self.0.as_deref_mut() {
            Some(List::Many(many)) => many.begin(instance),
            Some(List::One(_)) | None => self.push(instance),
        }
        Ok(())
    }

    fn push(&mut self, instance: Instance) {
        match self.0.as_deref_mut() {
            None => self.0 = Some(Box::new(List::One(instance))),
            Some(List::Many(many)) => many.push(instance),
            Some(list @ List::One(_)) => {
                if let List::One(first) = core::mem::replace(list, List::Many(Many::default()))
                    && let List::Many(many) = list
                {
                    many.push(first);
                    many.push(instance);
                }
            }
        }
    }

    /// Counts the begin of an attempt at an instance.
    pub(super) fn begin_attempt(&mut self, index: u32) -> Applied {
        let begun = match self.0.as_deref_mut() {
            Some(List::One(instance)) if index == 0 => Some(instance.begin_attempt()),
            Some(List::Many(many)) => many.begin_attempt(index as usize),
            Some(List::One(_)) | None => None,
        };
        begun.unwrap_or_else(|| Err(Illegal::new("an attempt is assigned", "its node has no such instance")))
    }

    /// Changes one instance.
    pub(super) fn change<T>(
        &mut self,
        input: &'static str,
        index: u32,
        change: impl FnOnce(&mut Instance) -> Applied<T>,
    ) -> Applied<T> {
        let changed = match self.0.as_deref_mut() {
            Some(List::One(instance)) if index == 0 => Some(change(instance)),
            Some(List::Many(many)) => many.change(index as usize, change),
            Some(List::One(_)) | None => None,
        };
        changed.unwrap_or_else(|| Err(Illegal::new(input, "its node has no such instance")))
    }

    /// Marks failed compensations to be tried again.
    pub(super) fn retry_undo(&mut self) {
        self.change_all(Instance::retry_undo);
    }

    /// The failed compensations of these instances are not retried any more.
    pub(super) fn settle_undo(&mut self, is_meant: impl Fn(&Instance) -> bool) {
        let is_failed = |instance: &Instance| matches!(instance.undo(), InstanceUndo::Failed(_)) && is_meant(instance);
        if self.iter().any(is_failed) {
            self.change_all(|instance| {
                if is_meant(instance) {
                    instance.settle_undo();
                }
            });
        }
    }

    fn change_all(&mut self, change: impl Fn(&mut Instance)) {
        match self.0.as_deref_mut() {
            None => {}
            Some(List::One(instance)) => change(instance),
            Some(List::Many(many)) => {
                let all = core::mem::take(&mut many.all);
                *many = Many::default();
                for mut instance in all {
                    change(&mut instance);
                    many.push(instance);
                }
            }
        }
    }

    /// No compensation of an instance at or after this index can begin. Only for the search for the next one; it is
    /// forgotten when the definition changes.
    pub(super) fn set_undo_below(&mut self, index: u32) {
        if let Some(List::Many(many)) = self.0.as_deref_mut() {
            many.undo_below = many.undo_below.min(index as usize);
        }
    }

    /// Computes the cursors again, because the definition has changed.
    pub(super) fn reset_cursors(&mut self) {
        if let Some(List::Many(many)) = self.0.as_deref_mut() {
            many.undo_below = many.all.len();
        }
    }
}

impl<'a> IntoIterator for &'a Instances {
    type Item = &'a Instance;
    type IntoIter = core::slice::Iter<'a, Instance>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Serialized as a sequence.
impl Serialize for Instances {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self)
    }
}

impl<'de> Deserialize<'de> for Instances {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut instances = Self::default();
        Vec::<Instance>::deserialize(deserializer)?.into_iter().for_each(|instance| instances.push(instance));
        Ok(instances)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Commitment, InstanceEnd};
    use super::*;
    use crate::base::id::TaskId;
    use crate::base::payload::Payload;

    fn task(index: u32) -> Worker {
        Worker::Task(TaskId::new(u64::from(index) + 1))
    }

    fn instances(count: u32) -> Instances {
        let mut instances = Instances::default();
        for index in 0..count {
            instances.begin(index, Instance::new(task(index), Payload::NULL, index)).unwrap();
        }
        instances
    }

    /// For any number of instances, the list behaves and serializes as a vector.
    #[test]
    fn none_one_and_many_are_like_a_vector() {
        for count in 0..4 {
            let instances = instances(count);
            assert_eq!((instances.len(), instances.is_empty()), (count, count == 0));
            let text = serde_json::to_string(&instances).unwrap();
            assert_eq!(text, serde_json::to_string(instances.as_slice()).unwrap());
            let read: Instances = serde_json::from_str(&text).unwrap();
            assert_eq!(read, instances);
            assert_eq!((read.check(), read.active()), (Ok(()), count));
        }
    }

    #[test]
    fn instances_begin_in_order() {
        assert!(instances(2).begin(3, Instance::new(task(3), Payload::NULL, 0)).is_err());
    }

    #[test]
    fn counts_follow_every_transition() {
        for count in 1..5 {
            let mut all = instances(count);
            let unknown = || InstanceEnd::failed(SideEffects::Possible, Failure::permanent("lost"));
            all.change("ends", 0, |one| one.finish_unknown(unknown())).unwrap();
            assert_eq!(all.next_query().map(|(index, _)| index), Some(0));
            all.change("is queried", 0, |one| one.begin_query(task(9))).unwrap();
            all.change("is answered", 0, |one| one.end_query(|end| end)).unwrap();
            assert_eq!((all.active(), all.failed(), all.check()), (count - 1, 1, Ok(())));
            assert!(all.change("ends", count, |one| one.request_cancel()).is_err());
        }
    }

    #[test]
    fn the_next_to_cancel_is_the_first_that_can_be() {
        let mut all = instances(3);
        for index in [0, 1] {
            assert_eq!(all.next_to_cancel(), Some(task(index)));
            all.change("is cancelled", index, Instance::request_cancel).unwrap();
        }
        all.change("is committed", 2, |one| one.commit(Commitment::Committed)).unwrap();
        assert_eq!(all.next_to_cancel(), None);
        all.change("is returned", 2, |one| one.commit(Commitment::Withdrawable)).unwrap();
        assert_eq!((all.next_to_cancel(), all.check()), (Some(task(2)), Ok(())));
    }
}
