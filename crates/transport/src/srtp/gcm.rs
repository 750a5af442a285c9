//! AES-GCM for SRTP and SRTCP (RFC 7714 §8, §9): one key and salt each for RTP and RTCP.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::kdf::{self, Label};
use super::{RTCP_CLEAR, SRTCP_ENCRYPTED, SrtpError, ssrc_of_rtcp};

const TAG: usize = 16;

pub(super) struct Gcm {
    rtp: Half,
    rtcp: Half,
}

struct Half {
    key: LessSafeKey,
    salt: [u8; NONCE_LEN],
}

impl Half {
    fn new(key: &[u8], salt: &[u8], rtcp: bool) -> Result<Self, SrtpError> {
        let mut session = [0u8; 32];
        let session = session.get_mut(..key.len()).ok_or(SrtpError::Keys)?;
        kdf::derive(key, salt, Label::Encryption, rtcp, session)?;
        let mut session_salt = [0u8; NONCE_LEN];
        kdf::derive(key, salt, Label::Salt, rtcp, &mut session_salt)?;
        let algorithm = if key.len() == 32 { &AES_256_GCM } else { &AES_128_GCM };
        let key = UnboundKey::new(algorithm, session).map_err(|_| SrtpError::Keys)?;
        Ok(Self { key: LessSafeKey::new(key), salt: session_salt })
    }

    /// 00 00, SSRC, 48 bits of index, xor salt (RFC 7714 §8.1; §9.1 with 00 00 before the 31-bit index).
    fn nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let mut nonce = [0u8; NONCE_LEN];
        nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
        nonce[6..].copy_from_slice(&index.to_be_bytes()[2..]);
        for (byte, salt) in nonce.iter_mut().zip(self.salt) {
            *byte ^= salt;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

impl Gcm {
    pub fn new(key: &[u8], salt: &[u8]) -> Result<Self, SrtpError> {
        Ok(Self { rtp: Half::new(key, salt, false)?, rtcp: Half::new(key, salt, true)? })
    }

    pub fn seal_rtp(&self, ssrc: u32, index: u64, packet: &mut [u8], header: usize, end: usize) -> Result<usize, SrtpError> {
        let (plain, rest) = packet.split_at_mut_checked(end).ok_or(SrtpError::Length)?;
        let (header, body) = plain.split_at_mut_checked(header).ok_or(SrtpError::Length)?;
        let room = rest.get_mut(..TAG).ok_or(SrtpError::Length)?;
        let nonce = self.rtp.nonce(ssrc, index);
        let tag = self.rtp.key.seal_in_place_separate_tag(nonce, Aad::from(&*header), body).map_err(|_| SrtpError::Length)?;
        room.copy_from_slice(tag.as_ref());
        Ok(end + TAG)
    }

    pub fn open_rtp(&self, ssrc: u32, index: u64, packet: &mut [u8], header: usize) -> Result<usize, SrtpError> {
        let (header, body) = packet.split_at_mut_checked(header).ok_or(SrtpError::Length)?;
        let nonce = self.rtp.nonce(ssrc, index);
        let plain = self.rtp.key.open_in_place(nonce, Aad::from(&*header), body).map_err(|_| SrtpError::Unauthentic)?;
        Ok(header.len() + plain.len())
    }

    pub fn seal_rtcp(&self, index: u32, packet: &mut [u8], end: usize) -> Result<usize, SrtpError> {
        let ssrc = ssrc_of_rtcp(packet).ok_or(SrtpError::Length)?;
        let trailer = (SRTCP_ENCRYPTED | index).to_be_bytes();
        let (plain, rest) = packet.split_at_mut_checked(end).ok_or(SrtpError::Length)?;
        let (clear, body) = plain.split_at_mut_checked(RTCP_CLEAR).ok_or(SrtpError::Length)?;
        let room = rest.get_mut(..TAG + 4).ok_or(SrtpError::Length)?;
        let mut aad = [0u8; RTCP_CLEAR + 4];
        aad[..RTCP_CLEAR].copy_from_slice(clear);
        aad[RTCP_CLEAR..].copy_from_slice(&trailer);
        let nonce = self.rtcp.nonce(ssrc, u64::from(index));
        let tag = self.rtcp.key.seal_in_place_separate_tag(nonce, Aad::from(aad), body).map_err(|_| SrtpError::Length)?;
        room[..TAG].copy_from_slice(tag.as_ref());
        room[TAG..].copy_from_slice(&trailer);
        Ok(end + TAG + 4)
    }

    pub fn open_rtcp(&self, packet: &mut [u8]) -> Result<(usize, u32), SrtpError> {
        let ssrc = ssrc_of_rtcp(packet).ok_or(SrtpError::Length)?;
        let at = packet.len().checked_sub(4).ok_or(SrtpError::Length)?;
        let (sealed, trailer) = packet.split_at_mut(at);
        let trailer: [u8; 4] = (&*trailer).try_into().map_err(|_| SrtpError::Length)?;
        let field = u32::from_be_bytes(trailer);
        let (clear, body) = sealed.split_at_mut_checked(RTCP_CLEAR).ok_or(SrtpError::Length)?;
        // an unencrypted packet is not something a WebRTC peer sends
        if field & SRTCP_ENCRYPTED == 0 {
            return Err(SrtpError::Unauthentic);
        }
        let mut aad = [0u8; RTCP_CLEAR + 4];
        aad[..RTCP_CLEAR].copy_from_slice(clear);
        aad[RTCP_CLEAR..].copy_from_slice(&trailer);
        let index = field & !SRTCP_ENCRYPTED;
        let nonce = self.rtcp.nonce(ssrc, u64::from(index));
        let plain = self.rtcp.key.open_in_place(nonce, Aad::from(aad), body).map_err(|_| SrtpError::Unauthentic)?;
        Ok((RTCP_CLEAR + plain.len(), index))
    }
}
