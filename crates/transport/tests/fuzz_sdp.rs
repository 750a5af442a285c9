//! Fuzz entries: any text as a description, an offer, an answer.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use sluicegate_rtp::codec::Codec;
use sluicegate_transport::negotiate::{LocalParameters, Negotiation, NegotiationConfig, Role, SenderSpec};
use sluicegate_transport::sdp::Description;

fn negotiation(role: Role) -> Negotiation {
    let mut negotiation = Negotiation::new(NegotiationConfig {
        role,
        local: LocalParameters {
            ufrag: "ufrag".into(),
            pwd: "password".into(),
            fingerprint: "sha-256 AB".into(),
            ice_lite: true,
            candidates: Vec::new(),
        },
        single_pc: true,
        publish: Codec::ALL.to_vec(),
        subscribe: Codec::ALL.to_vec(),
        session_id: 1,
        first_ssrc: u32::MAX,
    });
    negotiation.want_data();
    for (key, codec) in [Codec::Red, Codec::H264].into_iter().enumerate() {
        let spec = SenderSpec {
            key: key as u64,
            kind: codec.kind(),
            codec,
            fmtp: String::new(),
            stream_id: "PA_1|TR_1".into(),
            track_id: "TR_1".into(),
        };
        negotiation.add_sender(spec).unwrap();
    }
    negotiation
}

#[test]
fn fuzz_description() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let _ = Description::parse(&String::from_utf8_lossy(bytes));
    });
}

#[test]
fn fuzz_offer() {
    const HEAD: &str = "v=0\na=group:BUNDLE 0 1\na=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10:11:12:13\na=ice-ufrag:a\na=ice-pwd:b\nm=video 9 UDP/TLS/RTP/SAVPF 96 97\na=mid:0\na=rtcp-mux\n";
    bolero::check!().for_each(|bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        for offer in [text.to_string(), format!("{HEAD}{text}")] {
            let mut negotiation = negotiation(Role::Answer);
            if negotiation.accept_offer(&offer, |_| None).is_ok() {
                Description::parse(&negotiation.answer()).unwrap();
            }
        }
    });
}

#[test]
fn fuzz_answer() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let mut negotiation = negotiation(Role::Offer);
        let offer = negotiation.create_offer().unwrap();
        let text = String::from_utf8_lossy(bytes);
        let _ = negotiation.accept_answer(&text);
        let _ = negotiation.accept_answer(&format!("{offer}{text}"));
        Description::parse(&negotiation.create_offer().unwrap()).unwrap();
    });
}
