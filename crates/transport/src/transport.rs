//! One PeerConnection: its description and its connection, kept in step.

use std::time::Instant;

use sluicegate_rtp::codec::Codec;

use crate::address::{self, Carrier, LocalAddress};
use crate::certificate::Certificate;
use crate::connection::{Connection, ConnectionConfig};
use crate::negotiate::{LocalParameters, NegotiateError, Negotiation, NegotiationConfig, OfferedSection, PublishHint, Role};

#[derive(Clone, Copy, Debug)]
pub struct TransportConfig<'a> {
    pub role: Role,
    /// The peer sends and receives on this one PeerConnection.
    pub single_pc: bool,
    pub ice_lite: bool,
    pub certificate: &'a Certificate,
    /// Our addresses, told as host candidates.
    pub candidates: &'a [LocalAddress],
    /// Our user name fragments begin with it, so that whoever sees a check knows whose it is.
    pub worker: u16,
    /// What the peer may send.
    pub publish_codecs: &'a [Codec],
    /// What we may send.
    pub subscribe_codecs: &'a [Codec],
    pub session_id: u64,
    /// SSRCs count upwards from here.
    pub first_ssrc: u32,
}

/// A PeerConnection.
#[derive(Debug)]
pub struct Transport {
    pub connection: Connection,
    pub negotiation: Negotiation,
    /// The sender of our RTCP feedback: an SSRC that never carries media.
    pub feedback_ssrc: u32,
}

impl Transport {
    pub fn new(now: Instant, config: TransportConfig<'_>) -> Self {
        let connection = Connection::new(
            now,
            ConnectionConfig {
                certificate: config.certificate,
                candidates: config.candidates,
                worker: config.worker,
                ice_lite: config.ice_lite,
                controlling: config.role == Role::Offer && !config.ice_lite,
            },
        );
        let mut negotiation = Negotiation::new(NegotiationConfig {
            role: config.role,
            local: LocalParameters {
                ufrag: connection.local_ufrag().to_owned(),
                pwd: connection.local_password().to_owned(),
                fingerprint: connection.fingerprint().to_owned(),
                ice_lite: config.ice_lite,
                candidates: address::candidate_lines(config.candidates),
            },
            single_pc: config.single_pc,
            publish: config.publish_codecs.to_vec(),
            subscribe: config.subscribe_codecs.to_vec(),
            session_id: config.session_id,
            first_ssrc: config.first_ssrc,
        });
        let feedback_ssrc = negotiation.take_ssrc();
        Self { connection, negotiation, feedback_ssrc }
    }

    /// Takes the peer's offer and returns our answer.
    pub fn accept_offer(
        &mut self,
        now: Instant,
        sdp: &str,
        hint: impl FnMut(&OfferedSection) -> Option<PublishHint>,
    ) -> Result<String, NegotiateError> {
        self.negotiation.accept_offer(sdp, hint)?;
        self.follow_remote(now);
        Ok(self.negotiation.answer())
    }

    /// Takes the peer's answer to our offer.
    pub fn accept_answer(&mut self, now: Instant, sdp: &str) -> Result<(), NegotiateError> {
        self.negotiation.accept_answer(sdp)?;
        self.follow_remote(now);
        Ok(())
    }

    /// Our next offer restarts ICE, where there is something to restart. False: the connection is over for good.
    pub fn restart_ice(&mut self) -> bool {
        if self.connection.is_failed() {
            return false;
        }
        if self.connection.is_started() {
            let (ufrag, pwd) = self.connection.prepare_restart();
            self.negotiation.set_local_credentials(ufrag, pwd);
        }
        true
    }

    /// Which of our addresses the next description tells, and every one after it. Without one of UDP the peer's are of no use, either:
    /// nothing is sent there.
    pub fn tell_addresses(&mut self, addresses: &[LocalAddress]) {
        self.negotiation.set_local_candidates(address::candidate_lines(addresses));
        self.connection.set_tcp_only(addresses.iter().all(|local| local.carrier == Carrier::TcpPassive));
    }

    /// What peers know our end by: also the user name fragment that a restart under way has told.
    pub fn local_ufrag(&self) -> &str {
        self.negotiation.local_ufrag()
    }

    /// Starts the connection with the first description; new credentials in a later one are an ICE restart.
    fn follow_remote(&mut self, now: Instant) {
        let Some(remote) = self.negotiation.remote() else { return };
        if !self.connection.is_started() {
            self.connection.start(now, &remote.transport);
        } else if self.connection.is_restarting() || self.connection.remote_ufrag() != remote.transport.ufrag {
            self.connection.restart_ice(now, &remote.transport.ufrag, &remote.transport.pwd);
            let (ufrag, pwd) = (self.connection.local_ufrag().to_owned(), self.connection.local_password().to_owned());
            self.negotiation.set_local_credentials(&ufrag, &pwd);
        }
        let Some(remote) = self.negotiation.remote() else { return };
        for candidate in &remote.candidates {
            // one that cannot be used is no reason to give the others up
            let _ = self.connection.add_remote_candidate(candidate);
        }
    }
}

#[cfg(test)]
mod tests;
