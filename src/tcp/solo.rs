//! A connection whose peer is made by hand, in virtual time, for the tests of mechanisms.

use core::net::SocketAddrV4;

use smoltcp::time::{Duration, Instant};

use super::config::Config;
use super::established::{Established, EstablishedVerdict};
use super::listen::{LocalAddr, TcpClosed};
use super::segment::{Control, Options, Segment};
use super::seq::SeqNum;
use super::syn_received::{SynReceived, SynReceivedVerdict};
use super::verdict::Reaction;
use super::{Poll, Tcp};
use crate::smol_channel::Syn;

/// ISS: the first octets of text lie around the wrap.
pub(super) const ISS: SeqNum = SeqNum::new(u32::MAX - 500);
/// IRS.
pub(super) const IRS: SeqNum = SeqNum::new(u32::MAX - 300);
/// When the handshake takes place.
pub(super) const START: Instant = Instant::from_micros_const(1_000_000_000);
/// The window that the peer announces.
pub(super) const PEER_WND: u16 = 50_000;

/// So many seconds after the handshake.
pub(super) fn at(seconds: u64) -> Instant {
    START + Duration::from_secs(seconds)
}

/// A segment of the peer: `seq` octets past its SYN, acknowledging `acked` octets of ours.
pub(super) fn from_peer(control: Control, seq: u32, acked: u32, text: &[u8]) -> Segment {
    Segment {
        src_port: 40_000,
        dst_port: 555,
        seq: IRS + 1 + seq,
        ack: ISS + 1 + acked,
        control,
        wnd: PEER_WND,
        payload: text.to_vec(),
        ..Segment::default()
    }
}

/// The peer's SYN, with these further control bits.
pub(super) fn syn(control: Control) -> Syn {
    let options = Options { mss: Some(1460), ..Options::default() };
    Syn::mark(Segment { ack: SeqNum::default(), seq: IRS, options, ..from_peer(control, 0, 0, b"") })
}

/// A connection that has answered this SYN, and its SYN,ACK.
pub(super) fn syn_received(config: Config, syn: Syn) -> (Tcp<SynReceived>, Segment) {
    let local = LocalAddr { addr: core::net::Ipv4Addr::new(192, 0, 2, 2), port: 555 };
    let remote = SocketAddrV4::new(core::net::Ipv4Addr::new(192, 0, 2, 1), 40_000);
    let (tcp, syn_ack) = TcpClosed::new(config).open(local).recv_syn(remote, syn, ISS, START);
    (tcp, syn_ack.into())
}

/// A connection in ESTABLISHED.
pub(super) fn established(config: Config) -> Tcp<Established> {
    let (tcp, _) = syn_received(config, syn(Control::SYN));
    complete(tcp, from_peer(Control::ACK, 0, 0, b""))
}

/// Completes the handshake with this segment.
pub(super) fn complete(tcp: Tcp<SynReceived>, segment: Segment) -> Tcp<Established> {
    match tcp.judge(segment, START) {
        Reaction::Acceptable(SynReceivedVerdict::Acked(acked)) => tcp.established(acked, START),
        other => panic!("{other:?}"),
    }
}

/// Lets the connection take a segment that changes no state.
pub(super) fn take(tcp: &mut Tcp<Established>, segment: Segment, now: Instant) {
    match tcp.judge(segment, now) {
        Reaction::Acceptable(EstablishedVerdict::Acceptable(segment)) => tcp.accept(segment, now),
        other => panic!("{other:?}"),
    }
}

/// All segments that are due now.
pub(super) fn due(tcp: &mut Tcp<Established>, now: Instant) -> Vec<Segment> {
    let mut segments = Vec::new();
    while let Poll::Now(super::Due::Segment) = tcp.poll(now) {
        segments.push(tcp.transmit(now).into());
        assert!(segments.len() < 1_000, "no end of {:?}", segments.last());
    }
    segments
}

/// Runs the connection without a peer up to `end`: when it sent what.
pub(super) fn alone(tcp: &mut Tcp<Established>, from: Instant, end: Instant) -> Vec<(Instant, Segment)> {
    let (mut now, mut sent) = (from, Vec::new());
    loop {
        sent.extend(due(tcp, now).into_iter().map(|segment| (now, segment)));
        match tcp.poll(now) {
            Poll::At(next) if next <= end => now = next.max(now),
            Poll::At(_) | Poll::Never | Poll::Now(_) => return sent,
        }
    }
}
