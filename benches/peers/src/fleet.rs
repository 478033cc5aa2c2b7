//! The same agents and tasks for every row of a bench: 24 skills, of which an agent has 6 and a task needs 2; capacity 8.

use counterpoint::{AgentId, AgentSpec, Needs, Random};
use std::collections::BTreeSet;

/// Skills that there are.
pub const SKILLS: usize = 24;
/// Skills of an agent.
pub const SKILLS_OF_AN_AGENT: usize = 6;
/// Tasks that an agent holds at most.
pub const CAPACITY: u32 = 8;
/// Different tasks, by what they need.
pub const CLASSES: usize = 64;

/// Agents and tasks, drawn once.
#[derive(Debug)]
pub struct Drawn {
    /// The skills of each agent.
    pub agents: Vec<BTreeSet<usize>>,
    /// The two skills that each class of tasks needs. Somebody has them.
    pub classes: Vec<[usize; 2]>,
    /// Which class comes next, for ever and again.
    pub order: Vec<usize>,
}

impl Drawn {
    /// So many agents. The same for the same number.
    #[must_use]
    pub fn new(agents: u64) -> Self {
        let mut random = Random::new(7, agents);
        let agents: Vec<BTreeSet<usize>> = (0..agents)
            .map(|_| {
                let mut skills = BTreeSet::new();
                while skills.len() < SKILLS_OF_AN_AGENT {
                    skills.insert(random.below(SKILLS));
                }
                skills
            })
            .collect();
        let classes = (0..CLASSES)
            .map(|_| {
                let able: Vec<usize> = agents[random.below(agents.len())].iter().copied().collect();
                let (one, step) = (random.below(able.len()), 1 + random.below(able.len() - 1));
                [able[one], able[(one + step) % able.len()]]
            })
            .collect();
        let order = (0..4_096).map(|_| random.below(CLASSES)).collect();
        Self { agents, classes, order }
    }

    /// The agents as Counterpoint knows them, with numbers from 0.
    pub fn specs(&self) -> impl Iterator<Item = AgentSpec> {
        (0..).zip(&self.agents).map(|(id, skills)| {
            let spec = AgentSpec::new(AgentId::new(id)).with_capacity(CAPACITY);
            skills.iter().fold(spec, |spec, skill| spec.with_skill(name(*skill), 1))
        })
    }

    /// What the tasks of each class need, as Counterpoint knows it.
    #[must_use]
    pub fn needs(&self) -> Vec<Needs> {
        self.classes.iter().map(|[one, other]| Needs::skill(name(*one)).and_skill(name(*other), 1)).collect()
    }
}

/// The name of a skill.
#[must_use]
pub fn name(skill: usize) -> String {
    format!("skill-{skill}")
}

/// Goes round in a list.
#[derive(Debug)]
pub struct Round<'a, T> {
    list: &'a [T],
    at: usize,
}

impl<'a, T> Round<'a, T> {
    /// From the first on.
    #[must_use]
    pub const fn new(list: &'a [T]) -> Self {
        Self { list, at: 0 }
    }

    /// The next one; after the last the first again.
    pub fn turn(&mut self) -> &'a T {
        self.at = if self.at + 1 < self.list.len() { self.at + 1 } else { 0 };
        &self.list[self.at]
    }
}
