//! AES counter mode with an 80-bit HMAC-SHA1 tag (RFC 3711 §4.1.1, §4.2.1): for peers without GCM, 3.5 times dearer.

use aws_lc_rs::cipher::{EncryptingKey, EncryptionContext};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY};
use aws_lc_rs::iv::FixedLength;

use super::kdf::{self, Label};
use super::{RTCP_CLEAR, SRTCP_ENCRYPTED, SrtpError, ssrc_of_rtcp};

const TAG: usize = 10;

pub(super) struct Ctr {
    rtp: Half,
    rtcp: Half,
}

struct Half {
    cipher: EncryptingKey,
    salt: [u8; 14],
    mac: hmac::Key,
}

impl Half {
    fn new(key: &[u8], salt: &[u8], rtcp: bool) -> Result<Self, SrtpError> {
        let (mut cipher, mut session_salt, mut mac) = ([0u8; 16], [0u8; 14], [0u8; 20]);
        kdf::derive(key, salt, Label::Encryption, rtcp, &mut cipher)?;
        kdf::derive(key, salt, Label::Salt, rtcp, &mut session_salt)?;
        kdf::derive(key, salt, Label::Authentication, rtcp, &mut mac)?;
        Ok(Self {
            cipher: kdf::counter_key(&cipher)?,
            salt: session_salt,
            mac: hmac::Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, &mac),
        })
    }

    /// (salt << 16) xor (SSRC << 64) xor (index << 16)
    fn crypt(&self, ssrc: u32, index: u64, body: &mut [u8]) -> Result<(), SrtpError> {
        let mut iv = [0u8; 16];
        iv[4..8].copy_from_slice(&ssrc.to_be_bytes());
        iv[8..14].copy_from_slice(&index.to_be_bytes()[2..]);
        for (byte, salt) in iv.iter_mut().zip(self.salt) {
            *byte ^= salt;
        }
        let context = EncryptionContext::Iv128(FixedLength::from(iv));
        self.cipher.less_safe_encrypt(body, context).map(|_| ()).map_err(|_| SrtpError::Length)
    }

    fn tag(&self, message: &[u8], suffix: &[u8]) -> [u8; TAG] {
        let mut context = hmac::Context::with_key(&self.mac);
        context.update(message);
        context.update(suffix);
        let mut tag = [0u8; TAG];
        if let Some(head) = context.sign().as_ref().get(..TAG) {
            tag.copy_from_slice(head);
        }
        tag
    }
}

impl Ctr {
    pub fn new(key: &[u8], salt: &[u8]) -> Result<Self, SrtpError> {
        Ok(Self { rtp: Half::new(key, salt, false)?, rtcp: Half::new(key, salt, true)? })
    }

    pub fn seal_rtp(&self, ssrc: u32, index: u64, packet: &mut [u8], header: usize, end: usize) -> Result<usize, SrtpError> {
        let room = end.checked_add(TAG).filter(|needed| *needed <= packet.len()).ok_or(SrtpError::Length)?;
        self.rtp.crypt(ssrc, index, packet.get_mut(header..end).ok_or(SrtpError::Length)?)?;
        let (sealed, rest) = packet.split_at_mut(end);
        rest[..TAG].copy_from_slice(&self.rtp.tag(sealed, &rollover(index)));
        Ok(room)
    }

    pub fn open_rtp(&self, ssrc: u32, index: u64, packet: &mut [u8], header: usize) -> Result<usize, SrtpError> {
        let end = packet.len().checked_sub(TAG).filter(|end| *end >= header).ok_or(SrtpError::Length)?;
        let (sealed, tag) = packet.split_at_mut(end);
        let expected = self.rtp.tag(sealed, &rollover(index));
        verify_slices_are_equal(&expected, tag).map_err(|_| SrtpError::Unauthentic)?;
        self.rtp.crypt(ssrc, index, &mut sealed[header..])?;
        Ok(end)
    }

    pub fn seal_rtcp(&self, index: u32, packet: &mut [u8], end: usize) -> Result<usize, SrtpError> {
        let ssrc = ssrc_of_rtcp(packet).ok_or(SrtpError::Length)?;
        let room = end.checked_add(4 + TAG).filter(|needed| *needed <= packet.len()).ok_or(SrtpError::Length)?;
        self.rtcp.crypt(ssrc, u64::from(index), packet.get_mut(RTCP_CLEAR..end).ok_or(SrtpError::Length)?)?;
        packet[end..end + 4].copy_from_slice(&(SRTCP_ENCRYPTED | index).to_be_bytes());
        let (sealed, rest) = packet.split_at_mut(end + 4);
        rest[..TAG].copy_from_slice(&self.rtcp.tag(sealed, &[]));
        Ok(room)
    }

    pub fn open_rtcp(&self, packet: &mut [u8]) -> Result<(usize, u32), SrtpError> {
        let ssrc = ssrc_of_rtcp(packet).ok_or(SrtpError::Length)?;
        let at = packet.len().checked_sub(TAG).ok_or(SrtpError::Length)?;
        let (sealed, tag) = packet.split_at_mut(at);
        verify_slices_are_equal(&self.rtcp.tag(sealed, &[]), tag).map_err(|_| SrtpError::Unauthentic)?;
        let end = sealed.len().checked_sub(4).filter(|end| *end >= RTCP_CLEAR).ok_or(SrtpError::Length)?;
        let (body, trailer) = sealed.split_at_mut(end);
        let field = u32::from_be_bytes((&*trailer).try_into().map_err(|_| SrtpError::Length)?);
        let index = field & !SRTCP_ENCRYPTED;
        if field & SRTCP_ENCRYPTED != 0 {
            self.rtcp.crypt(ssrc, u64::from(index), &mut body[RTCP_CLEAR..])?;
        }
        Ok((end, index))
    }
}

/// The authenticated roll-over counter: the upper 32 bits of the 48-bit index.
fn rollover(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}
