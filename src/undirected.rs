//! Undirected offers: one wait of a system on its network, its user and the clock, and one of a user on its system and a terminal.
//!
//! The channels below are crossbeam queues both, so one `select!` with a deadline serves; the deadline is the machine's
//! own. Nothing is polled and nothing spins.

use std::net::SocketAddrV4;

use crossbeam_channel::{Receiver, RecvError, Select, TryRecvError, never, select};
use smoltcp::time::Instant;

use crate::calls::Data;
use crate::cb::CbChannel;
use crate::smol_channel::{Arrived, ChannelFilter, Filtered, NetChannel, Source};
use crate::smol_lower::{Arrival, Waiting};
use crate::st::{Envelope, Name, Offer, Picked, SessionError, Timeout, Token};
use crate::tcp::cookie::Admission;
use crate::tcp::segment::Segment;
use crate::tcp::{IcmpError, Poll};
use crate::{RoleTerminal, SystemSide, UserSide};

/// Arrivals taken in a row before the clock and the user are looked at.
///
/// Taking what has arrived before answering is what aggregates acknowledgements (RFC 9293 §3.10.7.4, MUST-58 and MUST-59); the limit
/// keeps a flood of segments from holding up a retransmission.
const SEGMENTS_IN_A_ROW: u32 = 32;

/// Whether an offer looks at the user's channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum User {
    /// The user's calls are taken.
    Heard,
    /// They stay in their queue: back-pressure. Credits are taken, and a crash is noticed.
    Credits,
    /// Nothing is taken: there is no user any more.
    Unheard,
}

/// The clock of the machines: microseconds since the process began.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: std::time::Instant,
}

impl Clock {
    /// Starts a clock.
    pub fn start() -> Self {
        Clock { epoch: std::time::Instant::now() }
    }

    /// The time now.
    pub fn now(&self) -> Instant {
        let micros = self.epoch.elapsed().as_micros();
        Instant::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }
}

/// Everything that a system waits for: its peer, its user, and time.
pub struct Io<S: SystemSide> {
    /// The network.
    pub net: NetChannel<S, S::Peer>,
    /// The user.
    pub user: CbChannel<S, S::User>,
    /// The time.
    pub clock: Clock,
    segments_in_a_row: u32,
}

/// What a wait ended with.
enum Event<T> {
    Segment(Result<T, RecvError>),
    Icmp(Result<IcmpError, RecvError>),
    Call(Result<Envelope, RecvError>),
    Credit(Result<Envelope, RecvError>),
    Timeout,
}

impl<S: SystemSide> Io<S> {
    /// Joins the channels of one system.
    pub fn new(net: NetChannel<S, S::Peer>, user: CbChannel<S, S::User>, clock: Clock) -> Self {
        Io { net, user, clock, segments_in_a_row: 0 }
    }

    /// Offers the branches of `st` to the network, the user and the clock, and takes the one that comes first.
    ///
    /// `poll` is asked what is due before each wait; `judge` picks the label for what arrives from the network, `due` the one
    /// for what is due. The types see to it that an arrival takes a branch of the peer's and the clock one of [`Timeout`].
    ///
    /// # Errors
    ///
    /// [`SessionError::Gone`] when the device is, or the user where `st` has no branch for that.
    pub fn offer<A: Offer, D>(
        &mut self,
        st: Token<S, A>,
        user: User,
        filter: &impl ChannelFilter,
        poll: impl Fn(Instant) -> Poll<D>,
        judge: impl FnOnce(Arrived, Instant) -> Picked<A, S::Peer>,
        due: impl FnOnce(D) -> Picked<A, Timeout>,
    ) -> Result<A::Branch<S>, SessionError> {
        loop {
            let now = self.clock.now();
            if let Some(arrived) = self.arrived(filter)? {
                return Ok(judge(arrived, now).take(st));
            }
            let until = match poll(now) {
                Poll::Now(what) => return Ok(due(what).take(st)),
                Poll::At(instant) => Some(instant),
                Poll::Never => None,
            };
            match self.wait(user, until)? {
                Event::Segment(Ok(segment)) if self.accepts(filter, &segment) => {
                    return Ok(judge(Arrived::Segment(segment.into_segment()), self.clock.now()).take(st));
                }
                Event::Icmp(Ok(error)) if filter.filter_icmp(&error) == Filtered::Accepted => {
                    return Ok(judge(Arrived::Icmp(error), self.clock.now()).take(st));
                }
                Event::Segment(Ok(_)) | Event::Icmp(Ok(_)) | Event::Timeout => {}
                Event::Segment(Err(RecvError)) | Event::Icmp(Err(RecvError)) => return Err(network_gone::<S>()),
                Event::Call(call) | Event::Credit(call @ Ok(_)) => return self.user.take(st, call),
                Event::Credit(Err(RecvError)) => {
                    let last_call = match user {
                        User::Heard => self.user.receiver().recv(),
                        // What a crashed role has said and nobody has taken is not waited for.
                        User::Credits | User::Unheard => Err(RecvError),
                    };
                    return self.user.take(st, last_call);
                }
            }
        }
    }

    /// Offers the branches of `st` to whoever sends to the port, and to the user's end.
    ///
    /// # Errors
    ///
    /// As [`offer`](Self::offer).
    pub fn listen<A: Offer>(
        &mut self,
        st: Token<S, A>,
        judge: impl FnOnce(SocketAddrV4, Segment, Admission) -> Picked<A, S::Peer>,
    ) -> Result<A::Branch<S>, SessionError> {
        self.net.forget();
        let Source::Listening(backlog) = self.net.source() else {
            return Err(network_gone::<S>());
        };
        let arrival: Result<Arrival, RecvError> = match wait(backlog, &never(), self.user.receiver(), &never(), None) {
            Event::Segment(arrival) => arrival,
            Event::Call(call) => return self.user.take(st, call),
            Event::Icmp(_) | Event::Credit(_) | Event::Timeout => Err(RecvError),
        };
        let arrival = arrival.map_err(|RecvError| network_gone::<S>())?;
        let (remote, segment, admission) = self.net.adopt(arrival);
        Ok(judge(remote, segment, admission).take(st))
    }

    /// What is already there, unless it is time to look elsewhere.
    fn arrived(&mut self, filter: &impl ChannelFilter) -> Result<Option<Arrived>, SessionError> {
        while self.segments_in_a_row < SEGMENTS_IN_A_ROW {
            let Source::Connected(_, inbox) = self.net.source() else {
                return Err(network_gone::<S>());
            };
            match inbox.receiver().try_recv() {
                Ok(waiting) => {
                    let segment = waiting.into_segment();
                    self.segments_in_a_row += 1;
                    if self.accepts(filter, &segment) {
                        return Ok(Some(Arrived::Segment(segment)));
                    }
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Err(network_gone::<S>()),
            }
        }
        self.segments_in_a_row = 0;
        Ok(None)
    }

    fn accepts(&self, filter: &impl ChannelFilter, segment: &Segment) -> bool {
        match self.net.source() {
            Source::Listening(_) | Source::Nowhere => false,
            Source::Connected(remote, _) => filter.filter(remote, segment) == Filtered::Accepted,
        }
    }

    fn wait(&self, user: User, until: Option<Instant>) -> Result<Event<Waiting>, SessionError> {
        let Source::Connected(_, inbox) = self.net.source() else {
            return Err(network_gone::<S>());
        };
        let remaining = until.map(|until| {
            let now = self.clock.now();
            std::time::Duration::from((until.max(now)) - now)
        });
        let (segments, errors) = (inbox.receiver(), inbox.errors());
        Ok(match user {
            User::Heard => wait(segments, errors, self.user.receiver(), self.user.credits(), remaining),
            User::Credits => wait(segments, errors, &never(), self.user.credits(), remaining),
            User::Unheard => wait(segments, errors, &never(), &never(), remaining),
        })
    }
}

/// Everything that a user at a terminal waits for: its system and what is typed.
#[derive(Debug)]
pub struct Desk<U: UserSide> {
    /// The system.
    pub system: CbChannel<U, U::System>,
    /// None after the end of what is typed.
    terminal: Option<Receiver<Data>>,
}

impl<U: UserSide> Desk<U> {
    /// Joins the channel to the system and the queue of what is typed, which ends when there is nothing more to be typed.
    pub fn new(system: CbChannel<U, U::System>, terminal: Receiver<Data>) -> Self {
        Desk { system, terminal: Some(terminal) }
    }

    /// Offers the branches of `st` to the system and the terminal, and takes the one that comes first.
    ///
    /// What is typed is taken while the system has room for it, so that a system that takes no more (its send buffer is full) does not
    /// keep its user from hearing what the peer says. After the end of what is typed the system alone is waited for.
    ///
    /// # Errors
    ///
    /// [`SessionError::Gone`] when the system ended early.
    pub fn offer<A: Offer>(
        &mut self,
        st: Token<U, A>,
        typed: impl FnOnce(Data) -> Picked<A, RoleTerminal>,
    ) -> Result<A::Branch<U>, SessionError> {
        loop {
            match self.system.receiver().try_recv() {
                Ok(answer) => return self.system.take(st, Ok(answer)),
                Err(TryRecvError::Disconnected) => return self.system.take(st, Err(RecvError)),
                Err(TryRecvError::Empty) => {}
            }
            match self.terminal_in_demand().map(Receiver::try_recv) {
                Some(Ok(data)) => return Ok(typed(data).take(st)),
                Some(Err(TryRecvError::Disconnected)) => self.terminal = None,
                Some(Err(TryRecvError::Empty)) | None => self.wait(),
            }
        }
    }

    /// The next piece typed, with nobody else to wait for; none at the end.
    pub fn typed(&self) -> Option<Data> {
        self.terminal.as_ref()?.recv().ok()
    }

    /// The terminal, if there can be something and the system has room for it.
    fn terminal_in_demand(&self) -> Option<&Receiver<Data>> {
        self.terminal.as_ref().filter(|_| !self.system.sender().is_full())
    }

    /// Waits until it is worth looking again.
    fn wait(&self) {
        let mut ready = Select::new();
        ready.recv(self.system.receiver());
        if let Some(terminal) = self.terminal_in_demand() {
            ready.recv(terminal);
        } else if self.terminal.is_some() {
            ready.send(self.system.sender());
        }
        ready.ready();
    }
}

/// Waits on the queues, and for no longer than `remaining` where it is given.
fn wait<T>(
    net: &Receiver<T>,
    errors: &Receiver<IcmpError>,
    calls: &Receiver<Envelope>,
    credits: &Receiver<Envelope>,
    remaining: Option<std::time::Duration>,
) -> Event<T> {
    match remaining {
        Some(remaining) => select! {
            recv(net) -> segment => Event::Segment(segment),
            recv(errors) -> error => Event::Icmp(error),
            recv(calls) -> call => Event::Call(call),
            recv(credits) -> credit => Event::Credit(credit),
            default(remaining) => Event::Timeout,
        },
        None => select! {
            recv(net) -> segment => Event::Segment(segment),
            recv(errors) -> error => Event::Icmp(error),
            recv(calls) -> call => Event::Call(call),
            recv(credits) -> credit => Event::Credit(credit),
        },
    }
}

fn network_gone<S: SystemSide>() -> SessionError {
    SessionError::Gone { role: Name::of::<S::Peer>() }
}

#[cfg(test)]
mod tests {
    use smoltcp::time::Duration as Later;

    use super::*;
    use crate::calls::{Abort, Close, Data, Receive};
    use crate::smol_lower::{LinkEnd, LowerConfig, SmolLower, perfect};
    use crate::st::Participant;
    use crate::tcp::segment::Control;
    use crate::{Offer, RoleClientSystem, RoleServerUser, cb};

    /// A system that waits for everything.
    enum System {}
    impl crate::st::Role for System {}
    impl SystemSide for System {
        type User = RoleServerUser;
        type Peer = RoleClientSystem;
        type HandshakeFailed = crate::st::End;
    }
    impl Participant for System {
        type Session = Everything;
    }

    Offer!(
        Everything => Event {
            RoleClientSystem & Came(Segment). Everything,
            RoleClientSystem & Warned(IcmpError). Everything,
            RoleServerUser & Said(Data). Everything,
            RoleServerUser & Asks(Receive). Everything,
            RoleServerUser & Abort(Abort). end,
            Timeout & Due. Everything,
        }
    );

    /// Lets all segments pass but those marked urgent, which stand for another session's.
    struct Everyone;
    impl ChannelFilter for Everyone {
        fn filter(&self, _remote: SocketAddrV4, segment: &Segment) -> Filtered {
            if segment.control.urg() { Filtered::Dropped } else { Filtered::Accepted }
        }
    }

    /// A system bound to one connection, the lower layer to let segments arrive at, and the user's end.
    fn bound() -> (Io<System>, SmolLower, cb::CbChannel<RoleServerUser, System>) {
        let (end, _other_end) = LinkEnd::pair(1500, perfect(), perfect());
        let lower = SmolLower::over_link(end, &LowerConfig::default()).unwrap();
        let backlog = lower.listen(555).unwrap();
        let (user, system) = cb::pair();
        let net = NetChannel::new(lower.clone(), backlog);
        let mut io = Io::new(net, system, Clock::start());
        lower.arrive(remote(), segment(Control::SYN));
        let _st = io.listen(System::start(), |_, segment, _| Everything::Came(segment)).unwrap();
        (io, lower, user)
    }

    fn remote() -> SocketAddrV4 {
        "192.0.2.1:40000".parse().unwrap()
    }

    fn segment(control: Control) -> Segment {
        Segment { src_port: 40000, dst_port: 555, control, ..Segment::default() }
    }

    fn came(arrived: Arrived) -> Picked<Everything, RoleClientSystem> {
        match arrived {
            Arrived::Segment(segment) => Everything::Came(segment),
            Arrived::Icmp(error) => Everything::Warned(error),
        }
    }

    fn offer(io: &mut Io<System>, user: User, poll: impl Fn(Instant) -> Poll<()>) -> String {
        let event =
            io.offer(System::start(), user, &Everyone, poll, |arrived, _| came(arrived), |()| Everything::Due());
        format!("{:?}", event.unwrap())
    }

    #[test]
    fn what_has_arrived_is_taken_before_what_is_due() {
        let (mut io, lower, _user) = bound();
        lower.arrive(remote(), segment(Control::ACK));
        assert_eq!(offer(&mut io, User::Heard, |_| Poll::Now(())), "Came");
        assert_eq!(offer(&mut io, User::Heard, |_| Poll::Now(())), "Due");
    }

    #[test]
    fn a_flood_of_segments_does_not_hold_up_what_is_due() {
        let (mut io, lower, _user) = bound();
        for _ in 0..2 * SEGMENTS_IN_A_ROW {
            lower.arrive(remote(), segment(Control::ACK));
        }
        let events: Vec<String> =
            (0..=SEGMENTS_IN_A_ROW).map(|_| offer(&mut io, User::Heard, |_| Poll::Now(()))).collect();
        assert_eq!(events.iter().filter(|event| *event == "Due").count(), 1);
    }

    #[test]
    fn a_segment_of_another_session_does_not_advance_this_one() {
        let (mut io, lower, _user) = bound();
        lower.arrive(remote(), segment(Control::ACK.with(Control::URG)));
        assert_eq!(offer(&mut io, User::Heard, |_| Poll::Now(())), "Due");
    }

    #[test]
    fn the_deadline_is_the_machines() {
        let (mut io, _lower, _user) = bound();
        let at = io.clock.now() + Later::from_millis(20);
        let poll = |now| if now < at { Poll::At(at) } else { Poll::Now(()) };
        assert_eq!(offer(&mut io, User::Heard, poll), "Due");
        assert!(io.clock.now() >= at);
    }

    #[test]
    fn an_unheard_user_waits_in_its_queue() {
        let (mut io, _lower, mut user) = bound();
        user.tell(Data::new(b"early".to_vec()).unwrap());
        let at = io.clock.now() + Later::from_millis(5);
        let poll = |now| if now < at { Poll::At(at) } else { Poll::Now(()) };
        assert_eq!(offer(&mut io, User::Unheard, poll), "Due");
        assert_eq!(offer(&mut io, User::Heard, |_| Poll::Never), "Said");
    }

    #[test]
    fn a_crashed_user_takes_the_branch_of_its_abort() {
        for heard in [User::Heard, User::Credits] {
            let (mut io, _lower, user) = bound();
            drop(user);
            assert_eq!(offer(&mut io, heard, |_| Poll::Never), "Abort");
        }
    }

    #[test]
    fn what_a_crashed_user_said_before_is_heard_first() {
        let (mut io, _lower, mut user) = bound();
        user.tell(Data::new(b"last words".to_vec()).unwrap());
        drop(user);
        assert_eq!(offer(&mut io, User::Heard, |_| Poll::Never), "Said");
        assert_eq!(offer(&mut io, User::Heard, |_| Poll::Never), "Abort");
    }

    #[test]
    fn credits_are_taken_while_calls_wait() {
        let (mut io, _lower, mut user) = bound();
        user.tell(Data::new(b"waits".to_vec()).unwrap());
        user.tell(Receive(()));
        assert_eq!(offer(&mut io, User::Credits, |_| Poll::Never), "Asks");
        let at = io.clock.now() + Later::from_millis(5);
        let poll = |now| if now < at { Poll::At(at) } else { Poll::Now(()) };
        assert_eq!(offer(&mut io, User::Credits, poll), "Due");
        assert_eq!(offer(&mut io, User::Heard, |_| Poll::Never), "Said");
    }

    #[test]
    fn a_call_that_is_not_offered_is_an_error() {
        let (mut io, _lower, mut user) = bound();
        user.tell(Close(()));
        let event = io.offer(
            System::start(),
            User::Heard,
            &Everyone,
            |_| Poll::<()>::Never,
            |arrived, _| came(arrived),
            |()| Everything::Due(),
        );
        assert!(matches!(event, Err(SessionError::Unexpected { .. })));
    }

    /// A user at its terminal.
    enum Typist {}
    impl crate::st::Role for Typist {}
    impl UserSide for Typist {
        type System = Listener;
        type Waiting = Both;
    }
    impl Participant for Typist {
        type Session = Both;
    }
    /// Its system.
    enum Listener {}
    impl crate::st::Role for Listener {}
    impl Participant for Listener {
        type Session = crate::st::End;
    }
    Offer!(
        Both => BothEvent {
            Listener & Said(Data). Both,
            RoleTerminal & Typed(Data). (Listener + Data). Both,
        }
    );

    fn octets(text: &[u8]) -> Data {
        Data::new(text.to_vec()).unwrap()
    }

    #[test]
    fn a_user_hears_its_system_while_that_takes_nothing_more() {
        let (system, mut listener) = cb::pair::<Typist, Listener>();
        let (typed, terminal) = crossbeam_channel::unbounded();
        let mut desk = Desk::new(system, terminal);
        for _ in 0..100 {
            typed.send(octets(b"typed")).unwrap();
        }
        let mut st = Typist::start();
        let mut sent = 0;
        while !desk.system.sender().is_full() {
            let BothEvent::Typed(data, after) = desk.offer(st, Both::Typed).unwrap() else {
                panic!("nothing was said")
            };
            st = desk.system.select_one(after, data).unwrap();
            sent += 1;
        }
        assert!(sent < 100);
        listener.tell(octets(b"said"));
        let BothEvent::Said(said, st) = desk.offer(st, Both::Typed).unwrap() else { panic!("there is no room") };
        assert_eq!(said.octets(), b"said");
        // Room for one more ends the wait.
        let taking = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(20));
            listener.receiver().recv().unwrap();
            listener
        });
        let BothEvent::Typed(_, st) = desk.offer(st, Both::Typed).unwrap() else { panic!("there is room") };
        let _ = (st, taking.join().unwrap());
    }

    #[test]
    fn after_the_end_of_what_is_typed_the_system_is_waited_for_alone() {
        let (system, mut listener) = cb::pair::<Typist, Listener>();
        let (typed, terminal) = crossbeam_channel::unbounded();
        let mut desk = Desk::new(system, terminal);
        typed.send(octets(b"last")).unwrap();
        drop(typed);
        let BothEvent::Typed(data, st) = desk.offer(Typist::start(), Both::Typed).unwrap() else { panic!("typed") };
        let st = desk.system.select_one(st, data).unwrap();
        let saying = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(20));
            listener.tell(octets(b"said"));
            listener
        });
        let BothEvent::Said(_, st) = desk.offer(st, Both::Typed).unwrap() else { panic!("all was typed") };
        assert_eq!(desk.typed(), None);
        drop(saying.join().unwrap());
        assert!(matches!(desk.offer(st, Both::Typed), Err(SessionError::Gone { .. })));
    }
}
