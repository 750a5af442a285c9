use proptest::prelude::*;
use sluicegate_rtp::extension::ExtensionMap;

use super::*;

const MS: Duration = Duration::from_millis(1);

/// A packet of the primary stream: VP8, the first byte of its frame says whether it is a key frame.
fn rtp(sequence: u16, timestamp: u32, key_frame: bool) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend([0, 0, 0, 7, 0x10, u8::from(!key_frame), 0, 0, 0x9d, 0x01, 0x2a, 0, 1, 0, 1]);
    packet
}

struct Scene {
    receiver: Receiver,
    publisher: PublisherClock,
}

impl Scene {
    fn new() -> Self {
        let config = ReceiverConfig { kind: MediaKind::Video, clock_rate: 90_000, screen_share: false, nack: true };
        let mut receiver = Receiver::new(config);
        receiver.bind_layer(Layer(0), 7);
        Self { receiver, publisher: PublisherClock::default() }
    }

    fn handle(&mut self, now: Instant, bytes: &[u8], rtx: bool) -> Option<Received> {
        let header = RtpHeader::parse(bytes).ok()?;
        let extensions = Extensions::parse(&ExtensionMap::default(), bytes, &header);
        let opened = Opened {
            layer: Layer(0),
            codec: Codec::Vp8,
            header: &header,
            extensions: &extensions,
            publisher: &self.publisher,
            plaintext: bytes,
        };
        if rtx { self.receiver.handle_rtx(now, 96, &opened) } else { self.receiver.handle_rtp(now, &opened) }
    }

    fn block(&mut self, now: Instant) -> ReportBlock {
        let mut blocks = Vec::new();
        self.receiver.report_blocks(now, |block| blocks.push(block));
        blocks[0]
    }
}

#[test]
fn missing_ones_are_asked_for_and_their_repairs_taken_once() {
    let now = Instant::now();
    let mut scene = Scene::new();
    assert!(scene.handle(now, &rtp(10, 0, true), false).unwrap().key_frame);
    assert!(scene.handle(now, &rtp(12, 3000, false), false).is_some());
    scene.receiver.handle_timeout(now + 15 * MS);
    let Some(ReceiverOutput::Nack { ssrc: 7, sequences }) = scene.receiver.poll_output() else { panic!("nothing is asked for") };
    assert_eq!(sequences.as_slice(), [11]);
    let mut repair = rtp(900, 1500, false);
    repair.splice(12..12, 11u16.to_be_bytes());
    let repaired = scene.handle(now, &repair, true).unwrap();
    assert_eq!((repaired.ext_seq as u16, repaired.timestamp), (11, 1500));
    assert!(scene.handle(now, &repair, true).is_none(), "a second repair");
    assert!(scene.handle(now, &rtp(11, 1500, false), false).is_none(), "the original, late");
    assert_eq!(scene.receiver.packet(Layer(0), repaired.ext_seq).unwrap().payload, &rtp(0, 0, false)[12..]);
    let block = scene.block(now);
    assert_eq!((block.cumulative_lost, block.highest_sequence as u16), (0, 12));
}

#[test]
fn a_jump_of_the_source_is_no_loss() {
    let now = Instant::now();
    let mut scene = Scene::new();
    let first = scene.handle(now, &rtp(65_000, 100, true), false).unwrap();
    assert!(!first.restarted);
    // a real gap, over the wrap
    let after = scene.handle(now, &rtp(500, 200, false), false).unwrap();
    assert!(!after.restarted && after.ext_seq - first.ext_seq == 1036);
    assert_eq!(scene.block(now).cumulative_lost, 1035);
    let jumped = scene.handle(now, &rtp(20_000, 4_000_000_000, false), false).unwrap();
    assert!(jumped.restarted && jumped.ext_seq > after.ext_seq && jumped.ext_seq as u16 == 20_000);
    assert!(!scene.handle(now, &rtp(20_001, 4_000_003_000, true), false).unwrap().restarted);
    assert_eq!(scene.block(now).cumulative_lost, 0);
    assert!(!scene.receiver.has_business(), "nothing is missing");
}

#[test]
fn a_layer_lives_as_long_as_its_packets_come() {
    let now = Instant::now();
    let mut scene = Scene::new();
    assert_eq!(scene.receiver.target(now), None);
    scene.receiver.bind_layer(Layer(2), 9);
    scene.handle(now, &rtp(1, 0, true), false);
    assert_eq!(scene.receiver.target(now + Duration::from_millis(1999)), Some(Layer(0)));
    assert_eq!(scene.receiver.target(now + Duration::from_secs(2)), None);
}

proptest! {
    /// Whatever a publisher sends under valid keys: nothing panics, and what is taken can be read again.
    #[test]
    fn arbitrary_packets(packets in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..80), any::<bool>(), 0u64..50), 0..60)) {
        let mut now = Instant::now();
        let mut scene = Scene::new();
        for (mut bytes, rtx, ms) in packets {
            now += Duration::from_millis(ms);
            if let Some(first) = bytes.first_mut() {
                *first = *first & 0x3F | 0x80;
            }
            if let Some(received) = scene.handle(now, &bytes, rtx) {
                prop_assert!(scene.receiver.packet(Layer(0), received.ext_seq).is_some());
            }
            scene.receiver.handle_timeout(now);
            while scene.receiver.poll_output().is_some() {}
            scene.receiver.report_blocks(now, |_| {});
        }
    }
}

#[test]
fn another_source_of_a_layer_counts_on_and_is_a_new_start() {
    let (mut scene, now) = (Scene::new(), Instant::now());
    let last = scene.handle(now, &rtp(60_000, 1000, true), false).unwrap();
    scene.receiver.bind_layer(Layer(0), 8);
    let first = scene.handle(now + MS, &rtp(5, 77, true), false).unwrap();
    assert!(first.restarted && first.ext_seq > last.ext_seq && first.ext_seq as u16 == 5);
    let next = scene.handle(now + MS * 2, &rtp(6, 77, false), false).unwrap();
    assert!(!next.restarted && next.ext_seq == first.ext_seq + 1);
}
