//! Tools of servers of the Model Context Protocol, as agents and for language models.

mod bounded;
mod connection;
mod server;
mod web;

pub(crate) use server::{Prepared, Server, Servers};

use super::plan::{Exit, MOST_OUTPUT};
use super::reader::{Fields, Reader, kind_of, merged};
use super::template::{Subject, Template};
use super::{Surroundings, command::of_kind, failure};
use connection::{BEGIN, Connection};
use counterpoint::host::future::Assignment;
use counterpoint::{Failure, FailureKind, Payload};
use counterpoint_models::Tool;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The fields of a server.
pub(super) const SERVER: &[&str] = &["command", "folder", "environment", "clean_environment", "url", "headers"];
const TOOL: &[&str] = &["tool", "arguments", "output", "timeout", "error"];

/// A tool of a server.
#[derive(Debug)]
pub(crate) struct Mcp {
    pub(crate) server: Server,
    pub(crate) tool: Template,
    arguments: Option<Shape>,
    output: Output,
    timeout: Duration,
    /// What an error that a tool reports means.
    error: Exit,
}

/// What of the result of a tool is the output of the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    /// The structured content, else the text, else the content as it is.
    Auto,
    Text,
    Json,
    Content,
}

/// Arguments with references.
#[derive(Debug)]
enum Shape {
    Plain(Value),
    Text(Template),
    List(Vec<Shape>),
    Fields(Vec<(String, Shape)>),
}

impl Shape {
    fn render(&self, of: &Subject<'_>) -> Result<Value, String> {
        match self {
            Self::Plain(value) => Ok(value.clone()),
            Self::Text(template) => template.render_value(of),
            Self::List(items) => items.iter().map(|item| item.render(of)).collect(),
            Self::Fields(fields) => {
                let pairs = fields.iter().map(|(name, shape)| Ok((name.clone(), shape.render(of)?)));
                pairs.collect::<Result<Map<String, Value>, String>>().map(Value::Object)
            }
        }
    }

    fn templates<'s>(&'s self, into: &mut Vec<&'s Template>) {
        match self {
            Self::Plain(_) => {}
            Self::Text(template) => into.push(template),
            Self::List(items) => items.iter().for_each(|item| item.templates(into)),
            Self::Fields(fields) => fields.iter().for_each(|(_, shape)| shape.templates(into)),
        }
    }
}

impl Mcp {
    /// All texts with references.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &Template> {
        let mut all = self.server.templates();
        all.push(&self.tool);
        if let Some(arguments) = &self.arguments {
            arguments.templates(&mut all);
        }
        all.into_iter()
    }
}

/// Performs an attempt: one call of the tool. A server is started, or connected to, by the first call, and shared by all
/// later ones.
pub(crate) async fn perform(
    plan: &Mcp,
    subject: &Subject<'_>,
    around: &Arc<Surroundings>,
    assignment: &Assignment,
) -> Result<Payload, Failure> {
    let bad = |text: String| failure(Failure::permanent(format!("mcp: {text}")), "template");
    let tool = plan.tool.render(subject).map_err(bad)?;
    let arguments = match &plan.arguments {
        Some(shape) => shape.render(subject).map_err(bad)?,
        None => subject.input.clone(),
    };
    let arguments = match arguments {
        Value::Object(fields) => Some(fields),
        Value::Null => None,
        other => return Err(bad(format!("arguments are an object, found {}", kind_of(&other)))),
    };
    let server = plan.server.prepare(subject).map_err(bad)?;
    let calling = async {
        let connection = around.servers.connect(&server, around).await?;
        connection.call(tool, arguments).await
    };
    let ended = tokio::select! {
        ended = calling => ended,
        // The request is given up, which the server is told.
        _ = assignment.attempt.cancelled() => {
            return Err(failure(Failure::unknown("the call was given up: its task was cancelled"), "cancelled"));
        }
        () = sleep(plan.timeout) => {
            // A server that does not answer is not used again.
            around.servers.forget(&server);
            let limit = humantime::format_duration(plan.timeout);
            Err(failure(Failure::unknown(format!("the tool gave no result within {limit}")), "time-limit"))
        }
    };
    if ended.is_err() && around.guard.is_stopping() {
        // This process was asked to end, and has ended the server. That is no failure of the task.
        std::future::pending::<()>().await;
    }
    output(plan, ended?)
}

/// The tools of a server, for a language model. A name that models may not use, such as one with a dot, is refused.
pub(super) async fn tools(
    server: &Prepared,
    only: Option<&[String]>,
    around: &Surroundings,
) -> Result<Vec<Tool>, Failure> {
    let begin = timeout(BEGIN, async {
        let connection = around.servers.connect(server, around).await?;
        let tools = connection.tools().await?;
        Ok::<_, Failure>((connection, tools))
    });
    let Ok(begun) = begin.await else {
        around.servers.forget(server);
        return Err(failure(Failure::transient("the MCP server did not list its tools in time"), "time-limit"));
    };
    let (connection, known) = begun?;
    let invalid = |text: String| failure(Failure::permanent(format!("mcp: {text}")), "tools");
    if let Some(missing) = only.into_iter().flatten().find(|name| known.iter().all(|tool| tool.name != name.as_str())) {
        return Err(invalid(format!("the server has no tool `{missing}`")));
    }
    let mut found = Vec::new();
    for tool in known {
        let name = tool.name.to_string();
        if only.is_some_and(|only| !only.contains(&name)) {
            continue;
        }
        let usable = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
        if name.is_empty() || name.len() > 64 || !name.chars().all(usable) {
            let shown: String = name.chars().take(80).collect();
            return Err(invalid(format!(
                "models cannot call a tool with the name `{shown}`; select others with `only`"
            )));
        }
        let (connection, called) = (Arc::clone(&connection), name.clone());
        let call = move |arguments: Value| call(Arc::clone(&connection), called.clone(), arguments);
        let description = tool.description.unwrap_or_default().into_owned();
        found.push(Tool::new(name, description, Value::Object((*tool.input_schema).clone()), call));
    }
    Ok(found)
}

/// The result of a tool as a model reads it.
async fn call(connection: Arc<Connection>, tool: String, arguments: Value) -> Result<String, String> {
    let Value::Object(arguments) = arguments else { return Err("the arguments are not an object".to_owned()) };
    match connection.call(tool, Some(arguments)).await {
        Err(failure) => Err(failure.message.into()),
        Ok(result) => {
            let text = text_of(&result).unwrap_or_else(|| content_of(&result));
            if is_error(&result) { Err(text) } else { Ok(text) }
        }
    }
}

/// The text of the content: of all its text blocks, each on a line of its own.
pub(super) fn text_of(result: &Value) -> Option<String> {
    let blocks = result.get("content")?.as_array()?;
    let texts: Option<Vec<&str>> = blocks.iter().map(|block| block.get("text")?.as_str()).collect();
    texts.map(|texts| texts.join("\n"))
}

fn content_of(result: &Value) -> String {
    result.get("content").unwrap_or(&Value::Null).to_string()
}

fn is_error(result: &Value) -> bool {
    result.get("isError").is_some_and(|flag| flag == true)
}

fn output(plan: &Mcp, result: Value) -> Result<Payload, Failure> {
    if is_error(&result) {
        let shown = text_of(&result).unwrap_or_else(|| content_of(&result));
        let text = format!("the tool reports an error: {}", shown.chars().take(400).collect::<String>());
        return Err(of_kind(&plan.error, text, "tool-error"));
    }
    let invalid = |text: &str| failure(Failure::permanent(text), "invalid-output");
    let no_text = || invalid("the result has content that is not text");
    let structured = result.get("structuredContent").filter(|value| !value.is_null()).cloned();
    let value = match plan.output {
        Output::Content => result.get("content").cloned().unwrap_or_default(),
        Output::Text => Value::from(text_of(&result).ok_or_else(no_text)?),
        Output::Json => match structured {
            Some(value) => value,
            None => serde_json::from_str(&text_of(&result).ok_or_else(no_text)?)
                .map_err(|error| invalid(&format!("the text of the result is not JSON: {error}")))?,
        },
        Output::Auto => structured
            .or_else(|| text_of(&result).map(Value::from))
            .unwrap_or_else(|| result.get("content").cloned().unwrap_or_default()),
    };
    let size = value.to_string().len() as u64;
    if size > MOST_OUTPUT {
        let text = format!("the result has {size} bytes, and an output at most {MOST_OUTPUT}");
        return Err(failure(Failure::permanent(text), "output-too-long"));
    }
    Ok(Payload::new(value))
}

impl Reader<'_> {
    /// The tool of a method. Settings that it does not have are those of the agent.
    pub(super) fn mcp(&mut self, of: Fields<'_>, agent: Option<Fields<'_>>) -> Option<Mcp> {
        let path = of.at("mcp");
        let merged = merged(of.map.get("mcp")?, agent.and_then(|agent| agent.map.get("mcp")));
        let known: Vec<&str> = SERVER.iter().chain(TOOL).copied().collect();
        let fields = self.object(&merged, &path, &known)?;
        if !fields.has("tool") {
            self.add(fields.path, "`tool` is missing");
        }
        let outputs =
            [("auto", Output::Auto), ("text", Output::Text), ("json", Output::Json), ("content", Output::Content)];
        let arguments = fields.map.get("arguments").and_then(|value| {
            let shape = self.shape(value, fields.at("arguments"));
            if !matches!(value, Value::Object(_) | Value::Null) && !matches!(shape, Some(Shape::Text(_))) {
                self.add(fields.at("arguments"), format!("expected an object, found {}", kind_of(value)));
            }
            shape
        });
        let at = fields.at("error");
        let error = fields.map.get("error").and_then(|value| self.exit(value, &at));
        let output = self.word(fields, "output", &outputs).unwrap_or(Output::Auto);
        let timeout = self.duration(fields, "timeout").unwrap_or(Duration::from_secs(60));
        let tool = self.template(fields, "tool");
        let server = self.server(fields)?;
        let transient = Exit { kind: FailureKind::Transient, code: None, retry_after: None };
        Some(Mcp { server, tool: tool?, arguments, output, timeout, error: error.unwrap_or(transient) })
    }

    fn shape(&mut self, value: &Value, path: String) -> Option<Shape> {
        Some(match value {
            Value::String(text) => Shape::Text(self.parsed(text, path)?),
            Value::Array(items) => {
                let items = items.iter().enumerate();
                Shape::List(items.filter_map(|(index, item)| self.shape(item, format!("{path}[{index}]"))).collect())
            }
            Value::Object(fields) => {
                let mut found = Vec::new();
                for (name, value) in fields {
                    found.extend(self.shape(value, format!("{path}.{name}")).map(|shape| (name.clone(), shape)));
                }
                Shape::Fields(found)
            }
            other => Shape::Plain(other.clone()),
        })
    }
}
