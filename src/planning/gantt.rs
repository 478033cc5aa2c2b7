//! Renders a timeline as an SVG Gantt chart.

use super::timeline::{Bar, Timeline};
use crate::base::id::AgentId;
use core::fmt::Write;
use std::collections::BTreeMap;

const WIDTH: f64 = 1_200.0;
const MARGIN: f64 = 80.0;
const ROW: f64 = 20.0;
const TICKS: u32 = 10;

impl Timeline {
    /// Renders a chart with one row for each unit of an agent's capacity that is used. Tasks without slack are dark. Each bar has a
    /// title with its task, times and slack.
    #[must_use]
    pub fn svg(&self) -> String {
        let mut rows: BTreeMap<Option<AgentId>, Vec<Vec<&Bar>>> = BTreeMap::new();
        for bar in &self.bars {
            let lanes = rows.entry(bar.agent).or_default();
            let free = lanes.iter_mut().find(|lane| lane.last().is_none_or(|last| last.finish <= bar.start));
            match free {
                Some(lane) => lane.push(bar),
                None => lanes.push(vec![bar]),
            }
        }
        let lanes: usize = rows.values().map(Vec::len).sum();
        let height = ROW * (f64::from(u32::try_from(lanes).unwrap_or(u32::MAX)) + 2.0);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {height}\" font-family=\"sans-serif\" \
             font-size=\"10\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
            WIDTH + MARGIN + 20.0
        );
        self.axis(&mut svg, height);
        let mut y = ROW;
        for (agent, lanes) in &rows {
            let name = agent.map_or_else(|| "no agent".to_owned(), |agent| agent.to_string());
            // Writing to a string does not fail.
            let _ = writeln!(svg, "<text x=\"4\" y=\"{}\">{name}</text>", y + 14.0);
            for lane in lanes {
                lane.iter().for_each(|bar| self.bar(&mut svg, bar, y));
                y += ROW;
            }
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn x(&self, at: f64) -> f64 {
        MARGIN + WIDTH * at / self.end.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    fn axis(&self, svg: &mut String, height: f64) {
        for tick in 0..=TICKS {
            let seconds = self.end.as_secs_f64() * f64::from(tick) / f64::from(TICKS);
            let x = self.x(seconds);
            let label = time_label(seconds, self.end.as_secs_f64());
            let _ = writeln!(
                svg,
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{ROW}\" y2=\"{:.1}\" stroke=\"#ddd\"/>\
                 <text x=\"{x:.1}\" y=\"14\" text-anchor=\"middle\">{label}</text>",
                height - ROW
            );
        }
    }

    fn bar(&self, svg: &mut String, bar: &Bar, y: f64) {
        let (from, until) = (self.x(bar.start.as_secs_f64()), self.x(bar.finish.as_secs_f64()));
        let fill = if bar.slack.is_zero() { "#2f5d8a" } else { "#9cc3e6" };
        let ink = if bar.slack.is_zero() { "white" } else { "black" };
        let width = (until - from).max(0.5);
        let _ = writeln!(
            svg,
            "<g><title>{}: {} to {}, slack {} s</title><rect x=\"{from:.1}\" y=\"{:.1}\" width=\"{width:.1}\" \
             height=\"{:.1}\" fill=\"{fill}\" stroke=\"white\"/>",
            bar.task,
            bar.start,
            bar.finish,
            bar.slack.as_secs_f64(),
            y + 2.0,
            ROW - 4.0
        );
        let label = bar.task.to_string();
        // A letter of this font is about six units wide.
        if width > 6.0 * f64::from(u32::try_from(label.len()).unwrap_or(u32::MAX)) + 4.0 {
            let _ = write!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{ink}\">{label}</text>", from + 3.0, y + 14.0);
        }
        svg.push_str("</g>\n");
    }
}

/// A time in the largest unit of which `whole` has at least three.
fn time_label(seconds: f64, whole: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s")];
    let (unit, name) = UNITS.into_iter().find(|(unit, _)| whole >= 3.0 * unit).unwrap_or((1e-3, "ms"));
    let value = seconds / unit;
    if value.fract().abs() < 0.05 { format!("{value:.0} {name}") } else { format!("{value:.1} {name}") }
}
