//! Access tokens: JWTs, signed with HS256 and nothing else.

use std::collections::BTreeMap;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Deserializer, Serialize};

use crate::grant::{VideoGrant, or_default};
use crate::pb;

/// Clocks may differ by so much (LiveKit: one minute).
const LEEWAY_SECS: u64 = 60;
/// A token with the largest metadata and attributes fits.
pub const TOKEN_BYTES_MAX: usize = 1 << 20;

/// API keys and their secrets.
#[derive(Clone, Default)]
pub struct KeyStore(BTreeMap<String, String>);

impl std::fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl KeyStore {
    pub fn new(keys: BTreeMap<String, String>) -> Self {
        Self(keys)
    }

    pub fn secret(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The first key and its secret.
    pub fn first(&self) -> Option<(&str, &str)> {
        self.0.first_key_value().map(|(key, secret)| (key.as_str(), secret.as_str()))
    }
}

/// A token's claims, as far as the server looks at them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Claims {
    /// The API key.
    #[serde(deserialize_with = "or_default")]
    pub iss: String,
    /// The identity.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub sub: String,
    /// The identity in old tokens.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub jti: String,
    /// Unix seconds; 0 is none, which is refused.
    #[serde(deserialize_with = "unix_secs")]
    pub exp: u64,
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "unix_secs")]
    pub nbf: u64,
    /// Not checked (LiveKit does not either).
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "unix_secs")]
    pub iat: u64,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub kind: String,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub kind_details: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoGrant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip: Option<SipGrant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentGrant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_config: Option<pb::RoomConfiguration>,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub room_preset: String,
    /// Base64 of the body's hash, in webhooks.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub sha256: String,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub metadata: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    pub attributes: BTreeMap<String, String>,
}

/// The `sip` grant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SipGrant {
    #[serde(deserialize_with = "or_default")]
    pub admin: bool,
    #[serde(deserialize_with = "or_default")]
    pub call: bool,
}

/// The `agent` grant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentGrant {
    #[serde(deserialize_with = "or_default")]
    pub admin: bool,
}

impl Claims {
    /// A token for one participant of one room with all defaults, good from now on for so many seconds.
    pub fn join(api_key: &str, identity: &str, room: &str, now_secs: u64, ttl_secs: u64) -> Self {
        Self {
            iss: api_key.to_owned(),
            sub: identity.to_owned(),
            nbf: now_secs,
            exp: now_secs.saturating_add(ttl_secs),
            video: Some(VideoGrant { room_join: true, room: room.to_owned(), ..VideoGrant::default() }),
            ..Self::default()
        }
    }

    /// When its time begins, Unix seconds; 0 where it does not say.
    pub fn begin(&self) -> u64 {
        self.nbf.max(self.iat)
    }

    pub fn identity(&self) -> &str {
        if self.sub.is_empty() { &self.jti } else { &self.sub }
    }
}

/// Why a token is refused; the texts are LiveKit's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("invalid authorization token")]
    Malformed,
    #[error("invalid API key")]
    UnknownKey,
    #[error("invalid authorization token: the signature does not fit")]
    Signature,
    #[error("invalid authorization token: it has no expiry")]
    NoExpiry,
    #[error("invalid authorization token: it has expired")]
    Expired,
    #[error("invalid authorization token: it is not valid yet")]
    NotYet,
    #[error("the token cannot be signed")]
    Signing,
}

/// Checks a token: algorithm, key, signature, times. `now_secs` is Unix time.
pub fn verify(keys: &KeyStore, token: &str, now_secs: u64) -> Result<Claims, TokenError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::Malformed);
    }
    // before anything else: no other algorithm is even looked at; `crit` names extensions, and there is none we understand
    let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
    if header.alg != Algorithm::HS256 || header.crit.is_some() {
        return Err(TokenError::Malformed);
    }
    let unverified = jsonwebtoken::dangerous::insecure_decode::<Issuer>(token).map_err(|_| TokenError::Malformed)?;
    let secret = keys.secret(&unverified.claims.iss).ok_or(TokenError::UnknownKey)?;
    let claims = checked(token, secret)?;
    if claims.exp == 0 {
        return Err(TokenError::NoExpiry);
    }
    if claims.exp.saturating_add(LEEWAY_SECS) < now_secs {
        return Err(TokenError::Expired);
    }
    if claims.nbf > now_secs.saturating_add(LEEWAY_SECS) {
        return Err(TokenError::NotYet);
    }
    Ok(claims)
}

/// All that is read of a token before its signature is known to fit.
#[derive(Deserialize)]
struct Issuer {
    #[serde(default, deserialize_with = "or_default")]
    iss: String,
}

/// The claims of a token whose signature fits; the times are left to the caller, who knows what time it is.
fn checked(token: &str, secret: &str) -> Result<Claims, TokenError> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let key = DecodingKey::from_secret(secret.as_bytes());
    match jsonwebtoken::decode::<Claims>(token, &key, &validation) {
        Ok(data) => Ok(data.claims),
        Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => Err(TokenError::Signature),
        Err(_) => Err(TokenError::Malformed),
    }
}

/// Signs claims with a secret.
pub fn sign(secret: &str, claims: &Claims) -> Result<String, TokenError> {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).map_err(|_| TokenError::Signing)
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// RFC 7519, NumericDate: a number that may have a fraction; what lies before 1970 is 0.
fn unix_secs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum NumericDate {
        Whole(u64),
        Fraction(f64),
    }
    Ok(match Option::<NumericDate>::deserialize(deserializer)? {
        Some(NumericDate::Whole(secs)) => secs,
        Some(NumericDate::Fraction(secs)) => secs as u64,
        None => 0,
    })
}

#[cfg(test)]
mod tests;
