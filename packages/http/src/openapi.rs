//! The description of the server, as OpenAPI 3.1.

use crate::routes::{Route, routes};
use counterpoint::protocol::{Kind, schema};
use serde_json::{Map, Value, json};

/// The description of the API. It is computed from the table of the router; the schemas of messages are those of
/// `counterpoint::protocol`.
#[must_use]
pub fn openapi() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in routes() {
        let path = paths.entry(route.path.to_owned()).or_insert_with(|| json!({}));
        path[route.method] = operation(&route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Counterpoint over HTTP",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Ids are 64-bit numbers in decimal text. Durations are text such as \"1m 30s\".",
        },
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut responses = Map::new();
    let (status, schema) = route.answer;
    let mut success = answer("Success.", schema);
    let links = links(route);
    if !links.is_empty() {
        success["links"] = links.into();
    }
    responses.insert(status.to_string(), success);
    let guarded: &[u16] = if route.open { &[400] } else { &[400, 401, 403, 429, 503] };
    let read: &[u16] = if route.body.is_some() { &[408, 413] } else { &[] };
    for status in route.refusals.iter().chain(guarded).chain(read) {
        let mut refusal = json!({"application/problem+json": {"schema": reference("Problem")}});
        if route.path == "/v1/messages" {
            // A message that was read is answered by one.
            refusal["application/json"] = json!({"schema": reference("Messages")});
        }
        responses.insert(status.to_string(), json!({"description": meaning(*status), "content": refusal}));
    }
    let mut operation = json!({
        "operationId": name(route),
        "summary": route.summary,
        "parameters": parameters(route),
        "responses": responses,
    });
    if let Some(body) = route.body {
        operation["requestBody"] = json!({"required": true, "content": content(body)});
    }
    if !route.open {
        operation["security"] = json!([{"token": []}]);
    }
    operation
}

/// Where answers name an object: the route, the place of the id in the answer, and the parameter of the routes about it.
const NAMED: &[(&str, &str, &str, &str)] = &[
    ("post", "/v1/tasks", "/task", "task"),
    ("post", "/v1/runs", "/id", "run"),
    ("put", "/v1/schedules/{schedule}", "/id", "schedule"),
    ("post", "/v1/dead-letters/{task}/replay", "/task", "task"),
    ("get", "/v1/agents", "/agents/0/id", "agent"),
    ("get", "/v1/dead-letters", "/dead_letters/0/id", "task"),
    ("get", "/v1/runs", "/runs/0/id", "run"),
];

/// The requests that can follow an answer.
fn links(route: &Route) -> Map<String, Value> {
    let named = NAMED.iter().find(|(method, path, ..)| (*method, *path) == (route.method, route.path));
    let Some((_, _, place, parameter)) = named else { return Map::new() };
    let about = format!("{{{parameter}}}");
    let follows = routes().into_iter().filter(|other| other.path.contains(&about));
    let link = |other: Route| {
        let parameters = json!({*parameter: format!("$response.body#{place}")});
        (name(&other), json!({"operationId": name(&other), "parameters": parameters}))
    };
    follows.map(link).collect()
}

fn name(route: &Route) -> String {
    let words = route.path.split(['/', '{', '}', '.']).filter(|word| !word.is_empty() && *word != "v1");
    words.fold(route.method.to_owned(), |name, word| format!("{name}_{word}"))
}

fn answer(description: &str, schema: &str) -> Value {
    match schema {
        "" => json!({"description": description}),
        schema => json!({"description": description, "content": content(schema)}),
    }
}

fn content(schema: &str) -> Value {
    match schema {
        "Any" => json!({"*/*": {"schema": {}}}),
        schema => json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{schema}")}}}),
    }
}

fn meaning(status: u16) -> &'static str {
    match status {
        400 => "The request is malformed.",
        401 => "The token is missing or unknown.",
        403 => "The principal is not allowed to do this.",
        404 => "The resource is unknown.",
        409 => "The state does not allow the request: a stale attempt, an ended incarnation, an id with other content.",
        408 => "The body arrives too slowly.",
        413 => "The request is too large.",
        422 => "The request is well-formed, but its content is invalid.",
        429 => "Too many requests: see `Retry-After`.",
        _ => "The host has ended, or the server has no room for the request now: see `Retry-After`.",
    }
}

fn parameters(route: &Route) -> Vec<Value> {
    let of_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let of_path = of_path.map(|name| json!({"name": name, "in": "path", "required": true, "schema": of_id(name)}));
    let of_query = route.parameters.iter();
    let of_query = of_query.map(|name| json!({"name": name, "in": "query", "schema": {"type": "string"}}));
    let mut all: Vec<Value> = of_path.chain(of_query).collect();
    if route.has_key() {
        all.push(json!({
            "name": "Idempotency-Key", "in": "header",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
            "description": "Replaces an `id`: the same key of the same caller and tenant identifies the same task or run.",
        }));
        let traced = [
            ("traceparent", "The span of the caller (W3C Trace Context). A malformed one is ignored."),
            ("tracestate", "What belongs to it."),
        ];
        all.extend(traced.map(
            |(name, about)| json!({"name": name, "in": "header", "schema": {"type": "string"}, "description": about}),
        ));
    }
    all
}

/// The schema of a part of a path.
fn of_id(name: &str) -> Value {
    match name {
        "task" | "run" | "agent" => json!({"type": "string", "pattern": "^(0|[1-9][0-9]{0,18})$"}),
        _ => json!({"type": "string", "minLength": 1}),
    }
}

fn schemas() -> Value {
    let mut schemas = Map::new();
    for kind in Kind::ALL {
        let mut schema = schema(*kind);
        let shared = schema["$defs"].take();
        for (name, shared) in shared.as_object().into_iter().flatten() {
            schemas.insert(name.clone(), moved(shared.clone()));
        }
        for gone in ["$defs", "$schema"] {
            schema.as_object_mut().map(|fields| fields.remove(gone));
        }
        schemas.insert(format!("message_{kind}"), moved(schema));
    }
    let kinds = Kind::ALL.iter().map(|kind| json!({"$ref": format!("#/components/schemas/message_{kind}")}));
    schemas.insert("Message".to_owned(), json!({"oneOf": kinds.collect::<Vec<_>>()}));
    schemas.insert("Messages".to_owned(), json!({"type": "array", "items": reference("Message")}));
    schemas.insert("Sent".to_owned(), json!({"oneOf": [reference("Message"), reference("Messages")]}));
    own(&mut schemas);
    schemas.into()
}

fn own(schemas: &mut Map<String, Value>) {
    // A task as in messages; its id can be replaced by the key of the request, and it can have a tenant.
    let mut new = schemas.get("task").cloned().unwrap_or_default();
    new["properties"]["tenant"] = reference("name");
    new["required"] = json!(["kind"]);
    schemas.insert("NewTask".to_owned(), new);
    let text = json!({"type": "string"});
    let status = schemas["message_status"]["properties"]["body"]["properties"]["status"].clone();
    schemas.insert("Task".to_owned(), status);
    let more = json!({
        "NewRun": {
            "type": "object", "required": ["workflow"], "additionalProperties": false,
            "properties": {
                "id": text, "workflow": text, "version": {"type": "integer", "minimum": 0}, "input": {},
                "tier": reference("tier"), "business_key": text, "tenant": text,
            },
        },
        "Run": {
            "type": "object", "required": ["id", "workflow", "version", "phase", "nodes"],
            "properties": {
                "id": text, "workflow": text, "version": {"type": "integer"},
                "business_key": {"type": ["string", "null"]},
                "phase": {"enum": ["running", "failing", "compensating", "compensation_failed", "finished"]},
                "outcome": {"type": ["object", "null"]},
                "waits_for": {"type": "array", "items": text},
                "nodes": {"type": "array", "items": {
                    "type": "object", "properties": {"name": text, "status": text}, "required": ["name", "status"],
                }},
            },
        },
        "Agent": {
            "type": "object", "required": ["id", "incarnation", "status", "capacity", "in_flight"],
            "properties": {
                "id": text, "incarnation": text, "name": {"type": ["string", "null"]}, "skills": reference("skills"),
                "labels": {"type": "object"}, "status": {"enum": ["online", "draining", "offline"]},
                "capacity": reference("count"), "in_flight": reference("count"),
            },
        },
        "Accepted": {"type": "object", "required": ["accepted"], "properties": {"accepted": {}}},
        "Problem": {
            "type": "object", "required": ["title", "status", "code", "detail"],
            "properties": {
                "title": text, "status": {"type": "integer"}, "code": text, "detail": text,
                "faults": {"type": "array", "items": text},
            },
        },
    });
    schemas.extend(more.as_object().cloned().unwrap_or_default());
    schemas.extend(of_operators().as_object().cloned().unwrap_or_default());
}

/// An object with these fields, of which some are required.
fn object(required: &[&str], properties: &Value) -> Value {
    json!({"type": "object", "required": required, "properties": properties, "additionalProperties": false})
}

/// An object with exactly one of these fields.
fn choice(options: &[(&str, Value)]) -> Value {
    let options = options.iter().map(|(name, of)| object(&[name], &json!({*name: of})));
    json!({"oneOf": options.collect::<Vec<_>>()})
}

fn of_operators() -> Value {
    let text = json!({"type": "string"});
    let (name, texts) = (reference("name"), json!({"type": "array", "items": text}));
    let noted = object(&["note"], &json!({"note": name}));
    let reasoned = object(&["reason"], &json!({"reason": name}));
    json!({
        "Decision": object(&["node", "option"], &json!({"node": name, "option": name, "note": {}})),
        "RunOperation": choice(&[
            ("pause", reasoned),
            ("resume", object(&[], &json!({}))),
            ("retry", object(&["reason"], &json!({"node": name, "reason": name}))),
            ("skip", object(&["node", "reason"], &json!({"node": name, "reason": name}))),
            ("complete", object(&["node", "output", "reason"], &json!({"node": name, "output": {}, "reason": name}))),
        ]),
        "ScheduleOperation": choice(&[
            ("pause", noted.clone()),
            ("resume", noted),
            ("trigger", object(&["request"], &json!({"request": name}))),
        ]),
        "ScheduleSpec": {
            "type": "object", "required": ["id", "workflow", "timing"],
            "properties": {
                "id": name, "workflow": name, "version": {"type": "integer", "minimum": 0}, "input": {},
                "nominal_time_as": name, "tier": reference("tier"), "tenant": name, "business_key": name,
                "timing": {
                    "type": "object", "required": ["rules"],
                    "properties": {"rules": {"type": "array", "minItems": 1, "maxItems": 16}, "zone": text},
                },
                "policy": {"type": "object"}, "paused": name,
            },
            "additionalProperties": false,
        },
        "Schedule": {
            "type": "object", "required": ["id", "spec", "next", "active", "recent", "fired", "skipped", "missed"],
            "properties": {
                "id": text, "spec": reference("ScheduleSpec"), "paused": {"type": ["string", "null"]},
                "next": texts, "active": texts, "recent": texts,
                "fired": {"type": "integer"}, "skipped": {"type": "integer"}, "missed": {"type": "integer"},
            },
        },
        "Schedules": object(&["schedules"], &json!({"schedules": {"type": "array", "items": reference("Schedule")}})),
        "DeadLetters": object(&["dead_letters", "next"], &json!({
            "dead_letters": {"type": "array", "items": {
                "type": "object", "required": ["id", "kind", "attempts", "failure"],
                "properties": {"id": text, "kind": text, "tenant": {"type": ["string", "null"]},
                    "attempts": {"type": "integer"}, "failure": {}},
            }},
            "next": {"type": ["string", "null"]},
        })),
        "Replayed": object(&["task"], &json!({"task": text})),
    })
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The same schema with its references pointing to the shared schemas of OpenAPI.
fn moved(schema: Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let moved = fields.into_iter().map(|(name, value)| match (&*name, value) {
                ("$ref", Value::String(to)) => (name, to.replace("#/$defs/", "#/components/schemas/").into()),
                (_, value) => (name, moved(value)),
            });
            Value::Object(moved.collect())
        }
        Value::Array(items) => items.into_iter().map(moved).collect(),
        other => other,
    }
}
