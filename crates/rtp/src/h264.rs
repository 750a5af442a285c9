//! H.264 in RTP: NAL units, aggregates and fragments (RFC 6184 §5), and profile-level-id (§8.1).

use crate::cursor::Cursor;

pub const NAL_SLICE: u8 = 1;
pub const NAL_IDR: u8 = 5;
pub const NAL_SEI: u8 = 6;
pub const NAL_SPS: u8 = 7;
pub const NAL_PPS: u8 = 8;
pub const NAL_AUD: u8 = 9;
pub const STAP_A: u8 = 24;
pub const STAP_B: u8 = 25;
pub const MTAP16: u8 = 26;
pub const MTAP24: u8 = 27;
pub const FU_A: u8 = 28;
pub const FU_B: u8 = 29;

/// Whether the packet begins a key frame: a sequence parameter set or the start of an IDR slice.
pub fn is_key_frame(payload: &[u8]) -> bool {
    nal_types(payload).any(|kind| matches!(kind, NAL_IDR | NAL_SPS))
}

/// Whether the packet begins a NAL unit, rather than continuing a fragment.
pub fn starts_nal(payload: &[u8]) -> bool {
    match payload {
        [first, fu, ..] if matches!(first & 0x1F, FU_A | FU_B) => fu & 0x80 != 0,
        [first] if matches!(first & 0x1F, FU_A | FU_B) => false,
        [] => false,
        _ => true,
    }
}

/// Types of the NAL units that begin in a packet: one, those of an aggregate, or that of a fragment's start.
/// Ends where the payload is malformed.
pub fn nal_types(payload: &[u8]) -> NalTypes<'_> {
    let mut cursor = Cursor::new(payload);
    let Some(kind) = cursor.u8().map(|byte| byte & 0x1F) else {
        return NalTypes::one(None);
    };
    // The decoding order number of the aggregate, and the offsets that each unit has before its header.
    let (skip, unit_skip) = match kind {
        STAP_A => (0, 0),
        STAP_B => (2, 0),
        MTAP16 => (2, 3),
        MTAP24 => (2, 4),
        FU_A | FU_B => {
            let fu = cursor.u8().filter(|fu| fu & 0x80 != 0);
            return NalTypes::one(fu.map(|fu| fu & 0x1F));
        }
        _ => return NalTypes::one(Some(kind)),
    };
    match cursor.take(skip) {
        Some(_) => NalTypes { single: None, units: cursor, unit_skip },
        None => NalTypes::one(None),
    }
}

/// See [`nal_types`].
#[derive(Debug, Clone)]
pub struct NalTypes<'a> {
    single: Option<u8>,
    units: Cursor<'a>,
    unit_skip: usize,
}

impl NalTypes<'_> {
    fn one(kind: Option<u8>) -> Self {
        NalTypes { single: kind, units: Cursor::new(&[]), unit_skip: 0 }
    }

    fn read(&mut self) -> Option<u8> {
        let len = usize::from(self.units.u16()?);
        if self.unit_skip > 0 {
            // In MTAPs the size counts the NAL unit only; DOND and the timestamp offset come in between.
            self.units.take(self.unit_skip)?;
        }
        self.units.take(len)?.first().map(|byte| byte & 0x1F)
    }
}

impl Iterator for NalTypes<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if let Some(kind) = self.single.take() {
            return Some(kind);
        }
        let kind = self.read();
        if kind.is_none() {
            self.units = Cursor::new(&[]);
        }
        kind
    }
}

/// The profiles that browsers and encoders name (RFC 6184 §8.1, table 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    ConstrainedBaseline,
    Baseline,
    Main,
    ConstrainedHigh,
    High,
    PredictiveHigh444,
}

/// A parsed profile-level-id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProfileLevelId {
    pub profile: Profile,
    /// Ten times the level; level 1b is 9.
    pub level_tenths: u8,
}

impl ProfileLevelId {
    /// What counts where the parameter is missing (RFC 6184 §8.1: Baseline, level 1).
    pub const DEFAULT: ProfileLevelId = ProfileLevelId { profile: Profile::Baseline, level_tenths: 10 };

    /// Reads six hexadecimal digits. `None` for other texts and for profiles that no one uses in RTP.
    pub fn parse(text: &str) -> Option<ProfileLevelId> {
        if text.len() != 6 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let [_, idc, iop, level] = u32::from_str_radix(text, 16).ok()?.to_be_bytes();
        let profile = match idc {
            0x42 if iop & 0x4F == 0x40 => Profile::ConstrainedBaseline,
            0x4D if iop & 0x8F == 0x80 => Profile::ConstrainedBaseline,
            0x58 if iop & 0xCF == 0xC0 => Profile::ConstrainedBaseline,
            0x42 if iop & 0x4F == 0x00 => Profile::Baseline,
            0x58 if iop & 0xCF == 0x80 => Profile::Baseline,
            0x4D if iop & 0xAF == 0x00 => Profile::Main,
            0x64 if iop == 0x00 => Profile::High,
            0x64 if iop == 0x0C => Profile::ConstrainedHigh,
            0xF4 if iop == 0x00 => Profile::PredictiveHigh444,
            _ => return None,
        };
        // Level 1b is told by constraint_set3 in the profiles that have it (H.264 §A.3.1).
        let level_1b = level == 11 && iop & 0x10 != 0 && matches!(idc, 0x42 | 0x4D | 0x58);
        Some(ProfileLevelId { profile, level_tenths: if level_1b { 9 } else { level } })
    }

    /// Whether two parameters name the same configuration but for the level, which may differ by direction
    /// (level-asymmetry-allowed).
    pub fn same_profile(self, other: ProfileLevelId) -> bool {
        self.profile == other.profile
    }
}

#[cfg(test)]
mod tests;
