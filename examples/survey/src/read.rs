//! Stage two: reads files and passes them to each skill.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::language::Language;
use crate::lines::{fingerprint, markers, measure};
use crate::links::links;
use crate::model::{Batch, Entry, FileFacts, Limits, Reason, Skill, Skipped};
use crate::scan::{Scan, scan};
use crate::structure::structure;

/// The content of a file, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub path: String,
    pub language: Language,
    pub bytes: u64,
    pub text: String,
    /// Some bytes were not UTF-8 and were replaced.
    pub lossy: bool,
}

/// Reads a file that the walk listed. The file may have changed since: it is checked again.
pub fn read_source(root: &Path, entry: &Entry, limits: &Limits) -> Result<Source, Skipped> {
    let skip = |reason| Skipped { path: entry.path.clone(), reason };
    let bytes = read_bounded(&root.join(&entry.path), limits.max_file_bytes)
        .map_err(|error| skip(Reason::Unreadable { message: error.to_string() }))?;
    let size = bytes.len() as u64;
    if size > limits.max_file_bytes {
        return Err(skip(Reason::TooLarge { bytes: size, limit: limits.max_file_bytes }));
    }
    let (text, lossy) = decode(bytes).map_err(skip)?;
    let (path, language) = (entry.path.clone(), entry.language);
    Ok(Source { path, language, bytes: size, text, lossy })
}

/// Reads one byte more than is allowed at most, so that a file that grew is noticed and a
/// file that never ends does no harm.
fn read_bounded(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let expected = file.metadata()?.len().min(limit);
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0) + 1);
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn decode(bytes: Vec<u8>) -> Result<(String, bool), Reason> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Reason::Utf16);
    }
    if bytes.contains(&0) {
        return Err(Reason::Binary);
    }
    let (text, lossy) = match String::from_utf8(bytes) {
        Ok(text) => (text, false),
        Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), true),
    };
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    Ok((text, lossy))
}

/// A source that has been told apart into code and comments, once for all skills.
#[derive(Debug)]
pub struct Page {
    source: Source,
    scan: Scan,
}

/// What came of reading some files.
#[derive(Debug, Default)]
pub struct Pages {
    pub pages: Vec<Page>,
    pub unread: Vec<Skipped>,
}

/// Reads files and tells their parts apart: what a reader does in one step.
pub fn read_pages(root: &Path, entries: &[Entry], limits: &Limits) -> Pages {
    let mut read = Pages::default();
    for entry in entries {
        match read_source(root, entry, limits) {
            Ok(source) => read.pages.push(Page::of(source)),
            Err(skipped) => read.unread.push(skipped),
        }
    }
    read
}

impl Page {
    pub fn of(source: Source) -> Self {
        Self { scan: scan(&source.text, source.language), source }
    }
}

/// Applies some skills to a page; the sections of the others stay empty.
pub fn analyse(page: &Page, skills: &[Skill]) -> FileFacts {
    let Page { source, scan } = page;
    let (text, language) = (source.text.as_str(), source.language);
    let has = |skill| skills.contains(&skill);
    FileFacts {
        path: source.path.clone(),
        language,
        bytes: source.bytes,
        lossy: source.lossy,
        size: has(Skill::Measure).then(|| measure(scan)),
        structure: has(Skill::Structure).then(|| structure(text, scan, language)),
        links: has(Skill::Links).then(|| links(&source.path, text, scan, language)),
        markers: has(Skill::Markers).then(|| markers(text, scan)),
        prints: has(Skill::Fingerprint).then(|| fingerprint(text, scan, language)),
    }
}

/// Applies some skills to all pages: what an analyst does in one step.
pub fn analyse_pages(read: &Pages, skills: &[Skill]) -> Batch {
    let facts = read.pages.iter().map(|page| analyse(page, skills)).collect();
    Batch { facts, unread: read.unread.clone() }
}

/// Joins batches: of other files, or of the same files by other skills.
///
/// A file that any of them could not read counts as unread: half its facts are of a state
/// that the other half did not see.
pub fn merge(batches: Vec<Batch>) -> Batch {
    let mut facts: BTreeMap<String, FileFacts> = BTreeMap::new();
    let mut unread: BTreeMap<String, Skipped> = BTreeMap::new();
    for batch in batches {
        for one in batch.facts {
            match facts.get_mut(&one.path) {
                Some(known) => fill(known, one),
                None => {
                    facts.insert(one.path.clone(), one);
                }
            }
        }
        unread.extend(batch.unread.into_iter().map(|skipped| (skipped.path.clone(), skipped)));
    }
    facts.retain(|path, _| !unread.contains_key(path));
    Batch { facts: facts.into_values().collect(), unread: unread.into_values().collect() }
}

fn fill(known: &mut FileFacts, other: FileFacts) {
    known.lossy |= other.lossy;
    known.size = known.size.or(other.size);
    known.structure = known.structure.take().or(other.structure);
    known.links = known.links.take().or(other.links);
    known.markers = known.markers.take().or(other.markers);
    known.prints = known.prints.take().or(other.prints);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    fn entry(path: &str) -> Entry {
        Entry { path: path.to_owned(), bytes: 0, language: Language::Rust }
    }

    #[test]
    fn unreadable_is_reported_with_its_reason() {
        let folder = Folder::new("read");
        folder.write("wide.rs", &[0xff, 0xfe, b'a', 0]);
        folder.write("zero.rs", b"a\0b");
        folder.write("grown.rs", &[b'a'; 50]);
        folder.write("odd.rs", b"// caf\xe9\nfn a() {}\n");
        let limits = Limits { max_file_bytes: 40, ..Limits::default() };
        let names = ["wide.rs", "zero.rs", "grown.rs", "gone.rs", "odd.rs"];
        let batch = analyse_pages(&read_pages(folder.path(), &names.map(entry), &limits), &Skill::ALL);
        let reasons: Vec<_> = batch.unread.iter().map(|s| s.reason.title()).collect();
        let expected = ["UTF-16 text", "binary", "larger than the size limit", "could not be opened or read"];
        assert_eq!(reasons, expected);
        assert!(batch.facts[0].lossy);
        assert_eq!(batch.facts[0].structure.as_ref().unwrap().functions, 1);
    }

    #[test]
    fn skills_done_apart_join_to_the_whole() {
        let source = Source {
            path: "a.rs".into(),
            language: Language::Rust,
            bytes: 40,
            text: "use crate::b;\n// TODO: more\nfn a() { b() }\n".into(),
            lossy: false,
        };
        let page = Page::of(source);
        let whole = analyse(&page, &Skill::ALL);
        let part = |skill| Batch { facts: vec![analyse(&page, &[skill])], unread: Vec::new() };
        let merged = merge(Skill::ALL.map(part).into());
        assert_eq!(merged.facts, vec![whole]);
    }

    #[test]
    fn a_file_lost_on_the_way_counts_as_unread() {
        let source = Source { path: "a.rs".into(), language: Language::Rust, bytes: 1, text: "x".into(), lossy: false };
        let read = Batch { facts: vec![analyse(&Page::of(source), &[Skill::Links])], unread: Vec::new() };
        let gone = Skipped { path: "a.rs".into(), reason: Reason::Binary };
        let lost = Batch { facts: Vec::new(), unread: vec![gone] };
        let merged = merge(vec![read, lost]);
        assert!(merged.facts.is_empty());
        assert_eq!(merged.unread.len(), 1);
    }

    #[test]
    fn facts_survive_serialisation() {
        let source = Source {
            path: "a.py".into(),
            language: Language::Python,
            bytes: 1,
            text: "import os\ndef f():\n    return 1  # FIXME\n".into(),
            lossy: false,
        };
        let facts = analyse(&Page::of(source), &Skill::ALL);
        let text = serde_json::to_string(&facts).unwrap();
        assert_eq!(serde_json::from_str::<FileFacts>(&text).unwrap(), facts);
    }
}
