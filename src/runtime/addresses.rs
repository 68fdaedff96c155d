//! Where others may reach this node. Owns the choice among the machine's interfaces; knows nothing of who
//! is told.

use std::net::{IpAddr, SocketAddr};

use crate::base::limits::CARD_ADDRESSES_MAX;

/// The addresses for this node's card and ticket: the bound one; for a wildcard those of the interfaces, and
/// loopback only where there is nothing else. At most `CARD_ADDRESSES_MAX`, best first.
#[must_use]
pub(super) fn reachable_at(bound: SocketAddr) -> Vec<SocketAddr> {
    if !bound.ip().is_unspecified() {
        return vec![bound];
    }
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    choose(bound, interfaces.iter().map(if_addrs::Interface::ip))
}

fn choose(bound: SocketAddr, interfaces: impl Iterator<Item = IpAddr>) -> Vec<SocketAddr> {
    let mut ips: Vec<IpAddr> = interfaces.filter(|ip| ip.is_ipv4() == bound.is_ipv4()).collect();
    if ips.iter().any(|&ip| !is_local_only(ip)) {
        ips.retain(|&ip| !is_local_only(ip));
    } else {
        // Link-local IPv6 needs a scope that means nothing elsewhere; loopback serves on this machine.
        ips.retain(IpAddr::is_loopback);
    }
    // A stable order, so that a card does not change because the system lists interfaces in another one.
    ips.sort_by_key(|&ip| (rank(ip), ip));
    ips.dedup();
    ips.truncate(CARD_ADDRESSES_MAX);
    ips.into_iter().map(|ip| SocketAddr::new(ip, bound.port())).collect()
}

/// Whether `ip` means this machine, or nothing without a scope.
fn is_local_only(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unicast_link_local(),
    }
}

/// What a neighbour most likely reaches comes first: an address assigned on purpose before a self-assigned
/// one, and before those that container bridges use by default.
fn rank(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(ip) if ip.is_link_local() => 2,
        IpAddr::V4(ip) if ip.octets()[0] == 172 && (17..=31).contains(&ip.octets()[1]) => 1,
        IpAddr::V4(_) | IpAddr::V6(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(bound: &str, interfaces: &[&str]) -> Vec<String> {
        let interfaces = interfaces.iter().map(|ip| ip.parse().unwrap());
        choose(bound.parse().unwrap(), interfaces).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_bound_address_is_the_only_one() {
        let bound = "127.0.0.1:4460".parse().unwrap();
        assert_eq!(reachable_at(bound), [bound]);
    }

    #[test]
    fn a_wildcard_gives_the_interfaces_without_loopback() {
        let found = chosen("0.0.0.0:4460", &["127.0.0.1", "172.17.0.1", "192.168.1.5", "::1", "fe80::1"]);
        assert_eq!(found, ["192.168.1.5:4460", "172.17.0.1:4460"]);
    }

    #[test]
    fn loopback_serves_where_there_is_nothing_else() {
        assert_eq!(chosen("0.0.0.0:4460", &["127.0.0.1", "::1"]), ["127.0.0.1:4460"]);
        assert_eq!(chosen("[::]:7", &["127.0.0.1", "::1", "fe80::1"]), ["[::1]:7"]);
    }

    #[test]
    fn a_card_holds_no_more_than_it_may() {
        let many = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"];
        assert_eq!(chosen("0.0.0.0:1", &many).len(), CARD_ADDRESSES_MAX);
    }
}
