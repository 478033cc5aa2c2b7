//! Sealed snapshots: a header line, then the state.

use super::head::{Hash, Head, same};
use super::lines::first_line;
use super::{HASH, Stream, VERSION};
use crate::base::error::RestoreError;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::io::Write as _;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Front {
    counterpoint: String,
    v: u64,
    stream: String,
    at: Head,
    bytes: u64,
    keyed: bool,
    #[serde(default, rename = "seal")]
    seal: Option<Hash>,
    #[serde(rename = "sum")]
    _sum: IgnoredAny,
}

impl Stream {
    /// Seals a snapshot of the state at this head of the journal, with the same key.
    ///
    /// The head ties it to the journal: only bytes that [continue](Self::begin) from it are its tail.
    ///
    /// ```
    /// use counterpoint::RestoreError;
    /// use counterpoint::journal::sealed::{Head, Stream};
    ///
    /// let stream = Stream::new("orders");
    /// let mut sealed = stream.seal_snapshot(Head::START, b"{}");
    /// assert_eq!(stream.open_snapshot(&sealed), Ok((Head::START, &b"{}"[..])));
    /// sealed.pop();
    /// assert!(matches!(stream.open_snapshot(&sealed), Err(RestoreError::Snapshot { .. })));
    /// ```
    #[must_use]
    pub fn seal_snapshot(&self, at: Head, state: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(state.len().saturating_add(512));
        let name = serde_json::Value::from(&*self.name);
        let (seq, epoch, hash) = (at.seq.get(), at.epoch.get(), at.hash);
        // Writing to memory does not fail.
        let _ = write!(
            out,
            r#"{{"counterpoint":"snapshot","v":{VERSION},"stream":{name},"at":{{"seq":{seq},"epoch":{epoch},"hash":"{hash}"}},"bytes":{},"keyed":{}"#,
            state.len(),
            self.keyed
        );
        if self.keyed {
            let seal = self.seals.snapshot(&out, state);
            let _ = write!(out, r#","seal":"{seal}""#);
        }
        let sum = sum(&out, state);
        let _ = writeln!(out, r#","sum":"{sum}"}}"#);
        out.extend_from_slice(state);
        out
    }

    /// Returns the head at which a sealed snapshot was taken, and the state.
    ///
    /// # Errors
    ///
    /// [`RestoreError`] if the snapshot was changed, or is of another stream, key or version.
    pub fn open_snapshot<'a>(&self, bytes: &'a [u8]) -> Result<(Head, &'a [u8]), RestoreError> {
        let line = first_line(bytes).ok_or_else(|| wrong("it is cut short"))?;
        let state = bytes.get(line.len()..).unwrap_or_default();
        let (covered, sum_there) = unsealed(line).ok_or_else(|| wrong("it has no valid header"))?;
        if !same(sum(covered, state), sum_there) {
            return Err(wrong("it is damaged"));
        }
        let front: Front = serde_json::from_slice(line).map_err(|error| wrong(&error.to_string()))?;
        if front.counterpoint != "snapshot" {
            return Err(wrong("it is not a snapshot"));
        }
        let seq = front.at.seq;
        if front.v != u64::from(VERSION) {
            return Err(RestoreError::UnknownVersion { seq, version: front.v });
        }
        if front.stream != *self.name {
            return Err(RestoreError::WrongStream { found: front.stream });
        }
        if front.bytes != state.len() as u64 || front.keyed != front.seal.is_some() {
            return Err(wrong("its header is inconsistent"));
        }
        self.check_snapshot_seal(covered, state, front.seal)?;
        Ok((front.at, state))
    }

    fn check_snapshot_seal(&self, covered: &[u8], state: &[u8], seal: Option<Hash>) -> Result<(), RestoreError> {
        let Some(seal) = seal else { return if self.keyed { Err(RestoreError::NotKeyed) } else { Ok(()) } };
        if !self.keyed {
            return Err(RestoreError::KeyNeeded);
        }
        let sealed = covered.len().saturating_sub(r#","seal":"""#.len() + 2 * HASH);
        let sealed = covered.get(..sealed).unwrap_or_default();
        if same(self.seals.snapshot(sealed, state), seal) { Ok(()) } else { Err(RestoreError::WrongKey) }
    }
}

fn unsealed(line: &[u8]) -> Option<(&[u8], Hash)> {
    let line = line.strip_suffix(b"\"}\n")?;
    let (line, digits) = line.split_last_chunk::<{ 2 * HASH }>()?;
    Some((line.strip_suffix(b",\"sum\":\"")?, Hash::from_hex(digits)?))
}

fn sum(front: &[u8], state: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    Hash::new(*hasher.update(front).update(state).finalize().as_bytes())
}

fn wrong(reason: &str) -> RestoreError {
    RestoreError::Snapshot { reason: reason.to_owned() }
}
