//! A client without a role: the machine of the active side, driven over the raw end of an in-process link.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use session_tcp::smol_lower::LinkEnd;
use session_tcp::tcp::segment::Segment;
use session_tcp::tcp::seq::SeqNum;
use session_tcp::tcp::{
    CloseWait, Closing, ClosingDue, ClosingVerdict, Config, Due, Established, EstablishedVerdict, FinWait1,
    FinWait1Verdict, FinWait2, FinWait2Due, FinWait2Verdict, LastAck, Poll, Reaction, SynSent, SynSentVerdict, Tcp,
    TcpClosed,
};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::Instant as Moment;
use smoltcp::wire::{IpProtocol, Ipv4Packet, Ipv4Repr};

/// Text that a client may have sent without its answer, so that neither side waits for the other's buffers.
const UNANSWERED_BYTES: usize = 64 * 1024;

/// Which side closes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closes {
    /// The client, when everything is answered.
    Client,
    /// The server.
    Server,
}

/// What became of a conversation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Both streams were finished.
    Finished,
    /// The connection was reset or given up.
    Reset,
}

/// The machine in whichever state it is.
#[derive(Debug)]
enum State {
    SynSent(Tcp<SynSent>),
    Established(Tcp<Established>),
    CloseWait(Tcp<CloseWait>),
    FinWait1(Tcp<FinWait1>),
    FinWait2(Tcp<FinWait2>),
    Closing(Tcp<Closing>),
    LastAck(Tcp<LastAck>),
    Over(Outcome),
}

/// What a machine has to send, or until when it has nothing.
enum Next {
    Send(Segment),
    Wait(Option<Moment>),
    GiveUp,
}

/// A client: its machine's surroundings and what it has to say.
pub(crate) struct Client<'a> {
    end: &'a LinkEnd,
    local: SocketAddrV4,
    remote: SocketAddrV4,
    epoch: Instant,
    unsent: &'a [u8],
    sent_bytes: usize,
    closes: Closes,
    /// What the server sent.
    pub(crate) received: Vec<u8>,
}

impl<'a> Client<'a> {
    /// A client that will say `stream`.
    pub(crate) fn new(
        end: &'a LinkEnd,
        local: SocketAddrV4,
        remote: SocketAddrV4,
        stream: &'a [u8],
        closes: Closes,
    ) -> Self {
        let epoch = Instant::now();
        Client { end, local, remote, epoch, unsent: stream, sent_bytes: 0, closes, received: Vec::new() }
    }

    /// Connects, says everything, and hears everything; panics if that takes longer than `patience`.
    pub(crate) fn converse(&mut self, patience: Duration) -> Outcome {
        let iss = SeqNum::new(u32::MAX - 5);
        let (tcp, syn) = TcpClosed::new(Config::default()).connect(self.local, self.remote, iss, self.now());
        self.send(&syn.into());
        let mut state = State::SynSent(tcp);
        while self.epoch.elapsed() < patience {
            state = self.speak(state);
            let until = match self.due(&mut state) {
                Next::Send(segment) => {
                    self.send(&segment);
                    continue;
                }
                Next::Wait(until) => until,
                Next::GiveUp => return Outcome::Reset,
            };
            if let State::Over(outcome) = state {
                return outcome;
            }
            if let Some(segment) = self.receive(until) {
                state = self.arrive(state, segment);
            }
        }
        panic!("not finished after {patience:?} in {state:?}: {} octets received", self.received.len());
    }

    fn now(&self) -> Moment {
        Moment::from_micros(i64::try_from(self.epoch.elapsed().as_micros()).unwrap())
    }

    /// Reads what there is, writes what there is room for, closes when it is time.
    fn speak(&mut self, state: State) -> State {
        let now = self.now();
        match state {
            State::Established(mut tcp) => {
                self.received.extend(tcp.deliver(usize::MAX));
                let room = (self.received.len() + UNANSWERED_BYTES).saturating_sub(self.sent_bytes);
                let (piece, rest) = self.unsent.split_at(self.unsent.len().min(room));
                if tcp.can_send() && !piece.is_empty() {
                    tcp.send(piece, now);
                    self.unsent = rest;
                    self.sent_bytes += piece.len();
                }
                let satisfied = self.unsent.is_empty() && self.received.len() >= self.sent_bytes;
                match self.closes {
                    Closes::Client if satisfied => State::FinWait1(tcp.close(now)),
                    Closes::Client | Closes::Server => State::Established(tcp),
                }
            }
            State::CloseWait(mut tcp) => {
                self.received.extend(tcp.deliver(usize::MAX));
                State::LastAck(tcp.close(now))
            }
            other => other,
        }
    }

    /// Asks the machine what is due.
    fn due(&self, state: &mut State) -> Next {
        let now = self.now();
        match state {
            State::SynSent(tcp) => match tcp.poll(now) {
                Poll::Now(session_tcp::tcp::SynSentDue::Retransmit) => Next::Send(tcp.retransmit(now).into()),
                Poll::Now(session_tcp::tcp::SynSentDue::GiveUp) => Next::GiveUp,
                Poll::At(at) => Next::Wait(Some(at)),
                Poll::Never => Next::Wait(None),
            },
            State::Established(tcp) => match tcp.poll(now) {
                Poll::Now(Due::Segment) => Next::Send(tcp.transmit(now).into()),
                other => wait(&other),
            },
            State::CloseWait(tcp) => match tcp.poll(now) {
                Poll::Now(Due::Segment) => Next::Send(tcp.transmit(now).into()),
                other => wait(&other),
            },
            State::FinWait2(tcp) => match tcp.poll(now) {
                Poll::Now(FinWait2Due::Segment) => Next::Send(tcp.transmit(now).into()),
                other => wait(&other),
            },
            State::FinWait1(tcp) => match tcp.poll(now) {
                Poll::Now(ClosingDue::Segment) => Next::Send(tcp.transmit(now).into()),
                Poll::Now(ClosingDue::Fin) => Next::Send(tcp.transmit_fin(now).into()),
                other => wait(&other),
            },
            State::Closing(tcp) => match tcp.poll(now) {
                Poll::Now(ClosingDue::Segment) => Next::Send(tcp.transmit(now).into()),
                Poll::Now(ClosingDue::Fin) => Next::Send(tcp.transmit_fin(now).into()),
                other => wait(&other),
            },
            State::LastAck(tcp) => match tcp.poll(now) {
                Poll::Now(ClosingDue::Segment) => Next::Send(tcp.transmit(now).into()),
                Poll::Now(ClosingDue::Fin) => Next::Send(tcp.transmit_fin(now).into()),
                other => wait(&other),
            },
            State::Over(_) => Next::Wait(None),
        }
    }

    /// Lets a segment arrive.
    fn arrive(&mut self, state: State, segment: Segment) -> State {
        let now = self.now();
        match state {
            State::SynSent(tcp) => match tcp.judge(segment, now) {
                Reaction::Acceptable(SynSentVerdict::Answered(answer)) => {
                    State::Established(tcp.established(answer, now))
                }
                Reaction::Acceptable(SynSentVerdict::Crossed(_)) | Reaction::NotAcceptable(..) => State::SynSent(tcp),
                Reaction::Reset(_) => State::Over(Outcome::Reset),
            },
            State::Established(mut tcp) => match self.checked(tcp.judge(segment, now)) {
                Ok(EstablishedVerdict::Acceptable(segment)) => {
                    tcp.accept(segment, now);
                    State::Established(tcp)
                }
                Ok(EstablishedVerdict::Finishes(fin)) => State::CloseWait(tcp.finish(fin, now)),
                Err(Some(refused)) => {
                    self.send(&tcp.challenge(&refused, now).into());
                    State::Established(tcp)
                }
                Err(None) => State::Over(Outcome::Reset),
            },
            State::FinWait1(mut tcp) => match self.checked(tcp.judge(segment, now)) {
                Ok(FinWait1Verdict::Acceptable(segment)) => {
                    tcp.accept(segment, now);
                    State::FinWait1(tcp)
                }
                Ok(FinWait1Verdict::AcksFin(acked)) => State::FinWait2(tcp.fin_wait_2(acked, now)),
                Ok(FinWait1Verdict::Finishes(fin)) => State::Closing(tcp.closing(fin, now)),
                Ok(FinWait1Verdict::AcksFinAndFinishes(both)) => {
                    self.last(tcp.time_wait(both, now).transmit(now).into())
                }
                Ok(FinWait1Verdict::AfterClose(_)) | Err(None) => State::Over(Outcome::Reset),
                Err(Some(_)) => State::FinWait1(tcp),
            },
            State::FinWait2(mut tcp) => match self.checked(tcp.judge(segment, now)) {
                Ok(FinWait2Verdict::Acceptable(segment)) => {
                    tcp.accept(segment, now);
                    State::FinWait2(tcp)
                }
                Ok(FinWait2Verdict::Finishes(fin)) => self.last(tcp.time_wait(fin, now).transmit(now).into()),
                Ok(FinWait2Verdict::AfterClose(_)) | Err(None) => State::Over(Outcome::Reset),
                Err(Some(_)) => State::FinWait2(tcp),
            },
            State::CloseWait(_) | State::Closing(_) | State::LastAck(_) | State::Over(_) => {
                self.arrive_last(state, segment)
            }
        }
    }

    /// Lets a segment arrive after the peer's FIN.
    fn arrive_last(&mut self, state: State, segment: Segment) -> State {
        let now = self.now();
        match state {
            State::CloseWait(mut tcp) => match self.checked(tcp.judge(segment, now)) {
                Ok(segment) => {
                    tcp.accept(segment, now);
                    State::CloseWait(tcp)
                }
                Err(Some(_)) => State::CloseWait(tcp),
                Err(None) => State::Over(Outcome::Reset),
            },
            State::Closing(mut tcp) => match self.checked(tcp.judge(segment, now)) {
                Ok(ClosingVerdict::Acceptable(segment)) => {
                    tcp.accept(segment, now);
                    State::Closing(tcp)
                }
                Ok(ClosingVerdict::AcksFin(_)) => State::Over(Outcome::Finished),
                Err(Some(_)) => State::Closing(tcp),
                Err(None) => State::Over(Outcome::Reset),
            },
            State::LastAck(mut tcp) => match self.checked(tcp.judge(segment, now)) {
                Ok(ClosingVerdict::Acceptable(segment)) => {
                    tcp.accept(segment, now);
                    State::LastAck(tcp)
                }
                Ok(ClosingVerdict::AcksFin(_)) => State::Over(Outcome::Finished),
                Err(Some(refused)) => {
                    self.send(&tcp.challenge(&refused, now).into());
                    State::LastAck(tcp)
                }
                Err(None) => State::Over(Outcome::Reset),
            },
            other => other,
        }
    }

    /// What was judged acceptable; otherwise the segment to be answered, or none for a reset.
    fn checked<V>(&self, reaction: Reaction<V>) -> Result<V, Option<Segment>> {
        match reaction {
            Reaction::Acceptable(verdict) => Ok(verdict),
            Reaction::NotAcceptable(segment, _) => Err(Some(segment)),
            Reaction::Reset(_) => Err(None),
        }
    }

    /// Sends the last ACK; who loses it asks in vain, which is the server's TIME-WAIT or LAST-ACK to live with.
    fn last(&self, ack: Segment) -> State {
        self.send(&ack);
        State::Over(Outcome::Finished)
    }

    fn send(&self, segment: &Segment) {
        let octets = segment.emit(*self.local.ip(), *self.remote.ip());
        let repr = Ipv4Repr {
            src_addr: *self.local.ip(),
            dst_addr: *self.remote.ip(),
            next_header: IpProtocol::Tcp,
            payload_len: octets.len(),
            hop_limit: 64,
        };
        let mut packet = Ipv4Packet::new_unchecked(vec![0; repr.buffer_len() + octets.len()]);
        repr.emit(&mut packet, &ChecksumCapabilities::default());
        packet.payload_mut().copy_from_slice(&octets);
        self.end.transmit(packet.into_inner()).unwrap();
    }

    /// Waits for a whole segment of this connection, until then at most.
    fn receive(&self, until: Option<Moment>) -> Option<Segment> {
        let micros = until.map_or(50_000, |until| (until - self.now()).total_micros().clamp(1, 50_000));
        let packet = self.end.receive(smoltcp::time::Duration::from_micros(micros)).unwrap()?;
        let packet = Ipv4Packet::new_checked(&packet[..]).ok()?;
        let (src, dst) = (packet.src_addr(), packet.dst_addr());
        let segment = Segment::parse(packet.payload(), src, dst).ok()?;
        (packet.verify_checksum() && segment.dst_port == self.local.port()).then_some(segment)
    }
}

/// What a poll that has no segment says.
fn wait<D>(poll: &Poll<D>) -> Next {
    match poll {
        Poll::Now(_) => Next::GiveUp,
        Poll::At(at) => Next::Wait(Some(*at)),
        Poll::Never => Next::Wait(None),
    }
}
