//! What outlives the process, and what happens where nothing can be written.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::json;

use crate::complaint;
use crate::support::{PATIENCE, Running, command};

#[test]
fn a_room_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = Running::on(directory.path());
    assert_eq!(first.create("kept", "what it is about").0, 200);
    assert_eq!(first.create("deleted", "").0, 200);
    assert_eq!(first.api("DeleteRoom", &json!({ "room": "deleted" })).0, 200);
    let before = first.rooms();
    assert_eq!((before.len(), before[0][2].as_str()), (1, "what it is about"));

    // one writer
    let data_dir = directory.path().to_str().unwrap();
    let again = ["--dev", "--port", "0", "--udp-port", "0", "--rtc.tcp_port=0", "--data-dir", data_dir];
    let (code, text) = complaint(&again);
    assert_eq!((code, text.contains("store.redb is in use by another process")), (Some(1), true), "{text}");

    first.child.kill().unwrap();
    first.child.wait().unwrap();
    let second = Running::on(directory.path());
    assert_eq!(second.rooms(), before);
    assert_eq!(second.api("DeleteRoom", &json!({ "room": "kept" })).0, 200);
}

#[test]
fn everything_that_was_answered_survives_a_kill_in_the_middle() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = Running::on(directory.path());
    let is_killed = AtomicBool::new(false);
    let create = |client: usize| {
        let mut answered = Vec::new();
        let create = |name: &str| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| first.create(name, "m"))).ok();
        while !is_killed.load(Ordering::SeqCst) {
            let name = format!("{client}-{}", answered.len());
            let Some((200, room)) = create(&name) else { break };
            answered.push((name, room["sid"].as_str().unwrap().to_owned()));
        }
        answered
    };
    let pid = first.child.id().to_string();
    let answered: Vec<(String, String)> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|client| scope.spawn(move || create(client))).collect();
        while first.rooms().len() < 40 {}
        assert!(Command::new("sh").args(["-c", "kill -KILL $0", &pid]).status().unwrap().success());
        is_killed.store(true, Ordering::SeqCst);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    first.child.wait().unwrap();
    let second = Running::on(directory.path());
    let there = second.rooms();
    assert!(answered.len() >= 36, "{}", answered.len());
    for (name, sid) in answered {
        assert!(there.iter().any(|room| room[0] == name && room[1] == sid), "{name} of {there:?}");
    }
}

/// Nor is one needed: there may be no place where files can be made.
#[test]
fn without_a_directory_no_file_is_made() {
    let temporary = tempfile::tempdir().unwrap();
    let nowhere = temporary.path().join("nowhere");
    let mut server = Running::run(command(&[]).env("TMPDIR", &nowhere).current_dir("/"), &[]);
    assert_eq!(server.create("room", "what it is about").0, 200);
    assert_eq!(server.rooms().len(), 1);
    assert!(!nowhere.exists());
    server.terminate();
    assert!(server.ended().0.success());
}

/// A server whose files may not grow beyond a few MiB, the same to the database as a full disk; the sids of the rooms that it
/// stored, before it could not.
fn fill(directory: &Path) -> (Running, Vec<String>) {
    let limited = r#"trap "" XFSZ; ulimit -S -f 4096; exec "$0" "$@""#;
    let binary = env!("CARGO_BIN_EXE_sluicegate");
    let data_dir = ["--data-dir", directory.to_str().unwrap()];
    let server = Running::run(Command::new("sh").args(["-c", limited, binary]).env_clear(), &data_dir);
    let metadata = "x".repeat(300_000);
    let mut stored = Vec::new();
    let refused = loop {
        // names in the order of their making
        let (status, answer) = server.create(&format!("{:03}", stored.len()), &metadata);
        match status {
            200 => stored.push(answer["sid"].as_str().unwrap().to_owned()),
            _ => break (status, answer),
        }
        assert!(stored.len() < 40, "there is no limit");
    };
    assert_eq!((refused.0, refused.1["code"].as_str()), (503, Some("unavailable")), "{refused:?}");
    let text = refused.1["msg"].as_str().unwrap();
    assert!(text.starts_with("it is done, but would not survive a restart"), "{text}");
    assert!(!stored.is_empty());
    (server, stored)
}

fn metric(server: &Running, name: &str) -> u64 {
    let (_, page) = server.get("/metrics");
    page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or_else(|| panic!("no {name} in {page}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_harms_no_call() {
    let directory = tempfile::tempdir().unwrap();
    let (mut server, stored) = fill(directory.path());
    // all goes on in memory
    assert_eq!(server.rooms().len(), stored.len() + 1);
    let client = server.join("call", "ann").await;
    assert_eq!(server.rooms().len(), stored.len() + 2);
    assert!(metric(&server, "sluicegate_store_failures_total ") > 0 && metric(&server, "sluicegate_store_waiting ") > 0);
    assert_eq!(server.get("/").0, 200);
    drop(client);
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let log = server.log();
    assert_eq!(log.matches("does not survive a restart").count(), 1, "{log}");
    // what was answered is there
    let sids: Vec<String> = Running::on(directory.path()).rooms().into_iter().map(|[_, sid, ..]| sid).collect();
    assert_eq!(sids, stored);
}

#[test]
fn what_waited_is_written_when_there_is_room_again() {
    let directory = tempfile::tempdir().unwrap();
    let (mut server, stored) = fill(directory.path());
    let pid = server.child.id().to_string();
    assert!(Command::new("prlimit").args(["--fsize=unlimited", "--pid", &pid]).status().unwrap().success());
    let begin = Instant::now();
    while metric(&server, "sluicegate_store_waiting ") > 0 {
        assert!(begin.elapsed() < PATIENCE, "nothing is written");
    }
    assert_eq!(server.create("more", "").0, 200);
    let before = server.rooms();
    assert_eq!(before.len(), stored.len() + 2);
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    assert_eq!(Running::on(directory.path()).rooms(), before);
}
