//! Group decisions in a workflow: several agents answer, and one step counts the answers.

use super::attempt::Attempt;
use super::step::Step;
use crate::base::id::AgentId;
use crate::base::name::Name;
use crate::base::time::Time;
use crate::coordination::consensus::{Ballot, Config, Consensus, Means, Rules, Standing, Tally};
use crate::definition::{Action, Body, Expr, Link, Node, Work};
use crate::task::Failure;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The voters of a group, and the rules by which their answers are counted.
///
/// ```
/// use counterpoint::coordination::consensus::Config;
/// use counterpoint::definition::{Definition, Expr, Work};
/// use counterpoint::workflow::{Group, validate};
/// use counterpoint::{Limits, Needs};
///
/// let reviewer = |name: &str| Work::new("review").with_needs(Needs::nothing().and_label("name", name));
/// let group = Group::new(Config::default())
///     .with_voter("ann", reviewer("ann"), 1)
///     .with_voter("ben", reviewer("ben"), 1)
///     .with_voter("eve", reviewer("eve"), 2);
/// let mut flow = Definition::new("paper");
/// flow.nodes.extend(group.nodes("verdict", Expr::Input));
/// let flow = flow.with_output(Expr::node("verdict").at("/decision"));
/// assert!(validate(&flow, &Limits::default()).is_ok());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    rules: Config,
    voters: Vec<(Name, Work, u64, u64)>,
}

impl Group {
    /// A group without voters that counts by these rules. Each voter answers once, so there is one round; for several
    /// rounds, put a workflow of these nodes into a [`Repeat`](crate::definition::Repeat).
    #[must_use]
    pub const fn new(rules: Config) -> Self {
        Self { rules, voters: Vec::new() }
    }

    /// Adds a voter with the work that asks it and its weight.
    #[must_use]
    pub fn with_voter(mut self, name: impl Into<Name>, work: Work, weight: u64) -> Self {
        self.voters.push((name.into(), work, weight, 0));
        self
    }

    /// Sets the expertise of the voter that was added last, which decides if the rules use expertise.
    #[must_use]
    pub fn with_expertise(mut self, expertise: u64) -> Self {
        if let Some((.., last)) = self.voters.last_mut() {
            *last = expertise;
        }
        self
    }

    /// The nodes: one for each voter, called `<name>_<voter>`, with the question as its input; and one called `name`
    /// that counts the answers when all voters have ended, a task of the kind [`Decide::KIND`] for an agent with the
    /// step [`Decide`]. A voter that fails counts as absent. The output of the counting node is a [`GroupDecision`].
    #[must_use]
    pub fn nodes(&self, name: &str, question: Expr) -> Vec<Node> {
        let asked = |voter: &Name| Name::from(format!("{name}_{voter}"));
        let mut nodes: Vec<Node> = self
            .voters
            .iter()
            .map(|(voter, work, ..)| {
                Node::new(asked(voter), Action::Do(Body::Task(work.clone()))).with_input(question.clone())
            })
            .collect();
        let rules = serde_json::to_value(&self.rules).unwrap_or_default();
        let answers = self.voters.iter().map(|(voter, ..)| (voter.clone(), Expr::node(asked(voter))));
        let weights = self.voters.iter().map(|(voter, _, weight, _)| (voter.clone(), Expr::value(*weight)));
        let expertise = self.voters.iter().map(|(voter, .., expertise)| (voter.clone(), Expr::value(*expertise)));
        let input = Expr::object([
            ("rules", Expr::value(rules)),
            ("answers", Expr::object(answers)),
            ("weights", Expr::object(weights)),
            ("expertise", Expr::object(expertise)),
        ]);
        let count = Node::new(name, Action::task(Decide::KIND)).with_input(input);
        nodes.push(self.voters.iter().fold(count, |node, (voter, ..)| node.with_link(Link::always(asked(voter)))));
        nodes
    }
}

/// The answers and the rules: the input of [`Decide`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Answers {
    /// The rules by which the answers are counted.
    pub rules: Config,
    /// The answers by voter: any data. Null counts as absent; `{"abstain": true}` counts as an abstention.
    pub answers: BTreeMap<Name, Value>,
    /// The weights by voter.
    pub weights: BTreeMap<Name, u64>,
    /// The expertise by voter; zero for voters without an entry.
    #[serde(default)]
    pub expertise: BTreeMap<Name, u64>,
}

/// The decision of a group, with the dissent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroupDecision {
    /// The chosen answer; none if there is no decision.
    pub decision: Option<Value>,
    /// How the decision was made.
    pub by: Option<Means>,
    /// Whether a person must decide.
    pub escalated: bool,
    /// The voters with other answers, and these answers.
    pub dissent: BTreeMap<Name, Value>,
    /// The voters without an answer.
    pub absent: Vec<Name>,
    /// The tally; its options are the answers as JSON text.
    pub tally: Option<Tally>,
}

/// The step that counts the answers of a [`Group`]. It is a pure function: any agent can perform it, with the same
/// result for the same answers.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Decide;

impl Step for Decide {
    const KIND: &'static str = "decide";
    type Input = Answers;
    type Output = GroupDecision;

    fn run(&self, input: Answers, _: &Attempt) -> Result<GroupDecision, Failure> {
        let failed = |error: &dyn core::fmt::Display| Failure::permanent(error.to_string());
        let rules = Rules::new(input.rules.clone().with_rounds(1)).map_err(|error| failed(&error))?;
        let voters: Vec<(AgentId, &Name, u64)> =
            (1..).map(AgentId::new).zip(&input.weights).map(|(id, (name, weight))| (id, name, *weight)).collect();
        let electorate = voters.iter().map(|(id, _, weight)| (*id, *weight));
        let known = voters.iter().filter_map(|(id, name, _)| Some((*id, *input.expertise.get(*name)?)));
        let vote = Consensus::open(rules, electorate, Time::ZERO).map_err(|error| failed(&error))?;
        let mut vote = vote.with_expertise(known);
        for (id, name, _) in &voters {
            if let Some(ballot) = input.answers.get(*name).and_then(ballot) {
                // An answer after the decision is recorded as dissent below.
                let _ = vote.cast(*id, 1, ballot, Time::ZERO);
            }
        }
        let _ = vote.close(Time::ZERO);
        Ok(decided(&vote, &input))
    }
}

fn ballot(answer: &Value) -> Option<Ballot> {
    match answer {
        Value::Null => None,
        Value::Object(fields) if fields.get("abstain") == Some(&Value::Bool(true)) => Some(Ballot::Abstain),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            Some(Ballot::For(answer.to_string().into()))
        }
    }
}

fn decided(vote: &Consensus, input: &Answers) -> GroupDecision {
    let option = vote.decision().map(|decision| decision.option.clone());
    let said = |name: &Name| input.answers.get(name).filter(|answer| !answer.is_null());
    let other = |answer: &&Value| matches!(ballot(answer), Some(Ballot::For(text)) if Some(&text) != option.as_ref());
    GroupDecision {
        decision: option.as_ref().and_then(|text| serde_json::from_str(text).ok()),
        by: vote.decision().map(|decision| decision.by.clone()),
        escalated: *vote.standing() == Standing::Escalated,
        dissent: input
            .weights
            .keys()
            .filter_map(|name| Some((name.clone(), said(name).filter(other)?.clone())))
            .collect(),
        absent: input.weights.keys().filter(|name| said(name).is_none()).cloned().collect(),
        tally: vote.tallies().last().cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::{AttemptId, TaskId};
    use crate::coordination::consensus::Otherwise;
    use serde_json::json;

    /// A voter with its answer, weight and expertise.
    type Said<'a> = (&'a str, Value, u64, u64);

    fn count(rules: Config, answers: &[Said<'_>]) -> Result<GroupDecision, Failure> {
        let by = |of: fn(&Said<'_>) -> u64| answers.iter().map(|one| (Name::from(one.0), of(one))).collect();
        let input = Answers {
            rules,
            answers: answers.iter().map(|(name, answer, ..)| (Name::from(*name), answer.clone())).collect(),
            weights: by(|one| one.2),
            expertise: by(|one| one.3),
        };
        Decide.run(input, &Attempt::new(AttemptId::new(TaskId::new(1), 1), Decide::KIND))
    }

    #[test]
    fn answers_are_counted_and_dissent_is_kept() {
        let four = [
            ("a", json!({"x": 1}), 3, 0),
            ("b", json!({"x": 1}), 3, 0),
            ("c", json!("no"), 1, 9),
            ("d", json!(null), 1, 0),
        ];
        let found = count(Config::default(), &four).unwrap();
        assert_eq!((found.decision, found.by), (Some(json!({"x": 1})), Some(Means::Approval)));
        assert_eq!(found.dissent, BTreeMap::from([("c".into(), json!("no"))]), "also what came after it was settled");
        assert_eq!(found.absent, [Name::from("d")]);

        let split = [("a", json!(1), 1, 2), ("b", json!(2), 1, 7), ("c", json!({"abstain": true}), 1, 0)];
        let none = count(Config::default(), &split).unwrap();
        assert_eq!((none.decision, none.escalated, none.dissent.len()), (None, false, 2));
        let expert = count(Config::default().with_otherwise(vec![Otherwise::Expertise]), &split).unwrap();
        assert_eq!((expert.decision, expert.by), (Some(json!(2)), Some(Means::Expertise)));
        let person = count(Config::default().with_otherwise(vec![Otherwise::Escalate]).with_rounds(5), &split).unwrap();
        assert!(person.escalated && person.decision.is_none());
        assert!(count(Config::default(), &[]).is_err(), "nobody is asked");
    }
}
