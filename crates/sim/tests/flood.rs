//! Who floods the server with data messages harms himself: the event lane keeps its room, and everybody else is heard.

use std::time::Duration;

use bytes::Bytes;
use sluicegate_contract::command::DataChannel;
use sluicegate_contract::event::SessionEnd;
use sluicegate_contract::limit::{DATA_EVENTS_MAX, DATA_EVENTS_PER_SESSION_MAX};
use sluicegate_contract::{Command, Event, RoomKey, SessionKey};
use sluicegate_engine::Reason;
use sluicegate_proto::{Message as _, pb};
use sluicegate_sim::net::Network;
use sluicegate_sim::world::World;
use smallvec::smallvec;

const HOSTILE: usize = 20;
const ROUNDS: usize = 30;
const HONEST_MESSAGES: usize = 40;

fn message(number: usize) -> Vec<u8> {
    packet(number, 4, Vec::new())
}

fn packet(number: usize, bytes: usize, destination_identities: Vec<String>) -> Vec<u8> {
    let mut payload = (number as u32).to_be_bytes().to_vec();
    payload.resize(bytes, 7);
    let user = pb::UserPacket { payload, ..Default::default() };
    let value = Some(pb::data_packet::Value::User(user));
    pb::DataPacket { value, destination_identities, ..Default::default() }.encode_to_vec()
}

fn numbers(world: &World, node: usize, wanted: &str) -> Vec<usize> {
    let messages = world.nodes[node].messages.iter().filter(|(_, label, _)| label == wanted);
    let number = |data: &[u8]| match pb::DataPacket::decode(data).ok()?.value? {
        pb::data_packet::Value::User(user) => Some(u32::from_be_bytes(user.payload.try_into().ok()?) as usize),
        _ => None,
    };
    messages.filter_map(|(_, _, data)| number(data)).collect()
}

fn told(world: &World) -> usize {
    world.lane.iter().filter(|event| matches!(event, Event::Data { .. })).count()
}

/// A room of flooders, and another with two honest people.
fn world() -> (World, Vec<usize>, usize, usize) {
    let mut world = World::new(5, Network::sound(Duration::from_millis(1)));
    let other = world.add_room();
    let hostile: Vec<usize> = (0..HOSTILE).map(|at| world.join_room(0, &format!("hostile{at}"), Vec::new(), true)).collect();
    let sender = world.join_room(other, "ann", Vec::new(), true);
    let receiver = world.join_room(other, "ben", Vec::new(), true);
    let busy = |w: &World| !w.nodes.iter().all(|node| node.client.is_connected());
    assert!(world.run_while(Duration::from_secs(20), busy), "the clients connect");
    world.run_for(Duration::from_secs(1));
    (world, hostile, sender, receiver)
}

/// Each hostile client sends what its own side takes: the first two large messages, the others tiny ones. They are for nobody: the
/// flood upwards is what matters here.
fn flood(world: &mut World, hostile: &[usize], label: &str) {
    let now = world.now;
    for (order, at) in hostile.iter().enumerate() {
        let (count, bytes) = if order < 2 { (10, 15_000) } else { (20, 4) };
        let packet = packet(0, bytes, vec!["nobody".to_owned()]);
        for _ in 0..count {
            world.nodes[*at].client.send_message(now, label, &packet);
        }
    }
}

#[test]
fn floods_of_both_kinds_leave_the_lane_its_room() {
    let (mut world, hostile, sender, receiver) = world();
    world.is_stuck = true;
    let (lossy, reliable) = hostile.split_at(HOSTILE / 2);
    let mut most = 0;
    for round in 0..ROUNDS {
        flood(&mut world, lossy, "_lossy");
        flood(&mut world, reliable, "_reliable");
        for label in ["_reliable", "_lossy"] {
            world.send_message(sender, label, &message(round));
        }
        for _ in 0..10 {
            world.run_for(Duration::from_millis(2));
            most = most.max(told(&world));
        }
    }
    assert!(most <= DATA_EVENTS_MAX, "{most} events wait");
    assert!(most > HOSTILE / 2 * DATA_EVENTS_PER_SESSION_MAX, "the bound of all together was not reached: {most}");
    assert!(world.engines[0].meters().dropped_data > 100, "lossy messages are dropped");
    let ended = |event: &&Event| matches!(event, Event::SessionEnded { why: SessionEnd::Overrun, .. });
    let ended = world.lane.iter().filter(ended).count();
    assert!((1..=reliable.len()).contains(&ended), "{ended} reliable flooders were ended");
    world.is_stuck = false;
    world.run_for(Duration::from_secs(5));
    let all: Vec<usize> = (0..ROUNDS).collect();
    assert_eq!(numbers(&world, receiver, "_reliable"), all);
    assert_eq!(numbers(&world, receiver, "_lossy"), all);
    assert!(lossy.iter().all(|at| world.nodes[*at].client.left.is_none()), "who floods with lossy messages stays");
    assert_eq!(told(&world), 0);
}

#[test]
fn beside_a_flood_an_honest_sender_is_heard_at_once() {
    let (mut world, hostile, sender, receiver) = world();
    for number in 0..HONEST_MESSAGES {
        flood(&mut world, &hostile, if number % 2 == 0 { "_lossy" } else { "_reliable" });
        world.send_message(sender, "_reliable", &message(number));
        world.run_for(Duration::from_millis(10));
        assert!(told(&world) <= DATA_EVENTS_MAX);
    }
    world.run_for(Duration::from_millis(50));
    assert_eq!(numbers(&world, receiver, "_reliable"), (0..HONEST_MESSAGES).collect::<Vec<_>>());
}

#[test]
fn a_session_that_goes_takes_its_turn_with_it() {
    let (mut world, _, sender, receiver) = world();
    let session = SessionKey { room: RoomKey(2), index: 1 };
    let payload = Bytes::from(message(1));
    let send = Command::SendData { sessions: smallvec![session], channel: DataChannel::Reliable, payload };
    world.engines[0].handle_command(world.now, send);
    assert!(matches!(world.engines[0].poll_timeout(), Some((_, Reason::Data))));
    world.engines[0].handle_command(world.now, Command::RemoveSession { session });
    assert!(!matches!(world.engines[0].poll_timeout(), Some((_, Reason::Data))), "nobody has anything to send");
    world.leave(receiver);
    // its successor takes its place
    let next = world.join_room(1, "cid", Vec::new(), true);
    assert!(world.run_while(Duration::from_secs(20), |w| !w.nodes[next].client.is_connected()), "the successor connects");
    world.run_for(Duration::from_secs(1));
    world.send_message(sender, "_reliable", &message(99));
    world.run_for(Duration::from_secs(1));
    assert_eq!(numbers(&world, next, "_reliable"), [99]);
}
