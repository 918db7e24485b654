//! CLOSED and LISTEN (RFC 9293 §3.10.7.1, §3.10.7.2).

use core::convert::Infallible;
use core::fmt;
use core::net::{Ipv4Addr, SocketAddrV4};

use smoltcp::time::Instant;

use super::Tcp;
use super::config::{Config, Sack, Timestamps};
use super::cookie::{Admission, Agreed, Baker, Cookie};
use super::ecn::Notification;
use super::established::Established;
use super::segment::{Control, Options, Segment};
use super::seq::SeqNum;
use super::syn_received::{Origin, SynReceived};
use super::syn_sent::SynSent;
use super::tcb::{Tcb, refusal_of};
use super::timestamps::Stamping;
use super::verdict::{AcksSyn, Answer, Reaction};
use super::window::{MAX_SHIFT, Scale};
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
        let scale = self.config.rcv_scale();
        let options = Options {
            mss: Some(self.config.rcv_mss()),
            window_scale: Some(scale.shift),
            // RFC 2018 §2.
            sack_permitted: self.config.sack == Sack::On,
            ..Options::default()
        };
        let tcb = Tcb::new(local, remote, self.config, iss, now);
        let mut tcp = Tcp::new(tcb, SynSent::new(options, now));
        let syn = tcp.syn(now);
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

    /// Decides what a segment is (RFC 9293 §3.10.7.2).
    pub fn judge(&self, segment: Segment) -> Reaction<Syn, Infallible> {
        if segment.control.rst() {
            // First: a RST cannot be valid here.
            return Reaction::NotAcceptable(segment, Answer::Nothing);
        }
        if segment.control.ack() {
            // Second: any acknowledgment is bad here.
            return Reaction::NotAcceptable(segment, Answer::Rst);
        }
        // Third, and fourth for anything else. Deviation: a SYN with FIN opens nothing, where RFC 9293 §3.10.7.2 would take the SYN; no
        // peer means it. It notices that no SYN,ACK comes.
        match Syn::try_from(segment) {
            Ok(syn) => Reaction::Acceptable(syn),
            Err(other) => Reaction::NotAcceptable(other.segment, Answer::Nothing),
        }
    }

    /// The same where the layer below may have no place for another half-open connection.
    pub fn admit(
        &self,
        remote: SocketAddrV4,
        segment: Segment,
        admission: Admission,
    ) -> Reaction<ListenVerdict, Infallible> {
        if let Admission::Returns(cookie) = admission {
            return Reaction::Acceptable(ListenVerdict::Returns(ReturnsCookie { segment, cookie }));
        }
        match (self.judge(segment), admission) {
            (Reaction::Acceptable(syn), Admission::Crowded(baker)) => {
                Reaction::Acceptable(ListenVerdict::Crowded(Crowded { syn, remote, baker }))
            }
            (Reaction::Acceptable(syn), Admission::Ordinary | Admission::Returns(_)) => {
                Reaction::Acceptable(ListenVerdict::Syn(syn))
            }
            (Reaction::NotAcceptable(segment, answer), _) => Reaction::NotAcceptable(segment, answer),
        }
    }

    /// The SYN,ACK with a cookie for its ISS; LISTEN remembers nothing of it (RFC 4987 §3.6).
    pub fn answer_by_cookie(&self, Crowded { syn, remote, baker }: &Crowded, now: Instant) -> SynAck {
        let syn = syn.segment();
        let agreed = self.agreed(syn);
        let mut syn_ack = Segment {
            src_port: self.local.port(),
            dst_port: syn.src_port,
            seq: baker.bake(self.local, *remote, syn, agreed),
            // Text that came with the SYN is not kept.
            ack: syn.seq + 1,
            wnd: u16::try_from(self.config.rcv_buff_bytes).unwrap_or(u16::MAX),
            ..Segment::default()
        };
        syn_ack.options.mss = Some(self.config.rcv_mss());
        if let (Some(agreed), Some(stamp)) = (agreed, syn.options.timestamp) {
            let stamps = Stamping::new(&self.config, self.local, *remote, now);
            syn_ack.options.timestamp = Some(stamps.for_cookie(stamp, agreed, now));
            syn_ack.options.window_scale = agreed.shifts.map(|(_, rcv)| rcv);
            syn_ack.options.sack_permitted = agreed.sack == Sack::On;
            if agreed.ecn.ece() {
                syn_ack.control = Control::ECE;
            }
        }
        SynAck::mark(syn_ack)
    }

    /// What a cookie can agree on with this SYN: with timestamps all that its options ask for and we want, without them nothing.
    fn agreed(&self, syn: &Segment) -> Option<Agreed> {
        let config = &self.config;
        if config.timestamps == Timestamps::Off || syn.options.timestamp.is_none() {
            return None;
        }
        let mut ecn = Notification::new(config.ecn);
        ecn.take_syn(syn.control);
        let is_agreed = ecn.of_syn_ack().ece();
        Some(Agreed {
            shifts: syn.options.window_scale.map(|snd| (snd.min(MAX_SHIFT), config.rcv_scale().shift)),
            sack: config.sack_with(&syn.options),
            ecn: if is_agreed { Control::ECE | Control::CWR } else { Control::NONE },
        })
    }

    /// To ESTABLISHED, by the acknowledgement of a cookie: as if the SYN had been remembered.
    pub fn recv_cookie(self, remote: SocketAddrV4, returns: ReturnsCookie, now: Instant) -> Tcp<Established> {
        let ReturnsCookie { mut segment, cookie } = returns;
        // What the SYN,ACK named counts, should this session have another share of the memory than the one that sent it.
        let scale = cookie
            .rcv_shift()
            .map_or(self.config.rcv_scale(), |shift| Scale::with_shift(self.config.rcv_buff_bytes, shift));
        let (mut tcp, _syn_ack) = self.received(remote, cookie.syn(&segment), cookie.iss(), scale, now);
        // The SYN,ACK went out at an unknown time: no round trip is measured by it.
        tcp.tcb.snd.syn_sent_again(now);
        // A FIN comes again; this transition is that of an ACK.
        segment.control = segment.control.without(Control::FIN);
        let judged = tcp.tcb.trimmed(segment);
        tcp.established(AcksSyn(judged), now)
    }

    /// The RST for a segment with an acknowledgement (RFC 9293 §3.10.7.2, second).
    pub fn refuse(&self, segment: &Segment) -> Rst {
        refusal_of(segment)
    }

    /// To SYN-RECEIVED (RFC 9293 §3.10.7.2, third): <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>.
    pub fn recv_syn(self, remote: SocketAddrV4, syn: Syn, iss: SeqNum, now: Instant) -> (Tcp<SynReceived>, SynAck) {
        let scale = self.config.rcv_scale();
        self.received(remote, syn, iss, scale, now)
    }

    /// The same with this scale of our window.
    fn received(
        self,
        remote: SocketAddrV4,
        syn: Syn,
        iss: SeqNum,
        scale: Scale,
        now: Instant,
    ) -> (Tcp<SynReceived>, SynAck) {
        let syn = Segment::from(syn);
        let mut tcb = Tcb::new(self.local, remote, self.config, iss, now);
        let options = tcb.take_syn_with(&syn, scale, now);
        // Text is queued for processing later.
        tcb.rcv.hold_early_text(&syn.payload);
        let mut tcp = Tcp::new(tcb, SynReceived::new(Origin::Passive, options));
        let syn_ack = tcp.syn_ack(now);
        (tcp, syn_ack)
    }
}

/// What a segment can be in LISTEN.
#[derive(Debug)]
#[must_use]
pub enum ListenVerdict {
    /// A SYN.
    Syn(Syn),
    /// A SYN, and no place for its connection.
    Crowded(Crowded),
    /// The acknowledgement of a cookie.
    Returns(ReturnsCookie),
}

/// A SYN that has no place: it is answered by a cookie.
#[derive(Debug)]
#[must_use]
pub struct Crowded {
    /// The SYN.
    syn: Syn,
    /// Who sent it.
    remote: SocketAddrV4,
    /// Who bakes the cookie.
    baker: Baker,
}

/// A segment that acknowledges a cookie of ours: proof that its sender has got our SYN,ACK.
#[derive(Debug)]
#[must_use]
pub struct ReturnsCookie {
    /// The segment.
    segment: Segment,
    /// What the cookie says.
    cookie: Cookie,
}

impl fmt::Display for TcpListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LISTEN")
    }
}

#[cfg(test)]
mod tests {
    use super::super::cookie::CookieSecret;
    use super::super::segment::Timestamp;
    use super::super::testing::{ENDS, Ends, Kind, LOCAL, NOW, REMOTE, kind, segment};
    use super::*;

    const SEQ: SeqNum = SeqNum::new(u32::MAX - 1);
    const ACK: SeqNum = SeqNum::new(77);

    #[test]
    fn closed_ignores_a_rst() {
        assert_eq!(TcpClosed::answer(&segment(SEQ, ACK, Control::RST)), None);
        assert_eq!(TcpClosed::answer(&segment(SEQ, ACK, Control::RST | Control::ACK)), None);
    }

    #[test]
    fn closed_answers_an_ack_with_its_own_number() {
        let rst = TcpClosed::answer(&segment(SEQ, ACK, Control::ACK | Control::SYN)).unwrap();
        assert_eq!((rst.seq, rst.control), (ACK, Control::RST));
        assert_eq!((rst.src_port, rst.dst_port), (LOCAL.port(), REMOTE.port()));
    }

    #[test]
    fn closed_answers_all_else_with_an_acknowledgement_of_its_length() {
        let fin = Segment { payload: vec![1; 3], ..segment(SEQ, ACK, Control::SYN | Control::FIN) };
        let rst = TcpClosed::answer(&fin).unwrap();
        assert_eq!((rst.seq, rst.ack, rst.control), (SeqNum::new(0), SEQ + 5, Control::RST | Control::ACK));
    }

    #[test]
    fn listen_ignores_a_rst_refuses_an_ack_and_drops_what_is_no_syn() {
        let tcp = Ends::listen(Config::default());
        let judge = |control| kind(&tcp.judge(segment(SEQ, ACK, control)));
        assert_eq!(judge(Control::RST), Kind::Silence);
        assert_eq!(judge(Control::RST | Control::ACK), Kind::Silence);
        assert_eq!(judge(Control::RST | Control::SYN), Kind::Silence);
        assert_eq!(judge(Control::ACK), Kind::Rst);
        assert_eq!(judge(Control::ACK | Control::SYN), Kind::Rst);
        assert_eq!(judge(Control::ACK | Control::FIN), Kind::Rst);
        assert_eq!(judge(Control::NONE), Kind::Silence);
        assert_eq!(judge(Control::FIN), Kind::Silence);
        assert_eq!(judge(Control::SYN | Control::FIN), Kind::Silence);
        assert_eq!(judge(Control::SYN), Kind::Acceptable);
        assert_eq!(judge(Control::SYN | Control::PSH | Control::ECE | Control::CWR), Kind::Acceptable);
        let rst = Segment::from(tcp.refuse(&segment(SEQ, ACK, Control::ACK)));
        assert_eq!((rst.seq, rst.control), (ACK, Control::RST));
    }

    #[test]
    fn syn_is_answered_with_syn_ack_and_mss() {
        let (tcp, syn_ack) = Ends::listen(Config::default()).recv_syn(REMOTE, ENDS.syn(), ENDS.iss, NOW);
        let syn_ack = Segment::from(syn_ack);
        assert_eq!((syn_ack.seq, syn_ack.ack), (ENDS.iss, ENDS.irs + 1));
        assert_eq!(syn_ack.options, Options { mss: Some(1460), ..Options::default() });
        assert_eq!(syn_ack.wnd, u16::MAX);
        assert_eq!((tcp.status().snd_una, tcp.status().snd_nxt), (ENDS.iss, ENDS.iss + 1));
        assert_eq!((tcp.local(), tcp.remote()), (LOCAL, REMOTE));
    }

    /// The SYN,ACK to a SYN with these options.
    fn answered(options: Options) -> (Tcp<SynReceived>, Segment) {
        let syn = Segment { options, ..ENDS.syn().into() };
        let (tcp, syn_ack) =
            Ends::listen(Config::default()).recv_syn(REMOTE, Syn::try_from(syn).unwrap(), ENDS.iss, NOW);
        (tcp, syn_ack.into())
    }

    #[test]
    fn window_scale_is_only_answered_and_never_applied_to_the_syn_ack() {
        let (_, syn_ack) = answered(Options { window_scale: Some(0), ..Options::default() });
        // For 16 MiB, which the buffer may grow to.
        assert_eq!((syn_ack.options.window_scale, syn_ack.wnd), (Some(9), u16::MAX));
        assert_eq!(answered(Options::default()).1.options.window_scale, None);
    }

    #[test]
    fn window_scale_above_14_is_used_as_14() {
        for (shift, used) in [(1, 1), (14, 14), (15, 14), (255, 14)] {
            let (tcp, _) = answered(Options { window_scale: Some(shift), ..Options::default() });
            let Reaction::Acceptable(super::super::SynReceivedVerdict::Acked(proof)) = tcp.judge(ENDS.ack(), NOW)
            else {
                panic!("the handshake's ACK is acceptable");
            };
            assert_eq!(tcp.established(proof, NOW).status().snd_wnd, 65_535 << used);
        }
    }

    #[test]
    fn mss_is_that_of_the_peer_within_reason() {
        for (mss, used) in [(None, 536), (Some(0), 536), (Some(1), 48), (Some(500), 500), (Some(9000), 1460)] {
            assert_eq!(answered(Options { mss, ..Options::default() }).0.status().mss, used);
        }
    }

    const SECRET: CookieSecret = CookieSecret([9; 16]);

    /// The SYN,ACK with a cookie, for a SYN with some text.
    fn by_cookie(tcp: &TcpListen) -> Segment {
        let syn = Segment { payload: b"early".to_vec(), ..ENDS.syn().into() };
        match tcp.admit(REMOTE, syn, Admission::Crowded(SECRET.baker(NOW))) {
            Reaction::Acceptable(ListenVerdict::Crowded(syn)) => tcp.answer_by_cookie(&syn, NOW).into(),
            other => panic!("{other:?}"),
        }
    }

    /// The connection that this segment begins.
    fn returned(tcp: TcpListen, segment: Segment) -> Tcp<Established> {
        let cookie = SECRET.read(LOCAL, REMOTE, &segment, NOW).unwrap();
        match tcp.admit(REMOTE, segment, Admission::Returns(cookie)) {
            Reaction::Acceptable(ListenVerdict::Returns(returns)) => tcp.recv_cookie(REMOTE, returns, NOW),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn crowded_syn_is_answered_without_what_would_have_to_be_remembered() {
        let syn_ack = by_cookie(&Ends::listen(Config::default()));
        assert_eq!((syn_ack.control, syn_ack.ack), (Control::SYN | Control::ACK, ENDS.irs + 1));
        assert_eq!(syn_ack.options, Options { mss: Some(1460), ..Options::default() });
        assert_eq!((syn_ack.src_port, syn_ack.dst_port), (LOCAL.port(), REMOTE.port()));
    }

    #[test]
    fn cookie_leads_to_established_with_what_the_segment_brings() {
        let tcp = Ends::listen(Config::default());
        let iss = by_cookie(&tcp).seq;
        let segment = Segment { payload: b"early".to_vec(), ..segment(ENDS.irs + 1, iss + 1, Control::ACK) };
        let mut tcp = returned(tcp, segment);
        let status = tcp.status();
        assert_eq!((status.snd_una, status.snd_nxt, status.rcv_nxt), (iss + 1, iss + 1, ENDS.irs + 6));
        assert_eq!((status.mss, status.snd_wnd), (1460, 65_535));
        assert_eq!(status.rto, Config::default().initial_rto, "no round trip was measured");
        assert_eq!(tcp.deliver(100), b"early");
    }

    /// A cookie's SYN,ACK for a SYN with these options that may ask for ECN, and the connection that its ACK begins with `listener`.
    fn agreed_by_cookie(options: &Options, ecn: Control, listener: Config) -> (Segment, Tcp<Established>) {
        let syn = Segment { options: options.clone(), ..segment(ENDS.irs, SeqNum::new(0), Control::SYN | ecn) };
        let tcp = Ends::listen(Config::default());
        let admission = Admission::Crowded(SECRET.baker(NOW));
        let Reaction::Acceptable(ListenVerdict::Crowded(syn)) = tcp.admit(REMOTE, syn, admission) else {
            panic!("a SYN");
        };
        let syn_ack = Segment::from(tcp.answer_by_cookie(&syn, NOW));
        let mut ack = segment(ENDS.irs + 1, syn_ack.seq + 1, Control::ACK);
        ack.options.timestamp = syn_ack.options.timestamp.map(|stamp| Timestamp { tsval: 78, tsecr: stamp.tsval });
        (syn_ack, returned(Ends::listen(listener), ack))
    }

    #[test]
    fn cookie_agrees_on_all_options_with_who_has_timestamps() {
        let stamp = Some(Timestamp { tsval: 77, tsecr: 0 });
        let all = Options {
            mss: Some(1460),
            window_scale: Some(7),
            sack_permitted: true,
            timestamp: stamp,
            ..Options::default()
        };
        // The session that the ACK comes to may have another limit to its buffers than the one that sent the SYN,ACK.
        let smaller = Config { rcv_buff_max_bytes: 1 << 18, ..Config::default() };
        for listener in [Config::default(), smaller] {
            let (syn_ack, mut tcp) = agreed_by_cookie(&all, Control::ECE | Control::CWR, listener);
            assert_eq!(syn_ack.control, Control::SYN | Control::ACK | Control::ECE);
            assert_eq!((syn_ack.options.window_scale, syn_ack.options.sack_permitted), (Some(9), true));
            assert_eq!(syn_ack.options.timestamp.unwrap().tsecr, 77);
            assert_eq!(tcp.status().snd_wnd, 65_535 << 7);
            assert_eq!(
                tcp.status().rto,
                Config::default().initial_rto,
                "a TSval that tells something else is no clock"
            );
            let stamp = |segment: Segment| Segment {
                options: Options { timestamp: Some(Timestamp { tsval: 79, tsecr: 0 }), ..Options::default() },
                ..segment
            };
            tcp.arrives(
                stamp(Segment { payload: b"gap".to_vec(), ..segment(ENDS.irs + 9, syn_ack.seq + 1, Control::ACK) }),
                NOW,
            );
            let ack = Segment::from(tcp.transmit(NOW));
            assert_eq!(ack.options.sack.len(), 1);
            assert_eq!(ack.options.timestamp.unwrap().tsecr, 78);
            assert_eq!(usize::from(ack.wnd), Config::default().rcv_buff_bytes >> 9);
        }
    }

    #[test]
    fn cookie_agrees_on_nothing_with_who_has_no_timestamps() {
        let some = Options { mss: Some(1460), window_scale: Some(7), sack_permitted: true, ..Options::default() };
        let (syn_ack, tcp) = agreed_by_cookie(&some, Control::ECE | Control::CWR, Config::default());
        assert_eq!(syn_ack.control, Control::SYN | Control::ACK);
        assert_eq!(syn_ack.options, Options { mss: Some(1460), ..Options::default() });
        assert_eq!(tcp.status().snd_wnd, 65_535);
    }

    #[test]
    fn fin_with_a_cookie_waits_for_its_repetition() {
        let tcp = Ends::listen(Config::default());
        let iss = by_cookie(&tcp).seq;
        let tcp = returned(tcp, segment(ENDS.irs + 1, iss + 1, Control::ACK | Control::FIN));
        assert_eq!(tcp.status().rcv_nxt, ENDS.irs + 1);
    }

    #[test]
    fn crowded_changes_nothing_for_what_is_no_syn() {
        let tcp = Ends::listen(Config::default());
        let admit = |control| tcp.admit(REMOTE, segment(SEQ, ACK, control), Admission::Crowded(SECRET.baker(NOW)));
        assert!(matches!(admit(Control::RST), Reaction::NotAcceptable(_, Answer::Nothing)));
        assert!(matches!(admit(Control::ACK), Reaction::NotAcceptable(_, Answer::Rst)));
    }

    #[test]
    fn states_print_their_names() {
        assert_eq!(TcpClosed::default().to_string(), "CLOSED");
        assert_eq!(Ends::listen(Config::default()).to_string(), "LISTEN");
        assert_eq!(ENDS.syn_sent(Config::default()).to_string(), "SYN-SENT");
        assert_eq!(ENDS.syn_received(Config::default()).to_string(), "SYN-RECEIVED");
        let names = ENDS.synchronized().map(|tcp| tcp.status().state);
        let expected = ["ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT"];
        assert_eq!(names, expected);
    }
}
