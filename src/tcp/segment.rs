//! Segments: the header, the options and the text, parsed once at the edge (RFC 9293 §3.1, §3.2).

use core::fmt;
use core::net::Ipv4Addr;
use core::ops::BitOr;

use super::carriage::Carriage;
use super::sack::{Block, Blocks};
use super::seq::SeqNum;

/// Octets of a header without options.
const HEADER_LEN: usize = 20;

/// Octets of the longest header: the data offset counts at most fifteen words of four octets.
const MAX_HEADER_LEN: usize = 60;

/// Octets of the options that fit into a header.
pub(super) const MAX_OPTIONS_BYTES: u32 = 40;

/// The protocol number of TCP, part of the pseudo-header.
const PROTOCOL_TCP: u64 = 6;

/// End of option list (RFC 9293 §3.1, MUST-4).
const KIND_END: u8 = 0;
/// No operation (MUST-4).
const KIND_NOP: u8 = 1;
/// Maximum segment size (MUST-4).
const KIND_MSS: u8 = 2;
/// Window scale (RFC 7323 §2).
const KIND_WINDOW_SCALE: u8 = 3;
/// SACK-permitted (RFC 2018 §2).
const KIND_SACK_PERMITTED: u8 = 4;
/// SACK (RFC 2018 §3).
const KIND_SACK: u8 = 5;
/// Timestamps (RFC 7323 §3).
const KIND_TIMESTAMP: u8 = 8;

/// Octets of a SACK option besides its blocks, with the two NOPs that bring it to a word boundary.
const SACK_FIXED_LEN: usize = 4;

/// Octets of one block.
const SACK_BLOCK_LEN: usize = 8;

/// The control bits of a header, reserved ones left out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Control(u8);

impl Control {
    /// No bit at all.
    pub const NONE: Self = Self(0);
    /// No more data from the sender.
    pub const FIN: Self = Self(1);
    /// Synchronize sequence numbers.
    pub const SYN: Self = Self(1 << 1);
    /// Reset the connection.
    pub const RST: Self = Self(1 << 2);
    /// Push function.
    pub const PSH: Self = Self(1 << 3);
    /// The acknowledgement field is significant.
    pub const ACK: Self = Self(1 << 4);
    /// The urgent pointer is significant.
    pub const URG: Self = Self(1 << 5);
    /// ECN-Echo (RFC 3168).
    pub const ECE: Self = Self(1 << 6);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Self = Self(1 << 7);

    /// The bits as they stand in octet 13 of the header.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// Octet 13 of the header.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether all the bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The same with the bits of `other` set.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The same with the bits of `other` cleared.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether FIN is set.
    #[must_use]
    pub const fn fin(self) -> bool {
        self.contains(Self::FIN)
    }

    /// Whether SYN is set.
    #[must_use]
    pub const fn syn(self) -> bool {
        self.contains(Self::SYN)
    }

    /// Whether RST is set.
    #[must_use]
    pub const fn rst(self) -> bool {
        self.contains(Self::RST)
    }

    /// Whether PSH is set.
    #[must_use]
    pub const fn psh(self) -> bool {
        self.contains(Self::PSH)
    }

    /// Whether ACK is set.
    #[must_use]
    pub const fn ack(self) -> bool {
        self.contains(Self::ACK)
    }

    /// Whether URG is set.
    #[must_use]
    pub const fn urg(self) -> bool {
        self.contains(Self::URG)
    }

    /// Whether ECE is set.
    #[must_use]
    pub const fn ece(self) -> bool {
        self.contains(Self::ECE)
    }

    /// Whether CWR is set.
    #[must_use]
    pub const fn cwr(self) -> bool {
        self.contains(Self::CWR)
    }
}

impl BitOr for Control {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(Control, &str); 8] = [
            (Control::SYN, "SYN"),
            (Control::FIN, "FIN"),
            (Control::RST, "RST"),
            (Control::PSH, "PSH"),
            (Control::ACK, "ACK"),
            (Control::URG, "URG"),
            (Control::ECE, "ECE"),
            (Control::CWR, "CWR"),
        ];
        let mut separator = "";
        for (bit, name) in NAMES {
            if self.contains(bit) {
                write!(f, "{separator}{name}")?;
                separator = ",";
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Control({self})")
    }
}

/// The value of the timestamps option (RFC 7323 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// What the sender's timestamp clock said.
    pub tsval: u32,
    /// What the clock of the other end said, as the sender of this segment has last heard; only valid with ACK.
    pub tsecr: u32,
}

/// The options we know, those of a segment that it does not carry being `None`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Options {
    /// Maximum segment size the sender of the segment can receive.
    pub mss: Option<u16>,
    /// Shift count of the window scale option, as sent (RFC 7323 §2.3: above 14 is read as 14 by its user).
    pub window_scale: Option<u8>,
    /// Whether the sender of the segment takes SACK options (RFC 2018 §2); only a SYN says so.
    pub sack_permitted: bool,
    /// Timestamps (RFC 7323 §3).
    pub timestamp: Option<Timestamp>,
    /// What has arrived out of order (RFC 2018 §3); as many blocks are sent as the other options leave room for.
    pub sack: Blocks,
}

impl Options {
    /// Reads the options part of a header, whatever it holds.
    ///
    /// Deviation: RFC 9293 §3.1 suggests to reset the connection at an illegal length (MUST-7). We ignore the rest of the
    /// options instead, as others do: a reset would be a gift to a blind attacker. A peer notices that no RST comes.
    fn parse(mut rest: &[u8]) -> Self {
        let mut options = Self::default();
        while let Some((&kind, tail)) = rest.split_first() {
            match kind {
                // RFC 9293 §3.1 (MUST-69): what follows is padding.
                KIND_END => break,
                // RFC 9293 §3.2 (MUST-64): options need not begin on a word boundary.
                KIND_NOP => rest = tail,
                _ => {
                    // RFC 9293 §3.1 (MUST-68): every other option has a length, which counts the two octets before its value.
                    let Some(&length) = tail.first() else { break };
                    let Some(value) = rest.get(2..usize::from(length)) else {
                        break;
                    };
                    options.read(kind, value);
                    rest = rest.get(usize::from(length)..).unwrap_or_default();
                }
            }
        }
        options
    }

    /// Takes note of one option; RFC 9293 §3.1 (MUST-6): one that is not implemented is skipped by its length.
    fn read(&mut self, kind: u8, value: &[u8]) {
        match (kind, value) {
            (KIND_MSS, &[high, low]) => self.mss = Some(u16::from_be_bytes([high, low])),
            (KIND_WINDOW_SCALE, &[shift]) => self.window_scale = Some(shift),
            (KIND_TIMESTAMP, &[v0, v1, v2, v3, e0, e1, e2, e3]) => {
                let (tsval, tsecr) = (u32::from_be_bytes([v0, v1, v2, v3]), u32::from_be_bytes([e0, e1, e2, e3]));
                self.timestamp = Some(Timestamp { tsval, tsecr });
            }
            (KIND_SACK_PERMITTED, &[]) => self.sack_permitted = true,
            (KIND_SACK, blocks) => self.read_sack(blocks),
            _ => {}
        }
    }

    /// Reads blocks; an option that does not hold whole ones is not believed at all.
    fn read_sack(&mut self, value: &[u8]) {
        let (blocks, rest) = value.as_chunks::<SACK_BLOCK_LEN>();
        if !rest.is_empty() {
            return;
        }
        self.sack = blocks
            .iter()
            .map(|&[l0, l1, l2, l3, r0, r1, r2, r3]| Block {
                left: SeqNum::new(u32::from_be_bytes([l0, l1, l2, l3])),
                right: SeqNum::new(u32::from_be_bytes([r0, r1, r2, r3])),
            })
            .collect();
    }

    /// Writes the options, padded to a multiple of four octets.
    fn emit(&self, into: &mut Vec<u8>) {
        if let Some(mss) = self.mss {
            let [high, low] = mss.to_be_bytes();
            into.extend([KIND_MSS, 4, high, low]);
        }
        if let Some(shift) = self.window_scale {
            into.extend([KIND_NOP, KIND_WINDOW_SCALE, 3, shift]);
        }
        if self.sack_permitted {
            into.extend([KIND_NOP, KIND_NOP, KIND_SACK_PERMITTED, 2]);
        }
        if let Some(Timestamp { tsval, tsecr }) = self.timestamp {
            // RFC 7323 appendix A: so that the values stand on word boundaries.
            into.extend([KIND_NOP, KIND_NOP, KIND_TIMESTAMP, 10]);
            into.extend(tsval.to_be_bytes());
            into.extend(tsecr.to_be_bytes());
        }
        let blocks = self.sent_blocks();
        if let (false, Ok(length)) = (blocks.is_empty(), u8::try_from(2 + SACK_BLOCK_LEN * blocks.len())) {
            into.extend([KIND_NOP, KIND_NOP, KIND_SACK, length]);
        }
        for block in blocks.as_slice() {
            into.extend(block.left.value().to_be_bytes());
            into.extend(block.right.value().to_be_bytes());
        }
    }

    /// Octets of all options but the SACK blocks, which take what is left.
    fn fixed_len(&self) -> usize {
        4 * (usize::from(self.mss.is_some())
            + usize::from(self.window_scale.is_some())
            + usize::from(self.sack_permitted)
            + 3 * usize::from(self.timestamp.is_some()))
    }

    /// How many SACK blocks fit beside the other options.
    fn sack_room(&self) -> usize {
        Self::sack_room_of((MAX_HEADER_LEN - HEADER_LEN).saturating_sub(self.fixed_len()))
    }

    /// How many SACK blocks fit into so many octets.
    #[must_use]
    pub(super) const fn sack_room_of(octets: usize) -> usize {
        octets.saturating_sub(SACK_FIXED_LEN) / SACK_BLOCK_LEN
    }

    /// The SACK blocks that fit.
    fn sent_blocks(&self) -> Blocks {
        self.sack.first(self.sack_room())
    }

    /// Octets the options take in a header.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let blocks = self.sent_blocks().len();
        let sack_len = if blocks == 0 { 0 } else { SACK_FIXED_LEN + SACK_BLOCK_LEN * blocks };
        self.fixed_len() + sack_len
    }
}

/// A TCP segment.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Segment {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// SEG.SEQ: the sequence number of the first octet, or of the SYN.
    pub seq: SeqNum,
    /// SEG.ACK: the next sequence number expected, if ACK is set.
    pub ack: SeqNum,
    /// The control bits.
    pub control: Control,
    /// SEG.WND as it stands in the header, not scaled (RFC 9293 §3.1, MUST-1: unsigned).
    pub wnd: u16,
    /// SEG.UP: the urgent pointer, if URG is set.
    pub up: u16,
    /// The options.
    pub options: Options,
    /// The text.
    pub payload: Vec<u8>,
    /// What the IP header says or is to say: no part of the segment itself.
    pub carriage: Carriage,
}

impl Segment {
    /// Reads a segment that came from `src` to `dst` in an IPv4 packet, whose carriage is the caller's to fill in, and verifies its checksum (RFC 9293 §3.1, MUST-3).
    ///
    /// # Errors
    ///
    /// The segment is shorter than its header, says that its header is shorter than one can be, or is damaged.
    pub fn parse(bytes: &[u8], src: Ipv4Addr, dst: Ipv4Addr) -> Result<Self, SegmentError> {
        let truncated = SegmentError::Truncated { len: bytes.len() };
        let header: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or(truncated.clone())?;
        let &[s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, offset, bits, w0, w1, _, _, u0, u1] = header;
        let header_len = usize::from(offset >> 4) * 4;
        if header_len < HEADER_LEN {
            return Err(SegmentError::DataOffset { header_len });
        }
        let options = bytes.get(HEADER_LEN..header_len).ok_or(truncated.clone())?;
        let payload = bytes.get(header_len..).ok_or(truncated)?;
        if checksum(bytes, src, dst) != 0 {
            return Err(SegmentError::Checksum);
        }
        Ok(Self {
            src_port: u16::from_be_bytes([s0, s1]),
            dst_port: u16::from_be_bytes([d0, d1]),
            seq: SeqNum::new(u32::from_be_bytes([q0, q1, q2, q3])),
            ack: SeqNum::new(u32::from_be_bytes([a0, a1, a2, a3])),
            control: Control::from_bits(bits),
            wnd: u16::from_be_bytes([w0, w1]),
            up: u16::from_be_bytes([u0, u1]),
            options: Options::parse(options),
            payload: payload.to_vec(),
            carriage: Carriage::default(),
        })
    }

    /// Writes the segment as it goes from `src` to `dst` in an IPv4 packet, its checksum filled in (RFC 9293 §3.1, MUST-2).
    #[must_use]
    pub fn emit(&self, src: Ipv4Addr, dst: Ipv4Addr) -> Vec<u8> {
        let header_len = (HEADER_LEN + self.options.encoded_len()).min(MAX_HEADER_LEN);
        let mut bytes = Vec::with_capacity(header_len + self.payload.len());
        bytes.extend(self.src_port.to_be_bytes());
        bytes.extend(self.dst_port.to_be_bytes());
        bytes.extend(self.seq.value().to_be_bytes());
        bytes.extend(self.ack.value().to_be_bytes());
        bytes.push(u8::try_from(header_len / 4).map_or(0, |words| words << 4));
        bytes.push(self.control.bits());
        bytes.extend(self.wnd.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(self.up.to_be_bytes());
        self.options.emit(&mut bytes);
        bytes.extend_from_slice(&self.payload);
        let sum = checksum(&bytes, src, dst);
        if let Some(field) = bytes.get_mut(16..18) {
            field.copy_from_slice(&sum.to_be_bytes());
        }
        bytes
    }

    /// SEG.LEN: the octets of sequence space the segment takes, SYN and FIN counted (RFC 9293 §3.4).
    #[must_use]
    pub fn seg_len(&self) -> u32 {
        self.text_len() + u32::from(self.control.syn()) + u32::from(self.control.fin())
    }

    /// Octets of text.
    #[must_use]
    pub fn text_len(&self) -> u32 {
        u32::try_from(self.payload.len()).unwrap_or(u32::MAX)
    }

    /// The sequence number of the first octet of text: past the SYN, if there is one.
    #[must_use]
    pub(super) fn text_seq(&self) -> SeqNum {
        self.seq + u32::from(self.control.syn())
    }

    /// SEG.SEQ + SEG.LEN: the sequence number after the segment.
    #[must_use]
    pub fn end(&self) -> SeqNum {
        self.seq + self.seg_len()
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<SEQ={}><ACK={}><CTL={}> len={} wnd={}",
            self.seq,
            self.ack,
            self.control,
            self.payload.len(),
            self.wnd
        )
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} {}->{} {:?}", self.src_port, self.dst_port, self.options)
    }
}

/// Why octets are not a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SegmentError {
    /// There are fewer octets than the header says, or than any header has.
    Truncated {
        /// How many there are.
        len: usize,
    },
    /// The data offset says that the header is shorter than a header without options.
    DataOffset {
        /// The length it says, in octets.
        header_len: usize,
    },
    /// The checksum does not match.
    Checksum,
}

impl fmt::Display for SegmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { len } => write!(f, "segment truncated after {len} octets"),
            Self::DataOffset { header_len } => write!(f, "data offset of {header_len} octets is below {HEADER_LEN}"),
            Self::Checksum => write!(f, "wrong checksum"),
        }
    }
}

impl core::error::Error for SegmentError {}

/// The Internet checksum of a segment and its pseudo-header (RFC 9293 §3.1): zero for one that is intact.
fn checksum(bytes: &[u8], src: Ipv4Addr, dst: Ipv4Addr) -> u16 {
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let mut sum = u64::from(src.to_bits()) + u64::from(dst.to_bits()) + PROTOCOL_TCP + length;
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        sum += u64::from(u32::from_be_bytes(*word));
    }
    let mut last = [0; 4];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    sum += u64::from(u32::from_be_bytes(last));
    while sum > u64::from(u16::MAX) {
        sum = (sum >> 16) + (sum & u64::from(u16::MAX));
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const B: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

    fn sample() -> Segment {
        Segment {
            src_port: 40000,
            dst_port: 555,
            seq: SeqNum::new(0xffff_fff0),
            ack: SeqNum::new(7),
            control: Control::ACK | Control::PSH,
            wnd: 0xffff,
            up: 3,
            options: Options::default(),
            payload: b"hello".to_vec(),
            carriage: Carriage::default(),
        }
    }

    fn block(n: u32) -> Block {
        Block { left: SeqNum::new(u32::MAX - 7) + 20 * n, right: SeqNum::new(3) + 20 * n }
    }

    /// The segment with these octets as its options, padded with `pad`.
    fn with_options(options: &[u8]) -> Vec<u8> {
        let mut bytes = sample().emit(A, B);
        let words = options.len().div_ceil(4);
        bytes.splice(20..20, options.iter().copied().chain(vec![0; words * 4 - options.len()]));
        bytes[12] = u8::try_from(5 + words).unwrap() << 4;
        bytes[16..18].copy_from_slice(&[0, 0]);
        let sum = checksum(&bytes, A, B);
        bytes[16..18].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    #[test]
    fn what_is_emitted_parses_back() {
        for mss in [None, Some(1460)] {
            for window_scale in [None, Some(7)] {
                for blocks in 0..=4 {
                    let sack: Blocks = (0..blocks).map(block).collect();
                    let timestamp = (blocks > 1).then_some(Timestamp { tsval: u32::MAX, tsecr: 0x0102_0304 });
                    let options = Options { mss, window_scale, sack_permitted: blocks == 2, timestamp, sack };
                    let mut segment = Segment { options, ..sample() };
                    let parsed = Segment::parse(&segment.emit(A, B), A, B).unwrap();
                    segment.options.sack = sack.first(segment.options.sack_room());
                    assert_eq!(parsed, segment);
                }
            }
        }
    }

    #[test]
    fn timestamps_take_twelve_octets_and_stand_on_word_boundaries() {
        let timestamp = Some(Timestamp { tsval: 0x0102_0304, tsecr: 0x0506_0708 });
        let bytes = Segment { options: Options { timestamp, ..Options::default() }, ..sample() }.emit(A, B);
        assert_eq!(bytes[12] >> 4, 8);
        assert_eq!(bytes[20..32], [1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn timestamps_one_octet_too_short_or_too_long_are_ignored() {
        for (length, octets) in [(9, 7), (11, 9)] {
            let mut option = vec![8, length];
            option.extend(vec![1; octets]);
            let parsed = Segment::parse(&with_options(&option), A, B).unwrap();
            assert_eq!(parsed.options, Options::default());
        }
    }

    #[test]
    fn checksum_agrees_with_that_of_smoltcp() {
        for length in 0..9_u8 {
            let segment = Segment { payload: (0..length).map(|octet| 0xf0 | octet).collect(), ..sample() };
            let bytes = segment.emit(A, B);
            let packet = smoltcp::wire::TcpPacket::new_checked(&bytes[..]).unwrap();
            assert!(packet.verify_checksum(&A.into(), &B.into()));
        }
    }

    #[test]
    fn every_single_flipped_bit_is_noticed() {
        let bytes = sample().emit(A, B);
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Segment::parse(&damaged, A, B).is_err(), "bit {bit}");
        }
        assert_eq!(Segment::parse(&bytes, A, Ipv4Addr::new(192, 0, 2, 3)), Err(SegmentError::Checksum));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = with_options(&[2, 4, 5, 0xb4]);
        for len in 0..bytes.len() {
            assert!(Segment::parse(&bytes[..len], A, B).is_err(), "length {len}");
        }
    }

    #[test]
    fn data_offset_below_five_is_an_error() {
        let mut bytes = sample().emit(A, B);
        bytes[12] = 4 << 4;
        assert_eq!(Segment::parse(&bytes, A, B), Err(SegmentError::DataOffset { header_len: 16 }));
    }

    #[test]
    fn options_need_no_word_boundary_and_unknown_ones_are_skipped() {
        let parsed = Segment::parse(&with_options(&[1, 254, 5, 9, 9, 9, 2, 4, 2, 0, 1, 3, 3, 9]), A, B).unwrap();
        assert_eq!(parsed.options, Options { mss: Some(512), window_scale: Some(9), ..Options::default() });
        assert_eq!(parsed.payload, b"hello");
    }

    #[test]
    fn nothing_is_read_past_the_end_of_the_option_list() {
        let parsed = Segment::parse(&with_options(&[0, 2, 4, 2, 0]), A, B).unwrap();
        assert_eq!(parsed.options, Options::default());
    }

    #[test]
    fn must_7_illegal_option_lengths_end_the_options_only() {
        for illegal in [&[2, 0][..], &[2, 1], &[2, 5, 1, 1], &[254, 255], &[1, 1, 1, 254], &[3, 9, 1]] {
            let parsed = Segment::parse(&with_options(illegal), A, B).unwrap();
            assert_eq!(parsed.options, Options::default(), "{illegal:?}");
            assert_eq!(parsed.payload, b"hello");
        }
    }

    #[test]
    fn known_options_of_another_length_are_ignored() {
        let parsed = Segment::parse(&with_options(&[2, 3, 1, 3, 4, 1, 1]), A, B).unwrap();
        assert_eq!(parsed.options, Options::default());
    }

    #[test]
    fn sack_blocks_take_the_room_that_other_options_leave() {
        let mut options = Options { sack: (0..4).map(block).collect(), ..Options::default() };
        assert_eq!((options.sack_room(), options.encoded_len()), (4, 36));
        options.mss = Some(1460);
        assert_eq!((options.sack_room(), options.encoded_len()), (4, 40));
        options.window_scale = Some(7);
        options.sack_permitted = true;
        assert_eq!((options.sack_room(), options.encoded_len()), (3, 40));
    }

    #[test]
    fn sack_option_of_broken_blocks_is_ignored() {
        for broken in [&[5, 2][..], &[5, 9, 0, 0, 0, 0, 0, 0, 0], &[5, 11, 0, 0, 0, 1, 0, 0, 0, 2, 0], &[4, 3, 0]] {
            let parsed = Segment::parse(&with_options(broken), A, B).unwrap();
            assert_eq!(parsed.options, Options::default(), "{broken:?}");
        }
        let parsed = Segment::parse(&with_options(&[4, 2, 5, 10, 0, 0, 0, 9, 0, 0, 0, 5]), A, B).unwrap();
        let block = Block { left: SeqNum::new(9), right: SeqNum::new(5) };
        assert_eq!(parsed.options.sack.as_slice(), [block], "what it means is for the scoreboard to say");
        assert!(parsed.options.sack_permitted);
    }

    #[test]
    fn syn_and_fin_count_in_the_length() {
        let segment = Segment { control: Control::SYN | Control::FIN, ..sample() };
        assert_eq!(segment.seg_len(), 7);
        assert_eq!(segment.text_seq(), segment.seq + 1);
        assert_eq!(segment.end(), segment.seq + 7);
    }
}
