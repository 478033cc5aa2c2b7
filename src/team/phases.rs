//! A project goes from phase to phase, and its team with it.

use super::formation::{NoTeam, Request, form};
use super::matrix::Matrix;
use crate::id::{AgentId, TaskId};
use crate::name::Name;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// A phase of a project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Phase {
    /// What it is called.
    pub name: Name,
    /// What the team has to be able to do in it, and what it is chosen by.
    pub request: Request,
}

impl Phase {
    /// A phase in which the team has to be able to do this.
    #[must_use]
    pub fn new(name: impl Into<Name>, request: Request) -> Self {
        Self { name: name.into(), request }
    }
}

/// Work that changes hands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Handover {
    /// What.
    pub task: TaskId,
    /// Whose it was.
    pub from: AgentId,
    /// Whose it is; none: nobody of the new team can do it, so who has it stays until it is finished, or, if that one is lost,
    /// it waits for the next team.
    pub to: Option<AgentId>,
}

/// The team of a phase, as it was when the phase began or the team changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Formed {
    /// The phase, from 0.
    pub phase: usize,
    /// When.
    pub at: Time,
    /// Who is in it.
    pub team: BTreeSet<AgentId>,
    /// Who is new.
    pub joined: BTreeSet<AgentId>,
    /// Who is not in it any more.
    pub left: BTreeSet<AgentId>,
    /// What changes hands.
    pub handovers: Vec<Handover>,
}

/// A stretch of time in which an agent was in the team, for timelines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stint {
    /// Who.
    pub agent: AgentId,
    /// In which phase, from 0.
    pub phase: usize,
    /// From when.
    pub from: Time,
    /// Until when; none: it goes on.
    pub to: Option<Time>,
}

/// A word that the project refuses; nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PhaseError {
    /// There are no phases.
    #[error("a project needs a phase")]
    NoPhases,
    /// No team can be formed.
    #[error("phase `{phase}`: {source}")]
    NoTeam {
        /// For which phase.
        phase: Name,
        /// Why.
        source: NoTeam,
    },
    /// The last phase is over.
    #[error("the project is over")]
    Over,
    /// The agent is not in the team.
    #[error("{agent} is not in the team")]
    NotInTeam {
        /// Who.
        agent: AgentId,
    },
    /// The agent does not have the skills that the work needs.
    #[error("{agent} cannot do {task}")]
    Incapable {
        /// Who.
        agent: AgentId,
        /// What.
        task: TaskId,
    },
    /// The work has begun already, or was done.
    #[error("{task} has begun already")]
    Begun {
        /// What.
        task: TaskId,
    },
    /// Nobody has this work in hand, or not this agent.
    #[error("{agent} does not have {task} in hand")]
    NotInHand {
        /// Who said so.
        agent: AgentId,
        /// What.
        task: TaskId,
    },
}

/// A project in phases (design, development, testing, deployment, or any others). For each a team is formed; who is in the old
/// team stays where nothing is gained by a change, and each who is new costs something. Work that is under way when its owner
/// leaves goes to the member of the new team who can do it and has the least in hand, exactly once; if there is none, the owner
/// stays until it is finished.
///
/// A phase begins when the one before it ends, so the phases of all agents are in step.
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
    /// Begins the first phase with a team of these people. A change costs `switching` for each who is new.
    ///
    /// # Errors
    ///
    /// When there are no phases, or no team can be formed for the first.
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

    /// An agent begins a piece of work that needs these skills.
    ///
    /// # Errors
    ///
    /// When the agent is not in the team or cannot do it, or the work has begun already.
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

    /// A piece of work is finished by who has it in hand.
    ///
    /// # Errors
    ///
    /// When it is not this agent's: a word of one who has handed it over does not count.
    pub fn finish(&mut self, task: TaskId, agent: AgentId) -> Result<(), PhaseError> {
        let mine = self.work.get(&task).is_some_and(|work| work.owner == agent && !self.lost.contains(&agent));
        if !mine {
            return Err(PhaseError::NotInHand { agent, task });
        }
        self.work.remove(&task);
        self.done.insert(task);
        Ok(())
    }

    /// Ends the phase and begins the next, with a team formed anew.
    ///
    /// # Errors
    ///
    /// When the last phase is under way ([`end`](Self::end) ends it), or no team can be formed for the next.
    pub fn advance(&mut self, now: Time) -> Result<Formed, PhaseError> {
        let next = self.current + 1;
        if self.ended || next >= self.phases.len() {
            return Err(PhaseError::Over);
        }
        let team = self.best(next)?;
        Ok(self.change(next, team, now))
    }

    /// Ends the last phase, and with it the project. Work that is under way stays with who has it in hand.
    ///
    /// # Errors
    ///
    /// When it has ended, or phases are left.
    pub fn end(&mut self, now: Time) -> Result<(), PhaseError> {
        if self.ended || self.current + 1 < self.phases.len() {
            return Err(PhaseError::Over);
        }
        self.ended = true;
        self.stints.iter_mut().filter(|stint| stint.to.is_none()).for_each(|stint| stint.to = Some(now));
        Ok(())
    }

    /// An agent is lost: the team of the phase is formed without it, and its work goes to others.
    ///
    /// # Errors
    ///
    /// When it is not in the team and has nothing in hand, or the others cannot do without it. Then nothing has changed, and the
    /// host has to find somebody ([`hire`](Self::hire)) first.
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

    /// Somebody new may be chosen from now on, or somebody is back, or can do something else than before.
    pub fn hire(&mut self, person: super::Person) {
        self.lost.remove(&person.agent);
        self.matrix = Matrix::of(self.matrix.people().cloned().chain([person]));
    }

    /// The phase that is under way, from 0.
    #[must_use]
    pub const fn current(&self) -> usize {
        self.current
    }

    /// Who is in the team.
    #[must_use]
    pub const fn team(&self) -> &BTreeSet<AgentId> {
        &self.team
    }

    /// Who has a piece of work in hand.
    #[must_use]
    pub fn owner(&self, task: TaskId) -> Option<AgentId> {
        self.work.get(&task).map(|work| work.owner)
    }

    /// What is under way, with its owner.
    pub fn under_way(&self) -> impl Iterator<Item = (TaskId, AgentId)> {
        self.work.iter().map(|(task, work)| (*task, work.owner))
    }

    /// When who was in the team, in the order in which they came.
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

    /// What is in the hands of who is not in the team goes to who can do it and has the least.
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
    fn nobody_is_sent_away_with_work_that_nobody_else_can_do() {
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
        /// Whatever happens, every piece of work is in one hand that can do it, and is finished once.
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
