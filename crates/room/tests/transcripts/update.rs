//! Names, metadata, attributes, counts, tokens: what changes while people are there.

use std::collections::HashMap;

use insta::assert_snapshot;
use sluicegate_contract::event::Event;
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_request::Message;

use crate::scene::{Scene, grant};

fn metadata(change: impl FnOnce(&mut pb::UpdateParticipantMetadata)) -> Message {
    let mut update = pb::UpdateParticipantMetadata { request_id: 5, ..Default::default() };
    change(&mut update);
    Message::UpdateMetadata(update)
}

fn attributes<const N: usize>(pairs: [(&str, &str); N]) -> HashMap<String, String> {
    pairs.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

#[test]
fn own_metadata() {
    let mut scene = Scene::new();
    let may = |join: &mut sluicegate_room::input::Join| {
        join.claims.video = grant(|grant| grant.can_update_own_metadata = Some(true));
    };
    scene.join("ann", may).connected("ann").active("ben").join("old", |join| {
        may(join);
        join.client.protocol = 14;
    });
    scene.wait(10.0).forget();
    scene.signal("ann", metadata(|update| update.metadata = "new".to_owned()));
    scene.note("two more in a row are told together");
    scene.signal("ann", metadata(|update| update.name = "Ann A.".to_owned()));
    scene.signal("ann", metadata(|update| update.attributes = attributes([("a", "1")]))).wait(1.0);
    scene.note("an empty value deletes").signal("ann", metadata(|update| update.attributes = attributes([("a", "")])));
    scene.note("nothing new").signal("ann", metadata(|update| update.metadata = "new".to_owned()));
    scene.note("without the right to").signal("ben", metadata(|update| update.metadata = "no".to_owned()));
    scene.note("OK is only for clients that know it").signal("old", metadata(|update| update.metadata = "x".to_owned()));
    assert_snapshot!(scene.finish());
}

#[test]
fn limits_of_metadata() {
    let mut scene = Scene::new();
    scene.join("ann", |join| join.claims.video = grant(|grant| grant.can_update_own_metadata = Some(true))).forget();
    let refused = |scene: &mut Scene, message: Message| {
        scene.forget().signal("ann", message);
        let transcript = scene.finish();
        assert_eq!(transcript.matches("LIMIT_EXCEEDED").count(), 1);
        assert!(!transcript.contains("< update"));
    };
    refused(&mut scene, metadata(|update| update.name = "x".repeat(257)));
    refused(&mut scene, metadata(|update| update.metadata = "x".repeat((512 << 10) + 1)));
    refused(&mut scene, metadata(|update| update.attributes = attributes([("k", &"x".repeat(64 << 10))])));
    // What is there already counts.
    scene.signal("ann", metadata(|update| update.attributes = attributes([("a", &"x".repeat(40_000))])));
    refused(&mut scene, metadata(|update| update.attributes = attributes([("b", &"x".repeat(40_000))])));
    scene.wait(1.0).forget().signal("ann", metadata(|update| update.name = "x".repeat(256)));
    assert!(scene.finish().contains("< update"));
}

#[test]
fn counts_are_gathered_and_tokens_kept_fresh() {
    let mut scene = Scene::new();
    scene.active("ann").active("ben").wait(2.0);
    scene.note("the next counts come five seconds after the last ones");
    scene.publish("ann", "cam").wait(5.0).note("tokens").wait(300.0);
    assert_snapshot!(scene.finish());
}

#[test]
fn connection_quality() {
    let mut scene = Scene::new();
    scene.active("ann").active("ben").join("old", |join| join.client.protocol = 4).connected("old");
    scene.join("spy", |join| join.claims.video = crate::scene::grant(|grant| grant.hidden = true)).connected("spy").forget();
    let judge = |scene: &mut Scene, name: &str, score: u8| {
        let session = scene.session(name);
        scene.media(&format!("{name} {score}"), Event::Quality { session, score });
    };
    judge(&mut scene, "ann", 99);
    judge(&mut scene, "spy", 99);
    scene.wait(1.0).note("nothing new").forget();
    judge(&mut scene, "ann", 97);
    scene.wait(5.0).note("bad, and whoever comes learns of everybody");
    judge(&mut scene, "ann", 5);
    scene.join("cid", |join| join.client.protocol = 10).connected("cid");
    scene.wait(1.0);
    judge(&mut scene, "cid", 99);
    scene.wait(1.0);
    assert_snapshot!(scene.finish());
}
