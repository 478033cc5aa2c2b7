//! JSON schemas of the messages, for agents in other languages.

use super::body::Kind;
use super::message::VERSION;
use crate::task::Progress;
use serde_json::{Map, Value, json};

/// The self-contained JSON Schema (draft 2020-12) of a kind of messages, including the envelope.
///
/// ```
/// use counterpoint::protocol::{Kind, schema};
///
/// let heartbeat = schema(Kind::Heartbeat);
/// assert_eq!(heartbeat["properties"]["body"]["required"][0], "heartbeat");
/// ```
#[must_use]
pub fn schema(kind: Kind) -> Value {
    let mut body = Map::new();
    body.insert(kind.name().to_owned(), body_of(kind));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.name(),
        "description": about(kind),
        "type": "object",
        "properties": {
            "v": {"const": VERSION},
            "id": {"$ref": "#/$defs/message_id"},
            "re": {"$ref": "#/$defs/message_id"},
            "at": {"$ref": "#/$defs/number"},
            "trace": {"$ref": "#/$defs/trace"},
            "token": {"type": "string"},
            "body": object(&[kind.name()], Value::Object(body)),
        },
        "required": ["v", "id", "body"],
        "additionalProperties": false,
        "$defs": definitions(),
    })
}

const fn about(kind: Kind) -> &'static str {
    match kind {
        Kind::Submit => "Client to host: submits a task.",
        Kind::Withdraw => "Client to host: cancels a task.",
        Kind::Query => "Client to host: requests the state of a task.",
        Kind::Status => "Host to client: the state of a task.",
        Kind::Register => "Agent to host: registers an agent.",
        Kind::Registered => {
            "Host to agent: the agent is registered; it includes the incarnation in all later messages."
        }
        Kind::Update => "Agent to host: replaces the description of the agent.",
        Kind::Heartbeat => "Agent to host: a heartbeat.",
        Kind::AttemptHeartbeat => "Agent to host: a heartbeat of an attempt, with details for the next attempt.",
        Kind::Assign => "Host to agent: assigns an attempt. A repeated message is the same attempt.",
        Kind::AssignBatch => "Host to agent: assigns attempts that belong together; each is answered separately.",
        Kind::Yield => "Host to agent: requests an attempt back, unless it is done.",
        Kind::GiveBack => "Agent to host: gives an attempt back, which has no side effects.",
        Kind::Poll => "Polling agent to host: requests further attempts.",
        Kind::Accept => "Agent to host: an attempt has begun.",
        Kind::Refuse => "Agent to host: refuses an attempt, which has no side effects.",
        Kind::Progress => "Agent to host: the progress of an attempt.",
        Kind::Emit => "Agent to host: a part of the output of an attempt.",
        Kind::Result => "Agent to host: the end of an attempt.",
        Kind::Cancel => "Host to agent: cancels an attempt.",
        Kind::Scale => "Host to the operator of the fleet: advice on the number of agents.",
        Kind::Rejected => "Host to sender: the request was rejected and changed nothing.",
        Kind::Negotiate => "In both directions: a step of a negotiation on who performs work.",
    }
}

fn body_of(kind: Kind) -> Value {
    let (number, incarnation, attempt) = (def("number"), def("incarnation"), def("attempt"));
    let (name, span, text) = (def("name"), def("span"), json!({"type": "string"}));
    match kind {
        Kind::Submit => object(&["task"], json!({"task": def("task")})),
        Kind::Withdraw => object(&["task", "reason"], json!({"task": number, "reason": name})),
        Kind::Query => object(&["task"], json!({"task": number})),
        Kind::Status => object(
            &["task", "state", "attempts"],
            json!({"task": number, "state": def("state"), "attempts": def("count"), "outcome": def("outcome")}),
        ),
        Kind::Register => object(&["agent"], json!({"agent": def("agent")})),
        Kind::Registered => object(&["by"], json!({"by": incarnation, "heartbeat": span})),
        Kind::Update => object(&["by", "agent"], json!({"by": incarnation, "agent": def("agent")})),
        Kind::Heartbeat => object(&["by"], json!({"by": incarnation})),
        Kind::AttemptHeartbeat => {
            object(&["by", "attempt"], json!({"by": incarnation, "attempt": attempt, "details": {}}))
        }
        Kind::Assign => assignment(&["attempt", "to", "kind"], &[("to", incarnation)]),
        Kind::AssignBatch => object(
            &["to", "attempts"],
            json!({"to": incarnation, "attempts": {"type": "array", "items": assignment(&["attempt", "kind"], &[])}}),
        ),
        Kind::Yield => {
            object(&["from", "attempt", "until"], json!({"from": incarnation, "attempt": attempt, "until": number}))
        }
        Kind::Poll => object(&["by", "most"], json!({"by": incarnation, "most": def("count")})),
        Kind::Accept | Kind::GiveBack => object(&["by", "attempt"], json!({"by": incarnation, "attempt": attempt})),
        Kind::Refuse => object(
            &["by", "attempt", "why"],
            json!({
                "by": incarnation, "attempt": attempt, "why": {"enum": ["busy", "unable", "leaving"]}, "message": text,
                "retry_after": span,
            }),
        ),
        Kind::Progress => object(
            &["by", "attempt", "progress"],
            json!({"by": incarnation, "attempt": attempt, "progress": progress()}),
        ),
        Kind::Emit => object(&["by", "attempt", "chunk"], json!({"by": incarnation, "attempt": attempt, "chunk": {}})),
        Kind::Result => object(
            &["by", "attempt", "verdict"],
            json!({"by": incarnation, "attempt": attempt, "verdict": def("verdict")}),
        ),
        Kind::Cancel => object(&["from", "attempt"], json!({"from": incarnation, "attempt": attempt})),
        Kind::Scale => object(&["agents", "advised"], json!({"agents": whole(), "advised": whole()})),
        Kind::Rejected => object(&["code", "reason"], json!({"code": name, "reason": text, "retry_after": span})),
        Kind::Negotiate => object(&["about", "act"], json!({"about": def("message_id"), "act": def("act")})),
    }
}

/// An attempt with the data that the agent needs.
fn assignment(required: &[&str], more: &[(&str, Value)]) -> Value {
    let number = def("number");
    let mut fields = Map::new();
    let own = [("attempt", def("attempt")), ("kind", def("name")), ("payload", json!({})), ("tier", def("tier"))];
    let key = json!({"type": "string", "pattern": "^[0-9a-f]{32}$"});
    let more_own = [
        ("deadline", number.clone()),
        ("until", number),
        ("key", key),
        ("heartbeat_timeout", def("span")),
        ("details", json!({})),
    ];
    for (name, value) in own.into_iter().chain(more_own) {
        fields.insert(name.to_owned(), value);
    }
    fields.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    object(required, Value::Object(fields))
}

fn progress() -> Value {
    let share = json!({"type": "number", "minimum": 0, "maximum": 1});
    let text = json!({"type": "string", "maxLength": Progress::MAX_TEXT});
    object(&["share"], json!({"share": share, "text": text}))
}

/// Definitions that several kinds use.
fn failure() -> Value {
    let place = json!({
        "workflow": {"type": "string"},
        "node": {"type": "string"},
        "instance": {"type": "integer", "minimum": 0},
    });
    json!({
        "type": "object",
        "properties": {
            "kind": {"enum": ["transient", "permanent", "overloaded", "unknown"]},
            "code": {"type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,64}$"},
            "message": {"type": "string"},
            "retry_after": def("span"),
            "details": {},
            "path": {"type": "array", "items": object(&["workflow", "node"], place)},
            "cause": def("failure"),
        },
        "required": ["kind", "message"],
    })
}

fn definitions() -> Value {
    let name = def("name");
    json!({
        "message_id": {"type": "string", "pattern": "^[!-~]{1,128}$"},
        "name": {"type": "string"},
        "number": {
            "description": "An integer below 2^64, preferably as decimal text.",
            "anyOf": [{"type": "string", "pattern": "^(0|[1-9][0-9]{0,19})$"}, {"type": "integer", "minimum": 0}],
        },
        "count": {"type": "integer", "minimum": 0, "maximum": u32::MAX},
        "span": {
            "description": "A duration: text such as \"1m 30s\", or nanoseconds.",
            "anyOf": [{"type": "string"}, {"type": "integer", "minimum": 0}],
        },
        "tier": {"enum": ["critical", "high", "normal", "low"], "default": "normal"},
        "state": {"enum": [
            "blocked", "backoff", "queued", "running", "cancelling", "succeeded", "failed", "dead_lettered", "cancelled",
            "expired",
        ]},
        "incarnation": object(&["agent", "number"], json!({"agent": def("number"), "number": def("number")})),
        "attempt": object(&["task", "number"], json!({"task": def("number"), "number": def("count")})),
        "trace": object(&["traceparent"], json!({
            "traceparent": {"type": "string", "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$"},
            "tracestate": {"type": "string", "maxLength": 512},
        })),
        "needs": {
            "type": "object",
            "properties": {"skills": def("skills"), "labels": {"type": "object", "additionalProperties": name},
                "amounts": def("amounts"), "shared": def("amounts")},
        },
        "amounts": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
        "skills": {
            "type": "object",
            "additionalProperties": {"type": "integer", "minimum": 0, "maximum": u16::MAX},
        },
        "policy": {"description": "Retries and timeouts, as in a workflow's definition.", "type": "object"},
        "agent": agent(),
        "task": task(),
        "failure": failure(),
        "usage": object(&[], json!({"cost": {"type": "integer", "minimum": 0}, "tokens": {"type": "integer", "minimum": 0}})),
        "verdict": one_of(&[
            ("succeeded", object(&[], json!({"output": {}, "usage": def("usage")}))),
            ("failed", object(&["failure"], json!({"failure": def("failure"), "usage": def("usage")}))),
        ]),
        "outcome": one_of(&[
            ("succeeded", json!({})),
            ("failed", def("failure")),
            ("dead_lettered", def("failure")),
            ("cancelled", json!({
                "type": "object",
                "properties": {"reason": name, "side_effects": {}},
                "required": ["reason"],
            })),
            ("expired", json!({"enum": ["deadline", "queue", "total"]})),
        ]),
        "act": act(),
    })
}

fn agent() -> Value {
    object(
        &["id", "capacity"],
        json!({
            "id": def("number"), "name": def("name"), "skills": def("skills"),
            "labels": {"type": "object", "additionalProperties": def("name")},
            "capacity": def("count"),
            "priority": {"type": "integer", "minimum": i32::MIN, "maximum": i32::MAX, "default": 0},
            "lease": def("span"),
        }),
    )
}

fn task() -> Value {
    object(
        &["id", "kind"],
        json!({
            "id": def("number"), "key": def("name"), "kind": def("name"), "payload": {}, "needs": def("needs"),
            "tier": def("tier"), "deadline": def("number"), "estimate": def("span"), "policy": def("policy"),
            "after": {"type": "array", "items": def("number")},
        }),
    )
}

fn act() -> Value {
    let (number, name) = (def("number"), def("name"));
    one_of(&[
        (
            "call_for_proposals",
            object(
                &["kind"],
                json!({
                    "kind": name, "payload": {}, "needs": def("needs"), "tier": def("tier"), "answer_by": number,
                }),
            ),
        ),
        ("propose", object(&["by", "cost"], json!({"by": number, "cost": number, "takes": def("span"), "terms": {}}))),
        ("refuse", object(&["by", "reason"], json!({"by": number, "reason": name}))),
        ("not_understood", object(&["by", "reason"], json!({"by": number, "reason": name}))),
        ("accept_proposal", object(&["of"], json!({"of": number}))),
        ("reject_proposal", object(&["of"], json!({"of": number, "reason": name}))),
        ("inform_done", object(&["by"], json!({"by": number, "output": {}}))),
        ("inform_failed", object(&["by", "failure"], json!({"by": number, "failure": def("failure")}))),
        ("cancel", object(&["reason"], json!({"reason": name}))),
    ])
}

fn def(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

fn whole() -> Value {
    json!({"type": "integer", "minimum": 0})
}

/// An object with these fields and no others.
fn object(required: &[&str], properties: Value) -> Value {
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty()
        && let Some(fields) = schema.as_object_mut()
    {
        fields.insert("required".to_owned(), json!(required));
    }
    schema
}

/// An object with exactly one field, one of these.
fn one_of(variants: &[(&str, Value)]) -> Value {
    let variants = variants.iter().map(|(name, inner)| {
        let mut properties = Map::new();
        properties.insert((*name).to_owned(), inner.clone());
        object(&[name], Value::Object(properties))
    });
    json!({"oneOf": variants.collect::<Vec<_>>()})
}
