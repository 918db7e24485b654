//! An error leaves no token behind: what failed cannot be tried again.

use protocol::*;

pub fn client(st: St<ClientSt>, server: &mut ToServer) -> Ended {
    let st = match server.select_one(st, Hello) {
        Ok(st) => st,
        Err(_) => server.select_one(st, Hello)?, //~ E0382
        //= Err(cause) => return Err(cause),
    };
    let (Welcome, st) = server.offer_one(st)?;
    Ok(server.select(st, Talk::Bye(Bye))?.end())
}
