//! Digests of 128 bits, for identities that are unique beyond one engine.

use core::fmt;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// 128 bits, printed as 32 hexadecimal digits. Binary formats contain the 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Digest {
    // Two halves: a number of 128 bits would be aligned to 16 bytes, and so would every task.
    high: u64,
    low: u64,
}

impl Digest {
    #[expect(clippy::cast_possible_truncation, reason = "each half is 64 bits")]
    pub(crate) const fn new(bits: u128) -> Self {
        Self { high: (bits >> 64) as u64, low: bits as u64 }
    }

    pub(crate) const fn bits(self) -> u128 {
        (self.high as u128) << 64 | self.low as u128
    }

    /// The lower and the upper half.
    pub(crate) const fn words(self) -> [u64; 2] {
        [self.low, self.high]
    }

    /// Reads what is printed. None for any other text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_printed = text.len() == 32 && text.as_bytes().iter().all(is_digit);
        u128::from_str_radix(text, 16).ok().filter(|_| is_printed).map(Self::new)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.bits())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() { to.collect_str(self) } else { to.serialize_bytes(&self.bits().to_be_bytes()) }
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() { from.deserialize_str(Bits) } else { from.deserialize_bytes(Bits) }
    }
}

struct Bits;

impl Visitor<'_> for Bits {
    type Value = Digest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("32 lower-case hexadecimal digits, or 16 bytes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Digest, E> {
        Digest::parse(text).ok_or_else(|| E::custom("not 32 lower-case hexadecimal digits"))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Digest, E> {
        let bytes = bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))?;
        Ok(Digest::new(u128::from_be_bytes(bytes)))
    }
}

/// The input of a digest: fields, each with its length, so that different fields give different inputs. BLAKE3 of it, cut
/// to 128 bits. Neither may ever change, because journals and systems outside contain digests.
pub(crate) struct DigestInput(Vec<u8>);

impl DigestInput {
    /// The input of a digest of this purpose.
    pub(crate) fn new(purpose: &str) -> Self {
        Self(Vec::with_capacity(128)).text("counterpoint 2026").text(purpose)
    }

    pub(crate) fn text(mut self, text: &str) -> Self {
        self.0.extend_from_slice(&(text.len() as u64).to_le_bytes());
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    pub(crate) fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub(crate) fn digest(mut self, digest: Digest) -> Self {
        self.0.extend_from_slice(&digest.bits().to_le_bytes());
        self
    }

    pub(crate) fn finish(&self) -> Digest {
        cut(&blake3::hash(&self.0))
    }
}

fn cut(hash: &blake3::Hash) -> Digest {
    let first = hash.as_bytes().first_chunk().copied().unwrap_or_default();
    Digest::new(u128::from_be_bytes(first))
}

/// The number of bytes that BLAKE3 hashes at once.
const BLOCK: usize = 64;
/// The bytes of the numbers in [`keyed`].
const FIXED: usize = size_of::<[u64; 4]>();

/// The digest of numbers and a text, under the key of a purpose. For a text of up to 32 bytes this is one block of the hash, and no
/// memory: 700 instructions, where [`DigestInput`] takes 1,400 for the same fields. It may never change, either.
pub(crate) fn keyed(key: &[u8; 32], numbers: [u64; 4], text: &str) -> Digest {
    let mut block = [0; BLOCK];
    let (words, _) = block.as_chunks_mut();
    words.iter_mut().zip(numbers).for_each(|(word, number)| *word = number.to_le_bytes());
    let (fixed, rest) = block.split_at_mut(FIXED);
    let Some(end) = rest.get_mut(..text.len()) else {
        return cut(&blake3::keyed_hash(key, &[fixed, text.as_bytes()].concat()));
    };
    end.copy_from_slice(text.as_bytes());
    cut(&blake3::keyed_hash(key, block.get(..FIXED + text.len()).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_run_into_each_other() {
        let two = |a: &str, b: &str| DigestInput::new("test").text(a).text(b).finish();
        assert_ne!(two("ab", "c"), two("a", "bc"));
        assert_ne!(two("", "x"), two("x", ""));
        assert_ne!(DigestInput::new("a").finish(), DigestInput::new("b").finish());
    }

    #[test]
    fn digests_are_stable_across_versions() {
        // Keys that systems outside have stored depend on this number.
        assert_eq!(
            DigestInput::new("test").text("a").number(7).finish().to_string(),
            "546850b70aef79b6a8c0f3bced5186db"
        );
    }

    /// A text of 32 bytes fills one block, a longer one takes more.
    #[test]
    fn the_text_of_a_keyed_digest_has_any_length() {
        let key = b"counterpoint 2026 for this test.";
        let bytes = |text: &str| [1_u64, 2, 3, 4].into_iter().flat_map(u64::to_le_bytes).chain(text.bytes()).collect();
        for length in [0, 1, 31, 32, 33, 200] {
            let text = "x".repeat(length);
            let input: Vec<u8> = bytes(&text);
            assert_eq!(keyed(key, [1, 2, 3, 4], &text), cut(&blake3::keyed_hash(key, &input)), "{length}");
        }
    }

    #[test]
    fn only_what_is_printed_is_read() {
        let digest = Digest::new(0xab);
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        for text in ["", "ab", "000000000000000000000000000000AB", "+00000000000000000000000000000ab"] {
            assert_eq!(Digest::parse(text), None, "{text}");
        }
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(json, "\"000000000000000000000000000000ab\"");
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        assert!(serde_json::from_str::<Digest>("\"ab\"").is_err());
    }
}
