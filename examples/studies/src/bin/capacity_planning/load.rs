//! The loads: a generated one, and recorded ones.

use crate::Fallible;
use counterpoint::sim::{Arrivals, Distribution};
use counterpoint::{Random, Time};
use std::path::Path;
use std::time::Duration;

/// When tasks come, and how long each takes.
pub(crate) struct Load {
    pub(crate) name: String,
    pub(crate) jobs: Vec<(Time, Duration)>,
}

impl Load {
    /// Tasks per second, in the mean.
    pub(crate) fn rate(&self) -> f64 {
        let span = self.jobs.last().map_or(0.0, |(at, _)| at.as_secs_f64());
        f64::from(u32::try_from(self.jobs.len()).unwrap_or(u32::MAX)) / span.max(1e-9)
    }

    /// How long one takes, in the mean.
    pub(crate) fn mean(&self) -> Duration {
        let all: Duration = self.jobs.iter().map(|(_, took)| *took).sum();
        all / u32::try_from(self.jobs.len().max(1)).unwrap_or(u32::MAX)
    }
}

/// Five minutes of a day that has a noon, of lengths that vary as those of language models do.
pub(crate) fn drawn(most: usize) -> Fallible<Load> {
    let arrivals = Arrivals::diurnal(7, 2.0, 10.0, Duration::from_secs(600))?;
    let length = Distribution::log_normal(Duration::from_millis(1_500), 1.2)?;
    let jobs = arrivals.take(most).zip(0..).map(|(at, n)| (at, length.draw(&mut Random::new(7, n)))).collect();
    Ok(Load { name: "generated, with a peak at noon".to_owned(), jobs })
}

/// The Azure LLM inference traces of 2023 (Azure public dataset, CC-BY-4.0). Lengths are a model of ours: 0.2 ms for each
/// token read and 30 ms for each written.
pub(crate) fn recorded(data: &Path, most: usize) -> Fallible<Vec<Load>> {
    let read = |name: &str, file: &str| -> Fallible<Load> {
        let mut jobs = Vec::new();
        let mut start = None;
        for row in csv::Reader::from_path(data.join("traces").join(file))?.records().take(most) {
            let row = row?;
            let field = |at: usize| row.get(at).ok_or("a row is too short");
            let (read, written): (u32, u32) = (field(1)?.parse()?, field(2)?.parse()?);
            let at = seconds(field(0)?)?;
            let start = *start.get_or_insert(at);
            let took = Duration::from_micros(200) * read + Duration::from_millis(30) * written;
            jobs.push((Time::ZERO + Duration::try_from_secs_f64((at - start).max(0.0))?, took));
        }
        jobs.sort_unstable();
        Ok(Load { name: name.to_owned(), jobs })
    };
    Ok(vec![
        read("azure, code", "AzureLLMInferenceTrace_code.csv")?,
        read("azure, conversation", "AzureLLMInferenceTrace_conv.csv")?,
    ])
}

/// `2023-11-16 18:17:03.9799600` as seconds of its day: the traces are an hour long, and within one.
fn seconds(text: &str) -> Fallible<f64> {
    let (_, time) = text.split_once(' ').ok_or("a timestamp has a date and a time")?;
    let mut parts = time.splitn(3, ':').map(str::parse::<f64>);
    let mut next = || parts.next().ok_or("a time has three parts");
    Ok(next()?? * 3_600.0 + next()?? * 60.0 + next()??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert!((seconds("2023-11-16 18:17:03.5").unwrap() - 65_823.5).abs() < 1e-6);
        assert!(seconds("yesterday").is_err());
    }

    #[test]
    fn a_load_knows_its_rate_and_length() {
        let load = drawn(3_000).unwrap();
        assert!((load.rate() / 6.0 - 1.0).abs() < 0.15, "{}", load.rate());
        assert!((load.mean().as_secs_f64() / 1.5 - 1.0).abs() < 0.1, "{:?}", load.mean());
    }
}
