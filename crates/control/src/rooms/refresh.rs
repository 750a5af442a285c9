//! Refreshed tokens: a client's rights as they are now, signed with the key of its own token. Their time begins with that of the
//! token that the stay began with, so that they are taken back together.

use sluicegate_proto::token::{self, Claims, KeyStore};
use sluicegate_room::output::RefreshedGrants;

/// A refreshed token is good for so long, or as long as the original (LiveKit: 10 min).
const TTL_SECS_MIN: u64 = 600;

/// None where the configuration has no keys any more.
pub fn sign(keys: &KeyStore, api_key: &str, grants: RefreshedGrants, now_secs: u64) -> Option<String> {
    let (api_key, secret) = match keys.secret(api_key) {
        Some(secret) => (api_key, secret),
        None => keys.first()?,
    };
    let claims = Claims {
        iss: api_key.to_owned(),
        sub: grants.identity,
        exp: now_secs.saturating_add(TTL_SECS_MIN).max(grants.original_expiry_secs),
        nbf: grants.begin_secs.unwrap_or(now_secs),
        name: grants.name,
        kind: grants.kind,
        video: Some(grants.video),
        metadata: grants.metadata,
        attributes: grants.attributes.into_iter().collect(),
        ..Claims::default()
    };
    token::sign(secret, &claims).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sluicegate_proto::grant::VideoGrant;

    use super::*;

    #[test]
    fn it_lasts_ten_minutes_or_as_long_as_the_original() {
        let keys = KeyStore::new(BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]));
        let grants = |original_expiry_secs| RefreshedGrants {
            identity: "ann".to_owned(),
            name: "Ann".to_owned(),
            metadata: "m".to_owned(),
            attributes: vec![("k".to_owned(), "v".to_owned())],
            kind: "agent".to_owned(),
            video: VideoGrant { room_join: true, room: "r".to_owned(), can_publish: Some(false), ..Default::default() },
            original_expiry_secs,
            begin_secs: Some(7),
        };
        for (original, wanted) in [(0, 1600), (1599, 1600), (9000, 9000)] {
            let token = sign(&keys, "b", grants(original), 1000).unwrap();
            let claims = token::verify(&keys, &token, 1000).unwrap();
            assert_eq!((claims.exp, claims.iss.as_str(), claims.identity(), claims.begin()), (wanted, "b", "ann", 7));
            assert_eq!(claims.video, Some(grants(0).video));
            assert_eq!(claims.attributes["k"], "v");
        }
        let token = sign(&keys, "withdrawn", RefreshedGrants { begin_secs: None, ..grants(0) }, 1000).unwrap();
        let claims = token::verify(&keys, &token, 1000).unwrap();
        assert_eq!((claims.iss.as_str(), claims.begin()), ("a", 1000));
        assert_eq!(sign(&KeyStore::default(), "a", grants(0), 1000), None);
    }
}
