//! The packet algebra of an SFU: RTP, RTCP and the payload headers of the codecs that it forwards.
//!
//! Owns: parsing and writing of packets, header extensions and payload descriptors.
//! Promises: every parser is a total function of the bytes given (an error or an early end, never a
//! panic, never work or memory beyond a fixed multiple of the input); no parser or writer
//! allocates, with the one exception of a dependency descriptor's attached structure.
//! Lacks on purpose: state machines (but for two unwrappers), clocks, sockets and encryption.

pub mod av1;
pub mod codec;
pub mod data_track;
pub mod dependency_descriptor;
pub mod extension;
pub mod h264;
pub mod h265;
pub mod header;
pub mod ntp;
pub mod packet;
pub mod red;
pub mod rtcp;
pub mod seq;
pub mod vp8;
pub mod vp9;

mod cursor;
mod error;

pub use codec::{Codec, MediaKind};
pub use error::RtpError;
pub use extension::{ExtensionKind, ExtensionMap, Extensions};
pub use header::RtpHeader;
pub use ntp::NtpTime;
pub use packet::PacketMeta;
