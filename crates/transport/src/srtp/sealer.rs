//! The direction down: seals what we send.

use super::ctr::Ctr;
use super::gcm::Gcm;
use super::{Profile, SrtpError};

/// The largest SRTCP index (31 bits); a key may not seal more (RFC 3711 §9.2).
const RTCP_INDEX_MAX: u32 = 0x7FFF_FFFF;
/// The largest SRTP index (48 bits).
const RTP_INDEX_MAX: u64 = (1 << 48) - 1;

pub(super) enum Cipher {
    Gcm(Box<Gcm>),
    Ctr(Box<Ctr>),
}

impl Cipher {
    pub fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Result<Self, SrtpError> {
        Ok(match profile {
            Profile::AeadAes256Gcm | Profile::AeadAes128Gcm => Cipher::Gcm(Box::new(Gcm::new(key, salt)?)),
            Profile::Aes128CmSha1_80 => Cipher::Ctr(Box::new(Ctr::new(key, salt)?)),
        })
    }
}

/// Seals RTP and RTCP of one PeerConnection.
pub struct Sealer {
    cipher: Cipher,
    profile: Profile,
    next_rtcp: u32,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl Sealer {
    pub(super) fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Result<Self, SrtpError> {
        Ok(Self { cipher: Cipher::new(profile, key, salt)?, profile, next_rtcp: 1 })
    }

    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Seals `packet[..end]` in place, whose first `header` bytes stay readable; returns the sealed length. `ext_sequence` is the
    /// roll-over counter and sequence number as one; the caller never uses one twice for an SSRC.
    pub fn seal_rtp(&self, ssrc: u32, ext_sequence: u64, packet: &mut [u8], header: usize, end: usize) -> Result<usize, SrtpError> {
        if ext_sequence > RTP_INDEX_MAX {
            return Err(SrtpError::Exhausted);
        }
        match &self.cipher {
            Cipher::Gcm(gcm) => gcm.seal_rtp(ssrc, ext_sequence, packet, header, end),
            Cipher::Ctr(ctr) => ctr.seal_rtp(ssrc, ext_sequence, packet, header, end),
        }
    }

    /// Seals the compound `packet[..end]` in place; returns the sealed length.
    pub fn seal_rtcp(&mut self, packet: &mut [u8], end: usize) -> Result<usize, SrtpError> {
        let index = self.next_rtcp;
        if index > RTCP_INDEX_MAX {
            return Err(SrtpError::Exhausted);
        }
        self.next_rtcp += 1;
        match &self.cipher {
            Cipher::Gcm(gcm) => gcm.seal_rtcp(index, packet, end),
            Cipher::Ctr(ctr) => ctr.seal_rtcp(index, packet, end),
        }
    }
}
