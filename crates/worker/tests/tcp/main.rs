//! ICE over TCP at the sockets: who is let in, whose he is, and what ends it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::time::{Duration, Instant};

use support::{Node, check};

#[test]
fn a_check_reaches_its_worker_whoever_accepted_it() {
    let node = Node::start();
    for worker in [0, 1] {
        let (_, credentials) = node.add_session(worker);
        let candidate = format!(" 127.0.0.1 {} typ host tcptype passive", node.tcp.port());
        assert!(credentials.offer.contains(&candidate), "{}", credentials.offer);
        let mut client = node.connect();
        client.send_framed(&check(&credentials.ufrag, &credentials.password));
        assert!(client.is_answered(), "worker {worker}");
        // a second one in two pieces, on the same connection
        let again = check(&credentials.ufrag, &credentials.password);
        client.send(&(again.len() as u16).to_be_bytes());
        client.send(&again[..30]);
        client.send(&again[30..]);
        assert!(client.is_answered());
        node.wait_for_meters(worker as u16, |meters| meters.live_addresses == 1);
    }
}

#[test]
fn either_side_may_end_it_and_the_path_is_forgotten() {
    let node = Node::start();
    let (session, credentials) = node.add_session(1);
    let mut client = node.connect();
    client.send_framed(&check(&credentials.ufrag, &credentials.password));
    assert!(client.is_answered());
    node.wait_for_meters(1, |meters| meters.live_addresses == 1);
    drop(client);
    node.wait_for_meters(1, |meters| meters.live_addresses == 0);
    let mut client = node.connect();
    client.send_framed(&check(&credentials.ufrag, &credentials.password));
    assert!(client.is_answered());
    node.remove_session(1, session);
    while client.receive().is_some() {}
    node.wait_for_meters(1, |meters| meters.live_addresses == 0 && meters.live_sessions == 0);
}

#[test]
fn who_cannot_show_whose_he_is_is_turned_away() {
    let node = Node::start();
    let (_, credentials) = node.add_session(0);
    let (ufrag, password) = (credentials.ufrag.as_str(), credentials.password.as_str());
    let wrong_password = check(ufrag, "wrong");
    let unknown = check("0000nobodyknowsme", password);
    let of_no_worker = check("00ffxxxxxxxxxxxx", password);
    let no_check = b"GET / HTTP/1.1\r\n\r\n".to_vec();
    for packet in [wrong_password, unknown, of_no_worker, no_check, Vec::new(), vec![0x16; 500]] {
        let mut client = node.connect();
        client.send_framed(&packet);
        assert!(client.is_turned_away(), "{packet:?}");
    }
    // a longer packet than any check
    let mut client = node.connect();
    client.send(&[0xFF, 0xFF, 0, 1]);
    assert!(client.is_turned_away());
    // and one who says nothing: in time
    let (begun, mut client) = (Instant::now(), node.connect());
    client.send(&[0]);
    assert!(client.is_turned_away());
    assert!((Duration::from_secs(4)..Duration::from_secs(8)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[test]
fn strangers_of_one_source_are_few() {
    let node = Node::start();
    let (_, credentials) = node.add_session(0);
    let mut waiting: Vec<_> = (0..16).map(|_| node.connect()).collect();
    assert!(node.connect().is_turned_away());
    // those that were there before are unharmed, and leave room once they are known
    waiting[3].send_framed(&check(&credentials.ufrag, &credentials.password));
    assert!(waiting[3].is_answered());
    let mut client = node.connect();
    client.send_framed(&check(&credentials.ufrag, &credentials.password));
    assert!(client.is_answered());
}
