//! The parts of a down track that decide about numbers: which layer, which sequence number, which picture id.

pub mod munger;
pub mod selector;
pub mod vp8;
