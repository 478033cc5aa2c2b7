//! A study of task distribution: recorded and generated loads, agents with different speeds and models, every strategy
//! and discipline of the scheduler, and two baselines.
//!
//! ```text
//! cargo run --release -p studies --bin dispatch_study                       # generated loads only
//! cargo run --release -p studies --bin dispatch_study -- --data FOLDER      # with the recorded loads in FOLDER/traces
//! cargo run --release -p studies --bin dispatch_study -- --small            # a few seconds
//! cargo run --release -p studies --bin dispatch_study -- --orders           # the orders over five seeds, and nothing else
//! cargo run --release -p studies --bin dispatch_study -- --tune LOAD        # parameters of the deferring discipline for one load
//! ```
//!
//! Everything runs in virtual time, so the figures depend on the seed and not on the speed of the machine. The
//! scheduler learns only from completed tasks: [`world`] determines how long each agent works, the scheduler which
//! agent performs a task and when.
#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "the modules of an example have no users outside it"
)]
#![allow(clippy::wildcard_enum_match_arm, reason = "a host acts on what it knows and leaves the rest alone")]

mod arguments;
mod baseline;
mod chart;
mod fleet;
mod load;
mod outcome;
mod rules;
mod scenario;
mod study;
mod synthetic;
mod table;
#[cfg(test)]
mod tests;
mod trace;
mod tune;
mod world;

use crate::arguments::Arguments;
use crate::load::Load;
use crate::study::Grid;
use std::error::Error;
use std::fmt::Write;
use std::fs;

fn main() -> Result<(), Box<dyn Error>> {
    let asked = Arguments::read(std::env::args().skip(1))?;
    if asked.orders {
        let (loads, missing) = loads(&asked)?;
        print(&format!("# Orders\n\n{missing}{}", compared(&loads, asked.small)));
        return Ok(());
    }
    if let Some(name) = &asked.tune {
        let (loads, missing) = loads(&asked)?;
        let load = loads.iter().find(|load| load.name == *name).ok_or_else(|| format!("no load {name}. {missing}"))?;
        print(&tune::report(load));
        return Ok(());
    }
    let (report, picture) = study(&asked)?;
    print(&report);
    if let Some(folder) = asked.out.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&asked.out, picture)?;
    print(&format!("\nChart: {}\n", asked.out.display()));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "an example that shows something")]
fn print(text: &str) {
    print!("{text}");
}

/// The loads that there are, and a sentence on those that there are not.
fn loads(asked: &Arguments) -> Result<(Vec<Load>, &'static str), Box<dyn Error>> {
    let jobs = if asked.small { 1_500 } else { 20_000 };
    let mut loads = synthetic::loads(asked.seed, jobs);
    let Some(data) = &asked.data else {
        return Ok((loads, "No recorded loads: specify their folder with --data or COUNTERPOINT_DATA.\n"));
    };
    loads.extend(trace::read(data, if asked.small { jobs } else { usize::MAX })?);
    Ok((loads, ""))
}

/// Every order against central FIFO.
fn compared(loads: &[Load], small: bool) -> String {
    let (agents, seeds) = if small { (8, 2) } else { (16, 5) };
    table::orders(loads, &study::orders(loads, agents, &[0.7, 0.85], seeds))
}

/// The report and the chart.
fn study(asked: &Arguments) -> Result<(String, String), Box<dyn Error>> {
    let (loads, missing) = loads(asked)?;
    let (agents, shares) =
        if asked.small { (vec![8], vec![0.7, 0.85]) } else { (vec![8, 16, 32], vec![0.5, 0.7, 0.85, 0.95]) };
    let (middle, busy) = (agents.get(1).or_else(|| agents.first()).copied().unwrap_or(8), 0.85);
    let grid = study::grid(&loads, &Grid { agents, shares, seed: asked.seed });
    let every = study::every_rule(&loads, middle, busy, asked.seed);
    let reach = study::reach(&loads, middle, asked.seed);
    let patiences = study::patiences(&loads, middle, busy, asked.seed);
    let found = scenario::all(asked.seed, asked.small);

    let mut report = format!("# Distribution of work\n\n{missing}");
    let _ = writeln!(
        report,
        "\n## Shortest expected first, compared with both baselines\n{}",
        table::targets(&loads, &grid)
    );
    let _ = writeln!(
        report,
        "\n## Load of {middle} agents at the mean wait that round robin has at half load\n{}",
        table::reach(&loads, &reach)
    );
    let _ =
        writeln!(report, "\n## Effect of patience, {middle} agents, {busy}\n{}", table::patiences(&loads, &patiences));
    let _ = writeln!(report, "\n## Orders, over several seeds\n{}", compared(&loads, asked.small));
    let _ = writeln!(report, "\n## Scenarios\n{}", table::scenarios(&found));
    let _ = writeln!(
        report,
        "\n## All strategies and disciplines, {middle} agents, {busy}\n{}",
        table::every_rule(&loads, &every)
    );
    let _ = writeln!(report, "\n## All figures\n{}", table::grid(&loads, &grid));
    Ok((report, chart::draw(&loads, &grid, middle, &every, busy)))
}
