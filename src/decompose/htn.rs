//! The planner: depth first, methods in their order, turning back where nothing leads on.

use super::domain::{Domain, Facts, Goal};
use super::plan::{Agenda, Branch, Plan};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How far a planner looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Bounds {
    /// How deep goals may be split.
    pub depth: u32,
    /// How many goals are looked at in all, those of ways that were given up included.
    pub goals: u64,
    /// How many steps a plan may have.
    pub steps: u32,
}

impl Default for Bounds {
    /// A hundred levels, a million goals, ten thousand steps.
    fn default() -> Self {
        Self { depth: 100, goals: 1_000_000, steps: 10_000 }
    }
}

impl Bounds {
    /// Sets how deep goals may be split.
    #[must_use]
    pub const fn with_depth(mut self, levels: u32) -> Self {
        self.depth = levels;
        self
    }

    /// Sets how many goals are looked at in all.
    #[must_use]
    pub const fn with_goals(mut self, goals: u64) -> Self {
        self.goals = goals;
        self
    }

    /// Sets how many steps a plan may have.
    #[must_use]
    pub const fn with_steps(mut self, steps: u32) -> Self {
        self.steps = steps;
        self
    }
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum NoPlan {
    /// No way reaches all goals. The one at which the longest of them ended.
    #[error("nothing leads on from {goal}")]
    Stuck {
        /// At what.
        goal: Goal,
        /// After how many steps.
        steps: usize,
    },
    /// A goal is neither an operator nor has it methods.
    #[error("{goal} is neither an operator nor has it a method")]
    Unknown {
        /// Which.
        goal: Goal,
    },
    /// A method's order is no order: it names a place that there is not, or comes back to where it began, or a later goal of its
    /// list comes before an earlier one.
    #[error("the order of the parts of {goal} is none")]
    Disorder {
        /// The goal that it splits.
        goal: Goal,
    },
    /// A bound was met before there was a plan; it may have one all the same.
    #[error("the bound on {bound} was met at {goal}")]
    Bound {
        /// Which.
        bound: &'static str,
        /// At what.
        goal: Goal,
    },
}

/// Where the planner can turn back to.
struct Choice {
    branch: usize,
    agenda: Agenda,
    facts: Facts,
    method: usize,
    branches: usize,
    steps: usize,
}

/// Plans how goals are reached, one after the other, from what is the case: total-order forward decomposition, as SHOP and
/// GTPyhop do it (Ghallab, Nau and Traverso 2004; Nau et al. 2003).
///
/// The same domain, facts and goals give the same plan. Nothing is searched beyond the bounds; a way that is too deep is given
/// up like one that leads nowhere, and then the error says so.
///
/// ```
/// use counterpoint::decompose::{Bounds, Domain, Facts, Goal, Split, plan};
/// use serde_json::json;
///
/// let domain = Domain::default()
///     .with_operator("boil", |facts, _| {
///         let mut facts = facts.clone();
///         facts.insert("hot".into(), json!(true)).is_none().then_some(facts)
///     })
///     .with_operator("pour", |facts, _| facts.contains_key("hot").then(|| facts.clone()))
///     .with_method("tea", "from hot water", |facts, _| {
///         facts.contains_key("hot").then(|| Split::sequence([Goal::new("pour", ["cup"])]))
///     })
///     .with_method("tea", "from cold water", |_, _| {
///         Some(Split::sequence([Goal::new("boil", ["water"]), Goal::new("pour", ["cup"])]))
///     });
/// let found = plan(&domain, Facts::new(), &[Goal::new("tea", [json!(null)])], Bounds::default())?;
/// let steps: Vec<String> = found.steps.iter().map(ToString::to_string).collect();
/// assert_eq!(steps, ["boil(water)", "pour(cup)"]);
/// # Ok::<(), counterpoint::decompose::NoPlan>(())
/// ```
///
/// # Errors
///
/// Why there is no plan within the bounds.
pub fn plan(domain: &Domain, facts: Facts, goals: &[Goal], bounds: Bounds) -> Result<Plan, NoPlan> {
    let mut search = Search::new(domain, facts, goals, bounds);
    loop {
        let Some((branch, rest)) = search.agenda.0.as_deref().map(|(branch, rest)| (*branch, rest.clone())) else {
            return Ok(search.plan());
        };
        search.agenda = rest;
        let done = search.take(branch, 0)?;
        if !done {
            search.turn_back(branch)?;
        }
    }
}

struct Search<'a> {
    domain: &'a Domain,
    bounds: Bounds,
    facts: Facts,
    agenda: Agenda,
    branches: Vec<Branch>,
    steps: Vec<Goal>,
    choices: Vec<Choice>,
    looked_at: u64,
    turned_back: u64,
    /// The goal at which the longest way ended, and why: a bound, or nothing.
    farthest: Option<(usize, Goal, Option<&'static str>)>,
}

impl<'a> Search<'a> {
    fn new(domain: &'a Domain, facts: Facts, goals: &[Goal], bounds: Bounds) -> Self {
        let branches: Vec<Branch> = goals.iter().map(|goal| branch(goal.clone(), None, 0)).collect();
        let agenda = (0..branches.len()).rev().fold(Agenda(None), |rest, place| rest.push(place));
        Self {
            domain,
            bounds,
            facts,
            agenda,
            branches,
            steps: Vec::new(),
            choices: Vec::new(),
            looked_at: 0,
            turned_back: 0,
            farthest: None,
        }
    }

    /// Does a step, or splits a goal by the first of its methods from `first` on that applies; false if neither can be.
    fn take(&mut self, place: usize, first: usize) -> Result<bool, NoPlan> {
        let Some((goal, depth)) = self.branches.get(place).map(|branch| (branch.goal.clone(), branch.depth)) else {
            return Ok(false);
        };
        self.looked_at += 1;
        if self.looked_at > self.bounds.goals {
            return Err(NoPlan::Bound { bound: "goals", goal });
        }
        if let Some(operator) = self.domain.operators.get(&goal.name) {
            if self.steps.len() >= self.bounds.steps as usize {
                self.note(&goal, Some("steps"));
                return Ok(false);
            }
            let Some(facts) = (operator.apply)(&self.facts, &goal.about) else { return Ok(self.note(&goal, None)) };
            self.facts = facts;
            if let Some(branch) = self.branches.get_mut(place) {
                branch.step = Some(self.steps.len());
            }
            self.steps.push(goal);
            return Ok(true);
        }
        let domain = self.domain;
        let Some(methods) = domain.methods.get(&goal.name) else { return Err(NoPlan::Unknown { goal }) };
        if depth >= self.bounds.depth {
            return Ok(self.note(&goal, Some("depth")));
        }
        for (number, method) in methods.iter().enumerate().skip(first) {
            let Some(split) = (method.split)(&self.facts, &goal.about) else { continue };
            let ordered = |(a, b): &(usize, usize)| a < b && *b < split.goals.len();
            if !split.before.iter().flatten().all(ordered) {
                return Err(NoPlan::Disorder { goal });
            }
            if number + 1 < methods.len() {
                self.choices.push(Choice {
                    branch: place,
                    agenda: self.agenda.clone(),
                    facts: self.facts.clone(),
                    method: number + 1,
                    branches: self.branches.len(),
                    steps: self.steps.len(),
                });
            }
            let parts: Vec<usize> = (self.branches.len()..).take(split.goals.len()).collect();
            self.agenda = parts.iter().rev().fold(self.agenda.clone(), |rest, part| rest.push(*part));
            self.branches.extend(split.goals.into_iter().map(|part| branch(part, Some(place), depth + 1)));
            if let Some(branch) = self.branches.get_mut(place) {
                (branch.method, branch.parts, branch.before) = (Some(method.name.clone()), parts, split.before);
            }
            return Ok(true);
        }
        Ok(self.note(&goal, None))
    }

    /// Goes back to the last goal that has another method.
    fn turn_back(&mut self, mut stuck: usize) -> Result<(), NoPlan> {
        loop {
            let Some(choice) = self.choices.pop() else {
                let (steps, goal, bound) = match self.farthest.take() {
                    Some(farthest) => farthest,
                    None => (
                        0,
                        self.branches.get(stuck).map_or_else(|| Goal::new("", [""; 0]), |branch| branch.goal.clone()),
                        None,
                    ),
                };
                return Err(match bound {
                    Some(bound) => NoPlan::Bound { bound, goal },
                    None => NoPlan::Stuck { goal, steps },
                });
            };
            self.turned_back += 1;
            self.branches.truncate(choice.branches);
            self.steps.truncate(choice.steps);
            for branch in &mut self.branches {
                // What was done after the choice is not done any more; branches from before it may have been split since.
                if branch.step.is_some_and(|step| step >= choice.steps) {
                    branch.step = None;
                }
                if branch.parts.iter().any(|part| *part >= choice.branches) {
                    (branch.method, branch.before) = (None, None);
                    branch.parts.clear();
                }
            }
            (self.facts, self.agenda) = (choice.facts, choice.agenda);
            if self.take(choice.branch, choice.method)? {
                return Ok(());
            }
            stuck = choice.branch;
        }
    }

    /// A way ends here.
    fn note(&mut self, goal: &Goal, bound: Option<&'static str>) -> bool {
        let farther = self.farthest.as_ref().is_none_or(|(steps, ..)| self.steps.len() > *steps);
        // That a bound was met outweighs how far others came: there may be a plan behind it.
        let first_bound = bound.is_some() && self.farthest.as_ref().is_none_or(|(.., bound)| bound.is_none());
        let keeps_bound = bound.is_none() && self.farthest.as_ref().is_some_and(|(.., bound)| bound.is_some());
        if first_bound || (farther && !keeps_bound) {
            self.farthest = Some((self.steps.len(), goal.clone(), bound));
        }
        false
    }

    fn plan(self) -> Plan {
        Plan { steps: self.steps, branches: self.branches, facts: self.facts, turned_back: self.turned_back }
    }
}

const fn branch(goal: Goal, parent: Option<usize>, depth: u32) -> Branch {
    Branch { goal, method: None, parent, parts: Vec::new(), before: None, step: None, depth }
}
