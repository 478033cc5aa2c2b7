//! Requirements of a task on agents.

mod by_name;

use crate::base::id::{mix, stable_hash};
use crate::base::name::Name;
use crate::task::agent::AgentSpec;
use by_name::ByName;
use core::cell::RefCell;
use core::fmt;
use core::hash::{Hash, Hasher};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;

/// Skills with minimum levels, labels and amounts of resources that an agent must have: a filter, not a score. Cloning
/// increments a reference count; many tasks share one value.
///
/// ```
/// use counterpoint::{AgentId, AgentSpec, Needs};
///
/// let needs = Needs::skill("translate").and_skill("french", 3);
/// let novice = AgentSpec::new(AgentId::new(1)).with_skill("translate", 1).with_skill("french", 2);
/// assert!(!needs.met_by(&novice));
/// assert_eq!(needs.to_string(), "french>=3, translate");
/// ```
#[derive(Clone)]
pub struct Needs(Arc<Inner>);

#[derive(Clone, PartialEq)]
struct Inner {
    /// The hash of the last field, computed once: classes are looked up at every submit.
    hash: u64,
    measure: Measure,
    wanted: Wanted,
}

/// The sizes of needs, measured once: limits are checked at every submit.
#[derive(Clone, Copy, PartialEq)]
struct Measure {
    /// The bytes of the longest name.
    longest: usize,
    has_empty_name: bool,
    /// The number of skills, labels and amounts.
    len: usize,
    uses_resources: bool,
}

impl Measure {
    fn of(wanted: &Wanted) -> Self {
        let Wanted { skills, labels, amounts, shared } = wanted;
        let names = || skills.names().chain(labels.names()).chain(amounts.names()).chain(shared.names());
        let values = || labels.iter().map(|(_, value)| value);
        Self {
            longest: names().chain(values()).map(|name| name.len()).max().unwrap_or(0),
            has_empty_name: names().any(|name| name.is_empty()),
            len: names().count(),
            uses_resources: !amounts.is_empty() || !shared.is_empty(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    #[serde(skip_serializing_if = "ByName::is_empty")]
    skills: ByName<u16>,
    #[serde(skip_serializing_if = "ByName::is_empty")]
    labels: ByName<Name>,
    #[serde(skip_serializing_if = "ByName::is_empty")]
    amounts: ByName<u64>,
    #[serde(skip_serializing_if = "ByName::is_empty")]
    shared: ByName<u64>,
}

impl Needs {
    /// No requirements: any agent is eligible.
    #[must_use]
    pub fn nothing() -> Self {
        Self::of(Wanted::default())
    }

    /// Requires this skill, at any level.
    #[must_use]
    pub fn skill(name: impl Into<Name>) -> Self {
        Self::of(Wanted { skills: ByName::one(name.into(), 0), ..Wanted::default() })
    }

    /// Requires this skill at this level or above, too.
    #[must_use]
    pub fn and_skill(self, name: impl Into<Name>, level: u16) -> Self {
        let mut wanted = self.into_wanted();
        wanted.skills.insert(name.into(), level);
        Self::of(wanted)
    }

    /// Requires this label with this value, too.
    #[must_use]
    pub fn and_label(self, name: impl Into<Name>, value: impl Into<Name>) -> Self {
        let mut wanted = self.into_wanted();
        wanted.labels.insert(name.into(), value.into());
        Self::of(wanted)
    }

    /// Requires this amount of a resource of the agent, held during the attempt: memory, disk, a context window.
    #[must_use]
    pub fn and_amount(self, name: impl Into<Name>, amount: u64) -> Self {
        let mut wanted = self.into_wanted();
        wanted.amounts.insert(name.into(), amount);
        Self::of(wanted)
    }

    /// Requires this amount of a resource that all agents share, held during the attempt: licences, tokens,
    /// connections.
    #[must_use]
    pub fn and_shared(self, name: impl Into<Name>, amount: u64) -> Self {
        let mut wanted = self.into_wanted();
        wanted.shared.insert(name.into(), amount);
        Self::of(wanted)
    }

    /// The required amounts of the agent's own resources, by name.
    pub fn amounts(&self) -> impl Iterator<Item = (&Name, u64)> {
        self.0.wanted.amounts.iter().map(|(name, amount)| (name, *amount))
    }

    /// The required amounts of shared resources, by name.
    pub fn shared(&self) -> impl Iterator<Item = (&Name, u64)> {
        self.0.wanted.shared.iter().map(|(name, amount)| (name, *amount))
    }

    /// An order of needs, without a meaning for tasks.
    pub(crate) fn order(&self, other: &Self) -> core::cmp::Ordering {
        self.0.wanted.cmp(&other.0.wanted)
    }

    /// Whether any resource is required.
    pub(crate) fn uses_resources(&self) -> bool {
        self.0.measure.uses_resources
    }

    /// Whether no name is empty or longer than `name_bytes`, and there are at most `list_len` requirements.
    pub(crate) fn is_within(&self, name_bytes: u32, list_len: u32) -> bool {
        let Measure { longest, has_empty_name, len, .. } = self.0.measure;
        !has_empty_name && longest <= name_bytes as usize && len <= list_len as usize
    }

    /// Whether the agent, when idle, has the required amounts of its own resources.
    pub(crate) fn fits_in(&self, agent: &AgentSpec) -> bool {
        self.amounts().all(|(name, amount)| agent.amounts.get(name).copied().unwrap_or(0) >= amount)
    }

    /// The required skills with their levels, by name.
    pub fn skills(&self) -> impl Iterator<Item = (&Name, u16)> {
        self.0.wanted.skills.iter().map(|(name, &level)| (name, level))
    }

    /// The required labels, by name.
    pub fn labels(&self) -> impl Iterator<Item = (&Name, &Name)> {
        self.0.wanted.labels.iter()
    }

    /// Whether this agent meets all requirements.
    #[must_use]
    pub fn met_by(&self, agent: &AgentSpec) -> bool {
        self.skills().all(|(name, level)| agent.skills.get(name).is_some_and(|&has| has >= level))
            && self.labels().all(|(name, value)| agent.labels.get(name) == Some(value))
            && self.fits_in(agent)
    }

    pub(crate) fn hash_value(&self) -> u64 {
        self.0.hash
    }

    fn into_wanted(self) -> Wanted {
        Arc::unwrap_or_clone(self.0).wanted
    }

    fn of(wanted: Wanted) -> Self {
        let mut hash = 0;
        for (name, level) in wanted.skills.iter() {
            hash = mix(hash ^ stable_hash(name.as_bytes()) ^ u64::from(*level));
        }
        for (name, value) in wanted.labels.iter() {
            hash = mix(hash ^ stable_hash(name.as_bytes()) ^ stable_hash(value.as_bytes()).rotate_left(1));
        }
        for (turn, amounts) in (2..).zip([&wanted.amounts, &wanted.shared]) {
            for (name, amount) in amounts.iter() {
                hash = mix(hash ^ stable_hash(name.as_bytes()).rotate_left(turn) ^ amount);
            }
        }
        if let Ok(Some(known)) = RECENT.try_with(|recent| known(recent, hash, &wanted)) {
            return known;
        }
        let needs = Self(Arc::new(Inner { hash, measure: Measure::of(&wanted), wanted }));
        if needs.0.measure.len <= FEW && needs.0.measure.longest <= SHORT {
            // Not while the thread ends: what it retained is gone.
            let _ended = RECENT.try_with(|recent| retain(recent, needs.clone()));
        }
        needs
    }
}

/// The number of needs that each thread retains.
const SHARED: usize = 64;
/// The most requirements of needs that are retained.
const FEW: usize = 8;
/// The most bytes of a name in needs that are retained.
const SHORT: usize = 64;

thread_local! {
    /// Needs that were made recently, each at a place that its hash determines.
    static RECENT: RefCell<[Option<Needs>; SHARED]> = const { RefCell::new([const { None }; SHARED]) };
}

/// The recent needs with this content. Most tasks have needs that an earlier one of the same thread has had.
fn known(recent: &RefCell<[Option<Needs>; SHARED]>, hash: u64, wanted: &Wanted) -> Option<Needs> {
    let recent = recent.try_borrow().ok()?;
    let known = recent.get(place(hash))?.as_ref()?;
    (known.0.hash == hash && known.0.wanted == *wanted).then(|| known.clone())
}

fn retain(recent: &RefCell<[Option<Needs>; SHARED]>, needs: Needs) {
    let Ok(mut recent) = recent.try_borrow_mut() else { return };
    if let Some(place) = recent.get_mut(place(needs.0.hash)) {
        *place = Some(needs);
    }
}

fn place(hash: u64) -> usize {
    usize::try_from(hash % SHARED as u64).unwrap_or(0)
}

impl PartialEq for Needs {
    fn eq(&self, other: &Self) -> bool {
        let both_nothing = || self.0.measure.len == 0 && other.0.measure.len == 0;
        Arc::ptr_eq(&self.0, &other.0) || both_nothing() || self.0 == other.0
    }
}

impl Eq for Needs {}

impl Hash for Needs {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash_value());
    }
}

impl Eq for Inner {}

impl Serialize for Needs {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.wanted.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Needs {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Wanted::deserialize(from).map(Self::of)
    }
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for (name, level) in self.skills() {
            write!(f, "{between}{name}")?;
            if level > 0 {
                write!(f, ">={level}")?;
            }
            between = ", ";
        }
        for (name, value) in self.labels() {
            write!(f, "{between}{name}={value}")?;
            between = ", ";
        }
        for (name, amount) in self.amounts().chain(self.shared()) {
            write!(f, "{between}{amount} {name}")?;
            between = ", ";
        }
        if between.is_empty() { f.write_str("nothing") } else { Ok(()) }
    }
}

impl fmt::Debug for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Needs({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_needs_of_a_thread_share_their_content() {
        let (one, other) = (Needs::skill("draw").and_skill("ink", 2), Needs::skill("draw").and_skill("ink", 2));
        assert!(Arc::ptr_eq(&one.0, &other.0));
        let read: Needs = serde_json::from_value(serde_json::to_value(&one).unwrap()).unwrap();
        assert!(Arc::ptr_eq(&one.0, &read.0));
        assert!(!Arc::ptr_eq(&one.0, &Needs::skill("draw").and_skill("ink", 3).0));
    }

    #[test]
    fn needs_at_the_same_place_do_not_mix() {
        let all: Vec<Needs> = (0..1_000).map(|level| Needs::skill("draw").and_skill("ink", level)).collect();
        for (level, needs) in (0..).zip(&all) {
            assert_eq!(needs.skills().map(|(_, level)| level).max(), Some(level));
            assert_eq!(*needs, Needs::skill("draw").and_skill("ink", level));
        }
    }

    #[test]
    fn needs_with_many_requirements_are_not_retained() {
        let many = || (0..=FEW).fold(Needs::nothing(), |needs, skill| needs.and_skill(format!("skill {skill}"), 1));
        let (one, other) = (many(), many());
        assert_eq!(one, other);
        assert!(!Arc::ptr_eq(&one.0, &other.0));
    }
    #[test]
    fn needs_with_long_names_are_not_retained() {
        let long = || Needs::skill("x".repeat(SHORT + 1));
        let (one, other) = (long(), long());
        assert_eq!(one, other);
        assert!(!Arc::ptr_eq(&one.0, &other.0));
        let short = || Needs::skill("x".repeat(SHORT));
        let (one, other) = (short(), short());
        assert!(Arc::ptr_eq(&one.0, &other.0));
    }
}
