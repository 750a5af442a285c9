//! LiveKit's wire: its messages, the two JSON flavours, tokens with their grants, data packets on their way, and SIDs.
//!
//! Plain data and total functions: whatever comes from outside is bounded in bytes and in the memory it grows to, and ends as a
//! value or an error. Deliberately knows no clock (times are handed in), no randomness (likewise) and no socket.

pub mod codec;
pub mod data;
pub mod grant;
pub mod join_request;
pub mod json;
pub mod sid;
pub mod token;

/// LiveKit's messages, as the published crate has them.
pub use livekit_protocol as pb;
pub use prost::Message;
