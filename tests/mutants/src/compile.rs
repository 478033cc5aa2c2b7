//! The build of the copy. Statements without which it does not compile are left out.

use crate::explained;
use crate::plant::{self, Failed, Planted, Switch};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A test binary: its name, and where it is.
pub type Binary = (String, PathBuf);

fn cargo(copy: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    let target = std::env::var_os("MUTANTS_TARGET").map_or_else(|| copy.with_file_name("target"), PathBuf::from);
    cargo.current_dir(copy).env("CARGO_TARGET_DIR", target).env("CARGO_TERM_COLOR", "never");
    cargo.args(["--config", "profile.dev.package.counterpoint.debug=false"]);
    cargo
}

fn messages(command: &mut Command) -> Failed<(bool, Vec<Value>)> {
    let output = command.stderr(Stdio::inherit()).output()?;
    let lines = String::from_utf8(output.stdout)?;
    Ok((output.status.success(), lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()))
}

/// Writes the copy again and again with fewer switches until it compiles. Adds to the `dropped`.
pub fn settle(root: &Path, copy: &Path, all: &[Planted], dropped: &mut BTreeSet<usize>) -> Failed<()> {
    loop {
        let keys: Vec<_> = dropped.iter().map(|number| explained::key(&all[*number]) + "\n").collect();
        fs::write(copy.with_file_name("dropped.txt"), keys.concat())?;
        let switches = plant::write(root, copy, all, dropped)?;
        let args = ["check", "--quiet", "--lib", "--features", "full", "--message-format=json"];
        let (is_built, messages) = messages(cargo(copy).args(args))?;
        if is_built {
            return Ok(());
        }
        let errors: Vec<&Value> =
            messages.iter().map(|line| &line["message"]).filter(|m| m["level"] == "error").collect();
        let before = dropped.len();
        for error in &errors {
            dropped.extend(culprits(error, &switches));
        }
        eprintln!("{} errors, {} statements left out", errors.len(), dropped.len());
        if dropped.len() == before {
            let texts: Vec<_> = errors.iter().filter_map(|error| error["rendered"].as_str()).collect();
            return Err(
                format!("these errors are at no statement that could be left out:\n{}", texts.join("\n")).into()
            );
        }
    }
}

/// The switches that cause an error: those whose condition it points at, else the innermost around it, else the returns
/// between the places that it points at, else all between them.
fn culprits(error: &Value, switches: &[Switch]) -> Vec<usize> {
    let mut spans = vec![];
    let children = error["children"].as_array().into_iter().flatten();
    for part in std::iter::once(error).chain(children) {
        for span in part["spans"].as_array().into_iter().flatten() {
            let place = |end: &str| span[end].as_u64().and_then(|place| usize::try_from(place).ok()).unwrap_or(0);
            let is_primary = span["is_primary"] == true;
            spans.push((
                PathBuf::from(span["file_name"].as_str().unwrap_or_default()),
                place("byte_start")..place("byte_end"),
                is_primary,
            ));
        }
    }
    let mut found = vec![];
    for (file, span, _) in &spans {
        let pointed = switches.iter().filter(|switch| switch.file == *file);
        let pointed = pointed.filter(|switch| switch.condition.start <= span.end && span.start < switch.condition.end);
        // A span over several statements says nothing about one of them.
        found.extend(pointed.filter(|switch| span.len() <= switch.whole.len()).map(|switch| switch.number));
    }
    if found.is_empty() {
        for (file, span, _) in spans.iter().filter(|(.., is_primary)| *is_primary) {
            let around = switches.iter().filter(|switch| switch.file == *file);
            let around = around.filter(|switch| switch.whole.start <= span.start && span.end <= switch.whole.end);
            found.extend(around.min_by_key(|switch| switch.whole.len()).map(|switch| switch.number));
        }
    }
    // What it leads to is used only when the block has not been left before.
    for (file, ..) in
        spans.iter().filter(|(.., is_primary)| *is_primary && found.is_empty()).take(1).cloned().collect::<Vec<_>>()
    {
        let here = spans.iter().filter(|(other, ..)| *other == file);
        let start = here.clone().map(|(_, span, _)| span.start).min().unwrap_or(0);
        let end = here.map(|(_, span, _)| span.end).max().unwrap_or(0);
        let inside = switches.iter().filter(|switch| switch.file == file);
        let inside = inside.filter(|switch| start <= switch.whole.start && switch.whole.end <= end);
        let leaves = inside.clone().any(|switch| switch.leaves);
        found.extend(inside.filter(|switch| switch.leaves || !leaves).map(|switch| switch.number));
    }
    found
}

/// Builds the test binaries with these names: `lib`, those of `tests`, and `fault_storm`.
pub fn build(copy: &Path, names: &[String]) -> Failed<Vec<Binary>> {
    let common = ["--quiet", "--features", "full", "--message-format=json"];
    let mut tests = cargo(copy);
    tests.args(["test", "--no-run"]).args(common);
    let mut commands = vec![];
    for name in names {
        match name.as_str() {
            "lib" => _ = tests.arg("--lib"),
            "fault_storm" => {
                let mut storm = cargo(copy);
                storm.args(["build", "--example", name]).args(common);
                commands.push(storm);
            }
            test => _ = tests.args(["--test", test]),
        }
    }
    if names.iter().any(|name| name != "fault_storm") {
        commands.push(tests);
    }
    let (mut is_built, mut messages) = (true, vec![]);
    for mut command in commands {
        let (is_done, more) = self::messages(&mut command)?;
        is_built &= is_done;
        messages.extend(more);
    }
    if !is_built {
        let texts: Vec<_> = messages.iter().filter_map(|line| line["message"]["rendered"].as_str()).collect();
        return Err(format!("the tests of the copy do not compile:\n{}", texts.join("\n")).into());
    }
    let binaries = messages.iter().filter_map(|line| {
        let path = line["executable"].as_str()?;
        Some((line["target"]["name"].as_str()?.to_owned(), PathBuf::from(path)))
    });
    Ok(binaries.collect())
}
