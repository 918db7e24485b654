//! The states after the user's CLOSE, and CLOSED (dissertation §3.3.8).

use super::{At, Phase, System, Watch, label};
use crate::calls::{Abort, Close, Closed, Receive, Reset, ResetCause};
use crate::smol_channel::Rst;
use crate::st::{Action, End, Picked, SelectOne, SessionError, Timeout, Token};
use crate::tcp::{
    ClosingDue, ClosingVerdict, FinWait1Verdict, FinWait2Due, FinWait2Verdict, State, Tcp, TcpClosed, TimeWaitDue,
};
use crate::undirected::User;
use crate::{
    ClosedEvent, ClosedToldEvent, ClosingEvent, FinWait1Event, FinWait2Event, LastAckEvent, St, SystemClosed,
    SystemClosedTold, SystemClosing, SystemFinWait1, SystemFinWait2, SystemLastAck, SystemSide, SystemTimeWait,
    TimeWaitEvent,
};

/// The label for what is due, which is the same in every state whose FIN is to be sent or not acknowledged.
macro_rules! due_while_closing {
    ($($session:ident),+ $(,)?) => {$(
        impl<S: SystemSide> $session<S> {
            /// The label for what is due.
            fn due(due: ClosingDue) -> Picked<Self, Timeout> {
                match due {
                    ClosingDue::Segment => Self::Due(),
                    ClosingDue::Fin => Self::DueFin(),
                    ClosingDue::DataLost => Self::DataLost(),
                    ClosingDue::GiveUp => Self::GiveUp(),
                }
            }
        }
    )+};
}

due_while_closing!(SystemFinWait1, SystemClosing, SystemLastAck);

impl<S: SystemSide, W: Watch> System<S, W> {
    pub(super) fn fin_wait_1(&mut self, at: At<S, SystemFinWait1<S>>) -> Result<Phase<S>, SessionError> {
        let At { st, tcp } = at;
        let event = self.io.offer(
            st,
            User::Unheard,
            &tcp,
            |now| tcp.poll(now),
            |arrived, now| {
                label(
                    &tcp,
                    arrived,
                    |segment| tcp.judge(segment, now),
                    |verdict| match verdict {
                        FinWait1Verdict::Acceptable(segment) => SystemFinWait1::Acceptable(segment),
                        FinWait1Verdict::AcksFin(acked) => SystemFinWait1::FinAcked(acked),
                        FinWait1Verdict::Finishes(fin) => SystemFinWait1::Fin(fin),
                        FinWait1Verdict::AcksFinAndFinishes(both) => SystemFinWait1::FinAckedAndFin(both),
                        FinWait1Verdict::AfterClose(lost) => SystemFinWait1::AfterClose(lost),
                    },
                )
            },
            SystemFinWait1::due,
        )?;
        let now = self.io.clock.now();
        Ok(match event {
            FinWait1Event::Acceptable(segment, st) => {
                Phase::FinWait1(At::after(st, tcp, |tcp| tcp.accept(segment, now)))
            }
            FinWait1Event::FinAcked(acked, st) => {
                let (st, tcp) = (self.confirm(st)?, tcp.fin_wait_2(acked, now));
                Phase::FinWait2(At { st, tcp })
            }
            FinWait1Event::Fin(fin, st) => {
                let tcp = tcp.closing(fin, now);
                Phase::Closing(At { st, tcp })
            }
            FinWait1Event::FinAckedAndFin(both, st) => {
                let (st, tcp) = (self.confirm(st)?, tcp.time_wait(both, now));
                Phase::TimeWait(At { st, tcp })
            }
            FinWait1Event::AfterClose(_, st) | FinWait1Event::DataLost(st) => Phase::Ended(self.data_lost(st, tcp)?),
            FinWait1Event::Reset(_, st) => Phase::Ended(self.tell(st, ResetCause::Peer)?),
            FinWait1Event::Unacceptable(segment, st) => Phase::FinWait1(self.challenge(st, tcp, &segment)?),
            FinWait1Event::Ignored(_, st) => Phase::FinWait1(At { st, tcp }),
            FinWait1Event::Icmp(error, st) => Phase::FinWait1(At::after(st, tcp, |tcp| tcp.notified(&error, now))),
            FinWait1Event::Due(st) => Phase::FinWait1(self.stay(st, tcp, |tcp| tcp.transmit(now))?),
            FinWait1Event::DueFin(st) => Phase::FinWait1(self.stay(st, tcp, |tcp| tcp.transmit_fin(now))?),
            FinWait1Event::GiveUp(st) => Phase::Ended(self.tell(st, ResetCause::UserTimeout)?),
        })
    }

    pub(super) fn fin_wait_2(&mut self, at: At<S, SystemFinWait2<S>>) -> Result<Phase<S>, SessionError> {
        let At { st, tcp } = at;
        let event = self.io.offer(
            st,
            User::Unheard,
            &tcp,
            |now| tcp.poll(now),
            |arrived, now| {
                label(
                    &tcp,
                    arrived,
                    |segment| tcp.judge(segment, now),
                    |verdict| match verdict {
                        FinWait2Verdict::Acceptable(segment) => SystemFinWait2::Acceptable(segment),
                        FinWait2Verdict::Finishes(fin) => SystemFinWait2::Fin(fin),
                        FinWait2Verdict::AfterClose(lost) => SystemFinWait2::AfterClose(lost),
                    },
                )
            },
            |due| match due {
                FinWait2Due::Segment => SystemFinWait2::Due(),
                FinWait2Due::Expired => SystemFinWait2::Expired(),
            },
        )?;
        let now = self.io.clock.now();
        Ok(match event {
            FinWait2Event::Acceptable(segment, st) => {
                Phase::FinWait2(At::after(st, tcp, |tcp| tcp.accept(segment, now)))
            }
            FinWait2Event::Fin(fin, st) => {
                let tcp = tcp.time_wait(fin, now);
                Phase::TimeWait(At { st, tcp })
            }
            FinWait2Event::AfterClose(_, st) => Phase::Ended(self.abort(st, tcp)?),
            FinWait2Event::Reset(_, st) | FinWait2Event::Expired(st) => Phase::Ended(st),
            FinWait2Event::Unacceptable(segment, st) => Phase::FinWait2(self.challenge(st, tcp, &segment)?),
            FinWait2Event::Ignored(_, st) => Phase::FinWait2(At { st, tcp }),
            FinWait2Event::Icmp(error, st) => Phase::FinWait2(At::after(st, tcp, |tcp| tcp.notified(&error, now))),
            FinWait2Event::Due(st) => Phase::FinWait2(self.stay(st, tcp, |tcp| tcp.transmit(now))?),
        })
    }

    pub(super) fn closing(&mut self, at: At<S, SystemClosing<S>>) -> Result<Phase<S>, SessionError> {
        let At { st, tcp } = at;
        let event = self.io.offer(
            st,
            User::Unheard,
            &tcp,
            |now| tcp.poll(now),
            |arrived, now| {
                label(
                    &tcp,
                    arrived,
                    |segment| tcp.judge(segment, now),
                    |verdict| match verdict {
                        ClosingVerdict::Acceptable(segment) => SystemClosing::Acceptable(segment),
                        ClosingVerdict::AcksFin(acked) => SystemClosing::FinAcked(acked),
                    },
                )
            },
            SystemClosing::due,
        )?;
        let now = self.io.clock.now();
        Ok(match event {
            ClosingEvent::Acceptable(segment, st) => Phase::Closing(At::after(st, tcp, |tcp| tcp.accept(segment, now))),
            ClosingEvent::FinAcked(acked, st) => {
                let (st, tcp) = (self.confirm(st)?, tcp.time_wait(acked, now));
                Phase::TimeWait(At { st, tcp })
            }
            ClosingEvent::Reset(_, st) => Phase::Ended(self.tell(st, ResetCause::Peer)?),
            ClosingEvent::Unacceptable(segment, st) => Phase::Closing(self.challenge(st, tcp, &segment)?),
            ClosingEvent::Ignored(_, st) => Phase::Closing(At { st, tcp }),
            ClosingEvent::Icmp(error, st) => Phase::Closing(At::after(st, tcp, |tcp| tcp.notified(&error, now))),
            ClosingEvent::Due(st) => Phase::Closing(self.stay(st, tcp, |tcp| tcp.transmit(now))?),
            ClosingEvent::DueFin(st) => Phase::Closing(self.stay(st, tcp, |tcp| tcp.transmit_fin(now))?),
            ClosingEvent::DataLost(st) => Phase::Ended(self.data_lost(st, tcp)?),
            ClosingEvent::GiveUp(st) => Phase::Ended(self.tell(st, ResetCause::UserTimeout)?),
        })
    }

    pub(super) fn last_ack(&mut self, at: At<S, SystemLastAck<S>>) -> Result<Phase<S>, SessionError> {
        let At { st, tcp } = at;
        let event = self.io.offer(
            st,
            User::Unheard,
            &tcp,
            |now| tcp.poll(now),
            |arrived, now| {
                label(
                    &tcp,
                    arrived,
                    |segment| tcp.judge(segment, now),
                    |verdict| match verdict {
                        ClosingVerdict::Acceptable(segment) => SystemLastAck::Acceptable(segment),
                        ClosingVerdict::AcksFin(acked) => SystemLastAck::FinAcked(acked),
                    },
                )
            },
            SystemLastAck::due,
        )?;
        let now = self.io.clock.now();
        Ok(match event {
            LastAckEvent::Acceptable(segment, st) => Phase::LastAck(At::after(st, tcp, |tcp| tcp.accept(segment, now))),
            LastAckEvent::FinAcked(acked, st) => {
                let _closed: TcpClosed = tcp.closed(acked);
                Phase::Ended(self.confirm(st)?)
            }
            LastAckEvent::Reset(_, st) => Phase::Ended(self.tell(st, ResetCause::Peer)?),
            LastAckEvent::Unacceptable(segment, st) => Phase::LastAck(self.challenge(st, tcp, &segment)?),
            LastAckEvent::Ignored(_, st) => Phase::LastAck(At { st, tcp }),
            LastAckEvent::Icmp(error, st) => Phase::LastAck(At::after(st, tcp, |tcp| tcp.notified(&error, now))),
            LastAckEvent::Due(st) => Phase::LastAck(self.stay(st, tcp, |tcp| tcp.transmit(now))?),
            LastAckEvent::DueFin(st) => Phase::LastAck(self.stay(st, tcp, |tcp| tcp.transmit_fin(now))?),
            LastAckEvent::DataLost(st) => Phase::Ended(self.data_lost(st, tcp)?),
            LastAckEvent::GiveUp(st) => Phase::Ended(self.tell(st, ResetCause::UserTimeout)?),
        })
    }

    pub(super) fn time_wait(&mut self, at: At<S, SystemTimeWait<S>>) -> Result<Phase<S>, SessionError> {
        let At { st, tcp } = at;
        let event = self.io.offer(
            st,
            User::Unheard,
            &tcp,
            |now| tcp.poll(now),
            |arrived, now| label(&tcp, arrived, |segment| tcp.judge(segment, now), SystemTimeWait::Reopens),
            |due| match due {
                TimeWaitDue::Segment => SystemTimeWait::Due(),
                TimeWaitDue::Expired => SystemTimeWait::Expired(),
            },
        )?;
        let now = self.io.clock.now();
        Ok(match event {
            TimeWaitEvent::Reopens(syn, st) => {
                self.io.net.resubmit(syn.into(), tcp.status().snd_nxt);
                Phase::Ended(st)
            }
            TimeWaitEvent::Reset(_, st) | TimeWaitEvent::Expired(st) => Phase::Ended(st),
            TimeWaitEvent::Unacceptable(segment, st) => Phase::TimeWait(self.challenge(st, tcp, &segment)?),
            TimeWaitEvent::Ignored(_, st) => Phase::TimeWait(At { st, tcp }),
            TimeWaitEvent::Icmp(error, st) => Phase::TimeWait(At::after(st, tcp, |tcp| tcp.notified(&error, now))),
            TimeWaitEvent::Due(st) => Phase::TimeWait(self.stay(st, tcp, |tcp| tcp.transmit(now))?),
        })
    }

    /// CLOSED, and the user does not know yet.
    pub(super) fn closed(
        &mut self,
        st: Token<S, SystemClosed<S>>,
        cause: ResetCause,
    ) -> Result<Phase<S>, SessionError> {
        Ok(match self.io.user.offer(st)? {
            ClosedEvent::Send(_, st) | ClosedEvent::Urgent(_, st) | ClosedEvent::Set(_, st) => Phase::Closed(st, cause),
            ClosedEvent::Receive(Receive(()), st) => Phase::ClosedTold(self.tell(st, cause)?),
            ClosedEvent::Close(Close(()), st) => Phase::Ended(self.tell(st, cause)?),
            ClosedEvent::Abort(Abort(()), st) => Phase::Ended(st),
        })
    }

    /// CLOSED, and the user knows.
    pub(super) fn closed_told(&mut self, st: Token<S, SystemClosedTold<S>>) -> Result<Phase<S>, SessionError> {
        Ok(match self.io.user.offer(st)? {
            ClosedToldEvent::Send(_, st) | ClosedToldEvent::Urgent(_, st) | ClosedToldEvent::Set(_, st) => {
                Phase::ClosedTold(st)
            }
            ClosedToldEvent::Close(Close(()), st) | ClosedToldEvent::Abort(Abort(()), st) => Phase::Ended(st),
        })
    }

    /// Tells both sides that data of the peer was lost (RFC 9293 SHLD-3).
    #[expect(clippy::type_complexity, reason = "the session type is what this function does")]
    fn data_lost<T: State>(
        &mut self,
        st: Token<S, St![(S::Peer + Rst).(S::User + Reset).end]>,
        tcp: Tcp<T>,
    ) -> Result<Token<S, End>, SessionError> {
        let st = self.abort(st, tcp)?;
        self.tell(st, ResetCause::DataLost)
    }

    /// Tells the user that everything it sent has arrived.
    fn confirm<A: Action>(&mut self, st: Token<S, SelectOne<S::User, Closed, A>>) -> Result<Token<S, A>, SessionError> {
        self.io.user.select_one(st, Closed(()))
    }
}
