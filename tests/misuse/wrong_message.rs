//! A message of another type is not sent.

use protocol::*;

pub fn client(st: St<ClientSt>, server: &mut ToServer) -> Ended {
    let st = server.select_one(st, Bye)?; //~ E0308
    //= let st = server.select_one(st, Hello)?;
    let (Welcome, st) = server.offer_one(st)?;
    Ok(server.select(st, Talk::Bye(Bye))?.end())
}
