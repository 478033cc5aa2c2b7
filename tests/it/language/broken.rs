//! Documents with one mistake in each line that has one, and every message with its line and column.

use super::document;
use counterpoint::Limits;

/// The messages of a document.
fn said(yaml: &str) -> Vec<String> {
    match document(yaml).compile(&Limits::default()) {
        Ok(_) => Vec::new(),
        Err(error) => error.faults().iter().map(ToString::to_string).collect(),
    }
}

const BROKEN: &[(&str, &[&str])] = &[
    ("nam: x\ntasks: [{id: a}]\n", &["1:1: nam: unknown field `nam`, did you mean `name`?"]),
    ("name: x\n", &["1:1: `tasks` is missing"]),
    ("name: x\ntasks:\n  - {id: a}\n  - {id: a}\n", &["4:10: tasks[1].id: duplicate task `a`"]),
    ("name: x\ntasks:\n  - id: a\n    depends_on: [b]\n", &["4:18: tasks[0].depends_on[0]: unknown task `b`"]),
    (
        "name: x\ntasks:\n  - id: a\n    timeout: soon\n",
        &["4:14: tasks[0].timeout: invalid value `soon`, expected a duration such as 250ms or 1m 30s"],
    ),
    (
        "name: x\ntasks:\n  - id: a\n    inputs: ${inptus.x}\n",
        &["4:13: tasks[0].inputs: unknown name `inptus`, did you mean `inputs`? (at character 3): `${inptus.x}`"],
    ),
    (
        "name: x\ninputs: {total: {type: number}}\ntasks:\n  - id: a\n    when: inputs.totl > 3\n",
        &["5:11: tasks[0].when: unknown input `totl`, did you mean `total`?"],
    ),
    (
        "name: x\ntasks:\n  - id: a\n    when: inputs.total > > 3\n",
        &["4:11: tasks[0].when: expected a value, found `>` (at character 16): `inputs.total > > 3`"],
    ),
    (
        "name: x\ntasks:\n  - id: a\n    inputs:\n      n: ${lenght(inputs)}\n",
        &[
            "5:10: tasks[0].inputs.n: unknown function `lenght`, did you mean `length`? (at character 3): `${lenght(inputs)}`",
        ],
    ),
    (
        "name: x\ntasks:\n  - id: ingest\n  - id: each\n    depends_on: ingest\n    for_each: ingest.output\n",
        &[
            "6:15: tasks[1].for_each: invalid value `\"ingest.output\"`, expected a list, or an expression such as \"${load.output.items}\"",
        ],
    ),
    (
        "name: x\nkinds: [reserve, release]\ntasks:\n  - id: reserve\n    compensate: relase\n",
        &["5:17: tasks[0].compensate: unknown kind `relase`, did you mean `release`?"],
    ),
    (
        "name: x\nkinds: [charge]\ntasks:\n  - id: charge\n    compensate: true\n",
        &["5:17: tasks[0].compensate: unknown kind `charge.undo`"],
    ),
    (
        "name: x\ntasks:\n  - id: route\n    choose: [{case: a, when: true}]\n  - id: b\n    depends_on: route\n",
        &[
            "6:17: tasks[1].depends_on: invalid value `route`, expected a case of the choice, as in {task: route, case: large}, or {task: route, on: success} for any",
        ],
    ),
    (
        "name: x\ntasks:\n  - id: route\n    choose: [{case: large, when: true}]\n  - id: b\n    depends_on: {task: route, case: lrage}\n",
        &[
            "6:17: tasks[1].depends_on: waits for case `lrage`, which choice `route` does not have; did you mean `large`?",
        ],
    ),
    (
        "name: x\ntasks:\n  - id: a\n    depends_on: b\n  - id: b\n    depends_on: a\n",
        &["3:3: tasks: the links form a cycle: a -> b -> a"],
    ),
    (
        "name: x\ntasks:\n  - id: a\n    inputs: ${b.output}\n  - id: b\n",
        &[
            "4:13: tasks[0].inputs: its input uses the output of `b`, which need not have ended by then: link it after `b`",
        ],
    ),
    (
        "name: x\ntasks:\n  - id: a\n    inputs: ${item}\n",
        &["4:13: tasks[0].inputs: its input uses the item, which is not defined there"],
    ),
    (
        "name: x\ntasks:\n  - id: a\n    retry: {attempts: 3, dealy: 1s}\n",
        &["4:26: tasks[0].retry.dealy: unknown field `dealy`, did you mean `delay`?"],
    ),
    (
        "name: x\ntasks:\n  - id: a\n    priority: hihg\n",
        &["4:15: tasks[0].priority: unknown keyword `hihg`, did you mean `high`?"],
    ),
    (
        "name: x\ntasks:\n  - id: a\n    wait: {timer: 1s}\n    choose: [{case: a, when: true}]\n",
        &["3:5: tasks[0]: `wait` and `choose` exclude each other"],
    ),
    (
        "name: x\ntasks:\n  - id: a\n    max_concurrent: 3\n",
        &["4:5: tasks[0].max_concurrent: `max_concurrent` has no effect without `for_each`"],
    ),
    (
        "name: x\ntasks:\n  - id: a\n    writes: {found: output.hits}\n",
        &["4:21: tasks[0].writes.found: unknown variable `found`"],
    ),
    (
        "name: x\ncontext: {found: append}\ntasks:\n  - id: a\n    writes: {found: hits}\n",
        &[
            "5:21: tasks[0].writes.found: invalid value `hits`, expected a part of the output, such as output or output.total",
        ],
    ),
    (
        "name: x\ntasks:\n  - id: a\n    workflow:\n      tasks:\n        - id: inner\n          when: ${other.output}\n",
        &["7:17: tasks[0].workflow.tasks[0].when: unknown task `other`"],
    ),
    (
        "name: x\ntasks:\n  - id: a\n    when: {less: [1], mroe: 2}\n",
        &[
            "4:23: tasks[0].when.mroe: unknown field `mroe`",
            "4:18: tasks[0].when.less: invalid value `[1]`, expected a list of two values",
        ],
    ),
    (
        "name: x\ntasks:\n  - id: a\n    inputs: ${map(inputs.list, a => a.x)}\n",
        &["4:13: tasks[0].inputs: its input names an item `a`, which must be a name that nothing else has"],
    ),
    (
        "name: x\ntasks:\n  - id: a\n    inputs: ${run.nmae}\n    on_error: contniue\noutputs: {x: \"${a.outptu}\"}\n",
        &[
            "4:13: tasks[0].inputs: unknown part of `run` `nmae`, did you mean `name`? (at character 7): `${run.nmae}`",
            "5:15: tasks[0].on_error: unknown task `contniue`",
            "6:14: outputs.x: unknown part of `a` `outptu`, did you mean `output`? (at character 5): `${a.outptu}`",
        ],
    ),
];

#[test]
fn every_message_has_its_line_and_column() {
    assert!(BROKEN.len() >= 25);
    let wrong: Vec<String> = BROKEN
        .iter()
        .filter(|(yaml, expected)| said(yaml) != *expected)
        .map(|(yaml, expected)| format!("{yaml}\n  expected {expected:#?}\n  found {:#?}", said(yaml)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A mistake in one line has no consequence in another.
#[test]
fn a_mistake_is_reported_once() {
    for (yaml, expected) in BROKEN {
        let mut lines: Vec<&str> = expected.iter().map(|line| line.split(':').next().unwrap()).collect();
        lines.dedup();
        let doubled = yaml.contains("mroe");
        assert!(doubled || lines.len() == expected.len(), "{yaml}");
    }
}

#[test]
fn readers_without_places_give_paths() {
    let value: serde_json::Value = serde_saphyr::from_str(BROKEN[3].0).unwrap();
    let document: counterpoint::language::Document = serde_json::from_value(value).unwrap();
    let error = document.compile(&Limits::default()).unwrap_err();
    assert_eq!(error.to_string(), "tasks[0].depends_on[0]: unknown task `b`");
    assert_eq!(error.faults()[0].at, None);
}

/// The documents and their messages on one page, rewritten if `UPDATE_GOLDEN=1` is set.
#[test]
fn the_page_of_broken_documents_equals_the_golden_file() {
    let mut page = String::new();
    for (index, (yaml, _)) in BROKEN.iter().enumerate() {
        page.push_str(&format!("{}{}\n", if index == 0 { "" } else { "\n" }, "-".repeat(60)));
        for (line, text) in (1..).zip(yaml.lines()) {
            page.push_str(&format!("{line:>3} | {text}\n"));
        }
        said(yaml).iter().for_each(|message| page.push_str(&format!("{message}\n")));
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/broken-documents.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(page == kept, "run with UPDATE_GOLDEN=1 and look at the difference:\n{page}");
}
