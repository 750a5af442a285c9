//! The offering role: every section carries one of our senders, or is free for the next one of its kind.

use sluicegate_rtp::codec::{Codec, MediaKind};
use sluicegate_rtp::extension::{ExtensionKind, ExtensionMap};

use super::answer::{name, send_extensions};
use super::codecs::{compatible, own_numbers};
use super::offered::{self, OfferedSection};
use super::text::{Text, line};
use super::{NegotiateError, Negotiation, Role, Section, SectionKind, SendSection, SenderState, Use};
use crate::sdp::Description;

const VIDEO_FEEDBACK: [&str; 4] = ["goog-remb", "ccm fir", "nack", "nack pli"];

impl Negotiation {
    /// Gives every waiting sender a section and describes all of them.
    pub fn create_offer(&mut self) -> Result<String, NegotiateError> {
        if self.config.role != Role::Offer {
            return Err(NegotiateError::Role);
        }
        if self.with_data && !self.sections.iter().any(|section| section.kind == SectionKind::Data) {
            let mid = self.new_mid();
            self.sections.push(Section { mid, kind: SectionKind::Data, use_: Use::Data, offered: None });
        }
        for kind in [MediaKind::Audio, MediaKind::Video] {
            for key in self.waiting(kind) {
                self.place(kind, key);
            }
        }
        self.version += 1;
        Ok(self.write_offer())
    }

    fn place(&mut self, kind: MediaKind, key: u64) {
        let Some(sender) = self.senders.get_mut(&key) else { return };
        sender.state = SenderState::Bound;
        let spec = sender.spec.clone();
        let plain = if spec.codec == Codec::Red { Codec::Opus } else { spec.codec };
        let (payload_type, ..) = own_numbers(plain, &spec.fmtp);
        let (ssrc, rtx_ssrc) = (self.take_ssrc(), self.take_ssrc());
        let use_ = Use::Send(Box::new(SendSection {
            key,
            kind,
            codec: spec.codec,
            payload_type,
            rtx_payload_type: (kind == MediaKind::Video).then_some(payload_type + 1),
            red_payload_type: (spec.codec == Codec::Red).then(|| own_numbers(Codec::Red, "").0),
            ssrc,
            rtx_ssrc,
            extensions: own_extensions(kind),
            stream_id: spec.stream_id,
            track_id: spec.track_id,
            active: false,
        }));
        // a section that was stopped serves again, under its mid, with new SSRCs
        let free = |section: &&mut Section| section.kind == SectionKind::Media(kind) && matches!(section.use_, Use::Idle);
        if let Some(section) = self.sections.iter_mut().find(free) {
            section.use_ = use_;
        } else {
            let mid = self.new_mid();
            self.sections.push(Section { mid, kind: SectionKind::Media(kind), use_, offered: None });
        }
    }

    fn new_mid(&mut self) -> String {
        let mid = self.next_mid.to_string();
        self.next_mid += 1;
        mid
    }

    fn write_offer(&self) -> String {
        let bundle: Vec<&str> = self.sections.iter().map(|section| section.mid.as_str()).collect();
        let mut text = Text::session(self.config.session_id, self.version, &bundle, self.config.local.ice_lite);
        for (index, section) in self.sections.iter().enumerate() {
            let first = index == 0;
            let kind = name(section.kind);
            match (&section.use_, section.kind) {
                (Use::Data, _) => {
                    text.media(kind, 9, "UDP/DTLS/SCTP", "webrtc-datachannel", &section.mid);
                    text.transport(&self.config.local, "actpass", first);
                    text.data();
                }
                (Use::Send(send), _) => self.write_sender(&mut text, section, send, first),
                (_, SectionKind::Media(media)) => {
                    let codec = if media == MediaKind::Audio { Codec::Opus } else { Codec::Vp8 };
                    let (payload_type, rtpmap, fmtp) = own_numbers(codec, "");
                    text.media(kind, 9, "UDP/TLS/RTP/SAVPF", &payload_type.to_string(), &section.mid);
                    text.transport(&self.config.local, "actpass", first);
                    text.codec(payload_type, rtpmap, fmtp, &[]);
                    text.multiplexed("inactive");
                }
                _ => {}
            }
        }
        text.0
    }

    fn write_sender(&self, text: &mut Text, section: &Section, send: &SendSection, first: bool) {
        let fmtp_of_source = self.senders.get(&send.key).map(|sender| sender.spec.fmtp.as_str()).unwrap_or_default();
        let plain = if send.codec == Codec::Red { Codec::Opus } else { send.codec };
        let (payload_type, rtpmap, fmtp) = own_numbers(plain, fmtp_of_source);
        let numbers = [send.red_payload_type, Some(payload_type), send.rtx_payload_type];
        let formats: Vec<String> = numbers.into_iter().flatten().map(|number| number.to_string()).collect();
        text.media(name(section.kind), 9, "UDP/TLS/RTP/SAVPF", &formats.join(" "), &section.mid);
        text.transport(&self.config.local, "actpass", first);
        if let Some(red) = send.red_payload_type {
            let (_, rtpmap, fmtp) = own_numbers(Codec::Red, "");
            text.codec(red, rtpmap, fmtp, &[]);
        }
        // retransmission is no help to a stream that carries its own redundancy
        let audio: &[&str] = if send.red_payload_type.is_some() { &[] } else { &["nack"] };
        text.codec(payload_type, rtpmap, fmtp, if send.kind == MediaKind::Video { &VIDEO_FEEDBACK } else { audio });
        if let Some(rtx) = send.rtx_payload_type {
            text.rtx(rtx, payload_type);
        }
        text.extensions(&own_extensions(send.kind));
        text.sender(send);
        text.multiplexed("sendonly");
        if send.kind == MediaKind::Audio {
            line!(text, "a=ptime:20");
        }
    }

    /// Takes the peer's answer: which senders may flow, which extensions it understands.
    pub fn accept_answer(&mut self, sdp: &str) -> Result<(), NegotiateError> {
        if self.config.role != Role::Offer {
            return Err(NegotiateError::Role);
        }
        let description = Description::parse(sdp)?;
        let before = self.remote.as_ref().map(|remote| remote.transport.dtls_active);
        // we offered actpass: the peer's choice decides
        let setup = |setup: Option<&str>| before.unwrap_or(setup == Some("passive"));
        self.remote = Some(offered::transport(&description, setup)?);
        for (index, (media, section)) in description.media.iter().zip(&mut self.sections).enumerate() {
            let answered = OfferedSection::read(media, index);
            if answered.mid != section.mid {
                return Err(NegotiateError::Sections);
            }
            let Use::Send(send) = &mut section.use_ else { continue };
            let sender = self.senders.get_mut(&send.key);
            let plain = if send.codec == Codec::Red { Codec::Opus } else { send.codec };
            let source = sender.as_ref().map(|sender| sender.spec.fmtp.clone()).unwrap_or_default();
            let taken = answered.codecs.iter().find(|codec| codec.codec == plain && compatible(plain, &source, &codec.fmtp));
            let wanted = !answered.rejected && (answered.wants_to_receive || answered.sends);
            match taken.filter(|_| wanted) {
                Some(codec) => {
                    send.payload_type = codec.payload_type;
                    send.rtx_payload_type = codec.rtx;
                    let red = answered.codecs.iter().find(|codec| codec.codec == Codec::Red).map(|codec| codec.payload_type);
                    send.red_payload_type = send.red_payload_type.and(red);
                    send.extensions = super::text::intersect(&answered.extensions, send_extensions(send.kind));
                    send.active = true;
                }
                None => {
                    send.active = false;
                    if let Some(sender) = sender {
                        sender.state = SenderState::Failed;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Our numbers for the extensions of what we send.
fn own_extensions(kind: MediaKind) -> ExtensionMap {
    let mut map = ExtensionMap::new();
    for extension in send_extensions(kind) {
        let id = match extension {
            ExtensionKind::AbsSendTime => 2,
            ExtensionKind::DependencyDescriptor => 3,
            _ => 4,
        };
        map.set(id, *extension);
    }
    map
}
