//! The addresses that clients may send media to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::{Interfaces, Rtc};

/// One address of this machine and where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub interface: String,
    pub address: IpAddr,
}

/// The machine's addresses as the operating system lists them; none where it does not tell.
pub fn of_this_machine() -> Vec<Found> {
    let found = if_addrs::get_if_addrs().unwrap_or_default();
    found.into_iter().map(|interface| Found { address: interface.ip(), interface: interface.name }).collect()
}

/// A socket to be: where it is bound, and under which address clients know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    pub bind: IpAddr,
    pub advertised: IpAddr,
}

/// One socket for each address that clients are told: the machine's own, or `node_ip` alone where that is given. A `node_ip` that
/// is none of the machine's addresses is in front of it (NAT), and then the socket takes what comes to any of them. 127.0.0.1
/// where there is nothing else.
pub fn local(rtc: &Rtc, found: &[Found]) -> Vec<Local> {
    if rtc.node_ip.is_empty() {
        return usable(rtc, found).into_iter().map(|address| Local { bind: address, advertised: address }).collect();
    }
    let behind = |node_ip: IpAddr| {
        if found.iter().any(|found| found.address == node_ip) {
            return node_ip;
        }
        match node_ip {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        }
    };
    // of each family one: two public addresses would share one socket
    let first = |wanted: fn(&IpAddr) -> bool| rtc.node_ip.iter().copied().find(wanted);
    let addresses = [first(IpAddr::is_ipv4), first(IpAddr::is_ipv6)];
    addresses.into_iter().flatten().map(|node_ip| Local { bind: behind(node_ip), advertised: node_ip }).collect()
}

fn usable(rtc: &Rtc, found: &[Found]) -> Vec<IpAddr> {
    let usable = |found: &&Found| {
        let address = found.address;
        let link_local = match address {
            IpAddr::V4(v4) => v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        !address.is_unspecified()
            && !link_local
            && (!address.is_loopback() || rtc.enable_loopback_candidate)
            && allows(&rtc.interfaces, &found.interface)
    };
    let mut addresses: Vec<IpAddr> = found.iter().filter(usable).map(|found| found.address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() {
        addresses.push(Ipv4Addr::LOCALHOST.into());
    }
    addresses
}

fn allows(interfaces: &Interfaces, name: &str) -> bool {
    let among = |list: &[String]| list.iter().any(|listed| listed == name);
    (interfaces.includes.is_empty() || among(&interfaces.includes)) && !among(&interfaces.excludes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Vec<Found> {
        let found = |interface: &str, address: &str| Found { interface: interface.to_owned(), address: address.parse().unwrap() };
        vec![
            found("lo", "127.0.0.1"),
            found("lo", "::1"),
            found("eth0", "192.0.2.1"),
            found("eth0", "fe80::1"),
            found("eth0", "2001:db8::1"),
            found("docker0", "172.17.0.1"),
        ]
    }

    fn bound(rtc: &Rtc, found: &[Found]) -> Vec<String> {
        local(rtc, found).iter().map(|local| local.bind.to_string()).collect()
    }

    #[test]
    fn all_but_loopback_and_link_local() {
        let mut rtc = Rtc::default();
        assert_eq!(bound(&rtc, &machine()), ["172.17.0.1", "192.0.2.1", "2001:db8::1"]);
        assert_eq!(bound(&rtc, &machine()[..2]), ["127.0.0.1"]);
        rtc.interfaces.excludes = vec!["docker0".to_owned()];
        assert_eq!(bound(&rtc, &machine()), ["192.0.2.1", "2001:db8::1"]);
        rtc.interfaces.includes = vec!["lo".to_owned()];
        rtc.enable_loopback_candidate = true;
        assert_eq!(bound(&rtc, &machine()), ["127.0.0.1", "::1"]);
    }

    #[test]
    fn node_ip_stands_alone() {
        let locals = |node_ips: &[&str]| {
            let rtc = Rtc { node_ip: node_ips.iter().map(|ip| ip.parse().unwrap()).collect(), ..Rtc::default() };
            let text = |local: Local| format!("{} as {}", local.bind, local.advertised);
            local(&rtc, &machine()).into_iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(locals(&["203.0.113.9"]), ["0.0.0.0 as 203.0.113.9"]);
        assert_eq!(locals(&["127.0.0.1"]), ["127.0.0.1 as 127.0.0.1"]);
        assert_eq!(locals(&["2001:db8::7", "192.0.2.1"]), ["192.0.2.1 as 192.0.2.1", ":: as 2001:db8::7"]);
    }
}
