//! Tables by requirement class, built anew when the agents of the class change.

use super::super::Candidates;

/// So many classes have their table at once; the one used least lately makes room.
const KEPT: usize = 32;

/// Tables by class.
#[derive(Debug, Clone)]
pub(super) struct Tables<T> {
    tables: Vec<Table<T>>,
    clock: u64,
}

#[derive(Debug, Clone)]
struct Table<T> {
    class: u32,
    epoch: u64,
    used: u64,
    of: T,
}

impl<T> Default for Tables<T> {
    fn default() -> Self {
        Self { tables: Vec::new(), clock: 0 }
    }
}

impl<T> Tables<T> {
    /// The table of these candidates' class, built if it is missing or old.
    pub(super) fn of(&mut self, among: &Candidates<'_>, build: impl FnOnce(&Candidates<'_>) -> T) -> Option<&mut T> {
        self.clock += 1;
        let (class, epoch, used) = (among.class(), among.epoch(), self.clock);
        let at = match self.tables.iter().position(|table| table.class == class) {
            Some(at) => at,
            None if self.tables.len() < KEPT => {
                self.tables.push(Table { class, epoch, used, of: build(among) });
                return self.tables.last_mut().map(|table| &mut table.of);
            }
            None => (0..self.tables.len()).min_by_key(|at| self.tables.get(*at).map(|table| table.used))?,
        };
        let table = self.tables.get_mut(at)?;
        if table.class != class || table.epoch != epoch {
            *table = Table { class, epoch, used, of: build(among) };
        }
        table.used = used;
        Some(&mut table.of)
    }
}
