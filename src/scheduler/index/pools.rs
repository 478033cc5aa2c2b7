//! Resources that all agents share.

use crate::base::name::Name;
use crate::scheduler::inconsistent::{Applied, InconsistentEvent};
use crate::task::Needs;
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

    /// The first resource of which more is needed than the total, with the amount needed and the total.
    pub(crate) fn exceeded(&self, needs: &Needs) -> Option<(Name, u64, u64)> {
        let needed = needs.shared().map(|(name, amount)| (name, amount, self.total(name)));
        needed
            .filter(|(_, amount, total)| amount > total)
            .map(|(name, amount, total)| (name.clone(), amount, total))
            .next()
    }

    pub(super) fn take(&mut self, needs: &Needs) -> Applied {
        add_all(&mut self.used, needs.shared())
    }

    pub(super) fn give(&mut self, needs: &Needs) -> Applied {
        subtract_all(&mut self.used, needs.shared())
    }

    /// Compares the amounts in use with the needs of the attempts under way.
    pub(super) fn check<'a>(&self, needs: impl Iterator<Item = &'a Needs>) -> Result<(), String> {
        let mut used = BTreeMap::new();
        for needs in needs {
            add_all(&mut used, needs.shared()).map_err(|InconsistentEvent(why)| why.to_owned())?;
        }
        if used == self.used {
            return Ok(());
        }
        Err(format!("the attempts use {used:?} of the shared resources, but {:?} is counted", self.used))
    }
}

/// Adds amounts to those in use. A resource of which nothing is used has no entry.
pub(super) fn add_all<'a>(used: &mut BTreeMap<Name, u64>, amounts: impl Iterator<Item = (&'a Name, u64)>) -> Applied {
    for (name, amount) in amounts.filter(|(_, amount)| *amount > 0) {
        let here = used.entry(name.clone()).or_default();
        *here =
            here.checked_add(amount).ok_or(InconsistentEvent("attempts use more of a resource than can be counted"))?;
    }
    Ok(())
}

/// Subtracts amounts that [`add_all`] added.
pub(super) fn subtract_all<'a>(
    used: &mut BTreeMap<Name, u64>,
    amounts: impl Iterator<Item = (&'a Name, u64)>,
) -> Applied {
    for (name, amount) in amounts.filter(|(_, amount)| *amount > 0) {
        let here = used.get_mut(name).ok_or(NOT_USED)?;
        *here = here.checked_sub(amount).ok_or(NOT_USED)?;
        if *here == 0 {
            used.remove(name);
        }
    }
    Ok(())
}

const NOT_USED: InconsistentEvent = InconsistentEvent("an attempt gives back more of a resource than is in use");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_given_back() {
        let mut pools = Pools::new([("gpu".into(), 4)].into());
        let needs = Needs::nothing().and_shared("gpu", 3);
        assert!(pools.fits(&needs));
        pools.take(&needs).unwrap();
        assert!(!pools.fits(&needs));
        assert_eq!(pools.iter().collect::<Vec<_>>(), [(&Name::from("gpu"), 3, 4)]);
        assert_eq!(pools.check([&needs].into_iter()), Ok(()));
        pools.give(&needs).unwrap();
        assert_eq!(pools.check([].into_iter()), Ok(()));
        assert_eq!(pools.give(&needs), Err(NOT_USED));
    }

    #[test]
    fn an_amount_of_zero_is_not_counted() {
        let mut pools = Pools::new([("gpu".into(), 4)].into());
        let (none, one) = (Needs::nothing().and_shared("gpu", 0), Needs::nothing().and_shared("gpu", 1));
        pools.take(&none).unwrap();
        pools.take(&one).unwrap();
        pools.give(&one).unwrap();
        assert_eq!(pools.check([&none].into_iter()), Ok(()));
        pools.give(&none).unwrap();
        assert_eq!(pools.check([].into_iter()), Ok(()));
    }

    #[test]
    fn amounts_in_use_are_exact_at_the_largest_number() {
        let mut pools = Pools::new([("gpu".into(), u64::MAX)].into());
        let all = Needs::nothing().and_shared("gpu", u64::MAX);
        pools.take(&all).unwrap();
        assert!(pools.take(&Needs::nothing().and_shared("gpu", 1)).is_err(), "the sum does not saturate");
        pools.give(&all).unwrap();
        assert_eq!(pools.check([].into_iter()), Ok(()));
    }
}
