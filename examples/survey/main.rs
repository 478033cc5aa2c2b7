//! Surveys a directory of source files and writes `survey.html` and `survey.md`.
//!
//! `cargo run --release --example survey -- [DIRECTORY] [--out FOLDER]`
//!
//! Every stage is a function from plain data to plain data; this driver calls one after the
//! other.
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

mod chord;
mod deliver;
mod findings;
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
mod repeats;
mod resolve;
mod resolve_rust;
mod review;
mod scan;
mod structure;
mod style;
mod survey;
mod synthesise;
#[cfg(test)]
mod testing;
mod walk;
mod words;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::deliver::{Document, deliver, retract, settle};
use crate::html::render_html;
use crate::markdown::render_markdown;
use crate::model::{Batch, Inventory, Limits, Skill};
use crate::read::{analyse_batch, merge};
use crate::review::{review, revise};
use crate::survey::{Detail, Survey};
use crate::synthesise::synthesise;
use crate::walk::{deal, walk};

/// Drafts after which the last one goes out with its remarks, for all to see.
const MAX_DRAFTS: usize = 5;
const BATCHES: usize = 16;

struct Arguments {
    root: PathBuf,
    out: PathBuf,
}

fn arguments() -> Option<Arguments> {
    let (mut root, mut out) = (None, None);
    let mut given = std::env::args_os().skip(1);
    while let Some(argument) = given.next() {
        if argument == "--out" && out.is_none() {
            out = Some(PathBuf::from(given.next()?));
        } else if root.is_none() && !argument.to_string_lossy().starts_with("--") {
            root = Some(PathBuf::from(argument));
        } else {
            return None;
        }
    }
    let root = root.unwrap_or_else(|| PathBuf::from("."));
    Some(Arguments { root, out: out.unwrap_or_else(|| PathBuf::from("target/survey")) })
}

fn main() -> ExitCode {
    let Some(arguments) = arguments() else {
        let _ = writeln!(io::stderr(), "usage: survey [DIRECTORY] [--out FOLDER]");
        return ExitCode::from(2);
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "survey: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> io::Result<()> {
    let limits = Limits::default();
    let inventory = walk(&arguments.root, &limits);
    let analyse = |entries: Vec<_>| analyse_batch(&arguments.root, &entries, &Skill::ALL, &limits);
    let batch = merge(deal(&inventory, BATCHES).into_iter().map(analyse).collect());
    let survey = draft_until_accepted(&inventory, &batch);
    let documents = [
        Document { name: "survey.html".to_owned(), text: render_html(&survey, None) },
        Document { name: "survey.md".to_owned(), text: render_markdown(&survey) },
    ];
    let delivery = deliver(&arguments.out, &documents)?;
    let told = tell(&survey, arguments);
    if told.is_err() {
        // Nobody would know of the report: better there is none.
        retract(&arguments.out, &delivery.names)?;
        return told;
    }
    settle(&arguments.out, &delivery.names)
}

fn draft_until_accepted(inventory: &Inventory, batch: &Batch) -> Survey {
    let mut detail = Detail::default();
    let mut verdicts = Vec::new();
    loop {
        let mut survey = synthesise(inventory, batch, &detail);
        let verdict = review(&survey);
        detail = revise(&detail, &verdict);
        verdicts.push(verdict);
        let accepted = verdicts.last().is_some_and(|verdict| verdict.accepted);
        if accepted || verdicts.len() >= MAX_DRAFTS {
            survey.verdicts = verdicts;
            return survey;
        }
    }
}

fn tell(survey: &Survey, arguments: &Arguments) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (number, verdict) in (1..).zip(&survey.verdicts) {
        writeln!(out, "draft {number}: {}", if verdict.accepted { "accepted" } else { "sent back" })?;
        for remark in &verdict.remarks {
            writeln!(out, "  {}", remark.text)?;
        }
    }
    for finding in &survey.findings {
        writeln!(out, "- {}", finding.text)?;
    }
    writeln!(out, "{}", arguments.out.join("survey.html").display())
}
