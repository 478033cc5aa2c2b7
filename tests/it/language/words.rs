//! Each construct as a document and as data: both give the same definition.

use super::{compiled, wrong};
use counterpoint::definition::{
    Action, Body, Boundary, Budget, Call, Completion, Condition, Decision, Definition, Delegate, Expr, Gather, Handler,
    Join, Link, Map, Milestone, Node, OnUnmet, Precondition, RaceOption, Reducer, Remaining, Rounds, SignalRule, State,
    States, Variable, WaitFor, Work,
};
use counterpoint::definition::{OnCompensationFailure, OnFailure};
use counterpoint::task::Usage;
use counterpoint::workflow::{Attempt, Step, Workflow};
use counterpoint::{Failure, FailureKind, Policy, Retry};
use serde_json::json;
use std::time::Duration;

/// The definition of a document with these tasks.
fn of(yaml: &str) -> Definition {
    compiled(&format!("name: flow\n{yaml}"))
}

fn flow(nodes: impl IntoIterator<Item = Node>) -> Definition {
    nodes.into_iter().fold(Definition::new("flow"), Definition::with_node)
}

fn task(name: &str) -> Node {
    Node::new(name, Action::task(name))
}

#[test]
fn variables_and_writes() {
    let read = of("
context:
  found: append
  best: {reduce: max, initial: 3}
  last:
  by_host: {reduce: custom, by: longest}
  bid: {reduce: max, updates: {less: ['${context.bid}', '${item}']}}
tasks:
  - {id: a, writes: {found: output.hits, best: output.score.total}}
  - {id: b, depends_on: a, inputs: '${context.found}', writes: {last: output}}
outputs: '${context.best}'
");
    let expected = flow([
        task("a").writing("best", "/score/total").writing("found", "/hits"),
        task("b").with_link(Link::success("a")).with_input(Expr::variable("found")).writing("last", ""),
    ])
    .with_variable(Variable::new("best", Reducer::Max).with_initial(3))
    .with_variable(Variable::new("bid", Reducer::Max).with_updates(Condition::Less(Expr::variable("bid"), Expr::Item)))
    .with_variable(Variable::new("by_host", Reducer::Custom("longest".into())))
    .with_variable(Variable::new("found", Reducer::Append))
    .with_variable(Variable::new("last", Reducer::Replace))
    .with_output(Expr::variable("best"));
    assert_eq!(read, expected);
}

#[test]
fn failure_policies() {
    let read = of("
on_failure: hold
on_compensation_failure: continue
tasks: [{id: a, workflow: {on_compensation_failure: stop, tasks: [{id: b}]}}]
");
    let mut inner = Definition::new("a").with_node(task("b"));
    inner.on_compensation_failure = OnCompensationFailure::Stop;
    let mut expected = flow([Node::new("a", Action::flow(inner))]);
    (expected.on_failure, expected.on_compensation_failure) = (OnFailure::Hold, OnCompensationFailure::Continue);
    assert_eq!(read, expected);
    let faults = wrong("{name: flow, on_failure: hodl, on_compensation_failure: 3, tasks: [{id: a}]}");
    assert_eq!(
        faults,
        [
            "on_failure: unknown keyword `hodl`, did you mean `hold`?",
            "on_compensation_failure: expected a string, found a number"
        ]
    );
}

#[test]
fn patterns() {
    let read = of("
tasks:
  - {id: a, precondition: {matches: ['${inputs.file}', 'src/*.rs']}}
");
    let when = Condition::matches(Expr::Input.at("/file"), "src/*.rs");
    assert_eq!(read, flow([task("a").with_precondition(Precondition::new(when))]));
    let faults = wrong(
        "
name: flow
tasks:
  - {id: a, precondition: {matches: ['${inputs.file}']}}
  - {id: b, precondition: {matches: ['${inputs.file}', 7]}}
",
    );
    assert_eq!(faults[1], "tasks[1].precondition.matches[1]: expected a string, found a number");
    assert!(faults[0].ends_with("expected a list of a value and a pattern"), "{faults:?}");
    let long = Condition::matches(Expr::Input, "*".repeat(1_000));
    let node = task("a").with_precondition(Precondition::new(long));
    let error = counterpoint::workflow::validate(&flow([node]), &counterpoint::Limits::default()).unwrap_err();
    assert!(error.to_string().contains("pattern of 1000 bytes"), "{error}");
}

#[test]
fn delegated_work() {
    let read = of("
tasks:
  - id: a
    delegate: true
  - id: b
    agent: scout
    delegate:
      depth: 2
      fan_out: 3
      max_parts: 30
      kinds: [b, search]
      max_concurrent: 4
      tolerate: 1
      beyond: drop
      gather_by: {type: write, priority: high}
      rounds: {most: 4, near: 0.5, settled: 2}
  - {id: c, delegate: {gather: append, kinds: search}}
  - {id: d, delegate: {gather_by: write, rounds: 3}}
  - {id: e, delegate: {gather: ranks}}
");
    let write = || Work::new("write");
    let own = Work::new("b").with_needs(counterpoint::Needs::skill("scout"));
    let full = Delegate::new(own)
        .to_depth(2)
        .with_fan_out(3)
        .with_max_parts(30)
        .with_kinds(["b", "search"])
        .max_concurrent(4)
        .tolerate(1)
        .dropping_excess()
        .gathered(Gather::Work(write().with_tier(counterpoint::Tier::High)))
        .in_rounds(Rounds::up_to(4).until_within(0.5, 2));
    let delegate = |name: &str, delegate: Delegate| Node::new(name, Action::Delegate(delegate));
    let new = |name: &str| Delegate::new(Work::new(name));
    let expected = flow([
        delegate("a", new("a")),
        delegate("b", full),
        delegate("c", new("c").gathered(Gather::Reduce(Reducer::Append)).with_kinds(["search"])),
        delegate("d", new("d").gathered(Gather::Work(write())).in_rounds(Rounds::up_to(3))),
        delegate("e", new("e").gathered(Gather::Ranks)),
    ]);
    assert_eq!(read.nodes[1], expected.nodes[1]);
    assert_eq!(read, expected);
    let faults = wrong(
        "
name: flow
tasks:
  - {id: a, delegate: {gather: list, gather_by: x, depht: 1, rounds: {near: far}}}
  - {id: b, delegate: true, for_each: [1]}
  - {id: c, delegate: {gather: custom}, repeat: {most: 2}}
",
    );
    assert_eq!(
        faults,
        [
            "tasks[0].delegate.depht: unknown field `depht`, did you mean `depth`?",
            "tasks[0].delegate: `gather` and `gather_by` exclude each other",
            "tasks[0].delegate.rounds.near: expected a number, found a string",
            "tasks[1]: `delegate` and `for_each` exclude each other",
            "tasks[2]: `delegate` and `repeat` exclude each other",
            "tasks[2].delegate.gather: unknown keyword `custom`",
        ]
    );
}

#[test]
fn guards() {
    let read = of("
tasks:
  - id: a
    inputs: {cents: '${inputs.cents}'}
    precondition: {exists: '${item.cents}'}
    postcondition: {predicate: [is_receipt, '${item}']}
  - id: b
    precondition: {when: {less: [1, 2]}, otherwise: skip}
");
    let cents = Expr::object([("cents", Expr::Input.at("/cents"))]);
    let mut skip = Precondition::new(Condition::less(Expr::value(1), Expr::value(2)));
    skip.otherwise = OnUnmet::Skip;
    let expected = flow([
        task("a")
            .with_input(cents)
            .with_precondition(Precondition::new(Condition::Exists(Expr::Item.at("/cents"))))
            .with_postcondition(Condition::predicate("is_receipt", Expr::Item)),
        task("b").with_precondition(skip),
    ]);
    assert_eq!(read, expected);
}

#[test]
fn budgets() {
    let read = of("
budget: {time: 1h, cost: 5000000}
tasks:
  - {id: a, budget: {attempts: 5, tokens: 9000}, estimate: {tokens: 700, cost: 30}}
");
    let work = Work::new("a").with_estimate(Usage::default().with_tokens(700).with_cost(30));
    let node = Node::new("a", Action::Do(Body::Task(work)));
    let expected = flow([node.with_budget(Budget::default().with_attempts(5).with_tokens(9_000))])
        .with_budget(Budget::default().with_time(Duration::from_secs(3_600)).with_cost(5_000_000));
    assert_eq!(read, expected);
    assert_eq!(
        wrong("{name: flow, budget: {coins: 1}, tasks: [{id: a, budget: {tokens: -1}, estimate: {cost: much}}]}"),
        [
            "budget.coins: unknown field `coins`",
            "tasks[0].estimate.cost: expected an integer, found a string",
            "tasks[0].budget.tokens: invalid value `-1`, expected an integer of at least 0",
        ]
    );
}

#[test]
fn races_and_decisions() {
    let read = of("
signals: {tick: {transient: true}, bid: {kept_for: 1m, most: 10}, plain: }
tasks:
  - id: draft
    race:
      - {name: other, signal: other}
  - id: first
    depends_on: [{task: draft, case: other}]
    race:
      - {name: withdrawn, signal: withdraw, matching: {equal: ['${item.order}', '${inputs.order}']}}
      - {name: late, after: 2h}
      - {name: then, at: '${inputs.until}'}
      - name: decision
        decision:
          role: manager
          options: [approve, reject]
          not_by: draft
          escalation: [{after: 1h, role: director}]
");
    let mine = Condition::equal(Expr::Item.at("/order"), Expr::Input.at("/order"));
    let decision = Decision::by("manager", ["approve", "reject"])
        .escalated(Duration::from_secs(3_600), "director")
        .not_by_decider_of("draft");
    let offers = vec![
        RaceOption::new("withdrawn", WaitFor::signal("withdraw").matching(mine)),
        RaceOption::new("late", WaitFor::After(Duration::from_secs(7_200))),
        RaceOption::new("then", WaitFor::At(Expr::Input.at("/until"))),
        RaceOption::new("decision", decision.into()),
    ];
    let other = vec![RaceOption::new("other", WaitFor::signal("other"))];
    let expected = flow([
        Node::new("draft", Action::Race { options: other }),
        Node::new("first", Action::Race { options: offers }).with_link(Link::case("draft", "other")),
    ])
    .with_signal(SignalRule::new("bid").kept_for(Duration::from_secs(60)).max_kept(10))
    .with_signal(SignalRule::new("plain"))
    .with_signal(SignalRule::new("tick").transient());
    assert_eq!(read, expected);
}

#[test]
fn handlers_and_cancelled_regions() {
    let read = of("
tasks:
  - id: call
    handlers:
      - {name: remind, timeout: 1m, beside: true}
      - {name: busy, error: [overloaded, transient]}
      - {name: broken, error: true}
      - {name: stopped, signal: stop, matching: {exists: '${item}'}}
      - {name: withdrawn, cancel: true}
  - {id: mail, depends_on: {task: call, case: remind}}
  - {id: other, cancels: [call, mail]}
");
    let stopped = Boundary::Signal { signal: "stop".into(), matching: Condition::Exists(Expr::Item) };
    let mut signal = Handler::signal("stopped", "stop");
    signal.on = stopped;
    let call = task("call")
        .with_handler(Handler::timeout("remind", Duration::from_secs(60)).non_interrupting())
        .with_handler(Handler::error("busy", [FailureKind::Overloaded, FailureKind::Transient]))
        .with_handler(Handler::error("broken", []))
        .with_handler(signal)
        .with_handler(Handler::cancel("withdrawn"));
    let mail = task("mail").with_link(Link::case("call", "remind"));
    assert_eq!(read, flow([call, mail, task("other").with_cancel("call").with_cancel("mail")]));
}

#[test]
fn states() {
    let read = of("
tasks:
  - id: essay
    inputs: '${inputs}'
    states:
      start: draft
      most: 20
      states:
        - {name: draft, do: {type: write, retry: 2}, compensate: true, next: review}
        - name: review
          do: criticise
          inputs: {text: '${item}'}
          output: {text: '${item.input}', grade: '${item.result.grade}'}
          next:
            - {to: done, when: {greater: ['${item.grade}', 7]}}
            - {to: failed, on_failure: true, output: '${item.input}'}
            - draft
        - {name: failed, call: {workflow: apologise, depth: 2}, next: done}
        - {name: done}
");
    let mut retry = Retry::default();
    retry.attempts = 2;
    let write = Work::new("write").with_policy(Policy::default().with_retry(retry));
    let good = Condition::less(Expr::value(7), Expr::Item.at("/grade"));
    let text = Expr::object([("text", Expr::Item)]);
    let graded = [("text", Expr::Item.at("/input")), ("grade", Expr::Item.at("/result/grade"))];
    let graded = Expr::object(graded);
    let states = States::from("draft", 20)
        .with(State::new("draft").doing(write).with_undo(Work::new("write.undo")).then("review"))
        .with(
            State::new("review")
                .doing(Work::new("criticise"))
                .with_input(text)
                .with_output(graded)
                .when(good, "done")
                .on_failure("failed")
                .carrying(Expr::Item.at("/input"))
                .then("draft"),
        )
        .with(State::new("failed").with_body(Body::Call(Call::of("apologise").to_depth(2))).then("done"))
        .with(State::new("done"));
    assert_eq!(read, flow([Node::new("essay", Action::States(states)).with_input(Expr::Input)]));
}

#[test]
fn maps_that_end_early_rounds_and_turns() {
    let read = of("
tasks:
  - {id: ask, for_each: '${inputs.who}', tolerate_percent: 10, open: true, enough: {of: 3, cancel_rest: true}}
  - {id: tell, for_each: '${inputs.who}', enough: {begun: true}}
  - {id: look, for_each: '${inputs.who}', enough: {when: {greater: ['${item.last}', 7]}}}
  - {id: pair, depends_on: [{task: ask, on: each}, {task: look, on: each}], join: {rounds: 2, rest: hold}}
  - {id: a, mutex: desk}
  - {id: b, mutex: desk, depends_on: a}
  - {id: now, milestone: {after: a, until: b}}
");
    let over = |name: &str| Map::over(Expr::Input.at("/who"), Body::Task(Work::new(name)));
    let each = |name: &str, map: Map| Node::new(name, Action::Map(map)).with_input(Expr::Item);
    let good = Condition::less(Expr::value(7), Expr::Item.at("/last"));
    let rounds = Join::Rounds { required: 2, remaining: Remaining::Hold };
    let expected = flow([
        each("ask", over("ask").tolerate_percent(10).open().with_completion(Completion::after(3).cancel_rest())),
        each("tell", over("tell").with_completion(Completion::when_started())),
        each("look", over("look").with_completion(Completion::when(good))),
        task("pair").with_link(Link::each("ask")).with_link(Link::each("look")).with_join(rounds),
        task("a").with_mutex("desk"),
        task("b").with_mutex("desk").with_link(Link::success("a")),
        task("now").with_milestone(Milestone::between("a", "b")),
    ]);
    assert_eq!(read, expected);
}

#[test]
fn calls() {
    let read = of("
tasks:
  - {id: a, call: other}
  - {id: b, call: {workflow: flow, version: 2, depth: 9}, inputs: '${inputs}'}
  - {id: c, for_each: '${inputs.list}', call: other}
");
    let call = |name: &str, call: Call| Node::new(name, Action::Do(Body::Call(call)));
    let each = Map::over(Expr::Input.at("/list"), Body::Call(Call::of("other")));
    let expected = flow([
        call("a", Call::of("other")),
        call("b", Call::of("flow").with_version(2).to_depth(9)).with_input(Expr::Input),
        Node::new("c", Action::Map(each)).with_input(Expr::Item),
    ]);
    assert_eq!(read, expected);
}

#[test]
fn faults_in_races_and_handlers_have_a_path() {
    let lines = wrong(
        "
name: flow
signals: {tick: {transent: true}}
tasks:
  - {id: a, race: [{name: x, signal: s, after: 1m}, {after: 1m}, {name: w}, {name: z, decision: {role: r}}], type: t}
  - {id: b, handlers: [{name: x, error: [transiet]}, {name: w, cancel: false}, {name: z, timeout: 1m, matching: true}]}
  - {id: c, milestone: {after: d}, states: {start: s, states: [{next: s}]}, wait: {timer: 1s}}
  - {id: e, for_each: [], enough: {}, join: {rounds: 1, count: 1}, call: {depth: 1}}
",
    );
    assert_eq!(
        lines,
        [
            "signals.tick.transent: unknown field `transent`, did you mean `transient`?",
            "tasks[0]: `race` and `type` exclude each other",
            "tasks[0].race[0]: `signal` and `after` exclude each other",
            "tasks[0].race[1]: `name` is missing",
            "tasks[0].race[2]: `signal` or `after` or `at` or `when` or `decision` is missing",
            "tasks[0].race[3].decision: `options` is missing",
            "tasks[1].handlers[0].error[0]: unknown keyword `transiet`, did you mean `transient`?",
            "tasks[1].handlers[1].cancel: invalid value `false`, expected true, or no field",
            "tasks[1].handlers[2].matching: `matching` has no effect without `signal`",
            "tasks[2]: `wait` and `states` exclude each other",
            "tasks[2].states: `most` is missing",
            "tasks[2].states.states[0]: `name` is missing",
            "tasks[2].milestone: `until` is missing",
            "tasks[2].milestone.after: unknown task `d`",
            "tasks[3].join: `count` and `rounds` exclude each other",
            "tasks[3].call: `workflow` is missing",
            "tasks[3].enough: `of` is missing",
        ]
    );
}

struct Draft;

impl Step for Draft {
    const KIND: &'static str = "draft";
    type Input = String;
    type Output = String;

    fn run(&self, text: String, _: &Attempt) -> Result<String, Failure> {
        Ok(text)
    }
}

/// The typed builder, plain data and a document give the same definition.
#[test]
fn the_builder_and_a_document_give_the_same_definition() {
    let typed = Workflow::<String, Option<Vec<String>>>::named("flow").budget(Budget::default().with_tokens(9_000));
    let seen = typed.variable::<Vec<String>>("seen", Reducer::Append).initially(json!([]));
    let seen = seen.updated_when(Condition::Exists(Expr::Item));
    let first = typed
        .step(Draft, typed.input())
        .requires(Precondition::new(Condition::Exists(Expr::Item)).or_skip())
        .ensures(Condition::Exists(Expr::Item.at("/text")))
        .estimate(Usage::default().with_tokens(700))
        .budget(Budget::default().with_attempts(4))
        .writes(seen, "/text");
    let late = first.handle(Handler::timeout("late", Duration::from_secs(60)));
    let _again = typed.call::<String, String>(Call::of("flow").to_depth(3), typed.input()).named("again").on(late);
    let _race =
        typed.race([RaceOption::new("go", WaitFor::signal("go"))]).named("wait").node().after(first).mutex("desk");
    let built = typed.output(seen.value()).unwrap();
    let read = of("
budget: {tokens: 9000}
context: {seen: {reduce: append, initial: [], updates: {exists: '${item}'}}}
tasks:
  - id: draft
    inputs: '${inputs}'
    precondition: {when: {exists: '${item}'}, otherwise: skip}
    postcondition: {exists: '${item.text}'}
    estimate: {tokens: 700}
    budget: {attempts: 4}
    writes: {seen: output.text}
    handlers: [{name: late, timeout: 1m}]
  - {id: again, call: {workflow: flow, depth: 3}, inputs: '${inputs}', depends_on: {task: draft, case: late}}
  - {id: wait, race: [{name: go, signal: go}], depends_on: draft, mutex: desk}
outputs: '${context.seen}'
");
    assert_eq!(**built.definition(), read);
}

#[test]
fn faults_in_variables_and_guards_have_a_path() {
    let lines = wrong(
        "
name: flow
context: {found: apend, by_host: custom, x: {reduce: max, by: longest}, y: {reduce: custom}}
tasks:
  - id: a
    inputs: '${context.fuond}'
    writes: {foud: output, found: result}
    precondition: {when: {less: [1]}, otherwise: ignore}
    postcondition: {predicate: is_good}
",
    );
    assert_eq!(
        lines,
        [
            "context.by_host: `by` is missing",
            "context.found: unknown keyword `apend`, did you mean `append`?",
            "context.x.by: `by` has no effect without `reduce: custom`",
            "context.y: `by` is missing",
            "tasks[0].inputs: unknown variable `fuond`, did you mean `found`?",
            "tasks[0].writes.foud: unknown variable `foud`, did you mean `found`?",
            "tasks[0].writes.found: invalid value `result`, expected a part of the output, such as output or output.total",
            "tasks[0].precondition.when.less: invalid value `[1]`, expected a list of two values",
            "tasks[0].precondition.otherwise: unknown keyword `ignore`",
            "tasks[0].postcondition.predicate: expected a list, found a string",
        ]
    );
}

#[test]
fn findings_of_validation_have_the_path_of_their_field() {
    let lines = wrong(
        "
name: flow
context: {last: replace}
tasks:
  - {id: a, writes: {last: output}}
  - {id: b, writes: {last: output}, precondition: {exists: '${a.output}'}}
",
    );
    assert_eq!(
        lines,
        [
            "tasks[1].writes: writes to variable `last`, and so may `a`: link one after the other, or give the variable another \
         reducer",
            "tasks[1].precondition: its precondition uses the output of `a`, which need not have ended by then: link it after `a`",
        ]
    );
}

#[test]
fn bounds_and_times_from_data() {
    let read = of("
tasks:
  - {id: a, for_each: '${inputs.list}', max_concurrent: inputs.most, tolerate: 1, tolerate_percent: '${inputs.share * 100}'}
  - {id: b, wait: {signal: go, until: 'run.started + duration(\"1h\")'}}
");
    let mut map = Map::over(Expr::Input.at("/list"), Body::Task(Work::new("a"))).tolerate(1);
    map.bounds = Some("{max_concurrent: inputs.most, tolerate_percent: inputs.share * 100}".parse().unwrap());
    let until = WaitFor::At("run.started + duration('1h')".parse().unwrap());
    let options = vec![RaceOption::new("signal", WaitFor::signal("go")), RaceOption::new("until", until)];
    let each = Node::new("a", Action::Map(map)).with_input(Expr::Item);
    assert_eq!(read, flow([each, Node::new("b", Action::Race { options })]));
}

#[test]
fn priorities_attempts_and_timeouts_from_data() {
    let read = of("
tasks:
  - {id: a, priority: '${inputs.rank}', timeout: '${inputs.within}', retry: {attempts: '${item.tries}', delay: 1s}}
  - {id: b, retry: {from: inputs.tries}, queue_timeout: '${duration(\"5m\") * 2}', total_timeout: 1h}
  - {id: c, for_each: '${inputs.list}', heartbeat_timeout: '${item}'}
  - {id: d, states: {start: s, most: 2, states: [{name: s, do: {type: s, priority: '${item.rank}'}}]}}
");
    let task = |id: &str, overrides: &str| Work::new(id).overridden_by(overrides.parse().unwrap());
    let second = Duration::from_secs(1);
    let mut retry = Retry::default();
    retry.base = second;
    let a = task("a", "{tier: inputs.rank, attempt_timeout: inputs.within, attempts: item.tries}");
    let a = a.with_policy(Policy::default().with_retry(retry));
    let b = task("b", "{attempts: inputs.tries, queue_timeout: duration('5m') * 2}");
    let b = b.with_policy(Policy::default().with_total_timeout(3_600 * second));
    let c = Map::over(Expr::Input.at("/list"), Body::Task(task("c", "{heartbeat_timeout: item}")));
    let s = State::new("s").doing(task("s", "{tier: item.rank}"));
    let nodes = [
        Node::new("a", Action::Do(Body::Task(a))),
        Node::new("b", Action::Do(Body::Task(b))),
        Node::new("c", Action::Map(c)).with_input(Expr::Item),
        Node::new("d", Action::States(States::from("s", 2).with(s))),
    ];
    assert_eq!(read, flow(nodes));
    let lines = wrong(
        "name: flow\ntasks: [{id: a, compensate: {priority: '${inputs.rank}', timeout: '${inputs.x}'}, timeout: '${b.output}'}]",
    );
    assert_eq!(
        lines,
        [
            "tasks[0].timeout: unknown task `b`",
            "tasks[0].compensate.priority: unknown keyword `${inputs.rank}`",
            "tasks[0].compensate.timeout: invalid value `${inputs.x}`, expected a duration such as 250ms or 1m 30s",
        ]
    );
}

#[test]
fn conditions_as_text_are_those_as_objects() {
    let of_when = |when: &str| of(&format!("inputs: {{a: null, b: null}}\ntasks: [{{id: t, when: {when}}}]"));
    for (text, object) in [
        ("inputs.a > 1 && !exists(inputs.b)", "{all: [{greater: ['${inputs.a}', 1]}, {not: {exists: '${inputs.b}'}}]}"),
        ("inputs.a in [1, 2] || inputs.b", "{any: [{in: ['${inputs.a}', [1, 2]]}, '${inputs.b}']}"),
        ("matches(inputs.a, 'x*')", "{matches: ['${inputs.a}', 'x*']}"),
        ("inputs.a <= inputs.b", "{at_most: ['${inputs.a}', '${inputs.b}']}"),
        ("${true}", "true"),
        ("predicate('p', inputs.a)", "{predicate: [p, '${inputs.a}']}"),
    ] {
        assert_eq!(of_when(&format!("{text:?}")), of_when(object), "{text}");
    }
}
