//! Every label of an offer is handled.

use protocol::*;
use session_tcp::st::*;

pub fn client(st: St<Answer>, server: &mut ToServer) -> Result<St<Talk>, SessionError> {
    match server.offer(st)? { //~ E0004
        AnswerEvent::Yes(Yes, st) => Ok(st),
        // What if the server says no?
        //= AnswerEvent::No(No, st) => Ok(st),
        AnswerEvent::Break(..) | AnswerEvent::Late(_) => Err(SessionError::TimedOut { role: Name::of::<Server>() }),
    }
}
