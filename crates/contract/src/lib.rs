//! The bridge: every value that crosses a plane, a core or a process.
//!
//! Owns no behaviour. Promises that both planes can be built and tested without each other. Deliberately knows no protobuf, no
//! SIDs (they pass through as opaque labels for SDP), no sockets and no clock.

pub mod command;
pub mod entropy;
pub mod event;
pub mod key;
pub mod limit;
pub mod meter;
pub mod relay;
pub mod time;

pub use command::Command;
pub use event::Event;
pub use key::{DataTrackKey, RoomKey, SessionKey, TrackKey};
pub use relay::{Relay, WorkerKey};
