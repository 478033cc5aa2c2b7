//! Save-points and queries in documents.

use super::{compiled, wrong};
use counterpoint::definition::{Link, On, SavePoint, Work};

#[test]
fn documents_specify_save_points_and_queries() {
    let flow = compiled(
        r#"
name: parcel
tasks:
  - {id: pack, compensate: true, query: true, save_point: {again: 2, instead: by_post}}
  - {id: weigh, depends_on: pack, query: scale.read, save_point: 1}
  - {id: ship, depends_on: weigh}
  - {id: post, depends_on: {task: pack, case: by_post}, query: {type: post.find, timeout: 5s}}
"#,
    );
    let node = |name: &str| flow.node(name).unwrap();
    assert_eq!(node("pack").save, Some(SavePoint::retries(2).or_alternative("by_post")));
    assert_eq!(node("pack").query, Some(Work::new("pack.query")));
    assert_eq!(node("pack").undo, Some(Work::new("pack.undo")));
    assert_eq!(node("weigh").save, Some(SavePoint::retries(1)));
    assert_eq!(node("weigh").query, Some(Work::new("scale.read")));
    assert_eq!(node("post").after, [Link::case("pack", "by_post")]);
    assert!(node("post").query.as_ref().is_some_and(|query| query.kind == "post.find"));
    assert_eq!(node("ship").after[0].on, On::Success);
}

#[test]
fn invalid_save_points_are_reported_with_their_paths() {
    let lines = wrong(
        r#"
name: parcel
tasks:
  - {id: pack, save_point: {agin: 2}}
  - {id: weigh, save_point: often}
  - {id: ship, query: 3}
"#,
    );
    let expected = [
        "tasks[0].save_point.agin: unknown field `agin`, did you mean `again`?",
        "tasks[1].save_point: expected an object, found a string",
        "tasks[2].query: expected an object, found a number",
    ];
    assert_eq!(lines, expected);
    let lines = wrong("{name: x, tasks: [{id: a, save_point: 0}, {id: b, pass: true, query: true}]}");
    assert!(lines.iter().any(|line| line.starts_with("tasks[0]") && line.contains("without retries")), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("tasks[1]") && line.contains("not a task")), "{lines:?}");
}

#[test]
fn a_task_that_runs_a_workflow_has_retries() {
    let text = r#"
name: send
tasks:
  - id: all
    workflow: {tasks: [{id: each, agent: send, for_each: {literal: [1, 2]}}]}
    retry: {attempts: 3, rules: [{on: {codes: ["net.*"]}, attempts: 2}]}
"#;
    let retry = compiled(text).node("all").unwrap().retry.clone().unwrap();
    assert_eq!((retry.attempts, retry.rules.len()), (3, 1));
    let several = format!("{text}    for_each: {{literal: [1]}}\n");
    assert_eq!(wrong(&several), ["tasks[0]: `workflow` and `retry` exclude each other"]);
}
