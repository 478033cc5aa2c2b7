//! Every kind of damage to the files of a small journal: it is an error, or nothing is lost.
//!
//! The undetected cases of the crate's documentation are the last test, and the only ones.

use super::fake::FakeDisk;
use super::{entries, journal, lines, stream};
use counterpoint::journal::Journal as _;
use counterpoint::journal::sealed::{BLANK, Stream};
use counterpoint::{RestoreError, Seq};
use std::path::{Path, PathBuf};

const LAST: u64 = 13;

/// How the last writer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Dropped,
    Killed,
}

/// A journal of several segments.
fn written(stream: &Stream, end: End) -> FakeDisk {
    let disk = FakeDisk::default();
    let mut journal = journal(&disk, stream);
    let epoch = journal.take_over().unwrap().epoch;
    for seq in 1..=LAST {
        journal.append(epoch, Seq::new(seq - 1), &entries(seq..=seq)).unwrap();
    }
    if end == End::Killed {
        disk.kill();
    }
    drop(journal);
    disk
}

/// Opens a damaged copy: all entries, or an error that names the damage. Returns whether it was an error.
fn open(disk: &FakeDisk, stream: &Stream, context: &dyn Fn() -> String) -> bool {
    match journal(disk, stream).take_over() {
        Ok(taken) => {
            assert_eq!((taken.snapshot, taken.tail), (None, entries(1..=LAST)), "{}", context());
            false
        }
        Err(error) => {
            let fault = error.broken().unwrap_or_else(|| panic!("{}: {error}", context()));
            assert!(!fault.is_torn(), "{}", context());
            true
        }
    }
}

fn segments(disk: &FakeDisk) -> Vec<PathBuf> {
    let all = disk.files().into_iter();
    all.filter(|path| path.extension().is_some_and(|kind| kind == "journal")).collect()
}

/// The end of the records in a segment.
fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != BLANK).unwrap() + 1
}

/// Where the header and each record of a segment end.
fn bounds(stream: &Stream, bytes: &[u8]) -> Vec<usize> {
    let mut unsealer = stream.open(bytes, None).unwrap();
    let mut bounds = vec![unsealer.sound()];
    while unsealer.next().is_some() {
        bounds.push(unsealer.sound());
    }
    bounds.dedup();
    bounds
}

/// Every case in both encodings, after both ends.
fn each(check: impl Fn(&Stream, FakeDisk)) {
    for stream in [stream(), lines()] {
        for end in [End::Dropped, End::Killed] {
            check(&stream, written(&stream, end));
        }
    }
}

/// Each encoding after one end: these are the most cases.
#[test]
fn every_flipped_bit_is_an_error_or_harmless() {
    let mut cases = 0;
    for (stream, end) in [(stream(), End::Killed), (lines(), End::Dropped)] {
        let (stream, disk) = (&stream, written(&stream, end));
        assert!(segments(&disk).len() > 2);
        for path in disk.files() {
            let bytes = disk.content(&path);
            let is_segment = path.extension().is_some_and(|kind| kind == "journal");
            let end = if is_segment { used(&bytes) } else { bytes.len() };
            for bit in 0..bytes.len() * 8 {
                // Of blank space one bit of each 61 bytes.
                let blank = bit / 8 >= end || (!is_segment && bytes[bit / 8] == b' ');
                if blank && bit % (8 * 61 + 1) != 0 {
                    continue;
                }
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let copy = disk.copy();
                copy.put(&path, flipped);
                let error = open(&copy, stream, &|| format!("{} bit {bit} of {end}", path.display()));
                assert!(error || blank || !is_segment, "{} bit {bit} was not detected", path.display());
                cases += 1;
            }
        }
    }
    println!("{cases} bits");
}

#[test]
fn every_cut_is_an_error_or_harmless() {
    each(|stream, disk| {
        for path in disk.files() {
            let bytes = disk.content(&path);
            let is_segment = path.extension().is_some_and(|kind| kind == "journal");
            for cut in 0..bytes.len().min(if is_segment { used(&bytes) + 8 } else { 520 }) {
                let copy = disk.copy();
                copy.put(&path, bytes[..cut].to_vec());
                let error = open(&copy, stream, &|| format!("{} cut to {cut}", path.display()));
                assert!(error || !is_segment, "{} cut to {cut} was not detected", path.display());
            }
        }
    });
}

/// Each record, and each range from within one to its end, replaced by zeros or by other bytes.
#[test]
fn every_overwritten_record_is_an_error() {
    each(|stream, disk| {
        for path in segments(&disk) {
            let bytes = disk.content(&path);
            for pair in bounds(stream, &bytes).windows(2) {
                for filler in [0, 0xff, b' ', b'\n'] {
                    for from in (pair[0]..pair[1]).step_by(7) {
                        let mut over = bytes.clone();
                        over[from..pair[1]].fill(filler);
                        if over == bytes {
                            continue;
                        }
                        let copy = disk.copy();
                        copy.put(&path, over);
                        let context = || format!("{} {from}..{} filled with {filler}", path.display(), pair[1]);
                        assert!(open(&copy, stream, &context), "{} was not detected", context());
                    }
                }
            }
        }
    });
}

/// Records removed, repeated and exchanged within a segment.
#[test]
fn moved_records_are_errors() {
    each(|stream, disk| {
        for path in segments(&disk) {
            let bytes = disk.content(&path);
            let bounds = bounds(stream, &bytes);
            let record = |number: usize| &bytes[bounds[number]..bounds[number + 1]];
            let count = bounds.len() - 1;
            let mut cases = Vec::new();
            for one in 0..count {
                // The last record removed is the undetected case after a kill.
                for other in 0..count {
                    let mut order: Vec<usize> = (0..count).collect();
                    order.swap(one, other);
                    cases.push(order);
                    let mut order: Vec<usize> = (0..count).collect();
                    order.insert(other, one);
                    cases.push(order);
                }
                if one + 1 < count {
                    cases.push((0..count).filter(|number| *number != one).collect());
                }
            }
            for order in cases {
                let mut moved = bytes[..bounds[0]].to_vec();
                order.iter().for_each(|number| moved.extend_from_slice(record(*number)));
                moved.resize(bytes.len().max(moved.len() + 8), BLANK);
                if moved == bytes {
                    continue;
                }
                let copy = disk.copy();
                copy.put(&path, moved);
                let context = || format!("{} with the records {order:?}", path.display());
                assert!(open(&copy, stream, &context), "{} was not detected", context());
            }
        }
    });
}

#[test]
fn moved_and_removed_files_are_errors() {
    each(|stream, disk| {
        let segments = segments(&disk);
        let check = |change: &dyn Fn(&FakeDisk), context: &str| {
            let copy = disk.copy();
            change(&copy);
            assert!(open(&copy, stream, &|| context.to_owned()), "{context} was not detected");
        };
        for (number, one) in segments.iter().enumerate() {
            check(&|disk| drop(disk.take_away(one)), &format!("{} removed", one.display()));
            check(
                &|disk| segments[number..].iter().for_each(|path| drop(disk.take_away(path))),
                &format!("{} and all after it removed", one.display()),
            );
            let other_name = Path::new("journal/00000000000000000099.journal");
            check(&|disk| disk.put(other_name, disk.content(one)), &format!("{} repeated", one.display()));
            check(&|disk| disk.put(other_name, disk.take_away(one)), &format!("{} renamed", one.display()));
            for other in segments.iter().filter(|other| *other != one) {
                let exchanged = |disk: &FakeDisk| {
                    let (first, second) = (disk.take_away(one), disk.take_away(other));
                    disk.put(one, second);
                    disk.put(other, first);
                };
                check(&exchanged, &format!("{} exchanged with {}", one.display(), other.display()));
                check(
                    &|disk| disk.put(other, disk.content(one)),
                    &format!("{} over {}", one.display(), other.display()),
                );
            }
        }
        let (head, lock) = (Path::new("journal/head"), Path::new("journal/lock"));
        check(&|disk| drop(disk.take_away(head)), "the head removed");
        check(&|disk| disk.put(head, Vec::new()), "the head emptied");
        let all = |disk: &FakeDisk| segments.iter().for_each(|path| drop(disk.take_away(path)));
        check(&all, "all segments removed");
        check(&|disk| (all(disk), drop(disk.take_away(head))).1, "only the lock left");
        check(&|disk| (all(disk), drop(disk.take_away(lock))).1, "only the head left");
        check(&|disk| (drop(disk.take_away(lock)), drop(disk.take_away(head))).1, "only the segments left");
        // The lock file has nothing that is needed.
        let copy = disk.copy();
        copy.take_away(lock);
        assert!(!open(&copy, stream, &|| "the lock removed".to_owned()));
    });
}

/// A head that was kept elsewhere is not needed for recorded entries: blank bytes in their place are detected.
#[test]
fn recorded_entries_cannot_be_blanked() {
    for stream in [stream(), lines()] {
        let disk = written(&stream, End::Dropped);
        for path in segments(&disk) {
            let bytes = disk.content(&path);
            let bounds = bounds(&stream, &bytes);
            for from in (bounds[0]..*bounds.last().unwrap()).step_by(5) {
                let mut blank = bytes.clone();
                blank[from..].fill(BLANK);
                let copy = disk.copy();
                copy.put(&path, blank);
                let context = || format!("{} blank from {from}", path.display());
                assert!(open(&copy, &stream, &context), "{} was not detected", context());
            }
        }
    }
}

/// The undetected cases: what is left is exactly what an earlier crash could have left.
#[test]
fn undetected_damage_is_what_the_documentation_lists() {
    for stream in [stream(), lines()] {
        let disk = written(&stream, End::Killed);
        // Entries after the last recorded ones, replaced by blank bytes.
        let path = segments(&disk).pop().unwrap();
        let bytes = disk.content(&path);
        let bounds = bounds(&stream, &bytes);
        for from in &bounds[..bounds.len() - 1] {
            let copy = disk.copy();
            let mut blank = bytes.clone();
            blank[*from..].fill(BLANK);
            copy.put(&path, blank);
            let taken = journal(&copy, &stream).take_over().unwrap();
            let lost = bounds.iter().filter(|bound| *bound > from).count() as u64;
            assert_eq!(taken.tail, entries(1..=LAST - lost));
        }
        // Those of earlier segments are recorded.
        let path = segments(&disk).remove(0);
        let mut blank = disk.content(&path);
        let from = self::bounds(&stream, &blank).pop().unwrap() - 8;
        blank[from..].fill(BLANK);
        let copy = disk.copy();
        copy.put(&path, blank);
        let error = journal(&copy, &stream).take_over().unwrap_err();
        assert!(matches!(error.broken(), Some(RestoreError::Damaged { .. })), "{error}");
        // All files replaced by earlier ones; all files removed.
        let earlier = FakeDisk::default();
        let mut first = journal(&earlier, &stream);
        let epoch = first.take_over().unwrap().epoch;
        first.append(epoch, Seq::ZERO, &entries(1..=2)).unwrap();
        drop(first);
        assert_eq!(journal(&earlier, &stream).take_over().unwrap().tail, entries(1..=2));
        assert_eq!(journal(&FakeDisk::default(), &stream).take_over().unwrap().tail, []);
    }
}
