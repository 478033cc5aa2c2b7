//! DOT digraphs.

use super::{EMPTY, Frame, Item, Shape, colours};
use crate::definition::On;
use crate::message::run::NodeStatus;
use core::fmt::Write as _;
use std::collections::BTreeMap;

const HEAD: &str = "  compound=true
  rankdir=TB
  nodesep=0.35
  ranksep=0.45
  labelloc=t
  fontname=\"Helvetica,Arial,sans-serif\"
  node [fontname=\"Helvetica,Arial,sans-serif\" fontsize=11 shape=box style=\"rounded,filled\" fillcolor=\"#ffffff\" color=\"#5b6675\" margin=\"0.16,0.08\"]
  edge [fontname=\"Helvetica,Arial,sans-serif\" fontsize=10 color=\"#5b6675\" fontcolor=\"#3a4049\" arrowsize=0.7]
";

pub(super) fn draw(name: &str, scene: &Frame) -> String {
    let mut out = format!("digraph workflow {{\n  label={}\n{HEAD}", quote(&[name.to_owned()]));
    if scene.is_empty() {
        let _ = writeln!(out, "  none [shape=plaintext style=\"\" label={}]", quote(&[EMPTY.to_owned()]));
    }
    frame(&mut out, scene, 1);
    out.push_str("}\n");
    out
}

fn frame(out: &mut String, scene: &Frame, depth: usize) {
    let pad = "  ".repeat(depth);
    for item in &scene.items {
        node(out, item, depth);
    }
    if scene.missing > 0 {
        let last = scene.items.last().map_or("n", |item| item.id.as_str());
        let _ = writeln!(out, "{pad}{last}_more [shape=plaintext style=\"\" label=\"and {} more\"]", scene.missing);
    }
    let items: BTreeMap<&str, &Item> = scene.items.iter().map(|item| (item.id.as_str(), item)).collect();
    for arrow in &scene.arrows {
        let (tail, from_frame) = end(&items, &arrow.from, End::Last);
        let (head, to_frame) = end(&items, &arrow.to, End::First);
        let mut traits: Vec<String> = match &arrow.on {
            On::Success => vec![],
            On::Failure => {
                vec!["label=\" on failure\" style=dashed color=\"#c9303a\" fontcolor=\"#c9303a\"".to_owned()]
            }
            On::Always => vec!["label=\" always\" style=bold".to_owned()],
            On::Each => vec!["label=\" each\"".to_owned()],
            On::Case(case) => vec![format!("label={}", quote(&[format!(" {}", super::line(case, super::SHOWN))]))],
        };
        traits.extend(from_frame.then(|| format!("ltail=cluster_{}", arrow.from)));
        traits.extend(to_frame.then(|| format!("lhead=cluster_{}", arrow.to)));
        let traits = if traits.is_empty() { String::new() } else { format!(" [{}]", traits.join(" ")) };
        let _ = writeln!(out, "{pad}{tail} -> {head}{traits}");
    }
}

fn node(out: &mut String, item: &Item, depth: usize) {
    let pad = "  ".repeat(depth);
    let [fill, line, text] = item.status.and_then(colours).unwrap_or(["#ffffff", "#5b6675", "#1f2630"]);
    let width = if item.pivot { 3 } else { 1 };
    let id = &item.id;
    if let Some(inner) = &item.inner {
        let fill = if item.status.is_some() { fill } else { "#f6f7f9" };
        let _ = writeln!(out, "{pad}subgraph cluster_{id} {{");
        let _ = writeln!(
            out,
            "{pad}  label={} style=\"rounded,filled\" fillcolor=\"{fill}\" color=\"{line}\" fontcolor=\"{text}\" fontsize=11 penwidth={width}",
            quote(&item.lines)
        );
        frame(out, inner, depth.saturating_add(1));
        let _ = writeln!(out, "{pad}}}");
        return;
    }
    let mut style = match item.shape {
        Shape::Task => "",
        Shape::Flow => " shape=component style=filled",
        Shape::Choice => " shape=diamond style=filled margin=\"0.02,0.02\"",
        Shape::Map => " shape=box3d style=filled",
        Shape::Repeat => " shape=box style=\"rounded,filled\" peripheries=2",
        Shape::Wait => " shape=hexagon style=filled",
        Shape::Pass => " shape=circle style=filled margin=\"0.02,0.02\"",
    }
    .to_owned();
    if matches!(item.status, Some(NodeStatus::Skipped | NodeStatus::UpstreamFailed)) {
        style = style.replace("filled", "filled,dashed");
        if style.is_empty() {
            style.push_str(" style=\"rounded,filled,dashed\"");
        } else if style.contains("style=filled,dashed") {
            style = style.replace("style=filled,dashed", "style=\"filled,dashed\"");
        }
    }
    if item.status.and_then(colours).is_some() {
        let _ = write!(style, " fillcolor=\"{fill}\" color=\"{line}\" fontcolor=\"{text}\"");
    }
    if item.pivot {
        style.push_str(" penwidth=3");
    }
    let _ = writeln!(out, "{pad}{id} [label={}{style}]", quote(&item.lines));
}

#[derive(Clone, Copy)]
enum End {
    First,
    Last,
}

/// Arrows connect nodes, not frames. Returns the node inside a frame that represents it, and whether it is a frame.
fn end<'a>(items: &BTreeMap<&str, &'a Item>, id: &'a str, which: End) -> (&'a str, bool) {
    let mut frame = items.get(id).and_then(|item| item.inner.as_ref());
    let (mut at, inside) = (id, frame.is_some());
    while let Some(inner) = frame {
        let item = match which {
            End::First => inner.items.first(),
            End::Last => inner.items.last(),
        };
        let Some(item) = item else { break };
        at = &item.id;
        frame = item.inner.as_ref();
    }
    (at, inside)
}

/// A quoted string of lines.
pub(in crate::observe) fn quote(lines: &[String]) -> String {
    let mut out = String::from("\"");
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            out.push_str("\\n");
        }
        for letter in line.chars() {
            match letter {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                // Graphviz reads HTML entities in labels.
                '&' => out.push_str("&amp;"),
                letter => out.push(letter),
            }
        }
    }
    out.push('"');
    out
}
