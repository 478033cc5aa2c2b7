//! `counterpoint backup` and `counterpoint restore`: copies of a folder with journals.
//!
//! A backup is a folder with the same files, and `backup.json`, which has the size and the hash of each. It is made, and a folder is
//! restored, under another name first, so that neither is there in part.

use crate::folder::{Data, RunFolder, make_folder, now, write_whole};
use crate::trouble::Trouble;
use crate::{output, terminal};
use counterpoint::engine::EngineSnapshot;
use counterpoint::journal::sealed::Stream;
use counterpoint::{Config, Engine};
use counterpoint_http::App;
use counterpoint_journal_files::{CopyError, FileJournal};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// The name of the list of files.
const LIST: &str = "backup.json";
/// The version of the format of backups.
const FORMAT: u32 = 1;

/// The list of a backup.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    format: u32,
    /// The version of the program that made it.
    program: String,
    made: String,
    journals: Vec<ListedJournal>,
    files: Vec<ListedFile>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListedJournal {
    /// The folder of the journal, such as `journal` or `runs/etl-1/journal`.
    path: String,
    /// The number of its last entry.
    entries: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListedFile {
    path: String,
    bytes: u64,
    blake3: String,
}

/// The list with its own hash: the last line of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Seal {
    blake3: String,
}

/// The stream of a journal by its folder.
fn stream(path: &str) -> Stream {
    if path == "journal" { App::stream() } else { RunFolder::stream() }
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// Copies the folder, also while a server works in it or runs are performed in it.
pub(crate) fn backup(data: &Path, to: &Path, as_json: bool) -> Result<(), Trouble> {
    if std::env::var_os("COUNTERPOINT_JOURNAL").is_some_and(|url| !url.is_empty()) && !data.join("journal").exists() {
        let how = "pg_dump --table='counterpoint_*' copies a journal in PostgreSQL, also while a server works: see the README";
        return Err(Trouble::Refused(format!("{} has no journal: {how}", data.display())));
    }
    is_free(to)?;
    let mut journals = Vec::new();
    let mut files = Vec::new();
    if data.join("journal").exists() {
        journals.push("journal".to_owned());
    }
    files.push("tokens.json".to_owned());
    for run in Data::new(data).all()? {
        // Before its journal: a run that has ended by its description has ended in the journal.
        files.extend([format!("runs/{}/end.json", run.name), format!("runs/{}/run.json", run.name)]);
        journals.push(format!("runs/{}/journal", run.name));
    }
    files.retain(|path| data.join(path).exists());
    journals.retain(|path| data.join(path).exists());
    if journals.is_empty() {
        return Err(Trouble::Unknown(format!("there is no journal in {}", data.display())));
    }
    let listed = in_whole(to, |part| {
        for path in &files {
            let source = data.join(path);
            let bytes = fs::read(&source).map_err(|error| Trouble::io(&source, &error))?;
            let target = part.join(path);
            write_whole(&target, &bytes).map_err(|error| Trouble::io(&target, &error))?;
        }
        let mut known = Vec::new();
        for path in &journals {
            let (source, target) = (data.join(path), part.join(path));
            make_folder(target.parent().unwrap_or(part))?;
            let copied = FileJournal::copy(&source, &target, &stream(path));
            copied.map_err(|error| Trouble::Broken(format!("{}: {}", source.display(), text(&error))))?;
            known.push(ListedJournal { path: path.clone(), entries: opened(&target, path)? });
        }
        let mut listed = Vec::new();
        for path in files_below(part, part)? {
            let whole = part.join(&path);
            let bytes = fs::read(&whole).map_err(|error| Trouble::io(&whole, &error))?;
            listed.push(ListedFile { path, bytes: bytes.len() as u64, blake3: hash(&bytes) });
        }
        let program = env!("CARGO_PKG_VERSION").to_owned();
        let list = Listed { format: FORMAT, program, made: now(), journals: known, files: listed };
        let broken = |error: serde_json::Error| Trouble::Broken(error.to_string());
        let mut bytes = serde_json::to_vec(&list).map_err(broken)?;
        bytes.push(b'\n');
        let seal = serde_json::to_string(&Seal { blake3: hash(&bytes) }).map_err(broken)?;
        bytes.extend_from_slice(format!("{seal}\n").as_bytes());
        let target = part.join(LIST);
        write_whole(&target, &bytes).map_err(|error| Trouble::io(&target, &error))?;
        Ok(list)
    })?;
    tell(&listed, to, "backup", as_json);
    if listed.files.iter().any(|file| file.path == "tokens.json") {
        terminal::say("the backup has the tokens of the server: only its owner can read it");
    }
    Ok(())
}

/// Makes a folder of a backup.
pub(crate) fn restore(from: &Path, data: &Path, as_json: bool) -> Result<(), Trouble> {
    is_free(data)?;
    let list = read_list(from)?;
    for file in &list.files {
        let path = from.join(&file.path);
        let bytes = fs::read(&path).map_err(|error| Trouble::io(&path, &error))?;
        if bytes.len() as u64 != file.bytes || hash(&bytes) != file.blake3 {
            return Err(Trouble::Broken(format!(
                "{}: the backup is damaged: the file is not the one that was copied",
                path.display()
            )));
        }
    }
    in_whole(data, |part| {
        for file in &list.files {
            let (source, target) = (from.join(&file.path), part.join(&file.path));
            let bytes = fs::read(&source).map_err(|error| Trouble::io(&source, &error))?;
            write_whole(&target, &bytes).map_err(|error| Trouble::io(&target, &error))?;
        }
        for journal in &list.journals {
            let path = part.join(&journal.path);
            let entries = opened(&path, &journal.path)?;
            if entries != journal.entries {
                let text =
                    format!("the journal ends at entry {entries}, and that of the backup at {}", journal.entries);
                return Err(Trouble::Broken(format!("{}: {text}", from.join(&journal.path).display())));
            }
        }
        Ok(())
    })?;
    tell(&list, data, "restored", as_json);
    terminal::say("the original must not go on beside it: both would use the same ids and keys");
    Ok(())
}

fn tell(list: &Listed, to: &Path, word: &str, as_json: bool) {
    let bytes: u64 = list.files.iter().map(|file| file.bytes).sum();
    let entries: u64 = list.journals.iter().map(|journal| journal.entries).sum();
    if as_json {
        output::line(&json!({(word): to, "made": list.made, "journals": list.journals, "bytes": bytes}));
    } else {
        output::text(&format!(
            "{word}: {}: {} journals with {entries} entries, {bytes} bytes, verified",
            to.display(),
            list.journals.len()
        ));
    }
}

fn text(error: &CopyError) -> String {
    match error {
        CopyError::Damaged(fault) => format!("the journal is damaged, and was not copied: {fault}"),
        other => other.to_string(),
    }
}

/// Refuses a target that has something in it.
fn is_free(to: &Path) -> Result<(), Trouble> {
    match fs::read_dir(to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Trouble::io(to, &error)),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => {
                Err(Trouble::Refused(format!("{} exists and is not empty; nothing is overwritten", to.display())))
            }
        },
    }
}

/// Makes a folder under another name, which it gets when it is complete.
fn in_whole<T>(to: &Path, make: impl FnOnce(&Path) -> Result<T, Trouble>) -> Result<T, Trouble> {
    let to = std::path::absolute(to).map_err(|error| Trouble::io(to, &error))?;
    let name = to.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let part = to.with_file_name(format!(".{name}.{}", std::process::id()));
    let _ = fs::remove_dir_all(&part);
    make_folder(&part)?;
    let made = make(&part).and_then(|made| {
        // An empty folder may be there.
        let _ = fs::remove_dir(&to);
        let placed = sync_folders(&part).and_then(|()| fs::rename(&part, &to)).and_then(|()| match to.parent() {
            Some(around) => fs::File::open(around)?.sync_all(),
            None => Ok(()),
        });
        placed.map(|()| made).map_err(|error| Trouble::io(&to, &error))
    });
    if made.is_err() {
        let _ = fs::remove_dir_all(&part);
    }
    made
}

fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    fs::File::open(folder)?.sync_all()
}

/// The files below a folder, as paths from `root` on.
fn files_below(folder: &Path, root: &Path) -> Result<Vec<String>, Trouble> {
    let failed = |error: &io::Error| Trouble::io(folder, error);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| failed(&error))? {
        let entry = entry.map_err(|error| failed(&error))?;
        if entry.file_type().map_err(|error| failed(&error))?.is_dir() {
            found.extend(files_below(&entry.path(), root)?);
        } else if let Ok(path) = entry.path().strip_prefix(root) {
            found.push(path.to_string_lossy().into_owned());
        }
    }
    found.sort();
    Ok(found)
}

/// Opens a journal as a start would, and returns the number of its last entry.
fn opened(folder: &Path, path: &str) -> Result<u64, Trouble> {
    let broken = |text: String| Trouble::Broken(format!("{}: {text}", folder.display()));
    let (contents, fault) = FileJournal::read(folder, &stream(path)).map_err(|error| Trouble::io(folder, &error))?;
    if let Some(fault) = fault {
        return Err(broken(fault.to_string()));
    }
    let snapshot = contents.snapshot.as_ref().map(|(_, state)| EngineSnapshot::from_bytes(state));
    let snapshot = snapshot.transpose().map_err(|error| broken(error.to_string()))?;
    let engine = Engine::restore(Config::default(), snapshot.as_ref(), &contents.entries);
    engine.map_err(|error| broken(error.to_string()))?;
    Ok(contents.head.seq.get())
}

/// Reads the list of a backup, and verifies it.
fn read_list(from: &Path) -> Result<Listed, Trouble> {
    let path = from.join(LIST);
    let damaged = |what: &str| Trouble::Broken(format!("{}: the backup is damaged: {what}", path.display()));
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Trouble::Unknown(format!("{} is no backup: it has no {LIST}", from.display())));
        }
        Err(error) => return Err(Trouble::io(&path, &error)),
    };
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| damaged("its list is cut off"))? + 1;
    let (first, second) = bytes.split_at_checked(end).unwrap_or((&bytes, &[]));
    let seal: Seal = serde_json::from_slice(second).map_err(|_| damaged("its list is cut off"))?;
    if seal.blake3 != hash(first) {
        return Err(damaged("its list was changed"));
    }
    let list: Listed = serde_json::from_slice(first).map_err(|error| damaged(&error.to_string()))?;
    if list.format != FORMAT {
        let text = format!("a backup of format {}, and this program reads format {FORMAT}", list.format);
        return Err(Trouble::Broken(format!("{}: {text}", path.display())));
    }
    let names = list.files.iter().map(|file| &file.path).chain(list.journals.iter().map(|journal| &journal.path));
    for name in names {
        let mut parts = PathBuf::from(name);
        let is_within = parts.components().all(|part| matches!(part, Component::Normal(_))) && parts.pop();
        if !is_within {
            return Err(damaged(&format!("`{name}` is no path within it")));
        }
    }
    Ok(list)
}
