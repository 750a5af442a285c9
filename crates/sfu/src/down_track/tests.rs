use proptest::prelude::*;

use super::*;

fn config(kind: MediaKind) -> DownTrackConfig {
    DownTrackConfig { kind, clock_rate: 90_000, ssrc: 1, first_sequence: 0xFFFF, first_rtx_sequence: 0xFFFF }
}

fn packet(start: Instant, layer: u8, ext_seq: u64, ms: u64, key_frame: bool) -> Received {
    Received {
        layer: Layer(layer),
        ext_seq,
        timestamp: (u64::from(layer) * 1_000_000 + ms * 90) as u32,
        marker: true,
        key_frame,
        restarted: false,
        empty: false,
        media_time: start + Duration::from_millis(ms),
        payload_len: 100,
        vp8: None,
    }
}

fn sent(forwarding: Forwarding) -> Rewritten {
    match forwarding {
        Forwarding::Send(rewritten) => rewritten,
        Forwarding::Drop => panic!("dropped"),
    }
}

#[test]
fn a_switch_of_layers_keeps_numbers_and_time_running() {
    let start = Instant::now();
    let mut track = DownTrack::new(config(MediaKind::Video));
    let mut forward = |target: u8, p: Received| track.forward(start, Layer(target), &p);
    assert_eq!(forward(0, packet(start, 0, 70_000, 0, false)), Forwarding::Drop, "no key frame yet");
    let first = sent(forward(0, packet(start, 0, 70_001, 33, true)));
    assert!(first.ext_seq < 1 << 15);
    assert_eq!(first.timestamp, 33 * 90, "the first packet keeps its time");
    assert_eq!(forward(0, packet(start, 1, 90_000, 40, true)), Forwarding::Drop, "not the wanted layer");
    assert_eq!(sent(forward(1, packet(start, 0, 70_002, 66, false))).ext_seq, first.ext_seq + 1, "still the old layer");
    let switched = sent(forward(1, packet(start, 1, 90_005, 100, true)));
    assert_eq!((switched.ext_seq, switched.timestamp), (first.ext_seq + 2, 100 * 90));
    assert_eq!(forward(1, packet(start, 0, 70_003, 133, false)), Forwarding::Drop);
    assert_eq!(sent(forward(1, packet(start, 1, 90_006, 133, false))).timestamp, 133 * 90);
}

#[test]
fn after_a_pause_sound_goes_on_without_a_hole() {
    let start = Instant::now();
    let mut track = DownTrack::new(config(MediaKind::Audio));
    let a = sent(track.forward(start, Layer(0), &packet(start, 0, 70_000, 0, false)));
    track.pause();
    let b = sent(track.forward(start, Layer(0), &packet(start, 0, 75_000, 10_000, false)));
    assert_eq!((b.ext_seq, b.timestamp), (a.ext_seq + 1, a.timestamp + 900_000));
}

#[test]
fn reports_tell_the_time_under_which_packets_were_made() {
    let start = Instant::now();
    let mut track = DownTrack::new(config(MediaKind::Audio));
    assert_eq!(track.sender_report(start, NtpTime(0)), None);
    track.forward(start, Layer(0), &packet(start, 0, 70_000, 500, false));
    let report = track.sender_report(start + Duration::from_millis(700), NtpTime(7)).unwrap();
    assert_eq!((report.rtp, report.packets, report.octets, report.ntp), (700 * 90, 1, 100, 7));
}

#[test]
fn missing_packets_are_found_by_their_new_numbers() {
    let start = Instant::now();
    let mut track = DownTrack::new(config(MediaKind::Audio));
    track.set_round_trip(Duration::from_millis(50));
    let mut numbers = Vec::new();
    for index in 0..100_000u64 {
        numbers.push(sent(track.forward(start, Layer(0), &packet(start, 0, 70_000 + index, index, false))).ext_seq);
    }
    let later = start + Duration::from_millis(100);
    for index in [99_999usize, 99_900] {
        let resend = track.handle_nack(later, numbers[index] as u16).unwrap();
        assert_eq!((resend.source, resend.rewritten.ext_seq), (70_000 + index as u64, numbers[index]));
    }
    assert_eq!(track.handle_nack(later, numbers[90_000] as u16), None);
    assert_eq!(track.handle_nack(later, (numbers[99_999] + 5) as u16), None, "never sent");
}

proptest! {
    /// Whatever the source does, a number is sent for one source packet only, and newest ones never go back.
    #[test]
    fn no_number_is_used_twice(steps in prop::collection::vec((0u8..2, 0u64..40, any::<bool>(), 0u8..2, 0u8..30), 1..300)) {
        let start = Instant::now();
        let mut track = DownTrack::new(config(MediaKind::Video));
        let mut used = std::collections::BTreeMap::new();
        let mut heads = [70_000u64, 80_000];
        for (at, (layer, back, key, target, pause)) in steps.into_iter().enumerate() {
            if pause == 0 {
                track.pause();
            }
            heads[usize::from(layer)] += 5;
            let source = heads[usize::from(layer)] - back.min(4 * 5);
            let mut p = packet(start, layer, source, at as u64 * 10, key);
            p.empty = pause == 1;
            if let Forwarding::Send(rewritten) = track.forward(start, Layer(target), &p) {
                let before = used.insert(rewritten.ext_seq, (layer, source));
                prop_assert!(before.is_none_or(|before| before == (layer, source)), "{} for {:?} and {:?}", rewritten.ext_seq, before, (layer, source));
            }
        }
    }
}

#[test]
fn a_source_that_jumps_is_a_new_one() {
    let start = Instant::now();
    let mut track = DownTrack::new(config(MediaKind::Video));
    let mut forward = |p: Received| track.forward(start, Layer(0), &p);
    let first = sent(forward(packet(start, 0, 70_000, 0, true)));
    let jumped = Received { restarted: true, timestamp: 5, ..packet(start, 0, 90_000, 100, false) };
    assert_eq!(forward(jumped), Forwarding::Drop, "what it depends on was never sent");
    let other = Received { restarted: true, ..packet(start, 1, 90_000, 100, false) };
    assert_eq!(forward(other), Forwarding::Drop);
    let key = sent(forward(Received { timestamp: 8, ..packet(start, 0, 90_001, 133, true) }));
    assert_eq!((key.ext_seq, key.timestamp), (first.ext_seq + 1, first.timestamp + 133 * 90));
}
