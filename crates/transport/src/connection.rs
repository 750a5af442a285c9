//! ICE, DTLS and SCTP of one PeerConnection, and the SRTP that DTLS keys.
//!
//! str0m's `DirectApi` may panic when it is called out of order, so the order is fixed here: candidates and credentials, then
//! once fingerprint, DTLS and SCTP, then channels. Datagrams of RTP and RTCP never come here.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use str0m::channel::{ChannelConfig, Reliability};
use str0m::config::Fingerprint as PeerFingerprint;
use str0m::ice::IceCreds;
use str0m::net::Receive;
use str0m::{Event, Input, Output as RtcOutput, Rtc, RtcConfig};

use crate::TransportError;
use crate::address::{self, Carrier, LocalAddress};
use crate::certificate::Certificate;
use crate::data::{Channels, MESSAGE_MAX, SCTP_BUFFER_MAX};
use crate::dtls_keys::{self, KeySlot};
use crate::ice::{self, Admission, Answers, Binding, RemoteAddresses};
use crate::srtp::{Opener, Profile, Sealer, SrtpKeys};

pub use crate::data::{ChannelId, ChannelPromise};

/// How a connection starts.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionConfig<'a> {
    pub certificate: &'a Certificate,
    /// Our addresses, as host candidates.
    pub candidates: &'a [LocalAddress],
    /// Begins our user name fragments ([`ice::worker_of`]).
    pub worker: u16,
    pub ice_lite: bool,
    /// We nominate: where both ends are full, whoever offered first (RFC 8445 §6.1.1).
    pub controlling: bool,
}

/// What the peer's SDP says about its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    pub ufrag: String,
    pub pwd: String,
    pub fingerprint: Fingerprint,
    /// We are the DTLS client.
    pub dtls_active: bool,
    /// It leaves checks and nominations to us.
    pub ice_lite: bool,
}

/// A certificate's digest (RFC 8122).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// The hash function's name, `sha-256`.
    pub algorithm: String,
    pub bytes: Vec<u8>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    Queued,
    /// The peer must take something first.
    Full,
    /// It is too large, or the channel is gone.
    Refused,
}

/// What a connection wants done, or reports.
#[derive(Debug)]
pub enum Output {
    Transmit {
        carrier: Carrier,
        source: SocketAddr,
        destination: SocketAddr,
        contents: Vec<u8>,
    },
    /// DTLS is done and SRTP has its keys.
    Connected,
    ChannelOpen {
        id: ChannelId,
        label: String,
        promise: ChannelPromise,
    },
    Data {
        id: ChannelId,
        binary: bool,
        data: Vec<u8>,
    },
    ChannelClosed {
        id: ChannelId,
    },
    /// The peer closed it (close_notify).
    Closed,
    /// It will not work any more.
    Failed(TransportError),
}

/// One PeerConnection's transport.
pub struct Connection {
    rtc: Rtc,
    worker: u16,
    ice_lite: bool,
    ufrag: String,
    pwd: String,
    /// Of a restart that we offer: ours once the peer has told its own.
    prepared: Option<IceCreds>,
    fingerprint: String,
    remote_ufrag: String,
    remote_pwd: String,
    started: bool,
    /// The peer shall connect to us; its own addresses, all of UDP, are passed over.
    tcp_only: bool,
    failed: bool,
    slot: KeySlot,
    keys: Option<SrtpKeys>,
    dtls_active: bool,
    remote_addresses: RemoteAddresses,
    answers: Answers,
    channels: Channels,
    outputs: VecDeque<Output>,
    timeout: Option<Instant>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("started", &self.started).field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl Connection {
    pub fn new(now: Instant, config: ConnectionConfig<'_>) -> Self {
        let slot = KeySlot::default();
        let mut settings = RtcConfig::new()
            .set_crypto_provider(dtls_keys::provider())
            .set_dtls_cert(config.certificate.0.clone())
            .set_ice_lite(config.ice_lite)
            .set_rtp_mode(true)
            .set_sctp_max_buffered_amount(SCTP_BUFFER_MAX)
            .set_sctp_max_message_size(MESSAGE_MAX)
            .set_local_ice_credentials(ice::credentials(config.worker));
        settings = settings.set_stats_interval(None);
        let mut rtc = dtls_keys::with_slot(&slot, || settings.build(now));
        for local in config.candidates.iter().filter_map(address::candidate) {
            rtc.add_local_candidate(local);
        }
        let mut direct = rtc.direct_api();
        direct.set_ice_controlling(config.controlling);
        let IceCreds { ufrag, pass } = direct.local_ice_credentials();
        let fingerprint = direct.local_dtls_fingerprint().to_string();
        Self {
            rtc,
            worker: config.worker,
            ice_lite: config.ice_lite,
            ufrag,
            pwd: pass,
            prepared: None,
            fingerprint,
            remote_ufrag: String::new(),
            remote_pwd: String::new(),
            started: false,
            tcp_only: false,
            failed: false,
            slot,
            keys: None,
            dtls_active: false,
            remote_addresses: RemoteAddresses::default(),
            answers: Answers::new(config.candidates.iter().map(|local| local.address)),
            channels: Channels::default(),
            outputs: VecDeque::new(),
            timeout: Some(now),
        }
    }

    pub fn local_ufrag(&self) -> &str {
        &self.ufrag
    }

    pub fn local_password(&self) -> &str {
        &self.pwd
    }

    /// `sha-256 AB:CD:…`, as the SDP writes it.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    pub fn is_started(&self) -> bool {
        self.started
    }

    /// It will not work any more, whatever is negotiated.
    pub fn is_failed(&self) -> bool {
        self.failed
    }

    /// The peer's user name fragment of the last start or restart.
    pub fn remote_ufrag(&self) -> &str {
        &self.remote_ufrag
    }

    /// Under which the peer answers our checks.
    pub fn remote_password(&self) -> &str {
        &self.remote_pwd
    }

    /// Starts ICE, DTLS and SCTP. Later calls only matter when the credentials differ, see [`Connection::restart_ice`].
    pub fn start(&mut self, now: Instant, remote: &Remote) {
        if self.started || self.failed {
            return;
        }
        self.started = true;
        self.remote_ufrag.clone_from(&remote.ufrag);
        self.remote_pwd.clone_from(&remote.pwd);
        self.dtls_active = remote.dtls_active;
        let mut direct = self.rtc.direct_api();
        if remote.ice_lite && !self.ice_lite {
            direct.set_ice_controlling(true);
        }
        direct.set_remote_ice_credentials(IceCreds { ufrag: remote.ufrag.clone(), pass: remote.pwd.clone() });
        direct.set_remote_fingerprint(PeerFingerprint {
            hash_func: remote.fingerprint.algorithm.clone(),
            bytes: remote.fingerprint.bytes.clone(),
        });
        if let Err(error) = direct.start_dtls(remote.dtls_active) {
            self.fail(error.to_string());
            return;
        }
        self.rtc.direct_api().start_sctp(remote.dtls_active);
        self.handle_timeout(now);
    }

    /// New credentials of ours, (ufrag, password), for a description that offers a restart. Those in use stay until the peer has told
    /// its own, see [`Connection::restart_ice`]: its checks go on meanwhile.
    pub fn prepare_restart(&mut self) -> (&str, &str) {
        let prepared = self.prepared.insert(ice::credentials(self.worker));
        (&prepared.ufrag, &prepared.pass)
    }

    /// Our (ufrag, password) as the next description tells them: those of a restart that was prepared, else those in use.
    pub fn offered_credentials(&self) -> (&str, &str) {
        self.prepared.as_ref().map_or((&self.ufrag, &self.pwd), |prepared| (&prepared.ufrag, &prepared.pass))
    }

    /// A restart was offered and not answered yet.
    pub fn is_restarting(&self) -> bool {
        self.prepared.is_some()
    }

    /// ICE restarts: new credentials on both sides (ours as prepared), and every pair must prove itself anew; keys and roles stay
    /// (RFC 8445 §9).
    pub fn restart_ice(&mut self, now: Instant, ufrag: &str, pwd: &str) {
        let ours = self.prepared.take().unwrap_or_else(|| ice::credentials(self.worker));
        (self.ufrag, self.pwd) = (ours.ufrag.clone(), ours.pass.clone());
        ufrag.clone_into(&mut self.remote_ufrag);
        pwd.clone_into(&mut self.remote_pwd);
        let mut direct = self.rtc.direct_api();
        // else a pair that worked once would stay the best one to str0m for as long as it is not sure of the contrary
        for past in self.remote_addresses.restart() {
            direct.invalidate_candidate(&past);
        }
        direct.set_local_ice_credentials(ours);
        direct.set_remote_ice_credentials(IceCreds { ufrag: ufrag.to_owned(), pass: pwd.to_owned() });
        self.handle_timeout(now);
    }

    pub fn set_tcp_only(&mut self, tcp_only: bool) {
        self.tcp_only = tcp_only;
    }

    /// Takes a line `candidate:…` (with or without `a=`). What is of no use to a server (mDNS names, TCP, an empty line) is passed
    /// over.
    pub fn add_remote_candidate(&mut self, line: &str) -> Result<(), TransportError> {
        let Some(candidate) = ice::remote_candidate(line)?.filter(|_| !self.tcp_only) else { return Ok(()) };
        // of another time than the credentials that we have
        if self.started && candidate.ufrag().is_some_and(|ufrag| ufrag != self.remote_ufrag) {
            return Ok(());
        }
        match self.remote_addresses.signal(candidate.proto(), candidate.addr(), candidate.prio()) {
            Admission::Tell(candidate) => self.rtc.add_remote_candidate(candidate),
            Admission::Known => {}
            Admission::TooMany => return Err(TransportError::Candidate("too many".to_owned())),
        }
        if self.started && !self.failed {
            // without a pair to check str0m wanted to sleep for three seconds
            self.drain();
        }
        Ok(())
    }

    /// A packet of STUN or DTLS that came to one of our addresses.
    pub fn handle_datagram(&mut self, now: Instant, source: SocketAddr, local: LocalAddress, datagram: &[u8]) {
        // STUN begins with two zero bits and 0 or 1 (RFC 7983)
        let is_stun = datagram.first().is_some_and(|first| *first < 4);
        if self.failed || is_stun && !self.admits(local.carrier, source, datagram) {
            return;
        }
        // what str0m cannot parse is a stranger's
        let Ok(receive) = Receive::new(local.carrier.protocol(), source, local.address, datagram) else {
            return;
        };
        let result = self.rtc.handle_input(Input::Receive(now, receive));
        self.settle(result.map_err(|error| error.to_string()));
    }

    /// str0m remembers each address that an authentic check came from or that an answer tells, so their numbers are bounded here.
    fn admits(&mut self, carrier: Carrier, source: SocketAddr, datagram: &[u8]) -> bool {
        match ice::binding(datagram) {
            Some(Binding::Request) => {
                let Some(check) = ice::verify_check(datagram, &self.pwd) else { return false };
                match self.remote_addresses.meet(carrier.protocol(), source, check.priority) {
                    Admission::Known => true,
                    Admission::Tell(candidate) => {
                        self.rtc.add_remote_candidate(candidate);
                        true
                    }
                    Admission::TooMany => false,
                }
            }
            Some(Binding::Response) => match ice::answered_check(datagram) {
                Some(id) => self.answers.admits(&id, || ice::mapped_address(datagram, &self.remote_pwd)),
                // of an error, as where the roles collide, nothing is remembered
                None => true,
            },
            None => false,
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if self.failed {
            return;
        }
        let result = self.rtc.handle_input(Input::Timeout(now));
        self.settle(result.map_err(|error| error.to_string()));
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timeout
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What seals media, once DTLS is done.
    pub fn sealer(&mut self) -> Option<&mut Sealer> {
        self.keys.as_mut().map(|keys| &mut keys.sealer)
    }

    /// What opens media, once DTLS is done.
    pub fn opener(&mut self) -> Option<&mut Opener> {
        self.keys.as_mut().map(|keys| &mut keys.opener)
    }

    pub fn profile(&self) -> Option<Profile> {
        self.keys.as_ref().map(|keys| keys.sealer.profile())
    }

    /// Opens a channel as soon as SCTP is up (in-band, RFC 8832). `max_retransmits` none: reliable.
    pub fn create_data_channel(&mut self, label: &str, ordered: bool, max_retransmits: Option<u16>) {
        if !self.started || self.failed {
            return;
        }
        let reliability = match max_retransmits {
            None => Reliability::Reliable,
            Some(retransmits) => Reliability::MaxRetransmits { retransmits },
        };
        let config = ChannelConfig { label: label.to_owned(), ordered, reliability, ..ChannelConfig::default() };
        self.rtc.direct_api().create_data_channel(config);
        self.drain();
    }

    /// Takes one message; it leaves with the next [`Connection::handle_timeout`], which is due at once. So messages that are sent
    /// together share datagrams, and SCTP goes over what it holds once for all of them.
    pub fn send_data(&mut self, now: Instant, id: ChannelId, binary: bool, data: &[u8]) -> Sent {
        let Some(stream) = self.channels.stream(id).filter(|_| !self.failed && data.len() <= MESSAGE_MAX as usize) else {
            return Sent::Refused;
        };
        let rtc = &mut self.rtc;
        if !self.channels.may_send(id, |stream| rtc.channel(stream).map_or(0, |mut channel| channel.buffered_amount())) {
            return Sent::Full;
        }
        let Some(mut channel) = self.rtc.channel(stream) else { return Sent::Refused };
        match channel.write(binary, data) {
            Ok(true) => {
                self.channels.sent(id, data.len());
                self.timeout = Some(now);
                Sent::Queued
            }
            Ok(false) => Sent::Full,
            Err(_) => Sent::Refused,
        }
    }

    /// Bytes of a channel's messages that the peer has not taken.
    pub fn buffered(&mut self, id: ChannelId) -> usize {
        let channel = self.channels.stream(id).and_then(|stream| self.rtc.channel(stream));
        channel.map_or(0, |mut channel| channel.buffered_amount())
    }

    fn settle(&mut self, result: Result<(), String>) {
        match result {
            Ok(()) => self.drain(),
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, why: String) {
        if !self.failed {
            self.failed = true;
            self.timeout = None;
            self.outputs.push_back(Output::Failed(TransportError::Connection(why)));
        }
    }

    /// Everything str0m has to say, until it names its next deadline.
    fn drain(&mut self) {
        loop {
            match self.rtc.poll_output() {
                Ok(RtcOutput::Timeout(at)) => {
                    self.timeout = self.rtc.is_alive().then_some(at);
                    break;
                }
                Ok(RtcOutput::Transmit(transmit)) => {
                    let (source, destination) = (transmit.source, transmit.destination);
                    // of other protocols we have no candidates
                    let Some(carrier) = Carrier::of(transmit.proto) else { continue };
                    if let Some(check) = ice::own_check(&transmit.contents) {
                        self.answers.asked(check.id);
                    }
                    self.outputs.push_back(Output::Transmit { carrier, source, destination, contents: transmit.contents.to_vec() });
                }
                Ok(RtcOutput::Event(event)) => self.event(event),
                Err(error) => {
                    self.fail(error.to_string());
                    break;
                }
            }
        }
        self.take_keys();
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::ChannelOpen(stream, label) => {
                let channel = self.rtc.channel(stream);
                let promise = channel.as_ref().and_then(|channel| channel.config()).map(ChannelPromise::of).unwrap_or_default();
                match self.channels.open(stream, promise.reliable) {
                    Some(id) => self.outputs.push_back(Output::ChannelOpen { id, label, promise }),
                    None => self.rtc.direct_api().close_data_channel(stream),
                }
            }
            Event::ChannelData(message) => {
                // of a channel that was refused
                let Some(id) = self.channels.id(message.id) else { return };
                self.outputs.push_back(Output::Data { id, binary: message.binary, data: message.data });
            }
            Event::ChannelClose(stream) => {
                if let Some(id) = self.channels.close(stream) {
                    self.outputs.push_back(Output::ChannelClosed { id });
                }
            }
            Event::Closed if !self.failed => {
                self.failed = true;
                self.timeout = None;
                self.outputs.push_back(Output::Closed);
            }
            _ => {}
        }
    }

    fn take_keys(&mut self) {
        if self.slot.is_abused() {
            return self.fail("data for a stream beyond the limit".to_owned());
        }
        let Some(exported) = self.slot.take() else {
            return;
        };
        match SrtpKeys::derive(exported.profile, &exported.material, self.dtls_active) {
            Ok(keys) => {
                self.keys = Some(keys);
                self.outputs.push_back(Output::Connected);
            }
            Err(error) => self.fail(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
