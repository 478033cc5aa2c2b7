//! Atomic creation of files.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Makes the entries of a folder durable. Systems on which a folder cannot be opened do so themselves.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder) {
        Ok(folder) => folder.sync_all(),
        Err(_) if cfg!(windows) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes a file under another name, makes it durable, and then renames it.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("draft");
    let mut file = File::create(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&draft, path)?;
    path.parent().map_or(Ok(()), sync_folder)
}
