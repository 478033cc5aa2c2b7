//! Draws the data on a terminal.

use crate::board::{AgentRow, Board, IN_TIME, has_failed};
use crate::tape::Tape;
use counterpoint::message::RunPhase;
use counterpoint::observe::{AgentFigures, MetricsSnapshot};
use counterpoint::{Tier, Time};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Paragraph, Wrap};

const GOOD: Color = Color::Green;
const BAD: Color = Color::Red;
const WARM: Color = Color::Yellow;
const BUSY: Color = Color::Cyan;
const QUIET: Color = Color::DarkGray;
/// Below this many columns what matters less is left out, so that the rest is not cut off: 80 are common.
const WIDE: u16 = 100;

/// Draws a board; with the tape's slider if it is of a tape, and otherwise as live.
pub fn draw(frame: &mut Frame<'_>, board: &Board, tape: Option<&Tape>, now: Time) {
    let metrics = board.metrics.snapshot_at(now);
    let rows = Layout::vertical([
        Constraint::Length(3),
        Constraint::Min(8),
        Constraint::Min(7),
        Constraint::Min(5),
        Constraint::Length(if tape.is_some() { 3 } else { 0 }),
        Constraint::Length(1),
    ]);
    let wide = frame.area().width >= WIDE;
    let [head, upper, middle, story, slider, keys] = frame.area().layout(&rows);
    let halves = Layout::horizontal([Constraint::Percentage(38), Constraint::Percentage(62)]);
    let [queues, agents] = upper.layout(&halves);
    let [alerts, runs] = middle.layout(&halves);
    figures(frame, head, board, &metrics, tape.is_some(), wide);
    frame.render_widget(Paragraph::new(queue_lines(&metrics, queues.width, wide)).block(titled("Queues")), queues);
    frame.render_widget(
        Paragraph::new(agent_lines(board, &metrics, agents.height, wide))
            .block(titled("Agents: slots in use ■, free ·")),
        agents,
    );
    let warnings = Paragraph::new(alert_lines(board, &metrics, now)).wrap(Wrap { trim: true });
    frame.render_widget(warnings.block(titled("Attention")), alerts);
    frame.render_widget(Paragraph::new(run_lines(board, runs.height, wide)).block(titled("Runs")), runs);
    frame.render_widget(Paragraph::new(story_lines(board, story.height)).block(titled("Events")), story);
    if let Some(tape) = tape {
        frame.render_widget(Paragraph::new(slider_line(tape, slider.width)).block(titled("Time")), slider);
    }
    let help =
        if tape.is_some() { " q quit   ←/→ an event   PgUp/PgDn 5 %   Home/End   space plays" } else { " q quit" };
    frame.render_widget(Paragraph::new(help).fg(QUIET), keys);
}

fn titled(title: &str) -> Block<'_> {
    Block::bordered().title(format!(" {title} ")).border_style(Style::new().fg(QUIET))
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.0} %", share * 100.0))
}

fn figures(frame: &mut Frame<'_>, area: Rect, board: &Board, metrics: &MetricsSnapshot, recorded: bool, wide: bool) {
    let counts = &metrics.all.counts;
    let mut spans = Vec::new();
    let mut say = |name: &'static str, value: String, color: Color| {
        spans.push(Span::styled(value, Style::new().fg(color).add_modifier(Modifier::BOLD)));
        spans.push(Span::raw(format!(" {name}{}", if wide { "   " } else { "  " })));
    };
    say("under way", counts.under_way().to_string(), Color::Reset);
    say("done", counts.succeeded.to_string(), GOOD);
    let lost = counts.failed + counts.dead_lettered + counts.expired;
    say("failed", lost.to_string(), if lost > 0 { BAD } else { QUIET });
    say("retries", counts.retries.to_string(), if counts.retries > 0 { WARM } else { QUIET });
    let in_time = metrics.all.in_time.share();
    say("in time", percent(in_time), if in_time.is_some_and(|share| share < IN_TIME) { BAD } else { GOOD });
    if wide {
        say("in use", percent(metrics.utilisation), Color::Reset);
    }
    say("tasks/s", format!("{:.1}", metrics.all.rates.ends), Color::Reset);
    let title = format!(" Counterpoint, {} {} ", if recorded { "recorded" } else { "live" }, board.seq);
    frame.render_widget(Paragraph::new(Line::from(spans)).block(Block::bordered().title(title)), area);
}

fn queue_lines(metrics: &MetricsSnapshot, width: u16, wide: bool) -> Text<'static> {
    let most = metrics.waits.values().map(|waits| waits.count).max().unwrap_or(0).max(1);
    let room = if wide { u64::from(width.saturating_sub(39)).max(4) } else { 0 };
    let lines = Tier::ALL.map(|tier| {
        let waits = metrics.waits.get(&tier).copied().unwrap_or_default();
        let length = (waits.count * room).div_ceil(most);
        let bar = "━".repeat(usize::try_from(length).unwrap_or(0));
        let oldest = waits.oldest.as_secs_f64();
        let color = if waits.late > 0 { BAD } else { GOOD };
        let kept = metrics.tiers.get(&tier).and_then(|figures| figures.in_time.share());
        Line::from(vec![
            Span::raw(format!("{:<9}", tier.to_string())),
            Span::raw(format!("{:>5} ", waits.count)).bold(),
            Span::styled(bar, Style::new().fg(color)),
            Span::styled(
                if wide { format!(" {oldest:.1}s") } else { format!(" {oldest:>3.0}s") },
                Style::new().fg(if waits.count > 0 { color } else { QUIET }),
            ),
            Span::styled(format!("  {}{}", if wide { "in time " } else { "" }, percent(kept)), Style::new().fg(QUIET)),
        ])
    });
    Text::from(lines.to_vec())
}

/// One line for each agent: places in use as heat, errors, and what guards say of it.
fn agent_lines(board: &Board, metrics: &MetricsSnapshot, height: u16, wide: bool) -> Text<'static> {
    let room = usize::from(height.saturating_sub(2));
    let rows: Vec<_> = board.agents.iter().filter(|(_, row)| row.state != "left").collect();
    let mut lines: Vec<Line<'static>> = rows
        .iter()
        .take(if rows.len() > room { room.saturating_sub(1) } else { room })
        .map(|(id, row)| agent_line(row, metrics.agents.get(id).copied().unwrap_or_default(), wide))
        .collect();
    if rows.len() > lines.len() {
        lines.push(Line::from(format!("and {} more", rows.len() - lines.len())).fg(QUIET));
    }
    Text::from(lines)
}

fn agent_line(row: &AgentRow, figures: AgentFigures, wide: bool) -> Line<'static> {
    let capacity = u64::from(row.capacity);
    let (name, most) = if wide { (12, 10) } else { (8, 4) };
    let cells = capacity.clamp(1, most);
    let full = (figures.holds * cells).div_ceil(capacity.max(1)).min(cells);
    // A full agent is healthy: red is for what fails.
    let heat = if figures.holds == 0 { QUIET } else { BUSY };
    let bar: String = (0..cells).map(|cell| if cell < full { '■' } else { '·' }).collect();
    let failing = row.failing(figures).is_some();
    let errors = if failing { BAD } else { QUIET };
    let mut spans = vec![
        Span::raw(format!("{:<name$} ", row.name.chars().take(name).collect::<String>())),
        Span::styled(format!("{bar:<width$}", width = usize::try_from(most).unwrap_or(10)), Style::new().fg(heat)),
        Span::raw(format!(" {:>2}/{:<3}", figures.holds, row.capacity)),
        Span::styled(format!(" {:>5} errors ", percent(figures.error_rate())), Style::new().fg(errors)),
    ];
    let guards = row.bounds();
    let (words, color) = match (row.state, guards.is_empty()) {
        ("", true) if failing => ("fails".to_owned(), BAD),
        ("", true) => ("ok".to_owned(), GOOD),
        ("", false) => (guards.join(", "), BAD),
        ("lost", _) => ("lost".to_owned(), BAD),
        (state, _) => (state.to_owned(), WARM),
    };
    spans.push(Span::styled(words, Style::new().fg(color)));
    Line::from(spans)
}

/// All that is red in the other panels is said here, so that an empty panel means that nothing needs attention.
fn alert_lines(board: &Board, metrics: &MetricsSnapshot, now: Time) -> Text<'static> {
    let mut lines: Vec<Line<'static>> =
        board.concerns(metrics).into_iter().map(|text| Line::from(text).fg(BAD)).collect();
    if lines.is_empty() {
        let known = now > Time::ZERO && !board.agents.is_empty();
        lines.push(Line::from(if known { "nothing needs attention" } else { "no agents yet" }).fg(QUIET));
    }
    Text::from(lines)
}

fn run_lines(board: &Board, height: u16, wide: bool) -> Text<'static> {
    let runs = board.runs.iter().filter_map(|run| board.progress.run(*run)).take(usize::from(height));
    let mut lines: Vec<Line<'static>> = runs
        .map(|run| {
            let color = match run.phase {
                _ if has_failed(&run) => BAD,
                RunPhase::Finished => GOOD,
                _ => WARM,
            };
            let stands = run.outcome.as_deref().map_or_else(|| run.phase.to_string(), ToOwned::to_owned);
            Line::from(vec![
                Span::raw(format!("{:<5} {:<10} ", run.run.to_string(), run.workflow.to_string())),
                // Full cells of lines that stand below each other would run together.
                Span::styled(
                    run.bar(if wide { 16 } else { 8 }).replace('█', "━").replace('░', "╌"),
                    Style::new().fg(color),
                ),
                Span::raw(format!(" {:>3.0} %  ", run.share * 100.0)),
                Span::styled(stands, Style::new().fg(color)),
            ])
        })
        .collect();
    if lines.is_empty() {
        lines.push(Line::from("no runs").fg(QUIET));
    }
    Text::from(lines)
}

fn story_lines(board: &Board, height: u16) -> Text<'static> {
    let room = usize::from(height.saturating_sub(2));
    let lines = board.story.iter().skip(board.story.len().saturating_sub(room)).map(|(at, words)| {
        Line::from(vec![
            Span::styled(format!("{:>9.3} ", seconds(board, *at)), Style::new().fg(QUIET)),
            Span::raw(words.clone()),
        ])
    });
    Text::from(lines.collect::<Vec<_>>())
}

/// Seconds since the first fact.
fn seconds(board: &Board, at: Time) -> f64 {
    (at - board.metrics.snapshot().since).as_secs_f64()
}

fn slider_line(tape: &Tape, width: u16) -> Line<'static> {
    let room = usize::from(width).saturating_sub(48).max(10);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a position on the slider"
    )]
    let knob = ((room - 1) as f64 * tape.share()).round() as usize;
    let rail: String = (0..room).map(|cell| if cell == knob { '●' } else { '─' }).collect();
    let (done, whole) = (tape.span().mul_f64(tape.share()), tape.span());
    Line::from(vec![
        Span::styled(rail, Style::new().fg(WARM)),
        Span::raw(format!(" {:.2} of {:.2} s", done.as_secs_f64(), whole.as_secs_f64())),
        Span::styled(format!("  event {} of {}", tape.place(), tape.len()), Style::new().fg(QUIET)),
    ])
}
