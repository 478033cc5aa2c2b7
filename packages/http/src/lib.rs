//! Counterpoint behind HTTP: tasks, runs and workflows for clients, long polls for remote agents, events and metrics
//! for monitoring.
//!
//! A request passes, in this order: the limits of `counterpoint_serving` on its connection and header, its token, its query
//! and key, the limits on its body, its content, and the gate. Nothing is read or parsed for a caller without a token.
//!
//! The engine is driven by `counterpoint::host::future` on one thread of tokio; its entries are stored in files. The
//! gate of `counterpoint::access` checks each request. Agents use the messages of `counterpoint::protocol`.

mod agents;
mod audit;
mod auth;
mod group;
mod hub;
mod observe;
mod openapi;
mod operations;
mod outage;
mod refusal;
mod reports;
mod routes;
mod runs;
mod schedules;
mod tasks;

pub use audit::Operation;
pub use openapi::openapi;
pub use outage::Unavailable;
pub use routes::router;

use audit::{Audit, Begun};
use auth::Caller;
use axum::http::StatusCode;
use counterpoint::access::{AccessError, AuditTrail, Decision, Gate, Policy, Principal, Token, Tokens, Verifier as _};
use counterpoint::host::future::{Driver, FutureHost, OffThread};
use counterpoint::host::{Durable, HostError};
use counterpoint::journal::Journal;
use counterpoint::journal::sealed::Stream;
use counterpoint::observe::MetricsSnapshot;
use counterpoint::protocol::WireLimits;
use counterpoint::{Accepted, Command, Config, Engine, Limits};
use counterpoint_journal_files::FileJournal;
use counterpoint_serving::{Bodies, Limits as ServingLimits, Problem, Rates, Server};
use hub::Hub;
use outage::{Outage, Shown};
use refusal::Refusal;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The query parameters of a request: names that the route has, each given once.
#[derive(Debug, Clone, Default)]
struct Parameters(BTreeMap<String, String>);

impl Parameters {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// The longest time that a request is held open.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The state that all requests share. Clones share it, too.
#[derive(Clone)]
pub struct App {
    host: FutureHost,
    hub: Hub,
    gate: Arc<Gate>,
    trail: Arc<Mutex<AuditTrail>>,
    limits: WireLimits,
    known: Arc<Tokens>,
    server: Server,
    bodies: Bodies,
    /// The number of requests without a known token. They are in no trail, which a stranger could fill.
    strangers: Arc<AtomicU64>,
    outage: Outage,
    rates: Rates,
    audit: Audit,
    metrics: Option<Arc<Metrics>>,
}

/// Further metrics of the program, in the format of Prometheus.
type Metrics = dyn Fn() -> String + Send + Sync;

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Why a command took no effect.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum CommandError {
    /// The caller may not send it.
    Denied(AccessError),
    /// The engine rejected it, or the host has ended.
    Host(HostError),
}

impl std::fmt::Display for CommandError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Denied(error) => error.fmt(f),
            Self::Host(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CommandError {}

impl From<AccessError> for CommandError {
    fn from(error: AccessError) -> Self {
        Self::Denied(error)
    }
}

impl From<HostError> for CommandError {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

/// A command that the gate has granted, and its operation.
type Granted = (Command, Begun);

impl App {
    /// Opens the journal in this folder and continues from it: see [`over`](Self::over).
    ///
    /// # Errors
    ///
    /// When the journal cannot be opened or restored from.
    pub async fn open(folder: &Path, tokens: Tokens, serving: ServingLimits) -> Result<(Self, Driver), HostError> {
        Self::over(FileJournal::new(folder, Self::stream()), tokens, serving).await
    }

    /// Takes over a journal and continues from it. The driver has to be spawned. `serving` bounds connections and bodies.
    ///
    /// While the journal stores nothing, because a disk is full or a database is away, the host waits, without a limit of time,
    /// and requests are refused with 503. The journal is called on threads that may block.
    ///
    /// # Errors
    ///
    /// When the journal cannot be opened or restored from.
    pub async fn over(
        journal: impl Journal + 'static,
        tokens: Tokens,
        serving: ServingLimits,
    ) -> Result<(Self, Driver), HostError> {
        let (hub, outage) = (Hub::default(), Outage::default());
        let (told, failures) = (hub.clone(), outage.clone());
        // Before the host waits for it: an error at the start is for whoever has started the server.
        let opening = tokio::task::spawn_blocking(move || Shown::open(journal, &told, failures));
        let shown = opening.await.map_err(|error| HostError::Thread(error.to_string()))??;
        let away = |work| drop(tokio::task::spawn_blocking(work));
        let patient = Durable::new().without_snapshots().patience(Duration::MAX);
        let journal = OffThread::new(shown, away);
        let (host, driver) = FutureHost::durable(Config::default(), journal, tokio::time::sleep, patient, away).await?;
        let known = Arc::new(tokens.clone());
        let gate = Gate::new(Policy::standard(), tokens);
        let limits = WireLimits::from(&Limits::default());
        let (server, bodies) = (Server::new(serving), Bodies::new(serving));
        let (gate, trail, strangers) = (Arc::new(gate), Arc::default(), Arc::default());
        let (rates, audit) = (Rates::new(serving.requests_per_second, serving.request_burst), Audit::default());
        Ok((
            Self {
                host,
                hub,
                gate,
                trail,
                limits,
                known,
                server,
                bodies,
                strangers,
                outage,
                rates,
                audit,
                metrics: None,
            },
            driver,
        ))
    }

    /// Passes each operation of a caller to `sink`, when its outcome is known, and each request that is denied: a record of who did
    /// what. It is called by those who handle requests, and must not block. Reads, and what agents report about themselves and
    /// their work, are no operations.
    #[must_use]
    pub fn with_audit(mut self, sink: impl Fn(&Operation) + Send + Sync + 'static) -> Self {
        self.audit = Audit::new(sink);
        self
    }

    /// Adds metrics of the program to the page `/metrics`: complete lines in the format of Prometheus. It is called by those who
    /// handle requests, and must not block.
    #[must_use]
    pub fn with_metrics(mut self, metrics: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.metrics = Some(Arc::new(metrics));
        self
    }

    /// Records what another gate has decided about a caller of the same server, and how the command ended, if it was permitted:
    /// in the audit trail, and for [`with_audit`](Self::with_audit).
    pub fn observe(&self, decision: &Decision, answer: Option<&Result<Accepted, HostError>>) {
        match answer {
            None => self.keep(decision),
            Some(answer) => self.audit.begin(decision.clone()).end(answer),
        }
    }

    /// Counts a request of the owner of a token against its rate, for pages beside the routes. A token that is unknown is not
    /// counted.
    ///
    /// # Errors
    ///
    /// When it is too many (429).
    pub fn within_rate(&self, token: &Token) -> Result<(), Problem> {
        match self.known.verify(token, self.host.now()) {
            Ok(principal) => self.take(&principal),
            Err(_) => Ok(()),
        }
    }

    fn take(&self, principal: &Principal) -> Result<(), Problem> {
        self.rates.take(&principal.name, Instant::now()).map_err(|delay| {
            let text = format!("{} makes more requests than the server allows each caller", principal.name);
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", text).with_retry_after(delay)
        })
    }

    /// The reason why the journal stores nothing at present: a full disk, a database that is away. The server continues when the
    /// journal does.
    #[must_use]
    pub fn outage(&self) -> Option<String> {
        self.outage.now().map(|reason| reason.to_string())
    }

    /// The output of a future that asks the host, for pages beside the routes.
    ///
    /// # Errors
    ///
    /// When the journal stores nothing before the future completes, which is dropped then.
    pub async fn unless_outage<T>(&self, work: impl Future<Output = T>) -> Result<T, Unavailable> {
        self.outage.unless(work).await
    }

    /// The name of the journal's stream, for programs that read the folder.
    #[must_use]
    pub fn stream() -> Stream {
        Stream::new("http-host")
    }

    /// The metrics at this time, of the events since those that the journal has retained.
    #[must_use]
    pub fn metrics(&self) -> MetricsSnapshot {
        self.hub.metrics(self.host.now())
    }

    /// Subscribes the hub to all entries. Call this before the driver is polled for the first time, so that the hub
    /// misses none.
    ///
    /// # Errors
    ///
    /// When the host has ended.
    pub async fn watch(&self) -> Result<(), HostError> {
        let hub = self.hub.clone();
        self.host.watch(move |entry| hub.show(entry)).await
    }

    /// Serves the connections of a listener for as long as the future is polled.
    pub async fn serve(&self, listener: tokio::net::TcpListener) -> std::convert::Infallible {
        self.server.serve(listener, router(self.clone())).await
    }

    /// Dispatches no new attempts, waits this long for those under way, and ends.
    ///
    /// # Errors
    ///
    /// When attempts were still under way; they are in the journal.
    pub async fn shut_down(&self, patience: Duration) -> Result<(), HostError> {
        self.host.shut_down(patience).await
    }

    /// The host, for pages beside the routes. It checks no caller: see [`reader`](Self::reader) and
    /// [`command_of`](Self::command_of).
    #[must_use]
    pub const fn host(&self) -> &FutureHost {
        &self.host
    }

    /// The owner of a token, if it may read everything. The decision is in the audit trail.
    ///
    /// # Errors
    ///
    /// When the token is unknown or has expired, or its owner may not read everything.
    pub fn reader(&self, token: &Token, what: &str) -> Result<Principal, AccessError> {
        let principal = self.known.verify(token, self.host.now()).map_err(|error| {
            self.strangers.fetch_add(1, Ordering::Relaxed);
            AccessError::Unauthenticated(error)
        })?;
        let caller = Caller { token: token.clone(), principal };
        let admitted = self.gate.admit_reading(self.host.now(), Some(&caller.token), what);
        self.keep(&admitted.decision);
        admitted.granted?;
        Ok(caller.principal)
    }

    /// Sends a command to the engine in the name of the owner of a token. The decision is in the audit trail.
    ///
    /// # Errors
    ///
    /// When the owner may not send the command, or the engine rejects it.
    pub async fn command_of(&self, token: &Token, command: impl Into<Command>) -> Result<Accepted, CommandError> {
        let (gate, now, known, command) = (Arc::clone(&self.gate), self.host.now(), token.clone(), command.into());
        let ask = move |engine: &Engine| gate.admit(now, Some(&known), command, engine);
        let admitted = self.host.inspect(ask).await?;
        self.keep(&admitted.decision);
        let (command, begun) = (admitted.granted?, self.audit.begin(admitted.decision));
        let answer = self.host.command(command).await;
        begun.end(&answer);
        Ok(answer?)
    }

    /// Sends a command to the engine, if the caller is allowed to.
    async fn command(&self, caller: &Caller, command: impl Into<Command>) -> Result<Accepted, Refusal> {
        let granted = self.admit(caller, command.into()).await?;
        self.perform(caller, granted).await
    }

    /// Sends an admitted command to the engine. The reason of a rejection has the names of what it mentions, unless the caller
    /// is confined to tenants: names can be those of others.
    async fn perform(&self, caller: &Caller, (command, begun): Granted) -> Result<Accepted, Refusal> {
        let answer = self.host.command(command).await;
        begun.end(&answer);
        let rejected = match answer {
            Err(HostError::Rejected(rejected)) if !caller.principal.is_confined() => rejected,
            answer => return Ok(answer?),
        };
        let of = rejected.clone();
        let reason = self.host.inspect(move |engine: &Engine| engine.explain(&of)).await;
        let refusal = Refusal::from(rejected);
        Err(match reason {
            Ok(reason) => refusal.with_detail(reason),
            Err(_) => refusal,
        })
    }

    /// Returns the command that the engine gets, if the caller is allowed to send it. It has the ids of the engine.
    async fn admit(&self, caller: &Caller, command: Command) -> Result<Granted, Refusal> {
        let (gate, now, token) = (Arc::clone(&self.gate), self.host.now(), caller.token.clone());
        let ask = move |engine: &Engine| gate.admit(now, Some(&token), command, engine);
        let admitted = self.host.inspect(ask).await?;
        self.keep(&admitted.decision);
        Ok((admitted.granted?, self.audit.begin(admitted.decision)))
    }

    /// The same for several commands, by one state of the engine.
    async fn admit_all(
        &self,
        caller: &Caller,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Granted, Refusal>>, Refusal> {
        let (gate, now, token) = (Arc::clone(&self.gate), self.host.now(), caller.token.clone());
        let ask = move |engine: &Engine| {
            let admit = |command| gate.admit(now, Some(&token), command, engine);
            commands.into_iter().map(admit).collect::<Vec<_>>()
        };
        let admitted = self.host.inspect(ask).await?.into_iter();
        let granted = admitted.map(|admitted| {
            self.keep(&admitted.decision);
            Ok((admitted.granted?, self.audit.begin(admitted.decision)))
        });
        Ok(granted.collect())
    }

    /// Whether the caller may read everything.
    fn may_read(&self, caller: &Caller, what: &str) -> Result<(), Refusal> {
        let admitted = self.gate.admit_reading(self.host.now(), Some(&caller.token), what);
        self.keep(&admitted.decision);
        Ok(admitted.granted?)
    }

    /// Whether the caller may read about one object: with the permission to read everything, or to send this command.
    async fn may_read_of(&self, caller: &Caller, what: &str, permitted: Command) -> Result<(), Refusal> {
        let (gate, now, token) = (Arc::clone(&self.gate), self.host.now(), caller.token.clone());
        if gate.admit_reading(now, Some(&token), what).granted.is_ok() {
            return Ok(());
        }
        let ask = move |engine: &Engine| gate.admit(now, Some(&token), permitted, engine);
        self.host.inspect(ask).await?.granted?;
        Ok(())
    }

    fn keep(&self, decision: &Decision) {
        self.audit.denied(decision);
        self.trail.lock().unwrap_or_else(PoisonError::into_inner).push(decision.clone());
    }
}

/// The parameter `wait`: the time in seconds for which a request is held open.
fn wait(parameters: &Parameters) -> Result<Duration, Refusal> {
    let Some(text) = parameters.get("wait") else { return Ok(Duration::ZERO) };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let seconds = if digits(whole) && digits(part) { text.parse().ok() } else { None };
    let seconds: f64 = seconds.filter(|seconds| (0.0..=3600.0).contains(seconds)).ok_or_else(|| {
        Refusal::invalid("wait", format!("`{text}` is not a number of seconds between 0 and 3600, such as 20 or 0.5"))
    })?;
    Ok(Duration::from_secs_f64(seconds).min(LONGEST_WAIT))
}
