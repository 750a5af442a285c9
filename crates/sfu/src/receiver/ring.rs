//! The newest packets of one layer, shared by all its subscribers: what is sent again is read here.

use sluicegate_rtp::vp8;

/// Bytes kept of one packet: payload, dependency descriptor and capture time. WebRTC packets stay below 1500 with all headers.
pub const SLOT_BYTES: usize = 1600;

/// One layer's ring; the memory is reserved with the first packet and touched slot by slot.
#[derive(Debug)]
pub struct Ring {
    slots: Vec<Slot>,
    arena: Vec<u8>,
    capacity: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// 0: empty; extended numbers begin above 2^16.
    ext_seq: u64,
    payload: u16,
    descriptor: u16,
    capture: u16,
    payload_type: u8,
    vp8: Option<vp8::Descriptor>,
}

/// A packet of the ring.
#[derive(Clone, Copy, Debug)]
pub struct RingPacket<'a> {
    /// Without padding.
    pub payload: &'a [u8],
    pub payload_type: u8,
    pub vp8: Option<vp8::Descriptor>,
    /// Dependency descriptor extension, empty where there is none.
    pub dependency_descriptor: &'a [u8],
    /// Absolute capture time extension, empty where there is none.
    pub abs_capture_time: &'a [u8],
}

impl Ring {
    /// `capacity` packets, a power of two.
    pub fn new(capacity: usize) -> Self {
        Self { slots: Vec::new(), arena: Vec::new(), capacity: capacity.next_power_of_two() }
    }

    /// Stores a packet; false when it is older than what its slot holds, or too large.
    pub fn store(&mut self, ext_seq: u64, packet: &RingPacket<'_>) -> bool {
        if self.slots.is_empty() {
            self.slots = vec![Slot::default(); self.capacity];
            self.arena = vec![0; self.capacity * SLOT_BYTES];
        }
        let at = self.at(ext_seq);
        let parts = [packet.payload, packet.dependency_descriptor, packet.abs_capture_time];
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let (Some(slot), Some(room)) = (self.slots.get_mut(at), self.arena.get_mut(at * SLOT_BYTES..(at + 1) * SLOT_BYTES)) else {
            return false;
        };
        if slot.ext_seq > ext_seq || total > SLOT_BYTES {
            return false;
        }
        let mut end = 0;
        for part in parts {
            room[end..end + part.len()].copy_from_slice(part);
            end += part.len();
        }
        *slot = Slot {
            ext_seq,
            payload: packet.payload.len() as u16,
            descriptor: packet.dependency_descriptor.len() as u16,
            capture: packet.abs_capture_time.len() as u16,
            payload_type: packet.payload_type,
            vp8: packet.vp8,
        };
        true
    }

    pub fn get(&self, ext_seq: u64) -> Option<RingPacket<'_>> {
        let at = self.at(ext_seq);
        let slot = self.slots.get(at).filter(|slot| slot.ext_seq == ext_seq && ext_seq != 0)?;
        let room = self.arena.get(at * SLOT_BYTES..(at + 1) * SLOT_BYTES)?;
        let (payload, rest) = room.split_at_checked(usize::from(slot.payload))?;
        let (dependency_descriptor, rest) = rest.split_at_checked(usize::from(slot.descriptor))?;
        let abs_capture_time = rest.get(..usize::from(slot.capture))?;
        Some(RingPacket { payload, payload_type: slot.payload_type, vp8: slot.vp8, dependency_descriptor, abs_capture_time })
    }

    pub fn contains(&self, ext_seq: u64) -> bool {
        self.slots.get(self.at(ext_seq)).is_some_and(|slot| slot.ext_seq == ext_seq)
    }

    fn at(&self, ext_seq: u64) -> usize {
        (ext_seq as usize) & (self.capacity - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(payload: &[u8]) -> RingPacket<'_> {
        RingPacket { payload, payload_type: 96, vp8: None, dependency_descriptor: b"dd", abs_capture_time: &[] }
    }

    #[test]
    fn the_newest_stay_and_the_overwritten_are_gone() {
        let mut ring = Ring::new(4);
        for sequence in 100u64..106 {
            assert!(ring.store(sequence, &packet(&sequence.to_be_bytes())));
        }
        assert!(ring.get(101).is_none());
        assert!(!ring.store(101, &packet(b"late")), "its slot holds a newer one");
        let kept = ring.get(103).unwrap();
        assert_eq!((kept.payload, kept.dependency_descriptor), (&103u64.to_be_bytes()[..], &b"dd"[..]));
        assert!(!ring.store(110, &packet(&[0; 2000])));
        assert!(ring.get(0).is_none());
    }
}
