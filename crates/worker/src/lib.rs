//! The media thread: owns its sockets and its [`Engine`](sluicegate_engine::Engine), and waits for nobody.
//!
//! Deliberately knows nothing of the control plane: commands come through a bounded channel with a waker, reports leave through
//! a function that must not block.

pub mod mailbox;
pub mod receive;
pub mod send;
pub mod udp;
pub mod worker;

mod batch;
mod offload;
mod peer;
mod shared;
pub mod tcp;

pub use mailbox::{CommandSender, Full};
pub use sluicegate_engine::{Certificate, CertificateError, LocalAddress};
pub use tcp::TcpPort;
pub use udp::{Offload, Port, SOCKET_BUFFER_BYTES, UdpPort, UdpPorts};
pub use worker::{Report, Worker, WorkerConfig, WorkerError};
