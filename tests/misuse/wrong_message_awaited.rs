//! A message of another type is not received.

use protocol::*;

pub fn client(st: St<ClientSt>, server: &mut ToServer) -> Ended {
    let st = server.select_one(st, Hello)?;
    let (Bye, st) = server.offer_one(st)?; //~ E0308
    //= let (Welcome, st) = server.offer_one(st)?;
    Ok(server.select(st, Talk::Bye(Bye))?.end())
}
