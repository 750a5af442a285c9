//! SRTP and SRTCP in place (RFC 3711, RFC 7714).
//!
//! Owns the session keys of one PeerConnection, one [`Sealer`] down and one [`Opener`] up. The roll-over counter down belongs to
//! the caller, who hands in extended sequence numbers; up it is kept here per SSRC and moves only after a good tag. No
//! allocation per packet. Deliberately lacks key renewal (MKI, re-keying): DTLS-SRTP sessions of WebRTC have none.

mod ctr;
mod gcm;
mod kdf;
mod opener;
mod replay;
mod sealer;

pub use opener::{Opened, Opener, SSRCS_MAX};
pub use sealer::Sealer;

/// The protection profile that DTLS negotiated (RFC 5764 §4.1.2, RFC 7714 §14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    AeadAes256Gcm,
    AeadAes128Gcm,
    Aes128CmSha1_80,
}

impl Profile {
    /// Bytes of one master key.
    pub const fn key_len(self) -> usize {
        match self {
            Profile::AeadAes256Gcm => 32,
            Profile::AeadAes128Gcm | Profile::Aes128CmSha1_80 => 16,
        }
    }

    /// Bytes of one master salt.
    pub const fn salt_len(self) -> usize {
        match self {
            Profile::AeadAes256Gcm | Profile::AeadAes128Gcm => 12,
            Profile::Aes128CmSha1_80 => 14,
        }
    }

    /// Bytes a sealed RTP packet is longer than the plain one.
    pub const fn tag_len(self) -> usize {
        match self {
            Profile::AeadAes256Gcm | Profile::AeadAes128Gcm => 16,
            Profile::Aes128CmSha1_80 => 10,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SrtpError {
    #[error("keying material of a wrong length")]
    Keys,
    #[error("the packet is too short or the buffer too small")]
    Length,
    #[error("the tag does not fit the packet")]
    Unauthentic,
    #[error("the packet was received before, or is too old to tell")]
    Replayed,
    #[error("more SSRCs than a PeerConnection may use")]
    TooManySsrcs,
    #[error("the key has sealed all packets it may")]
    Exhausted,
}

/// The keys of both directions of one PeerConnection.
#[derive(Debug)]
pub struct SrtpKeys {
    pub sealer: Sealer,
    pub opener: Opener,
}

impl SrtpKeys {
    /// Splits the exported keying material (RFC 5764 §4.2: client key, server key, client salt, server salt). `active`: we are the
    /// DTLS client, so we seal with the client's half.
    pub fn derive(profile: Profile, material: &[u8], active: bool) -> Result<Self, SrtpError> {
        let (key, salt) = (profile.key_len(), profile.salt_len());
        let client_key = material.get(..key).ok_or(SrtpError::Keys)?;
        let server_key = material.get(key..2 * key).ok_or(SrtpError::Keys)?;
        let client_salt = material.get(2 * key..2 * key + salt).ok_or(SrtpError::Keys)?;
        let server_salt = material.get(2 * key + salt..2 * key + 2 * salt).ok_or(SrtpError::Keys)?;
        let (ours, theirs) = if active {
            ((client_key, client_salt), (server_key, server_salt))
        } else {
            ((server_key, server_salt), (client_key, client_salt))
        };
        Ok(Self { sealer: Sealer::new(profile, ours.0, ours.1)?, opener: Opener::new(profile, theirs.0, theirs.1)? })
    }
}

/// SRTCP's E bit: the packet is encrypted (RFC 3711 §3.4).
const SRTCP_ENCRYPTED: u32 = 0x8000_0000;
/// The fixed part of an RTCP packet that stays in the clear.
const RTCP_CLEAR: usize = 8;

fn ssrc_of_rtcp(packet: &[u8]) -> Option<u32> {
    packet.get(4..8)?.try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests;
