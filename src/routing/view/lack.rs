//! The requirement that no agent meets.

use super::skills::SkillMap;
use crate::base::name::Name;
use crate::base::nearest::nearest;
use crate::task::agent::AgentSpec;
use crate::task::{Lack, Needs};
use std::collections::BTreeSet;

/// The largest number of skills, or of values of a label, that are compared for a suggestion.
const COMPARED: usize = 1_024;
/// The largest number of agents whose skills are read for a suggestion.
const READ: usize = 1_024;

impl SkillMap {
    /// The first of the needs that none of these agents meets; none if an agent meets all.
    pub(crate) fn lack<'a>(&self, needs: &Needs, agents: impl Iterator<Item = &'a AgentSpec> + Clone) -> Option<Lack> {
        if agents.clone().any(|agent| self.met_by(needs, agent)) {
            return None;
        }
        if agents.clone().next().is_none() {
            return Some(Lack::Agents);
        }
        let skill = needs.skills().find(|(name, level)| {
            !agents.clone().any(|agent| self.level(name, agent).is_some_and(|has| has >= *level))
        });
        if let Some((name, level)) = skill {
            let is_known = agents.clone().any(|agent| self.level(name, agent).is_some());
            let nearest = if is_known { None } else { self.nearest_skill(name, agents) };
            return Some(Lack::Skill { name: name.clone(), level, nearest });
        }
        let label =
            needs.labels().find(|(name, value)| !agents.clone().any(|agent| agent.labels.get(*name) == Some(*value)));
        if let Some((name, value)) = label {
            let values: BTreeSet<&Name> =
                agents.take(READ).filter_map(|agent| agent.labels.get(name)).take(COMPARED).collect();
            let nearest = nearest(value, values.into_iter().map(Name::as_str)).map(Name::from);
            return Some(Lack::Label { name: name.clone(), value: value.clone(), nearest });
        }
        let amount = needs.amounts().find(|(name, amount)| {
            !agents.clone().any(|agent| agent.amounts.get(*name).copied().unwrap_or(0) >= *amount)
        });
        Some(match amount {
            Some((name, amount)) => Lack::Amount { name: name.clone(), amount },
            None => Lack::Together,
        })
    }

    /// The skill that an agent has, or that one of its skills implies, with the name most similar to this one.
    fn nearest_skill<'a>(&self, name: &Name, agents: impl Iterator<Item = &'a AgentSpec>) -> Option<Name> {
        let mut known: BTreeSet<&Name> = BTreeSet::new();
        for agent in agents.take(READ) {
            known.extend(agent.skills.keys().take(COMPARED));
            if known.len() >= COMPARED {
                break;
            }
        }
        let implied = self.implied().filter(|(_, broader)| broader.iter().any(|broad| known.contains(broad)));
        let implied: Vec<&Name> = implied.map(|(narrow, _)| narrow).take(COMPARED).collect();
        known.extend(implied);
        nearest(name, known.into_iter().map(Name::as_str)).map(Name::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::AgentId;

    fn agent(id: u64) -> AgentSpec {
        AgentSpec::new(AgentId::new(id))
    }

    #[test]
    fn the_first_need_that_no_agent_meets_is_named() {
        let map = SkillMap::default().with_category("ml", ["inference"]);
        let agents = [
            agent(1).with_skill("reserve", 2).with_label("region", "eu").with_amount("memory", 4),
            agent(2).with_skill("ml", 1).with_label("region", "us"),
        ];
        let lack = |needs: Needs| map.lack(&needs, agents.iter()).map(|lack| lack.to_string());
        let says = |text: &str| Some(text.to_owned());
        assert_eq!(lack(Needs::skill("reserve")), None);
        assert_eq!(lack(Needs::skill("resreve")), says("no agent has skill `resreve`; did you mean `reserve`?"));
        assert_eq!(lack(Needs::skill("inferense")), says("no agent has skill `inferense`; did you mean `inference`?"));
        assert_eq!(lack(Needs::skill("invoice")), says("no agent has skill `invoice`"));
        assert_eq!(
            lack(Needs::skill("reserve").and_skill("reserve", 3)),
            says("no agent has skill `reserve` at level 3")
        );
        assert_eq!(
            lack(Needs::nothing().and_label("region", "ue")),
            says("no agent has label `region` = `ue`; did you mean `eu`?")
        );
        assert_eq!(lack(Needs::nothing().and_amount("memory", 5)), says("no agent has 5 of `memory`"));
        assert_eq!(
            lack(Needs::skill("reserve").and_label("region", "us")),
            says("no agent meets all its requirements")
        );
        assert_eq!(map.lack(&Needs::nothing(), core::iter::empty()), Some(Lack::Agents));
    }
}
