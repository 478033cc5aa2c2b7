//! Each construct as a document and as data: they mean the same.

use super::{compiled, wrong};
use counterpoint::Usage;
use counterpoint::definition::{
    Action, Body, Budget, Condition, Definition, Expr, Link, Node, Otherwise, Precondition, Reducer, Variable, Work,
};
use std::time::Duration;

/// The definition that a document with these tasks means.
fn of(yaml: &str) -> Definition {
    compiled(&format!("name: flow\n{yaml}")).definition
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
    .with_variable(Variable::new("by_host", Reducer::Custom("longest".into())))
    .with_variable(Variable::new("found", Reducer::Append))
    .with_variable(Variable::new("last", Reducer::Replace))
    .with_output(Expr::variable("best"));
    assert_eq!(read, expected);
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
    skip.otherwise = Otherwise::Skip;
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
            "tasks[0].estimate.cost: is a text, not a whole number",
            "tasks[0].budget.tokens: `-1` is no whole number of at least 0",
        ]
    );
}

#[test]
fn mistakes_in_variables_and_guards_have_a_path() {
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
            "context.found: unknown word `apend`, did you mean `append`?",
            "context.x.by: `by` means nothing without `reduce: custom`",
            "context.y: `by` is missing",
            "tasks[0].inputs: unknown variable `fuond`, did you mean `found`?",
            "tasks[0].writes.foud: unknown variable `foud`, did you mean `found`?",
            "tasks[0].writes.found: `result` is no part of the output such as output or output.total",
            "tasks[0].precondition.when.less: `[1]` is no list of the two that are compared",
            "tasks[0].precondition.otherwise: unknown word `ignore`",
            "tasks[0].postcondition.predicate: is a text, not a list",
        ]
    );
}

#[test]
fn what_only_the_whole_shows_has_the_path_of_its_word() {
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
