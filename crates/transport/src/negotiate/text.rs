//! The lines that offers and answers share.

use std::fmt::Write;

use sluicegate_rtp::extension::{ExtensionKind, ExtensionMap};

use super::{LocalParameters, NegotiatedCodec, SendSection};
use crate::connection::MESSAGE_MAX;

/// A description being written. Writing to a `String` cannot fail.
#[derive(Default)]
pub(super) struct Text(pub String);

macro_rules! line {
    ($text:expr, $($format:tt)*) => { $text.push(format_args!($($format)*)) };
}
pub(super) use line;

impl Text {
    pub fn push(&mut self, line: std::fmt::Arguments<'_>) {
        let _ = write!(self.0, "{line}\r\n");
    }

    pub fn session(session_id: u64, version: u64, bundle: &[&str], ice_lite: bool) -> Self {
        let mut text = Self::default();
        line!(text, "v=0");
        // RFC 8829 §5.2.1: 63 bits
        line!(text, "o=- {} {version} IN IP4 0.0.0.0", session_id >> 1);
        line!(text, "s=-");
        line!(text, "t=0 0");
        line!(text, "a=group:BUNDLE {}", bundle.join(" "));
        line!(text, "a=extmap-allow-mixed");
        line!(text, "a=msid-semantic: WMS *");
        if ice_lite {
            line!(text, "a=ice-lite");
        }
        text
    }

    pub fn media(&mut self, kind: &str, port: u16, protocol: &str, formats: &str, mid: &str) {
        line!(self, "m={kind} {port} {protocol} {formats}");
        line!(self, "c=IN IP4 0.0.0.0");
        line!(self, "a=mid:{mid}");
    }

    /// Credentials in every section; candidates, which the bundle shares, only in the first.
    pub fn transport(&mut self, local: &LocalParameters, setup: &str, first: bool) {
        line!(self, "a=ice-ufrag:{}", local.ufrag);
        line!(self, "a=ice-pwd:{}", local.pwd);
        line!(self, "a=fingerprint:{}", local.fingerprint);
        line!(self, "a=setup:{setup}");
        if first {
            for candidate in &local.candidates {
                line!(self, "a={candidate}");
            }
            if !local.candidates.is_empty() {
                line!(self, "a=end-of-candidates");
            }
        }
    }

    pub fn codec(&mut self, payload_type: u8, rtpmap: &str, fmtp: &str, feedback: &[&str]) {
        line!(self, "a=rtpmap:{payload_type} {rtpmap}");
        if !fmtp.is_empty() {
            line!(self, "a=fmtp:{payload_type} {fmtp}");
        }
        for feedback in feedback {
            line!(self, "a=rtcp-fb:{payload_type} {feedback}");
        }
    }

    pub fn rtx(&mut self, payload_type: u8, of: u8) {
        line!(self, "a=rtpmap:{payload_type} rtx/90000");
        line!(self, "a=fmtp:{payload_type} apt={of}");
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

/// The peer's numbers of those extensions that both sides know.
pub(super) fn intersect(offered: &ExtensionMap, ours: &[ExtensionKind]) -> ExtensionMap {
    let mut map = ExtensionMap::new();
    for (id, kind) in offered.iter() {
        if ours.contains(&kind) {
            map.set(id, kind);
        }
    }
    map
}
