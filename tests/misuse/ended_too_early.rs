//! Only at its end has a session an end.

use protocol::*;

pub fn client(st: St<ClientSt>, server: &mut ToServer) -> Ended {
    let st = server.select_one(st, Hello)?;
    let (Welcome, st) = server.offer_one(st)?;
    Ok(st.end()) //~ E0599
    //= Ok(server.select(st, Talk::Bye(Bye))?.end())
}
