//! What accidents and attackers do to a journal, and what is said of it.

use super::{ONE, bounds, key, sealed, streams};
use crate::observe::script::{small, turned_back};
use counterpoint::journal::Epoch;
use counterpoint::journal::sealed::{BLANK, Encoding, Head, Key, Stream};
use counterpoint::message::AgentEvent;
use counterpoint::{AgentId, Entry, Incarnation, Limits, RestoreError, Seq, Time};

/// A journal of three records.
fn short(stream: &Stream) -> (Vec<Entry>, Vec<u8>) {
    let entries = turned_back().entries[..5].to_vec();
    let bytes = sealed(stream, &entries, 2).1;
    assert!(bytes.len() < 6_000, "{} bytes", bytes.len());
    (entries, bytes)
}

/// Each bit of a small journal, in both forms, with and without a key: every flip is reported, none panics, none is accepted.
#[test]
fn every_flipped_bit_is_reported() {
    for stream in streams() {
        // Three records of one entry each.
        let lost = |seq| {
            let event = AgentEvent::Lost.of(Incarnation::new(AgentId::new(seq), 1));
            Entry { seq: Seq::new(seq), at: Time::from_secs(seq), event }
        };
        let entries: Vec<Entry> = (1..=3).map(lost).collect();
        let bytes = sealed(&stream, &entries, 1).1;
        let bounds = bounds(&stream, &bytes);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let read = stream.read(&flipped, None);
            let sound = bounds.iter().filter(|bound| **bound <= bit / 8).count().saturating_sub(1);
            assert_eq!(read.entries, entries[..sound], "bit {bit}");
            let fault = read.fault.unwrap_or_else(|| panic!("bit {bit} passes"));
            let seq = Seq::new(sound as u64 + 1);
            match fault {
                RestoreError::Damaged { seq: said } => assert_eq!(said, seq, "bit {bit}"),
                RestoreError::NoJournal { .. } => assert!(bit / 8 < bounds[0], "bit {bit}"),
                other => panic!("bit {bit}: {other}"),
            }
        }
    }
}

/// Cut off after any byte: what is whole is read, and the rest is torn, never damage.
#[test]
fn every_cut_is_a_torn_tail() {
    for stream in streams() {
        let (entries, bytes) = short(&stream);
        let bounds = bounds(&stream, &bytes);
        let head = stream.read(&bytes, None).head.unwrap();
        for cut in 0..bytes.len() {
            let read = stream.read(&bytes[..cut], None);
            let Some(whole) = bounds.iter().rposition(|bound| *bound <= cut) else {
                assert!(matches!(read.fault, Some(RestoreError::NoJournal { .. })), "cut to {cut}");
                continue;
            };
            assert_eq!(read.entries, entries[..whole * 2], "cut to {cut}");
            let after = Seq::new(whole as u64 * 2);
            let torn = (!bounds.contains(&cut)).then_some(RestoreError::Torn { after });
            assert_eq!(read.fault, torn, "cut to {cut}");
            // Space was reserved, and the end was never written.
            let mut blank = bytes[..cut].to_vec();
            blank.resize(bytes.len() + 8, BLANK);
            let fault = |bytes: &[u8]| stream.open(bytes, None).unwrap().reserved().read().fault;
            assert_eq!(fault(&blank), torn, "blank after {cut}");
            // There, a cut is damage, also one at the end of a record; and so are zeros.
            let damaged = Some(RestoreError::Damaged { seq: after.next() });
            assert_eq!(fault(&blank[..cut]), damaged, "cut to {cut}");
            blank[cut..].fill(0);
            assert_eq!(fault(&blank), damaged, "zeros after {cut}");
            // Whoever kept the head elsewhere notices even a cut between records.
            if bounds.contains(&cut) {
                let anchored = stream.open(&bytes[..cut], None).unwrap().anchored(head).read();
                assert_eq!(anchored.fault, Some(RestoreError::Truncated { ends: after, expected: head.seq }));
            }
        }
    }
}

/// A sector in the middle of the last record was never written: its append was not confirmed.
#[test]
fn a_blank_sector_is_torn_only_at_the_end() {
    let stream = Stream::new("orders");
    let story = super::repeated(&small().entries, 300);
    let (_, bytes) = sealed(&stream, &story, story.len());
    let mut blank = bytes.clone();
    blank[1_024..1_536].fill(0);
    assert_eq!(stream.read(&blank, None).fault, Some(RestoreError::Damaged { seq: Seq::new(1) }), "not reserved space");
    blank[1_024..1_536].fill(BLANK);
    assert_eq!(stream.read(&blank, None).fault, Some(RestoreError::Torn { after: Seq::ZERO }));
    // The same with a sound record behind it is damage: the one behind was confirmed, so the first was.
    let (mut sealer, mut two) = (sealed(&stream, &story, story.len()).0, blank);
    let last = story.last().unwrap();
    sealer.seal(ONE, &[Entry { seq: last.seq.next(), ..last.clone() }], &mut two).unwrap();
    assert_eq!(stream.read(&two, None).fault, Some(RestoreError::Damaged { seq: Seq::new(1) }));
}

/// Records, cut out and put together in another way.
fn pieces(stream: &Stream, bytes: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let bounds = bounds(stream, bytes);
    (bytes[..bounds[0]].to_vec(), bounds.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect())
}

#[test]
fn gaps_repeats_and_forks_are_distinguished() {
    for stream in streams() {
        let (_, bytes) = short(&stream);
        let (header, records) = pieces(&stream, &bytes);
        let fault = |parts: &[&[u8]]| stream.read(&parts.concat(), None).fault;
        let (expected, found) = (Seq::new(3), Seq::new(5));
        let gap = RestoreError::Gap { expected, found };
        assert_eq!(fault(&[&header, &records[0], &records[2]]), Some(gap));
        let again = RestoreError::Gap { expected, found: Seq::new(1) };
        assert_eq!(fault(&[&header, &records[0], &records[0], &records[1]]), Some(again));
        let first = RestoreError::Gap { expected: Seq::new(1), found: expected };
        assert_eq!(fault(&[&header, &records[1]]), Some(first));

        // Another history with the same numbers: the same facts at other moments.
        let mut others = turned_back().entries[..5].to_vec();
        others[4].at = Time::from_secs(99);
        others[0].at = Time::from_millis(0);
        others[1].at = Time::from_millis(1);
        let (_, others) = pieces(&stream, &sealed(&stream, &others, 2).1);
        let fork = RestoreError::Fork { seq: Seq::new(3) };
        assert_eq!(fault(&[&header, &records[0], &others[1], &others[2]]), Some(fork));

        // A record of another stream under the same key.
        for returns in foreign() {
            let (_, foreign) = pieces(&returns, &sealed(&returns, &turned_back().entries[..5], 2).1);
            let spliced = fault(&[&header, &records[0], &foreign[1], &records[2]]);
            assert_eq!(spliced, Some(RestoreError::Damaged { seq: Seq::new(3) }));
        }
    }
}

fn foreign() -> [Stream; 4] {
    let (open, keyed) = (Stream::new("returns"), Stream::new("returns").with_key(key()));
    [open.clone(), open.with_encoding(Encoding::Lines), keyed.clone(), keyed.with_encoding(Encoding::Lines)]
}

/// What a writer wrote after another had taken over does not go on from what is there.
#[test]
fn an_old_writer_is_a_fork() {
    let stream = Stream::new("orders");
    let story = turned_back().entries;
    let (mut old, mut bytes) = stream.begin(Head::START);
    old.seal(ONE, &story[..2], &mut bytes).unwrap();
    // The new writer goes on in epoch 3, and the old one does not know.
    let mut new = stream.continuing(old.head());
    let mut both = bytes.clone();
    new.seal(Epoch::new(3), &story[2..3], &mut both).unwrap();
    let mut late = Vec::new();
    old.seal(Epoch::new(2), &story[2..4], &mut late).unwrap();
    both.extend_from_slice(&late);
    let gap = RestoreError::Gap { expected: Seq::new(4), found: Seq::new(3) };
    assert_eq!(stream.read(&both, None).fault, Some(gap));
    let (mut old, mut late) = (stream.continuing(new.head()), Vec::new());
    let stale = old.seal(Epoch::new(2), &story[3..4], &mut late);
    assert!(stale.is_err() && late.is_empty());
}

#[test]
fn streams_and_keys_are_distinguished() {
    for encoding in [Encoding::Compact, Encoding::Lines] {
        let of = |name: &str| Stream::new(name.to_owned()).with_encoding(encoding);
        let (open, keyed) = (of("orders"), of("orders").with_key(key()));
        let (_, without) = short(&open);
        let (_, with) = short(&keyed);
        let fault = |stream: &Stream, bytes: &[u8]| stream.read(bytes, None).fault;
        assert_eq!(fault(&of("returns"), &without), Some(RestoreError::WrongStream { found: "orders".into() }));
        assert_eq!(fault(&of("orders").with_key(Key::new([1; 32])), &with), Some(RestoreError::WrongKey));
        assert_eq!(fault(&open, &with), Some(RestoreError::KeyNeeded));
        assert_eq!(fault(&keyed, &without), Some(RestoreError::NotKeyed));
        // Somebody without the key puts their own records behind a header that is right.
        let (header, _) = pieces(&keyed, &with);
        let (_, theirs) = pieces(&open, &without);
        let forged = [header, theirs.concat()].concat();
        assert_eq!(fault(&keyed, &forged), Some(RestoreError::Damaged { seq: Seq::new(1) }));
    }
}

/// The key of an unkeyed record of the stream, as the form says: what anybody can do.
fn unkeyed(context: &str) -> [u8; 32] {
    blake3::derive_key(context, b"orders\0")
}

/// A record with a right hash and this in place of its version; only the version is looked at.
fn of_version(encoding: Encoding, version: u8) -> Vec<u8> {
    let record = unkeyed("counterpoint journal 2026 record");
    if encoding == Encoding::Lines {
        let line = format!(r#"{{"v":{version},"whatever":[]"#);
        let hash = blake3::keyed_hash(&record, line.as_bytes());
        return format!("{line},\"hash\":\"{hash}\"}}\n").into_bytes();
    }
    let mut frame = 41_u32.to_le_bytes().to_vec();
    frame.extend_from_slice(&(!41_u32).to_le_bytes());
    frame.extend_from_slice(&[version, 1, 2, 3, 4, 5, 6, 7]);
    let hash = blake3::keyed_hash(&record, &frame);
    frame.extend_from_slice(hash.as_bytes());
    frame.push(b'\n');
    frame
}

#[test]
fn unknown_versions_are_distinguished_from_damage() {
    for encoding in [Encoding::Compact, Encoding::Lines] {
        let stream = Stream::new("orders").with_encoding(encoding);
        let (_, mut bytes) = short(&stream);
        bytes.extend(of_version(encoding, 9));
        let unknown = RestoreError::UnknownVersion { seq: Seq::new(6), version: 9 };
        assert_eq!(stream.read(&bytes, None).fault, Some(unknown));
    }
}

/// An event that a later version of the library knows: the record is intact, and the error says so.
#[test]
fn an_unknown_event_is_unreadable_and_not_damage() {
    let stream = Stream::new("orders").with_encoding(Encoding::Lines);
    let (header, _) = pieces(&stream, &short(&stream).1);
    let zeros = "0".repeat(64);
    let line = format!(
        r#"{{"v":1,"size":"","seq":1,"epoch":1,"prev":"{zeros}","entries":[{{"seq":1,"at":0,"event":{{"task":{{"task":1,"event":"sings"}}}}}}]"#
    );
    let hash = blake3::keyed_hash(&unkeyed("counterpoint journal 2026 record"), line.as_bytes());
    let bytes = [header, format!("{line},\"hash\":\"{hash}\"}}\n").into_bytes()].concat();
    let Some(RestoreError::Unreadable { seq, reason }) = stream.read(&bytes, None).fault else { panic!("it is read") };
    assert!(seq == Seq::new(1) && reason.contains("sings"), "{reason}");
}

/// A length that is a lie reserves no memory, and one beyond the limit is refused by name.
#[test]
fn lengths_are_not_trusted() {
    let stream = Stream::new("orders");
    let (_, bytes) = short(&stream);
    let (mut lie, _) = pieces(&stream, &bytes);
    let claimed = u32::MAX - 8;
    lie.extend_from_slice(&claimed.to_le_bytes());
    lie.extend_from_slice(&(!claimed).to_le_bytes());
    assert_eq!(stream.read(&lie, None).fault, Some(RestoreError::Torn { after: Seq::ZERO }));
    let narrow = stream.with_limits(&Limits::default().with_record_bytes(100));
    let fault = narrow.read(&bytes, None).fault;
    let seq = Seq::new(1);
    assert!(matches!(fault, Some(RestoreError::RecordTooLarge { seq: at, limit: 100, .. }) if at == seq), "{fault:?}");
}

/// Segments go on from each other, and from nothing else.
#[test]
fn segments_are_a_chain() {
    for stream in streams() {
        let story = turned_back().entries;
        let (first, one) = sealed(&stream, &story[..6], 2);
        let (mut second, mut two) = stream.begin(first.head());
        second.seal(ONE, &story[6..9], &mut two).unwrap();
        assert_eq!(stream.read(&two, Some(first.head())).entries, story[6..9]);
        let gap = RestoreError::Gap { expected: Seq::new(1), found: Seq::new(7) };
        assert_eq!(stream.read(&two, Some(Head::START)).fault, Some(gap));
        // Another history that is as long.
        let mut other = story[..6].to_vec();
        other[5].at = Time::from_secs(1_000);
        let other = sealed(&stream, &other, 2).0.head();
        assert_eq!(stream.read(&two, Some(other)).fault, Some(RestoreError::Fork { seq: Seq::new(7) }));
        let elsewhere = stream.open(&one, None).unwrap().anchored(other).read();
        assert_eq!(elsewhere.fault, Some(RestoreError::Fork { seq: Seq::new(5) }));
        assert_eq!(stream.open(&one, None).unwrap().anchored(first.head()).read().fault, None);
    }
}
