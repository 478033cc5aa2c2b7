//! The tools.

use crate::asks::{
    AgentState, AssignTasks, DecomposeGoal, DistributeTask, FailureKind, GetStatus, HandleTaskResponse, RegisterAgent,
    SignalWorkflow, StartWorkflow, UnregisterAgent, UpdateAgentStatus, id, seconds,
};
use crate::refusal::Refusal;
use crate::tasks::Work;
use crate::{Counterpoint, goals, tasks};
use counterpoint::engine::RunView;
use counterpoint::host::future::Events;
use counterpoint::journal::{EventFilter, Family};
use counterpoint::message::TaskEvent;
use counterpoint::message::rejected::Unknown;
use counterpoint::observe::describe;
use counterpoint::scheduler::AgentView;
use counterpoint::{
    Accepted, AgentCommand, AgentId, AgentSpec, AttemptId, Command, Effect, Engine, Event, Failure, Incarnation, Name,
    Needs, Payload, Policy, Rejected, Retry, RunCommand, RunId, RunSpec, TaskId, TaskSpec, Tier,
};
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{CallToolResponse, CallToolResult, ProgressNotificationParam};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The lease of an agent whose registration has none.
const LEASE: f64 = 300.0;
/// The number of entries that may wait to be sent as progress.
const ROOM: usize = 256;

type Context = RequestContext<RoleServer>;

/// The result of a tool: data, or the reason of a rejection.
fn tool_result(answer: Result<Value, Refusal>) -> CallToolResult {
    answer.map_or_else(|refusal| refusal.result(), CallToolResult::structured)
}

/// The result of a tool that may return a task instead.
fn tool_response(answer: Result<CallToolResponse, Refusal>) -> CallToolResponse {
    answer.unwrap_or_else(|refusal| refusal.result().into())
}

#[tool_router(vis = "pub(crate)")]
impl Counterpoint {
    #[tool(
        description = "Registers an agent. Returns its incarnation, which the agent includes in all later messages."
    )]
    async fn register_agent(&self, Parameters(asked): Parameters<RegisterAgent>, context: Context) -> CallToolResult {
        tool_result(self.register(asked, &context).await)
    }

    #[tool(
        description = "Removes an agent: at once, so that its attempts go to other agents, or when it has finished them."
    )]
    async fn unregister_agent(
        &self,
        Parameters(asked): Parameters<UnregisterAgent>,
        context: Context,
    ) -> CallToolResult {
        tool_result(self.unregister(asked, &context).await)
    }

    #[tool(description = "Updates an agent: heartbeat, draining, capacity or skills.")]
    async fn update_agent_status(
        &self,
        Parameters(asked): Parameters<UpdateAgentStatus>,
        context: Context,
    ) -> CallToolResult {
        tool_result(self.update(asked, &context).await)
    }

    #[tool(
        description = "Submits a task, which is assigned to an agent that can perform it. The same key identifies the same \
                          task. Can wait for the outcome."
    )]
    async fn distribute_task(
        &self,
        Parameters(asked): Parameters<DistributeTask>,
        context: Context,
    ) -> CallToolResponse {
        tool_response(self.distribute(asked, &context).await)
    }

    #[tool(description = "Reports the result of an attempt that the agent holds.")]
    async fn handle_task_response(
        &self,
        Parameters(asked): Parameters<HandleTaskResponse>,
        context: Context,
    ) -> CallToolResult {
        tool_result(self.respond(asked, &context).await)
    }

    #[tool(
        description = "Turns a goal into a workflow, by rules or from a document of the caller, validates the workflow and \
                          defines it. Starts nothing."
    )]
    async fn decompose_goal(&self, Parameters(asked): Parameters<DecomposeGoal>, context: Context) -> CallToolResult {
        tool_result(self.decompose(asked, &context).await)
    }

    #[tool(
        description = "Computes a schedule with a short duration for the waiting tasks and the given tasks. Submits \
                          nothing."
    )]
    async fn assign_tasks(&self, Parameters(asked): Parameters<AssignTasks>, context: Context) -> CallToolResult {
        tool_result(self.assign(asked, &context).await)
    }

    #[tool(
        description = "Returns the state of a task, a run, an agent or the engine. An agent uses it to poll for work, and \
                          can wait for work."
    )]
    async fn get_status(&self, Parameters(asked): Parameters<GetStatus>, context: Context) -> CallToolResult {
        tool_result(self.status(asked, &context).await)
    }

    #[tool(description = "Starts a run of a workflow. The same key identifies the same run. Can wait for its end.")]
    async fn start_workflow(&self, Parameters(asked): Parameters<StartWorkflow>, context: Context) -> CallToolResponse {
        tool_response(self.start(asked, &context).await)
    }

    #[tool(description = "Sends a signal to a run that waits for it, or will wait for it.")]
    async fn signal_workflow(&self, Parameters(asked): Parameters<SignalWorkflow>, context: Context) -> CallToolResult {
        tool_result(self.signal(asked, &context).await)
    }
}

impl Counterpoint {
    async fn register(&self, asked: RegisterAgent, context: &Context) -> Result<Value, Refusal> {
        let lease = seconds(asked.lease_seconds.unwrap_or(LEASE))?;
        let mut spec = AgentSpec::new(AgentId::new(id(&asked.agent)?)).with_lease(lease);
        spec.capacity = asked.capacity.unwrap_or(1);
        spec.name = asked.name.map(Name::from);
        spec.skills = named(asked.skills);
        match self.command(context, Command::register(spec)).await? {
            Accepted::Registered(by) => Ok(json!({"agent": asked.agent, "incarnation": by.number().to_string()})),
            other => Ok(json!({"agent": asked.agent, "accepted": other})),
        }
    }

    async fn unregister(&self, asked: UnregisterAgent, context: &Context) -> Result<Value, Refusal> {
        let agent = AgentId::new(id(&asked.agent)?);
        let command = if asked.drain { AgentCommand::Drain { agent } } else { AgentCommand::Deregister { agent } };
        let accepted = self.command(context, command).await?;
        Ok(json!({"agent": asked.agent, "accepted": accepted}))
    }

    async fn update(&self, asked: UpdateAgentStatus, context: &Context) -> Result<Value, Refusal> {
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
        if asked.status == AgentState::Draining {
            self.command(context, AgentCommand::Drain { agent }).await?;
        }
        self.agent(agent).await
    }

    async fn distribute(&self, asked: DistributeTask, context: &Context) -> Result<CallToolResponse, Refusal> {
        let span = seconds(asked.wait_seconds)?;
        let spec = task_of(asked)?;
        let named = spec.id;
        let command = self.may(context, Command::submit(spec)).await?;
        let task = match Work::of(&command) {
            Some(Work::Task(task)) => task,
            Some(Work::Run(_)) | None => named,
        };
        if span > Duration::ZERO && tasks::is_followed(context) {
            self.host.command(command).await?;
            return self.task_response(Work::Task(task)).await;
        }
        // Subscribed before the submission, so that no event of the task is missed.
        let mut events = self.host.events(EventFilter::tasks().about(task), ROOM).await?;
        self.host.command(command).await?;
        let now = self.await_task(task, span, &mut events, context).await?;
        Ok(CallToolResult::structured(now).into())
    }

    /// Waits for the end of a task, and sends its events as progress.
    async fn await_task(
        &self,
        task: TaskId,
        span: Duration,
        events: &mut Events,
        context: &Context,
    ) -> Result<Value, Refusal> {
        let until = Instant::now() + span;
        let mut count = 0;
        loop {
            let now = self.host.inspect(move |engine| task_shown(engine, task)).await?;
            let now = now.ok_or(Rejected::Unknown(Unknown::Task(task)))?;
            if span == Duration::ZERO || !now["outcome"].is_null() {
                return Ok(now);
            }
            let Ok(Some(entry)) = timeout_at(until, events.next()).await else { return Ok(now) };
            count += 1;
            progress(context, f64::from(count), None, &describe(&entry)).await;
        }
    }

    async fn respond(&self, asked: HandleTaskResponse, context: &Context) -> Result<Value, Refusal> {
        let by = Incarnation::new(AgentId::new(id(&asked.agent)?), id(&asked.incarnation)?);
        let task = TaskId::new(id(&asked.task)?);
        let attempt = AttemptId::new(task, asked.attempt);
        let command = match (asked.output, asked.failure) {
            (Some(output), None) => Command::complete(by, attempt, Payload::new(output)),
            (None, Some(report)) => {
                let failure = match report.kind {
                    FailureKind::Transient => Failure::transient(report.message),
                    FailureKind::Permanent => Failure::permanent(report.message),
                    FailureKind::Unknown => Failure::unknown(report.message),
                };
                Command::fail(by, attempt, failure)
            }
            _ => return Err(Refusal::new("no_verdict", "specify either `output` or `failure`")),
        };
        self.command(context, command).await?;
        let now = self.host.inspect(move |engine| task_shown(engine, task)).await?;
        Ok(now.ok_or(Rejected::Unknown(Unknown::Task(task)))?)
    }

    async fn decompose(&self, asked: DecomposeGoal, context: &Context) -> Result<Value, Refusal> {
        let skills = |engine: &Engine| engine.agents().flat_map(|agent| agent.spec().skills.keys().cloned()).collect();
        let definition = goals::workflow(asked, self.host.inspect(skills).await?)?;
        let shown = goals::shown(&definition);
        self.command(context, Command::define(definition)).await?;
        Ok(shown)
    }

    async fn assign(&self, asked: AssignTasks, context: &Context) -> Result<Value, Refusal> {
        self.may_read(context, "a plan")?;
        let now = self.host.now();
        let outlook = self.host.inspect(move |engine| goals::outlook(engine, now, &asked)).await??;
        // Planning takes time: the engine does not wait for it.
        let found = tokio::task::spawn_blocking(move || goals::plan(&outlook)).await;
        found.map_err(|error| Refusal::new("no_plan", error.to_string()))?
    }

    async fn status(&self, asked: GetStatus, context: &Context) -> Result<Value, Refusal> {
        let span = seconds(asked.wait_seconds)?;
        match (asked.task, asked.run, asked.agent) {
            (Some(task), None, None) => {
                let asked = Work::Task(TaskId::new(id(&task)?));
                let Work::Task(task) = self.may_see(asked, context).await? else { return Err(other_work()) };
                let mut events = self.host.events(EventFilter::tasks().about(task), ROOM).await?;
                self.await_task(task, span, &mut events, context).await
            }
            (None, Some(run), None) => {
                let asked = Work::Run(RunId::new(id(&run)?));
                let Work::Run(run) = self.may_see(asked, context).await? else { return Err(other_work()) };
                self.await_run(run, span, context).await
            }
            (None, None, Some(agent)) => self.work_of(AgentId::new(id(&agent)?), span, context).await,
            (None, None, None) => {
                self.may_read(context, "the whole")?;
                Ok(self.host.inspect(whole).await?)
            }
            _ => Err(Refusal::new("too_much", "specify at most one of `task`, `run` and `agent`")),
        }
    }

    /// An agent with the attempts that it holds; waits until it holds some.
    async fn work_of(&self, agent: AgentId, span: Duration, context: &Context) -> Result<Value, Refusal> {
        let incarnation = self.host.inspect(move |engine| engine.agent(agent).map(|agent| agent.incarnation())).await?;
        let by = incarnation.ok_or(Rejected::Unknown(Unknown::Agent(agent)))?;
        // A request of the agent itself is a heartbeat; other callers need the permission to read.
        let alive = AgentCommand::Heartbeat { by }.into();
        match self.may(context, alive).await {
            Ok(alive) => drop(self.host.command(alive).await?),
            Err(refusal) => self.may_read(context, "an agent").map_err(|_| refusal)?,
        }
        let given = move |entry: &counterpoint::Entry| matches!(&entry.event, Event::Task { event: TaskEvent::Assigned { to, .. }, .. } if to.agent() == agent);
        let mut events = self.host.events(EventFilter::of([Family::Task]).matching(given), 1).await?;
        let now = self.agent(agent).await?;
        let idle = now["work"].as_array().is_some_and(Vec::is_empty);
        if idle && span > Duration::ZERO && timeout_at(Instant::now() + span, events.next()).await.is_ok() {
            return self.agent(agent).await;
        }
        Ok(now)
    }

    async fn agent(&self, agent: AgentId) -> Result<Value, Refusal> {
        let look = move |engine: &Engine| engine.agent(agent).map(|agent| agent_shown(engine, &agent));
        Ok(self.host.inspect(look).await?.ok_or(Rejected::Unknown(Unknown::Agent(agent)))?)
    }

    async fn start(&self, asked: StartWorkflow, context: &Context) -> Result<CallToolResponse, Refusal> {
        let span = seconds(asked.wait_seconds)?;
        let named = RunId::from_key(&asked.key);
        let mut spec = RunSpec::new(named, asked.workflow).with_input(Payload::new(asked.input));
        spec.version = asked.version;
        let command = self.may(context, Command::start(spec)).await?;
        let run = match Work::of(&command) {
            Some(Work::Run(run)) => run,
            Some(Work::Task(_)) | None => named,
        };
        self.host.command(command).await?;
        if span > Duration::ZERO && tasks::is_followed(context) {
            return self.task_response(Work::Run(run)).await;
        }
        let now = self.await_run(run, span, context).await?;
        Ok(CallToolResult::structured(now).into())
    }

    /// Waits for the end of a run, and sends its progress.
    async fn await_run(&self, run: RunId, span: Duration, context: &Context) -> Result<Value, Refusal> {
        let until = Instant::now() + span;
        let look = move |engine: &Engine| engine.run(run).map(|run| run_shown(&run));
        let mut stream = self.host.progress(run).await?;
        // The stream ends with the run; without a wait time the timeout elapses at once.
        while let Ok(Some(far)) = timeout_at(until, stream.next()).await {
            progress(context, far.share, Some(1.0), &far.bar(20)).await;
        }
        Ok(self.host.inspect(look).await?.ok_or(Rejected::Unknown(Unknown::Run(run)))?)
    }

    async fn signal(&self, asked: SignalWorkflow, context: &Context) -> Result<Value, Refusal> {
        let run = RunId::new(id(&asked.run)?);
        let (signal, payload) = (Name::from(asked.signal), Payload::new(asked.payload));
        let accepted = self.command(context, RunCommand::Signal { run, signal, payload }).await?;
        Ok(json!({"run": asked.run, "accepted": accepted}))
    }
}

/// A gate grants a task for a task and a run for a run.
fn other_work() -> Refusal {
    Refusal::new("internal", "the gate granted another sort of work")
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

fn task_of(asked: DistributeTask) -> Result<TaskSpec, Refusal> {
    let mut spec = TaskSpec::new(TaskId::from_key(&asked.key), asked.kind).with_payload(Payload::new(asked.payload));
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

/// A task with its outcome.
pub(crate) fn task_shown(engine: &Engine, task: TaskId) -> Option<Value> {
    let view = engine.task(task)?;
    Some(json!({
        "task": task.get().to_string(),
        "kind": view.spec().kind,
        "state": view.status(),
        "attempts": view.attempts(),
        "agent": view.running().map(|(_, by)| by.agent().get().to_string()),
        "outcome": view.outcome().map(|(outcome, _)| outcome),
    }))
}

/// An agent with the attempts that it holds; cancelled ones are marked.
pub(crate) fn agent_shown(engine: &Engine, agent: &AgentView<'_>) -> Value {
    let (incarnation, owed) = (agent.incarnation(), engine.outstanding());
    let unwanted = owed.iter().filter_map(|effect| match effect {
        Effect::Cancel { attempt, from } if *from == incarnation => Some(*attempt),
        _ => None,
    });
    let unwanted: BTreeSet<AttemptId> = unwanted.collect();
    let mut work = Vec::new();
    for effect in &owed {
        match effect {
            Effect::Dispatch { attempt, to, task, .. } if *to == incarnation => {
                let mut given = json!({
                    "task": attempt.task().get().to_string(), "attempt": attempt.number().get(),
                    "kind": task.kind, "payload": task.payload,
                });
                if unwanted.contains(attempt) {
                    given["cancelled"] = true.into();
                }
                work.push(given);
            }
            _ => {}
        }
    }
    json!({
        "agent": agent.spec().id.get().to_string(),
        "incarnation": agent.incarnation().number().to_string(),
        "name": agent.spec().name,
        "skills": agent.spec().skills,
        "status": agent.status(),
        "capacity": agent.spec().capacity,
        "work": work,
    })
}

/// A run with its nodes.
pub(crate) fn run_shown(run: &RunView<'_>) -> Value {
    let nodes = run.nodes().map(|node| json!({"name": node.name(), "status": node.status()}));
    json!({
        "run": run.id().get().to_string(),
        "workflow": run.definition().name,
        "phase": run.phase(),
        "outcome": run.outcome(),
        "waits_for": run.waits_for(),
        "nodes": nodes.collect::<Vec<_>>(),
    })
}

fn whole(engine: &Engine) -> Value {
    json!({
        "events": engine.last_seq().get(),
        "queued": engine.queued().iter().sum::<usize>(),
        "agents": engine.agents().count(),
        "runs": engine.runs().filter(|run| run.outcome().is_none()).count(),
        "dead_letters": engine.dead_letters().count(),
    })
}
