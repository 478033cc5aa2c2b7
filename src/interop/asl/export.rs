//! Definitions as documents.

#![expect(clippy::wildcard_enum_match_arm, reason = "only some forms of expressions are those of a document")]

use super::callback;
use super::choice;
use super::context::{Context, InRun, Part};
use super::errors::{print_catcher, print_retry};
use super::intrinsic;
use super::machine::{ONLY, carried, nothing, result};
use super::path::{print as print_path, print_pointer};
use super::states::{BRANCH, LIMITS_FROM_DATA, NANOS, fields_of, from_now};
use super::template;
use super::{Options, import};
use crate::base::limits::Limits;
use crate::base::name::Name;
use crate::definition::{
    Action, Body, Condition, Definition, Expr, Fail, Function, Map, Node, State, States, Term, Transition, WaitFor,
    Work,
};
use crate::interop::report::{Fields, Note};
use crate::task::Retry;
use crate::workflow::validate;
use core::fmt;
use core::time::Duration;
use serde_json::Value;
use thiserror::Error;

/// A definition that was written as a document.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Exported {
    /// The document. [`import`] makes the same definition of it, with the name and the bound on steps as options.
    pub document: Value,
    /// What of the definition is not in the document.
    pub notes: Vec<Note>,
}

/// What of a definition the language cannot express.
///
/// ```
/// use counterpoint::definition::{Action, Definition, Node};
/// use counterpoint::interop::asl::export;
///
/// let flow = Definition::new("letter").with_node(Node::new("print", Action::task("print")));
/// let error = export(&flow).unwrap_err();
/// assert_eq!(error.to_string(), "letter: the workflow is not one node with states");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .faults.join("; "))]
pub struct ExportError {
    faults: Vec<String>,
}

impl ExportError {
    /// The parts that cannot be expressed, each with the states that lead to it.
    #[must_use]
    pub fn faults(&self) -> &[String] {
        &self.faults
    }
}

/// Writes a definition as a document: one that an import made, or one like it.
///
/// # Errors
///
/// Returns what the language cannot express. A definition that is not valid within the default limits is not exported.
pub fn export(definition: &Definition) -> Result<Exported, ExportError> {
    if let Err(unsound) = validate(definition, &Limits::default()) {
        return Err(ExportError { faults: vec![unsound.to_string()] });
    }
    let mut exporter = Exporter { faults: Vec::new() };
    let whole = Site { path: definition.name.to_string(), run: InRun::Whole };
    let Some((mut document, steps)) = exporter.machine(definition, &whole) else {
        return Err(ExportError { faults: exporter.faults });
    };
    if let Some(time) = definition.budget.as_ref().and_then(|budget| budget.time) {
        document.insert("TimeoutSeconds".to_owned(), time.as_secs().into());
    }
    let document = Value::Object(document);
    if exporter.faults.is_empty() {
        let options = Options::named(definition.name.clone()).with_max_steps(steps);
        let same = import(&document, &options).is_ok_and(|imported| imported.definition == *definition);
        if !same {
            exporter.fault(&whole, "it contains settings that the language does not have");
        }
    }
    if !exporter.faults.is_empty() {
        return Err(ExportError { faults: exporter.faults });
    }
    let message = format!("the name `{}` and the bound of {steps} steps are not part of the document", definition.name);
    Ok(Exported { document, notes: vec![Note { place: String::new(), message }] })
}

/// The place of a part of the definition.
struct Site {
    path: String,
    run: InRun,
}

impl Site {
    fn of(&self, state: &str, run: InRun) -> Self {
        Self { path: format!("{} > {state}", self.path), run }
    }

    fn context<'a>(&self, state: &'a Name, root: Expr) -> Context<'a> {
        Context { root, state, run: self.run, part: Part::State }
    }
}

struct Exporter {
    faults: Vec<String>,
}

impl Exporter {
    fn fault(&mut self, site: &Site, message: impl fmt::Display) {
        self.faults.push(format!("{}: {message}", site.path));
    }

    /// A value that must be there.
    fn some<T>(&mut self, value: Option<T>, site: &Site, what: &str) -> Option<T> {
        if value.is_none() {
            self.fault(site, format_args!("{what} cannot be expressed"));
        }
        value
    }

    /// The document of a definition with one node with states, and the bound on steps.
    fn machine(&mut self, definition: &Definition, site: &Site) -> Option<(Fields, u32)> {
        let [Node { action: Action::States(states), .. }] = definition.nodes.as_slice() else {
            self.fault(site, "the workflow is not one node with states");
            return None;
        };
        let mut written = Fields::new();
        for state in &states.states {
            let site = site.of(&state.name, site.run);
            if let Some(fields) = self.state(state, &site) {
                written.insert(state.name.to_string(), Value::Object(fields));
            }
        }
        let States { start, max_steps, .. } = states;
        let fields = [("StartAt".to_owned(), start.as_str().into()), ("States".to_owned(), Value::Object(written))];
        Some((Fields::from_iter(fields), *max_steps))
    }

    fn state(&mut self, state: &State, site: &Site) -> Option<Fields> {
        match &state.body {
            None if state.next.iter().any(|way| way.when != Condition::True) => self.choice(state, site),
            None => self.pass(state, site),
            Some(Body::Task(work)) => self.task(state, work, site),
            Some(Body::Flow(flow)) => self.flow(state, flow, site),
            Some(Body::Call(_)) => {
                self.fault(site, "a call of a workflow by its name has no counterpart");
                None
            }
        }
    }

    fn pass(&mut self, state: &State, site: &Site) -> Option<Fields> {
        let context = site.context(&state.name, carried());
        let output = state.output.as_ref().map(|output| passed(output, &context));
        let output = match output {
            None => Fields::new(),
            Some(output) => self.some(output, site, "the output")?,
        };
        let is_path = output.keys().all(|name| name == "InputPath" || name == "OutputPath");
        let mut fields = fields_of(if state.next.is_empty() && is_path { "Succeed" } else { "Pass" });
        fields.extend(output);
        if fields.get("Type").is_some_and(|kind| kind == "Pass") {
            self.ways(state, &mut fields, site)?;
        }
        Some(fields)
    }

    /// `Next` or `End`, and `Catch`.
    fn ways(&mut self, state: &State, fields: &mut Fields, site: &Site) -> Option<()> {
        let (caught, plain): (Vec<&Transition>, Vec<&Transition>) =
            state.next.iter().partition(|way| way.on_failure.is_some());
        match plain.as_slice() {
            [] => fields.insert("End".to_owned(), true.into()),
            [only] => fields.insert("Next".to_owned(), only.to.as_str().into()),
            [_, _, ..] => {
                self.fault(site, "a state with work has conditions: let a state without work decide");
                return None;
            }
        };
        if !caught.is_empty() {
            let catchers: Option<Vec<Value>> = caught.into_iter().map(print_catcher).collect();
            fields.insert("Catch".to_owned(), self.some(catchers, site, "a transition after a failure")?.into());
        }
        Some(())
    }

    /// The input of a state: a path, or a template if there is one.
    fn input(&mut self, state: &State, fields: &mut Fields, template: Option<&str>, site: &Site) -> Option<()> {
        let context = site.context(&state.name, Expr::Item);
        let prepared = prepared(&state.input, &context, template);
        fields.extend(self.some(prepared, site, "the input")?);
        Some(())
    }

    /// `ResultSelector`, `ResultPath` and `OutputPath`.
    fn output(&mut self, state: &State, fields: &mut Fields, site: &Site) -> Option<()> {
        if let Some(output) = &state.output {
            let written = written(output, &site.context(&state.name, result()));
            fields.extend(self.some(written, site, "the output")?);
        }
        Some(())
    }

    fn retry(&mut self, retry: &Retry, fields: &mut Fields, site: &Site) -> Option<()> {
        let retriers = self.some(print_retry(retry), site, "a rule of retries")?;
        if !retriers.is_empty() {
            fields.insert("Retry".to_owned(), retriers.into());
        }
        Some(())
    }

    fn task(&mut self, state: &State, work: &Work, site: &Site) -> Option<Fields> {
        let mut fields = fields_of("Task");
        fields.insert("Resource".to_owned(), work.kind.as_str().into());
        self.input(state, &mut fields, Some("Parameters"), site)?;
        self.output(state, &mut fields, site)?;
        seconds(&mut fields, "TimeoutSeconds", work.policy.attempt_timeout());
        seconds(&mut fields, "HeartbeatSeconds", work.policy.heartbeat_timeout());
        if let Some(overrides) = &work.overrides {
            let limits = limits(overrides, &site.context(&state.name, Expr::Item));
            fields.extend(self.some(limits, site, "a setting from data")?);
        }
        self.retry(work.policy.retry(), &mut fields, site)?;
        self.ways(state, &mut fields, site)?;
        Some(fields)
    }

    fn choice(&mut self, state: &State, site: &Site) -> Option<Fields> {
        let mut fields = fields_of("Choice");
        if let Some(output) = &state.output {
            let path = path_or_nothing(output, &site.context(&state.name, carried()));
            fields.insert("InputPath".to_owned(), self.some(path, site, "the output")?);
        }
        if let Some(output) = state.next.iter().find_map(|way| way.output.as_ref()) {
            let path = path_or_nothing(output, &site.context(&state.name, result()));
            fields.insert("OutputPath".to_owned(), self.some(path, site, "the output of a transition")?);
        }
        let context = site.context(&state.name, Expr::Item);
        let mut rules = Vec::new();
        for way in &state.next {
            if way.when == Condition::True {
                fields.insert("Default".to_owned(), way.to.as_str().into());
                continue;
            }
            let mut rule = self.some(choice::print(&way.when, &context), site, "a condition")?;
            rule.insert("Next".to_owned(), way.to.as_str().into());
            rules.push(Value::Object(rule));
        }
        fields.insert("Choices".to_owned(), rules.into());
        Some(fields)
    }

    fn flow(&mut self, state: &State, flow: &Definition, site: &Site) -> Option<Fields> {
        let mut fields = self.work(state, flow, site)?;
        if let Some(retry) = &state.retry {
            self.retry(retry, &mut fields, site)?;
        }
        Some(fields)
    }

    /// A state whose work is a nested workflow of this form.
    fn work(&mut self, state: &State, flow: &Definition, site: &Site) -> Option<Fields> {
        if let Some((work, request, timeout, heartbeat)) = callback::parts(flow) {
            let mut fields = fields_of("Task");
            fields.insert("Resource".to_owned(), work.kind.as_str().into());
            self.input(state, &mut fields, None, site)?;
            if *request != Expr::Input {
                let context =
                    Context { part: Part::Request, run: InRun::Child, ..site.context(&state.name, Expr::Input) };
                let value = self.some(object(request, &context), site, "the request")?;
                fields.insert("Parameters".to_owned(), value);
            }
            seconds(&mut fields, "TimeoutSeconds", timeout);
            seconds(&mut fields, "HeartbeatSeconds", heartbeat);
            self.output(state, &mut fields, site)?;
            self.ways(state, &mut fields, site)?;
            return Some(fields);
        }
        match flow.nodes.as_slice() {
            [Node { name, action: Action::Fail(fail), .. }] if name == ONLY => self.fail(state, fail, site),
            [Node { name, action: Action::Map(map), input, .. }] if name == ONLY => self.map(state, map, input, site),
            [Node { name, action, .. }] if name == ONLY => self.wait(state, action, site),
            branches => self.parallel(state, branches, site),
        }
    }

    fn parallel(&mut self, state: &State, branches: &[Node], site: &Site) -> Option<Fields> {
        let mut fields = fields_of("Parallel");
        let mut written = Vec::new();
        for branch in branches {
            let Action::Do(Body::Flow(part)) = &branch.action else {
                self.fault(site, "its nested workflow is none that an import makes");
                return None;
            };
            if !branch.name.starts_with(BRANCH) {
                self.fault(site, "its nested workflow is none that an import makes");
                return None;
            }
            written.push(Value::Object(self.machine(part, &site.of(&branch.name, InRun::Child))?.0));
        }
        fields.insert("Branches".to_owned(), written.into());
        self.input(state, &mut fields, Some("Parameters"), site)?;
        self.output(state, &mut fields, site)?;
        self.ways(state, &mut fields, site)?;
        Some(fields)
    }

    fn fail(&mut self, state: &State, fail: &Fail, site: &Site) -> Option<Fields> {
        let mut fields = fields_of("Fail");
        let context = Context { run: InRun::Child, ..site.context(&state.name, Expr::Item) };
        for (name, path, expr, none) in [
            ("Error", "ErrorPath", &fail.code, Expr::default()),
            ("Cause", "CausePath", &fail.message, Expr::value("")),
        ] {
            if *expr == none {
                continue;
            }
            let constant = if let Expr::Const(value) = expr { value.value().as_str() } else { None };
            match constant {
                Some(text) => fields.insert(name.to_owned(), text.into()),
                None => {
                    let text = self.some(intrinsic::print(expr, &context), site, "the failure")?;
                    fields.insert(path.to_owned(), text.into())
                }
            };
        }
        Some(fields)
    }

    fn wait(&mut self, state: &State, action: &Action, site: &Site) -> Option<Fields> {
        let mut fields = fields_of("Wait");
        let context = Context { run: InRun::Child, ..site.context(&state.name, Expr::Input) };
        let until = self.some(until(action, &context), site, "the wait")?;
        fields.insert(until.0.to_owned(), until.1);
        self.input(state, &mut fields, None, site)?;
        // `OutputPath` begins after `InputPath`.
        let root = match fields.get("InputPath") {
            None => Some(carried()),
            Some(path) => match path.as_str() {
                None => Some(nothing()),
                Some(path) => intrinsic::expression(path, &site.context(&state.name, carried())).ok(),
            },
        };
        let root = self.some(root, site, "the input")?;
        if let Some(output) = state.output.as_ref().filter(|output| **output != root) {
            let path = path_or_nothing(output, &site.context(&state.name, root));
            fields.insert("OutputPath".to_owned(), self.some(path, site, "the output")?);
        }
        self.ways(state, &mut fields, site)?;
        Some(fields)
    }

    fn map(&mut self, state: &State, map: &Map, input: &Expr, site: &Site) -> Option<Fields> {
        let mut fields = fields_of("Map");
        let Body::Flow(part) = &map.body else {
            self.fault(site, "its nested workflow is none that an import makes");
            return None;
        };
        let (machine, _) = self.machine(part, &site.of("item", InRun::Child))?;
        fields.insert("ItemProcessor".to_owned(), Value::Object(machine));
        let context = Context { run: InRun::Child, ..site.context(&state.name, Expr::Input) };
        if map.over != Expr::Input {
            let path = self.some(print_path(&map.over, &context), site, "the list")?;
            fields.insert("ItemsPath".to_owned(), path.into());
        }
        let bounds = self.some(bounds(map, &context), site, "the bounds of the items")?;
        fields.extend(bounds);
        if *input != Expr::default() {
            let context = Context { part: Part::Item, ..context };
            let value = self.some(object(input, &context), site, "the input of an item")?;
            fields.insert("ItemSelector".to_owned(), value);
        }
        self.input(state, &mut fields, None, site)?;
        self.output(state, &mut fields, site)?;
        self.ways(state, &mut fields, site)?;
        Some(fields)
    }
}

/// The template of an object.
fn object(expr: &Expr, context: &Context<'_>) -> Option<Value> {
    template::print(expr, context).filter(Value::is_object)
}

/// A path, or null for an empty object.
fn path_or_nothing(expr: &Expr, context: &Context<'_>) -> Option<Value> {
    if *expr == nothing() { Some(Value::Null) } else { print_path(expr, context).map(Value::from) }
}

/// The number of parts of an expression from which it may select something.
const MOST_SOURCES: usize = 256;

/// What can be the value from which an expression selects something: the known ones, and the first parts of it.
fn sources<'e>(known: &'e [Expr], expr: &'e Expr) -> impl Iterator<Item = &'e Expr> {
    let parts = Term::Expr(expr).all();
    let parts = parts.take(MOST_SOURCES);
    known.iter().chain(parts.filter_map(|term| if let Term::Expr(part) = term { Some(part) } else { None }))
}

/// `InputPath` and a template for a value; the value of `$` is that of the context.
fn prepared(value: &Expr, context: &Context<'_>, template: Option<&str>) -> Option<Fields> {
    let known = [context.root.clone()];
    sources(&known, value).find_map(|effective| {
        let mut fields = Fields::new();
        if *effective != context.root {
            fields.insert("InputPath".to_owned(), path_or_nothing(effective, context)?);
        }
        if value != effective {
            fields.insert(template?.to_owned(), object(value, &context.rooted(effective.clone()))?);
        }
        Some(fields)
    })
}

fn seconds(fields: &mut Fields, name: &str, span: Option<Duration>) {
    if let Some(span) = span {
        fields.insert(name.to_owned(), span.as_secs().into());
    }
}

/// A value and the `ResultPath` at which it is put into what the token carried.
fn put<'e>(output: &'e Expr, fields: &mut Fields) -> &'e Expr {
    if let Expr::Call(Function::Put, parts) = output
        && let [input, Expr::Const(pointer), value] = parts.as_slice()
        && *input == carried()
        && let Some(pointer) = pointer.value().as_str()
    {
        fields.insert("ResultPath".to_owned(), print_pointer(pointer).into());
        return value;
    }
    output
}

/// The output of a state with a result.
fn written(output: &Expr, context: &Context<'_>) -> Option<Fields> {
    let known = [result(), carried()];
    let selected = sources(&known, output).find_map(|placed| {
        let mut fields = Fields::new();
        let path = print_path(output, &context.rooted(placed.clone()))?;
        if path != "$" {
            fields.insert("OutputPath".to_owned(), path.into());
        }
        if *placed == carried() {
            fields.insert("ResultPath".to_owned(), Value::Null);
            return Some(fields);
        }
        let value = put(placed, &mut fields);
        if *value != result() {
            fields.insert("ResultSelector".to_owned(), object(value, context)?);
        }
        Some(fields)
    });
    let none = || Fields::from_iter([("OutputPath".to_owned(), Value::Null)]);
    selected.or_else(|| (*output == nothing()).then(none))
}

/// The output of a state without work.
fn passed(output: &Expr, context: &Context<'_>) -> Option<Fields> {
    let known = [carried()];
    sources(&known, output).find_map(|placed| {
        let mut fields = Fields::new();
        let path = print_path(output, &context.rooted(placed.clone()))?;
        if path != "$" {
            fields.insert("OutputPath".to_owned(), path.into());
        }
        let value = put(placed, &mut fields);
        if let Expr::Const(constant) = value {
            fields.insert("Result".to_owned(), constant.value().clone());
        } else {
            fields.extend(prepared(value, context, Some("Parameters"))?);
        }
        Some(fields)
    })
}

/// What a `Wait` waits for.
fn until(action: &Action, context: &Context<'_>) -> Option<(&'static str, Value)> {
    match action {
        Action::Wait { signal: None, timer: Some(span) } => Some(("Seconds", span.as_secs().into())),
        Action::Race { options } => {
            let [option] = options.as_slice() else { return None };
            let WaitFor::At(Expr::Call(function, parts)) = &option.on else { return None };
            match (function, parts.as_slice()) {
                (Function::Time, [Expr::Const(text)]) => Some(("Timestamp", text.value().clone())),
                (Function::Time, [path]) => Some(("TimestampPath", print_path(path, context)?.into())),
                (Function::Add, [_, Expr::Call(Function::Mul, parts)]) => {
                    let seconds = parts.first()?;
                    let is_same = WaitFor::At(from_now(seconds.clone())) == option.on;
                    Some(("SecondsPath", print_path(seconds, context).filter(|_| is_same)?.into()))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// The time limits of a task from data.
fn limits(overrides: &Expr, context: &Context<'_>) -> Option<Fields> {
    let Expr::Object(settings) = overrides else { return None };
    let mut fields = Fields::new();
    for (name, value) in settings {
        let (field, ..) = LIMITS_FROM_DATA.into_iter().find(|(.., setting)| name == setting)?;
        match value {
            Expr::Call(Function::Mul, parts) => match parts.as_slice() {
                [seconds, factor] if *factor == Expr::value(NANOS) => {
                    fields.insert(field.to_owned(), print_path(seconds, context)?.into());
                }
                _ => return None,
            },
            _ => return None,
        }
    }
    Some(fields)
}

/// The bounds of a map.
fn bounds(map: &Map, context: &Context<'_>) -> Option<Fields> {
    let mut fields = Fields::new();
    let mut set = |name: &str, value: &Expr| {
        match value {
            Expr::Const(number) => fields.insert(name.to_owned(), number.value().clone()),
            path => fields.insert(format!("{name}Path"), intrinsic::print(path, context)?.into()),
        };
        Some(())
    };
    if let Some(most) = map.max_concurrent {
        set("MaxConcurrency", &Expr::value(most))?;
    }
    if map.tolerate > 0 {
        set("ToleratedFailureCount", &Expr::value(map.tolerate))?;
    }
    if let Some(percent) = map.tolerate_percent {
        set("ToleratedFailurePercentage", &Expr::value(percent))?;
    }
    let Some(Expr::Object(parts)) = &map.bounds else {
        return map.bounds.is_none().then_some(fields);
    };
    for (name, part) in parts {
        match (name.as_str(), part) {
            ("max_concurrent", Expr::If(choice)) => set("MaxConcurrency", &choice.1)?,
            ("tolerate_percent", percent) => set("ToleratedFailurePercentage", percent)?,
            ("tolerate", Expr::Call(Function::Min, least)) => {
                let [Expr::List(both)] = least.as_slice() else { return None };
                let [count, Expr::Call(Function::Floor, share)] = both.as_slice() else { return None };
                let [Expr::Call(Function::Div, share)] = share.as_slice() else { return None };
                let Some(Expr::Call(Function::Mul, share)) = share.first() else { return None };
                set("ToleratedFailureCount", count)?;
                set("ToleratedFailurePercentage", share.get(1)?)?;
            }
            ("tolerate", count) => set("ToleratedFailureCount", count)?,
            _ => return None,
        }
    }
    Some(fields)
}
