//! ESTABLISHED and CLOSE-WAIT, each with the user at work and with the user waiting (dissertation §3.3.6).

use super::{At, Phase, Stated, System, Watch, hears, label};
use crate::calls::{Abort, Close, Data, MAX_DATA_BYTES, Receive, ResetCause, Set, Urgent};
use crate::st::{SelectOne, SessionError, Token};
use crate::tcp::{Advice, CloseWait, Due, Established, EstablishedVerdict, Open, Poll, Tcp};
use crate::{
    CloseWaitEvent, CloseWaitReceiveEvent, EstablishedEvent, EstablishedReceiveEvent, SystemCloseWait,
    SystemCloseWaitReceive, SystemEstablished, SystemEstablishedReceive, SystemSide,
};

/// What is due while the user waits for an answer.
enum Receiving<D> {
    /// The answer: something that the user has to know before it gets data.
    Advise(Advice),
    /// The answer: data.
    Deliver,
    /// The answer: the peer has closed and everything before was read.
    DeliverClose,
    /// What the machine says.
    Machine(D),
}

impl<S: SystemSide, W: Watch> System<S, W> {
    fn await_established(
        &mut self,
        st: Token<S, SystemEstablished<S>>,
        tcp: &Tcp<Established>,
    ) -> Result<EstablishedEvent<S, S>, SessionError> {
        self.io.offer(
            st,
            hears(tcp),
            tcp,
            |now| tcp.poll(now),
            |arrived, now| {
                label(
                    tcp,
                    arrived,
                    |segment| tcp.judge(segment, now),
                    |verdict| match verdict {
                        EstablishedVerdict::Acceptable(segment) => SystemEstablished::Acceptable(segment),
                        EstablishedVerdict::Finishes(fin) => SystemEstablished::Fin(fin),
                    },
                )
            },
            |due| match due {
                Due::Segment => SystemEstablished::Due(),
                Due::GiveUp => SystemEstablished::GiveUp(),
            },
        )
    }

    pub(super) fn established(&mut self, at: At<S, SystemEstablished<S>>) -> Result<Phase<S>, SessionError> {
        let At { st, tcp } = at;
        let event = self.await_established(st, &tcp)?;
        let now = self.io.clock.now();
        Ok(match event {
            EstablishedEvent::Acceptable(segment, st) => {
                Phase::Established(At::after(st, tcp, |tcp| tcp.accept(segment, now)))
            }
            EstablishedEvent::Fin(fin, st) => Phase::CloseWait(At { st, tcp: tcp.finish(fin, now) }),
            EstablishedEvent::Reset(_, st) => Phase::Closed(st, ResetCause::Peer),
            EstablishedEvent::Unacceptable(segment, st) => Phase::Established(self.challenge(st, tcp, &segment)?),
            EstablishedEvent::Ignored(_, st) => Phase::Established(At { st, tcp }),
            EstablishedEvent::Icmp(error, st) => {
                Phase::Established(At::after(st, tcp, |tcp| tcp.notified(&error, now)))
            }
            EstablishedEvent::Send(data, st) => {
                Phase::Established(At::after(st, tcp, |tcp| tcp.send(data.octets(), now)))
            }
            EstablishedEvent::Urgent(Urgent(data), st) => {
                Phase::Established(At::after(st, tcp, |tcp| tcp.send_urgent(data.octets(), now)))
            }
            EstablishedEvent::Set(Set(setting), st) => {
                Phase::Established(At::after(st, tcp, |tcp| tcp.set(setting, now)))
            }
            EstablishedEvent::Receive(Receive(()), st) => Phase::EstablishedReceive(At { st, tcp }),
            EstablishedEvent::Close(Close(()), st) => Phase::FinWait1(At { st, tcp: tcp.close(now) }),
            EstablishedEvent::Abort(Abort(()), st) => Phase::Ended(self.abort(st, tcp)?),
            EstablishedEvent::Due(st) => Phase::Established(self.stay(st, tcp, |tcp| tcp.transmit(now))?),
            EstablishedEvent::GiveUp(st) => Phase::Closed(st, ResetCause::UserTimeout),
        })
    }

    fn await_established_receive(
        &mut self,
        st: Token<S, SystemEstablishedReceive<S>>,
        tcp: &Tcp<Established>,
    ) -> Result<EstablishedReceiveEvent<S, S>, SessionError> {
        self.io.offer(
            st,
            hears(tcp),
            tcp,
            |now| receiving(tcp, tcp.poll(now)),
            |arrived, now| {
                label(
                    tcp,
                    arrived,
                    |segment| tcp.judge(segment, now),
                    |verdict| match verdict {
                        EstablishedVerdict::Acceptable(segment) => SystemEstablishedReceive::Acceptable(segment),
                        EstablishedVerdict::Finishes(fin) => SystemEstablishedReceive::Fin(fin),
                    },
                )
            },
            |due| match due {
                Receiving::Advise(advice) => SystemEstablishedReceive::Advise(advice),
                Receiving::Deliver | Receiving::DeliverClose => SystemEstablishedReceive::Deliver(),
                Receiving::Machine(Due::Segment) => SystemEstablishedReceive::Due(),
                Receiving::Machine(Due::GiveUp) => SystemEstablishedReceive::GiveUp(),
            },
        )
    }

    pub(super) fn established_receive(
        &mut self,
        at: At<S, SystemEstablishedReceive<S>>,
    ) -> Result<Phase<S>, SessionError> {
        let At { st, tcp } = at;
        let event = self.await_established_receive(st, &tcp)?;
        let now = self.io.clock.now();
        Ok(match event {
            EstablishedReceiveEvent::Acceptable(segment, st) => {
                Phase::EstablishedReceive(At::after(st, tcp, |tcp| tcp.accept(segment, now)))
            }
            EstablishedReceiveEvent::Fin(fin, st) => Phase::CloseWaitReceive(At { st, tcp: tcp.finish(fin, now) }),
            EstablishedReceiveEvent::Reset(_, st) => Phase::ClosedTold(self.tell(st, ResetCause::Peer)?),
            EstablishedReceiveEvent::Unacceptable(segment, st) => {
                Phase::EstablishedReceive(self.challenge(st, tcp, &segment)?)
            }
            EstablishedReceiveEvent::Ignored(_, st) => Phase::EstablishedReceive(At { st, tcp }),
            EstablishedReceiveEvent::Icmp(error, st) => {
                Phase::EstablishedReceive(At::after(st, tcp, |tcp| tcp.notified(&error, now)))
            }
            EstablishedReceiveEvent::Send(data, st) => {
                Phase::EstablishedReceive(At::after(st, tcp, |tcp| tcp.send(data.octets(), now)))
            }
            EstablishedReceiveEvent::Urgent(Urgent(data), st) => {
                Phase::EstablishedReceive(At::after(st, tcp, |tcp| tcp.send_urgent(data.octets(), now)))
            }
            EstablishedReceiveEvent::Set(Set(setting), st) => {
                Phase::EstablishedReceive(At::after(st, tcp, |tcp| tcp.set(setting, now)))
            }
            EstablishedReceiveEvent::Close(Close(()), st) => Phase::FinWait1(At { st, tcp: tcp.close(now) }),
            EstablishedReceiveEvent::Abort(Abort(()), st) => Phase::Ended(self.abort(st, tcp)?),
            EstablishedReceiveEvent::Advise(advice, st) => Phase::Established(self.advise(st, tcp, advice)?),
            EstablishedReceiveEvent::Deliver(st) => Phase::Established(self.deliver(st, tcp)?),
            EstablishedReceiveEvent::Due(st) => Phase::EstablishedReceive(self.stay(st, tcp, |tcp| tcp.transmit(now))?),
            EstablishedReceiveEvent::GiveUp(st) => Phase::ClosedTold(self.tell(st, ResetCause::UserTimeout)?),
        })
    }

    fn await_close_wait(
        &mut self,
        st: Token<S, SystemCloseWait<S>>,
        tcp: &Tcp<CloseWait>,
    ) -> Result<CloseWaitEvent<S, S>, SessionError> {
        self.io.offer(
            st,
            hears(tcp),
            tcp,
            |now| tcp.poll(now),
            |arrived, now| label(tcp, arrived, |segment| tcp.judge(segment, now), SystemCloseWait::Acceptable),
            |due| match due {
                Due::Segment => SystemCloseWait::Due(),
                Due::GiveUp => SystemCloseWait::GiveUp(),
            },
        )
    }

    pub(super) fn close_wait(&mut self, at: At<S, SystemCloseWait<S>>) -> Result<Phase<S>, SessionError> {
        let At { st, tcp } = at;
        let event = self.await_close_wait(st, &tcp)?;
        let now = self.io.clock.now();
        Ok(match event {
            CloseWaitEvent::Acceptable(segment, st) => {
                Phase::CloseWait(At::after(st, tcp, |tcp| tcp.accept(segment, now)))
            }
            CloseWaitEvent::Reset(_, st) => Phase::Closed(st, ResetCause::Peer),
            CloseWaitEvent::Unacceptable(segment, st) => Phase::CloseWait(self.challenge(st, tcp, &segment)?),
            CloseWaitEvent::Ignored(_, st) => Phase::CloseWait(At { st, tcp }),
            CloseWaitEvent::Icmp(error, st) => Phase::CloseWait(At::after(st, tcp, |tcp| tcp.notified(&error, now))),
            CloseWaitEvent::Send(data, st) => Phase::CloseWait(At::after(st, tcp, |tcp| tcp.send(data.octets(), now))),
            CloseWaitEvent::Urgent(Urgent(data), st) => {
                Phase::CloseWait(At::after(st, tcp, |tcp| tcp.send_urgent(data.octets(), now)))
            }
            CloseWaitEvent::Set(Set(setting), st) => Phase::CloseWait(At::after(st, tcp, |tcp| tcp.set(setting, now))),
            CloseWaitEvent::Receive(Receive(()), st) => Phase::CloseWaitReceive(At { st, tcp }),
            CloseWaitEvent::Close(Close(()), st) => Phase::LastAck(At { st, tcp: tcp.close(now) }),
            CloseWaitEvent::Abort(Abort(()), st) => Phase::Ended(self.abort(st, tcp)?),
            CloseWaitEvent::Due(st) => Phase::CloseWait(self.stay(st, tcp, |tcp| tcp.transmit(now))?),
            CloseWaitEvent::GiveUp(st) => Phase::Closed(st, ResetCause::UserTimeout),
        })
    }

    fn await_close_wait_receive(
        &mut self,
        st: Token<S, SystemCloseWaitReceive<S>>,
        tcp: &Tcp<CloseWait>,
    ) -> Result<CloseWaitReceiveEvent<S, S>, SessionError> {
        self.io.offer(
            st,
            hears(tcp),
            tcp,
            |now| match (tcp.advice(), tcp.drained()) {
                (None, true) => Poll::Now(Receiving::DeliverClose),
                (Some(_), true) | (_, false) => receiving(tcp, tcp.poll(now)),
            },
            |arrived, now| label(tcp, arrived, |segment| tcp.judge(segment, now), SystemCloseWaitReceive::Acceptable),
            |due| match due {
                Receiving::Advise(advice) => SystemCloseWaitReceive::Advise(advice),
                Receiving::Deliver => SystemCloseWaitReceive::Deliver(),
                Receiving::DeliverClose => SystemCloseWaitReceive::DeliverClose(),
                Receiving::Machine(Due::Segment) => SystemCloseWaitReceive::Due(),
                Receiving::Machine(Due::GiveUp) => SystemCloseWaitReceive::GiveUp(),
            },
        )
    }

    pub(super) fn close_wait_receive(
        &mut self,
        at: At<S, SystemCloseWaitReceive<S>>,
    ) -> Result<Phase<S>, SessionError> {
        let At { st, tcp } = at;
        let event = self.await_close_wait_receive(st, &tcp)?;
        let now = self.io.clock.now();
        Ok(match event {
            CloseWaitReceiveEvent::Acceptable(segment, st) => {
                Phase::CloseWaitReceive(At::after(st, tcp, |tcp| tcp.accept(segment, now)))
            }
            CloseWaitReceiveEvent::Reset(_, st) => Phase::ClosedTold(self.tell(st, ResetCause::Peer)?),
            CloseWaitReceiveEvent::Unacceptable(segment, st) => {
                Phase::CloseWaitReceive(self.challenge(st, tcp, &segment)?)
            }
            CloseWaitReceiveEvent::Ignored(_, st) => Phase::CloseWaitReceive(At { st, tcp }),
            CloseWaitReceiveEvent::Icmp(error, st) => {
                Phase::CloseWaitReceive(At::after(st, tcp, |tcp| tcp.notified(&error, now)))
            }
            CloseWaitReceiveEvent::Send(data, st) => {
                Phase::CloseWaitReceive(At::after(st, tcp, |tcp| tcp.send(data.octets(), now)))
            }
            CloseWaitReceiveEvent::Urgent(Urgent(data), st) => {
                Phase::CloseWaitReceive(At::after(st, tcp, |tcp| tcp.send_urgent(data.octets(), now)))
            }
            CloseWaitReceiveEvent::Set(Set(setting), st) => {
                Phase::CloseWaitReceive(At::after(st, tcp, |tcp| tcp.set(setting, now)))
            }
            CloseWaitReceiveEvent::Close(Close(()), st) => Phase::LastAck(At { st, tcp: tcp.close(now) }),
            CloseWaitReceiveEvent::Abort(Abort(()), st) => Phase::Ended(self.abort(st, tcp)?),
            CloseWaitReceiveEvent::Advise(advice, st) => Phase::CloseWait(self.advise(st, tcp, advice)?),
            CloseWaitReceiveEvent::Deliver(st) => Phase::CloseWait(self.deliver(st, tcp)?),
            CloseWaitReceiveEvent::DeliverClose(st) => {
                let st = self.io.user.select_one(st, Close(()))?;
                Phase::CloseWait(At { st, tcp })
            }
            CloseWaitReceiveEvent::Due(st) => Phase::CloseWaitReceive(self.stay(st, tcp, |tcp| tcp.transmit(now))?),
            CloseWaitReceiveEvent::GiveUp(st) => Phase::ClosedTold(self.tell(st, ResetCause::UserTimeout)?),
        })
    }

    /// Answers a `Receive` with what was received.
    fn deliver<T: Stated>(
        &mut self,
        st: Token<S, SelectOne<S::User, Data, T>>,
        mut tcp: Tcp<T::State>,
    ) -> Result<At<S, T>, SessionError>
    where
        T::State: Open,
    {
        let octets = tcp.deliver(MAX_DATA_BYTES);
        let st = self.io.user.select_one(st, Data::of_machine(octets, tcp.urgent_octets()))?;
        Ok(At { st, tcp })
    }

    /// Answers a `Receive` with what the user has to know.
    fn advise<T: Stated>(
        &mut self,
        st: Token<S, SelectOne<S::User, Advice, T>>,
        mut tcp: Tcp<T::State>,
        advice: Advice,
    ) -> Result<At<S, T>, SessionError>
    where
        T::State: Open,
    {
        tcp.advised(advice);
        let st = self.io.user.select_one(st, advice)?;
        Ok(At { st, tcp })
    }
}

/// What is due while the user waits: the answer before all else, since it opens the window that an ACK will tell of.
fn receiving<T: Open, D>(tcp: &Tcp<T>, machine: Poll<D>) -> Poll<Receiving<D>> {
    if let Some(advice) = tcp.advice() {
        return Poll::Now(Receiving::Advise(advice));
    }
    match (tcp.readable(), machine) {
        (0, Poll::Now(due)) => Poll::Now(Receiving::Machine(due)),
        (0, Poll::At(instant)) => Poll::At(instant),
        (0, Poll::Never) => Poll::Never,
        (_, _) => Poll::Now(Receiving::Deliver),
    }
}
