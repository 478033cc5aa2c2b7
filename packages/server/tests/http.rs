//! Agents behind HTTP endpoints, with faults.

mod common;

use common::Place;
use common::endpoint::{Endpoint, answer};
use std::net::TcpListener;

fn flow(port: u16, more: &str) -> String {
    format!(
        "name: web
tasks:
  - {{id: ask, inputs: {{city: Oslo}}, retry: {{attempts: 3, delay: 1ms, max_delay: 2ms}}}}
outputs: \"${{ask.output}}\"
agents:
  ask:
    http:
      url: \"http://127.0.0.1:{port}/v1/${{input.city}}?n=1\"
      headers: {{authorization: \"Bearer ${{env.TOKEN_OF_TEST}}\"}}
{more}
"
    )
}

#[test]
fn a_request_has_the_input_and_the_key_and_its_answer_is_the_output() {
    let endpoint = Endpoint::new(&[&answer("503 Busy", ""), &answer("200 OK", "{\"temperature\": -3}")]);
    let place = Place::with(&flow(endpoint.port, ""));
    let output = place.command(["run", "flow.yaml", "--json"]).env("TOKEN_OF_TEST", "secret-7").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("{\"temperature\":-3}"));
    let seen = endpoint.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen[0].starts_with("POST /v1/Oslo?n=1 HTTP/1.1"), "{}", seen[0]);
    assert!(seen[0].ends_with("{\"city\":\"Oslo\"}") && seen[0].contains("Bearer secret-7"));
    let key = |text: &str| text.lines().find(|line| line.starts_with("idempotency-key: ")).map(str::to_owned);
    assert!(key(&seen[0]).is_some() && key(&seen[0]) == key(&seen[1]), "{seen:?}");
    // The token is in no file.
    let journal = std::fs::read_dir(place.path(".counterpoint/runs/web-1/journal")).unwrap();
    for file in journal {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(8).any(|part| part == b"secret-7"));
    }
}

#[test]
fn faults_of_endpoints_are_failures_of_their_kind() {
    let huge = answer("200 OK", &"1".repeat(2 << 20));
    let cases: &[(&[&str], &str, &str, usize)] = &[
        (&[&answer("404 Not Found", "no such city")], "", "status 404: no such city", 1),
        (&[&answer("500 Oops", "")], "", "http-500", 3),
        (&[&answer("429 Slow", "")], "      status: {429: permanent}", "http-429", 1),
        (&[&answer("200 OK", "not json")], "", "the output is not JSON", 1),
        (&[""], "", "connection-lost", 3),
        (&["HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"], "", "connection-lost", 3),
        (&["nonsense\r\n\r\n"], "", "connection-lost", 3),
        (&[&huge], "", "ended early", 3),
        (&["hang"], "      timeout: 200ms", "no answer within 200ms", 3),
    ];
    for (answers, more, says, requests) in cases {
        let endpoint = Endpoint::new(answers);
        let place = Place::with(&flow(endpoint.port, more));
        let output = place.command(["run", "flow.yaml"]).env("TOKEN_OF_TEST", "x").output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(says), "no `{says}` in {stderr}");
        assert_eq!(endpoint.seen().len(), *requests, "{says}: {stderr}");
    }
}

#[test]
fn an_endpoint_that_is_not_there_is_tried_again() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let place = Place::with(&flow(port, ""));
    let output = place.command(["run", "flow.yaml"]).env("TOKEN_OF_TEST", "x").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && stderr.contains("no-connection"), "{stderr}");
    place.run(["run", "flow.yaml"]).with(1).says("the environment has no variable `TOKEN_OF_TEST`");
}

#[test]
fn certificates_are_verified() {
    let (endpoint, certificate) = Endpoint::with_tls(&[&answer("200 OK", "{\"n\": 1}")]);
    let place = Place::with(&flow(endpoint.port, "").replace("http://127.0.0.1", "https://localhost"));
    place.write("ca.pem", &certificate);
    let run = |trusted: bool, name: &str| {
        let mut command = place.command(["run", "flow.yaml", "--json", "--run", name]);
        command.env("TOKEN_OF_TEST", "x");
        if trusted {
            command.env("SSL_CERT_FILE", place.path("ca.pem"));
        }
        command.output().unwrap()
    };
    let trusted = run(true, "one");
    assert!(String::from_utf8_lossy(&trusted.stdout).contains("{\"n\":1}"), "{trusted:?}");
    let unknown = run(false, "two");
    let stderr = String::from_utf8_lossy(&unknown.stderr);
    assert!(unknown.status.code() == Some(1) && stderr.contains("certificate"), "{stderr}");
    assert_eq!(endpoint.seen().len(), 1, "nothing is sent to an unknown server");
}
