//! Workflows, engine only, one core: what a start and a transition cost, how long a call takes at the worst, among 10,000
//! active runs of 20 nodes. A transition is one fact. Prints a table.

use counterpoint::{Command, Payload};
use counterpoint_peers::quick;
use counterpoint_peers::works::{Works, order, saga};
use cpu_time::ProcessTime;
use hdrhistogram::Histogram;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (active, rounds) = if quick() { (200, 3) } else { (10_000, 7) };
    let input = Payload::of(&serde_json::json!({"item": "tea", "cents": 450}))?;
    println!("| workflows, engine only | |\n|---|---|");
    let mut alone = Works::new(&[order()]);
    rate("orders, one after the other", &mut alone, active, rounds, &input);
    let mut works = Works::new(&[saga(20, false), order()]);
    starts(&mut works, active);
    works.held.clear();
    rate(&format!("orders among {active} active runs of 20 nodes"), &mut works, active, rounds, &input);
    under_way(active)?;
    Ok(())
}

/// What it costs to start so many runs.
fn starts(works: &mut Works, active: u64) {
    let began = ProcessTime::now();
    for id in 1..=active {
        works.say(Works::start(id, "saga", &Payload::NULL));
    }
    let each = began.elapsed() / u32::try_from(active).unwrap_or(u32::MAX);
    println!("| start of a run of 20 nodes, {active} in all | {} ns |", each.as_nanos());
    works.facts.clear();
}

/// Transitions per second of whole orders: the median of the rounds.
fn rate(what: &str, works: &mut Works, first: u64, rounds: u64, input: &Payload) {
    let each = first.min(5_000);
    let mut rates: Vec<f64> = (0..rounds)
        .map(|round| {
            let began = ProcessTime::now();
            let from = 1_000_000 + round * each;
            let facts: usize = (from..from + each).map(|id| works.whole(id, "order", input)).sum();
            facts as f64 / began.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    println!("| {what} | {:.2} million transitions/s |", rates[rates.len() / 2] / 1e6);
}

/// All of them under way at once, answered in turn to their end.
fn under_way(active: u64) -> Result<(), Box<dyn std::error::Error>> {
    let mut works = Works::new(&[saga(20, false)]);
    for id in 1..=active {
        works.say(Works::start(id, "saga", &Payload::NULL));
    }
    works.facts.clear();
    let mut times = Histogram::<u64>::new_with_max(60_000_000_000, 3)?;
    let (mut line, mut facts, mut calls) =
        (std::collections::VecDeque::from(std::mem::take(&mut works.held)), 0, 0_u64);
    let (mut inside, began) = (Duration::ZERO, ProcessTime::now());
    while let Some(held) = line.pop_front() {
        let command: Command = Works::answer(held);
        let start = Instant::now();
        works.handle(command);
        let took = start.elapsed();
        inside += took;
        times.saturating_record(u64::try_from(took.as_nanos())?);
        works.take();
        line.extend(works.held.drain(..));
        calls += 1;
        facts += works.facts.len();
        works.facts.clear();
    }
    let rate = facts as f64 / began.elapsed().as_secs_f64() / 1e6;
    println!("| {active} active runs of 20 nodes, answered in turn | {rate:.2} million transitions/s |");
    let at = |quantile| times.value_at_quantile(quantile);
    let (half, most, more, worst) = (at(0.5), at(0.99), at(0.999), times.max());
    println!(
        "| `handle` over {calls} calls, the clock read around each: median / p99 / p99.9 / longest | {half} / {most} / {more} / {worst} ns |"
    );
    Ok(())
}
