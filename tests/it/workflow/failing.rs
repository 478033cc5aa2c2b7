//! Failures keep their identity: kind, code, message and details, and the way that they came, through everything that a
//! workflow is made of.

use crate::flow::{World, flow, identity, json, step, work};
use counterpoint::definition::{
    Action, Body, Call, Condition, Definition, Delegate, Expr, Fail, Handler, Join, Link, Map, Node, Precondition,
    Remaining, Repeat, State, States, Work,
};
use counterpoint::message::rejected::Invalid;
use counterpoint::message::{Cause, NodeEvent, NodeStatus};
use counterpoint::task::{Failures, codes};
use counterpoint::workflow::{Fault, validate};
use counterpoint::{
    Command, Event, Failure, FailureKind, Limits, Policy, Rejected, Retry, RunCommand, RunOutcome, TaskId, TaskOutcome,
    TaskSpec,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

fn once(kind: &str) -> Work {
    work(kind).with_policy(Policy::default().with_retry(Retry::never()))
}

fn job(name: &str) -> Node {
    Node::new(name, Action::Do(Body::Task(once("job"))))
}

fn named(name: &str, node: Node) -> Definition {
    let mut definition = flow([node]);
    definition.name = name.into();
    definition
}

fn inner() -> Arc<Definition> {
    Arc::new(named("inner", job("b")))
}

/// Nodes `a` that do a `job` in every way there is, with the places through which its failure comes.
fn around() -> Vec<(Node, &'static [&'static str])> {
    let node = |action| Node::new("a", action).with_input(Expr::Input);
    let deep = Arc::new(named("middle", Node::new("m", Action::Do(Body::Flow(inner())))));
    let over = || Expr::List(vec![Expr::Input]);
    let repeat = |body| Repeat::until(body, Condition::True, 3);
    let states = |body| States::from("s", 3).with(State::new("s").with_body(body).then("end")).with(State::new("end"));
    let count = Join::Count { required: 1, remaining: Remaining::Ignore };
    let mut counted = named("counted", job("b"));
    counted = counted.with_node(Node::new("j", Action::Pass).with_link(Link::success("b")).with_join(count));
    vec![
        (node(Action::Do(Body::Flow(Arc::new(counted)))), &["counted/b", "counted/j", "flow/a"]),
        (node(Action::Do(Body::Task(once("job")))), &["flow/a"]),
        (node(Action::Do(Body::Flow(inner()))), &["inner/b", "flow/a"]),
        (node(Action::Do(Body::Flow(deep))), &["inner/b", "middle/m", "flow/a"]),
        (node(Action::Do(Body::Call(Call::of("inner")))), &["inner/b", "flow/a"]),
        (node(Action::Map(Map::over(over(), Body::Task(once("job"))))), &["flow/a[0]"]),
        (node(Action::Map(Map::over(over(), Body::Flow(inner())))), &["inner/b", "flow/a[0]"]),
        (node(Action::Repeat(repeat(Body::Flow(inner())))), &["inner/b", "flow/a[0]"]),
        (node(Action::States(states(Body::Flow(inner())))), &["inner/b", "flow/a[0]"]),
        (node(Action::Delegate(Delegate::new(once("job")))), &["flow/a"]),
    ]
}

fn busy() -> Failure {
    let busy = Failure::overloaded("no connection is free", Duration::ZERO);
    busy.with_code("db.busy").with_details(json(json!({"queue": 7})))
}

/// A run of `a`, with a step for each of these handlers of it that gets how `a` ended.
fn handled(a: Node, handlers: Vec<Handler>) -> World {
    let care = handlers
        .iter()
        .map(|handler| step(&handler.name).with_link(Link::case("a", handler.name.clone())).with_input(Expr::end("a")));
    let care: Vec<Node> = care.collect();
    let a = handlers.into_iter().fold(a, Node::with_handler);
    let mut world = World::new();
    world.say(Command::define(named("inner", job("b")))).unwrap();
    world.begin(flow([a].into_iter().chain(care)), 3)
}

/// What the journal shows about failures is sound. The model of the flow knows no delegated work and not how nodes ended.
fn sound(world: &World) {
    identity::check(&world.journal).unwrap();
    assert!(world.engine.outstanding().is_empty(), "{:?}", world.engine.outstanding());
}

fn fails(world: &mut World, failure: Failure) {
    world.answer(world.attempt("job"), Err(failure)).unwrap();
}

#[test]
fn a_handler_for_a_kind_or_a_code_fires_wherever_the_failure_came_from() {
    let meant: [fn() -> Failures; 4] = [
        || FailureKind::Overloaded.into(),
        || Failures::code("db.busy"),
        || Failures::code("db.*"),
        || Failures::from([FailureKind::Transient, FailureKind::Overloaded]).and_code("x").and_code("db.*"),
    ];
    for (a, places) in around() {
        for failures in meant {
            let other = Handler::error("other", Failures::code("db"));
            let mut world = handled(a.clone(), vec![other, Handler::error("care", failures())]);
            world.crash();
            fails(&mut world, busy());
            assert_eq!(world.busy(), ["care"], "{places:?}");
            let told = world.task("care").payload.value().clone();
            let why: Failure = serde_json::from_value(told["failure"].clone()).unwrap();
            assert_eq!((why.kind, why.code, &*why.message), (busy().kind, busy().code, &*busy().message));
            assert_eq!((&told["status"], &told["failure"]["details"]), (&json!("failed"), &json!({"queue": 7})));
            let path: Vec<String> = serde_json::from_value::<Failure>(told["failure"].clone())
                .unwrap()
                .path()
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(path, places);
            world.crash();
            world.done("care", 0);
            sound(&world);
        }
    }
}

#[test]
fn a_handler_for_another_code_does_not_fire_and_the_run_has_the_failure_as_its_cause() {
    for (a, places) in around() {
        for failures in [Failures::code("db"), FailureKind::Permanent.into(), Failures::code("db.busy.very")] {
            let mut world = handled(a.clone(), vec![Handler::error("care", failures)]);
            fails(&mut world, busy());
            let why = world.outcome().cause().unwrap().failure();
            assert_eq!(
                (why.kind, &why.code, why.details()),
                (busy().kind, &busy().code, busy().details()),
                "{places:?}"
            );
            assert_eq!(why.path().len(), places.len());
            sound(&world);
        }
    }
}

#[test]
fn a_failure_without_a_code_matches_no_code() {
    let handlers = vec![Handler::error("coded", Failures::code("*")), Handler::error("any", Failures::any())];
    let mut world = handled(job("a"), handlers.clone());
    fails(&mut world, Failure::permanent("no"));
    assert_eq!(world.busy(), ["any"]);
    let mut world = handled(job("a"), handlers);
    fails(&mut world, Failure::permanent("no").with_code("x"));
    assert_eq!(world.busy(), ["coded"]);
}

#[test]
fn a_node_that_did_not_fail_has_an_end_too() {
    let nodes = [step("a"), step("b").with_link(Link::always("a")).with_input(Expr::end("a"))];
    let mut world = World::running(flow(nodes), 0);
    world.answer(world.attempt("a"), Err(Failure::transient("again"))).unwrap();
    world.sleep();
    world.done("a", 1);
    assert_eq!(world.task("b").payload.value(), &json!({"status": "succeeded", "attempts": 2}));
    world.done("b", 1);
    sound(&world);
}

#[test]
fn a_node_that_did_not_run_has_the_reason() {
    let care = Node::new("care", Action::Pass).with_link(Link::failure("a"));
    let b = step("b").with_link(Link::success("a"));
    let c = step("c").with_link(Link::always("b")).with_input(Expr::end("b"));
    let mut world = World::running(flow([job("a"), care, b, c]), 0);
    fails(&mut world, busy());
    assert_eq!(world.task("c").payload.value(), &json!({"status": "upstream_failed", "attempts": 0}));
    world.done("c", 0);
    sound(&world);
}

#[test]
fn what_the_engine_itself_reports_has_codes() {
    let on = |code: &str| vec![Handler::error("care", Failures::code(code))];
    let mut limited = once("job");
    limited.policy = limited.policy.with_attempt_timeout(Duration::from_secs(5));
    let late = Node::new("a", Action::Do(Body::Task(limited.clone())));
    let mut world = handled(late, on(codes::ATTEMPT_TIMEOUT));
    world.sleep();
    assert_eq!(world.busy().last().unwrap(), "care");

    let never = Precondition::new(Condition::Is(Expr::value(false)));
    let world = handled(job("a").with_precondition(never), on("cp.guard.*"));
    assert_eq!(world.busy(), ["care"]);

    let more = Repeat::until(Body::Flow(inner()), Condition::Is(Expr::value(false)), 1);
    let mut world = handled(Node::new("a", Action::Repeat(more)), on("cp.limit.rounds"));
    world.done("job", 1);
    assert_eq!(world.busy(), ["care"]);

    let world = handled(Node::new("a", Action::Do(Body::Call(Call::of("nowhere")))), on(codes::UNDEFINED));
    assert_eq!(world.busy(), ["care"]);
}

/// A limit that a nested run reached keeps its way through the runs around it.
#[test]
fn a_limit_deep_within_is_known_by_its_code_and_its_way() {
    let more = Repeat::until(Body::Task(once("job")), Condition::Is(Expr::value(false)), 1);
    let deep = Arc::new(named("deep", Node::new("r", Action::Repeat(more))));
    let middle = Arc::new(named("middle", Node::new("m", Action::Do(Body::Flow(deep)))));
    let a = Node::new("a", Action::Do(Body::Flow(middle)));
    let mut world = handled(a, vec![Handler::error("care", Failures::code("cp.limit.*"))]);
    world.done("job", 1);
    let why: Failure = serde_json::from_value(world.task("care").payload.value()["failure"].clone()).unwrap();
    let path: Vec<String> = why.path().iter().map(ToString::to_string).collect();
    assert_eq!(path, ["deep/r", "middle/m", "flow/a"]);
    world.done("care", 0);
    sound(&world);
}

#[test]
fn a_node_fails_with_values_from_data_and_the_cause() {
    let fail = Fail::new(Expr::Item.at("/failure/message"))
        .with_kind(FailureKind::Transient)
        .with_code_of(Expr::Item.at("/failure/code"))
        .with_details(Expr::Input);
    let nodes = [
        job("a").with_handler(Handler::error("care", Failures::code("db.*"))),
        Node::new("no", Action::Fail(fail)).with_link(Link::case("a", "care")).with_input(Expr::end("a")),
    ];
    let mut world = World::running(flow(nodes), json!({"order": 5}));
    fails(&mut world, busy());
    let why = world.outcome().cause().unwrap().failure();
    assert_eq!((why.kind, why.code.clone(), &*why.message), (FailureKind::Transient, busy().code, &*busy().message));
    assert_eq!(why.details().value(), &json!({"order": 5}));
    assert_eq!(why.cause().map(|cause| (cause.details(), cause.path().len())), Some((busy().details(), 1)));
    world.crash();
    sound(&world);
}

#[test]
fn a_code_from_data_that_is_no_code_is_replaced() {
    let fail = Fail::new("no").with_code_of(Expr::Input);
    for (given, code) in
        [(json!("a b"), Some(codes::INVALID_VALUE)), (json!(7), Some(codes::INVALID_VALUE)), (Value::Null, None)]
    {
        let world = World::running(flow([Node::new("a", Action::Fail(fail.clone()))]), given);
        assert_eq!(world.outcome().cause().unwrap().failure().code, code.map(Into::into));
    }
}

#[test]
fn a_token_takes_its_way_by_the_code_of_the_failure() {
    let work = State::new("work").doing(once("job")).then("good");
    let work = work.on_failures(Failures::code("db.*"), "later").on_failures(FailureKind::Permanent, "never");
    let states =
        ["good", "later", "never"].map(State::new).into_iter().fold(States::from("work", 3).with(work), States::with);
    let end = |failure: Failure| {
        let mut world = World::running(flow([Node::new("a", Action::States(states.clone()))]), 0);
        fails(&mut world, failure);
        sound(&world);
        let mut ends = world.journal.iter().rev().filter_map(|entry| match &entry.event {
            Event::Node { event: NodeEvent::Finished { took, .. }, .. } => Some(took.clone()),
            _ => None,
        });
        ends.next().unwrap()
    };
    assert_eq!(end(busy()), ["later"]);
    assert_eq!(end(Failure::permanent("no")), ["never"]);
    assert_eq!(end(Failure::transient("no")), Vec::<counterpoint::Name>::new());
}

/// Codes of the library are set by the library: by no definition, by no data and by no agent. A journal that contains one is read.
#[test]
fn reserved_codes_are_refused() {
    let failing = |fail: Fail| flow([Node::new("a", Action::Fail(fail))]);
    for code in ["cp.no_case", "cp.budget.time", "cp.", "cp.mine", "cp.step.input"] {
        let found = validate(&failing(Fail::new("no").with_code(code)), &Limits::default()).unwrap_err();
        let fault = &found.findings()[0].fault;
        assert_eq!(*fault, Fault::BadCode { code: code.into() }, "{code}");
        assert!(World::new().say(Command::define(failing(Fail::new("no").with_code(code)))).is_err());
        // From data, the code of the failure says that it was no code.
        let world = World::running(failing(Fail::new("no").with_code_of(Expr::Input)), code);
        assert_eq!(world.outcome().cause().unwrap().failure().code, Some(codes::INVALID_VALUE.into()));
    }
    for code in ["cp", "cpu.hot", "mine.cp.x"] {
        assert!(validate(&failing(Fail::new("no").with_code(code)), &Limits::default()).is_ok(), "{code}");
    }

    for code in [codes::ATTEMPT_TIMEOUT, codes::NO_CASE, codes::OPERATOR, "cp.budget.cost", "cp.mine", "cp.codecs"] {
        let mut world = World::running(flow([job("a")]), 0);
        let before = world.journal.len();
        let attempt = world.attempt("job");
        let (by, _) = world.held[&attempt].clone();
        let report = Command::fail(by, attempt, Failure::permanent("no").with_code(code));
        let refused = Rejected::Invalid(Invalid::Code { code: code.into() });
        assert_eq!(world.say(report.clone()), Err(refused));
        assert_eq!(world.journal.len(), before, "nothing changed, and the attempt goes on");
        // The causes of a failure are what they are.
        let cause = Failure::transient("late").with_code(code);
        fails(&mut world, Failure::permanent("no").with_cause(cause));
        assert!(matches!(world.say(report), Err(Rejected::Stale(_) | Rejected::Unknown(_))), "a late report is late");
        world.crash();
        sound(&world);
    }
    for code in [codes::STEP_INPUT, codes::AGENT_PANICKED, "cp.codec", codes::REFUSED_BUSY, "cp.value.too_large"] {
        let mut world = World::running(flow([job("a")]), 0);
        fails(&mut world, Failure::permanent("no").with_code(code));
        assert_eq!(world.outcome().cause().unwrap().failure().code, Some(code.into()), "the library reports it there");
    }

    // A journal of a time in which the code could be set.
    let mut world = World::running(flow([job("a")]), 0);
    fails(&mut world, Failure::permanent("no").with_code("mine.was"));
    let text = serde_json::to_string(&world.journal).unwrap().replace("mine.was", "cp.was");
    let journal: Vec<counterpoint::Entry> = serde_json::from_str(&text).unwrap();
    let engine = counterpoint::Engine::restore(crate::flow::timeless(), None, &journal).unwrap();
    let run = engine.run(crate::flow::RUN).unwrap();
    assert_eq!(run.outcome().unwrap().cause().unwrap().failure().code, Some("cp.was".into()));
}

#[test]
fn codes_in_definitions_are_checked() {
    let long = "x".repeat(65);
    let wrong = |node: Node| validate(&flow([node]), &Limits::default()).unwrap_err().findings()[0].fault.clone();
    for code in ["", "a b", "ä", "a*b", &long] {
        let bad = Fault::BadCode { code: code.into() };
        assert_eq!(wrong(job("a").with_handler(Handler::error("h", Failures::code(code)))), bad, "{code}");
        let fail = wrong(Node::new("a", Action::Fail(Fail::new("no").with_code(code))));
        assert!(matches!(fail, Fault::BadCode { .. }), "{code}: {fail}");
    }
    assert!(
        validate(&flow([job("a").with_handler(Handler::error("h", Failures::code("*")))]), &Limits::default()).is_ok()
    );
}

#[test]
fn reports_of_failures_are_bounded() {
    let task = || TaskSpec::new(TaskId::new(7), "job").with_policy(Policy::default().with_retry(Retry::never()));
    let mut world = World::new();
    world.say(Command::submit(task().with_needs(counterpoint::Needs::nothing()))).unwrap();
    let attempt = world.attempt("job");
    let by = world.held[&attempt].0;
    let nested = (0..9).fold(
        json!({"kind": "permanent", "message": "0"}),
        |cause, at| json!({"kind": "permanent", "message": at.to_string(), "cause": cause}),
    );
    let refused = [
        (busy().with_code(""), "code"),
        (busy().with_code("a b"), "code"),
        (busy().with_code("x".repeat(65)), "code"),
        (busy().with_cause(busy().with_code("?")), "code"),
        (busy().with_details(json("x".repeat(1 << 20))), "too_large"),
        (busy().with_details((0..65).fold(json(1), |inner, _| json(json!([inner])))), "too_large"),
        (serde_json::from_value(nested).unwrap(), "too_large"),
    ];
    for (failure, code) in refused {
        let refusal = world.say(Command::fail(by, attempt, failure.clone())).unwrap_err();
        assert_eq!(refusal.code(), code, "{failure:?}");
    }
    fails(&mut world, busy().with_code("x".repeat(64)));
    let Some((TaskOutcome::DeadLettered(letter), _)) = world.engine.task(TaskId::new(7)).unwrap().outcome() else {
        panic!("it is no dead letter")
    };
    assert_eq!((letter.details(), letter.code.as_ref().unwrap().as_str().len()), (busy().details(), 64));
    world.crash();
}

#[test]
fn a_cancelled_child_run_is_known_by_its_code() {
    let nodes = [
        Node::new("a", Action::Do(Body::Flow(inner())))
            .with_handler(Handler::error("care", Failures::code(codes::CANCELLED))),
        step("care").with_link(Link::case("a", "care")),
    ];
    let mut world = World::running(flow(nodes), 0);
    let child = world.child();
    world.say(RunCommand::Cancel { run: child, reason: "an operator".into() }.into()).unwrap();
    fails(&mut world, Failure::transient("stopped"));
    assert_eq!((world.busy(), world.status("a")), (vec!["care".to_owned()], NodeStatus::Failed));
    world.done("care", 1);
    sound(&world);
}

#[test]
fn the_cause_of_a_run_shows_the_code() {
    let mut world = World::running(flow([job("a")]), 0);
    fails(&mut world, busy());
    let RunOutcome::Failed { cause: cause @ Cause::Node { .. }, .. } = world.outcome() else { panic!("not failed") };
    assert_eq!(cause.to_string(), "node a failed: overloaded (db.busy): no connection is free");
}
