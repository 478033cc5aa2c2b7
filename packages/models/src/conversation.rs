//! What is sent to a model, and what it answers.

use crate::tool::Tool;
use serde_json::Value;

/// One request: a conversation so far.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) model: &'a str,
    pub(crate) system: &'a str,
    pub(crate) turns: &'a [Turn],
    pub(crate) tools: &'a [Tool],
    pub(crate) schema: Option<&'a Value>,
    /// Whether the endpoint is asked for JSON by a field of its API.
    pub(crate) json: bool,
    pub(crate) max_tokens: u32,
    pub(crate) temperature: Option<f64>,
    pub(crate) stream: bool,
}

/// A part of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Turn {
    /// The prompt, or a request for a correction.
    User(String),
    /// What the model answered.
    Assistant { text: String, calls: Vec<Call> },
    /// What its tools returned, one for each call.
    Results(Vec<Returned>),
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    /// The arguments as JSON, as the model wrote them.
    pub(crate) arguments: String,
}

/// The result of a call of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Returned {
    pub(crate) id: String,
    pub(crate) result: Result<String, String>,
}

/// An answer, as far as it has arrived.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) calls: Vec<Call>,
    /// Tokens as reported.
    pub(crate) input: Option<u64>,
    pub(crate) output: Option<u64>,
    pub(crate) stop: Option<Stop>,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It is complete.
    End,
    /// The model waits for its tools.
    Tools,
    /// It reached the largest number of tokens.
    Length,
    /// It was refused.
    Refused,
}

/// What an event of a stream means for an answer.
#[derive(Debug, PartialEq)]
pub(crate) enum Folded {
    /// A part of the text was added from this place on.
    Text(usize),
    /// Anything else was added, or nothing.
    Other,
    /// The stream is complete.
    Done,
    /// The endpoint reports an error.
    Error(Value),
}

/// The most calls of tools in one answer.
pub(crate) const MOST_CALLS: usize = 64;

impl Turn {
    /// The size of the texts.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::User(text) => text.len(),
            Self::Assistant { text, calls } => {
                text.len() + calls.iter().map(|call| call.name.len() + call.arguments.len()).sum::<usize>()
            }
            Self::Results(results) => {
                results.iter().map(|returned| returned.result.as_ref().map_or_else(String::len, String::len)).sum()
            }
        }
    }
}

impl Answer {
    /// The call at a place, which is added if it is the next one.
    pub(crate) fn call_at(&mut self, index: usize) -> Option<&mut Call> {
        if index == self.calls.len() && index < MOST_CALLS {
            self.calls.push(Call::default());
        }
        self.calls.get_mut(index)
    }

    pub(crate) fn add_text(&mut self, part: &str) -> Folded {
        let from = self.text.len();
        self.text.push_str(part);
        if part.is_empty() { Folded::Other } else { Folded::Text(from) }
    }

    /// Tokens of the request and of the answer. What is not reported, as in a stream that was cut, is estimated at a token for
    /// four bytes, so that a budget ends the work in any case.
    pub(crate) fn tokens(&self, sent: usize) -> (u64, u64) {
        let estimate = |bytes: usize| u64::try_from(bytes.div_ceil(4)).unwrap_or(u64::MAX);
        let calls: usize = self.calls.iter().map(|call| call.name.len() + call.arguments.len()).sum();
        let answered = || estimate(self.text.len() + calls);
        (self.input.unwrap_or_else(|| estimate(sent)), self.output.unwrap_or_else(answered))
    }
}
