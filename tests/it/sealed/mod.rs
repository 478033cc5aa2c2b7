//! Sealed journals: every bit is accounted for, and what is wrong is said exactly.

mod golden;
mod ledger;
mod tamper;

use crate::flow::draw::{Draws, Taste, definition, input};
use crate::flow::{RUN, World};
use crate::observe::script::turned_back;
use counterpoint::journal::Epoch;
use counterpoint::journal::sealed::{BLANK, Encoding, Head, Key, SealError, Sealer, Stream};
use counterpoint::message::{ControlEvent, TaskEvent};
use counterpoint::task::Scope;
use counterpoint::{
    AgentId, AgentSpec, Command, Config, Effect, Engine, Entry, Limits, Name, Outbox, Payload, RestoreError, RunSpec,
    Seq, TaskId, TaskSpec, Time,
};
use proptest::prelude::*;

const ONE: Epoch = Epoch::new(1);

fn key() -> Key {
    Key::new([42; 32])
}

/// Both forms, with and without a key.
fn streams() -> [Stream; 4] {
    let (open, keyed) = (Stream::new("orders"), Stream::new("orders").with_key(key()));
    [open.clone(), open.with_encoding(Encoding::Lines), keyed.clone(), keyed.with_encoding(Encoding::Lines)]
}

/// The entries of a story, in records of so many.
fn sealed(stream: &Stream, entries: &[Entry], at_once: usize) -> (Sealer, Vec<u8>) {
    let (mut sealer, mut bytes) = stream.begin(Head::START);
    for some in entries.chunks(at_once) {
        sealer.seal(ONE, some, &mut bytes).unwrap();
    }
    (sealer, bytes)
}

/// A story told again and again, with ascending numbers.
fn repeated(story: &[Entry], count: u64) -> Vec<Entry> {
    let numbered = |(entry, seq): (&Entry, u64)| Entry { seq: Seq::new(seq), ..entry.clone() };
    story.iter().cycle().zip(1..=count).map(numbered).collect()
}

/// Where each record begins; the end of the last is the last of them.
fn bounds(stream: &Stream, bytes: &[u8]) -> Vec<usize> {
    let mut unsealer = stream.open(bytes, None).unwrap();
    let mut bounds = vec![unsealer.sound()];
    while let Some(record) = unsealer.next() {
        record.unwrap();
        bounds.push(unsealer.sound());
    }
    bounds
}

/// A journal with workflows of all sorts in it.
fn drawn(shape: &[u16], schedule: &[u16], seed: u64) -> Vec<Entry> {
    let mut draws = Draws::new(shape);
    let input = input(&mut draws);
    let definition = definition(&mut draws, Taste { races: true, most: 8 });
    let mut world = World::new();
    world.say(Command::define(definition)).unwrap();
    world.say(Command::start(RunSpec::new(RUN, "flow").with_input(input))).unwrap();
    world.play(&mut Draws::new(schedule), seed, RUN, true);
    world.journal
}

proptest! {
    #![proptest_config(crate::property(40))]

    /// Whatever is written is read, in either form, by however many appends and in however many segments.
    #[test]
    fn what_is_sealed_is_read(
        shape in prop::collection::vec(any::<u16>(), 0..120),
        schedule in prop::collection::vec(any::<u16>(), 0..80),
        seed in 0_u64..1_000,
        cuts in prop::collection::vec(1_usize..20, 1..8),
        which in 0_usize..4,
    ) {
        let journal = drawn(&shape, &schedule, seed);
        let stream = &streams()[which];
        let (mut head, mut left, mut entries) = (Head::START, &journal[..], Vec::new());
        let mut cuts = cuts.iter().cycle();
        while !left.is_empty() {
            // A segment of a few appends.
            let (mut sealer, mut bytes) = stream.begin(head);
            for _ in 0..*cuts.next().unwrap() {
                let (some, rest) = left.split_at(left.len().min(*cuts.next().unwrap()));
                sealer.seal(ONE, some, &mut bytes).unwrap();
                left = rest;
            }
            let read = stream.read(&bytes, Some(head));
            prop_assert_eq!((read.head, read.bytes, &read.fault), (Some(sealer.head()), bytes.len(), &None));
            entries.extend(read.entries);
            head = sealer.head();
        }
        prop_assert_eq!(&entries, &journal);
        let live = Engine::restore(Config::default(), None, &journal).unwrap().snapshot();
        prop_assert_eq!(Engine::restore(Config::default(), None, &entries).unwrap().snapshot(), live);
    }

    /// Bytes that nobody wrote: an error and no panic, whatever they begin with.
    #[test]
    fn arbitrary_bytes_are_no_journal(noise in prop::collection::vec(any::<u8>(), 0..600), which in 0_usize..4, keep in 0_usize..400) {
        let stream = &streams()[which];
        let (_, mut bytes) = sealed(stream, &turned_back().entries[..3], 1);
        bytes.truncate(keep);
        bytes.extend_from_slice(&noise);
        let read = stream.read(&bytes, None);
        prop_assert!(read.entries.len() <= 3);
        let _ = stream.open_snapshot(&bytes);
    }
}

/// The life of a task without payload, in appends of eight events, takes less than 40 bytes an event.
#[test]
fn the_compact_form_is_small() {
    let mut engine = Engine::new(Config::default());
    let mut out = Outbox::default();
    let mut now = Time::from_secs(1_700_000_000);
    let mut say = |command: Command, out: &mut Outbox| {
        now = now + std::time::Duration::from_micros(3);
        engine.handle(now, command, out).unwrap();
    };
    say(Command::register(AgentSpec::new(AgentId::new(1)).with_skill("work", 1)), &mut out);
    for number in 0..300 {
        let id = TaskId::from_key(&format!("order-{number}"));
        say(Command::submit(TaskSpec::new(id, "work")), &mut out);
        let [.., Effect::Dispatch { attempt, to, .. }] = out.effects() else { panic!("{:?}", out.effects()) };
        let done = Command::complete(*to, *attempt, Payload::NULL);
        say(done, &mut out);
    }
    let journal = out.entries();
    assert_eq!(journal.len(), 901);
    let [compact, lines, ..] = streams();
    let (compact, lines) = (sealed(&compact, journal, 8).1.len(), sealed(&lines, journal, 8).1.len());
    assert!(compact < 40 * journal.len() && compact * 3 < lines, "{compact} of {lines}");
}

/// Names that repeat and names that do not, more than a dictionary takes: records that begin anew are read as any others.
#[test]
fn more_names_than_a_dictionary_takes_are_read() {
    let named = |number: u64| {
        let reason = Name::from(format!("reason {}", number / 2));
        let event = ControlEvent::Paused { scope: Scope::Kind(Name::from(format!("kind {}", number % 7))), reason };
        Entry { seq: Seq::new(number), at: Time::from_nanos(number ^ 5), event: event.into() }
    };
    let journal: Vec<Entry> = (1..=10_000).map(named).collect();
    let stream = Stream::new("orders");
    let bytes = sealed(&stream, &journal, 50).1;
    let read = stream.read(&bytes, None);
    assert_eq!(read.fault, None);
    assert!(read.entries == journal && sealed(&stream, &read.entries, 50).1 == bytes);
}

#[test]
fn entries_beyond_a_record_become_several_records() {
    let story = repeated(&turned_back().entries, 300);
    for stream in streams() {
        let small = stream.clone().with_limits(&Limits::default().with_record_bytes(2_500));
        let (_, bytes) = sealed(&small, &story, story.len());
        let bounds = bounds(&small, &bytes);
        assert!(bounds.len() > 3 && bounds.windows(2).all(|pair| pair[1] - pair[0] <= 2_508), "{bounds:?}");
        assert_eq!(small.read(&bytes, None).entries, story);
    }
}

#[test]
fn a_too_large_entry_is_rejected_and_nothing_is_written() {
    let mut story = turned_back().entries[..3].to_vec();
    let TaskEvent::Submitted { spec, replays, expected } = turned_back().entries.iter().find_map(submitted).unwrap()
    else {
        unreachable!()
    };
    let spec = (*spec).clone().with_payload(Payload::of(&"x".repeat(5_000)).unwrap());
    let id = spec.id;
    story[2].event = TaskEvent::Submitted { spec: spec.into(), replays, expected }.of(id);
    for stream in streams() {
        let stream = stream.with_limits(&Limits::default().with_record_bytes(2_000));
        let (mut sealer, mut bytes) = stream.begin(Head::START);
        let (before, header) = (sealer.head(), bytes.clone());
        let refused = sealer.seal(ONE, &story, &mut bytes);
        assert!(matches!(refused, Err(SealError::TooLarge { seq, .. }) if seq == Seq::new(3)), "{refused:?}");
        assert_eq!((sealer.head(), bytes), (before, header));
    }
}

fn submitted(entry: &Entry) -> Option<TaskEvent> {
    match &entry.event {
        counterpoint::Event::Task { event: event @ TaskEvent::Submitted { .. }, .. } => Some(event.clone()),
        _ => None,
    }
}

#[test]
fn a_sealer_rejects_gaps_and_stale_epochs() {
    let story = turned_back().entries;
    let (mut sealer, mut bytes) = Stream::new("orders").begin(Head::START);
    let two = Epoch::new(2);
    sealer.seal(two, &story[..2], &mut bytes).unwrap();
    let (expected, found) = (Seq::new(3), Seq::new(4));
    assert_eq!(sealer.seal(two, &story[3..], &mut bytes), Err(SealError::NotNext { expected, found }));
    assert_eq!(sealer.seal(ONE, &story[2..], &mut bytes), Err(SealError::Stale { now: two, brought: ONE }));
    let found = Seq::new(6);
    let jumps = [story[2].clone(), story[5].clone()];
    let expected = Seq::new(4);
    assert_eq!(sealer.seal(two, &jumps, &mut bytes), Err(SealError::NotNext { expected, found }));
    sealer.seal(two, &story[2..], &mut bytes).unwrap();
    assert_eq!(Stream::new("orders").read(&bytes, None).entries, story);
}

/// Reserved space that was not used is no fault; other bytes are.
#[test]
fn blank_space_after_the_last_record_is_its_end() {
    let story = turned_back().entries;
    for stream in streams() {
        let (sealer, mut bytes) = sealed(&stream, &story, 3);
        let written = bytes.len();
        bytes.resize(written + 4_096, BLANK);
        let read = stream.read(&bytes, None);
        assert_eq!((read.head, read.bytes, read.fault), (Some(sealer.head()), written, None));
        assert_eq!(stream.open(&bytes, None).unwrap().reserved().read().fault, None);
        bytes[written..].fill(0);
        let seq = sealer.head().seq.next();
        assert_eq!(stream.read(&bytes, None).fault, Some(RestoreError::Damaged { seq }));
    }
}

/// A writer goes on where a reader has found the sound end.
#[test]
fn a_torn_tail_is_cut_and_overwritten() {
    let story = turned_back().entries;
    for stream in streams() {
        let (_, mut bytes) = sealed(&stream, &story, 4);
        bytes.truncate(bytes.len() - 5);
        let read = stream.read(&bytes, None);
        assert!(read.fault.as_ref().is_some_and(RestoreError::is_torn), "{:?}", read.fault);
        bytes.truncate(read.bytes);
        let kept = read.entries.len();
        assert!(kept < story.len());
        stream.continuing(read.head.unwrap()).seal(Epoch::new(2), &story[kept..], &mut bytes).unwrap();
        assert_eq!(stream.read(&bytes, None).entries, story);
    }
}

#[test]
fn snapshots_are_sealed_too() {
    let state = br#"{"tasks":[]}"#;
    let [open, _, keyed, _] = streams();
    let head = sealed(&open, &turned_back().entries, 5).0.head();
    for stream in [&open, &keyed] {
        let bytes = stream.seal_snapshot(head, state);
        assert_eq!(stream.open_snapshot(&bytes), Ok((head, &state[..])));
        for bit in 0..bytes.len() * 8 {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(stream.open_snapshot(&other).is_err(), "bit {bit}");
        }
        for cut in 0..bytes.len() {
            assert!(stream.open_snapshot(&bytes[..cut]).is_err(), "cut to {cut}");
        }
    }
    let (with, without) = (keyed.seal_snapshot(head, state), open.seal_snapshot(head, state));
    assert_eq!(open.open_snapshot(&with), Err(RestoreError::KeyNeeded));
    assert_eq!(keyed.open_snapshot(&without), Err(RestoreError::NotKeyed));
    let other = Stream::new("orders").with_key(Key::new([1; 32]));
    assert_eq!(other.open_snapshot(&with), Err(RestoreError::WrongKey));
    let found = "orders".to_owned();
    assert_eq!(Stream::new("returns").open_snapshot(&without), Err(RestoreError::WrongStream { found }));
}
