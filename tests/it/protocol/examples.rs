//! An example of each kind of message and its schema, in `tests/golden/protocol`, rewritten when `UPDATE_GOLDEN=1` is set.

use super::validator::faults;
use counterpoint::message::rejected::{Overload, Stale};
use counterpoint::protocol::{
    Act, AgentCard, Body, Kind, Malformed, Message, MessageId, Proposal, RefusalReason, Submission, TraceContext,
    Verdict, WireLimits, schema,
};
use counterpoint::scheduler::TaskStatus;
use counterpoint::task::{Identity, JournalId, Progress, Usage};
use counterpoint::{
    Accepted, AgentId, AgentSpec, AttemptId, Command, Config, Effect, Failure, Incarnation, Needs, Outbox, Payload,
    Policy, Rejected, Retry, Scheduler, TaskId, TaskOutcome, TaskSpec, Tier, Time,
};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

fn life() -> Incarnation {
    Incarnation::new(AgentId::new(7), 3)
}

fn attempt() -> AttemptId {
    AttemptId::new(task().id, 2)
}

pub(super) fn task() -> TaskSpec {
    TaskSpec::new(TaskId::from_key("order-17/label"), "print_label")
        .with_payload(Payload::new(json!({"order": 17, "lines": ["Ada", "Lyon"]})))
        .with_needs(Needs::skill("print").and_skill("colour", 2).and_label("region", "eu"))
        .with_tier(Tier::High)
        .with_deadline(Time::from_secs(1_790_000_000))
        .with_estimate(Duration::from_secs(8))
        .with_policy(
            Policy::default()
                .with_retry(Retry::exponential(5, Duration::from_millis(200), Duration::from_secs(20)))
                .with_attempt_timeout(Duration::from_secs(90)),
        )
        .with_after([TaskId::new(4), TaskId::from_key("order-17/pack")])
}

fn agent() -> AgentSpec {
    AgentSpec::new(AgentId::new(7))
        .with_name("printer in Lyon")
        .with_skill("print", 1)
        .with_label("region", "eu")
        .with_capacity(2)
        .with_priority(-1)
        .with_lease(Duration::from_secs(15))
}

fn message(id: &str, body: Body) -> Message {
    Message::new(MessageId::new(id).unwrap(), body)
}

/// At least one of each kind, by file name.
pub(super) fn examples() -> Vec<(String, Message)> {
    let trace = TraceContext::new("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
    let dispatch = Effect::Dispatch {
        attempt: attempt(),
        to: life(),
        task: Arc::new(task()),
        until: Some(Time::from_secs(1_789_999_090)),
        identity: Some(Arc::new(Identity::new(JournalId::new(7)))),
        details: Payload::new(json!({"page": 3})),
    };
    let (by, attempt) = (life(), attempt());
    let task_id = attempt.task();
    let full = Rejected::Capacity(Overload::AtCapacity {
        what: "active_tasks".into(),
        limit: 1_000_000,
        retry_after: Some(Duration::from_millis(250)),
    });
    let submission = Box::new(Submission::of(&task()).unwrap());
    let mut all = vec![
        message("c-1", Body::Submit { task: submission }).with_trace(trace.clone().with_state("vendor=1").unwrap()),
        message("c-2", Body::Withdraw { task: task_id, reason: "the customer changed their mind".into() }),
        message("c-3", Body::Query { task: task_id }),
        message(
            "h-3",
            Body::Status {
                task: task_id,
                state: TaskStatus::Succeeded,
                attempts: 2,
                outcome: Some(TaskOutcome::Succeeded(Payload::new(json!({"page": 1})))),
            },
        )
        .in_reply_to(MessageId::new("c-3").unwrap()),
        message("a7-1", Body::Register { agent: Box::new(AgentCard::from(&agent())) }),
        message("h-1", Body::registered(Accepted::Registered(by), Some(Duration::from_secs(5))).unwrap())
            .in_reply_to(MessageId::new("a7-1").unwrap()),
        message("a7-2", Body::Update { by, agent: Box::new(AgentCard::from(&agent().with_capacity(1))) }),
        message("a7-3", Body::Heartbeat { by }),
        Message::from(&dispatch).sent_at(Time::from_secs(1_789_999_000)).with_trace(trace),
        message("a7-4", Body::Accept { by, attempt }).in_reply_to(Message::from(&dispatch).id().clone()),
        message(
            "a7-5",
            Body::Refuse {
                by,
                attempt,
                why: RefusalReason::Busy,
                message: "two pages wait already".into(),
                retry_after: Some(Duration::from_secs(3)),
            },
        ),
        message("a7-6", Body::Progress { by, attempt, progress: Progress::new(0.5, "first page").unwrap() }),
        message("a7-11", Body::AttemptHeartbeat { by, attempt, details: Payload::new(json!({"page": 4})) }),
        message("a7-12", Body::Emit { by, attempt, chunk: Payload::new(json!("Once upon ")) }),
        Message::from(&batch()),
        Message::from(&Effect::Yield { attempt, from: by, until: Time::from_secs(1_789_999_120) }),
        message("a7-9", Body::GiveBack { by, attempt }),
        message("a7-10", Body::Poll { by, most: 4 }),
        Message::from(&Effect::Cancel { attempt, from: by }),
        Message::new(MessageId::new("h-3").unwrap(), Body::Scale { agents: 10, advised: 14 }),
        message("h-2", Body::rejected(&full)).in_reply_to(MessageId::new("c-1").unwrap()),
    ];
    all.extend(verdicts(by, attempt));
    let mut named: Vec<(String, Message)> =
        all.into_iter().map(|message| (message.body.kind().name().to_owned(), message)).collect();
    if let Some(place) = named.iter().rposition(|(name, _)| name == "result") {
        named[place].0.push_str("_failed");
    }
    named.extend(negotiation());
    named
}

/// What the scheduler asks for when a kind is done in batches.
fn batch() -> Effect {
    let config =
        Config::default().with_batch("print_label", counterpoint::scheduler::Batch::new(2, 8, Duration::from_secs(1)));
    let mut scheduler = Scheduler::new(config);
    let (mut out, now) = (Outbox::default(), Time::from_secs(1_789_999_000));
    for id in 1..=2 {
        let task = TaskSpec::new(TaskId::new(id), "print_label").with_payload(Payload::new(json!({"page": id})));
        scheduler.handle(now, Command::submit(task), &mut out).unwrap();
    }
    let agent = AgentSpec::new(AgentId::new(7)).with_skill("print_label", 1).with_capacity(2);
    scheduler.handle(now, Command::register(agent), &mut out).unwrap();
    out.effects()[0].clone()
}

fn verdicts(by: Incarnation, attempt: AttemptId) -> [Message; 2] {
    let output = Payload::new(json!({"page": 1}));
    // All that a failure can have, as one that passed through a workflow of the agent.
    let failure: Failure = serde_json::from_value(json!({
        "kind": "overloaded", "message": "out of paper", "retry_after": "1m", "code": "printer.paper", "details": {"tray": 2},
        "path": [{"workflow": "print", "node": "pages", "instance": 1}],
        "cause": {"kind": "transient", "message": "the tray is empty"},
    }))
    .unwrap();
    let usage = Usage::default().with_cost(1_250).with_tokens(640);
    [
        message("a7-7", Body::Result { by, attempt, verdict: Verdict::Succeeded { output, usage } }),
        message("a7-8", Body::Result { by, attempt, verdict: Verdict::Failed { failure, usage } }),
    ]
}

fn negotiation() -> Vec<(String, Message)> {
    let (bidder, call) = (AgentId::new(7), MessageId::new("m-1").unwrap());
    let acts = [
        (
            "call",
            Act::CallForProposals {
                kind: "print_label".into(),
                payload: Payload::new(json!({"pages": 2})),
                needs: Some(Needs::skill("print")),
                tier: Tier::Normal,
                answer_by: Some(Time::from_secs(1_789_999_010)),
            },
        ),
        ("propose", Act::Propose(Proposal::new(bidder, 40).with_takes(Duration::from_secs(90)))),
        ("refuse", Act::Refuse { by: bidder, reason: "no paper".into() }),
        ("not_understood", Act::NotUnderstood { by: bidder, reason: "pages".into() }),
        ("accept", Act::AcceptProposal { of: bidder }),
        ("reject", Act::RejectProposal { of: bidder, reason: Some("another was cheaper".into()) }),
        ("done", Act::InformDone { by: bidder, output: Payload::new(json!(2)) }),
        ("failed", Act::InformFailed { by: bidder, failure: Failure::transient("jammed") }),
        ("cancel", Act::Cancel { reason: "no longer needed".into() }),
    ];
    let body = |act| Body::Negotiate { about: call.clone(), act };
    acts.into_iter().map(|(name, act)| (format!("negotiate_{name}"), message("m-1", body(act)))).collect()
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/protocol").join(name)
}

fn golden(name: &str, got: &Value) {
    let got = format!("{}\n", serde_json::to_string_pretty(got).unwrap());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(file(name), &got).unwrap();
    }
    let wanted = std::fs::read_to_string(file(name)).unwrap_or_default();
    assert!(wanted == got, "{name} has changed: look at it, then run again with UPDATE_GOLDEN=1");
}

#[test]
fn examples_are_as_they_were_and_read_back() {
    let examples = examples();
    for kind in Kind::ALL {
        assert!(examples.iter().any(|(_, message)| message.body.kind() == *kind), "no example of {kind}");
    }
    let limits = WireLimits::default();
    for (name, message) in examples {
        let text = message.encode(&limits).unwrap();
        assert_eq!(Message::decode(text.as_bytes(), &limits).as_ref(), Ok(&message), "{name}");
        golden(&format!("{name}.json"), &serde_json::from_str(&text).unwrap());
        let kept = std::fs::read(file(&format!("{name}.json"))).unwrap();
        assert_eq!(Message::decode(&kept, &limits), Ok(message), "{name}");
    }
}

#[test]
fn schemas_are_as_they_were_and_fit_the_examples() {
    for kind in Kind::ALL {
        golden(&format!("{kind}.schema.json"), &schema(*kind));
    }
    for (name, message) in examples() {
        let value = serde_json::to_value(&message).unwrap();
        let faults_of = |value: &Value| faults(&schema(message.body.kind()), value);
        assert_eq!(faults_of(&value), Vec::<String>::new(), "{name}");
        // A field too many, a field too few, another version: the schema says no, as the reader does.
        for (pointer, what) in [("", "v"), ("", "id"), ("", "body")] {
            let mut less = value.clone();
            less.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(what);
            assert!(!faults_of(&less).is_empty(), "{name} without {what}");
        }
        let mut more = value.clone();
        let inner = more["body"].as_object_mut().unwrap().values_mut().next().unwrap();
        inner["odd"] = json!(1);
        assert!(!faults_of(&more).is_empty(), "{name} with more");
        let refused = Message::decode(more.to_string().as_bytes(), &WireLimits::default());
        assert!(matches!(refused, Err(Malformed::Shape { .. })), "{name}: {refused:?}");
    }
}

/// Every field that a schema requires, the reader requires; every field that it does not, the reader does not miss.
#[test]
fn schemas_and_reader_agree_on_what_is_required() {
    for (name, message) in examples() {
        let value = serde_json::to_value(&message).unwrap();
        for pointer in fields(&value, "") {
            let mut less = value.clone();
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            less.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(field);
            let read = Message::decode(less.to_string().as_bytes(), &WireLimits::default());
            let valid = faults(&schema(message.body.kind()), &less).is_empty();
            assert_eq!(read.is_ok(), valid, "{name} without {pointer}: {read:?}");
        }
    }
}

fn fields(value: &Value, at: &str) -> Vec<String> {
    let inner = value.as_object().into_iter().flatten();
    inner
        .flat_map(|(name, field)| {
            let here = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            let mut all = fields(field, &here);
            all.push(here);
            all
        })
        .collect()
}

#[test]
fn an_agent_elsewhere_does_a_task() {
    let limits = WireLimits::default();
    let mut scheduler = Scheduler::new(Config::default());
    let mut outbox = Outbox::default();
    let say = |scheduler: &mut Scheduler, outbox: &mut Outbox, message: &Message| {
        let text = message.encode(&limits).unwrap();
        let command = Message::decode(text.as_bytes(), &limits).unwrap().into_command().unwrap();
        scheduler.handle(Time::from_secs(1), command, outbox)
    };
    let card = AgentCard::from(&AgentSpec::new(AgentId::new(7)).with_skill("greet", 1));
    let register = message("1", Body::Register { agent: Box::new(card) });
    let Ok(Accepted::Registered(by)) = say(&mut scheduler, &mut outbox, &register) else { panic!("registered") };
    let spec = TaskSpec::new(TaskId::from_key("x"), "greet");
    let submit = message("2", Body::Submit { task: Box::new(Submission::of(&spec).unwrap()) });
    say(&mut scheduler, &mut outbox, &submit).unwrap();
    let told = Message::from(outbox.effects().last().unwrap());
    let Body::Assign { attempt, to, .. } = told.body else { panic!("assigned") };
    assert_eq!(to, by);
    let busy =
        Body::Refuse { by, attempt, why: RefusalReason::Busy, message: "".into(), retry_after: Some(Duration::ZERO) };
    say(&mut scheduler, &mut outbox, &message("3", busy)).unwrap();
    assert_eq!(scheduler.task(spec.id).unwrap().attempts(), 1);
    let late = say(&mut scheduler, &mut outbox, &message("4", Body::Accept { by, attempt }));
    assert_eq!(late, Err(Rejected::Stale(Stale::Attempt(attempt))));
    scheduler.handle(Time::from_secs(100), Command::Tick, &mut outbox).unwrap();
    let again = AttemptId::new(spec.id, 2);
    let verdict = Verdict::Succeeded { output: Payload::new(json!("hello")), usage: Usage::default() };
    scheduler
        .handle(
            Time::from_secs(101),
            message("5", Body::Result { by, attempt: again, verdict }).into_command().unwrap(),
            &mut outbox,
        )
        .unwrap();
    assert_eq!(scheduler.task(spec.id).unwrap().status(), TaskStatus::Succeeded);
}
