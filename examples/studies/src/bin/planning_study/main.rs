//! How good plans are on published instances: tables for `docs/planning.md` and `docs/planning-tables.md`, by processor time.
//!
//! ```text
//! planning_study [projects] [resources] [workflows] [fronts] [--seconds 0.1,1,10] [--seeds 5] [--data FOLDER] [--filter TEXT]
//! ```
//!
//! `projects`: multi-skill project scheduling (iMOPSE), with all seconds and seeds. The others take the last of the seconds and
//! seed 1. `resources`: single-skill (PSPLIB); with a filter, a line for each instance. `workflows`: recorded workflows
//! (WfCommons); a tenth of the seconds each. `fronts`: duration against cost, whole. A filter is a list of parts of names. The
//! instances are not part of this repository: `--data`, or `COUNTERPOINT_DATA`, names the folder with `msrcpsp`, `rcpsp` and
//! `wfinstances` in it.
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

pub(crate) struct Wish {
    tables: Vec<String>,
    budgets: Vec<Duration>,
    seeds: u32,
    data: Option<PathBuf>,
    filter: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let wish = wish()?;
    let budget = wish.budgets.last().copied().ok_or("no seconds")?;
    let data = wish.data.ok_or("COUNTERPOINT_DATA or --data names the folder of the instances")?;
    for table in &wish.tables {
        println!();
        match table.as_str() {
            "projects" => projects::multi_skill(&data, &wish.budgets, wish.seeds, &wish.filter)?,
            "resources" => projects::single_skill(&data, budget, &wish.filter)?,
            "fronts" => projects::fronts(&data, budget, &wish.filter)?,
            "workflows" => workflows::print(&data, budget / 10)?,
            other => return Err(format!("there is no table called {other}").into()),
        }
    }
    Ok(())
}

fn wish() -> Result<Wish, Box<dyn Error>> {
    let data = std::env::var_os("COUNTERPOINT_DATA").map(PathBuf::from);
    let budgets = vec![Duration::from_secs(1)];
    let mut wish = Wish { tables: Vec::new(), budgets, seeds: 1, data, filter: String::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--seconds" => {
                let seconds: Result<Vec<f64>, _> = value()?.split(',').map(str::parse).collect();
                wish.budgets = seconds?.into_iter().map(Duration::from_secs_f64).collect();
            }
            "--seeds" => wish.seeds = value()?.parse()?,
            "--data" => wish.data = Some(value()?.into()),
            "--filter" => wish.filter = value()?,
            table => wish.tables.push(table.to_owned()),
        }
    }
    if wish.tables.is_empty() {
        wish.tables = ["projects", "resources", "workflows", "fronts"].map(str::to_owned).to_vec();
    }
    Ok(wish)
}
