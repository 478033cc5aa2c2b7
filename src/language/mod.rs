//! Workflows as people write them: a language that is read through serde, in whatever format the host chooses.
//!
//! A [`Document`] is read by a format crate (YAML, JSON, TOML), [compiled](Document::compile) into a
//! [`Recipe`], which is a [`Definition`] and the declaration of its inputs, and started from there. Every mistake is told at
//! once, with its path and, where a name is nearly right, the name that may have been meant.
//!
//! ```
//! use counterpoint::language::Document;
//! use counterpoint::{Limits, RunId};
//! use serde_json::json;
//!
//! let text = r#"{
//!     "name": "report",
//!     "inputs": {"topic": {"type": "string", "required": true}, "words": {"type": "integer", "default": 500}},
//!     "tasks": [
//!         {"id": "analyze", "agent": "analyst", "inputs": {"about": "${inputs.topic}"}, "retry": 3, "timeout": "1m"},
//!         {"id": "write", "inputs": {"facts": {"from": "analyze.output.facts"}}, "depends_on": ["analyze"]}
//!     ],
//!     "outputs": {"text": {"from": "write.output"}}
//! }"#;
//! let recipe = serde_json::from_str::<Document>(text)?.compile(&Limits::default())?;
//! assert_eq!(recipe.definition.nodes.len(), 2);
//!
//! let run = recipe.run(RunId::new(1), json!({"topic": "tea"}))?;
//! assert_eq!(run.input.value(), &json!({"topic": "tea", "words": 500}));
//! let error = recipe.run(RunId::new(2), json!({"topics": 3})).unwrap_err();
//! assert_eq!(error.to_string(), "inputs.topics: unknown input `topics`, did you mean `topic`?; inputs: `topic` is missing");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The words
//!
//! A document has a `name`, a `version`, `inputs` (each with `type`, `required`, `default`), `tasks` and `outputs`, and
//! `context`: variables that tasks write together, each a word (`replace`, `append`, `merge`, `max`, `min`, `sum`) or
//! `{reduce, by, initial, updates}`, where `reduce: custom` is `by` a reducer of the host and `updates` is the condition on
//! `item` of which updates from outside are taken; a `budget` as a task has one; `signals`, by name, each with `transient`,
//! `kept_for` and `most`; `on_failure`, `turn_back` or `hold` ([`OnFailure`](crate::OnFailure)), and `on_undo_failure`, `hold`,
//! `continue` or `halt` ([`OnUndoFailure`](crate::OnUndoFailure)). Of a task:
//!
//! | words | meaning |
//! |---|---|
//! | `id` | letters, digits, `_` and `-`; unique |
//! | `type` | the kind of work; the id if nothing is said |
//! | `agent`, `requirements` | the skill that an agent must have; a list of skills, or `skills` with levels and `labels` |
//! | `inputs` | data with references: what the task is given |
//! | `depends_on` | tasks, or `{task, on: success, failure, always, each}`, or `{task, case}` of a choice |
//! | `join` | `all`, `any`, `{count, rest}`, `{rounds, rest}`, `each`, or a [trigger rule](crate::definition::Trigger) |
//! | `when` | a condition: if it does not hold, the task is skipped |
//! | `precondition` | a condition on the run's data and `item`, what the task is given; or `{when, otherwise: skip}` |
//! | `postcondition` | a condition on `item`, the output, before anything sees that; if not, it is done again, then fails |
//! | `budget`, `estimate` | `{attempts, time, cost, tokens}` that it may use up; `{cost, tokens}` of an attempt |
//! | `writes` | variables, each with `output` or the way into it: `{found: output.hits}` |
//! | `retry`, `timeout` | attempts, or `{attempts, delay, max_delay, jitter, in_doubt}`; how long an attempt may take |
//! | `queue_timeout`, `total_timeout`, `priority`, `exhausted` | as in [`Policy`](crate::Policy) and [`Tier`](crate::Tier) |
//! | `on_error` | `fail` (the run), `continue`, or the task to go on with, which joins its links with `any` |
//! | `compensate`, `pivot` | the task that undoes it (true: its type with `.undo`); the point of no return |
//! | `query` | the task that finds out whether it has happened, for when nobody knows (true: its type with `.query`) |
//! | `save_point` | what follows is done again from here if it fails: how often, or `{again, instead}` with a case for another way |
//! | `mutex`, `cancels` | names of exclusion; tasks that are withdrawn when it succeeds |
//! | `milestone` | `{after, until}`, two tasks between which it may start |
//! | `handlers` | what can happen to it, each with a `name` that `{task, case}` waits for, one of `error` (true or kinds of failures), `timeout`, `signal` with `matching`, `cancel`; and `beside: true` if it does not interrupt |
//! | `for_each`, `at_once`, `tolerate`, `tolerate_percent` | the work for each item of a list, as `item` |
//! | `enough`, `open` | `{of, when, begun, cancel_rest}`: when the others are not awaited; whether more items may be added |
//! | `repeat` | `{until, while, most}`: the work in rounds |
//! | `delegate` | true, or how far the work may be handed on in parts: `depth`, `fan_out`, `pieces`, `kinds`, `at_once`, `tolerate`, `beyond` (`stop`, `drop`), `gather` (`list`, `vote`, `median`, `ranks`, a reducer) or `gather_by` a task, and `rounds`, a number or `{most, near, settled}` |
//! | `workflow` | instead of a type: tasks of its own, whose `inputs` are what the task is given |
//! | `call` | instead of a type: a workflow by its name, or `{workflow, version, depth}`, which may be this one |
//! | `choose`, `otherwise`, `pick` | instead of a type: a list of `{case, when}` |
//! | `race` | instead of a type: a list of offers, each with a `name`, one of `signal` with `matching`, `after`, `at`, `decision: {role, options, escalation: [{after, role}], not_by}` |
//! | `states` | instead of a type: `{start, most, states}`, each state with a `name`, `do` (a type, or more about it), `workflow` or `call`, `inputs`, `compensate`, and `next`: states, or `{to, when, on_failure}` |
//! | `wait`, `pass`, `stop`, `fail` | instead of a type: `{signal, timer}`; nothing; the end of the run; a failure |
//!
//! A reference is a whole text, `"${inputs.x}"`, `"${analyze.output.total}"`, `"${context.found}"`, `"${item}"`, or
//! `{from: analyze.output}`.
//! `{first: [..]}` is the first that is not null, `{literal: ..}` is data in which nothing is a reference, and a text that
//! begins with `$$` begins with one dollar. A condition is true, false, a reference, or an object with one question: `all`,
//! `any`, `not`, `is`, `exists`, `equal`, `less`, `greater`, `at_least`, `at_most`, `in`, `matches` (`[data, pattern]`, with `*`
//! and `?`), `predicate` (`[name, data]`, asked of the host).

mod context;
mod data;
mod delegate;
mod document;
mod flow;
mod inputs;
mod mistake;
mod report;
mod schema;
mod states;
mod task;
mod waits;
mod work;

pub use document::Document;
pub use inputs::{Input, InputType};
pub use mistake::{DocumentError, Mistake, Wrong};

use crate::definition::Definition;
use crate::id::RunId;
use crate::limits::Limits;
use crate::payload::Payload;
use crate::run::RunSpec;
use flow::Reader;
use report::{Path, get};
use serde_json::Value;

/// The fields of a document. The first is of the whole alone: what a workflow within a task is given is the task's `inputs`.
const DOCUMENT: &[&str] = &[
    "inputs",
    "name",
    "version",
    "description",
    "context",
    "budget",
    "signals",
    "on_failure",
    "on_undo_failure",
    "tasks",
    "outputs",
];

/// What a document says: a workflow, and what it has to be given.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Recipe {
    /// The workflow.
    pub definition: Definition,
    /// What is declared, by name; none if the document declares nothing, and then runs are given anything.
    pub inputs: Option<Vec<Input>>,
}

impl Recipe {
    /// A run of exactly this version, with what it is given and the defaults of what it is not.
    ///
    /// # Errors
    ///
    /// Every input that is missing, unknown, or of another type than declared.
    pub fn run(&self, id: RunId, given: Value) -> Result<RunSpec, DocumentError> {
        let input = match &self.inputs {
            Some(inputs) => inputs::filled(inputs, given)?,
            None => given,
        };
        let run = RunSpec::new(id, &self.definition.name).with_version(self.definition.version);
        Ok(run.with_input(Payload::new(input)))
    }
}

impl Document {
    /// The workflow that the document describes, validated within these limits.
    ///
    /// # Errors
    ///
    /// All the mistakes, each with its path in the document.
    pub fn compile(&self, limits: &Limits) -> Result<Recipe, DocumentError> {
        let mut reader = Reader::new(limits);
        let root = Path::Root;
        let Some(fields) = reader.report.object(self.value(), &root, DOCUMENT) else {
            return reader.report.verdict(Recipe { definition: Definition::new(""), inputs: None });
        };
        if get(fields, "name").is_none() {
            reader.report.add(root, Wrong::Missing { field: "name".to_owned() });
        }
        let inputs = inputs::declared(fields, &root, &mut reader.report);
        let definition = reader.flow(fields, "unnamed", inputs.as_deref(), &root);
        reader.check(&definition);
        reader.report.verdict(Recipe { definition, inputs })
    }
}
