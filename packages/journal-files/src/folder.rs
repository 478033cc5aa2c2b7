//! The content of a folder.

use super::disk::Disk;
use super::head::{self, Found, Known};
use counterpoint::journal::sealed::{Encoding, Head, Stream};
use counterpoint::{Entry, RestoreError, Seq};
use std::io;
use std::path::{Path, PathBuf};

/// The readable part of a journal.
#[derive(Debug, Default)]
pub struct Contents {
    /// The newest snapshot that can be read, with its head.
    pub snapshot: Option<(Head, Vec<u8>)>,
    /// The fault of a newer snapshot, whose entries are still there.
    pub damaged_snapshot: Option<RestoreError>,
    /// The entries after the snapshot.
    pub entries: Vec<Entry>,
    /// The head of the journal after these entries.
    pub head: Head,
    /// The last segment.
    pub(crate) last: Option<Last>,
    /// The content of the head file.
    pub(crate) known: Option<Known>,
}

/// The segment for the next append.
#[derive(Debug)]
pub(crate) struct Last {
    /// The number of its first entry.
    pub(crate) first: Seq,
    pub(crate) encoding: Encoding,
    pub(crate) head: Head,
    /// The offset of the last valid record, or of the end of the header.
    pub(crate) last_record: u64,
    /// The last valid record; empty if there is none.
    pub(crate) record: Vec<u8>,
    /// The size of the file.
    pub(crate) len: u64,
}

pub(crate) fn segment_name(first: Seq) -> String {
    format!("{:020}.journal", first.get())
}

pub(crate) fn snapshot_name(at: Seq) -> String {
    format!("{:020}.snapshot", at.get())
}

/// The files of one kind, by number.
pub(crate) fn files(disk: &dyn Disk, folder: &Path, kind: &str) -> io::Result<Vec<(Seq, PathBuf)>> {
    let mut files = Vec::new();
    for path in disk.paths(folder)? {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| stem.len() == 20);
        let number = stem.and_then(|stem| stem.parse().ok());
        if let (Some(number), true) = (number, path.extension().is_some_and(|extension| extension == kind)) {
            files.push((Seq::new(number), path));
        }
    }
    files.sort();
    Ok(files)
}

/// Reads a folder: the newest snapshot, and the segments that continue from it, as one chain that contains the recorded
/// head. `used` is whether a writer is known to have taken over before.
pub(crate) fn read(
    disk: &dyn Disk,
    folder: &Path,
    stream: &Stream,
    used: bool,
) -> io::Result<(Contents, Option<RestoreError>)> {
    let known = head::read(disk, folder, stream)?;
    let mut snapshots = files(disk, folder, "snapshot")?;
    let mut damaged = None;
    loop {
        let snapshot = match snapshots.pop().map(|(_, path)| disk.read(&path)).transpose()? {
            None => None,
            Some(bytes) => match stream.open_snapshot(&bytes) {
                Ok((head, state)) => Some((head, state.to_vec())),
                Err(fault) => {
                    damaged.get_or_insert(fault);
                    continue;
                }
            },
        };
        let last_resort = snapshot.is_none();
        let recorded = if let Found::Sound(known) = known { known.head } else { Head::START };
        let (mut found, fault) = read_after(disk, folder, stream, snapshot, recorded)?;
        let fault = check_head(&mut found, fault, known, used);
        match (damaged, fault) {
            // Without the damaged snapshot the entries lead to the same state.
            (Some(fault), None) => return Ok((Contents { damaged_snapshot: Some(fault), ..found }, None)),
            (Some(first), Some(torn)) if torn.is_torn() => {
                return Ok((Contents { damaged_snapshot: Some(first), ..found }, Some(torn)));
            }
            (Some(first), Some(_)) if last_resort => return Ok((found, Some(first))),
            (Some(first), Some(_)) => damaged = Some(first),
            (None, fault) => return Ok((found, fault)),
        }
    }
}

/// Compares what was read with the head file.
fn check_head(found: &mut Contents, fault: Option<RestoreError>, known: Found, used: bool) -> Option<RestoreError> {
    // Another fault explains more: a wrong key makes the head file unreadable, too.
    if fault.as_ref().is_some_and(|fault| !fault.is_torn()) {
        return fault;
    }
    let known = match known {
        Found::Sound(known) => known,
        Found::Damaged => return Some(RestoreError::NoHead { reason: "the head file is damaged" }),
        Found::Missing if used || found.head != Head::START => {
            return Some(RestoreError::NoHead { reason: "the head file is missing" });
        }
        // The first take-over was not completed.
        Found::Missing => return fault,
    };
    found.known = Some(known);
    let (ends, expected) = (found.head.seq, known.head.seq);
    if ends < expected {
        return Some(match fault {
            // The record was acknowledged, so its writer had written it completely.
            Some(_) => RestoreError::Damaged { seq: ends.next() },
            None => RestoreError::Truncated { ends, expected },
        });
    }
    // The segment was there when this head was recorded; only one that continues from it allows its removal.
    if found.last.as_ref().is_none_or(|last| last.first < known.segment) {
        return Some(RestoreError::NoHead { reason: "the last segment is missing" });
    }
    fault
}

fn read_after(
    disk: &dyn Disk,
    folder: &Path,
    stream: &Stream,
    snapshot: Option<(Head, Vec<u8>)>,
    recorded: Head,
) -> io::Result<(Contents, Option<RestoreError>)> {
    let head = snapshot.as_ref().map_or(Head::START, |(head, _)| *head);
    let mut found = Contents { snapshot, head, ..Contents::default() };
    let segments = files(disk, folder, "journal")?;
    let covered = covered(&segments, found.head.seq);
    let mut before = None;
    let count = segments.len();
    for (number, (first, path)) in segments.into_iter().enumerate().skip(covered) {
        let bytes = disk.read(&path)?;
        let fault = read_segment((first, &bytes), stream, recorded, &mut before, &mut found);
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
    (first, bytes): (Seq, &[u8]),
    stream: &Stream,
    recorded: Head,
    before: &mut Option<Head>,
    found: &mut Contents,
) -> Option<RestoreError> {
    let mut unsealer = match stream.open(bytes, *before) {
        Ok(unsealer) => unsealer.reserved(),
        Err(fault) => return Some(fault),
    };
    let anchor = found.snapshot.as_ref().map_or(Head::START, |(head, _)| *head);
    let begins = unsealer.head();
    if begins.seq.next() != first {
        return Some(RestoreError::Gap { expected: first, found: begins.seq.next() });
    }
    if before.is_none() {
        // The first segment begins at or before the snapshot, and contains its head.
        if begins.seq > anchor.seq {
            return Some(RestoreError::Gap { expected: anchor.seq.next(), found: begins.seq.next() });
        }
        if begins.seq == anchor.seq && begins != anchor {
            return Some(RestoreError::Fork { seq: anchor.seq.next() });
        }
        unsealer = unsealer.anchored(anchor);
    }
    if begins.seq == recorded.seq && begins != recorded {
        return Some(RestoreError::Fork { seq: begins.seq.next() });
    }
    let mut last_record = unsealer.sound();
    let mut fault = None;
    loop {
        let (at, from) = (unsealer.sound(), unsealer.head().seq);
        match unsealer.next() {
            Some(Ok(entries)) => {
                let head = unsealer.head();
                if from < recorded.seq && recorded.seq <= head.seq && head != recorded {
                    return Some(RestoreError::Fork { seq: from.next() });
                }
                last_record = at;
                found.entries.extend(entries.into_iter().filter(|entry| entry.seq > anchor.seq));
            }
            Some(Err(error)) => fault = Some(error),
            None => break,
        }
    }
    let (head, sound) = (unsealer.head(), unsealer.sound());
    found.last = Some(Last {
        first,
        encoding: unsealer.encoding(),
        head,
        last_record: last_record as u64,
        record: bytes.get(last_record..sound).unwrap_or_default().to_vec(),
        len: bytes.len() as u64,
    });
    found.head = head;
    *before = Some(head);
    fault
}

/// Entries before the snapshot, up to it, at most `most`. A damaged segment ends them.
pub(crate) fn history(
    disk: &dyn Disk,
    folder: &Path,
    stream: &Stream,
    found: &Contents,
    most: u64,
) -> io::Result<Vec<Entry>> {
    let Some((head, _)) = found.snapshot.as_ref().filter(|_| most > 0) else { return Ok(Vec::new()) };
    let at = head.seq;
    let after = at.get().saturating_sub(most);
    let mut entries: Vec<Entry> = Vec::new();
    let segments = files(disk, folder, "journal")?;
    let first = covered(&segments, Seq::new(after));
    for (_, path) in segments.iter().skip(first).take_while(|(first, _)| *first <= at) {
        let bytes = disk.read(path)?;
        let Ok(unsealer) = stream.open(&bytes, None) else { continue };
        let sound = unsealer.reserved().map_while(Result::ok).flatten();
        for entry in sound.filter(|entry| entry.seq.get() > after && entry.seq <= at) {
            if entries.last().is_some_and(|last| last.seq.next() != entry.seq) {
                entries.clear();
            }
            entries.push(entry);
        }
    }
    if entries.last().is_some_and(|last| last.seq != at) {
        entries.clear();
    }
    Ok(entries)
}

/// Removes what a crash may leave behind: drafts, and what a newer snapshot replaces.
pub(crate) fn sweep(disk: &dyn Disk, folder: &Path, found: &Contents, history: u64) -> io::Result<()> {
    for path in disk.paths(folder)? {
        if path.extension().is_some_and(|extension| extension == "draft") {
            disk.remove(&path)?;
        }
    }
    match &found.snapshot {
        Some((head, _)) => drop_before(disk, folder, head.seq, history),
        None => Ok(()),
    }
}

/// Removes what a snapshot replaces, except for the last entries before it: the oldest first, so that the rest is a complete
/// chain at any time.
pub(crate) fn drop_before(disk: &dyn Disk, folder: &Path, at: Seq, history: u64) -> io::Result<()> {
    let segments = files(disk, folder, "journal")?;
    let count = covered(&segments, Seq::new(at.get().saturating_sub(history)));
    for (_, path) in segments.into_iter().take(count) {
        disk.remove(&path)?;
    }
    for (number, path) in files(disk, folder, "snapshot")? {
        if number < at {
            disk.remove(&path)?;
        }
    }
    disk.sync_folder()
}
