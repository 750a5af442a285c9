//! The answering role: what the peer sends, we receive; where it wants to receive, we send.

use sluicegate_rtp::codec::{Codec, MediaKind};
use sluicegate_rtp::extension::ExtensionKind;

use super::codecs::{compatible, publish_rank};
use super::text::{Text, formats, intersect, line};
use super::{
    NegotiateError, NegotiatedCodec, Negotiation, OfferedSection, PublishHint, ReceiveSection, Role, Section, SectionKind, SendSection,
    SenderState, Use,
};
use crate::negotiate::offered;
use crate::sdp::Description;

/// Header extensions of what the peer sends (LiveKit: publisher).
const RECEIVE_AUDIO: [ExtensionKind; 3] = [ExtensionKind::Mid, ExtensionKind::AudioLevel, ExtensionKind::AbsCaptureTime];
const RECEIVE_VIDEO: [ExtensionKind; 6] = [
    ExtensionKind::Mid,
    ExtensionKind::Rid,
    ExtensionKind::RepairedRid,
    ExtensionKind::TransportCc,
    ExtensionKind::DependencyDescriptor,
    ExtensionKind::AbsCaptureTime,
];
/// Header extensions of what we send (LiveKit: subscriber).
pub(super) const SEND_AUDIO: [ExtensionKind; 1] = [ExtensionKind::AbsCaptureTime];
pub(super) const SEND_VIDEO: [ExtensionKind; 3] =
    [ExtensionKind::DependencyDescriptor, ExtensionKind::AbsSendTime, ExtensionKind::AbsCaptureTime];

const RECEIVE_VIDEO_FEEDBACK: [&str; 4] = ["transport-cc", "ccm fir", "nack", "nack pli"];
const SEND_VIDEO_FEEDBACK: [&str; 4] = ["goog-remb", "ccm fir", "nack", "nack pli"];
const AUDIO_FEEDBACK: [&str; 1] = ["nack"];

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
        // the role in DTLS stays what the first description made it
        let before = self.remote.as_ref().map(|remote| remote.transport.dtls_active);
        let setup = |setup: Option<&str>| before.unwrap_or(setup == Some("passive"));
        self.remote = Some(offered::transport(&description, setup)?);
        for (index, media) in description.media.iter().enumerate() {
            let offered = OfferedSection::read(media, index);
            let hint = if offered.sends { hint(&offered) } else { None };
            self.take_section(index, offered, hint);
        }
        for kind in [MediaKind::Audio, MediaKind::Video] {
            self.bind_senders(kind);
        }
        for section in &mut self.sections {
            if let Use::Send(send) = &mut section.use_ {
                send.active = true;
            }
        }
        Ok(())
    }

    fn take_section(&mut self, index: usize, offered: OfferedSection, hint: Option<PublishHint>) {
        if self.sections.len() <= index {
            self.sections.push(Section { mid: String::new(), kind: SectionKind::Unknown, use_: Use::Idle, offered: None });
        }
        let (publish, single_pc) = (&self.config.publish, self.config.single_pc);
        let Some(section) = self.sections.get_mut(index) else { return };
        // a refused section may come back as another one (RFC 8829 §5.2.2)
        let recycled = section.mid != offered.mid || section.kind != offered.kind;
        section.mid.clone_from(&offered.mid);
        section.kind = offered.kind;
        let next = match offered.kind {
            _ if offered.rejected => Use::Rejected,
            SectionKind::Data => Use::Data,
            SectionKind::Unknown => Use::Rejected,
            SectionKind::Media(kind) if offered.sends => match receive(kind, &offered, hint.unwrap_or_default(), publish, single_pc) {
                Some(receive) => Use::Receive(Box::new(receive)),
                None => Use::Rejected,
            },
            SectionKind::Media(_) => match std::mem::replace(&mut section.use_, Use::Idle) {
                Use::Send(send) if !recycled && offered.wants_to_receive => Use::Send(send),
                _ => Use::Idle,
            },
        };
        let lost = match &section.use_ {
            Use::Send(send) => Some(send.key),
            _ => None,
        };
        section.use_ = next;
        section.offered = Some(offered);
        // the peer took the section of a sender away: the sender waits for another
        if let Some(sender) = lost.and_then(|key| self.senders.get_mut(&key)) {
            sender.state = SenderState::Waiting;
        }
    }

    /// Puts waiting senders into the sections on which the peer wants to receive.
    fn bind_senders(&mut self, kind: MediaKind) {
        for key in self.waiting(kind) {
            let Some(spec) = self.senders.get(&key).map(|sender| sender.spec.clone()) else { continue };
            let Some(at) = self.sections.iter().position(|section| section.is_spare(kind)) else { return };
            let offered = self.sections.get(at).and_then(|section| section.offered.as_ref());
            let codecs = offered.map(|offered| offered.codecs.as_slice()).unwrap_or_default();
            let chosen = choose(codecs, spec.codec, &spec.fmtp);
            let extensions = offered.map(|o| intersect(&o.extensions, send_extensions(kind))).unwrap_or_default();
            let state = if chosen.is_some() { SenderState::Bound } else { SenderState::Failed };
            if let Some(Chosen { main, rtx, red }) = chosen {
                let (ssrc, rtx_ssrc) = (self.take_ssrc(), self.take_ssrc());
                let send = SendSection {
                    key,
                    kind,
                    codec: spec.codec,
                    payload_type: main,
                    rtx_payload_type: rtx,
                    red_payload_type: red,
                    ssrc,
                    rtx_ssrc,
                    extensions,
                    stream_id: spec.stream_id,
                    track_id: spec.track_id,
                    active: false,
                };
                if let Some(section) = self.sections.get_mut(at) {
                    section.use_ = Use::Send(Box::new(send));
                }
            }
            if let Some(sender) = self.senders.get_mut(&key) {
                sender.state = state;
            }
        }
    }

    /// The answer to the offer that was accepted last.
    pub fn answer(&mut self) -> String {
        self.version += 1;
        let setup = if self.remote.as_ref().is_some_and(|remote| remote.transport.dtls_active) { "active" } else { "passive" };
        let bundle: Vec<&str> =
            self.sections.iter().filter(|s| !matches!(s.use_, Use::Rejected)).map(|s| s.mid.as_str()).collect();
        let mut text = Text::session(self.config.session_id, self.version, &bundle, self.config.local.ice_lite);
        let mut first = true;
        for section in &self.sections {
            let Some(offered) = &section.offered else { continue };
            self.answer_section(&mut text, section, offered, setup, first);
            first &= matches!(section.use_, Use::Rejected);
        }
        text.0
    }

    fn answer_section(&self, text: &mut Text, section: &Section, offered: &OfferedSection, setup: &str, first: bool) {
        let (kind, protocol, mid) = (name(section.kind), offered.protocol.as_str(), section.mid.as_str());
        let all = || offered.formats.join(" ");
        match &section.use_ {
            Use::Rejected => {
                text.media(kind, 0, protocol, &all(), mid);
                line!(text, "a=inactive");
            }
            Use::Data => {
                text.media(kind, 9, protocol, "webrtc-datachannel", mid);
                text.transport(&self.config.local, setup, first);
                text.data();
            }
            Use::Idle => {
                let codecs = &offered.codecs;
                text.media(kind, 9, protocol, &formats(codecs), mid);
                text.transport(&self.config.local, setup, first);
                write_codecs(text, codecs, None, &[]);
                text.multiplexed("inactive");
            }
            Use::Receive(receive) => {
                text.media(kind, 9, protocol, &formats(&receive.codecs), mid);
                text.transport(&self.config.local, setup, first);
                let video = receive.kind == MediaKind::Video;
                let feedback: &[&str] = if video { &RECEIVE_VIDEO_FEEDBACK } else { &AUDIO_FEEDBACK };
                write_codecs(text, &receive.codecs, Some(receive.hint), feedback);
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
                let wanted = [send.red_payload_type, Some(send.payload_type)];
                let pick = |number: Option<u8>| offered.codecs.iter().find(|codec| Some(codec.payload_type) == number).cloned();
                let codecs: Vec<NegotiatedCodec> = wanted.into_iter().filter(Option::is_some).filter_map(pick).collect();
                text.media(kind, 9, protocol, &formats(&codecs), mid);
                text.transport(&self.config.local, setup, first);
                let video = send.kind == MediaKind::Video;
                write_codecs(text, &codecs, None, if video { &SEND_VIDEO_FEEDBACK } else { &AUDIO_FEEDBACK });
                text.extensions(&send.extensions);
                text.sender(send);
                text.multiplexed("sendonly");
            }
        }
    }

    /// `mid_to_track_id` of the answer or offer: the sections that carry our senders.
    pub fn mids(&self) -> Vec<(String, u64)> {
        let sending = |section: &Section| match &section.use_ {
            Use::Send(send) => Some((section.mid.clone(), send.key)),
            _ => None,
        };
        self.sections.iter().filter_map(sending).collect()
    }
}

fn receive(
    kind: MediaKind,
    offered: &OfferedSection,
    hint: PublishHint,
    publish: &[Codec],
    single_pc: bool,
) -> Option<ReceiveSection> {
    let mut codecs: Vec<NegotiatedCodec> = offered
        .codecs
        .iter()
        .filter(|codec| publish.contains(&codec.codec) && !(codec.codec == Codec::Red && hint.disable_red))
        .cloned()
        .collect();
    // stable: within one rank the peer's own order stays
    codecs.sort_by_key(|codec| {
        let red = codec.codec != Codec::Red;
        let preferred = hint.preferred_codec.is_some_and(|wanted| wanted != codec.codec);
        (red, preferred, if hint.preferred_codec == Some(codec.codec) { publish_rank(codec) } else { 0 })
    });
    keep_best_variants(&mut codecs);
    if codecs.is_empty() {
        return None;
    }
    let ours: &[ExtensionKind] = if kind == MediaKind::Audio { &RECEIVE_AUDIO } else { &RECEIVE_VIDEO };
    let mut extensions = intersect(&offered.extensions, ours);
    if single_pc && kind == MediaKind::Video && extensions.id_of(ExtensionKind::TransportCc).is_none() {
        extensions = intersect(&offered.extensions, &[ours, &[ExtensionKind::AbsSendTime]].concat());
    }
    Some(ReceiveSection {
        kind,
        stream_id: offered.stream_id.clone(),
        track_id: offered.track_id.clone(),
        codecs,
        extensions,
        ssrcs: offered.ssrcs.clone(),
        rids: offered.rids.clone(),
        hint,
    })
}

/// Of H264 and VP9 only the variants that every subscriber can take, where the peer has them.
fn keep_best_variants(codecs: &mut Vec<NegotiatedCodec>) {
    for codec in [Codec::H264, Codec::Vp9] {
        let best = codecs.iter().filter(|c| c.codec == codec).map(publish_rank).min();
        if let Some(best) = best {
            let limit = if codec == Codec::H264 && best <= 1 { 1 } else { best };
            codecs.retain(|c| c.codec != codec || publish_rank(c) <= limit);
        }
    }
}

struct Chosen {
    main: u8,
    rtx: Option<u8>,
    red: Option<u8>,
}

/// The peer's payload types for a track of ours; none: it cannot take it.
fn choose(codecs: &[NegotiatedCodec], codec: Codec, fmtp: &str) -> Option<Chosen> {
    let plain = if codec == Codec::Red { Codec::Opus } else { codec };
    let main = codecs.iter().find(|c| c.codec == plain && compatible(plain, fmtp, &c.fmtp))?;
    let red = if codec == Codec::Red { codecs.iter().find(|c| c.codec == Codec::Red) } else { None };
    Some(Chosen { main: main.payload_type, rtx: main.rtx, red: red.map(|red| red.payload_type) })
}

fn write_codecs(text: &mut Text, codecs: &[NegotiatedCodec], hint: Option<PublishHint>, feedback: &[&str]) {
    for codec in codecs {
        let mut fmtp = codec.fmtp.clone();
        if let (Codec::Opus, Some(hint)) = (codec.codec, hint) {
            if hint.dtx {
                fmtp.push_str(";usedtx=1");
            }
            if hint.stereo {
                fmtp.push_str(";stereo=1;maxaveragebitrate=510000");
            }
        }
        let common: Vec<&str> = feedback.iter().copied().filter(|ours| codec.feedback.iter().any(|theirs| theirs == ours)).collect();
        text.codec(codec.payload_type, &codec.rtpmap, fmtp.trim_start_matches(';'), &common);
        if let Some(rtx) = codec.rtx {
            text.rtx(rtx, codec.payload_type);
        }
    }
}

pub(super) fn send_extensions(kind: MediaKind) -> &'static [ExtensionKind] {
    if kind == MediaKind::Audio { &SEND_AUDIO } else { &SEND_VIDEO }
}

pub(super) fn name(kind: SectionKind) -> &'static str {
    match kind {
        SectionKind::Media(MediaKind::Audio) => "audio",
        SectionKind::Media(MediaKind::Video) => "video",
        SectionKind::Data | SectionKind::Unknown => "application",
    }
}
