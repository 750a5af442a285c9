//! LiveKit's wire: its messages, the two JSON flavours, tokens with their grants, and SIDs.
//!
//! Plain data and total functions; deliberately knows no clock (times are handed in) and no socket.

pub mod grant;
pub mod join_request;
pub mod json;
pub mod sid;
pub mod token;

/// LiveKit's messages, as the published crate has them.
pub use livekit_protocol as pb;
pub use prost::Message;
