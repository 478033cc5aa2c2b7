//! The data that passes between the stages of a survey.
//!
//! Every stage is a function from some of these types to others, and all of them are plain serialisable data: any agent
//! in any process can perform a stage, and its result can be stored in a journal.

use serde::{Deserialize, Serialize};

use crate::language::Language;

/// What the walk and the readers may take on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Larger files are listed, not read.
    pub max_file_bytes: u64,
    /// The walk stops listing after this many files.
    pub max_files: usize,
    /// Folders nested deeper than this are listed, not entered.
    pub max_depth: usize,
    /// Names of folders that are never entered.
    pub ignored: Vec<String>,
}

impl Default for Limits {
    fn default() -> Self {
        let ignored = [".git", ".hg", ".svn", "target", "node_modules", "__pycache__", ".venv"];
        Self {
            max_file_bytes: 2 * 1024 * 1024,
            max_files: 100_000,
            max_depth: 64,
            ignored: ignored.iter().map(|name| (*name).to_owned()).collect(),
        }
    }
}

/// A file the walk found worth reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Relative to the root, with `/` between the parts.
    pub path: String,
    pub bytes: u64,
    pub language: Language,
}

/// Something that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Skipped {
    pub path: String,
    pub reason: Reason,
}

/// Why something was left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// The file system refused; the message is its own.
    Unreadable { message: String },
    /// The name is not Unicode, so it could not be carried as text.
    NameNotUnicode,
    /// Text, but in UTF-16.
    Utf16,
    /// The file exceeds the size limit.
    TooLarge { bytes: u64, limit: u64 },
    /// The folder lies deeper than the walk goes.
    TooDeep,
    /// The walk had already listed as many files as it may.
    TooMany,
    /// Not text.
    Binary,
    /// Links are not followed: what they point to is counted where it lies.
    Symlink,
    /// A socket, a pipe, a device.
    Special,
    /// A folder that is left out by its name.
    IgnoredFolder,
}

impl Reason {
    /// Whether the survey would have wanted the content and did not get it.
    pub const fn is_loss(&self) -> bool {
        match self {
            Self::Unreadable { .. }
            | Self::NameNotUnicode
            | Self::Utf16
            | Self::TooLarge { .. }
            | Self::TooDeep
            | Self::TooMany => true,
            Self::Binary | Self::Symlink | Self::Special | Self::IgnoredFolder => false,
        }
    }

    /// The heading under which the report counts it.
    pub const fn title(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "could not be opened or read",
            Self::NameNotUnicode => "name is not Unicode",
            Self::Utf16 => "UTF-16 text",
            Self::TooLarge { .. } => "larger than the size limit",
            Self::TooDeep => "nested too deeply",
            Self::TooMany => "beyond the limit on files",
            Self::Binary => "binary",
            Self::Symlink => "symbolic link, not followed",
            Self::Special => "not a regular file",
            Self::IgnoredFolder => "folder left out by name",
        }
    }
}

/// Everything the walk met: what to read, and what it skipped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The last part of the root's path; the report's title.
    pub name: String,
    pub entries: Vec<Entry>,
    pub skipped: Vec<Skipped>,
}

/// One thing an analyst can find out about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Skill {
    /// Lines: code, comment, blank.
    Measure,
    /// Functions: how many, how long, how deep.
    Structure,
    /// What the file imports.
    Links,
    /// The notes people left for later.
    Markers,
    /// Line hashes, to find repeated passages.
    Fingerprint,
}

impl Skill {
    /// All of them, in the order in which the sections appear in [`FileFacts`].
    #[cfg(test)]
    pub const ALL: [Self; 5] = [Self::Measure, Self::Structure, Self::Links, Self::Markers, Self::Fingerprint];
}

/// What is known about one file. A section is `None` until an agent with that skill did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    pub path: String,
    pub language: Language,
    pub bytes: u64,
    /// The file is not valid UTF-8 and was read with replacement characters.
    pub lossy: bool,
    pub size: Option<Size>,
    pub structure: Option<Structure>,
    pub links: Option<Links>,
    pub markers: Option<Vec<Marker>>,
    pub prints: Option<Vec<Print>>,
}

/// Lines of a file, each counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    pub lines: u64,
    pub code: u64,
    pub comment: u64,
    pub blank: u64,
}

impl Size {
    /// Comment lines per hundred lines that are not blank.
    pub fn comment_percent(self) -> f64 {
        percent(self.comment, self.comment + self.code)
    }

    /// Adds the lines of another file.
    pub const fn add(&mut self, other: Self) {
        self.lines += other.lines;
        self.code += other.code;
        self.comment += other.comment;
        self.blank += other.blank;
    }
}

/// `part` per hundred of `whole`; 0 of nothing.
pub fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// Functions with more lines than this are worth a remark.
pub const LONG_FUNCTION: u64 = 100;

/// Functions of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Structure {
    pub functions: u64,
    /// How many of them have more than [`LONG_FUNCTION`] lines.
    pub long: u64,
    /// The longest ones, longest first; only a few are kept.
    pub longest: Vec<Function>,
    /// The deepest nesting of blocks inside any function, approximately.
    pub deepest: u64,
}

/// One function, as far as it can be told without a parser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    pub name: String,
    pub line: u64,
    pub lines: u64,
    pub depth: u64,
}

/// What a file refers to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Links {
    pub imports: Vec<Import>,
    /// The name of the package that a manifest declares.
    pub package: Option<String>,
    /// The version of that package.
    pub version: Option<String>,
    /// The packages that a manifest of Rust's depends on.
    pub dependencies: Vec<Dependency>,
}

/// A package that a manifest depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// The name in `use` declarations, with `-` as in the manifest.
    pub name: String,
    /// Its folder, relative to that of the manifest; none for a package from a registry.
    pub path: Option<String>,
    /// The versions that it may have.
    pub requirement: Option<String>,
    /// It is described in the manifest of the workspace.
    pub from_workspace: bool,
}

/// One import, as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    pub target: String,
    pub style: ImportStyle,
}

/// How an import names its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImportStyle {
    /// A path or a name in the language's own notation.
    Path,
    /// A submodule declared here (`mod x;`).
    Child,
    /// A file named relative to this one (`#include "x.h"`).
    File,
    /// A header of the system (`#include <x.h>`).
    System,
}

/// A note left in a comment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    pub tag: String,
    pub line: u64,
    pub text: String,
}

/// The hash of one line that carries code, white space set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Print {
    pub line: u32,
    pub hash: u32,
}

/// What came of a batch of files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    pub facts: Vec<FileFacts>,
    pub unread: Vec<Skipped>,
}
