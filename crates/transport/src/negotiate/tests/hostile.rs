use proptest::prelude::*;

use super::*;
use crate::sdp::SdpError;

const OFFERS: [&str; 6] = [
    fixture!("chromium_single/01_first"),
    fixture!("chromium_single/04_microphone"),
    fixture!("chromium_single/11_stopped"),
    fixture!("chromium_publisher"),
    fixture!("firefox_like"),
    fixture!("native_sim_groups"),
];

fn refusal(offer: &str) -> NegotiateError {
    let mut n = single();
    let error = n.accept_offer(offer, |_| None).unwrap_err();
    assert!(n.remote().is_none() && n.sections().is_empty(), "nothing changed");
    error
}

#[test]
fn what_is_refused_and_why() {
    let offer = fixture!("firefox_like");
    assert_eq!(refusal("hello"), NegotiateError::Sdp(SdpError::Version));
    assert_eq!(refusal("v=0\r\n"), NegotiateError::NoCredentials);
    assert_eq!(refusal(&offer.replace("a=ice-pwd", "a=x")), NegotiateError::NoCredentials);
    assert_eq!(refusal(&offer.replace("a=fingerprint", "a=x")), NegotiateError::NoFingerprint);
    assert_eq!(refusal(&offer.replace("sha-256", "md5")), NegotiateError::NoFingerprint);
    assert_eq!(refusal(&offer.replace("a=group", "a=x")), NegotiateError::NoBundle);
    assert_eq!(refusal(&offer.replace("a=mid:1", "a=mid:0")), NegotiateError::DuplicateMid);
    let mut n = single();
    n.accept_offer(offer, |_| None).unwrap();
    let (head, _) = offer.split_at(offer.find("m=application").unwrap());
    assert_eq!(n.accept_offer(head, |_| None), Err(NegotiateError::Sections));
}

#[test]
fn sections_outside_the_bundle_are_refused() {
    for offer in [
        fixture!("firefox_like").replace("BUNDLE 0 1 2 3", "BUNDLE 0 2 3"),
        fixture!("firefox_like").replacen("m=video 9", "m=video 0", 1),
    ] {
        let mut n = single();
        let answer = answered(&mut n, &offer, PublishHint::default());
        assert!(use_of(&n, "1") == &Use::Rejected && answer.contains("a=group:BUNDLE 0 2 3\r\n"));
    }
    let mut n = single();
    let answer = answered(&mut n, &fixture!("firefox_like").replace("a=rtcp-mux\r\n", ""), PublishHint::default());
    assert!(answer.contains("a=group:BUNDLE 3\r\n"));
    // a second data section, and things that are no media
    let mut n = single();
    let text = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:8\r\nm=text 9 x y\r\na=mid:9\r\n";
    let offer = format!("{}{text}", fixture!("firefox_like").replace("BUNDLE 0 1 2 3", "BUNDLE 0 1 2 3 8 9"));
    let answer = answered(&mut n, &offer, PublishHint::default());
    assert!(answer.contains("m=application 0 ") && answer.contains("m=text 0 x y\r\n") && use_of(&n, "3") == &Use::Data);
}

#[test]
fn a_section_of_ours_that_lost_its_codecs_is_refused() {
    let offer = fixture!("firefox_like");
    let mut n = single();
    n.add_sender(spec(1, Codec::Vp8, "")).unwrap();
    n.accept_offer(offer, |_| None).unwrap();
    let (at, _) = n.sections().iter().enumerate().find(|(_, section)| matches!(section.use_, Use::Send(_))).unwrap();
    let lines = offer.split("\r\n").scan(0, |sections, line| {
        *sections += usize::from(line.starts_with("m="));
        let is_ours = *sections == at + 1 && line.starts_with("a=rtpmap");
        Some(if is_ours { "a=x" } else { line })
    });
    n.accept_offer(&lines.collect::<Vec<_>>().join("\r\n"), |_| None).unwrap();
    check_form(&n.answer());
    assert!(n.sections()[at].use_ == Use::Rejected);
    assert!(n.is_failed(1));
}

#[test]
fn lists_are_bounded() {
    let ssrcs: String =
        (0..5000).map(|ssrc| format!("a=ssrc:{ssrc} cname:x\r\na=ssrc-group:FID {ssrc} {}\r\n", ssrc + 9000)).collect();
    let rids: Vec<String> = (0..1000).map(|rid| rid.to_string()).collect();
    let formats = (0..200).map(|format| format.to_string()).collect::<Vec<_>>().join(" ");
    let codecs: String = (0..200).map(|format| format!("a=rtpmap:{format} VP8/90000\r\na=fmtp:{format} apt=1\r\n")).collect();
    let candidates = "a=candidate:1 1 udp 1 10.0.0.1 1 typ host\r\n".repeat(1000);
    let head = fixture!("firefox_like").split("m=video").next().unwrap().replace("BUNDLE 0 1 2 3", "BUNDLE 0 1");
    let offer = format!(
        "{head}m=video 9 UDP/TLS/RTP/SAVPF {formats}\r\na=mid:1\r\na=rtcp-mux\r\na=sendonly\r\n{codecs}{ssrcs}{candidates}a=simulcast:send {}\r\n",
        rids.join(";")
    );
    let mut n = single();
    answered(&mut n, &offer, PublishHint::default());
    let video = receiving(&n, "1");
    assert!(video.ssrcs.len() <= SSRCS_MAX && video.rids.len() == RIDS_MAX && video.codecs.len() <= crate::sdp::FORMATS_MAX);
    assert_eq!(n.remote().unwrap().candidates.len(), crate::ice::REMOTE_CANDIDATES_MAX);
}

/// CPU time of this thread in nanoseconds: what else runs on the machine does not count.
fn cpu_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split_whitespace().next().unwrap().parse().unwrap()
}

/// Two mebibytes of the lines that are looked for most: the work stays linear.
#[test]
fn a_full_description_is_no_burden() {
    let start = cpu_ns();
    for line in ["a=rtcp-fb:96 nack\r\n", "a=ssrc:1 cname:x\r\n", "a=rtpmap:96 VP8/90000\r\n", "a=group:x\r\n", "a=extmap:1 x\r\n"]
    {
        let offer = fixture!("firefox_like")
            .replace("a=recvonly\r\n", &format!("a=sendonly\r\n{}", line.repeat((2 << 20) / line.len() - 400)));
        let _ = single().accept_offer(&offer, |_| None);
    }
    let spent = std::time::Duration::from_nanos(cpu_ns() - start);
    assert!(spent < std::time::Duration::from_secs(5), "{spent:?}");
}

/// The text with a few of its lines or bytes changed.
fn damaged(text: &str, damage: &[(prop::sample::Index, u8, prop::sample::Index)]) -> String {
    let mut lines: Vec<String> = text.split("\r\n").map(str::to_owned).collect();
    for (at, what, other) in damage {
        let (at, other) = (at.index(lines.len()), other.index(lines.len()));
        match what % 6 {
            0 => lines.swap(at, other),
            1 => {
                let line = lines[other].clone();
                lines.insert(at, line);
            }
            2 if lines.len() > 1 => {
                lines.remove(at);
            }
            3 => lines[at] = lines[at].chars().rev().collect(),
            4 => lines[at].push_str(["\r", ";", " 4294967296", ":::", "é", "\0", " *", "/"][other % 8]),
            _ => {
                let keep = lines[at].chars().count() / 2;
                lines[at] = lines[at].chars().take(keep).collect();
            }
        }
    }
    lines.join("\r\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damaged_offers(
        which in 0..OFFERS.len(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<prop::sample::Index>()), 0..12),
    ) {
        let mut n = single();
        n.add_sender(spec(1, Codec::Vp8, "")).unwrap();
        n.add_sender(spec(2, Codec::Red, "")).unwrap();
        for offer in [OFFERS[which].to_owned(), damaged(OFFERS[which], &damage), OFFERS[which].to_owned()] {
            if n.accept_offer(&offer, |_| None).is_ok() {
                check_form(&n.answer());
            }
        }
    }

    #[test]
    fn damaged_answers(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<prop::sample::Index>()), 0..12),
    ) {
        let mut n = negotiation(Role::Offer, false, &[]);
        n.want_data();
        n.create_offer().unwrap();
        n.accept_answer(fixture!("chromium_dual/01_data_only")).unwrap();
        for (key, codec) in [Codec::Red, Codec::Vp8, Codec::H264, Codec::Vp9, Codec::Av1, Codec::Opus, Codec::Pcmu].into_iter().enumerate() {
            n.add_sender(spec(key as u64, codec, "")).unwrap();
        }
        n.create_offer().unwrap();
        let _ = n.accept_answer(&damaged(fixture!("chromium_dual/02_subscribed"), &damage));
        check_form(&n.create_offer().unwrap());
    }

    #[test]
    fn arbitrary_text(text in "(v=0\n)?(m=(audio|video|application) 9 UDP/TLS/RTP/SAVPF [0-9 ]{0,20}\n|a=[ -~]{0,30}\n|\\PC{0,10}\n){0,20}") {
        let _ = single().accept_offer(&text, |_| None);
        let _ = negotiation(Role::Offer, false, &[]).accept_answer(&text);
    }
}
