//! Chance that is the same every time: SplitMix64 (Steele, Lea and Flood, 2014) and what is drawn from it.

use std::f64::consts::TAU;

/// A source of numbers that depends on its seed alone.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The source of this seed; two streams of one seed have nothing to do with each other.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut chance = Self(seed.wrapping_mul(0xd1b5_4a32_d192_ed03) ^ stream);
        chance.next();
        chance
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Above 0 and at most 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let bits = (self.next() >> 11) as f64;
        (bits + 1.0) / (1_u64 << 53) as f64
    }

    /// Between two bounds.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// The normal distribution of mean 0 and deviation 1, by Box and Muller.
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (TAU * self.uniform()).cos()
    }

    /// A factor around 1 whose logarithm has this deviation.
    pub(crate) fn around_one(&mut self, deviation: f64) -> f64 {
        (deviation * self.normal()).exp()
    }

    /// The time until something happens that happens once in `mean`.
    pub(crate) fn wait(&mut self, mean: f64) -> f64 {
        -mean * self.uniform().ln()
    }

    /// True as often as this share says.
    pub(crate) fn happens(&mut self, share: f64) -> bool {
        self.uniform() <= share
    }
}
