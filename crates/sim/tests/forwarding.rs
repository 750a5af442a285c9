//! A participant that is shown in another room: its media crosses as it crosses within a room, and ends with it.

use std::time::Duration;

use sluicegate_load::PublishSpec;
use sluicegate_proto::pb::{self, participant_info::State, signal_request};
use sluicegate_room::input::ApiCall;
use sluicegate_rtp::codec::{Codec, MediaKind};
use sluicegate_sim::{Network, Source, World, stamp};

const LAN: Network = Network::sound(Duration::from_millis(2));
const SECOND: Duration = Duration::from_secs(1);

/// What a client got: kind and number of each packet, in the order of its arrival.
fn heard(world: &World, node: usize) -> Vec<(MediaKind, u64)> {
    let arrivals = world.nodes[node].arrivals.iter();
    arrivals.filter_map(|(_, arrival)| Some((arrival.kind, stamp(arrival.kind, &arrival.payload)?))).collect()
}

fn connect(world: &mut World) {
    let busy = |w: &World| !w.nodes.iter().all(|node| node.client.is_connected());
    assert!(world.run_while(20 * SECOND, busy), "all clients connect");
}

/// Publisher and listener in one room, a second listener in another.
fn two_rooms(workers: usize) -> (World, Source, [usize; 3]) {
    let mut world = World::with_workers(11, LAN, workers);
    let other = world.add_room();
    let specs = vec![PublishSpec::new("mic", Codec::Opus), PublishSpec::new("cam", Codec::Vp8)];
    let publisher = world.join_room(0, "publisher", specs, true);
    let near = world.join("near", Vec::new());
    let far = world.join_room(other, "far", Vec::new(), false);
    connect(&mut world);
    world.run_for(SECOND);
    let source = Source::new(world.now);
    (world, source, [publisher, near, far])
}

#[test]
fn the_other_room_gets_every_packet() {
    for workers in [1, 3] {
        let (mut world, mut source, [publisher, near, far]) = two_rooms(workers);
        source.send(&mut world, publisher, 2 * SECOND);
        assert!(heard(&world, far).is_empty());
        world.forward(publisher, 1).unwrap();
        world.run_for(SECOND);
        let before = heard(&world, near).len();
        source.send(&mut world, publisher, 3 * SECOND);
        world.run_for(SECOND);
        let (near_heard, far_heard) = (heard(&world, near).split_off(before), heard(&world, far));
        assert!(far_heard.len() > 300, "{workers} workers: {}", far_heard.len());
        assert_eq!(near_heard, far_heard, "{workers} workers");
        // who comes later gets it, too, from wherever it sits
        let late = world.join_room(1, "late", Vec::new(), false);
        connect(&mut world);
        source.send(&mut world, publisher, 2 * SECOND);
        assert!(heard(&world, late).len() > 150);
    }
}

#[test]
fn it_ends_where_it_is_ended_and_leaves_nothing() {
    for workers in [1, 2] {
        let (mut world, mut source, [publisher, near, far]) = two_rooms(workers);
        let live = |world: &World| -> [u64; 3] {
            let meters = world.engines.iter().map(|engine| engine.meters());
            meters.fold([0; 3], |sum, m| [sum[0] + m.live_subscriptions, sum[1] + m.live_relays_up, sum[2] + m.live_publications])
        };
        let alone = live(&world);
        world.forward(publisher, 1).unwrap();
        source.send(&mut world, publisher, SECOND);
        let before = heard(&world, far).len();
        assert!(before > 0 && live(&world)[0] == alone[0] + 2, "{:?}", live(&world));
        // the room that shows it
        world.ask(1, ApiCall::RemoveParticipant { identity: "publisher".to_owned() }).unwrap();
        let near_before = heard(&world, near).len();
        world.run_for(SECOND);
        let (near_then, far_then) = (heard(&world, near).len(), heard(&world, far).len());
        source.send(&mut world, publisher, SECOND);
        assert_eq!(heard(&world, far).len(), far_then, "no more of it");
        assert!(near_then >= near_before && heard(&world, near).len() > near_then + 100, "its own room goes on");
        assert_eq!(live(&world), alone);
        // and again, to its own end
        world.forward(publisher, 1).unwrap();
        source.send(&mut world, publisher, SECOND);
        assert!(heard(&world, far).len() > far_then + 100);
        world.leave(publisher);
        world.run_for(SECOND);
        let known = world.nodes[far].client.participants.values();
        assert!(known.filter(|info| info.identity == "publisher").all(|info| info.state() == State::Disconnected));
        assert_eq!(live(&world), [0, 0, 0]);
    }
}

#[test]
fn mute_and_data_tracks_cross() {
    for workers in [1, 2] {
        let (mut world, mut source, [publisher, _, far]) = two_rooms(workers);
        world.forward(publisher, 1).unwrap();
        source.send(&mut world, publisher, SECOND);
        let known = |world: &World| world.nodes[far].client.participants.values().next().cloned().expect("it is shown");
        for track in known(&world).tracks {
            let mute = pb::MuteTrackRequest { sid: track.sid, muted: true };
            world.request(publisher, signal_request::Message::Mute(mute));
        }
        world.run_for(SECOND);
        assert!(known(&world).tracks.iter().all(|track| track.muted));
        let before = heard(&world, far).len();
        source.send(&mut world, publisher, SECOND);
        assert_eq!(heard(&world, far).len(), before);

        let publish = pb::PublishDataTrackRequest { pub_handle: 5, name: "d".to_owned(), ..Default::default() };
        world.request(publisher, signal_request::Message::PublishDataTrackRequest(publish));
        world.run_for(SECOND);
        let track_sid = known(&world).data_tracks[0].sid.clone();
        let update = pb::update_data_subscription::Update { track_sid, subscribe: true, options: None };
        let update = pb::UpdateDataSubscription { updates: vec![update] };
        world.request(far, signal_request::Message::UpdateDataSubscription(update));
        world.run_for(SECOND);
        for number in 0..10 {
            let packet = [&[0x18, 0, 0, 5, 0, number, 0, number, 0, 0, 0, 9][..], &[7; 100]].concat();
            assert!(world.send_message(publisher, "_data_track", &packet));
            world.run_for(SECOND / 50);
        }
        let came = world.nodes[far].messages.iter().filter(|(_, label, _)| label == "_data_track").count();
        assert_eq!(came, 10, "{workers} workers");
        let unpublish = pb::UnpublishDataTrackRequest { pub_handle: 5 };
        world.request(publisher, signal_request::Message::UnpublishDataTrackRequest(unpublish));
        world.run_for(SECOND);
        assert!(known(&world).data_tracks.is_empty());
        assert_eq!(world.engines.iter().map(|engine| engine.meters().live_data_tracks).sum::<u64>(), 0);
    }
}
