//! The drawing of the lanes.

use super::chart::{Body, Chart, Lane};
use super::density::HEIGHT;
use super::scale::{Px, end_of};
use super::{GUTTER, MARGIN};
use crate::base::draw::{Span, fit, xml};
use crate::base::id::TaskId;
use crate::observe::names::behind;
use crate::observe::timeline::{Bar, BarResult, Mark, MarkKind};
use core::fmt::Write as _;
use std::collections::{BTreeMap, BTreeSet};

/// The width of the narrowest bar, in tenths of a pixel.
const NARROWEST: u64 = 18;
/// The number of retries that are drawn; more of them would cover the chart.
const RETRIES: usize = 24;
/// The number of marks that are drawn in a lane.
const MARKS: usize = 40;

/// A line or a pattern of its own in the chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// From a failed attempt to the next one of its task.
    Retry,
    Lost,
    Left,
    /// The times between the end of an agent and its next registration.
    Offline,
}

impl Sign {
    /// The class of its style.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Retry => "r",
            Self::Lost => "lost",
            Self::Left => "left",
            Self::Offline => "off",
        }
    }
}

/// Whether the chart contains the sign.
pub(super) fn shows(chart: &Chart<'_>, sign: Sign) -> bool {
    let marks = || chart.lanes.iter().flat_map(|lane| &lane.marks);
    match sign {
        Sign::Lost => marks().any(|mark| mark.what == MarkKind::Lost),
        Sign::Left => marks().any(|mark| mark.what == MarkKind::Left),
        Sign::Offline => marks().any(|mark| matches!(mark.what, MarkKind::Lost | MarkKind::Left)),
        Sign::Retry => {
            let drawn: BTreeSet<(TaskId, u32)> = chart
                .lanes
                .iter()
                .flat_map(|lane| match &lane.body {
                    Body::Rows { bars, .. } => &bars[..],
                    Body::Dense(_) => &[],
                })
                .map(|(bar, _)| (bar.task, bar.attempt))
                .collect();
            let is_drawn = |mark: &&&Mark| match mark.what {
                MarkKind::Retry { task, attempt, .. } => {
                    drawn.contains(&(task, attempt)) && drawn.contains(&(task, attempt.saturating_add(1)))
                }
                MarkKind::Joined | MarkKind::Left | MarkKind::Lost => false,
            };
            (1..=RETRIES).contains(&marks().filter(is_drawn).count())
        }
    }
}

/// The position of a drawn bar, in tenths of a pixel.
struct Place {
    start: u64,
    end: u64,
    middle: u64,
}

/// Elements that are drawn after all bars, on top of them.
#[derive(Default)]
struct Over {
    places: BTreeMap<(TaskId, u32), Place>,
    /// The labels of bars, drawn last so that no line crosses them.
    labels: String,
}

/// Draws the lanes from `top` on; returns the lower edge.
pub(super) fn draw(out: &mut String, chart: &Chart<'_>, top: u64) -> u64 {
    let rows: usize = chart
        .lanes
        .iter()
        .map(|lane| match &lane.body {
            Body::Rows { rows, .. } => *rows,
            Body::Dense(_) => 2,
        })
        .sum();
    let row = if rows <= 30 {
        22
    } else if rows <= 80 {
        18
    } else {
        13
    };
    let mut over = Over::default();
    let mut y = top;
    for (at, lane) in chart.lanes.iter().enumerate() {
        y = y.saturating_add(draw_lane(out, chart, lane, y, row, at % 2 == 0, &mut over));
    }
    retries(out, chart, &over.places);
    out.push_str(&over.labels);
    y
}

/// Draws a lane; returns its height.
fn draw_lane(
    out: &mut String,
    chart: &Chart<'_>,
    lane: &Lane<'_>,
    top: u64,
    row: u64,
    shaded: bool,
    over: &mut Over,
) -> u64 {
    let height = match &lane.body {
        Body::Rows { rows, .. } => {
            u64::try_from(*rows).unwrap_or(1).saturating_mul(row.saturating_add(2)).saturating_add(10).max(36)
        }
        Body::Dense(_) => HEIGHT + 15,
    };
    if shaded {
        let wide = (chart.scale.plot / 10).saturating_add(GUTTER);
        let _ =
            writeln!(out, "<rect class=\"lane\" x=\"0\" y=\"{top}\" width=\"{}\" height=\"{height}\"/>", wide + MARGIN);
    }
    names(out, lane, top, height);
    away(out, chart, &lane.marks, top, height);
    match &lane.body {
        Body::Rows { bars, rows } => {
            let used = u64::try_from(*rows).unwrap_or(1).saturating_mul(row.saturating_add(2)).saturating_sub(2);
            let first = top.saturating_add(height.saturating_sub(used) / 2);
            for (bar, at) in bars {
                let y = first.saturating_add(u64::try_from(*at).unwrap_or(0).saturating_mul(row.saturating_add(2)));
                let place = draw_bar(out, chart, bar, y, row);
                write_label(&mut over.labels, bar, &place, y, row);
                over.places.insert((bar.task, bar.attempt), place);
            }
        }
        Body::Dense(density) => density.draw(out, chart.scale, chart.tips, top.saturating_add(5)),
    }
    marks(out, chart, lane, top, height);
    height
}

fn names(out: &mut String, lane: &Lane<'_>, top: u64, height: u64) {
    let middle = top.saturating_add(height / 2);
    let room = (GUTTER - MARGIN - 10) * 10;
    let _ = write!(
        out,
        "<g><title>{}</title><text class=\"n ink\" x=\"{MARGIN}\" y=\"{}\">{}</text>",
        xml(&lane.tip, 120),
        middle.saturating_sub(2),
        xml(&fit(&lane.title, room * 10 / 11), 40)
    );
    let _ = writeln!(
        out,
        "<text class=\"s dim\" x=\"{MARGIN}\" y=\"{}\">{}</text></g>",
        middle.saturating_add(11),
        xml(&fit(&lane.about, room * 11 / 10), 60)
    );
}

fn draw_bar(out: &mut String, chart: &Chart<'_>, bar: &Bar, y: u64, height: u64) -> Place {
    let start = chart.scale.x(bar.start.as_nanos());
    let edge = chart.scale.x(chart.scale.until()).saturating_add(NARROWEST);
    let end = chart.scale.x(end_of(bar, chart.scale.until())).max(start.saturating_add(NARROWEST)).min(edge);
    let wide = end.saturating_sub(start);
    let colour = chart.colour(&bar.kind).map_or_else(|| "ko".to_owned(), |colour| format!("k{colour}"));
    let shape = format!(
        "x=\"{}\" y=\"{y}\" width=\"{}\" height=\"{height}\" rx=\"{}\"",
        Px(start),
        Px(if wide > 40 { wide.saturating_sub(6) } else { wide }),
        if wide > 80 { 3 } else { 1 }
    );
    let over = match bar.result {
        BarResult::Succeeded => None,
        BarResult::Failed => Some("f"),
        BarResult::Unknown => Some("u"),
        BarResult::Cancelled => Some("c"),
        BarResult::Open => Some("o"),
    };
    let title = xml(&tip(chart, bar), if chart.attempts <= 300 { 400 } else { 120 });
    let _ = match over {
        None => writeln!(out, "<rect class=\"{colour}\" {shape}><title>{title}</title></rect>"),
        Some(over) => writeln!(
            out,
            "<g><title>{title}</title><rect class=\"{colour}\" {shape}/><rect class=\"{over}\" {shape}/></g>"
        ),
    };
    Place { start, end, middle: y.saturating_mul(10).saturating_add(height * 5) }
}

/// The label of a bar, if it is wide enough and not hatched.
fn write_label(out: &mut String, bar: &Bar, place: &Place, y: u64, height: u64) {
    let wide = place.end.saturating_sub(place.start);
    if !matches!(bar.result, BarResult::Succeeded | BarResult::Open) || height < 13 || wide <= 260 {
        return;
    }
    let whole = label(bar);
    let name = fit(&whole, wide.saturating_sub(100));
    if name == whole || name.chars().count() > 5 {
        let _ = writeln!(
            out,
            "<text class=\"l\" x=\"{}\" y=\"{}\">{}</text>",
            Px(place.start.saturating_add(50)),
            Px(y.saturating_mul(10).saturating_add(height * 5 + 38)),
            xml(&name, 80)
        );
    }
}

fn label(bar: &Bar) -> String {
    let name = bar.step.as_ref().map_or_else(|| bar.kind.to_string(), ToString::to_string);
    match bar.attempt {
        0 | 1 => name,
        more => format!("{name} · try {more}"),
    }
}

fn tip(chart: &Chart<'_>, bar: &Bar) -> String {
    let short = |text: &str| crate::base::draw::line(text, 60);
    let mut out = format!("{} ({})", short(&bar.kind), bar.task);
    if bar.attempt > 1 {
        let _ = write!(out, ", attempt {}", bar.attempt);
    }
    if let Some(step) = &bar.step {
        let _ = write!(out, " · {} of {}", short(&step.to_string()), behind(step.workflow.as_ref(), step.run));
    }
    let (start, end) = (bar.start.as_nanos(), end_of(bar, chart.scale.until()));
    let _ = write!(out, " · {}", bar.result);
    if let Some(note) = &bar.note {
        let _ = write!(out, " ({})", crate::base::draw::line(note, 100));
    }
    let _ = write!(out, " · {} from {}", Span(end.saturating_sub(start)), Span(start.saturating_sub(chart.scale.from)));
    out
}

/// Shades the times at which the agent was offline.
fn away(out: &mut String, chart: &Chart<'_>, marks: &[&Mark], top: u64, height: u64) {
    let mut gone: Option<u64> = None;
    let mut spans = Vec::new();
    for mark in marks {
        match mark.what {
            MarkKind::Lost | MarkKind::Left => gone = gone.or(Some(mark.at.as_nanos())),
            MarkKind::Joined => spans.extend(gone.take().map(|from| (from, mark.at.as_nanos()))),
            MarkKind::Retry { .. } => {}
        }
    }
    spans.extend(gone.map(|from| (from, chart.scale.until())));
    for (from, until) in spans.into_iter().take(MARKS) {
        let (left, right) = (chart.scale.x(from), chart.scale.x(until));
        let _ = writeln!(
            out,
            "<rect class=\"off\" x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{height}\"/>",
            Px(left),
            Px(right.saturating_sub(left))
        );
    }
}

fn marks(out: &mut String, chart: &Chart<'_>, lane: &Lane<'_>, top: u64, height: u64) {
    let ends = lane.marks.iter().filter(|mark| matches!(mark.what, MarkKind::Lost | MarkKind::Left));
    for mark in ends.take(MARKS) {
        let at = chart.scale.x(mark.at.as_nanos());
        let (x, bottom) = (Px(at), top.saturating_add(height));
        let time = Span(mark.at.as_nanos().saturating_sub(chart.scale.from));
        let title = xml(&lane.title, 60);
        if mark.what == MarkKind::Lost {
            let (left, y) = (Px(at.saturating_sub(40)), top.saturating_add(3));
            let _ = writeln!(
                out,
                "<g><title>{title} was lost at {time}</title><path class=\"lost\" d=\"M{x} {}V{bottom}M{left} {y}l8 8m0 -8l-8 8\"/></g>",
                top.saturating_add(13)
            );
        } else {
            let _ = writeln!(
                out,
                "<g><title>{title} left at {time}</title><path class=\"left\" d=\"M{x} {top}V{bottom}\"/></g>"
            );
        }
    }
}

/// A line from each failed attempt to the next one of the task.
fn retries(out: &mut String, chart: &Chart<'_>, places: &BTreeMap<(TaskId, u32), Place>) {
    let marks = chart.lanes.iter().flat_map(|lane| &lane.marks);
    let pairs: Vec<(&Place, &Place)> = marks
        .filter_map(|mark| match mark.what {
            MarkKind::Retry { task, attempt, .. } => {
                Some((places.get(&(task, attempt))?, places.get(&(task, attempt.checked_add(1)?))?))
            }
            MarkKind::Joined | MarkKind::Left | MarkKind::Lost => None,
        })
        .take(RETRIES + 1)
        .collect();
    if pairs.len() > RETRIES {
        return;
    }
    for (from, to) in pairs {
        let bend = (to.start.saturating_sub(from.end) / 2).clamp(60, 400);
        let _ = writeln!(
            out,
            "<path class=\"r\" d=\"M{} {}C{} {} {} {} {} {}\"/>",
            Px(from.end),
            Px(from.middle),
            Px(from.end.saturating_add(bend)),
            Px(from.middle),
            Px(to.start.saturating_sub(bend)),
            Px(to.middle),
            Px(to.start),
            Px(to.middle)
        );
    }
}
