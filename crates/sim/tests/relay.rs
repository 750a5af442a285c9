//! Several workers are one: whoever sits where gets the same media, and what happens between workers stays between them.

use std::time::Duration;

use sluicegate_contract::command::Fault;
use sluicegate_contract::{Command, RoomKey, SessionKey, WorkerKey};
use sluicegate_load::PublishSpec;
use sluicegate_proto::Message as _;
use sluicegate_proto::pb::{self, leave_request};
use sluicegate_rtp::codec::{Codec, MediaKind};
use sluicegate_sim::{Network, Plan, Source, World, stamp};

const LAN: Network = Network::sound(Duration::from_millis(2));

fn publish() -> Vec<PublishSpec> {
    vec![PublishSpec::new("mic", Codec::Opus), PublishSpec::new("cam", Codec::Vp8)]
}

fn connect(world: &mut World) {
    let connected = world.run_while(Duration::from_secs(20), |w| !w.nodes.iter().all(|node| node.client.is_connected()));
    assert!(connected, "all clients connect");
}

/// What a client got: kind, index and number of each packet, in the order of its arrival.
fn heard(world: &World, node: usize) -> Vec<(MediaKind, u64)> {
    let arrivals = world.nodes[node].arrivals.iter();
    arrivals.filter_map(|(_, arrival)| Some((arrival.kind, stamp(arrival.kind, &arrival.payload)?))).collect()
}

fn session(index: usize) -> SessionKey {
    // the room numbers its sessions in the order of the joins
    SessionKey { room: RoomKey(1), index: index as u32 }
}

fn live(world: &World) -> [u64; 6] {
    world.engines.iter().map(|engine| engine.meters()).fold([0; 6], |sum, meters| {
        let counts = [
            meters.live_sessions,
            meters.live_publications,
            meters.live_subscriptions,
            meters.live_addresses,
            meters.live_relays_up,
            meters.live_relays_down,
        ];
        std::array::from_fn(|at| sum[at] + counts[at])
    })
}

/// A publisher, four subscribers, one who comes late, one who leaves, one who mutes himself for a while.
fn a_meeting(workers: usize) -> Vec<Vec<(MediaKind, u64)>> {
    let mut world = World::with_workers(5, LAN, workers);
    let publisher = world.join("publisher", publish());
    for index in 0..4 {
        world.join(&format!("subscriber{index}"), Vec::new());
    }
    connect(&mut world);
    world.run_for(Duration::from_secs(1));
    let mut source = Source::new(world.now);
    source.send(&mut world, publisher, Duration::from_secs(2));
    world.join("late", Vec::new());
    source.send(&mut world, publisher, Duration::from_secs(2));
    world.leave(2);
    source.send(&mut world, publisher, Duration::from_secs(1));
    let known = world.nodes[1].client.participants.values();
    let camera =
        known.flat_map(|info| &info.tracks).find(|track| track.r#type() == pb::TrackType::Video).expect("a camera").sid.clone();
    for muted in [true, false] {
        let mute = pb::MuteTrackRequest { sid: camera.clone(), muted };
        world.nodes[publisher].client.request(pb::signal_request::Message::Mute(mute));
        source.send(&mut world, publisher, Duration::from_secs(1));
    }
    world.run_for(Duration::from_secs(1));
    (0..world.nodes.len()).map(|node| heard(&world, node)).collect()
}

#[test]
fn with_three_workers_everybody_gets_what_he_gets_with_one() {
    let (one, three) = (a_meeting(1), a_meeting(3));
    assert_eq!(one.len(), 6);
    for (node, (with_one, with_three)) in one.iter().zip(&three).enumerate() {
        assert_eq!(node == 0, with_one.is_empty(), "client {node}");
        let differs = with_one.iter().zip(with_three).position(|(a, b)| a != b);
        assert!(with_one == with_three, "client {node}: {} and {} packets, {differs:?}", with_one.len(), with_three.len());
    }
    // 7 s of 50 and 90 packets a second, one of them without picture
    assert!(one[1].len() > 800, "{}", one[1].len());
}

#[test]
fn losses_are_repaired_across_workers() {
    let network = Network { loss: 0.05, delay: Duration::from_millis(40), jitter: Duration::ZERO, spares_handshakes: false };
    let plan = Plan { seed: 3, network, subscribers: 5, workers: 3, duration: Duration::from_secs(30) };
    let measured = plan.run().expect("all clients connect");
    assert!(measured.audio.sent > 5000 && measured.video.sent > 10_000, "{measured:?}");
    assert!(measured.audio.lost() < 0.001 && measured.video.lost() < 0.001, "{measured:?}");
    assert!(measured.overhead_up <= 0.25 && measured.overhead_down <= 0.25, "{measured:?}");
}

#[test]
fn nothing_of_a_relay_stays() {
    let mut world = World::with_workers(6, LAN, 3);
    let stays = world.join("stays", publish());
    connect(&mut world);
    world.run_for(Duration::from_secs(1));
    let base = live(&world);
    assert_eq!(base, [1, 2, 0, 2, 0, 0]);
    for round in 0..60 {
        let index = world.join(&format!("guest{round}"), publish());
        assert!(world.run_while(Duration::from_secs(20), |w| !w.nodes[index].client.is_connected()), "guest {round}");
        world.run_for(Duration::from_millis([0, 30, 400][round % 3]));
        world.leave(index);
    }
    world.run_for(Duration::from_secs(1));
    assert_eq!(live(&world), base);
    world.leave(stays);
    world.run_for(Duration::from_secs(60));
    assert_eq!(live(&world), [0; 6]);
}

#[test]
fn after_a_full_lane_the_picture_goes_on_with_a_key_frame() {
    let mut world = World::with_workers(7, LAN, 2);
    let publisher = world.join("publisher", publish());
    let beside = world.join("beside", Vec::new());
    connect(&mut world);
    world.run_for(Duration::from_secs(1));
    let mut source = Source::new(world.now);
    source.send(&mut world, publisher, Duration::from_secs(2));
    world.relays_are_full = true;
    source.send(&mut world, publisher, Duration::from_millis(500));
    let resumed_at = source.next_index();
    world.relays_are_full = false;
    source.send(&mut world, publisher, Duration::from_secs(2));
    world.run_for(Duration::from_secs(1));
    assert!(world.engines[0].meters().dropped_relay > 40);
    let after = world.nodes[beside].arrivals.iter().filter(|(_, arrival)| {
        stamp(arrival.kind, &arrival.payload).is_some_and(|index| index >= resumed_at) && arrival.kind == MediaKind::Video
    });
    let after: Vec<_> = after.collect();
    assert!(after.len() > 150, "{}", after.len());
    let (_, first) = after[0];
    // VP8: S in the descriptor, P = 0 in the frame's first byte
    assert!(first.payload[0] & 0x10 != 0 && first.payload[4] & 1 == 0, "it begins with a key frame");
    let sound = heard(&world, beside).iter().filter(|(kind, index)| *kind == MediaKind::Audio && *index >= resumed_at).count();
    assert!(sound >= 95, "{sound} packets of sound in two seconds");
}

#[test]
fn what_nobody_on_a_worker_looks_at_does_not_cross_to_it() {
    let mut world = World::with_workers(10, LAN, 2);
    world.next_worker = Some(0);
    let publisher = world.join("publisher", publish());
    world.next_worker = Some(1);
    let (looks, off) = (world.join("looks", Vec::new()), world.join("off", Vec::new()));
    connect(&mut world);
    world.run_for(Duration::from_secs(1));
    let mut source = Source::new(world.now);
    source.send(&mut world, publisher, Duration::from_secs(1));
    let tracks = world.nodes[off].client.participants.values().flat_map(|info| &info.tracks);
    let track_sids: Vec<String> = tracks.map(|track| track.sid.clone()).collect();
    assert_eq!(track_sids.len(), 2);
    let settings = pb::UpdateTrackSettings { track_sids, disabled: true, ..Default::default() };
    world.request(off, pb::signal_request::Message::TrackSetting(settings));
    let mut crossed = |world: &mut World| {
        let before = world.engines[0].meters().relayed_up;
        source.send(world, publisher, Duration::from_secs(1));
        world.engines[0].meters().relayed_up - before
    };
    assert!(crossed(&mut world) > 100);
    world.leave(looks);
    world.run_for(Duration::from_millis(100));
    assert_eq!(crossed(&mut world), 0);
    assert_eq!(live(&world)[4], 2, "the tracks stay attached");
}

#[test]
fn a_panic_costs_its_session_and_nobody_else() {
    for fault in [Fault::Service as fn(SessionKey) -> Fault, Fault::Datagram, Fault::Check, Fault::Flush, Fault::Data] {
        let mut world = World::new(8, LAN);
        let publisher = world.join_room(0, "publisher", publish(), true);
        let (hit, spared) = (world.join("hit", Vec::new()), world.join("spared", Vec::new()));
        connect(&mut world);
        world.run_for(Duration::from_secs(1));
        let mut source = Source::new(world.now);
        source.send(&mut world, publisher, Duration::from_secs(1));
        let before = source.next_index();
        if fault(session(hit)) == Fault::Check(session(hit)) {
            // its next check comes from where nobody has been yet
            world.rebind(hit);
        }
        world.command(Command::Fault(fault(session(hit))));
        let user = pb::UserPacket { payload: vec![7], ..Default::default() };
        let packet = pb::DataPacket { value: Some(pb::data_packet::Value::User(user)), ..Default::default() };
        assert!(world.send_message(publisher, "_reliable", &packet.encode_to_vec()));
        // ICE checks come every few seconds
        source.send(&mut world, publisher, Duration::from_secs(8));
        world.run_for(Duration::from_secs(1));
        assert_eq!(world.engines[0].meters().panics, 1);
        let left = world.nodes[hit].client.left.as_ref().expect("the client is told");
        assert_eq!(left.action(), leave_request::Action::Reconnect);
        assert!(world.nodes[spared].client.left.is_none());
        let got = heard(&world, spared).iter().filter(|(_, index)| *index >= before).count() as u64;
        assert_eq!(got, source.next_index() - before, "the other one misses nothing");
        assert_eq!(world.nodes[spared].messages.len(), 1);
        assert_eq!(live(&world)[0], 2);
    }
}

#[test]
fn a_worker_that_panics_begins_anew() {
    let mut world = World::with_workers(9, LAN, 2);
    // in turn: the publisher and the second subscriber on one worker, the first on the other
    let publisher = world.join("publisher", publish());
    let elsewhere = world.join("elsewhere", Vec::new());
    let beside = world.join("beside", Vec::new());
    connect(&mut world);
    world.run_for(Duration::from_secs(1));
    let on_first =
        world.engines.iter().position(|engine| engine.sessions().any(|key| key == session(publisher))).expect("it is somewhere");
    let other = 1 - on_first;
    let mut source = Source::new(world.now);
    source.send(&mut world, publisher, Duration::from_secs(1));
    // the worker of the one subscriber: publisher and the neighbour go on as if nothing had been
    let before = source.next_index();
    world.command(Command::Fault(Fault::Worker(WorkerKey::local(other as u16))));
    source.send(&mut world, publisher, Duration::from_secs(2));
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.nodes[elsewhere].client.left.as_ref().map(pb::LeaveRequest::action), Some(leave_request::Action::Reconnect));
    assert!(world.nodes[publisher].client.left.is_none() && world.nodes[beside].client.left.is_none());
    let got = heard(&world, beside).iter().filter(|(_, index)| *index >= before).count() as u64;
    assert_eq!(got, source.next_index() - before);
    assert_eq!(live(&world)[4..], [0, 0], "what was relayed there is not any more");
    // who comes back gets everything again
    let again = world.join("again", Vec::new());
    assert!(world.run_while(Duration::from_secs(20), |w| !w.nodes[again].client.is_connected()));
    source.send(&mut world, publisher, Duration::from_secs(3));
    world.run_for(Duration::from_secs(1));
    assert!(heard(&world, again).len() > 200, "{}", heard(&world, again).len());
    // the publisher's worker: its tracks end everywhere
    world.command(Command::Fault(Fault::Worker(WorkerKey::local(on_first as u16))));
    world.run_for(Duration::from_secs(1));
    assert!(world.nodes[publisher].client.left.is_some() && world.nodes[beside].client.left.is_some());
    let counts = live(&world);
    assert_eq!((counts[1], counts[2], counts[4], counts[5]), (0, 0, 0, 0), "{counts:?}");
}
