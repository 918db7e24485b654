//! A label of one selection picks no branch of another.

use protocol::*;

pub fn client(st: St<Talk>, server: &mut ToServer) -> Ended {
    Ok(server.select(st, LastTalk::Bye(Bye))?.end()) //~ E0308
    //= Ok(server.select(st, Talk::Bye(Bye))?.end())
}
