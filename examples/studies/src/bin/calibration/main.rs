//! Predicted against actual shares: how often a duration was at most the predicted quantile.
//!
//! ```text
//! cargo run --release -p studies --bin calibration -- docs/pictures/calibration.svg
//! ```
#![allow(clippy::print_stdout, reason = "a program prints its table")]

use charts::{Axis, Ink, Sheet};
use counterpoint::journal::Projection;
use counterpoint::message::TaskEvent;
use counterpoint::observe::Estimates;
use counterpoint::task::AttemptNumber;
use counterpoint::{AgentId, Entry, Incarnation, Payload, Random, Seq, TaskId, TaskSpec, Time};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// Draws seconds.
type Draw = fn(&mut Random) -> f64;

const DRAWS: [(&str, Draw); 5] = [
    ("log-normal, CV 0.3", |random| log_normal(random, 0.3)),
    ("log-normal, CV 1", |random| log_normal(random, 1.0)),
    ("exponential", |random| -(1.0 - random.unit()).ln()),
    ("uniform", |random| 0.1 + random.unit()),
    ("two sorts: 1 s and 20 s", |random| (if random.unit() < 0.3 { 20.0 } else { 1.0 }) * log_normal(random, 0.2)),
];

const PREDICTED: [f64; 9] = [0.05, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 0.95];

fn main() -> Result<(), Box<dyn Error>> {
    let mut sheet = Sheet::new("Calibration of forecasts", 620.0, 460.0)
        .with_note("Solid: after 20 to 69 tasks of the kind. Dashed: after 1 to 19 tasks.");
    let axes = Axis::shares("predicted share", 0.0, 1.0, 6).zip(Axis::shares("actual share", 0.0, 1.0, 6));
    let (x, y) = axes.ok_or("axes from 0 to 1")?;
    let room = sheet.room();
    let plot = sheet.plot(room, x, y);
    println!("| drawn durations | {} |", PREDICTED.map(|share| format!("{:.0} %", share * 100.0)).join(" | "));
    println!("|---|{}", "---|".repeat(PREDICTED.len()));
    for (number, (name, draw)) in DRAWS.into_iter().enumerate() {
        let [early, late] = shares(draw);
        for (when, shares) in [("1 to 19", early), ("20 to 69", late)] {
            println!(
                "| {name}; after {when} tasks | {} |",
                shares.map(|share| format!("{:.0} %", share * 100.0)).join(" | ")
            );
        }
        let points = |shares: [f64; 9]| PREDICTED.into_iter().zip(shares).collect::<Vec<_>>();
        sheet.line(&plot, Ink::dashed(number), &points(early), &format!("{name}, few tasks"));
        sheet.line(&plot, Ink::solid(number), &points(late), name);
    }
    if let Some(file) = std::env::args().nth(1) {
        std::fs::write(file, sheet.finish())?;
    }
    Ok(())
}

/// The actual shares after few tasks and after more, over 200 seeds.
fn shares(draw: Draw) -> [[f64; 9]; 2] {
    let (mut below, mut counts) = ([[0.0; 9]; 2], [0.0_f64; 2]);
    for seed in 0..200 {
        let (mut random, mut estimates, mut seq, mut now) = (Random::new(seed, 5), Estimates::default(), 0, Time::ZERO);
        for id in 0..70 {
            let took = Duration::from_secs_f64(draw(&mut random));
            if let Some(known) = estimates.of("work", None) {
                let at = usize::from(known.count() >= 20);
                if let (Some(below), Some(count)) = (below.get_mut(at), counts.get_mut(at)) {
                    *count += 1.0;
                    for (below, share) in below.iter_mut().zip(PREDICTED) {
                        *below += f64::from(u8::from(took <= known.quantile(share)));
                    }
                }
            }
            let (task, by) = (TaskId::new(id), Incarnation::new(AgentId::new(1), 1));
            let (attempt, output) = (AttemptNumber::FIRST, Payload::NULL);
            let spec = Arc::new(TaskSpec::new(task, "work"));
            let begins =
                [TaskEvent::Submitted { spec, replays: None, expected: None }, TaskEvent::Assigned { attempt, to: by }];
            let ends = TaskEvent::Succeeded { attempt, by, output };
            for (at, event) in begins.into_iter().map(|event| (now, event)).chain([(now + took, ends)]) {
                seq += 1;
                estimates.apply(&Entry { seq: Seq::new(seq), at, event: event.of(task) });
            }
            now = now + took;
        }
    }
    let [early, late] = below;
    let [few, many] = counts;
    [early.map(|below: f64| below / few), late.map(|below| below / many)]
}

fn normal(random: &mut Random) -> f64 {
    (-2.0 * (1.0 - random.unit()).ln()).sqrt() * (std::f64::consts::TAU * random.unit()).cos()
}

/// A duration with a mean of a second and this coefficient of variation.
fn log_normal(random: &mut Random, variation: f64) -> f64 {
    let variance = (1.0 + variation * variation).ln();
    (normal(random) * variance.sqrt() - variance / 2.0).exp()
}
