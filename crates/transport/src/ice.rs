//! What of ICE (RFC 8445, over STUN, RFC 8489) is read outside str0m: whose a binding request is, whether it is authentic and
//! nominates; which remote candidates are taken, and how many addresses of a peer are remembered.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY};
use str0m::Candidate;
use str0m::ice::{IceCreds, StunMessage};
use str0m::net::Protocol;

use crate::TransportError;

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
    let mut at = 20;
    loop {
        let (kind, length) = (word(datagram, at)?, usize::from(word(datagram, at + 2)?));
        let value = datagram.get(at + 4..at + 4 + length)?;
        if kind == USERNAME {
            return std::str::from_utf8(value).ok()?.split_once(':').map(|(ours, _)| ours);
        }
        at += 4 + length.next_multiple_of(4);
    }
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
}

/// A binding request whose integrity was verified with our password; none for everything else.
pub fn verify_check(datagram: &[u8], password: &str) -> Option<Check> {
    if binding(datagram)? != Binding::Request {
        return None;
    }
    let message = StunMessage::parse(datagram).ok()?;
    let authentic = message.is_binding_request() && message.verify(password.as_bytes(), sha1_hmac);
    authentic.then(|| Check { use_candidate: message.use_candidate() })
}

fn word(datagram: &[u8], at: usize) -> Option<u16> {
    datagram.get(at..)?.first_chunk().map(|word| u16::from_be_bytes(*word))
}

fn sha1_hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
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
    let usable = candidate.proto() == Protocol::Udp && candidate.addr().port() != 0 && is_unicast(candidate.addr().ip());
    Ok(usable.then_some(candidate))
}

fn is_unicast(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !address.is_unspecified() && !address.is_multicast() && !broadcast
}

/// The addresses str0m was told of.
#[derive(Debug, Default)]
pub(crate) struct RemoteAddresses {
    /// By candidates since the last restart.
    signalled: BTreeSet<SocketAddr>,
    /// By authentic checks from elsewhere (peer-reflexive, RFC 8445 §7.3.1.3).
    reflexive: BTreeSet<SocketAddr>,
    /// How often str0m was told one.
    told: usize,
}

/// What to do with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    New,
    Known,
    TooMany,
}

impl RemoteAddresses {
    pub fn signal(&mut self, address: SocketAddr) -> Admission {
        if self.signalled.contains(&address) {
            return Admission::Known;
        }
        if self.signalled.len() >= REMOTE_CANDIDATES_MAX || self.told >= REMOTE_ADDRESSES_MAX {
            return Admission::TooMany;
        }
        self.signalled.insert(address);
        self.told += 1;
        Admission::New
    }

    /// An authentic check came from `address`.
    pub fn meet(&mut self, address: SocketAddr) -> Admission {
        if self.signalled.contains(&address) || self.reflexive.contains(&address) {
            return Admission::Known;
        }
        if self.told >= REMOTE_ADDRESSES_MAX {
            return Admission::TooMany;
        }
        self.reflexive.insert(address);
        self.told += 1;
        Admission::New
    }

    pub fn restart(&mut self) {
        // an address told before stays known as the source of checks
        self.reflexive.append(&mut self.signalled);
    }
}

#[cfg(test)]
mod tests;
