//! What is known of a client's kind and version: what it can do, and what it must not be asked for.
//!
//! LiveKit: protocol version gates and static client configurations.

use sluicegate_proto::pb;
use sluicegate_rtp::codec::{Codec, MediaKind};

/// A client as its ClientInfo describes it.
#[derive(Clone, Debug)]
pub struct Client {
    pub info: pb::ClientInfo,
    browser: String,
    os: String,
}

impl Client {
    pub fn new(info: pb::ClientInfo) -> Self {
        Self { browser: info.browser.to_lowercase(), os: info.os.to_lowercase(), info }
    }

    pub fn is_firefox(&self) -> bool {
        self.browser == "firefox" || self.browser == "firefox mobile"
    }

    /// The server offers the subscriber PeerConnection first.
    pub fn knows_subscriber_primary(&self) -> bool {
        self.info.protocol > 2
    }

    pub fn knows_quality(&self) -> bool {
        self.info.protocol > 4
    }

    /// Updates about those who left while it was away.
    pub fn knows_departures_on_resume(&self) -> bool {
        self.info.protocol > 8
    }

    /// The quality LOST; older ones only have POOR.
    pub fn knows_lost_quality(&self) -> bool {
        self.info.protocol > 10
    }

    pub fn knows_ice_lite(&self) -> bool {
        self.info.protocol > 5 && !self.is_firefox()
    }

    pub fn knows_track_unpublished(&self) -> bool {
        self.info.protocol > 6
    }

    /// Stream ids of the form `PA_…|camera`.
    pub fn knows_sync_streams(&self) -> bool {
        self.info.protocol > 9 && !self.is_firefox()
    }

    /// `LeaveRequest.action`; older ones only have `can_reconnect`.
    pub fn knows_leave_action(&self) -> bool {
        self.info.protocol > 12
    }

    /// A RequestResponse that reports no error.
    pub fn knows_ok_response(&self) -> bool {
        self.info.protocol > 14
    }

    /// `room_moved`: it can be sent to another room.
    pub fn knows_moving(&self) -> bool {
        self.info.protocol > 15
    }

    /// What this kind of client must not do, if anything.
    pub fn configuration(&self) -> Option<pb::ClientConfiguration> {
        let mut disabled = pb::DisabledCodecs::default();
        if self.browser == "safari" {
            disabled.codecs.push(codec_message(Codec::Av1));
            if version(&self.info.browser_version) > (18, 3) {
                disabled.publish.push(codec_message(Codec::Vp9));
            }
        }
        let hardware = self.info.device_model.eq_ignore_ascii_case("xiaomi 2201117ti") && self.os == "android";
        if hardware || (self.is_firefox() && (self.os == "linux" || self.os == "android")) {
            disabled.publish.push(codec_message(Codec::H264));
        }
        let any = !disabled.codecs.is_empty() || !disabled.publish.is_empty();
        any.then(|| pb::ClientConfiguration { disabled_codecs: Some(disabled), ..Default::default() })
    }

    /// What the client may publish, best first: VP8, H264, other video, then audio (clients take their fallback from the front).
    pub fn publish_codecs(&self, enabled: &[Codec]) -> Vec<Codec> {
        let disabled = self.configuration().and_then(|c| c.disabled_codecs).unwrap_or_default();
        let mut codecs = without(&without(enabled, &disabled.codecs), &disabled.publish);
        codecs.sort_by_key(|codec| match (codec, codec.kind()) {
            (Codec::Vp8, _) => 0,
            (Codec::H264, _) => 1,
            (_, MediaKind::Video) => 2,
            (Codec::Opus, _) => 3,
            (_, MediaKind::Audio) => 4,
        });
        codecs
    }

    /// What may be sent to the client.
    pub fn subscribe_codecs(&self, enabled: &[Codec]) -> Vec<Codec> {
        let disabled = self.configuration().and_then(|c| c.disabled_codecs).unwrap_or_default();
        without(enabled, &disabled.codecs)
    }
}

fn without(enabled: &[Codec], disabled: &[pb::Codec]) -> Vec<Codec> {
    let is_disabled = |codec: &Codec| disabled.iter().any(|d| d.mime.eq_ignore_ascii_case(codec.mime()));
    enabled.iter().copied().filter(|codec| !is_disabled(codec)).collect()
}

/// LiveKit spells the codecs of its configuration in lower case.
pub fn codec_message(codec: Codec) -> pb::Codec {
    pb::Codec { mime: codec.mime().to_lowercase(), fmtp_line: String::new() }
}

fn version(text: &str) -> (u32, u32) {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(browser: &str, version: &str, os: &str) -> Client {
        let text = |s: &str| s.to_owned();
        let info = pb::ClientInfo { browser: text(browser), browser_version: text(version), os: text(os), ..Default::default() };
        Client::new(info)
    }

    #[test]
    fn publish_codecs_are_in_livekits_order() {
        let chrome = client("Chrome", "150", "Linux");
        assert!(chrome.configuration().is_none());
        let codecs = chrome.publish_codecs(&Codec::ALL);
        assert_eq!(codecs[..2], [Codec::Vp8, Codec::H264]);
        assert_eq!(codecs[5..6], [Codec::Opus]);
        assert_eq!(codecs.len(), Codec::ALL.len());
        assert_eq!(codec_message(Codec::Vp8).mime, "video/vp8");
    }

    #[test]
    fn what_a_browser_cannot_is_not_asked_for() {
        let safari = client("Safari", "18.4", "macOS");
        assert!(!safari.publish_codecs(&Codec::ALL).contains(&Codec::Av1));
        assert!(!safari.subscribe_codecs(&Codec::ALL).contains(&Codec::Av1));
        assert!(!safari.publish_codecs(&Codec::ALL).contains(&Codec::Vp9));
        assert!(safari.subscribe_codecs(&Codec::ALL).contains(&Codec::Vp9));
        assert!(client("Safari", "18.3", "iOS").publish_codecs(&Codec::ALL).contains(&Codec::Vp9));
        assert!(!client("Firefox", "140", "Linux").publish_codecs(&Codec::ALL).contains(&Codec::H264));
        assert!(client("Firefox", "140", "Windows").publish_codecs(&Codec::ALL).contains(&Codec::H264));
    }
}
