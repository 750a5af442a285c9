//! The client's side: joins any LiveKit-compatible server, sends and receives media. The client is sans-IO: signal messages,
//! datagrams and deadlines in and out, so that the same client runs in simulation and, in `sluicegate load-test`, over sockets.
//!
//! It repairs losses as libwebrtc does, not as our server does: it is what the server is measured with. It decodes nothing.

pub mod client;
pub mod clip;
pub mod feedback;
pub mod histogram;
pub mod layout;
pub mod offer;
pub mod packetiser;
pub mod peer;
pub mod publisher;
#[cfg(feature = "shell")]
pub mod shell;
pub mod source;
pub mod stamp;
pub mod subscriber;

pub use client::{Arrival, Arrived, Client, ClientConfig, LayerSpec, Output, PublishSpec};
