//! Facts as spans: a subscriber that notes what it is told.

use counterpoint::journal::Projection;
use counterpoint::message::rejected::Conflict;
use counterpoint::observe::Spans;
use counterpoint::protocol::Message;
use counterpoint::task::TraceContext;
use counterpoint::testing::{Rehearsal, Reply, Script};
use counterpoint::workflow::{Attempt, Step, Workflow};
use counterpoint::{
    AgentId, AgentSpec, Command, Config, Effect, Failure, Policy, Rejected, Retry, RunId, TaskId, TaskSpec,
};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[derive(Clone, Default)]
struct Noted(Arc<Mutex<Inner>>);

type Spanned = (String, Option<u64>, BTreeMap<String, String>, bool);

#[derive(Default)]
struct Inner {
    /// Name, parent, fields, and whether it has been closed.
    spans: Vec<Spanned>,
    /// Within which span, and the text.
    events: Vec<(Option<u64>, String)>,
}

struct Fields<'a>(&'a mut BTreeMap<String, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl Subscriber for Noted {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut inner = self.0.lock().unwrap();
        let mut fields = BTreeMap::new();
        span.record(&mut Fields(&mut fields));
        inner.spans.push((span.metadata().name().to_owned(), span.parent().map(Id::into_u64), fields, false));
        Id::from_u64(inner.spans.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut inner = self.0.lock().unwrap();
        values.record(&mut Fields(&mut inner.spans[span.into_u64() as usize - 1].2));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = BTreeMap::new();
        event.record(&mut Fields(&mut fields));
        let text = fields.remove("message").unwrap_or_default();
        self.0.lock().unwrap().events.push((event.parent().map(Id::into_u64), text));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}

    fn try_close(&self, span: Id) -> bool {
        self.0.lock().unwrap().spans[span.into_u64() as usize - 1].3 = true;
        true
    }
}

struct Greet;

impl Step for Greet {
    const KIND: &'static str = "greet";
    type Input = String;
    type Output = String;

    fn run(&self, name: String, _: &Attempt) -> Result<String, Failure> {
        Ok(name)
    }

    fn policy(&self) -> Policy {
        Policy::default().with_retry(Retry::exponential(2, Duration::from_secs(1), Duration::from_secs(1)))
    }
}

fn trace() -> TraceContext {
    TraceContext::new(PARENT).unwrap()
}

fn scene() -> Rehearsal {
    let flow = Workflow::<String, String>::named("hello");
    let flow = flow.output(flow.step(Greet, flow.input())).unwrap();
    let mut rehearsal = Rehearsal::new(Config::default);
    let script = Script::new().on("greet", [Reply::fail(Failure::transient("busy")), Reply::ok("Hello")]);
    rehearsal.join(AgentSpec::new(AgentId::new(1)).with_name("host"), script);
    let run = flow.run(RunId::new(1), &"Ada".to_owned()).unwrap().with_trace(trace());
    rehearsal.start(Arc::clone(flow.definition()), run);
    rehearsal.run();
    rehearsal
}

#[test]
fn runs_nodes_tasks_and_attempts_are_spans_within_each_other() {
    let noted = Noted::default();
    let joined = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&joined);
    let rehearsal = scene();
    tracing::subscriber::with_default(noted.clone(), || {
        let mut spans =
            Spans::default().on_trace(move |_, trace| seen.lock().unwrap().push(trace.traceparent().to_owned()));
        spans.replay(rehearsal.recording().entries());
        assert_eq!(spans.open(), 0);
    });
    let inner = noted.0.lock().unwrap();
    let shape: Vec<(&str, Option<u64>, &str)> =
        inner.spans.iter().map(|(name, parent, fields, _)| (&**name, *parent, &*fields["otel.name"])).collect();
    assert_eq!(
        shape,
        [
            ("run", None, "invoke_workflow hello"),
            ("node", Some(1), "greet"),
            ("task", Some(2), "greet"),
            ("attempt", Some(3), "invoke_agent host"),
            ("attempt", Some(3), "invoke_agent host"),
        ]
    );
    assert!(inner.spans.iter().all(|(.., closed)| *closed));
    let field = |span: usize, name: &str| inner.spans[span].2.get(name).map(String::as_str);
    assert_eq!(*joined.lock().unwrap(), [PARENT]);
    assert_eq!((field(0, "traceparent"), field(0, "counterpoint.outcome")), (Some(PARENT), Some("succeeded")));
    assert_eq!((field(3, "error.type"), field(3, "otel.status_code")), (Some("transient"), Some("ERROR")));
    assert_eq!((field(4, "gen_ai.operation.name"), field(4, "gen_ai.agent.id")), (Some("invoke_agent"), Some("a1")));
    assert_eq!((field(4, "counterpoint.outcome"), field(4, "error.type")), (Some("succeeded"), None));
    let busy = inner.events.iter().find(|(_, text)| text.contains("busy")).unwrap();
    assert_eq!(busy.0, Some(4), "what happened to an attempt lies within it");
    assert_eq!(inner.events.len(), rehearsal.recording().entries().len());
}

#[test]
fn a_trace_reaches_the_agent() {
    // From a message to a task, from a run to its tasks, from a task to the message for its agent.
    let task = TaskSpec::new(TaskId::new(1), "greet").with_trace(trace());
    let body = counterpoint::protocol::Body::try_from(&Command::submit(task.clone())).unwrap();
    let id = counterpoint::protocol::MessageId::new("m1").unwrap();
    let command = Message::new(id, body).with_trace(trace()).into_command().unwrap();
    let Command::Task(counterpoint::TaskCommand::Submit(told)) = command else { panic!("{command:?}") };
    assert_eq!(told.trace.get(), Some(&trace()));

    let recording = scene().recording();
    let (mut carried, mut steps) = (0, 0);
    for entry in recording.entries() {
        if let counterpoint::Event::Task { event: counterpoint::message::TaskEvent::Submitted { spec, .. }, .. } =
            &entry.event
        {
            carried += usize::from(spec.trace.get() == Some(&trace()));
            steps += 1;
        }
    }
    assert_eq!((carried, steps), (1, 1));

    let mut engine = counterpoint::Engine::new(Config::default());
    let mut outbox = counterpoint::Outbox::default();
    let agent = AgentSpec::new(AgentId::new(1)).with_skill("greet", 1);
    engine.handle(counterpoint::Time::ZERO, Command::register(agent), &mut outbox).unwrap();
    engine.handle(counterpoint::Time::ZERO, Command::submit(task.clone()), &mut outbox).unwrap();
    let assign = outbox.effects().iter().find(|effect| matches!(effect, Effect::Dispatch { .. })).unwrap();
    assert_eq!(Message::from(assign).trace, Some(trace()));
    // A trace is not what a task is: asked again under another, it is the same.
    let again = TaskSpec::new(TaskId::new(1), "greet");
    assert!(engine.handle(counterpoint::Time::ZERO, Command::submit(again), &mut outbox).is_ok());
    let other = TaskSpec::new(TaskId::new(1), "greet").with_tenant("other");
    let refused = engine.handle(counterpoint::Time::ZERO, Command::submit(other), &mut outbox);
    assert_eq!(refused, Err(Rejected::Conflict(Conflict::Task(TaskId::new(1)))));
    // It survives the journal.
    let text = serde_json::to_string(&task).unwrap();
    assert_eq!(serde_json::from_str::<TaskSpec>(&text).unwrap().trace.get(), Some(&trace()));
}
