//! What a panic costs: the session whose handling it was, and nobody else. A panic that belongs to no session is passed on to the
//! worker, which begins anew.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;
use std::time::Instant;

use sluicegate_contract::SessionKey;
use sluicegate_contract::command::Fault;
use sluicegate_contract::event::SessionEnd;

use crate::engine::Engine;

impl Engine {
    /// Runs `work`; where it panics, the session that `whose` names is ended.
    pub(crate) fn contain(&mut self, now: Instant, work: impl FnOnce(&mut Self), whose: impl FnOnce(&Self) -> Option<SessionKey>) {
        // The session's own state is thrown away. What is shared are tables of which no entry depends on another; if one is
        // broken all the same, the end of the session panics, too, and the worker begins anew.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(self)));
        self.bear(now, outcome, whose);
    }

    /// What a panic costs, if there was one.
    pub(crate) fn bear(&mut self, now: Instant, outcome: thread::Result<()>, whose: impl FnOnce(&Self) -> Option<SessionKey>) {
        let Err(panic) = outcome else { return };
        let Some(key) = whose(self) else { resume_unwind(panic) };
        self.meters.panics += 1;
        self.end_session(now, key, SessionEnd::Panicked);
    }

    /// Runs work on many sessions, which notes in `serving` whose turn it is: where it panics, that session is ended, and the rest is
    /// worked on.
    pub(crate) fn contain_each(&mut self, now: Instant, mut work: impl FnMut(&mut Self), mut repair: impl FnMut(&mut Self)) {
        loop {
            self.serving = None;
            let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(self))) else { return };
            // each round ends a session, so there is an end to it
            self.bear(now, Err(panic), |engine| engine.serving.and_then(|session| engine.key_of(session)));
            repair(self);
        }
    }

    pub(crate) fn key_of(&self, session: u32) -> Option<SessionKey> {
        self.sessions.get(session as usize).map(|session| session.key)
    }

    /// The sessions that are here: what is lost when the worker begins anew.
    pub fn sessions(&self) -> impl Iterator<Item = SessionKey> {
        self.sessions.iter().map(|(_, session)| session.key)
    }

    #[expect(clippy::panic, reason = "a provoked panic is the purpose")]
    pub(crate) fn fault(&mut self, fault: Fault) {
        match fault {
            Fault::Worker(_) => panic!("provoked"),
            Fault::Service(key)
            | Fault::Datagram(key)
            | Fault::Check(key)
            | Fault::Flush(key)
            | Fault::Data(key)
            | Fault::DataTrack(key) => {
                let Some(index) = self.session_index(key) else { return };
                self.sessions[index as usize].fault = Some(fault);
                self.touch(index);
            }
        }
    }

    /// Panics where that was asked for.
    #[expect(clippy::panic, reason = "a provoked panic is the purpose")]
    pub(crate) fn check_fault(&mut self, session: u32, here: fn(SessionKey) -> Fault) {
        let Some(state) = self.sessions.get_mut(session as usize) else { return };
        if state.fault.is_some_and(|fault| fault == here(state.key)) {
            state.fault = None;
            panic!("provoked");
        }
    }
}
