//! CLOSED, LISTEN and SYN-RECEIVED: the three-way handshake (dissertation §3.3.5).

use log::debug;

use super::{At, Phase, System, Watch, label};
use crate::calls::{Abort, Connected, Set, TcbCreated};
use crate::st::{End, SessionError, Token};
use crate::tcp::{Answer, ListenVerdict, Reaction, SynReceivedDue, SynReceivedVerdict, TcpClosed, TcpListen, isn};
use crate::undirected::User;
use crate::{
    ListenEvent, RoleServerSystem, ServerSystemSessionType, SynReceivedEvent, SystemListen, SystemSide,
    SystemSynReceived, UnopenedEvent,
};

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

impl<S: SystemSide, W: Watch> System<S, W> {
    pub(super) fn listen(&mut self, st: Token<S, SystemListen<S>>, tcp: TcpListen) -> Result<Phase<S>, SessionError> {
        let judge = |remote, segment, admission| match tcp.admit(remote, segment, admission) {
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
                debug!("{remote}: answered by a cookie");
                let st = self.io.net.select_one(st, remote, tcp.answer_by_cookie(&syn))?;
                Phase::Listen(st, tcp)
            }
            ListenEvent::Cookie(cookie, st) => {
                self.remote = Some(remote);
                let tcp = tcp.recv_cookie(remote, cookie, self.io.clock.now());
                let st = self.io.user.select_one(st, Connected(()))?;
                Phase::Established(At { st, tcp })
            }
            ListenEvent::Refused(segment, st) => {
                debug!("{remote}: no connection, refused");
                let st = self.io.net.select_one(st, remote, tcp.refuse(&segment))?;
                Phase::Listen(st, tcp)
            }
            ListenEvent::Ignored(_, st) => Phase::Listen(st, tcp),
            ListenEvent::Abort(Abort(()), st) => Phase::Ended(st),
        })
    }

    pub(super) fn syn_received(&mut self, at: At<S, SystemSynReceived<S>>) -> Result<Phase<S>, SessionError> {
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
            SynReceivedEvent::Restart(_, st)
            | SynReceivedEvent::Reset(_, st)
            | SynReceivedEvent::Unreachable(_, st)
            | SynReceivedEvent::GiveUp(st) => Phase::Listen(st, tcp.listen()),
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
