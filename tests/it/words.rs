//! Retired words stay out of the documents, of the documentation comments and of the public names: `docs/retired-words.txt`.

use crate::layering::rust_files;
use crate::links::{documents, prose, without_code};
use regex::Regex;
use std::fs;
use std::path::Path;

/// The documents that are searched: the changelog quotes old names.
const DOCUMENTS: &[&str] = &["README.md", "DESIGN.md", "docs", "examples", "packages"];

/// A line of the list.
struct Retired {
    pattern: Regex,
    instead: String,
    /// Paths in which the words mean something else.
    allowed: Vec<String>,
    names_only: bool,
}

impl Retired {
    fn parse(line: &str, names_only: bool) -> Self {
        let mut columns = line.split('\t');
        let words = columns.next().unwrap_or_default().replace(' ', r"\s+");
        Self {
            // Letters of ASCII suffice, so the tables of Unicode are not needed.
            pattern: Regex::new(&format!(r"(?i-u)\b(?:{words})\b")).unwrap(),
            instead: columns.next().expect("a replacement after a tab").to_owned(),
            allowed: columns.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
            names_only,
        }
    }
}

fn retired(list: &str) -> Vec<Retired> {
    let mut names_only = false;
    let mut all = Vec::new();
    for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line {
            "[everywhere]" => names_only = false,
            "[names]" => names_only = true,
            _ => all.push(Retired::parse(line, names_only)),
        }
    }
    all
}

/// The retired words in a text whose lines are those of the file, as messages.
fn found(path: &str, text: &str, names: bool, all: &[Retired]) -> Vec<String> {
    let concerned = all.iter().filter(|word| names || !word.names_only);
    let concerned = concerned.filter(|word| !word.allowed.iter().any(|allowed| path.starts_with(allowed.as_str())));
    concerned
        .flat_map(|word| {
            let hits = word.pattern.find_iter(text).filter(|hit| !is_compound(text, hit.start(), hit.end()));
            hits.map(|hit| {
                let line = text[..hit.start()].matches('\n').count() + 1;
                let hit = hit.as_str().split_whitespace().collect::<Vec<_>>().join(" ");
                format!("{path}:{line}: \"{hit}\" is retired: {}", word.instead)
            })
        })
        .collect()
}

/// Whether the hit is a part of a compound such as "half-life", which a name spells without a hyphen.
fn is_compound(text: &str, start: usize, end: usize) -> bool {
    text[..start].ends_with('-') || text[end..].starts_with('-') || text[..start].ends_with("half ")
}

/// The documentation comments of a source, without the code in them; other lines become bars that no pattern crosses.
fn comments(source: &str) -> String {
    let mut code = false;
    let mut lines = Vec::new();
    for line in source.lines() {
        let line = line.trim_start();
        let comment = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
        code ^= comment.is_some_and(|text| text.trim_start().starts_with("```"));
        let text = comment.filter(|_| !code).map_or_else(|| "|".to_owned(), without_code);
        lines.push(text);
    }
    lines.join("\n")
}

/// The public names that a source defines, as words, each in its line: items, fields, and the variants of public enums.
fn names(source: &str) -> String {
    let mut variants_at = None;
    let mut lines = Vec::new();
    for line in source.lines() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let mut name = None;
        if let Some(item) = code.strip_prefix("pub ") {
            name = public_name(item);
            if item.starts_with("enum ") && !code.ends_with('}') {
                variants_at = Some(indent + 4);
            }
        } else if variants_at.is_some_and(|at| indent + 4 == at && code.starts_with('}')) {
            variants_at = None;
        } else if variants_at == Some(indent) && code.starts_with(|letter: char| letter.is_ascii_uppercase()) {
            name = Some(identifier(code));
        }
        lines.push(name.map_or_else(|| "|".to_owned(), as_words));
    }
    lines.join("\n")
}

/// The name that a public item or field gives: what follows its keywords.
fn public_name(item: &str) -> Option<&str> {
    const KEYWORDS: &[&str] =
        &["const", "async", "unsafe", "fn", "struct", "enum", "trait", "mod", "type", "static", "use"];
    let mut words = item.split_whitespace();
    words.find(|word| !KEYWORDS.contains(word)).map(identifier).filter(|_| !item.starts_with("use "))
}

fn identifier(code: &str) -> &str {
    let end = code.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(code.len());
    &code[..end]
}

/// `CalledBack` and `called_back` as `called back`.
fn as_words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter == '_' || (letter.is_ascii_uppercase() && !words.is_empty()) {
            words.push(' ');
        }
        if letter != '_' {
            words.push(letter.to_ascii_lowercase());
        }
    }
    words
}

/// The names of tests and properties as words, each in its line. A word alone may be the name of a helper.
fn tests(source: &str) -> String {
    let (mut is_test, mut lines) = (false, Vec::new());
    for line in source.lines() {
        let code = line.trim_start();
        let name = code.strip_prefix("async ").unwrap_or(code).strip_prefix("fn ").map(identifier);
        let name = name.filter(|name| is_test && name.contains('_'));
        is_test = code.starts_with("#[") && (is_test || code.contains("test")) || is_test && code.starts_with("//");
        lines.push(name.map_or_else(|| "|".to_owned(), as_words));
    }
    lines.join("\n")
}

#[test]
fn no_retired_word_comes_back() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !root.join(".ci").exists() {
        return; // the published package leaves some files out
    }
    let all = retired(&fs::read_to_string(root.join("docs/retired-words.txt")).unwrap());
    let mut faults = Vec::new();
    let mut texts = Vec::new();
    documents(root, &mut texts);
    let shown = |path: &Path| path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
    for path in texts {
        let shown = shown(&path);
        if DOCUMENTS.iter().any(|listed| shown.starts_with(listed)) {
            faults.extend(found(&shown, &prose(&fs::read_to_string(path).unwrap()).join("\n"), false, &all));
        }
    }
    for path in rust_files(&root.join("src")) {
        let shown = shown(&path);
        let source = fs::read_to_string(path).unwrap();
        faults.extend(found(&shown, &comments(&source), false, &all));
        faults.extend(found(&shown, &names(&source), true, &all));
    }
    for path in ["src", "tests", "packages", "examples"].iter().flat_map(|folder| rust_files(&root.join(folder))) {
        let shown = shown(&path);
        faults.extend(found(&shown, &tests(&fs::read_to_string(path).unwrap()), false, &all));
    }
    assert!(faults.is_empty(), "{} retired words:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn the_test_sees_retired_words() {
    let all = retired("[everywhere]\ncalled back\tpreempted\tsrc/allowed\n[names]\nheirs?\tbeneficiary\n");
    let source = "/// It is called\n/// back, `called back`.\npub struct CalledBack;\n// called back\npub enum Heir {\n    One,\n}\n";
    let of_comments = |path: &str| found(path, &comments(source), false, &all);
    assert_eq!(of_comments("src/a.rs"), ["src/a.rs:1: \"called back\" is retired: preempted"]);
    assert_eq!(of_comments("src/allowed/a.rs").len(), 0);
    let of_names = found("src/a.rs", &names(source), true, &all);
    assert_eq!(of_names.len(), 2, "{of_names:?}");
    let of_tests = tests("#[test]\n#[ignore]\nfn it_is_called_back() {}\nfn a_call_called_back() {}\n");
    assert_eq!(found("src/a.rs", &of_tests, false, &all).len(), 1);
    assert_eq!(found("a.md", "Heirs are\ncalled back, a call-called back.", false, &all).len(), 1);
}
