//! The client's side: joins any LiveKit-compatible server, sends and receives media. Sans-IO: signal messages, datagrams and
//! deadlines in and out, so that the same client runs in simulation and, later, over sockets.
//!
//! It repairs losses as libwebrtc does, not as our server does: it is what the server is measured with.

pub mod client;
pub mod peer;
pub mod publisher;
pub mod subscriber;

pub use client::{Arrival, Client, ClientConfig, Output, PublishSpec};
