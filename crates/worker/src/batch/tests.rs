use super::*;

fn to(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// (datagrams, bytes) of each message.
fn runs(pushes: &[(u16, usize)]) -> Vec<(u16, u32)> {
    let mut batch = Batch::new();
    for &(port, length) in pushes {
        batch.push(to(port), length, true);
    }
    batch.messages().iter().map(|message| (message.datagrams, message.length)).collect()
}

#[test]
fn a_run_is_of_one_destination_and_one_size_and_ends_with_a_shorter_one() {
    assert_eq!(runs(&[(1, 1200), (1, 1200), (1, 300), (1, 300)]), [(3, 2700), (1, 300)]);
    assert_eq!(runs(&[(1, 1200), (1, 1201)]), [(1, 1200), (1, 1201)]);
    assert_eq!(runs(&[(1, 100), (2, 100), (2, 100)]), [(1, 100), (2, 200)]);
    assert_eq!(runs(&[(1, 1500), (1, 1500)]), [(1, 1500), (1, 1500)], "no longer than a segment may be");
}

#[test]
fn a_run_is_bounded() {
    let many = vec![(1, 1000); 70];
    assert_eq!(runs(&many), [(32, 32_000), (32, 32_000), (6, 6000)]);
}

#[test]
fn nothing_is_joined_where_the_kernel_cannot_split() {
    let mut batch = Batch::new();
    batch.push(to(1), 100, false);
    batch.push(to(1), 100, false);
    assert_eq!(batch.messages().len(), 2);
    assert_eq!(batch.addresses().len(), 2);
}

#[test]
fn a_batch_says_when_it_is_full() {
    let mut batch = Batch::new();
    for port in 0..MESSAGES_MAX as u16 {
        assert!(!batch.is_full());
        batch.push(to(port), 10, true);
    }
    assert!(batch.is_full());
    batch.clear();
    assert!(!batch.is_full() && batch.messages().is_empty());
    let mut pushed = 0;
    while !batch.is_full() {
        batch.room()[..DATAGRAM_MAX].fill(7);
        batch.push(to(1), 1300, true);
        pushed += 1;
    }
    assert_eq!(pushed, 1 + (BATCH_BYTES - DATAGRAM_MAX) / 1300);
    assert!(batch.messages().iter().all(|message| batch.bytes(message).len() == message.length as usize));
}

#[test]
fn one_call_splits_by_one_size() {
    let message = |datagrams: u16, segment: u16| Message { begin: 0, length: u32::from(datagrams * segment), segment, datagrams };
    let (alone, run) = (|length| message(1, length), |size| message(3, size));
    assert_eq!(one_call(&[alone(80), alone(1400)]), (2, None));
    assert_eq!(one_call(&[run(1200), alone(300), run(1200), alone(1200)]), (4, Some(1200)));
    assert_eq!(one_call(&[run(1200), alone(1201)]), (1, Some(1200)));
    assert_eq!(one_call(&[alone(1201), run(1200)]), (1, None));
    assert_eq!(one_call(&[run(1200), run(1100)]), (1, Some(1200)));
    assert_eq!(one_call(&[alone(80), run(1200)]), (2, Some(1200)));
}
