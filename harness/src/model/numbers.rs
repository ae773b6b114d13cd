//! A small source of numbers that gives the same ones in ten years, and the hash of a world.

use std::hash::{BuildHasherDefault, Hasher};

use super::world::World;

/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", `SplitMix64`.
pub(super) struct SplitMix64(u64);

/// The step of [`SplitMix64`], an odd number near the golden ratio of 2^64.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The fingerprints of every push, and those that look at the same worlds once more.
pub(super) const KEYS: [u64; 2] = [0x51a7_05e5_0000_0001, 0xd1b5_4a32_d192_ed03];

impl SplitMix64 {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// Returns a number below `limit`, which is not 0.
    pub(super) const fn below(&mut self, limit: usize) -> usize {
        // No menu and no schedule is longer than 2^32.
        (((self.next() >> 32) * limit as u64) >> 32) as usize
    }
}

const fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// A quick hash for what a search has met of core: there are few values, and nobody chooses them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quick(u64);

/// Makes [`Quick`].
pub(super) type BuildQuick = BuildHasherDefault<Quick>;

impl Hasher for Quick {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(size_of::<u64>()) {
            let mut word = [0; size_of::<u64>()];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(u64::from(number));
    }

    fn write_u16(&mut self, number: u16) {
        self.write_u64(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        let product = u128::from(self.0 ^ number ^ STEP) * 0xe703_7ed1_a0b4_28db;
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }
}

/// Words without a pattern, from the digits of pi.
const SALT: [u64; 3] = [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344, 0xa409_3822_299f_31d0];

/// Returns the fingerprint of a world: never 0, which marks a free slot.
pub(super) fn fingerprint<const N: usize>(world: &World<N>, key: u64, forgets: bool) -> u64 {
    let mut hash = fold(key ^ SALT[0], world.shared.word() ^ SALT[1]);
    for session in &world.sessions {
        let [first, second, third] = session.words();
        // The harness's own mutant M38 leaves out what is armed, said and published.
        let second = if forgets { 0 } else { second };
        let most = fold(first ^ key ^ SALT[0], second ^ SALT[1]);
        hash = fold(hash ^ most, third ^ SALT[2]);
    }
    mix(hash).max(1)
}

/// Both halves of the product, so that every bit of both words reaches every bit of the hash.
///
/// Source: Wang Yi, `wyhash`, final version 4.
const fn fold(one: u64, other: u64) -> u64 {
    let product = one as u128 * other as u128;
    (product as u64) ^ ((product >> 64) as u64)
}
