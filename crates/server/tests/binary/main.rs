//! The binary as people and scripts use it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod restart;
mod stop;
mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Output;

use sluicegate_proto::token::{self, KeyStore};

use support::{Running, command};

fn run(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

fn stdout(args: &[&str]) -> String {
    let output = run(args);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Exit code and what was complained of.
fn complaint(args: &[&str]) -> (Option<i32>, String) {
    let output = run(args);
    (output.status.code(), String::from_utf8(output.stderr).unwrap().trim().to_owned())
}

#[test]
fn subcommands() {
    assert!(stdout(&["--version"]).starts_with("sluicegate 0."));
    let keys = stdout(&["generate-keys"]);
    assert!(keys.starts_with("API Key:     API") && keys.lines().count() == 2, "{keys}");
    assert!(stdout(&["--dev", "ports"]).contains("7882"));
    assert!(stdout(&["help-verbose"]).contains("LIVEKIT_ROOM_EMPTY_TIMEOUT"));
    let text = stdout(&["--keys", "k: s", "create-join-token", "--room", "r", "--identity", "i", "--recorder"]);
    let keys = KeyStore::new([("k".to_owned(), "s".to_owned())].into());
    let now_secs = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let claims = token::verify(&keys, text.trim().strip_prefix("Token: ").unwrap(), now_secs).unwrap();
    let video = claims.video.clone().unwrap();
    assert_eq!((claims.identity(), video.room.as_str(), video.room_join, video.recorder), ("i", "r", true, true));
}

#[test]
fn a_bad_start_says_why() {
    let failed = |text: &str| (Some(1), format!("sluicegate: {text}"));
    assert_eq!(complaint(&[]), failed("one of key-file or keys must be provided"));
    assert_eq!(complaint(&["--dev", "--config-body", "rtc: { udp_prot: 1 }"]), failed("unknown configuration key: rtc.udp_prot"));
    assert_eq!(complaint(&["--dev", "--config-body", "redis: { address: a }"]), failed("redis is not supported yet"));
    assert_eq!(complaint(&["--dev", "--port", "x"]), failed("port: wanted is a port number"));
    assert!(complaint(&["--config", "/nonexistent.yaml"]).1.contains("/nonexistent.yaml"));
    assert_eq!(complaint(&["--nonsense"]).0, Some(2));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, text) = complaint(&["--dev", "--port", &port, "--udp-port", "0", "--rtc.tcp_port=0"]);
    assert_eq!((code, text.contains(&format!("cannot listen on 127.0.0.1 port {port}"))), (Some(1), true), "{text}");
}

#[test]
fn it_starts_answers_and_stops() {
    let mut server = Running::start(&[]);
    assert!(server.address.starts_with("127.0.0.1:"), "{}", server.ready);
    let (_, media) = server.ready.split_once(" media=udp:").unwrap();
    assert!(media.split(',').all(|port| port.parse::<u16>().is_ok()), "{media}");
    let token = server.before.last().unwrap();
    let mut stream = TcpStream::connect(&server.address).unwrap();
    write!(stream, "GET /rtc/validate?access_token={token} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("success"), "{answer}");
    server.terminate();
    let (status, after) = server.ended();
    assert!(status.success());
    assert!(!after.iter().any(|line| line.contains("sluicegate ready")), "ready twice");
}
