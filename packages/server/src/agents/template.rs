//! Texts with references to the input of a task: `--city=${input.city}`.

use super::reader::{did_you_mean, nearest};
use serde_json::Value;
use std::fmt;
use std::path::Path;

/// The roots of references.
const ROOTS: &[&str] = &["input", "env", "attempt", "run", "node", "kind", "key", "folder"];

/// A text with references.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Input(Vec<String>),
    Env(String),
    Attempt,
    Run,
    Node,
    Kind,
    Key,
    Folder,
}

/// What references refer to.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) input: &'a Value,
    pub(crate) attempt: u32,
    pub(crate) run: &'a str,
    pub(crate) node: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) key: &'a str,
    pub(crate) folder: &'a Path,
}

impl Template {
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self { parts: vec![Part::Text(text.into())] }
    }

    /// Reads a text. `$${` stands for `${`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find("${") {
            let (before, after) = rest.split_at(at);
            let after = after.get(2..).unwrap_or_default();
            if let Some(escaped) = before.strip_suffix('$') {
                plain.push_str(escaped);
                plain.push_str("${");
                rest = after;
                continue;
            }
            plain.push_str(before);
            let Some((reference, next)) = after.split_once('}') else {
                return Err(format!("`${{{after}` has no `}}`"));
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(part(reference.trim())?);
            rest = next;
        }
        plain.push_str(rest);
        if !plain.is_empty() || parts.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts })
    }

    /// Whether the text is the same for all tasks.
    pub(crate) fn is_plain(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// Whether the text is the same for all tasks of a run.
    pub(crate) fn is_of_run(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(_) | Part::Env(_) | Part::Run | Part::Folder))
    }

    /// The variables of the environment that it refers to.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Env(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The text for a task.
    pub(crate) fn render(&self, of: &Subject<'_>) -> Result<String, String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Input(path) => text.push_str(&as_text(find(of.input, path)?)),
                Part::Env(name) => match std::env::var(name) {
                    Ok(value) => text.push_str(&value),
                    Err(_) => return Err(format!("the environment has no variable `{name}`")),
                },
                Part::Attempt => text.push_str(&of.attempt.to_string()),
                Part::Run => text.push_str(of.run),
                Part::Node => text.push_str(of.node),
                Part::Kind => text.push_str(of.kind),
                Part::Key => text.push_str(of.key),
                Part::Folder => text.push_str(&of.folder.to_string_lossy()),
            }
        }
        Ok(text)
    }

    /// The value for a task: that of the input if the whole template is one reference to it, else a text.
    pub(crate) fn render_value(&self, of: &Subject<'_>) -> Result<Value, String> {
        match self.parts.as_slice() {
            [Part::Input(path)] => find(of.input, path).cloned(),
            _ => self.render(of).map(Value::from),
        }
    }

    /// The text for a task in messages: values of the environment may be secrets, so their references are shown.
    pub(crate) fn shown(&self, of: &Subject<'_>) -> String {
        let show = |part: &Part| {
            let part = Self { parts: vec![part.clone()] };
            if part.variables().next().is_some() { part.to_string() } else { part.render(of).unwrap_or_default() }
        };
        self.parts.iter().map(show).collect()
    }

    /// The texts for a task: one for each element if the whole template is a reference to a list, else one.
    pub(crate) fn render_all(&self, of: &Subject<'_>) -> Result<Vec<String>, String> {
        if let [Part::Input(path)] = self.parts.as_slice()
            && let Value::Array(items) = find(of.input, path)?
        {
            return Ok(items.iter().map(as_text).collect());
        }
        self.render(of).map(|text| vec![text])
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => f.write_str(text)?,
                Part::Input(path) if path.is_empty() => f.write_str("${input}")?,
                Part::Input(path) => write!(f, "${{input.{}}}", path.join("."))?,
                Part::Env(name) => write!(f, "${{env.{name}}}")?,
                Part::Attempt => f.write_str("${attempt}")?,
                Part::Run => f.write_str("${run}")?,
                Part::Node => f.write_str("${node}")?,
                Part::Kind => f.write_str("${kind}")?,
                Part::Key => f.write_str("${key}")?,
                Part::Folder => f.write_str("${folder}")?,
            }
        }
        Ok(())
    }
}

fn part(reference: &str) -> Result<Part, String> {
    let mut words = reference.split('.');
    let root = words.next().unwrap_or_default();
    let path: Vec<String> = words.map(str::to_owned).collect();
    let alone = |part: Part| if path.is_empty() { Ok(part) } else { Err(format!("`{root}` has no fields")) };
    match root {
        "input" => Ok(Part::Input(path)),
        "env" => match path.as_slice() {
            [name] if !name.is_empty() => Ok(Part::Env(name.clone())),
            _ => Err("expected a variable of the environment, such as `${env.HOME}`".to_owned()),
        },
        "attempt" => alone(Part::Attempt),
        "run" => alone(Part::Run),
        "node" => alone(Part::Node),
        "kind" => alone(Part::Kind),
        "key" => alone(Part::Key),
        "folder" => alone(Part::Folder),
        other => {
            let near = nearest(other, ROOTS.iter().copied());
            let known = ROOTS.join(", ");
            Err(format!("unknown reference `{other}`{}; known: {known}", did_you_mean(near)))
        }
    }
}

/// The value at a path in the input.
fn find<'v>(input: &'v Value, path: &[String]) -> Result<&'v Value, String> {
    let mut value = input;
    for (depth, name) in path.iter().enumerate() {
        let next = match value {
            Value::Object(fields) => fields.get(name),
            Value::Array(items) => name.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        };
        value = next.ok_or_else(|| {
            let place = path.iter().take(depth).fold("input".to_owned(), |place, name| format!("{place}.{name}"));
            let fields: Vec<&str> =
                value.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).take(10).collect();
            let has = if fields.is_empty() { String::new() } else { format!("; it has {}", fields.join(", ")) };
            format!("`{place}` has no `{name}`{}{has}", did_you_mean(nearest(name, fields.iter().copied())))
        })?;
    }
    Ok(value)
}

/// A string as it is, nothing for null, and other data as JSON.
fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Subject, Template};
    use serde_json::{Value, json};
    use std::path::Path;

    fn subject(input: &Value) -> Subject<'_> {
        Subject { input, attempt: 2, run: "etl-1", node: "load", kind: "load", key: "ab", folder: Path::new("/w") }
    }

    #[test]
    fn references_are_replaced() {
        let input = json!({"city": "Oslo", "sizes": [1, {"of": null}], "deep": {"er": {"x": true}}});
        let render = |text: &str| Template::parse(text).unwrap().render(&subject(&input));
        assert_eq!(render("--city=${input.city}!").unwrap(), "--city=Oslo!");
        assert_eq!(render("${input.deep.er} ${input.sizes.0}[${input.sizes.1.of}]").unwrap(), "{\"x\":true} 1[]");
        assert_eq!(render("$${input.city} $ {x} ${attempt}${run}${node}").unwrap(), "${input.city} $ {x} 2etl-1load");
        assert_eq!(render("").unwrap(), "");
        assert_eq!(
            render("${input.ctiy}").unwrap_err(),
            "`input` has no `ctiy`, did you mean `city`?; it has city, deep, sizes"
        );
        assert!(render("${env.COUNTERPOINT_SURELY_NOT_SET}").unwrap_err().contains("COUNTERPOINT_SURELY_NOT_SET"));
    }

    #[test]
    fn a_reference_to_a_list_alone_gives_one_argument_for_each_element() {
        let input = json!({"files": ["a b", "c"]});
        let render = |text: &str| Template::parse(text).unwrap().render_all(&subject(&input)).unwrap();
        assert_eq!(render("${input.files}"), ["a b", "c"]);
        assert_eq!(render("x${input.files}"), ["x[\"a b\",\"c\"]"]);
    }

    #[test]
    fn messages_show_no_values_of_the_environment() {
        let input = json!({"tool": "cat"});
        let template = Template::parse("${env.PATH}/${input.tool}").unwrap();
        assert_eq!(template.shown(&subject(&input)), "${env.PATH}/cat");
    }

    #[test]
    fn mistakes_are_reported_when_the_file_is_read() {
        assert_eq!(Template::parse("${input.x").unwrap_err(), "`${input.x` has no `}`");
        assert!(Template::parse("${inptu.x}").unwrap_err().contains("did you mean `input`?"));
        assert!(Template::parse("${attempt.x}").is_err());
        assert!(Template::parse("${env}").is_err());
    }
}
