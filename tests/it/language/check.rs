//! Advice on definitions before they run.

use super::{compiled, example};
use counterpoint::Limits;
use counterpoint::workflow::check;

fn advice(yaml: &str) -> Vec<String> {
    let check = check(&compiled(yaml), &Limits::default()).unwrap();
    check.advice.iter().map(ToString::to_string).collect()
}

#[test]
fn the_examples_have_the_expected_width_and_depth() {
    let order = check(&compiled(&example("order.yaml")), &Limits::default()).unwrap();
    assert_eq!(order.width, 3);
    let path: Vec<&str> = order.critical_path.iter().map(|name| name.as_str()).collect();
    assert_eq!(path, ["reserve", "ship", "notify"]);
    assert_eq!(advice(&example("order.yaml")), ["node inspect: comes before the pivot `ship` but has no compensation"]);

    let research = check(&compiled(&example("research.yaml")), &Limits::default()).unwrap();
    assert_eq!(research.critical_path.len(), 6);
    // A picture that could not be made is left out; the final step receives null.
    let said = "node coordinate: uses the output of `visualize`, which need not have succeeded by then";
    assert_eq!(advice(&example("research.yaml")), [said]);
}

#[test]
fn nodes_behind_one_that_never_starts_never_start() {
    let yaml = r#"
name: dead
tasks:
  - {id: a, when: false}
  - {id: b, depends_on: a}
  - {id: c, depends_on: [a, d], join: any}
  - {id: d, when: {any: [{exists: "${inputs}"}, true]}}
  - {id: e, depends_on: [a, b], join: any}
  - {id: f, depends_on: [{task: b, on: always}]}
"#;
    let expected = [
        "node a.when: never takes case `yes`",
        "node a: never starts",
        "node b: never starts",
        "node d.when: never takes case `no`",
        "node e: never starts",
    ];
    assert_eq!(advice(yaml), expected);
}

#[test]
fn a_case_after_one_that_always_holds_is_never_taken() {
    let yaml = |pick: &str| {
        format!(
            "{{name: x, tasks: [{{id: r, pick: {pick}, choose: [{{case: a, when: true}}, {{case: b, when: \"${{item}}\"}}], otherwise: c}}]}}"
        )
    };
    assert_eq!(advice(&yaml("first")), ["node r: never takes case `b`", "node r: never takes case `c`"]);
    assert_eq!(advice(&yaml("every")), ["node r: never takes case `c`"]);
}

/// Advice has a line and a column, also in nested workflows.
#[test]
fn advice_on_a_document_has_its_place() {
    let yaml = r#"
name: places
tasks:
  - {id: try}
  - {id: good, depends_on: try}
  - {id: bad, depends_on: {task: try, on: failure}}
  - id: both
    depends_on: [good, bad]
  - id: sub
    workflow:
      tasks:
        - {id: ask, wait: {signal: answer}}
"#;
    let advice = super::document(yaml).advice(&Limits::default()).unwrap();
    let lines: Vec<String> = advice.iter().map(ToString::to_string).collect();
    let expected = [
        "7:5: tasks[3]: node both: never starts, because `good` and `bad` exclude each other",
        "12:11: tasks[4].workflow.tasks[0]: node sub > node ask: waits for signal `answer`, which no node sends and no rule of signals names",
    ];
    assert_eq!(lines, expected);
    assert!(super::document(&example("research.yaml")).advice(&Limits::default()).is_ok());
    assert!(super::document("{name: x, tasks: 3}").advice(&Limits::default()).is_err());
}
