//! RTCP that arrives: reports of publishers and subscribers, and what subscribers miss.

use std::time::Instant;

use sluicegate_rtp::extension::ExtensionKind;
use sluicegate_rtp::ntp::{self, NtpTime};
use sluicegate_rtp::rtcp::{Compound, Dlrr, Packet, ReportBlock};
use sluicegate_sfu::receiver::Layer;

use crate::demux::Path;
use crate::engine::Engine;
use crate::pacer::Descriptor;

/// Packets of one compound that are looked at.
const PACKETS_MAX: usize = 64;
/// Missing packets of one compound that are answered.
const RESENDS_MAX: usize = 256;

impl Engine {
    pub(crate) fn receive_rtcp(&mut self, now: Instant, link: u32, path: Path, datagram: &mut [u8]) {
        let Some(state) = self.links.get_mut(link as usize) else { return };
        let opened = state.transport.connection.opener().and_then(|opener| opener.open_rtcp(datagram).ok());
        let Some(plaintext) = opened.and_then(|len| datagram.get(..len)) else {
            self.meters.dropped_unauthentic += 1;
            return;
        };
        state.heard(now, path);
        for packet in Compound::parse(plaintext).take(PACKETS_MAX) {
            self.rtcp_packet(now, link, &packet);
        }
    }

    fn rtcp_packet(&mut self, now: Instant, link: u32, packet: &Packet<'_>) {
        match packet {
            Packet::SenderReport { info, blocks } => {
                self.sender_report(now, link, info.ssrc, NtpTime(info.ntp), info.rtp);
                blocks.iter().for_each(|block| self.report_block(now, link, &block));
            }
            Packet::ReceiverReport { blocks, .. } => blocks.iter().for_each(|block| self.report_block(now, link, &block)),
            Packet::Nack(nack) => {
                self.meters.nacks_up += 1;
                for sequence in nack.sequences().take(RESENDS_MAX) {
                    self.resend(now, link, nack.media, sequence);
                }
            }
            Packet::Pli { media, .. } => self.key_frame_asked(now, link, *media),
            Packet::Fir(fir) => fir.ssrcs().take(PACKETS_MAX).for_each(|ssrc| self.key_frame_asked(now, link, ssrc)),
            Packet::ReferenceTime { ssrc, ntp } => {
                if let Some(state) = self.links.get_mut(link as usize) {
                    state.reference_time = Some((*ssrc, NtpTime(*ntp).middle(), now));
                }
            }
            Packet::Dlrr(blocks) => blocks.iter().for_each(|block| self.publisher_round_trip(now, link, &block)),
            _ => {}
        }
    }

    fn sender_report(&mut self, now: Instant, link: u32, ssrc: u32, ntp: NtpTime, timestamp: u32) {
        let Some(state) = self.links.get(link as usize) else { return };
        let Some(route) = state.routes.get(ssrc) else { return };
        let (Some(session), Some(publication)) =
            (self.sessions.get_mut(state.session as usize), self.publications.get_mut(route.publication as usize))
        else {
            return;
        };
        session.clock.observe(now, ntp);
        publication.receiver.handle_sender_report(now, ssrc, ntp, timestamp);
    }

    fn report_block(&mut self, now: Instant, link: u32, block: &ReportBlock) {
        let now_ntp = self.ntp(now);
        let Some(subscription) = self.line_with(link, block.ssrc) else { return };
        if let Some(session) = self.links.get(link as usize).and_then(|state| self.sessions.get_mut(state.session as usize)) {
            session.quality.handle_report(block.fraction_lost);
        }
        let Some(line) = self.subscriptions.get_mut(subscription as usize).and_then(|s| s.line.as_mut()) else { return };
        if let Some(round_trip) = line.down_track.handle_report_block(now_ntp, block)
            && let Some(state) = self.links.get_mut(link as usize)
        {
            state.round_trip = Some(round_trip);
        }
    }

    fn publisher_round_trip(&mut self, now: Instant, link: u32, block: &Dlrr) {
        let now_ntp = self.ntp(now);
        let Some(state) = self.links.get_mut(link as usize) else { return };
        let as_report =
            ReportBlock { last_sender_report: block.last_receiver_report, delay_since_last: block.delay, ..ReportBlock::default() };
        let (true, Some(elapsed)) = (block.ssrc == state.feedback_ssrc, as_report.round_trip(now_ntp.middle())) else { return };
        let round_trip = ntp::from_compact(elapsed);
        state.round_trip = Some(round_trip);
        let Some(session) = self.sessions.get(state.session as usize) else { return };
        for &publication in &session.publications {
            if let Some(publication) = self.publications.get_mut(publication as usize) {
                publication.receiver.set_round_trip(round_trip);
            }
        }
    }

    fn resend(&mut self, now: Instant, link: u32, ssrc: u32, sequence: u16) {
        let Some(index) = self.line_with(link, ssrc) else { return };
        let Some(subscription) = self.subscriptions.get_mut(index as usize) else { return };
        let publication = subscription.publication;
        let Some(line) = &mut subscription.line else { return };
        let Some(resend) = line.down_track.handle_nack(now, sequence) else { return };
        let through_rtx = line.rtx.is_some();
        // Without a repair stream the packet goes as it went. Sealed again it must be the same to the last bit: another header
        // under the same nonce would give GCM's authentication key away.
        if !through_rtx && line.extensions.id_of(ExtensionKind::AbsSendTime).is_some() {
            return;
        }
        let rtx = through_rtx.then(|| line.down_track.take_rtx_sequence());
        self.meters.resends_down += 1;
        let (layer, source, rewritten) = (resend.layer.0, resend.source, resend.rewritten);
        self.pacer.push(link, Descriptor { subscription: index, publication, layer, rtx, source, rewritten });
    }

    fn key_frame_asked(&mut self, now: Instant, link: u32, ssrc: u32) {
        self.meters.plis_up += 1;
        let Some(subscription) = self.line_with(link, ssrc).and_then(|s| self.subscriptions.get(s as usize)) else { return };
        let index = subscription.publication;
        let Some(publication) = self.publications.get(index as usize) else { return };
        let layer = publication.receiver.target(now).unwrap_or(Layer(0));
        self.ask_key_frame(now, index, layer);
    }

    /// The subscription that sends `ssrc` on this link.
    fn line_with(&self, link: u32, ssrc: u32) -> Option<u32> {
        let state = self.links.get(link as usize)?;
        let session = self.sessions.get(state.session as usize)?;
        let sends = |index: &u32| {
            let subscription = self.subscriptions.get(*index as usize);
            subscription.is_some_and(|s| s.transport == link && s.line.as_ref().is_some_and(|line| line.ssrc == ssrc))
        };
        session.subscriptions.iter().copied().find(sends)
    }

    /// The server's own NTP time.
    pub(crate) fn ntp(&self, now: Instant) -> NtpTime {
        NtpTime::from_unix(self.config.wall_clock.unix(now))
    }
}
