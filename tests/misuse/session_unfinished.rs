//! A program that stops has no end to return.

use protocol::*;

pub fn client(st: St<ClientSt>, server: &mut ToServer) -> Ended {
    let st = server.select_one(st, Hello)?;
    let (Welcome, st) = server.offer_one(st)?;
    let st = server.select(st, Talk::Bye(Bye))?;
    Ok(drop(st)) //~ E0308
    //= Ok(st.end())
}
