//! Decomposition by rules, as data.

use super::{Ask, DecomposeError, Decomposer};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::{Action, Body, Definition, Expr, Link, Node, Work};
use crate::task::{Needs, Tier};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;

/// A step of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RuleStep {
    /// The name of the node; unique in the rule.
    pub name: Name,
    /// The kind of task; by default the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Name>,
    /// The needs of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Needs>,
    /// The tier of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// The steps before it; by default the one before it in the list. With an empty list it starts at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Vec<Name>>,
    /// A goal that is decomposed in turn: the step is a nested workflow then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
}

impl RuleStep {
    /// A step after the one before it.
    #[must_use]
    pub fn new(name: impl Into<Name>) -> Self {
        Self { name: name.into(), kind: None, needs: None, tier: None, after: None, goal: None }
    }

    /// Sets the needs of the task.
    #[must_use]
    pub fn with_needs(mut self, needs: Needs) -> Self {
        self.needs = Some(needs);
        self
    }

    /// Sets the tier of the task.
    #[must_use]
    pub const fn with_tier(mut self, tier: Tier) -> Self {
        self.tier = Some(tier);
        self
    }

    /// Sets the steps before it.
    #[must_use]
    pub fn with_after<N: Into<Name>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.after = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Sets a goal to be decomposed.
    #[must_use]
    pub fn with_goal(mut self, goal: impl Into<String>) -> Self {
        self.goal = Some(goal.into());
        self
    }
}

/// A rule: words that a goal must contain, and the steps to reach it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Rule {
    /// The name.
    pub name: Name,
    /// For each list, the goal must contain one of its words: `[["develop", "train"], ["model"]]`. Without lists the
    /// rule applies to any goal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<Vec<String>>,
    /// The steps.
    pub steps: Vec<RuleStep>,
}

impl Rule {
    /// A rule for any goal.
    #[must_use]
    pub fn new(name: impl Into<Name>, steps: impl IntoIterator<Item = RuleStep>) -> Self {
        Self { name: name.into(), words: Vec::new(), steps: steps.into_iter().collect() }
    }

    /// Requires one of these words.
    #[must_use]
    pub fn with_any<S: Into<String>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.words.push(words.into_iter().map(Into::into).collect());
        self
    }

    /// Compares whole words, ignoring case.
    fn meets(&self, words: &BTreeSet<String>) -> bool {
        self.words.iter().all(|any| any.iter().any(|word| words.contains(&word.to_lowercase())))
    }
}

/// Rules in order; the first that applies is used. A goal to which none applies becomes a single step.
///
/// ```
/// use counterpoint::Limits;
/// use counterpoint::decompose::{Ask, Rule, RulePack, RuleStep, decompose};
///
/// let mut rules = RulePack::common().with_rule(Rule::new("bake", [RuleStep::new("dough"), RuleStep::new("oven")]).with_any(["bake"]));
/// let cake = decompose(&mut rules, &Ask::new("Bake a cake"), &Limits::default())?;
/// assert_eq!(cake.nodes.len(), 2);
/// let model = decompose(&mut rules, &Ask::new("develop a model of demand"), &Limits::default())?;
/// let names: Vec<&str> = model.nodes.iter().map(|node| node.name.as_str()).collect();
/// assert_eq!(names, ["requirements", "design", "implementation", "testing"]);
/// # Ok::<(), counterpoint::decompose::DecomposeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RulePack(Vec<Rule>);

/// The limit on nested decompositions.
const MAX_LEVELS: u32 = 8;

impl RulePack {
    /// Rules for common goals: to develop a model (requirements, design, implementation, testing), to analyse data (collection,
    /// analysis), to write a report (outline, writing).
    #[must_use]
    pub fn common() -> Self {
        let step = |name: &str, skill: &str, tier| RuleStep::new(name).with_needs(Needs::skill(skill)).with_tier(tier);
        let model = Rule::new(
            "develop a model",
            [
                step("requirements", "planning", Tier::High),
                step("design", "design", Tier::High),
                step("implementation", "modelling", Tier::Normal),
                step("testing", "testing", Tier::Normal),
            ],
        );
        let data = Rule::new(
            "analyse data",
            [step("collection", "data", Tier::High), step("analysis", "analysis", Tier::Normal)],
        );
        let report = Rule::new(
            "write a report",
            [step("outline", "writing", Tier::Normal), step("writing", "writing", Tier::Low)],
        );
        Self(vec![
            model.with_any(["develop", "build", "train"]).with_any(["model", "models"]),
            data.with_any(["analyse", "analyze", "analysis", "study"]),
            report.with_any(["report", "summary", "document"]),
        ])
    }

    /// Adds a rule before the existing ones.
    #[must_use]
    pub fn with_rule(mut self, rule: Rule) -> Self {
        self.0.insert(0, rule);
        self
    }

    /// The rule for a goal.
    #[must_use]
    pub fn rule(&self, goal: &str) -> Option<&Rule> {
        let words: BTreeSet<String> = goal
            .split(|letter: char| !letter.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        self.0.iter().find(|rule| rule.meets(&words))
    }

    fn definition(&self, name: &Name, goal: &str, level: u32) -> Result<Definition, DecomposeError> {
        let single = Rule::new("a single step", [RuleStep::new("execute")]);
        let rule = self.rule(goal).unwrap_or(&single);
        let mut definition = Definition::new(name.clone());
        let mut last: Option<&Name> = None;
        for step in &rule.steps {
            definition = definition.with_node(self.node(step, last, rule, level)?);
            last = Some(&step.name);
        }
        Ok(definition.with_output(Expr::object(
            rule.steps.iter().map(|step| (step.name.clone(), Expr::node(step.name.clone()))),
        )))
    }

    /// The node of a step; its input is the goal, the subject and the outputs of the steps before it.
    fn node(&self, step: &RuleStep, last: Option<&Name>, rule: &Rule, level: u32) -> Result<Node, DecomposeError> {
        let before: Vec<Name> = step.after.clone().unwrap_or_else(|| last.cloned().into_iter().collect());
        let given = before.iter().map(|name| (name.clone(), Expr::node(name.clone())));
        let goal = step.goal.as_ref().map_or_else(|| optional("/goal"), |goal| Expr::value(json!(goal)));
        let input = Expr::object([("goal", goal), ("about", optional("/about")), ("before", Expr::object(given))]);
        let body = match &step.goal {
            Some(goal) if level >= MAX_LEVELS => {
                return Err(DecomposeError::Refused {
                    reason: format!("rule `{}` applies to its own goal `{goal}` again", rule.name),
                });
            }
            Some(goal) => Body::Flow(std::sync::Arc::new(self.definition(&step.name, goal, level + 1)?)),
            None => {
                let mut work = Work::new(step.kind.clone().unwrap_or_else(|| step.name.clone()));
                (work.needs, work.tier) = (step.needs.clone(), step.tier);
                Body::Task(work)
            }
        };
        let node = Node::new(step.name.clone(), Action::Do(body)).with_input(input);
        Ok(before.into_iter().fold(node, |node, name| node.with_link(Link::success(name))))
    }
}

impl Decomposer for RulePack {
    fn name(&self) -> &str {
        "rules"
    }

    fn decompose(&mut self, ask: &Ask) -> Result<Definition, DecomposeError> {
        self.definition(&ask.name, &ask.goal, 0)
    }
}

/// A part of the input of the run; null if the run has none.
fn optional(pointer: &str) -> Expr {
    Expr::First(vec![Expr::Input.at(pointer), Expr::default()])
}

/// The input of a run of a decomposed goal.
pub(super) fn input(ask: &Ask) -> Payload {
    Payload::new(json!({"goal": ask.goal, "about": ask.about.value()}))
}
