//! Journals in files: what was written is read.

use super::{ONE, key};
use crate::observe::script::turned_back;
use counterpoint::engine::EngineSnapshot;
use counterpoint::journal::sealed::{Encoding, Head, Stream};
use counterpoint::{Config, Engine, Entry};
use std::path::PathBuf;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/journal").join(name)
}

/// The bytes in a file, which are rewritten when `UPDATE_GOLDEN=1` is set.
fn kept(name: &str, make: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path(name), make()).unwrap();
    }
    std::fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn forms() -> [(&'static str, Stream); 3] {
    let orders = || Stream::new("orders");
    [
        ("plain.jsonl", orders().with_encoding(Encoding::Lines)),
        ("keyed.jsonl", orders().with_encoding(Encoding::Lines).with_key(key())),
        ("keyed.bin", orders().with_key(key())),
    ]
}

fn written(stream: &Stream, entries: &[Entry]) -> Vec<u8> {
    let (mut sealer, mut bytes) = stream.begin(Head::START);
    for some in entries.chunks(5) {
        sealer.seal(ONE, some, &mut bytes).unwrap();
    }
    bytes
}

#[test]
fn journals_in_files_are_read() {
    for (name, stream) in forms() {
        let bytes = kept(name, || written(&stream, &turned_back().entries));
        let read = stream.read(&bytes, None);
        assert_eq!(read.fault, None, "{name}");
        assert_eq!(read.entries, turned_back().entries, "{name}");
        // The same events have the same bytes in every process.
        assert!(written(&stream, &read.entries) == bytes, "{name} is written in another way");
    }
}

/// A journal of an engine that did a bit of everything, and its snapshot half-way: they lead to the same state.
#[test]
fn a_journal_in_a_file_leads_to_its_state() {
    let played = |factor: u16| {
        let numbers = |count: u16| (0..count).map(|number| number.wrapping_mul(factor)).collect::<Vec<u16>>();
        super::drawn(&numbers(140), &numbers(90), 7)
    };
    let long = || (7_919..).step_by(2).map(played).find(|journal| journal.len() > 60).unwrap();
    let stream = Stream::new("orders").with_encoding(Encoding::Lines);
    let make = || written(&stream, &long());
    let journal = kept("run.jsonl", make);
    let entries = stream.read(&journal, None).entries;
    assert!(entries.len() > 60, "{} entries", entries.len());
    let compact = Stream::new("orders");
    let packed = kept("run.bin", || written(&compact, &entries));
    assert_eq!(compact.read(&packed, None).entries, entries);
    assert!(written(&compact, &entries) == packed, "it is written in another way");
    let engine = Engine::restore(Config::default(), None, &entries).unwrap();
    engine.check().unwrap();
    let (half, rest) = entries.split_at(entries.len() / 2);
    let middle = || Engine::restore(Config::default(), None, half).unwrap().snapshot();
    let make = || stream.seal_snapshot(Head::START, &serde_json::to_vec(&middle()).unwrap());
    let sealed = kept("run.snapshot", make);
    let snapshot: EngineSnapshot = serde_json::from_slice(stream.open_snapshot(&sealed).unwrap().1).unwrap();
    let from = Engine::restore(Config::default(), Some(&snapshot), rest).unwrap();
    from.check().unwrap();
    assert_eq!(from.snapshot().scheduler, engine.snapshot().scheduler);
    let told = |engine: &Engine| -> Vec<_> {
        let runs = engine.runs();
        runs.map(|run| (run.id(), run.outcome().cloned(), run.nodes().map(|node| node.status()).collect::<Vec<_>>()))
            .collect()
    };
    assert_eq!(told(&from), told(&engine));
}
