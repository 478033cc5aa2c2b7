//! The timeline as an SVG chart.

mod chart;
mod density;
mod lanes;
mod scale;
mod style;

use super::Timeline;
use crate::base::draw::{Span, fit, time_ticks, width, xml};
use crate::base::time::Time;
use chart::Chart;
use core::fmt::Write as _;
use lanes::Sign;
use scale::Px;

/// Options for drawing a timeline.
///
/// ```
/// use counterpoint::Time;
/// use counterpoint::observe::SvgOptions;
///
/// let last_minute = SvgOptions::default()
///     .with_title("The last minute")
///     .with_width(900)
///     .with_window(Time::from_secs(540), Time::from_secs(600));
/// # let _ = last_minute;
/// ```
#[derive(Debug, Clone)]
pub struct SvgOptions {
    title: String,
    width: u32,
    window: Option<(Time, Time)>,
    lanes: usize,
    bars: usize,
}

impl Default for SvgOptions {
    /// 1,200 pixels wide, from the first attempt to the last, at most 48 lanes and 1,000 bars drawn one by one.
    fn default() -> Self {
        Self { title: "Timeline".to_owned(), width: 1_200, window: None, lanes: 48, bars: 1_000 }
    }
}

impl SvgOptions {
    /// Sets the title. An empty title takes no space.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Sets the width in pixels, between 480 and 8,000. The height follows from the lanes.
    #[must_use]
    pub fn with_width(mut self, pixels: u32) -> Self {
        self.width = pixels.clamp(480, 8_000);
        self
    }

    /// Shows only the time between two instants.
    #[must_use]
    pub const fn with_window(mut self, from: Time, until: Time) -> Self {
        self.window = Some((from, until));
        self
    }

    /// Sets the maximum number of lanes, between 1 and 200; the agents with the fewest attempts share the last lane.
    #[must_use]
    pub fn with_lanes(mut self, most: usize) -> Self {
        self.lanes = most.clamp(1, 200);
        self
    }

    /// Sets the maximum number of bars that are drawn one by one, up to 5,000; lanes with more than their share show
    /// their load over time instead. Each bar adds about 250 bytes to the file.
    #[must_use]
    pub fn with_bars(mut self, most: usize) -> Self {
        self.bars = most.min(5_000);
        self
    }
}

/// The margins in pixels: left for names, right for the last label.
const GUTTER: u64 = 176;
const MARGIN: u64 = 20;

pub(super) fn draw(timeline: &Timeline, options: &SvgOptions) -> String {
    let chart = Chart::new(timeline, options);
    let mut body = String::new();
    let top = header(&mut body, &chart, options);
    let bottom = lanes::draw(&mut body, &chart, top.saturating_add(26));
    let height = scale(&mut body, &chart, top.saturating_add(26), bottom);
    let wide = options.width;
    let mut out = String::with_capacity(body.len().saturating_add(4_096));
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"cpt\" width=\"{wide}\" height=\"{height}\" viewBox=\"0 0 {wide} {height}\" role=\"img\">\n\
         <title>{}</title>\n",
        xml(&options.title, 120)
    );
    style::write(&mut out, chart.kinds.len());
    let _ = writeln!(out, "<rect class=\"bg\" width=\"{wide}\" height=\"{height}\" rx=\"8\"/>");
    out.push_str(&body);
    out.push_str("</svg>\n");
    out
}

/// The title, a line of figures and the legend; returns the lower edge.
fn header(out: &mut String, chart: &Chart<'_>, options: &SvgOptions) -> u64 {
    let mut y = 19;
    if !options.title.is_empty() {
        let _ = writeln!(out, "<text class=\"h ink\" x=\"{MARGIN}\" y=\"32\">{}</text>", xml(&options.title, 120));
        y = 51;
    }
    let _ = writeln!(out, "<text class=\"dim\" x=\"{MARGIN}\" y=\"{y}\">{}</text>", xml(&figures(chart), 200));
    legend(out, chart, u64::from(options.width), y + 15)
}

fn figures(chart: &Chart<'_>) -> String {
    const DAY: u64 = 86_400_000_000_000;
    let mut out = match (chart.attempts, chart.agents) {
        (0, _) => "No attempts".to_owned(),
        (1, 1) => "1 attempt by 1 agent".to_owned(),
        (attempts, 1) => format!("{attempts} attempts by 1 agent"),
        (attempts, agents) => format!("{attempts} attempts by {agents} agents"),
    };
    if chart.attempts > 0 {
        let _ = write!(out, " in {}", Span(chart.scale.span));
    }
    // A time far from the epoch, which the host chose, is of no use to a reader.
    if (1..DAY).contains(&chart.scale.from) {
        let _ = write!(out, ", from {} on", Span(chart.scale.from));
    }
    for (count, what) in [
        (chart.failed, "failed"),
        (chart.unknown, "with unknown outcome"),
        (chart.cancelled, "cancelled"),
        (chart.open, "under way"),
        (chart.lost, if chart.lost == 1 { "agent lost" } else { "agents lost" }),
    ] {
        if count > 0 {
            let _ = write!(out, " · {count} {what}");
        }
    }
    out
}

fn legend(out: &mut String, chart: &Chart<'_>, wide: u64, top: u64) -> u64 {
    let mut items: Vec<(String, String)> = Vec::new();
    for (colour, (kind, _)) in chart.kinds.iter().enumerate() {
        items.push((format!("k{colour}"), kind.to_string()));
    }
    if chart.other_kinds > 0 {
        items.push(("ko".to_owned(), format!("{} other kinds", chart.other_kinds)));
    }
    let results = [
        (chart.failed, "f", "failed"),
        (chart.unknown, "u", "outcome unknown"),
        (chart.cancelled, "c", "cancelled"),
        (chart.open, "o", "under way"),
    ];
    for (_, class, name) in results.into_iter().filter(|(count, ..)| *count > 0) {
        items.push((class.to_owned(), name.to_owned()));
    }
    for (sign, name) in [
        (Sign::Retry, "next attempt of a task"),
        (Sign::Lost, "agent lost"),
        (Sign::Left, "agent left"),
        (Sign::Offline, "agent offline"),
    ] {
        if lanes::shows(chart, sign) {
            items.push((sign.class().to_owned(), name.to_owned()));
        }
    }
    let (mut x, mut y) = (MARGIN, top);
    for (class, name) in items {
        let name = fit(&name, 1_600);
        let room = 18 + width(&name) / 10 + 14;
        if x.saturating_add(room) > wide.saturating_sub(MARGIN) && x > MARGIN {
            (x, y) = (MARGIN, y + 20);
        }
        if matches!(class.as_str(), "f" | "u" | "c" | "o") {
            let _ = write!(out, "<rect class=\"ko\" x=\"{x}\" y=\"{y}\" width=\"12\" height=\"12\" rx=\"3\"/>");
        }
        let _ = match class.as_str() {
            "r" => write!(out, "<path class=\"r\" d=\"M{x} {}h12\"/>", y + 6),
            "lost" => write!(out, "<path class=\"lost\" d=\"M{} {}l8 8m0 -8l-8 8\"/>", x + 2, y + 2),
            "left" => write!(out, "<path class=\"left\" d=\"M{} {y}v12\"/>", x + 6),
            _ => write!(out, "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"12\" height=\"12\" rx=\"3\"/>"),
        };
        let _ = writeln!(out, "<text class=\"ink\" x=\"{}\" y=\"{}\">{}</text>", x + 18, y + 10, xml(&name, 60));
        x = x.saturating_add(room);
    }
    y + 20
}

/// Grid lines and the labels of the axis above and beneath the lanes; returns the height of the chart.
fn scale(out: &mut String, chart: &Chart<'_>, top: u64, bottom: u64) -> u64 {
    let most = (chart.scale.plot / 900).clamp(2, 40);
    let _ = writeln!(
        out,
        "<text class=\"dim s axis\" x=\"{MARGIN}\" y=\"{}\">time since the start</text>",
        top.saturating_sub(7)
    );
    for (offset, label) in time_ticks(chart.scale.span, most) {
        let x = Px(chart.scale.x(chart.scale.from.saturating_add(offset)));
        let _ = write!(out, "<path class=\"grid\" d=\"M{x} {top}V{bottom}\"/>");
        let _ = write!(out, "<text class=\"dim m\" x=\"{x}\" y=\"{}\">{label}</text>", top.saturating_sub(7));
        if bottom.saturating_sub(top) > 420 {
            let _ = write!(out, "<text class=\"dim m\" x=\"{x}\" y=\"{}\">{label}</text>", bottom.saturating_add(16));
        }
        out.push('\n');
    }
    bottom.saturating_add(if bottom.saturating_sub(top) > 420 { 28 } else { 16 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Projection;
    use crate::message::TaskEvent;
    use crate::task::AttemptNumber;
    use crate::{AgentId, Entry, Incarnation, Seq, TaskId};

    fn drawn(start: Time) -> String {
        let (attempt, to) = (AttemptNumber::FIRST, Incarnation::new(AgentId::new(1), 1));
        let mut timeline = Timeline::default();
        let event = TaskEvent::Assigned { attempt, to }.of(TaskId::new(1));
        timeline.apply(&Entry { seq: Seq::new(1), at: start, event });
        timeline.to_svg(&SvgOptions::default())
    }

    #[test]
    fn only_a_start_near_the_epoch_is_shown() {
        assert!(drawn(Time::from_secs(60)).contains(", from "));
        assert!(!drawn(Time::from_secs(1_700_000_000)).contains(", from "));
    }
}
