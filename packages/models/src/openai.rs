//! OpenAI's chat completions.

use crate::conversation::{Answer, Folded, Request, Stop, Turn};
use serde_json::{Map, Value, json};

/// The body of a request.
pub(crate) fn body(request: &Request<'_>) -> Value {
    let mut messages = Vec::new();
    if !request.system.is_empty() {
        messages.push(json!({"role": "system", "content": request.system}));
    }
    for turn in request.turns {
        match turn {
            Turn::User(text) => messages.push(json!({"role": "user", "content": text})),
            Turn::Assistant { text, calls } => {
                let mut message = Map::new();
                message.insert("role".to_owned(), "assistant".into());
                message.insert("content".to_owned(), if text.is_empty() { Value::Null } else { text.as_str().into() });
                if !calls.is_empty() {
                    let calls = calls.iter().map(|call| {
                        let function = json!({"name": call.name, "arguments": call.arguments});
                        json!({"id": call.id, "type": "function", "function": function})
                    });
                    message.insert("tool_calls".to_owned(), calls.collect());
                }
                messages.push(Value::Object(message));
            }
            Turn::Results(results) => messages.extend(results.iter().map(|returned| {
                let content = match &returned.result {
                    Ok(text) => text.clone(),
                    Err(text) => format!("error: {text}"),
                };
                json!({"role": "tool", "tool_call_id": returned.id, "content": content})
            })),
        }
    }
    let mut body = json!({"model": request.model, "messages": messages, "max_tokens": request.max_tokens});
    if request.stream {
        body["stream"] = true.into();
        body["stream_options"] = json!({"include_usage": true});
    }
    if let Some(temperature) = request.temperature {
        body["temperature"] = temperature.into();
    }
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|tool| {
            let function = json!({"name": tool.name, "description": tool.description, "parameters": tool.parameters});
            json!({"type": "function", "function": function})
        });
        body["tools"] = tools.collect();
    }
    if request.json {
        body["response_format"] = match request.schema {
            Some(schema) => json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}),
            None => json!({"type": "json_object"}),
        };
    }
    body
}

/// Adds an event of a stream to an answer.
pub(crate) fn fold(answer: &mut Answer, data: &str) -> Result<Folded, String> {
    if data.trim() == "[DONE]" {
        return Ok(Folded::Done);
    }
    let chunk: Value = serde_json::from_str(data).map_err(|error| format!("an event is not JSON: {error}"))?;
    if let Some(error) = chunk.get("error").filter(|error| !error.is_null()) {
        return Ok(Folded::Error(error.clone()));
    }
    usage(answer, &chunk["usage"]);
    let choice = &chunk["choices"][0];
    stop(answer, &choice["finish_reason"]);
    let delta = &choice["delta"];
    for call in delta["tool_calls"].as_array().into_iter().flatten() {
        let index = call["index"].as_u64().and_then(|index| usize::try_from(index).ok());
        let next = answer.calls.len().saturating_sub(usize::from(call["id"].is_null()));
        let place = answer.call_at(index.unwrap_or(next)).ok_or("a call of a tool is out of order")?;
        let function = &call["function"];
        place.id.push_str(call["id"].as_str().unwrap_or_default());
        place.name.push_str(function["name"].as_str().unwrap_or_default());
        place.arguments.push_str(function["arguments"].as_str().unwrap_or_default());
    }
    if let Some(refusal) = delta["refusal"].as_str() {
        answer.stop = Some(Stop::Refused);
        return Ok(answer.add_text(refusal));
    }
    Ok(answer.add_text(delta["content"].as_str().unwrap_or_default()))
}

/// An answer that was not streamed.
pub(crate) fn whole(body: &Value) -> Result<Answer, String> {
    let choice = body["choices"].get(0).ok_or("the answer has no choices")?;
    let message = &choice["message"];
    let mut answer = Answer::default();
    answer.add_text(message["content"].as_str().or(message["refusal"].as_str()).unwrap_or_default());
    for (index, call) in message["tool_calls"].as_array().into_iter().flatten().enumerate() {
        let place = answer.call_at(index).ok_or("too many calls of tools")?;
        place.id = call["id"].as_str().unwrap_or_default().to_owned();
        place.name = call["function"]["name"].as_str().unwrap_or_default().to_owned();
        place.arguments = call["function"]["arguments"].as_str().unwrap_or_default().to_owned();
    }
    usage(&mut answer, &body["usage"]);
    stop(&mut answer, &choice["finish_reason"]);
    if message["refusal"].is_string() {
        answer.stop = Some(Stop::Refused);
    }
    Ok(answer)
}

fn usage(answer: &mut Answer, usage: &Value) {
    answer.input = usage["prompt_tokens"].as_u64().or(answer.input);
    answer.output = usage["completion_tokens"].as_u64().or(answer.output);
}

fn stop(answer: &mut Answer, reason: &Value) {
    let Some(reason) = reason.as_str() else { return };
    answer.stop = Some(match reason {
        "length" => Stop::Length,
        "content_filter" => Stop::Refused,
        "tool_calls" | "function_call" => Stop::Tools,
        _ => Stop::End,
    });
}
