//! Keys of callers, and the ids that are derived from them.

use core::fmt;
use std::error::Error;

/// The length of a key.
const LONGEST: usize = 255;

/// The number of characters of a key that the text beside an id shows.
const SHOWN: usize = 64;

/// A key under which a caller repeats a request: 1 to 255 characters of visible ASCII and spaces.
///
/// An id derived from it depends on the tenant and on the caller, too, so that callers neither meet nor find each other's
/// keys. It is 62 bits of a BLAKE3 hash: a caller cannot choose a key for the id of another.
///
/// ```
/// use counterpoint_serving::{Key, Scope};
///
/// let key: Key = "order-17".parse()?;
/// let north = Scope { kind: "task", tenant: Some("north"), caller: "nora" };
/// let south = Scope { tenant: Some("south"), ..north };
/// assert_eq!(key.id_in(north), key.id_in(north));
/// assert_ne!(key.id_in(north), key.id_in(south));
/// assert!("".parse::<Key>().is_err() && "Größe".parse::<Key>().is_err());
/// # Ok::<(), counterpoint_serving::KeyError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(Box<str>);

/// The scope in which a [`Key`] identifies something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "made by those who derive ids")]
pub struct Scope<'a> {
    /// The kind of the object: the same key can identify a task and a run.
    pub kind: &'a str,
    /// The tenant of the object, if it has one.
    pub tenant: Option<&'a str>,
    /// The name of the caller.
    pub caller: &'a str,
}

/// The reason why a text is not a [`Key`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// The key is empty.
    Empty,
    /// The key has more than 255 characters.
    TooLong,
    /// The key has a character outside of visible ASCII.
    Character,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the key is empty"),
            Self::TooLong => write!(f, "the key has more than {LONGEST} characters"),
            Self::Character => f.write_str("the key has a character that is not visible ASCII or a space"),
        }
    }
}

impl Error for KeyError {}

impl Key {
    /// Reads a key.
    ///
    /// # Errors
    ///
    /// When the bytes are no key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        match std::str::from_utf8(bytes) {
            _ if bytes.is_empty() => Err(KeyError::Empty),
            _ if bytes.len() > LONGEST => Err(KeyError::TooLong),
            Ok(text) if bytes.iter().all(|byte| (0x20..0x7f).contains(byte)) => Ok(Self(text.into())),
            _ => Err(KeyError::Character),
        }
    }

    /// The id under this key: below 2^62, since larger ids belong to the engine and to confined principals.
    #[must_use]
    pub fn id_in(&self, scope: Scope<'_>) -> u64 {
        let mut id = [0; 8];
        self.hashed(scope).fill(&mut id);
        u64::from_le_bytes(id) >> 2
    }

    /// The text that identifies this key in its scope, for the spec beside the id
    /// (`TaskSpec::with_key`): the engine refuses another key with the same id as a collision
    /// and takes it for no repeat. The beginning of the key, for people, and 128 other bits of the hash; at most 97 bytes.
    ///
    /// ```
    /// use counterpoint_serving::{Key, Scope};
    ///
    /// let key: Key = "order-17".parse()?;
    /// let text = key.text_in(Scope { kind: "task", tenant: None, caller: "nora" });
    /// assert!(text.starts_with("order-17~") && text.len() == 8 + 1 + 32);
    /// # Ok::<(), counterpoint_serving::KeyError>(())
    /// ```
    #[must_use]
    pub fn text_in(&self, scope: Scope<'_>) -> String {
        // The bits after those of the id.
        let mut bits = [0; 16];
        let mut hashed = self.hashed(scope);
        hashed.set_position(8);
        hashed.fill(&mut bits);
        let shown: String = self.0.chars().take(SHOWN).collect();
        format!("{shown}~{:032x}", u128::from_le_bytes(bits))
    }

    fn hashed(&self, scope: Scope<'_>) -> blake3::OutputReader {
        let mut hash = blake3::Hasher::new_derive_key("counterpoint-serving 1 id of a key");
        // Each part with its length: no two lists of parts are the same bytes.
        let parts = [Some(scope.kind), scope.tenant, Some(scope.caller), Some(&*self.0)];
        for part in parts {
            let length = part.map_or(u64::MAX, |part| part.len() as u64);
            hash.update(&length.to_le_bytes()).update(part.unwrap_or_default().as_bytes());
        }
        hash.finalize_xof()
    }
}

impl std::str::FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::from_bytes(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_key_is_visible_ascii() {
        let read = |bytes: &[u8]| Key::from_bytes(bytes).map(|_| ());
        assert_eq!(read(b"order 17!~"), Ok(()));
        assert_eq!(read(b""), Err(KeyError::Empty));
        assert_eq!(read(&[b'x'; 255]), Ok(()));
        assert_eq!(read(&[b'x'; 256]), Err(KeyError::TooLong));
        for wrong in [&b"a\tb"[..], b"a\0", b"\x7f", "ü".as_bytes(), b"\xff"] {
            assert_eq!(read(wrong), Err(KeyError::Character), "{wrong:?}");
        }
    }

    #[test]
    fn the_text_beside_an_id_is_short() {
        let longest = Key::from_bytes(&[b'x'; LONGEST]).unwrap();
        assert_eq!(longest.text_in(Scope { kind: "task", tenant: None, caller: "" }).len(), 97);
    }

    #[test]
    fn every_part_of_the_scope_counts() {
        let (mut ids, mut texts) = (BTreeSet::new(), BTreeSet::new());
        for kind in ["task", "run"] {
            for tenant in [None, Some(""), Some("a"), Some("ab")] {
                for caller in ["", "b", "ba"] {
                    for key in ["c", "bc", "abc"] {
                        let (key, scope) = (key.parse::<Key>().unwrap(), Scope { kind, tenant, caller });
                        let (id, text) = (key.id_in(scope), key.text_in(scope));
                        assert!(texts.insert(text.split_once('~').unwrap().1.to_owned()), "{text}");
                        assert!(id < 1 << 62);
                        assert!(ids.insert(id), "{kind} {tenant:?} {caller} {text}");
                    }
                }
            }
        }
    }
}
