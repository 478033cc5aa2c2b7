//! What may become of the files, and what is said of it.

use counterpoint::journal::sealed::{BLANK, Encoding, Key, Stream};
use counterpoint::journal::{AppendError, Epoch, Journal as _, JournalError};
use counterpoint::message::AgentEvent;
use counterpoint::{AgentId, Entry, Incarnation, RestoreError, Seq, Time};
use counterpoint_journal_files::{CopyError, FileJournal};
use std::fs;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    folder
}

fn stream() -> Stream {
    Stream::new("orders")
}

/// Segments of a few records, so that there are several.
fn journal(folder: &Path) -> FileJournal {
    FileJournal::new(folder, stream()).with_segment_bytes(250)
}

fn fact(seq: u64) -> Entry {
    let event = AgentEvent::Lost.of(Incarnation::new(AgentId::new(seq), 1));
    Entry { seq: Seq::new(seq), at: Time::from_secs(seq), event }
}

fn facts(range: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
    range.map(fact).collect()
}

/// Appends these facts, two at a time.
fn written(folder: &Path, last: u64) -> FileJournal {
    let mut journal = journal(folder);
    let epoch = journal.take_over().unwrap().epoch;
    for seq in (1..=last).step_by(2) {
        journal.append(epoch, Seq::new(seq - 1), &facts(seq..=seq + 1)).unwrap();
    }
    journal
}

fn named(folder: &Path, kind: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == kind));
    paths.sort();
    paths
}

fn broken(folder: &Path) -> RestoreError {
    let error: JournalError = journal(folder).take_over().unwrap_err();
    error.broken().unwrap_or_else(|| panic!("{error}")).clone()
}

#[test]
fn what_is_appended_is_there_for_the_next_writer() {
    let folder = folder("next");
    drop(written(&folder, 20));
    assert!(named(&folder, "journal").len() > 2);
    let mut next = journal(&folder);
    let taken = next.take_over().unwrap();
    assert_eq!((taken.epoch, taken.snapshot, taken.tail), (Epoch::new(2), None, facts(1..=20)));
    next.append(taken.epoch, Seq::new(20), &facts(21..=21)).unwrap();
    let tail = Seq::new(21);
    assert_eq!(next.append(taken.epoch, Seq::new(20), &facts(21..=21)), Err(AppendError::Conflict { tail }));
    assert_eq!(next.append(taken.epoch, tail, &facts(23..=23)), Err(AppendError::Conflict { tail }));
    assert_eq!(next.append(Epoch::new(1), tail, &facts(22..=22)), Err(AppendError::Fenced));
}

#[test]
fn there_is_one_writer() {
    let folder = folder("one");
    let mut first = written(&folder, 4);
    let held = journal(&folder).take_over().unwrap_err();
    assert!(held.broken().is_none() && held.to_string().contains("another writer"), "{held}");
    // The lock file was deleted. The first writer holds the segment, too, and appends nothing until the lock is there.
    fs::remove_file(folder.join("lock")).unwrap();
    let missing = first.append(Epoch::new(1), Seq::new(4), &facts(5..=5));
    assert!(matches!(missing, Err(AppendError::Refused(_))), "{missing:?}");
    let mut second = journal(&folder);
    assert!(second.take_over().is_err());
    // The attempt has created another lock file.
    assert_eq!(first.append(Epoch::new(1), Seq::new(4), &facts(5..=5)), Err(AppendError::Fenced));
    assert_eq!(first.keep_snapshot(Epoch::new(1), Seq::new(4), b"{}"), Err(AppendError::Fenced));
    drop(first);
    let taken = second.take_over().unwrap();
    assert_eq!((taken.epoch, taken.tail.len()), (Epoch::new(2), 4), "the epoch is that of the head file");
    second.append(taken.epoch, Seq::new(4), &facts(5..=5)).unwrap();
    drop(second);
    assert_eq!(journal(&folder).take_over().unwrap().tail, facts(1..=5));
}

/// Left blank after any byte of the last record: what was confirmed before it is there, and work goes on.
#[test]
fn a_torn_tail_is_overwritten() {
    let (folder, copy) = (folder("torn"), folder("torn copy"));
    let mut whole = FileJournal::new(&folder, stream());
    let epoch = whole.take_over().unwrap().epoch;
    whole.append(epoch, Seq::ZERO, &facts(1..=4)).unwrap();
    let [path] = &named(&folder, "journal")[..] else { panic!() };
    let sound = records(&fs::read(path).unwrap());
    whole.append(epoch, Seq::new(4), &facts(5..=8)).unwrap();
    let bytes = fs::read(path).unwrap();
    let end = records(&bytes);
    // The first bytes one by one, then here and there.
    for cut in (sound..sound + 12).chain((sound + 12..end).step_by(23)).chain(end - 3..end) {
        // As the process leaves the files when it is killed.
        let _ = fs::remove_dir_all(&copy);
        fs::create_dir(&copy).unwrap();
        for file in ["head", "lock"] {
            fs::copy(folder.join(file), copy.join(file)).unwrap();
        }
        let mut torn = bytes.clone();
        torn[cut..].fill(BLANK);
        fs::write(copy.join(path.file_name().unwrap()), &torn).unwrap();
        let mut next = FileJournal::new(&copy, stream());
        let taken = next.take_over().unwrap_or_else(|error| panic!("blank after {cut} of {end}: {error}"));
        assert_eq!(taken.tail, facts(1..=4), "blank after {cut}");
        next.append(taken.epoch, Seq::new(4), &facts(5..=6)).unwrap();
        drop(next);
        assert_eq!(FileJournal::new(&copy, stream()).take_over().unwrap().tail, facts(1..=6));
    }
}

/// Where the reserved space begins.
fn records(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != BLANK).unwrap() + 1
}

#[test]
fn damage_is_an_error_and_nothing_is_touched() {
    let folder = folder("damage");
    drop(written(&folder, 20));
    let segments = named(&folder, "journal");
    let before: Vec<Vec<u8>> = segments.iter().map(|path| fs::read(path).unwrap()).collect();
    let check = |expected: &dyn Fn(&RestoreError) -> bool| {
        let error = broken(&folder);
        assert!(expected(&error), "{error:?}");
        // Whoever repairs it sees what is sound.
        let (found, fault) = FileJournal::read(&folder, &stream()).unwrap();
        assert_eq!(fault, Some(error));
        assert!(found.entries.len() < 20);
    };
    // A bit in the middle of the first segment.
    let mut bad = before[0].clone();
    let place = records(&bad) - 40;
    bad[place] ^= 1;
    fs::write(&segments[0], &bad).unwrap();
    check(&|error| matches!(error, RestoreError::Damaged { .. }));
    // The first segment ends early: others follow it, so it was whole once.
    fs::write(&segments[0], &before[0][..place]).unwrap();
    check(&|error| matches!(error, RestoreError::Damaged { .. }));
    // The first, or one in the middle, is missing.
    fs::remove_file(&segments[0]).unwrap();
    check(&|error| matches!(error, RestoreError::Gap { .. }));
    fs::write(&segments[0], &before[0]).unwrap();
    fs::remove_file(&segments[1]).unwrap();
    check(&|error| matches!(error, RestoreError::Gap { .. }));
    fs::write(&segments[1], &before[1]).unwrap();
    assert_eq!(journal(&folder).take_over().unwrap().tail, facts(1..=20));
}

#[test]
fn a_snapshot_takes_segments_away() {
    let folder = folder("snapshot");
    let mut journal_ = written(&folder, 20);
    let (epoch, count) = (Epoch::new(1), named(&folder, "journal").len());
    let mut hand = journal_.archive().unwrap();
    hand.keep_snapshot(epoch, Seq::new(12), b"twelve".to_vec()).unwrap();
    assert!(named(&folder, "journal").len() < count);
    // Within an append nothing can be kept: there is no head to tie it to.
    let refused = hand.keep_snapshot(epoch, Seq::new(15), b"fifteen".to_vec());
    assert!(matches!(refused, Err(AppendError::Refused(_))), "{refused:?}");
    assert!(matches!(hand.keep_snapshot(epoch, Seq::new(99), Vec::new()), Err(AppendError::Refused(_))));
    // It shares the lock.
    drop(journal_);
    assert!(journal(&folder).take_over().is_err());
    drop(hand);
    let mut next = journal(&folder);
    let taken = next.take_over().unwrap();
    assert_eq!((taken.snapshot.as_deref(), taken.tail), (Some(&b"twelve"[..]), facts(13..=20)));
    next.keep_snapshot(taken.epoch, Seq::new(20), b"twenty").unwrap();
    assert_eq!(named(&folder, "snapshot").len(), 1);
    next.append(taken.epoch, Seq::new(20), &facts(21..=22)).unwrap();
    drop(next);
    let taken = journal(&folder).take_over().unwrap();
    assert_eq!((taken.snapshot.as_deref(), taken.tail), (Some(&b"twenty"[..]), facts(21..=22)));
    // Of the snapshot, too, every part is looked at; and its tail is not another's.
    let [snapshot] = &named(&folder, "snapshot")[..] else { panic!() };
    let mut bad = fs::read(snapshot).unwrap();
    *bad.last_mut().unwrap() ^= 1;
    fs::write(snapshot, &bad).unwrap();
    assert!(matches!(broken(&folder), RestoreError::Snapshot { .. }));
    fs::remove_file(snapshot).unwrap();
    assert!(matches!(broken(&folder), RestoreError::Gap { .. }));
}

/// Entries before a snapshot that are retained, as far as segments are whole. Damage there shortens them and nothing else.
#[test]
fn entries_before_a_snapshot_are_retained_for_readers() {
    let folder = folder("history");
    let long = || journal(&folder).with_history(10);
    let mut first = written(&folder, 60);
    drop(first);
    first = long();
    let taken = first.take_over().unwrap();
    assert_eq!((taken.tail, taken.history), (facts(1..=60), Vec::new()), "there is no snapshot");
    let before = named(&folder, "journal").len();
    first.archive().unwrap().keep_snapshot(taken.epoch, Seq::new(40), b"forty".to_vec()).unwrap();
    assert!(named(&folder, "journal").len() < before);
    first.append(taken.epoch, Seq::new(60), &facts(61..=62)).unwrap();
    drop(first);
    let taken = long().take_over().unwrap();
    assert_eq!((taken.snapshot.as_deref(), taken.tail), (Some(&b"forty"[..]), facts(41..=62)));
    assert_eq!(taken.history, facts(31..=40));
    // A copy has them, too.
    let backup = folder.with_extension("backup");
    let _ = fs::remove_dir_all(&backup);
    FileJournal::copy(&folder, &backup, &stream()).unwrap();
    assert_eq!(journal(&backup).with_history(7).take_over().unwrap().history, facts(34..=40));
    // A segment before that of the snapshot is damaged: the history is shorter.
    let oldest = &named(&folder, "journal")[0];
    let mut bytes = fs::read(oldest).unwrap();
    let last = records(&bytes) - 2;
    bytes[last] ^= 1;
    fs::write(oldest, &bytes).unwrap();
    let taken = long().take_over().unwrap();
    assert_eq!(taken.tail, facts(41..=62));
    let rest = taken.history;
    assert!(!rest.is_empty() && rest.len() < 10 && rest == facts(41 - rest.len() as u64..=40), "{rest:?}");
    // A writer that retains none removes them.
    let taken = journal(&folder).take_over().unwrap();
    assert!(taken.history.is_empty() && taken.tail == facts(41..=62));
    assert!(long().take_over().unwrap().history.len() < 10);
}

/// A crash between keeping a snapshot and taking away what it stands for; and drafts of files that never came into being.
#[test]
fn what_a_crash_leaves_over_is_swept() {
    let folder = folder("swept");
    let mut first = written(&folder, 12);
    let older: Vec<(PathBuf, Vec<u8>)> =
        named(&folder, "journal").into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    first.keep_snapshot(Epoch::new(1), Seq::new(6), b"six").unwrap();
    let six = named(&folder, "snapshot").remove(0);
    let kept = fs::read(&six).unwrap();
    first.keep_snapshot(Epoch::new(1), Seq::new(12), b"twelve").unwrap();
    drop(first);
    for (path, bytes) in &older {
        fs::write(path, bytes).unwrap();
    }
    fs::write(&six, kept).unwrap();
    fs::write(folder.join("00000000000000000099.draft"), b"half of something").unwrap();
    let taken = journal(&folder).take_over().unwrap();
    assert_eq!((taken.snapshot.as_deref(), taken.tail), (Some(&b"twelve"[..]), Vec::new()));
    assert!(!six.exists() && named(&folder, "draft").is_empty());
    assert!(named(&folder, "journal").len() < older.len());
}

#[test]
fn keys_streams_and_forms() {
    let folder = folder("forms");
    let keyed = || stream().with_key(Key::new([3; 32])).with_encoding(Encoding::Lines);
    let mut lines = FileJournal::new(&folder, keyed());
    let epoch = lines.take_over().unwrap().epoch;
    lines.append(epoch, Seq::ZERO, &facts(1..=3)).unwrap();
    drop(lines);
    assert_eq!(broken(&folder), RestoreError::KeyNeeded);
    let other = FileJournal::new(&folder, Stream::new("returns")).take_over().unwrap_err();
    assert_eq!(other.broken(), Some(&RestoreError::WrongStream { found: "orders".into() }));
    // The form may change: the last segment goes on in its own, the next in the new one.
    let mut compact = FileJournal::new(&folder, keyed().with_encoding(Encoding::Compact)).with_segment_bytes(900);
    let taken = compact.take_over().unwrap();
    for seq in 4..=9 {
        compact.append(taken.epoch, Seq::new(seq - 1), &facts(seq..=seq)).unwrap();
    }
    drop(compact);
    assert_eq!(FileJournal::new(&folder, keyed()).take_over().unwrap().tail, facts(1..=9));
}

#[test]
fn a_copy_is_a_journal_of_its_own() {
    let (folder, copy) = (folder("copied"), folder("copy"));
    let mut original = written(&folder, 20);
    let copied = FileJournal::copy(&folder, &copy, &stream()).unwrap();
    assert_eq!(Some(copied.head), original.head());
    // The original goes on meanwhile.
    original.append(Epoch::new(1), Seq::new(20), &facts(21..=22)).unwrap();
    assert_eq!(journal(&copy).take_over().unwrap().tail, facts(1..=20));
    // What exists is not changed.
    assert!(matches!(FileJournal::copy(&folder, &copy, &stream()), Err(CopyError::Exists)));
    fs::remove_dir_all(&copy).unwrap();
    let nothing = FileJournal::copy(folder.join("nothing"), &copy, &stream());
    assert!(matches!(nothing, Err(CopyError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound));
    assert!(!copy.exists());
}

#[test]
fn a_record_that_is_being_written_is_not_in_the_copy() {
    let (folder, copy) = (folder("copied-torn"), folder("copy-torn"));
    let mut original = FileJournal::new(&folder, stream());
    original.take_over().unwrap();
    original.append(Epoch::new(1), Seq::new(0), &facts(1..=20)).unwrap();
    let before = original.head();
    let last = named(&folder, "journal").pop().unwrap();
    let end = fs::read(&last).unwrap().iter().rposition(|byte| *byte != BLANK).unwrap() + 1;
    original.append(Epoch::new(1), Seq::new(20), &facts(21..=21)).unwrap();
    // As much of the record as a reader may see while it is written.
    let mut bytes = fs::read(&last).unwrap();
    bytes[end + 30..].fill(BLANK);
    fs::write(&last, &bytes).unwrap();
    let (_, fault) = FileJournal::read(&folder, &stream()).unwrap();
    assert!(fault.is_some_and(|fault| fault.is_torn()));
    let copied = FileJournal::copy(&folder, &copy, &stream()).unwrap();
    assert_eq!((Some(copied.head), FileJournal::read(&copy, &stream()).unwrap().1), (before, None));
    assert_eq!(journal(&copy).take_over().unwrap().tail, facts(1..=20));
}

#[test]
fn a_damaged_journal_is_not_copied() {
    let (folder, copy) = (folder("copied-damaged"), folder("copy-damaged"));
    drop(written(&folder, 20));
    let first = named(&folder, "journal").remove(0);
    let mut bytes = fs::read(&first).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&first, &bytes).unwrap();
    let error = FileJournal::copy(&folder, &copy, &stream()).unwrap_err();
    assert!(matches!(error, CopyError::Damaged(_)), "{error}");
    assert!(!copy.exists());
}

/// A writer that appends and takes snapshots as fast as it can, and copies meanwhile: each is a beginning of the journal.
#[test]
fn copies_beside_a_writer_are_beginnings_of_its_journal() {
    let (folder, copy) = (folder("copied-live"), folder("copy-live"));
    let mut original = written(&folder, 20);
    let done = std::sync::atomic::AtomicBool::new(false);
    let acknowledged = std::sync::atomic::AtomicU64::new(20);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut seq = 20;
            while !done.load(std::sync::atomic::Ordering::Acquire) {
                let count = 1 + seq % 7;
                original.append(Epoch::new(1), Seq::new(seq), &facts(seq + 1..=seq + count)).unwrap();
                seq += count;
                acknowledged.store(seq, std::sync::atomic::Ordering::Release);
                if seq % 50 < 3 {
                    original.keep_snapshot(Epoch::new(1), Seq::new(seq), seq.to_string().as_bytes()).unwrap();
                }
            }
        });
        for _ in 0..100 {
            let before = acknowledged.load(std::sync::atomic::Ordering::Acquire);
            let copied = FileJournal::copy(&folder, &copy, &stream()).unwrap();
            let taken = journal(&copy).take_over().unwrap();
            let at = taken.snapshot.map_or(0, |state| String::from_utf8(state).unwrap().parse().unwrap());
            let last = copied.head.seq.get();
            assert!(last >= before, "{last} of {before}");
            assert_eq!(taken.tail, facts(at + 1..=last));
            fs::remove_dir_all(&copy).unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Release);
    });
}
