//! One PeerConnection: ICE, DTLS and SCTP by str0m; SRTP and SDP by us. The only crate that names str0m.
//!
//! Sans-IO like everything below the shells. str0m's own media plane is never used: RTP and RTCP do not touch it.

pub mod address;
pub mod certificate;
pub mod connection;
pub mod data;
pub mod dtls_keys;
pub mod ice;
pub mod negotiate;
pub mod sdp;
pub mod srtp;
pub mod transport;

/// Why a PeerConnection cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    #[error("no DTLS certificate could be made")]
    Certificate,
    #[error("the remote candidate cannot be used: {0}")]
    Candidate(String),
    #[error("ICE, DTLS or SCTP failed: {0}")]
    Connection(String),
}
