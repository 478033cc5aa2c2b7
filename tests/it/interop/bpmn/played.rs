//! Ten processes of our own, performed to their ends, with the same after a crash and after an export.

use super::{Answers, exported, imported, outcome, rehearsal, start};
use counterpoint::interop::bpmn::{Options, import};
use counterpoint::{Payload, RunCommand};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const TASKS: &[&str] = &[
    "check_stock",
    "charge",
    "refund",
    "pack",
    "ship",
    "score",
    "review",
    "pay_out",
    "reject",
    "first_level",
    "second_level",
    "inform",
    "send_invoice",
    "book",
    "remind",
    "draft",
    "revise",
    "publish",
    "suppliers",
    "ask",
    "choose",
    "vote",
    "count",
    "flight",
    "hotel",
    "car",
    "cancel",
    "next",
    "report",
    "welcome",
    "renew",
    "close",
];

fn document(name: &str) -> String {
    let path = format!("{}/examples/processes/{name}.bpmn", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// What a process does: the tasks in order, and how it ends.
struct Played {
    done: Vec<String>,
    end: Option<Result<Value, String>>,
}

/// Performs a process. `signals` are sent after a minute.
fn played(
    name: &str,
    input: &Value,
    signals: &[(&str, Value)],
    answer: impl Fn(&str, &Value) -> Result<Value, String> + Send + Sync + 'static,
) -> Played {
    let imported = imported(&document(name));
    let done: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = Arc::clone(&done);
    let answers: Answers = Arc::new(move |id, input| {
        noted.lock().unwrap().push(id.to_owned());
        answer(id, input)
    });
    let tasks: Vec<String> = TASKS.iter().map(|task| (*task).to_owned()).collect();
    let mut rehearsal = rehearsal(&tasks, &answers);
    if signals.is_empty() {
        start(&mut rehearsal, &imported, input);
    } else {
        let run = counterpoint::RunSpec::new(super::RUN, name).with_input(Payload::new(input.clone()));
        rehearsal.start(imported.definition.clone(), run);
        rehearsal.run_for(Duration::from_secs(60));
        rehearsal.crash();
        for (signal, content) in signals {
            let payload = Payload::new(content.clone());
            let command = RunCommand::Signal { run: super::RUN, signal: (*signal).into(), payload };
            rehearsal.command(command).unwrap();
        }
        rehearsal.run();
    }
    rehearsal.crash();
    let done = done.lock().unwrap().clone();
    Played { done, end: outcome(&rehearsal) }
}

fn sorted(mut done: Vec<String>) -> String {
    done.sort();
    done.join(" ")
}

#[test]
fn order() {
    let answer = |shipping: bool| {
        move |id: &str, input: &Value| match id {
            "check_stock" => Ok(json!({"stock": 5})),
            "ship" if !shipping => Err("carrier.none".to_owned()),
            "refund" => Ok(json!({"refunded": input["output"]["charged"]})),
            id => Ok(json!({ format!("{id}d"): true, "charged": 7 })),
        }
    };
    let found = played("order", &json!({"order": {"count": 2}}), &[], answer(true));
    assert_eq!(sorted(found.done), "charge check_stock pack ship");
    assert!(matches!(found.end, Some(Ok(_))));
    let found = played("order", &json!({"order": {"count": 9}}), &[], answer(true));
    assert_eq!((sorted(found.done).as_str(), found.end), ("check_stock", Some(Err("order.no_stock".into()))));
    let found = played("order", &json!({"order": {"count": 2}}), &[], answer(false));
    assert_eq!(
        (sorted(found.done).as_str(), found.end),
        ("charge check_stock pack refund ship", Some(Err("carrier.none".into())))
    );
}

#[test]
fn loan() {
    let scored = |score: u32, approved: bool| {
        move |id: &str, _: &Value| match id {
            "score" => Ok(json!({ "score": score })),
            "review" => Ok(json!({ "approved": approved })),
            _ => Ok(json!({})),
        }
    };
    let input = json!({"amount": 5_000});
    for (score, approved, expected) in [
        (800, false, "score pay_out"),
        (200, true, "score reject"),
        (500, true, "score review pay_out"),
        (500, false, "score review reject"),
    ] {
        let found = played("loan", &input, &[], scored(score, approved));
        assert_eq!(found.done.join(" "), expected);
        assert!(matches!(found.end, Some(Ok(_))));
    }
    assert_eq!(
        played("loan", &json!({"amount": 50_000}), &[], scored(800, true)).done.join(" "),
        "score review pay_out"
    );
}

#[test]
fn incident() {
    let first = |answer: Result<Value, String>| {
        move |id: &str, _: &Value| if id == "first_level" { answer.clone() } else { Ok(json!({})) }
    };
    let solved = played("incident", &json!({}), &[], first(Ok(json!({"cause": "cable"}))));
    assert_eq!(
        (solved.done.join(" ").as_str(), solved.end),
        ("first_level inform", Some(Ok(json!({"cause": "cable"}))))
    );
    for trouble in ["hang", "incident.unknown"] {
        let found = played("incident", &json!({}), &[], first(Err(trouble.to_owned())));
        assert_eq!(found.done.join(" "), "first_level second_level inform", "{trouble}");
        assert!(matches!(found.end, Some(Ok(_))));
    }
    let found = played("incident", &json!({}), &[], first(Err("else".to_owned())));
    assert_eq!(found.end, Some(Err("else".to_owned())));
}

#[test]
fn payment() {
    let answer = |_: &str, _: &Value| Ok(json!({}));
    let paid = played("payment", &json!({}), &[("payment", json!({"cents": 9}))], answer);
    assert_eq!((paid.done.join(" ").as_str(), paid.end), ("send_invoice book", Some(Ok(json!({"cents": 9})))));
    assert_eq!(played("payment", &json!({}), &[], answer).done.join(" "), "send_invoice remind");
}

#[test]
fn approval() {
    let answer = |step: i64| {
        move |id: &str, input: &Value| match id {
            "draft" => Ok(json!({"rounds": input["rounds"].as_i64().unwrap_or(0) + 1})),
            "review" => Ok(json!({"grade": input["rounds"].as_i64().unwrap() * step})),
            _ => Ok(json!({})),
        }
    };
    let found = played("approval", &json!({}), &[], answer(4));
    assert_eq!(found.done.join(" "), "draft review revise draft review publish");
    assert_eq!(found.end, Some(Ok(json!({"rounds": 2, "grade": 8}))));
    let found = played("approval", &json!({}), &[], answer(1));
    assert_eq!((found.done.len(), found.end), (11, Some(Ok(json!({"rounds": 4, "grade": 4})))));
}

#[test]
fn offers() {
    let answer = |id: &str, input: &Value| {
        Ok(match id {
            "suppliers" => json!({"suppliers": ["a", "b", "c"]}),
            "ask" => json!({"of": input["supplier"], "price": 3}),
            _ => json!({"count": input["offers"].as_array().unwrap().len()}),
        })
    };
    let end = played("offers", &json!({}), &[], answer).end.unwrap().unwrap();
    assert_eq!(end["offers"][1], json!({"of": "b", "price": 3}));
    assert_eq!((end["count"].clone(), end.get("supplier")), (json!(3), None));
}

#[test]
fn review() {
    let answer = |id: &str, input: &Value| match (id, input["loopCounter"].as_i64()) {
        ("vote", Some(0 | 2 | 4)) => Ok(json!({"vote": input["loopCounter"]})),
        ("vote", _) => Err("hang".to_owned()),
        _ => Ok(json!({"counted": input["votes"].as_array().unwrap().iter().filter(|vote| !vote.is_null()).count()})),
    };
    let end = played("review", &json!({"voters": 5}), &[], answer).end.unwrap().unwrap();
    assert_eq!(end["counted"], 3);
}

#[test]
fn travel() {
    let answer = |charged: i64| {
        move |id: &str, _: &Value| Ok(if id == "charge" { json!({ "charged": charged }) } else { json!({ id: "ok" }) })
    };
    let far = json!({"far": true, "nights": 3, "price": 10});
    let found = played("travel", &far, &[], answer(10));
    assert_eq!(sorted(found.done), "car charge flight hotel");
    assert_eq!(found.end.unwrap().unwrap()["charged"], 10);
    let near = json!({"far": false, "nights": 1, "price": 10});
    assert_eq!(sorted(played("travel", &near, &[], answer(10)).done), "charge hotel");
    let none = json!({"far": false, "nights": 0, "price": 10});
    let found = played("travel", &none, &[], answer(1));
    assert_eq!(found.done.join(" "), "charge cancel");
    assert_eq!(found.end, Some(Ok(json!({"far": false, "nights": 0, "price": 10, "cancel": "ok"}))));
}

#[test]
fn import_in_a_loop() {
    let answer = |id: &str, input: &Value| {
        Ok(if id == "next" { json!({"done": input["done"].as_i64().unwrap() + 1}) } else { json!({}) })
    };
    for (total, expected) in [(0, 0), (3, 3), (9, 5)] {
        let found = played("import", &json!({"done": 0, "total": total}), &[], answer);
        assert_eq!(found.done.len(), expected + 1, "{total}");
        assert_eq!(found.end, Some(Ok(json!({"done": expected, "total": total}))));
    }
}

#[test]
fn subscription() {
    let answer = |_: &str, _: &Value| Ok(json!({}));
    let renewed = played("subscription", &json!({"of": 1}), &[("renewal", json!({"until": 3}))], answer);
    assert_eq!(
        (renewed.done.join(" ").as_str(), renewed.end),
        ("welcome renew", Some(Ok(json!({"of": 1, "until": 3}))))
    );
    let closed = played("subscription", &json!({"of": 1}), &[("withdrawal", json!({}))], answer);
    assert_eq!((closed.done.join(" ").as_str(), closed.end), ("welcome close", Some(Ok(json!({"of": 1})))));
}

#[test]
fn an_escalation_leaves_the_sub_process_to_its_end() {
    let thrown = "<intermediateThrowEvent id=\"tell\"><escalationEventDefinition escalationRef=\"late\"/></intermediateThrowEvent>";
    for (beside, expected) in [("", "inform"), (" cancelActivity=\"false\"", "book inform")] {
        let document = super::xml(&format!(
            "<startEvent id=\"s\"/><subProcess id=\"part\"><startEvent id=\"i\"/>{thrown}<serviceTask id=\"book\"/><endEvent id=\"o\"/>
             <sequenceFlow id=\"f1\" sourceRef=\"i\" targetRef=\"tell\"/><sequenceFlow id=\"f2\" sourceRef=\"tell\" targetRef=\"book\"/>
             <sequenceFlow id=\"f3\" sourceRef=\"book\" targetRef=\"o\"/></subProcess>
             <boundaryEvent id=\"b\" attachedToRef=\"part\"{beside}><escalationEventDefinition escalationRef=\"late\"/></boundaryEvent>
             <serviceTask id=\"inform\"/><endEvent id=\"e\"/><endEvent id=\"d\"/>
             <sequenceFlow id=\"f4\" sourceRef=\"s\" targetRef=\"part\"/><sequenceFlow id=\"f5\" sourceRef=\"part\" targetRef=\"e\"/>
             <sequenceFlow id=\"f6\" sourceRef=\"b\" targetRef=\"inform\"/><sequenceFlow id=\"f7\" sourceRef=\"inform\" targetRef=\"d\"/>"
        ))
        .replace("</definitions>", "<escalation id=\"late\" escalationCode=\"late\"/></definitions>");
        let imported = import(&document, &Options::default()).unwrap();
        exported(&imported, &Options::default());
        let done: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = Arc::clone(&done);
        let answers: Answers = Arc::new(move |id, _| {
            noted.lock().unwrap().push(id.to_owned());
            Ok(json!({}))
        });
        let mut rehearsal = rehearsal(&["book".to_owned(), "inform".to_owned()], &answers);
        start(&mut rehearsal, &imported, &json!({}));
        assert_eq!(outcome(&rehearsal), Some(Ok(json!({}))));
        let done = sorted(done.lock().unwrap().clone());
        assert!(done == expected || (beside.is_empty() && done == "book inform"), "{done}");
    }
}

/// A process whose task `book` has the compensation `undo`, and these elements after it, up to `late`.
fn compensated(between: &str) -> String {
    super::xml(&format!(
        "<startEvent id=\"s\"/><serviceTask id=\"book\"/><serviceTask id=\"other\"/>{between}<serviceTask id=\"late\"/><endEvent id=\"e\"/>
         <boundaryEvent id=\"b\" attachedToRef=\"book\"><compensateEventDefinition/></boundaryEvent>
         <boundaryEvent id=\"c\" attachedToRef=\"other\"><compensateEventDefinition/></boundaryEvent>
         <serviceTask id=\"u\" isForCompensation=\"true\" implementation=\"undo\"/><association id=\"l\" sourceRef=\"b\" targetRef=\"u\"/>
         <serviceTask id=\"v\" isForCompensation=\"true\" implementation=\"undo other\"/>
         <association id=\"m\" sourceRef=\"c\" targetRef=\"v\"/>
         <sequenceFlow id=\"f1\" sourceRef=\"s\" targetRef=\"book\"/><sequenceFlow id=\"f2\" sourceRef=\"book\" targetRef=\"other\"/>
         <sequenceFlow id=\"f3\" sourceRef=\"other\" targetRef=\"t\"/><sequenceFlow id=\"f4\" sourceRef=\"t\" targetRef=\"late\"/>
         <sequenceFlow id=\"f5\" sourceRef=\"late\" targetRef=\"e\"/>"
    ))
}

#[test]
fn a_compensation_is_thrown_while_the_process_goes_on() {
    for (reference, expected) in [
        ("", "book other undo other undo late"),
        (" activityRef=\"book\"", "book other undo late"),
        (" activityRef=\"other\"", "book other undo other late"),
    ] {
        let event = format!(
            "<intermediateThrowEvent id=\"t\"><compensateEventDefinition{reference}/></intermediateThrowEvent>"
        );
        let imported = imported(&compensated(&event));
        let done: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = Arc::clone(&done);
        let answers: Answers = Arc::new(move |id, _| {
            noted.lock().unwrap().push(id.to_owned());
            Ok(json!({}))
        });
        let tasks = ["book", "other", "late", "undo", "undo other"].map(str::to_owned);
        let mut rehearsal = rehearsal(&tasks, &answers);
        start(&mut rehearsal, &imported, &json!({"a": 1}));
        assert_eq!(outcome(&rehearsal), Some(Ok(json!({"a": 1}))));
        assert_eq!(done.lock().unwrap().join(" "), expected);
    }
}

#[test]
fn a_condition_is_waited_for_that_the_host_makes_true() {
    let condition = "<conditionalEventDefinition><condition>${stock >= need}</condition></conditionalEventDefinition>";
    let caught = format!("<intermediateCatchEvent id=\"t\">{condition}</intermediateCatchEvent>");
    let at_boundary = format!(
        "<receiveTask id=\"t\" messageRef=\"never\"/><boundaryEvent id=\"w\" attachedToRef=\"t\">{condition}</boundaryEvent>
         <sequenceFlow id=\"f6\" sourceRef=\"w\" targetRef=\"late\"/>"
    );
    for between in [caught, at_boundary] {
        let document =
            compensated(&between).replace("</definitions>", "<message id=\"never\" name=\"never\"/></definitions>");
        let imported = imported_with_notes(&document);
        for (need, updates) in [(3, true), (1, false)] {
            let answers: Answers = Arc::new(|_, _| Ok(json!({})));
            let tasks = ["book", "other", "late"].map(str::to_owned);
            let mut rehearsal = rehearsal(&tasks, &answers);
            start(&mut rehearsal, &imported, &json!({"stock": 1, "need": need}));
            assert_eq!(outcome(&rehearsal).is_none(), updates, "{document}");
            if updates {
                rehearsal.crash();
                for stock in [2, 3] {
                    let value = Payload::new(json!({"stock": stock}));
                    let command = RunCommand::Update { run: super::RUN, variable: "data".into(), value };
                    rehearsal.command(command).unwrap();
                    rehearsal.run();
                    assert_eq!(outcome(&rehearsal).is_some(), stock == 3, "{document}");
                }
            }
            let end = outcome(&rehearsal).unwrap().unwrap();
            assert_eq!(end["need"], need);
        }
    }
}

/// What is imported with notes, exported and imported again.
fn imported_with_notes(document: &str) -> counterpoint::interop::bpmn::Imported {
    let imported = import(document, &Options::default()).unwrap_or_else(|error| panic!("{error}"));
    assert!(!imported.notes.is_empty());
    exported(&imported, &Options::default());
    imported
}
