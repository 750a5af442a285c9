use std::net::SocketAddr;

use super::*;
use crate::connection::Output;

fn transport(role: Role, addresses: &[LocalAddress], worker: u16) -> Transport {
    let config = TransportConfig {
        role,
        single_pc: false,
        ice_lite: false,
        certificate: &Certificate::generate().unwrap(),
        candidates: addresses,
        worker,
        publish_codecs: &Codec::ALL,
        subscribe_codecs: &Codec::ALL,
        session_id: 1,
        first_ssrc: 1,
    };
    Transport::new(Instant::now(), config)
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

/// Server and client, as after the first description.
fn connected() -> (Transport, Transport) {
    let addresses = [LocalAddress::udp(address(7882)), LocalAddress::tcp(address(7881))];
    let mut server = transport(Role::Offer, &addresses, 0x2a);
    let mut client = transport(Role::Answer, &[LocalAddress::udp(address(5000))], 0);
    server.negotiation.want_data();
    negotiate(&mut server, &mut client);
    (server, client)
}

fn negotiate(server: &mut Transport, client: &mut Transport) -> String {
    let offer = server.negotiation.create_offer().unwrap();
    let answer = client.accept_offer(Instant::now(), &offer, |_| None).unwrap();
    server.accept_answer(Instant::now(), &answer).unwrap();
    offer
}

fn ufrag(sdp: &str) -> &str {
    sdp.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).unwrap()
}

#[test]
fn an_offered_restart_counts_with_its_answer() {
    let (mut server, mut client) = connected();
    let ends = |server: &Transport, client: &Transport| {
        assert_eq!(server.connection.remote_ufrag(), client.connection.local_ufrag());
        assert_eq!(client.connection.remote_ufrag(), server.connection.local_ufrag());
        (server.connection.local_ufrag().to_owned(), client.connection.local_ufrag().to_owned())
    };
    let before = ends(&server, &client);
    assert!(server.restart_ice());
    let lost = server.negotiation.create_offer().unwrap();
    assert_eq!(server.connection.local_ufrag(), before.0, "the old one serves until the answer comes");
    assert!(ufrag(&lost) != before.0 && ufrag(&lost) == server.local_ufrag());
    // the client comes back once more, before it has answered
    assert!(server.restart_ice());
    let offer = negotiate(&mut server, &mut client);
    let after = ends(&server, &client);
    assert_eq!(ufrag(&offer), after.0);
    assert!(ufrag(&offer) != ufrag(&lost) && after.0 != before.0 && after.1 != before.1);
    assert_eq!(crate::ice::worker_of(&after.0), Some(0x2a));
    // what follows is no restart
    negotiate(&mut server, &mut client);
    assert_eq!(ends(&server, &client), after);
    assert!(!server.connection.is_restarting() && !server.negotiation.needs_offer());
}

/// RFC 8445 §6.1.1: of two full ends, the one that made the first offer is the controlling one.
#[test]
fn who_offers_first_is_controlling() {
    const CONTROLLED: [u8; 2] = [0x80, 0x29];
    const CONTROLLING: [u8; 2] = [0x80, 0x2a];
    let (mut server, mut client) = connected();
    for (end, says, not) in [(&mut server, CONTROLLING, CONTROLLED), (&mut client, CONTROLLED, CONTROLLING)] {
        let now = Instant::now();
        end.connection.handle_timeout(now);
        end.connection.handle_timeout(now + std::time::Duration::from_millis(100));
        let checks: Vec<Vec<u8>> = std::iter::from_fn(|| end.connection.poll_output())
            .filter_map(|output| if let Output::Transmit { contents, .. } = output { Some(contents) } else { None })
            .filter(|contents| crate::ice::own_check(contents).is_some())
            .collect();
        assert!(!checks.is_empty());
        for check in checks {
            let has = |kind: [u8; 2]| check.chunks(4).any(|word| word == [kind[0], kind[1], 0, 8]);
            assert!(has(says) && !has(not));
        }
    }
}

#[test]
fn before_the_first_answer_there_is_nothing_to_restart() {
    let mut server = transport(Role::Offer, &[LocalAddress::udp(address(7882))], 0);
    server.negotiation.want_data();
    let first = server.negotiation.create_offer().unwrap();
    assert!(server.restart_ice());
    assert_eq!(ufrag(&server.negotiation.create_offer().unwrap()), ufrag(&first));
}

#[test]
fn who_is_told_of_tcp_alone_is_connected_so() {
    let (mut server, mut client) = connected();
    let kinds = |offer: &str| (offer.contains(" udp "), offer.contains(" tcp "));
    server.tell_addresses(&[LocalAddress::tcp(address(7881))]);
    assert!(server.restart_ice());
    assert_eq!(kinds(&negotiate(&mut server, &mut client)), (false, true));
    server.tell_addresses(&[LocalAddress::udp(address(7882)), LocalAddress::tcp(address(7881))]);
    assert_eq!(kinds(&negotiate(&mut server, &mut client)), (true, true));
}
