//! Renders a timeline as an SVG Gantt chart.

use super::timeline::{Bar, Timeline};
use crate::base::draw::{Axis, Frame, Quantity, Span, fit, theme, width, xml};
use crate::base::id::AgentId;
use crate::base::name::Name;
use core::fmt::Write as _;
use std::collections::BTreeMap;

/// Lengths in pixels.
const WIDTH: f64 = 960.0;
const MARGIN: f64 = 20.0;
/// The widest column of names.
const NAMES: u64 = 170;
const ROW: f64 = 22.0;
/// The upper edge of the first row.
const TOP: f64 = 96.0;
/// The height of the axis with its title.
const AXIS: f64 = 44.0;
const TICKS: usize = 10;

/// The rules beyond the common style. The two colours differ in hue and in lightness, in both themes.
const RULES: &str = "\
.cpg .critical{fill:#bf4e00}.cpg .slack{fill:#86bfe8}.cpg .on-critical{fill:#fff}.cpg .on-slack{fill:#10202e}";

/// The rows of an agent: the bars of each do not overlap.
type Lanes<'a> = Vec<Vec<&'a Bar>>;

impl Timeline {
    /// Renders a chart with one row for each unit of an agent's capacity that is used, and a time axis from the epoch to
    /// the end of the plan. Two colours tell tasks without slack from the others. Tasks and agents are shown by name, or by
    /// id if they have none; each bar has a title with its name, id, times and slack. The chart follows the reader's
    /// preference for a light or dark theme.
    #[must_use]
    pub fn svg(&self) -> String {
        let rows = self.rows();
        let lanes: usize = rows.values().map(|(_, lanes)| lanes.len()).sum();
        let names = rows.iter().map(|(agent, (name, _))| width(&row_name(*agent, *name)) / 10).max().unwrap_or(0);
        let bottom = TOP + ROW * f64::from(u32::try_from(lanes.max(1)).unwrap_or(u32::MAX));
        #[expect(clippy::cast_precision_loss, reason = "at most a few hundred pixels")]
        let left = 2.0 * MARGIN + names.min(NAMES) as f64;
        let frame = Frame { left, right: WIDTH - 2.0 * MARGIN, top: TOP - 4.0, bottom };
        let height = bottom + AXIS;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"cpg\" width=\"{WIDTH}\" height=\"{height}\" \
             viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n<title>Project plan</title>\n<style>{}{RULES}</style>\n\
             <rect class=\"bg\" width=\"{WIDTH}\" height=\"{height}\" rx=\"8\"/>\n",
            theme("cpg")
        );
        self.header(&mut svg);
        let end = self.end.since(crate::Time::ZERO).as_secs_f64();
        let axis = Axis::new("time since the start of the plan", Quantity::Seconds, 0.0, end, TICKS);
        match axis.filter(|_| !self.bars.is_empty()) {
            Some(axis) => {
                axis.draw_below(&mut svg, frame);
                draw_rows(&mut svg, &rows, &axis, frame);
            }
            None => {
                let _ = writeln!(
                    svg,
                    "<text class=\"dim\" x=\"{MARGIN}\" y=\"{}\">The plan has no tasks.</text>",
                    TOP + 10.0
                );
            }
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn rows(&self) -> BTreeMap<Option<AgentId>, (Option<&Name>, Lanes<'_>)> {
        let mut rows: BTreeMap<Option<AgentId>, (Option<&Name>, Lanes<'_>)> = BTreeMap::new();
        for bar in &self.bars {
            let (name, lanes) = rows.entry(bar.agent).or_default();
            *name = name.or(bar.agent_name.as_ref());
            let free = lanes.iter_mut().find(|lane| lane.last().is_none_or(|last| last.finish <= bar.start));
            match free {
                Some(lane) => lane.push(bar),
                None => lanes.push(vec![bar]),
            }
        }
        rows
    }

    /// The title, a line of figures and the legend.
    fn header(&self, svg: &mut String) {
        let agents: std::collections::BTreeSet<AgentId> = self.bars.iter().filter_map(|bar| bar.agent).collect();
        let some = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let _ = writeln!(
            svg,
            "<text class=\"h ink\" x=\"{MARGIN}\" y=\"32\">Project plan</text>\n\
             <text class=\"dim\" x=\"{MARGIN}\" y=\"51\">{} by {} in {}</text>",
            some(self.bars.len(), "task"),
            some(agents.len(), "agent"),
            Span(self.end.as_nanos())
        );
        let mut x = MARGIN;
        for (class, name) in
            [("critical", "no slack: a later end delays the end of the plan"), ("slack", "with slack: can start later")]
        {
            let _ = writeln!(
                svg,
                "<g class=\"legend\"><rect class=\"{class}\" x=\"{x}\" y=\"62\" width=\"12\" height=\"12\" rx=\"3\"/>\
                 <text class=\"ink\" x=\"{}\" y=\"72\">{name}</text></g>",
                x + 18.0
            );
            #[expect(clippy::cast_precision_loss, reason = "a few hundred pixels")]
            let room = (width(name) / 10) as f64;
            x += room + 44.0;
        }
    }
}

fn row_name(agent: Option<AgentId>, name: Option<&Name>) -> String {
    match (agent, name) {
        (None, _) => "without an agent".to_owned(),
        (Some(_), Some(name)) => name.to_string(),
        (Some(agent), None) => format!("agent {agent}"),
    }
}

fn draw_rows(
    svg: &mut String,
    rows: &BTreeMap<Option<AgentId>, (Option<&Name>, Lanes<'_>)>,
    axis: &Axis,
    frame: Frame,
) {
    let mut y = TOP;
    for (place, (agent, (name, lanes))) in rows.iter().enumerate() {
        let height = ROW * f64::from(u32::try_from(lanes.len()).unwrap_or(u32::MAX));
        if place % 2 == 0 {
            let _ = writeln!(svg, "<rect class=\"lane\" x=\"0\" y=\"{y}\" width=\"{WIDTH}\" height=\"{height}\"/>");
        }
        let shown = row_name(*agent, *name);
        let id = agent.map_or_else(String::new, |agent| format!(" ({agent})"));
        let _ = writeln!(
            svg,
            "<g><title>{}{id}</title><text class=\"n ink\" x=\"{MARGIN}\" y=\"{}\">{}</text></g>",
            xml(&shown, 120),
            y + 15.0,
            xml(&fit(&shown, NAMES * 9), 60)
        );
        for lane in lanes {
            lane.iter().for_each(|bar| draw_bar(svg, bar, axis, frame, y));
            y += ROW;
        }
    }
}

fn draw_bar(svg: &mut String, bar: &Bar, axis: &Axis, frame: Frame, y: f64) {
    let x = |at: crate::Time| axis.x(at.since(crate::Time::ZERO).as_secs_f64(), frame);
    let (from, until) = (x(bar.start), x(bar.finish));
    let class = if bar.slack.is_zero() { "critical" } else { "slack" };
    let wide = (until - from - 1.0).max(0.8);
    let name = bar.name.as_ref().map_or_else(|| bar.task.to_string(), ToString::to_string);
    let whole = bar.name.as_ref().map_or_else(|| format!("task {}", bar.task), |name| format!("{name} ({})", bar.task));
    let slack = if bar.slack.is_zero() { "no slack".to_owned() } else { format!("slack {}", Span::from(bar.slack)) };
    let _ = write!(
        svg,
        "<g><title>{}: {} to {}, {slack}</title><rect class=\"{class}\" x=\"{from:.1}\" y=\"{:.1}\" \
         width=\"{wide:.1}\" height=\"{:.1}\" rx=\"2\"/>",
        xml(&whole, 140),
        Span(bar.start.as_nanos()),
        Span(bar.finish.as_nanos()),
        y + 2.0,
        ROW - 4.0
    );
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive number of pixels")]
    let room = ((wide - 10.0).max(0.0) * 10.0) as u64;
    let short = fit(&name, room);
    if short == name || short.chars().count() > 4 {
        let (x, y) = (from + 5.0, y + 15.0);
        let _ = write!(svg, "<text class=\"on-{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", xml(&short, 80));
    }
    svg.push_str("</g>\n");
}

#[cfg(test)]
mod tests {
    use crate::planning::{Agent, Project, Rule, Scheme, Task, Timeline, generate};
    use crate::{AgentId, TaskId};
    use core::time::Duration;

    fn drawn(project: &Project) -> String {
        Timeline::of(project, &generate(&project.check().unwrap(), Scheme::Serial, Rule::LatestStart)).svg()
    }

    #[test]
    fn hours_are_round_and_names_are_shown() {
        let hours = |count: u64| Duration::from_secs(3_600 * count);
        let svg = drawn(
            &Project::default()
                .with_agent(Agent::new(AgentId::new(1)).with_name("Ada & Co"))
                .with_agent(Agent::new(AgentId::new(2)))
                .with_task(Task::new(TaskId::new(1), hours(16)).with_name("dig"))
                .with_task(Task::new(TaskId::new(2), hours(3))),
        );
        for label in [">0<", ">2 h<", ">8 h<", ">16 h<", ">Ada &amp; Co<", ">dig<", "dig (t1): 0 ns to 16 h, no slack"]
        {
            assert!(svg.contains(label), "no {label} in {svg}");
        }
        assert!(svg.contains(">agent a2<") && svg.contains("<title>task t2: ") && svg.contains(">t2<"), "{svg}");
        assert!(
            svg.contains("time since the start of the plan") && svg.contains("2 tasks by 2 agents in 16 h"),
            "{svg}"
        );
    }

    #[test]
    fn an_empty_plan_is_drawn_as_empty() {
        assert!(drawn(&Project::default()).contains("The plan has no tasks."));
    }
}
