//! The survey: the result of the synthesis, with the verdict of the review.

use serde::{Deserialize, Serialize};

use crate::language::Language;
use crate::model::{Size, Skipped};
use crate::words::{of_hundred, thousands};

/// How fine the synthesis is to be. The first draft is fine; a verdict may ask for coarser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// How many parts of a path tell the nodes of the picture apart.
    pub depth: usize,
    /// Beyond this many nodes, the least connected ones become one.
    pub nodes: Option<usize>,
    /// The most rows a ranking may have.
    pub rows: usize,
}

impl Default for Detail {
    fn default() -> Self {
        Self { depth: 3, nodes: None, rows: 60 }
    }
}

/// A survey of a directory: everything the report shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    pub name: String,
    /// The folders that all files have in common; paths in the tables are given below them.
    pub shared: String,
    pub coverage: Coverage,
    pub totals: Totals,
    pub languages: Vec<LanguageRow>,
    pub rankings: Rankings,
    pub repeats: Repeats,
    pub picture: Picture,
    /// Packages from outside, by the number of files that use them.
    pub externals: Vec<(String, u64)>,
    pub markers: Vec<MarkerRow>,
    pub findings: Vec<Finding>,
    pub skipped: Vec<Skipped>,
    /// Read with replacement characters, because they are not valid UTF-8.
    pub lossy: Vec<String>,
    /// Of the drafts before this one, and of this one, if whoever drives the survey kept them.
    pub verdicts: Vec<Verdict>,
}

/// Whether every file that was listed is accounted for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    pub listed: u64,
    pub analysed: u64,
    pub unread: u64,
    /// Listed, but neither analysed nor reported as unread.
    pub missing: Vec<String>,
    /// Analysed, but not by every skill.
    pub incomplete: Vec<String>,
}

/// Sums over all files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub files: u64,
    pub bytes: u64,
    /// Lines of all files.
    pub all: Size,
    /// Lines of programs only.
    pub program: Size,
    pub functions: u64,
    pub markers: u64,
}

/// One language's share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanguageRow {
    pub language: Language,
    pub files: u64,
    pub bytes: u64,
    pub size: Size,
    pub functions: u64,
    pub markers: u64,
}

/// The tables of the report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rankings {
    pub largest: Vec<Row>,
    pub longest: Vec<Row>,
    pub most_imported: Vec<Row>,
    pub most_marked: Vec<Row>,
    pub least_commented: Vec<Row>,
}

impl Rankings {
    /// Every table with its title and the meaning of its number.
    pub fn tables(&self) -> [(&'static str, &'static str, &[Row]); 5] {
        [
            ("Largest files", "lines of code", &self.largest),
            ("Longest functions", "lines", &self.longest),
            ("Most imported", "files import it", &self.most_imported),
            ("Most notes", "notes", &self.most_marked),
            ("Least commented", "% comments", &self.least_commented),
        ]
    }
}

/// One row of a ranking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub label: String,
    /// A second, quieter line: where it is.
    pub place: String,
    /// As the table's title says; a percentage is in tenths.
    pub value: u64,
}

impl Row {
    /// The whole path, of a row about a file.
    pub fn path(&self) -> String {
        if self.place.is_empty() { self.label.clone() } else { format!("{}/{}", self.place, self.label) }
    }

    /// The value as it is written in a table with this unit.
    pub fn shown(&self, unit: &str) -> String {
        if unit.starts_with('%') { of_hundred(self.value as f64 / 10.0) } else { thousands(self.value) }
    }
}

/// Passages that occur in more than one file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeats {
    /// Lines that a reader would not need to have seen twice.
    pub lines: u64,
    /// How many groups of files share passages, of which `groups` are the worst.
    pub found: u64,
    pub groups: Vec<Repeat>,
}

/// What the same files have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeat {
    /// How many files share it; not all of them need be in `places`.
    pub files: u64,
    /// Lines of code they share, and in how many passages.
    pub lines: u64,
    pub passages: u64,
    /// Where the longest passage is: path, first line, last line.
    pub places: Vec<(String, u64, u64)>,
}

impl Repeat {
    /// Lines that would go away if each passage stood in one place.
    pub const fn excess(&self) -> u64 {
        self.lines * self.files.saturating_sub(1)
    }
}

/// Dependencies, by folders.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    pub depth: usize,
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    /// How many nodes a picture would have at depth 1, 2, ...
    pub nodes_at_depth: Vec<usize>,
}

/// A folder, or a file where the picture is fine enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub label: String,
    pub files: u64,
    pub code: u64,
    /// How many smaller nodes it stands for; 0 for one that stands for itself.
    pub folded: u64,
    /// Imports that stay within it.
    pub inner: u64,
}

/// Imports from one node to another, counted by pairs of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    pub from: usize,
    pub to: usize,
    pub count: u64,
}

/// A note with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkerRow {
    pub path: String,
    pub line: u64,
    pub tag: String,
    pub text: String,
}

/// Something worth a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub tone: Tone,
    pub text: String,
}

/// Whether a finding is a fact, a compliment or a concern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tone {
    Plain,
    Good,
    Concern,
}

/// What the gate says about a draft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub accepted: bool,
    pub remarks: Vec<Remark>,
}

/// One objection, and what would answer it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    pub text: String,
    pub demand: Demand,
}

/// What is to be done about a remark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Demand {
    /// Synthesise again, telling nodes apart by this many parts of the path.
    Depth(usize),
    /// Synthesise again, with at most this many nodes.
    Nodes(usize),
    /// Synthesise again, with at most this many rows in a table.
    Rows(usize),
    /// These files need to be analysed again.
    Analyse(Vec<String>),
    /// The sums are wrong: no other detail will mend it.
    Recount,
}
