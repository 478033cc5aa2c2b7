//! A tree of agents, in which a task is delegated to the least loaded capable agent.

use crate::base::id::{AgentId, TaskId};
use crate::task::Needs;
use crate::task::agent::AgentSpec;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use thiserror::Error;

/// A rooted tree of agents with bounded fan-out. Agents with children delegate tasks, agents without children perform
/// them.
///
/// A task is delegated level by level to the child whose capable agents have the smallest share of their capacity in
/// use. When an agent leaves, its best child takes its position, and so on downwards, so that the tree keeps its shape;
/// the tasks of the agent that left are returned.
///
/// ```
/// use counterpoint::coordination::hierarchy::Hierarchy;
/// use counterpoint::{AgentId, AgentSpec, Needs, TaskId};
///
/// let agent = |id: u64| AgentSpec::new(AgentId::new(id)).with_skill("dig", 1);
/// // The most capable leads two, and each of these two.
/// let mut tree = Hierarchy::form((1..=7).map(|id| (agent(id), 100 - id)), 2)?;
/// assert_eq!(tree.root(), Some(AgentId::new(1)));
/// let first = tree.delegate(TaskId::new(1), &Needs::skill("dig")).unwrap();
/// assert_eq!(first.path, [1, 2, 4].map(AgentId::new));
/// let next = tree.delegate(TaskId::new(2), &Needs::skill("dig")).unwrap();
/// assert_eq!(next.path, [1, 3, 6].map(AgentId::new), "the other half has less to do");
/// # Ok::<(), counterpoint::coordination::hierarchy::HierarchyError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hierarchy {
    fan_out: u32,
    root: Option<AgentId>,
    members: BTreeMap<AgentId, Member>,
    tasks: BTreeMap<TaskId, AgentId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Member {
    spec: AgentSpec,
    score: u64,
    parent: Option<AgentId>,
    children: BTreeSet<AgentId>,
    held: BTreeSet<TaskId>,
}

/// The result of a delegation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delegated {
    /// The agent that performs the task.
    pub to: AgentId,
    /// The agents from the root to that agent.
    pub path: Vec<AgentId>,
}

/// The result of the removal of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Left {
    /// The tasks of the agent, and of agents that became inner nodes and perform no tasks themselves.
    pub orphans: Vec<TaskId>,
    /// The promoted agents with those whose positions they took, from the top down.
    pub promoted: Vec<(AgentId, AgentId)>,
}

/// A rejected change of a hierarchy. The hierarchy is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HierarchyError {
    /// The fan-out is zero.
    #[error("the fan-out must not be zero")]
    FanOut,
    /// The agent is in the hierarchy already.
    #[error("{agent} is in the hierarchy already")]
    Twice {
        /// The agent.
        agent: AgentId,
    },
    /// The agent is not in the hierarchy.
    #[error("{agent} is not in the hierarchy")]
    Unknown {
        /// The agent.
        agent: AgentId,
    },
    /// No agent holds the task.
    #[error("no agent holds {task}")]
    NotHeld {
        /// The task.
        task: TaskId,
    },
}

impl Hierarchy {
    /// The tree in which the agent with the highest score is the root, the next ones are its children, and so on, each
    /// with up to `fan_out` children. Agents with equal scores are ordered by id.
    ///
    /// # Errors
    ///
    /// Returns an error if an agent is given twice, or the fan-out is zero.
    pub fn form(agents: impl IntoIterator<Item = (AgentSpec, u64)>, fan_out: u32) -> Result<Self, HierarchyError> {
        if fan_out == 0 {
            return Err(HierarchyError::FanOut);
        }
        let mut ranked: Vec<(AgentSpec, u64)> = agents.into_iter().collect();
        ranked.sort_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then(a.id.cmp(&b.id)));
        let mut tree = Self { fan_out, root: None, members: BTreeMap::new(), tasks: BTreeMap::new() };
        let ids: Vec<AgentId> = ranked.iter().map(|(spec, _)| spec.id).collect();
        for (rank, (spec, score)) in ranked.into_iter().enumerate() {
            let above = rank.checked_sub(1).map(|before| before / fan_out as usize);
            let parent = above.and_then(|above| ids.get(above)).copied();
            tree.attach(spec, score, parent)?;
        }
        Ok(tree)
    }

    /// Adds an agent below the first agent, from the top, that has fewer children than the fan-out.
    ///
    /// # Errors
    ///
    /// Returns an error if it is in the tree already.
    pub fn join(&mut self, spec: AgentSpec, score: u64) -> Result<Option<AgentId>, HierarchyError> {
        let mut open: VecDeque<AgentId> = self.root.into_iter().collect();
        let mut parent = None;
        while let Some((agent, member)) = open.pop_front().and_then(|agent| Some((agent, self.members.get(&agent)?))) {
            // An agent with tasks keeps them and gets no children.
            if member.children.len() < self.fan_out as usize && (!member.children.is_empty() || member.held.is_empty())
            {
                parent = Some(agent);
                break;
            }
            open.extend(&member.children);
        }
        // If all agents with free child positions hold tasks, the first of them becomes a parent nevertheless.
        let parent = parent.or_else(|| self.levels().into_iter().flatten().find(|agent| self.has_room_below(*agent)));
        self.attach(spec, score, parent)?;
        Ok(parent)
    }

    /// Removes an agent.
    ///
    /// # Errors
    ///
    /// Returns an error if it is not in the tree.
    pub fn leave(&mut self, agent: AgentId) -> Result<Left, HierarchyError> {
        let gone = self.members.remove(&agent).ok_or(HierarchyError::Unknown { agent })?;
        let mut left = Left { orphans: gone.held.iter().copied().collect(), promoted: Vec::new() };
        let (mut vacant, mut parent, mut children) = (agent, gone.parent, gone.children);
        // The best child takes the position, its best child takes the child's, down to an agent without children.
        loop {
            let next = children.iter().max_by_key(|child| (self.score(**child), core::cmp::Reverse(**child))).copied();
            self.replace(parent, vacant, next);
            let Some(next) = next else { break };
            children.remove(&next);
            for child in &children {
                if let Some(child) = self.members.get_mut(child) {
                    child.parent = Some(next);
                }
            }
            let Some(member) = self.members.get_mut(&next) else { break };
            let below = core::mem::replace(&mut member.children, core::mem::take(&mut children));
            member.parent = parent;
            if !member.children.is_empty() || !below.is_empty() {
                left.orphans.extend(core::mem::take(&mut member.held));
            }
            left.promoted.push((next, vacant));
            if below.is_empty() {
                break;
            }
            // Its own former position, below itself, is empty now.
            member.children.insert(next);
            (vacant, parent, children) = (next, Some(next), below);
        }
        left.orphans.iter().for_each(|task| {
            self.tasks.remove(task);
        });
        Ok(left)
    }

    /// Delegates a task to the least loaded capable agent with free capacity; none if there is no such agent. Tasks
    /// that are assigned already are not moved.
    pub fn delegate(&mut self, task: TaskId, needs: &Needs) -> Option<Delegated> {
        if let Some(to) = self.tasks.get(&task).copied() {
            return Some(Delegated { to, path: self.path(to) });
        }
        let loads = self.loads(needs);
        let (mut at, mut path) = (self.root?, Vec::new());
        loads.get(&at).filter(|load| load.room)?;
        loop {
            path.push(at);
            let member = self.members.get(&at)?;
            if member.children.is_empty() {
                break;
            }
            let open = member.children.iter().filter_map(|child| Some((*child, *loads.get(child)?)));
            let open = open.filter(|(_, load)| load.room);
            // Agents with equal load are ordered by id.
            let (next, _) = open.reduce(|best, other| if other.1.is_less_than(best.1) { other } else { best })?;
            at = next;
        }
        self.members.get_mut(&at)?.held.insert(task);
        self.tasks.insert(task, at);
        Some(Delegated { to: at, path })
    }

    /// Records the end of a task.
    ///
    /// # Errors
    ///
    /// Returns an error if no agent holds it.
    pub fn finish(&mut self, task: TaskId) -> Result<AgentId, HierarchyError> {
        let by = self.tasks.remove(&task).ok_or(HierarchyError::NotHeld { task })?;
        if let Some(member) = self.members.get_mut(&by) {
            member.held.remove(&task);
        }
        Ok(by)
    }

    /// The root; none if the tree is empty.
    #[must_use]
    pub const fn root(&self) -> Option<AgentId> {
        self.root
    }

    /// The parent of an agent.
    #[must_use]
    pub fn parent(&self, agent: AgentId) -> Option<AgentId> {
        self.members.get(&agent)?.parent
    }

    /// The children of an agent.
    pub fn children(&self, agent: AgentId) -> impl Iterator<Item = AgentId> {
        self.members.get(&agent).into_iter().flat_map(|member| &member.children).copied()
    }

    /// The number of tasks that an agent holds.
    #[must_use]
    pub fn load(&self, agent: AgentId) -> usize {
        self.members.get(&agent).map_or(0, |member| member.held.len())
    }

    /// The agents by their distance from the root.
    #[must_use]
    pub fn levels(&self) -> Vec<Vec<AgentId>> {
        let mut levels = Vec::new();
        let mut level: Vec<AgentId> = self.root.into_iter().collect();
        while !level.is_empty() {
            let next = level.iter().flat_map(|agent| self.children(*agent)).collect();
            levels.push(core::mem::replace(&mut level, next));
        }
        levels
    }

    /// Whether the state is consistent: one root, a tree, no more children than the fan-out, each task held by one
    /// agent.
    ///
    /// # Errors
    ///
    /// Returns the first inconsistency.
    pub fn check(&self) -> Result<(), String> {
        let levels = self.levels();
        let reached: usize = levels.iter().map(Vec::len).sum();
        if reached != self.members.len() {
            return Err(format!("{reached} of {} are reachable from the root", self.members.len()));
        }
        for (agent, member) in &self.members {
            let above = member.parent.is_none_or(|parent| self.children(parent).any(|child| child == *agent));
            if !above || member.parent.is_none() != (self.root == Some(*agent)) {
                return Err(format!("{agent} is not a child of its parent"));
            }
            if member.children.len() > self.fan_out as usize {
                return Err(format!("{agent} has {} children, more than the fan-out", member.children.len()));
            }
            if member.held.iter().any(|task| self.tasks.get(task) != Some(agent)) {
                return Err(format!("{agent} holds a task that is not assigned to it"));
            }
        }
        let held: usize = self.members.values().map(|member| member.held.len()).sum();
        if held == self.tasks.len() { Ok(()) } else { Err(format!("{held} held, {} known", self.tasks.len())) }
    }

    fn attach(&mut self, spec: AgentSpec, score: u64, parent: Option<AgentId>) -> Result<(), HierarchyError> {
        let agent = spec.id;
        if self.members.contains_key(&agent) {
            return Err(HierarchyError::Twice { agent });
        }
        match parent.and_then(|parent| self.members.get_mut(&parent)) {
            Some(above) => {
                above.children.insert(agent);
            }
            None => self.root = Some(agent),
        }
        let (children, held) = (BTreeSet::new(), BTreeSet::new());
        self.members.insert(agent, Member { spec, score, parent, children, held });
        Ok(())
    }

    fn replace(&mut self, parent: Option<AgentId>, old: AgentId, new: Option<AgentId>) {
        match parent.and_then(|parent| self.members.get_mut(&parent)) {
            Some(above) => {
                above.children.remove(&old);
                above.children.extend(new);
            }
            None => self.root = new,
        }
    }

    fn has_room_below(&self, agent: AgentId) -> bool {
        self.members.get(&agent).is_some_and(|member| member.children.len() < self.fan_out as usize)
    }

    fn score(&self, agent: AgentId) -> u64 {
        self.members.get(&agent).map_or(0, |member| member.score)
    }

    fn path(&self, agent: AgentId) -> Vec<AgentId> {
        let mut path = vec![agent];
        while let Some(parent) = path.last().and_then(|last| self.parent(*last)) {
            path.push(parent);
        }
        path.reverse();
        path
    }

    /// For each agent that is capable, or has a capable agent below: the load of all those agents.
    fn loads(&self, needs: &Needs) -> BTreeMap<AgentId, Load> {
        let mut loads: BTreeMap<AgentId, Load> = BTreeMap::new();
        for level in self.levels().into_iter().rev() {
            for agent in level {
                let Some(member) = self.members.get(&agent) else { continue };
                if member.children.is_empty() && needs.met_by(&member.spec) {
                    let (held, capacity) = (member.held.len() as u64, u64::from(member.spec.capacity));
                    loads.insert(agent, Load { held, capacity, room: held < capacity });
                }
                if let (Some(load), Some(parent)) = (loads.get(&agent).copied(), member.parent) {
                    let above = loads.entry(parent).or_default();
                    above.held += load.held;
                    above.capacity += load.capacity;
                    above.room |= load.room;
                }
            }
        }
        loads
    }
}

/// The load of the capable agents in a part of the tree, and whether one of them has free capacity.
#[derive(Debug, Clone, Copy, Default)]
struct Load {
    held: u64,
    capacity: u64,
    room: bool,
}

impl Load {
    /// Compares the shares of capacity in use, exactly, by cross-multiplication.
    fn is_less_than(self, other: Self) -> bool {
        u128::from(self.held) * u128::from(other.capacity) < u128::from(other.held) * u128::from(self.capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn agent(id: u64) -> AgentSpec {
        AgentSpec::new(AgentId::new(id))
            .with_skill(if id.is_multiple_of(3) { "dig" } else { "lay" }, 1)
            .with_capacity(2)
    }

    #[test]
    fn a_tree_keeps_its_shape_when_an_agent_leaves() {
        let mut tree = Hierarchy::form((1..=7).map(|id| (agent(id), 100 - id)), 2).unwrap();
        let held = tree.delegate(TaskId::new(1), &Needs::skill("lay")).unwrap();
        assert_eq!(held.path, [1, 2, 4].map(AgentId::new));
        let left = tree.leave(AgentId::new(1)).unwrap();
        assert_eq!(left.promoted, [(2, 1), (4, 2)].map(|(a, b)| (AgentId::new(a), AgentId::new(b))));
        assert_eq!(left.orphans, [TaskId::new(1)], "4 leads now, and does no work itself");
        assert_eq!(
            tree.levels(),
            [vec![2], vec![3, 4], vec![6, 7, 5]].map(|level| level.into_iter().map(AgentId::new).collect::<Vec<_>>())
        );
        assert_eq!(tree.leave(AgentId::new(1)), Err(HierarchyError::Unknown { agent: AgentId::new(1) }));
        assert_eq!(tree.finish(TaskId::new(1)), Err(HierarchyError::NotHeld { task: TaskId::new(1) }));
        assert_eq!(
            Hierarchy::form([(agent(1), 1), (agent(1), 2)], 2),
            Err(HierarchyError::Twice { agent: AgentId::new(1) })
        );
        assert_eq!(Hierarchy::form([], 0), Err(HierarchyError::FanOut));
    }

    #[test]
    fn busy_agents_count_where_work_is_distributed() {
        let spec = |id: u64| AgentSpec::new(AgentId::new(id));
        let mut tree = Hierarchy::form((1..=7).map(|id| (spec(id), 100 - id)), 2).unwrap();
        let to: Vec<u64> =
            (1..=5).filter_map(|task| Some(tree.delegate(TaskId::new(task), &Needs::nothing())?.to.get())).collect();
        assert_eq!(to, [4, 6, 5, 7], "by turns to either half; the fifth finds no room");
    }

    proptest! {
        #[test]
        fn a_tree_stays_a_tree_and_work_stays_with_able_agents(
            size in 0_u64..12, fan_out in 1_u32..4, steps in prop::collection::vec((0_u8..5, 0_u64..16), 0..80),
        ) {
            let mut tree = Hierarchy::form((0..size).map(|id| (agent(id), id * 7 % 5)), fan_out).unwrap();
            let (mut alive, mut held): (BTreeSet<u64>, BTreeMap<u64, u64>) = ((0..size).collect(), BTreeMap::new());
            for (step, number) in steps {
                let id = AgentId::new(number);
                match step {
                    0 => prop_assert_eq!(tree.join(agent(number), number).is_ok(), alive.insert(number)),
                    1 => match tree.leave(id) {
                        Ok(left) => {
                            prop_assert!(alive.remove(&number));
                            for orphan in left.orphans {
                                prop_assert!(held.remove(&orphan.get()).is_some(), "an orphan once");
                            }
                        }
                        Err(_) => prop_assert!(!alive.contains(&number)),
                    },
                    2 => prop_assert_eq!(tree.finish(TaskId::new(number)).ok(), held.remove(&number).map(AgentId::new)),
                    _ => {
                        let skill = if number % 2 == 0 { "dig" } else { "lay" };
                        let fits = |id: &u64| Needs::skill(skill).met_by(&agent(*id));
                        match tree.delegate(TaskId::new(number), &Needs::skill(skill)) {
                            Some(found) => {
                                let to = found.to.get();
                                let by = *held.entry(number).or_insert(to);
                                prop_assert!(by == found.to.get() && fits(&by) && tree.load(found.to) <= 2);
                                prop_assert!(found.path.windows(2).all(|two| tree.parent(two[1]) == Some(two[0])));
                            }
                            None => {
                                let free = alive.iter().find(|id| {
                                    let id_ = AgentId::new(**id);
                                    fits(id) && tree.load(id_) < 2 && tree.children(id_).next().is_none()
                                });
                                prop_assert!(free.is_none(), "{free:?} could");
                            }
                        }
                    }
                }
                prop_assert_eq!(tree.check(), Ok(()));
                prop_assert_eq!(tree.levels().concat().len(), alive.len());
                let below = alive.iter().filter(|agent| tree.parent(AgentId::new(**agent)).is_some()).count();
                prop_assert_eq!(below, alive.len().saturating_sub(1), "all but the root report to another");
            }
        }
    }
}
