//! A language model as an agent: its settings in the file, and its attempts.

use super::cache::{Slot, Work};
use super::mcp::{self, Server};
use super::plan::{CachePlan, Stdout};
use super::reader::{Fields, Reader, kind_of, merged};
use super::template::{Subject, Template};
use super::{Surroundings, failure};
use counterpoint::host::future::Assignment;
use counterpoint::{Failure, Payload};
use counterpoint_models::{Api, Endpoint, Limits, ModelAgent, Price};
use serde_json::Value;
use std::ffi::OsString;
use std::time::Duration;

const MODEL: &[&str] = &[
    "url",
    "api",
    "name",
    "key",
    "headers",
    "system",
    "prompt",
    "output",
    "corrections",
    "max_tokens",
    "temperature",
    "timeout",
    "idle",
    "price",
    "stream",
    "response_format",
    "tools",
];
/// The fields of an element of `tools`, besides those of a server.
const ONLY: &str = "only";
const PRICE: &[&str] = &["input", "output"];

/// A model behind an endpoint.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) url: Template,
    pub(crate) name: Template,
    pub(crate) key: Option<Template>,
    pub(crate) headers: Vec<(String, Template)>,
    system: Option<Template>,
    /// Without one, the input is the prompt.
    prompt: Option<Template>,
    api: Api,
    output: Output,
    limits: Limits,
    price: Price,
    temperature: Option<f64>,
    stream: bool,
    response_format: bool,
    cache: Option<CachePlan>,
    tools: Vec<Tools>,
}

/// Tools of a server that the model may call.
#[derive(Debug)]
struct Tools {
    server: Server,
    /// The names of those that are offered; without a list, all.
    only: Option<Vec<String>>,
}

/// What the output of a task is.
#[derive(Debug)]
enum Output {
    Text,
    Json,
    Schema(Value),
}

impl Model {
    /// All texts with references.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &Template> {
        let optional = [&self.key, &self.system, &self.prompt];
        let headers = self.headers.iter().map(|(_, value)| value);
        let tools = self.tools.iter().flat_map(|tools| tools.server.templates());
        [&self.url, &self.name].into_iter().chain(optional.into_iter().flatten()).chain(headers).chain(tools)
    }
}

/// Performs an attempt. The parts of the text are emitted to the subscribers of the task.
pub(crate) async fn perform(
    plan: &Model,
    subject: &Subject<'_>,
    around: &Surroundings,
    assignment: &Assignment,
) -> Result<Payload, Failure> {
    let bad = |text: String| failure(Failure::permanent(format!("model: {text}")), "template");
    let render = |template: &Template| template.render(subject).map_err(bad);
    let system = plan.system.as_ref().map(render).transpose()?.unwrap_or_default();
    let prompt = match (&plan.prompt, subject.input) {
        (Some(template), _) => render(template)?,
        (None, Value::String(text)) => text.clone(),
        (None, other) => other.to_string(),
    };
    let slot = plan.cache.as_ref().map(|cached| slot(plan, cached, subject, &system, &prompt, around)).transpose()?;
    if let Some(output) = slot.as_ref().and_then(Slot::result) {
        return Ok(Payload::new(output));
    }
    let invalid = |error: counterpoint_models::Invalid| bad(error.to_string());
    let mut endpoint = Endpoint::new(plan.api, &render(&plan.url)?).map_err(invalid)?;
    if let Some(key) = &plan.key {
        endpoint = endpoint.with_key(&render(key)?).map_err(invalid)?;
    }
    for (name, value) in &plan.headers {
        endpoint = endpoint.with_header(name, &render(value)?).map_err(invalid)?;
    }
    let mut agent = agent(plan, endpoint, render(&plan.name)?).map_err(invalid)?.with_client(around.client.clone());
    let offered = async {
        let mut offered = Vec::new();
        for tools in &plan.tools {
            let server = tools.server.prepare(subject).map_err(bad)?;
            offered.extend(mcp::tools(&server, tools.only.as_deref(), around).await?);
        }
        Ok::<_, Failure>(offered)
    };
    let offered = tokio::select! {
        offered = offered => offered?,
        _ = assignment.attempt.cancelled() => return Err(failure(Failure::transient("the attempt was cancelled"), "cancelled")),
    };
    for (index, tool) in offered.iter().enumerate() {
        if offered.iter().take(index).any(|other| other.name() == tool.name()) {
            return Err(bad(format!("two tools have the name `{}`; `only` selects those of a server", tool.name())));
        }
        agent = agent.with_tool(tool.clone());
    }
    let output = agent.answer(&system, prompt, &assignment.attempt).await?;
    if let Some(slot) = slot {
        slot.keep(output.value());
    }
    Ok(output)
}

fn agent(plan: &Model, endpoint: Endpoint, name: String) -> Result<ModelAgent, counterpoint_models::Invalid> {
    let mut agent = ModelAgent::new(endpoint, name).with_limits(plan.limits).with_price(plan.price);
    if let Some(temperature) = plan.temperature {
        agent = agent.with_temperature(temperature);
    }
    if !plan.stream {
        agent = agent.without_streaming();
    }
    if !plan.response_format {
        agent = agent.without_response_format();
    }
    match &plan.output {
        Output::Text => Ok(agent),
        Output::Json => Ok(agent.with_json()),
        Output::Schema(schema) => agent.with_schema(schema.clone()),
    }
}

/// The place of a cached answer: of the same model, prompts and form.
fn slot(
    plan: &Model,
    cached: &CachePlan,
    subject: &Subject<'_>,
    system: &str,
    prompt: &str,
    around: &Surroundings,
) -> Result<Slot, Failure> {
    let form = format!("{:?} {:?} {:?} {:?}", plan.api, plan.output, plan.temperature, plan.limits.tokens);
    // Values of the environment, such as the key, are no part of what an answer depends on.
    let program: Vec<OsString> = ["model", &plan.url.shown(subject), &plan.name.shown(subject), &form, system]
        .into_iter()
        .map(OsString::from)
        .collect();
    let stdin = prompt.as_bytes();
    let work =
        Work { folder: &around.folder, program: &program, environment: &[], stdin, reading: (Stdout::Json, false) };
    Slot::of(cached, subject, &work, &around.cache)
}

impl Reader<'_> {
    /// The model of a method. Settings that it does not have are those of the agent.
    pub(super) fn model(&mut self, of: Fields<'_>, agent: Option<Fields<'_>>) -> Option<Model> {
        let path = of.at("model");
        let merged = merged(of.map.get("model")?, agent.and_then(|agent| agent.map.get("model")));
        let fields = self.object(&merged, &path, MODEL)?;
        for name in ["url", "name"].into_iter().filter(|name| !fields.has(name)) {
            self.add(fields.path, format!("`{name}` is missing"));
        }
        let key = self.template(fields, "key");
        if key.as_ref().is_some_and(|key| key.variables().next().is_none()) {
            self.add(
                fields.at("key"),
                "expected a variable of the environment, such as `${env.OPENAI_API_KEY}`: a key in a file is no secret",
            );
        }
        let apis = [("openai", Api::OpenAi), ("anthropic", Api::Anthropic)];
        let model = Model {
            key,
            api: self.word(fields, "api", &apis).unwrap_or(Api::OpenAi),
            headers: self.templates_by_name(fields, "headers"),
            system: self.template(fields, "system"),
            prompt: self.template(fields, "prompt"),
            output: self.output(fields),
            limits: self.limits(fields),
            price: self.price(fields),
            temperature: self.decimal(fields, "temperature", 2.0),
            stream: self.flag(fields, "stream").unwrap_or(true),
            response_format: self.flag(fields, "response_format").unwrap_or(true),
            cache: self.cache(of),
            tools: self.tools(fields),
            url: self.address(fields, "url")?,
            name: self.template(fields, "name")?,
        };
        if model.cache.is_some() && !model.tools.is_empty() {
            self.add(of.at("cache"), "an answer with tools is not the same each time: it is not cached");
        }
        Some(model)
    }

    /// The servers whose tools the model may call.
    fn tools(&mut self, of: Fields<'_>) -> Vec<Tools> {
        let servers = match of.map.get("tools") {
            None => return Vec::new(),
            Some(Value::Array(servers)) => servers,
            Some(other) => {
                self.add(of.at("tools"), format!("expected a list of MCP servers, found {}", kind_of(other)));
                return Vec::new();
            }
        };
        let known: Vec<&str> = mcp::SERVER.iter().copied().chain([ONLY]).collect();
        let mut found = Vec::new();
        for (index, value) in servers.iter().enumerate() {
            let path = format!("{}[{index}]", of.at("tools"));
            let Some(fields) = self.object(value, &path, &known) else { continue };
            let only = fields.has(ONLY).then(|| self.templates(fields, ONLY));
            let only = only.map(|names| names.iter().map(ToString::to_string).collect());
            found.extend(self.server(fields).map(|server| Tools { server, only }));
        }
        found
    }

    fn output(&mut self, of: Fields<'_>) -> Output {
        match of.map.get("output") {
            Some(Value::Object(_)) => {
                let schema = of.map.get("output").cloned().unwrap_or_default();
                // The endpoint is of no importance here.
                let probe = Endpoint::openai("http://localhost").map(|endpoint| ModelAgent::new(endpoint, ""));
                if let Err(error) = probe.and_then(|agent| agent.with_schema(schema.clone())) {
                    self.add(of.at("output"), error.to_string());
                }
                Output::Schema(schema)
            }
            None => Output::Text,
            Some(value @ Value::String(_)) => match value.as_str() {
                Some("text") => Output::Text,
                Some("json") => Output::Json,
                _ => {
                    self.add(of.at("output"), "expected text, json, or a JSON Schema");
                    Output::Text
                }
            },
            Some(other) => {
                self.add(of.at("output"), format!("expected text, json, or a JSON Schema, found {}", kind_of(other)));
                Output::Text
            }
        }
    }

    fn limits(&mut self, of: Fields<'_>) -> Limits {
        let mut limits = Limits::default();
        let least = Duration::from_millis(1);
        limits.time = self.duration(of, "timeout").unwrap_or(limits.time).max(least);
        limits.idle = self.duration(of, "idle").unwrap_or(limits.idle).max(least);
        let small =
            |number: Option<u64>, otherwise: u32| number.map_or(otherwise, |n| u32::try_from(n).unwrap_or(otherwise));
        limits.tokens = small(self.number(of, "max_tokens", 1, 10_000_000), limits.tokens);
        limits.corrections = small(self.number(of, "corrections", 0, 10), limits.corrections);
        limits
    }

    /// Prices of a million of tokens, in the currency unit.
    fn price(&mut self, of: Fields<'_>) -> Price {
        let path = of.at("price");
        let Some(fields) = of.map.get("price").and_then(|value| self.object(value, &path, PRICE)) else {
            return Price::default();
        };
        let mut price = |name: &str| {
            let units = self.decimal(fields, name, 1_000_000.0).unwrap_or_default();
            // Within 10^12, which a number of this form represents exactly.
            (units * 1e6).round() as u64
        };
        Price { input: price("input"), output: price("output") }
    }
}
