//! RTCP feedback of a codec (RFC 4585 §4.2) as a set, and the two ways in which congestion is told.

use std::ops::{BitAnd, BitOr, BitOrAssign};

/// A set of the kinds of feedback that we speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Feedback(u8);

impl Feedback {
    pub const NONE: Self = Self(0);
    pub const REMB: Self = Self(1);
    pub const TRANSPORT_CC: Self = Self(2);
    pub const FIR: Self = Self(4);
    pub const NACK: Self = Self(8);
    pub const PLI: Self = Self(16);

    const NAMES: [(Self, &'static str); 5] = [
        (Self::REMB, "goog-remb"),
        (Self::TRANSPORT_CC, "transport-cc"),
        (Self::FIR, "ccm fir"),
        (Self::NACK, "nack"),
        (Self::PLI, "nack pli"),
    ];

    /// What a value of `a=rtcp-fb` names; nothing where we do not know it.
    pub fn named(name: &str) -> Self {
        Self::NAMES.into_iter().find(|(_, known)| *known == name).map_or(Self::NONE, |(kind, _)| kind)
    }

    pub fn contains(self, other: Self) -> bool {
        self & other == other
    }

    /// The names of `a=rtcp-fb`.
    pub fn iter(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(kind, _)| self.contains(*kind)).map(|(_, name)| name)
    }
}

impl BitOr for Feedback {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Feedback {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for Feedback {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// How the peer tells what its path takes: never both ways for one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Congestion {
    /// The peer estimates (goog-remb on abs-send-time). LiveKit's default.
    #[default]
    Remb,
    /// The peer reports arrivals and we estimate (transport-cc).
    TransportCc,
}
