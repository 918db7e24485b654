//! What the kernel says of the device besides packets: whether its link is up, and whether packets for our address go there.
//!
//! All is read from `/proc/thread-self/net`, which is that of our own network namespace. What cannot be read or is not told is no
//! reason to complain.

use core::net::Ipv4Addr;
use std::fs;

/// The multicast groups by device. Each device that is up is in the group of all hosts (RFC 1112 §4), one that was set down in none.
const GROUPS: &str = "/proc/thread-self/net/igmp";

/// The main routing table, one route a line.
const ROUTES: &str = "/proc/thread-self/net/route";

/// All routing tables as they are searched, the host's own addresses among them.
const ADDRESSES: &str = "/proc/thread-self/net/fib_trie";

/// What `ROUTES` marks a route with that leads nowhere (linux/route.h: `RTF_REJECT`).
const REJECT: u32 = 0x0200;

/// The link of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// It is up.
    Up,
    /// It is down, or this kernel knows no groups.
    Down,
}

/// Where the host sends packets for an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// Through this device.
    Through(String),
    /// Nowhere: the address is its own.
    ToItself,
    /// Nowhere: it has no route.
    Nowhere,
}

/// How the device's link is, if the kernel tells.
pub(super) fn link(device: &str) -> Option<Link> {
    let groups = fs::read_to_string(GROUPS).ok()?;
    Some(if is_in_a_group(&groups, device) { Link::Up } else { Link::Down })
}

/// Where packets for this address go, if the kernel tells.
pub(super) fn way_to(address: Ipv4Addr) -> Option<Way> {
    let addresses = fs::read_to_string(ADDRESSES).ok()?;
    if is_own(&addresses, address) {
        return Some(Way::ToItself);
    }
    let routes = fs::read_to_string(ROUTES).ok()?;
    Some(best(&routes, address).map_or(Way::Nowhere, Way::Through))
}

/// Whether the device has a line in the table of groups: `2 tun-st : 1 V3`, those of its groups indented below.
fn is_in_a_group(groups: &str, device: &str) -> bool {
    let devices = groups.lines().skip(1).filter(|line| !line.starts_with(char::is_whitespace));
    devices.filter_map(|line| line.split_whitespace().nth(1)).any(|name| name.trim_end_matches(':') == device)
}

/// Whether the address is a leaf of the tree, `|-- 192.0.2.1`, with a line below that says `/32 host LOCAL`.
fn is_own(addresses: &str, address: Ipv4Addr) -> bool {
    let mut leaf = None;
    for line in addresses.lines().map(str::trim_start) {
        if let Some(of) = line.strip_prefix("|-- ") {
            leaf = of.parse().ok();
        } else if line == "/32 host LOCAL" && leaf == Some(address) {
            return true;
        }
    }
    false
}

/// The device of the route with the longest prefix, among those of the one with the least metric, and among those of the first, as the
/// kernel searches them.
fn best(routes: &str, address: Ipv4Addr) -> Option<String> {
    let matching = routes.lines().skip(1).filter_map(Route::parse).filter(|route| route.covers(address));
    let best = matching.min_by_key(|route| (core::cmp::Reverse(route.mask.to_bits()), route.metric))?;
    (best.flags & REJECT == 0).then(|| best.device.to_owned())
}

/// A line of the main routing table.
struct Route<'a> {
    device: &'a str,
    destination: Ipv4Addr,
    flags: u32,
    metric: u32,
    mask: Ipv4Addr,
}

impl<'a> Route<'a> {
    /// `tun-st 000200C0 00000000 0001 0 0 0 00FFFFFF …`: device, destination, gateway, flags, two counters, metric, mask.
    fn parse(line: &'a str) -> Option<Self> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [device, destination, _gateway, flags, _, _, metric, mask, ..] = *fields else {
            return None;
        };
        let number = |hexadecimal| u32::from_str_radix(hexadecimal, 16).ok();
        // The kernel prints the octets of an address as the number that they are to this machine.
        let address = |hexadecimal| Some(Ipv4Addr::from(number(hexadecimal)?.to_ne_bytes()));
        Some(Self {
            device,
            destination: address(destination)?,
            flags: number(flags)?,
            metric: metric.parse().ok()?,
            mask: address(mask)?,
        })
    }

    fn covers(&self, address: Ipv4Addr) -> bool {
        address & self.mask == self.destination
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_up_is_in_a_group_and_no_other_is_taken_for_it() {
        let groups = "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n\
                      1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n\
                      2\ttun-st    :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n\
                      3\tlong-name-12345:     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n";
        for device in ["lo", "tun-st", "long-name-12345"] {
            assert!(is_in_a_group(groups, device), "{device}");
        }
        for device in ["tun", "tun-s", "tun-st2", "Device", "1", "010000E0", ""] {
            assert!(!is_in_a_group(groups, device), "{device}");
        }
    }

    #[test]
    fn the_hosts_own_addresses_are_told_from_networks_and_broadcasts() {
        let tree = "Main:\n  +-- 192.0.2.0/24 2 0 2\n     +-- 192.0.2.0/30 2 0 1\n        |-- 192.0.2.0\n           /24 link UNICAST\n\
                    \x20       |-- 192.0.2.1\n           /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n";
        assert!(is_own(tree, Ipv4Addr::new(192, 0, 2, 1)));
        for other in ["192.0.2.0", "192.0.2.2", "192.0.2.255", "192.0.2.10"] {
            assert!(!is_own(tree, other.parse().unwrap()), "{other}");
        }
    }

    /// The route to a network over a device, as the kernel prints it on this machine.
    fn route(device: &str, network: [u8; 4], flags: &str, metric: u32, prefix_len: u32) -> String {
        let mask = u32::MAX.checked_shl(32 - prefix_len).unwrap_or(0).to_be_bytes();
        let number = u32::from_ne_bytes;
        format!(
            "{device}\t{:08X}\t00000000\t{flags}\t0\t0\t{metric}\t{:08X}\t0\t0\t0   \n",
            number(network),
            number(mask)
        )
    }

    #[test]
    fn of_two_devices_in_one_network_the_first_wins() {
        let head = "Iface\tDestination\n";
        let routes = ["tun-st", "tun7"].map(|device| route(device, [192, 0, 2, 0], "0001", 0, 24));
        let [first, second] = &routes;
        let better = route("tun8", [192, 0, 2, 128], "0001", 0, 25);
        for (routes, device) in [
            ([head, first, second].concat(), "tun-st"),
            ([head, second, first].concat(), "tun7"),
            ([head, first, second, &better].concat(), "tun8"),
        ] {
            assert_eq!(best(&routes, Ipv4Addr::new(192, 0, 2, 130)).as_deref(), Some(device));
        }
    }

    #[test]
    fn the_longest_prefix_wins_and_then_the_least_metric() {
        let routes = [
            "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n".to_owned(),
            route("eth0", [0; 4], "0003", 0, 0),
            route("wlan0", [192, 0, 2, 0], "0001", 600, 24),
            route("tun-st", [192, 0, 2, 0], "0001", 0, 24),
            route("tun7", [192, 0, 2, 128], "0001", 0, 25),
            route("*", [198, 51, 100, 0], "0200", 0, 24),
        ]
        .concat();
        for (address, device) in [
            ("192.0.2.2", Some("tun-st")),
            ("192.0.2.127", Some("tun-st")),
            ("192.0.2.128", Some("tun7")),
            ("192.0.3.2", Some("eth0")),
            ("192.0.1.255", Some("eth0")),
            ("198.51.100.1", None),
        ] {
            assert_eq!(best(&routes, address.parse().unwrap()).as_deref(), device, "{address}");
        }
        let (head, _) = routes.split_once("eth0").unwrap();
        assert_eq!(best(head, Ipv4Addr::new(192, 0, 2, 2)), None);
    }
}
