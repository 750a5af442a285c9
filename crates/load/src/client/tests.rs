use sluicegate_transport::address::LocalAddress;
use sluicegate_transport::negotiate::PublishHint;
use sluicegate_transport::transport::{Transport, TransportConfig};

use super::*;
use crate::offer;

fn client(certificate: &Certificate, publish: Vec<PublishSpec>) -> Client {
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let config = ClientConfig {
        addresses: [address(1), address(2)],
        certificate: certificate.clone(),
        publish,
        open_channels: true,
        single: false,
        first_ssrc: 100,
        ntp: Duration::from_secs(1),
    };
    Client::new(Instant::now(), config)
}

fn layers() -> Vec<LayerSpec> {
    ["q", "h", "f"].map(|rid| LayerSpec { rid, width: 320, height: 180, bitrate: 1 }).to_vec()
}

/// Our server's answer to the client's offer.
fn answer(certificate: &Certificate, offer: &str) -> String {
    let candidates = [LocalAddress::udp(SocketAddr::from(([127, 0, 0, 1], 9)))];
    let config = TransportConfig {
        role: Role::Answer,
        single_pc: false,
        ice_lite: false,
        certificate,
        candidates: &candidates,
        worker: 0,
        publish_codecs: &Codec::ALL,
        subscribe_codecs: &Codec::ALL,
        session_id: 1,
        first_ssrc: 1,
    };
    let mut server = Transport::new(Instant::now(), config);
    server.accept_offer(Instant::now(), offer, |_| Some(PublishHint::default())).unwrap()
}

#[test]
fn a_server_takes_the_offer_and_its_answer_is_understood() {
    let certificate = Certificate::generate().unwrap();
    let video = PublishSpec { layers: layers(), ..PublishSpec::new("cam", Codec::H264) };
    let mut client = client(&certificate, vec![PublishSpec::new("mic", Codec::Opus), video]);
    client.handle_join(Instant::now(), &pb::JoinResponse { ping_interval: 5, ..Default::default() });
    let mut added = Vec::new();
    let mut sdp = String::new();
    while let Some(Output::Signal(request)) = client.poll_output() {
        match request.message {
            Some(signal_request::Message::AddTrack(add)) => added.push(add),
            Some(signal_request::Message::Offer(offer)) => sdp = offer.sdp,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((added.len(), added[0].layers.len(), added[1].layers.len()), (2, 0, 3));
    let sdp = answer(&certificate, &sdp);
    let read = offer::read_answer(&sdp).unwrap();
    assert!(read.data && read.remote.dtls_active && read.candidates.len() == 1, "{sdp}");
    client.handle_answer(Instant::now(), &pb::SessionDescription { sdp, ..Default::default() });
    let numbers: Vec<_> = client.publications.iter().map(|p| (p.track, p.payload_type())).collect();
    assert_eq!(numbers, [(0, 111), (1, 108), (1, 108), (1, 108)]);
    let mut ssrcs: Vec<u32> = client.publications.iter().map(Publication::ssrc).collect();
    ssrcs.dedup();
    assert_eq!(ssrcs.len(), 4);
}

#[test]
fn pings_are_sent_as_the_server_asks() {
    let certificate = Certificate::generate().unwrap();
    let mut client = client(&certificate, Vec::new());
    let now = Instant::now();
    client.handle_join(now, &pb::JoinResponse { ping_interval: 5, ..Default::default() });
    while client.poll_output().is_some() {}
    client.handle_timeout(now + Duration::from_secs(5));
    let mut outputs = std::iter::from_fn(|| client.poll_output());
    let is_ping = |output: Output| match output {
        Output::Signal(request) => matches!(request.message, Some(signal_request::Message::PingReq(_))),
        _ => false,
    };
    assert!(outputs.any(is_ping));
}
