//! The compact encoding: binary frames.
//!
//! ```text
//! header   magic 8 | length 4 | its complement 4 | version 1 | keyed 1 | after 8 | epoch 8 | previous hash 32
//!          | length of the name 2 | name | padding | seal 32, if keyed | sum 32
//! record   length 4 | its complement 4 | version 1 | size of the padding 1 | first entry 8 | epoch 8 | entries 4
//!          | previous hash 32 | the entries, as MessagePack, one after the other | padding | hash 32 | end 1
//! ```
//!
//! Numbers are little-endian. A length counts the bytes after its complement. Padding consists of zeros and makes each size a
//! multiple of eight, so the length and its complement are always in one sector. The end is a line feed, so the last byte of a
//! record that was written completely is not blank.

use super::head::{Hash, Head};
use super::{ALIGN, HASH, Stream, VERSION, padding};
use crate::base::error::RestoreError;
use crate::base::id::Seq;
use crate::journal::Epoch;
use crate::message::event::Entry;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

pub(super) const MAGIC: &[u8; 8] = b"CPointJ\n";
/// The size of the length and its complement.
pub(super) const PREFIX: usize = 8;
/// The last byte of a record.
const END: u8 = b'\n';
/// The size of what follows the padding of a record.
const TAIL: usize = HASH + 1;
/// The size of a record's fields before its entries.
const FIXED: usize = 1 + 1 + 8 + 8 + 4 + HASH;
/// The offset of the size of the padding in a record, and of the number of entries.
const PADDING_AT: usize = 1;
const COUNT_AT: usize = 1 + 1 + 8 + 8;
/// The limit on the nesting of an entry, the same as for JSON.
const DEPTH: usize = 128;

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

/// A record being written.
pub(super) struct Record {
    begin: usize,
    first: Seq,
    count: u32,
}

pub(super) fn open_record(head: &Head, epoch: Epoch, out: &mut Vec<u8>) -> Record {
    let begin = open_frame(out);
    let first = head.seq.next();
    out.extend_from_slice(&[VERSION, 0]);
    out.extend_from_slice(&first.get().to_le_bytes());
    out.extend_from_slice(&epoch.get().to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(head.hash.as_bytes());
    Record { begin, first, count: 0 }
}

pub(super) fn put(entry: &Entry, out: &mut Vec<u8>) -> Result<(), String> {
    entry.serialize(&mut rmp_serde::Serializer::new(out).with_struct_map()).map_err(|error| error.to_string())
}

impl Record {
    pub(super) const fn noted(&mut self) {
        self.count = self.count.saturating_add(1);
    }

    pub(super) fn close(self, stream: &Stream, out: &mut Vec<u8>) -> (Seq, Hash) {
        let padding = padding(out.len().saturating_sub(self.begin).saturating_add(TAIL));
        out.extend_from_slice(padding);
        if let Some(place) = out.get_mut(self.begin + PADDING_AT) {
            *place = u8::try_from(padding.len()).unwrap_or_default();
        }
        if let Some(place) = out.get_mut(self.begin + COUNT_AT..self.begin + COUNT_AT + 4) {
            place.copy_from_slice(&self.count.to_le_bytes());
        }
        close_length(out, self.begin, TAIL);
        let hash = stream.seals.record(out.get(self.begin - PREFIX..).unwrap_or_default());
        out.extend_from_slice(hash.as_bytes());
        out.push(END);
        (Seq::new(self.first.get().saturating_add(u64::from(self.count)).saturating_sub(1)), hash)
    }

    /// The size of the record if it ended now.
    pub(super) fn size(&self, out: &[u8]) -> usize {
        let used = out.len().saturating_sub(self.begin).saturating_add(TAIL);
        used.saturating_add(padding(used).len())
    }
}

/// Reads numbers from the front of bytes.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }
}

/// The length in a prefix; `None` if the length and its complement do not match.
fn frame_length(prefix: &[u8]) -> Option<usize> {
    let mut cursor = Cursor(prefix);
    let (length, complement) = (cursor.u32()?, cursor.u32()?);
    (length == !complement).then_some(usize::try_from(length).ok()?)
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
    let mut cursor = Cursor(body.get(MAGIC.len() + PREFIX..).unwrap_or_default());
    let version = cursor.byte().ok_or(CUT)?;
    if version != VERSION {
        return Err(RestoreError::UnknownVersion { seq: Seq::new(1), version: version.into() });
    }
    let keyed = cursor.byte().ok_or(CUT)? != 0;
    let after = Seq::new(cursor.u64().ok_or(CUT)?);
    let epoch = Epoch::new(cursor.u64().ok_or(CUT)?);
    let hash = Hash::new(cursor.array().ok_or(CUT)?);
    let name = cursor.array().map(u16::from_le_bytes).ok_or(CUT)?;
    let name = cursor.take(name.into()).ok_or(CUT)?;
    if name != short(&stream.name) {
        return Err(RestoreError::WrongStream { found: String::from_utf8_lossy(name).into_owned() });
    }
    cursor.take(padding(end.saturating_sub(cursor.0.len())).len()).ok_or(CUT)?;
    let seal = if keyed { Some(Hash::new(cursor.array().ok_or(CUT)?)) } else { None };
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

/// The fields of a record; `entries` is not yet parsed.
pub(super) struct RecordFields<'a> {
    pub(super) version: u8,
    pub(super) first: Seq,
    pub(super) epoch: Epoch,
    pub(super) count: u32,
    pub(super) prev: Hash,
    pub(super) entries: &'a [u8],
}

impl<'a> Frame<'a> {
    pub(super) fn fields(&self) -> Option<RecordFields<'a>> {
        let mut cursor = Cursor(self.body);
        let version = cursor.byte()?;
        if version != VERSION {
            let (first, epoch, prev) = (Seq::ZERO, Epoch::default(), Hash::default());
            return Some(RecordFields { version, first, epoch, count: 0, prev, entries: &[] });
        }
        let padding = usize::from(cursor.byte()?);
        Some(RecordFields {
            version,
            first: Seq::new(cursor.u64()?),
            epoch: Epoch::new(cursor.u64()?),
            count: cursor.u32()?,
            prev: Hash::new(cursor.array()?),
            entries: cursor.0.get(..cursor.0.len().checked_sub(padding)?)?,
        })
    }
}

pub(super) fn entries(fields: &RecordFields<'_>) -> Result<Vec<Entry>, String> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(fields.entries);
    reader.set_max_depth(DEPTH);
    // An entry has at least 16 bytes, so a wrong count cannot cause a large allocation.
    let most = fields.entries.len() / 16;
    let mut entries = Vec::with_capacity(usize::try_from(fields.count).unwrap_or(most).min(most));
    for _ in 0..fields.count {
        entries.push(Entry::deserialize(&mut reader).map_err(|error| error.to_string())?);
    }
    // Exactly the end of the input, not even the first byte of another value.
    match IgnoredAny::deserialize(&mut reader) {
        Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => Ok(entries),
        Ok(_) | Err(_) => Err("bytes remain after the entries".to_owned()),
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
