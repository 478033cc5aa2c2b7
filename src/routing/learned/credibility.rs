//! Credibility estimates of durations.

#![expect(clippy::wildcard_enum_match_arm, reason = "an estimator reads what it uses")]

use super::level::{Group, Level};
use crate::base::id::{AgentId, TaskId};
use crate::base::name::Name;
use crate::base::structure::IdMap;
use crate::base::time::{Time, nanos_of};
use crate::message::event::{Entry, Event, Next, TaskEvent};
use crate::routing::Estimator;
use crate::task::{Needs, TaskSpec};
use core::time::Duration;

/// Estimates durations from a hierarchy of groups: all tasks, tasks with the same needs, among these tasks of the same
/// kind, among these tasks with a similar [`estimate`](TaskSpec::estimate) of the host. At each level the mean of a
/// group is shrunk towards that of its parent group, the more the fewer observations it has and the less the groups of
/// the level differ (credibility theory, Bühlmann 1967, equivalent to empirical Bayes). A level at which the groups do
/// not differ by more than chance is skipped, so that uninformative groups do not add noise.
///
/// The host's estimate only serves to form groups: it need not be accurate or even be a duration, as long as it grows
/// with the duration. An uninformative one has no influence.
///
/// The mean of a group covers about the last 64 successes, each corrected by the estimated pace of its agent. Durations
/// are capped at eight times the common mean. Beyond 4,096 groups of a level a new group is replaced by its parent
/// group.
///
/// ```
/// use counterpoint::routing::Credibility;
/// use counterpoint::Config;
/// use counterpoint::scheduler::Discipline;
/// use std::time::Duration;
///
/// let config = Config::default()
///     .with_estimator(Credibility::default())
///     .with_discipline(Discipline::ShortestExpected { stretch: 10, patience: Duration::from_secs(60) });
/// ```
#[derive(Debug)]
pub struct Credibility {
    by_needs: IdMap<Needs, usize>,
    by_kind: IdMap<(usize, Name), usize>,
    by_size: IdMap<(usize, u32), usize>,
    all: Group,
    levels: [Level; 3],
    /// The number of observations at which the weights of the levels are computed next.
    due: f64,
    agents: IdMap<AgentId, Pace>,
    /// The ratio of actual to expected durations over all agents, to which the pace of an agent is relative.
    common: Pace,
    open: IdMap<TaskId, Open>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    /// Its group at each level; none if the level has too many groups.
    groups: [Option<usize>; 3],
    running: Option<(AgentId, Time)>,
}

/// The ratio of actual to expected durations.
#[derive(Debug, Clone, Copy, Default)]
struct Pace {
    count: f64,
    ratio: f64,
}

/// The cap of durations, in common means.
const CAP: f64 = 8.0;
/// The largest number of groups of a level.
const GROUPS: usize = 4_096;
/// The number of recent tasks that the pace of an agent covers.
const PACE: f64 = 64.0;
/// The weight of the prior that an agent is as fast as the others, in tasks.
const LIKE: f64 = 4.0;

impl Default for Credibility {
    fn default() -> Self {
        Self {
            by_needs: IdMap::default(),
            by_kind: IdMap::default(),
            by_size: IdMap::default(),
            all: Group::all(),
            levels: <[Level; 3]>::default(),
            due: 0.0,
            agents: IdMap::default(),
            common: Pace::default(),
            open: IdMap::default(),
        }
    }
}

impl Pace {
    fn note(&mut self, ratio: f64) {
        self.count += 1.0;
        self.ratio += (ratio - self.ratio) / self.count.min(PACE);
    }

    fn value(&self) -> f64 {
        let count = self.count.min(PACE);
        (count * self.ratio + LIKE) / (count + LIKE)
    }
}

/// The size group of an estimate: two groups per doubling.
fn size(estimate: Duration) -> u32 {
    let nanos = nanos_of(estimate);
    let bits = 64 - nanos.leading_zeros();
    let second = if bits > 1 { (nanos >> (bits - 2)) & 1 } else { 0 };
    2 * bits + u32::from(second == 1)
}

impl Credibility {
    fn groups(&self, task: &TaskSpec) -> [Option<usize>; 3] {
        let needs = self.by_needs.get(&task.needs).copied();
        let kind = needs.and_then(|needs| self.by_kind.get(&(needs, task.kind.clone())).copied());
        let size = kind.zip(task.estimate).and_then(|(kind, span)| self.by_size.get(&(kind, size(span))).copied());
        [needs, kind, size]
    }

    /// The groups of a task, created if they are new.
    fn join(&mut self, task: &TaskSpec) -> [Option<usize>; 3] {
        let mut groups = self.groups(task);
        let [needs, kind, size_of] = &mut groups;
        let [by_needs, by_kind, by_size] = &mut self.levels;
        if needs.is_none() && by_needs.len() < GROUPS {
            let group = by_needs.add(0);
            self.by_needs.insert(task.needs.clone(), group);
            *needs = Some(group);
        }
        if let (Some(needs), None) = (*needs, *kind)
            && by_kind.len() < GROUPS
        {
            let group = by_kind.add(needs);
            self.by_kind.insert((needs, task.kind.clone()), group);
            *kind = Some(group);
        }
        if let (Some(kind), None, Some(span)) = (*kind, *size_of, task.estimate)
            && by_size.len() < GROUPS
        {
            let group = by_size.add(kind);
            self.by_size.insert((kind, size(span)), group);
            *size_of = Some(group);
        }
        groups
    }

    /// The expected duration in seconds.
    fn expect(&self, groups: &[Option<usize>; 3]) -> f64 {
        let known = self.levels.iter().zip(groups).map_while(|(level, group)| Some((level, (*group)?)));
        known.fold(self.all.recent(), |above, (level, group)| level.expect(group, above))
    }

    fn learn(&mut self, groups: &[Option<usize>; 3], agent: AgentId, took: Duration) {
        let took = took.as_secs_f64();
        let own = self.agents.get(&agent).copied().unwrap_or_default();
        if self.all.count() > 0.0 {
            let ratio = (took / self.expect(groups).max(1e-9)).clamp(0.1, 10.0);
            let mut own = own;
            own.note(ratio);
            self.agents.insert(agent, own);
            self.common.note(ratio);
        }
        let cap = if self.all.count() > 0.0 { CAP * self.all.recent() } else { f64::INFINITY };
        let seconds = (took * self.common.value() / own.value()).min(cap);
        self.all.note(seconds);
        for (level, group) in self.levels.iter_mut().zip(groups).filter_map(|(level, group)| Some((level, (*group)?))) {
            level.note(group, seconds);
        }
        if self.all.count() >= self.due {
            self.due = self.all.count() * 17.0 / 16.0 + 8.0;
            self.weigh();
        }
    }

    fn weigh(&mut self) {
        let [needs, kinds, sizes] = &mut self.levels;
        needs.weigh(&[self.all]);
        kinds.weigh(needs.groups());
        sizes.weigh(kinds.groups());
    }

    fn ended(&mut self, task: TaskId, at: Time, well: bool, again: bool) {
        let Some(open) = self.open.remove(&task) else { return };
        if let (true, Some((agent, since))) = (well, open.running) {
            self.learn(&open.groups, agent, at.since(since));
        }
        if again {
            self.open.insert(task, Open { running: None, ..open });
        }
    }
}

impl Estimator for Credibility {
    fn name(&self) -> &'static str {
        "credibility"
    }

    fn estimate(&self, task: &TaskSpec) -> Option<Duration> {
        if self.all.count() == 0.0 {
            return None;
        }
        Duration::try_from_secs_f64(self.expect(&self.groups(task))).ok()
    }

    fn observe(&mut self, entry: &Entry) {
        let Event::Task { task, event } = &entry.event else { return };
        let (task, at) = (*task, entry.at);
        match event {
            TaskEvent::Submitted { spec, .. } => {
                let groups = self.join(spec);
                self.open.insert(task, Open { groups, running: None });
            }
            TaskEvent::Assigned { to, .. } => {
                if let Some(mut open) = self.open.remove(&task) {
                    open.running = Some((to.agent(), at));
                    self.open.insert(task, open);
                }
            }
            // The time for which the attempt was prefetched does not count.
            TaskEvent::Started { .. } => {
                if let Some(mut open) = self.open.remove(&task) {
                    open.running = open.running.map(|(agent, _)| (agent, at));
                    self.open.insert(task, open);
                }
            }
            TaskEvent::Yielded { .. } => self.ended(task, at, false, true),
            TaskEvent::AttemptFailed { next, .. } => self.ended(task, at, false, matches!(next, Next::Retry { .. })),
            TaskEvent::Succeeded { .. } => self.ended(task, at, true, false),
            TaskEvent::Answered { .. } | TaskEvent::Cancelled { .. } | TaskEvent::Expired { .. } => {
                self.ended(task, at, false, false);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::structure::Random;

    fn task(kind: usize, estimate: Option<Duration>) -> TaskSpec {
        let mut task = TaskSpec::new(TaskId::new(1), format!("kind {kind}"));
        task.estimate = estimate;
        task
    }

    /// Kinds with these means of exponential durations, on agents of paces 1, 2 and 3 in turn.
    fn learned(seed: u64, means: &[f64], tries: u64) -> Credibility {
        let (mut estimator, mut random) = (Credibility::default(), Random::new(seed, 7));
        for number in 0..tries {
            for (kind, mean) in means.iter().enumerate() {
                let groups = estimator.join(&task(kind, None));
                let (agent, pace) = (AgentId::new(number % 3), 1.0 + f64::from(u8::try_from(number % 3).unwrap_or(0)));
                estimator.learn(&groups, agent, Duration::from_secs_f64(-mean * pace * (1.0 - random.unit()).ln()));
            }
        }
        estimator.weigh();
        estimator
    }

    fn seconds(estimator: &Credibility, kind: usize) -> f64 {
        estimator.estimate(&task(kind, None)).unwrap_or_default().as_secs_f64()
    }

    #[test]
    fn kinds_that_differ_are_distinguished_and_others_are_not() {
        let fooled = (0..40).filter(|seed| learned(*seed, &[3.0; 20], 60).levels[0].weight().is_some()).count();
        assert!(fooled <= 6, "{fooled} of 40");
        let apart = learned(7, &[1.0, 2.0, 4.0, 8.0], 300);
        let [least, .., most] = [0, 1, 2, 3].map(|kind| seconds(&apart, kind));
        assert!(most / least > 4.0, "{least} {most}");
    }

    #[test]
    fn a_kind_never_seen_is_expected_to_be_like_all() {
        let apart = learned(7, &[1.0, 2.0, 4.0, 8.0], 300);
        let all = apart.all.recent();
        assert!((seconds(&apart, 9) - all).abs() < 1e-6);
    }

    #[test]
    fn an_estimate_counts_by_its_credibility() {
        let hints = [1, 4, 16].map(Duration::from_millis);
        for (telling, most) in [(true, 10.0), (false, 1.6)] {
            let (mut estimator, mut random) = (Credibility::default(), Random::new(3, 7));
            for number in 0..900 {
                let hint = hints[number % 3];
                let mean = if telling { hint.as_secs_f64() * 100.0 } else { 0.7 };
                let groups = estimator.join(&task(0, Some(hint)));
                estimator.learn(&groups, AgentId::new(1), Duration::from_secs_f64(mean * (0.5 + random.unit())));
            }
            let [least, _, more] = hints.map(|hint| estimator.estimate(&task(0, Some(hint))).unwrap_or_default());
            let ratio = more.as_secs_f64() / least.as_secs_f64();
            assert!(if telling { ratio > most } else { (1.0 / most..most).contains(&ratio) }, "{telling} {ratio}");
        }
    }

    #[test]
    fn nothing_is_known_before_anything_has_ended() {
        assert_eq!(Credibility::default().estimate(&task(0, None)), None);
    }
}
