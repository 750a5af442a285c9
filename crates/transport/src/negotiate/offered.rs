//! What the peer says of a section, and of the transport.

use sluicegate_rtp::codec::MediaKind;
use sluicegate_rtp::extension::{ExtensionKind, ExtensionMap};

use super::codecs::{self, NegotiatedCodec};
use super::{NegotiateError, RIDS_MAX, RemoteParameters, SSRCS_MAX, SectionKind, is_label, parse_fingerprint};
use crate::connection::{REMOTE_CANDIDATES_MAX, Remote};
use crate::sdp::{Description, Media};

/// A media section as the peer described it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedSection {
    pub mid: String,
    pub kind: SectionKind,
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
    pub ssrcs: Vec<(u32, Option<u32>)>,
    pub rids: Vec<String>,
    pub(crate) protocol: String,
    pub(crate) formats: Vec<String>,
}

impl OfferedSection {
    pub(super) fn read(media: &Media, index: usize) -> Self {
        let kind = match media.kind.as_str() {
            "audio" => SectionKind::Media(MediaKind::Audio),
            "video" => SectionKind::Media(MediaKind::Video),
            "application" if media.protocol.contains("SCTP") => SectionKind::Data,
            _ => SectionKind::Unknown,
        };
        let direction = media.direction();
        let mid = media.get("mid").filter(|mid| is_label(mid)).map_or_else(|| index.to_string(), str::to_owned);
        let (stream_id, track_id) = msid(media);
        let codecs = if let SectionKind::Media(kind) = kind { codecs::offered(media, kind) } else { Vec::new() };
        Self {
            mid,
            kind,
            // a section of the bundle may have no port of its own
            rejected: media.port == 0 && !media.has("bundle-only"),
            sends: direction.send,
            wants_to_receive: direction.receive && !direction.send,
            stream_id,
            track_id,
            codecs,
            extensions: extensions(media),
            ssrcs: ssrcs(media),
            rids: rids(media),
            protocol: media.protocol.clone(),
            formats: media.formats.clone(),
        }
    }
}

/// `a=msid:stream track`, or its older form in `a=ssrc`.
fn msid(media: &Media) -> (Option<String>, Option<String>) {
    let of_ssrc = || media.all("ssrc").find_map(|value| value.split_once(' ')?.1.strip_prefix("msid:"));
    let Some(value) = media.get("msid").or_else(of_ssrc) else { return (None, None) };
    let mut words = value.split_ascii_whitespace().filter(|word| is_label(word)).map(str::to_owned);
    (words.next(), words.next())
}

fn extensions(media: &Media) -> ExtensionMap {
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

/// Primary SSRCs in the order of the description, each with its repair stream (`ssrc-group:FID`).
fn ssrcs(media: &Media) -> Vec<(u32, Option<u32>)> {
    let group = |semantics: &'static str| {
        media.all("ssrc-group").filter_map(move |value| {
            let (name, rest) = value.split_once(' ')?;
            let numbers: Vec<u32> = rest.split_ascii_whitespace().filter_map(|n| n.parse().ok()).take(SSRCS_MAX).collect();
            (name == semantics).then_some(numbers)
        })
    };
    let repairs: Vec<(u32, u32)> = group("FID").filter_map(|g| Some((*g.first()?, *g.get(1)?))).take(SSRCS_MAX).collect();
    let mut named: Vec<u32> = group("SIM").next().unwrap_or_default();
    if named.is_empty() {
        for value in media.all("ssrc") {
            let number = value.split(' ').next().and_then(|n| n.parse().ok());
            if let Some(ssrc) = number.filter(|ssrc| !named.contains(ssrc)) {
                named.push(ssrc);
            }
            if named.len() >= SSRCS_MAX {
                break;
            }
        }
    }
    let repair_of = |ssrc| repairs.iter().find(|(primary, _)| *primary == ssrc).map(|(_, repair)| *repair);
    named.into_iter().filter(|ssrc| !repairs.iter().any(|(_, r)| r == ssrc)).map(|ssrc| (ssrc, repair_of(ssrc))).collect()
}

/// The layers of `a=simulcast:send`, in its order (RFC 8853); alternatives and paused marks are passed over.
fn rids(media: &Media) -> Vec<String> {
    let Some(simulcast) = media.get("simulcast") else { return Vec::new() };
    let mut words = simulcast.split_ascii_whitespace();
    let list = std::iter::from_fn(|| Some((words.next()?, words.next()?))).find(|(direction, _)| *direction == "send").map(|(_, list)| list);
    let first = |layer: &str| layer.split(',').next().unwrap_or_default().trim_start_matches('~').to_owned();
    list.unwrap_or_default().split(';').map(first).filter(|rid| is_label(rid)).take(RIDS_MAX).collect()
}

/// Credentials, fingerprint and candidates: of the first section that has them, else of the session.
pub(super) fn transport(description: &Description, setup_of: impl Fn(Option<&str>) -> bool) -> Result<RemoteParameters, NegotiateError> {
    let usable = description.media.iter().filter(|media| media.port != 0 || media.has("bundle-only"));
    let find = |name: &str| usable.clone().find_map(|media| media.get(name)).or_else(|| description.get(name));
    let (ufrag, pwd) = find("ice-ufrag").zip(find("ice-pwd")).ok_or(NegotiateError::NoCredentials)?;
    if !is_label(ufrag) || !is_label(pwd) {
        return Err(NegotiateError::NoCredentials);
    }
    let fingerprint = find("fingerprint").and_then(parse_fingerprint).ok_or(NegotiateError::NoFingerprint)?;
    let candidates = usable
        .clone()
        .flat_map(|media| media.all("candidate"))
        .take(REMOTE_CANDIDATES_MAX)
        .map(|candidate| format!("candidate:{candidate}"))
        .collect();
    let transport = Remote {
        ufrag: ufrag.to_owned(),
        pwd: pwd.to_owned(),
        fingerprint,
        dtls_active: setup_of(find("setup")),
    };
    Ok(RemoteParameters { transport, candidates })
}
