//! The lines that offers and answers share.

use std::fmt::Write;

use sluicegate_rtp::codec::Codec;
use sluicegate_rtp::extension::ExtensionMap;

use super::codecs::rtpmap;
use super::feedback::Feedback;
use super::{LocalParameters, NegotiatedCodec, NegotiationConfig, SendSection};
use crate::data::MESSAGE_MAX;

pub(super) const RTP: &str = "UDP/TLS/RTP/SAVPF";
pub(super) const SCTP: &str = "UDP/DTLS/SCTP";

/// A description being written. Writing to a `String` cannot fail.
pub(super) struct Text<'a> {
    pub text: String,
    local: &'a LocalParameters,
    setup: &'static str,
    /// The candidates, which the bundle shares, are still to be written.
    first: bool,
}

macro_rules! line {
    ($text:expr, $($format:tt)*) => { $text.push(format_args!($($format)*)) };
}
pub(super) use line;

impl<'a> Text<'a> {
    pub fn push(&mut self, line: std::fmt::Arguments<'_>) {
        let _ = write!(self.text, "{line}\r\n");
    }

    pub fn session(config: &'a NegotiationConfig, version: u64, bundle: &[&str], setup: &'static str, allow_mixed: bool) -> Self {
        let mut text = Self { text: String::new(), local: &config.local, setup, first: true };
        line!(text, "v=0");
        // RFC 8829 §5.2.1: 63 bits
        line!(text, "o=- {} {version} IN IP4 0.0.0.0", config.session_id >> 1);
        line!(text, "s=-");
        line!(text, "t=0 0");
        if !bundle.is_empty() {
            line!(text, "a=group:BUNDLE {}", bundle.join(" "));
        }
        if allow_mixed {
            line!(text, "a=extmap-allow-mixed");
        }
        line!(text, "a=msid-semantic: WMS *");
        if config.local.ice_lite {
            line!(text, "a=ice-lite");
        }
        text
    }

    /// An m-line that is in use.
    pub fn media(&mut self, kind: &str, protocol: &str, formats: &str, mid: &str) {
        line!(self, "m={kind} 9 {protocol} {formats}");
        line!(self, "c=IN IP4 0.0.0.0");
        line!(self, "a=mid:{mid}");
        self.transport();
    }

    /// An m-line that is refused or was given up (RFC 8829 §5.3.1).
    pub fn refused(&mut self, kind: &str, protocol: &str, format: &str, mid: &str) {
        line!(self, "m={kind} 0 {protocol} {format}");
        line!(self, "c=IN IP4 0.0.0.0");
        if !mid.is_empty() {
            line!(self, "a=mid:{mid}");
        }
        line!(self, "a=inactive");
    }

    /// Credentials in every section; candidates, which the bundle shares, only in its first.
    fn transport(&mut self) {
        let (local, setup) = (self.local, self.setup);
        line!(self, "a=ice-ufrag:{}", local.ufrag);
        line!(self, "a=ice-pwd:{}", local.pwd);
        line!(self, "a=ice-options:trickle");
        line!(self, "a=fingerprint:{}", local.fingerprint);
        line!(self, "a=setup:{setup}");
        if std::mem::take(&mut self.first) {
            for candidate in &local.candidates {
                line!(self, "a={candidate}");
            }
            if !local.candidates.is_empty() {
                line!(self, "a=end-of-candidates");
            }
        }
    }

    /// A codec and its repair stream.
    pub fn codec(&mut self, codec: &NegotiatedCodec) {
        let NegotiatedCodec { payload_type, fmtp, .. } = codec;
        line!(self, "a=rtpmap:{payload_type} {}", rtpmap(codec.codec));
        if !fmtp.is_empty() {
            line!(self, "a=fmtp:{payload_type} {fmtp}");
        }
        for feedback in codec.feedback.iter() {
            line!(self, "a=rtcp-fb:{payload_type} {feedback}");
        }
        if let Some(rtx) = codec.rtx {
            line!(self, "a=rtpmap:{rtx} rtx/{}", codec.codec.clock_rate());
            line!(self, "a=fmtp:{rtx} apt={payload_type}");
        }
    }

    pub fn extensions(&mut self, map: &ExtensionMap) {
        for (id, kind) in map.iter() {
            line!(self, "a=extmap:{id} {}", kind.uri());
        }
    }

    /// What identifies our stream; the CNAME is the stream id, so that one participant's tracks are played in step.
    pub fn sender(&mut self, send: &SendSection) {
        let SendSection { ssrc, rtx_ssrc, stream_id, track_id, .. } = send;
        line!(self, "a=msid:{stream_id} {track_id}");
        if send.rtx_payload_type.is_some() {
            line!(self, "a=ssrc-group:FID {ssrc} {rtx_ssrc}");
        }
        for ssrc in [Some(*ssrc), send.rtx_payload_type.map(|_| *rtx_ssrc)].into_iter().flatten() {
            line!(self, "a=ssrc:{ssrc} cname:{stream_id}");
            line!(self, "a=ssrc:{ssrc} msid:{stream_id} {track_id}");
        }
    }

    pub fn multiplexed(&mut self, direction: &str) {
        line!(self, "a={direction}");
        line!(self, "a=rtcp-mux");
        line!(self, "a=rtcp-rsize");
    }

    pub fn data(&mut self) {
        line!(self, "a=sctp-port:5000");
        line!(self, "a=max-message-size:{MESSAGE_MAX}");
    }
}

/// The formats of an m-line: each codec followed by its repair stream.
pub(super) fn formats(codecs: &[NegotiatedCodec]) -> String {
    let numbers = codecs.iter().flat_map(|codec| [Some(codec.payload_type), codec.rtx]).flatten();
    numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(" ")
}

/// A codec as a section without a purpose names it.
pub(super) fn placeholder(codec: Codec) -> NegotiatedCodec {
    let (payload_type, fmtp) = super::codecs::own_numbers(codec, "");
    NegotiatedCodec { codec, payload_type, rtx: None, fmtp: fmtp.to_owned(), feedback: Feedback::NONE }
}
