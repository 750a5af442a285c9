//! RTCP that leaves: transport-wide feedback, requests for repairs and key frames, receiver and sender reports.

use std::time::Instant;

use arrayvec::ArrayVec;
use sluicegate_contract::Event;
use sluicegate_rtp::ntp;
use sluicegate_rtp::rtcp::{Dlrr, ReportBlock, Writer};
use sluicegate_sfu::receiver::ReceiverOutput;

use crate::engine::Engine;
use crate::link::REPORT_INTERVAL;

/// Room for a compound with its SRTCP trailer in one datagram.
const COMPOUND_MAX: usize = 1200;
const TRAILER_MAX: usize = 32;
/// Report blocks of one packet.
const BLOCKS_MAX: usize = 31;

impl Engine {
    /// Everything this link's peer is due to hear.
    pub(crate) fn send_feedback(&mut self, now: Instant, link: u32) {
        self.send_publisher_feedback(now, link);
        let Some(state) = self.links.get_mut(link as usize) else { return };
        if state.report_due.is_some_and(|due| due <= now) {
            state.report_due = Some(now + REPORT_INTERVAL);
            self.send_receiver_report(now, link);
            self.send_sender_reports(now, link);
            self.report_quality(now, link);
            self.report_layers(now, link);
        }
    }

    /// The layers of what this link publishes, to other workers that have it.
    fn report_layers(&mut self, now: Instant, link: u32) {
        let Some(session) = self.links.get(link as usize).map(|state| state.session) else { return };
        for at in 0.. {
            let Some(publication) = self.sessions.get(session as usize).and_then(|s| s.publications.get(at).copied()) else {
                return;
            };
            if self.publications.get(publication as usize).is_some_and(|p| p.comes_on(link)) {
                self.tell_layers(now, publication);
            }
        }
    }

    fn report_quality(&mut self, now: Instant, link: u32) {
        let Some(state) = self.links.get(link as usize) else { return };
        let Some(session) = self.sessions.get_mut(state.session as usize) else { return };
        if let Some(score) = session.quality.take_due(now, state.round_trip) {
            self.events.push_back(Event::Quality { session: session.key, score });
        }
    }

    fn send_publisher_feedback(&mut self, now: Instant, link: u32) {
        let Some(state) = self.links.get(link as usize) else { return };
        let (session, sender) = (state.session, state.feedback_ssrc);
        let mut buffer = [0u8; COMPOUND_MAX];
        let mut writer = Writer::new(&mut buffer);
        let Some(count) = self.sessions.get(session as usize).map(|session| session.publications.len()) else { return };
        for at in 0..count {
            let publication = self.sessions[session as usize].publications[at];
            let Some(publication) = self.publications.get_mut(publication as usize).filter(|p| p.comes_on(link)) else {
                continue;
            };
            publication.receiver.handle_timeout(now);
            while let Some(output) = publication.receiver.poll_output() {
                match output {
                    ReceiverOutput::Nack { ssrc, sequences } => {
                        writer.nack(sender, ssrc, &sequences);
                        self.meters.nacks_down += 1;
                    }
                    ReceiverOutput::Pli { ssrc } => {
                        writer.pli(sender, ssrc);
                        self.meters.plis_down += 1;
                    }
                }
            }
        }
        if let Some(state) = self.links.get_mut(link as usize) {
            state.twcc.write_due(now, sender, &mut writer);
        }
        let len = writer.len();
        self.send_rtcp(link, &buffer[..len]);
    }

    fn send_receiver_report(&mut self, now: Instant, link: u32) {
        let now_ntp = self.ntp(now);
        let Some(state) = self.links.get(link as usize) else { return };
        let (sender, reference) = (state.feedback_ssrc, state.reference_time);
        let Some(session) = self.sessions.get(state.session as usize) else { return };
        let mut blocks = ArrayVec::<ReportBlock, BLOCKS_MAX>::new();
        for &publication in &session.publications {
            if let Some(publication) = self.publications.get_mut(publication as usize).filter(|p| p.comes_on(link)) {
                publication.receiver.report_blocks(now, |block| {
                    let _ = blocks.try_push(block);
                });
            }
        }
        let index = state.session;
        if let Some(session) = self.sessions.get_mut(index as usize) {
            blocks.iter().for_each(|block| session.quality.handle_report(block.fraction_lost));
        }
        let mut buffer = [0u8; COMPOUND_MAX];
        let mut writer = Writer::new(&mut buffer);
        if !blocks.is_empty() {
            writer.receiver_report(sender, &blocks);
            // asks the publisher for its half of the round trip
            writer.reference_time(sender, now_ntp.0);
        }
        if let Some((ssrc, last_receiver_report, at)) = reference {
            let delay = ntp::to_compact(now.saturating_duration_since(at));
            writer.dlrr(sender, &Dlrr { ssrc, last_receiver_report, delay });
        }
        let len = writer.len();
        self.send_rtcp(link, &buffer[..len]);
    }

    fn send_sender_reports(&mut self, now: Instant, link: u32) {
        let now_ntp = self.ntp(now);
        let Some(state) = self.links.get(link as usize) else { return };
        let Some(session) = self.sessions.get(state.session as usize) else { return };
        let mut buffer = [0u8; COMPOUND_MAX];
        let mut filled = 0;
        for at in 0..session.subscriptions.len() {
            let Some(session) = self.links.get(link as usize).and_then(|state| self.sessions.get(state.session as usize)) else {
                return;
            };
            let Some(subscription) = session.subscriptions.get(at).and_then(|s| self.subscriptions.get(*s as usize)) else {
                continue;
            };
            if subscription.transport != link || subscription.disabled {
                continue;
            }
            let Some(line) = &subscription.line else { continue };
            let Some(info) = line.down_track.sender_report(now, now_ntp) else { continue };
            let mut one = [0u8; 400];
            let mut writer = Writer::new(&mut one);
            writer.sender_report(&info, &[]);
            writer.cname(info.ssrc, &line.cname);
            let len = writer.len();
            if filled + len > COMPOUND_MAX {
                self.send_rtcp(link, &buffer[..filled]);
                filled = 0;
            }
            buffer[filled..filled + len].copy_from_slice(&one[..len]);
            filled += len;
        }
        self.send_rtcp(link, &buffer[..filled]);
    }

    /// Seals a compound and puts it into the outbox.
    fn send_rtcp(&mut self, link: u32, compound: &[u8]) {
        if compound.is_empty() {
            return;
        }
        let Some(state) = self.links.get_mut(link as usize) else { return };
        let (Some(path), Some(sealer)) = (state.paths.in_use(), state.transport.connection.sealer()) else { return };
        let mut buffer = [0u8; COMPOUND_MAX + TRAILER_MAX];
        let Some(room) = buffer.get_mut(..compound.len()) else { return };
        room.copy_from_slice(compound);
        if let Ok(sealed) = sealer.seal_rtcp(&mut buffer, compound.len()) {
            self.outbox.push(path, &buffer[..sealed]);
        }
    }
}
