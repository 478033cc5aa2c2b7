//! Conversations with a stand-in whose answers, and faults, are written by the tests.

mod common;

use common::{Reply, Standin, anthropic_stream, openai_stream};
use counterpoint::host::future::{Assignment, AsyncAgent as _};
use counterpoint::workflow::Attempt;
use counterpoint::{AttemptId, Failure, FailureKind, Payload, TaskId, TaskSpec};
use counterpoint_models::{Endpoint, Limits, ModelAgent, Price, Tool, codes};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const KEY: &str = "sk-test-0123456789";

fn agent(standin: &Standin) -> ModelAgent {
    ModelAgent::new(Endpoint::openai(&standin.base()).unwrap().with_key(KEY).unwrap(), "small")
}

fn assignment(input: Value) -> Assignment {
    let task = TaskSpec::new(TaskId::new(7), "ask").with_payload(Payload::new(input));
    Assignment::new(AttemptId::new(task.id, 1), task)
}

/// The result and the usage in tokens and costs.
async fn ask(agent: &ModelAgent, input: Value) -> (Result<Value, Failure>, u64, u64) {
    let assignment = assignment(input);
    let attempt: Attempt = assignment.attempt.clone();
    let result = agent.perform(assignment).await.map(|output| output.value().clone());
    if let Err(failure) = &result {
        assert!(!failure.to_string().contains(KEY), "{failure}");
    }
    (result, attempt.usage().tokens, attempt.usage().cost)
}

fn code(result: &Result<Value, Failure>) -> (FailureKind, String) {
    let failure = result.as_ref().unwrap_err();
    (failure.kind, failure.code.as_ref().map(ToString::to_string).unwrap_or_default())
}

#[tokio::test]
async fn an_answer_is_streamed_and_its_usage_is_that_of_the_endpoint() {
    let standin = Standin::new(vec![openai_stream(&["Rain ", "in Oslo."], (20, 4))]).await;
    let agent = agent(&standin)
        .with_system("Be brief.")
        .with_price(Price { input: 1_000_000, output: 10_000_000 })
        .with_temperature(0.5);
    let (result, tokens, cost) = ask(&agent, json!("How is the weather?")).await;
    assert_eq!(result.unwrap(), "Rain in Oslo.");
    assert_eq!((tokens, cost), (24, 60));
    let seen = &standin.seen()[0];
    assert_eq!(seen.path, "/v1/chat/completions");
    assert_eq!(seen.authorization.as_deref(), Some("Bearer sk-test-0123456789"));
    assert_eq!(seen.body["model"], "small");
    assert_eq!(seen.body["stream"], true);
    assert_eq!(seen.body["temperature"], 0.5);
    assert_eq!(
        seen.body["messages"],
        json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How is the weather?"}])
    );
}

#[tokio::test]
async fn the_other_api_gives_the_same_answer() {
    let standin = Standin::new(vec![anthropic_stream(&["Rain ", "in Oslo."], (20, 4))]).await;
    let endpoint = Endpoint::anthropic(&standin.base()).unwrap().with_key(KEY).unwrap();
    let (result, tokens, _) = ask(&ModelAgent::new(endpoint, "large").with_system("Be brief."), json!("?")).await;
    assert_eq!((result.unwrap(), tokens), (json!("Rain in Oslo."), 24));
    let seen = &standin.seen()[0];
    assert_eq!((seen.path.as_str(), seen.key.as_deref()), ("/v1/messages", Some(KEY)));
    assert_eq!(seen.body["system"], "Be brief.");
    assert_eq!(seen.body["messages"], json!([{"role": "user", "content": "?"}]));
}

#[tokio::test]
async fn answers_as_a_whole_are_read_for_both_apis() {
    let openai = json!({
        "choices": [{"message": {"content": "{\"n\": 1}"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    });
    let standin = Standin::new(vec![Reply::json(200, &openai)]).await;
    let (result, tokens, _) = ask(&agent(&standin).with_json().without_streaming(), json!("?")).await;
    assert_eq!((result.unwrap(), tokens), (json!({"n": 1}), 5));
    assert_eq!(standin.seen()[0].body["response_format"], json!({"type": "json_object"}));

    let anthropic = json!({
        "content": [{"type": "text", "text": "{\"n\": 2}"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "cache_read_input_tokens": 10, "output_tokens": 2},
    });
    let standin = Standin::new(vec![Reply::json(200, &anthropic)]).await;
    let agent = ModelAgent::new(Endpoint::anthropic(&standin.base()).unwrap(), "large").with_json();
    let (result, tokens, _) = ask(&agent.without_streaming(), json!("?")).await;
    assert_eq!((result.unwrap(), tokens), (json!({"n": 2}), 15));
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_corrected_and_then_fails() {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let wrong = || openai_stream(&["```json\n{\"city\": 7}\n```"], (10, 5));
    let right = openai_stream(&["{\"city\": \"Oslo\"}"], (30, 5));
    let standin = Standin::new(vec![wrong(), right]).await;
    let agent_with_schema = agent(&standin).with_schema(schema.clone()).unwrap();
    let (result, tokens, _) = ask(&agent_with_schema, json!("?")).await;
    assert_eq!((result.unwrap(), tokens), (json!({"city": "Oslo"}), 50));
    let second = &standin.seen()[1].body["messages"];
    assert_eq!(second[2]["role"], "assistant");
    assert!(second[3]["content"].as_str().unwrap().contains("/city"), "{second}");
    assert_eq!(standin.seen()[0].body["response_format"]["json_schema"]["schema"], schema);

    let standin = Standin::new(vec![wrong()]).await;
    let (result, tokens, _) = ask(&agent(&standin).with_schema(schema).unwrap(), json!("?")).await;
    assert_eq!(code(&result), (FailureKind::Transient, codes::SCHEMA.to_owned()));
    assert_eq!(tokens, 30, "both requests count");
    assert_eq!(result.unwrap_err().details().value()["findings"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn tools_are_called_and_their_errors_are_results() {
    let calls =
        [("c1", "weather", "{\"city\": \"Oslo\"}"), ("c2", "weather", "{\"city\": \"Rome\"}"), ("c3", "moon", "")];
    let standin =
        Standin::new(vec![common::openai_calls(&calls, (10, 5)), openai_stream(&["Rain in Oslo."], (40, 5))]).await;
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let asked = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&asked);
    let weather = Tool::new("weather", "The weather of a city.", parameters, move |arguments| {
        list.lock().unwrap().push(arguments["city"].clone());
        async move { if arguments["city"] == "Oslo" { Ok("rain".to_owned()) } else { Err("unknown city".to_owned()) } }
    });
    let (result, tokens, _) = ask(&agent(&standin).with_tool(weather), json!("?")).await;
    assert_eq!((result.unwrap(), tokens), (json!("Rain in Oslo."), 60));
    assert_eq!(*asked.lock().unwrap(), [json!("Oslo"), json!("Rome")]);
    let messages = &standin.seen()[1].body["messages"];
    assert_eq!(messages[1]["tool_calls"][0]["function"]["name"], "weather");
    assert_eq!(messages[2], json!({"role": "tool", "tool_call_id": "c1", "content": "rain"}));
    assert_eq!(messages[3], json!({"role": "tool", "tool_call_id": "c2", "content": "error: unknown city"}));
    assert!(messages[4]["content"].as_str().unwrap().contains("there is no tool `moon`"), "{messages}");
}

#[tokio::test]
async fn a_failure_after_a_tool_was_called_has_an_unknown_outcome() {
    let call = || common::anthropic_call("t1", "pay", "{\"sum\": 5}", (10, 5));
    let tool = || Tool::new("pay", "Pays.", json!({"type": "object"}), |_| async { Ok("paid".to_owned()) });
    let standin = Standin::new(vec![call(), Reply::json(500, &json!({}))]).await;
    let endpoint = || Endpoint::anthropic(&standin.base()).unwrap();
    let (result, tokens, _) = ask(&ModelAgent::new(endpoint(), "m").with_tool(tool()), json!("?")).await;
    assert_eq!(code(&result), (FailureKind::Unknown, codes::UNAVAILABLE.to_owned()));
    assert_eq!(tokens, 15, "tokens of a failed attempt count");
    let results = &standin.seen()[1].body["messages"][2]["content"][0];
    assert_eq!(*results, json!({"type": "tool_result", "tool_use_id": "t1", "content": "paid"}));

    // A model that calls tools for ever is stopped.
    let standin = Standin::new(vec![call()]).await;
    let agent = ModelAgent::new(Endpoint::anthropic(&standin.base()).unwrap(), "m").with_tool(tool());
    let (result, ..) = ask(&agent, json!("?")).await;
    assert_eq!(code(&result), (FailureKind::Permanent, codes::TOOL_ROUNDS.to_owned()));
    assert_eq!(standin.seen().len(), 9);
}

#[tokio::test]
async fn every_fault_has_a_kind_and_a_code() {
    let chunk = "data: {\"choices\": [{\"delta\": {\"content\": \"Rain\"}}]}\n\n";
    let cut = format!("{chunk}{chunk}");
    let table = [
        ("429", Reply::json(429, &json!({})).header("retry-after", "3"), FailureKind::Overloaded, codes::RATE_LIMIT),
        ("429 alone", Reply::json(429, &json!({})), FailureKind::Overloaded, codes::RATE_LIMIT),
        ("500", Reply::text(500, "boom"), FailureKind::Transient, codes::UNAVAILABLE),
        ("echo", Reply::text(401, &format!("bad key {KEY}")), FailureKind::Permanent, codes::UNAUTHORISED),
        ("not JSON", Reply::text(200, "<html>"), FailureKind::Transient, codes::MALFORMED),
        ("no choices", Reply::json(200, &json!({"choices": []})), FailureKind::Transient, codes::MALFORMED),
        ("a cut stream", Reply::stream(&cut), FailureKind::Transient, codes::CONNECTION),
        ("a broken event", Reply::stream("data: {\n\n"), FailureKind::Transient, codes::MALFORMED),
        ("no reason", Reply::stream(&format!("{chunk}data: [DONE]\n\n")), FailureKind::Transient, codes::MALFORMED),
        (
            "an error within a stream",
            Reply::stream(&format!(
                "{chunk}data: {{\"error\": {{\"message\": \"x\", \"code\": \"rate_limit_exceeded\"}}}}\n\n"
            )),
            FailureKind::Overloaded,
            codes::RATE_LIMIT,
        ),
        ("length", common::openai_ended(&["Rai"], "length"), FailureKind::Permanent, codes::LENGTH),
        ("a filter", common::openai_ended(&["no"], "content_filter"), FailureKind::Permanent, codes::REFUSED),
        ("a dropped connection", Reply::Drop, FailureKind::Transient, codes::CONNECTION),
        ("silence", Reply::Silence, FailureKind::Transient, codes::TIME_LIMIT),
        ("a stream that stops", Reply::Stuck(chunk.to_owned()), FailureKind::Transient, codes::TIME_LIMIT),
        ("a flood", Reply::stream(&chunk.repeat(20_000)), FailureKind::Transient, codes::CONNECTION),
    ];
    let mut limits = Limits::default();
    limits.idle = Duration::from_millis(400);
    limits.bytes = 1 << 20;
    for (name, reply, kind, expected) in table {
        let partial = matches!(name, "a cut stream" | "a stream that stops" | "length" | "no reason");
        let standin = Standin::new(vec![reply]).await;
        let (result, tokens, _) = ask(&agent(&standin).with_limits(limits), json!("?")).await;
        assert_eq!(code(&result), (kind, expected.to_owned()), "{name}: {result:?}");
        assert_eq!(
            result.unwrap_err().retry_after,
            match name {
                "429" => Some(Duration::from_secs(3)),
                _ if kind == FailureKind::Overloaded => Some(Duration::from_secs(1)),
                _ => None,
            }
        );
        assert!(!partial || tokens > 0, "{name}: what was received counts");
    }
    let nobody = Endpoint::openai("http://127.0.0.1:9/v1").unwrap();
    let (result, tokens, _) = ask(&ModelAgent::new(nobody, "m"), json!("?")).await;
    assert_eq!((code(&result), tokens), ((FailureKind::Transient, codes::CONNECTION.to_owned()), 0));
}

#[tokio::test]
async fn a_time_limit_and_a_cancellation_end_the_work_and_count_what_arrived() {
    let chunk = "data: {\"choices\": [{\"delta\": {\"content\": \"Rain in Oslo\"}}]}\n\n";
    let standin = Standin::new(vec![Reply::Stuck(chunk.to_owned())]).await;
    let mut limits = Limits::default();
    limits.time = Duration::from_millis(300);
    let (result, tokens, _) = ask(&agent(&standin).with_limits(limits), json!("?")).await;
    assert_eq!(code(&result), (FailureKind::Transient, codes::TIME_LIMIT.to_owned()));
    assert!(tokens >= 3, "{tokens}");

    let standin = Standin::new(vec![Reply::Stuck(chunk.to_owned())]).await;
    let assignment = assignment(json!("?"));
    let attempt = assignment.attempt.clone();
    let agent = agent(&standin);
    let (result, ()) = tokio::join!(agent.perform(assignment), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        attempt.cancel();
    });
    assert_eq!(code(&result.map(|output| output.value().clone())).1, codes::CANCELLED);
    assert!(attempt.usage().tokens >= 3);
}

#[tokio::test]
async fn a_prompt_that_cannot_be_made_is_permanent_and_sends_nothing() {
    let standin = Standin::new(vec![openai_stream(&["x"], (1, 1))]).await;
    let agent =
        agent(&standin).with_prompt(|input| input["text"].as_str().map(str::to_owned).ok_or("no text".to_owned()));
    let (result, tokens, _) = ask(&agent, json!({})).await;
    assert_eq!((code(&result), tokens), ((FailureKind::Permanent, codes::PROMPT.to_owned()), 0));
    assert!(standin.seen().is_empty());
    assert!(!format!("{agent:?}").contains(KEY));
}
