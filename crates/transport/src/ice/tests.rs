use proptest::prelude::*;

use super::*;

/// RFC 5769 §2.1: a request of ICE with the user name `evtj:h6vY`; password below.
const REQUEST: &str = "00010058 2112a442 b7e7a701 bc34d686 fa87dfae 80220010 5354554e 20746573 7420636c 69656e74 \
    00240004 6e0001ff 80290008 932ff9b1 51263b36 00060009 6576746a 3a683676 59202020 00080014 9aeaa70c bfd8cb56 781ef2b5 \
    b2d3f249 c1b571a2 80280004 e57a3bcf";
const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

fn request() -> Vec<u8> {
    bytes(REQUEST)
}

fn bytes(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn a_binding_request_tells_whom_it_is_for() {
    let request = request();
    assert_eq!(stun_username_ufrag(&request), Some("evtj"));
    for end in 0..request.len() {
        let cut = stun_username_ufrag(&request[..end]);
        assert!(cut.is_none() || cut == Some("evtj"));
    }
    let mut response = request;
    response[0] = 1;
    assert_eq!(stun_username_ufrag(&response), None);
}

#[test]
fn only_the_right_password_verifies() {
    let request = request();
    assert_eq!(verify_check(&request, PASSWORD), Some(Check { use_candidate: false, priority: 0x6e00_01ff }));
    assert_eq!(verify_check(&request, "VOkJxbRl1RmTxUk/WvJxBT"), None);
    for at in 0..request.len() - 8 {
        let mut changed = request.clone();
        changed[at] ^= 0x40;
        assert_eq!(verify_check(&changed, PASSWORD), None, "byte {at}");
    }
}

#[test]
fn candidates_of_browsers() {
    let taken = |line: &str| remote_candidate(line).map(|candidate| candidate.map(|c| c.addr().to_string()));
    for (line, address) in [
        (
            "candidate:842163049 1 udp 1677729535 203.0.113.5 46154 typ srflx raddr 0.0.0.0 rport 0 generation 0 ufrag EEtu network-id 3 network-cost 10",
            Some("203.0.113.5:46154"),
        ),
        ("a=candidate:1 1 UDP 2122252543 192.168.1.4 51000 typ host", Some("192.168.1.4:51000")),
        ("candidate:3 1 udp 2122197247 2001:db8::1 60000 typ host generation 0 ufrag a", Some("[2001:db8::1]:60000")),
        ("candidate:4 1 udp 41885439 198.51.100.7 3478 typ relay raddr 203.0.113.5 rport 5000", Some("198.51.100.7:3478")),
        ("candidate:5 1 tcp 1518280447 192.168.1.4 9 typ host tcptype active generation 0", None),
        (
            "candidate:6 1 udp 2113937151 f6a1b2c3-0000-4000-8000-0123456789ab.local 50000 typ host generation 0 network-cost 999",
            None,
        ),
        ("candidate:7 1 udp 1 224.0.0.1 50000 typ host", None),
        ("candidate:7 1 udp 1 255.255.255.255 50000 typ host", None),
        ("candidate:7 1 udp 1 0.0.0.0 50000 typ host", None),
        ("candidate:7 1 udp 1 10.0.0.1 0 typ host", None),
        ("candidate:7 2 udp 1 10.0.0.1 5000 typ host", None),
        ("", None),
    ] {
        assert_eq!(taken(line).unwrap().as_deref(), address, "{line}");
    }
    assert!(taken("candidate:1 1 udp").is_err());
    assert!(taken(&"candidate:".repeat(100)).is_err());
}

/// RFC 5769 §2.2: the answer to it.
const RESPONSE: &str = "0101003c 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220 00200008 0001a147 \
    e112a643 00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7 80280004 c07d4c96";

#[test]
fn an_answer_names_its_check_and_is_authentic() {
    let (request, response) = (request(), bytes(RESPONSE));
    let own = own_check(&request).unwrap();
    assert!(!own.nominates && own.id[..4] == [0xb7, 0xe7, 0xa7, 0x01]);
    assert_eq!(answered_check(&response), Some(own.id));
    assert!(verify_answer(&response, PASSWORD) && !verify_answer(&response, "another"));
    assert!(own_check(&response).is_none() && answered_check(&request).is_none() && !verify_answer(&request, PASSWORD));
    // the controlling end's: USE-CANDIDATE has no value
    let mut nominating = request[..20].to_vec();
    nominating.extend_from_slice(&[0x00, 0x25, 0, 0]);
    assert_eq!(own_check(&nominating), Some(OwnCheck { id: own.id, nominates: true }));
    let mut error = response;
    error[1] = 0x11;
    assert_eq!(answered_check(&error), None);
    for end in 0..20 {
        assert!(own_check(&request[..end]).is_none());
    }
}

#[test]
fn the_addresses_of_a_peer_are_bounded() {
    const UDP: Protocol = Protocol::Udp;
    let address = |n: usize| SocketAddr::from(([10, 0, (n >> 8) as u8, n as u8], 5000));
    let is_told =
        |admission: Admission, n: usize| matches!(admission, Admission::Tell(candidate) if candidate.addr() == address(n));
    let mut addresses = RemoteAddresses::default();
    assert!(is_told(addresses.signal(UDP, address(0), 9), 0));
    assert_eq!(addresses.signal(UDP, address(0), 9), Admission::Known);
    assert_eq!(addresses.meet(UDP, address(0), 9), Admission::Known);
    assert_eq!(addresses.meet(Protocol::Tcp, address(0), 9), Admission::Known, "str0m makes it itself");
    for n in 1..REMOTE_CANDIDATES_MAX {
        assert!(is_told(addresses.signal(UDP, address(n), 9), n));
    }
    assert_eq!(addresses.signal(UDP, address(900), 9), Admission::TooMany);
    assert_eq!(addresses.restart().len(), REMOTE_CANDIDATES_MAX + 1);
    assert_eq!(addresses.restart().len(), 0);
    assert!(is_told(addresses.meet(UDP, address(3), 9), 3), "it was withdrawn");
    assert_eq!(addresses.meet(UDP, address(3), 9), Admission::Known);
    assert!(is_told(addresses.signal(UDP, address(3), 9), 3));
    let met = (1000..).take_while(|n| addresses.meet(UDP, address(*n), 9) != Admission::TooMany).count();
    assert_eq!(met, REMOTE_ADDRESSES_MAX - REMOTE_CANDIDATES_MAX - 1);
    assert_eq!(addresses.meet(UDP, address(3), 9), Admission::Known);
    assert!(is_told(addresses.signal(UDP, address(4), 9), 4), "what was known is no further one");
    assert_eq!(addresses.signal(UDP, address(901), 9), Admission::TooMany);
}

#[test]
fn a_user_name_tells_the_worker() {
    for worker in [0, 1, 300, u16::MAX] {
        let ours = credentials(worker);
        assert_eq!(worker_of(&ours.ufrag), Some(worker), "{}", ours.ufrag);
        assert!(ours.ufrag.len() >= 12 && ours.ufrag.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(ours.ufrag, credentials(worker).ufrag);
    }
    assert_eq!([worker_of(""), worker_of("00"), worker_of("+001x"), worker_of("äöxx")], [None; 4]);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let _ = stun_username_ufrag(&bytes);
        let _ = verify_check(&bytes, "password");
        if let Some(head) = bytes.get_mut(..8) {
            head.copy_from_slice(&[0, 1, 0, 100, 0x21, 0x12, 0xA4, 0x42]);
            let _ = stun_username_ufrag(&bytes);
            let _ = verify_check(&bytes, "password");
            let _ = own_check(&bytes);
            if let Some(kind) = bytes.get_mut(..2) {
                kind.copy_from_slice(&[1, 1]);
            }
            let _ = (answered_check(&bytes), verify_answer(&bytes, "password"));
        }
    }

    #[test]
    fn arbitrary_candidates_never_panic(line in ".{0,100}", words in prop::collection::vec("[a-z0-9:.]{1,12}", 0..14)) {
        let _ = remote_candidate(&line);
        let _ = remote_candidate(&format!("candidate:1 1 udp 99 {}", words.join(" ")));
        let _ = remote_candidate(&format!("candidate:{line}"));
    }
}
