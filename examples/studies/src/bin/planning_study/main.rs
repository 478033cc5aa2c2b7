//! Compares plans with the best known results on published instances, by processor time. Its output are the tables of
//! `docs/planning.md` and `docs/planning-tables.md`.
//!
//! ```text
//! planning_study [projects] [resources] [workflows] [fronts] [--seconds 0.1,1,10] [--seeds 5] [--data FOLDER] [--filter TEXT]
//! ```
//!
//! `projects`: multi-skill project scheduling (iMOPSE), with all seconds and seeds. The other tables use the last of the seconds
//! and seed 1. `resources`: single-skill (PSPLIB); with a filter, one line for each instance. `workflows`: recorded workflows
//! (WfCommons), with a tenth of the seconds each. `fronts`: makespan against cost, with the seconds for a whole front. A filter is a
//! list of parts of names. The instances are not part of this repository: `--data`, or `COUNTERPOINT_DATA`, names the folder that
//! contains `msrcpsp`, `rcpsp` and `wfinstances`.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_types,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a program: it prints, keeps the time that the library does not, and stops where a plan is wrong"
)]

mod projects;
#[path = "../plan_project/read.rs"]
mod read;
mod workflows;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) struct Options {
    tables: Vec<String>,
    budgets: Vec<Duration>,
    seeds: u32,
    data: Option<PathBuf>,
    filter: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    let budget = options.budgets.last().copied().ok_or("no seconds")?;
    let data = options.data.ok_or("COUNTERPOINT_DATA or --data names the folder of the instances")?;
    for table in &options.tables {
        println!();
        match table.as_str() {
            "projects" => projects::multi_skill(&data, &options.budgets, options.seeds, &options.filter)?,
            "resources" => projects::single_skill(&data, budget, &options.filter)?,
            "fronts" => projects::fronts(&data, budget, &options.filter)?,
            "workflows" => workflows::print(&data, budget / 10)?,
            other => return Err(format!("unknown table {other}").into()),
        }
    }
    Ok(())
}

fn options() -> Result<Options, Box<dyn Error>> {
    let data = std::env::var_os("COUNTERPOINT_DATA").map(PathBuf::from);
    let budgets = vec![Duration::from_secs(1)];
    let mut options = Options { tables: Vec::new(), budgets, seeds: 1, data, filter: String::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--seconds" => {
                let seconds: Result<Vec<f64>, _> = value()?.split(',').map(str::parse).collect();
                options.budgets = seconds?.into_iter().map(Duration::from_secs_f64).collect();
            }
            "--seeds" => options.seeds = value()?.parse()?,
            "--data" => options.data = Some(value()?.into()),
            "--filter" => options.filter = value()?,
            table => options.tables.push(table.to_owned()),
        }
    }
    if options.tables.is_empty() {
        options.tables = ["projects", "resources", "workflows", "fronts"].map(str::to_owned).to_vec();
    }
    Ok(options)
}
