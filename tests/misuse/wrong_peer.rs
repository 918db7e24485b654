//! What is for one role is not sent to another.

use protocol::*;

pub fn client(st: St<ClientSt>, server: &mut ToServer, stranger: &mut ToStranger) -> Ended {
    let st = stranger.select_one(st, Hello)?; //~ E0308
    //= let st = server.select_one(st, Hello)?;
    let (Welcome, st) = server.offer_one(st)?;
    let _ = &stranger;
    Ok(server.select(st, Talk::Bye(Bye))?.end())
}
