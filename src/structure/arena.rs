//! Values in dense slots that are found by index and reused when freed.

/// Where a value stands in an [`Arena`]. Internal: never in an event, an effect or an answer.
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

/// A vector with holes. The lowest free slot is not preferred, the last freed is: reuse stays warm in the cache.
#[derive(Debug, Clone)]
pub(crate) struct Arena<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Arena<T> {
    pub(crate) fn insert(&mut self, value: T) -> Slot {
        while let Some(index) = self.free.pop() {
            if let Some(hole) = self.slots.get_mut(index as usize) {
                *hole = Some(value);
                return Slot(index);
            }
        }
        let index = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push(Some(value));
        Slot(index)
    }

    /// Puts a value at a place of the caller's choice. None if the place is taken, or beyond any that a crate of this
    /// kind would have filled.
    pub(crate) fn insert_at(&mut self, slot: Slot, value: T) -> Option<Slot> {
        const FAR: usize = 1 << 20;
        if slot.index() >= FAR || self.get(slot).is_some() {
            return None;
        }
        while self.slots.len() <= slot.index() {
            self.free.push(u32::try_from(self.slots.len()).ok()?);
            self.slots.push(None);
        }
        self.free.retain(|&index| index != slot.0);
        *self.slots.get_mut(slot.index())? = Some(value);
        Some(slot)
    }

    /// Puts a value into the lowest free slot: which one that is depends on what is there, not on the order in which
    /// others left.
    pub(crate) fn insert_lowest(&mut self, value: T) -> Slot {
        if let Some(lowest) = (0..self.free.len()).min_by_key(|&at| self.free.get(at)) {
            let last = self.free.len() - 1;
            self.free.swap(lowest, last);
        }
        self.insert(value)
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&T> {
        self.slots.get(slot.index())?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        self.slots.get_mut(slot.index())?.as_mut()
    }

    pub(crate) fn remove(&mut self, slot: Slot) -> Option<T> {
        let value = self.slots.get_mut(slot.index())?.take()?;
        self.free.push(slot.0);
        Some(value)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// All values in the order of their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        (0..).zip(&self.slots).filter_map(|(index, value)| Some((Slot(index), value.as_ref()?)))
    }
}
