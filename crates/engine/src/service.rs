//! What a touched session needs at the end of a tick: its connections polled, its feedback sent, its next deadline set. And the
//! ends of publications and subscriptions.

use std::time::Instant;

use sluicegate_contract::command::Fault;
use sluicegate_contract::event::TransportState;
use sluicegate_contract::{Event, Relay};
use sluicegate_transport::address::LocalAddress;
use sluicegate_transport::connection::Output;
use sluicegate_transport::ice;

use crate::demux::Path;
use crate::engine::Engine;
use crate::publication::Origin;

impl Engine {
    pub(crate) fn service_dirty(&mut self, now: Instant) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for index in dirty.drain(..) {
            let Some(session) = self.sessions.get_mut(index as usize) else { continue };
            session.dirty = false;
            let key = session.key;
            self.contain(now, |engine| engine.service(now, index), |_| Some(key));
        }
        // what the service itself touched waits for the next flush
        dirty.append(&mut self.dirty);
        self.dirty = dirty;
    }

    fn service(&mut self, now: Instant, index: u32) {
        self.check_fault(index, Fault::Service);
        self.offer_if_due(now, index);
        let links = self.sessions[index as usize].transports();
        for link in links {
            self.poll_connection(now, link);
            // the session may have ended over what it sent
            if !self.sessions.contains(index as usize) {
                return;
            }
            self.send_feedback(now, link);
            if let Some(state) = self.links.get_mut(link as usize).and_then(|state| state.judge(now)) {
                self.report_state(link, state);
            }
        }
        // an acknowledgement may have made room
        self.data_is_ready(now, index);
        let deadline = self.deadline(index);
        self.timers.set(index, deadline);
    }

    fn deadline(&self, index: u32) -> Option<Instant> {
        let session = self.sessions.get(index as usize)?;
        let links = session.transports().filter_map(|link| self.links.get(link as usize));
        let of_links = links.filter_map(|link| {
            let connection = link.transport.connection.poll_timeout();
            [connection, link.twcc.poll_timeout(), link.report_due, link.judge_at()].into_iter().flatten().min()
        });
        let of_receivers = session.publications.iter().filter_map(|p| self.publications.get(*p as usize)?.receiver.poll_timeout());
        let offering = session.offering.due.filter(|_| session.offering.outstanding.is_none());
        of_links.chain(of_receivers).chain(offering).min()
    }

    fn poll_connection(&mut self, now: Instant, link: u32) {
        let Some(state) = self.links.get_mut(link as usize) else { return };
        if state.transport.connection.poll_timeout().is_some_and(|at| at <= now) {
            state.transport.connection.handle_timeout(now);
        }
        while let Some(output) = self.links.get_mut(link as usize).and_then(|state| state.transport.connection.poll_output()) {
            match output {
                Output::Transmit { carrier, source, destination, contents } => {
                    let same = |local: &LocalAddress| local.address == source && local.carrier == carrier;
                    let local = self.config.candidates.iter().position(same);
                    if let Some(local) = local.and_then(|at| u16::try_from(at).ok()) {
                        self.transmit(now, link, Path { local, remote: destination }, &contents);
                    }
                }
                Output::Connected => self.report_state(link, TransportState::Connected),
                Output::ChannelOpen { id, label, .. } => self.channel_opened(now, link, id, &label),
                Output::ChannelClosed { id } => {
                    if let Some(state) = self.links.get_mut(link as usize) {
                        state.channels.closed(id);
                    }
                }
                Output::Data { id, data, .. } => self.data_received(now, link, id, data),
                Output::Closed => self.report_state(link, TransportState::Closed),
                Output::Failed(_) => self.report_state(link, TransportState::Failed),
            }
        }
    }

    /// A packet that the connection wants to send on `path`.
    fn transmit(&mut self, now: Instant, link: u32, mut path: Path, contents: &[u8]) {
        let Some(state) = self.links.get_mut(link as usize) else { return };
        if let Some(check) = ice::own_check(contents) {
            state.paths.check_sent(path, check);
            if self.demux.by_path(&path).is_none() {
                self.demux.await_answer(link, check.id);
            }
        }
        if contents.first().is_some_and(|first| (20..64).contains(first)) {
            match state.paths.in_use() {
                // str0m follows nominations alone; where the media goes, there the client is
                Some(in_use) => path = in_use,
                // before anybody nominated a pair, DTLS shows which one works
                // a connection that was closed is no path, whatever str0m still thinks of it
                // and one that went to another worker is that one's, whatever a session that is left behind still says there
                None if (self.demux.is_stream(&path) || state.paths.is_lost()) && self.demux.by_path(&path) != Some(link) => return,
                None => {
                    state.paths.begun(now, path);
                    self.follow_path(now, link, None);
                }
            }
        }
        self.outbox.push(path, contents);
    }

    fn report_state(&mut self, link: u32, next: TransportState) {
        let Some(state) = self.links.get_mut(link as usize) else { return };
        state.state = Some(next);
        let target = state.target;
        if let Some(session) = self.sessions.get(state.session as usize) {
            self.events.push_back(Event::TransportState { session: session.key, target, state: next });
        }
    }

    /// Puts the subscription into the fan-out of its track, or takes it out: what is disabled or not negotiated costs nothing.
    pub(crate) fn refresh_sink(&mut self, now: Instant, index: u32) {
        let Some(subscription) = self.subscriptions.get_mut(index as usize) else { return };
        let source = subscription.publication;
        let Some(publication) = self.publications.get_mut(source as usize) else { return };
        match &mut subscription.line {
            Some(line) if !subscription.disabled => {
                line.down_track.pause();
                publication.fanout.add(index);
                if let Some(layer) = publication.receiver.target(now) {
                    self.ask_key_frame(now, source, layer);
                }
            }
            _ => publication.fanout.remove(index),
        }
        self.refresh_want(now, source);
    }

    pub(crate) fn set_muted(&mut self, index: u32, muted: bool) {
        let Some(publication) = self.publications.get_mut(index as usize) else { return };
        if publication.muted == muted {
            return;
        }
        publication.muted = muted;
        for &subscription in publication.fanout.active() {
            if let Some(line) = self.subscriptions.get_mut(subscription as usize).and_then(|s| s.line.as_mut()) {
                line.down_track.pause();
            }
        }
        self.tell_relays(index, |track| Relay::Muted { track, muted });
    }

    /// The track is over: nobody has it any more. Its session forgets it at the caller's hand.
    pub(crate) fn end_publication(&mut self, now: Instant, index: u32) {
        let Some(publication) = self.publications.get_mut(index as usize) else { return };
        let subscriptions = std::mem::take(&mut publication.subscriptions);
        let (key, origin) = (publication.key, publication.origin);
        self.by_track.remove(&key);
        self.tell_relays(index, |track| Relay::Ended { track });
        for subscription in subscriptions {
            self.end_subscription(now, subscription);
        }
        if let Origin::Session { transport, .. } = origin
            && let Some(state) = self.links.get_mut(transport as usize)
        {
            state.routes.remove_publication(index);
        }
        self.publications.try_remove(index as usize);
    }

    /// Ends one subscription of a session that stays: its section becomes free with the next description.
    pub(crate) fn end_subscription(&mut self, now: Instant, index: u32) {
        let Some(subscription) = self.subscriptions.get(index as usize) else { return };
        let (session, link, track) = (subscription.session, subscription.transport, subscription.track);
        if let Some(state) = self.links.get_mut(link as usize) {
            state.transport.negotiation.remove_sender(track.packed());
        }
        if let Some(state) = self.sessions.get_mut(session as usize) {
            state.subscriptions.retain(|known| *known != index);
            state.offering.want(now);
        }
        self.drop_subscription(now, index);
        self.touch(session);
    }

    /// Takes a subscription out of every table.
    pub(crate) fn drop_subscription(&mut self, now: Instant, index: u32) {
        self.pacer.forget(index);
        let Some(subscription) = self.subscriptions.try_remove(index as usize) else { return };
        if let Some(publication) = self.publications.get_mut(subscription.publication as usize) {
            publication.fanout.remove(index);
            publication.subscriptions.retain(|known| *known != index);
            self.end_if_unwanted(subscription.publication);
            if self.by_track.contains_key(&subscription.track) {
                self.refresh_want(now, subscription.publication);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contain::tests::{engine, from, link};

    #[test]
    fn a_path_that_another_worker_has_is_not_taken_back() {
        let now = Instant::now();
        let mut engine = engine(now);
        let link = link(&engine, 0);
        let path = Path { local: 0, remote: from(5000) };
        let dtls = [22, 254, 253];
        engine.transmit(now, link, path, &dtls);
        assert!(engine.links[link as usize].paths.in_use() == Some(path) && engine.has_path(&path));
        engine.handle_path_closed(now, &path);
        for _ in 0..2 {
            engine.transmit(now, link, path, &dtls);
            assert!(engine.links[link as usize].paths.in_use().is_none() && !engine.has_path(&path));
        }
        // where it still is, DTLS goes on
        let other = Path { local: 0, remote: from(5001) };
        assert!(engine.demux.learn(now, link, other));
        engine.transmit(now, link, other, &dtls);
        assert_eq!(engine.links[link as usize].paths.in_use(), Some(other));
    }
}
