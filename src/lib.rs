//! TCP under multiparty session types: the roles and the local type of each.
//!
//! This file is the protocol. Each state of RFC 9293 is one session type ([`SystemListen`] … [`SystemTimeWait`]), two where
//! the user may be waiting for an answer; the compiler holds the programs of the roles (`system.rs`, `user.rs`) to them.
//!
//! ```text
//!  ServerUser ──calls──▶ ServerSystem ◀──segments──▶ ClientSystem ◀──calls── ClientUser
//!             ◀─answers─                                          ─answers─▶
//! ```
//!
//! The server opens passively, the client actively; from ESTABLISHED on both ends have the same types.
//!
//! # The notation
//!
//! - `R & Label(Message). T` awaits `Message` from `R` and goes on as `T`; `(R + M). T` sends `M` to `R`; `end` ends.
//! - `Timeout & Label. T` goes on when the machine says that something is due.
//! - `Offer!(… Name<S> => Event { … })` is a state that waits for whichever of its branches comes first. `Event` is the `enum` made for
//!   it, a variant for each label with the message and the token of what follows: the role's program matches on it.
//! - `Select!(… Name<S>: Role + { … })` is a state in which the role itself chooses and sends to `Role`: `Name::Label(message)` picks a
//!   branch.
//! - `S::User` and `S::Peer` are the two neighbours of side `S`, `U::System` that of a user `U`.
//!
//! What travels is a message, `Message`; labels do not. They are each role's own names for its branches. A peer sends a segment, our
//! machine judges it, and the verdict picks the label, with its proof as the message (`Fin(Finishes)`). That is where this differs from
//! the theory, in which the sender picks the label. Between user and system the message's type alone tells the branch.
//!
//! - `Due` sends one segment, of the one type that follows it in that state. An `Ack` is any segment with ACK and without SYN, FIN
//!   and RST: it may carry text.
//! - A *credit* is a user's `Receive` that was not yet answered.
//! - `Crowded`: a SYN for which there is no place; it is answered by a cookie.
//! - `AfterClose`: text that comes when our user has closed and nobody will read it; it is answered with a RST.
//! - `Unacceptable`, `Refused`, `Ignored`: any segment that changes nothing here; it is answered with an ACK, with a RST, or not at all.
//!
//! # Who awaits what
//!
//! What one side sends the other awaits: a user's calls and their answers are reliable and in order, but for credits, which may overtake
//! ([`cb`]); segments may be lost, repeated and reordered ([`smol_channel`]), so a system awaits *any* segment in every state. Time is
//! a role as well ([`Timeout`]): the machine ([`tcp`]) says what is due and when, and `Due` sends exactly one segment, which is how
//! "send a segment, or send nothing" is typed: sending nothing is not taking the branch.
//!
//! # What the user is told unasked
//!
//! Urgent data and errors that end nothing (RFC 9293 §3.8.5, §3.9.1.8) are one more kind of answer to a `Receive`: `Advice`.
//! A `Receive` is answered once, so neither peer nor network can flood the user; of each kind one piece waits, the latest,
//! for the next credit and goes before all data, so that who is told "urgent" has not read past it. It is asynchronous all
//! the same: a user that keeps a credit with its system goes on sending and setting meanwhile, and is told at once.
//! One whose active OPEN is under way has no credit yet, and is told at most once a second.
//!
//! Deviation: a user that has closed is told of the verdict only, not of R1 or ICMP errors before it (RFC 9293 §3.9.1.8, SHLD-9): it
//! has no credits any more. A peer notices nothing.
#![recursion_limit = "256"]

pub mod calls;
pub mod cb;
pub mod client;
pub mod server;
pub mod smol_channel;
pub mod smol_lower;
pub mod st;
mod st_macros;
pub mod system;
pub mod tcp;
pub mod undirected;
pub mod user;

use calls::{
    Abort, Advice, Close, Closed, Connect, Connected, Data, NotOpened, Open, Receive, Reset, Set, TcbCreated, Urgent,
};
use smol_channel::{Ack, FinAck, Rst, Syn, SynAck};
use st::{Action, Participant, Role, Timeout};
use tcp::{
    Acceptable, AcksFin, AcksFinAndFinishes, AcksSyn, AcksSynAndFinishes, AfterClose, AnswersSyn, CrossesSyn, Crowded,
    Finishes, HardError, IcmpError, Reopens, Resets, Restarts, ReturnsCookie, segment::Segment,
};

// ── Roles ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// The server application that uses TCP.
#[derive(Debug)]
pub enum RoleServerUser {}
/// The TCP implementation of the server.
#[derive(Debug)]
pub enum RoleServerSystem {}
/// The TCP implementation of the client.
#[derive(Debug)]
pub enum RoleClientSystem {}
/// The client application that uses TCP.
#[derive(Debug)]
pub enum RoleClientUser {}
/// Who types what the client user sends: a person, or a file. It is no [`Participant`]: it says what it likes.
#[derive(Debug)]
pub enum RoleTerminal {}

impl Role for RoleServerUser {}
impl Role for RoleServerSystem {}
impl Role for RoleClientSystem {}
impl Role for RoleClientUser {}
impl Role for RoleTerminal {}

/// A role that is a TCP implementation: one set of types serves both ends of a connection.
pub trait SystemSide: Role + Sized {
    /// Whose calls it serves.
    type User: Role;
    /// The TCP implementation at the other end.
    type Peer: Role;
    /// How it goes on when a handshake comes to nothing: LISTEN after a passive OPEN, CLOSED after an active one, whose user is
    /// told (RFC 9293 §3.10.7.4, MUST-11).
    type HandshakeFailed: Action;
}

/// [`SystemSide::HandshakeFailed`].
pub type SystemHandshakeFailed<S> = <S as SystemSide>::HandshakeFailed;

impl SystemSide for RoleServerSystem {
    type User = RoleServerUser;
    type Peer = RoleClientSystem;
    type HandshakeFailed = SystemListen<RoleServerSystem>;
}

impl SystemSide for RoleClientSystem {
    type User = RoleClientUser;
    type Peer = RoleServerSystem;
    type HandshakeFailed = St![(RoleClientUser + Reset).end];
}

/// A role that is an application.
pub trait UserSide: Role + Sized {
    /// The TCP implementation that it calls.
    type System: Role;
    /// How it waits for the answer to its `Receive`: for that alone, or listening to somebody else besides.
    type Waiting: Action;
}

/// [`UserSide::Waiting`].
pub type UserWaiting<U> = <U as UserSide>::Waiting;

impl UserSide for RoleServerUser {
    type System = RoleServerSystem;
    type Waiting = UserReceiving<RoleServerUser>;
}

impl UserSide for RoleClientUser {
    type System = RoleClientSystem;
    type Waiting = UserTalking<RoleClientUser>;
}

// ── The typing context ───────────────────────────────────────────────────────────────────────────────────────────────

impl Participant for RoleServerSystem {
    type Session = ServerSystemSessionType;
}

impl Participant for RoleServerUser {
    type Session = ServerUserSessionType;
}

impl Participant for RoleClientSystem {
    type Session = ClientSystemSessionType;
}

impl Participant for RoleClientUser {
    type Session = ClientUserSessionType;
}

/// The server system, from CLOSED on.
pub type ServerSystemSessionType = SystemUnopened<RoleServerSystem>;

/// The server user, from CLOSED on.
pub type ServerUserSessionType = UserUnopened<RoleServerUser>;

/// The client system, from CLOSED on.
pub type ClientSystemSessionType = SystemUnconnected<RoleClientSystem>;

/// The client user, from CLOSED on.
pub type ClientUserSessionType = UserUnconnected<RoleClientUser>;

/// LISTEN of the server.
pub type ServerSystemListen = SystemListen<RoleServerSystem>;
/// SYN-RECEIVED of the server (dissertation §3.3.5).
pub type ServerSystemSynRcvd = SystemSynReceived<RoleServerSystem>;
/// ESTABLISHED of the server (dissertation §3.3.6).
pub type ServerSystemCommLoop = SystemEstablished<RoleServerSystem>;
/// CLOSE-WAIT of the server (dissertation §3.3.8).
pub type ServerSystemCloseWait = SystemCloseWait<RoleServerSystem>;
/// FIN-WAIT-1 of the server (dissertation §3.3.8).
pub type ServerSystemFinWait1 = SystemFinWait1<RoleServerSystem>;
/// FIN-WAIT-2 of the server (dissertation §3.3.8).
pub type ServerSystemFinWait2 = SystemFinWait2<RoleServerSystem>;
/// SYN-SENT of the client.
pub type ClientSystemSynSent = SystemSynSent<RoleClientSystem>;

// ── The system: opening ──────────────────────────────────────────────────────────────────────────────────────────────

Offer!(
    /// CLOSED: the user may set what it wants from the first segment on, then it opens passively.
    pub SystemUnopened<S: SystemSide> => UnopenedEvent {
        S::User & Set(Set). SystemUnopened<S>,
        S::User & Open(Open). (S::User + TcbCreated). SystemListen<S>,
    }
);

Offer!(
    /// CLOSED: the user may set what it wants from the first segment on, then it opens actively.
    pub SystemUnconnected<S: SystemSide> => UnconnectedEvent {
        S::User & Set(Set). SystemUnconnected<S>,
        S::User & Connect(Connect). SystemConnecting<S>,
    }
);

Select!(
    /// The answer to an active OPEN: our SYN follows, or there is nobody to send it to (RFC 9293 §3.9.1.1, MUST-46).
    pub SystemConnecting<S: SystemSide>: S::User + {
        TcbCreated(TcbCreated). (S::Peer + Syn). SystemSynSent<S>,
        NotOpened(NotOpened). end,
    }
);

Offer!(
    /// LISTEN. When too many handshakes wait, a SYN is answered by a cookie and forgotten ([`tcp::cookie`]): the session goes on
    /// listening, and the cookie's return begins the connection.
    pub SystemListen<S: SystemSide> => ListenEvent {
        S::Peer & Syn(Syn). (S::Peer + SynAck). SystemSynReceived<S>,
        S::Peer & Crowded(Crowded). (S::Peer + SynAck). SystemListen<S>,
        S::Peer & Cookie(ReturnsCookie). (S::User + Connected). SystemEstablished<S>,
        S::Peer & Refused(Segment). (S::Peer + Rst). SystemListen<S>,
        S::Peer & Ignored(Segment). SystemListen<S>,
        S::User & Abort(Abort). end,
    }
);

Offer!(
    /// SYN-SENT. The user hears at R1 and of ICMP errors that it takes longer (RFC 9293 §3.8.3, MUST-22), and what ends it.
    pub SystemSynSent<S: SystemSide> => SynSentEvent {
        S::Peer & Answered(AnswersSyn). (S::User + Connected). SystemEstablished<S>,
        S::Peer & Crossed(CrossesSyn). (S::Peer + SynAck). SystemSynReceived<S>,
        S::Peer & Reset(Resets). (S::User + Reset). end,
        S::Peer & Refused(Segment). (S::Peer + Rst). SystemSynSent<S>,
        S::Peer & Ignored(Segment). SystemSynSent<S>,
        S::Peer & Icmp(IcmpError). SystemSynSent<S>,
        S::Peer & Unreachable(HardError). (S::User + Reset). end,
        S::User & Abort(Abort). end,
        Timeout & Due. (S::Peer + Syn). SystemSynSent<S>,
        Timeout & Advise(Advice). (S::User + Advice). SystemSynSent<S>,
        Timeout & GiveUp. (S::User + Reset). end,
    }
);

Offer!(
    /// SYN-RECEIVED. What ends it before it is complete leads where the side says: the user of a passive OPEN has heard of no peer
    /// yet.
    pub SystemSynReceived<S: SystemSide> => SynReceivedEvent {
        S::Peer & Acknowledged(AcksSyn). (S::User + Connected). SystemEstablished<S>,
        S::Peer & Fin(AcksSynAndFinishes). (S::User + Connected). SystemCloseWait<S>,
        S::Peer & Restart(Restarts). SystemHandshakeFailed<S>,
        S::Peer & Reset(Resets). SystemHandshakeFailed<S>,
        S::Peer & Unacceptable(Segment). (S::Peer + Ack). SystemSynReceived<S>,
        S::Peer & Refused(Segment). (S::Peer + Rst). SystemSynReceived<S>,
        S::Peer & Ignored(Segment). SystemSynReceived<S>,
        S::Peer & Icmp(IcmpError). SystemSynReceived<S>,
        S::Peer & Unreachable(HardError). SystemHandshakeFailed<S>,
        S::User & Abort(Abort). (S::Peer + Rst). end,
        Timeout & Due. (S::Peer + SynAck). SystemSynReceived<S>,
        Timeout & GiveUp. SystemHandshakeFailed<S>,
    }
);

// ── The system: data ─────────────────────────────────────────────────────────────────────────────────────────────────

Offer!(
    /// ESTABLISHED, the user has the floor.
    pub SystemEstablished<S: SystemSide> => EstablishedEvent {
        S::Peer & Acceptable(Acceptable). SystemEstablished<S>,
        S::Peer & Fin(Finishes). SystemCloseWait<S>,
        S::Peer & Reset(Resets). SystemClosed<S>,
        S::Peer & Unacceptable(Segment). (S::Peer + Ack). SystemEstablished<S>,
        S::Peer & Ignored(Segment). SystemEstablished<S>,
        S::Peer & Icmp(IcmpError). SystemEstablished<S>,
        S::User & Send(Data). SystemEstablished<S>,
        S::User & Urgent(Urgent). SystemEstablished<S>,
        S::User & Set(Set). SystemEstablished<S>,
        S::User & Receive(Receive). SystemEstablishedReceive<S>,
        S::User & Close(Close). SystemFinWait1<S>,
        S::User & Abort(Abort). (S::Peer + Rst). end,
        Timeout & Due. (S::Peer + Ack). SystemEstablished<S>,
        Timeout & GiveUp. SystemClosed<S>,
    }
);

Offer!(
    /// ESTABLISHED, the user waits for the answer to its `Receive`.
    pub SystemEstablishedReceive<S: SystemSide> => EstablishedReceiveEvent {
        S::Peer & Acceptable(Acceptable). SystemEstablishedReceive<S>,
        S::Peer & Fin(Finishes). SystemCloseWaitReceive<S>,
        S::Peer & Reset(Resets). (S::User + Reset). SystemClosedTold<S>,
        S::Peer & Unacceptable(Segment). (S::Peer + Ack). SystemEstablishedReceive<S>,
        S::Peer & Ignored(Segment). SystemEstablishedReceive<S>,
        S::Peer & Icmp(IcmpError). SystemEstablishedReceive<S>,
        S::User & Send(Data). SystemEstablishedReceive<S>,
        S::User & Urgent(Urgent). SystemEstablishedReceive<S>,
        S::User & Set(Set). SystemEstablishedReceive<S>,
        S::User & Close(Close). SystemFinWait1<S>,
        S::User & Abort(Abort). (S::Peer + Rst). end,
        Timeout & Advise(Advice). (S::User + Advice). SystemEstablished<S>,
        Timeout & Deliver. (S::User + Data). SystemEstablished<S>,
        Timeout & Due. (S::Peer + Ack). SystemEstablishedReceive<S>,
        Timeout & GiveUp. (S::User + Reset). SystemClosedTold<S>,
    }
);

Offer!(
    /// CLOSE-WAIT, the user has the floor.
    pub SystemCloseWait<S: SystemSide> => CloseWaitEvent {
        S::Peer & Acceptable(Acceptable). SystemCloseWait<S>,
        S::Peer & Reset(Resets). SystemClosed<S>,
        S::Peer & Unacceptable(Segment). (S::Peer + Ack). SystemCloseWait<S>,
        S::Peer & Ignored(Segment). SystemCloseWait<S>,
        S::Peer & Icmp(IcmpError). SystemCloseWait<S>,
        S::User & Send(Data). SystemCloseWait<S>,
        S::User & Urgent(Urgent). SystemCloseWait<S>,
        S::User & Set(Set). SystemCloseWait<S>,
        S::User & Receive(Receive). SystemCloseWaitReceive<S>,
        S::User & Close(Close). SystemLastAck<S>,
        S::User & Abort(Abort). (S::Peer + Rst). end,
        Timeout & Due. (S::Peer + Ack). SystemCloseWait<S>,
        Timeout & GiveUp. SystemClosed<S>,
    }
);

Offer!(
    /// CLOSE-WAIT, the user waits for the answer to its `Receive`: what is left of the stream, then the peer's `Close`.
    pub SystemCloseWaitReceive<S: SystemSide> => CloseWaitReceiveEvent {
        S::Peer & Acceptable(Acceptable). SystemCloseWaitReceive<S>,
        S::Peer & Reset(Resets). (S::User + Reset). SystemClosedTold<S>,
        S::Peer & Unacceptable(Segment). (S::Peer + Ack). SystemCloseWaitReceive<S>,
        S::Peer & Ignored(Segment). SystemCloseWaitReceive<S>,
        S::Peer & Icmp(IcmpError). SystemCloseWaitReceive<S>,
        S::User & Send(Data). SystemCloseWaitReceive<S>,
        S::User & Urgent(Urgent). SystemCloseWaitReceive<S>,
        S::User & Set(Set). SystemCloseWaitReceive<S>,
        S::User & Close(Close). SystemLastAck<S>,
        S::User & Abort(Abort). (S::Peer + Rst). end,
        Timeout & Advise(Advice). (S::User + Advice). SystemCloseWait<S>,
        Timeout & Deliver. (S::User + Data). SystemCloseWait<S>,
        Timeout & DeliverClose. (S::User + Close). SystemCloseWait<S>,
        Timeout & Due. (S::Peer + Ack). SystemCloseWaitReceive<S>,
        Timeout & GiveUp. (S::User + Reset). SystemClosedTold<S>,
    }
);

// ── The system: closing ──────────────────────────────────────────────────────────────────────────────────────────────

Offer!(
    /// FIN-WAIT-1: the user has closed; what it sent before, then our FIN, is on its way. The user waits for the verdict.
    pub SystemFinWait1<S: SystemSide> => FinWait1Event {
        S::Peer & Acceptable(Acceptable). SystemFinWait1<S>,
        S::Peer & FinAcked(AcksFin). (S::User + Closed). SystemFinWait2<S>,
        S::Peer & Fin(Finishes). SystemClosing<S>,
        S::Peer & FinAckedAndFin(AcksFinAndFinishes). (S::User + Closed). SystemTimeWait<S>,
        S::Peer & AfterClose(AfterClose). (S::Peer + Rst). (S::User + Reset). end,
        S::Peer & Reset(Resets). (S::User + Reset). end,
        S::Peer & Unacceptable(Segment). (S::Peer + Ack). SystemFinWait1<S>,
        S::Peer & Ignored(Segment). SystemFinWait1<S>,
        S::Peer & Icmp(IcmpError). SystemFinWait1<S>,
        Timeout & Due. (S::Peer + Ack). SystemFinWait1<S>,
        Timeout & DueFin. (S::Peer + FinAck). SystemFinWait1<S>,
        Timeout & DataLost. (S::Peer + Rst). (S::User + Reset). end,
        Timeout & GiveUp. (S::User + Reset). end,
    }
);

Offer!(
    /// FIN-WAIT-2: our stream is finished and acknowledged, the peer's is not. There is no user any more.
    pub SystemFinWait2<S: SystemSide> => FinWait2Event {
        S::Peer & Acceptable(Acceptable). SystemFinWait2<S>,
        S::Peer & Fin(Finishes). SystemTimeWait<S>,
        S::Peer & AfterClose(AfterClose). (S::Peer + Rst). end,
        S::Peer & Reset(Resets). end,
        S::Peer & Unacceptable(Segment). (S::Peer + Ack). SystemFinWait2<S>,
        S::Peer & Ignored(Segment). SystemFinWait2<S>,
        S::Peer & Icmp(IcmpError). SystemFinWait2<S>,
        Timeout & Due. (S::Peer + Ack). SystemFinWait2<S>,
        Timeout & Expired. end,
    }
);

Offer!(
    /// CLOSING: both have closed at once; our FIN is not yet acknowledged.
    pub SystemClosing<S: SystemSide> => ClosingEvent {
        S::Peer & Acceptable(Acceptable). SystemClosing<S>,
        S::Peer & FinAcked(AcksFin). (S::User + Closed). SystemTimeWait<S>,
        S::Peer & Reset(Resets). (S::User + Reset). end,
        S::Peer & Unacceptable(Segment). (S::Peer + Ack). SystemClosing<S>,
        S::Peer & Ignored(Segment). SystemClosing<S>,
        S::Peer & Icmp(IcmpError). SystemClosing<S>,
        Timeout & Due. (S::Peer + Ack). SystemClosing<S>,
        Timeout & DueFin. (S::Peer + FinAck). SystemClosing<S>,
        Timeout & DataLost. (S::Peer + Rst). (S::User + Reset). end,
        Timeout & GiveUp. (S::User + Reset). end,
    }
);

Offer!(
    /// LAST-ACK: the peer closed first, then the user; our FIN is not yet acknowledged.
    pub SystemLastAck<S: SystemSide> => LastAckEvent {
        S::Peer & Acceptable(Acceptable). SystemLastAck<S>,
        S::Peer & FinAcked(AcksFin). (S::User + Closed). end,
        S::Peer & Reset(Resets). (S::User + Reset). end,
        S::Peer & Unacceptable(Segment). (S::Peer + Ack). SystemLastAck<S>,
        S::Peer & Ignored(Segment). SystemLastAck<S>,
        S::Peer & Icmp(IcmpError). SystemLastAck<S>,
        Timeout & Due. (S::Peer + Ack). SystemLastAck<S>,
        Timeout & DueFin. (S::Peer + FinAck). SystemLastAck<S>,
        Timeout & DataLost. (S::Peer + Rst). (S::User + Reset). end,
        Timeout & GiveUp. (S::User + Reset). end,
    }
);

Offer!(
    /// TIME-WAIT: both streams are finished; what the peer missed of that is answered for 2 MSL.
    pub SystemTimeWait<S: SystemSide> => TimeWaitEvent {
        S::Peer & Reopens(Reopens). end,
        S::Peer & Reset(Resets). end,
        S::Peer & Unacceptable(Segment). (S::Peer + Ack). SystemTimeWait<S>,
        S::Peer & Ignored(Segment). SystemTimeWait<S>,
        S::Peer & Icmp(IcmpError). SystemTimeWait<S>,
        Timeout & Due. (S::Peer + Ack). SystemTimeWait<S>,
        Timeout & Expired. end,
    }
);

Offer!(
    /// CLOSED before its time, and the user has the floor: it hears of it with its next call that has an answer.
    pub SystemClosed<S: SystemSide> => ClosedEvent {
        S::User & Send(Data). SystemClosed<S>,
        S::User & Urgent(Urgent). SystemClosed<S>,
        S::User & Set(Set). SystemClosed<S>,
        S::User & Receive(Receive). (S::User + Reset). SystemClosedTold<S>,
        S::User & Close(Close). (S::User + Reset). end,
        S::User & Abort(Abort). end,
    }
);

Offer!(
    /// CLOSED before its time, and the user was told: only its `Close` is awaited, and what crossed the telling.
    pub SystemClosedTold<S: SystemSide> => ClosedToldEvent {
        S::User & Send(Data). SystemClosedTold<S>,
        S::User & Urgent(Urgent). SystemClosedTold<S>,
        S::User & Set(Set). SystemClosedTold<S>,
        S::User & Close(Close). end,
        S::User & Abort(Abort). end,
    }
);

// ── The user ─────────────────────────────────────────────────────────────────────────────────────────────────────────

Select!(
    /// CLOSED: the user may set what it wants, then it opens and waits for a peer.
    ///
    /// Deviation: in LISTEN, SYN-SENT and SYN-RECEIVED the user can neither SEND (RFC 9293 §3.10.2) nor CLOSE (§3.10.4): its type has it
    /// wait for the connection. It breaks off by ending, which counts as its ABORT. A peer notices no text before the handshake is
    /// complete, and out of SYN-RECEIVED a RST, never a FIN.
    pub UserUnopened<U: UserSide>: U::System + {
        Set(Set). UserUnopened<U>,
        Open(Open). (U::System & TcbCreated). (U::System & Connected). UserOpen<U>,
    }
);

Select!(
    /// CLOSED: the user may set what it wants, then it opens a connection to a peer.
    pub UserUnconnected<U: UserSide>: U::System + {
        Set(Set). UserUnconnected<U>,
        Connect(Connect). UserConnecting<U>,
    }
);

Offer!(
    /// The user has opened actively and waits for what becomes of that.
    pub UserConnecting<U: UserSide> => ConnectingEvent {
        U::System & TcbCreated(TcbCreated). UserSynSent<U>,
        U::System & NotOpened(NotOpened). end,
    }
);

Offer!(
    /// Our SYN is on its way, and the user waits for the peer.
    pub UserSynSent<U: UserSide> => UserSynSentEvent {
        U::System & Connected(Connected). UserOpen<U>,
        U::System & Advice(Advice). UserSynSent<U>,
        U::System & Reset(Reset). end,
    }
);

Select!(
    /// The user has the floor: it may send as often as it likes, ask to receive, close or abort.
    pub UserOpen<U: UserSide>: U::System + {
        Send(Data). UserOpen<U>,
        Urgent(Urgent). UserOpen<U>,
        Set(Set). UserOpen<U>,
        Receive(Receive). UserWaiting<U>,
        Close(Close). UserClosing<U>,
        Abort(Abort). end,
    }
);

Offer!(
    /// The user waits for the answer to its `Receive`.
    pub UserReceiving<U: UserSide> => ReceivingEvent {
        U::System & Data(Data). UserOpen<U>,
        U::System & Advice(Advice). UserOpen<U>,
        U::System & Close(Close). UserPeerClosed<U>,
        U::System & Reset(Reset). (U::System + Close). end,
    }
);

Offer!(
    /// The user waits for the answer to its `Receive` and sends meanwhile what its terminal says: both directions at once.
    pub UserTalking<U: UserSide> => TalkingEvent {
        U::System & Data(Data). UserOpen<U>,
        U::System & Advice(Advice). UserOpen<U>,
        U::System & Close(Close). UserPeerClosed<U>,
        U::System & Reset(Reset). (U::System + Close). end,
        RoleTerminal & Typed(Data). (U::System + Data). UserTalking<U>,
    }
);

Select!(
    /// The peer has closed and everything before was read: the user may still send.
    pub UserPeerClosed<U: UserSide>: U::System + {
        Send(Data). UserPeerClosed<U>,
        Urgent(Urgent). UserPeerClosed<U>,
        Set(Set). UserPeerClosed<U>,
        Close(Close). UserClosing<U>,
        Abort(Abort). end,
    }
);

Offer!(
    /// The user has closed and waits for the verdict; an answer that was under way may come first.
    pub UserClosing<U: UserSide> => UserClosingEvent {
        U::System & Data(Data). UserClosing<U>,
        U::System & Advice(Advice). UserClosing<U>,
        U::System & PeerClosed(Close). UserClosing<U>,
        U::System & Closed(Closed). end,
        U::System & Reset(Reset). end,
    }
);
