//! SIDs: a prefix that names the kind and 12 characters that cannot be mistaken for each other.

use crate::pb;

pub const ROOM: &str = "RM_";
pub const PARTICIPANT: &str = "PA_";
pub const NODE: &str = "ND_";
pub const CONNECTION: &str = "CO_";
pub const DATA_TRACK: &str = "DTR_";
pub const EGRESS: &str = "EG_";
pub const INGRESS: &str = "IN_";
pub const AGENT_WORKER: &str = "AW_";
pub const AGENT_JOB: &str = "AJ_";
pub const AGENT_DISPATCH: &str = "AD_";
pub const WEBHOOK_EVENT: &str = "EV_";
pub const RPC: &str = "RPC_";
pub const API_KEY: &str = "API";

const ALPHABET: &[u8; 57] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const LENGTH: usize = 12;

/// A SID; randomness is handed in.
pub fn generate(prefix: &str, entropy: impl FnMut() -> u64) -> String {
    format!("{prefix}{}", random(LENGTH, entropy))
}

/// A track's SID: `TR_`, A or V, a letter for the source (none if unknown), 12 characters (LiveKit).
pub fn track(kind: pb::TrackType, source: pb::TrackSource, entropy: impl FnMut() -> u64) -> String {
    let kind = if kind == pb::TrackType::Video { "V" } else { "A" };
    let source = match source {
        pb::TrackSource::Camera => "C",
        pb::TrackSource::Microphone => "M",
        pb::TrackSource::ScreenShare => "S",
        pb::TrackSource::ScreenShareAudio => "s",
        pb::TrackSource::Unknown => "",
    };
    generate(&format!("TR_{kind}{source}"), entropy)
}

/// `length` characters, each equally likely: numbers beyond the last full multiple of 57 are drawn again.
pub fn random(length: usize, mut entropy: impl FnMut() -> u64) -> String {
    let fair = u64::MAX - u64::MAX % ALPHABET.len() as u64;
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let number = entropy();
        if number < fair {
            text.push(ALPHABET[(number % ALPHABET.len() as u64) as usize] as char);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state ^ state >> 33
        };
        let room = generate(ROOM, &mut next);
        assert!(room.starts_with("RM_") && room.len() == 15);
        let camera = track(pb::TrackType::Video, pb::TrackSource::Camera, &mut next);
        assert!(camera.starts_with("TR_VC") && camera.len() == 17);
        assert!(track(pb::TrackType::Audio, pb::TrackSource::Unknown, &mut next).starts_with("TR_A"));
        let many = random(10_000, &mut next);
        assert!(many.bytes().all(|b| ALPHABET.contains(&b)));
        assert!(ALPHABET.iter().all(|b| many.as_bytes().contains(b)));
    }
}
