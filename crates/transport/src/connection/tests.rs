use std::time::Duration;

use str0m::ice::StunMessage;

use super::*;
use crate::ice::MAPPED_ADDRESSES_MAX;

struct Pair {
    now: Instant,
    lite: bool,
    /// What end 0 has for an address, as seen from end 1.
    seen: SocketAddr,
    ends: [Connection; 2],
    got: [Vec<Output>; 2],
    /// Where end 1 sent USE-CANDIDATE.
    nominated: Vec<SocketAddr>,
}

const ADDRESSES: [SocketAddr; 2] = [
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), 5000),
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)), 7882),
];

impl Pair {
    /// End 0 is a client: it nominates and is the DTLS client.
    fn new(ice_lite: bool) -> Self {
        Self::controlled_by(0, ice_lite)
    }

    fn controlled_by(controlling: usize, ice_lite: bool) -> Self {
        let now = Instant::now();
        let end = |index: usize, certificate: &Certificate| {
            Connection::new(
                now,
                ConnectionConfig {
                    certificate,
                    candidates: &[LocalAddress::udp(ADDRESSES[index])],
                    worker: 0,
                    ice_lite: ice_lite && index == 1,
                    controlling: index == controlling && !(ice_lite && index == 1),
                },
            )
        };
        let certificates = [Certificate::generate().unwrap(), Certificate::generate().unwrap()];
        let ends = [end(0, &certificates[0]), end(1, &certificates[1])];
        Self { now, lite: ice_lite, seen: ADDRESSES[0], ends, got: [Vec::new(), Vec::new()], nominated: Vec::new() }
    }

    fn remote(&self, index: usize, dtls_active: bool) -> Remote {
        let end = &self.ends[index];
        let (algorithm, digits) = end.fingerprint().split_once(' ').unwrap();
        let bytes = digits.split(':').map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
        let fingerprint = Fingerprint { algorithm: algorithm.to_owned(), bytes };
        Remote {
            ufrag: end.local_ufrag().into(),
            pwd: end.local_password().into(),
            fingerprint,
            dtls_active,
            ice_lite: self.lite && index == 1,
        }
    }

    fn start(&mut self) {
        let (server, client) = (self.remote(1, true), self.remote(0, false));
        self.start_with(server, client);
    }

    fn start_with(&mut self, server: Remote, client: Remote) {
        self.ends[0].start(self.now, &server);
        self.ends[1].start(self.now, &client);
        self.offer_candidates();
    }

    fn offer_candidates(&mut self) {
        for (index, address) in [(0, ADDRESSES[1]), (1, ADDRESSES[0])] {
            let line = format!("candidate:1 1 udp 2130706431 {} {} typ host", address.ip(), address.port());
            self.ends[index].add_remote_candidate(&line).unwrap();
        }
    }

    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            for index in [0, 1] {
                while let Some(output) = self.ends[index].poll_output() {
                    if let Output::Transmit { source, destination, contents, .. } = output {
                        if index == 1 {
                            self.nominated.extend(crate::ice::own_check(&contents).filter(|c| c.nominates).map(|_| destination));
                        }
                        // end 0 sends from where it is seen, and what goes elsewhere does not reach it
                        let (source, destination) = match index {
                            0 => (self.seen, destination),
                            _ if destination == self.seen => (source, ADDRESSES[0]),
                            _ => continue,
                        };
                        self.ends[1 - index].handle_datagram(self.now, source, LocalAddress::udp(destination), &contents);
                    } else {
                        self.got[index].push(output);
                    }
                }
            }
            self.now += Duration::from_millis(5);
            for end in &mut self.ends {
                if end.poll_timeout().is_some_and(|at| at <= self.now) {
                    end.handle_timeout(self.now);
                }
            }
        }
    }

    /// New credentials on both ends, offered by end `by`.
    fn restart(&mut self, by: usize) {
        let prepared = self.ends[by].prepare_restart();
        let (ufrag, pwd) = (prepared.0.to_owned(), prepared.1.to_owned());
        self.ends[1 - by].restart_ice(self.now, &ufrag, &pwd);
        let answer = self.remote(1 - by, false);
        self.ends[by].restart_ice(self.now, &answer.ufrag, &answer.pwd);
        self.offer_candidates();
    }

    fn data(&self, index: usize) -> Vec<Vec<u8>> {
        let data = |output: &Output| {
            if let Output::Data { data, .. } = output { Some(data.clone()) } else { None }
        };
        self.got[index].iter().filter_map(data).collect()
    }

    fn channel(&self, index: usize, label: &str) -> ChannelId {
        let found = self.got[index].iter().find_map(|output| match output {
            Output::ChannelOpen { id, label: known, .. } if known == label => Some(*id),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("end {index} has no open channel {label}: {:?}", self.got[index]))
    }
}

#[test]
fn a_client_connects_and_both_ends_have_the_same_keys() {
    for ice_lite in [false, true] {
        let mut pair = Pair::new(ice_lite);
        pair.start();
        pair.run(Duration::from_secs(2));
        for index in [0, 1] {
            assert!(pair.got[index].iter().any(|o| matches!(o, Output::Connected)), "end {index}, lite {ice_lite}");
            assert_eq!(pair.ends[index].profile(), Some(Profile::AeadAes256Gcm));
        }
        let mut packet = vec![0u8; 64];
        packet[..12].copy_from_slice(&[0x80, 96, 0, 7, 0, 0, 0, 1, 0, 0, 0, 9]);
        for (from, to) in [(0, 1), (1, 0)] {
            let mut copy = packet.clone();
            let sealed = pair.ends[from].sealer().unwrap().seal_rtp(9, 7, &mut copy, 12, 40).unwrap();
            let opened = pair.ends[to].opener().unwrap().open_rtp(9, 7, 12, &mut copy[..sealed]).unwrap();
            assert_eq!((opened.len, &copy[..40]), (40, &packet[..40]));
        }
    }
}

#[test]
fn channels_open_from_both_sides_and_survive_an_ice_restart() {
    let mut pair = Pair::new(true);
    pair.start();
    pair.ends[1].create_data_channel("_reliable", true, None);
    pair.ends[1].create_data_channel("_lossy", false, Some(0));
    pair.ends[0].create_data_channel("_data_track", false, Some(0));
    pair.run(Duration::from_secs(2));
    let now = pair.now;
    let (ours, theirs) = (pair.channel(1, "_reliable"), pair.channel(0, "_reliable"));
    assert_eq!(pair.ends[1].send_data(now, ours, true, b"down"), Sent::Queued);
    assert_eq!(pair.ends[0].send_data(now, theirs, true, b"up"), Sent::Queued);
    pair.channel(1, "_data_track");
    pair.run(Duration::from_secs(1));
    assert_eq!((pair.data(0), pair.data(1)), (vec![b"down".to_vec()], vec![b"up".to_vec()]));

    let before = [0, 1].map(|index| pair.ends[index].local_ufrag().to_owned());
    pair.restart(0);
    assert!([0, 1].iter().all(|index| pair.ends[*index].local_ufrag() != before[*index]));
    pair.run(Duration::from_secs(3));
    let now = pair.now;
    assert_eq!(pair.ends[1].send_data(now, ours, true, b"after"), Sent::Queued);
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.data(0).last(), Some(&b"after".to_vec()));
}

/// What end 0 answers to a check of end 1 that it says came from `mapped`.
fn answer(pair: &Pair, check: &[u8], mapped: SocketAddr) -> Vec<u8> {
    let id = StunMessage::parse(check).unwrap().trans_id();
    let mut bytes = vec![0; 200];
    let password = pair.ends[0].local_password().as_bytes();
    let length = StunMessage::binding_reply(id, mapped).to_bytes(Some(password), &mut bytes, crate::ice::sha1_hmac).unwrap();
    bytes.truncate(length);
    bytes
}

#[test]
fn an_answer_counts_once_and_its_addresses_are_few() {
    let mut pair = Pair::controlled_by(1, false);
    pair.start();
    pair.run(Duration::from_secs(1));
    for port in 7000..7012 {
        pair.ends[1].add_remote_candidate(&format!("candidate:1 1 udp 9 10.0.0.9 {port} typ host")).unwrap();
    }
    let mut checks = Vec::new();
    for _ in 0..50 {
        pair.now += Duration::from_millis(100);
        pair.ends[1].handle_timeout(pair.now);
        while let Some(output) = pair.ends[1].poll_output() {
            let Output::Transmit { contents, .. } = output else { continue };
            checks.extend(crate::ice::own_check(&contents).map(|_| contents));
        }
    }
    assert!(checks.len() >= 12, "{} checks", checks.len());
    let seen_as = |n: u16| SocketAddr::new(ADDRESSES[1].ip(), 9000 + n);
    let admits = |pair: &mut Pair, datagram: &[u8]| pair.ends[1].admits(Carrier::Udp, ADDRESSES[0], datagram);
    let first = answer(&pair, &checks[0], seen_as(0));
    let mut forged = first.clone();
    forged[30] ^= 1;
    assert!(!admits(&mut pair, &forged), "not authentic");
    assert!(admits(&mut pair, &first), "which costs the peer's own answer nothing");
    let again = answer(&pair, &checks[0], seen_as(1));
    assert!(!admits(&mut pair, &again), "answered before");
    let mut stranger = checks[0].clone();
    stranger[12] ^= 1;
    let stranger = answer(&pair, &stranger, seen_as(0));
    assert!(!admits(&mut pair, &stranger), "nobody asked that");
    for (n, check) in (1..).zip(&checks[1..10]) {
        let answer = answer(&pair, check, seen_as(n));
        assert_eq!(admits(&mut pair, &answer), usize::from(n) < MAPPED_ADDRESSES_MAX, "address {n}");
    }
    for (check, known) in checks[10..12].iter().zip([seen_as(3), ADDRESSES[1]]) {
        let answer = answer(&pair, check, known);
        assert!(admits(&mut pair, &answer), "known, or our own");
    }
    let mut conflict = first;
    conflict[1] = 0x11;
    assert!(admits(&mut pair, &conflict), "str0m judges errors itself");
}

/// How long a controlling end may take from the restart to its next nomination: a check there and back, and the nomination.
const NOMINATED_AFTER_MAX: Duration = Duration::from_millis(300);

#[test]
fn who_offers_nominates_the_path_that_works_after_a_restart() {
    for moves in [false, true] {
        let mut pair = Pair::controlled_by(1, false);
        pair.start();
        pair.run(Duration::from_secs(2));
        assert_eq!(pair.nominated.first(), Some(&ADDRESSES[0]));
        for round in 0..3 {
            if moves {
                pair.seen.set_port(6000 + round);
            }
            pair.nominated.clear();
            pair.restart(1);
            pair.run(NOMINATED_AFTER_MAX);
            assert_eq!(pair.nominated.first(), Some(&pair.seen), "round {round}, moves {moves}");
            pair.run(Duration::from_secs(1));
        }
        // back to an address of before the last restart
        pair.seen = ADDRESSES[0];
        pair.restart(1);
        pair.run(NOMINATED_AFTER_MAX);
        assert_eq!(pair.nominated.last(), Some(&ADDRESSES[0]));
    }
}

#[test]
fn a_full_end_nominates_for_a_lite_one_that_offered() {
    let mut pair = Pair::controlled_by(1, true);
    pair.start();
    pair.run(Duration::from_secs(2));
    assert!([0, 1].iter().all(|index| pair.got[*index].iter().any(|output| matches!(output, Output::Connected))));
}

#[test]
fn a_certificate_with_another_fingerprint_is_refused() {
    let mut pair = Pair::new(true);
    let (server, mut client) = (pair.remote(1, true), pair.remote(0, false));
    client.fingerprint.bytes[0] ^= 1;
    pair.start_with(server, client);
    pair.run(Duration::from_secs(3));
    assert!(pair.got[1].iter().any(|o| matches!(o, Output::Failed(_))), "{:?}", pair.got[1]);
    assert!(!pair.got[1].iter().any(|o| matches!(o, Output::Connected)));
}
