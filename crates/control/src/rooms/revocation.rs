//! Tokens that were taken back: of a room and an identity, all that were good before some moment (LiveKit: `revoke_token_ts`).
//!
//! Kept by name, so that it outlives the room. Bounded: what is forgotten first is what no known token can outlast.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sluicegate_proto::token::Claims;

/// Room and identity pairs, some 40 MB with the longest names.
pub const REVOCATIONS_MAX: usize = 1 << 16;
/// At least so long, and as long as any revoked token that was seen: tokens are good for hours as a rule.
const KEPT_SECS_MIN: u64 = 24 * 3600;
/// Clocks may differ by so much (as where tokens are checked).
const LEEWAY_SECS: u64 = 60;

#[derive(Debug, Default)]
pub struct Revocations(Mutex<HashMap<(String, String), Revocation>>);

#[derive(Clone, Copy, Debug)]
struct Revocation {
    /// Tokens whose time began before are refused; Unix seconds.
    floor: u64,
    /// Forgotten afterwards; Unix seconds.
    until: u64,
}

/// As many as are remembered are in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Revocations {
    /// A later moment replaces an earlier one, never the other way. All times in Unix seconds.
    pub fn add(&self, room: &str, identity: &str, floor: u64, now: u64) -> Result<(), Full> {
        let mut map = self.lock();
        let key = (room.to_owned(), identity.to_owned());
        if !map.contains_key(&key) && map.len() >= REVOCATIONS_MAX {
            map.retain(|_, revocation| revocation.until >= now);
            if map.len() >= REVOCATIONS_MAX {
                return Err(Full);
            }
        }
        let revocation = map.entry(key).or_insert(Revocation { floor, until: 0 });
        revocation.floor = revocation.floor.max(floor);
        revocation.until = revocation.until.max(now.max(floor).saturating_add(KEPT_SECS_MIN));
        Ok(())
    }

    /// A token of this identity is known to be good so long.
    pub fn keep_until(&self, room: &str, identity: &str, expiry: u64) {
        if let Some(revocation) = self.lock().get_mut(&(room.to_owned(), identity.to_owned())) {
            revocation.until = revocation.until.max(expiry.saturating_add(LEEWAY_SECS));
        }
    }

    /// A token that does not say when its time began is as old as can be.
    pub fn refuses(&self, room: &str, identity: &str, claims: &Claims, now: u64) -> bool {
        let mut map = self.lock();
        if map.is_empty() {
            return false;
        }
        let key = (room.to_owned(), identity.to_owned());
        let Some(revocation) = map.get_mut(&key) else { return false };
        if revocation.until < now {
            map.remove(&key);
            return false;
        }
        let is_revoked = claims.nbf.max(claims.iat) < revocation.floor;
        if is_revoked {
            revocation.until = revocation.until.max(claims.exp.saturating_add(LEEWAY_SECS));
        }
        is_revoked
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Revocation>> {
        // nothing in here can panic half-way
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    fn token(nbf: u64, iat: u64, exp: u64) -> Claims {
        Claims { nbf, iat, exp, ..Claims::default() }
    }

    #[test]
    fn older_tokens_are_refused_and_newer_ones_pass() {
        let revocations = Revocations::default();
        revocations.add("r", "ann", NOW, NOW).unwrap();
        let refuses = |room, identity, claims: &Claims| revocations.refuses(room, identity, claims, NOW);
        assert!(refuses("r", "ann", &token(NOW - 1, 0, NOW + 10)));
        assert!(refuses("r", "ann", &token(0, 0, NOW + 10)), "one that does not say");
        assert!(!refuses("r", "ann", &token(NOW, 0, NOW + 10)) && !refuses("r", "ann", &token(0, NOW, NOW + 10)));
        assert!(!refuses("r", "ben", &token(0, 0, 0)) && !refuses("s", "ann", &token(0, 0, 0)));
        revocations.add("r", "ann", NOW - 100, NOW).unwrap();
        assert!(refuses("r", "ann", &token(NOW - 1, 0, NOW + 10)), "an earlier moment gives nothing back");
    }

    #[test]
    fn it_lasts_as_long_as_the_tokens() {
        let revocations = Revocations::default();
        let old = token(NOW - 1, 0, NOW + 10 * KEPT_SECS_MIN);
        revocations.add("r", "ann", NOW, NOW).unwrap();
        revocations.add("r", "ben", NOW, NOW).unwrap();
        revocations.add("r", "cid", NOW, NOW).unwrap();
        assert!(revocations.refuses("r", "ann", &old, NOW + 1), "it was shown, so it is known");
        revocations.keep_until("r", "ben", old.exp);
        let later = NOW + 9 * KEPT_SECS_MIN;
        assert!(revocations.refuses("r", "ann", &old, later) && revocations.refuses("r", "ben", &old, later));
        assert!(!revocations.refuses("r", "cid", &old, later));
        assert_eq!(revocations.lock().len(), 2);
    }

    #[test]
    fn there_is_a_bound() {
        let revocations = Revocations::default();
        for n in 0..REVOCATIONS_MAX {
            revocations.add("r", &n.to_string(), NOW, NOW).unwrap();
        }
        assert_eq!(revocations.add("r", "one more", NOW, NOW), Err(Full));
        assert_eq!(revocations.add("r", "7", NOW + 1, NOW), Ok(()), "one that is known");
        assert_eq!(revocations.add("r", "one more", NOW, NOW + KEPT_SECS_MIN + 1), Ok(()), "the old ones are over");
        assert_eq!(revocations.lock().len(), 2);
    }
}
