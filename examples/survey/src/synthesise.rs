//! Stage three: combines all results into one survey, in the requested detail.

use std::collections::{BTreeMap, BTreeSet};

use crate::findings::findings;
use crate::language::Language;
use crate::model::{Batch, FileFacts, Inventory, Skipped};
use crate::picture::picture;
use crate::repeats::{fewer, repeats};
use crate::resolve::Index;
use crate::survey::{Coverage, Detail, LanguageRow, MarkerRow, Rankings, Repeats, Row, Survey, Totals};
use crate::words::count;

/// Files with less code than this say little by how much of them is comment.
const ENOUGH_TO_COMMENT: u64 = 50;

/// What every draft is made of: the facts, with paths below the shared folders.
#[derive(Debug)]
pub struct Material {
    name: String,
    shared: String,
    facts: Vec<FileFacts>,
    skipped: Vec<Skipped>,
    coverage: Coverage,
}

/// Where the imports of each file lead: to which files, and to which packages from outside.
pub type Goals = Vec<(BTreeSet<usize>, BTreeSet<String>)>;

/// Brings together what was found. The facts should come from [`merge`](crate::read::merge).
pub fn collect(inventory: &Inventory, batch: Batch) -> Material {
    let coverage = coverage(inventory, &batch);
    let mut skipped = [inventory.skipped.as_slice(), batch.unread.as_slice()].concat();
    // What was lost comes first; what was left out on purpose, after it.
    skipped.sort_by_key(|s| (!s.reason.is_loss(), s.reason.title(), s.path.clone()));
    let shared = shared(&batch.facts).to_owned();
    let facts = below(batch.facts, &shared);
    Material { name: inventory.name.clone(), shared, facts, skipped, coverage }
}

/// Finds out what every import means.
pub fn connect(material: &Material) -> Goals {
    Index::new(&material.facts).resolve_all()
}

/// Finds what is said more than once.
pub fn compare(material: &Material) -> Repeats {
    repeats(&material.facts, Detail::default().rows)
}

/// Writes a draft, as fine as is asked.
pub fn draft(material: &Material, goals: &Goals, repeats: &Repeats, detail: &Detail) -> Survey {
    let facts = &material.facts;
    let (totals, languages) = totals(facts);
    let mut survey = Survey {
        name: material.name.clone(),
        shared: material.shared.clone(),
        coverage: material.coverage.clone(),
        totals,
        languages,
        rankings: rankings(facts, goals, detail.rows),
        repeats: fewer(repeats, detail.rows),
        picture: picture(facts, goals, detail.depth, detail.nodes),
        externals: externals(goals, detail.rows),
        markers: marker_rows(facts, detail.rows),
        findings: Vec::new(),
        skipped: material.skipped.clone(),
        lossy: facts.iter().filter(|file| file.lossy).map(|file| file.path.clone()).collect(),
        verdicts: Vec::new(),
    };
    survey.findings = findings(&survey, facts);
    survey
}

/// All of it in one go, for tests.
#[cfg(test)]
pub fn synthesise(inventory: &Inventory, batch: &Batch, detail: &Detail) -> Survey {
    let material = collect(inventory, batch.clone());
    draft(&material, &connect(&material), &compare(&material), detail)
}

/// The folders that all paths begin with, with a `/` at the end.
fn shared(facts: &[FileFacts]) -> &str {
    let mut shared = facts.first().map_or("", |file| file.path.as_str());
    for file in facts {
        let same = shared.bytes().zip(file.path.bytes()).take_while(|(a, b)| a == b).count();
        // Only whole folders count, and a `/` is never within a letter.
        let end = shared.bytes().take(same).rposition(|byte| byte == b'/').map_or(0, |at| at + 1);
        shared = shared.get(..end).unwrap_or_default();
    }
    shared
}

/// The facts with paths below the shared folders.
fn below(mut facts: Vec<FileFacts>, shared: &str) -> Vec<FileFacts> {
    for file in &mut facts {
        file.path.drain(..shared.len().min(file.path.len()));
    }
    facts
}

fn coverage(inventory: &Inventory, batch: &Batch) -> Coverage {
    let analysed: BTreeSet<&str> = batch.facts.iter().map(|file| file.path.as_str()).collect();
    let unread: BTreeSet<&str> = batch.unread.iter().map(|s| s.path.as_str()).collect();
    let known = |path: &str| analysed.contains(path) || unread.contains(path);
    let listed = inventory.entries.iter().map(|entry| entry.path.as_str());
    let incomplete = |file: &&FileFacts| {
        file.size.is_none()
            || file.structure.is_none()
            || file.links.is_none()
            || file.markers.is_none()
            || file.prints.is_none()
    };
    Coverage {
        listed: inventory.entries.len() as u64,
        analysed: batch.facts.len() as u64,
        unread: batch.unread.len() as u64,
        missing: listed.filter(|path| !known(path)).map(str::to_owned).collect(),
        incomplete: batch.facts.iter().filter(incomplete).map(|file| file.path.clone()).collect(),
    }
}

fn totals(facts: &[FileFacts]) -> (Totals, Vec<LanguageRow>) {
    let mut totals = Totals::default();
    let mut rows: BTreeMap<Language, LanguageRow> = BTreeMap::new();
    for file in facts {
        let language = file.language;
        let row = rows.entry(language).or_insert_with(|| LanguageRow {
            language,
            files: 0,
            bytes: 0,
            size: Default::default(),
            functions: 0,
            markers: 0,
        });
        let size = file.size.unwrap_or_default();
        let functions = file.structure.as_ref().map_or(0, |structure| structure.functions);
        let markers = file.markers.as_ref().map_or(0, Vec::len) as u64;
        row.files += 1;
        row.bytes += file.bytes;
        row.size.add(size);
        row.functions += functions;
        row.markers += markers;
        totals.files += 1;
        totals.bytes += file.bytes;
        totals.all.add(size);
        if language.is_program() {
            totals.program.add(size);
        }
        totals.functions += functions;
        totals.markers += markers;
    }
    let mut rows: Vec<LanguageRow> = rows.into_values().collect();
    rows.sort_by_key(|row| (!row.language.is_program(), std::cmp::Reverse(row.size.lines), row.language));
    (totals, rows)
}

fn rankings(facts: &[FileFacts], goals: &Goals, rows: usize) -> Rankings {
    let programs = || facts.iter().filter(|file| file.language.is_program());
    let by_file = |file: &FileFacts, value: u64| by_path(&file.path, value);
    let largest = programs().map(|file| by_file(file, file.size.map_or(0, |size| size.code)));
    let longest = programs().flat_map(|file| {
        file.structure.iter().flat_map(|structure| &structure.longest).map(|function| Row {
            label: function.name.clone(),
            place: format!("{}:{}", file.path, function.line),
            value: function.lines,
        })
    });
    let marked = facts.iter().map(|file| by_file(file, file.markers.as_ref().map_or(0, Vec::len) as u64));
    let mut imported = vec![0_u64; facts.len()];
    for target in goals.iter().flat_map(|(targets, _)| targets) {
        if let Some(count) = imported.get_mut(*target) {
            *count += 1;
        }
    }
    let imported = facts.iter().zip(&imported).map(|(file, count)| by_file(file, *count));
    let bare = programs().filter_map(|file| {
        let size = file.size.filter(|size| size.code >= ENOUGH_TO_COMMENT)?;
        let tenths = size.comment * 1000 / (size.comment + size.code);
        let mut row = by_path(&file.path, tenths);
        let code = count(size.code, "line");
        row.place = if row.place.is_empty() { code } else { format!("{}, {code}", row.place) };
        Some((size.code, row))
    });
    let mut bare: Vec<_> = bare.collect();
    // Among equally bare files, the larger first.
    bare.sort_by_key(|(code, row)| (row.value, std::cmp::Reverse(*code), row.place.clone()));
    let bare = bare.into_iter().take(rows).map(|(_, row)| row);
    Rankings {
        largest: top(largest, rows),
        longest: top(longest, rows),
        most_imported: top(imported, rows),
        most_marked: top(marked, rows),
        least_commented: bare.collect(),
    }
}

/// A row for a file: its name, and the folder it lies in.
fn by_path(path: &str, value: u64) -> Row {
    let (place, label) = path.rsplit_once('/').unwrap_or(("", path));
    Row { label: label.to_owned(), place: place.to_owned(), value }
}

/// The rows with the greatest values; none with nothing to show.
fn top(rows: impl Iterator<Item = Row>, count: usize) -> Vec<Row> {
    let mut rows: Vec<Row> = rows.filter(|row| row.value > 0).collect();
    let order = |a: &Row, b: &Row| b.value.cmp(&a.value).then_with(|| (&a.place, &a.label).cmp(&(&b.place, &b.label)));
    rows.sort_by(order);
    rows.truncate(count);
    rows
}

fn externals(goals: &Goals, rows: usize) -> Vec<(String, u64)> {
    let mut used: BTreeMap<&str, u64> = BTreeMap::new();
    for name in goals.iter().flat_map(|(_, outside)| outside) {
        *used.entry(name).or_default() += 1;
    }
    let mut list: Vec<(String, u64)> = used.into_iter().map(|(n, c)| (n.to_owned(), c)).collect();
    list.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    list.truncate(rows);
    list
}

/// The notes, the urgent before the others, then by place; at most a few per file if there are many,
/// so that one file does not fill the list.
fn marker_rows(facts: &[FileFacts], rows: usize) -> Vec<MarkerRow> {
    let total: usize = facts.iter().flat_map(|file| &file.markers).map(Vec::len).sum();
    let per_file = if total > rows { 2 } else { rows };
    let mut list = Vec::new();
    for file in facts {
        let mut own: Vec<_> = file.markers.iter().flatten().collect();
        own.sort_by_key(|marker| (urgency(&marker.tag), marker.text.is_empty(), marker.line));
        list.extend(own.into_iter().take(per_file).map(|marker| MarkerRow {
            path: file.path.clone(),
            line: marker.line,
            tag: marker.tag.clone(),
            text: marker.text.clone(),
        }));
    }
    list.sort_by_key(|row| (urgency(&row.tag), row.text.is_empty()));
    list.truncate(rows);
    list
}

fn urgency(tag: &str) -> u8 {
    match tag {
        "FIXME" => 0,
        "XXX" | "HACK" => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{facts, inventory_of};

    fn sample() -> (Inventory, Batch) {
        let list = vec![
            facts("README.md", "# Title\n"),
            facts("src/a.rs", "//! A.\nuse crate::b;\nfn f() {\n}\n// TODO: later\n// FIXME: now\n"),
            facts("src/b.rs", "fn g() {\n    one();\n}\nuse serde::Serialize;\n"),
            facts("src/lib.rs", "mod a;\nmod b;\n"),
        ];
        (inventory_of(&list), Batch { facts: list, unread: Vec::new() })
    }

    #[test]
    fn totals_rankings_and_notes() {
        let (inventory, batch) = sample();
        let survey = synthesise(&inventory, &batch, &Detail::default());
        assert_eq!(survey.totals.files, 4);
        assert_eq!(survey.totals.functions, 2);
        assert_eq!(survey.languages[0].language, Language::Rust);
        assert_eq!(survey.rankings.most_imported[0].label, "b.rs");
        assert_eq!(survey.rankings.longest[0].place, "src/b.rs:1");
        assert_eq!(survey.markers[0].text, "now");
        assert_eq!(survey.externals, [("serde".to_owned(), 1)]);
        assert!(survey.coverage.missing.is_empty());
    }

    #[test]
    fn what_was_not_analysed_is_missing() {
        let (inventory, mut batch) = sample();
        batch.facts.pop();
        batch.facts[0].links = None;
        let survey = synthesise(&inventory, &batch, &Detail::default());
        assert_eq!(survey.coverage.missing, ["src/lib.rs"]);
        assert_eq!(survey.coverage.incomplete, ["README.md"]);
    }

    #[test]
    fn detail_bounds_the_rows() {
        let (inventory, batch) = sample();
        let detail = Detail { rows: 1, ..Detail::default() };
        let survey = synthesise(&inventory, &batch, &detail);
        assert_eq!(survey.rankings.largest.len(), 1);
        assert_eq!(survey.markers.len(), 1);
        assert_eq!(survey.totals.markers, 2);
    }

    #[test]
    fn shared_folders_are_whole_ones() {
        let all = |paths: &[&str]| -> Vec<_> { paths.iter().map(|p| facts(p, "")).collect() };
        assert_eq!(shared(&all(&["a/b/\u{e9}x.rs", "a/b/\u{e8}.rs"])), "a/b/");
        assert_eq!(shared(&all(&["ab/x", "ac/x"])), "");
        assert_eq!(below(all(&["a/x", "a/y"]), "a/")[1].path, "y");
    }

    #[test]
    fn nothing_is_surveyed_without_complaint() {
        let survey = synthesise(&Inventory::default(), &Batch::default(), &Detail::default());
        assert_eq!(survey.totals, Totals::default());
    }

    #[test]
    fn a_survey_survives_serialisation() {
        let (inventory, batch) = sample();
        let survey = synthesise(&inventory, &batch, &Detail::default());
        let text = serde_json::to_string(&survey).unwrap();
        assert_eq!(serde_json::from_str::<Survey>(&text).unwrap(), survey);
    }
}
