//! Agents behind HTTP endpoints, with faults.

mod common;

use common::Place;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A server that answers each request with the next text, and the last one again; an empty text closes the connection.
struct Endpoint {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Endpoint {
    fn new(answers: &[&str]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answers, kept): (Vec<String>, _) = (answers.iter().map(ToString::to_string).collect(), Arc::clone(&seen));
        thread::spawn(move || {
            for (index, stream) in listener.incoming().enumerate() {
                let answer = answers.get(index).or(answers.last()).cloned().unwrap_or_default();
                let request = read(stream.as_ref().unwrap());
                kept.lock().unwrap().push(request);
                let mut stream = stream.unwrap();
                if answer == "hang" {
                    thread::spawn(move || stream.read(&mut [0; 1]));
                    continue;
                }
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        Self { port, seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or_default() == 0 || line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
        text.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    text + &String::from_utf8(body).unwrap()
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

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
