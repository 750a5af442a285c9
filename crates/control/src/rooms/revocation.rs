//! Tokens that were taken back: of a room and an identity, all that were good before some moment (LiveKit: `revoke_token_ts`).
//!
//! Kept by name, so that it outlives the room, and as rows of the store, so that it outlives the process. A refreshed token is as
//! old as the one that its stay began with. Bounded: what is forgotten first is what no known token can outlast.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sluicegate_proto::token::Claims;

use crate::store::rows::{REVOKED_TOKENS, Text, Value as _};
use crate::store::{Store, StoreError};

/// Room and identity pairs, some 40 MB with the longest names.
pub const REVOCATIONS_MAX: usize = 1 << 16;
/// At least so long, and as long as any revoked token that was seen: tokens are good for hours as a rule.
const KEPT_SECS_MIN: u64 = 24 * 3600;
/// Clocks may differ by so much (as where tokens are checked).
const LEEWAY_SECS: u64 = 60;
/// From one search for those that are over to the next.
const SWEEP_SECS: u64 = 3600;

#[derive(Debug)]
pub struct Revocations {
    known: Mutex<Known>,
    store: Store,
}

#[derive(Debug, Default)]
struct Known {
    map: HashMap<(String, String), Revocation>,
    swept: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// None, until [`Revocations::restore`].
    pub fn new(store: Store) -> Self {
        Self { known: Mutex::default(), store }
    }

    /// Those of an earlier process that are still in force. Before anything is added.
    pub async fn restore(&self, now: u64) -> Result<(), StoreError> {
        let rows = self.store.list(&REVOKED_TOKENS).await?;
        let mut known = self.lock();
        for (field, text) in rows {
            let row = read(&field, &text).ok_or_else(|| StoreError::Row {
                key: REVOKED_TOKENS.key().to_owned(),
                field: field.clone(),
                why: String::from_utf8_lossy(&text.to_bytes()).into_owned(),
            })?;
            known.map.insert(row.0, row.1);
        }
        self.sweep(&mut known, now);
        Ok(())
    }

    /// A later moment replaces an earlier one, never the other way. All times in Unix seconds. On the disk with the store's next
    /// flush.
    pub fn add(&self, room: &str, identity: &str, floor: u64, now: u64) -> Result<(), Full> {
        let mut known = self.lock();
        let key = (room.to_owned(), identity.to_owned());
        let is_full = !known.map.contains_key(&key) && known.map.len() >= REVOCATIONS_MAX;
        if is_full || now.saturating_sub(known.swept) >= SWEEP_SECS {
            self.sweep(&mut known, now);
        }
        if is_full && known.map.len() >= REVOCATIONS_MAX {
            return Err(Full);
        }
        let until = now.max(floor).saturating_add(KEPT_SECS_MIN);
        let old = known.map.get(&key).copied().unwrap_or(Revocation { floor, until });
        let revocation = Revocation { floor: old.floor.max(floor), until: old.until.max(until) };
        self.put(&mut known, key, revocation);
        Ok(())
    }

    /// A token of this identity is known to be good so long.
    pub fn keep_until(&self, room: &str, identity: &str, expiry: u64) {
        let mut known = self.lock();
        let key = (room.to_owned(), identity.to_owned());
        if let Some(revocation) = known.map.get(&key).copied() {
            self.extend(&mut known, key, revocation, expiry);
        }
    }

    /// A token that does not say when its time began is as old as can be.
    pub fn refuses(&self, room: &str, identity: &str, claims: &Claims, now: u64) -> bool {
        let mut known = self.lock();
        if known.map.is_empty() {
            return false;
        }
        let key = (room.to_owned(), identity.to_owned());
        let Some(revocation) = known.map.get(&key).copied() else { return false };
        if revocation.until < now {
            self.store.later([REVOKED_TOKENS.delete(&field(&key))]);
            known.map.remove(&key);
            return false;
        }
        let is_revoked = claims.begin() < revocation.floor;
        if is_revoked {
            self.extend(&mut known, key, revocation, claims.exp);
        }
        is_revoked
    }

    fn extend(&self, known: &mut Known, key: (String, String), revocation: Revocation, expiry: u64) {
        let until = expiry.saturating_add(LEEWAY_SECS);
        if until > revocation.until {
            self.put(known, key, Revocation { until, ..revocation });
        }
    }

    /// Rows are told to the store under the lock, so that the newest stays.
    fn put(&self, known: &mut Known, key: (String, String), revocation: Revocation) {
        if known.map.get(&key) != Some(&revocation) {
            self.store.later([REVOKED_TOKENS.put(&field(&key), &write(revocation))]);
            known.map.insert(key, revocation);
        }
    }

    fn sweep(&self, known: &mut Known, now: u64) {
        known.swept = now;
        let over = known.map.extract_if(|_, revocation| revocation.until < now);
        self.store.later(over.map(|(key, _)| REVOKED_TOKENS.delete(&field(&key))));
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // nothing in here can panic half-way
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Either may hold any character, so they are written as JSON.
fn field(key: &(String, String)) -> String {
    serde_json::to_string(key).unwrap_or_default()
}

fn write(Revocation { floor, until }: Revocation) -> Text {
    Text(format!("{floor}|{until}"))
}

fn read(field: &str, text: &Text) -> Option<((String, String), Revocation)> {
    let key = serde_json::from_str(field).ok()?;
    let (floor, until) = text.0.split_once('|')?;
    Some((key, Revocation { floor: floor.parse().ok()?, until: until.parse().ok()? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    fn token(nbf: u64, iat: u64, exp: u64) -> Claims {
        Claims { nbf, iat, exp, ..Claims::default() }
    }

    fn revocations() -> Revocations {
        Revocations::new(Store::in_memory().unwrap())
    }

    #[test]
    fn older_tokens_are_refused_and_newer_ones_pass() {
        let revocations = revocations();
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
        let revocations = revocations();
        let old = token(NOW - 1, 0, NOW + 10 * KEPT_SECS_MIN);
        revocations.add("r", "ann", NOW, NOW).unwrap();
        revocations.add("r", "ben", NOW, NOW).unwrap();
        revocations.add("r", "cid", NOW, NOW).unwrap();
        assert!(revocations.refuses("r", "ann", &old, NOW + 1), "it was shown, so it is known");
        revocations.keep_until("r", "ben", old.exp);
        let later = NOW + 9 * KEPT_SECS_MIN;
        assert!(revocations.refuses("r", "ann", &old, later) && revocations.refuses("r", "ben", &old, later));
        assert!(!revocations.refuses("r", "cid", &old, later));
        assert_eq!(revocations.lock().map.len(), 2);
    }

    #[test]
    fn there_is_a_bound() {
        let revocations = revocations();
        for n in 0..REVOCATIONS_MAX {
            revocations.add("r", &n.to_string(), NOW, NOW).unwrap();
        }
        assert_eq!(revocations.add("r", "one more", NOW, NOW), Err(Full));
        assert_eq!(revocations.add("r", "7", NOW + 1, NOW), Ok(()), "one that is known");
        assert_eq!(revocations.add("r", "one more", NOW, NOW + KEPT_SECS_MIN + 1), Ok(()), "the old ones are over");
        assert_eq!(revocations.lock().map.len(), 2);
    }

    #[tokio::test]
    async fn they_outlive_the_process() {
        let store = Store::in_memory().unwrap();
        let first = Revocations::new(store.clone());
        for identity in ["ann", "|\"ben", "short"] {
            first.add("r", identity, NOW, NOW).unwrap();
        }
        first.add("r", "ann", NOW + 5, NOW).unwrap();
        first.keep_until("r", "ann", NOW + 9 * KEPT_SECS_MIN);
        let old = token(NOW - 1, 0, NOW + 10 * KEPT_SECS_MIN);
        assert!(first.refuses("r", "|\"ben", &old, NOW));
        let rows = async || store.list(&REVOKED_TOKENS).await.unwrap();
        assert_eq!(rows().await.len(), 3);

        // `short` is over by now
        let later = NOW + 8 * KEPT_SECS_MIN;
        let second = Revocations::new(store.clone());
        second.restore(later).await.unwrap();
        for identity in ["ann", "|\"ben"] {
            assert!(second.refuses("r", identity, &old, later), "{identity}");
        }
        assert!(
            second.refuses("r", "ann", &token(NOW + 4, 0, 0), later) && !second.refuses("r", "ann", &token(NOW + 5, 0, 0), later)
        );
        assert!(!second.refuses("r", "short", &old, later));
        assert_eq!(rows().await.len(), 2, "what is over is no row any more");
        assert!(!second.refuses("r", "ann", &old, NOW + 10 * KEPT_SECS_MIN + LEEWAY_SECS + 1));
        second.add("r", "cid", NOW, NOW + 20 * KEPT_SECS_MIN).unwrap();
        assert_eq!(rows().await, [(r#"["r","cid"]"#.to_owned(), write(second.lock().map[&("r".to_owned(), "cid".to_owned())]))]);

        for (field, text) in [("r", "1|2"), (r#"["r","ann"]"#, "1"), (r#"["r","ann"]"#, "x|2")] {
            store.later([REVOKED_TOKENS.put(field, &Text(text.to_owned()))]);
            let broken = Revocations::new(store.clone()).restore(NOW).await;
            assert!(matches!(broken, Err(StoreError::Row { .. })), "{field} {text}");
            store.later([REVOKED_TOKENS.delete(field)]);
        }
    }
}
