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
    let block = ReportBlock {
        ssrc: 2,
        fraction_lost: 3,
        cumulative_lost: -4,
        highest_sequence: 5,
        jitter: 6,
        last_sender_report: 7,
        delay_since_last: 8,
    };
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
    assert!(matches!(packets[2], Packet::SourceDescription(d) if d.cname() == Some((1, &b"PA_x|TR_y"[..]))));
    assert!(matches!(packets[8], Packet::Bye(bye) if bye.ssrcs().eq([1]) && bye.reason().is_none()));
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

#[test]
fn remb_beyond_64_bits() {
    let remb = |exponent_and_high: u8| {
        let bytes = [0x8F, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 0, exponent_and_high, 0, 1];
        let Some(Packet::Remb(remb)) = Compound::parse(&bytes).next() else { panic!("not a REMB") };
        remb.bitrate
    };
    assert_eq!((remb(0), remb(63 << 2), remb(63 << 2 | 1)), (1, 1 << 63, u64::MAX));
}

#[test]
fn every_known_block_of_an_extended_report() {
    // Sender 1: an unknown block of one word, a reference time, two delays in one block.
    let mut bytes = vec![0x80, 207, 0, 12, 0, 0, 0, 1, 42, 0, 0, 1, 9, 9, 9, 9];
    bytes.extend([4, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 6]);
    bytes.extend([5, 0, 0, 6]);
    bytes.extend([[0, 0, 0, 2], [0, 0, 0, 3], [0, 0, 0, 4], [0, 0, 0, 5], [0, 0, 0, 6], [0, 0, 0, 7]].concat());
    bytes[3] = (bytes.len() / 4 - 1) as u8;
    bytes.extend(written(|w| {
        w.pli(3, 4);
    }));
    let packets: Vec<_> = Compound::parse(&bytes).collect();
    assert_eq!(packets[0], Packet::ReferenceTime { ssrc: 1, ntp: 5 << 32 | 6 });
    let delays = [Dlrr { ssrc: 2, last_receiver_report: 3, delay: 4 }, Dlrr { ssrc: 5, last_receiver_report: 6, delay: 7 }];
    assert!(matches!(packets[1], Packet::Dlrr(blocks) if blocks.iter().eq(delays)));
    assert_eq!(packets[2..], [Packet::Pli { sender: 3, media: 4 }]);
}

#[test]
fn descriptions_and_leaving() {
    // Two chunks: the first is padded with three zeros, the second with one (RFC 3550 §6.5).
    let mut bytes = vec![0x82, 202, 0, 6, 0, 0, 0, 1, 1, 3, b'a', b'b', b'c', 0, 0, 0];
    bytes.extend([0, 0, 0, 2, 1, 1, b'x', 15, 1, b'0', 0, 0]);
    let Some(Packet::SourceDescription(description)) = Compound::parse(&bytes).next() else { panic!("not a description") };
    let chunks: Vec<_> = description.chunks().collect();
    assert_eq!(chunks.len(), 2);
    assert_eq!((chunks[0].ssrc, chunks[0].item(description::CNAME)), (1, Some(&b"abc"[..])));
    assert_eq!((chunks[1].ssrc, chunks[1].item(description::MID)), (2, Some(&b"0"[..])));
    let both = written(|w| {
        w.cname_and_mid(7, "PA_x", "12");
    });
    let Some(Packet::SourceDescription(description)) = Compound::parse(&both).next() else { panic!("not a description") };
    let chunk = description.chunks().next().unwrap();
    assert_eq!((chunk.item(description::CNAME), chunk.item(description::MID)), (Some(&b"PA_x"[..]), Some(&b"12"[..])));
    let bye = [0x81, 203, 0, 2, 0, 0, 0, 9, 2, b'o', b'k', 0];
    let Some(Packet::Bye(bye)) = Compound::parse(&bye).next() else { panic!("not a bye") };
    assert_eq!((bye.ssrcs().collect::<Vec<_>>(), bye.reason()), (vec![9], Some(&b"ok"[..])));
}

#[test]
fn malformed_packets_end_the_compound() {
    let pli = written(|w| {
        w.pli(1, 2);
    });
    let count = |bytes: &[u8]| Compound::parse(bytes).count();
    assert_eq!(count(&[&pli[..], &pli[..]].concat()), 2);
    assert_eq!(count(&[&pli[..], &[0x41, 206, 0, 0], &pli[..]].concat()), 1, "version");
    assert_eq!(count(&[&pli[..], &pli[..11]].concat()), 1, "cut short");
    assert_eq!(count(&[&pli[..], &[0xA1, 206, 0, 1, 0, 0, 0, 0], &pli[..]].concat()), 1, "padding of 0");
    assert_eq!(count(&[&pli[..], &[0xA1, 206, 0, 1, 0, 0, 0, 9], &pli[..]].concat()), 1, "padding beyond the body");
    let mut compound = Compound::parse(&[0x41, 206, 0, 0, 0x81, 206, 0, 0]);
    assert_eq!((compound.next(), compound.next()), (None, None), "ended for good");
}

#[test]
fn transport_feedback_of_the_draft() {
    // Base 5, 8 packets, reference 0x010203, feedback 4; a run of 2 small, then a two-bit vector: lost, large, small, lost, small, large.
    let bytes = [
        0x8F,
        205,
        0,
        7,
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        2,
        0,
        5,
        0,
        8,
        1,
        2,
        3,
        4, //
        0x20,
        0x02,
        0b1100_1001,
        0b0001_1000,
        1,
        2,
        0xFF,
        0xFE,
        3,
        4,
        0x01,
        0x00,
    ];
    let Some(Packet::TransportFeedback(feedback)) = Compound::parse(&bytes).next() else { panic!("not a feedback") };
    assert_eq!((feedback.base, feedback.count, feedback.reference_64ms, feedback.feedback_count), (5, 8, 0x01_0203, 4));
    let deltas: Vec<_> = feedback
        .statuses()
        .map(|(sequence, status)| {
            (
                sequence,
                match status {
                    TwccStatus::Lost => None,
                    TwccStatus::Received { delta } => Some(delta),
                },
            )
        })
        .collect();
    assert_eq!(
        deltas,
        [(5, Some(1)), (6, Some(2)), (7, None), (8, Some(-2)), (9, Some(3)), (10, None), (11, Some(4)), (12, Some(256))]
    );
}

#[test]
fn transport_feedback_is_compact() {
    let size = |list: &[TwccStatus]| {
        written(|w| {
            w.transport_feedback(1, 2, 0, 0, 0, list);
        })
        .len()
    };
    let small = TwccStatus::Received { delta: 4 };
    let large = TwccStatus::Received { delta: -4 };
    assert_eq!(size(&[small; 100]), 20 + 104, "one run (2 bytes), 100 deltas, padding");
    let alternating: Vec<_> = (0..28).map(|i| if i % 2 == 0 { TwccStatus::Lost } else { small }).collect();
    assert_eq!(size(&alternating), 20 + 20, "two vectors of fourteen, 14 deltas, padding");
    let mixed: Vec<_> = (0..14).map(|i| if i % 2 == 0 { large } else { small }).collect();
    assert_eq!(size(&mixed), 20 + 28, "two vectors of seven, 21 bytes of deltas, padding");
}

#[test]
fn what_does_not_fit_is_left_out_whole() {
    let mut buffer = [0u8; 20];
    let mut writer = Writer::new(&mut buffer);
    assert!(writer.pli(1, 2));
    assert!(!writer.pli(1, 2) && !writer.remb(1, 5, &[2]));
    assert_eq!(writer.transport_feedback(1, 2, 0, 0, 0, &[TwccStatus::Lost]), 0);
    assert_eq!(writer.len(), 12);
    let mut room = [0; 100];
    let mut writer = Writer::new(&mut room);
    assert_eq!((writer.transport_feedback(1, 2, 0, 0, 0, &[]), writer.len()), (0, 0), "no packets, no feedback");
    assert!(!Writer::new(&mut [0; 2000]).remb(1, 5, &[0; 256]), "more SSRCs than can be counted");
}

fn status() -> impl Strategy<Value = TwccStatus> {
    prop_oneof![
        Just(TwccStatus::Lost),
        any::<i16>().prop_map(|delta| TwccStatus::Received { delta }),
        (0i16..256).prop_map(|delta| TwccStatus::Received { delta })
    ]
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
    fn remb_comes_back(bitrate: u64, ssrcs in prop::collection::vec(any::<u32>(), 0..20)) {
        let bytes = written(|w| { w.remb(1, bitrate, &ssrcs); });
        let Some(Packet::Remb(remb)) = Compound::parse(&bytes).next() else { panic!("not a REMB") };
        prop_assert!(remb.bitrate <= bitrate && bitrate - remb.bitrate <= bitrate >> 17);
        prop_assert_eq!(remb.ssrcs().collect::<Vec<_>>(), ssrcs);
    }

    #[test]
    fn reports_come_back(blocks in prop::collection::vec((any::<[u32; 5]>(), any::<u8>(), -0x80_0000i32..0x80_0000), 0..31)) {
        let blocks: Vec<_> = blocks.into_iter().map(|([ssrc, highest_sequence, jitter, last_sender_report, delay_since_last], fraction_lost, cumulative_lost)| ReportBlock {
            ssrc, fraction_lost, cumulative_lost, highest_sequence, jitter, last_sender_report, delay_since_last,
        }).collect();
        let bytes = written(|w| { w.receiver_report(9, &blocks); });
        let Some(Packet::ReceiverReport { ssrc: 9, blocks: read }) = Compound::parse(&bytes).next() else { panic!("not a report") };
        prop_assert_eq!(read.iter().collect::<Vec<_>>(), blocks);
    }

    #[test]
    fn nacks_come_back(mut list in prop::collection::btree_set(0u16..2000, 1..100)) {
        let list: Vec<u16> = std::mem::take(&mut list).into_iter().collect();
        let bytes = written(|w| { w.nack(1, 2, &list); });
        let Some(Packet::Nack(nack)) = Compound::parse(&bytes).next() else { panic!("not a NACK") };
        prop_assert_eq!(nack.sequences().collect::<Vec<_>>(), list);
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300), kind in 198u8..209, count in 0u8..32) {
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
                Packet::Fir(fir) => { let _ = fir.entries().count(); }
                Packet::Remb(remb) => { let _ = remb.ssrcs().count(); }
                Packet::Dlrr(dlrr) => { let _ = dlrr.iter().count(); }
                Packet::SourceDescription(description) => { let _ = description.chunks().map(|c| c.items().count()).sum::<usize>(); }
                Packet::Bye(bye) => { let _ = (bye.ssrcs().count(), bye.reason()); }
                _ => {}
            }
        }
    }
}
