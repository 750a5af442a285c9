//! The tokens of a stay: when they begin and end, and who may resume it with which.
//!
//! The stay keeps the rights that it has (LiveKit): a token with more gives nothing. One with fewer is either the stay's own from
//! before the API gave more (SDKs resume with the first one, or with a refreshed one), or somebody else's, for whom it would give
//! more: he joins anew, with what his token says.

use sluicegate_proto::grant::VideoGrant;
use sluicegate_proto::token::Claims;

/// Grants of a stay that are remembered when the API replaces them, beside the first; a token of one that is forgotten joins anew.
const EARLIER_GRANTS_MAX: usize = 8;

/// Times in Unix seconds.
#[derive(Debug, Default)]
pub struct Tokens {
    /// When what the stay's rights came from began, 0 where that did not say.
    pub begin_secs: u64,
    /// When the last token ends that allowed as much as the stay is allowed.
    pub expiry_secs: u64,
    /// When the last one ends that was seen.
    pub known_until_secs: u64,
    /// What the stay was allowed before: at first, and lately.
    earlier: Vec<VideoGrant>,
}

impl Tokens {
    pub fn new(claims: &Claims) -> Self {
        Self { begin_secs: claims.begin(), expiry_secs: claims.exp, known_until_secs: claims.exp, earlier: Vec::new() }
    }

    /// The API gives the stay other rights than these.
    pub fn replaced(&mut self, grant: &VideoGrant) {
        if self.earlier.iter().any(|earlier| earlier.is_as_good_as(grant)) {
            return;
        }
        if self.earlier.len() > EARLIER_GRANTS_MAX {
            self.earlier.remove(1);
        }
        self.earlier.push(grant.clone());
    }

    /// Whether a client with this token may have the stay, whose rights are these.
    pub fn admit(&self, present: &VideoGrant, token: &VideoGrant) -> bool {
        token.covers(present) || self.earlier.iter().any(|earlier| earlier.is_as_good_as(token))
    }

    /// A client with such a token has the stay again.
    pub fn resumed(&mut self, present: &VideoGrant, claims: &Claims) {
        self.known_until_secs = self.known_until_secs.max(claims.exp);
        if claims.video.as_ref().is_some_and(|token| token.covers(present)) {
            self.begin_secs = self.begin_secs.max(claims.begin());
            self.expiry_secs = self.expiry_secs.max(claims.exp);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(can_publish: bool, sources: &[&str]) -> VideoGrant {
        let can_publish_sources = sources.iter().map(|source| (*source).to_owned()).collect();
        VideoGrant { room_join: true, can_publish: Some(can_publish), can_publish_sources, ..VideoGrant::default() }
    }

    fn claims(nbf: u64, exp: u64, video: VideoGrant) -> Claims {
        Claims { nbf, exp, video: Some(video), ..Claims::default() }
    }

    #[test]
    fn so_many_earlier_grants_are_remembered() {
        const SOURCES: [&str; 4] = ["camera", "microphone", "screen_share", "screen_share_audio"];
        let grants: Vec<VideoGrant> = (1..16u32)
            .map(|bits| {
                let named = SOURCES.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, name)| *name);
                grant(true, &named.collect::<Vec<_>>())
            })
            .collect();
        let mut tokens = Tokens::new(&claims(1, 2, grants[0].clone()));
        for grant in grants.iter().chain(&grants) {
            tokens.replaced(grant);
            assert!(tokens.earlier.len() <= EARLIER_GRANTS_MAX + 1);
        }
        let present = grant(true, &[]);
        assert!(tokens.admit(&present, &grants[0]) && tokens.admit(&present, &grants[14]), "the first and the newest");
        assert_eq!(grants.iter().filter(|token| tokens.admit(&present, token)).count(), EARLIER_GRANTS_MAX + 1);
    }

    #[test]
    fn a_token_that_allows_less_prolongs_nothing() {
        let (less, more) = (grant(false, &[]), grant(true, &[]));
        let mut tokens = Tokens::new(&claims(10, 100, less.clone()));
        tokens.resumed(&more, &claims(20, 900, less));
        assert_eq!((tokens.begin_secs, tokens.expiry_secs, tokens.known_until_secs), (10, 100, 900));
        tokens.resumed(&more, &claims(30, 500, more.clone()));
        assert_eq!((tokens.begin_secs, tokens.expiry_secs, tokens.known_until_secs), (30, 500, 900));
        tokens.resumed(&more, &claims(5, 50, more.clone()));
        assert_eq!((tokens.begin_secs, tokens.expiry_secs, tokens.known_until_secs), (30, 500, 900));
    }
}
