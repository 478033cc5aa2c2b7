//! The copy of the sources, with a switch around each statement.

use crate::statements::{self, Form, Mutant};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

pub type Failed<T> = Result<T, Box<dyn std::error::Error>>;

/// What decides, applies, restores, snapshots and admits.
const PLACES: [&str; 8] = [
    "src/access",
    "src/engine",
    "src/host/thread",
    "src/journal",
    "src/saga",
    "src/scheduler",
    "src/workflow/machine",
    "src/base/clock.rs",
];

/// A mutant of a file. Its number is its place in the list of all.
#[derive(Debug)]
pub struct Planted {
    pub file: PathBuf,
    pub mutant: Mutant,
}

/// All mutants, in the order of files and statements.
pub fn all(root: &Path) -> Failed<Vec<Planted>> {
    let mut files = vec![];
    for place in PLACES {
        collect(&root.join(place), &mut files)?;
    }
    files.sort();
    let mut all = vec![];
    for path in files {
        let source = fs::read_to_string(&path)?;
        let file = path.strip_prefix(root)?.to_owned();
        let found = statements::of(&source).map_err(|error| format!("{}: {error}", file.display()))?;
        all.extend(found.into_iter().map(|mutant| Planted { file: file.clone(), mutant }));
    }
    Ok(all)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Failed<()> {
    if path.is_file() {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // The checks are an oracle of the tests.
        if name.ends_with(".rs") && name != "tests.rs" && name != "check.rs" {
            files.push(path.to_owned());
        }
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name != "tests") {
            collect(&path, files)?;
        }
    }
    Ok(())
}

/// Copies the sources that git knows, or would add.
pub fn copy(root: &Path, to: &Path) -> Failed<()> {
    let list = Command::new("git").current_dir(root).args(["ls-files", "-co", "--exclude-standard"]).output()?;
    let mut wanted = BTreeSet::new();
    for file in String::from_utf8(list.stdout)?.lines().filter(|file| root.join(file).is_file()) {
        let target = to.join(file);
        let text = fs::read(root.join(file))?;
        // A file that is the same keeps its time, so that it is not built again.
        if fs::read(&target).ok().as_ref() != Some(&text) && !file.starts_with("src/") {
            fs::create_dir_all(target.parent().ok_or("no folder")?)?;
            fs::write(&target, text)?;
        }
        wanted.insert(target);
    }
    let mut stale = vec![];
    if to.join("src").is_dir() {
        collect_all(&to.join("src"), &mut stale)?;
    }
    for file in stale.into_iter().filter(|file| !wanted.contains(file)) {
        fs::remove_file(file)?;
    }
    Ok(())
}

/// Where a switch is in a rewritten file.
#[derive(Debug)]
pub struct Switch {
    pub number: usize,
    pub file: PathBuf,
    /// The whole, with what is in the place of the statement.
    pub whole: Range<usize>,
    /// The condition.
    pub condition: Range<usize>,
    /// Whether the statement leaves its block: a `return`, `break` or `continue`.
    pub leaves: bool,
}

/// Writes all sources of the library, each statement that is not among the `dropped` behind its switch.
pub fn write(root: &Path, to: &Path, all: &[Planted], dropped: &BTreeSet<usize>) -> Failed<Vec<Switch>> {
    let mut switches = vec![];
    let mut files = vec![];
    collect_all(&root.join("src"), &mut files)?;
    for path in files {
        let file = path.strip_prefix(root)?.to_owned();
        let kept = all.iter().enumerate().filter(|(number, planted)| planted.file == file && !dropped.contains(number));
        let kept: Vec<(usize, &Mutant)> = kept.map(|(number, planted)| (number, &planted.mutant)).collect();
        let mut text = rewritten(&fs::read_to_string(&path)?, &file, &kept, &mut switches);
        if file == Path::new("src/lib.rs") {
            text.push_str(&include_str!("switch.in").replace("COUNT", &(all.len() + 1).to_string()));
        }
        let target = to.join(&file);
        if fs::read_to_string(&target).ok().as_ref() != Some(&text) {
            fs::create_dir_all(target.parent().ok_or("no folder")?)?;
            fs::write(&target, text)?;
        }
    }
    Ok(switches)
}

fn collect_all(path: &Path, files: &mut Vec<PathBuf>) -> Failed<()> {
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if path.is_dir() {
            collect_all(&path, files)?;
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

/// A file with switches. Its lines keep their numbers.
fn rewritten(source: &str, file: &Path, kept: &[(usize, &Mutant)], switches: &mut Vec<Switch>) -> String {
    let mut text = String::with_capacity(source.len() * 2);
    // The switches that are open, each with where it begins and where its condition is.
    let mut open: Vec<(usize, &Mutant, usize, Range<usize>)> = vec![];
    let mut done = 0;
    let mut upto = |text: &mut String, place: usize| {
        text.push_str(source.get(done..place).unwrap_or_default());
        done = place;
    };
    let mut close = |text: &mut String, (number, mutant, start, condition): (usize, &Mutant, usize, Range<usize>)| {
        text.push_str(match mutant.form {
            Form::Nothing => " }",
            Form::Success => " } else { Ok(()) }",
            Form::Default => " } else { Default::default() }",
        });
        let leaves = ["return", "break", "continue"].iter().any(|word| mutant.text.starts_with(word));
        switches.push(Switch { number, file: file.to_owned(), whole: start..text.len(), condition, leaves });
    };
    for (number, mutant) in kept {
        while let Some(inner) = open.pop_if(|(_, inner, ..)| inner.range.end <= mutant.range.start) {
            upto(&mut text, inner.1.range.end);
            close(&mut text, inner);
        }
        upto(&mut text, mutant.range.start);
        let start = text.len();
        let _ = write!(text, "if crate::mutants::stands({number}) {{ ");
        open.push((*number, mutant, start, start + 3..text.len() - 3));
    }
    while let Some(inner) = open.pop() {
        upto(&mut text, inner.1.range.end);
        close(&mut text, inner);
    }
    upto(&mut text, source.len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_nest_and_the_text_between_them_is_kept() {
        let source =
            "fn f(&mut self) {\n    for a in b {\n        self.x(a);\n        self.y();\n    }\n    self.z()\n}\n";
        let found = statements::of(source).unwrap();
        let kept: Vec<_> = found.iter().enumerate().collect();
        let mut switches = vec![];
        let text = rewritten(source, Path::new("f.rs"), &kept, &mut switches);
        let expected = "fn f(&mut self) {\n    if crate::mutants::stands(0) { for a in b {\n        \
            if crate::mutants::stands(1) { self.x(a); }\n        if crate::mutants::stands(2) { self.y(); }\n    } }\n    \
            if crate::mutants::stands(3) { self.z() }\n}\n";
        assert_eq!(text, expected);
        assert!(switches.iter().all(|switch| text[switch.condition.clone()].starts_with("crate::mutants::stands(")));
    }
}
