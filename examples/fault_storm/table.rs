//! The table at the end, in Markdown, as it stands in the documentation.

use crate::arguments::Arguments;
use counterpoint::sim::Fault;
use counterpoint::sim::storm::Tally;
use std::fmt::Write as _;

pub(crate) fn of(told: &Arguments, tally: &Tally, failures: usize, seconds: f64) -> String {
    let mut text = String::new();
    let hours = tally.time.as_secs_f64() / 3_600.0;
    let mut row = |what: &str, value: String| {
        let _ = writeln!(text, "| {what} | {value} |");
    };
    row("", String::new());
    row("---", "---".to_owned());
    row("seeds", grouped(tally.cases));
    row("jobs in each", told.events.map_or_else(|| "4 to 80".to_owned(), |events| grouped(events.into())));
    row("simulated hours", format!("{hours:.0}"));
    row("calls of the engine, each checked", grouped(tally.hosts.calls));
    row("events stored", grouped(tally.journals.events));
    row("replays compared", grouped(tally.hosts.verified));
    row("crashes of hosts", grouped(tally.hosts.crashes));
    row("hosts replaced while they were suspended, all rejected by the journal", grouped(tally.hosts.fenced));
    row("faults", grouped(tally.faults.values().sum()));
    row("tasks, including those of runs", grouped(tally.tasks));
    for (status, count) in &tally.ended {
        row(&format!("- {status}"), grouped(*count));
    }
    row("- under way at the end of a simulation without an end", grouped(tally.unfinished));
    row("runs", grouped(tally.runs));
    row("retries", grouped(tally.retries));
    row("agents lost", grouped(tally.lost_agents));
    row("requests that the external service recognised as repeats", grouped(tally.repeats));
    row("requests that it rejected as withdrawn", grouped(tally.too_late));
    row("**lost**", format!("**{}**", tally.lost));
    row("**performed twice**", format!("**{}**", tally.twice));
    row("**failed cases (stuck, or a rule violated)**", format!("**{failures}**"));
    let _ = writeln!(text, "\n| fault | occurrences |\n|---|---|");
    for fault in Fault::ALL {
        let _ = writeln!(text, "| {fault} | {} |", grouped(tally.faults.get(fault).copied().unwrap_or(0)));
    }
    let _ = writeln!(
        text,
        "\n{:.0} s, {:.0} calls per second, on {} threads",
        seconds,
        tally.hosts.calls as f64 / seconds,
        told.threads
    );
    text
}

/// 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
