//! Workflows as SVG: layers from top to bottom, nested frames, statuses as colours and as text.

use super::layout::{Arrowed, Boxed, Layout, Route};
use super::{EMPTY, Frame, Item, Shape, colours};
use crate::base::draw::{fit, theme, width, xml};
use crate::definition::On;
use crate::message::run::NodeStatus;
use core::fmt::Write as _;
use std::collections::BTreeSet;

/// Lengths in pixels.
const LINE: u64 = 15;
const PADDING: u64 = 9;
const MARGIN: u64 = 20;
const HEAD: u64 = 40;
/// The maximum number of letters in a line.
const LETTERS: usize = 48;
/// The maximum number of arrows in a frame.
const ARROWS: usize = 600;
/// The maximum width of the text of a box.
const WIDEST: u64 = 250;

/// The rules beyond the common style.
const RULES: &str = "\
.cpw .box{fill:#fff;stroke:#66707e;stroke-width:1.2}.cpw .frame{fill:#f4f6f8;stroke:#8a94a3;stroke-width:1}\
.cpw .pivot{stroke-width:3.6}.cpw .a{fill:none;stroke:#66707e;stroke-width:1.2}\
.cpw .af{fill:none;stroke:#c9303a;stroke-width:1.2;stroke-dasharray:5 3}\
.cpw .on{font-size:10px;paint-order:stroke;stroke:#fff;stroke-width:3px}\
@media (prefers-color-scheme:dark){\
.cpw .box{fill:#191f28;stroke:#9aa5b4}.cpw .frame{fill:#161b23}.cpw .on{stroke:#12161d}}";

/// All statuses of a node, in the order of the legend.
const STATUSES: [NodeStatus; 11] = [
    NodeStatus::Waiting,
    NodeStatus::Running,
    NodeStatus::Succeeded,
    NodeStatus::Failed,
    NodeStatus::Skipped,
    NodeStatus::UpstreamFailed,
    NodeStatus::Cancelled,
    NodeStatus::Compensating,
    NodeStatus::Compensated,
    NodeStatus::CompensationFailed,
    NodeStatus::Abandoned,
];

/// The name of a status in class names.
const fn word(status: NodeStatus) -> &'static str {
    match status {
        NodeStatus::Waiting => "waiting",
        NodeStatus::Running => "running",
        NodeStatus::Succeeded => "succeeded",
        NodeStatus::Failed => "failed",
        NodeStatus::Skipped => "skipped",
        NodeStatus::UpstreamFailed => "upstream-failed",
        NodeStatus::Cancelled => "cancelled",
        NodeStatus::Compensating => "compensating",
        NodeStatus::Compensated => "compensated",
        NodeStatus::CompensationFailed => "compensation-failed",
        NodeStatus::Abandoned => "abandoned",
    }
}

/// The rules for the colours of statuses. They are classes and not style attributes, which the content security policy of a
/// page may exclude, and are the same in all diagrams, so that a page can have them once.
fn status_rules() -> String {
    STATUSES.into_iter().filter_map(|status| Some((status, colours(status)?))).fold(
        String::new(),
        |mut rules, (status, [fill, line, text])| {
            let word = word(status);
            let dashed = matches!(status, NodeStatus::Skipped | NodeStatus::UpstreamFailed);
            let dash = if dashed { ";stroke-dasharray:4 3" } else { "" };
            let _ = write!(rules, ".cpw .s-{word}{{fill:{fill};stroke:{line}{dash}}}.cpw .i-{word}{{fill:{text}}}");
            rules
        },
    )
}

/// The class for the colour of a status, after a space: `s` for areas, `i` for text.
fn class_of(status: Option<NodeStatus>, of: char) -> String {
    let coloured = status.filter(|status| colours(*status).is_some());
    coloured.map_or(String::new(), |status| format!(" {of}-{}", word(status)))
}

pub(super) fn draw(name: &str, scene: &Frame) -> String {
    let placed = place(scene);
    let statuses = statuses(scene);
    let legend = legend_rows(&statuses, placed.layout.width.max(320));
    let title = width(name) * 17 / 110 + 2 * MARGIN;
    let wide = (placed.layout.width + 2 * MARGIN).max(title).max(if statuses.is_empty() && !scene.is_empty() {
        0
    } else {
        360
    });
    let high = placed.layout.height + HEAD + 2 * MARGIN + legend.len() as u64 * 22;
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"cpw\" viewBox=\"0 0 {wide} {high}\" width=\"{wide}\" \
         height=\"{high}\" role=\"img\">"
    );
    let of_statuses = if statuses.is_empty() { String::new() } else { status_rules() };
    let _ = writeln!(out, "<title>{}</title>\n<style>{}{RULES}{of_statuses}</style>", xml(name, 80), theme("cpw"));
    out.push_str(
        "<defs><marker id=\"cpw-a\" viewBox=\"0 0 8 8\" refX=\"7.5\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
         orient=\"auto\"><path d=\"M0,0.5 L8,4 L0,7.5 z\" fill=\"#66707e\"/></marker>\
         <marker id=\"cpw-f\" viewBox=\"0 0 8 8\" refX=\"7.5\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
         orient=\"auto\"><path d=\"M0,0.5 L8,4 L0,7.5 z\" fill=\"#c9303a\"/></marker></defs>\n",
    );
    let _ = writeln!(out, "<rect class=\"bg\" width=\"{wide}\" height=\"{high}\"/>");
    let _ = writeln!(out, "<text class=\"h ink\" x=\"{MARGIN}\" y=\"27\">{}</text>", xml(name, 80));
    if scene.is_empty() {
        let _ = writeln!(out, "<text class=\"dim\" x=\"{MARGIN}\" y=\"{}\">{EMPTY}</text>", HEAD + 8);
    }
    frame(&mut out, scene, &placed, MARGIN, HEAD + MARGIN / 2);
    let bottom = high - legend.len() as u64 * 22 - 6;
    for (row, statuses) in legend.iter().enumerate() {
        legend_row(&mut out, statuses, bottom + row as u64 * 22);
    }
    out.push_str("</svg>\n");
    out
}

/// A frame with the positions of its boxes.
struct Placed {
    layout: Layout,
    inner: Vec<Option<Self>>,
}

fn place(scene: &Frame) -> Placed {
    let inner: Vec<Option<Placed>> = scene.items.iter().map(|item| item.inner.as_ref().map(place)).collect();
    let boxes = scene.items.iter().zip(&inner).map(|(item, inner)| size(item, inner.as_ref()));
    let mut boxes: Vec<Boxed> = boxes.collect();
    if scene.missing > 0 {
        boxes.push(Boxed { width: 90, height: 24 });
    }
    let place = |id: &str| scene.items.iter().position(|item| item.id == id);
    let arrows = shown(scene).filter_map(|arrow| {
        let label = text_of(&arrow.on).map_or(0, |label| width(&label) / 10 + 8);
        Some(Arrowed { from: place(&arrow.from)?, to: place(&arrow.to)?, label })
    });
    let arrows: Vec<Arrowed> = arrows.collect();
    Placed { layout: Layout::new(&boxes, &arrows), inner }
}

/// The size of a node's box, with its text and its content.
fn size(item: &Item, inner: Option<&Placed>) -> Boxed {
    let texts = item.lines.iter().map(|line| width(line) / 10);
    let text = texts.max().unwrap_or(0).min(WIDEST) + 2 * PADDING + if slanted(item.shape) { 28 } else { 0 };
    let lines = item.lines.len() as u64 * LINE + 2 * PADDING;
    match inner {
        Some(inner) => {
            Boxed { width: (inner.layout.width + 2 * PADDING).max(text), height: inner.layout.height + lines + PADDING }
        }
        None => Boxed { width: text.max(70), height: lines },
    }
}

const fn slanted(shape: Shape) -> bool {
    matches!(shape, Shape::Choice | Shape::Wait)
}

fn frame(out: &mut String, scene: &Frame, placed: &Placed, left: u64, top: u64) {
    for (item, (at, inner)) in scene.items.iter().zip(placed.layout.places.iter().zip(&placed.inner)) {
        let (x, y, wide, high) = (left + at.x, top + at.y, at.width, at.height);
        node(out, item, (x, y, wide, high), inner.is_some());
        if let (Some(scene), Some(inner)) = (&item.inner, inner) {
            let rows = item.lines.len() as u64;
            let inside = x + wide.saturating_sub(inner.layout.width) / 2;
            frame(out, scene, inner, inside, y + rows * LINE + 2 * PADDING);
        }
    }
    if let (true, Some(at)) = (scene.missing > 0, placed.layout.places.get(scene.items.len())) {
        let (x, y) = (left + at.x, top + at.y + LINE);
        let _ = writeln!(out, "<text class=\"dim\" x=\"{x}\" y=\"{y}\">and {} more</text>", scene.missing);
    }
    for route in &placed.layout.routes {
        if let Some(arrow) = shown(scene).nth(route.arrow) {
            line(out, route, &arrow.on, left, top);
        }
    }
}

/// The arrows that are drawn, up to the maximum.
fn shown(scene: &Frame) -> impl Iterator<Item = &super::Arrow> {
    let ids: BTreeSet<&str> = scene.items.iter().map(|item| item.id.as_str()).collect();
    let known = move |arrow: &&super::Arrow| ids.contains(arrow.from.as_str()) && ids.contains(arrow.to.as_str());
    scene.arrows.iter().filter(known).take(ARROWS)
}

fn node(out: &mut String, item: &Item, (x, y, wide, high): (u64, u64, u64, u64), framed: bool) {
    let pivot = if item.pivot { " pivot" } else { "" };
    let class = if framed { "frame" } else { "box" };
    let style = class_of(item.status, 's');
    let (right, bottom, middle) = (x + wide, y + high, y + high / 2);
    if slanted(item.shape) && !framed {
        let (inner, outer) = (x + 14, right - 14);
        let _ = writeln!(
            out,
            "<path class=\"{class}{pivot}{style}\" d=\"M{inner},{y} H{outer} L{right},{middle} L{outer},{bottom} \
             H{inner} L{x},{middle} z\"/>",
        );
    } else {
        let rect = |out: &mut String, class: &str, by: u64, round: u64| {
            let (x, y) = (x + by, y + by);
            let _ = writeln!(
                out,
                "<rect class=\"{class}{style}\" x=\"{x}\" y=\"{y}\" width=\"{wide}\" height=\"{high}\" rx=\"{round}\"/>"
            );
        };
        if item.shape == Shape::Map && !framed {
            rect(out, class, 4, 4);
        }
        let round = match item.shape {
            Shape::Repeat => 16,
            Shape::Pass => high / 2,
            Shape::Task | Shape::Flow | Shape::Choice | Shape::Map | Shape::Wait => 4,
        };
        rect(out, &format!("{class}{pivot}"), 0, round);
    }
    let ink = class_of(item.status, 'i');
    for (row, text) in (0_u64..).zip(&item.lines) {
        let (x, y) = (x + wide / 2, y + PADDING + row * LINE + 11);
        let class = if row == 0 { "n ink" } else { "s ink" };
        let text = xml(&fit(text, WIDEST * 10), LETTERS + 40);
        let _ = writeln!(out, "<text class=\"{class}{ink}\" x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{text}</text>");
    }
}

/// An arrow along its route, with its condition beside the first segment.
fn line(out: &mut String, route: &Route, on: &On, left: u64, top: u64) {
    let mut path = String::new();
    for (place, (x, y)) in route.points.iter().enumerate() {
        let letter = if place == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{letter}{},{} ", left + x, top + y);
    }
    let (class, marker) = if *on == On::Failure { ("af", "cpw-f") } else { ("a", "cpw-a") };
    let _ = writeln!(out, "<path class=\"{class}\" d=\"{}\" marker-end=\"url(#{marker})\"/>", path.trim_end());
    if let (Some(label), Some((x, y))) = (text_of(on), route.label) {
        let (x, y) = (left + x, top + y);
        let _ = writeln!(out, "<text class=\"on dim\" x=\"{x}\" y=\"{y}\">{}</text>", xml(&label, LETTERS));
    }
}

/// The condition of an arrow, unless it is success.
fn text_of(on: &On) -> Option<String> {
    match on {
        On::Success => None,
        On::Failure => Some("on failure".to_owned()),
        On::Always => Some("always".to_owned()),
        On::Each => Some("each".to_owned()),
        On::Case(case) => Some(fit(case, 1_000)),
    }
}

/// The statuses in a diagram.
fn statuses(scene: &Frame) -> BTreeSet<NodeStatus> {
    let (mut found, mut open) = (BTreeSet::new(), vec![scene]);
    while let Some(frame) = open.pop() {
        found.extend(frame.items.iter().filter_map(|item| item.status));
        open.extend(frame.items.iter().filter_map(|item| item.inner.as_ref()));
    }
    found
}

fn legend_width(status: NodeStatus) -> u64 {
    width(&status.to_string()) / 10 + 34
}

fn legend_rows(statuses: &BTreeSet<NodeStatus>, room: u64) -> Vec<Vec<NodeStatus>> {
    let (mut rows, mut used) = (Vec::<Vec<NodeStatus>>::new(), 0);
    for status in STATUSES.into_iter().filter(|status| statuses.contains(status)) {
        used += legend_width(status);
        match rows.last_mut() {
            Some(row) if used <= room => row.push(status),
            Some(_) | None => {
                used = legend_width(status);
                rows.push(vec![status]);
            }
        }
    }
    rows
}

fn legend_row(out: &mut String, statuses: &[NodeStatus], y: u64) {
    let mut x = MARGIN;
    for status in statuses {
        let style = class_of(Some(*status), 's');
        let _ = writeln!(
            out,
            "<rect class=\"box{style}\" x=\"{x}\" y=\"{}\" width=\"14\" height=\"11\" rx=\"2\"/>",
            y - 10
        );
        let _ = writeln!(out, "<text class=\"s dim\" x=\"{}\" y=\"{y}\">{status}</text>", x + 19);
        x += legend_width(*status);
    }
}
