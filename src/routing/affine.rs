//! Affinities of tasks.

#![expect(clippy::wildcard_enum_match_arm, reason = "a strategy reads what it uses")]

use super::hashing::ConsistentHash;
use super::{AgentSet, Candidates, LeastLoaded, Rerouting, RoutingStrategy};
use crate::base::id::{AgentId, TaskId};
use crate::base::name::Name;
use crate::base::structure::{IdMap, Random};
use crate::message::event::{AgentEvent, Entry, Event, Next, TaskEvent};
use crate::task::TaskSpec;
use std::collections::BTreeMap;

/// Applies the [affinities](crate::task::Affinity) of tasks, and delegates other choices to an inner strategy.
///
/// The first of these that applies: the preferred agent, if it has room; the familiar agent, if it has room; for tasks
/// with a session key, the agent of the key by a [`ConsistentHash`]; for tasks with a spread label, the agents with the
/// label value that holds the fewest attempts of the group, among which the inner strategy chooses. Excluded agents are
/// never candidates.
///
/// The spread of a group is computed from events and unknown after a restore from a snapshot.
///
/// ```
/// use counterpoint::{AgentId, Config, TaskId, TaskSpec};
/// use counterpoint::task::Affinity;
/// use counterpoint::routing::{Affine, TwoChoices};
///
/// let config = Config::default().with_strategy(Affine::new(TwoChoices::default()));
/// let replica = TaskSpec::new(TaskId::new(1), "store").with_affinity(Affinity::default().with_spread("zone"));
/// ```
#[derive(Debug)]
pub struct Affine<S = LeastLoaded> {
    inner: S,
    sessions: ConsistentHash,
    spread: Spread,
    room: AgentSet,
}

impl Default for Affine {
    /// With [`LeastLoaded`] as the inner strategy.
    fn default() -> Self {
        Self::new(LeastLoaded)
    }
}

impl<S: RoutingStrategy> Affine<S> {
    /// Creates the strategy with this inner strategy.
    #[must_use]
    pub fn new(inner: S) -> Self {
        Self { inner, sessions: ConsistentHash::default(), spread: Spread::default(), room: AgentSet::default() }
    }
}

impl<S: RoutingStrategy> RoutingStrategy for Affine<S> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn pick(&mut self, task: &TaskSpec, among: &Candidates<'_>, random: &mut Random) -> Option<AgentId> {
        let Some(affinity) = &task.affinity else { return self.inner.pick(task, among, random) };
        let preferred = affinity.preferred.and_then(|agent| among.get(agent));
        if let Some(known) = preferred.or_else(|| among.familiar()) {
            return Some(known.id());
        }
        if affinity.session.is_some() && affinity.spread.is_none() {
            return self.sessions.pick(task, among, random);
        }
        let Some(label) = &affinity.spread else { return self.inner.pick(task, among, random) };
        let counts = self.spread.groups.get(&group(task, label));
        let count = |agent: &super::Candidate<'_>| {
            let value = agent.spec().labels.get(label);
            counts.and_then(|counts| counts.get(&value.cloned())).copied().unwrap_or(0)
        };
        let fewest = among.iter().map(|agent| count(&agent)).min()?;
        let rest = among.only(&mut self.room, |agent| count(agent) == fewest);
        self.inner.pick(task, &rest, random)
    }

    fn observe(&mut self, entry: &Entry) {
        self.inner.observe(entry);
        self.spread.note(entry);
    }

    fn explain(&self) -> Option<String> {
        self.inner.explain()
    }

    fn rerouted(&mut self) -> Option<Rerouting> {
        self.inner.rerouted()
    }
}

/// A tenant, a session key or kind, and the label to spread it over. Tenants do not spread around each other's attempts.
type Group = (Option<Name>, Name, Name);

fn group(task: &TaskSpec, label: &Name) -> Group {
    let session = task.affinity.as_ref().and_then(|affinity| affinity.session.as_ref());
    (task.tenant.clone(), session.unwrap_or(&task.kind).clone(), label.clone())
}

/// The number of attempts of each group under way at each value of its label.
#[derive(Debug, Default)]
struct Spread {
    groups: BTreeMap<Group, BTreeMap<Option<Name>, u32>>,
    tasks: IdMap<TaskId, (Group, Option<Option<Name>>)>,
    labels: IdMap<AgentId, BTreeMap<Name, Name>>,
}

impl Spread {
    fn note(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Agent { agent, event: AgentEvent::Registered { spec } | AgentEvent::Updated { spec } } => {
                self.labels.insert(agent.agent(), spec.labels.clone());
            }
            Event::Agent { agent, event: AgentEvent::Deregistered | AgentEvent::Lost } => {
                self.labels.remove(&agent.agent());
            }
            Event::Task { task, event } => self.note_task(*task, event),
            _ => {}
        }
    }

    fn note_task(&mut self, task: TaskId, event: &TaskEvent) {
        match event {
            TaskEvent::Submitted { spec, .. } => {
                if let Some(label) = spec.affinity.as_ref().and_then(|affinity| affinity.spread.as_ref()) {
                    self.tasks.insert(task, (group(spec, label), None));
                }
            }
            TaskEvent::Assigned { to, .. } => {
                let Some((group, _)) = self.tasks.remove(&task) else { return };
                let value = self.labels.get(&to.agent()).and_then(|labels| labels.get(&group.1)).cloned();
                *self.groups.entry(group.clone()).or_default().entry(value.clone()).or_default() += 1;
                self.tasks.insert(task, (group, Some(value)));
            }
            TaskEvent::AttemptFailed { next, .. } => self.over(task, matches!(next, Next::Retry { .. })),
            TaskEvent::Yielded { .. } => self.over(task, true),
            TaskEvent::Succeeded { .. }
            | TaskEvent::Answered { .. }
            | TaskEvent::Cancelled { .. }
            | TaskEvent::Expired { .. } => self.over(task, false),
            _ => {}
        }
    }

    fn over(&mut self, task: TaskId, again: bool) {
        let Some((group, value)) = self.tasks.remove(&task) else { return };
        if let Some(value) = value
            && let Some(counts) = self.groups.get_mut(&group)
            && let Some(count) = counts.get_mut(&value)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&value);
            }
            if counts.is_empty() {
                self.groups.remove(&group);
            }
        }
        if again {
            self.tasks.insert(task, (group, None));
        }
    }
}
