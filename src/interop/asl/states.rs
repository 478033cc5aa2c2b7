//! The types of states.

use super::callback::callback;
use super::choice;
use super::context::{Context, InRun, Part};
use super::errors::{code, constant, known_fields, retry};
use super::intrinsic::expression;
use super::machine::{Importer, ONLY, StateAt, carried, flow, only, result};
use super::template::{path_in, read, report_bad};
use crate::base::time::parse_date;
use crate::definition::{
    Action, Body, Definition, Expr, Fail, Function, Map, Meta, Node, RaceOption, State, Transition, WaitFor, Work,
};
use crate::interop::report::{Fields, Place};
use crate::task::{Exhausted, FailureKind, Policy, Retry};
use core::time::Duration;
use serde_json::Value;

/// The types of states.
const TYPES: &[&str] = &["Pass", "Task", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map"];

/// The fields of several types of states: what follows, the parts that are read and passed on, where a result goes, and failures.
const NEXT: &[&str] = &["Next", "End"];
const PATHS: &[&str] = &["InputPath", "OutputPath"];
const RESULT: &[&str] = &["ResultSelector", "ResultPath"];
const FAILURES: &[&str] = &["Retry", "Catch"];

const PASS: &[&[&str]] = &[NEXT, PATHS, &["Parameters", "Result", "ResultPath"]];
const LIMITS: &[&str] = &["TimeoutSeconds", "TimeoutSecondsPath", "HeartbeatSeconds", "HeartbeatSecondsPath"];
const TASK: &[&[&str]] = &[NEXT, PATHS, RESULT, FAILURES, LIMITS, &["Parameters", "Resource"]];
const CHOICE: &[&[&str]] = &[PATHS, &["Choices", "Default"]];
const WAIT: &[&[&str]] = &[NEXT, PATHS, &["Seconds", "SecondsPath", "Timestamp", "TimestampPath"]];
const SUCCEED: &[&[&str]] = &[PATHS];
const FAIL: &[&[&str]] = &[&["Error", "ErrorPath", "Cause", "CausePath"]];
const PARALLEL: &[&[&str]] = &[NEXT, PATHS, RESULT, FAILURES, &["Parameters", "Branches"]];
const ITEMS: &[&str] =
    &["ItemsPath", "ItemSelector", "Parameters", "ItemProcessor", "Iterator", "MaxConcurrency", "MaxConcurrencyPath"];
const TOLERATED: &[&str] = &[
    "ToleratedFailureCount",
    "ToleratedFailureCountPath",
    "ToleratedFailurePercentage",
    "ToleratedFailurePercentagePath",
    "Label",
];
const MAP: &[&[&str]] = &[NEXT, PATHS, RESULT, FAILURES, ITEMS, TOLERATED];

/// The fields of time limits from data, those of constant ones, and the settings of a task.
pub(super) const LIMITS_FROM_DATA: [(&str, &str, &str); 2] = [
    ("TimeoutSecondsPath", "TimeoutSeconds", "attempt_timeout"),
    ("HeartbeatSecondsPath", "HeartbeatSeconds", "heartbeat_timeout"),
];

/// The nanoseconds of a second.
pub(super) const NANOS: u64 = 1_000_000_000;

/// The suffix of resources whose task ends with an answer to a token.
pub(super) const TOKEN: &str = ".waitForTaskToken";

impl Importer<'_> {
    pub(super) fn state(&mut self, at: &StateAt<'_>) -> State {
        let Some(kind) = self.report.text(at.fields, "Type", at.place) else {
            if !at.fields.contains_key("Type") {
                self.report.missing(at.place, "Type");
            }
            return State::new(at.name);
        };
        let state = State::new(at.name);
        match kind {
            "Pass" => self.pass(at, state),
            "Task" => self.task(at, state),
            "Choice" => self.choice(at, state),
            "Wait" => self.wait(at, state),
            "Succeed" => {
                self.fields(at, SUCCEED);
                self.passing(at, state)
            }
            "Fail" => self.fail(at, state),
            "Parallel" => self.parallel(at, state),
            "Map" => self.map(at, state),
            other => {
                self.report.unknown(&at.place.field("Type"), "type of state", other, TYPES.iter().copied());
                state
            }
        }
    }

    /// The output of a state that passes its input on.
    fn passing(&mut self, at: &StateAt<'_>, mut state: State) -> State {
        let input = self.effective(at, carried());
        let output = self.selected(at, input);
        state.output = Some(output).filter(|output| state.body.is_some() || *output != carried());
        state
    }

    fn pass(&mut self, at: &StateAt<'_>, mut state: State) -> State {
        self.fields(at, PASS);
        let value = match at.fields.get("Result") {
            Some(value) => {
                if at.fields.contains_key("Parameters") {
                    self.report.note(&at.place.field("Parameters"), "has no effect beside `Result`, and is left out");
                }
                constant(value)
            }
            None => self.prepared(at, carried(), "Parameters"),
        };
        let output = self.placed(at, value);
        state.output = Some(output).filter(|output| *output != carried());
        state.next = self.ways(at);
        state
    }

    fn task(&mut self, at: &StateAt<'_>, mut state: State) -> State {
        self.fields(at, TASK);
        let resource = self.report.text(at.fields, "Resource", at.place);
        if !at.fields.contains_key("Resource") {
            self.report.missing(at.place, "Resource");
        }
        let resource = resource.unwrap_or_default();
        if resource.starts_with("arn:aws:states:::") {
            let message = "agents perform the call of the service, as a task of this kind";
            self.report.note(&at.place.field("Resource"), message);
        }
        let kind = self.options.kinds.get(resource).cloned().unwrap_or_else(|| resource.into());
        let retry = self.retry(at);
        let timeout = self.seconds(at.fields, "TimeoutSeconds", at.place);
        let heartbeat = self.seconds(at.fields, "HeartbeatSeconds", at.place);
        if let (Some(timeout), Some(heartbeat)) = (timeout, heartbeat)
            && heartbeat >= timeout
        {
            let seconds = heartbeat.as_secs().to_string();
            self.report.invalid(&at.place.field("HeartbeatSeconds"), "fewer seconds than `TimeoutSeconds`", &seconds);
        }
        let limits = self.limits(at, resource.ends_with(TOKEN));
        if resource.ends_with(TOKEN) {
            state.input = self.effective(at, Expr::Item);
            let context = Context { part: Part::Request, run: InRun::Child, ..at.context(Expr::Input) };
            let request = match at.fields.get("Parameters") {
                None => Expr::Input,
                Some(value) => self.template(at, value, "Parameters", &context),
            };
            self.report.note(
                &at.place.field("Resource"),
                "the task requests the work; the answer is the signal `callback` to the run whose id is the token, with \
                 `{output}` or `{error, cause}`",
            );
            if heartbeat.is_some() {
                self.report.note(&at.place.field("HeartbeatSeconds"), "no heartbeat extends the wait for the answer");
            }
            let work = Work::new(kind).with_policy(policy(Retry::never(), None, None));
            state.body = Some(flow(callback(at.name, work, request, timeout, heartbeat)));
            state.retry = Some(retry).filter(|retry| *retry != Retry::never());
        } else {
            state.input = self.prepared(at, Expr::Item, "Parameters");
            let mut work = Work::new(kind).with_policy(policy(retry, timeout, heartbeat));
            work.overrides = limits;
            state.body = Some(Body::Task(work));
        }
        state.output = self.output(at);
        state.next = self.ways(at);
        state
    }

    /// The time limits from data. They read the input of the task, which is that of the state without `Parameters`.
    fn limits(&mut self, at: &StateAt<'_>, is_request: bool) -> Option<Expr> {
        let mut limits = Vec::new();
        for (path, constant, setting) in LIMITS_FROM_DATA {
            if !at.fields.contains_key(path) {
                continue;
            }
            if at.fields.contains_key(constant) {
                self.report.exclusive(at.place, constant, path);
            }
            if is_request || at.fields.contains_key("Parameters") {
                let what = format!("`{path}` of a state with `Parameters` or a token");
                let reason = "a time limit from data reads the input of the task and not that of the state";
                self.report.unsupported(&at.place.field(path), what, reason);
                continue;
            }
            let seconds = path_in(at.fields, path, &at.context(Expr::Item), at.place, &mut self.report);
            limits.push((setting, Expr::call(Function::Mul, [seconds.unwrap_or_default(), Expr::value(NANOS)])));
        }
        (!limits.is_empty()).then(|| Expr::object(limits))
    }

    fn retry(&mut self, at: &StateAt<'_>) -> Retry {
        let place = at.place.field("Retry");
        at.fields.get("Retry").map_or_else(Retry::never, |value| retry(value, &place, &mut self.report))
    }

    fn choice(&mut self, at: &StateAt<'_>, mut state: State) -> State {
        self.fields(at, CHOICE);
        let input = self.effective(at, carried());
        state.output = Some(input).filter(|input| *input != carried());
        // The conditions read the input after `InputPath`, which `OutputPath` does not change.
        let output = match at.fields.get("OutputPath") {
            None => None,
            Some(_) => Some(self.selected(at, result())).filter(|output| *output != result()),
        };
        let context = at.context(Expr::Item);
        let place = at.place.field("Choices");
        let Some(list) = at.fields.get("Choices") else {
            self.report.missing(at.place, "Choices");
            return state;
        };
        let list = self.report.list(list, &place);
        if list.is_empty() {
            self.report.missing(&place, "a rule");
        }
        for (index, value) in list.iter().enumerate() {
            let place = place.item(index);
            let Some(fields) = self.report.object(value, &place) else { continue };
            if fields.contains_key("Assign") {
                self.report.unsupported(
                    &place.field("Assign"),
                    "`Assign`",
                    "variables of a state machine have no counterpart",
                );
            }
            if fields.contains_key("Comment") {
                self.report.note(&Place::Root, "comments are left out");
            }
            let mut rule = fields.clone();
            rule.remove("Assign");
            let when = choice::rule(&rule, &context, &place, &mut self.report);
            match self.report.text(fields, "Next", &place) {
                Some(next) => {
                    self.known_state(next, at.states, &place.field("Next"));
                    state.next.push(Transition { output: output.clone(), ..way(next, when) });
                }
                None if !fields.contains_key("Next") => self.report.missing(&place, "Next"),
                None => {}
            }
        }
        if let Some(next) = self.report.text(at.fields, "Default", at.place) {
            self.known_state(next, at.states, &at.place.field("Default"));
            state.next.push(Transition { output, ..way(next, crate::definition::Condition::True) });
        }
        state
    }

    fn wait(&mut self, at: &StateAt<'_>, mut state: State) -> State {
        const FIELDS: [&str; 4] = ["Seconds", "SecondsPath", "Timestamp", "TimestampPath"];
        self.fields(at, WAIT);
        let given: Vec<&str> = FIELDS.into_iter().filter(|field| at.fields.contains_key(*field)).collect();
        if let [one, other, ..] = *given.as_slice() {
            self.report.exclusive(at.place, one, other);
        }
        let context = Context { run: InRun::Child, ..at.context(Expr::Input) };
        let until = |at: Expr| Action::Race { options: vec![RaceOption::new(UNTIL, WaitFor::At(at))] };
        let time = |of: Expr| until(Expr::call(Function::Time, [of]));
        let action = match given.first().copied() {
            Some("Seconds") => {
                let seconds = self.report.integer(at.fields, "Seconds", "a number of seconds", at.place).unwrap_or(0);
                Action::Wait { signal: None, timer: Some(Duration::from_secs(seconds.into())) }
            }
            Some("SecondsPath") => {
                let seconds =
                    path_in(at.fields, "SecondsPath", &context, at.place, &mut self.report).unwrap_or_default();
                until(from_now(seconds))
            }
            Some("Timestamp") => {
                let text = self.report.text(at.fields, "Timestamp", at.place);
                if let Some(text) = text.filter(|text| parse_date(text).is_none()) {
                    let expected = "a date such as 2026-01-31T12:00:00Z";
                    self.report.invalid(&at.place.field("Timestamp"), expected, text);
                }
                time(Expr::value(text.unwrap_or_default()))
            }
            Some(_) => {
                time(path_in(at.fields, "TimestampPath", &context, at.place, &mut self.report).unwrap_or_default())
            }
            None => {
                self.report.missing(at.place, "Seconds, SecondsPath, Timestamp or TimestampPath");
                Action::Pass
            }
        };
        state.input = self.effective(at, Expr::Item);
        state.body = Some(flow(only(at.name, action)));
        let mut state = self.passing(at, state);
        state.next = self.ways(at);
        state
    }

    fn fail(&mut self, at: &StateAt<'_>, mut state: State) -> State {
        self.fields(at, FAIL);
        for [one, other] in [["Error", "ErrorPath"], ["Cause", "CausePath"]] {
            if at.fields.contains_key(one) && at.fields.contains_key(other) {
                self.report.exclusive(at.place, one, other);
            }
        }
        let context = Context { run: InRun::Child, ..at.context(Expr::Item) };
        let error = self.report.text(at.fields, "Error", at.place).filter(|error| !error.is_empty());
        let error = match error {
            Some(error) => Expr::value(code(error, &at.place.field("Error"), &mut self.report)),
            None => self.path_or_function(at, "ErrorPath", &context).unwrap_or_default(),
        };
        let cause = match self.report.text(at.fields, "Cause", at.place) {
            Some(cause) => Expr::value(cause),
            None => self.path_or_function(at, "CausePath", &context).unwrap_or_else(|| Expr::value("")),
        };
        // The retries of the state around decide about the failure of a part.
        let kind = match at.run {
            InRun::Whole => FailureKind::Permanent,
            InRun::Child => FailureKind::Transient,
        };
        let fail = Fail::new(cause).with_code_of(error).with_kind(kind);
        state.body = Some(flow(only(at.name, Action::Fail(fail))));
        state
    }

    fn path_or_function(&mut self, at: &StateAt<'_>, field: &str, context: &Context<'_>) -> Option<Expr> {
        let text = self.report.text(at.fields, field, at.place)?;
        match expression(text, context) {
            Ok(expr) => Some(expr),
            Err(bad) => {
                report_bad(&mut self.report, &at.place.field(field), bad);
                None
            }
        }
    }

    fn parallel(&mut self, at: &StateAt<'_>, mut state: State) -> State {
        self.fields(at, PARALLEL);
        let place = at.place.field("Branches");
        let branches = match at.fields.get("Branches") {
            Some(branches) => self.report.list(branches, &place),
            None => {
                self.report.missing(at.place, "Branches");
                &[]
            }
        };
        let mut whole = Definition::new(at.name);
        let mut outputs = Vec::new();
        for (index, branch) in branches.iter().enumerate() {
            let name = format!("{BRANCH}{index}");
            let part = self.part(branch, &place.item(index), format!("{}.{index}", at.name));
            outputs.push(Expr::node(name.as_str()));
            whole = whole.with_node(Node::new(name, Action::flow(part)).with_input(Expr::Input));
        }
        let retry = self.retry(at);
        state.input = self.prepared(at, Expr::Item, "Parameters");
        state.body = Some(flow(whole.with_output(crate::definition::folded_list(outputs))));
        state.retry = Some(retry).filter(|retry| *retry != Retry::never());
        state.output = self.output(at);
        state.next = self.ways(at);
        state
    }

    fn map(&mut self, at: &StateAt<'_>, mut state: State) -> State {
        self.fields(at, MAP);
        for [one, other] in [["ItemProcessor", "Iterator"], ["ItemSelector", "Parameters"]] {
            if at.fields.contains_key(one) && at.fields.contains_key(other) {
                self.report.exclusive(at.place, one, other);
            }
        }
        let present = |names: [&'static str; 2]| names.into_iter().find(|name| at.fields.contains_key(*name));
        let part = match present(["ItemProcessor", "Iterator"]) {
            Some(field) => {
                let place = at.place.field(field);
                let value = at.fields.get(field).unwrap_or(&Value::Null);
                self.processor(value, &place);
                self.part(value, &place, format!("{}.item", at.name))
            }
            None => {
                self.report.missing(at.place, "ItemProcessor");
                Definition::new(at.name)
            }
        };
        let context = Context { run: InRun::Child, ..at.context(Expr::Input) };
        let over = path_in(at.fields, "ItemsPath", &context, at.place, &mut self.report).unwrap_or(Expr::Input);
        let map = self.bounded(at, Map::over(over.clone(), flow(part)), &over, &context);
        let mut node = Node::new(ONLY, Action::Map(map));
        if let Some(field) = present(["ItemSelector", "Parameters"]) {
            let value = at.fields.get(field).unwrap_or(&Value::Null);
            let context = Context { part: Part::Item, ..context };
            node = node.with_input(self.template(at, value, field, &context));
        }
        let whole = Definition::new(at.name).with_node(node).with_output(Expr::node(ONLY));
        let retry = self.retry(at);
        state.input = self.effective(at, Expr::Item);
        state.body = Some(flow(whole));
        state.retry = Some(retry).filter(|retry| *retry != Retry::never());
        state.output = self.output(at);
        state.next = self.ways(at);
        state
    }

    /// Notes what a distributed map is.
    fn processor(&mut self, value: &Value, place: &Place<'_>) {
        let Some(config) = value.get("ProcessorConfig") else { return };
        let at = place.field("ProcessorConfig");
        let Some(fields) = self.report.object(config, &at) else { return };
        known_fields(fields, &["Mode", "ExecutionType"], &at, &mut self.report);
        match self.report.text(fields, "Mode", &at) {
            None | Some("INLINE") => {}
            Some("DISTRIBUTED") => {
                self.report.note(&at, "all items are child runs of one run, within the limits of its family")
            }
            Some(other) => self.report.invalid(&at.field("Mode"), "INLINE or DISTRIBUTED", other),
        }
    }

    /// A map with its bounds on concurrency and failures.
    fn bounded(&mut self, at: &StateAt<'_>, map: Map, over: &Expr, context: &Context<'_>) -> Map {
        let mut bound = |name: &'static str, what: &str| {
            let path = format!("{name}Path");
            if at.fields.contains_key(name) && at.fields.contains_key(&path) {
                self.report.exclusive(at.place, name, &path);
            }
            let number = self.report.integer(at.fields, name, what, at.place).map(Expr::value);
            number.or_else(|| {
                let text = self.report.text(at.fields, &path, at.place)?;
                Some(read(text, context, &at.place.field(&path), &mut self.report))
            })
        };
        let most = bound("MaxConcurrency", "a number of items");
        let count = bound("ToleratedFailureCount", "a number of items");
        let percent = bound("ToleratedFailurePercentage", "a whole number of percent");
        if let Some(Value::Number(number)) = at.fields.get("ToleratedFailurePercentage")
            && number.as_u64().is_some_and(|percent| percent > 100)
        {
            self.report.invalid(&at.place.field("ToleratedFailurePercentage"), "at most 100", &number.to_string());
        }
        if count.is_some() || percent.is_some() {
            self.report.note(at.place, "the result of an item that failed is null");
        }
        if at.fields.contains_key("Label") {
            self.report.note(&at.place.field("Label"), "the label is left out");
        }
        map_bounds(map, over, most, count, percent)
    }
}

/// A map with bounds. Constants are set directly; the number of tolerated failures is the smaller of both.
fn map_bounds(map: Map, over: &Expr, most: Option<Expr>, count: Option<Expr>, percent: Option<Expr>) -> Map {
    let mut bounds: Vec<(&str, Expr)> = Vec::new();
    let mut map = map;
    match most {
        // Zero stands for no bound.
        Some(Expr::Const(number)) => map.max_concurrent = number.to::<u32>().ok().filter(|most| *most > 0),
        Some(most) => {
            let some = crate::definition::Condition::less(Expr::value(0), most.clone());
            bounds.push(("max_concurrent", Expr::If(Box::new((some, most, Expr::default())))));
        }
        None => {}
    }
    match (count, percent) {
        (Some(Expr::Const(number)), None) => map.tolerate = number.to::<u32>().unwrap_or(0),
        (None, Some(Expr::Const(number))) => map.tolerate_percent = number.to::<u32>().ok(),
        (Some(count), None) => bounds.push(("tolerate", count)),
        (None, Some(percent)) => bounds.push(("tolerate_percent", percent)),
        (Some(count), Some(percent)) => {
            let items = Expr::call(Function::Length, [over.clone()]);
            let share = Expr::call(Function::Div, [Expr::call(Function::Mul, [items, percent]), Expr::value(100)]);
            let least = Expr::List(vec![count, Expr::call(Function::Floor, [share])]);
            bounds.push(("tolerate", Expr::call(Function::Min, [least])));
        }
        (None, None) => {}
    }
    if bounds.is_empty() { map } else { map.bounded_by(Expr::object(bounds)) }
}

/// The name of the option of a wait.
const UNTIL: &str = "until";

/// The beginning of the names of the nodes for branches.
pub(super) const BRANCH: &str = "branch";

/// A number of seconds after the start of the child run that waits.
pub(super) fn from_now(seconds: Expr) -> Expr {
    let nanos = Expr::call(Function::Mul, [seconds, Expr::value(1_000_000_000)]);
    Expr::call(Function::Add, [Expr::Meta(Meta::RunStarted), nanos])
}

fn way(to: &str, when: crate::definition::Condition) -> Transition {
    Transition { to: to.into(), when, on_failure: None, output: None }
}

/// The retries and timeouts of a task.
fn policy(retry: Retry, timeout: Option<Duration>, heartbeat: Option<Duration>) -> Policy {
    let mut policy = Policy::default().with_retry(retry).with_exhausted(Exhausted::Fail);
    if let Some(span) = timeout {
        policy = policy.with_attempt_timeout(span);
    }
    if let Some(span) = heartbeat {
        policy = policy.with_heartbeat_timeout(span);
    }
    policy
}

/// The fields of a state that an export writes.
pub(super) fn fields_of(kind: &str) -> Fields {
    Fields::from_iter([("Type".to_owned(), Value::from(kind))])
}
