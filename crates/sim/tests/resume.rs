//! A client whose signalling, network or address goes in the middle of a call comes back: its media goes on, no reliable message is
//! lost or comes twice, and nobody sees it leave. On one worker, and with publisher and subscriber on two.

use std::time::{Duration, Instant};

use sluicegate_load::PublishSpec;
use sluicegate_proto::{Message as _, pb};
use sluicegate_rtp::codec::{Codec, MediaKind};
use sluicegate_sim::{Network, Source, World};

/// From the way's return to media in both kinds. A third of it passes before the client comes back.
const BACK_AFTER_MAX: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mishap {
    /// Its WebSocket is reset.
    SignallingCut,
    /// Nothing gets through for four seconds; the server knows nothing of the dead WebSocket.
    NoNetwork,
    /// It has another address, and a WebSocket from there.
    NewAddress,
    /// No network for so long that the server gives the transports up and says goodbye into the void.
    GivenUp,
}

struct Call {
    world: World,
    source: Source,
    sent: u32,
}

impl Call {
    fn new(workers: usize, single: bool) -> Self {
        let mut world = World::with_workers(5, Network::sound(Duration::from_millis(20)), workers);
        world.single = single;
        let tracks = vec![PublishSpec::new("mic", Codec::Opus), PublishSpec::new("cam", Codec::Vp8)];
        world.join_room(0, "ann", tracks, true);
        world.join_room(0, "ben", Vec::new(), true);
        assert!(world.run_while(Duration::from_secs(20), |w| !w.nodes.iter().all(|node| node.client.is_connected())));
        let source = Source::new(world.now);
        let mut call = Self { world, source, sent: 0 };
        call.go_on(Duration::from_secs(3));
        call
    }

    /// Ann's media, and from both a message five times a second: SCTP holds those of the longest outage and of its back-off.
    fn go_on(&mut self, duration: Duration) {
        let end = self.world.now + duration;
        while self.world.now < end {
            self.source.send(&mut self.world, 0, Duration::from_millis(200));
            self.sent += 1;
            for node in [0, 1] {
                let user = pb::UserPacket { payload: self.sent.to_be_bytes().to_vec(), ..Default::default() };
                let value = Some(pb::data_packet::Value::User(user));
                let packet = pb::DataPacket { sequence: self.sent, value, ..Default::default() };
                assert!(self.world.send_message(node, "_reliable", &packet.encode_to_vec()));
            }
        }
    }

    /// When the way was there again.
    fn suffer(&mut self, who: usize, mishap: Mishap) -> Instant {
        match mishap {
            Mishap::SignallingCut => self.world.cut(who, true),
            Mishap::NoNetwork => {
                self.world.set_offline(who, true);
                self.go_on(Duration::from_secs(4));
                self.world.set_offline(who, false);
            }
            Mishap::NewAddress => {
                self.world.cut(who, false);
                self.world.rebind(who);
            }
            Mishap::GivenUp => {
                self.world.set_offline(who, true);
                self.go_on(Duration::from_secs(17));
                self.world.set_offline(who, false);
            }
        }
        let back = self.world.now;
        self.go_on(Duration::from_millis(300));
        self.world.resume(who);
        back
    }

    /// The longest silence in ben's ears from `since` on, of each kind.
    fn longest_gap(&self, since: Instant, kind: MediaKind) -> Duration {
        let arrivals = self.world.nodes[1].arrivals.iter().filter(|(at, arrival)| *at >= since && arrival.kind == kind);
        let times = arrivals.map(|(at, _)| *at).chain([self.world.now]);
        let (mut last, mut longest) = (since, Duration::ZERO);
        for at in times {
            longest = longest.max(at - last);
            last = at;
        }
        longest
    }

    /// What the server's ends are known by.
    fn ufrags(&self) -> Vec<[String; 2]> {
        self.world.nodes.iter().map(|node| node.client.server_ufrags().map(str::to_owned)).collect()
    }

    fn numbers(&self, node: usize) -> Vec<u32> {
        let number = |data: &[u8]| match pb::DataPacket::decode(data).ok()?.value? {
            pb::data_packet::Value::User(user) => user.payload.first_chunk().map(|bytes| u32::from_be_bytes(*bytes)),
            _ => None,
        };
        self.world.nodes[node].messages.iter().filter_map(|(_, _, data)| number(data)).collect()
    }
}

fn comes_back(mishap: Mishap) {
    for (single, workers, who) in
        [false, true].iter().flat_map(|single| [(1, 0), (1, 1), (2, 0), (2, 1)].map(|(w, who)| (*single, w, who)))
    {
        let name = format!("{mishap:?} of {who} on {workers} workers, single {single}");
        let mut call = Call::new(workers, single);
        let sids: Vec<_> = call.world.nodes.iter().map(|node| node.client.sid().map(str::to_owned)).collect();
        let before = call.ufrags();
        let back = call.suffer(who, mishap);
        call.go_on(Duration::from_secs(12));
        let after = call.ufrags();
        for (node, target) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            assert_eq!(before[node][target] != after[node][target], node == who, "{name}: ICE of {node}'s {target}");
        }
        for kind in [MediaKind::Audio, MediaKind::Video] {
            let gap = call.longest_gap(back, kind);
            assert!(gap < BACK_AFTER_MAX, "{name}: {kind:?} after {gap:?}");
            let silent = call.longest_gap(call.world.now - Duration::from_secs(6), kind);
            assert!(silent < Duration::from_millis(300), "{name}: {kind:?} is not steady: {silent:?}");
        }
        call.world.run_for(Duration::from_secs(20));
        for node in [0, 1] {
            assert_eq!(call.numbers(node), (1..=call.sent).collect::<Vec<_>>(), "{name}: messages to {node}");
            let client = &call.world.nodes[node].client;
            assert!(client.departed.is_empty() && client.left.is_none(), "{name}: {:?} {:?}", client.departed, client.left);
            assert_eq!((client.resumes, client.sid()), (u32::from(node == who), sids[node].as_deref()), "{name}");
        }
    }
}

#[test]
fn its_signalling_was_cut() {
    comes_back(Mishap::SignallingCut);
}

#[test]
fn it_had_no_network_for_a_while() {
    comes_back(Mishap::NoNetwork);
}

#[test]
fn it_has_another_address() {
    comes_back(Mishap::NewAddress);
}

#[test]
fn its_transports_were_given_up() {
    comes_back(Mishap::GivenUp);
}
