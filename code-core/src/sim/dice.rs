//! Numbers that look like luck and follow from a seed: the only source of chance in a story.

/// A small generator: the same seed gives the same rolls on every machine (xorshift64*, Vigna 2016).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The dice of a seed; any number will do.
    pub fn new(seed: u64) -> Dice {
        Dice(mixed(seed).max(1))
    }

    /// The dice of something in particular, whatever was rolled elsewhere.
    #[must_use]
    pub fn of(seed: u64, what: &[u8]) -> Dice {
        Dice::new(what.iter().fold(mixed(seed), |hash, byte| mixed(hash ^ u64::from(*byte))))
    }

    /// A number below `below`; 0 where that is 0.
    pub fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % below.max(1)
    }

    /// True once in so many rolls.
    pub fn one_in(&mut self, many: usize) -> bool {
        self.roll(many) == 0
    }

    /// True in so many of a hundred rolls.
    pub fn percent(&mut self, share: usize) -> bool {
        self.roll(100) < share
    }
}

/// Every bit of the result depends on every bit of the input (SplitMix64, Steele et al. 2014).
fn mixed(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
