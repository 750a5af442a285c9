//! Dense keys of the media plane.
//!
//! A key is handed out by its room, counts upwards and is never used again in the life of the process, so it needs no
//! generation: a late message for something that is gone finds nothing. SIDs never become keys.

/// One room of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomKey(pub u32);

/// One participant's media on one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey {
    pub room: RoomKey,
    pub index: u32,
}

/// One published track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackKey {
    pub room: RoomKey,
    pub index: u32,
}

/// One published data track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DataTrackKey {
    pub room: RoomKey,
    pub index: u32,
}

impl TrackKey {
    /// The key as one number, for places that only compare (SDP senders).
    pub const fn packed(self) -> u64 {
        ((self.room.0 as u64) << 32) | self.index as u64
    }

    /// The inverse of [`TrackKey::packed`].
    pub const fn unpack(packed: u64) -> Self {
        Self { room: RoomKey((packed >> 32) as u32), index: packed as u32 }
    }
}
