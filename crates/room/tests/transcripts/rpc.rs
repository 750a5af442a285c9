//! The server calls methods of participants.

use insta::assert_snapshot;
use sluicegate_contract::command::{Command, DataChannel};
use sluicegate_contract::event::Event;
use sluicegate_proto::pb::data_packet::Value;
use sluicegate_proto::pb::rpc_response::Value as Answered;
use sluicegate_proto::{Message as _, pb};
use sluicegate_room::input::{ApiCall, Input, RequestId};
use sluicegate_room::output::{ApiError, ApiReply};
use sluicegate_room::{Output, config};

use crate::scene::{Scene, grant};

fn call(identity: &str, timeout_ms: u32) -> ApiCall {
    ApiCall::PerformRpc(pb::PerformRpcRequest {
        room: "lobby".to_owned(),
        destination_identity: identity.to_owned(),
        method: "greet".to_owned(),
        payload: "hi".to_owned(),
        response_timeout_ms: timeout_ms,
    })
}

/// Calls without writing it down, and says by which id.
fn ask(scene: &mut Scene, request: u64, identity: &str, timeout_ms: u32) -> Result<String, ApiError> {
    let call = Box::new(call(identity, timeout_ms));
    scene.room.handle_input(scene.now, Input::Api { request: RequestId(request), call });
    match scene.room.poll_output() {
        Some(Output::Media(Command::SendData { payload, .. })) => match pb::DataPacket::decode(payload).unwrap().value {
            Some(Value::RpcRequest(rpc)) => Ok(rpc.id),
            other => panic!("{other:?}"),
        },
        Some(Output::ApiAnswer { answer: Err(error), .. }) => Err(error),
        other => panic!("{other:?}"),
    }
}

fn say(scene: &mut Scene, from: &str, value: Value) -> Vec<Output> {
    let packet = pb::DataPacket { value: Some(value), ..Default::default() };
    let event =
        Event::Data { session: scene.session(from), channel: DataChannel::Reliable, payload: packet.encode_to_vec().into() };
    scene.room.handle_input(scene.now, Input::Media(event));
    std::iter::from_fn(|| scene.room.poll_output()).collect()
}

fn ack(id: &str) -> Value {
    Value::RpcAck(pb::RpcAck { request_id: id.to_owned() })
}

fn response(id: &str) -> Value {
    let value = Some(Answered::Payload("hello".to_owned()));
    Value::RpcResponse(pb::RpcResponse { request_id: id.to_owned(), value })
}

#[test]
fn calls_that_nobody_answers() {
    let mut scene = Scene::new();
    scene.active("ann").active("ben").forget();
    scene.note("no word at all").api(call("ann", 0)).wait(8.0);
    scene.note("its time is shorter than an acknowledgement's").api(call("ann", 2000)).wait(3.0);
    scene.note("nobody").api(call("nobody", 0));
    scene.note("ben goes").api(call("ben", 0)).api(ApiCall::RemoveParticipant { identity: "ben".to_owned() });
    scene.note("the room goes").api(call("ann", 0)).api(ApiCall::Delete);
    let text = scene.finish();
    // ids are random
    let id = |word: &str| if word.contains("RPC_") { "\"RPC\"".to_owned() } else { word.to_owned() };
    let lines = text.lines().map(|line| line.split([',', '}']).map(id).collect::<Vec<_>>().join(","));
    assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_acknowledged_have_their_time() {
    let mut scene = Scene::new();
    scene.active("ann").active("ben");
    scene.join("mute", |join| join.claims.video = grant(|grant| grant.can_publish_data = Some(false))).connected("mute");
    let id = ask(&mut scene, 7, "mute", 0).unwrap();
    // others answer for nobody, and what they say goes its own way
    assert!(say(&mut scene, "ben", response(&id)).iter().all(|output| !matches!(output, Output::ApiAnswer { .. })));
    let is_passed_on = |outputs: &[Output]| outputs.iter().any(|output| matches!(output, Output::Media(Command::SendData { .. })));
    let acknowledged = say(&mut scene, "mute", ack(&id));
    assert!(!is_passed_on(&acknowledged), "it is the server's");
    scene.forget().wait(8.0);
    assert!(!scene.finish().contains("answer"), "{}", scene.finish());
    let answered = say(&mut scene, "mute", response(&id));
    assert!(!is_passed_on(&answered));
    let answers = answered.iter().filter_map(|output| match output {
        Output::ApiAnswer { request, answer: Ok(ApiReply::Payload(payload)) } => Some((request.0, payload.as_str())),
        _ => None,
    });
    assert_eq!(answers.collect::<Vec<_>>(), [(7, "hello")]);
    // acknowledged and forgotten
    let id = ask(&mut scene, 8, "mute", 9000).unwrap();
    say(&mut scene, "mute", ack(&id));
    scene.forget().wait(9.5);
    assert!(scene.finish().contains("answer Canceled(\"RpcError 1502: Response timeout\")"), "{}", scene.finish());
}

#[test]
fn the_longest_call_has_an_end() {
    let mut scene = Scene::new();
    scene.active("ann");
    let id = ask(&mut scene, 1, "ann", u32::MAX).unwrap();
    say(&mut scene, "ann", ack(&id));
    let most = config::RPC_TIMEOUT_MAX.as_secs_f64();
    scene.forget().wait(most - 0.1);
    assert!(!scene.finish().contains("answer"));
    scene.wait(0.2);
    assert!(scene.finish().contains("RpcError 1502"));
}

#[test]
fn so_many_calls_and_no_more() {
    let mut scene = Scene::new();
    scene.active("ann");
    for request in 0..config::RPCS_PENDING_MAX as u64 {
        ask(&mut scene, request, "ann", 0).unwrap();
    }
    assert!(matches!(ask(&mut scene, 9999, "ann", 0), Err(ApiError::ResourceExhausted(_))));
    scene.forget().wait(7.0);
    assert_eq!(scene.finish().matches("RpcError 1501").count(), config::RPCS_PENDING_MAX);
    ask(&mut scene, 1, "ann", 0).unwrap();
}
