//! Data tracks: packets reach those who asked, under their own handles; who is slow loses frames, and nobody else's.

use std::time::Duration;

use sluicegate_contract::command::Fault;
use sluicegate_contract::limit::DATA_TRACK_BYTES_BEHIND_MAX;
use sluicegate_contract::meter::Meters;
use sluicegate_contract::{Command, RoomKey, SessionKey};
use sluicegate_engine::Engine;
use sluicegate_proto::pb::{self, signal_request};
use sluicegate_rtp::data_track::{self, DataTrackHeader};
use sluicegate_sim::net::Network;
use sluicegate_sim::world::World;

const LABEL: &str = "_data_track";

/// A packet of a frame; `at`: its place among `of`.
fn packet(handle: u16, sequence: u16, frame: u16, (at, of): (usize, usize), bytes: usize) -> Vec<u8> {
    let flags = u8::from(at == 0) << 4 | u8::from(at + 1 == of) << 3;
    let mut packet = vec![flags, 0];
    packet.extend(handle.to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    packet.extend(frame.to_be_bytes());
    packet.extend([0, 0, 0, 9]);
    packet.resize(data_track::HEADER_BYTES + bytes, 7);
    packet
}

/// (publishers, subscribers) in one room, connected.
fn world(seed: u64, workers: usize, publishers: usize, subscribers: usize) -> (World, Vec<usize>, Vec<usize>) {
    let mut world = World::with_workers(seed, Network::sound(Duration::from_millis(5)), workers);
    let publishers: Vec<usize> = (0..publishers).map(|at| world.join_room(0, &format!("pub{at}"), Vec::new(), true)).collect();
    let subscribers: Vec<usize> = (0..subscribers).map(|at| world.join_room(0, &format!("sub{at}"), Vec::new(), false)).collect();
    let busy = |w: &World| !w.nodes.iter().all(|node| node.client.is_connected());
    assert!(world.run_while(Duration::from_secs(20), busy), "the clients connect");
    world.run_for(Duration::from_secs(1));
    (world, publishers, subscribers)
}

fn publish(world: &mut World, node: usize, pub_handle: u32, name: &str) -> String {
    let asked = pb::PublishDataTrackRequest { pub_handle, name: name.to_owned(), ..Default::default() };
    world.request(node, signal_request::Message::PublishDataTrackRequest(asked));
    let known = world.nodes.iter().flat_map(|node| node.client.participants.values());
    let sid = known.flat_map(|info| &info.data_tracks).find(|track| track.name == name).map(|track| track.sid.clone());
    sid.expect("the others heard of it")
}

fn subscribe(world: &mut World, node: usize, track_sid: &str, target_fps: Option<u32>) -> u16 {
    let options = Some(pb::DataTrackSubscriptionOptions { target_fps });
    let update = pb::update_data_subscription::Update { track_sid: track_sid.to_owned(), subscribe: true, options };
    let update = pb::UpdateDataSubscription { updates: vec![update] };
    world.request(node, signal_request::Message::UpdateDataSubscription(update));
    world.nodes[node].client.data_handles[track_sid] as u16
}

fn meters(world: &World) -> Meters {
    Meters::sum(&world.engines.iter().map(Engine::meters).collect::<Vec<_>>())
}

/// What came under a handle.
fn arrived(world: &World, node: usize, handle: u16) -> Vec<DataTrackHeader> {
    let packets = world.nodes[node].messages.iter().filter(|(_, label, _)| label == LABEL);
    let headers = packets.map(|(_, _, packet)| DataTrackHeader::parse(packet).expect("well-formed"));
    headers.filter(|header| header.handle == handle).collect()
}

#[test]
fn packets_reach_those_who_asked_under_their_own_handles() {
    for workers in [1, 3] {
        reach(workers);
    }
}

fn reach(workers: usize) {
    let (mut world, publishers, subscribers) = world(1, workers, 2, 3);
    let pose = publish(&mut world, publishers[0], 7, "pose");
    let state = publish(&mut world, publishers[1], 7, "state");
    let handles = [
        subscribe(&mut world, subscribers[0], &state, None),
        subscribe(&mut world, subscribers[0], &pose, None),
        subscribe(&mut world, subscribers[1], &pose, Some(10)),
    ];
    assert_ne!(handles[0], handles[1]);
    for frame in 0..60u16 {
        for at in 0..2 {
            let packet = packet(7, 2 * frame + at as u16, frame, (at, 2), 100);
            assert!(world.send_message(publishers[0], LABEL, &packet));
            assert!(world.send_message(publishers[1], LABEL, &packet));
        }
        // of no track, and no packet at all
        world.send_message(publishers[0], LABEL, &packet(8, 0, frame, (0, 1), 10));
        world.send_message(publishers[0], LABEL, b"x");
        world.run_for(Duration::from_micros(16_667));
    }
    world.run_for(Duration::from_millis(100));
    for (node, handle) in [(0, handles[0]), (0, handles[1])] {
        let sequences: Vec<u16> = arrived(&world, subscribers[node], handle).iter().map(|header| header.sequence).collect();
        assert_eq!(sequences, (0..120).collect::<Vec<_>>());
    }
    let slower = arrived(&world, subscribers[1], handles[2]);
    assert!((20..=24).contains(&slower.len()), "ten frames a second of two packets: {}", slower.len());
    assert!(slower.chunks(2).all(|frame| frame[0].start && frame[1].last && frame[0].frame == frame[1].frame), "whole frames");
    assert!(world.nodes[subscribers[2]].messages.is_empty(), "who did not ask gets nothing");
    let meters = meters(&world);
    // with three workers each track is on two
    let live = if workers == 1 { 2 } else { 4 };
    assert_eq!((meters.live_data_tracks, meters.dropped_data_track), (live, 120));
    // gone with its publisher
    world.leave(publishers[0]);
    world.run_for(Duration::from_secs(1));
    assert_eq!(self::meters(&world).live_data_tracks, live / 2);
    // nor is it anywhere when nobody wants it any more
    world.leave(subscribers[0]);
    world.run_for(Duration::from_secs(1));
    assert_eq!(self::meters(&world).live_data_tracks, 1);
}

#[test]
fn a_slow_receiver_loses_whole_frames_and_nobody_else_any() {
    for workers in [1, 3] {
        slow(workers);
    }
}

fn slow(workers: usize) {
    let (mut world, publishers, subscribers) = world(2, workers, 1, 2);
    let video = publish(&mut world, publishers[0], 1, "video");
    let handles: Vec<u16> = subscribers.iter().map(|node| subscribe(&mut world, *node, &video, None)).collect();
    world.nodes[subscribers[0]].set_deaf(true);
    let mut sequence = 0;
    for frame in 0..30u16 {
        for at in 0..4 {
            assert!(world.send_message(publishers[0], LABEL, &packet(1, sequence, frame, (at, 4), 4000)));
            sequence += 1;
        }
        world.run_for(Duration::from_millis(50));
    }
    assert_eq!(arrived(&world, subscribers[1], handles[1]).len(), 120);
    assert!(arrived(&world, subscribers[0], handles[0]).is_empty());
    let dropped = meters(&world).dropped_data_track;
    // so much was begun before the bound was passed
    let begun = DATA_TRACK_BYTES_BEHIND_MAX / 16_000 + 2;
    assert!(dropped.is_multiple_of(4) && dropped as usize >= 4 * (30 - begun), "{dropped}");
}

#[test]
fn a_panic_costs_the_receiver_whose_copy_it_was() {
    let (mut world, publishers, subscribers) = world(4, 1, 1, 3);
    let pose = publish(&mut world, publishers[0], 1, "pose");
    let handles: Vec<u16> = subscribers.iter().map(|node| subscribe(&mut world, *node, &pose, None)).collect();
    for frame in 0..50u16 {
        if frame == 10 {
            // the second one: those before and behind it have their copies of the same packet
            let session = SessionKey { room: RoomKey(1), index: subscribers[1] as u32 };
            world.command(Command::Fault(Fault::DataTrack(session)));
        }
        assert!(world.send_message(publishers[0], LABEL, &packet(1, frame, frame, (0, 1), 100)));
        world.run_for(Duration::from_millis(10));
    }
    world.run_for(Duration::from_millis(50));
    let got = |at: usize| arrived(&world, subscribers[at], handles[at]).len();
    assert_eq!((meters(&world).panics, meters(&world).live_sessions, meters(&world).worker_restarts), (1, 3, 0));
    assert!(world.nodes[subscribers[1]].client.left.is_some() && world.nodes[publishers[0]].client.left.is_none());
    // the packet under way goes with the turn
    assert_eq!((got(0), got(2)), (50, 49));
}

#[test]
fn a_hostile_publisher_takes_no_other_ones_turn() {
    for workers in [1, 3] {
        hostile(workers);
    }
}

fn hostile(workers: usize) {
    let (mut world, publishers, subscribers) = world(3, workers, 2, 2);
    let flood = publish(&mut world, publishers[0], 1, "flood");
    let pose = publish(&mut world, publishers[1], 1, "pose");
    subscribe(&mut world, subscribers[0], &flood, None);
    let handle = subscribe(&mut world, subscribers[1], &pose, None);
    for frame in 0..50u16 {
        for part in 0..40 {
            world.nodes[publishers[0]].client.send_message(world.now, LABEL, &packet(1, part, frame, (0, 1), 1000));
        }
        assert!(world.send_message(publishers[1], LABEL, &packet(1, frame, frame, (0, 1), 100)));
        world.run_for(Duration::from_millis(10));
    }
    world.run_for(Duration::from_millis(50));
    assert_eq!(arrived(&world, subscribers[1], handle).len(), 50);
}
