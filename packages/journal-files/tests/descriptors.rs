//! A process without a free descriptor appends, and is not fenced.
#![cfg(unix)]

use counterpoint::journal::sealed::Stream;
use counterpoint::journal::{AppendError, Journal as _};
use counterpoint::message::AgentEvent;
use counterpoint::{AgentId, Entry, Incarnation, Seq, Time};
use counterpoint_journal_files::FileJournal;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set in the process with few descriptors.
const FOLDER: &str = "COUNTERPOINT_FEW_DESCRIPTORS";

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

#[test]
fn appends_need_no_descriptor() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return within(Path::new(&folder));
    }
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("descriptors");
    let _ = std::fs::remove_dir_all(&folder);
    let this = std::env::current_exe().unwrap();
    let limited = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" --exact appends_need_no_descriptor --nocapture"])
        .arg(this)
        .env(FOLDER, &folder)
        .output()
        .unwrap();
    let text = [limited.stdout, limited.stderr].concat();
    assert!(limited.status.success(), "{}", String::from_utf8_lossy(&text));
    // The process has ended without another take-over: its entries are there.
    let taken = journal(&folder).take_over().unwrap();
    assert_eq!(taken.tail, (1..=201).map(entry).collect::<Vec<_>>());
}

fn within(folder: &Path) {
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
