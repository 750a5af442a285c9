use sluicegate_rtp::codec::Codec;
use sluicegate_rtp::extension::ExtensionKind;

use super::*;
use crate::sdp::Description;

mod answering;
mod hostile;
mod offering;

const ALL: [Codec; 9] = Codec::ALL;
const CONSTRAINED: &str = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
const HIGH: &str = "packetization-mode=1;profile-level-id=640c1f";

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/", $name, ".sdp"))
    };
}
use fixture;

fn negotiation(role: Role, single_pc: bool, publish: &[Codec]) -> Negotiation {
    Negotiation::new(NegotiationConfig {
        role,
        local: LocalParameters {
            ufrag: "abcdefgh".into(),
            pwd: "abcdefghijklmnopqrstuvwx".into(),
            fingerprint: format!("sha-256 {}", ["AB"; 32].join(":")),
            ice_lite: false,
            candidates: vec!["candidate:1 1 udp 2130706431 127.0.0.1 9999 typ host generation 0".into()],
        },
        single_pc,
        publish: publish.to_vec(),
        subscribe: ALL.to_vec(),
        session_id: u64::MAX,
        first_ssrc: 1000,
    })
}

fn single() -> Negotiation {
    negotiation(Role::Answer, true, &ALL)
}

fn spec(key: u64, codec: Codec, fmtp: &str) -> SenderSpec {
    let kind = codec.kind();
    SenderSpec { key, kind, codec, fmtp: fmtp.into(), stream_id: format!("PA_x|TR_{key}"), track_id: format!("TR_{key}") }
}

/// Offer in, answer out; the answer is well-formed and repeats the offer's sections in their order.
fn answered(negotiation: &mut Negotiation, offer: &str, hint: PublishHint) -> String {
    negotiation.accept_offer(offer, |_| Some(hint)).unwrap();
    let answer = negotiation.answer();
    check_form(&answer);
    let mids = |text: &str| -> Vec<String> {
        Description::parse(text).unwrap().media.iter().map(|media| media.get("mid").unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(mids(&answer), mids(offer));
    answer
}

fn check_form(text: &str) {
    assert!(text.ends_with("\r\n"));
    for line in text.split_terminator("\r\n") {
        assert!(line.as_bytes().get(1) == Some(&b'=') && !line.contains(['\r', '\n']), "{line:?}");
    }
    let description = Description::parse(text).unwrap();
    let bundled: Vec<&str> = description.bundle().map(|mids| mids.collect()).unwrap_or_default();
    for media in &description.media {
        let mid = media.get("mid").unwrap_or_default();
        assert_eq!(media.port != 0, bundled.contains(&mid), "{mid} {bundled:?}");
        assert!(!media.formats.is_empty());
        if media.port != 0 {
            assert!(media.has("ice-ufrag") && media.has("fingerprint") && media.has("setup"));
        }
    }
}

/// One section of a description as text.
fn section<'a>(text: &'a str, mid: &str) -> &'a str {
    let at = text.find(&format!("a=mid:{mid}\r\n")).unwrap();
    let start = text[..at].rfind("m=").unwrap();
    &text[start..text[at..].find("\r\nm=").map_or(text.len(), |end| at + end + 2)]
}

fn receiving<'a>(negotiation: &'a Negotiation, mid: &str) -> &'a ReceiveSection {
    match negotiation.sections().iter().find(|section| section.mid == mid).map(|section| &section.use_) {
        Some(Use::Receive(receive)) => receive,
        other => panic!("{mid}: {other:?}"),
    }
}

fn use_of<'a>(negotiation: &'a Negotiation, mid: &str) -> &'a Use {
    &negotiation.sections().iter().find(|section| section.mid == mid).unwrap().use_
}

fn hint(codec: Codec) -> PublishHint {
    PublishHint { preferred_codec: Some(codec), dtx: true, ..PublishHint::default() }
}
