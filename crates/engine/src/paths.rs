//! Which of a peer's paths media goes to.
//!
//! The controlling end nominates (RFC 8445 §8.1.1): the client says USE-CANDIDATE in a check of its own, or we do in one of ours, which
//! counts when it is answered. A nomination is not the last word, because a path may die without one: NATs give a client another
//! address in the middle of a call, and connections of TCP are closed.

use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use sluicegate_transport::ice::{OwnCheck, TransactionId};

use crate::demux::Path;

/// Nothing on the path in use for this long, but a sign of life on another one: the client is there now. Clients check every 2.5 s to
/// 5 s, we ourselves every 3 s, to which the answer may take a while; and reports come each second where there is media.
const SILENT_AFTER: Duration = Duration::from_secs(4);
/// Checks of ours whose answers are waited for: one every 50 ms at the most.
const OWN_CHECKS_MAX: usize = 16;
/// Paths that we nominated since the last restart, one better than the other, and still check. If there are more, the one checked
/// least lately is forgotten: it may have died.
const NOMINATED_MAX: usize = 16;

#[derive(Debug)]
pub struct Paths {
    /// None until a pair was nominated, or when what was in use has gone.
    in_use: Option<Path>,
    /// When something authentic came on it.
    heard: Instant,
    /// Another one that was alive, and when.
    other: Option<(Path, Instant)>,
    /// What was in use has gone: whatever is alive is better.
    lost: bool,
    own_checks: ArrayVec<(TransactionId, Path, bool), OWN_CHECKS_MAX>,
    /// Those that we nominated, the one checked last at the end, each with its rank: whoever was nominated later is better.
    nominated: ArrayVec<(Path, u32), NOMINATED_MAX>,
    /// The rank that was given last.
    last_rank: u32,
    /// The rank of the nomination that was taken last. A better one may have been answered sooner than a worse one of before.
    taken: u32,
}

impl Paths {
    pub fn new(now: Instant) -> Self {
        Self {
            in_use: None,
            heard: now,
            other: None,
            lost: false,
            own_checks: ArrayVec::new(),
            nominated: ArrayVec::new(),
            last_rank: 0,
            taken: 0,
        }
    }

    pub fn in_use(&self) -> Option<Path> {
        self.in_use
    }

    /// Something authentic arrived.
    pub fn heard(&mut self, now: Instant, path: Path) {
        if self.in_use == Some(path) {
            self.heard = now;
        } else {
            self.other = Some((path, now));
        }
    }

    /// An authentic check of the peer came.
    pub fn checked(&mut self, now: Instant, path: Path, nominates: bool) {
        if nominates {
            self.take(path);
        } else if self.is_needed(now) {
            self.replace(path);
        }
        self.heard(now, path);
    }

    /// We sent a check. str0m says USE-CANDIDATE with each check of a pair that it ever nominated, so only the first one of a path is a
    /// nomination, and has its rank from then on.
    pub fn check_sent(&mut self, path: Path, check: OwnCheck) {
        if check.nominates {
            let known = self.nominated.iter().position(|(known, _)| *known == path).map(|at| self.nominated.remove(at));
            if self.nominated.is_full() {
                self.nominated.remove(0);
            }
            if known.is_none() {
                self.last_rank = self.last_rank.saturating_add(1);
            }
            self.nominated.push(known.unwrap_or((path, self.last_rank)));
        }
        if self.own_checks.is_full() {
            self.own_checks.remove(0);
        }
        self.own_checks.push((check.id, path, check.nominates));
    }

    /// Whether a response with this number may come on this path.
    pub fn expects(&self, path: Path, id: &TransactionId) -> bool {
        self.own_checks.iter().any(|(known, from, _)| known == id && *from == path)
    }

    /// The peer's answer to a check of ours came, and is authentic: the path leads there and back.
    pub fn answered(&mut self, now: Instant, path: Path, id: &TransactionId) {
        let Some(at) = self.own_checks.iter().position(|(known, from, _)| known == id && *from == path) else { return };
        let (_, _, nominates) = self.own_checks.remove(at);
        let rank = self.nominated.iter().find(|(known, _)| nominates && *known == path).map(|(_, rank)| *rank);
        if let Some(rank) = rank.filter(|rank| *rank > self.taken) {
            self.taken = rank;
            self.take(path);
        } else if self.is_needed(now) {
            self.replace(path);
        }
        self.heard(now, path);
    }

    /// DTLS was sent on this path, before anybody nominated one: there it goes on.
    pub fn begun(&mut self, now: Instant, path: Path) {
        self.take(path);
        self.heard = now;
    }

    /// There was one in use, which has gone, and no other has taken its place.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// A path is no more. What was alive a moment ago takes the place of the one in use.
    pub fn gone(&mut self, now: Instant, path: Path) {
        self.other = self.other.filter(|(other, _)| *other != path);
        if self.in_use != Some(path) {
            return;
        }
        (self.in_use, self.lost) = (None, true);
        if let Some((other, heard)) = self.other.take()
            && now.saturating_duration_since(heard) < SILENT_AFTER
        {
            self.take(other);
            self.heard = heard;
        }
    }

    /// ICE restarts: media goes on where it went until another path is nominated (RFC 8445 §9).
    pub fn restarted(&mut self) {
        self.own_checks.clear();
        self.nominated.clear();
        self.taken = self.last_rank;
    }

    /// The one in use is silent, or gone: `path` stands in for it, for as long as it is. str0m knows nothing of that and nominates
    /// nothing anew, so the next answer from there counts again, unless a better one was answered meanwhile.
    fn replace(&mut self, path: Path) {
        if let Some(silent) = self.in_use.filter(|silent| *silent != path)
            && let Some((_, rank)) = self.nominated.iter().find(|(known, _)| *known == silent)
        {
            self.taken = self.taken.min(rank.saturating_sub(1));
        }
        self.take(path);
    }

    fn take(&mut self, path: Path) {
        (self.in_use, self.lost) = (Some(path), false);
    }

    fn is_needed(&self, now: Instant) -> bool {
        match self.in_use {
            Some(_) => now.saturating_duration_since(self.heard) >= SILENT_AFTER,
            None => self.lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn path(port: u16) -> Path {
        Path { local: 0, remote: SocketAddr::from(([198, 51, 100, 1], port)) }
    }

    fn check(id: u8, nominates: bool) -> OwnCheck {
        OwnCheck { id: [id; 12], nominates }
    }

    struct Begin(Instant, Paths);

    impl Begin {
        fn new() -> Self {
            let now = Instant::now();
            Self(now, Paths::new(now))
        }

        fn at(&self, secs: f32) -> Instant {
            self.0 + Duration::from_secs_f32(secs)
        }
    }

    #[test]
    fn media_follows_the_peers_nominations_and_whoever_moved() {
        let mut b = Begin::new();
        let at = |secs: f32| b.0 + Duration::from_secs_f32(secs);
        let paths = &mut b.1;
        paths.checked(at(9.0), path(1), false);
        assert_eq!(paths.in_use(), None, "a check alone nominates nothing");
        paths.checked(at(10.0), path(1), true);
        paths.checked(at(10.5), path(2), false);
        assert_eq!(paths.in_use(), Some(path(1)), "another way is tried beside the one in use");
        paths.heard(at(12.0), path(1));
        paths.checked(at(15.9), path(2), false);
        assert_eq!(paths.in_use(), Some(path(1)));
        paths.checked(at(16.0), path(3), false);
        assert_eq!(paths.in_use(), Some(path(3)), "the NAT gave it another address");
        paths.checked(at(16.1), path(2), true);
        assert_eq!(paths.in_use(), Some(path(2)));
    }

    #[test]
    fn our_nomination_counts_once_and_when_it_is_answered() {
        let mut b = Begin::new();
        let now = b.at(0.0);
        let paths = &mut b.1;
        paths.check_sent(path(1), check(1, false));
        paths.check_sent(path(1), check(2, true));
        assert!(paths.expects(path(1), &[2; 12]) && !paths.expects(path(2), &[2; 12]) && !paths.expects(path(1), &[3; 12]));
        paths.answered(now, path(1), &[1; 12]);
        assert_eq!(paths.in_use(), None);
        paths.answered(now, path(1), &[2; 12]);
        assert_eq!(paths.in_use(), Some(path(1)));
        assert!(!paths.expects(path(1), &[2; 12]), "an answer comes once");
        // a better pair, and then both are kept alive
        for (id, port, then) in [(3, 2, 2), (4, 1, 2), (5, 2, 2), (6, 1, 2)] {
            paths.check_sent(path(port), check(id, true));
            paths.answered(now, path(port), &[id; 12]);
            assert_eq!(paths.in_use(), Some(path(then)), "check {id}");
        }
        // after a restart each may be nominated anew; an answer to a check of before is nobody's
        paths.check_sent(path(1), check(7, true));
        paths.restarted();
        paths.answered(now, path(1), &[7; 12]);
        assert_eq!(paths.in_use(), Some(path(2)));
        paths.check_sent(path(1), check(8, true));
        paths.answered(now, path(1), &[8; 12]);
        assert_eq!(paths.in_use(), Some(path(1)));
        for id in 0..100 {
            paths.check_sent(path(9), check(id, true));
        }
    }

    #[test]
    fn answers_keep_a_path_alive() {
        let mut b = Begin::new();
        let at = |secs: f32| b.0 + Duration::from_secs_f32(secs);
        let paths = &mut b.1;
        paths.begun(at(0.0), path(1));
        paths.check_sent(path(1), check(1, false));
        paths.answered(at(2.5), path(1), &[1; 12]);
        paths.checked(at(6.0), path(2), false);
        assert_eq!(paths.in_use(), Some(path(1)));
        paths.checked(at(6.5), path(2), false);
        assert_eq!(paths.in_use(), Some(path(2)));
    }

    #[test]
    fn the_better_of_our_nominations_stays_whichever_is_answered_first() {
        let mut b = Begin::new();
        let now = b.at(0.0);
        let paths = &mut b.1;
        // the worse one first, and its answer takes longer
        paths.check_sent(path(1), check(1, true));
        paths.check_sent(path(2), check(2, true));
        for (id, port) in [(2, 2), (1, 1)] {
            paths.answered(now, path(port), &[id; 12]);
            assert_eq!(paths.in_use(), Some(path(2)), "the answer of {port}");
        }
        // however many there were before, the newest counts
        for id in 3..60 {
            paths.check_sent(path(2), check(200, true));
            paths.check_sent(path(u16::from(id)), check(id, true));
            paths.answered(now, path(u16::from(id)), &[id; 12]);
            assert_eq!(paths.in_use(), Some(path(u16::from(id))));
        }
        paths.answered(now, path(2), &[200; 12]);
        assert_eq!(paths.in_use(), Some(path(59)), "one that is checked all the time is no new one");
    }

    #[test]
    fn media_returns_to_the_nominated_path_that_was_silent() {
        let mut b = Begin::new();
        let at = |secs: f32| b.0 + Duration::from_secs_f32(secs);
        let paths = &mut b.1;
        for (id, port) in [(1, 2), (2, 1)] {
            paths.check_sent(path(port), check(id, true));
            paths.answered(at(0.0), path(port), &[id; 12]);
        }
        for round in 1..4u8 {
            let then = f32::from(round) * 10.0;
            paths.check_sent(path(1), check(10 + round, true));
            paths.check_sent(path(2), check(20 + round, true));
            paths.answered(at(then), path(2), &[20 + round; 12]);
            assert_eq!(paths.in_use(), Some(path(2)), "the other one is silent");
            paths.answered(at(then + 0.5), path(1), &[10 + round; 12]);
            assert_eq!(paths.in_use(), Some(path(1)), "it is back");
            paths.check_sent(path(2), check(30 + round, true));
            paths.answered(at(then + 1.0), path(2), &[30 + round; 12]);
            assert_eq!(paths.in_use(), Some(path(1)));
        }
        // what stood in was silent itself: the better one has media again all the same, and then one that is better still
        paths.check_sent(path(2), check(50, true));
        paths.answered(at(50.0), path(2), &[50; 12]);
        paths.checked(at(60.0), path(3), false);
        for (id, port, then) in [(51, 2, 2), (52, 1, 1), (53, 2, 1), (54, 4, 4), (55, 1, 4)] {
            paths.check_sent(path(port), check(id, true));
            paths.answered(at(60.5), path(port), &[id; 12]);
            assert_eq!(paths.in_use(), Some(path(then)), "check {id}");
        }
    }

    #[test]
    fn a_path_that_has_gone_is_replaced_by_what_is_alive() {
        let mut b = Begin::new();
        let at = |secs: f32| b.0 + Duration::from_secs_f32(secs);
        let paths = &mut b.1;
        paths.begun(at(0.0), path(1));
        paths.checked(at(0.5), path(2), false);
        paths.gone(at(1.0), path(3));
        assert_eq!(paths.in_use(), Some(path(1)));
        paths.gone(at(1.0), path(1));
        assert_eq!(paths.in_use(), Some(path(2)), "it was heard half a second ago");
        paths.gone(at(1.1), path(2));
        assert_eq!(paths.in_use(), None);
        paths.checked(at(1.2), path(4), false);
        assert_eq!(paths.in_use(), Some(path(4)), "nobody nominates it, but there is no other");
        paths.checked(at(1.3), path(5), false);
        paths.gone(at(6.0), path(4));
        assert_eq!(paths.in_use(), None, "that was long ago");
    }
}
