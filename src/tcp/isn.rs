//! Initial sequence numbers (RFC 6528, RFC 9293 §3.4.1).

use core::net::SocketAddrV4;

use smoltcp::time::Instant;

use super::seq::SeqNum;

/// The clock M counts one every four microseconds (RFC 9293 §3.4.1, MUST-8).
const MICROS_PER_TICK: i64 = 4;

/// The secret key of F, to be drawn at random when the program starts (RFC 9293 §3.4.1, MUST-9).
#[derive(Clone, PartialEq, Eq)]
pub struct IsnSecret(pub [u8; 16]);

impl core::fmt::Debug for IsnSecret {
    /// Says nothing, so that no log can tell it.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("IsnSecret(..)")
    }
}

/// ISN = M + F(localip, localport, remoteip, remoteport, secretkey) (RFC 9293 §3.4.1, SHLD-1).
#[must_use]
pub fn iss(secret: &IsnSecret, now: Instant, local: SocketAddrV4, remote: SocketAddrV4) -> SeqNum {
    let ticks = now.total_micros().div_euclid(MICROS_PER_TICK);
    SeqNum::new(low_half(ticks.cast_unsigned())) + f(secret, local, remote, Use::SequenceNumber)
}

/// The offset of the timestamp clock between two sockets: a random one for each pair (RFC 7323 §7.1), and no hint at its ISN.
pub(super) fn timestamp_offset(secret: &IsnSecret, local: SocketAddrV4, remote: SocketAddrV4) -> u32 {
    f(secret, local, remote, Use::Timestamp)
}

/// What a hash is for: those for one use say nothing of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// The initial sequence number.
    SequenceNumber,
    /// The offset of the timestamp clock.
    Timestamp,
}

/// F: a keyed hash of the pair of sockets.
fn f(IsnSecret(secret): &IsnSecret, local: SocketAddrV4, remote: SocketAddrV4, purpose: Use) -> u32 {
    let [l0, l1, l2, l3] = local.ip().octets();
    let [r0, r1, r2, r3] = remote.ip().octets();
    let [m0, m1] = local.port().to_be_bytes();
    let [n0, n1] = remote.port().to_be_bytes();
    let first = u64::from_le_bytes([l0, l1, l2, l3, m0, m1, r0, r1]);
    // The last block of SipHash holds the rest of the input and, in its highest octet, the length of all of it.
    let tail = match purpose {
        Use::SequenceNumber => [0, 0, 0, 12],
        Use::Timestamp => [1, 0, 0, 13],
    };
    let [t0, t1, t2, t3] = tail;
    let last = u64::from_le_bytes([r2, r3, n0, n1, t0, t1, t2, t3]);
    low_half(siphash_2_4(*secret, &[first, last]))
}

/// SipHash-2-4 (Aumasson and Bernstein, 2012) of blocks whose last one holds the length.
pub(super) fn siphash_2_4(key: [u8; 16], blocks: &[u64]) -> u64 {
    let key = u128::from_le_bytes(key);
    let (k0, k1) = (low_u64(key), low_u64(key >> 64));
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    for block in blocks {
        v[3] ^= block;
        v = sip_round(sip_round(v));
        v[0] ^= block;
    }
    v[2] ^= 0xff;
    let [v0, v1, v2, v3] = sip_round(sip_round(sip_round(sip_round(v))));
    v0 ^ v1 ^ v2 ^ v3
}

/// One round of SipHash.
const fn sip_round([mut v0, mut v1, mut v2, mut v3]: [u64; 4]) -> [u64; 4] {
    v0 = v0.wrapping_add(v1);
    v2 = v2.wrapping_add(v3);
    v1 = v1.rotate_left(13) ^ v0;
    v3 = v3.rotate_left(16) ^ v2;
    v0 = v0.rotate_left(32);
    v2 = v2.wrapping_add(v1);
    v0 = v0.wrapping_add(v3);
    v1 = v1.rotate_left(17) ^ v2;
    v3 = v3.rotate_left(21) ^ v0;
    v2 = v2.rotate_left(32);
    [v0, v1, v2, v3]
}

/// The lower 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
pub(super) const fn low_half(value: u64) -> u32 {
    value as u32
}

/// The lower 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
const fn low_u64(value: u128) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;

    const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
    const LOCAL: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 2), 555);
    const REMOTE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 40000);

    #[test]
    fn siphash_gives_the_value_of_its_paper() {
        // Appendix A: the octets 0 to 14 under the key 0 to 15.
        let blocks = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        assert_eq!(siphash_2_4(KEY, &blocks), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn clock_ticks_every_four_microseconds_and_wraps() {
        let at = |micros: i64| iss(&IsnSecret(KEY), Instant::from_micros(micros), LOCAL, REMOTE);
        assert_eq!(at(1003), at(1000));
        assert_eq!(at(1004), at(1000) + 1);
        assert_eq!(at(1000 + (4 << 32)), at(1000));
        assert_eq!(at(-1), at(0) - 1);
    }

    #[test]
    fn every_part_of_the_pair_and_the_secret_matter() {
        let now = Instant::from_secs(1);
        let one = iss(&IsnSecret(KEY), now, LOCAL, REMOTE);
        for remote in [(1, 40001), (2, 40000), (0, 40000)] {
            let remote = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, remote.0), remote.1);
            assert_ne!(iss(&IsnSecret(KEY), now, LOCAL, remote), one);
        }
        assert_ne!(iss(&IsnSecret([0; 16]), now, LOCAL, REMOTE), one);
        assert_ne!(iss(&IsnSecret(KEY), now, REMOTE, LOCAL), one);
    }
}
