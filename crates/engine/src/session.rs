//! One participant's media: its PeerConnections, what it publishes and what it receives.

use std::time::{Duration, Instant};

use sluicegate_contract::SessionKey;
use sluicegate_contract::command::{AddSession, Fault, PcMode};
use sluicegate_contract::entropy::Entropy;
use sluicegate_rtp::codec::Codec;

use sluicegate_sfu::clock::PublisherClock;
use sluicegate_sfu::quality::QualityMeter;

use crate::data::SessionData;
use crate::data_track::SessionTracks;
use crate::demux::TransportIndex;
use crate::publication::Announced;

/// The first offer goes out after this much quiet, so that the subscriptions of one join share it (LiveKit: 10 ms).
pub const FIRST_OFFER_DELAY: Duration = Duration::from_millis(10);
/// Later offers are gathered longer (LiveKit: 150 ms).
pub const OFFER_DELAY: Duration = Duration::from_millis(150);

/// A participant's state on this worker.
#[derive(Debug)]
pub struct Session {
    // warm
    /// Queued for service at the end of this tick.
    pub dirty: bool,
    pub publisher: TransportIndex,
    /// None with a single PeerConnection.
    pub subscriber: Option<TransportIndex>,
    pub publications: Vec<u32>,
    pub subscriptions: Vec<u32>,

    // cold
    pub key: SessionKey,
    pub mode: PcMode,
    pub can_publish: bool,
    pub subscribe_codecs: Vec<Codec>,
    pub announced: Announced,
    pub offering: Offering,
    pub entropy: Entropy,
    /// The publisher's own time, shared by its tracks.
    pub clock: PublisherClock,
    /// m-lines that no announcement fits yet.
    pub unclaimed: Vec<String>,
    pub(crate) data: SessionData,
    pub(crate) tracks: SessionTracks,
    pub quality: QualityMeter,
    /// A panic that was asked for.
    pub fault: Option<Fault>,
}

impl Session {
    pub fn new(add: &AddSession, publisher: TransportIndex, subscriber: Option<TransportIndex>, now: Instant) -> Self {
        let mut entropy = Entropy::new(add.seed);
        // LiveKit's offers start at a random 1..256
        let first_id = 1 + entropy.next_u32() % 256;
        let mut offering = Offering { next_id: first_id, ..Offering::default() };
        if matches!(add.mode, PcMode::Dual { offer_at_once: true }) {
            offering.want(now);
        }
        Self {
            dirty: false,
            publisher,
            subscriber,
            publications: Vec::new(),
            subscriptions: Vec::new(),
            key: add.session,
            mode: add.mode,
            can_publish: add.can_publish,
            subscribe_codecs: add.subscribe_codecs.clone(),
            announced: Announced::default(),
            offering,
            entropy,
            clock: PublisherClock::default(),
            unclaimed: Vec::new(),
            data: SessionData::default(),
            tracks: SessionTracks::default(),
            quality: QualityMeter::default(),
            fault: None,
        }
    }

    /// The PeerConnection that carries what the participant receives.
    pub fn down(&self) -> TransportIndex {
        self.subscriber.unwrap_or(self.publisher)
    }

    pub fn transports(&self) -> impl Iterator<Item = TransportIndex> + use<> {
        [Some(self.publisher), self.subscriber].into_iter().flatten()
    }
}

/// When to offer (dual PC), or to ask the client for an offer (single PC).
#[derive(Debug, Default)]
pub struct Offering {
    /// The id of the next offer.
    pub next_id: u32,
    /// The offer whose answer we wait for.
    pub outstanding: Option<u32>,
    /// Something changed since the last offer.
    pub wanted: bool,
    /// When the quiet time is over.
    pub due: Option<Instant>,
    /// An offer was made before.
    pub offered: bool,
    /// Single PC: sections already asked for and not yet seen in an offer.
    pub asked: (u32, u32),
}

impl Offering {
    /// Something must be negotiated: the quiet time starts unless an answer is outstanding.
    pub fn want(&mut self, now: Instant) {
        self.wanted = true;
        if self.due.is_none() && self.outstanding.is_none() {
            self.due = Some(now + if self.offered { OFFER_DELAY } else { FIRST_OFFER_DELAY });
        }
    }

    /// The client resumes: nothing is outstanding any more. What we offer ourselves is offered again at once; else the client offers.
    pub fn restart(&mut self, now: Instant, offers: bool) {
        self.outstanding = None;
        self.asked = (0, 0);
        if offers {
            self.wanted = true;
            self.due = Some(now);
        }
    }

    /// True when the offer must be made now.
    pub fn take_due(&mut self, now: Instant) -> bool {
        let due = self.outstanding.is_none() && self.wanted && self.due.is_some_and(|at| at <= now);
        if due {
            self.wanted = false;
            self.due = None;
            self.offered = true;
        }
        due
    }

    /// The id for an offer that goes out now.
    pub fn begin(&mut self) -> u32 {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        self.outstanding = Some(id);
        id
    }

    /// The answer to `id` came; false: it is not the one we wait for.
    pub fn answered(&mut self, now: Instant, id: u32) -> bool {
        if self.outstanding != Some(id) {
            return false;
        }
        self.outstanding = None;
        if self.wanted {
            self.due = None;
            self.want(now);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_gathered_and_one_is_outstanding() {
        let now = Instant::now();
        let mut offering = Offering::default();
        offering.want(now);
        assert!(!offering.take_due(now));
        assert!(offering.take_due(now + FIRST_OFFER_DELAY));
        let id = offering.begin();
        offering.want(now + FIRST_OFFER_DELAY);
        assert!(!offering.take_due(now + Duration::from_secs(9)), "the answer is outstanding");
        assert!(!offering.answered(now, id.wrapping_add(1)));
        let later = now + Duration::from_secs(1);
        assert!(offering.answered(later, id));
        assert!(!offering.take_due(later + FIRST_OFFER_DELAY));
        assert!(offering.take_due(later + OFFER_DELAY));
    }
}
