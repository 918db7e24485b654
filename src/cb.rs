//! The channel between a user and its system: crossbeam queues behind session types (dissertation §3.3.4).
//!
//! It is reliable and in order, and the type of a message is its label, so its offers need no picker. A bounded queue in
//! each direction: a user whose system does not look at it for a while (its send buffer is full) waits in `select`. Credits have a
//! queue of their own ([`Message::CREDIT`]), which is looked at even then: else who writes more than its peer reads could not read
//! either, and two such would wait for each other for ever.

use std::marker::PhantomData;

use crossbeam_channel::{Receiver, RecvError, Sender, bounded, select};

use crate::st::{
    Action, After, At, Branch, Choice, End, Envelope, Message, Name, Offer, OfferOne, OfferTwo, Participant, Role,
    SelectOne, SelectTwo, Selection, SessionError, Taken, Token,
};

/// Messages that may wait in each direction. One would do; a few let a user that sends several pieces go on meanwhile.
const QUEUE_MESSAGES: usize = 4;

/// Credits that may wait in each direction; a role has no second one before the first is answered.
const QUEUE_CREDITS: usize = 1;

/// The end of role `Me` of a channel to role `Peer`.
#[derive(Debug)]
pub struct CbChannel<Me: Role, Peer: Role> {
    tx: Sender<Envelope>,
    rx: Receiver<Envelope>,
    credits_tx: Sender<Envelope>,
    credits_rx: Receiver<Envelope>,
    roles: PhantomData<fn() -> (Me, Peer)>,
}

/// Makes a channel between two roles: the end of the first and that of the second.
///
/// Both run in this process; [`NestRole`](crate::st::NestRole) and the like do not, and no channel leads to them.
pub fn pair<R1: Participant, R2: Participant>() -> (CbChannel<R1, R2>, CbChannel<R2, R1>) {
    let [(to_second, from_first), (to_first, from_second)] = [(); 2].map(|()| bounded(QUEUE_MESSAGES));
    let [(credit_second, first_credits), (credit_first, second_credits)] = [(); 2].map(|()| bounded(QUEUE_CREDITS));
    let first = CbChannel {
        tx: to_second,
        rx: from_second,
        credits_tx: credit_second,
        credits_rx: second_credits,
        roles: PhantomData,
    };
    let second = CbChannel {
        tx: to_first,
        rx: from_first,
        credits_tx: credit_first,
        credits_rx: first_credits,
        roles: PhantomData,
    };
    (first, second)
}

impl<Me: Role, Peer: Role> CbChannel<Me, Peer> {
    /// Receives the one message offered.
    ///
    /// # Errors
    ///
    /// [`SessionError::Gone`] when the peer ended early, [`SessionError::Unexpected`] when it sent something else.
    pub fn offer_one<M: Message, A: Action>(
        &mut self,
        st: Token<Me, OfferOne<Peer, M, A>>,
    ) -> Result<(M, Token<Me, A>), SessionError> {
        let message = M::from_envelope(self.recv()?).map_err(|_| unexpected::<Peer>())?;
        Ok((message, st.advance()))
    }

    /// Receives one of the two messages offered, told apart by their types.
    ///
    /// # Errors
    ///
    /// As [`offer_one`](Self::offer_one).
    pub fn offer_two<M1, M2, A1, A2>(
        &mut self,
        st: Token<Me, OfferTwo<Peer, M1, M2, A1, A2>>,
    ) -> Result<Taken<Me, M1, M2, A1, A2>, SessionError>
    where
        M1: Message,
        M2: Message,
        A1: Action,
        A2: Action,
    {
        let message = match M1::from_envelope(self.recv()?) {
            Ok(message) => return Ok(Branch::Left((message, st.advance()))),
            Err(message) => message,
        };
        let message = M2::from_envelope(message).map_err(|_| unexpected::<Peer>())?;
        Ok(Branch::Right((message, st.advance())))
    }

    /// Receives one of the messages of a labelled offer all of whose branches this channel brings.
    ///
    /// # Errors
    ///
    /// As [`offer_one`](Self::offer_one), but a crash of the peer takes the offer's branch for it where there is one.
    pub fn offer<A: Offer>(&mut self, st: Token<Me, A>) -> Result<A::Branch<Me>, SessionError> {
        let arrival = self.next();
        self.take(st, arrival)
    }

    /// Sends the one message selected.
    ///
    /// # Errors
    ///
    /// None at present: a message to a peer that has crashed is lost, as the theory of crash-stop failures has it, and
    /// the next offer tells.
    pub fn select_one<M: Message, A: Action>(
        &mut self,
        st: Token<Me, SelectOne<Peer, M, A>>,
        message: M,
    ) -> Result<Token<Me, A>, SessionError> {
        self.send(message);
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
        message: M1,
    ) -> Result<Token<Me, A1>, SessionError>
    where
        M1: Message,
        M2: Message,
        A1: Action,
        A2: Action,
    {
        self.send(message);
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
        message: M2,
    ) -> Result<Token<Me, A2>, SessionError>
    where
        M1: Message,
        M2: Message,
        A1: Action,
        A2: Action,
    {
        self.send(message);
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
        choice: Choice<A, I, M>,
    ) -> Result<After<Me, A, I, M>, SessionError>
    where
        A: Selection<Role = Peer>,
        A::Tree: At<I, M>,
        I: crate::st::Position,
        M: Message,
    {
        self.send(choice.into_message());
        Ok(st.advance())
    }

    /// Closes the channel at the end of its session.
    pub fn close(self, _end: &End) {}

    /// The receiving queue, for an offer that waits on more than this channel.
    pub(crate) fn receiver(&self) -> &Receiver<Envelope> {
        &self.rx
    }

    /// The receiving queue of credits.
    pub(crate) fn credits(&self) -> &Receiver<Envelope> {
        &self.credits_rx
    }

    /// The sending queue, for an offer that waits for room in it.
    pub(crate) fn sender(&self) -> &Sender<Envelope> {
        &self.tx
    }

    /// Takes the branch of `st` for what came out of the queue.
    pub(crate) fn take<A: Offer>(
        &self,
        st: Token<Me, A>,
        arrival: Result<Envelope, RecvError>,
    ) -> Result<A::Branch<Me>, SessionError> {
        let picked = match arrival {
            Ok(message) => A::by_message::<Peer>(message).map_err(|_| unexpected::<Peer>())?,
            Err(RecvError) => A::on_crash::<Peer>().ok_or_else(gone::<Peer>)?,
        };
        Ok(picked.take(st))
    }

    /// Sends a message without a token, for tests of what a peer must not do.
    #[cfg(test)]
    pub(crate) fn tell<M: Message>(&mut self, message: M) {
        self.send(message);
    }

    fn recv(&mut self) -> Result<Envelope, SessionError> {
        self.next().map_err(|RecvError| gone::<Peer>())
    }

    /// Whatever comes next; an error when the peer is gone and nothing of it is left.
    fn next(&self) -> Result<Envelope, RecvError> {
        select! {
            recv(self.rx) -> message => message.or_else(|RecvError| self.credits_rx.recv()),
            recv(self.credits_rx) -> credit => credit.or_else(|RecvError| self.rx.recv()),
        }
    }

    fn send<M: Message>(&mut self, message: M) {
        const { assert!(!M::NESTED, "of more than two branches one is picked by `select`") };
        let queue = if M::CREDIT { &self.credits_tx } else { &self.tx };
        if queue.send(Box::new(message)).is_err() {
            log::debug!("{} to {} lost: the role has crashed", Name::of::<M>(), Name::of::<Peer>());
        }
    }
}

fn gone<R: Role>() -> SessionError {
    SessionError::Gone { role: Name::of::<R>() }
}

fn unexpected<R: Role>() -> SessionError {
    SessionError::Unexpected { role: Name::of::<R>() }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::st::{First, Last, Next};
    use crate::{Offer, Select, St, branches};

    macro_rules! names {
        ($($kind:ident: $($name:ident)+;)+) => {$($(
            #[derive(PartialEq, Eq, Debug)]
            struct $name;
            impl $kind for $name {}
        )+)+};
    }
    names! {
        Role: Asker Answerer;
        Message: M1 M2 M3 M4 M5 Unheard;
    }

    /// The message of a crash.
    #[derive(PartialEq, Eq, Debug)]
    struct Crashed;
    impl Message for Crashed {
        fn on_crash() -> Option<Self> {
            Some(Crashed)
        }
    }

    /// What may overtake.
    struct Credit;
    impl Message for Credit {
        const CREDIT: bool = true;
    }

    impl Participant for Asker {
        type Session = Pick;
    }
    impl Participant for Answerer {
        type Session = Wait;
    }

    Select!(
        Pick: Answerer + {
            One(M1). Pick,
            Two(M2). Pick,
            Three(M3). Pick,
            Four(M4). Pick,
            Five(M5). (Answerer & M1). end,
        }
    );
    Offer!(
        Wait => Event {
            Asker & One(M1). Wait,
            Asker & Two(M2). Wait,
            Asker & Three(M3). Wait,
            Asker & Four(M4). Wait,
            Asker & Five(M5). (Asker + M1). end,
            Asker & Crash(Crashed). end,
        }
    );

    /// A token of any type, as only this crate can make it.
    fn at<Me: Role, A: Action>() -> Token<Me, A> {
        Token::mint()
    }

    #[test]
    fn five_labels_arrive_as_five_labels_and_both_roles_end() {
        let (mut answerer, mut asker) = pair::<Asker, Answerer>();
        let other = thread::spawn(move || {
            let mut st = Answerer::start();
            let mut heard = Vec::new();
            loop {
                st = match asker.offer(st)? {
                    Event::One(M1, st) | Event::Two(M2, st) | Event::Three(M3, st) | Event::Four(M4, st) => st,
                    Event::Five(M5, st) => return Ok((asker.select_one(st, M1)?.end(), heard.len())),
                    Event::Crash(Crashed, _) => return Err(gone::<Asker>()),
                };
                heard.push(());
            }
        });
        let st = answerer.select(Asker::start(), Pick::One(M1)).unwrap();
        let st = answerer.select(st, Pick::Two(M2)).unwrap();
        let st = answerer.select(st, Pick::Three(M3)).unwrap();
        let st = answerer.select(st, Pick::Four(M4)).unwrap();
        let st = answerer.select(st, Pick::Five(M5)).unwrap();
        let (M1, st) = answerer.offer_one(st).unwrap();
        answerer.close(&st.end());
        let (_end, heard): (End, usize) = other.join().unwrap().unwrap();
        assert_eq!(heard, 4);
    }

    #[test]
    fn a_credit_overtakes_what_waits_and_nothing_is_lost_at_the_end() {
        let (mut asker, mut answerer) = pair::<Asker, Answerer>();
        for _ in 0..QUEUE_MESSAGES {
            asker.tell(M1);
        }
        asker.tell(Credit);
        assert!(answerer.credits().recv().unwrap().downcast::<Credit>().is_ok());
        asker.tell(Credit);
        drop(asker);
        let mut left = Vec::new();
        while let Ok(message) = answerer.recv() {
            left.push(message.downcast::<Credit>().is_ok());
        }
        assert_eq!((left.len(), left.iter().filter(|is_credit| **is_credit).count()), (QUEUE_MESSAGES + 1, 1));
    }

    #[test]
    fn inline_choices_of_two_to_five_branches_arrive_in_their_branch() {
        macro_rules! round_trip {
            ($number:literal: $sent:ident of $($message:ident $n:literal),+) => {{
                let (mut answerer, mut asker) = pair::<Asker, Answerer>();
                let st = at::<Asker, St![(Answerer + { $($message.end),+ })]>();
                let end: End = answerer.select(st, Choice::new($sent)).unwrap().end();
                answerer.close(&end);
                let st = at::<Answerer, St![(Asker & { $($message.end),+ })]>();
                let taken = branches!(asker.offer_two(st).unwrap() => { $(($message, st) => (st.end(), $n)),+ });
                assert_eq!(taken.1, $number);
            }};
        }
        round_trip!(1: M1 of M1 1, M2 2);
        round_trip!(2: M2 of M1 1, M2 2);
        round_trip!(1: M1 of M1 1, M2 2, M3 3);
        round_trip!(2: M2 of M1 1, M2 2, M3 3);
        round_trip!(3: M3 of M1 1, M2 2, M3 3);
        round_trip!(1: M1 of M1 1, M2 2, M3 3, M4 4);
        round_trip!(3: M3 of M1 1, M2 2, M3 3, M4 4);
        round_trip!(4: M4 of M1 1, M2 2, M3 3, M4 4);
        round_trip!(1: M1 of M1 1, M2 2, M3 3, M4 4, M5 5);
        round_trip!(2: M2 of M1 1, M2 2, M3 3, M4 4, M5 5);
        round_trip!(3: M3 of M1 1, M2 2, M3 3, M4 4, M5 5);
        round_trip!(4: M4 of M1 1, M2 2, M3 3, M4 4, M5 5);
        round_trip!(5: M5 of M1 1, M2 2, M3 3, M4 4, M5 5);
    }

    #[test]
    fn one_message_in_two_branches_is_sent_by_position() {
        type Twice = St![(Answerer + { M1.end, M1.(Answerer + M2).end, M1.(Answerer + M3).end })];
        let (mut answerer, _asker) = pair::<Asker, Answerer>();
        let first: Token<_, End> = answerer.select(at(), Choice::<Twice, First, _>::new(M1)).unwrap();
        let second: Token<_, St![(Answerer + M2).end]> =
            answerer.select(at(), Choice::<Twice, Next<First>, _>::new(M1)).unwrap();
        let third: Token<_, St![(Answerer + M3).end]> =
            answerer.select(at(), Choice::<Twice, Next<Last>, _>::new(M1)).unwrap();
        drop((first, second, third));
    }

    #[test]
    fn left_and_right_are_the_two_branches() {
        let (mut answerer, mut asker) = pair::<Asker, Answerer>();
        type Two = St![(Answerer + { M1.end, M2.(Answerer & M3).end })];
        let _ = answerer.select_left(at::<Asker, Two>(), M1).unwrap().end();
        let _: Token<_, St![(Answerer & M3).end]> = answerer.select_right(at::<Asker, Two>(), M2).unwrap();
        let offer = at::<Answerer, St![(Asker & { M1.end, M2.end })]>;
        assert!(matches!(asker.offer_two(offer()).unwrap(), Branch::Left((M1, _))));
        assert!(matches!(asker.offer_two(offer()).unwrap(), Branch::Right((M2, _))));
    }

    #[test]
    fn a_crash_takes_its_branch_after_all_that_was_sent_before() {
        let (mut answerer, mut asker) = pair::<Asker, Answerer>();
        let st = answerer.select(Asker::start(), Pick::Two(M2)).unwrap();
        drop((st, answerer));
        let Event::Two(M2, st) = asker.offer(Answerer::start()).unwrap() else { panic!("another label") };
        let Event::Crash(Crashed, st) = asker.offer(st).unwrap() else { panic!("another label") };
        asker.close(&st.end());
    }

    #[test]
    fn a_crash_without_a_branch_for_it_is_an_error() {
        let (answerer, mut asker) = pair::<Asker, Answerer>();
        drop(answerer);
        let one = asker.offer_one(at::<Answerer, St![(Asker & M1).end]>());
        assert!(matches!(one, Err(SessionError::Gone { role }) if role == Name::of::<Asker>()));
        let two = asker.offer_two(at::<Answerer, St![(Asker & { M1.end, M2.end })]>());
        assert!(matches!(two, Err(SessionError::Gone { .. })));
    }

    #[test]
    fn what_is_sent_to_a_crashed_role_is_lost_and_the_next_offer_tells() {
        let (mut answerer, asker) = pair::<Asker, Answerer>();
        drop(asker);
        let st = answerer.select(Asker::start(), Pick::Five(M5)).unwrap();
        assert!(matches!(answerer.offer_one(st), Err(SessionError::Gone { .. })));
    }

    #[test]
    fn a_message_that_is_not_offered_is_an_error() {
        let (mut answerer, mut asker) = pair::<Asker, Answerer>();
        let is_unexpected = |error| matches!(error, SessionError::Unexpected { role } if role == Name::of::<Asker>());
        for _ in 0..4 {
            answerer.tell(Unheard);
        }
        assert!(is_unexpected(asker.offer(Answerer::start()).unwrap_err()));
        assert!(is_unexpected(asker.offer_one(at::<Answerer, St![(Asker & M1).end]>()).unwrap_err()));
        assert!(is_unexpected(asker.offer_two(at::<Answerer, St![(Asker & { M1.end, M2.end })]>()).unwrap_err()));
        let three = at::<Answerer, St![(Asker & { M1.end, M2.end, M3.end })]>();
        assert!(is_unexpected(asker.offer_two(three).unwrap_err()));
    }
}
