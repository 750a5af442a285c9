//! Leaving: by wish, by loss, by force; and the end of the room.

use insta::assert_snapshot;
use sluicegate_contract::command::PcTarget::{Publisher, Subscriber};
use sluicegate_contract::event::TransportState::{Closed, Connected, Disconnected, Failed};
use sluicegate_contract::event::{Event, SessionEnd};
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_request::Message;
use sluicegate_proto::pb::simulate_scenario::Scenario;
use sluicegate_room::input::ApiCall;
use sluicegate_room::{Input, RoomConfig};

use crate::scene::Scene;

fn two() -> Scene {
    let mut scene = Scene::new();
    scene.active("ann").active("ben").wait(10.0).forget();
    scene
}

#[test]
fn a_leave_request_ends_it_at_once() {
    let mut scene = Scene::new();
    scene.active("ann").active("ben").publish("ann", "cam").wait(10.0).forget();
    scene.signal("ann", Message::Leave(pb::LeaveRequest::default())).wait(5.0);
    assert_snapshot!(scene.finish());
}

#[test]
fn signalling_lost_before_it_was_connected() {
    let mut scene = two();
    scene.join("cid", |_| {}).signal_closed("cid");
    assert_snapshot!(scene.finish());
}

#[test]
fn never_connected() {
    let mut scene = two();
    scene.join("cid", |_| {}).wait(59.0);
    scene.note("a minute is over").wait(1.0);
    assert_snapshot!(scene.finish());
}

#[test]
fn signalling_lost_while_media_flows() {
    let mut scene = two();
    scene.signal_closed("ann").wait(120.0);
    scene.note("and now the media, too; it comes back once");
    scene.transport("ann", Subscriber, Disconnected).wait(4.0);
    scene.transport("ann", Subscriber, Connected).wait(10.0);
    scene.transport("ann", Publisher, Disconnected).wait(5.0);
    assert_snapshot!(scene.finish());
}

#[test]
fn media_lost_first_then_signalling() {
    let mut scene = two();
    scene.transport("ann", Subscriber, Disconnected).wait(8.0).signal_closed("ann").wait(5.0);
    assert_snapshot!(scene.finish());
}

#[test]
fn a_failed_transport() {
    let mut scene = two();
    scene.transport("ann", Subscriber, Disconnected).wait(5.0).transport("ann", Subscriber, Failed);
    scene.transport("ann", Publisher, Failed).signal_closed("ann").wait(5.0);
    scene.note("a client of protocol 12 cannot be told to resume");
    scene.join("old", |join| join.client.protocol = 12).connected("old");
    scene.transport("old", Subscriber, Failed).wait(5.0);
    assert_snapshot!(scene.finish());
}

#[test]
fn a_client_closes_its_transports() {
    let mut scene = two();
    scene.note("and its leave request comes behind");
    scene.transport("ann", Publisher, Closed).transport("ann", Subscriber, Closed).wait(1.0);
    scene.signal("ann", Message::Leave(pb::LeaveRequest::default()));
    scene.note("or there is none, and its signalling ends");
    scene.transport("ben", Subscriber, Closed).wait(1.0).signal_closed("ben");
    scene.note("or not even that");
    scene.join("cat", |_| {}).connected("cat").transport("cat", Subscriber, Closed).wait(6.0);
    assert_snapshot!(scene.finish());
}

#[test]
fn the_media_plane_gives_up() {
    let mut scene = two();
    let event = Event::SessionEnded { session: scene.session("ann"), why: SessionEnd::Panicked };
    scene.media("ann panicked", event);
    let event = Event::SessionEnded { session: scene.session("ben"), why: SessionEnd::Overrun };
    scene.media("ben overran", event);
    let (session, target) = (scene.session("ben"), Publisher);
    scene.note("of somebody gone").media("ben failed", Event::NegotiationFailed { session, target, why: String::new() });
    scene.join("cid", |join| join.client.protocol = 12);
    let (session, target) = (scene.session("cid"), Publisher);
    scene.media("cid failed", Event::NegotiationFailed { session, target, why: "no ufrag".to_owned() });
    assert_snapshot!(scene.finish());
}

#[test]
fn simulated_ends() {
    let mut scene = two();
    scene.active("cid").active("dan").forget();
    let mut simulate = |name: &str, scenario| {
        scene.signal(name, Message::Simulate(pb::SimulateScenario { scenario: Some(scenario) }));
    };
    simulate("ann", Scenario::SpeakerUpdate(3));
    simulate("ann", Scenario::ServerLeave(true));
    simulate("ben", Scenario::NodeFailure(true));
    simulate("cid", Scenario::LeaveRequestFullReconnect(true));
    assert_snapshot!(scene.finish());
}

#[test]
fn an_empty_room_ends() {
    let mut scene = Scene::new();
    scene.wait(299.0).note("nobody came").wait(1.0);
    scene.note("nothing comes after the end").join("ann", |_| {}).api(ApiCall::ListParticipants);
    assert_snapshot!(scene.finish());
}

#[test]
fn a_left_room_ends_though_an_agent_stays() {
    let create = pb::CreateRoomRequest { departure_timeout: 30, ..Default::default() };
    let mut scene = Scene::with(RoomConfig::default(), create);
    scene.join("bot", |join| join.claims.kind = "agent".to_owned()).connected("bot").active("ann").wait(400.0).forget();
    scene.signal("ann", Message::Leave(pb::LeaveRequest::default())).wait(29.0);
    scene.note("somebody returns in time").active("ann");
    scene.signal("ann", Message::Leave(pb::LeaveRequest::default())).wait(30.0);
    assert_snapshot!(scene.finish());
}

#[test]
fn deleted() {
    let mut scene = two();
    scene.api(ApiCall::Delete).wait(100.0);
    assert_snapshot!(scene.finish());
}

#[test]
fn the_server_stops() {
    let mut scene = two();
    scene.join("old", |join| join.client.protocol = 12).forget();
    scene.input("the server stops", Input::Shutdown);
    assert_snapshot!(scene.finish());
}

#[test]
fn the_server_stops_in_waves() {
    let mut scene = two();
    scene.input("the server stops, one goes first", Input::SendAway { at_most: 1 });
    scene.join("late", |_| {});
    scene.input("the others", Input::Shutdown);
    assert_snapshot!(scene.finish());
}

/// What the API changes between the waves of a stop is stored, and that those who were sent away are gone is not.
#[test]
fn a_room_that_is_being_emptied_is_stored_as_it_was() {
    let mut scene = Scene::new();
    scene.active("ann").active("ben");
    let update = |scene: &mut Scene, metadata: &str| {
        scene.api(ApiCall::UpdateMetadata { metadata: metadata.to_owned() });
        scene.room.take_saved().map(|saved| (saved.info.metadata, saved.vacancy))
    };
    assert_eq!(update(&mut scene, "before"), Some(("before".to_owned(), None)));
    for metadata in ["one is gone", "nobody is there"] {
        scene.input("a wave", Input::SendAway { at_most: 1 });
        assert_eq!(update(&mut scene, metadata), Some((metadata.to_owned(), None)));
    }
}
