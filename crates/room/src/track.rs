//! A track as the room knows it: its TrackInfo, who publishes it, who receives it.

use std::collections::BTreeSet;

use sluicegate_contract::TrackKey;
use sluicegate_contract::command::AddTrack;
use sluicegate_contract::key::SessionKey;
use sluicegate_proto::pb;
use sluicegate_rtp::codec::{Codec, MediaKind};

use crate::config::{FEATURES_MAX, LAYERS_MAX, TRACK_CODECS_MAX, TRACK_TEXT_BYTES_MAX};

/// A track from its announcement (`add_track`) to its end.
#[derive(Debug)]
pub struct Track {
    /// Of this room, or of another one whose participant is shown here.
    pub key: TrackKey,
    /// Index of the publishing participant.
    pub publisher: u32,
    pub kind: MediaKind,
    /// The client's id for it.
    pub cid: String,
    pub info: pb::TrackInfo,
    /// The media plane has matched it with an m-line: others see it.
    pub published: bool,
    /// Participants whose subscription the media plane was asked for.
    pub subscribers: BTreeSet<u32>,
    /// The publisher was told of its first subscriber.
    pub subscribed_told: bool,
}

impl Track {
    /// A published track of another room's participant, who is shown under the index `publisher` here.
    pub fn shown(key: TrackKey, publisher: u32, kind: MediaKind, info: pb::TrackInfo) -> Self {
        let subscribers = BTreeSet::new();
        // its publisher is told in his own room
        Self { key, publisher, kind, cid: String::new(), info, published: true, subscribers, subscribed_told: true }
    }

    /// The media plane's part of the announcement.
    pub fn announcement(&self, session: SessionKey) -> AddTrack {
        let info = &self.info;
        let primary = info.codecs.first();
        let mut cids: Vec<Box<str>> = vec![self.cid.as_str().into()];
        let codec_cids = info.codecs.iter().map(|codec| codec.cid.as_str());
        cids.extend(codec_cids.filter(|cid| !cid.is_empty() && *cid != self.cid).map(Box::from));
        let layers = primary.map_or(&info.layers, |codec| &codec.layers);
        let told = layers.iter().any(|layer| !layer.rid.is_empty());
        AddTrack {
            session,
            track: self.key,
            kind: self.kind,
            cids,
            preferred_codec: primary.and_then(|codec| Codec::from_mime(&codec.mime_type)),
            disable_red: info.disable_red || info.encryption != pb::encryption::Type::None as i32,
            stereo: info.stereo,
            dtx: !info.disable_dtx,
            muted: info.muted,
            screen_share: info.source == pb::TrackSource::ScreenShare as i32,
            rids: if told { layers.iter().map(|layer| layer.rid.as_str().into()).collect() } else { Vec::new() },
        }
    }

    /// The media plane found the m-line: what is only known now.
    pub fn start(&mut self, codec: Codec, mid: &str) {
        self.published = true;
        self.info.mime_type = codec.mime().to_owned();
        self.info.mid = mid.to_owned();
        let codecs = &mut self.info.codecs;
        let at = codecs.iter().position(|c| c.mime_type.eq_ignore_ascii_case(codec.mime())).unwrap_or(0);
        if let Some(entry) = codecs.get_mut(at) {
            entry.mime_type = codec.mime().to_owned();
            entry.mid = mid.to_owned();
        }
    }

    /// LiveKit: the features of an audio track say again what `stereo` and `disable_dtx` say. False: nothing changes.
    pub fn set_audio_features(&mut self, features: &[i32]) -> bool {
        let before = std::mem::replace(&mut self.info.audio_features, deduplicated(features));
        self.info.stereo = features.contains(&(pb::AudioTrackFeature::TfStereo as i32));
        self.info.disable_dtx = features.contains(&(pb::AudioTrackFeature::TfNoDtx as i32));
        before != self.info.audio_features
    }
}

/// The kind of media asked for; data is no media.
pub fn kind_of(request: &pb::AddTrackRequest) -> Option<MediaKind> {
    match pb::TrackType::try_from(request.r#type) {
        Ok(pb::TrackType::Audio) => Some(MediaKind::Audio),
        Ok(pb::TrackType::Video) => Some(MediaKind::Video),
        _ => None,
    }
}

/// What is too large or too many in a request, if anything.
pub fn oversize(request: &pb::AddTrackRequest) -> Option<&'static str> {
    let long = |text: &str| text.len() > TRACK_TEXT_BYTES_MAX;
    let layers_long = |layers: &[pb::VideoLayer]| layers.len() > LAYERS_MAX || layers.iter().any(|layer| long(&layer.rid));
    if long(&request.cid) || long(&request.name) || long(&request.stream) || long(&request.sid) {
        return Some("track id, name or stream is too long");
    }
    if request.audio_features.len().max(request.packet_trailer_features.len()) > FEATURES_MAX {
        return Some("too many features");
    }
    if request.simulcast_codecs.len() > TRACK_CODECS_MAX {
        return Some("too many codecs");
    }
    if request.simulcast_codecs.iter().any(|codec| long(&codec.codec) || long(&codec.cid)) {
        return Some("codec name or id is too long");
    }
    if layers_long(&request.layers) || request.simulcast_codecs.iter().any(|codec| layers_long(&codec.layers)) {
        return Some("too many layers");
    }
    None
}

/// The TrackInfo of a request, with LiveKit's defaults. `enabled`: what the client may publish, best first.
pub fn track_info(request: &pb::AddTrackRequest, kind: MediaKind, sid: String, enabled: &[Codec]) -> pb::TrackInfo {
    let mut features = deduplicated(&request.audio_features);
    for (wanted, feature) in
        [(request.stereo, pb::AudioTrackFeature::TfStereo), (request.disable_dtx, pb::AudioTrackFeature::TfNoDtx)]
    {
        if wanted && !features.contains(&(feature as i32)) {
            features.push(feature as i32);
        }
    }
    let has = |feature: pb::AudioTrackFeature| features.contains(&(feature as i32));
    let codecs = codec_infos(request, kind, enabled);
    let simulcast = codecs.first().is_some_and(|codec| {
        codec.layers.len() > 1 && codec.video_layer_mode != pb::video_layer::Mode::MultipleSpatialLayersPerStream as i32
    });
    // LiveKit: audio is sent in all its codecs unless the client insists on one.
    let regression = pb::BackupCodecPolicy::Regression as i32;
    let all_codecs = kind == MediaKind::Audio && request.backup_codec_policy != regression;
    pb::TrackInfo {
        sid,
        r#type: request.r#type,
        name: request.name.clone(),
        muted: request.muted,
        width: request.width,
        height: request.height,
        simulcast,
        disable_dtx: has(pb::AudioTrackFeature::TfNoDtx),
        source: request.source,
        layers: sorted(&request.layers),
        codecs,
        stereo: has(pb::AudioTrackFeature::TfStereo),
        disable_red: request.disable_red,
        encryption: request.encryption,
        stream: if request.stream.is_empty() { default_stream(request.source).to_owned() } else { request.stream.clone() },
        backup_codec_policy: if all_codecs { pb::BackupCodecPolicy::Simulcast as i32 } else { request.backup_codec_policy },
        packet_trailer_features: deduplicated(&request.packet_trailer_features),
        audio_features: features,
        ..Default::default()
    }
}

/// msid stream id of a track for one subscriber; the part after `|` is what clients take the track's SID or stream from.
pub fn stream_id(publisher_sid: &str, info: &pb::TrackInfo, sync_streams: bool) -> Box<str> {
    let second = if sync_streams { &info.stream } else { &info.sid };
    format!("{publisher_sid}|{second}").into()
}

fn codec_infos(request: &pb::AddTrackRequest, kind: MediaKind, enabled: &[Codec]) -> Vec<pb::SimulcastCodecInfo> {
    use pb::video_layer::Mode;
    if request.simulcast_codecs.is_empty() {
        return vec![pb::SimulcastCodecInfo {
            cid: request.cid.clone(),
            layers: sorted(&request.layers),
            video_layer_mode: Mode::OneSpatialLayerPerStream as i32,
            ..Default::default()
        }];
    }
    let mut infos: Vec<pb::SimulcastCodecInfo> = Vec::new();
    for asked in &request.simulcast_codecs {
        let Some(codec) = enabled_codec(&asked.codec, kind, enabled) else { continue };
        if infos.iter().any(|info| info.mime_type == codec.mime()) {
            continue;
        }
        let mode = match (asked.video_layer_mode, kind, codec) {
            (0, MediaKind::Video, Codec::Vp9 | Codec::Av1) => Mode::MultipleSpatialLayersPerStream as i32,
            (0, MediaKind::Video, _) => Mode::OneSpatialLayerPerStream as i32,
            (mode, _, _) => mode,
        };
        infos.push(pb::SimulcastCodecInfo {
            mime_type: codec.mime().to_owned(),
            cid: asked.cid.clone(),
            layers: sorted(if asked.layers.is_empty() { &request.layers } else { &asked.layers }),
            video_layer_mode: mode,
            ..Default::default()
        });
    }
    infos
}

/// The codec asked for (`vp8` or `video/VP8`), or the one that most clients can play.
fn enabled_codec(name: &str, kind: MediaKind, enabled: &[Codec]) -> Option<Codec> {
    let prefix = match kind {
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
    };
    let asked = if name.contains('/') { Codec::from_mime(name) } else { Codec::from_mime(&format!("{prefix}/{name}")) };
    let mut of_kind = enabled.iter().copied().filter(|codec| codec.kind() == kind);
    asked.filter(|codec| codec.kind() == kind && enabled.contains(codec)).or_else(|| of_kind.next())
}

fn default_stream(source: i32) -> &'static str {
    match pb::TrackSource::try_from(source) {
        Ok(pb::TrackSource::Camera | pb::TrackSource::Microphone) => "camera",
        Ok(pb::TrackSource::ScreenShare | pb::TrackSource::ScreenShareAudio) => "screen",
        _ => "unknown",
    }
}

fn sorted(layers: &[pb::VideoLayer]) -> Vec<pb::VideoLayer> {
    let mut layers = layers.to_vec();
    layers.sort_by_key(|layer| layer.quality);
    layers
}

fn deduplicated(values: &[i32]) -> Vec<i32> {
    let mut kept = Vec::new();
    for value in values {
        if kept.len() < FEATURES_MAX && !kept.contains(value) {
            kept.push(*value);
        }
    }
    kept
}

#[cfg(test)]
mod tests;
