//! Simulations drawn from seeds, with random faults: hosts that crash between any two steps, journals that fail or
//! tear, messages that are lost, repeated and late, agents that crash, send forged answers and register again, clocks
//! that jump. Every call of the engine is checked, and all work must end exactly once.
//!
//! ```text
//! cargo run --release --features sim --example fault_storm                        # 2,000 seeds
//! cargo run --release --features sim --example fault_storm -- --seeds 100000 --threads 2
//! cargo run --release --features sim --example fault_storm -- --replay "17 -message-lost"
//! cargo run --release --features sim --example fault_storm -- --coverage          # commands by state and fault
//! cargo run --release --features sim --example fault_storm -- --digest            # a hash of all journals
//! ```
//!
//! A failing case is reduced and printed with the command that replays it. The exit code is 1 if a case failed.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_types,
    reason = "an example talks to a person, and tells how long it took"
)]

mod arguments;
mod coverage;
mod table;

use arguments::Arguments;
use counterpoint::sim::storm::{Case, Failed, Storm, Tally};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// So many failures are enough to look at.
const MOST: usize = 5;

/// How many smaller cases are tried for each that fails.
const PATIENCE: usize = 600;

fn main() -> ExitCode {
    let told = match arguments::read(std::env::args().skip(1)) {
        Ok(told) => told,
        Err(why) => {
            println!("{why}\n{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    // What a panic says is part of the failure.
    std::panic::set_hook(Box::new(|_| {}));
    let storm = Storm::default().with_verification(told.verify);
    let storm = told.events.map_or_else(|| storm.clone(), |events| storm.clone().with_jobs(events));
    let (tally, failures, seconds) = match &told.replay {
        Some(case) => play_all(&storm, &told, std::slice::from_ref(case)),
        None => {
            let cases: Vec<Case> = (told.first..told.first + told.seeds).map(Case::new).collect();
            play_all(&storm, &told, &cases)
        }
    };
    if told.digest {
        println!("{:016x}", tally.journals.digest);
    } else {
        print!("{}", table::of(&told, &tally, failures.len(), seconds));
    }
    if told.coverage {
        print!("\n{}", coverage::of(&tally.coverage));
    }
    let found = !failures.is_empty() || (told.coverage && tally.coverage.missing().next().is_some());
    for (place, failed) in failures.into_iter().enumerate() {
        // One is made smaller: the others may well be the same.
        let failed = if told.shrink && place == 0 { smaller(&storm, failed) } else { failed };
        println!("\nFAILED  {}", failed.why);
        println!(
            "replay: cargo run --release --features sim --example fault_storm -- {} --replay \"{}\"",
            told.again(),
            failed.case
        );
        let strikes = failed.strikes.iter().map(|strike| format!("{}#{}", strike.fault, strike.occasion));
        println!("{} faults: {}", failed.strikes.len(), strikes.collect::<Vec<_>>().join(" "));
        if told.journal {
            failed.journal.iter().for_each(|entry| println!("{} {} {:?}", entry.seq, entry.at, entry.event));
        }
    }
    if found { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Plays a case; a panic is a failure like any other.
fn play(storm: &Storm, case: &Case) -> Result<Tally, Box<Failed>> {
    match catch_unwind(AssertUnwindSafe(|| storm.play(case))) {
        Ok(played) => played,
        Err(panic) => {
            let why = panic.downcast_ref::<String>().cloned();
            let why = why.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(Box::new(Failed::new(case.clone(), format!("panicked: {}", why.unwrap_or_default()))))
        }
    }
}

fn smaller(storm: &Storm, failed: Failed) -> Failed {
    let case = failed.case.clone();
    match catch_unwind(AssertUnwindSafe(|| storm.shrink(failed, PATIENCE))) {
        Ok(smallest) => smallest,
        // A smaller case panics: shrinking by hand goes on from here.
        Err(_) => Failed::new(case, "panicked while the case was reduced".to_owned()),
    }
}

fn play_all(storm: &Storm, told: &Arguments, cases: &[Case]) -> (Tally, Vec<Failed>, f64) {
    let begun = Instant::now();
    let (next, failures) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let work = || {
        let mut tally = Tally::default();
        loop {
            let place = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap_or(usize::MAX);
            let Some(case) = cases.get(place) else { return tally };
            match play(storm, case) {
                Ok(one) => tally.add(&one),
                Err(failed) => {
                    let mut failures = failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    failures.push(*failed);
                    if told.hasty || failures.len() >= MOST {
                        next.store(u64::MAX / 2, Ordering::Relaxed);
                    }
                }
            }
        }
    };
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..told.threads.max(1)).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            if let Ok(part) = thread.join() {
                tally.add(&part);
            }
        }
    });
    let mut failures = failures.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    failures.sort_by_key(|failed| failed.case.seed);
    (tally, failures, begun.elapsed().as_secs_f64())
}
