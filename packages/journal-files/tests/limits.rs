//! A process without a free descriptor appends, and is not fenced; one whose files cannot grow is refused.
//!
//! The limits are those of the operating system, set for a process of its own.
#![cfg(unix)]

use counterpoint::journal::sealed::Stream;
use counterpoint::journal::{AppendError, Journal as _};
use counterpoint::message::AgentEvent;
use counterpoint::{AgentId, Entry, Incarnation, Seq, Time};
use counterpoint_journal_files::FileJournal;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set in the process with the limit.
const FOLDER: &str = "COUNTERPOINT_LIMITED";

fn entry(seq: u64) -> Entry {
    let event = AgentEvent::Lost.of(Incarnation::new(AgentId::new(seq), 1));
    Entry { seq: Seq::new(seq), at: Time::from_secs(seq), event }
}

fn journal(folder: &Path) -> FileJournal {
    FileJournal::new(folder, Stream::new("orders")).with_segment_bytes(4_000)
}

fn segments(folder: &Path) -> usize {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    names.filter(|path| path.extension().is_some_and(|kind| kind == "journal")).count()
}

/// Runs this test in a process of its own, after these commands of a shell. Returns the folder of its journal.
fn limited(test: &str, commands: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = std::fs::remove_dir_all(&folder);
    let limited = Command::new("sh")
        .args(["-c", &format!("{commands} && exec \"$0\" --exact {test} --nocapture")])
        .arg(std::env::current_exe().unwrap())
        .env(FOLDER, &folder)
        .output()
        .unwrap();
    let text = [limited.stdout, limited.stderr].concat();
    assert!(limited.status.success(), "{}", String::from_utf8_lossy(&text));
    folder
}

#[test]
fn appends_need_no_descriptor() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return without_descriptors(Path::new(&folder));
    }
    let folder = limited("appends_need_no_descriptor", "ulimit -n 64");
    let taken = journal(&folder).take_over().unwrap();
    assert_eq!(taken.tail, (1..=201).map(entry).collect::<Vec<_>>());
}

/// The system writes a part of what was asked for, and then nothing.
#[test]
fn files_that_cannot_grow_refuse_appends() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return without_space(Path::new(&folder));
    }
    // In blocks of 512 or 1,024 bytes. Without the trap a signal would end the process.
    let folder = limited("files_that_cannot_grow_refuse_appends", "trap '' XFSZ && ulimit -f 2500");
    let taken = FileJournal::new(&folder, Stream::new("orders")).take_over().unwrap();
    let kept = taken.tail.len() as u64;
    assert!(kept > 1_000, "{kept} entries");
    assert_eq!(taken.tail, (1..=kept).map(entry).collect::<Vec<_>>());
}

fn without_space(folder: &Path) {
    let mut journal = FileJournal::new(folder, Stream::new("orders"));
    let epoch = journal.take_over().unwrap().epoch;
    let (mut kept, mut count) = (0, 500);
    // Smaller and smaller appends, until not even one entry has room.
    while count > 0 {
        let entries: Vec<Entry> = (kept + 1..=kept + count).map(entry).collect();
        match journal.append(epoch, Seq::new(kept), &entries) {
            Ok(()) => kept += count,
            Err(AppendError::Refused(_)) => count /= 2,
            Err(other) => panic!("{other}"),
        }
    }
    drop(journal);
    let taken = FileJournal::new(folder, Stream::new("orders")).take_over().unwrap();
    assert_eq!(taken.tail.len() as u64, kept);
}

fn without_descriptors(folder: &Path) {
    let mut journal = journal(folder);
    let epoch = journal.take_over().unwrap().epoch;
    let mut archive = journal.archive().unwrap();
    let mut all: Vec<File> = Vec::new();
    let error = loop {
        match File::open("/dev/null") {
            Ok(file) => all.push(file),
            Err(error) => break error,
        }
    };
    assert!(all.len() < 64, "{} descriptors, then: {error}", all.len());
    for seq in 1..=100 {
        let kept = journal.append(epoch, Seq::new(seq - 1), &[entry(seq)]);
        assert_eq!(kept, Ok(()), "entry {seq}");
    }
    let refused = archive.keep_snapshot(epoch, Seq::new(100), b"state".to_vec());
    assert!(matches!(&refused, Err(AppendError::Refused(_))), "{refused:?}");
    assert!(File::open("/dev/null").is_err());
    // One descriptor is enough for a segment, and for a snapshot.
    all.pop();
    for seq in 101..=200 {
        assert_eq!(journal.append(epoch, Seq::new(seq - 1), &[entry(seq)]), Ok(()), "entry {seq}");
    }
    // The segment before is closed, and its descriptor serves the next one.
    drop(all);
    assert_eq!(journal.append(epoch, Seq::new(200), &[entry(201)]), Ok(()));
    drop(journal);
    assert!(segments(folder) > 1, "{} segments", segments(folder));
}
