//! Flows of every shape: what is performed, and what is refused.

use super::{Answers, imported, outcome, process, refused, rehearsal, start};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// The tasks that were performed, in order, with the output of the run.
fn performed(document: &str, input: &Value, tasks: &[&str]) -> (Vec<String>, Result<Value, String>) {
    let done: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = Arc::clone(&done);
    let answers: Answers = Arc::new(move |id, input| {
        noted.lock().unwrap().push(id.to_owned());
        let tries = input["tries"].as_i64().unwrap_or(0) + 1;
        Ok(if id == "poll" { json!({"tries": tries}) } else { json!({}) })
    });
    let tasks: Vec<String> = tasks.iter().map(|task| (*task).to_owned()).collect();
    let mut rehearsal = rehearsal(&tasks, &answers);
    start(&mut rehearsal, &imported(document), input);
    let outcome = outcome(&rehearsal).expect("the run has ended");
    let done = done.lock().unwrap().clone();
    (done, outcome)
}

#[test]
fn choices_and_joins() {
    let document = process(
        "start s; xor g; task a; task b; xor j; task c; end e
         s>g; g>a ${x > 3 && y != 'no'}; g>b default; a>j; b>j; j>c; c>e",
    );
    let (done, output) = performed(&document, &json!({"x": 4, "y": "yes"}), &["a", "b", "c"]);
    assert_eq!((done, output), (vec!["a".into(), "c".into()], Ok(json!({"x": 4, "y": "yes"}))));
    assert_eq!(performed(&document, &json!({"x": 4, "y": "no"}), &["a", "b", "c"]).0, ["b", "c"]);
    assert_eq!(performed(&document, &json!({}), &["a", "b", "c"]).0, ["b", "c"]);
}

#[test]
fn an_activity_chooses_among_its_flows_and_joins_them() {
    let document = process("start s; task a; task b; task c; end e; s>a; a>b ${x > 1}; a>c ${x > 2}; b>e; c>e");
    assert_eq!(performed(&document, &json!({"x": 2}), &["a", "b", "c"]).0, ["a", "b"]);
    assert_eq!(performed(&document, &json!({"x": 3}), &["a", "b", "c"]).0, ["a", "b", "c"]);
    let none = performed(&document, &json!({"x": 0}), &["a", "b", "c"]);
    assert_eq!(none, (vec!["a".into()], Err("cp.no_case".into())));
    let joins = process("start s; xor g; task a; task b; end e; s>g; g>a ${x}; g>b default; a>b; b>e");
    assert_eq!(performed(&joins, &json!({"x": true}), &["a", "b"]).0, ["a", "b"]);
    assert_eq!(performed(&joins, &json!({"x": false}), &["a", "b"]).0, ["b"]);
}

#[test]
fn a_cycle_is_left_by_several_ways() {
    let document = process(
        "start s; xor j; task poll; xor g; task late; task good; end e; s>j; j>poll; poll>g
         g>good ${tries >= enough}; g>late ${tries == most}; g>j default; late>e; good>e",
    );
    let all = ["poll", "late", "good"];
    assert_eq!(performed(&document, &json!({"enough": 3, "most": 9}), &all).0, ["poll", "poll", "poll", "good"]);
    let (done, output) = performed(&document, &json!({"enough": 9, "most": 2}), &all);
    assert_eq!((done.join(" ").as_str(), output), ("poll poll late", Ok(json!({"enough": 9, "most": 2, "tries": 2}))));
}

#[test]
fn the_rounds_of_a_cycle_are_bounded() {
    use counterpoint::interop::bpmn::{Options, import};
    let document =
        process("start s; xor j; task poll; xor g; end e; s>j; j>poll; poll>g; g>e ${tries < 0}; g>j default");
    let options = Options::default().with_max_rounds(5);
    let imported = import(&document, &options).unwrap();
    super::exported(&imported, &options);
    let answers: Answers = Arc::new(|_, input| Ok(json!({"tries": input["tries"].as_i64().unwrap_or(0) + 1})));
    let mut rehearsal = rehearsal(&["poll".to_owned()], &answers);
    start(&mut rehearsal, &imported, &json!({}));
    assert!(matches!(outcome(&rehearsal), Some(Err(_))));
}

#[test]
fn branches_beside_each_other_keep_what_they_have_written() {
    // The cycle reads `b` before the other branch writes it.
    let document = process(
        "start s; and f; xor j; task poll; xor g; task b; and k; end e; s>f; f>j; j>poll; poll>g; g>j ${tries < 3}; g>k default
         f>b; b>k; k>e",
    );
    let answers: Answers = Arc::new(|id, input| {
        Ok(match id {
            "poll" => json!({"tries": input["tries"].as_i64().unwrap_or(0) + 1}),
            _ => json!({"b": "new", "deep": {"b": 1}}),
        })
    });
    let mut rehearsal = rehearsal(&["poll".to_owned(), "b".to_owned()], &answers);
    start(&mut rehearsal, &imported(&document), &json!({"b": "old", "deep": {"a": 1}}));
    assert_eq!(outcome(&rehearsal), Some(Ok(json!({"b": "new", "tries": 3, "deep": {"a": 1, "b": 1}}))));
}

#[test]
fn what_tokens_would_do_twice_or_never_is_refused() {
    let cases = [
        (
            "start s; and f; task a; task b; task c; end e; s>f; f>a; f>b; a>c; b>c; c>e",
            "(c): a place that several tokens can reach",
        ),
        (
            "start s; xor g; task a; task b; and k; end e; s>g; g>a ${x}; g>b default; a>k; b>k; k>e",
            "(k): a parallel gateway that can wait for ever",
        ),
        (
            "start s; and j; task a; xor g; end e; s>j; j>a; a>g; g>j ${x}; g>e default",
            "(j): a parallel gateway that can wait for ever",
        ),
        (
            "start s; xor j; and f; xor g; end e; end d; s>j; j>f; f>g; f>e; g>j ${x}; g>d default",
            "(j): a cycle that several tokens can leave",
        ),
        (
            "start s; xor g; xor i; xor j; end e; s>g; g>i ${x}; g>j default; i>j ${y}; i>e default; j>i",
            "(i): a cycle that is entered at several places",
        ),
        ("start s; end e; task a; s>e", "(a): no flow leads to it from the start event"),
        ("end e; task a; a>e", "(p): a process without a start event"),
        ("start s; start t; end e; s>e; t>e", "(t): a second start event"),
        ("start s; xor g; end e; end d; s>g; g>e; g>d ${x}", "(g_e): `conditionExpression` is missing"),
        ("start s; and g; end e; end d; s>g; g>e ${y}; g>d ${x}", "(g_e): a flow after this element has no condition"),
        ("start s; end e; task a; s>e; e>a", "(e_a): a flow cannot leave an end event"),
    ];
    for (lines, expected) in cases {
        let found = refused(&process(lines)).to_string();
        assert!(found.contains(expected), "{lines}: {found}");
    }
}
