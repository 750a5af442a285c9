//! From a request to a join: who may come in, by LiveKit's checks in LiveKit's order, and what the client says of itself.

mod client_info;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sluicegate_proto::grant::VideoGrant;
use sluicegate_proto::token::Claims;
use sluicegate_proto::{join_request, pb};
use sluicegate_room::input::{ConnectionKey, Join, Reconnect, SignalMode};
use sluicegate_room::output::Refusal;

use crate::config::ControlConfig;
use crate::query::Query;

const IDENTITY_TOO_LONG: &str = "the identity is too long";

/// Somebody at the door.
#[derive(Debug)]
pub struct Knock<'a> {
    /// Which path was asked; a `join_request` on `/rtc` makes it v1, too.
    pub mode: SignalMode,
    pub query: &'a Query,
    pub user_agent: &'a str,
    /// Optional parameters that cannot be read refuse the request (LiveKit: on `/validate` only).
    pub strict: bool,
}

/// Somebody who may come in.
#[derive(Debug)]
pub struct Admission {
    pub room: String,
    /// Its connection is set when it is sent.
    pub join: Join,
    pub api_key: String,
}

/// All checks that need no room.
pub fn admit(config: &ControlConfig, claims: Option<&Claims>, knock: &Knock<'_>) -> Result<Admission, Refusal> {
    let denied = || refusal(401, "permissions denied");
    let claims = claims.ok_or_else(denied)?;
    let grant = claims.video.as_ref().filter(|grant| grant.room_join).ok_or_else(denied)?;
    check_names(config, claims, grant)?;
    if !claims.room_preset.is_empty() && !config.room.configurations.contains_key(&claims.room_preset) {
        return Err(refusal(400, "unknown room configuration in create room request"));
    }
    let is_bundled = knock.mode == SignalMode::V1 || !knock.query.get("join_request").is_empty();
    let mut join = if is_bundled { bundled(knock)? } else { plain(knock)? };
    let may_update = grant.can_update_own_metadata.unwrap_or(false);
    if !may_update && (join.metadata.is_some() || !join.attributes.is_empty()) {
        return Err(denied());
    }
    check_sizes(config, claims, &join)?;
    let room = grant.room.clone();
    join.claims = claims.clone();
    join.identity = claims.identity().to_owned();
    publish_only(knock.query.get("publish"), &mut join)?;
    // the suffix counts, too
    if !config.limits.allows_identity(&join.identity) {
        return Err(refusal(400, IDENTITY_TOO_LONG));
    }
    client_info::bound(&mut join.client);
    client_info::complete(&mut join.client, knock.user_agent);
    Ok(Admission { room, join, api_key: claims.iss.clone() })
}

fn check_names(config: &ControlConfig, claims: &Claims, grant: &VideoGrant) -> Result<(), Refusal> {
    let texts = [
        (claims.identity().is_empty(), "identity cannot be empty"),
        (!config.limits.allows_identity(claims.identity()), IDENTITY_TOO_LONG),
        (grant.room.is_empty(), "no room name"),
        (!config.limits.allows_room_name(&grant.room), "the room name is too long"),
        (!config.room.limits.allows_name(&claims.name), "the participant name is too long"),
    ];
    texts.iter().find(|(fails, _)| *fails).map_or(Ok(()), |(_, text)| Err(refusal(400, text)))
}

fn check_sizes(config: &ControlConfig, claims: &Claims, join: &Join) -> Result<(), Refusal> {
    let limits = &config.room.limits;
    let metadata = join.metadata.as_deref().unwrap_or(&claims.metadata);
    if !limits.allows_metadata(metadata) {
        return Err(refusal(400, "the metadata is too large"));
    }
    let mut attributes: BTreeMap<&String, &String> = claims.attributes.iter().collect();
    attributes.extend(join.attributes.iter().map(|(key, value)| (key, value)));
    if !limits.allows_attributes(attributes) {
        return Err(refusal(400, "the attributes are too large"));
    }
    Ok(())
}

/// `/rtc`: everything in parameters.
fn plain(knock: &Knock<'_>) -> Result<Join, Refusal> {
    let query = knock.query;
    let attributes = match attributes(query.get("attributes")) {
        Some(attributes) => attributes,
        None if knock.strict => return Err(refusal(400, "cannot read the attributes")),
        None => Vec::new(),
    };
    let reconnect = query
        .flag("reconnect")
        .unwrap_or(false)
        .then(|| Reconnect { participant_sid: query.get("sid").to_owned(), reason: query.number("reconnect_reason") });
    Ok(Join {
        mode: SignalMode::V0,
        auto_subscribe: query.flag("auto_subscribe").unwrap_or(true),
        // not said is no, in both forms (LiveKit)
        auto_subscribe_data_track: query.flag("auto_subscribe_data_track").unwrap_or(false),
        adaptive_stream: query.flag("adaptive_stream").unwrap_or(false),
        disable_ice_lite: query.flag("disable_ice_lite").unwrap_or(false),
        attributes,
        reconnect,
        client: client_info::of(query),
        ..nobody()
    })
}

/// `/rtc/v1`: a bundle. What proto3 leaves out is false, `auto_subscribe` too (LiveKit).
fn bundled(knock: &Knock<'_>) -> Result<Join, Refusal> {
    let request = join_request::decode(knock.query.get("join_request")).map_err(|error| refusal(400, &error.to_string()))?;
    let settings = request.connection_settings.unwrap_or_default();
    let resumed = Reconnect { participant_sid: request.participant_sid, reason: request.reconnect_reason };
    let reconnect = request.reconnect.then_some(resumed);
    let given = request.participant_attributes.into_iter().filter(|(_, value)| !value.is_empty());
    let mut attributes: Vec<(String, String)> = given.collect();
    attributes.sort();
    Ok(Join {
        mode: SignalMode::V1,
        auto_subscribe: settings.auto_subscribe,
        auto_subscribe_data_track: settings.auto_subscribe_data_track.unwrap_or(false),
        adaptive_stream: settings.adaptive_stream,
        disable_ice_lite: settings.disable_ice_lite,
        metadata: Some(request.metadata).filter(|metadata| !metadata.is_empty()),
        attributes,
        add_tracks: request.add_track_requests,
        publisher_offer: request.publisher_offer,
        reconnect,
        client: request.client_info.unwrap_or_default(),
        ..nobody()
    })
}

fn nobody() -> Join {
    Join {
        connection: ConnectionKey(0),
        identity: String::new(),
        claims: Claims::default(),
        client: pb::ClientInfo::default(),
        mode: SignalMode::V0,
        auto_subscribe: false,
        auto_subscribe_data_track: false,
        adaptive_stream: false,
        disable_ice_lite: false,
        metadata: None,
        attributes: Vec::new(),
        add_tracks: Vec::new(),
        publisher_offer: None,
        reconnect: None,
    }
}

/// LiveKit's old second connection for publishing: an identity of its own, nothing is subscribed.
fn publish_only(publish: &str, join: &mut Join) -> Result<(), Refusal> {
    let Some(video) = join.claims.video.as_mut().filter(|_| !publish.is_empty()) else { return Ok(()) };
    if !video.can_publish.unwrap_or(true) {
        return Err(refusal(401, "permissions denied"));
    }
    video.can_subscribe = Some(false);
    join.identity = format!("{}#{publish}", join.identity);
    Ok(())
}

/// Base64url of a JSON map, padded or not. None: it cannot be read.
fn attributes(text: &str) -> Option<Vec<(String, String)>> {
    const ENGINE: GeneralPurpose =
        GeneralPurpose::new(&URL_SAFE, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));
    if text.is_empty() {
        return Some(Vec::new());
    }
    let map: BTreeMap<String, String> = serde_json::from_slice(&ENGINE.decode(text).ok()?).ok()?;
    Some(map.into_iter().filter(|(_, value)| !value.is_empty()).collect())
}

fn refusal(status: u16, text: &str) -> Refusal {
    Refusal { status, text: text.to_owned() }
}

/// Whatever the query says, by somebody who may do everything.
pub fn fuzz(query: &str, user_agent: &str) {
    let video = VideoGrant { room_join: true, room: "r".to_owned(), can_update_own_metadata: Some(true), ..Default::default() };
    let claims = Claims { sub: "i".to_owned(), video: Some(video), ..Default::default() };
    for mode in [SignalMode::V0, SignalMode::V1] {
        let query = Query::parse(query);
        let knock = Knock { mode, query: &query, user_agent, strict: true };
        let _ = admit(&ControlConfig::default(), Some(&claims), &knock);
    }
}

#[cfg(test)]
mod tests;
