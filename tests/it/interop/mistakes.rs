//! Mistakes in documents: all at once, each with its place.

use super::order;
use counterpoint::Limits;
use counterpoint::interop::asl::import;
use serde_json::{Value, json};

fn faults(document: &Value) -> Vec<String> {
    let error = import(document, &order()).unwrap_err();
    error.faults().iter().map(ToString::to_string).collect()
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let document = json!({
        "StartAt": "Chek",
        "Timeout": 5,
        "States": {
            "Check": {"Type": "Choice", "Choices": [
                {"Variable": "$.a", "NumericEqual": 1, "Next": "Pay"},
                {"Variable": "$.a", "NumericEquals": "1", "Next": "Pay"},
                {"Variable": "$.a", "NumericEquals": 1, "StringEquals": "1", "Next": "Pay"},
                {"Variable": "a", "IsNull": true},
                {"And": []},
            ]},
            "Each": {"Type": "Map", "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Pas", "End": true}}}, "End": true},
            "Pay": {"Type": "Task", "Parameters": {"a.$": "$.b", "a": 1, "c.$": 5}, "Next": "Each", "End": true},
            "Rest": {"Type": "Wait", "Seconds": -1, "Timestamp": "noon", "Retry": []},
            "Stop": "Fail"
        }
    });
    let expected = [
        "/Timeout: unknown field `Timeout`",
        "/StartAt: unknown state `Chek`, did you mean `Check`?",
        "/States/Check/Choices/0/NumericEqual: unknown operator `NumericEqual`, did you mean `NumericEquals`?",
        "/States/Check/Choices/1/NumericEquals: expected a number, found a string",
        "/States/Check/Choices/2: `NumericEquals` and `StringEquals` exclude each other",
        "/States/Check/Choices/3/Variable: expected a path that begins with `$` or a function such as `States.Format`, found `a`",
        "/States/Check/Choices/3: `Next` is missing",
        "/States/Check/Choices/4/And: `a rule` is missing",
        "/States/Check/Choices/4: `Next` is missing",
        "/States/Each/ItemProcessor/States/I/Type: unknown type of state `Pas`, did you mean `Pass`?",
        "/States/Pay: `Resource` is missing",
        "/States/Pay/Parameters: `a` and `a.$` exclude each other",
        "/States/Pay/Parameters/c.$: expected a string with a path or a function, found a number",
        "/States/Pay: `Next` and `End` exclude each other",
        "/States/Rest/Retry: unknown field `Retry`",
        "/States/Rest: `Seconds` and `Timestamp` exclude each other",
        "/States/Rest/Seconds: expected a number of seconds, found `-1`",
        "/States/Rest: `Next or End` is missing",
        "/States/Stop: expected an object, found a string",
    ];
    assert_eq!(faults(&document), expected);
}

#[test]
fn paths_and_functions_are_checked() {
    let fault = |text: &str| {
        let state = json!({"Type": "Pass", "Parameters": {"x.$": text}, "End": true});
        let all = faults(&json!({"StartAt": "A", "States": {"A": state}}));
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].strip_prefix("/States/A/Parameters/x.$: ").unwrap().to_owned()
    };
    for (text, expected) in [
        ("$.", "a name is missing in the path `$.`"),
        ("$.a[", "`]` is missing in the path `$.a[`"),
        ("$.a['b", "a quoted name has no end in the path `$.a['b`"),
        ("$.a[x]", "expected an index, a quoted name or `*` in brackets in the path `$.a[x]`"),
        ("$.a]", "expected `.` or `[` in the path `$.a]`"),
        ("States.Formt('a')", "unknown function `States.Formt`, did you mean `States.Format`?"),
        ("States.Format('a {}')", "the template of `States.Format` has 1 places for 0 values"),
        ("States.Format('a {')", "a brace in a template of `States.Format` needs a backslash"),
        ("States.ArrayLength()", "`States.ArrayLength` takes 1 arguments, found 0"),
        ("States.Array(1", "expected `,` or `)` in `States.Array(1`"),
        ("States.Array('a)", "a string has no end in `States.Array('a)`"),
        ("States.Array(1) x", "there is something after the function in `States.Array(1) x`"),
        (
            "States.Array(x)",
            "expected a path, a function, a string in single quotes, a number, true, false or null, found `x`",
        ),
    ] {
        assert_eq!(fault(text), expected, "{text}");
    }
    let nested = format!("{}1{}", "States.Array(".repeat(11), ")".repeat(11));
    assert!(fault(&nested).contains("more than 10 functions"));
}

#[test]
fn a_document_is_bounded() {
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    let document = json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": deep, "End": true}}});
    assert_eq!(faults(&document), ["/: the document has more than 100 levels"]);
    let states: Value =
        (0..500).map(|at| (format!("S{at}"), json!({"Type": "?"}))).collect::<serde_json::Map<_, _>>().into();
    let error = import(&json!({"StartAt": "S0", "States": states}), &order()).unwrap_err();
    assert_eq!((error.faults().len(), error.omitted()), (100, 400));
    let mut limits = Limits::default();
    limits.runs.nodes = 1;
    let branch = json!({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}});
    let document = json!({"StartAt": "P", "States": {"P": {"Type": "Parallel", "Branches": [branch], "End": true}}});
    let error = import(&document, &order().with_limits(limits)).unwrap_err();
    assert!(error.to_string().contains("nodes"), "{error}");
}

/// However long the document is, no difference is left out.
#[test]
fn every_difference_is_noted() {
    let states: serde_json::Map<String, Value> = (0..300)
        .map(|at| {
            let next = format!("S{}", at + 1);
            (format!("S{at}"), json!({"Type": "Task", "Resource": "ask.waitForTaskToken", "Next": next}))
        })
        .chain([("S300".to_owned(), json!({"Type": "Succeed"}))])
        .collect();
    let imported = import(&json!({"StartAt": "S0", "States": states}), &order()).unwrap();
    let places: std::collections::BTreeSet<&str> = imported.notes.iter().map(|note| note.place.as_str()).collect();
    assert_eq!(places.len(), 300);
}

#[test]
fn a_state_that_nothing_leads_to_is_a_mistake() {
    let document = json!({"StartAt": "A", "States": {
        "A": {"Type": "Succeed"}, "B": {"Type": "Pass", "Next": "C"}, "C": {"Type": "Succeed"},
    }});
    assert_eq!(faults(&document), ["/States/B: no state leads to it", "/States/C: no state leads to it"]);
    let endless = json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "A"}}});
    assert_eq!(faults(&endless).len(), 1);
}
