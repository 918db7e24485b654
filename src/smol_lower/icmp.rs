//! ICMP errors, parsed: which segment of ours they quote, and what they say about it (RFC 792, RFC 1191 §4).

use core::net::Ipv4Addr;

use smoltcp::wire::{Icmpv4Packet, IpProtocol};

use crate::tcp::seq::SeqNum;
use crate::tcp::{IcmpError, IcmpKind};

/// Destination Unreachable.
const UNREACHABLE: u8 = 3;
/// Time Exceeded.
const TIME_EXCEEDED: u8 = 11;
/// Parameter Problem.
const PARAMETER_PROBLEM: u8 = 12;
/// The code of Destination Unreachable that is "fragmentation needed and DF set".
const FRAGMENTATION_NEEDED: u8 = 4;

/// Octets of an ICMP error's header.
const ICMP_HEADER_BYTES: usize = 8;

/// An ICMP error and the segment that it quotes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Quoted {
    /// To whom we sent it.
    pub(super) dst: Ipv4Addr,
    /// Our port.
    pub(super) src_port: u16,
    /// The port there.
    pub(super) dst_port: u16,
    /// What happened.
    pub(super) error: IcmpError,
}

/// Reads an ICMP message; `None` unless it is an error about a TCP segment from `us`.
///
/// Source Quench (type 4) is none of them: it is discarded in silence (RFC 9293 §3.9.2.2, MUST-55; RFC 6633).
pub(super) fn parse(message: &[u8], us: Ipv4Addr) -> Option<Quoted> {
    let packet = Icmpv4Packet::new_checked(message).ok()?;
    if !packet.verify_checksum() {
        return None;
    }
    let (header, quoted) = message.split_first_chunk::<ICMP_HEADER_BYTES>()?;
    let &[kind, code, _, _, _, _, mtu_high, mtu_low] = header;
    let kind = match (kind, code) {
        (UNREACHABLE, FRAGMENTATION_NEEDED) => {
            IcmpKind::TooBig { next_hop_mtu: u16::from_be_bytes([mtu_high, mtu_low]) }
        }
        (UNREACHABLE, code) => IcmpKind::Unreachable(code),
        (TIME_EXCEEDED, _) => IcmpKind::TimeExceeded,
        (PARAMETER_PROBLEM, _) => IcmpKind::ParameterProblem,
        _ => return None,
    };
    let &[version, _, l0, l1, _, _, f0, f1, _, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] =
        quoted.first_chunk::<20>()?;
    let is_first_piece = u16::from_be_bytes([f0, f1]) & 0x1fff == 0;
    let header_bytes = usize::from(version & 0xf) * 4;
    let is_ours = version >> 4 == 4
        && header_bytes >= 20
        && protocol == u8::from(IpProtocol::Tcp)
        && Ipv4Addr::new(s0, s1, s2, s3) == us;
    if !is_ours || !is_first_piece {
        return None;
    }
    // Eight octets of the segment are quoted at least: ports and sequence number.
    let &[sp0, sp1, dp0, dp1, q0, q1, q2, q3] = quoted.get(header_bytes..)?.first_chunk::<8>()?;
    let seq = SeqNum::new(u32::from_be_bytes([q0, q1, q2, q3]));
    Some(Quoted {
        dst: Ipv4Addr::new(d0, d1, d2, d3),
        src_port: u16::from_be_bytes([sp0, sp1]),
        dst_port: u16::from_be_bytes([dp0, dp1]),
        error: IcmpError { kind, seq, packet_bytes: u16::from_be_bytes([l0, l1]) },
    })
}

#[cfg(test)]
mod tests {
    use super::super::ip;
    use super::super::testing::{PEER, SERVICE, US, icmp_error};
    use super::*;

    /// An error that quotes the beginning of a segment from us, as routers do.
    fn error(kind: u8, code: u8, rest: [u8; 4]) -> Vec<u8> {
        icmp_error(kind, code, rest, &quote(US))
    }

    /// The header of a packet from `src` of 1500 octets, and eight octets more.
    fn quote(src: Ipv4Addr) -> Vec<u8> {
        let header = ip::header(src, PEER, SERVICE, 1480).unwrap();
        [&header[..], &[0x02, 0x2b, 0x9c, 0x40, 1, 2, 3, 4]].concat()
    }

    fn kind_of(message: &[u8]) -> Option<IcmpKind> {
        parse(message, US).map(|quoted| quoted.error.kind)
    }

    #[test]
    fn the_quoted_segment_is_read() {
        let quoted = parse(&error(3, 1, [0; 4]), US).unwrap();
        let error = IcmpError { kind: IcmpKind::Unreachable(1), seq: SeqNum::new(0x0102_0304), packet_bytes: 1500 };
        assert_eq!(quoted, Quoted { dst: PEER, src_port: 555, dst_port: 40_000, error });
    }

    #[test]
    fn each_kind_is_told_from_the_others() {
        assert_eq!(kind_of(&error(3, 4, [0, 0, 5, 0])), Some(IcmpKind::TooBig { next_hop_mtu: 1280 }));
        assert_eq!(kind_of(&error(3, 3, [0; 4])), Some(IcmpKind::Unreachable(3)));
        assert_eq!(kind_of(&error(11, 0, [0; 4])), Some(IcmpKind::TimeExceeded));
        assert_eq!(kind_of(&error(12, 0, [0; 4])), Some(IcmpKind::ParameterProblem));
    }

    #[test]
    fn must_55_source_quench_and_what_is_no_error_are_not_looked_at() {
        for kind in [0, 4, 5, 8, 13, 255] {
            assert_eq!(kind_of(&error(kind, 0, [0; 4])), None, "type {kind}");
        }
    }

    #[test]
    fn what_is_not_about_a_segment_of_ours_is_not_looked_at() {
        assert_eq!(kind_of(&icmp_error(3, 1, [0; 4], &quote(PEER))), None);
        for (octet, value) in [(0, 0x65), (0, 0x44), (0, 0x4f), (6, 0x00), (7, 0x01), (9, 17)] {
            let mut quoted = quote(US);
            quoted[octet] = value;
            let kind = kind_of(&icmp_error(3, 1, [0; 4], &quoted));
            // Without DF it is looked at.
            assert_eq!(kind.is_some(), octet == 6, "octet {octet}");
        }
    }

    #[test]
    fn truncated_and_damaged_messages_are_not_looked_at() {
        let whole = error(3, 1, [0; 4]);
        for length in 0..whole.len() {
            assert_eq!(kind_of(&whole[..length]), None, "length {length}");
            let mut quoted = quote(US);
            quoted.truncate(length);
            assert_eq!(
                kind_of(&icmp_error(3, 1, [0; 4], &quoted)),
                if length < 28 { None } else { Some(IcmpKind::Unreachable(1)) }
            );
        }
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(kind_of(&damaged), None, "bit {bit}");
        }
    }
}
