//! Counterpoint as a server of the Model Context Protocol: its tools are commands of the engine, its resources are
//! views of the engine's state.
//!
//! The server uses `rmcp`, the protocol's official SDK; the engine is driven by `counterpoint::host::future`. The gate
//! of `counterpoint::access` checks each call. For clients that support tasks of the protocol, tasks and runs that are
//! waited for are such tasks.

mod asks;
mod auth;
mod goals;
mod refusal;
mod resources;
mod tasks;
mod tools;

pub use auth::guard;

use counterpoint::access::Token;
use counterpoint::access::{AccessError, Gate, Policy, Tokens};
use counterpoint::host::HostError;
use counterpoint::host::future::{Driver, FutureHost};
use counterpoint::journal::Journal;
use counterpoint::{Accepted, Command, Config, Engine, Entry};
use refusal::Refusal;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::model::{
    CancelTaskParams, GetTaskParams, GetTaskResult, ListResourceTemplatesResult, ListResourcesResult,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig,
    UpdateTaskParams,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler, tool_handler};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tasks::Work;

/// The number of entries that are retained as a resource.
const KEPT: usize = 1_000;

/// The description of the server for clients.
const INSTRUCTIONS: &str = "An orchestration engine: it assigns tasks to agents and runs workflows. Agents register and poll for \
work with get_status; tasks are submitted with distribute_task and answered with handle_task_response; workflows are created \
from goals with decompose_goal and started with start_workflow. All ids are decimal text.";

/// The server. Clones share the engine; each connection has one.
#[derive(Clone)]
pub struct Counterpoint {
    host: FutureHost,
    gate: Arc<Gate>,
    entries: Arc<Mutex<VecDeque<Entry>>>,
    /// The token for standard input; over HTTP each request has its own.
    token: Option<Token>,
    tool_router: ToolRouter<Self>,
}

impl std::fmt::Debug for Counterpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Counterpoint").finish_non_exhaustive()
    }
}

impl Counterpoint {
    /// Continues from the journal. The driver has to be spawned after [`watch`](Self::watch) has been called.
    ///
    /// # Errors
    ///
    /// When the journal cannot be opened or restored from.
    pub async fn open(
        journal: impl Journal + 'static,
        tokens: Tokens,
        token: Option<Token>,
    ) -> Result<(Self, Driver), HostError> {
        let (host, driver) = FutureHost::open(Config::default(), journal, tokio::time::sleep).await?;
        let gate = Arc::new(Gate::new(Policy::standard(), tokens));
        let tool_router = Self::tool_router();
        Ok((Self { host, gate, entries: Arc::default(), token, tool_router }, driver))
    }

    /// Retains the last entries as a resource.
    ///
    /// # Errors
    ///
    /// When the host has ended.
    pub async fn watch(&self) -> Result<(), HostError> {
        let entries = Arc::clone(&self.entries);
        let watcher = move |entry: &Entry| {
            let mut entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
            if entries.len() >= KEPT {
                entries.pop_front();
            }
            entries.push_back(entry.clone());
        };
        self.host.watch(watcher).await
    }

    /// The token of a request, or that of this connection.
    fn token(&self, context: &RequestContext<RoleServer>) -> Option<Token> {
        match context.extensions.get::<axum::http::request::Parts>() {
            Some(parts) => auth::bearer(&parts.headers),
            None => self.token.clone(),
        }
    }

    /// Sends a command to the engine, if the caller is allowed to.
    async fn command(
        &self,
        context: &RequestContext<RoleServer>,
        command: impl Into<Command>,
    ) -> Result<Accepted, Refusal> {
        let command = self.may(context, command.into()).await?;
        Ok(self.host.command(command).await?)
    }

    /// Returns the command that the engine gets, if the caller is allowed to send it. It has the ids of the engine.
    async fn may(&self, context: &RequestContext<RoleServer>, command: Command) -> Result<Command, Refusal> {
        let (gate, now, token) = (Arc::clone(&self.gate), self.host.now(), self.token(context));
        let ask = move |engine: &Engine| gate.admit(now, token.as_ref(), command, engine).granted;
        Ok(self.host.inspect(ask).await??)
    }

    /// Whether the caller may read everything.
    fn may_read(&self, context: &RequestContext<RoleServer>, what: &str) -> Result<(), Refusal> {
        Ok(self.gate.admit_reading(self.host.now(), self.token(context).as_ref(), what).granted?)
    }

    /// The engine's object of a task or run that the caller may read about: with the permission to read, or to send this
    /// command about it.
    async fn readable(
        &self,
        context: &RequestContext<RoleServer>,
        work: Work,
        permitted: Command,
    ) -> Result<Work, Refusal> {
        let (gate, now, token) = (Arc::clone(&self.gate), self.host.now(), self.token(context));
        let ask = move |engine: &Engine| {
            let token = token.as_ref();
            let read = match work {
                Work::Task(task) => gate.admit_task(now, token, task, engine).granted.map(Work::Task),
                Work::Run(run) => gate.admit_run(now, token, run, engine).granted.map(Work::Run),
            };
            read.or_else(|_| Ok(Work::of(&gate.admit(now, token, permitted, engine).granted?).unwrap_or(work)))
        };
        let readable: Result<Work, AccessError> = self.host.inspect(ask).await?;
        Ok(readable?)
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Counterpoint {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_resources().enable_tasks().build();
        ServerConfig::new(capabilities).with_instructions(INSTRUCTIONS)
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        self.may_read(&context, "the resources")?;
        Ok(resources::list())
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(resources::templates())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        self.may_read(&context, &request.uri)?;
        resources::read(self, &request.uri).await.map(ReadResourceResponse::from)
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        Ok(self.task_read(&request.task_id, &context).await?)
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(self.task_updated(&request.task_id, &context).await?)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(self.task_cancelled(&request.task_id, &context).await?)
    }
}
