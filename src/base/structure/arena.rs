//! Values in dense slots, addressed by index; freed slots are reused.

/// The index of a value in an [`Arena`]. Internal: it never appears in an event, an effect or an answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Slot(u32);

impl Slot {
    pub(crate) const fn new(index: u32) -> Self {
        Self(index)
    }

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    pub(crate) const fn get(self) -> u32 {
        self.0
    }
}

/// Slots per chunk; an arena reserves at most this many slots more than it uses.
const CHUNK: usize = 64;

/// A vector with holes, allocated in chunks of a fixed size, so that growing moves no value. The slot freed last is
/// reused first, because it is likely in the cache.
#[derive(Debug, Clone)]
pub(crate) struct Arena<T> {
    chunks: Vec<Box<[Option<T>; CHUNK]>>,
    /// The number of slots that have been used.
    len: usize,
    free: Vec<u32>,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0, free: Vec::new() }
    }
}

impl<T> Arena<T> {
    #[inline]
    pub(crate) fn insert(&mut self, value: T) -> Slot {
        while let Some(index) = self.free.pop() {
            if let Some(hole) = self.place(index as usize) {
                *hole = Some(value);
                return Slot(index);
            }
        }
        let index = self.widen();
        if let Some(place) = self.place(index) {
            *place = Some(value);
        }
        Slot(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// Adds a slot and returns its index.
    fn widen(&mut self) -> usize {
        if self.len == self.chunks.len() * CHUNK {
            self.chunks.push(Box::new(core::array::from_fn(|_| None)));
        }
        self.len += 1;
        self.len - 1
    }

    #[inline]
    fn place(&mut self, index: usize) -> Option<&mut Option<T>> {
        self.chunks.get_mut(index / CHUNK)?.get_mut(index % CHUNK)
    }

    /// Stores a value in a slot that the caller chooses. Returns `None` if the slot is occupied, or beyond any index
    /// that this crate could have reached.
    pub(crate) fn insert_at(&mut self, slot: Slot, value: T) -> Option<Slot> {
        const FAR: usize = 1 << 20;
        if slot.index() >= FAR || self.get(slot).is_some() {
            return None;
        }
        while self.len <= slot.index() {
            let index = self.widen();
            self.free.push(u32::try_from(index).ok()?);
        }
        self.free.retain(|&index| index != slot.0);
        *self.place(slot.index())? = Some(value);
        Some(slot)
    }

    /// Stores a value in the lowest free slot, which depends on the occupied slots only and not on the order of
    /// removals.
    pub(crate) fn insert_lowest(&mut self, value: T) -> Slot {
        if let Some(lowest) = (0..self.free.len()).min_by_key(|&at| self.free.get(at)) {
            let last = self.free.len() - 1;
            self.free.swap(lowest, last);
        }
        self.insert(value)
    }

    #[inline]
    pub(crate) fn get(&self, slot: Slot) -> Option<&T> {
        self.chunks.get(slot.index() / CHUNK)?.get(slot.index() % CHUNK)?.as_ref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        self.place(slot.index())?.as_mut()
    }

    #[inline]
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<T> {
        let value = self.place(slot.index())?.take()?;
        self.free.push(slot.0);
        Some(value)
    }

    pub(crate) fn len(&self) -> usize {
        self.len - self.free.len()
    }

    /// All values in the order of their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        (0..)
            .zip(self.chunks.iter().flat_map(|chunk| chunk.iter()))
            .filter_map(|(index, value)| Some((Slot(index), value.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Behaves the same beyond the first chunk as within it: stored values can be read, and the slot freed last is
    /// reused first.
    #[test]
    fn an_arena_of_several_chunks_is_one() {
        let mut arena = Arena::default();
        let slots: Vec<Slot> = (0..3 * CHUNK + 7).map(|value| arena.insert(value)).collect();
        assert!(
            slots.iter().enumerate().all(|(value, slot)| arena.get(*slot) == Some(&value) && slot.index() == value)
        );
        let gone = [CHUNK - 1, CHUNK, 2 * CHUNK + 3];
        gone.iter().for_each(|at| assert_eq!(arena.remove(slots[*at]), Some(*at)));
        assert_eq!(arena.remove(slots[CHUNK]), None);
        assert_eq!(arena.len(), 3 * CHUNK + 4);
        assert_eq!(arena.insert(9), slots[2 * CHUNK + 3]);
        assert_eq!(arena.insert_lowest(8), slots[CHUNK - 1]);
        let there: Vec<usize> = arena.iter().map(|(slot, _)| slot.index()).collect();
        assert_eq!(there, (0..3 * CHUNK + 7).filter(|at| *at != CHUNK).collect::<Vec<_>>());
        let far = Slot::new(5 * 64 + 1);
        assert_eq!(arena.insert_at(far, 1), Some(far));
        assert_eq!((arena.insert_at(far, 2), arena.get(far), arena.len()), (None, Some(&1), 3 * CHUNK + 7));
        assert_eq!(arena.insert_at(Slot::new(u32::MAX), 2), None);
    }
}
