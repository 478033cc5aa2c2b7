//! The agent.

use crate::codes;
use crate::conversation::{Answer, Call, Request, Returned, Stop, Turn};
use crate::endpoint::{Endpoint, Invalid};
use crate::exchange::{Bounds, exchange};
use crate::schema::Form;
use crate::tool::Tool;
use core::fmt;
use core::time::Duration;
use counterpoint::host::future::{Assignment, AsyncAgent};
use counterpoint::task::Usage;
use counterpoint::workflow::Attempt;
use counterpoint::{Failure, FailureKind, Payload};
use counterpoint_serving::Client;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::time::timeout;

/// The bounds of the work for an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest time of all requests and tool calls together; 5 minutes by default.
    pub time: Duration,
    /// The longest time in which the endpoint sends nothing; 1 minute by default.
    pub idle: Duration,
    /// The most tokens of an answer, as the endpoint counts them; 4,096 by default.
    pub tokens: u32,
    /// The most bytes of an answer in the form of the API; 16 MiB by default.
    pub bytes: usize,
    /// How often an answer is corrected that does not fit its schema; once by default.
    pub corrections: u32,
    /// The most rounds of tool calls; 8 by default.
    pub rounds: u32,
    /// The most bytes of a result of a tool that the model gets; 64 KiB by default. A longer one is cut.
    pub result: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(300),
            idle: Duration::from_secs(60),
            tokens: 4_096,
            bytes: 16 << 20,
            corrections: 1,
            rounds: 8,
            result: 64 << 10,
        }
    }
}

/// What tokens cost, in millionths of the host's currency unit for a million of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Price {
    /// Tokens of requests.
    pub input: u64,
    /// Tokens of answers.
    pub output: u64,
}

impl Price {
    /// The usage for tokens of a request and its answer. Parts of a millionth are rounded up.
    ///
    /// ```
    /// use counterpoint_models::Price;
    ///
    /// // 0.15 and 0.60 of the currency unit for a million of tokens.
    /// let usage = Price { input: 150_000, output: 600_000 }.usage(2_000, 100);
    /// assert_eq!((usage.tokens, usage.cost), (2_100, 360));
    /// ```
    #[must_use]
    pub fn usage(self, input: u64, output: u64) -> Usage {
        let cost = u128::from(input) * u128::from(self.input) + u128::from(output) * u128::from(self.output);
        let cost = u64::try_from(cost.div_ceil(1_000_000)).unwrap_or(u64::MAX);
        Usage::default().with_tokens(input.saturating_add(output)).with_cost(cost)
    }
}

type Prompt = dyn Fn(&Value) -> Result<String, String> + Send + Sync;

/// A language model as an agent.
///
/// The crate documentation has an example. An attempt that is cancelled closes its connection.
#[derive(Clone)]
pub struct ModelAgent {
    client: Client,
    endpoint: Endpoint,
    model: Box<str>,
    system: Box<str>,
    prompt: Arc<Prompt>,
    form: Form,
    tools: Vec<Tool>,
    limits: Limits,
    price: Price,
    temperature: Option<f64>,
    stream: bool,
    json_field: bool,
}

impl ModelAgent {
    /// An agent that sends the input of a task as the prompt, a text as it is and other values as JSON, and returns the answer
    /// as a text.
    #[must_use]
    pub fn new(endpoint: Endpoint, model: impl Into<String>) -> Self {
        Self {
            client: Client::new(),
            endpoint,
            model: model.into().into_boxed_str(),
            system: Box::default(),
            prompt: Arc::new(|input| {
                Ok(match input {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                })
            }),
            form: Form::Text,
            tools: Vec::new(),
            limits: Limits::default(),
            price: Price::default(),
            temperature: None,
            stream: true,
            json_field: true,
        }
    }

    /// Sets the client, so that agents share connections.
    #[must_use]
    pub fn with_client(mut self, client: Client) -> Self {
        self.client = client;
        self
    }

    /// Sets the system prompt.
    #[must_use]
    pub fn with_system(mut self, system: impl Into<String>) -> Self {
        self.system = system.into().into_boxed_str();
        self
    }

    /// Sets how a prompt is made of the input of a task. An error is a permanent failure.
    #[must_use]
    pub fn with_prompt<F>(mut self, prompt: F) -> Self
    where
        F: Fn(&Value) -> Result<String, String> + Send + Sync + 'static,
    {
        self.prompt = Arc::new(prompt);
        self
    }

    /// Asks for any JSON value, which is the output.
    #[must_use]
    pub fn with_json(mut self) -> Self {
        self.form = Form::Json;
        self
    }

    /// Asks for a JSON value that is valid under a JSON Schema, which is the output.
    ///
    /// # Errors
    ///
    /// When the schema is invalid.
    pub fn with_schema(mut self, schema: Value) -> Result<Self, Invalid> {
        self.form = Form::of(schema)?;
        Ok(self)
    }

    /// Adds a tool.
    #[must_use]
    pub fn with_tool(mut self, tool: Tool) -> Self {
        self.tools.push(tool);
        self
    }

    /// Sets the limits.
    #[must_use]
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets what tokens cost, for budgets of costs.
    #[must_use]
    pub const fn with_price(mut self, price: Price) -> Self {
        self.price = price;
        self
    }

    /// Sets the temperature; without one, the endpoint chooses it.
    #[must_use]
    pub const fn with_temperature(mut self, temperature: f64) -> Self {
        self.temperature = Some(temperature);
        self
    }

    /// Requests answers as a whole, for endpoints that cannot stream them.
    #[must_use]
    pub const fn without_streaming(mut self) -> Self {
        self.stream = false;
        self
    }

    /// Asks for JSON only in the system prompt, for endpoints that reject the field `response_format`.
    #[must_use]
    pub const fn without_response_format(mut self) -> Self {
        self.json_field = false;
        self
    }

    /// Answers a prompt within an attempt: parts of the text are emitted to its subscribers, and its usage counts each
    /// request.
    ///
    /// # Errors
    ///
    /// A failure with one of the [codes].
    pub async fn answer(&self, system: &str, prompt: String, attempt: &Attempt) -> Result<Payload, Failure> {
        let mut conversation = Conversation { agent: self, attempt, turns: vec![Turn::User(prompt)], acted: false };
        let system = match self.form.instruction() {
            Some(instruction) if system.is_empty() => instruction,
            Some(instruction) => format!("{system}\n\n{instruction}"),
            None => system.to_owned(),
        };
        let ended = tokio::select! {
            ended = timeout(self.limits.time, conversation.hold(&system)) => ended,
            _ = attempt.cancelled() => Ok(Err(Failure::transient("the attempt was cancelled").with_code(codes::CANCELLED))),
        };
        let limit = humantime::format_duration(self.limits.time);
        let late =
            |_| Failure::transient(format!("the conversation did not end within {limit}")).with_code(codes::TIME_LIMIT);
        let result = ended.unwrap_or_else(|elapsed| Err(late(elapsed)));
        result.map_err(|failure| if conversation.acted { of_unknown_outcome(failure) } else { failure })
    }
}

/// After a tool was called, nothing that would be tried again is free of side effects.
fn of_unknown_outcome(failure: Failure) -> Failure {
    if failure.kind != FailureKind::Transient {
        return failure;
    }
    let text = format!("{}; tools were called before", failure.message);
    let made = Failure::unknown(text).with_details(failure.details().clone());
    match failure.code {
        Some(code) => made.with_code(code),
        None => made,
    }
}

impl AsyncAgent for ModelAgent {
    async fn perform(&self, assignment: Assignment) -> Result<Payload, Failure> {
        let prompt = (self.prompt)(assignment.task.payload.value());
        let prompt = prompt.map_err(|text| {
            Failure::permanent(format!("the prompt cannot be made of the input: {text}")).with_code(codes::PROMPT)
        })?;
        self.answer(&self.system, prompt, &assignment.attempt).await
    }
}

/// The conversation of an attempt.
struct Conversation<'a> {
    agent: &'a ModelAgent,
    attempt: &'a Attempt,
    turns: Vec<Turn>,
    /// Whether a tool was called.
    acted: bool,
}

impl Conversation<'_> {
    async fn hold(&mut self, system: &str) -> Result<Payload, Failure> {
        let limits = self.agent.limits;
        let (mut rounds, mut corrections) = (0, 0);
        loop {
            let answer = self.ask(system).await?;
            match answer.stop {
                Some(Stop::Length) => {
                    let text = format!("the answer reached {} tokens before its end", limits.tokens);
                    return Err(Failure::permanent(text).with_code(codes::LENGTH));
                }
                Some(Stop::Refused) => {
                    let shown: String = self.agent.endpoint.redact(&answer.text).chars().take(400).collect();
                    return Err(
                        Failure::permanent(format!("the answer was refused: {shown}")).with_code(codes::REFUSED)
                    );
                }
                // Some servers report an end where they call tools.
                _ if !answer.calls.is_empty() => {
                    if rounds == limits.rounds {
                        let text = format!("the model called tools in more than {rounds} rounds");
                        return Err(Failure::permanent(text).with_code(codes::TOOL_ROUNDS));
                    }
                    rounds += 1;
                    self.act(answer).await;
                }
                _ => match self.agent.form.read(&answer.text) {
                    Ok(value) => return Ok(Payload::new(value)),
                    Err(findings) if corrections == limits.corrections => return Err(unfit(&findings)),
                    Err(findings) => {
                        corrections += 1;
                        self.correct(answer, &findings);
                    }
                },
            }
        }
    }

    /// Sends the conversation so far. Its tokens count, whatever comes of it.
    async fn ask(&self, system: &str) -> Result<Answer, Failure> {
        let agent = self.agent;
        let request = Request {
            model: &agent.model,
            system,
            turns: &self.turns,
            tools: &agent.tools,
            schema: agent.form.schema(),
            json: agent.form.is_json() && agent.json_field,
            max_tokens: agent.limits.tokens,
            temperature: agent.temperature,
            stream: agent.stream,
        };
        let mut meter = Meter { agent, attempt: self.attempt, answered: 0, sent: 0, counted: false };
        let bounds = Bounds { idle: agent.limits.idle, bytes: agent.limits.bytes };
        meter.sent = request.turns.iter().map(Turn::bytes).sum::<usize>() + system.len();
        let mut heard = |text: &str| {
            meter.answered += text.len();
            // A subscriber that is gone is no reason to end the work.
            let _ = self.attempt.emit(&json!({ "text": text }));
        };
        let (sent, (answer, failure)) = exchange(&agent.client, &agent.endpoint, &request, bounds, &mut heard).await;
        meter.count(sent, &answer);
        match failure {
            None => Ok(answer),
            Some(failure) => Err(failure),
        }
    }

    /// Calls the tools of an answer, one after the other, and adds their results.
    async fn act(&mut self, answer: Answer) {
        let mut results = Vec::new();
        for call in &answer.calls {
            let _ = self.attempt.emit(&json!({ "tool": call.name }));
            self.acted = true;
            results.push(Returned { id: call.id.clone(), result: self.call(call).await });
        }
        self.turns.push(Turn::Assistant { text: answer.text, calls: answer.calls });
        self.turns.push(Turn::Results(results));
    }

    async fn call(&self, call: &Call) -> Result<String, String> {
        let Some(tool) = self.agent.tools.iter().find(|tool| *tool.name == *call.name) else {
            let known: Vec<&str> = self.agent.tools.iter().map(Tool::name).collect();
            return Err(format!("there is no tool `{}`; there are: {}", call.name, known.join(", ")));
        };
        let most = self.agent.limits.result;
        tool.call(&call.arguments).await.map(|text| shortened(text, most)).map_err(|text| shortened(text, most))
    }

    fn correct(&mut self, answer: Answer, findings: &[String]) {
        let text = format!(
            "This answer is not valid: {}. Answer again with the whole corrected JSON value and nothing else.",
            findings.join("; ")
        );
        self.turns.push(Turn::Assistant { text: answer.text, calls: Vec::new() });
        self.turns.push(Turn::User(text));
    }
}

fn unfit(findings: &[String]) -> Failure {
    let text = format!("the answer does not have the form that was asked for: {}", findings.join("; "));
    let failure = Failure::transient(text).with_code(codes::SCHEMA);
    failure.with_details(Payload::new(json!({ "findings": findings })))
}

/// A text within a number of bytes.
fn shortened(mut text: String, most: usize) -> String {
    if text.len() > most {
        let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        text.truncate(end);
        text.push_str("\n[cut]");
    }
    text
}

/// Counts the tokens of a request, also when its future is dropped because of a time limit or a cancellation.
struct Meter<'a> {
    agent: &'a ModelAgent,
    attempt: &'a Attempt,
    sent: usize,
    answered: usize,
    counted: bool,
}

impl Meter<'_> {
    fn count(&mut self, sent: usize, answer: &Answer) {
        self.counted = true;
        // A request that the endpoint rejected, or never got, cost nothing.
        if sent > 0 {
            let (input, output) = answer.tokens(self.sent);
            self.attempt.used(self.agent.price.usage(input, output));
        }
    }
}

impl Drop for Meter<'_> {
    fn drop(&mut self) {
        if !self.counted && self.answered > 0 {
            let estimate = |bytes: usize| u64::try_from(bytes.div_ceil(4)).unwrap_or(u64::MAX);
            self.attempt.used(self.agent.price.usage(estimate(self.sent), estimate(self.answered)));
        }
    }
}

impl fmt::Debug for ModelAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelAgent")
            .field("endpoint", &self.endpoint)
            .field("model", &self.model)
            .field("form", &self.form)
            .field("tools", &self.tools)
            .finish_non_exhaustive()
    }
}
