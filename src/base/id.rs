//! Identifiers: small, ordered, never reused, printed in letters, digits, `-` and `_`.
//!
//! The host creates [`TaskId`], [`AgentId`] and [`RunId`], from its own numbers or from a text key
//! ([`TaskId::from_key`]), so that the engine recognises a repeated submit. The engine creates the ids of workflow
//! steps ([`TaskId::is_engine_made`]), [`AttemptId`] and [`Incarnation`]. The ids of tasks and runs of principals that are
//! confined to tenants are derived from the tenant ([`TaskId::is_of_tenant`]).
//!
//! ```
//! use counterpoint::{AttemptId, TaskId};
//!
//! let task = TaskId::from_key("order-17/charge");
//! assert_eq!(task, TaskId::from_key("order-17/charge"));
//! let first = AttemptId::new(TaskId::new(7), 1);
//! assert_eq!(first.to_string(), "t7-1");
//! ```

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use serde::{Deserialize, Serialize};

/// The bit that is set in ids that the engine creates and clear in ids that a host creates, so that they never collide.
const ENGINE_MADE: u64 = 1 << 63;
/// The bit that is set in ids that access control derives from a tenant, and clear in ids that are derived from a key alone
/// and in the numbers that a host counts, so that no tenant occupies an id of the host.
const OF_TENANT: u64 = 1 << 62;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $letter:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// The id with this number. The top bit is reserved for the engine: a command that introduces an id with
            /// that bit set is rejected with `Invalid::ReservedId`. The bit below it is set in the ids that a
            /// `counterpoint::access::Gate` derives for principals that are confined to tenants; the numbers of a host stay
            /// below 2^62.
            #[must_use]
            pub const fn new(number: u64) -> Self {
                Self(number)
            }

            /// The id derived from a text key: the same key gives the same id on every machine and in every version.
            ///
            /// The id consists of 62 bits of a 64-bit FNV-1a hash with a final mix. Among a million keys the
            /// probability of a collision is 1 in 9 million, among a billion 1 in 9. A task or a run that is given its key
            /// beside the id ([`TaskSpec::keyed`](crate::TaskSpec::keyed), [`RunSpec::keyed`](crate::RunSpec::keyed)) is
            /// rejected if a known one with another key has the id; one that is given the id alone is rejected only if the
            /// rest of its content differs. Where an adversary chooses the keys, assign ids from the host's own numbers
            /// instead, or confine the adversary to a tenant.
            #[must_use]
            pub fn from_key(key: &str) -> Self {
                Self(stable_hash(key.as_bytes()) & !(ENGINE_MADE | OF_TENANT))
            }

            /// The number of the id.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// Whether the engine created this id (for a workflow step or a child run).
            #[must_use]
            pub const fn is_engine_made(self) -> bool {
                self.0 & ENGINE_MADE != 0
            }

            /// Whether access control derived this id from a tenant, for a principal that is confined to tenants.
            #[must_use]
            pub const fn is_of_tenant(self) -> bool {
                self.0 & (ENGINE_MADE | OF_TENANT) == OF_TENANT
            }

            #[allow(dead_code, reason = "one macro serves ids that are never derived from a tenant, too")]
            pub(crate) const fn of_tenant(hash: u64) -> Self {
                Self(hash & !ENGINE_MADE | OF_TENANT)
            }

            /// The id with this serial number that the engine creates in a partition.
            #[allow(dead_code, reason = "one macro serves ids that the engine never makes, too")]
            pub(crate) const fn engine_made(partition: u16, serial: u64) -> Self {
                Self(serial | ((partition as u64 & (PARTITIONS - 1)) << SERIAL_BITS) | ENGINE_MADE)
            }

            /// The partition of the id: the one that it carries if the engine created it, otherwise a hash of its number.
            #[allow(dead_code, reason = "one macro serves ids of agents, too")]
            pub(crate) const fn partition(self) -> u16 {
                partition_of(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                if self.is_engine_made() {
                    match self.0 & !ENGINE_MADE {
                        number if number < 1 << SERIAL_BITS => write!(f, concat!($letter, "_{}"), number),
                        number => write!(f, concat!($letter, "_{}_{}"), self.partition(), number & MOST_SERIALS),
                    }
                } else {
                    write!(f, concat!($letter, "{}"), self.0)
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl From<u64> for $name {
            fn from(number: u64) -> Self {
                Self::new(number)
            }
        }
    };
}

id! {
    /// A task: a unit of work that one agent at a time attempts.
    TaskId, "t"
}
id! {
    /// An agent: a component that performs attempts at tasks.
    AgentId, "a"
}
id! {
    /// A run: one execution of a workflow definition.
    RunId, "r"
}

/// The sequence number of an entry in the journal, from 1, without gaps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(u64);

impl Seq {
    /// The sequence number before the first entry.
    pub const ZERO: Self = Self(0);

    /// The sequence number with this value.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The value.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The next sequence number.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl fmt::Debug for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The number of an attempt within its task, from 1. With the task it forms an [`AttemptId`].
///
/// ```
/// use counterpoint::{AttemptId, TaskId};
/// use counterpoint::task::AttemptNumber;
///
/// assert_eq!(AttemptNumber::new(2).of(TaskId::new(7)), AttemptId::new(TaskId::new(7), 2));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptNumber(u32);

impl AttemptNumber {
    /// The first attempt at a task.
    pub const FIRST: Self = Self(1);

    /// Attempt number `number`, from 1.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The attempt with this number at `task`.
    #[must_use]
    pub const fn of(self, task: TaskId) -> AttemptId {
        AttemptId { task, number: self, hint: Hint::NONE }
    }
}

impl fmt::Display for AttemptNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for AttemptNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// One attempt at a task, created by the engine and never reused. It is a fencing token: only the current attempt of a
/// task can end it, and only the agent that holds the attempt.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    task: TaskId,
    number: AttemptNumber,
    #[serde(skip)]
    hint: Hint,
}

/// Where the engine that dispatched the attempt keeps its task. It saves a look-up and is no part of the id: it is neither
/// compared nor written, and the engine compares the id of the task that is there.
#[derive(Clone, Copy)]
struct Hint(u32);

impl Hint {
    const NONE: Self = Self(u32::MAX);
}

impl Default for Hint {
    fn default() -> Self {
        Self::NONE
    }
}

impl PartialEq for Hint {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Hint {}

impl PartialOrd for Hint {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Hint {
    fn cmp(&self, _: &Self) -> Ordering {
        Ordering::Equal
    }
}

impl Hash for Hint {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl AttemptId {
    /// Attempt `number` (from 1) at `task`.
    #[must_use]
    pub const fn new(task: TaskId, number: u32) -> Self {
        AttemptNumber::new(number).of(task)
    }

    /// The task.
    #[must_use]
    pub const fn task(self) -> TaskId {
        self.task
    }

    /// The number of the attempt, from 1.
    #[must_use]
    pub const fn number(self) -> AttemptNumber {
        self.number
    }

    /// The same id with the place at which the engine keeps the task.
    pub(crate) const fn at(self, place: u32) -> Self {
        Self { hint: Hint(place), ..self }
    }

    /// The place at which the engine may keep the task.
    pub(crate) const fn place(self) -> u32 {
        self.hint.0
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.task, self.number)
    }
}

impl fmt::Debug for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One session of an agent, from one registration to the next. Every message of an agent carries its incarnation, so
/// that late messages of an earlier incarnation are rejected. The engine numbers incarnations across all agents and
/// never reuses a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation {
    agent: AgentId,
    number: u64,
}

impl Incarnation {
    /// Incarnation `number` of `agent`. A host receives it in the answer to a registration; the constructor is for
    /// tests and for messages from a remote agent.
    #[must_use]
    pub const fn new(agent: AgentId, number: u64) -> Self {
        Self { agent, number }
    }

    /// The agent.
    #[must_use]
    pub const fn agent(self) -> AgentId {
        self.agent
    }

    /// The number of the incarnation.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.number
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.agent, self.number)
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The index of a node in its graph or workflow definition, from 0, in the order of declaration.
///
/// An index is valid only with the graph or definition that it belongs to.
///
/// ```
/// use counterpoint::task::NodeIx;
///
/// let third = NodeIx::new(2);
/// assert_eq!(third.index(), 2);
/// assert_eq!(third.to_string(), "n2");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeIx(u32);

impl NodeIx {
    /// The node at `index`.
    #[must_use]
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// The index into a slice.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for NodeIx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

impl fmt::Debug for NodeIx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How ids that the engine creates begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum IdForm {
    /// With the partition 0.
    #[default]
    Plain,
    /// With the partition of the run for which they are created, so that the ids of several engines differ if no two engines
    /// have runs of the same partition.
    #[cfg_attr(not(feature = "cluster"), allow(dead_code, reason = "the feature sets it"))]
    Partitioned,
}

impl IdForm {
    /// The partition of the ids that are created for a run.
    pub(crate) const fn partition_for(self, run: RunId) -> u16 {
        match self {
            Self::Plain => 0,
            Self::Partitioned => run.partition(),
        }
    }
}

/// The number of partitions of ids. It never changes, because ids in journals carry partitions.
pub(crate) const PARTITIONS: u64 = 1 << 12;
/// The bits of an id below its partition: in ids that the engine creates they are a serial number.
const SERIAL_BITS: u32 = 50;
/// The largest serial number that an id can carry.
const MOST_SERIALS: u64 = (1 << SERIAL_BITS) - 1;
/// The bits of the ids of hosts and tenants that their partition depends on.
const NUMBER: u64 = !(ENGINE_MADE | OF_TENANT);

/// The serial number of an id that the engine created; none if it is none of its ids.
pub(crate) const fn serial_of(id: u64) -> Option<u64> {
    if id & (ENGINE_MADE | OF_TENANT) == ENGINE_MADE { Some(id & MOST_SERIALS) } else { None }
}

/// Orders the ids of runs so that each comes after that of its parent run: ids of hosts first, then those of the engine in the
/// order in which it created them.
pub(crate) const fn by_creation(id: RunId) -> (Option<u64>, RunId) {
    (serial_of(id.get()), id)
}

const fn partition_of(id: u64) -> u16 {
    number_partition(if id & ENGINE_MADE == 0 { scatter(id & NUMBER) } else { id })
}

/// The upper 12 of 62 bits.
const fn number_partition(bits: u64) -> u16 {
    ((bits & NUMBER) >> SERIAL_BITS) as u16
}

/// Odd factors of [`scatter`], the 64-bit factors of MurmurHash3.
const FACTORS: [u64; 2] = [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53];

/// A permutation of the numbers of 62 bits that spreads consecutive numbers over the upper bits. It must never change, because
/// it determines which engine knows an id.
const fn scatter(number: u64) -> u64 {
    let [first, second] = FACTORS;
    let bits = number ^ (number >> 31);
    let bits = bits.wrapping_mul(first) & NUMBER;
    let bits = bits ^ (bits >> 31);
    let bits = bits.wrapping_mul(second) & NUMBER;
    bits ^ (bits >> 31)
}

/// The number that [`scatter`] maps to these bits.
const fn gather(bits: u64) -> u64 {
    let [first, second] = FACTORS;
    let bits = bits ^ (bits >> 31);
    let bits = bits.wrapping_mul(inverse(second)) & NUMBER;
    let bits = bits ^ (bits >> 31);
    let bits = bits.wrapping_mul(inverse(first)) & NUMBER;
    bits ^ (bits >> 31)
}

/// The inverse of an odd number modulo 2^64, by Newton's method: each step doubles the correct bits, from three.
const fn inverse(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut step = 0;
    while step < 5 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
}

/// The partition of a text key. It must never change, because it determines which engine knows what belongs to the key.
pub(crate) fn partition_of_key(key: &str) -> u16 {
    number_partition(stable_hash(key.as_bytes()) >> 2)
}

/// The number of an id of a host in this partition, with 50 bits of a hash.
pub(crate) const fn number_in(partition: u16, hash: u64) -> u64 {
    gather(((partition as u64 & (PARTITIONS - 1)) << SERIAL_BITS) | (hash & MOST_SERIALS))
}

/// 64-bit FNV-1a with the final mix of MurmurHash3. It must never change, because journals contain ids derived from it.
pub(crate) fn stable_hash(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for &byte in bytes {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    mix(hash)
}

/// Makes every input bit affect every output bit (the finaliser of MurmurHash3).
pub(crate) const fn mix(mut bits: u64) -> u64 {
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ (bits >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_ids_and_engine_ids_never_meet() {
        assert!(!TaskId::from_key("x").is_engine_made());
        assert!(TaskId::engine_made(0, 3).is_engine_made());
        assert_eq!(TaskId::engine_made(0, 3).to_string(), "t_3");
        assert_eq!(TaskId::engine_made(4_095, 3).to_string(), "t_4095_3");
        assert!(TaskId::of_tenant(u64::MAX).is_of_tenant() && !TaskId::of_tenant(u64::MAX).is_engine_made());
        assert!(!TaskId::engine_made(u16::MAX, MOST_SERIALS).is_of_tenant() && !TaskId::from_key("x").is_of_tenant());
    }

    #[test]
    fn ids_of_the_engine_carry_their_partition() {
        for (partition, serial) in [(0, 1), (1, 1), (4_095, MOST_SERIALS), (77, 0)] {
            let id = RunId::engine_made(partition, serial);
            assert_eq!((id.partition(), serial_of(id.get())), (partition, Some(serial)));
        }
        assert_eq!(serial_of(RunId::new(7).get()), None);
        assert!(by_creation(RunId::new(u64::MAX >> 2)) < by_creation(RunId::engine_made(4_095, 1)));
        assert!(by_creation(RunId::engine_made(4_095, 1)) < by_creation(RunId::engine_made(0, 2)));
    }

    #[test]
    fn partitions_are_stable_across_versions() {
        // Which engine knows an id depends on these numbers.
        let of = |number| TaskId::new(number).partition();
        assert_eq!([of(0), of(1), of(2), of(980_258_162_596_327_327)], [0, 2312, 1685, 126]);
    }

    #[test]
    fn a_number_can_be_made_for_every_partition() {
        for number in (0..1_000_u64).chain([NUMBER, NUMBER / 2, 1 << 61]) {
            assert_eq!(gather(scatter(number)), number);
            assert_eq!(scatter(gather(number)), number);
        }
        for partition in 0..4_096 {
            let id = TaskId::new(number_in(partition, mix(partition.into())));
            assert!(!id.is_engine_made() && !id.is_of_tenant() && id.partition() == partition, "{partition}");
        }
    }

    #[test]
    fn keys_are_stable_across_versions() {
        assert_ne!(RunId::from_key("a"), RunId::from_key("b"));
        // Ids in stored journals depend on this number.
        assert_eq!(TaskId::from_key("order-17").get(), 980_258_162_596_327_327);
    }
}
