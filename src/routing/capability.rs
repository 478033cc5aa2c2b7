//! Routing by skill levels.

use super::{Candidate, Candidates, RoutingStrategy};
use crate::base::id::AgentId;
use crate::base::structure::Random;
use crate::task::TaskSpec;

/// Picks the agent with the highest, or optionally the lowest sufficient, levels in the skills that the task needs;
/// ties are broken by load. [`FirstCapable`](super::FirstCapable) picks any capable agent.
///
/// Every candidate has the needed skills, since skills are a filter before strategies are called. Evaluates every
/// candidate.
///
/// ```
/// use counterpoint::Config;
/// use counterpoint::routing::BestMatch;
///
/// // Keep the experts for what only they can do.
/// let config = Config::default().with_strategy(BestMatch::default().with_lowest_sufficient());
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct BestMatch {
    lowest: bool,
}

impl BestMatch {
    /// Prefers the lowest sufficient skill levels.
    #[must_use]
    pub const fn with_lowest_sufficient(mut self) -> Self {
        self.lowest = true;
        self
    }
}

/// The sum over the needed skills of the levels by which the agent exceeds the task's requirement.
pub(super) fn margin(task: &TaskSpec, agent: &Candidate<'_>, among: &Candidates<'_>) -> u32 {
    let margins = task.needs.skills().map(|(skill, level)| {
        let has = among.skills().level(skill, agent.spec()).unwrap_or(0);
        u32::from(has.saturating_sub(level))
    });
    margins.fold(0, u32::saturating_add)
}

impl RoutingStrategy for BestMatch {
    fn name(&self) -> &'static str {
        if self.lowest { "lowest sufficient skill" } else { "best skill" }
    }

    fn pick(&mut self, task: &TaskSpec, among: &Candidates<'_>, _: &mut Random) -> Option<AgentId> {
        let rated = among.iter().map(|agent| (margin(task, &agent, among), agent));
        let best = rated.reduce(|best, other| {
            let better = if self.lowest { other.0 < best.0 } else { other.0 > best.0 };
            let tie = other.0 == best.0 && other.1.less_loaded_than(&best.1);
            if better || tie { other } else { best }
        })?;
        Some(best.1.id())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Roster;
    use super::*;
    use crate::base::id::TaskId;
    use crate::base::time::Time;
    use crate::task::Needs;
    use crate::task::agent::AgentSpec;

    #[test]
    fn best_and_just_good_enough() {
        let mut roster = Roster::default();
        for (id, level) in [(1, 1), (2, 5), (3, 9), (4, 3)] {
            roster.add(AgentSpec::new(AgentId::new(id)).with_skill("sing", level).with_capacity(2));
        }
        let needs = Needs::skill("sing").and_skill("sing", 3);
        let class = roster.class(&needs);
        let task = TaskSpec::new(TaskId::new(1), "sing").with_needs(needs);
        let pick = |mut strategy: BestMatch, roster: &Roster| {
            strategy.pick(&task, &roster.among(class, Time::ZERO).unwrap(), &mut Random::new(0, 0)).map(AgentId::get)
        };
        assert_eq!(pick(BestMatch::default(), &roster), Some(3));
        assert_eq!(pick(BestMatch::default().with_lowest_sufficient(), &roster), Some(4));
        roster.add(AgentSpec::new(AgentId::new(5)).with_skill("sing", 9).with_capacity(2));
        roster.begin(AgentId::new(3));
        assert_eq!(pick(BestMatch::default(), &roster), Some(5));
    }
}
