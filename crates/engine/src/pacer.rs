//! What is due to leave: descriptors of 32 bytes, never sealed packets. At the flush each is written, stamped and sealed.
//!
//! No link is paced yet: everything leaves with the flush that ends its receive batch.

use std::time::Instant;

use sluicegate_contract::command::Fault;
use sluicegate_rtp::extension::{ExtensionKind, u24_bytes};
use sluicegate_rtp::header::{self, Element, RtpWrite};
use sluicegate_rtp::red;
use sluicegate_sfu::down_track::Rewritten;
use sluicegate_sfu::receiver::Layer;

use crate::demux::TransportIndex;
use crate::engine::Engine;
use crate::sink::Sink;
use crate::subscription::{Carriage, DownLine};

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

/// The end of a chain.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Waiting {
    descriptor: Descriptor,
    /// The next one of the same transport.
    next: u32,
}

/// What waits for one transport, as a chain through the queue.
#[derive(Clone, Copy, Debug)]
struct Chain {
    first: u32,
    last: u32,
}

const EMPTY: Chain = Chain { first: NONE, last: NONE };

/// Descriptors come in packet by packet and leave transport by transport: the packets of one destination lie side by side then, and
/// leave as one where the kernel can split them (GSO).
#[derive(Debug, Default)]
pub(crate) struct Pacer {
    queue: Vec<Waiting>,
    /// By transport index.
    chains: Vec<Chain>,
    /// Transports with a chain, in the order of their first packet.
    transports: Vec<TransportIndex>,
}

impl Pacer {
    pub fn push(&mut self, transport: TransportIndex, descriptor: Descriptor) {
        let index = self.queue.len() as u32;
        self.queue.push(Waiting { descriptor, next: NONE });
        if self.chains.len() <= transport as usize {
            self.chains.resize(transport as usize + 1, EMPTY);
        }
        let chain = &mut self.chains[transport as usize];
        match self.queue.get_mut(chain.last as usize) {
            Some(last) => last.next = index,
            None => {
                chain.first = index;
                self.transports.push(transport);
            }
        }
        chain.last = index;
    }

    /// A subscription ended: what still waits for it goes too, before its slot is used again.
    pub fn forget(&mut self, subscription: u32) {
        for waiting in self.queue.iter_mut().filter(|waiting| waiting.descriptor.subscription == subscription) {
            waiting.descriptor.subscription = NONE;
        }
    }

    fn take_chain(&mut self, transport: TransportIndex) -> u32 {
        self.chains.get_mut(transport as usize).map_or(NONE, |chain| std::mem::replace(chain, EMPTY).first)
    }
}

impl Engine {
    /// Writes, stamps and seals every waiting packet.
    pub(crate) fn flush_media(&mut self, now: Instant, sink: &mut impl Sink) {
        if self.pacer.queue.is_empty() {
            return;
        }
        let mut transports = std::mem::take(&mut self.pacer.transports);
        let mut queue = std::mem::take(&mut self.pacer.queue);
        let send_time = abs_send_time(self.config.wall_clock.unix(now));
        for transport in transports.drain(..) {
            let first = self.pacer.take_chain(transport);
            self.contain(
                now,
                |engine| engine.flush_chain(&queue, first, transport, send_time, sink),
                |engine| engine.key_of(engine.links.get(transport as usize)?.session),
            );
        }
        queue.clear();
        (self.pacer.queue, self.pacer.transports) = (queue, transports);
    }

    /// Everything that waits for one transport.
    fn flush_chain(&mut self, queue: &[Waiting], first: u32, transport: u32, send_time: [u8; 3], sink: &mut impl Sink) {
        if let Some(session) = self.links.get(transport as usize).map(|link| link.session) {
            self.check_fault(session, Fault::Flush);
        }
        let mut at = first;
        while let Some(waiting) = queue.get(at as usize) {
            at = waiting.next;
            if let Some(length) = self.send_one(&waiting.descriptor, transport, send_time, sink) {
                self.meters.datagrams_down += 1;
                self.meters.bytes_down += length as u64;
                self.meters.packets_down += 1;
            }
        }
    }

    fn send_one(&mut self, descriptor: &Descriptor, transport: u32, send_time: [u8; 3], sink: &mut impl Sink) -> Option<usize> {
        let path = self.links.get(transport as usize)?.paths.in_use()?;
        let length = self.seal(descriptor, send_time, sink.room(path)?)?;
        sink.send(path, length);
        Some(length)
    }

    fn seal(&mut self, descriptor: &Descriptor, send_time: [u8; 3], buffer: &mut [u8]) -> Option<usize> {
        let subscription = self.subscriptions.get(descriptor.subscription as usize)?;
        let publication = self.publications.get(descriptor.publication as usize)?;
        let line = subscription.line.as_ref()?;
        let link = self.links.get_mut(subscription.transport as usize)?;
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
        sealer.seal_rtp(stream.ssrc, stream.ext_sequence, buffer, header_length, end).ok()
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
