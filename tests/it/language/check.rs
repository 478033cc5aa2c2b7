//! What is said of a definition before it runs.

use super::{compiled, example};
use counterpoint::Limits;
use counterpoint::workflow::check;

fn advice(yaml: &str) -> Vec<String> {
    let check = check(&compiled(yaml).definition, &Limits::default()).unwrap();
    check.advice.iter().map(ToString::to_string).collect()
}

#[test]
fn the_examples_are_as_wide_and_as_long_as_they_look() {
    let order = check(&compiled(&example("order.yaml")).definition, &Limits::default()).unwrap();
    assert_eq!(order.width, 3);
    let path: Vec<&str> = order.critical_path.iter().map(|name| name.as_str()).collect();
    assert_eq!(path, ["reserve", "ship", "notify"]);
    assert_eq!(advice(&example("order.yaml")), ["node inspect: comes before the pivot `ship` and cannot be undone"]);

    let research = check(&compiled(&example("research.yaml")).definition, &Limits::default()).unwrap();
    assert_eq!(research.critical_path.len(), 6);
    assert_eq!(research.advice, []);
}

#[test]
fn what_never_starts_takes_with_it_what_waits_for_it() {
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
fn workflows_within_are_looked_at_too() {
    let yaml = r"
name: outer
tasks:
  - id: region
    workflow:
      tasks:
        - {id: a, when: false}
        - {id: deeper, workflow: {tasks: [{id: x}, {id: y}, {id: never, when: false}]}}
";
    let check = counterpoint::workflow::check(&compiled(yaml).definition, &counterpoint::Limits::default()).unwrap();
    let (name, region) = &check.within[0];
    assert_eq!((name.as_str(), region.advice.len(), check.advice.len()), ("region", 2, 0));
    let (name, deeper) = &region.within[0];
    assert_eq!((name.as_str(), deeper.width, deeper.advice.len()), ("deeper", 3, 2));
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
