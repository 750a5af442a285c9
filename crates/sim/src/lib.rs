//! The deterministic world of the tests: a real room, a real engine and simulated clients on one virtual clock, with seeded
//! networks between them. One seed is one run of decisions; keys and SCTP tags still draw real randomness.

pub mod forwarding;
pub mod net;
pub mod plan;
pub mod world;

pub use net::Network;
pub use plan::{Measured, Plan, Source, stamp};
pub use world::World;
