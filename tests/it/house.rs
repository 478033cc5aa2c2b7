//! Figures of the structure: no type grows beyond what can be read at once, and the front of the crate stays narrow.
//!
//! The sources are read as text: comments and strings are removed, blocks are found by their braces.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The most methods that a type may have in all its files.
const METHODS: usize = 60;
/// The most fields that a struct may have.
const FIELDS: usize = 16;
/// The most variants of each enum of events.
const EVENTS: usize = 20;
/// The most items that the root re-exports in the default build.
const ROOT: usize = 41;
/// The most public modules of the default build.
const MODULES: usize = 13;

/// Settings and records that a user reads field by field: each field is independent of the others.
const PLAIN_DATA: &[&str] = &["Node"];

#[test]
fn no_type_has_more_methods_than_can_be_read() {
    let mut methods: BTreeMap<(String, String), usize> = BTreeMap::new();
    for source in sources() {
        for (head, body) in blocks(&source.code, "impl") {
            let key = (source.module.clone(), implemented(&head));
            *methods.entry(key).or_default() += functions(&body);
        }
    }
    let large: Vec<_> = methods.iter().filter(|(_, count)| **count > METHODS).collect();
    assert!(methods.len() > 300, "{} types were found", methods.len());
    assert!(large.is_empty(), "more than {METHODS} methods: {large:?}");
}

#[test]
fn no_struct_has_more_fields_than_can_be_read() {
    let mut all = Vec::new();
    for source in sources() {
        for (head, body) in blocks(&source.code, "struct") {
            all.push((fields(&body), name_of(&head), source.path.clone()));
        }
    }
    let large = all.iter().filter(|(count, name, _)| *count > FIELDS && !PLAIN_DATA.contains(&name.as_str()));
    let large: Vec<_> = large.collect();
    assert!(all.len() > 300, "{} structs were found", all.len());
    assert!(large.is_empty(), "more than {FIELDS} fields: {large:?}");
}

#[test]
fn events_are_split_by_subject() {
    let mut seen = 0;
    for source in
        sources().into_iter().filter(|source| source.path.components().any(|part| part.as_os_str() == "event"))
    {
        for (head, body) in blocks(&source.code, "enum") {
            let count = entries(&body);
            seen += 1;
            assert!(count <= EVENTS, "{} has {count} variants", name_of(&head));
        }
    }
    assert!(seen > 5, "{seen} enums of events were found");
}

#[test]
fn the_root_is_narrow() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let (mut modules, mut items, mut gated) = (0, 0, false);
    for statement in without_comments(&lib).split_inclusive(';') {
        gated |= statement.contains("#[cfg(");
        let text = statement.rsplit(']').next().unwrap_or_default().trim();
        if text.starts_with("pub mod ") {
            modules += usize::from(!gated);
        } else if text.starts_with("pub use ") {
            let names = text.split_once('{').map_or(1, |(_, names)| names.matches(',').count() + 1);
            let trailing = usize::from(text.replace(char::is_whitespace, "").ends_with(",};"));
            items += if gated { 0 } else { names - trailing };
        }
        gated = false;
    }
    assert!(modules >= 5 && items >= 20, "{modules} modules and {items} items were found");
    assert!(modules <= MODULES, "{modules} public modules in the default build");
    assert!(items <= ROOT, "{items} items at the root");
}

#[test]
fn these_figures_can_fail() {
    let code = "impl<T: Into<u8>> Show for Wide<T> where T: Copy {\n    fn one() { if true { } }\n    pub(super) const fn two() {}\n}\n\
                pub struct Wide<T> {\n    pub a: Vec<(u8, u8)>,\n    b: Option<T>,\n}\nenum Three { A, B { c: u8, d: u8 }, C(u8, u8) }";
    let (head, body) = blocks(code, "impl").remove(0);
    assert_eq!((implemented(&head).as_str(), functions(&body)), ("Wide", 2));
    let (head, body) = blocks(code, "struct").remove(0);
    assert_eq!((name_of(&head).as_str(), fields(&body)), ("Wide", 2));
    assert_eq!(entries(&blocks(code, "enum").remove(0).1), 3);
    assert_eq!(without_comments("a // \"b\n\"c // {\" d"), "a \n\"\" d");
}

struct Source {
    path: PathBuf,
    /// The top folder below `src`.
    module: String,
    /// Without comments, strings and unit tests.
    code: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let mut open = vec![root().join("src")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = without_comments(text.split("#[cfg(test)]\nmod ").next().unwrap_or_default());
                let below = path.strip_prefix(root().join("src")).unwrap();
                let module = below.components().next().unwrap().as_os_str().to_string_lossy();
                found.push(Source { module: module.trim_end_matches(".rs").to_owned(), path, code });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Removes comments and the content of strings and characters.
fn without_comments(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '/' if rest.peek() == Some(&'/') => {
                while rest.peek().is_some_and(|c| *c != '\n') {
                    rest.next();
                }
            }
            '"' => {
                while let Some(c) = rest.next().filter(|c| *c != '"') {
                    if c == '\\' {
                        rest.next();
                    }
                }
                kept.push_str("\"\"");
            }
            // A character that would be read as a brace or a quote; lifetimes have no second quote.
            '\'' => {
                let ahead: String = rest.clone().take(3).collect();
                let length = if ahead.starts_with('\\') { 3 } else { 2 };
                let closes = ahead.chars().nth(length - 1) == Some('\'');
                for _ in 0..if closes { length } else { 0 } {
                    rest.next();
                }
            }
            _ => kept.push(c),
        }
    }
    kept
}

/// The items that begin with a keyword: their heads, and their bodies with the braces.
fn blocks(code: &str, keyword: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = code.get(from..).and_then(|rest| rest.find(keyword)).map(|at| at + from) {
        from = at + keyword.len();
        let line = code[..at].rsplit('\n').next().unwrap_or_default().trim();
        let starts = line.is_empty() || line.starts_with("pub");
        let ends = code[from..].starts_with([' ', '<']);
        let Some(stop) = code[from..].find(['{', ';']).map(|stop| stop + from) else { break };
        if !starts || !ends || code[stop..].starts_with(';') {
            continue;
        }
        let body = &code[stop..];
        let mut depth = 0_usize;
        let end = body.find(|c| {
            depth = if c == '{' { depth + 1 } else { depth - usize::from(c == '}') };
            depth == 0
        });
        found.push((code[from..stop].to_owned(), body[..=end.unwrap_or(body.len() - 1)].to_owned()));
    }
    found
}

/// The name of a struct or enum from its head.
fn name_of(head: &str) -> String {
    head.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The name of the type that a block implements something for.
fn implemented(head: &str) -> String {
    let mut plain = String::new();
    let mut depth = 0_i32;
    for c in head.split(" where ").next().unwrap_or_default().replace("->", "").chars() {
        depth += i32::from(c == '<');
        if depth == 0 {
            plain.push(c);
        }
        depth -= i32::from(c == '>');
    }
    let of = plain.rsplit(" for ").next().unwrap_or_default().trim();
    name_of(of.rsplit("::").next().unwrap_or_default().trim_start_matches(['&', ' ']))
}

/// How many functions stand directly in a body.
fn functions(body: &str) -> usize {
    at_depth(body, 1, Brackets::Braces).split_whitespace().filter(|word| *word == "fn").count()
}

/// How many fields stand directly in a body: each has one colon that is not part of a path.
fn fields(body: &str) -> usize {
    at_depth(body, 1, Brackets::All).replace("::", "").matches(':').count()
}

/// How many entries, set apart by commas, stand directly in a body.
fn entries(body: &str) -> usize {
    let plain = at_depth(body, 1, Brackets::All);
    plain.split(',').filter(|entry| entry.contains(char::is_alphabetic)).count()
}

/// Which brackets count: in code `<` may be a comparison.
#[derive(Clone, Copy, PartialEq)]
enum Brackets {
    Braces,
    All,
}

/// What of a body stands at a depth of brackets.
fn at_depth(body: &str, wanted: usize, which: Brackets) -> String {
    let mut depth = 0_usize;
    let mut kept = String::new();
    let mut previous = ' ';
    for c in body.chars() {
        match (c, which) {
            ('{', _) | ('(' | '[' | '<', Brackets::All) => depth += 1,
            ('>', Brackets::All) if previous == '-' || previous == '=' => {}
            ('}', _) | (')' | ']' | '>', Brackets::All) => depth = depth.saturating_sub(1),
            _ if depth == wanted => kept.push(c),
            _ => {}
        }
        previous = c;
    }
    kept
}
