//! The section `agents` of a workflow file: who performs the tasks, and how.

pub(crate) mod cache;
pub(crate) mod command;
pub(crate) mod http;
pub(crate) mod mcp;
pub(crate) mod model;
pub(crate) mod person;
mod plan;
pub(crate) mod process;
pub(crate) mod reader;
pub(crate) mod template;

pub(crate) use plan::{AgentPlan, How, Program, Simulated, read};

use crate::guard::Guard;
use crate::view::SharedView;
use counterpoint::host::future::{Assignment, AsyncAgent};
use counterpoint::task::Code;
use counterpoint::{Failure, Payload, TaskSpec};
use counterpoint_serving::Client;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use template::Subject;

/// What all agents of a process share.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// The folder of the workflow file.
    pub(crate) folder: PathBuf,
    /// The folder of cached results.
    pub(crate) cache: PathBuf,
    /// The name of the run, where a process performs only one.
    pub(crate) run: Option<String>,
    /// Connections to endpoints.
    pub(crate) client: Client,
    /// Servers of the Model Context Protocol.
    pub(crate) servers: mcp::Servers,
    /// Ends process groups when this process is killed.
    pub(crate) guard: Arc<Guard>,
    /// Nodes whose first attempt fails, by request of the command line.
    pub(crate) failing: Mutex<BTreeSet<String>>,
    /// What the journal tells of the run.
    pub(crate) view: SharedView,
}

/// An agent of the file.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) plan: AgentPlan,
    pub(crate) around: Arc<Surroundings>,
}

impl AsyncAgent for Agent {
    async fn perform(&self, assignment: Assignment) -> Result<Payload, Failure> {
        let task = Arc::clone(&assignment.task);
        let node = self.around.view.node_of(&task);
        if assignment.attempt.number() == 1 && self.around.fails(&node, &task.kind) {
            return Err(failure(Failure::transient("failed by request of `--fail`"), "injected"));
        }
        let Some(method) = self.plan.method(&task.kind) else {
            let known: Vec<&str> = self.plan.performs.keys().map(String::as_str).collect();
            let text = format!("agent `{}` performs {}, not `{}`", self.plan.name, known.join(", "), task.kind);
            return Err(failure(Failure::permanent(text), "unknown-kind"));
        };
        let key = assignment.attempt.idempotency_key()?.to_string();
        let run = self.around.run.clone().unwrap_or_else(|| run_of(&task));
        let subject = Subject {
            input: task.payload.value(),
            attempt: assignment.attempt.number(),
            run: &run,
            node: &node,
            kind: &task.kind,
            key: &key,
            folder: &self.around.folder,
        };
        match &method.how {
            How::Command(plan) => command::perform(plan, &subject, &self.around, &assignment).await,
            How::Http(plan) => http::perform(plan, &subject, &self.around, &assignment).await,
            How::Mcp(plan) => mcp::perform(plan, &subject, &self.around, &assignment).await,
            How::Model(plan) => model::perform(plan, &subject, &self.around, &assignment).await,
            How::Ask(plan) => person::perform(plan, &subject, &assignment).await,
        }
    }
}

/// The name of the run of a task among many: its number.
fn run_of(task: &TaskSpec) -> String {
    task.owner.as_ref().map(|owner| owner.run.get().to_string()).unwrap_or_default()
}

impl Surroundings {
    fn fails(&self, node: &str, kind: &str) -> bool {
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.contains(node) || failing.contains(kind)
    }
}

/// A failure with a code.
pub(crate) fn failure(failure: Failure, code: &str) -> Failure {
    failure.with_code(Code::from(code))
}
