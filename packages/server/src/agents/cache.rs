//! Results of pure steps, kept in files.
//!
//! The key of a result is a hash of the command, its input and the content of the files that it reads. A result is used
//! only if the files that it wrote still have the content that they had then.

use super::failure;
use super::plan::CachePlan;
use super::template::{Subject, Template};
use counterpoint::Failure;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};

/// A place for a result.
#[derive(Debug)]
pub(crate) struct Slot {
    path: PathBuf,
    writes: Vec<PathBuf>,
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
    pub(crate) fn of<'w>(
        plan: &CachePlan,
        subject: &Subject<'_>,
        folder: &Path,
        words: impl Iterator<Item = &'w [u8]>,
        cache: &Path,
    ) -> Result<Self, Failure> {
        let mut hasher = blake3::Hasher::new();
        let mut add = |bytes: &[u8]| {
            hasher.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
            hasher.update(bytes);
        };
        add(folder.as_os_str().as_encoded_bytes());
        words.for_each(&mut add);
        for path in paths(&plan.reads, subject, folder)? {
            add(path.as_os_str().as_encoded_bytes());
            // A file that is missing is an error of the command, which says more about it.
            add(content(&path).unwrap_or_default().as_bytes());
        }
        let writes = paths(&plan.writes, subject, folder)?;
        Ok(Self { path: cache.join(format!("{}.json", hasher.finalize().to_hex())), writes })
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
