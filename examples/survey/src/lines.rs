//! Results from single lines: sizes, notes in comments, hashes of code.

use crate::language::Language;
use crate::model::{Marker, Print, Size};
use crate::scan::Scan;

/// The tags that mark unfinished business.
const TAGS: [&str; 4] = ["TODO", "FIXME", "XXX", "HACK"];
/// Notes kept per file, and characters kept of each.
const MAX_MARKERS: usize = 200;
const MAX_NOTE: usize = 140;

/// Counts lines. A line with code and a comment counts as code.
pub fn measure(scan: &Scan) -> Size {
    let mut size = Size::default();
    for (code, comment) in scan.code.lines().zip(scan.comments.lines()) {
        size.lines += 1;
        if !code.trim_ascii().is_empty() {
            size.code += 1;
        } else if !comment.trim_ascii().is_empty() {
            size.comment += 1;
        } else {
            size.blank += 1;
        }
    }
    size
}

/// Finds the notes in comments, at most one per line.
pub fn markers(text: &str, scan: &Scan) -> Vec<Marker> {
    if !TAGS.iter().any(|tag| scan.comments.contains(tag)) {
        return Vec::new();
    }
    let lines = (1..).zip(scan.comments.lines().zip(text.lines()));
    let found = lines.filter_map(|(line, (comment, original))| {
        let (at, tag) = TAGS.iter().find_map(|tag| Some((find_word(comment, tag)?, *tag)))?;
        let rest = original.get(at + tag.len()..).unwrap_or_default();
        Some(Marker { tag: tag.to_owned(), line, text: tidy(rest) })
    });
    found.take(MAX_MARKERS).collect()
}

fn find_word(line: &str, word: &str) -> Option<usize> {
    let is_letter = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let bytes = line.as_bytes();
    let mut places = line.match_indices(word).map(|(at, _)| at);
    places.find(|at| {
        let before = at.checked_sub(1).and_then(|i| bytes.get(i));
        let after = bytes.get(at + word.len());
        // A note opens its comment or is addressed to someone; elsewhere it is only a word.
        let opens = line.get(..*at).is_some_and(|text| !text.contains(char::is_alphanumeric));
        let addressed = matches!(after, Some(b':' | b'('));
        !is_letter(before) && !is_letter(after) && (opens || addressed)
    })
}

/// The note without the punctuation around it, cut to a readable length.
fn tidy(rest: &str) -> String {
    let note = rest.trim_start_matches([':', ' ', '-', '!', '.', ',', ')', ']', '>', '\t']);
    let note = note.trim_end().trim_end_matches("*/").trim_end_matches("-->").trim_end();
    let mut short: String = note.chars().filter(|c| !c.is_control()).take(MAX_NOTE).collect();
    if short.len() < note.len() && short.chars().count() == MAX_NOTE {
        short.push('\u{2026}');
    }
    short
}

/// Hashes the lines that carry code, for the search for repeated passages.
///
/// Lines of nothing but brackets are left out, as are comments: neither a row of closing
/// braces nor a licence header is a passage that someone copied.
pub fn fingerprint(text: &str, scan: &Scan, language: Language) -> Vec<Print> {
    if !language.is_program() {
        return Vec::new();
    }
    let lines = (1..).zip(scan.code.lines().zip(text.lines()));
    let telling = lines.filter(|(_, (code, _))| code.bytes().any(|b| b.is_ascii_alphanumeric()));
    telling.map(|(line, (code, original))| Print { line, hash: hash(code, original) }).collect()
}

/// FNV-1a over the bytes of the line that are neither white space nor comment.
fn hash(code: &str, original: &str) -> u32 {
    let mut hash = 0x811c_9dc5_u32;
    for (mask, byte) in code.bytes().zip(original.bytes()) {
        if !mask.is_ascii_whitespace() {
            hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::scan;

    #[test]
    fn every_line_is_counted_once() {
        let text = "// a\n\nfn f() {} // b\n/* c\n\n*/\n";
        let size = measure(&scan(text, Language::Rust));
        assert_eq!(size, Size { lines: 6, code: 1, comment: 3, blank: 2 });
        assert_eq!(measure(&scan("", Language::Rust)), Size::default());
        assert_eq!(measure(&scan("x", Language::Rust)).lines, 1);
    }

    #[test]
    fn notes_are_found_in_comments_only() {
        let text = "let TODO = \"FIXME\"; // TODO(kim): tidy \u{fc}p */\n// NOTODO, TODOS\n// A TODO is a note.\n# x\n";
        let found = markers(text, &scan(text, Language::Rust));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].tag.as_str(), found[0].line), ("TODO", 1));
        assert_eq!(found[0].text, "(kim): tidy \u{fc}p");
    }

    #[test]
    fn long_notes_are_cut() {
        let text = format!("// TODO {}", "\u{e9}".repeat(500));
        let found = markers(&text, &scan(&text, Language::Rust));
        assert_eq!(found[0].text.chars().count(), MAX_NOTE + 1);
    }

    #[test]
    fn hashes_ignore_layout_and_comments() {
        let prints = |text: &str| {
            let found = fingerprint(text, &scan(text, Language::C), Language::C);
            found.iter().map(|print| print.hash).collect::<Vec<_>>()
        };
        assert_eq!(prints("int a = 1;\n}\n"), prints("  int a=1; // one\n\n"));
        assert_ne!(prints("a(\"x\");"), prints("a(\"y\");"));
    }
}
