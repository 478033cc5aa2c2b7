//! The dependency picture as SVG: parts on a circle, imports as ribbons across it.
//!
//! A ribbon is wide at the importing part and narrow at the imported one, so its direction is visible without arrow
//! heads. The thickness of an arc shows the amount of code in its part.

use std::f64::consts::{PI, TAU};
use std::fmt::Write as _;

use crate::picture::{LABEL, short_labels};
use crate::survey::{Node, Picture};
use crate::words::{count, escape, shorten, thousands};

/// The circle on which the ribbons end.
const RADIUS: f64 = 262.0;
/// The thickest arc, beyond the thinnest.
const THICK: f64 = 16.0;
const THIN: f64 = 6.0;
/// The width of a letter at the size of the labels.
const LETTER: f64 = 8.0;
/// The share of the circle that is gaps between the parts.
const GAPS: f64 = 0.14;
/// How much narrower the ribbons of the folded part are: they matter less.
const FOLDED: f64 = 0.3;

/// One end of an edge, on the arc of its node.
#[derive(Clone, Copy)]
struct Slot {
    edge: usize,
    other: usize,
    outgoing: bool,
    width: f64,
}

/// Where a node lies on the circle.
#[derive(Clone, Copy, Default)]
struct Arc {
    from: f64,
    to: f64,
    /// Radians for one unit of slot width.
    unit: f64,
}

impl Arc {
    const fn middle(self) -> f64 {
        f64::midpoint(self.from, self.to)
    }
}

/// The angles between which an edge leaves and arrives.
#[derive(Clone, Copy, Default)]
struct Ends {
    leaves: (f64, f64),
    arrives: (f64, f64),
}

/// Draws the picture; nothing if there is nothing to connect.
pub fn chord(picture: &Picture) -> Option<String> {
    if picture.nodes.len() < 2 || picture.edges.is_empty() {
        return None;
    }
    let slots = slots(picture);
    let arcs = arcs(&slots);
    let ends = ends(picture, &slots, &arcs);
    let labels = labels(picture);
    let bounds = bounds(&labels, &arcs);
    let mut svg = String::new();
    let _ = write!(
        svg,
        "<svg class=\"chord\" viewBox=\"{:.0} {:.0} {:.0} {:.0}\" role=\"img\" \
         aria-label=\"Which part imports which\">",
        bounds.0, bounds.1, bounds.2, bounds.3
    );
    for (id, text) in labels.iter().enumerate() {
        let arc = arcs.get(id).copied().unwrap_or_default();
        svg.push_str(&part(picture, id, arc, &ends, text));
    }
    svg.push_str("</svg>");
    Some(svg)
}

/// A part with all that belongs to it, so that it can be pointed at as one.
fn part(picture: &Picture, id: usize, arc: Arc, ends: &[Ends], text: &str) -> String {
    let Some(node) = picture.nodes.get(id) else {
        return String::new();
    };
    let most = picture.nodes.iter().map(|node| node.code).max().unwrap_or(1).max(1);
    // Neighbours have like colours, and all of them go once around.
    let hue = (360.0 * id as f64 / picture.nodes.len() as f64 + 205.0) % 360.0;
    let class = if node.folded > 0 { "part folded" } else { "part" };
    let mut group = format!("<g class=\"{class}\" style=\"--h:{hue:.0}\">");
    for (edge, ends) in picture.edges.iter().zip(ends).filter(|(edge, _)| edge.from == id) {
        let Some(to) = picture.nodes.get(edge.to) else {
            continue;
        };
        let title = format!("{} \u{2192} {}: {}", node.label, to.label, count(edge.count, "import"));
        let faint = if to.folded > 0 { " faint" } else { "" };
        let _ = write!(
            group,
            "<path class=\"ribbon{faint}\" d=\"{}\"><title>{}</title></path>",
            ribbon(ends),
            escape(&title)
        );
    }
    let thickness = THIN + THICK * (node.code as f64 / most as f64).sqrt();
    group.push_str(&band(arc, thickness, node));
    group.push_str(&label(arc, thickness, text));
    group.push_str("</g>");
    group
}

/// The ends of edges at every node. Many imports weigh more than few, but not in proportion:
/// otherwise one busy pair would leave no room for the rest.
fn slots(picture: &Picture) -> Vec<Vec<Slot>> {
    let mut slots: Vec<Vec<Slot>> = vec![Vec::new(); picture.nodes.len()];
    for (edge, link) in picture.edges.iter().enumerate() {
        let folded = [link.from, link.to].iter().any(|id| picture.nodes.get(*id).is_some_and(|n| n.folded > 0));
        let width = (link.count as f64).sqrt() * if folded { FOLDED } else { 1.0 };
        if let Some(list) = slots.get_mut(link.from) {
            list.push(Slot { edge, other: link.to, outgoing: true, width });
        }
        if let Some(list) = slots.get_mut(link.to) {
            list.push(Slot { edge, other: link.from, outgoing: false, width: width * 0.45 });
        }
    }
    slots
}

fn arcs(slots: &[Vec<Slot>]) -> Vec<Arc> {
    let wanted: Vec<f64> = slots.iter().map(|list| list.iter().map(|slot| slot.width).sum::<f64>()).collect();
    // Every part needs room for the height of its label.
    let least = wanted.iter().sum::<f64>() / (slots.len() as f64 * 2.2);
    let given: Vec<f64> = wanted.iter().map(|width| width.max(least)).collect();
    let total: f64 = given.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    let gap = TAU * GAPS / slots.len() as f64;
    let scale = TAU * (1.0 - GAPS) / total;
    // The first part begins at the top.
    let mut at = -PI / 2.0;
    let place = |(wanted, given): (&f64, &f64)| {
        let arc = Arc { from: at, to: at + given * scale, unit: given * scale / wanted.max(1e-9) };
        at = arc.to + gap;
        arc
    };
    wanted.iter().zip(&given).map(place).collect()
}

/// Orders the slots along each arc so that ribbons of one node do not cross each other.
fn ends(picture: &Picture, slots: &[Vec<Slot>], arcs: &[Arc]) -> Vec<Ends> {
    let mut ends = vec![Ends::default(); picture.edges.len()];
    for (list, arc) in slots.iter().zip(arcs) {
        let turn = |slot: &Slot| {
            let other = arcs.get(slot.other).map_or(0.0, |other| other.middle());
            (other - arc.middle()).rem_euclid(TAU)
        };
        let mut list = list.clone();
        list.sort_by(|a, b| turn(b).total_cmp(&turn(a)).then(a.outgoing.cmp(&b.outgoing)));
        // A part with few imports has more room than they need: they stay slim, in its middle.
        let unit = arc.unit.min(0.03);
        let used: f64 = list.iter().map(|slot| slot.width * unit).sum();
        let mut at = arc.middle() - used / 2.0;
        for slot in list {
            let span = (at, at + slot.width * unit);
            at = span.1;
            if let Some(ends) = ends.get_mut(slot.edge) {
                if slot.outgoing {
                    ends.leaves = span;
                } else {
                    ends.arrives = span;
                }
            }
        }
    }
    ends
}

fn point(radius: f64, angle: f64) -> (f64, f64) {
    (radius * angle.cos(), radius * angle.sin())
}

fn ribbon(ends: &Ends) -> String {
    let inner = RADIUS - 4.0;
    let (a, b) = (point(inner, ends.leaves.0), point(inner, ends.leaves.1));
    let (from, to) = (f64::midpoint(ends.leaves.0, ends.leaves.1), f64::midpoint(ends.arrives.0, ends.arrives.1));
    // It arrives as a tip of at most a few units, a little short of the arc.
    let half = ((ends.arrives.1 - ends.arrives.0) / 2.0).min(0.006);
    let (c, d) = (point(inner - 3.0, to - half), point(inner - 3.0, to + half));
    // Through the centre to the far side, and less deep the nearer the other part is.
    let apart = (to - from).rem_euclid(TAU);
    let apart = apart.min(TAU - apart) / PI;
    let ((fx, fy), (tx, ty)) = (point(1.0, from), point(1.0, to));
    let length = (fx + tx).hypot(fy + ty).max(1e-6);
    let depth = inner * (0.62 - 0.9 * apart).max(0.0) / length;
    let (x, y) = ((fx + tx) * depth, (fy + ty) * depth);
    format!(
        "M{:.1},{:.1}A{inner},{inner} 0 0 1 {:.1},{:.1}Q{x:.1},{y:.1} {:.1},{:.1}L{:.1},{:.1}Q{x:.1},{y:.1} {:.1},{:.1}Z",
        a.0, a.1, b.0, b.1, c.0, c.1, d.0, d.1, a.0, a.1
    )
}

fn band(arc: Arc, thickness: f64, node: &Node) -> String {
    let (inner, outer) = (RADIUS, RADIUS + thickness);
    let (a, b) = (point(inner, arc.from), point(inner, arc.to));
    let (c, d) = (point(outer, arc.to), point(outer, arc.from));
    let large = u8::from(arc.to - arc.from > PI);
    let title = format!("{}: {} of code in {}", node.label, count(node.code, "line"), count(node.files, "file"));
    format!(
        "<path class=\"band\" d=\"M{:.1},{:.1}A{inner},{inner} 0 {large} 1 {:.1},{:.1}L{:.1},{:.1}\
         A{outer},{outer} 0 {large} 0 {:.1},{:.1}Z\"><title>{}</title></path>",
        a.0,
        a.1,
        b.0,
        b.1,
        c.0,
        c.1,
        d.0,
        d.1,
        escape(&title)
    )
}

fn labels(picture: &Picture) -> Vec<String> {
    let text = |(node, label): (&Node, String)| {
        if node.folded > 0 { format!("{} others", thousands(node.folded)) } else { shorten(&label, LABEL) }
    };
    picture.nodes.iter().zip(short_labels(picture)).map(text).collect()
}

fn label(arc: Arc, thickness: f64, text: &str) -> String {
    let angle = arc.middle();
    let (x, y) = point(RADIUS + thickness + 7.0, angle);
    let degrees = angle.to_degrees();
    // On the left half, the text is turned so that nobody has to read it upside down.
    let (degrees, anchor) = if angle.cos() < 0.0 { (degrees + 180.0, "end") } else { (degrees, "start") };
    format!(
        "<text transform=\"translate({x:.1},{y:.1}) rotate({degrees:.1})\" text-anchor=\"{anchor}\" \
         dy=\".35em\">{}</text>",
        escape(text)
    )
}

/// The box around the circle and all labels: left, top, width, height.
fn bounds(labels: &[String], arcs: &[Arc]) -> (f64, f64, f64, f64) {
    let rim = RADIUS + THIN + THICK + 6.0;
    let (mut left, mut right, mut top, mut bottom) = (-rim, rim, -rim, rim);
    for (text, arc) in labels.iter().zip(arcs) {
        let reach = rim + 12.0 + text.chars().count() as f64 * LETTER;
        let (x, y) = point(reach, arc.middle());
        (left, right) = (left.min(x), right.max(x));
        (top, bottom) = (top.min(y - 8.0), bottom.max(y + 8.0));
    }
    (left, top, right - left, bottom - top)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::Edge;

    fn picture(nodes: usize, edges: &[(usize, usize, u64)]) -> Picture {
        let node = |n: usize| Node { label: format!("n<{n}>"), files: 1, code: n as u64, folded: 0, inner: 0 };
        Picture {
            depth: 1,
            nodes: (0..nodes).map(node).collect(),
            edges: edges.iter().map(|(from, to, count)| Edge { from: *from, to: *to, count: *count }).collect(),
            nodes_at_depth: vec![nodes],
        }
    }

    #[test]
    fn nothing_to_connect_is_not_drawn() {
        assert!(chord(&picture(0, &[])).is_none());
        assert!(chord(&picture(5, &[])).is_none());
    }

    #[test]
    fn every_edge_is_a_ribbon_and_labels_are_escaped() {
        let svg = chord(&picture(4, &[(0, 1, 9), (1, 0, 1), (2, 3, 400)])).unwrap();
        assert_eq!(svg.matches("class=\"ribbon\"").count(), 3);
        assert_eq!(svg.matches("<text").count(), 4);
        assert!(svg.contains("n&lt;0&gt;") && !svg.contains("n<0>"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn arcs_share_the_circle_without_overlap() {
        let drawn = picture(25, &[(0, 1, 10_000), (3, 4, 1)]);
        let arcs = arcs(&slots(&drawn));
        for pair in arcs.windows(2) {
            assert!(pair[0].to < pair[1].from);
            // Room for the label.
            assert!((pair[1].to - pair[1].from) * RADIUS > 10.0);
        }
        assert!(arcs[24].to <= arcs[0].from + TAU);
    }
}
