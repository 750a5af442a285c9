//! Randomness for cores that may not draw it: a small generator, seeded from outside, so that a seed replays a run.
//!
//! For names and first numbers (SIDs, SSRCs, sequence numbers), never for keys: those are drawn by the crypto library.

/// xoshiro256** (Blackman, Vigna 2018), seeded by splitmix64.
#[derive(Clone, Debug)]
pub struct Entropy([u64; 4]);

impl Entropy {
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        Self([(); 4].map(|()| splitmix64(&mut state)))
    }

    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.0;
        let out = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        out
    }

    pub fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }
}

fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_is_one_sequence() {
        let (mut a, mut b, mut c) = (Entropy::new(7), Entropy::new(7), Entropy::new(8));
        let run = |e: &mut Entropy| (0..100).map(|_| e.next_u64()).collect::<Vec<_>>();
        let (a, b, c) = (run(&mut a), run(&mut b), run(&mut c));
        assert_eq!(a, b);
        assert_ne!(a, c);
    }
}
