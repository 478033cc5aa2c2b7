//! All errors in a document are reported at once, each with its path.

use super::{compiled, wrong};
use counterpoint::Limits;
use counterpoint::language::Document;
use serde_json::json;

#[test]
fn every_fault_is_reported_with_its_path_and_a_suggestion() {
    let lines = wrong(
        r#"
nam: report
inputs:
  topic: {type: strin, required: yes please}
  least: {type: integer, default: few}
tasks:
  - {id: analyze, timeout: soon, retry: {attempts: -1, delays: 1s}}
  - {id: analyze}
  - id: write
    depends_on: [analyse, 3, {task: analyze, on: sucess}]
    inputs: {a: "${analize.output}", b: "${inputs.topik}", c: "x ${analyze.output", d: {from: analyze.outputs}}
    when: {eqal: [1, 2]}
  - {type: nameless}
  - {id: inputs}
  - {id: both, wait: {timer: 1s}, choose: [{case: a}], on_error: wriet}
outputs: {text: {from: wirte.output}}
"#,
    );
    let expected = [
        "nam: unknown field `nam`, did you mean `name`?",
        "inputs.least.default: expected an integer, found a string",
        "inputs.topic.type: unknown keyword `strin`, did you mean `string`?",
        "inputs.topic.required: expected a boolean, found a string",
        "tasks[1].id: duplicate task `analyze`",
        "tasks[3]: `id` is missing",
        "tasks[4].id: invalid value `inputs`, expected a task id: letters, digits, _ and -, and no word with another meaning, such as inputs or continue",
        "tasks[0].retry.delays: unknown field `delays`, did you mean `delay`?",
        "tasks[0].retry.attempts: invalid value `-1`, expected an integer from 0 to 4294967295",
        "tasks[0].timeout: invalid value `soon`, expected a duration such as 250ms or 1m 30s",
        "tasks[2].depends_on[0]: unknown task `analyse`, did you mean `analyze`?",
        "tasks[2].depends_on[1]: expected an object, found a number",
        "tasks[2].depends_on[2].on: unknown keyword `sucess`, did you mean `success`?",
        "tasks[2].inputs.a: unknown task `analize`, did you mean `analyze`?",
        "tasks[2].inputs.b: unknown input `topik`, did you mean `topic`?",
        "tasks[2].inputs.c: expected `}`, found the end (at character 19): `x ${analyze.output`",
        "tasks[2].inputs.d.from: unknown part of `analyze` `outputs`, did you mean `output`? (at character 9): `analyze.outputs`",
        "tasks[2].when.eqal: unknown field `eqal`, did you mean `equal`?",
        "tasks[5]: `wait` and `choose` exclude each other",
        "tasks[5].choose[0]: `when` is missing",
        "tasks[5].on_error: unknown task `wriet`, did you mean `write`?",
        "outputs.text.from: unknown task `wirte`, did you mean `write`?",
    ];
    assert_eq!(lines, expected, "{lines:#?}");
}

#[test]
fn findings_of_validation_have_paths() {
    let lines = wrong(
        r#"
name: odd
tasks:
  - {id: a, inputs: "${b.output}"}
  - {id: b, inputs: "${item}"}
  - {id: c, depends_on: {task: route, case: wrnog}}
  - {id: route, choose: [{case: wrong, when: true}]}
  - id: inner
    workflow: {tasks: [{id: look, when: "${last.output}"}, {id: last, pass: true, pivot: true}]}
  - {id: nothing, wait: {}}
"#,
    );
    let expected = [
        "tasks[1].inputs: its input uses the item, which is not defined there",
        "tasks[2].depends_on: waits for case `wrnog`, which choice `route` does not have; did you mean `wrong`?",
        "tasks[5]: waits for neither a signal nor a timer",
        "tasks[0].inputs: its input uses the output of `b`, which need not have ended by then: link it after `b`",
        "tasks[4].workflow.tasks[1]: is a pivot, but does no work",
        "tasks[4].workflow.tasks[0].when: the condition of its case `yes` uses the output of `last`, which need not have ended by then: link it after `last`",
    ];
    assert_eq!(lines, expected, "{lines:#?}");
    assert_eq!(
        wrong("{name: ring, tasks: [{id: a, depends_on: c}, {id: b, depends_on: a}, {id: c, depends_on: b}]}"),
        ["tasks: the links form a cycle: a -> b -> c -> a"]
    );
}

#[test]
fn documents_have_bounds() {
    let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    assert!(serde_json::from_str::<Document>(&deep(64)).is_ok());
    assert!(serde_json::from_str::<Document>(&deep(65)).is_err());
    assert!(serde_saphyr::from_str::<Document>(&deep(65)).is_err());
    assert!(serde_json::from_str::<Document>(r#"{"a": 1, "a": 2}"#).is_err());
    let large = format!("[{}1]", "1,".repeat(300_000));
    assert!(serde_json::from_str::<Document>(&large).unwrap_err().to_string().contains("larger than 4194304 bytes"));

    let tasks: Vec<_> = (0..5_000).map(|id| json!({"id": format!("t{id}")})).collect();
    let many: Document = serde_json::from_value(json!({"name": "many", "tasks": tasks})).unwrap();
    let error = many.compile(&Limits::default()).unwrap_err();
    assert_eq!(error.to_string(), "tasks: 5000 tasks exceed the limit of 4096");

    let faults: Vec<_> = (0..500).map(|id| json!({"id": format!("t{id}"), "depends_on": "nobody"})).collect();
    let faulty: Document = serde_json::from_value(json!({"name": "faulty", "tasks": faults})).unwrap();
    let error = faulty.compile(&Limits::default()).unwrap_err();
    assert_eq!((error.faults().len(), error.omitted()), (100, 400));
}

#[test]
fn aliases_of_yaml_count_each_time() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let before = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{before}]\n"));
    }
    assert!(serde_saphyr::from_str::<Document>(&text).is_err());
}

#[test]
fn literals_and_dollars_stand_for_themselves() {
    let recipe = compiled(
        "{name: plain, tasks: [{id: a, inputs: {b: \"$${x}\", c: {literal: \"${x}\"}, d: [1, {literal: {from: there}}]}}]}",
    );
    let input = serde_json::to_value(&recipe.nodes[0].input).unwrap();
    assert_eq!(input, json!({"const": {"b": "${x}", "c": "${x}", "d": [1, {"from": "there"}]}}));
}
