//! The publisher's description, as a browser writes it (RFC 8829): tracks, their simulcast layers by RID (RFC 8853), data channels;
//! and what of the server's answer matters.

use std::fmt::Write;

use sluicegate_rtp::codec::{Codec, MediaKind};
use sluicegate_rtp::extension::{ExtensionKind, ExtensionMap};
use sluicegate_transport::connection::{Fingerprint, Remote};
use sluicegate_transport::negotiate::codecs::{self, rtpmap};
use sluicegate_transport::negotiate::{Congestion, NegotiatedCodec};
use sluicegate_transport::sdp::{Description, Media};

use crate::client::PublishSpec;

/// Our end of the PeerConnection.
#[derive(Clone, Copy, Debug)]
pub struct Local<'a> {
    pub session_id: u32,
    pub ufrag: &'a str,
    pub pwd: &'a str,
    /// `sha-256 AB:…`
    pub fingerprint: &'a str,
    pub address: std::net::SocketAddr,
}

/// A section of the server's answer that takes our track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    pub mid: String,
    pub payload_type: u8,
    pub rtx_payload_type: Option<u8>,
    pub extensions: ExtensionMap,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub remote: Remote,
    /// Lines `candidate:…`.
    pub candidates: Vec<String>,
    pub sections: Vec<Answered>,
    /// What the server sends on this PeerConnection, where there is only one.
    pub streams: Vec<Stream>,
    pub data: bool,
}

/// A section of the server's answer on which it sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    pub track_id: String,
    pub codec: Codec,
    pub ssrcs: (u32, Option<u32>),
    pub congestion: Option<Congestion>,
    pub extensions: ExtensionMap,
}

const EXTENSIONS: [(u8, ExtensionKind); 5] = [
    (1, ExtensionKind::AudioLevel),
    (3, ExtensionKind::TransportCc),
    (4, ExtensionKind::Mid),
    (10, ExtensionKind::Rid),
    (11, ExtensionKind::RepairedRid),
];

/// Payload type and format parameters, as Chromium has them.
fn numbers(codec: Codec) -> (u8, &'static str) {
    match codec {
        Codec::Opus => (111, "minptime=10;useinbandfec=1"),
        Codec::H264 => (108, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
        _ => (96, ""),
    }
}

/// The mid of a track is its index; `ssrcs` are those of its only layer, and are named only where there are no RIDs. `receiving`:
/// sections for what the server may send, behind all others.
pub fn write(local: &Local<'_>, tracks: &[(&PublishSpec, (u32, u32))], data: bool, receiving: &[MediaKind]) -> String {
    let mut text = String::new();
    let first = tracks.len() + usize::from(data);
    let mids: Vec<String> = (0..first + receiving.len()).map(|mid| mid.to_string()).collect();
    let _ = write!(
        text,
        "v=0\r\no=- {} 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n",
        local.session_id,
        mids.join(" ")
    );
    for (mid, (spec, ssrcs)) in tracks.iter().enumerate() {
        write_track(&mut text, local, mid, spec, *ssrcs);
    }
    if data {
        let _ = write!(text, "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n");
        write_transport(&mut text, local, tracks.len());
        let _ = write!(text, "a=sctp-port:5000\r\na=max-message-size:65535\r\n");
    }
    for (at, kind) in receiving.iter().enumerate() {
        write_receiving(&mut text, local, first + at, *kind);
    }
    text
}

fn write_receiving(text: &mut String, local: &Local<'_>, mid: usize, kind: MediaKind) {
    let (name, codecs): (_, &[Codec]) = match kind {
        MediaKind::Audio => ("audio", &[Codec::Opus]),
        MediaKind::Video => ("video", &[Codec::Vp8, Codec::H264]),
    };
    let repairs = usize::from(kind == MediaKind::Video);
    let formats = codecs.iter().flat_map(|codec| (0..=repairs).map(|repair| usize::from(numbers(*codec).0) + repair));
    let formats: Vec<String> = formats.map(|format| format.to_string()).collect();
    let _ = write!(text, "m={name} 9 UDP/TLS/RTP/SAVPF {}\r\n", formats.join(" "));
    write_transport(text, local, mid);
    for (id, extension) in EXTENSIONS.iter().filter(|(_, kind)| !matches!(kind, ExtensionKind::Rid | ExtensionKind::RepairedRid)) {
        let _ = write!(text, "a=extmap:{id} {}\r\n", extension.uri());
    }
    let _ = write!(text, "a=recvonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\n");
    for codec in codecs {
        write_codec(text, *codec);
    }
}

fn write_codec(text: &mut String, codec: Codec) {
    let (payload_type, fmtp) = numbers(codec);
    let _ = write!(text, "a=rtpmap:{payload_type} {}\r\na=rtcp-fb:{payload_type} transport-cc\r\n", rtpmap(codec));
    let _ = write!(text, "a=rtcp-fb:{payload_type} nack\r\n");
    if !fmtp.is_empty() {
        let _ = write!(text, "a=fmtp:{payload_type} {fmtp}\r\n");
    }
    if codec.kind() == MediaKind::Video {
        let repair = payload_type + 1;
        let _ = write!(text, "a=rtcp-fb:{payload_type} nack pli\r\na=rtcp-fb:{payload_type} ccm fir\r\n");
        let _ = write!(text, "a=rtpmap:{repair} rtx/90000\r\na=fmtp:{repair} apt={payload_type}\r\n");
    }
}

fn write_track(text: &mut String, local: &Local<'_>, mid: usize, spec: &PublishSpec, (ssrc, rtx): (u32, u32)) {
    let (payload_type, _) = numbers(spec.codec);
    let repair = payload_type + 1;
    let video = spec.codec.kind() == MediaKind::Video;
    let (kind, formats) = if video { ("video", format!("{payload_type} {repair}")) } else { ("audio", payload_type.to_string()) };
    let _ = write!(text, "m={kind} 9 UDP/TLS/RTP/SAVPF {formats}\r\n");
    write_transport(text, local, mid);
    for (id, extension) in EXTENSIONS {
        let of_video = matches!(extension, ExtensionKind::Rid | ExtensionKind::RepairedRid);
        let of_audio = extension == ExtensionKind::AudioLevel;
        if if video { !of_audio } else { !of_video } {
            let _ = write!(text, "a=extmap:{id} {}\r\n", extension.uri());
        }
    }
    let _ = write!(text, "a=sendonly\r\na=msid:- {}\r\na=rtcp-mux\r\na=rtcp-rsize\r\n", spec.cid);
    write_codec(text, spec.codec);
    if spec.layers.is_empty() {
        if video {
            let _ = write!(text, "a=ssrc-group:FID {ssrc} {rtx}\r\na=ssrc:{rtx} cname:client\r\n");
        }
        let _ = write!(text, "a=ssrc:{ssrc} cname:client\r\n");
        return;
    }
    let rids: Vec<&str> = spec.layers.iter().map(|layer| layer.rid).collect();
    for rid in &rids {
        let _ = write!(text, "a=rid:{rid} send\r\n");
    }
    let _ = write!(text, "a=simulcast:send {}\r\n", rids.join(";"));
}

fn write_transport(text: &mut String, local: &Local<'_>, mid: usize) {
    let Local { ufrag, pwd, fingerprint, address, .. } = local;
    let _ = write!(text, "c=IN IP4 0.0.0.0\r\na=candidate:1 1 udp 2130706431 {} {} typ host\r\n", address.ip(), address.port());
    let _ = write!(text, "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\na=ice-options:trickle\r\n");
    let _ = write!(text, "a=fingerprint:{fingerprint}\r\na=setup:actpass\r\na=mid:{mid}\r\n");
}

/// None for an answer that has no usable transport.
pub fn read_answer(sdp: &str) -> Option<Answer> {
    let description = Description::parse(sdp).ok()?;
    let first = description.media.iter().find(|media| media.port != 0)?;
    let shared = |name| first.get(name).or_else(|| description.get(name));
    let remote = Remote {
        ufrag: shared("ice-ufrag")?.to_owned(),
        pwd: shared("ice-pwd")?.to_owned(),
        fingerprint: fingerprint(shared("fingerprint")?)?,
        dtls_active: shared("setup") == Some("passive"),
        ice_lite: description.get("ice-lite").is_some(),
    };
    let candidates = description.media.iter().flat_map(|media| media.all("candidate")).map(|line| format!("candidate:{line}"));
    let taken = description.media.iter().filter(|media| media.port != 0 && media.direction().receive);
    Some(Answer {
        remote,
        candidates: candidates.collect(),
        sections: taken.filter_map(answered).collect(),
        streams: description.media.iter().filter_map(stream).collect(),
        data: description.media.iter().any(|media| media.kind == "application" && media.port != 0),
    })
}

fn answered(media: &Media<'_>) -> Option<Answered> {
    let codec = codec(media)?;
    let mid = media.get("mid")?.to_owned();
    Some(Answered { mid, payload_type: codec.payload_type, rtx_payload_type: codec.rtx, extensions: extensions(media) })
}

fn codec(media: &Media<'_>) -> Option<NegotiatedCodec> {
    let kind = match media.kind {
        "audio" => MediaKind::Audio,
        "video" => MediaKind::Video,
        _ => return None,
    };
    codecs::offered(media, kind).into_iter().find(|codec| codec.codec != Codec::Red)
}

fn extensions(media: &Media<'_>) -> ExtensionMap {
    let mut extensions = ExtensionMap::new();
    for (id, uri) in media.all("extmap").filter_map(|value| value.split_once(' ')) {
        if let (Ok(id), Some(kind)) = (id.parse(), ExtensionKind::from_uri(uri.trim())) {
            extensions.set(id, kind);
        }
    }
    extensions
}

fn stream(media: &Media<'_>) -> Option<Stream> {
    if media.port == 0 || !media.direction().send {
        return None;
    }
    let codec = codec(media)?.codec;
    let (_, track_id) = media.get("msid")?.split_once(' ')?;
    let ssrc = media.get("ssrc")?.split_once(' ')?.0.parse().ok()?;
    let pair = media.get("ssrc-group").and_then(|group| group.strip_prefix("FID ")?.split_once(' '));
    let says = |name: &str| media.all("rtcp-fb").any(|feedback| feedback.ends_with(name));
    let congestion = match (says("transport-cc"), says("goog-remb")) {
        (true, _) => Some(Congestion::TransportCc),
        (false, true) => Some(Congestion::Remb),
        _ => None,
    };
    let ssrcs = (ssrc, pair.and_then(|(_, rtx)| rtx.parse().ok()));
    Some(Stream { track_id: track_id.to_owned(), codec, ssrcs, congestion, extensions: extensions(media) })
}

/// `sha-256 AB:CD` as bytes.
fn fingerprint(text: &str) -> Option<Fingerprint> {
    let (algorithm, digits) = text.trim().split_once(' ')?;
    let bytes: Option<Vec<u8>> = digits.split(':').map(|pair| u8::from_str_radix(pair, 16).ok()).collect();
    Some(Fingerprint { algorithm: algorithm.to_owned(), bytes: bytes? })
}
