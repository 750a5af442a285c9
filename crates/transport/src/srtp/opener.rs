//! The direction up: opens what peers send, and refuses what was changed or sent before.

use super::replay::Replay;
use super::sealer::Cipher;
use super::{Profile, SrtpError};

/// SSRCs a peer may use; state is kept only after a good tag, so nobody else can fill the table.
pub const SSRCS_MAX: usize = 1024;

/// An opened packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Length without the tag.
    pub len: usize,
    /// Roll-over counter and sequence number as one.
    pub index: u64,
}

/// Opens RTP and RTCP of one PeerConnection.
pub struct Opener {
    cipher: Cipher,
    profile: Profile,
    /// Sorted by SSRC; a peer has a handful.
    streams: Vec<(u32, Replay)>,
    rtcp: Vec<(u32, Replay)>,
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener").field("profile", &self.profile).field("streams", &self.streams.len()).finish_non_exhaustive()
    }
}

impl Opener {
    pub(super) fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Result<Self, SrtpError> {
        Ok(Self { cipher: Cipher::new(profile, key, salt)?, profile, streams: Vec::new(), rtcp: Vec::new() })
    }

    /// Opens an RTP packet in place. `header` is the length of its header with extensions.
    pub fn open_rtp(&mut self, ssrc: u32, sequence: u16, header: usize, packet: &mut [u8]) -> Result<Opened, SrtpError> {
        let place = self.streams.binary_search_by_key(&ssrc, |(key, _)| *key);
        let known = place.ok().and_then(|at| self.streams.get(at)).map(|(_, replay)| replay);
        let index = known.map_or(u64::from(sequence), |replay| estimate(replay.newest(), sequence));
        let replayed = known.is_some_and(|replay| replay.is_replay(index));
        let len = match &self.cipher {
            Cipher::Gcm(gcm) => gcm.open_rtp(ssrc, index, packet, header),
            Cipher::Ctr(ctr) => ctr.open_rtp(ssrc, index, packet, header),
        }?;
        // only an authentic packet may tell anything, even that it is a replay
        if replayed {
            return Err(SrtpError::Replayed);
        }
        note(&mut self.streams, place, ssrc, index)?;
        Ok(Opened { len, index })
    }

    /// Opens an RTCP compound in place; returns its length without trailer and tag.
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let (len, index) = match &self.cipher {
            Cipher::Gcm(gcm) => gcm.open_rtcp(packet),
            Cipher::Ctr(ctr) => ctr.open_rtcp(packet),
        }?;
        let ssrc = super::ssrc_of_rtcp(packet).ok_or(SrtpError::Length)?;
        let place = self.rtcp.binary_search_by_key(&ssrc, |(key, _)| *key);
        let known = place.ok().and_then(|at| self.rtcp.get(at));
        if known.is_some_and(|(_, replay)| replay.is_replay(u64::from(index))) {
            return Err(SrtpError::Replayed);
        }
        note(&mut self.rtcp, place, ssrc, u64::from(index))?;
        Ok(len)
    }
}

fn note(table: &mut Vec<(u32, Replay)>, place: Result<usize, usize>, ssrc: u32, index: u64) -> Result<(), SrtpError> {
    match place {
        Ok(at) => {
            if let Some((_, replay)) = table.get_mut(at) {
                replay.accept(index);
            }
        }
        Err(_) if table.len() >= SSRCS_MAX => return Err(SrtpError::TooManySsrcs),
        Err(at) => table.insert(at, (ssrc, Replay::new(index))),
    }
    Ok(())
}

/// The index nearest to the newest one that has this sequence number (RFC 3711 §3.3.1).
fn estimate(newest: u64, sequence: u16) -> u64 {
    let distance = sequence.wrapping_sub(newest as u16) as i16;
    newest.checked_add_signed(i64::from(distance)).unwrap_or(u64::from(sequence))
}
