//! A PeerConnection as the engine sees it: the transport, the path it uses, what arrives on it, and whether it is alive.

use std::time::{Duration, Instant};

use sluicegate_contract::command::{DataChannel, PcTarget};
use sluicegate_contract::event::TransportState;
use sluicegate_sfu::receiver::feedback::TwccRecorder;
use sluicegate_transport::connection::ChannelId;
use sluicegate_transport::ice::TransactionId;
use sluicegate_transport::transport::Transport;

use crate::demux::Path;
use crate::paths::Paths;

/// Nothing authentic was heard for this long: disconnected (LiveKit: ICE disconnected).
const DISCONNECTED_AFTER: Duration = Duration::from_secs(10);
/// So much later it will not come back by itself (LiveKit: ICE failed).
const FAILED_AFTER: Duration = Duration::from_secs(15);
/// Receiver and sender reports (LiveKit: RR 1 s; SR 3 s, ours more often, because they carry the lip-sync).
pub const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// The first report comes early: it brings the subscriber's clock and our first round-trip time.
pub const FIRST_REPORT: Duration = Duration::from_millis(200);
/// SSRCs one PeerConnection may send: each simulcast video has six.
pub const ROUTES_MAX: usize = 512;

#[derive(Debug)]
pub struct Link {
    // hot
    pub transport: Transport,
    /// Where media goes, and where it might.
    pub paths: Paths,
    pub routes: Routes,
    pub twcc: TwccRecorder,

    // warm
    pub session: u32,
    pub target: PcTarget,
    pub last_heard: Instant,
    pub state: Option<TransportState>,
    /// ICE was restarted while nothing was heard: until something is, the silence counts from here.
    restarted: Option<Instant>,
    pub report_due: Option<Instant>,
    /// Sender of our feedback: never the SSRC of media.
    pub feedback_ssrc: u32,
    pub channels: Channels,
    /// The newest receiver reference time of the peer (XR): its SSRC, the middle 32 bits of its NTP, and when it came.
    pub reference_time: Option<(u32, u32, Instant)>,
    pub round_trip: Option<Duration>,
}

impl Link {
    pub fn new(now: Instant, transport: Transport, session: u32, target: PcTarget, feedback_ssrc: u32) -> Self {
        Self {
            transport,
            paths: Paths::new(now),
            routes: Routes::default(),
            twcc: TwccRecorder::default(),
            session,
            target,
            last_heard: now,
            state: None,
            restarted: None,
            report_due: None,
            feedback_ssrc,
            channels: Channels::default(),
            reference_time: None,
            round_trip: None,
        }
    }

    /// Something authentic arrived.
    pub fn heard(&mut self, now: Instant, path: Path) {
        self.last_heard = now;
        self.paths.heard(now, path);
    }

    /// An authentic check came on `path`.
    pub fn checked(&mut self, now: Instant, path: Path, nominates: bool) {
        self.last_heard = now;
        self.paths.checked(now, path, nominates);
    }

    /// A check of ours was answered on `path`, authentically.
    pub fn answered(&mut self, now: Instant, path: Path, id: &TransactionId) {
        self.last_heard = now;
        self.paths.answered(now, path, id);
    }

    /// ICE restarts: a link that was given up for its silence has another chance.
    pub fn restarted(&mut self, now: Instant) {
        let is_silent = matches!(self.state, Some(TransportState::Disconnected | TransportState::Failed));
        if is_silent && !self.transport.connection.is_failed() {
            self.state = Some(TransportState::Disconnected);
            self.restarted = Some(now);
        }
    }

    /// The state that follows from the silence, if it differs from the last one reported. Only a link that was up can go down.
    pub fn judge(&mut self, now: Instant) -> Option<TransportState> {
        if self.restarted.is_some_and(|at| self.last_heard > at) {
            self.restarted = None;
        }
        let silence = match self.restarted {
            Some(at) => now.saturating_duration_since(at).max(DISCONNECTED_AFTER),
            None => now.saturating_duration_since(self.last_heard),
        };
        let next = match self.state? {
            TransportState::Failed | TransportState::Closed => return None,
            _ if silence >= FAILED_AFTER => TransportState::Failed,
            _ if silence >= DISCONNECTED_AFTER => TransportState::Disconnected,
            _ => TransportState::Connected,
        };
        (self.state != Some(next)).then(|| {
            self.state = Some(next);
            next
        })
    }

    /// When the silence will mean something next.
    pub fn judge_at(&self) -> Option<Instant> {
        match self.state? {
            TransportState::Connected => Some(self.last_heard + DISCONNECTED_AFTER),
            TransportState::Disconnected => Some(self.restarted.unwrap_or(self.last_heard).max(self.last_heard) + FAILED_AFTER),
            TransportState::Failed | TransportState::Closed => None,
        }
    }
}

/// LiveKit's channels on this PeerConnection, as far as they are open.
#[derive(Debug, Default)]
pub struct Channels {
    reliable: Option<ChannelId>,
    lossy: Option<ChannelId>,
    data_track: Option<ChannelId>,
}

impl Channels {
    pub fn opened(&mut self, id: ChannelId, label: &str) {
        match label {
            "_reliable" => self.reliable = Some(id),
            "_lossy" => self.lossy = Some(id),
            "_data_track" => self.data_track = Some(id),
            _ => {}
        }
    }

    pub fn closed(&mut self, id: ChannelId) {
        for slot in [&mut self.reliable, &mut self.lossy, &mut self.data_track] {
            if *slot == Some(id) {
                *slot = None;
            }
        }
    }

    pub fn get(&self, channel: DataChannel) -> Option<ChannelId> {
        match channel {
            DataChannel::Reliable => self.reliable,
            DataChannel::Lossy => self.lossy,
        }
    }

    /// The channel of data tracks' packets.
    pub fn data_track(&self) -> Option<ChannelId> {
        self.data_track
    }

    pub fn kind_of(&self, id: ChannelId) -> Option<DataChannel> {
        [DataChannel::Reliable, DataChannel::Lossy].into_iter().find(|kind| self.get(*kind) == Some(id))
    }
}

/// Where the packets of an SSRC go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    pub publication: u32,
    pub layer: u8,
    pub rtx: bool,
}

/// SSRC → route, sorted; a publisher has a handful.
#[derive(Debug, Default)]
pub struct Routes(Vec<(u32, Route)>);

impl Routes {
    pub fn get(&self, ssrc: u32) -> Option<Route> {
        let at = self.0.binary_search_by_key(&ssrc, |(key, _)| *key).ok()?;
        self.0.get(at).map(|(_, route)| *route)
    }

    /// False: the table is full.
    pub fn set(&mut self, ssrc: u32, route: Route) -> bool {
        match self.0.binary_search_by_key(&ssrc, |(key, _)| *key) {
            Ok(at) => self.0[at].1 = route,
            Err(_) if self.0.len() >= ROUTES_MAX => return false,
            Err(at) => self.0.insert(at, (ssrc, route)),
        }
        true
    }

    pub fn remove_publication(&mut self, publication: u32) {
        self.0.retain(|(_, route)| route.publication != publication);
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use sluicegate_transport::address::LocalAddress;
    use sluicegate_transport::certificate::Certificate;
    use sluicegate_transport::negotiate::Role;
    use sluicegate_transport::transport::TransportConfig;

    use super::*;

    fn link(now: Instant) -> Link {
        let config = TransportConfig {
            role: Role::Answer,
            single_pc: true,
            ice_lite: true,
            certificate: &Certificate::generate().unwrap(),
            candidates: &[LocalAddress::udp(SocketAddr::from(([192, 0, 2, 1], 7882)))],
            worker: 0,
            publish_codecs: &[],
            subscribe_codecs: &[],
            session_id: 1,
            first_ssrc: 1,
        };
        Link::new(now, Transport::new(now, config), 0, PcTarget::Publisher, 1)
    }

    fn path(port: u16) -> Path {
        Path { local: 0, remote: SocketAddr::from(([198, 51, 100, 1], port)) }
    }

    #[test]
    fn a_restart_gives_another_chance() {
        let now = Instant::now();
        let at = |secs: u64| now + Duration::from_secs(secs);
        let mut link = link(now);
        link.restarted(at(0));
        assert_eq!(link.judge(at(99)), None, "it was never up");
        link.state = Some(TransportState::Connected);
        assert_eq!((link.judge(at(10)), link.judge(at(15))), (Some(TransportState::Disconnected), Some(TransportState::Failed)));
        assert_eq!(link.judge_at(), None);
        link.restarted(at(18));
        assert_eq!((link.judge(at(32)), link.judge_at()), (None, Some(at(33))));
        assert_eq!(link.judge(at(33)), Some(TransportState::Failed));
        link.restarted(at(34));
        link.checked(at(36), path(1), true);
        assert_eq!(link.judge(at(36)), Some(TransportState::Connected));
        link.restarted(at(37));
        assert_eq!((link.judge(at(37)), link.judge(at(46))), (None, Some(TransportState::Disconnected)));
    }
}
