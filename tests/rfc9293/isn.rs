//! ISN Selection (RFC 9293 §3.4.1).

use core::net::{Ipv4Addr, SocketAddrV4};

use session_tcp::tcp::isn::{IsnSecret, iss};
use smoltcp::time::{Duration, Instant};

use super::driver::{PEER, US};

const SECRET: IsnSecret = IsnSecret(*b"a secret of ours");
const NOW: Instant = Instant::from_micros_const(1_000_000_000_000);

/// A generator of one bit of every secret.
fn other_secrets() -> impl Iterator<Item = IsnSecret> {
    (0..128).map(|bit: usize| {
        let IsnSecret(mut secret) = SECRET;
        secret[bit / 8] ^= 1 << (bit % 8);
        IsnSecret(secret)
    })
}

#[test]
fn must_8_the_number_is_driven_by_a_clock_of_four_microseconds() {
    let start = iss(&SECRET, NOW, US, PEER);
    assert_eq!(iss(&SECRET, NOW + Duration::from_micros(3), US, PEER), start);
    assert_eq!(iss(&SECRET, NOW + Duration::from_micros(4), US, PEER), start + 1);
    assert_eq!(iss(&SECRET, NOW + Duration::from_secs(1), US, PEER), start + 250_000);
    // It comes round after 4.55 hours.
    assert_eq!(iss(&SECRET, NOW + Duration::from_micros(4 << 32), US, PEER), start);
}

#[test]
fn must_9_without_the_secret_the_number_cannot_be_computed() {
    // Each bit of it matters, and what others' numbers are says nothing.
    let mut seen: Vec<u32> = other_secrets().map(|secret| iss(&secret, NOW, US, PEER).value()).collect();
    seen.push(iss(&SECRET, NOW, US, PEER).value());
    seen.sort_unstable();
    seen.dedup();
    assert!(seen.len() >= 128, "{} different numbers of 129 secrets", seen.len());
    assert_eq!(format!("{SECRET:?}"), "IsnSecret(..)");
}

#[test]
fn shld_1_the_number_is_the_clock_and_a_function_of_the_pair_of_sockets() {
    let of = |now, local, remote| iss(&SECRET, now, local, remote);
    let later = NOW + Duration::from_secs(7);
    let mut seen = Vec::new();
    for (last, port) in [(1, 40_000), (1, 40_001), (2, 40_000), (3, 40_000)] {
        let other = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, last), port);
        for (local, remote) in [(US, other), (other, US)] {
            // ISN = M + F: the same F at any time.
            assert_eq!(of(later, local, remote), of(NOW, local, remote) + 7 * 250_000);
            seen.push(of(NOW, local, remote).value());
        }
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 8);
}
