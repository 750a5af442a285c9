//! One room's world as a pure state machine: participants, permissions, the signal protocol.
//!
//! Values in ([`input::Input`]), values out ([`output::Output`]); no sockets, no tokens' secrets, no clock. Everything a client
//! may send is bounded and answered by an error or ignored, never by a panic.

// Some of LiveKit's fields are deprecated and still what its clients read and write.
#![allow(deprecated)]

pub mod config;
pub mod input;
pub mod output;
pub mod placement;
pub mod room;
pub mod saved;
pub mod timer;

mod api;
mod client;
mod data;
mod data_track;
mod departure;
mod forwarding;
mod media;
mod moving;
mod participant;
mod permission;
mod quality;
mod resume;
mod rpc;
mod signal;
mod subscription;
mod tokens;
mod track;
mod update;

pub use config::RoomConfig;
pub use forwarding::Forwarded;
pub use input::Input;
pub use moving::Destination;
pub use output::Output;
pub use permission::Allowance;
pub use room::Room;
pub use saved::Saved;
