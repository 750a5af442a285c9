//! Data messages keep media waiting never, and each other only in turn.

use std::time::Duration;

use sluicegate_contract::limit::{DATA_BYTES_JOINING_MAX, DATA_BYTES_PER_SESSION_MAX, DATA_BYTES_PER_TICK};
use sluicegate_proto::{Message as _, pb};
use sluicegate_sim::forwarding::Forwarding;
use sluicegate_sim::net::Network;
use sluicegate_sim::world::World;

/// RTP and RTCP (RFC 7983); a DTLS record of application data carries SCTP.
fn is_media(first: &u8) -> bool {
    *first >= 128
}

#[test]
fn media_leaves_first_and_a_tick_is_bounded() {
    let mut forwarding = Forwarding::new(60).expect("the clients connect");
    let message = vec![7; 15_000];
    let flushes = forwarding.data_beside_media(&message);
    let media = flushes[0].iter().take_while(|first| is_media(first)).count();
    assert_eq!(media, 60, "all of the media before any of the data");
    let data: Vec<usize> = flushes.iter().map(|flush| flush.iter().filter(|first| **first == 23).count()).collect();
    // SCTP's window lets about four datagrams of each message go at once
    assert!(data.iter().sum::<usize>() >= 60 * 3, "{data:?}");
    assert!(flushes.len() >= 60 * message.len() / DATA_BYTES_PER_TICK, "{data:?}");
}

fn message(number: u32, bytes: usize) -> Vec<u8> {
    let mut payload = number.to_be_bytes().to_vec();
    payload.resize(bytes.max(4), 7);
    let user = pb::UserPacket { payload, ..Default::default() };
    pb::DataPacket { value: Some(pb::data_packet::Value::User(user)), ..Default::default() }.encode_to_vec()
}

fn numbers(world: &World, node: usize) -> Vec<u32> {
    let number = |data: &[u8]| match pb::DataPacket::decode(data).ok()?.value? {
        pb::data_packet::Value::User(user) => user.payload.first_chunk().map(|bytes| u32::from_be_bytes(*bytes)),
        _ => None,
    };
    world.nodes[node].messages.iter().filter_map(|(_, _, data)| number(data)).collect()
}

#[test]
fn a_joining_client_gets_what_was_sent_meanwhile_without_a_hole() {
    for count in [5, 20] {
        let mut world = World::new(3, Network::sound(Duration::from_millis(50)));
        let sender = world.join_room(0, "ann", Vec::new(), true);
        let busy = |w: &World| !w.nodes.iter().all(|node| node.client.is_connected());
        assert!(world.run_while(Duration::from_secs(20), busy), "the clients connect");
        world.run_for(Duration::from_secs(1));
        let joining = world.join_room(0, "ben", Vec::new(), true);
        for number in 0..count {
            assert!(world.send_message(sender, "_reliable", &message(number, 10_000)));
            world.run_for(Duration::from_millis(5));
        }
        assert!(busy(&world), "still joining");
        world.run_for(Duration::from_secs(5));
        world.send_message(sender, "_reliable", &message(count, 4));
        world.run_for(Duration::from_secs(1));
        let numbers = numbers(&world, joining);
        let first = numbers.first().copied().unwrap_or(u32::MAX);
        assert_eq!(numbers, (first..=count).collect::<Vec<_>>());
        assert_eq!(first > 0, count as usize * 10_000 > DATA_BYTES_JOINING_MAX, "the oldest go where it is too much: {first}");
    }
}

#[test]
fn a_receiver_that_reads_nothing_is_ended_and_holds_nobody_up() {
    let mut world = World::new(9, Network::sound(Duration::from_millis(5)));
    let sender = world.join_room(0, "ann", Vec::new(), true);
    let [deaf, other] = ["ben", "cid"].map(|name| world.join_room(0, name, Vec::new(), false));
    let busy = |w: &World| !w.nodes.iter().all(|node| node.client.is_connected());
    assert!(world.run_while(Duration::from_secs(20), busy), "the clients connect");
    world.run_for(Duration::from_secs(1));
    world.nodes[deaf].set_deaf(true);
    let (mut sent, count) = (Vec::new(), DATA_BYTES_PER_SESSION_MAX / 60_000 + 20);
    for number in 0..count as u32 {
        sent.push(world.now);
        assert!(world.send_message(sender, "_reliable", &message(number, 60_000)), "{number}");
        world.run_for(Duration::from_millis(60));
    }
    world.run_for(Duration::from_secs(1));
    assert_eq!(numbers(&world, other), (0..count as u32).collect::<Vec<_>>());
    let late = world.nodes[other].messages.iter().zip(&sent).filter(|((at, ..), sent)| *at - **sent > Duration::from_millis(200));
    assert_eq!(late.count(), 0);
    let left = world.nodes[deaf].client.left.as_ref().map(|leave| leave.action());
    assert_eq!(left, Some(pb::leave_request::Action::Reconnect), "it begins anew");
    assert!(world.nodes[other].client.left.is_none() && world.nodes[sender].client.left.is_none());
}

#[test]
fn on_a_sound_network_a_burst_waits_for_nothing() {
    for (bytes, count) in [(100, 500), (1000, 200), (15_000, 10)] {
        let mut world = World::new(11, Network::sound(Duration::from_micros(100)));
        let sender = world.join_room(0, "ann", Vec::new(), true);
        let receiver = world.join_room(0, "ben", Vec::new(), false);
        let busy = |w: &World| !w.nodes.iter().all(|node| node.client.is_connected());
        assert!(world.run_while(Duration::from_secs(20), busy), "the clients connect");
        world.run_for(Duration::from_secs(1));
        let sent = world.now;
        for number in 0..count {
            let mut tries = 0;
            // the sender's own side is full at times
            while !world.send_message(sender, "_reliable", &message(number, bytes)) {
                world.run_for(Duration::from_micros(200));
                tries += 1;
                assert!(tries < 100, "{number}");
            }
        }
        world.run_for(Duration::from_secs(1));
        assert_eq!(numbers(&world, receiver), (0..count).collect::<Vec<_>>());
        let last = world.nodes[receiver].messages.last().map(|(at, ..)| *at - sent);
        assert!(last < Some(Duration::from_millis(20)), "{count} of {bytes} bytes: {last:?}");
    }
}
