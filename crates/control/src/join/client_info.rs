//! What a client says of itself: parameters of `/rtc`, completed from the User-Agent where a browser left them out.

use sluicegate_proto::pb::ClientInfo;
use sluicegate_proto::pb::client_info::{Capability, Sdk};

use crate::query::Query;

/// More than any client sends.
const CAPABILITIES_MAX: usize = 64;
/// Longer than any name of a device or list of SDKs.
const TEXT_BYTES_MAX: usize = 1024;

pub fn of(query: &Query) -> ClientInfo {
    let text = |name: &str| query.get(name).to_owned();
    let capabilities = query.get("capabilities").split(',').filter_map(|name| Capability::from_str_name(name.trim()));
    ClientInfo {
        sdk: sdk(query.get("sdk")) as i32,
        version: text("version"),
        protocol: query.number("protocol"),
        client_protocol: query.number("client_protocol"),
        os: text("os"),
        os_version: text("os_version"),
        device_model: text("device_model"),
        browser: text("browser"),
        browser_version: text("browser_version"),
        network: text("network"),
        capabilities: capabilities.map(|capability| capability as i32).collect(),
        ..Default::default()
    }
}

fn sdk(name: &str) -> Sdk {
    match name {
        "js" => Sdk::Js,
        "ios" | "swift" => Sdk::Swift,
        "android" => Sdk::Android,
        "flutter" => Sdk::Flutter,
        "go" => Sdk::Go,
        "unity" => Sdk::Unity,
        "reactnative" => Sdk::ReactNative,
        "rust" => Sdk::Rust,
        "python" => Sdk::Python,
        "cpp" => Sdk::Cpp,
        "unityweb" => Sdk::UnityWeb,
        "node" => Sdk::Node,
        "esp32" => Sdk::Esp32,
        _ => Sdk::Unknown,
    }
}

/// Nothing of it may be large, because it is kept, or unwritable, because the others are told of some of it.
pub fn bound(client: &mut ClientInfo) {
    client.sdk = client.sdk() as i32;
    client.capabilities.retain(|capability| Capability::try_from(*capability).is_ok());
    client.capabilities.truncate(CAPABILITIES_MAX);
    for text in [
        &mut client.version,
        &mut client.os,
        &mut client.os_version,
        &mut client.device_model,
        &mut client.browser,
        &mut client.browser_version,
        &mut client.address,
        &mut client.network,
        &mut client.other_sdks,
    ] {
        if text.len() > TEXT_BYTES_MAX {
            text.clear();
        }
    }
}

/// LiveKit: only of clients that run in browsers, and only what they did not say.
pub fn complete(client: &mut ClientInfo, user_agent: &str) {
    if !matches!(client.sdk(), Sdk::Js | Sdk::ReactNative | Sdk::Flutter | Sdk::Unity | Sdk::Unknown) || user_agent.is_empty() {
        return;
    }
    if client.browser.is_empty()
        && let Some((browser, version)) = browser(user_agent)
    {
        client.browser = browser.to_owned();
        client.browser_version = version.to_owned();
    }
    if client.os.is_empty()
        && let Some(os) = os(user_agent)
    {
        client.os = os.to_owned();
    }
}

/// Name and version, as ClientInfo usually spells them. Every browser claims to be some others, so the order matters.
fn browser(user_agent: &str) -> Option<(&'static str, &str)> {
    let version = |token: &str| Some(number(user_agent.split_once(token)?.1));
    let named = [
        ("Edg/", "Edge"),
        ("EdgA/", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("FxiOS/", "Firefox"),
        ("Firefox/", "Firefox"),
        ("CriOS/", "Chrome"),
        ("HeadlessChrome/", "Chrome"),
        ("Chrome/", "Chrome"),
    ];
    let found = named.iter().find_map(|(token, name)| Some((*name, version(token)?)));
    found.or_else(|| user_agent.contains("Safari/").then(|| Some(("Safari", version("Version/")?))).flatten())
}

fn os(user_agent: &str) -> Option<&'static str> {
    let named = [
        ("Windows", "Windows"),
        ("Android", "Android"),
        ("iPhone", "iOS"),
        ("iPad", "iOS"),
        ("Mac OS X", "macOS"),
        ("CrOS", "Chrome OS"),
        ("Linux", "Linux"),
    ];
    named.iter().find(|(token, _)| user_agent.contains(token)).map(|(_, name)| *name)
}

fn number(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_known_by_their_user_agent() {
        let webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";
        for (user_agent, wanted) in [
            (format!("Mozilla/5.0 (X11; Linux x86_64) {webkit} Chrome/150.0.0.0 Safari/537.36"), ("Chrome", "150.0.0.0", "Linux")),
            (format!("Mozilla/5.0 (Windows NT 10.0) {webkit} Chrome/150.0 Safari/537.36 Edg/150.1"), ("Edge", "150.1", "Windows")),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".to_owned(), ("Firefox", "140.0", "Linux")),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15"
                    .to_owned(),
                ("Safari", "18.4", "macOS"),
            ),
            ("curl/8.0".to_owned(), ("", "", "")),
        ] {
            let mut client = ClientInfo::default();
            complete(&mut client, &user_agent);
            assert_eq!((client.browser.as_str(), client.browser_version.as_str(), client.os.as_str()), wanted, "{user_agent}");
        }
    }

    #[test]
    fn what_a_client_says_itself_counts() {
        let query = Query::parse("sdk=python&version=1.2&protocol=17&capabilities=CAP_PACKET_TRAILER,nonsense&os=linux");
        let mut client = of(&query);
        complete(&mut client, "Firefox/1");
        assert_eq!((client.sdk(), client.protocol, client.os.as_str(), client.browser.as_str()), (Sdk::Python, 17, "linux", ""));
        assert_eq!(client.capabilities, [Capability::CapPacketTrailer as i32]);
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        let capabilities = [vec![77], vec![Capability::CapPacketTrailer as i32; 100]].concat();
        let mut client = ClientInfo { sdk: 77, capabilities, os: long, browser: "Firefox".to_owned(), ..Default::default() };
        bound(&mut client);
        assert!(serde_json::to_string(&client).is_ok());
        assert_eq!((client.capabilities.len(), client.os.as_str(), client.browser.as_str()), (64, "", "Firefox"));
        let mut client = of(&Query::parse("sdk=js&browser=Weird"));
        complete(&mut client, "Firefox/1");
        assert_eq!(client.browser, "Weird");
    }
}
