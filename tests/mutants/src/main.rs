//! Deletes statements of the library, one at a time, and looks which test fails. See `README.md`.

mod compile;
mod explained;
mod plant;
mod statements;
mod tests_of;

use plant::Failed;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tests_of::Ended;

const USAGE: &str = "usage: mutants list | check | run all | run [--sample N] [--seed N] [--patience SECONDS] [--only TEXT] [--tests NAME,...]";

struct Arguments {
    /// None: all.
    sample: Option<usize>,
    seed: u64,
    patience: Duration,
    /// A part of the statement's file, function or text.
    only: String,
    /// Which test binaries are built and run.
    tests: Vec<String>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.first().map(String::as_str) {
        Some("list") => list(),
        Some("check") => check(),
        Some("run") => arguments(&words[1..]).and_then(|arguments| run(&arguments)),
        _ => Err(USAGE.into()),
    };
    result.unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::from(2)
    })
}

fn arguments(words: &[String]) -> Failed<Arguments> {
    let mut told =
        Arguments { sample: Some(300), seed: 1, patience: Duration::from_secs(60), only: String::new(), tests: vec![] };
    told.tests = ["lib", "it", "hostile", "hosts", "fault_storm"].map(str::to_owned).to_vec();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut next = || words.next().ok_or(USAGE);
        match word.as_str() {
            "all" => (told.sample, told.patience) = (None, Duration::MAX),
            "--sample" => told.sample = Some(next()?.parse()?),
            "--seed" => told.seed = next()?.parse()?,
            "--patience" => told.patience = Duration::from_secs(next()?.parse()?),
            "--tests" => told.tests = next()?.split(',').map(str::to_owned).collect(),
            "--only" => next()?.clone_into(&mut told.only),
            _ => return Err(USAGE.into()),
        }
    }
    Ok(told)
}

fn root() -> Failed<PathBuf> {
    Ok(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?)
}

/// Where the copy is, and what is built of it.
fn work(root: &Path) -> PathBuf {
    std::env::var_os("MUTANTS_WORK").map_or_else(|| root.join("target/mutants"), PathBuf::from)
}

/// Prints the statements that can be deleted.
fn list() -> Failed<ExitCode> {
    for (number, planted) in plant::all(&root()?)?.iter().enumerate() {
        println!("{number} {} {}", planted.mutant.line, explained::key(planted));
    }
    Ok(ExitCode::SUCCESS)
}

/// Parses the sources, and looks whether what is explained still exists.
fn check() -> Failed<ExitCode> {
    let all = plant::all(&root()?)?;
    let keys: BTreeSet<String> = all.iter().map(explained::key).collect();
    let reasons = explained::read()?;
    let stale: Vec<_> = reasons.keys().filter(|key| !keys.contains(*key)).collect();
    println!("{} statements, {} explained", all.len(), reasons.len());
    stale.iter().for_each(|key| println!("explained.txt: no such statement: {key}"));
    Ok(if stale.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run(arguments: &Arguments) -> Failed<ExitCode> {
    let root = root()?;
    let work = work(&root);
    let copy = work.join("copy");
    fs::create_dir_all(&copy)?;
    let all = plant::all(&root)?;
    plant::copy(&root, &copy)?;
    // Those that did not compile the last time need not be tried again.
    let known = fs::read_to_string(work.join("dropped.txt")).unwrap_or_default();
    let known: BTreeSet<&str> = known.lines().collect();
    let mut dropped = (0..all.len()).filter(|number| known.contains(explained::key(&all[*number]).as_str())).collect();
    compile::settle(&root, &copy, &all, &mut dropped)?;
    eprintln!("{} statements, {} of them left out: it does not compile without", all.len(), dropped.len());
    let binaries = compile::build(&copy, &arguments.tests)?;
    let tests = tests_of::record(&copy, &binaries, arguments.patience)?;

    let reasons = explained::read()?;
    let mut chosen: Vec<usize> = (0..all.len()).filter(|number| !dropped.contains(number)).collect();
    chosen.retain(|number| explained::key(&all[*number]).contains(&arguments.only));
    shuffle(&mut chosen, arguments.seed);
    // In the drawn order, so that also the first half of a run is a sample.
    chosen.truncate(arguments.sample.unwrap_or(usize::MAX));
    let mut finds = vec![0; tests.len()];
    let (mut found, mut explained, mut left) = (0, 0, vec![]);
    let mut table = fs::File::create(work.join("table.md"))?;
    writeln!(table, "| statement | found by |\n|---|---|")?;
    for number in &chosen {
        let planted = &all[*number];
        let key = explained::key(planted);
        let is_reached = tests.iter().any(|test| test.reaches.contains(number));
        let by = match tests_of::find(&copy, &tests, &mut finds, *number, arguments.patience)? {
            Some((by, ended)) => {
                found += 1;
                if ended == Ended::Hung { format!("{by} (does not end)") } else { by }
            }
            None if reasons.contains_key(&key) => {
                explained += 1;
                format!("explained: {}", reasons[&key])
            }
            None => {
                left.push(number);
                (if is_reached { "**not found**" } else { "**not reached**" }).to_owned()
            }
        };
        let (file, line, text) = (planted.file.display(), planted.mutant.line, &planted.mutant.text);
        let text = text.chars().take(100).collect::<String>().replace('|', "\\|");
        writeln!(table, "| {number} `{file}:{line}` `{text}` | {by} |")?;
    }
    for number in &left {
        let planted = &all[**number];
        println!("not found: {number} {}:{} {}", planted.file.display(), planted.mutant.line, explained::key(planted));
    }
    let share = f64::from(found + explained) * 100.0 / chosen.len().max(1) as f64;
    println!(
        "{} of {} statements deleted: {found} found, {explained} explained, {} not found ({share:.1} %)",
        chosen.len(),
        all.len() - dropped.len(),
        left.len()
    );
    Ok(if left.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The same order for the same seed (xorshift).
fn shuffle(numbers: &mut [usize], seed: u64) {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for last in (1..numbers.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        numbers.swap(last, (state % (last as u64 + 1)) as usize);
    }
}
