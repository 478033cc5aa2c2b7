//! Stage five: writes the report to its folder, completely or not at all, and removes it again.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A file of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    pub name: String,
    pub text: String,
}

/// What was delivered: enough to take it back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    pub names: Vec<String>,
    pub bytes: u64,
}

/// Writes the documents into a folder. Each appears whole, under its name, or not at all; if
/// one cannot be written, those before it are taken back. What stood there before is kept
/// aside until [`settle`], so that [`retract`] can restore it. May be repeated.
pub fn deliver(folder: &Path, documents: &[Document]) -> io::Result<Delivery> {
    fs::create_dir_all(folder)?;
    let mut delivery = Delivery::default();
    for document in documents {
        delivery.names.push(document.name.clone());
        delivery.bytes += document.text.len() as u64;
        if let Err(error) = deliver_one(folder, document) {
            // The first failure is the one to report, whatever else goes wrong.
            let _ = retract(folder, &delivery.names);
            return Err(error);
        }
    }
    Ok(delivery)
}

fn deliver_one(folder: &Path, document: &Document) -> io::Result<()> {
    let (place, temporary, previous) = places(folder, &document.name)?;
    if fs::read(&place).is_ok_and(|there| there == document.text.as_bytes()) {
        // Delivered already: our own work must not be kept aside as its own predecessor.
        return Ok(());
    }
    let mut file = File::create(&temporary)?;
    file.write_all(document.text.as_bytes())?;
    file.sync_all()?;
    drop(file);
    // When a delivery is repeated, what is kept aside is older, and is what to go back to.
    if place.exists() && !previous.exists() {
        fs::rename(&place, &previous)?;
    }
    fs::rename(&temporary, &place)
}

/// Takes documents back, finished or not, and restores what stood there before. Says how many
/// were there. Taking back what is not there is no error.
pub fn retract(folder: &Path, names: &[String]) -> io::Result<u64> {
    let mut taken = 0;
    for name in names {
        let (place, temporary, previous) = places(folder, name)?;
        remove(&temporary)?;
        taken += u64::from(remove(&place)?);
        if previous.exists() {
            fs::rename(&previous, &place)?;
        }
    }
    Ok(taken)
}

/// Makes a delivery final: drops what was kept aside.
pub fn settle(folder: &Path, names: &[String]) -> io::Result<()> {
    for name in names {
        let (_, _, previous) = places(folder, name)?;
        remove(&previous)?;
    }
    Ok(())
}

/// The folders on the way to this one that do not exist yet, the innermost first: what a delivery
/// will make, and what taking it back should remove.
pub fn missing_folders(folder: &Path) -> Vec<PathBuf> {
    let named = folder.ancestors().filter(|above| !above.as_os_str().is_empty());
    named.take_while(|above| !above.exists()).map(Path::to_path_buf).collect()
}

/// Removes folders that a delivery has made, as far as nobody else has put something into them.
pub fn remove_folders(innermost_first: &[PathBuf]) -> io::Result<()> {
    for folder in innermost_first {
        match fs::remove_dir(folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Where a document goes, where it is written first, and where its predecessor waits.
fn places(folder: &Path, name: &str) -> io::Result<(PathBuf, PathBuf, PathBuf)> {
    let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']);
    if !plain {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a document needs a plain name"));
    }
    let aside = |ending: &str| folder.join(format!(".{name}.{ending}"));
    Ok((folder.join(name), aside("partial"), aside("previous")))
}

fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    fn document(name: &str, text: &str) -> Document {
        Document { name: name.to_owned(), text: text.to_owned() }
    }

    fn names_in(folder: &Path) -> Vec<String> {
        let list = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = list.map(|item| item.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn delivered_and_taken_back() {
        let folder = Folder::new("deliver");
        let out = folder.path().join("out");
        let delivery = deliver(&out, &[document("a.html", "A"), document("b.md", "B")]).unwrap();
        assert_eq!(delivery.bytes, 2);
        assert_eq!(names_in(&out), ["a.html", "b.md"]);
        assert_eq!(retract(&out, &delivery.names).unwrap(), 2);
        assert_eq!(retract(&out, &delivery.names).unwrap(), 0);
        assert!(names_in(&out).is_empty());
    }

    #[test]
    fn the_predecessor_is_restored_even_after_a_repetition() {
        let folder = Folder::new("previous");
        folder.write("a.html", b"old");
        let new = [document("a.html", "new")];
        deliver(folder.path(), &new).unwrap();
        let delivery = deliver(folder.path(), &new).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("a.html")).unwrap(), "new");
        retract(folder.path(), &delivery.names).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("a.html")).unwrap(), "old");
        deliver(folder.path(), &new).unwrap();
        settle(folder.path(), &delivery.names).unwrap();
        assert_eq!(names_in(folder.path()), ["a.html"]);
    }

    #[test]
    fn created_folders_are_removed_unless_they_are_used() {
        let folder = Folder::new("folders");
        let out = folder.path().join("a/b");
        let made = missing_folders(&out);
        assert_eq!(made, [out.clone(), folder.path().join("a")]);
        let delivery = deliver(&out, &[document("x", "X")]).unwrap();
        folder.write("a/other", b"");
        retract(&out, &delivery.names).unwrap();
        remove_folders(&made).unwrap();
        remove_folders(&made).unwrap();
        assert_eq!(names_in(&folder.path().join("a")), ["other"]);
    }

    #[test]
    fn a_failure_leaves_nothing_behind() {
        let folder = Folder::new("failure");
        let documents = [document("a.html", "A"), document("../b", "B")];
        assert!(deliver(folder.path(), &documents).is_err());
        assert!(names_in(folder.path()).is_empty());
    }
}
