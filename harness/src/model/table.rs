//! The set of the worlds that were met.

use std::hint::black_box;

/// Slots of a new table: as many as fit a core's own cache.
const SLOTS_MIN: usize = 1 << 14;

/// A table is doubled when it is this full, in percent.
const LOAD_MAX_PERCENT: usize = 60;

/// Fingerprints in open addressing. 0 marks a free slot.
///
/// A fingerprint is looked for from the slot that its upper bits name, so that a larger table has
/// all in the same order: to double it is to copy it from one end to the other.
pub(super) struct Table {
    slots: Vec<u64>,
    len: usize,
}

impl Table {
    pub(super) fn new() -> Self {
        Self { slots: vec![0; SLOTS_MIN], len: 0 }
    }

    /// Returns how much memory it has, or is about to need for a moment, in bytes: one that is soon
    /// doubled has three times its memory then.
    pub(super) const fn bytes(&self) -> usize {
        let is_soon_doubled = self.len * 100 >= self.slots.len() * (LOAD_MAX_PERCENT - 5);
        self.slots.len() * size_of::<u64>() * if is_soon_doubled { 3 } else { 1 }
    }

    /// Reads where these fingerprints will be looked for. The reads do not wait for each other, and
    /// what they bring is in the cache when the fingerprints are inserted.
    pub(super) fn touch(&self, fingerprints: &[u64]) {
        let shift = shift_of(&self.slots);
        let read = |bits, fingerprint: &u64| bits ^ self.slots[(fingerprint >> shift) as usize];
        black_box(fingerprints.iter().fold(0, read));
    }

    /// Adds a fingerprint, which is not 0, and returns whether it is new.
    pub(super) fn insert(&mut self, fingerprint: u64) -> bool {
        if self.len * 100 >= self.slots.len() * LOAD_MAX_PERCENT {
            self.grow();
        }
        let is_new = place(&mut self.slots, fingerprint);
        self.len += usize::from(is_new);
        is_new
    }

    fn grow(&mut self) {
        let mut slots = vec![0; self.slots.len() * 2];
        for fingerprint in self.slots.iter().filter(|slot| **slot != 0) {
            place(&mut slots, *fingerprint);
        }
        self.slots = slots;
    }
}

/// There are a power of two slots.
const fn shift_of(slots: &[u64]) -> u32 {
    u64::BITS - slots.len().trailing_zeros()
}

fn place(slots: &mut [u64], fingerprint: u64) -> bool {
    let mask = slots.len() - 1;
    let mut at = (fingerprint >> shift_of(slots)) as usize;
    loop {
        let slot = &mut slots[at & mask];
        if *slot == fingerprint {
            return false;
        }
        if *slot == 0 {
            *slot = fingerprint;
            return true;
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{SLOTS_MIN, Table};

    #[test]
    fn a_table_that_has_grown_knows_what_it_knew_and_nothing_else() {
        let mut table = Table::new();
        // One for each slot, the last too, and neighbours that must wrap around.
        let prints = |bit: u64| (0..SLOTS_MIN as u64).map(move |number| !(number << 50) ^ bit);
        assert!(prints(0).all(|print| table.insert(print)));
        table.touch(&prints(0).collect::<Vec<_>>());
        assert!(!prints(0).any(|print| table.insert(print)));
        assert!(prints(1).all(|print| table.insert(print)));
        assert!(table.bytes() > SLOTS_MIN * size_of::<u64>());
    }
}
