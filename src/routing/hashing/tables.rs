//! Lookup tables by requirement class. They are rebuilt when the agents of the class change.

use super::super::Candidates;

/// The total size of all tables in bytes, beyond which the least recently used one is dropped. Building a table takes a
/// thousand times as long as a lookup, so the limit is generous.
const ROOM: usize = 64 << 20;

/// The data of a class.
pub(super) trait Table {
    /// Its approximate size.
    fn bytes(&self) -> usize;
}

/// Tables by class.
#[derive(Debug, Clone)]
pub(super) struct Tables<T> {
    /// Indexed by class.
    tables: Vec<Option<Kept<T>>>,
    clock: u64,
    bytes: usize,
}

#[derive(Debug, Clone)]
struct Kept<T> {
    epoch: u64,
    used: u64,
    of: T,
}

impl<T> Default for Tables<T> {
    fn default() -> Self {
        Self { tables: Vec::new(), clock: 0, bytes: 0 }
    }
}

impl<T: Table> Tables<T> {
    /// The table of these candidates' class, built if it is missing or outdated.
    pub(super) fn of(&mut self, among: &Candidates<'_>, build: impl FnOnce(&Candidates<'_>) -> T) -> Option<&mut T> {
        self.clock += 1;
        let (class, used) = (among.class() as usize, self.clock);
        let is_new = |kept: &Kept<T>| kept.epoch == among.epoch();
        if !self.tables.get(class).is_some_and(|kept| kept.as_ref().is_some_and(is_new)) {
            self.keep(class, Kept { epoch: among.epoch(), used, of: build(among) });
        }
        let kept = self.tables.get_mut(class)?.as_mut()?;
        kept.used = used;
        Some(&mut kept.of)
    }

    fn keep(&mut self, class: usize, kept: Kept<T>) {
        if class >= self.tables.len() {
            self.tables.resize_with(class + 1, || None);
        }
        self.drop(class);
        let bytes = kept.of.bytes();
        while self.bytes > 0 && self.bytes.saturating_add(bytes) > ROOM {
            let used = |(at, kept): (usize, &Option<Kept<T>>)| Some((kept.as_ref()?.used, at));
            let Some((_, oldest)) = self.tables.iter().enumerate().filter_map(used).min() else { break };
            self.drop(oldest);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        if let Some(entry) = self.tables.get_mut(class) {
            *entry = Some(kept);
        }
    }

    fn drop(&mut self, class: usize) {
        if let Some(old) = self.tables.get_mut(class).and_then(Option::take) {
            self.bytes = self.bytes.saturating_sub(old.of.bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Roster;
    use super::*;
    use crate::base::id::AgentId;
    use crate::base::time::Time;
    use crate::task::Needs;
    use crate::task::agent::AgentSpec;

    /// A table of a third of the total size, with the number of tables that were built before it.
    struct Third(usize);

    impl Table for Third {
        fn bytes(&self) -> usize {
            ROOM / 3
        }
    }

    #[test]
    fn the_one_used_least_lately_makes_room() {
        let mut roster = Roster::default();
        let skills = ["a", "b", "c", "d"];
        let spec = skills.iter().fold(AgentSpec::new(AgentId::new(1)), |spec, skill| spec.with_skill(*skill, 1));
        roster.add(spec.clone());
        let classes = skills.map(|skill| roster.class(&Needs::skill(skill)));
        let (mut tables, mut built) = (Tables::default(), 0);
        let mut ask = |class: usize, roster: &Roster| {
            let among = roster.among(classes[class], Time::ZERO).unwrap();
            let build = |_: &Candidates<'_>| {
                built += 1;
                Third(built - 1)
            };
            tables.of(&among, build).unwrap().0
        };
        let asked = [0, 1, 2, 0, 1, 2, 0, 3, 1].map(|class| ask(class, &roster));
        assert_eq!(asked, [0, 1, 2, 0, 1, 2, 0, 3, 4], "the second was dropped for the fourth and was built again");
        roster.add(spec);
        assert_eq!((ask(3, &roster), ask(3, &roster)), (5, 5), "an outdated one is built again, once");
    }
}
