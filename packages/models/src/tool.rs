//! Tools that a model may call.

use core::fmt;
use futures_util::future::BoxFuture;
use serde_json::Value;
use std::sync::Arc;

type Body = dyn Fn(Value) -> BoxFuture<'static, Result<String, String>> + Send + Sync;

/// A tool that a model may call while it answers.
///
/// A result, and an error of the tool as well, are passed to the model, which decides how to go on. The conversation is a
/// part of one attempt: when the attempt is repeated, tools are called again. Work that must take effect once is a task of
/// its own, after the one of the model.
///
/// ```
/// use counterpoint_models::Tool;
/// use serde_json::json;
///
/// let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
/// let weather = Tool::new("weather", "The weather of a city, now.", parameters, |arguments| async move {
///     match arguments["city"].as_str() {
///         Some("Oslo") => Ok("rain".to_owned()),
///         _ => Err("the city is not known".to_owned()),
///     }
/// });
/// assert_eq!(weather.name(), "weather");
/// ```
#[derive(Clone)]
pub struct Tool {
    pub(crate) name: Box<str>,
    pub(crate) description: Box<str>,
    pub(crate) parameters: Value,
    body: Arc<Body>,
}

impl Tool {
    /// A tool with a name of letters, digits, `_` and `-`, a description for the model, the JSON Schema of its arguments, and
    /// what it does.
    pub fn new<F, R>(name: impl Into<String>, description: impl Into<String>, parameters: Value, body: F) -> Self
    where
        F: Fn(Value) -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, String>> + Send + 'static,
    {
        Self {
            name: name.into().into_boxed_str(),
            description: description.into().into_boxed_str(),
            parameters,
            body: Arc::new(move |arguments| Box::pin(body(arguments))),
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Calls the tool with the arguments as the model wrote them.
    pub(crate) async fn call(&self, arguments: &str) -> Result<String, String> {
        let text = if arguments.trim().is_empty() { "{}" } else { arguments };
        let arguments = serde_json::from_str(text).map_err(|error| format!("the arguments are not JSON: {error}"))?;
        (self.body)(arguments).await
    }
}

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tool").field("name", &self.name).finish_non_exhaustive()
    }
}
