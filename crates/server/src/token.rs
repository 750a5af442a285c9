//! Keys and tokens made on the command line and for `--dev`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sluicegate_proto::sid;
use sluicegate_proto::token::{Claims, TokenError, sign};

use crate::wire::random;

/// Characters of a secret: 57 kinds each, so 43 hold 250 bits.
const SECRET_LENGTH: usize = 43;
/// Long enough to try things out (LiveKit: 30 days).
const JOIN_TOKEN_TTL: Duration = Duration::from_secs(30 * 24 * 3600);

/// An API key and its secret.
pub fn generate_keys() -> (String, String) {
    (sid::generate(sid::API_KEY, random), sid::random(SECRET_LENGTH, random))
}

pub fn join_token(api_key: &str, secret: &str, room: &str, identity: &str, recorder: bool) -> Result<String, TokenError> {
    let now_secs = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut claims = Claims::join(api_key, identity, room, now_secs, JOIN_TOKEN_TTL.as_secs());
    claims.name = identity.to_owned();
    if let Some(video) = &mut claims.video {
        (video.recorder, video.hidden) = (recorder, recorder);
    }
    sign(secret, &claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_new_each_time() {
        let ((key, secret), (other_key, other_secret)) = (generate_keys(), generate_keys());
        assert!(key.starts_with("API") && key.len() == 15 && secret.len() == SECRET_LENGTH);
        assert!(key != other_key && secret != other_secret);
    }
}
