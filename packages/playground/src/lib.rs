//! Workflow files, checked and simulated: what the playground computes. A request and an answer are JSON, so that the same
//! code is a function, a program (`counterpoint-playground`), and a module of WebAssembly in a page.
//!
//! ```
//! use serde_json::json;
//!
//! let file = "name: hello\ntasks:\n  - id: greet\n  - {id: thank, depends_on: greet}\n";
//! let answer = counterpoint_playground::answer(&json!({"check": {"text": file}}));
//! assert_eq!(answer["kinds"], json!(["greet", "thank"]));
//!
//! let answer = counterpoint_playground::answer(&json!({"play": {"text": file, "kinds": {"greet": {"takes": [2, 2]}}}}));
//! assert_eq!((&answer["state"], &answer["took"]), (&json!("succeeded"), &json!(3.0)));
//! ```

mod file;
mod people;
mod places;
mod play;
mod simulator;
mod text;

pub use people::{answer_of, options};
pub use places::places;
pub use text::without_ids;

use serde::Deserialize;
use serde_json::{Value, json};

/// The largest file.
const MOST_BYTES: usize = 1 << 20;

/// A request of a page.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Request {
    /// Reads a file: its graph, or its mistakes.
    Check { text: String },
    /// Simulates a run, up to an event.
    Play(Box<play::Settings>),
}

/// Answers a request. An answer without the field `error` is that of the request: see the README of the package.
#[must_use]
pub fn answer(request: &Value) -> Value {
    let request: Request = match Request::deserialize(request) {
        Ok(request) => request,
        Err(error) => return json!({ "error": error.to_string() }),
    };
    let text = match &request {
        Request::Check { text } => text,
        Request::Play(settings) => &settings.text,
    };
    if text.len() > MOST_BYTES {
        return json!({ "error": format!("the file has more than {MOST_BYTES} bytes") });
    }
    match request {
        Request::Check { text } => file::check(&text),
        Request::Play(settings) => play::play(&settings),
    }
}
