//! Remote agents: the messages of the protocol, one request each or in groups, and the list of agents.

use crate::auth::{At, Caller, Given};
use crate::refusal::{Refusal, id};
use crate::{App, Parameters, group, wait};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use counterpoint::host::Reported;
use counterpoint::message::rejected::{Stale, Unknown};
use counterpoint::protocol::{Body, Malformed, Message, MessageId, WireLimits};
use counterpoint::{
    Accepted, AgentCommand, AgentId, AgentSpec, AttemptId, Command, Effect, Engine, Incarnation, Payload, Rejected,
    Time,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The lease of an agent whose registration has none.
const LEASE: Duration = Duration::from_secs(15);
/// The longest lease that is accepted.
const LONGEST_LEASE: Duration = Duration::from_secs(300);

/// Handles a message or a group of them, and answers with messages.
pub(crate) async fn message(
    State(app): State<App>,
    parameters: Parameters,
    caller: Caller,
    Given(content): Given,
) -> Result<Response, Refusal> {
    let (span, limits) = (wait(&parameters)?, app.limits);
    let message = match app.bodies.parse(content, move |bytes| Sent::decode(bytes, &limits)).await?? {
        Sent::One(message) => *message,
        Sent::Group(messages) => return Ok(Json(group::answer(&app, messages, &caller).await?).into_response()),
    };
    let about = message.id().clone();
    if let Err(refusal) = without_token(&message) {
        return Ok(refused(&about, refusal));
    }
    match answer(&app, message, &caller, span).await {
        Ok(answers) => {
            let answers = answers
                .into_iter()
                .map(|answer| if answer.re.is_none() { answer.in_reply_to(about.clone()) } else { answer });
            Ok(Json(answers.collect::<Vec<_>>()).into_response())
        }
        Err(refusal) => Ok(refused(&about, refusal)),
    }
}

/// The content of a request.
enum Sent {
    One(Box<Message>),
    Group(Vec<Message>),
}

impl Sent {
    fn decode(bytes: &[u8], limits: &WireLimits) -> Result<Self, Malformed> {
        match bytes.trim_ascii_start().first() {
            Some(b'[') => Message::decode_all(bytes, limits).map(Self::Group),
            _ => Message::decode(bytes, limits).map(|message| Self::One(Box::new(message))),
        }
    }
}

/// The token of a caller is in the header.
pub(crate) fn without_token(message: &Message) -> Result<(), Refusal> {
    match message.token {
        None => Ok(()),
        Some(_) => Err(Refusal::invalid("token_in_message", "the token of a request is in the header `Authorization`")),
    }
}

/// A rejection as a message of the protocol.
pub(crate) fn rejection(about: &MessageId, refusal: &Refusal) -> Message {
    let (code, reason) = (refusal.0.code.as_str().into(), refusal.0.detail.as_str().into());
    let body = Body::Rejected { code, reason, retry_after: refusal.0.retry_after };
    Message::new(made(about, "refused"), body).in_reply_to(about.clone())
}

/// The same, with the status and headers of any other rejection.
fn refused(about: &MessageId, refusal: Refusal) -> Response {
    let answer = rejection(about, &refusal);
    let (parts, _) = refusal.into_response().into_parts();
    let mut response = Json([answer]).into_response();
    *response.status_mut() = parts.status;
    for (name, value) in &parts.headers {
        response.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    response
}

/// An id for an answer, derived from that of the message, so that the answer to a repeated message is the same.
fn made(about: &MessageId, what: &str) -> MessageId {
    let text: String = about.as_str().chars().take(100).collect();
    MessageId::new(format!("{what}-{text}")).unwrap_or_else(|_| about.clone())
}

async fn answer(app: &App, message: Message, caller: &Caller, span: Duration) -> Result<Vec<Message>, Refusal> {
    let about = message.id().clone();
    let one = |body| vec![Message::new(made(&about, "answer"), body)];
    match message.body {
        Body::Register { agent } => {
            let spec = elsewhere(AgentSpec::from(*agent));
            let beat = spec.lease.map(|lease| lease / 3);
            let accepted = app.command(caller, Command::register(spec)).await?;
            Ok(Body::registered(accepted, beat).map(one).unwrap_or_default())
        }
        Body::Update { by, agent } => {
            let spec = elsewhere(AgentSpec::from(*agent));
            app.command(caller, AgentCommand::Update { by, spec }).await?;
            Ok(Vec::new())
        }
        Body::Poll { by, most } => {
            app.command(caller, AgentCommand::Poll { by, most }).await?;
            work_for(app, by, if most == 0 { Duration::ZERO } else { span }).await
        }
        Body::Accept { by, attempt } => {
            app.command(caller, AgentCommand::Start { by, attempt }).await?;
            app.hub.accepted(by, attempt);
            Ok(Vec::new())
        }
        Body::Progress { by, attempt, progress } => {
            report(app, caller, (by, attempt), Reported::Progress(progress)).await?;
            Ok(Vec::new())
        }
        Body::Emit { by, attempt, chunk } => {
            report(app, caller, (by, attempt), Reported::Chunk(chunk)).await?;
            Ok(Vec::new())
        }
        Body::Query { task } => {
            let task = crate::tasks::readable(app, caller, task).await?;
            Ok(one(crate::tasks::status(app, task).await?))
        }
        _ => {
            let command = message.into_command();
            let command = command.map_err(|error| Refusal::invalid("not_a_command", error.to_string()))?;
            match app.command(caller, command).await? {
                // A repeated message gets the same answer.
                Accepted::Done | Accepted::Repeated => Ok(Vec::new()),
                _ => Ok(Vec::new()),
            }
        }
    }
}

/// Passes the progress or a part of the output of an attempt on, if the caller may send heartbeats of the attempt.
async fn report(
    app: &App,
    caller: &Caller,
    (by, attempt): (Incarnation, AttemptId),
    what: Reported,
) -> Result<(), Refusal> {
    let heartbeat = AgentCommand::AttemptHeartbeat { by, attempt, details: Payload::NULL };
    app.admit(caller, heartbeat.into()).await?;
    Ok(app.host.report(by, attempt, what).await?)
}

/// A remote agent polls for work and can be lost.
fn elsewhere(spec: AgentSpec) -> AgentSpec {
    let lease = spec.lease.unwrap_or(LEASE).clamp(Duration::from_millis(100), LONGEST_LEASE);
    spec.with_polls().with_lease(lease)
}

/// The messages for an agent, as soon as there are any, or none after this time.
async fn work_for(app: &App, by: Incarnation, span: Duration) -> Result<Vec<Message>, Refusal> {
    let until = Instant::now() + span;
    loop {
        let notifier = app.hub.notifier(by).ok_or(Rejected::Stale(Stale::Incarnation(by)))?;
        let mut notified = std::pin::pin!(notifier.notified());
        // From here on no notification is missed.
        notified.as_mut().enable();
        let messages = mail(app, by).await?;
        if !messages.is_empty() {
            return Ok(messages);
        }
        if timeout_at(until, notified).await.is_err() {
            break;
        }
    }
    // The request has ended: messages that arrive now are for another request.
    app.host.command(AgentCommand::Poll { by, most: 0 }).await?;
    mail(app, by).await
}

async fn mail(app: &App, by: Incarnation) -> Result<Vec<Message>, Refusal> {
    let mail = app.hub.mail(by).ok_or(Rejected::Stale(Stale::Incarnation(by)))?;
    let now = app.host.now();
    let mut messages = mail.notices;
    if !mail.assigned.is_empty() {
        let assigned = mail.assigned;
        messages.extend(app.host.inspect(move |engine| dispatches(engine, by, &assigned)).await?);
    }
    Ok(messages.into_iter().map(|message| message.sent_at(now)).collect())
}

fn dispatches(engine: &Engine, by: Incarnation, assigned: &[(AttemptId, Time)]) -> Vec<Message> {
    let dispatch = |(attempt, at): &(AttemptId, Time)| {
        let task = engine.task(attempt.task()).filter(|task| task.running() == Some((*attempt, by)))?;
        let until = task.spec().policy.attempt_timeout().map(|span| *at + span);
        let details = task.details().clone();
        let task = Arc::new(task.spec().clone());
        let identity = engine.identity().cloned();
        Some(Message::from(&Effect::Dispatch { attempt: *attempt, to: by, task, until, identity, details }))
    };
    assigned.iter().filter_map(dispatch).collect()
}

fn shown(agent: &counterpoint::scheduler::AgentView<'_>) -> Value {
    let spec = agent.spec();
    json!({
        "id": spec.id.get().to_string(),
        "incarnation": agent.incarnation().number().to_string(),
        "name": spec.name,
        "skills": spec.skills,
        "labels": spec.labels,
        "status": agent.status(),
        "capacity": spec.capacity,
        "in_flight": agent.in_flight(),
    })
}

/// Lists the agents.
pub(crate) async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Value>, Refusal> {
    app.may_read(&caller, "the agents")?;
    let agents = app.host.inspect(|engine| engine.agents().map(|agent| shown(&agent)).collect::<Vec<_>>()).await?;
    Ok(Json(json!({"agents": agents})))
}

/// Returns one agent.
pub(crate) async fn one(State(app): State<App>, At(agent): At<String>, caller: Caller) -> Result<Json<Value>, Refusal> {
    let agent = AgentId::new(id(&agent)?);
    app.may_read_of(&caller, "an agent", AgentCommand::Drain { agent }.into()).await?;
    let found = app.host.inspect(move |engine| engine.agent(agent).map(|agent| shown(&agent))).await?;
    Ok(Json(found.ok_or(Rejected::Unknown(Unknown::Agent(agent)))?))
}

/// Removes an agent, or with `drain=true` drains it first.
pub(crate) async fn dismiss(
    State(app): State<App>,
    At(agent): At<String>,
    parameters: Parameters,
    caller: Caller,
) -> Result<StatusCode, Refusal> {
    let agent = AgentId::new(id(&agent)?);
    let drain = match parameters.get("drain") {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => return Err(Refusal::invalid("drain", format!("`{other}` is neither true nor false"))),
    };
    let command = if drain { AgentCommand::Drain { agent } } else { AgentCommand::Deregister { agent } };
    app.command(&caller, command).await?;
    Ok(StatusCode::NO_CONTENT)
}
