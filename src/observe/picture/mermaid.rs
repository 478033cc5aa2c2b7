//! Mermaid flowcharts.

use super::{Arrow, EMPTY, Frame, Item, Shape, colours};
use crate::definition::On;
use crate::message::run::NodeStatus;
use core::fmt::Write as _;
use std::collections::BTreeMap;

/// Statements that are collected while frames are drawn, and written at the end.
#[derive(Default)]
struct Later {
    classes: BTreeMap<NodeStatus, Vec<String>>,
    pivots: Vec<String>,
    arrows: usize,
    failures: Vec<String>,
}

pub(super) fn draw(name: &str, scene: &Frame) -> String {
    let mut out = String::from("flowchart TB\n");
    let mut later = Later::default();
    let _ = writeln!(out, "  title[\"{}\"]", escape(name));
    if scene.is_empty() {
        let _ = writeln!(out, "  none[\"{}\"]", escape(EMPTY));
    }
    frame(&mut out, scene, 1, &mut later);
    let _ = writeln!(out, "  classDef title fill:none,stroke:none,font-weight:bold");
    let _ = writeln!(out, "  class title title");
    for (status, ids) in &later.classes {
        if let Some([fill, line, text]) = colours(*status) {
            let class = class_of(*status);
            let dash = if matches!(status, NodeStatus::Skipped | NodeStatus::UpstreamFailed) {
                ",stroke-dasharray:4 3"
            } else {
                ""
            };
            let _ = writeln!(out, "  classDef {class} fill:{fill},stroke:{line},color:{text}{dash}");
            let _ = writeln!(out, "  class {} {class}", ids.join(","));
        }
    }
    for id in &later.pivots {
        let _ = writeln!(out, "  style {id} stroke-width:4px");
    }
    if !later.failures.is_empty() {
        let _ = writeln!(out, "  linkStyle {} stroke:#c9303a,color:#c9303a", later.failures.join(","));
    }
    out
}

fn frame(out: &mut String, scene: &Frame, depth: usize, later: &mut Later) {
    let pad = "  ".repeat(depth);
    for item in &scene.items {
        node(out, item, depth, later);
    }
    if scene.missing > 0 {
        let last = scene.items.last().map_or("n", |item| item.id.as_str());
        let _ = writeln!(out, "{pad}{last}more[\"and {} more\"]", scene.missing);
    }
    for arrow in &scene.arrows {
        link(out, arrow, &pad, later);
    }
}

fn node(out: &mut String, item: &Item, depth: usize, later: &mut Later) {
    let pad = "  ".repeat(depth);
    // The title of a frame has one line.
    let between = if item.inner.is_some() { " · " } else { "<br/>" };
    let label = item.lines.iter().map(|line| escape(line)).collect::<Vec<_>>().join(between);
    let id = &item.id;
    if let Some(inner) = &item.inner {
        let _ = writeln!(out, "{pad}subgraph {id}[\"{label}\"]");
        frame(out, inner, depth.saturating_add(1), later);
        let _ = writeln!(out, "{pad}end");
    } else {
        let (open, close) = match item.shape {
            Shape::Task => ("[", "]"),
            Shape::Flow | Shape::Map => ("[[", "]]"),
            Shape::Choice => ("{", "}"),
            Shape::Repeat => ("([", "])"),
            Shape::Wait => ("{{", "}}"),
            Shape::Pass => ("((", "))"),
        };
        let _ = writeln!(out, "{pad}{id}{open}\"{label}\"{close}");
    }
    if let Some(status) = item.status {
        later.classes.entry(status).or_default().push(id.clone());
    }
    if item.pivot {
        later.pivots.push(id.clone());
    }
}

fn link(out: &mut String, arrow: &Arrow, pad: &str, later: &mut Later) {
    let Arrow { from, to, on } = arrow;
    let _ = match on {
        On::Success => writeln!(out, "{pad}{from} --> {to}"),
        On::Failure => {
            later.failures.push(later.arrows.to_string());
            writeln!(out, "{pad}{from} -. \"on failure\" .-> {to}")
        }
        On::Always => writeln!(out, "{pad}{from} -- \"always\" --> {to}"),
        On::Each => writeln!(out, "{pad}{from} -- \"each\" --> {to}"),
        On::Case(case) => writeln!(out, "{pad}{from} -- \"{}\" --> {to}", escape(&super::line(case, super::SHOWN))),
    };
    later.arrows = later.arrows.saturating_add(1);
}

/// Within double quotes, letters, digits and safe punctuation are written as they are; all other characters become
/// entities, which have no meaning in Mermaid's syntax, its Markdown and the generated HTML.
pub(in crate::observe) fn escape(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        // A list or a heading of Markdown begins with punctuation; within a text a dash is safe.
        let dash = letter == '-' && !out.is_empty();
        if dash || letter.is_alphanumeric() || matches!(letter, ' ' | '_' | ',' | '(' | ')' | '/' | '…' | '↩') {
            out.push(letter);
        } else {
            let _ = write!(out, "#{};", u32::from(letter));
        }
    }
    if out.is_empty() {
        // Mermaid rejects an empty text.
        out.push(' ');
    }
    out
}

const fn class_of(status: NodeStatus) -> &'static str {
    match status {
        NodeStatus::Waiting => "waiting",
        NodeStatus::Running => "running",
        NodeStatus::Succeeded => "succeeded",
        NodeStatus::Failed => "failed",
        NodeStatus::Skipped => "skipped",
        NodeStatus::UpstreamFailed => "upstreamFailed",
        NodeStatus::Cancelled => "cancelled",
        NodeStatus::Compensating => "compensating",
        NodeStatus::Compensated => "compensated",
        NodeStatus::CompensationFailed => "compensationFailed",
        NodeStatus::Abandoned => "abandoned",
    }
}
