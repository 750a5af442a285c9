//! The store as its users see it, its file as crashes and strangers leave it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(deprecated, reason = "LiveKit's trunks of old")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use sluicegate_control::store::rows::{self, Change, Hash, Member, Text, Value};
use sluicegate_control::store::{Store, StoreError};
use sluicegate_proto::{Message as _, pb};

/// What comes back under LiveKit's key, in LiveKit's bytes, is what was put.
async fn check<V: Value + PartialEq + std::fmt::Debug>(store: &Store, key: &str, hash: &Hash<V>, value: V) {
    assert_eq!(hash.key(), key);
    assert_eq!(store.get(hash, "id").await, Ok(None), "{key}");
    store.commit([hash.put("id", &value)]).await.unwrap();
    assert_eq!(store.get(hash, "id").await.unwrap().as_ref(), Some(&value), "{key}");
    assert_eq!(store.list(hash).await, Ok(vec![("id".to_owned(), value)]), "{key}");
    store.commit([hash.delete("id")]).await.unwrap();
    assert!(store.list(hash).await.unwrap().is_empty(), "{key}");
}

#[tokio::test]
async fn every_row_has_livekits_key() {
    let store = &Store::in_memory().unwrap();
    let text = |text: &str| text.to_owned();
    check(store, "rooms", &rows::ROOMS, pb::Room { sid: text("RM_a"), ..Default::default() }).await;
    let internal = pb::RoomInternal { sync_streams: true, ..Default::default() };
    check(store, "room_internal", &rows::ROOM_INTERNAL, internal).await;
    check(store, "sluicegate_room_empty", &rows::ROOM_EMPTY, Text(text("never|1"))).await;
    check(store, "egress", &rows::EGRESS, pb::EgressInfo { egress_id: text("EG_a"), ..Default::default() }).await;
    check(store, "ended_egress", &rows::ENDED_EGRESS, Text(text("r|1"))).await;
    check(store, "egress:room:r", &rows::egress_of("r"), Member).await;
    check(store, "ingress", &rows::INGRESS, pb::IngressInfo { ingress_id: text("IN_a"), ..Default::default() }).await;
    check(store, "{ingress}_stream_key", &rows::INGRESS_STREAM_KEY, Text(text("IN_a"))).await;
    let state = pb::IngressState { room_id: text("RM_a"), ..Default::default() };
    check(store, "{ingress}_state:IN_a", &rows::ingress_state("IN_a"), state).await;
    check(store, "room_{ingress}:r", &rows::ingress_of("r"), Member).await;
    let dispatch = pb::AgentDispatch { agent_name: text("a"), ..Default::default() };
    check(store, "agent_dispatch:r", &rows::agent_dispatch("r"), dispatch).await;
    check(store, "agent_job:r", &rows::agent_job("r"), pb::Job { id: text("AJ_a"), ..Default::default() }).await;
    let trunk = pb::SipTrunkInfo { sip_trunk_id: text("ST_a"), ..Default::default() };
    check(store, "sip_trunk", &rows::SIP_TRUNK, trunk).await;
    let inbound = pb::SipInboundTrunkInfo { sip_trunk_id: text("ST_b"), ..Default::default() };
    check(store, "sip_inbound_trunk", &rows::SIP_INBOUND_TRUNK, inbound).await;
    let outbound = pb::SipOutboundTrunkInfo { sip_trunk_id: text("ST_c"), ..Default::default() };
    check(store, "sip_outbound_trunk", &rows::SIP_OUTBOUND_TRUNK, outbound).await;
    let rule = pb::SipDispatchRuleInfo { sip_dispatch_rule_id: text("SDR_a"), ..Default::default() };
    check(store, "sip_dispatch_rule", &rows::SIP_DISPATCH_RULE, rule).await;
}

fn room(sid: impl Into<String>) -> pb::Room {
    pb::Room { sid: sid.into(), metadata: "m".repeat(500), ..Default::default() }
}

fn put(name: &str) -> Change {
    rows::ROOMS.put(name, &room(format!("RM_{name}")))
}

async fn names(store: &Store) -> Vec<String> {
    store.list(&rows::ROOMS).await.unwrap().into_iter().map(|(name, _)| name).collect()
}

#[tokio::test]
async fn what_waits_is_read_and_the_newest_wins() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    store.commit([put("a"), put("b")]).await.unwrap();
    store.later([rows::ROOMS.delete("a"), put("c"), rows::ROOMS.put("b", &room("other"))]);
    assert_eq!(names(&store).await, ["b", "c"], "though nothing is written");
    assert_eq!(store.get(&rows::ROOMS, "a").await, Ok(None));
    assert_eq!(store.get(&rows::ROOMS, "b").await.unwrap().unwrap().sid, "other");
    assert_eq!(store.counts().waiting, 3);
    store.flush().await.unwrap();
    assert_eq!(store.counts().waiting, 0);
    // a key is no prefix of another
    store.commit([rows::egress_of("r").put("x", &Member), rows::egress_of("r2").put("y", &Member)]).await.unwrap();
    assert_eq!(store.list(&rows::egress_of("r")).await.unwrap().len(), 1);
    store.later([put("d")]);
    store.close();
    assert_eq!(store.flush().await, Err(StoreError::Closed));
    let again = Store::open(directory.path()).unwrap();
    assert_eq!(names(&again).await, ["b", "c", "d"], "closing writes what waits");
    let value = again.get(&rows::ROOMS, "b").await.unwrap().unwrap();
    assert_eq!(value.encode_to_vec(), room("other").encode_to_vec());
}

#[tokio::test]
async fn changes_that_nobody_waits_for_are_written_by_themselves() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    store.later([put("a")]);
    let written = async {
        while store.counts().waiting > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), written).await.unwrap();
}

#[tokio::test]
async fn one_at_a_time_and_closed_to_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("made/here");
    let store = Store::open(&directory).unwrap();
    let path = Store::path(&directory).display().to_string();
    assert_eq!(Store::open(&directory).unwrap_err(), StoreError::Locked { path });
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&directory), mode(&Store::path(&directory))), (0o700, 0o600));
    store.close();
    Store::open(&directory).unwrap();
}

#[test]
fn what_we_cannot_read_we_leave_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = Store::path(directory.path());
    let refused = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let error = Store::open(directory.path()).unwrap_err();
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{error}");
        error.to_string()
    };
    for bytes in [b"no database".as_slice(), &[0; 5000], &[255; 100_000]] {
        let text = refused(bytes);
        assert!(text.contains(&path.display().to_string()) && text.contains("damaged") && text.contains("backup"), "{text}");
    }
    std::fs::remove_file(&path).unwrap();
    let about: redb::TableDefinition<'_, &str, u64> = redb::TableDefinition::new("sluicegate");
    let write = |format: u64| {
        let database = redb::Database::create(&path).unwrap();
        let writing = database.begin_write().unwrap();
        writing.open_table(about).unwrap().insert("format", format).unwrap();
        writing.commit().unwrap();
    };
    write(2);
    let text = Store::open(directory.path()).unwrap_err().to_string();
    assert!(text.contains("newer") && text.contains(&path.display().to_string()), "{text}");
    std::fs::remove_file(&path).unwrap();
    let database = redb::Database::create(&path).unwrap();
    let writing = database.begin_write().unwrap();
    let other: redb::TableDefinition<'_, &str, u64> = redb::TableDefinition::new("other");
    writing.open_table(other).unwrap().insert("a", 1).unwrap();
    writing.commit().unwrap();
    drop(database);
    assert!(matches!(Store::open(directory.path()), Err(StoreError::Damaged { .. })));
}

/// Wherever a byte is wrong: either nothing is lost by it, or the file is refused.
#[tokio::test]
async fn damage_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let all: Vec<String> = (0..200).map(|number| format!("{number:04}")).collect();
    store.commit(all.iter().map(|name| put(name))).await.unwrap();
    let wanted = store.list(&rows::ROOMS).await.unwrap();
    store.close();
    let path = Store::path(directory.path());
    let whole = std::fs::read(&path).unwrap();
    let used: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    let mut refused = 0;
    for at in used.iter().copied().step_by(used.len() / 60) {
        let mut broken = whole.clone();
        broken[at] ^= 0x55;
        std::fs::write(&path, &broken).unwrap();
        match Store::open(directory.path()) {
            Ok(store) => {
                assert_eq!(store.list(&rows::ROOMS).await.unwrap(), wanted, "byte {at}");
                store.close();
            }
            Err(StoreError::Damaged { .. }) => refused += 1,
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
    assert!(refused > 30, "{refused}");
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(matches!(Store::open(directory.path()), Err(StoreError::Damaged { .. })));
}

const DIRECTORY: &str = "SLUICEGATE_TEST_STORE";

/// Killed in the middle of its writing: all that was answered is there, and of what was committed together all or nothing.
#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_child_that_is_killed", "--ignored", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
        let mut answered = Vec::new();
        for line in lines {
            let Some(name) = line.strip_prefix("answered ") else { continue };
            answered.push(name.to_owned());
            if answered.len() == 50 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let there = names(&store).await;
        for name in &answered {
            assert!(there.contains(name) && there.contains(&format!("{name}-twin")), "round {round}: {name}");
        }
        assert_eq!(there.iter().filter(|name| name.ends_with("-twin")).count() * 2, there.len(), "round {round}: halves");
        assert!(answered.len() >= 50);
        store.close();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the child of the test above"]
async fn the_child_that_is_killed() {
    let store = Store::open(Path::new(&std::env::var(DIRECTORY).unwrap())).unwrap();
    let process = std::process::id();
    let writers = (0..8).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 0.. {
                let name = format!("{process}-{writer}-{number}");
                store.commit([put(&name), put(&format!("{name}-twin"))]).await.unwrap();
                println!("answered {name}");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}
