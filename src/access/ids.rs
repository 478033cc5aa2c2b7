//! The ids of confined principals: a namespace for each tenant.

use crate::base::id::{RunId, TaskId};
use crate::base::name::Name;
use core::fmt;

/// The key from which a [`Gate`](super::Gate) derives the ids of confined principals.
///
/// A principal that is confined to tenants chooses numbers as every host does, and the gate maps each number into the
/// namespace of the tenant: the id is SipHash-2-4 of the tenant and the number under this key, with the top bit clear and
/// the bit below it set ([`TaskId::is_of_tenant`]). So equal numbers of two tenants are different tasks, and no number of
/// one tenant reaches, occupies or reveals an id of another one or of the host.
///
/// The ids are in the journal, so the key must stay the same for as long as the journal is used. The default key is public:
/// with it, a tenant that computes about 2^62 hashes offline finds a number that maps to a given id of another tenant. With
/// a secret key each try is a request.
///
/// ```
/// use counterpoint::TaskId;
/// use counterpoint::access::IdKey;
///
/// let key = IdKey::new(*b"sixteen bytes...");
/// let (north, south) = (key.task(&"north".into(), TaskId::new(7)), key.task(&"south".into(), TaskId::new(7)));
/// assert_ne!(north, south);
/// assert_eq!(north, key.task(&"north".into(), TaskId::new(7)));
/// assert!(north.is_of_tenant() && !TaskId::new(7).is_of_tenant());
/// ```
#[derive(Clone, Copy, Default)]
pub struct IdKey {
    low: u64,
    high: u64,
}

impl IdKey {
    /// The key with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        let all = u128::from_le_bytes(bytes);
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of the key")]
        Self { low: all as u64, high: (all >> 64) as u64 }
    }

    /// The id of the task that principals confined to this tenant call by this number.
    #[must_use]
    pub fn task(&self, tenant: &Name, number: TaskId) -> TaskId {
        TaskId::of_tenant(self.hash(b't', tenant, number.get()))
    }

    /// The id of the run that principals confined to this tenant call by this number.
    #[must_use]
    pub fn run(&self, tenant: &Name, number: RunId) -> RunId {
        RunId::of_tenant(self.hash(b'r', tenant, number.get()))
    }

    /// The number has a fixed length and comes first, so that no two inputs have the same bytes.
    fn hash(&self, sort: u8, tenant: &Name, number: u64) -> u64 {
        let mut bytes = Vec::with_capacity(9 + tenant.len());
        bytes.push(sort);
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(tenant.as_bytes());
        self.sip(&bytes)
    }

    /// SipHash-2-4 (Aumasson and Bernstein, 2012).
    fn sip(&self, bytes: &[u8]) -> u64 {
        let mut state = [
            self.low ^ 0x736f_6d65_7073_6575,
            self.high ^ 0x646f_7261_6e64_6f6d,
            self.low ^ 0x6c79_6765_6e65_7261,
            self.high ^ 0x7465_6462_7974_6573,
        ];
        for part in bytes.chunks(8).filter(|part| part.len() == 8) {
            absorb(&mut state, word(part));
        }
        let rest = bytes.chunks_exact(8).remainder();
        absorb(&mut state, word(rest) | (bytes.len() as u64) << 56);
        state[2] ^= 0xff;
        (0..4).for_each(|_| round(&mut state));
        state[0] ^ state[1] ^ state[2] ^ state[3]
    }
}

/// Up to eight bytes as a number, the first byte least.
fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

fn absorb(state: &mut [u64; 4], word: u64) {
    state[3] ^= word;
    (0..2).for_each(|_| round(state));
    state[0] ^= word;
}

fn round(state: &mut [u64; 4]) {
    let [mut a, mut b, mut c, mut d] = *state;
    a = a.wrapping_add(b);
    c = c.wrapping_add(d);
    b = b.rotate_left(13) ^ a;
    d = d.rotate_left(16) ^ c;
    a = a.rotate_left(32).wrapping_add(d);
    c = c.wrapping_add(b);
    d = d.rotate_left(21) ^ a;
    b = b.rotate_left(17) ^ c;
    c = c.rotate_left(32);
    *state = [a, b, c, d];
}

impl fmt::Debug for IdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_siphash_2_4() {
        // The vector of the paper: the key 00 to 0f, and the bytes 00 to 0e.
        let key: [u8; 16] = core::array::from_fn(|at| u8::try_from(at).unwrap_or(0));
        let bytes: Vec<u8> = (0..15).collect();
        assert_eq!(IdKey::new(key).sip(&bytes), 0xa129_ca61_49be_45e5);
        assert_eq!(IdKey::new(key).sip(&[]), 0x726f_db47_dd0e_0e31);
    }

    #[test]
    fn ids_differ_by_tenant_number_sort_and_key() {
        let (key, other) = (IdKey::default(), IdKey::new([1; 16]));
        let of = |key: &IdKey, tenant: &str, number| key.task(&tenant.into(), TaskId::new(number)).get();
        let ids = [of(&key, "a", 1), of(&key, "a", 2), of(&key, "b", 1), of(&other, "a", 1), of(&key, "", 1)];
        let run = key.run(&"a".into(), RunId::new(1)).get();
        let distinct: std::collections::BTreeSet<u64> = ids.into_iter().chain([run]).collect();
        assert_eq!(distinct.len(), 6);
        // Ids are in journals: the derivation must never change.
        assert_eq!(of(&key, "a", 1), PINNED);
    }

    const PINNED: u64 = 6_713_864_985_065_710_759;
}
