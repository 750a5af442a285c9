//! The addresses that clients may send media to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::{Interfaces, Ips, Rtc};

/// One address of this machine and where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub interface: String,
    pub address: IpAddr,
    /// The interface is up and has a carrier.
    pub is_up: bool,
}

/// The machine's addresses as the operating system lists them; none where it does not tell.
pub fn of_this_machine() -> Vec<Found> {
    let found = if_addrs::get_if_addrs().unwrap_or_default();
    let describe = |interface: if_addrs::Interface| Found {
        address: interface.ip(),
        is_up: interface.is_oper_up(),
        interface: interface.name,
    };
    found.into_iter().map(describe).collect()
}

/// A socket to be: where it is bound, and under which addresses clients know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    pub bind: IpAddr,
    pub advertised: IpAddr,
    /// Told beside it: the same socket from outside.
    pub external: Option<IpAddr>,
}

impl Local {
    fn plain(address: IpAddr) -> Self {
        Self { bind: address, advertised: address, external: None }
    }
}

/// One socket for each address that clients are told: the machine's own, or `node_ip` alone where that is given. A `node_ip` that
/// is none of the machine's addresses is in front of it (NAT), and then the socket takes what comes to any of them. 127.0.0.1
/// where there is nothing else.
pub fn local(rtc: &Rtc, found: &[Found]) -> Vec<Local> {
    if rtc.node_ip.is_empty() {
        return usable(rtc, found).into_iter().map(Local::plain).collect();
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
    let local = |node_ip: IpAddr| Local { bind: behind(node_ip), ..Local::plain(node_ip) };
    addresses.into_iter().flatten().map(local).collect()
}

/// As [`local`], and asks STUN for the addresses from outside where the configuration wants that and gives no `node_ip`: flag before
/// file before STUN. Nobody's silence keeps the server from starting.
pub fn with_external(rtc: &Rtc, found: &[Found], discover: impl FnOnce(&[IpAddr]) -> Vec<Option<IpAddr>>) -> Vec<Local> {
    let mut locals = local(rtc, found);
    if !rtc.use_external_ip {
        return locals;
    }
    if !rtc.node_ip.is_empty() {
        tracing::info!("rtc.node_ip is given, so STUN is not asked for the external address");
        return locals;
    }
    let asked: Vec<IpAddr> = locals.iter().map(|local| local.bind).collect();
    let external = discover(&asked);
    for (local, external) in locals.iter_mut().zip(external) {
        match external {
            Some(external) if external == local.bind => {}
            Some(external) if rtc.external_ip_only => local.advertised = external,
            Some(external) => local.external = Some(external),
            None => tracing::warn!("no STUN server answered {}: clients are told this address alone", local.bind),
        }
    }
    locals
}

fn usable(rtc: &Rtc, found: &[Found]) -> Vec<IpAddr> {
    let usable = |found: &&Found| {
        let address = found.address;
        let link_local = match address {
            IpAddr::V4(v4) => v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        found.is_up
            && !address.is_unspecified()
            && !link_local
            && (!address.is_loopback() || rtc.enable_loopback_candidate)
            && allows(&rtc.interfaces, &found.interface)
            && allows_address(&rtc.ips, address)
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

fn allows_address(ips: &Ips, address: IpAddr) -> bool {
    let among = |list: &[ipnet::IpNet]| list.iter().any(|network| network.contains(&address));
    (ips.includes.is_empty() || among(&ips.includes)) && !among(&ips.excludes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Vec<Found> {
        let found = |interface: &str, address: &str| Found {
            interface: interface.to_owned(),
            address: address.parse().unwrap(),
            is_up: interface != "eth1",
        };
        vec![
            found("lo", "127.0.0.1"),
            found("lo", "::1"),
            found("eth0", "192.0.2.1"),
            found("eth0", "fe80::1"),
            found("eth0", "2001:db8::1"),
            found("eth1", "198.51.100.1"),
            found("docker0", "172.17.0.1"),
        ]
    }

    fn bound(rtc: &Rtc, found: &[Found]) -> Vec<String> {
        local(rtc, found).iter().map(|local| local.bind.to_string()).collect()
    }

    #[test]
    fn all_that_are_up_but_loopback_and_link_local() {
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
    fn networks_are_picked() {
        let networks = |list: &[&str]| list.iter().map(|network| network.parse().unwrap()).collect();
        let mut rtc = Rtc::default();
        rtc.ips.excludes = networks(&["172.16.0.0/12"]);
        assert_eq!(bound(&rtc, &machine()), ["192.0.2.1", "2001:db8::1"]);
        rtc.ips.includes = networks(&["2001:db8::/32", "172.17.0.1/32"]);
        assert_eq!(bound(&rtc, &machine()), ["2001:db8::1"]);
        rtc.ips.includes = networks(&["10.0.0.0/8"]);
        assert_eq!(bound(&rtc, &machine()), ["127.0.0.1"], "nothing else");
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

    #[test]
    fn stun_comes_last_and_its_silence_changes_nothing() {
        let outside: IpAddr = "203.0.113.9".parse().unwrap();
        let answer = |asked: &[IpAddr]| asked.iter().map(|ip| (*ip == IpAddr::from([192, 0, 2, 1])).then_some(outside)).collect();
        let mut rtc = Rtc { use_external_ip: true, ..Rtc::default() };
        let told = |rtc: &Rtc| {
            let locals = with_external(rtc, &machine(), answer);
            locals.iter().map(|local| (local.bind.to_string(), local.advertised, local.external)).collect::<Vec<_>>()
        };
        let all = told(&rtc);
        assert_eq!(all.len(), 3, "who got no answer is told all the same");
        assert_eq!(all[1], ("192.0.2.1".to_owned(), "192.0.2.1".parse().unwrap(), Some(outside)));
        assert_eq!(all[0].2, None);
        rtc.external_ip_only = true;
        assert_eq!(told(&rtc)[1], ("192.0.2.1".to_owned(), outside, None));
        rtc.node_ip = vec!["198.51.100.7".parse().unwrap()];
        let locals = with_external(&rtc, &machine(), |_| panic!("STUN was asked"));
        assert_eq!(locals, local(&rtc, &machine()));
    }
}
