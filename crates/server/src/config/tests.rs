use super::*;

fn config(yaml: &str) -> Result<Config, String> {
    let document = Document::parse(yaml).map_err(|error| error.to_string())?;
    Config::new(document, true).map(|(config, _)| config).map_err(|error| error.to_string())
}

#[test]
fn defaults_are_livekits() {
    let config = config("keys: { a: b }").unwrap();
    assert_eq!((config.port, config.metrics_port(), config.media_ports()), (7880, 0, (50_000, 60_000)));
    assert_eq!((config.room.empty_timeout, config.room.departure_timeout, config.room.auto_create), (300, 20, true));
    assert_eq!((config.limit.signal_message_size_limit, config.limit.max_api_request_body_size), (2_097_152, 10_485_760));
    assert_eq!((config.level(), config.bind_addresses.len()), ("info", 0));
}

#[test]
fn development_needs_nothing() {
    let dev = config("development: true").unwrap();
    assert_eq!(dev.keys, BTreeMap::from([("devkey".to_owned(), "secret".to_owned())]));
    assert_eq!((dev.media_ports(), dev.bind_addresses), ((7882, 7882), vec!["127.0.0.1".to_owned(), "::1".to_owned()]));
    let own = config("development: true\nkeys: { a: b }\nbind_addresses: ['0.0.0.0']\nrtc: { udp_port: 9000-9001 }").unwrap();
    assert_eq!((own.keys.len(), own.media_ports(), own.bind_addresses.len()), (1, (9000, 9001), 1));
    assert_eq!(config("port: 1").unwrap_err(), "one of key-file or keys must be provided");
}

#[test]
fn a_range_wins_over_single_ports() {
    let both = config("keys: { a: b }\nrtc: { udp_port: 7882, port_range_start: 5000, port_range_end: 5010 }").unwrap();
    assert_eq!(both.media_ports(), (5000, 5010));
    assert!(config("keys: { a: b }\nrtc: { port_range_start: 5000 }").is_err());
    assert!(config("keys: { a: b }\nprometheus: { username: x }").is_err());
}

#[test]
fn a_worker_has_a_port_or_all_share_one() {
    let workers = |rtc: &str| {
        let config = config(&format!("{{keys: {{a: b}}, rtc: {{{rtc}}}}}")).unwrap();
        (config.workers(), config.shares_port())
    };
    assert_eq!(workers("udp_port: 7882"), (1, false));
    assert_eq!(workers("udp_port: 7882-7890, workers: 3"), (3, false));
    assert_eq!(workers("udp_port: 7882, workers: 4"), (4, true));
    assert_eq!(workers("udp_port: 0, workers: 2"), (2, false), "free ports");
    assert_eq!(workers("port_range_start: 100, port_range_end: 101, workers: 3"), (3, true));
    assert_eq!(workers("udp_port: 7882, workers: 100000").0, 256);
}

#[test]
fn room_configurations_have_names() {
    let yaml = |inner: &str| config(&format!("keys: {{ a: b }}\nroom: {{ room_configurations: {{ lecture: {{ {inner} }} }} }}"));
    let lecture = yaml("max_participants: 200, emptyTimeout: 7, sync_streams: false, metadata: 7").unwrap();
    let wanted = RoomConfiguration { max_participants: 200, empty_timeout: 7, metadata: "7".to_owned(), ..Default::default() };
    assert_eq!(lecture.room.room_configurations["lecture"], wanted);
    assert!(yaml("departuretimeout: 3, sync_streams: true").unwrap().room.room_configurations["lecture"].sync_streams);
    for wrong in ["max_participants: many", "agents: [{ agent_name: x }]", "egress: { room: {} , x: 1 }", "max_people: 3"] {
        let error = yaml(wrong).unwrap_err();
        assert!(error.starts_with("room.room_configurations: wanted is a map of names"), "{error}");
    }
}

#[test]
fn keys_are_lines() {
    assert_eq!(parse_keys("a: 1\nb: two").unwrap(), BTreeMap::from([("a".into(), "1".into()), ("b".into(), "two".into())]));
    assert!(parse_keys("a:1").is_err());
}

#[test]
fn a_file_of_keys_is_for_its_owner() {
    use std::os::unix::fs::PermissionsExt as _;
    let path = std::env::temp_dir().join(format!("sluicegate-keys-{}.yaml", std::process::id()));
    fs::write(&path, "fromfile: secret").unwrap();
    let yaml = format!("key_file: {}", path.display());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(config(&yaml).unwrap_err().contains("others may read"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(config(&yaml).unwrap().keys["fromfile"], "secret");
    fs::remove_file(&path).unwrap();
}

/// The example shows every key, and every key it shows is honoured with the value that it shows as default.
#[test]
fn the_example_is_whole_and_true() {
    let example = include_str!("../../../../config.example.yaml");
    let document = Document::parse(example).unwrap();
    Config::new(document, true).unwrap();
    for key in keys::HONOURED {
        let name = key.path.rsplit('.').next().unwrap();
        let shown = example.lines().any(|line| line.trim_start_matches([' ', '#']).starts_with(&format!("{name}:")));
        assert!(shown, "{} is missing in the example", key.path);
    }
    // with every comment sign before a key taken away it is still valid
    let whole: String = example.lines().map(|line| format!("{}\n", uncommented(line))).collect();
    let document = Document::parse(&whole).unwrap_or_else(|error| panic!("{error}\n{whole}"));
    let (value, _) = document.check(true).unwrap_or_else(|error| panic!("{error}\n{whole}"));
    for key in keys::HONOURED {
        let found = key.path.split('.').try_fold(&value, |value, name| value.get(name));
        assert!(found.is_some(), "{} is not where it belongs", key.path);
    }
}

/// `#key: value` (no space after the sign) is a key that is switched off; other comments stay.
fn uncommented(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    match line.trim_start().strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '-') => format!("{}{rest}", &line[..indent]),
        _ => line.to_owned(),
    }
}
