//! A datagram's way in: whose it is, what it is, and for media: open, parse once, into the receiver, out to every down track.

use std::time::Instant;

use sluicegate_contract::command::Fault;
use sluicegate_rtp::extension::Extensions;
use sluicegate_rtp::header::{self, Kind, RtpHeader};
use sluicegate_sfu::down_track::Forwarding;
use sluicegate_sfu::receiver::{Layer, Opened, Received};
use sluicegate_transport::ice;

use crate::demux::Path;
use crate::engine::Engine;
use crate::link::Route;
use crate::pacer::Descriptor;

impl Engine {
    /// `known`: whose path it is.
    pub(crate) fn receive(&mut self, now: Instant, path: Path, known: Option<u32>, datagram: &mut [u8]) {
        match (header::classify(datagram), known) {
            (Kind::Stun, _) => self.receive_stun(now, path, known, datagram),
            (Kind::Other, _) => self.meters.dropped_malformed += 1,
            (_, None) => self.meters.dropped_strangers += 1,
            (Kind::Dtls, Some(link)) => self.receive_control(now, link, path, datagram),
            (Kind::Rtp, Some(link)) => self.receive_rtp(now, link, path, datagram),
            (Kind::Rtcp, Some(link)) => self.receive_rtcp(now, link, path, datagram),
        }
    }

    fn receive_stun(&mut self, now: Instant, path: Path, known: Option<u32>, datagram: &[u8]) {
        let named = ice::stun_username_ufrag(datagram).and_then(|ufrag| self.demux.by_ufrag(ufrag));
        let asked = || ice::answered_check(datagram).and_then(|id| self.demux.awaited(&id));
        let Some(link) = named.or(known).or_else(asked) else {
            self.meters.dropped_strangers += 1;
            return;
        };
        if let Some(session) = self.links.get(link as usize).map(|state| state.session) {
            self.serving = Some(session);
            self.check_fault(session, Fault::Check);
        }
        let Some(state) = self.links.get_mut(link as usize) else { return };
        let (before, connection) = (state.paths.in_use(), &state.transport.connection);
        if let Some(check) = ice::verify_check(datagram, connection.local_password()) {
            if !self.demux.learn(now, link, path) {
                self.meters.dropped_strangers += 1;
                return;
            }
            state.checked(now, path, check.use_candidate);
        } else if let Some(id) = ice::answered_check(datagram)
            && state.paths.expects(path, &id)
            && ice::verify_answer(datagram, connection.remote_password())
        {
            if !self.demux.learn(now, link, path) {
                self.meters.dropped_strangers += 1;
                return;
            }
            state.answered(now, path, &id);
        }
        self.follow_path(now, link, before);
        self.receive_control(now, link, path, datagram);
    }

    /// Tells who must know of it where a link's media goes now, if that is not `before`.
    pub(crate) fn follow_path(&mut self, now: Instant, link: u32, before: Option<Path>) {
        let Some(after) = self.links.get(link as usize).and_then(|state| state.paths.in_use()) else { return };
        // what is not learnt must have no socket: nobody would close it
        if before != Some(after) && self.demux.learn(now, link, after) {
            self.demux.nominated(now, link, after, before);
        }
    }

    fn receive_control(&mut self, now: Instant, link: u32, path: Path, datagram: &[u8]) {
        let Some(local) = self.config.candidates.get(usize::from(path.local)).copied() else { return };
        let Some(state) = self.links.get_mut(link as usize) else { return };
        state.transport.connection.handle_datagram(now, path.remote, local, datagram);
        let session = state.session;
        self.check_fault(session, Fault::Datagram);
        self.touch(session);
    }

    fn receive_rtp(&mut self, now: Instant, link: u32, path: Path, datagram: &mut [u8]) {
        let Ok(header) = RtpHeader::parse(datagram) else {
            self.meters.dropped_malformed += 1;
            return;
        };
        let Some(state) = self.links.get_mut(link as usize) else { return };
        let Some(opener) = state.transport.connection.opener() else {
            self.meters.dropped_unauthentic += 1;
            return;
        };
        let Ok(opened) = opener.open_rtp(header.ssrc, header.sequence, header.header_len, datagram) else {
            self.meters.dropped_unauthentic += 1;
            return;
        };
        state.heard(now, path);
        let Some(plaintext) = datagram.get(..opened.len) else { return };
        let route = match state.routes.get(header.ssrc) {
            Some(route) => Some(route),
            None => self.discover(link, &header, plaintext),
        };
        match route {
            Some(route) => self.route(now, link, route, &header, plaintext),
            None => self.meters.dropped_unmapped += 1,
        }
    }

    fn route(&mut self, now: Instant, link: u32, route: Route, header: &RtpHeader, plaintext: &[u8]) {
        let Some(publication) = self.publications.get_mut(route.publication as usize) else { return };
        let extensions = Extensions::parse(&publication.extensions, plaintext, header);
        let feedback_due = match (extensions.transport_cc, self.links.get_mut(link as usize)) {
            (Some(sequence), Some(state)) => state.twcc.handle_packet(now, sequence, header.ssrc, header.marker),
            _ => false,
        };
        let layer = Layer(route.layer);
        let Some(session) = publication.session() else { return };
        let Some(clock) = self.sessions.get(session as usize).map(|state| &state.clock) else { return };
        let original = if route.rtx { publication.repaired_by(header.payload_type) } else { Some(header.payload_type) };
        let Some((payload_type, codec)) = original.and_then(|pt| Some((pt, publication.codec_of(pt)?))) else {
            self.meters.dropped_unmapped += 1;
            return;
        };
        let opened = Opened { layer, codec, header, extensions: &extensions, publisher: clock, plaintext };
        let received = if route.rtx {
            publication.receiver.handle_rtx(now, payload_type, &opened)
        } else {
            publication.receiver.handle_rtp(now, &opened)
        };
        match received {
            Some(received) => {
                self.meters.packets_up += 1;
                self.fan_out(now, route.publication, &received);
            }
            None => self.meters.dropped_duplicates += 1,
        }
        let business = self.publications.get(route.publication as usize).is_some_and(|p| p.receiver.has_business());
        if feedback_due || business {
            self.touch(session);
        }
    }

    /// Out to every sink of the track: a table and a loop.
    pub(crate) fn fan_out(&mut self, now: Instant, index: u32, received: &Received) {
        let Some(publication) = self.publications.get_mut(index as usize) else { return };
        if publication.muted {
            return;
        }
        if !publication.relays.is_empty() {
            self.relay_packet(now, index, received);
        }
        let Some(publication) = self.publications.get_mut(index as usize) else { return };
        let Some(target) = publication.receiver.target(now) else { return };
        let mut awaited = false;
        for &subscription in publication.fanout.active() {
            let Some(sink) = self.subscriptions.get_mut(subscription as usize) else { continue };
            let Some(line) = sink.line.as_mut() else { continue };
            if let Forwarding::Send(rewritten) = line.down_track.forward(now, target, received) {
                let (layer, source) = (received.layer.0, received.ext_seq);
                let descriptor = Descriptor { subscription, publication: index, layer, rtx: None, source, rewritten };
                self.pacer.push(sink.transport, descriptor);
            }
            awaited |= line.down_track.awaited().is_some();
        }
        // asked again with every packet that is of no use, as often as the throttle allows
        if awaited {
            self.ask_key_frame(now, index, target);
        }
    }

    /// The first packet of an SSRC that no SDP named: its mid and rid tell where it belongs (RFC 8843 §9.2, RFC 8852).
    fn discover(&mut self, link: u32, header: &RtpHeader, plaintext: &[u8]) -> Option<Route> {
        let state = self.links.get(link as usize)?;
        let session = self.sessions.get(state.session as usize)?;
        // one BUNDLE group: the m-lines agree on the numbers of extensions, but each has only its own (audio has no rid)
        let (index, extensions) = session.publications.iter().find_map(|index| {
            let publication = self.publications.get(*index as usize)?;
            let extensions = Extensions::parse(&publication.extensions, plaintext, header);
            (extensions.mid? == publication.mid.as_bytes()).then_some((*index, extensions))
        })?;
        let publication = &mut self.publications[index as usize];
        let (rid, rtx) = match (extensions.repaired_rid, extensions.rid) {
            (Some(rid), _) => (Some(rid), true),
            (None, rid) => (rid, false),
        };
        let layer = match rid {
            Some(rid) => publication.rids.iter().position(|known| known.as_bytes() == rid)?,
            // a layer that does not say which one it is would be mixed with another
            None if publication.rids.is_empty() => 0,
            None => return None,
        };
        // without rids a repair stream is known by its payload type alone
        let rtx = rtx || publication.codec_of(header.payload_type).is_none();
        let layer = u8::try_from(layer).ok()?;
        if !rtx {
            publication.receiver.bind_layer(Layer(layer), header.ssrc);
        }
        let route = Route { publication: index, layer, rtx };
        self.links.get_mut(link as usize)?.routes.set(header.ssrc, route).then_some(route)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contain::tests::{engine, from, link};
    use crate::demux::{NEW_PATHS_AT_ONCE_MAX, NEW_PATHS_INTERVAL, PathNews};

    fn path(port: u16) -> Path {
        Path { local: 0, remote: from(port) }
    }

    fn nominated(engine: &mut Engine) -> Vec<Path> {
        let news = std::iter::from_fn(|| engine.poll_path_news());
        news.filter_map(|news| if let PathNews::Nominated(path) = news { Some(path) } else { None }).collect()
    }

    #[test]
    fn changes_between_paths_are_few_at_once() {
        let now = Instant::now();
        let mut engine = engine(now);
        let link = link(&engine, 0);
        assert!(engine.demux.learn(now, link, path(5001)));
        let mut flip = |now: Instant, times: u16| {
            for at in 0..times {
                let paths = &mut engine.links[link as usize].paths;
                let before = paths.in_use();
                paths.checked(now, path(5000 + at % 2), true);
                engine.follow_path(now, link, before);
            }
            nominated(&mut engine).len()
        };
        // the first is no change; two paths are new
        assert_eq!(flip(now, 200), 1 + NEW_PATHS_AT_ONCE_MAX as usize - 2);
        assert_eq!(flip(now + 2 * NEW_PATHS_INTERVAL, 200), 2);
    }

    #[test]
    fn a_path_that_may_not_be_learnt_is_not_nominated() {
        let now = Instant::now();
        let mut engine = engine(now);
        let link = link(&engine, 0);
        for port in 6000..6100 {
            engine.demux.learn(now, link, path(port));
        }
        engine.links[link as usize].paths.begun(now, path(7000));
        engine.follow_path(now, link, None);
        assert_eq!((nominated(&mut engine), engine.has_path(&path(7000))), (Vec::new(), false));
        engine.follow_path(now + std::time::Duration::from_secs(1), link, None);
        assert_eq!((nominated(&mut engine), engine.has_path(&path(7000))), (vec![path(7000)], true));
    }
}
