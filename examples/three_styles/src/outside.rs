//! What the steps do outside: it outlives the process, and knows each effect by its idempotency key.

use counterpoint::Failure;
use counterpoint::workflow::Attempt;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, io};

/// A system outside, which performs an effect once for each idempotency key. Clones are the same system.
#[derive(Debug, Clone)]
pub struct Outside(Arc<Place>);

#[derive(Debug)]
enum Place {
    Folder(PathBuf),
    Memory(Mutex<BTreeMap<String, String>>),
}

impl Outside {
    /// Effects are files of this folder, which exists.
    #[must_use]
    pub fn folder(folder: &Path) -> Self {
        Self(Arc::new(Place::Folder(folder.to_owned())))
    }

    /// Effects are kept in memory.
    #[must_use]
    pub fn memory() -> Self {
        Self(Arc::new(Place::Memory(Mutex::default())))
    }

    /// Performs the effect of an attempt.
    ///
    /// # Errors
    ///
    /// When its key is known for another effect, and when the system fails.
    pub fn note(&self, attempt: &Attempt, what: &str) -> Result<(), Failure> {
        let key = attempt.idempotency_key()?;
        let effect = format!("{}: {what}", attempt.kind());
        let known = self.once(&key.to_string(), &effect).map_err(|error| Failure::transient(error.to_string()))?;
        if known == effect {
            return Ok(());
        }
        Err(Failure::permanent(format!("the key {key} is that of `{known}`, and not of `{effect}`")))
    }

    /// The effect of a key: the one that is known, or this one.
    fn once(&self, key: &str, effect: &str) -> io::Result<String> {
        match &*self.0 {
            Place::Memory(effects) => {
                let mut effects = effects.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(effects.entry(key.to_owned()).or_insert_with(|| effect.to_owned()).clone())
            }
            Place::Folder(folder) => {
                let (path, written) = (folder.join(key), folder.join(format!("{key}.new")));
                if !path.exists() {
                    // A file with this name is whole: the process may be killed at any time.
                    fs::write(&written, effect)?;
                    fs::rename(&written, &path)?;
                }
                fs::read_to_string(&path)
            }
        }
    }

    /// All effects by key.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub fn effects(&self) -> io::Result<BTreeMap<String, String>> {
        match &*self.0 {
            Place::Memory(effects) => Ok(effects.lock().unwrap_or_else(PoisonError::into_inner).clone()),
            Place::Folder(folder) => {
                let files = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
                let whole = files.iter().filter(|file| file.path().extension().is_none());
                whole
                    .map(|file| Ok((file.file_name().display().to_string(), fs::read_to_string(file.path())?)))
                    .collect()
            }
        }
    }
}
