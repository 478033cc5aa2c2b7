//! Each endpoint with each kind of caller: who is admitted. The table is `access.txt`, made with `UPDATE_GOLDEN=1`.

mod common;

use common::{Answer, Server};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The tokens of the test server, by what they stand for.
const CALLERS: &[(&str, Option<&str>)] = &[
    ("stranger", None),
    ("unknown", Some("guess")),
    ("auditor", Some("auditor")),
    ("submitter", Some("client")),
    ("operator", Some("operator")),
    ("agent 1", Some("agent-1")),
    ("tenant", Some("north")),
];

/// A valid body of each schema.
fn body(schema: &str, number: usize) -> Value {
    let id = (1_000 + number).to_string();
    match schema {
        "NewTask" => json!({"id": id, "kind": "square"}),
        "NewRun" => json!({"id": id, "workflow": "flow"}),
        "Decision" => json!({"node": "a", "option": "b"}),
        "RunOperation" => json!({"pause": {"reason": "x"}}),
        "ScheduleSpec" => json!({"id": "s", "workflow": "flow", "timing": {"rules": [{"cron": "0 2 * * *"}]}}),
        "ScheduleOperation" => json!({"pause": {"note": "x"}}),
        "Sent" => {
            json!({"v": 1, "id": format!("m{number}"), "body": {"register": {"agent": {"id": 1, "capacity": 1}}}})
        }
        _ => json!({"name": format!("flow-{number}"), "tasks": [{"id": "a"}]}),
    }
}

/// The objects that paths name. The first task, run and dead letter are of the tenant `south`.
fn filled(path: &str) -> String {
    path.replace("{task}", "1")
        .replace("{run}", "1")
        .replace("{agent}", "9")
        .replace("{schedule}", "s")
        .replace("{signal}", "go")
}

fn admitted(answer: &Answer) -> &'static str {
    match answer.status {
        401 => "401",
        403 => "403",
        200..=299 | 400..=499 => "yes",
        // A message is answered with the rejection in it.
        _ => "?",
    }
}

#[test]
fn each_endpoint_admits_those_of_the_table() {
    let server = Server::start("table");
    let flow = json!({"name": "flow", "tasks": [{"id": "a"}]});
    assert_eq!(server.post("operator", "/v1/workflows", &flow).status, 201);
    assert_eq!(
        server.post("client", "/v1/tasks", &json!({"id": "1", "kind": "square", "tenant": "south"})).status,
        201
    );
    assert_eq!(
        server.post("client", "/v1/runs", &json!({"id": "1", "workflow": "flow", "tenant": "south"})).status,
        201
    );
    let description = server.curl(&["/openapi.json"]).json();
    let mut table = format!("{:7}{:39}", "method", "endpoint");
    for (name, _) in CALLERS {
        let _ = write!(table, "{name:>11}");
    }
    table.push('\n');
    let mut number = 0;
    let mut rows: Vec<(&String, &String, &Value)> = Vec::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        rows.extend(methods.as_object().unwrap().iter().map(|(method, operation)| (path, method, operation)));
    }
    // What deletes comes last, so that the others find its objects.
    rows.sort_by_key(|(_, method, _)| *method == "delete");
    for (path, method, operation) in rows {
        let _ = write!(table, "{method:7}{path:39}");
        for (_, token) in CALLERS {
            number += 1;
            let upper = method.to_uppercase();
            // Streams do not end.
            let mut words: Vec<String> = ["-m", "2", "-X", &upper].map(str::to_owned).to_vec();
            if let Some(token) = token {
                words.extend(["-H".to_owned(), format!("Authorization: Bearer {token}")]);
            }
            let schema = &operation["requestBody"]["content"];
            if schema.is_object() {
                let of_json = schema["application/json"]["schema"]["$ref"].as_str().unwrap_or_default();
                let content = body(of_json.rsplit('/').next().unwrap_or_default(), number).to_string();
                words.extend(["-d".to_owned(), content]);
            }
            words.push(filled(path));
            let answer = server.curl(&words.iter().map(String::as_str).collect::<Vec<_>>());
            let of_message = answer.body.contains("\"denied\"");
            let word = if of_message { "403" } else { admitted(&answer) };
            assert_ne!(word, "?", "{method} {path}: {answer:?}");
            let _ = write!(table, "{word:>11}");
        }
        table.push('\n');
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/access.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(file, &table).unwrap();
    }
    assert_eq!(std::fs::read_to_string(file).unwrap_or_default(), table, "UPDATE_GOLDEN=1 rewrites it");
}
