//! CLOSED and LISTEN (RFC 9293 §3.10.7.1, §3.10.7.2).

use core::convert::Infallible;
use core::fmt;
use core::net::{Ipv4Addr, SocketAddrV4};

use smoltcp::time::Instant;

use super::Tcp;
use super::config::Config;
use super::segment::{Control, Options, Segment};
use super::seq::SeqNum;
use super::syn_received::{Origin, SynReceived};
use super::syn_sent::SynSent;
use super::tcb::{Tcb, refusal_of};
use super::verdict::{Answer, Reaction};
use super::window::Scale;
use crate::smol_channel::{Rst, Syn, SynAck};

/// A local socket that is listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalAddr {
    /// The address.
    pub addr: Ipv4Addr,
    /// The port.
    pub port: u16,
}

/// CLOSED: no connection.
#[derive(Clone, Debug, Default)]
pub struct TcpClosed {
    /// The parameters of the connection to be.
    config: Config,
}

impl TcpClosed {
    /// A connection with these parameters is to be opened.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self { config }
    }

    /// Passive OPEN (RFC 9293 §3.10.1).
    #[must_use]
    pub fn open(self, local: LocalAddr) -> TcpListen {
        TcpListen { local: SocketAddrV4::new(local.addr, local.port), config: self.config }
    }

    /// Active OPEN (RFC 9293 §3.10.1): <SEQ=ISS><CTL=SYN>.
    pub fn connect(self, local: SocketAddrV4, remote: SocketAddrV4, iss: SeqNum, now: Instant) -> (Tcp<SynSent>, Syn) {
        let scale = Scale::of(self.config.rcv_buff_bytes);
        let options = Options { mss: Some(self.config.rcv_mss()), window_scale: Some(scale.shift) };
        let tcb = Tcb::new(local, remote, self.config, iss, now);
        let tcp = Tcp::new(tcb, SynSent { options });
        let syn = tcp.syn();
        (tcp, syn)
    }

    /// The answer to a segment that belongs to no connection (RFC 9293 §3.10.7.1).
    #[must_use]
    pub fn answer(segment: &Segment) -> Option<Segment> {
        if segment.control.rst() {
            return None;
        }
        if segment.control.ack() {
            return Some(refusal_of(segment).into());
        }
        Some(Segment {
            src_port: segment.dst_port,
            dst_port: segment.src_port,
            ack: segment.end(),
            control: Control::RST | Control::ACK,
            ..Segment::default()
        })
    }
}

impl fmt::Display for TcpClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CLOSED")
    }
}

/// LISTEN: waiting for a SYN.
#[derive(Clone, Debug)]
pub struct TcpListen {
    /// Our socket.
    local: SocketAddrV4,
    /// The parameters of the connection to be.
    config: Config,
}

impl TcpListen {
    /// The socket listened on again (RFC 9293 §3.10.7.4: back to LISTEN).
    pub(super) const fn again(local: SocketAddrV4, config: Config) -> Self {
        Self { local, config }
    }

    /// The socket that is listened on.
    #[must_use]
    pub const fn local(&self) -> SocketAddrV4 {
        self.local
    }

    /// Decides what a segment from `remote` is (RFC 9293 §3.10.7.2).
    pub fn judge(&self, _remote: SocketAddrV4, segment: Segment) -> Reaction<Syn, Infallible> {
        if segment.control.rst() {
            // First: a RST cannot be valid here.
            return Reaction::NotAcceptable(segment, Answer::Nothing);
        }
        if segment.control.ack() {
            // Second: any acknowledgment is bad here.
            return Reaction::NotAcceptable(segment, Answer::Rst);
        }
        // Third, and fourth for anything else. A SYN with FIN opens nothing that could be used: dropped like other nonsense.
        match Syn::try_from(segment) {
            Ok(syn) => Reaction::Acceptable(syn),
            Err(other) => Reaction::NotAcceptable(other.segment, Answer::Nothing),
        }
    }

    /// The RST for a segment with an acknowledgement (RFC 9293 §3.10.7.2, second).
    pub fn refuse(&self, segment: &Segment) -> Rst {
        refusal_of(segment)
    }

    /// To SYN-RECEIVED (RFC 9293 §3.10.7.2, third): <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>.
    pub fn recv_syn(self, remote: SocketAddrV4, syn: Syn, iss: SeqNum, now: Instant) -> (Tcp<SynReceived>, SynAck) {
        let syn = Segment::from(syn);
        let mut tcb = Tcb::new(self.local, remote, self.config, iss, now);
        let options = tcb.take_syn(&syn);
        // Text is queued for processing later.
        tcb.rcv.hold_early_text(&syn.payload);
        let mut tcp = Tcp::new(tcb, SynReceived::new(Origin::Passive, options));
        let syn_ack = tcp.syn_ack();
        (tcp, syn_ack)
    }
}

impl fmt::Display for TcpListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LISTEN")
    }
}
