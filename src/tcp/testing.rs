//! What the unit tests share: a connection in every state, and segments for it.

use core::net::{Ipv4Addr, SocketAddrV4};

use smoltcp::time::Instant;

use super::segment::{Control, Options};
use super::seq::SeqNum;
use super::{
    Answer, CloseWait, Closing, Config, Established, EstablishedVerdict, FinWait1, FinWait1Verdict, FinWait2,
    FinWait2Verdict, LastAck, LocalAddr, Reaction, Segment, Status, SynReceived, SynReceivedVerdict, SynSent, Tcp,
    TcpClosed, TcpListen, TimeWait,
};
use crate::smol_channel::Syn;

/// Our socket.
pub(super) const LOCAL: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 2), 555);
/// The peer's socket.
pub(super) const REMOTE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 40_000);
/// When the tests take place.
pub(super) const NOW: Instant = Instant::from_millis_const(1_000_000);
/// The window that the peer announces: no option, so no scaling, and so is ours.
pub(super) const WND: u32 = 65_535;

/// Both initial sequence numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) iss: SeqNum,
    pub(super) irs: SeqNum,
}

/// Numbers far from the wrap, just before it, just after it, and around the middle.
pub(super) const BASES: [Ends; 4] = [
    Ends { iss: SeqNum::new(1000), irs: SeqNum::new(5000) },
    Ends { iss: SeqNum::new(u32::MAX - 1), irs: SeqNum::new(u32::MAX) },
    Ends { iss: SeqNum::new(u32::MAX), irs: SeqNum::new(u32::MAX - 60_000) },
    Ends { iss: SeqNum::new(0x7fff_ffff), irs: SeqNum::new(0x8000_0000) },
];

/// The usual numbers.
pub(super) const ENDS: Ends = BASES[0];

/// A segment of the peer without text.
pub(super) fn segment(seq: SeqNum, ack: SeqNum, control: Control) -> Segment {
    Segment { src_port: REMOTE.port(), dst_port: LOCAL.port(), seq, ack, control, wnd: 65_535, ..Segment::default() }
}

/// A segment of the peer with text.
pub(super) fn text(seq: SeqNum, ack: SeqNum, payload: &[u8]) -> Segment {
    Segment { payload: payload.to_vec(), ..segment(seq, ack, Control::ACK) }
}

impl Ends {
    /// The peer's SYN.
    pub(super) fn syn(self) -> Syn {
        let syn = segment(self.irs, SeqNum::default(), Control::SYN);
        Syn::try_from(Segment { options: Options { mss: Some(1460), ..Options::default() }, ..syn }).unwrap()
    }

    /// The peer's segment with an acknowledgement of our SYN.
    pub(super) fn ack(self) -> Segment {
        segment(self.irs + 1, self.iss + 1, Control::ACK)
    }

    /// The peer's FIN, before it has seen ours.
    pub(super) fn fin(self) -> Segment {
        segment(self.irs + 1, self.iss + 1, Control::ACK | Control::FIN)
    }

    pub(super) fn listen(config: Config) -> TcpListen {
        TcpClosed::new(config).open(LocalAddr { addr: *LOCAL.ip(), port: LOCAL.port() })
    }

    pub(super) fn syn_sent(self, config: Config) -> Tcp<SynSent> {
        TcpClosed::new(config).connect(LOCAL, REMOTE, self.iss, NOW).0
    }

    pub(super) fn syn_received(self, config: Config) -> Tcp<SynReceived> {
        Self::listen(config).recv_syn(REMOTE, self.syn(), self.iss, NOW).0
    }

    pub(super) fn established(self, config: Config) -> Tcp<Established> {
        let tcp = self.syn_received(config);
        let Reaction::Acceptable(SynReceivedVerdict::Acked(proof)) = tcp.judge(self.ack(), NOW) else {
            panic!("the handshake's ACK is acceptable");
        };
        tcp.established(proof, NOW)
    }

    pub(super) fn close_wait(self, config: Config) -> Tcp<CloseWait> {
        let tcp = self.established(config);
        let Reaction::Acceptable(EstablishedVerdict::Finishes(proof)) = tcp.judge(self.fin(), NOW) else {
            panic!("the FIN is in order");
        };
        let mut tcp = tcp.finish(proof, NOW);
        let _ack = tcp.transmit(NOW);
        tcp
    }

    pub(super) fn fin_wait_1(self, config: Config) -> Tcp<FinWait1> {
        let mut tcp = self.established(config).close(NOW);
        let _fin = tcp.transmit_fin(NOW);
        tcp
    }

    pub(super) fn fin_wait_2(self, config: Config) -> Tcp<FinWait2> {
        let tcp = self.fin_wait_1(config);
        let ack = segment(self.irs + 1, self.iss + 2, Control::ACK);
        let Reaction::Acceptable(FinWait1Verdict::AcksFin(proof)) = tcp.judge(ack, NOW) else {
            panic!("our FIN is acknowledged");
        };
        tcp.fin_wait_2(proof, NOW)
    }

    pub(super) fn closing(self, config: Config) -> Tcp<Closing> {
        let tcp = self.fin_wait_1(config);
        let Reaction::Acceptable(FinWait1Verdict::Finishes(proof)) = tcp.judge(self.fin(), NOW) else {
            panic!("the FINs have crossed");
        };
        let mut tcp = tcp.closing(proof, NOW);
        let _ack = tcp.transmit(NOW);
        tcp
    }

    pub(super) fn last_ack(self, config: Config) -> Tcp<LastAck> {
        let mut tcp = self.close_wait(config).close(NOW);
        let _fin = tcp.transmit_fin(NOW);
        tcp
    }

    pub(super) fn time_wait(self, config: Config) -> Tcp<TimeWait> {
        let tcp = self.fin_wait_2(config);
        let fin = segment(self.irs + 1, self.iss + 2, Control::ACK | Control::FIN);
        let Reaction::Acceptable(FinWait2Verdict::Finishes(proof)) = tcp.judge(fin, NOW) else {
            panic!("the FIN is in order");
        };
        let mut tcp = tcp.time_wait(proof, NOW);
        let _ack = tcp.transmit(NOW);
        tcp
    }

    /// A connection in every synchronized state.
    pub(super) fn synchronized(self) -> [Box<dyn Judge>; 7] {
        let config = Config::default;
        [
            Box::new(self.established(config())),
            Box::new(self.fin_wait_1(config())),
            Box::new(self.fin_wait_2(config())),
            Box::new(self.close_wait(config())),
            Box::new(self.closing(config())),
            Box::new(self.last_ack(config())),
            Box::new(self.time_wait(config())),
        ]
    }
}

/// A verdict, reduced to what a peer sees of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Acceptable,
    Ack,
    Rst,
    Silence,
    Reset,
}

/// The kind of a verdict.
pub(super) fn kind<A, R>(reaction: &Reaction<A, R>) -> Kind {
    match reaction {
        Reaction::Acceptable(_) => Kind::Acceptable,
        Reaction::NotAcceptable(_, Answer::Ack) => Kind::Ack,
        Reaction::NotAcceptable(_, Answer::Rst) => Kind::Rst,
        Reaction::NotAcceptable(_, Answer::Nothing) => Kind::Silence,
        Reaction::Reset(_) => Kind::Reset,
    }
}

/// A connection in any state that judges.
pub(super) trait Judge {
    fn kind(&self, segment: Segment) -> Kind;
    fn status(&self) -> Status;
}

macro_rules! judges {
    ($($state:ident)*) => {$(
        impl Judge for Tcp<$state> {
            fn kind(&self, segment: Segment) -> Kind {
                kind(&self.judge(segment, NOW))
            }

            fn status(&self) -> Status {
                Tcp::status(self)
            }
        }
    )*};
}

judges!(SynSent SynReceived Established CloseWait FinWait1 FinWait2 Closing LastAck TimeWait);

impl Tcp<Established> {
    /// Lets a segment arrive that must change no state.
    pub(super) fn arrives(&mut self, segment: Segment, now: Instant) {
        let Reaction::Acceptable(EstablishedVerdict::Acceptable(proof)) = self.judge(segment, now) else {
            panic!("it is acceptable");
        };
        self.accept(proof, now);
    }
}
