//! Inputs, lists, times and outputs that are computed; what fails if there is nothing to compute with; and what it costs.

use crate::flow::{World, flow, json, step, work};
use counterpoint::definition::{
    Action, Body, Case, Condition, Definition, Expr, Fail, Handler, Link, Map, Node, Precondition, RaceOption, WaitFor,
};
use counterpoint::message::{Cause, NodeStatus};
use counterpoint::task::{Code, Failures, codes};
use counterpoint::workflow::{Fault, validate};
use counterpoint::{Command, Limits, RunId, RunOutcome, RunSpec};
use serde_json::{Value, json};
use std::time::Duration;

fn expr(text: &str) -> Expr {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn holds(text: &str) -> Condition {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The code and the message with which a run of this definition fails.
fn cause(definition: Definition, input: Value) -> (Option<Code>, String) {
    let mut world = World::running(definition, input);
    world.crash();
    let failure = world.outcome().cause().expect("it fails").failure();
    (failure.code.clone(), failure.message.to_string())
}

#[test]
fn an_input_is_computed_and_recorded() {
    let a = step("a").with_input(expr("{total: inputs.cents * 3 / 100, key: concat(run.name, ':', this.name)}"));
    let b = step("b").with_link(Link::success("a")).with_input(expr("put(a.output, '/x/y', this.attempt)"));
    let mut world = World::running(flow([a, b]), json!({"cents": 250}));
    assert_eq!(*world.task("a").payload.value(), json!({"total": 7.5, "key": "flow:a"}));
    world.crash();
    world.done("a", json!({"x": {"z": 1}}));
    assert_eq!(*world.task("b").payload.value(), json!({"x": {"y": 1, "z": 1}}));
    world.crash();
    world.done("b", 0);
    assert!(matches!(world.outcome(), RunOutcome::Succeeded { .. }));
}

#[test]
fn metadata_is_that_of_the_run_and_the_node() {
    let all = "[run.id, run.key, run.name, run.version, run.started, this.name, this.attempt, this.index, item]";
    let each = Node::new("a", Action::Map(Map::over(expr("inputs"), Body::Task(work("a")))));
    let mut definition = flow([each.with_input(expr(all))]).with_output(expr("[run.name, this.name, this.index]"));
    definition.version = 4;
    let mut world = World::new();
    world.say(Command::define(definition)).unwrap();
    let mut spec = RunSpec::new(RunId::new(9), "flow").with_input(json(json!(["x", "y"])));
    spec.business_key = Some("order 7".into());
    world.say(Command::start(spec)).unwrap();
    let payloads: Vec<Value> = world.held.values().map(|(_, spec)| spec.payload.value().clone()).collect();
    let started = world.now.as_nanos();
    let of = |index: u64, item: &str| {
        json!([RunId::new(9).to_string(), "order 7", "flow", 4, started, "a", null, index, item])
    };
    assert_eq!(payloads, [of(0, "x"), of(1, "y")]);
    for kind in ["a", "a"] {
        world.done(kind, 0);
    }
    assert_eq!(world.engine.run(RunId::new(9)).unwrap().output_so_far().value(), &json!(["flow", null, null]));
}

#[test]
fn a_path_that_leads_nowhere_fails_the_node_that_needs_it() {
    let missing = Some(Code::from(codes::MISSING_VALUE));
    let at = |action| Node::new("a", action);
    let over = |text| at(Action::Map(Map::over(expr(text), Body::Task(work("a")))));
    let race = at(Action::Race { options: vec![RaceOption::new("late", WaitFor::At(expr("inputs.until")))] });
    for (node, message) in [
        (step("a").with_input(expr("{x: inputs.gone}")), "its input has no value: there is nothing at `inputs.gone`"),
        (
            at(Action::Pass).with_input(expr("inputs.list[2]")),
            "its input has no value: there is nothing at `inputs.list[2]`",
        ),
        (over("inputs.gone.x"), "its list has no value: there is nothing at `inputs.gone.x`"),
        (race, "the time of option `late` has no value: there is nothing at `inputs.until`"),
        (at(Action::Fail(Fail::new(expr("inputs.why")))), "its input has no value: there is nothing at `inputs.why`"),
        (
            at(Action::Choose {
                pick: Default::default(),
                cases: vec![Case::new("c", Condition::True)],
                otherwise: None,
            })
            .with_input(expr("inputs.n.x")),
            "its input has no value: there is nothing at `inputs.n.x`",
        ),
    ] {
        assert_eq!(cause(flow([node]), json!({"list": [1, 2], "n": 3})), (missing.clone(), message.to_owned()));
    }
    let (code, message) = cause(flow([step("a").with_input(expr("inputs.n + 'x'"))]), json!({"n": 3}));
    assert_eq!(code, Some(codes::INVALID_VALUE.into()));
    assert!(message.starts_with("its input has no value: `add` expects two numbers"), "{message}");
}

#[test]
fn a_missing_value_is_caught_by_an_alternative_a_condition_or_a_handler() {
    let a =
        step("a").with_input(expr("[inputs.gone ?? 1, first(inputs.gone), if(exists(inputs.gone), inputs.gone, 2)]"));
    let world = World::running(flow([a]), json!({}));
    assert_eq!(*world.task("a").payload.value(), json!([1, null, 2]));

    let asked = |text: &str| {
        let cases = vec![Case::new("yes", holds(text))];
        let choice = Action::Choose { pick: Default::default(), cases, otherwise: Some("no".into()) };
        let ends = ["yes", "no"].map(|case| step(case).with_link(Link::case("c", case)));
        let world =
            World::running(flow([Node::new("c", choice)].into_iter().chain(ends)), json!({"null": null, "n": 1}));
        world.busy().concat()
    };
    assert_eq!(asked("exists(inputs.null) && is_null(inputs.null)"), "yes");
    assert_eq!(asked("exists(inputs.gone) || is_null(inputs.gone) || inputs.gone < 2 || inputs.gone.x == 1"), "no");
    assert_eq!(asked("inputs.n / 0 == 1 || inputs.n.x > 0"), "no");

    let fails =
        step("a").with_input(expr("inputs.gone")).with_handler(Handler::error("care", Failures::code("cp.value.*")));
    let world = World::running(flow([fails, step("care").with_link(Link::case("a", "care"))]), json!({}));
    assert_eq!((world.status("a"), world.busy()), (NodeStatus::Failed, vec!["care".to_owned()]));
}

#[test]
fn an_output_without_a_value_fails_the_run() {
    let mut definition = flow([step("a")]);
    definition.output = expr("a.output.total");
    let mut world = World::running(definition, 0);
    world.done("a", json!({"cents": 3}));
    world.crash();
    let RunOutcome::Failed { cause: cause @ Cause::Output { .. }, .. } = world.outcome() else {
        panic!("{:?}", world.outcome());
    };
    assert_eq!(cause.failure().code, Some(codes::MISSING_VALUE.into()));
    assert_eq!(cause.to_string(), "the output of the run has no value: there is nothing at `a.output.total`");
}

#[test]
fn a_race_waits_until_a_computed_time() {
    let until = expr("run.started + duration('90s')");
    let race = Node::new("a", Action::Race { options: vec![RaceOption::new("late", WaitFor::At(until))] });
    let mut world = World::running(flow([race]), 0);
    let due = world.now + Duration::from_secs(90);
    world.pass(Duration::from_secs(89));
    assert_eq!(world.status("a"), NodeStatus::Running);
    world.pass(Duration::from_secs(1));
    assert_eq!((world.status("a"), world.now), (NodeStatus::Succeeded, due));
}

/// A map over `inputs.list` with these bounds.
fn bounded(bounds: &str) -> Definition {
    let map = Map::over(expr("inputs.list"), Body::Task(work("a"))).max_concurrent(1).bounded_by(expr(bounds));
    flow([Node::new("each", Action::Map(map))])
}

#[test]
fn the_bounds_of_a_map_are_computed_once_when_it_opens() {
    let mut definition = bounded("{max_concurrent: context.most, tolerate: length(inputs.list) / 2}");
    let most = counterpoint::definition::Variable::new("most", counterpoint::definition::Reducer::Max);
    definition.variables.push(most.with_initial(2).with_updates(Condition::True));
    let mut world = World::running(definition, json!({"list": [1, 2, 3, 4]}));
    assert_eq!(world.busy().len(), 2);
    let update = counterpoint::RunCommand::Update { run: crate::flow::RUN, variable: "most".into(), value: json(4) };
    world.say(update.into()).unwrap();
    world.crash();
    world.done("a", 0);
    assert_eq!(world.busy().len(), 2, "the bound is that of the start");
    world.failed("a").failed("a").done("a", 0);
    assert_eq!(world.status("each"), NodeStatus::Succeeded, "two of four may fail");
}

#[test]
fn bounds_that_are_none_fail_the_map() {
    for (bounds, message) in [
        ("{max_concurrent: 'two'}", "the bounds of its items are not an object of integers"),
        ("{max_concurrent: -1}", "the bounds of its items are not an object of integers"),
        ("{most: 1}", "the bounds of its items are not an object of integers"),
        ("{max_concurrent: 0}", "the bounds of its items let no item run"),
        ("{tolerate: inputs.gone}", "the object of its bounds has no value: there is nothing at `inputs.gone`"),
    ] {
        assert_eq!(cause(bounded(bounds), json!({"list": [1]})).1, message);
    }
    let world = World::running(bounded("{max_concurrent: null, tolerate: 4294967295}"), json!({"list": [1, 2]}));
    assert_eq!(world.busy().len(), 1, "null leaves what the definition says");
}

#[test]
fn wrong_expressions_are_rejected() {
    let each =
        |name: &str| format!(r#"{{"each":{{"kind":"map","over":"input","name":"{name}","body":{{"local":"x"}}}}}}"#);
    let faults = |json: &str| {
        let input: Expr = serde_json::from_str(json).unwrap();
        let definition = flow([step("a").with_input(input)]);
        let error = validate(&definition, &Limits::default()).err();
        error.map(|error| error.findings().iter().map(|finding| finding.fault.to_string()).collect::<Vec<String>>())
    };
    assert_eq!(faults(&each("x")), None);
    let unknown = "its input uses `x`, which is not the item of a function around it";
    assert_eq!(faults(&each("y")).unwrap(), [unknown]);
    assert_eq!(faults(r#"{"local":"x"}"#).unwrap(), [unknown]);
    assert_eq!(faults(&each("x").replace(r#""input""#, r#"{"local":"x"}"#)).unwrap(), [unknown]);
    for name in ["a", "item", "two words", ""] {
        let said = faults(&each(name)).unwrap();
        assert_eq!(said[0], format!("its input names an item `{name}`, which must be a name that nothing else has"));
    }
    assert_eq!(faults(r#"{"call":["slice",["input"]]}"#).unwrap(), ["its input calls `slice` with 1 arguments"]);
    let condition = Condition::Is(expr("count(inputs, x => x == 1) > 2"));
    assert!(validate(&flow([step("a").with_precondition(Precondition::new(condition))]), &Limits::default()).is_ok());
    let deep = (0..40).fold(Expr::Input, |expr, _| Expr::test(Condition::Is(expr)));
    let error = validate(&flow([step("a").with_input(deep)]), &Limits::default()).unwrap_err();
    assert!(matches!(error.findings()[0].fault, Fault::TooDeep { .. }), "{error}");
}

/// The most expensive expressions within the limits on texts: nested functions of lists over ranges.
#[test]
fn the_most_expensive_expressions_end_at_their_bound() {
    let limits = Limits::default();
    let bound = u64::from(limits.runs.evaluation_units.max(limits.sizes.payload_bytes / 8));
    let nested = (0..10).fold("1".to_owned(), |body, level| format!("sum(map(range(0, 50000), x{level} => {body}))"));
    let wide = format!("concat({})", vec!["text(range(0, 5000))"; 1_000].join(", "));
    let deep_any = (0..12).fold("false".to_owned(), |body, level| format!("any(range(0, 1000), y{level} => {body})"));
    let sorted = "sort(map(range(0, 60000), n => text(n)))".to_owned();
    let doubled = (0..10).fold("'xxxxxxxx'".to_owned(), |text, _| format!("map([{text}], t => t + t + t + t)[0]"));
    for text in [nested, wide, deep_any, sorted, doubled] {
        for as_condition in [false, true] {
            let mut node = step("a").with_input(expr(&text));
            if as_condition {
                node = step("a").with_precondition(Precondition::new(Condition::Is(expr(&text))));
            }
            let mut world = World::new();
            world.say(Command::define(flow([node]))).unwrap();
            world.say(Command::start(RunSpec::new(RunId::new(1), "flow"))).unwrap();
            let spent = world.engine.work();
            // An evaluation, the move that follows, and the step that exceeded the bound.
            assert!(spent <= 3 * bound + 10_000, "{spent} units, {} times the bound: {}", spent / bound, &text[..40]);
        }
    }
}
