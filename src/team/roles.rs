//! Who plays which part.

use super::matrix::Matrix;
use crate::id::AgentId;
use crate::name::Name;
use crate::planning::{Costs, assign};
use std::collections::{BTreeMap, BTreeSet};

/// A part in a team, for one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Role {
    /// What it is called.
    pub name: Name,
    /// The skills that it takes, with levels.
    pub needs: BTreeMap<Name, u16>,
}

impl Role {
    /// A role that takes these skills.
    #[must_use]
    pub fn new<N: Into<Name>>(name: impl Into<Name>, needs: impl IntoIterator<Item = (N, u16)>) -> Self {
        Self { name: name.into(), needs: needs.into_iter().map(|(skill, level)| (skill.into(), level)).collect() }
    }
}

/// Gives each role to another member, so that the chances of success, multiplied over all roles and skills, are as high as they
/// can be; a member must have the levels that its role takes. None if that is not possible. (Linear assignment, by the shortest
/// augmenting paths of Jonker and Volgenant 1987.)
///
/// ```
/// use counterpoint::AgentId;
/// use counterpoint::team::{Matrix, Person, Role, assign_roles};
///
/// let [ann, ben] = [1, 2].map(AgentId::new);
/// let matrix = Matrix::of([
///     Person::new(ann).with_skill("lead", 2).with_skill("build", 3),
///     Person::new(ben).with_skill("build", 1),
/// ]);
/// let roles = [Role::new("builder", [("build", 1)]), Role::new("leader", [("lead", 1)])];
/// let given = assign_roles(&matrix, &[ann, ben].into(), &roles).unwrap();
/// assert_eq!(given, [ben, ann]);
/// ```
#[must_use]
pub fn assign_roles(matrix: &Matrix, team: &BTreeSet<AgentId>, roles: &[Role]) -> Option<Vec<AgentId>> {
    let members: Vec<AgentId> = team.iter().copied().collect();
    let cost = |role: &Role, agent: AgentId| {
        let able = matrix.get(agent).is_some_and(|person| person.has(&role.needs));
        let unlikely = role.needs.keys().map(|skill| -matrix.chance(skill, agent).ln()).sum::<f64>();
        if able { unlikely } else { f64::INFINITY }
    };
    let values = roles.iter().flat_map(|role| members.iter().map(move |agent| cost(role, *agent))).collect();
    let found = assign(&Costs::new(roles.len(), members.len(), values).ok()?).ok()?;
    found.columns.iter().map(|column| members.get((*column)?).copied()).collect()
}
