//! The list of runs, and the form that starts one.

use super::Site;
use super::html::{Page, clock, encoded, escaped, hidden, option, span, table};
use super::pages::broken;
use super::session::Visitor;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::{Html, IntoResponse, Response};
use counterpoint::definition::{Definition, Presence};
use counterpoint::engine::{RunCursor, RunFilter, RunStanding, RunView};
use counterpoint::{Engine, RunOutcome, Time};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

/// The number of runs in a page.
const PAGE: usize = 50;
/// The most inputs of a workflow that are listed, and the most characters of a default.
const INPUTS: usize = 20;
const SHOWN: usize = 40;
/// The ages by which runs are filtered: those that began within a span, and those that began earlier.
const AGES: [(&str, &str, u64); 6] = [
    ("1h", "within an hour", 3_600),
    ("1d", "within a day", 86_400),
    ("7d", "within a week", 604_800),
    ("+1h", "more than an hour ago", 3_600),
    ("+1d", "more than a day ago", 86_400),
    ("+7d", "more than a week ago", 604_800),
];
/// The states by which runs are filtered.
const STATES: [(&str, &str); 6] = [
    ("going", "running"),
    ("stalled", "waiting"),
    ("paused", "paused"),
    ("finished", "ended"),
    ("succeeded", "succeeded"),
    ("failed", "failed"),
];

/// What is asked for.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Asked {
    workflow: String,
    standing: String,
    key: String,
    tenant: String,
    age: String,
    after: String,
}

/// The name of a run for people.
pub(super) fn name_of(run: &RunView<'_>) -> String {
    let spec = run.spec();
    match (spec.key(), &spec.business_key) {
        (Some(key), _) => key.to_string(),
        (None, Some(key)) => format!("{} {key}", run.definition().name),
        (None, None) => format!("{} {}", run.definition().name, run.id().get()),
    }
}

/// A word for the state of a run, with a class for its colour.
pub(super) fn state(run: &RunView<'_>) -> (&'static str, &'static str) {
    match run.outcome() {
        Some(RunOutcome::Succeeded { .. }) => ("good", "succeeded"),
        Some(RunOutcome::Compensated { .. }) => ("bad", "compensated"),
        Some(_) => ("bad", "failed"),
        None if run.paused().is_some() => ("wait", "paused"),
        None if run.standing() == RunStanding::Stalled => ("wait", "waits"),
        None => ("going", "running"),
    }
}

impl Asked {
    fn filter(&self, now: Time) -> RunFilter {
        let mut filter = RunFilter::default();
        if !self.workflow.is_empty() {
            filter = filter.with_workflow(self.workflow.as_str());
        }
        if !self.key.is_empty() {
            filter = filter.with_business_key(self.key.trim());
        }
        if !self.tenant.is_empty() {
            filter = filter.with_tenant(self.tenant.trim());
        }
        if let Some((word, _, seconds)) = AGES.iter().find(|(word, ..)| *word == self.age) {
            let ago = now.since(Time::ZERO).saturating_sub(Duration::from_secs(*seconds));
            let at = Time::ZERO + ago;
            filter = if word.starts_with('+') { filter.with_before(at) } else { filter.with_since(at) };
        }
        match self.standing.as_str() {
            "going" => filter.with_standing(RunStanding::Going),
            "stalled" => filter.with_standing(RunStanding::Stalled),
            "finished" | "succeeded" | "failed" => filter.with_standing(RunStanding::Finished),
            _ => filter,
        }
    }

    /// Whether a run that passes the filter has the state that is asked for.
    fn has_state(&self, run: &RunView<'_>) -> bool {
        match self.standing.as_str() {
            "succeeded" => matches!(run.outcome(), Some(RunOutcome::Succeeded { .. })),
            "failed" => !matches!(run.outcome(), Some(RunOutcome::Succeeded { .. })),
            "paused" => run.outcome().is_none() && run.paused().is_some(),
            _ => true,
        }
    }

    /// The query for the runs after a cursor.
    fn query(&self, after: &str) -> String {
        let fields = [
            ("workflow", self.workflow.as_str()),
            ("standing", &self.standing),
            ("key", &self.key),
            ("tenant", &self.tenant),
            ("age", &self.age),
            ("after", after),
        ];
        let set = fields.iter().filter(|(_, value)| !value.is_empty());
        set.map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&")
    }

    fn form(&self, names: &BTreeSet<String>) -> String {
        let workflows: String = names.iter().map(|name| option(name, name, &self.workflow)).collect();
        let states: String = STATES.iter().map(|(value, text)| option(value, text, &self.standing)).collect();
        let ages: String = AGES.iter().map(|(value, text, _)| option(value, text, &self.age)).collect();
        format!(
            "<form class=row role=search aria-label=\"Filter the runs\">
<label>Workflow <select name=workflow>{}{workflows}</select></label>
<label>State <select name=standing>{}{states}</select></label>
<label>Key <input name=key size=12 value=\"{}\"></label>
<label>Tenant <input name=tenant size=8 value=\"{}\"></label>
<label>Began <select name=age>{}{ages}</select></label>
<button>Filter</button></form>",
            option("", "all", &self.workflow),
            option("", "all", &self.standing),
            escaped(&self.key),
            escaped(&self.tenant),
            option("", "at any time", &self.age),
        )
    }
}

/// The row of a run.
fn row(run: &RunView<'_>, now: Time) -> String {
    let (class, word) = state(run);
    let waits = if run.outcome().is_some() { Vec::new() } else { run.waits_for() };
    let more = if waits.len() > 1 { format!(" and {} more", waits.len() - 1) } else { String::new() };
    let waits = waits.first().map_or_else(String::new, |wait| escaped(wait) + &more);
    let metrics = run.metrics();
    let took = span(metrics.ended.unwrap_or(now).since(run.began()));
    let tenant = run.spec().tenant.as_ref().map_or_else(String::new, |tenant| escaped(tenant));
    format!(
        "<tr><th scope=row><a href=\"/runs/{}\">{}</a><td>{} v{}<td><span class=\"state {class}\">{word}</span><td>{}<td>{took}<td>{tenant}<td>{waits}",
        run.id().get(),
        escaped(&name_of(run)),
        escaped(&run.definition().name),
        run.definition().version,
        clock(run.began()),
    )
}

/// A workflow.
#[derive(Default)]
struct Known {
    /// Whether runs of it can be started.
    is_offered: bool,
    /// The inputs that it declares, in words; empty if it takes any.
    inputs: String,
}

/// What the list shows of the engine.
struct Found {
    rows: String,
    next: Option<RunCursor>,
    /// The workflows by their names.
    workflows: BTreeMap<String, Known>,
}

fn look(engine: &Engine, asked: &Asked, now: Time) -> Found {
    let filter = asked.filter(now);
    let (mut rows, mut number) = (String::new(), 0);
    let mut cursor: Option<RunCursor> = serde_json::from_str(&asked.after).ok();
    // Each page visits a bounded number of runs; so do a few of them. What remains is on the next page.
    for _ in 0..4 {
        let page = engine.latest_runs(&filter, cursor, PAGE - number, |run| asked.has_state(run));
        for run in &page.runs {
            rows.push_str(&row(run, now));
        }
        number += page.runs.len();
        cursor = page.next;
        if cursor.is_none() || number >= PAGE {
            break;
        }
    }
    let mut workflows: BTreeMap<String, Known> = BTreeMap::new();
    for view in engine.definitions() {
        let known = workflows.entry(view.definition.name.to_string()).or_default();
        known.is_offered |= view.is_offered;
        if view.is_default {
            known.inputs = inputs(view.definition);
        }
    }
    Found { rows, next: cursor, workflows }
}

/// The inputs that a workflow declares, such as `topic (a string, required), words (an integer, else 500)`.
fn inputs(definition: &Definition) -> String {
    let declared = definition.inputs.iter().flatten().take(INPUTS).map(|(name, input)| match &input.presence {
        Presence::Required => format!("{name} ({}, required)", input.kind),
        Presence::Default(value) => format!("{name} ({}, else {})", input.kind, short(&value.to_string())),
        _ => format!("{name} ({})", input.kind),
    });
    declared.collect::<Vec<_>>().join(", ")
}

/// The beginning of a value.
fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The form that starts a run. Its id follows from a number in the form: a form that is sent twice starts one run.
fn start(workflows: &BTreeMap<String, Known>) -> String {
    let offered = || workflows.iter().filter(|(_, known)| known.is_offered);
    let hints: String = offered()
        .filter(|(_, known)| !known.inputs.is_empty())
        .map(|(name, known)| format!("<li><strong>{}</strong>: {}", escaped(name), escaped(&known.inputs)))
        .collect();
    let hints =
        if hints.is_empty() { hints } else { format!("<p class=dim>Inputs</p><ul class=dim id=inputs>{hints}</ul>") };
    let offered: String = offered().map(|(name, _)| option(name, name, "")).collect();
    if offered.is_empty() {
        return "<section id=start><p class=dim>No workflow is defined. Send one to <code>POST /v1/workflows</code>.</p></section>"
            .to_owned();
    }
    format!(
        "<section id=start><details id=starting><summary>Start a run</summary>
<form class=row method=post action=/start>{}<label>Workflow <select name=workflow>{offered}</select></label>
<label>Key <input name=key size=12></label>
<label>Input <textarea name=input rows=2 cols=28 placeholder=\"JSON, or nothing\"></textarea></label><button>Start</button></form>{hints}</details></section>",
        hidden("once", &crate::control::token())
    )
}

/// The list of runs.
pub(super) async fn runs(State(site): State<Site>, headers: HeaderMap, Query(asked): Query<Asked>) -> Response {
    let visitor = match Visitor::of(&site, &headers, "the runs") {
        Ok(visitor) => visitor,
        Err(answer) => return *answer,
    };
    let now = site.app.host().now();
    let look = move |engine: &Engine| {
        let found = look(engine, &asked, now);
        (found, asked)
    };
    let (found, asked) = match site.app.host().inspect(look).await {
        Ok(found) => found,
        Err(error) => return broken(error),
    };
    let names: BTreeSet<String> = found.workflows.keys().cloned().collect();
    let mut more = String::new();
    if !asked.after.is_empty() {
        let _ = write!(more, "<a href=\"/runs?{}\">The latest runs</a> ", escaped(&asked.query("")));
    }
    if let Some(next) = found.next.and_then(|cursor| serde_json::to_string(&cursor).ok()) {
        let _ = write!(more, "<a rel=next href=\"/runs?{}\">Earlier runs</a>", escaped(&asked.query(&next)));
    }
    let heads = ["Run", "Workflow", "State", "Began (UTC)", "Took", "Tenant", "Waits for"];
    let content = format!(
        "<section id=filter>{}</section>{}<section id=list>{}<p>{more}</p></section>",
        asked.form(&names),
        start(&found.workflows),
        table("Runs", &heads, &found.rows),
    );
    let page = Page { title: "Runs", path: "/runs", live: Some(""), visitor: visitor.principal.name.as_str() };
    Html(page.with(&content)).into_response()
}
