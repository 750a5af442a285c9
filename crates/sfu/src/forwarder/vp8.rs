//! VP8's own counters for one subscriber: picture id, TL0PICIDX and KEYIDX run on over changes of the source (RFC 7741 §4.2).

use sluicegate_rtp::vp8::{Descriptor, PictureId};

/// The counters to write in place of the source's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vp8Ids {
    pub picture_id: u16,
    pub tl0_pic_idx: u8,
    pub key_idx: u8,
}

#[derive(Debug, Default)]
pub struct Vp8Munger {
    picture_id: u16,
    tl0_pic_idx: u8,
    key_idx: u8,
    /// Newest that was sent.
    last: Option<Vp8Ids>,
}

impl Vp8Munger {
    /// Another source begins with this packet: its counters follow the last ones.
    pub fn switch(&mut self, source: &Descriptor) {
        let Some(last) = self.last else { return };
        let next = Vp8Ids {
            picture_id: last.picture_id.wrapping_add(1) & 0x7FFF,
            tl0_pic_idx: last.tl0_pic_idx.wrapping_add(1),
            key_idx: last.key_idx.wrapping_add(1) & 0x1F,
        };
        self.picture_id = next.picture_id.wrapping_sub(picture_id(source)) & 0x7FFF;
        self.tl0_pic_idx = next.tl0_pic_idx.wrapping_sub(source.tl0_pic_idx.unwrap_or(0));
        self.key_idx = next.key_idx.wrapping_sub(source.key_idx.unwrap_or(0)) & 0x1F;
    }

    /// The counters of a packet; none: the source's are right as they are.
    pub fn rewrite(&mut self, source: &Descriptor, newest: bool) -> Option<Vp8Ids> {
        let ids = Vp8Ids {
            picture_id: picture_id(source).wrapping_add(self.picture_id) & 0x7FFF,
            tl0_pic_idx: source.tl0_pic_idx.unwrap_or(0).wrapping_add(self.tl0_pic_idx),
            key_idx: source.key_idx.unwrap_or(0).wrapping_add(self.key_idx) & 0x1F,
        };
        if newest {
            self.last = Some(ids);
        }
        (self.picture_id != 0 || self.tl0_pic_idx != 0 || self.key_idx != 0).then_some(ids)
    }
}

impl Vp8Ids {
    /// Writes the payload with these counters; returns its length. A short picture id grows where the number needs it.
    pub fn write(&self, source: &Descriptor, payload: &[u8], room: &mut [u8]) -> Option<usize> {
        let wide = |id: PictureId| PictureId { value: self.picture_id, u15: id.u15 || self.picture_id > 0x7F };
        let descriptor = Descriptor {
            picture_id: source.picture_id.map(wide),
            tl0_pic_idx: source.tl0_pic_idx.map(|_| self.tl0_pic_idx),
            key_idx: source.key_idx.map(|_| self.key_idx),
            ..*source
        };
        let start = descriptor.write(room)?;
        let body = payload.get(usize::from(source.header_len)..)?;
        room.get_mut(start..start + body.len())?.copy_from_slice(body);
        Some(start + body.len())
    }
}

fn picture_id(source: &Descriptor) -> u16 {
    source.picture_id.map_or(0, |id| id.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(id: u16, u15: bool, tl0: u8) -> Vec<u8> {
        let mut bytes = vec![0x90, 0xE0];
        if u15 {
            bytes.extend((id | 0x8000).to_be_bytes());
        } else {
            bytes.push(id as u8);
        }
        bytes.extend([tl0, 0x21]);
        bytes.extend(b"frame");
        bytes
    }

    fn sent(munger: &mut Vp8Munger, payload: &[u8]) -> (Vec<u8>, Descriptor) {
        let source = Descriptor::parse(payload).unwrap();
        let mut room = [0u8; 64];
        let len = match munger.rewrite(&source, true) {
            Some(ids) => ids.write(&source, payload, &mut room).unwrap(),
            None => {
                room[..payload.len()].copy_from_slice(payload);
                payload.len()
            }
        };
        (room[..len].to_vec(), Descriptor::parse(&room[..len]).unwrap())
    }

    #[test]
    fn ids_run_on_over_a_switch_and_grow() {
        let mut munger = Vp8Munger::default();
        let (bytes, _) = sent(&mut munger, &packet(126, false, 255));
        assert_eq!(bytes, packet(126, false, 255), "untouched before any switch");
        let other = packet(9, false, 40);
        munger.switch(&Descriptor::parse(&other).unwrap());
        let (bytes, descriptor) = sent(&mut munger, &other);
        assert_eq!((descriptor.picture_id.unwrap().value, descriptor.tl0_pic_idx), (127, Some(0)));
        assert!(bytes.ends_with(b"frame"));
        let (_, descriptor) = sent(&mut munger, &packet(10, false, 41));
        assert_eq!(descriptor.picture_id, Some(PictureId { value: 128, u15: true }));
        munger.switch(&Descriptor::parse(&packet(0x7FFF, true, 1)).unwrap());
        let (_, descriptor) = sent(&mut munger, &packet(0x7FFF, true, 1));
        assert_eq!(descriptor.picture_id.unwrap().value, 129);
        let (_, descriptor) = sent(&mut munger, &packet(0, true, 1));
        assert_eq!(descriptor.picture_id.unwrap().value, 130);
    }
}
