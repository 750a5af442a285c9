//! One worker's world as a pure state machine: sessions, publications, subscriptions, and the packets between them.
//!
//! Datagrams, commands and deadlines in; datagrams, events and deadlines out. The engine never reads a clock, owns no socket and
//! no thread, and knows tracks and participants only by dense keys. Nothing a datagram or an SDP holds can make it panic, wait
//! or grow without bound.

pub mod demux;
pub mod engine;
pub mod publication;
pub mod session;
pub mod sink;
pub mod subscription;
pub mod timer;

mod command;
mod contain;
mod data;
mod data_track;
mod link;
mod negotiate;
mod pacer;
mod paths;
mod receive;
mod relay;
mod report;
mod rtcp;
mod service;

pub use engine::{Engine, EngineConfig, Known, Reason};
pub use sluicegate_transport::TransportError as CertificateError;
pub use sluicegate_transport::address::{Carrier, LocalAddress};
pub use sluicegate_transport::certificate::Certificate;
