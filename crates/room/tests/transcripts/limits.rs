//! Every bound that a client's request or an API call can meet, at its edge and one beyond. docs/limits.md has them all.

use std::collections::HashMap;

use sluicegate_contract::command::{Command, DataChannel};
use sluicegate_contract::event::Event;
use sluicegate_contract::limit::{
    DATA_SUBSCRIPTIONS_PER_SESSION_MAX, DATA_TRACKS_PER_SESSION_MAX, PENDING_TRACKS_MAX, SUBSCRIPTIONS_PER_SESSION_MAX,
    TRACKS_PER_SESSION_MAX,
};
use sluicegate_proto::pb;
use sluicegate_proto::pb::request_response::Reason;
use sluicegate_proto::pb::signal_request::Message;
use sluicegate_proto::pb::signal_response::Message as Response;
use sluicegate_room::config::{
    CANDIDATE_BYTES_MAX, ECHO_BYTES_MAX, FEATURES_MAX, LAYERS_MAX, QUEUED_PER_CID_MAX, RECEIVE_STATES_MAX, RPC_PAYLOAD_BYTES_MAX,
    SDP_BYTES_MAX, TRACK_CODECS_MAX, TRACK_PERMISSIONS_MAX, TRACK_TEXT_BYTES_MAX, TRACKS_PER_REQUEST_MAX,
};
use sluicegate_room::input::{ApiCall, Input, RequestId};
use sluicegate_room::output::ApiError;
use sluicegate_room::{Output, RoomConfig};
use sluicegate_rtp::codec::Codec;

use crate::scene::{Scene, camera, grant, microphone};

fn text(bytes: usize) -> String {
    "x".repeat(bytes)
}

fn somebody() -> Scene {
    let mut scene = Scene::new();
    scene.join("ann", |join| join.claims.video = grant(|grant| grant.can_update_own_metadata = Some(true))).connected("ann");
    scene
}

/// What a request is answered, without writing it down.
fn answers(scene: &mut Scene, message: Message) -> Vec<Output> {
    let request = Box::new(pb::SignalRequest { message: Some(message) });
    scene.room.handle_input(scene.now, Input::Signal { connection: scene.connection("ann"), request });
    std::iter::from_fn(|| scene.room.poll_output()).collect()
}

fn refusal(outputs: &[Output]) -> Option<(Reason, String)> {
    outputs.iter().find_map(|output| match output {
        Output::Signal { response, .. } => match response.message.as_ref()? {
            Response::RequestResponse(refusal) => Some((refusal.reason(), refusal.message.clone())),
            _ => None,
        },
        _ => None,
    })
}

/// A request of a certain size.
type Sized = Box<dyn Fn(usize) -> Message>;

fn track(change: impl Fn(&mut pb::AddTrackRequest, usize) + 'static) -> Sized {
    Box::new(move |size| {
        let mut request = camera("cam");
        change(&mut request, size);
        Message::AddTrack(request)
    })
}

fn update(change: impl Fn(&mut pb::UpdateParticipantMetadata, usize) + 'static) -> Sized {
    Box::new(move |size| {
        let mut update = pb::UpdateParticipantMetadata { request_id: 1, ..Default::default() };
        change(&mut update, size);
        Message::UpdateMetadata(update)
    })
}

fn data_track(change: impl Fn(&mut pb::PublishDataTrackRequest, usize) + 'static) -> Sized {
    Box::new(move |size| {
        let mut request = pb::PublishDataTrackRequest { pub_handle: 1, name: "n".to_owned(), ..Default::default() };
        change(&mut request, size);
        Message::PublishDataTrackRequest(request)
    })
}

#[test]
fn sizes_of_requests() {
    let layers = |size| vec![pb::VideoLayer::default(); size];
    let codec = |layers: Vec<pb::VideoLayer>| pb::SimulcastCodec { codec: "vp8".to_owned(), layers, ..Default::default() };
    let limits = RoomConfig::default().limits;
    let exceeded = Reason::LimitExceeded;
    let cases: Vec<(&str, usize, Sized, Reason)> = vec![
        ("cid", TRACK_TEXT_BYTES_MAX, track(|track, size| track.cid = text(size)), exceeded),
        ("name of a track", TRACK_TEXT_BYTES_MAX, track(|track, size| track.name = text(size)), exceeded),
        ("stream", TRACK_TEXT_BYTES_MAX, track(|track, size| track.stream = text(size)), exceeded),
        ("layers", LAYERS_MAX, track(move |track, size| track.layers = layers(size)), exceeded),
        ("layers of a codec", LAYERS_MAX, track(move |track, size| track.simulcast_codecs = vec![codec(layers(size))]), exceeded),
        ("codecs", TRACK_CODECS_MAX, track(move |track, size| track.simulcast_codecs = vec![codec(Vec::new()); size]), exceeded),
        ("features", FEATURES_MAX, track(|track, size| track.audio_features = vec![1; size]), exceeded),
        ("trailer features", FEATURES_MAX, track(|track, size| track.packet_trailer_features = vec![1; size]), exceeded),
        ("name", limits.name_bytes_max, update(|update, size| update.name = text(size)), exceeded),
        ("metadata", limits.metadata_bytes_max, update(|update, size| update.metadata = text(size)), exceeded),
        (
            "attributes",
            limits.attributes_bytes_max,
            update(|update, size| update.attributes = HashMap::from([("key".to_owned(), text(size - 3))])),
            exceeded,
        ),
        ("name of a data track", 256, data_track(|track, size| track.name = text(size)), Reason::InvalidName),
        (
            "description of a data track",
            1024,
            data_track(|track, size| {
                // handle and name cost 5 bytes, the schema's own frame 6
                let name = text(size - 11);
                track.schema = Some(pb::DataTrackSchemaId { name, ..Default::default() });
            }),
            exceeded,
        ),
    ];
    for (what, max, request, reason) in cases {
        let at = refusal(&answers(&mut somebody(), request(max)));
        assert!(at.as_ref().is_none_or(|(reason, _)| *reason == Reason::Ok), "{what} of {max}: {at:?}");
        let beyond = refusal(&answers(&mut somebody(), request(max + 1)));
        assert_eq!(beyond.map(|(reason, text)| (reason, text.is_empty())), Some((reason, false)), "{what} of {}", max + 1);
    }
}

#[test]
fn announced_tracks() {
    let mut scene = somebody();
    let add = |cid: String| Message::AddTrack(microphone(&cid));
    for n in 0..PENDING_TRACKS_MAX {
        assert_eq!(refusal(&answers(&mut scene, add(format!("m{n}")))), None);
    }
    let pending = refusal(&answers(&mut scene, add("one more".to_owned())));
    assert_eq!(pending, Some((Reason::LimitExceeded, "too many pending tracks".to_owned())));
    // behind one cid
    let mut scene = somebody();
    assert_eq!(refusal(&answers(&mut scene, add("m".to_owned()))), None);
    for _ in 0..QUEUED_PER_CID_MAX {
        assert_eq!(refusal(&answers(&mut scene, add("m".to_owned()))).unwrap().0, Reason::Queued);
    }
    let queued = refusal(&answers(&mut scene, add("m".to_owned())));
    assert_eq!(queued, Some((Reason::LimitExceeded, "too many queued tracks".to_owned())));
    // published
    let mut scene = somebody();
    for n in 0..TRACKS_PER_SESSION_MAX {
        let cid = format!("m{n}");
        scene.signal("ann", add(cid.clone())).started(&cid, Codec::Opus);
    }
    let published = refusal(&answers(&mut scene, add("one more".to_owned())));
    assert_eq!(published, Some((Reason::LimitExceeded, "too many tracks".to_owned())));
}

#[test]
fn data_tracks() {
    let mut scene = somebody();
    let publish = |n: usize| {
        Message::PublishDataTrackRequest(pb::PublishDataTrackRequest {
            pub_handle: n as u32 + 1,
            name: n.to_string(),
            ..Default::default()
        })
    };
    for n in 0..DATA_TRACKS_PER_SESSION_MAX {
        assert_eq!(refusal(&answers(&mut scene, publish(n))), None);
    }
    let beyond = refusal(&answers(&mut scene, publish(DATA_TRACKS_PER_SESSION_MAX)));
    assert_eq!(beyond, Some((Reason::LimitExceeded, "too many data tracks".to_owned())));
}

/// Their names and descriptions together: everybody is told of them all.
#[test]
fn descriptions_of_all_data_tracks() {
    const MOST: usize = 64 << 10;
    let mut scene = somebody();
    let publish = |n: u32, size: usize| {
        let schema = Some(pb::DataTrackSchemaId { name: text(size), ..Default::default() });
        pb::PublishDataTrackRequest { pub_handle: 1000 + n, name: format!("{n:03}"), schema, ..Default::default() }
    };
    let mut sum = 0;
    for n in 0..100 {
        let request = publish(n, 900);
        let bytes = prost::Message::encoded_len(&request);
        let refused = refusal(&answers(&mut scene, Message::PublishDataTrackRequest(request)));
        assert_eq!(refused.is_some(), sum + bytes > MOST, "{sum} and {bytes}: {refused:?}");
        if let Some((reason, _)) = refused {
            assert_eq!(reason, Reason::LimitExceeded);
        } else {
            sum += bytes;
        }
    }
    let end = Message::UnpublishDataTrackRequest(pb::UnpublishDataTrackRequest { pub_handle: 1000 });
    assert_eq!(refusal(&answers(&mut scene, end)), None);
    let again = || Message::PublishDataTrackRequest(publish(100, 900));
    assert_eq!(refusal(&answers(&mut scene, again())), None, "what is over does not count");
    assert!(refusal(&answers(&mut scene, again())).is_some());
}

/// Whoever publishes, and then how many of the tracks somebody else may have.
#[test]
fn subscriptions() {
    let mut scene = Scene::new();
    let people = SUBSCRIPTIONS_PER_SESSION_MAX.div_ceil(TRACKS_PER_SESSION_MAX) + 1;
    for who in 0..people {
        let name = format!("p{who}");
        scene.active(&name);
        for n in 0..TRACKS_PER_SESSION_MAX {
            let cid = format!("m{who}-{n}");
            scene.signal(&name, Message::AddTrack(microphone(&cid))).started(&cid, Codec::Opus).forget();
        }
    }
    let connection = scene.next_connection();
    let late = Box::new(crate::scene::join(connection, "late"));
    scene.room.handle_input(scene.now, Input::Join(late));
    let subscribed = std::iter::from_fn(|| scene.room.poll_output());
    let count = subscribed.filter(|output| matches!(output, Output::Media(Command::Subscribe(_)))).count();
    assert_eq!(count, SUBSCRIPTIONS_PER_SESSION_MAX, "of {}", people * TRACKS_PER_SESSION_MAX);
}

#[test]
fn data_subscriptions() {
    let mut scene = Scene::new();
    scene.active("ben").active("cid").active("dan");
    let mut sids = Vec::new();
    for name in ["ben", "cid", "dan"] {
        for n in 0..DATA_TRACKS_PER_SESSION_MAX {
            let track = format!("{name}{n}");
            let request = pb::PublishDataTrackRequest { pub_handle: n as u32 + 1, name: track.clone(), ..Default::default() };
            scene.signal(name, Message::PublishDataTrackRequest(request)).forget();
            sids.push(scene.data_track_sid(&track));
        }
    }
    scene.active("ann");
    let update = |track_sid: String| pb::update_data_subscription::Update { track_sid, subscribe: true, options: None };
    let updates = sids.into_iter().map(update).collect();
    let outputs = answers(&mut scene, Message::UpdateDataSubscription(pb::UpdateDataSubscription { updates }));
    let count = outputs.iter().filter(|output| matches!(output, Output::Media(Command::SubscribeDataTrack { .. }))).count();
    assert_eq!(count, DATA_SUBSCRIPTIONS_PER_SESSION_MAX);
}

/// What is beyond these is passed over: nobody could tell a client of it.
#[test]
fn what_is_cut() {
    let mut scene = somebody();
    scene.active("ben").publish("ben", "cam");
    let sid = scene.track_sid("cam");
    let unsubscribe = |before: usize| {
        let mut track_sids = vec!["TR_none".to_owned(); before];
        track_sids.push(sid.clone());
        Message::Subscription(pb::UpdateSubscription { track_sids, subscribe: false, ..Default::default() })
    };
    let ends = |outputs: &[Output]| outputs.iter().any(|output| matches!(output, Output::Media(Command::Unsubscribe { .. })));
    assert!(!ends(&answers(&mut scene, unsubscribe(TRACKS_PER_REQUEST_MAX))));
    assert!(ends(&answers(&mut scene, unsubscribe(TRACKS_PER_REQUEST_MAX - 1))));
    // a permission that is too long allows less, never more
    let mut scene = somebody();
    scene.publish("ann", "cam").active("ben");
    let allow = |before: usize| {
        let entry =
            |identity: String| pb::TrackPermission { participant_identity: identity, all_tracks: true, ..Default::default() };
        let mut track_permissions: Vec<_> = (0..before).map(|n| entry(n.to_string())).collect();
        track_permissions.push(entry("ben".to_owned()));
        Message::SubscriptionPermission(pb::SubscriptionPermission { all_participants: false, track_permissions })
    };
    assert!(ends(&answers(&mut scene, allow(TRACK_PERMISSIONS_MAX))), "ben is beyond the end");
    scene.wait(0.1);
    let outputs = answers(&mut scene, allow(TRACK_PERMISSIONS_MAX - 1));
    assert!(outputs.iter().any(|output| matches!(output, Output::Media(Command::Subscribe(_)))), "and just before it");
    // a refusal gives the request back, a large one only its name
    let long = pb::AddTrackRequest { name: text(ECHO_BYTES_MAX), ..camera("cam2") };
    let outputs = answers(&mut scene, Message::AddTrack(long));
    let Output::Signal { response, .. } = &outputs[0] else { panic!("{outputs:?}") };
    assert!(prost::Message::encoded_len(&**response) < 1024);
}

#[test]
fn so_many_senders_are_looked_at() {
    let mut scene = somebody();
    scene.active("ben");
    let packet =
        pb::DataPacket { sequence: 1, value: Some(pb::data_packet::Value::User(Default::default())), ..Default::default() };
    let payload = prost::Message::encode_to_vec(&packet).into();
    let session = scene.session("ben");
    scene.media("ben speaks", Event::Data { session, channel: DataChannel::Reliable, payload });
    let sid = scene.participant_sid("ben");
    let resume = |before: usize| {
        let state = |sid: &str| pb::DataChannelReceiveState { publisher_sid: sid.to_owned(), last_seq: 0 };
        let mut datachannel_receive_states = vec![state("PA_none"); before];
        datachannel_receive_states.push(state(&sid));
        Message::SyncState(pb::SyncState { datachannel_receive_states, ..Default::default() })
    };
    assert!(answers(&mut scene, resume(RECEIVE_STATES_MAX)).is_empty());
    let again = answers(&mut scene, resume(RECEIVE_STATES_MAX - 1));
    assert!(matches!(again[..], [Output::Media(Command::SendData { .. })]), "{again:?}");
}

#[test]
fn the_longest_speech_has_an_end() {
    let mut scene = somebody();
    let scenario = Some(pb::simulate_scenario::Scenario::SpeakerUpdate(i32::MAX));
    scene.signal("ann", Message::Simulate(pb::SimulateScenario { scenario }));
    let count = |scene: &Scene| scene.finish().matches("speakersChanged").count();
    let before = count(scene.wait(59.9));
    assert_eq!(count(scene.wait(0.2)), before + 1);
}

#[test]
fn so_many_may_ask_for_tcp() {
    const MOST: usize = 256;
    let mut scene = Scene::new();
    for n in 0..=MOST {
        let name = format!("p{n}");
        let scenario = pb::simulate_scenario::Scenario::SwitchCandidateProtocol(pb::CandidateProtocol::Tcp as i32);
        scene.active(&name).forget();
        scene.signal(&name, Message::Simulate(pb::SimulateScenario { scenario: Some(scenario) }));
        assert_eq!(scene.finish().contains("RestartIce"), n < MOST, "{n}: {}", scene.finish());
    }
}

#[test]
fn descriptions_and_candidates() {
    let offer = |size| Message::Offer(pb::SessionDescription { r#type: "offer".to_owned(), sdp: text(size), ..Default::default() });
    let is_taken = |outputs: &[Output]| outputs.iter().any(|output| matches!(output, Output::Media(Command::Offer { .. })));
    assert!(is_taken(&answers(&mut somebody(), offer(SDP_BYTES_MAX))));
    let refused = answers(&mut somebody(), offer(SDP_BYTES_MAX + 1));
    assert!(!is_taken(&refused) && format!("{refused:?}").contains("StateMismatch"), "the client joins anew: {refused:?}");
    let trickle = |size: usize| {
        let empty = r#"{"candidate":""}"#.len();
        let candidate_init = format!(r#"{{"candidate":"{}"}}"#, text(size - empty));
        Message::Trickle(pb::TrickleRequest { candidate_init, ..Default::default() })
    };
    let is_taken = |outputs: &[Output]| outputs.iter().any(|output| matches!(output, Output::Media(Command::Candidate { .. })));
    assert!(is_taken(&answers(&mut somebody(), trickle(CANDIDATE_BYTES_MAX))));
    assert!(answers(&mut somebody(), trickle(CANDIDATE_BYTES_MAX + 1)).is_empty());
}

#[test]
fn calls_of_the_api() {
    let limits = RoomConfig::default().limits;
    type Call = Box<dyn Fn(usize) -> ApiCall>;
    let update = |change: fn(&mut pb::UpdateParticipantRequest, usize)| -> Call {
        Box::new(move |size| {
            let mut request = pb::UpdateParticipantRequest { identity: "ann".to_owned(), ..Default::default() };
            change(&mut request, size);
            ApiCall::UpdateParticipant(request)
        })
    };
    let rpc = |change: fn(&mut pb::PerformRpcRequest, usize)| -> Call {
        Box::new(move |size| {
            let mut request = pb::PerformRpcRequest { destination_identity: "ann".to_owned(), ..Default::default() };
            request.method = "m".to_owned();
            change(&mut request, size);
            ApiCall::PerformRpc(request)
        })
    };
    let send = |size| ApiCall::SendData(pb::SendDataRequest { data: vec![0; size], ..Default::default() });
    let cases: Vec<(&str, usize, Call)> = vec![
        ("name", limits.name_bytes_max, update(|request, size| request.name = text(size))),
        ("metadata", limits.metadata_bytes_max, update(|request, size| request.metadata = text(size))),
        (
            "attributes",
            limits.attributes_bytes_max,
            update(|request, size| request.attributes = [("k".into(), text(size - 1))].into()),
        ),
        ("metadata of a room", limits.metadata_bytes_max, Box::new(|size| ApiCall::UpdateMetadata { metadata: text(size) })),
        (
            "metadata of a room that is there",
            limits.metadata_bytes_max,
            Box::new(|size| ApiCall::Configure(pb::CreateRoomRequest { metadata: text(size), ..Default::default() })),
        ),
        ("payload of a call", RPC_PAYLOAD_BYTES_MAX, rpc(|request, size| request.payload = text(size))),
        ("name of a method", 256, rpc(|request, size| request.method = text(size))),
        ("nonce", 16, Box::new(|size| ApiCall::SendData(pb::SendDataRequest { nonce: vec![0; size], ..Default::default() }))),
        // with what it costs to say whose it is
        ("data", sluicegate_proto::data::DATA_BYTES_MAX - 21, Box::new(send)),
    ];
    for (what, max, call) in cases {
        let mut scene = somebody();
        let mut answer = |size| {
            let call = Box::new(call(size));
            scene.room.handle_input(scene.now, Input::Api { request: RequestId(1), call });
            std::iter::from_fn(|| scene.room.poll_output()).find_map(|output| match output {
                Output::ApiAnswer { answer, .. } => Some(answer),
                _ => None,
            })
        };
        assert!(matches!(answer(max), Some(Ok(_)) | None), "{what} of {max}");
        let beyond = answer(max + 1);
        let is_refused = matches!(beyond, Some(Err(ApiError::InvalidArgument(_) | ApiError::Malformed(_))));
        assert!(is_refused, "{what} of {}: {beyond:?}", max + 1);
    }
}
