//! Stage one: lists the files to read and the files that are skipped.

use std::fs::{self, DirEntry, File};
use std::io::Read as _;
use std::path::Path;

use crate::language::Language;
use crate::model::{Entry, Inventory, Limits, Reason, Skipped};

/// How much of a file without a telling name is looked at to decide whether it is text.
const SNIFF_BYTES: u64 = 4096;

/// Lists the files under `root`, sorted by path.
///
/// Never fails: a root that cannot be listed gives an inventory with that one complaint.
pub fn walk(root: &Path, limits: &Limits) -> Inventory {
    let mut inventory = Inventory { name: name_of(root), ..Inventory::default() };
    // A stack of our own rather than recursion: a deep tree must not exhaust the call stack.
    let mut open = vec![(String::new(), 0_usize)];
    while let Some((folder, depth)) = open.pop() {
        if depth > limits.max_depth {
            inventory.skipped.push(Skipped { path: folder, reason: Reason::TooDeep });
            continue;
        }
        let listing = match fs::read_dir(root.join(&folder)) {
            Ok(listing) => listing,
            Err(error) => {
                inventory.skipped.push(unreadable(&folder, &error));
                continue;
            }
        };
        for item in listing {
            match item {
                Ok(item) => {
                    if let Some(inner) = visit(&item, &folder, limits, &mut inventory) {
                        open.push((inner, depth + 1));
                    }
                }
                Err(error) => inventory.skipped.push(unreadable(&folder, &error)),
            }
        }
    }
    finish(inventory, limits)
}

/// Sorts, and only then cuts: which files fall beyond the limit must not depend on the order
/// in which the file system happened to list them.
fn finish(mut inventory: Inventory, limits: &Limits) -> Inventory {
    inventory.entries.sort_by(|a, b| a.path.cmp(&b.path));
    if inventory.entries.len() > limits.max_files {
        let beyond = inventory.entries.split_off(limits.max_files);
        let cut = beyond.into_iter().map(|e| Skipped { path: e.path, reason: Reason::TooMany });
        inventory.skipped.extend(cut);
    }
    inventory.skipped.sort();
    inventory
}

/// Takes one item of a folder into the inventory; gives back a folder that is to be entered.
fn visit(item: &DirEntry, folder: &str, limits: &Limits, inventory: &mut Inventory) -> Option<String> {
    let raw = item.file_name();
    let path = join(folder, &raw.to_string_lossy());
    let name = raw.to_str();
    // Of the item itself, not of what a link points to.
    let reason = match (name, item.metadata()) {
        (None, _) => Reason::NameNotUnicode,
        (_, Err(error)) => Reason::Unreadable { message: error.to_string() },
        (Some(_), Ok(meta)) if meta.file_type().is_symlink() => Reason::Symlink,
        (Some(name), Ok(meta)) if meta.is_dir() => {
            if limits.ignored.iter().any(|ignored| ignored == name) {
                Reason::IgnoredFolder
            } else {
                return Some(path);
            }
        }
        (Some(_), Ok(meta)) if !meta.is_file() => Reason::Special,
        (Some(_), Ok(meta)) => match classify(&path, meta.len(), &item.path(), limits) {
            Ok(language) => {
                inventory.entries.push(Entry { path, bytes: meta.len(), language });
                return None;
            }
            Err(reason) => reason,
        },
    };
    inventory.skipped.push(Skipped { path, reason });
    None
}

fn classify(path: &str, bytes: u64, full: &Path, limits: &Limits) -> Result<Language, Reason> {
    if Language::is_binary_name(path) {
        return Err(Reason::Binary);
    }
    if bytes > limits.max_file_bytes {
        return Err(Reason::TooLarge { bytes, limit: limits.max_file_bytes });
    }
    if let Some(language) = Language::of(path) {
        return Ok(language);
    }
    let head = sniff(full).map_err(|error| Reason::Unreadable { message: error.to_string() })?;
    if head.contains(&0) { Err(Reason::Binary) } else { Ok(language_of_script(&head)) }
}

fn sniff(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(SNIFF_BYTES).read_to_end(&mut head)?;
    Ok(head)
}

/// A script without an ending names its interpreter in the first line.
fn language_of_script(head: &[u8]) -> Language {
    let first = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let first = String::from_utf8_lossy(first);
    if !first.starts_with("#!") {
        return Language::Text;
    }
    let names = [
        ("python", Language::Python),
        ("node", Language::JavaScript),
        ("ruby", Language::Ruby),
        ("sh", Language::Shell),
    ];
    let known = names.iter().find(|(name, _)| first.contains(name));
    known.map_or(Language::Text, |(_, language)| *language)
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

fn unreadable(folder: &str, error: &std::io::Error) -> Skipped {
    let path = if folder.is_empty() { "." } else { folder };
    Skipped { path: path.to_owned(), reason: Reason::Unreadable { message: error.to_string() } }
}

/// The last part of the path, so that reports do not carry the layout of someone's disk.
fn name_of(root: &Path) -> String {
    let full = fs::canonicalize(root).unwrap_or_else(|_| root.to_path_buf());
    full.file_name().map_or_else(|| "/".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Deals the files into at most `count` batches of about equal weight, in the order of paths.
pub fn deal(inventory: &Inventory, count: usize) -> Vec<Vec<Entry>> {
    let total: u64 = inventory.entries.iter().map(weight).sum();
    let share = (total / count.max(1) as u64).max(1);
    let mut batches = Vec::new();
    let mut batch = Vec::new();
    let mut filled = 0;
    for entry in &inventory.entries {
        filled += weight(entry);
        batch.push(entry.clone());
        if filled >= share && batches.len() + 1 < count {
            batches.push(std::mem::take(&mut batch));
            filled = 0;
        }
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

/// Opening a file costs about as much as reading a few kilobytes.
const fn weight(entry: &Entry) -> u64 {
    entry.bytes + 4096
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    fn reason_of(inventory: &Inventory, path: &str) -> Option<Reason> {
        inventory.skipped.iter().find(|s| s.path == path).map(|s| s.reason.clone())
    }

    #[test]
    fn lists_sorted_with_what_was_left_out() {
        let folder = Folder::new("walk");
        folder.write("src/b.rs", b"fn b() {}\n");
        folder.write("src/a.py", b"pass\n");
        folder.write("target/x.rs", b"fn x() {}\n");
        folder.write("logo.png", b"png");
        folder.write("blob", b"a\0b");
        folder.write("run", b"#!/usr/bin/env python3\n");
        folder.write("big.rs", &[b'a'; 300]);
        let limits = Limits { max_file_bytes: 200, ..Limits::default() };
        let inventory = walk(folder.path(), &limits);
        let paths: Vec<_> = inventory.entries.iter().map(|e| e.path.as_str()).collect();
        assert_eq!(paths, ["run", "src/a.py", "src/b.rs"]);
        assert_eq!(inventory.entries[0].language, Language::Python);
        assert_eq!(reason_of(&inventory, "target"), Some(Reason::IgnoredFolder));
        assert_eq!(reason_of(&inventory, "logo.png"), Some(Reason::Binary));
        assert_eq!(reason_of(&inventory, "blob"), Some(Reason::Binary));
        let large = Reason::TooLarge { bytes: 300, limit: 200 };
        assert_eq!(reason_of(&inventory, "big.rs"), Some(large));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_listed_and_not_followed() {
        let folder = Folder::new("links");
        folder.write("a.rs", b"");
        std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
        let inventory = walk(folder.path(), &Limits::default());
        assert_eq!(inventory.entries.len(), 1);
        assert_eq!(reason_of(&inventory, "loop"), Some(Reason::Symlink));
    }

    #[test]
    fn a_missing_root_is_a_complaint_not_a_panic() {
        let inventory = walk(Path::new("no/such/folder"), &Limits::default());
        assert!(inventory.entries.is_empty());
        assert!(inventory.skipped[0].reason.is_loss());
    }

    #[test]
    fn limits_on_depth_and_number() {
        let folder = Folder::new("limits");
        folder.write("a.rs", b"");
        folder.write("b.rs", b"");
        folder.write("d/e/f.rs", b"");
        let limits = Limits { max_files: 1, max_depth: 1, ..Limits::default() };
        let inventory = walk(folder.path(), &limits);
        assert_eq!(inventory.entries.len(), 1);
        assert_eq!(reason_of(&inventory, "b.rs"), Some(Reason::TooMany));
        assert_eq!(reason_of(&inventory, "d/e"), Some(Reason::TooDeep));
    }

    #[test]
    fn batches_hold_every_file_once() {
        let entry = |n: u64| Entry { path: format!("{n}"), bytes: n * 1000, language: Language::Rust };
        let inventory = Inventory { entries: (0..50).map(entry).collect(), ..Inventory::default() };
        for count in [0, 1, 3, 50, 80] {
            let batches = deal(&inventory, count);
            assert!(batches.len() <= count.max(1));
            assert_eq!(batches.concat(), inventory.entries);
        }
    }
}
