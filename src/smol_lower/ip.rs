//! The IPv4 rules that smoltcp leaves to us: our own headers, and which packets are not to be looked at.
//!
//! Deviation: there are no source routes (RFC 9293 §3.9.2.1, MUST-51, MUST-52, MUST-53, SHLD-24). Our headers have no options, smoltcp
//! passes over those of others, and what carries a source route is dropped almost everywhere (RFC 7126). A peer could notice that its
//! source route is not used for answers.

use core::net::Ipv4Addr;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{IPV4_HEADER_LEN, IpProtocol, Ipv4Packet, Ipv4Repr};

/// Longest IPv4 packet (RFC 791 §3.1).
pub(super) const MAX_PACKET_BYTES: usize = 65_535;

/// Length of the header we write, without options.
pub(super) const HEADER_BYTES: usize = IPV4_HEADER_LEN;

/// Our address and the network it is in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Host {
    address: Ipv4Addr,
    /// At most 32.
    prefix_len: u8,
}

impl Host {
    /// Checks that a host may have this address; `None` otherwise.
    pub(super) fn new(address: Ipv4Addr, prefix_len: u8) -> Option<Self> {
        if prefix_len > 32 {
            return None;
        }
        let host = Self { address, prefix_len };
        (host.is_unicast(address) && !address.is_loopback()).then_some(host)
    }

    /// Our address.
    pub(super) fn address(self) -> Ipv4Addr {
        self.address
    }

    /// The length of our network's prefix.
    pub(super) fn prefix_len(self) -> u8 {
        self.prefix_len
    }

    /// Whether an address may be that of a peer (RFC 1122 §3.2.1.3, RFC 9293 MUST-46 and MUST-63): one host's, outside of ours.
    pub(super) fn may_be_peer(self, address: Ipv4Addr) -> bool {
        self.is_unicast(address) && !address.is_loopback() && address != self.address
    }

    /// Whether the address can stand for exactly one host.
    fn is_unicast(self, address: Ipv4Addr) -> bool {
        let [first, ..] = address.octets();
        let reserved = first == 0 || first >= 224; // "this network", multicast, class E and broadcast
        !reserved && !self.is_network_or_broadcast(address)
    }

    /// Whether the address is the first or the last of our network, which are not hosts' (RFC 1122 §3.2.1.3; RFC 3021 for /31).
    fn is_network_or_broadcast(self, address: Ipv4Addr) -> bool {
        let host_mask = u32::MAX.checked_shr(u32::from(self.prefix_len)).unwrap_or(0);
        if host_mask <= 1 {
            return false;
        }
        let differs = address.to_bits() ^ self.address.to_bits();
        let host_part = address.to_bits() & host_mask;
        differs & !host_mask == 0 && (host_part == 0 || host_part == host_mask)
    }
}

/// What the header of a packet says besides where it goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Service {
    /// The DiffServ codepoint, 6 bits (RFC 2474 §3).
    pub(super) dscp: u8,
    /// The ECN field, 2 bits (RFC 3168 §5).
    pub(super) ecn: u8,
    /// Time to live, in hops.
    pub(super) ttl: u8,
    /// Whether the packet may be cut.
    pub(super) cutting: Cutting,
}

/// Whether a packet may be cut into fragments on its way.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cutting {
    /// It may not; an identification of 0 is allowed for such an atomic datagram (RFC 6864 §4.1).
    Forbidden,
    /// It may: its fragments are told from others' by this identification.
    Allowed(u16),
}

/// The header of one unfragmented packet with a TCP segment of `tcp_bytes`, `None` if it is too long.
pub(super) fn header(src: Ipv4Addr, dst: Ipv4Addr, service: Service, tcp_bytes: usize) -> Option<[u8; HEADER_BYTES]> {
    if tcp_bytes > MAX_PACKET_BYTES - HEADER_BYTES {
        return None;
    }
    let repr = Ipv4Repr {
        src_addr: src,
        dst_addr: dst,
        next_header: IpProtocol::Tcp,
        payload_len: tcp_bytes,
        hop_limit: service.ttl,
    };
    let mut bytes = [0; HEADER_BYTES];
    let mut packet = Ipv4Packet::new_unchecked(&mut bytes);
    repr.emit(&mut packet, &ChecksumCapabilities::default());
    packet.set_dscp(service.dscp);
    packet.set_ecn(service.ecn);
    if let Cutting::Allowed(ident) = service.cutting {
        packet.set_dont_frag(false);
        packet.set_ident(ident);
    }
    packet.fill_checksum();
    Some(bytes)
}

/// Cuts a packet without options into fragments of at most `mtu_bytes` (RFC 791 §3.2), each a header and its piece of the data.
///
/// smoltcp can do this too, but computes the checksum of an echo reply over what its buffer holds of an earlier one.
pub(super) fn fragments(
    packet: &[u8],
    mtu_bytes: usize,
    ident: u16,
) -> impl Iterator<Item = ([u8; HEADER_BYTES], &[u8])> {
    let (header, data) = packet.split_first_chunk().unwrap_or((&[0; HEADER_BYTES], &[]));
    let piece_bytes = (mtu_bytes.saturating_sub(HEADER_BYTES) & !7).max(8);
    (0_usize..).zip(data.chunks(piece_bytes)).map(move |(index, piece)| {
        let mut header = *header;
        let mut fragment = Ipv4Packet::new_unchecked(&mut header);
        let offset = index * piece_bytes;
        fragment.set_total_len(wire_number(HEADER_BYTES + piece.len()));
        fragment.set_ident(ident);
        fragment.set_dont_frag(false);
        fragment.set_more_frags(offset + piece.len() < data.len());
        fragment.set_frag_offset(wire_number(offset));
        fragment.fill_checksum();
        (header, piece)
    })
}

/// A length inside a packet as its header has it; no packet is longer than 65,535 bytes.
fn wire_number(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

/// Whether the packet is a fragment of what could never be a packet, since it would end past the longest one.
///
/// smoltcp reassembles these and then computes a length in 16 bits, which overflows.
pub(super) fn is_overlong_fragment(bytes: &[u8]) -> bool {
    let Ok(packet) = Ipv4Packet::new_checked(bytes) else {
        return false;
    };
    let end = usize::from(packet.frag_offset()) + packet.payload().len();
    end > MAX_PACKET_BYTES - HEADER_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: Service = Service { dscp: 46, ecn: 2, ttl: 64, cutting: Cutting::Forbidden };

    fn host() -> Host {
        Host::new(Ipv4Addr::new(192, 0, 2, 2), 24).unwrap()
    }

    #[test]
    fn only_unicast_addresses_of_others_are_sources() {
        for good in ["192.0.2.1", "192.0.2.254", "10.0.0.1", "192.0.3.0", "192.0.3.255", "223.255.255.255", "1.0.0.0"] {
            assert!(host().may_be_peer(good.parse().unwrap()), "{good}");
        }
        for bad in [
            "192.0.2.2",
            "192.0.2.0",
            "192.0.2.255",
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
        ] {
            assert!(!host().may_be_peer(bad.parse().unwrap()), "{bad}");
        }
    }

    #[test]
    fn a_network_of_two_or_one_has_no_broadcast_address() {
        let pair = Host::new(Ipv4Addr::new(192, 0, 2, 2), 31).unwrap();
        assert!(pair.may_be_peer(Ipv4Addr::new(192, 0, 2, 3)));
        let lone = Host::new(Ipv4Addr::new(192, 0, 2, 2), 32).unwrap();
        assert!(lone.may_be_peer(Ipv4Addr::new(192, 0, 2, 3)));
        let whole = Host::new(Ipv4Addr::new(192, 0, 2, 2), 0).unwrap();
        assert!(whole.may_be_peer(Ipv4Addr::new(10, 0, 2, 3)));
    }

    #[test]
    fn our_own_address_is_a_hosts() {
        for (bad, prefix_len) in [
            ("192.0.2.255", 24),
            ("192.0.2.0", 24),
            ("224.0.0.1", 4),
            ("0.0.0.0", 0),
            ("127.0.0.1", 8),
            ("192.0.2.2", 33),
        ] {
            assert!(Host::new(bad.parse().unwrap(), prefix_len).is_none(), "{bad}");
        }
    }

    #[test]
    fn headers_carry_df_ttl_and_a_checksum() {
        let bytes = header(Ipv4Addr::new(192, 0, 2, 2), Ipv4Addr::new(192, 0, 2, 1), SERVICE, 20).unwrap();
        let packet = Ipv4Packet::new_unchecked(&bytes[..]);
        assert!(packet.verify_checksum() && packet.dont_frag() && !packet.more_frags());
        assert_eq!((packet.total_len(), packet.hop_limit(), packet.dscp(), packet.ecn()), (40, 64, 46, 2));
        assert_eq!(packet.next_header(), IpProtocol::Tcp);
    }

    #[test]
    fn a_packet_that_may_be_cut_has_no_df_and_an_identification() {
        let service = Service { cutting: Cutting::Allowed(77), ..SERVICE };
        let bytes = header(Ipv4Addr::new(192, 0, 2, 2), Ipv4Addr::new(192, 0, 2, 1), service, 20).unwrap();
        let packet = Ipv4Packet::new_unchecked(&bytes[..]);
        assert!(packet.verify_checksum() && !packet.dont_frag());
        assert_eq!(packet.ident(), 77);
    }

    #[test]
    fn fragments_cover_the_data_and_fit_the_mtu() {
        let data: Vec<u8> = (0..=255).cycle().take(1_000).collect();
        let (src, dst) = (Ipv4Addr::new(192, 0, 2, 2), Ipv4Addr::new(192, 0, 2, 1));
        let packet = [&header(src, dst, SERVICE, 1_000).unwrap()[..], &data].concat();
        for mtu_bytes in [68, 75, 76, 576, 1_019] {
            let mut end = 0;
            for (header, piece) in fragments(&packet, mtu_bytes, 7) {
                assert!(HEADER_BYTES + piece.len() <= mtu_bytes);
                let fragment = Ipv4Packet::new_unchecked(&header);
                assert!(fragment.verify_checksum() && !fragment.dont_frag());
                assert_eq!(usize::from(fragment.frag_offset()), end);
                assert_eq!(usize::from(fragment.total_len()), 20 + piece.len());
                assert_eq!(piece, &data[end..end + piece.len()]);
                end += piece.len();
                assert_eq!(fragment.more_frags(), end < data.len());
            }
            assert_eq!(end, data.len());
        }
    }

    #[test]
    fn a_segment_that_does_not_fit_has_no_header() {
        let (src, dst) = (Ipv4Addr::new(192, 0, 2, 2), Ipv4Addr::new(192, 0, 2, 1));
        assert!(header(src, dst, SERVICE, 65_515).is_some());
        assert!(header(src, dst, SERVICE, 65_516).is_none());
    }
}
