//! The configuration as a tree: read from YAML, overridden by flags, checked key by key.
//!
//! Promises that every complaint names the full path of its key, and that what passed the check fits `Config`.

use serde_json::{Map, Value};

use super::ConfigError;
use super::keys::{self, Kind};

/// A checked or unchecked tree.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document(Map<String, Value>);

impl Document {
    pub fn parse(yaml: &str) -> Result<Self, ConfigError> {
        let fault = |error: serde_saphyr::Error| ConfigError::Yaml(error.to_string());
        if yaml.trim().is_empty() {
            return Ok(Self::default());
        }
        let Value::Object(mut map) = serde_saphyr::from_str::<Option<Value>>(yaml).map_err(fault)?.unwrap_or_default() else {
            // only comments
            return if yaml_is_empty(yaml) { Ok(Self::default()) } else { Err(ConfigError::NoMap) };
        };
        verbatim(yaml, &mut map);
        Ok(Self(map))
    }

    /// Sets one key from a word of the command line or of the environment.
    pub fn set(&mut self, path: &'static str, word: &str) -> Result<(), ConfigError> {
        let Some(key) = keys::honoured(path) else { return Ok(()) };
        let wrong = || ConfigError::Kind { path: path.to_owned(), wanted: wanted(key.kind) };
        let value = match key.kind {
            Kind::Flag => Value::Bool(match word {
                "true" | "1" => true,
                "false" | "0" => false,
                _ => return Err(wrong()),
            }),
            Kind::Port | Kind::Count => Value::from(word.trim().parse::<u64>().map_err(|_| wrong())?),
            _ => Value::from(word),
        };
        self.put(path, value);
        Ok(())
    }

    pub fn put(&mut self, path: &str, value: Value) {
        let mut map = &mut self.0;
        let mut rest = path;
        while let Some((section, below)) = rest.split_once('.') {
            let entry = map.entry(section).or_insert_with(|| Value::Object(Map::new()));
            if !entry.is_object() {
                *entry = Value::Object(Map::new());
            }
            let Value::Object(inner) = entry else { return };
            (map, rest) = (inner, below);
        }
        map.insert(rest.to_owned(), value);
    }

    /// Every key against the table. Not strict: what is unknown or not built yet is taken out and only returned.
    pub fn check(self, strict: bool) -> Result<(Value, Vec<ConfigError>), ConfigError> {
        let mut ignored = Vec::new();
        let checked = Value::Object(check_map(self.0, "", &mut ignored)?);
        if strict && !ignored.is_empty() {
            return Err(ignored.swap_remove(0));
        }
        Ok((checked, ignored))
    }
}

fn yaml_is_empty(yaml: &str) -> bool {
    yaml.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}

/// Texts that look like numbers stay as they were written: a secret `007` is not 7.
fn verbatim(yaml: &str, map: &mut Map<String, Value>) {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Texts {
        keys: Option<std::collections::BTreeMap<String, String>>,
        prometheus: Option<Login>,
    }
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Login {
        username: Option<String>,
        password: Option<String>,
    }
    // what does not fit is complained of by the check
    let Ok(texts) = serde_saphyr::from_str::<Texts>(yaml) else { return };
    if let (Some(keys), Some(Value::Object(_))) = (texts.keys, map.get("keys")) {
        map.insert("keys".to_owned(), keys.into_iter().map(|(key, secret)| (key, Value::from(secret))).collect());
    }
    let Some(Value::Object(prometheus)) = map.get_mut("prometheus") else { return };
    let login = texts.prometheus.unwrap_or_default();
    for (name, text) in [("username", login.username), ("password", login.password)] {
        if let (Some(text), Some(value)) = (text, prometheus.get_mut(name)) {
            *value = Value::from(text);
        }
    }
}

fn check_map(map: Map<String, Value>, section: &str, ignored: &mut Vec<ConfigError>) -> Result<Map<String, Value>, ConfigError> {
    let mut checked = Map::new();
    for (name, value) in map {
        let path = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
        if let Some(key) = keys::honoured(&path) {
            if value.is_null() {
                continue;
            }
            let value = fit(key.kind, value).ok_or_else(|| ConfigError::Kind { path, wanted: wanted(key.kind) })?;
            checked.insert(name, value);
        } else if keys::is_not_yet(&path) {
            if !is_off(&value) {
                ignored.push(ConfigError::NotYet { path });
            }
        } else if keys::is_section(&path) {
            match value {
                Value::Null => {}
                Value::Object(inner) => {
                    checked.insert(name, Value::Object(check_map(inner, &path, ignored)?));
                }
                _ => return Err(ConfigError::Kind { path, wanted: "a map" }),
            }
        } else {
            ignored.push(ConfigError::Unknown { path });
        }
    }
    Ok(checked)
}

/// Empty, zero, false, or switched off by its own `enabled`.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.get("enabled") == Some(&Value::Bool(false)) || map.values().all(is_off),
    }
}

/// The value in the form that `Config` has it.
fn fit(kind: Kind, value: Value) -> Option<Value> {
    match kind {
        Kind::Flag => value.is_boolean().then_some(value),
        Kind::Text => text(&value).map(Value::from),
        Kind::Port => value.as_u64().filter(|port| *port <= u64::from(u16::MAX)).map(Value::from),
        Kind::Count => value.as_u64().filter(|count| *count <= u64::from(u32::MAX)).map(Value::from),
        Kind::Ports => ports(&text(&value)?).map(|(first, last)| serde_json::json!([first, last])),
        Kind::NodeIp => node_ips(&value),
        Kind::Texts => {
            let texts: Option<Vec<String>> = value.as_array()?.iter().map(text).collect();
            texts.map(Value::from)
        }
        Kind::Networks => {
            let networks: Option<Vec<String>> = value.as_array()?.iter().map(network).collect();
            networks.map(Value::from)
        }
        Kind::Secrets => {
            let secrets: Option<Map<String, Value>> =
                value.as_object()?.iter().map(|(key, secret)| Some((key.clone(), Value::from(text(secret)?)))).collect();
            secrets.map(Value::from)
        }
        Kind::Configurations => {
            let configurations: Option<Map<String, Value>> =
                value.as_object()?.iter().map(|(name, value)| Some((name.clone(), configuration(value)?))).collect();
            configurations.map(Value::from)
        }
        Kind::Codecs => {
            let mime = |codec: &Value| text(codec.as_object()?.get("mime")?);
            let mimes: Option<Vec<String>> = value.as_array()?.iter().map(mime).collect();
            mimes.map(Value::from)
        }
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// `a` or `a-b`.
fn ports(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some((first, last))
}

/// A network, or one address as the network that holds nothing else.
fn network(value: &Value) -> Option<String> {
    let text = text(value)?;
    let network = text.trim().parse::<ipnet::IpNet>().or_else(|_| text.trim().parse::<std::net::IpAddr>().map(ipnet::IpNet::from));
    network.ok().map(|network| network.to_string())
}

fn node_ips(value: &Value) -> Option<Value> {
    let address = |value: &Value| text(value)?.trim().parse::<std::net::IpAddr>().ok();
    let addresses: Option<Vec<_>> = match value {
        Value::Object(map) => {
            let known = map.keys().all(|name| matches!(name.as_str(), "ipv4" | "ipv6"));
            map.values().filter(|value| !is_off(value)).map(address).collect::<Option<Vec<_>>>().filter(|_| known)
        }
        value if is_off(value) => Some(Vec::new()),
        value => address(value).map(|address| vec![address]),
    };
    addresses.map(|addresses| addresses.iter().map(|address| Value::from(address.to_string())).collect())
}

/// One room configuration with its fields' names in one spelling. What is not built yet is not passed over: such a room would
/// silently not do what it should.
fn configuration(value: &Value) -> Option<Value> {
    const COUNTS: [&str; 5] = ["empty_timeout", "departure_timeout", "max_participants", "min_playout_delay", "max_playout_delay"];
    let mut fields = Map::new();
    for (written, value) in value.as_object()? {
        let bare = |name: &str| name.replace('_', "").to_ascii_lowercase();
        let is = |name: &&str| bare(name) == bare(written);
        if let Some(name) = COUNTS.iter().copied().find(|name| is(name)) {
            fields.insert(name.to_owned(), fit(Kind::Count, value.clone())?);
        } else if is(&"metadata") {
            fields.insert("metadata".to_owned(), text(value)?.into());
        } else if is(&"sync_streams") {
            fields.insert("sync_streams".to_owned(), fit(Kind::Flag, value.clone())?);
        } else if !(is(&"name") || is(&"tags") || is_off(value)) {
            return None;
        }
    }
    Some(fields.into())
}

fn wanted(kind: Kind) -> &'static str {
    match kind {
        Kind::Flag => "true or false",
        Kind::Text => "a text",
        Kind::Port => "a port number",
        Kind::Ports => "a port number or a range as 7882-7883",
        Kind::Count => "a number, not negative",
        Kind::NodeIp => "an IP address, or a map of ipv4 and ipv6",
        Kind::Texts => "a list of texts",
        Kind::Networks => "a list of networks as 192.0.2.0/24",
        Kind::Secrets => "a map of keys and secrets",
        Kind::Configurations => "a map of names and room configurations (without agents and egress)",
        Kind::Codecs => "a list of codecs with a mime each",
    }
}

#[cfg(test)]
mod tests;
