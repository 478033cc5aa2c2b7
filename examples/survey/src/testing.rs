//! Helpers of the tests: a folder that is removed after the test, and results from a text.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::language::Language;
use crate::model::{Entry, FileFacts, Inventory, Skill};
use crate::read::{Page, Source, analyse};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A new empty folder below the system's temporary one.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(label: &str) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("survey-test-{}-{label}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, path: &str, bytes: &[u8]) {
        let full = self.0.join(path);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        fs::write(full, bytes).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that stays behind in the temporary directory harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The facts of a file with this path and text, by all skills.
pub fn facts(path: &str, text: &str) -> FileFacts {
    let source = Source {
        path: path.to_owned(),
        language: Language::of(path).unwrap_or(Language::Text),
        bytes: text.len() as u64,
        text: text.to_owned(),
        lossy: false,
    };
    analyse(&Page::of(source), &Skill::ALL)
}

/// An inventory of just these files.
pub fn inventory_of(facts: &[FileFacts]) -> Inventory {
    let entry = |f: &FileFacts| Entry { path: f.path.clone(), bytes: f.bytes, language: f.language };
    Inventory { name: "test".into(), entries: facts.iter().map(entry).collect(), skipped: Vec::new() }
}
