//! What the demux must read of ICE by itself: whose a binding request is, and whether it is authentic and nominates.

use aws_lc_rs::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY};
use str0m::ice::StunMessage;

/// An authentic binding request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// The peer wants this pair to be used (RFC 8445 §8.1.1).
    pub use_candidate: bool,
}

/// Our half of a binding request's user name: whom it is for. No allocation, nothing is verified.
pub fn stun_username_ufrag(datagram: &[u8]) -> Option<&str> {
    const USERNAME: u16 = 0x0006;
    let word = |at: usize| {
        Some(u16::from_be_bytes(
            datagram.get(at..at + 2)?.try_into().ok()?,
        ))
    };
    // a binding request and nothing else
    if word(0)? != 0x0001 || word(4)? != 0x2112 {
        return None;
    }
    let mut at = 20;
    loop {
        let (kind, length) = (word(at)?, usize::from(word(at + 2)?));
        let value = datagram.get(at + 4..at + 4 + length)?;
        if kind == USERNAME {
            return std::str::from_utf8(value)
                .ok()?
                .split_once(':')
                .map(|(ours, _)| ours);
        }
        at += 4 + length.next_multiple_of(4);
    }
}

/// A binding request whose integrity was verified with our password.
pub fn verify_check(datagram: &[u8], password: &str) -> Option<Check> {
    let message = StunMessage::parse(datagram).ok()?;
    let authentic = message.is_binding_request() && message.verify(password.as_bytes(), sha1_hmac);
    authentic.then(|| Check {
        use_candidate: message.use_candidate(),
    })
}

fn sha1_hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, key));
    for part in parts {
        context.update(part);
    }
    let mut tag = [0; 20];
    tag.copy_from_slice(context.sign().as_ref());
    tag
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = stun_username_ufrag(&bytes);
            let _ = verify_check(&bytes, "password");
            if let Some(head) = bytes.get_mut(..8) {
                head.copy_from_slice(&[0, 1, 0, 100, 0x21, 0x12, 0xA4, 0x42]);
                let _ = stun_username_ufrag(&bytes);
                let _ = verify_check(&bytes, "password");
            }
        }
    }
}
