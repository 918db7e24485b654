//! The crate that the programs here use: two roles that talk, and a stranger.

use session_tcp::cb::CbChannel;
use session_tcp::st::{End, Message, Participant, Role, SessionError, Timeout, Token};
use session_tcp::{Offer, Rec, Select, St};

pub enum Client {}
pub enum Server {}
pub enum Stranger {}

impl Role for Client {}
impl Role for Server {}
impl Role for Stranger {}

#[derive(Debug)]
pub struct Hello;
#[derive(Debug)]
pub struct Welcome;
#[derive(Debug)]
pub struct Ask;
#[derive(Debug)]
pub struct Yes;
#[derive(Debug)]
pub struct No;
#[derive(Debug)]
pub struct Bye;

impl Message for Hello {}
impl Message for Welcome {}
impl Message for Ask {}
impl Message for Yes {}
impl Message for No {}
impl Message for Bye {}

impl Participant for Client {
    type Session = ClientSt;
}

impl Participant for Server {
    type Session = ServerSt;
}

impl Participant for Stranger {
    type Session = End;
}

/// The client greets, then asks as often as it likes.
pub type ClientSt = St![(Server + Hello).(Server & Welcome).Talk];

Select!(
    /// The client has the floor.
    pub Talk: Server + {
        Ask(Ask). Answer,
        Bye(Bye). end,
    }
);

Select!(
    /// Another selection, with labels of the same names.
    pub LastTalk: Server + {
        Ask(Ask). (Server & Yes). end,
        Bye(Bye). end,
    }
);

Offer!(
    /// The client waits, but not for ever.
    pub Answer => AnswerEvent {
        Server & Yes(Yes). Talk,
        Server & No(No). Talk,
        Stranger & Break(Bye). (Server + Bye). end,
        Timeout & Late. (Server + Bye). end,
    }
);

/// The server is greeted, then asked.
pub type ServerSt = St![(Client & Hello).(Client + Welcome).Asked];

Rec!(
    /// The server waits for a question.
    pub Asked, [
        (Client & {
            Ask.(Client + { Yes.Asked, No.Asked }),
            Bye.end
        })
    ]
);

/// A selection and an offer of three branches, written inline.
pub type Three = St![(Server + { Yes.end, No.end, Bye.end })];
pub type OfThree = St![(Server & { Yes.end, No.end, Bye.end })];

/// What a program returns.
pub type Ended = Result<End, SessionError>;
/// The client's token, its ways to the server and to the stranger.
pub type St<A> = Token<Client, A>;
pub type ToServer = CbChannel<Client, Server>;
pub type ToStranger = CbChannel<Client, Stranger>;
