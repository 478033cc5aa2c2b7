//! Language models as agents of [Counterpoint](counterpoint).
//!
//! [`ModelAgent`] performs a task by a conversation with a chat endpoint of OpenAI's or Anthropic's form, which many servers
//! have, local ones among them. It streams the answer to subscribers, executes [tools](Tool), verifies answers that have a
//! schema and asks the model to correct them, reports tokens and costs to budgets also for attempts that fail, and maps rate
//! limits and errors to failures with codes (see [`codes`]).
//!
//! ```
//! use counterpoint_models::{Endpoint, ModelAgent};
//! use serde_json::json;
//!
//! let endpoint = Endpoint::openai("http://127.0.0.1:11434/v1")?;
//! let agent = ModelAgent::new(endpoint, "llama3.2")
//!     .with_system("You summarise texts in one sentence.")
//!     .with_prompt(|input| Ok(format!("Summarise: {}", input["text"].as_str().unwrap_or_default())))
//!     .with_schema(json!({
//!         "type": "object",
//!         "properties": {"summary": {"type": "string", "maxLength": 300}},
//!         "required": ["summary"],
//!     }))?;
//! // `FutureHost::add_agent` and the like take it as any other agent.
//! # drop(agent);
//! # Ok::<(), counterpoint_models::Invalid>(())
//! ```
//!
//! Keys of endpoints are in no message, no failure and no `Debug` output of this crate, and never in a journal: an agent has
//! the key, a task has not.

mod agent;
mod anthropic;
pub mod codes;
mod conversation;
mod endpoint;
mod exchange;
mod openai;
mod refusal;
mod schema;
mod tool;

pub use agent::{Limits, ModelAgent, Price};
pub use endpoint::{Api, Endpoint, Invalid};
pub use tool::Tool;
