//! A task of a document, and the nodes that it becomes.

use super::context::budget;
use super::data::{Names, condition, expression, whole_expression};
use super::fault::DocumentFaultKind;
use super::flow::Reader;
use super::report::{Fields, Path, get};
use super::work::{WORK, main_work, retry, work};
use crate::base::name::Name;
use crate::definition::{
    Action, Body, Call, Case, Completion, Condition, Expr, Join, Link, Map, Node, On, Pick, RaceOption, Remaining,
    Repeat, SavePoint, Trigger, WaitFor, Work, folded_object,
};
use core::time::Duration;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The fields of a task besides those of its work.
pub(super) const TASK: &[&str] = &[
    "id",
    "description",
    "inputs",
    "depends_on",
    "join",
    "when",
    "precondition",
    "postcondition",
    "writes",
    "budget",
    "on_error",
    "compensate",
    "query",
    "save_point",
    "pivot",
    "mutex",
    "cancels",
    "milestone",
    "handlers",
    "for_each",
    "max_concurrent",
    "tolerate",
    "tolerate_percent",
    "enough",
    "open",
    "repeat",
    "retry_all",
    "delegate",
    "workflow",
    "call",
    "wait",
    "race",
    "states",
    "choose",
    "pick",
    "otherwise",
    "pass",
    "stop",
    "fail",
    "send",
    "undo",
];

pub(super) const DEPENDENCY: &[&str] = &["task", "on", "case"];
pub(super) const COUNT: &[&str] = &["count", "rounds", "rest"];
pub(super) const ENOUGH: &[&str] = &["of", "when", "begun", "cancel_rest"];
pub(super) const REPEAT: &[&str] = &["until", "while", "most", "beyond"];
/// Whether a repeat that has not ended after its last round succeeds.
pub(super) const AFTER_LAST: &[(&str, bool)] = &[("fail", false), ("finish", true)];
pub(super) const SAVE_POINT: &[&str] = &["again", "instead"];
pub(super) const WAIT: &[&str] = &["signal", "when", "timer", "until"];
pub(super) const CASE: &[&str] = &["case", "when"];

/// The word for all tasks in `undo`.
pub(super) const ALL: &str = "all";

/// The fields that make a task something other than work.
const OTHERS: &[&str] = &["wait", "race", "states", "choose", "pass", "stop", "fail", "send", "undo"];

/// The bounds of a map, which can be expressions.
pub(super) const BOUNDS: [&str; 3] = ["max_concurrent", "tolerate", "tolerate_percent"];

/// The fields of a call.
pub(super) const CALL: &[&str] = &["workflow", "version", "depth"];

pub(super) const ONS: &[(&str, u8)] = &[("success", 0), ("failure", 1), ("always", 2), ("each", 3)];
pub(super) const RESTS: &[(&str, Remaining)] =
    &[("ignore", Remaining::Ignore), ("cancel", Remaining::Cancel), ("hold", Remaining::Hold)];
pub(super) const PICKS: &[(&str, Pick)] = &[("first", Pick::First), ("every", Pick::Every)];
pub(super) const JOINS: &[(&str, Join)] = &[
    ("all", Join::All),
    ("any", Join::Any),
    ("each", Join::Each),
    ("all_succeeded", Join::Trigger(Trigger::AllSucceeded)),
    ("all_done", Join::Trigger(Trigger::AllDone)),
    ("all_done_one_succeeded", Join::Trigger(Trigger::AllDoneOneSucceeded)),
    ("all_failed", Join::Trigger(Trigger::AllFailed)),
    ("any_succeeded", Join::Trigger(Trigger::AnySucceeded)),
    ("any_failed", Join::Trigger(Trigger::AnyFailed)),
    ("any_done", Join::Trigger(Trigger::AnyDone)),
    ("none_failed", Join::Trigger(Trigger::NoneFailed)),
    ("none_failed_one_succeeded", Join::Trigger(Trigger::NoneFailedOneSucceeded)),
    ("none_skipped", Join::Trigger(Trigger::NoneSkipped)),
    ("all_skipped", Join::Trigger(Trigger::AllSkipped)),
    ("always", Join::Trigger(Trigger::Always)),
];

/// A task, not yet connected to others.
pub(super) struct Draft<'d> {
    pub(super) node: Node,
    /// The condition under which it is done, checked by a choice before it.
    pub(super) when: Option<Condition>,
    /// Whether the document specifies its join.
    pub(super) joins: bool,
    pub(super) on_error: OnError<'d>,
}

/// What a run does when the task fails.
#[derive(Clone, Copy)]
pub(super) enum OnError<'d> {
    Fail,
    Continue,
    Goto(&'d str),
}

/// Whether a task runs a workflow once, so that its retries are those of a child run.
fn run_once(fields: &Fields) -> bool {
    let has = |name: &str| get(fields, name).is_some();
    (has("workflow") || has("call")) && !has("for_each") && !has("repeat")
}

impl<'d> Reader<'_> {
    pub(super) fn task(&mut self, fields: &'d Fields, id: &str, path: &Path<'_>, names: &Names<'d>) -> Draft<'d> {
        self.exclusions(fields, path);
        self.report.text_at(fields, "description", path);
        let mut node = Node::new(id, Action::Pass);
        node.after = self.dependencies(fields, path, names);
        let join = self.join(fields, path);
        node.join = join.unwrap_or_default();
        node.action = self.action(fields, id, path, names);
        let data = get(fields, "inputs").map(|data| expression(data, &path.field("inputs"), names, &mut self.report));
        let item = matches!(node.action, Action::Map(_));
        node.input = data.unwrap_or_else(|| if item { Expr::Item } else { Expr::default() });
        node.undo = self.companion(fields, id, path, "compensate", "undo");
        node.query = self.companion(fields, id, path, "query", "query");
        node.save = self.save_point(fields, path);
        node.pivot = self.report.bool_at(fields, "pivot", path);
        node.mutex = self.words(fields, "mutex", path).into_iter().map(|(_, name)| name.into()).collect();
        node.cancels = self.known(fields, "cancels", path, names);
        node.milestone = self.milestone(fields, path, names);
        node.handlers = self.handlers(fields, path, names);
        node.writes = self.writes(fields, path, names);
        node.budget = budget(fields, path, &mut self.report);
        if let Some(value) = get(fields, "retry").filter(|_| run_once(fields)) {
            node.retry = Some(retry(value, &path.field("retry"), &mut self.report));
        }
        if let Some(value) = get(fields, "retry_all") {
            node.retry = Some(retry(value, &path.field("retry_all"), &mut self.report));
        }
        node.guards.precondition = self.precondition(fields, path, names);
        let after = get(fields, "postcondition");
        node.guards.postcondition =
            after.map(|after| condition(after, &path.field("postcondition"), names, &mut self.report));
        let when = get(fields, "when").map(|when| condition(when, &path.field("when"), names, &mut self.report));
        Draft { node, when, joins: join.is_some(), on_error: self.on_error(fields, path, names) }
    }

    /// Reports fields that exclude each other and fields without effect.
    fn exclusions(&mut self, fields: &Fields, path: &Path<'_>) {
        let has = |name: &&&'static str| get(fields, name).is_some();
        let kinds: Vec<&'static str> = OTHERS.iter().chain(&["workflow", "call"]).filter(has).copied().collect();
        let idle = if kinds.is_empty() { &[] } else { WORK };
        let is_run = run_once(fields);
        let idle = idle.iter().filter(|field| !(is_run && **field == "retry"));
        let rest = kinds.iter().skip(1).chain(idle.filter(has));
        let repeated: Vec<&'static str> = ["for_each", "repeat"].iter().chain(OTHERS).filter(has).copied().collect();
        let twice = match *repeated.as_slice() {
            [one @ ("for_each" | "repeat"), other, ..] => Some((one, other)),
            _ => None,
        };
        let companion = ["for_each", "repeat", "workflow", "call"].iter().chain(OTHERS).find(has);
        let handed = companion.filter(|_| has(&&"delegate")).map(|other| ("delegate", *other));
        let pairs = rest.filter_map(|other| Some((*kinds.first()?, *other))).chain(twice).chain(handed);
        for (one, other) in pairs {
            self.report.add(path, DocumentFaultKind::Exclusive { one, other });
        }
        let repeated =
            ["max_concurrent", "tolerate", "tolerate_percent", "enough", "open"].map(|field| (field, "for_each"));
        let is_several = has(&&"for_each") || has(&&"repeat");
        let whole = (!is_several).then_some(("retry_all", "for_each"));
        let of = repeated.into_iter().chain([("pick", "choose"), ("otherwise", "choose")]).chain(whole);
        for (field, without) in of.filter(|(field, of)| has(&field) && !has(&of)) {
            self.report.add(path.field(field), DocumentFaultKind::WithoutEffect { field, without });
        }
    }

    /// A string or a list of strings.
    pub(super) fn words(&mut self, fields: &'d Fields, name: &str, path: &Path<'_>) -> Vec<(Option<usize>, &'d str)> {
        self.report.words(fields, name, path)
    }

    /// The named tasks; unknown ones are reported.
    pub(super) fn known(&mut self, fields: &'d Fields, name: &str, path: &Path<'_>, names: &Names<'_>) -> Vec<Name> {
        let at = path.field(name);
        let words = self.words(fields, name, path);
        let known = words.into_iter().filter(|(index, task)| {
            let item = index.map_or(at, |index| at.item(index));
            self.exists(task, &item, names)
        });
        known.map(|(_, task)| task.into()).collect()
    }

    pub(super) fn exists(&mut self, task: &str, path: &Path<'_>, names: &Names<'_>) -> bool {
        let known = names.tasks.contains_key(task);
        if !known {
            self.report.unknown(path, "task", task, names.tasks.keys().copied());
            self.links_lost = true;
        }
        known
    }

    fn dependencies(&mut self, fields: &Fields, path: &Path<'_>, names: &Names<'_>) -> Vec<Link> {
        let at = path.field("depends_on");
        match get(fields, "depends_on") {
            None => Vec::new(),
            Some(Value::Array(list)) => {
                let links = list.iter().enumerate();
                links.filter_map(|(index, one)| self.dependency(one, &at.item(index), names)).collect()
            }
            Some(one) => self.dependency(one, &at, names).into_iter().collect(),
        }
    }

    fn dependency(&mut self, value: &Value, path: &Path<'_>, names: &Names<'_>) -> Option<Link> {
        if let Value::String(task) = value {
            let is_known = self.exists(task, path, names) && self.has_one_end(task, path, names);
            return is_known.then(|| Link::success(task.as_str()));
        }
        let link = self.dependency_object(value, path, names);
        self.links_lost |= link.is_none();
        link
    }

    fn dependency_object(&mut self, value: &Value, path: &Path<'_>, names: &Names<'_>) -> Option<Link> {
        let fields = self.report.object(value, path, DEPENDENCY)?;
        if get(fields, "task").is_none() {
            self.report.add(path, DocumentFaultKind::Missing { field: "task".to_owned() });
        }
        let task = self.report.text_at(fields, "task", path)?;
        let case = self.report.text_at(fields, "case", path);
        let on = self.report.keyword_at(fields, "on", path, ONS);
        if case.is_some() && on.is_some() {
            self.report.add(path, DocumentFaultKind::Exclusive { one: "on", other: "case" });
        }
        let has_end = case.is_some() || on.is_some() || self.has_one_end(task, path, names);
        (self.exists(task, &path.field("task"), names) && has_end).then(|| match (case, on) {
            (Some(case), _) => Link::case(task, case),
            (None, Some(1)) => Link::failure(task),
            (None, Some(2)) => Link::always(task),
            (None, Some(3)) => Link::each(task),
            (None, _) => Link { node: task.into(), on: On::Success },
        })
    }

    /// Whether a link to the task needs no case. A choice has several, and which one was meant is not guessed.
    fn has_one_end(&mut self, task: &str, path: &Path<'_>, names: &Names<'_>) -> bool {
        let is_choice = names.choices.contains(task);
        if is_choice {
            let expected =
                "a case of the choice, as in {task: route, case: large}, or {task: route, on: success} for any";
            self.report.invalid(path, expected, task);
            self.links_lost = true;
        }
        !is_choice
    }

    fn join(&mut self, fields: &Fields, path: &Path<'_>) -> Option<Join> {
        let value = get(fields, "join")?;
        if value.is_string() {
            return self.report.keyword_at(fields, "join", path, JOINS);
        }
        let at = path.field("join");
        let fields = self.report.object(value, &at, COUNT)?;
        let rest = self.report.keyword_at(fields, "rest", &at, RESTS).unwrap_or_default();
        let rounds = self.report.integer_at(fields, "rounds", &at);
        let count = self.report.integer_at(fields, "count", &at);
        match (get(fields, "count").is_some(), get(fields, "rounds").is_some()) {
            (true, true) => self.report.add(at, DocumentFaultKind::Exclusive { one: "count", other: "rounds" }),
            (false, false) => self.report.add(at, DocumentFaultKind::Missing { field: "count".to_owned() }),
            (true, false) | (false, true) => {}
        }
        rounds
            .map(|of| Join::Rounds { required: of, remaining: rest })
            .or_else(|| Some(Join::Count { required: count?, remaining: rest }))
    }

    /// A number of repetitions, or an object.
    fn save_point(&mut self, fields: &Fields, path: &Path<'_>) -> Option<SavePoint> {
        let value = get(fields, "save_point")?;
        if value.is_number() {
            return self.report.integer_at(fields, "save_point", path).map(SavePoint::retries);
        }
        let at = path.field("save_point");
        let fields = self.report.object(value, &at, SAVE_POINT)?;
        if get(fields, "again").is_none() {
            self.report.add(at, DocumentFaultKind::Missing { field: "again".to_owned() });
        }
        let mut save = SavePoint::retries(self.report.integer_at(fields, "again", &at)?);
        save.alternative = self.report.text_at(fields, "instead", &at).map(Name::from);
        Some(save)
    }

    /// The companion task for compensation or query. A string is its kind; true is the kind that the typed builder would use.
    fn companion(&mut self, fields: &Fields, id: &str, path: &Path<'_>, field: &str, ending: &str) -> Option<Work> {
        let kind = get(fields, "type").and_then(Value::as_str).unwrap_or(id);
        self.companion_of(fields, kind, path, field, ending)
    }

    pub(super) fn companion_of(
        &mut self,
        fields: &Fields,
        kind: &str,
        path: &Path<'_>,
        field: &str,
        ending: &str,
    ) -> Option<Work> {
        let value = get(fields, field)?;
        let otherwise = format!("{kind}.{ending}");
        match value {
            Value::Bool(false) => None,
            Value::Bool(true) => {
                self.report.kind(&otherwise, &path.field(field));
                Some(Work::new(otherwise))
            }
            Value::String(kind) => {
                self.report.kind(kind, &path.field(field));
                Some(Work::new(kind.as_str()))
            }
            Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                let at = path.field(field);
                let fields = self.report.object(value, &at, WORK)?;
                let work = work(fields, &otherwise, &at, &mut self.report);
                self.report.kind(&work.kind, &at.field("type"));
                Some(work)
            }
        }
    }

    fn on_error(&mut self, fields: &'d Fields, path: &Path<'_>, names: &Names<'_>) -> OnError<'d> {
        match self.report.text_at(fields, "on_error", path) {
            None | Some("fail") => OnError::Fail,
            Some("continue") => OnError::Continue,
            Some(task) if self.exists(task, &path.field("on_error"), names) => OnError::Goto(task),
            Some(_) => OnError::Fail,
        }
    }

    /// The action. All fields are read, also those of other actions, so that all errors are found.
    fn action(&mut self, fields: &'d Fields, id: &str, path: &Path<'_>, names: &Names<'d>) -> Action {
        let (pass, stop) = (self.report.bool_at(fields, "pass", path), self.report.bool_at(fields, "stop", path));
        let fail = get(fields, "fail").map(|fail| Action::Fail(self.fail(fail, &path.field("fail"), names)));
        let send = get(fields, "send").map(|send| self.send(send, &path.field("send"), names));
        let undo = get(fields, "undo").map(|undo| Action::Compensate {
            of: if *undo == Value::String(ALL.to_owned()) {
                Vec::new()
            } else {
                self.known(fields, "undo", path, names)
            },
        });
        let wait = get(fields, "wait").map(|wait| self.wait(wait, &path.field("wait"), names));
        let race = self.race(fields, path, names);
        let states = self.states(fields, path, names);
        let choice = self.choice(fields, path, names);
        let task = main_work(fields, id, path, names, &mut self.report);
        let has = |name: &&&str| get(fields, name).is_some();
        if OTHERS.iter().chain(&["workflow", "call"]).find(has).is_none() {
            let field = if get(fields, "type").is_some() { "type" } else { "id" };
            self.report.kind(&task.kind, &path.field(field));
        }
        let delegate = self.delegate(task.clone(), fields, path);
        let flow = get(fields, "workflow").map(|flow| self.within(flow, id, &path.field("workflow")));
        let call = get(fields, "call").and_then(|call| self.call(call, &path.field("call"))).map(Body::Call);
        let body = flow.map_or(Body::Task(task), |flow| Body::Flow(Arc::new(flow)));
        let body = call.unwrap_or(body);
        let repeated = self.repeated(body, fields, path, names);
        let plain = pass.then_some(Action::Pass).or_else(|| stop.then_some(Action::Stop));
        plain.or(fail).or(send).or(undo).or(wait).or(race).or(states).or(choice).or(delegate).unwrap_or(repeated)
    }

    /// A string is the name of the workflow.
    pub(super) fn call(&mut self, value: &Value, path: &Path<'_>) -> Option<Call> {
        if let Value::String(workflow) = value {
            return Some(Call::of(workflow.as_str()));
        }
        let fields = self.report.object(value, path, CALL)?;
        if get(fields, "workflow").is_none() {
            self.report.add(path, DocumentFaultKind::Missing { field: "workflow".to_owned() });
        }
        let mut call = Call::of(self.report.text_at(fields, "workflow", path)?);
        call.version = self.report.integer_at(fields, "version", path);
        call.depth = self.report.integer_at(fields, "depth", path).unwrap_or(call.depth);
        Some(call)
    }

    /// A signal, a timer, or the first of both. With a computed time it is a race.
    fn wait(&mut self, wait: &Value, path: &Path<'_>, names: &Names<'_>) -> Action {
        let Some(fields) = self.report.object(wait, path, WAIT) else { return Action::Pass };
        let signal = self.report.text_at(fields, "signal", path).map(Name::from);
        let timer = self.report.span_at(fields, "timer", path);
        let when = get(fields, "when").map(|when| condition(when, &path.field("when"), names, &mut self.report));
        let Some(until) = get(fields, "until") else { return wait_for(signal, when, timer) };
        if timer.is_some() {
            self.report.add(path, DocumentFaultKind::Exclusive { one: "timer", other: "until" });
        }
        let at = path.field("until");
        let until = match until.as_str().filter(|text| !text.contains("${")) {
            Some(text) => whole_expression(text, &at, names, &mut self.report),
            None => expression(until, &at, names, &mut self.report),
        };
        let signal = signal.map(|signal| RaceOption::new("signal", WaitFor::signal(signal)));
        let when = when.map(|when| RaceOption::new("when", WaitFor::When(when)));
        let until = RaceOption::new("until", WaitFor::At(until));
        Action::Race { options: signal.into_iter().chain(when).chain([until]).collect() }
    }

    fn choice(&mut self, fields: &Fields, path: &Path<'_>, names: &Names<'_>) -> Option<Action> {
        let pick = self.report.keyword_at(fields, "pick", path, PICKS).unwrap_or_default();
        let otherwise = self.report.text_at(fields, "otherwise", path).map(Name::from);
        let cases = get(fields, "choose")?;
        let at = path.field("choose");
        let mut read = Vec::new();
        for (index, case) in self.report.list(cases, &at).iter().enumerate() {
            let at = at.item(index);
            let Some(case) = self.report.object(case, &at, CASE) else { continue };
            for field in CASE.iter().filter(|field| get(case, field).is_none()) {
                self.report.add(at, DocumentFaultKind::Missing { field: (*field).to_owned() });
            }
            let when = get(case, "when").map(|when| condition(when, &at.field("when"), names, &mut self.report));
            if let (Some(name), Some(when)) = (self.report.text_at(case, "case", &at), when) {
                read.push(Case::new(name, when));
            }
        }
        Some(Action::Choose { pick, cases: read, otherwise })
    }

    /// When a map ends early.
    fn enough(&mut self, fields: &Fields, path: &Path<'_>, names: &Names<'_>) -> Option<Completion> {
        let at = path.field("enough");
        let fields = get(fields, "enough").and_then(|value| self.report.object(value, &at, ENOUGH))?;
        let of = self.report.integer_at(fields, "of", &at).map(Completion::after);
        let when = get(fields, "when").map(|when| condition(when, &at.field("when"), names, &mut self.report));
        let begun = self.report.bool_at(fields, "begun", &at);
        match (get(fields, "of").is_some(), get(fields, "when").is_some()) {
            (true, true) => self.report.add(at, DocumentFaultKind::Exclusive { one: "of", other: "when" }),
            (false, false) if !begun => self.report.add(at, DocumentFaultKind::Missing { field: "of".to_owned() }),
            (true | false, _) => {}
        }
        let mut enough = of.or_else(|| when.map(Completion::when)).unwrap_or_else(Completion::when_started);
        enough.on_start = begun;
        enough.cancel_rest = self.report.bool_at(fields, "cancel_rest", &at);
        Some(enough)
    }

    /// The bounds of a map: the numbers, and an object of those that are expressions.
    fn bounds(&mut self, fields: &Fields, path: &Path<'_>, names: &Names<'_>) -> ([Option<u32>; 3], Option<Expr>) {
        let mut computed = BTreeMap::new();
        let numbers = BOUNDS.map(|bound| match get(fields, bound).filter(|value| is_expression(value)) {
            Some(value) => {
                let at = path.field(bound);
                let expr = match value.as_str().filter(|text| !text.contains("${")) {
                    Some(text) => whole_expression(text, &at, names, &mut self.report),
                    None => expression(value, &at, names, &mut self.report),
                };
                computed.insert(Name::from(bound), expr);
                None
            }
            None => self.report.integer_at(fields, bound, path),
        });
        (numbers, (!computed.is_empty()).then(|| folded_object(computed)))
    }

    /// The work once, for each item, or in rounds.
    fn repeated(&mut self, body: Body, fields: &Fields, path: &Path<'_>, names: &Names<'_>) -> Action {
        let (bounds, computed) = self.bounds(fields, path, names);
        let open = self.report.bool_at(fields, "open", path);
        let enough = self.enough(fields, path, names);
        if let Some(list) = get(fields, "for_each") {
            let (at, before) = (path.field("for_each"), self.report.count());
            let over = expression(list, &at, names, &mut self.report);
            if is_no_list(&over) && before == self.report.count() {
                self.report.invalid(&at, "a list, or an expression such as \"${load.output.items}\"", list);
            }
            let [max_concurrent, tolerate, percent] = bounds;
            let mut map = Map::over(over, body).max_concurrent(max_concurrent).tolerate(tolerate.unwrap_or(0));
            map.tolerate_percent = percent;
            map.bounds = computed;
            map.open = open;
            map.completion = enough;
            return Action::Map(map);
        }
        let Some(value) = get(fields, "repeat") else { return Action::Do(body) };
        let at = path.field("repeat");
        let Some(fields) = self.report.object(value, &at, REPEAT) else { return Action::Do(body) };
        if get(fields, "most").is_none() {
            self.report.add(at, DocumentFaultKind::Missing { field: "most".to_owned() });
        }
        let most = self.report.integer_at(fields, "most", &at).unwrap_or(1);
        let until = get(fields, "until").map(|until| condition(until, &at.field("until"), names, &mut self.report));
        let whilst = get(fields, "while").map(|whilst| condition(whilst, &at.field("while"), names, &mut self.report));
        let mut repeat = Repeat::until(body, until.unwrap_or(Condition::Any(Vec::new())), most);
        repeat.while_ = whilst;
        repeat.finishes = self.report.keyword_at(fields, "beyond", &at, AFTER_LAST).unwrap_or_default();
        Action::Repeat(repeat)
    }
}

/// Whether a value stands for an expression and not for a number.
fn is_expression(value: &Value) -> bool {
    let from = value.as_object().is_some_and(|fields| fields.len() == 1 && fields.contains_key("from"));
    value.is_string() || from
}

/// A wait, which is a race if it waits for a condition.
fn wait_for(signal: Option<Name>, when: Option<Condition>, timer: Option<Duration>) -> Action {
    let Some(when) = when else { return Action::Wait { signal, timer } };
    let signal = signal.map(|signal| RaceOption::new("signal", WaitFor::signal(signal)));
    let timer = timer.map(|timer| RaceOption::new("timer", WaitFor::After(timer)));
    let when = RaceOption::new("when", WaitFor::When(when));
    Action::Race { options: signal.into_iter().chain([when]).chain(timer).collect() }
}

/// Whether an expression certainly gives something other than a list.
fn is_no_list(expr: &Expr) -> bool {
    if let Expr::Const(value) = expr {
        return !value.value().is_array();
    }
    matches!(expr, Expr::Object(_))
}
