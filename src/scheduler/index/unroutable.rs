//! Waiting tasks that no agent can perform, grouped by their requirements.
//!
//! A group is a fold of events: it begins with the event after which no agent can perform one of its tasks, and ends with
//! the event after which an agent can, or none of its tasks waits. If the group was reported, its end is reported, too.

use super::classes::{ClassKey, Excluded};
use crate::base::id::Seq;
use crate::base::name::Name;
use crate::base::structure::IdMap;
use crate::base::time::Time;
use crate::scheduler::inconsistent::{Applied, InconsistentEvent};
use crate::scheduler::ix::{ClassIx, Room};
use crate::task::Needs;
use core::cmp::Ordering;
use core::hash::{Hash, Hasher};
use core::ops::Bound;
use std::collections::{BTreeMap, BTreeSet};

/// Whether an agent can perform the tasks of a class that may use this room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Route {
    /// An online agent can.
    #[default]
    Open,
    /// No online agent can. One that can is leaving, or no agent is registered.
    Closed,
    /// None of the registered agents ever can.
    Never,
}

/// The requirements of a group: those of a class without the agents to avoid, which are eligible if there are no others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupKey {
    pub(crate) needs: Needs,
    pub(crate) tenant: Option<Name>,
    pub(crate) excluded: Excluded,
    pub(crate) room: Room,
}

impl GroupKey {
    pub(super) fn of(key: &ClassKey, room: Room) -> Self {
        let ClassKey { needs, tenant, excluded, avoid: _ } = key.clone();
        Self { needs, tenant, excluded, room }
    }

    /// An order that depends on the requirements only.
    fn order(&self, other: &Self) -> Ordering {
        let rest = |key: &Self| (key.tenant.clone(), key.room == Room::Open);
        let needs = self.needs.order(&other.needs);
        needs.then_with(|| rest(self).cmp(&rest(other))).then_with(|| self.excluded.cmp(&other.excluded))
    }
}

impl Hash for GroupKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.needs.hash_value());
        self.tenant.hash(state);
        self.excluded.hash(state);
        state.write_u8(u8::from(self.room == Room::Open));
    }
}

/// The number of a group: groups that began earlier have smaller ones.
pub(crate) type GroupIx = u64;

/// Waiting tasks with the same requirements that no agent can perform.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) key: GroupKey,
    /// When it began.
    pub(crate) since: Time,
    /// The number of the event that reports it, once it is reported.
    pub(crate) report: Option<Seq>,
    /// The number of waiting tasks of each of its classes.
    classes: BTreeMap<ClassIx, u32>,
    /// Their sum.
    waiting: u32,
    /// Whether none of the registered agents can ever perform its tasks.
    never: bool,
}

impl Group {
    /// The number of its tasks.
    pub(crate) const fn waiting(&self) -> u32 {
        self.waiting
    }

    pub(crate) fn classes(&self) -> impl Iterator<Item = ClassIx> {
        self.classes.keys().copied()
    }
}

/// A group as a snapshot contains it.
#[derive(Debug, Clone)]
pub(crate) struct GroupPast {
    pub(crate) key: GroupKey,
    pub(crate) since: Time,
    pub(crate) report: Option<Seq>,
}

/// All groups, in the order in which they began.
#[derive(Debug, Clone, Default)]
pub(crate) struct Groups {
    /// The time of the event that is applied.
    now: Time,
    begun: GroupIx,
    groups: BTreeMap<GroupIx, Group>,
    index: IdMap<GroupKey, GroupIx>,
    /// The groups with tasks that are not reported.
    unreported: BTreeSet<GroupIx>,
    /// Those of them whose tasks none of the registered agents can ever perform.
    never: BTreeSet<GroupIx>,
    reports: BTreeMap<Seq, GroupIx>,
    /// The reports of groups without tasks.
    ended: BTreeSet<Seq>,
}

impl Groups {
    pub(super) const fn set_now(&mut self, now: Time) {
        self.now = now;
    }

    /// Sets the number of waiting tasks of a class in a group. A group without tasks ends.
    pub(super) fn set(&mut self, at: GroupIx, class: ClassIx, waiting: u32, never: bool) -> Applied {
        let group = self.groups.get_mut(&at).ok_or(NO_GROUP)?;
        let before = if waiting == 0 { group.classes.remove(&class) } else { group.classes.insert(class, waiting) };
        let sum = group.waiting.checked_sub(before.unwrap_or(0)).and_then(|left| left.checked_add(waiting));
        group.waiting = sum.ok_or(InconsistentEvent("more tasks wait without an agent than can be counted"))?;
        group.never = never;
        self.list(at)
    }

    /// The group of a class with this many tasks. It is created if it is new.
    pub(super) fn enter(&mut self, key: GroupKey, class: ClassIx, waiting: u32, never: bool) -> Applied<GroupIx> {
        let at = match self.index.get(&key) {
            Some(at) => *at,
            None => self.begin(GroupPast { key, since: self.now, report: None }),
        };
        self.set(at, class, waiting, never)?;
        Ok(at)
    }

    fn begin(&mut self, past: GroupPast) -> GroupIx {
        self.begun = self.begun.saturating_add(1);
        let GroupPast { key, since, report } = past;
        self.index.insert(key.clone(), self.begun);
        let group = Group { key, since, report, classes: BTreeMap::new(), waiting: 0, never: false };
        self.groups.insert(self.begun, group);
        self.begun
    }

    /// Puts a group into the lists that it belongs to, and drops it if it has neither tasks nor a report.
    fn list(&mut self, at: GroupIx) -> Applied {
        let group = self.groups.get(&at).ok_or(NO_GROUP)?;
        let (has_tasks, report) = (group.waiting > 0, group.report);
        put(&mut self.unreported, at, has_tasks && report.is_none());
        put(&mut self.never, at, has_tasks && report.is_none() && group.never);
        if let Some(report) = report {
            put(&mut self.ended, report, !has_tasks);
        } else if !has_tasks && let Some(group) = self.groups.remove(&at) {
            self.index.remove(&group.key);
        }
        Ok(())
    }

    /// Applies the report of the group with this key. Under another configuration, its tasks may have an agent now.
    pub(super) fn report(&mut self, key: GroupKey, report: Seq) -> Applied {
        let at = match self.index.get(&key) {
            Some(at) => *at,
            None => self.begin(GroupPast { key, since: self.now, report: None }),
        };
        let group = self.groups.get_mut(&at).ok_or(NO_GROUP)?;
        if group.report.replace(report).is_some() || self.reports.insert(report, at).is_some() {
            return Err(InconsistentEvent("waiting tasks without an agent are reported twice"));
        }
        self.list(at)
    }

    /// Applies the end of a report. Under another configuration, its tasks may still have no agent: the group begins again.
    /// Returns the classes that have another group now.
    pub(super) fn end_report(&mut self, report: Seq) -> Applied<Vec<(ClassIx, Room)>> {
        let at = self.reports.remove(&report).ok_or(InconsistentEvent("a report that ends was not made"))?;
        self.ended.remove(&report);
        let group = self.groups.remove(&at).ok_or(NO_GROUP)?;
        self.index.remove(&group.key);
        let mut moved = Vec::new();
        if group.waiting > 0 {
            let past = GroupPast { key: group.key.clone(), since: self.now, report: None };
            let again = self.take_over(past, &group, &mut moved);
            self.list(again)?;
        }
        Ok(moved)
    }

    /// The number of the latest group.
    pub(super) const fn latest(&self) -> GroupIx {
        self.begun
    }

    /// Numbers the groups after this one in the order of their keys: they began with one event, and the classes were visited in
    /// the order of their places, which is another one after a restore. Returns the classes that have another group now.
    pub(super) fn put_in_order(&mut self, after: GroupIx) -> Applied<Vec<(ClassIx, Room)>> {
        let mut new: Vec<(GroupIx, &Group)> =
            self.groups.range((Bound::Excluded(after), Bound::Unbounded)).map(|(at, group)| (*at, group)).collect();
        let mut moved = Vec::new();
        if new.is_sorted_by(|(_, one), (_, other)| one.key.order(&other.key).is_le()) {
            return Ok(moved);
        }
        new.sort_by(|(_, one), (_, other)| one.key.order(&other.key));
        let order: Vec<GroupIx> = new.into_iter().map(|(at, _)| at).collect();
        for at in order {
            let group = self.groups.remove(&at).ok_or(NO_GROUP)?;
            self.unreported.remove(&at);
            self.never.remove(&at);
            let past = GroupPast { key: group.key.clone(), since: group.since, report: None };
            let again = self.take_over(past, &group, &mut moved);
            self.list(again)?;
        }
        Ok(moved)
    }

    pub(super) fn find(&self, key: &GroupKey) -> Option<GroupIx> {
        self.index.get(key).copied()
    }

    pub(crate) fn get(&self, at: GroupIx) -> Option<&Group> {
        self.groups.get(&at)
    }

    /// All groups, in the order in which they began.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// A report of a group without tasks.
    pub(crate) fn next_ended(&self) -> Option<Seq> {
        self.ended.first().copied()
    }

    /// The next group to report and the time at which it is due, if groups that an agent may perform are reported after this
    /// time.
    pub(crate) fn next_report(&self, after: core::time::Duration) -> Option<(Time, GroupIx)> {
        let since = |at: &GroupIx| self.groups.get(at).map(|group| (group.since, *at));
        let never = self.never.first().and_then(since);
        let other = self.unreported.first().and_then(since).map(|(since, at)| (since + after, at));
        never.into_iter().chain(other).min()
    }

    /// The earliest group with tasks.
    pub(crate) fn first(&self) -> Option<(GroupIx, &Group)> {
        self.groups.iter().find(|(_, group)| group.waiting > 0).map(|(at, group)| (*at, group))
    }

    /// Sets the begin and the report of the groups of a snapshot, which are in order. Returns the classes of groups that have
    /// another number now.
    pub(super) fn put(&mut self, past: Vec<GroupPast>) -> Applied<Vec<(ClassIx, Room)>> {
        let found = core::mem::take(self);
        self.now = found.now;
        let mut moved = Vec::new();
        for past in past {
            let report = past.report;
            let at = match found.index.get(&past.key).and_then(|at| found.groups.get(at)) {
                None if report.is_none() => continue,
                None => self.begin(past),
                Some(group) => self.take_over(past, group, &mut moved),
            };
            if let Some(report) = report
                && self.reports.insert(report, at).is_some()
            {
                return Err(InconsistentEvent("two groups of waiting tasks have the same report"));
            }
            self.list(at)?;
        }
        for group in found.groups.values() {
            if self.index.get(&group.key).is_none() {
                let past = GroupPast { key: group.key.clone(), since: group.since, report: None };
                let at = self.take_over(past, group, &mut moved);
                self.list(at)?;
            }
        }
        Ok(moved)
    }

    fn take_over(&mut self, past: GroupPast, group: &Group, moved: &mut Vec<(ClassIx, Room)>) -> GroupIx {
        moved.extend(group.classes().map(|class| (class, past.key.room)));
        let at = self.begin(past);
        if let Some(new) = self.groups.get_mut(&at) {
            (new.classes, new.waiting, new.never) = (group.classes.clone(), group.waiting, group.never);
        }
        at
    }

    /// Compares the groups with the waiting tasks of the classes, which are given with the group that each class knows.
    pub(super) fn check(
        &self,
        classes: impl Iterator<Item = (ClassIx, GroupKey, u32, bool, Option<GroupIx>)>,
    ) -> Result<(), String> {
        let mut counted: BTreeMap<GroupIx, (BTreeMap<ClassIx, u32>, bool)> = BTreeMap::new();
        for (class, key, waiting, never, known) in classes {
            let found = self.index.get(&key).copied().filter(|_| waiting > 0);
            if found != known || (waiting > 0 && found.is_none()) {
                return Err(format!("class {} is in group {known:?}, its key is that of {found:?}", class.index()));
            }
            if let Some(at) = found {
                let (all, every) = counted.entry(at).or_insert_with(|| (BTreeMap::new(), true));
                all.insert(class, waiting);
                *every &= never;
            }
        }
        for (at, group) in &self.groups {
            let (classes, never) = counted.remove(at).unwrap_or_default();
            if classes != group.classes || classes.values().sum::<u32>() != group.waiting {
                return Err(format!("group {at} has {:?}, but {classes:?} wait", group.classes));
            }
            let lists = (self.unreported.contains(at), self.never.contains(at));
            let unreported = group.waiting > 0 && group.report.is_none();
            if lists != (unreported, unreported && never) || (group.waiting == 0 && group.report.is_none()) {
                return Err(format!("group {at} is in the wrong lists: {lists:?}"));
            }
            if group.report.is_some_and(|report| self.reports.get(&report) != Some(at)) {
                return Err(format!("the report of group {at} belongs to another one"));
            }
        }
        let ended = self.reports.iter().filter(|(_, at)| self.get(**at).is_some_and(|group| group.waiting == 0));
        if !ended.map(|(report, _)| report).eq(&self.ended) || self.index.len() != self.groups.len() {
            return Err(format!("the ended reports are {:?} of {:?}", self.ended, self.reports));
        }
        Ok(())
    }
}

fn put<T: Ord>(set: &mut BTreeSet<T>, value: T, on: bool) {
    if on {
        set.insert(value);
    } else {
        set.remove(&value);
    }
}

const NO_GROUP: InconsistentEvent = InconsistentEvent("there is no group of waiting tasks with this number");
