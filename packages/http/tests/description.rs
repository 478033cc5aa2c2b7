//! The description of the server says what the server does.

mod common;

use common::Server;
use counterpoint_http::openapi;
use serde_json::Value;
use std::collections::BTreeSet;

#[test]
fn it_is_the_one_that_is_kept() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let text = format!("{:#}\n", openapi());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(file, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(file).unwrap_or_default(), text, "UPDATE_GOLDEN=1 rewrites it");
}

/// All references that a document has.
fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let (document, mut found) = (openapi(), BTreeSet::new());
    references(&document, &mut found);
    assert!(found.len() > 20);
    for reference in found {
        let place = reference.strip_prefix('#').unwrap_or_default();
        assert!(document.pointer(place).is_some(), "{reference}");
    }
}

#[test]
fn every_described_route_exists_and_needs_a_token() {
    let server = Server::start("description");
    assert_eq!(server.curl(&["/openapi.json"]).json(), openapi());
    let document = openapi();
    let mut asked = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        let address =
            path.replace("{signal}", "go").replace("{task}", "1").replace("{run}", "1").replace("{agent}", "1");
        for (method, operation) in operations.as_object().unwrap() {
            let body = r#"{"v":1,"id":"1","kind":"k","workflow":"w","body":{"query":{"task":"1"}}}"#;
            // The fields that each of them knows.
            let body = match operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str() {
                Some("#/components/schemas/NewTask") => r#"{"id":"1","kind":"k"}"#,
                Some("#/components/schemas/NewRun") => r#"{"id":"1","workflow":"w"}"#,
                Some(_) => r#"{"v":1,"id":"1","body":{"query":{"task":"1"}}}"#,
                None if path == "/v1/workflows" => r#"{"name":"w","tasks":[{"id":"a"}]}"#,
                None => body,
            };
            let method = method.to_uppercase();
            let mut arguments = vec!["-X", method.as_str()];
            if operation.get("requestBody").is_some() {
                arguments.extend(["-d", body]);
            }
            arguments.push(&address);
            let answer = server.curl(&arguments);
            let expected = if operation.get("security").is_some() { 401 } else { 200 };
            assert_eq!(answer.status, expected, "{method} {path}: {answer:?}");
            let documented = operation["responses"].as_object().unwrap();
            assert!(documented.contains_key(&answer.status.to_string()), "{method} {path}");
            asked += 1;
        }
    }
    assert!(asked >= 18, "{asked}");
}
