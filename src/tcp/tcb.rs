//! The control block: both directions of a connection together (RFC 9293 §3.3.1).

use core::fmt;
use core::net::SocketAddrV4;

use smoltcp::time::Instant;

use super::Poll;
use super::carriage::{Carriage, Path};
use super::config::{Config, Sack, Setting};
use super::ecn::Notification;
use super::icmp::IcmpKind;
use super::keep_alive::{Alarm, Heartbeat};
use super::path_mtu::PathMtu;
use super::receive::{Receiver, ReceiverConfig, Trim};
use super::sack::Blocks;
use super::segment::{Control, MAX_OPTIONS_BYTES, Options, Segment};
use super::send::{Ending, Outgoing, Sender};
use super::seq::SeqNum;
use super::sizing::Sizing;
use super::throttle::Throttle;
use super::timers::earlier;
use super::timestamps::{Stamp, Stamping};
use super::verdict::Judged;
use super::window::Scale;
use crate::smol_channel::{Ack, FinAck, Rst};

/// What is due in a state that transfers text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// A segment.
    Segment,
    /// A segment with our FIN.
    Fin,
    /// The peer has not answered for too long.
    GiveUp,
}

/// What is due while our SYN is not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HandshakeWork {
    /// Our SYN or SYN,ACK again.
    Retransmit,
    /// The peer has not answered for too long.
    GiveUp,
}

/// All variables of a connection.
pub struct Tcb {
    /// Our socket.
    pub(super) local: SocketAddrV4,
    /// The peer's socket.
    pub(super) remote: SocketAddrV4,
    /// The parameters.
    pub(super) config: Config,
    /// The sending side.
    pub(super) snd: Sender,
    /// The receiving side.
    pub(super) rcv: Receiver,
    /// How large the receive buffer has to be.
    sizing: Sizing,
    /// The timestamps.
    pub(super) stamps: Stamping,
    /// The limit of challenge ACKs.
    pub(super) throttle: Throttle,
    /// Whether an idle peer is still there.
    pub(super) heartbeat: Heartbeat,
    /// Explicit congestion notification.
    pub(super) ecn: Notification,
    /// The ICMP error that the user does not know of yet.
    pub(super) soft_error: Option<IcmpKind>,
    /// What the path carries.
    pub(super) path_mtu: PathMtu,
}

impl fmt::Debug for Tcb {
    /// Shows the variables, and not what is in the buffers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tcb")
            .field("local", &self.local)
            .field("remote", &self.remote)
            .field("snd", &self.snd)
            .field("rcv", &self.rcv)
            .finish_non_exhaustive()
    }
}

impl Tcb {
    /// The block of a connection whose SYN or SYN,ACK is about to be sent.
    pub(super) fn new(local: SocketAddrV4, remote: SocketAddrV4, config: Config, iss: SeqNum, now: Instant) -> Self {
        let snd = Sender::new(iss, &config, now);
        // RCV.NXT and IRS mean nothing before the peer's SYN.
        let rcv = Receiver::new(
            SeqNum::default(),
            receiver_config(&config, snd.mss(), &Options::default(), config.rcv_scale()),
        );
        let stamps = Stamping::new(&config, local, remote, now);
        let sizing = Sizing::new(config.rcv_buff_bytes);
        let heartbeat = Heartbeat::new(config.keep_alive, now);
        let path_mtu = PathMtu::new(config.snd_mss(None));
        let ecn = Notification::new(config.ecn);
        Self {
            local,
            remote,
            config,
            snd,
            rcv,
            sizing,
            stamps,
            throttle: Throttle::new(now),
            heartbeat,
            ecn,
            soft_error: None,
            path_mtu,
        }
    }

    /// Learns from the peer's SYN, and returns the options that answer its options.
    pub(super) fn take_syn(&mut self, syn: &Segment, now: Instant) -> Options {
        let scale = self.config.rcv_scale();
        self.take_syn_with(syn, scale, now)
    }

    /// The same where a scale of ours is known to the peer already.
    pub(super) fn take_syn_with(&mut self, syn: &Segment, scale: Scale, now: Instant) -> Options {
        self.stamps.take_syn(syn, now);
        self.ecn.take_syn(syn.control);
        self.snd.take_syn(syn, &self.config);
        self.snd.reserve(self.stamps.option_bytes());
        self.path_mtu = PathMtu::new(self.config.snd_mss(syn.options.mss));
        let config = receiver_config(&self.config, self.snd.mss(), &syn.options, scale);
        self.rcv = Receiver::new(syn.seq, config);
        self.sizing = Sizing::new(self.config.rcv_buff_max_bytes.min(config.scale.largest()));
        // RFC 9293 §3.10.7.2 and §3.10.7.3: controls that come with a SYN are processed too.
        self.take_urgent(syn, syn.seq);
        // RFC 7323 §2.2: the option only answers the option.
        let window_scale = syn.options.window_scale.map(|_| config.scale.shift);
        // RFC 2018 §2: so does this one.
        let sack_permitted = config.sack == Sack::On;
        Options { mss: Some(self.config.rcv_mss()), window_scale, sack_permitted, ..Options::default() }
    }

    /// Takes what the user sets (RFC 9293 §3.9.1).
    pub(super) fn set(&mut self, setting: Setting, now: Instant) {
        self.config.set(setting);
        self.snd.configure(&self.config, now);
        self.heartbeat.set(self.config.keep_alive);
    }

    /// Takes the acknowledgement, the text and the FIN of a segment that passed the checks.
    pub(super) fn absorb(&mut self, Judged { segment, trim, seg_seq }: Judged, now: Instant) {
        self.take_stamp(&segment, seg_seq, now);
        self.take_urgent(&segment, seg_seq);
        self.heartbeat.heard(now);
        let (flight, marked) = (self.snd.flight(), self.mark_echoed(&segment));
        self.snd.acknowledge(&segment, trim, marked, now);
        self.note_acknowledged(now);
        self.note_congestion(&segment, flight, now);
        self.take_text(segment, trim, now);
    }

    /// Takes the text and the FIN of a segment that passed the checks.
    pub(super) fn take_text(&mut self, segment: Segment, trim: Trim, now: Instant) {
        self.rcv.take(segment, trim, now);
        self.size_buffer(now);
        self.make_room(self.sack_blocks(), now);
    }

    /// Lets the receive buffer grow, if the user receives faster than it allows.
    fn size_buffer(&mut self, now: Instant) {
        let wanted = self.sizing.wanted(self.rcv.unread_seq(), self.rcv.buff_bytes(), self.snd.srtt(), now);
        if let Some(buff_bytes) = wanted {
            self.rcv.grow(buff_bytes);
        }
    }

    /// RFC 9293 §3.7.1 (MUST-16): the SACK blocks of the next segment take their room from its text.
    fn make_room(&mut self, sack: Blocks, now: Instant) {
        let sack = Options { sack, ..Options::default() };
        self.snd.make_room(u32::try_from(sack.encoded_len()).unwrap_or(0), now);
    }

    /// The SACK blocks of the next segment: as many as fit beside the timestamps, and not more than half of a small packet.
    fn sack_blocks(&self) -> Blocks {
        let header = MAX_OPTIONS_BYTES.saturating_sub(self.stamps.option_bytes());
        let room = usize::try_from(header.min(self.snd.mss() / 2)).unwrap_or(0);
        self.rcv.report().first(Options::sack_room_of(room))
    }

    /// Takes the urgent pointer of an acceptable segment that began at `seg_seq` (RFC 9293 §3.10.7.4, sixth).
    pub(super) fn take_urgent(&mut self, segment: &Segment, seg_seq: SeqNum) {
        if segment.control.urg() {
            self.rcv.take_urgent(seg_seq + u32::from(segment.up));
        }
    }

    /// Takes the timestamps of an acceptable segment that began at `seg_seq`, before its acknowledgement is.
    pub(super) fn take_stamp(&mut self, segment: &Segment, seg_seq: SeqNum, now: Instant) {
        if let Some(age) = self.stamps.round_trip(segment, now) {
            self.snd.echoed(age, segment.ack, now);
        }
        self.stamps.take(segment.options.timestamp, seg_seq, now);
    }

    /// Takes the timestamps of text that came again, because our ACK was lost: the peer is to measure its retransmission, and not how
    /// long it waited before (RFC 7323 §4.3 (2)).
    ///
    /// Only of what may well have been sent within the last window: any number at or before Last.ACK.sent would let somebody who sees
    /// nothing of the connection put TS.Recent ahead of the peer's clock.
    pub(super) fn take_repeated_stamp(&mut self, segment: &Segment, now: Instant) {
        let (rcv_nxt, buff) = (self.rcv.rcv_nxt(), self.rcv.buff_bytes());
        let buff = u32::try_from(buff).unwrap_or(u32::MAX);
        let is_repeated = segment.seq.is_in_window(rcv_nxt - buff, buff) && segment.end().is_at_or_before(rcv_nxt);
        if segment.seg_len() > 0 && is_repeated && self.may_be_the_peers(segment, now) {
            self.stamps.take(segment.options.timestamp, segment.seq, now);
        }
    }

    /// Whether all but the sequence number of a segment is as the peer would have it: no SYN, no RST, an acceptable acknowledgement
    /// and no old timestamp.
    pub(super) fn may_be_the_peers(&self, segment: &Segment, now: Instant) -> bool {
        let control = segment.control;
        let is_plain = control.ack() && !control.syn() && !control.rst();
        is_plain && self.snd.is_ack_acceptable(segment.ack) && self.stamps.inspect(segment, now) == Stamp::Fine
    }

    /// What is due while our SYN is not acknowledged, or when something will be.
    pub(super) fn poll_handshake(&self, now: Instant) -> Poll<HandshakeWork> {
        if self.snd.gives_up(now) {
            Poll::Now(HandshakeWork::GiveUp)
        } else if self.snd.syn_is_due(now) {
            Poll::Now(HandshakeWork::Retransmit)
        } else {
            self.snd.deadline(now).map_or(Poll::Never, Poll::At)
        }
    }

    /// What is due, or when something will be.
    pub(super) fn poll(&self, now: Instant) -> Poll<Work> {
        if self.snd.gives_up(now) {
            return Poll::Now(Work::GiveUp);
        }
        match self.snd.due(now) {
            Some(Outgoing { ending: Ending::Fin, .. }) => return Poll::Now(Work::Fin),
            Some(Outgoing { ending: Ending::Open, .. }) => return Poll::Now(Work::Segment),
            None => {}
        }
        if self.rcv.ack_is_due(now) {
            return Poll::Now(Work::Segment);
        }
        earlier(self.snd.deadline(now), self.rcv.ack_deadline()).map_or(Poll::Never, Poll::At)
    }

    /// What is due about a silent peer while the user has not closed (RFC 9293 §3.8.4, MUST-26).
    pub(super) fn poll_heartbeat(&self, now: Instant) -> Poll<Alarm> {
        if self.snd.is_idle() { self.heartbeat.poll(now) } else { Poll::Never }
    }

    /// <SEQ=SND.NXT-1><ACK=RCV.NXT><CTL=ACK>: a keep-alive, which the peer has to answer (RFC 9293 §3.8.4, SHLD-12).
    fn keep_alive(&mut self, now: Instant) -> Ack {
        self.heartbeat.probed(now);
        let seq = self.snd.snd_nxt() - 1;
        Ack::mark(self.segment(seq, Control::ACK, Vec::new(), now))
    }

    /// The next segment: the one that is due, or an ACK.
    pub(super) fn transmit(&mut self, now: Instant) -> Ack {
        self.believe_pending_path_mtu(now);
        self.fall_into_no_black_hole(now);
        match self.snd.due(now) {
            Some(outgoing @ Outgoing { ending: Ending::Open, .. }) => Ack::mark(self.emit(&outgoing, now)),
            None if !self.rcv.ack_is_due(now) && self.poll_heartbeat(now) == Poll::Now(Alarm::Probe) => {
                self.keep_alive(now)
            }
            Some(Outgoing { ending: Ending::Fin, .. }) | None => self.ack(now),
        }
    }

    /// The next segment with our FIN: the one that is due, or the FIN again.
    pub(super) fn transmit_fin(&mut self, now: Instant) -> FinAck {
        self.believe_pending_path_mtu(now);
        self.fall_into_no_black_hole(now);
        if let Some(outgoing @ Outgoing { ending: Ending::Fin, .. }) = self.snd.due(now) {
            return FinAck::mark(self.emit(&outgoing, now));
        }
        let fin = self.snd.fin_again(now);
        FinAck::mark(self.segment(fin, Control::NONE, Vec::new(), now))
    }

    /// <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, with a SEQ that the peer accepts.
    pub(super) fn ack(&mut self, now: Instant) -> Ack {
        let seq = self.snd.ack_seq();
        Ack::mark(self.segment(seq, Control::ACK, Vec::new(), now))
    }

    /// <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, the answer to what is not acceptable.
    pub(super) fn challenge_ack(&mut self, now: Instant) -> Ack {
        let seq = self.snd.snd_nxt();
        Ack::mark(self.segment(seq, Control::ACK, Vec::new(), now))
    }

    /// <SEQ=SND.NXT><CTL=RST> (RFC 9293 §3.10.5), where that lies in the peer's window; else it would be dropped (RFC 5961 §3.2).
    pub(super) fn rst(&self) -> Rst {
        let seq = self.snd.ack_seq();
        let options = Options { timestamp: self.stamps.for_rst(), ..Options::default() };
        Rst::mark(Segment { seq, control: Control::RST, options, ..self.blank() })
    }

    /// A segment of text, which counts as sent.
    fn emit(&mut self, outgoing: &Outgoing, now: Instant) -> Segment {
        let payload = self.snd.copy_text(outgoing);
        // RFC 9293 §3.9.1.2 (MUST-61).
        let push = if self.snd.is_last(outgoing) { Control::PSH } else { Control::NONE };
        let fragmentation = self.note_size(outgoing.seq, outgoing.text_len, now);
        let is_new = outgoing.seq == self.snd.snd_nxt() && outgoing.text_len > 0 && self.snd.snd_wnd() > 0;
        self.snd.sent(outgoing, now);
        let mut segment = self.segment(outgoing.seq, Control::ACK | push, payload, now);
        segment.carriage.fragmentation = fragmentation;
        if is_new {
            self.mark_new_text(&mut segment);
        }
        segment
    }

    /// A segment with our RCV.NXT and window, which pays the ACK owed.
    fn segment(&mut self, seq: SeqNum, control: Control, payload: Vec<u8>, now: Instant) -> Segment {
        let sack = self.sack_blocks();
        let reports_duplicate = self.rcv.reports_duplicate();
        let (ack, wnd) = self.rcv.acknowledge();
        // The next segment has the same blocks, but for a duplicate, which is reported only once (RFC 2883 §4).
        let next = if reports_duplicate { self.sack_blocks() } else { sack };
        self.make_room(next, now);
        let options = Options { timestamp: self.stamps.for_ack(ack, now), sack, ..Options::default() };
        let (urgent, up) = self.snd.urgent_pointer(seq).map_or((Control::NONE, 0), |up| (Control::URG, up));
        let control = control | urgent | self.ecn_echo();
        Segment { seq, ack, control, wnd, up, options, payload, ..self.blank() }
    }

    /// A segment with our ports and nothing else.
    pub(super) fn blank(&self) -> Segment {
        let path = if self.snd.patience().is_doubtful() { Path::Doubtful } else { Path::Good };
        let fragmentation = self.path_mtu.fragmentation();
        let carriage = Carriage { path, fragmentation, ..self.config.carriage };
        Segment { src_port: self.local.port(), dst_port: self.remote.port(), carriage, ..Segment::default() }
    }
}

/// <SEQ=SEG.ACK><CTL=RST>, the refusal of a segment with an acknowledgement of nothing that we sent.
pub(super) fn refusal_of(segment: &Segment) -> Rst {
    Rst::mark(Segment {
        src_port: segment.dst_port,
        dst_port: segment.src_port,
        seq: segment.ack,
        control: Control::RST,
        ..Segment::default()
    })
}

/// What the receiver has to know, for a peer whose SYN had these options.
fn receiver_config(config: &Config, mss: u32, options: &Options, scale: Scale) -> ReceiverConfig {
    let buff_bytes = config.rcv_buff_bytes;
    let scale = if options.window_scale.is_some() { scale } else { Scale::with_shift(buff_bytes, 0) };
    ReceiverConfig { buff_bytes, scale, mss, delayed_ack: config.delayed_ack, sack: config.sack_with(options) }
}
