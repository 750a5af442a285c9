//! Randomness for names and seeds; nothing that must stay secret is drawn here.

use std::hash::{BuildHasher, RandomState};

/// A number that nobody can foretell: the standard library's hash keys come from the operating system.
pub fn random() -> u64 {
    RandomState::new().hash_one(0u8)
}
