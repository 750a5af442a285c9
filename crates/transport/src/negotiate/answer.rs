//! The answering role: what the peer sends, we receive; where it wants to receive, we send.

use std::collections::BTreeSet;

use sluicegate_rtp::codec::{Codec, MediaKind};
use sluicegate_rtp::extension::ExtensionMap;

use super::feedback::Feedback;
use super::receive::{Rules, answered_extensions, receive};
use super::sender::Carried;
use super::text::{RTP, SCTP, Text, formats, line};
use super::{
    NegotiateError, NegotiatedCodec, Negotiation, OfferedSection, PublishHint, ReceiveSection, Role, Section, SectionKind,
    SenderState, Use, next_ssrc, offered,
};
use crate::sdp::Description;

impl Negotiation {
    /// Takes the peer's offer. `hint` is asked for each section on which the peer sends; none: an unannounced track, answered all
    /// the same, so that an announcement that comes later finds it.
    pub fn accept_offer(
        &mut self,
        sdp: &str,
        mut hint: impl FnMut(&OfferedSection) -> Option<PublishHint>,
    ) -> Result<(), NegotiateError> {
        if self.config.role != Role::Answer {
            return Err(NegotiateError::Role);
        }
        let description = Description::parse(sdp)?;
        if description.media.len() < self.sections.len() {
            return Err(NegotiateError::Sections);
        }
        let remote = offered::transport(&description, self.remote.as_ref())?;
        let sections = offered::sections(&description)?;
        self.allow_mixed = description.get("extmap-allow-mixed").is_some()
            || description.media.iter().any(|media| media.has("extmap-allow-mixed"));
        self.remote = Some(remote);
        let mut has_data = false;
        for (index, mut offered) in sections.into_iter().enumerate() {
            if offered.kind == SectionKind::Data && !offered.rejected {
                offered.rejected = std::mem::replace(&mut has_data, true);
            }
            let publishes = offered.sends && !offered.rejected && matches!(offered.kind, SectionKind::Media(_));
            let hint = if publishes { hint(&offered) } else { None };
            self.take_section(index, offered, hint);
        }
        self.bind_senders(MediaKind::Audio);
        self.bind_senders(MediaKind::Video);
        Ok(())
    }

    fn take_section(&mut self, index: usize, offered: OfferedSection, hint: Option<PublishHint>) {
        if self.sections.len() <= index {
            self.sections.push(Section::new(String::new(), SectionKind::Unknown, Use::Idle));
        }
        let (congestion, rules) = (self.congestion, self.rules());
        let Some(section) = self.sections.get_mut(index) else { return };
        // a section that was given up may come back as another one (RFC 8829 §5.2.2)
        let recycled = section.mid != offered.mid || section.kind != offered.kind;
        let before = std::mem::replace(&mut section.use_, Use::Idle);
        section.mid.clone_from(&offered.mid);
        section.kind = offered.kind;
        section.settled |= recycled;
        let mut lost = None;
        section.use_ = match (offered.kind, before) {
            (SectionKind::Media(_), Use::Send(mut send)) => {
                let sender = self.senders.get_mut(&send.key);
                let stays = !recycled && !offered.rejected && offered.wants_to_receive;
                let carried = sender.as_ref().and_then(|sender| Carried::taken(&sender.spec, &offered, congestion));
                match (stays, carried) {
                    (true, Some(carried)) => {
                        // new numbers: to the peer, and to those who send, this is another stream
                        if !carried.has_numbers_of(&send) {
                            (send.ssrc, send.rtx_ssrc) = (next_ssrc(&mut self.next_ssrc), next_ssrc(&mut self.next_ssrc));
                        }
                        carried.apply(&mut send);
                        Use::Send(send)
                    }
                    (true, None) => {
                        lost = sender.map(|sender| sender.state = SenderState::Failed);
                        next_use(&offered, hint, None, &self.config.publish, rules)
                    }
                    // the peer took the section of a sender away: the sender waits for another
                    (false, _) => {
                        lost = sender.map(|sender| sender.state = SenderState::Waiting);
                        next_use(&offered, hint, None, &self.config.publish, rules)
                    }
                }
            }
            (_, Use::Receive(before)) if !recycled => next_use(&offered, hint, Some(&before), &self.config.publish, rules),
            _ => next_use(&offered, hint, None, &self.config.publish, rules),
        };
        self.dirty |= lost.is_some();
        section.offered = Some(offered);
    }

    fn rules(&self) -> Rules {
        Rules { single_pc: self.config.single_pc, only_preferred: self.only_preferred }
    }

    /// Puts waiting senders into the sections on which the peer wants to receive.
    fn bind_senders(&mut self, kind: MediaKind) {
        let mut spare: BTreeSet<usize> = (0..self.sections.len()).filter(|at| self.sections[*at].is_spare(kind)).collect();
        for key in self.waiting(kind) {
            if spare.is_empty() {
                return;
            }
            let Some(spec) = self.senders.get(&key).map(|sender| sender.spec.clone()) else { continue };
            let taken = spare.iter().find_map(|at| {
                let offered = self.sections.get(*at)?.offered.as_ref()?;
                Some((*at, Carried::taken(&spec, offered, self.congestion)?))
            });
            let state = match taken {
                Some((at, carried)) => {
                    spare.remove(&at);
                    let use_ = self.carry(&spec, carried);
                    if let Some(section) = self.sections.get_mut(at) {
                        section.use_ = use_;
                        section.settled = false;
                    }
                    SenderState::Bound
                }
                None => SenderState::Failed,
            };
            if let Some(sender) = self.senders.get_mut(&key) {
                sender.state = state;
            }
        }
    }

    /// The answer to the offer that was accepted last. From here on media may flow.
    pub fn answer(&mut self) -> String {
        self.version += 1;
        self.dirty = false;
        for section in &mut self.sections {
            match &mut section.use_ {
                Use::Send(send) => send.active = true,
                _ => section.settled = true,
            }
        }
        let setup = if self.remote.as_ref().is_some_and(|remote| remote.transport.dtls_active) { "active" } else { "passive" };
        let bundle: Vec<&str> = self.sections.iter().filter(|s| s.use_ != Use::Rejected).map(|s| s.mid.as_str()).collect();
        let mut text = Text::session(&self.config, self.version, &bundle, setup, self.allow_mixed);
        for section in &self.sections {
            if let Some(offered) = &section.offered {
                answer_section(&mut text, section, offered, self.rules());
            }
        }
        text.text
    }
}

/// What becomes of a section that carries nothing of ours.
fn next_use(
    offered: &OfferedSection,
    hint: Option<PublishHint>,
    before: Option<&ReceiveSection>,
    publish: &[Codec],
    rules: Rules,
) -> Use {
    let kind = match offered.kind {
        _ if offered.rejected => return Use::Rejected,
        SectionKind::Data => return Use::Data,
        SectionKind::Unknown => return Use::Rejected,
        // a section must name a codec, even one without a purpose
        SectionKind::Media(_) if offered.codecs.is_empty() => return Use::Rejected,
        SectionKind::Media(_) if !offered.sends => return Use::Idle,
        SectionKind::Media(kind) => kind,
    };
    let same_track = before.filter(|before| before.track_id == offered.track_id);
    let hint = hint.or(same_track.map(|before| before.hint)).unwrap_or_default();
    // a track that may not be published is answered inactive: refusing the section would take it from the bundle for ever
    receive(kind, offered, hint, publish, rules).map_or(Use::Idle, |receive| Use::Receive(Box::new(receive)))
}

fn answer_section(text: &mut Text<'_>, section: &Section, offered: &OfferedSection, rules: Rules) {
    let (kind, mid) = (section.name(), section.mid.as_str());
    let extensions = match section.kind {
        SectionKind::Media(kind) => answered_extensions(kind, &offered.extensions, rules.single_pc, None),
        _ => ExtensionMap::new(),
    };
    match &section.use_ {
        Use::Rejected => text.refused(&offered.media, &offered.protocol, &offered.format, mid),
        Use::Data => {
            text.media(kind, SCTP, "webrtc-datachannel", mid);
            text.data();
        }
        Use::Idle => {
            let plain = |codec: &NegotiatedCodec| NegotiatedCodec { feedback: Feedback::NONE, ..codec.clone() };
            write_codecs(text, kind, mid, &offered.codecs.iter().map(plain).collect::<Vec<_>>());
            text.extensions(&extensions);
            text.multiplexed("inactive");
        }
        Use::Receive(receive) => {
            write_codecs(text, kind, mid, &receive.codecs);
            text.extensions(&receive.extensions);
            for rid in &receive.rids {
                line!(text, "a=rid:{rid} recv");
            }
            if !receive.rids.is_empty() {
                line!(text, "a=simulcast:recv {}", receive.rids.join(";"));
            }
            text.multiplexed("recvonly");
        }
        Use::Send(send) => {
            write_codecs(text, kind, mid, &send.codecs);
            text.extensions(&extensions);
            text.sender(send);
            text.multiplexed("sendonly");
        }
    }
}

fn write_codecs(text: &mut Text<'_>, kind: &str, mid: &str, codecs: &[NegotiatedCodec]) {
    text.media(kind, RTP, &formats(codecs), mid);
    for codec in codecs {
        text.codec(codec);
    }
}
