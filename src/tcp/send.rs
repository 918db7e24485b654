//! The sending side: what is to be sent, and when (RFC 9293 §3.4, §3.8.1, §3.8.3, §3.8.6).

use core::fmt;

use smoltcp::time::{Duration, Instant};

use super::black_hole::PathProbe;
use super::config::{Config, CongestionControl, Nagle, Pacing, Sack};
use super::congestion::{Congestion, Handshake, Timeouts};
use super::ecn::Marked;
use super::pacing::{Pacer, Rate, Release};
use super::receive::Trim;
use super::recovery::{Duplicate, Progress, Recovery};
use super::rtt::Rtt;
use super::sack::Block;
use super::segment::Segment;
use super::selective::{Arrival, Cause, Expired, Selective};
use super::send_queue::SendQueue;
use super::send_window::SendWindow;
use super::seq::SeqNum;
use super::silly_window::{Behind, Proposal};
use super::timers::{SendTimer, earlier, elapsed};
use super::tlp::Content;
use super::urgent::SndUp;
use super::user_timeout::{Patience, UserTimeout};

/// Why something is sent, which decides what sending it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// The retransmission timer expired.
    Timeout,
    /// The window is zero and a probe is due.
    Probe,
    /// A loss is being recovered.
    Again,
    /// The reordering timer says that it was lost.
    Reordered,
    /// A tail loss probe.
    TailProbe,
    /// It was not sent before.
    Fresh,
}

/// Whether a segment carries our FIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It does not.
    Open,
    /// It does.
    Fin,
}

/// A segment that is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outgoing {
    /// SEG.SEQ.
    pub(super) seq: SeqNum,
    /// Octets of text.
    pub(super) text_len: u32,
    /// Whether the FIN follows the text.
    pub(super) ending: Ending,
    /// Why.
    reason: Reason,
}

impl Outgoing {
    /// SEG.SEQ + SEG.LEN.
    pub(super) fn end(&self) -> SeqNum {
        let fin = match self.ending {
            Ending::Open => 0,
            Ending::Fin => 1,
        };
        self.seq + self.text_len + fin
    }
}

/// Whether an acknowledgement advanced SND.UNA, which restarts the retransmission timer (RFC 6298 §5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restart {
    /// The timer runs on.
    No,
    /// It starts anew.
    Yes,
}

/// How losses are recovered.
#[derive(Debug)]
enum Loss {
    /// As RFC 6582 says.
    NewReno(Recovery),
    /// With selective acknowledgements.
    Selective(Box<Selective>),
}

/// Whether our SYN is acknowledged. The numbers do not tell: SND.UNA comes by ISS again after 4 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OurSyn {
    /// It is not.
    Outstanding,
    /// It is.
    Acknowledged,
}

/// The send sequence space and what is in it.
pub(super) struct Sender {
    /// ISS.
    iss: SeqNum,
    /// Whether the peer has it.
    our_syn: OurSyn,
    /// SND.UNA.
    snd_una: SeqNum,
    /// SND.NXT: past everything ever sent; sending again does not move it back.
    snd_nxt: SeqNum,
    /// SND.WND and what belongs to it.
    window: SendWindow,
    /// Eff.snd.MSS, SACK blocks apart. Here goes what path MTU discovery learns (RFC 1191).
    mss: u32,
    /// Octets of the SACK option that the next segment has (RFC 9293 §3.7.1, MUST-16).
    options_len: u32,
    /// What one segment of new text is to try, SACK blocks apart (RFC 4821).
    path_probe: Option<PathProbe>,
    /// What the user gave and the peer has not acknowledged.
    queue: SendQueue,
    /// SND.UP.
    snd_up: SndUp,
    /// The one timer.
    timer: SendTimer,
    /// R1 and R2 of what is being sent: R2 is that of the SYN first.
    patience: Patience,
    /// When text was last sent, for the first time or again.
    sent_at: Instant,
    /// What SND.UNA was when the retransmission timer last expired.
    timed_out_at: Option<SeqNum>,
    /// The age of the timestamp that the acknowledgement at hand echoes.
    echo_age: Option<Duration>,
    /// The retransmission timeout.
    rtt: Rtt,
    /// The algorithm that it follows.
    control: CongestionControl,
    /// The congestion window.
    congestion: Congestion,
    /// Whether new segments are spread over the round trip.
    pacing: Pacing,
    /// When the next of them may go.
    pacer: Pacer,
    /// Until when nothing new goes, marks having come with a window of one segment.
    quiet_until: Option<Instant>,
    /// What is sent again.
    loss: Loss,
    /// Whether the peer acknowledges selectively.
    sack: Sack,
    /// How the handshake goes.
    handshake: Handshake,
    /// Nagle's algorithm.
    nagle: Nagle,
    /// The override timeout.
    override_timeout: Duration,
    /// R2 of text and FIN.
    user_timeout: UserTimeout,
}

impl fmt::Debug for Sender {
    /// Shows the variables, and how much text there is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("iss", &self.iss)
            .field("snd_una", &self.snd_una)
            .field("snd_nxt", &self.snd_nxt)
            .field("window", &self.window)
            .field("text_len", &self.queue.len())
            .field("fin", &self.queue.fin())
            .field("timer", &self.timer)
            .field("rtt", &self.rtt)
            .field("congestion", &self.congestion)
            .field("loss", &self.loss)
            .finish_non_exhaustive()
    }
}

impl Sender {
    /// Has just sent our SYN or SYN,ACK.
    pub(super) fn new(iss: SeqNum, config: &Config, now: Instant) -> Self {
        let rtt = Rtt::new(config);
        let mss = config.snd_mss(None);
        let mut sender = Self {
            iss,
            our_syn: OurSyn::Outstanding,
            snd_una: iss,
            snd_nxt: iss + 1,
            window: SendWindow::new(iss),
            mss,
            options_len: 0,
            path_probe: None,
            queue: SendQueue::new(iss, config),
            snd_up: SndUp::default(),
            timer: SendTimer::Retransmission(now + rtt.rto()),
            patience: Patience::new(UserTimeout::After(config.syn_timeout), now),
            sent_at: now,
            timed_out_at: None,
            echo_age: None,
            rtt,
            control: config.congestion,
            congestion: Congestion::new(config.congestion, mss, Handshake::AtOnce),
            pacing: config.pacing,
            pacer: Pacer::new(),
            quiet_until: None,
            loss: Loss::NewReno(Recovery::new(iss)),
            sack: Sack::Off,
            handshake: Handshake::AtOnce,
            nagle: config.nagle,
            override_timeout: config.override_timeout,
            user_timeout: config.user_timeout,
        };
        sender.rtt.time(sender.snd_nxt, now);
        sender
    }

    /// Learns from the peer's SYN; its window is never scaled (RFC 7323 §2.2).
    pub(super) fn take_syn(&mut self, syn: &Segment, config: &Config) {
        self.mss = config.snd_mss(syn.options.mss);
        self.sack = config.sack_with(&syn.options);
        self.window.take_syn(syn);
    }

    /// Options take so many octets of each segment (RFC 9293 §3.7.1, MUST-16).
    pub(super) fn reserve(&mut self, option_bytes: u32) {
        self.mss = self.mss.saturating_sub(option_bytes).max(1);
    }

    /// Our SYN was acknowledged with this window: begins to send text (RFC 9293 §3.10.7.4, SYN-RECEIVED).
    pub(super) fn establish(&mut self, segment: &Segment, now: Instant) {
        self.rtt.acknowledged(segment.ack, now);
        if self.handshake == Handshake::Retransmitted {
            self.rtt.restart_after_syn_timeout();
        }
        self.congestion = Congestion::new(self.control, self.mss, self.handshake);
        self.loss = match self.sack {
            Sack::On => Loss::Selective(Box::new(Selective::new())),
            Sack::Off => Loss::NewReno(Recovery::new(self.iss)),
        };
        self.our_syn = OurSyn::Acknowledged;
        self.snd_una = segment.ack;
        self.patience = Patience::new(self.user_timeout, now);
        self.window.take(segment);
        self.rearm(now, Restart::Yes);
        self.check();
    }

    /// A window without scaling as an ACK would announce it, if less than exactly.
    pub(super) const fn scaled_down(&self, wnd: u16) -> u16 {
        self.window.scaled_down(wnd)
    }

    /// Takes what the user may set during the connection.
    pub(super) fn configure(&mut self, config: &Config, now: Instant) {
        self.nagle = config.nagle;
        self.user_timeout = config.user_timeout;
        if self.our_syn == OurSyn::Acknowledged {
            self.patience.set_r2(self.user_timeout);
            self.rearm(now, Restart::No);
        }
    }

    /// Eff.snd.MSS <- `mss`: the path carries other packets than we thought (RFC 1191).
    pub(super) fn set_mss(&mut self, mss: u32) {
        self.mss = mss;
        self.congestion.set_smss(mss);
    }

    /// One segment of new text is to be as large as this allows.
    pub(super) const fn probe_path(&mut self, probe: Option<PathProbe>) {
        self.path_probe = probe;
    }

    /// The size that is tried by a segment with so much new text, if one is.
    pub(super) fn probes_path_with(&self, text_len: u32) -> Option<u32> {
        self.path_probe.filter(|_| text_len > self.room()).map(|probe| probe.mss)
    }

    /// Everything outstanding was too large for the path and is sent again, in slow start (RFC 1191 §6.5).
    pub(super) fn send_all_again(&mut self, now: Instant) {
        if self.snd_una != self.snd_nxt {
            if !self.is_open() {
                self.congestion.deflate();
            }
            self.congestion.start_slowly();
            self.recover_all();
            self.rearm(now, Restart::No);
            self.rearm_early(Cause::Other, now);
        }
    }

    /// Everything outstanding counts as lost, and that is no congestion.
    fn recover_all(&mut self) {
        match &mut self.loss {
            Loss::NewReno(recovery) => recovery.start_again(self.snd_una, self.snd_nxt),
            Loss::Selective(selective) => selective.start_again(self.snd_nxt),
        }
    }

    /// Whether the retransmission timer has expired.
    pub(super) fn is_timed_out(&self, now: Instant) -> bool {
        matches!(self.timer, SendTimer::Retransmission(at) if at <= now)
    }

    /// The user knows that R1 is reached.
    pub(super) fn undelivered_told(&mut self) {
        self.patience.told();
    }

    /// SEND with the URGENT flag: everything up to the end of `text` is urgent (RFC 9293 §3.9.1.2).
    pub(super) fn send_urgent(&mut self, text: &[u8], now: Instant) {
        self.snd_up.mark(self.queue.text_end() + u32::try_from(text.len()).unwrap_or(0));
        self.send(text, now);
    }

    /// SEG.UP of a segment that begins at `seq`, if it has to carry URG.
    pub(super) fn urgent_pointer(&self, seq: SeqNum) -> Option<u16> {
        self.snd_up.pointer(seq)
    }

    /// Packets were marked on the way, `flight` having been outstanding; in recovery from a loss the window is reduced already (RFC 3168
    /// §6.1.2). A window of one segment cannot be: then new segments wait for the retransmission timeout.
    pub(super) fn congestion_experienced(&mut self, flight: u32, now: Instant) {
        if !self.is_open() {
            return;
        }
        if self.congestion.is_least() {
            self.quiet_until = Some(now + self.rtt.rto());
            self.rearm(now, Restart::Yes);
        }
        self.congestion.experienced(flight);
    }

    /// Whether nothing is being recovered.
    fn is_open(&self) -> bool {
        match &self.loss {
            Loss::NewReno(recovery) => recovery.is_open(),
            Loss::Selective(selective) => selective.is_open(),
        }
    }

    /// R1 and R2 (RFC 9293 §3.8.3).
    pub(super) const fn patience(&self) -> &Patience {
        &self.patience
    }

    /// Whether there is nothing that the peer has to acknowledge.
    pub(super) fn is_idle(&self) -> bool {
        self.snd_una == self.snd_nxt && self.is_all_sent()
    }

    /// ISS.
    pub(super) const fn iss(&self) -> SeqNum {
        self.iss
    }

    /// SND.UNA.
    pub(super) const fn snd_una(&self) -> SeqNum {
        self.snd_una
    }

    /// SND.NXT.
    pub(super) const fn snd_nxt(&self) -> SeqNum {
        self.snd_nxt
    }

    /// SND.WND.
    pub(super) const fn snd_wnd(&self) -> u32 {
        self.window.snd_wnd()
    }

    /// Eff.snd.MSS.
    pub(super) const fn mss(&self) -> u32 {
        self.mss
    }

    /// The SACK blocks of the next segment take so many octets.
    ///
    /// With that changes what a full segment is, and so whether text may go at once or has to wait for the override timeout.
    pub(super) fn make_room(&mut self, options_len: u32, now: Instant) {
        if self.options_len != options_len {
            self.options_len = options_len;
            self.rearm(now, Restart::No);
        }
    }

    /// The text that one segment has room for.
    fn room(&self) -> u32 {
        self.mss.saturating_sub(self.options_len).max(1)
    }

    /// RTO.
    pub(super) fn rto(&self) -> Duration {
        self.rtt.rto()
    }

    /// SRTT.
    pub(super) fn srtt(&self) -> Duration {
        self.rtt.srtt()
    }

    /// CWND and SSTHRESH.
    pub(super) const fn congestion(&self) -> &Congestion {
        &self.congestion
    }

    /// Octets that the peer has not acknowledged, or that were not sent yet.
    pub(super) fn buffered(&self) -> usize {
        self.queue.len()
    }

    /// Whether the user may give more.
    pub(super) fn has_room(&self) -> bool {
        self.queue.has_room(self.congestion.cwnd())
    }

    /// The SEQ of a segment without text: SND.NXT (RFC 9293 §3.10.7.4).
    ///
    /// Deviation: RFC 9293 §3.10.5 and §3.10.7.4 have SND.NXT in every RST of an ABORT and every ACK. When that lies outside of the peer's
    /// window, because that was shrunk or because of a zero-window probe, it would be dropped there (RFC 9293 §A.2); then it is the last
    /// number that the peer has to accept if it took nothing of what is outside. If it did take it, it answers what we retransmit, and
    /// the answer to that, a challenge ACK, has SND.NXT. A peer notices that it can take the segment.
    pub(super) fn ack_seq(&self) -> SeqNum {
        let right = self.snd_una + self.snd_wnd();
        if self.our_syn == OurSyn::Outstanding || self.snd_nxt.is_at_or_before(right) {
            return self.snd_nxt;
        }
        self.snd_una + self.snd_wnd().saturating_sub(1)
    }

    /// RFC 5961 §5: SND.UNA - MAX.SND.WND =< SEG.ACK =< SND.NXT.
    pub(super) fn is_ack_acceptable(&self, seg_ack: SeqNum) -> bool {
        let lowest = self.snd_una - self.window.max_snd_wnd();
        lowest.is_at_or_before(seg_ack) && seg_ack.is_at_or_before(self.snd_nxt)
    }

    /// SND.UNA < SEG.ACK =< SND.NXT.
    pub(super) fn is_new_ack(&self, seg_ack: SeqNum) -> bool {
        seg_ack.is_new_ack(self.snd_una, self.snd_nxt)
    }

    /// Whether this acknowledgement covers our FIN.
    pub(super) fn acknowledges_fin(&self, seg_ack: SeqNum) -> bool {
        self.queue.fin().is_some_and(|fin| seg_ack == fin + 1 && self.snd_nxt == seg_ack)
    }

    /// SEND (RFC 9293 §3.10.2).
    pub(super) fn send(&mut self, text: &[u8], now: Instant) {
        if self.is_all_sent() && self.snd_una == self.snd_nxt {
            self.patience.renew(now);
        }
        self.queue.push(text);
        self.rearm(now, Restart::No);
    }

    /// CLOSE (RFC 9293 §3.10.4): the FIN follows what is queued.
    pub(super) fn close(&mut self, now: Instant) {
        if self.is_all_sent() && self.snd_una == self.snd_nxt {
            self.patience.renew(now);
        }
        self.queue.close();
        self.rearm(now, Restart::No);
    }

    /// The sequence number after all that the user gave us, its FIN counted.
    fn stream_end(&self) -> SeqNum {
        self.queue.stream_end()
    }

    /// Whether all of that was sent at least once.
    fn is_all_sent(&self) -> bool {
        self.snd_nxt == self.stream_end()
    }

    /// What is outstanding: SND.NXT - SND.UNA.
    pub(super) fn flight(&self) -> u32 {
        self.snd_nxt.distance_from(self.snd_una)
    }

    /// The octets of `outgoing`.
    pub(super) fn copy_text(&self, outgoing: &Outgoing) -> Vec<u8> {
        self.queue.copy(outgoing.seq, outgoing.text_len)
    }

    /// Whether `outgoing` empties the queue, so that PSH is set (RFC 9293 §3.9.1.2, MUST-61).
    pub(super) fn is_last(&self, outgoing: &Outgoing) -> bool {
        outgoing.text_len > 0 && outgoing.seq + outgoing.text_len == self.queue.text_end()
    }

    // What to send.

    /// The segment that is due now, if there is one.
    pub(super) fn due(&self, now: Instant) -> Option<Outgoing> {
        if self.our_syn == OurSyn::Outstanding {
            // Before our SYN is acknowledged there is nothing but that SYN.
            return None;
        }
        if let Some(outgoing) = self.expired(now) {
            return Some(outgoing);
        }
        match self.timer {
            SendTimer::Retransmission(at) if at <= now => {
                return self.cut(self.snd_una, self.snd_nxt, Reason::Timeout);
            }
            SendTimer::Persist { at, .. } if at <= now => return self.probe(),
            SendTimer::Override(at) if at <= now => {
                return self.cut(self.snd_nxt, self.stream_end(), Reason::Fresh);
            }
            SendTimer::Off | SendTimer::Retransmission(_) | SendTimer::Persist { .. } | SendTimer::Override(_) => {}
        }
        self.again().or_else(|| self.fresh(now))
    }

    /// When the next segment becomes due if nothing else happens.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let early = match &self.loss {
            Loss::NewReno(_) => None,
            // One that has expired and made nothing due waits for the window, and for the retransmission timer.
            Loss::Selective(selective) => selective.deadline().filter(|at| *at > now),
        };
        let held = self.held_until(now).filter(|_| self.unheld(now).is_some());
        earlier(earlier(early, held), earlier(self.timer.deadline(), self.gives_up_at()))
    }

    /// What RACK-TLP sends because a timer of its own expired (RFC 8985 §6.2, §7.3).
    fn expired(&self, now: Instant) -> Option<Outgoing> {
        let Loss::Selective(selective) = &self.loss else { return None };
        match selective.expired(self.rtt.srtt(), now)? {
            Expired::Lost(block) => self.cut(block.left, block.right, Reason::Reordered),
            Expired::Probe(last) => self
                .cut(self.snd_nxt, self.stream_end(), Reason::TailProbe)
                .or_else(|| self.cut(last.left, last.right, Reason::TailProbe)),
        }
    }

    /// A segment from `seq` on, with what may be sent of the stream up to `limit`: at most one MSS, or what a probe of the path tries, and
    /// not past the window.
    fn cut(&self, seq: SeqNum, limit: SeqNum, reason: Reason) -> Option<Outgoing> {
        let right = (self.snd_una + self.snd_wnd()).earlier_of(limit);
        let text_right = right.earlier_of(self.queue.text_end());
        let sendable = if seq.is_before(text_right) { text_right.distance_from(seq) } else { 0 };
        let room = match reason {
            Reason::Fresh => self.path_probe_room().unwrap_or_else(|| self.room()),
            Reason::Timeout | Reason::Probe | Reason::Again | Reason::Reordered | Reason::TailProbe => self.room(),
        };
        let text_len = sendable.min(room);
        let after = seq + text_len;
        let ending = if self.queue.fin() == Some(after) && after.is_before(right) { Ending::Fin } else { Ending::Open };
        let outgoing = Outgoing { seq, text_len, ending, reason };
        (outgoing.end() != seq).then_some(outgoing)
    }

    /// The text that a probe of the path has room for, if there is text enough for it and for as many segments behind it as it takes to
    /// notice its loss, and the windows are large enough for all that (RFC 4821 §7.4).
    fn path_probe_room(&self) -> Option<u32> {
        let is_open = match &self.loss {
            Loss::NewReno(recovery) => recovery.is_open(),
            Loss::Selective(selective) => selective.is_open(),
        };
        let PathProbe { mss, segments_behind } = self.path_probe?;
        let room = mss.saturating_sub(self.options_len);
        let needed = room + segments_behind * self.mss;
        let unsent = self.queue.text_end().distance_from(self.snd_nxt.earlier_of(self.queue.text_end()));
        (is_open && unsent.min(self.snd_wnd()).min(self.congestion.cwnd()) >= needed).then_some(room)
    }

    /// Whether a probe of the path has to wait until acknowledgements let go as much at once; `usable` octets the congestion window does.
    fn path_probe_waits(&self, usable: u32) -> bool {
        let right = self.snd_una + self.snd_wnd();
        let usable = if self.snd_nxt.is_before(right) { usable.min(right.distance_from(self.snd_nxt)) } else { 0 };
        self.snd_una != self.snd_nxt && self.path_probe_room().is_some_and(|room| usable < room)
    }

    /// A zero-window probe: one octet (RFC 9293 §3.8.6.1, MUST-36), the oldest one outstanding or else a new one.
    fn probe(&self) -> Option<Outgoing> {
        let ending = if self.queue.fin() == Some(self.snd_una) { Ending::Fin } else { Ending::Open };
        let text_len = match ending {
            Ending::Fin => 0,
            Ending::Open => 1,
        };
        let outgoing = Outgoing { seq: self.snd_una, text_len, ending, reason: Reason::Probe };
        outgoing.end().is_at_or_before(self.stream_end()).then_some(outgoing)
    }

    /// What recovery sends again, as far as the congestion window lets it.
    fn again(&self) -> Option<Outgoing> {
        let cwnd = self.congestion.cwnd();
        // RFC 9293 §3.8.6 (SHLD-16): within SND.UNA + SND.WND. What is short, like the octet of a probe, is filled up with new text.
        match &self.loss {
            Loss::NewReno(recovery) => {
                let (seq, in_network) = recovery.again_from(self.snd_una)?;
                let limit = self.snd_nxt.later_of(self.snd_una + cwnd);
                (in_network < cwnd).then(|| self.cut(seq, limit, Reason::Again)).flatten()
            }
            Loss::Selective(selective) => {
                let lost = selective.again(cwnd)?;
                let limit = if lost.right == self.snd_nxt { lost.right + self.room() } else { lost.right };
                self.cut(lost.left, limit, Reason::Again)
            }
        }
    }

    /// New text or the FIN, if nothing holds it back.
    fn fresh(&self, now: Instant) -> Option<Outgoing> {
        if self.held_until(now).is_some() { None } else { self.unheld(now) }
    }

    /// Until when new segments are held back: by pacing only once more than the initial window is outstanding.
    fn held_until(&self, now: Instant) -> Option<Instant> {
        let paced = self.pacer.closed_until(now).filter(|_| self.flight() >= self.congestion.initial());
        paced.max(self.quiet_until.filter(|at| *at > now))
    }

    /// New text or the FIN, if window, congestion window, silly window avoidance and Nagle let it go.
    fn unheld(&self, now: Instant) -> Option<Outgoing> {
        if self.is_all_sent() {
            return None;
        }
        let cwnd = self.congestion_window(now);
        let usable = match &self.loss {
            Loss::NewReno(recovery) if recovery.again_from(self.snd_una).is_some() => 0,
            Loss::NewReno(recovery) => (cwnd + recovery.limited_transmit() * self.mss).saturating_sub(self.flight()),
            Loss::Selective(selective) => selective.usable_for_new(cwnd, self.room()),
        };
        if usable == 0 || self.path_probe_waits(usable) {
            return None;
        }
        let outgoing = self.cut(self.snd_nxt, self.snd_nxt + usable.min(u32::MAX >> 1), Reason::Fresh)?;
        self.is_worth_sending(&outgoing).then_some(outgoing)
    }

    /// CWND, as it is after idle time.
    fn congestion_window(&self, now: Instant) -> u32 {
        if self.was_idle(now) { self.congestion.cwnd_after_idle() } else { self.congestion.cwnd() }
    }

    /// RFC 5681 §4.1: nothing was sent for longer than RTO, and nothing is outstanding.
    fn was_idle(&self, now: Instant) -> bool {
        self.snd_una == self.snd_nxt && elapsed(now, self.sent_at) > self.rtt.rto()
    }

    /// Whether silly window avoidance and Nagle let it go.
    fn is_worth_sending(&self, outgoing: &Outgoing) -> bool {
        let behind = match outgoing.ending {
            Ending::Open if outgoing.end() != self.stream_end() => Behind::Text,
            Ending::Open => Behind::Nothing,
            Ending::Fin => Behind::TheEnd,
        };
        let is_idle = self.snd_una == self.snd_nxt;
        let proposal = Proposal {
            text_len: outgoing.text_len,
            full_len: self.room(),
            behind,
            // Urgent data is not held back either.
            nagle: if is_idle || self.snd_up.is_pending() { Nagle::Off } else { self.nagle },
            max_snd_wnd: self.window.max_snd_wnd(),
        };
        proposal.is_worth_sending()
    }

    // What sending it changes.

    /// `outgoing` is sent.
    pub(super) fn sent(&mut self, outgoing: &Outgoing, now: Instant) {
        let cause = match outgoing.reason {
            Reason::Fresh => Cause::Progress,
            Reason::Timeout | Reason::Probe | Reason::Again | Reason::Reordered | Reason::TailProbe => Cause::Other,
        };
        match outgoing.reason {
            Reason::Timeout => self.retransmitted_after_timeout(outgoing, now),
            Reason::Probe => self.probed(outgoing, now),
            Reason::Again => self.retransmitted(outgoing, now),
            Reason::Reordered => {
                let (snd_nxt, smss) = (self.snd_nxt, self.mss);
                if let Loss::Selective(selective) = &mut self.loss {
                    selective.reordering_expired(&mut self.congestion, self.rtt.srtt(), (snd_nxt, smss), now);
                }
                self.retransmitted(outgoing, now);
            }
            Reason::TailProbe => self.probed_tail(outgoing, now),
            Reason::Fresh => self.sent_fresh(outgoing, now),
        }
        self.rearm(now, Restart::No);
        self.rearm_early(cause, now);
        self.check();
    }

    /// What was sent before and is in `outgoing` is sent again, and what is new in it is sent.
    fn record(&mut self, outgoing: &Outgoing, now: Instant) {
        let end = outgoing.end();
        match &mut self.loss {
            Loss::NewReno(recovery) => recovery.sent_again(end),
            Loss::Selective(selective) => {
                let old = Block { left: outgoing.seq, right: end.earlier_of(self.snd_nxt) };
                selective.sent_again(old, now);
                selective.sent(Block { left: outgoing.seq.later_of(self.snd_nxt), right: end }, now);
            }
        }
        self.snd_nxt = self.snd_nxt.later_of(end);
    }

    /// A loss is repaired.
    fn retransmitted(&mut self, outgoing: &Outgoing, now: Instant) {
        // RFC 6298 §3 (Karn).
        self.rtt.sent_again(now);
        self.record(outgoing, now);
        self.sent_at = now;
        if let Loss::Selective(_) = self.loss {
            // RFC 6675 §6: the more careful variant, for recovery may take longer than the RTO.
            self.timer = SendTimer::Retransmission(now + self.rtt.rto());
        }
    }

    /// RFC 8985 §7.3: the retransmission timer starts anew.
    fn probed_tail(&mut self, outgoing: &Outgoing, now: Instant) {
        let content = if outgoing.seq == self.snd_nxt { Content::New } else { Content::Last };
        self.record(outgoing, now);
        if let Loss::Selective(selective) = &mut self.loss {
            selective.probed(self.snd_nxt, content);
        }
        self.sent_at = now;
        self.timer = SendTimer::Retransmission(now + self.rtt.rto());
    }

    /// RFC 6298 §5.4 to §5.6, RFC 5681 §3.1.
    fn retransmitted_after_timeout(&mut self, outgoing: &Outgoing, now: Instant) {
        let timeouts = if self.timed_out_at == Some(self.snd_una) { Timeouts::Repeated } else { Timeouts::First };
        self.timed_out_at = Some(self.snd_una);
        let (flight, snd_nxt) = (self.flight(), self.snd_nxt);
        match &mut self.loss {
            Loss::NewReno(recovery) => {
                self.congestion.timed_out(flight, timeouts);
                recovery.start_again(self.snd_una, snd_nxt);
            }
            Loss::Selective(selective) => {
                selective.timed_out(&mut self.congestion, self.rtt.srtt(), snd_nxt, timeouts, now);
            }
        }
        self.rtt.back_off(now);
        self.patience.retransmitted();
        self.record(outgoing, now);
        self.sent_at = now;
        self.timer = SendTimer::Retransmission(now + self.rtt.rto());
    }

    /// RFC 9293 §3.8.6.1 (SHLD-30): the interval grows.
    fn probed(&mut self, outgoing: &Outgoing, now: Instant) {
        self.rtt.sent_again(now);
        if !self.patience.has_retransmitted() {
            // The first one since the last answer: nothing has gone unanswered before it.
            self.patience.renew(now);
        }
        self.patience.retransmitted();
        match self.loss {
            Loss::NewReno(_) => self.snd_nxt = self.snd_nxt.later_of(outgoing.end()),
            Loss::Selective(_) => self.record(outgoing, now),
        }
        if let SendTimer::Persist { interval, .. } = self.timer {
            let interval = self.rtt.doubled(interval);
            self.timer = SendTimer::Persist { at: now + interval, interval };
        }
    }

    /// SND.NXT advances.
    fn sent_fresh(&mut self, outgoing: &Outgoing, now: Instant) {
        if self.was_idle(now) {
            self.congestion.restart_after_idle();
        }
        if self.snd_una == self.snd_nxt {
            self.patience.renew(now);
            self.congestion.resume(now);
        }
        match &mut self.loss {
            Loss::NewReno(recovery) if recovery.is_open() => self.rtt.time(outgoing.end(), now),
            Loss::NewReno(_) => {}
            Loss::Selective(selective) => selective.sent(Block { left: self.snd_nxt, right: outgoing.end() }, now),
        }
        self.snd_nxt = self.snd_nxt.later_of(outgoing.end());
        self.sent_at = now;
        self.pace(outgoing.text_len, now);
    }

    /// So many octets were sent for the first time: the next ones may have to wait.
    fn pace(&mut self, octets: u32, now: Instant) {
        match self.release() {
            Release::Paced => {
                let (cwnd, percent) = (self.congestion.cwnd(), self.congestion.pacing_percent());
                self.pacer.sent(octets, Rate { cwnd, srtt: self.rtt.srtt(), percent }, now);
            }
            Release::AtOnce => self.pacer.sent_at_once(),
        }
    }

    /// How new segments leave.
    fn release(&self) -> Release {
        Release::of(self.pacing, self.rtt.measured_srtt())
    }

    /// The FIN with all the text before it counted as sent: should some of it be missing, it is outstanding from now on.
    pub(super) fn fin_again(&mut self, now: Instant) -> SeqNum {
        let fin = self.queue.fin().unwrap_or(self.snd_nxt);
        self.rtt.sent_again(now);
        let end = self.stream_end();
        if let Loss::Selective(selective) = &mut self.loss {
            selective.sent(Block { left: self.snd_nxt, right: end }, now);
        }
        self.snd_nxt = self.snd_nxt.later_of(end);
        self.rearm(now, Restart::No);
        self.rearm_early(Cause::Progress, now);
        fin
    }

    // What arrives.

    /// RFC 9293 §3.10.7.4, fifth: the acknowledgement of an acceptable segment, which was trimmed or not.
    ///
    /// If it echoes a mark, CWND does not grow (RFC 3168 §6.1.2).
    pub(super) fn acknowledge(&mut self, segment: &Segment, trim: Trim, marked: Marked, now: Instant) {
        if segment.ack.is_before(self.snd_una) || segment.ack.is_after(self.snd_nxt) {
            return;
        }
        let before = self.snd_una;
        let restart = if self.is_new_ack(segment.ack) {
            self.advance(segment.ack, marked, now)
        } else {
            if trim == Trim::Whole {
                self.count_duplicate(segment);
            }
            Restart::No
        };
        if self.snd_wnd() == 0 {
            // RFC 9293 §3.8.6.1 (MUST-37): as long as probes are answered, the connection stays.
            self.patience.renew(now);
        }
        // Deviation: the test of RFC 9293 §3.10.7.4, fifth, leaves out that an acknowledgement of something new must be newer, even if it
        // comes with an old sequence number because its text was retransmitted. Such a segment tells the window too; without it, SND.UNA
        // would carry the old window past its edge. A peer sees that we keep to the window it sent last.
        if self.snd_una != before || self.window.is_newer(segment) {
            self.update_window(segment);
        }
        self.recover_selectively(segment, before, marked, now);
        self.rearm(now, restart);
        let cause = if self.snd_una == before { Cause::Other } else { Cause::Progress };
        self.rearm_early(cause, now);
        self.check();
    }

    /// The acknowledgement up to `seg_ack`, which is about to be taken, echoes a timestamp of this age.
    pub(super) fn echoed(&mut self, age: Duration, seg_ack: SeqNum, now: Instant) {
        // RFC 7323 §4.1: only if it advances SND.UNA. Appendix G: ExpectedSamples = ceiling(FlightSize / (SMSS * 2)).
        self.echo_age = Some(age);
        let is_measurement = match self.loss {
            Loss::NewReno(_) => true,
            // Segments that were sent once are timed, and tell more; but after a timeout there may be none.
            Loss::Selective(_) => self.rtt.is_backed_off(),
        };
        if self.is_new_ack(seg_ack) && is_measurement {
            self.rtt.echoed(age, self.flight().div_ceil(2 * self.mss), now);
        }
    }

    /// SND.UNA <- SEG.ACK.
    fn advance(&mut self, seg_ack: SeqNum, marked: Marked, now: Instant) -> Restart {
        let flight = self.flight();
        let acked = seg_ack.distance_from(self.snd_una);
        self.queue.acknowledged(seg_ack);
        self.rtt.acknowledged(seg_ack, now);
        self.snd_una = seg_ack;
        self.snd_up.acknowledged(seg_ack);
        self.patience.renew(now);
        let release = self.release();
        let Loss::NewReno(recovery) = &mut self.loss else { return Restart::Yes };
        match recovery.acknowledged(seg_ack) {
            Progress::Normal if marked == Marked::Yes => {}
            Progress::Normal => self.congestion.acknowledged(acked, flight, now, self.rtt.srtt(), release),
            Progress::FirstPartial => self.congestion.partially_acknowledged(acked),
            Progress::LaterPartial => {
                self.congestion.partially_acknowledged(acked);
                // RFC 6582 §3.2 (3): only the first partial acknowledgement restarts the timer.
                return Restart::No;
            }
            Progress::Full => self.congestion.leave_recovery(self.flight(), release),
        }
        Restart::Yes
    }

    /// Tells the scoreboard of an acknowledgement that is not older than the last one.
    fn recover_selectively(&mut self, segment: &Segment, before: SeqNum, marked: Marked, now: Instant) {
        let can_send_new =
            self.cut(self.snd_nxt, self.stream_end(), Reason::Fresh).is_some_and(|new| self.is_worth_sending(&new));
        let echo_age = self.echo_age.take();
        let Loss::Selective(selective) = &mut self.loss else { return };
        let arrival = Arrival {
            seg_ack: segment.ack,
            blocks: &segment.options.sack,
            snd_una: before,
            snd_nxt: self.snd_nxt,
            smss: self.mss,
            can_send_new,
            echo_age,
            marked,
            pacing: self.pacing,
            now,
        };
        selective.acknowledged(&arrival, &mut self.congestion, &mut self.rtt);
    }

    /// RFC 5681 §2: a duplicate ACK has no text, does not change the window, and something is outstanding.
    fn count_duplicate(&mut self, segment: &Segment) {
        let snd_wnd = self.window.announced(segment);
        let is_duplicate = self.snd_una != self.snd_nxt && segment.seg_len() == 0 && snd_wnd == self.snd_wnd();
        // The answers to zero-window probes look the same, but no loss causes them.
        if !is_duplicate || snd_wnd == 0 {
            return;
        }
        let flight = self.flight();
        let Loss::NewReno(recovery) = &mut self.loss else { return };
        match recovery.duplicate(self.snd_una, self.snd_nxt) {
            Duplicate::Counted => {}
            // RFC 5681 §3.2 (2): without what limited transmit sent.
            Duplicate::Lost => self.congestion.enter_recovery(flight.min(self.congestion.cwnd())),
            Duplicate::Inflates => self.congestion.duplicate(),
        }
    }

    /// Takes a newer window.
    fn update_window(&mut self, segment: &Segment) {
        if self.snd_wnd() == 0 && self.window.announced(segment) > 0 && self.snd_una != self.snd_nxt {
            // What was sent into the closed window was most likely dropped there; that is no congestion.
            self.recover_all();
        }
        self.window.take(segment);
    }

    // The timer.

    /// Lets the timer wait for what there is to wait for.
    fn rearm(&mut self, now: Instant, restart: Restart) {
        let is_outstanding = self.snd_una != self.snd_nxt;
        let rto = self.rtt.rto();
        self.timer = if self.snd_wnd() == 0 && (is_outstanding || !self.is_all_sent()) {
            match self.timer {
                SendTimer::Persist { .. } => self.timer,
                // RFC 9293 §3.8.6.1 (SHLD-29): first after one RTO.
                SendTimer::Off | SendTimer::Retransmission(_) | SendTimer::Override(_) => {
                    SendTimer::Persist { at: now + rto, interval: rto }
                }
            }
        } else if is_outstanding {
            match (self.timer, restart) {
                (SendTimer::Retransmission(at), Restart::No) => SendTimer::Retransmission(at),
                (_, Restart::No | Restart::Yes) => SendTimer::Retransmission(now + rto),
            }
        } else if self.is_all_sent() || self.unheld(now).is_some() {
            SendTimer::Off
        } else {
            match self.timer {
                SendTimer::Override(at) => SendTimer::Override(at.max(self.held_until(now).unwrap_or(at))),
                SendTimer::Off | SendTimer::Retransmission(_) | SendTimer::Persist { .. } => {
                    let at = now + self.override_timeout;
                    SendTimer::Override(at.max(self.held_until(now).unwrap_or(at)))
                }
            }
        };
    }

    /// The same for the timers that RACK-TLP has besides.
    fn rearm_early(&mut self, cause: Cause, now: Instant) {
        let rto_at = match self.timer {
            SendTimer::Retransmission(at) => Some(at),
            SendTimer::Off | SendTimer::Persist { .. } | SendTimer::Override(_) => None,
        };
        if let Loss::Selective(selective) = &mut self.loss {
            selective.rearm(rto_at, self.rtt.measured_srtt(), cause, now);
        }
    }

    /// When the peer has not answered for too long (RFC 9293 §3.8.3: R2).
    fn gives_up_at(&self) -> Option<Instant> {
        // A closed window is no silence: only a probe that is not answered is (RFC 9293 §3.8.6.1, MUST-37).
        let is_waiting = match self.timer {
            SendTimer::Persist { .. } => self.patience.has_retransmitted(),
            SendTimer::Off | SendTimer::Retransmission(_) | SendTimer::Override(_) => self.snd_una != self.snd_nxt,
        };
        if is_waiting { self.patience.gives_up_at() } else { None }
    }

    /// Whether that is so.
    pub(super) fn gives_up(&self, now: Instant) -> bool {
        self.gives_up_at().is_some_and(|at| at <= now)
    }

    // The handshake.

    /// Whether our SYN is to be sent again.
    pub(super) fn syn_is_due(&self, now: Instant) -> bool {
        self.timer.deadline().is_some_and(|at| at <= now)
    }

    /// Our SYN is sent again because the timer expired, or because the peer seems to have missed it.
    pub(super) fn syn_sent_again(&mut self, now: Instant) {
        if self.syn_is_due(now) {
            self.handshake = Handshake::Retransmitted;
            self.rtt.back_off(now);
            self.patience.retransmitted();
            self.timer = SendTimer::Retransmission(now + self.rtt.rto());
        }
        self.rtt.sent_again(now);
    }

    /// Our own invariants.
    fn check(&self) {
        assert!(
            self.snd_una.is_at_or_before(self.snd_nxt) && self.snd_nxt.is_at_or_before(self.stream_end()),
            "SND.UNA =< SND.NXT =< end of the stream: {} {} {}",
            self.snd_una,
            self.snd_nxt,
            self.stream_end()
        );
        if let Loss::Selective(selective) = &self.loss {
            assert!(
                selective.is_in_step(self.snd_una, self.snd_nxt),
                "the scoreboard holds what is outstanding: {self:?}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::Pacing;
    use super::super::segment::{Control, Options};
    use super::*;

    const NOW: Instant = Instant::from_millis_const(1_000_000);
    const IRS: SeqNum = SeqNum::new(9000);
    const MSS: u32 = 1000;

    /// A sender whose peer has just acknowledged the SYN.
    struct Bench {
        snd: Sender,
        now: Instant,
        iss: SeqNum,
    }

    /// Initial sequence numbers far from the wrap and such that the text crosses it.
    const BASES: [SeqNum; 3] = [SeqNum::new(100), SeqNum::new(u32::MAX), SeqNum::new(u32::MAX - 1500)];

    fn bench_with(iss: SeqNum, wnd: u16, config: &Config) -> Bench {
        let mut snd = Sender::new(iss, config, NOW);
        let options = Options { mss: Some(1000), ..Options::default() };
        let syn = Segment { seq: IRS, control: Control::SYN, wnd, options, ..Segment::default() };
        snd.take_syn(&syn, config);
        let ack = Segment { seq: IRS + 1, ack: iss + 1, control: Control::ACK, wnd, ..Segment::default() };
        let now = NOW + Duration::from_millis(100);
        snd.establish(&ack, now);
        Bench { snd, now, iss }
    }

    fn bench(wnd: u16) -> Bench {
        bench_with(BASES[1], wnd, &Config::default())
    }

    impl Bench {
        /// Everything that is due now is sent: for each its first octet, counted from the first of the text, and its length.
        fn flush(&mut self) -> Vec<(u32, u32)> {
            let mut sent = Vec::new();
            while let Some(outgoing) = self.snd.due(self.now) {
                self.snd.sent(&outgoing, self.now);
                sent.push((outgoing.seq.distance_from(self.iss + 1), outgoing.end().distance_from(outgoing.seq)));
                assert!(sent.len() < 1000, "no end: {:?}", self.snd);
            }
            sent
        }

        /// SEND of so many octets.
        fn send(&mut self, octets: usize) -> Vec<(u32, u32)> {
            self.snd.send(&vec![7; octets], self.now);
            self.flush()
        }

        /// An acknowledgement of so many octets with this window.
        fn ack(&mut self, octets: u32, wnd: u16) -> Vec<(u32, u32)> {
            let ack = self.iss + 1 + octets;
            let segment = Segment { seq: IRS + 1, ack, control: Control::ACK, wnd, ..Segment::default() };
            self.snd.acknowledge(&segment, Trim::Whole, Marked::No, self.now);
            self.flush()
        }

        /// Time passes until the next deadline: how long, and what is sent then.
        fn wait(&mut self) -> (u64, Vec<(u32, u32)>) {
            let before = self.now;
            self.now = self.snd.deadline(self.now).expect("something is waited for");
            ((self.now - before).total_millis(), self.flush())
        }

        /// Whether nothing is being recovered.
        fn is_open(&self) -> bool {
            matches!(&self.snd.loss, Loss::NewReno(recovery) if recovery.is_open())
        }

        fn pass(&mut self, millis: u64) {
            self.now += Duration::from_millis(millis);
        }
    }

    #[test]
    fn text_is_cut_into_full_segments_within_the_initial_window() {
        for iss in BASES {
            let mut bench = bench_with(iss, 65_535, &Config::default());
            let expected: Vec<_> = (0..10).map(|index| (index * MSS, MSS)).collect();
            assert_eq!(bench.send(20_000), expected);
            // Of the four that the window lets go, two are spread over the round trip.
            assert_eq!(bench.ack(2000, 65_535).len(), 2);
            for at in [12_000, 13_000] {
                let (millis, sent) = bench.wait();
                assert!((1..100).contains(&millis), "{millis}");
                assert_eq!(sent, [(at, 1000)]);
            }
        }
    }

    #[test]
    fn text_is_copied_as_it_was_given() {
        for iss in BASES {
            let mut bench = bench_with(iss, 65_535, &Config::default());
            let text: Vec<u8> = (0..=255).cycle().take(3000).collect();
            bench.snd.send(&text[..1500], bench.now);
            bench.flush();
            bench.ack(1000, 65_535);
            bench.snd.send(&text[1500..], bench.now);
            let outgoing = bench.snd.due(bench.now).unwrap();
            let from = usize::try_from(outgoing.seq.distance_from(iss + 1)).unwrap();
            let len = usize::try_from(outgoing.text_len).unwrap();
            assert_eq!(bench.snd.copy_text(&outgoing), text[from..from + len]);
        }
    }

    #[test]
    fn must_61_push_is_set_where_the_queue_ends() {
        let mut bench = bench(65_535);
        bench.snd.send(&[0; 1500], bench.now);
        let first = bench.snd.due(bench.now).unwrap();
        assert!(!bench.snd.is_last(&first));
        bench.snd.sent(&first, bench.now);
        bench.snd.close(bench.now);
        let second = bench.snd.due(bench.now).unwrap();
        assert!(bench.snd.is_last(&second));
        assert_eq!((second.text_len, second.ending), (500, Ending::Fin));
    }

    #[test]
    fn who_sent_again_a_moment_ago_was_not_idle() {
        let mut bench = bench(65_535);
        bench.send(1000);
        assert_eq!(bench.wait(), (1000, vec![(0, MSS)]));
        assert_eq!(bench.wait(), (2000, vec![(0, MSS)]));
        bench.pass(100);
        bench.ack(1000, 65_535);
        bench.pass(1500);
        assert_eq!(bench.snd.rto(), Duration::from_secs(4));
        assert!(!bench.snd.was_idle(bench.now), "RFC 5681 §4.1: {:?}", bench.snd);
    }

    // Nagle (RFC 9293 §3.7.4) and silly window avoidance (§3.8.6.2.1).

    #[test]
    fn shld_7_small_segment_waits_while_another_is_outstanding() {
        let mut bench = bench(65_535);
        assert_eq!(bench.send(10), [(0, 10)]);
        assert_eq!(bench.send(10), []);
        assert_eq!(bench.send(970), []);
        assert_eq!(bench.send(20), [(10, MSS)]);
        assert_eq!(bench.send(5), []);
        assert_eq!(bench.ack(1010, 65_535), [(1010, 5)]);
    }

    #[test]
    fn must_17_without_nagle_nothing_waits() {
        let mut bench = bench_with(BASES[0], 65_535, &Config { nagle: Nagle::Off, ..Config::default() });
        assert_eq!(bench.send(10), [(0, 10)]);
        assert_eq!(bench.send(10), [(10, 10)]);
    }

    #[test]
    fn last_text_before_a_fin_does_not_wait() {
        let mut bench = bench(65_535);
        bench.send(10);
        assert_eq!(bench.send(10), []);
        bench.snd.close(bench.now);
        assert_eq!(bench.flush(), [(10, 11)]);
    }

    #[test]
    fn must_38_small_part_of_the_window_is_not_used_before_the_override_timeout() {
        let mut bench = bench(2000);
        assert_eq!(bench.send(5000), [(0, MSS), (1000, MSS)]);
        // 499 octets are neither a segment nor half of the largest window.
        assert_eq!(bench.ack(2000, 499), []);
        assert_eq!(bench.wait(), (200, vec![(2000, 499)]));
        assert_eq!(bench.ack(2499, 999), []);
        assert_eq!(bench.ack(2499, 1000), [(2499, 1000)]);
    }

    #[test]
    fn must_38_half_of_the_largest_window_is_used() {
        let mut bench = bench(600);
        assert_eq!(bench.send(5000), [(0, 600)]);
        assert_eq!(bench.ack(600, 299), []);
        assert_eq!(bench.ack(600, 300), [(600, 300)]);
    }

    // Windows (RFC 9293 §3.8.6, §3.10.7.4).

    #[test]
    fn nothing_new_is_sent_past_the_window() {
        let mut bench = bench(2500);
        assert_eq!(bench.send(5000), [(0, MSS), (1000, MSS)]);
        assert_eq!(bench.ack(1000, 2500), [(2000, MSS)]);
        assert_eq!(bench.ack(1000, 2500), []);
    }

    #[test]
    fn window_is_taken_from_newer_segments_only() {
        let mut bench = bench(5000);
        let una = bench.iss + 1;
        let mut update = |seq: u32, ack: SeqNum, wnd| {
            let segment = Segment { seq: IRS + seq, ack, control: Control::ACK, wnd, ..Segment::default() };
            bench.snd.acknowledge(&segment, Trim::Whole, Marked::No, bench.now);
            bench.snd.snd_wnd()
        };
        assert_eq!(update(1, una, 4000), 4000);
        assert_eq!(update(5, una, 3000), 3000);
        // SEG.SEQ before WL1, with nothing new acknowledged: an old one.
        assert_eq!(update(4, una, 2000), 3000);
        // WL1 = SEG.SEQ and WL2 =< SEG.ACK.
        assert_eq!(update(5, una, 2500), 2500);
        // Below SND.UNA: ignored altogether.
        assert_eq!(update(6, una - 1, 1000), 2500);
    }

    #[test]
    fn acknowledgement_of_something_new_tells_the_window_whatever_its_sequence_number() {
        let mut bench = bench(5000);
        bench.send(2000);
        let segment = Segment { seq: IRS, ack: bench.iss + 1001, control: Control::ACK, wnd: 77, ..Segment::default() };
        bench.snd.acknowledge(&segment, Trim::Whole, Marked::No, bench.now);
        assert_eq!(bench.snd.snd_wnd(), 77);
    }

    #[test]
    fn must_34_window_may_shrink_below_what_is_outstanding() {
        let mut bench = bench(5000);
        assert_eq!(bench.send(8000).len(), 5);
        assert_eq!(bench.ack(1000, 1500), []);
        // SHLD-16: what is old is sent again within the window, and nothing new (SHLD-15).
        let (_, again) = bench.wait();
        assert_eq!(again, [(1000, 1000)]);
        assert_eq!(bench.ack(2000, 500), [(2000, 500)]);
        assert_eq!(bench.ack(2500, 8000).first(), Some(&(2500, 1000)));
    }

    #[test]
    fn ack_has_a_sequence_number_that_a_shrunk_window_takes() {
        let mut bench = bench(5000);
        bench.send(5000);
        assert_eq!(bench.snd.ack_seq(), bench.iss + 5001);
        bench.ack(0, 4999);
        assert_eq!(bench.snd.ack_seq(), bench.iss + 1 + 4998);
        bench.ack(0, 0);
        assert_eq!(bench.snd.ack_seq(), bench.iss + 1);
    }

    // Zero-window probes (RFC 9293 §3.8.6.1).

    #[test]
    fn must_36_zero_window_is_probed_after_one_rto_and_then_ever_more_rarely() {
        for iss in BASES {
            let mut bench = bench_with(iss, 1000, &Config::default());
            assert_eq!(bench.send(3000), [(0, 1000)]);
            assert_eq!(bench.ack(1000, 0), []);
            for millis in [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000] {
                assert_eq!(bench.wait(), (millis, vec![(1000, 1)]));
                bench.ack(1000, 0);
            }
        }
    }

    #[test]
    fn must_37_answered_probes_keep_the_connection_and_unanswered_ones_do_not() {
        let mut bench = bench(0);
        bench.send(100);
        for _ in 0..100 {
            bench.wait();
            bench.ack(0, 0);
            assert!(!bench.snd.gives_up(bench.now));
        }
        bench.wait();
        let unanswered = bench.now;
        while !bench.snd.gives_up(bench.now) {
            bench.wait();
        }
        assert_eq!(bench.now - unanswered, Duration::from_secs(300));
    }

    #[test]
    fn opened_window_is_used_at_once_from_the_probe_on() {
        let mut bench = bench(0);
        assert_eq!(bench.send(3000), []);
        bench.wait();
        // The probe's octet was not taken.
        assert_eq!(bench.ack(0, 5000), [(0, 1000), (1000, 1000), (2000, 1000)]);
    }

    #[test]
    fn probe_that_was_taken_is_not_sent_again() {
        let mut bench = bench(0);
        bench.send(1001);
        assert_eq!(bench.wait().1, [(0, 1)]);
        assert_eq!(bench.ack(1, 5000), [(1, 1000)]);
    }

    #[test]
    fn fin_alone_probes_a_zero_window() {
        let mut bench = bench(0);
        bench.snd.close(bench.now);
        assert_eq!(bench.flush(), []);
        assert_eq!(bench.wait(), (1000, vec![(0, 1)]));
        assert!(bench.snd.acknowledges_fin(bench.iss + 2));
    }

    #[test]
    fn must_35_window_shrunk_to_zero_is_probed_with_what_is_outstanding() {
        let mut bench = bench(5000);
        bench.send(3000);
        bench.ack(0, 0);
        assert_eq!(bench.wait(), (1000, vec![(0, 1)]));
        assert_eq!(bench.ack(0, 5000), [(0, 1000), (1000, 1000), (2000, 1000)]);
        // That was no congestion.
        assert_eq!(bench.snd.congestion().cwnd(), 10_000);
    }

    /// A SYN with the largest window scale.
    fn scaled_syn() -> Segment {
        let options = Options { window_scale: Some(14), ..Options::default() };
        Segment { seq: IRS, wnd: 65_535, control: Control::SYN, options, ..Segment::default() }
    }

    #[test]
    fn stream_may_be_longer_than_the_sequence_space() {
        const PIECE: u32 = 1 << 20;
        // Past half of it, and past all of it.
        for (sack, pieces) in [(Sack::Off, 3000), (Sack::On, 4100)] {
            let mut bench = bench_with(BASES[0], 65_535, &Config { sack, ..Config::default() });
            bench.snd.mss = 8000;
            bench.snd.window.take_syn(&scaled_syn());
            let mut sent: u32 = 0;
            for _ in 0..pieces {
                let mut flight = bench.send(usize::try_from(PIECE).unwrap());
                let end = sent.wrapping_add(PIECE);
                while sent != end {
                    let octets: u32 = flight.iter().map(|(_, len)| len).sum();
                    assert_eq!(flight.first().map(|(at, _)| *at), Some(sent));
                    sent = sent.wrapping_add(octets);
                    flight = bench.ack(sent, 65_535);
                }
            }
            // A loss is still found: three duplicate ACKs, though nothing was lost for so long.
            if sack == Sack::Off {
                bench.send(200_000);
                bench.ack(sent, 65_535);
                bench.ack(sent, 65_535);
                assert_eq!(bench.ack(sent, 65_535), [(sent, 8000)]);
            }
        }
    }

    // Retransmission and congestion (RFC 6298, RFC 5681, RFC 6582).

    /// With windows that can be told by heart.
    fn reno() -> Config {
        Config { congestion: CongestionControl::NewReno, pacing: Pacing::Off, ..Config::default() }
    }

    #[test]
    fn must_19_timeout_sends_the_front_and_goes_on_in_slow_start() {
        for iss in BASES {
            let mut bench = bench_with(iss, 65_535, &reno());
            bench.send(8000);
            assert_eq!(bench.wait(), (1000, vec![(0, 1000)]));
            assert_eq!((bench.snd.congestion().cwnd(), bench.snd.congestion().ssthresh()), (1000, 4000));
            assert_eq!(bench.wait(), (2000, vec![(0, 1000)]));
            assert_eq!(bench.snd.congestion().ssthresh(), 4000);
            assert_eq!(bench.ack(1000, 65_535), [(1000, 1000), (2000, 1000)]);
            assert_eq!(bench.ack(3000, 65_535), [(3000, 1000), (4000, 1000), (5000, 1000)]);
            // The rest had arrived all along.
            assert_eq!(bench.ack(8000, 65_535), []);
            assert_eq!(bench.snd.deadline(bench.now), None);
        }
    }

    #[test]
    fn timer_restarts_with_each_new_acknowledgement_and_stops_with_the_last() {
        let mut bench = bench(65_535);
        bench.send(2000);
        bench.pass(600);
        bench.ack(1000, 65_535);
        assert_eq!(bench.wait(), (1000, vec![(1000, 1000)]));
        bench.ack(2000, 65_535);
        assert_eq!(bench.snd.deadline(bench.now), None);
    }

    #[test]
    fn third_duplicate_is_a_fast_retransmit_and_recovery_ends_past_what_was_outstanding() {
        for iss in BASES {
            let mut bench = bench_with(iss, 65_535, &reno());
            bench.send(50_000);
            bench.ack(1000, 65_535);
            // 1,000 to 12,000 are outstanding, with cwnd at 11,000; 1,000 and 3,000 were lost.
            // RFC 3042: the first two duplicates let new text go, beyond the window.
            for at in [12_000, 13_000] {
                assert_eq!(bench.ack(1000, 65_535), [(at, 1000)]);
            }
            assert_eq!(bench.ack(1000, 65_535), [(1000, 1000)]);
            assert_eq!((bench.snd.congestion().ssthresh(), bench.snd.congestion().cwnd()), (5500, 8500));
            for _ in 0..5 {
                assert_eq!(bench.ack(1000, 65_535), []);
            }
            // Further duplicates let new text go.
            assert_eq!(bench.ack(1000, 65_535), [(14_000, 1000)]);
            // A partial acknowledgement: the next hole at once.
            assert_eq!(bench.ack(3000, 65_535).first(), Some(&(3000, 1000)));
            assert!(!bench.is_open());
            bench.ack(14_000, 65_535);
            assert!(bench.is_open());
            assert!(bench.snd.congestion().cwnd() <= 5500);
        }
    }

    #[test]
    fn what_is_no_duplicate_ack_is_not_counted() {
        let mut bench = bench(60_000);
        bench.send(5000);
        let segment = |wnd, payload: &[u8]| Segment {
            seq: IRS + 1,
            ack: BASES[1] + 1,
            control: Control::ACK,
            wnd,
            payload: payload.to_vec(),
            ..Segment::default()
        };
        for wnd in [60_001, 60_002, 60_003, 60_004] {
            bench.snd.acknowledge(&segment(wnd, b""), Trim::Whole, Marked::No, bench.now);
        }
        for _ in 0..4 {
            bench.snd.acknowledge(&segment(60_004, b"text"), Trim::Whole, Marked::No, bench.now);
            bench.snd.acknowledge(&segment(60_004, b""), Trim::Cut(None), Marked::No, bench.now);
        }
        assert_eq!(bench.flush(), []);
        for _ in 0..3 {
            bench.snd.acknowledge(&segment(60_004, b""), Trim::Whole, Marked::No, bench.now);
        }
        assert_eq!(bench.flush(), [(0, 1000)]);
    }

    #[test]
    fn must_18_retransmitted_segment_gives_no_measurement() {
        let mut bench = bench(65_535);
        bench.send(1000);
        bench.wait();
        assert_eq!(bench.snd.rto(), Duration::from_secs(2));
        bench.pass(10);
        bench.ack(1000, 65_535);
        assert_eq!(bench.snd.rto(), Duration::from_secs(2));
        bench.send(1000);
        bench.pass(10);
        bench.ack(2000, 65_535);
        assert_eq!(bench.snd.rto(), Duration::from_secs(1));
    }

    #[test]
    fn fin_is_outstanding_like_text() {
        for iss in BASES {
            let mut bench = bench_with(iss, 65_535, &Config::default());
            bench.send(1500);
            bench.snd.close(bench.now);
            assert_eq!(bench.flush(), [(1000, 501)]);
            assert_eq!(bench.ack(1000, 65_535), []);
            assert_eq!(bench.wait(), (1000, vec![(1000, 501)]));
            // The text was there, the FIN was not.
            assert_eq!(bench.ack(1500, 65_535), []);
            assert_eq!(bench.wait(), (2000, vec![(1500, 1)]));
            bench.ack(1501, 65_535);
            assert_eq!(bench.snd.deadline(bench.now), None);
        }
    }

    #[test]
    fn idle_connection_begins_with_the_initial_window_again() {
        let mut bench = bench(65_535);
        for round in 1..20 {
            bench.send(10_000);
            bench.ack(round * 10_000, 65_535);
        }
        assert!(bench.snd.congestion().cwnd() > 10_000);
        bench.pass(1001);
        assert_eq!(bench.send(30_000).len(), 10);
    }

    #[test]
    fn acknowledgement_of_nothing_sent_or_of_old_text_changes_nothing() {
        let mut bench = bench(65_535);
        bench.send(3000);
        bench.ack(2000, 65_535);
        for ack in [3001, 1999, 0] {
            bench.ack(ack, 1);
            assert_eq!((bench.snd.snd_una(), bench.snd.snd_wnd()), (bench.iss + 2001, 65_535));
        }
    }

    #[test]
    fn may_12_range_of_acknowledgements_has_two_closed_ends() {
        for iss in BASES {
            let mut bench = bench_with(iss, 500, &Config::default());
            bench.send(400);
            let una = iss + 1;
            assert!(!bench.snd.is_ack_acceptable(una - 501));
            assert!(bench.snd.is_ack_acceptable(una - 500));
            assert!(bench.snd.is_ack_acceptable(una + 400));
            assert!(!bench.snd.is_ack_acceptable(una + 401));
        }
    }
}
