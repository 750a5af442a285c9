//! What of ICE (RFC 8445, over STUN, RFC 8489) is read outside str0m: whose a binding request is, whether it is authentic and
//! nominates; which check of ours was answered; which remote candidates are taken, and how many addresses of a peer are remembered.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY};
use str0m::Candidate;
use str0m::ice::{IceCreds, StunMessage};
use str0m::net::Protocol;

use crate::TransportError;

mod answers;

pub(crate) use answers::Answers;
#[cfg(test)]
pub(crate) use answers::MAPPED_ADDRESSES_MAX;

/// Remote candidates that are taken between two ICE restarts; a client has a handful per interface.
pub const REMOTE_CANDIDATES_MAX: usize = 64;
/// Addresses of a peer, told by candidates or by authentic checks, in the life of a connection: str0m forgets none.
pub const REMOTE_ADDRESSES_MAX: usize = 512;
/// Bytes of a candidate line; the longest of a browser has about 200.
const CANDIDATE_LINE_MAX: usize = 512;

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;
/// The upper half of the magic cookie.
const COOKIE: u16 = 0x2112;

/// A binding message by its type (RFC 8489 §5); nothing else of STUN is ICE's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    Request,
    Response,
}

pub(crate) fn binding(datagram: &[u8]) -> Option<Binding> {
    if word(datagram, 4)? != COOKIE {
        return None;
    }
    match word(datagram, 0)? {
        BINDING_REQUEST => Some(Binding::Request),
        BINDING_SUCCESS | BINDING_ERROR => Some(Binding::Response),
        _ => None,
    }
}

/// Our half of a binding request's user name (RFC 8445 §7.2.2): whom it is for. No allocation, nothing is verified.
pub fn stun_username_ufrag(datagram: &[u8]) -> Option<&str> {
    const USERNAME: u16 = 0x0006;
    if binding(datagram)? != Binding::Request {
        return None;
    }
    let value = attribute(datagram, USERNAME)?;
    std::str::from_utf8(value).ok()?.split_once(':').map(|(ours, _)| ours)
}

/// The first attribute of this type.
fn attribute(datagram: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut at = 20;
    loop {
        let (kind, length) = (word(datagram, at)?, usize::from(word(datagram, at + 2)?));
        let value = datagram.get(at + 4..at + 4 + length)?;
        if kind == wanted {
            return Some(value);
        }
        at += 4 + length.next_multiple_of(4);
    }
}

/// Names a request and its response.
pub type TransactionId = [u8; 12];

fn transaction_id(datagram: &[u8]) -> Option<TransactionId> {
    datagram.get(8..)?.first_chunk().copied()
}

/// A binding request that we send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnCheck {
    pub id: TransactionId,
    /// We are controlling, and want this pair to be used (RFC 8445 §8.1.1).
    pub nominates: bool,
}

/// Reads a packet of ours; none where it is no binding request.
pub fn own_check(datagram: &[u8]) -> Option<OwnCheck> {
    const USE_CANDIDATE: u16 = 0x0025;
    if binding(datagram)? != Binding::Request {
        return None;
    }
    Some(OwnCheck { id: transaction_id(datagram)?, nominates: attribute(datagram, USE_CANDIDATE).is_some() })
}

/// The request that a binding success response answers; nothing is verified.
pub fn answered_check(datagram: &[u8]) -> Option<TransactionId> {
    let is_success = binding(datagram)? == Binding::Response && word(datagram, 0)? == BINDING_SUCCESS;
    is_success.then(|| transaction_id(datagram))?
}

/// Whether a response is authentic, with the peer's password.
pub fn verify_answer(datagram: &[u8], password: &str) -> bool {
    mapped_address(datagram, password).is_some()
}

/// Where the peer says that our check came from; none where the response is not authentic.
pub(crate) fn mapped_address(datagram: &[u8], password: &str) -> Option<SocketAddr> {
    let message = StunMessage::parse(datagram).ok()?;
    let authentic = message.is_successful_binding_response() && message.verify(password.as_bytes(), sha1_hmac);
    authentic.then(|| message.mapped_address())?
}

/// Characters of a user name fragment that name the worker.
const WORKER_DIGITS: usize = 4;

/// New credentials of a transport of this worker: whoever accepts a connection can tell from a check whose it is.
pub(crate) fn credentials(worker: u16) -> IceCreds {
    let random = IceCreds::new();
    IceCreds { ufrag: format!("{worker:0WORKER_DIGITS$x}{}", random.ufrag), pass: random.pass }
}

/// The worker whose transport has this user name fragment; none: it is not ours.
pub fn worker_of(ufrag: &str) -> Option<u16> {
    let digits = ufrag.get(..WORKER_DIGITS)?;
    // from_str_radix takes a sign, too
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

/// An authentic binding request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// The peer wants this pair to be used (RFC 8445 §8.1.1).
    pub use_candidate: bool,
    /// Of a peer-reflexive candidate that the check may show (RFC 8445 §7.1.1).
    pub priority: u32,
}

/// A binding request whose integrity was verified with our password; none for everything else.
pub fn verify_check(datagram: &[u8], password: &str) -> Option<Check> {
    if binding(datagram)? != Binding::Request {
        return None;
    }
    let message = StunMessage::parse(datagram).ok()?;
    let authentic = message.is_binding_request() && message.verify(password.as_bytes(), sha1_hmac);
    authentic.then(|| Check { use_candidate: message.use_candidate(), priority: message.prio().unwrap_or_default() })
}

fn word(datagram: &[u8], at: usize) -> Option<u16> {
    datagram.get(at..)?.first_chunk().map(|word| u16::from_be_bytes(*word))
}

pub(crate) fn sha1_hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, key));
    for part in parts {
        context.update(part);
    }
    let mut tag = [0; 20];
    tag.copy_from_slice(context.sign().as_ref());
    tag
}

/// Reads a line `candidate:…` (RFC 8839 §5.1, with or without `a=`). None for one that is no use to a server and no mistake: an empty
/// line (end of candidates), a name in place of an address (mDNS), TCP (its peer connects to us), an address nobody has.
pub(crate) fn remote_candidate(line: &str) -> Result<Option<Candidate>, TransportError> {
    let line = line.trim();
    let line = line.strip_prefix("a=").unwrap_or(line);
    if line.len() > CANDIDATE_LINE_MAX {
        return Err(TransportError::Candidate("the line is too long".to_owned()));
    }
    // the address is the fifth word
    let address = line.split_ascii_whitespace().nth(4);
    if line.is_empty() || address.is_some_and(|address| address.ends_with(".local")) {
        return Ok(None);
    }
    let candidate = Candidate::from_sdp_string(line).map_err(|error| TransportError::Candidate(error.to_string()))?;
    // RTP and RTCP share the first component (RFC 8445 §13)
    let is_first = line.split_ascii_whitespace().nth(1) == Some("1");
    let usable =
        is_first && candidate.proto() == Protocol::Udp && candidate.addr().port() != 0 && is_unicast(candidate.addr().ip());
    Ok(usable.then_some(candidate))
}

fn is_unicast(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !address.is_unspecified() && !address.is_multicast() && !broadcast
}

/// A remote candidate as str0m is told it. It makes those of checks from elsewhere itself (peer-reflexive, RFC 8445 §7.3.1.3), and
/// gives the place of such a one to the next of its address. So each address is there once, and can be withdrawn: of several with one
/// address it would only ever find the first. Of what a candidate says beside, nothing but its priority matters.
fn told(protocol: Protocol, address: SocketAddr, priority: u32, is_signalled: bool) -> Option<Candidate> {
    let kind = if protocol == Protocol::Udp { "udp" } else { "tcp" };
    let (ip, port) = (address.ip(), address.port());
    // another one than that of a check: its priority counts
    let base = if is_signalled { " raddr 0.0.0.0 rport 0" } else { "" };
    Candidate::from_sdp_string(&format!("candidate:tmp_prflx 1 {kind} {priority} {ip} {port} typ prflx{base}")).ok()
}

/// The addresses str0m was told of, or met.
#[derive(Debug, Default)]
pub(crate) struct RemoteAddresses {
    known: BTreeMap<Address, Origin>,
    /// Candidates since the last restart.
    signalled: usize,
}

/// Whether of TCP, and where.
type Address = (bool, SocketAddr);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// A candidate since the last restart.
    Signalled,
    /// The source of an authentic check.
    Met,
    /// Withdrawn with the last restart: str0m pays no heed to what comes from there.
    Past,
}

/// What to do with an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Known,
    /// str0m must be told.
    Tell(Candidate),
    TooMany,
}

impl RemoteAddresses {
    pub fn signal(&mut self, protocol: Protocol, address: SocketAddr, priority: u32) -> Admission {
        let key = (protocol != Protocol::Udp, address);
        match self.known.get(&key) {
            Some(Origin::Signalled) => return Admission::Known,
            None if self.known.len() >= REMOTE_ADDRESSES_MAX => return Admission::TooMany,
            _ if self.signalled >= REMOTE_CANDIDATES_MAX => return Admission::TooMany,
            _ => {}
        }
        let Some(candidate) = told(protocol, address, priority, true) else { return Admission::Known };
        self.known.insert(key, Origin::Signalled);
        self.signalled += 1;
        Admission::Tell(candidate)
    }

    /// An authentic check came from there.
    pub fn meet(&mut self, protocol: Protocol, source: SocketAddr, priority: u32) -> Admission {
        let key = (protocol != Protocol::Udp, source);
        let before = self.known.get(&key).copied();
        match before {
            Some(Origin::Signalled | Origin::Met) => return Admission::Known,
            None if self.known.len() >= REMOTE_ADDRESSES_MAX => return Admission::TooMany,
            _ => {}
        }
        self.known.insert(key, Origin::Met);
        match told(protocol, source, priority, false) {
            Some(candidate) if before == Some(Origin::Past) => Admission::Tell(candidate),
            _ => Admission::Known,
        }
    }

    /// All that was known belongs to the past: returns what str0m shall withdraw.
    pub fn restart(&mut self) -> Vec<Candidate> {
        self.signalled = 0;
        let withdrawn = self.known.iter_mut().filter_map(|((is_tcp, address), origin)| {
            let before = std::mem::replace(origin, Origin::Past);
            let protocol = if *is_tcp { Protocol::Tcp } else { Protocol::Udp };
            // the priority is no part of what it is found by
            (before != Origin::Past).then(|| told(protocol, *address, 1, before == Origin::Signalled))?
        });
        withdrawn.collect()
    }
}

#[cfg(test)]
mod tests;
