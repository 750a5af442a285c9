//! The media thread: owns its sockets and its [`Engine`](sluicegate_engine::Engine), and waits for nobody.
//!
//! Deliberately knows nothing of the control plane: commands come through a bounded channel with a waker, reports leave through
//! a function that must not block.

pub mod mailbox;
mod peer;
pub mod udp;
pub mod worker;

pub use mailbox::{CommandSender, Full};
pub use sluicegate_engine::{Certificate, CertificateError};
pub use udp::{UdpPort, UdpPorts};
pub use worker::{Report, Worker, WorkerConfig, WorkerError};
