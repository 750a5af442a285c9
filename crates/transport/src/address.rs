//! Our own addresses, as candidates (RFC 8445 §5.1.1, RFC 6544 for TCP).

use std::net::SocketAddr;

use str0m::Candidate;
use str0m::net::{Protocol, TcpType};

/// How packets travel on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carrier {
    Udp,
    /// The peer opens the connection, packets are framed (RFC 4571).
    TcpPassive,
}

/// One of our sockets as peers know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalAddress {
    pub address: SocketAddr,
    pub carrier: Carrier,
    /// The same socket from outside, where a NAT in front of us maps one to one.
    pub external: Option<SocketAddr>,
}

impl LocalAddress {
    pub const fn udp(address: SocketAddr) -> Self {
        Self { address, carrier: Carrier::Udp, external: None }
    }

    pub const fn tcp(address: SocketAddr) -> Self {
        Self { address, carrier: Carrier::TcpPassive, external: None }
    }
}

impl std::fmt::Display for LocalAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let carrier = if self.carrier == Carrier::Udp { "udp" } else { "tcp" };
        write!(f, "{carrier} {}", self.address)?;
        self.external.map_or(Ok(()), |external| write!(f, " and from outside {external}"))
    }
}

impl Carrier {
    pub(crate) fn protocol(self) -> Protocol {
        match self {
            Self::Udp => Protocol::Udp,
            Self::TcpPassive => Protocol::Tcp,
        }
    }

    pub(crate) fn of(protocol: Protocol) -> Option<Self> {
        match protocol {
            Protocol::Udp => Some(Self::Udp),
            Protocol::Tcp => Some(Self::TcpPassive),
            _ => None,
        }
    }
}

/// As str0m knows it; none for an address that cannot be a host's.
pub(crate) fn candidate(local: &LocalAddress) -> Option<Candidate> {
    match local.carrier {
        Carrier::Udp => Candidate::host(local.address, Protocol::Udp).ok(),
        Carrier::TcpPassive => Candidate::builder().tcp().host(local.address).tcptype(TcpType::Passive).build().ok(),
    }
}

/// Host candidates as a description writes them (RFC 8839 §5.1): all UDP before all TCP, each in the order given, the external
/// address of a socket before its own.
pub(crate) fn candidate_lines(locals: &[LocalAddress]) -> Vec<String> {
    let told = |local: &LocalAddress| {
        let carrier = local.carrier;
        [local.external, Some(local.address)].into_iter().flatten().map(move |address| (carrier, address))
    };
    let all: Vec<(Carrier, SocketAddr)> = locals.iter().flat_map(told).collect();
    let line = |(index, (carrier, address)): (usize, &(Carrier, SocketAddr))| {
        let (ip, port, foundation) = (address.ip(), address.port(), index + 1);
        let priority = priority(*carrier, index as u32);
        match carrier {
            Carrier::Udp => format!("candidate:{foundation} 1 udp {priority} {ip} {port} typ host generation 0"),
            Carrier::TcpPassive => {
                format!("candidate:{foundation} 1 tcp {priority} {ip} {port} typ host tcptype passive generation 0")
            }
        }
    };
    all.iter().enumerate().map(line).collect()
}

/// RFC 8445 §5.1.2.1. TCP is the last resort: its type preference lies below that of every kind of UDP candidate but a relayed one,
/// and its local preference says that it is passive (RFC 6544 §4.2).
fn priority(carrier: Carrier, index: u32) -> u32 {
    let (kind, local) = match carrier {
        Carrier::Udp => (126, 65_535u32.saturating_sub(index)),
        Carrier::TcpPassive => (90, (4 << 13) | 8191u32.saturating_sub(index)),
    };
    (kind << 24) | (local << 8) | 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_ordered_by_what_is_better() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let behind_nat =
            LocalAddress { external: Some(address("203.0.113.1:7882")), ..LocalAddress::udp(address("10.0.0.1:7882")) };
        let lines = candidate_lines(&[behind_nat, LocalAddress::tcp(address("[2001:db8::1]:7881"))]);
        let want = [
            "candidate:1 1 udp 2130706431 203.0.113.1 7882 typ host generation 0",
            "candidate:2 1 udp 2130706175 10.0.0.1 7882 typ host generation 0",
            "candidate:3 1 tcp 1520434687 2001:db8::1 7881 typ host tcptype passive generation 0",
        ];
        assert_eq!(lines, want);
        for line in lines.iter().filter(|line| !line.contains("2001")) {
            assert!(Candidate::from_sdp_string(line).is_ok(), "{line}");
        }
        assert!(candidate(&LocalAddress::tcp(address("192.0.2.1:7881"))).is_some());
    }
}
