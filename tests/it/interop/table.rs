//! Each row of the table in `docs/interop.md`, with a document that has the feature.

use super::order;
use counterpoint::interop::asl::{export, import};
use serde_json::{Value, json};

/// A state machine with one state, and a second one after it if the first leads there.
fn with(state: Value) -> Value {
    let end = json!({"Type": "Succeed"});
    let is_last =
        state["Next"].is_null() && state["Default"].is_null() && state["Catch"].is_null() && state["Choices"].is_null();
    let mut states = json!({"A": state});
    if !is_last {
        states["B"] = end;
    }
    json!({"StartAt": "A", "States": states})
}

fn task(more: Value) -> Value {
    let mut state = json!({"Type": "Task", "Resource": "work", "End": true});
    for (name, value) in more.as_object().unwrap() {
        state[name] = value.clone();
    }
    with(state)
}

fn pass(parameters: &str) -> Value {
    with(json!({"Type": "Pass", "Parameters": {"x.$": parameters}, "End": true}))
}

fn choice(rule: Value) -> Value {
    let mut rule = rule;
    rule["Next"] = json!("B");
    with(json!({"Type": "Choice", "Choices": [rule], "Default": "B"}))
}

fn item() -> Value {
    json!({"StartAt": "I", "States": {"I": {"Type": "Pass", "End": true}}})
}

fn map(more: Value) -> Value {
    let mut state = json!({"Type": "Map", "ItemProcessor": item(), "End": true});
    for (name, value) in more.as_object().unwrap() {
        state[name] = value.clone();
    }
    with(state)
}

fn catch(names: &str) -> Value {
    task(json!({"Catch": [{"ErrorEquals": [names], "Next": "B"}]}))
}

/// Documents for the beginning of a row.
fn documents(row: &str) -> Vec<Value> {
    let retry = json!([{"ErrorEquals": ["Busy"], "IntervalSeconds": 2, "MaxAttempts": 4, "BackoffRate": 1.5}]);
    let compare = |rules: &[(&str, Value)]| {
        rules.iter().map(|(name, value)| choice(json!({"Variable": "$.x", *name: value}))).collect::<Vec<Value>>()
    };
    match row {
        "`Pass` with `Result`" => {
            vec![with(json!({"Type": "Pass", "Result": {"a.$": 1}, "ResultPath": "$.r", "End": true}))]
        }
        "`Pass` with `Parameters`" => vec![pass("$.a"), pass("$")],
        "`Pass` with `Result` and `Parameters`" => {
            vec![with(json!({"Type": "Pass", "Result": 1, "Parameters": {}, "End": true}))]
        }
        "`Task`" => vec![task(json!({})), task(json!({"Parameters": {"a": {"b.$": "$.c"}, "d": [1, "e"]}}))],
        "`Task` of a service (`arn:aws:states:::`)" => vec![task(json!({"Resource": "arn:aws:states:::sns:publish"}))],
        "`Task` with a token (`.waitForTaskToken`)" => {
            vec![task(json!({"Resource": "ask.waitForTaskToken", "TimeoutSeconds": 9}))]
        }
        "`TimeoutSeconds`, `HeartbeatSeconds` of a task" => {
            vec![task(json!({"TimeoutSeconds": 30, "HeartbeatSeconds": 5}))]
        }
        "`HeartbeatSeconds` with a token" => {
            vec![task(json!({"Resource": "ask.waitForTaskToken", "HeartbeatSeconds": 5}))]
        }
        "`TimeoutSecondsPath`, `HeartbeatSecondsPath`" => {
            vec![
                task(json!({"TimeoutSecondsPath": "$.t"})),
                task(json!({"InputPath": "$.a", "TimeoutSecondsPath": "$.b[0].t", "HeartbeatSecondsPath": "$.h"})),
                task(json!({"TimeoutSecondsPath": "$.t", "HeartbeatSeconds": 5})),
            ]
        }
        "`TimeoutSecondsPath`, `HeartbeatSecondsPath` with `Parameters` or a token" => {
            vec![
                task(json!({"TimeoutSecondsPath": "$.t", "Parameters": {"a": 1}})),
                task(json!({"Resource": "ask.waitForTaskToken", "HeartbeatSecondsPath": "$.t"})),
            ]
        }
        "`Credentials`" => vec![task(json!({"Credentials": {}}))],
        "`Choice` with comparisons of constants" => {
            let mut all = Vec::new();
            for order in ["Equals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"] {
                all.extend(compare(&[
                    (&format!("String{order}"), json!("a")),
                    (&format!("Numeric{order}"), json!(1.5)),
                    (&format!("Timestamp{order}"), json!("2026-01-31T12:00:00Z")),
                ]));
            }
            all.extend(compare(&[("BooleanEquals", json!(true))]));
            all
        }
        "`Choice` with comparisons of two paths" => {
            let mut all = Vec::new();
            for order in ["Equals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"] {
                for kind in ["String", "Numeric", "Timestamp"] {
                    all.extend(compare(&[(&format!("{kind}{order}Path"), json!("$.y"))]));
                }
            }
            all.extend(compare(&[("BooleanEqualsPath", json!("$.y"))]));
            all
        }
        "`Choice` with `And`, `Or`, `Not`" => {
            let one = json!({"Variable": "$.x", "NumericEquals": 1});
            vec![
                choice(json!({"And": [one]})),
                choice(json!({"Or": [one, {"Not": one}]})),
                choice(json!({"Not": {"Not": {"Variable": "$.x", "IsNull": false}}})),
            ]
        }
        "`Choice` with `IsPresent`, `IsNull` and tests of types" => {
            let names = ["IsPresent", "IsNull", "IsNumeric", "IsString", "IsBoolean", "IsTimestamp"];
            names.into_iter().flat_map(|name| compare(&[(name, json!(true)), (name, json!(false))])).collect()
        }
        "`Choice` with `StringMatches`" => compare(&[("StringMatches", json!("a*?\\*"))]),
        "`Choice` without a `Default`" => {
            vec![with(json!({"Type": "Choice", "InputPath": "$.a", "OutputPath": "$.b",
                "Choices": [{"Variable": "$.x", "NumericEquals": 1, "Next": "B"}]}))]
        }
        "`Wait` with `Seconds` or `SecondsPath`" => vec![
            with(json!({"Type": "Wait", "Seconds": 5, "Next": "B"})),
            with(json!({"Type": "Wait", "SecondsPath": "$.s", "InputPath": "$.a", "OutputPath": "$.b", "End": true})),
        ],
        "`Wait` with `Timestamp` or `TimestampPath`" => vec![
            with(json!({"Type": "Wait", "Timestamp": "2026-01-31T12:00:00Z", "Next": "B"})),
            with(json!({"Type": "Wait", "TimestampPath": "$.s", "InputPath": null, "End": true})),
        ],
        "`Succeed`" => vec![
            with(json!({"Type": "Succeed"})),
            with(json!({"Type": "Succeed", "InputPath": "$.a", "OutputPath": "$.b"})),
        ],
        "`Fail` with `Error` and `Cause`" => {
            vec![with(json!({"Type": "Fail", "Error": "E", "Cause": "c"})), with(json!({"Type": "Fail"}))]
        }
        "`Fail` with `ErrorPath` and `CausePath`" => vec![
            with(json!({"Type": "Fail", "ErrorPath": "$.e", "CausePath": "$.c"})),
            with(json!({"Type": "Fail", "Error": "E", "CausePath": "States.Format('{} is not there', $.c)"})),
        ],
        "an error whose name is not a code" => {
            vec![with(json!({"Type": "Fail", "Error": "card declined"})), catch("card declined")]
        }
        "`Parallel`" => {
            vec![with(
                json!({"Type": "Parallel", "Branches": [item(), item()], "Parameters": {"a.$": "$.b"}, "End": true}),
            )]
        }
        "`Map` with `ItemsPath` and `ItemSelector`" => vec![
            map(json!({})),
            map(
                json!({"ItemsPath": "$.a", "ItemSelector": {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value.id", "all.$": "$"}}),
            ),
        ],
        "`Map` in its old form (`Iterator`, `Parameters`)" => {
            vec![with(
                json!({"Type": "Map", "Iterator": item(), "Parameters": {"v.$": "$$.Map.Item.Value"}, "End": true}),
            )]
        }
        "`Map` with `MaxConcurrency` or `MaxConcurrencyPath`" => {
            vec![
                map(json!({"MaxConcurrency": 3})),
                map(json!({"MaxConcurrency": 0})),
                map(json!({"ItemsPath": "$.a", "MaxConcurrencyPath": "$.m"})),
            ]
        }
        "`Map` with `ToleratedFailureCount` or `ToleratedFailurePercentage`" => vec![
            map(json!({"ToleratedFailureCount": 3})),
            map(json!({"ToleratedFailurePercentage": 30})),
            map(
                json!({"ToleratedFailureCountPath": "$.c", "ToleratedFailurePercentagePath": "$.p", "ItemsPath": "$.a"}),
            ),
            map(json!({"ToleratedFailureCount": 3, "ToleratedFailurePercentage": 20})),
            map(json!({"ToleratedFailurePercentagePath": "$.p"})),
            map(json!({"ToleratedFailureCountPath": "$.p"})),
        ],
        "`Map` with `Mode` `DISTRIBUTED`" => {
            let mut processor = item();
            processor["ProcessorConfig"] = json!({"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"});
            vec![map(json!({"ItemProcessor": processor}))]
        }
        "`Map` with a `Label`" => vec![map(json!({"Label": "each"}))],
        "`ItemReader`" => vec![map(json!({"ItemReader": {}}))],
        "`ItemBatcher`" => vec![map(json!({"ItemBatcher": {}}))],
        "`ResultWriter`" => vec![map(json!({"ResultWriter": {}}))],
        "`InputPath` and `OutputPath`" => {
            let mut all = Vec::new();
            for (one, other) in [("$.a", "$.b"), ("$", "$"), ("$.a[0]", "$['b c']")] {
                all.push(task(json!({"InputPath": one, "OutputPath": other})));
                all.push(with(json!({"Type": "Pass", "InputPath": one, "OutputPath": other, "Next": "B"})));
            }
            all.push(task(json!({"InputPath": null, "OutputPath": null})));
            all.push(with(json!({"Type": "Pass", "OutputPath": null, "Next": "B"})));
            all.push(with(json!({"Type": "Choice", "Choices": [{"Variable": "$.x", "IsNull": true, "Next": "B"}], "OutputPath": null})));
            all
        }
        "`ResultSelector`" => vec![
            task(json!({"ResultSelector": {"a.$": "$.b", "n": 1}})),
            task(json!({"ResultSelector": {"a.$": "$.b"}, "ResultPath": "$.r", "OutputPath": "$.r.a"})),
            task(json!({"ResultSelector": {"a": 1}, "OutputPath": "$.a"})),
        ],
        "`ResultPath`" => vec![
            task(json!({"ResultPath": "$"})),
            task(json!({"ResultPath": null})),
            task(json!({"ResultPath": null, "OutputPath": "$.a"})),
            task(json!({"ResultPath": "$.a['b/c'].d"})),
            with(json!({"Type": "Pass", "ResultPath": "$.a", "InputPath": "$.b", "Next": "B"})),
        ],
        "`Retry`" => vec![task(json!({"Retry": retry}))],
        "`Retry` of a `Parallel` or `Map`" => vec![
            map(json!({"Retry": retry})),
            with(json!({"Type": "Parallel", "Branches": [item()], "Retry": retry, "End": true})),
        ],
        "`BackoffRate` with more than three digits after the point" => {
            vec![task(
                json!({"Retry": [{"ErrorEquals": ["A"], "BackoffRate": 1.23456, "MaxDelaySeconds": 60, "JitterStrategy": "FULL"}]}),
            )]
        }
        "`Catch`" => vec![
            task(json!({"Catch": [
                {"ErrorEquals": ["A", "States.Timeout"], "ResultPath": "$.why", "Next": "B"},
                {"ErrorEquals": ["States.ALL"], "ResultPath": null, "Next": "B"},
            ]})),
            catch("States.ALL"),
        ],
        "`Catch` of `States.TaskFailed`" => vec![catch("States.TaskFailed")],
        "`Catch` of an error that is never reported" => vec![catch("States.Runtime")],
        "`TimeoutSeconds` of the state machine" => {
            let mut document = task(json!({}));
            document["TimeoutSeconds"] = json!(60);
            vec![document]
        }
        "`Comment`" => vec![task(json!({"Comment": "why"}))],
        "paths with names and indexes" => {
            ["$", "$.a", "$.a.b[3]", "$['a b'][\"c.d\"]", "$.a['it\\'s']", "$.ä", "$['0']"].map(pass).into()
        }
        "paths with `[*]`, `.*` and slices" => [
            "$.a[*]",
            "$.a[*].b",
            "$.a[*].b.c[1]",
            "$.a.*",
            "$.a[1:3]",
            "$.a[:2]",
            "$.a[2:]",
            "$.a[*][*]",
            "$.a[*][0:2].b",
        ]
        .map(pass)
        .into(),
        "paths with `..`" => vec![pass("$..a")],
        "paths with filters, unions and indexes from the end" => {
            ["$.a[?(@.b > 1)]", "$.a[0,1]", "$['a','b']", "$.a[-1]", "$.a[-1:]", "$.a[(@.length-1)]"].map(pass).into()
        }
        "`$$.Execution.Input`, `.Id`, `.Name`, `.StartTime`" => [
            "$$.Execution.Input",
            "$$.Execution.Input.a[*]",
            "$$.Execution.Id",
            "$$.Execution.Name",
            "$$.Execution.StartTime",
        ]
        .map(pass)
        .into(),
        "`$$.Execution` within `Parallel`, `Map`, `Wait`, `Fail` and the request for a token" => {
            let mut inner = item();
            inner["States"]["I"]["Parameters"] = json!({"a.$": "$$.Execution.Id"});
            let request = task(json!({"Resource": "ask.waitForTaskToken", "Parameters": {"a.$": "$$.Execution.Id"}}));
            vec![
                with(json!({"Type": "Parallel", "Branches": [inner], "End": true})),
                map(json!({"ItemProcessor": inner})),
                map(json!({"ItemSelector": {"a.$": "$$.Execution.Input"}})),
                with(json!({"Type": "Wait", "SecondsPath": "$$.Execution.Input.s", "End": true})),
                with(json!({"Type": "Fail", "CausePath": "$$.Execution.Id"})),
                request,
            ]
        }
        "`$$.StateMachine.Name`, `$$.State.Name`" => ["$$.StateMachine.Name", "$$.State.Name"].map(pass).into(),
        "`$$.State.EnteredTime`, `$$.State.RetryCount`" => {
            ["$$.State.EnteredTime", "$$.State.RetryCount", "$$"].map(pass).into()
        }
        "`$$.Map.Item.Index`, `$$.Map.Item.Value`" => {
            vec![map(json!({"ItemSelector": {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value"}}))]
        }
        "`$$.Task.Token`" => {
            vec![task(
                json!({"Resource": "ask.waitForTaskToken", "Parameters": {"t.$": "$$.Task.Token", "q.$": "$.q"}}),
            )]
        }
        "functions of arrays" => [
            "States.Array($.a, 1, 'x', null, States.Array())",
            "States.ArrayPartition($.a, 2)",
            "States.ArrayContains($.a, $.b)",
            "States.ArrayGetItem($.a, 3)",
            "States.ArrayLength($.a)",
            "States.ArrayUnique(States.Array(1, 1, $.a))",
        ]
        .map(pass)
        .into(),
        "`States.ArrayRange` with a constant step" => {
            ["States.ArrayRange(1, 9, 2)", "States.ArrayRange($.a, $.b, -1)"].map(pass).into()
        }
        "`States.ArrayRange` with a step from data" => vec![pass("States.ArrayRange(1, 9, $.s)")],
        "`States.Format`" => [
            "States.Format('a {} b {}', $.a, 1.5)",
            "States.Format('it\\'s \\{{}\\}', $.a)",
            "States.Format($.template, $.a)",
            "States.Format('plain')",
        ]
        .map(pass)
        .into(),
        "`States.JsonToString`, `States.StringToJson`" => {
            ["States.JsonToString($)", "States.StringToJson($.a)"].map(pass).into()
        }
        "`States.JsonMerge`" => vec![pass("States.JsonMerge($.a, $.b, false)")],
        "`States.JsonMerge` of nested objects" => vec![pass("States.JsonMerge($.a, $.b, true)")],
        "`States.MathAdd`" => vec![pass("States.MathAdd($.a, -1)")],
        "`States.StringSplit`" => ["States.StringSplit($.a, ',')", "States.StringSplit($.a, '.,\\'')"].map(pass).into(),
        "`States.Base64Encode`, `States.Base64Decode`" => {
            ["States.Base64Encode($.a)", "States.Base64Decode($.a)"].map(pass).into()
        }
        "`States.MathRandom`, `States.UUID`" => ["States.MathRandom(1, 9)", "States.UUID()"].map(pass).into(),
        "`States.Hash`" => vec![pass("States.Hash($.a, 'SHA-256')")],
        "`Assign` and variables" => vec![task(json!({"Assign": {"a": 1}})), pass("$a.b")],
        "JSONata" => vec![
            task(json!({"QueryLanguage": "JSONata"})),
            task(json!({"Arguments": {}})),
            json!({"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": {"Type": "Succeed"}}}),
        ],
        other => panic!("no document for the row {other}"),
    }
}

/// The part of the page about this language.
fn page() -> &'static str {
    include_str!("../../../docs/interop.md").split("\n## BPMN").next().unwrap()
}

#[test]
fn every_row_of_the_table_is_as_it_is_stated() {
    let page = page();
    let rows: Vec<Vec<&str>> =
        page.lines().filter(|line| line.starts_with("| ")).map(|line| line.split(" | ").collect()).collect();
    assert!(rows.len() > 60, "only {} rows", rows.len());
    for row in &rows[1..] {
        let (feature, result) = (row[0].trim_start_matches("| "), row[1]);
        for document in documents(feature) {
            let found = import(&document, &order());
            match (result, found) {
                ("imported", Ok(imported)) => {
                    assert!(imported.notes.is_empty(), "{feature}: {:?} {document}", imported.notes)
                }
                ("note", Ok(imported)) => assert!(!imported.notes.is_empty(), "{feature}: no note {document}"),
                ("refused", Err(error)) => {
                    let fault = &error.faults()[0];
                    assert!(fault.to_string().contains("cannot be carried over"), "{feature}: {fault}");
                    assert!(document.pointer(&fault.place).is_some(), "{feature}: {fault} in {document}");
                }
                (_, found) => panic!("{feature} is {result}: {found:?} {document}"),
            }
        }
    }
}

#[test]
fn whatever_is_imported_is_exported_again() {
    let page = page();
    for row in page.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let row: Vec<&str> = row.split(" | ").collect();
        for document in documents(row[0].trim_start_matches("| ")) {
            let Ok(imported) = import(&document, &order()) else { continue };
            let exported = export(&imported.definition).unwrap_or_else(|error| panic!("{error}: {document}"));
            let again = import(&exported.document, &order()).unwrap();
            assert_eq!(again.definition, imported.definition, "{document}");
            // The second document is the same.
            assert_eq!(export(&again.definition).unwrap().document, exported.document);
        }
    }
}
