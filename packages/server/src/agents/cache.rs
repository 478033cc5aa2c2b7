//! Results of pure steps, kept in files.
//!
//! The key of a result is a hash of the command, its input and the content of the files that it reads. A result is used
//! only if the files that it wrote still have the content that they had then.

use super::failure;
use super::plan::{CachePlan, Stdout};
use super::template::{Subject, Template};
use counterpoint::Failure;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// A place for a result.
#[derive(Debug)]
pub(crate) struct Slot {
    path: PathBuf,
    writes: Vec<PathBuf>,
}

/// The work whose result is kept: what the result depends on, apart from files.
#[derive(Debug)]
pub(crate) struct Work<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) program: &'a [OsString],
    pub(crate) environment: &'a [(String, String)],
    pub(crate) stdin: &'a [u8],
    /// How the output is read, and whether the command has only its own environment.
    pub(crate) reading: (Stdout, bool),
}

/// A result at rest.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    output: Value,
    /// The hashes of the files that the step wrote.
    files: Vec<(PathBuf, String)>,
}

impl Slot {
    /// The place of the result of a task.
    pub(crate) fn of(plan: &CachePlan, subject: &Subject<'_>, work: &Work<'_>, cache: &Path) -> Result<Self, Failure> {
        let mut key = Key::default();
        key.add(work.folder.as_os_str().as_encoded_bytes());
        key.add_all(work.program.iter().map(|word| word.as_encoded_bytes()));
        key.add_all(work.environment.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]));
        key.add(work.stdin);
        key.add(subject.input.to_string().as_bytes());
        key.add(format!("{:?}", work.reading).as_bytes());
        for path in paths(&plan.reads, subject, work.folder)? {
            key.add(path.as_os_str().as_encoded_bytes());
            // The command reports a file that is missing.
            key.add(content(&path).unwrap_or_default().as_bytes());
        }
        let writes = paths(&plan.writes, subject, work.folder)?;
        Ok(Self { path: cache.join(format!("{}.json", key.hasher.finalize().to_hex())), writes })
    }

    /// The result, if there is one and its files are as it left them.
    pub(crate) fn result(&self) -> Option<Value> {
        let kept: Kept = serde_json::from_slice(&std::fs::read(&self.path).ok()?).ok()?;
        let same = kept.files.iter().all(|(path, hash)| content(path).is_ok_and(|now| now == *hash));
        let complete = self.writes.iter().all(|path| kept.files.iter().any(|(known, _)| known == path));
        (same && complete).then_some(kept.output)
    }

    /// Keeps a result. A result that cannot be kept is computed again.
    pub(crate) fn keep(&self, output: &Value) {
        let hashed = self.writes.iter().map(|path| Ok((path.clone(), content(path)?)));
        let Ok(files) = hashed.collect::<io::Result<Vec<_>>>() else { return };
        let kept = Kept { output: output.clone(), files };
        if let Ok(bytes) = serde_json::to_vec(&kept) {
            let _ = crate::folder::write_whole(&self.path, &bytes);
        }
    }
}

/// The key of a result: a hash of parts, each with its length, so that no two lists of parts have the same bytes.
#[derive(Default)]
struct Key {
    hasher: blake3::Hasher,
}

impl Key {
    fn add(&mut self, part: &[u8]) {
        self.hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        self.hasher.update(part);
    }

    fn add_all<'p>(&mut self, parts: impl Iterator<Item = &'p [u8]>) {
        let mut count = 0_u64;
        parts.for_each(|part| {
            count += 1;
            self.add(part);
        });
        self.hasher.update(&count.to_le_bytes());
    }
}

fn paths(templates: &[Template], subject: &Subject<'_>, folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for template in templates {
        let texts = template.render_all(subject);
        let texts = texts.map_err(|text| failure(Failure::permanent(format!("cache: {text}")), "template"))?;
        found.extend(texts.into_iter().map(|text| folder.join(text)));
    }
    Ok(found)
}

/// The hash of the content of a file.
fn content(path: &Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut std::fs::File::open(path)?, &mut hasher)?;
    Ok(hasher.finalize().to_hex().to_string())
}
