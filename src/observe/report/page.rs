//! The page of a run: without scripts and external resources, with all texts escaped.

use super::{Report, Row, StoryLine};
use crate::base::draw::{Span, xml};
use crate::base::id::NodeIx;
use crate::base::time::Time;
use crate::message::run::{NodeStatus, RunPhase};
use crate::observe::{Maker, Product, RunProgress, Source};
use core::fmt::{Display, Write as _};

const STYLE: &str = include_str!("page.css");
/// Style rules beyond the common style.
const OWN: &str = ".card svg{display:block;max-width:100%;height:auto}
td.words{text-align:left;white-space:normal;overflow-wrap:anywhere;min-width:220px}
.dot.good{background:var(--good)}.dot.bad{background:var(--concern)}.dot.busy{background:var(--accent)}
.dot.idle{background:var(--faint)}
.track{display:block;position:relative;width:150px;height:8px;border-radius:4px;background:var(--track)}
.track i{position:absolute;top:0;height:8px;min-width:3px;border-radius:4px;background:var(--accent)}
";
/// The number of story lines that are visible at first.
const AT_ONCE: usize = 40;
/// The number of characters of a text in a cell.
const SHOWN: usize = 200;

pub(super) fn render(report: &Report, progress: &RunProgress) -> String {
    let title = format!("{} ({})", progress.workflow, progress.run);
    let mut page = String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n");
    let _ = writeln!(page, "<title>{}</title>\n<style>\n{STYLE}{OWN}</style>\n</head>\n<body>\n<main>", text(&title));
    page.push_str(&header(report, progress));
    page.push_str(&waits(progress));
    page.push_str(&section("Timeline", "Each lane is an agent, each bar an attempt.", &timeline(report, progress)));
    page.push_str(&section(
        "Nodes",
        "In the order of the definition; times are relative to the start.",
        &nodes(report, progress),
    ));
    page.push_str(&lineage(report));
    page.push_str(&story(report, progress));
    page.push_str("<footer>Computed from the events in the journal.</footer>\n</main>\n</body>\n</html>\n");
    page
}

fn text(words: &dyn Display) -> String {
    xml(&words.to_string(), SHOWN)
}

/// A section with a heading and a hint. Both are constant texts of this module.
fn section(title: &str, hint: &str, content: &str) -> String {
    format!(
        "<section>\n<h2>{title}</h2>\n<p class=\"hint\">{hint}</p>\n<div class=\"card\">{content}</div>\n</section>\n"
    )
}

fn header(report: &Report, progress: &RunProgress) -> String {
    let outcome = progress.outcome.as_deref();
    let stands = outcome.map_or_else(|| progress.phase.to_string(), ToString::to_string);
    let attempts: u32 = report.nodes.values().map(|row| row.attempts).sum();
    let failed: u32 = report.nodes.values().map(|row| row.failed).sum();
    let agents: std::collections::BTreeSet<_> = report.nodes.values().flat_map(|row| &row.agents).collect();
    let until = progress.ended.or_else(|| report.lines.last().map(|line| line.at)).unwrap_or(progress.started);
    let took = if progress.ended.is_some() { "from start to end" } else { "so far" };
    let keys = [
        (Span::from(until - progress.started).to_string(), took),
        (format!("{} of {}", progress.nodes.over, progress.nodes.total), "nodes ended"),
        (attempts.to_string(), "attempts"),
        (failed.to_string(), "of them failed"),
        (agents.len().to_string(), "agents"),
        (report.runs.len().saturating_sub(1).to_string(), "child runs"),
    ];
    let skipped = progress.skipped_text().map_or_else(String::new, |skipped| format!("; {skipped}"));
    let mut out = format!(
        "<header>\n<p class=\"kicker\">Run {}</p>\n<h1>{}</h1>\n<p class=\"lead\">The run {}.</p>\n<div class=\"keys\">\n",
        text(&progress.run),
        text(&progress.workflow),
        text(&if outcome.is_some() { format!("{stands}{skipped}") } else { format!("is {stands}{skipped}") }),
    );
    for (number, meaning) in keys {
        let number = text(&number);
        let _ = writeln!(out, "<div class=\"card\"><div class=\"num\">{number}</div><p>{meaning}</p></div>");
    }
    out.push_str("</div>\n</header>\n");
    out
}

fn waits(progress: &RunProgress) -> String {
    if progress.phase == RunPhase::Finished || progress.waits.is_empty() {
        return String::new();
    }
    let mut list = String::from("<ul class=\"list\">\n");
    for wait in &progress.waits {
        let _ = writeln!(list, "<li>{}</li>", text(wait));
    }
    if progress.more_waits > 0 {
        let _ = writeln!(list, "<li class=\"quiet\">and {} more</li>", progress.more_waits);
    }
    list.push_str("</ul>");
    section("What it waits for", "The run is under way.", &list)
}

fn timeline(report: &Report, progress: &RunProgress) -> String {
    if report.timeline.bars().next().is_none() {
        return "<p class=\"quiet\">No attempts.</p>".to_owned();
    }
    format!("<div class=\"timeline\">{}</div>", report.timeline_svg(progress))
}

fn nodes(report: &Report, progress: &RunProgress) -> String {
    let mut out = String::from(
        "<div class=\"scroll\"><table>\n<tr><th>node</th><th style=\"text-align:left\">status</th><th>began</th><th>took</th><th></th><th>attempts</th>\
         <th>failed</th><th style=\"text-align:left\">agents</th><th style=\"text-align:left\">outcome</th></tr>\n",
    );
    let count = report.progress.definition(report.run).map_or(0, |flow| flow.nodes.len());
    let known = report.nodes.keys().copied();
    let declared = (0..u32::try_from(count).unwrap_or(u32::MAX)).map(NodeIx::new);
    let nodes: std::collections::BTreeSet<NodeIx> = declared.chain(known).collect();
    for ix in nodes {
        let none = Row::default();
        let row = report.nodes.get(&ix).unwrap_or(&none);
        let name =
            report.names.catalog.node(report.run, ix).map_or_else(|| ix.to_string(), |node| node.name.to_string());
        let status = report.progress.node(report.run, ix);
        let _ = writeln!(out, "{}", node_row(report, progress, &name, status, row));
    }
    out.push_str("</table></div>");
    out
}

fn node_row(report: &Report, progress: &RunProgress, name: &str, status: Option<NodeStatus>, row: &Row) -> String {
    let (began, took) = match (row.began, row.ended) {
        (Some(began), Some(ended)) => (since(progress, began), Span::from(ended - began).to_string()),
        (Some(began), None) => (since(progress, began), String::new()),
        (None, _) => (String::new(), String::new()),
    };
    let same = |outcome: &str| status.is_some_and(|status| status.to_string() == outcome);
    let agents: Vec<String> = row
        .agents
        .iter()
        .map(|agent| report.agents.get(agent).map_or_else(|| agent.to_string(), ToString::to_string))
        .collect();
    format!(
        "<tr><td>{}</td><td style=\"text-align:left\"><span class=\"dot {}\"></span>{}</td><td>{began}</td><td>{took}</td><td>{}</td><td>{}</td><td>{}</td>\
         <td class=\"words\">{}</td><td class=\"words quiet\">{}</td></tr>",
        text(&name),
        colour(status),
        status.map_or_else(String::new, |status| text(&status)),
        track(progress, row),
        row.attempts,
        row.failed,
        text(&agents.join(", ")),
        row.outcome.as_ref().filter(|outcome| !same(outcome)).map_or_else(String::new, |outcome| text(outcome)),
    )
}

/// The time span of a node within that of the run.
fn track(progress: &RunProgress, row: &Row) -> String {
    let (Some(began), Some(ended), Some(over)) = (row.began, row.ended, progress.ended) else { return String::new() };
    let whole = (over - progress.started).as_secs_f64();
    if whole <= 0.0 {
        return String::new();
    }
    let share = |span: core::time::Duration| (span.as_secs_f64() / whole * 100.0).min(100.0);
    let (left, wide) = (share(began - progress.started), share(ended - began));
    format!("<span class=\"track\"><i style=\"left:{left:.1}%;width:{wide:.1}%\"></i></span>")
}

const fn colour(status: Option<NodeStatus>) -> &'static str {
    match status {
        Some(NodeStatus::Succeeded | NodeStatus::Compensated) => "good",
        Some(NodeStatus::Failed | NodeStatus::CompensationFailed) => "bad",
        Some(NodeStatus::Running | NodeStatus::Compensating) => "busy",
        Some(
            NodeStatus::Waiting
            | NodeStatus::Skipped
            | NodeStatus::UpstreamFailed
            | NodeStatus::Cancelled
            | NodeStatus::Abandoned,
        )
        | None => "idle",
    }
}

fn since(progress: &RunProgress, at: Time) -> String {
    let span = at - progress.started;
    if span.is_zero() { "0".to_owned() } else { Span::from(span).to_string() }
}

fn lineage(report: &Report) -> String {
    let made = report.lineage.run(report.run);
    let Some(made) = made.filter(|made| !made.products.is_empty()) else { return String::new() };
    let mut out = String::from(
        "<div class=\"scroll\"><table>\n<tr><th>output of</th><th style=\"text-align:left\">made by</th><th>bytes</th>\
         <th style=\"text-align:left\">from</th></tr>\n",
    );
    for product in &made.products {
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td class=\"words\">{}</td><td>{}</td><td class=\"words quiet\">{}</td></tr>",
            text(&product_name(product)),
            text(&maker(report, &product.by)),
            product.output.map_or_else(String::new, |print| print.bytes.to_string()),
            text(&sources(&product.from)),
        );
    }
    if let Some(print) = made.output {
        let from = text(&sources(&made.output_from));
        let _ = writeln!(
            out,
            "<tr><td><b>the run</b></td><td></td><td>{}</td><td class=\"words quiet\">{from}</td></tr>",
            print.bytes
        );
    }
    out.push_str("</table></div>");
    section("Lineage", "Every output of a node, and its sources by the definition.", &out)
}

fn product_name(product: &Product) -> String {
    let item = if product.item > 0 { format!(" [{}]", product.item) } else { String::new() };
    format!("{}{item}{}", product.node, if product.undo { ", compensation" } else { "" })
}

fn maker(report: &Report, by: &Maker) -> String {
    match by {
        Maker::Agent { attempt, by } => {
            let name = report.agents.get(&by.agent()).map_or_else(|| by.agent().to_string(), ToString::to_string);
            format!("{name}, attempt {} of {}", attempt.number(), report.names.task(attempt.task()))
        }
        Maker::Known(task) => format!("reused from {}", report.names.task(*task)),
        Maker::Run(run) => format!("run {}", report.names.run(*run)),
        Maker::Core => "the engine".to_owned(),
    }
}

fn sources(from: &std::collections::BTreeSet<Source>) -> String {
    let name = |source: &Source| match source {
        Source::Input => "the input".to_owned(),
        Source::Node(node) => node.to_string(),
        Source::Variable(variable) => format!("the variable {variable}"),
        Source::PreviousRound => "the previous round".to_owned(),
        Source::Signal(signal) => format!("the signal {signal}"),
    };
    from.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn story(report: &Report, progress: &RunProgress) -> String {
    let row = |line: &StoryLine| {
        let (at, words) = (since(progress, line.at), text(&line.text));
        format!("<tr><td>{at}</td><td class=\"words\">{words}</td><td class=\"quiet\">{}</td></tr>\n", line.seq)
    };
    let (first, rest) = report.lines.split_at(AT_ONCE.min(report.lines.len()));
    let table = |lines: &[StoryLine]| format!("<table>\n{}</table>", lines.iter().map(row).collect::<String>());
    let mut out = format!("<div class=\"scroll\">{}</div>", table(first));
    if !rest.is_empty() {
        let _ = write!(
            out,
            "<details><summary>{} more</summary><div class=\"scroll\">{}</div></details>",
            rest.len(),
            table(rest)
        );
    }
    if report.more_lines > 0 {
        let _ = write!(out, "<p class=\"quiet\">and {} events that are not shown</p>", report.more_lines);
    }
    section("Story", "Every event of the run, its tasks and its child runs.", &out)
}
