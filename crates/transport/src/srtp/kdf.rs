//! Session keys from master keys: AES in counter mode (RFC 3711 §4.3, key derivation rate 0).

use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;

use super::SrtpError;

/// What a derived key is for; RTCP's labels are three higher.
#[derive(Clone, Copy, Debug)]
pub(super) enum Label {
    Encryption = 0,
    Authentication = 1,
    Salt = 2,
}

/// Fills `out` with the key for `label`. Key 16 or 32 bytes, salt 12 or 14.
pub(super) fn derive(key: &[u8], salt: &[u8], label: Label, rtcp: bool, out: &mut [u8]) -> Result<(), SrtpError> {
    let mut iv = [0u8; 16];
    iv.get_mut(..salt.len()).ok_or(SrtpError::Keys)?.copy_from_slice(salt);
    iv[7] ^= label as u8 + if rtcp { 3 } else { 0 };
    out.fill(0);
    counter_key(key)?.less_safe_encrypt(out, EncryptionContext::Iv128(FixedLength::from(iv))).map_err(|_| SrtpError::Keys)?;
    Ok(())
}

/// An AES counter-mode key of 16 or 32 bytes.
pub(super) fn counter_key(key: &[u8]) -> Result<EncryptingKey, SrtpError> {
    let algorithm = match key.len() {
        16 => &AES_128,
        32 => &AES_256,
        _ => return Err(SrtpError::Keys),
    };
    UnboundCipherKey::new(algorithm, key).and_then(EncryptingKey::ctr).map_err(|_| SrtpError::Keys)
}
