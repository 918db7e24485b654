//! One end: a machine, its user, and what must hold for both at every step.

use std::net::SocketAddrV4;

use session_tcp::tcp::segment::Options;
use session_tcp::tcp::seq::SeqNum;
use session_tcp::tcp::{Config, Segment, Status};
use smoltcp::time::{Duration, Instant};

use crate::machine::{Machine, Sent};
use crate::random::Random;

/// When a user closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// Once it has sent and received everything.
    WhenDone,
    /// Once the peer has closed.
    AfterPeer,
    /// Once it has sent everything, whatever still comes.
    Rudely,
    /// It aborts at this time.
    Abort(Instant),
}

/// How a user behaves.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) seed: u64,
    /// Octets it sends, and octets that its peer sends.
    pub(crate) sends: usize,
    pub(crate) receives: usize,
    /// The most it sends or receives at once.
    pub(crate) piece: usize,
    /// The longest pause between two of its turns.
    pub(crate) pause_micros: u64,
    pub(crate) closing: Closing,
}

/// The octet at this place of the stream with this seed.
pub(crate) const fn octet(seed: u64, at: usize) -> u8 {
    let mut random = Random::new(seed ^ (at as u64).wrapping_mul(0x2545_f491_4f6c_dd1d));
    random.next().to_le_bytes()[0]
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) machine: Option<Machine>,
    pub(crate) user: User,
    pub(crate) sent_octets: usize,
    pub(crate) received_octets: usize,
    remote: SocketAddrV4,
    peer_seed: u64,
    config: Config,
    iss: SeqNum,
    random: Random,
    next_turn: Instant,
    /// The user has closed or aborted.
    pub(crate) closed: bool,
    /// The last word of the machine, for the next to be held against.
    last: Option<Status>,
    /// The largest MSS that it has sent with.
    largest_mss: u32,
    /// The furthest right edge that this end announced, and the shift of its window.
    announced: Option<SeqNum>,
    shift: u8,
}

impl Host {
    pub(crate) fn new(
        machine: Machine,
        remote: SocketAddrV4,
        user: User,
        peer_seed: u64,
        config: Config,
        iss: SeqNum,
        random: Random,
    ) -> Self {
        Self {
            machine: Some(machine),
            user,
            sent_octets: 0,
            received_octets: 0,
            remote,
            peer_seed,
            config,
            iss,
            random,
            next_turn: Instant::from_micros(0),
            closed: false,
            last: None,
            largest_mss: 0,
            announced: None,
            shift: 0,
        }
    }

    /// Its user, and what its seed has drawn of its configuration, in a line.
    pub(crate) fn plan(&self) -> String {
        let Config { nagle, congestion, sack, timestamps, pacing, mtu_bytes, min_rto, delayed_ack, .. } = self.config;
        let Config { rcv_buff_bytes, rcv_buff_max_bytes, snd_buff_bytes, snd_buff_max_bytes, .. } = self.config;
        format!(
            "{:?}; receive buffer {rcv_buff_bytes} to {rcv_buff_max_bytes}, send buffer {snd_buff_bytes} to {snd_buff_max_bytes}, \
             MTU {mtu_bytes}, {congestion:?}, Nagle {nagle:?}, SACK {sack:?}, timestamps {timestamps:?}, pacing {pacing:?}, \
             least RTO {min_rto}, ACKs delayed by {delayed_ack}, ISS {}",
            self.user, self.iss
        )
    }

    pub(crate) fn machine(&self) -> &Machine {
        self.machine.as_ref().expect("there is a machine between the steps")
    }

    /// Does something with the machine, and checks that the invariants survived it.
    fn with(&mut self, f: impl FnOnce(Machine) -> Machine) {
        let machine = self.machine.take().expect("there is a machine between the steps");
        self.machine = Some(f(machine));
        self.check();
    }

    pub(crate) fn arrive(&mut self, segment: Segment, now: Instant, sent: &mut Sent) {
        let (remote, iss) = (self.remote, self.iss);
        self.with(|machine| machine.arrive(remote, segment, iss, now, sent));
    }

    pub(crate) fn work(&mut self, now: Instant, sent: &mut Sent) {
        self.with(|machine| machine.work(now, sent));
    }

    /// When the user has its next turn, if it still wants anything.
    pub(crate) fn next_turn(&self) -> Option<Instant> {
        let wants_to_send = self.sent_octets < self.user.sends && self.machine().can_send();
        let wants_to_close = !self.closed && self.may_close();
        let wants_to_abort = match self.user.closing {
            Closing::Abort(at) if !self.closed => Some(at),
            _ => None,
        };
        let turn = (wants_to_send || wants_to_close || self.machine().readable() > 0).then_some(self.next_turn);
        match (turn, wants_to_abort) {
            (Some(turn), Some(abort)) => Some(turn.min(abort)),
            (turn, abort) => turn.or(abort),
        }
    }

    fn may_close(&self) -> bool {
        let open = matches!(self.machine(), Machine::Established(_) | Machine::CloseWait(_));
        let sent = self.sent_octets == self.user.sends;
        let received = self.received_octets == self.user.receives;
        let peer_closed = matches!(self.machine(), Machine::CloseWait(tcp) if tcp.drained());
        open && match self.user.closing {
            Closing::WhenDone => sent && received,
            Closing::AfterPeer => sent && peer_closed,
            Closing::Rudely => sent,
            Closing::Abort(_) => false,
        }
    }

    /// The user's turn: it receives, sends and closes.
    pub(crate) fn turn(&mut self, now: Instant, sent: &mut Sent) {
        if let Closing::Abort(at) = self.user.closing
            && at <= now
            && !self.closed
        {
            self.closed = true;
            self.with(|machine| machine.abort(sent));
            return;
        }
        if self.next_turn > now {
            return;
        }
        let pause = self.random.between(0, self.user.pause_micros);
        self.next_turn = now + Duration::from_micros(pause);
        let piece = self.random.size(1, self.user.piece);
        self.receive(piece);
        let piece = self.random.size(1, self.user.piece).min(self.user.sends - self.sent_octets);
        if piece > 0 && self.machine().can_send() {
            let seed = self.user.seed;
            let text: Vec<u8> = (self.sent_octets..self.sent_octets + piece).map(|at| octet(seed, at)).collect();
            self.sent_octets += piece;
            self.with(|mut machine| {
                machine.send(&text, now);
                machine
            });
        }
        if !self.closed && self.may_close() {
            self.closed = true;
            self.with(|machine| machine.close(now));
        }
    }

    fn receive(&mut self, most: usize) {
        let (mut text, expected) = (Vec::new(), self.machine().readable().min(most));
        self.with(|mut machine| {
            text = machine.deliver(most);
            machine
        });
        assert_eq!(text.len(), expected, "what is readable is delivered");
        for octet_received in text {
            let expected = octet(self.peer_seed, self.received_octets);
            assert_eq!(octet_received, expected, "octet {} of the stream", self.received_octets);
            self.received_octets += 1;
        }
    }

    /// What must hold after every step.
    fn check(&mut self) {
        let Some(status) = self.machine().status() else {
            self.last = None;
            return;
        };
        assert!(status.snd_una.is_at_or_before(status.snd_nxt), "SND.UNA =< SND.NXT: {status:?}");
        assert!(status.cwnd > 0 && status.cwnd <= 1 << 30, "CWND is bounded: {status:?}");
        let Config { rcv_buff_bytes, rcv_buff_max_bytes, snd_buff_bytes, snd_buff_max_bytes, .. } = self.config;
        let slack = 4096 << self.shift;
        assert!(
            status.rcv_buffered_bytes <= rcv_buff_bytes.max(rcv_buff_max_bytes) + slack,
            "receive buffer: {status:?}"
        );
        let most = snd_buff_bytes.max(snd_buff_max_bytes) + self.user.piece;
        assert!(status.snd_buffered_bytes <= most, "send buffer: {status:?}");
        if let Some(last) = &self.last
            && last.state != "SYN-SENT"
        {
            let (before, after) = (last.rcv_nxt + last.rcv_wnd, status.rcv_nxt + status.rcv_wnd);
            assert!(!after.is_before(before), "the right edge moved left: {last:?} {status:?}");
            assert!(!status.rcv_nxt.is_before(last.rcv_nxt), "RCV.NXT moved left: {last:?} {status:?}");
            assert!(!status.snd_una.is_before(last.snd_una), "SND.UNA moved left: {last:?} {status:?}");
            assert!(!status.snd_nxt.is_before(last.snd_nxt), "SND.NXT moved left: {last:?} {status:?}");
        }
        self.largest_mss = self.largest_mss.max(status.mss);
        self.last = Some(status);
    }

    /// What must hold for a segment that this end sends; `right` is the furthest that its peer ever announced.
    pub(crate) fn check_sent(&mut self, segment: &Segment, right: Option<SeqNum>) {
        if let Some(window_scale) = segment.options.window_scale {
            self.shift = window_scale;
        }
        let Some(status) = &self.last else { return };
        // RFC 9293 §3.7.1 (MUST-16): the MSS leaves out what timestamps take, and not what SACK blocks do.
        let sack = Options { sack: segment.options.sack, ..Options::default() };
        let options = u32::try_from(sack.encoded_len()).unwrap_or(0);
        let text = segment.text_len();
        // New text may probe the path for a size that it was thought to have before.
        let is_new = [segment.seq, segment.end()].contains(&status.snd_nxt);
        let longest = if is_new { self.largest_mss } else { status.mss };
        assert!(text == 0 || text + options <= longest, "{segment:?} is longer than the MSS of {status:?}");
        assert!(text == 0 || !segment.options.sack_permitted, "SACK-permitted is for SYNs: {segment:?}");
        if segment.control.rst() || !segment.control.ack() || (segment.control.syn() && self.announced.is_some()) {
            return;
        }
        let wnd = u32::from(segment.wnd) << if segment.control.syn() { 0 } else { self.shift };
        let edge = segment.ack + wnd;
        if let Some(announced) = self.announced {
            // Less than one unit of the scale, when storage is short (RFC 7323 §2.4).
            let unit = 1_u32 << self.shift;
            assert!(edge.is_after(announced - unit), "edge {edge} announced after {announced}: {segment:?}");
        }
        self.announced = Some(self.announced.map_or(edge, |announced| announced.later_of(edge)));
        if let Some(right) = right {
            // A probe is one octet, or a FIN, into a closed window.
            assert!(segment.end().is_at_or_before(right + 1), "{segment:?} passes the window's edge {right}");
        }
    }

    /// The furthest that this end announced.
    pub(crate) const fn announced(&self) -> Option<SeqNum> {
        self.announced
    }

    /// The peer's scale can turn out to be none: then so is ours.
    pub(crate) fn set_shift(&mut self, shift: u8) {
        self.shift = shift;
    }
}
