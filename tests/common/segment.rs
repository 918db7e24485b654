//! TCP segments made by hand, right or wrong on purpose; nothing here is shared with the code under test.

use super::{PEER, PORT, SERVER};
use core::fmt;
use core::net::{Ipv4Addr, SocketAddrV4};

/// FIN, as it stands in the header.
pub const FIN: u8 = 0x01;
/// SYN.
pub const SYN: u8 = 0x02;
/// RST.
pub const RST: u8 = 0x04;
/// PSH.
pub const PSH: u8 = 0x08;
/// ACK.
pub const ACK: u8 = 0x10;
/// URG.
pub const URG: u8 = 0x20;
/// Control bit (RFC 3168).
pub const ECE: u8 = 0x40;
/// Control bit (RFC 3168).
pub const CWR: u8 = 0x80;

/// The length of an IPv4 header without options, and of a TCP header without options.
pub const HEADER: usize = 20;
/// The protocol number of TCP.
pub const TCP: u8 = 6;

/// Whether a segment is sent with the checksum it should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// As it should be.
    Right,
    /// One off.
    Wrong,
}

/// One TCP segment and the two ends it travels between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it comes from.
    pub source: SocketAddrV4,
    /// Where it goes to.
    pub destination: SocketAddrV4,
    /// SEG.SEQ.
    pub seq: u32,
    /// SEG.ACK, meant or not.
    pub ack: u32,
    /// The control bits.
    pub flags: u8,
    /// SEG.WND.
    pub window: u16,
    /// SEG.UP.
    pub urgent: u16,
    /// The options as they stand in the header, a multiple of four bytes.
    pub options: Vec<u8>,
    /// The text.
    pub payload: Vec<u8>,
    /// Only for sending: a received segment with a wrong checksum is not parsed.
    pub checksum: Checksum,
    /// Only for sending: the data offset in words, where it is not the right one.
    pub data_offset: Option<u8>,
}

impl Segment {
    /// A segment from the peer's `port` to the server's, all else zero.
    pub fn new(port: u16, flags: u8) -> Self {
        Self {
            source: SocketAddrV4::new(PEER, port),
            destination: SocketAddrV4::new(SERVER, PORT),
            seq: 0,
            ack: 0,
            flags,
            window: u16::MAX,
            urgent: 0,
            options: Vec::new(),
            payload: Vec::new(),
            checksum: Checksum::Right,
            data_offset: None,
        }
    }

    /// With this sequence number.
    pub fn seq(self, seq: u32) -> Self {
        Self { seq, ..self }
    }

    /// With this acknowledgement number.
    pub fn ack(self, ack: u32) -> Self {
        Self { ack, ..self }
    }

    /// With these control bits.
    pub fn flags(self, flags: u8) -> Self {
        Self { flags, ..self }
    }

    /// With this window.
    pub fn window(self, window: u16) -> Self {
        Self { window, ..self }
    }

    /// With this text.
    pub fn text(self, payload: &[u8]) -> Self {
        Self { payload: payload.to_vec(), ..self }
    }

    /// With these options, a multiple of four bytes.
    pub fn options(self, options: &[u8]) -> Self {
        assert_eq!(options.len() % 4, 0, "options fill whole words");
        Self { options: options.to_vec(), ..self }
    }

    /// With a wrong checksum.
    pub fn corrupted(self) -> Self {
        Self { checksum: Checksum::Wrong, ..self }
    }

    /// Whether all of `flags` are set.
    pub const fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// SEG.LEN: the text, and one each for SYN and FIN.
    pub fn len(&self) -> u32 {
        let text = u32::try_from(self.payload.len()).unwrap();
        text + u32::from(self.has(SYN)) + u32::from(self.has(FIN))
    }

    /// The value of the option of this kind, if it is there.
    pub fn option(&self, kind: u8) -> Option<&[u8]> {
        let mut rest = self.options.as_slice();
        loop {
            match *rest {
                [] | [0, ..] => return None,
                [1, ..] => rest = &rest[1..],
                [found, length, ..] => {
                    let (option, after) = rest.split_at(usize::from(length));
                    if found == kind {
                        return Some(&option[2..]);
                    }
                    rest = after;
                }
                [_] => return None,
            }
        }
    }

    /// The segment in its IPv4 packet.
    pub fn packet(&self) -> Vec<u8> {
        let (source, destination) = (*self.source.ip(), *self.destination.ip());
        let tcp = self.bytes();
        let sum = checksum(&[&pseudo_header(source, destination, tcp.len()), &tcp]);
        let sum = match self.checksum {
            Checksum::Right => sum,
            // Not one more or less: 0 and 65535 are the same sum.
            Checksum::Wrong => sum ^ 0x0100,
        };
        let mut packet = ipv4(source, destination, TCP, &tcp);
        packet[HEADER + 16..HEADER + 18].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    fn bytes(&self) -> Vec<u8> {
        let words = (HEADER + self.options.len()) / 4;
        let data_offset = self.data_offset.unwrap_or(u8::try_from(words).unwrap());
        let mut tcp = Vec::new();
        tcp.extend(self.source.port().to_be_bytes());
        tcp.extend(self.destination.port().to_be_bytes());
        tcp.extend(self.seq.to_be_bytes());
        tcp.extend(self.ack.to_be_bytes());
        tcp.extend([data_offset << 4, self.flags]);
        tcp.extend(self.window.to_be_bytes());
        tcp.extend([0, 0]);
        tcp.extend(self.urgent.to_be_bytes());
        tcp.extend(&self.options);
        tcp.extend(&self.payload);
        tcp
    }

    /// The segment in this packet, if it is TCP over IPv4 and its checksums are right.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let (source, destination, protocol, tcp) = parse_ipv4(packet)?;
        if protocol != TCP || tcp.len() < HEADER {
            return None;
        }
        let sum = checksum(&[&pseudo_header(source, destination, tcp.len()), tcp]);
        let header = usize::from(tcp[12] >> 4) * 4;
        if sum != 0 || header < HEADER || header > tcp.len() {
            return None;
        }
        Some(Self {
            source: SocketAddrV4::new(source, u16_at(tcp, 0)),
            destination: SocketAddrV4::new(destination, u16_at(tcp, 2)),
            seq: u32_at(tcp, 4),
            ack: u32_at(tcp, 8),
            flags: tcp[13],
            window: u16_at(tcp, 14),
            urgent: u16_at(tcp, 18),
            options: tcp[HEADER..header].to_vec(),
            payload: tcp[header..].to_vec(),
            checksum: Checksum::Right,
            data_offset: None,
        })
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [(SYN, "SYN"), (FIN, "FIN"), (RST, "RST"), (PSH, "PSH"), (ACK, "ACK"), (URG, "URG")];
        let flags: Vec<_> = names.iter().filter(|(flag, _)| self.has(*flag)).map(|(_, name)| *name).collect();
        write!(
            f,
            "{} -> {} <SEQ={}><ACK={}><CTL={}> wnd={} len={}",
            self.source,
            self.destination,
            self.seq,
            self.ack,
            flags.join(","),
            self.window,
            self.payload.len()
        )?;
        if !self.options.is_empty() {
            write!(f, " options={:02x?}", self.options)?;
        }
        if self.checksum == Checksum::Wrong {
            write!(f, " (wrong checksum)")?;
        }
        Ok(())
    }
}

/// An IPv4 packet with this payload.
pub fn ipv4(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(HEADER + payload.len()).unwrap();
    let mut packet = vec![0x45, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    fill_ipv4_checksum(&mut packet);
    packet.extend(payload);
    packet
}

/// Computes the checksum of an IPv4 header anew.
pub fn fill_ipv4_checksum(packet: &mut [u8]) {
    packet[10..12].fill(0);
    let sum = checksum(&[&packet[..HEADER]]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// Source, destination, protocol and payload of a whole IPv4 packet with a right header.
pub fn parse_ipv4(packet: &[u8]) -> Option<(Ipv4Addr, Ipv4Addr, u8, &[u8])> {
    if packet.len() < HEADER || packet[0] >> 4 != 4 {
        return None;
    }
    let header = usize::from(packet[0] & 0xf) * 4;
    let total = usize::from(u16_at(packet, 2));
    if header < HEADER || total < header || total > packet.len() {
        return None;
    }
    if checksum(&[&packet[..header]]) != 0 {
        return None;
    }
    let source = Ipv4Addr::from(u32_at(packet, 12));
    let destination = Ipv4Addr::from(u32_at(packet, 16));
    Some((source, destination, packet[9], &packet[header..total]))
}

/// The Internet checksum (RFC 1071) over these parts, each but the last of even length.
pub fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u32;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
    }
    !u16::try_from(sum).unwrap()
}

fn pseudo_header(source: Ipv4Addr, destination: Ipv4Addr, length: usize) -> Vec<u8> {
    let mut header = Vec::with_capacity(12);
    header.extend(source.octets());
    header.extend(destination.octets());
    header.extend([0, TCP]);
    header.extend(u16::try_from(length).unwrap().to_be_bytes());
    header
}

/// The big-endian number at this place.
pub fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The big-endian number at this place.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
