//! The tools.

use crate::answers::{
    AgentState, Defined, Registered, Removed, RunState, Schedule, Signalled, Status, TaskState, agent_shown,
    engine_shown, output, run_shown, task_shown, value,
};
use crate::asks::{
    AssignTasks, AttemptReport, DecideWorkflow, DecomposeGoal, DistributeTask, FailureKind, GetStatus,
    HandleTaskResponse, RegisterAgent, ReportedState, SignalWorkflow, StartWorkflow, UnregisterAgent,
    UpdateAgentStatus, id, seconds, wait,
};
use crate::refusal::Refusal;
use crate::tasks::Work;
use crate::{Counterpoint, goals, tasks};
use counterpoint::access::{AccessError, Unauthenticated, Verifier as _};
use counterpoint::engine::Awaited;
use counterpoint::host::future::Events;
use counterpoint::host::{Report, ReportContent, Reported};
use counterpoint::journal::{EventFilter, Family};
use counterpoint::message::TaskEvent;
use counterpoint::message::rejected::Unknown;
use counterpoint::task::{Progress, Usage};
use counterpoint::{
    Accepted, AgentCommand, AgentId, AgentSpec, AttemptId, Command, Engine, Event, Failure, Incarnation, Name, Needs,
    Payload, Policy, Rejected, Retry, RunCommand, RunId, RunSpec, TaskCommand, TaskId, TaskSpec, Tier,
};
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{CallToolResponse, CallToolResult, ProgressNotificationParam};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The lease of an agent whose registration has none.
const LEASE: f64 = 300.0;
/// The number of entries that may wait to be sent as progress.
const ROOM: usize = 256;

type Context = RequestContext<RoleServer>;

/// The result of a tool: data, or the reason of a rejection.
fn tool_result(answer: Result<impl Serialize, Refusal>) -> CallToolResult {
    answer.map_or_else(|refusal| refusal.result(), |answer| CallToolResult::structured(value(&answer)))
}

/// The result of a tool that may return a task instead.
fn tool_response(answer: Result<CallToolResponse, Refusal>) -> CallToolResponse {
    answer.unwrap_or_else(|refusal| refusal.result().into())
}

#[tool_router(vis = "pub(crate)")]
impl Counterpoint {
    #[tool(
        description = "Registers an agent, so that tasks that need its skills are assigned to it. Use it once, before \
                       the agent polls for work with get_status. Returns the incarnation that all later calls for the \
                       agent need. Registering the same agent again ends its earlier incarnation, and the work that it \
                       held goes to other agents.",
        output_schema = output::<Registered>(),
        annotations(title = "Register an agent", read_only_hint = false, destructive_hint = true, idempotent_hint = false, open_world_hint = false)
    )]
    async fn register_agent(&self, Parameters(asked): Parameters<RegisterAgent>, context: Context) -> CallToolResult {
        tool_result(self.register(asked, &context).await)
    }

    #[tool(
        description = "Removes an agent. Use it when the agent ends: with drain it finishes the attempts that it holds \
                       first; without, they go to other agents at once. To stop new work for a while, use \
                       update_agent_status instead.",
        output_schema = output::<Removed>(),
        annotations(title = "Remove an agent", read_only_hint = false, destructive_hint = true, idempotent_hint = true, open_world_hint = false)
    )]
    async fn unregister_agent(
        &self,
        Parameters(asked): Parameters<UnregisterAgent>,
        context: Context,
    ) -> CallToolResult {
        tool_result(self.unregister(asked, &context).await)
    }

    #[tool(
        description = "Reports that a registered agent is alive, which renews its lease, and changes its capacity, its \
                       skills or whether it takes new work. Use it while the agent works longer than its lease, or to \
                       stop new work before the agent ends. Returns the agent with the attempts that it holds.",
        output_schema = output::<AgentState>(),
        annotations(title = "Update an agent", read_only_hint = false, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn update_agent_status(
        &self,
        Parameters(asked): Parameters<UpdateAgentStatus>,
        context: Context,
    ) -> CallToolResult {
        tool_result(self.update(asked, &context).await)
    }

    #[tool(
        description = "Submits a task, which the engine assigns to an agent with the needed skills, and retries if an \
                       attempt fails. Use it for one piece of work; for several steps that depend on each other, use \
                       decompose_goal and start_workflow. The key makes repeated calls safe: the same key is the same \
                       task. Returns the state of the task, or with wait_seconds its outcome. A task that no agent can \
                       perform waits.",
        output_schema = output::<TaskState>(),
        annotations(title = "Submit a task", read_only_hint = false, destructive_hint = false, idempotent_hint = true, open_world_hint = true)
    )]
    async fn distribute_task(
        &self,
        Parameters(asked): Parameters<DistributeTask>,
        context: Context,
    ) -> CallToolResponse {
        tool_response(self.distribute(asked, &context).await)
    }

    #[tool(
        description = "Reports the result of an attempt, as the agent that holds it: either output or failure. Use it \
                       once for each attempt that get_status returned for the agent, also for those marked as \
                       cancelled. A result for an attempt that the agent no longer holds is rejected with the code \
                       stale_attempt. Returns the state of the task.",
        output_schema = output::<TaskState>(),
        annotations(title = "Report a result", read_only_hint = false, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn handle_task_response(
        &self,
        Parameters(asked): Parameters<HandleTaskResponse>,
        context: Context,
    ) -> CallToolResult {
        tool_result(self.respond(asked, &context).await)
    }

    #[tool(
        description = "Turns a goal into a workflow of steps, validates it and defines it under a name; it starts \
                       nothing. Use it before start_workflow when the work has several steps. Give either rules or a \
                       document with the steps. If the workflow is invalid, the reason names each fault, and nothing is \
                       defined. Returns the name, the version and the nodes.",
        output_schema = output::<Defined>(),
        annotations(title = "Define a workflow", read_only_hint = false, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn decompose_goal(&self, Parameters(asked): Parameters<DecomposeGoal>, context: Context) -> CallToolResult {
        tool_result(self.decompose(asked, &context).await)
    }

    #[tool(
        description = "Computes a schedule for the tasks that wait in the engine and for the given ones: which agent \
                       would perform each, and when, with a short total duration. Use it to estimate how long work \
                       takes or whether agents are missing. It submits and assigns nothing. All times are in seconds \
                       from now.",
        output_schema = output::<Schedule>(),
        annotations(title = "Plan tasks", read_only_hint = true, open_world_hint = false)
    )]
    async fn assign_tasks(&self, Parameters(asked): Parameters<AssignTasks>, context: Context) -> CallToolResult {
        tool_result(self.assign(asked, &context).await)
    }

    #[tool(
        description = "Returns the state of the task, run or agent that the call names, or counts of the whole engine \
                       if it names none. Use it to follow work that was submitted, and as an agent to poll for work: \
                       the field work lists the attempts to perform, each of which is answered with \
                       handle_task_response. With wait_seconds it returns when the task or run has ended, or when there \
                       is work for the agent. Called by the agent itself, it renews the lease of the agent and changes \
                       nothing else.",
        output_schema = output::<Status>(),
        annotations(title = "Read a state", read_only_hint = true, open_world_hint = false)
    )]
    async fn get_status(&self, Parameters(asked): Parameters<GetStatus>, context: Context) -> CallToolResult {
        tool_result(self.status(asked, &context).await)
    }

    #[tool(
        description = "Starts a run of a workflow that decompose_goal has defined: its steps become tasks for agents, \
                       in their order, and completed steps are compensated if the run fails. Use it when the work has \
                       several steps; for a single task, use distribute_task. The key makes repeated calls safe: the \
                       same key is the same run. Returns the state of the run, or with wait_seconds its outcome.",
        output_schema = output::<RunState>(),
        annotations(title = "Start a workflow", read_only_hint = false, destructive_hint = false, idempotent_hint = true, open_world_hint = true)
    )]
    async fn start_workflow(&self, Parameters(asked): Parameters<StartWorkflow>, context: Context) -> CallToolResponse {
        tool_response(self.start(asked, &context).await)
    }

    #[tool(
        description = "Sends a signal with a payload to a run. Use it when get_status shows that the run waits for a \
                       signal of this name; a signal that arrives earlier is stored for a node that will wait for it. \
                       Each call sends one more signal. Whether the run received it is in the field accepted.",
        output_schema = output::<Signalled>(),
        annotations(title = "Signal a workflow", read_only_hint = false, destructive_hint = false, idempotent_hint = false, open_world_hint = true)
    )]
    async fn signal_workflow(&self, Parameters(asked): Parameters<SignalWorkflow>, context: Context) -> CallToolResult {
        tool_result(self.signal(asked, &context).await)
    }

    #[tool(
        description = "Decides in a run that waits for a decision, with one of the options that the workflow lists. Use \
                       it when get_status shows that the run waits for a decision, and only as the person or system \
                       that is to decide: the caller needs the role that the workflow names. The run goes on with the \
                       option, which cannot be taken back.",
        output_schema = output::<Signalled>(),
        annotations(title = "Decide in a workflow", read_only_hint = false, destructive_hint = true, idempotent_hint = false, open_world_hint = true)
    )]
    async fn decide_workflow(&self, Parameters(asked): Parameters<DecideWorkflow>, context: Context) -> CallToolResult {
        tool_result(self.decide(asked, &context).await)
    }
}

impl Counterpoint {
    async fn register(&self, asked: RegisterAgent, context: &Context) -> Result<Registered, Refusal> {
        let lease = seconds(asked.lease_seconds.unwrap_or(LEASE))?;
        let mut spec = AgentSpec::new(AgentId::new(id(&asked.agent)?)).with_lease(lease);
        spec.capacity = asked.capacity.unwrap_or(1);
        spec.name = asked.name.map(Name::from);
        spec.skills = named(asked.skills);
        match self.command(context, Command::register(spec)).await? {
            Accepted::Registered(by) => Ok(Registered { agent: asked.agent, incarnation: by.number().to_string() }),
            _ => Err(Refusal::new("internal", "the registration returned no incarnation")),
        }
    }

    async fn unregister(&self, asked: UnregisterAgent, context: &Context) -> Result<Removed, Refusal> {
        let agent = AgentId::new(id(&asked.agent)?);
        let command = if asked.drain { AgentCommand::Drain { agent } } else { AgentCommand::Deregister { agent } };
        let accepted = self.command(context, command).await?;
        Ok(Removed { agent: asked.agent, accepted: accepted.into() })
    }

    async fn update(&self, asked: UpdateAgentStatus, context: &Context) -> Result<AgentState, Refusal> {
        let agent = AgentId::new(id(&asked.agent)?);
        let by = Incarnation::new(agent, id(&asked.incarnation)?);
        self.command(context, AgentCommand::Heartbeat { by }).await?;
        if asked.capacity.is_some() || asked.skills.is_some() {
            let spec = self.host.inspect(move |engine| engine.agent(agent).map(|agent| agent.spec().clone())).await?;
            let mut spec = spec.ok_or(Rejected::Unknown(Unknown::Agent(agent)))?;
            spec.capacity = asked.capacity.unwrap_or(spec.capacity);
            spec.skills = asked.skills.map_or(spec.skills, named);
            self.command(context, AgentCommand::Update { by, spec }).await?;
        }
        for report in asked.attempts {
            self.report(by, report, context).await?;
        }
        if asked.status == ReportedState::Draining {
            self.command(context, AgentCommand::Drain { agent }).await?;
        }
        self.agent(agent).await
    }

    /// Passes on what an agent reports of an attempt.
    async fn report(&self, by: Incarnation, report: AttemptReport, context: &Context) -> Result<(), Refusal> {
        let attempt = AttemptId::new(TaskId::new(id(&report.task)?), report.attempt);
        let progress = report.progress.map(|share| Progress::new(share, report.text)).transpose();
        let progress = progress.map_err(|error| Refusal::new("progress", error.to_string()))?;
        let details = Payload::new(report.details.unwrap_or_default());
        // What is reported beside has the same holder, and needs no other permission.
        self.command(context, AgentCommand::AttemptHeartbeat { by, attempt, details }).await?;
        if let Some(progress) = progress {
            self.host.report(by, attempt, Reported::Progress(progress)).await?;
        }
        if let Some(chunk) = report.chunk {
            self.host.report(by, attempt, Reported::Chunk(Payload::new(chunk))).await?;
        }
        Ok(())
    }

    async fn distribute(&self, asked: DistributeTask, context: &Context) -> Result<CallToolResponse, Refusal> {
        let span = wait(asked.wait_seconds)?;
        let (number, kept) = self.id_of(context, "task", &asked.key, asked.tenant.as_deref())?;
        let named = TaskId::new(number);
        let granted = self.may(context, Command::submit(task_of(named, asked)?.with_key(kept))).await?;
        // That of the engine, which differs for a confined caller.
        let task = if let Command::Task(TaskCommand::Submit(spec)) = &granted.0 { spec.id } else { named };
        if span > Duration::ZERO && tasks::is_followed(context) {
            self.perform(context, granted).await?;
            return self.task_response(Work::Task(task)).await;
        }
        // Subscribed before the submission, so that no event of the task is missed.
        let mut events = self.host.events(EventFilter::tasks().about(task), ROOM).await?;
        self.perform(context, granted).await?;
        let now = self.await_task(task, span, &mut events, context).await?;
        Ok(CallToolResult::structured(value(&now)).into())
    }

    /// Waits for the end of a task, and sends its events as progress.
    async fn await_task(
        &self,
        task: TaskId,
        span: Duration,
        events: &mut Events,
        context: &Context,
    ) -> Result<TaskState, Refusal> {
        let until = Instant::now() + span;
        let mut reports = self.host.task_reports(task).await?;
        let mut count = 0;
        loop {
            let now = self.host.inspect(move |engine| task_shown(engine, task)).await?;
            let now = now.ok_or(Rejected::Unknown(Unknown::Task(task)))?;
            if span == Duration::ZERO || now.outcome.is_some() {
                return Ok(now);
            }
            // Reports end with the task, whose end is an event.
            let text = tokio::select! {
                Some(report) = reports.next() => told(&report),
                seen = timeout_at(until, events.next()) => {
                    let Ok(Some(entry)) = seen else { return Ok(now) };
                    self.host.inspect(move |engine| engine.describe(&entry)).await?
                }
            };
            count += 1;
            progress(context, f64::from(count), None, &text).await;
        }
    }

    async fn respond(&self, asked: HandleTaskResponse, context: &Context) -> Result<TaskState, Refusal> {
        let by = Incarnation::new(AgentId::new(id(&asked.agent)?), id(&asked.incarnation)?);
        let task = TaskId::new(id(&asked.task)?);
        let attempt = AttemptId::new(task, asked.attempt);
        let command = match (asked.output, asked.failure) {
            (Some(output), None) => Command::complete(by, attempt, Payload::new(output)),
            (None, Some(report)) => {
                let failure = match report.kind {
                    FailureKind::Transient => Failure::transient(report.message),
                    FailureKind::Overloaded => {
                        let seconds = report.retry_after_seconds.unwrap_or_default();
                        Failure::overloaded(report.message, Duration::from_secs(seconds.into()))
                    }
                    FailureKind::Permanent => Failure::permanent(report.message),
                    FailureKind::Unknown => Failure::unknown(report.message),
                };
                let failure = failure.with_details(Payload::new(report.details.unwrap_or_default()));
                let failure = report.code.into_iter().fold(failure, Failure::with_code);
                Command::fail(by, attempt, failure)
            }
            _ => return Err(Refusal::new("no_verdict", "specify either `output` or `failure`")),
        };
        let used = Usage::default().with_tokens(asked.tokens).with_cost(asked.cost);
        self.command(context, command.using(used)).await?;
        let now = self.host.inspect(move |engine| task_shown(engine, task)).await?;
        Ok(now.ok_or(Rejected::Unknown(Unknown::Task(task)))?)
    }

    async fn decompose(&self, asked: DecomposeGoal, context: &Context) -> Result<Defined, Refusal> {
        let skills = |engine: &Engine| engine.agents().flat_map(|agent| agent.spec().skills.keys().cloned()).collect();
        let definition = goals::workflow(asked, self.host.inspect(skills).await?)?;
        let shown = goals::shown(&definition);
        self.command(context, Command::define(definition)).await?;
        Ok(shown)
    }

    async fn assign(&self, asked: AssignTasks, context: &Context) -> Result<Schedule, Refusal> {
        self.may_read(context, "a plan")?;
        let now = self.host.now();
        let outlook = self.host.inspect(move |engine| goals::outlook(engine, now, &asked)).await??;
        // Planning takes time: the engine does not wait for it.
        let found = tokio::task::spawn_blocking(move || goals::plan(&outlook)).await;
        found.map_err(|error| Refusal::new("no_plan", error.to_string()))?
    }

    async fn status(&self, asked: GetStatus, context: &Context) -> Result<Status, Refusal> {
        let span = wait(asked.wait_seconds)?;
        match (asked.task, asked.run, asked.agent) {
            (Some(task), None, None) => {
                let asked = Work::Task(TaskId::new(id(&task)?));
                let Work::Task(task) = self.may_see(asked, context).await? else { return Err(other_work()) };
                let mut events = self.host.events(EventFilter::tasks().about(task), ROOM).await?;
                Ok(Status::Task(self.await_task(task, span, &mut events, context).await?))
            }
            (None, Some(run), None) => {
                let asked = Work::Run(RunId::new(id(&run)?));
                let Work::Run(run) = self.may_see(asked, context).await? else { return Err(other_work()) };
                Ok(Status::Run(self.await_run(run, span, context).await?))
            }
            (None, None, Some(agent)) => {
                Ok(Status::Agent(self.work_of(AgentId::new(id(&agent)?), span, context).await?))
            }
            (None, None, None) => {
                self.may_read(context, "the whole")?;
                Ok(Status::Engine(self.host.inspect(engine_shown).await?))
            }
            _ => Err(Refusal::new("too_much", "specify at most one of `task`, `run` and `agent`")),
        }
    }

    /// An agent with the attempts that it holds; waits until it holds some.
    async fn work_of(&self, agent: AgentId, span: Duration, context: &Context) -> Result<AgentState, Refusal> {
        let incarnation = self.host.inspect(move |engine| engine.agent(agent).map(|agent| agent.incarnation())).await?;
        let by = incarnation.ok_or(Rejected::Unknown(Unknown::Agent(agent)))?;
        // A request of the agent itself is a heartbeat; other callers need the permission to read.
        let alive = AgentCommand::Heartbeat { by }.into();
        match self.may(context, alive).await {
            Ok((alive, _)) => drop(self.host.command(alive).await?),
            Err(refusal) => self.may_read(context, "an agent").map_err(|_| refusal)?,
        }
        let given = move |entry: &counterpoint::Entry| matches!(&entry.event, Event::Task { event: TaskEvent::Assigned { to, .. }, .. } if to.agent() == agent);
        let mut events = self.host.events(EventFilter::of([Family::Task]).matching(given), 1).await?;
        let now = self.agent(agent).await?;
        if now.work.is_empty()
            && span > Duration::ZERO
            && timeout_at(Instant::now() + span, events.next()).await.is_ok()
        {
            return self.agent(agent).await;
        }
        Ok(now)
    }

    async fn agent(&self, agent: AgentId) -> Result<AgentState, Refusal> {
        let look = move |engine: &Engine| engine.agent(agent).map(|agent| agent_shown(engine, &agent));
        Ok(self.host.inspect(look).await?.ok_or(Rejected::Unknown(Unknown::Agent(agent)))?)
    }

    async fn start(&self, asked: StartWorkflow, context: &Context) -> Result<CallToolResponse, Refusal> {
        let span = wait(asked.wait_seconds)?;
        let (number, kept) = self.id_of(context, "run", &asked.key, asked.tenant.as_deref())?;
        let named = RunId::new(number);
        let mut spec = RunSpec::new(named, asked.workflow).with_key(kept).with_input(Payload::new(asked.input));
        (spec.version, spec.tenant) = (asked.version, asked.tenant.map(Name::from));
        let granted = self.may(context, Command::start(spec)).await?;
        // That of the engine, which differs for a confined caller.
        let run = if let Command::Run(RunCommand::Start(spec)) = &granted.0 { spec.id } else { named };
        self.perform(context, granted).await?;
        if span > Duration::ZERO && tasks::is_followed(context) {
            return self.task_response(Work::Run(run)).await;
        }
        let now = self.await_run(run, span, context).await?;
        Ok(CallToolResult::structured(value(&now)).into())
    }

    /// Waits for the end of a run, and sends its progress.
    async fn await_run(&self, run: RunId, span: Duration, context: &Context) -> Result<RunState, Refusal> {
        let until = Instant::now() + span;
        let look = move |engine: &Engine| engine.run(run).map(|run| run_shown(&run));
        let mut stream = self.host.progress(run).await?;
        let mut reports = self.host.reports(run).await?;
        let (mut share, mut last) = (0.0, f64::NEG_INFINITY);
        // The stream ends with the run; without a wait time the timeout elapses at once.
        loop {
            let text = tokio::select! {
                Some(report) = reports.next(), if span > Duration::ZERO => told(&report),
                far = timeout_at(until, stream.next()) => {
                    let Ok(Some(far)) = far else { break };
                    share = far.share;
                    far.bar(20)
                }
            };
            // The protocol wants each number to be larger than the one before.
            last = if share > last { share } else { last.next_up() };
            progress(context, last, Some(1.0), &text).await;
        }
        Ok(self.host.inspect(look).await?.ok_or(Rejected::Unknown(Unknown::Run(run)))?)
    }

    async fn signal(&self, asked: SignalWorkflow, context: &Context) -> Result<Signalled, Refusal> {
        let run = RunId::new(id(&asked.run)?);
        let (signal, payload) = (Name::from(asked.signal), Payload::new(asked.payload));
        let accepted = self.command(context, RunCommand::Signal { run, signal, payload }).await?;
        Ok(Signalled { run: asked.run, accepted: accepted.into() })
    }

    /// Decides for a node, in those roles of the caller that may decide.
    async fn decide(&self, asked: DecideWorkflow, context: &Context) -> Result<Signalled, Refusal> {
        let token = self.token(context).ok_or(AccessError::Unauthenticated(Unauthenticated::Missing))?;
        let caller = self.known.verify(&token, self.now()).map_err(AccessError::Unauthenticated)?;
        let (run, node) = (RunId::new(id(&asked.run)?), Name::from(asked.node));
        let awaited = node.clone();
        let (gate, now) = (Arc::clone(&self.gate), self.now());
        let look = move |engine: &Engine| {
            let run = gate.admit_run(now, Some(&token), run, engine).granted?;
            let waits = engine.run(run).map(|run| run.waits()).unwrap_or_default();
            Ok::<_, AccessError>(waits.into_iter().find_map(|wait| match wait.on {
                Awaited::Decision { roles, .. } if wait.run == run && wait.node.as_ref() == Some(&awaited) => {
                    Some(roles)
                }
                _ => None,
            }))
        };
        let roles: Vec<Name> = self.host.inspect(look).await??.unwrap_or_default();
        let own = |role: &Name| caller.has_role(role);
        let roles = roles.into_iter().filter(own).collect();
        let (option, note) = (Name::from(asked.option), Payload::new(asked.note));
        let command = RunCommand::Decide { run, node, by: caller.name, roles, option, note };
        let accepted = self.command(context, command).await?;
        Ok(Signalled { run: asked.run, accepted: accepted.into() })
    }
}

/// A gate grants a task for a task and a run for a run.
fn other_work() -> Refusal {
    Refusal::new("internal", "the gate granted another sort of work")
}

/// The characters of a part of an output that a notification shows.
const CHUNK_SHOWN: usize = 2_000;

/// A report of an attempt, for people.
fn told(report: &Report) -> String {
    let about = format!("{} ({})", report.kind, report.attempt);
    match &report.content {
        ReportContent::Progress(progress) => format!("{about}: {:.0} % {}", progress.share() * 100.0, progress.text()),
        ReportContent::Chunk { chunk, .. } => {
            let text: String = chunk.to_string().chars().take(CHUNK_SHOWN).collect();
            format!("{about}: {text}")
        }
        _ => about,
    }
}

/// Sends progress to a caller that requested it.
async fn progress(context: &Context, done: f64, of: Option<f64>, message: &str) {
    let Some(token) = context.meta.get_progress_token() else { return };
    let mut notification = ProgressNotificationParam::new(token, done).with_message(message);
    notification.total = of;
    // A caller that has disconnected gets no progress.
    let _ = context.peer.notify_progress(notification).await;
}

fn named(skills: std::collections::BTreeMap<String, u16>) -> std::collections::BTreeMap<Name, u16> {
    skills.into_iter().map(|(name, level)| (Name::from(name), level)).collect()
}

fn task_of(task: TaskId, asked: DistributeTask) -> Result<TaskSpec, Refusal> {
    let mut spec = TaskSpec::new(task, asked.kind).with_payload(Payload::new(asked.payload));
    if let Some(skills) = asked.skills {
        let needs = skills.into_iter().fold(Needs::nothing(), |needs, (name, level)| needs.and_skill(name, level));
        spec = spec.with_needs(needs);
    }
    if let Some(tier) = asked.tier {
        let tier: Result<Tier, _> = serde_json::from_value(tier.into());
        spec = spec.with_tier(tier.map_err(|error| Refusal::new("bad_tier", error.to_string()))?);
    }
    if let Some(attempts) = asked.attempts {
        let retry = Retry::exponential(attempts, Duration::from_millis(100), Duration::from_secs(10));
        spec = spec.with_policy(Policy::default().with_retry(retry));
    }
    spec.tenant = asked.tenant.map(Name::from);
    let after: Result<Vec<TaskId>, Refusal> = asked.after.iter().map(|text| Ok(TaskId::new(id(text)?))).collect();
    Ok(spec.with_after(after?))
}
