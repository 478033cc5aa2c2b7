//! Agents that are language models.

mod common;

use common::Place;
use common::endpoint::{Endpoint, answer};
use serde_json::{Value, json};

const KEY: &str = "sk-of-test-0123456789";

fn stream(parts: &[&str], tokens: u64) -> String {
    let mut body: String = parts
        .iter()
        .map(|part| format!("data: {}\n\n", json!({"choices": [{"delta": {"content": part}, "finish_reason": null}]})))
        .collect();
    let usage = json!({"prompt_tokens": tokens - 1, "completion_tokens": 1});
    body += &format!("data: {}\n\n", json!({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": usage}));
    body += "data: [DONE]\n\n";
    format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A closed connection after each answer, since the endpoint takes one request of each.
fn refused(status: &str, headers: &str) -> String {
    answer(&format!("{status}\r\nconnection: close{headers}"), "{}")
}

fn flow(port: u16, task: &str, model: &str) -> String {
    format!(
        "name: talk
inputs:
  text: {{type: string, default: rain}}
tasks:
  - id: summarise
    inputs: {{text: \"${{inputs.text}}\"}}
    retry: {{attempts: 3, delay: 1ms, max_delay: 2ms}}
{task}
outputs: \"${{summarise.output}}\"
agents:
  writer:
    model:
      url: \"http://127.0.0.1:{port}/v1\"
      name: small
      key: \"${{env.KEY_OF_TEST}}\"
    performs:
      summarise:
        model:
          system: Be brief.
          prompt: \"Summarise: ${{input.text}}\"
{model}
"
    )
}

fn run(place: &Place, more: &[&str]) -> (Option<i32>, String, String) {
    let words = ["run", "flow.yaml", "--json"].iter().chain(more);
    let output = place.command(words).env("KEY_OF_TEST", KEY).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(!stdout.contains(KEY) && !stderr.contains(KEY), "{stdout}{stderr}");
    (output.status.code(), stdout, stderr)
}

/// All files below a folder.
fn files(folder: &std::path::Path, found: &mut Vec<Vec<u8>>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.extend(std::fs::read(&path)) }
    }
}

fn body(request: &str) -> Value {
    serde_json::from_str(request.split_once("}\n").map_or(request, |(_, rest)| rest).rsplit("\r\n").next().unwrap())
        .unwrap()
}

#[test]
fn a_rate_limit_is_waited_for_and_the_answer_fits_its_schema() {
    let endpoint =
        Endpoint::new(&[&refused("429 Slow", "\r\nretry-after-ms: 30"), &stream(&["{\"summary\": ", "\"rain\"}"], 40)]);
    let schema = "          output: {type: object, properties: {summary: {type: string}}, required: [summary]}";
    let place = Place::with(&flow(endpoint.port, "", schema));
    let (code, stdout, stderr) = run(&place, &[]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("{\"summary\":\"rain\"}"), "{stdout}");
    let seen = endpoint.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen[1].starts_with("POST /v1/chat/completions HTTP/1.1") && seen[1].contains(KEY), "{}", seen[1]);
    assert_eq!(body(&seen[1])["messages"][1]["content"], "Summarise: rain");
    let mut all = Vec::new();
    files(&place.path(".counterpoint"), &mut all);
    assert!(!all.is_empty() && !all.iter().any(|bytes| bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes())));
}

#[test]
fn a_budget_ends_the_work_by_the_tokens_that_the_endpoint_reports() {
    let endpoint = Endpoint::new(&[&stream(&["rain"], 400)]);
    let task = "    for_each: [1, 2, 3, 4, 5]\n    max_concurrent: 1\nbudget: {tokens: 1000}";
    let place = Place::with(&flow(endpoint.port, task, ""));
    let (code, _, stderr) = run(&place, &[]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("budget"), "{stderr}");
    assert_eq!(endpoint.seen().len(), 3, "the third overdraws the budget: {stderr}");
}

#[test]
fn answers_of_pure_calls_are_used_again() {
    let endpoint = Endpoint::new(&[&stream(&["rain"], 10), &stream(&["sun"], 10)]);
    let place = Place::with(&flow(endpoint.port, "", "        cache: true"));
    for (name, text, expected) in [("a", "x", "\"rain\""), ("b", "x", "\"rain\""), ("c", "y", "\"sun\"")] {
        let (code, stdout, stderr) = run(&place, &["--run", name, "--input", &format!("text={text}")]);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(stdout.contains(expected), "{name}: {stdout}");
    }
    assert_eq!(endpoint.seen().len(), 2);
}

#[test]
fn mistakes_of_models_have_their_path() {
    let place = Place::with(
        "name: talk
tasks: [{id: summarise}]
agents:
  summarise:
    model:
      nmae: small
      url: ftp://x
      key: sk-in-the-file
      temperature: 9
      output: {type: 7}
      price: {input: cheap}
",
    );
    let ended = place.run(["check", "flow.yaml"]).with(3);
    for text in [
        "unknown field `nmae`, did you mean `name`?",
        "`name` is missing",
        "expected a URL that begins with `http://` or `https://`",
        "a key in a file is no secret",
        "expected a number from 0 to 2, found `9`",
        "the schema is invalid",
        "model.price.input: expected a number from 0 to 1000000",
    ] {
        ended.says(text);
    }
    assert!(!ended.stderr.contains("sk-in-the-file") && !ended.stdout.contains("sk-in-the-file"));
}

#[test]
fn the_doctor_names_a_variable_that_is_missing() {
    let place = Place::with(&flow(1, "", ""));
    place.run(["doctor", "flow.yaml"]).with(6).says("the environment has no variable `KEY_OF_TEST`");
}
