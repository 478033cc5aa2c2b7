//! Recorded loads, read from a folder that the caller names. They are not part of this repository.

use crate::load::{Job, Load, Placement};
use counterpoint::{Tier, Time};
use std::error::Error;
use std::path::Path;
use std::time::Duration;

type Read<T> = Result<T, Box<dyn Error>>;

const AZURE: &str = "Azure public dataset, LLM inference trace 2023 (CC-BY-4.0)";
const NASA: &str = "NASA Ames iPSC/860 log of 1993, Parallel Workloads Archive (Bill Nitzberg)";
const ALIBABA: &str = "Alibaba cluster data, GenAI trace 2026 (cite the papers named there)";

/// The recorded loads in the folder `traces` of this directory.
///
/// # Errors
///
/// When a file is missing or is not what it is expected to be.
pub fn read(data: &Path, most: usize) -> Read<Vec<Load>> {
    let traces = data.join("traces");
    let code = azure(&traces.join("AzureLLMInferenceTrace_code.csv"), "code", most)?;
    let conversation = azure(&traces.join("AzureLLMInferenceTrace_conv.csv"), "conversation", most)?;
    let batch = Load::new("nasa, batch", NASA, nasa(&traces.join("NASA-iPSC-1993-3.1-cln.swf"), most)?)
        .with_patience(Duration::from_secs(14_400));
    let images = alibaba(&traces.join("alibaba2026_lora_request_trace.csv"), most)?;
    let images = Load::new("", ALIBABA, images).with_patience(Duration::from_secs(7_200));
    Ok(vec![
        Load::new("azure code", AZURE, code),
        Load::new("azure conversation", AZURE, conversation).with_patience(Duration::from_secs(20)),
        images.clone().placed("alibaba, models by demand", Placement::ByDemand),
        images.clone().placed("alibaba, models on a quarter", Placement::Quarter),
        images.placed("alibaba, models everywhere", Placement::Everywhere),
        batch,
    ])
}

/// Times are a model of ours, 0.2 ms for each token read and 30 ms for each written. Only what is read is known before.
fn azure(path: &Path, kind: &str, most: usize) -> Read<Vec<Job>> {
    let mut jobs = Vec::new();
    for row in csv::Reader::from_path(path)?.records().take(most) {
        let row = row?;
        let (read, written): (u32, u32) = (field(&row, 1)?.parse()?, field(&row, 2)?.parse()?);
        let hint = Duration::from_micros(200) * read;
        jobs.push(Job {
            at: moment(field(&row, 0)?)?,
            work: hint + Duration::from_millis(30) * written,
            kind: kind.into(),
            skill: kind.into(),
            hint: Some(hint),
            tier: Tier::Normal,
            within: None,
        });
    }
    jobs.sort_by_key(|job| job.at);
    Ok(jobs)
}

/// Times are those recorded. The model is the skill; what kind of picture, how many steps and how many pictures are the
/// kind. Requests that did not succeed have no time, and are left out.
fn alibaba(path: &Path, most: usize) -> Read<Vec<Job>> {
    let mut jobs = Vec::new();
    for row in csv::Reader::from_path(path)?.records() {
        let row = row?;
        if field(&row, 2)? != "SUCCEED" {
            continue;
        }
        let seconds: f64 = field(&row, 3)?.parse()?;
        let kind = format!("{} {}x{}", field(&row, 1)?, field(&row, 8)?, field(&row, 7)?);
        jobs.push(Job {
            at: moment(field(&row, 0)?)?,
            work: Duration::from_secs_f64(seconds.max(0.5)),
            kind: kind.into(),
            skill: field(&row, 9)?.into(),
            hint: None,
            tier: Tier::Normal,
            within: None,
        });
    }
    jobs.sort_by_key(|job| job.at);
    jobs.truncate(most);
    Ok(jobs)
}

/// Batch jobs in the standard workload format. The application is the kind. Each job takes one slot, whatever number of
/// processors it had.
fn nasa(path: &Path, most: usize) -> Read<Vec<Job>> {
    let mut jobs = Vec::new();
    for line in std::fs::read_to_string(path)?.lines().filter(|line| !line.starts_with(';')).take(most) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let field = |at: usize| fields.get(at).ok_or("a job has 18 fields");
        jobs.push(Job {
            at: Time::from_secs(field(1)?.parse()?),
            work: Duration::from_secs(field(3)?.parse::<u64>()?.max(1)),
            kind: format!("application {}", field(13)?).into(),
            skill: "batch".into(),
            hint: None,
            tier: Tier::Normal,
            within: None,
        });
    }
    jobs.sort_by_key(|job| job.at);
    Ok(jobs)
}

fn field(row: &csv::StringRecord, at: usize) -> Read<&str> {
    row.get(at).ok_or_else(|| format!("a row has no field {at}").into())
}

/// `2023-11-16 18:17:03.9799600`, as the time since the first day of a year long before.
fn moment(text: &str) -> Read<Time> {
    let (date, time) = text.split_once(' ').ok_or("a timestamp has a date and a time")?;
    let mut date = date.splitn(3, '-').map(str::parse::<u64>);
    let mut next = || date.next().ok_or("a date has three parts");
    let (year, month, day) = (next()??, next()??, next()??);
    let mut time = time.splitn(3, ':');
    let mut next = || time.next().ok_or("a time has three parts");
    let (hour, minute, second) = (next()?.parse::<u64>()?, next()?.parse::<u64>()?, next()?.parse::<f64>()?);
    let whole = (days(year, month, day) * 24 + hour) * 60 + minute;
    Ok(Time::from_secs(whole * 60) + Duration::from_secs_f64(second))
}

/// Days since 1 March of the year 2000 (Howard Hinnant's days from civil).
const fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month > 2 { year - 2_000 } else { year - 2_001 };
    let month = (month + 9) % 12;
    year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        let span = |from: &str, to: &str| moment(to).unwrap().since(moment(from).unwrap()).as_secs_f64();
        assert!((span("2023-11-16 18:17:03.5000000", "2023-11-16 18:17:04.2500000") - 0.75).abs() < 1e-6);
        assert!((span("2024-02-28 23:59:59", "2024-03-01 00:00:00") - 86_401.0).abs() < 1e-6);
        assert!((span("2024-12-31 12:00:00", "2025-01-01 12:00:00") - 86_400.0).abs() < 1e-6);
        assert!(moment("yesterday").is_err());
    }
}
