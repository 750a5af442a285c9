use proptest::prelude::*;
use serde_json::json;

use super::*;

fn check(yaml: &str) -> Result<Value, String> {
    Document::parse(yaml).and_then(|document| document.check(true)).map(|(value, _)| value).map_err(|error| error.to_string())
}

#[test]
fn what_is_wrong_is_named_with_its_path() {
    for (yaml, wanted) in [
        ("prot: 1", "unknown configuration key: prot"),
        ("rtc:\n  udp_prot: 1", "unknown configuration key: rtc.udp_prot"),
        ("rtc:\n  interfaces:\n    include: [a]", "unknown configuration key: rtc.interfaces.include"),
        ("rtc:\n  use_mdns: true", "rtc.use_mdns is not supported yet"),
        ("redis:\n  address: localhost:6379", "redis is not supported yet"),
        ("turn:\n  enabled: true", "turn is not supported yet"),
        ("port: http", "port: wanted is a port number"),
        ("port: 65536", "port: wanted is a port number"),
        ("rtc:\n  udp_port: 8-7", "rtc.udp_port: wanted is a port number or a range as 7882-7883"),
        ("rtc: 7", "rtc: wanted is a map"),
        ("development: maybe", "development: wanted is true or false"),
        ("rtc:\n  node_ip: here", "rtc.node_ip: wanted is an IP address, or a map of ipv4 and ipv6"),
        ("rtc:\n  ips: { excludes: [10.0.0.0/33] }", "rtc.ips.excludes: wanted is a list of networks as 192.0.2.0/24"),
        ("room:\n  enabled_codecs: [opus]", "room.enabled_codecs: wanted is a list of codecs with a mime each"),
        ("- port", "the configuration is no map"),
    ] {
        assert_eq!(check(yaml), Err(wanted.to_owned()), "{yaml}");
    }
    assert!(check("port: 1\nport: 2").is_err());
    assert!(check("port: [").is_err());
}

#[test]
fn what_is_off_may_stand() {
    let yaml = "
rtc: { use_mdns: false, turn_servers: [], batch_io: { batch_size: 0 } }
turn: { enabled: false, domain: turn.example.com, tls_port: 5349 }
redis: {}
webhook:
audio: { active_level: 0 }
region:
";
    assert_eq!(check(yaml), Ok(json!({ "rtc": {} })));
    for nothing in ["", "# nothing\n", "---\n"] {
        assert_eq!(check(nothing), Ok(json!({})), "{nothing:?}");
    }
}

#[test]
fn values_take_their_form() {
    let yaml = "
keys: { abc: 007, def: 'x: y', ghi: 1e3 }
prometheus: { port: 9090, username: 01, password: 0x10 }
region: 12
rtc:
  udp_port: 7882 - 7885
  node_ip: { ipv4: 192.0.2.1, ipv6: '2001:db8::1' }
  ips: { includes: [10.0.0.0/8, 192.0.2.1] }
room:
  enabled_codecs: [{ mime: audio/opus, fmtp_line: x }]
";
    let wanted = json!({
        "keys": { "abc": "007", "def": "x: y", "ghi": "1e3" },
        "prometheus": { "port": 9090, "username": "01", "password": "0x10" },
        "region": "12",
        "rtc": { "udp_port": [7882, 7885], "node_ip": ["192.0.2.1", "2001:db8::1"], "ips": { "includes": ["10.0.0.0/8", "192.0.2.1/32"] } },
        "room": { "enabled_codecs": ["audio/opus"] },
    });
    assert_eq!(check(yaml), Ok(wanted));
}

#[test]
fn not_strict_passes_over() {
    let document = Document::parse("port: 1\nwhat: 2\nredis: { address: a }").unwrap();
    let (value, ignored) = document.check(false).unwrap();
    assert_eq!(value, json!({ "port": 1 }));
    let mut ignored: Vec<String> = ignored.iter().map(ToString::to_string).collect();
    ignored.sort();
    assert_eq!(ignored, ["redis is not supported yet", "unknown configuration key: what"]);
}

#[test]
fn words_override() {
    let mut document = Document::parse("rtc: 7\nport: 1").unwrap();
    document.set("rtc.tcp_port", "7881").unwrap();
    document.set("rtc.use_ice_lite", "true").unwrap();
    document.set("rtc.udp_port", "1-2").unwrap();
    document.set("port", "2").unwrap();
    let (value, _) = document.clone().check(true).unwrap();
    assert_eq!(value, json!({ "rtc": { "tcp_port": 7881, "use_ice_lite": true, "udp_port": [1, 2] }, "port": 2 }));
    let error = document.set("rtc.use_ice_lite", "perhaps").unwrap_err();
    assert_eq!(error.to_string(), "rtc.use_ice_lite: wanted is true or false");
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(
        text in "[a-z_:{}\\[\\],\n #&*'\"0-9-]{0,200}",
        keys in prop::collection::vec("(rtc|port|keys|room|turn)", 0..4),
    ) {
        let _ = check(&text);
        let _ = check(&format!("{}: {text}", keys.join(":\n  ")));
    }
}
