//! The async shell of the control plane: HTTP, WebSocket and Twirp on one port, the room table, authentication, the metrics page.
//!
//! Owns every socket but the media's, one task per room and one per WebSocket. Promises that whatever comes from outside gets a
//! clear answer or a counted end, that a panic costs one request, one connection or one room, and that refusals are HTTP statuses
//! before the upgrade. Decides nothing about rooms (`room` does) and knows nothing of the media thread: it holds one end of two
//! channels ([`MediaPort`]).

// Some of LiveKit's fields are deprecated and still what its clients read and write.
#![allow(deprecated)]

pub mod config;
pub mod control;
pub mod metrics;
pub mod store;

mod auth;
mod console;
mod entropy;
mod http;
mod join;
mod placement;
mod query;
mod rooms;
mod twirp;
mod ws;

pub use config::{ControlConfig, HttpLimits, Login};
pub use control::{Control, MediaPort};
pub use placement::WorkerPort;
pub use sluicegate_room::RoomConfig;
pub use sluicegate_room::config::Limits as NameLimits;
pub use store::{Store, StoreError};

/// Every way in, for tests that try them all.
#[doc(hidden)]
pub mod surface {
    /// Routes without a method in their name.
    pub fn http_paths() -> &'static [&'static str] {
        &crate::http::PATHS
    }

    pub fn twirp_paths() -> Vec<String> {
        crate::twirp::services::paths().collect()
    }

    /// What is asked for is the admin of the very room that the request names.
    pub fn is_of_one_room(path: &str) -> bool {
        let in_all = ["CreateRoom", "ListRooms", "DeleteRoom"];
        path.contains("RoomService") && !in_all.iter().any(|method| path.ends_with(method))
    }
}

/// Entry points of the fuzz tests: every parser of bytes from outside that is this crate's own.
#[doc(hidden)]
pub mod fuzz {
    /// A request of `/rtc` or `/rtc/v1`: query string and User-Agent.
    pub fn join(query: &str, user_agent: &str) {
        crate::join::fuzz(query, user_agent);
    }

    /// A frame of a client, binary or text.
    pub fn signal(bytes: &[u8]) {
        crate::ws::frame::fuzz(bytes);
    }

    /// A body of a Twirp request, both encodings, every message.
    pub fn twirp(bytes: &[u8]) {
        crate::twirp::message::fuzz(bytes);
    }
}
