//! Temporary: drives a Negotiation over stdin for a browser.
use sluicegate_rtp::codec::Codec;
use sluicegate_transport::negotiate::*;
use std::io::{BufRead, Read, Write};
fn main() {
    let stdin = std::io::stdin();
    let mut input = stdin.lock();
    let mut n: Option<Negotiation> = None;
    let mut line = String::new();
    let mut hint = PublishHint { dtx: true, ..Default::default() };
    loop {
        line.clear();
        if input.read_line(&mut line).unwrap() == 0 {
            return;
        }
        let w: Vec<&str> = line.split_whitespace().collect();
        let mut body = |len: &str| {
            let mut b = vec![0; len.parse().unwrap()];
            input.read_exact(&mut b).unwrap();
            String::from_utf8(b).unwrap()
        };
        let out = match w[0] {
            "new" => {
                let video = [
                    Codec::Vp8,
                    Codec::H264,
                    Codec::Vp9,
                    Codec::Av1,
                    Codec::H265,
                    Codec::Opus,
                    Codec::Red,
                    Codec::Pcmu,
                    Codec::Pcma,
                ];
                let mut x = Negotiation::new(NegotiationConfig {
                    role: if w[1] == "offer" { Role::Offer } else { Role::Answer },
                    local: LocalParameters {
                        ufrag: "abcdefgh".into(),
                        pwd: "abcdefghijklmnopqrstuvwx".into(),
                        fingerprint: format!("sha-256 {}", ["AB"; 32].join(":")),
                        ice_lite: w[3] == "lite",
                        candidates: vec!["candidate:1 1 udp 2130706431 127.0.0.1 9999 typ host generation 0".into()],
                    },
                    single_pc: w[2] == "single",
                    publish: video.to_vec(),
                    subscribe: video.to_vec(),
                    session_id: 0xFEDC_BA98_7654_3210,
                    first_ssrc: 1000,
                });
                if w.get(4) == Some(&"tcc") {
                    x.set_congestion(Congestion::TransportCc);
                }
                n = Some(x);
                "ok".into()
            }
            "hint" => {
                hint = PublishHint {
                    preferred_codec: w.get(1).and_then(|c| Codec::from_mime(c)),
                    disable_red: w.contains(&"nored"),
                    stereo: w.contains(&"stereo"),
                    dtx: true,
                };
                "ok".into()
            }
            "accept" => {
                let s = body(w[1]);
                match n.as_mut().unwrap().accept_offer(&s, |_| Some(hint)) {
                    Ok(()) => n.as_mut().unwrap().answer(),
                    Err(e) => format!("ERR {e}"),
                }
            }
            "answer" => {
                let s = body(w[1]);
                match n.as_mut().unwrap().accept_answer(&s) {
                    Ok(()) => "ok".into(),
                    Err(e) => format!("ERR {e}"),
                }
            }
            "offer" => n.as_mut().unwrap().create_offer().unwrap(),
            "data" => {
                n.as_mut().unwrap().want_data();
                "ok".into()
            }
            "creds" => {
                n.as_mut().unwrap().set_local_credentials(w[1], w[2]);
                "ok".into()
            }
            "add" => {
                let codec = Codec::from_mime(w[2]).unwrap();
                n.as_mut()
                    .unwrap()
                    .add_sender(SenderSpec {
                        key: w[1].parse().unwrap(),
                        kind: codec.kind(),
                        codec,
                        fmtp: w.get(4).copied().unwrap_or("").into(),
                        stream_id: if w[3].starts_with("TR_s") { "PA_x|camera".into() } else { format!("PA_x|{}", w[3]) },
                        track_id: w[3].into(),
                    })
                    .map_or_else(|e| e.to_string(), |()| "ok".into())
            }
            "remove" => {
                n.as_mut().unwrap().remove_sender(w[1].parse().unwrap());
                "ok".into()
            }
            "state" => {
                let n = n.as_ref().unwrap();
                format!(
                    "mids {:?} failed {:?} outstanding {:?} spare {:?} dirty {} restart {:?}",
                    n.mid_to_track_id(),
                    n.failed().collect::<Vec<_>>(),
                    n.outstanding(),
                    n.spare(),
                    n.needs_offer(),
                    n.remote().map(|r| r.ice_restart)
                )
            }
            "sections" => format!("{:#?}", n.as_ref().unwrap().sections().iter().map(|s| (&s.mid, &s.use_)).collect::<Vec<_>>()),
            _ => "?".into(),
        };
        print!("{}\n{out}", out.len());
        std::io::stdout().flush().unwrap();
    }
}
