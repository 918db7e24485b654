//! The program of a system role: one function a protocol state, guided by its token (dissertation §3.3.4).
//!
//! Each function waits for one event, lets the machine make its transition and names the next state. The token says what
//! may be sent, the machine ([`crate::tcp`]) what is in it; `At` keeps the two in step.

mod closing;
mod data;
mod opening;

use std::fmt;
use std::net::SocketAddrV4;

use log::{Level, debug, info, log_enabled};

use crate::calls::{Reset, ResetCause};
use crate::smol_channel::{Ack, Arrived, Rst};
use crate::st::{Action, End, Message, Offer, Picked, SelectOne, SessionError, Token};
use crate::tcp::isn::IsnSecret;
use crate::tcp::segment::Segment;
use crate::tcp::{self, Answer, Config, HardError, IcmpError, Reaction, Resets, Tcp, TcpListen};
use crate::undirected::{Io, User};
use crate::{
    SystemCloseWait, SystemCloseWaitReceive, SystemClosed, SystemClosedTold, SystemClosing, SystemEstablished,
    SystemEstablishedReceive, SystemFinWait1, SystemFinWait2, SystemLastAck, SystemListen, SystemSide,
    SystemSynReceived, SystemSynSent, SystemTimeWait,
};
use opening::Opens;

/// A session type that belongs to one state of RFC 9293: its function gets the machine in that state.
trait Stated: Action {
    /// The machine's state.
    type State: tcp::State;
}

macro_rules! stated {
    ($($session:ident => $state:ident),+ $(,)?) => {$(
        impl<S: SystemSide> Stated for $session<S> {
            type State = tcp::$state;
        }
    )+};
}

stated! {
    SystemSynSent => SynSent,
    SystemSynReceived => SynReceived,
    SystemEstablished => Established,
    SystemEstablishedReceive => Established,
    SystemCloseWait => CloseWait,
    SystemCloseWaitReceive => CloseWait,
    SystemFinWait1 => FinWait1,
    SystemFinWait2 => FinWait2,
    SystemClosing => Closing,
    SystemLastAck => LastAck,
    SystemTimeWait => TimeWait,
}

/// The labels that every state with a machine offers its peer.
trait Labels<S: SystemSide>: Offer {
    fn unacceptable(segment: Segment) -> Picked<Self, S::Peer>;
    fn ignored(segment: Segment) -> Picked<Self, S::Peer>;
    fn reset(reset: Resets) -> Picked<Self, S::Peer>;
    fn icmp(error: IcmpError) -> Picked<Self, S::Peer>;
    /// Only a connection that is being opened is ended by an ICMP error.
    fn unreachable(error: HardError) -> Picked<Self, S::Peer> {
        Self::icmp(*error.error())
    }
    /// Only the handshake answers with a RST and stays.
    fn refused(segment: Segment) -> Picked<Self, S::Peer> {
        Self::ignored(segment)
    }
}

/// Implements `Labels`: the label of what is owed an ACK, and in the handshake those of what is owed a RST and of a hard error.
macro_rules! labels {
    ($($session:ident: $unacceptable:ident $(, $refused:ident, $unreachable:ident)?);+ $(;)?) => {$(
        impl<S: SystemSide> Labels<S> for $session<S> {
            fn unacceptable(segment: Segment) -> Picked<Self, S::Peer> {
                Self::$unacceptable(segment)
            }
            fn ignored(segment: Segment) -> Picked<Self, S::Peer> {
                Self::Ignored(segment)
            }
            fn reset(reset: Resets) -> Picked<Self, S::Peer> {
                Self::Reset(reset)
            }
            fn icmp(error: IcmpError) -> Picked<Self, S::Peer> {
                Self::Icmp(error)
            }
            $(fn refused(segment: Segment) -> Picked<Self, S::Peer> {
                Self::$refused(segment)
            }
            fn unreachable(error: HardError) -> Picked<Self, S::Peer> {
                Self::$unreachable(error)
            })?
        }
    )+};
}

labels!(
    // Before there is a RCV.NXT nothing is answered with an ACK.
    SystemSynSent: Ignored, Refused, Unreachable;
    SystemSynReceived: Unacceptable, Refused, Unreachable;
    SystemEstablished: Unacceptable;
    SystemEstablishedReceive: Unacceptable;
    SystemCloseWait: Unacceptable;
    SystemCloseWaitReceive: Unacceptable;
    SystemFinWait1: Unacceptable;
    SystemFinWait2: Unacceptable;
    SystemClosing: Unacceptable;
    SystemLastAck: Unacceptable;
    SystemTimeWait: Unacceptable;
);

/// Picks the label for what has arrived, `judge` being asked about a segment; `acceptable` for what the state itself makes
/// of it.
fn label<S: SystemSide, A: Labels<S>, T: tcp::State, V>(
    tcp: &Tcp<T>,
    arrived: Arrived,
    judge: impl FnOnce(Segment) -> Reaction<V>,
    acceptable: impl FnOnce(V) -> Picked<A, S::Peer>,
) -> Picked<A, S::Peer> {
    let segment = match arrived {
        Arrived::Segment(segment) => segment,
        Arrived::Icmp(error) => return error.hard().map_or_else(A::icmp, A::unreachable),
    };
    let said = log_enabled!(Level::Debug).then(|| segment.to_string());
    let reaction = judge(segment);
    if let Some(said) = said {
        log_verdict(tcp, &said, &reaction);
    }
    match reaction {
        Reaction::Acceptable(verdict) => acceptable(verdict),
        Reaction::NotAcceptable(segment, Answer::Ack) => A::unacceptable(segment),
        Reaction::NotAcceptable(segment, Answer::Rst) => A::refused(segment),
        Reaction::NotAcceptable(segment, Answer::Nothing) => A::ignored(segment),
        Reaction::Reset(reset) => A::reset(reset),
    }
}

/// One line for a segment that was judged, with the numbers that it was judged by.
fn log_verdict<T: tcp::State, V>(tcp: &Tcp<T>, segment: &str, reaction: &Reaction<V>) {
    let verdict = match reaction {
        Reaction::Acceptable(_) => "acceptable",
        Reaction::NotAcceptable(_, Answer::Ack) => "not acceptable, answered with an ACK",
        Reaction::NotAcceptable(_, Answer::Rst) => "not acceptable, answered with a RST",
        Reaction::NotAcceptable(_, Answer::Nothing) => "not acceptable, dropped",
        Reaction::Reset(_) => "resets the connection",
    };
    let status = tcp.status();
    debug!(
        "{} in {}: {segment}: {verdict}: rcv_nxt={} rcv_wnd={} snd_una={} snd_nxt={}",
        tcp.remote(),
        status.state,
        status.rcv_nxt,
        status.rcv_wnd,
        status.snd_una,
        status.snd_nxt
    );
}

/// A token and the machine in the state that the token names; neither is had without the other.
struct At<S: SystemSide, T: Stated> {
    st: Token<S, T>,
    tcp: Tcp<T::State>,
}

impl<S: SystemSide, T: Stated> At<S, T> {
    /// The same state, after an event that changes only the machine.
    fn after(st: Token<S, T>, mut tcp: Tcp<T::State>, event: impl FnOnce(&mut Tcp<T::State>)) -> Self {
        event(&mut tcp);
        At { st, tcp }
    }
}

/// Where a session is between two events.
enum Phase<S: SystemSide> {
    Listen(Token<S, SystemListen<S>>, TcpListen),
    SynSent(At<S, SystemSynSent<S>>),
    SynReceived(At<S, SystemSynReceived<S>>),
    Established(At<S, SystemEstablished<S>>),
    EstablishedReceive(At<S, SystemEstablishedReceive<S>>),
    CloseWait(At<S, SystemCloseWait<S>>),
    CloseWaitReceive(At<S, SystemCloseWaitReceive<S>>),
    FinWait1(At<S, SystemFinWait1<S>>),
    FinWait2(At<S, SystemFinWait2<S>>),
    Closing(At<S, SystemClosing<S>>),
    LastAck(At<S, SystemLastAck<S>>),
    TimeWait(At<S, SystemTimeWait<S>>),
    Closed(Token<S, SystemClosed<S>>, ResetCause),
    ClosedTold(Token<S, SystemClosedTold<S>>),
    Ended(Token<S, End>),
}

impl<S: SystemSide> Phase<S> {
    fn state(&self) -> State {
        match self {
            Phase::Listen(..) => State::Listen,
            Phase::SynSent(_) => State::SynSent,
            Phase::SynReceived(_) => State::SynReceived,
            Phase::Established(_) | Phase::EstablishedReceive(_) => State::Established,
            Phase::CloseWait(_) | Phase::CloseWaitReceive(_) => State::CloseWait,
            Phase::FinWait1(_) => State::FinWait1,
            Phase::FinWait2(_) => State::FinWait2,
            Phase::Closing(_) => State::Closing,
            Phase::LastAck(_) => State::LastAck,
            Phase::TimeWait(_) => State::TimeWait,
            Phase::Closed(..) | Phase::ClosedTold(_) | Phase::Ended(_) => State::Closed,
        }
    }
}

/// The states of RFC 9293 §3.3.2, to be told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are the RFC's")]
pub enum State {
    Closed,
    Listen,
    SynSent,
    SynReceived,
    Established,
    CloseWait,
    FinWait1,
    FinWait2,
    Closing,
    LastAck,
    TimeWait,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Closed => "CLOSED",
            State::Listen => "LISTEN",
            State::SynSent => "SYN-SENT",
            State::SynReceived => "SYN-RECEIVED",
            State::Established => "ESTABLISHED",
            State::CloseWait => "CLOSE-WAIT",
            State::FinWait1 => "FIN-WAIT-1",
            State::FinWait2 => "FIN-WAIT-2",
            State::Closing => "CLOSING",
            State::LastAck => "LAST-ACK",
            State::TimeWait => "TIME-WAIT",
        })
    }
}

/// The line that tells of a change of state.
pub(crate) fn change(remote: Option<SocketAddrV4>, from: State, to: State) -> String {
    remote.map_or_else(|| format!("{from} -> {to}"), |remote| format!("{remote}: {from} -> {to}"))
}

/// Hears of a session's changes of state.
pub trait Watch {
    /// The session went from one state to another, with `remote` as its peer where it has one.
    fn changed(&mut self, remote: Option<SocketAddrV4>, from: State, to: State);
}

/// A system's program and what it works with.
pub struct System<S: SystemSide, W> {
    io: Io<S>,
    config: Config,
    isn: IsnSecret,
    remote: Option<SocketAddrV4>,
    watch: W,
}

impl<S: SystemSide, W: Watch> System<S, W> {
    /// Makes the program of one session.
    pub fn new(io: Io<S>, config: Config, isn: IsnSecret, watch: W) -> Self {
        System { io, config, isn, remote: None, watch }
    }

    /// Goes from state to state until the session ends.
    fn follow(&mut self, mut phase: Phase<S>) -> Result<End, SessionError>
    where
        S: Opens,
    {
        loop {
            let from = phase.state();
            phase = match phase {
                Phase::Listen(st, tcp) => self.listen(st, tcp)?,
                Phase::SynSent(at) => self.syn_sent(at)?,
                Phase::SynReceived(at) => self.syn_received(at)?,
                Phase::Established(at) => self.established(at)?,
                Phase::EstablishedReceive(at) => self.established_receive(at)?,
                Phase::CloseWait(at) => self.close_wait(at)?,
                Phase::CloseWaitReceive(at) => self.close_wait_receive(at)?,
                Phase::FinWait1(at) => self.fin_wait_1(at)?,
                Phase::FinWait2(at) => self.fin_wait_2(at)?,
                Phase::Closing(at) => self.closing(at)?,
                Phase::LastAck(at) => self.last_ack(at)?,
                Phase::TimeWait(at) => self.time_wait(at)?,
                Phase::Closed(st, cause) => self.closed(st, cause)?,
                Phase::ClosedTold(st) => self.closed_told(st)?,
                Phase::Ended(st) => return Ok(st.end()),
            };
            if phase.state() == State::Closed {
                // From now on what arrives is for no connection (RFC 9293 §3.10.7.1), whenever the user hears of its end.
                self.io.net.forget();
            }
            if phase.state() != from {
                self.watch.changed(self.remote, from, phase.state());
            }
        }
    }

    /// Sends one segment of a connection.
    fn send<T: tcp::State, M, A: Action>(
        &mut self,
        st: Token<S, SelectOne<S::Peer, M, A>>,
        tcp: &Tcp<T>,
        segment: M,
    ) -> Result<Token<S, A>, SessionError>
    where
        M: Message + Into<Segment>,
    {
        self.io.net.expect(tcp.rcv_wnd());
        self.io.net.select_one(st, tcp.remote(), segment)
    }

    /// Answers an unacceptable segment with an acknowledgement (RFC 9293 §3.10.7.4, RFC 5961) and stays in the state.
    fn challenge<T: Stated>(
        &mut self,
        st: Token<S, SelectOne<S::Peer, Ack, T>>,
        mut tcp: Tcp<T::State>,
        segment: &Segment,
    ) -> Result<At<S, T>, SessionError> {
        let ack = tcp.challenge(segment, self.io.clock.now());
        let st = self.send(st, &tcp, ack)?;
        Ok(At { st, tcp })
    }

    /// Sends the segment that a transition or a timeout made, and stays in the state.
    fn stay<T: Stated, M: Message + Into<Segment>>(
        &mut self,
        st: Token<S, SelectOne<S::Peer, M, T>>,
        mut tcp: Tcp<T::State>,
        segment: impl FnOnce(&mut Tcp<T::State>) -> M,
    ) -> Result<At<S, T>, SessionError> {
        let segment = segment(&mut tcp);
        let st = self.send(st, &tcp, segment)?;
        Ok(At { st, tcp })
    }

    /// Breaks the connection off with a RST (RFC 9293 §3.10.5).
    fn abort<T: tcp::State, A: Action>(
        &mut self,
        st: Token<S, SelectOne<S::Peer, Rst, A>>,
        tcp: Tcp<T>,
    ) -> Result<Token<S, A>, SessionError> {
        let remote = tcp.remote();
        self.io.net.select_one(st, remote, tcp.abort())
    }

    /// Tells the user that the connection is over, and why.
    fn tell<A: Action>(
        &mut self,
        st: Token<S, SelectOne<S::User, Reset, A>>,
        cause: ResetCause,
    ) -> Result<Token<S, A>, SessionError> {
        if let Some(remote) = self.remote {
            info!("{remote}: {cause}");
        }
        self.io.user.select_one(st, Reset(cause))
    }
}

/// A user is heard while what it sends can be taken: back-pressure is not looking at its channel, but for its credits.
fn hears<T: tcp::Open>(tcp: &Tcp<T>) -> User {
    if tcp.can_send() { User::Heard } else { User::Credits }
}
