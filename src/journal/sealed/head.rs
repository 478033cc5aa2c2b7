//! Hashes, keys and positions in a journal.

use super::HASH;
use crate::base::id::Seq;
use crate::journal::Epoch;
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The encoding of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Encoding {
    /// Binary frames: about an eighth of the size, and faster.
    #[default]
    Compact,
    /// One line of JSON for each record.
    Lines,
}

/// The key that seals a journal: 32 random bytes. Store it apart from the journal.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; HASH]);

impl Key {
    /// The key with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; HASH]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// A BLAKE3 hash; as text, 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Hash([u8; HASH]);

impl Hash {
    /// The hash with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; HASH]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; HASH] {
        &self.0
    }

    /// Parses exactly 64 lower-case digits, so that each hash has one text form.
    pub(super) fn from_hex(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; HASH];
        let (pairs, rest) = text.as_chunks::<2>();
        if pairs.len() != HASH || !rest.is_empty() {
            return None;
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(bytes))
    }
}

const fn digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(from)?;
        Self::from_hex(text.as_bytes()).ok_or_else(|| de::Error::custom("a hash is 64 hexadecimal digits"))
    }
}

/// A position in a journal: the last entry, its writer, and the hash of the last record, which covers everything before it. Stored
/// elsewhere it is an anchor: a journal that does not contain it is not the one that was written.
///
/// ```
/// use counterpoint::journal::sealed::Head;
///
/// let text = serde_json::to_string(&Head::START)?;
/// assert!(text.starts_with(r#"{"seq":0,"epoch":0,"hash":"00000000"#));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Head {
    /// The number of the last entry.
    pub seq: Seq,
    /// The epoch of its writer.
    pub epoch: Epoch,
    /// The hash of the last record.
    pub hash: Hash,
}

impl Head {
    /// The position before the first entry.
    pub const START: Self = Self { seq: Seq::ZERO, epoch: Epoch::new(0), hash: Hash([0; HASH]) };

    pub(super) const fn new(seq: Seq, epoch: Epoch, hash: Hash) -> Self {
        Self { seq, epoch, hash }
    }
}

/// The derived keys, one for each kind of sealed data, so that one kind is not accepted as another.
#[derive(Clone)]
pub(super) struct Seals {
    record: [u8; HASH],
    header: [u8; HASH],
    snapshot: [u8; HASH],
    ledger: [u8; HASH],
}

impl Seals {
    /// The name is part of the keys, so that records of one stream are not accepted in another.
    pub(super) fn new(name: &str, key: Option<&Key>) -> Self {
        let mut material = name.as_bytes().to_vec();
        material.extend_from_slice(key.map_or(&[], |key| &key.0));
        material.push(u8::from(key.is_some()));
        Self {
            record: blake3::derive_key("counterpoint journal 2026 record", &material),
            header: blake3::derive_key("counterpoint journal 2026 header", &material),
            snapshot: blake3::derive_key("counterpoint journal 2026 snapshot", &material),
            ledger: blake3::derive_key("counterpoint ledger 2026 record", &material),
        }
    }

    pub(super) fn record(&self, bytes: &[u8]) -> Hash {
        keyed(&self.record, bytes)
    }

    pub(super) fn header(&self, bytes: &[u8]) -> Hash {
        keyed(&self.header, bytes)
    }

    pub(super) fn ledger(&self, bytes: &[u8]) -> Hash {
        keyed(&self.ledger, bytes)
    }

    pub(super) fn snapshot(&self, head: &[u8], state: &[u8]) -> Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.snapshot);
        Hash(*hasher.update(head).update(state).finalize().as_bytes())
    }
}

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seals(..)")
    }
}

fn keyed(key: &[u8; HASH], bytes: &[u8]) -> Hash {
    Hash(*blake3::keyed_hash(key, bytes).as_bytes())
}

/// Compares two hashes in constant time.
pub(super) fn same(a: Hash, b: Hash) -> bool {
    blake3::Hash::from_bytes(a.0) == blake3::Hash::from_bytes(b.0)
}
