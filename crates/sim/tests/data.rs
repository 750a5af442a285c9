//! Data messages keep media waiting never, and each other only in turn.

use sluicegate_contract::limit::DATA_BYTES_PER_TICK;
use sluicegate_sim::forwarding::Forwarding;

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
