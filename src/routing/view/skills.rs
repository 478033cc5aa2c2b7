//! Relations between skills.

use crate::base::name::Name;
use crate::task::Needs;
use crate::task::agent::AgentSpec;
use std::collections::{BTreeMap, BTreeSet};

/// Which skills imply which others: categories, hierarchies, synonyms. An agent that announces a broad skill meets
/// needs for the narrow skills that it implies, at the level of the broad one.
///
/// Journals do not depend on it: a host may restart with another map.
///
/// ```
/// use counterpoint::routing::SkillMap;
/// use counterpoint::{AgentId, AgentSpec, Needs};
///
/// let map = SkillMap::default()
///     .with_category("ml", ["model_training", "inference"])
///     .with_category("model_training", ["fine_tuning"])
///     .with_equivalent("inference", "prediction");
/// let agent = AgentSpec::new(AgentId::new(1)).with_skill("ml", 3);
/// assert!(map.met_by(&Needs::skill("prediction").and_skill("fine_tuning", 3), &agent));
/// // The narrow skill does not imply the broad one.
/// let tuner = AgentSpec::new(AgentId::new(2)).with_skill("fine_tuning", 9);
/// assert!(!map.met_by(&Needs::skill("ml"), &tuner));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SkillMap {
    /// For each skill those that imply it.
    broader: BTreeMap<Name, BTreeSet<Name>>,
}

impl SkillMap {
    /// Declares that the skill `category` implies each of `skills`.
    #[must_use]
    pub fn with_category<N: Into<Name>>(
        mut self,
        category: impl Into<Name>,
        skills: impl IntoIterator<Item = N>,
    ) -> Self {
        let category = category.into();
        for skill in skills {
            self.add(skill.into(), category.clone());
        }
        self
    }

    /// Declares that two skills are equivalent.
    #[must_use]
    pub fn with_equivalent(mut self, one: impl Into<Name>, other: impl Into<Name>) -> Self {
        let (one, other) = (one.into(), other.into());
        self.add(one.clone(), other.clone());
        self.add(other, one);
        self
    }

    /// Each implied skill with those that imply it.
    pub(super) fn implied(&self) -> impl Iterator<Item = (&Name, &BTreeSet<Name>)> {
        self.broader.iter()
    }

    /// Whether this agent meets the needs, implied skills included.
    #[must_use]
    pub fn met_by(&self, needs: &Needs, agent: &AgentSpec) -> bool {
        if self.broader.is_empty() {
            return needs.met_by(agent);
        }
        needs.skills().all(|(skill, level)| self.level(skill, agent).is_some_and(|has| has >= level))
            && needs.labels().all(|(name, value)| agent.labels.get(name) == Some(value))
            && needs.fits_in(agent)
    }

    /// The highest level of this agent in the skill or in one that implies it.
    #[must_use]
    pub fn level(&self, skill: &Name, agent: &AgentSpec) -> Option<u16> {
        let others = self.broader.get(skill).into_iter().flatten();
        core::iter::once(skill).chain(others).filter_map(|name| agent.skills.get(name).copied()).max()
    }

    /// Adds a pair and keeps the relation transitive: every skill that implies `broad` implies all skills that `narrow`
    /// implies.
    fn add(&mut self, narrow: Name, broad: Name) {
        let mut above: BTreeSet<Name> = self.broader.get(&broad).cloned().unwrap_or_default();
        above.insert(broad);
        let mut below: Vec<Name> =
            self.broader.iter().filter(|(_, set)| set.contains(&narrow)).map(|(name, _)| name.clone()).collect();
        below.push(narrow);
        for name in below {
            let set = self.broader.entry(name.clone()).or_default();
            set.extend(above.iter().filter(|other| **other != name).cloned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::AgentId;
    use proptest::prelude::*;

    /// The oracle: a search over the edges.
    fn reaches(edges: &[(u8, u8)], from: u8, to: u8) -> bool {
        let (mut seen, mut open) = (BTreeSet::from([from]), vec![from]);
        while let Some(here) = open.pop() {
            for &(narrow, broad) in edges {
                if narrow == here && seen.insert(broad) {
                    open.push(broad);
                }
            }
        }
        seen.contains(&to)
    }

    proptest! {
        #[test]
        fn order_of_declaration_does_not_matter(edges in prop::collection::vec((0_u8..8, 0_u8..8), 0..20)) {
            let name = |number: u8| Name::from(number.to_string());
            let map = edges.iter().fold(SkillMap::default(), |map, (narrow, broad)| map.with_category(name(*broad), [name(*narrow)]));
            for has in 0..8 {
                let agent = AgentSpec::new(AgentId::new(1)).with_skill(name(has), 2);
                for asked in 0..8 {
                    let met = map.met_by(&Needs::skill(name(asked)), &agent);
                    prop_assert_eq!(met, reaches(&edges, asked, has), "{} for {}", has, asked);
                }
            }
        }
    }
}
