//! The end: nobody new, a while for those who are there, then they are told to come back.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use sluicegate_proto::pb;

use crate::support::{PATIENCE, Running, command};

fn comes_back(leave: &pb::LeaveRequest) {
    let seen = (leave.action(), leave.reason());
    assert_eq!(seen, (pb::leave_request::Action::Reconnect, pb::DisconnectReason::ServerShutdown));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_time_to_drain_clients_are_told_to_come_back() {
    let mut server = Running::start(&["--drain_timeout=2"]);
    let mut client = server.join("room", "ann").await;
    let begin = Instant::now();
    server.terminate();
    assert_eq!(server.wait_until_not_ready(), "Not Ready\nthe server is shutting down");
    comes_back(&client.leave().await);
    assert!(begin.elapsed() >= Duration::from_secs(2), "{:?}", begin.elapsed());
    assert!(server.ended().0.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_hurries_it() {
    let mut server = Running::start(&["--drain_timeout=3600"]);
    let mut client = server.join("room", "ann").await;
    server.terminate();
    server.wait_until_not_ready();
    server.terminate();
    comes_back(&client.leave().await);
    assert!(server.ended().0.success());
}

#[test]
fn where_nobody_is_nobody_is_waited_for() {
    let mut server = Running::start(&["--drain_timeout=3600"]);
    assert_eq!(server.create("empty", "").0, 200);
    server.terminate();
    assert!(server.ended().0.success());
}

#[test]
fn a_service_manager_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let next = || {
        let mut bytes = [0; 1024];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    let mut server = Running::run(command(&[]).env("NOTIFY_SOCKET", &path), &[]);
    assert_eq!(next(), "READY=1\nSTATUS=serving\n");
    server.terminate();
    assert_eq!(next(), "STOPPING=1\nSTATUS=draining: 0 participants, 0 s at most\n");
    assert!(server.ended().0.success());
}
