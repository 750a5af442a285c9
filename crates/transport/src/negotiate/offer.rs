//! The offering role: every section carries one of our senders, or is free for the next one of its kind.

use sluicegate_rtp::codec::{Codec, MediaKind};

use super::offered::{self, OfferedSection};
use super::sender::Carried;
use super::text::{RTP, SCTP, Text, formats, placeholder};
use super::{NegotiateError, Negotiation, Role, Section, SectionKind, SenderState, Use};
use crate::sdp::{Description, SECTIONS_MAX};

impl Negotiation {
    /// Gives every waiting sender a section and describes all of them.
    pub fn create_offer(&mut self) -> Result<String, NegotiateError> {
        if self.config.role != Role::Offer {
            return Err(NegotiateError::Role);
        }
        if self.with_data && !self.sections.iter().any(|section| section.kind == SectionKind::Data) {
            let mid = self.new_mid();
            self.sections.push(Section::new(mid, SectionKind::Data, Use::Data));
        }
        for kind in [MediaKind::Audio, MediaKind::Video] {
            for key in self.waiting(kind) {
                self.place(kind, key);
            }
        }
        for section in &mut self.sections {
            section.shown_idle = matches!(section.use_, Use::Idle | Use::Rejected);
        }
        self.dirty = false;
        self.version += 1;
        Ok(self.write_offer())
    }

    /// A section that was stopped serves again under its mid, one that was given up under a new one; else there is a new one.
    fn place(&mut self, kind: MediaKind, key: u64) {
        let Some(spec) = self.senders.get(&key).map(|sender| sender.spec.clone()) else { return };
        let is_stopped = |s: &Section| s.kind == SectionKind::Media(kind) && s.use_ == Use::Idle && s.settled;
        let stopped = self.sections.iter().position(is_stopped);
        let given_up = self.sections.iter().position(|section| section.use_ == Use::Rejected && section.settled);
        let use_ = self.carry(&spec, Carried::own(&spec, self.congestion));
        let mut state = SenderState::Bound;
        // Chromium keeps the id of the first track of a mid, and LiveKit's clients go by it where the stream does not name the track
        let names_itself = spec.stream_id.ends_with(&spec.track_id);
        match (stopped, given_up) {
            (Some(at), _) if names_itself => {
                self.sections[at].use_ = use_;
                self.sections[at].settled = false;
            }
            (stopped, given_up) => {
                if let Some(at) = stopped {
                    self.sections[at].use_ = Use::Rejected;
                    self.sections[at].settled = false;
                }
                let has_room = self.sections.len() < SECTIONS_MAX;
                let mid = self.new_mid();
                let section = Section { settled: false, ..Section::new(mid, SectionKind::Media(kind), use_) };
                match given_up {
                    Some(at) => self.sections[at] = section,
                    None if has_room => self.sections.push(section),
                    None => state = SenderState::Failed,
                }
            }
        }
        if let Some(sender) = self.senders.get_mut(&key) {
            sender.state = state;
        }
    }

    fn new_mid(&mut self) -> String {
        let mid = self.next_mid.to_string();
        self.next_mid += 1;
        mid
    }

    fn write_offer(&self) -> String {
        let bundle: Vec<&str> = self.sections.iter().filter(|s| s.use_ != Use::Rejected).map(|s| s.mid.as_str()).collect();
        let mut text = Text::session(&self.config, self.version, &bundle, "actpass", true);
        for section in &self.sections {
            self.offer_section(&mut text, section);
        }
        text.text
    }

    fn offer_section(&self, text: &mut Text<'_>, section: &Section) {
        let (kind, mid) = (section.name(), section.mid.as_str());
        let codec = match section.kind {
            SectionKind::Media(MediaKind::Audio) => placeholder(Codec::Opus),
            _ => placeholder(Codec::Vp8),
        };
        match &section.use_ {
            Use::Data => {
                text.media(kind, SCTP, "webrtc-datachannel", mid);
                text.data();
            }
            Use::Send(send) => {
                // the peer may have answered with less; an offer always shows all
                let spec = self.senders.get(&send.key).map(|sender| &sender.spec);
                let own = spec.map(|spec| Carried::own(spec, self.congestion));
                let (codecs, extensions) = own.map_or((send.codecs.clone(), send.extensions), |own| (own.codecs(), own.extensions));
                text.media(kind, RTP, &formats(&codecs), mid);
                for codec in &codecs {
                    text.codec(codec);
                }
                text.extensions(&extensions);
                text.sender(send);
                text.multiplexed("sendonly");
            }
            Use::Rejected => text.refused(kind, RTP, &codec.payload_type.to_string(), mid),
            Use::Idle | Use::Receive(_) => {
                text.media(kind, RTP, &formats(std::slice::from_ref(&codec)), mid);
                text.codec(&codec);
                text.multiplexed("inactive");
            }
        }
    }

    /// Takes the peer's answer: which senders may flow, under which numbers, with which extensions.
    pub fn accept_answer(&mut self, sdp: &str) -> Result<(), NegotiateError> {
        if self.config.role != Role::Offer {
            return Err(NegotiateError::Role);
        }
        let description = Description::parse(sdp)?;
        // an answer that refuses everything has neither bundle nor transport
        let refused = description.media.iter().all(|media| media.port == 0);
        let sections = if refused && description.bundle().is_none() { Vec::new() } else { offered::sections(&description)? };
        let same = |(media, section): (&OfferedSection, &Section)| media.mid == section.mid;
        if description.media.len() != self.sections.len() || !sections.iter().zip(&self.sections).all(same) {
            return Err(NegotiateError::Sections);
        }
        if !refused {
            self.remote = Some(offered::transport(&description, self.remote.as_ref())?);
        }
        for index in 0..self.sections.len() {
            self.take_answer(index, sections.get(index));
        }
        Ok(())
    }

    fn take_answer(&mut self, index: usize, answered: Option<&OfferedSection>) {
        let congestion = self.congestion;
        let Some(section) = self.sections.get_mut(index) else { return };
        let answered = answered.filter(|answered| !answered.rejected);
        section.settled |= section.shown_idle;
        let Use::Send(send) = &mut section.use_ else {
            if answered.is_none() && section.kind != SectionKind::Data {
                section.use_ = Use::Rejected;
                section.settled = true;
            }
            return;
        };
        let sender = self.senders.get_mut(&send.key);
        let carried = match (answered, &sender) {
            (Some(answered), Some(sender)) => Carried::taken(&sender.spec, answered, congestion),
            _ => None,
        };
        match (answered, carried) {
            (Some(answered), Some(carried)) => {
                carried.apply(send);
                send.active = answered.wants_to_receive;
            }
            (_, _) => {
                if let Some(sender) = sender {
                    sender.state = SenderState::Failed;
                }
                section.use_ = if answered.is_some() { Use::Idle } else { Use::Rejected };
                section.settled = answered.is_none();
                self.dirty |= answered.is_some();
            }
        }
    }
}
