//! A map from names, made for the one entry that most of them have: it is stored without an allocation.

use crate::base::name::Name;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;

/// Values by name, in the order of the names.
#[derive(Debug, Clone, Default)]
pub(super) enum ByName<V> {
    #[default]
    None,
    One((Name, V)),
    Several(Box<[(Name, V)]>),
}

impl<V> ByName<V> {
    pub(super) const fn one(name: Name, value: V) -> Self {
        Self::One((name, value))
    }

    const fn as_slice(&self) -> &[(Name, V)] {
        match self {
            Self::None => &[],
            Self::One(one) => core::slice::from_ref(one),
            Self::Several(several) => several,
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Name, &V)> {
        self.as_slice().iter().map(|(name, value)| (name, value))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.as_slice().iter().map(|(name, _)| name)
    }

    /// Sets the value of a name.
    pub(super) fn insert(&mut self, name: Name, value: V) {
        let before = core::mem::take(self).into_entries();
        let all: BTreeMap<Name, V> = before.into_iter().chain([(name, value)]).collect();
        *self = all.into();
    }

    fn into_entries(self) -> Vec<(Name, V)> {
        match self {
            Self::None => Vec::new(),
            Self::One(one) => vec![one],
            Self::Several(several) => several.into_vec(),
        }
    }
}

impl<V> From<BTreeMap<Name, V>> for ByName<V> {
    fn from(mut all: BTreeMap<Name, V>) -> Self {
        match all.len() {
            0 | 1 => all.pop_first().map_or(Self::None, Self::One),
            _ => Self::Several(all.into_iter().collect()),
        }
    }
}

impl<V: PartialEq> PartialEq for ByName<V> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<V: Eq> Eq for ByName<V> {}

impl<V: Ord> PartialOrd for ByName<V> {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<V: Ord> Ord for ByName<V> {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

impl<V: Serialize> Serialize for ByName<V> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.iter())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for ByName<V> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(from).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_map_that_it_replaces() {
        let mut random = crate::Random::new(1, 1);
        for _ in 0..200 {
            let (mut map, mut other) = (ByName::default(), BTreeMap::new());
            for _ in 0..random.below(6) {
                let (name, value) = (Name::from(["a", "b", "c", "d"][random.below(4)]), random.below(100));
                map.insert(name.clone(), value);
                other.insert(name, value);
                let text = serde_json::to_string(&map).unwrap();
                assert_eq!(text, serde_json::to_string(&other).unwrap());
                assert_eq!(serde_json::from_str::<ByName<usize>>(&text).unwrap(), map);
                assert!(map.iter().eq(other.iter()) && map.names().eq(other.keys()));
                assert_eq!(ByName::from(other.clone()), map);
            }
            assert_eq!(map.is_empty(), other.is_empty());
        }
    }
}
