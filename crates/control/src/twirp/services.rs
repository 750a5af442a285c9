//! The services and methods of LiveKit's server API, by name.

pub const ROOM_SERVICE: &str = "livekit.RoomService";

/// A method that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    pub service: &'static str,
    pub method: &'static str,
}

const SERVICES: [(&str, &[&str]); 5] = [
    (
        ROOM_SERVICE,
        &[
            "CreateRoom",
            "ListRooms",
            "DeleteRoom",
            "ListParticipants",
            "GetParticipant",
            "RemoveParticipant",
            "MutePublishedTrack",
            "UpdateParticipant",
            "UpdateSubscriptions",
            "SendData",
            "UpdateRoomMetadata",
            "ForwardParticipant",
            "MoveParticipant",
            "PerformRpc",
        ],
    ),
    ("livekit.AgentDispatchService", &["CreateDispatch", "DeleteDispatch", "ListDispatch"]),
    (
        "livekit.Egress",
        &[
            "StartEgress",
            "StartRoomCompositeEgress",
            "StartWebEgress",
            "StartParticipantEgress",
            "StartTrackCompositeEgress",
            "StartTrackEgress",
            "UpdateLayout",
            "UpdateStream",
            "ListEgress",
            "StopEgress",
        ],
    ),
    ("livekit.Ingress", &["CreateIngress", "UpdateIngress", "ListIngress", "DeleteIngress"]),
    (
        "livekit.SIP",
        &[
            "CreateSIPTrunk",
            "ListSIPTrunk",
            "CreateSIPInboundTrunk",
            "CreateSIPOutboundTrunk",
            "UpdateSIPInboundTrunk",
            "UpdateSIPOutboundTrunk",
            "GetSIPInboundTrunk",
            "GetSIPOutboundTrunk",
            "ListSIPInboundTrunk",
            "ListSIPOutboundTrunk",
            "DeleteSIPTrunk",
            "CreateSIPDispatchRule",
            "UpdateSIPDispatchRule",
            "ListSIPDispatchRule",
            "DeleteSIPDispatchRule",
            "CreateSIPParticipant",
            "TransferSIPParticipant",
        ],
    ),
];

/// Every path there is.
pub fn paths() -> impl Iterator<Item = String> {
    SERVICES.iter().flat_map(|(service, methods)| methods.iter().map(move |method| format!("/twirp/{service}/{method}")))
}

/// `/twirp/<service>/<method>`, letter by letter.
pub fn find(path: &str) -> Option<Route> {
    let (service, method) = path.strip_prefix("/twirp/")?.split_once('/')?;
    let (service, methods) = SERVICES.iter().find(|(name, _)| *name == service)?;
    let method = methods.iter().find(|name| **name == method)?;
    Some(Route { service, method })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_exists_is_found() {
        assert_eq!(find("/twirp/livekit.SIP/ListSIPTrunk"), Some(Route { service: "livekit.SIP", method: "ListSIPTrunk" }));
        for path in ["/twirp/livekit.SIP/", "/twirp/livekit.SIP", "/twirp/livekit.sip/ListSIPTrunk", "/twirp/livekit.SIP/a/b", "/"]
        {
            assert_eq!(find(path), None, "{path}");
        }
    }
}
