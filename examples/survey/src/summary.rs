//! The summary that is printed at the end.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use counterpoint::observe::{Counts, MetricsSnapshot};

use crate::model::Skipped;
use crate::survey::Survey;
use crate::team::Member;
use crate::words::{bytes, count, thousands};

/// Characters for what somebody does.
const BAR: usize = 24;

/// A survey that is done.
#[derive(Debug)]
pub struct Summary<'a> {
    pub survey: &'a Survey,
    pub folder: &'a Path,
    pub metrics: &'a MetricsSnapshot,
    pub team: &'a [Member],
    pub took: Duration,
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let survey = self.survey;
        writeln!(f, "Survey of {}\n", survey.name)?;
        line(f, "read", &read(survey))?;
        line(f, "languages", &languages(survey))?;
        let (lost, passed): (Vec<_>, Vec<_>) = survey.skipped.iter().partition(|skipped| skipped.reason.is_loss());
        line(f, "unread", &unread(&lost, "none; all text files were read"))?;
        line(f, "skipped", &unread(&passed, "nothing"))?;
        line(f, "drafts", &drafts(survey))?;
        line(f, "time", &seconds(self.took))?;
        line(f, "attempts", &attempts(&self.metrics.all.counts))?;
        line(f, "report", &self.folder.join("survey.html").display().to_string())?;
        f.write_str("\n")?;
        self.who_did_what(f)
    }
}

impl Summary<'_> {
    fn who_did_what(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = |member: &Member| self.metrics.agents.get(&member.id).copied().unwrap_or_default();
        let most = self.team.iter().map(|member| figures(member).busy).max().unwrap_or_default();
        for member in self.team {
            let done = figures(member);
            let failed = if done.failed > 0 { format!(", {} failed", thousands(done.failed)) } else { String::new() };
            let share = done.busy.as_secs_f64() / most.as_secs_f64().max(f64::MIN_POSITIVE);
            let full = (0..BAR).filter(|cell| (*cell as f64 + 0.5) / BAR as f64 <= share).count();
            let bar = "▬".repeat(full);
            let (Member { name, role, .. }, busy) = (member, seconds(done.busy));
            writeln!(f, "  {name:<8}{role:<11}{busy:>8}  {bar:<BAR$}  {} done{failed}", thousands(done.succeeded))?;
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, title: &str, text: &str) -> fmt::Result {
    writeln!(f, "  {title:<13}{text}")
}

fn read(survey: &Survey) -> String {
    let totals = &survey.totals;
    let (files, lines) = (count(totals.files, "file"), count(totals.all.lines, "line"));
    format!("{files}, {}, {lines}, {} of them code", bytes(totals.bytes), thousands(totals.program.code))
}

fn languages(survey: &Survey) -> String {
    let names: Vec<_> = survey.languages.iter().take(5).map(|row| row.language.spec().name).collect();
    let more = survey.languages.len().saturating_sub(names.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", if names.is_empty() { "none".to_owned() } else { names.join(", ") })
}

/// How many, and for which reasons.
fn unread(skipped: &[&Skipped], none: &str) -> String {
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    for one in skipped {
        *reasons.entry(one.reason.title()).or_default() += 1;
    }
    let mut text = String::new();
    for (reason, number) in reasons {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{} {reason}", thousands(number));
    }
    if text.is_empty() { none.to_owned() } else { text }
}

fn drafts(survey: &Survey) -> String {
    let drafts = survey.verdicts.len() as u64;
    match survey.verdicts.last() {
        Some(verdict) if verdict.accepted && drafts == 1 => "1, accepted at once".to_owned(),
        Some(verdict) if verdict.accepted => format!("{drafts}, the last one accepted"),
        Some(verdict) => format!("{drafts}, the last one with {}", count(verdict.remarks.len() as u64, "remark")),
        None => "none".to_owned(),
    }
}

fn attempts(counts: &Counts) -> String {
    let tasks = format!("{} at {}", thousands(counts.attempts), count(counts.submitted, "task"));
    match (counts.retries, counts.failovers) {
        (0, _) => format!("{tasks}, all successful"),
        (retries, failovers) => {
            format!(
                "{tasks}: {} failed and were retried, {} by another agent",
                thousands(retries),
                thousands(failovers)
            )
        }
    }
}

fn seconds(span: Duration) -> String {
    if span < Duration::from_secs(1) {
        format!("{} ms", span.as_millis())
    } else {
        format!("{:.2} s", span.as_secs_f64())
    }
}
