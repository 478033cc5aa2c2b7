//! Keeps work away from agents that fail everything.

use super::learned::{ByAgent, End, HALF, History, PENALTY, Seen};
use super::{Candidates, Places, RoutingStrategy, Turn};
use crate::event::Entry;
use crate::id::AgentId;
use crate::structure::Random;
use crate::task::TaskSpec;
use crate::time::Time;
use core::time::Duration;

/// Wraps a strategy and takes agents away from it that fail far more often than the others.
///
/// An agent that fails at once is always idle, so whatever goes by load sends it everything: a black hole. An agent whose
/// success rate of late is below half of that of all agents is banned for a time that doubles with each ban; after it the
/// agent is tried again. When more than half of the agents that could do the work are banned, the fault is likely to be
/// elsewhere, and no ban counts (Envoy's panic threshold). Work waits for agents that are not banned while there are any.
///
/// ```
/// use counterpoint::Config;
/// use counterpoint::routing::{Guarded, LeastLoaded};
///
/// let config = Config::default().with_strategy(Guarded::new(LeastLoaded::default()));
/// ```
#[derive(Debug)]
pub struct Guarded<S> {
    inner: S,
    history: History,
    agents: ByAgent<Conduct>,
    bans: Vec<(AgentId, Time)>,
    base: Duration,
    most: Duration,
    barred: Places,
    room: Places,
}

#[derive(Debug, Clone, Copy, Default)]
struct Conduct {
    /// Failures since the last success.
    failures: u32,
    bans: u32,
}

/// So many failures without a success between them are a reason to look at the rate.
const SUSPECT: u32 = 3;

impl<S: RoutingStrategy> Guarded<S> {
    /// Guards this strategy: bans of five seconds up to five minutes.
    #[must_use]
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            history: History::default(),
            agents: ByAgent::default(),
            bans: Vec::new(),
            base: Duration::from_secs(5),
            most: Duration::from_secs(300),
            barred: Places::default(),
            room: Places::default(),
        }
    }

    /// Sets how long the first ban lasts, and the longest.
    #[must_use]
    pub const fn with_bans(mut self, first: Duration, longest: Duration) -> Self {
        self.base = first;
        self.most = longest;
        self
    }

    /// The agents that are banned, and until when.
    #[must_use]
    pub fn banned(&self) -> &[(AgentId, Time)] {
        &self.bans
    }

    fn judge(&mut self, agent: AgentId, kind: usize, at: Time) {
        let all = self.history.common(kind);
        let (base, most) = (self.base, self.most);
        let own = self.history.expect(agent, Some(kind)).success;
        let mut until = None;
        self.agents.change(agent, |conduct| {
            conduct.failures = conduct.failures.saturating_add(1);
            // One that was banned before has to prove itself.
            let suspect = conduct.failures >= SUSPECT || conduct.bans > 0;
            if suspect && own < all / 1.5 {
                until = Some(at + base.saturating_mul(1 << conduct.bans.min(16)).min(most));
                conduct.bans = conduct.bans.saturating_add(1);
                conduct.failures = 0;
            }
        });
        if let Some(until) = until {
            self.bans.retain(|(banned, _)| *banned != agent);
            self.bans.push((agent, until));
        }
    }
}

impl<S: RoutingStrategy> RoutingStrategy for Guarded<S> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn pick(&mut self, task: &TaskSpec, among: &Candidates<'_>, random: &mut Random) -> Option<AgentId> {
        if !self.bans.is_empty() {
            self.bans.retain(|(_, until)| *until > among.now());
        }
        if self.bans.is_empty() {
            return self.inner.pick(task, among, random);
        }
        self.barred.clear();
        let mut count = 0;
        for (agent, _) in &self.bans {
            if let Some(place) = among.place_of(*agent)
                && among.is_eligible(place)
            {
                self.barred.insert(place);
                count += 1;
            }
        }
        if count == 0 || 2 * count > among.everyone_len() {
            return self.inner.pick(task, among, random);
        }
        let rest = among.without(&self.barred, &mut self.room);
        if rest.is_empty() { None } else { self.inner.pick(task, &rest, random) }
    }

    fn observe(&mut self, entry: &Entry) {
        self.inner.observe(entry);
        self.agents.note(entry);
        match self.history.note(entry, PENALTY, HALF) {
            Some(Seen::Ended { agent, kind, end: End::Failed, .. }) => self.judge(agent, kind, entry.at),
            Some(Seen::Ended { agent, end: End::Succeeded, .. }) => {
                self.agents.change(agent, |conduct| {
                    conduct.failures = 0;
                    conduct.bans = conduct.bans.saturating_sub(1);
                });
            }
            _ => {}
        }
    }

    fn explain(&self) -> Option<String> {
        let bans: Vec<String> = self.bans.iter().map(|(agent, until)| format!("{agent} until {until}")).collect();
        let bans = (!bans.is_empty()).then(|| format!("banned: {}", bans.join(", ")));
        match (self.inner.explain(), bans) {
            (Some(inner), Some(bans)) => Some(format!("{inner}; {bans}")),
            (inner, bans) => inner.or(bans),
        }
    }

    fn turned(&mut self) -> Option<Turn> {
        self.inner.turned()
    }
}
