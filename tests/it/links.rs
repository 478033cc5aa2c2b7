//! Links of the documents lead somewhere: to a file that is there, and to a heading in it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The Markdown files of the repository, without what is built.
pub(crate) fn documents(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            let is_foreign = name == "target" || name == "node_modules";
            if !is_foreign && !name.starts_with('.') {
                documents(&path, out);
            }
        } else if name.ends_with(".md") {
            out.push(path);
        }
    }
}

/// The lines of a document without the code in them; those of a block of code are empty.
pub(crate) fn prose(text: &str) -> Vec<String> {
    let mut code = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        let text = if code || fence { String::new() } else { without_code(line) };
        lines.push(text);
    }
    lines
}

/// A line without the code in it.
pub(crate) fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("code")
}

/// Where a line's links lead: `](target)` within it, or `[name]: target` as the whole of it.
fn targets(line: &str) -> Vec<String> {
    let within = line.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned);
    let defined = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target.to_owned());
    within.chain(defined).collect()
}

/// The names by which other documents lead to a heading.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut code = false;
    let headings = text.lines().filter(|line| {
        code ^= line.starts_with("```");
        !code && line.starts_with('#')
    });
    headings
        .map(|heading| {
            let words = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = words.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
            kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
        })
        .collect()
}

/// What is wrong with the links of a document that stands there.
fn broken(document: &Path, text: &str) -> Vec<String> {
    let lines = prose(text);
    let mut wrong = Vec::new();
    for target in lines.iter().flat_map(|line| targets(line)) {
        if target.starts_with("https://") || target.starts_with("http://") || target == "crate" {
            continue;
        }
        let (file, anchor) =
            target.split_once('#').map_or((target.as_str(), None), |(file, anchor)| (file, Some(anchor)));
        let path = if file.is_empty() { document.to_owned() } else { document.parent().unwrap().join(file) };
        if !path.exists() {
            wrong.push(format!("{}: {target} is not there", document.display()));
        } else if let Some(anchor) = anchor {
            let there = std::fs::read_to_string(&path).is_ok_and(|text| anchors(&text).contains(anchor));
            if !there {
                wrong.push(format!("{}: {target} has no such heading", document.display()));
            }
        }
    }
    // `[text][name]` shows its brackets if nothing is called so.
    let defined: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: ")).map(|(name, _)| name).collect();
    for name in lines.iter().flat_map(|line| line.split("][").skip(1)).filter_map(|rest| rest.split(']').next()) {
        if !name.is_empty() && !defined.contains(name) {
            wrong.push(format!("{}: nothing is called [{name}]", document.display()));
        }
    }
    wrong
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !root.join(".ci").exists() {
        return; // the published package leaves some files out
    }
    let mut found = Vec::new();
    documents(root, &mut found);
    assert!(found.len() > 25, "{found:?}");
    let texts = found.iter().map(|path| (path, std::fs::read_to_string(path).unwrap()));
    let wrong: Vec<String> = texts.flat_map(|(path, text)| broken(path, &text)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_link_that_leads_nowhere_is_seen() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let broken = |text: &str| broken(&readme, text).len();
    assert_eq!(broken("[a](DESIGN.md), [b](DESIGN.md#floors), [c][d]\n\n[d]: src/lib.rs\n"), 0);
    assert_eq!(broken("[a](DESIGNS.md)"), 1);
    assert_eq!(broken("[a](DESIGN.md#no-such-heading)"), 1);
    assert_eq!(broken("[a][b]"), 1);
    assert_eq!(broken("[b]: no/such/file.rs"), 1);
    assert_eq!(broken("```text\n[a](DESIGNS.md)\n```\n`[a](DESIGNS.md)`"), 0, "code is no link");
}
