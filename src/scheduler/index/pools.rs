//! Resources that all agents share.

use crate::base::name::Name;
use crate::task::{Needs, TaskSpec};
use std::collections::BTreeMap;

/// The total amount of each shared resource and the amount in use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pools {
    total: BTreeMap<Name, u64>,
    used: BTreeMap<Name, u64>,
}

impl Pools {
    pub(crate) fn new(total: BTreeMap<Name, u64>) -> Self {
        Self { total, used: BTreeMap::new() }
    }

    fn total(&self, name: &Name) -> u64 {
        self.total.get(name).copied().unwrap_or(0)
    }

    fn used(&self, name: &Name) -> u64 {
        self.used.get(name).copied().unwrap_or(0)
    }

    /// Each resource with the amount in use and the total.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Name, u64, u64)> {
        self.total.iter().map(|(name, total)| (name, self.used(name), *total))
    }

    /// Whether the free amounts suffice for these needs.
    pub(crate) fn fits(&self, needs: &Needs) -> bool {
        needs.shared().all(|(name, amount)| self.total(name).saturating_sub(self.used(name)) >= amount)
    }

    /// The first resource of which the task needs more than the total, with the amount needed and the total.
    pub(crate) fn never_fits(&self, spec: &TaskSpec) -> Option<(Name, u64, u64)> {
        let needed = spec.needs.shared().map(|(name, amount)| (name, amount, self.total(name)));
        needed
            .filter(|(_, amount, total)| amount > total)
            .map(|(name, amount, total)| (name.clone(), amount, total))
            .next()
    }

    pub(super) fn take(&mut self, needs: &Needs) {
        needs.shared().for_each(|(name, amount)| add(&mut self.used, name, amount));
    }

    pub(super) fn give(&mut self, needs: &Needs) {
        needs.shared().for_each(|(name, amount)| subtract(&mut self.used, name, amount));
    }

    /// Compares the amounts in use with the needs of the attempts under way.
    pub(super) fn check<'a>(&self, needs: impl Iterator<Item = &'a Needs>) -> Result<(), String> {
        let mut used = BTreeMap::new();
        needs.for_each(|needs| needs.shared().for_each(|(name, amount)| add(&mut used, name, amount)));
        if used == self.used {
            return Ok(());
        }
        Err(format!("the attempts use {used:?} of the shared resources, but {:?} is counted", self.used))
    }
}

pub(super) fn add(used: &mut BTreeMap<Name, u64>, name: &Name, amount: u64) {
    let here = used.entry(name.clone()).or_default();
    *here = here.saturating_add(amount);
}

pub(super) fn subtract(used: &mut BTreeMap<Name, u64>, name: &Name, amount: u64) {
    if let Some(here) = used.get_mut(name) {
        *here = here.saturating_sub(amount);
        if *here == 0 {
            used.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_given_back() {
        let mut pools = Pools::new([("gpu".into(), 4)].into());
        let needs = Needs::nothing().and_shared("gpu", 3);
        assert!(pools.fits(&needs));
        pools.take(&needs);
        assert!(!pools.fits(&needs));
        assert_eq!(pools.iter().collect::<Vec<_>>(), [(&Name::from("gpu"), 3, 4)]);
        assert_eq!(pools.check([&needs].into_iter()), Ok(()));
        pools.give(&needs);
        assert_eq!(pools.check([].into_iter()), Ok(()));
    }
}
