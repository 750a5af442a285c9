//! What a panic costs: the session whose handling it was, and nobody else. A panic that belongs to no session is passed on to the
//! worker, which begins anew.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;
use std::time::Instant;

use sluicegate_contract::command::Fault;
use sluicegate_contract::event::SessionEnd;
use sluicegate_contract::{Event, SessionKey};

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
        // one that is not registered any more has begun to be removed: what is left of it would stay for ever
        let Some(key) = whose(self).filter(|key| self.session_index(*key).is_some()) else { resume_unwind(panic) };
        self.meters.panics += 1;
        self.end_session(now, key, SessionEnd::Panicked);
    }

    /// As [`Engine::contain`], for a session that `work` begins: where it panics before anything of it is here, it is over.
    pub(crate) fn contain_beginning(&mut self, key: SessionKey, work: impl FnOnce(&mut Self)) {
        let links = self.links.len();
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(self))) else { return };
        if self.links.len() != links {
            resume_unwind(panic);
        }
        self.meters.panics += 1;
        self.events.push_back(Event::SessionEnded { session: key, why: SessionEnd::Panicked });
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
            | Fault::DataTrack(key)
            | Fault::Removal(key) => {
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

#[cfg(test)]
pub(crate) mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use sluicegate_contract::command::{AddSession, PcMode};
    use sluicegate_contract::time::WallClock;
    use sluicegate_contract::{Command, RoomKey, WorkerKey};
    use sluicegate_transport::address::LocalAddress;
    use sluicegate_transport::certificate::Certificate;

    use super::*;
    use crate::demux::Path;
    use crate::engine::EngineConfig;

    const ID: [u8; 12] = [7; 12];

    fn key(index: u32) -> SessionKey {
        SessionKey { room: RoomKey(1), index }
    }

    pub(crate) fn from(port: u16) -> SocketAddr {
        SocketAddr::from(([198, 51, 100, 1], port))
    }

    /// Sessions 0 and 1, each with one PeerConnection; session 0 has been heard from at port 5000.
    pub(crate) fn engine(now: Instant) -> Engine {
        let mut engine = Engine::new(EngineConfig {
            worker: WorkerKey::local(0),
            candidates: vec![LocalAddress::udp(SocketAddr::from(([192, 0, 2, 1], 7882)))],
            certificate: Certificate::generate().unwrap(),
            wall_clock: WallClock::new(now, Duration::ZERO),
            shares_port: true,
        });
        for index in 0..2 {
            let add = AddSession {
                session: key(index),
                mode: PcMode::Single,
                ice_lite: false,
                tcp_only: false,
                can_publish: true,
                publish_codecs: Vec::new(),
                subscribe_codecs: Vec::new(),
                firefox: false,
                seed: 1,
            };
            engine.handle_command(now, Command::AddSession(Box::new(add)));
        }
        let link = link(&engine, 0);
        assert!(engine.demux.learn(now, link, Path { local: 0, remote: from(5000) }));
        engine
    }

    pub(crate) fn link(engine: &Engine, index: u32) -> u32 {
        engine.sessions[engine.session_index(key(index)).unwrap() as usize].publisher
    }

    fn stun(kind: u16, attributes: &[u8]) -> Vec<u8> {
        let length = attributes.len() as u16;
        [&kind.to_be_bytes()[..], &length.to_be_bytes(), &[0x21, 0x12, 0xA4, 0x42], &ID, attributes].concat()
    }

    fn ended(engine: &mut Engine) -> Vec<SessionKey> {
        let events = std::iter::from_fn(|| engine.poll_event());
        events.filter_map(|event| if let Event::SessionEnded { session, .. } = event { Some(session) } else { None }).collect()
    }

    #[test]
    fn who_is_served_pays_for_a_check_and_for_an_early_answer() {
        let now = Instant::now();
        // session 1 is named, though the address is session 0's
        let mut engine = engine(now);
        let (hit, ufrag) = (link(&engine, 1), engine.links[link(&engine, 1) as usize].transport.connection.local_ufrag());
        let user = format!("{ufrag}:peer");
        let mut attributes = [&[0, 6][..], &(user.len() as u16).to_be_bytes(), user.as_bytes()].concat();
        attributes.resize(attributes.len().next_multiple_of(4), 0);
        engine.handle_command(now, Command::Fault(Fault::Check(key(1))));
        engine.handle_datagram(now, 0, from(5000), &mut stun(0x0001, &attributes));
        assert_eq!((ended(&mut engine), engine.meters().live_sessions), (vec![key(1)], 1));
        assert!(!engine.links.contains(hit as usize));
        // session 0 asked, and is answered from where nobody has been heard
        let asked = link(&engine, 0);
        engine.demux.await_answer(asked, ID);
        engine.handle_command(now, Command::Fault(Fault::Check(key(0))));
        engine.handle_datagram(now, 0, from(6000), &mut stun(0x0101, &[]));
        assert_eq!((ended(&mut engine), engine.meters().live_sessions), (vec![key(0)], 0));
        assert_eq!(engine.meters().panics, 2);
    }

    #[test]
    fn half_a_session_does_not_stay() {
        let now = Instant::now();
        for by_command in [true, false] {
            let mut engine = engine(now);
            engine.handle_command(now, Command::Fault(Fault::Removal(key(1))));
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                if by_command {
                    engine.handle_command(now, Command::RemoveSession { session: key(1) });
                } else {
                    engine.contain(now, |engine| engine.end_session(now, key(1), SessionEnd::TooSlow), |_| Some(key(1)));
                }
            }));
            assert!(outcome.is_err(), "the worker begins anew");
        }
    }

    #[test]
    fn a_session_that_cannot_begin_costs_itself() {
        let now = Instant::now();
        let mut engine = engine(now);
        engine.contain_beginning(key(2), |_| panic!("provoked"));
        assert_eq!((ended(&mut engine), engine.meters().panics, engine.links.len()), (vec![key(2)], 1, 2));
        let half = catch_unwind(AssertUnwindSafe(|| {
            engine.contain_beginning(key(2), |engine| {
                engine.links.remove(0);
                panic!("provoked");
            });
        }));
        assert!(half.is_err());
    }
}
