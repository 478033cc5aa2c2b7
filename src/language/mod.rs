//! A document language for workflows, read through serde from the format that the host chooses.
//!
//! A crate for the format (YAML, JSON, TOML) deserializes a [`Document`]. [`Document::compile`] returns a
//! [`CompiledDocument`]: a [`Definition`] with the declaration of its inputs, from which runs are started. Compiling reports
//! all errors at once, each with its path and, for an unknown name, the most similar known one.
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
//! # Fields
//!
//! A document has a `name`, a `version`, `inputs` (each with `type`, `required`, `default`), `tasks` and `outputs`. Optional are:
//!
//! - `context`: the variables of the run, each either a reducer (`replace`, `append`, `merge`, `max`, `min`, `sum`) or
//!   `{reduce, by, initial, updates}`. With `reduce: custom`, `by` names a reducer of the host; `updates` is a condition on `item`
//!   under which updates from outside are accepted.
//! - `budget`: as for a task.
//! - `signals`: by name, each with `transient`, `kept_for` and `most`.
//! - `on_failure`: `fail`, `finish` or `hold` ([`OnFailure`](crate::definition::OnFailure)).
//! - `on_compensation_failure`: `hold`, `continue` or `stop` ([`OnCompensationFailure`](crate::definition::OnCompensationFailure)).
//!
//! A task has these fields:
//!
//! | fields | meaning |
//! |---|---|
//! | `id` | letters, digits, `_` and `-`; unique |
//! | `type` | the kind of work; by default the id |
//! | `agent`, `requirements` | the skill that an agent must have; a list of skills, or `skills` with levels and `labels` |
//! | `inputs` | the input of the task: data with references |
//! | `depends_on` | tasks, or `{task, on: success, failure, always, each}`, or `{task, case}` of a choice |
//! | `join` | `all`, `any`, `{count, rest}`, `{rounds, rest}`, `each`, or a [trigger rule](crate::definition::Trigger) |
//! | `when` | a condition; if it does not hold, the task is skipped |
//! | `precondition` | a condition on the data of the run and on `item`, the input of the task; or `{when, otherwise: skip}` |
//! | `postcondition` | a condition on `item`, the output; if it does not hold, the task is retried, then fails |
//! | `budget`, `estimate` | limits `{attempts, time, cost, tokens}`; the expected usage `{cost, tokens}` of an attempt |
//! | `writes` | variables, each with `output` or a path into it: `{found: output.hits}` |
//! | `retry`, `timeout` | the number of attempts, or `{attempts, delay, factor, max_delay, jitter, in_doubt, rules}`, where the first rule `{on, attempts, delay, factor, max_delay, jitter}` that matches a failure applies, `on` being as `error` of handlers; the time limit of an attempt |
//! | `queue_timeout`, `total_timeout`, `priority`, `exhausted` | as in [`Policy`](crate::Policy) and [`Tier`](crate::Tier) |
//! | `on_error` | `fail` (the run), `continue`, or the task to continue with, which then joins its links with `any` |
//! | `compensate`, `pivot` | the task that compensates it (true: its type with `.undo`); whether it is a pivot |
//! | `query` | the task that determines an unknown outcome (true: its type with `.query`) |
//! | `save_point` | how often tasks after this one are repeated from here after a failure, or `{again, instead}` with a case for an alternative |
//! | `mutex`, `cancels` | names of mutual exclusions; tasks that are cancelled when it succeeds |
//! | `milestone` | `{after, until}`, two tasks between which it can start |
//! | `handlers` | boundary handlers, each with a `name`, to which other tasks link by `{task, case}`, and one of `error` (true, kinds of failures, or `{kinds, codes}`; a code with `*` at its end stands for all that begin so), `timeout`, `signal` with `matching`, `cancel`; with `beside: true` the task is not interrupted |
//! | `for_each`, `max_concurrent`, `tolerate`, `tolerate_percent` | the work for each element of a list, as `item`; how many run at once; how many may fail |
//! | `enough`, `open` | `{of, when, begun, cancel_rest}`: when the map ends early; whether items can be added while it runs |
//! | `repeat` | `{until, while, most}`: the work in rounds |
//! | `delegate` | true, or the limits of delegation: `depth`, `fan_out`, `max_parts`, `kinds` of sub-tasks (by default that of the task), `max_concurrent`, `tolerate`, `beyond` (`stop`, `drop`), `gather` (`list`, `vote`, `median`, `ranks`, a reducer) or `gather_by` a task, and `rounds`, a number or `{most, near, settled}` |
//! | `workflow` | instead of a type: a nested workflow, whose `inputs` are the input of the task |
//! | `call` | instead of a type: a workflow by its name, or `{workflow, version, depth}`; it can be this one |
//! | `choose`, `otherwise`, `pick` | instead of a type: a list of `{case, when}` |
//! | `race` | instead of a type: a list of options, each with a `name` and one of `signal` with `matching`, `after`, `at`, `decision: {role, options, escalation: [{after, role}], not_by}` |
//! | `states` | instead of a type: `{start, most, states}`, each state with a `name`, `do` (a type, or the fields of a task's work), `workflow` or `call`, `inputs`, `compensate`, and `next`: states, or `{to, when, on_failure}`, where `on_failure` is true or what `error` of a handler may be |
//! | `wait`, `pass`, `stop`, `fail` | instead of a type: `{signal, timer}`; no work; the end of the run; a failure, as a message or `{message, kind, code, details}` |
//!
//! A reference is a whole string, `"${inputs.x}"`, `"${analyze.output.total}"`, `"${context.found}"`, `"${item}"`, or
//! `{from: analyze.output}`. `"${analyze.status}"`, `"${analyze.attempts}"` and `"${analyze.failure.code}"` tell how a task ended
//! ([`Expr::End`](crate::definition::Expr::End)). `{first: [..]}` is the first element that is not null, `{literal: ..}` is data without references, and
//! a string that begins with `$$` stands for one that begins with `$`.
//!
//! A condition is a boolean, a reference, or an object with exactly one operator: `all`, `any`, `not`, `is`, `exists`, `equal`,
//! `less`, `greater`, `at_least`, `at_most`, `in`, `matches` (`[data, pattern]`, with `*` and `?`), `predicate` (`[name, data]`, a
//! predicate of the host).

mod context;
mod data;
mod delegate;
mod document;
mod failures;
mod fault;
mod flow;
mod inputs;
mod report;
mod schema;
mod states;
mod task;
mod waits;
mod work;

pub use document::Document;
pub use fault::{DocumentError, DocumentFault, DocumentFaultKind};
pub use inputs::{Input, InputType};

use crate::base::id::RunId;
use crate::base::limits::Limits;
use crate::base::payload::Payload;
use crate::definition::Definition;
use crate::message::run::RunSpec;
use flow::Reader;
use report::{Path, get};
use serde_json::Value;

/// The fields of a document. The first is allowed at the top only: the input of a nested workflow is the task's `inputs`.
const DOCUMENT: &[&str] = &[
    "inputs",
    "name",
    "version",
    "description",
    "context",
    "budget",
    "signals",
    "on_failure",
    "on_compensation_failure",
    "tasks",
    "outputs",
];

/// A compiled document: a workflow and the declaration of its inputs.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CompiledDocument {
    /// The workflow.
    pub definition: Definition,
    /// The declared inputs, by name; none if the document declares none, and then runs accept any input.
    pub inputs: Option<Vec<Input>>,
}

impl CompiledDocument {
    /// Makes a run of exactly this version, with the given input and the defaults of absent inputs.
    ///
    /// # Errors
    ///
    /// [`DocumentError`] with every input that is missing, unknown or of the wrong type.
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
    /// Compiles the document to a workflow and validates it within these limits.
    ///
    /// # Errors
    ///
    /// [`DocumentError`] with all errors, each with its path in the document.
    pub fn compile(&self, limits: &Limits) -> Result<CompiledDocument, DocumentError> {
        let mut reader = Reader::new(limits);
        let root = Path::Root;
        let Some(fields) = reader.report.object(self.value(), &root, DOCUMENT) else {
            return reader.report.finish(CompiledDocument { definition: Definition::new(""), inputs: None });
        };
        if get(fields, "name").is_none() {
            reader.report.add(root, DocumentFaultKind::Missing { field: "name".to_owned() });
        }
        let inputs = inputs::declared(fields, &root, &mut reader.report);
        let definition = reader.flow(fields, "unnamed", inputs.as_deref(), &root);
        reader.check(&definition);
        reader.report.finish(CompiledDocument { definition, inputs })
    }
}
