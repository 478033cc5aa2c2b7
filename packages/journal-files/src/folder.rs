//! The content of a folder.

use counterpoint::journal::sealed::{Encoding, Head, Stream};
use counterpoint::{Entry, RestoreError, Seq};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The readable part of a journal.
#[derive(Debug, Default)]
pub struct Contents {
    /// The newest snapshot with its head.
    pub snapshot: Option<(Head, Vec<u8>)>,
    /// The entries after the snapshot.
    pub entries: Vec<Entry>,
    /// The head of the journal after these entries.
    pub head: Head,
    /// The last segment.
    pub(crate) last: Option<Last>,
}

/// The segment for the next append.
#[derive(Debug)]
pub(crate) struct Last {
    pub(crate) path: PathBuf,
    pub(crate) encoding: Encoding,
    /// The number of valid bytes.
    pub(crate) sound: u64,
    pub(crate) head: Head,
}

pub(crate) fn segment_name(first: Seq) -> String {
    format!("{:020}.journal", first.get())
}

pub(crate) fn snapshot_name(at: Seq) -> String {
    format!("{:020}.snapshot", at.get())
}

/// The files of one kind, by number.
pub(crate) fn files(folder: &Path, kind: &str) -> io::Result<Vec<(Seq, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if let (Some(number), true) = (number, path.extension().is_some_and(|extension| extension == kind)) {
            files.push((Seq::new(number), path));
        }
    }
    files.sort();
    Ok(files)
}

/// Reads a folder: the newest snapshot, and the segments that continue from it, as one chain.
pub(crate) fn read(folder: &Path, stream: &Stream) -> io::Result<(Contents, Option<RestoreError>)> {
    let mut found = Contents::default();
    if let Some((_, path)) = files(folder, "snapshot")?.pop() {
        let bytes = fs::read(path)?;
        match stream.open_snapshot(&bytes) {
            Ok((head, state)) => found.snapshot = Some((head, state.to_vec())),
            Err(fault) => return Ok((found, Some(fault))),
        }
        found.head = found.snapshot.as_ref().map_or(Head::START, |(head, _)| *head);
    }
    let segments = files(folder, "journal")?;
    let covered = covered(&segments, found.head.seq);
    let mut before = None;
    let count = segments.len();
    for (number, (_, path)) in segments.into_iter().enumerate().skip(covered) {
        let fault = read_segment(&path, stream, &mut before, &mut found)?;
        if let Some(fault) = fault {
            let last = number + 1 == count;
            // A segment with a successor was written to its end.
            let fault =
                if fault.is_torn() && !last { RestoreError::Damaged { seq: found.head.seq.next() } } else { fault };
            return Ok((found, Some(fault)));
        }
    }
    let missing = before.is_none() && found.head.seq > Seq::ZERO;
    let fault = missing.then_some(RestoreError::Truncated { ends: Seq::ZERO, expected: found.head.seq });
    Ok((found, fault))
}

/// The number of leading segments that a snapshot covers completely: those whose successor begins at or before the
/// entry after it.
pub(crate) fn covered(segments: &[(Seq, PathBuf)], at: Seq) -> usize {
    segments.windows(2).take_while(|pair| pair[1].0 <= at.next()).count()
}

fn read_segment(
    path: &Path,
    stream: &Stream,
    before: &mut Option<Head>,
    found: &mut Contents,
) -> io::Result<Option<RestoreError>> {
    let bytes = fs::read(path)?;
    let mut unsealer = match stream.open(&bytes, *before) {
        Ok(unsealer) => unsealer,
        Err(fault) => return Ok(Some(fault)),
    };
    let anchor = found.snapshot.as_ref().map_or(Head::START, |(head, _)| *head);
    if before.is_none() {
        // The first segment begins at or before the snapshot, and contains its head.
        let begins = unsealer.head();
        if begins.seq > anchor.seq {
            return Ok(Some(RestoreError::Gap { expected: anchor.seq.next(), found: begins.seq.next() }));
        }
        if begins.seq == anchor.seq && begins != anchor {
            return Ok(Some(RestoreError::Fork { seq: anchor.seq.next() }));
        }
        unsealer = unsealer.anchored(anchor);
    }
    let mut fault = None;
    for record in &mut unsealer {
        match record {
            Ok(entries) => found.entries.extend(entries.into_iter().filter(|entry| entry.seq > anchor.seq)),
            Err(error) => fault = Some(error),
        }
    }
    let head = unsealer.head();
    let sound = unsealer.sound() as u64;
    found.last = Some(Last { path: path.to_owned(), encoding: unsealer.encoding(), sound, head });
    found.head = head;
    *before = Some(head);
    Ok(fault)
}

/// Removes what a crash may leave behind: drafts, segments and snapshots that a newer snapshot replaces.
pub(crate) fn sweep(folder: &Path, found: &Contents) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "draft") {
            fs::remove_file(path)?;
        }
    }
    match &found.snapshot {
        Some((head, _)) => drop_before(folder, head.seq),
        None => Ok(()),
    }
}

/// Removes what a snapshot replaces, the oldest first, so that the rest is a complete chain at any time.
pub(crate) fn drop_before(folder: &Path, at: Seq) -> io::Result<()> {
    let segments = files(folder, "journal")?;
    let count = covered(&segments, at);
    for (_, path) in segments.into_iter().take(count) {
        fs::remove_file(path)?;
    }
    for (number, path) in files(folder, "snapshot")? {
        if number < at {
            fs::remove_file(path)?;
        }
    }
    super::disk::sync_folder(folder)
}
