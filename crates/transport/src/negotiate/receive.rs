//! What we take of a section on which the peer sends.

use sluicegate_rtp::codec::{Codec, MediaKind};
use sluicegate_rtp::extension::{ExtensionKind, ExtensionMap};

use super::codecs::publish_rank;
use super::feedback::{Congestion, Feedback};
use super::sender::{intersect, red_wraps};
use super::{NegotiatedCodec, OfferedSection, PublishHint, ReceiveSection};

/// Header extensions of what the peer sends (LiveKit: publisher).
const AUDIO: [ExtensionKind; 4] =
    [ExtensionKind::Mid, ExtensionKind::Rid, ExtensionKind::AudioLevel, ExtensionKind::AbsCaptureTime];
const VIDEO: [ExtensionKind; 6] = [
    ExtensionKind::Mid,
    ExtensionKind::Rid,
    ExtensionKind::RepairedRid,
    ExtensionKind::FrameMarking,
    ExtensionKind::DependencyDescriptor,
    ExtensionKind::AbsCaptureTime,
];

/// What answers to this peer have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub single_pc: bool,
    pub only_preferred: bool,
}

/// The header extensions that an answer names, whichever way the media goes. Chromium never again offers what any section of the
/// PeerConnection was answered without, so where it both sends and receives, every section names all that either direction needs.
pub(super) fn answered_extensions(
    kind: MediaKind,
    offered: &ExtensionMap,
    single_pc: bool,
    wanted: Option<Congestion>,
) -> ExtensionMap {
    let mut kinds = if kind == MediaKind::Audio { AUDIO.to_vec() } else { VIDEO.to_vec() };
    if kind == MediaKind::Video && single_pc {
        kinds.extend([ExtensionKind::TransportCc, ExtensionKind::AbsSendTime, ExtensionKind::PlayoutDelay]);
    }
    kinds.extend(wanted.map(|congestion| match congestion {
        Congestion::TransportCc => ExtensionKind::TransportCc,
        Congestion::Remb => ExtensionKind::AbsSendTime,
    }));
    intersect(offered, &kinds)
}

/// The section's answer; none: it has no codec that the peer may publish.
pub(super) fn receive(
    kind: MediaKind,
    offered: &OfferedSection,
    hint: PublishHint,
    publish: &[Codec],
    rules: Rules,
) -> Option<ReceiveSection> {
    let mut codecs: Vec<NegotiatedCodec> = offered.codecs.iter().filter(|codec| publish.contains(&codec.codec)).cloned().collect();
    order(&mut codecs, hint);
    keep_best_variants(&mut codecs);
    if rules.only_preferred {
        keep_preferred(&mut codecs, hint);
    }
    keep_red(&mut codecs, hint);
    let congestion = congestion(kind, offered, codecs.first()?.feedback);
    let ours = match (kind, congestion) {
        (MediaKind::Audio, _) => Feedback::NACK,
        (_, Some(Congestion::TransportCc)) => Feedback::TRANSPORT_CC | Feedback::FIR | Feedback::NACK | Feedback::PLI,
        (_, Some(Congestion::Remb)) => Feedback::REMB | Feedback::FIR | Feedback::NACK | Feedback::PLI,
        (_, None) => Feedback::FIR | Feedback::NACK | Feedback::PLI,
    };
    for codec in &mut codecs {
        codec.feedback = codec.feedback & ours;
        if codec.codec == Codec::Opus {
            codec.fmtp = opus_fmtp(&codec.fmtp, hint);
        }
    }
    Some(ReceiveSection {
        kind,
        stream_id: offered.stream_id.clone(),
        track_id: offered.track_id.clone(),
        codecs,
        extensions: answered_extensions(kind, &offered.extensions, rules.single_pc, congestion),
        ssrcs: offered.ssrcs.clone(),
        rids: offered.rids.clone(),
        congestion,
        hint,
    })
}

/// RED, then the codec that the track was announced with, then the peer's own order (the sort is stable).
fn order(codecs: &mut [NegotiatedCodec], hint: PublishHint) {
    codecs.sort_by_key(|codec| {
        let preferred = hint.preferred_codec == Some(codec.codec);
        let rank = if preferred { publish_rank(codec.codec, &codec.fmtp) } else { 0 };
        (codec.codec != Codec::Red, !preferred, rank)
    });
}

/// Of H264 and VP9 only the variants that every subscriber can take, where the peer has them.
fn keep_best_variants(codecs: &mut Vec<NegotiatedCodec>) {
    for codec in [Codec::H264, Codec::Vp9] {
        let rank = |c: &NegotiatedCodec| publish_rank(c.codec, &c.fmtp);
        let Some(best) = codecs.iter().filter(|c| c.codec == codec).map(rank).min() else { continue };
        // constrained baseline comes with fragments and without
        let limit = if codec == Codec::H264 { best.max(1) } else { best };
        codecs.retain(|c| c.codec != codec || rank(c) <= limit);
    }
}

fn keep_preferred(codecs: &mut Vec<NegotiatedCodec>, hint: PublishHint) {
    let Some(preferred) = hint.preferred_codec else { return };
    if codecs.iter().any(|codec| codec.codec == preferred) {
        codecs.retain(|codec| codec.codec == preferred || codec.codec == Codec::Red);
    }
}

/// RED stays where it is wanted and wraps an Opus that stays too.
fn keep_red(codecs: &mut Vec<NegotiatedCodec>, hint: PublishHint) {
    let wanted = !hint.disable_red && matches!(hint.preferred_codec, None | Some(Codec::Opus | Codec::Red));
    let opus = codecs.iter().find(|codec| codec.codec == Codec::Opus).map(|codec| codec.payload_type);
    codecs.retain(|codec| codec.codec != Codec::Red || (wanted && opus.is_some_and(|opus| red_wraps(&codec.fmtp, opus))));
}

/// The peer estimates by our reports of arrival; where it cannot, by what we estimate for it.
fn congestion(kind: MediaKind, offered: &OfferedSection, feedback: Feedback) -> Option<Congestion> {
    let has = |extension, name| offered.extensions.id_of(extension).is_some() && feedback.contains(name);
    match kind {
        MediaKind::Audio => None,
        MediaKind::Video if has(ExtensionKind::TransportCc, Feedback::TRANSPORT_CC) => Some(Congestion::TransportCc),
        MediaKind::Video if has(ExtensionKind::AbsSendTime, Feedback::REMB) => Some(Congestion::Remb),
        MediaKind::Video => None,
    }
}

/// What the peer shall send, in place of what it would like to receive.
fn opus_fmtp(offered: &str, hint: PublishHint) -> String {
    const OURS: [&str; 4] = ["stereo", "sprop-stereo", "usedtx", "maxaveragebitrate"];
    let is_ours =
        |pair: &&str| pair.split('=').next().is_some_and(|name| OURS.iter().any(|ours| name.trim().eq_ignore_ascii_case(ours)));
    let mut pairs: Vec<&str> = offered.split(';').map(str::trim).filter(|pair| !pair.is_empty() && !is_ours(pair)).collect();
    if hint.dtx {
        pairs.push("usedtx=1");
    }
    if hint.stereo {
        pairs.extend(["stereo=1", "maxaveragebitrate=510000"]);
    }
    pairs.join(";")
}
