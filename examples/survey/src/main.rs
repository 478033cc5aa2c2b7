//! Surveys a directory of source files with a team of agents, and writes a report on the files.
//!
//! `cargo run --release -p survey -- [DIRECTORY] [--out FOLDER] [--fail RATE]`
//!
//! The modules, in a good order for reading:
//!
//! 1. [`flow`]: the workflow, from an order to a report;
//! 2. [`steps`]: the steps, each of which calls a plain function;
//! 3. [`team`]: the agents, and [`unreliable`]: their injected failures;
//! 4. [`desk`]: the store of large values, so that payloads contain only their names;
//! 5. this file: the host.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "the modules of an example have no users outside it"
)]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "the readers of imports name the languages they know; all others have none"
)]

mod arguments;
mod chord;
mod deliver;
mod desk;
mod findings;
mod flow;
mod headers;
mod html;
mod html_lists;
mod language;
mod lines;
mod links;
mod markdown;
mod model;
mod picture;
mod read;
mod records;
mod repeats;
mod resolve;
mod resolve_rust;
mod review;
mod scan;
mod steps;
mod structure;
mod style;
mod summary;
mod survey;
mod synthesise;
mod team;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod unreliable;
mod walk;
mod watch;
mod words;

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use counterpoint::host::RunError;
use counterpoint::host::thread::ThreadHost;
use counterpoint::message::Cause;
use counterpoint::{Config, RunId, RunOutcome};

use crate::arguments::{Arguments, HELP};
use crate::deliver::{deliver, settle};
use crate::desk::Desk;
use crate::records::Records;
use crate::steps::{Order, Staffroom};
use crate::summary::Summary;
use crate::unreliable::Fate;

/// This program does one survey, and then ends.
const RUN: RunId = RunId::new(1);

fn main() -> ExitCode {
    let (code, text) = answer(std::env::args_os().skip(1));
    // Whoever asked may have gone away, and then there is nobody to tell; the report is there all the same.
    let _ = match code {
        0 => io::stdout().write_all(text.as_bytes()),
        _ => writeln!(io::stderr(), "survey: {text}"),
    };
    ExitCode::from(code)
}

/// Does what the command line asks for: the exit code, and what is said.
fn answer(words: impl IntoIterator<Item = OsString>) -> (u8, String) {
    match Arguments::read(words) {
        Err(wrong) => (2, format!("{wrong}\nTry `survey --help`.")),
        Ok(arguments) if arguments.help => (0, HELP.to_owned()),
        Ok(arguments) => survey(&arguments).map_or_else(|error| (1, error.to_string()), |text| (0, text)),
    }
}

/// Does the survey, and says what came of it.
fn survey(arguments: &Arguments) -> Result<String, Box<dyn Error>> {
    look_at(&arguments.root)?;
    let room = Staffroom { desk: Desk::default(), records: Records::default(), at_once: 2 * arguments.workers };
    let flow = flow::survey(&room)?;
    let team = team::team(&room, arguments.workers);

    let host = ThreadHost::start(Config::default().with_seed(arguments.seed))?;
    let records = room.records.clone();
    host.watch(move |entry| records.note(entry))?;
    team::assemble(&host, &team, Fate { rate: arguments.fail, seed: arguments.seed })?;

    let Arguments { root, out, fail_delivery, .. } = arguments.clone();
    let begun = host.now();
    let run = host.run(&flow, RUN, &Order { root, out, fail_delivery })?;
    let result = watch::until_over(run, &room.records);
    let took = host.now().since(begun);
    host.shut_down(Duration::from_secs(5))?;

    let (draft, _) = result.map_err(|error| in_plain_words(&error))?;
    finish_pictures(&room.records, &arguments.out)?;
    let survey = room.desk.get(&draft.survey)?;
    let metrics = room.records.read().metrics.snapshot();
    let summary = Summary { survey: &survey, folder: &arguments.out, metrics: &metrics, team: &team, took };
    Ok(summary.to_string())
}

fn look_at(root: &Path) -> Result<(), String> {
    match root.metadata() {
        Ok(there) if there.is_dir() => Ok(()),
        Ok(_) => Err(format!("{} is not a directory", root.display())),
        Err(error) => Err(format!("{} cannot be surveyed: {error}", root.display())),
    }
}

/// The report shows the work up to its own packing; the pictures beside it show all of it.
fn finish_pictures(records: &Records, folder: &Path) -> io::Result<()> {
    let delivery = deliver(folder, &records.documents())?;
    settle(folder, &delivery.names)
}

fn in_plain_words(error: &RunError) -> String {
    let RunError::Unsuccessful(outcome) = error else { return error.to_string() };
    let why = match outcome.cause() {
        Some(Cause::Node { node, failure }) => format!("step {node} failed for good ({failure})"),
        _ => outcome.to_string(),
    };
    match outcome {
        RunOutcome::Failed { residue, .. } if residue.iter().any(|node| node == "deliver") => {
            format!("{why}; parts of the report may remain")
        }
        _ => format!("{why}; no report remains"),
    }
}
