//! What the peer says of a section, and of the transport.

use std::collections::BTreeSet;

use sluicegate_rtp::codec::MediaKind;
use sluicegate_rtp::extension::{ExtensionKind, ExtensionMap};

use super::codecs::{self, NegotiatedCodec};
use super::{LABEL_MAX, NegotiateError, RIDS_MAX, RemoteParameters, SSRCS_MAX, SectionKind, is_label, parse_fingerprint};
use crate::connection::Remote;
use crate::ice::REMOTE_CANDIDATES_MAX;
use crate::sdp::{Description, Media};

/// Characters of one candidate line; the longest that browsers write has about 200.
const CANDIDATE_MAX: usize = 512;

/// A media section as the peer described it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedSection {
    /// Empty only where it is rejected.
    pub mid: String,
    pub kind: SectionKind,
    /// Given up by the peer, or nothing that we can take: outside the bundle, without rtcp-mux.
    pub rejected: bool,
    /// The peer sends on it.
    pub sends: bool,
    /// The peer receives on it and does not send.
    pub wants_to_receive: bool,
    pub stream_id: Option<String>,
    pub track_id: Option<String>,
    pub codecs: Vec<NegotiatedCodec>,
    /// As numbered by the peer.
    pub extensions: ExtensionMap,
    /// Primary SSRCs, each with its repair stream; lowest layer first where the peer groups them (`SIM`).
    pub ssrcs: Vec<(u32, Option<u32>)>,
    pub rids: Vec<String>,
    /// The m-line's own words, for a refusal.
    pub(super) media: String,
    pub(super) protocol: String,
    pub(super) format: String,
}

impl OfferedSection {
    fn read(media: &Media<'_>, bundle: &BTreeSet<&str>) -> Self {
        let kind = match media.kind {
            "audio" => SectionKind::Media(MediaKind::Audio),
            "video" => SectionKind::Media(MediaKind::Video),
            "application" if media.protocol.ends_with("DTLS/SCTP") && media.formats.contains(&"webrtc-datachannel") => {
                SectionKind::Data
            }
            _ => SectionKind::Unknown,
        };
        let direction = media.direction();
        let mid = media.get("mid").filter(|mid| is_label(mid));
        // a section of the bundle may have no port of its own
        let alive = media.port != 0 || media.has("bundle-only");
        let usable = mid.is_some_and(|mid| bundle.contains(mid)) && (kind == SectionKind::Data || media.has("rtcp-mux"));
        let (stream_id, track_id) = msid(media);
        let codecs = if let SectionKind::Media(kind) = kind { codecs::offered(media, kind) } else { Vec::new() };
        let word = |word: &str, other: &str| if is_label(word) { word.to_owned() } else { other.to_owned() };
        Self {
            mid: mid.unwrap_or_default().to_owned(),
            kind,
            rejected: !alive || !usable,
            sends: direction.send,
            wants_to_receive: direction.receive && !direction.send,
            stream_id,
            track_id,
            codecs,
            extensions: extensions(media),
            ssrcs: ssrcs(media),
            rids: rids(media),
            media: word(media.kind, "application"),
            protocol: word(media.protocol, super::text::RTP),
            format: word(media.formats.first().copied().unwrap_or_default(), "0"),
        }
    }
}

/// All sections. Their mids differ: everything else is told by them.
pub(super) fn sections(description: &Description<'_>) -> Result<Vec<OfferedSection>, NegotiateError> {
    let bundle: BTreeSet<&str> = description.bundle().ok_or(NegotiateError::NoBundle)?.collect();
    let sections: Vec<OfferedSection> = description.media.iter().map(|media| OfferedSection::read(media, &bundle)).collect();
    let mut mids = BTreeSet::new();
    // one that was given up may have none
    if !sections.iter().all(|section| section.mid.is_empty() || mids.insert(section.mid.as_str())) {
        return Err(NegotiateError::DuplicateMid);
    }
    Ok(sections)
}

/// `a=msid:stream track`, or its older form in `a=ssrc`.
fn msid(media: &Media<'_>) -> (Option<String>, Option<String>) {
    let of_ssrc = || media.all("ssrc").find_map(|value| value.split_once(' ')?.1.strip_prefix("msid:"));
    let Some(value) = media.get("msid").or_else(of_ssrc) else { return (None, None) };
    let mut words = value.split_ascii_whitespace().map(|word| is_label(word).then(|| word.to_owned()));
    (words.next().flatten(), words.next().flatten())
}

fn extensions(media: &Media<'_>) -> ExtensionMap {
    let mut map = ExtensionMap::new();
    for value in media.all("extmap") {
        let mut words = value.split_ascii_whitespace();
        let id = words.next().and_then(|id| id.split('/').next()).and_then(|id| id.parse().ok());
        if let (Some(id), Some(kind)) = (id, words.next().and_then(ExtensionKind::from_uri))
            && id != 0
        {
            map.set(id, kind);
        }
    }
    map
}

/// Primary SSRCs in the order of the description, each with its repair stream (`ssrc-group:FID`, RFC 5576).
fn ssrcs(media: &Media<'_>) -> Vec<(u32, Option<u32>)> {
    let groups = |semantics: &'static str| {
        media.all("ssrc-group").take(SSRCS_MAX).filter_map(move |value| {
            let (name, rest) = value.split_once(' ')?;
            let numbers = rest.split_ascii_whitespace().filter_map(|number| number.parse::<u32>().ok());
            (name == semantics).then(|| numbers.take(SSRCS_MAX).collect::<Vec<u32>>())
        })
    };
    let pairs = |semantics| groups(semantics).filter_map(|group| Some((*group.first()?, *group.get(1)?)));
    let repairs: Vec<(u32, u32)> = pairs("FID").collect();
    let secondary: BTreeSet<u32> = repairs.iter().copied().chain(pairs("FEC-FR")).map(|(_, repair)| repair).collect();
    let mut named: Vec<u32> = groups("SIM").next().unwrap_or_default();
    if named.is_empty() {
        let numbers = media.all("ssrc").filter_map(|value| value.split(' ').next()?.parse().ok());
        for ssrc in numbers {
            if named.len() >= SSRCS_MAX {
                break;
            }
            if named.last() != Some(&ssrc) && !named.contains(&ssrc) {
                named.push(ssrc);
            }
        }
    }
    let repair_of = |ssrc| repairs.iter().find(|(primary, _)| *primary == ssrc).map(|(_, repair)| *repair);
    named.into_iter().filter(|ssrc| !secondary.contains(ssrc)).map(|ssrc| (ssrc, repair_of(ssrc))).collect()
}

/// The layers of `a=simulcast:send`, in its order (RFC 8853); alternatives and paused marks are passed over.
fn rids(media: &Media<'_>) -> Vec<String> {
    let Some(simulcast) = media.get("simulcast") else { return Vec::new() };
    let mut words = simulcast.split_ascii_whitespace();
    let list = std::iter::from_fn(|| Some((words.next()?, words.next()?)))
        .find(|(direction, _)| *direction == "send")
        .map(|(_, list)| list);
    let mut rids: Vec<String> = Vec::new();
    for layer in list.unwrap_or_default().split(';') {
        let rid = layer.split(',').next().unwrap_or_default().trim_start_matches('~');
        if rids.len() < RIDS_MAX && is_rid(rid) && !rids.iter().any(|known| known == rid) {
            rids.push(rid.to_owned());
        }
    }
    rids
}

/// RFC 8851 §10: letters, digits, `-` and `_`; the header extension carries 16 of them.
fn is_rid(rid: &str) -> bool {
    (1..=16).contains(&rid.len()) && rid.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Credentials, fingerprint and candidates: of the first section that has them, else of the session.
/// `before` is what the peer said last: the role in DTLS and the certificate stay.
pub(super) fn transport(
    description: &Description<'_>,
    before: Option<&RemoteParameters>,
) -> Result<RemoteParameters, NegotiateError> {
    let usable = description.media.iter().filter(|media| media.port != 0 || media.has("bundle-only"));
    let find = |name: &str| usable.clone().find_map(|media| media.get(name)).or_else(|| description.get(name));
    let (ufrag, pwd) = find("ice-ufrag").zip(find("ice-pwd")).ok_or(NegotiateError::NoCredentials)?;
    if !is_label(ufrag) || !is_label(pwd) {
        return Err(NegotiateError::NoCredentials);
    }
    let of_media = usable.clone().flat_map(|media| media.all("fingerprint"));
    let of_session = description.attributes.iter().filter(|a| a.name == "fingerprint").map(|a| a.value);
    let mut prints = of_media.chain(of_session).filter_map(parse_fingerprint).filter(|print| print.algorithm == "sha-256");
    let fingerprint = prints.next().ok_or(NegotiateError::NoFingerprint)?;
    if before.is_some_and(|before| before.transport.fingerprint != fingerprint) {
        return Err(NegotiateError::FingerprintChanged);
    }
    let candidates = usable.clone().flat_map(|media| media.all("candidate"));
    let candidates = candidates.filter(|candidate| candidate.len() <= CANDIDATE_MAX).take(REMOTE_CANDIDATES_MAX);
    let data = usable.clone().find(|media| media.kind == "application");
    Ok(RemoteParameters {
        candidates: candidates.map(|candidate| format!("candidate:{candidate}")).collect(),
        ice_restart: before.is_some_and(|before| before.transport.ufrag != ufrag || before.transport.pwd != pwd),
        message_bytes_max: data.and_then(|media| media.get("max-message-size")).and_then(|size| size.parse().ok()),
        transport: Remote {
            ufrag: ufrag.to_owned(),
            pwd: pwd.to_owned(),
            fingerprint,
            // we are the DTLS server wherever the peer lets us: the server chooses the SRTP profile
            dtls_active: before.map_or(find("setup") == Some("passive"), |before| before.transport.dtls_active),
            ice_lite: description.get("ice-lite").is_some(),
        },
    })
}

const _: () = assert!(LABEL_MAX >= 256, "RFC 8839 §5.4: a ufrag and a password have up to 256 characters");
