//! The compact encoding: binary frames.
//!
//! ```text
//! header   magic 8 | length 4 | its complement 4 | version 1 | keyed 1 | after 8 | epoch 8 | previous hash 32
//!          | length of the name 2 | name | padding | seal 32, if keyed | sum 32
//! record   length 4 | its complement 4 | version 1 | flags 1 | previous hash 32 | first entry, epoch, number of entries
//!          | definitions | the entries, one after the other | padding | hash 32 | end 1
//! entry    time | event
//! ```
//!
//! Numbers of a stated size are little-endian; others, and definitions and events, are [packed](crate::base::packed). A time is
//! the difference to that of the entry before, as a number that is even for later times (twice the difference) and odd for
//! earlier ones. The flags are the size of the padding and whether the record begins anew.
//!
//! A record refers to definitions of the records before it in the same bytes, and its first time to the last time before it. A
//! record that *begins anew* does neither, nor does any after it refer to what is before it. The first record after a header
//! begins anew, and the first of each writer, and one when there are many definitions.
//!
//! A length counts the bytes after its complement. Padding consists of zeros and makes each size a multiple of eight, so the
//! length and its complement are always in one sector. The end is a line feed, so the last byte of a record that was written
//! completely is not blank.

use super::head::{Hash, Head};
use super::{ALIGN, HASH, Stream, padding};
use crate::base::error::RestoreError;
use crate::base::id::Seq;
use crate::base::packed::{Bytes, Dictionary, Packer, Reader, Words, put_number};
use crate::base::time::Time;
use crate::journal::Epoch;
use crate::message::event::{Entry, Event};
use serde::{Deserialize, Serialize};

/// The version of this encoding. Version 1 consisted of MessagePack.
pub(super) const VERSION: u8 = 2;

pub(super) const MAGIC: &[u8; 8] = b"CPointJ\n";
/// The size of the length and its complement.
pub(super) const PREFIX: usize = 8;
/// The last byte of a record.
const END: u8 = b'\n';
/// The size of what follows the padding of a record.
const TAIL: usize = HASH + 1;
/// The least size of what precedes the entries of a record.
const FIXED: usize = 1 + 1 + HASH + 3 + 1;
/// The offset of the flags in a record.
const FLAGS_AT: usize = 1;
/// The flags: the size of the padding, and this if the record begins anew.
const ANEW: u8 = 8;
/// The most bytes of the numbers before the definitions of a record.
const FRONT: usize = 9 + 9 + 5;

pub(super) fn write_header(stream: &Stream, after: Head, out: &mut Vec<u8>) {
    out.extend_from_slice(MAGIC);
    let begin = open_frame(out);
    out.extend_from_slice(&[VERSION, u8::from(stream.keyed)]);
    out.extend_from_slice(&after.seq.get().to_le_bytes());
    out.extend_from_slice(&after.epoch.get().to_le_bytes());
    out.extend_from_slice(after.hash.as_bytes());
    // Names are bounded by the limits of the core; a longer one is cut at 64 KiB, here and in comparisons.
    let name = short(&stream.name);
    out.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(name);
    let padding = padding(out.len());
    out.extend_from_slice(padding);
    let seals = if stream.keyed { 2 } else { 1 };
    close_length(out, begin, seals * HASH);
    if stream.keyed {
        let seal = stream.seals.header(out);
        out.extend_from_slice(seal.as_bytes());
    }
    let sum = sum(out);
    out.extend_from_slice(sum.as_bytes());
}

fn short(name: &str) -> &[u8] {
    name.as_bytes().get(..name.len().min(usize::from(u16::MAX))).unwrap_or_default()
}

/// The checksum of a header, with or without a key, so that a wrong key is distinguished from damage.
fn sum(bytes: &[u8]) -> Hash {
    Hash::new(*blake3::hash(bytes).as_bytes())
}

fn open_frame(out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[0; PREFIX]);
    out.len()
}

/// Writes the length of a frame that is complete except for `more` bytes.
fn close_length(out: &mut [u8], begin: usize, more: usize) {
    let length = u32::try_from(out.len().saturating_sub(begin).saturating_add(more)).unwrap_or(u32::MAX);
    let prefix = out.get_mut(begin.saturating_sub(PREFIX)..begin);
    if let Some((low, high)) = prefix.and_then(|prefix| prefix.split_at_mut_checked(PREFIX / 2)) {
        low.copy_from_slice(&length.to_le_bytes());
        high.copy_from_slice(&(!length).to_le_bytes());
    }
}

/// What a writer has written since a record began anew.
#[derive(Debug, Clone, Default)]
pub(super) struct Context {
    dictionary: Dictionary,
    at: Time,
    /// Whether a record has begun anew.
    begun: bool,
}

impl Context {
    /// Lets the next record begin anew.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// A record being written.
pub(super) struct Record {
    begin: usize,
    /// Where the entries begin, and before them what is known at the end.
    entries: usize,
    first: Seq,
    epoch: Epoch,
    count: u32,
    flags: u8,
}

pub(super) fn open_record(head: &Head, epoch: Epoch, context: &mut Context, out: &mut Vec<u8>) -> Record {
    if context.dictionary.is_full() {
        context.clear();
    }
    let flags = if context.begun { 0 } else { ANEW };
    let begin = open_frame(out);
    let first = head.seq.next();
    out.extend_from_slice(&[VERSION, 0]);
    out.extend_from_slice(head.hash.as_bytes());
    Record { begin, entries: out.len(), first, epoch, count: 0, flags }
}

impl Record {
    /// Writes an entry, unless the record would exceed `limit` bytes; then returns the size that it would have.
    pub(super) fn put(
        &mut self,
        entry: &Entry,
        limit: usize,
        context: &mut Context,
        out: &mut Vec<u8>,
    ) -> Result<Option<usize>, String> {
        let (length, mark) = (out.len(), context.dictionary.mark());
        let change = entry.at.as_nanos().wrapping_sub(context.at.as_nanos()).cast_signed();
        put_number(out, ((change << 1) ^ (change >> 63)).cast_unsigned());
        let written = entry.event.serialize(&mut Packer::new(out, &mut context.dictionary));
        let size = self.size(&context.dictionary, out);
        if written.is_err() || size > limit {
            out.truncate(length);
            context.dictionary.undo(mark);
            return written.map(|()| Some(size)).map_err(|error| error.to_string());
        }
        context.at = entry.at;
        self.count = self.count.saturating_add(1);
        Ok(None)
    }

    pub(super) fn close(self, stream: &Stream, context: &mut Context, out: &mut Vec<u8>) -> (Seq, Hash) {
        context.begun = true;
        context.dictionary.put_definitions(out, self.entries);
        let mut front = Vec::with_capacity(FRONT);
        put_number(&mut front, self.first.get());
        put_number(&mut front, self.epoch.get());
        put_number(&mut front, self.count.into());
        out.splice(self.entries..self.entries, front);
        let padding = padding(out.len().saturating_sub(self.begin).saturating_add(TAIL));
        out.extend_from_slice(padding);
        if let Some(place) = out.get_mut(self.begin + FLAGS_AT) {
            *place = self.flags | u8::try_from(padding.len()).unwrap_or_default();
        }
        close_length(out, self.begin, TAIL);
        let hash = stream.seals.record(out.get(self.begin - PREFIX..).unwrap_or_default());
        out.extend_from_slice(hash.as_bytes());
        out.push(END);
        (Seq::new(self.first.get().saturating_add(u64::from(self.count)).saturating_sub(1)), hash)
    }

    /// The most bytes that the record would have if it ended now.
    fn size(&self, dictionary: &Dictionary, out: &[u8]) -> usize {
        let used = out.len().saturating_sub(self.begin).saturating_add(TAIL + FRONT).saturating_add(dictionary.size());
        used.saturating_add(padding(used).len())
    }
}

/// The length in a prefix; `None` if the length and its complement do not match.
fn frame_length(prefix: &[u8]) -> Option<usize> {
    let mut prefix = Bytes(prefix);
    let (length, complement) = (u32::from_le_bytes(array(&mut prefix)?), u32::from_le_bytes(array(&mut prefix)?));
    (length == !complement).then_some(usize::try_from(length).ok()?)
}

fn array<const N: usize>(bytes: &mut Bytes<'_>) -> Option<[u8; N]> {
    bytes.take(N)?.try_into().ok()
}

/// Reads a header; returns the head that it continues from, and its size.
pub(super) fn read_header(stream: &Stream, bytes: &[u8]) -> Result<(Head, usize), RestoreError> {
    const CUT: RestoreError = RestoreError::NoJournal { reason: "its header is cut short or damaged" };
    let frame = bytes.get(MAGIC.len()..).and_then(|rest| frame_length(rest.get(..PREFIX)?)).ok_or(CUT)?;
    let end = MAGIC.len() + PREFIX + frame;
    let (body, sum_there) = bytes.get(..end).and_then(|all| all.split_last_chunk::<HASH>()).ok_or(CUT)?;
    if !same_sum(body, sum_there) {
        return Err(CUT);
    }
    let mut cursor = Bytes(body.get(MAGIC.len() + PREFIX..).unwrap_or_default());
    let version = cursor.byte().ok_or(CUT)?;
    if version != VERSION {
        return Err(RestoreError::UnknownVersion { seq: Seq::new(1), version: version.into() });
    }
    let keyed = cursor.byte().ok_or(CUT)? != 0;
    let after = Seq::new(array(&mut cursor).map(u64::from_le_bytes).ok_or(CUT)?);
    let epoch = Epoch::new(array(&mut cursor).map(u64::from_le_bytes).ok_or(CUT)?);
    let hash = Hash::new(array(&mut cursor).ok_or(CUT)?);
    let name = array(&mut cursor).map(u16::from_le_bytes).ok_or(CUT)?;
    let name = cursor.take(name.into()).ok_or(CUT)?;
    if name != short(&stream.name) {
        return Err(RestoreError::WrongStream { found: String::from_utf8_lossy(name).into_owned() });
    }
    cursor.take(padding(end.saturating_sub(cursor.0.len())).len()).ok_or(CUT)?;
    let seal = if keyed { Some(Hash::new(array(&mut cursor).ok_or(CUT)?)) } else { None };
    let sealed = body.get(..body.len().saturating_sub(if keyed { HASH } else { 0 })).unwrap_or_default();
    stream.check_seal(sealed, seal)?;
    Ok((Head::new(after, epoch, hash), end))
}

fn same_sum(body: &[u8], there: &[u8; HASH]) -> bool {
    super::head::same(sum(body), Hash::new(*there))
}

/// The frame of a record with a correct hash, not yet parsed.
pub(super) struct Frame<'a> {
    pub(super) body: &'a [u8],
    pub(super) hash: Hash,
    /// The size of the whole frame.
    pub(super) size: usize,
}

/// The result of reading a frame.
pub(super) enum Front<'a> {
    /// A complete frame with a correct hash.
    Sound(Frame<'a>),
    /// No frame, or one with a wrong hash; with its size if the length is consistent.
    Bad(Option<usize>),
}

pub(super) fn front<'a>(stream: &Stream, bytes: &'a [u8]) -> Front<'a> {
    let Some(length) = bytes.get(..PREFIX).and_then(frame_length) else { return Front::Bad(None) };
    let size = PREFIX.saturating_add(length);
    let frame = bytes.get(..size).and_then(|frame| frame.strip_suffix(&[END]));
    let Some((sealed, hash)) = frame.and_then(|frame| frame.split_last_chunk::<HASH>()) else {
        return Front::Bad(Some(size));
    };
    let hash = Hash::new(*hash);
    match sealed.get(PREFIX..) {
        Some(body) if super::head::same(stream.seals.record(sealed), hash) => Front::Sound(Frame { body, hash, size }),
        Some(_) | None => Front::Bad(Some(size)),
    }
}

/// The fields of a record whose definitions and entries are not yet parsed.
pub(super) struct RecordFields<'a> {
    pub(super) version: u8,
    pub(super) first: Seq,
    pub(super) epoch: Epoch,
    pub(super) prev: Hash,
    count: u64,
    anew: bool,
    content: Bytes<'a>,
}

impl<'a> Frame<'a> {
    pub(super) fn fields(&self) -> Option<RecordFields<'a>> {
        let mut bytes = Bytes(self.body);
        let version = bytes.byte()?;
        if version != VERSION {
            let (first, epoch, prev) = (Seq::ZERO, Epoch::default(), Hash::default());
            return Some(RecordFields { version, first, epoch, prev, count: 0, anew: false, content: Bytes(&[]) });
        }
        let flags = bytes.byte()?;
        let padding = usize::from(flags & !ANEW);
        let prev = Hash::new(array(&mut bytes)?);
        let (first, epoch, count) = (Seq::new(bytes.number()?), Epoch::new(bytes.number()?), bytes.number()?);
        let content = Bytes(bytes.0.get(..bytes.0.len().checked_sub(padding)?)?);
        Some(RecordFields { version, first, epoch, prev, count, anew: flags & ANEW != 0, content })
    }
}

/// What a reader has read since a record began anew.
#[derive(Debug, Clone, Default)]
pub(super) struct Known<'a> {
    words: Words<'a>,
    at: Time,
}

impl<'a> Known<'a> {
    pub(super) fn entries(&mut self, fields: &RecordFields<'a>) -> Result<Vec<Entry>, String> {
        if fields.anew {
            self.words.clear();
            self.at = Time::ZERO;
        }
        let mut content = fields.content;
        self.words.define(&mut content).map_err(|error| error.to_string())?;
        // An entry has some bytes, so a wrong number does not cause a large allocation.
        let most = content.0.len() / 4;
        let mut entries = Vec::with_capacity(usize::try_from(fields.count).unwrap_or(most).min(most));
        let mut reader = Reader::new(content, &self.words);
        let mut seq = fields.first;
        for _ in 0..fields.count {
            let change = reader.rest().number().ok_or("an entry is cut short")?;
            let change = (change >> 1) ^ (change & 1).wrapping_neg();
            self.at = Time::from_nanos(self.at.as_nanos().wrapping_add(change));
            let event = Event::deserialize(&mut reader).map_err(|error| error.to_string())?;
            entries.push(Entry { seq, at: self.at, event });
            seq = seq.next();
        }
        if reader.rest().0.is_empty() { Ok(entries) } else { Err("bytes remain after the entries".to_owned()) }
    }
}

/// Whether a valid frame begins at any offset that a frame can have. Hashes a bounded number of bytes; if that does not suffice, returns true, which is the
/// safe answer.
pub(super) fn any_sound(stream: &Stream, bytes: &[u8]) -> bool {
    let mut budget = bytes.len().saturating_mul(4).saturating_add(1 << 20);
    for at in (0..bytes.len().saturating_sub(PREFIX + FIXED)).step_by(ALIGN) {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(length) = rest.get(..PREFIX).and_then(frame_length) else { continue };
        if length < FIXED + TAIL || length > rest.len() - PREFIX {
            continue;
        }
        if length > budget {
            return true;
        }
        budget -= length;
        if matches!(front(stream, rest), Front::Sound(_)) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::{AgentId, Incarnation, TaskId};
    use crate::message::event::AgentEvent;
    use crate::task::{Needs, TaskSpec};

    /// What a later version may write: events with fields that this one does not know.
    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Later {
        Agent { weather: (i8, Vec<f64>), agent: Incarnation, event: LaterAgent, cause: LaterAgent },
        Task { task: TaskId, event: LaterTask },
    }

    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    enum LaterAgent {
        Lost,
        Sings { song: &'static str },
    }

    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    enum LaterTask {
        Submitted { spec: LaterSpec },
    }

    #[derive(Serialize)]
    struct LaterSpec {
        colour: Option<&'static str>,
        id: TaskId,
        kind: &'static str,
        needs: Needs,
        likes: std::collections::BTreeMap<u8, &'static str>,
    }

    fn record(stream: &Stream, events: &[Later]) -> Vec<u8> {
        let (_, mut out) = stream.begin(Head::START);
        let mut context = Context::default();
        let mut record = open_record(&Head::START, Epoch::new(1), &mut context, &mut out);
        for event in events {
            put_number(&mut out, 2);
            event.serialize(&mut Packer::new(&mut out, &mut context.dictionary)).unwrap();
            record.count += 1;
        }
        record.close(stream, &mut context, &mut out);
        out
    }

    fn singer(event: LaterAgent) -> Later {
        let cause = LaterAgent::Sings { song: "a song" };
        Later::Agent { weather: (-3, vec![0.5]), agent: Incarnation::new(AgentId::new(7), 1), event, cause }
    }

    #[test]
    fn unknown_fields_of_events_are_skipped() {
        let stream = Stream::new("orders");
        let spec =
            |colour, likes| LaterSpec { colour, id: TaskId::new(9), kind: "work", needs: Needs::skill("work"), likes };
        let (one, two) = (spec(Some("red"), [(3, "tea")].into()), spec(None, [].into()));
        let submitted = |spec| Later::Task { task: TaskId::new(9), event: LaterTask::Submitted { spec } };
        let bytes = record(&stream, &[singer(LaterAgent::Lost), submitted(one), submitted(two)]);
        let read = stream.read(&bytes, None);
        assert_eq!(read.fault, None);
        let known = TaskSpec::new(TaskId::new(9), "work");
        let submitted = |event: &Event| {
            let Event::Task { event: crate::message::TaskEvent::Submitted { spec, .. }, .. } = event else {
                return false;
            };
            **spec == known
        };
        let [lost, first, second] = &read.entries[..] else { panic!("{} entries", read.entries.len()) };
        assert_eq!(lost.event, AgentEvent::Lost.of(Incarnation::new(AgentId::new(7), 1)));
        assert!(submitted(&first.event) && submitted(&second.event));
        assert_eq!((second.seq, second.at), (Seq::new(3), Time::from_nanos(3)));
    }

    #[test]
    fn an_unknown_event_is_unreadable() {
        let stream = Stream::new("orders");
        let bytes = record(&stream, &[singer(LaterAgent::Sings { song: "another" })]);
        let fault = stream.read(&bytes, None).fault;
        let Some(RestoreError::Unreadable { seq, reason }) = fault else { panic!("{fault:?}") };
        assert!(seq == Seq::new(1) && reason.contains("sings"), "{reason}");
    }
}
