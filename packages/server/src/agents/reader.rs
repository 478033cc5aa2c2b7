//! Reads the fields of the section `agents` and collects its mistakes.

use super::template::Template;
use crate::trouble::Mistake;
use serde_json::{Map, Value};
use std::time::Duration;

/// An object of the section with its path.
#[derive(Clone, Copy)]
pub(super) struct Fields<'d> {
    pub(super) map: &'d Map<String, Value>,
    pub(super) path: &'d str,
}

/// Collects mistakes.
pub(super) struct Reader<'m> {
    pub(super) mistakes: &'m mut Vec<Mistake>,
}

pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

impl Fields<'_> {
    pub(super) fn at(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }
}

impl Reader<'_> {
    pub(super) fn add(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.mistakes.push(Mistake::new(path, text));
    }

    /// An object with known fields only; others are mistakes.
    pub(super) fn object<'d>(&mut self, value: &'d Value, path: &'d str, known: &[&str]) -> Option<Fields<'d>> {
        let Value::Object(map) = value else {
            self.add(path, format!("expected an object, found {}", kind_of(value)));
            return None;
        };
        for name in map.keys().filter(|name| !known.contains(&name.as_str())) {
            let near = nearest(name, known.iter().copied());
            self.add(format!("{path}.{name}"), format!("unknown field `{}`{}", shown(name), did_you_mean(near)));
        }
        Some(Fields { map, path })
    }

    fn typed<'d, T>(
        &mut self,
        of: Fields<'d>,
        name: &str,
        what: &str,
        read: impl FnOnce(&'d Value) -> Option<T>,
    ) -> Option<T> {
        let value = of.map.get(name)?;
        let found = read(value);
        if found.is_none() {
            let given = match value {
                Value::String(text) => format!("`{}`", shown(text)),
                Value::Number(number) => format!("`{number}`"),
                other => kind_of(other).to_owned(),
            };
            self.add(of.at(name), format!("expected {what}, found {given}"));
        }
        found
    }

    pub(super) fn text<'d>(&mut self, of: Fields<'d>, name: &str) -> Option<&'d str> {
        self.typed(of, name, "a string", Value::as_str)
    }

    pub(super) fn flag(&mut self, of: Fields<'_>, name: &str) -> Option<bool> {
        self.typed(of, name, "true or false", Value::as_bool)
    }

    /// A whole number within bounds.
    pub(super) fn number(&mut self, of: Fields<'_>, name: &str, least: u64, most: u64) -> Option<u64> {
        let what = format!("a whole number from {least} to {most}");
        self.typed(of, name, &what, |value| value.as_u64().filter(|number| (least..=most).contains(number)))
    }

    /// A share from 0 to 1.
    pub(super) fn share(&mut self, of: Fields<'_>, name: &str) -> Option<f64> {
        self.decimal(of, name, 1.0)
    }

    /// A number from 0 on.
    pub(super) fn decimal(&mut self, of: Fields<'_>, name: &str, most: f64) -> Option<f64> {
        let what = format!("a number from 0 to {most}");
        self.typed(of, name, &what, |value| value.as_f64().filter(|number| (0.0..=most).contains(number)))
    }

    pub(super) fn duration(&mut self, of: Fields<'_>, name: &str) -> Option<Duration> {
        let read = |value: &Value| value.as_str().and_then(|text| humantime::parse_duration(text).ok());
        self.typed(of, name, "a duration such as 500ms or 1m 30s", read)
    }

    /// One of several words.
    pub(super) fn word<T: Copy>(&mut self, of: Fields<'_>, name: &str, words: &[(&str, T)]) -> Option<T> {
        let list: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let what = format!("one of {}", list.join(", "));
        let read = |value: &Value| {
            let text = value.as_str()?;
            words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning)
        };
        self.typed(of, name, &what, read)
    }

    pub(super) fn template(&mut self, of: Fields<'_>, name: &str) -> Option<Template> {
        let text = self.text(of, name)?;
        self.parsed(text, of.at(name))
    }

    /// A list of templates, or one.
    pub(super) fn templates(&mut self, of: Fields<'_>, name: &str) -> Vec<Template> {
        match of.map.get(name) {
            None => Vec::new(),
            Some(Value::String(text)) => self.parsed(text, of.at(name)).into_iter().collect(),
            Some(Value::Array(items)) => {
                let mut found = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{}[{index}]", of.at(name));
                    match item {
                        Value::String(text) => found.extend(self.parsed(text, path)),
                        Value::Number(number) => found.push(Template::plain(number.to_string())),
                        // YAML reads `yes`, `no`, `on`, `true` as booleans.
                        Value::Bool(_) => self.add(path, "expected a string, found a boolean: write it in quotes"),
                        other => self.add(path, format!("expected a string, found {}", kind_of(other))),
                    }
                }
                found
            }
            Some(other) => {
                self.add(of.at(name), format!("expected a list of strings, found {}", kind_of(other)));
                Vec::new()
            }
        }
    }

    /// An object whose values are templates.
    pub(super) fn templates_by_name(&mut self, of: Fields<'_>, name: &str) -> Vec<(String, Template)> {
        let Some(value) = of.map.get(name) else { return Vec::new() };
        let Value::Object(map) = value else {
            self.add(of.at(name), format!("expected an object, found {}", kind_of(value)));
            return Vec::new();
        };
        let mut found = Vec::new();
        for (key, value) in map {
            let path = format!("{}.{key}", of.at(name));
            match value {
                Value::String(text) => found.extend(self.parsed(text, path).map(|template| (key.clone(), template))),
                Value::Number(number) => found.push((key.clone(), Template::plain(number.to_string()))),
                Value::Bool(flag) => found.push((key.clone(), Template::plain(flag.to_string()))),
                other => self.add(path, format!("expected a string, found {}", kind_of(other))),
            }
        }
        found
    }

    pub(super) fn parsed(&mut self, text: &str, path: String) -> Option<Template> {
        Template::parse(text).map_err(|error| self.add(path, error)).ok()
    }
}

/// The settings of a method with those of its agent.
pub(super) fn merged(method: &Value, agent: Option<&Value>) -> Value {
    let (Value::Object(own), Some(Value::Object(shared))) = (method, agent) else { return method.clone() };
    let mut all: Map<String, Value> = shared.clone();
    all.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
    Value::Object(all)
}

/// The beginning of a text of the file, for messages.
pub(super) fn shown(text: &str) -> String {
    let short: String = text.chars().take(64).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

pub(crate) fn did_you_mean(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!(", did you mean `{near}`?"))
}

/// The most similar of the known words, if it is similar.
pub(crate) fn nearest<'k>(given: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    if given.len() > 64 {
        return None;
    }
    let most = given.chars().count() / 3 + 1;
    known.map(|word| (distance(given, word), word)).filter(|(far, _)| *far <= most).min().map(|(_, word)| word)
}

/// The number of insertions, deletions and exchanges between two words.
fn distance(one: &str, other: &str) -> usize {
    let letters: Vec<char> = other.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=letters.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut next = vec![line + 1];
        for ((known, above), diagonal) in letters.iter().zip(row.iter().skip(1)).zip(&row) {
            let left = next.last().copied().unwrap_or_default();
            next.push((diagonal + usize::from(*known != letter)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_similar_name_is_suggested_and_a_different_one_is_not() {
        let known = ["command", "capacity", "stdin"];
        assert_eq!(nearest("comand", known.into_iter()), Some("command"));
        assert_eq!(nearest("stdni", known.into_iter()), Some("stdin"));
        assert_eq!(nearest("xyz", known.into_iter()), None);
    }
}
