//! An offer is not a selection.

use protocol::*;

pub fn client(st: St<ClientSt>, server: &mut ToServer) -> Ended {
    let st = server.select_one(st, Hello)?;
    let (_, st) = (Welcome, server.select_one(st, Welcome)?); //~ E0308
    //= let (_, st) = server.offer_one(st)?;
    Ok(server.select(st, Talk::Bye(Bye))?.end())
}
