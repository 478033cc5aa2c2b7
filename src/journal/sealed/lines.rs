//! The readable encoding: one line of JSON for each record.
//!
//! ```text
//! {"counterpoint":"journal","v":1,"stream":"orders","after":0,"epoch":0,"prev":"00..","keyed":true,"seal":"..","sum":".."}
//! {"v":1,"size":"000000c8ffffff37","seq":1,"epoch":1,"prev":"00..","entries":[{"seq":1,"at":5,"event":{..}}],"hash":".."}
//! ```
//!
//! A hash covers the bytes of its line up to the comma before the hash, so each line has exactly one valid form. The size of a
//! record is followed by its complement. Spaces make the size of each line a multiple of eight.

use super::head::{Hash, Head, same};
use super::{HASH, Stream, VERSION, padding};
use crate::base::error::RestoreError;
use crate::base::id::Seq;
use crate::journal::Epoch;
use crate::message::event::Entry;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::io::Write as _;

/// The length of `,"hash":"..."}` and the end of the line.
const TAIL: usize = r#","hash":""}"#.len() + 2 * HASH + 1;
/// The length of `,"seal":"..."`.
const SEAL: usize = r#","seal":"""#.len() + 2 * HASH;
/// The length of `,"sum":"..."}` and the end of the line.
const SUM: usize = r#","sum":""}"#.len() + 2 * HASH + 1;

/// The beginning of a record of this version, up to the digits of its size.
const FRONT: &[u8] = br#"{"v":1,"size":""#;
/// The number of digits of a size and its complement.
const DIGITS: usize = 16;
/// The number of bytes that have to be there before the size of a record is known.
pub(super) const PREFIX: usize = FRONT.len() + DIGITS + 1;

pub(super) fn write_header(stream: &Stream, after: Head, out: &mut Vec<u8>) {
    let name = serde_json::Value::from(&*stream.name);
    let Head { seq, epoch, hash } = after;
    // Writing to memory does not fail.
    let _ = write!(
        out,
        r#"{{"counterpoint":"journal","v":{VERSION},"stream":{name},"after":{},"epoch":{},"prev":"{hash}","keyed":{}"#,
        seq.get(),
        epoch.get(),
        stream.keyed
    );
    pad(out, 0, if stream.keyed { SEAL + SUM } else { SUM });
    if stream.keyed {
        let seal = stream.seals.header(out);
        let _ = write!(out, r#","seal":"{seal}""#);
    }
    let sum = Hash::new(*blake3::hash(out).as_bytes());
    let _ = writeln!(out, r#","sum":"{sum}"}}"#);
}

/// Adds spaces, so that the line has a multiple of eight bytes once `more` follow.
fn pad(out: &mut Vec<u8>, begin: usize, more: usize) {
    let spaces = padding(out.len().saturating_sub(begin).saturating_add(more)).len();
    out.resize(out.len().saturating_add(spaces), b' ');
}

pub(super) struct Record {
    begin: usize,
    last: Seq,
}

pub(super) fn open_record(head: &Head, epoch: Epoch, out: &mut Vec<u8>) -> Record {
    let begin = out.len();
    let (seq, epoch, prev) = (head.seq.next().get(), epoch.get(), head.hash);
    out.extend_from_slice(FRONT);
    let _ = write!(out, r#"{:016}","seq":{seq},"epoch":{epoch},"prev":"{prev}","entries":["#, 0);
    Record { begin, last: head.seq }
}

impl Record {
    /// Writes an entry, unless the record would exceed `limit` bytes; then returns the size that it would have.
    pub(super) fn put(&mut self, entry: &Entry, limit: usize, out: &mut Vec<u8>) -> Result<Option<usize>, String> {
        let length = out.len();
        if out.last() != Some(&b'[') {
            out.push(b',');
        }
        serde_json::to_writer(&mut *out, entry).map_err(|error| error.to_string())?;
        let size = self.size(out);
        if size > limit {
            out.truncate(length);
            return Ok(Some(size));
        }
        self.last = self.last.next();
        Ok(None)
    }

    pub(super) fn close(self, stream: &Stream, out: &mut Vec<u8>) -> (Seq, Hash) {
        out.push(b']');
        pad(out, self.begin, TAIL);
        let size = out.len().saturating_sub(self.begin).saturating_add(TAIL);
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        let digits = self.begin.saturating_add(FRONT.len());
        if let Some(place) = out.get_mut(digits..digits.saturating_add(DIGITS)) {
            place.copy_from_slice(format!("{size:08x}{:08x}", !size).as_bytes());
        }
        let hash = stream.seals.record(out.get(self.begin..).unwrap_or_default());
        let _ = writeln!(out, r#","hash":"{hash}"}}"#);
        (self.last, hash)
    }

    fn size(&self, out: &[u8]) -> usize {
        let used = out.len().saturating_sub(self.begin).saturating_add(1 + TAIL);
        used.saturating_add(padding(used).len())
    }
}

/// The first line with its end, if it is complete.
pub(super) fn first_line(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    bytes.get(..=end)
}

/// A line without `,"name":"hash"}` at its end, and the hash.
pub(super) fn unsealed<'a>(line: &'a [u8], name: &str) -> Option<(&'a [u8], Hash)> {
    let line = line.strip_suffix(b"\"}\n")?;
    let (line, digits) = line.split_last_chunk::<{ 2 * HASH }>()?;
    let line = line.strip_suffix(b"\":\"")?.strip_suffix(name.as_bytes())?.strip_suffix(b",\"")?;
    Some((line, Hash::from_hex(digits)?))
}

#[derive(Deserialize)]
struct Version {
    v: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    counterpoint: String,
    #[serde(rename = "v")]
    _version: u64,
    stream: String,
    after: Seq,
    epoch: Epoch,
    prev: Hash,
    keyed: bool,
    #[serde(default, rename = "seal")]
    seal: Option<Hash>,
    #[serde(rename = "sum")]
    _sum: IgnoredAny,
}

pub(super) fn read_header(stream: &Stream, bytes: &[u8]) -> Result<(Head, usize), RestoreError> {
    const CUT: RestoreError = RestoreError::NoJournal { reason: "its header is cut short or damaged" };
    let line = first_line(bytes).ok_or(CUT)?;
    let (covered, sum) = unsealed(line, "sum").ok_or(CUT)?;
    if !same(Hash::new(*blake3::hash(covered).as_bytes()), sum) {
        return Err(CUT);
    }
    let version: Version = serde_json::from_slice(line).map_err(|_| CUT)?;
    if version.v != u64::from(VERSION) {
        return Err(RestoreError::UnknownVersion { seq: Seq::new(1), version: version.v });
    }
    let header: Header = serde_json::from_slice(line).map_err(|_| CUT)?;
    if header.counterpoint != "journal" || header.keyed != header.seal.is_some() {
        return Err(CUT);
    }
    if header.stream != *stream.name {
        return Err(RestoreError::WrongStream { found: header.stream });
    }
    let sealed = covered.len().saturating_sub(if header.keyed { SEAL } else { 0 });
    stream.check_seal(covered.get(..sealed).unwrap_or_default(), header.seal)?;
    Ok((Head::new(header.after, header.epoch, header.prev), line.len()))
}

/// The size of the record, if it has one that matches its complement.
pub(super) fn size(bytes: &[u8]) -> Option<usize> {
    let (digits, end) = bytes.strip_prefix(FRONT)?.split_at_checked(DIGITS)?;
    let (size, complement) = core::str::from_utf8(digits).ok()?.split_at_checked(DIGITS / 2)?;
    let [size, complement] = [size, complement].map(|half| u32::from_str_radix(half, 16).ok());
    let size = size.filter(|size| complement == Some(!size) && end.starts_with(b"\""))?;
    usize::try_from(size).ok()
}

/// The hash of a line, if it is a record with a correct hash.
pub(super) fn sound(stream: &Stream, line: &[u8]) -> Option<Hash> {
    let (covered, hash) = unsealed(line, "hash")?;
    same(stream.seals.record(covered), hash).then_some(hash)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    #[serde(rename = "v")]
    _version: u64,
    #[serde(rename = "size")]
    _size: IgnoredAny,
    pub(super) seq: Seq,
    pub(super) epoch: Epoch,
    pub(super) prev: Hash,
    pub(super) entries: Vec<Entry>,
    #[serde(rename = "hash")]
    _hash: IgnoredAny,
}

/// Parses a line with a correct hash; `Err` is an unknown version.
pub(super) fn parse(line: &[u8]) -> Result<Result<Line, String>, u64> {
    if !line.starts_with(b"{\"v\":1,") {
        return match serde_json::from_slice::<Version>(line) {
            Ok(Version { v }) if v != u64::from(VERSION) => Err(v),
            Ok(_) => Ok(Err("the version is not the first field".to_owned())),
            Err(error) => Ok(Err(error.to_string())),
        };
    }
    Ok(serde_json::from_slice(line).map_err(|error| error.to_string()))
}

/// Whether one of the lines is a record with a correct hash.
pub(super) fn any_sound(stream: &Stream, bytes: &[u8]) -> bool {
    bytes.split_inclusive(|byte| *byte == b'\n').any(|line| sound(stream, line).is_some())
}
