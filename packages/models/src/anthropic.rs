//! Anthropic's messages.

use crate::conversation::{Answer, Folded, Request, Stop, Turn};
use serde_json::{Value, json};

/// The body of a request.
pub(crate) fn body(request: &Request<'_>) -> Value {
    let messages: Vec<Value> = request
        .turns
        .iter()
        .map(|turn| match turn {
            Turn::User(text) => json!({"role": "user", "content": text}),
            Turn::Assistant { text, calls } => {
                let said = (!text.is_empty()).then(|| json!({"type": "text", "text": text}));
                let used = calls.iter().map(|call| {
                    // The API takes arguments as an object; the model wrote them as text.
                    let input: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
                    json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input})
                });
                json!({"role": "assistant", "content": said.into_iter().chain(used).collect::<Vec<_>>()})
            }
            Turn::Results(results) => {
                let content = results.iter().map(|returned| match &returned.result {
                    Ok(text) => json!({"type": "tool_result", "tool_use_id": returned.id, "content": text}),
                    Err(text) => {
                        json!({"type": "tool_result", "tool_use_id": returned.id, "content": text, "is_error": true})
                    }
                });
                json!({"role": "user", "content": content.collect::<Vec<_>>()})
            }
        })
        .collect();
    let mut body = json!({"model": request.model, "messages": messages, "max_tokens": request.max_tokens});
    if request.stream {
        body["stream"] = true.into();
    }
    if !request.system.is_empty() {
        body["system"] = request.system.into();
    }
    if let Some(temperature) = request.temperature {
        body["temperature"] = temperature.into();
    }
    if !request.tools.is_empty() {
        let tools = request.tools.iter();
        body["tools"] = tools
            .map(|tool| json!({"name": tool.name, "description": tool.description, "input_schema": tool.parameters}))
            .collect();
    }
    body
}

/// Adds an event of a stream to an answer.
pub(crate) fn fold(answer: &mut Answer, data: &str) -> Result<Folded, String> {
    let event: Value = serde_json::from_str(data).map_err(|error| format!("an event is not JSON: {error}"))?;
    match event["type"].as_str().unwrap_or_default() {
        "message_start" => usage(answer, &event["message"]["usage"]),
        "content_block_start" => {
            let block = &event["content_block"];
            if block["type"] == "tool_use" {
                let index = answer.calls.len();
                let call = answer.call_at(index).ok_or("too many calls of tools")?;
                call.id = block["id"].as_str().unwrap_or_default().to_owned();
                call.name = block["name"].as_str().unwrap_or_default().to_owned();
            }
            return Ok(answer.add_text(block["text"].as_str().unwrap_or_default()));
        }
        "content_block_delta" => {
            let delta = &event["delta"];
            if let Some(part) = delta["partial_json"].as_str() {
                // Blocks follow each other: a part belongs to the call that began last.
                let call = answer.calls.last_mut().ok_or("arguments without a call of a tool")?;
                call.arguments.push_str(part);
            }
            return Ok(answer.add_text(delta["text"].as_str().unwrap_or_default()));
        }
        "message_delta" => {
            usage(answer, &event["usage"]);
            stop(answer, &event["delta"]["stop_reason"]);
        }
        "message_stop" => return Ok(Folded::Done),
        "error" => return Ok(Folded::Error(event["error"].clone())),
        _ => {}
    }
    Ok(Folded::Other)
}

/// An answer that was not streamed.
pub(crate) fn whole(body: &Value) -> Result<Answer, String> {
    let blocks = body["content"].as_array().ok_or("the answer has no content")?;
    let mut answer = Answer::default();
    for block in blocks {
        if block["type"] == "tool_use" {
            let index = answer.calls.len();
            let call = answer.call_at(index).ok_or("too many calls of tools")?;
            call.id = block["id"].as_str().unwrap_or_default().to_owned();
            call.name = block["name"].as_str().unwrap_or_default().to_owned();
            call.arguments = block["input"].to_string();
        }
        answer.add_text(block["text"].as_str().unwrap_or_default());
    }
    usage(&mut answer, &body["usage"]);
    stop(&mut answer, &body["stop_reason"]);
    Ok(answer)
}

/// Tokens so far: those of the answer are a sum of all of it. Input that was read from a cache of the endpoint counts.
fn usage(answer: &mut Answer, usage: &Value) {
    let parts = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"];
    let found: Vec<u64> = parts.iter().filter_map(|part| usage[*part].as_u64()).collect();
    if !found.is_empty() {
        let sum = found.iter().fold(0_u64, |sum, part| sum.saturating_add(*part));
        answer.input = Some(answer.input.unwrap_or_default().max(sum));
    }
    answer.output = usage["output_tokens"].as_u64().or(answer.output);
}

fn stop(answer: &mut Answer, reason: &Value) {
    let Some(reason) = reason.as_str() else { return };
    answer.stop = Some(match reason {
        "max_tokens" | "model_context_window_exceeded" => Stop::Length,
        "refusal" => Stop::Refused,
        "tool_use" => Stop::Tools,
        _ => Stop::End,
    });
}
