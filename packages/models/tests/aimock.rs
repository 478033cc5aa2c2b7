//! Conversations with a stand-in that others wrote: `llmock` of the npm package `@copilotkit/aimock`. Without it on the
//! search path the tests are skipped with a line, unless `COUNTERPOINT_NPM` says that it must be there.

use counterpoint::host::future::{Assignment, AsyncAgent as _};
use counterpoint::{AttemptId, Failure, FailureKind, Payload, TaskId, TaskSpec};
use counterpoint_models::{Api, Endpoint, ModelAgent, Tool, codes};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const FIXTURES: &str = r#"{"fixtures": [
    {"match": {"userMessage": "weather", "hasToolResult": false}, "response": {"toolCalls": [
        {"name": "look", "arguments": "{\"city\": \"Oslo\"}"}, {"name": "look", "arguments": "{\"city\": \"Rome\"}"}]}},
    {"match": {"userMessage": "weather", "hasToolResult": true}, "response": {"content": "Rain in Oslo, sun in Rome."}},
    {"match": {"userMessage": "limited"}, "response":
        {"error": {"message": "slow down", "type": "rate_limit_error", "code": "rate_limit_exceeded"}, "status": 429}},
    {"match": {"userMessage": "cut"}, "chunkSize": 5, "truncateAfterChunks": 3,
        "response": {"content": "An answer that is long enough for several parts."}},
    {"match": {"userMessage": "broken"}, "response": {"error": {"message": "oops", "type": "server_error"}, "status": 500}},
    {"match": {"userMessage": "key"}, "response": {"error": {"message": "no", "type": "authentication_error"}, "status": 401}},
    {"match": {"userMessage": "prose"}, "response": {"content": "I would say seven."}},
    {"match": {"userMessage": "number", "turnIndex": 0}, "response": {"content": "{\"n\": \"seven\"}"}},
    {"match": {"userMessage": "not valid"}, "response": {"content": "{\"n\": 7}"}},
    {"match": {"userMessage": "say"}, "chunkSize": 4, "response": {"content": "Rain in Oslo.",
        "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, "input_tokens": 9, "output_tokens": 4}}}
]}"#;

/// The stand-in. It is ended with the test.
struct Aimock {
    child: Child,
    port: u16,
    _fixtures: tempfile::TempDir,
}

impl Drop for Aimock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Aimock {
    fn start() -> Option<Self> {
        let fixtures = tempfile::tempdir().unwrap();
        let file = fixtures.path().join("fixtures.json");
        std::fs::write(&file, FIXTURES).unwrap();
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let mut command = Command::new("llmock");
        command.args(["-p", &port.to_string(), "-f"]).arg(&file);
        let Ok(mut child) = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn() else {
            assert!(std::env::var_os("COUNTERPOINT_NPM").is_none(), "`llmock` is not installed");
            eprintln!("skipped: `llmock` of the npm package @copilotkit/aimock is not installed");
            return None;
        };
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("listening")), "it did not start");
        // Its further output must find a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { child, port, _fixtures: fixtures })
    }

    fn agent(&self, api: Api) -> ModelAgent {
        let base = format!("http://127.0.0.1:{}/v1", self.port);
        let endpoint = Endpoint::new(api, &base).unwrap().with_key("sk-of-test").unwrap();
        ModelAgent::new(endpoint, "small")
    }
}

/// The result, and the tokens that count.
async fn ask(agent: &ModelAgent, input: &str) -> (Result<Value, Failure>, u64) {
    let task = TaskSpec::new(TaskId::new(7), "ask").with_payload(Payload::new(json!(input)));
    let assignment = Assignment::new(AttemptId::new(task.id, 1), task);
    let attempt = assignment.attempt.clone();
    let result = agent.perform(assignment).await.map(|output| output.value().clone());
    (result, attempt.usage().tokens)
}

fn code(result: &Result<Value, Failure>) -> (FailureKind, String) {
    let failure = result.as_ref().unwrap_err();
    (failure.kind, failure.code.as_ref().map(ToString::to_string).unwrap_or_default())
}

#[tokio::test]
async fn both_apis_answer_streamed_and_as_a_whole() {
    let Some(aimock) = Aimock::start() else { return };
    for api in [Api::OpenAi, Api::Anthropic] {
        for agent in [aimock.agent(api), aimock.agent(api).without_streaming()] {
            let (result, tokens) = ask(&agent, "say it").await;
            assert_eq!(result.unwrap(), "Rain in Oslo.", "{api:?}");
            assert_eq!(tokens, 13, "{api:?}");
        }
    }
}

#[tokio::test]
async fn both_apis_call_tools() {
    let Some(aimock) = Aimock::start() else { return };
    for api in [Api::OpenAi, Api::Anthropic] {
        for stream in [true, false] {
            let seen = Arc::new(Mutex::new(Vec::new()));
            let kept = Arc::clone(&seen);
            let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
            let tool = Tool::new("look", "The weather of a city.", parameters, move |arguments: Value| {
                kept.lock().unwrap().push(arguments["city"].as_str().unwrap().to_owned());
                async { Ok("rain".to_owned()) }
            });
            let agent = aimock.agent(api).with_tool(tool);
            let agent = if stream { agent } else { agent.without_streaming() };
            let (result, _) = ask(&agent, "weather?").await;
            assert_eq!(result.unwrap(), "Rain in Oslo, sun in Rome.", "{api:?} {stream}");
            assert_eq!(*seen.lock().unwrap(), ["Oslo", "Rome"]);
        }
    }
}

#[tokio::test]
async fn answers_are_corrected_until_they_fit_their_schema() {
    let Some(aimock) = Aimock::start() else { return };
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    for api in [Api::OpenAi, Api::Anthropic] {
        let agent = aimock.agent(api).with_schema(schema.clone()).unwrap();
        assert_eq!(ask(&agent, "number").await.0.unwrap(), json!({"n": 7}), "{api:?}");
    }
    // Prose is no JSON, and the correction is the number.
    let agent = aimock.agent(Api::OpenAi).with_schema(schema).unwrap();
    assert_eq!(ask(&agent, "prose").await.0.unwrap(), json!({"n": 7}));
}

#[tokio::test]
async fn faults_are_failures_of_their_kind() {
    let Some(aimock) = Aimock::start() else { return };
    for api in [Api::OpenAi, Api::Anthropic] {
        let agent = aimock.agent(api);
        let (limited, _) = ask(&agent, "limited").await;
        assert_eq!(code(&limited), (FailureKind::Overloaded, codes::RATE_LIMIT.to_owned()), "{api:?}: {limited:?}");
        assert_eq!(limited.unwrap_err().retry_after, Some(Duration::from_secs(1)), "as the header says");
        for (input, kind, expected) in [
            ("cut", FailureKind::Transient, codes::CONNECTION),
            ("broken", FailureKind::Transient, codes::UNAVAILABLE),
            ("key", FailureKind::Permanent, codes::UNAUTHORISED),
            ("no such fixture", FailureKind::Permanent, codes::REJECTED),
        ] {
            let (result, _) = ask(&agent, input).await;
            assert_eq!(code(&result), (kind, expected.to_owned()), "{api:?} {input}: {result:?}");
        }
    }
}
