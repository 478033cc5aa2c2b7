//! What the section `agents` declares, read from the document.

use super::http::Http;
use super::mcp::Mcp;
use super::model::Model;
use super::reader::{Fields, Reader, kind_of, shown};
use super::template::Template;
use crate::trouble::Mistake;
use counterpoint::{AgentId, AgentSpec, FailureKind};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The fields of an agent besides those of a method.
const AGENT: &[&str] = &["capacity", "skills", "labels", "cost", "cost_per_second", "performs", "description"];
/// The fields of a method.
const METHOD: &[&str] = &[
    "command",
    "shell",
    "http",
    "mcp",
    "model",
    "ask",
    "answers",
    "stdin",
    "stdout",
    "folder",
    "environment",
    "clean_environment",
    "timeout",
    "grace",
    "exit",
    "most_output",
    "cache",
    "simulate",
];
/// What performs a task. A method has one of them.
const METHODS: &[&str] = &["command", "shell", "http", "mcp", "model", "ask"];
const CACHE: &[&str] = &["reads", "writes"];
const SIMULATE: &[&str] = &["takes", "fails", "output"];
const EXIT: &[&str] = &["kind", "code", "retry_after"];
const KINDS: &[(&str, FailureKind)] = &[
    ("transient", FailureKind::Transient),
    ("permanent", FailureKind::Permanent),
    ("overloaded", FailureKind::Overloaded),
    ("unknown", FailureKind::Unknown),
];
/// The output that an engine accepts at most.
pub(super) const MOST_OUTPUT: u64 = 1 << 20;

/// An agent of the file.
#[derive(Debug, Clone)]
pub(crate) struct AgentPlan {
    pub(crate) name: String,
    capacity: u32,
    skills: BTreeMap<String, u16>,
    labels: BTreeMap<String, String>,
    cost: Option<u64>,
    cost_per_second: Option<u64>,
    /// The methods by kind of task.
    pub(crate) performs: BTreeMap<String, Arc<Method>>,
    /// The method for all kinds, of an agent without `performs`.
    pub(crate) every: Option<Arc<Method>>,
}

/// How a kind of task is performed.
#[derive(Debug)]
pub(crate) struct Method {
    pub(crate) how: How,
    pub(crate) simulated: Simulated,
}

#[derive(Debug)]
pub(crate) enum How {
    Command(Command),
    Http(Http),
    Mcp(Box<Mcp>),
    Model(Box<Model>),
    Ask(Ask),
}

/// What a simulation assumes.
#[derive(Debug, Clone)]
pub(crate) struct Simulated {
    pub(crate) least: Duration,
    pub(crate) most: Duration,
    pub(crate) fails: f64,
    pub(crate) output: Value,
}

/// A command of the operating system.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) program: Program,
    pub(crate) stdin: Stdin,
    pub(crate) stdout: Stdout,
    pub(crate) folder: Option<Template>,
    pub(crate) environment: Vec<(String, Template)>,
    pub(crate) clean: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) grace: Duration,
    pub(crate) exits: BTreeMap<i32, Exit>,
    pub(crate) other_exits: Option<Exit>,
    pub(crate) most_output: usize,
    pub(crate) cache: Option<CachePlan>,
}

#[derive(Debug)]
pub(crate) enum Program {
    /// A program with arguments.
    Arguments(Vec<Template>),
    /// A text for `sh -c`, without references: values reach it as data, and never as a part of the program.
    Shell(String),
}

#[derive(Debug, Clone)]
pub(crate) enum Stdin {
    Json,
    Text,
    Nothing,
    Template(Template),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stdout {
    Text,
    Json,
    Lines,
    Nothing,
}

/// What an exit code, or the status of an answer, means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exit {
    pub(crate) kind: FailureKind,
    pub(crate) code: Option<String>,
    pub(crate) retry_after: Option<Duration>,
}

/// The files that a cached result depends on, and those that it consists of.
#[derive(Debug)]
pub(crate) struct CachePlan {
    pub(crate) reads: Vec<Template>,
    pub(crate) writes: Vec<Template>,
}

/// A question to the person at the terminal.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) question: Template,
    pub(crate) answers: Vec<String>,
}

impl AgentPlan {
    /// The method for a kind of task.
    pub(crate) fn method(&self, kind: &str) -> Option<&Arc<Method>> {
        self.performs.get(kind).or(self.every.as_ref())
    }

    /// All methods.
    pub(crate) fn methods(&self) -> impl Iterator<Item = (&str, &Arc<Method>)> {
        let every = self.every.iter().map(|method| (self.name.as_str(), method));
        self.performs.iter().map(|(kind, method)| (kind.as_str(), method)).chain(every)
    }

    /// Whether a person at the terminal is needed.
    pub(crate) fn asks(&self) -> bool {
        self.methods().any(|(_, method)| matches!(method.how, How::Ask(_)))
    }

    /// What the engine knows of the agent.
    pub(crate) fn spec(&self) -> AgentSpec {
        let mut spec =
            AgentSpec::new(AgentId::from_key(&self.name)).with_name(self.name.as_str()).with_capacity(self.capacity);
        for (skill, level) in &self.skills {
            spec = spec.with_skill(skill.as_str(), *level);
        }
        for kind in self.performs.keys().filter(|kind| !self.skills.contains_key(*kind)) {
            spec = spec.with_skill(kind.as_str(), 1);
        }
        if self.every.is_some() && !self.skills.contains_key(&self.name) {
            spec = spec.with_skill(self.name.as_str(), 1);
        }
        for (label, value) in &self.labels {
            spec = spec.with_label(label.as_str(), value.as_str());
        }
        if let Some(cost) = self.cost {
            spec = spec.with_cost_per_task(cost);
        }
        if let Some(cost) = self.cost_per_second {
            spec = spec.with_cost_per_second(cost);
        }
        spec
    }
}

/// Reads the section.
pub(crate) fn read(section: &Value, mistakes: &mut Vec<Mistake>) -> Vec<AgentPlan> {
    let mut reader = Reader { mistakes };
    let agents = match section {
        Value::Null => return Vec::new(),
        Value::Object(agents) => agents,
        other => {
            reader.add("agents", format!("expected an object of agents by name, found {}", kind_of(other)));
            return Vec::new();
        }
    };
    agents.iter().filter_map(|(name, value)| reader.agent(name, value)).collect()
}

impl Reader<'_> {
    fn agent(&mut self, name: &str, value: &Value) -> Option<AgentPlan> {
        let path = format!("agents.{name}");
        let known: Vec<&str> = AGENT.iter().chain(METHOD).copied().collect();
        let fields = self.object(value, &path, &known)?;
        let capacity = self.number(fields, "capacity", 1, 10_000).unwrap_or(1);
        let mut plan = AgentPlan {
            name: name.to_owned(),
            capacity: u32::try_from(capacity).unwrap_or(1),
            skills: self.skills(fields),
            labels: self.labels(fields),
            cost: self.number(fields, "cost", 0, u64::from(u32::MAX)),
            cost_per_second: self.number(fields, "cost_per_second", 0, u64::from(u32::MAX)),
            performs: BTreeMap::new(),
            every: None,
        };
        match fields.map.get("performs") {
            None => plan.every = self.method(fields, None).map(Arc::new),
            Some(performs) => {
                for name in ["command", "shell", "http", "ask", "cache"].into_iter().filter(|name| fields.has(name)) {
                    self.add(fields.at(name), format!("`{name}` and `performs` exclude each other"));
                }
                plan.performs = self.performs(performs, fields);
            }
        }
        Some(plan)
    }

    fn performs(&mut self, value: &Value, agent: Fields<'_>) -> BTreeMap<String, Arc<Method>> {
        let path = agent.at("performs");
        let Value::Object(kinds) = value else {
            self.add(path, format!("expected an object of methods by kind of task, found {}", kind_of(value)));
            return BTreeMap::new();
        };
        if kinds.is_empty() {
            self.add(path.as_str(), "expected at least one kind of task");
        }
        let mut found = BTreeMap::new();
        for (kind, value) in kinds {
            let path = format!("{path}.{kind}");
            let Some(fields) = self.object(value, &path, METHOD) else { continue };
            if let Some(method) = self.method(fields, Some(agent)) {
                found.insert(kind.clone(), Arc::new(method));
            }
        }
        found
    }

    fn skills(&mut self, of: Fields<'_>) -> BTreeMap<String, u16> {
        let mut found = BTreeMap::new();
        match of.map.get("skills") {
            None => {}
            Some(Value::String(skill)) => _ = found.insert(skill.clone(), 1),
            Some(Value::Array(skills)) => {
                for (index, skill) in skills.iter().enumerate() {
                    match skill {
                        Value::String(skill) => _ = found.insert(skill.clone(), 1),
                        other => self.add(
                            format!("{}[{index}]", of.at("skills")),
                            format!("expected a string, found {}", kind_of(other)),
                        ),
                    }
                }
            }
            Some(Value::Object(skills)) => {
                for (skill, level) in skills {
                    match level.as_u64().and_then(|level| u16::try_from(level).ok()) {
                        Some(level) => _ = found.insert(skill.clone(), level),
                        None => self.add(format!("{}.{skill}", of.at("skills")), "expected a level from 0 to 65535"),
                    }
                }
            }
            Some(other) => self.add(of.at("skills"), format!("expected a list, found {}", kind_of(other))),
        }
        found
    }

    fn labels(&mut self, of: Fields<'_>) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        match of.map.get("labels") {
            None => {}
            Some(Value::Object(labels)) => {
                for (label, value) in labels {
                    match value {
                        Value::String(value) => _ = found.insert(label.clone(), value.clone()),
                        other => self.add(
                            format!("{}.{label}", of.at("labels")),
                            format!("expected a string, found {}", kind_of(other)),
                        ),
                    }
                }
            }
            Some(other) => self.add(of.at("labels"), format!("expected an object, found {}", kind_of(other))),
        }
        found
    }

    /// A method. Settings that it does not have are those of the agent.
    fn method(&mut self, of: Fields<'_>, agent: Option<Fields<'_>>) -> Option<Method> {
        let given: Vec<&str> = METHODS.iter().copied().filter(|name| of.has(name)).collect();
        let simulated = self.simulated(of);
        let how = match given.as_slice() {
            ["command" | "shell"] => How::Command(self.command(of, agent)?),
            ["http"] => How::Http(self.http(of)?),
            ["mcp"] => How::Mcp(Box::new(self.mcp(of, agent)?)),
            ["model"] => How::Model(Box::new(self.model(of, agent)?)),
            ["ask"] => How::Ask(self.ask(of)?),
            [one, other, ..] => {
                self.add(of.path, format!("`{one}` and `{other}` exclude each other"));
                return None;
            }
            _ => {
                self.add(
                    of.path,
                    "expected one of `command`, `shell`, `http`, `mcp`, `model`, `ask` or, for an agent, `performs`",
                );
                return None;
            }
        };
        if !matches!(how, How::Ask(_)) && of.has("answers") {
            self.add(of.at("answers"), "`answers` has no effect without `ask`");
        }
        if !matches!(how, How::Command(_)) {
            let cached = matches!(how, How::Model(_));
            for name in METHOD.iter().filter(|name| !METHODS.contains(name) && !["answers", "simulate"].contains(name))
            {
                if of.has(name) && !(cached && *name == "cache") {
                    self.add(of.at(name), format!("`{name}` has no effect without `command` or `shell`"));
                }
            }
        }
        Some(Method { how, simulated })
    }

    fn command(&mut self, of: Fields<'_>, agent: Option<Fields<'_>>) -> Option<Command> {
        // The place of a setting: the method, or the agent.
        let place = |name: &str| agent.filter(|agent| !of.has(name) && agent.has(name)).unwrap_or(of);
        let program = if of.has("shell") {
            let text = self.text(of, "shell")?;
            if text.contains("${input") {
                self.add(
                    of.at("shell"),
                    "values do not become a part of a shell program: use `environment`, or `$(cat)` for the input",
                );
            }
            Program::Shell(text.to_owned())
        } else {
            let arguments = self.templates(of, "command");
            if arguments.is_empty() {
                self.add(of.at("command"), "expected a program with its arguments, such as [sort, -u]");
                return None;
            }
            Program::Arguments(arguments)
        };
        let environment = agent.map_or_else(Vec::new, |agent| self.templates_by_name(agent, "environment"));
        let environment = environment.into_iter().chain(self.templates_by_name(of, "environment")).collect();
        let (exits, other_exits) = self.exits(place("exit"), "exit", 1, 255);
        let most = self.number(place("most_output"), "most_output", 0, MOST_OUTPUT).unwrap_or(MOST_OUTPUT);
        Some(Command {
            program,
            stdin: self.stdin(place("stdin")),
            stdout: self.stdout(place("stdout"), "stdout").unwrap_or(Stdout::Text),
            folder: self.template(place("folder"), "folder"),
            environment,
            clean: self.flag(place("clean_environment"), "clean_environment").unwrap_or_default(),
            timeout: self.duration(place("timeout"), "timeout"),
            grace: self.duration(place("grace"), "grace").unwrap_or(Duration::from_secs(5)),
            exits,
            other_exits,
            most_output: usize::try_from(most).unwrap_or(usize::MAX),
            cache: self.cache(of),
        })
    }

    fn stdin(&mut self, of: Fields<'_>) -> Stdin {
        match of.map.get("stdin") {
            Some(Value::String(text)) if text.contains("${") => {
                self.template(of, "stdin").map_or(Stdin::Nothing, Stdin::Template)
            }
            None => Stdin::Json,
            Some(_) => {
                let words = [("json", 0), ("text", 1), ("none", 2)];
                match self.word(of, "stdin", &words) {
                    Some(1) => Stdin::Text,
                    Some(2) => Stdin::Nothing,
                    _ => Stdin::Json,
                }
            }
        }
    }

    pub(super) fn stdout(&mut self, of: Fields<'_>, name: &str) -> Option<Stdout> {
        let words =
            [("text", Stdout::Text), ("json", Stdout::Json), ("lines", Stdout::Lines), ("none", Stdout::Nothing)];
        self.word(of, name, &words)
    }

    /// Failures by exit code or status; `other` stands for all that are not listed.
    pub(super) fn exits(
        &mut self,
        of: Fields<'_>,
        name: &str,
        least: i32,
        most: i32,
    ) -> (BTreeMap<i32, Exit>, Option<Exit>) {
        let (mut found, mut other) = (BTreeMap::new(), None);
        let Some(value) = of.map.get(name) else { return (found, other) };
        let Value::Object(map) = value else {
            self.add(of.at(name), format!("expected an object of failures by number, found {}", kind_of(value)));
            return (found, other);
        };
        let at = of.at(name);
        for (number, value) in map {
            let path = format!("{at}.{number}");
            let exit = self.exit(value, &path);
            match number.parse::<i32>() {
                Ok(number) if (least..=most).contains(&number) => found.extend(exit.map(|exit| (number, exit))),
                _ if number == "other" => other = exit,
                _ => self.add(path, format!("expected a number from {least} to {most}, or `other`")),
            }
        }
        (found, other)
    }

    pub(super) fn exit(&mut self, value: &Value, path: &str) -> Option<Exit> {
        if let Value::String(word) = value {
            let known = KINDS.iter().find(|(name, _)| name == word).map(|(_, kind)| *kind);
            if known.is_none() {
                let list: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
                self.add(path, format!("expected one of {}, found `{}`", list.join(", "), shown(word)));
            }
            return known.map(|kind| Exit { kind, code: None, retry_after: None });
        }
        let fields = self.object(value, path, EXIT)?;
        if !fields.has("kind") {
            self.add(path, "`kind` is missing");
        }
        let code = self.text(fields, "code").map(str::to_owned);
        let retry_after = self.duration(fields, "retry_after");
        Some(Exit { kind: self.word(fields, "kind", KINDS)?, code, retry_after })
    }

    pub(super) fn cache(&mut self, of: Fields<'_>) -> Option<CachePlan> {
        let path = of.at("cache");
        match of.map.get("cache")? {
            Value::Bool(true) => Some(CachePlan { reads: Vec::new(), writes: Vec::new() }),
            Value::Bool(false) => None,
            value => {
                let fields = self.object(value, &path, CACHE)?;
                Some(CachePlan { reads: self.templates(fields, "reads"), writes: self.templates(fields, "writes") })
            }
        }
    }

    fn ask(&mut self, of: Fields<'_>) -> Option<Ask> {
        let question = self.template(of, "ask")?;
        let answers = self.templates(of, "answers");
        if answers.iter().any(|answer| !answer.is_plain()) {
            self.add(of.at("answers"), "expected words without references");
        }
        let none = Value::Null;
        let subject = super::Subject {
            input: &none,
            attempt: 0,
            run: "",
            node: "",
            kind: "",
            key: "",
            folder: std::path::Path::new(""),
        };
        let answers = answers.iter().filter_map(|answer| answer.render(&subject).ok()).collect();
        Some(Ask { question, answers })
    }

    fn simulated(&mut self, of: Fields<'_>) -> Simulated {
        let path = of.at("simulate");
        let mut found =
            Simulated { least: Duration::from_secs(1), most: Duration::from_secs(1), fails: 0.0, output: Value::Null };
        let Some(fields) = of.map.get("simulate").and_then(|value| self.object(value, &path, SIMULATE)) else {
            return found;
        };
        if let Some(text) = self.text(fields, "takes") {
            let (least, most) = text.split_once("..").unwrap_or((text, text));
            match (humantime::parse_duration(least.trim()), humantime::parse_duration(most.trim())) {
                (Ok(least), Ok(most)) if least <= most => (found.least, found.most) = (least, most),
                _ => self.add(fields.at("takes"), "expected a duration such as 5s, or two such as 2s..8s"),
            }
        }
        found.fails = self.share(fields, "fails").unwrap_or_default();
        found.output = fields.map.get("output").cloned().unwrap_or_default();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::{How, Stdin, Stdout, read};
    use serde_json::json;

    #[test]
    fn settings_of_the_agent_hold_for_its_methods() {
        let mut mistakes = Vec::new();
        let section = json!({"shell": {
            "capacity": 3, "stdout": "json", "environment": {"A": "1"}, "labels": {"zone": "eu"}, "skills": {"deep": 4},
            "performs": {"one": {"command": ["true"]}, "two": {"command": ["x", 5], "stdout": "lines", "environment": {"B": "2"}}}
        }});
        let plans = read(&section, &mut mistakes);
        assert_eq!(mistakes, []);
        let How::Command(one) = &plans[0].performs["one"].how else { panic!() };
        let How::Command(two) = &plans[0].performs["two"].how else { panic!() };
        assert_eq!((one.stdout, two.stdout), (Stdout::Json, Stdout::Lines));
        assert!(matches!(one.stdin, Stdin::Json));
        assert_eq!((one.environment.len(), two.environment.len()), (1, 2));
        let spec = plans[0].spec();
        assert_eq!((spec.capacity, spec.skills.len()), (3, 3));
    }

    #[test]
    fn every_mistake_is_reported_with_its_path() {
        let mut mistakes = Vec::new();
        let section = json!({
            "a": {"comand": ["x"], "capacity": 0},
            "b": {"command": ["x", "${inptu}"], "exit": {"300": "transient", "2": "sometimes"}},
            "c": {"shell": "echo ${input.x}", "timeout": "soon"},
            "d": {"http": {"url": "ftp://x", "methd": "GET"}},
            "e": {"ask": "?", "command": ["x"]},
            "f": {"performs": {}},
            "g": 7,
        });
        read(&section, &mut mistakes);
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "agents.a.comand: unknown field `comand`, did you mean `command`?",
                "agents.a.capacity: expected a whole number from 1 to 10000, found `0`",
                "agents.a: expected one of `command`, `shell`, `http`, `mcp`, `model`, `ask` or, for an agent, `performs`",
                "agents.b.command[1]: unknown reference `inptu`, did you mean `input`?; known: input, env, attempt, run, node, kind, key, folder",
                "agents.b.exit.2: expected one of transient, permanent, overloaded, unknown, found `sometimes`",
                "agents.b.exit.300: expected a number from 1 to 255, or `other`",
                "agents.c.shell: values do not become a part of a shell program: use `environment`, or `$(cat)` for the input",
                "agents.c.timeout: expected a duration such as 500ms or 1m 30s, found `soon`",
                "agents.d.http.methd: unknown field `methd`, did you mean `method`?",
                "agents.d.http.url: expected a URL that begins with `http://` or `https://`",
                "agents.e: `command` and `ask` exclude each other",
                "agents.f.performs: expected at least one kind of task",
                "agents.g: expected an object, found a number",
            ]
        );
    }
}
