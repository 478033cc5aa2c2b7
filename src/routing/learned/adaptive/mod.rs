//! A strategy that switches between strategies according to measurements.

mod window;

use super::{PeakEwma, Performance};
use crate::base::id::AgentId;
use crate::base::structure::Random;
use crate::base::time::Time;
use crate::message::event::Entry;
use crate::routing::{Candidates, ConsistentHash, LeastLoaded, Rerouting, RoutingStrategy};
use crate::task::TaskSpec;
use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;
use window::Window;

/// The properties of work and agents that determine the strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Situation {
    /// Agents are equally fast and reliable: only their loads differ.
    Even,
    /// Some agents are much slower than others or fail much more often.
    Uneven,
    /// Most tasks have a session key.
    Sessions,
    /// Other dispatchers use the same agents, so their loads are not known. Declared by the host with
    /// [`Adaptive::with_shared_agents`].
    Shared,
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Even => "agents are alike",
            Self::Uneven => "agents are uneven",
            Self::Sessions => "most tasks have sessions",
            Self::Shared => "agents are shared",
        })
    }
}

/// Selects a strategy from a fixed table by the measured situation, and explains the selection.
///
/// | situation | default strategy |
/// |---|---|
/// | most tasks have a session key | [`ConsistentHash`] |
/// | other dispatchers share the agents (declared by the host) | [`PeakEwma`] |
/// | the third quartile of mean durations is more than twice the first, or an agent fails more than twice as often as all | [`Performance`] |
/// | otherwise | [`LeastLoaded`] |
///
/// A measurement window is at least ten seconds and fifty attempts. The situation changes after two consecutive windows
/// with the same result, and changes back only when the measure has fallen well below the threshold (hysteresis), so
/// that it does not oscillate. A table is used instead of a learned model because its choices can be explained in a
/// sentence.
///
/// ```
/// use counterpoint::Config;
/// use counterpoint::routing::{Adaptive, MultiFactor, Situation};
///
/// let config = Config::default().with_strategy(Adaptive::default().with_strategy(Situation::Uneven, MultiFactor::default()));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Adaptive {
    strategies: BTreeMap<Situation, Box<dyn RoutingStrategy>>,
    shared: bool,
    span: Duration,
    least: u32,
    current: Situation,
    since: Time,
    reason: String,
    /// Whether the situation has changed since the last call of `rerouted`.
    rerouted: bool,
    /// The situation of the last window, if that was not the current one.
    proposed: Option<Situation>,
    window: Window,
}

impl Default for Adaptive {
    fn default() -> Self {
        let mut strategies: BTreeMap<Situation, Box<dyn RoutingStrategy>> = BTreeMap::new();
        strategies.insert(Situation::Even, Box::new(LeastLoaded));
        strategies.insert(Situation::Uneven, Box::new(Performance::default()));
        strategies.insert(Situation::Sessions, Box::new(ConsistentHash::default()));
        strategies.insert(Situation::Shared, Box::new(PeakEwma::default()));
        Self {
            strategies,
            shared: false,
            span: Duration::from_secs(10),
            least: 50,
            current: Situation::Even,
            since: Time::ZERO,
            reason: "no measurement yet".into(),
            rerouted: false,
            proposed: None,
            window: Window::default(),
        }
    }
}

impl Adaptive {
    /// Sets the strategy for a situation.
    #[must_use]
    pub fn with_strategy(mut self, situation: Situation, strategy: impl RoutingStrategy + 'static) -> Self {
        self.strategies.insert(situation, Box::new(strategy));
        self
    }

    /// Declares that other dispatchers use the same agents.
    #[must_use]
    pub fn with_shared_agents(mut self) -> Self {
        self.shared = true;
        self.current = Situation::Shared;
        self.reason = "declared by the host".into();
        self
    }

    /// Sets the minimal length of a window and the number of attempts that must end in it.
    #[must_use]
    pub const fn with_window(mut self, span: Duration, attempts: u32) -> Self {
        self.span = span;
        self.least = attempts;
        self
    }

    /// The current situation.
    #[must_use]
    pub const fn situation(&self) -> Situation {
        self.current
    }

    /// The situation of the current window, with the reason.
    fn judge(&self) -> (Situation, String) {
        let sessions = self.window.session_share();
        let bar = if self.current == Situation::Sessions { 0.35 } else { 0.5 };
        if sessions > bar {
            return (Situation::Sessions, format!("{:.0} % of tasks have a session key", sessions * 100.0));
        }
        if self.shared {
            return (Situation::Shared, "declared by the host".into());
        }
        let bar = if self.current == Situation::Uneven { 1.5 } else { 2.0 };
        let (slow, failing) = (self.window.slowness(), self.window.worst_failure());
        if let Some((agent, times)) = failing.filter(|(_, times)| *times > bar) {
            return (Situation::Uneven, format!("{agent} fails {times:.1} times as often as all"));
        }
        if slow > bar {
            return (Situation::Uneven, format!("the slower quarter of agents takes {slow:.1} times as long"));
        }
        (Situation::Even, format!("the slower quarter of agents takes {slow:.1} times as long"))
    }

    fn close_window(&mut self, now: Time) {
        let (situation, reason) = self.judge();
        if situation == self.current {
            self.reason = reason;
            self.proposed = None;
        } else if self.proposed == Some(situation) {
            (self.current, self.since, self.reason) = (situation, now, reason);
            (self.proposed, self.rerouted) = (None, true);
        } else {
            self.proposed = Some(situation);
        }
        self.window.restart(now);
    }
}

impl RoutingStrategy for Adaptive {
    fn name(&self) -> &'static str {
        "adaptive"
    }

    fn pick(&mut self, task: &TaskSpec, among: &Candidates<'_>, random: &mut Random) -> Option<AgentId> {
        match self.strategies.get_mut(&self.current) {
            Some(strategy) => strategy.pick(task, among, random),
            None => among.least_loaded().map(|agent| agent.id()),
        }
    }

    fn observe(&mut self, entry: &Entry) {
        self.strategies.values_mut().for_each(|strategy| strategy.observe(entry));
        self.window.note(entry);
        if self.window.is_full(entry.at, self.span, self.least) {
            self.close_window(entry.at);
        }
    }

    fn explain(&self) -> Option<String> {
        let strategy = self.strategies.get(&self.current).map_or("least loaded", |strategy| strategy.name());
        let Self { current, since, reason, .. } = self;
        Some(format!("{strategy} since {since} because {current}: {reason}"))
    }

    fn rerouted(&mut self) -> Option<Rerouting> {
        if !core::mem::take(&mut self.rerouted) {
            return None;
        }
        let strategy = self.strategies.get(&self.current).map_or("least loaded", |strategy| strategy.name());
        Some(Rerouting::new(strategy, format!("{}: {}", self.current, self.reason)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::{AttemptNumber, Incarnation, Seq, TaskId};
    use crate::base::payload::Payload;
    use crate::message::event::TaskEvent;
    use crate::task::Affinity;
    use std::sync::Arc;

    /// A hundred tasks, one after another in time, where agent `n` of 8 takes `takes(n)` seconds.
    fn epoch(adaptive: &mut Adaptive, from: u64, session: bool, takes: impl Fn(u64) -> u64) {
        for n in 0..100 {
            let (id, agent, at) = (TaskId::new(from * 1_000 + n), AgentId::new(n % 8), from * 11_000 + n * 110);
            let by = Incarnation::new(agent, 1);
            let attempt = AttemptNumber::FIRST;
            let mut spec = TaskSpec::new(id, "k");
            if session {
                spec = spec.with_affinity(Affinity::default().with_session("s"));
            }
            let events = [
                (at, TaskEvent::Submitted { spec: Arc::new(spec), replays: None, expected: None }),
                (at, TaskEvent::Assigned { attempt, to: by }),
                (at + takes(agent.get()), TaskEvent::Succeeded { attempt, by, output: Payload::NULL }),
            ];
            for (at, event) in events {
                let entry = Entry { seq: Seq::ZERO, at: Time::from_millis(at), event: event.of(id) };
                adaptive.observe(&entry);
            }
        }
    }

    #[test]
    fn it_switches_after_two_windows_with_a_reason() {
        let mut adaptive = Adaptive::default();
        let even = |_| 50;
        let uneven = |agent: u64| if agent < 3 { 100 } else { 10 };
        epoch(&mut adaptive, 1, false, even);
        assert_eq!(adaptive.situation(), Situation::Even);
        epoch(&mut adaptive, 2, false, uneven);
        epoch(&mut adaptive, 3, false, even);
        epoch(&mut adaptive, 4, false, even);
        assert_eq!(adaptive.situation(), Situation::Even, "one deviating window changes nothing");
        (5..9).for_each(|n| epoch(&mut adaptive, n, false, uneven));
        assert_eq!(adaptive.situation(), Situation::Uneven);
        let why = adaptive.explain().unwrap();
        assert!(why.starts_with("performance since ") && why.contains("10.0 times as long"), "{why}");
        // Between the thresholds the situation does not change.
        (9..13).for_each(|n| epoch(&mut adaptive, n, false, |agent| if agent < 3 { 17 } else { 10 }));
        assert_eq!(adaptive.situation(), Situation::Uneven);
        (13..17).for_each(|n| epoch(&mut adaptive, n, true, even));
        assert_eq!(adaptive.situation(), Situation::Sessions);
        (17..21).for_each(|n| epoch(&mut adaptive, n, false, even));
        assert_eq!(adaptive.situation(), Situation::Even);
    }
}
