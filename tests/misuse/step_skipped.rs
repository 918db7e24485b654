//! A step cannot be left out.

use protocol::*;

pub fn client(st: St<ClientSt>, server: &mut ToServer) -> Ended {
    // Not a word of greeting.
    //= let st = server.select_one(st, Hello)?;
    let (Welcome, st) = server.offer_one(st)?; //~ E0308
    Ok(server.select(st, Talk::Bye(Bye))?.end())
}
