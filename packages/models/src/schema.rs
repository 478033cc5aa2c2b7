//! Answers that are JSON, with or without a schema.

use crate::endpoint::Invalid;
use core::fmt;
use serde_json::Value;

/// The most findings that a correction or a failure names.
const FINDINGS: usize = 10;

/// What an answer is.
#[derive(Clone)]
pub(crate) enum Form {
    /// A text.
    Text,
    /// Any JSON value.
    Json,
    /// A JSON value that fits a schema.
    Schema { schema: Value, validator: std::sync::Arc<jsonschema::Validator> },
}

impl Form {
    pub(crate) fn of(schema: Value) -> Result<Self, Invalid> {
        let validator =
            jsonschema::validator_for(&schema).map_err(|error| Invalid(format!("the schema is invalid: {error}")))?;
        Ok(Self::Schema { schema, validator: std::sync::Arc::new(validator) })
    }

    /// What the model is asked for, besides the system prompt of the user.
    pub(crate) fn instruction(&self) -> Option<String> {
        match self {
            Self::Text => None,
            Self::Json => Some("Answer with one JSON value and nothing else.".to_owned()),
            Self::Schema { schema, .. } => Some(format!(
                "Answer with one JSON value and nothing else. It must be valid under this JSON Schema: {schema}"
            )),
        }
    }

    pub(crate) const fn schema(&self) -> Option<&Value> {
        match self {
            Self::Schema { schema, .. } => Some(schema),
            Self::Text | Self::Json => None,
        }
    }

    pub(crate) const fn is_json(&self) -> bool {
        !matches!(self, Self::Text)
    }

    /// The output of a text, or what does not fit.
    pub(crate) fn read(&self, text: &str) -> Result<Value, Vec<String>> {
        let validator = match self {
            Self::Text => return Ok(Value::from(text)),
            Self::Json => None,
            Self::Schema { validator, .. } => Some(validator),
        };
        let value: Value = serde_json::from_str(within_fence(text))
            .map_err(|error| vec![format!("the answer is not JSON: {error}")])?;
        let findings = validator.into_iter().flat_map(|validator| validator.iter_errors(&value));
        let findings: Vec<String> = findings
            .take(FINDINGS)
            .map(|error| {
                let place = error.instance_path().to_string();
                let place = if place.is_empty() { "the value" } else { &place };
                format!("{place}: {error}")
            })
            .collect();
        if findings.is_empty() { Ok(value) } else { Err(findings) }
    }
}

/// The text within a fence of Markdown, which models put around JSON though they are asked not to.
fn within_fence(text: &str) -> &str {
    let text = text.trim();
    let Some(rest) = text.strip_prefix("```") else { return text };
    let Some(rest) = rest.strip_suffix("```") else { return text };
    let rest = rest.strip_prefix("json").or_else(|| rest.strip_prefix("JSON")).unwrap_or(rest);
    rest.trim()
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "Text",
            Self::Json => "Json",
            Self::Schema { .. } => "Schema",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Form, within_fence};
    use serde_json::json;

    #[test]
    fn a_fence_is_removed_and_other_text_is_not() {
        assert_eq!(within_fence(" ```json\n{\"a\": 1}\n``` "), "{\"a\": 1}");
        assert_eq!(within_fence("```\n[]\n```"), "[]");
        assert_eq!(within_fence("Here: {}"), "Here: {}");
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        let form = Form::of(json!({"properties": {"n": {"type": "integer"}}, "required": ["n", "m"]})).unwrap();
        let findings = form.read("{\"n\": \"x\"}").unwrap_err();
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(findings.iter().any(|finding| finding.starts_with("/n: ")), "{findings:?}");
        assert_eq!(form.read("{\"n\": 1, \"m\": 2}").unwrap(), json!({"n": 1, "m": 2}));
        assert!(form.read("sorry").unwrap_err()[0].contains("not JSON"));
        assert!(Form::of(json!({"type": 7})).is_err());
    }
}
