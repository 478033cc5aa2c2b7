//! The team of a project over its phases.

use super::formation::{NoTeam, Request, form};
use super::matrix::Matrix;
use crate::base::id::{AgentId, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// A phase of a project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Phase {
    /// Its name.
    pub name: Name,
    /// The requirements for its team.
    pub request: Request,
}

impl Phase {
    /// A phase with these requirements.
    #[must_use]
    pub fn new(name: impl Into<Name>, request: Request) -> Self {
        Self { name: name.into(), request }
    }
}

/// The transfer of a task between agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Handover {
    /// The task.
    pub task: TaskId,
    /// The previous owner.
    pub from: AgentId,
    /// The new owner; none if no member of the new team can do the task. Then the previous owner keeps it until it is finished, or, if
    /// that agent is lost, the task waits for the next team.
    pub to: Option<AgentId>,
}

/// A change of the team, at the start of a phase or within it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Formed {
    /// The phase, counted from 0.
    pub phase: usize,
    /// The time of the change.
    pub at: Time,
    /// The members of the new team.
    pub team: BTreeSet<AgentId>,
    /// The new members.
    pub joined: BTreeSet<AgentId>,
    /// The members that left.
    pub left: BTreeSet<AgentId>,
    /// The transfers of tasks.
    pub handovers: Vec<Handover>,
}

/// A period of an agent's membership, for timelines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stint {
    /// The agent.
    pub agent: AgentId,
    /// The phase, counted from 0.
    pub phase: usize,
    /// The start.
    pub from: Time,
    /// The end; none if it lasts.
    pub to: Option<Time>,
}

/// The error for a call that is not possible in the current state, which is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PhaseError {
    /// There are no phases.
    #[error("a project needs at least one phase")]
    NoPhases,
    /// No team meets the requirements of a phase.
    #[error("phase `{phase}`: {source}")]
    NoTeam {
        /// The phase.
        phase: Name,
        /// The reason.
        source: NoTeam,
    },
    /// The project has ended.
    #[error("the project has ended")]
    Over,
    /// The agent is not in the team.
    #[error("agent {agent} is not in the team")]
    NotInTeam {
        /// The agent.
        agent: AgentId,
    },
    /// The agent does not have the skills that the work needs.
    #[error("agent {agent} lacks the skills for task {task}")]
    Incapable {
        /// The agent.
        agent: AgentId,
        /// The task.
        task: TaskId,
    },
    /// The task has begun or ended before.
    #[error("task {task} has begun already")]
    Begun {
        /// The task.
        task: TaskId,
    },
    /// The task has no owner, or another one.
    #[error("agent {agent} does not own task {task}")]
    NotOwner {
        /// The agent.
        agent: AgentId,
        /// The task.
        task: TaskId,
    },
}

/// A project in phases, such as design, development and deployment. For each phase a team is formed; a member stays unless another
/// team is better by more than the switching cost. A task whose owner leaves the team goes to the member that can do it and has the
/// fewest tasks; if no member can, the owner keeps it until it is finished.
///
/// A phase begins when the one before it ends, so all agents are in the same phase.
///
/// ```
/// use counterpoint::team::{Matrix, Person, Phase, Phases, Request};
/// use counterpoint::{AgentId, TaskId, Time};
/// use std::collections::BTreeMap;
///
/// let [ann, ben] = [1, 2].map(AgentId::new);
/// let matrix = Matrix::of([
///     Person::new(ann).with_skill("design", 2),
///     Person::new(ben).with_skill("design", 1).with_skill("build", 1),
/// ]);
/// let phases = vec![Phase::new("design", Request::new([("design", 2)])), Phase::new("build", Request::new([("build", 1)]))];
/// let (mut project, first) = Phases::start(matrix, phases, 10, Time::ZERO)?;
/// assert!(first.team.contains(&ann));
/// project.begin(TaskId::new(1), ann, BTreeMap::from([("design".into(), 1)]))?;
/// let next = project.advance(Time::from_secs(60))?;
/// assert_eq!((next.handovers[0].from, next.handovers[0].to), (ann, Some(ben)));
/// assert!(project.finish(TaskId::new(1), ann).is_err(), "it is ben's now");
/// project.finish(TaskId::new(1), ben)?;
/// # Ok::<(), counterpoint::team::PhaseError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Phases {
    matrix: Matrix,
    phases: Vec<Phase>,
    switching: u64,
    current: usize,
    team: BTreeSet<AgentId>,
    lost: BTreeSet<AgentId>,
    work: BTreeMap<TaskId, Work>,
    done: BTreeSet<TaskId>,
    stints: Vec<Stint>,
    ended: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct Work {
    owner: AgentId,
    needs: BTreeMap<Name, u16>,
}

impl Phases {
    /// Begins the first phase with a team of these candidates. Each new member of a later team costs `switching`.
    ///
    /// # Errors
    ///
    /// [`PhaseError`] if there are no phases, or no team meets the requirements of the first.
    pub fn start(matrix: Matrix, phases: Vec<Phase>, switching: u64, now: Time) -> Result<(Self, Formed), PhaseError> {
        if phases.is_empty() {
            return Err(PhaseError::NoPhases);
        }
        let mut project = Self {
            matrix,
            phases,
            switching,
            current: 0,
            team: BTreeSet::new(),
            lost: BTreeSet::new(),
            work: BTreeMap::new(),
            done: BTreeSet::new(),
            stints: Vec::new(),
            ended: false,
        };
        let team = project.best(0)?;
        let formed = project.change(0, team, now);
        Ok((project, formed))
    }

    /// Records that an agent begins a task that needs these skills.
    ///
    /// # Errors
    ///
    /// [`PhaseError`] if the agent is not in the team or lacks the skills, or the task has begun already.
    pub fn begin(&mut self, task: TaskId, agent: AgentId, needs: BTreeMap<Name, u16>) -> Result<(), PhaseError> {
        if !self.team.contains(&agent) {
            return Err(PhaseError::NotInTeam { agent });
        }
        if self.work.contains_key(&task) || self.done.contains(&task) {
            return Err(PhaseError::Begun { task });
        }
        if !self.matrix.get(agent).is_some_and(|person| person.has(&needs)) {
            return Err(PhaseError::Incapable { agent, task });
        }
        self.work.insert(task, Work { owner: agent, needs });
        Ok(())
    }

    /// Records that the owner of a task has finished it.
    ///
    /// # Errors
    ///
    /// [`PhaseError`] if the agent does not own the task, for example after a handover.
    pub fn finish(&mut self, task: TaskId, agent: AgentId) -> Result<(), PhaseError> {
        let mine = self.work.get(&task).is_some_and(|work| work.owner == agent && !self.lost.contains(&agent));
        if !mine {
            return Err(PhaseError::NotOwner { agent, task });
        }
        self.work.remove(&task);
        self.done.insert(task);
        Ok(())
    }

    /// Ends the phase and begins the next, with a new team.
    ///
    /// # Errors
    ///
    /// [`PhaseError`] in the last phase ([`end`](Self::end) ends it), or if no team meets the requirements of the next.
    pub fn advance(&mut self, now: Time) -> Result<Formed, PhaseError> {
        let next = self.current + 1;
        if self.ended || next >= self.phases.len() {
            return Err(PhaseError::Over);
        }
        let team = self.best(next)?;
        Ok(self.change(next, team, now))
    }

    /// Ends the last phase and the project. Tasks under way keep their owners.
    ///
    /// # Errors
    ///
    /// [`PhaseError`] if the project has ended or phases remain.
    pub fn end(&mut self, now: Time) -> Result<(), PhaseError> {
        if self.ended || self.current + 1 < self.phases.len() {
            return Err(PhaseError::Over);
        }
        self.ended = true;
        self.stints.iter_mut().filter(|stint| stint.to.is_none()).for_each(|stint| stint.to = Some(now));
        Ok(())
    }

    /// Removes a lost agent: forms the team of the phase without it and transfers its tasks.
    ///
    /// # Errors
    ///
    /// [`PhaseError`] if it is not in the team and owns no task, or no team is possible without it. The state is unchanged then; the
    /// host can add a candidate ([`hire`](Self::hire)) first.
    pub fn lose(&mut self, agent: AgentId, now: Time) -> Result<Formed, PhaseError> {
        let holds = self.work.values().any(|work| work.owner == agent);
        if self.ended || self.lost.contains(&agent) || !(self.team.contains(&agent) || holds) {
            return Err(PhaseError::NotInTeam { agent });
        }
        self.lost.insert(agent);
        match self.best(self.current) {
            Ok(team) => Ok(self.change(self.current, team, now)),
            Err(error) => {
                self.lost.remove(&agent);
                Err(error)
            }
        }
    }

    /// Adds a candidate, or replaces the data of an existing one.
    pub fn hire(&mut self, person: super::Person) {
        self.lost.remove(&person.agent);
        self.matrix = Matrix::of(self.matrix.people().cloned().chain([person]));
    }

    /// The current phase, counted from 0.
    #[must_use]
    pub const fn current(&self) -> usize {
        self.current
    }

    /// The members of the current team.
    #[must_use]
    pub const fn team(&self) -> &BTreeSet<AgentId> {
        &self.team
    }

    /// The owner of a task under way.
    #[must_use]
    pub fn owner(&self, task: TaskId) -> Option<AgentId> {
        self.work.get(&task).map(|work| work.owner)
    }

    /// The tasks under way, with their owners.
    pub fn under_way(&self) -> impl Iterator<Item = (TaskId, AgentId)> {
        self.work.iter().map(|(task, work)| (*task, work.owner))
    }

    /// The memberships of all agents, in order of their start.
    #[must_use]
    pub fn stints(&self) -> &[Stint] {
        &self.stints
    }

    fn best(&self, phase: usize) -> Result<BTreeSet<AgentId>, PhaseError> {
        let Some(Phase { name, request }) = self.phases.get(phase) else { return Err(PhaseError::Over) };
        let request = request.clone().with_keep(self.team.clone(), self.switching);
        let there = Matrix::of(self.matrix.people().filter(|person| !self.lost.contains(&person.agent)).cloned());
        let found = form(&there, &request).map_err(|source| PhaseError::NoTeam { phase: name.clone(), source })?;
        Ok(found.members)
    }

    fn change(&mut self, phase: usize, team: BTreeSet<AgentId>, now: Time) -> Formed {
        let joined: BTreeSet<AgentId> = team.difference(&self.team).copied().collect();
        let left: BTreeSet<AgentId> = self.team.difference(&team).copied().collect();
        let new_phase = phase != self.current;
        let ends = |stint: &&mut Stint| stint.to.is_none() && (new_phase || left.contains(&stint.agent));
        self.stints.iter_mut().filter(ends).for_each(|stint| stint.to = Some(now));
        let begin = team.iter().filter(|agent| new_phase || joined.contains(*agent));
        let begin: Vec<Stint> = begin.map(|agent| Stint { agent: *agent, phase, from: now, to: None }).collect();
        self.stints.extend(begin);
        (self.current, self.team) = (phase, team.clone());
        let handovers = self.hand_over();
        Formed { phase, at: now, team, joined, left, handovers }
    }

    /// Transfers tasks whose owners are not in the team to the member that can do them and has the fewest.
    fn hand_over(&mut self) -> Vec<Handover> {
        let mut load: BTreeMap<AgentId, usize> = self.team.iter().map(|agent| (*agent, 0)).collect();
        for work in self.work.values() {
            if let Some(held) = load.get_mut(&work.owner) {
                *held += 1;
            }
        }
        let mut handovers = Vec::new();
        for (task, work) in self.work.iter_mut().filter(|(_, work)| !self.team.contains(&work.owner)) {
            let able =
                load.iter().filter(|(agent, _)| self.matrix.get(**agent).is_some_and(|one| one.has(&work.needs)));
            let to = able.min_by_key(|(agent, held)| (**held, **agent)).map(|(agent, _)| *agent);
            handovers.push(Handover { task: *task, from: work.owner, to });
            if let Some(to) = to {
                work.owner = to;
                load.entry(to).and_modify(|held| *held += 1);
            }
        }
        handovers
    }
}

#[cfg(test)]
mod tests {
    use super::super::Person;
    use super::*;
    use proptest::prelude::*;

    const SKILLS: [&str; 4] = ["design", "build", "test", "ship"];

    fn people() -> Vec<Person> {
        (0..8_u64)
            .map(|id| {
                let place = usize::try_from(id).unwrap();
                let person = Person::new(AgentId::new(id)).with_cost(10 + id % 3);
                person.with_skill(SKILLS[place % 4], 2).with_skill(SKILLS[(place / 2 + 1) % 4], 1)
            })
            .collect()
    }

    fn phases() -> Vec<Phase> {
        SKILLS.map(|skill| Phase::new(skill, Request::new([(skill, 2), ("build", 1)]))).to_vec()
    }

    #[test]
    fn the_same_again_changes_nothing() {
        let twice = vec![phases().remove(1), phases().remove(1)];
        let (mut project, first) = Phases::start(Matrix::of(people()), twice, 0, Time::ZERO).unwrap();
        let second = project.advance(Time::from_secs(9)).unwrap();
        assert_eq!(first.team, second.team);
        assert!(second.joined.is_empty() && second.left.is_empty());
        assert_eq!(project.advance(Time::from_secs(9)), Err(PhaseError::Over));
        project.end(Time::from_secs(20)).unwrap();
        assert!(project.stints().iter().all(|stint| stint.to.is_some()));
        assert_eq!(project.end(Time::from_secs(20)), Err(PhaseError::Over));
    }

    #[test]
    fn switching_costs_keep_people() {
        let matrix = Matrix::of([
            Person::new(AgentId::new(1)).with_skill("a", 1).with_skill("b", 1).with_cost(12),
            Person::new(AgentId::new(2)).with_skill("b", 1).with_cost(5),
        ]);
        let phases = vec![Phase::new("a", Request::new([("a", 1)])), Phase::new("b", Request::new([("b", 1)]))];
        let team = |switching| {
            let (mut project, _) = Phases::start(matrix.clone(), phases.clone(), switching, Time::ZERO).unwrap();
            project.advance(Time::ZERO).unwrap().team
        };
        assert_eq!(team(6), BTreeSet::from([AgentId::new(2)]), "5 and 6 are less than 12");
        assert_eq!(team(7), BTreeSet::from([AgentId::new(1)]), "a tie keeps who is there");
    }

    #[test]
    fn no_agent_leaves_with_work_that_no_other_agent_can_do() {
        let matrix = Matrix::of([
            Person::new(AgentId::new(1)).with_skill("a", 1),
            Person::new(AgentId::new(2)).with_skill("b", 1),
        ]);
        let phases = vec![Phase::new("a", Request::new([("a", 1)])), Phase::new("b", Request::new([("b", 1)]))];
        let (mut project, _) = Phases::start(matrix, phases, 0, Time::ZERO).unwrap();
        let (task, one, two) = (TaskId::new(1), AgentId::new(1), AgentId::new(2));
        let needs = BTreeMap::from([("a".into(), 1)]);
        assert_eq!(project.begin(task, two, needs.clone()), Err(PhaseError::NotInTeam { agent: two }));
        assert!(matches!(
            project.begin(task, one, BTreeMap::from([("z".into(), 1)])),
            Err(PhaseError::Incapable { .. })
        ));
        project.begin(task, one, needs.clone()).unwrap();
        assert_eq!(project.begin(task, one, needs), Err(PhaseError::Begun { task }));
        let next = project.advance(Time::ZERO).unwrap();
        assert_eq!(next.handovers, [Handover { task, from: one, to: None }]);
        assert_eq!(project.owner(task), Some(one));
        project.finish(task, one).unwrap();
        let alone = project.lose(two, Time::ZERO);
        assert!(matches!(alone, Err(PhaseError::NoTeam { .. })), "{alone:?}");
        assert_eq!(project.team().len(), 1, "nothing has changed");
        project.hire(Person::new(AgentId::new(3)).with_skill("b", 1));
        assert_eq!(project.lose(two, Time::ZERO).unwrap().joined, BTreeSet::from([AgentId::new(3)]));
    }

    proptest! {
    /// Each task always has one owner that can do it, and is finished once.
        #[test]
        fn work_is_finished_once(words in prop::collection::vec((0_u8..7, 0_u64..12, 0_u64..8), 0..80), switching in 0_u64..20) {
            let (mut project, _) = Phases::start(Matrix::of(people()), phases(), switching, Time::ZERO).unwrap();
            let (mut begun, mut finished) = (BTreeSet::new(), BTreeSet::new());
            for (second, (word, task, agent)) in (1..).zip(words) {
                let (before, now) = (project.clone(), Time::from_secs(second));
                let (task, agent) = (TaskId::new(task), AgentId::new(agent));
                let needs = BTreeMap::from([(SKILLS[usize::try_from(task.get()).unwrap() % 4].into(), 1)]);
                let refused = match word {
                    0..=2 => match project.begin(task, agent, needs) {
                        Ok(()) => {
                            prop_assert!(begun.insert(task));
                            false
                        }
                        Err(_) => true,
                    },
                    3 | 4 => match project.finish(task, agent) {
                        Ok(()) => {
                            prop_assert!(finished.insert(task));
                            prop_assert!(!before.lost.contains(&agent), "who is lost says nothing");
                            false
                        }
                        Err(_) => true,
                    },
                    5 => project.advance(now).is_err(),
                    _ => project.lose(agent, now).is_err(),
                };
                prop_assert!(!refused || project == before);
                let under_way: BTreeSet<TaskId> = project.under_way().map(|(task, _)| task).collect();
                prop_assert_eq!(&under_way, &begun.difference(&finished).copied().collect());
                for (task, owner) in project.under_way() {
                    let skill = SKILLS[usize::try_from(task.get()).unwrap() % 4];
                    prop_assert!(project.matrix.level(skill, owner) >= 1);
                    let able = project.team().iter().any(|agent| project.matrix.level(skill, *agent) >= 1);
                    prop_assert!(project.team().contains(&owner) || !able, "{owner} is not in the team any more");
                }
                let open: BTreeSet<AgentId> = project.stints().iter().filter(|stint| stint.to.is_none()).map(|stint| stint.agent).collect();
                prop_assert_eq!(&open, project.team());
                let request = &project.phases[project.current].request;
                prop_assert!(request.skills.iter().all(|(skill, level)| open.iter().any(|agent| project.matrix.level(skill, *agent) >= *level)));
            }
        }
    }
}
