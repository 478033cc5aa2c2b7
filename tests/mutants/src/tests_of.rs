//! The tests: which there are, what each costs, and which statements it reaches.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "it measures what tests take, and waits for them"
)]

use crate::compile::Binary;
use crate::plant::Failed;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A test, or some seeds of the storm.
#[derive(Debug, Clone)]
pub struct Test {
    pub binary: String,
    pub path: PathBuf,
    pub name: String,
    /// What it takes when nothing is deleted.
    pub cost: Duration,
    /// The statements that it reaches.
    pub reaches: BTreeSet<usize>,
}

/// The storm's number of seeds is the name of its test.
const STORM: &str = "fault_storm";
const SEEDS: [u32; 3] = [5, 30, 300];

/// How a test run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Passed,
    Failed,
    /// It took much longer than without the deletion, and was ended.
    Hung,
}

/// Runs tests of one binary in a process, with a statement deleted.
pub fn run(copy: &Path, tests: &[&Test], variables: &[(&str, String)], limit: Duration) -> Failed<Ended> {
    let Some(first) = tests.first() else { return Ok(Ended::Passed) };
    // A loop that fills the memory must not take the machine with it.
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v 12000000; exec \"$0\" \"$@\""]).arg(&first.path);
    if first.binary == STORM {
        command.args(["--first-failure", "--threads", "1", "--seeds", &first.name]);
    } else {
        command.args(["--exact", "--quiet", "--test-threads", "1"]).args(tests.iter().map(|test| &test.name));
    }
    command.current_dir(copy).env("CARGO_MANIFEST_DIR", copy).envs(variables.iter().map(|(name, value)| (name, value)));
    // The cases of `.cargo/config.toml`; what fails is not made smaller, and not kept for the next run.
    command.env("PROPTEST_RNG_SEED", "17").env("PROPTEST_MAX_SHRINK_ITERS", "0");
    command.env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1").env("RUST_BACKTRACE", "0");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let begun = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(if status.success() { Ended::Passed } else { Ended::Failed });
        }
        if begun.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(Ended::Hung);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Runs each test alone with nothing deleted. Left out are those that fail, since some tests read the sources, and those
/// that take longer than `patience`. What is known of the same binaries is read from a file.
pub fn record(copy: &Path, binaries: &[Binary], patience: Duration) -> Failed<Vec<Test>> {
    let notes = copy.with_file_name("tests.txt");
    let changed = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    if binaries.iter().all(|(_, path)| changed(path) < changed(&notes)) {
        let known: Option<Vec<Test>> = fs::read_to_string(&notes)?.lines().map(read).collect();
        let known = known.ok_or("tests.txt cannot be read: delete it")?;
        if binaries.iter().all(|(_, path)| known.iter().any(|test| test.path == *path)) {
            return Ok(known.into_iter().filter(|test| binaries.iter().any(|(_, path)| test.path == *path)).collect());
        }
    }
    let mut tests = vec![];
    for (binary, path) in binaries {
        let names = if binary == STORM {
            SEEDS.iter().map(u32::to_string).collect()
        } else {
            let list = Command::new(path).current_dir(copy).args(["--list", "--format", "terse"]).output()?;
            let list = String::from_utf8(list.stdout)?;
            list.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect::<Vec<_>>()
        };
        for name in names {
            let cost = Duration::ZERO;
            tests.push(Test { binary: binary.clone(), path: path.clone(), name, cost, reaches: BTreeSet::new() });
        }
    }
    let file = copy.join("../reached.txt");
    let mut left_out = vec![];
    for test in &mut tests {
        let _ = fs::remove_file(&file);
        let begun = Instant::now();
        let variables = [("MUTANTS_REACHED", file.display().to_string())];
        if run(copy, &[test], &variables, patience)? == Ended::Passed {
            test.cost = begun.elapsed();
            let reached = fs::read_to_string(&file).unwrap_or_default();
            test.reaches = reached.lines().filter_map(|line| line.parse().ok()).collect();
        } else {
            left_out.push(format!("{} {}", test.binary, test.name));
        }
    }
    let total: Duration = tests.iter().map(|test| test.cost).sum();
    eprintln!(
        "{} tests, {:.0} s; slow or fail in the copy, and are left out: {left_out:?}",
        tests.len(),
        total.as_secs_f64()
    );
    tests.retain(|test| !test.reaches.is_empty());
    fs::write(notes, tests.iter().map(write).collect::<String>())?;
    Ok(tests)
}

fn write(test: &Test) -> String {
    let reaches: Vec<String> = test.reaches.iter().map(usize::to_string).collect();
    let (path, cost) = (test.path.display(), test.cost.as_micros());
    format!("{}\t{path}\t{}\t{cost}\t{}\n", test.binary, test.name, reaches.join(" "))
}

fn read(line: &str) -> Option<Test> {
    let [binary, path, name, cost, reaches] = line.split('\t').collect::<Vec<_>>().try_into().ok()?;
    let reaches = reaches.split(' ').map(|number| number.parse().ok()).collect::<Option<_>>()?;
    let cost = Duration::from_micros(cost.parse().ok()?);
    Some(Test { binary: binary.into(), path: path.into(), name: name.into(), cost, reaches })
}

/// Tries the tests that reach a statement without it, the cheap ones and those that found many first. Stops after tests
/// that cost `patience` in all. Returns the test that found it.
pub fn find(
    copy: &Path,
    tests: &[Test],
    finds: &mut [u32],
    number: usize,
    patience: Duration,
) -> Failed<Option<(String, Ended)>> {
    let mut order: Vec<usize> = (0..tests.len()).filter(|index| tests[*index].reaches.contains(&number)).collect();
    // The share of time after which something was found in the past.
    let worth = |index: usize| f64::from(finds[index] + 1) / (tests[index].cost.as_secs_f64() + 0.003);
    order.sort_by(|left, right| worth(*right).total_cmp(&worth(*left)));
    let mut spent = Duration::ZERO;
    let mut step = Duration::from_millis(30);
    let mut rest = order.as_slice();
    while !rest.is_empty() && spent < patience {
        // As many as fit into the step, by binary: a process for each.
        let mut cost = Duration::ZERO;
        let taken = rest.iter().take_while(|index| {
            let fits = cost < step;
            cost += tests[**index].cost;
            fits
        });
        let (group, later) = rest.split_at(taken.count());
        rest = later;
        let mut binaries: Vec<&str> = group.iter().map(|index| tests[*index].binary.as_str()).collect();
        binaries.dedup();
        let mut done = BTreeSet::new();
        for binary in binaries.into_iter().filter(|binary| done.insert(*binary)) {
            let of: Vec<usize> = group.iter().copied().filter(|index| tests[*index].binary == binary).collect();
            let chunks = if binary == STORM { of.chunks(1) } else { of.chunks(of.len().max(1)) };
            for chunk in chunks {
                let chosen: Vec<&Test> = chunk.iter().map(|index| &tests[*index]).collect();
                let cost: Duration = chosen.iter().map(|test| test.cost).sum();
                let limit = Duration::from_secs(15) + cost * 15;
                let ended = run(copy, &chosen, &[("MUTANT", number.to_string())], limit)?;
                spent += cost;
                if ended != Ended::Passed {
                    chunk.iter().for_each(|index| finds[*index] += u32::from(chunk.len() == 1));
                    let names: Vec<_> = chosen.iter().take(3).map(|test| test.name.as_str()).collect();
                    let more = if chosen.len() > 3 { format!(" or {} more", chosen.len() - 3) } else { String::new() };
                    return Ok(Some((format!("{binary}: {}{more}", names.join(", ")), ended)));
                }
            }
        }
        step *= 3;
    }
    Ok(None)
}
