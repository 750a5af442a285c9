use proptest::prelude::*;

use super::*;

fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut buffer = [0u8; 1500];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer);
    let len = writer.len();
    buffer[..len].to_vec()
}

#[test]
fn a_compound_comes_back_as_it_was_written() {
    let info = SenderInfo { ssrc: 1, ntp: 0x0102_0304_0506_0708, rtp: 9, packets: 10, octets: 11 };
    let block = ReportBlock { ssrc: 2, fraction_lost: 3, cumulative_lost: -4, highest_sequence: 5, jitter: 6, last_sender_report: 7, delay_since_last: 8 };
    let bytes = written(|w| {
        w.sender_report(&info, &[block]);
        w.receiver_report(3, &[block, block]);
        w.cname(1, "PA_x|TR_y");
        w.nack(1, 2, &[65_534, 65_535, 3, 100]);
        w.pli(1, 2);
        w.fir(1, 2, 5);
        w.reference_time(1, 77);
        w.dlrr(1, &Dlrr { ssrc: 4, last_receiver_report: 5, delay: 6 });
        w.bye(1);
    });
    assert_eq!(bytes.len() % 4, 0);
    let packets: Vec<Packet<'_>> = Compound::parse(&bytes).collect();
    assert_eq!(packets.len(), 9);
    assert!(matches!(packets[0], Packet::SenderReport { info: i, blocks } if i == info && blocks.iter().eq([block])));
    assert!(matches!(packets[1], Packet::ReceiverReport { ssrc: 3, blocks } if blocks.iter().count() == 2));
    assert!(matches!(packets[3], Packet::Nack(nack) if nack.sequences().eq([65_534, 65_535, 3, 100])));
    assert_eq!(packets[4], Packet::Pli { sender: 1, media: 2 });
    assert!(matches!(packets[5], Packet::Fir(fir) if fir.ssrcs().eq([2])));
    assert_eq!(packets[6], Packet::ReferenceTime { ssrc: 1, ntp: 77 });
    assert!(matches!(packets[7], Packet::Dlrr(d) if d.iter().eq([Dlrr { ssrc: 4, last_receiver_report: 5, delay: 6 }])));
    assert_eq!(packets[8], Packet::Bye);
}

#[test]
fn round_trip_of_a_report_block() {
    let block = ReportBlock { last_sender_report: 0x1_0000, delay_since_last: 0x8000, ..ReportBlock::default() };
    assert_eq!(block.round_trip(0x2_0000), Some(0x8000));
    assert_eq!(ReportBlock::default().round_trip(5), None);
    assert_eq!(block.round_trip(0x1_0000), None, "an answer cannot come before its question");
}

#[test]
fn remb_of_libwebrtc() {
    // exponent 1, mantissa 0x20000, one SSRC
    let bytes = [0x8F, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 1, 0x06, 0, 0, 0, 0, 0, 9];
    let Some(Packet::Remb(remb)) = Compound::parse(&bytes).next() else { panic!("not a REMB") };
    assert_eq!((remb.bitrate, remb.ssrcs().collect::<Vec<_>>()), (0x20000 << 1, vec![9]));
}

fn status() -> impl Strategy<Value = TwccStatus> {
    prop_oneof![Just(TwccStatus::Lost), any::<i16>().prop_map(|delta| TwccStatus::Received { delta }), (0i16..256).prop_map(|delta| TwccStatus::Received { delta })]
}

proptest! {
    #[test]
    fn transport_feedback_comes_back(base: u16, list in prop::collection::vec(status(), 1..300)) {
        let bytes = written(|w| { assert_eq!(w.transport_feedback(1, 2, base, 77, 3, &list), list.len()); });
        let Some(Packet::TransportFeedback(feedback)) = Compound::parse(&bytes).next() else { panic!("not a feedback") };
        prop_assert_eq!((feedback.base, feedback.reference_64ms, feedback.feedback_count), (base, 77, 3));
        let wanted: Vec<_> = list.iter().enumerate().map(|(i, s)| (base.wrapping_add(i as u16), *s)).collect();
        prop_assert_eq!(feedback.statuses().collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn nacks_come_back(mut list in prop::collection::btree_set(0u16..2000, 1..100)) {
        let list: Vec<u16> = std::mem::take(&mut list).into_iter().collect();
        let bytes = written(|w| { w.nack(1, 2, &list); });
        let Some(Packet::Nack(nack)) = Compound::parse(&bytes).next() else { panic!("not a NACK") };
        prop_assert_eq!(nack.sequences().collect::<Vec<_>>(), list);
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300), kind in 198u8..210, count in 0u8..32) {
        if bytes.len() > 4 {
            bytes[0] = 0x80 | count;
            bytes[1] = kind;
            let words = (bytes.len() / 4 - 1) as u16;
            bytes[2..4].copy_from_slice(&words.to_be_bytes());
        }
        for packet in Compound::parse(&bytes) {
            match packet {
                Packet::SenderReport { blocks, .. } | Packet::ReceiverReport { blocks, .. } => { let _ = blocks.iter().count(); }
                Packet::Nack(nack) => { let _ = nack.sequences().count(); }
                Packet::TransportFeedback(feedback) => { let _ = feedback.statuses().count(); }
                Packet::Fir(fir) => { let _ = fir.ssrcs().count(); }
                Packet::Remb(remb) => { let _ = remb.ssrcs().count(); }
                Packet::Dlrr(dlrr) => { let _ = dlrr.iter().count(); }
                _ => {}
            }
        }
    }
}
