use super::*;

#[test]
fn a_single_peer_connection_of_chromium() {
    let mut n = single();
    let answer = answered(&mut n, fixture!("chromium_single/01_first"), PublishHint::default());
    assert_eq!((n.spare(), n.counts(), n.outstanding()), ((3, 3), (3, 3), (0, 0)));
    assert!(answer.matches("a=inactive").count() == 6 && answer.contains("a=setup:passive"));
    assert!(answer.contains("m=application 9 UDP/DTLS/SCTP webrtc-datachannel"));
    assert!(answer.contains("a=sctp-port:5000\r\na=max-message-size:65535"));
    assert_eq!(answer.matches("a=candidate:").count(), 1, "the bundle shares them");
    let remote = n.remote().unwrap();
    assert_eq!((remote.transport.ice_lite, remote.ice_restart, remote.message_bytes_max), (false, false, Some(262_144)));
    assert_eq!((remote.transport.fingerprint.bytes.len(), remote.transport.dtls_active), (32, false));

    // subscriptions go into the free sections, under the client's numbers
    n.add_sender(spec(1, Codec::Red, "111/111")).unwrap();
    n.add_sender(spec(2, Codec::Vp8, "")).unwrap();
    n.add_sender(spec(3, Codec::H264, CONSTRAINED)).unwrap();
    assert!(n.needs_offer() && n.outstanding() == (1, 2));
    let answer = answered(&mut n, fixture!("chromium_single/02_subscribed"), PublishHint::default());
    assert!(!n.needs_offer());
    let expected = [("0", "TR_1"), ("3", "TR_2"), ("4", "TR_3")].map(|(mid, track)| (mid.to_owned(), track.to_owned()));
    assert_eq!(n.mid_to_track_id(), expected);
    let (mid, red) = n.send_section(1).unwrap();
    assert_eq!((mid, red.payload_type, red.red_payload_type, red.nack), ("0", 111, Some(63), false));
    assert!(section(&answer, "0").starts_with("m=audio 9 UDP/TLS/RTP/SAVPF 63 111\r\n"));
    let (_, vp8) = n.send_section(2).unwrap();
    assert!(vp8.active && vp8.nack && vp8.congestion == Some(Congestion::Remb));
    assert_eq!((vp8.payload_type, vp8.rtx_payload_type), (96, Some(97)));
    assert_eq!(vp8.extensions.id_of(ExtensionKind::AbsSendTime), Some(2));
    assert_eq!(vp8.extensions.id_of(ExtensionKind::TransportCc), None);
    let text = section(&answer, "3");
    assert!(text.contains(&format!("a=ssrc-group:FID {} {}\r\n", vp8.ssrc, vp8.rtx_ssrc)));
    assert!(text.contains("a=msid:PA_x|TR_2 TR_2\r\n") && text.contains("a=sendonly"));
    assert!(text.contains("goog-remb") && !text.contains("rtcp-fb:96 transport-cc"));
    assert_eq!(n.send_section(3).unwrap().1.payload_type, 108);
    // whatever a section is for, it names what the others will need: Chromium forgets the rest
    assert!(text.contains("rtp-stream-id") && text.contains("transport-wide-cc"));

    // a simulcast camera and a microphone
    let answer = answered(&mut n, fixture!("chromium_single/03_camera"), hint(Codec::Vp8));
    let camera = receiving(&n, "7");
    assert_eq!((camera.rids.join(" "), camera.codecs[0].codec, camera.codecs[0].rtx), ("q h f".into(), Codec::Vp8, Some(97)));
    assert_eq!(camera.congestion, Some(Congestion::TransportCc));
    assert!(camera.extensions.id_of(ExtensionKind::RepairedRid).is_some());
    let text = section(&answer, "7");
    assert!(text.contains("a=rid:q recv\r\na=rid:h recv\r\na=rid:f recv\r\na=simulcast:recv q;h;f\r\na=recvonly"));
    assert!(text.contains("a=rtcp-fb:96 transport-cc") && !text.contains("goog-remb"));
    let answer = answered(&mut n, fixture!("chromium_single/04_microphone"), hint(Codec::Opus));
    let microphone = receiving(&n, "8");
    assert_eq!((microphone.codecs[0].codec, microphone.ssrcs.len()), (Codec::Red, 1));
    assert!(section(&answer, "8").starts_with("m=audio 9 UDP/TLS/RTP/SAVPF 63 111 0 8\r\n"));
    assert!(section(&answer, "8").contains("a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1\r\n"));
    assert!(section(&answer, "8").contains("a=fmtp:63 111/111\r\n"));

    // unpublished, published again on another section
    answered(&mut n, fixture!("chromium_single/05_unpublish"), hint(Codec::Opus));
    assert_eq!(use_of(&n, "7"), &Use::Idle);
    answered(&mut n, fixture!("chromium_single/06_republish"), hint(Codec::Opus));
    assert_eq!(receiving(&n, "9").ssrcs[0].1.is_some(), receiving(&n, "9").rids.is_empty());

    // a section whose track went is not used before the client saw that; then it is, under new SSRCs
    let old = n.send_section(2).unwrap().1.ssrc;
    n.remove_sender(2);
    n.add_sender(spec(4, Codec::Vp9, "profile-id=0")).unwrap();
    let answer = answered(&mut n, fixture!("chromium_single/07_swap"), hint(Codec::Opus));
    assert!(section(&answer, "3").contains("a=inactive") && n.send_section(4).unwrap().0 == "5");
    n.remove_sender(4);
    answered(&mut n, fixture!("chromium_single/08_unsubscribed"), hint(Codec::Opus));
    n.add_sender(spec(5, Codec::Av1, "profile=0")).unwrap();
    answered(&mut n, fixture!("chromium_single/09_slot_used_again"), hint(Codec::Opus));
    let (mid, again) = n.send_section(5).unwrap();
    assert!(mid == "3" && again.ssrc > old);

    // the numbers outlive an ICE restart
    let before = n.send_section(5).unwrap().1.clone();
    n.set_local_credentials("newufrag", "newpasswordnewpassword");
    let answer = answered(&mut n, fixture!("chromium_single/10_ice_restart"), hint(Codec::Opus));
    assert!(n.remote().unwrap().ice_restart && answer.contains("a=ice-ufrag:newufrag"));
    assert_eq!(n.send_section(5).unwrap().1, &before);

    // the client stops the section of a sender: it gets another one; the slots serve again under new mids
    let answer = answered(&mut n, fixture!("chromium_single/11_stopped"), hint(Codec::Opus));
    assert!(!n.remote().unwrap().ice_restart && use_of(&n, "3") == &Use::Rejected);
    assert!(n.send_section(5).unwrap().0 == "5" && section(&answer, "3").starts_with("m=video 0 "));
    assert!(answer.contains("a=group:BUNDLE 0 1 2 4 5 6 7 8\r\n"));
    answered(&mut n, fixture!("chromium_single/12_recycled"), hint(Codec::Opus));
    assert_eq!(n.spare(), (3, 1));
    for key in 10..16 {
        n.add_sender(spec(key, Codec::Opus, "")).unwrap();
    }
    answered(&mut n, fixture!("chromium_single/13_more_than_fit"), hint(Codec::Opus));
    assert_eq!((n.outstanding(), n.spare()), ((3, 0), (0, 1)));
}

#[test]
fn the_hint_decides_codec_and_form() {
    let mut n = negotiation(Role::Answer, false, &ALL);
    let stereo = PublishHint { stereo: true, disable_red: true, ..hint(Codec::H264) };
    let answer = answered(&mut n, fixture!("chromium_publisher"), stereo);
    let video = receiving(&n, "0");
    assert_eq!(video.codecs.iter().map(|c| c.payload_type).collect::<Vec<_>>(), [108, 114, 96, 45, 98], "{answer}");
    assert!(receiving(&n, "1").codecs.iter().all(|codec| codec.codec != Codec::Red));
    assert!(section(&answer, "1").contains("usedtx=1;stereo=1;maxaveragebitrate=510000\r\n"));
    assert_eq!(receiving(&n, "1").codecs[0].fmtp, "minptime=10;useinbandfec=1;usedtx=1;stereo=1;maxaveragebitrate=510000");
    assert!(!section(&answer, "0").contains("abs-send-time"), "with two PeerConnections only what the publisher needs");

    let mut n = negotiation(Role::Answer, false, &[Codec::Vp8, Codec::Opus]);
    n.set_only_preferred(true);
    let answer = answered(&mut n, fixture!("chromium_publisher"), PublishHint::default());
    assert!(section(&answer, "0").starts_with("m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\n"));
    assert!(section(&answer, "1").starts_with("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"));

    // nothing that may be published: the sections stay in the bundle, inactive
    let mut n = negotiation(Role::Answer, false, &[]);
    let answer = answered(&mut n, fixture!("chromium_publisher"), PublishHint::default());
    assert_eq!((answer.matches("a=inactive").count(), answer.matches("m=audio 9").count()), (2, 1));
}

#[test]
fn what_a_late_announcement_said_is_kept() {
    let mut n = negotiation(Role::Answer, false, &ALL);
    n.accept_offer(fixture!("chromium_publisher"), |_| Some(hint(Codec::Vp9))).unwrap();
    let before = receiving(&n, "0").clone();
    n.accept_offer(fixture!("chromium_publisher"), |_| None).unwrap();
    assert_eq!(receiving(&n, "0"), &before);
}

#[test]
fn firefox_numbers_by_itself() {
    let mut n = single();
    n.set_only_preferred(true);
    n.add_sender(spec(1, Codec::H264, CONSTRAINED)).unwrap();
    n.add_sender(spec(2, Codec::Red, "111/111")).unwrap();
    let answer = answered(&mut n, fixture!("firefox_like"), hint(Codec::Vp8));
    let video = receiving(&n, "1");
    assert_eq!((video.codecs.len(), video.codecs[0].payload_type, video.codecs[0].rtx), (1, 120, Some(124)));
    assert_eq!((video.rids.join(" "), &video.ssrcs[..]), ("q h f".into(), &[(11, Some(12)), (13, Some(14)), (15, Some(16))][..]));
    assert_eq!(video.track_id.as_deref(), Some("{2b6f1d3e-8c0a-4b57-9a6d-4e5f6a7b8c9d}"));
    let audio = receiving(&n, "0");
    assert_eq!(
        (audio.codecs[0].payload_type, audio.codecs[0].fmtp.as_str()),
        (109, "maxplaybackrate=48000;useinbandfec=1;usedtx=1")
    );
    let (mid, h264) = n.send_section(1).unwrap();
    assert_eq!((mid, h264.payload_type, h264.rtx_payload_type), ("2", 126, Some(127)));
    assert_eq!((n.outstanding(), n.failed().count()), ((1, 0), 0), "no audio section is free");
    assert!(!answer.contains("extmap-allow-mixed"), "it was not offered");
}

#[test]
fn a_native_with_ssrc_groups() {
    let mut n = negotiation(Role::Answer, false, &ALL);
    let answer = answered(&mut n, fixture!("native_sim_groups"), hint(Codec::Vp8));
    assert_eq!(receiving(&n, "2").ssrcs, [(101, Some(102)), (103, Some(104)), (105, Some(106))]);
    assert_eq!((receiving(&n, "1").track_id.as_deref(), receiving(&n, "1").ssrcs[0]), (Some("TR_lk_mic"), (77, None)));
    assert!(section(&answer, "1").contains("a=recvonly"), "offered sendrecv");
    let mut n = negotiation(Role::Answer, false, &ALL);
    answered(&mut n, fixture!("chromium_no_simulcast"), hint(Codec::Vp8));
    let video = receiving(&n, "0");
    assert!(video.rids.is_empty() && video.ssrcs.len() == 1 && video.ssrcs[0].1.is_some(), "{:?}", video.ssrcs);
}

#[test]
fn codecs_the_client_lacks_are_reported() {
    let mut n = single();
    n.add_sender(spec(1, Codec::H264, HIGH)).unwrap();
    n.add_sender(spec(2, Codec::Vp9, "profile-id=0")).unwrap();
    answered(&mut n, fixture!("firefox_like"), PublishHint::default());
    assert_eq!((n.failed().collect::<Vec<_>>(), n.outstanding()), (vec![1], (0, 0)));
    assert!(n.is_failed(1) && n.send_section(2).is_some());
    assert_eq!(n.add_sender(SenderSpec { stream_id: "a\r\na=x".into(), ..spec(3, Codec::Vp8, "") }), Err(NegotiateError::Label));
    let mut none = Negotiation::new(NegotiationConfig { subscribe: Vec::new(), ..n.config });
    none.add_sender(spec(1, Codec::Vp8, "")).unwrap();
    assert!(none.is_failed(1));
}

#[test]
fn new_numbers_of_the_client_are_a_new_stream() {
    let mut n = single();
    n.add_sender(spec(1, Codec::Vp8, "")).unwrap();
    let offer = fixture!("firefox_like");
    answered(&mut n, offer, PublishHint::default());
    let before = n.send_section(1).unwrap().1.clone();
    answered(&mut n, &offer.replace("max-fs=12288", "max-fs=1200"), PublishHint::default());
    assert_eq!(n.send_section(1).unwrap().1.ssrc, before.ssrc, "the same numbers");
    answered(&mut n, &offer.replace("120", "119"), PublishHint::default());
    let after = n.send_section(1).unwrap().1;
    assert!(after.payload_type == 119 && after.ssrc != before.ssrc && after.rtx_ssrc != before.rtx_ssrc);
    // without the codec: it fails, and the section is free
    answered(&mut n, &offer.replace("VP8", "VP7"), PublishHint::default());
    assert!(n.is_failed(1) && n.send_section(1).is_none());
}

#[test]
fn the_role_in_dtls_stays() {
    for (offered, first, later) in
        [("actpass", "passive", "passive"), ("active", "passive", "passive"), ("passive", "active", "active")]
    {
        let mut n = single();
        let offer = fixture!("firefox_like");
        let answer = answered(&mut n, &offer.replace("setup:actpass", &format!("setup:{offered}")), PublishHint::default());
        assert!(answer.contains(&format!("a=setup:{first}")), "{offered}");
        let answer = answered(&mut n, offer, PublishHint::default());
        assert!(answer.contains(&format!("a=setup:{later}")), "{offered}");
    }
}
