//! A label that is not offered cannot be handled.

use protocol::*;
use session_tcp::st::*;

pub fn client(st: St<Answer>, server: &mut ToServer) -> Result<(), SessionError> {
    match server.offer(st)? {
        AnswerEvent::Perhaps(_) => Ok(()), //~ E0599
        //= AnswerEvent::Late(_) => Ok(()),
        _ => Ok(()),
    }
}
