//! What an offer is made of is said in its own crate.

use protocol::*;
use session_tcp::st::*;

impl Labelled<9> for Answer { //~ E0117
//= impl Further<9> for Answer {
    type From = Server;
    type Message = Bye;
    type Next = End;
    fn branch(_: Bye, _: Token<Nobody, End>) -> AnswerEvent<Nobody> {
        unimplemented!()
    }
}

pub trait Further<const N: usize>: Offer {
    type From;
    type Message;
    type Next;
    fn branch(message: Bye, st: Token<Nobody, End>) -> AnswerEvent<Nobody>;
}
