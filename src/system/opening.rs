//! CLOSED, LISTEN, SYN-SENT and SYN-RECEIVED: the three-way handshake from either end (dissertation §3.3.5).

use std::convert::Infallible;
use std::net::SocketAddrV4;

use log::{Level, debug, log_enabled};

use super::{At, Phase, State, System, Watch, label};
use crate::calls::{Abort, Connected, NotOpened, ResetCause, Set, TcbCreated};
use crate::st::{End, SessionError, Token};
use crate::tcp::segment::Segment;
use crate::tcp::{
    Advice, Answer, ListenVerdict, Reaction, SynReceived, SynReceivedDue, SynReceivedVerdict, SynSent, SynSentDue,
    SynSentVerdict, Tcp, TcpClosed, TcpListen, isn,
};
use crate::undirected::User;
use crate::{
    ClientSystemSessionType, ListenEvent, RoleClientSystem, RoleServerSystem, ServerSystemSessionType,
    SynReceivedEvent, SynSentEvent, SystemConnecting, SystemListen, SystemSide, SystemSynReceived, SystemSynSent,
    UnconnectedEvent, UnopenedEvent,
};

/// What is due while our SYN is on its way.
enum Connecting {
    /// Something that the user has to know.
    Advise(Advice),
    /// What the machine says.
    Machine(SynSentDue),
}

/// A system by the way it opens.
pub(super) trait Opens: SystemSide {
    /// A handshake came to nothing (RFC 9293 §3.10.7.4).
    fn handshake_failed<W: Watch>(
        system: &mut System<Self, W>,
        st: Token<Self, Self::HandshakeFailed>,
        tcp: Tcp<SynReceived>,
        cause: ResetCause,
    ) -> Result<Phase<Self>, SessionError>;
}

/// The server listens again, and its user hears nothing.
impl Opens for RoleServerSystem {
    fn handshake_failed<W: Watch>(
        _system: &mut System<Self, W>,
        st: Token<Self, SystemListen<Self>>,
        tcp: Tcp<SynReceived>,
        _cause: ResetCause,
    ) -> Result<Phase<Self>, SessionError> {
        Ok(Phase::Listen(st, tcp.listen()))
    }
}

/// The client's user is told.
impl Opens for RoleClientSystem {
    fn handshake_failed<W: Watch>(
        system: &mut System<Self, W>,
        st: Token<Self, Self::HandshakeFailed>,
        _tcp: Tcp<SynReceived>,
        cause: ResetCause,
    ) -> Result<Phase<Self>, SessionError> {
        Ok(Phase::Ended(system.tell(st, cause)?))
    }
}

/// Judges a segment that came in LISTEN, and logs it with the verdict: there are no other numbers yet to judge it by.
fn logged_verdict(
    remote: SocketAddrV4,
    segment: Segment,
    judge: impl FnOnce(Segment) -> Reaction<ListenVerdict, Infallible>,
) -> Reaction<ListenVerdict, Infallible> {
    let said = log_enabled!(Level::Debug).then(|| segment.to_string());
    let reaction = judge(segment);
    if let Some(said) = said {
        let verdict = match &reaction {
            Reaction::Acceptable(ListenVerdict::Syn(_)) => "acceptable",
            Reaction::Acceptable(ListenVerdict::Crowded(_)) => "acceptable, answered by a cookie",
            Reaction::Acceptable(ListenVerdict::Returns(_)) => "acceptable, brings a cookie back",
            Reaction::NotAcceptable(_, Answer::Rst) => "not acceptable, answered with a RST",
            Reaction::NotAcceptable(_, Answer::Ack | Answer::Nothing) => "not acceptable, dropped",
            Reaction::Reset(never) => match *never {},
        };
        debug!("{remote} in {}: {said}: {verdict}", State::Listen);
    }
    reaction
}

impl<W: Watch> System<RoleServerSystem, W> {
    /// Runs the server system from its user's OPEN to the end of one connection.
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the device is gone, or the user before its OPEN.
    pub fn run(mut self, st: Token<RoleServerSystem, ServerSystemSessionType>) -> Result<End, SessionError> {
        let mut unopened = st;
        let (open, st) = loop {
            match self.io.user.offer(unopened)? {
                UnopenedEvent::Set(Set(setting), st) => {
                    self.config.set(setting);
                    unopened = st;
                }
                UnopenedEvent::Open(open, st) => break (open, st),
            }
        };
        let tcp = TcpClosed::new(self.config.clone()).open(open.0);
        let st = self.io.user.select_one(st, TcbCreated(()))?;
        self.follow(Phase::Listen(st, tcp))
    }
}

impl<W: Watch> System<RoleClientSystem, W> {
    /// Runs the client system from its user's OPEN to the end of the connection.
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the device is gone, or the user before its OPEN.
    pub fn run(mut self, st: Token<RoleClientSystem, ClientSystemSessionType>) -> Result<End, SessionError> {
        let mut unconnected = st;
        let (connect, st) = loop {
            match self.io.user.offer(unconnected)? {
                UnconnectedEvent::Set(Set(setting), st) => {
                    self.config.set(setting);
                    unconnected = st;
                }
                UnconnectedEvent::Connect(connect, st) => break (connect, st),
            }
        };
        let local = match self.io.net.connect(&connect) {
            Ok(local) => local,
            Err(cause) => return Ok(self.io.user.select(st, SystemConnecting::NotOpened(NotOpened(cause)))?.end()),
        };
        let st = self.io.user.select(st, SystemConnecting::TcbCreated(TcbCreated(())))?;
        self.remote = Some(connect.remote);
        let now = self.io.clock.now();
        let iss = isn::iss(&self.isn, now, local, connect.remote);
        let (tcp, syn) = TcpClosed::new(self.config.clone()).connect(local, connect.remote, iss, now);
        let st = self.send(st, &tcp, syn)?;
        self.watch.changed(self.remote, State::Closed, State::SynSent);
        self.follow(Phase::SynSent(At { st, tcp }))
    }
}

impl<S: SystemSide, W: Watch> System<S, W> {
    pub(super) fn listen(&mut self, st: Token<S, SystemListen<S>>, tcp: TcpListen) -> Result<Phase<S>, SessionError> {
        let admit = |remote, segment, admission| {
            logged_verdict(remote, segment, |segment| tcp.admit(remote, segment, admission))
        };
        let judge = |remote, segment, admission| match admit(remote, segment, admission) {
            Reaction::Acceptable(ListenVerdict::Syn(syn)) => SystemListen::Syn(syn),
            Reaction::Acceptable(ListenVerdict::Crowded(syn)) => SystemListen::Crowded(syn),
            Reaction::Acceptable(ListenVerdict::Returns(cookie)) => SystemListen::Cookie(cookie),
            Reaction::NotAcceptable(segment, Answer::Rst) => SystemListen::Refused(segment),
            Reaction::NotAcceptable(segment, Answer::Ack | Answer::Nothing) => SystemListen::Ignored(segment),
        };
        let event = self.io.listen(st, judge)?;
        let remote = self.io.net.last_remote();
        Ok(match event {
            ListenEvent::Syn(syn, st) => {
                self.remote = Some(remote);
                let now = self.io.clock.now();
                let iss = isn::iss(&self.isn, now, tcp.local(), remote);
                // RFC 9293 §3.6.1 (MAY-2): past what an earlier connection has used, which may be ahead of the clock.
                let iss = self.io.net.predecessor().map_or(iss, |snd_nxt| iss.later_of(snd_nxt));
                let (tcp, syn_ack) = tcp.recv_syn(remote, syn, iss, now);
                let st = self.send(st, &tcp, syn_ack)?;
                Phase::SynReceived(At { st, tcp })
            }
            ListenEvent::Crowded(syn, st) => {
                let st = self.io.net.select_one(st, remote, tcp.answer_by_cookie(&syn, self.io.clock.now()))?;
                Phase::Listen(st, tcp)
            }
            ListenEvent::Cookie(cookie, st) => {
                self.remote = Some(remote);
                let tcp = tcp.recv_cookie(remote, cookie, self.io.clock.now());
                let st = self.io.user.select_one(st, Connected(()))?;
                Phase::Established(At { st, tcp })
            }
            ListenEvent::Refused(segment, st) => {
                let st = self.io.net.select_one(st, remote, tcp.refuse(&segment))?;
                Phase::Listen(st, tcp)
            }
            ListenEvent::Ignored(_, st) => Phase::Listen(st, tcp),
            ListenEvent::Abort(Abort(()), st) => Phase::Ended(st),
        })
    }

    fn await_syn_sent(
        &mut self,
        st: Token<S, SystemSynSent<S>>,
        tcp: &Tcp<SynSent>,
    ) -> Result<SynSentEvent<S, S>, SessionError> {
        self.io.offer(
            st,
            User::Heard,
            tcp,
            |now| tcp.poll(now).map(Connecting::Machine).or(tcp.poll_advice(now).map(Connecting::Advise)),
            |arrived, now| {
                label(
                    tcp,
                    arrived,
                    |segment| tcp.judge(segment, now),
                    |verdict| match verdict {
                        SynSentVerdict::Answered(answer) => SystemSynSent::Answered(answer),
                        SynSentVerdict::Crossed(syn) => SystemSynSent::Crossed(syn),
                    },
                )
            },
            |due| match due {
                Connecting::Advise(advice) => SystemSynSent::Advise(advice),
                Connecting::Machine(SynSentDue::Retransmit) => SystemSynSent::Due(),
                Connecting::Machine(SynSentDue::GiveUp) => SystemSynSent::GiveUp(),
            },
        )
    }

    pub(super) fn syn_sent(&mut self, at: At<S, SystemSynSent<S>>) -> Result<Phase<S>, SessionError> {
        let At { st, mut tcp } = at;
        let event = self.await_syn_sent(st, &tcp)?;
        let now = self.io.clock.now();
        Ok(match event {
            SynSentEvent::Answered(answer, st) => {
                let st = self.io.user.select_one(st, Connected(()))?;
                Phase::Established(At { st, tcp: tcp.established(answer, now) })
            }
            SynSentEvent::Crossed(syn, st) => {
                let (tcp, syn_ack) = tcp.syn_received(syn, now);
                let st = self.send(st, &tcp, syn_ack)?;
                Phase::SynReceived(At { st, tcp })
            }
            SynSentEvent::Reset(_, st) => Phase::Ended(self.tell(st, ResetCause::Refused)?),
            SynSentEvent::Unreachable(error, st) => {
                Phase::Ended(self.tell(st, ResetCause::Unreachable(error.error().kind))?)
            }
            SynSentEvent::Refused(segment, st) => Phase::SynSent(self.stay(st, tcp, |tcp| tcp.refuse(&segment))?),
            SynSentEvent::Ignored(_, st) => Phase::SynSent(At { st, tcp }),
            SynSentEvent::Icmp(error, st) => Phase::SynSent(At::after(st, tcp, |tcp| tcp.notified(&error, now))),
            // RFC 9293 §3.10.5: nothing is sent, the peer knows of no connection.
            SynSentEvent::Abort(Abort(()), st) => Phase::Ended(st),
            SynSentEvent::Due(st) => Phase::SynSent(self.stay(st, tcp, |tcp| tcp.retransmit(now))?),
            SynSentEvent::Advise(advice, st) => {
                let st = self.io.user.select_one(st, advice)?;
                tcp.advised(advice, now);
                Phase::SynSent(At { st, tcp })
            }
            SynSentEvent::GiveUp(st) => Phase::Ended(self.tell(st, ResetCause::UserTimeout)?),
        })
    }

    pub(super) fn syn_received(&mut self, at: At<S, SystemSynReceived<S>>) -> Result<Phase<S>, SessionError>
    where
        S: Opens,
    {
        let At { st, tcp } = at;
        let event = self.io.offer(
            st,
            User::Heard,
            &tcp,
            |now| tcp.poll(now),
            |arrived, now| {
                label(
                    &tcp,
                    arrived,
                    |segment| tcp.judge(segment, now),
                    |verdict| match verdict {
                        SynReceivedVerdict::Acked(acked) => SystemSynReceived::Acknowledged(acked),
                        SynReceivedVerdict::Finished(fin) => SystemSynReceived::Fin(fin),
                        SynReceivedVerdict::Restart(syn) => SystemSynReceived::Restart(syn),
                    },
                )
            },
            |due| match due {
                SynReceivedDue::Retransmit => SystemSynReceived::Due(),
                SynReceivedDue::GiveUp => SystemSynReceived::GiveUp(),
            },
        )?;
        let now = self.io.clock.now();
        Ok(match event {
            SynReceivedEvent::Acknowledged(acked, st) => {
                self.io.net.established();
                let st = self.io.user.select_one(st, Connected(()))?;
                let tcp = tcp.established(acked, now);
                Phase::Established(At { st, tcp })
            }
            SynReceivedEvent::Fin(fin, st) => {
                self.io.net.established();
                let st = self.io.user.select_one(st, Connected(()))?;
                let tcp = tcp.close_wait(fin, now);
                Phase::CloseWait(At { st, tcp })
            }
            SynReceivedEvent::Restart(_, st) | SynReceivedEvent::Reset(_, st) => {
                S::handshake_failed(self, st, tcp, ResetCause::Refused)?
            }
            SynReceivedEvent::Unreachable(error, st) => {
                S::handshake_failed(self, st, tcp, ResetCause::Unreachable(error.error().kind))?
            }
            SynReceivedEvent::GiveUp(st) => S::handshake_failed(self, st, tcp, ResetCause::UserTimeout)?,
            SynReceivedEvent::Unacceptable(segment, st) => Phase::SynReceived(self.challenge(st, tcp, &segment)?),
            SynReceivedEvent::Refused(segment, st) => {
                Phase::SynReceived(self.stay(st, tcp, |tcp| tcp.refuse(&segment))?)
            }
            SynReceivedEvent::Ignored(_, st) => Phase::SynReceived(At { st, tcp }),
            SynReceivedEvent::Icmp(error, st) => {
                Phase::SynReceived(At::after(st, tcp, |tcp| tcp.notified(&error, now)))
            }
            SynReceivedEvent::Abort(Abort(()), st) => Phase::Ended(self.abort(st, tcp)?),
            SynReceivedEvent::Due(st) => Phase::SynReceived(self.stay(st, tcp, |tcp| tcp.retransmit(now))?),
        })
    }
}
