//! The channel between a user and its system: crossbeam queues behind session types (dissertation §3.3.4).
//!
//! It is reliable and in order, and the type of a message is its label, so its offers need no picker. A bounded queue in
//! each direction: a user whose system does not look at it for a while (its send buffer is full) waits in `select`.

use std::marker::PhantomData;

use crossbeam_channel::{Receiver, RecvError, Sender, bounded};

use crate::st::{
    Action, After, At, Branch, Choice, End, Envelope, Message, Name, Offer, OfferOne, OfferTwo, Participant, Role,
    SelectOne, SelectTwo, Selection, SessionError, Taken, Token,
};

/// Messages that may wait in each direction. One would do; a few let a user that sends several pieces go on meanwhile.
const QUEUE_MESSAGES: usize = 4;

/// The end of role `Me` of a channel to role `Peer`.
#[derive(Debug)]
pub struct CbChannel<Me: Role, Peer: Role> {
    tx: Sender<Envelope>,
    rx: Receiver<Envelope>,
    roles: PhantomData<fn() -> (Me, Peer)>,
}

/// Makes a channel between two roles: the end of the first and that of the second.
///
/// Both run in this process; [`NestRole`](crate::st::NestRole) and the like do not, and no channel leads to them.
pub fn pair<R1: Participant, R2: Participant>() -> (CbChannel<R1, R2>, CbChannel<R2, R1>) {
    let (to_second, from_first) = bounded(QUEUE_MESSAGES);
    let (to_first, from_second) = bounded(QUEUE_MESSAGES);
    let first = CbChannel { tx: to_second, rx: from_second, roles: PhantomData };
    let second = CbChannel { tx: to_first, rx: from_first, roles: PhantomData };
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
        let arrival = self.rx.recv();
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
        self.rx.recv().map_err(|RecvError| gone::<Peer>())
    }

    fn send<M: Message>(&mut self, message: M) {
        const { assert!(!M::NESTED, "of more than two branches one is picked by `select`") };
        if self.tx.send(Box::new(message)).is_err() {
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
