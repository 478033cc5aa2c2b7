//! Counterpoint as a server of the Model Context Protocol: its tools are what a host may ask of the engine, its resources are
//! what can be read of it.
//!
//! The server speaks through `rmcp`, the protocol's official SDK; the engine is driven by `counterpoint::host::future`. Whoever
//! calls is shown to the gate of `counterpoint::access` first. For clients that follow tasks of the protocol, tasks and runs
//! that are waited for are such tasks.

mod asks;
mod auth;
mod goals;
mod refusal;
mod resources;
mod tasks;
mod tools;

pub use auth::guard;

use counterpoint::access::Token;
use counterpoint::access::{Gate, Policy, Tokens};
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

/// How many facts can be read back.
const KEPT: usize = 1_000;

/// What a client of this server is told it is for.
const INSTRUCTIONS: &str = "An orchestrator: it knows which agent does which task, when, and what follows. Agents register and \
ask for their work with get_status; tasks are brought with distribute_task and answered with handle_task_response; workflows are \
made of goals with decompose_goal and started with start_workflow. All ids are decimal text.";

/// The server. Clones are the same engine; each connection has one.
#[derive(Clone)]
pub struct Counterpoint {
    host: FutureHost,
    gate: Arc<Gate>,
    facts: Arc<Mutex<VecDeque<Entry>>>,
    /// Who speaks on standard input; over HTTP each request has a token of its own.
    token: Option<Token>,
    tool_router: ToolRouter<Self>,
}

impl std::fmt::Debug for Counterpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Counterpoint").finish_non_exhaustive()
    }
}

impl Counterpoint {
    /// Goes on where the journal ends. The driver is to be spawned after [`watch`](Self::watch) has been asked.
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
        Ok((Self { host, gate, facts: Arc::default(), token, tool_router }, driver))
    }

    /// Keeps the last facts to be read.
    ///
    /// # Errors
    ///
    /// When the host has ended.
    pub async fn watch(&self) -> Result<(), HostError> {
        let facts = Arc::clone(&self.facts);
        let watcher = move |entry: &Entry| {
            let mut facts = facts.lock().unwrap_or_else(PoisonError::into_inner);
            if facts.len() >= KEPT {
                facts.pop_front();
            }
            facts.push_back(entry.clone());
        };
        self.host.watch(watcher).await
    }

    /// The token that came with a request, or that of this connection.
    fn token(&self, context: &RequestContext<RoleServer>) -> Option<Token> {
        match context.extensions.get::<axum::http::request::Parts>() {
            Some(parts) => auth::bearer(&parts.headers),
            None => self.token.clone(),
        }
    }

    /// Has the engine obey a command, if whoever calls may give it.
    async fn command(
        &self,
        context: &RequestContext<RoleServer>,
        command: impl Into<Command>,
    ) -> Result<Accepted, Refusal> {
        let command = self.may(context, command.into()).await?;
        Ok(self.host.command(command).await?)
    }

    /// Gives a command back if whoever calls may give it.
    async fn may(&self, context: &RequestContext<RoleServer>, command: Command) -> Result<Command, Refusal> {
        let (gate, now, token) = (Arc::clone(&self.gate), self.host.now(), self.token(context));
        let ask = move |engine: &Engine| gate.decide(now, token.as_ref(), &command, engine).check().map(|()| command);
        Ok(self.host.inspect(ask).await??)
    }

    /// Whether whoever calls may read all there is.
    fn may_read(&self, context: &RequestContext<RoleServer>, what: &str) -> Result<(), Refusal> {
        Ok(self.gate.decide_reading(self.host.now(), self.token(context).as_ref(), what).check()?)
    }

    /// Whether they may read about one thing: who may read all, and who may give this command about it.
    async fn may_read_of(&self, context: &RequestContext<RoleServer>, theirs: Command) -> Result<(), Refusal> {
        match self.may_read(context, "one thing") {
            Ok(()) => Ok(()),
            Err(_) => self.may(context, theirs).await.map(|_| ()),
        }
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
