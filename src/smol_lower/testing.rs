//! What the layer's tests share: segments made by hand.

use core::net::Ipv4Addr;

use smoltcp::wire::{Icmpv4Packet, TcpPacket, TcpSeqNumber};

use super::ip;
use crate::tcp::segment::Segment;

pub(super) const FIN: u8 = 1;
pub(super) const SYN: u8 = 2;
pub(super) const RST: u8 = 4;
pub(super) const ACK: u8 = 16;

pub(super) const US: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
pub(super) const PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);

/// What the headers of the tests' packets say.
pub(super) const SERVICE: ip::Service = ip::Service { dscp: 0, ecn: 0, ttl: 64, cutting: ip::Cutting::Forbidden };

/// A TCP segment's bytes from PEER to US, as `control` says, SEG.SEQ = 100, SEG.ACK = 200.
pub(super) fn segment_bytes(src_port: u16, dst_port: u16, control: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 20];
    bytes.extend(payload);
    let mut packet = TcpPacket::new_unchecked(&mut bytes[..]);
    packet.set_src_port(src_port);
    packet.set_dst_port(dst_port);
    packet.set_seq_number(TcpSeqNumber(100));
    packet.set_ack_number(TcpSeqNumber(if control & ACK == 0 { 0 } else { 200 }));
    packet.set_header_len(20);
    packet.set_window_len(1000);
    packet.into_inner()[13] = control;
    let mut packet = TcpPacket::new_unchecked(&mut bytes[..]);
    packet.fill_checksum(&PEER.into(), &US.into());
    bytes
}

/// The same, parsed.
pub(super) fn segment(src_port: u16, dst_port: u16, control: u8, payload: &[u8]) -> Segment {
    Segment::parse(&segment_bytes(src_port, dst_port, control, payload), PEER, US).unwrap()
}

/// The same in an IP packet.
pub(super) fn packet(src_port: u16, dst_port: u16, control: u8, payload: &[u8]) -> Vec<u8> {
    let tcp_bytes = segment_bytes(src_port, dst_port, control, payload);
    let header = ip::header(PEER, US, SERVICE, tcp_bytes.len()).unwrap();
    [&header[..], &tcp_bytes].concat()
}

/// An ICMP message with these octets behind its header.
pub(super) fn icmp_error(kind: u8, code: u8, rest: [u8; 4], quoted: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, code, 0, 0], &rest[..], quoted].concat();
    Icmpv4Packet::new_unchecked(&mut message[..]).fill_checksum();
    message
}
