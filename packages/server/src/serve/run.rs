//! The page of one run.

use super::Site;
use super::forms::forms;
use super::gantt;
use super::html::{Page, clock, data, escaped, folded, section, span, table};
use super::pages::{broken, missing};
use super::runs::{name_of, state};
use super::session::Visitor;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{Html, IntoResponse, Response};
use counterpoint::engine::RunView;
use counterpoint::observe::{Bar, BarResult, Maker, Picture, RunLineage, Source};
use counterpoint::{Engine, RunId, RunOutcome, Time};
use std::fmt::Write as _;

/// The number of lines of a run's history.
const LINES: usize = 200;
/// The number of rows of a table.
const ROWS: usize = 300;

/// What the engine knows of a run, as HTML.
struct Told {
    title: String,
    head: String,
    waits: String,
    forms: String,
    nodes: String,
    input: String,
    output: String,
    history: String,
    /// The graph of a run that began before everything that is retained of the journal.
    graph: Option<String>,
    began: Time,
    ended: Option<Time>,
}

/// One run.
pub(super) async fn run(State(site): State<Site>, headers: HeaderMap, Path(id): Path<u64>) -> Response {
    let visitor = match Visitor::of(&site, &headers, "a run") {
        Ok(visitor) => visitor,
        Err(answer) => return *answer,
    };
    let id = RunId::new(id);
    let now = site.app.host().now();
    let svg = site.view.graph(id);
    let is_old = svg.is_none();
    let told = match site.app.host().inspect(move |engine| tell(engine, id, now, is_old)).await {
        Ok(told) => told,
        Err(error) => return broken(error),
    };
    let Some(told) = told else { return missing() };
    let forecast =
        site.view.forecast(id, now).map_or_else(String::new, |text| format!("<p>Forecast: {}</p>", escaped(&text)));
    let graph = svg.or(told.graph).map_or_else(String::new, |svg| {
        let graph = super::style::without_style(&svg);
        format!("<div class=picture role=region aria-label=Graph tabindex=0>{graph}</div>")
    });
    let bars = site.view.attempts(id, ROWS);
    let agent = |bar: &Bar| site.view.agent_name(bar.agent);
    let timeline = gantt::draw(&bars, told.began, told.ended.unwrap_or(now), agent);
    let lineage = site
        .board
        .lineage(id)
        .map_or_else(String::new, |lineage| lineage_rows(&lineage, |of| site.view.agent_name(of)));
    let relatives = relatives(&site, id);
    let list = |rows: &str, label: &str, heads: &[&str]| {
        if rows.is_empty() { String::new() } else { table(label, heads, rows) }
    };
    let attempts: String = bars.iter().rev().map(|bar| attempt_row(bar, agent(bar), now)).collect();
    let content = [
        format!("<section id=state>{}{relatives}{forecast}</section>", told.head),
        section("waits", "Waits for", &told.waits),
        section("operations", "Operations", &told.forms),
        section("graph", "Graph", &graph),
        section("timeline", "Timeline", &timeline),
        format!(
            "<div id=data class=grid>{}{}</div>",
            section("input", "Input", &told.input),
            section("output", "Output", &told.output)
        ),
        section("nodes", "Nodes", &table("Nodes", &["Node", "State", "Output"], &told.nodes)),
        section(
            "attempts",
            "Attempts, the latest first",
            &list(&attempts, "Attempts", &["Step", "Attempt", "Agent", "Began (UTC)", "Took", "Result"]),
        ),
        section("lineage", "Lineage", &list(&lineage, "Lineage", &["Output of", "Made by", "From", "At (UTC)"])),
        section("history", "History, the newest first", &list(&told.history, "History", &["At (UTC)", "Event"])),
    ];
    let (title, live) = (told.title, format!("?run={}", id.get()));
    let page = Page { title: &title, path: "/runs", live: Some(&live), visitor: visitor.principal.name.as_str() };
    Html(page.with(&content.concat())).into_response()
}

fn tell(engine: &Engine, id: RunId, now: Time, is_old: bool) -> Option<Told> {
    let run = engine.run(id)?;
    let drawn = || {
        let nodes = (0..).zip(run.nodes());
        nodes.fold(Picture::of(run.definition()), |drawn, (ix, node)| drawn.with_status(&[ix], node.status())).to_svg()
    };
    let waits: String = run.waits_for().iter().map(|wait| format!("<li>{}", escaped(wait))).collect();
    let waits = if run.outcome().is_some() || waits.is_empty() { String::new() } else { format!("<ul>{waits}</ul>") };
    let nodes = run.nodes().take(ROWS).map(|node| {
        let status = node.status().to_string();
        let name = node.name();
        let held = node.held().map_or_else(String::new, |_| " (held)".to_owned());
        format!(
            "<tr><th scope=row>{}<td>{}{held}<td>{}",
            escaped(&name),
            escaped(&status),
            folded(node.output().value(), &format!("Output of {name}"))
        )
    });
    let output = match run.outcome() {
        Some(RunOutcome::Succeeded { output }) => output.value().clone(),
        _ => run.output_so_far().value().clone(),
    };
    let history = engine.story(id).into_iter().rev().take(LINES);
    let history = history.map(|line| {
        format!(
            "<tr><td class=dim>{}<td>{}",
            clock(line.at),
            escaped(&counterpoint_playground::without_ids(&line.text))
        )
    });
    Some(Told {
        title: name_of(&run),
        head: head(&run, now),
        waits,
        forms: forms(engine, &run),
        nodes: nodes.collect(),
        input: data(run.spec().input.value()),
        output: data(&output),
        history: history.collect(),
        graph: is_old.then(drawn),
        began: run.began(),
        ended: run.metrics().ended,
    })
}

/// The state of a run in words.
fn head(run: &RunView<'_>, now: Time) -> String {
    let (class, word) = state(run);
    let cause = run.outcome().and_then(|outcome| outcome.cause().map(ToString::to_string));
    let cause = cause.map_or_else(String::new, |cause| format!(": {}", escaped(&cause)));
    let paused = run.paused().map_or_else(String::new, |reason| format!(": {}", escaped(reason)));
    let skipped: Vec<String> = run.skipped_by_operator().map(|node| escaped(&node.name())).collect();
    let skipped = match skipped.is_empty() {
        true => String::new(),
        false => format!("; skipped by an operator: {}", skipped.join(", ")),
    };
    let ended = run.metrics().ended;
    let mut facts = format!(
        "{} version {}, began {} UTC, {} {}",
        escaped(&run.definition().name),
        run.definition().version,
        clock(run.began()),
        if ended.is_some() { "took" } else { "for" },
        span(ended.unwrap_or(now).since(run.began()))
    );
    for (what, of) in [("key", &run.spec().business_key), ("tenant", &run.spec().tenant)] {
        if let Some(of) = of {
            let _ = write!(facts, ", {what} {}", escaped(of));
        }
    }
    let _ = write!(facts, ", tier {}", run.tier());
    format!(
        "<p role=status><span class=\"state {class}\">{word}</span>{cause}{paused}{skipped}</p><p class=dim>{facts}</p>"
    )
}

/// Links to the parent and the child runs.
fn relatives(site: &Site, id: RunId) -> String {
    let Some(progress) = site.view.progress(id) else { return String::new() };
    let link = |run: &RunId| format!("<a href=\"/runs/{0}\">{0}</a>", run.get());
    let mut found = String::new();
    if let Some(parent) = &progress.parent {
        let _ = write!(found, "<p>Child run of {}</p>", link(parent));
    }
    if !progress.children.is_empty() {
        let links: Vec<String> = progress.children.iter().take(50).map(link).collect();
        let _ = write!(found, "<p>Child runs: {}</p>", links.join(", "));
    }
    found
}

fn attempt_row(bar: &Bar, agent: String, now: Time) -> String {
    let class = match bar.result {
        BarResult::Succeeded => "good",
        BarResult::Failed | BarResult::Unknown => "bad",
        _ => "dim",
    };
    let note = bar.note.as_ref().map_or_else(String::new, |note| format!(": {}", escaped(note)));
    format!(
        "<tr><th scope=row>{}<td>{}<td>{}<td>{}<td>{}<td><span class={class}>{}</span>{note}",
        escaped(&gantt::step_name(bar)),
        bar.attempt,
        escaped(&agent),
        clock(bar.start),
        span(bar.end.unwrap_or(now).since(bar.start)),
        bar.result
    )
}

fn lineage_rows(lineage: &RunLineage, agent: impl Fn(counterpoint::AgentId) -> String) -> String {
    let rows = lineage.products.iter().take(ROWS).map(|product| {
        let by = match &product.by {
            Maker::Agent { by, attempt } => {
                format!("{}, attempt {}", escaped(&agent(by.agent())), attempt.number().get())
            }
            Maker::Known(task) => format!("a known result of task {}", task.get()),
            Maker::Run(run) => format!("<a href=\"/runs/{0}\">run {0}</a>", run.get()),
            _ => "the engine".to_owned(),
        };
        let undo = if product.undo { "compensation of " } else { "" };
        format!(
            "<tr><th scope=row>{undo}{}<td>{by}<td>{}<td>{}",
            escaped(&product.node),
            product.from.iter().map(source).collect::<Vec<_>>().join(", "),
            clock(product.at)
        )
    });
    let mut rows: String = rows.collect();
    if lineage.output.is_some() {
        let from: Vec<String> = lineage.output_from.iter().map(source).collect();
        let _ = write!(rows, "<tr><th scope=row>the run<td>the engine<td>{}<td>", from.join(", "));
    }
    rows
}

fn source(of: &Source) -> String {
    match of {
        Source::Input => "the input of the run".to_owned(),
        Source::Node(node) => escaped(node),
        Source::Variable(name) => format!("variable {}", escaped(name)),
        Source::Signal(name) => format!("signal {}", escaped(name)),
        Source::PreviousRound => "the round before".to_owned(),
        _ => "another source".to_owned(),
    }
}
