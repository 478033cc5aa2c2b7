//! The planner: depth-first decomposition with backtracking, methods in their order.

use super::domain::{Domain, Facts, Goal};
use super::plan::{Agenda, Branch, Plan};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The limits of planning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Bounds {
    /// The depth of decomposition.
    pub depth: u32,
    /// The number of goals that are processed, including those of abandoned branches.
    pub goals: u64,
    /// The number of steps of a plan.
    pub steps: u32,
}

impl Default for Bounds {
    /// A hundred levels, a million goals, ten thousand steps.
    fn default() -> Self {
        Self { depth: 100, goals: 1_000_000, steps: 10_000 }
    }
}

impl Bounds {
    /// Sets the depth of decomposition.
    #[must_use]
    pub const fn with_depth(mut self, levels: u32) -> Self {
        self.depth = levels;
        self
    }

    /// Sets the number of goals that are processed.
    #[must_use]
    pub const fn with_goals(mut self, goals: u64) -> Self {
        self.goals = goals;
        self
    }

    /// Sets the number of steps of a plan.
    #[must_use]
    pub const fn with_steps(mut self, steps: u32) -> Self {
        self.steps = steps;
        self
    }
}

/// The reason why there is no plan.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum NoPlan {
    /// No decomposition reaches all goals. This is the goal at which the longest attempt failed.
    #[error("no operator or method applies to {goal}")]
    Stuck {
        /// The goal.
        goal: Goal,
        /// The number of steps before it.
        steps: usize,
    },
    /// A goal has neither an operator nor a method.
    #[error("{goal} has neither an operator nor a method")]
    Unknown {
        /// The goal.
        goal: Goal,
    },
    /// The order of a method is invalid: it has an index out of range, a cycle, or a pair against the order of the list.
    #[error("the order of the parts of {goal} is invalid")]
    Disorder {
        /// The goal that the method decomposes.
        goal: Goal,
    },
    /// A limit was reached before a plan was found. A plan may exist.
    #[error("the limit on {bound} was reached at {goal}")]
    Bound {
        /// The limit.
        bound: &'static str,
        /// The goal.
        goal: Goal,
    },
}

/// A point to which the planner can backtrack.
struct Choice {
    branch: usize,
    agenda: Agenda,
    facts: Facts,
    method: usize,
    branches: usize,
    steps: usize,
}

/// Plans how to reach goals, one after the other, from an initial state: total-order forward decomposition, as in SHOP and GTPyhop
/// (Ghallab, Nau and Traverso 2004; Nau et al. 2003).
///
/// The result is a function of domain, state, goals and limits. A branch that exceeds a limit is abandoned as one that fails, and the
/// error reports the limit then.
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
/// [`NoPlan`] with the reason why there is no plan within the limits.
pub fn plan(domain: &Domain, facts: Facts, goals: &[Goal], bounds: Bounds) -> Result<Plan, NoPlan> {
    let mut search = Search::new(domain, facts, goals, bounds);
    loop {
        let Some((branch, rest)) = search.agenda.0.as_deref().map(|(branch, rest)| (*branch, rest.clone())) else {
            return Ok(search.plan());
        };
        search.agenda = rest;
        let done = search.take(branch, 0)?;
        if !done {
            search.backtrack(branch)?;
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
    backtracks: u64,
    /// The goal at which the longest attempt failed, and the limit, if one was the reason.
    farthest: Option<(usize, Goal, Option<&'static str>)>,
}

impl<'a> Search<'a> {
    fn new(domain: &'a Domain, facts: Facts, goals: &[Goal], bounds: Bounds) -> Self {
        let branches: Vec<Branch> = goals.iter().map(|goal| branch(goal.clone(), None, 0)).collect();
        let agenda = (0..branches.len()).rev().fold(Agenda(None), |rest, index| rest.push(index));
        Self {
            domain,
            bounds,
            facts,
            agenda,
            branches,
            steps: Vec::new(),
            choices: Vec::new(),
            looked_at: 0,
            backtracks: 0,
            farthest: None,
        }
    }

    /// Applies an operator, or the first applicable method from `first` on; false if none applies.
    fn take(&mut self, index: usize, first: usize) -> Result<bool, NoPlan> {
        let Some((goal, depth)) = self.branches.get(index).map(|branch| (branch.goal.clone(), branch.depth)) else {
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
            if let Some(branch) = self.branches.get_mut(index) {
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
                    branch: index,
                    agenda: self.agenda.clone(),
                    facts: self.facts.clone(),
                    method: number + 1,
                    branches: self.branches.len(),
                    steps: self.steps.len(),
                });
            }
            let parts: Vec<usize> = (self.branches.len()..).take(split.goals.len()).collect();
            self.agenda = parts.iter().rev().fold(self.agenda.clone(), |rest, part| rest.push(*part));
            self.branches.extend(split.goals.into_iter().map(|part| branch(part, Some(index), depth + 1)));
            if let Some(branch) = self.branches.get_mut(index) {
                (branch.method, branch.parts, branch.before) = (Some(method.name.clone()), parts, split.before);
            }
            return Ok(true);
        }
        Ok(self.note(&goal, None))
    }

    /// Backtracks to the last goal with another method.
    fn backtrack(&mut self, mut stuck: usize) -> Result<(), NoPlan> {
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
            self.backtracks += 1;
            self.branches.truncate(choice.branches);
            self.steps.truncate(choice.steps);
            for branch in &mut self.branches {
                // Undoes what was done after the choice, including later decompositions of earlier branches.
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

    /// Records a failed attempt.
    fn note(&mut self, goal: &Goal, bound: Option<&'static str>) -> bool {
        let farther = self.farthest.as_ref().is_none_or(|(steps, ..)| self.steps.len() > *steps);
        // A limit takes precedence over the length of other attempts, since a plan may exist beyond it.
        let first_bound = bound.is_some() && self.farthest.as_ref().is_none_or(|(.., bound)| bound.is_none());
        let keeps_bound = bound.is_none() && self.farthest.as_ref().is_some_and(|(.., bound)| bound.is_some());
        if first_bound || (farther && !keeps_bound) {
            self.farthest = Some((self.steps.len(), goal.clone(), bound));
        }
        false
    }

    fn plan(self) -> Plan {
        Plan { steps: self.steps, branches: self.branches, facts: self.facts, backtracks: self.backtracks }
    }
}

const fn branch(goal: Goal, parent: Option<usize>, depth: u32) -> Branch {
    Branch { goal, method: None, parent, parts: Vec::new(), before: None, step: None, depth }
}
