//! What arrives on the client's sockets. The path of a media packet allocates nothing and looks at no deadline but its own.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sluicegate_rtp::extension::{ExtensionKind, elements};
use sluicegate_rtp::header::{self, Kind, RtpHeader};
use sluicegate_rtp::ntp::NtpTime;
use sluicegate_rtp::rtcp::{Compound, Dlrr, Packet, Writer};
use sluicegate_transport::address::LocalAddress;
use sluicegate_transport::srtp::SrtpError;

use super::{Arrived, Client};

/// The first report comes soon after the first packet.
const FIRST_REPORT: Duration = Duration::from_millis(100);

impl Client {
    /// A datagram came to address `at`. Returns the media packet that it holds, if it is one that did not come before.
    pub fn receive<'a>(&mut self, now: Instant, at: usize, source: SocketAddr, datagram: &'a mut [u8]) -> Option<Arrived<'a>> {
        let arrived = match header::classify(datagram) {
            Kind::Rtp => self.receive_rtp(now, datagram),
            Kind::Rtcp => {
                self.receive_rtcp(now, at, datagram);
                self.poll(now);
                None
            }
            _ => {
                let peer = if at == 0 { &mut self.up } else { &mut self.down };
                let local = peer.local;
                peer.transport.connection.handle_datagram(now, source, LocalAddress::udp(local), datagram);
                self.poll(now);
                None
            }
        };
        if self.deadline.is_some_and(|due| due <= now) {
            self.poll(now);
        }
        arrived
    }

    fn receive_rtp<'a>(&mut self, now: Instant, datagram: &'a mut [u8]) -> Option<Arrived<'a>> {
        self.rtp_bytes_down += datagram.len() as u64;
        let header = RtpHeader::parse(datagram).ok()?;
        let opener = self.down().transport.connection.opener()?;
        let len = match opener.open_rtp(header.ssrc, header.sequence, header.header_len, datagram) {
            Ok(opened) => opened.len,
            // libwebrtc's SRTP drops a second copy, too
            Err(SrtpError::Replayed) => {
                self.duplicates += 1;
                return None;
            }
            Err(_) => {
                self.unauthentic += 1;
                return None;
            }
        };
        let packet: &'a [u8] = datagram.get(..len)?;
        self.note_arrival(now, &header, packet);
        let stream = self.stream(header.ssrc)?;
        let payload = header.payload(packet).ok()?;
        // a repair of nothing is padding
        let (sequence, payload) = if stream.repair { header::split_rtx(payload)? } else { (header.sequence, payload) };
        let subscription = self.subscriptions.get_mut(stream.subscription)?;
        if !subscription.handle_packet(now, sequence) {
            self.duplicates += 1;
            return None;
        }
        subscription.counts.bytes += packet.len() as u64;
        subscription.counts.repaired += u64::from(stream.repair);
        let due = subscription.poll_timeout();
        if let Some(due) = due {
            self.hasten(due);
        }
        if self.report_due.is_none() {
            self.report_due = Some(now + FIRST_REPORT);
            self.hasten(now + FIRST_REPORT);
        }
        let subscription = stream.subscription;
        Some(Arrived { subscription, sequence, timestamp: header.timestamp, payload, repaired: stream.repair })
    }

    fn note_arrival(&mut self, now: Instant, header: &RtpHeader, packet: &[u8]) {
        if !self.congestion.wants_arrivals() {
            return;
        }
        let number = elements(packet, header)
            .find(|(id, _)| self.extensions.kind_of(*id) == Some(ExtensionKind::TransportCc))
            .and_then(|(_, range)| packet.get(range)?.try_into().ok())
            .map(u16::from_be_bytes);
        if let Some(number) = number {
            self.congestion.handle_arrival(now, number);
            if let Some(due) = self.congestion.poll_timeout() {
                self.hasten(due);
            }
        }
    }

    fn receive_rtcp(&mut self, now: Instant, at: usize, datagram: &mut [u8]) {
        let peer = if at == 0 { &mut self.up } else { &mut self.down };
        let Some(Ok(len)) = peer.transport.connection.opener().map(|opener| opener.open_rtcp(datagram)) else { return };
        for packet in Compound::parse(&datagram[..len]) {
            match packet {
                Packet::SenderReport { info, .. } => {
                    let stream = self.stream(info.ssrc);
                    if let Some(subscription) = stream.and_then(|stream| self.subscriptions.get_mut(stream.subscription)) {
                        subscription.handle_sender_report(now, NtpTime(info.ntp));
                    }
                }
                Packet::Nack(nack) => {
                    for sequence in nack.sequences() {
                        if let Some(publication) = self.publications.iter_mut().find(|p| p.ssrc() == nack.media) {
                            publication.resend(now, &mut self.up, sequence);
                        }
                    }
                }
                Packet::Pli { media, .. } => self.want_key_frame(media),
                Packet::Fir(fir) => fir.ssrcs().for_each(|media| self.want_key_frame(media)),
                Packet::ReferenceTime { ssrc, ntp } => {
                    let dlrr = Dlrr { ssrc, last_receiver_report: NtpTime(ntp).middle(), delay: 0 };
                    let mut buffer = [0u8; 64];
                    let mut writer = Writer::new(&mut buffer);
                    writer.dlrr(1, &dlrr);
                    let len = writer.len();
                    self.up.send_rtcp(&buffer[..len]);
                }
                _ => {}
            }
        }
    }

    fn want_key_frame(&mut self, media: u32) {
        if let Some(publication) = self.publications.iter_mut().find(|publication| publication.ssrc() == media) {
            publication.key_frame_wanted = true;
        }
    }
}
