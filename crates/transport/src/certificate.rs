//! The server's DTLS certificate: self-signed, made once, shared by every PeerConnection; clients trust its fingerprint in the SDP.

use str0m::config::DtlsCert;

use crate::TransportError;

/// A certificate with its private key.
#[derive(Clone, Debug)]
pub struct Certificate(pub(crate) DtlsCert);

impl Certificate {
    /// Draws a new key (P-256).
    pub fn generate() -> Result<Self, TransportError> {
        let provider = str0m::crypto::from_feature_flags();
        provider.dtls_provider.generate_certificate().map(Certificate).ok_or(TransportError::Certificate)
    }
}
