//! Counterpoint as a server of the Model Context Protocol: its tools are commands of the engine, its resources are
//! views of the engine's state.
//!
//! Sessions, connections and messages are bounded: see [`SessionLimits`], [`FRAME_BYTES`] and `counterpoint_serving::Limits`.
//!
//! The server uses `rmcp`, the protocol's official SDK; the engine is driven by `counterpoint::host::future`. The gate
//! of `counterpoint::access` checks each call. For clients that support tasks of the protocol, tasks and runs that are
//! waited for are such tasks.

mod answers;
mod asks;
mod auth;
mod frames;
mod goals;
mod http;
mod refusal;
mod resources;
mod sessions;
mod tasks;
mod tools;

pub use frames::{FRAME_BYTES, Frames};
pub use http::{Allowed, refusal, router, routes};
pub use sessions::SessionLimits;

use counterpoint::access::Token;
use counterpoint::access::{AccessError, Decision, Gate, Policy, Tokens, Unauthenticated, Verifier as _};
use counterpoint::host::HostError;
use counterpoint::host::future::{Driver, FutureHost};
use counterpoint::journal::Journal;
use counterpoint::{Accepted, Command, Config, Engine, Entry, Time};
use counterpoint_serving::{Recent, Scope};
use refusal::Refusal;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::model::{
    CancelTaskParams, GetTaskParams, GetTaskResult, Implementation, ListResourceTemplatesResult, ListResourcesResult,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig,
    UpdateTaskParams,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler, tool_handler};
use std::sync::{Arc, Mutex, PoisonError};

/// The number of entries that are retained as a resource.
const KEPT: usize = 1_000;
/// The size of these entries, as JSON.
const KEPT_BYTES: usize = 4 << 20;

/// The description of the server for clients.
const INSTRUCTIONS: &str = "An orchestration engine: it assigns tasks to agents and runs workflows. To have work done, call \
distribute_task for one task, or decompose_goal and start_workflow for several steps, and follow it with get_status. To do work, \
call register_agent once, get_status with the agent and wait_seconds for work, and handle_task_response for each attempt. All ids \
are decimal text, all durations are seconds. A rejected call changes nothing; its result has a code and a reason.";

/// The server. Clones share the engine; each connection has one.
#[derive(Clone)]
pub struct Counterpoint {
    host: FutureHost,
    gate: Arc<Gate>,
    /// The tokens of the gate, for the names of callers.
    known: Arc<Tokens>,
    entries: Arc<Mutex<Recent<Entry>>>,
    /// The token for standard input; over HTTP each request has its own.
    token: Option<Token>,
    tool_router: ToolRouter<Self>,
    /// The name and the version that clients see.
    identity: (&'static str, &'static str),
    observer: Option<Arc<Observer>>,
}

/// Gets each decision about a call: first alone, and if it permits a command, again with the answer to the command.
pub type Observer = dyn Fn(&Decision, Option<&Result<Accepted, HostError>>) + Send + Sync;

/// A command that the gate has granted, with its decision.
type Granted = (Command, Decision);

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
        Ok((Self { token, ..Self::over(host, tokens) }, driver))
    }

    /// A server over a host that others use as well, for requests with tokens. Before the driver of the host is polled,
    /// [`watch`](Self::watch) has to be called.
    #[must_use]
    pub fn over(host: FutureHost, tokens: Tokens) -> Self {
        let (known, gate) = (Arc::new(tokens.clone()), Arc::new(Gate::new(Policy::standard(), tokens)));
        let tool_router = Self::tool_router();
        let entries = Arc::new(Mutex::new(Recent::new(KEPT, KEPT_BYTES)));
        let identity = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        Self { host, gate, known, entries, token: None, tool_router, identity, observer: None }
    }

    /// Sets the name and the version that clients see: those of the program of which this server is a part.
    #[must_use]
    pub const fn with_identity(mut self, name: &'static str, version: &'static str) -> Self {
        self.identity = (name, version);
        self
    }

    /// Passes decisions on, for a record of what callers do. The observer must not block.
    #[must_use]
    pub fn with_observer(
        mut self,
        observer: impl Fn(&Decision, Option<&Result<Accepted, HostError>>) + Send + Sync + 'static,
    ) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    fn observe(&self, decision: &Decision, answer: Option<&Result<Accepted, HostError>>) {
        if let Some(observer) = &self.observer {
            observer(decision, answer);
        }
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
            entries.push(entry.clone(), entry);
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

    /// The time of the host.
    fn now(&self) -> Time {
        self.host.now()
    }

    /// The number under a key of this kind, among the keys of the caller and of the tenant: the stated one, or the only one
    /// of a confined caller. With the key as it is kept beside the number.
    fn id_of(
        &self,
        context: &RequestContext<RoleServer>,
        kind: &str,
        key: &str,
        tenant: Option<&str>,
    ) -> Result<(u64, String), Refusal> {
        let token = self.token(context).ok_or(AccessError::Unauthenticated(Unauthenticated::Missing))?;
        let caller = self.known.verify(&token, self.now()).map_err(AccessError::Unauthenticated)?;
        let mut tenants = caller.tenants.iter().flatten();
        let only = match (tenants.next(), tenants.next()) {
            (Some(only), None) => Some(only.as_str()),
            _ => None,
        };
        let (key, scope) = (asks::key(key)?, Scope { kind, tenant: tenant.or(only), caller: &caller.name });
        Ok((key.id_in(scope), key.text_in(scope)))
    }

    /// Sends a command to the engine, if the caller is allowed to.
    async fn command(
        &self,
        context: &RequestContext<RoleServer>,
        command: impl Into<Command>,
    ) -> Result<Accepted, Refusal> {
        let granted = self.may(context, command.into()).await?;
        self.perform(context, granted).await
    }

    /// Sends an admitted command to the engine. The reason of a rejection has the names of what it mentions, unless the caller
    /// is confined to tenants: names can be those of others.
    async fn perform(
        &self,
        context: &RequestContext<RoleServer>,
        (command, decision): Granted,
    ) -> Result<Accepted, Refusal> {
        let answer = self.host.command(command).await;
        self.observe(&decision, Some(&answer));
        let rejected = match answer {
            Err(HostError::Rejected(rejected)) => rejected,
            answer => return Ok(answer?),
        };
        let caller = self.token(context).and_then(|token| self.known.verify(&token, self.now()).ok());
        let is_free = caller.is_some_and(|caller| !caller.is_confined());
        let of = rejected.clone();
        let reason = self.host.inspect(move |engine: &Engine| engine.explain(&of)).await.ok().filter(|_| is_free);
        let refusal = Refusal::from(rejected);
        Err(match reason {
            Some(reason) => refusal.with_reason(reason),
            None => refusal,
        })
    }

    /// Returns the command that the engine gets, if the caller is allowed to send it. It has the ids of the engine.
    async fn may(&self, context: &RequestContext<RoleServer>, command: Command) -> Result<Granted, Refusal> {
        let (gate, now, token) = (Arc::clone(&self.gate), self.host.now(), self.token(context));
        let ask = move |engine: &Engine| gate.admit(now, token.as_ref(), command, engine);
        let admitted = self.host.inspect(ask).await?;
        self.observe(&admitted.decision, None);
        Ok((admitted.granted?, admitted.decision))
    }

    /// Whether the caller may read everything.
    fn may_read(&self, context: &RequestContext<RoleServer>, what: &str) -> Result<(), Refusal> {
        let admitted = self.gate.admit_reading(self.host.now(), self.token(context).as_ref(), what);
        self.observe(&admitted.decision, None);
        Ok(admitted.granted?)
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Counterpoint {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_resources().enable_tasks().build();
        let this = Implementation::new(self.identity.0, self.identity.1)
            .with_title("Counterpoint")
            .with_description(env!("CARGO_PKG_DESCRIPTION"));
        ServerConfig::new(capabilities).with_server_info(this).with_instructions(INSTRUCTIONS)
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
