//! Storage indexed by slots. Slots are reused, handles (which live elsewhere) are not.

use crate::slots::Slot;

/// A vector with holes, whose places are `S`.
#[derive(Debug)]
pub(crate) struct Slab<S, T> {
    slots: Vec<Option<T>>,
    free: Vec<S>,
}

impl<S: Slot, T> Slab<S, T> {
    pub(crate) fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// Keep `value`; returns its slot.
    pub(crate) fn insert(&mut self, value: T) -> S {
        if let Some(slot) = self.free.pop()
            && let Some(place) = self.slots.get_mut(slot.index())
        {
            *place = Some(value);
            return slot;
        }
        self.slots.push(Some(value));
        S::at((self.slots.len() - 1) as u32)
    }

    pub(crate) fn remove(&mut self, slot: S) -> Option<T> {
        let value = self.slots.get_mut(slot.index())?.take()?;
        self.free.push(slot);
        Some(value)
    }

    #[inline]
    pub(crate) fn get(&self, slot: S) -> Option<&T> {
        self.slots.get(slot.index())?.as_ref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: S) -> Option<&mut T> {
        self.slots.get_mut(slot.index())?.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::TrackSlot;

    #[test]
    fn slots_are_reused() {
        let at = TrackSlot::at;
        let mut slab = Slab::new();
        assert_eq!([slab.insert('a'), slab.insert('b')], [at(0), at(1)]);
        assert_eq!(slab.remove(at(0)), Some('a'));
        assert_eq!((slab.remove(at(0)), slab.get(at(0))), (None, None));
        assert_eq!(slab.get_mut(at(9)), None);
        assert_eq!([slab.insert('c'), slab.insert('d')], [at(0), at(2)]);
        assert_eq!(slab.get(at(0)), Some(&'c'));
    }
}
