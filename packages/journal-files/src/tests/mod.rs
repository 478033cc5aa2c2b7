//! The journal on a file system that fails and crashes, and on files that were damaged.
#![allow(clippy::too_many_lines, reason = "a table of cases is one function")]

mod crash;
mod damage;
mod fake;
mod faults;

use crate::FileJournal;
use counterpoint::journal::sealed::{Encoding, Key, Stream};
use counterpoint::message::AgentEvent;
use counterpoint::{AgentId, Entry, Incarnation, Seq, Time};
use fake::FakeDisk;
use std::sync::Arc;

fn stream() -> Stream {
    Stream::new("orders").with_key(Key::new([5; 32]))
}

fn lines() -> Stream {
    stream().with_encoding(Encoding::Lines)
}

/// A journal whose segments have a few records.
fn journal(disk: &FakeDisk, stream: &Stream) -> FileJournal {
    FileJournal::on(Arc::new(disk.clone()), "journal".into(), stream.clone()).with_segment_bytes(300)
}

fn entry(seq: u64) -> Entry {
    let event = AgentEvent::Lost.of(Incarnation::new(AgentId::new(seq), 1));
    Entry { seq: Seq::new(seq), at: Time::from_secs(seq), event }
}

fn entries(range: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
    range.map(entry).collect()
}
