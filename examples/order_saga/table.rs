//! The result as a table.

use crate::tally::{Tale, Tally};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

#[derive(Default)]
struct Row {
    orders: u64,
    attempts: u64,
    retries: u64,
    failovers: u64,
    undone: u64,
    unknown: u64,
    time: Duration,
    longest: Duration,
}

impl Row {
    fn add(&mut self, tale: &Tale) {
        self.orders += 1;
        self.attempts += tale.attempts;
        self.retries += tale.retries;
        self.failovers += tale.failovers;
        self.undone += tale.undone;
        self.unknown += tale.unknown;
        self.time += tale.took();
        self.longest = self.longest.max(tale.took());
    }

    fn write(&self, name: &str, out: &mut String) {
        let mean = self.time.checked_div(u32::try_from(self.orders).unwrap_or(u32::MAX)).unwrap_or_default();
        let _ = writeln!(
            out,
            "{name:<46}{:>7}{:>10}{:>9}{:>11}{:>15}{:>9}{:>9.1}s{:>9.1}s",
            self.orders,
            self.attempts,
            self.retries,
            self.failovers,
            self.undone,
            self.unknown,
            mean.as_secs_f64(),
            self.longest.as_secs_f64(),
        );
    }
}

/// Outcomes by kind, the most frequent first, and their sum.
pub fn table(tally: &Tally) -> String {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut sum = Row::default();
    for tale in tally.tales.values() {
        rows.entry(tale.ending()).or_default().add(tale);
        sum.add(tale);
    }
    let mut rows: Vec<(String, Row)> = rows.into_iter().collect();
    rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.orders));
    let mut out = format!(
        "{:<46}{:>7}{:>10}{:>9}{:>11}{:>15}{:>9}{:>10}{:>10}\n",
        "outcome", "orders", "attempts", "retries", "failovers", "compensations", "unknown", "mean", "longest"
    );
    let width = out.trim_end().len();
    for (name, row) in rows {
        row.write(&name, &mut out);
    }
    let _ = writeln!(out, "{}", "-".repeat(width));
    sum.write("all", &mut out);
    out
}
