use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn offering() -> Negotiation {
    let mut n = negotiation(Role::Offer, false, &[]);
    n.want_data();
    n
}

fn offered(n: &mut Negotiation) -> String {
    let offer = n.create_offer().unwrap();
    check_form(&offer);
    assert!(!n.needs_offer());
    offer
}

fn synced(key: u64, codec: Codec) -> SenderSpec {
    SenderSpec { stream_id: "PA_x|camera".into(), ..spec(key, codec, "") }
}

#[test]
fn chromium_answers_our_offers() {
    let mut n = offering();
    let offer = offered(&mut n);
    assert!(offer.contains("a=setup:actpass") && offer.contains("a=group:BUNDLE 0\r\n"));
    n.accept_answer(fixture!("chromium_dual/01_data_only")).unwrap();
    assert!(!n.remote().unwrap().transport.dtls_active, "the client is the DTLS client");

    let tracks = [
        spec(1, Codec::Red, "111/111"),
        spec(2, Codec::Vp8, ""),
        spec(3, Codec::H264, CONSTRAINED),
        spec(4, Codec::Vp9, "profile-id=0"),
        spec(5, Codec::Av1, ""),
        spec(6, Codec::Opus, "stereo=1"),
        spec(7, Codec::Pcmu, ""),
    ];
    for track in tracks {
        n.add_sender(track).unwrap();
    }
    let offer = offered(&mut n);
    assert!(section(&offer, "1").starts_with("m=audio 9 UDP/TLS/RTP/SAVPF 63 111\r\n"));
    assert!(section(&offer, "2").contains("sprop-stereo=1") && section(&offer, "2").contains("a=rtcp-fb:111 nack\r\n"));
    assert!(section(&offer, "4").starts_with("m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\n"), "its own codec and nothing else");
    assert!(section(&offer, "4").contains("a=msid:PA_x|TR_2 TR_2\r\n") && section(&offer, "4").contains("a=sendonly"));
    assert!(!n.send_section(2).unwrap().1.active);
    n.accept_answer(fixture!("chromium_dual/02_subscribed")).unwrap();
    assert!(n.mids().iter().all(|(_, key)| n.send_section(*key).unwrap().1.active) && n.mids().len() == 7);
    let (_, vp8) = n.send_section(2).unwrap();
    assert!(vp8.nack && vp8.congestion == Some(Congestion::Remb) && vp8.extensions.id_of(ExtensionKind::AbsSendTime) == Some(2));
    assert_eq!(n.send_section(1).unwrap().1.red_payload_type, Some(63));

    n.add_sender(spec(8, Codec::H265, "profile-id=1")).unwrap();
    n.add_sender(spec(9, Codec::H264, HIGH)).unwrap();
    assert!(section(&offered(&mut n), "9").contains("640032"));
    n.accept_answer(fixture!("chromium_dual/03_unsupported")).unwrap();
    assert_eq!(n.failed().collect::<Vec<_>>(), [8, 9]);

    // what the client refused serves again under new mids
    n.remove_sender(8);
    n.remove_sender(9);
    n.add_sender(spec(20, Codec::Vp8, "")).unwrap();
    n.add_sender(spec(21, Codec::Opus, "")).unwrap();
    offered(&mut n);
    n.accept_answer(fixture!("chromium_dual/04_recycled")).unwrap();
    assert_eq!((n.sections().len(), n.send_section(21).unwrap().0), (10, "10"));

    // what we stopped is shown stopped before it serves again
    n.remove_sender(2);
    n.remove_sender(1);
    n.add_sender(spec(22, Codec::Vp8, "")).unwrap();
    let offer = offered(&mut n);
    assert!(section(&offer, "4").contains("a=inactive") && section(&offer, "1").contains("a=inactive"));
    n.accept_answer(fixture!("chromium_dual/05_stop_and_add")).unwrap();
    n.add_sender(spec(23, Codec::Av1, "")).unwrap();
    n.add_sender(spec(24, Codec::Red, "")).unwrap();
    offered(&mut n);
    n.accept_answer(fixture!("chromium_dual/06_slot_used_again")).unwrap();
    assert_eq!((n.sections().len(), n.send_section(23).unwrap().0, n.send_section(24).unwrap().0), (11, "4", "1"));

    // but not where the client would take the new track for the old one
    for key in [20, 5, 6] {
        n.remove_sender(key);
    }
    offered(&mut n);
    n.accept_answer(fixture!("chromium_dual/07_synced_stopped")).unwrap();
    n.add_sender(synced(30, Codec::Vp8)).unwrap();
    n.add_sender(synced(31, Codec::Opus)).unwrap();
    let offer = offered(&mut n);
    assert!(section(&offer, "2").starts_with("m=audio 0 ") && section(&offer, "7").starts_with("m=video 0 "));
    n.accept_answer(fixture!("chromium_dual/08_synced_new")).unwrap();
    n.remove_sender(30);
    offered(&mut n);
    n.accept_answer(fixture!("chromium_dual/09_synced_removed")).unwrap();
    n.add_sender(synced(32, Codec::Vp9)).unwrap();
    offered(&mut n);
    n.accept_answer(fixture!("chromium_dual/10_synced_closed")).unwrap();
    n.add_sender(synced(33, Codec::Vp8)).unwrap();
    n.add_sender(synced(34, Codec::Opus)).unwrap();
    offered(&mut n);
    n.accept_answer(fixture!("chromium_dual/11_synced_recycled")).unwrap();
    assert!(n.sections().len() == 13 && n.send_section(34).unwrap().1.active);

    n.set_local_credentials("newufrag1", "newpasswordnewpassword12");
    assert!(n.needs_offer() && offered(&mut n).contains("a=ice-ufrag:newufrag1"));
    n.accept_answer(fixture!("chromium_dual/12_ice_restart")).unwrap();
    assert!(n.remote().unwrap().ice_restart);
}

#[test]
fn congestion_is_told_in_one_way() {
    let mut n = offering();
    n.set_congestion(Congestion::TransportCc);
    n.add_sender(spec(1, Codec::Vp8, "")).unwrap();
    let offer = offered(&mut n);
    assert!(offer.contains("rtcp-fb:96 transport-cc") && offer.contains("transport-wide-cc"));
    assert!(!offer.contains("goog-remb") && !offer.contains("abs-send-time"));
}

#[test]
fn answers_that_do_not_fit() {
    let mut n = offering();
    n.add_sender(spec(1, Codec::Vp8, "")).unwrap();
    let answer = taken(&offered(&mut n));
    let (head, _) = answer.split_at(answer.find("m=video").unwrap());
    assert_eq!(n.accept_answer(head), Err(NegotiateError::Sections));
    assert_eq!(n.accept_answer(&answer.replace("mid:1", "mid:7")), Err(NegotiateError::Sections));
    assert_eq!(n.accept_offer(&answer, |_| None), Err(NegotiateError::Role));
    assert!(n.remote().is_none() && !n.send_section(1).unwrap().1.active);
    n.accept_answer(&answer).unwrap();
    assert!(n.send_section(1).unwrap().1.active);
    let other = answer.replace("a=fingerprint:sha-256 AB", "a=fingerprint:sha-256 CD");
    assert_eq!(n.accept_answer(&other), Err(NegotiateError::FingerprintChanged));
    // refused as a whole: neither bundle nor transport
    n.accept_answer("v=0\r\nm=application 0 UDP/DTLS/SCTP x\r\na=mid:0\r\nm=video 0 x 96\r\na=mid:1\r\n").unwrap();
    assert!(n.is_failed(1));
    assert_eq!(single().create_offer(), Err(NegotiateError::Role));
    assert_eq!(single().accept_answer(""), Err(NegotiateError::Role));
}

#[test]
fn a_thousand_subscriptions() {
    let mut n = offering();
    for key in 0..1300 {
        n.add_sender(spec(key, Codec::Vp8, "")).unwrap();
    }
    let offer = offered(&mut n);
    // the answer is about as long, and a signal message holds 2 MiB
    assert!(offer.len() < crate::sdp::SDP_BYTES_MAX / 3 * 2, "{}", offer.len());
    assert_eq!((n.sections().len(), n.failed().count()), (1200, 101));
    n.accept_answer(&taken(&offer)).unwrap();
}

/// An answer that takes everything.
fn taken(offer: &str) -> String {
    offer.replace("a=sendonly", "a=recvonly").replace("a=setup:actpass", "a=setup:active").replace("sprop-stereo", "stereo")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Tracks come and go in any order: SSRCs and mids are never used twice, and sections are not lost.
    #[test]
    fn any_history(steps in prop::collection::vec((0u64..12, 0usize..9, any::<bool>(), any::<bool>()), 1..60)) {
        let mut n = offering();
        let (mut ssrcs, mut known, mut most) = (BTreeSet::new(), BTreeSet::new(), 0);
        for (key, codec, negotiate, sync) in steps {
            if known.remove(&key) {
                n.remove_sender(key);
            } else {
                known.insert(key);
                n.add_sender(if sync { synced(key, ALL[codec]) } else { spec(key, ALL[codec], "") }).unwrap();
            }
            if !negotiate {
                continue;
            }
            let before: BTreeSet<u64> = n.mids().into_iter().map(|(_, key)| key).collect();
            let offer = offered(&mut n);
            for (_, key) in n.mids() {
                let send = n.send_section(key).unwrap().1;
                prop_assert!(before.contains(&key) || (ssrcs.insert(send.ssrc) && ssrcs.insert(send.rtx_ssrc)));
            }
            n.accept_answer(&taken(&offer)).unwrap();
            most = most.max(known.len());
            prop_assert_eq!(n.mids().len(), known.len());
            prop_assert_eq!(n.failed().count(), 0);
            prop_assert!(n.mids().iter().all(|(_, key)| n.send_section(*key).unwrap().1.active));
            let mids: BTreeSet<&str> = n.sections().iter().map(|s| s.mid.as_str()).collect();
            prop_assert_eq!(mids.len(), n.sections().len());
            prop_assert!(n.sections().len() <= 1 + 2 * 12 * 2, "{}", n.sections().len());
        }
    }
}
