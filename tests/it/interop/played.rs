//! Ten documents of our own, performed with scripted agents, and by the interpreter.

use super::oracle::{Answer, Oracle};
use super::{Answers, exported, imported, outcome, rehearsal, start};
use counterpoint::interop::asl::run_of_token;
use counterpoint::{Payload, RunCommand, Time};
use serde_json::{Value, json};
use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn document(name: &str) -> Value {
    let path = format!("{}/examples/state-machines/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

const RESOURCES: &[&str] = &[
    "price", "pay", "ship", "tell", "book", "look", "draw", "scale", "sales", "visits", "write", "copy", "alarm",
    "store", "register", "cell", "build", "publish", "report",
];

fn fails(name: &'static str, cause: &str) -> Answer {
    Err((name, cause.to_owned()))
}

/// Performs a document in both ways, and returns what it gives.
fn played(
    name: &str,
    input: &Value,
    answers: impl Fn(&str, &Value, u32) -> Answer + Send + Sync + 'static,
) -> Result<Value, String> {
    let document = document(name);
    let imported = imported(&document);
    exported(&imported);
    let answers: Answers = Arc::new(answers);
    let mut rehearsal = rehearsal(RESOURCES, &answers);
    start(&mut rehearsal, &imported, input);
    let oracle = Oracle { answer: &*answers, input: input.clone(), is_open: Cell::new(false) };
    let (expected, seconds) = oracle.machine(&document, input.clone());
    let found = outcome(&rehearsal);
    assert_eq!(found, expected, "{name} with {input}");
    assert_eq!(rehearsal.now(), Time::from_secs(seconds), "the time of {name} with {input}");
    rehearsal.crash();
    found.map_err(|error| error.name)
}

#[test]
fn order() {
    let input = json!({"order": {"id": 7, "items": [1, 2]}});
    let answer = |declined: bool| {
        move |resource: &str, input: &Value, attempt: u32| match resource {
            "price" => Ok(json!({"total": input["items"].as_array().unwrap().len() * 100, "tax": 19})),
            "pay" if attempt < 3 => fails("Terminal.Busy", "later"),
            "pay" if declined => fails("Card.Declined", "no money"),
            "pay" => Ok(json!(input["price"]["cents"])),
            "ship" => Ok(json!({"parcel of": input["id"]})),
            _ => Ok(input.clone()),
        }
    };
    assert_eq!(played("order", &input, answer(false)), Ok(json!({"parcel of": 7})));
    assert_eq!(played("order", &input, answer(true)), Err("Order.Refused".to_owned()));
}

#[test]
fn approval_without_a_question() {
    let book = |_: &str, input: &Value, _: u32| Ok(json!({"booked": input["amount"]}));
    assert_eq!(played("approval", &json!({"amount": 99}), book), Ok(json!({"booked": 99})));
    assert_eq!(played("approval", &json!({"amount": 500, "trusted": true}), book), Ok(json!({"booked": 500})));
}

#[test]
fn approval_with_a_callback() {
    let imported = imported(&document("approval"));
    for (answer, expected) in [
        (Some(json!({"output": "yes"})), json!({"booked": {"amount": 500, "decision": "yes"}})),
        (
            Some(json!({"error": "Rejected", "cause": "too much"})),
            json!({"amount": 500, "outcome": "too much", "why": {"Error": "Rejected", "Cause": "too much"}}),
        ),
        (None, json!({"amount": 500, "outcome": "nobody decided"})),
    ] {
        let asked: Arc<Mutex<Vec<Value>>> = Arc::default();
        let kept = Arc::clone(&asked);
        let answers: Answers = Arc::new(move |resource: &str, input: &Value, _: u32| {
            if resource == "book" {
                return Ok(json!({"booked": input}));
            }
            kept.lock().unwrap().push(input.clone());
            Ok(Value::Null)
        });
        let mut rehearsal = rehearsal(&["ask.waitForTaskToken", "book"], &answers);
        let run = counterpoint::RunSpec::new(super::RUN, "order").with_input(Payload::new(json!({"amount": 500})));
        rehearsal.start(imported.definition.clone(), run);
        rehearsal.run_for(Duration::from_secs(60));
        let request = asked.lock().unwrap().remove(0);
        assert_eq!(request["amount"], 500);
        let run = run_of_token(request["token"].as_str().unwrap()).unwrap();
        if let Some(answer) = answer {
            let signal = RunCommand::Signal { run, signal: "callback".into(), payload: Payload::new(answer) };
            rehearsal.command(signal).unwrap();
        }
        rehearsal.crash();
        rehearsal.run();
        assert_eq!(outcome(&rehearsal), Ok(expected));
    }
}

#[test]
fn poll() {
    let input = json!({"every": 20});
    let calls = |enough: bool| {
        move |_: &str, input: &Value, _: u32| Ok(json!(if enough && input["tries"] == 2 { "done now" } else { "busy" }))
    };
    assert_eq!(played("poll", &input, calls(true)), Ok(json!(3)));
    assert_eq!(played("poll", &input, calls(false)), Err("Poll.GivenUp".to_owned()));
}

#[test]
fn thumbnails() {
    let input = json!({"width": 64, "pictures": [
        {"name": "a", "kind": "vector"}, {"name": "b"}, {"name": "c", "kind": "pixels"}
    ]});
    let answer = |resource: &str, input: &Value, _: u32| match resource {
        "draw" => Ok(json!({"drawn": input})),
        _ => Ok(json!({"scaled": input["name"]})),
    };
    assert_eq!(played("thumbnails", &input, answer), Ok(json!({"made": 3, "names": ["a", "b", "c"]})));
}

#[test]
fn report() {
    let answer = |resource: &str, input: &Value, _: u32| match resource {
        "sales" => Ok(json!([input["day"], 5])),
        "visits" => fails("Counter.Broken", "no counter"),
        _ => Ok(json!({"written": input})),
    };
    let expected = json!({"written": {"sales": 8, "visits": {"visits": null, "why": "Counter.Broken"}}});
    assert_eq!(played("report", &json!({"day": 3, "secret": 1}), answer), Ok(expected));
}

#[test]
fn backup() {
    let answer = |_: &str, input: &Value, _: u32| Ok(json!({"did": input}));
    let enough = json!({"free": 9, "needed": 5});
    assert_eq!(played("backup", &enough, answer), Ok(enough.clone()));
    let found = played("backup", &json!({"free": 1, "needed": 5}), answer);
    assert_eq!(found, Ok(json!({"did": {"Error": "Disk.Full", "Cause": "too little space"}})));
}

#[test]
fn import() {
    let answer = |_: &str, input: &Value, attempt: u32| match (input[0].as_str(), attempt) {
        (Some("c"), _) | (Some("a"), 1) => fails("Store.Down", "down"),
        _ => Ok(json!({"stored": input})),
    };
    let found = played("import", &json!({"text": "a,b;c,,d,e"}), answer).unwrap();
    let parts = json!([["a", "b"], ["c", "d"], ["e"]]);
    let stored = json!([{"stored": ["a", "b"]}, null, {"stored": ["e"]}]);
    assert_eq!(found, json!({"name": "Lines", "parts": parts, "stored": stored}));
}

#[test]
fn customer() {
    let answer = |_: &str, input: &Value, _: u32| Ok(json!(format!("id of {}", input["name"])));
    let customers = [
        json!({"name": "Ada", "id": "a1", "since": "2015-05-05T00:00:00Z"}),
        json!({"name": "Bob", "id": null}),
        json!({"name": "Cleo", "id": 3}),
        json!({"name": "Dan", "id": "d4", "since": "2025-05-05T00:00:00Z"}),
        json!({"id": "no name"}),
    ];
    for (index, customer) in customers.iter().enumerate() {
        let found = played("customer", &json!({"customer": customer}), answer);
        assert_eq!(found.is_ok(), index < 4, "{found:?}");
    }
    assert_eq!(played("customer", &json!({}), answer), Err("Customer.Missing".to_owned()));
}

#[test]
fn matrix() {
    let answer = |_: &str, input: &Value, _: u32| {
        Ok(json!(
            input["value"].as_i64().unwrap() + input["row"].as_i64().unwrap() * 10 + input["column"].as_i64().unwrap()
        ))
    };
    for at_once in [0, 1, 2] {
        let found = played("matrix", &json!({"rows": [[1, 3], [5]], "at_once": at_once}), answer).unwrap();
        let expected = json!({"first": 1, "all": [1, 4, 15], "some": [[1, 4]], "sizes": [2, 4, 6], "same": true});
        assert_eq!(found, expected);
    }
}

#[test]
fn release() {
    let input = json!({"release": {"name": "one", "size": 1}});
    let after = |failures: u32| {
        move |resource: &str, input: &Value, attempt: u32| match resource {
            "build" if attempt <= failures => fails("Build.Flaky", "again"),
            "build" => Ok(json!({"size": 2, "file": "f"})),
            _ => Ok(input.clone()),
        }
    };
    let expected = json!({"name": "one", "size": 2, "file": "f"});
    assert_eq!(played("release", &input, after(2)), Ok(expected));
    assert_eq!(played("release", &input, after(9)), Ok(json!({"error": "Build.Flaky"})));
}

#[test]
fn a_timeout_has_its_name() {
    let imported = imported(&document("release"));
    let answers: Answers = Arc::new(|resource: &str, input: &Value, _: u32| match resource {
        "build" => fails("hang", ""),
        _ => Ok(input.clone()),
    });
    let mut rehearsal = rehearsal(RESOURCES, &answers);
    start(&mut rehearsal, &imported, &json!({"release": {}}));
    assert_eq!(outcome(&rehearsal), Ok(json!({"error": "States.Timeout"})));
}

#[test]
fn a_time_limit_is_read_from_the_input_of_the_state() {
    use counterpoint::interop::asl::{Options, import};
    let document = json!({"StartAt": "A", "States": {
        "A": {"Type": "Task", "Resource": "build", "InputPath": "$.of", "TimeoutSecondsPath": "$.seconds", "End": true},
    }});
    let imported = import(&document, &Options::named("release")).unwrap();
    let answers: Answers = Arc::new(|_: &str, _: &Value, _: u32| fails("hang", ""));
    for seconds in [5, 90] {
        let mut rehearsal = rehearsal(RESOURCES, &answers);
        let run = counterpoint::RunSpec::new(super::RUN, imported.definition.name.clone());
        let run = run.with_input(Payload::new(json!({"of": {"seconds": seconds}})));
        rehearsal.start(imported.definition.clone(), run);
        rehearsal.run_for(Duration::from_secs(seconds - 1));
        assert_eq!(rehearsal.recording().run_outcome(super::RUN), None);
        rehearsal.run_for(Duration::from_secs(2));
        assert_eq!(outcome(&rehearsal).unwrap_err().name, "States.Timeout");
    }
}
