//! What is due to leave: descriptors of 32 bytes, never sealed packets. At the flush each is written, stamped and sealed.
//!
//! No link is paced yet: everything leaves with the flush that ends its receive batch.

use std::net::SocketAddr;
use std::time::Instant;

use sluicegate_rtp::extension::{ExtensionKind, u24_bytes};
use sluicegate_rtp::header::{self, Element, RtpWrite};
use sluicegate_rtp::red;
use sluicegate_sfu::down_track::Rewritten;
use sluicegate_sfu::receiver::Layer;

use crate::engine::Engine;
use crate::subscription::{Carriage, DownLine};

/// A sealed packet with its tag must fit: 1500 of the ring, a header with extensions, the tag.
const PACKET_MAX: usize = 2048;

/// One packet for one subscriber: what to send, from which ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptor {
    pub subscription: u32,
    pub publication: u32,
    pub layer: u8,
    /// Through the subscription's RTX stream, with this extended sequence number.
    pub rtx: Option<u64>,
    pub source: u64,
    pub rewritten: Rewritten,
}

#[derive(Debug, Default)]
pub(crate) struct Pacer {
    queue: Vec<Descriptor>,
    buffer: Vec<u8>,
}

impl Pacer {
    pub fn push(&mut self, descriptor: Descriptor) {
        self.queue.push(descriptor);
    }

    /// A subscription ended: what still waits for it goes too, before its slot is used again.
    pub fn forget(&mut self, subscription: u32) {
        self.queue.retain(|descriptor| descriptor.subscription != subscription);
    }
}

impl Engine {
    /// Writes, stamps and seals every waiting packet.
    pub(crate) fn flush_media(&mut self, now: Instant, sink: &mut impl FnMut(usize, SocketAddr, &[u8])) {
        let mut queue = std::mem::take(&mut self.pacer.queue);
        let mut buffer = std::mem::take(&mut self.pacer.buffer);
        buffer.resize(PACKET_MAX, 0);
        let send_time = abs_send_time(self.config.wall_clock.unix(now));
        for descriptor in queue.drain(..) {
            let sealed = self.seal(&descriptor, send_time, &mut buffer);
            let Some((local, remote, length)) = sealed else { continue };
            self.meters.datagrams_down += 1;
            self.meters.bytes_down += length as u64;
            self.meters.packets_down += 1;
            self.meters.resends_down += u64::from(descriptor.rtx.is_some());
            sink(local, remote, &buffer[..length]);
        }
        self.pacer.queue = queue;
        self.pacer.buffer = buffer;
    }

    fn seal(&mut self, descriptor: &Descriptor, send_time: [u8; 3], buffer: &mut [u8]) -> Option<(usize, SocketAddr, usize)> {
        let subscription = self.subscriptions.get(descriptor.subscription as usize)?;
        let publication = self.publications.get(descriptor.publication as usize)?;
        let line = subscription.line.as_ref()?;
        let link = self.links.get_mut(subscription.transport as usize)?;
        let path = link.path?;
        let packet = publication.receiver.packet(Layer(descriptor.layer), descriptor.source)?;
        let codec = publication.codec_of(packet.payload_type)?;
        let (payload_type, payload) = match line.payload_types.carriage(codec) {
            Carriage::AsIs(payload_type) => (payload_type, packet.payload),
            Carriage::RedPrimary(payload_type) => (payload_type, red::primary(packet.payload).ok()?.data),
        };
        let stream = Stream::of(line, descriptor, payload_type)?;
        let header = RtpWrite {
            marker: descriptor.rewritten.marker,
            payload_type: stream.payload_type,
            sequence: stream.ext_sequence as u16,
            timestamp: descriptor.rewritten.timestamp,
            ssrc: stream.ssrc,
        };
        let mut elements = ElementList::default();
        elements.add(line, ExtensionKind::AbsSendTime, &send_time);
        elements.add(line, ExtensionKind::DependencyDescriptor, packet.dependency_descriptor);
        elements.add(line, ExtensionKind::AbsCaptureTime, packet.abs_capture_time);
        let header_length = header::write(buffer, &header, elements.as_slice())?;
        let mut end = header_length;
        if descriptor.rtx.is_some() {
            let original = (descriptor.rewritten.ext_seq as u16).to_be_bytes();
            buffer.get_mut(end..end + 2)?.copy_from_slice(&original);
            end += 2;
        }
        end += descriptor.rewritten.write_payload(packet.vp8.as_ref(), payload, buffer.get_mut(end..)?)?;
        let sealer = link.transport.connection.sealer()?;
        let sealed = sealer.seal_rtp(stream.ssrc, stream.ext_sequence, buffer, header_length, end).ok()?;
        Some((usize::from(path.local), path.remote, sealed))
    }
}

/// Which of the subscriber's two streams a packet takes.
struct Stream {
    ssrc: u32,
    payload_type: u8,
    ext_sequence: u64,
}

impl Stream {
    fn of(line: &DownLine, descriptor: &Descriptor, payload_type: u8) -> Option<Self> {
        Some(match descriptor.rtx {
            None => Self { ssrc: line.ssrc, payload_type, ext_sequence: descriptor.rewritten.ext_seq },
            Some(ext_sequence) => {
                let rtx = line.rtx?;
                Self { ssrc: rtx.ssrc, payload_type: rtx.payload_type, ext_sequence }
            }
        })
    }
}

/// The few header extensions of a packet, without allocation.
struct ElementList<'a> {
    elements: [Element<'a>; 3],
    length: usize,
}

impl Default for ElementList<'_> {
    fn default() -> Self {
        Self { elements: [Element { id: 0, data: &[] }; 3], length: 0 }
    }
}

impl<'a> ElementList<'a> {
    fn add(&mut self, line: &DownLine, kind: ExtensionKind, data: &'a [u8]) {
        if let Some(id) = line.extensions.id_of(kind)
            && !data.is_empty()
            && let Some(slot) = self.elements.get_mut(self.length)
        {
            *slot = Element { id, data };
            self.length += 1;
        }
    }

    fn as_slice(&self) -> &[Element<'a>] {
        &self.elements[..self.length]
    }
}

/// 24 bits, 6.18 fixed point seconds (the abs-send-time extension).
fn abs_send_time(unix: std::time::Duration) -> [u8; 3] {
    let fraction = (u64::from(unix.subsec_nanos()) << 18) / 1_000_000_000;
    u24_bytes((((unix.as_secs() << 18) | fraction) & 0x00FF_FFFF) as u32)
}
