//! The attempts of a run over time, by step, as SVG.

use super::html::{escaped, span};
use counterpoint::Time;
use counterpoint::observe::{Bar, BarResult};
use std::fmt::Write as _;

/// Lengths in pixels.
const NAMES: f64 = 170.0;
const WIDE: f64 = 900.0;
const ROW: f64 = 24.0;
/// The number of steps that are drawn.
const STEPS: usize = 40;

/// The name of the step of an attempt.
pub(super) fn step_name(bar: &Bar) -> String {
    let Some(step) = &bar.step else { return bar.kind.to_string() };
    let undo = if step.undo { "undo " } else { "" };
    if step.item > 0 { format!("{undo}{}[{}]", step.node, step.item) } else { format!("{undo}{}", step.node) }
}

/// A chart of the attempts between these times; empty without attempts.
pub(super) fn draw(bars: &[Bar], began: Time, until: Time, agent: impl Fn(&Bar) -> String) -> String {
    let mut steps: Vec<(String, Vec<&Bar>)> = Vec::new();
    for bar in bars {
        let name = step_name(bar);
        let room = steps.len() < STEPS;
        match steps.iter_mut().find(|(known, _)| *known == name) {
            Some((_, of)) => of.push(bar),
            None if room => steps.push((name, vec![bar])),
            None => {}
        }
    }
    if steps.is_empty() {
        return String::new();
    }
    let whole = until.since(began).as_secs_f64().max(0.001);
    let x = |at: Time| NAMES + (at.since(began).as_secs_f64() / whole).min(1.0) * (WIDE - NAMES - 10.0);
    let high = steps.iter().fold(30.0, |high, _| high + ROW);
    let mut out = format!(
        "<div class=picture role=region aria-label=Timeline tabindex=0><svg class=gantt role=img viewBox=\"0 0 {WIDE} {high}\" width={WIDE} height={high}><title>Attempts by step; the table of attempts has the same content</title>"
    );
    for quarter in 0..=4_u32 {
        let share = f64::from(quarter) / 4.0;
        let at = NAMES + share * (WIDE - NAMES - 10.0);
        let label = span(until.since(began).mul_f64(share));
        let anchor = if quarter == 4 { "end" } else { "middle" };
        let _ = write!(
            out,
            "<path class=tick d=\"M{at:.1} 18V{high}\"/><text class=dim x={at:.1} y=13 text-anchor={anchor}>{label}</text>"
        );
    }
    let mut y = 22.0;
    for (name, of) in &steps {
        let shown: String = name.chars().take(24).collect();
        let _ = write!(out, "<text x=0 y={:.0}>{}</text>", y + 15.0, escaped(&shown));
        for bar in of {
            let (left, right) = (x(bar.start), x(bar.end.unwrap_or(until)));
            let class = match bar.result {
                BarResult::Succeeded => "b-good",
                BarResult::Failed | BarResult::Unknown => "b-bad",
                BarResult::Open => "b-open",
                _ => "b-dim",
            };
            let title = format!(
                "{name}, attempt {} by {}: {}, {}",
                bar.attempt,
                agent(bar),
                bar.result,
                span(bar.end.unwrap_or(until).since(bar.start))
            );
            let _ = write!(
                out,
                "<rect class={class} x={left:.1} y={y:.0} width={:.1} height=18 rx=3><title>{}</title></rect>",
                (right - left).max(2.0),
                escaped(&title)
            );
        }
        y += ROW;
    }
    out.push_str("</svg></div>");
    out
}
