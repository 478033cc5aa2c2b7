//! A disk that is full, fails or is interrupted at any operation, and two writers.

use super::crash::{Ledger, host};
use super::fake::{Dice, FakeDisk, Fault};
use super::{entries, journal, stream};
use counterpoint::journal::{AppendError, Journal as _};
use counterpoint::{RestoreError, Seq};
use std::path::Path;

const FAULTS: [Fault; 6] =
    [Fault::Full, Fault::Failed, Fault::FailedLate, Fault::Interrupted, Fault::Short, Fault::Descriptors];

/// Each fault once, at each operation. Then the machine crashes: what was confirmed is there nevertheless.
#[test]
fn one_fault_at_any_operation_loses_nothing() {
    let calm = FakeDisk::default();
    host(&calm, &stream(), &mut Ledger::default(), "calm").unwrap();
    let mut refused = 0;
    for fault in FAULTS {
        for step in 0..calm.steps() {
            for seed in 0..3 {
                let context = format!("{fault:?} at step {step}, seed {seed}");
                let (disk, mut ledger, mut dice) = (FakeDisk::default(), Ledger::default(), Dice(seed));
                disk.fail_at(step, fault);
                let ended = host(&disk, &stream(), &mut ledger, &context);
                if matches!(fault, Fault::Interrupted | Fault::Short) {
                    assert_eq!(ended, Ok(()), "{context}");
                    assert_eq!(ledger.refused, 0, "{context}");
                }
                refused += ledger.refused;
                disk.crash(&mut dice);
                host(&disk, &stream(), &mut ledger, &context).unwrap_or_else(|error| panic!("{context}: {error}"));
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

/// Two faults at once, of any kind.
#[test]
fn several_faults_lose_nothing() {
    let mut dice = Dice(11);
    for case in 0..1_500 {
        let context = format!("case {case}");
        let (disk, mut ledger) = (FakeDisk::default(), Ledger::default());
        for _ in 0..4 {
            for _ in 0..2 {
                let fault = FAULTS[dice.below(FAULTS.len() as u64) as usize];
                disk.fail_at(dice.below(160) as usize, fault);
            }
            let _ = host(&disk, &stream(), &mut ledger, &context);
            if dice.below(2) == 0 { disk.crash(&mut dice) } else { disk.kill() }
        }
        host(&disk, &stream(), &mut ledger, &context).unwrap_or_else(|error| panic!("{context}: {error}"));
    }
}

/// No descriptor is free for as long as the host works: no append fails, and segments begin when there are some again.
#[test]
fn appends_need_no_descriptor() {
    let disk = FakeDisk::default();
    let mut journal_ = journal(&disk, &stream());
    let epoch = journal_.take_over().unwrap().epoch;
    let mut archive = journal_.archive().unwrap();
    disk.fail_always(Some(Fault::Descriptors));
    for seq in 1..=60 {
        journal_.append(epoch, Seq::new(seq - 1), &entries(seq..=seq)).unwrap();
    }
    let refused = archive.keep_snapshot(epoch, Seq::new(60), b"60".to_vec());
    assert!(matches!(refused, Err(AppendError::Refused(_))), "{refused:?}");
    let segments =
        |disk: &FakeDisk| disk.files().iter().filter(|path| path.extension().unwrap_or_default() == "journal").count();
    assert_eq!(segments(&disk), 1);
    disk.fail_always(None);
    journal_.append(epoch, Seq::new(60), &entries(61..=61)).unwrap();
    assert_eq!(segments(&disk), 2);
    drop((journal_, archive));
    assert_eq!(journal(&disk, &stream()).take_over().unwrap().tail, entries(1..=61));
}

/// A full disk refuses appends once the reserved space is used up, and the same append succeeds when there is space.
#[test]
fn a_full_disk_refuses_and_recovers() {
    let disk = FakeDisk::default();
    let mut journal_ = journal(&disk, &stream());
    let epoch = journal_.take_over().unwrap().epoch;
    disk.fail_always(Some(Fault::Full));
    let mut seq = 0;
    let refused = loop {
        match journal_.append(epoch, Seq::new(seq), &entries(seq + 1..=seq + 1)) {
            Ok(()) => seq += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, AppendError::Refused(_)), "{refused:?}");
    assert!(seq > 5, "reserved space is used on a full disk, too: {seq}");
    let again = journal_.append(epoch, Seq::new(seq), &entries(seq + 1..=seq + 1));
    assert_eq!(again, Err(refused));
    disk.fail_always(None);
    journal_.append(epoch, Seq::new(seq), &entries(seq + 1..=seq + 300)).unwrap();
    drop(journal_);
    assert_eq!(journal(&disk, &stream()).take_over().unwrap().tail, entries(1..=seq + 300));
}

/// A flush failed, and the system forgot that it did: a take-over reads the record and makes it durable itself.
#[test]
fn a_record_that_was_read_is_durable() {
    let disk = FakeDisk::default();
    let mut journal_ = journal(&disk, &stream());
    let epoch = journal_.take_over().unwrap().epoch;
    journal_.append(epoch, Seq::ZERO, &entries(1..=1)).unwrap();
    disk.fail_at(disk.steps() + 1, Fault::FailedLate);
    assert_eq!(journal_.append(epoch, Seq::new(1), &entries(2..=2)), Err(AppendError::Unknown));
    let taken = journal_.take_over().unwrap();
    assert_eq!(taken.tail, entries(1..=2));
    disk.crash(&mut Dice(1));
    assert_eq!(journal(&disk, &stream()).take_over().unwrap().tail, entries(1..=2));
}

/// A second writer while the first is alive, with and without the lock file.
#[test]
fn two_writers_never_share_a_segment() {
    let disk = FakeDisk::default();
    let mut first = journal(&disk, &stream());
    let epoch = first.take_over().unwrap().epoch;
    first.append(epoch, Seq::ZERO, &entries(1..=3)).unwrap();
    assert!(journal(&disk, &stream()).take_over().is_err());
    let lock = Path::new("journal/lock");
    let content = disk.take_away(lock);
    // The lock file is missing: no proof that another writer has taken over.
    let refused = first.append(epoch, Seq::new(3), &entries(4..=4));
    assert!(matches!(refused, Err(AppendError::Refused(_))), "{refused:?}");
    let mut second = journal(&disk, &stream());
    assert!(second.take_over().is_err(), "the first writer holds the segment");
    // Another file is there now.
    assert_eq!(first.append(epoch, Seq::new(3), &entries(4..=4)), Err(AppendError::Fenced));
    assert_eq!(first.keep_snapshot(epoch, Seq::new(3), b"3"), Err(AppendError::Fenced));
    drop(first);
    let taken = second.take_over().unwrap();
    assert_eq!((taken.tail, taken.epoch > epoch), (entries(1..=3), true));
    drop(second);
    disk.put(lock, content);
    assert!(journal(&disk, &stream()).take_over().unwrap().epoch > taken.epoch);
}

/// A snapshot that cannot be read is not needed while its entries are there, and is an error when they are not.
#[test]
fn a_damaged_snapshot_falls_back_to_the_entries() {
    let disk = FakeDisk::default();
    let mut journal_ = journal(&disk, &stream()).with_segment_bytes(1 << 20);
    let epoch = journal_.take_over().unwrap().epoch;
    journal_.append(epoch, Seq::ZERO, &entries(1..=5)).unwrap();
    journal_.keep_snapshot(epoch, Seq::new(5), b"5").unwrap();
    journal_.append(epoch, Seq::new(5), &entries(6..=8)).unwrap();
    drop(journal_);
    let path = Path::new("journal/00000000000000000005.snapshot");
    let mut snapshot = disk.content(path);
    *snapshot.last_mut().unwrap() ^= 1;
    let damaged = disk.copy();
    damaged.put(path, snapshot.clone());
    let found = crate::folder::read(&damaged, Path::new("journal"), &stream(), true).unwrap();
    assert!(matches!(found.0.damaged_snapshot, Some(RestoreError::Snapshot { .. })), "{found:?}");
    let mut next = journal(&damaged, &stream());
    let taken = next.take_over().unwrap();
    assert_eq!((taken.snapshot, taken.tail), (None, entries(1..=8)));
    // The next snapshot replaces it.
    next.keep_snapshot(taken.epoch, Seq::new(8), b"8").unwrap();
    assert!(!damaged.files().contains(&path.to_owned()));
    let missing = disk.copy();
    missing.take_away(path);
    assert_eq!(journal(&missing, &stream()).take_over().unwrap().tail, entries(1..=8));
    // The entries are gone: the segment that had them was removed.
    let mut journal_ = journal(&disk, &stream());
    let taken = journal_.take_over().unwrap();
    for seq in 9..=30 {
        journal_.append(taken.epoch, Seq::new(seq - 1), &entries(seq..=seq)).unwrap();
    }
    journal_.keep_snapshot(taken.epoch, Seq::new(30), b"30").unwrap();
    drop(journal_);
    let path = Path::new("journal/00000000000000000030.snapshot");
    let mut snapshot = disk.take_away(path);
    let error = journal(&disk, &stream()).take_over().unwrap_err();
    assert!(matches!(error.broken(), Some(RestoreError::Gap { .. })), "{error}");
    snapshot[10] ^= 1;
    disk.put(path, snapshot);
    let error = journal(&disk, &stream()).take_over().unwrap_err();
    assert!(matches!(error.broken(), Some(RestoreError::Snapshot { .. })), "{error}");
}
