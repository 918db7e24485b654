//! The network channel: segments as typed messages (dissertation §3.2, §3.3.1).
//!
//! Unlike the user's channel it is a network: what is sent may be lost, and what arrives is any segment at all. A picker
//! decides which branch of an offer an arrival takes.

use std::marker::PhantomData;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvError, RecvTimeoutError};

use crate::calls::Connect;
use crate::smol_lower::{Arrival, Backlog, ConnectError, Inbox, SmolLower};
use crate::st::{
    Action, After, At, Branch, Choice, End, Message, Name, OfferOne, OfferTwo, Position, Role, SelectOne, SelectTwo,
    Selection, SessionError, Taken, Token,
};
use crate::tcp::cookie::Admission;
use crate::tcp::segment::{Control, Segment};
use crate::tcp::seq::SeqNum;
use crate::tcp::{
    Acceptable, AcksFin, AcksFinAndFinishes, AcksSyn, AcksSynAndFinishes, AfterClose, AnswersSyn, CrossesSyn, Crowded,
    Finishes, HardError, IcmpError, Reopens, Resets, Restarts, ReturnsCookie, State, Tcp, TcpListen,
};

/// A segment that is not of the message type asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotThatMessage {
    /// The segment, given back.
    pub segment: Segment,
    /// The name of the message that it is not.
    pub wanted: &'static str,
}

impl core::fmt::Display for NotThatMessage {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "segment {} is no {}", self.segment, self.wanted)
    }
}

impl core::error::Error for NotThatMessage {}

/// Defines a message: a segment in which each control bit marked `+` is set, each marked `-` is not, and others may be.
macro_rules! smol_message {
    ($name:ident { $($sign:tt $bit:ident)* }) => {
        #[doc = concat!("A segment with the control bits `", $(stringify!($sign), stringify!($bit), " ",)* "`.")]
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[must_use]
        pub struct $name(Segment);

        impl $name {
            /// The segment that the message is.
            #[must_use]
            pub const fn segment(&self) -> &Segment {
                &self.0
            }

            /// Whether a segment is this message.
            pub(crate) const fn fits(segment: &Segment) -> bool {
                $(smol_message!(@check $sign $bit segment.control))&&*
            }

            /// Makes the message of a segment of our own by setting and clearing its control bits, so that it cannot fail.
            #[allow(dead_code, reason = "not every message is one that we send")]
            pub(crate) fn mark(mut segment: Segment) -> Self {
                $(segment.control = smol_message!(@mark $sign $bit segment.control);)*
                Self(segment)
            }
        }

        impl Message for $name {}

        impl TryFrom<Segment> for $name {
            type Error = NotThatMessage;

            fn try_from(segment: Segment) -> Result<Self, NotThatMessage> {
                if Self::fits(&segment) { Ok(Self(segment)) } else { Err(NotThatMessage { segment, wanted: stringify!($name) }) }
            }
        }

        impl From<$name> for Segment {
            fn from(message: $name) -> Self {
                message.0
            }
        }
    };
    (@check + $bit:ident $control:expr) => { $control.$bit() };
    (@check - $bit:ident $control:expr) => { !$control.$bit() };
    (@mark + $bit:ident $control:expr) => { $control.with(smol_message!(@bit $bit)) };
    (@mark - $bit:ident $control:expr) => { $control.without(smol_message!(@bit $bit)) };
    (@bit syn) => { Control::SYN };
    (@bit ack) => { Control::ACK };
    (@bit fin) => { Control::FIN };
    (@bit rst) => { Control::RST };
}

smol_message!(Syn { +syn -ack -fin -rst });
smol_message!(SynAck { +syn +ack -fin -rst });
smol_message!(Ack { -syn +ack -fin -rst });
smol_message!(FinAck { -syn +ack +fin -rst });
smol_message!(Rst { -syn -ack -fin +rst });
smol_message!(RstAck { -syn +ack -fin +rst });

/// Any segment at all.
impl Message for Segment {
    fn wire() -> Vec<Name> {
        [Syn::wire(), SynAck::wire(), Ack::wire(), FinAck::wire(), Rst::wire(), RstAck::wire()].concat()
    }
}

/// Says which messages on the wire a proof of the machine refines.
macro_rules! refines {
    ($($proof:ident: $($wire:ident),+;)+) => {$(
        impl Message for $proof {
            fn wire() -> Vec<Name> {
                [$($wire::wire()),+].concat()
            }
        }
    )+};
}

// A FIN that comes before the text in front of it is remembered; the message that later fills the gap is what finishes
// the stream. So both types may be either.
refines! {
    Crowded: Syn;
    ReturnsCookie: Ack, FinAck;
    AnswersSyn: SynAck;
    CrossesSyn: Syn;
    AcksSyn: Ack, FinAck;
    AcksSynAndFinishes: FinAck;
    Restarts: Syn, SynAck;
    Acceptable: Ack, FinAck;
    Finishes: Ack, FinAck;
    AcksFin: Ack, FinAck;
    AcksFinAndFinishes: Ack, FinAck;
    AfterClose: Ack, FinAck;
    Reopens: Syn;
    Resets: Rst, RstAck;
}

/// What a router, or the peer's host, says about a segment of ours: it comes from the network, and no role sends it.
impl Message for IcmpError {}

impl Message for HardError {
    fn wire() -> Vec<Name> {
        IcmpError::wire()
    }
}

/// What arrives from the network for a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// A segment of the peer.
    Segment(Segment),
    /// An ICMP error about a segment of ours.
    Icmp(IcmpError),
}

/// Decides for each offer which segments belong to the session (dissertation §3.2.1); the others are dropped without
/// advancing it.
pub trait ChannelFilter {
    /// Whether a segment from `remote` belongs to the session.
    fn filter(&self, remote: SocketAddrV4, segment: &Segment) -> Filtered;

    /// Whether an ICMP error is about something that the session waits for; a listener has sent nothing.
    fn filter_icmp(&self, _error: &IcmpError) -> Filtered {
        Filtered::Dropped
    }
}

/// What a [`ChannelFilter`] says of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Filtered {
    /// It is handed on and may advance the session.
    Accepted,
    /// It is dropped.
    Dropped,
}

/// A connection takes the segments of its own two sockets.
impl<S: State> ChannelFilter for Tcp<S> {
    fn filter(&self, remote: SocketAddrV4, segment: &Segment) -> Filtered {
        let from_peer = remote == self.remote() && segment.src_port == remote.port();
        if from_peer && segment.dst_port == self.local().port() { Filtered::Accepted } else { Filtered::Dropped }
    }

    fn filter_icmp(&self, error: &IcmpError) -> Filtered {
        if self.concerns(error) { Filtered::Accepted } else { Filtered::Dropped }
    }
}

/// A listener takes what is for its port, from anyone.
impl ChannelFilter for TcpListen {
    fn filter(&self, _remote: SocketAddrV4, segment: &Segment) -> Filtered {
        if segment.dst_port == self.local().port() { Filtered::Accepted } else { Filtered::Dropped }
    }
}

/// The end of role `Me` of the network between it and role `Peer`.
///
/// A server's listens with all other sessions of its port until a SYN binds it to one connection, and again when that
/// comes to nothing. A client's is bound by its user's OPEN.
#[derive(Debug)]
pub struct NetChannel<Me: Role, Peer: Role> {
    lower: SmolLower,
    /// Where it listens, if it does.
    backlog: Option<Backlog>,
    connection: Option<(SocketAddrV4, Inbox)>,
    last_remote: SocketAddrV4,
    predecessor: Option<SeqNum>,
    roles: PhantomData<fn() -> (Me, Peer)>,
}

impl<Me: Role, Peer: Role> NetChannel<Me, Peer> {
    /// Makes the channel of a session that listens.
    pub fn new(lower: SmolLower, backlog: Backlog) -> Self {
        Self::unbound(lower, Some(backlog))
    }

    /// Makes the channel of a session that is to open actively.
    pub fn unconnected(lower: SmolLower) -> Self {
        Self::unbound(lower, None)
    }

    fn unbound(lower: SmolLower, backlog: Option<Backlog>) -> Self {
        NetChannel {
            lower,
            backlog,
            connection: None,
            last_remote: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
            predecessor: None,
            roles: PhantomData,
        }
    }

    /// Receives the one message offered, from whoever the filter accepts, with the sender's address.
    ///
    /// # Errors
    ///
    /// [`SessionError::TimedOut`] at the deadline, [`SessionError::Unexpected`] when the segment is not an `M`,
    /// [`SessionError::Gone`] when the device is.
    pub fn offer_one_with_addr<M, A>(
        &mut self,
        st: Token<Me, OfferOne<Peer, M, A>>,
        filter: &impl ChannelFilter,
        deadline: Option<Instant>,
    ) -> Result<(SocketAddrV4, M, Token<Me, A>), SessionError>
    where
        M: Message + TryFrom<Segment>,
        A: Action,
    {
        let (remote, segment) = self.recv(filter, deadline)?;
        let message = M::try_from(segment).map_err(|_| SessionError::Unexpected { role: Name::of::<Peer>() })?;
        Ok((remote, message, st.advance()))
    }

    /// Receives the one message offered.
    ///
    /// # Errors
    ///
    /// As [`offer_one_with_addr`](Self::offer_one_with_addr).
    pub fn offer_one<M, A>(
        &mut self,
        st: Token<Me, OfferOne<Peer, M, A>>,
        filter: &impl ChannelFilter,
        deadline: Option<Instant>,
    ) -> Result<(M, Token<Me, A>), SessionError>
    where
        M: Message + TryFrom<Segment>,
        A: Action,
    {
        let (_, message, st) = self.offer_one_with_addr(st, filter, deadline)?;
        Ok((message, st))
    }

    /// Receives one of the two messages offered; the picker says which one it is (dissertation §3.1.4).
    ///
    /// With more than two branches the picker answers by [`Branch::pick`] and the result is matched by
    /// [`branches!`](crate::branches).
    ///
    /// # Errors
    ///
    /// As [`offer_one_with_addr`](Self::offer_one_with_addr); [`SessionError::Unexpected`] when the picker finds no branch.
    pub fn offer_two_filtered<M1, M2, A1, A2>(
        &mut self,
        st: Token<Me, OfferTwo<Peer, M1, M2, A1, A2>>,
        picker: impl FnOnce(Segment) -> Option<Branch<M1, M2>>,
        filter: &impl ChannelFilter,
        deadline: Option<Instant>,
    ) -> Result<Taken<Me, M1, M2, A1, A2>, SessionError>
    where
        M1: Message,
        M2: Message,
        A1: Action,
        A2: Action,
    {
        let (_, segment) = self.recv(filter, deadline)?;
        match picker(segment) {
            Some(Branch::Left(message)) => Ok(Branch::Left((message, st.advance()))),
            Some(Branch::Right(message)) => Ok(Branch::Right((message, st.advance()))),
            None => Err(SessionError::Unexpected { role: Name::of::<Peer>() }),
        }
    }

    /// Sends the one message selected to `remote`.
    ///
    /// # Errors
    ///
    /// [`SessionError::Transport`] when the device fails; a full device loses the segment, as a network may.
    pub fn select_one<M, A>(
        &mut self,
        st: Token<Me, SelectOne<Peer, M, A>>,
        remote: SocketAddrV4,
        message: M,
    ) -> Result<Token<Me, A>, SessionError>
    where
        M: Message + Into<Segment>,
        A: Action,
    {
        self.send(remote, message)?;
        Ok(st.advance())
    }

    /// Sends the message of the first branch.
    ///
    /// # Errors
    ///
    /// As [`select_one`](Self::select_one).
    pub fn select_left<M1, M2, A1, A2>(
        &mut self,
        st: Token<Me, SelectTwo<Peer, M1, M2, A1, A2>>,
        remote: SocketAddrV4,
        message: M1,
    ) -> Result<Token<Me, A1>, SessionError>
    where
        M1: Message + Into<Segment>,
        M2: Message,
        A1: Action,
        A2: Action,
    {
        self.send(remote, message)?;
        Ok(st.advance())
    }

    /// Sends the message of the second branch.
    ///
    /// # Errors
    ///
    /// As [`select_one`](Self::select_one).
    pub fn select_right<M1, M2, A1, A2>(
        &mut self,
        st: Token<Me, SelectTwo<Peer, M1, M2, A1, A2>>,
        remote: SocketAddrV4,
        message: M2,
    ) -> Result<Token<Me, A2>, SessionError>
    where
        M1: Message,
        M2: Message + Into<Segment>,
        A1: Action,
        A2: Action,
    {
        self.send(remote, message)?;
        Ok(st.advance())
    }

    /// Sends the message of a label picked in a selection with any number of branches.
    ///
    /// # Errors
    ///
    /// As [`select_one`](Self::select_one).
    pub fn select<A, I, M>(
        &mut self,
        st: Token<Me, A>,
        remote: SocketAddrV4,
        choice: Choice<A, I, M>,
    ) -> Result<After<Me, A, I, M>, SessionError>
    where
        A: Selection<Role = Peer>,
        A::Tree: At<I, M>,
        I: Position,
        M: Message + Into<Segment>,
    {
        self.send(remote, choice.into_message())?;
        Ok(st.advance())
    }

    /// Closes the channel at the end of its session.
    pub fn close(self, _end: &End) {}

    /// The handshake is complete: the connection no longer counts among those half open.
    pub(crate) fn established(&self) {
        if let Some((_, inbox)) = &self.connection {
            inbox.established();
        }
    }

    /// Binds this session to a connection of its own choice; returns its local socket.
    pub(crate) fn connect(&mut self, connect: &Connect) -> Result<SocketAddrV4, ConnectError> {
        let (local, inbox) = self.lower.connect(connect.local, connect.remote)?;
        self.connection = Some((connect.remote, inbox));
        Ok(local)
    }

    /// The peer is told that it may send so many octets: what arrives of them has room to wait.
    pub(crate) fn expect(&self, rcv_wnd: u32) {
        if let Some((_, inbox)) = &self.connection {
            inbox.expect(rcv_wnd);
        }
    }

    /// Ends the binding to a connection: this session listens again.
    pub(crate) fn forget(&mut self) {
        self.connection = None;
    }

    /// Ends the binding to a connection and gives its segment to whoever listens (RFC 9293 MAY-2).
    pub(crate) fn resubmit(&mut self, segment: Segment, snd_nxt: SeqNum) {
        if let Some((remote, inbox)) = self.connection.take()
            && let Err(cause) = inbox.resubmit(segment, snd_nxt)
        {
            log::debug!("{remote}: its new SYN was lost: {cause}");
        }
    }

    /// Who was heard last while this session listened; unspecified before that.
    pub(crate) fn last_remote(&self) -> SocketAddrV4 {
        self.last_remote
    }

    /// SND.NXT of the connection that the SYN heard last reopens, if it does.
    pub(crate) fn predecessor(&self) -> Option<SeqNum> {
        self.predecessor
    }

    /// Where segments of this session come from at present.
    pub(crate) fn source(&self) -> Source<'_> {
        match (&self.connection, &self.backlog) {
            (Some((remote, inbox)), _) => Source::Connected(*remote, inbox),
            (None, Some(backlog)) => Source::Listening(backlog.receiver()),
            (None, None) => Source::Nowhere,
        }
    }

    /// Takes what the backlog brought: binds this session to the connection where there is one.
    pub(crate) fn adopt(
        &mut self,
        Arrival { remote, segment, standing, predecessor }: Arrival,
    ) -> (SocketAddrV4, Segment, Admission) {
        let (inbox, admission) = standing.split();
        self.last_remote = remote;
        self.predecessor = predecessor;
        self.connection = inbox.map(|inbox| (remote, inbox));
        (remote, segment, admission)
    }

    fn recv(
        &mut self,
        filter: &impl ChannelFilter,
        deadline: Option<Instant>,
    ) -> Result<(SocketAddrV4, Segment), SessionError> {
        loop {
            let (remote, segment) = match self.source() {
                Source::Listening(backlog) => {
                    let arrival = recv_until::<_, Peer>(backlog, deadline)?;
                    let (remote, segment, _) = self.adopt(arrival);
                    (remote, segment)
                }
                Source::Connected(remote, inbox) => {
                    (remote, recv_until::<_, Peer>(inbox.receiver(), deadline)?.into_segment())
                }
                Source::Nowhere => return Err(SessionError::Gone { role: Name::of::<Peer>() }),
            };
            if filter.filter(remote, &segment) == Filtered::Accepted {
                return Ok((remote, segment));
            }
            log::debug!("segment from {remote} is not part of this session, dropped");
        }
    }

    fn send<M: Into<Segment>>(&self, remote: SocketAddrV4, message: M) -> Result<(), SessionError> {
        let segment = message.into();
        self.lower.send_segment(remote, &segment).map_err(|cause| SessionError::Transport(Box::new(cause)))
    }
}

/// Where the segments of a session come from.
pub(crate) enum Source<'a> {
    /// The queue shared by all sessions that listen.
    Listening(&'a Receiver<Arrival>),
    /// The queues of one connection.
    Connected(SocketAddrV4, &'a Inbox),
    /// No connection was opened.
    Nowhere,
}

fn recv_until<T, R: Role>(queue: &Receiver<T>, deadline: Option<Instant>) -> Result<T, SessionError> {
    let role = Name::of::<R>();
    match deadline {
        None => queue.recv().map_err(|RecvError| SessionError::Gone { role }),
        Some(deadline) => queue.recv_deadline(deadline).map_err(|cause| match cause {
            RecvTimeoutError::Timeout => SessionError::TimedOut { role },
            RecvTimeoutError::Disconnected => SessionError::Gone { role },
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(control: Control) -> Segment {
        Segment { control, ..Segment::default() }
    }

    #[test]
    fn each_message_takes_its_bits_only() {
        let psh = Control::PSH | Control::URG;
        for bits in 0..32 {
            let control = Control::from_bits(bits);
            let (syn, ack, fin, rst) = (control.syn(), control.ack(), control.fin(), control.rst());
            let of = |control| segment(control);
            assert_eq!(Syn::try_from(of(control)).is_ok(), syn && !ack && !fin && !rst);
            assert_eq!(SynAck::try_from(of(control)).is_ok(), syn && ack && !fin && !rst);
            assert_eq!(Ack::try_from(of(control | psh)).is_ok(), !syn && ack && !fin && !rst);
            assert_eq!(FinAck::try_from(of(control | psh)).is_ok(), !syn && ack && fin && !rst);
            assert_eq!(Rst::try_from(of(control)).is_ok(), !syn && !ack && !fin && rst);
            assert_eq!(RstAck::try_from(of(control)).is_ok(), !syn && ack && !fin && rst);
        }
    }

    #[test]
    fn a_refused_segment_is_given_back() {
        let refused = Syn::try_from(segment(Control::RST)).unwrap_err();
        assert_eq!(refused.segment, segment(Control::RST));
        assert_eq!(refused.wanted, "Syn");
    }

    #[test]
    fn marking_makes_a_segment_the_message() {
        for bits in 0..=u8::MAX {
            let marked = FinAck::mark(segment(Control::from_bits(bits)));
            assert!(FinAck::try_from(Segment::from(marked)).is_ok());
        }
    }
}
